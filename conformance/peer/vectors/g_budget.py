"""Section 12: how many requests, and how much they may cost."""
from .story import *
from .wire import *

g = Group("budget", "Concurrency and work budget, at their limits and beyond, for the peer's requests and the "
    "subject's own.")
LOW = dict(max_frame=16384, max_body=50000, work_budget=100000)
BUDGET = dict(variant="budget-100000", lim=LOW)
PEER = dict(variant="peer-budget-100000", peer_lim=LOW)


def both(name, about, class_, covered, story, **more):
    g.both(name, about, class_, covered, story, **more)


def costs(s, n, cost, **more):
    """The peer's n-th request costs this, by its reply_max alone."""
    return rx(request(s.p(n), reply_max=cost), ev=[e_request(s.p(n))], **more)


def over(s, n, open_, code="WORK_BUDGET", **more):
    """The n-th request is too much; `open_` are those whose handlers run."""
    return rx(request(s.p(n), **more), ev=[e_cancelled(s.p(one)) for one in open_],
        end=s.bad(code, last=s.p(n - 1) if n > 1 else 0))


# ---- slots of the peer's requests
both("slots-all", "As many requests as max_concurrent.", "exhaustion", "12-1+",
    lambda s: [asked(s, n) for n in range(1, 5)] + [holds(served=4), alive()], variant="four-slots",
    lim=dict(max_concurrent=4))
both("slots-one-more", "One request more than max_concurrent.", "exhaustion", "12-1-",
    lambda s: [asked(s, n) for n in range(1, 5)] + [over(s, 5, range(1, 5), "TOO_MANY_REQUESTS")], variant="four-slots",
    lim=dict(max_concurrent=4))
both("slots-freed", "Answers free slots, in any order.", "exhaustion", "12-1+ 12-3+",
    lambda s: [asked(s, n) for n in range(1, 5)] + [answers(s, 3), asked(s, 5), answers(s, 1), asked(s, 6),
    holds(served=4)], variant="four-slots", lim=dict(max_concurrent=4))
both("slots-of-one", "max_concurrent 1: one after the other.", "exhaustion", "12-1+",
    lambda s: [one for n in range(1, 5) for one in (asked(s, n), answers(s, n))], variant="one-slot",
    lim=dict(max_concurrent=1))
both("slots-of-one-exceeded", "max_concurrent 1, and two requests in one read.", "exhaustion", "12-1-",
    lambda s: [rx(request(s.p(1)), request(s.p(2)), ev=[may(e_request(s.p(1))), may(e_cancelled(s.p(1)))],
    end=s.bad("TOO_MANY_REQUESTS", last=s.p(1)))], variant="one-slot", lim=dict(max_concurrent=1))
both("slots-incomplete-counts", "A request whose body is incomplete holds a slot.", "exhaustion", "12-1- 12-3-",
    lambda s: [rx(request(s.p(1), prng(5000), body_len=9000)),
    rx(request(s.p(2)), end=s.bad("TOO_MANY_REQUESTS", last=s.p(1)))], variant="one-slot", lim=dict(max_concurrent=1))
both("slots-refused-incomplete-counts", "A request that was refused holds its slot until its body has ended.",
    "exhaustion", "12-3- 12-1- 11-9-", lambda s: [asked(s, 1), do("drain", deadline_ms=60000, tx=[GoAway(60000)]),
    rx(request(s.p(2), prng(5000), body_len=9500), tx=[Error(s.p(2), 4, 2)]), over(s, 3, [1], "TOO_MANY_REQUESTS")],
    variant="two-slots", lim=dict(max_concurrent=2))
both("slots-refused-complete-is-free", "A request that was refused and is complete frees its slot.", "exhaustion",
    "12-3+", lambda s: [asked(s, 1), do("drain", deadline_ms=60000, tx=[GoAway(60000)])]
    + [rx(request(s.p(n)), tx=[Error(s.p(n), 4, 2)]) for n in range(2, 7)] + [alive()], variant="two-slots",
    lim=dict(max_concurrent=2))
both("slots-two-directions", "The slots of the two directions are not the same.", "exhaustion", "12-1+",
    lambda s: [asked(s), calls(s), holds(served=1, calls=1)], variant="one-slot-each", lim=dict(max_concurrent=1),
    peer_lim=dict(max_concurrent=1))
