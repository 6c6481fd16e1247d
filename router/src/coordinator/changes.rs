//! Changes of single files: from the disk or an editor into what is desired, and from there to the workers.
//!
//! What may have changed on disk is read first, and is desired as it was read; an unsaved text is desired at once. Either
//! then goes to the shard's worker, if that has heard of this run: it takes the change with the highest revision, in
//! whatever order they come. If it has not, the sync that it is about to get brings the change. Of each path one change
//! is under way, and the latest one waits.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nova_proto_core::messages::ShardCounters;

use super::calls::{CallPurpose, ReadPurpose};
use super::desired::Overlay;
use super::event::{Change, ChangeError, Changed, Ended};
use super::syncs::ANSWER_WITHIN;
use super::{
    Action, CallId, Coordinator, Failure, FilePath, FileRead, Outcome, Planned, ReadPlan, Reply, Request,
    ShardState, Text, Ticket, Turn, WorkerId, validate,
};
use crate::layout::{SkipReason, Skipped};

/// How many changes of one shard are under way at once.
const PUSHES_AT_ONCE: usize = 4;

/// Most removals in one call.
const REMOVALS: usize = 1024;

/// Most files in one read, and about how much text.
const CHECKS: usize = 64;
const CHECK_BYTES: u64 = 1024 * 1024;

/// What is known to have changed in one shard, and is not at its worker yet.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Files to look at on disk.
    checks: BTreeMap<Arc<str>, Check>,
    /// The latest of each file, to be sent.
    pushes: BTreeMap<Arc<str>, Push>,
    flying: BTreeMap<CallId, Flight>,
    /// The paths of all that is under way.
    in_flight: BTreeSet<Arc<str>>,
}

#[derive(Debug, Default)]
struct Check {
    /// Its unsaved text goes when this is done.
    closes: bool,
    reading: bool,
    /// It has changed since the read began.
    again: bool,
    waiters: Vec<Ticket>,
}

#[derive(Debug)]
struct Push {
    rev: u64,
    /// Nothing: it is gone.
    text: Option<Arc<str>>,
    /// Bytes of the text that are in the budget: a text that was read from disk.
    held: u64,
    waiters: Vec<Ticket>,
}

#[derive(Debug)]
struct Flight {
    paths: Vec<Arc<str>>,
    waiters: Vec<Ticket>,
}

/// What somebody waits for.
#[derive(Debug, Default)]
pub(super) struct ChangeRun {
    left: usize,
    changed: Changed,
    deadline: Option<Instant>,
}

impl Changes {
    /// Changes that are not at the worker yet.
    pub(super) fn pending(&self) -> usize {
        self.checks.len() + self.pushes.len() + self.in_flight.len()
    }

    /// Whether the removal of a file may not be at the worker yet.
    pub(super) fn concerns(&self, path: &str) -> bool {
        self.checks.contains_key(path) || self.pushes.contains_key(path) || self.in_flight.contains(path)
    }
}

impl Coordinator {
    pub(super) fn start_change(
        &mut self,
        ticket: Ticket,
        changes: Vec<Change>,
        deadline: Option<Duration>,
        now: Instant,
    ) {
        // One more, so that it does not end before all of it has begun.
        let deadline = self.deadline(ticket, deadline, now);
        self.changing.insert(ticket, ChangeRun { left: 1, changed: Changed::default(), deadline });
        for change in changes {
            let taken = match change {
                Change::Disk(file) => {
                    self.disk_changed(ticket, file);
                    Ok(())
                }
                Change::Overlay(file, text) => self.open_overlay(ticket, &file, text, now),
                Change::Close(file) => {
                    self.close_overlay(ticket, &file);
                    Ok(())
                }
            };
            if let Err(error) = taken {
                return self.finish_change(ticket, Err(error));
            }
        }
        self.resolve(vec![ticket], |_| ());
        self.changed = true;
    }

    pub(super) fn end_change(&mut self, ticket: Ticket, ended: Ended) {
        self.finish_change(ticket, Err(ended.into()));
    }

    fn finish_change(&mut self, ticket: Ticket, result: Result<Changed, ChangeError>) {
        let Some(run) = self.changing.remove(&ticket) else { return };
        self.forget_deadline(ticket, run.deadline);
        self.act(Action::Finish(ticket, Outcome::Changed(result)));
    }

    /// Of each of these, one change is where it should be.
    fn resolve(&mut self, tickets: Vec<Ticket>, how: impl Fn(&mut Changed)) {
        for ticket in tickets {
            let Some(run) = self.changing.get_mut(&ticket) else { continue };
            how(&mut run.changed);
            run.left -= 1;
            if run.left == 0 {
                let changed = mem::take(&mut run.changed);
                self.finish_change(ticket, Ok(changed));
            }
        }
    }

