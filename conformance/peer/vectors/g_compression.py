"""Section 19: what is agreed, raw lengths, and zstd frames right and wrong."""
import zstd_plain as z

from .story import *
from .wire import *

g = Group("compression", "Compression numbers, raw lengths, and zstd frames: sizes, windows, dictionaries, "
    "checksums, bombs.")
ON = dict(variant="zstd", compression=(1,), peer_compression=(1,))
TEXT = b"hello " * 100
# `zstd -19` of 200 lines: a block that only a whole decoder reads.
LINES = b"".join(b"line %d of a text that compresses\n" % n for n in range(200))
COMPRESSED = bytes.fromhex(
    "28b52ffd0068a50800c6942c188029cd018016fb47dc638361248e9796966c59b82229a913300025001e0045444444443433333333d3b6"
    "6ddbfeff7fe259d174000361309085e290101c4980901c4903498ec031481ce540100543ffffff5f2e97cbe572b95c2e67666666662222"
    "222222dedddddddd99999999995555555555d7755dd7755dd3344dd3344dd3f43ccff33ccff33cf7de7befbdf7feff01799ee7799ee779"
    "8ee3388ee3388ee3f77ddff77ddff76ddbb66ddbb66ddb750580c8a81110fafd3f03d01bd501112404ff3f4220f103574bb3b3b999595b"
    "55cdcdccd6666a6d715880edafe8b5ba926bdb4aad9d15582f002000000200200000020020505761b5aa02d59a0aa9151550eb299c5ec1"
    "3081618299ac1502902a")


def both(name, about, class_, covered, story, **more):
    g.both(name, about, class_, covered, story, **more)


def good(name, about, covered, body, raw, **more):
    """A compressed request whose body is `raw`, and a compressed answer."""
    both(f"request-{name}", f"A request: {about}", "positive", covered,
        lambda s: [rx(request(s.p(1), body, codec=1, raw=len(raw)), ev=[e_request(s.p(1), raw)]), answers(s)],
        requires="zstd", **ON | more)
    both(f"response-{name}", f"A response: {about}", "positive", covered + " 19-11+",
        lambda s: [calls(s), rx(response(s.o(1), body, codec=1, raw=len(raw)), ev=[e_ok("a", raw)]), alive()],
        requires="zstd", **ON | more)


def wrong(name, about, covered, body, raw_len):
    """A compressed body that breaks a rule: the request gets DECOMPRESSION, the call fails; the connection goes on."""
    both(f"request-{name}", f"A request: {about}", "malformed", covered,
        lambda s: [rx(request(s.p(1), body, codec=1, raw=raw_len), tx=[Error(s.p(1), 8, 0, 0)]), holds(served=0),
        alive()], requires="zstd", **ON)
    both(f"response-{name}", f"A response: {about}", "malformed", "19-11-",
        lambda s: [calls(s, reply_max=200000), rx(response(s.o(1), body, codec=1, raw=raw_len),
        ev=[e_failed("a", False)]), holds(calls=0), alive()], requires="zstd", **ON)


# ---- the numbers in headers
for codec, name in ((1, "zstd"), (2, "unknown"), (255, "highest")):
    both(f"not-agreed-request-{name}", f"Compression {codec} in a request where none was agreed.", "invalid", "19-1-",
        lambda s, codec=codec: [rx(request(s.p(1), b"xyz", codec=codec, raw=9), end=s.bad("COMPRESSION_NOT_AGREED"))])
    both(f"not-agreed-response-{name}", f"Compression {codec} in a response where none was agreed.", "invalid", "19-1-",
        lambda s, codec=codec: [calls(s), rx(response(s.o(1), b"xyz", codec=codec, raw=9), ev=[e_failed("a", False)],
        end=s.bad("COMPRESSION_NOT_AGREED"))])
both("not-agreed-other", "zstd was agreed, and another compression is used.", "invalid", "19-1-",
    lambda s: [rx(request(s.p(1), b"xyz", codec=2, raw=9), end=s.bad("COMPRESSION_NOT_AGREED"))], requires="zstd", **ON)
