//! The bytes of every message: fixed for ever, canonical, and bounded while they are decoded.

use std::fmt::Debug;

use nova_proto_core::messages::{
    AnsweredShards, CacheState, CacheStats, CachedIndex, ChangeReply, ClientForm, ClientHello, ClientWelcome,
    CloseOverlay, Content, FileBatch, FindReply, FindSymbols, FoundSymbol, GetRouterStatus, GetShards,
    GetSkipped, GetWorkerStats, IndexReply, IndexShard, IndexWorkspace, ListReply, ListSymbols,
    ListWorkspace, ListedFile, ListedSymbol, LoadFiles, LoadReply, LoadedFile, ManifestEntry, ManifestPage,
    Method, NotifyChanges, OpenOverlay, PageReply, RemoveFiles, RootReport, RouterStatus, SearchReply,
    SearchSymbols, ShardCounters, ShardPage, ShardPhase, ShardRange, ShardReport, ShardStats, Shutdown,
    SkippedEntry, SkippedFile, SkippedPage, StopRouter, Stopped, Stopping, SymbolHit, SymbolKind, SymbolPage,
    SyncPage, SyncReply, SyncShard, UpdateFile, UpdateReply, WorkerHello, WorkerReport, WorkerStats,
    WorkerWelcome, decode, encode, method_name,
};
use serde::{Deserialize, Serialize};

/// Like [`golden`], for messages that borrow from their bytes.
macro_rules! golden_borrowed {
    ($type:ty, $message:expr, $hex:expr) => {
        let (message, hex) = ($message, $hex.replace([' ', '\n'], ""));
        let bytes = encode(&message);
        let shown: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(shown, hex, "{message:?}");
        assert_eq!(&decode::<$type>(&bytes).expect("it reads back"), message);
        for end in 0..bytes.len() {
            assert!(decode::<$type>(&bytes[..end]).is_err(), "{message:?} cut at {end}");
            // A number written one byte longer, or, in a text or a digest, a byte too many.
            let padded = [&bytes[..end], &[bytes[end] | 0x80, 0], &bytes[end + 1..]].concat();
            assert!(decode::<$type>(&padded).is_err(), "{message:?} padded at {end}");
        }
        assert!(decode::<$type>(&[&bytes[..], &[0]].concat()).is_err(), "{message:?} and one byte more");
    };
}

/// The message has these bytes, written by hand, and they read back as the message. No prefix and no continuation of
/// them does, and nothing in them can be longer than need be.
fn golden<T>(message: &T, hex: &str)
where
    T: Serialize + for<'b> Deserialize<'b> + Debug + PartialEq,
{
    golden_borrowed!(T, message, hex);
}

const KEY: [u8; 16] = *b"0123456789abcdef";
const KEY_HEX: &str = "30313233343536373839616263646566";

const COUNTERS: ShardCounters =
    ShardCounters { epoch: 300, revision: 2, generation: 3, files: 4, symbols: 5, digest: KEY };

fn counters_hex() -> String {
    format!("ac02 02 03 04 05 {KEY_HEX}")
}

#[test]
fn the_handshake() {
    golden(
        &WorkerHello {
            claim: vec![ShardRange { first: 0, count: 200 }],
            token: Some("s3cret".into()),
            cached: vec![CachedIndex { shard: 1, revision: 2, generation: 3, symbols: 128, digest: KEY }],
            build: "w 1".to_owned(),
        },
        &format!("01 00 c801 01 06 733363726574 01 01 02 03 8001 {KEY_HEX} 03 772031"),
    );
    golden(&WorkerHello::default(), "00 00 00 00");
    golden(
        &WorkerWelcome { worker_id: 1, epoch: u64::MAX, build: String::new() },
        "01 ffffffffffffffffff01 00",
    );
}

