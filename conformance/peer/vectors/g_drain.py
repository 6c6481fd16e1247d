"""Section 16: GoAway, Close, and what is known of a request afterwards."""
from .story import *
from .wire import *

g = Group("drain", "GoAway and draining, by the subject, by its peer, and by both.")
c = Group("close", "Close: codes, last_id, what is discarded, and which calls are safe to retry.")


def both(name, about, class_, covered, story, **more):
    g.both(name, about, class_, covered, story, **more)


def cb(name, about, class_, covered, story, **more):
    c.both(name, about, class_, covered, story, **more)


def drains(ms=60000, **more):
    return do("drain", deadline_ms=ms, tx=[GoAway(ms)], **more)


# ---- the subject drains
both("idle", "A drain with nothing open: GoAway, and Close at once.", "positive", "16-2+ 16-6+",
    lambda s: [drains(end=end("DRAINED", last=0))])
both("finishes-peers-request", "An open request of the peer's is finished, and then the connection is closed.",
    "positive", "16-2+ 16-5+ 16-6+ 16-6-", lambda s: [asked(s), drains(), after(5000),
    answers(s, end=end("DRAINED", last=s.p(1)))])
both("finishes-own-call", "An open call of the subject's is finished, and then the connection is closed.", "positive",
    "16-5+ 16-6+", lambda s: [calls(s), drains(), rx(response(s.o(1), b"x"), ev=[e_ok("a", b"x")],
    end=end("DRAINED", last=0))])
both("finishes-both", "Requests of both directions: the last one closes.", "positive", "16-6+ 16-5-",
    lambda s: [asked(s), calls(s), drains(), answers(s), rx(response(s.o(1)), ev=[e_ok("a")],
    end=end("DRAINED", last=s.p(1)))])
both("finishes-body-under-way", "A request whose body is still coming when GoAway is sent proceeds.", "positive",
    "16-5+ 16-5-", lambda s: [rx(request(s.p(1), prng(5000), body_len=9500)), drains(),
    rx(chunk(s.p(1), prng(4500, 1, 5000)), ev=[e_request(s.p(1), prng(9500))]),
    answers(s, end=end("DRAINED", last=s.p(1)))])
both("refuses-new", "A request that comes after GoAway was sent is refused, with the hint to go elsewhere.", "positive",
    "16-4- 16-4+ 20-7+ 20-4+", lambda s: [asked(s), drains(), rx(request(s.p(2), b"new"), tx=[Error(s.p(2), 4, 2)]),
    answers(s, end=end("DRAINED", last=s.p(2)))])
both("refuses-many", "Each request after GoAway is refused.", "positive", "16-4-", lambda s: [asked(s), drains()]
    + [rx(request(s.p(n)), tx=[Error(s.p(n), 4, 2)]) for n in range(2, 8)] + [alive()])
both("refuses-large", "A refused request whose body is in parts stays open until its body has ended, and keeps the "
    "connection.", "positive", "16-4- 16-6-", lambda s: [asked(s), drains(),
    rx(request(s.p(2), prng(5000), body_len=9500), tx=[Error(s.p(2), 4, 2)]), answers(s), holds(served=1),
    rx(chunk(s.p(2), prng(4500, 1, 5000)), end=end("DRAINED", last=s.p(2)))])
both("refusal-still-checked", "A request after GoAway is checked before it is refused.", "invalid", "16-4- 22-1+",
    lambda s: [asked(s), drains(), rx(request(s.p(1)), ev=[e_cancelled(s.p(1))], end=s.bad("ID_ORDER", last=s.p(1)))])
both("deadline-passes", "The time that GoAway named passes: the connection ends, handlers are told.", "liveness",
    "16-7- 16-7+", lambda s: [asked(s), drains(5000), after(4999),
    after(1, ev=[e_cancelled(s.p(1))], end=s.bad("DRAIN_DEADLINE", last=s.p(1)))])
both("deadline-zero", "A drain of 0 ms: GoAway is sent, and then the connection ends.", "liveness",
    "16-7- 16-24+ 16-24-",
    lambda s: [asked(s), do("drain", deadline_ms=0, tx=[GoAway(0)], ev=[e_cancelled(s.p(1))],
    end=s.bad("DRAIN_DEADLINE", last=s.p(1)))])
