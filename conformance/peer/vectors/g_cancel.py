"""Section 11.2: Cancel, at every moment of a request's life."""
from .story import *
from .wire import *

g = Group("cancel", "Cancel: before, during and after everything; twice, too early, not agreed; and cancelling one's "
    "own calls.")
CUT = dict(variant="peer-least-frame", peer_lim=dict(max_frame=16384))
NO = dict(variant="no-cancel", features=0, peer_features=0)


def both(name, about, class_, covered, story, **more):
    g.both(name, about, class_, covered, story, **more)


def half(s, n=1, **more):
    return rx(request(s.p(n), prng(6000), body_len=10000, **more))


def rest(s, n=1):
    return chunk(s.p(n), prng(4000, 1, 6000))


# ---- the peer cancels
both("running", "Cancel while the handler runs: it is told, and its answer is replaced when it ends.", "positive",
    "11-15- 11-10+ 11-2+", lambda s: [asked(s), rx(cancel(s.p(1)), ev=[e_cancelled(s.p(1))]), holds(served=1),
    do("respond", id=s.p(1), body=b"late", tx=[Error(s.p(1), 2)]), holds(served=0)])
both("running-waits-for-handler", "A handler that does not end keeps its request open, however long.", "liveness",
    "11-15- 12-3+ 11-2+", lambda s: [asked(s), rx(cancel(s.p(1)), ev=[e_cancelled(s.p(1))]), after(9000), alive(1),
    after(9000), alive(2), holds(served=1), do("respond", id=s.p(1), body=b"", tx=[Error(s.p(1), 2)])])
both("running-handler-errors", "The cancelled handler ends with an error of its own: the answer is CANCELLED all the "
    "same.", "positive", "11-15-", lambda s: [asked(s), rx(cancel(s.p(1)), ev=[e_cancelled(s.p(1))]),
    do("respond_error", id=s.p(1), code=300, retry=1, retry_after_ms=9, message="x", tx=[Error(s.p(1), 2, 0, 0)])])
both("running-handler-fails", "The cancelled handler fails: CANCELLED all the same.", "positive", "11-15- 11-3+",
     lambda s: [asked(s), rx(cancel(s.p(1)), ev=[e_cancelled(s.p(1))]), do("fail", id=s.p(1), tx=[Error(s.p(1), 2)])])
both("running-answer-too-large", "The cancelled handler's result would be too large: CANCELLED all the same.",
    "positive", "11-15- 12-7+", lambda s: [asked(s, reply_max=10), rx(cancel(s.p(1)), ev=[e_cancelled(s.p(1))]),
    do("respond", id=s.p(1), body=prng(100), tx=[Error(s.p(1), 2)])])
both("receiving", "Cancel while the body is incomplete: it is answered at once, and closed.", "positive",
    "11-14- 11-14+", lambda s: [half(s), rx(cancel(s.p(1)), tx=[Error(s.p(1), 2)]), holds(served=0, held_max=0),
    alive()])
both("receiving-then-chunk", "A part of the body after Cancel.", "invalid", "11-18- 10-5-",
     lambda s: [half(s), rx(cancel(s.p(1)), tx=[Error(s.p(1), 2)]), rx(rest(s), end=s.bad("ID_NOT_OPEN", last=s.p(1)))])
both("running-then-chunk", "A part of a body that was complete before Cancel.", "invalid", "11-18-",
    lambda s: [asked(s), rx(cancel(s.p(1)), ev=[e_cancelled(s.p(1))]),
    rx(chunk(s.p(1), b"x"), end=s.bad("ID_NOT_OPEN", last=s.p(1)))])
both("receiving-frees-memory", "A cancelled body holds no memory.", "exhaustion", "11-14- 23-2+ 23-2-",
    lambda s: [rx(request(s.p(1), prng(200000), body_len=1000000)), rx(cancel(s.p(1)), tx=[Error(s.p(1), 2)]),
    holds(served=0, held_max=0)])
both("same-read-as-request", "Request and Cancel in one read: frames are processed one after another.", "positive",
    "11-15- 22-1+", lambda s: [rx(request(s.p(1), b"x"), cancel(s.p(1)),
    ev=[e_request(s.p(1), b"x"), e_cancelled(s.p(1))]), do("respond", id=s.p(1), body=b"", tx=[Error(s.p(1), 2)])])
