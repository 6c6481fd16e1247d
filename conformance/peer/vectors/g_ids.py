"""Section 9: which id may stand where."""
from .story import *
from .wire import *

g = Group("ids", "Request ids: zero, parity, order, what is open and what is not, and the last ones.")
TOP = 2 ** 64


def both(name, about, class_, covered, story, **more):
    g.both(name, about, class_, covered, story, **more)


# ---- zero
for name, made in (("request", request(0)), ("response", response(0)), ("chunk", chunk(0, b"x")), ("error", error(0)),
    ("cancel", cancel(0))):
    both(f"zero-{name}", f"{made.diag}: id 0 names nothing.", "invalid", "9-1-", lambda s,
        made=made: [rx(made, end=s.bad("ID_ZERO"))])
both("zero-after-others", "Id 0 in a Request after good ones: zero comes before order.", "invalid", "9-1- 22-1+",
     lambda s: [asked(s), rx(request(0), ev=[e_cancelled(s.p(1))], end=s.bad("ID_ZERO", last=s.p(1)))])

# ---- parity
both("parity-first", "The first request has an id of the receiver's parity.", "invalid", "9-2-",
    lambda s: [rx(request(s.o(1)), end=s.bad("ID_PARITY"))])
both("parity-later", "A good request, then one with the other parity.", "invalid", "9-2-",
     lambda s: [asked(s), rx(request(s.p(1) + 1), ev=[e_cancelled(s.p(1))], end=s.bad("ID_PARITY", last=s.p(1)))])
both("parity-before-order", "An id of the wrong parity that is also too low: parity comes first.", "invalid",
    "9-2- 22-1+", lambda s: [rx(request(s.p(5)), ev=[e_request(s.p(5))]),
    rx(request(s.o(1)), ev=[e_cancelled(s.p(5))], end=s.bad("ID_PARITY", last=s.p(5)))])
both("parity-of-open-own-request", "A Request with the id of the subject's own open request.", "invalid", "9-2-",
     lambda s: [calls(s), rx(request(s.o(1)), ev=[e_failed("a", False)], end=s.bad("ID_PARITY"))])
both("parity-largest", "The largest id of the wrong parity.", "invalid", "9-2-",
     lambda s: [rx(request(TOP - 2 if s.role == "router" else TOP - 1), end=s.bad("ID_PARITY"))])
both("parity-cancel", "Cancel with an id of the receiver's parity.", "invalid", "9-4-",
    lambda s: [rx(cancel(s.o(1)), end=s.bad("ID_PARITY"))])
both("parity-cancel-of-open", "Cancel by the responder: it may not cancel what it should answer.", "invalid", "9-4-",
     lambda s: [calls(s), rx(cancel(s.o(1)), ev=[e_failed("a", False)], end=s.bad("ID_PARITY"))])
both("parity-cancel-before-highest", "Cancel with an id of the receiver's parity above all: parity comes first.",
    "invalid", "9-4- 22-1+", lambda s: [rx(cancel(s.o(500)), end=s.bad("ID_PARITY"))])
both("parity-right", "Right parities in both directions at once.", "positive", "9-1+ 9-2+ 9-4+",
    lambda s: [asked(s), calls(s), answers(s), rx(response(s.o(1), b"yes"), ev=[e_ok("a", b"yes")]), rx(cancel(s.p(1))),
    alive()])

# ---- order
both("order-same-again", "The same id while its request is open.", "invalid", "9-3-",
     lambda s: [asked(s), rx(request(s.p(1)), ev=[e_cancelled(s.p(1))], end=s.bad("ID_ORDER", last=s.p(1)))])
both("order-same-after-answer", "The same id after its request was answered.", "invalid", "9-3- 9-6+",
     lambda s: [asked(s), answers(s), rx(request(s.p(1)), end=s.bad("ID_ORDER", last=s.p(1)))])
both("order-lower", "A lower id that was skipped may not be used any more.", "invalid", "9-3-",
    lambda s: [rx(request(s.p(3)), ev=[e_request(s.p(3))]), rx(request(s.p(2)), ev=[e_cancelled(s.p(3))],
    end=s.bad("ID_ORDER", last=s.p(3)))])
both("order-after-cancel", "The id of a cancelled request may not be used any more.", "invalid", "9-3-",
     lambda s: [rx(request(s.p(1), prng(4096), body_len=9000)), rx(cancel(s.p(1)), tx=[Error(s.p(1), 2)]),
                rx(request(s.p(1)), end=s.bad("ID_ORDER", last=s.p(1)))])
