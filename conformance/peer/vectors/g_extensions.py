"""Sections 18, 20 and 25: extensions, trace context, grease, error codes."""
from .story import *
from .wire import *

x = Group("extensions", "Extensions: known, unknown, badly formed, too many, too long; trace context; what a later "
    "minor may send.")
e = Group("errors", "Error codes, retry hints and messages.")
T = "11" * 16 + "22" * 8


def xb(name, about, class_, covered, story, **more):
    x.both(name, about, class_, covered, story, **more)


def with_ext(s, ext, **more):
    """A Request with these extensions reaches its handler."""
    return rx(request(s.p(1), b"x", ext=ext), ev=[e_request(s.p(1), b"x", **more)])


def ext_bad(name, about, class_, covered, ext, code):
    xb(name, about, class_, covered, lambda s: [rx(request(s.p(1), ext=ext), end=s.bad(code))])


# ---- trace context
xb("trace", "A trace context reaches the handler.", "positive", "18-4+ 18-5+",
    lambda s: [with_ext(s, trace(), trace=bytes.fromhex(T + "01"))])
xb("trace-not-sampled", "A trace context that is not sampled.", "positive", "18-5+",
    lambda s: [with_ext(s, trace(0), trace=bytes.fromhex(T + "00"))])
xb("trace-unknown-flags", "Flags that this document does not know are handed on.", "positive", "18-5+",
    lambda s: [with_ext(s, trace(0xFF), trace=bytes.fromhex(T + "ff"))])
x.both("trace-none", "No trace context.", "positive", "18-4+",
    lambda s: [rx(request(s.p(1)), ev=[event("request", id=s.p(1)) | {"trace": None}])])
for name, about, value in (("short", "24 bytes", b"\x11" * 24), ("long", "26 bytes", b"\x11" * 26),
    ("empty", "no bytes", b""), ("text", "the text form of W3C, 55 bytes", b"00-" + b"1" * 32 + b"-" + b"2" * 16
    + b"-01")):
    xb(f"trace-{name}", f"A trace context of {about} does not have its form: it counts as absent.", "positive", "18-5-",
        lambda s, value=value: [rx(request(s.p(1), b"x", ext=[(1, value)]),
        ev=[event("request", id=s.p(1)) | {"trace": None}]), alive()])
xb("trace-zero-ids", "All zero ids have the form of the tag; what they mean is the tracer's business.", "positive",
    "18-5+", lambda s: [with_ext(s, [(1, bytes(25))], trace=bytes(25))])
xb("trace-among-others", "A trace context between unknown extensions.", "positive", "18-6- 18-6+ 18-4-",
    lambda s: [with_ext(s, [(9, b"a"), (1, bytes.fromhex(T + "01")), (500, b"b")], trace=bytes.fromhex(T + "01"))])
xb("trace-last", "The order of extensions has no meaning.", "positive", "18-6-",
    lambda s: [with_ext(s, [(0xFAFA, b"z"), (2, b""), (1, bytes.fromhex(T + "01"))], trace=bytes.fromhex(T + "01"))])
xb("trace-twice", "Two trace contexts.", "invalid", "18-2-",
    lambda s: [rx(request(s.p(1), ext=trace() + trace()), end=s.bad("BAD_EXTENSIONS"))])
xb("trace-in-response", "A trace context in a Response has no meaning there.", "positive", "18-4-",
    lambda s: [calls(s), rx(response(s.o(1), b"x", ext=trace()), ev=[e_ok("a", b"x")]), alive()])
xb("trace-in-error", "A trace context in an Error has no meaning there.", "positive", "18-4-",
    lambda s: [calls(s), rx(error(s.o(1), 6, ext=trace()), ev=[e_error("a", 6)]), alive()])
xb("own-trace", "The subject's call carries its trace context.", "positive", "18-5+",
    lambda s: [calls(s, trace=T + "01", tx=[Request(s.o(1), b"ask", trace=T + "01")])])

