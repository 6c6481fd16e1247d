#!/usr/bin/env python3
"""Nova remote RPC 3.0, written from PROTOCOL.md alone. Standard library only.

`Connection` does no input or output: feed it bytes with receive(), take bytes with pending_output() / wrote(),
call tick() when next_timer() is due, and look at the events it leaves. `drive()` runs one over a socket.
Section and rule numbers in comments are those of PROTOCOL.md. Of zstd it reads what `zstd_plain` does, and writes none.
"""
import os, select, socket, struct, sys, threading, time
from dataclasses import dataclass, field

import zstd_plain

PREFACE = b"NOVA3\r\n\0"
HELLO, WELCOME, REJECT = 0x01, 0x02, 0x03
REQUEST, RESPONSE, CHUNK, ERROR, CANCEL, ACK = 0x10, 0x11, 0x12, 0x13, 0x14, 0x15
PING, PONG, GOAWAY, CLOSE = 0x20, 0x21, 0x22, 0x23
KINDS = {HELLO, WELCOME, REJECT, REQUEST, RESPONSE, CHUNK, ERROR, CANCEL, ACK, PING, PONG, GOAWAY, CLOSE}
HANDSHAKE_KINDS = {HELLO, WELCOME, REJECT}
WITH_BODY = {REQUEST, RESPONSE, CHUNK}

WINDOW = 1024            # header window, R-4-9
HELLO_MAX = 16384
SMALL = 16384
LEAST_PART = 4096
ACK_STEP = 65536
PART = 65536             # how much of a large body we put into one frame
MAX_UNKNOWN = 100

CODES = dict(
    NORMAL=0, DRAINED=1, DRAIN_DEADLINE=2, INTERNAL=3, IDS_EXHAUSTED=4, BAD_PREFACE=10, FRAME_TOO_LARGE=11,
    FRAME_EMPTY=12, MALFORMED=13, NOT_CANONICAL=14, UNKNOWN_KIND=15, TOO_MANY_UNKNOWN=16, UNEXPECTED_FRAME=17,
    BAD_EXTENSIONS=18, HANDSHAKE_TIMEOUT=20, UNSUPPORTED_VERSION=21, BAD_LIMITS=22, BAD_WELCOME=23, BAD_OFFER=24,
    UNAUTHORIZED=25, CLAIM_REFUSED=26, TOO_MANY_CONNECTIONS=27, ID_ZERO=30, ID_PARITY=31, ID_ORDER=32,
    ID_NOT_OPEN=33, BODY_TOO_LARGE=40, BODY_OVERRUN=41, CHUNK_TOO_SMALL=42, REPLY_TOO_LONG=43,
    COMPRESSION_NOT_AGREED=44, BAD_RAW_LENGTH=45, TOO_MANY_REQUESTS=50, WORK_BUDGET=51, ACK_AHEAD=60,
    ACK_NO_PROGRESS=61, SLOW_READER=62, KEEPALIVE_TIMEOUT=70, UNEXPECTED_PONG=71, CANCEL_NOT_AGREED=80)
CODE_NAMES = {number: name for name, number in CODES.items()}

E_INTERNAL, E_CANCELLED, E_DEADLINE, E_REFUSED, E_UNIMPLEMENTED, E_INVALID, E_REPLY_TOO_LARGE, \
    E_DECOMPRESSION = range(1, 9)

class Violation(Exception):
    """The peer broke a rule; `code` is the name of the close code."""
    def __init__(self, code, message=""):
        super().__init__(code, message)
        self.code, self.message = code, message

def refuse_if(broken, code, message=""):
    if broken: raise Violation(code, message)

# ---------------------------------------------------------------- section 5: encoding of headers
def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)

def blob(data):
    return varint(len(data)) + data

def cut_text(message):
    """R-20-8: at most 512 bytes of UTF-8, cut at a character's end."""
    return message.encode()[:512].decode(errors="ignore").encode()

def encode_ext(ext):
    return varint(len(ext)) + b"".join(varint(tag) + blob(value) for tag, value in ext)

class Reader:
    """Decodes one header from the bytes that R-4-9 gives it. Remembers whether a varint was too long."""
    def __init__(self, data):
        self.data, self.at, self.canonical = data, 0, True
    def u8(self):
        return self.take(1)[0]
    def take(self, count):
        refuse_if(count > len(self.data) - self.at, "MALFORMED", "the header is cut off")
        self.at += count
        return bytes(self.data[self.at - count:self.at])
    def uint(self, bits):
        most = {16: 3, 32: 5, 64: 10}[bits]
        number = 0
        for index in range(most):
            byte = self.u8()
            number |= (byte & 127) << 7 * index
            if byte < 128:
                refuse_if(number >> bits, "MALFORMED", "a number does not fit its type")
                if byte == 0 and index > 0: self.canonical = False
                return number
        raise Violation("MALFORMED", "a varint does not end")
    u16 = lambda self: self.uint(16)
    u32 = lambda self: self.uint(32)
    u64 = lambda self: self.uint(64)
    def bytes(self, bound=None):
        count = self.u64()
        refuse_if(bound is not None and count > bound, "MALFORMED", "a byte string is longer than its bound")
        return self.take(count)
    def text(self, bound):
        try:
            return self.bytes(bound).decode("utf-8", "strict")
        except UnicodeDecodeError:
            raise Violation("MALFORMED", "a text is not UTF-8") from None
    def list(self, element, bound=8):
        count = self.u64()
        refuse_if(count > bound, "MALFORMED", "a list is longer than its bound")
        return [element() for _ in range(count)]
    def limits(self):
        return Limits(self.u32(), self.u32(), self.u64(), self.u32())
    def ext(self):
        return self.list(lambda: (self.u16(), self.bytes()))

