//! Changes of single files: from the disk or an editor into what is desired.
//!
//! What may have changed on disk is read first, and is desired as it was read; an unsaved text is desired at once. Either
//! then is [pushed](super::pushes).

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::calls::ReadPurpose;
use super::desired::Overlay;
use super::event::{Change, ChangeError, Changed, Ended};
use super::pushes::{Flight, Push};
use super::{
    Action, CallId, Coordinator, FilePath, FileRead, Outcome, Planned, ReadPlan, Text, Ticket, Turn,
};
use crate::layout::{SkipReason, Skipped};

/// Most files in one read, and about how much text.
const CHECKS: usize = 64;
const CHECK_BYTES: u64 = 1024 * 1024;

/// Most files that are looked at in one go, where there are more than one read takes: they bring no text.
const LOOKS: usize = 4096;

/// For how much text of a file room is kept whose length is not known.
const UNKNOWN_BYTES: u64 = CHECK_BYTES / CHECKS as u64;

/// What is known to have changed in one shard, and is not at its worker yet.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Files to look at on disk.
    checks: BTreeMap<Arc<str>, Check>,
    /// The latest of each file, to be sent.
    pub(super) pushes: BTreeMap<Arc<str>, Push>,
    pub(super) flying: BTreeMap<CallId, Flight>,
    /// The paths of all that is under way.
    pub(super) in_flight: BTreeSet<Arc<str>>,
}

#[derive(Debug, Default)]
struct Check {
    /// Its unsaved text goes when this is done.
    closes: bool,
    reading: bool,
    /// It was looked at, and has changed.
    looked: bool,
    /// It has changed since the read began.
    again: bool,
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
            if let (Err(error), Some(run)) = (taken, self.changing.get_mut(&ticket)) {
                run.changed.refused.push(error);
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
    pub(super) fn resolve(&mut self, tickets: Vec<Ticket>, how: impl Fn(&mut Changed)) {
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

    /// Looks at what may have changed, where that is much: below a directory, most has not.
    fn look_at_checks(&mut self, shard: u32) -> bool {
        let wanted = self.desired.shard(shard);
        let checks = &mut self.slots[shard as usize].changes.checks;
        if checks.len() <= CHECKS {
            return false;
        }
        let (mut paths, mut files) = (Vec::new(), Vec::new());
        for (path, check) in
            checks.iter_mut().filter(|(_, check)| !check.reading && !check.looked && !check.closes)
        {
            let Some((mark, _)) = wanted.file(path).and_then(|file| file.known) else { continue };
            if paths.len() == LOOKS {
                break;
            }
            (check.reading, check.again) = (true, false);
            files.push(Planned { path: Arc::clone(path), known: Some(mark), new: false });
            paths.push(Arc::clone(path));
        }
        if paths.is_empty() {
            return false;
        }
        let plan = ReadPlan { root: wanted.info.root, files, enough: u64::MAX, look: true };
        self.read(plan, ReadPurpose::Check { shard, paths }, 0);
        true
    }

    /// Reads some of the files that may have changed.
    pub(super) fn read_checks(&mut self, shard: u32) -> Turn {
        if self.look_at_checks(shard) {
            return Turn::Taken;
        }
        let wanted = self.desired.shard(shard);
        let limit = CHECK_BYTES.min(self.budget.limit());
        let unknown = UNKNOWN_BYTES.min(limit);
        let mut paths = Vec::new();
        let mut files = Vec::new();
        let mut bytes = 0;
        for (path, check) in &mut self.slots[shard as usize].changes.checks {
            if check.reading {
                continue;
            }
            let new = wanted.file(path).is_none();
            let size = wanted.file(path).map_or(unknown, |file| u64::from(file.size));
            if paths.len() == CHECKS || (bytes > 0 && bytes + size > limit) {
                break;
            }
            bytes += size;
            // Under an unsaved text the worker does not hold what is known of the disk.
            let known = wanted.file(path).and_then(|file| file.known).filter(|_| !check.closes);
            let known = known.map(|(mark, _)| mark);
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
        // What is longer than it was is read next.
        let plan = ReadPlan { root: wanted.info.root, files, enough: bytes.max(1), look: false };
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
                Some(file) if !check.again && !matches!(file, FileRead::Changed) => {
                    self.checked(shard, &path, check, file, now);
                }
                file => {
                    // What is to be read, is: whoever asked again wants no older look.
                    check.looked = matches!(file, Some(FileRead::Changed)) || check.looked;
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
}
