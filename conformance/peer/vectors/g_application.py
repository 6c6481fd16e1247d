"""Sections A.2 and A.3: the application's messages to the byte. Hex is written out here,
    so that nobody's encoder is its
own judge."""
from .story import *
from .wire import *

g = Group("application", "Messages of section A: bytes that decode to values and back, and bytes that do not decode.")
KEY, ZERO = bytes(range(16)), bytes(16)
COUNTERS = {"epoch": "300", "revision": "7", "generation": "2", "files": 5, "symbols": "1000", "digest": KEY.hex()}
COUNTERS_BYTES = "ac02" "07" "02" "05" "e807" + KEY.hex()


def good(name, about, type_, data, value, covered=None):
    covered = covered or ("A-35+" if type_.endswith("Answer") else "A-9+")
    g.case(name, about, CODEC, "positive", covered, [{"decode": type_, "bytes": as_b(bytes.fromhex(data)).json(),
        "value": value}])


def bad_(name, about, type_, data, covered=None):
    covered = covered or ("A-35-" if type_.endswith("Answer") else "A-36-" if type_ == "WorkerWelcome" else "A-9-")
    data = bytes.fromhex(data) if isinstance(data, str) else data
    g.case(name, about, CODEC, "malformed", covered, [{"decode": type_, "bytes": as_b(data).json(),
        "error": "INVALID"}])


def text(value):
    return blob(value.encode() if isinstance(value, str) else value).hex()


# ---- WorkerHello, WorkerWelcome
good("hello-one-shard", "A worker that wants shard 0.", "WorkerHello", "01 00 01  00  00  00",
    {"claim": [[0, 1]], "token": None, "cached": [], "build": ""})
good("hello-everything", "Claims, token, cache and build.", "WorkerHello",
    "02 00 02 05 01" "01 06 736563726574" "01 05 07 02 e807" + KEY.hex() + "04 6e6f7661",
    {"claim": [[0, 2], [5, 1]], "token": "secret", "cached": [{"shard": 5, "revision": "7", "generation": "2",
    "symbols": "1000", "digest": KEY.hex()}], "build": "nova"})
good("hello-empty-claim", "An empty claim decodes: that a 3.0 router refuses it is another rule.", "WorkerHello",
    "00 00 00 00", {"claim": [], "token": None, "cached": [], "build": ""}, "A-9+")
good("hello-empty-token", "An empty token is a token.", "WorkerHello", "00 01 00 00 00",
    {"claim": [], "token": "", "cached": [], "build": ""})
good("hello-highest-shard", "The highest shard number.", "WorkerHello", "01 ffffffff0f 01 00 00 00",
    {"claim": [[2 ** 32 - 1, 1]], "token": None, "cached": [], "build": ""})
good("hello-touching-ranges", "Ranges that touch do not overlap.", "WorkerHello", "02 00 02 02 03 00 00 00",
    {"claim": [[0, 2], [2, 3]], "token": None, "cached": [], "build": ""})
good("hello-all-shards", "One range of 2^32 - 1 shards.", "WorkerHello", "01 00 ffffffff0f 00 00 00",
    {"claim": [[0, 2 ** 32 - 1]], "token": None, "cached": [], "build": ""})
good("hello-256-ranges", "256 ranges.", "WorkerHello", "8002" + "".join((v(2 * n) + b"\1").hex() for n in range(256))
    + "000000", {"claim": [[2 * n, 1] for n in range(256)], "token": None, "cached": [], "build": ""})
bad_("hello-257-ranges", "257 ranges.", "WorkerHello", v(257) + b"".join(v(2 * n) + b"\1" for n in range(257))
    + b"\0\0\0")
bad_("hello-range-of-none", "A range that counts 0.", "WorkerHello", "01 00 00 00 00 00")
bad_("hello-ranges-descending", "Ranges in descending order.", "WorkerHello", "02 05 01 00 01 00 00 00")
bad_("hello-ranges-overlap", "Ranges that overlap by one.", "WorkerHello", "02 00 03 02 01 00 00 00")
bad_("hello-range-twice", "The same range twice.", "WorkerHello", "02 00 01 00 01 00 00 00")
bad_("hello-range-beyond-u32", "A range whose last shard is above 2^32 - 1.", "WorkerHello",
    "01 ffffffff0f 02 00 00 00")