#[test]
fn hydration() {
    let sync = SyncShard { shard: 7, key: KEY, epoch: 300, sync: 1, rev: 1, files: 2, digest: Some(KEY) };
    golden(&sync, &format!("07 {KEY_HEX} ac02 01 01 02 01 {KEY_HEX}"));
    golden(&SyncShard { digest: None, ..sync }, &format!("07 {KEY_HEX} ac02 01 01 02 00"));
    golden(&SyncReply::Current(COUNTERS), &format!("00 {}", counters_hex()));
    golden(&SyncReply::SendPages { hashes: true }, "01 01");
    golden(&SyncReply::SendPages { hashes: false }, "01 00");
    let entries =
        vec![ManifestEntry { path: "a/B.java", hash: None }, ManifestEntry { path: "é", hash: Some(KEY) }];
    golden_borrowed!(
        SyncPage<'_>,
        &SyncPage { shard: 7, sync: 1, page: ManifestPage { first: 128, entries } },
        format!("07 01 8001 02 08 612f422e6a617661 00 02 c3a9 01 {KEY_HEX}")
    );
    golden(&PageReply { wanted: vec![(0, 1), (5, 300)] }, "02 00 01 05 ac02");
    let file = |entry, content| LoadedFile { entry, rev: 9, content };
    let files =
        vec![file(0, Content::Text("class A{}")), file(1, Content::Gone), file(2, Content::Skipped("odd"))];
    golden_borrowed!(
        LoadFiles<'_>,
        &LoadFiles { shard: 7, sync: 1, files: FileBatch(files) },
        "07 01 03 00 09 00 09 636c61737320417b7d 01 09 01 02 09 02 03 6f6464".to_owned()
    );
    golden(&LoadReply { files: 3, symbols: 1 }, "03 01");
    golden(&IndexShard { shard: 7, sync: 1 }, "07 01");
    golden(&COUNTERS, &counters_hex());
}

#[test]
fn updates() {
    golden_borrowed!(
        UpdateFile<'_>,
        &UpdateFile { shard: 1, epoch: 2, rev: 3, path: "A", text: "" },
        "01 02 03 01 41 00".to_owned()
    );
    golden_borrowed!(
        RemoveFiles<'_>,
        &RemoveFiles { shard: 1, epoch: 2, rev: 3, paths: vec!["A", "B"] },
        "01 02 03 02 01 41 01 42".to_owned()
    );
    golden(&UpdateReply { applied: 1, counters: COUNTERS }, &format!("01 {}", counters_hex()));
}

#[test]
fn queries() {
    let range = ShardRange { first: 0, count: 3 };
    let search = SearchSymbols { shards: vec![range], query: "HaMa".to_owned(), kinds: 0x0fff, limit: 50 };
    golden(&search, "01 00 03 04 48614d61 ff1f 32");
    let hit = SymbolHit {
        name: "HashMap".to_owned(),
        kind: SymbolKind::Class,
        container: "java.util".to_owned(),
        path: "H.java".to_owned(),
        line: 139,
        column: 14,
        score: 0x9780_0001,
    };
    golden(
        &SearchReply { hits: vec![hit], truncated: true, warming: vec![range] },
        "01 07 486173684d6170 01 09 6a6176612e7574696c 06 482e6a617661 8b01 0e 8180 80bc09 01 01 00 03",
    );
    golden_borrowed!(
        ListSymbols<'_>,
        &ListSymbols { shard: 1, from: "A", skip: 2, limit: 300 },
        "01 01 41 02 ac02".to_owned()
    );
    let symbol = ListedSymbol {
        name: "x".to_owned(),
        kind: SymbolKind::Element,
        container: String::new(),
        line: 1,
        column: 2,
    };
    golden_borrowed!(
        SymbolPage<'_>,
        &SymbolPage { files: vec![ListedFile { path: "A", symbols: vec![symbol] }], more: false },
        "01 01 41 01 01 78 0b 00 01 02 00".to_owned()
    );
}

#[test]
fn management() {
    golden(&GetWorkerStats {}, "");
    let shard =
        ShardStats { shard: 1, counters: COUNTERS, current: true, skipped: 2, memory: 128, disk: 300 };
    let skipped = SkippedFile { shard: 1, path: "A".to_owned(), reason: "odd".to_owned() };
    let cache = CacheStats { state: CacheState::Failed, loaded: 3, written: 4, problem: "full".to_owned() };
    golden(
        &WorkerStats {
            pid: 1000,
            parsed: 5,
            received: 128,
            cache,
            shards: vec![shard],
            skipped: vec![skipped],
        },
        &format!(
            "e807 05 8001 02 03 04 04 66756c6c 01 01 {} 01 02 8001 ac02 01 01 01 41 03 6f6464",
            counters_hex()
        ),
    );
    golden(&Shutdown {}, "");
    golden(&Stopping {}, "");
}

