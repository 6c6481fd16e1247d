//! What an earlier implementation of this design got wrong, each as a test. What concerns processes is tested with them, in
//! `conformance/tests/e2e`.

use std::sync::Arc;

use nova_proto_core::messages::{IndexShard, ManifestEntry, ManifestPage, SymbolHit, SyncShard, merge};
use nova_worker::index::{KindSet, Query, Snapshot};
use nova_worker::shard::{Arrival, Arrived, Image, ParsedFile, Shard};
use nova_worker::{content_hash, java};

const EPOCH: u64 = 7;

fn parsed(text: &str) -> ParsedFile {
    ParsedFile { hash: content_hash(text), outline: Arc::new(java::extract(text)) }
}

fn sync(number: u64, files: &[&str]) -> SyncShard {
    let files = files.len() as u32;
    SyncShard { shard: 0, key: [1; 16], epoch: EPOCH, sync: number, rev: number, files, digest: None }
}

fn page<'a>(paths: &[&'a str]) -> ManifestPage<'a> {
    let entries = paths.iter().map(|path| ManifestEntry { path, hash: None }).collect();
    ManifestPage { first: 0, entries }
}

/// A shard of these files, each with its text, committed.
fn shard(number: u64, files: &[(&str, &str)]) -> Shard {
    let mut shard = Shard::new(0);
    let paths: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
    shard.begin(&sync(number, &paths)).expect("begun");
    shard.page(number, &page(&paths)).expect("a page");
    let arrival = |(entry, (_, text)): (u32, &(&str, &str))| Arrival {
        entry,
        rev: number,
        file: Arrived::Parsed(parsed(text)),
    };
    shard.load(number, (0..).zip(files).map(arrival).collect()).expect("loaded");
    shard.commit(&IndexShard { shard: 0, sync: number }).expect("committed");
    shard
}

fn found(snapshot: &Snapshot, query: &str) -> Vec<SymbolHit> {
    let query = Query::parse(query, KindSet::ALL).expect("a query");
    snapshot.search(&query, 100).hits
}

fn names(snapshot: &Snapshot, query: &str) -> Vec<String> {
    found(snapshot, query).into_iter().map(|hit| hit.name).collect()
}

fn declared(text: &str) -> Vec<String> {
    java::extract(text).iter().map(|symbol| symbol.name.to_owned()).collect()
}

/// A filter by trigrams dropped abbreviations whenever some other symbol of the shard contained the letters in a row.
#[test]
fn what_is_found_depends_on_no_other_symbol_of_the_shard() {
    let (long, short) = ("class NullPointerException {}", "class OpenPeer {}");
    let together = shard(1, &[("A.java", long), ("B.java", short)]).snapshot();
    let apart = [&[("A.java", long)][..], &[("B.java", short)]].map(|files| shard(1, files).snapshot());
    let query = Query::parse("npe", KindSet::ALL).expect("a query");
    let merged = merge(apart.iter().map(|snapshot| ((), snapshot.search(&query, 100))), 100);
    assert_eq!(names(&together, "npe"), ["NullPointerException", "OpenPeer"]);
    assert!(merged.hits.into_iter().map(|(_, hit)| hit).eq(found(&together, "npe")));
}

/// Only classes were found, and a brace in a character literal lost the class around it.
#[test]
fn every_kind_of_declaration_in_one_file_is_found() {
    let text = "enum E { RED } interface I { void m(); } record R(int px) {} @interface N { int v(); }
        class Ov { int a1, b1; Ov() {} Ov(int i) {} void foo() {} void foo(int i) {} char c = '{'; class Inner { void deep() {} } }
        class été { }";
    assert_eq!(
        declared(text),
        [
            "E", "RED", "I", "m", "R", "px", "N", "v", "Ov", "a1", "b1", "Ov", "Ov", "foo", "foo", "c",
            "Inner", "deep", "été"
        ]
    );
}

/// Columns were counted in bytes by one function and line ends differently by two.
#[test]
fn places_are_counted_one_way() {
    for end in ["\n", "\r", "\r\n"] {
        let outline = java::extract(&format!("// 😀{end}/* 😀 */ class A {{}}{end}class B {{}}"));
        let places: Vec<_> = outline.iter().map(|symbol| (symbol.line, symbol.column)).collect();
        assert_eq!(places, [(2, 16), (3, 7)], "{end:?}");
    }
}

