"""Section 4: lengths, kinds, places, and when a frame is examined."""
from .story import *
from .wire import *

g = Group("frames", "Lengths, kinds known and unknown, which frame may come when, and when a frame is examined.")


def length(count):
    return B(count.to_bytes(4, "little"), diag=f"length {count}")


def both(name, about, class_, covered, story, **more):
    g.both(name, about, class_, covered, story, **more)


# ---- length
both("length-zero", "A length of 0 does not even hold a kind.", "malformed", "4-1- 16-12+",
    lambda s: [rx(length(0), end=s.bad("FRAME_EMPTY"))])
both("length-zero-after-frame", "A length of 0 behind a good frame: the good frame is examined first; its answer may "
    "be lost.", "malformed", "4-1- 22-1+", lambda s: [rx(ping(5), length(0), tx=[may(Pong(5))],
    end=s.bad("FRAME_EMPTY"))])
both("length-one", "A length of 1 holds the kind and no header: the header of a Ping is lacking.", "malformed",
    "4-1+ 5-3-", lambda s: [rx(length(1), b"\x20", end=s.bad("MALFORMED"))])
both("length-one-grease", "A length of 1 is enough for a frame that is skipped.", "positive", "4-1+ 4-5-",
     lambda s: [rx(unknown(0xCA, b"")), alive()])
both("length-zero-awaiting", "A length of 0 where the handshake frame should be.", "malformed", "4-1- 8-21- 8-22-",
     lambda s: [rx(preface(), length(0), end=s.bad("FRAME_EMPTY"))], stage="new")
both("length-max-frame", "A frame of exactly the receiver's max_frame.", "positive", "4-2+",
    lambda s: [rx(request(s.p(1), fill(0x61, 16384 - 11), reply_max=0), ev=[e_request(s.p(1), fill(0x61, 16384 - 11))]),
    alive()], variant="least-frame", lim=dict(max_frame=16384))
both("length-over-max-frame", "A length one above the receiver's max_frame ends the connection with the fourth byte.",
    "exhaustion", "4-2-", lambda s: [rx(length(16385), end=s.bad("FRAME_TOO_LARGE"))], variant="least-frame",
    lim=dict(max_frame=16384))
both("length-over-before-kind", "Only the length has come: the kind is not needed to refuse it.", "exhaustion",
    "4-2- 4-11+", lambda s: [rx(length(262145), end=s.bad("FRAME_TOO_LARGE"))])
both("length-2-31", "A length that is negative if read with a sign.", "exhaustion", "4-2- 4-12-",
     lambda s: [rx(length(1 << 31), end=s.bad("FRAME_TOO_LARGE"))])
both("length-2-32-1", "The largest length there is.", "exhaustion", "4-2- 4-12-",
     lambda s: [rx(length((1 << 32) - 1), end=s.bad("FRAME_TOO_LARGE"))])
both("length-big-endian", "A length in the wrong byte order is a large length.", "malformed", "4-2-",
     lambda s: [rx(B(b"\0\0\0\x02\x20\x01", diag="Ping with its length big-endian"), end=s.bad("FRAME_TOO_LARGE"))])
both("peers-max-frame-counts-not", "The limit is the receiver's own: that the sender accepts less itself does not "
    "matter.", "positive", "4-2+ 8-16+", lambda s: [rx(request(s.p(1), fill(0x61, 100000)),
    ev=[e_request(s.p(1), fill(0x61, 100000))]), alive()], variant="peer-least-frame", peer_lim=dict(max_frame=16384))
both("own-frames-within-peers-max", "Frames that the subject sends stay within the peer's max_frame, kind and header "
    "included.", "positive", "4-2+ 10-4+ 10-7+", lambda s: [rx(request(s.p(1), b"x", reply_max=60000),
    ev=[e_request(s.p(1), b"x")]), do("respond", id=s.p(1), body=prng(60000), tx=[Response(s.p(1), prng(60000))]),
    alive()], variant="peer-least-frame", peer_lim=dict(max_frame=16384))
both("own-request-within-peers-max", "A Request whose body just does not fit one frame of the peer's is cut, in "
    "parts of 4,096 or more.", "positive", "4-2+ 10-4+", lambda s: [do("call", call="a", method=0x0300,
    body=prng(16384), reply_max=100, deadline_ms=0, tx=[Request(s.o(1), prng(16384))])], variant="peer-least-frame",
    peer_lim=dict(max_frame=16384))

