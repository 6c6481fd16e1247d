//! Workers that come and go, and the shards they hold.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Instant;

use nova_proto_core::CloseCode;
use nova_proto_core::messages::{SearchSymbols, shard_ranges};

use super::breaker::Breaker;
use super::changes::Changes;
use super::hydration::Sync;
use super::{Action, CallId, Coordinator, Failure, Request, RouterEvent, ShardState, Ticket, WorkerId};

/// Why a connection ends whose worker has said what cannot be true; from the numbers for private use.
pub const UNTRUSTED: CloseCode = CloseCode(32_768);

/// One connection that was let in.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) shards: Vec<u32>,
    pub(super) connected: bool,
    pub(super) breaker: Breaker,
    /// Whether it is being asked if it is there, as another one claims its shards.
    pub(super) doubted: bool,
    /// Bytes in the requests that it has not answered yet.
    pub(super) under_way: u64,
    /// How many of them are questions of searches, and how many bring changes.
    pub(super) questions: usize,
    pub(super) pushes: usize,
    /// Shards with changes that have to wait for others.
    pub(super) held_up: BTreeSet<u32>,
    /// Shards that wait to be synced.
    pub(super) queue: VecDeque<u32>,
    /// Shards that are being synced.
    pub(super) syncing: BTreeSet<u32>,
}

impl Worker {
    pub(super) fn new(shards: Vec<u32>) -> Self {
        Self {
            shards,
            connected: false,
            breaker: Breaker::default(),
            doubted: false,
            under_way: 0,
            questions: 0,
            pushes: 0,
            held_up: BTreeSet::new(),
            queue: VecDeque::new(),
            syncing: BTreeSet::new(),
        }
    }

    /// A question that shows whether it answers searches, and costs nothing.
    pub(super) fn nothing(&self) -> Request {
        let shards = shard_ranges(self.shards.first().copied()).unwrap_or_default();
        Request::Search(SearchSymbols { shards, query: String::new(), kinds: 0, limit: 0 })
    }
}

/// One shard, and who holds it.
#[derive(Debug)]
pub(super) struct Slot {
    /// Who has claimed it.
    pub(super) worker: Option<WorkerId>,
    /// Whether that worker can be called.
    pub(super) connected: bool,
    /// Whether it has heard of this run's epoch, so that it takes changes of single files.
    pub(super) known: bool,
    pub(super) state: ShardState,
    /// Why nobody will bring a worker for it any more, if so. One that comes all the same is welcome.
    pub(super) given_up: Option<String>,
    pub(super) sync: Option<Sync>,
    /// How many syncs in a row have failed, and when the next one begins.
    pub(super) tries: u32,
    pub(super) retry_at: Option<Instant>,
    /// The revision up to which an honest answer may still name files that are gone.
    pub(super) removals: u64,
    pub(super) changes: Changes,
    /// Changes that the next sync brings, or the one under way.
    pub(super) waiters: Vec<Ticket>,
    pub(super) in_turn: bool,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            worker: None,
            connected: false,
            known: false,
            state: ShardState::Waiting { reason: "no worker has connected yet".to_owned() },
            given_up: None,
            sync: None,
            tries: 0,
            retry_at: None,
            removals: 0,
            changes: Changes::default(),
            waiters: Vec::new(),
            in_turn: false,
        }
    }
}

impl Coordinator {
    pub(super) fn on_connected(&mut self, id: WorkerId, now: Instant) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.connected = true;
        let shards = worker.shards.clone();
        for &shard in &shards {
            self.slots[shard as usize].connected = true;
            self.queue_sync(shard, now);
        }
        self.tell(RouterEvent::WorkerUp { worker: id, shards });
    }

    pub(super) fn on_disconnected(&mut self, id: WorkerId, reason: &str, now: Instant) {
        let Some(worker) = self.workers.remove(&id) else { return };
        for shard in worker.shards {
            self.stop_sync(shard);
            self.forget_retry(shard);
            self.drop_pushes(shard);
            let slot = &mut self.slots[shard as usize];
            let given_up = slot.given_up.clone();
            let state = match (&slot.state, given_up) {
                (_, Some(reason)) => ShardState::Failed { reason },
                (ShardState::Failed { reason }, None) => ShardState::Failed { reason: reason.clone() },
                _ => ShardState::Waiting { reason: format!("its worker is gone: {reason}") },
            };
            (slot.worker, slot.connected, slot.known) = (None, false, false);
            slot.tries = 0;
            slot.state = state;
        }
        let open: Vec<CallId> =
            self.calls.iter().filter(|(_, call)| call.worker == id).map(|(call, _)| *call).collect();
        for call in open {
            self.on_answer(call, Err(Failure::Lost), now);
        }
        self.changed = true;
        if worker.connected {
            self.tell(RouterEvent::WorkerDown { worker: id, reason: reason.to_owned() });
        }
    }

    /// Ends the connection of a worker that has said what cannot be true, and believes nothing that it has said in answers
    /// that are not given yet.
    pub(super) fn eject(&mut self, id: WorkerId, what: &str, now: Instant) {
        if !self.workers.contains_key(&id) {
            return;
        }
        let message = format!("this worker's answers cannot be true: {what}");
        self.act(Action::Close(id, UNTRUSTED, message.clone()));
        self.disbelieve(id);
        self.on_disconnected(id, &message, now);
    }

    /// Nobody will bring a worker for these shards any more. One that is ready fails when its worker is gone.
    pub(super) fn give_up(&mut self, shards: Range<u32>, reason: &str) {
        for shard in shards {
            let Some(slot) = self.slots.get_mut(shard as usize) else { continue };
            slot.given_up = Some(reason.to_owned());
            if !matches!(slot.state, ShardState::Ready(_)) {
                slot.state = ShardState::Failed { reason: reason.to_owned() };
            }
            if !slot.connected {
                self.waiters_wait(shard);
            }
        }
        self.changed = true;
    }
}
