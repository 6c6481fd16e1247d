"""Tables that loops make: nobody thought of these cases one by one."""
from .story import *
from .wire import *

CASES = dict(split=["whole"])
FRAMES = {   # a legal frame of each kind, from a peer that may send it in the state that `prepared` makes
    "request": lambda s: request(s.p(2), b"body", ext=trace()),
    "response": lambda s: response(s.o(1), b"body", ext=trace()),
    "chunk": lambda s: chunk(s.p(1), prng(4096, 1, 4096)),
    "error": lambda s: error(s.o(1), 6, 1, 250, b"message", trace()),
    "cancel": lambda s: cancel(s.p(1)),
    "ack": lambda s: ack(65536),
    "ping": lambda s: ping(300),
    "pong": lambda s: pong(300),
    "goaway": lambda s: goaway(5000),
    "close": lambda s: close(1, 300, b"message"),
}


def prepared(s):
    """One incomplete request of the peer's, one call of the subject's."""
    return [rx(request(s.p(1), prng(4096), body_len=8192 + 4096)), calls(s)]


def left(s):
    return [may(e_failed("a", False))]


# ---- every offer of versions against every list of the router's
t = Group("versions", "Lists of versions against lists of versions: the highest common major, the lower minor, or a "
    "refusal.", generated=True)
LISTS = [((3, 0),), ((3, 2),), ((2, 9), (3, 1)), ((4, 0),), ((3, 1), (4, 3)), ((2, 0), (4, 5), (3, 0)), ((3, 65535),),
    ((5, 1), (9, 9)), ((0, 0), (3, 0), (65535, 1))]


def name_of(versions):
    return "-".join(f"{major}m{minor}" for major, minor in versions)


for ours in LISTS:
    for theirs in LISTS:
        common = [major for major, _ in ours if major in dict(theirs)]
        preset = Preset("router", "new", "speaks-" + name_of(ours), versions=ours)
        needs = None if ours == ((3, 0),) else "other-versions"
        about = f"The router speaks {list(ours)}, the worker offers {list(theirs)}."
        name = f"{name_of(ours)}.{name_of(theirs)}"
        if common:
            agreed = [max(common), min(dict(ours)[max(common)], dict(theirs)[max(common)])]
            t.case(name, about, preset, "positive", "8-9+", [rx(preface(), hello(versions=theirs), ev=[event("hello")]),
                do("accept", app=b"ok", tx=[Welcome(version=agreed)], ev=[e_open(version=agreed)])], requires=needs,
                **CASES)
        else:
            t.case(name, about, preset, "invalid", "8-10-", [rx(preface(), hello(versions=theirs),
                end=refused("UNSUPPORTED_VERSION"))], requires=needs, **CASES)
for ours in LISTS:
    for chosen in ((3, 0), (3, 1), (3, 2), (4, 0), (4, 3), (2, 9), (65535, 1), (65535, 2)):
        preset = Preset("worker", "new", "speaks-" + name_of(ours), versions=ours)
        needs = None if ours == ((3, 0),) else "other-versions"
        right = dict(ours).get(chosen[0], -1) >= chosen[1]
        t.case(f"welcome.{name_of(ours)}.{name_of((chosen,))}",
            f"The worker offers {list(ours)}, Welcome says {chosen}.", preset, "positive" if right else "invalid",
            "8-12+" if right else "8-12-", [rx(preface(), welcome(version=chosen), ev=[e_open(version=list(chosen))]
            if right else None, end=None if right else bad("BAD_WELCOME"))], requires=needs, **CASES)

# ---- every frame cut at every byte, and the stream ended there; every header cut, with a length that agrees
t = Group("truncation", "Each kind of frame ended by the stream at every byte; and each header shortened to every "
    "length.", generated=True)
for kind, made in FRAMES.items():
    for role in ("router", "worker"):
        s = Preset(role)
        whole = made(s)
        if kind == "chunk": continue
        for at in range(len(whole)):
            t.case(f"{kind}.stream-{at}.{role}", f"The stream ends after {at} of {len(whole)} bytes of: {whole.diag}",
                s, "positive", "2-10-" if at else "2-8+", prepared(s)
                + [rx(whole.cut(0, at)) if at else alive(), eof(ev=left(s), end=gone())], **CASES)
        header = whole.plain()[5:] if kind not in ("request", "response") else whole.plain()[5:-4]
        for at in range(len(header)):
            t.case(f"{kind}.header-{at}.{role}", f"A header of {at} of {len(header)} bytes: {whole.diag}", s,
                "malformed", "5-3-", prepared(s) + [rx(frame(whole.plain()[4], header[:at]), ev=left(s),
                end=s.bad("MALFORMED", last=s.p(1)))], **CASES)
