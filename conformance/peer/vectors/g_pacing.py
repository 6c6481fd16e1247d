"""Sections 13 and 14: Acks, stalls, and output that waits."""
from .story import *
from .wire import *

g = Group("pacing", "Acknowledgements of body bytes, their numbers and moments; peers that do not acknowledge or do "
    "not read.")
WHOLE = dict(split=["whole"])


def both(name, about, class_, covered, story, **more):
    g.both(name, about, class_, covered, story, **more)


def big(s, count, n=1, **more):
    """The peer's n-th request with a body of `count` bytes in one frame; `more` says what must be acknowledged."""
    return rx(request(s.p(n), prng(count)), ev=[e_request(s.p(n), prng(count))], **more)


# ---- the subject acknowledges
both("ack-at-65536", "65,536 body bytes bring an Ack of 65,536.", "positive", "13-2- 13-3+",
    lambda s: [big(s, 65536, tx=[Ack(65536)])])
both("no-ack-at-65535", "65,535 body bytes bring none; one more does.", "positive", "13-4+ 13-2+",
    lambda s: [big(s, 65535), rx(request(s.p(2), b"x"), ev=[e_request(s.p(2)) | {"body": "78"}], tx=[Ack(65536)])])
both("ack-says-all", "An Ack tells all that has come when it is written.", "positive", "13-3+ 13-2-",
    lambda s: [big(s, 100000, tx=[Ack(100000)]), big(s, 65535, 2), big(s, 1, 3, tx=[Ack(165536)])], **WHOLE)
both("ack-small-bodies-count", "Small bodies count as well: seventeen of 4,000 bytes.", "positive", "13-1+ 13-2-",
    lambda s: [big(s, 4000, n) for n in range(1, 17)] + [big(s, 4000, 17, tx=[Ack(68000)])], **WHOLE)
both("ack-headers-do-not-count", "Only body bytes count, not lengths, kinds, headers or skipped frames.", "positive",
    "13-1+ 13-4+", lambda s: [rx(frame(0xCA, b"", fill(0, 70000))), big(s, 65535),
    rx(request(s.p(2), ext=[(0x4A4A, bytes(500))]), ev=[e_request(s.p(2))]), alive()])
both("ack-incomplete-body", "Bytes of a body that is not complete are acknowledged.", "positive", "13-2-",
    lambda s: [rx(request(s.p(1), prng(70000), body_len=100000), tx=[Ack(70000)])], **WHOLE)
both("ack-within-frame", "Bytes of a frame that is not complete are acknowledged.", "positive", "13-2- 13-1-",
    lambda s: [rx(request(s.p(1), prng(200000)).cut(0, 100000)),
    rx(request(s.p(1), prng(200000)).cut(100000), ev=[e_request(s.p(1), prng(200000))])])
both("ack-handlers-idle", "Acks do not wait for the application: the handlers do nothing.", "positive", "13-2+ 14-2+",
    lambda s: [big(s, 70000, n) for n in range(1, 6)])
both("ack-discarded-body", "The body of a refused request is counted and acknowledged.", "positive",
    "13-1- 10-10+ 11-9-", lambda s: [asked(s), do("drain", deadline_ms=60000, tx=[GoAway(60000)]),
    rx(request(s.p(2), prng(65533), body_len=80000), tx=[Error(s.p(2), 4, 2), Ack(65536)], order="any"),
    holds(held_max=16)], **WHOLE)
both("ack-cancelled-answer", "The body of an answer that nobody wants is counted and acknowledged.", "positive",
    "13-1-", lambda s: [calls(s, reply_max=100000), do("cancel", call="a", tx=[Cancel(s.o(1))]),
    rx(response(s.o(1), prng(80000)), tx=[Ack(80000)])], **WHOLE)
both("ack-answers-count", "Bodies of answers count like those of requests.", "positive", "13-1+ 13-2-",
    lambda s: [calls(s, reply_max=100000), rx(response(s.o(1), prng(50000)), ev=[e_ok("a", prng(50000))]),
    big(s, 15536, tx=[Ack(65536)])])
both("ack-beside-own-bodies", "Acks do not wait behind the subject's own large body.", "positive", "13-2+ 14-2+ 14-2-",
    lambda s: [asked(s, reply_max=200000), takes(0), answers(s, body=prng(200000, 3), tx=[]), big(s, 70000, 2),
    takes("all", tx=[Response(s.p(1), prng(200000, 3))])])
