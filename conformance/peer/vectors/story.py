"""Stories: steps, presets and cases, and the files they are written to."""
import json

from peer import CODES

from .wire import B, MIB, as_b, cancel, goaway, hello, limits, ping, pong, preface, request, welcome

GROUPS = []
DEFAULT_LIMITS = dict(max_frame=262144, max_body=16 * MIB, work_budget=64 * MIB, max_concurrent=256)
# Codes above 9 that do not mean that the peer broke a rule: timers, and decisions of an application.
NOT_THE_PEERS_FAULT = {CODES[name] for name in ("HANDSHAKE_TIMEOUT", "UNAUTHORIZED", "CLAIM_REFUSED",
    "TOO_MANY_CONNECTIONS", "SLOW_READER", "KEEPALIVE_TIMEOUT")}
TIMERS = {"router": dict(handshake=5000, keepalive=10000, grace=10000, stall=10000),
          "worker": dict(handshake=10000, keepalive=10000, grace=10000, stall=10000)}


def lim_json(given):
    made = DEFAULT_LIMITS | (given or {})
    return made | {"work_budget": str(made["work_budget"])}


# ---------------------------------------------------------------- steps
def step(**fields):
    made = {}
    for name, value in fields.items():
        if value is None or value == [] and name in ("tx", "events"): continue
        made[name] = value
    return made


def rx(*parts, tx=None, ev=None, end=None, order=None):
    data = B(*parts)
    return step(rx=data.json(), diag=data.diag or None, tx=tx, events=ev, order=order, end=end)


def do(name, tx=None, ev=None, end=None, order=None, **fields):
    fields = {key: value.json() if isinstance(value, B) else value.hex() if isinstance(value, bytes)
              else str(value) if key in ("id", "within") else value for key, value in fields.items()}
    return step(do={"name": name} | fields, tx=tx, events=ev, order=order, end=end)


def after(ms, tx=None, ev=None, end=None, order=None):
    return step(advance=ms, tx=tx, events=ev, order=order, end=end)


def eof(tx=None, ev=None, end=None, order=None):
    return step(eof=True, tx=tx, events=ev, end=end, order=order)


def takes(count, tx=None, ev=None, end=None, order=None):
    """The transport takes `count` bytes from now on, or "all"."""
    return step(transport=count, tx=tx, events=ev, end=end, order=order)


def holds(served=None, calls=None, held_max=None):
    return step(state={name: value for name, value in dict(served=served, calls=calls, held_max=held_max).items()
                       if value is not None})


def alive(nonce=77):
    return rx(ping(nonce), tx=[Pong(nonce)])


# ---------------------------------------------------------------- what must come out
def exact(data):
    return {"hex": data.plain().hex()}


def Pong(nonce): return exact(pong(nonce))
def Cancel(id): return exact(cancel(id))
def GoAway(ms): return exact(goaway(ms))
def Ping(): return {"frame": "Ping"}
def Ack(received): return {"frame": "Ack", "received": str(received)}


def fields(kind, given):
    made = {"frame": kind}
    for name, value in given.items():
        if value is None: continue
        if isinstance(value, B): value = value.json()
        elif isinstance(value, bytes): value = value.hex()
        elif name in ("id", "nonce", "received", "last_id"): value = str(value)
        made[name] = value
    return made


def Response(id, body=b"", **more):
    return fields("Response", dict(id=id, body=as_b(body), **more))


def Request(id, body=b"", **more):
    return fields("Request", dict(id=id, body=as_b(body), **more))


def Chunks(id, **more):
    return fields("PacketChunk", dict(id=id, **more))


def Error(id, code, retry=0, after=None, message=None):
    return fields("Error", dict(id=id, code=code, retry=retry, retry_after_ms=after, message=message))


def Close(code, last=None): return fields("Close", dict(code=CODES[code], last_id=last))
def Welcome(**given): return fields("Welcome", given)
def Hello(**given): return fields("Hello", given)


def may(pattern):
    """It may come: it waits when the connection ends, so it may be discarded."""
    return pattern | {"optional": True}


def event(name, **given):
    made = fields("", given)
    del made["frame"]
    return {"event": name} | made


def e_request(id, body=b"", method=None, **more):
    return event("request", id=id, body=as_b(body), method=method, **more)


def e_cancelled(id): return event("cancelled", id=id)
def e_ok(call, body=b""): return event("answer", call=call, result="ok", body=as_b(body))
def e_failed(call, safe): return event("answer", call=call, result="failed", safe=safe)
def e_open(**given): return event("open", **given)


