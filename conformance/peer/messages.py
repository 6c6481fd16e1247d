"""Types of sections 5, 6 and A as data: JSON values to bytes and back. Written from PROTOCOL.md alone.

A type has encode(value) and decode(reader). 64-bit numbers are strings in values,
    bytes are hex; see docs/CONFORMANCE.md.
"""
from peer import Reader, Violation, blob, refuse_if, varint


class Uint:
    def __init__(self, bits):
        self.bits = bits
    def encode(self, value):
        return bytes([value]) if self.bits == 8 else varint(int(value))
    def decode(self, reader):
        number = reader.u8() if self.bits == 8 else reader.uint(self.bits)
        return str(number) if self.bits == 64 else number


class Text:
    def __init__(self, bound=None):
        self.bound = bound
    def encode(self, value):
        return blob(value.encode())
    def decode(self, reader):
        return reader.text(self.bound)


class Bytes:
    def __init__(self, bound=None):
        self.bound = bound
    def encode(self, value):
        return blob(bytes.fromhex(value))
    def decode(self, reader):
        return reader.bytes(self.bound).hex()


class Raw16:
    def encode(self, value):
        return bytes.fromhex(value)
    def decode(self, reader):
        return reader.take(16).hex()


class Tuple:
    """(A, B) as an array."""
    def __init__(self, *types):
        self.types = types
    def encode(self, value):
        return b"".join(one.encode(part) for one, part in zip(self.types, value))
    def decode(self, reader):
        return [one.decode(reader) for one in self.types]


class List:
    def __init__(self, element, bound):
        self.element, self.bound = element, bound
    def encode(self, value):
        return varint(len(value)) + b"".join(self.element.encode(one) for one in value)
    def decode(self, reader):
        return reader.list(lambda: self.element.decode(reader), self.bound)


class Ranges(List):
    def __init__(self, bound):
        super().__init__(RANGE, bound)
    def decode(self, reader):
        value, free = super().decode(reader), 0
        for first, count in value:
            refuse_if(count == 0 or first < free or first + count > 1 << 32, "MALFORMED", "ranges")
            free = first + count
        return value


class Pages(List):
    """The files of ListSymbols' answer, whose symbols are bounded together as well."""
    def decode(self, reader):
        files = super().decode(reader)
        refuse_if(sum(len(one["symbols"]) for one in files) > 65536, "MALFORMED", "symbols of a page")
        return files


class Struct:
    def __init__(self, **fields):
        self.fields = fields
    def encode(self, value):
        return b"".join(one.encode(value[name]) for name, one in self.fields.items())
    def decode(self, reader):
        return {name: one.decode(reader) for name, one in self.fields.items()}


class Choice:
    """A byte, and what it says follows: pairs of (to value, from value, type or None)."""
    def __init__(self, *arms):
        self.arms = arms                  # (value -> part or None if not this arm, part -> value, type)
    def encode(self, value):
        for number, (part_of, _, kind) in enumerate(self.arms):
            part = part_of(value)
            if part is not None: return bytes([number]) + (kind.encode(part) if kind else b"")
        raise ValueError(value)
    def decode(self, reader):
        number = reader.u8()
        refuse_if(number >= len(self.arms), "MALFORMED", "no such choice")
        _, value_of, kind = self.arms[number]
        return value_of(kind.decode(reader) if kind else None)


def unit(value):
    """An arm without content."""
    return (lambda given: True if given == value and type(given) is type(value) else None, lambda _: value, None)


def named(name, kind):
    """An arm whose value is {name: content}."""
    return (lambda given: given.get(name) if isinstance(given, dict) else None, lambda part: {name: part}, kind)


def option(kind):
    return Choice(unit(None), (lambda given: given, lambda part: part, kind))


class Kind(Uint):
    def __init__(self):
        super().__init__(32)
    def decode(self, reader):
        number = super().decode(reader)
        refuse_if(number > 11, "MALFORMED", "no such kind")
        return number


U8, U16, U32, U64, RAW16, RANGE = Uint(8), Uint(16), Uint(32), Uint(64), Raw16(), Tuple(Uint(32), Uint(32))
BOOL = Choice(unit(False), unit(True))
LIMITS = Struct(max_frame=U32, max_body=U32, work_budget=U64, max_concurrent=U32)
EXT = List(Tuple(U16, Bytes()), 8)
COUNTERS = Struct(epoch=U64, revision=U64, generation=U64, files=U32, symbols=U64, digest=RAW16)
CONTENT = Choice(named("text", Text()), unit("gone"), named("skipped", Text(128)))
CACHED = Struct(shard=U32, revision=U64, generation=U64, symbols=U64, digest=RAW16)
HIT = Struct(name=Text(), kind=Kind(), container=Text(), path=Text(), line=U32, column=U32, score=U32)
LISTED = Struct(name=Text(), kind=Kind(), container=Text(), line=U32, column=U32)
CACHE = Struct(state=Choice(unit("off"), unit("on"), unit("failed")), loaded=U32, written=U32, problem=Text(512))
STATS = Struct(shard=U32, counters=COUNTERS, current=BOOL, skipped=U32, memory=U64, disk=U64)
CHANGED = Struct(applied=U32, counters=COUNTERS)
NOTHING = Struct()

