"""Section 8: Hello, Welcome, Reject, who may be let in, and how a handshake fails."""
from .story import *
from .wire import *

g = Group("handshake", "Hello and Welcome: offers, limits, application parts, refusals, timers.")
ASKED = [event("hello", app=b"hi")]
GO = dict(app=b"ok", tx=[Welcome()], ev=[e_open()])


def hello_bad(name, about, class_, covered, made, code):
    g.case(name, about, NEW_ROUTER, class_, covered, [rx(preface(), made, end=refused(code))])


def hello_good(name, about, covered, made, welcome_=None, class_="positive", app=b"hi", **open_):
    g.case(name, about, NEW_ROUTER, class_, covered,
           [rx(preface(), made, ev=[event("hello", app=app)]),
            do("accept", app=b"ok", tx=[welcome_ or Welcome()], ev=[e_open(**open_)]), alive()])


def welcome_bad(name, about, class_, covered, made, code, preset=NEW_WORKER):
    g.case(name, about, preset, class_, covered, [rx(preface(), made, end=bad(code))])


def welcome_good(name, about, covered, made, class_="positive", preset=NEW_WORKER, **open_):
    g.case(name, about, preset, class_, covered, [rx(preface(), made, ev=[e_open(**open_)]), alive()])


# ---- offers in Hello
hello_bad("no-versions", "An offer without a version.", "invalid", "8-4- 8-21-", hello(versions=()), "BAD_OFFER")
hello_bad("major-twice-same-minor", "The same version twice.", "invalid", "8-5-", hello(versions=((3, 0), (3, 0))),
    "BAD_OFFER")
hello_bad("major-twice-other-minor", "One major with two minors: it is not said which is meant.", "invalid", "8-5-",
          hello(versions=((3, 0), (3, 1))), "BAD_OFFER")
hello_bad("unknown-major-twice", "A major that the router does not have, twice.", "invalid", "8-5-",
          hello(versions=((3, 0), (9, 0), (9, 1))), "BAD_OFFER")
hello_bad("nine-versions", "Nine versions are more than the list may have.", "malformed", "5-5-",
          hello(versions=tuple((n, 0) for n in range(1, 10))), "MALFORMED")
hello_good("eight-versions", "Eight versions, one of them the router's.", "8-9+ 8-4+ 8-5+ 5-5+",
    hello(versions=tuple((n, n) for n in range(1, 9))), Welcome(version=[3, 0]), version=[3, 0])
hello_good("later-minor", "A worker of a later minor gets the router's.", "8-9+ 8-10+ 25-2+", hello(versions=((3, 7),)),
    Welcome(version=[3, 0]), version=[3, 0])
hello_good("largest-minor", "The largest minor there is.", "8-9+", hello(versions=((3, 65535),)),
    Welcome(version=[3, 0]))
hello_good("versions-descending", "The order of versions has no meaning: 4 before 3.", "8-9+",
    hello(versions=((4, 0), (3, 0))), Welcome(version=[3, 0]))
hello_good("versions-ascending", "The order of versions has no meaning: 3 before 4.", "8-9+",
    hello(versions=((3, 0), (4, 2))), Welcome(version=[3, 0]))
hello_bad("only-other-major", "A worker of major 4 alone.", "invalid", "8-10-", hello(versions=((4, 0),)),
    "UNSUPPORTED_VERSION")
hello_bad("only-older-major", "A worker of major 2 alone.", "invalid", "8-10-", hello(versions=((2, 9),)),
    "UNSUPPORTED_VERSION")
hello_bad("major-zero", "Major 0 is a number like any other: not common.", "invalid", "8-10-",
    hello(versions=((0, 0),)), "UNSUPPORTED_VERSION")
hello_bad("many-majors-none-common", "Eight majors, none of them 3.", "invalid", "8-10-",
          hello(versions=tuple((n, 0) for n in range(4, 12))), "UNSUPPORTED_VERSION")
hello_bad("compression-twice", "A compression named twice.", "invalid", "8-6-", hello(compression=(1, 1)), "BAD_OFFER")
hello_bad("unknown-compression-twice", "An unknown compression named twice.", "invalid", "8-6-",
    hello(compression=(9, 1, 9)), "BAD_OFFER")