good("hello-range-to-highest", "A range of two whose last shard is 2^32 - 1.", "WorkerHello",
    "01 feffffff0f 02 00 00 00",
    {"claim": [[2 ** 32 - 2, 2]], "token": None, "cached": [], "build": ""})
bad_("hello-range-largest-numbers", "First and count are 2^32 - 1.", "WorkerHello", "01 ffffffff0f ffffffff0f 00 00 00")
bad_("hello-option-2", "An option that begins with 2.", "WorkerHello", "00 02 00 00 00")
bad_("hello-token-1025", "A token of 1,025 bytes.", "WorkerHello", "00 01" + text("t" * 1025) + "0000")
good("hello-token-1024", "A token of 1,024 bytes.", "WorkerHello", "00 01" + text("t" * 1024) + "0000",
    {"claim": [], "token": "t" * 1024, "cached": [], "build": ""})
bad_("hello-token-not-utf8", "A token that is not UTF-8.", "WorkerHello", "00 01 01 ff 00 00")
bad_("hello-33-cached", "33 cached indexes.", "WorkerHello", "00 00 21" + ("00000000" + ZERO.hex()) * 33 + "00")
good("hello-32-cached", "32 cached indexes.", "WorkerHello", "00 00 20" + ("00000000" + ZERO.hex()) * 32 + "00",
    {"claim": [], "token": None, "cached": [{"shard": 0, "revision": "0", "generation": "0", "symbols": "0",
    "digest": ZERO.hex()}] * 32, "build": ""})
bad_("hello-build-129", "A build of 129 bytes.", "WorkerHello", "00 00 00" + text("b" * 129))
bad_("hello-trailing", "A byte behind the last field.", "WorkerHello", "00 00 00 00 00")
bad_("hello-cut", "The build is lacking.", "WorkerHello", "00 00 00")
bad_("hello-empty", "No byte.", "WorkerHello", "", "A-9- A-1-")
bad_("hello-padded", "A padded count of ranges.", "WorkerHello", "80 00 00 00 00")
bad_("hello-digest-cut", "A digest of 15 bytes.", "WorkerHello", "00 00 01 00 00 00 00" + ZERO.hex()[:30])
good("welcome", "A router's part of Welcome.", "WorkerWelcome", "03 ffffffffffffffffff01 04 6e6f7661",
    {"worker_id": "3", "epoch": str(2 ** 64 - 1), "build": "nova"})
bad_("welcome-cut", "WorkerWelcome without its epoch.", "WorkerWelcome", "03")
bad_("welcome-trailing", "A byte behind WorkerWelcome.", "WorkerWelcome", "03 01 00 00")
bad_("welcome-build-129", "WorkerWelcome with a build of 129 bytes.", "WorkerWelcome", "03 01" + text("b" * 129))

# ---- hydration
good("sync-without-digest", "SyncShard without a digest.", "SyncShard", "04" + KEY.hex() + "ac02 01 07 05 00",
    {"shard": 4, "key": KEY.hex(), "epoch": "300", "sync": "1", "rev": "7", "files": 5, "digest": None})
good("sync-with-digest", "SyncShard with a digest.", "SyncShard", "04" + KEY.hex() + "ac02 01 07 05 01" + ZERO.hex(),
    {"shard": 4, "key": KEY.hex(), "epoch": "300", "sync": "1", "rev": "7", "files": 5, "digest": ZERO.hex()})
bad_("sync-key-short", "SyncShard whose key has 15 bytes.", "SyncShard", "04" + KEY.hex()[:30] + "01 01 07 05")
bad_("sync-trailing", "A byte behind SyncShard.", "SyncShard", "04" + KEY.hex() + "01 01 07 05 00 00")
bad_("sync-files-overflow", "More files than a u32 holds.", "SyncShard", "04" + KEY.hex() + "01 01 07 ffffffff1f 00")
good("sync-answer-current", "The index is current: counters.", "SyncShardAnswer", "00" + COUNTERS_BYTES,
    {"counters": COUNTERS})