g.case("hello-longest", "A Hello frame of exactly 16,384 bytes: most of it is grease extensions, which may have 512 "
    "bytes.", NEW_ROUTER, "malformed", "4-2+ 4-9+ 18-1-", [rx(preface(),
    frame(HELLO, hello(ext=[(0x4A4A, bytes(16384 - 24 - 3 - 4 + 2))]).plain()[5:], diag="Hello of 16,384 bytes"),
    end=refused("BAD_EXTENSIONS"))])
g.case("hello-too-long", "A length of 16,385 while a router awaits Hello is refused with its fourth byte.", NEW_ROUTER,
    "exhaustion", "4-2- 8-21-", [rx(preface(), length(16385), end=refused("FRAME_TOO_LARGE"))])
g.case("welcome-longest", "A Welcome of 1,024 bytes: a full application part, and extensions that fill the rest.",
    NEW_WORKER, "positive", "4-2+ 4-3+", [rx(preface(), welcome(app=fill(0x6F, 512).plain(),
    ext=[(0x4A4A, bytes(480))]), ev=[e_open(app=b"o" * 512)]), alive()])
g.case("welcome-too-long", "A length of 1,025 while a worker awaits Welcome is refused with its fourth byte.",
    NEW_WORKER, "exhaustion", "4-2- 8-22-", [rx(preface(), length(1025), end=bad("FRAME_TOO_LARGE"))])
g.case("reject-too-long", "The bound of the state holds for Reject as well.", NEW_WORKER, "exhaustion", "4-2-",
       [rx(preface(), length(1500), b"\x03", end=bad("FRAME_TOO_LARGE"))])

# ---- second bound: frames without a body
for name, made in (("error", ERROR), ("cancel", CANCEL), ("ack", ACK), ("ping", PING), ("pong", PONG),
    ("goaway", GOAWAY), ("close", CLOSE)):
    both(f"{name}-over-1024", f"A length of 1,025 of a frame without a body ({NAMES[made]}) is refused with its kind.",
        "exhaustion", "4-3-", lambda s, made=made: [rx(length(1025)), rx(bytes([made]), end=s.bad("FRAME_TOO_LARGE"))])
both("ping-of-1024", "A Ping of 1,024 bytes is within the bound, but has bytes behind its header.", "malformed",
    "4-3+ 4-10-", lambda s: [rx(ping(1, bytes(1022)), end=s.bad("MALFORMED"))])
both("place-before-length", "Place comes before the second bound: a long Welcome in an open connection has no place.",
    "invalid", "22-1+ 4-8-", lambda s: [rx(length(5000), b"\x02", end=s.bad("UNEXPECTED_FRAME"))])
both("first-bound-before-kind", "The first bound comes before the kind: a long frame of an unknown critical kind is "
    "too large.", "exhaustion", "22-1+ 4-2-", lambda s: [rx(length(262145), b"\x7f", end=s.bad("FRAME_TOO_LARGE"))])

# ---- bytes behind the header
for name, made in (("ping", ping(1, b"\0")), ("pong", None), ("ack", ack(65536, b"\0")), ("goaway", goaway(5, b"\0")),
                   ("close", close(0, 0, b"", b"\0")), ("cancel", cancel(0, b"\0")), ("error", None)):
    both(f"byte-behind-{name}", f"One byte behind the header of {name.capitalize()} is one too many; nothing else of "
        f"the frame is judged.", "malformed", "4-10- 22-1+", lambda s, name=name,
        made=made: [rx(made or {"pong": pong(9, b"\0"), "error": error(s.o(1), tail=b"\0")}[name],
        end=s.bad("MALFORMED"))])
g.case("byte-behind-hello", "One byte behind the header of Hello.", NEW_ROUTER, "malformed", "4-10- 8-21-",
       [rx(preface(), hello(tail=b"\0"), end=refused("MALFORMED"))])
g.case("byte-behind-welcome", "One byte behind the header of Welcome.", NEW_WORKER, "malformed", "4-10- 8-22-",
       [rx(preface(), welcome(tail=b"\0"), end=bad("MALFORMED"))])
g.case("byte-behind-reject", "One byte behind the header of Reject: it is malformed, so the worker closes for that.",
    NEW_WORKER, "malformed", "4-10- 8-22-", [rx(preface(), reject(tail=b"\0"), end=bad("MALFORMED"))])
