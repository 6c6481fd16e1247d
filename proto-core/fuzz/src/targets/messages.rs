//! Every message of the application: what decodes has one encoding, and costs a small multiple of its bytes.

use std::fmt::Debug;

use nova_proto_core::messages::{
    ChangeReply, ClientHello, ClientWelcome, CloseOverlay, FindReply, FindSymbols, GetRouterStatus,
    GetShards, GetSkipped, GetWorkerStats, IndexReply, IndexShard, IndexWorkspace, ListReply, ListSymbols,
    ListWorkspace, LoadFiles, LoadReply, MAX_SHARDS, NotifyChanges, OpenOverlay, PageReply, RemoveFiles,
    RouterStatus, SearchReply, SearchSymbols, ShardCounters, ShardPage, ShardPhase, Shutdown, SkippedPage,
    StopRouter, Stopped, Stopping, SymbolPage, SyncPage, SyncReply, SyncShard, UpdateFile, UpdateReply,
    WorkerHello, WorkerStats, WorkerWelcome, decode, encode, shard_ranges, shards_in,
};
use serde::{Deserialize, Serialize};

use crate::meter::Meter;

/// What a byte may decode to: a list element of 40 bytes from two bytes, three times while the list grows.
const MULTIPLE: usize = 64;

/// What the first elements of lists cost, which are reserved four at a time.
const CONSTANT: usize = 1024;

/// The first byte chooses the type, the others are the message.
pub fn messages(data: &[u8]) {
    let Some((number, bytes)) = data.split_first() else { return };
    if let Some(check) = CHECKS.get(usize::from(*number)) {
        check(bytes);
    }
}

/// The position of a type is its number in seeds: add new ones at the end.
pub(crate) const CHECKS: [fn(&[u8]); 42] = [
    hello,
    |bytes| canonical::<WorkerWelcome>(bytes),
    |bytes| canonical::<SyncShard>(bytes),
    |bytes| canonical::<SyncReply>(bytes),
    |bytes| canonical::<SyncPage<'_>>(bytes),
    |bytes| canonical::<PageReply>(bytes),
    |bytes| canonical::<LoadFiles<'_>>(bytes),
    |bytes| canonical::<LoadReply>(bytes),
    |bytes| canonical::<IndexShard>(bytes),
    |bytes| canonical::<ShardCounters>(bytes),
    |bytes| canonical::<UpdateFile<'_>>(bytes),
    |bytes| canonical::<RemoveFiles<'_>>(bytes),
    |bytes| canonical::<UpdateReply>(bytes),
    |bytes| canonical::<SearchSymbols>(bytes),
    |bytes| canonical::<SearchReply>(bytes),
    |bytes| canonical::<ListSymbols<'_>>(bytes),
    |bytes| canonical::<SymbolPage<'_>>(bytes),
    |bytes| canonical::<GetWorkerStats>(bytes),
    |bytes| canonical::<WorkerStats>(bytes),
    |bytes| canonical::<Shutdown>(bytes),
    |bytes| canonical::<Stopping>(bytes),
    |bytes| canonical::<ClientHello>(bytes),
    |bytes| canonical::<ClientWelcome>(bytes),
    |bytes| canonical::<FindSymbols>(bytes),
    |bytes| canonical::<FindReply>(bytes),
    |bytes| canonical::<IndexWorkspace>(bytes),
    |bytes| canonical::<IndexReply>(bytes),
    |bytes| canonical::<NotifyChanges<'_>>(bytes),
    |bytes| canonical::<OpenOverlay<'_>>(bytes),
    |bytes| canonical::<CloseOverlay<'_>>(bytes),
    |bytes| canonical::<ChangeReply>(bytes),
    |bytes| canonical::<ListWorkspace>(bytes),
    |bytes| canonical::<ListReply<'_>>(bytes),
    |bytes| canonical::<GetRouterStatus>(bytes),
    |bytes| canonical::<RouterStatus>(bytes),
    |bytes| canonical::<GetShards>(bytes),
    |bytes| canonical::<ShardPage>(bytes),
    |bytes| canonical::<GetSkipped>(bytes),
    |bytes| canonical::<SkippedPage>(bytes),
    |bytes| canonical::<StopRouter>(bytes),
    |bytes| canonical::<Stopped>(bytes),
    |bytes| canonical::<ShardPhase>(bytes),
];

fn canonical<'a, T: Serialize + Deserialize<'a> + Debug>(bytes: &'a [u8]) {
    let most = MULTIPLE * bytes.len() + CONSTANT;
    if let Ok(message) = Meter::default().run(most, || decode::<T>(bytes)) {
        assert_eq!(encode(&message), bytes, "{message:?}");
    }
}

/// The claim is the only list that a router expands.
fn hello(bytes: &[u8]) {
    canonical::<WorkerHello>(bytes);
    if let Ok(hello) = decode::<WorkerHello>(bytes)
        && let Some(shards) = shards_in(&hello.claim, MAX_SHARDS)
    {
        assert!(shards.is_sorted_by(|a, b| a < b) && shards.last().is_none_or(|last| *last < MAX_SHARDS));
        let ranges = shard_ranges(shards.iter().copied()).expect("no more ranges than in the claim");
        assert_eq!(shards_in(&ranges, MAX_SHARDS), Some(shards));
    }
}