for role, made in (("router", hello(ext=[(0xCACA, b"xy")])), ("worker", welcome(ext=[(0xCACA, b"xy")])),
    ("worker", reject(26, 2000, b"shard taken"))):
    s, header = Preset(role, "new"), made.plain()[5:]
    kind = NAMES[made.plain()[4]].lower()
    for at in range(len(made)):
        t.case(f"{kind}.stream-{at}", f"The stream ends after {at} bytes of {kind}.", s, "positive", "2-10-" if at
            else "2-8+", [rx(preface(), made.cut(0, at)), eof(end=gone())], **CASES)
    for at in range(len(header)):
        t.case(f"{kind}.header-{at}", f"A header of {at} of {len(header)} bytes of {kind}.", s, "malformed", "5-3- "
            + ("8-21-" if role == "router" else "8-22-"), [rx(preface(), frame(made.plain()[4], header[:at]),
            end=s.bad("MALFORMED"))], **CASES)

# ---- every kind of frame in every state
PLACES = {("router", "new"): {HELLO}, ("worker", "new"): {WELCOME, REJECT}}
PLACES |= {(role, "open"): set(NAMES) - {HELLO, WELCOME, REJECT} for role in ("router", "worker")}
t = Group("places", "Every number of a frame's kind in every state: what has a place, what is skipped, what ends the "
    "connection.", generated=True)
for role in ("router", "worker"):
    for stage, states in (("new", "awaiting"), ("open", "open")):
        s = Preset(role, stage)
        for kind in range(256):
            if kind in PLACES[role, stage]: continue
            start = [preface()] if stage == "new" else []
            made = frame(kind, b"", b"???")
            if stage == "open" and kind >= 0x80: steps, covered, class_ = [rx(*start, made),
                alive()], "4-5-", "positive"
            else:
                code = "UNEXPECTED_FRAME" if kind in NAMES else "UNKNOWN_KIND"
                covered = "4-8-" if kind in NAMES else "4-6-" if stage == "new" else "4-4-"
                steps, class_ = [rx(*start, made, end=s.bad(code))], "invalid"
            t.case(f"{states}.{kind:02x}.{role}", f"Kind {kind:#04x} at a {role} that is {states}.", s, class_, covered,
                steps, **CASES)
SITUATIONS = {
    "idle": lambda s: ([], 0),
    "call-open": lambda s: ([calls(s)], 0),
    "request-running": lambda s: ([asked(s)], 1),
    "request-incomplete": lambda s: ([rx(request(s.p(1), prng(4096), body_len=12288))], 1),
    "request-answered": lambda s: ([asked(s), answers(s)], 1),
    "request-cancelled": lambda s: ([asked(s), rx(cancel(s.p(1)), ev=[e_cancelled(s.p(1))])], 1),
    "call-answered": lambda s: ([calls(s), rx(response(s.o(1), b"x"), ev=[e_ok("a", b"x")])], 0),
    "call-answer-incomplete": lambda s: ([calls(s), rx(response(s.o(1), prng(4096), body_len=12288))], 0),
    "draining": lambda s: ([asked(s), do("drain", deadline_ms=60000, tx=[GoAway(60000)])], 1),
    "peer-drains": lambda s: ([rx(goaway(60000))], 0),
}
# What each situation makes of: a Response to call 1, an Error for it, a part of its answer; a part of request 1, a
# Cancel of it, a second Request 1. Anything else is ID_NOT_OPEN, or in WRONG.
OUTCOMES = {"response": {"call-open": "ok"}, "error": {"call-open": "error", "call-answer-incomplete": "error"},
    "answer-chunk": {"call-answer-incomplete": "silent"}, "chunk": {"request-incomplete": "silent"},
    "cancel": {"request-running": "cancelled", "request-incomplete": "answered", "request-answered": "silent",
    "request-cancelled": "silent", "draining": "cancelled"}, "request-again": {},}
WRONG = {"request-again": {"request-running": "ID_ORDER", "request-incomplete": "ID_ORDER",
    "request-answered": "ID_ORDER", "request-cancelled": "ID_ORDER", "draining": "ID_ORDER",
    "peer-drains": "UNEXPECTED_FRAME"}}