good("sync-answer-pages-hashes", "Send pages; hashes help.", "SyncShardAnswer", "01 01", {"pages": True})
good("sync-answer-pages-plain", "Send pages; hashes do not help.", "SyncShardAnswer", "01 00", {"pages": False})
bad_("sync-answer-2", "A third form of answer.", "SyncShardAnswer", "02 00")
bad_("sync-answer-bool-2", "A bool of 2.", "SyncShardAnswer", "01 02")
bad_("sync-answer-empty", "An empty answer.", "SyncShardAnswer", "")
good("page", "A page with a hash and without.", "SyncPage", "04 01 00 02" + text("a/B.java") + "01" + KEY.hex()
    + text("a/C.java") + "00", {"shard": 4, "sync": "1", "first": 0,
    "entries": [{"path": "a/B.java", "hash": KEY.hex()}, {"path": "a/C.java", "hash": None}]})
good("page-empty", "A page without entries.", "SyncPage", "04 01 80 01 00",
    {"shard": 4, "sync": "1", "first": 128, "entries": []})
good("page-path-4096", "A path of 4,096 bytes.", "SyncPage", "04 01 00 01" + text("p" * 4096) + "00",
    {"shard": 4, "sync": "1", "first": 0, "entries": [{"path": "p" * 4096, "hash": None}]})
good("page-path-unicode", "A path that is not ASCII.", "SyncPage", "04 01 00 01" + text("ä/😀.java") + "00",
    {"shard": 4, "sync": "1", "first": 0, "entries": [{"path": "ä/😀.java", "hash": None}]})
bad_("page-path-4097", "A path of 4,097 bytes.", "SyncPage", "04 01 00 01" + text("p" * 4097) + "00")
bad_("page-path-not-utf8", "A path that is not UTF-8.", "SyncPage", "04 01 00 01 02 c328 00")
bad_("page-16385-entries", "A page that says it has 16,385 entries.", "SyncPage",
    B(v(4) + v(1) + v(0) + v(16385), B(b"\1a\0") * 16385))
bad_("page-entries-2-64", "A page that says it has 2^64 - 1 entries.", "SyncPage", v(4) + v(1) + v(0) + v(2 ** 64 - 1))
bad_("page-entries-cut", "A page that says two entries, and has one.", "SyncPage", "04 01 00 02 01 61 00")
good("page-answer", "Wanted: entries 3 to 5, and 9.", "SyncPageAnswer", "02 03 03 09 01", {"wanted": [[3, 3], [9, 1]]})
good("page-answer-none", "Nothing is wanted.", "SyncPageAnswer", "00", {"wanted": []})
good("page-answer-touching", "Ranges that touch.", "SyncPageAnswer", "02 03 03 06 01", {"wanted": [[3, 3], [6, 1]]})
bad_("page-answer-range-of-none", "A range that counts 0.", "SyncPageAnswer", "01 03 00")
bad_("page-answer-overlap", "Ranges that overlap.", "SyncPageAnswer", "02 03 03 05 01")
bad_("page-answer-descending", "Ranges in descending order.", "SyncPageAnswer", "02 09 01 03 03")
bad_("page-answer-beyond-u32", "A range whose last entry is above 2^32 - 1.", "SyncPageAnswer", "01 ffffffff0f 02")
good("page-answer-16384", "16,384 ranges.", "SyncPageAnswer", "808001" + "".join((v(2 * n) + b"\1").hex()
    for n in range(16384)), {"wanted": [[2 * n, 1] for n in range(16384)]})
bad_("page-answer-16385", "16,385 ranges.", "SyncPageAnswer",
    v(16385) + b"".join(v(2 * n) + b"\1" for n in range(16385)))
good("load-three-kinds", "Contents: text, gone, skipped.", "LoadFiles", "04 01 03" "03 07 00" + text("class A {}")
    + "04 07 01" "05 08 02 03 6f6464", {"shard": 4, "sync": "1", "files": [{"entry": 3, "rev": "7",
    "content": {"text": "class A {}"}}, {"entry": 4, "rev": "7", "content": "gone"},
    {"entry": 5, "rev": "8", "content": {"skipped": "odd"}}]})
good("load-skipped-without-reason", "A reason may be empty.", "LoadFiles", "04 01 01 00 07 02 00",
    {"shard": 4, "sync": "1", "files": [{"entry": 0, "rev": "7", "content": {"skipped": ""}}]})
