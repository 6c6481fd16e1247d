//! The router's decisions: what each shard should hold, who holds it, and what is to be done about the difference.
//!
//! [`Coordinator::on_event`] takes what happens and when, [`Coordinator::poll_action`] tells what to do about it, and
//! [`Coordinator::poll_timeout`] when to say that time has passed. Nothing here reads a clock, a file or a socket, waits
//! or starts a thread: all of it runs in virtual time just as it does in a router, and everything about time is decided
//! here: deadlines, the wait before another try, when a silent worker is left alone, which run of indexing counts.

mod admission;
mod breaker;
mod calls;
mod changes;
pub mod desired;
pub mod event;
pub mod hydration;
mod pushes;
pub mod request;
mod runs;
mod search;
mod sessions;
mod status;
mod syncs;
pub mod validate;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

pub use admission::{AdmissionPolicy, Origin, Refusal};
pub use desired::ShardInfo;
pub use event::{
    Action, Ask, CallId, Change, ChangeError, Changed, Ended, Event, Failure, FilePath, FileRead, Outcome,
    Planned, ReadId, ReadPlan, SearchError, StatMark, Text, Ticket, WorkerId,
};
pub use request::{Loaded, Loading, Reply, ReplyKind, Request};
pub use search::{SearchAnswer, SearchHit, SearchOptions, ShardCounts};
pub use sessions::UNTRUSTED;
pub use status::{IndexReport, Ready, RouterEvent, ShardState, ShardStatus, Volume};

use crate::layout::Layout;
use calls::{Budget, CallInfo, ReadInfo};
use changes::ChangeRun;
use desired::Desired;
use runs::{IndexRun, StatsRun};
use search::SearchRun;
use sessions::{Slot, Worker};

/// What a [`Coordinator`] decides by.
#[derive(Debug, Clone)]
pub struct CoordinatorConfig {
    /// How many bytes of source text may be in memory for workers at once, over all shards: read, waiting or on their
    /// way. Only a single file that is larger may exceed it. Default 16 MiB: enough to keep eight shards busy. Memory:
    /// three times this at worst, as a batch on its way is a copy, and may be compressed into another.
    pub in_flight_bytes: u64,
    /// How many bytes unsaved texts may take together; what does not fit is refused. Default 64 MiB. Memory: this much.
    pub overlay_bytes: u64,
    /// Longest source text, in bytes. Default 8 MiB.
    pub max_file_bytes: u64,
    /// Who is let in. Default: everyone.
    pub admission: AdmissionPolicy,
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        Self {
            in_flight_bytes: 16 * 1024 * 1024,
            overlay_bytes: 64 * 1024 * 1024,
            max_file_bytes: crate::layout::DEFAULT_MAX_FILE_BYTES,
            admission: AdmissionPolicy::default(),
        }
    }
}

/// Something to do at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Call(CallId),
    Soft(Ticket),
    Deadline(Ticket),
    Probe(WorkerId),
    Retry(u32),
}

/// The router's decisions. See the module's documentation.
#[derive(Debug)]
pub struct Coordinator {
    config: CoordinatorConfig,
    epoch: u64,
    /// The last revision; syncs take their numbers from it, too.
    rev: u64,
    desired: Desired,
    slots: Vec<Slot>,
    workers: BTreeMap<WorkerId, Worker>,
    /// The last number given to a call or a read.
    last_id: u64,
    calls: BTreeMap<CallId, CallInfo>,
    reads: BTreeMap<ReadId, ReadInfo>,
    budget: Budget,
    /// Shards that have something to read or to send for which there must be room, in the order of their turns.
    turns: VecDeque<u32>,
    timers: BTreeSet<(Instant, Timer)>,
    index: Option<IndexRun>,
    changing: BTreeMap<Ticket, ChangeRun>,
    searches: BTreeMap<Ticket, SearchRun>,
    asking: BTreeMap<Ticket, StatsRun>,
    actions: VecDeque<Action>,
    /// Whether anything that a status tells may have changed.
    changed: bool,
}

impl Coordinator {
    /// A router's decisions about a workspace that lies as `layout` says. `epoch` names this run, and is not 0.
    #[must_use]
    pub fn new(config: CoordinatorConfig, layout: Layout, epoch: u64) -> Self {
        let desired = Desired::new(layout);
        Self {
            epoch,
            rev: 0,
            slots: (0..desired.len()).map(|_| Slot::default()).collect(),
            desired,
            workers: BTreeMap::new(),
            last_id: 0,
            calls: BTreeMap::new(),
            reads: BTreeMap::new(),
            budget: Budget::new(config.in_flight_bytes),
            config,
            turns: VecDeque::new(),
            timers: BTreeSet::new(),
            index: None,
            changing: BTreeMap::new(),
            searches: BTreeMap::new(),
            asking: BTreeMap::new(),
            actions: VecDeque::new(),
            changed: false,
        }
    }

