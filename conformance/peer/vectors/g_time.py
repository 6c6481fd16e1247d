"""Sections 15 and 17: keepalive and deadlines, and the order of timers (22.3)."""
from .story import *
from .wire import *

k = Group("keepalive", "Ping and Pong: who asks when, what is answered, and when a silent peer is given up.")
d = Group("deadlines", "Deadlines of requests, for responders and requesters.")
CALM = dict(variant="calm", timers=dict(keepalive=3600000, grace=3600000))


def kb(name, about, class_, covered, story, **more):
    k.both(name, about, class_, covered, story, **more)


def db(name, about, class_, covered, story, **more):
    d.both(name, about, class_, covered, story, **more)


kb("pong", "A Ping is answered with its nonce.", "positive", "15-3+ 15-3-",
    lambda s: [rx(ping(1), tx=[Pong(1)]), rx(ping(0), tx=[Pong(0)]), rx(ping(2 ** 64 - 1), tx=[Pong(2 ** 64 - 1)])])
kb("pong-while-handlers-run", "A Ping is answered while handlers run.", "positive", "15-3+ 14-2+",
    lambda s: [asked(s), rx(ping(5), tx=[Pong(5)])])
kb("ping-after-silence", "After the keepalive timer without a byte, a Ping.", "liveness", "15-1- 15-1+",
    lambda s: [after(9999), after(1, tx=[Ping()])])
kb("ping-answered", "The Ping is answered; after another silence the next one.", "liveness", "15-1+ 15-2+ 15-5+",
    lambda s: [after(10000, tx=[Ping()]), rx(pong_for_last()), after(9999), after(1, tx=[Ping()]), rx(pong_for_last()),
    alive()])
kb("ping-only-one", "While a Ping is outstanding there is no second one, even if other bytes come.", "liveness",
    "15-2+ 15-1+ 15-7+", lambda s: [after(10000, tx=[Ping()]), after(9000), rx(unknown()), after(9999), rx(unknown()),
    after(9999), rx(pong_for_last()), after(10000, tx=[Ping()])])
kb("silence-ends", "A Ping that is not answered, and no byte: the connection ends after the grace.", "liveness",
    "15-6-", lambda s: [after(10000, tx=[Ping()]), after(9999), after(1, end=s.bad("KEEPALIVE_TIMEOUT"))])
kb("any-byte-counts", "Any byte of any frame restarts the timer: half a length.", "liveness", "15-7- 15-7+",
    lambda s: [after(9999), rx(b"\x02"), after(9999), after(1, tx=[Ping()])])
kb("skipped-bytes-count", "Bytes of skipped frames restart the timer.", "liveness", "15-7+",
    lambda s: [after(9999), rx(unknown()), after(9999), rx(unknown()), after(9999), alive()])
kb("body-bytes-count", "Bytes within a body restart the timer.", "liveness", "15-7+",
    lambda s: [rx(request(s.p(1), prng(9000)).cut(0, 3000)), after(9999),
    rx(request(s.p(1), prng(9000)).cut(3000, 3001)), after(9999),
    rx(request(s.p(1), prng(9000)).cut(3001), ev=[e_request(s.p(1), prng(9000))])])
kb("own-output-does-not-count", "What the subject itself sends does not restart the timer.", "liveness", "15-1- 15-7+",
    lambda s: [asked(s), after(9000), answers(s), after(1000, tx=[Ping()])])
kb("byte-in-grace", "A byte in the grace restarts the timer of the end, though the Ping stays unanswered.", "liveness",
    "15-6+ 15-7+", lambda s: [after(10000, tx=[Ping()]), after(9999), rx(unknown()), after(19999),
    after(1, end=s.bad("KEEPALIVE_TIMEOUT"))])
kb("counts-from-welcome", "The timer counts from Welcome.", "liveness", "15-1+", lambda s: [after(10000, tx=[Ping()])])
k.case("counts-from-welcome-not-hello", "The timer of a router counts from its Welcome, however long the decision "
    "took.", DECIDING, "liveness", "15-1+", [after(4000), do("accept", app=b"ok", tx=[Welcome()], ev=[e_open()]),
    after(9999), after(1, tx=[Ping()])])
