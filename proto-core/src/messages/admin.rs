//! Looking after a worker.

use serde::{Deserialize, Serialize};

use super::MAX_PATH;
use super::codec::Method;
use super::hydration::{MAX_REASON, ShardCounters};
use crate::bounded;
use crate::config::SMALL_BODY;

/// Most shards of one worker: what one answer about it can list.
pub const MAX_WORKER_SHARDS: usize = 16_384;

/// Longest text about a problem, in bytes.
const MAX_PROBLEM: usize = 512;

/// Most files in one answer that cannot be indexed.
pub const MAX_SKIPPED: usize = 64;

/// How the worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetWorkerStats {}

impl Method for GetWorkerStats {
    const NUMBER: u16 = 0x0400;
    const REPLY_MAX: u32 = 2 * 1024 * 1024;
    type Reply<'a> = WorkerStats;
}

/// How the worker is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStats {
    /// Its process.
    pub pid: u32,
    /// How many files it has parsed since it started.
    pub parsed: u64,
    /// How many bytes of source text have come since it started.
    pub received: u64,
    /// Its cache.
    pub cache: CacheStats,
    /// Its shards.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_WORKER_SHARDS>")]
    pub shards: Vec<ShardStats>,
    /// The first files, by shard and path, of those that cannot be indexed: at most [`MAX_SKIPPED`].
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_SKIPPED>")]
    pub skipped: Vec<SkippedFile>,
}

/// A file that cannot be indexed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedFile {
    /// Its shard.
    pub shard: u32,
    /// Path below the root, with `/`.
    #[serde(deserialize_with = "bounded::text::<_, MAX_PATH>")]
    pub path: String,
    /// What stands in the way, for people.
    #[serde(deserialize_with = "bounded::text::<_, MAX_REASON>")]
    pub reason: String,
}

/// How a worker's cache is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheStats {
    /// Whether there is one.
    pub state: CacheState,
    /// How many shards it has given back since the worker started.
    pub loaded: u32,
    /// How many times a shard was written since the worker started.
    pub written: u32,
    /// What went wrong last, for people; empty if nothing did.
    #[serde(deserialize_with = "bounded::text::<_, MAX_PROBLEM>")]
    pub problem: String,
}

/// Whether a worker has a cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CacheState {
    /// It was told to keep nothing.
    #[default]
    Off,
    /// It keeps its indexes.
    On,
    /// It should, and cannot; the problem says why.
    Failed,
}

/// How one shard is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardStats {
    /// The shard.
    pub shard: u32,
    /// What it holds.
    pub counters: ShardCounters,
    /// Whether its index is of exactly what the router last committed.
    pub current: bool,
    /// How many files of its last sync cannot be indexed.
    pub skipped: u32,
    /// What its index takes in memory, in bytes.
    pub memory: u64,
    /// How long its file in the cache is, in bytes; 0 if there is none.
    pub disk: u64,
}

/// Asks the worker's process to end, once it has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shutdown {}

impl Method for Shutdown {
    const NUMBER: u16 = 0x0401;
    const REPLY_MAX: u32 = SMALL_BODY;
    type Reply<'a> = Stopping;
}

/// The worker will end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopping {}