@dataclass
class Limits:
    max_frame: int = 262144
    max_body: int = 16777216
    work_budget: int = 67108864
    max_concurrent: int = 256
    def encode(self):
        return varint(self.max_frame) + varint(self.max_body) + varint(self.work_budget) + varint(self.max_concurrent)
    def check(self):
        refuse_if(self.max_frame < 16384 or self.max_body < self.max_frame or self.work_budget < 2 * self.max_body \
                or self.max_concurrent < 1, "BAD_LIMITS")

def check_ext(ext):
    tags = [tag for tag, _ in ext]
    refuse_if(sum(len(value) for _, value in ext) > 512 or len(set(tags)) != len(tags), "BAD_EXTENSIONS")

def frame(kind, header, body=b""):
    return struct.pack("<IB", 1 + len(header) + len(body), kind) + header + bytes(body)

def cost(body_len, raw_len, reply_max):
    if max(body_len, raw_len, reply_max) <= SMALL: return 0
    return body_len + raw_len + reply_max

def seems_to_speak(first):
    if first[:2] in (b"\x16\x03", b"\x15\x03"): return "TLS"
    if first.startswith(tuple(b"GET |POST |HEAD |PUT |PRI |OPTIONS |DELETE |CONNECT |HTTP/".split(b"|"))):
        return "HTTP"
    if first.startswith(b"SSH-"): return "SSH"
    if first.startswith(b"NOVA"): return "another major version"
    if len(first) >= 4 and first[2:4] == b"\0\0" and first[:2] != b"\0\0": return "version 2 of Nova's RPC"
    return "unknown"

# ---------------------------------------------------------------- requests
@dataclass(eq=False)
class Call:
    """One request that we make."""
    method: int
    body: bytes
    reply_max: int
    deadline: float | None = None     # absolute, local clock
    ext: list = field(default_factory=list)
    id: int = 0                       # 0 while it waits
    sent: int = 0
    body_ended: bool = False          # all sent, or Cancel sent
    answered: bool = False            # terminal answer complete
    given_up: bool = False            # the application does not want the answer any more
    cancel_due: bool = False
    cancel_sent: bool = False
    reply: bytearray | None = None    # of a Response that has begun
    reply_left: int = 0
    reply_codec: tuple = (0, 0)       # codec and raw_len of the Response
    def cost(self):
        return cost(len(self.body), 0, self.reply_max)

@dataclass(eq=False)
class Served:
    """One request of the peer's."""
    id: int
    method: int
    body_len: int
    reply_max: int
    cost: int
    deadline: float | None
    ext: list
    body: bytearray = field(default_factory=bytearray)
    received: int = 0
    codec: int = 0
    raw_len: int = 0
    body_ended: bool = False
    running: bool = False             # a handler has it
    cancelled: bool = False
    late: bool = False
    error: tuple | None = None        # (code, retry, retry_after_ms, message) that waits
    response: bytes | None = None     # that waits or is under way
    sent: int = 0
    started: bool = False
    answered: bool = False

@dataclass
class Timers:
    handshake: float
    keepalive: float = 10.0
    grace: float = 10.0
    stall: float = 10.0

