"""Section 3: the first eight bytes."""
from .story import *
from .wire import *

g = Group("preface", "The first eight bytes of each side, and what a side does with any others.")
HELLO_SEEN = [event("hello", app=b"hi")]


def foreign(name, about, first, covered="3-3- 3-4-"):
    """What another protocol begins with, at both roles."""
    g.both(name, about, "malformed", covered, lambda s: [rx(B(first, diag=name), end=silent("BAD_PREFACE"))],
        stage="new")


# ---- in order
g.case("hello-follows", "A router that has the preface and Hello asks its application, and has sent nothing.",
    NEW_ROUTER, "positive", "3-3+ 3-2+ 3-1+", [rx(preface(), hello(), ev=HELLO_SEEN)])
g.case("router-silent-after-preface", "A router does not answer a preface before Hello is complete.", NEW_ROUTER,
       "positive", "3-2+ 3-4+", [rx(preface()), rx(hello(), ev=HELLO_SEEN)])
g.case("router-silent-in-hello", "All of Hello but its last byte brings nothing from a router; the last byte brings "
    "the question.", NEW_ROUTER, "positive", "3-2+", [rx(preface(), hello().cut(0, -1)),
    rx(hello().cut(-1), ev=HELLO_SEEN)])
g.case("router-preface-before-welcome", "A router's first bytes are the preface directly followed by Welcome.",
    DECIDING, "positive", "3-2+", [do("accept", app=b"ok", tx=[Welcome(version=[3, 0], app=b"ok")], ev=[e_open()]),
    alive()])
g.case("router-preface-before-reject", "A router's refusal is preceded by its preface.", DECIDING, "positive",
    "3-2+ 8-30+", [do("reject", code=26, retry_after_ms=0, end=refused("CLAIM_REFUSED"))])
g.case("router-preface-before-violation", "A violation in Hello is told with preface and Reject, although nothing "
    "was sent before.", NEW_ROUTER, "invalid", "8-21-", [rx(preface(), hello(versions=()), end=refused("BAD_OFFER"))])
g.case("worker-sends-first", "A worker speaks first: preface, directly followed by Hello.", NEW_WORKER, "positive",
    "3-1+", [rx(preface(), welcome(), ev=[e_open(app=b"ok")])])
g.case("worker-waits-for-welcome", "A right preface alone does not open a worker's connection.", NEW_WORKER, "positive",
    "3-3+", [rx(preface()), rx(welcome(), ev=[e_open()])])
g.both("slow-preface", "A preface that comes one byte a step is as good as one in one piece.", "positive", "3-3+ 2-1+",
       lambda s: [rx(preface().cut(at, at + 1)) for at in range(8)]
       + [rx(hello(), ev=HELLO_SEEN) if s.role == "router" else rx(welcome(), ev=[e_open()])], stage="new")
g.both("slow-preface-in-time", "Half a preface, a pause below the handshake timer, the other half.", "liveness",
    "3-3+ 8-25+ 8-27+", lambda s: [rx(preface().cut(0, 4)), after(4000), rx(preface().cut(4)), after(500),
    rx(hello(), ev=HELLO_SEEN) if s.role == "router" else rx(welcome(), ev=[e_open()])], stage="new")

# ---- compared as a whole
g.both("seven-wrong-bytes-wait", "Seven bytes are not judged, however wrong they are.", "malformed", "3-3+ 3-3-",
       lambda s: [rx(b"GET / H"), rx(b"T", end=silent("BAD_PREFACE"))], stage="new")
g.both("last-byte-decides", "Seven right bytes and a wrong eighth.", "malformed", "3-3- 3-4-",
       lambda s: [rx(preface().cut(0, 7)), rx(b"\x01", end=silent("BAD_PREFACE"))], stage="new")
g.both("first-byte-wrong", "One wrong bit in the first byte, the rest is right.", "malformed", "3-3-",
       lambda s: [rx(B(b"OOVA3\r\n\0"), end=silent("BAD_PREFACE"))], stage="new")
g.both("lower-case", "The preface is bytes, not text: lower case is wrong.", "malformed", "3-3-",
       lambda s: [rx(B(b"nova3\r\n\0"), end=silent("BAD_PREFACE"))], stage="new")
g.both("line-end-lf", "A link that turns CR LF into LF damages the preface.", "malformed", "3-3-",
       lambda s: [rx(B(b"NOVA3\n\0\x01"), end=silent("BAD_PREFACE"))], stage="new")
g.both("line-end-crcrlf", "A link that turns LF into CR LF damages the preface.", "malformed", "3-3-",
       lambda s: [rx(B(b"NOVA3\r\r\n\0"), end=silent("BAD_PREFACE"))], stage="new")