hello_bad("compression-none-offered", "Compression 0 is always allowed and never offered.", "invalid", "8-7-",
    hello(compression=(0,)), "BAD_OFFER")
hello_bad("compression-none-among-others", "Compression 0 behind others.", "invalid", "8-7-", hello(compression=(1, 0)),
    "BAD_OFFER")
hello_bad("nine-compressions", "Nine compressions are more than the list may have.", "malformed", "5-5-",
          hello(compression=tuple(range(1, 10))), "MALFORMED")
hello_good("eight-unknown-compressions", "Unknown compressions are ignored.", "8-8- 8-6+ 8-7+ 8-11+",
    hello(compression=tuple(range(200, 208))), Welcome(compression=[]), compression=[])
hello_good("compression-255", "The highest compression number is unknown, and ignored.", "8-8-",
    hello(compression=(255,)), Welcome(compression=[]), compression=[])
hello_good("unknown-features", "Unknown feature bits are ignored, and not agreed.", "8-8- 8-11+",
    hello(features=0xFFFFFFFF), Welcome(features=1), features=1)
hello_good("only-unknown-features", "Only unknown feature bits: none is agreed.", "8-8- 8-11+",
    hello(features=0xFFFFFFFE), Welcome(features=0), features=0)
hello_good("no-features", "A worker without cancellation: it is not agreed.", "8-11+", hello(features=0),
    Welcome(features=0), features=0)

# ---- limits of Hello, one condition each
for name, about, covered, lim in (("frame-below-floor", "max_frame 16,383.", "8-16-", limits(16383, 16384, 32768)),
    ("frame-zero", "max_frame 0.", "8-16-", limits(0)), ("body-below-frame", "max_body one below max_frame.", "8-17-",
    limits(262144, 262143, 1 << 20)), ("body-zero", "max_body 0.", "8-17-", limits(16384, 0, 1 << 20)),
    ("budget-below-twice", "work_budget one below twice max_body.", "8-18-", limits(16384, 16384, 32767)),
    ("budget-of-once", "work_budget of max_body once.", "8-18-", limits(16384, 1 << 20, 1 << 20)),
    ("budget-zero", "work_budget 0.", "8-18-", limits(16384, 16384, 0)),
    ("budget-twice-wraps", "max_body 2^31: twice that does not fit 32 bits, and work_budget 0 is still too little.",
    "8-18-", limits(16384, 1 << 31, 0)), ("budget-below-twice-largest",
    "max_body 2^32 - 1 and work_budget one below twice that.", "8-18-",
    limits(16384, (1 << 32) - 1, 2 * ((1 << 32) - 1) - 1)), ("concurrent-zero", "max_concurrent 0.", "8-19-",
    limits(max_concurrent=0)), ("all-zero", "All four limits 0.", "8-16-", limits(0, 0, 0, 0))):
    hello_bad(f"hello-{name}", f"Hello with {about}", "invalid", covered, hello(lim=lim), "BAD_LIMITS")
    welcome_bad(f"welcome-{name}", f"Welcome with {about}", "invalid", f"8-20- {covered}", welcome(lim=lim),
        "BAD_LIMITS")
for name, about, covered, lim in (("floors", "all limits at their floors.", "8-16+ 8-17+ 8-18+ 8-19+",
    limits(16384, 16384, 32768, 1)), ("largest", "all limits at the largest values of their types.",
    "8-16+ 8-17+ 8-18+ 8-19+", limits((1 << 32) - 1, (1 << 32) - 1, (1 << 64) - 1, (1 << 32) - 1)),
    ("exactly-twice", "max_body 2^32 - 1 and work_budget exactly twice that.", "8-18+",
    limits(16384, (1 << 32) - 1, 2 * ((1 << 32) - 1))), ("body-equals-frame",
    "max_body equal to a max_frame above the floor.", "8-17+", limits(1 << 20, 1 << 20, 1 << 21)),
    ("far-above-ours", "limits far above the receiver's own, which obliges it to nothing.", "8-16+",
    limits(1 << 30, 1 << 31, 1 << 50, 1 << 20))):
    hello_good(f"hello-{name}", f"Hello with {about}", covered, hello(lim=lim))
    welcome_good(f"welcome-{name}", f"Welcome with {about}", f"8-20+ {covered}", welcome(lim=lim))

