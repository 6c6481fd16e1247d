//! What is told of shards and workers.

use std::iter::Sum;
use std::ops::{Add, Sub};

use nova_proto_core::messages::ShardCounters;

use super::WorkerId;
use crate::layout::ShardKey;

/// How far a shard is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShardState {
    /// No worker serves it.
    Waiting {
        /// Why, for people.
        reason: String,
    },
    /// Its worker is being brought to the shard's content; what has arrived is searched.
    Warming {
        /// Files that have arrived, or were there.
        files: u32,
        /// Bytes of text in them.
        bytes: u64,
    },
    /// Its index is of what the router wants.
    Ready(Ready),
    /// Its index is not known to be of what the router wants, and nothing is done about it for now: it was cancelled, or
    /// failed, and waits for another try. What is there is searched.
    Stale {
        /// Why, for people.
        reason: String,
    },
    /// It has failed so often, or nobody will bring a worker for it, that nobody should wait for it. A worker that is there is
    /// tried again, more and more seldom, at least once a minute; what it has is searched meanwhile.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

/// What is known of a shard that is ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ready {
    /// What the worker says of it.
    pub counters: ShardCounters,
    /// The text that it indexes.
    pub content: Volume,
    /// What was read for it in its last sync: what the file system told to be unchanged was not.
    pub read: Volume,
    /// What was sent in its last sync, as the worker lacked it.
    pub sent: Volume,
}

/// An amount of source text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    /// Files.
    pub files: u32,
    /// Bytes of text in them.
    pub bytes: u64,
}

impl Volume {
    /// One file.
    #[must_use]
    pub fn file(bytes: u64) -> Self {
        Self { files: 1, bytes }
    }
}

impl Add for Volume {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { files: self.files + other.files, bytes: self.bytes + other.bytes }
    }
}

impl Sub for Volume {
    type Output = Self;

    fn sub(self, part: Self) -> Self {
        Self { files: self.files - part.files, bytes: self.bytes - part.bytes }
    }
}

impl Sum for Volume {
    fn sum<I: Iterator<Item = Self>>(volumes: I) -> Self {
        volumes.fold(Self::default(), Self::add)
    }
}

/// How one shard is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardStatus {
    /// Names the shard across runs.
    pub key: ShardKey,
    /// How many files it should hold.
    pub files: usize,
    /// How many of them have unsaved texts.
    pub overlays: usize,
    /// Changes that its worker has not taken yet.
    pub pending: usize,
    /// Who serves it.
    pub worker: Option<WorkerId>,
    /// How far it is.
    pub state: ShardState,
}

/// How a run of `index_workspace` ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexReport {
    /// Shards that are ready.
    pub ready: u32,
    /// Shards that have failed, with the reason.
    pub failed: Vec<(u32, String)>,
    /// Files in the ready ones.
    pub files: u64,
    /// Symbols in the ready ones.
    pub symbols: u64,
    /// What was read.
    pub read: Volume,
    /// What was sent.
    pub sent: Volume,
}

/// What a router tells those who watch it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouterEvent {
    /// A worker serves shards from now on.
    WorkerUp {
        /// Its connection's number.
        worker: WorkerId,
        /// Its shards.
        shards: Vec<u32>,
    },
    /// A worker is gone.
    WorkerDown {
        /// Its connection's number.
        worker: WorkerId,
        /// Why.
        reason: String,
    },
    /// A worker did not answer searches in time: they are not sent to it until it answers a probe.
    WorkerSlow {
        /// Its connection's number.
        worker: WorkerId,
    },
    /// A worker answers again.
    WorkerAnswers {
        /// Its connection's number.
        worker: WorkerId,
    },
    /// A run of indexing has walked the roots; what differs is brought to the workers from now on.
    Walked {
        /// How many files all shards should hold.
        files: usize,
    },
    /// More of a shard has arrived at its worker.
    Progress {
        /// The shard.
        shard: u32,
        /// Files that are there.
        files: u32,
        /// Files that it should hold.
        total: u32,
    },
    /// A shard's index is of what the router wants.
    ShardReady {
        /// The shard.
        shard: u32,
        /// What is known of it.
        ready: Ready,
    },
    /// A shard's index is not, or not known to be, of what the router wants.
    ShardStale {
        /// The shard.
        shard: u32,
        /// Why.
        reason: String,
    },
    /// A shard has failed.
    ShardFailed {
        /// The shard.
        shard: u32,
        /// Why.
        reason: String,
    },
}