both("not-agreed-peer-did-not-offer", "The subject has zstd, the peer has not offered or agreed to it.", "invalid",
    "19-1- 8-11+", lambda s: [rx(request(s.p(1), b"xyz", codec=1, raw=9), end=s.bad("COMPRESSION_NOT_AGREED"))],
    requires="zstd", variant="zstd-alone", compression=(1,))
both("raw-length-without-codec", "A raw_len where the body is not compressed.", "invalid", "19-2-",
    lambda s: [rx(request(s.p(1), b"xyz", raw=3), end=s.bad("BAD_RAW_LENGTH"))])
both("raw-length-without-codec-response", "A raw_len in a response that is not compressed.", "invalid", "19-2-",
    lambda s: [calls(s), rx(response(s.o(1), b"xyz", raw=3), ev=[e_failed("a", False)], end=s.bad("BAD_RAW_LENGTH"))])
both("raw-length-zero-without-codec", "No compression and raw_len 0, as it must be.", "positive", "19-1+ 19-2+",
    lambda s: [asked(s), answers(s)])
both("codec-without-raw-length", "zstd and a raw_len of 0.", "invalid", "19-3-",
    lambda s: [rx(request(s.p(1), z.simple(b""), codec=1, raw=0), end=s.bad("BAD_RAW_LENGTH"))], requires="zstd", **ON)
both("codec-without-raw-length-response", "zstd and a raw_len of 0 in a response.", "invalid", "19-3-",
    lambda s: [calls(s), rx(response(s.o(1), z.simple(b""), codec=1, raw=0), ev=[e_failed("a", False)],
    end=s.bad("BAD_RAW_LENGTH"))], requires="zstd", **ON)
both("raw-length-too-large", "A raw_len above the receiver's max_body.", "exhaustion", "10-2-",
    lambda s: [rx(request(s.p(1), z.simple(TEXT), codec=1, raw=16 * MIB + 1), end=s.bad("BODY_TOO_LARGE"))],
    requires="zstd", **ON)
both("raw-length-largest", "A raw_len of exactly the receiver's max_body; the body is shorter, so decompression fails.",
    "exhaustion", "10-2+ 19-8-", lambda s: [rx(request(s.p(1), z.simple(TEXT), codec=1, raw=16 * MIB),
    tx=[Error(s.p(1), 8)])], requires="zstd", **ON)
both("raw-length-too-large-without-codec", "A raw_len above max_body where nothing is compressed: too large comes "
    "first.", "exhaustion", "10-2- 22-1+", lambda s: [rx(request(s.p(1), b"x", raw=2 ** 32 - 1),
    end=s.bad("BODY_TOO_LARGE"))])
both("raw-length-counts-as-cost", "raw_len counts to the cost.", "exhaustion", "12-2-",
    lambda s: [rx(request(s.p(1), z.simple(TEXT), codec=1, raw=50000, reply_max=50001), end=s.bad("WORK_BUDGET"))],
    requires="zstd", variant="zstd-budget", compression=(1,), peer_compression=(1,),
    lim=dict(max_frame=16384, max_body=50000, work_budget=100000))
both("raw-length-makes-large", "A small body with a raw_len of 16,385 is not small.", "exhaustion", "12-2-",
    lambda s: [rx(request(s.p(1), z.pack([z.rle_block(97, 16385)], 16385), codec=1, raw=16385,
    reply_max=100000 - 16385), end=s.bad("WORK_BUDGET"))], requires="zstd", variant="zstd-budget", compression=(1,),
    peer_compression=(1,), lim=dict(max_frame=16384, max_body=50000, work_budget=100000))
both("raw-length-over-reply-max", "A response whose raw_len is above reply_max, though its bytes are few.",
    "exhaustion", "12-6-", lambda s: [calls(s, reply_max=100),
    rx(response(s.o(1), z.pack([z.rle_block(97, 101)], 101), codec=1, raw=101), ev=[e_failed("a", False)],
    end=s.bad("REPLY_TOO_LONG"))], requires="zstd", **ON)
