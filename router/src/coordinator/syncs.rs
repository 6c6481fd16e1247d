//! Which shard is synced when, and what becomes of it.

use std::time::{Duration, Instant};

use nova_proto_core::messages::ShardCounters;

use super::calls::{CallPurpose, ReadPurpose};
use super::desired::Wanted;
use super::hydration::{Progress, Reading, Step, Sync};
use super::{Coordinator, Failure, FileRead, Ready, Reply, RouterEvent, ShardState, Timer, Turn, WorkerId};

/// How many shards of one worker are synced at once: enough to keep it busy while another waits for an answer.
const SHARDS_AT_ONCE: usize = 4;

/// Longest wait for one answer: a worker that needs longer for a batch is stuck.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// How many syncs in a row may fail before their shard has failed.
const TRIES: u32 = 3;

/// The wait before the second try; doubled for each further one.
const RETRY_AFTER: Duration = Duration::from_millis(200);

impl Coordinator {
    /// Brings a shard to what it should hold, from the beginning; what is under way ends.
    pub(super) fn queue_sync(&mut self, shard: u32, now: Instant) {
        self.stop_sync(shard);
        let slot = &mut self.slots[shard as usize];
        let Some(id) = slot.worker.filter(|_| slot.connected) else { return };
        slot.retry_at = None;
        if !matches!(slot.state, ShardState::Warming { .. }) {
            slot.state = ShardState::Warming { files: 0, bytes: 0 };
            self.changed = true;
        }
        if let Some(worker) = self.workers.get_mut(&id)
            && !worker.queue.contains(&shard)
        {
            worker.queue.push_back(shard);
        }
        self.start_syncs(id, now);
    }

    fn start_syncs(&mut self, id: WorkerId, now: Instant) {
        while let Some(worker) = self.workers.get_mut(&id)
            && worker.syncing.len() < SHARDS_AT_ONCE
            && let Some(shard) = worker.queue.pop_front()
        {
            worker.syncing.insert(shard);
            let number = self.next_rev();
            // What waits to be sent is part of the manifest from now on.
            self.absorb_pushes(shard);
            let sync = Sync::new(shard, self.epoch, number, self.desired.shard(shard));
            self.slots[shard as usize].sync = Some(sync);
            self.advance(shard, now);
        }
    }

    /// Ends the sync of a shard, if there is one or one waits.
    pub(super) fn stop_sync(&mut self, shard: u32) {
        let slot = &mut self.slots[shard as usize];
        if let Some(worker) = slot.worker.and_then(|id| self.workers.get_mut(&id)) {
            worker.syncing.remove(&shard);
            worker.queue.retain(|queued| *queued != shard);
        }
        if let Some(sync) = slot.sync.take() {
            self.budget.give_back(sync.held());
            self.cancel_sync_reads(shard);
            self.cancel_calls(
                |_, purpose| matches!(purpose, CallPurpose::Sync { shard: of, .. } if of == shard),
            );
        }
    }

    /// Whether a sync of this shard waits for its turn.
    pub(super) fn is_queued(&self, shard: u32) -> bool {
        let worker = self.slots[shard as usize].worker.and_then(|id| self.workers.get(&id));
        worker.is_some_and(|worker| worker.queue.contains(&shard))
    }

    /// Does something with a shard's sync, and keeps the budget of texts in step.
    fn with_sync<T>(&mut self, shard: u32, act: impl FnOnce(&mut Sync, &Wanted) -> T) -> Option<T> {
        let sync = self.slots[shard as usize].sync.as_mut()?;
        let before = sync.held();
        let result = act(sync, self.desired.shard(shard));
        self.budget.take(sync.held());
        self.budget.give_back(before);
        Some(result)
    }

    /// Makes all calls that a sync can make now.
    fn advance(&mut self, shard: u32, now: Instant) {
        let Some(worker) = self.slots[shard as usize].worker else { return };
        loop {
            while let Some((step, request, held)) = self.with_sync(shard, Sync::call).flatten() {
                let Some(sync) = self.slots[shard as usize].sync.as_ref().map(Sync::number) else { return };
                let purpose = CallPurpose::Sync { shard, sync, step };
                self.call(worker, request, purpose, held, ANSWER_WITHIN, now);
            }
            let reads = self.with_sync(shard, Sync::next_read).flatten();
            if reads.is_some() {
                return self.wants_turn(shard);
            }
            // Looking for something to read may have found unsaved texts to send.
            let sync = self.slots[shard as usize].sync.as_ref();
            if !sync.is_some_and(Sync::can_send) {
                return;
            }
        }
    }

    /// Lets a shard begin one thing for which there must be room.
    pub(super) fn take_turn(&mut self, shard: u32, now: Instant) -> Turn {
        match self.turn_of_changes(shard, now) {
            Turn::Nothing => {}
            turn => return turn,
        }
        let Some(bytes) = self.with_sync(shard, Sync::next_read).flatten() else {
            self.advance_if_possible(shard, now);
            return Turn::Nothing;
        };
        if !self.budget.has_room(bytes) {
            return Turn::NoRoom;
        }
        let Some((reading, plan)) = self.with_sync(shard, Sync::start_read).flatten() else {
            return Turn::Nothing;
        };
        let Some(sync) = self.slots[shard as usize].sync.as_ref().map(Sync::number) else {
            return Turn::Nothing;
        };
        self.read(plan, ReadPurpose::Sync { shard, sync, reading }, bytes);
        self.advance_if_possible(shard, now);
        Turn::Taken
    }

