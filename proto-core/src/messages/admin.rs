//! Looking after a worker.

use serde::{Deserialize, Serialize};

use super::codec::Method;
use super::hydration::ShardCounters;
use crate::bounded;
use crate::config::SMALL_BODY;

/// Most shards in one answer about a worker.
const MAX_LISTED: usize = 16_384;

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
    /// Its shards.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_LISTED>")]
    pub shards: Vec<ShardStats>,
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
    /// What its index takes in memory, in bytes.
    pub memory: u64,
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
