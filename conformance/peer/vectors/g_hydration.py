"""Sections A.2 to A.5 as conversations: who is let in, hydration, updates, queries. The subject is a whole program."""
import blake3
import messages

from .story import *
from .wire import *

g = Group("hydration", "A worker that is filled, changed and asked; a router that decides who comes in.")
METHOD = dict(SyncShard=0x0100, LoadFiles=0x0101, IndexShard=0x0102, SyncPage=0x0103, UpdateFile=0x0200,
    RemoveFiles=0x0201, SearchSymbols=0x0300, ListSymbols=0x0301, GetWorkerStats=0x0400, Shutdown=0x0401)
KEY = bytes(range(16)).hex()
NOVA = {"claim": [[0, 2], [5, 1]], "token": None}
WELCOME_APP = messages.encode("WorkerWelcome", {"worker_id": "1", "epoch": "7", "build": "router"})
W = Preset("worker", variant="nova", application="nova", nova=NOVA, peer_app=WELCOME_APP)
W_NEW = Preset("worker", "new", variant="nova", application="nova", nova=NOVA, peer_app=WELCOME_APP)
UNKNOWN_SHARD, STALE_SYNC, NOT_IN_MANIFEST, INVALID = 256, 257, 258, 6
A, B_, C = "class Alpha {}\n", "class Beta {}\n", "class Gamma {}\n"


class Talk:
    """Requests of a router, with ids that count up, and the answers that must come."""
    def __init__(self):
        self.id, self.steps = 0, []

    def send(self, method, body, expected, reply_max=300000):
        self.id += 2
        made = request(self.id, body, method=method, reply_max=reply_max)
        name = next((name for name, number in METHOD.items() if number == method), hex(method))
        made.diag = f"Request {self.id}: {name}"
        self.steps.append(rx(made, tx=[expected | {"id": str(self.id)}]))
        return self

    def ask(self, name, value, answer=None, error=None, **more):
        expected = {"frame": "Error", "code": error, "retry": 0} if error else {"frame": "Response",
            "message_name": name + "Answer", "message_value": answer or {}}
        return self.send(METHOD[name], messages.encode(name, value), expected, **more)

    def raw(self, name, body, error):
        return self.send(METHOD[name], body, {"frame": "Error", "code": error, "retry": 0})

    def sync(self, sync=1, files=2, rev=10, epoch=7, shard=0, digest=None, key=KEY, **more):
        if "error" not in more: more.setdefault("answer", {})
        return self.ask("SyncShard", {"shard": shard, "key": key, "epoch": str(epoch), "sync": str(sync),
            "rev": str(rev), "files": files, "digest": digest}, **more)

    def page(self, *paths, sync=1, first=0, wanted=None, shard=0, hashes=None, **more):
        entries = [{"path": path, "hash": (hashes or {}).get(path)} for path in paths]
        if "error" not in more: more["answer"] = {} if wanted is None else {"wanted": wanted}
        return self.ask("SyncPage", {"shard": shard, "sync": str(sync), "first": first, "entries": entries}, **more)

    def load(self, *files, sync=1, shard=0, **more):
        made = [{"entry": entry, "rev": str(rev), "content": content if content == "gone" else
            {"skipped": content[8:]} if content.startswith("skipped:") else {"text": content}} for entry, rev, content in files]
        return self.ask("LoadFiles", {"shard": shard, "sync": str(sync), "files": made}, **more)

    def index(self, sync=1, shard=0, **more):
        return self.ask("IndexShard", {"shard": shard, "sync": str(sync)}, **more)

    def update(self, path, text, rev=20, epoch=7, shard=0, **more):
        return self.ask("UpdateFile", {"shard": shard, "epoch": str(epoch), "rev": str(rev), "path": path,
            "text": text}, **more)

    def remove(self, *paths, rev=20, epoch=7, shard=0, **more):
        return self.ask("RemoveFiles", {"shard": shard, "epoch": str(epoch), "rev": str(rev), "paths": list(paths)},
            **more)

    def files(self, *paths, shard=0):
        """What ListSymbols must show: these files, each with its one class."""
        return self.ask("ListSymbols", {"shard": shard, "from": "", "skip": 0, "limit": 1000}, {"files": [
            {"path": path, "symbols": [{"name": name}]} for path, name in paths], "more": False})

    def search(self, query, hits, shards=((0, 1),), warming=(), limit=100, kinds=4095, truncated=False, **more):
        if "error" not in more: more["answer"] = {"hits": [{"name": name} for name in hits], "truncated": truncated,
            "warming": [list(one) for one in warming]}
        return self.ask("SearchSymbols", {"shards": [list(one) for one in shards], "query": query, "kinds": kinds,
            "limit": limit}, **more)

    def filled(self):
        """Shard 0 holds A.java and B.java, of sync 1, rev 10."""
        return self.sync().page("A.java", "B.java", wanted=[[0, 2]]).load((0, 10, A),
            (1, 10, B_)).index(answer={"files": 2, "digest": digest(("A.java", A), ("B.java", B_))})


def digest(*files):
    return blake3.digest([(path, blake3.content_hash(text)) for path, text in files])


