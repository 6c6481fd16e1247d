"""Sections 10 and 11.1: bodies in parts, and how a request ends."""
from .story import *
from .wire import *

g = Group("requests", "Requests and their answers: bodies in one frame and in parts, early answers, second answers, "
    "failing handlers.")


def both(name, about, class_, covered, story, **more):
    g.both(name, about, class_, covered, story, **more)


def first(s, body, **more):
    """The first part of a request of 10,000 bytes, of which `body` is the beginning."""
    return rx(request(s.p(1), body, body_len=10000, **more))


# ---- in one frame
both("empty-body", "A request without a body is complete with its frame; so is an empty answer.", "positive",
    "10-1+ 11-1+ 10-8+", lambda s: [asked(s, body=b""), answers(s, body=b""), alive()])
both("echo", "A request and its answer.", "positive", "11-1+ 10-3+ 2-9+",
    lambda s: [asked(s, body=b"ping"), answers(s, body=b"pong"), holds(served=0)])
both("method-any", "Any method number reaches the application: 0, the highest, and one of private use.", "positive",
    "11-1+", lambda s: [rx(request(s.p(1), method=0), ev=[e_request(s.p(1), method=0)]),
    rx(request(s.p(2), method=65535), ev=[e_request(s.p(2), method=65535)]),
    rx(request(s.p(3), method=0x8001), ev=[e_request(s.p(3), method=0x8001)])])
both("answers-in-any-order", "Handlers answer in another order than they were asked.", "positive", "11-1+",
    lambda s: [asked(s, 1, b"1"), asked(s, 2, b"2"), asked(s, 3, b"3"), answers(s, 3, b"c"), answers(s, 1, b"a"),
    answers(s, 2, b"b"), holds(served=0)])
both("two-requests-one-read", "Two requests in one read start two handlers.", "positive", "2-1+ 10-8+",
    lambda s: [rx(request(s.p(1), b"1"), request(s.p(2), b"2"), ev=[e_request(s.p(1), b"1"), e_request(s.p(2), b"2")])])
both("both-directions", "Both sides ask and answer at once.", "positive", "14-2+ 11-1+",
    lambda s: [asked(s, 1, b"to you"), calls(s, body=b"to me"), rx(response(s.o(1), b"mine"), ev=[e_ok("a", b"mine")]),
    answers(s, 1, b"yours")])
both("body-of-largest-frame", "A body that fills one frame of 262,144 bytes.", "positive", "4-2+ 10-3+",
     lambda s: [rx(request(s.p(1), prng(262144 - 14)), ev=[e_request(s.p(1), prng(262144 - 14))]), holds(served=1)])

# ---- in parts
both("two-parts", "A body in two frames.", "positive", "10-4+ 10-5+ 10-8+",
    lambda s: [first(s, prng(6000)), rx(chunk(s.p(1), prng(4000, 1, 6000)), ev=[e_request(s.p(1), prng(10000))]),
    answers(s)])
both("last-part-of-one-byte", "The last part may be as small as one byte.", "positive", "10-4+",
     lambda s: [first(s, prng(9999)), rx(chunk(s.p(1), prng(1, 1, 9999)), ev=[e_request(s.p(1), prng(10000))])])
both("parts-of-4096", "Parts of exactly 4,096 bytes.", "positive", "10-4+",
    lambda s: [first(s, prng(4096)), rx(chunk(s.p(1), prng(4096, 1, 4096))),
    rx(chunk(s.p(1), prng(1808, 1, 8192)), ev=[e_request(s.p(1), prng(10000))])])
both("part-4095", "A first frame with 4,095 of 10,000 bytes carries too little.", "invalid", "10-4-",
    lambda s: [first(s, prng(4095)) | {"end": s.bad("CHUNK_TOO_SMALL")}])
both("first-part-empty", "A first frame with none of a body that is not empty.", "invalid", "10-4-",
    lambda s: [first(s, b"") | {"end": s.bad("CHUNK_TOO_SMALL")}])
both("part-of-one-byte-body-missing", "A body of one byte of which nothing comes.", "invalid", "10-4-",
     lambda s: [rx(request(s.p(1), b"", body_len=1), end=s.bad("CHUNK_TOO_SMALL"))])
both("middle-part-4095", "A part in the middle with 4,095 bytes.", "invalid", "10-4- 16-14+",
     lambda s: [first(s, prng(4096)), rx(chunk(s.p(1), prng(4095)), end=s.bad("CHUNK_TOO_SMALL", last=s.p(1)))])