both("body-behind-request", "Request may have bytes behind its header: they are its body.", "positive", "4-10+",
     lambda s: [rx(request(s.p(1), b"body"), ev=[e_request(s.p(1), b"body")]), alive()])

# ---- unknown kinds
for kind in (0x00, 0x04, 0x0F, 0x16, 0x1F, 0x24, 0x42, 0x7F):
    both(f"critical-{kind:02x}", f"Kind {kind:#04x} is not known, and may not be skipped: it is not above 0x7f.",
        "invalid", "4-4-", lambda s, kind=kind: [rx(unknown(kind, b"?"), end=s.bad("UNKNOWN_KIND"))])
for kind, why in ((0x80, "the lowest kind that may be skipped"), (0x8A, "grease"),
    (0x90, "a kind that a later minor may assign"), (0xFA, "grease"), (0xFF, "the highest kind")):
    both(f"skipped-{kind:02x}", f"Kind {kind:#04x} ({why}) is skipped as a whole.", "positive", "4-5- 4-4+",
         lambda s, kind=kind: [rx(unknown(kind, b"anything at all")), alive()])
both("skipped-looks-like-frames", "What a skipped frame contains is not looked at, even if it looks like frames.",
    "positive", "4-5- 18-8-", lambda s: [rx(unknown(0xCA, close().plain() + request(0).plain() + b"\0\0\0\0")),
    alive()])
both("skipped-of-max-frame", "A skipped frame may be as long as any other.", "exhaustion", "4-5- 4-2+",
     lambda s: [rx(frame(0xAA, b"", fill(0, 16383))), alive()], variant="least-frame", lim=dict(max_frame=16384))
both("skipped-too-long", "A frame to skip that is longer than max_frame is too large.", "exhaustion", "4-2- 22-1+",
    lambda s: [rx(length(16385), b"\xaa", end=s.bad("FRAME_TOO_LARGE"))], variant="least-frame",
    lim=dict(max_frame=16384))
both("skipped-in-parts", "A frame that is skipped comes in parts, with time between them.", "positive", "4-5- 4-11+",
    lambda s: [rx(unknown(0xCA, bytes(5000)).cut(0, 3000)), after(3000), rx(unknown(0xCA, bytes(5000)).cut(3000)),
    alive()])
both("critical-is-known-at-kind", "An unknown critical kind ends the connection before the rest of its frame is there.",
    "invalid", "4-4- 4-11+", lambda s: [rx(length(10000), b"\x60", end=s.bad("UNKNOWN_KIND"))])
both("skipped-then-end", "The stream ends within a frame that is being skipped.", "positive", "2-10- 4-5-",
     lambda s: [rx(unknown(0xCA, bytes(50)).cut(0, 20)), eof(end=gone())])
both("unknown-before-open", "A frame of an ignorable kind before the connection is open ends it.", "invalid",
    "4-6- 18-7-", lambda s: [rx(preface(), unknown(0xCA), end=s.bad("UNKNOWN_KIND"))], stage="new")
both("critical-before-open", "A frame of an unknown critical kind before the connection is open ends it.", "invalid",
    "4-6- 4-4-", lambda s: [rx(preface(), unknown(0x50), end=s.bad("UNKNOWN_KIND"))], stage="new")
g.case("grease-right-behind-welcome", "A grease frame directly behind Welcome finds the connection open.", NEW_WORKER,
    "positive", "4-6+ 18-7+ 4-5-", [rx(preface(), welcome(), unknown(0xDA), ev=[e_open()]), alive()])
g.case("grease-right-behind-hello", "A grease frame behind Hello waits until Welcome is sent, and is skipped then.",
    NEW_ROUTER, "positive", "4-6+ 8-1+ 4-5-", [rx(preface(), hello(), unknown(0xDA), ev=[event("hello")]),
    do("accept", app=b"ok", tx=[Welcome()], ev=[e_open()]), alive()])

both("unknown-100", "100 frames of unknown kinds in a row are skipped.", "exhaustion", "4-7+ 4-5-",
    lambda s: [rx(unknown(0xCA, b"") * 100), alive()])
both("unknown-101", "The 101st frame of an unknown kind in a row ends the connection.", "exhaustion", "4-7-",
     lambda s: [rx(unknown(0xCA, b"") * 100), rx(unknown(0xCA, b""), end=s.bad("TOO_MANY_UNKNOWN"))])