def talk(name, about, covered, made, class_="positive", preset=W):
    g.case(name, about, preset, class_, covered, made.steps, requires="nova")


# ---- who is let in
def hello_app(**fields):
    return messages.encode("WorkerHello", {"claim": [[0, 2]], "token": None, "cached": [], "build": "test"} | fields)


def router(name, about, covered, app, code=None, token=None, class_="invalid"):
    preset = Preset("router", "new", variant="nova" + ("-token" if token else ""), application="nova",
        nova={"shards": 4, "token": token})
    tx = [{"frame": "Welcome", "message_name": "WorkerWelcome", "message_value": {}}]
    step_ = rx(preface(), hello(app=app), tx=None if code else tx, ev=None if code else [e_open()],
        end=end(code, wire="reject") if code else None)
    g.case(name, about, preset, class_ if code else "positive", covered, [step_], requires="nova")


router("hello-accepted", "A worker that claims free shards is let in.", "A-1+ A-3+ A-4+ 8-30+", hello_app())
router("hello-all-shards", "A claim of all shards.", "A-4+", hello_app(claim=[[0, 4]]))
router("hello-two-ranges", "A claim of two ranges.", "A-4+", hello_app(claim=[[0, 1], [3, 1]]))
router("hello-empty-app", "An empty application part is no WorkerHello.", "A-1- 8-30-", b"", "CLAIM_REFUSED")
router("hello-cut", "A WorkerHello that is cut.", "A-1-", hello_app()[:-1], "CLAIM_REFUSED")
router("hello-trailing", "A WorkerHello with a byte behind it.", "A-1-", hello_app() + b"\0", "CLAIM_REFUSED")
router("hello-padded", "A WorkerHello that is not canonical.", "A-1- A-9-", b"\x81\0" + hello_app()[1:],
    "CLAIM_REFUSED")
router("hello-text", "An application part of another program.", "A-1-", b"hello, router", "CLAIM_REFUSED")
router("hello-empty-claim", "An empty claim, as a worker of minor 3.1 may send.", "A-3-", hello_app(claim=[]),
    "CLAIM_REFUSED")
router("hello-shard-beyond", "A claim of a shard that does not exist.", "A-4-", hello_app(claim=[[4, 1]]),
    "CLAIM_REFUSED")
router("hello-range-beyond", "A claim whose last shard does not exist: all of it is refused.", "A-4-",
    hello_app(claim=[[3, 2]]), "CLAIM_REFUSED")
router("hello-huge-claim", "A claim of 2^32 - 1 shards is refused, not counted out.", "A-4- 4-12-",
    hello_app(claim=[[0, 2 ** 32 - 1]]), "CLAIM_REFUSED")
router("hello-cached-does-not-count", "What a worker says of its cache changes nothing in the router.", "A-7- A-7+",
    hello_app(cached=[{"shard": 0, "revision": str(2 ** 64 - 1), "generation": str(2 ** 64 - 1),
    "symbols": str(2 ** 64 - 1), "digest": "ff" * 16}, {"shard": 999, "revision": "1", "generation": "1",
    "symbols": "1", "digest": "00" * 16}]))
router("token-right", "The right token.", "A-2+ 8-29+ 24-6+", hello_app(token="secret"), token="secret")
router("token-missing", "No token where one is asked for.", "A-2- 8-29- 24-6-", hello_app(), "UNAUTHORIZED",
    token="secret")
for name, value in (("wrong", "Secret"), ("prefix", "secre"), ("suffix", "secrets"), ("empty", ""), ("nul", "secret\0"),
    ("long", "s" * 1024)):
    router(f"token-{name}", f"A wrong token: {name}.", "A-2- 8-29-", hello_app(token=value), "UNAUTHORIZED",
        token="secret")
router("token-before-claim", "A wrong token and a claim that must be refused: the token comes first.", "A-2-",
    hello_app(token="wrong", claim=[[9, 1]]), "UNAUTHORIZED", token="secret")
router("token-before-empty-claim", "A wrong token and an empty claim: the token comes first.", "A-2-",
    hello_app(token="wrong", claim=[]), "UNAUTHORIZED", token="secret")
router("token-not-asked", "A token where none is asked for does not matter.", "A-2+", hello_app(token="whatever"))
g.case("welcome-right", "A worker takes a WorkerWelcome.", W_NEW, "positive", "A-9+ A-36+",
    [rx(preface(), welcome(app=WELCOME_APP), ev=[e_open()]), alive()], requires="nova")
for name, app, about in (("undecodable", b"\xff", "that does not decode"), ("empty", b"", "of no bytes"),
    ("cut", WELCOME_APP[:-1], "without its last byte"), ("trailing", WELCOME_APP + b"\0", "with a byte behind it"),
    ("padded", b"\x81\0" + WELCOME_APP[1:], "that is not canonical")):
    g.case(f"welcome-{name}", f"A WorkerWelcome {about}.", W_NEW, "malformed", "A-36-",
        [rx(preface(), welcome(app=app), ev=[may(e_open())], end=end("BAD_WELCOME"))], requires="nova")

