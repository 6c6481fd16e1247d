//! The bytes of every message: fixed for ever, canonical, and bounded while they are decoded.

use std::fmt::Debug;

use nova_proto_core::messages::{
    CachedIndex, Content, FileBatch, GetWorkerStats, IndexShard, ListSymbols, ListedFile, ListedSymbol,
    LoadFiles, LoadReply, LoadedFile, ManifestEntry, ManifestPage, Method, PageReply, RemoveFiles,
    SearchReply, SearchSymbols, ShardCounters, ShardRange, ShardStats, Shutdown, Stopping, SymbolHit,
    SymbolKind, SymbolPage, SyncPage, SyncReply, SyncShard, UpdateFile, UpdateReply, WorkerHello,
    WorkerStats, WorkerWelcome, decode, encode,
};
use serde::{Deserialize, Serialize};

/// The message has these bytes, and they read back as the message; no prefix and no continuation of them does.
fn golden<'a, T>(message: &T, hex: &'a str)
where
    T: Serialize + for<'b> Deserialize<'b> + Debug + PartialEq,
{
    let bytes = encode(message);
    let shown: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(shown, hex.replace([' ', '\n'], ""), "{message:?}");
    assert_eq!(&decode::<T>(&bytes).expect("it reads back"), message);
    for end in 0..bytes.len() {
        assert!(decode::<T>(&bytes[..end]).is_err(), "{message:?} cut at {end}");
    }
    assert!(decode::<T>(&[&bytes[..], &[0]].concat()).is_err(), "{message:?} and one byte more");
}

/// Like [`golden`], for messages that borrow from their bytes.
macro_rules! golden_borrowed {
    ($type:ident, $message:expr, $hex:expr) => {
        let (message, hex) = ($message, $hex.replace([' ', '\n'], ""));
        let bytes = encode(&message);
        let shown: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(shown, hex, "{message:?}");
        assert_eq!(decode::<$type<'_>>(&bytes).expect("it reads back"), message);
        for end in 0..bytes.len() {
            assert!(decode::<$type<'_>>(&bytes[..end]).is_err(), "{message:?} cut at {end}");
        }
        assert!(decode::<$type<'_>>(&[&bytes[..], &[0]].concat()).is_err(), "{message:?} and one byte more");
    };
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
    golden(&SyncReply::Current(COUNTERS), &format!("00 {}", counters_hex()));
    golden(&SyncReply::SendPages { hashes: true }, "01 01");
    let entries =
        vec![ManifestEntry { path: "a/B.java", hash: None }, ManifestEntry { path: "é", hash: Some(KEY) }];
    golden_borrowed!(
        SyncPage,
        SyncPage { shard: 7, sync: 1, page: ManifestPage { first: 128, entries } },
        format!("07 01 8001 02 08 612f422e6a617661 00 02 c3a9 01 {KEY_HEX}")
    );
    golden(&PageReply { wanted: vec![(0, 1), (5, 300)] }, "02 00 01 05 ac02");
    let file = |entry, content| LoadedFile { entry, rev: 9, content };
    let files = vec![file(0, Content::Text("class A{}")), file(1, Content::Gone), file(2, Content::Skipped)];
    golden_borrowed!(
        LoadFiles,
        LoadFiles { shard: 7, sync: 1, files: FileBatch(files) },
        "07 01 03 00 09 00 09 636c61737320417b7d 01 09 01 02 09 02".to_owned()
    );
    golden(&LoadReply { files: 3, symbols: 1 }, "03 01");
    golden(&IndexShard { shard: 7, sync: 1 }, "07 01");
}

#[test]
fn updates() {
    golden_borrowed!(
        UpdateFile,
        UpdateFile { shard: 1, epoch: 2, rev: 3, path: "A", text: "" },
        "01 02 03 01 41 00".to_owned()
    );
    golden_borrowed!(
        RemoveFiles,
        RemoveFiles { shard: 1, epoch: 2, rev: 3, paths: vec!["A", "B"] },
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
        ListSymbols,
        ListSymbols { shard: 1, from: "A", skip: 2, limit: 300 },
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
        SymbolPage,
        SymbolPage { files: vec![ListedFile { path: "A", symbols: vec![symbol] }], more: false },
        "01 01 41 01 01 78 0b 00 01 02 00".to_owned()
    );
}

#[test]
fn management() {
    golden(&GetWorkerStats {}, "");
    let shard = ShardStats { shard: 1, counters: COUNTERS, current: true, memory: 128 };
    golden(
        &WorkerStats { pid: 1000, shards: vec![shard] },
        &format!("e807 01 01 {} 01 8001", counters_hex()),
    );
    golden(&Shutdown {}, "");
    golden(&Stopping {}, "");
}

#[test]
fn method_numbers_never_change() {
    assert_eq!(
        [
            SyncShard::NUMBER,
            LoadFiles::NUMBER,
            IndexShard::NUMBER,
            SyncPage::NUMBER,
            UpdateFile::NUMBER,
            RemoveFiles::NUMBER,
            SearchSymbols::NUMBER,
            ListSymbols::NUMBER,
            GetWorkerStats::NUMBER,
            Shutdown::NUMBER,
        ],
        [0x100, 0x101, 0x102, 0x103, 0x200, 0x201, 0x300, 0x301, 0x400, 0x401]
    );
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
    let over = |count: u32, element: &[u8]| {
        let mut bytes = encode(&count).to_vec();
        bytes.extend(element.iter().copied().cycle().take(element.len() * count as usize));
        bytes
    };
    assert!(decode::<PageReply>(&over(16_384, &[1, 1])).is_ok());
    assert!(decode::<PageReply>(&over(16_385, &[1, 1])).is_err());
    // Announced and not there: nothing is reserved for it.
    assert!(decode::<PageReply>(&encode(&(1_u64 << 40))).is_err());
    let hello = |build: usize| WorkerHello { build: "b".repeat(build), ..WorkerHello::default() };
    assert!(decode::<WorkerHello>(&encode(&hello(128))).is_ok());
    assert!(decode::<WorkerHello>(&encode(&hello(129))).is_err());
    let query =
        |length: usize| SearchSymbols { shards: Vec::new(), query: "q".repeat(length), kinds: 0, limit: 0 };
    assert!(decode::<SearchSymbols>(&encode(&query(1024))).is_ok());
    assert!(decode::<SearchSymbols>(&encode(&query(1025))).is_err());
}