both("unknown-101-at-its-kind", "The 101st is counted when its kind is there, not when it is complete.", "exhaustion",
    "4-7- 4-11+", lambda s: [rx(unknown(0xCA, b"") * 100), rx(length(9000)),
    rx(b"\x9a", end=s.bad("TOO_MANY_UNKNOWN"))])
both("unknown-reset", "A frame of a known kind between them begins the count anew.", "exhaustion", "4-7+",
     lambda s: [rx(unknown(0xCA, b"") * 100), rx(ping(1), tx=[Pong(1)]), rx(unknown(0xCA, b"") * 100), alive()])
both("unknown-kinds-counted-together", "The count is of all unknown kinds together, not of each.", "exhaustion", "4-7-",
    lambda s: [rx(unknown(0x8A, b"") * 50, unknown(0x9B, b"x") * 50),
    rx(unknown(0xFF, b""), end=s.bad("TOO_MANY_UNKNOWN"))])
both("unknown-time-does-not-reset", "Time between them does not begin the count anew.", "exhaustion", "4-7-",
     lambda s: [rx(unknown(0xCA, b"") * 60), after(5000), rx(unknown(0xCA, b"") * 40), after(5000),
                rx(unknown(0xCA, b""), end=s.bad("TOO_MANY_UNKNOWN"))])
both("unknown-critical-after-100", "A critical kind is UNKNOWN_KIND, also as the 101st.", "invalid", "4-4- 22-1+",
     lambda s: [rx(unknown(0xCA, b"") * 100), rx(unknown(0x44), end=s.bad("UNKNOWN_KIND"))])
both("unknown-reset-by-ignored-frame", "A frame that has no effect is of a known kind, and begins the count anew.",
    "exhaustion", "4-7+", lambda s: [rx(unknown(0xCA, b"") * 100), rx(goaway(60000)), rx(unknown(0xCA, b"") * 100),
    rx(goaway(60000)), rx(unknown(0xCA, b"") * 100), alive()])

# ---- place
for name, made in (("hello", hello()), ("welcome", welcome()), ("reject", reject())):
    both(f"{name}-when-open", f"{name.capitalize()} has no place in an open connection.", "invalid", "4-8-",
         lambda s, made=made: [rx(made, end=s.bad("UNEXPECTED_FRAME"))])
for name, made in (("welcome", welcome()), ("reject", reject()), ("request", request(1)), ("response", response(2)),
    ("chunk", chunk(1, b"x")), ("error", error(2)), ("cancel", cancel(1)), ("ack", ack(65536)), ("ping", ping(1)),
    ("pong", pong(1)), ("goaway", goaway(1)), ("close", close())):
    g.case(f"{name}-instead-of-hello", f"{made.diag} where a router awaits Hello.", NEW_ROUTER, "invalid",
        "4-8- 8-2- 8-21-", [rx(preface(), made, end=refused("UNEXPECTED_FRAME"))])
for name, made in (("hello", hello()), ("request", request(2)), ("response", response(1)), ("chunk", chunk(2, b"x")),
    ("error", error(1)), ("cancel", cancel(2)), ("ack", ack(65536)), ("ping", ping(1)), ("pong", pong(1)),
    ("goaway", goaway(1)), ("close", close())):
    g.case(f"{name}-instead-of-welcome", f"{made.diag} where a worker awaits Welcome.", NEW_WORKER, "invalid",
        "4-8- 8-22-", [rx(preface(), made, end=bad("UNEXPECTED_FRAME"))])
g.case("welcome-twice", "A second Welcome has no place.", NEW_WORKER, "invalid", "4-8-",
       [rx(preface(), welcome(), ev=[e_open()]), rx(welcome(), end=bad("UNEXPECTED_FRAME"))])
g.case("hello-twice", "A second Hello behind the first is read after Welcome, and has no place then.", NEW_ROUTER,
    "invalid", "4-8- 8-1-", [rx(preface(), hello(), hello(), ev=[event("hello")]),
    do("accept", app=b"ok", tx=[Welcome()], ev=[e_open()], end=bad("UNEXPECTED_FRAME"))])
both("place-before-header", "A frame without a place is refused with its kind; its header is not looked at.", "invalid",
    "4-8- 4-11+ 22-1+", lambda s: [rx(length(23)), rx(b"\x01", end=s.bad("UNEXPECTED_FRAME"))])

# ---- when a frame is examined
both("header-waits-for-window", "A Request of 2,000 bytes is not examined before 1,024 of them have come, though its "
    "header is short.", "invalid", "4-11+", lambda s: [rx(request(0, fill(0x61, 1980)).cut(0, 4 + 1023)),
    rx(request(0, fill(0x61, 1980)).cut(1027, 1028), end=s.bad("ID_ZERO"))])