# ---- hydration in order
talk("cold-start", "Manifest, contents, commit: the index has the digest of the texts.",
    "A-13+ A-14+ A-15+ A-18+ A-19+ A-25+", Talk().filled().files(("A.java", "Alpha"), ("B.java", "Beta")))
talk("empty-shard", "A shard without files is committed at once.", "A-19+",
    Talk().sync(files=0).index(answer={"files": 0, "digest": digest()}).search("A", []))
talk("warm-start", "A second sync with the digest that the worker has: it is current, and no pages are sent.", "A-17+",
    Talk().filled().sync(sync=2, rev=11, digest=digest(("A.java", A), ("B.java", B_)),
    answer={"counters": {"files": 2, "digest": digest(("A.java", A), ("B.java", B_))}}).search("Alpha", ["Alpha"]))
talk("other-digest", "A sync with a digest that the worker does not have: send pages.", "A-17+",
    Talk().filled().sync(sync=2, rev=11, digest="ee" * 16, answer={"pages": True}))
talk("page-with-known-hashes", "The second sync names hashes: only what differs is wanted.", "A-21+ A-25+",
    Talk().filled().sync(sync=2, rev=11).page("A.java", "B.java", sync=2,
    hashes={"A.java": blake3.content_hash(A), "B.java": blake3.content_hash(C)}, wanted=[[1, 1]]).load((1, 11, C),
    sync=2).index(sync=2, answer={"files": 2, "digest": digest(("A.java", A), ("B.java", C))}) .files(("A.java",
    "Alpha"), ("B.java", "Gamma")))
talk("pages-three", "A manifest in three pages, with the second one empty.", "A-18+",
    Talk().sync(files=3).page("A.java").page(first=1).page("B.java", "C.java", first=1).load((0, 10, A), (1, 10, B_),
    (2, 10, C)) .index(answer={"files": 3}))
talk("batches-any-order", "Batches in any order, and one of them twice: the same digest.", "A-13+",
    Talk().sync(files=3).page("A.java", "B.java", "C.java").load((2, 10, C)).load((0, 10, A),
    (1, 10, B_)).load((2, 10, C)) .index(answer={"files": 3,
    "digest": digest(("A.java", A), ("B.java", B_), ("C.java", C))}))
talk("batch-while-pages-come", "Contents of a page that has come may be sent before the next page.", "A-13+ A-14+",
    Talk().sync().page("A.java").load((0, 10, A)).page("B.java", first=1).load((1, 10, B_)).index(answer={"files": 2}))
talk("empty-batch", "A batch of nothing.", "A-13+", Talk().sync().page("A.java").load().load((0, 10, A)))
talk("shard-by-shard", "Two shards do not know of each other.", "A-8+ A-15+",
    Talk().filled().sync(shard=5, sync=9, files=1).page("A.java", shard=5, sync=9).load((0, 10, C), shard=5,
    sync=9).index(shard=5, sync=9, answer={"files": 1}) .files(("A.java", "Gamma"), shard=5).files(("A.java", "Alpha"),
    ("B.java", "Beta")))
talk("gone-entry", "An entry that is gone is not in the index.", "A-13+",
    Talk().sync().page("A.java", "B.java").load((0, 10, "gone"),
    (1, 10, B_)).index(answer={"files": 1}).files(("B.java", "Beta")))
talk("strange-text", "A text that is no program does not make the commit fail.", "A-23+",
    Talk().sync().page("A.java", "B.java").load((0, 10, "\0class { } } {{ \uffff \U0001f600"),
    (1, 10, B_)).index().search("Beta", ["Beta"]))
talk("wrong-hash-in-manifest", "The manifest names a hash that the text does not have: the text's own counts.", "A-25+",
    Talk().sync(files=1).page("A.java", hashes={"A.java": "ab" * 16}).load((0, 10,
    A)) .index(answer={"digest": digest(("A.java", A))}))
talk("path-order-by-bytes", "Paths are sorted by their bytes: Z before a before ä.", "A-18+",
    Talk().sync(files=3).page("Z.java", "a.java", "ä.java").load((0, 10, A), (1, 10, B_),
    (2, 10, C)).index(answer={"files": 3}))
talk("path-order-utf16", "By bytes, not by UTF-16 units: U+FFFF before U+10000.", "A-18+",
    Talk().sync(files=2).page("\uffff", "\U00010000").load((0, 10, A), (1, 10, B_)).index())

# ---- hydration out of order
talk("page-of-no-sync", "A page before any SyncShard.", "A-15-", Talk().page("A.java", error=STALE_SYNC), "invalid")
talk("load-of-no-sync", "A batch before any SyncShard.", "A-15-", Talk().load((0, 1, A), error=STALE_SYNC), "invalid")
talk("index-of-no-sync", "A commit before any SyncShard.", "A-15-", Talk().index(error=STALE_SYNC), "invalid")
talk("page-of-old-sync", "A page of a sync that was superseded.", "A-15- A-17+",
    Talk().sync().sync(sync=2).page("A.java", error=STALE_SYNC).page("A.java", sync=2), "invalid")
talk("load-of-old-sync", "A batch of a sync that was superseded.", "A-15- A-17+",
    Talk().sync().page("A.java", "B.java").sync(sync=2).load((0, 10, A), error=STALE_SYNC), "invalid")
