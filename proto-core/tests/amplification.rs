//! What a message's body can make its receiver hold: the worst body of each message, counted in the allocator.

#[path = "memory/counting.rs"]
mod counting;

use nova_proto_core::messages::{
    ChangeReply, FindReply, IndexShard, ListReply, ListSymbols, LoadFiles, LoadReply, NotifyChanges,
    PageReply, RemoveFiles, RouterStatus, SearchReply, SearchSymbols, ShardCounters, ShardPage, SkippedPage,
    SymbolPage, SyncPage, SyncReply, SyncShard, UpdateFile, UpdateReply, WorkerHello, WorkerStats,
    WorkerWelcome, decode, encode,
};
use serde::{Deserialize, Serialize};

use counting::peak_of;

/// A body in which a list has so many elements, each as small as it can be, between what stands before and behind it.
fn list(before: &[u8], count: u32, element: impl Fn(u32) -> Vec<u8>, behind: &[u8]) -> Vec<u8> {
    let elements: Vec<u8> = (0..count).flat_map(element).collect();
    [before, &encode(&count), &elements, behind].concat()
}

/// The same element each time.
fn same(element: &[u8]) -> impl Fn(u32) -> Vec<u8> {
    let element = element.to_vec();
    move |_| element.clone()
}

/// Ranges of one number each, in ascending order.
fn range(index: u32) -> Vec<u8> {
    encode(&(index, 1_u32)).into()
}

/// Decodes `bytes`, which must go well or not, and returns the most bytes that were held at once.
#[track_caller]
fn held<'a, T: Serialize + Deserialize<'a>>(bytes: &'a [u8], good: bool) -> usize {
    let mut decoded = None;
    let peak = peak_of(|| decoded = Some(decode::<T>(bytes).is_ok()));
    assert_eq!(decoded, Some(good), "{} of {} bytes", std::any::type_name::<T>(), bytes.len());
    peak
}

/// An element of each list has the fewest bytes it can have, so nothing holds more for each byte than these lists.
/// Growing lists are counted with what they were moved from. The last two numbers are what is held for each byte, and
/// at most in all, in KiB: those of the table in the documentation of `messages`.
macro_rules! worst {
    ($($name:ident: $type:ty, $element:expr, $most:expr, $before:expr, $behind:expr, $growth:expr, $kib:expr;)*) => {$(
        #[test]
        fn $name() {
            let body = |count: u32| list($before, count, $element, $behind);
            let measure = |body: &[u8], good| {
                let held = held::<$type>(body, good);
                (held.div_ceil(body.len()), held.div_ceil(1024))
            };
            let full = measure(&body($most), true);
            // One element past a power of two: the list has just grown.
            let grown = measure(&body(u32::next_power_of_two($most) / 2 + 1), true);
            assert_eq!((full.0.max(grown.0), full.1.max(grown.1)), ($growth, $kib), "growth, and KiB in all");
            let over = measure(&body($most + 1), false);
            assert!(over.0 <= $growth && over.1 <= $kib, "one element too many: {over:?}");
            // Announced, but not there.
            let cut = list($before, $most, $element, &[]);
            let cut = measure(&cut[..cut.len() - 1], false);
            assert!(cut.0 <= $growth && cut.1 <= $kib, "one element too few: {cut:?}");
        }
    )*};
}

worst! {
    worker_hello_claim: WorkerHello, range, 256, &[], &[0, 0, 0], 12, 3;
    worker_hello_cached: WorkerHello, same(&[0; 20]), 32, &[0, 0], &[0], 7, 3;
    sync_page: SyncPage<'_>, same(&[0, 0]), 16_384, &[0, 0, 0], &[], 60, 960;
    page_reply: PageReply, range, 16_384, &[], &[], 9, 192;
    load_files: LoadFiles<'_>, same(&[0, 0, 1]), 4096, &[0, 0], &[], 40, 240;
    remove_files: RemoveFiles<'_>, same(&[0]), 4096, &[0, 0, 0], &[], 48, 96;
    search_symbols: SearchSymbols, range, 256, &[], &[0, 0, 0], 12, 3;
    search_reply: SearchReply, same(&[0; 7]), 10_000, &[], &[0, 0], 38, 2112;
    search_reply_warming: SearchReply, range, 256, &[0, 0], &[], 12, 3;
    symbol_page_of_empty_files: SymbolPage<'_>, same(&[0, 0]), 65_536, &[], &[0], 60, 3840;
    symbol_page_of_single_symbols: SymbolPage<'_>, same(&[0, 1, 0, 0, 0, 0, 0]), 65_536, &[], &[0], 27, 6656;
    symbol_page_of_one_file: SymbolPage<'_>, same(&[0; 5]), 65_536, &[1, 0], &[0], 39, 6144;
    worker_stats: WorkerStats, same(&[0; 26]), 16_384, &[0; 7], &[0], 11, 2112;
    worker_stats_skipped: WorkerStats, same(&[0; 3]), 64, &[0; 8], &[], 50, 6;
    find_reply: FindReply, same(&[0; 8]), 10_000, &[], &[0; 7], 36, 2304;
    list_reply: ListReply<'_>, same(&[0, 0]), 65_536, &[0], &[0], 60, 3840;
    notify_changes: NotifyChanges<'_>, same(&[0]), 4096, &[], &[], 48, 96;
    change_reply: ChangeReply, same(&[0; 4]), 4096, &[0; 3], &[], 60, 480;
    router_status_roots: RouterStatus, same(&[0, 0]), 1024, &[0; 8], &[0], 48, 48;
    router_status_workers: RouterStatus, same(&[0; 9]), 1024, &[0; 9], &[], 27, 120;
    shard_page: ShardPage, same(&[0; 29]), 4096, &[0], &[], 15, 816;
    skipped_page: SkippedPage, same(&[0; 4]), 4096, &[0], &[], 60, 480;
}