both("empty-chunk", "A PacketChunk without bytes.", "invalid", "10-4-",
    lambda s: [first(s, prng(4096)), rx(chunk(s.p(1)), end=s.bad("CHUNK_TOO_SMALL", last=s.p(1)))])
both("overrun-request", "A Request with one byte more than body_len.", "invalid", "10-3-",
    lambda s: [rx(request(s.p(1), b"12345", body_len=4), end=s.bad("BODY_OVERRUN"))])
both("overrun-empty", "A Request that says it has no body, and has one.", "invalid", "10-3-",
    lambda s: [rx(request(s.p(1), b"1", body_len=0), end=s.bad("BODY_OVERRUN"))])
both("overrun-chunk", "A last part with one byte more than is left.", "invalid", "10-3-",
     lambda s: [first(s, prng(6000)), rx(chunk(s.p(1), prng(4001)), end=s.bad("BODY_OVERRUN", last=s.p(1)))])
both("overrun-known-from-header", "What a frame will carry is known from its length: an overrun is found before the "
    "bytes come.", "invalid", "10-3- 4-11+", lambda s: [first(s, prng(6000)),
    rx(chunk(s.p(1), prng(9000)).cut(0, 4 + 1024), end=s.bad("BODY_OVERRUN", last=s.p(1)))])
both("overrun-before-small", "More than is left, and also fewer than 4,096: overrun comes first.", "invalid",
    "10-3- 22-1+", lambda s: [rx(request(s.p(1), b"12", body_len=1), end=s.bad("BODY_OVERRUN"))])
both("chunk-after-complete", "A PacketChunk after the body was complete.", "invalid", "10-5-",
     lambda s: [first(s, prng(6000)), rx(chunk(s.p(1), prng(4000, 1, 6000)), ev=[e_request(s.p(1), prng(10000))]),
                rx(chunk(s.p(1), b"x"), ev=[e_cancelled(s.p(1))], end=s.bad("ID_NOT_OPEN", last=s.p(1)))])
both("chunk-after-empty-body", "A PacketChunk behind a request that has no body.", "invalid", "10-5-",
    lambda s: [asked(s, body=b""), rx(chunk(s.p(1), b""), ev=[e_cancelled(s.p(1))],
    end=s.bad("ID_NOT_OPEN", last=s.p(1)))])
both("chunk-after-closed", "A PacketChunk behind a request that is closed.", "invalid", "10-5-",
     lambda s: [asked(s), answers(s), rx(chunk(s.p(1), b"x"), end=s.bad("ID_NOT_OPEN", last=s.p(1)))])
both("control-between-parts", "Ping, grease and another request between the parts of a body.", "positive",
    "10-7+ 14-2+", lambda s: [first(s, prng(6000)), alive(), rx(unknown()),
    rx(request(s.p(2), b"other"), ev=[e_request(s.p(2), b"other")]), answers(s, 2),
    rx(chunk(s.p(1), prng(4000, 1, 6000)), ev=[e_request(s.p(1), prng(10000))])])
both("bodies-interleaved", "Three bodies, their parts in turn.", "positive", "10-7+ 10-5+",
    lambda s: [rx(request(s.p(n), prng(5000, n), body_len=15000)) for n in (1, 2, 3)]
    + [rx(chunk(s.p(n), prng(5000, n, 5000))) for n in (3, 1, 2)]
    + [rx(chunk(s.p(n), prng(5000, n, 10000)), ev=[e_request(s.p(n), prng(15000, n))]) for n in (2, 3, 1)])
both("body-and-answer-interleaved", "The parts of a request's body and those of an answer to the other side.",
    "positive", "10-6+ 10-7+", lambda s: [calls(s, reply_max=20000), rx(request(s.p(1), prng(5000), body_len=9000)),
    rx(response(s.o(1), prng(6000, 2), body_len=12000)), rx(chunk(s.p(1), prng(4000, 1, 5000)),
    ev=[e_request(s.p(1), prng(9000))]), rx(chunk(s.o(1), prng(6000, 2, 6000)), ev=[e_ok("a", prng(12000, 2))])])
both("handler-waits-for-whole-body", "A handler does not start before the last byte of its request.", "positive",
    "10-8+ 10-8-", lambda s: [rx(B(request(s.p(1), prng(9000))).cut(0, -1)),
    rx(B(request(s.p(1), prng(9000))).cut(-1), ev=[e_request(s.p(1), prng(9000))])])
