//! Changes of single files on their way to the workers.
//!
//! A change goes to its shard's worker, if that has heard of this run: it takes the change with the highest revision, in
//! whatever order they come. If it has not, the sync that it is about to get brings the change. Of each path one change
//! is under way, and the latest one waits.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use nova_proto_core::messages::ShardCounters;

use super::calls::CallPurpose;
use super::changes::Changes;
use super::{CallId, Coordinator, Failure, Reply, Request, ShardState, Ticket, Turn, WorkerId, validate};

/// How many changes of one shard are under way at once.
const PUSHES_AT_ONCE: usize = 4;

/// How many changes of one worker are under way at once, over all its shards: as many as keep it busy.
const PUSHES_OF_A_WORKER: usize = 16;

/// Most removals in one call.
const REMOVALS: usize = 1024;

/// A change to be sent.
#[derive(Debug)]
pub(super) struct Push {
    pub(super) rev: u64,
    /// Nothing: it is gone.
    pub(super) text: Option<Arc<str>>,
    /// Bytes of the text that are in the budget: a text that was read from disk.
    pub(super) held: u64,
    pub(super) waiters: Vec<Ticket>,
}

/// A change on its way.
#[derive(Debug)]
pub(super) struct Flight {
    rev: u64,
    paths: Vec<Arc<str>>,
    waiters: Vec<Ticket>,
}

impl Push {
    fn bytes(&self) -> u64 {
        self.text.as_ref().map_or(0, |text| text.len() as u64)
    }
}

impl Changes {
    /// The file that a call brings, or the first of several.
    pub(super) fn file_of(&self, call: CallId) -> Option<Arc<str>> {
        self.flying.get(&call).and_then(|flight| flight.paths.first()).cloned()
    }
}

impl Coordinator {
    /// Brings a change to the shard's worker, now or with its next sync.
    pub(super) fn push(&mut self, shard: u32, path: &Arc<str>, push: Push, now: Instant) {
        let queued = self.is_queued(shard);
        let slot = &mut self.slots[shard as usize];
        if let Some(sync) = &mut slot.sync {
            sync.touch(path);
        }
        if slot.known || slot.sync.is_some() {
            let mut push = push;
            if let Some(older) = slot.changes.pushes.remove(path) {
                self.budget.give_back(older.held);
                push.waiters.extend(older.waiters);
            }
            slot.changes.pushes.insert(Arc::clone(path), push);
            return self.send_pushes(shard, now);
        }
        self.budget.give_back(push.held);
        if queued || slot.retry_at.is_some() {
            slot.waiters.extend(push.waiters);
        } else {
            self.resolve(push.waiters, |changed| changed.waiting += 1);
        }
    }

    /// A sync begins: its manifest has what waits to be sent.
    pub(super) fn absorb_pushes(&mut self, shard: u32) {
        let slot = &mut self.slots[shard as usize];
        for push in mem::take(&mut slot.changes.pushes).into_values() {
            self.budget.give_back(push.held);
            slot.waiters.extend(push.waiters);
        }
    }

    /// The worker is gone: the sync of the next one brings what was on its way.
    pub(super) fn drop_pushes(&mut self, shard: u32) {
        self.absorb_pushes(shard);
        self.cancel_calls(|_, purpose| purpose == CallPurpose::Push { shard });
        let changes = &mut self.slots[shard as usize].changes;
        changes.in_flight.clear();
        let flying = mem::take(&mut changes.flying);
        let waiters = flying.into_values().flat_map(|flight| flight.waiters);
        self.slots[shard as usize].waiters.extend(waiters);
        self.waiters_wait(shard);
    }

    /// Sends what waits, as far as there is room.
    pub(super) fn send_pushes(&mut self, shard: u32, now: Instant) {
        if matches!(self.push_some(shard, now), Turn::NoRoom) {
            self.wants_turn(shard);
        }
    }

    pub(super) fn turn_of_changes(&mut self, shard: u32, now: Instant) -> Turn {
        match self.push_some(shard, now) {
            Turn::Nothing => self.read_checks(shard),
            turn => turn,
        }
    }

