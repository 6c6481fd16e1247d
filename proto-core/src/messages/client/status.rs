//! How a running router is, and its end.

use serde::{Deserialize, Serialize};

use super::{MAX_CHANGES, MAX_DETAIL, SkippedEntry};
use crate::bounded;
use crate::config::SMALL_BODY;
use crate::messages::codec::Method;
use crate::messages::{CacheStats, Digest, MAX_PATH};

/// Most roots in an answer.
pub const MAX_ROOTS: usize = 1024;

/// Most workers in an answer.
pub const MAX_WORKERS: usize = 1024;

/// Most shards in a page.
pub const MAX_SHARD_PAGE: usize = 4096;

/// How the router is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetRouterStatus {}

impl Method for GetRouterStatus {
    const NUMBER: u16 = 0x0606;
    const REPLY_MAX: u32 = 8 * 1024 * 1024;
    type Reply<'a> = RouterStatus;
}

/// How the router is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterStatus {
    /// How long it has run, in milliseconds.
    pub uptime_ms: u64,
    /// Where workers connect.
    #[serde(deserialize_with = "bounded::text::<_, MAX_PATH>")]
    pub listen: String,
    /// Where clients connect.
    #[serde(deserialize_with = "bounded::text::<_, MAX_PATH>")]
    pub control: String,
    /// How many clients are connected.
    pub clients: u32,
    /// How many files have unsaved texts.
    pub overlays: u32,
    /// What these texts take, in bytes.
    pub overlay_bytes: u64,
    /// What the router's process has in memory, in bytes, if the system tells.
    pub memory: Option<u64>,
    /// How many files and directories the rules of the last walk left out.
    pub left_out: u64,
    /// The roots, canonical, by their numbers.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_ROOTS>")]
    pub roots: Vec<RootReport>,
    /// What workers say of themselves; one that does not answer is left out.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_WORKERS>")]
    pub workers: Vec<WorkerReport>,
}

/// One root.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootReport {
    /// Its canonical path.
    #[serde(deserialize_with = "bounded::text::<_, MAX_PATH>")]
    pub path: String,
    /// How many shards it has.
    pub shards: u32,
}

/// What a worker says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// Its process.
    pub pid: u32,
    /// How many files it has parsed since it started.
    pub parsed: u64,
    /// How many bytes of source text have come since it started.
    pub received: u64,
    /// What its indexes take in memory, in bytes.
    pub memory: u64,
    /// What they take in its cache, in bytes.
    pub disk: u64,
    /// Its cache.
    pub cache: CacheStats,
}

/// How shards are, a page at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetShards {
    /// The number of the first shard of the page.
    pub first: u32,
}

impl Method for GetShards {
    const NUMBER: u16 = 0x0607;
    const REPLY_MAX: u32 = 8 * 1024 * 1024;
    type Reply<'a> = ShardPage;
}

/// A page of shards, by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardPage {
    /// How many shards there are.
    pub total: u32,
    /// Those of this page: as many as there is room for, and at least one if there are more.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_SHARD_PAGE>")]
    pub shards: Vec<ShardReport>,
}

/// How one shard is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardReport {
    /// Names it across runs.
    pub key: Digest,
    /// Its root's number.
    pub root: u32,
    /// Its source root, below the root.
    #[serde(deserialize_with = "bounded::text::<_, MAX_PATH>")]
    pub source_root: String,
    /// Which part of the source root it is.
    pub part: u32,
    /// Of how many.
    pub parts: u32,
    /// How far it is.
    pub phase: ShardPhase,
    /// Why it is no further, for people; empty if there is nothing to say.
    #[serde(deserialize_with = "bounded::text::<_, MAX_DETAIL>")]
    pub reason: String,
    /// The process of its worker, if it has one that answers.
    pub worker_pid: Option<u32>,
    /// How many files it should hold.
    pub wanted: u64,
    /// How many files are in its index, or have arrived for it.
    pub files: u64,
    /// How many symbols are in its index.
    pub symbols: u64,
    /// Bytes of text in its files.
    pub bytes: u64,
    /// Bytes of text that its worker lacked in its last sync.
    pub sent: u64,
    /// The last revision in its index.
    pub revision: u64,
}

/// How far a shard is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShardPhase {
    /// Its index is of what the router wants.
    Ready,
    /// Its worker is being brought to its content.
    Warming,
    /// No worker serves it.
    #[default]
    Waiting,
    /// Its index is not known to be of what the router wants.
    Stale,
    /// It will not become ready by itself.
    Failed,
}

impl ShardPhase {
    /// The stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Warming => "warming",
            Self::Waiting => "waiting",
            Self::Stale => "stale",
            Self::Failed => "failed",
        }
    }
}

/// Files that are not indexed, sorted, a page at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetSkipped {
    /// How many of them are known already.
    pub first: u32,
}

impl Method for GetSkipped {
    const NUMBER: u16 = 0x0608;
    const REPLY_MAX: u32 = 8 * 1024 * 1024;
    type Reply<'a> = SkippedPage;
}

/// A page of files that are not indexed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedPage {
    /// How many there are.
    pub total: u32,
    /// Those of this page: as many as there is room for, and at least one if there are more.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_CHANGES>")]
    pub files: Vec<SkippedEntry>,
}

/// Asks the router to end in order, once it has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRouter {}

impl Method for StopRouter {
    const NUMBER: u16 = 0x0609;
    const REPLY_MAX: u32 = SMALL_BODY;
    type Reply<'a> = Stopped;
}

/// The router will end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {}
