#!/usr/bin/env python3
"""Plays illegal and odd byte sequences against an echo (a program that answers as peer.py does) in both roles;
compares the outcome with PROTOCOL.md.

Each case is (rule id, what, expected, function). The function gets a Raw connection and sends bytes; what echo did then
is one of  close N / reject N / drop / alive / error N / ...   `alive` is checked with Ping and Pong.
Usage: TARGET="program that takes router|worker ADDRESS" hostile.py [text]  runs the cases whose name contains the text.
"""
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from peer import CODES, PREFACE, varint as v, blob, frame, encode_ext

C = CODES
MIB = 1 << 20
TMP = tempfile.mkdtemp(prefix="hostile-") + "/"
TARGET = os.environ.get("TARGET", "target/release/examples/echo").split()


def limits(max_frame=262144, max_body=16 * MIB, budget=64 * MIB, most=256):
    return v(max_frame) + v(max_body) + v(budget) + v(most)


def hello(versions=((3, 0),), lim=None, features=1, compression=b"\0", app=b"hi", ext=b"\0"):
    vs = v(len(versions)) + b"".join(v(a) + v(b) for a, b in versions)
    return frame(1, vs + (lim or limits()) + v(features) + compression + blob(app) + ext)


def welcome(version=(3, 0), lim=None, features=1, compression=b"\0", app=b"", ext=b"\0"):
    return frame(2, v(version[0]) + v(version[1]) + (lim or limits()) + v(features) + compression + blob(app) + ext)


def request(id, body=b"", body_len=None, codec=0, raw=0, reply_max=16384, deadline=0, ext=b"\0", method=0x0300):
    body_len = len(body) if body_len is None else body_len
    return frame(0x10, v(id) + v(method) + v(body_len) + bytes([codec]) + v(raw) + v(reply_max) + v(deadline) + ext,
        body)


def response(id, body=b"", body_len=None, codec=0, raw=0, ext=b"\0"):
    return frame(0x11, v(id) + v(len(body) if body_len is None else body_len) + bytes([codec]) + v(raw) + ext, body)


def error(id, code=1, retry=0, after=0, message=b"", ext=b"\0"):
    return frame(0x13, v(id) + v(code) + bytes([retry]) + v(after) + blob(message) + ext)


def chunk(id, body=b""):
    return frame(0x12, v(id), body)


def cancel(id):
    return frame(0x14, v(id))


def ack(n):
    return frame(0x15, v(n))


def ping(n):
    return frame(0x20, v(n))


def close(code=0, last=0, message=b""):
    return frame(0x23, v(code) + v(last) + blob(message))


def raw(kind, *parts):
    return frame(kind, b"".join(parts))


def reject(code=26, after=0, message=b"no", ext=b"\0"):
    return frame(3, v(code) + v(after) + blob(message) + ext)


def goaway(ms):
    return frame(0x22, v(ms))


def uvar(data, at):
    n = shift = 0
    while True:
        n |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return n, at