both("twice-running", "A second Cancel while the handler runs has no effect.", "positive", "11-13-",
    lambda s: [asked(s), rx(cancel(s.p(1)), ev=[e_cancelled(s.p(1))]), rx(cancel(s.p(1))), rx(cancel(s.p(1)) * 20),
    do("respond", id=s.p(1), body=b"", tx=[Error(s.p(1), 2)])])
both("twice-receiving", "A second Cancel after the first was answered has no effect.", "positive", "11-13- 11-12-",
     lambda s: [half(s), rx(cancel(s.p(1)), tx=[Error(s.p(1), 2)]), rx(cancel(s.p(1))), alive()])
both("twice-one-read", "Two Cancels in one read: one answer.", "positive", "11-13- 11-1+",
    lambda s: [half(s), rx(cancel(s.p(1)), cancel(s.p(1)), tx=[Error(s.p(1), 2)]), alive()])
both("after-answer", "Cancel of a request that was answered and closed has no effect.", "positive",
    "11-12- 11-17- 11-15+", lambda s: [asked(s), answers(s), rx(cancel(s.p(1))), alive()])
both("after-error", "Cancel of a request that was answered with an error has no effect.", "positive", "11-12- 11-17-",
     lambda s: [asked(s), do("fail", id=s.p(1), tx=[Error(s.p(1), 1)]), rx(cancel(s.p(1))), alive()])
both("of-skipped-id", "Cancel of an id that was skipped has no effect.", "positive", "11-12-",
     lambda s: [rx(request(s.p(9), b"x"), ev=[e_request(s.p(9), b"x")]), rx(cancel(s.p(4))), alive(), answers(s, 9)])
both("of-long-closed", "Cancel of an id that was closed long ago.", "positive", "11-12-",
    lambda s: [one for n in range(1, 8) for one in (asked(s, n), answers(s, n))]
    + [rx(cancel(s.p(1)), cancel(s.p(7))), alive()])
both("above-highest", "Cancel of an id that its sender has not opened.", "invalid", "11-11- 9-5+",
    lambda s: [rx(cancel(s.p(1)), end=s.bad("ID_NOT_OPEN"))])
both("above-highest-later", "Cancel of the next id.", "invalid", "11-11-",
     lambda s: [asked(s), rx(cancel(s.p(2)), ev=[e_cancelled(s.p(1))], end=s.bad("ID_NOT_OPEN", last=s.p(1)))])
both("largest-id", "Cancel of the largest id of the right parity.", "invalid", "11-11-",
     lambda s: [rx(cancel(2 ** 64 - 1 if s.role == "router" else 2 ** 64 - 2), end=s.bad("ID_NOT_OPEN"))])
both("not-agreed", "Cancel where cancellation was not agreed.", "invalid", "11-10-",
    lambda s: [asked(s), rx(cancel(s.p(1)), ev=[e_cancelled(s.p(1))], end=s.bad("CANCEL_NOT_AGREED", last=s.p(1)))],
    **NO)
both("not-agreed-comes-first", "Not agreed comes before id 0, parity and order.", "invalid", "11-10- 22-1+",
    lambda s: [rx(cancel(0), end=s.bad("CANCEL_NOT_AGREED"))], **NO)
both("not-agreed-because-of-subject", "The peer offers cancellation, the subject does not.", "invalid", "11-10- 8-11+",
    lambda s: [asked(s), rx(cancel(s.p(1)), ev=[e_cancelled(s.p(1))], end=s.bad("CANCEL_NOT_AGREED", last=s.p(1)))],
    variant="no-own-cancel", features=0)
both("answer-waits-complete", "Cancel while the whole answer waits for the transport: it is replaced, unless it was "
    "handed over.", "positive", "11-16- 11-16+ 14-4+", lambda s: ([asked(s, reply_max=16384), takes(0),
    answers(s, body=prng(9000), tx=[]), rx(cancel(s.p(1)))],
    [branch("replaced", True, "it was not handed over: R-11-16",
    [takes("all", tx=[Error(s.p(1), 2)]), holds(served=0), alive()]),
    branch("was handed over", False, "it counts as sent: R-14-4 and R-11-17",
    [takes("all", tx=[Response(s.p(1), prng(9000))]), holds(served=0), alive()])]))
both("answer-under-way", "Cancel when a part of a Response was sent: an Error replaces what is left.", "positive",
    "11-16-", lambda s: [asked(s, reply_max=2000000), takes(20000),
    answers(s, body=prng(2000000), tx=[Response(s.p(1), prng(2000000), partial=True)]), rx(cancel(s.p(1))),
    takes("all", tx=[Chunks(s.p(1), partial=True, optional=True), Error(s.p(1), 2)]), holds(served=0), alive()], **CUT)
