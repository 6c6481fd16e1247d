//! What a shard holds after syncs, updates and removals, in any order.

use std::sync::Arc;

use nova_proto_core::ErrorCode;
use nova_proto_core::messages::{Digest, IndexShard, ManifestEntry, ManifestPage, SyncReply, SyncShard};
use nova_worker::shard::{Arrival, Arrived, ParsedFile, Shard};
use nova_worker::{content_hash, java, manifest_digest};

const EPOCH: u64 = 7;

fn parsed(text: &str) -> ParsedFile {
    ParsedFile { hash: content_hash(text), outline: Arc::new(java::extract(text)) }
}

fn class(name: &str) -> String {
    format!("class {name} {{}}")
}

fn sync(number: u64, files: u32, digest: Option<Digest>) -> SyncShard {
    SyncShard { shard: 3, key: [0; 16], epoch: EPOCH, sync: number, rev: number, files, digest }
}

fn page<'a>(first: u32, entries: &[(&'a str, Option<&str>)]) -> ManifestPage<'a> {
    let entry =
        |&(path, text): &(&'a str, Option<&str>)| ManifestEntry { path, hash: text.map(content_hash) };
    ManifestPage { first, entries: entries.iter().map(entry).collect() }
}

fn arrival(entry: u32, rev: u64, text: Option<&str>) -> Arrival {
    Arrival {
        entry,
        rev,
        file: text.map_or_else(|| Arrived::Skipped("odd".into()), |text| Arrived::Parsed(parsed(text))),
    }
}

/// Runs a whole sync that brings every file.
fn fill(shard: &mut Shard, number: u64, files: &[(&str, &str)]) {
    shard.begin(&sync(number, files.len() as u32, None)).expect("begun");
    let entries: Vec<_> = files.iter().map(|(path, _)| (*path, None)).collect();
    let wanted = shard.page(number, &page(0, &entries)).expect("a page").wanted;
    let expected = (!files.is_empty()).then_some((0, files.len() as u32));
    assert_eq!(wanted, expected.into_iter().collect::<Vec<_>>());
    let arrivals = (0..).zip(files).map(|(entry, (_, text))| arrival(entry, number, Some(text)));
    shard.load(number, arrivals.collect()).expect("loaded");
    shard.commit(&IndexShard { shard: 3, sync: number }).expect("committed");
}

/// Path and first symbol of every file.
fn content(shard: &Shard) -> Vec<String> {
    let snapshot = shard.snapshot();
    let name = |outline: &nova_worker::Outline| outline.get(0).map(|symbol| symbol.name.to_owned());
    snapshot.iter().map(|(path, outline)| format!("{path}:{}", name(&outline).unwrap_or_default())).collect()
}

fn code(result: Result<impl std::fmt::Debug, nova_proto_core::ErrorReply>) -> ErrorCode {
    result.expect_err("refused").code
}

#[test]
fn a_sync_brings_the_manifest_and_nothing_else() {
    let mut shard = Shard::new(3);
    let (a, b, c) = (class("A"), class("B"), class("C"));
    fill(&mut shard, 1, &[("a", &a), ("b", &b)]);
    assert_eq!(content(&shard), ["a:A", "b:B"]);
    fill(&mut shard, 2, &[("b", &c), ("d", &a)]);
    assert_eq!(content(&shard), ["b:C", "d:A"]);
    assert!(shard.is_current());
    let counters = shard.counters();
    assert_eq!((counters.files, counters.symbols, counters.revision, counters.epoch), (2, 2, 2, EPOCH));
    assert_eq!(counters.digest, manifest_digest([("b", content_hash(&c)), ("d", content_hash(&a))]));
}

#[test]
fn only_what_has_changed_is_wanted() {
    let mut shard = Shard::new(3);
    let (a, b, new) = (class("A"), class("B"), class("New"));
    fill(&mut shard, 1, &[("a", &a), ("b", &b), ("c", &a), ("d", &a)]);
    let reply = shard.begin(&sync(2, 4, Some([1; 16]))).expect("begun");
    assert_eq!(reply, SyncReply::SendPages { hashes: true });
    assert!(!shard.is_current(), "until the commit nobody knows");
    let entries = [("a", Some(&*a)), ("b", Some(&*new)), ("c", Some(&*new)), ("e", Some(&*a))];
    assert_eq!(shard.page(2, &page(0, &entries)).expect("a page").wanted, [(1, 3)]);
    let lacking = shard.commit(&IndexShard { shard: 3, sync: 2 });
    assert_eq!(code(lacking), ErrorCode::INVALID, "three files are lacking");
    let arrivals = vec![arrival(1, 2, Some(&new)), arrival(2, 2, Some(&new)), arrival(3, 2, Some(&a))];
    shard.load(2, arrivals).expect("loaded");
    shard.commit(&IndexShard { shard: 3, sync: 2 }).expect("committed");
    assert_eq!(content(&shard), ["a:A", "b:New", "c:New", "e:A"]);
}

