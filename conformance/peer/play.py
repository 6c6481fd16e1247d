#!/usr/bin/env python3
"""Plays vectors against a subject, a program that speaks the contract of docs/CONFORMANCE.md.

usage: play.py [--only TEXT] [--split whole,bytes,random] [--seed N] [--verbose] [--] PROGRAM [ARGUMENT...]
Exit code 1 if a case failed.
"""
import argparse
import collections
import json
import pathlib
import random
import subprocess
import sys
import time

import messages
from peer import ACK_STEP, LEAST_PART, PREFACE
from vectors.wire import expand

HERE = pathlib.Path(__file__).resolve().parent
KIND_NAMES = {number: name for name, number in messages.KINDS.items()}
WITH_BODY = {"Request", "Response", "PacketChunk"}
LAST = {"Close", "Reject"}


class Failed(Exception):
    pass


class Unsupported(Exception):
    pass


def check(right, what):
    if not right: raise Failed(what)


class Program:
    """The subject's process; started again after it has said 127."""
    def __init__(self, command):
        self.command, self.process = command, None

    def ask(self, op, **given):
        if self.process is None:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.process.stdin.write(json.dumps({"op": op} | given) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if line: return json.loads(line)
        status, self.process = self.process.wait(), None
        if status == 127: raise Unsupported(op)
        raise Failed(f"the subject ended with {status}")


class Wire:
    """What the subject has sent: frames, and the rules that hold in every case."""
    def __init__(self, preset):
        self.role, self.peer = preset["role"], preset["peer"]
        self.data, self.preface, self.last_kind = bytearray(), False, None
        self.highest, self.bodies = 0, {}                 # bodies: (id, of a Request) -> bytes left
        self.body_in = self.body_out = self.acked = 0     # received from the subject; sent to it; its last Ack
        self.ping, self.open = None, self.role == "worker"
        self.sent = Sent(self)

    def frames(self, data):
        self.data += data
        while True:
            check(not self.data or self.last_kind not in LAST, f"bytes behind {self.last_kind}")
            if not self.preface:
                if len(self.data) < 8: return
                check(self.data[:8] == PREFACE, "the preface is wrong")
                del self.data[:8]
                self.preface = True
            length = int.from_bytes(self.data[:4], "little")
            if len(self.data) < 4 or len(self.data) < 4 + length: return
            whole = bytes(self.data[:4 + length])
            del self.data[:4 + length]
            made = self.one(whole)
            if made: yield made

    def one(self, whole):
        kind = whole[4]
        if kind not in KIND_NAMES:
            check(kind >= 0x80 and self.last_kind is not None, f"a frame of the unknown kind {kind:#x}")
            return None
        name = self.last_kind = KIND_NAMES[kind]
        self.open = self.open or name == "Welcome"
        reader = messages.Reader(whole[5:])
        try:
            value = messages.HEADERS[name].decode(reader)
        except messages.Violation as why:
            raise Failed(f"a {name} does not decode: {why}") from None
        check(reader.canonical, f"a {name} is not canonical")
        body = whole[5 + reader.at:]
        check(name in WITH_BODY or not body, f"bytes behind the header of {name}")
        longest = self.peer["limits"]["max_frame"] if name in WITH_BODY else 16384 if name == "Hello" else 1024
        check(len(whole) - 4 <= longest, f"a {name} of {len(whole) - 4} bytes")
        if name in WITH_BODY: self.part(name, int(value["id"]), value.get("body_len"), len(body))
        if name == "Ack": self.acknowledged(int(value["received"]))
        if name == "Ping": self.ping = int(value["nonce"])
        return name, value, body, whole

    def part(self, name, id, body_len, carried):
        own = id % 2 == (self.role == "worker")
        if name == "Request":
            check(own and id > self.highest, f"Request with id {id} after {self.highest}")
            self.highest = id
        if name != "PacketChunk":
            check(body_len <= self.peer["limits"]["max_body"], "a body longer than the peer accepts")
            self.bodies[id] = body_len
        left = self.bodies.get(id, 0)
        check(name != "PacketChunk" or left > 0, f"a PacketChunk for {id}, which has no body under way")
        check(carried <= left and (carried == left or carried >= LEAST_PART), f"a part of {carried} of {left} bytes")
        self.bodies[id] = left - carried
        self.body_in += carried

    def acknowledged(self, received):
        check(received >= self.acked + ACK_STEP, f"an Ack of {received} after {self.acked}")
        check(received <= self.body_out, f"an Ack of {received}, but {self.body_out} were sent")
        self.acked = received


class Sent:
    """Counts the body bytes that the runner has sent, as well as they can be told from bytes that may be wrong."""
    def __init__(self, wire):
        self.wire, self.data, self.skip, self.body, self.preface = wire, bytearray(), 0, 0, False

    def add(self, data):
        self.data += data
        while self.data:
            if self.body or self.skip:
                count = min(self.body or self.skip, len(self.data))
                if self.body:
                    self.body -= count
                    self.wire.body_out += count
                else: self.skip -= count
                del self.data[:count]
                continue
            if not self.preface:
                if len(self.data) < 8: return
                del self.data[:8]
                self.preface = True
                continue
            if len(self.data) < 5: return
            length, name = int.from_bytes(self.data[:4], "little"), KIND_NAMES.get(self.data[4])
            if name not in WITH_BODY:
                self.skip = length + 4
                continue
            if len(self.data) < 4 + min(length, 1024): return
            reader = messages.Reader(self.data[5:4 + min(length, 1024)])
            try:
                messages.HEADERS[name].decode(reader)
            except messages.Violation:
                self.skip = length + 4
                continue
            self.body = max(0, length - 1 - reader.at)
            del self.data[:5 + reader.at]


# ---------------------------------------------------------------- patterns
def matches(pattern, value):
    """Every member of the pattern's objects is in the value; the rest must be equal."""
    if isinstance(pattern, list) and isinstance(value, list):
        return len(pattern) == len(value) and all(map(matches, pattern, value))
    if isinstance(pattern, dict) and isinstance(value, dict):
        return all(name in value and matches(part, value[name]) for name, part in pattern.items())
    return pattern == value


def candidates(wanted, any_order):
    """What may come next: in order, the first that is not optional, and the optional ones before it."""
    for at, one in enumerate(wanted):
        yield at, one
        if not any_order and "optional" not in one: return


def event_fits(pattern, event):
    if "body" in pattern and expand(pattern["body"]) != bytes.fromhex(event.get("body", "")): return False
    return matches({name: value for name, value in pattern.items() if name not in ("body", "optional")}, event)


class Bodies:
    """Bodies of the subject's that patterns stand for: what is left of each."""
    def __init__(self):
        self.left = {}                    # id -> bytes that must still come

    def fits(self, pattern, frame):
        name, value, body, whole = frame
        if "hex" in pattern: return whole.hex() == pattern["hex"]
        if pattern["frame"] != name: return False
        if name == "PacketChunk": return value["id"] == pattern["id"]
        wanted = {key: one for key, one in pattern.items()
                  if key not in ("frame", "body", "partial", "optional", "trace", "message_name", "message_value")}
        if not matches(wanted, value): return False
        if "trace" in pattern and [1, pattern["trace"]] not in value["ext"]: return False
        if "body" in pattern:
            expected = expand(pattern["body"])
            return len(expected) == value["body_len"] and expected.startswith(body)
        if "message_name" in pattern:
            found, error = messages.decode(pattern["message_name"], bytes.fromhex(value["app"]) if "app" in value
                else body)
            return error is None and matches(pattern["message_value"], found)
        return True

    def begin(self, pattern, frame):
        if "body" in pattern: self.left[frame[1]["id"]] = expand(pattern["body"])[len(frame[2]):]

    def go_on(self, frame):
        left = self.left.get(frame[1]["id"], b"")
        check(left.startswith(frame[2]), f"a part of the body of {frame[1]['id']} is not what it must be")
        self.left[frame[1]["id"]] = left[len(frame[2]):]


def show(frame):
    name, value, body, _ = frame
    return f"{name} {json.dumps(value)}" + (f" with {len(body)} bytes" if body else "")


class Game:
    """One case, one branch, one split."""
    def __init__(self, program, preset, split, seed):
        self.program, self.preset, self.split, self.random = program, preset, split, random.Random(seed)
        self.wire, self.bodies, self.over, self.stopped = Wire(preset), Bodies(), False, False
        self.late_last_frame = False          # the transport takes too little: Close or Reject comes in a later step

    def play(self, steps):
        for number, step in enumerate(steps):
            try:
                self.step(step)
            except Failed as why:
                shown = json.dumps(step)
                raise Failed(f"step {number}: {why}\n    in {shown[:600]}") from None

    def pieces(self, data):
        if self.split == "bytes": return [data[at:at + 1] for at in range(len(data))]
        if self.split == "whole" or len(data) < 2: return [data]
        cuts = sorted(self.random.sample(range(1, len(data)), min(len(data) - 1, self.random.randint(1, 8))))
        return [data[a:b] for a, b in zip([0] + cuts, cuts + [len(data)])]

    def received(self, value):
        out = b""
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict) and "pong" in part:
                check(self.wire.ping is not None, "the subject has sent no Ping")
                header = messages.varint(self.wire.ping + part["pong"] & 2 ** 64 - 1)
                out += (1 + len(header)).to_bytes(4, "little") + b"\x21" + header
            else: out += expand(part)
        return out

    def inputs(self, step):
        """The lines that a step is for the subject."""
        if "start" in step:
            yield "start", dict(role=self.preset["role"], application=self.preset["application"],
                config=self.preset["subject"])
        elif "rx" in step:
            data = self.received(step["rx"])
            for piece in self.pieces(data):
                self.wire.sent.add(piece)
                yield "rx", dict(bytes=piece.hex())
        elif "eof" in step: yield "eof", {}
        elif "advance" in step: yield "advance", dict(ms=step["advance"])
        elif "transport" in step:
            self.stopped = step["transport"] != "all"
            yield "transport", dict(take=step["transport"] if self.stopped else None)
        elif "do" in step:
            given = dict(step["do"])
            if "body" in given: given["body"] = expand(given["body"]).hex()
            yield given.pop("name"), given

    def step(self, step):
        if "state" in step: return self.state(step["state"])
        for verb in ("decode", "encode", "compute"):
            if verb in step: return getattr(self, verb)(step)
        events, frames, end = [], [], None
        def heard(answer):
            nonlocal end
            frames.extend(self.wire.frames(bytes.fromhex(answer.get("tx", ""))))
            events.extend(answer.get("events", []))
            check(not (self.over and answer.get("tx") and not self.late_last_frame), "bytes after the end")
            if "end" in answer:
                check(not self.over, "a second end")
                end, self.over, self.late_last_frame = answer["end"], True, self.stopped
        for op, given in self.inputs(step):
            heard(self.program.ask(op, **given))
        self.acknowledge_large_bodies(step, frames, heard)
        any_order = "order" in step or "end" in step
        self.judge_end(step.get("end"), end, frames)
        self.judge_frames(step.get("tx", []), frames, any_order)
        self.judge_events(step.get("events", []), events, any_order)
        if self.wire.open and not self.stopped and not self.over:
            check(self.wire.body_out - self.wire.acked < ACK_STEP, "an Ack is lacking")

    def acknowledge_large_bodies(self, step, frames, heard):
        """A whole body may need Acks before the subject sends all of it."""
        if self.over or self.stopped or not any("body" in one and "partial" not in one for one in step.get("tx",
            [])): return
        acked = 0
        while any(self.wire.bodies.values()) and self.wire.body_in - acked >= ACK_STEP:
            before, acked = len(frames), self.wire.body_in
            heard(self.program.ask("rx", bytes=expand_frame("Ack", {"received": str(acked)})))
            if len(frames) == before: return

    def judge_end(self, wanted, end, frames):
        if wanted is None:
            return check(end is None, f"the connection ended: {end}")
        check(end is not None, f"the connection did not end, but sent {[show(one) for one in frames]}")
        check(end["code"] == wanted["code"] and end["by"] == wanted["by"], f"the end is {end}")
        if wanted["wire"] == "none":
            return check(not frames or frames[-1][0] not in LAST, "it sent a last frame")
        name = wanted["wire"].capitalize()
        check(frames and frames[-1][0] == name, f"it did not send {name}, but {[show(one) for one in frames]}")
        value = frames.pop()[1]
        for field, said in (("code", wanted["code"]), ("last_id", wanted.get("last_id")),
                            ("retry_after_ms", wanted.get("retry_after_ms"))):
            check(said is None or value[field] == said, f"{name} has {field} {value.get(field)}")

    def judge_frames(self, wanted, frames, any_order):
        wanted = list(wanted)
        open_parts = [one for one in wanted if one.get("frame") == "PacketChunk"]
        for frame in frames:
            place = next((at for at, one in candidates(wanted, any_order) if self.bodies.fits(one, frame)), None)
            if frame[0] == "PacketChunk" and self.bodies.left.get(frame[1]["id"]):
                self.bodies.go_on(frame)
                if place is not None: del wanted[place]
                continue
            if place is None and frame[0] == "Ack": continue
            check(place is not None, f"unexpected: {show(frame)}; expected {json.dumps(wanted)[:300]}")
            self.bodies.begin(wanted[place], frame)
            self.whole_if_needed(wanted.pop(place), frame)
        wanted = [one for one in wanted if "optional" not in one]
        check(not wanted, f"did not come: {json.dumps(wanted)[:400]}")
        for one in open_parts + self.whole:
            if "partial" not in one and "optional" not in one: check(not self.bodies.left.get(one["id"]),
                f"the body of {one['id']} is not complete")
        self.whole = []

    whole = []

    def whole_if_needed(self, pattern, frame):
        if "body" in pattern: self.whole = self.whole + [pattern | {"id": frame[1]["id"]}]

    def judge_events(self, wanted, events, any_order):
        wanted = list(wanted)
        for event in events:
            place = next((at for at, one in candidates(wanted, any_order) if event_fits(one, event)), None)
            check(place is not None, f"unexpected event {json.dumps(event)[:300]}; expected {json.dumps(wanted)[:300]}")
            del wanted[place]
        wanted = [one for one in wanted if "optional" not in one]
        check(not wanted, f"no event {json.dumps(wanted)[:300]}")

    def state(self, wanted):
        said = self.program.ask("state").get("state", {})
        for name in ("served", "calls"):
            if name in wanted and name in said: check(said[name] == wanted[name],
                f"{name} is {said[name]}, not {wanted[name]}")
        if "held_max" in wanted and "held" in said: check(said["held"] <= wanted["held_max"], f"held is {said['held']}")

    def decode(self, step):
        answer = self.program.ask("decode", type=step["decode"], bytes=expand(step["bytes"]).hex())
        if "error" in step: return check(answer.get("error") == step["error"], f"got {json.dumps(answer)[:200]}")
        check("error" not in answer, f"got {answer}")
        check("value" in answer, f"got {answer}")
        if "value" not in step: return
        check(answer["value"] == step["value"], f"got {json.dumps(answer['value'])[:400]}")
        self.encode({"encode": step["decode"], "value": step["value"], "bytes": step["bytes"]})

    def encode(self, step):
        answer = self.program.ask("encode", type=step["encode"], value=step["value"])
        check(answer.get("bytes") == expand(step["bytes"]).hex(), f"got {answer}")

    def compute(self, step):
        answer = self.program.ask("compute", function=step["compute"], args=step["args"])
        check(answer.get("value") == step["value"], f"got {json.dumps(answer)[:300]}")