both("slots-default", "256 requests at once by default, and the 257th.", "exhaustion", "12-1- 12-1+",
    lambda s: [rx(*(request(s.p(n)) for n in range(1, 257)), ev=[e_request(s.p(n)) for n in range(1, 257)]),
    holds(served=256), over(s, 257, range(1, 257), "TOO_MANY_REQUESTS")])

# ---- what a request costs
both("cost-exact", "Requests that cost exactly the budget.", "exhaustion", "12-2+",
    lambda s: [costs(s, 1, 50000), costs(s, 2, 50000), holds(served=2)], **BUDGET)
both("cost-one-over", "Requests that cost one more than the budget.", "exhaustion", "12-2-",
    lambda s: [costs(s, 1, 50000), over(s, 2, [1], reply_max=50001)], **BUDGET)
both("cost-alone-over", "One request that costs more than the budget alone.", "exhaustion", "12-2-",
    lambda s: [rx(request(s.p(1), reply_max=100001), end=s.bad("WORK_BUDGET"))], **BUDGET)
both("cost-alone-exact", "One request that costs the whole budget.", "exhaustion", "12-2+",
    lambda s: [costs(s, 1, 100000)], **BUDGET)
both("cost-reply-max-above-max-body", "A reply_max above the responder's max_body is no violation: it only costs.",
    "positive", "12-2+ 12-5+", lambda s: [costs(s, 1, 90000), answers(s, body=b"")], **BUDGET)
both("cost-reply-max-largest", "The largest reply_max.", "exhaustion", "12-2-",
    lambda s: [rx(request(s.p(1), reply_max=2 ** 32 - 1), end=s.bad("WORK_BUDGET"))])
both("cost-reply-max-largest-fits", "The largest reply_max within a budget that is large enough.", "exhaustion",
    "12-2+", lambda s: [costs(s, 1, 2 ** 32 - 1), alive()], variant="budget-2-40", lim=dict(work_budget=2 ** 40))
both("cost-sum-needs-64-bits", "body_len + reply_max is above 2^32: the sum does not wrap.", "exhaustion", "12-2-",
     lambda s: [rx(request(s.p(1), prng(20000), reply_max=2 ** 32 - 10000), end=s.bad("WORK_BUDGET"))])
both("cost-sum-of-many-needs-64-bits", "Two requests whose costs add up to more than 2^32 and still fit.", "exhaustion",
    "12-2+", lambda s: [costs(s, 1, 2 ** 32 - 1), costs(s, 2, 2 ** 32 - 1), over(s, 3, [1, 2], reply_max=20000)],
    variant="budget-two-largest", lim=dict(work_budget=2 * (2 ** 32 - 1)))
both("cost-body-counts", "The body counts as declared, not as it came.", "exhaustion", "12-2-",
    lambda s: [rx(request(s.p(1), prng(5000), body_len=40000, reply_max=20000)),
    rx(request(s.p(2), reply_max=40001), end=s.bad("WORK_BUDGET", last=s.p(1)))], **BUDGET)
both("cost-does-not-shrink", "The cost does not shrink when the body is complete.", "exhaustion", "12-2- 12-3-",
    lambda s: [rx(request(s.p(1), prng(16000), body_len=40000, reply_max=20000)),
    rx(chunk(s.p(1), prng(12000, 1, 16000))), rx(chunk(s.p(1), prng(12000, 1, 28000)),
    ev=[e_request(s.p(1), prng(40000))]), over(s, 2, [1], reply_max=40001)], **BUDGET)
both("cost-returns", "The budget is free again when the request has closed.", "exhaustion", "12-2+ 12-3+ 23-2+",
    lambda s: [one for n in range(1, 6) for one in (costs(s, n, 100000), answers(s, n))], **BUDGET)
both("cost-held-by-cancelled", "A cancelled request keeps its cost while its handler runs.", "exhaustion",
    "12-2- 12-3- 11-19-", lambda s: [costs(s, 1, 90000), rx(cancel(s.p(1)), ev=[e_cancelled(s.p(1))]),
    rx(request(s.p(2), reply_max=20000), end=s.bad("WORK_BUDGET", last=s.p(1)))], **BUDGET)
both("cost-held-by-late", "A late request keeps its cost while its handler runs.", "exhaustion", "12-2- 12-3-",
    lambda s: [rx(request(s.p(1), reply_max=90000, deadline=100), ev=[e_request(s.p(1))]),
    after(100, ev=[e_cancelled(s.p(1))]), rx(request(s.p(2), reply_max=20000), end=s.bad("WORK_BUDGET", last=s.p(1)))],
    **BUDGET)
