"""Section 5: varints, texts, lists; as they come in frames, and for a codec alone."""
from .story import *
from .wire import *

g = Group("encoding", "Varints, texts, byte strings and lists in headers: what decodes, what does not, and what is "
    "not canonical.")
U64_MAX = 2 ** 64 - 1


def raw(kind, header, diag):
    return frame(kind, header, diag=diag)


def wire_bad(name, about, covered, kind, header, code="MALFORMED", body=b"", steps=()):
    """A frame of an open connection whose header is wrong, at both roles. `header` may be a function of the preset."""
    g.both(name, about, "malformed", covered, lambda s: list(steps)
        + [rx(frame(kind, header(s) if callable(header) else header, body, diag=about), end=s.bad(code))])


def decodes(name, about, type_, data, value, covered="5-1+ 5-6+"):
    g.case(name, about, CODEC, "positive", covered, [{"decode": type_, "bytes": data.hex(), "value": value}])


def fails(name, about, type_, data, error="MALFORMED", covered="5-1-"):
    g.case(name, about, CODEC, "malformed", covered, [{"decode": type_, "bytes": data.hex(), "error": error}])


# ---- varints of 64 bits, in a Ping: as a codec, and the Pong that proves what was read
for number, name in ((0, "0"), (1, "1"), (127, "127"), (128, "128"), (16383, "16383"), (16384, "16384"),
    (2 ** 21 - 1, "2-21-1"), (2 ** 28, "2-28"), (2 ** 32 - 1, "2-32-1"), (2 ** 32, "2-32"), (2 ** 35, "2-35"),
    (2 ** 53, "2-53"), (2 ** 53 + 1, "2-53+1"), (2 ** 63 - 1, "2-63-1"), (2 ** 63, "2-63"), (U64_MAX, "2-64-1")):
    g.both(f"nonce-{name.replace('+', 'plus')}", f"A Ping with the nonce {number} brings a Pong with the same.",
        "positive", "5-1+ 5-2+ 5-6+ 15-3+", lambda s, number=number: [rx(ping(number), tx=[Pong(number)])])
decodes("u64-largest", "2^64 - 1 in ten bytes.", "Ping", b"\xff" * 9 + b"\x01", {"nonce": str(U64_MAX)}, "5-1+ 5-2+")
fails("u64-tenth-byte-2", "A tenth byte of 2 does not fit 64 bits.", "Ping", b"\xff" * 9 + b"\x02", covered="5-2-")
fails("u64-tenth-byte-7f", "A tenth byte of 0x7f: only bit 0 of it fits.", "Ping", b"\x80" * 9 + b"\x7f",
    covered="5-2-")
fails("u64-eleven-bytes", "Eleven bytes.", "Ping", b"\x80" * 10 + b"\x01")
fails("u64-never-ends", "Ten bytes, all with the top bit.", "Ping", b"\xff" * 10)
fails("u64-cut", "A varint whose last byte says that one follows, at the end.", "Ping", b"\xff\xff", covered="5-3-")
fails("u64-empty", "No byte at all.", "Ping", b"", covered="5-3-")
fails("u64-padded-zero", "Zero in two bytes.", "Ping", b"\x80\x00", "NOT_CANONICAL", "5-6- 5-7+")
fails("u64-padded-one", "One in two bytes.", "Ping", b"\x81\x00", "NOT_CANONICAL", "5-6-")
fails("u64-padded-to-ten", "Zero in ten bytes.", "Ping", b"\x80" * 9 + b"\x00", "NOT_CANONICAL", "5-6-")
fails("u64-padded-127", "127 in three bytes.", "Ping", b"\xff\x80\x00", "NOT_CANONICAL", "5-6-")
fails("u64-padded-to-eleven", "Zero in eleven bytes does not end within ten.", "Ping", b"\x80" * 10 + b"\x00")
decodes("u32-largest", "2^32 - 1 in five bytes.", "GoAway", b"\xff\xff\xff\xff\x0f", {"deadline_ms": 2 ** 32 - 1},
    "5-1+ 5-2+")
fails("u32-fifth-byte-10", "A fifth byte of 0x10 does not fit 32 bits.", "GoAway", b"\xff\xff\xff\xff\x10",
    covered="5-2-")