    fn await_one(&mut self, ticket: Ticket) {
        if let Some(run) = self.changing.get_mut(&ticket) {
            run.left += 1;
            run.changed.files += 1;
        }
    }

    /// Those whose changes a sync was to bring have waited long enough: it is done.
    pub(super) fn waiters_done(&mut self, shard: u32) {
        let waiters = mem::take(&mut self.slots[shard as usize].waiters);
        self.resolve(waiters, |_| ());
    }

    /// Those whose changes a sync was to bring need not wait: there will be none for now.
    pub(super) fn waiters_wait(&mut self, shard: u32) {
        let waiters = mem::take(&mut self.slots[shard as usize].waiters);
        self.resolve(waiters, |changed| changed.waiting += 1);
    }

    // ---- into what is desired ----

    fn disk_changed(&mut self, ticket: Ticket, file: FilePath) {
        let below = self.desired.below(&file);
        if below.is_empty() && !file.path.ends_with(".java") {
            return;
        }
        for file in if below.is_empty() { vec![file] } else { below } {
            let Some(shard) = self.desired.place(file.root, &file.path) else { continue };
            // While there is an unsaved text, what the disk holds is of no interest; closing it looks, and again if need be.
            let unsaved = self.desired.shard(shard).overlay(&file.path).is_some();
            if !unsaved || self.slots[shard as usize].changes.checks.contains_key(&file.path) {
                self.check(ticket, shard, &file.path, false);
            }
        }
    }

    fn close_overlay(&mut self, ticket: Ticket, file: &FilePath) {
        let Some(shard) = self.desired.place(file.root, &file.path) else { return };
        if self.desired.shard(shard).overlay(&file.path).is_some() {
            self.check(ticket, shard, &file.path, true);
        }
    }

    fn check(&mut self, ticket: Ticket, shard: u32, path: &Arc<str>, closes: bool) {
        self.await_one(ticket);
        let check = self.slots[shard as usize].changes.checks.entry(Arc::clone(path)).or_default();
        check.closes |= closes;
        check.again |= check.reading;
        check.waiters.push(ticket);
        self.wants_turn(shard);
    }

    fn open_overlay(
        &mut self,
        ticket: Ticket,
        file: &FilePath,
        text: Text,
        now: Instant,
    ) -> Result<(), ChangeError> {
        let path = || file.path.to_string();
        let (size, limit) = (text.bytes(), self.config.max_file_bytes);
        if size > limit {
            return Err(ChangeError::TooLarge { path: path(), size, limit });
        }
        let shard = self.desired.place(file.root, &file.path).ok_or_else(|| ChangeError::Path {
            path: path(),
            problem: "its root is not one of the workspace's",
        })?;
        let rev = self.next_rev();
        let limit = self.config.overlay_bytes;
        let overlay = Overlay { text: text.clone(), rev };
        self.desired
            .open(shard, &file.path, overlay, limit)
            .map_err(|(used, size)| ChangeError::OverlayFull { path: path(), size, used, limit })?;
        // An older wish to close it is void.
        if let Some(check) = self.slots[shard as usize].changes.checks.get_mut(&file.path) {
            check.closes = false;
        }
        self.await_one(ticket);
        let push = Push { rev, text: Some(text.text), held: 0, waiters: vec![ticket] };
        self.push(shard, &file.path, push, now);
        Ok(())
    }

    /// All of the disk was looked at: what is being read may be older than that.
    pub(super) fn check_again(&mut self, shard: u32) {
        for check in self.slots[shard as usize].changes.checks.values_mut() {
            check.again |= check.reading;
        }
    }

    /// Reads some of the files that may have changed.
    fn read_checks(&mut self, shard: u32) -> Turn {
        let wanted = self.desired.shard(shard);
        let mut paths = Vec::new();
        let mut files = Vec::new();
        let mut bytes = 0;
        for (path, check) in &mut self.slots[shard as usize].changes.checks {
            if check.reading {
                continue;
            }
            let new = wanted.file(path).is_none();
            let file = wanted.file(path).copied().unwrap_or_default();
            if paths.len() == CHECKS || (bytes > 0 && bytes + u64::from(file.size) > CHECK_BYTES) {
                break;
            }
            bytes += u64::from(file.size);
            // Under an unsaved text the worker does not hold what is known of the disk.
            let known = file.known.map(|(mark, _)| mark).filter(|_| !check.closes);
            files.push(Planned { path: Arc::clone(path), known, new });
            paths.push(Arc::clone(path));
        }
        if paths.is_empty() {
            return Turn::Nothing;
        }
        if !self.budget.has_room(bytes) {
            return Turn::NoRoom;
        }
        for path in &paths {
            if let Some(check) = self.slots[shard as usize].changes.checks.get_mut(path) {
                (check.reading, check.again) = (true, false);
            }
        }
        let plan = ReadPlan { root: wanted.info.root, files, enough: CHECK_BYTES, look: false };
        self.read(plan, ReadPurpose::Check { shard, paths }, bytes);
        Turn::Taken
    }