talk("index-of-old-sync", "A commit of a sync that was superseded.", "A-15- A-17+",
    Talk().sync(files=0).sync(sync=2, files=0).index(error=STALE_SYNC).index(sync=2), "invalid")
talk("page-of-future-sync", "A page of a sync that has not begun.", "A-15-",
    Talk().sync().page("A.java", sync=2, error=STALE_SYNC), "invalid")
talk("sync-discards-staged", "A new sync discards what an older one has staged: its contents are wanted again.",
    "A-17+", Talk().sync().page("A.java", "B.java").load((0, 10, A), (1, 10, B_)).sync(sync=2) .page("A.java", "B.java",
    sync=2, wanted=[[0, 2]]).index(sync=2, error=INVALID), "invalid")
talk("page-gap", "A page that leaves a gap.", "A-18-", Talk().sync(files=3).page("A.java").page("C.java", first=2,
    error=INVALID).page("B.java", "C.java", first=1), "invalid")
talk("page-again", "A page that was sent already.", "A-18-",
    Talk().sync(files=3).page("A.java").page("A.java", error=INVALID), "invalid")
talk("page-unsorted", "A page that is not sorted.", "A-18-", Talk().sync().page("B.java", "A.java", error=INVALID),
    "invalid")
talk("page-unsorted-across", "Two pages that are not sorted together.", "A-18-",
    Talk().sync().page("B.java").page("A.java", first=1, error=INVALID), "invalid")
talk("page-path-twice", "The same path twice.", "A-18-", Talk().sync().page("A.java", "A.java", error=INVALID),
    "invalid")
talk("page-beyond-count", "A page with more entries than were announced.", "A-18-",
    Talk().sync(files=1).page("A.java", "B.java", error=INVALID), "invalid")
talk("page-beyond-zero", "A page where no files were announced.", "A-18-",
    Talk().sync(files=0).page("A.java", error=INVALID), "invalid")
talk("load-not-in-manifest", "An entry that is not in the manifest: nothing of the batch is taken.", "A-14-",
    Talk().sync().page("A.java", "B.java").load((0, 10, A), (2, 10, C),
    error=NOT_IN_MANIFEST).load((1, 10, B_)).index(error=INVALID) .load((0, 10, A)).index(answer={"files": 2}),
    "invalid")
talk("load-highest-entry", "The highest entry number there is.", "A-14-",
    Talk().sync().page("A.java", "B.java").load((2 ** 32 - 1, 10, A), error=NOT_IN_MANIFEST), "invalid")
talk("commit-without-pages", "A commit while pages are lacking.", "A-19-",
    Talk().sync().page("A.java").load((0, 10, A)).index(error=INVALID).page("B.java",
    first=1).load((1, 10, B_)).index(answer={"files": 2}), "invalid")
talk("commit-without-files", "A commit while wanted files are lacking.", "A-19-",
    Talk().sync().page("A.java", "B.java").load((0, 10, A)).index(error=INVALID).load((1, 10,
    B_)).index(answer={"files": 2}), "invalid")
talk("failed-commit-changes-nothing", "A commit that fails leaves the index as it was.", "A-19- A-24+",
    Talk().filled().sync(sync=2, files=1).page("C.java", sync=2).index(sync=2, error=INVALID).files(("A.java", "Alpha"),
    ("B.java", "Beta")), "invalid")

# ---- revs
talk("commit-removes-unnamed", "A commit removes files that the manifest does not name.", "A-21+",
    Talk().filled().sync(sync=2, files=1, rev=11).page("A.java", sync=2).load((0, 11, A), sync=2).index(sync=2,
    answer={"files": 1}).files(("A.java", "Alpha")))
talk("commit-keeps-newer", "A file that the manifest does not name stays if its rev is above that of the SyncShard.",
    "A-21+ A-20+", Talk().filled().sync(sync=2, files=1, rev=11).page("A.java", sync=2).update("C.java", C,
    rev=12) .load((0, 11, A), sync=2).index(sync=2, answer={"files": 2}).files(("A.java", "Alpha"),
    ("C.java", "Gamma")))
talk("update-newer-than-entry", "An update during a sync has a higher rev than the entry that comes later: the "
    "update wins.", "A-20+", Talk().sync().page("A.java", "B.java").update("A.java", C, rev=11).load((0, 10, A),
    (1, 10, B_)).index() .files(("A.java", "Gamma"), ("B.java", "Beta")))
talk("entry-newer-than-update", "An entry with a higher rev than an update that came before: the entry wins.", "A-20+",
    Talk().filled().update("A.java", C, rev=11).sync(sync=2, rev=13).page("A.java", "B.java", sync=2).load((0, 13, A),
    (1, 13, B_), sync=2) .index(sync=2).files(("A.java", "Alpha"), ("B.java", "Beta")))
talk("tombstone-against-late-entry", "A removal during a sync has a higher rev than the entry that comes later: the "
    "file does not come back.", "A-22+ A-20+", Talk().sync().page("A.java", "B.java").remove("A.java",
    rev=11).load((0, 10, A), (1, 10, B_)).index(answer={"files": 1}) .files(("B.java", "Beta")))