fails("u32-six-bytes", "Six bytes for 32 bits.", "GoAway", b"\x80\x80\x80\x80\x80\x01")
fails("u32-six-bytes-of-zero", "Zero in six bytes: too long comes before not canonical.", "GoAway", b"\x80" * 5
    + b"\x00", covered="5-1- 5-7-")
fails("u32-padded", "1 in five bytes.", "GoAway", b"\x81\x80\x80\x80\x00", "NOT_CANONICAL", "5-6-")
decodes("u16-largest", "65,535 in three bytes.", "Close", b"\xff\xff\x03\0\0",
    {"code": 65535, "last_id": "0", "message": ""}, "5-1+ 5-2+")
fails("u16-third-byte-4", "A third byte of 4 does not fit 16 bits.", "Close", b"\xff\xff\x04\0\0", covered="5-2-")
fails("u16-four-bytes", "Four bytes for 16 bits.", "Close", b"\x80\x80\x80\x01\0\0")
fails("u16-padded", "0 in three bytes.", "Close", b"\x80\x80\x00\0\0", "NOT_CANONICAL", "5-6-")
decodes("u8-is-no-varint", "A u8 of 200 is one byte with the top bit.", "Hello", b"\x01\x03\x00" + limits()
    + b"\0\x01\xc8\0\0", {"versions": [[3, 0]], "limits": {"max_frame": 262144, "max_body": 16 * MIB,
    "work_budget": str(64 * MIB), "max_concurrent": 256}, "features": 0, "compression": [200], "app": "", "ext": []})

# ---- the same in frames: the code on the wire
wire_bad("ping-too-long", "Ping with a nonce of eleven bytes.", "5-1-", PING, b"\x80" * 10 + b"\x01")
wire_bad("ping-overflow", "Ping with a nonce above 2^64 - 1.", "5-2-", PING, b"\xff" * 9 + b"\x02")
wire_bad("ping-empty", "Ping without a nonce.", "5-3-", PING, b"")
wire_bad("ping-padded", "Ping with the nonce 1 in two bytes.", "5-6-", PING, b"\x81\0", "NOT_CANONICAL")
wire_bad("ping-padded-and-more", "A header that is not canonical, and a byte behind it: not canonical comes first.",
    "5-6- 22-1+", PING, b"\x81\0\0", "NOT_CANONICAL")
wire_bad("goaway-overflow", "GoAway with a time above 2^32 - 1.", "5-2-", GOAWAY, b"\xff\xff\xff\xff\x1f")
wire_bad("goaway-padded", "GoAway with its time padded.", "5-6-", GOAWAY, b"\x80\0", "NOT_CANONICAL")
wire_bad("close-code-overflow", "Close with a code of 65,536.", "5-2-", CLOSE, b"\x80\x80\x04\0\0")
wire_bad("close-code-padded", "Close with its code padded does not close in order.", "5-6-", CLOSE, b"\x80\0\0\0",
    "NOT_CANONICAL")
wire_bad("close-last-id-cut", "Close that ends within last_id.", "5-3-", CLOSE, b"\0\x80")
wire_bad("ack-padded", "Ack with a padded number, of bytes never sent: not canonical comes before what it says.",
    "5-6- 22-1+", ACK, b"\x81\0", "NOT_CANONICAL")
wire_bad("cancel-id-padded-zero", "Cancel with id 0 in two bytes: not canonical comes before the id.", "5-6- 22-1+",
    CANCEL, b"\x80\0", "NOT_CANONICAL")
wire_bad("chunk-id-cut", "PacketChunk that ends within its id.", "5-3-", CHUNK, b"\x80")
wire_bad("chunk-id-padded", "PacketChunk with its id padded.", "5-6-", CHUNK, b"\x81\0", "NOT_CANONICAL")
wire_bad("pong-cut", "Pong without a nonce: malformed comes before unexpected.", "5-3- 22-1+", PONG, b"")
wire_bad("request-empty", "Request without a header.", "5-3-", REQUEST, b"")
wire_bad("request-cut-at-ext", "Request that ends before the number of extensions.", "5-3-", REQUEST,
         lambda s: request(s.p(1)).plain()[5:-1])
wire_bad("request-method-overflow", "Request with a method of 65,536.", "5-2-", REQUEST, lambda s: v(s.p(1)) + v(65536)
    + b"\0\0\0\0\0\0")