kb("own-timers", "Timers are configured: 2 seconds and 500 ms.", "liveness", "15-1+ 15-6-",
    lambda s: [after(1999), after(1, tx=[Ping()]), after(499), after(1, end=s.bad("KEEPALIVE_TIMEOUT"))],
    variant="quick-keepalive", timers=dict(keepalive=2000, grace=500))
kb("pong-without-ping", "A Pong where no Ping was sent.", "invalid", "15-5-",
    lambda s: [rx(pong(0), end=s.bad("UNEXPECTED_PONG"))])
kb("pong-wrong-nonce", "A Pong with another nonce.", "invalid", "15-5-",
    lambda s: [after(10000, tx=[Ping()]), rx(pong_for_last(1), end=s.bad("UNEXPECTED_PONG"))])
kb("pong-twice", "A second Pong for the same Ping.", "invalid", "15-5-",
    lambda s: [after(10000, tx=[Ping()]), rx(pong_for_last()), rx(pong_for_last(), end=s.bad("UNEXPECTED_PONG"))])
kb("pong-late", "A Pong within the grace, after other bytes.", "liveness", "15-5+ 15-6+",
    lambda s: [after(10000, tx=[Ping()]), rx(ping(3), tx=[Pong(3)]), after(9000), rx(pong_for_last()), alive()])
kb("pongs-collapse", "Pings that come while no Pong can be sent: one Pong, for the latest, behind one that was handed "
    "over.", "exhaustion", "15-4- 15-4+ 14-3+ 14-4+", lambda s: [takes(0), rx(*(ping(n) for n in range(1, 50))),
    takes("all", tx=[may(Pong(1)), Pong(49)])], split=["whole"])
kb("ping-flood", "Ten thousand Pings, read at once: bounded output.", "exhaustion", "15-4-",
   lambda s: [takes(0), rx(ping(7) * 10000), takes("all", tx=[Pong(7), may(Pong(7))])])
kb("ping-in-body", "A Ping between the parts of a body.", "positive", "15-3+",
    lambda s: [rx(request(s.p(1), prng(5000), body_len=9000)), alive(),
    rx(chunk(s.p(1), prng(4000, 1, 5000)), ev=[e_request(s.p(1), prng(9000))])])
kb("ping-while-draining", "Keepalive goes on while a side drains.", "liveness", "15-1+ 16-5+",
    lambda s: [asked(s), do("drain", deadline_ms=60000, tx=[GoAway(60000)]), after(10000, tx=[Ping()]),
    rx(pong_for_last()), rx(ping(4), tx=[Pong(4)])])
kb("dead-peer-ends-calls", "The end by keepalive fails open calls, which may have run, and tells handlers.", "liveness",
    "15-6- 16-21- 16-23+", lambda s: [asked(s), calls(s), after(10000, tx=[Ping()]),
    after(10000, ev=[e_cancelled(s.p(1)), e_failed("a", False)], end=s.bad("KEEPALIVE_TIMEOUT", last=s.p(1)))])
k.both("none-in-handshake", "There is no keepalive before the connection is open.", "liveness", "15-1+",
       lambda s: [after(4999), rx(preface())], stage="new", variant="quick", timers=dict(keepalive=1000, grace=1000))

# ---- deadlines: the subject answers
db("in-time", "The handler answers in time.", "liveness", "17-1+ 17-2+ 17-4+",
    lambda s: [asked(s, deadline=1500), after(1499), answers(s), after(5000), alive()])
db("none", "A deadline of 0 is none.", "liveness", "17-1+", lambda s: [asked(s, deadline=0), after(9000), alive(),
    answers(s)])