talk("entry-newer-than-removal", "An entry with a higher rev than a removal brings the file back.", "A-22+ A-20+",
    Talk().sync(rev=12).page("A.java", "B.java").remove("A.java", rev=11).load((0, 12, A),
    (1, 12, B_)).index(answer={"files": 2}))
talk("update-older-is-not-applied", "An update with a lower rev than the file's.", "A-20+",
    Talk().filled().update("A.java", C, rev=9, answer={"applied": 0}).files(("A.java", "Alpha"), ("B.java", "Beta")))
talk("updates-in-wrong-order", "Two updates whose revs come in the wrong order: the higher one wins.", "A-20+",
    Talk().filled().update("A.java", C, rev=22, answer={"applied": 1}).update("A.java", B_, rev=21,
    answer={"applied": 0}).files(("A.java", "Gamma"), ("B.java", "Beta")))
talk("remove-older-is-not-applied", "A removal with a lower rev than the file's.", "A-20+",
    Talk().filled().update("A.java", C, rev=22).remove("A.java", rev=21,
    answer={"applied": 0}).files(("A.java", "Gamma"), ("B.java", "Beta")))
talk("remove-then-older-update", "An update that is older than a removal does not bring the file back.", "A-20+ A-22+",
    Talk().filled().remove("A.java", rev=22, answer={"applied": 1}).update("A.java", C, rev=21,
    answer={"applied": 0}).files(("B.java", "Beta")))
talk("update-new-file", "An update of a file that is not there adds it.", "A-20+",
    Talk().filled().update("C.java", C, answer={"applied": 1,
    "counters": {"files": 3, "digest": "00" * 16}}).search("Gamma", ["Gamma"]))
talk("update-other-epoch", "A change of another epoch.", "A-16-",
    Talk().filled().update("A.java", C, epoch=8, error=STALE_SYNC).files(("A.java", "Alpha"), ("B.java", "Beta")),
    "invalid")
talk("remove-other-epoch", "A removal of another epoch.", "A-16-",
    Talk().filled().remove("A.java", epoch=6, error=STALE_SYNC).files(("A.java", "Alpha"), ("B.java", "Beta")),
    "invalid")
talk("update-before-sync", "A change before any SyncShard: the shard has no epoch.", "A-16-",
    Talk().update("A.java", A, error=STALE_SYNC), "invalid")
talk("epoch-changes-with-sync", "A SyncShard of a new epoch makes changes of the old one stale.", "A-16- A-16+",
    Talk().filled().sync(sync=2, epoch=8).update("A.java", C, error=STALE_SYNC).update("A.java", C, rev=21, epoch=8),
    "invalid")

# ---- revs that are equal, and revs of what is kept or absent
talk("update-equal-rev", "Two updates of the same rev: the first one stays.", "A-39+ A-39-",
    Talk().filled().update("A.java", C, rev=22, answer={"applied": 1}).update("A.java", B_, rev=22,
    answer={"applied": 0}).files(("A.java", "Gamma"), ("B.java", "Beta")))
talk("remove-equal-rev", "A removal with the rev of an update that came before: the update stays.", "A-39+ A-39-",
    Talk().filled().update("A.java", C, rev=22).remove("A.java", rev=22, answer={"applied": 0}).files(("A.java",
    "Gamma"),
    ("B.java", "Beta")))
talk("update-equal-rev-of-removal", "An update with the rev of a removal that came before: the file stays gone.",
    "A-39+ A-39-", Talk().filled().remove("A.java", rev=22).update("A.java", C, rev=22,
    answer={"applied": 0}).files(("B.java", "Beta")))
talk("entry-equal-rev-of-update", "An entry with the rev of an update that came before it: the update stays.",
    "A-39+ A-39-", Talk().sync(rev=12).page("A.java", "B.java").update("A.java", C, rev=12).load((0, 12, A),
    (1, 12, B_)).index().files(("A.java", "Gamma"), ("B.java", "Beta")))
talk("entry-kept-has-rev-of-sync", "A file that is kept because its hash fits has the rev of its SyncShard: an update "
    "below it is not applied.", "A-20+", Talk().filled().sync(sync=2, rev=30).page("A.java", "B.java", sync=2,
    hashes={"A.java": blake3.content_hash(A), "B.java": blake3.content_hash(B_)}, wanted=[]).index(sync=2)
    .update("A.java", C, rev=25, answer={"applied": 0}).files(("A.java", "Alpha"), ("B.java", "Beta")))
talk("absence-has-rev-of-sync", "So has the absence of a path that the manifest does not name.", "A-20+ A-21+",
    Talk().filled().sync(sync=2, rev=30, files=1).page("A.java", sync=2).load((0, 30, A), sync=2).index(sync=2)
    .update("B.java", C, rev=25, answer={"applied": 0}).files(("A.java", "Alpha")).update("B.java", C, rev=31,
    answer={"applied": 1}).files(("A.java", "Alpha"), ("B.java", "Gamma")))