both("ack-one-waits", "While the transport takes nothing, one Ack at most waits, with the last number, behind one that "
    "was handed over.", "exhaustion", "14-3+ 13-3+ 14-4+", lambda s: [takes(0)] + [big(s, 65536, n) for n in range(1,
    5)]
    + [takes("all", tx=[may(Ack(65536)), Ack(262144)])])

# ---- the peer acknowledges
both("peer-ack-right", "The peer acknowledges what it got.", "positive", "13-5+ 13-6+",
    lambda s: [asked(s, reply_max=100000), answers(s, body=prng(65536)), rx(ack(65536)), alive()])
both("peer-ack-ahead-nothing-sent", "An Ack of bytes where none were sent.", "invalid", "13-5-",
    lambda s: [rx(ack(65536), end=s.bad("ACK_AHEAD"))])
both("peer-ack-ahead-by-one", "An Ack of one byte more than was sent.", "invalid", "13-5-",
    lambda s: [asked(s, reply_max=100000), answers(s, body=prng(65536)),
    rx(ack(65537), end=s.bad("ACK_AHEAD", last=s.p(1)))])
both("peer-ack-2-64", "An Ack of 2^64 - 1.", "invalid", "13-5-",
    lambda s: [rx(ack(2 ** 64 - 1), end=s.bad("ACK_AHEAD"))])
both("peer-ack-zero", "An Ack of 0.", "invalid", "13-6-", lambda s: [rx(ack(0), end=s.bad("ACK_NO_PROGRESS"))])
both("peer-ack-too-little", "A first Ack of 65,535.", "invalid", "13-6-",
    lambda s: [asked(s, reply_max=100000), answers(s, body=prng(65536)),
    rx(ack(65535), end=s.bad("ACK_NO_PROGRESS", last=s.p(1)))])
both("peer-ack-same-again", "The same Ack again.", "invalid", "13-6-",
    lambda s: [asked(s, reply_max=100000), answers(s, body=prng(65536)), rx(ack(65536)),
    rx(ack(65536), end=s.bad("ACK_NO_PROGRESS", last=s.p(1)))])
both("peer-ack-backwards", "An Ack below the one before.", "invalid", "13-6-",
    lambda s: [asked(s, reply_max=65536), answers(s, body=prng(65536)), rx(ack(65536)), asked(s, 2, reply_max=65536),
    answers(s, 2, body=prng(65536)), rx(ack(70000), end=s.bad("ACK_NO_PROGRESS", last=s.p(2)))])
both("peer-ack-second-step", "A second Ack exactly 65,536 above the first.", "positive", "13-6+",
    lambda s: [asked(s, reply_max=65536), answers(s, body=prng(65536)), rx(ack(65536)), asked(s, 2, reply_max=65536),
    answers(s, 2, body=prng(65536)), rx(ack(131072)), alive()])
both("peer-ack-second-step-minus-one", "A second Ack 65,535 above the first.", "invalid", "13-6-",
    lambda s: [asked(s, reply_max=65536), answers(s, body=prng(65536)), rx(ack(65536)), asked(s, 2, reply_max=65536),
    answers(s, 2, body=prng(65536)), rx(ack(131071), end=s.bad("ACK_NO_PROGRESS", last=s.p(2)))])
both("peer-ack-both-wrong", "An Ack that is ahead and too little: ahead comes first.", "invalid", "22-1+ 13-5-",
    lambda s: [asked(s), answers(s, body=b"12345"), rx(ack(6), end=s.bad("ACK_AHEAD", last=s.p(1)))])
both("peer-ack-requests-count", "Bodies of the subject's requests count like those of answers.", "positive",
    "13-5+ 13-1+", lambda s: [calls(s, body=prng(40000)), asked(s, reply_max=40000), answers(s, body=prng(40000)),
    rx(ack(80000)), alive()])

# ---- stalls
both("no-wait-below-step", "65,535 bytes without an Ack: none is due, so more is sent, and no timer runs.", "liveness",
    "13-7+ 13-8+", lambda s: [asked(s, reply_max=65535), answers(s, body=prng(65535)), after(9999), alive(1),
    after(9999), alive(2), asked(s, 2), answers(s, 2, body=b"x")])
both("stall", "65,536 bytes that are never acknowledged: after the stall timer the connection ends, though the peer "
    "sends Pings.", "liveness", "13-8-", lambda s: [asked(s, reply_max=65536), answers(s, body=prng(65536)),
    after(5000), alive(), after(4999), after(1, end=s.bad("SLOW_READER", last=s.p(1)))])