both("time-waits-for-goaway", "The time that GoAway names passes while the transport takes nothing: GoAway comes all the same.",
    "liveness", "16-24+", lambda s: ([asked(s), takes(0), do("drain", deadline_ms=50)], [
    branch("waited", True, "GoAway waits to be handed over, and its time with it (R-16-24)", [after(100),
        takes("all", tx=[GoAway(50)], ev=[e_cancelled(s.p(1))], end=end("DRAIN_DEADLINE", last=s.p(1)))]),
    branch("was handed over", False, "GoAway was handed to the transport before, and counts as sent (R-14-4)",
        [after(100, ev=[e_cancelled(s.p(1))], end=silent("DRAIN_DEADLINE")),
        takes("all", tx=[GoAway(50), may(Close("DRAIN_DEADLINE", last=s.p(1)))])])]))
both("deadline-zero-idle", "A drain of 0 ms where nothing is open: it has drained.", "liveness", "16-6+ 16-24+",
    lambda s: [do("drain", deadline_ms=0, tx=[GoAway(0)], end=s.bad("DRAINED"))])
both("twice", "Draining twice sends GoAway once, and keeps the first time.", "positive", "16-2+ 16-2-",
    lambda s: [asked(s), drains(5000), do("drain", deadline_ms=90000),
    after(5000, ev=[e_cancelled(s.p(1))], end=s.bad("DRAIN_DEADLINE", last=s.p(1)))])
both("no-calls-after", "A call after the drain has begun fails without being sent.", "positive", "16-9+ 16-8+",
    lambda s: [asked(s), drains(), calls(s, tx=[]) | {"events": [e_failed("a", True)]}, alive()])
both("waiting-calls-fail", "Calls that wait when the drain begins fail without being sent.", "positive", "16-8- 16-8+",
    lambda s: [calls(s), calls(s, "b", tx=[]), drains(ev=[e_failed("b", True)]),
    rx(response(s.o(1)), ev=[e_ok("a")], end=end("DRAINED", last=0))], variant="peer-takes-one",
    peer_lim=dict(max_concurrent=1))
both("cancel-while-draining", "Cancel works while draining.", "positive", "16-5+ 11-15-",
    lambda s: [asked(s), drains(), rx(cancel(s.p(1)), ev=[e_cancelled(s.p(1))]),
    do("respond", id=s.p(1), body=b"", tx=[Error(s.p(1), 2)], end=end("DRAINED", last=s.p(1)))])
both("large-answer-while-draining", "A large answer is sent to its end before Close.", "positive", "16-5- 16-13+",
    lambda s: [asked(s, reply_max=60000), drains(), answers(s, body=prng(60000), end=end("DRAINED", last=s.p(1)))])
both("goaway-overtakes", "GoAway is sent while a large answer is under way.", "positive", "16-2+ 14-1+",
    lambda s: [asked(s, reply_max=60000), takes(20000), answers(s, body=prng(60000),
    tx=[Response(s.p(1), prng(60000), partial=True)]), do("drain", deadline_ms=60000),
    takes("all", tx=[Chunks(s.p(1)), GoAway(60000)], order="any", end=end("DRAINED", last=s.p(1)))],
    variant="peer-least-frame", peer_lim=dict(max_frame=16384))

# ---- the peer drains
both("peer-goaway", "The peer drains and has nothing open: it closes.", "positive", "16-3+ 16-15+",
    lambda s: [rx(goaway(5000)), rx(close(1), end=told("DRAINED"))])
both("peer-goaway-no-new-calls", "After the peer's GoAway no call is sent.", "positive", "16-3- 16-3+",
    lambda s: [asked(s), rx(goaway(5000)), calls(s, tx=[]) | {"events": [e_failed("a", True)]}, answers(s), alive()])
both("peer-goaway-open-calls-proceed", "Calls that were open when GoAway came are answered.", "positive", "16-5+ 16-5-",
    lambda s: [calls(s), rx(goaway(5000)), rx(response(s.o(1), b"x"), ev=[e_ok("a", b"x")]),
    rx(close(1), end=told("DRAINED"))])
both("peer-goaway-waiting-calls-fail", "Calls that wait when GoAway comes fail without being sent.", "positive",
    "16-8-", lambda s: [calls(s), calls(s, "b", tx=[]), rx(goaway(5000), ev=[e_failed("b", True)]),
    rx(response(s.o(1)), ev=[e_ok("a")])], variant="peer-takes-one", peer_lim=dict(max_concurrent=1))
both("peer-goaway-body-goes-on", "The body of the subject's call goes on behind the peer's GoAway.", "positive",
    "16-5+ 16-3+", lambda s: [takes(20000), calls(s, body=prng(60000), tx=[Request(s.o(1), prng(60000), partial=True)]),
    rx(goaway(60000)), takes("all", tx=[Chunks(s.o(1))]), rx(response(s.o(1)), ev=[e_ok("a")])],
    variant="peer-least-frame", peer_lim=dict(max_frame=16384))