talk("tombstone-outlives-commit", "A removal above the rev of the SyncShard counts behind the commit as well.",
    "A-20+ A-22+", Talk().sync().page("A.java", "B.java").remove("C.java", rev=25).load((0, 10, A), (1, 10, B_)).index()
    .update("C.java", C, rev=22, answer={"applied": 0}).files(("A.java", "Alpha"), ("B.java", "Beta")))

# ---- syncs that are not above the latest
talk("sync-again", "A SyncShard with the number of the latest one: it fails, and the latest goes on.", "A-38-",
    Talk().sync().page("A.java", "B.java").sync(error=STALE_SYNC).load((0, 10, A), (1, 10,
    B_)).index(answer={"files": 2}),
    "invalid")
talk("sync-lower", "A SyncShard with a number below the latest.", "A-38-",
    Talk().sync(sync=5).page("A.java", "B.java", sync=5).sync(sync=4, error=STALE_SYNC).load((0, 10, A), (1, 10, B_),
    sync=5).index(sync=5, answer={"files": 2}), "invalid")
talk("sync-again-after-commit", "The number of a sync that was committed: the shard stays committed.", "A-38-",
    Talk().filled().sync(error=STALE_SYNC).search("Alpha", ["Alpha"]), "invalid")
talk("sync-with-gap", "Numbers of syncs may have gaps.", "A-38+",
    Talk().sync().sync(sync=2 ** 63, files=0).index(sync=2 ** 63, answer={"files": 0}))
talk("sync-lower-of-new-epoch", "In a new epoch any number will do.", "A-38+",
    Talk().sync(sync=5, files=0).index(sync=5).sync(sync=1, epoch=8, files=0).index(sync=1, answer={"files": 0}))
talk("sync-of-other-shard", "Each shard has its own latest sync.", "A-38+",
    Talk().sync(sync=5, files=0).sync(sync=1, shard=1, files=0).index(sync=1, shard=1).index(sync=5))

# ---- another key
OTHER_KEY = bytes(range(1, 17)).hex()
talk("other-key", "SyncShard names another key: what the worker holds is absent, its digest does not help.",
    "A-32+ A-32-",
    Talk().filled().sync(sync=2, key=OTHER_KEY, digest=digest(("A.java", A), ("B.java", B_)),
    answer={}).files())
talk("other-key-hashes", "Nor do the hashes of its files: all of them are wanted.", "A-32+ A-32-",
    Talk().filled().sync(sync=2, key=OTHER_KEY).page("A.java", "B.java", sync=2,
    hashes={"A.java": blake3.content_hash(A),
    "B.java": blake3.content_hash(B_)}, wanted=[[0, 2]]))
talk("other-key-search", "Searches find nothing of the former shard, which is warming.", "A-32+ A-26+",
    Talk().filled().sync(sync=2, key=OTHER_KEY).search("Alpha", [], warming=((0, 1),)))
talk("other-key-new-files", "It is filled like a new one.", "A-32+", Talk().filled().sync(sync=2, key=OTHER_KEY,
    files=1)
    .page("C.java", sync=2, wanted=[[0, 1]]).load((0, 10, C), sync=2).index(sync=2, answer={"files": 1,
    "digest": digest(("C.java", C))}).files(("C.java", "Gamma")))
talk("same-key", "The same key: what the worker holds counts.", "A-32+", Talk().filled().sync(sync=2, key=KEY)
    .search("Alpha", ["Alpha"], warming=((0, 1),)))

# ---- shards, bodies, methods
for name, value in (("SyncShard", {"shard": 3, "key": KEY, "epoch": "7", "sync": "1", "rev": "1", "files": 0,
    "digest": None}), ("SyncPage", {"shard": 3, "sync": "1", "first": 0, "entries": []}),
    ("LoadFiles", {"shard": 3, "sync": "1", "files": []}), ("IndexShard", {"shard": 3, "sync": "1"}),
    ("UpdateFile", {"shard": 3, "epoch": "7", "rev": "1", "path": "a", "text": ""}),
    ("RemoveFiles", {"shard": 3, "epoch": "7", "rev": "1", "paths": []}),
    ("SearchSymbols", {"shards": [[3, 1]], "query": "a", "kinds": 4095, "limit": 10}),
    ("ListSymbols", {"shard": 3, "from": "", "skip": 0, "limit": 10})):
    slug = "".join("-" + c.lower() if c.isupper() else c for c in name).strip("-")
    talk(f"unknown-shard-{slug}", f"{name} of a shard that this worker does not hold.", "A-8-",
        Talk().ask(name, value, error=UNKNOWN_SHARD), "invalid")
    talk(f"trailing-{slug}", f"{name} with a byte behind its last field.", "A-9- 20-6-",
        Talk().raw(name, messages.encode(name, value) + b"\0", INVALID), "malformed")
    talk(f"cut-{slug}", f"{name} without its last byte.", "A-9- 20-6-",
        Talk().raw(name, messages.encode(name, value)[:-1], INVALID), "malformed")
    talk(f"empty-{slug}", f"{name} with an empty body.", "A-9-", Talk().raw(name, b"", INVALID), "malformed")
talk("search-one-shard-unknown", "A search over shards of which one is not held.", "A-8-",
    Talk().filled().search("A", [], shards=((0, 3),), error=UNKNOWN_SHARD), "invalid")