# ---- bounds
xb("eight", "Eight extensions.", "exhaustion", "18-2+ 18-3+ 5-5+",
    lambda s: [with_ext(s, [(n, b"v") for n in range(10, 18)])])
ext_bad("nine", "Nine extensions.", "malformed", "18-3-", [(n, b"v") for n in range(10, 19)], "MALFORMED")
xb("bytes-512", "Values of 512 bytes together.", "exhaustion", "18-1+",
    lambda s: [with_ext(s, [(10, bytes(256)), (11, bytes(256))])])
ext_bad("bytes-513", "Values of 513 bytes together.", "exhaustion", "18-1-", [(10, bytes(256)), (11, bytes(257))],
    "BAD_EXTENSIONS")
xb("one-of-512", "One value of 512 bytes.", "exhaustion", "18-1+", lambda s: [with_ext(s, [(10, bytes(512))])])
ext_bad("one-of-513", "One value of 513 bytes.", "exhaustion", "18-1-", [(10, bytes(513))], "BAD_EXTENSIONS")
xb("eight-empty", "Eight empty values.", "exhaustion", "18-1+ 18-3+",
    lambda s: [with_ext(s, [(n, b"") for n in range(65528, 65536)])])
ext_bad("grease-counts", "Grease counts like any other extension: 513 bytes.", "exhaustion", "18-1-",
    [(0x0A0A, bytes(300)), (0xFAFA, bytes(213))], "BAD_EXTENSIONS")
ext_bad("unknown-tag-twice", "An unknown tag twice.", "invalid", "18-2-", [(12345, b"a"), (12345, b"b")],
    "BAD_EXTENSIONS")
ext_bad("grease-tag-twice", "A grease tag twice.", "invalid", "18-2-", [(0xCACA, b""), (5, b""), (0xCACA, b"")],
    "BAD_EXTENSIONS")
ext_bad("tag-zero-twice", "Tag 0 twice.", "invalid", "18-2-", [(0, b""), (0, b"")], "BAD_EXTENSIONS")
xb("bad-in-response", "A Response with too long extensions.", "invalid", "18-1-",
    lambda s: [calls(s), rx(response(s.o(1), ext=[(7, bytes(513))]), ev=[e_failed("a", False)],
    end=s.bad("BAD_EXTENSIONS"))])
xb("bad-in-error", "An Error with the same tag twice.", "invalid", "18-2-",
    lambda s: [calls(s), rx(error(s.o(1), ext=[(7, b""), (7, b"")]), ev=[e_failed("a", False)],
    end=s.bad("BAD_EXTENSIONS"))])
xb("bad-error-order", "An Error with bad extensions and a bad retry hint: extensions come first.", "invalid",
    "22-1+ 18-2-", lambda s: [calls(s), rx(error(s.o(1), retry=3, ext=[(7, b""), (7, b"")]), ev=[e_failed("a", False)],
    end=s.bad("BAD_EXTENSIONS"))])
x.case("hello-bytes-512", "Hello with values of 512 bytes together.", NEW_ROUTER, "exhaustion", "18-1+",
    [rx(preface(), hello(ext=[(9, bytes(512))]), ev=[event("hello")])])
x.case("hello-bytes-513", "Hello with values of 513 bytes together.", NEW_ROUTER, "exhaustion", "18-1- 8-21-",
    [rx(preface(), hello(ext=[(9, bytes(513))]), end=refused("BAD_EXTENSIONS"))])
x.case("hello-tag-twice", "Hello with a tag twice.", NEW_ROUTER, "invalid", "18-2- 8-21-",
    [rx(preface(), hello(ext=[(9, b""), (9, b"")]), end=refused("BAD_EXTENSIONS"))])
x.case("hello-nine", "Hello with nine extensions.", NEW_ROUTER, "malformed", "18-3- 8-21-",
    [rx(preface(), hello(ext=[(n, b"") for n in range(9)]), end=refused("MALFORMED"))])
x.case("welcome-tag-twice", "Welcome with a tag twice.", NEW_WORKER, "invalid", "18-2- 8-22-",
    [rx(preface(), welcome(ext=[(9, b""), (9, b"")]), end=bad("BAD_EXTENSIONS"))])