both("peer-request-after-goaway", "The peer sends a Request after its own GoAway.", "invalid", "16-9-",
    lambda s: [rx(goaway(5000)), rx(request(s.p(1)), end=s.bad("UNEXPECTED_FRAME"))])
both("peer-request-after-goaway-first", "That comes before all other checks of Request.", "invalid", "16-9- 22-1+",
    lambda s: [rx(goaway(5000)), rx(request(0), end=s.bad("UNEXPECTED_FRAME"))])
both("peer-request-after-goaway-must-decode", "A Request after GoAway that does not decode is malformed.", "malformed",
    "16-9- 22-1+", lambda s: [rx(goaway(5000)), rx(frame(REQUEST, b"\x80"), end=s.bad("MALFORMED"))])
both("peer-chunk-after-goaway", "A body that was under way may go on behind the peer's GoAway.", "positive",
    "16-9+ 16-5+", lambda s: [rx(request(s.p(1), prng(5000), body_len=9500)), rx(goaway(5000)),
    rx(chunk(s.p(1), prng(4500, 1, 5000)), ev=[e_request(s.p(1), prng(9500))]), answers(s)])
both("peer-cancel-after-goaway", "The peer may cancel after its GoAway.", "positive", "16-9+",
    lambda s: [asked(s), rx(goaway(5000)), rx(cancel(s.p(1)), ev=[e_cancelled(s.p(1))]),
    do("respond", id=s.p(1), body=b"", tx=[Error(s.p(1), 2)])])
both("peer-goaway-twice", "A second GoAway has no effect, and does not change the time.", "liveness",
    "16-10- 16-10+ 16-11-", lambda s: [asked(s), rx(goaway(1000)), rx(goaway(600000)), after(9000), alive(),
    after(1999), after(1, ev=[e_cancelled(s.p(1))], end=s.bad("DRAIN_DEADLINE", last=s.p(1)))])
both("peer-goaway-stays", "The peer drains and does not close: after its time and the stall timer the subject does.",
    "liveness", "16-11- 16-11+", lambda s: [rx(goaway(2000)), after(9000), alive(), after(2999),
    after(1, end=s.bad("DRAIN_DEADLINE"))])
both("peer-goaway-closes-in-time", "The peer closes at the last moment.", "liveness", "16-11+",
    lambda s: [rx(goaway(2000)), after(9000), alive(), after(2999), rx(close(2), end=told("DRAIN_DEADLINE"))])
both("peer-goaway-zero", "GoAway with 0 ms: the peer will close at once; the subject waits for the stall timer.",
    "liveness", "16-11+", lambda s: [rx(goaway(0)), after(9999), rx(close(2), end=told("DRAIN_DEADLINE"))])
both("peer-goaway-largest", "GoAway with the largest time.", "positive", "16-11+ 16-3+",
    lambda s: [asked(s), rx(goaway(2 ** 32 - 1)), answers(s), alive()])
both("peer-refuses", "The peer refuses a call because it drains: GoAway and Request crossed.", "positive",
    "20-7+ 16-4+", lambda s: [calls(s), rx(error(s.o(1), 4, 2, 0, b"draining"), ev=[e_error("a", 4, 2)]),
    rx(goaway(5000)), alive()])

# ---- both drain
both("both-idle", "Both drain with nothing open: the subject closes.", "positive", "16-6+",
    lambda s: [rx(goaway(60000)), drains(end=end("DRAINED", last=0))])
both("both-busy", "Both drain, both have requests open; the last answer closes.", "positive", "16-5+ 16-6+",
    lambda s: [asked(s), calls(s), rx(goaway(60000)), drains(), rx(response(s.o(1)), ev=[e_ok("a")]),
    answers(s, end=end("DRAINED", last=s.p(1)))])
both("both-close-cross", "Both drain, and both close: the two Closes cross.", "positive", "16-15+",
    lambda s: [calls(s), drains(), rx(goaway(60000)), rx(response(s.o(1)), ev=[e_ok("a")], end=end("DRAINED")),
    rx(close(1))])
both("both-shorter-time-wins", "Both drain; the peer's time and the stall timer pass before the subject's own time.",
    "liveness", "16-11- 16-7+", lambda s: [asked(s), drains(60000), rx(goaway(0)), after(9999),
    after(1, ev=[e_cancelled(s.p(1))], end=s.bad("DRAIN_DEADLINE", last=s.p(1)))])