#[test]
fn the_handshake_of_clients() {
    let hello = ClientHello { form: ClientForm, build: "ed 1".to_owned() };
    golden(&hello, "8102 04 65642031");
    golden(
        &ClientWelcome { client_id: 1, pid: 1000, build: "n".to_owned(), build_id: KEY },
        &format!("01 e807 01 6e {KEY_HEX}"),
    );
    // A worker's claim of 256 ranges begins with 256; nothing that begins with another number is a client's.
    for other in [0_u32, 1, 256, 258, u32::MAX] {
        assert!(decode::<ClientHello>(&encode(&(other, "ed 1"))).is_err(), "{other}");
    }
    assert!(decode::<WorkerHello>(&encode(&hello)).is_err());
    let ranges = (0..256).map(|first| ShardRange { first, count: 1 }).collect();
    let claim = encode(&WorkerHello { claim: ranges, ..WorkerHello::default() });
    assert!(decode::<WorkerHello>(&claim).is_ok() && decode::<ClientHello>(&claim).is_err());
}

#[test]
fn questions_of_clients() {
    let find =
        FindSymbols { query: "HaMa".to_owned(), kinds: 0x0fff, limit: 50, soft_ms: 2000, hard_ms: 10_000 };
    golden(&find, "04 48614d61 ff1f 32 d00f 904e");
    let symbol = SymbolHit {
        name: "A".to_owned(),
        kind: SymbolKind::Class,
        container: "p".to_owned(),
        path: "A.java".to_owned(),
        line: 1,
        column: 2,
        score: 300,
    };
    let shards = AnsweredShards { total: 4, answered: 3, warming: 1, failed: 200 };
    golden(
        &FindReply {
            hits: vec![FoundSymbol { root: 1, symbol }],
            truncated: true,
            shards,
            files: 5,
            skipped: 6,
        },
        "01 01 01 41 01 01 70 06 412e6a617661 01 02 ac02 01 04 03 01 c801 05 06",
    );
    golden(&IndexWorkspace { look: true }, "01");
    golden(
        &IndexReply { total: 4, ready: 2, failed: 1, files: 300, skipped: 1, problem: "odd".to_owned() },
        "04 02 01 ac02 01 03 6f6464",
    );
    golden(&ListWorkspace { begin: true }, "01");
    let symbol = ListedSymbol {
        name: "x".to_owned(),
        kind: SymbolKind::Element,
        container: String::new(),
        line: 1,
        column: 2,
    };
    golden_borrowed!(
        ListReply<'_>,
        &ListReply { root: 3, files: vec![ListedFile { path: "A", symbols: vec![symbol] }], more: true },
        "03 01 01 41 01 01 78 0b 00 01 02 01".to_owned()
    );
}