class Connection:
    """Events are tuples in self.events (a list that the driver empties):
    ("hello", app, ext)               router only: answer with accept() or reject()
    ("open",)
    ("request", id, method, body, ext)  answer with respond() or respond_error()
    ("cancelled", id)                 the handler of id should stop; it must still answer
    ("answer", call, "ok", body) / ("answer", call, "error", (code, retry, after, message)) 
    / ("answer", call, "failed", why)
    ("closed", code name or None, by whom: "local" "peer" "reject" "drop", message)
    """
    def __init__(self, role, now, limits=None, app=b"", timers=None, cancellation=True, grease=False,
        versions=((3, 0),),
                 compression=(), next_id=None):
        assert role in ("router", "worker")
        self.role, self.limits, self.app = role, limits or Limits(), app
        self.limits.check()
        self.timers = timers or Timers(5.0 if role == "router" else 10.0)
        self.offer_features = 1 if cancellation else 0
        self.grease, self.versions, self.offer_compression = grease, dict(versions), list(compression)
        self.compression, self.peer_app = [], b""
        self.state = "AWAITING_HELLO" if role == "router" else "AWAITING_WELCOME"
        self.started, self.peer_limits, self.features, self.version = now, None, 0, None
        self.retry_after_ms = 0
        self.events = []
        # input
        self.inbuf = bytearray()
        self.got_preface = False
        self.eof = False
        self.length = None            # of the frame at the beginning of inbuf, once checked
        self.kind = None
        self.body_left, self.body_to = 0, None
        self.skip_left = 0
        self.unknown_in_row = 0
        self.last_in = now
        # output: at most one frame (or Hello, Welcome with the preface) is encoded ahead
        self.out = bytearray()
        self.welcome_waits = False    # out holds (a part of) preface and Welcome
        self.blocked_since = None
        self.finished = False         # nothing comes behind self.out any more
        self.linger = False           # ... and the input should be discarded for up to one second (R-2-11)
        # control frames that are due
        self.pong_due = self.goaway_due = self.ping_nonce = None
        self.ping_due, self.ping_noticed, self.nonce, self.cancels = False, now, 0, []
        # drain
        self.drain_at, self.drain_sent, self.drain_code = None, False, "DRAINED"
        self.peer_drains, self.peer_drain_at = False, None
        # counters, section 13
        self.body_in = self.acked_out = 0     # what came, and what our last Ack said
        self.body_out = self.acked_in = 0     # what we sent, and what the peer's last Ack said
        self.unacked_since, self.window = None, 1 << 20
        # requests
        self.parity = 0 if role == "router" else 1
        self.next_id, self.last_id_possible = (2, 2 ** 64 - 2) if role == "router" else (1, 2 ** 64 - 1)
        self.waiting, self.calls, self.calls_cost = [], {}, 0             # calls: id -> Call, open
        self.peer_highest, self.served, self.served_cost = 0, {}, 0       # served: id -> Served, open
        self.errors = []              # Served with an Error that waits
        self.turns = []               # Calls (opened) and Served with a part of a body that waits, in turn
        self.calls_turn = False
        if next_id is not None: self.next_id = next_id
        if role == "worker":
            versions = varint(len(versions)) + b"".join(varint(major) + varint(minor) for major, minor in versions)
            self.out += PREFACE + frame(HELLO, versions + self.limits.encode() + varint(self.offer_features)
                                        + blob(bytes(self.offer_compression)) + blob(app)
                                        + encode_ext([(0xCACA, b"")] if grease else []))

    # ------------------------------------------------------------ what the application calls
    def accept(self, now, app=b""):
        assert self.state == "DECIDING"
        self.state = "OPEN"
        self.opened(now)
        self.out += PREFACE + frame(WELCOME, varint(self.version[0]) + varint(self.version[1]) + self.limits.encode()
                                    + varint(self.features) + blob(bytes(self.compression)) + blob(app) + varint(0))
        self.welcome_waits = True
        if self.grease: self.out += frame(0xCA, b"skip me")
        self.process(now)
    def reject(self, code, message="", retry_after_ms=0):
        self.end(code, message, "local", retry_after_ms=retry_after_ms)
    def call(self, method, body, reply_max, now, timeout=None, ext=(), nested=False):
        """Queue a request; the answer is an event. Raises ValueError if it can never be sent (R-12-4, R-12-5), or if a
        handler makes it (`nested`) and it would have to wait (R-12-8)."""
        made = Call(method, body, reply_max, None if timeout is None else now + timeout, list(ext))
        if reply_max > self.limits.max_body: raise ValueError("reply_max is above our own max_body")
        if self.peer_limits and not self.possible(made):
            raise ValueError("more than the peer accepts")
        if not self.takes_calls(): raise ValueError("the connection takes no more requests")
        if nested and (len(self.calls) + len(self.waiting) >= self.peer_limits.max_concurrent
                       or self.calls_cost + sum(one.cost() for one in self.waiting) + made.cost()
                       > min(self.peer_limits.work_budget, self.limits.work_budget)):
            raise ValueError("no slot or budget is free, and a handler must not wait")
        self.waiting.append(made)
        return made
    def takes_calls(self):
        return self.state != "CLOSED" and self.drain_at is None and not self.peer_drains
    def give_up(self, made):
        if made.answered or made.given_up: return
        made.given_up = True
        if made in self.waiting: self.waiting.remove(made)
        elif made.id in self.calls:
            if made.reply: made.reply.clear()
            self.want_cancel(made)
    def respond(self, id, body, now):
        one = self.handler_ended(id, now)
        if one is None: return
        if len(body) > min(one.reply_max, self.peer_limits.max_body):
            return self.set_error(one, E_REPLY_TOO_LARGE, "the answer is too long")
        one.response = bytes(body)
        self.turns.append(one)
    def respond_error(self, id, code, message="", retry=0, retry_after_ms=0, now=0.0):
        one = self.handler_ended(id, now)
        if one is not None: self.set_error(one, code, message, retry, retry_after_ms)
    def handler_ended(self, id, now):
        one = self.served.get(id)
        if one is None or not one.running:
            return None                                     # the connection ended meanwhile
        one.running = False
        if one.cancelled: self.set_error(one, E_CANCELLED, "cancelled by the requester")
        elif one.late or (one.deadline is not None and now >= one.deadline):
            self.set_error(one, E_DEADLINE, "the deadline passed")
        else: return one
        return None
    def drain(self, now, milliseconds=60000, code="DRAINED"):
        if self.drain_at is None and self.state == "OPEN":
            self.drain_at, self.goaway_due, self.drain_code = now + milliseconds / 1000, milliseconds, code
            self.fail_waiting("draining")
    def close(self, code="NORMAL", message=""):
        if self.state != "CLOSED": self.end(code, message, "local")

    # ------------------------------------------------------------ input
    def wants_input(self):
        return self.state != "DECIDING" and not self.eof
    def receive(self, data, now):
        if self.state == "CLOSED": return
        self.last_in = now
        self.inbuf += data
        self.process(now)
    def receive_eof(self, now):
        self.eof = True
        if self.state != "CLOSED": self.process(now)
    def process(self, now):
        try:
            while self.state not in ("CLOSED", "DECIDING") and self.step(now):
                pass
        except Violation as violation:
            self.end(violation.code, violation.message, "local")
        if self.state == "CLOSED": self.inbuf.clear()
        elif self.eof and self.state != "DECIDING":         # R-2-8; Welcome is still sent (R-8-3)
            if not self.got_preface and not PREFACE.startswith(self.inbuf):
                self.dropped("BAD_PREFACE", "the peer seems to speak " + seems_to_speak(bytes(self.inbuf)))
            else:
                self.dropped(None, "the peer went away", keep=self.out if self.welcome_waits else b"")
    def step(self, now):
        """Consume something from inbuf; False when more bytes are needed (section 4.1)."""
        buf = self.inbuf
        if not self.got_preface:
            if len(buf) < 8: return False
            if bytes(buf[:8]) != PREFACE:
                self.dropped("BAD_PREFACE", "the peer seems to speak " + seems_to_speak(bytes(buf[:8])))
                return False
            self.got_preface = True
            del buf[:8]
            return True
        if self.skip_left:
            count = min(self.skip_left, len(buf))
            del buf[:count]
            self.skip_left -= count
            return count > 0
        if self.body_left:
            part = bytes(buf[:self.body_left])
            del buf[:len(part)]
            self.body_left -= len(part)
            if part: self.body_bytes(part, now)
            return len(part) > 0
        if self.length is None:
            if len(buf) < 4: return False
            length = struct.unpack_from("<I", buf)[0]
            refuse_if(length == 0, "FRAME_EMPTY")
            longest = {"AWAITING_HELLO": HELLO_MAX, "AWAITING_WELCOME": WINDOW}.get(self.state, self.limits.max_frame)
            refuse_if(length > longest, "FRAME_TOO_LARGE")
            self.length = length
        if self.kind is None:
            if len(buf) < 5: return False
            kind = buf[4]
            if kind not in KINDS:
                refuse_if(kind <= 0x7F or self.state != "OPEN", "UNKNOWN_KIND", f"kind {kind:#x}")
                self.unknown_in_row += 1
                refuse_if(self.unknown_in_row > MAX_UNKNOWN, "TOO_MANY_UNKNOWN")
                self.skip_left, self.length = self.length - 1, None
                del buf[:5]
                return True
            places = {"AWAITING_HELLO": {HELLO}, "AWAITING_WELCOME": {WELCOME, REJECT}}.get(
                self.state, KINDS - HANDSHAKE_KINDS)
            refuse_if(kind not in places, "UNEXPECTED_FRAME", f"kind {kind:#x} in {self.state}")
            refuse_if(kind not in WITH_BODY and self.length > (HELLO_MAX if kind == HELLO else WINDOW),
                "FRAME_TOO_LARGE")
            self.unknown_in_row, self.kind = 0, kind
        window = self.length if self.kind == HELLO else min(self.length, WINDOW)
        if len(buf) < 4 + window: return False
        length, kind = self.length, self.kind
        header = Reader(bytes(buf[5:4 + window]))
        fields = FIELDS[kind](header)
        refuse_if(not header.canonical, "NOT_CANONICAL")
        rest = length - 1 - header.at
        refuse_if(kind not in WITH_BODY and rest, "MALFORMED", "bytes behind the header")
        del buf[:5 + header.at]
        self.length = self.kind = None
        HANDLERS[kind](self, now, rest, *fields)
        return True

    # ---- handshake frames
    def on_hello(self, now, rest, versions, limits, features, compression, app, ext):
        check_ext(ext)
        majors = [major for major, _ in versions]
        refuse_if(not versions or len(set(majors)) != len(majors) or len(set(compression)) != len(compression) \
                or 0 in compression, "BAD_OFFER")
        limits.check()
        common = [major for major in majors if major in self.versions]
        refuse_if(not common, "UNSUPPORTED_VERSION")
        self.peer_limits, self.features = limits, features & self.offer_features
        self.version = max(common), min(dict(versions)[max(common)], self.versions[max(common)])
        self.compression = [one for one in compression if one in self.offer_compression]
        self.state = "DECIDING"
        self.events.append(("hello", app, ext))
    def on_welcome(self, now, rest, version, limits, features, compression, app, ext):
        check_ext(ext)
        refuse_if(version[1] > self.versions.get(version[0], -1) or features & ~self.offer_features
                  or not set(compression) <= set(self.offer_compression) or len(set(compression)) != len(compression),
                  "BAD_WELCOME")
        limits.check()
        self.peer_limits, self.features, self.version, self.compression = limits, features, version, compression
        self.peer_app = app
        self.state = "OPEN"
        self.opened(now)
    def opened(self, now):
        self.last_in = now
        for made in list(self.waiting):
            if not self.possible(made):
                self.waiting.remove(made)
                self.finish(made, "failed", "more than the peer accepts")
        self.events.append(("open",))
    def on_reject(self, now, rest, code, retry_after_ms, message, ext):
        check_ext(ext)
        self.retry_after_ms = retry_after_ms
        self.dropped(CODE_NAMES.get(code, code), message, by="reject")

    # ---- requests of the peer
    def on_request(self, now, rest, id, method, body_len, codec, raw_len, reply_max, deadline_ms, ext):
        refuse_if(self.peer_drains, "UNEXPECTED_FRAME", "a Request after GoAway")
        refuse_if(id == 0, "ID_ZERO")
        refuse_if(id % 2 == self.parity, "ID_PARITY")
        refuse_if(id <= self.peer_highest, "ID_ORDER")
        self.check_body(ext, body_len, codec, raw_len, rest)
        refuse_if(len(self.served) + 1 > self.limits.max_concurrent, "TOO_MANY_REQUESTS")
        price = cost(body_len, raw_len, reply_max)
        refuse_if(self.served_cost + price > self.limits.work_budget, "WORK_BUDGET")
        self.peer_highest = id
        one = Served(id, method, body_len, reply_max, price, now + deadline_ms / 1000 if deadline_ms else None, ext,
                     codec=codec, raw_len=raw_len)
        self.served[id] = one
        self.served_cost += price
        if self.drain_at is not None: self.set_error(one, E_REFUSED, "draining", retry=2)
        self.body_begins(one, rest, now)
    def check_body(self, ext, body_len, codec, raw_len, rest):
        check_ext(ext)
        refuse_if(max(body_len, raw_len) > self.limits.max_body, "BODY_TOO_LARGE")
        refuse_if(codec != 0 and codec not in self.compression, "COMPRESSION_NOT_AGREED")
        refuse_if((raw_len == 0) != (codec == 0), "BAD_RAW_LENGTH")
        self.check_part(body_len, rest)

    @staticmethod
    def check_part(left, carried):
        refuse_if(carried > left, "BODY_OVERRUN")
        refuse_if(carried < left and carried < LEAST_PART, "CHUNK_TOO_SMALL")
    def body_begins(self, whose, rest, now):
        self.body_left, self.body_to = rest, whose
        if rest == 0: self.body_bytes(b"", now)
    def body_bytes(self, part, now):
        """Some bytes of the body of self.body_to came (none, for an empty body)."""
        whose = self.body_to
        self.body_in += len(part)
        if isinstance(whose, Served):
            whose.received += len(part)
            wanted = not (whose.error or whose.answered)
            if wanted: whose.body += part
            if whose.received == whose.body_len and not whose.body_ended:
                whose.body_ended = True
                if wanted: self.body_complete(whose)
                else: self.maybe_closed(whose)
        else:
            whose.reply_left -= len(part)
            if whose.given_up: whose.reply.clear()                  # R-11-20: checked and counted, not kept
            else: whose.reply += part
            if whose.reply_left == 0: self.reply_complete(whose)
    def body_complete(self, one):
        body, one.body = bytes(one.body), bytearray()
        try:
            body = unpacked(body, one.codec, one.raw_len)
        except zstd_plain.Bad as why:
            return self.set_error(one, E_DECOMPRESSION, str(why))
        one.running = True
        self.events.append(("request", one.id, one.method, body, one.ext))
    def reply_complete(self, made):
        if made.given_up: return self.finish(made, "ok", b"")
        try:
            self.finish(made, "ok", unpacked(bytes(made.reply), *made.reply_codec))
        except zstd_plain.Bad as why:
            self.finish(made, "failed", str(why))                # R-19-11
    def on_chunk(self, now, rest, id):
        refuse_if(id == 0, "ID_ZERO")
        if id % 2 != self.parity:
            one = self.served.get(id)
            refuse_if(one is None or one.body_ended, "ID_NOT_OPEN")
            self.check_part(one.body_len - one.received, rest)
            self.body_begins(one, rest, now)
        else:
            made = self.calls.get(id)
            refuse_if(made is None or made.answered or made.reply is None, "ID_NOT_OPEN")
            self.check_part(made.reply_left, rest)
            self.body_begins(made, rest, now)
    def on_cancel(self, now, rest, id):
        refuse_if(not self.features & 1, "CANCEL_NOT_AGREED")
        refuse_if(id == 0, "ID_ZERO")
        refuse_if(id % 2 == self.parity, "ID_PARITY")
        refuse_if(id > self.peer_highest, "ID_NOT_OPEN")
        one = self.served.get(id)
        if one is None: return
        one.body_ended = True
        if one.running:
            if not one.cancelled:
                one.cancelled = True
                self.events.append(("cancelled", id))
        elif not one.answered and one.error is None:         # receiving, or a Response that waits
            if one.response is not None:
                one.response = None
                self.turns.remove(one)
            self.set_error(one, E_CANCELLED, "cancelled by the requester")
        self.maybe_closed(one)
    def set_error(self, one, code, message="", retry=0, retry_after_ms=0):
        one.error, one.body = (code, retry, retry_after_ms, message), bytearray()
        self.errors.append(one)
    def maybe_closed(self, one):
        if one.answered and one.body_ended and self.served.pop(one.id, None):
            self.served_cost -= one.cost

    # ---- answers to our calls
    def on_response(self, now, rest, id, body_len, codec, raw_len, ext):
        made = self.open_call(id)
        self.check_body(ext, body_len, codec, raw_len, rest)
        refuse_if(made.reply is not None, "ID_NOT_OPEN", "a second Response")
        refuse_if(max(body_len, raw_len) > made.reply_max, "REPLY_TOO_LONG")
        made.reply, made.reply_left, made.reply_codec = bytearray(), body_len, (codec, raw_len)
        self.body_begins(made, rest, now)
    def on_error(self, now, rest, id, code, retry, retry_after_ms, message, ext):
        made = self.open_call(id)
        check_ext(ext)
        refuse_if(retry > 2 or (retry_after_ms and retry != 1), "MALFORMED", "retry hint")
        made.reply = None
        self.finish(made, "error", (code, retry, retry_after_ms, message))
    def open_call(self, id):
        refuse_if(id == 0, "ID_ZERO")
        made = self.calls.get(id)
        refuse_if(made is None or made.answered, "ID_NOT_OPEN")
        return made
    def finish(self, made, how, result):
        """The terminal answer is complete, or the call failed without one."""
        made.answered, made.reply = True, None
        if not made.given_up: self.events.append(("answer", made, how, result))
        made.given_up = True
        if made.id and not made.body_ended:
            self.want_cancel(made)                           # R-11-7; without the feature the rest is sent (R-11-8)
        self.call_maybe_closed(made)
    def call_maybe_closed(self, made):
        if made.answered and made.body_ended and self.calls.pop(made.id, None):
            self.calls_cost -= made.cost()
    def want_cancel(self, made):
        if self.features & 1 and not made.cancel_due and not made.cancel_sent:
            made.cancel_due = True
            self.cancels.append(made)
            if made in self.turns: self.turns.remove(made)

    # ---- control frames
    def on_ack(self, now, rest, received):
        refuse_if(received > self.body_out, "ACK_AHEAD")
        refuse_if(received < self.acked_in + ACK_STEP, "ACK_NO_PROGRESS")
        self.acked_in = received
        self.unacked_since = now if self.body_out - self.acked_in >= ACK_STEP else None
    def on_ping(self, now, rest, nonce):
        self.pong_due = nonce
    def on_pong(self, now, rest, nonce):
        refuse_if(self.ping_nonce is None or nonce != self.ping_nonce, "UNEXPECTED_PONG")
        self.ping_nonce = None
    def on_goaway(self, now, rest, deadline_ms):
        if not self.peer_drains:
            self.peer_drains, self.peer_drain_at = True, now + deadline_ms / 1000 + self.timers.stall
            self.fail_waiting("the peer drains")
    def on_close(self, now, rest, code, last_id, message):
        self.dropped(CODE_NAMES.get(code, code), message, by="peer", last_id=last_id)

    # ------------------------------------------------------------ ends
    def fail_waiting(self, why):
        waiting, self.waiting = self.waiting, []
        for made in waiting:
            self.finish(made, "failed", why + " (never sent)")
    def over(self, code, by, message, last_id=None):
        self.state, self.finished = "CLOSED", True
        self.fail_waiting("the connection ended")
        for made in list(self.calls.values()):
            if not made.answered and not made.given_up:
                safe = last_id is not None and made.id > last_id        # section 16.3
                self.events.append(("answer", made, "failed", "not started" if safe else "may have run"))
        for one in self.served.values():
            if one.running: self.events.append(("cancelled", one.id))               # R-16-21
        self.calls, self.served, self.turns, self.errors, self.cancels = {}, {}, [], [], []
        self.inbuf.clear()
        self.events.append(("closed", code, by, message))
    def dropped(self, code, message="", by="drop", last_id=None, keep=b""):
        self.out = bytearray(keep)
        self.over(code, by, message, last_id)
    def end(self, code, message, by, retry_after_ms=0):
        """End the connection for a reason of our own: Close, or the router's Reject before Welcome (8.4, 16.2)."""
        if self.role == "router" and self.state in ("AWAITING_HELLO", "DECIDING"):
            self.out += PREFACE + frame(REJECT, varint(CODES.get(code, code)) + varint(retry_after_ms)
                                        + blob(cut_text(message)) + varint(0))
        else:
            self.out += frame(CLOSE,
                varint(CODES.get(code, code)) + varint(self.peer_highest) + blob(cut_text(message)))
        self.linger = True
        self.over(code, by, message)

    # ------------------------------------------------------------ timers
    def next_timer(self):
        return min((at for at, _ in self.timer_list()), default=None)
    def timer_list(self):
        """Pairs (time, what), in the order of section 22.3."""
        if self.state == "CLOSED": return []
        if self.state != "OPEN": return [(self.started + self.timers.handshake, self.handshake_timeout)]
        found = []
        for one in self.served.values():
            answered = one.error or one.response is not None or one.answered
            if one.deadline is not None and not one.late and not answered:
                found.append((one.deadline, lambda now, one=one: self.served_late(one)))
        for made in self.waiting + list(self.calls.values()):
            if made.deadline is not None and not made.given_up:
                found.append((made.deadline, lambda now, made=made: self.call_late(made)))
        found.sort(key=lambda pair: pair[0])
        # R-16-24: a GoAway that waits holds up the time in it.
        for at in (self.drain_at if self.drain_sent else None, self.peer_drain_at):
            if at is not None:
                found.append((at, lambda now: self.end("DRAIN_DEADLINE", "", "local")))
        for since in (self.unacked_since, self.blocked_since):
            if since is not None:
                found.append((since + self.timers.stall, lambda now: self.end("SLOW_READER", "", "local")))
        quiet = self.last_in + self.timers.keepalive
        if self.ping_due or self.ping_nonce is not None:
            found.append((max(quiet, self.ping_noticed) + self.timers.grace,
                lambda now: self.end("KEEPALIVE_TIMEOUT", "", "local")))
        else: found.append((quiet, self.start_ping))
        return found
    def tick(self, now):
        for at, action in self.timer_list():
            if at <= now and self.state != "CLOSED": action(now)
    def handshake_timeout(self, now):
        if self.role == "router" and self.got_preface:
            self.end("HANDSHAKE_TIMEOUT", "", "local", retry_after_ms=1000)
        else: self.dropped("HANDSHAKE_TIMEOUT")
    def start_ping(self, now):
        self.ping_due, self.ping_noticed = True, now             # late if it was suspended: R-15-6
    def served_late(self, one):
        one.late = True
        if one.running: self.events.append(("cancelled", one.id))
        elif not one.body_ended: self.set_error(one, E_DEADLINE, "the deadline passed")
    def call_late(self, made):
        self.events.append(("answer", made, "failed", "deadline"))
        self.give_up(made)

    # ------------------------------------------------------------ output
    def pending_output(self, now):
        """Bytes for the transport; tell wrote() how many it took. Empty when nothing is due."""
        if not self.out and self.state == "OPEN":
            made = self.next_frame(now)
            if made: self.out = bytearray(made)
        if not self.out: self.blocked_since = None
        elif self.blocked_since is None: self.blocked_since = now
        return self.out
    def wrote(self, count, now):
        del self.out[:count]
        self.blocked_since = now if self.out else None
        self.welcome_waits = self.welcome_waits and bool(self.out)
    def next_frame(self, now):
        """Encode the frame that goes next (section 14)."""
        if self.goaway_due is not None:
            due, self.goaway_due, self.drain_sent = self.goaway_due, None, True
            return frame(GOAWAY, varint(due))
        if self.pong_due is not None:
            nonce, self.pong_due = self.pong_due, None
            return frame(PONG, varint(nonce))
        if self.ping_due:
            self.ping_due, self.nonce = False, self.nonce + 1
            self.ping_nonce = self.nonce
            return frame(PING, varint(self.nonce))
        if self.body_in - self.acked_out >= ACK_STEP:
            self.acked_out = self.body_in
            return frame(ACK, varint(self.body_in))
        if self.cancels:
            made = self.cancels.pop(0)
            made.cancel_due, made.cancel_sent, made.body_ended = False, True, True
            if made.answered and made.sent == len(made.body): return self.next_frame(now)
            self.call_maybe_closed(made)
            return frame(CANCEL, varint(made.id))
        if self.errors:
            one = self.errors.pop(0)
            code, retry, after, message = one.error
            one.answered = True
            self.maybe_closed(one)
            return frame(ERROR, varint(one.id) + varint(code) + bytes([retry]) + varint(after)
                         + blob(cut_text(message)) + varint(0))
        if self.drain_sent and not self.calls and not self.served:
            self.end(self.drain_code, "", "local")
            return None                                      # end() has filled self.out
        # New calls and parts of bodies that are under way take turns, so that neither starves the other.
        self.calls_turn = not self.calls_turn
        if self.calls_turn: return self.start_call(now) or self.turn_frame(now)
        return self.turn_frame(now) or self.start_call(now)
    def fits_window(self, whose):
        left = self.body_size_left(whose)
        size = min(left, PART, self.peer_limits.max_frame - WINDOW)        # leaves room for any header
        if size <= self.window - (self.body_out - self.acked_in) or left == size <= SMALL: return size
        return None
    def turn_frame(self, now):
        for index, whose in enumerate(self.turns):
            size = self.fits_window(whose)
            if size is not None:
                del self.turns[index]
                return self.body_frame(whose, size, now)
        return None

    @staticmethod
    def body_size_left(whose):
        return len(whose.body if isinstance(whose, Call) else whose.response) - whose.sent
    def possible(self, made):
        return len(made.body) <= self.peer_limits.max_body and made.cost() <= self.peer_limits.work_budget
    def start_call(self, now):
        """Open the first call that waits for which slot, budget and window are free; small ones overtake (12)."""
        if self.drain_at is not None or self.peer_drains or len(self.calls) >= self.peer_limits.max_concurrent:
            return None
        budget = min(self.peer_limits.work_budget, self.limits.work_budget) - self.calls_cost
        large_waits = False
        for made in self.waiting:
            size = self.fits_window(made)
            if made.cost() and (large_waits or made.cost() > budget) or size is None:
                large_waits = True
                continue
            if self.next_id > self.last_id_possible:
                self.drain(now, 60000, "IDS_EXHAUSTED")
                return self.next_frame(now)
            self.waiting.remove(made)
            made.id, self.next_id = self.next_id, self.next_id + 2
            self.calls[made.id] = made
            self.calls_cost += made.cost()
            return self.body_frame(made, size, now)
        return None
    def body_frame(self, whose, size, now):
        is_call = isinstance(whose, Call)
        data = whose.body if is_call else whose.response
        part, first = data[whose.sent:whose.sent + size], not (whose.sent or getattr(whose, "started", False))
        whose.sent += size
        self.body_out += size
        if self.unacked_since is None and self.body_out - self.acked_in >= ACK_STEP:
            self.unacked_since = now
        done = whose.sent == len(data)
        if not done: self.turns.append(whose)
        if not first: encoded = frame(CHUNK, varint(whose.id), part)
        elif is_call:
            left = 0
            if whose.deadline is not None:
                left = min(max(int((whose.deadline - now) * 1000), 1), 2 ** 32 - 1)
            encoded = frame(REQUEST, varint(whose.id) + varint(whose.method) + varint(len(data)) + b"\0\0"
                            + varint(whose.reply_max) + varint(left) + encode_ext(whose.ext), part)
        else:
            whose.started = True
            encoded = frame(RESPONSE, varint(whose.id) + varint(len(data)) + b"\0\0\0", part)
        if done and is_call:
            whose.body_ended = True
            self.call_maybe_closed(whose)
        elif done:
            whose.answered = True
            self.maybe_closed(whose)
        return encoded