good("load-skipped-128", "A reason of 128 bytes.", "LoadFiles", "04 01 01 00 07 02" + text("r" * 128),
    {"shard": 4, "sync": "1", "files": [{"entry": 0, "rev": "7", "content": {"skipped": "r" * 128}}]})
bad_("load-skipped-129", "A reason of 129 bytes.", "LoadFiles", "04 01 01 00 07 02" + text("r" * 129))
bad_("load-skipped-no-reason", "Skipped, and the reason is lacking.", "LoadFiles", "04 01 01 00 07 02")
good("load-empty-text", "A file without text is not gone.", "LoadFiles", "04 01 01 00 07 00 00",
    {"shard": 4, "sync": "1", "files": [{"entry": 0, "rev": "7", "content": {"text": ""}}]})
good("load-empty-batch", "A batch of nothing.", "LoadFiles", "04 01 00", {"shard": 4, "sync": "1", "files": []})
bad_("load-content-3", "A fourth kind of content.", "LoadFiles", "04 01 01 00 07 03")
bad_("load-gone-with-text", "Gone, and a text behind it.", "LoadFiles", "04 01 01 00 07 01 01 61")
bad_("load-text-not-utf8", "A text that is not UTF-8.", "LoadFiles", "04 01 01 00 07 00 02 fffe")
bad_("load-4097", "A batch that has 4,097 files.", "LoadFiles", B(v(4) + v(1) + v(4097), B(b"\0\7\1") * 4097))
good("load-4096", "A batch of 4,096 files.", "LoadFiles", "04 01 8020" + "000701" * 4096,
    {"shard": 4, "sync": "1", "files": [{"entry": 0, "rev": "7", "content": "gone"}] * 4096})
good("load-answer", "The answer to LoadFiles.", "LoadFilesAnswer", "03 e807", {"files": 3, "symbols": "1000"})
bad_("load-answer-trailing", "A byte behind the answer.", "LoadFilesAnswer", "03 e807 00")
good("index", "IndexShard.", "IndexShard", "04 01", {"shard": 4, "sync": "1"})
bad_("index-trailing", "A byte behind IndexShard.", "IndexShard", "04 01 00")
bad_("index-padded", "IndexShard with a padded sync.", "IndexShard", "04 81 00")
good("index-answer", "Counters.", "IndexShardAnswer", COUNTERS_BYTES, COUNTERS)
bad_("index-answer-cut", "Counters without the last byte of their digest.", "IndexShardAnswer", COUNTERS_BYTES[:-2])

# ---- updates
good("update", "UpdateFile.", "UpdateFile", "04 ac02 07" + text("a/B.java") + text("class B {}"),
    {"shard": 4, "epoch": "300", "rev": "7", "path": "a/B.java", "text": "class B {}"})
good("update-empty-text", "A file that became empty.", "UpdateFile", "04 ac02 07" + text("B.java") + "00",
    {"shard": 4, "epoch": "300", "rev": "7", "path": "B.java", "text": ""})
good("update-large-text", "A text has no bound but the body: 20,000 bytes.", "UpdateFile", "04 ac02 07" + text("B.java")
    + text("x" * 20000), {"shard": 4, "epoch": "300", "rev": "7", "path": "B.java", "text": "x" * 20000})
bad_("update-path-4097", "UpdateFile with a path of 4,097 bytes.", "UpdateFile", "04 ac02 07" + text("p" * 4097) + "00")
bad_("update-text-cut", "UpdateFile whose text is cut.", "UpdateFile", "04 ac02 07 01 61 05 6162")
good("update-answer", "The answer to an update.", "UpdateFileAnswer", "01" + COUNTERS_BYTES,
    {"applied": 1, "counters": COUNTERS})
good("remove", "RemoveFiles of two paths.", "RemoveFiles", "04 ac02 07 02" + text("a") + text("b"),
    {"shard": 4, "epoch": "300", "rev": "7", "paths": ["a", "b"]})
good("remove-none", "RemoveFiles of nothing.", "RemoveFiles", "04 ac02 07 00",
    {"shard": 4, "epoch": "300", "rev": "7", "paths": []})
