//! Calls and reads under way, and the room that their texts take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nova_proto_core::TraceContext;

use super::hydration::{Reading, Step};
use super::{
    Action, CallId, Coordinator, Event, Failure, FileRead, ReadId, ReadPlan, Reply, Request, Ticket, Timer,
    WorkerId, later,
};

/// Longest wait for an answer to what is small.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The least that a way to a worker has to carry, in bytes a second: with what is under way to it already, a large request
/// may take as long as that needs.
const SLOWEST_LINK: u64 = 64 * 1024;

/// Room for texts.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    used: u64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: 0 }
    }

    /// Whether there is room for so much. What is larger than all there is has room alone, and nothing has it always.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        bytes == 0 || self.used == 0 || self.used.saturating_add(bytes) <= self.limit
    }

    pub(super) fn take(&mut self, bytes: u64) {
        self.used += bytes;
    }

    pub(super) fn give_back(&mut self, bytes: u64) {
        self.used -= bytes;
    }

    pub(super) fn used(&self) -> u64 {
        self.used
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }
}

/// A call under way.
#[derive(Debug)]
pub(super) struct CallInfo {
    pub(super) worker: WorkerId,
    purpose: CallPurpose,
    deadline: Instant,
    /// Bytes of text in it.
    held: u64,
    /// Its length, about.
    size: u64,
}

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallPurpose {
    Sync { shard: u32, sync: u64, step: Step },
    Push { shard: u32 },
    Question(Ticket),
    Stats(Ticket),
    Probe,
    Alive,
}

/// A read under way.
#[derive(Debug)]
pub(super) struct ReadInfo {
    purpose: Option<ReadPurpose>,
    /// The room kept for what it brings.
    reserved: u64,
}

/// What a read is for.
#[derive(Debug)]
pub(super) enum ReadPurpose {
    Sync { shard: u32, sync: u64, reading: Reading },
    Check { shard: u32, paths: Vec<Arc<str>> },
}

impl Coordinator {
    /// The shard that something has happened to, and the file if it is one alone: to tell where it went wrong.
    #[must_use]
    pub fn subject(&self, event: &Event) -> (Option<u32>, Option<Arc<str>>) {
        match event {
            Event::Answer(call, _) => match self.calls.get(call).map(|call| call.purpose) {
                Some(CallPurpose::Sync { shard, .. }) => (Some(shard), None),
                Some(CallPurpose::Push { shard }) => {
                    (Some(shard), self.slots[shard as usize].changes.file_of(*call))
                }
                _ => (None, None),
            },
            Event::Read(read, _) => match self.reads.get(read).and_then(|read| read.purpose.as_ref()) {
                Some(ReadPurpose::Sync { shard, .. }) => (Some(*shard), None),
                Some(ReadPurpose::Check { shard, paths }) => (Some(*shard), paths.first().cloned()),
                None => (None, None),
            },
            _ => (None, None),
        }
    }

    /// Asks for a call with `held` bytes of text in it, to be answered within a time; without one, as long as its worker needs
    /// at worst.
    pub(super) fn call(
        &mut self,
        worker: WorkerId,
        request: Request,
        purpose: CallPurpose,
        held: u64,
        within: Option<Duration>,
        now: Instant,
    ) -> CallId {
        self.last_id += 1;
        let call = CallId(self.last_id);
        let size = request.size();
        let under_way = self.workers.get_mut(&worker).map_or(size, |worker| {
            worker.under_way += size;
            match purpose {
                CallPurpose::Question(_) => worker.questions += 1,
                CallPurpose::Push { .. } => worker.pushes += 1,
                _ => {}
            }
            worker.under_way
        });
        let at_worst = ANSWER_WITHIN + Duration::from_secs(under_way / SLOWEST_LINK);
        let within = within.unwrap_or(at_worst);
        let deadline = later(now, within);
        self.budget.take(held);
        self.timers.insert((deadline, Timer::Call(call)));
        self.calls.insert(call, CallInfo { worker, purpose, deadline, held, size });
        let trace = self.trace(purpose, call);
        self.act(Action::Call { call, worker, request, within, trace });
        call
    }

