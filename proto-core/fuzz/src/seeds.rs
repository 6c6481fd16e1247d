//! Inputs to begin with: the bytes of the specification and of the tests, recorded sessions, and programs.

use std::time::Instant;

use bytes::Bytes;
use nova_proto_core::compress::compress;
use nova_proto_core::messages::{
    CachedIndex, ChangeReply, ClientHello, ClientWelcome, CloseOverlay, Content, FileBatch, FindReply,
    FindSymbols, FoundSymbol, GetShards, GetSkipped, IndexReply, IndexShard, IndexWorkspace, ListReply,
    ListSymbols, ListWorkspace, ListedFile, ListedSymbol, LoadFiles, LoadReply, LoadedFile, ManifestEntry,
    ManifestPage, NotifyChanges, OpenOverlay, PageReply, RemoveFiles, RootReport, RouterStatus, SearchReply,
    SearchSymbols, ShardCounters, ShardPage, ShardPhase, ShardRange, ShardReport, ShardStats, SkippedEntry,
    SkippedPage, SymbolHit, SymbolKind, SymbolPage, SyncPage, SyncReply, SyncShard, UpdateFile, UpdateReply,
    WorkerHello, WorkerReport, WorkerStats, WorkerWelcome, encode,
};
use nova_proto_core::{Call, Config, Connection, Event, Role};

use crate::common::document::examples;
use crate::common::pattern;
use crate::common::rng::Rng;
use crate::common::traffic::{traffic, violations};
use crate::common::victim::{KINDS, ready};
use crate::common::wire::{self, Offer};

/// Longer seeds slow everything down and find nothing more.
const LONGEST: usize = 12 * 1024;

/// For each target its seeds.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let mut all = vec![
        ("frames", frames()),
        ("handshake", handshakes()),
        ("splits", splits()),
        ("router", sessions(Role::Router)),
        ("worker", sessions(Role::Worker)),
        ("pair", pairs()),
        ("messages", messages()),
        ("decompress", compressed()),
    ];
    all.iter_mut().for_each(|(_, seeds)| seeds.retain(|seed| seed.len() <= LONGEST));
    all
}

/// Without their length: the kind, and what stands behind it.
fn frames() -> Vec<Vec<u8>> {
    let documented = examples().into_iter().filter(|(name, _)| *name != "Preface").map(|(_, bytes)| bytes);
    let tested = KINDS.map(|kind| ready(kind).1.bytes());
    documented.chain(tested).chain(violations()).filter_map(|frame| Some(frame.get(4..)?.to_vec())).collect()
}

fn handshakes() -> Vec<Vec<u8>> {
    let hello = WorkerHello { claim: vec![ShardRange { first: 0, count: 9 }], ..WorkerHello::default() };
    let offers = [
        Offer { app: encode(&hello).to_vec(), ..Offer::default() },
        Offer { versions: vec![(3, 1)], compression: vec![1], ..Offer::default() },
        Offer { versions: vec![(5, 0), (3, 9)], features: 0, ..Offer::default() },
        Offer { versions: vec![(2, 0)], ..Offer::default() },
    ];
    let mut streams: Vec<Vec<u8>> = offers
        .iter()
        .flat_map(|offer| [Role::Worker, Role::Router].map(|role| offer.opening(role)))
        .collect();
    let documented = examples();
    for name in ["Hello", "HelloWithGrease", "Welcome", "Reject"] {
        streams.push([&wire::PREFACE[..], &documented[name]].concat());
    }
    streams.push(b"GET / HTTP/1.1\r\n".to_vec());
    // Every choice of role and configuration, as the target reads it.
    let choices = [0, 1, 2, 3, 4, 5, 18, 19, 32];
    choices
        .iter()
        .flat_map(|choice| streams.iter().map(|stream| [&[*choice], &stream[..]].concat()))
        .collect()
}

fn splits() -> Vec<Vec<u8>> {
    let legal = (0..60).map(|seed| traffic(&mut Rng::new(seed)).concat());
    let streams = legal.chain(violations()).chain(recorded());
    let states = [[0, 1], [1, 2], [2, 3], [3, 4]];
    streams.flat_map(|stream| states.map(|state| [&state[..], &stream].concat())).collect()
}