bad_("remove-4097", "RemoveFiles of 4,097 paths.", "RemoveFiles", B(v(4) + v(1) + v(7) + v(4097), B(b"\1a") * 4097))
good("remove-answer", "The answer to a removal: nothing applied, digest of zeros.", "RemoveFilesAnswer",
    "00 01 00 00 00 00" + ZERO.hex(), {"applied": 0, "counters": {"epoch": "1", "revision": "0", "generation": "0",
    "files": 0, "symbols": "0", "digest": ZERO.hex()}})

# ---- queries
good("search", "SearchSymbols over two ranges of shards.", "SearchSymbols", "02 00 02 04 01" + text("CHM") + "ff1f 32",
    {"shards": [[0, 2], [4, 1]], "query": "CHM", "kinds": 4095, "limit": 50})
good("search-empty-query", "An empty query.", "SearchSymbols", "01 00 01 00 00 0a",
    {"shards": [[0, 1]], "query": "", "kinds": 0, "limit": 10})
bad_("search-query-1025", "A query of 1,025 bytes.", "SearchSymbols", "01 00 01" + text("q" * 1025) + "00 0a")
bad_("search-kinds-overflow", "Kinds above 16 bits.", "SearchSymbols", "01 00 01 00 808004 0a")
bad_("search-shards-unsorted", "Shards out of order.", "SearchSymbols", "02 04 01 00 02 00 00 0a")
good("search-answer-empty", "No hits, not cut off, nothing warming.", "SearchSymbolsAnswer", "00 00 00",
    {"hits": [], "truncated": False, "warming": []})
good("search-answer", "A hit, cut off, shard 4 warming.", "SearchSymbolsAnswer", "01" + text("HashMap") + "01"
    + text("java.util") + text("java/util/HashMap.java") + "8d01 0e feffff9f0f" "01" "01 04 01",
    {"hits": [{"name": "HashMap", "kind": 1, "container": "java.util", "path": "java/util/HashMap.java", "line": 141,
    "column": 14, "score": 0xF3FFFFFE}], "truncated": True, "warming": [[4, 1]]})
for kind in range(12):
    good(f"search-kind-{kind}", f"Kind {kind}.", "SearchSymbolsAnswer", f"01 01 61 {kind:02x} 00 01 62 01 01 00 00 00",
        {"hits": [{"name": "a", "kind": kind, "container": "", "path": "b", "line": 1, "column": 1, "score": 0}],
        "truncated": False, "warming": []})
bad_("search-kind-12", "There is no kind 12.", "SearchSymbolsAnswer", "01 01 61 0c 00 01 62 01 01 00 00 00")
bad_("search-kind-padded", "A kind is a varint, and may not be padded.", "SearchSymbolsAnswer",
    "01 01 61 81 00 00 01 62 01 01 00 00 00")
bad_("search-truncated-2", "A bool of 2.", "SearchSymbolsAnswer", "00 02 00")
bad_("search-hits-10001", "An answer of 10,001 hits.", "SearchSymbolsAnswer", B(v(10001), B(bytes(7)) * 10001, b"\0\0"))
good("list", "ListSymbols from the beginning.", "ListSymbols", "04 00 00 64",
    {"shard": 4, "from": "", "skip": 0, "limit": 100})
good("list-from", "ListSymbols from within a file.", "ListSymbols", "04" + text("a/B.java") + "07 64",
    {"shard": 4, "from": "a/B.java", "skip": 7, "limit": 100})
good("list-answer", "Two files, one without symbols.", "ListSymbolsAnswer", "02" + text("a") + "01" + text("A")
    + "01 00 01 07" + text("b") + "00" "01", {"files": [{"path": "a",
    "symbols": [{"name": "A", "kind": 1, "container": "", "line": 1, "column": 7}]}, {"path": "b", "symbols": []}],
    "more": True})
bad_("list-answer-kind-12", "A listed symbol of kind 12.", "ListSymbolsAnswer", "01 01 61 01 01 41 0c 00 01 07 00")
ONE = "0141" "01" "00" "01" "07"
ONE_VALUE = {"name": "A", "kind": 1, "container": "", "line": 1, "column": 7}
bad_("list-answer-65537-together", "Two files of 40,000 and 25,537 symbols: 65,537 together.", "ListSymbolsAnswer",
    B(v(2), b"\1a", v(40000), B(bytes.fromhex(ONE)) * 40000, b"\1b", v(25537), B(bytes.fromhex(ONE)) * 25537, b"\0"))
