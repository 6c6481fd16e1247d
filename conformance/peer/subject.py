#!/usr/bin/env python3
"""A subject as docs/CONFORMANCE.md describes it: the Python peer, driven by one line of JSON per step. Both roles."""
import json
import sys

import blake3
import messages
import nova
import score
from peer import CODES, CODE_NAMES, Connection, Limits, Timers
from zstd_plain import Compressed

UNSUPPORTED = 127
FUNCTIONS = {
    "score": lambda args: score.score(**args),
    "order": lambda args: score.order(args["hits"]),
    "merge": lambda args: score.merge(args["limit"], args["answers"]),
    "content_hash": lambda args: blake3.content_hash(args["text"]),
    "digest": lambda args: blake3.digest([(one["path"], one["hash"]) for one in args["files"]]),
}


class Subject:
    def start(self, role, application, config):
        self.conn = None
        if application == "none": return {}
        self.nova, app = None, bytes.fromhex(config.get("app", ""))
        if application == "nova" and role == "router": self.nova = nova.Router(**config["nova"])
        elif application == "nova":
            self.nova = nova.Worker(**config["nova"])
            app = self.nova.hello
        limits = {name: int(value) for name, value in config["limits"].items()}
        timers = {name: value / 1000 for name, value in config["timers"].items()}
        self.now, self.take, self.calls, self.labels, self.told = 0.0, None, {}, {}, set()
        self.conn = Connection(role, self.now, Limits(**limits), app, Timers(**timers),
                               cancellation=bool(config["features"] & 1), versions=config["versions"],
                               compression=config["compression"],
                               next_id=int(config["next_id"]) if "next_id" in config else None)
        return self.answer()

    # ------------------------------------------------------------ inputs
    def rx(self, bytes):
        self.conn.receive(bytearray.fromhex(bytes), self.now)
        return self.answer()

    def eof(self):
        self.conn.receive_eof(self.now)
        return self.answer()

    def advance(self, ms):
        until, sent = self.now + ms / 1000, b""
        while (due := self.conn.next_timer()) is not None and due <= until + 1e-9:
            self.now = max(self.now, due)
            self.conn.tick(self.now)
            sent += self.flush()
        self.now = until
        return self.answer(sent)

    def transport(self, take):
        self.take = take
        return self.answer()

    def state(self):
        held = sum(len(one.body) + len(one.response or b"") for one in self.conn.served.values())
        held += sum(len(made.reply or b"") for made in self.conn.calls.values())
        return {"state": {"served": len(self.conn.served), "calls": len(self.conn.calls), "held": held}}

    # ------------------------------------------------------------ commands
    def accept(self, app=""):
        if self.conn.state == "DECIDING": self.conn.accept(self.now, bytes.fromhex(app))
        return self.answer()

    def reject(self, code, retry_after_ms=0, message=""):
        if self.conn.state == "DECIDING":
            self.conn.reject(CODE_NAMES.get(code, code), message, retry_after_ms)
        return self.answer()

    def call(self, call, method=0x0300, body="", reply_max=16384, deadline_ms=0, trace=None, within=None):
        ext = [] if trace is None else [(1, bytes.fromhex(trace))]
        try:
            made = self.conn.call(method, bytes.fromhex(body), reply_max, self.now,
                                  deadline_ms / 1000 if deadline_ms else None, ext, nested=within is not None)
            self.calls[call], self.labels[made] = made, call
            return self.answer()
        except ValueError:
            made = self.answer()
            made.setdefault("events", []).append({"event": "answer", "call": call, "result": "failed", "safe": True})
            return made

    def cancel(self, call):
        if call in self.calls: self.conn.give_up(self.calls[call])
        return self.answer()

    def respond(self, id, body=""):
        self.conn.respond(int(id), bytes.fromhex(body), self.now)
        return self.answer()

    def respond_error(self, id, code, retry=0, retry_after_ms=0, message=""):
        self.conn.respond_error(int(id), code, message, retry, retry_after_ms, self.now)
        return self.answer()

    def fail(self, id):
        return self.respond_error(id, 1, message="the handler failed")

    def drain(self, deadline_ms):
        self.conn.drain(self.now, deadline_ms)
        return self.answer()

    def close(self, code=0):
        self.conn.close(CODE_NAMES.get(code, code))
        return self.answer()

    # ------------------------------------------------------------ section A
    def decode(self, type, bytes):
        value, error = messages.decode(type, bytearray.fromhex(bytes))
        return {"error": error} if error else {"value": value}

    def encode(self, type, value):
        return {"bytes": messages.encode(type, value).hex()}

    def compute(self, function, args):
        return {"value": FUNCTIONS[function](args)}

    # ------------------------------------------------------------ outputs
    def flush(self):
        sent = b""
        while out := self.conn.pending_output(self.now):
            count = len(out) if self.take is None else min(len(out), self.take)
            if count == 0: break
            sent += out[:count]
            if self.take is not None: self.take -= count
            self.conn.wrote(count, self.now)
        return sent

    def answer(self, sent=b""):
        made = {}
        while True:
            sent += self.flush()
            if self.conn.next_timer() is not None and self.conn.next_timer() <= self.now:     # a drain of 0 ms
                self.conn.tick(self.now)
                sent += self.flush()
            events, self.conn.events = self.conn.events, []
            if not events: break
            for event in events:
                if self.nova: self.nova.act(self.conn, event, self.now)
                # Section A is its own application, and tells only how it begins and ends.
                if not self.nova or event[0] in ("open", "closed"): self.tell(made, event)
        return made | ({"tx": sent.hex()} if sent else {})

    def tell(self, made, event):
        what, conn = event[0], self.conn
        if what == "closed":
            code = CODES.get(event[1], event[1])
            made["end"] = {"code": code, "by": "peer" if event[2] in ("peer", "reject") or code is None else "subject"}
            return
        said = {"event": what}
        if what == "hello": said |= {"app": event[1].hex()}
        elif what == "open":
            said |= {"version": list(conn.version), "features": conn.features, "compression": list(conn.compression)}
            if conn.role == "worker": said["app"] = conn.peer_app.hex()
        elif what == "request":
            _, id, method, body, ext = event
            trace = next((value.hex() for tag, value in ext if tag == 1 and len(value) == 25), None)
            said |= {"id": str(id), "method": method, "body": body.hex(), "trace": trace}
        elif what == "cancelled":
            if event[1] in self.told: return
            self.told.add(event[1])
            said |= {"id": str(event[1])}
        else:
            _, call, result, value = event
            said |= {"call": self.labels[call], "result": result}
            if result == "ok": said["body"] = value.hex()
            elif result == "error": said |= dict(zip(("code", "retry", "retry_after_ms", "message"), value))
            else: said["safe"] = call.id == 0 or value == "not started"
        made.setdefault("events", []).append(said)


def main():
    subject = Subject()
    for line in sys.stdin:
        given = json.loads(line)
        try:
            answer = getattr(subject, given.pop("op"))(**given)
        except Compressed:
            sys.exit(UNSUPPORTED)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
