"""Section A in small, to play vectors of the application `nova`: a worker that keeps files in dictionaries, and a
router that checks who wants in. It knows one kind of symbol, `class NAME`. Written from PROTOCOL.md alone."""
import os
import re

import blake3
import messages
import score

INTERNAL, UNIMPLEMENTED, INVALID, UNKNOWN_SHARD, STALE_SYNC, NOT_IN_MANIFEST = 1, 5, 6, 256, 257, 258
METHODS = {0x0100: "SyncShard", 0x0101: "LoadFiles", 0x0102: "IndexShard", 0x0103: "SyncPage", 0x0200: "UpdateFile",
    0x0201: "RemoveFiles", 0x0300: "SearchSymbols", 0x0301: "ListSymbols", 0x0400: "GetWorkerStats", 0x0401: "Shutdown"}
ZEROS = "00" * 16
CLASS = re.compile(r"\bclass (\w+)")
KNOWN_KINDS = (1 << 12) - 1


class Fault(Exception):
    """The code of the Error that answers."""


def fail_if(wrong, code):
    if wrong: raise Fault(code)


class Shard:
    def __init__(self):
        self.key = None
        self.files = {}               # path -> (text or None for a tombstone, rev, arrival)
        self.epoch = self.sync = None
        self.manifest, self.wanted, self.staged = [], set(), {}
        self.count = self.sync_rev = self.revision = self.generation = 0
        self.committed, self.digest, self.arrivals, self.skipped = False, ZEROS, 0, {}
        self.absent_rev = 0           # of what the last manifest did not name

    def present(self):
        return {path: text for path, (text, _, _) in sorted(self.files.items(), key=lambda one: one[0].encode())
            if text is not None}

    def symbols(self, path):
        text = self.files[path][0]
        for found in CLASS.finditer(text):
            line = text.count("\n", 0, found.start(1)) + 1
            yield found.group(1), line, found.start(1) - (text.rfind("\n", 0, found.start(1)) + 1) + 1

    def counters(self):
        present = self.present()
        return {"epoch": str(self.epoch or 0), "revision": str(self.revision), "generation": str(self.generation),
            "files": len(present), "symbols": str(sum(len(list(self.symbols(path))) for path in present)),
            "digest": self.digest}

    def arrival(self):
        self.arrivals += 1
        return self.arrivals

    def apply(self, path, rev, text):
        """R-A-20 and R-A-39: the highest rev wins, and of equal ones the first."""
        if rev <= (self.files[path][1] if path in self.files else self.absent_rev): return 0
        self.files[path] = text, rev, self.arrival()
        self.revision, self.digest = max(self.revision, rev), ZEROS
        return 1