COVERED = {"response": "9-5-", "error": "9-5-", "answer-chunk": "10-6-", "chunk": "10-5-", "cancel": "11-11-",
    "request-again": "9-3-"}
for role in ("router", "worker"):
    s = Preset(role)
    made = {"response": response(s.o(1), b"x"), "error": error(s.o(1), 6), "answer-chunk": chunk(s.o(1), prng(4096)),
        "chunk": chunk(s.p(1), prng(4096)), "cancel": cancel(s.p(1)), "request-again": request(s.p(1))}
    for situation, prepare in SITUATIONS.items():
        for name, data in made.items():
            steps, opened = prepare(s)
            outcome = OUTCOMES[name].get(situation)
            if name == "request-again" and situation not in WRONG[name]: continue
            if outcome is None:
                code = WRONG.get(name, {}).get(situation, "ID_NOT_OPEN")
                ends = [may(e_cancelled(s.p(1))), may(e_failed("a", False))]
                last = rx(data, ev=ends, end=s.bad(code, last=s.p(1) if opened else 0))
            else:
                events = {"ok": [e_ok("a", b"x")], "error": [e_error("a", 6)],
                    "cancelled": [e_cancelled(s.p(1))]}.get(outcome)
                last = rx(data, ev=events, tx=[Error(s.p(1), 2)] if outcome == "answered" else None)
            t.case(f"situation.{situation}.{name}.{role}", f"{data.diag} in the situation: "
                f"{situation.replace('-', ' ')}.", s, "invalid" if outcome is None else "positive", COVERED[name]
                if outcome is None else COVERED[name][:-1] + "+", steps + [last], **CASES)

# ---- every limit at -1, 0, +1
t = Group("limits", "Every bound of PROTOCOL.md at one below, at, and one above.", generated=True)


def edge(name, about, covered, story, code, stage="open", roles=("router", "worker"), **options):
    """`story(s, delta)` is the steps without the end; the last step ends the connection where delta is 1."""
    for role in roles:
        s = Preset(role, stage, **options)
        for delta in (-1, 0, 1):
            steps = story(s, delta)
            if delta == 1:
                last = {key: value for key, value in steps[-1].items() if key not in ("events", "tx")}
                steps = steps[:-1] + [last | {"end": code(s) if callable(code) else s.bad(code)}]
            t.case(f"{name}.{'below' if delta < 0 else 'above' if delta else 'at'}.{role}",
                f"{about}: {'one below' if delta < 0 else 'one above' if delta else 'exactly'}.", s, "exhaustion",
                covered + ("-" if delta == 1 else "+"), steps, **CASES)


for frame_ in (16384, 20000, 65536, 262144):
    edge(f"max-frame-{frame_}", f"A frame of max_frame {frame_}", "4-2", lambda s, d,
        n=frame_: [rx(frame(0xCA, b"", fill(0, n + d - 1)))], "FRAME_TOO_LARGE", variant=f"frame-{frame_}",
        lim=dict(max_frame=frame_))
for body in (16384, 50000, 100000):
    edge(f"max-body-{body}", f"A body_len of max_body {body}", "10-1", lambda s, d,
        n=body: [rx(request(s.p(1), prng(5000), body_len=n + d))], "BODY_TOO_LARGE", variant=f"body-{body}",
        lim=dict(max_frame=16384, max_body=body, work_budget=1000000))
for slots in (1, 2, 7):
    edge(f"max-concurrent-{slots}", f"{slots} requests open, and as many as the bound", "12-1", lambda s, d,
        n=slots: [rx(request(s.p(k), prng(4096), body_len=5000)) for k in range(1, n + d + 1)] or [alive()], lambda s,
        n=slots: s.bad("TOO_MANY_REQUESTS", last=s.p(n)), variant=f"slots-{slots}", lim=dict(max_concurrent=slots))
for budget in (40000, 100000, 2 ** 33):
    most = min(budget, 2 ** 32 - 1)
    if budget < 2 ** 32:
        edge(f"work-budget-{budget}", f"A cost of work_budget {budget}", "12-2", lambda s, d,
            n=budget: [rx(request(s.p(1), reply_max=n + d), ev=[e_request(s.p(1))])], "WORK_BUDGET",
            variant=f"budget-{budget}", lim=dict(max_frame=16384, max_body=16384, work_budget=budget))