#[test]
fn the_same_manifest_is_current_without_a_page() {
    let mut shard = Shard::new(3);
    let (a, b) = (class("A"), class("B"));
    let digest = manifest_digest([("a", content_hash(&a)), ("b", content_hash(&b))]);
    assert_eq!(
        shard.begin(&sync(1, 0, Some(manifest_digest([])))),
        Ok(SyncReply::SendPages { hashes: false }),
        "an empty worker has nothing to be current with"
    );
    fill(&mut shard, 2, &[("a", &a), ("b", &b)]);
    assert_eq!(shard.begin(&sync(3, 2, Some(digest))), Ok(SyncReply::Current(shard.counters())));
    shard.update(EPOCH, 4, "b", parsed(&a)).expect("updated");
    assert_eq!(shard.begin(&sync(5, 2, Some(digest))), Ok(SyncReply::SendPages { hashes: true }));
}

#[test]
fn what_came_late_does_not_undo_what_came_after_it() {
    let mut shard = Shard::new(3);
    let (old, new) = (class("Old"), class("New"));
    fill(&mut shard, 1, &[("a", &old), ("b", &old), ("c", &old)]);
    // The manifest of sync 10 is taken; then a is edited, b is removed and d is made, before its files arrive.
    shard.begin(&sync(10, 3, None)).expect("begun");
    shard.page(10, &page(0, &[("a", None), ("b", None), ("c", None)])).expect("a page");
    assert_eq!(shard.update(EPOCH, 11, "a", parsed(&new)), Ok(true));
    assert_eq!(shard.remove(EPOCH, 12, &["b"]), Ok(1));
    assert_eq!(shard.update(EPOCH, 13, "d", parsed(&new)), Ok(true));
    shard
        .load(10, vec![arrival(2, 10, Some(&old)), arrival(0, 10, Some(&old)), arrival(1, 10, Some(&old))])
        .expect("loaded");
    shard.commit(&IndexShard { shard: 3, sync: 10 }).expect("committed");
    assert_eq!(content(&shard), ["a:New", "c:Old", "d:New"]);
}

#[test]
fn of_two_changes_of_a_path_the_later_wins_whatever_comes_first() {
    let (one, two) = (class("One"), class("Two"));
    let mut shard = Shard::new(3);
    fill(&mut shard, 1, &[("a", &one)]);
    assert_eq!(shard.update(EPOCH, 9, "a", parsed(&two)), Ok(true));
    assert_eq!(shard.update(EPOCH, 8, "a", parsed(&one)), Ok(false));
    assert_eq!(shard.update(EPOCH, 9, "a", parsed(&one)), Ok(false), "the same change again");
    assert_eq!(shard.remove(EPOCH, 7, &["a"]), Ok(0));
    assert_eq!(content(&shard), ["a:Two"]);
    assert_eq!(shard.remove(EPOCH, 20, &["a", "never"]), Ok(2));
    assert_eq!(shard.update(EPOCH, 19, "a", parsed(&one)), Ok(false), "removed later than that");
    assert_eq!(content(&shard), [""; 0]);
    assert_eq!(code(shard.update(EPOCH + 1, 30, "a", parsed(&one))), ErrorCode::STALE_SYNC);
}

#[test]
fn a_new_sync_supersedes_the_one_under_way() {
    let mut shard = Shard::new(3);
    let a = class("A");
    shard.begin(&sync(1, 1, None)).expect("begun");
    shard.page(1, &page(0, &[("a", None)])).expect("a page");
    shard.begin(&sync(2, 1, None)).expect("begun");
    assert_eq!(code(shard.load(1, vec![arrival(0, 1, Some(&a))])), ErrorCode::STALE_SYNC);
    assert_eq!(code(shard.page(1, &page(1, &[]))), ErrorCode::STALE_SYNC);
    assert_eq!(code(shard.commit(&IndexShard { shard: 3, sync: 1 })), ErrorCode::STALE_SYNC);
    assert_eq!(code(shard.begin(&sync(2, 1, None))), ErrorCode::STALE_SYNC, "the same sync again");
    // Another run of the router begins anew, and its revisions outrank all of this one.
    let next = SyncShard { epoch: EPOCH + 1, ..sync(1, 1, None) };
    shard.begin(&next).expect("begun");
    shard.page(1, &page(0, &[("a", None)])).expect("a page");
    shard.load(1, vec![arrival(0, 1, Some(&a))]).expect("loaded");
    shard.commit(&IndexShard { shard: 3, sync: 1 }).expect("committed");
    assert_eq!(content(&shard), ["a:A"]);
}