    /// The trace of a call: the host's for its searches, and else one for each sync, each change and each search. They need no
    /// random numbers, as a run's epoch is one.
    fn trace(&self, purpose: CallPurpose, call: CallId) -> Option<TraceContext> {
        let own = |number: u64| {
            let mut trace_id = [0; 16];
            trace_id[..8].copy_from_slice(&self.epoch.to_be_bytes());
            trace_id[8..].copy_from_slice(&number.to_be_bytes());
            TraceContext { trace_id, span_id: [0; 8], flags: 1 }
        };
        let trace = match purpose {
            CallPurpose::Sync { sync, .. } => own(sync),
            CallPurpose::Push { .. } => own(self.rev),
            CallPurpose::Question(ticket) => {
                let run = self.searches.get(&ticket)?;
                run.trace.unwrap_or_else(|| own(run.rev))
            }
            CallPurpose::Stats(_) | CallPurpose::Probe | CallPurpose::Alive => return None,
        };
        Some(TraceContext { span_id: call.0.to_be_bytes(), ..trace })
    }

    /// A call has ended, in whatever way: what it kept is free, and nothing of it comes any more.
    fn forget_call(&mut self, call: CallId) -> Option<CallInfo> {
        let info = self.calls.remove(&call)?;
        self.timers.remove(&(info.deadline, Timer::Call(call)));
        self.budget.give_back(info.held);
        if let Some(worker) = self.workers.get_mut(&info.worker) {
            worker.under_way -= info.size;
            match info.purpose {
                CallPurpose::Question(_) => worker.questions -= 1,
                CallPurpose::Push { .. } => worker.pushes -= 1,
                _ => {}
            }
        }
        Some(info)
    }

    pub(super) fn cancel_call(&mut self, call: CallId) {
        if self.forget_call(call).is_some() {
            self.act(Action::CancelCall(call));
        }
    }

    /// Cancels the calls for which `which` holds.
    pub(super) fn cancel_calls(&mut self, which: impl Fn(&CallInfo, CallPurpose) -> bool) {
        let calls: Vec<CallId> =
            self.calls.iter().filter(|(_, info)| which(info, info.purpose)).map(|(call, _)| *call).collect();
        calls.into_iter().for_each(|call| self.cancel_call(call));
    }

    pub(super) fn on_answer(&mut self, call: CallId, result: Result<Reply, Failure>, now: Instant) {
        let Some(CallInfo { worker, purpose, .. }) = self.forget_call(call) else { return };
        if matches!(result, Err(Failure::Late)) {
            // The connection's own clock need not have noticed.
            self.act(Action::CancelCall(call));
        }
        match purpose {
            CallPurpose::Sync { shard, sync, step } => {
                self.on_sync_answer(worker, shard, sync, step, result, now);
            }
            CallPurpose::Push { shard } => self.on_pushed(worker, shard, call, result, now),
            CallPurpose::Question(ticket) => self.on_found(ticket, call, result, now),
            CallPurpose::Stats(ticket) => self.on_stats(ticket, worker, result, now),
            CallPurpose::Alive => self.on_alive(worker, &result, now),
            CallPurpose::Probe => self.on_probed(worker, result.is_ok(), now),
        }
    }

    /// Asks for a read, and keeps room for what it brings.
    pub(super) fn read(&mut self, plan: ReadPlan, purpose: ReadPurpose, reserved: u64) {
        self.last_id += 1;
        let read = ReadId(self.last_id);
        self.budget.take(reserved);
        self.reads.insert(read, ReadInfo { purpose: Some(purpose), reserved });
        self.act(Action::Read { read, plan });
    }

    /// What is read for these is not wanted any more. Its room is free when the read has ended.
    pub(super) fn cancel_sync_reads(&mut self, shard: u32) {
        for (read, info) in &mut self.reads {
            if matches!(info.purpose, Some(ReadPurpose::Sync { shard: of, .. }) if of == shard) {
                info.purpose = None;
                self.actions.push_back(Action::CancelRead(*read));
            }
        }
    }

    pub(super) fn on_read(&mut self, read: ReadId, files: Vec<FileRead>, now: Instant) {
        let Some(ReadInfo { purpose, reserved }) = self.reads.remove(&read) else { return };
        self.budget.give_back(reserved);
        match purpose {
            Some(ReadPurpose::Sync { shard, sync, reading }) => {
                self.on_sync_read(shard, sync, reading, files, now);
            }
            Some(ReadPurpose::Check { shard, paths }) => self.on_checked(shard, paths, files, now),
            None => {}
        }
    }
}