talk("search-huge-range", "A search over 2^32 - 1 shards is refused, not counted out.", "A-8- 4-12-",
    Talk().search("A", [], shards=((0, 2 ** 32 - 1),), error=UNKNOWN_SHARD), "invalid")
talk("stats-with-body", "GetWorkerStats with a body.", "A-9-", Talk().raw("GetWorkerStats", b"\0", INVALID),
    "malformed")
for number in (0x0000, 0x00FF, 0x0104, 0x0202, 0x0302, 0x0402, 0x0500, 0x0501, 0x0502, 0x0503, 0x7FFF, 0x8000, 0xFFFF):
    reserved = number in (0x0500, 0x0501, 0x0502)
    talk(f"method-{number:04x}", f"Method {number:#06x} is {'reserved' if reserved else 'unknown'}.", "20-5- A-34-",
        Talk().send(number, b"", {"frame": "Error", "code": 5, "retry": 0}), "invalid")

# ---- queries
talk("search", "A search finds by name.", "A-27+ A-28+", Talk().filled().search("Alpha", ["Alpha"]).search("beta",
    ["Beta"]).search("a", ["Alpha", "Beta"]).search("zzz", []))
talk("search-order", "Hits stand in the order of their scores: the exact name before the longer one.", "A-28+",
    Talk().sync().page("A.java", "B.java").load((0, 10, "class Alphabet {}"),
    (1, 10, "class Alpha {}")).index().search("Alpha", ["Alpha", "Alphabet"]))
talk("search-limit", "A limit of one: the first hit, and truncated.", "A-29+",
    Talk().filled().search("a", ["Alpha"], limit=1, truncated=True))
talk("search-limit-exact", "A limit of as many as there are: not truncated.", "A-29+",
    Talk().filled().search("a", ["Alpha", "Beta"], limit=2))
talk("search-limit-largest", "The largest limit.", "A-11+", Talk().filled().search("Alpha", ["Alpha"], limit=10000))
talk("search-limit-too-large", "A limit of 10,001.", "A-11-",
    Talk().filled().search("Alpha", [], limit=10001, error=INVALID), "invalid")
talk("search-query-longest", "A query of 256 characters of four bytes each.", "A-11+",
    Talk().filled().search("😀" * 256, []))
talk("search-query-too-long", "A query of 257 characters.", "A-11-",
    Talk().filled().search("a" * 257, [], error=INVALID), "invalid")
talk("search-kinds-all", "All twelve kinds.", "A-11+", Talk().filled().search("Alpha", ["Alpha"], kinds=0x0FFF))
talk("search-kinds-unknown", "A bit for a kind that does not exist.", "A-11-",
    Talk().filled().search("Alpha", [], kinds=0x1FFF, error=INVALID), "invalid")
talk("search-kinds-highest", "The highest bit alone.", "A-11-",
    Talk().filled().search("Alpha", [], kinds=0x8000, error=INVALID), "invalid")
talk("search-kinds-others", "Kinds that this name does not have.", "A-11+",
    Talk().filled().search("Alpha", [], kinds=0x0FFF & ~2))
talk("search-kinds-none", "No kind is asked for: nothing is found, and nothing is cut off.", "A-40+ A-40- A-11+",
    Talk().filled().search("Alpha", [], kinds=0).search("", [], kinds=0))
talk("search-kinds-own", "The kind of this name alone.", "A-40+", Talk().filled().search("Alpha", ["Alpha"], kinds=2))
talk("search-prefix-before-other-case", "What fits comes before what fits in another case only.", "A-28+ A-27+",
    Talk().sync().page("A.java", "B.java").load((0, 10, "class alphabeta {}"), (1, 10, "class AlphaBeta {}")).index()
    .search("AlphaB", ["AlphaBeta", "alphabeta"]))
talk("search-ties-of-case", "Between equal names the case of letters decides.", "A-28+ A-27+",
    Talk().sync().page("A.java", "B.java").load((0, 10, "class alpha {}"), (1, 10, "class Alpha {}")).index()
    .search("alpha", ["alpha", "Alpha"]).search("Alpha", ["Alpha", "alpha"]))
talk("search-places", "Code before what is internal, and that before tests.", "A-28+ A-27+",
    Talk().sync(files=3).page("internal/A.java", "main/A.java", "test/A.java").load((0, 10, A), (1, 10, A),
    (2, 10, A)).index().ask("SearchSymbols", {"shards": [[0, 1]], "query": "Alpha", "kinds": 4095, "limit": 10},
    {"hits": [{"path": "main/A.java"}, {"path": "internal/A.java"}, {"path": "test/A.java"}]}))
talk("search-form", "A query is brought to its form first: type arguments, and a line.", "A-27+",
    Talk().filled().search(" Alpha<T> :12", ["Alpha"]).search("Alpha.java:3:4", ["Alpha"]))
talk("search-form-of-others", "A query for methods, or for annotations, finds no class.", "A-27+",
    Talk().filled().search("Alpha(", []).search("@Alpha", []))
talk("search-warming", "A shard that was never committed is warming; the other answers.", "A-26+",
    Talk().filled().search("Alpha", ["Alpha"], shards=((0, 2),), warming=((1, 1),)))