db("handler-late", "The deadline passes while the handler runs: it is told, and its answer is replaced when it ends.",
    "liveness", "17-2- 17-1-", lambda s: [asked(s, deadline=1500), after(1499), after(1, ev=[e_cancelled(s.p(1))]),
    after(3000), do("respond", id=s.p(1), body=b"late", tx=[Error(s.p(1), 3)]), holds(served=0)])
db("handler-late-fails", "The late handler fails: DEADLINE all the same.", "liveness", "17-2-",
    lambda s: [asked(s, deadline=10), after(10, ev=[e_cancelled(s.p(1))]),
    do("fail", id=s.p(1), tx=[Error(s.p(1), 3)])])
db("handler-late-errors", "The late handler ends with an error of its own: DEADLINE all the same.", "liveness", "17-2-",
    lambda s: [asked(s, deadline=10), after(10, ev=[e_cancelled(s.p(1))]),
    do("respond_error", id=s.p(1), code=300, retry=1, retry_after_ms=5, message="", tx=[Error(s.p(1), 3, 0, 0)])])
db("least", "A deadline of 1 ms.", "liveness", "17-1+ 17-2-",
    lambda s: [asked(s, deadline=1), after(1, ev=[e_cancelled(s.p(1))]),
    do("respond", id=s.p(1), body=b"", tx=[Error(s.p(1), 3)])])
db("largest", "The largest deadline, of 49 days.", "liveness", "17-1+ 17-7+",
    lambda s: [asked(s, deadline=2 ** 32 - 1), after(9000), alive(), answers(s)])
db("largest-passes", "The largest deadline passes.", "liveness", "17-1- 17-2-",
    lambda s: [asked(s, deadline=2 ** 32 - 1), after(2 ** 32 - 2), after(1, ev=[e_cancelled(s.p(1))], tx=[Ping()])],
    variant="endless-keepalive", timers=dict(keepalive=2 ** 32 - 1, grace=2 ** 32 - 1))
db("receiving", "The deadline passes while the body is incomplete: answered at once.", "liveness", "17-3- 17-3+",
    lambda s: [rx(request(s.p(1), prng(5000), body_len=9500, deadline=1000)), after(999),
    after(1, tx=[Error(s.p(1), 3)]), holds(served=1, held_max=0)])
db("receiving-rest-discarded", "After that the rest of the body is counted, checked and discarded; no handler starts.",
    "liveness", "17-3- 11-9- 10-10+ 12-3+", lambda s: [rx(request(s.p(1), prng(5000), body_len=9500, deadline=1000)),
    after(1000, tx=[Error(s.p(1), 3)]), rx(chunk(s.p(1), prng(4500, 1, 5000))), holds(served=0), alive()])
db("receiving-rest-checked", "A part of the discarded rest that is too long.", "invalid", "10-10- 10-3-",
    lambda s: [rx(request(s.p(1), prng(5000), body_len=9500, deadline=1000)), after(1000, tx=[Error(s.p(1), 3)]),
    rx(chunk(s.p(1), prng(4501)), end=s.bad("BODY_OVERRUN", last=s.p(1)))])
db("receiving-rest-cancelled", "The rest of a late body is ended by Cancel.", "liveness", "17-3- 11-17-",
    lambda s: [rx(request(s.p(1), prng(5000), body_len=9500, deadline=1000)), after(1000, tx=[Error(s.p(1), 3)]),
    rx(cancel(s.p(1))), holds(served=0), alive()])
db("counts-from-header", "The time counts from when the header is examined, not from the last byte of the body.",
    "liveness", "17-1- 17-1+", lambda s: [rx(request(s.p(1), prng(5000), body_len=9500, deadline=1000)), after(900),
    rx(chunk(s.p(1), prng(4500, 1, 5000)), ev=[e_request(s.p(1), prng(9500))]), after(99),
    after(1, ev=[e_cancelled(s.p(1))])])
db("counts-not-from-length", "The time does not run before the header is there.", "liveness", "17-1+ 4-11+",
    lambda s: [rx(request(s.p(1), b"x" * 100, deadline=1000).cut(0, 50)), after(5000),
    rx(request(s.p(1), b"x" * 100, deadline=1000).cut(50), ev=[e_request(s.p(1), b"x" * 100)]), after(999), answers(s)])