def unpacked(body, codec, raw_len):
    return zstd_plain.decompress(body, raw_len) if codec else body

def pair(header):
    return header.u16(), header.u16()

FIELDS = {
    HELLO: lambda h: (h.list(lambda: pair(h)), h.limits(), h.u32(), h.list(h.u8), h.bytes(4096), h.ext()),
    WELCOME: lambda h: (pair(h), h.limits(), h.u32(), h.list(h.u8), h.bytes(512), h.ext()),
    REJECT: lambda h: (h.u16(), h.u32(), h.text(512), h.ext()),
    REQUEST: lambda h: (h.u64(), h.u16(), h.u32(), h.u8(), h.u32(), h.u32(), h.u32(), h.ext()),
    RESPONSE: lambda h: (h.u64(), h.u32(), h.u8(), h.u32(), h.ext()),
    CHUNK: lambda h: (h.u64(),),
    ERROR: lambda h: (h.u64(), h.u16(), h.u8(), h.u32(), h.text(512), h.ext()),
    CANCEL: lambda h: (h.u64(),),
    ACK: lambda h: (h.u64(),),
    PING: lambda h: (h.u64(),),
    PONG: lambda h: (h.u64(),),
    GOAWAY: lambda h: (h.u32(),),
    CLOSE: lambda h: (h.u16(), h.u64(), h.text(512)),
}
HANDLERS = {
    HELLO: Connection.on_hello, WELCOME: Connection.on_welcome, REJECT: Connection.on_reject,
    REQUEST: Connection.on_request, RESPONSE: Connection.on_response, CHUNK: Connection.on_chunk,
    ERROR: Connection.on_error, CANCEL: Connection.on_cancel, ACK: Connection.on_ack, PING: Connection.on_ping,
    PONG: Connection.on_pong, GOAWAY: Connection.on_goaway, CLOSE: Connection.on_close,
}