#[test]
fn a_manifest_out_of_order_is_refused() {
    let mut shard = Shard::new(3);
    shard.begin(&sync(1, 3, None)).expect("begun");
    assert_eq!(code(shard.page(1, &page(1, &[("a", None)]))), ErrorCode::INVALID, "a gap");
    assert_eq!(code(shard.page(1, &page(0, &[("b", None), ("a", None)]))), ErrorCode::INVALID, "not sorted");
    let mut shard = Shard::new(3);
    shard.begin(&sync(1, 1, None)).expect("begun");
    let two = page(0, &[("a", None), ("b", None)]);
    assert_eq!(code(shard.page(1, &two)), ErrorCode::INVALID, "more than announced");
    shard.page(1, &page(0, &[("a", None)])).expect("a page");
    assert_eq!(code(shard.load(1, vec![arrival(1, 1, None)])), ErrorCode::NOT_IN_MANIFEST);
}

#[test]
fn files_that_cannot_be_read_do_not_stop_a_sync() {
    let mut shard = Shard::new(3);
    let a = class("A");
    fill(&mut shard, 1, &[("a", &a), ("b", &a)]);
    shard.begin(&sync(2, 2, None)).expect("begun");
    shard.page(2, &page(0, &[("a", None), ("b", None)])).expect("a page");
    shard.load(2, vec![arrival(0, 2, None), arrival(1, 2, Some(&a))]).expect("loaded");
    shard.commit(&IndexShard { shard: 3, sync: 2 }).expect("committed");
    assert_eq!(content(&shard), ["b:A"]);
}

#[test]
fn what_has_arrived_is_found_before_the_commit() {
    let mut shard = Shard::new(3);
    shard.begin(&sync(1, 2, None)).expect("begun");
    shard.page(1, &page(0, &[("a", None), ("b", None)])).expect("a page");
    shard.load(1, vec![arrival(1, 1, Some(&class("B")))]).expect("loaded");
    assert_eq!(content(&shard), ["b:B"]);
    assert!(!shard.is_current());
}

#[test]
fn what_is_cached_is_searched_at_once_and_ranks_below_this_run() {
    let mut before = Shard::new(3);
    let (a, b, new) = (class("A"), class("B"), class("New"));
    fill(&mut before, 900, &[("a", &a), ("b", &b)]);
    let image = before.image().expect("it is committed");

    let mut shard = Shard::new(5);
    shard.bind([0; 16], Some(image.clone()));
    assert_eq!(content(&shard), ["a:A", "b:B"]);
    assert!(!shard.is_current() && shard.image().is_none(), "nobody has said yet that it is right");
    // This run's counters have only begun, and all the same they rank above.
    let request = SyncShard { shard: 5, epoch: EPOCH + 1, ..sync(1, 2, None) };
    assert_eq!(shard.begin(&request), Ok(SyncReply::SendPages { hashes: true }));
    assert_eq!(shard.counters().revision, 0, "revisions of another run mean nothing");
    assert_eq!(
        shard.page(1, &page(0, &[("a", Some(&*a)), ("b", Some(&*new))])).expect("a page").wanted,
        [(1, 1)]
    );
    shard.load(1, vec![arrival(1, 1, Some(&new))]).expect("loaded");
    assert!(shard.image().is_none(), "half a sync is not kept");
    shard.commit(&IndexShard { shard: 5, sync: 1 }).expect("committed");
    assert_eq!(content(&shard), ["a:A", "b:New"]);
    let now = shard.image().expect("it is committed").counters;
    assert!(now.generation > image.counters.generation, "it goes on from there");

    // What is bound is not bound again.
    shard.bind([0; 16], Some(image));
    assert_eq!(content(&shard), ["a:A", "b:New"]);
}

#[test]
fn another_key_is_another_shard() {
    let mut shard = Shard::new(3);
    let a = class("A");
    fill(&mut shard, 1, &[("a", &a)]);
    let image = shard.image().expect("it is committed");
    let other = SyncShard { key: [1; 16], ..sync(2, 1, None) };
    assert_eq!(shard.begin(&other), Ok(SyncReply::SendPages { hashes: false }));
    assert_eq!(content(&shard), [""; 0]);
    let mut shard = Shard::new(3);
    shard.bind([1; 16], Some(image));
    assert_eq!(content(&shard), [""; 0], "an image of another shard is none");
}