HEADERS = {
    "Hello": Struct(versions=List(Tuple(U16, U16), 8), limits=LIMITS, features=U32, compression=List(U8, 8),
                    app=Bytes(4096), ext=EXT),
    "Welcome": Struct(version=Tuple(U16, U16), limits=LIMITS, features=U32, compression=List(U8, 8), app=Bytes(512),
    ext=EXT),
    "Reject": Struct(code=U16, retry_after_ms=U32, message=Text(512), ext=EXT),
    "Request": Struct(id=U64, method=U16, body_len=U32, codec=U8, raw_len=U32, reply_max=U32, deadline_ms=U32, ext=EXT),
    "Response": Struct(id=U64, body_len=U32, codec=U8, raw_len=U32, ext=EXT),
    "PacketChunk": Struct(id=U64),
    "Error": Struct(id=U64, code=U16, retry=U8, retry_after_ms=U32, message=Text(512), ext=EXT),
    "Cancel": Struct(id=U64),
    "Ack": Struct(received=U64),
    "Ping": Struct(nonce=U64),
    "Pong": Struct(nonce=U64),
    "GoAway": Struct(deadline_ms=U32),
    "Close": Struct(code=U16, last_id=U64, message=Text(512)),
}
KINDS = dict(Hello=1, Welcome=2, Reject=3, Request=0x10, Response=0x11, PacketChunk=0x12, Error=0x13, Cancel=0x14,
    Ack=0x15,
             Ping=0x20, Pong=0x21, GoAway=0x22, Close=0x23)

MESSAGES = {
    "WorkerHello": Struct(claim=Ranges(256), token=option(Text(1024)), cached=List(CACHED, 32), build=Text(128)),
    "WorkerWelcome": Struct(worker_id=U64, epoch=U64, build=Text(128)),
    "SyncShard": Struct(shard=U32, key=RAW16, epoch=U64, sync=U64, rev=U64, files=U32, digest=option(RAW16)),
    "SyncShardAnswer": Choice(named("counters", COUNTERS), named("pages", BOOL)),
    "SyncPage": Struct(shard=U32, sync=U64, first=U32, entries=List(Struct(path=Text(4096), hash=option(RAW16)),
    16384)),
    "SyncPageAnswer": Struct(wanted=Ranges(16384)),
    "LoadFiles": Struct(shard=U32, sync=U64, files=List(Struct(entry=U32, rev=U64, content=CONTENT), 4096)),
    "LoadFilesAnswer": Struct(files=U32, symbols=U64),
    "IndexShard": Struct(shard=U32, sync=U64),
    "IndexShardAnswer": COUNTERS,
    "UpdateFile": Struct(shard=U32, epoch=U64, rev=U64, path=Text(4096), text=Text()),
    "UpdateFileAnswer": CHANGED,
    "RemoveFiles": Struct(shard=U32, epoch=U64, rev=U64, paths=List(Text(), 4096)),
    "RemoveFilesAnswer": CHANGED,
    "SearchSymbols": Struct(shards=Ranges(256), query=Text(1024), kinds=U16, limit=U32),
    "SearchSymbolsAnswer": Struct(hits=List(HIT, 10000), truncated=BOOL, warming=Ranges(256)),
    "ListSymbols": Struct(shard=U32, **{"from": Text(4096)}, skip=U32, limit=U32),
    "ListSymbolsAnswer": Struct(files=Pages(Struct(path=Text(4096), symbols=List(LISTED, 65536)), 65536), more=BOOL),
    "GetWorkerStats": NOTHING,
    "GetWorkerStatsAnswer": Struct(pid=U32, parsed=U64, received=U64, cache=CACHE, shards=List(STATS, 16384),
        skipped=List(Struct(shard=U32, path=Text(4096), reason=Text(128)), 64)),
    "Shutdown": NOTHING,
    "ShutdownAnswer": NOTHING,
}


def encode(name, value):
    return (HEADERS.get(name) or MESSAGES[name]).encode(value)


def decode(name, data):
    """(value, None), or (None, the class of error)."""
    reader = Reader(data)
    try:
        value = (HEADERS.get(name) or MESSAGES[name]).decode(reader)
        refuse_if(not reader.canonical, "NOT_CANONICAL")
        refuse_if(reader.at != len(data), "MALFORMED", "bytes behind the last field")
        return value, None
    except Violation as violation:
        return None, violation.code if name in HEADERS else "INVALID"