class Worker:
    def __init__(self, claim):
        self.shards = {number: Shard() for first, count in claim for number in range(first, first + count)}
        self.parsed = self.received = 0

    def answer(self, method, body):
        """The body of the answer; raises Fault."""
        name = METHODS.get(method)
        fail_if(name is None, UNIMPLEMENTED)
        value, error = messages.decode(name, body)
        fail_if(error, INVALID)
        if "shard" in value: fail_if(value["shard"] not in self.shards, UNKNOWN_SHARD)
        return messages.encode(name + "Answer", getattr(self, name)(value, self.shards.get(value.get("shard"))))

    def of_sync(self, value, shard):
        fail_if(shard.sync is None or int(value["sync"]) != shard.sync, STALE_SYNC)

    def of_epoch(self, value, shard):
        fail_if(shard.epoch is None or int(value["epoch"]) != shard.epoch, STALE_SYNC)

    def count(self, text):
        self.parsed, self.received = self.parsed + 1, self.received + len(text.encode())

    # ---- hydration
    def SyncShard(self, value, shard):
        if shard.key not in (None, value["key"]): shard.__init__()          # R-A-32
        fail_if(shard.epoch == int(value["epoch"]) and int(value["sync"]) <= shard.sync, STALE_SYNC)
        if shard.epoch != int(value["epoch"]):                # revs of different epochs do not compare
            shard.files = {path: (text, 0, 0) for path, (text, _, _) in shard.files.items() if text is not None}
            shard.absent_rev = 0
        shard.key = value["key"]
        shard.epoch, shard.sync, shard.sync_rev = int(value["epoch"]), int(value["sync"]), int(value["rev"])
        shard.count, shard.manifest, shard.wanted, shard.staged, shard.skipped = value["files"], [], set(), {}, {}
        if value["digest"] is not None and shard.digest == value["digest"] and shard.digest != ZEROS:
            shard.committed = True
            return {"counters": shard.counters()}
        shard.committed = False
        return {"pages": True}

    def SyncPage(self, value, shard):
        self.of_sync(value, shard)
        entries = value["entries"]
        paths = [one["path"].encode() for one in entries]
        before = [shard.manifest[-1].encode()] if shard.manifest else []
        ordered = before + paths
        fail_if(value["first"] != len(shard.manifest) or value["first"] + len(entries) > shard.count
                or any(a >= b for a, b in zip(ordered, ordered[1:])), INVALID)
        wanted = []
        for number, one in enumerate(entries, value["first"]):
            shard.manifest.append(one["path"])
            text, rev, _ = shard.files.get(one["path"], (None, 0, 0))
            if one["hash"] is None or text is None or blake3.content_hash(text) != one["hash"]: wanted.append(number)
            elif rev < shard.sync_rev: shard.files[one["path"]] = text, shard.sync_rev, shard.arrival()
        shard.wanted.update(wanted)
        return {"wanted": runs(wanted)}

    def LoadFiles(self, value, shard):
        self.of_sync(value, shard)
        fail_if(any(one["entry"] >= len(shard.manifest) for one in value["files"]), NOT_IN_MANIFEST)
        symbols = 0
        for one in value["files"]:
            text = one["content"].get("text") if isinstance(one["content"], dict) else None
            if one["entry"] not in shard.staged or int(one["rev"]) > shard.staged[one["entry"]][0]:
                shard.staged[one["entry"]] = int(one["rev"]), text, shard.arrival()
            shard.wanted.discard(one["entry"])
            if isinstance(one["content"], dict) and "skipped" in one["content"]:
                shard.skipped[one["entry"]] = one["content"]["skipped"]
            if text is not None: self.count(text)
            symbols += len(CLASS.findall(text or ""))
        return {"files": len(value["files"]), "symbols": str(symbols)}

    def IndexShard(self, value, shard):
        self.of_sync(value, shard)
        fail_if(len(shard.manifest) < shard.count or shard.wanted, INVALID)
        for entry, (rev, text, arrival) in shard.staged.items():
            _, held, held_since = shard.files.get(shard.manifest[entry], (None, 0, 0))
            if held == 0 or (held, -held_since) < (rev,
                -arrival): shard.files[shard.manifest[entry]] = text, rev, arrival
        named = set(shard.manifest)
        shard.files = {path: one for path, one in shard.files.items() if one[1] > shard.sync_rev
            or path in named and one[0] is not None}
        shard.committed, shard.staged, shard.absent_rev = True, {}, shard.sync_rev
        shard.generation, shard.revision = shard.generation + 1, max(shard.revision, shard.sync_rev)
        shard.digest = blake3.digest([(path, blake3.content_hash(text)) for path, text in shard.present().items()])
        return shard.counters()

    # ---- updates
    def UpdateFile(self, value, shard):
        self.of_epoch(value, shard)
        self.count(value["text"])
        return {"applied": shard.apply(value["path"], int(value["rev"]), value["text"]), "counters": shard.counters()}

    def RemoveFiles(self, value, shard):
        self.of_epoch(value, shard)
        applied = sum(shard.apply(path, int(value["rev"]), None) for path in value["paths"])
        return {"applied": applied, "counters": shard.counters()}

    # ---- queries
    def SearchSymbols(self, value, _):
        numbers = [number for first, count in value["shards"] for number in range(first, first + min(count, 1 << 16))]
        fail_if(any(number not in self.shards for number in numbers), UNKNOWN_SHARD)
        fail_if(value["limit"] > 10000 or len(value["query"]) > 256 or value["kinds"] & ~KNOWN_KINDS, INVALID)
        hits = []
        for number in numbers:
            shard = self.shards[number]
            for path in shard.present():
                for name, line, column in shard.symbols(path):
                    points = score.score(value["query"], name, 1, "", path)
                    if points is not None and value["kinds"] & 2:
                        hits.append({"name": name, "kind": 1, "container": "", "path": path, "line": line,
                            "column": column, "score": points})
        hits.sort(key=score.order_key)
        return {"hits": hits[:value["limit"]], "truncated": len(hits) > value["limit"],
                "warming": runs([number for number in numbers if not self.shards[number].committed])}

    def ListSymbols(self, value, shard):
        files, left, more, after = [], min(value["limit"], 65536), False, value["from"].encode()
        for path in shard.present():
            if path.encode() < after: continue
            found = list(shard.symbols(path))[value["skip"] if path == value["from"] else 0:]
            if found and left == 0: more = True
            if not found or left == 0: continue
            files.append({"path": path, "symbols": [{"name": name, "kind": 1, "container": "", "line": line,
                "column": column} for name, line, column in found[:left]]})
            more, left = more or len(found) > left, left - len(found[:left])
        return {"files": files, "more": more}

    # ---- management
    def GetWorkerStats(self, _value, _shard):
        return {"pid": os.getpid(), "parsed": str(self.parsed), "received": str(self.received),
            "cache": {"state": "off", "loaded": 0, "written": 0, "problem": ""}, "shards": [{"shard": number,
            "counters": shard.counters(), "current": shard.committed, "skipped": len(shard.skipped), "memory": "0",
            "disk": "0"} for number, shard in self.shards.items()], "skipped": [{"shard": number,
            "path": shard.manifest[entry], "reason": reason} for number, shard in self.shards.items()
            for entry, reason in sorted(shard.skipped.items())][:64]}

    def Shutdown(self, _value, _shard):
        return {}


def runs(numbers):
    """Ascending numbers as ranges."""
    found = []
    for number in numbers:
        if found and sum(found[-1]) == number: found[-1][1] += 1
        else: found.append([number, 1])
    return found


def judge(app, shards, token):
    """What a router says to a WorkerHello: None, or the code of Reject (A.2)."""
    value, error = messages.decode("WorkerHello", app)
    if error: return "CLAIM_REFUSED"
    if token is not None and value["token"] != token: return "UNAUTHORIZED"
    if not value["claim"] or any(first + count > shards for first, count in value["claim"]): return "CLAIM_REFUSED"
    return None