# ---- unknown
for tag, name in ((0, "zero"), (2, "capacity"), (3, "lease"), (4, "first-of-core"), (16383, "last-of-core"),
    (16384, "first-of-application"), (32767, "last-of-application"), (32768, "first-private"), (65535, "highest"),
    (0x0A0A, "grease-0a0a"), (0xFAFA, "grease-fafa")):
    xb(f"unknown-{name}", f"Tag {tag} is unknown, or has no meaning in Request: it counts as absent.", "positive",
        "18-4- 18-8-" if "grease" in name else "18-4-", lambda s,
        tag=tag: [with_ext(s, [(tag, b"\xff\x00\xffanything")]), answers(s)])
xb("unknown-in-response", "An unknown extension in a Response.", "positive", "18-4-",
    lambda s: [calls(s), rx(response(s.o(1), b"x", ext=[(4000, b"?")]), ev=[e_ok("a", b"x")]), alive()])
xb("unknown-in-error", "An unknown extension in an Error.", "positive", "18-4-",
    lambda s: [calls(s), rx(error(s.o(1), 6, ext=[(4000, b"?")]), ev=[e_error("a", 6)]), alive()])
xb("grease-everywhere", "Grease frames between all frames, with any content, change nothing.", "positive",
    "18-8- 18-8+ 18-7+", lambda s: [rx(unknown(0x8A, b"")), asked(s), rx(unknown(0x9A, bytes(300))), calls(s),
    rx(unknown(0xBA, close().plain())), rx(response(s.o(1), b"y"), ev=[e_ok("a", b"y")]), rx(unknown(0xEA, b"\0")),
    answers(s)])
xb("grease-while-draining", "Grease frames while draining.", "positive", "18-8-",
    lambda s: [asked(s), do("drain", deadline_ms=60000, tx=[GoAway(60000)]), rx(unknown()),
    answers(s, end=end("DRAINED"))])
xb("grease-after-goaway", "The peer may send grease after its GoAway.", "positive", "18-8- 16-9+",
    lambda s: [rx(goaway(60000)), rx(unknown()), alive()])

# ---- later minors
xb("minor-critical-kind", "A critical kind of a later minor, which was not agreed.", "invalid", "25-1- 4-4-",
    lambda s: [rx(unknown(0x16, b"new"), end=s.bad("UNKNOWN_KIND"))])
xb("minor-ignorable-kind", "An ignorable kind of a later minor may be sent to anyone.", "positive", "25-1+ 4-5-",
    lambda s: [rx(unknown(0x81, b"new")), alive()])
xb("minor-reserved-method", "A method of a later minor is a number like any other for the core.", "positive",
    "25-2+ 25-1+", lambda s: [rx(request(s.p(1), method=0x0500), ev=[e_request(s.p(1), method=0x0500)]),
    do("respond_error", id=s.p(1), code=5, retry=0, retry_after_ms=0, message="", tx=[Error(s.p(1), 5)])])
x.case("minor-worker-is-later", "A worker that could speak 3.9 gets 3.0, and everything 3.0 allows.", NEW_ROUTER,
    "positive", "25-2+ 25-2- 8-9+", [rx(preface(), hello(versions=((3, 9),)), ev=[event("hello")]),
    do("accept", app=b"ok", tx=[Welcome(version=[3, 0])], ev=[e_open(version=[3, 0])]),
    rx(request(1, b"x"), ev=[e_request(1, b"x")]), rx(cancel(1), ev=[e_cancelled(1)])])
x.case("minor-not-agreed-by-router", "3.0 was agreed with a later worker: its critical kinds are unknown.", NEW_ROUTER,
    "invalid", "25-1- 4-4-", [rx(preface(), hello(versions=((3, 9),)), ev=[event("hello")]),
    do("accept", app=b"ok", tx=[Welcome(version=[3, 0])], ev=[e_open()]), rx(unknown(0x30), end=bad("UNKNOWN_KIND"))])