g.both("zero-stripped", "A link that drops zero bytes damages the preface.", "malformed", "3-3-",
       lambda s: [rx(B(b"NOVA3\r\n\x17"), end=silent("BAD_PREFACE"))], stage="new")
g.both("valid-frames-behind", "Nothing behind a wrong preface is looked at, not even a right preface and handshake.",
    "malformed", "3-3- 3-4-", lambda s: [rx(b"NOVA3\r\n\n", preface(), hello() if s.role == "router" else welcome(),
    end=silent("BAD_PREFACE")), rx(preface(), ping(1))], stage="new")
g.both("silent-afterwards", "After a wrong preface nothing is sent, whatever comes and however long it takes.",
    "malformed", "3-4-", lambda s: [rx(b"SSH-2.0-", end=silent("BAD_PREFACE")), rx(b"OpenSSH_9.6\r\n"), after(20000),
    eof()], stage="new")
g.both("twice", "A second preface is no preface: its first four bytes are a length that is too large.", "malformed",
    "4-2-", lambda s: [rx(preface(), preface(), end=s.bad("FRAME_TOO_LARGE"))], stage="new")
g.both("bit-order", "Byte order: the preface backwards is not the preface.", "malformed", "3-3-",
       lambda s: [rx(B(b"\0\n\r3AVON"), end=silent("BAD_PREFACE"))], stage="new")
g.both("leading-byte", "A byte too early shifts the preface.", "malformed", "3-3-",
       lambda s: [rx(b"\n", preface(), end=silent("BAD_PREFACE"))], stage="new")
g.both("byte-order-mark", "A byte order mark in front is a wrong preface.", "malformed", "3-3-",
       lambda s: [rx(b"\xef\xbb\xbf", preface(), end=silent("BAD_PREFACE"))], stage="new")

# ---- who else calls
foreign("tls-client", "A TLS ClientHello on a plain port.", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
foreign("tls-alert", "A TLS alert: the peer expected TLS.", b"\x15\x03\x03\x00\x02\x02\x46\x00")
foreign("http-get", "A browser.", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
foreign("http-post", "An HTTP client that posts.", b"POST /rpc HTTP/1.1\r\n")
foreign("http2", "The HTTP/2 preface.", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
foreign("http-response", "An HTTP server that answers.", b"HTTP/1.1 400 Bad Request\r\n")
foreign("ssh", "An SSH banner.", b"SSH-2.0-OpenSSH_9.6\r\n")
foreign("version-2", "Version 2 of Nova's RPC: a little-endian length and CBOR.", b"\x2a\x01\x00\x00\xa1\x65Hello")
foreign("major-2", "The preface of another major, 2.", b"NOVA2\r\n\0")
foreign("major-4", "The preface of another major, 4.", b"NOVA4\r\n\0")
foreign("major-two-digits", "A digit behind the major.", b"NOVA30\r\n\0")
foreign("zeros", "Eight zero bytes.", bytes(8))
foreign("ones", "Eight bytes 0xff.", b"\xff" * 8)
foreign("frame-without-preface", "A peer that forgets the preface and begins with a frame.", ping(1).plain()
    + b"\0\0\0")
foreign("dns-over-tcp", "Anything else: bytes that no rule of the table knows.",
    b"\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00")

# ---- ends
g.both("nothing-then-end", "A stream without a byte has ended without Close; it is not a wrong preface.", "positive",
    "3-3+ 2-8+ 16-1+", lambda s: [eof(end=gone())], stage="new")
g.both("one-byte-then-end", "A right byte and the end of the stream: no wrong preface.", "positive", "3-3+ 2-10-",
       lambda s: [rx(b"N"), eof(end=gone())], stage="new")
g.both("seven-bytes-then-end", "Seven right bytes and the end of the stream: no wrong preface.", "positive",
    "3-3+ 2-10-", lambda s: [rx(preface().cut(0, 7)), eof(end=gone())], stage="new")
g.both("wrong-byte-then-end", "One wrong byte and the end: there will be no eight, so it is judged now.", "malformed",
    "3-3-", lambda s: [rx(b"G"), eof(end=silent("BAD_PREFACE"))], stage="new")
g.both("part-wrong-then-end", "Right bytes, then a wrong one, then the end: judged now.", "malformed", "3-3-",
       lambda s: [rx(b"NOVA4"), eof(end=silent("BAD_PREFACE"))], stage="new")
g.both("preface-then-end", "The whole preface and the end of the stream: ended without Close.", "positive",
    "2-8+ 16-1+", lambda s: [rx(preface()), eof(end=gone())], stage="new")