# ---- application part, extensions
hello_good("app-empty", "An empty application part.", "5-5+", hello(app=b""), app=b"")
hello_good("app-longest", "An application part of 4,096 bytes.", "5-5+", hello(app=b"a" * 4096), app=b"a" * 4096)
hello_bad("app-too-long", "An application part of 4,097 bytes.", "malformed", "5-5-", hello(app=b"a" * 4097),
    "MALFORMED")
hello_good("app-binary", "An application part is bytes, not text.", "5-4+", hello(app=bytes(range(256))),
    app=bytes(range(256)))
welcome_good("welcome-app-empty", "Welcome with an empty application part.", "5-5+", welcome(app=b""), app=b"")
welcome_bad("welcome-app-too-long", "Welcome with an application part of 513 bytes.", "malformed", "5-5-",
    welcome(app=b"a" * 513), "MALFORMED")
hello_good("hello-grease-ext", "Hello with a grease extension.", "18-4- 18-8-", hello(ext=[(0xCACA, b"")]))
hello_good("hello-reserved-capacity", "Hello with tag 2, reserved for a later minor: it counts as absent.", "18-4-",
    hello(ext=[(2, b"\x05\xff")]))
welcome_good("welcome-reserved-lease", "Welcome with tag 3, reserved for a later minor: it counts as absent.", "18-4-",
    welcome(ext=[(3, b"\x01")]))
hello_good("hello-trace-means-nothing", "A trace context in Hello has no meaning there.", "18-4-", hello(ext=trace()))

# ---- what Welcome may choose
welcome_bad("welcome-other-major", "Welcome chooses a major that was not offered.", "invalid", "8-12- 8-22-",
    welcome(version=(4, 0)), "BAD_WELCOME")
welcome_bad("welcome-older-major", "Welcome chooses an older major that was not offered.", "invalid", "8-12-",
    welcome(version=(2, 0)), "BAD_WELCOME")
welcome_bad("welcome-higher-minor", "Welcome chooses a minor above the offered one.", "invalid", "8-12-",
    welcome(version=(3, 1)), "BAD_WELCOME")
welcome_bad("welcome-version-zero", "Welcome chooses version 0.0.", "invalid", "8-12-", welcome(version=(0, 0)),
    "BAD_WELCOME")
welcome_bad("welcome-feature-not-offered", "Welcome sets an unknown feature bit.", "invalid", "8-13-",
    welcome(features=3), "BAD_WELCOME")
welcome_bad("welcome-high-feature", "Welcome sets the highest feature bit.", "invalid", "8-13-",
    welcome(features=1 << 31 | 1), "BAD_WELCOME")
welcome_bad("welcome-cancellation-not-offered", "Welcome sets cancellation, which this worker has not offered.",
    "invalid", "8-13-", welcome(features=1), "BAD_WELCOME", Preset("worker", "new", "no-cancel", features=0))
welcome_good("welcome-fewer-features", "Welcome leaves an offered feature out.", "8-13+", welcome(features=0),
    features=0)
welcome_bad("welcome-compression-not-offered", "Welcome names zstd, which was not offered.", "invalid", "8-14-",
    welcome(compression=(1,)), "BAD_WELCOME")
welcome_bad("welcome-compression-none", "Welcome names compression 0, which is never offered.", "invalid", "8-14-",
    welcome(compression=(0,)), "BAD_WELCOME")
welcome_bad("welcome-unknown-compression", "Welcome names an unknown compression.", "invalid", "8-14-",
    welcome(compression=(77,)), "BAD_WELCOME")
ZSTD = Preset("worker", "new", "zstd", compression=(1,))
g.case("welcome-compression-twice", "Welcome names an offered compression twice.", ZSTD, "invalid", "8-15-",
       [rx(preface(), welcome(compression=(1, 1)), end=bad("BAD_WELCOME"))], requires="zstd")
g.case("welcome-compression-agreed", "Welcome names the offered compression.", ZSTD, "positive", "8-14+ 8-15+",
       [rx(preface(), welcome(compression=(1,)), ev=[e_open(compression=[1])]), alive()], requires="zstd")
g.case("welcome-compression-left-out", "Welcome leaves the offered compression out.", ZSTD, "positive", "8-14+",
       [rx(preface(), welcome(), ev=[e_open(compression=[])]), alive()], requires="zstd")