# ---- errors
def eb(name, about, class_, covered, story, **more):
    e.both(name, about, class_, covered, story, **more)


for code, name in ((1, "internal"), (2, "cancelled"), (3, "deadline"), (4, "refused"), (5, "unimplemented"),
    (6, "invalid"), (7, "reply-too-large"), (8, "decompression"), (256, "unknown-shard"), (257, "stale-sync"),
    (258, "not-in-manifest")):
    eb(f"received-{name}", f"An Error with code {code} is the answer.", "positive", "20-1+ 9-5+", lambda s,
        code=code: [calls(s), rx(error(s.o(1), code, message=b"m"), ev=[e_error("a", code, message="m")])])
for code, name in ((0, "zero"), (9, "first-free"), (200, "core"), (255, "last-of-core")):
    eb(f"unknown-{name}", f"The unknown code {code} of the core is like INTERNAL: number, hint and message are kept.",
        "positive", "20-3- 20-3+", lambda s, code=code: [calls(s),
        rx(error(s.o(1), code, 1, 250, b"new"), ev=[e_error("a", code, 1, 250, "new")]), alive()])
for code, name in ((259, "application"), (32767, "last-of-application"), (32768, "private"), (65535, "highest")):
    eb(f"unknown-{name}", f"The code {code} is the application's or private: handed on as it is.", "positive", "20-3+",
        lambda s, code=code: [calls(s), rx(error(s.o(1), code), ev=[e_error("a", code)])])
eb("retry-never", "Hint 0, no time.", "positive", "20-1+ 20-2+",
    lambda s: [calls(s), rx(error(s.o(1), 6, 0, 0), ev=[e_error("a", 6, 0, 0)])])
eb("retry-later", "Hint 1 with a time.", "positive", "20-1+ 20-2+",
    lambda s: [calls(s), rx(error(s.o(1), 4, 1, 1500), ev=[e_error("a", 4, 1, 1500)])])
eb("retry-later-at-once", "Hint 1 with 0: at once.", "positive", "20-2+",
    lambda s: [calls(s), rx(error(s.o(1), 4, 1, 0), ev=[e_error("a", 4, 1, 0)])])
eb("retry-later-largest", "Hint 1 with the largest time.", "positive", "20-2+",
    lambda s: [calls(s), rx(error(s.o(1), 4, 1, 2 ** 32 - 1), ev=[e_error("a", 4, 1, 2 ** 32 - 1)])])
eb("retry-elsewhere", "Hint 2.", "positive", "20-1+", lambda s: [calls(s),
    rx(error(s.o(1), 4, 2), ev=[e_error("a", 4, 2)])])
for retry in (3, 127, 255):
    eb(f"retry-{retry}", f"There is no hint {retry}.", "malformed", "20-1-", lambda s,
        retry=retry: [calls(s), rx(error(s.o(1), 4, retry), ev=[e_failed("a", False)], end=s.bad("MALFORMED"))])
eb("retry-never-with-time", "Hint 0 with a time.", "malformed", "20-2-",
    lambda s: [calls(s), rx(error(s.o(1), 4, 0, 1), ev=[e_failed("a", False)], end=s.bad("MALFORMED"))])
eb("retry-elsewhere-with-time", "Hint 2 with a time.", "malformed", "20-2-",
    lambda s: [calls(s), rx(error(s.o(1), 4, 2, 1500), ev=[e_failed("a", False)], end=s.bad("MALFORMED"))])
eb("retry-bad-of-unknown-id", "A bad hint for an id that is not open: the id comes first.", "invalid", "22-1+ 9-5-",
    lambda s: [rx(error(s.o(1), 4, 3), end=s.bad("ID_NOT_OPEN"))])
eb("retry-bad-is-judged-by-frame", "A hint above 2 decodes; it is judged after id 0.", "invalid", "22-1+ 9-1-",
    lambda s: [rx(error(0, 4, 3), end=s.bad("ID_ZERO"))])
eb("message-longest", "A message of 512 bytes.", "positive", "5-5+ 20-9+",
    lambda s: [calls(s), rx(error(s.o(1), 6, message=b"m" * 512), ev=[e_error("a", 6, message="m" * 512)])])