db("answer-under-way", "The deadline passes while the answer is being sent: it goes on.", "liveness", "17-4- 17-4+",
    lambda s: [asked(s, reply_max=60000, deadline=1000), takes(20000),
    answers(s, body=prng(60000), tx=[Response(s.p(1), prng(60000), partial=True)]), after(2000),
    takes("all", tx=[Chunks(s.p(1))])], variant="peer-least-frame", peer_lim=dict(max_frame=16384))
db("answer-waits", "The deadline passes after the handler has answered, while the transport takes nothing: the "
    "answer stays.", "liveness", "17-4-", lambda s: [asked(s, deadline=1000), takes(0), answers(s, tx=[]), after(2000),
    takes("all", tx=[Response(s.p(1), b"answer")])])
db("cancel-then-late", "Cancelled, then late, while the handler runs: cancelled.", "liveness", "17-6- 17-6+",
    lambda s: [asked(s, deadline=1000), rx(cancel(s.p(1)), ev=[e_cancelled(s.p(1))]), after(1000),
    do("respond", id=s.p(1), body=b"", tx=[Error(s.p(1), 2)])])
db("many", "Deadlines pass one by one, whatever the order of requests.", "liveness", "17-2- 22-1+",
    lambda s: [asked(s, 1, deadline=3000), asked(s, 2, deadline=1000), asked(s, 3, deadline=2000),
    after(1000, ev=[e_cancelled(s.p(2))]), after(1000, ev=[e_cancelled(s.p(3))]),
    after(1000, ev=[e_cancelled(s.p(1))])])
db("many-in-one-step", "Deadlines that pass in one go are told with the earliest first.", "liveness", "17-2-",
    lambda s: [asked(s, 1, deadline=3000), asked(s, 2, deadline=1000),
    after(4000, ev=[e_cancelled(s.p(2)), e_cancelled(s.p(1))])])
db("late-holds-drain", "A late handler that does not end keeps a draining side from closing.", "liveness",
    "17-2- 16-6+ 16-7-", lambda s: [asked(s, deadline=1000), do("drain", deadline_ms=5000, tx=[GoAway(5000)]),
    after(1000, ev=[e_cancelled(s.p(1))]), after(3999), after(1, end=s.bad("DRAIN_DEADLINE", last=s.p(1)))])
db("in-time-by-one-ms", "A request answered 1 ms before its deadline.", "liveness", "17-4+",
    lambda s: [asked(s, deadline=1000), after(1000 - 1), answers(s), after(1)])

# ---- deadlines: the subject asks
db("own-declared", "A call with a deadline declares the time that is left.", "liveness", "17-7- 17-7+",
    lambda s: [calls(s, deadline_ms=1500, tx=[Request(s.o(1), b"ask", deadline_ms=1500)])])
db("own-none", "A call without a deadline declares 0.", "liveness", "17-7+",
    lambda s: [calls(s, tx=[Request(s.o(1), b"ask", deadline_ms=0)])])
db("own-passes", "The call's deadline passes: it fails at once, and Cancel is sent.", "liveness", "17-5- 17-5+",
    lambda s: [calls(s, deadline_ms=1500), after(1499), after(1, ev=[e_failed("a", False)], tx=[Cancel(s.o(1))]),
    rx(error(s.o(1), 2)), holds(calls=0)])
db("own-passes-no-cancel", "Without cancellation the call fails all the same, and nothing is sent.", "liveness",
    "17-5-", lambda s: [calls(s, deadline_ms=1500), after(1500, ev=[e_failed("a", False)]), holds(calls=1),
    rx(response(s.o(1), b"late")), holds(calls=0), alive()], variant="no-cancel", features=0, peer_features=0)