both("answer-under-way-no-more-parts", "After that Error no part of the Response comes any more.", "positive",
    "11-16- 11-1+", lambda s: [asked(s, reply_max=2000000), takes(20000),
    answers(s, body=prng(2000000), tx=[Response(s.p(1), prng(2000000), partial=True)]), rx(cancel(s.p(1))),
    takes("all", tx=[Chunks(s.p(1), partial=True, optional=True), Error(s.p(1), 2)]), after(5000), rx(cancel(s.p(1))),
    alive()], **CUT)
both("error-waits", "Cancel while an Error waits: the Error goes as it is.", "positive", "11-17- 11-17+",
    lambda s: [asked(s), takes(0), do("respond_error", id=s.p(1), code=300, retry=0, retry_after_ms=0, message=""),
    rx(cancel(s.p(1))), takes("all", tx=[Error(s.p(1), 300)]), holds(served=0)])
both("deadline-passed-then-cancel", "A request that is late, and then cancelled while its handler runs, is answered "
    "as cancelled.", "positive", "17-6- 11-15-", lambda s: [asked(s, deadline=1000),
    after(1000, ev=[e_cancelled(s.p(1))]), rx(cancel(s.p(1))),
    do("respond", id=s.p(1), body=b"", tx=[Error(s.p(1), 2)])])
both("many-at-once", "Cancel of some of many running handlers.", "positive", "11-15-",
    lambda s: [asked(s, n) for n in range(1, 7)] + [rx(cancel(s.p(2)), cancel(s.p(5)),
    ev=[e_cancelled(s.p(2)), e_cancelled(s.p(5))]), answers(s, 1),
    do("respond", id=s.p(5), body=b"", tx=[Error(s.p(5), 2)]), answers(s, 6),
    do("fail", id=s.p(2), tx=[Error(s.p(2), 2)]), holds(served=2)])
both("slot-held-until-handler-ends", "Cancelling frees no slot while the handler runs.", "exhaustion",
    "11-19- 12-3+ 12-1-", lambda s: [asked(s, 1), asked(s, 2),
    rx(cancel(s.p(1)), cancel(s.p(2)), ev=[e_cancelled(s.p(1)), e_cancelled(s.p(2))]),
    rx(request(s.p(3)), end=s.bad("TOO_MANY_REQUESTS", last=s.p(2)))], variant="two-slots", lim=dict(max_concurrent=2))
both("slot-free-after-answer", "After the answer of the cancelled request its slot is free.", "exhaustion",
    "11-19+ 12-1+", lambda s: [asked(s, 1), asked(s, 2), rx(cancel(s.p(1)), ev=[e_cancelled(s.p(1))]),
    do("respond", id=s.p(1), body=b"", tx=[Error(s.p(1), 2)]), asked(s, 3), answers(s, 3)], variant="two-slots",
    lim=dict(max_concurrent=2))
both("rapid-open-and-cancel", "Open and cancel in quick succession: each handler keeps its slot, so the third pair "
    "ends the connection.", "exhaustion", "11-19- 12-1-", lambda s: [rx(request(s.p(1)), cancel(s.p(1)),
    ev=[e_request(s.p(1)), e_cancelled(s.p(1))]), rx(request(s.p(2)), cancel(s.p(2)),
    ev=[e_request(s.p(2)), e_cancelled(s.p(2))]), rx(request(s.p(3)), end=s.bad("TOO_MANY_REQUESTS", last=s.p(2)))],
    variant="two-slots", lim=dict(max_concurrent=2))
both("rapid-incomplete-and-cancel", "Requests that are cancelled before their bodies are complete free their slots "
    "at once.", "exhaustion", "11-14- 11-19+", lambda s: [one for n in range(1, 6) for one
    in (half(s, n), rx(cancel(s.p(n)), tx=[Error(s.p(n), 2)]))] + [alive()], variant="two-slots",
    lim=dict(max_concurrent=2))
both("refused-then-cancel", "A request refused because of a drain, whose body is ended by Cancel.", "positive",
    "11-17- 16-4-", lambda s: [asked(s, 1), do("drain", deadline_ms=60000, tx=[GoAway(60000)]),
    rx(request(s.p(2), prng(5000), body_len=10000), tx=[Error(s.p(2), 4, 2)]), holds(served=2), rx(cancel(s.p(2))),
    holds(served=1), answers(s, 1, end=end("DRAINED", last=s.p(2)))])