both("header-short-frame-waits-for-all", "A frame of at most 1,024 bytes is not examined before its last byte.",
    "invalid", "4-11+", lambda s: [rx(request(0, b"x" * 500).cut(0, -1)),
    rx(request(0, b"x" * 500).cut(-1), end=s.bad("ID_ZERO"))])
both("request-opens-at-window", "A long Request opens with its first 1,024 bytes: it counts, though most of its "
    "frame is still to come.", "exhaustion", "4-11+", lambda s: [rx(request(s.p(1), prng(200000)).cut(0, 4 + 1024)),
    holds(served=1)])
both("body-arrives-in-pieces", "A Request of 200,000 bytes in five pieces.", "positive", "4-11+ 10-8+ 2-1+",
    lambda s: [rx(request(s.p(1), prng(200000)).cut(a, b)) for a, b
    in ((0, 2), (2, 1500), (1500, 70000), (70000, 199999))] + [rx(request(s.p(1), prng(200000)).cut(199999),
    ev=[e_request(s.p(1), prng(200000))])])
both("nothing-held-for-declared", "A Request declares 16 MiB and brings 4,096 bytes: memory follows what came.",
    "exhaustion", "4-12- 10-9+", lambda s: [rx(request(s.p(1), prng(4096), body_len=16 * MIB)),
    holds(served=1, held_max=2 * 4096 + 65536)])
both("length-declared-nothing-comes", "A frame of the largest length is declared, and nothing comes of it: only "
    "keepalive ends it.", "liveness", "4-12- 15-6-", lambda s: [rx(length(262144), b"\x10"),
    holds(served=0, held_max=0), after(10000, tx=[Ping()]), after(10000, end=s.bad("KEEPALIVE_TIMEOUT"))])
both("two-frames-one-read", "Three frames in one read are three frames.", "positive", "2-1+ 4-5+ 4-8+",
     lambda s: [rx(ping(1), unknown(), request(s.p(1), b"a"), tx=[Pong(1)], ev=[e_request(s.p(1), b"a")])])
both("header-window-is-fixed", "A header that would be complete with byte 1,025 is malformed: long extension list in "
    "a long Request.", "malformed", "4-9-", lambda s: [rx(request(s.p(1), fill(0x61, 4096),
    ext=[(0x4A4A, bytes(1100))]), end=s.bad("MALFORMED"))])
both("header-fills-window", "A header that reaches far into the window, and a body that begins within it.", "positive",
    "4-9+", lambda s: [rx(request(s.p(1), fill(0x61, 5000), ext=[(0x4A4A, bytes(500))]),
    ev=[e_request(s.p(1), fill(0x61, 5000))]), alive()])
both("error-header-at-1024", "An Error of 1,024 bytes whose message and extensions together fill it.", "positive",
    "4-3+ 4-9+", lambda s: [do("call", call="a", method=1, body=b"", reply_max=10, tx=[Request(s.o(1))]),
    rx(error(s.o(1), 6, 0, 0, b"m" * 512, [(0x4A4A, bytes(496))]), ev=[e_error("a", 6, message="m" * 512)])])
both("stream-ends-in-length", "The stream ends within a length.", "positive", "2-10- 2-8+",
    lambda s: [rx(b"\x02\0"), eof(end=gone())])
both("stream-ends-in-header", "The stream ends within a header: what could not be examined has no effect.", "positive",
    "2-10-", lambda s: [rx(request(s.p(1), b"hello").cut(0, -1)), eof(end=gone())])
both("stream-ends-in-zero-header", "The stream ends within a Request with id 0 of 2,000 bytes after 500: nothing was "
    "examined.", "positive", "2-10-", lambda s: [rx(request(0, bytes(1980)).cut(0, 500)), eof(end=gone())])
both("stream-ends-behind-frames", "Complete frames before the end of the stream are processed.", "positive",
    "2-8+ 2-8- 2-10+ 16-21+", lambda s: [rx(request(s.p(1), b"last"), ev=[e_request(s.p(1), b"last")]),
    eof(ev=[e_cancelled(s.p(1))], end=gone())])
both("close-then-end", "Close before the end of the stream is the reason; the end adds none.", "positive", "2-8+ 16-1+",
     lambda s: [rx(close(0), end=told("NORMAL")), eof()])