both("drained-then-silent", "A side that has drained and closed sends nothing more, whatever comes.", "positive",
    "16-6+ 16-12+", lambda s: [drains(end=end("DRAINED", last=0)), rx(request(s.p(1), b"x")), rx(ping(1)), eof()])

# ---- Close
cb("normal", "The application ends the connection.", "positive", "16-12+ 16-19- 16-19+",
    lambda s: [do("close", code=0, end=end("NORMAL", last=0))])
cb("internal", "A side that cannot go on says INTERNAL.", "positive", "16-20- 16-20+",
    lambda s: [asked(s), do("close", code=3, ev=[e_cancelled(s.p(1))], end=end("INTERNAL", last=s.p(1)))])
cb("last-id-zero", "last_id is 0 if the peer has opened nothing.", "positive", "16-14+",
    lambda s: [calls(s), do("close", code=0, ev=[e_failed("a", False)], end=end("NORMAL", last=0))])
cb("last-id-highest", "last_id is the highest of the peer's requests, answered or not.", "positive", "16-14+ 16-22+",
    lambda s: [asked(s, 3), answers(s, 3), asked(s, 7), do("close", code=0, ev=[e_cancelled(s.p(7))],
    end=end("NORMAL", last=s.p(7)))])
cb("last-id-incomplete", "last_id names a request whose body is not complete.", "positive", "16-14+",
    lambda s: [rx(request(s.p(4), prng(5000), body_len=9000)), do("close", code=0, end=end("NORMAL", last=s.p(4)))])
cb("last-id-refused", "last_id names a refused request.", "positive", "16-14- 16-14+",
    lambda s: [asked(s), drains(), rx(request(s.p(6)), tx=[Error(s.p(6), 4, 2)]),
    do("close", code=0, ev=[e_cancelled(s.p(1))], end=end("NORMAL", last=s.p(6)))])
cb("last-id-not-cancel", "A Cancel does not raise last_id.", "positive", "16-14+",
    lambda s: [asked(s, 5), rx(cancel(s.p(2))), do("close", code=0, ev=[e_cancelled(s.p(5))],
    end=end("NORMAL", last=s.p(5)))])
cb("last-id-unknown-header", "A Request whose header is not complete does not raise last_id.", "positive",
    "16-14+ 16-22+", lambda s: [rx(request(s.p(9), b"x" * 50).cut(0, 30)),
    do("close", code=0, end=end("NORMAL", last=0))])
cb("received", "A received Close ends the connection; nothing is sent.", "positive", "16-15- 16-15+",
    lambda s: [rx(close(0), end=told("NORMAL")), rx(ping(1)), after(20000)])
for code, name in ((0, "normal"), (1, "drained"), (2, "drain-deadline"), (3, "internal"), (4, "ids-exhausted"),
    (13, "malformed"), (51, "work-budget"), (70, "keepalive-timeout"), (80, "cancel-not-agreed")):
    cb(f"received-{name}", f"A received Close with code {code} is the reason.", "positive", "16-15+ 16-1+", lambda s,
        code=code: [rx(close(code, 0, b"why"), end=end(code, by="peer", wire="none"))])
for code, name in ((5, "unassigned"), (10, "bad-preface"), (99, "unknown"), (32767, "last-unassigned"),
    (32768, "private"), (65535, "highest")):
    cb(f"received-code-{name}", f"A received Close with the odd code {code} is taken like any other.", "positive",
        "16-18-", lambda s, code=code: [rx(close(code), end=end(code, by="peer", wire="none"))])
cb("received-last-id-not-checked", "last_id of a received Close is not checked.", "positive", "16-15+",
    lambda s: [rx(close(0, 2 ** 64 - 1), end=told("NORMAL"))])
cb("received-then-frames", "Frames behind Close are discarded, right or wrong.", "positive", "16-16- 16-16+",
    lambda s: [rx(close(0), request(s.p(1)), b"\0\0\0\0", end=told("NORMAL")), rx(B(b"\0\0\0\0")), eof()])
cb("sent-then-input-discarded", "After its own Close a side discards what comes: requests, nonsense, a Close.",
    "positive", "16-16+ 16-12+ 2-11+", lambda s: [do("close", code=0, end=end("NORMAL", last=0)),
    rx(request(s.p(1), b"x")), rx(B(b"\0\0\0\0")), rx(close(13)), eof()])