wire_bad("request-method-padded", "Request with its method padded.", "5-6-", REQUEST, lambda s: v(s.p(1)) + b"\x81\0"
    + b"\0\0\0\0\0\0", "NOT_CANONICAL")
wire_bad("request-body-len-overflow", "Request with a body_len of 2^32.", "5-2-", REQUEST, lambda s: v(s.p(1)) + b"\1"
    + v(2 ** 32) + b"\0\0\0\0\0")
wire_bad("request-body-len-padded", "Request with body_len 0 in two bytes.", "5-6-", REQUEST, lambda s: v(s.p(1))
    + b"\1\x80\0\0\0\0\0\0", "NOT_CANONICAL")
wire_bad("request-deadline-six-bytes", "Request with a deadline in six bytes.", "5-1-", REQUEST, lambda s: v(s.p(1))
    + b"\1\0\0\0\0" + b"\x80" * 5 + b"\x01\0")
wire_bad("request-codec-is-a-byte", "A codec of 0x80 is one byte; as a varint it would swallow the next. The rest is "
    "then one byte short.", "5-3-", REQUEST, lambda s: v(s.p(1)) + b"\1\0\x80\0\0\0")
wire_bad("request-padded-and-malformed-later", "A padded id first, a text cut off behind it: malformed wins.", "5-7-",
    REQUEST, b"\x81\0\1\0\0\0\0\0\1\1\x05ab")
wire_bad("close-padded-and-not-utf8", "A padded code and a message that is not UTF-8: malformed wins.", "5-7-", CLOSE,
    b"\x80\0\0\x01\xff")
wire_bad("error-padded-and-text-too-long", "A padded id and a message of 513 bytes: malformed wins.", "5-7-", ERROR,
         b"\x81\0\1\0\0" + blob(b"m" * 513) + b"\0")

# ---- lengths, lists and texts
wire_bad("close-message-longest-but-one", "Close with a message of 513 bytes.", "5-5-", CLOSE, b"\0\0"
    + blob(b"m" * 513))
g.both("close-message-longest", "Close with a message of 512 bytes.", "positive", "5-5+ 5-4+",
    lambda s: [rx(close(0, 0, b"m" * 512), end=told("NORMAL"))])
wire_bad("close-message-length-lies", "Close whose message says 5 bytes and has 4.", "5-3-", CLOSE, b"\0\0\x05abcd")
wire_bad("close-message-length-2-64", "Close whose message says 2^64 - 1 bytes.", "5-5- 4-12-", CLOSE, b"\0\0"
    + v(U64_MAX) + b"abcd")
wire_bad("close-message-length-padded", "Close whose message has its length padded.", "5-6-", CLOSE, b"\0\0\x81\0a",
    "NOT_CANONICAL")
wire_bad("request-nine-extensions", "Request with nine extensions.", "18-3- 5-5-", REQUEST,
    lambda s: request(s.p(1), ext=[(n, b"") for n in range(10, 19)]).plain()[5:])
wire_bad("request-extensions-2-32", "Request that says it has 2^32 extensions.", "5-5- 4-12- 18-3-", REQUEST,
    lambda s: request(s.p(1), ext=v(2 ** 32)).plain()[5:])
wire_bad("request-extensions-2-64", "Request that says it has 2^64 - 1 extensions.", "5-5- 4-12-", REQUEST,
    lambda s: request(s.p(1), ext=v(U64_MAX)).plain()[5:])
wire_bad("request-extension-length-2-64", "An extension that says it has 2^64 - 1 bytes.", "5-3- 4-12-", REQUEST,
         lambda s: request(s.p(1), ext=b"\1\1" + v(U64_MAX) + b"xx").plain()[5:])
wire_bad("request-extensions-count-padded", "The number of extensions padded.", "5-6-", REQUEST,
    lambda s: request(s.p(1), ext=b"\x80\0").plain()[5:], "NOT_CANONICAL")
wire_bad("request-extension-tag-overflow", "An extension with a tag of 65,536.", "5-2-", REQUEST,
    lambda s: request(s.p(1), ext=b"\1\x80\x80\x04\0").plain()[5:])
wire_bad("request-extension-tag-padded", "An extension with a padded tag.", "5-6-", REQUEST,
    lambda s: request(s.p(1), ext=b"\1\x87\0\0").plain()[5:], "NOT_CANONICAL")