both("large-body-many-parts", "A body of a million bytes in parts of 100,000.", "positive", "10-7+ 13-2+ 13-3+",
    lambda s: [rx(request(s.p(1), prng(100000), body_len=1000000))]
    + [rx(chunk(s.p(1), prng(100000, 1, 100000 * n))) for n in range(1, 9)]
    + [rx(chunk(s.p(1), prng(100000, 1, 900000)), ev=[e_request(s.p(1), prng(1000000))])])
both("stream-ends-in-body", "The stream ends within a body: no handler starts.", "positive", "2-10- 23-2+",
     lambda s: [first(s, prng(6000)), eof(end=gone()), holds(served=0, calls=0, held_max=0)])
both("slow-body", "A body of which some bytes come every nine seconds is never too slow.", "liveness", "10-5+ 15-7+",
    lambda s: [first(s, prng(4096)), after(9000), rx(chunk(s.p(1), prng(5904, 1, 4096)).cut(0, 3)), after(9000),
    rx(chunk(s.p(1), prng(5904, 1, 4096)).cut(3, 3000)), after(9000),
    rx(chunk(s.p(1), prng(5904, 1, 4096)).cut(3000), ev=[e_request(s.p(1), prng(10000))])])
both("held-follows-what-came", "Memory for an incomplete body follows what came of it.", "exhaustion",
    "10-9+ 10-9- 4-12+", lambda s: [rx(request(s.p(1), prng(8192), body_len=8 << 20)),
    holds(served=1, held_max=2 * 8192 + 16384), rx(chunk(s.p(1), prng(65536, 1, 8192))),
    holds(served=1, held_max=2 * 73728 + 16384)])

# ---- own requests and answers
both("own-request-in-parts", "The subject's request of 60,000 bytes, in parts that the peer accepts.", "positive",
    "10-7+ 10-4+ 10-5+", lambda s: [calls(s, body=prng(60000)),
    rx(response(s.o(1), b"thanks"), ev=[e_ok("a", b"thanks")])], variant="peer-least-frame",
    peer_lim=dict(max_frame=16384))
both("own-answer-in-parts", "The subject's answer of 60,000 bytes, in parts that the peer accepts.", "positive",
    "10-7+ 10-6+", lambda s: [asked(s, reply_max=60000), answers(s, body=prng(60000)), holds(served=0)],
    variant="peer-least-frame", peer_lim=dict(max_frame=16384))
both("own-answer-large", "An answer of a million bytes, with Acks as it needs them.", "positive", "13-7+ 10-7+",
     lambda s: [asked(s, reply_max=1000000), answers(s, body=prng(1000000, 5)), holds(served=0)])
both("own-request-large", "A request of a million bytes, with Acks as it needs them.", "positive", "13-7+ 10-7+",
    lambda s: [calls(s, body=prng(1000000, 5))])
both("answer-in-parts", "An answer in three parts.", "positive", "10-6+ 10-4+ 12-6+",
    lambda s: [calls(s), rx(response(s.o(1), prng(5000), body_len=14000)), rx(chunk(s.o(1), prng(4500, 1, 5000))),
    rx(chunk(s.o(1), prng(4500, 1, 9500)), ev=[e_ok("a", prng(14000))])])
both("answer-part-too-small", "The first part of an answer carries too little.", "invalid", "10-4-",
    lambda s: [calls(s), rx(response(s.o(1), prng(4095), body_len=14000), ev=[e_failed("a", False)],
    end=s.bad("CHUNK_TOO_SMALL"))])
both("answer-chunk-too-small", "A part in the middle of an answer carries too little.", "invalid", "10-4-",
    lambda s: [calls(s), rx(response(s.o(1), prng(4096), body_len=14000)),
    rx(chunk(s.o(1), prng(100)), ev=[e_failed("a", False)], end=s.bad("CHUNK_TOO_SMALL"))])
both("answer-overrun", "An answer with one byte more than it says.", "invalid", "10-3-",
    lambda s: [calls(s), rx(response(s.o(1), b"12345", body_len=4), ev=[e_failed("a", False)],
    end=s.bad("BODY_OVERRUN"))])
both("answer-chunk-overrun", "The last part of an answer carries one byte too many.", "invalid", "10-3-",
    lambda s: [calls(s), rx(response(s.o(1), prng(5000), body_len=6000)),
    rx(chunk(s.o(1), prng(1001)), ev=[e_failed("a", False)], end=s.bad("BODY_OVERRUN"))])