    fn push_some(&mut self, shard: u32, now: Instant) -> Turn {
        let mut turn = Turn::Nothing;
        loop {
            let slot = &self.slots[shard as usize];
            let Some(id) = slot.worker.filter(|_| slot.known) else { return turn };
            if slot.changes.pushes.is_empty() || slot.changes.flying.len() >= PUSHES_AT_ONCE {
                return turn;
            }
            let Some(worker) = self.workers.get_mut(&id) else { return turn };
            if worker.pushes >= PUSHES_OF_A_WORKER {
                worker.held_up.insert(shard);
                return turn;
            }
            let mut idle =
                slot.changes.pushes.iter().filter(|(path, _)| !slot.changes.in_flight.contains(*path));
            // What is in memory for it goes first: what waits for room may wait for this.
            let fits = |push: &Push| push.held > 0 || self.budget.has_room(push.bytes());
            let Some((first, push)) = idle.find(|(_, push)| fits(push)) else {
                let waits = slot.changes.pushes.keys().any(|path| !slot.changes.in_flight.contains(path));
                return if waits { Turn::NoRoom } else { turn };
            };
            let mut paths = vec![Arc::clone(first)];
            if push.text.is_none() {
                let removals = idle.filter(|(_, push)| push.text.is_none()).take(REMOVALS - 1);
                paths.extend(removals.map(|(path, _)| Arc::clone(path)));
            }
            self.fly(shard, id, paths, now);
            turn = Turn::Taken;
        }
    }

    /// Sends one text, or several removals.
    fn fly(&mut self, shard: u32, worker: WorkerId, paths: Vec<Arc<str>>, now: Instant) {
        let (mut waiters, mut held, mut rev, mut text) = (Vec::new(), 0, 0, None);
        for path in &paths {
            let Some(push) = self.slots[shard as usize].changes.pushes.remove(path) else { continue };
            waiters.extend(push.waiters);
            held += push.held;
            // Of several removals the latest revision stands for all: nothing later is known of any of them.
            rev = rev.max(push.rev);
            text = text.or(push.text);
        }
        self.budget.give_back(held);
        let bytes = text.as_ref().map_or(0, |text| text.len() as u64);
        let request = match text {
            Some(text) => {
                Request::Update { shard, epoch: self.epoch, rev, path: Arc::clone(&paths[0]), text }
            }
            None => Request::Remove { shard, epoch: self.epoch, rev, paths: paths.clone() },
        };
        let call = self.call(worker, request, CallPurpose::Push { shard }, bytes, None, now);
        let changes = &mut self.slots[shard as usize].changes;
        changes.in_flight.extend(paths.iter().cloned());
        changes.flying.insert(call, Flight { rev, paths, waiters });
    }

    pub(super) fn on_pushed(
        &mut self,
        worker: WorkerId,
        shard: u32,
        call: CallId,
        result: Result<Reply, Failure>,
        now: Instant,
    ) {
        let rev = self.rev;
        let slot = &mut self.slots[shard as usize];
        let Some(Flight { rev: sent, paths, waiters }) = slot.changes.flying.remove(&call) else { return };
        paths.iter().for_each(|path| drop(slot.changes.in_flight.take(path)));
        slot.removals = rev;
        match result {
            Ok(Reply::Changed(reply)) => {
                if let Err(lie) = validate::changed(&reply, self.epoch, paths.len()) {
                    slot.waiters.extend(waiters);
                    return self.eject(worker, &lie.0, now);
                }
                self.resolve(waiters, |_| ());
                self.take_counters(shard, reply.counters);
                self.send_pushes(shard, now);
                self.send_held_up(worker, now);
            }
            Err(Failure::Lost) => slot.waiters.extend(waiters),
            // What it has made of the change is not known.
            result => {
                let reason = match result {
                    Err(failure) => failure.to_string(),
                    Ok(_) => "it answers something else".to_owned(),
                };
                slot.waiters.extend(waiters);
                // One failure is enough: the sync that it has brought about covers the others.
                if !self.sync_covers(shard, sent) {
                    self.fail_sync(shard, &reason, now);
                }
                self.send_held_up(worker, now);
            }
        }
    }

    /// Sends what had to wait for others of its worker.
    fn send_held_up(&mut self, id: WorkerId, now: Instant) {
        while let Some(worker) = self.workers.get_mut(&id)
            && worker.pushes < PUSHES_OF_A_WORKER
            && let Some(shard) = worker.held_up.pop_first()
        {
            self.send_pushes(shard, now);
        }
    }

    /// Counters come with every change, in any order.
    fn take_counters(&mut self, shard: u32, counters: ShardCounters) {
        let content = self.desired.shard(shard).content();
        if let ShardState::Ready(ready) = &mut self.slots[shard as usize].state {
            let place = |counters: &ShardCounters| (counters.revision, counters.generation);
            if place(&ready.counters) < place(&counters) {
                (ready.counters, ready.content) = (counters, content);
                self.changed = true;
            }
        }
    }
}