# ---- the subject's application cancels
both("own-call", "The application gives a call up: Cancel goes out, and the answer is received and discarded.",
    "positive", "11-10+ 11-20+ 11-20-", lambda s: [calls(s), do("cancel", call="a", tx=[Cancel(s.o(1))]),
    holds(calls=1), rx(response(s.o(1), b"unwanted")), holds(calls=0), alive()])
both("own-call-answered-cancelled", "The answer to a cancelled call is CANCELLED.", "positive", "11-20+",
    lambda s: [calls(s), do("cancel", call="a", tx=[Cancel(s.o(1))]), rx(error(s.o(1), 2)), holds(calls=0), alive()])
both("own-call-checked-as-wanted", "The unwanted answer has all checks of a wanted one.", "invalid", "11-20- 12-6-",
    lambda s: [calls(s, reply_max=10), do("cancel", call="a", tx=[Cancel(s.o(1))]),
    rx(response(s.o(1), b"12345678901"), end=s.bad("REPLY_TOO_LONG"))])
both("own-call-unwanted-parts", "An unwanted answer in parts is discarded as it comes.", "positive",
    "11-20+ 10-10+ 13-1-", lambda s: [calls(s, reply_max=200000), do("cancel", call="a", tx=[Cancel(s.o(1))]),
    rx(response(s.o(1), prng(100000), body_len=150000)), holds(calls=1, held_max=0),
    rx(chunk(s.o(1), prng(50000, 1, 100000))), holds(calls=0), alive()])
both("own-call-unwanted-chunk-checked", "A part of an unwanted answer is checked.", "invalid", "10-10- 11-20-",
    lambda s: [calls(s, reply_max=200000), do("cancel", call="a", tx=[Cancel(s.o(1))]),
    rx(response(s.o(1), prng(5000), body_len=150000)), rx(chunk(s.o(1), prng(7)), end=s.bad("CHUNK_TOO_SMALL"))])
both("own-call-in-middle-of-answer", "The application gives up while an answer comes in.", "positive", "11-20+",
    lambda s: [calls(s), rx(response(s.o(1), prng(5000), body_len=9500)), do("cancel", call="a", tx=[Cancel(s.o(1))]),
    rx(chunk(s.o(1), prng(4500, 1, 5000))), holds(calls=0), alive()])
both("own-call-twice", "Giving up twice sends one Cancel.", "positive", "11-13+",
    lambda s: [calls(s), do("cancel", call="a", tx=[Cancel(s.o(1))]), do("cancel", call="a"), rx(error(s.o(1), 2)),
    do("cancel", call="a")])
both("own-call-after-answer", "Giving up a call that was answered does nothing.", "positive", "11-12+",
    lambda s: [calls(s), rx(response(s.o(1), b""), ev=[e_ok("a")]), do("cancel", call="a"), alive()])
both("own-call-not-agreed", "Without cancellation an abandoned call runs to its end.", "positive", "11-10+ 11-20+",
    lambda s: [calls(s), do("cancel", call="a"), holds(calls=1), rx(response(s.o(1), b"x")), holds(calls=0), alive()],
    **NO)
both("own-call-waiting", "A call that waits for a slot and is given up is never sent.", "positive", "11-20+ 12-1+",
    lambda s: [calls(s), calls(s, "b", tx=[]), do("cancel", call="b"), rx(response(s.o(1), b""), ev=[e_ok("a")]),
    calls(s, "c", 2)], variant="peer-takes-one", peer_lim=dict(max_concurrent=1))
both("own-call-slot-held", "A cancelled call holds its slot until it is answered.", "exhaustion", "11-19+ 12-1+",
    lambda s: [calls(s), do("cancel", call="a", tx=[Cancel(s.o(1))]), calls(s, "b", tx=[]),
    rx(error(s.o(1), 2), tx=[Request(s.o(2), b"ask")])], variant="peer-takes-one", peer_lim=dict(max_concurrent=1))
both("own-body-under-way", "Giving up while the call's own body is under way ends the body: no part follows Cancel.",
    "positive", "11-18+ 11-10+", lambda s: [takes(20000), calls(s, body=prng(2000000),
    tx=[Request(s.o(1), prng(2000000), partial=True)]), do("cancel", call="a"),
    takes("all", tx=[Chunks(s.o(1), partial=True, optional=True), Cancel(s.o(1))]), rx(error(s.o(1), 2)),
    holds(calls=0), alive()], **CUT)