/// However its symbols are spread over files, a page holds at most 65,536 of them.
#[test]
fn the_symbols_of_a_page_are_counted_together() {
    let file = |symbols: u32| list(&[0], symbols, same(&[0; 5]), &[]);
    let page = |files: &[u32]| {
        let files: Vec<Vec<u8>> = files.iter().map(|symbols| file(*symbols)).collect();
        [&encode(&(files.len() as u32))[..], &files.concat(), &[0]].concat()
    };
    assert!(decode::<SymbolPage<'_>>(&page(&[65_536])).is_ok());
    assert!(decode::<SymbolPage<'_>>(&page(&[40_000, 0, 25_536])).is_ok());
    for over in [&[65_537][..], &[40_000, 25_537], &[65_536, 1]] {
        assert!(decode::<SymbolPage<'_>>(&page(over)).is_err(), "{over:?}");
    }
    // A body as long as a reply may be, that would decode to 300 MiB.
    let bomb = page(&[65_535; 50]);
    assert!(bomb.len() <= 16 << 20);
    let peak = peak_of(|| assert!(decode::<SymbolPage<'_>>(&bomb).is_err()));
    assert!(peak <= 13 << 20, "{peak}");
}

/// Long texts are kept once, or not at all.
#[test]
fn texts_take_at_most_their_own_length() {
    let long = "x".repeat(1 << 20);
    let update = encode(&UpdateFile { shard: 0, epoch: 0, rev: 0, path: "", text: &long });
    assert_eq!(held::<UpdateFile<'_>>(&update, true), 0, "borrowed from the body");
    let list = encode(&ListSymbols { shard: 0, from: &long[..4096], skip: 0, limit: 0 });
    assert_eq!(held::<ListSymbols<'_>>(&list, true), 0);
    let hello = encode(&WorkerHello { token: Some(long[..1024].into()), ..WorkerHello::default() });
    assert!(peak_of(|| assert!(decode::<WorkerHello>(&hello).is_ok())) <= hello.len());
    let text = encode(&long.as_str());
    let hit = [&[1][..], &text, &[0], &text, &text, &[0; 5]].concat();
    assert!(peak_of(|| assert!(decode::<SearchReply>(&hit).is_ok())) <= hit.len() + 1024);
}

/// Messages without lists hold nothing but themselves.
#[test]
fn messages_of_numbers_take_no_memory() {
    let counters = encode(&ShardCounters::default());
    let sync = SyncShard { shard: 0, key: [0; 16], epoch: 0, sync: 0, rev: 0, files: 0, digest: None };
    assert_eq!(held::<SyncShard>(&encode(&sync), true), 0);
    assert_eq!(held::<SyncReply>(&[&[0][..], &counters].concat(), true), 0);
    assert_eq!(held::<LoadReply>(&[0, 0], true), 0);
    assert_eq!(held::<IndexShard>(&[0, 0], true), 0);
    assert_eq!(held::<ShardCounters>(&counters, true), 0);
    assert_eq!(held::<UpdateReply>(&[&[0][..], &counters].concat(), true), 0);
    assert_eq!(held::<WorkerWelcome>(&[0, 0, 0], true), 0);
}

/// A length alone costs nothing, whatever it says.
#[test]
fn lengths_without_elements_take_no_memory() {
    for length in [16_384, 65_536, 1 << 20, 1 << 32, u64::MAX] {
        let bytes = encode(&length);
        for before in 0..4 {
            let bytes = [&vec![0; before][..], &bytes].concat();
            let peak = peak_of(|| {
                let _ = decode::<WorkerHello>(&bytes);
                let _ = decode::<SyncPage<'_>>(&bytes);
                let _ = decode::<PageReply>(&bytes);
                let _ = decode::<LoadFiles<'_>>(&bytes);
                let _ = decode::<RemoveFiles<'_>>(&bytes);
                let _ = decode::<SearchReply>(&bytes);
                let _ = decode::<SymbolPage<'_>>(&bytes);
                let _ = decode::<WorkerStats>(&bytes);
            });
            assert!(peak <= 512, "{peak} bytes for a length of {length}");
        }
    }
}