# ---------------------------------------------------------------- sockets
def drive(sock, conn, on_event):
    """Run one connection over a socket until it has ended. `on_event(event, now)` gets each event.
    """
    sock.setblocking(False)
    if sock.family != socket.AF_UNIX: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    def events():
        while conn.events:
            on_event(conn.events.pop(0), time.monotonic())

    give_up_at = None
    while True:
        events()
        now = time.monotonic()
        if conn.finished and give_up_at is None:
            give_up_at = now + 1.0                            # R-2-12
        out = conn.pending_output(now)
        events()
        if conn.finished and not out or give_up_at is not None and now >= give_up_at: break
        timer = give_up_at if give_up_at is not None else conn.next_timer()
        wait = None if timer is None else max(0.0, timer - now)
        reading = [sock] if conn.wants_input() and not conn.finished else []
        readable, writable, _ = select.select(reading, [sock] if out else [], [], wait)
        now = time.monotonic()
        try:
            if sock in readable:
                data = sock.recv(65536)
                conn.receive(data, now) if data else conn.receive_eof(now)
            if sock in writable and conn.out:
                conn.wrote(sock.send(memoryview(bytes(conn.out[:262144]))), now)
        except BlockingIOError:
            pass
        except OSError as error:
            conn.dropped(None, f"transport: {error}") if conn.state != "CLOSED" else None
            conn.out.clear()
        conn.tick(now)
    events()
    linger(sock, conn)