both("stall-stopped-by-ack", "An Ack of everything stops the timer.", "liveness", "13-8+",
    lambda s: [asked(s, reply_max=65536), answers(s, body=prng(65536)), after(9999), rx(ack(65536)), after(9999),
    alive()])
both("stall-restarted-by-ack", "An Ack of a part starts the timer anew, because enough is still unacknowledged.",
    "liveness", "13-8-", lambda s: [asked(s, 1, reply_max=65536), asked(s, 2, reply_max=65536),
    answers(s, 1, body=prng(65536)), answers(s, 2, body=prng(65536)), after(9000), rx(ack(65536)), after(9999),
    after(1, end=s.bad("SLOW_READER", last=s.p(2)))])
both("stall-below-step-after-ack", "An Ack that leaves 65,535 bytes stops the timer.", "liveness", "13-8+",
    lambda s: [asked(s, 1, reply_max=65536), asked(s, 2, reply_max=65535), answers(s, 1, body=prng(65536)),
    answers(s, 2, body=prng(65535)), after(9000), rx(ack(65536)), after(9000), alive(1), after(9000), alive(2)])
both("stall-counts-from-threshold", "The timer runs from when 65,536 were unacknowledged, not from the first byte.",
    "liveness", "13-8-", lambda s: [asked(s, 1, reply_max=60000), asked(s, 2, reply_max=60000),
    answers(s, 1, body=prng(60000)), after(6000), alive(1), answers(s, 2, body=prng(60000)), after(9999),
    after(1, end=s.bad("SLOW_READER", last=s.p(2)))])
both("blocked-transport", "The transport takes nothing for the whole stall timer, though there is something to send. What "
    "waits may go out when it takes something again: Close, and frames that were handed over before it.",
    "liveness", "13-9-", lambda s: [asked(s), takes(0), answers(s, tx=[]), after(9999),
    after(1, end=silent("SLOW_READER")),
    takes("all", tx=[may(Response(s.p(1), b"answer")), may(Close("SLOW_READER", last=s.p(1)))])])
both("blocked-transport-recovers", "The transport takes a byte before the stall timer ends: it starts anew.",
    "liveness", "13-9+", lambda s: [asked(s), takes(0), answers(s, tx=[]), after(9000), rx(unknown()), takes(1),
    after(9000), takes("all", tx=[Response(s.p(1), b"answer")]), alive()])
both("blocked-with-nothing-to-send", "A transport that takes nothing does not matter while there is nothing to send.",
    "liveness", "13-9+", lambda s: [takes(0), after(9000), rx(unknown()), after(9000), takes("all"), alive()])
both("blocked-still-reads", "While the transport takes nothing, input is processed: requests start, and are answered "
    "later.", "liveness", "14-2- 14-2+", lambda s: [takes(0), asked(s, 1), answers(s, 1, tx=[]), asked(s, 2),
    asked(s, 3), answers(s, 3, tx=[]), takes("all", tx=[Response(s.p(1), b"answer"), Response(s.p(3), b"answer")],
    order="any")])
both("blocked-many-answers", "Many answers wait while the transport takes nothing: one each, bounded by the open "
    "requests.", "exhaustion", "14-3- 14-3+ 23-1+", lambda s: [takes(0)] + [asked(s, n) for n in range(1, 9)]
    + [answers(s, n, tx=[]) for n in range(1, 9)] + [takes("all", tx=[Response(s.p(n), b"answer") for n in range(1, 9)],
    order="any"), holds(served=0)], variant="eight-slots", lim=dict(max_concurrent=8))
both("frame-in-two-writes", "A frame that the transport takes in pieces is not interrupted by another one.", "positive",
    "14-1+", lambda s: [asked(s), takes(5), answers(s, body=b"x" * 100, tx=[]), rx(ping(3)), takes(20),
    takes("all", tx=[Response(s.p(1), b"x" * 100), Pong(3)])])
both("control-overtakes-body", "A Pong does not wait behind the rest of a large body, but only behind the frame that "
    "is being sent.", "liveness", "14-1+ 15-3+", lambda s: [asked(s, reply_max=60000), takes(20000),
    answers(s, body=prng(60000), tx=[Response(s.p(1), prng(60000), partial=True)]), rx(ping(9)),
    takes("all", tx=[Chunks(s.p(1)), Pong(9)], order="any")], variant="peer-least-frame",
    peer_lim=dict(max_frame=16384))