/// A cached index of revision 57 beat everything that a new router indexed, as that counted from 1.
#[test]
fn a_cached_index_with_high_counters_does_not_outrank_a_fresh_one() {
    let stale: Image = shard(57, &[("A.java", "class Stale {}")]).image().expect("it is committed");
    for cache_first in [true, false] {
        let mut worker = Shard::new(0);
        if cache_first {
            worker.bind([1; 16], Some(stale.clone()));
            assert_eq!(names(&worker.snapshot(), ""), ["Stale"], "until it is known to be wrong");
        }
        worker.begin(&SyncShard { epoch: EPOCH + 1, ..sync(1, &["A.java"]) }).expect("begun");
        worker.page(1, &page(&["A.java"])).expect("a page");
        let file = Arrived::Parsed(parsed("class Fresh {}"));
        worker.load(1, vec![Arrival { entry: 0, rev: 1, file }]).expect("loaded");
        worker.commit(&IndexShard { shard: 0, sync: 1 }).expect("committed");
        worker.bind([1; 16], Some(stale.clone()));
        assert_eq!(names(&worker.snapshot(), ""), ["Fresh"]);
    }
}

/// The cache was found by the shard's position in the list of roots, so another root's symbols appeared.
#[test]
fn a_cache_of_another_root_is_none() {
    let image = shard(3, &[("A.java", "class Alpha {}")]).image().expect("it is committed");
    let mut other = Shard::new(0);
    other.bind([2; 16], Some(image));
    assert_eq!(names(&other.snapshot(), ""), [""; 0]);
}

/// After a restart with no usable cache one update made an index of one file, and nothing said so.
#[test]
fn an_update_before_the_first_sync_does_not_pass_for_an_index() {
    let mut worker = Shard::new(0);
    assert!(worker.update(EPOCH, 9, "A.java", parsed("class Alpha {}")).is_err(), "it has no epoch yet");
    assert!(!worker.is_current());
}

/// A batch that was read before an edit overwrote it when it came after.
#[test]
fn a_late_batch_does_not_overwrite_a_newer_update() {
    let mut worker = shard(1, &[("A.java", "class Saved {}")]);
    worker.begin(&sync(2, &["A.java"])).expect("begun");
    worker.page(2, &page(&["A.java"])).expect("a page");
    worker.update(EPOCH, 3, "A.java", parsed("class Unsaved {}")).expect("taken");
    let file = Arrived::Parsed(parsed("class Saved {}"));
    worker.load(2, vec![Arrival { entry: 0, rev: 2, file }]).expect("loaded");
    worker.commit(&IndexShard { shard: 0, sync: 2 }).expect("committed");
    assert_eq!(names(&worker.snapshot(), ""), ["Unsaved"]);
}

/// An index run that was given up half-way had already replaced the list of files.
#[test]
fn a_sync_that_is_given_up_half_way_loses_nothing() {
    let mut worker = shard(1, &[("A.java", "class Alpha {}"), ("B.java", "class Beta {}")]);
    worker.begin(&sync(2, &["C.java"])).expect("begun");
    worker.page(2, &page(&["C.java"])).expect("a page");
    assert!(worker.commit(&IndexShard { shard: 0, sync: 2 }).is_err(), "C.java is lacking");
    assert_eq!(names(&worker.snapshot(), ""), ["Alpha", "Beta"]);
    assert!(!worker.is_current());
}

/// Equal scores came in the order of the worker's own numbers, and names were measured in bytes.
#[test]
fn equal_scores_have_one_order_everywhere() {
    let text = "class T { void same() {} void same(int i) {} }";
    let files = ["b/T.java", "a/T.java", "c/T.java"].map(|path| (path, text));
    let mut orders: Vec<Vec<(String, u32, u32)>> = Vec::new();
    for turn in 0..3 {
        let mut files = files;
        files.rotate_left(turn);
        let snapshot = Snapshot::new(files.map(|(path, text)| (path.into(), Arc::new(java::extract(text)))));
        let places = found(&snapshot, "same").into_iter().map(|hit| (hit.path, hit.line, hit.column));
        orders.push(places.collect());
    }
    assert!(orders[0].is_sorted() && orders[0].len() == 6, "{orders:?}");
    assert!(orders.iter().all(|order| *order == orders[0]), "{orders:?}");
    let umlauts = Snapshot::new([("A.java".into(), Arc::new(java::extract("class äbc {} class abcd {}")))]);
    let scores: Vec<u32> = found(&umlauts, "bc").iter().map(|hit| hit.score).collect();
    assert!(
        names(&umlauts, "bc")[0] == "äbc" && scores[0] > scores[1],
        "three characters are fewer than four"
    );
}
