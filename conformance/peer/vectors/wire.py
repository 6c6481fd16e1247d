"""Bytes of frames for vectors, with a line for people. Legal by default; every field can be made illegal."""
import struct
from functools import lru_cache

from peer import CODES, PREFACE, blob, encode_ext, varint as v

KIB, MIB = 1024, 1 << 20
HELLO, WELCOME, REJECT, REQUEST, RESPONSE, CHUNK, ERROR, CANCEL, ACK = 1, 2, 3, 16, 17, 18, 19, 20, 21
PING, PONG, GOAWAY, CLOSE = 32, 33, 34, 35
NAMES = {1: "Hello", 2: "Welcome", 3: "Reject", 16: "Request", 17: "Response", 18: "PacketChunk", 19: "Error",
         20: "Cancel", 21: "Ack", 32: "Ping", 33: "Pong", 34: "GoAway", 35: "Close"}


class B:
    """Bytes, some of them from generators, and what they say to people."""

    def __init__(self, *parts, diag=""):
        self.parts, self.diag = [], diag
        for part in parts:
            if isinstance(part, B):
                self.parts += part.parts
                self.diag = "; ".join(filter(None, [self.diag, part.diag])) if part.diag else self.diag
            elif isinstance(part, dict) or len(part):
                self.parts.append(part)

    def __len__(self):
        return sum(len(part) if isinstance(part, bytes) else size_of(part) for part in self.parts)

    def __add__(self, other):
        return B(self, other if isinstance(other, B) else B(other))

    def __mul__(self, count):
        made = B({"repeat": self.plain().hex(), "count": count})
        made.diag = f"{count} times {self.diag}"
        return made

    def plain(self):
        """The bytes themselves, without generators."""
        return b"".join(part if isinstance(part, bytes) else expand(part) for part in self.parts)

    def cut(self, start, end=None):
        """A part of these bytes."""
        end = len(self) if end is None else end if end >= 0 else len(self) + end
        start, kept, at = start if start >= 0 else len(self) + start, [], 0
        for part in self.parts:
            size = len(part) if isinstance(part, bytes) else size_of(part)
            first, last = max(start - at, 0), min(end - at, size)
            if first < last: kept.append(slice_of(part, first, last))
            at += size
        return B(*kept, diag=f"bytes {start} to {end} of: {self.diag}")

    def json(self):
        out = []
        for part in self.parts:
            if isinstance(part, bytes) and out and isinstance(out[-1], bytes): out[-1] += part
            else: out.append(part)
        out = [hex_or_repeat(part) if isinstance(part, bytes) else part for part in out]
        return "" if not out else out[0] if len(out) == 1 else out