def expand_frame(name, value):
    header = messages.encode(name, value)
    return ((1 + len(header)).to_bytes(4, "little") + bytes([messages.KINDS[name]]) + header).hex()


def play_case(program, file, case, split, seed):
    """The label of the branch that passed, or None for a case without branches."""
    preset, why = file["presets"][case["preset"]], []
    for branch in case.get("branches") or [{"label": None, "steps": []}]:
        try:
            Game(program, preset, split, seed).play(preset["opening"] + case["steps"] + branch["steps"])
            return branch["label"]
        except Failed as failed:
            why.append((branch["label"] + ": " if branch["label"] else "") + str(failed))
    raise Failed("\n  ".join(why))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="play the cases whose id contains this")
    parser.add_argument("--split", default="whole,bytes,random")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("program", nargs="+")
    args = parser.parse_args()
    program, totals, failures, began = Program(args.program), collections.Counter(), [], time.monotonic()
    branches = collections.Counter()
    for path in sorted((HERE.parent / "vectors").glob("**/*.json")):
        if path.name == "untestable.json": continue
        file, counts = json.loads(path.read_text()), collections.Counter()
        for case in file["cases"]:
            if args.only not in case["id"]: continue
            allowed = case.get("vary", {}).get("split", ["whole", "bytes", "random"])
            if not any("rx" in one for one in case["steps"]): allowed = allowed[:1]
            for split in (one for one in args.split.split(",") if one in allowed):
                try:
                    label = play_case(program, file, case, split, args.seed)
                    counts["passed"] += 1
                    if label: branches[case["id"], label] += 1
                except Unsupported:
                    counts["unsupported"] += 1
                except Failed as why:
                    counts["failed"] += 1
                    failures.append(case["id"])
                    print(f"FAILED {case['id']} ({split}, seed {args.seed}): {why}")
                    if args.verbose: print("   ", case["about"])
        if counts:
            print(f"{str(path.relative_to(HERE.parent / 'vectors')):34}{len(file['cases']):6} cases"
                  + "".join(f"{count:7} {what}" for what, count in sorted(counts.items())), flush=True)
        totals += counts
    if args.verbose:
        for (id, label), count in sorted(branches.items()): print(f"branch {id}: {label} ({count})")
    print(f"played {sum(totals.values())}: " + ", ".join(f"{count} {what}" for what, count in sorted(totals.items()))
          + f" in {time.monotonic() - began:.0f} s")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