#[test]
fn what_is_older_than_the_manifest_does_not_come_after_it() {
    let mut shard = Shard::new(3);
    let (old, new) = (class("Old"), class("New"));
    fill(&mut shard, 1, &[("a", &new), ("gone", &old)]);
    shard.begin(&sync(10, 1, None)).expect("begun");
    assert_eq!(shard.page(10, &page(0, &[("a", Some(&*new))])).expect("a page").wanted, []);
    assert_eq!(shard.update(EPOCH, 5, "a", parsed(&old)), Ok(false), "kept at revision 10");
    assert_eq!(shard.remove(EPOCH, 12, &["late"]), Ok(1));
    shard.commit(&IndexShard { shard: 3, sync: 10 }).expect("committed");
    assert_eq!(shard.update(EPOCH, 6, "gone", parsed(&old)), Ok(false), "not there at revision 10");
    assert_eq!(shard.update(EPOCH, 11, "late", parsed(&old)), Ok(false), "removed at revision 12");
    assert_eq!(shard.update(EPOCH, 13, "late", parsed(&new)), Ok(true));
    assert_eq!(content(&shard), ["a:New", "late:New"]);
}

#[test]
fn of_two_entries_for_one_path_the_later_revision_counts_in_one_batch_too() {
    let (old, new) = (class("Old"), class("New"));
    for (first, second, wanted) in [
        ((7, Some(&*old)), (8, None), vec![]),
        ((8, None), (7, Some(&*old)), vec![]),
        ((7, None), (8, Some(&*new)), vec!["a:New"]),
        ((7, Some(&*old)), (8, Some(&*new)), vec!["a:New"]),
        ((8, Some(&*new)), (7, Some(&*old)), vec!["a:New"]),
    ] {
        let mut shard = Shard::new(3);
        shard.begin(&sync(6, 1, None)).expect("begun");
        shard.page(6, &page(0, &[("a", None)])).expect("a page");
        let batch = [first, second].map(|(rev, text)| arrival(0, rev, text)).into();
        shard.load(6, batch).expect("loaded");
        let counters = shard.commit(&IndexShard { shard: 3, sync: 6 }).expect("committed");
        assert_eq!(
            (content(&shard), counters.files as usize),
            (wanted.iter().map(ToString::to_string).collect(), wanted.len())
        );
        assert_eq!(shard.skipped().count(), usize::from(wanted.is_empty()), "what is indexed is not skipped");
        // Nothing is left of it where no manifest names it.
        fill(&mut shard, 9, &[]);
        assert_eq!(content(&shard), [""; 0]);
    }
}

#[test]
fn numbers_may_begin_at_0() {
    let mut shard = Shard::new(3);
    let a = class("A");
    fill(&mut shard, 0, &[("a", &a)]);
    assert_eq!((content(&shard), shard.is_current()), (vec!["a:A".to_owned()], true));
    assert_eq!(code(shard.begin(&sync(0, 1, None))), ErrorCode::STALE_SYNC, "not above the latest");
}

#[test]
fn a_change_that_comes_too_late_changes_no_counter() {
    let mut shard = Shard::new(3);
    let a = class("A");
    fill(&mut shard, 5, &[("a", &a)]);
    let before = shard.counters();
    assert_eq!(shard.remove(EPOCH, 4, &["a", "b"]), Ok(0));
    assert_eq!(shard.update(EPOCH, 5, "a", parsed(&a)), Ok(false));
    assert_eq!(shard.counters(), before);
}

#[test]
fn an_entry_older_than_its_manifest_gives_way_to_what_is_newer_than_itself() {
    let mut shard = Shard::new(3);
    let (old, new) = (class("Old"), class("New"));
    shard.begin(&sync(10, 1, None)).expect("begun");
    shard.page(10, &page(0, &[("a", None)])).expect("a page");
    shard.load(10, vec![arrival(0, 5, Some(&old))]).expect("loaded");
    shard.commit(&IndexShard { shard: 3, sync: 10 }).expect("committed");
    assert_eq!(shard.update(EPOCH, 7, "a", parsed(&new)), Ok(true));
    assert_eq!(shard.update(EPOCH, 7, "b", parsed(&new)), Ok(false), "not there at revision 10");
    assert_eq!(content(&shard), ["a:New"]);
}

#[test]
fn a_file_that_was_skipped_and_has_changed_since_is_skipped_no_more() {
    let mut shard = Shard::new(3);
    let a = class("A");
    for during in [true, false] {
        let number = shard.counters().revision + 1;
        shard.begin(&sync(number, 1, None)).expect("begun");
        shard.page(number, &page(0, &[("a", None)])).expect("a page");
        shard.load(number, vec![arrival(0, number, None)]).expect("loaded");
        let update = |shard: &mut Shard| shard.update(EPOCH, number + 1, "a", parsed(&a)).expect("taken");
        if during {
            update(&mut shard);
        }
        shard.commit(&IndexShard { shard: 3, sync: number }).expect("committed");
        assert_eq!(shard.skipped().count(), usize::from(!during));
        if !during {
            update(&mut shard);
        }
        assert_eq!((shard.skipped().count(), content(&shard)), (0, vec!["a:A".to_owned()]));
    }
}