    /// Takes what has happened. What it leads to is in [`poll_action`](Self::poll_action).
    pub fn on_event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Connected(worker) => self.on_connected(worker, now),
            Event::Disconnected(worker, reason) => self.on_disconnected(worker, &reason, now),
            Event::Answer(call, result) => self.on_answer(call, result, now),
            Event::Read(read, files) => self.on_read(read, files, now),
            Event::Walked(ticket, result) => self.on_walked(ticket, result, now),
            Event::Ask(ticket, Ask::Index { deadline }) => self.start_index(ticket, deadline, now),
            Event::Ask(ticket, Ask::Change { changes, deadline }) => {
                self.start_change(ticket, changes, deadline, now);
            }
            Event::Ask(ticket, Ask::Search { query, options }) => {
                self.start_search(ticket, query, &options, now);
            }
            Event::Ask(ticket, Ask::Stats { deadline }) => self.start_stats(ticket, deadline, now),
            Event::Cancel(ticket) => self.end(ticket, Ended::Cancelled, now),
            Event::GiveUp(shards, reason) => self.give_up(shards, &reason),
            Event::Lied(worker, what) => self.eject(worker, &what, now),
            Event::Timeout => self.on_timeout(now),
        }
        self.pump(now);
        self.settle_index();
    }

    /// The next thing to do. They are to be begun in this order.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to pass [`Event::Timeout`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Whether a status may have changed since this was asked last.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// What every shard should hold.
    #[must_use]
    pub fn desired(&self) -> &Desired {
        &self.desired
    }

    /// To recall what an earlier run knew of files.
    pub fn desired_mut(&mut self) -> &mut Desired {
        &mut self.desired
    }

    /// Bytes of text that are in memory for workers.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.budget.used()
    }

    /// How every shard is, by its number.
    #[must_use]
    pub fn status(&self) -> Vec<ShardStatus> {
        let status = |(slot, wanted): (&Slot, &desired::Wanted)| ShardStatus {
            key: wanted.info.key,
            files: wanted.count(),
            overlays: wanted.overlay_count(),
            pending: slot.changes.pending(),
            worker: slot.worker,
            state: slot.state.clone(),
        };
        self.slots.iter().zip(self.desired.shards()).map(status).collect()
    }

    /// How far every shard is, by its number.
    pub fn states(&self) -> impl Iterator<Item = &ShardState> {
        self.slots.iter().map(|slot| &slot.state)
    }

    /// Whether every shard is ready, or has failed often enough that nobody should wait for it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.slots.iter().all(|slot| matches!(slot.state, ShardState::Ready(_) | ShardState::Failed { .. }))
    }

    /// Why the first of these shards that has no worker has none; nothing if all have one, or have failed.
    #[must_use]
    pub fn waiting(&self, shards: std::ops::Range<u32>) -> Option<String> {
        shards.filter_map(|shard| self.slots.get(shard as usize)).find_map(|slot| match &slot.state {
            ShardState::Waiting { reason } => Some(reason.clone()),
            _ => None,
        })
    }

    /// All shards that can be asked, with their workers, by their numbers.
    pub fn reachable(&self) -> impl Iterator<Item = (u32, WorkerId)> {
        (0..)
            .zip(&self.slots)
            .filter_map(|(shard, slot)| Some((shard, slot.worker.filter(|_| slot.connected)?)))
    }

    fn next_rev(&mut self) -> u64 {
        self.rev += 1;
        self.rev
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    fn tell(&mut self, event: RouterEvent) {
        self.changed = true;
        self.act(Action::Tell(event));
    }

    fn on_timeout(&mut self, now: Instant) {
        while let Some(&(at, timer)) = self.timers.first() {
            if at > now {
                return;
            }
            self.timers.pop_first();
            match timer {
                Timer::Call(call) => self.on_answer(call, Err(Failure::Late), now),
                Timer::Soft(ticket) => self.soft_deadline(ticket, now),
                Timer::Deadline(ticket) => self.end(ticket, Ended::Deadline, now),
                Timer::Probe(worker) => self.probe(worker, now),
                Timer::Retry(shard) => self.retry(shard, now),
            }
        }
    }

    fn deadline(&mut self, ticket: Ticket, within: Option<Duration>, now: Instant) -> Option<Instant> {
        let at = later(now, within?);
        self.timers.insert((at, Timer::Deadline(ticket)));
        Some(at)
    }

    fn forget_deadline(&mut self, ticket: Ticket, at: Option<Instant>) {
        if let Some(at) = at {
            self.timers.remove(&(at, Timer::Deadline(ticket)));
        }
    }

    /// Ends whatever a caller waits for.
    fn end(&mut self, ticket: Ticket, ended: Ended, now: Instant) {
        if self.index.as_ref().is_some_and(|run| run.ticket == ticket) {
            self.end_index(ended, now);
        } else if self.changing.contains_key(&ticket) {
            self.end_change(ticket, ended);
        } else if self.searches.contains_key(&ticket) {
            self.end_search(ticket, ended, now);
        } else if self.asking.contains_key(&ticket) {
            self.end_stats(ticket);
        }
    }

    /// Lets shards read and send in turn, as long as there is room.
    fn pump(&mut self, now: Instant) {
        while let Some(shard) = self.turns.pop_front() {
            // First, as what it does may make it want another.
            self.slots[shard as usize].in_turn = false;
            match self.take_turn(shard, now) {
                Turn::Taken => self.wants_turn(shard),
                Turn::Nothing => {}
                // The next ones wait as well: else what is large would never come to its turn.
                Turn::NoRoom => {
                    self.slots[shard as usize].in_turn = true;
                    return self.turns.push_front(shard);
                }
            }
        }
    }

    /// This shard may have something for which there must be room.
    fn wants_turn(&mut self, shard: u32) {
        let slot = &mut self.slots[shard as usize];
        if !slot.in_turn {
            slot.in_turn = true;
            self.turns.push_back(shard);
        }
    }
}

/// A time that cannot be told is far enough away.
fn later(now: Instant, within: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    now + within.min(YEAR)
}

/// What became of a shard's turn.
enum Turn {
    Taken,
    Nothing,
    NoRoom,
}
