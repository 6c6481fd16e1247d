//! The application that runs on remote RPC v3: typed requests and replies between router, workers and
//! clients.
//!
//! A message is a postcard value in canonical form that fills a whole body. Every list and text has a bound that is
//! checked while it is decoded. A message never changes: what changes gets a new method number.
//!
//! What decoding holds at most, for each byte of the body, when each element of a list is as small as it can be and the
//! list has just grown; texts that are copied add their own length. `tests/amplification.rs` measures it.
//!
//! | Message | Times its bytes | At most |
//! |---|---|---|
//! | [`SyncPage`] | 60 | 960 KiB |
//! | [`SymbolPage`] | 60 | 13 MiB, counted over all its files |
//! | [`RemoveFiles`] | 48 | 96 KiB |
//! | [`LoadFiles`] | 40 | 240 KiB |
//! | [`SearchReply`] | 38 | 2.1 MiB |
//! | [`SearchSymbols`], [`PageReply`], [`WorkerHello`] | 12 | 192 KiB |
//! | [`WorkerStats`] | 50 | 2.1 MiB |
//! | [`ListReply`] | 60 | 13 MiB, counted over all its files |
//! | [`ChangeReply`], [`SkippedPage`] | 60 | 480 KiB |
//! | [`NotifyChanges`], [`RouterStatus`] | 48 | 168 KiB |
//! | [`FindReply`] | 36 | 2.3 MiB |
//! | [`ShardPage`] | 15 | 816 KiB |
//! | every other | 0: nothing is copied | |

mod admin;
mod client;
mod codec;
mod hello;
mod hydration;
mod order;
mod search;
mod symbol;
mod token;

pub use admin::{
    CacheState, CacheStats, GetWorkerStats, MAX_SKIPPED, MAX_WORKER_SHARDS, ShardStats, Shutdown,
    SkippedFile, Stopping, WorkerStats,
};
pub use client::{
    AnsweredShards, ChangeReply, ClientForm, ClientHello, ClientWelcome, CloseOverlay, FindReply,
    FindSymbols, FoundSymbol, GetRouterStatus, GetShards, GetSkipped, IndexReply, IndexWorkspace, ListReply,
    ListWorkspace, MAX_CHANGES, MAX_DETAIL, MAX_ROOTS, MAX_SEARCH_MS, MAX_SHARD_PAGE, MAX_WORKERS,
    NotifyChanges, OpenOverlay, RootReport, RouterStatus, ShardPage, ShardPhase, ShardReport, SkippedEntry,
    SkippedPage, StopRouter, Stopped, WorkerReport,
};
pub use codec::{DecodeError, Method, call, decode, encode, reply};
pub use hello::{CachedIndex, ShardRange, WorkerHello, WorkerWelcome, shard_ranges, shards_in};
pub use hydration::{
    Content, Digest, FileBatch, IndexShard, LoadFiles, LoadReply, LoadedFile, MAX_REASON, ManifestEntry,
    ManifestPage, PageReply, RemoveFiles, ShardCounters, SyncPage, SyncReply, SyncShard, UpdateFile,
    UpdateReply,
};
pub use order::{Found, HitKey, Merged, SymbolHit, merge};
pub use search::{ListSymbols, ListedFile, ListedSymbol, SearchReply, SearchSymbols, SymbolPage};
pub use symbol::{SymbolKind, UnknownKind};
pub use token::Token;

/// The name of a method, for people.
#[must_use]
pub fn method_name(number: u16) -> &'static str {
    match number {
        SyncShard::NUMBER => "SyncShard",
        SyncPage::NUMBER => "SyncPage",
        LoadFiles::NUMBER => "LoadFiles",
        IndexShard::NUMBER => "IndexShard",
        UpdateFile::NUMBER => "UpdateFile",
        RemoveFiles::NUMBER => "RemoveFiles",
        SearchSymbols::NUMBER => "SearchSymbols",
        ListSymbols::NUMBER => "ListSymbols",
        GetWorkerStats::NUMBER => "GetWorkerStats",
        Shutdown::NUMBER => "Shutdown",
        FindSymbols::NUMBER => "FindSymbols",
        IndexWorkspace::NUMBER => "IndexWorkspace",
        NotifyChanges::NUMBER => "NotifyChanges",
        OpenOverlay::NUMBER => "OpenOverlay",
        CloseOverlay::NUMBER => "CloseOverlay",
        ListWorkspace::NUMBER => "ListWorkspace",
        GetRouterStatus::NUMBER => "GetRouterStatus",
        GetShards::NUMBER => "GetShards",
        GetSkipped::NUMBER => "GetSkipped",
        StopRouter::NUMBER => "StopRouter",
        _ => "unknown",
    }
}

/// Most shards in a workspace.
pub const MAX_SHARDS: u32 = 1_048_576;

/// Longest path of a file below its root, in bytes.
pub const MAX_PATH: usize = 4096;

/// Most hits in one search reply.
pub const MAX_HITS: usize = 10_000;

/// Longest query, in bytes.
pub const MAX_QUERY: usize = 1024;