/// What a worker and a router have sent each other: requests of each kind, and their answers.
fn recorded() -> [Vec<u8>; 2] {
    let now = Instant::now();
    let mut sides = [Role::Router, Role::Worker]
        .map(|role| Connection::new(Config::new(role), now).expect("the defaults are good"));
    let mut streams = [Vec::new(), Vec::new()];
    let mut idle = 0;
    while idle < 4 {
        for me in [0, 1] {
            idle += 1;
            while let Some(event) = sides[me].poll_event() {
                match event {
                    Event::Hello { .. } => sides[me].accept(Bytes::from_static(b"in")).expect("asked"),
                    Event::Connected { .. } => {
                        for length in [0, 10, 5000] {
                            sides[me].call(Call::new(7, pattern(1, length)), now).expect("there is room");
                        }
                    }
                    Event::Request(request) => sides[me].respond(request.id, request.body).expect("owed"),
                    _ => {}
                }
            }
            let mut sent = Vec::new();
            if sides[me].poll_transmit(&mut sent, 1000) > 0 {
                idle = 0;
            }
            sides[1 - me].receive(&sent, now);
            streams[me].extend(sent);
        }
    }
    streams
}

/// The peer's recorded stream as a program, and programs at random.
fn sessions(role: Role) -> Vec<Vec<u8>> {
    let stream = &recorded()[usize::from(role == Role::Router)];
    let deliver_and_decide = [5, 10, 2, 11, 0, 0, 10, 2];
    let recorded = [1, 200].map(|cut: usize| {
        let mut program = vec![0, 8];
        for (n, piece) in stream.chunks(cut.max(stream.len() / 30).min(255)).enumerate() {
            program.extend([0, piece.len() as u8]);
            program.extend(piece);
            if n % cut == 0 {
                program.extend(deliver_and_decide);
            }
        }
        program
    });
    let random = (0..60).map(|seed| {
        let mut rng = Rng::new(seed);
        let length = 20 + rng.index(400);
        // Half of them with the peer's rules kept at first.
        [&[seed as u8, (seed as u8) & 7], &rng.bytes(length)[..]].concat()
    });
    recorded.into_iter().chain(random).collect()
}

fn pairs() -> Vec<Vec<u8>> {
    let connect = [9, 0, 0, 0, 9];
    let program = |seed: u64| {
        let mut rng = Rng::new(seed);
        let mut program = vec![rng.next() as u8, rng.next() as u8];
        program.extend(connect);
        for _ in 0..rng.between(5, 100) {
            // Both sides, and mostly nothing that spoils.
            let instruction = if seed % 4 == 0 { rng.below(16) } else { rng.below(10) };
            program.push(instruction as u8 | rng.pick(&[0, 0x80]));
            let arguments = rng.index(6);
            program.extend((0..arguments).map(|_| rng.below(20) as u8));
        }
        program
    };
    (0..60).map(program).collect()
}

/// One of each type, in the order of [`CHECKS`](crate::targets::messages::CHECKS).
fn messages() -> Vec<Vec<u8>> {
    let ranges = vec![ShardRange { first: 0, count: 200 }, ShardRange { first: 300, count: 1 }];
    let counters = ShardCounters { epoch: 300, revision: 2, symbols: 5, ..ShardCounters::default() };
    let cached = CachedIndex { shard: 1, revision: 2, generation: 3, symbols: 128, digest: [7; 16] };
    let (name, container) = ("HashMap".to_owned(), "java.util".to_owned());
    let listed = ListedSymbol {
        name: name.clone(),
        kind: SymbolKind::Class,
        container: container.clone(),
        line: 1,
        column: 300,
    };
    let path = "java/util/HashMap.java".to_owned();
    let hit =
        SymbolHit { name, kind: SymbolKind::Class, container, path, line: 139, column: 14, score: 1 << 30 };
    let entries =
        vec![ManifestEntry { path: "a/B", hash: None }, ManifestEntry { path: "é", hash: Some([1; 16]) }];
    let file = |entry, content| LoadedFile { entry, rev: 9, content };
    let files =
        vec![file(0, Content::Text("class A{}")), file(1, Content::Gone), file(2, Content::Skipped("odd"))];
    let token = Some("s3cret".into());
    let hello = WorkerHello { claim: ranges.clone(), token, cached: vec![cached], build: "w 1".to_owned() };
    let bodies = [
        encode(&hello),
        encode(&WorkerWelcome { worker_id: 1, epoch: u64::MAX, build: "r".to_owned() }),
        encode(&SyncShard {
            shard: 7,
            key: [2; 16],
            epoch: 300,
            sync: 1,
            rev: 1,
            files: 2,
            digest: Some([3; 16]),
        }),
        encode(&SyncReply::Current(counters)),
        encode(&SyncPage { shard: 7, sync: 1, page: ManifestPage { first: 128, entries } }),
        encode(&PageReply { wanted: vec![(0, 1), (5, 300)] }),
        encode(&LoadFiles { shard: 7, sync: 1, files: FileBatch(files) }),
        encode(&LoadReply { files: 3, symbols: 1 }),
        encode(&IndexShard { shard: 7, sync: 1 }),
        encode(&counters),
        encode(&UpdateFile { shard: 1, epoch: 2, rev: 3, path: "A", text: "class A {}" }),
        encode(&RemoveFiles { shard: 1, epoch: 2, rev: 3, paths: vec!["A", "B"] }),
        encode(&UpdateReply { applied: 1, counters }),
        encode(&SearchSymbols { shards: ranges.clone(), query: "HaMa".to_owned(), kinds: 0xfff, limit: 50 }),
        encode(&SearchReply { hits: vec![hit], truncated: true, warming: ranges }),
        encode(&ListSymbols { shard: 1, from: "A", skip: 2, limit: 300 }),
        encode(&SymbolPage { files: vec![ListedFile { path: "A", symbols: vec![listed] }], more: false }),
        Bytes::new(),
        encode(&WorkerStats {
            pid: 1,
            parsed: 2,
            received: 300,
            shards: vec![ShardStats { counters, memory: 128, ..ShardStats::default() }],
            ..WorkerStats::default()
        }),
        Bytes::new(),
        Bytes::new(),
    ];
    let bodies = bodies.into_iter().chain(clients());
    bodies.enumerate().map(|(number, body)| [&[number as u8], &body[..]].concat()).collect()
}