bad_("list-answer-65537-of-one", "A file of 65,537 symbols.", "ListSymbolsAnswer",
    B(v(1), b"\1a", v(65537), B(bytes.fromhex(ONE)) * 65537, b"\0"))
good("list-answer-many-files", "A thousand symbols of two files each count together, and are within the bound.",
    "ListSymbolsAnswer", "02" "0161" "e807" + ONE * 1000 + "0162" "e807" + ONE * 1000 + "00", {"files": [
    {"path": "a", "symbols": [ONE_VALUE] * 1000}, {"path": "b", "symbols": [ONE_VALUE] * 1000}], "more": False})
bad_("list-answer-files-65537", "An answer that says it has 65,537 files.", "ListSymbolsAnswer", v(65537)
    + b"\0\0" * 10)

# ---- management
good("stats", "GetWorkerStats is nothing.", "GetWorkerStats", "", {})
bad_("stats-trailing", "GetWorkerStats with a byte.", "GetWorkerStats", "00")
STATS = "d209" "8020" "e807"                  # pid 1,234, parsed 4,096, received 1,000
STATS_VALUE = {"pid": 1234, "parsed": "4096", "received": "1000"}
CACHE = "01 03 8101 00"
CACHE_VALUE = {"state": "on", "loaded": 3, "written": 129, "problem": ""}
good("stats-answer-shard", "One shard: skipped, memory and disk behind current.", "GetWorkerStatsAnswer",
    STATS + CACHE + "01 04" + COUNTERS_BYTES + "01 02 808040 ac02" "00", STATS_VALUE | {"cache": CACHE_VALUE, "shards": [
    {"shard": 4, "counters": COUNTERS, "current": True, "skipped": 2, "memory": "1048576", "disk": "300"}], "skipped": []})
good("stats-answer-two-shards", "Two shards, one of them not current.", "GetWorkerStatsAnswer", STATS + CACHE + "02"
    "04" + COUNTERS_BYTES + "01 00 00 00" "05" + COUNTERS_BYTES + "00 00 00 00" "00", STATS_VALUE | {"cache": CACHE_VALUE,
    "shards": [{"shard": 4, "counters": COUNTERS, "current": True, "skipped": 0, "memory": "0", "disk": "0"},
    {"shard": 5, "counters": COUNTERS, "current": False, "skipped": 0, "memory": "0", "disk": "0"}],
    "skipped": []})
for number, state in enumerate(("off", "on", "failed")):
    good(f"stats-answer-cache-{state}", f"No shard, and a cache that is {state}.", "GetWorkerStatsAnswer",
        f"01 00 00 {number:02x} 00 00 00 00 00", {"pid": 1, "parsed": "0", "received": "0", "cache": {"state": state,
        "loaded": 0, "written": 0, "problem": ""}, "shards": [], "skipped": []})
bad_("stats-answer-cache-3", "A cache has no fourth state.", "GetWorkerStatsAnswer", "01 00 00 03 00 00 00 00 00")
good("stats-answer-problem", "A cache that failed says why, in at most 512 bytes.", "GetWorkerStatsAnswer",
    "01 00 00 02 00 00" + text("d" * 512) + "00 00", {"pid": 1, "parsed": "0", "received": "0", "cache": {
    "state": "failed", "loaded": 0, "written": 0, "problem": "d" * 512}, "shards": [], "skipped": []})
bad_("stats-answer-problem-513", "A problem of 513 bytes.", "GetWorkerStatsAnswer", "01 00 00 02 00 00"
    + text("d" * 513) + "00 00")
good("stats-answer-largest", "The largest numbers.", "GetWorkerStatsAnswer", "ffffffff0f" + "ffffffffffffffffff01" * 2
    + "01" + "ffffffff0f" * 2 + "00 00 00", {"pid": 2 ** 32 - 1, "parsed": str(2 ** 64 - 1), "received": str(2 ** 64 - 1),
    "cache": {"state": "on", "loaded": 2 ** 32 - 1, "written": 2 ** 32 - 1, "problem": ""}, "shards": [],
    "skipped": []})
bad_("stats-answer-without-cache", "The fields that there were before the cache alone.", "GetWorkerStatsAnswer",
    "01 00")