#[test]
fn changes_of_clients() {
    golden_borrowed!(
        NotifyChanges<'_>,
        &NotifyChanges { paths: vec!["/A", "/B"] },
        "02 02 2f41 02 2f42".to_owned()
    );
    golden_borrowed!(
        OpenOverlay<'_>,
        &OpenOverlay { path: "/A", text: "class A{}" },
        "02 2f41 09 636c61737320417b7d".to_owned()
    );
    golden_borrowed!(CloseOverlay<'_>, &CloseOverlay { path: "/A" }, "02 2f41".to_owned());
    golden(
        &ChangeReply { files: 2, waiting: 1, skipped: 1, first: vec![skipped()] },
        "02 01 01 01 01 01 41 04 676f6e65 03 6f6464",
    );
}

fn skipped() -> SkippedEntry {
    SkippedEntry { root: 1, path: "A".to_owned(), reason: "gone".to_owned(), detail: "odd".to_owned() }
}

#[test]
fn how_a_router_is() {
    golden(&GetRouterStatus {}, "");
    let cache = CacheStats { state: CacheState::On, loaded: 3, written: 4, problem: String::new() };
    let worker = WorkerReport { pid: 1000, parsed: 5, received: 128, memory: 6, disk: 7, cache };
    golden(
        &RouterStatus {
            uptime_ms: 300,
            listen: "unix:l".to_owned(),
            control: "unix:c".to_owned(),
            clients: 1,
            overlays: 2,
            overlay_bytes: 128,
            memory: Some(1000),
            left_out: 3,
            roots: vec![RootReport { path: "/w".to_owned(), shards: 9 }],
            workers: vec![worker],
        },
        "ac02 06 756e69783a6c 06 756e69783a63 01 02 8001 01 e807 03 01 02 2f77 09 01 e807 05 8001 06 07 01 03 04 00",
    );
    golden(&GetShards { first: 128 }, "8001");
    let shard = ShardReport {
        key: KEY,
        root: 1,
        source_root: "src".to_owned(),
        part: 2,
        parts: 3,
        phase: ShardPhase::Failed,
        reason: "odd".to_owned(),
        worker_pid: Some(1000),
        wanted: 4,
        files: 5,
        symbols: 6,
        bytes: 300,
        sent: 7,
        revision: 8,
    };
    golden(
        &ShardPage { total: 1, shards: vec![shard] },
        &format!("01 01 {KEY_HEX} 01 03 737263 02 03 04 03 6f6464 01 e807 04 05 06 ac02 07 08"),
    );
    golden(&GetSkipped { first: 1 }, "01");
    golden(&SkippedPage { total: 2, files: vec![skipped()] }, "02 01 01 01 41 04 676f6e65 03 6f6464");
    golden(&StopRouter {}, "");
    golden(&Stopped {}, "");
    for (number, phase) in [
        (0, ShardPhase::Ready),
        (1, ShardPhase::Warming),
        (2, ShardPhase::Waiting),
        (3, ShardPhase::Stale),
        (4, ShardPhase::Failed),
    ] {
        assert_eq!(encode(&phase)[..], [number], "{}", phase.as_str());
    }
}

#[test]
fn kinds_never_change() {
    let names =
        "module class interface enum record annotation method constructor field constant component element";
    for (number, name) in (0..).zip(names.split(' ')) {
        let kind: SymbolKind = name.parse().expect("a kind");
        assert_eq!(encode(&kind)[..], [number], "{name}");
        assert_eq!(decode::<SymbolKind>(&[number]), Ok(kind));
        assert_eq!(format!("{kind:>12}"), format!("{name:>12}"));
        let types = ["class", "interface", "enum", "record", "annotation"];
        assert_eq!(kind.is_type(), types.contains(&name));
    }
    assert!(decode::<SymbolKind>(&[12]).is_err(), "a new kind takes new methods");
}

/// The rows below a heading of the specification, cells trimmed of blanks and backticks.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    include_str!("../../docs/PROTOCOL.md")
        .lines()
        .skip_while(|line| *line != heading)
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect()
}

/// Numbers and longest answers are those of the specification, where each method has its family; what is reserved
/// has no message.
#[test]
fn methods_are_those_of_the_specification() {
    macro_rules! methods {
        ($($method:ty: $name:literal,)*) => {
            [$(($name, <$method>::NUMBER, <$method>::REPLY_MAX),)*]
        };
    }
    let mut ours = methods![
        SyncShard: "SyncShard",
        LoadFiles<'_>: "LoadFiles",
        IndexShard: "IndexShard",
        SyncPage<'_>: "SyncPage",
        UpdateFile<'_>: "UpdateFile",
        RemoveFiles<'_>: "RemoveFiles",
        SearchSymbols: "SearchSymbols",
        ListSymbols<'_>: "ListSymbols",
        GetWorkerStats: "GetWorkerStats",
        Shutdown: "Shutdown",
        FindSymbols: "FindSymbols",
        IndexWorkspace: "IndexWorkspace",
        NotifyChanges<'_>: "NotifyChanges",
        OpenOverlay<'_>: "OpenOverlay",
        CloseOverlay<'_>: "CloseOverlay",
        ListWorkspace: "ListWorkspace",
        GetRouterStatus: "GetRouterStatus",
        GetShards: "GetShards",
        GetSkipped: "GetSkipped",
        StopRouter: "StopRouter",
    ];
    for (name, number, _) in &ours {
        assert_eq!(method_name(*number), *name);
    }
    assert_eq!(method_name(0x0500), "unknown", "reserved, and not of this version");
    ours.sort_unstable();
    let hex = |text: &str| u16::from_str_radix(text.trim_start_matches("0x"), 16).expect("a number");
    let size = |text: &str| {
        let (number, unit) = text.split_once(' ').expect("a number and its unit");
        let unit = [("KiB", 1 << 10), ("MiB", 1 << 20)].into_iter().find(|(name, _)| *name == unit);
        number.parse::<u32>().expect("a number") * unit.expect("a unit").1
    };
    let numbers = table("### 21.4 Methods");
    let answers = [table("### A.3 Messages"), table("### A.9 Messages of clients")].concat();
    let mut stated: Vec<(&str, u16, u32)> = numbers
        .iter()
        .filter(|row| row[3] == "3.0")
        .map(|row| {
            let answer = answers.iter().find(|answer| answer[0] == row[1]);
            (row[1], hex(row[0]), size(answer.expect("a message").last().expect("its longest answer")))
        })
        .collect();
    stated.sort_unstable();
    assert_eq!(stated, ours);
    assert_eq!(answers.len(), ours.len(), "no message without a number");
    let numbers_of: std::collections::BTreeSet<u16> = numbers.iter().map(|row| hex(row[0])).collect();
    assert_eq!(numbers_of.len(), numbers.len(), "each number once");
}