both("answer-chunk-first", "A part of an answer before its Response.", "invalid", "10-6-",
     lambda s: [calls(s), rx(chunk(s.o(1), prng(5000)), ev=[e_failed("a", False)], end=s.bad("ID_NOT_OPEN"))])
both("answer-chunk-after-complete", "A part of an answer that is complete.", "invalid", "10-6-",
    lambda s: [calls(s), rx(response(s.o(1), b"all"), ev=[e_ok("a", b"all")]),
    rx(chunk(s.o(1), b"x"), end=s.bad("ID_NOT_OPEN"))])
both("answer-chunk-after-error", "A part of an answer after its request was answered with Error.", "invalid", "10-6-",
     lambda s: [calls(s), rx(response(s.o(1), prng(5000), body_len=9500)), rx(error(s.o(1), 1), ev=[e_error("a", 1)]),
                rx(chunk(s.o(1), prng(4500)), end=s.bad("ID_NOT_OPEN"))])
both("body-too-large", "A body_len one above the receiver's max_body.", "exhaustion", "10-1-",
    lambda s: [rx(request(s.p(1), prng(5000), body_len=100001), end=s.bad("BODY_TOO_LARGE"))], variant="body-100000",
    lim=dict(max_frame=16384, max_body=100000, work_budget=1000000))
both("body-largest", "A body_len of exactly the receiver's max_body opens a request.", "exhaustion", "10-1+",
    lambda s: [rx(request(s.p(1), prng(5000), body_len=100000)), holds(served=1)], variant="body-100000",
    lim=dict(max_frame=16384, max_body=100000, work_budget=1000000))
both("body-2-32-1", "A body_len of 2^32 - 1.", "exhaustion", "10-1- 4-12-",
    lambda s: [rx(request(s.p(1), prng(5000), body_len=2 ** 32 - 1), end=s.bad("BODY_TOO_LARGE"))])
both("response-too-large", "A Response with a body_len above the requester's max_body.", "exhaustion", "10-1- 22-1+",
    lambda s: [calls(s, reply_max=100), rx(response(s.o(1), prng(5000), body_len=100001), ev=[e_failed("a", False)],
    end=s.bad("BODY_TOO_LARGE"))], variant="body-100000", lim=dict(max_frame=16384, max_body=100000,
    work_budget=1000000))

# ---- how a request ends
both("early-answer", "An answer to a request whose body is not complete yet: the rest is discarded, and the slot is "
    "free behind it.", "positive", "11-9+ 11-6+ 10-10+ 12-3+",
    lambda s: [asked(s, 1), do("drain", deadline_ms=60000, tx=[GoAway(60000)]),
    rx(request(s.p(2), prng(5000), body_len=9000), tx=[Error(s.p(2), 4, 2)]), holds(served=2),
    rx(chunk(s.p(2), prng(4000, 1, 5000))), holds(served=1)])
both("early-error-rest-is-cancelled", "The subject's large request is answered with Error before its body has ended: "
    "it ends the body with Cancel.", "positive", "11-6- 11-7- 11-7+",
    lambda s: [takes(20000), calls(s, body=prng(2000000), tx=[Request(s.o(1), prng(2000000), partial=True)]),
    rx(error(s.o(1), 4), ev=[e_error("a", 4)]), takes("all",
    tx=[Chunks(s.o(1), partial=True, optional=True), Cancel(s.o(1))]), holds(calls=0), alive()],
    variant="peer-least-frame", peer_lim=dict(max_frame=16384))
both("early-response-rest-is-cancelled", "The same with a Response.", "positive", "11-6- 11-7-",
    lambda s: [takes(20000), calls(s, body=prng(2000000), tx=[Request(s.o(1), prng(2000000), partial=True)]),
    rx(response(s.o(1), b"enough"), ev=[e_ok("a", b"enough")]),
    takes("all", tx=[Chunks(s.o(1), partial=True, optional=True), Cancel(s.o(1))]), alive()],
    variant="peer-least-frame", peer_lim=dict(max_frame=16384))
both("early-answer-without-cancellation", "An early answer where cancellation is not agreed: the rest of the body is "
    "sent.", "positive", "11-8- 11-8+ 11-6-", lambda s: [takes(20000),
    calls(s, body=prng(60000), tx=[Request(s.o(1), prng(60000), partial=True)]),
    rx(error(s.o(1), 4), ev=[e_error("a", 4)]), takes("all", tx=[Chunks(s.o(1))]), holds(calls=0), alive()],
    variant="peer-least-frame-no-cancel", peer_lim=dict(max_frame=16384), features=0, peer_features=0)
