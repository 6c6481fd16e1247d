"""zstd frames (RFC 8878) of raw and RLE blocks: what section 19 asks of a frame, without the entropy coder.

Enough to make and to judge frames for vectors. `Compressed` tells a block that only a whole decoder can read.
"""
import struct

MAGIC = 0xFD2FB528
WINDOW_MAX = 8 << 20          # R-19-6
BLOCK_MAX = 128 << 10
M = 2 ** 64 - 1
P1, P2, P3, P4, P5 = (11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579,
                      2870177450012600261)


class Bad(Exception):
    """The body breaks one of R-19-4 to R-19-9."""


class Compressed(Exception):
    """A compressed block: this module cannot read it."""


def xxh64(data):
    rotl = lambda x, r: (x << r | x >> 64 - r) & M
    step = lambda acc, lane: rotl(acc + lane * P2 & M, 31) * P1 & M
    at = 0
    if len(data) >= 32:
        lanes = [P1 + P2 & M, P2, 0, -P1 & M]
        while at + 32 <= len(data):
            lanes = [step(acc, lane) for acc, lane in zip(lanes, struct.unpack_from("<4Q", data, at))]
            at += 32
        h = sum(rotl(acc, r) for acc, r in zip(lanes, (1, 7, 12, 18))) & M
        for acc in lanes:
            h = ((h ^ step(0, acc)) * P1 + P4) & M
    else: h = P5
    h = h + len(data) & M
    while at + 8 <= len(data):
        h = (rotl(h ^ step(0, struct.unpack_from("<Q", data, at)[0]), 27) * P1 + P4) & M
        at += 8
    if at + 4 <= len(data):
        h = (rotl(h ^ struct.unpack_from("<I", data, at)[0] * P1 & M, 23) * P2 + P3) & M
        at += 4
    for byte in data[at:]:
        h = rotl(h ^ byte * P5 & M, 11) * P1 & M
    h = (h ^ h >> 33) * P2 & M
    h = (h ^ h >> 29) * P3 & M
    return h ^ h >> 32


def raw_block(data, last=True):
    return struct.pack("<I", len(data) << 3 | last)[:3] + data


def rle_block(byte, count, last=True):
    return struct.pack("<I", count << 3 | 1 << 1 | last)[:3] + bytes([byte])


def pack(blocks, content_size=None, single=True, window=0x38, dictionary=None, checksum=None, magic=MAGIC):
    """A frame around blocks. `window` is the byte of the window descriptor, unless the frame is a single segment."""
    size_flag, size = 0, b""
    if content_size is not None:
        size_flag, size = (0, struct.pack("<B", content_size)) if single and content_size < 256 else \
            (2, struct.pack("<I", content_size)) if not 256 <= content_size < 65792 else \
            (1, struct.pack("<H", content_size - 256))
    dict_flag, dict_bytes = (0, b"") if dictionary is None else (1, bytes([dictionary]))
    descriptor = size_flag << 6 | single << 5 | (checksum is not None) << 2 | dict_flag
    head = struct.pack("<IB", magic, descriptor) + (b"" if single else bytes([window])) + dict_bytes + size
    return head + b"".join(blocks) + (b"" if checksum is None else struct.pack("<I", checksum & 0xFFFFFFFF))


def simple(data):
    """A frame with the content size, of one raw block."""
    return pack([raw_block(data)], content_size=len(data))


def decompress(body, raw_len):
    """Exactly `raw_len` bytes, never holding more (R-19-4 to R-19-10)."""
    def take(count):
        nonlocal at
        if count > len(body) - at: raise Bad("the zstd frame is cut off")
        at += count
        return body[at - count:at]
    at = 0
    if struct.unpack("<I", take(4))[0] != MAGIC: raise Bad("not a zstd frame")
    descriptor = take(1)[0]
    single, checksum = descriptor >> 5 & 1, descriptor >> 2 & 1
    if descriptor & 8: raise Bad("a reserved bit is set")
    if not single:
        window = take(1)[0]
        base = 1 << 10 + (window >> 3)
        if base + base // 8 * (window & 7) > WINDOW_MAX: raise Bad("the window is too large")
    dictionary = int.from_bytes(take((0, 1, 2, 4)[descriptor & 3]), "little")
    if dictionary: raise Bad("a dictionary is named")
    width = (single, 2, 4, 8)[descriptor >> 6]
    if width:
        size = int.from_bytes(take(width), "little") + (256 if width == 2 else 0)
        if size != raw_len: raise Bad("the content size is not raw_len")
        if single and size > WINDOW_MAX: raise Bad("the window is too large")
    out, last = bytearray(), False
    while not last:
        head = int.from_bytes(take(3), "little")
        last, kind, size = head & 1, head >> 1 & 3, head >> 3
        if kind == 3 or size > BLOCK_MAX: raise Bad("a block is not valid")
        if kind == 2: raise Compressed()
        if len(out) + size > raw_len: raise Bad("more than raw_len")
        out += take(size) if kind == 0 else take(1) * size
    if len(out) != raw_len: raise Bad("less than raw_len")
    if checksum and take(4) != struct.pack("<I", xxh64(bytes(out)) & 0xFFFFFFFF): raise Bad("the checksum is wrong")
    if at != len(body): raise Bad("bytes behind the zstd frame")
    return bytes(out)
