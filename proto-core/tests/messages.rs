//! The bytes of every message: fixed for ever, canonical, and bounded while they are decoded.

use std::fmt::Debug;

use nova_proto_core::messages::{
    CacheState, CacheStats, CachedIndex, Content, FileBatch, GetWorkerStats, IndexShard, ListSymbols,
    ListedFile, ListedSymbol, LoadFiles, LoadReply, LoadedFile, ManifestEntry, ManifestPage, Method,
    PageReply, RemoveFiles, SearchReply, SearchSymbols, ShardCounters, ShardRange, ShardStats, Shutdown,
    SkippedFile, Stopping, SymbolHit, SymbolKind, SymbolPage, SyncPage, SyncReply, SyncShard, UpdateFile,
    UpdateReply, WorkerHello, WorkerStats, WorkerWelcome, decode, encode, method_name,
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
    let answers = table("### A.3 Messages");
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
    let rows = table("### A.3 Messages");
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
