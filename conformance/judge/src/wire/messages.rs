//! The messages of section A.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::types::Type::{Below, List, Ranges, Raw16, Struct, Text, Uint};
use super::types::{Arm, Type};

/// The methods, with their numbers.
const METHODS: [(u16, &str); 10] = [
    (0x0100, "SyncShard"),
    (0x0101, "LoadFiles"),
    (0x0102, "IndexShard"),
    (0x0103, "SyncPage"),
    (0x0200, "UpdateFile"),
    (0x0201, "RemoveFiles"),
    (0x0300, "SearchSymbols"),
    (0x0301, "ListSymbols"),
    (0x0400, "GetWorkerStats"),
    (0x0401, "Shutdown"),
];

/// How many kinds of symbols there are.
const KINDS: u32 = 12;

/// Texts and lists whose bound is that of the body.
const UNBOUNDED: u64 = u64::MAX;

/// The name of a method.
#[must_use]
pub fn method_name(number: u64) -> Option<&'static str> {
    METHODS.iter().find(|(one, _)| u64::from(*one) == number).map(|(_, name)| *name)
}

/// The names of all methods.
pub fn method_names() -> impl Iterator<Item = &'static str> {
    METHODS.iter().map(|(_, name)| *name)
}

/// The type of a message, by name: that of a method is its request, `…Answer` its answer.
#[must_use]
pub fn message(name: &str) -> Option<&'static Type> {
    MESSAGES.iter().find(|(one, _)| *one == name).map(|(_, of)| of)
}

/// The names of all messages.
pub fn message_names() -> impl Iterator<Item = &'static str> {
    MESSAGES.iter().map(|(name, _)| *name)
}

static MESSAGES: LazyLock<Vec<(&'static str, Type)>> = LazyLock::new(messages);

fn list(of: Type, bound: u64) -> Type {
    List(Box::new(of), bound)
}

fn option(of: Type) -> Type {
    Type::Choice(vec![Arm::Unit(Value::Null), Arm::Plain(of)])
}

fn u32() -> Type {
    Uint(32)
}

fn u64() -> Type {
    Uint(64)
}

fn boolean() -> Type {
    Type::Choice(vec![Arm::Unit(json!(false)), Arm::Unit(json!(true))])
}

fn counters() -> Type {
    Struct(vec![
        ("epoch", u64()),
        ("revision", u64()),
        ("generation", u64()),
        ("files", u32()),
        ("symbols", u64()),
        ("digest", Raw16),
    ])
}

fn content() -> Type {
    let text = Arm::Named("text", Text(UNBOUNDED));
    Type::Choice(vec![text, Arm::Unit(json!("gone")), Arm::Named("skipped", Text(128))])
}

fn hit() -> Type {
    Struct(vec![
        ("name", Text(UNBOUNDED)),
        ("kind", Below(KINDS)),
        ("container", Text(UNBOUNDED)),
        ("path", Text(UNBOUNDED)),
        ("line", u32()),
        ("column", u32()),
        ("score", u32()),
    ])
}

fn listed() -> Type {
    Struct(vec![
        ("name", Text(UNBOUNDED)),
        ("kind", Below(KINDS)),
        ("container", Text(UNBOUNDED)),
        ("line", u32()),
        ("column", u32()),
    ])
}

fn messages() -> Vec<(&'static str, Type)> {
    let path = || ("path", Text(4096));
    let shard = || ("shard", u32());
    let sync = || ("sync", u64());
    let changed = || Struct(vec![("applied", u32()), ("counters", counters())]);
    let cached = Struct(vec![
        shard(),
        ("revision", u64()),
        ("generation", u64()),
        ("symbols", u64()),
        ("digest", Raw16),
    ]);
    let entry = Struct(vec![path(), ("hash", option(Raw16))]);
    let loaded = Struct(vec![("entry", u32()), ("rev", u64()), ("content", content())]);
    let listed_file = Struct(vec![path(), ("symbols", list(listed(), 65_536))]);
    let of_shard = Struct(vec![
        shard(),
        ("counters", counters()),
        ("current", boolean()),
        ("skipped", u32()),
        ("memory", u64()),
        ("disk", u64()),
    ]);
    let state = Type::Choice(["off", "on", "failed"].map(|state| Arm::Unit(json!(state))).to_vec());
    let cache = Struct(vec![("state", state), ("loaded", u32()), ("written", u32()), ("problem", Text(512))]);
    let stats = Struct(vec![
        ("pid", u32()),
        ("parsed", u64()),
        ("received", u64()),
        ("cache", cache),
        ("shards", list(of_shard, 16_384)),
        ("skipped", list(Struct(vec![shard(), path(), ("reason", Text(128))]), 64)),
    ]);
    let pages = Arm::Named("pages", boolean());
    vec![
        (
            "WorkerHello",
            Struct(vec![
                ("claim", Ranges(256)),
                ("token", option(Text(1024))),
                ("cached", list(cached, 32)),
                ("build", Text(128)),
            ]),
        ),
        ("WorkerWelcome", Struct(vec![("worker_id", u64()), ("epoch", u64()), ("build", Text(128))])),
        (
            "SyncShard",
            Struct(vec![
                shard(),
                ("key", Raw16),
                ("epoch", u64()),
                sync(),
                ("rev", u64()),
                ("files", u32()),
                ("digest", option(Raw16)),
            ]),
        ),
        ("SyncShardAnswer", Type::Choice(vec![Arm::Named("counters", counters()), pages])),
        ("SyncPage", Struct(vec![shard(), sync(), ("first", u32()), ("entries", list(entry, 16_384))])),
        ("SyncPageAnswer", Struct(vec![("wanted", Ranges(16_384))])),
        ("LoadFiles", Struct(vec![shard(), sync(), ("files", list(loaded, 4096))])),
        ("LoadFilesAnswer", Struct(vec![("files", u32()), ("symbols", u64())])),
        ("IndexShard", Struct(vec![shard(), sync()])),
        ("IndexShardAnswer", counters()),
        (
            "UpdateFile",
            Struct(vec![shard(), ("epoch", u64()), ("rev", u64()), path(), ("text", Text(UNBOUNDED))]),
        ),
        ("UpdateFileAnswer", changed()),
        (
            "RemoveFiles",
            Struct(vec![shard(), ("epoch", u64()), ("rev", u64()), ("paths", list(Text(UNBOUNDED), 4096))]),
        ),
        ("RemoveFilesAnswer", changed()),
        (
            "SearchSymbols",
            Struct(vec![
                ("shards", Ranges(256)),
                ("query", Text(1024)),
                ("kinds", Uint(16)),
                ("limit", u32()),
            ]),
        ),
        (
            "SearchSymbolsAnswer",
            Struct(vec![("hits", list(hit(), 10_000)), ("truncated", boolean()), ("warming", Ranges(256))]),
        ),
        ("ListSymbols", Struct(vec![shard(), ("from", Text(4096)), ("skip", u32()), ("limit", u32())])),
        ("ListSymbolsAnswer", Struct(vec![("files", list(listed_file, 65_536)), ("more", boolean())])),
        ("GetWorkerStats", Struct(Vec::new())),
        ("GetWorkerStatsAnswer", stats),
        ("Shutdown", Struct(Vec::new())),
        ("ShutdownAnswer", Struct(Vec::new())),
    ]
}