g.case("hello-compression-agreed", "A router with zstd agrees to it, and to nothing else that was offered.",
       Preset("router", "new", "zstd", compression=(1,)), "positive", "8-11+ 8-8- 8-8+",
       [rx(preface(), hello(compression=(9, 1, 200)), ev=ASKED),
        do("accept", app=b"ok", tx=[Welcome(compression=[1])], ev=[e_open(compression=[1])])], requires="zstd")
welcome_good("welcome-in-order", "A Welcome as the document's example.", "8-12+ 8-13+ 8-20+", welcome(), version=[3, 0],
    features=1, app=b"ok")

# ---- order of checks
hello_bad("order-ext-first", "Too long extensions come before an empty offer.", "invalid", "22-1+ 18-1-",
    hello(versions=(), ext=[(9, bytes(513))]), "BAD_EXTENSIONS")
hello_bad("order-offer-before-limits", "An empty offer comes before bad limits.", "invalid", "22-1+ 8-4-",
    hello(versions=(), lim=limits(0)), "BAD_OFFER")
hello_bad("order-limits-before-version", "Bad limits come before a version that is not common.", "invalid",
    "22-1+ 8-16-", hello(versions=((9, 0),), lim=limits(0)), "BAD_LIMITS")
hello_bad("order-compression-before-limits", "A bad list of compressions comes before bad limits.", "invalid",
    "22-1+ 8-7-", hello(compression=(0,), lim=limits(0)), "BAD_OFFER")
hello_bad("order-malformed-first", "What does not decode is not checked further.", "malformed", "22-1+ 5-5-",
          hello(versions=(), app=b"a" * 4097), "MALFORMED")
welcome_bad("order-welcome-ext-first", "Welcome: extensions come before the version.", "invalid", "22-1+ 18-2-",
            welcome(version=(9, 0), ext=[(9, b""), (9, b"")]), "BAD_EXTENSIONS")
welcome_bad("order-welcome-choice-before-limits", "Welcome: what it chooses comes before its limits.", "invalid",
    "22-1+ 8-14-", welcome(compression=(9,), lim=limits(0)), "BAD_WELCOME")

# ---- the application decides
for code, name, covered in ((25, "UNAUTHORIZED", "8-29-"), (26, "CLAIM_REFUSED", "8-30-"),
    (27, "TOO_MANY_CONNECTIONS", "8-28-")):
    g.case(f"application-{name.lower().replace('_', '-')}", f"The application refuses with {name}.", DECIDING,
        "positive", covered, [do("reject", code=code, retry_after_ms=0, message="no", end=refused(name))])
g.case("application-retry-after", "The application's advice when to try again stands in Reject.", DECIDING, "positive",
    "8-30- 8-24+", [do("reject", code=26, retry_after_ms=2500, message="shard taken",
    end=refused("CLAIM_REFUSED", 2500))])
g.case("decision-takes-time", "A decision may take a while, but less than the handshake timer.", DECIDING, "liveness",
    "8-26+ 8-28+ 8-29+ 8-30+", [after(4900), do("accept", tx=[Welcome()], ev=[e_open()], app=b"ok"), alive()])
g.case("decision-too-late", "The handshake timer ends before the decision: Reject, with advice to come back. A later "
    "decision is void.", DECIDING, "liveness", "8-26-", [after(5000, end=refused("HANDSHAKE_TIMEOUT", 1000)),
    do("accept", app=b"ok")])
g.case("accept-then-open-requests", "A request directly behind Hello waits for Welcome, and is served then.",
    NEW_ROUTER, "positive", "8-1+ 8-2+", [rx(preface(), hello(), request(1, b"early"), ev=ASKED),
    do("accept", app=b"ok", tx=[Welcome()], ev=[e_open(), e_request(1, b"early")])])
g.case("bytes-behind-hello-wait", "What comes while the application decides is not looked at before Welcome, not "
    "even nonsense.", NEW_ROUTER, "malformed", "8-1- 8-2-", [rx(preface(), hello(), ev=ASKED),
    rx(B(b"\0\0\0\0", diag="a frame of length 0")), do("accept", app=b"ok", tx=[Welcome()], ev=[e_open()],
    end=bad("FRAME_EMPTY"))])