wire_bad("request-extension-length-padded", "An extension with a padded length.", "5-6-", REQUEST,
    lambda s: request(s.p(1), ext=b"\1\x07\x81\0x").plain()[5:], "NOT_CANONICAL")
wire_bad("request-extension-cut", "Two extensions announced, one there.", "5-3-", REQUEST,
    lambda s: request(s.p(1), ext=b"\2\x07\1x").plain()[5:])
for name, data in (("lone-continuation", b"\x80"), ("byte-ff", b"\xff"), ("byte-fe", b"\xfe"),
    ("overlong-slash", b"\xc0\xaf"), ("overlong-nul", b"\xc0\x80"), ("overlong-3", b"\xe0\x80\xaf"),
    ("overlong-4", b"\xf0\x80\x80\xaf"), ("surrogate-high", b"\xed\xa0\x80"), ("surrogate-low", b"\xed\xbf\xbf"),
    ("surrogate-pair", b"\xed\xa0\xbd\xed\xb8\x80"), ("above-10ffff", b"\xf4\x90\x80\x80"),
    ("five-byte-form", b"\xf8\x88\x80\x80\x80"), ("cut-two", b"a\xc3"), ("cut-three", b"\xe2\x82"),
    ("cut-four", b"\xf0\x9f\x98"), ("latin-1", b"caf\xe9 bar")):
    wire_bad(f"text-{name}", f"Close with a message that is not UTF-8: {name.replace('-', ' ')}.", "5-4-", CLOSE,
        b"\0\0" + blob(data))
for name, text in (("nul", "a\0b"), ("two-byte", "é"), ("three-byte", "€"), ("four-byte", "😀"),
    ("highest", "\U0010ffff"), ("last-before-surrogates", "\ud7ff"), ("first-behind-surrogates", "\ue000"),
    ("noncharacter", "\uffff"), ("bom", "\ufeffx"), ("combining", "e\u0301"), ("control", "\x1b[31m")):
    g.both(f"text-{name}-is-right", f"Close with the message {text!r}: valid UTF-8, and not changed by any taste.",
        "positive", "5-4+", lambda s, text=text: [rx(close(0, 0, text.encode()), end=told("NORMAL"))])
g.both("text-four-byte-at-bound", "A message of 512 bytes whose last character has four.", "positive", "5-4+ 5-5+",
       lambda s: [rx(close(0, 0, b"m" * 508 + "😀".encode()), end=told("NORMAL"))])

# ---- Hello and Welcome by a codec
HELLO_VALUE = {"versions": [[3, 0]], "limits": {"max_frame": 262144, "max_body": 16777216, "work_budget": "67108864",
    "max_concurrent": 256}, "features": 1, "compression": [], "app": "6869", "ext": []}
decodes("hello-example", "Hello of the document.", "Hello", hello().plain()[5:], HELLO_VALUE, "5-1+ 5-3+ 5-6+")
decodes("hello-grease-example", "Hello with grease of the document.", "Hello",
    hello(features=1, ext=[(0xCACA, b"")]).plain()[5:], HELLO_VALUE | {"ext": [[0xCACA, ""]]})
decodes("welcome-example", "Welcome of the document.", "Welcome", welcome().plain()[5:],
    {"version": [3, 0], "limits": HELLO_VALUE["limits"], "features": 1, "compression": [], "app": "6f6b", "ext": []})
decodes("reject-example", "Reject of the document.", "Reject", reject(26, 2000, b"shard taken").plain()[5:],
        {"code": 26, "retry_after_ms": 2000, "message": "shard taken", "ext": []})
decodes("request-example", "Request of the document, without its body.", "Request",
    request(2, b"", 4, deadline=1500, ext=trace()).plain()[5:],
    {"id": "2", "method": 768, "body_len": 4, "codec": 0, "raw_len": 0, "reply_max": 16384, "deadline_ms": 1500,
    "ext": [[1, "11" * 16 + "22" * 8 + "01"]]})
decodes("response-example", "Response of the document.", "Response", response(2, b"", 4).plain()[5:],
    {"id": "2", "body_len": 4, "codec": 0, "raw_len": 0, "ext": []})