def e_error(call, code, retry=0, after=0, message=None):
    return event("answer", call=call, result="error", code=code, retry=retry, retry_after_ms=after, message=message)


def end(code, by="subject", wire="close", last=None, after=None):
    made = {"code": CODES[code] if isinstance(code, str) else code, "by": by, "wire": wire}
    if last is not None: made["last_id"] = str(last)
    if after is not None: made["retry_after_ms"] = after
    return made


def refused(code, after=0): return end(code, wire="reject", after=after)
def silent(code): return end(code, wire="none")
def gone(): return end(None, by="peer", wire="none")
def told(code): return end(code, by="peer", wire="none")


def bad(code, last=0):
    """An open connection, or a worker, ends with Close because of a violation."""
    return end(code, last=last)


# ---------------------------------------------------------------- presets
class Preset:
    """A role, what both sides offer, and how far the opening goes: new, deciding (router) or open."""

    def __init__(self, role, stage="open", variant="", lim=None, peer_lim=None, features=1, peer_features=1,
                 compression=(), peer_compression=(), versions=((3, 0),), timers=None, next_id=None,
                 application="driven", app=None, peer_app=None, nova=None):
        self.role, self.stage, self.variant = role, stage, variant
        self.name = "-".join(filter(None, [role, variant, stage if stage != "open" else ""]))
        app = app if app is not None else b"hi" if role == "worker" else b"ok"
        peer_app = peer_app if peer_app is not None else b"ok" if role == "worker" else b"hi"
        self.lim, self.peer_lim = lim_json(lim), lim_json(peer_lim)
        subject = dict(versions=[list(one) for one in versions], limits=self.lim, features=features,
                       compression=list(compression), app=app.hex(), timers=TIMERS[role] | (timers or {}))
        if next_id is not None: subject["next_id"] = str(next_id)
        if nova: subject["nova"] = nova
        peer = dict(versions=[[3, 0]], limits=self.peer_lim, features=peer_features, compression=list(peer_compression),
                    app=peer_app.hex())
        agreed = features & peer_features
        both = [one for one in peer_compression if one in compression]
        wire_lim = limits(**DEFAULT_LIMITS | (peer_lim or {}))
        if role == "worker":
            opening = [step(start=True, tx=[Hello(versions=subject["versions"], limits=self.lim, features=features,
                                                  compression=list(compression),
                                                  **app_pattern(nova, app))])]
            if stage == "open":
                opening.append(rx(preface(), welcome(lim=wire_lim, features=agreed, compression=both, app=peer_app),
                                  ev=[e_open(version=[3, 0], features=agreed, compression=both, app=peer_app)]))
        else:
            opening = [step(start=True)]
            if stage != "new":
                opening.append(rx(preface(), hello(lim=wire_lim, features=peer_features, compression=peer_compression,
                                                   app=peer_app), ev=[event("hello", app=peer_app)]))
            if stage == "open":
                opening.append(do("accept", app=app, tx=[Welcome(version=[3, 0], limits=self.lim, features=agreed,
                                                                 compression=both, app=app)],
                                  ev=[e_open(version=[3, 0], features=agreed, compression=both)]))
        if application == "none": opening = [step(start=True)]
        self.json = dict(role=role, application=application, subject=subject, peer=peer, opening=opening)

    def p(self, n):
        """The n-th id of the peer's requests."""
        return 2 * n if self.role == "worker" else 2 * n - 1

    def o(self, n):
        """The n-th id of the subject's own requests."""
        return 2 * n - 1 if self.role == "worker" else 2 * n

    def bad(self, code, last=0):
        """The end by a violation, at this stage."""
        if self.role == "router" and self.stage != "open": return refused(code)
        return bad(code, last)


def covers(text):
    """"4-1- 4-2+" -> R-4-1:neg, R-4-2:pos."""
    return [f"R-{one[:-1]}:{'pos' if one[-1] == '+' else 'neg'}" for one in text.split()]


def plain_transport(steps):
    return not any(set(one) & {"advance", "transport", "state", "decode", "encode", "compute"} for one in steps)


def rx_size(steps):
    return sum(len(B(*flat(one["rx"]))) for one in steps if "rx" in one)