both("second-response-while-first-incomplete", "A second Response while the first one is incomplete.", "invalid",
    "11-4-", lambda s: [calls(s), rx(response(s.o(1), prng(5000), body_len=9500)),
    rx(response(s.o(1), b"2"), ev=[e_failed("a", False)], end=s.bad("ID_NOT_OPEN"))])
both("second-response-order", "The second Response has a body_len above reply_max as well: that a Response is under "
    "way comes first.", "invalid", "11-4- 22-1+", lambda s: [calls(s), rx(response(s.o(1), prng(5000), body_len=9500)),
    rx(response(s.o(1), prng(5000), body_len=17000), ev=[e_failed("a", False)], end=s.bad("ID_NOT_OPEN"))])
both("second-response-body-check-first", "The second Response breaks a rule of bodies: that comes before a Response "
    "being under way.", "invalid", "11-4- 22-1+", lambda s: [calls(s), rx(response(s.o(1), prng(5000), body_len=9500)),
    rx(response(s.o(1), b"12", body_len=1), ev=[e_failed("a", False)], end=s.bad("BODY_OVERRUN"))])
both("error-in-middle-of-response", "An Error for a request whose Response is incomplete is the answer.", "positive",
    "11-5- 11-5+", lambda s: [calls(s), rx(response(s.o(1), prng(5000), body_len=9500)),
    rx(error(s.o(1), 1, message=b"disk"), ev=[e_error("a", 1, message="disk")]), holds(calls=0, held_max=0), alive()])
both("handler-fails", "A handler that fails: Error with INTERNAL, and the connection goes on.", "positive",
    "11-3- 20-7+", lambda s: [asked(s), do("fail", id=s.p(1), tx=[Error(s.p(1), 1)]), alive()])
both("handler-fails-others-go-on", "One handler fails, another one answers.", "positive", "11-3-",
     lambda s: [asked(s, 1), asked(s, 2), do("fail", id=s.p(2), tx=[Error(s.p(2), 1)]), answers(s, 1)])
both("handler-answers-twice", "A handler that answers twice: the second answer is void.", "positive", "11-1-",
    lambda s: [asked(s), answers(s), do("respond", id=s.p(1), body=b"again"), alive()])
both("handler-fails-after-answer", "A handler that fails after it has answered.", "positive", "11-1-",
    lambda s: [asked(s), answers(s), do("fail", id=s.p(1)), alive()])
both("handler-answer-after-error", "A handler that answers after it has reported an error.", "positive", "11-1-",
    lambda s: [asked(s), do("respond_error", id=s.p(1), code=6, retry=0, retry_after_ms=0, message="bad",
    tx=[Error(s.p(1), 6, message="bad")]), do("respond", id=s.p(1), body=b"x"), alive()])
both("no-answer-before-handler", "Nothing is answered while the handler runs, however long.", "positive", "11-2+ 11-1+",
     lambda s: [asked(s), after(9000), alive(1), after(9000), alive(2), answers(s)])
both("end-stops-handlers", "The end of the connection is told to all handlers, whose results are void.", "positive",
    "16-21- 16-21+", lambda s: [asked(s, 1), asked(s, 2), eof(ev=[e_cancelled(s.p(1)), e_cancelled(s.p(2))],
    end=gone()), do("respond", id=s.p(1), body=b"late"), do("fail", id=s.p(2))])
both("checks-of-request-in-order", "A Request that breaks every rule at once reports the first: extensions.", "invalid",
    "22-1+", lambda s: [rx(request(s.p(1), b"12", body_len=2 ** 32 - 1, codec=9, raw=0, ext=[(9, bytes(513))]),
    end=s.bad("BAD_EXTENSIONS"))])
both("checks-body-before-compression", "Too large a body comes before a compression that was not agreed.", "invalid",
    "22-1+", lambda s: [rx(request(s.p(1), b"12", body_len=2 ** 32 - 1, codec=9), end=s.bad("BODY_TOO_LARGE"))])
both("checks-compression-before-overrun", "A compression that was not agreed comes before an overrun.", "invalid",
    "22-1+ 19-1-", lambda s: [rx(request(s.p(1), b"12", body_len=1, codec=9), end=s.bad("COMPRESSION_NOT_AGREED"))])
both("checks-response-id-first", "A Response to an unknown id that is also too large: the id comes first.", "invalid",
    "22-1+ 9-5-", lambda s: [rx(response(s.o(1), b"", body_len=2 ** 32 - 1), end=s.bad("ID_NOT_OPEN"))])