/// The document states what decoding may hold; the numbers are measured in `amplification.rs`.
#[test]
fn bounds_are_those_of_the_specification() {
    let rows = [table("### A.3 Messages"), table("### A.9 Messages of clients")].concat();
    let row = |name: &str| rows.iter().find(|row| row[0] == name).expect("a row").join(" ");
    for (name, bound) in [
        ("SyncPage", "16384"),
        ("LoadFiles", "4096"),
        ("RemoveFiles", "4096"),
        ("SearchSymbols", "ranges<256>"),
        ("SearchSymbols", "text<1024>"),
        ("SearchSymbols", "10000"),
        ("ListSymbols", "65536"),
        ("GetWorkerStats", "16384"),
        ("UpdateFile", "text<4096>"),
        ("FindSymbols", "text<1024>"),
        ("FindSymbols", "10000"),
        ("NotifyChanges", "4096"),
        ("OpenOverlay", "text<4096>"),
        ("ListWorkspace", "65536"),
        ("GetRouterStatus", "1024"),
        ("GetShards", "4096"),
        ("GetSkipped", "4096"),
    ] {
        assert!(row(name).contains(bound), "{name}: {bound}");
    }
}

#[test]
fn numbers_longer_than_need_be_are_refused() {
    assert!(decode::<IndexShard>(&[0x87, 0x00, 0x01]).is_err(), "the shard");
    assert!(decode::<PageReply>(&[0x80, 0x00]).is_err(), "the length of a list");
    assert!(decode::<SyncReply>(&[0x81, 0x00, 0x01]).is_err(), "the variant");
    assert!(decode::<SyncReply>(&[0x01, 0x02]).is_err(), "a bool is 0 or 1");
    assert!(decode::<SyncReply>(&[0x02]).is_err(), "there is no third variant");
}

#[test]
fn lists_and_texts_over_their_bounds_are_refused_however_small_their_elements() {
    let page = |count: u32| encode(&PageReply { wanted: (0..count).map(|first| (first, 1)).collect() });
    assert!(decode::<PageReply>(&page(16_384)).is_ok());
    assert!(decode::<PageReply>(&page(16_385)).is_err());
    // Announced and not there: nothing is reserved for it.
    assert!(decode::<PageReply>(&encode(&(1_u64 << 40))).is_err());
    let path = |length: usize| {
        let path = "p".repeat(length);
        encode(&SymbolPage { files: vec![ListedFile { path: &path, symbols: Vec::new() }], more: false })
    };
    assert!([4095, 4096].iter().all(|length| decode::<SymbolPage<'_>>(&path(*length)).is_ok()));
    assert!(decode::<SymbolPage<'_>>(&path(4097)).is_err());
    let hello = |build: usize| WorkerHello { build: "b".repeat(build), ..WorkerHello::default() };
    assert!(decode::<WorkerHello>(&encode(&hello(128))).is_ok());
    assert!(decode::<WorkerHello>(&encode(&hello(129))).is_err());
    let query =
        |length: usize| SearchSymbols { shards: Vec::new(), query: "q".repeat(length), kinds: 0, limit: 0 };
    assert!(decode::<SearchSymbols>(&encode(&query(1024))).is_ok());
    assert!(decode::<SearchSymbols>(&encode(&query(1025))).is_err());
}