def judged(steps):
    """invalid if the subject ends the connection, or fails to decode, because of what the peer did."""
    found = [one["end"]["code"] for one in steps if one.get("end", {}).get("by") == "subject"]
    wrong = any(code is not None and code >= 10 and code not in NOT_THE_PEERS_FAULT for code in found)
    return "invalid" if wrong or any("error" in one for one in steps) else "valid"


def flat(value):
    return [bytes.fromhex(one) if isinstance(one, str) else one for one
        in (value if isinstance(value, list) else [value])]


def app_pattern(nova, app):
    """What Hello's application part must be: opaque bytes, or a WorkerHello."""
    if not nova: return {"app": app}
    return {"message_name": "WorkerHello", "message_value": {"claim": nova["claim"], "token": nova.get("token")}}


class Group:
    def __init__(self, name, about, generated=False):
        self.name, self.about, self.generated = name, about, generated
        self.cases, self.presets, self.stories = [], {}, 0
        GROUPS.append(self)

    def case(self, name, about, preset, class_, covered, steps, result=None, requires=None, split=None,
             transport=None, branches=None, counted=True):
        self.stories += counted
        self.presets[preset.name] = preset.json
        everything = steps + [one for branch in branches or [] for one in branch["steps"]]
        if result is None: result = "acceptable" if branches else judged(steps)
        if split is None and rx_size(everything) > 5_000: split = ["whole", "random"]
        if transport is None and not plain_transport(everything): transport = ["in-process"]
        vary = {name: value for name, value in dict(split=split, transport=transport).items() if value}
        made = {"id": f"{self.name}.{name}", "about": about, "preset": preset.name, "class": class_, "result": result,
                "covers": covers(covered)}
        if requires: made["requires"] = requires.split()
        if vary: made["vary"] = vary
        made["steps"] = steps
        if branches: made["branches"] = branches
        self.cases.append(made)

    def both(self, name, about, class_, covered, story, **more):
        """One story, played by a router and by a worker. Keywords of Preset make a variant of it."""
        keys = ("variant", "stage", "lim", "peer_lim", "features", "peer_features", "compression", "peer_compression",
                "timers", "next_id")
        options = {key: more.pop(key) for key in keys if key in more}
        for role in ("router", "worker"):
            steps = story(Preset(role, **options))
            branches = None
            if isinstance(steps, tuple): steps, branches = steps
            self.case(f"{name}.{role}", about, Preset(role, **options), class_, covered, steps,
                      branches=branches, counted=role == "router", **more)

    def file(self):
        return {"schema": "nova-conformance-v1", "protocol": "3.0", "group": self.name, "about": self.about,
            "generated": self.generated, "numberOfCases": len(self.cases), "presets": self.presets, "cases": self.cases}

    def text(self):
        """One line for each case and preset: compact, and still good to compare."""
        made = self.file()
        lines = ["{"]
        for key in ("schema", "protocol", "group", "about", "generated", "numberOfCases"):
            lines.append(f" {json.dumps(key)}: {json.dumps(made[key])},")
        rows = [f"  {json.dumps(name)}: {dense(value)}" for name, value in made["presets"].items()]
        lines += [' "presets": {', ",\n".join(rows), " },", ' "cases": [']
        lines += [",\n".join("  " + dense(one) for one in made["cases"]), " ]", "}", ""]
        return "\n".join(lines)


def calls(s, label="a", n=1, body=b"ask", reply_max=16384, deadline_ms=0, tx=True, **more):
    """The application makes a call, which is the subject's n-th request."""
    sent = [Request(s.o(n), body, method=0x0300, reply_max=reply_max)] if tx is True else tx
    return do("call", call=label, method=0x0300, body=body, reply_max=reply_max, deadline_ms=deadline_ms, tx=sent,
        **more)


def asked(s, n=1, body=b"ask", tx=None, **more):
    """The peer's n-th request comes, and its handler starts."""
    return rx(request(s.p(n), body, **more), ev=[e_request(s.p(n), body)], tx=tx)


def answers(s, n=1, body=b"answer", tx=True, **more):
    """The handler of the peer's n-th request answers."""
    return do("respond", id=s.p(n), body=body, tx=[Response(s.p(n), body)] if tx is True else tx, **more)


def branch(label, preferred, why, steps):
    return {"label": label, "preferred": preferred, "why": why, "steps": steps}


def dense(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


ROUTER, WORKER = Preset("router"), Preset("worker")
NEW_ROUTER, NEW_WORKER, DECIDING = Preset("router", "new"), Preset("worker", "new"), Preset("router", "deciding")
CODEC = Preset("worker", "new", "codec", application="none")