def hex_or_repeat(data):
    """Hex, or the generator of bytes that repeat themselves."""
    if len(data) > 100:
        for period in (one for one in range(1, 41) if len(data) % one == 0):
            if data == data[:period] * (len(data) // period): return {"repeat": data[:period].hex(),
                "count": len(data) // period}
    return data.hex()


def size_of(generator):
    if "repeat" in generator: return len(generator["repeat"]) // 2 * generator["count"]
    return generator["count"] if "prng" in generator else 6


def slice_of(part, first, last):
    if isinstance(part, bytes): return part[first:last]
    if "prng" in part: return part | {"from": part.get("from", 0) + first, "count": last - first}
    if len(part["repeat"]) == 2: return part | {"count": last - first}
    return expand(part)[first:last]


@lru_cache(8)
def splitmix(seed, start, count):
    """`count` bytes from `start` of SplitMix64's outputs, little-endian."""
    mask, out = 2 ** 64 - 1, bytearray()
    first = start // 8
    for step in range(first + 1, (start + count + 7) // 8 + 1):
        z = seed + step * 0x9E3779B97F4A7C15 & mask
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        out += struct.pack("<Q", z ^ z >> 31)
    return bytes(out[start - first * 8:start - first * 8 + count])


def expand(value):
    """Bytes of any JSON form of them (without `pong`, which only a runner knows)."""
    if isinstance(value, str): return bytes.fromhex(value)
    if isinstance(value, list): return b"".join(expand(part) for part in value)
    if "repeat" in value: return bytes.fromhex(value["repeat"]) * value["count"]
    return splitmix(int(value["prng"]), value.get("from", 0), value["count"])


def fill(byte, count):
    return B({"repeat": f"{byte:02x}", "count": count})


def prng(count, seed=1, start=0):
    made = {"prng": str(seed), "count": count}
    return B(made | ({"from": start} if start else {}))


def as_b(body):
    return body if isinstance(body, B) else B(body)


# ---------------------------------------------------------------- frames
def frame(kind, header=b"", body=b"", length=None, diag=None):
    body = as_b(body)
    length = 1 + len(header) + len(body) if length is None else length
    name = NAMES.get(kind, f"kind {kind:#04x}")
    made = B(struct.pack("<IB", length, kind) + header, body)
    made.diag = diag or name
    return made


def limits(max_frame=262144, max_body=16 * MIB, work_budget=64 * MIB, max_concurrent=256):
    return v(max_frame) + v(max_body) + v(work_budget) + v(max_concurrent)


def preface():
    return B(PREFACE, diag="preface")


def exts(ext):
    """Extensions as pairs, or raw bytes of the whole list."""
    return ext if isinstance(ext, bytes) else encode_ext(ext)


def hello(versions=((3, 0),), lim=None, features=1, compression=(), app=b"hi", ext=(), tail=b"", raw_versions=None):
    list_ = raw_versions if raw_versions is not None else v(len(versions)) + b"".join(v(a) + v(b) for a, b in versions)
    comp = compression if isinstance(compression, bytes) else v(len(compression)) + bytes(compression)
    app_bytes = app if isinstance(app, B) else blob(app)
    header = B(list_ + (limits() if lim is None else lim) + v(features) + comp, as_b(app_bytes), exts(ext) + tail)
    return frame(HELLO, b"", header, diag=f"Hello {list(versions)} features {features}")


def welcome(version=(3, 0), lim=None, features=1, compression=(), app=b"ok", ext=(), tail=b""):
    comp = compression if isinstance(compression, bytes) else v(len(compression)) + bytes(compression)
    return frame(WELCOME, v(version[0]) + v(version[1]) + (limits() if lim is None else lim) + v(features) + comp
                 + blob(app) + exts(ext) + tail, diag=f"Welcome {version[0]}.{version[1]} features {features}")


def reject(code=26, after=0, message=b"no", ext=(), tail=b""):
    return frame(REJECT, v(code) + v(after) + blob(message) + exts(ext) + tail,
        diag=f"Reject code {code} after {after} ms")


def request(id, body=b"", body_len=None, codec=0, raw=0, reply_max=16384, deadline=0, ext=(), method=0x0300,
    length=None):
    body = as_b(body)
    body_len = len(body) if body_len is None else body_len
    said = f"Request {id}: {len(body)} of {body_len} bytes, reply_max {reply_max}"
    if codec: said += f", codec {codec}, raw {raw}"
    if deadline: said += f", deadline {deadline} ms"
    return frame(REQUEST, v(id) + v(method) + v(body_len) + bytes([codec]) + v(raw) + v(reply_max) + v(deadline)
                 + exts(ext), body, length, diag=said)


def response(id, body=b"", body_len=None, codec=0, raw=0, ext=(), length=None):
    body = as_b(body)
    body_len = len(body) if body_len is None else body_len
    return frame(RESPONSE, v(id) + v(body_len) + bytes([codec]) + v(raw) + exts(ext), body, length,
        diag=f"Response {id}: {len(body)} of {body_len} bytes" + (f", codec {codec}, raw {raw}" if codec else ""))


def chunk(id, body=b"", length=None):
    body = as_b(body)
    return frame(CHUNK, v(id), body, length, diag=f"PacketChunk {id}: {len(body)} bytes")


def error(id, code=1, retry=0, after=0, message=b"", ext=(), tail=b""):
    return frame(ERROR, v(id) + v(code) + bytes([retry]) + v(after) + blob(message) + exts(ext) + tail,
                 diag=f"Error {id}: code {code} retry {retry} after {after}")


def cancel(id, tail=b""):
    return frame(CANCEL, v(id) + tail, diag=f"Cancel {id}")


def ack(received, tail=b""):
    return frame(ACK, v(received) + tail, diag=f"Ack {received}")


def ping(nonce, tail=b""):
    return frame(PING, v(nonce) + tail, diag=f"Ping {nonce}")


def pong(nonce, tail=b""):
    return frame(PONG, v(nonce) + tail, diag=f"Pong {nonce}")


def pong_for_last(add=0):
    return B({"pong": add}, diag="Pong for the last Ping" + (f", nonce + {add}" if add else ""))


def goaway(ms, tail=b""):
    return frame(GOAWAY, v(ms) + tail, diag=f"GoAway {ms} ms")


def close(code=0, last=0, message=b"", tail=b""):
    return frame(CLOSE, v(code) + v(last) + blob(message) + tail, diag=f"Close code {code}")


def unknown(kind=0xCA, content=b"skip me"):
    return frame(kind, b"", content, diag=f"unknown kind {kind:#04x}, {len(content)} bytes")


def trace(flags=1):
    return [(1, b"\x11" * 16 + b"\x22" * 8 + bytes([flags]))]