eb("message-too-long", "A message of 513 bytes.", "malformed", "5-5-",
    lambda s: [calls(s), rx(error(s.o(1), 6, message=b"m" * 513), ev=[e_failed("a", False)], end=s.bad("MALFORMED"))])
eb("message-not-utf8", "A message that is not UTF-8.", "malformed", "5-4-",
    lambda s: [calls(s), rx(error(s.o(1), 6, message=b"\xc3("), ev=[e_failed("a", False)], end=s.bad("MALFORMED"))])
eb("message-says-otherwise", "A message that names another code changes nothing.", "positive", "20-9- 20-9+",
    lambda s: [calls(s), rx(error(s.o(1), 6, 0, 0, b"CANCELLED: retry at once"), ev=[e_error("a", 6, 0, 0)])])
eb("message-control-characters", "A message with control characters is a message.", "positive", "20-9- 5-4+",
    lambda s: [calls(s), rx(error(s.o(1), 6, message=b"\x1b[2J\0\r\n"), ev=[e_error("a", 6, message="\x1b[2J\0\r\n")])])
eb("own-error", "A handler's error, with hint and time.", "positive", "20-1+ 20-2+",
    lambda s: [asked(s), do("respond_error", id=s.p(1), code=300, retry=1, retry_after_ms=77, message="busy",
    tx=[Error(s.p(1), 300, 1, 77, "busy")])])
eb("own-message-longest", "A handler's message of 512 bytes.", "positive", "20-8+",
    lambda s: [asked(s), do("respond_error", id=s.p(1), code=6, retry=0, retry_after_ms=0, message="m" * 512,
    tx=[Error(s.p(1), 6, message="m" * 512)])])
eb("own-message-cut", "A handler's message of 600 bytes is cut to 512.", "positive", "20-8- 20-8+",
    lambda s: [asked(s), do("respond_error", id=s.p(1), code=6, retry=0, retry_after_ms=0, message="m" * 600,
    tx=[Error(s.p(1), 6, message="m" * 512)])])
eb("own-message-cut-two-bytes", "The cut is at a character's end: two-byte characters behind one byte.", "positive",
    "20-8-", lambda s: [asked(s), do("respond_error", id=s.p(1), code=6, retry=0, retry_after_ms=0, message="a"
    + "é" * 300, tx=[Error(s.p(1), 6, message="a" + "é" * 255)])])
eb("own-message-cut-four-bytes", "The cut is at a character's end: four-byte characters behind three bytes.",
    "positive", "20-8-", lambda s: [asked(s), do("respond_error", id=s.p(1), code=6, retry=0, retry_after_ms=0,
    message="abc" + "😀" * 200, tx=[Error(s.p(1), 6, message="abc" + "😀" * 127)])])
eb("own-unimplemented", "An application that does not know the method says so.", "positive", "20-5- 20-5+",
    lambda s: [rx(request(s.p(1), method=0x7777), ev=[e_request(s.p(1), method=0x7777)]),
    do("respond_error", id=s.p(1), code=5, retry=0, retry_after_ms=0, message="", tx=[Error(s.p(1), 5)])])
eb("own-invalid", "An application whose method cannot read the body says so.", "positive", "20-6- 20-6+",
    lambda s: [asked(s, body=b"\xff"), do("respond_error", id=s.p(1), code=6, retry=0, retry_after_ms=0, message="",
    tx=[Error(s.p(1), 6)])])
eb("own-core-errors-have-hint-0", "INTERNAL of the core has hint 0 and no time.", "positive", "20-7+ 20-7-",
    lambda s: [asked(s), do("fail", id=s.p(1), tx=[Error(s.p(1), 1, 0, 0)])])
e.case("own-reject-message-cut", "The message of Reject is cut as well.", DECIDING, "positive", "20-8-",
    [do("reject", code=26, retry_after_ms=0, message="é" * 400, end=refused("CLAIM_REFUSED"))])