g.case("bytes-behind-hello-then-reject", "Nonsense behind Hello does not change that the application refuses.",
    NEW_ROUTER, "positive", "8-2-", [rx(preface(), hello(), b"\0\0\0\0", ev=ASKED),
    do("reject", code=26, retry_after_ms=0, end=refused("CLAIM_REFUSED"))])
g.case("large-body-behind-hello", "A body behind Hello larger than a read; it is complete after Welcome.", NEW_ROUTER,
    "positive", "8-1+", [rx(preface(), hello(), request(1, prng(150000)), ev=ASKED),
    do("accept", app=b"ok", tx=[Welcome()], ev=[e_open(), e_request(1, prng(150000))])])
g.case("hello-then-end", "The worker ended its stream behind Hello: it is answered all the same, and then gone.",
    NEW_ROUTER, "positive", "8-3- 8-3+", [rx(preface(), hello(), ev=ASKED), eof(),
    do("accept", app=b"ok", tx=[Welcome()], ev=[e_open()], end=gone())])
g.case("hello-then-end-refused", "The worker ended its stream behind Hello, and is refused.", NEW_ROUTER, "positive",
    "8-3-", [rx(preface(), hello(), ev=ASKED), eof(), do("reject", code=25, retry_after_ms=0,
    end=refused("UNAUTHORIZED"))])
g.case("bad-hello-then-end", "A Hello that is refused by the core, and the end of the stream behind it.", NEW_ROUTER,
    "invalid", "8-21- 8-3-", [rx(preface(), hello(versions=((9, 0),)), end=refused("UNSUPPORTED_VERSION")), eof()])
g.case("half-hello-then-end", "The stream ends within Hello.", NEW_ROUTER, "positive", "2-10- 2-8+",
    [rx(preface(), hello().cut(0, 20)), eof(end=gone())])
g.case("decision-after-close", "The application decides after the connection has ended by a timer; nothing happens.",
    DECIDING, "liveness", "8-26-", [after(5000, end=refused("HANDSHAKE_TIMEOUT", 1000)),
    do("reject", code=26, retry_after_ms=0, message=""), rx(ping(1))])

# ---- timers
g.both("timer-nothing", "Nothing comes: the handshake timer ends it, without a word.", "liveness", "8-25- 8-27-",
       lambda s: [after(4999 if s.role == "router" else 9999), after(1, end=silent("HANDSHAKE_TIMEOUT"))], stage="new")
g.both("timer-half-preface", "Half a preface: the timer ends it without a word.", "liveness", "8-25- 8-27-",
    lambda s: [rx(preface().cut(0, 7)), after(5000 if s.role == "router" else 10000, end=silent("HANDSHAKE_TIMEOUT"))],
    stage="new")
g.case("timer-preface-only", "The preface, and no Hello: Reject says so.", NEW_ROUTER, "liveness", "8-26-",
       [rx(preface()), after(5000, end=refused("HANDSHAKE_TIMEOUT", 1000))])
g.case("timer-half-hello", "Half a Hello: Reject says so.", NEW_ROUTER, "liveness", "8-26-",
       [rx(preface(), hello().cut(0, 12)), after(5000, end=refused("HANDSHAKE_TIMEOUT", 1000))])
g.case("timer-counts-from-start", "Bytes do not restart the handshake timer of a router: one byte a second.",
    NEW_ROUTER, "liveness", "8-26- 8-25+", [one for at in range(4) for one
    in (rx(B(preface(), hello()).cut(3 * at, 3 * at + 3)), after(1000))]
    + [rx(B(preface(), hello()).cut(12, 15)), after(1000, end=refused("HANDSHAKE_TIMEOUT", 1000))])
g.case("timer-worker-preface-only", "A worker that got the preface, but neither Welcome nor Reject, leaves without a "
    "word.", NEW_WORKER, "liveness", "8-27-", [rx(preface()), after(10000, end=silent("HANDSHAKE_TIMEOUT"))])
g.case("timer-worker-half-welcome", "A worker that got half a Welcome leaves without a word.", NEW_WORKER, "liveness",
    "8-27-", [rx(preface(), welcome().cut(0, 12)), after(9999), after(1, end=silent("HANDSHAKE_TIMEOUT"))])