cb("between-frames", "Close waits for the frame that is being sent, not for its body's other parts.", "positive",
    "16-13+ 16-13- 14-1+", lambda s: [asked(s, reply_max=2000000), takes(20000),
    answers(s, body=prng(2000000), tx=[Response(s.p(1), prng(2000000), partial=True)]),
    do("close", code=0, ev=[], end=end("NORMAL", wire="none")),
    takes("all", tx=[Chunks(s.p(1), partial=True, optional=True),
    Close("NORMAL", last=s.p(1))])], variant="peer-least-frame",
    peer_lim=dict(max_frame=16384))
cb("violation-discards-answers", "Answers that wait when a violation is found may be lost; Close is last.", "invalid",
    "16-13+ 16-12+", lambda s: [rx(ping(1), request(s.p(1), b"x"), ping(0, b"\0"), tx=[may(Pong(1))],
    ev=[may(e_request(s.p(1), b"x")), may(e_cancelled(s.p(1)))], end=s.bad("MALFORMED", last=s.p(1)))])
cb("private-code-of-application", "An application may close with a code of private use.", "positive", "16-17+",
    lambda s: [do("close", code=40000, end=end(40000, last=0))])

# ---- what is known of a call
cb("safe-above-last-id", "Calls above the last_id of a received Close were not started; the others may have run.",
    "positive", "16-22- 16-23+", lambda s: [calls(s, "a", 1), calls(s, "b", 2), calls(s, "c", 3),
    rx(close(3, s.o(1)), ev=[e_failed("a", False), e_failed("b", True), e_failed("c", True)], end=told("INTERNAL"))])
cb("safe-last-id-zero", "last_id 0: none was started.", "positive", "16-22-",
    lambda s: [calls(s, "a", 1), calls(s, "b", 2), rx(close(1, 0), ev=[e_failed("a", True), e_failed("b", True)],
    end=told("DRAINED"))])
cb("safe-last-id-highest", "last_id names the highest: all may have run.", "positive", "16-23+",
    lambda s: [calls(s, "a", 1), calls(s, "b", 2), rx(close(0, s.o(2)), ev=[e_failed("a", False), e_failed("b", False)],
    end=told("NORMAL"))])
cb("safe-last-id-odd", "A last_id of the wrong parity still divides the ids.", "positive", "16-22-",
    lambda s: [calls(s, "a", 1), calls(s, "b", 2), rx(close(0, s.o(1) + 1),
    ev=[e_failed("a", False), e_failed("b", True)], end=told("NORMAL"))])
cb("unsafe-after-end", "An end without Close: calls may have run.", "positive", "2-9- 16-23- 16-23+",
    lambda s: [calls(s), eof(ev=[e_failed("a", False)], end=gone())])
cb("unsafe-after-own-close", "The subject closes: its calls may have run.", "positive", "16-23-",
    lambda s: [calls(s), do("close", code=0, ev=[e_failed("a", False)], end=end("NORMAL"))])
cb("safe-never-sent", "A call that waited was never sent: safe, however the connection ends.", "positive", "16-23+",
    lambda s: [calls(s), calls(s, "b", tx=[]), eof(ev=[e_failed("a", False), e_failed("b", True)], end=gone())],
    variant="peer-takes-one", peer_lim=dict(max_concurrent=1))
cb("unsafe-part-sent", "A call of whose body a part was sent may have run.", "positive", "16-23-",
    lambda s: [takes(20000), calls(s, body=prng(2000000), tx=[Request(s.o(1), prng(2000000), partial=True)]),
    eof(ev=[e_failed("a", False)], end=gone()), takes("all", tx=[may(Chunks(s.o(1)))])],
    variant="peer-least-frame", peer_lim=dict(max_frame=16384))
cb("answered-before-close", "A call that was answered before Close is not touched by it.", "positive", "16-15+",
    lambda s: [calls(s), rx(response(s.o(1), b"x"), close(0, 0), ev=[e_ok("a", b"x")], end=told("NORMAL"))])
cb("call-after-end", "A call after the end fails, and is safe.", "positive", "16-1+",
    lambda s: [rx(close(0), end=told("NORMAL")), calls(s, tx=[]) | {"events": [e_failed("a", True)]}])
cb("everything-released", "After the end nothing is held.", "exhaustion", "23-2- 23-2+",
    lambda s: [asked(s), calls(s, reply_max=200000), rx(response(s.o(1), prng(70000), body_len=150000)),
    rx(request(s.p(2), prng(70000), body_len=150000)), rx(close(0, 0), ev=[e_cancelled(s.p(1)), e_failed("a", True)],
    end=told("NORMAL")), holds(served=0, calls=0, held_max=0)])