both("small-is-free", "Requests of at most 16,384 in each part cost only their slots: 200 of them within a budget of "
    "100,000.", "exhaustion", "12-2+", lambda s: [rx(*(request(s.p(n), reply_max=16384) for n in range(1, 201)),
    ev=[e_request(s.p(n)) for n in range(1, 201)]), holds(served=200), alive()], **BUDGET)
both("small-all-parts-at-bound", "Body and reply_max of 16,384 each are small.", "exhaustion", "12-2+",
    lambda s: [rx(request(s.p(n), prng(4096, n), body_len=16384, reply_max=16384)) for n in range(1, 6)]
    + [costs(s, 6, 100000)], **BUDGET)
both("small-reply-one-above", "A reply_max of 16,385 is not small: all of it counts.", "exhaustion", "12-2-",
    lambda s: [costs(s, 1, 16385), over(s, 2, [1], reply_max=100000 - 16384)], **BUDGET)
both("small-body-one-above", "A body of 16,385 bytes makes the whole request cost, its reply_max too.", "exhaustion",
    "12-2-", lambda s: [rx(request(s.p(1), prng(4096), body_len=16385, reply_max=16384)),
    rx(request(s.p(2), reply_max=100000 - 32768), end=s.bad("WORK_BUDGET", last=s.p(1)))], **BUDGET)
both("small-body-one-above-exact", "The same, with a second request that just fits.", "exhaustion", "12-2+",
    lambda s: [rx(request(s.p(1), prng(4096), body_len=16385, reply_max=16384)), costs(s, 2, 100000 - 32769)], **BUDGET)
both("slots-before-budget", "Too many and too expensive: too many comes first.", "exhaustion", "22-1+ 12-1-",
    lambda s: [asked(s), rx(request(s.p(2), reply_max=2 ** 32 - 1), ev=[e_cancelled(s.p(1))],
    end=s.bad("TOO_MANY_REQUESTS", last=s.p(1)))], variant="one-slot", lim=dict(max_concurrent=1))
both("budget-failed-request-costs-nothing", "last_id does not name the request that was too expensive.", "exhaustion",
    "22-2+ 12-2-", lambda s: [costs(s, 1, 50000), over(s, 2, [1], reply_max=60000)], **BUDGET)

# ---- the length of answers
both("reply-at-max", "An answer of exactly reply_max.", "exhaustion", "12-6+ 12-7+",
    lambda s: [calls(s, reply_max=100), rx(response(s.o(1), prng(100)), ev=[e_ok("a", prng(100))])])
both("reply-over-max", "An answer of one byte more than reply_max.", "exhaustion", "12-6-",
    lambda s: [calls(s, reply_max=100), rx(response(s.o(1), prng(101)), ev=[e_failed("a", False)],
    end=s.bad("REPLY_TOO_LONG"))])
both("reply-over-max-at-header", "It is found with the header, before the body comes.", "exhaustion", "12-6- 4-11+",
    lambda s: [calls(s, reply_max=100), rx(response(s.o(1), prng(9000)).cut(0, 4 + 1024), ev=[e_failed("a", False)],
    end=s.bad("REPLY_TOO_LONG"))])
both("reply-max-zero", "A reply_max of 0: only an empty answer fits.", "exhaustion", "12-6+",
    lambda s: [calls(s, reply_max=0), rx(response(s.o(1)), ev=[e_ok("a")])])
both("reply-max-zero-exceeded", "A reply_max of 0, and an answer of one byte.", "exhaustion", "12-6-",
    lambda s: [calls(s, reply_max=0), rx(response(s.o(1), b"x"), ev=[e_failed("a", False)],
    end=s.bad("REPLY_TOO_LONG"))])
both("reply-error-needs-no-room", "An Error fits any reply_max.", "positive", "12-6+",
    lambda s: [calls(s, reply_max=0), rx(error(s.o(1), 6, message=b"m" * 500), ev=[e_error("a", 6)])])
both("result-at-max", "A handler's result of exactly reply_max.", "exhaustion", "12-7+",
    lambda s: [asked(s, reply_max=100), answers(s, body=prng(100))])