g.both("timer-stops", "After the handshake its timer has no meaning.", "liveness", "8-26+ 8-27+",
       lambda s: [after(9999), alive(1), after(9999), alive(2)])

# ---- Reject
for code, name in ((20, "timeout"), (21, "unsupported-version"), (22, "bad-limits"), (25, "unauthorized"),
    (26, "claim-refused"), (27, "too-many-connections"), (3, "internal"), (0, "normal")):
    g.case(f"reject-{name}", f"A worker takes a Reject with code {code}, and sends nothing more.", NEW_WORKER,
        "positive", "8-23- 8-23+", [rx(preface(), reject(code, message=b"because"),
        end=end(code, by="peer", wire="none")), rx(ping(1)), after(15000)])
for code, name in ((999, "unknown"), (40000, "private"), (65535, "highest"), (30, "id-zero"), (5, "unassigned")):
    g.case(f"reject-code-{name}", f"A Reject with the odd code {code} is taken like any other.", NEW_WORKER, "positive",
        "8-31-", [rx(preface(), reject(code), end=end(code, by="peer", wire="none"))])
g.case("reject-retry-after", "A Reject with a time.", NEW_WORKER, "positive", "8-24-",
       [rx(preface(), reject(27, after=4294967295), end=told("TOO_MANY_CONNECTIONS"))])
g.case("reject-message-longest", "A Reject with a message of 512 bytes and an extension.", NEW_WORKER, "positive",
    "5-5+", [rx(preface(), reject(26, message=b"m" * 512, ext=[(0x1A1A, b"x")]), end=told("CLAIM_REFUSED"))])
welcome_bad("reject-message-too-long", "A Reject with a message of 513 bytes does not decode: the worker closes for "
    "that.", "malformed", "5-5- 8-22-", reject(message=b"m" * 513), "MALFORMED")
welcome_bad("reject-message-not-utf8", "A Reject whose message is not UTF-8.", "malformed", "5-4- 8-22-",
    reject(message=b"\xff"), "MALFORMED")
welcome_bad("reject-bad-extensions", "A Reject with the same tag twice.", "invalid", "18-2- 8-22-",
    reject(ext=[(7, b""), (7, b"")]), "BAD_EXTENSIONS")
g.case("reject-then-more", "Bytes behind Reject are discarded.", NEW_WORKER, "positive", "16-16- 8-23+",
       [rx(preface(), reject(), welcome(), b"\0\0\0\0", end=told("CLAIM_REFUSED")), rx(b"\0\0\0\0")])
g.case("reject-then-end", "Reject and the end of the stream: Reject is the reason.", NEW_WORKER, "positive",
    "8-23+ 16-1+", [rx(preface(), reject(), end=told("CLAIM_REFUSED")), eof()])
g.case("worker-end-before-welcome", "The router ended its stream before Welcome.", NEW_WORKER, "positive", "2-8+",
    [rx(preface()), eof(end=gone())])
g.case("worker-end-in-welcome", "The router ended its stream within Welcome.", NEW_WORKER, "positive", "2-10-",
       [rx(preface(), welcome().cut(0, 15)), eof(end=gone())])

# ---- the application ends it
g.case("worker-closes-before-welcome", "A worker whose application gives up while it awaits Welcome.", NEW_WORKER,
    "positive", "16-19+ 8-32+ 8-32-", [do("close", code=0, end=end("NORMAL", last=0))])
g.case("worker-closes-within-welcome", "It gives up when a part of Welcome has come.", NEW_WORKER, "positive",
    "16-20+ 8-32-", [rx(preface(), welcome().cut(0, 15)), do("close", code=3, end=end("INTERNAL", last=0))])
g.case("router-closes-while-deciding", "A router whose application ends everything while it should decide.", DECIDING,
    "positive", "16-20+ 8-33+ 8-33-", [do("close", code=3, end=end("INTERNAL", wire="reject"))])
g.case("router-closes-normally-while-deciding", "The code is the application's: a normal end.", DECIDING, "positive",
    "16-19+ 8-33-", [do("close", code=0, end=end("NORMAL", wire="reject"))])
g.both("open-then-normal", "A connection that is opened and closed.", "positive", "16-19- 16-1+",
    lambda s: [do("close", code=0, end=end("NORMAL", last=0))])
