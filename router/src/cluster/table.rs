//! Which worker holds which shard, and how far each shard is.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nova_proto_core::messages::ShardCounters;
use nova_transport_tokio::Handle;
use tokio::sync::watch;

use super::sources::Source;
use crate::layout::{Layout, ShardKey, Skipped};

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
    /// Its index is of exactly what the router wants.
    Ready {
        /// What the worker says of it.
        counters: ShardCounters,
        /// What was read of the shard, those files included that cannot be indexed.
        read: Volume,
        /// What was sent of that, as the worker lacked it.
        sent: Volume,
    },
    /// It will not become ready in this run.
    Failed {
        /// Why, for people.
        reason: String,
    },
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
    pub(super) fn of(source: &Source) -> Self {
        Self { files: 1, bytes: source.bytes() }
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
    /// How far it is.
    pub state: ShardState,
}

/// The shards and those who hold them.
#[derive(Debug)]
pub(super) struct Table {
    slots: Mutex<Vec<Slot>>,
    /// What could not be read of each shard, in its last sync.
    skipped: Mutex<BTreeMap<u32, Vec<Skipped>>>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Slot {
    key: ShardKey,
    files: usize,
    /// Who has claimed it.
    worker: Option<u64>,
    /// That worker's connection, once it is open.
    handle: Option<Handle>,
    state: ShardState,
    /// Why nobody will bring a worker for it any more, if so. One that comes all the same is welcome.
    given_up: Option<String>,
}

impl Slot {
    fn without_worker(&mut self, reason: &str) {
        self.worker = None;
        self.handle = None;
        self.state = match (&self.state, &self.given_up) {
            (ShardState::Failed { reason }, _) | (_, Some(reason)) => {
                ShardState::Failed { reason: reason.clone() }
            }
            _ => ShardState::Waiting { reason: reason.to_owned() },
        };
    }
}

/// A shard that can be asked.
#[derive(Debug, Clone)]
pub(super) struct Reachable {
    pub(super) shard: u32,
    pub(super) worker: u64,
    pub(super) handle: Handle,
}

impl Table {
    pub(super) fn new(layout: &Layout) -> Self {
        let slot = |shard: &crate::layout::Shard| Slot {
            key: shard.key,
            files: shard.files.len(),
            worker: None,
            handle: None,
            state: ShardState::Waiting { reason: "no worker has connected yet".to_owned() },
            given_up: None,
        };
        Self {
            slots: Mutex::new(layout.shards.iter().map(slot).collect()),
            skipped: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// Every change leaves the slots consistent, so a panic elsewhere does not spoil them.
    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Slot>) -> T) -> T {
        let result = change(&mut self.slots());
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        result
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn len(&self) -> usize {
        self.slots().len()
    }

    /// Reserves shards for a worker: all of them, or none.
    pub(super) fn claim(&self, worker: u64, shards: &[u32]) -> Result<(), String> {
        self.change(|slots| {
            for &shard in shards {
                match slots.get(shard as usize) {
                    None => return Err(format!("unknown shard {shard}: there are {}", slots.len())),
                    Some(slot) if slot.worker.is_some() => {
                        return Err(format!("shard {shard} already has a connected worker"));
                    }
                    Some(_) => {}
                }
            }
            for &shard in shards {
                slots[shard as usize].worker = Some(worker);
            }
            Ok(())
        })
    }

    /// The worker's connection is open.
    pub(super) fn connect(&self, worker: u64, handle: &Handle) -> Vec<u32> {
        self.change(|slots| {
            let mut claimed = Vec::new();
            for (shard, slot) in (0..).zip(slots.iter_mut()).filter(|(_, slot)| slot.worker == Some(worker)) {
                slot.handle = Some(handle.clone());
                slot.state = ShardState::Warming { files: 0, bytes: 0 };
                claimed.push(shard);
            }
            claimed
        })
    }

    /// The worker is gone.
    pub(super) fn release(&self, worker: u64, reason: &str) {
        self.change(|slots| {
            for slot in slots.iter_mut().filter(|slot| slot.worker == Some(worker)) {
                slot.without_worker(reason);
            }
        });
    }

    /// Sets the state of a shard, if the worker still holds it.
    pub(super) fn set(&self, worker: u64, shard: u32, state: ShardState) {
        self.change(|slots| {
            if let Some(slot) = slots.get_mut(shard as usize).filter(|slot| slot.worker == Some(worker)) {
                slot.state = state;
            }
        });
    }

    /// Counts what has arrived at a shard's worker.
    pub(super) fn arrived(&self, worker: u64, shard: u32, more: Volume) {
        self.change(|slots| {
            let slot = slots.get_mut(shard as usize).filter(|slot| slot.worker == Some(worker));
            if let Some(ShardState::Warming { files, bytes }) = slot.map(|slot| &mut slot.state) {
                *files += more.files;
                *bytes += more.bytes;
            }
        });
    }

    /// Nobody will bring a worker for these shards any more. One that is ready fails when its worker is gone.
    pub(super) fn give_up(&self, shards: impl IntoIterator<Item = u32>, reason: &str) {
        self.change(|slots| {
            for shard in shards {
                let Some(slot) = slots.get_mut(shard as usize) else { continue };
                slot.given_up = Some(reason.to_owned());
                if !matches!(slot.state, ShardState::Ready { .. }) {
                    slot.state = ShardState::Failed { reason: reason.to_owned() };
                }
            }
        });
    }

    pub(super) fn skip(&self, shard: u32, skipped: impl IntoIterator<Item = Skipped>) {
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).entry(shard).or_default().extend(skipped);
    }