    fn advance_if_possible(&mut self, shard: u32, now: Instant) {
        if self.slots[shard as usize].sync.as_ref().is_some_and(Sync::can_send) {
            self.advance(shard, now);
        }
    }

    pub(super) fn on_sync_read(
        &mut self,
        shard: u32,
        sync: u64,
        reading: Reading,
        files: Vec<FileRead>,
        now: Instant,
    ) {
        let Some(running) =
            self.slots[shard as usize].sync.as_ref().filter(|running| running.number() == sync)
        else {
            return;
        };
        if files.is_empty() {
            return self.fail_sync(shard, "no file could be read", now);
        }
        for (index, file) in files.iter().enumerate() {
            if let Some(path) = running.path(&reading, index).filter(|path| running.is_latest(path)) {
                self.desired.learn(shard, path, file);
            }
        }
        self.with_sync(shard, |running, wanted| running.on_read(reading, files, wanted));
        self.advance(shard, now);
    }

    pub(super) fn on_sync_answer(
        &mut self,
        worker: WorkerId,
        shard: u32,
        sync: u64,
        step: Step,
        result: Result<Reply, Failure>,
        now: Instant,
    ) {
        if self.slots[shard as usize].sync.as_ref().is_none_or(|running| running.number() != sync) {
            return;
        }
        let reply = match result {
            Ok(reply) => reply,
            // The connection's end says the rest.
            Err(Failure::Lost) => return self.stop_sync(shard),
            Err(failure) => return self.fail_sync(shard, &failure.to_string(), now),
        };
        match self.with_sync(shard, |running, wanted| running.on_answer(step, reply, wanted)) {
            Some(Err(lie)) => self.eject(worker, &lie.0, now),
            Some(Ok(Progress::Done(counters))) => self.finish_sync(shard, counters, now),
            Some(Ok(Progress::On)) => {
                if step == Step::Begin {
                    self.slots[shard as usize].known = true;
                    self.send_pushes(shard, now);
                }
                self.tell_progress(shard);
                self.advance(shard, now);
            }
            None => {}
        }
    }

    fn tell_progress(&mut self, shard: u32) {
        let slot = &mut self.slots[shard as usize];
        let Some(sync) = &slot.sync else { return };
        let (arrived, total) = (sync.arrived, sync.total());
        let state = ShardState::Warming { files: arrived.files, bytes: arrived.bytes };
        if slot.state != state {
            slot.state = state;
            self.tell(RouterEvent::Progress { shard, files: arrived.files, total });
        }
    }

    fn finish_sync(&mut self, shard: u32, counters: ShardCounters, now: Instant) {
        let content = self.desired.shard(shard).content();
        let rev = self.rev;
        let slot = &mut self.slots[shard as usize];
        let Some(sync) = slot.sync.take() else { return };
        self.budget.give_back(sync.held());
        let ready = Ready { counters, content, read: sync.read, sent: sync.sent };
        slot.state = ShardState::Ready(ready);
        (slot.known, slot.tries, slot.removals) = (true, 0, rev);
        self.tell(RouterEvent::ShardReady { shard, ready });
        self.waiters_done(shard);
        self.send_pushes(shard, now);
        self.free_sync(shard, now);
    }

    /// A sync has ended: another shard of its worker may begin.
    fn free_sync(&mut self, shard: u32, now: Instant) {
        let Some(id) = self.slots[shard as usize].worker else { return };
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.syncing.remove(&shard);
        }
        self.start_syncs(id, now);
    }

    /// A sync has failed, or what a change has made of the shard is not known: it begins again after a while.
    pub(super) fn fail_sync(&mut self, shard: u32, reason: &str, now: Instant) {
        self.stop_sync(shard);
        let slot = &mut self.slots[shard as usize];
        slot.tries += 1;
        let reason = reason.to_owned();
        if slot.tries > TRIES {
            slot.state = ShardState::Failed { reason: reason.clone() };
            self.waiters_wait(shard);
            self.tell(RouterEvent::ShardFailed { shard, reason });
        } else {
            let at = now + RETRY_AFTER * 2_u32.pow(slot.tries - 1);
            slot.retry_at = Some(at);
            slot.state = ShardState::Stale { reason: reason.clone() };
            self.timers.insert((at, Timer::Retry(shard)));
            self.tell(RouterEvent::ShardStale { shard, reason });
        }
        self.free_sync(shard, now);
    }

    pub(super) fn retry(&mut self, shard: u32, at: Instant, now: Instant) {
        if self.slots[shard as usize].retry_at == Some(at) {
            self.queue_sync(shard, now);
        }
    }

    /// Stops all syncs: their shards stay as they are.
    pub(super) fn stop_syncs(&mut self, reason: &str) {
        for shard in 0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX) {
            let queued = self.is_queued(shard);
            let slot = &mut self.slots[shard as usize];
            if slot.sync.is_none() && !queued && slot.retry_at.is_none() {
                continue;
            }
            slot.retry_at = None;
            slot.state = ShardState::Stale { reason: reason.to_owned() };
            self.stop_sync(shard);
            self.waiters_wait(shard);
            self.tell(RouterEvent::ShardStale { shard, reason: reason.to_owned() });
        }
    }
}
