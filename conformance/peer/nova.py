"""Section A in small: a worker that keeps files in dictionaries, a router that checks who wants in, and one that hydrates
a worker and asks it something. It knows one kind of symbol, `class NAME`. Written from PROTOCOL.md alone.

nova.py worker unix:/tmp/r --claim 0-1,5               serves a router until the connection ends
nova.py router unix:/tmp/r --shards 4                  lets workers in, and asks them nothing
nova.py router unix:/tmp/r --shards 2 --files src --query Map    indexes all of src/ in the first worker, prints what it finds
"""
import argparse
import json
import os
import pathlib
import re
import sys
import threading
import time

import blake3
import messages
import peer
import score

INTERNAL, UNIMPLEMENTED, INVALID, UNKNOWN_SHARD, STALE_SYNC, NOT_IN_MANIFEST = 1, 5, 6, 256, 257, 258
METHODS = {0x0100: "SyncShard", 0x0101: "LoadFiles", 0x0102: "IndexShard", 0x0103: "SyncPage", 0x0200: "UpdateFile",
    0x0201: "RemoveFiles", 0x0300: "SearchSymbols", 0x0301: "ListSymbols", 0x0400: "GetWorkerStats", 0x0401: "Shutdown"}
LONGEST_ANSWER = {"SyncPage": 1 << 18, "SearchSymbols": 1 << 24}                 # others: 16 KiB
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
    def __init__(self, claim, token=None):
        self.hello = messages.encode("WorkerHello", {"claim": claim, "token": token, "cached": [], "build": "python"})
        self.shards = {number: Shard() for first, count in claim for number in range(first, first + count)}
        self.parsed = self.received = 0

    def act(self, conn, event, now):
        """Does what an event of the connection asks for."""
        if event[0] == "open" and messages.decode("WorkerWelcome", conn.peer_app)[1]: conn.close("BAD_WELCOME")
        if event[0] != "request": return
        try:
            conn.respond(event[1], self.answer(event[2], event[3]), now)
        except Fault as fault:
            conn.respond_error(event[1], fault.args[0], now=now)

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
        # At most one more than there are: a range may be long.
        asked = [number for first, count in value["shards"] for number in range(first, first + min(count,
            len(self.shards) + 1))]
        fail_if(any(number not in self.shards for number in asked), UNKNOWN_SHARD)
        fail_if(value["limit"] > 10000 or len(value["query"]) > 256 or value["kinds"] & ~KNOWN_KINDS, INVALID)
        hits = []
        for number in asked:
            shard = self.shards[number]
            for path in shard.present():
                for name, line, column in shard.symbols(path):
                    points = score.score(value["query"], name, 1, "", path)
                    if points is not None and value["kinds"] & 2:
                        hits.append({"name": name, "kind": 1, "container": "", "path": path, "line": line,
                            "column": column, "score": points})
        hits.sort(key=score.order_key)
        return {"hits": hits[:value["limit"]], "truncated": len(hits) > value["limit"],
                "warming": runs([number for number in asked if not self.shards[number].committed])}

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


class Router:
    """Lets workers in, and asks them nothing."""

    def __init__(self, shards, token=None):
        self.shards, self.token, self.held, self.lock = shards, token, {}, threading.Lock()

    def act(self, conn, event, now):
        """Does what an event of the connection asks for."""
        if event[0] == "hello":
            why, after = self.judge(conn, event[1])
            if why: conn.reject(why, retry_after_ms=after)
            else: conn.accept(now, messages.encode("WorkerWelcome", {"worker_id": "1", "epoch": "7", "build": "python"}))
        elif event[0] == "closed":
            with self.lock: self.held = {shard: holder for shard, holder in self.held.items() if holder is not conn}

    def judge(self, conn, app):
        """The code of Reject and after how many ms to come again (A.2); no code if the worker may come in."""
        value, error = messages.decode("WorkerHello", app)
        if error: return "CLAIM_REFUSED", 0
        if self.token is not None and value["token"] != self.token: return "UNAUTHORIZED", 0
        if not value["claim"] or any(first + count > self.shards for first, count in value["claim"]):
            return "CLAIM_REFUSED", 0
        claim = numbers(value["claim"])
        with self.lock:
            if any(shard in self.held for shard in claim): return "CLAIM_REFUSED", 1000
            self.held.update((shard, conn) for shard in claim)
        return None, 0