bad_("stats-answer-current-ff", "current is 0xff.", "GetWorkerStatsAnswer", STATS + CACHE + "01 04" + COUNTERS_BYTES
    + "ff 00 00 00" "00")
bad_("stats-answer-without-disk", "The last field of the shard is lacking.", "GetWorkerStatsAnswer", STATS + CACHE
    + "01 04" + COUNTERS_BYTES + "01 00 00")
SKIPPED = "04" + text("a/B.java") + text("not UTF-8")
SKIPPED_VALUE = {"shard": 4, "path": "a/B.java", "reason": "not UTF-8"}
good("stats-answer-skipped", "A file that cannot be indexed, and the reason.", "GetWorkerStatsAnswer", STATS + CACHE + "00"
    "01" + SKIPPED, STATS_VALUE | {"cache": CACHE_VALUE, "shards": [], "skipped": [SKIPPED_VALUE]})
good("stats-answer-skipped-64", "64 of them.", "GetWorkerStatsAnswer", STATS + CACHE + "00 40" + SKIPPED * 64,
    STATS_VALUE | {"cache": CACHE_VALUE, "shards": [], "skipped": [SKIPPED_VALUE] * 64})
bad_("stats-answer-skipped-65", "65 of them.", "GetWorkerStatsAnswer", STATS + CACHE + "00 41" + SKIPPED * 65)
bad_("stats-answer-skipped-path-4097", "A path of 4,097 bytes.", "GetWorkerStatsAnswer", STATS + CACHE + "00 01 04"
    + text("p" * 4097) + "00")
bad_("stats-answer-skipped-reason-129", "A reason of 129 bytes.", "GetWorkerStatsAnswer", STATS + CACHE + "00 01 04"
    + text("p") + text("r" * 129))
bad_("stats-answer-without-skipped", "The list of skipped files is lacking.", "GetWorkerStatsAnswer", STATS + CACHE + "00")
bad_("stats-answer-trailing", "A byte behind the last shard.", "GetWorkerStatsAnswer", STATS + CACHE + "00 00 00")
good("shutdown", "Shutdown is nothing.", "Shutdown", "", {})
bad_("shutdown-trailing", "Shutdown with a byte.", "Shutdown", "00")
good("shutdown-answer", "So is its answer.", "ShutdownAnswer", "", {})
bad_("shutdown-answer-trailing", "The answer to Shutdown with a byte.", "ShutdownAnswer", "00")

def computes(name, about, covered, function, args, value):
    g.case(name, about, CODEC, "positive", covered, [{"compute": function, "args": args, "value": value}])


computes("hash-empty", "The content hash of an empty text.", "A-25+", "content_hash", {"text": ""},
    "af1349b9f5f9a1a6a0404dea36dcc949")
computes("hash-abc", "The content hash of abc.", "A-25+", "content_hash", {"text": "abc"},
    "6437b3ac38465133ffb63b75273a8db5")
computes("hash-chunks", "The content hash of 5,000 bytes, which are five chunks of BLAKE3.", "A-25+", "content_hash",
    {"text": "x" * 5000}, "52b712cd5eb5ba93e295fe417a06e3c3")
computes("hash-bytes", "The hash is of the file's bytes as they are: UTF-8, and CR LF.", "A-25+", "content_hash",
    {"text": "é\r\n"}, "a349d34652660688062343e6ea3b7990")
computes("digest-empty", "The digest of no files is the hash of nothing.", "A-25+", "digest", {"files": []},
    "af1349b9f5f9a1a6a0404dea36dcc949")
computes("digest-one", "The digest of one file.", "A-25+", "digest", {"files": [{"path": "a", "hash": "00" * 16}]},
    "55110aa5c3eac99924076a0fd982ede0")
computes("digest-two", "The digest of two files.", "A-25+", "digest",
    {"files": [{"path": "a", "hash": "00" * 16}, {"path": "b", "hash": "11" * 16}]}, "e2a7f8bb30455a6d39d23e0be810f9fe")
computes("digest-order", "The digest depends on the order, which is that of the manifest.", "A-25+", "digest",
    {"files": [{"path": "b", "hash": "11" * 16}, {"path": "a", "hash": "00" * 16}]}, "6c63f1f9bc5e8b6568046ed2258705a0")