both("raw-length-at-reply-max", "A response whose raw_len is reply_max.", "exhaustion", "12-6+",
    lambda s: [calls(s, reply_max=101), rx(response(s.o(1), z.pack([z.rle_block(97, 101)], 101), codec=1, raw=101),
    ev=[e_ok("a", b"a" * 101)])], requires="zstd", **ON)
both("agreed-and-not-used", "Compression is allowed, not demanded.", "positive", "19-1+ 8-11+",
    lambda s: [asked(s), answers(s)], requires="zstd", **ON)

# ---- right frames
good("raw-block", "one raw block, with its content size.", "19-4+ 19-7+ 19-8+ 19-3+", z.simple(TEXT), TEXT)
good("one-byte", "one byte.", "19-4+ 19-8+", z.simple(b"x"), b"x")
good("rle-block", "a block of one repeated byte.", "19-4+ 19-8+", z.pack([z.rle_block(97, 5000)], 5000), b"a" * 5000)
good("no-content-size", "a frame without content size: raw_len alone says.", "19-7+ 19-8+",
    z.pack([z.raw_block(TEXT)], None, single=False), TEXT)
good("several-blocks", "three blocks.", "19-4+", z.pack([z.raw_block(b"one ", False), z.rle_block(45, 9, False),
    z.raw_block(b" two")], 17), b"one --------- two")
good("empty-last-block", "an empty last block, as streams write it.", "19-4+",
    z.pack([z.raw_block(TEXT, False), z.raw_block(b"")], None, single=False), TEXT)
good("checksum", "with a right checksum.", "19-9+", z.pack([z.raw_block(TEXT)], len(TEXT), checksum=z.xxh64(TEXT)),
    TEXT)
good("window-largest", "a window of exactly 8 MiB.", "19-6+",
    z.pack([z.raw_block(TEXT)], None, single=False, window=0x68), TEXT)
good("window-smallest", "a window of 1 KiB.", "19-6+", z.pack([z.raw_block(TEXT)], None, single=False, window=0), TEXT)
good("dictionary-zero", "a dictionary id of 0, which names none.", "19-5+",
    z.pack([z.raw_block(TEXT)], len(TEXT), dictionary=0), TEXT)
good("longer-than-raw", "a compressed form longer than the body.", "19-8+", z.simple(b"abc"), b"abc")
good("entropy", "a block with compressed literals and sequences.", "19-4+ 19-8+", COMPRESSED, LINES)

# ---- wrong frames
wrong("not-zstd", "bytes that are no zstd frame.", "19-4-", b"this is not a zstd frame", 100)
wrong("magic-of-lz4", "the magic number of another format.", "19-4-", bytes.fromhex("04224d18") + z.simple(TEXT)[4:],
    len(TEXT))
wrong("empty", "no byte at all.", "19-4-", b"", 5)
wrong("magic-only", "the magic number and nothing else.", "19-4-", z.simple(TEXT)[:4], 5)
wrong("cut", "a frame cut in the middle of a block.", "19-4-", z.simple(TEXT)[:-100], len(TEXT))
wrong("cut-block-header", "a frame cut in a block's header.", "19-4-", z.simple(TEXT)[:8], len(TEXT))
wrong("no-last-block", "a frame without a last block.", "19-4-", z.pack([z.raw_block(TEXT, False)], len(TEXT)),
    len(TEXT))
wrong("byte-behind", "a byte behind the frame.", "19-4-", z.simple(TEXT) + b"\0", len(TEXT))
wrong("two-frames", "two frames.", "19-4-", z.simple(TEXT) + z.simple(TEXT), 2 * len(TEXT))
wrong("second-frame-empty", "a second frame that is empty.", "19-4-", z.simple(TEXT) + z.simple(b""), len(TEXT))
wrong("skippable-before", "a skippable frame before it.", "19-4-", bytes.fromhex("502a4d18") + b"\4\0\0\0skip"
    + z.simple(TEXT), len(TEXT))
wrong("skippable-behind", "a skippable frame behind it.", "19-4-", z.simple(TEXT) + bytes.fromhex("5f2a4d18")
    + b"\0\0\0\0", len(TEXT))
wrong("reserved-bit", "the reserved bit of the frame header.", "19-4-", z.simple(TEXT)[:4]
    + bytes([z.simple(TEXT)[4] | 8]) + z.simple(TEXT)[5:], len(TEXT))