class Indexer(Router):
    """Hydrates the shards of a worker, asks one query, and tells it to end."""

    def __init__(self, shards, token, files, query):
        super().__init__(shards, token)
        self.files, self.query, self.found = files, query, None

    def act(self, conn, event, now):
        super().act(conn, event, now)
        if event[0] == "open":
            self.asking = self.story([shard for shard, holder in self.held.items() if holder is conn])
            self.ask(conn, now, None)
        elif event[0] == "answer":
            _, _, result, body = event
            if result != "ok": sys.exit(f"{self.asked}: {result} {body}")
            value, error = messages.decode(self.asked + "Answer", body)
            if error: sys.exit(f"the answer to {self.asked} does not decode")
            self.ask(conn, now, value)

    def ask(self, conn, now, answer):
        try:
            self.asked, value = self.asking.send(answer)
        except StopIteration as done:
            self.found = done.value
            return conn.close("NORMAL")
        method = next(number for number, name in METHODS.items() if name == self.asked)
        conn.call(method, messages.encode(self.asked, value), LONGEST_ANSWER.get(self.asked, 16384), now)

    def story(self, shards):
        """One request after the other (A.4); what is sent in is its answer. Returns the answer to the query."""
        paths = sorted(self.files, key=str.encode)
        for place, shard in enumerate(shards):
            mine, sync = paths[place::len(shards)], {"shard": shard, "sync": "1"}
            hashes = [blake3.content_hash(self.files[path]) for path in mine]
            answer = yield "SyncShard", sync | {"key": f"{shard:032x}", "epoch": "7", "rev": "1", "files": len(mine),
                "digest": None}
            page = [{"path": path, "hash": one if answer["pages"] else None} for path, one in zip(mine, hashes)]
            answer = yield "SyncPage", sync | {"first": 0, "entries": page}
            yield "LoadFiles", sync | {"files": [{"entry": entry, "rev": "1", "content": {"text":
                self.files[mine[entry]]}} for entry in numbers(answer["wanted"])]}
            counters = yield "IndexShard", sync
            if counters["digest"] != blake3.digest(list(zip(mine, hashes))): sys.exit(f"shard {shard}: another digest")
        found = yield "SearchSymbols", {"shards": runs(sorted(shards)), "query": self.query, "kinds": KNOWN_KINDS,
            "limit": 10}
        yield "Shutdown", {}
        return found


def numbers(ranges):
    return [number for first, count in ranges for number in range(first, first + count)]


def claim_of(text):
    """"0-1,5" -> ranges."""
    pairs = [[int(end) for end in part.split("-")] for part in text.split(",")]
    return [[pair[0], pair[-1] - pair[0] + 1] for pair in pairs]


def serve(role, sock, since, application):
    conn = peer.Connection(role, since, app=application.hello if role == "worker" else b"")
    peer.drive(sock, conn, lambda event, now: application.act(conn, event, now))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", choices=["worker", "router"])
    parser.add_argument("address")
    parser.add_argument("--claim", type=claim_of, help="worker: the shards to hold, like 0-1,5")
    parser.add_argument("--token", help="worker: what to show; router: what to ask for")
    parser.add_argument("--shards", type=int, default=1, help="router: how many there are")
    parser.add_argument("--files", type=pathlib.Path, help="router: a directory of Java files to index")
    parser.add_argument("--query", default="", help="router with --files: what to search for")
    args = parser.parse_args()
    if args.role == "worker":
        since = time.monotonic()
        return serve("worker", peer.connect(args.address), since, Worker(args.claim or [[0, 1]], args.token))
    listener = peer.listen(args.address)
    print("listening at", peer.address_of(listener), flush=True)
    if args.files:
        files = {str(path.relative_to(args.files)): path.read_text() for path in args.files.rglob("*.java")}
        indexer = Indexer(args.shards, args.token, files, args.query)
        serve("router", listener.accept()[0], time.monotonic(), indexer)
        return print(json.dumps(indexer.found)) if indexer.found else sys.exit("the connection ended early")
    router = Router(args.shards, args.token)
    while True:
        sock, _ = listener.accept()
        if not peer.own_user(sock): sock.close(); continue
        threading.Thread(target=serve, args=("router", sock, time.monotonic(), router), daemon=True).start()


if __name__ == "__main__":
    main()