class Raw:
    """A raw connection to one echo. `role` is ours."""

    def __init__(self, sock, role, process=None):
        self.s, self.role, self.process = sock, role, process
        self.buf, self.pre, self.end = bytearray(), False, None
        self.frames = []              # (kind, payload, time)
        self.start = time.monotonic()
        self.body_in = 0
        self.auto_ack, self.acked = False, 0
        self.total = 0

    def my(self, n):
        return 2 * n - (self.role == "worker")

    def its(self, n):
        return 2 * n - (self.role == "router")

    def send(self, *parts):
        try:
            self.s.sendall(b"".join(parts))
        except OSError:
            pass

    def fin(self):
        self.s.shutdown(socket.SHUT_WR)

    def pump(self, seconds, stop=None):
        """Read for so long, or until `stop(self)`, or the end."""
        until = time.monotonic() + seconds
        while self.end is None and not (stop and stop(self)):
            left = until - time.monotonic()
            if left <= 0:
                return False
            if not select.select([self.s], [], [], left)[0]:
                return False
            try:
                data = self.s.recv(1 << 18)
            except ConnectionResetError:
                self.end = "reset", time.monotonic()
                break
            if not data:
                self.end = "eof", time.monotonic()
                break
            self.total += len(data)
            self.buf += data
            if not self.pre and len(self.buf) >= 8:
                assert self.buf[:8] == PREFACE, self.buf[:40]
                del self.buf[:8]
                self.pre = True
            while self.pre and len(self.buf) >= 4:
                n = struct.unpack_from("<I", self.buf)[0]
                if len(self.buf) < 4 + n:
                    break
                self.frames.append((self.buf[4], bytes(self.buf[5:4 + n]), time.monotonic()))
                self.count(*self.frames[-1][:2])
                del self.buf[:4 + n]
            if self.auto_ack and self.body_in - self.acked >= 65536:
                self.acked = self.body_in
                self.send(ack(self.acked))
        return True

    def count(self, kind, data):
        if kind == 0x10:
            self.body_in += len(self.req(data)["body"])
        elif kind == 0x11:
            self.body_in += len(self.res(data)["body"])
        elif kind == 0x12:
            self.body_in += len(data) - uvar(data, 0)[1]

    @staticmethod
    def req(d):
        out, at = {}, 0
        for name in "id method body_len codec raw reply_max deadline".split():
            out[name], at = uvar(d, at)
        return dict(out, **Raw.tail(d, at))

    @staticmethod
    def res(d):
        out, at = {}, 0
        for name in "id body_len codec raw".split():
            out[name], at = uvar(d, at)
        return dict(out, **Raw.tail(d, at))

    @staticmethod
    def err(d):
        out, at = {}, 0
        for name in "id code retry after".split():
            out[name], at = uvar(d, at)
        n, at = uvar(d, at)
        return dict(out, message=d[at:at + n])

    @staticmethod
    def tail(d, at):
        n, at = uvar(d, at)
        for _ in range(n):
            _, at = uvar(d, at)
            size, at = uvar(d, at)
            at += size
        return {"body": d[at:]}

    def kinds(self, kind):
        return [data for k, data, _ in self.frames if k == kind]

    def its_requests(self):
        return [self.req(d) for d in self.kinds(0x10)]

    def wait_requests(self, count=5):
        self.pump(3, lambda c: len(c.kinds(0x10)) >= count)
        return self.its_requests()

    def reach(self, size):
        """Echo makes its calls one after another: answer them properly until the one of `size` bytes; return it."""
        done = 0
        for want in (0, 1, 100, 16384, 16385, 1 << 20, 5 << 20):
            self.auto_ack = True
            self.pump(4, lambda c: len(c.its_requests()) > done)
            r = self.its_requests()[done]
            done += 1
            if r["body_len"] == size:
                self.auto_ack = False
                return r
            have = sum(x["body_len"] for x in self.its_requests())
            self.pump(4, lambda c: c.body_in >= have)
            body = (bytes(range(251)) * (want // 251 + 1))[:want]
            self.send(response(r["id"], body[:250000], want),
                      *[chunk(r["id"], body[i:i + 250000]) for i in range(250000, want, 250000)])

    def errors(self):
        return [self.err(d) for d in self.kinds(0x13)]

    def responses(self):
        return [self.res(d) for d in self.kinds(0x11)]

    def outcome(self, seconds=2.0):
        """What echo did in the end."""
        done = lambda c: c.kinds(0x23) or c.kinds(3)
        self.pump(seconds, done)
        if self.kinds(0x23):
            code, at = uvar(self.kinds(0x23)[0], 0)
            self.last_id = uvar(self.kinds(0x23)[0], at)[0]
            self.pump(1.5)
            tail = "" if self.frames[-1][0] == 0x23 and not self.buf else " BUT MORE BYTES"
            return f"close {code}" + tail + ("" if self.end else " BUT NO EOF") + (" RESET" if self.end
                and self.end[0] == "reset" else "")
        if self.kinds(3):
            code, at = uvar(self.kinds(3)[0], 0)
            after = uvar(self.kinds(3)[0], at)[0]
            self.pump(1.5)
            return f"reject {code} after {after}" + ("" if self.end else " BUT NO EOF")
        if self.end:
            return "drop" + ("" if self.end[0] == "eof" else " (reset)")
        return "alive"

    def alive(self, nonce=77, seconds=2.0):
        self.send(ping(nonce))
        self.pump(seconds, lambda c: v(nonce) in c.kinds(0x21) or c.kinds(0x23))
        return "alive" if v(nonce) in self.kinds(0x21) and self.end is None else self.outcome()

    def done(self):
        try:
            self.s.close()
        except OSError:
            pass
        if self.process:
            self.process.kill()
            self.process.wait()


# ---------------------------------------------------------------- starting echo

ROUTER_PID = []
ROUTER_ADDR = "tcp:127.0.0.1:7790"


def start_router():
    log = open(TMP + "router.log", "w")
    p = subprocess.Popen([*TARGET, "router", ROUTER_ADDR], stdout=log, stderr=subprocess.STDOUT)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", 7790)).close()
            break
        except OSError:
            time.sleep(0.05)
    return p


def as_worker():
    s = socket.create_connection(("127.0.0.1", 7790))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Raw(s, "worker")


counter = [0]
lock = threading.Lock()


def as_router():
    with lock:
        counter[0] += 1
        path = f"{TMP}h{os.getpid()}_{counter[0]}.sock"
    l = socket.socket(socket.AF_UNIX)
    l.bind(path)
    l.listen(4)
    log = open(path + ".log", "w")
    p = subprocess.Popen([*TARGET, "worker", "unix:" + path], stdout=log, stderr=subprocess.STDOUT)
    l.settimeout(5)
    s, _ = l.accept()
    os.unlink(path)
    c = Raw(s, "router", p)
    c.log, c.listener = path + ".log", l
    return c


def opened(role, features=1, lim=None):
    if role == "worker":
        c = as_worker()
        c.send(PREFACE, hello(features=features, lim=lim))
        c.pump(3, lambda c: c.kinds(2))
        assert c.kinds(2), "no Welcome"
    else:
        c = as_router()
        c.pump(3, lambda c: c.kinds(1))
        assert c.kinds(1), "no Hello"
        c.send(PREFACE, welcome(features=features, lim=lim))
    return c


# ---------------------------------------------------------------- cases in OPEN, both roles

OPEN = []


def case(rule, what, expected, features=1):
    def add(f):
        OPEN.append((rule, what, expected, f, features))
        return f
    return add


def simple(rule, what, code, make, features=1):
    """Send make(c); expect close `code`, or alive."""
    def run(c):
        c.send(make(c))
        return c.outcome() if code is not None else c.alive()
    OPEN.append((rule, what, f"close {C[code]}" if code else "alive", run, features))


X = lambda s: bytes.fromhex(s)
simple("R-4-1", "length 0", "FRAME_EMPTY", lambda c: bytes(4))
simple("R-4-2", "length max_frame + 1, four bytes only", "FRAME_TOO_LARGE", lambda c: struct.pack("<I", 262145))
simple("R-4-2", "length 2^32-1, four bytes only", "FRAME_TOO_LARGE", lambda c: b"\xff" * 4)
simple("R-4-3", "Ping of length 1025, five bytes only", "FRAME_TOO_LARGE", lambda c: struct.pack("<IB", 1025, 0x20))
simple("R-4-3", "Ping of length 1024 with trailing bytes", "MALFORMED", lambda c: frame(0x20, b"\1", bytes(1022)))
simple("R-4-4", "kind 0x7f", "UNKNOWN_KIND", lambda c: raw(0x7F))
simple("R-4-4", "kind 0x00, five bytes of a frame of 100", "UNKNOWN_KIND", lambda c: struct.pack("<IB", 100, 0))
simple("R-4-5", "kind 0x80 and 0xff are skipped", None, lambda c: raw(0x80) + raw(0xFF, bytes(200000)))
simple("R-4-7", "100 unknown frames", None, lambda c: raw(0xCA) * 100)
simple("R-4-7", "101 unknown frames", "TOO_MANY_UNKNOWN", lambda c: raw(0xCA, b"x") * 101)
simple("R-4-7", "100 unknown, Ping, 100 unknown", None, lambda c: raw(0xCA) * 100 + ping(1) + raw(0xCA) * 100)
simple("R-4-8", "Hello when open", "UNEXPECTED_FRAME", lambda c: hello())
simple("R-4-8", "Welcome when open", "UNEXPECTED_FRAME", lambda c: welcome())
simple("R-4-8", "Reject when open, length 5000 (place before length)", "UNEXPECTED_FRAME",
    lambda c: struct.pack("<IB", 5000, 3))
simple("R-4-9", "Request header that does not end in the window", "MALFORMED",
       lambda c: request(c.my(1), b"", body_len=9000, ext=v(1) + v(99) + blob(bytes(1100)))[:4 + 1024])
simple("R-4-10", "Ping with a byte behind", "MALFORMED", lambda c: raw(0x20, b"\1\0"))
simple("R-5-1", "u64 of 11 bytes", "MALFORMED", lambda c: raw(0x20, b"\xff" * 10 + b"\1"))
simple("R-5-1", "u16 with 3 continued bytes", "MALFORMED", lambda c: raw(0x23, X("80 80 80 00 00 00")))
simple("R-5-2", "u64 whose tenth byte is 2", "MALFORMED", lambda c: raw(0x20, b"\xff" * 9 + b"\2"))
simple("R-5-2", "u16 65536", "MALFORMED", lambda c: raw(0x23, X("80 80 04 00 00")))
simple("R-5-2", "u32 2^32 in GoAway", "MALFORMED", lambda c: raw(0x22, X("80 80 80 80 10")))
simple("R-5-3", "Ping without nonce", "MALFORMED", lambda c: raw(0x20))
simple("R-5-4", "surrogate in a Close message", "MALFORMED", lambda c: close(message=b"\xed\xa0\x80"))
simple("R-5-4", "overlong form in an Error message", "MALFORMED", lambda c: error(c.its(9000), message=b"\xc0\x80"))
simple("R-5-5", "message of 513 bytes", "MALFORMED", lambda c: close(message=b"a" * 513))
simple("R-5-5", "text length 2^64-1", "MALFORMED", lambda c: raw(0x23, b"\0\0", v(2 ** 64 - 1)))
simple("R-5-6", "nonce 1 in two bytes", "NOT_CANONICAL", lambda c: raw(0x20, X("81 00")))
simple("R-5-6", "u64 0 in ten bytes", "NOT_CANONICAL", lambda c: raw(0x20, b"\x80" * 9 + b"\0"))
simple("R-5-6", "text length in two bytes", "NOT_CANONICAL", lambda c: raw(0x23, X("00 00 81 00 61")))
simple("R-5-6", "extension list length in two bytes", "NOT_CANONICAL", lambda c: request(c.my(1), ext=X("80 00")))
simple("R-5-7", "not canonical, then cut off", "MALFORMED", lambda c: raw(0x23, X("81 00 00 05 61")))
simple("R-22-1", "not canonical, and bytes behind", "NOT_CANONICAL", lambda c: raw(0x20, X("81 00 00")))
simple("R-9-1", "Request with id 0", "ID_ZERO", lambda c: request(0))
simple("R-9-1", "Cancel with id 0", "ID_ZERO", lambda c: cancel(0))
simple("R-9-1", "PacketChunk with id 0", "ID_ZERO", lambda c: chunk(0, b"x"))
simple("R-9-2", "Request of the wrong parity", "ID_PARITY", lambda c: request(c.its(1)))
simple("R-9-3", "the same id twice", "ID_ORDER", lambda c: request(c.my(5)) + request(c.my(5)))
simple("R-9-3", "a lower id", "ID_ORDER", lambda c: request(c.my(5)) + request(c.my(4)))
simple("R-9-4", "Cancel of the wrong parity", "ID_PARITY", lambda c: cancel(c.its(1)))
simple("R-9-5", "Response to an id never used", "ID_NOT_OPEN", lambda c: response(c.its(900)))
simple("R-9-5", "Response of the wrong parity", "ID_NOT_OPEN",
    lambda c: request(c.my(1), b"ab", 5000)[:0] + response(c.my(1)))
simple("R-9-5", "Error for an id never used, bad retry hint", "ID_NOT_OPEN", lambda c: error(c.its(900), retry=3))
simple("R-10-1", "body_len max_body + 1", "BODY_TOO_LARGE", lambda c: request(c.my(1), bytes(4096), 16 * MIB + 1))
simple("R-10-2", "raw_len max_body + 1 (before BAD_RAW_LENGTH)", "BODY_TOO_LARGE",
    lambda c: request(c.my(1), raw=16 * MIB + 1))
simple("R-10-3", "Request with too many bytes, header only sent", "BODY_OVERRUN",
       lambda c: request(c.my(1), bytes(100000), 5000)[:4 + 1024])
simple("R-10-3", "PacketChunk with a byte too many", "BODY_OVERRUN",
    lambda c: request(c.my(1), bytes(4096), 5000) + chunk(c.my(1), bytes(905)))
simple("R-10-4", "first part of 4095", "CHUNK_TOO_SMALL", lambda c: request(c.my(1), bytes(4095), 5000))
simple("R-10-4", "first frame with none of its body", "CHUNK_TOO_SMALL", lambda c: request(c.my(1), b"", 1))
simple("R-10-4", "PacketChunk with no body", "CHUNK_TOO_SMALL",
    lambda c: request(c.my(1), bytes(4096), 9000) + chunk(c.my(1)))
simple("R-10-5", "PacketChunk for an id never opened", "ID_NOT_OPEN", lambda c: chunk(c.my(3), bytes(5000)))
simple("R-10-5", "PacketChunk behind a complete body", "ID_NOT_OPEN",
    lambda c: request(c.my(1), b"abc") + chunk(c.my(1), b""))
simple("R-11-10", "Cancel without the feature", "CANCEL_NOT_AGREED", lambda c: cancel(0), features=0)
simple("R-11-11", "Cancel above the highest id", "ID_NOT_OPEN", lambda c: request(c.my(3)) + cancel(c.my(4)))
simple("R-11-12", "Cancel of a skipped id", None, lambda c: request(c.my(3)) + cancel(c.my(2)) + cancel(c.my(2)))
simple("R-11-18", "PacketChunk after Cancel", "ID_NOT_OPEN",
       lambda c: request(c.my(1), bytes(4096), 9000) + cancel(c.my(1)) + chunk(c.my(1), bytes(4096)))
simple("R-12-1", "257 open requests", "TOO_MANY_REQUESTS",
       lambda c: b"".join(request(c.my(n), bytes(4096), 5000) for n in range(1, 258)))
simple("R-12-1", "256 open requests", None,
    lambda c: b"".join(request(c.my(n), bytes(4096), 5000) for n in range(1, 257)))
simple("R-12-2", "two largest requests and a small one fit exactly", None,
       lambda c: b"".join(request(c.my(n), bytes(4096), 16 * MIB, reply_max=16 * MIB) for n in (1,
           2)) + request(c.my(3), b"x"))
simple("R-12-2", "one byte of reply_max above the budget", "WORK_BUDGET",
       lambda c: b"".join(request(c.my(n), bytes(4096), 16 * MIB, reply_max=16 * MIB + n - 1) for n in (1, 2)))
simple("R-12-2", "reply_max 2^32-1 (not above any max_body rule)", "WORK_BUDGET",
    lambda c: request(c.my(1), reply_max=2 ** 32 - 1))
simple("R-12-2", "order: TOO_MANY_REQUESTS before WORK_BUDGET", "TOO_MANY_REQUESTS",
       lambda c: b"".join(request(c.my(n), bytes(4096), 5000) for n in range(1, 257)) + request(c.my(300),
           reply_max=2 ** 32 - 1))
simple("R-13-5", "Ack of 2^63", "ACK_AHEAD", lambda c: ack(1 << 63))
simple("R-13-6", "Ack 0", "ACK_NO_PROGRESS", lambda c: ack(0))
simple("R-15-5", "Pong without Ping", "UNEXPECTED_PONG", lambda c: raw(0x21, b"\1"))
simple("R-16-9", "Request after GoAway", "UNEXPECTED_FRAME", lambda c: goaway(60000) + request(c.my(1)))
simple("R-16-9", "malformed Request after GoAway (7.3 or 22.2?)", "MALFORMED",
    lambda c: goaway(60000) + raw(0x10, b"\1"))
simple("R-16-10", "GoAway twice", None, lambda c: goaway(60000) + goaway(0))
simple("R-18-1", "513 bytes of extensions", "BAD_EXTENSIONS",
    lambda c: request(c.my(1), ext=encode_ext([(99, bytes(256)), (98, bytes(257))])))
simple("R-18-1", "512 bytes of extensions", None,
    lambda c: request(c.my(1), ext=encode_ext([(99, bytes(256)), (98, bytes(256))])))
simple("R-18-2", "a tag twice", "BAD_EXTENSIONS",
    lambda c: request(c.my(1), ext=encode_ext([(0xCACA, b""), (0xCACA, b"")])))
simple("R-18-3", "nine extensions", "MALFORMED",
    lambda c: request(c.my(1), ext=encode_ext([(n + 90, b"") for n in range(9)])))
simple("R-18-5", "trace context of 24 bytes", None, lambda c: request(c.my(1), ext=encode_ext([(1, bytes(24))])))
simple("R-19-1", "codec 1, not agreed", "COMPRESSION_NOT_AGREED", lambda c: request(c.my(1), b"abc", codec=1, raw=10))
simple("R-19-1", "codec 1 and raw_len 0: first COMPRESSION_NOT_AGREED", "COMPRESSION_NOT_AGREED",
    lambda c: request(c.my(1), b"abc", codec=1))
simple("R-19-2", "raw_len 5 without codec", "BAD_RAW_LENGTH", lambda c: request(c.my(1), b"abc", raw=5))
simple("R-22-1", "ID_ORDER before BAD_EXTENSIONS", "ID_ORDER",
    lambda c: request(c.my(2)) + request(c.my(1), ext=encode_ext([(7, b""), (7, b"")])))


@case("R-4-11", "a Request of 200,000 bytes opens with its first 1,024 bytes: error DEADLINE while it arrives",
    "error 3")
def _(c):
    c.send(request(c.my(1), bytes(200000), deadline=200)[:4 + 1024])
    c.pump(2, lambda c: c.errors())
    return f"error {c.errors()[0]['code']}" if c.errors() else c.outcome(0.1)


@case("R-4-11", "a Request of 200,000 bytes does not open with its first 1,023 bytes", "alive, no error")
def _(c):
    c.send(request(c.my(1), bytes(200000), deadline=200)[:4 + 1023])
    c.pump(1.0)
    return "alive, no error" if not c.errors() and c.end is None else "something"


@case("R-2-1", "one byte at a time", "answered")
def _(c):
    for b in request(c.my(1), b"hello"):
        c.send(bytes([b]))
        time.sleep(0.002)
    c.pump(2, lambda c: c.responses())
    return "answered" if c.responses() and c.responses()[0]["body"] == b"hello" else c.outcome()


@case("R-11-14", "Cancel of an incomplete request", "error 2 retry 0")
def _(c):
    c.send(request(c.my(1), bytes(4096), 9000), cancel(c.my(1)), cancel(c.my(1)))
    c.pump(2, lambda c: c.errors())
    e = c.errors()[0]
    return f"error {e['code']} retry {e['retry']}" if c.alive() == "alive" and len(c.errors()) == 1 else c.outcome()


@case("R-12-3", "Cancel frees the slot: 300 requests opened and cancelled, each answer awaited", "alive")
def _(c):
    for n in range(1, 301):
        c.send(request(c.my(n), bytes(4096), 9000), cancel(c.my(n)))
        if not c.pump(2, lambda c: len(c.errors()) >= n):
            return "no answer"
    return c.alive()


@case("R-12-3", "early answered (DEADLINE) requests still hold their slot", f"close {C['TOO_MANY_REQUESTS']}")
def _(c):
    c.send(b"".join(request(c.my(n), bytes(4096), 5000, deadline=1) for n in range(1, 257)))
    c.pump(3, lambda c: len(c.errors()) >= 256)
    if len(c.errors()) != 256 or any(e["code"] != 3 for e in c.errors()):
        return "no 256 errors"
    c.send(request(c.my(400)))
    return c.outcome()


@case("R-11-9", "the rest of a request that was answered early is discarded, and its overrun is found",
    f"close {C['BODY_OVERRUN']}")
def _(c):
    c.send(request(c.my(1), bytes(4096), 12000, deadline=1))
    c.pump(2, lambda c: c.errors())
    c.send(chunk(c.my(1), bytes(4096)))
    if c.alive() != "alive":
        return "not alive"
    c.send(chunk(c.my(1), bytes(4096)))
    return c.outcome()


@case("R-12-7", "answer longer than reply_max", "error 7 retry 0")
def _(c):
    c.send(request(c.my(1), b"abc", reply_max=2))
    c.pump(2, lambda c: c.errors())
    e = c.errors()[0]
    return f"error {e['code']} retry {e['retry']}"


@case("R-10-4", "parts of 4096 are legal, the answer is the body", "answered")
def _(c):
    body = bytes(range(256)) * 40
    c.send(request(c.my(1), body[:4096], 10240), chunk(c.my(1), body[4096:8192]), ping(5), chunk(c.my(1), body[8192:]))
    c.pump(2, lambda c: c.responses())
    return "answered" if c.responses() and c.responses()[0]["body"] == body else c.outcome()


@case("R-12-6", "Response longer than reply_max", f"close {C['REPLY_TOO_LONG']}")
def _(c):
    r = min(c.wait_requests(), key=lambda r: r["reply_max"])
    c.send(response(r["id"], bytes(r["reply_max"] + 1)))
    return c.outcome()


@case("R-11-4", "second Response while the first is incomplete", f"close {C['ID_NOT_OPEN']}")
def _(c):
    r = c.reach(16384)
    c.send(response(r["id"], bytes(4096), 16384), response(r["id"], bytes(16384)))
    return c.outcome()


@case("R-11-4", "second Response, first complete", f"close {C['ID_NOT_OPEN']}")
def _(c):
    r = c.reach(16384)
    c.send(response(r["id"], bytes(16384)), response(r["id"], bytes(16384)))
    return c.outcome()


@case("R-11-4", "second Response while incomplete, with a bad part: CHUNK_TOO_SMALL first",
    f"close {C['CHUNK_TOO_SMALL']}")
def _(c):
    r = c.reach(16384)
    c.send(response(r["id"], bytes(4096), 16384), response(r["id"], bytes(1), 16384))
    return c.outcome()


@case("R-11-5", "Error for an incomplete Response is the answer", "alive")
def _(c):
    r = c.reach(16384)
    c.send(response(r["id"], bytes(4096), 16384), error(r["id"], 1))
    return c.alive()


@case("R-11-5", "... and a PacketChunk after it", f"close {C['ID_NOT_OPEN']}")
def _(c):
    r = c.reach(16384)
    c.send(response(r["id"], bytes(4096), 16384), error(r["id"], 1), chunk(r["id"], bytes(12288)))
    return c.outcome()


@case("R-10-6", "PacketChunk for an open request without Response", f"close {C['ID_NOT_OPEN']}")
def _(c):
    r = c.wait_requests()[0]
    c.send(chunk(r["id"], bytes(4096)))
    return c.outcome()


@case("R-20-1", "retry 3", f"close {C['MALFORMED']}")
def _(c):
    c.send(error(c.wait_requests()[0]["id"], retry=3))
    return c.outcome()


@case("R-20-2", "retry_after_ms with retry 2", f"close {C['MALFORMED']}")
def _(c):
    c.send(error(c.wait_requests()[0]["id"], retry=2, after=1))
    return c.outcome()


@case("R-20-3", "unknown error code 200", "alive")
def _(c):
    c.send(error(c.wait_requests()[0]["id"], code=200, retry=1, after=5, message="x\u00e4".encode()))
    return c.alive()


@case("R-11-7", "early answer to a request whose body is incomplete: Cancel", "cancel")
def _(c):
    r = c.reach(5 << 20)
    c.send(error(r["id"], 1))
    c.pump(2, lambda c: c.kinds(0x14))
    return "cancel" if c.kinds(0x14) == [v(r["id"])] and c.alive() == "alive" else c.outcome(0.2)


@case("R-11-8", "early answer without cancellation: the rest of the body is sent", "all sent", features=0)
def _(c):
    r = c.reach(5 << 20)
    c.auto_ack = True
    c.send(error(r["id"], 1))
    want = sum((0, 1, 100, 16384, 16385, 1 << 20, 5 << 20))
    c.pump(4, lambda c: c.body_in >= want)
    return "all sent" if c.body_in == want and not c.kinds(0x14) else f"{c.body_in} of {want}"


@case("R-12-5", "wrong Response of an open request with raw_len above max_body", f"close {C['BODY_TOO_LARGE']}")
def _(c):
    c.send(response(c.wait_requests()[0]["id"], raw=16 * MIB + 1))
    return c.outcome()


@case("R-13-6", "an Ack of 65,535 more than the one before", f"close {C['ACK_NO_PROGRESS']}")
def _(c):
    c.reach(1 << 20)
    c.pump(2, lambda c: c.body_in - c.acked >= 131072)
    n = c.acked + 65536
    c.send(ack(n))
    if c.alive() != "alive":
        return "not alive"
    c.send(ack(n + 65535))
    return c.outcome()


@case("R-13-2", "65,535 bytes: no Ack; one more: Ack of 65,536, also while the body is incomplete", "ack 65536")
def _(c):
    c.send(request(c.my(1), bytes(65535), 100000))
    c.pump(0.5)
    if c.kinds(0x15):
        return "ack too early"
    c.send(struct.pack("<IB", 1 + 1 + 34465, 0x12) + v(c.my(1)) + bytes(1023))
    c.pump(2, lambda c: c.kinds(0x15))
    if not c.kinds(0x15):
        return "no ack"
    n = uvar(c.kinds(0x15)[0], 0)[0]
    return "ack 65536" if 65536 <= n <= 65535 + 1023 else f"ack {n}"


@case("R-15-4", "Pings: each answered or replaced, the last one answered", "last answered")
def _(c):
    c.send(b"".join(ping(n) for n in range(1, 2001)))
    c.pump(2, lambda c: v(2000) in c.kinds(0x21))
    return "last answered" if v(2000) in c.kinds(0x21) else c.outcome()


@case("R-16-14", "last_id names the highest request of ours", "last_id ok")
def _(c):
    c.send(request(c.my(7)), bytes(4))
    right = c.outcome() == f"close {C['FRAME_EMPTY']}" and c.last_id == c.my(7)
    return "last_id ok" if right else f"last_id {c.last_id}"


@case("R-22-2", "last_id does not count a Request that failed a check", "last_id ok")
def _(c):
    c.send(request(c.my(7)), request(c.my(8), raw=5))
    right = c.outcome() == f"close {C['BAD_RAW_LENGTH']}" and c.last_id == c.my(7)
    return "last_id ok" if right else f"last_id {c.last_id}"


@case("R-16-15", "Close: nothing more comes", "drop")
def _(c):
    c.pump(0.3)
    before = len(c.frames)
    c.auto_ack = False
    c.send(close(0, 0), request(c.my(1)), b"\0\0\0\0")
    return c.outcome() + ("" if len(c.frames) == before else " and frames after Close")


@case("R-16-18", "Close with an unknown code", "drop")
def _(c):
    c.send(close(999))
    return c.outcome()


@case("R-2-8", "end of the stream", "drop")
def _(c):
    c.send(ping(3))
    c.fin()
    return c.outcome()


@case("R-2-10", "end of the stream within a frame", "drop")
def _(c):
    c.send(request(c.my(1), bytes(100))[:50])
    c.fin()
    return c.outcome()


@case("R-2-11", "after Close echo waits at most 1 s for us and does not reset", "close 12, gone within 1.5 s")
def _(c):
    c.send(bytes(4))
    out = c.outcome(2)
    began = c.end[1]
    gone = None
    while time.monotonic() < began + 3:
        try:
            c.s.send(bytes(1000))
        except OSError:
            gone = time.monotonic() - began
            break
        time.sleep(0.05)
    return f"{out}, gone within 1.5 s" if gone and 0.5 < gone < 1.5 else f"{out}, gone after {gone}"


@case("R-16-11", "GoAway: calls that are open go on", "alive")
def _(c):
    r = c.wait_requests()[0]
    c.send(request(c.my(1), bytes(4096), 5000), goaway(60000), chunk(c.my(1), bytes(904)), error(r["id"]))
    c.pump(2, lambda c: c.responses())
    return c.alive() if c.responses() else "no response"


@case("R-13-5", "Ack of one byte more than was sent", f"close {C['ACK_AHEAD']}")
def _(c):
    c.reach(1 << 20)
    c.pump(1.0)
    c.send(ack(c.body_in + 1))
    return c.outcome()


@case("R-13-7", "echo goes on sending while fewer than 65,536 bytes are unacknowledged (5 MiB, least Acks)", "all sent")
def _(c):
    r = c.reach(5 << 20)
    c.auto_ack = True
    want = sum((0, 1, 100, 16384, 16385, 1 << 20, 5 << 20))
    c.pump(8, lambda c: c.body_in >= want)
    return "all sent" if c.body_in == want else f"{c.body_in} of {want}"


simple("4.1", "length 2^32-1 and the end of the stream at once: the length check comes first", "FRAME_TOO_LARGE",
    lambda c: (c.send(b"\xff" * 4), c.fin(), b"")[2])
simple("R-4-7", "the 101st unknown frame counts with its kind byte", "TOO_MANY_UNKNOWN",
    lambda c: raw(0xCA) * 100 + struct.pack("<IB", 1000, 0xDA))
simple("R-4-2", "unknown kind, longer than max_frame", "FRAME_TOO_LARGE", lambda c: struct.pack("<IB", 262145, 0xFF))
simple("22.2", "reply_max above our own max_body is not the responder's business", None,
    lambda c: request(c.my(1), b"x", reply_max=17 * MIB))


simple("R-16-9", "GoAway and five bytes of a Request: judged at the kind (7.3) or at the header (22.2)? Here: header",
    None,
       lambda c: goaway(60000) + struct.pack("<IB", 100, 0x10))
OPEN[-1] = OPEN[-1][:3] + (lambda c: (c.send(goaway(60000) + struct.pack("<IB", 100, 0x10)), c.outcome(1.0))[1], 1)


@case("R-9-3", "the last possible id is legal, an id behind it not", f"answered, close {C['ID_ORDER']}")
def _(c):
    last = 2 ** 64 - (1 if c.role == "worker" else 2)
    c.send(request(last, b"abc"))
    c.pump(2, lambda c: c.responses())
    got = "answered, " if c.responses() and c.responses()[0]["id"] == last else "no answer, "
    c.send(request(c.my(3)))
    return got + c.outcome()


@case("R-9-5", "second Error for a request that was answered early and whose body goes on", f"close {C['ID_NOT_OPEN']}",
    features=0)
def _(c):
    r = c.reach(5 << 20)
    c.send(error(r["id"], 1), error(r["id"], 1))
    return c.outcome()


simple("12", "budget exactly full: a request of 16,384 and reply_max 16,384 costs nothing", None,
       lambda c: b"".join(request(c.my(n), bytes(4096), 16 * MIB, reply_max=16 * MIB) for n in (1,
           2)) + request(c.my(3), bytes(16384)))
simple("12", "budget exactly full: reply_max 16,385 is too much", "WORK_BUDGET",
       lambda c: b"".join(request(c.my(n), bytes(4096), 16 * MIB, reply_max=16 * MIB) for n in (1,
           2)) + request(c.my(3), b"", reply_max=16385))


@case("R-10-9", "declared bodies of 16 MiB x 2 with 4,096 bytes each do not cost memory", "less than 2 MiB more")
def _(c):
    pid = c.process.pid if c.process else ROUTER_PID[0]
    rss = lambda: int(open(f"/proc/{pid}/statm").read().split()[1]) * 4096
    c.alive()
    before = rss()
    c.send(b"".join(request(c.my(n), bytes(4096), 16 * MIB, reply_max=16 * MIB) for n in (1, 2)))
    c.alive(78)
    more = rss() - before
    return "less than 2 MiB more" if more < 2 * MIB else f"{more} more"


@case("R-13-1", "bytes of a discarded body are acknowledged", "acknowledged")
def _(c):
    c.send(request(c.my(1), bytes(4096), 300000, deadline=1))
    c.pump(2, lambda c: c.errors())
    c.send(chunk(c.my(1), bytes(100000)))
    c.pump(2, lambda c: c.kinds(0x15))
    return "acknowledged" if c.kinds(0x15) else "not"


@case("R-16-3", "after our GoAway echo starts no new request", "alive, none")
def _(c):
    r = c.reach(100)
    n = len(c.its_requests())
    c.send(goaway(60000), ping(4))
    c.pump(1, lambda c: v(4) in c.kinds(0x21))
    c.send(error(r["id"], 1), ping(5))
    c.pump(1)
    return c.alive() + (", none" if len(c.its_requests()) == n else ", new requests")


@case("R-10-1", "Response with body_len above our... receiver's max_body", f"close {C['BODY_TOO_LARGE']}")
def _(c):
    c.send(response(c.reach(16384)["id"], bytes(4096), body_len=16 * MIB + 1))
    return c.outcome()


@case("R-19-2", "Response with raw_len 5 without codec", f"close {C['BAD_RAW_LENGTH']}")
def _(c):
    c.send(response(c.reach(16384)["id"], b"", raw=5))
    return c.outcome()


def floors(c):
    """Our max_frame is 16,384: no frame of echo's may be longer, and no part too small."""
    c.reach(1 << 20)
    c.auto_ack = True
    want = sum((0, 1, 100, 16384, 16385, 1 << 20))
    c.pump(8, lambda c: c.body_in >= want)
    longest = max(1 + len(d) for _, d, _ in c.frames)
    parts = [len(d) - uvar(d, 0)[1] for d in c.kinds(0x12)]
    small = [n for n in parts if n < 4096]
    ends = sum(r["body_len"] > len(r["body"]) for r in c.its_requests())
    kept = longest <= 16384 and c.body_in == want and len(small) <= ends
    return "kept" if kept else f"longest {longest}, small {small}, {c.body_in}"


def smallest(c):
    """Limits (16384, 16384, 32768, 1): calls of more than 16,384 bytes fail at echo, unsent (R-12-4)."""
    n = 0
    while c.pump(1.0, lambda c: len(c.its_requests()) > n) and c.end is None and n < 7:
        r = c.its_requests()[n]
        n += 1
        want = sum(x["body_len"] for x in c.its_requests())
        c.pump(2, lambda c: c.body_in >= want)
        c.send(response(r["id"],
            (bytes(range(251)) * 66)[:r["body_len"]])) if r["body_len"] < 16384 else c.send(error(r["id"]))
    return f"{[r['body_len'] for r in c.its_requests()]}, {c.alive()}"


def exact(c):
    """Limits (16384, 1 MiB, 2 MiB, 1): the 1 MiB call costs exactly the budget and is sent, the 5 MiB call not."""
    c.reach(1 << 20)
    c.auto_ack = True
    want = sum((0, 1, 100, 16384, 16385, 1 << 20))
    c.pump(4, lambda c: c.body_in >= want)
    c.send(error(c.its_requests()[-1]["id"]))
    c.pump(1)
    return f"{len(c.its_requests())} requests, {c.alive()}"


def half_written(role):
    """A violation of ours while echo is in the middle of a large frame, over a unix socket."""
    def run(_):
        closed = 0
        if role == "worker":
            path = TMP + f"u{os.getpid()}.sock"
            p = subprocess.Popen([*TARGET, "router", "unix:" + path], stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            while not os.path.exists(path):
                time.sleep(0.05)
            time.sleep(0.2)
        for _ in range(20):
            if role == "worker":
                s = socket.socket(socket.AF_UNIX)
                s.connect(path)
                c = Raw(s, "worker")
                c.send(PREFACE, hello())
                c.pump(3, lambda c: c.kinds(2))
            else:
                c = opened("router")
            c.reach(5 << 20)
            c.send(bytes(4))
            closed += c.outcome() == f"close {C['FRAME_EMPTY']}"
            c.done()
        if role == "worker":
            p.terminate()
            p.wait()
        return f"{closed} of 20 with Close"
    return run


FLOORS = ("R-4-2", "our max_frame and max_body at the floor-ish: echo keeps to frames of 16,384 and parts of 4,096",
    "kept", floors)


@case("R-11-16", "Cancel of a Response that is under way: Error CANCELLED, no part after it", "error 2, then alive")
def _(c):
    body = bytes(3 << 20)
    c.send(request(c.my(1), body[:250000], len(body), reply_max=4 << 20),
           *[chunk(c.my(1), body[i:i + 250000]) for i in range(250000, len(body), 250000)])
    c.pump(3, lambda c: c.responses())              # we acknowledge nothing, so it stops at its window
    c.pump(0.5)
    c.send(cancel(c.my(1)))
    c.pump(2, lambda c: c.errors())
    got = [x for x in c.frames if x[0] in (0x11, 0x12, 0x13)]
    if not c.errors() or c.errors()[0]["code"] != 2 or got[-1][0] != 0x13:
        return "no error"
    return "error 2, then " + c.alive()


@case("R-11-17", "Cancel after the complete answer", "alive, one answer")
def _(c):
    c.send(request(c.my(1), b"abc"))
    c.pump(2, lambda c: c.responses())
    c.send(cancel(c.my(1)), cancel(c.my(1)))
    return c.alive() + (", one answer" if len(c.responses()) == 1 and not c.errors() else "")


@case("R-14-2", "we write 8 MiB of requests before we read anything", "answered")
def _(c):
    body = bytes(8 << 20)
    c.send(request(c.my(1), body[:200000], len(body), reply_max=8 << 20),
           *[chunk(c.my(1), body[i:i + 200000]) for i in range(200000, len(body), 200000)])
    c.auto_ack = True
    c.pump(5, lambda c: c.responses())
    return "answered" if c.responses() and c.responses()[0]["body_len"] == len(body) else "no"


# ---------------------------------------------------------------- handshake cases

ROUTER, WORKER = [], []


def to_router(rule, what, expected, *parts, fin=False, seconds=2.0):
    def run(c):
        c.send(*parts)
        if fin:
            c.fin()
        out = c.outcome(seconds)
        if out == "drop" and c.total and expected == "drop, 0 bytes":
            return f"drop after {c.total} bytes"
        if out.startswith("drop") and expected == "drop, 0 bytes":
            return "drop, 0 bytes"
        if out == "alive" and c.kinds(2):
            w = c.kinds(2)[0]
            return f"welcome {w[0]}.{w[1]}" if expected.startswith("welcome") else "alive"
        return out
    ROUTER.append((rule, what, expected, run))


def rej(name, after=0):
    return f"reject {C[name]} after {after}"


P = PREFACE
to_router("R-3-3", "HTTP", "drop, 0 bytes", b"GET / HTTP/1.1\r\n\r\n")
to_router("R-3-3", "another major", "drop, 0 bytes", b"NOVA4\r\n\0" + hello())
to_router("R-3-3", "translated line end", "drop, 0 bytes", b"NOVA3\n\0\0" + hello())
to_router("R-3-3", "a right but short preface and the end", "drop, 0 bytes", P[:5], fin=True)
to_router("R-3-3", "wrong from the first byte, three bytes only, and the end", "drop, 0 bytes", b"GET", fin=True)
to_router("R-8-21", "Hello: length 0", rej("FRAME_EMPTY"), P, bytes(4))
to_router("R-4-2", "Hello: length 16,385", rej("FRAME_TOO_LARGE"), P, struct.pack("<I", 16385))
to_router("R-4-6", "grease before Hello", rej("UNKNOWN_KIND"), P, raw(0xCA), hello())
to_router("R-4-8", "Ping before Hello", rej("UNEXPECTED_FRAME"), P, ping(1))
to_router("R-4-8", "Close before Hello", rej("UNEXPECTED_FRAME"), P, close())
to_router("R-4-8", "Ping of length 9,000 before Hello: place before length", rej("UNEXPECTED_FRAME"), P,
    struct.pack("<IB", 9000, 0x20))
to_router("R-4-10", "Hello with a byte behind", rej("MALFORMED"), P, frame(1, hello()[5:] + b"\0"))
to_router("R-5-6", "Hello: version list length in two bytes", rej("NOT_CANONICAL"), P,
    frame(1, b"\x81\0" + hello()[6:]))
to_router("R-5-5", "Hello: nine versions", rej("MALFORMED"), P, hello(versions=[(n, 0) for n in range(1, 10)]))
to_router("R-5-5", "Hello: app of 4,097 bytes", rej("MALFORMED"), P, hello(app=bytes(4097)))
to_router("R-8-4", "no versions", rej("BAD_OFFER"), P, hello(versions=()))
to_router("R-8-5", "a major twice", rej("BAD_OFFER"), P, hello(versions=((3, 0), (3, 1))))
to_router("R-8-6", "a compression twice", rej("BAD_OFFER"), P, hello(compression=b"\2\x09\x09"))
to_router("R-8-7", "compression 0", rej("BAD_OFFER"), P, hello(compression=b"\1\0"))
to_router("R-8-8", "unknown features and compressions", "welcome 3.0", P,
    hello(features=0xFFFFFFFF, compression=b"\2\x08\x09"))
to_router("R-8-9", "versions 2.5, 3.7, 4.0", "welcome 3.0", P, hello(versions=((2, 5), (3, 7), (4, 0))))
to_router("R-8-10", "no common major", rej("UNSUPPORTED_VERSION"), P, hello(versions=((4, 0), (2, 0))))
to_router("R-8-16", "max_frame 16,383", rej("BAD_LIMITS"), P, hello(lim=limits(16383)))
to_router("R-8-17", "max_body below max_frame", rej("BAD_LIMITS"), P, hello(lim=limits(262144, 262143)))
to_router("R-8-18", "work_budget below twice max_body", rej("BAD_LIMITS"), P, hello(lim=limits(budget=32 * MIB - 1)))
to_router("R-8-19", "max_concurrent 0", rej("BAD_LIMITS"), P, hello(lim=limits(most=0)))
to_router("8.3", "floors and ceilings", "welcome 3.0", P,
    hello(lim=limits(2 ** 32 - 1, 2 ** 32 - 1, 2 ** 64 - 1, 2 ** 32 - 1)))
to_router("22.2", "BAD_LIMITS before UNSUPPORTED_VERSION", rej("BAD_LIMITS"), P,
    hello(versions=((4, 0),), lim=limits(most=0)))
to_router("22.2", "BAD_EXTENSIONS before BAD_OFFER", rej("BAD_EXTENSIONS"), P,
    hello(versions=(), ext=encode_ext([(5, b""), (5, b"")])))
to_router("R-8-1", "Ping behind Hello in one packet", "pong", P + hello() + ping(9))
ROUTER[-1] = ROUTER[-1][:3] + (lambda c: (c.send(P + hello() + ping(9)), c.pump(2, lambda c: v(9) in c.kinds(0x21)),
                                         "pong" if v(9) in c.kinds(0x21) and c.frames[0][0] == 2 else "none")[2],)
to_router("R-18-7", "grease behind Hello, before Welcome: R-8-1 reads it when open", "welcome 3.0", P,
    hello() + raw(0xCA, b"x"))
to_router("R-8-3", "Hello and the end of the stream", "welcome, then drop", P, hello(), fin=True)
ROUTER[-1] = ROUTER[-1][:3] + (lambda c: (c.send(P, hello()), c.fin(), c.pump(2),
                                         ("welcome, then " if c.kinds(2) else "nothing, then ") + c.outcome())[3],)
to_router("R-8-1", "a violation behind Hello is found after Welcome", f"welcome, then close {C['FRAME_EMPTY']}", P)
ROUTER[-1] = ROUTER[-1][:3] + (lambda c: (c.send(P, hello(), bytes(4)), c.pump(2),
                                         ("welcome, then " if c.kinds(2) else "nothing, then ") + c.outcome())[2],)


def timed(rule, what, expected, parts, seconds, low, high, target):
    def run(c):
        c.send(*parts)
        out = c.outcome(seconds)
        at = c.end[1] - c.start if c.end else 0
        return f"{out} in time" if low <= at <= high else f"{out} at {at:.2f} s"
    target.append((rule, what, expected + " in time", run))


to_router("R-2-8", "preface, half a Hello, and the end of the stream", "drop, 0 bytes", P, hello()[:10], fin=True)
timed("R-3-3", "GET and nothing more: judged when eight are there, or dropped at 5 s", "drop", [b"GET"], 8, 4.8, 5.7,
    ROUTER)
timed("R-8-25", "silent worker, 5 s", "drop", [], 8, 4.8, 5.7, ROUTER)
timed("R-8-25", "seven bytes of preface, 5 s", "drop", [P[:7]], 8, 4.8, 5.7, ROUTER)
timed("R-8-26", "preface only, 5 s", rej("HANDSHAKE_TIMEOUT", 1000), [P], 8, 4.8, 5.7, ROUTER)
timed("R-8-26", "half a Hello, 5 s", rej("HANDSHAKE_TIMEOUT", 1000), [P, hello()[:20]], 8, 4.8, 5.7, ROUTER)


def trickle(c):
    c.send(P)
    for b in hello(app=bytes(200)):
        c.send(bytes([b]))
        if c.pump(0.1, lambda c: c.kinds(3)) or c.end:
            break
    out = c.outcome(2)
    at = [t for k, _, t in c.frames if k == 3]
    return f"{out} in time" if at and 4.8 < at[0] - c.start < 5.6 else out + f" {at}"


ROUTER.append(("R-8-26", "a Hello that trickles: the timer is not restarted",
    rej("HANDSHAKE_TIMEOUT", 1000) + " in time", trickle))


def to_worker(rule, what, expected, *parts, fin=False):
    def run(c):
        c.pump(3, lambda c: c.kinds(1))
        assert c.kinds(1)
        c.send(*parts)
        if fin:
            c.fin()
        out = c.outcome()
        return "drop" if out == "drop (reset)" else out
    WORKER.append((rule, what, expected, run))


def cl(name):
    return f"close {C[name]}"


to_worker("R-3-4", "wrong preface", "drop", b"HTTP/1.1 400 Bad Request\r\n\r\n")
to_worker("R-3-3", "end before the preface", "drop", P[:4], fin=True)
to_worker("R-4-2", "Welcome: length 1,025", cl("FRAME_TOO_LARGE"), P, struct.pack("<I", 1025))
to_worker("R-4-1", "length 0", cl("FRAME_EMPTY"), P, bytes(4))
to_worker("R-4-6", "grease before Welcome", cl("UNKNOWN_KIND"), P, raw(0xCA), welcome())
to_worker("R-4-8", "Ping before Welcome", cl("UNEXPECTED_FRAME"), P, ping(1))
to_worker("R-4-8", "Close instead of Welcome", cl("UNEXPECTED_FRAME"), P, close())
to_worker("R-4-8", "Hello from the router", cl("UNEXPECTED_FRAME"), P, hello())
to_worker("R-8-12", "version 4.0", cl("BAD_WELCOME"), P, welcome(version=(4, 0)))
to_worker("R-8-12", "version 3.1", cl("BAD_WELCOME"), P, welcome(version=(3, 1)))
to_worker("R-8-13", "features 3", cl("BAD_WELCOME"), P, welcome(features=3))
to_worker("R-8-14", "compression 9", cl("BAD_WELCOME"), P, welcome(compression=b"\1\x09"))
to_worker("R-8-15", "compression twice", cl("BAD_WELCOME"), P, welcome(compression=b"\2\1\1"))
to_worker("R-8-20", "max_frame 16,383", cl("BAD_LIMITS"), P, welcome(lim=limits(16383)))
to_worker("R-8-20", "max_concurrent 0", cl("BAD_LIMITS"), P, welcome(lim=limits(most=0)))
to_worker("22.2", "BAD_WELCOME before BAD_LIMITS", cl("BAD_WELCOME"), P, welcome(features=3, lim=limits(most=0)))
to_worker("R-5-5", "Welcome: app of 513 bytes", cl("MALFORMED"), P, welcome(app=bytes(513)))
to_worker("R-4-10", "Reject with a byte behind", cl("MALFORMED"), P, frame(3, reject()[5:] + b"\0"))
to_worker("R-18-2", "Reject with a tag twice", cl("BAD_EXTENSIONS"), P, reject(ext=encode_ext([(5, b""), (5, b"")])))
to_worker("R-8-23", "Reject", "drop", P, reject())
to_worker("R-8-31", "Reject with an unknown code", "drop", P, reject(code=4711, after=5000))
to_worker("R-2-8", "end of the stream instead of Welcome", "drop", P, fin=True)
timed("R-8-27", "silent router, 10 s", "drop", [], 13, 9.7, 10.8, WORKER)
timed("R-8-27", "preface and half a Welcome, 10 s", "drop", [P, welcome()[:9]], 13, 9.7, 10.8, WORKER)

# ---------------------------------------------------------------- slow timers in OPEN

SLOW = []


def slow(rule, what, expected):
    return lambda f: SLOW.append((rule, what, expected, f))


@slow("R-15-1, R-15-6", "acknowledge, then silence: Ping at 10 s, Close 70 at 20 s", "ping 10, close 70 at 20")
def _(c):
    c.pump(0.5)
    c.send(ping(9))
    quiet = time.monotonic()
    c.auto_ack = False
    c.pump(12, lambda c: c.kinds(0x20) or c.kinds(0x23))
    at = time.monotonic() - quiet
    out = c.outcome(13)
    end = [t for k, _, t in c.frames if k == 0x23]
    return f"ping {at:.0f}, {out} at {end[0] - quiet:.0f}" if end else f"ping at {at:.1f}, {out}"


@slow("R-13-8", "no Ack for 10 s, but Pings from us: SLOW_READER", "close 62 at 10")
def _(c):
    c.reach(1 << 20)
    c.start = time.monotonic()
    c.pump(0.5)
    while not c.kinds(0x23) and time.monotonic() - c.start < 14:
        c.send(ping(int(time.monotonic())))
        c.pump(1.0, lambda c: c.kinds(0x23))
    out = c.outcome(1)
    end = [t for k, _, t in c.frames if k == 0x23]
    return f"{out} at {end[0] - c.start:.0f}" if end else out


@slow("R-13-9", "we read nothing for 13 s: drop or SLOW_READER", "closed")
def _(c):
    # ask for answers of 16 MiB that we do not read
    body = bytes(200000)
    c.send(request(c.my(1), body, reply_max=200000), request(c.my(2), body, reply_max=200000))
    time.sleep(13)
    out = c.outcome(3)
    return "closed" if out.startswith(("close 62", "drop")) else out


@slow("R-16-11", "GoAway with 100 ms, calls stay open: DRAIN_DEADLINE after 100 ms and 10 s", "close 2 at 10.1")
def _(c):
    c.auto_ack = True
    c.pump(1.5)
    sent = time.monotonic()
    c.send(goaway(100))
    while not c.kinds(0x23) and time.monotonic() - sent < 14:
        c.send(ping(int(time.monotonic())))
        c.pump(1.0, lambda c: c.kinds(0x23))
    out = c.outcome(1)
    end = [t for k, _, t in c.frames if k == 0x23]
    return f"{out} at 10.1" if end and 10.0 <= end[0] - sent <= 10.6 else f"{out} at {end[0] - sent if end else None}"


@slow("R-15-7", "a byte of a skipped frame every 4 s restarts the timer: no Ping in 18 s", "no ping, alive")
def _(c):
    c.pump(0.5)
    c.send(raw(0xFA, bytes(1000))[:100])
    for _ in range(5):
        c.pump(4, lambda c: c.kinds(0x20))
        c.send(b"\0")
    pings = len(c.kinds(0x20))
    c.send(bytes(1004 - 100 - 5 + 1))
    return f"{'no' if not pings else pings} ping, " + c.alive()


@slow("R-15-5", "Pong with another nonce than that of the Ping", "close 71")
def _(c):
    c.pump(12, lambda c: c.kinds(0x20))
    c.send(raw(0x21, v(uvar(c.kinds(0x20)[0], 0)[0] ^ 1)))
    return c.outcome()


@slow("R-15-5", "the right Pong twice", "close 71")
def _(c):
    c.pump(12, lambda c: c.kinds(0x20))
    c.send(raw(0x21, c.kinds(0x20)[0]))
    if c.alive() != "alive":
        return "not alive"
    c.send(raw(0x21, c.kinds(0x20)[0]))
    return c.outcome()


@slow("R-15-2", "Ping unanswered, but other bytes every 5 s: no second Ping, no end in 30 s", "1 ping, alive")
def _(c):
    c.pump(12, lambda c: c.kinds(0x20))
    for _ in range(4):
        c.pump(5)
        c.send(raw(0xFA))
    return f"{len(c.kinds(0x20))} ping, " + c.alive()


@slow("R-2-12", "violation while we do not read and its output is stuck (unix: small buffers): released after 1 s",
    "released")
def _(c):
    if c.role == "worker":
        return "released"                      # TCP buffers take it all; only tried over unix
    body = bytes(200000)
    for n in range(1, 5):
        c.send(request(c.my(n), body, reply_max=200000))
    time.sleep(1.0)
    c.send(bytes(4))
    began = time.monotonic()
    while time.monotonic() - began < 5:
        try:
            c.s.send(b"x")
        except OSError:
            at = time.monotonic() - began
            return "released" if 0.5 < at < 2.3 else f"after {at:.2f} s"
        time.sleep(0.05)
    return "not released"


@slow("R-17-5", "echo's call has deadline_ms 59,999: Cancel after it, then the next call",
    "cancel at 60, then the next")
def _(c):
    first = c.wait_requests(1)[0]
    began = time.monotonic()
    while time.monotonic() - began < 64 and not c.kinds(0x14):
        c.send(ping(int(time.monotonic())))
        c.pump(4, lambda c: c.kinds(0x14) or c.end)
    at = time.monotonic() - began
    c.send(error(first["id"], 2))
    c.pump(1, lambda c: len(c.its_requests()) > 1)
    if c.kinds(0x14) != [v(first["id"])] or c.alive() != "alive":
        return c.outcome(0.1)
    return f"cancel at {at:.0f}, then " + ("the next" if len(c.its_requests()) > 1 else "nothing")


# ---------------------------------------------------------------- run

def main():
    want = sys.argv[1] if len(sys.argv) > 1 else ""
    os.makedirs(TMP, exist_ok=True)
    router = start_router()
    ROUTER_PID.append(router.pid)
    results = []

    def run(target, rule, what, expected, make, f):
        c = None
        try:
            c = make()
            got = f(c)
        except Exception as problem:
            got = f"exception {problem!r}"
        finally:
            if c:
                c.done()
        results.append((expected == got, target, rule, what, expected, got))
        print(f"{'ok  ' if expected == got else 'DIFF'} echo {target:6} {rule:8} {what}: "
              + (got if expected == got else f"expected {expected}, got {got}"), flush=True)

    jobs = []
    for rule, what, expected, f in ROUTER:
        jobs.append(("router", rule, what, expected, as_worker, f))
    for rule, what, expected, f in WORKER:
        jobs.append(("worker", rule, what, expected, as_router, f))
    for rule, what, expected, f, features in OPEN:
        jobs.append(("router", rule, what, expected, lambda features=features: opened("worker", features), f))
        jobs.append(("worker", rule, what, expected, lambda features=features: opened("router", features), f))
    low = limits(16384, 2 * MIB, 4 * MIB, 4)
    jobs.append(("router", *FLOORS[:3], lambda: opened("worker", lim=low), floors))
    jobs.append(("worker", *FLOORS[:3], lambda: opened("router", lim=low), floors))
    for lim, what, expected, f in ((limits(16384, 16384, 32768, 1), "smallest limits", "[0, 1, 100, 16384], alive",
        smallest),
                                   (limits(16384, MIB, 2 * MIB, 1), "a call that costs exactly the budget",
                                       "6 requests, alive", exact)):
        jobs.append(("router", "R-12-4", what, expected, lambda lim=lim: opened("worker", lim=lim), f))
        jobs.append(("worker", "R-12-4", what, expected, lambda lim=lim: opened("router", lim=lim), f))
    for target, role in (("router", "worker"), ("worker", "router")):
        jobs.append((target, "R-16-12", "violation while echo is in the middle of a large frame, unix, 20 times",
                     "20 of 20 with Close", lambda: None, half_written(role)))
    for rule, what, expected, f in SLOW:
        jobs.append(("router", rule, what, expected, lambda: opened("worker"), f))
        jobs.append(("worker", rule, what, expected, lambda: opened("router"), f))
    jobs = [j for j in jobs if want in f"{j[0]} {j[1]} {j[2]}"]
    slow_jobs = [j for j in jobs if "in time" in j[3] or any(j[2] == s[1] for s in SLOW)]
    threads = [threading.Thread(target=run, args=j) for j in slow_jobs]
    for t in threads:
        t.start()
    for j in jobs:
        if j not in slow_jobs:
            run(*j)
    for t in threads:
        t.join()
    router.terminate()
    bad = [r for r in results if not r[0]]
    print(f"{len(results)} cases, {len(results) - len(bad)} as specified, {len(bad)} different")
    for r in bad:
        print("  DIFF", *r[1:4], "| expected", r[4], "| got", r[5])


if __name__ == "__main__":
    main()
