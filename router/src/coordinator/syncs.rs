//! Which shard is synced when, and what becomes of it.

use std::time::{Duration, Instant};

use nova_proto_core::messages::ShardCounters;

use super::calls::{CallPurpose, ReadPurpose};
use super::desired::Wanted;
use super::hydration::{Progress, Reading, Step, Sync};
use super::{Coordinator, Failure, FileRead, Ready, Reply, RouterEvent, ShardState, Timer, Turn, WorkerId};

/// How many shards of one worker are synced at once: enough to keep it busy while another waits for an answer.
const SHARDS_AT_ONCE: usize = 4;

/// How many syncs in a row may fail before their shard has failed: nobody waits for it any longer, but it is tried again.
const TRIES: u32 = 3;

/// The wait before the second try; doubled for each further one, up to the longest.
const RETRY_AFTER: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long shards stay as they are whose indexing was cancelled.
pub(super) const RESUME_AFTER: Duration = Duration::from_secs(30);

impl Coordinator {
    /// Brings a shard to what it should hold, from the beginning; what is under way ends.
    pub(super) fn queue_sync(&mut self, shard: u32, now: Instant) {
        self.stop_sync(shard);
        self.forget_retry(shard);
        let slot = &mut self.slots[shard as usize];
        let Some(id) = slot.worker.filter(|_| slot.connected) else { return };
        // Of one that has failed too often, nothing is expected.
        if !matches!(slot.state, ShardState::Warming { .. }) && slot.tries <= TRIES {
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
            let mut sync =
                Sync::new(shard, self.epoch, number, self.desired.shard(shard), self.budget.limit());
            let look = sync.look(self.desired.shard(shard));
            self.slots[shard as usize].sync = Some(sync);
            match look {
                Some((reading, plan)) => {
                    self.read(plan, ReadPurpose::Sync { shard, sync: number, reading }, 0);
                }
                None => self.advance(shard, now),
            }
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
        // The next sync has them: until then the worker takes no changes.
        if !self.slots[shard as usize].known {
            self.absorb_pushes(shard);
        }
    }

    /// Whether a sync that is under way, waits or is planned begins after this revision, and so brings what had changed by
    /// then.
    pub(super) fn sync_covers(&self, shard: u32, rev: u64) -> bool {
        let slot = &self.slots[shard as usize];
        let later = slot.sync.as_ref().map(|sync| sync.number() > rev);
        later.unwrap_or_else(|| slot.retry_at.is_some() || self.is_queued(shard))
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
                self.call(worker, request, purpose, held, None, now);
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
        let Some(sync) = slot.sync.as_ref().filter(|_| slot.tries <= TRIES) else { return };
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
        slot.tries = slot.tries.saturating_add(1);
        let wait = RETRY_AFTER.saturating_mul(1 << (slot.tries - 1).min(16)).min(LONGEST_WAIT);
        if slot.tries > TRIES {
            let reason = format!("{reason}; it is tried again, after a minute at most");
            slot.state = ShardState::Failed { reason: reason.clone() };
            self.waiters_wait(shard);
            self.tell(RouterEvent::ShardFailed { shard, reason });
        } else {
            slot.state = ShardState::Stale { reason: reason.to_owned() };
            self.tell(RouterEvent::ShardStale { shard, reason: reason.to_owned() });
        }
        self.plan_sync(shard, wait, now);
        self.free_sync(shard, now);
    }

    fn plan_sync(&mut self, shard: u32, wait: Duration, now: Instant) {
        self.forget_retry(shard);
        let at = now + wait;
        self.slots[shard as usize].retry_at = Some(at);
        self.timers.insert((at, Timer::Retry(shard)));
    }

    pub(super) fn forget_retry(&mut self, shard: u32) {
        if let Some(at) = self.slots[shard as usize].retry_at.take() {
            self.timers.remove(&(at, Timer::Retry(shard)));
        }
    }

    pub(super) fn retry(&mut self, shard: u32, now: Instant) {
        self.slots[shard as usize].retry_at = None;
        self.queue_sync(shard, now);
    }

    /// Stops all syncs: their shards stay as they are, for a while.
    pub(super) fn stop_syncs(&mut self, reason: &str, now: Instant) {
        for shard in 0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX) {
            let queued = self.is_queued(shard);
            let slot = &mut self.slots[shard as usize];
            if slot.sync.is_none() && !queued && slot.retry_at.is_none() {
                continue;
            }
            slot.tries = 0;
            slot.state = ShardState::Stale { reason: reason.to_owned() };
            self.stop_sync(shard);
            self.waiters_wait(shard);
            self.plan_sync(shard, RESUME_AFTER, now);
            self.tell(RouterEvent::ShardStale { shard, reason: reason.to_owned() });
        }
    }
}