edge("least-part", "A part that is not the last, of 4,096 bytes (counted down)", "10-4", lambda s,
    d: [rx(request(s.p(1), prng(4096 - d), body_len=10000))], "CHUNK_TOO_SMALL")
edge("overrun", "A frame with what is left of its body", "10-3", lambda s,
    d: [rx(request(s.p(1), prng(8000), body_len=13000)), rx(chunk(s.p(1), prng(5000 + d, 1, 8000)),
    ev=[e_request(s.p(1), prng(13000))] if d == 0 else None)], lambda s: s.bad("BODY_OVERRUN", last=s.p(1)))
edge("extension-bytes", "Extension values of 512 bytes together", "18-1", lambda s,
    d: [rx(request(s.p(1), ext=[(7, bytes(512 + d))]), ev=[e_request(s.p(1))])], "BAD_EXTENSIONS")
edge("extensions", "Eight extensions", "18-3", lambda s, d: [rx(request(s.p(1),
    ext=[(n, b"") for n in range(20, 28 + d)]), ev=[e_request(s.p(1))])], "MALFORMED")
edge("unknown-in-a-row", "100 unknown frames in a row", "4-7", lambda s, d: [rx(unknown(0xCA, b"") * (100 + d))],
    "TOO_MANY_UNKNOWN")
edge("close-message", "A message of 512 bytes in Close, read by its receiver", "5-5", lambda s,
    d: [rx(close(0, 0, b"m" * (512 + d))) | ({"end": told("NORMAL")} if d < 1 else {})], "MALFORMED")
edge("hello-app", "An application part of 4,096 bytes in Hello", "5-5", lambda s,
    d: [rx(preface(), hello(app=b"a" * (4096 + d)), ev=[event("hello", app=b"a" * (4096 + d))])], "MALFORMED", "new",
    ("router",))
edge("hello-versions", "Eight versions in Hello", "5-5", lambda s,
    d: [rx(preface(), hello(versions=[(3 + n, 0) for n in range(8 + d)]), ev=[event("hello")])], "MALFORMED", "new",
    ("router",))
edge("hello-compressions", "Eight compressions in Hello", "5-5", lambda s,
    d: [rx(preface(), hello(compression=list(range(100, 108 + d))), ev=[event("hello")])], "MALFORMED", "new",
    ("router",))
edge("welcome-app", "An application part of 512 bytes in Welcome", "5-5", lambda s,
    d: [rx(preface(), welcome(app=b"a" * (512 + d)), ev=[e_open(app=b"a" * (512 + d))])], "MALFORMED", "new",
    ("worker",))
edge("reject-message", "A message of 512 bytes in Reject", "5-5", lambda s,
    d: [rx(preface(), reject(message=b"m" * (512 + d))) | ({"end": told("CLAIM_REFUSED")} if d < 1 else {})],
    "MALFORMED", "new", ("worker",))
for number, bits in ((2 ** 16 - 1, 16), (2 ** 32 - 1, 32)):
    type_, field, value = ("Close", "code", {"last_id": "0", "message": ""}) if bits == 16 else ("GoAway",
        "deadline_ms", {})
    for delta in (-1, 0, 1):
        data = v(number + delta) + (b"\0\0" if bits == 16 else b"")
        outcome = {"error": "MALFORMED"} if delta == 1 else {"value": {field: number + delta} | value}
        t.case(f"u{bits}.{'below' if delta < 0 else 'above' if delta else 'at'}",
            f"The largest u{bits}, and its neighbours.", CODEC, "exhaustion", "5-2-" if delta == 1 else "5-2+",
            [{"decode": type_, "bytes": data.hex()} | outcome])

# ---- every varint length, padded to every length
t = Group("varints", "Every power of two as a varint, and padded to every length that it does not need.",
    generated=True)
for power in range(64):
    shortest = v(1 << power)
    t.case(f"2-{power}", f"2^{power}.", CODEC, "positive", "5-1+ 5-6+",
        [{"decode": "Ping", "bytes": shortest.hex(), "value": {"nonce": str(1 << power)}}])
    for size in range(len(shortest) + 1, 12):
        padded = shortest[:-1] + bytes([shortest[-1] | 128]) + b"\x80" * (size - len(shortest) - 1) + b"\0"
        t.case(f"2-{power}.padded-{size}", f"2^{power} in {size} bytes.", CODEC, "malformed", "5-1-" if size > 10
            else "5-6-", [{"decode": "Ping", "bytes": padded.hex(), "error": "MALFORMED" if size > 10
            else "NOT_CANONICAL"}])