/// The messages of clients, in the same order.
fn clients() -> [Bytes; 21] {
    let symbol = SymbolHit {
        name: "HashMap".to_owned(),
        kind: SymbolKind::Class,
        container: "java.util".to_owned(),
        path: "H.java".to_owned(),
        line: 139,
        column: 14,
        score: 1 << 30,
    };
    let listed = ListedSymbol {
        name: "x".to_owned(),
        kind: SymbolKind::Field,
        container: String::new(),
        line: 1,
        column: 2,
    };
    let skipped =
        SkippedEntry { root: 1, path: "A".to_owned(), reason: "gone".to_owned(), detail: "odd".to_owned() };
    [
        encode(&ClientHello { build: "ed 1".to_owned(), ..ClientHello::default() }),
        encode(&ClientWelcome { client_id: 1, pid: 300, build: "n".to_owned(), build_id: [7; 16] }),
        encode(&FindSymbols { query: "HaMa".to_owned(), kinds: 0xfff, limit: 50, soft_ms: 1, hard_ms: 300 }),
        encode(&FindReply { hits: vec![FoundSymbol { root: 1, symbol }], ..FindReply::default() }),
        encode(&IndexWorkspace { look: true }),
        encode(&IndexReply { total: 4, problem: "odd".to_owned(), ..IndexReply::default() }),
        encode(&NotifyChanges { paths: vec!["/A", "/B"] }),
        encode(&OpenOverlay { path: "/A", text: "class A {}" }),
        encode(&CloseOverlay { path: "/A" }),
        encode(&ChangeReply { files: 2, waiting: 1, skipped: 1, first: vec![skipped.clone()] }),
        encode(&ListWorkspace { begin: true }),
        encode(&ListReply {
            root: 1,
            files: vec![ListedFile { path: "A", symbols: vec![listed] }],
            more: true,
        }),
        Bytes::new(),
        encode(&RouterStatus {
            memory: Some(300),
            roots: vec![RootReport { path: "/w".to_owned(), shards: 1 }],
            workers: vec![WorkerReport::default()],
            ..RouterStatus::default()
        }),
        encode(&GetShards { first: 300 }),
        encode(&ShardPage {
            total: 1,
            shards: vec![ShardReport { worker_pid: Some(1), ..ShardReport::default() }],
        }),
        encode(&GetSkipped { first: 1 }),
        encode(&SkippedPage { total: 1, files: vec![skipped] }),
        Bytes::new(),
        Bytes::new(),
        encode(&ShardPhase::Failed),
    ]
}

fn compressed() -> Vec<Vec<u8>> {
    let texts =
        [vec![7; 2000], b"class A { int x; } ".repeat(200), pattern(1, 3000).to_vec(), b"ab".repeat(70_000)];
    let mut seeds = Vec::new();
    for text in texts {
        let body = compress(text.clone().into(), true);
        for raw_len in [body.raw_len, body.raw_len / 2, 1 << 23] {
            seeds.push([&[0], &raw_len.to_le_bytes()[..], &body.bytes].concat());
        }
        seeds.push([&[1], &text[..]].concat());
    }
    seeds
}