def linger(sock, conn):
    """R-2-11: end our direction, then discard input for at most one second."""
    try:
        if conn.linger and not conn.out and not conn.eof:
            sock.shutdown(socket.SHUT_WR)
            end = time.monotonic() + 1.0
            while (left := end - time.monotonic()) > 0 and select.select([sock], [], [], left)[0]:
                if not sock.recv(65536): break
    except OSError:
        pass
    sock.close()

def parse(address):
    if address.startswith("unix:"): return socket.AF_UNIX, address[5:]
    if address.startswith("tcp:"):
        host, _, port = address[4:].rpartition(":")
        host = host.strip("[]")
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        return found[0], found[4]
    raise ValueError("address: unix:PATH or tcp:HOST:PORT")

def connect(address, timeout=10.0):
    family, where = parse(address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    sock.connect(where)
    return sock

def listen(address):
    family, where = parse(address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_UNIX:
        if os.path.exists(where): os.unlink(where)
        old = os.umask(0o077)                                 # R-24-5
        try:
            sock.bind(where)
        finally:
            os.umask(old)
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
    sock.listen(64)
    return sock

def address_of(sock):
    if sock.family == socket.AF_UNIX: return "unix:" + sock.getsockname()
    host, port = sock.getsockname()[:2]
    return f"tcp:[{host}]:{port}" if ":" in host else f"tcp:{host}:{port}"

def own_user(sock):
    """R-24-5: refuse peers of another user on a unix socket."""
    if sock.family != socket.AF_UNIX or not hasattr(socket, "SO_PEERCRED"): return True
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return uid == os.geteuid()

# ---------------------------------------------------------------- the echo program
SIZES = (0, 1, 100, 16384, 16385, 1 << 20, 5 << 20)
PATTERN = bytes(range(251)) * ((5 << 20) // 251 + 1)

class Echo:
    """Answers every request with its own body, and makes seven requests."""
    def __init__(self, conn, say=print):
        self.conn, self.say, self.sizes = conn, say, list(SIZES)
    def next_call(self, now):
        while self.sizes and self.conn.takes_calls():
            size = self.sizes.pop(0)
            try:
                return self.conn.call(0xFFF0, PATTERN[:size], max(size, 1), now, timeout=60.0)
            except ValueError as why:
                self.say(f"echo of {size} bytes not sent: {why}", flush=True)
    def __call__(self, event, now):
        what, conn = event[0], self.conn
        if what == "hello": conn.accept(now)
        elif what == "open": self.next_call(now)
        elif what == "request": conn.respond(event[1], event[3], now)
        elif what == "answer":
            _, made, how, result = event
            same = how == "ok" and result == made.body
            self.next_call(now)
            self.say(f"echo of {len(made.body)} bytes: {'true' if same else f'false ({how}: {result})'}", flush=True)
        elif what == "closed": self.say(f"ended: {event[2]}: {event[1]} {event[3]}", flush=True)

def run_echo(role, sock, since):
    conn = Connection(role, since, app=b"hi", grease=True)
    drive(sock, conn, Echo(conn))

def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("router", "worker"):
        sys.exit("usage: peer.py router|worker ADDRESS")
    role, address = sys.argv[1:]
    if role == "worker":
        since = time.monotonic()
        return run_echo(role, connect(address), since)
    listener = listen(address)
    print("listening at", address, flush=True)
    while True:
        sock, _ = listener.accept()
        if own_user(sock): threading.Thread(target=run_echo, args=(role, sock, time.monotonic()), daemon=True).start()
        else: sock.close()

if __name__ == "__main__":
    main()