talk("search-warming-again", "A shard that was not committed since its last SyncShard is warming, and still answers "
    "from what it has.", "A-26+", Talk().filled().sync(sync=2).search("Alpha", ["Alpha"], warming=((0, 1),)))
talk("search-not-warming-after-current", "A shard whose index is current is not warming.", "A-26+",
    Talk().filled().sync(sync=2, digest=digest(("A.java", A), ("B.java", B_))).search("Alpha", ["Alpha"]))
LONG = "class One {}\nclass Two {}\nclass Three {}\n"


def listed(talk_, from_, skip, limit, files, more):
    return talk_.ask("ListSymbols", {"shard": 0, "from": from_, "skip": skip, "limit": limit},
        {"files": [{"path": path, "symbols": [{"name": name} for name in names]} for path, names in files],
        "more": more})


def three():
    return Talk().sync().page("A.java", "B.java").load((0, 10, LONG), (1, 10, A)).index()


talk("list-all", "All symbols of a shard.", "A-12+", listed(three(), "", 0, 100,
    [("A.java", ["One", "Two", "Three"]), ("B.java", ["Alpha"])], False))
talk("list-pages", "Two at a time.", "A-12+", listed(listed(three(), "", 0, 2, [("A.java", ["One", "Two"])], True),
    "A.java", 2, 2, [("A.java", ["Three"]), ("B.java", ["Alpha"])], False))
talk("list-skip-all-of-file", "Behind the last symbol of a file: the next file.", "A-12+",
    listed(three(), "A.java", 3, 100, [("B.java", ["Alpha"])], False))
talk("list-skip-too-many", "More to skip than the file has: the next file.", "A-12+",
    listed(three(), "A.java", 99, 100, [("B.java", ["Alpha"])], False))
talk("list-from-between", "From a path that is not there: the first file behind it.", "A-12+",
    listed(three(), "AB.java", 5, 100, [("B.java", ["Alpha"])], False))
talk("list-limit-beyond-page", "A limit above the 65,536 symbols of a page is no error.", "A-12+",
    listed(three(), "", 0, 2 ** 32 - 1, [("A.java", ["One", "Two", "Three"]), ("B.java", ["Alpha"])], False))
talk("list-behind-last", "Behind the last file.", "A-12+", listed(three(), "C.java", 0, 100, [], False))
talk("list-exact", "As many as there are: no more.", "A-12+",
    listed(three(), "", 0, 4, [("A.java", ["One", "Two", "Three"]), ("B.java", ["Alpha"])], False))
talk("stats", "GetWorkerStats.", "A-9+ A-34+", Talk().filled().ask("GetWorkerStats", {}))
talk("stats-counts", "What was parsed and received since the start, and what each shard holds.", "A-9+ A-35+",
    Talk().filled().ask("GetWorkerStats", {}, {"parsed": "2", "received": str(len(A + B_)), "shards": [
    {"shard": 0, "current": True, "skipped": 0, "counters": {"files": 2}}, {"shard": 1, "current": False},
    {"shard": 5, "current": False}]}))
talk("stats-skipped", "Files that came as skipped are counted, for the last sync.", "A-9+",
    Talk().sync().page("A.java", "B.java").load((0, 10, "skipped:odd"), (1, 10, B_)).index().ask("GetWorkerStats", {},
    {"shards": [{"shard": 0, "skipped": 1}, {"shard": 1, "skipped": 0}, {"shard": 5, "skipped": 0}],
    "skipped": [{"shard": 0, "path": "A.java", "reason": "odd"}]}).sync(sync=2,
    rev=11).page("A.java", "B.java", sync=2).load((0, 11, A), (1, 11, B_), sync=2).index(sync=2).ask("GetWorkerStats",
    {}, {"shards": [{"shard": 0, "skipped": 0}, {"shard": 1}, {"shard": 5}], "skipped": []}))
talk("stats-skipped-64", "The first 64 of the skipped files are named, by path; all are counted.", "A-9+",
    Talk().sync(files=65).page(*(f"{n:02}.java" for n in range(65))).load(*((n, 10, "skipped:odd") for n in
    reversed(range(65)))).index().ask("GetWorkerStats", {}, {"shards": [{"shard": 0, "skipped": 65}, {"shard": 1},
    {"shard": 5}], "skipped": [{"path": f"{n:02}.java"} for n in range(64)]}))
talk("stats-not-current", "A shard that was not committed since its last SyncShard is not current.", "A-9+ A-26+",
    Talk().filled().sync(sync=2).ask("GetWorkerStats", {}, {"shards": [{"shard": 0, "current": False}, {"shard": 1},
    {"shard": 5}]}))
asking = Talk().ask("Shutdown", {}).steps[-1]
draining = asking | {"tx": [{"frame": "GoAway"}] + asking["tx"], "end": end("DRAINED")}
g.case("shutdown", "Shutdown is answered before the worker ends.", W, "positive", "A-10+", [], requires="nova",
    branches=[branch("stays", False, "the process ends when the router ends the connection", [asking]),
        branch("drains", True, "a worker that goes may say so itself", [draining])])