    /// A new sync begins: what could not be read before may be there now.
    pub(super) fn forget_skipped(&self, shard: u32) {
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).remove(&shard);
    }

    pub(super) fn skipped(&self) -> Vec<Skipped> {
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).values().flatten().cloned().collect()
    }

    pub(super) fn status(&self) -> Vec<ShardStatus> {
        let status =
            |slot: &Slot| ShardStatus { key: slot.key, files: slot.files, state: slot.state.clone() };
        self.slots().iter().map(status).collect()
    }

    pub(super) fn waiting(&self, shards: std::ops::Range<u32>) -> Option<String> {
        let slots = self.slots();
        shards.filter_map(|shard| slots.get(shard as usize)).find_map(|slot| match &slot.state {
            ShardState::Waiting { reason } => Some(reason.clone()),
            _ => None,
        })
    }

    pub(super) fn is_settled(&self) -> bool {
        self.slots()
            .iter()
            .all(|slot| matches!(slot.state, ShardState::Ready { .. } | ShardState::Failed { .. }))
    }

    /// All shards that can be asked, by their number.
    pub(super) fn reachable(&self) -> Vec<Reachable> {
        let reachable = |(shard, slot): (u32, &Slot)| {
            Some(Reachable { shard, worker: slot.worker?, handle: slot.handle.clone()? })
        };
        (0..).zip(self.slots().iter()).filter_map(reachable).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::layout::Shard;

    #[test]
    fn a_shard_that_is_given_up_fails_when_its_worker_is_gone() {
        let shard = Shard {
            key: ShardKey([0; 16]),
            root: 0,
            source_root: String::new(),
            part: 0,
            parts: 1,
            files: Vec::new(),
        };
        let table = Table::new(&Layout {
            roots: vec![PathBuf::from("/r")],
            shards: vec![shard],
            skipped: Vec::new(),
            left_out: Vec::new(),
        });
        let none = Volume::default();
        let ready = ShardState::Ready { counters: ShardCounters::default(), read: none, sent: none };
        table.claim(1, &[0]).expect("it is free");
        table.set(1, 0, ready.clone());
        // The supervisor may notice the process's end before the session notices the connection's.
        table.give_up([0], "it died too often");
        assert_eq!(table.status()[0].state, ready);
        table.release(1, "its worker is gone");
        assert_eq!(table.status()[0].state, ShardState::Failed { reason: "it died too often".to_owned() });
        assert!(table.is_settled());
        table.claim(2, &[0]).expect("a worker started by hand is welcome");
    }
}