    /// Files were read that may have changed.
    pub(super) fn on_checked(
        &mut self,
        shard: u32,
        paths: Vec<Arc<str>>,
        files: Vec<FileRead>,
        now: Instant,
    ) {
        // Nothing at all comes only of a read that broke down: trying again would break down again.
        let broken = files.is_empty();
        let mut files = files.into_iter();
        for path in paths {
            let checks = &mut self.slots[shard as usize].changes.checks;
            let Some(mut check) = checks.remove(&path) else { continue };
            let unreadable =
                || FileRead::Skipped(SkipReason::Unreadable { detail: "reading it broke down".into() });
            match files.next().or_else(|| broken.then(unreadable)) {
                Some(file) if !check.again => self.checked(shard, &path, check, file, now),
                _ => {
                    (check.reading, check.again) = (false, false);
                    checks.insert(path, check);
                    self.wants_turn(shard);
                }
            }
        }
    }

    fn checked(&mut self, shard: u32, path: &Arc<str>, check: Check, file: FileRead, now: Instant) {
        if check.closes {
            self.desired.close(shard, path);
        }
        self.desired.set_disk(shard, path, &file);
        if self.desired.shard(shard).overlay(path).is_some() {
            return self.resolve(check.waiters, |_| ());
        }
        let text = match file {
            FileRead::Unchanged | FileRead::Changed => return self.resolve(check.waiters, |_| ()),
            FileRead::Text { text, .. } => Some(text.text),
            FileRead::LeftOut => None,
            FileRead::Skipped(reason) => {
                self.tell_skipped(shard, path, &check.waiters, reason);
                None
            }
        };
        let rev = self.next_rev();
        let held = text.as_ref().map_or(0, |text| text.len() as u64);
        self.budget.take(held);
        self.push(shard, path, Push { rev, text, held, waiters: check.waiters }, now);
    }

    fn tell_skipped(&mut self, shard: u32, path: &Arc<str>, waiters: &[Ticket], reason: SkipReason) {
        if reason == SkipReason::Vanished {
            return;
        }
        let skipped = Skipped { root: self.desired.shard(shard).info.root, path: path.to_string(), reason };
        for ticket in waiters {
            if let Some(run) = self.changing.get_mut(ticket) {
                run.changed.skipped.push(skipped.clone());
            }
        }
    }

    // ---- to the workers ----

    /// Brings a change to the shard's worker, now or with its next sync.
    fn push(&mut self, shard: u32, path: &Arc<str>, push: Push, now: Instant) {
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
            let Some(worker) = slot.worker.filter(|_| slot.known) else { return turn };
            if slot.changes.flying.len() >= PUSHES_AT_ONCE {
                return turn;
            }
            let mut idle =
                slot.changes.pushes.iter().filter(|(path, _)| !slot.changes.in_flight.contains(*path));
            let Some((first, push)) = idle.next() else { return turn };
            let bytes = push.text.as_ref().map_or(0, |text| text.len() as u64);
            if push.held < bytes && !self.budget.has_room(bytes) {
                return Turn::NoRoom;
            }
            let mut paths = vec![Arc::clone(first)];
            if push.text.is_none() {
                let removals = idle.filter(|(_, push)| push.text.is_none()).take(REMOVALS - 1);
                paths.extend(removals.map(|(path, _)| Arc::clone(path)));
            }
            self.fly(shard, worker, paths, now);
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
        let call = self.call(worker, request, CallPurpose::Push { shard }, bytes, ANSWER_WITHIN, now);
        let changes = &mut self.slots[shard as usize].changes;
        changes.in_flight.extend(paths.iter().cloned());
        changes.flying.insert(call, Flight { paths, waiters });
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
        let Some(Flight { paths, waiters }) = slot.changes.flying.remove(&call) else { return };
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
            }
            Err(Failure::Lost) => slot.waiters.extend(waiters),
            // What it has made of the change is not known.
            result => {
                let reason = match result {
                    Err(failure) => failure.to_string(),
                    Ok(_) => "it answers something else".to_owned(),
                };
                slot.waiters.extend(waiters);
                self.fail_sync(shard, &reason, now);
            }
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