both("order-after-refusal", "The id of a refused request counts as used.", "invalid", "9-3-",
    lambda s: [asked(s, 1), do("drain", deadline_ms=60000, tx=[GoAway(60000)]),
    rx(request(s.p(2)), tx=[Error(s.p(2), 4, 2)]), rx(request(s.p(2)), ev=[e_cancelled(s.p(1))],
    end=s.bad("ID_ORDER", last=s.p(2)))])
both("order-gap", "Ids may be skipped.", "positive", "9-3+", lambda s: [rx(request(s.p(500)), ev=[e_request(s.p(500))]),
     rx(request(s.p(70000)), ev=[e_request(s.p(70000))]), answers(s, 500), answers(s, 70000), alive()])
both("order-large-gap", "A gap of 2^63.", "positive", "9-3+",
    lambda s: [asked(s), rx(request(2 ** 63 + s.p(1)), ev=[e_request(2 ** 63 + s.p(1))]), alive()])
both("order-two-directions", "The two directions count apart: a high id of one does not bind the other.", "positive",
    "9-3+ 9-2+", lambda s: [rx(request(s.p(1000)), ev=[e_request(s.p(1000))]), calls(s),
    rx(response(s.o(1), b""), ev=[e_ok("a")]), alive()])
both("largest-id", "The largest id there is for this parity; a lower one cannot follow.", "positive", "9-3- 9-6+",
    lambda s: [rx(request(TOP - 1 if s.role == "router" else TOP - 2),
    ev=[e_request(TOP - 1 if s.role == "router" else TOP - 2)]),
    do("respond", id=TOP - 1 if s.role == "router" else TOP - 2, body=b"",
    tx=[Response(TOP - 1 if s.role == "router" else TOP - 2)]),
    rx(request(s.p(1)), end=s.bad("ID_ORDER", last=TOP - 1 if s.role == "router" else TOP - 2))])

# ---- what is open
both("response-never-opened", "A Response to an id that the subject never used.", "invalid", "9-5-",
    lambda s: [rx(response(s.o(1)), end=s.bad("ID_NOT_OPEN"))])
both("error-never-opened", "An Error for an id that the subject never used.", "invalid", "9-5-",
    lambda s: [rx(error(s.o(1)), end=s.bad("ID_NOT_OPEN"))])
both("response-above-highest", "A Response to an id above those in use.", "invalid", "9-5-",
     lambda s: [calls(s), rx(response(s.o(2)), ev=[e_failed("a", False)], end=s.bad("ID_NOT_OPEN"))])
both("response-own-parity", "A Response with an id of its sender's parity.", "invalid", "9-5-",
     lambda s: [asked(s), rx(response(s.p(1)), ev=[e_cancelled(s.p(1))], end=s.bad("ID_NOT_OPEN", last=s.p(1)))])
both("error-own-parity", "An Error with an id of its sender's parity.", "invalid", "9-5-",
     lambda s: [asked(s), rx(error(s.p(1)), ev=[e_cancelled(s.p(1))], end=s.bad("ID_NOT_OPEN", last=s.p(1)))])
both("response-twice", "A second Response after a complete one.", "invalid", "9-5- 11-4-",
    lambda s: [calls(s), rx(response(s.o(1), b"1"), ev=[e_ok("a", b"1")]),
    rx(response(s.o(1), b"2"), end=s.bad("ID_NOT_OPEN"))])
both("error-after-response", "An Error after a complete Response.", "invalid", "9-5-",
    lambda s: [calls(s), rx(response(s.o(1), b"1"), ev=[e_ok("a", b"1")]), rx(error(s.o(1)), end=s.bad("ID_NOT_OPEN"))])
both("response-after-error", "A Response after an Error.", "invalid", "9-5-",
     lambda s: [calls(s), rx(error(s.o(1), 6), ev=[e_error("a", 6)]), rx(response(s.o(1)), end=s.bad("ID_NOT_OPEN"))])
both("error-twice", "A second Error.", "invalid", "9-5-",
     lambda s: [calls(s), rx(error(s.o(1), 6), ev=[e_error("a", 6)]), rx(error(s.o(1), 6), end=s.bad("ID_NOT_OPEN"))])
both("response-before-request-written", "An answer to a call that waits for a slot: it has no id yet.", "invalid",
    "9-5-", lambda s: [calls(s), calls(s, "b", tx=None), rx(response(s.o(2)),
    ev=[e_failed("a", False), e_failed("b", True)], end=s.bad("ID_NOT_OPEN"))], variant="peer-takes-one",
    peer_lim=dict(max_concurrent=1))