db("own-waiting-passes", "The deadline passes while the call waits for a slot: it is never sent.", "liveness",
    "17-5- 12-1+", lambda s: [calls(s), calls(s, "b", deadline_ms=1000, tx=[]), after(1000, ev=[e_failed("b", True)]),
    rx(response(s.o(1)), ev=[e_ok("a")]), alive()], variant="peer-takes-one", peer_lim=dict(max_concurrent=1))
db("own-waited-declares-rest", "A call that waited declares what is left when it is sent.", "liveness", "17-7-",
    lambda s: [calls(s), calls(s, "b", deadline_ms=1500, tx=[]), after(600),
    rx(response(s.o(1)), ev=[e_ok("a")], tx=[Request(s.o(2), b"ask", deadline_ms=900)])], variant="peer-takes-one",
    peer_lim=dict(max_concurrent=1))
db("own-waited-to-the-end", "A call that waited until 1 ms is left declares 1.", "liveness", "17-7-",
    lambda s: [calls(s), calls(s, "b", deadline_ms=1500, tx=[]), after(1499),
    rx(response(s.o(1)), ev=[e_ok("a")], tx=[Request(s.o(2), b"ask", deadline_ms=1)])], variant="peer-takes-one",
    peer_lim=dict(max_concurrent=1))
db("own-largest", "The largest deadline of a call.", "liveness", "17-7+",
    lambda s: [calls(s, deadline_ms=2 ** 32 - 1, tx=[Request(s.o(1), b"ask", deadline_ms=2 ** 32 - 1)])])
db("own-answer-in-time", "The answer comes in time; the deadline has no effect later.", "liveness", "17-5+",
    lambda s: [calls(s, deadline_ms=1500), after(1499), rx(response(s.o(1), b"x"), ev=[e_ok("a", b"x")]), after(5000),
    alive()])
db("own-late-answer-discarded", "The answer comes after the deadline: discarded.", "liveness", "17-5- 11-20+",
    lambda s: [calls(s, deadline_ms=1500), after(1500, ev=[e_failed("a", False)], tx=[Cancel(s.o(1))]),
    rx(response(s.o(1), b"late")), holds(calls=0), alive()])
db("own-passes-in-answer", "The deadline passes while the answer comes in.", "liveness", "17-5-",
    lambda s: [calls(s, deadline_ms=1500), rx(response(s.o(1), prng(5000), body_len=9500)),
    after(1500, ev=[e_failed("a", False)], tx=[Cancel(s.o(1))]), rx(chunk(s.o(1), prng(4500, 1, 5000))), holds(calls=0),
    alive()])
db("peer-says-deadline", "The peer answers with DEADLINE before the subject's own clock says so.", "liveness", "17-5+",
    lambda s: [calls(s, deadline_ms=1500), rx(error(s.o(1), 3), ev=[e_error("a", 3)]), after(3000), alive()])

# ---- several timers at once, 22.3
d.both("order-deadline-before-keepalive", "A deadline and the keepalive timer pass together: both take effect.",
    "liveness", "22-1+ 15-1+", lambda s: [asked(s, deadline=10000),
    after(10000, ev=[e_cancelled(s.p(1))], tx=[Ping()])])
d.both("order-drain-before-stall", "Drain deadline and stall timer pass together: the drain deadline is the reason.",
    "liveness", "16-7- 13-8+", lambda s: [asked(s, 1, reply_max=65536), asked(s, 2), answers(s, 1, body=prng(65536)),
    do("drain", deadline_ms=10000, tx=[GoAway(10000)]), after(10000, ev=[e_cancelled(s.p(2))],
    end=s.bad("DRAIN_DEADLINE", last=s.p(2)))], **CALM)
d.both("order-stall-before-keepalive", "Stall timer and the end by keepalive pass together: the stall is the reason.",
    "liveness", "13-8- 15-6+", lambda s: [asked(s, reply_max=65536), answers(s, body=prng(65536)),
    after(5000, tx=[Ping()]), after(5000, end=s.bad("SLOW_READER", last=s.p(1)))], variant="half-keepalive",
    timers=dict(keepalive=5000, grace=5000))