wrong("reserved-block", "a block of the reserved type.", "19-4-", z.pack([b"\7\0\0"], None, single=False), 5)
wrong("block-too-large", "a block of more than 128 KiB.", "19-4-", z.pack([z.rle_block(97, 131073)], 131073), 131073)
wrong("dictionary", "a frame that names a dictionary.", "19-5-", z.pack([z.raw_block(TEXT)], len(TEXT), dictionary=7),
    len(TEXT))
wrong("window-too-large", "a window one step above 8 MiB.", "19-6-",
    z.pack([z.raw_block(TEXT)], None, single=False, window=0x69), len(TEXT))
wrong("window-huge", "the largest window that the format can name.", "19-6-",
    z.pack([z.raw_block(TEXT)], None, single=False, window=0xFF), len(TEXT))
wrong("content-size-above", "a content size one above raw_len.", "19-7-", z.pack([z.raw_block(TEXT)], len(TEXT)),
    len(TEXT) - 1)
wrong("content-size-below", "a content size one below raw_len.", "19-7-", z.pack([z.raw_block(TEXT)], len(TEXT)),
    len(TEXT) + 1)
wrong("content-size-lies", "a content size that equals raw_len, and blocks that hold more.", "19-7- 19-8-",
    z.pack([z.raw_block(TEXT)], len(TEXT) - 1), len(TEXT) - 1)
wrong("content-size-zero", "a content size of 0, and a raw_len of 5.", "19-7-", z.simple(b""), 5)
wrong("short", "without content size: a byte less than raw_len.", "19-8-",
    z.pack([z.raw_block(TEXT)], None, single=False), len(TEXT) + 1)
wrong("long", "without content size: a byte more than raw_len.", "19-8- 19-10-",
    z.pack([z.raw_block(TEXT)], None, single=False), len(TEXT) - 1)
wrong("bomb", "a bomb: 13 MB from a few hundred bytes, where 1,000 were declared.", "19-8- 19-10-",
    z.pack([z.rle_block(0, 131072, n == 99) for n in range(100)], None, single=False), 1000)
wrong("checksum-wrong", "a wrong checksum.", "19-9-", z.pack([z.raw_block(TEXT)], len(TEXT),
    checksum=z.xxh64(TEXT) ^ 1), len(TEXT))
wrong("checksum-missing", "a checksum announced and lacking.", "19-9-",
    z.pack([z.raw_block(TEXT)], len(TEXT), checksum=0)[:-4], len(TEXT))

# ---- in the life of a request
both("in-parts", "A compressed body in parts.", "positive", "19-4+ 10-7+",
    lambda s: [rx(request(s.p(1), z.simple(LINES)[:5000], body_len=len(z.simple(LINES)), codec=1, raw=len(LINES))),
    rx(chunk(s.p(1), z.simple(LINES)[5000:]), ev=[e_request(s.p(1), LINES)])], requires="zstd", **ON)
both("counts-as-sent", "Acks and body_len count bytes as sent, not as decompressed.", "positive", "13-1+",
    lambda s: [rx(request(s.p(1), z.pack([z.rle_block(97, 100000)], 100000), codec=1, raw=100000),
    ev=[e_request(s.p(1), fill(97, 100000))]), alive()], requires="zstd", **ON)
both("bad-body-of-cancelled", "A cancelled request is not decompressed.", "positive", "11-14- 19-4-",
    lambda s: [rx(request(s.p(1), bytes(5000), body_len=9000, codec=1, raw=100)),
    rx(cancel(s.p(1)), tx=[Error(s.p(1), 2)])], requires="zstd", **ON)
both("bad-response-next-call", "After a response that does not decompress the next call works.", "malformed",
    "19-11- 19-11+", lambda s: [calls(s), rx(response(s.o(1), b"junk", codec=1, raw=9), ev=[e_failed("a", False)]),
    calls(s, "b", 2), rx(response(s.o(2), z.simple(b"ok"), codec=1, raw=2), ev=[e_ok("b", b"ok")])], requires="zstd",
    **ON)