both("answers-out-of-order", "Answers may come in any order.", "positive", "9-5+ 11-4+",
     lambda s: [calls(s, "a", 1), calls(s, "b", 2), calls(s, "c", 3), rx(response(s.o(3), b"3"), ev=[e_ok("c", b"3")]),
                rx(error(s.o(1), 6), ev=[e_error("a", 6)]), rx(response(s.o(2), b"2"), ev=[e_ok("b", b"2")]), alive()])
both("own-ids-ascend", "The subject's ids ascend by two, also when calls end in between.", "positive", "9-2+ 9-3+ 9-6+",
     lambda s: [one for n in range(1, 6) for one in (calls(s, f"c{n}", n), rx(response(s.o(n)), ev=[e_ok(f"c{n}")]))])
both("chunk-of-unknown", "A PacketChunk of a request that was never opened.", "invalid", "10-5-",
    lambda s: [rx(chunk(s.p(1), b"x" * 5000), end=s.bad("ID_NOT_OPEN"))])
both("chunk-of-own-unknown", "A PacketChunk of a Response to a request that was never made.", "invalid", "10-6-",
     lambda s: [rx(chunk(s.o(1), b"x" * 5000), end=s.bad("ID_NOT_OPEN"))])
both("bad-request-changes-nothing", "A Request that fails a check is not counted in last_id.", "invalid",
    "22-2+ 16-14+", lambda s: [asked(s), rx(request(s.p(9), ext=[(9, b""), (9, b"")]), ev=[e_cancelled(s.p(1))],
    end=s.bad("BAD_EXTENSIONS", last=s.p(1)))])

# ---- the last ids
LAST = {"router": TOP - 2, "worker": TOP - 1}


def last_ids(role, left):
    return Preset(role, variant=f"last-{left}", next_id=LAST[role] - 2 * (left - 1))


for role in ("router", "worker"):
    one, two, top = last_ids(role, 1), last_ids(role, 2), LAST[role]
    ask = dict(method=0x0300, body=b"", reply_max=100, deadline_ms=0)
    g.case(f"last-id-is-used.{role}", "The last id is an id like any other.", one, "exhaustion", "9-6+ 9-7+",
           [do("call", call="a", tx=[Request(top)], **ask), rx(response(top, b"ok"), ev=[e_ok("a", b"ok")]), alive()],
           requires="next-id", counted=role == "router")
    g.case(f"exhausted-idle.{role}", "A call behind the last id: the side drains, and has nothing open: GoAway and "
        "Close together.", one, "exhaustion", "9-7- 9-6-", [do("call", call="a", tx=[Request(top)], **ask),
        rx(response(top), ev=[e_ok("a")]), do("call", call="b", tx=[GoAway(60000)], ev=[e_failed("b", True)],
        end=end("IDS_EXHAUSTED", last=0), **ask)], requires="next-id", counted=role == "router")
    g.case(f"exhausted-busy.{role}", "A call behind the last id while one is open: the side drains, and closes when "
        "that has ended.", one, "exhaustion", "9-7- 16-5+", [do("call", call="a", tx=[Request(top)], **ask),
        do("call", call="b", tx=[GoAway(60000)], ev=[e_failed("b", True)], **ask),
        rx(response(top, b"late"), ev=[e_ok("a", b"late")], end=end("IDS_EXHAUSTED"))], requires="next-id",
        counted=role == "router")
    g.case(f"exhausted-serves.{role}", "A side whose ids are used up finishes what its peer has asked before.", one,
        "exhaustion", "9-7- 16-5+", [rx(request(one.p(1)), ev=[e_request(one.p(1))]),
        do("call", call="a", tx=[Request(top)], **ask), do("call", call="b", tx=[GoAway(60000)],
        ev=[e_failed("b", True)], **ask), rx(response(top), ev=[e_ok("a")]),
        do("respond", id=one.p(1), body=b"done", tx=[Response(one.p(1), b"done")],
        end=end("IDS_EXHAUSTED", last=one.p(1)))], requires="next-id", counted=role == "router")
    g.case(f"two-ids-left.{role}", "Two ids are left: two calls, and the third drains.", two, "exhaustion", "9-6- 9-7-",
           [do("call", call="a", tx=[Request(top - 2)], **ask), do("call", call="b", tx=[Request(top)], **ask),
            do("call", call="c", tx=[GoAway(60000)], ev=[e_failed("c", True)], **ask),
            rx(response(top), response(top - 2), ev=[e_ok("b"), e_ok("a")], end=end("IDS_EXHAUSTED"))],
           requires="next-id", counted=role == "router")