both("result-over-max", "A handler's result of one byte more than reply_max: the answer is an error, and the "
    "connection goes on.", "exhaustion", "12-7- 20-7+", lambda s: [asked(s, reply_max=100),
    do("respond", id=s.p(1), body=prng(101), tx=[Error(s.p(1), 7)]), alive()])
both("result-over-zero", "A handler's result where reply_max is 0.", "exhaustion", "12-7-",
    lambda s: [asked(s, reply_max=0), do("respond", id=s.p(1), body=b"x", tx=[Error(s.p(1), 7)])])
both("result-over-requesters-max-body", "A result within reply_max, but above the requester's max_body.", "exhaustion",
    "12-7-", lambda s: [asked(s, reply_max=60000), do("respond", id=s.p(1), body=prng(50001), tx=[Error(s.p(1), 7)])],
    **PEER)
both("result-at-requesters-max-body", "A result of exactly the requester's max_body.", "exhaustion", "12-7+",
    lambda s: [asked(s, reply_max=60000), answers(s, body=prng(50000))], **PEER)

# ---- the subject's own calls
both("own-waits-for-slot", "A call waits until a slot of the peer's is free.", "exhaustion", "12-1+",
    lambda s: [calls(s), calls(s, "b", tx=[]), holds(calls=1),
    rx(response(s.o(1)), ev=[e_ok("a")], tx=[Request(s.o(2), b"ask")])], variant="peer-takes-one",
    peer_lim=dict(max_concurrent=1))
both("own-waits-for-budget", "A call waits until the peer's budget is free.", "exhaustion", "12-2+",
    lambda s: [calls(s, reply_max=60000), calls(s, "b", reply_max=50000, tx=[]),
    rx(response(s.o(1)), ev=[e_ok("a")], tx=[Request(s.o(2), b"ask")])], **PEER)
both("own-fits-budget", "Two calls that fit the peer's budget exactly go at once.", "exhaustion", "12-2+",
    lambda s: [calls(s, reply_max=50000 - 3), calls(s, "b", 2, reply_max=50000 - 3)], **PEER)
both("own-never-fits-budget", "A call that costs more than the peer's budget alone fails without being sent.",
    "exhaustion", "12-4- 12-4+", lambda s: [calls(s, reply_max=99998, tx=[]) | {"events": [e_failed("a", True)]},
    alive()], **PEER)
both("own-body-too-long", "A call whose body is longer than the peer's max_body fails without being sent.",
    "exhaustion", "12-4-", lambda s: [calls(s, body=prng(50001), tx=[]) | {"events": [e_failed("a", True)]}, alive()],
    **PEER)
both("own-body-longest", "A call whose body is as long as the peer's max_body.", "exhaustion", "12-4+",
    lambda s: [calls(s, body=prng(50000))], **PEER)
both("own-reply-max-above-own-max-body", "A call with a reply_max above the subject's own max_body fails without "
    "being sent.", "exhaustion", "12-5- 12-5+", lambda s: [calls(s, reply_max=50001, tx=[])
    | {"events": [e_failed("a", True)]}, alive()], **BUDGET)
both("own-reply-max-at-own-max-body", "A call with a reply_max of the subject's own max_body.", "exhaustion", "12-5+",
    lambda s: [calls(s, reply_max=50000)], **BUDGET)
both("own-many-small", "Small calls need no budget: fifty at once.", "exhaustion", "12-2+",
    lambda s: [calls(s, f"c{n}", n) for n in range(1, 51)], **PEER)
both("nested-no-slot", "A call that a handler makes fails at once if no slot is free, so that two sides cannot wait "
    "for each other.", "liveness", "12-8- 12-8+", lambda s: [asked(s), calls(s),
    calls(s, "b", within=str(s.p(1)), tx=[]) | {"events": [e_failed("b", True)]}, answers(s)], variant="peer-takes-one",
    peer_lim=dict(max_concurrent=1))
both("nested-slot-free", "A call that a handler makes is sent if a slot is free.", "liveness", "12-8+",
    lambda s: [asked(s), calls(s, "b", within=str(s.p(1))), rx(response(s.o(1), b"x"), ev=[e_ok("b", b"x")]),
    answers(s)])
both("nested-no-budget", "A call that a handler makes fails at once if no budget is free.", "liveness", "12-8-",
    lambda s: [asked(s), calls(s, reply_max=60000), calls(s, "b", within=str(s.p(1)), reply_max=50000, tx=[])
    | {"events": [e_failed("b", True)]}], **PEER)