decodes("chunk-example", "PacketChunk of the document.", "PacketChunk", b"\1", {"id": "1"})
decodes("error-example", "Error of the document.", "Error", error(1, 6, 0, 0, b"bad batch").plain()[5:],
        {"id": "1", "code": 6, "retry": 0, "retry_after_ms": 0, "message": "bad batch", "ext": []})
decodes("error-cancelled-example", "The answer to a cancelled request of the document.", "Error",
    error(4, 2, 0, 0, b"cancelled by the requester").plain()[5:],
    {"id": "4", "code": 2, "retry": 0, "retry_after_ms": 0, "message": "cancelled by the requester", "ext": []})
decodes("cancel-example", "Cancel of the document.", "Cancel", b"\4", {"id": "4"})
decodes("ack-example", "Ack of the document.", "Ack", b"\x88\x80\x04", {"received": "65544"})
decodes("goaway-example", "GoAway of the document.", "GoAway", b"\x88\x27", {"deadline_ms": 5000})
decodes("close-example", "Close of the document.", "Close", b"\1\4\0", {"code": 1, "last_id": "4", "message": ""})
decodes("hello-smallest", "Hello with empty lists decodes: that no version is offered is judged later.", "Hello", b"\0"
    + b"\0" * 8, {"versions": [], "limits": {"max_frame": 0, "max_body": 0, "work_budget": "0", "max_concurrent": 0},
    "features": 0, "compression": [], "app": "", "ext": []})
decodes("hello-all-largest", "Hello with every number at its largest.", "Hello", v(1) + v(65535) * 2
    + limits(2 ** 32 - 1, 2 ** 32 - 1, U64_MAX, 2 ** 32 - 1) + v(2 ** 32 - 1) + b"\1\xff" + b"\0" + b"\1\xff\xff\x03\0",
    {"versions": [[65535, 65535]], "limits": {"max_frame": 2 ** 32 - 1, "max_body": 2 ** 32 - 1,
    "work_budget": str(U64_MAX), "max_concurrent": 2 ** 32 - 1}, "features": 2 ** 32 - 1, "compression": [255],
    "app": "", "ext": [[65535, ""]]}, "5-2+")
fails("hello-nine-versions", "Nine versions.", "Hello", v(9) + b"\3\0" * 9 + b"\0" * 8, covered="5-5-")
fails("hello-trailing", "A byte behind the last field of Hello.", "Hello", hello().plain()[5:] + b"\0", covered="4-10-")
fails("hello-empty", "An empty Hello.", "Hello", b"", covered="5-3-")
fails("hello-version-padded", "A padded minor.", "Hello", b"\1\3\x80\0" + hello().plain()[8:], "NOT_CANONICAL", "5-6-")
fails("hello-list-length-padded", "A padded number of versions.", "Hello", b"\x81\0\3\0" + hello().plain()[8:],
    "NOT_CANONICAL", "5-6-")
fails("hello-padded-then-cut", "A padded minor, and the rest is lacking: malformed wins.", "Hello", b"\1\3\x80\0",
    covered="5-7-")
g.case("hello-padded-on-wire", "A padded minor in Hello is told with Reject.", NEW_ROUTER, "malformed", "5-6- 8-21-",
       [rx(preface(), hello(raw_versions=b"\1\3\x80\0"), end=refused("NOT_CANONICAL"))])
g.case("hello-cut-on-wire", "A Hello whose last field is lacking.", NEW_ROUTER, "malformed", "5-3- 8-21-",
       [rx(preface(), frame(HELLO, hello().plain()[5:-1]), end=refused("MALFORMED"))])
g.case("hello-only-kind", "A Hello of one byte.", NEW_ROUTER, "malformed", "5-3- 8-21-",
    [rx(preface(), frame(HELLO), end=refused("MALFORMED"))])
g.case("welcome-padded-on-wire", "A padded feature field in Welcome.", NEW_WORKER, "malformed", "5-6- 8-22-",
    [rx(preface(), frame(WELCOME, b"\3\0" + limits() + b"\x81\0" + b"\0\0\0", diag="Welcome, features padded"),
    end=bad("NOT_CANONICAL"))])
g.case("welcome-cut-on-wire", "A Welcome whose last field is lacking.", NEW_WORKER, "malformed", "5-3- 8-22-",
       [rx(preface(), frame(WELCOME, welcome().plain()[5:-1]), end=bad("MALFORMED"))])
