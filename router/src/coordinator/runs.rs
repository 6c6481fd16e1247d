//! Runs that callers wait for: indexing all of the workspace, and asking workers how they are.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nova_proto_core::messages::WorkerStats;

use super::calls::CallPurpose;
use super::desired::Wanted;
use super::{
    Action, Coordinator, Ended, Failure, IndexReport, Outcome, Reply, Request, RouterEvent, ShardState,
    Ticket, WorkerId, validate,
};
use crate::layout::Layout;

/// A run of indexing.
#[derive(Debug)]
pub(super) struct IndexRun {
    pub(super) ticket: Ticket,
    walking: bool,
    deadline: Option<Instant>,
}

/// Asking all workers how they are.
#[derive(Debug)]
pub(super) struct StatsRun {
    waiting: BTreeSet<WorkerId>,
    stats: Vec<(WorkerId, WorkerStats)>,
}

impl Coordinator {
    // ---- indexing ----

    pub(super) fn start_index(&mut self, ticket: Ticket, deadline: Option<Duration>, now: Instant) {
        self.end_index(Ended::Superseded, now);
        let deadline = self.deadline(ticket, deadline, now);
        self.index = Some(IndexRun { ticket, walking: true, deadline });
        self.act(Action::Walk(ticket));
    }

    pub(super) fn on_walked(&mut self, ticket: Ticket, result: Result<Box<Layout>, String>, now: Instant) {
        let Some(run) = self.index.as_mut().filter(|run| run.ticket == ticket && run.walking) else { return };
        run.walking = false;
        match result {
            Ok(layout) => {
                self.desired.rescan(*layout);
                let files = self.desired.shards().map(Wanted::count).sum();
                self.tell(RouterEvent::Walked { files });
                for shard in 0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX) {
                    self.slots[shard as usize].tries = 0;
                    self.check_again(shard);
                    self.queue_sync(shard, now);
                }
            }
            Err(error) => self.end_index(Ended::Walk(error), now),
        }
    }

    /// Ends the run before its time. Who cancels it wants it stopped; who has waited long enough only waits no longer.
    pub(super) fn end_index(&mut self, ended: Ended, now: Instant) {
        let Some(IndexRun { ticket, walking, deadline }) = self.index.take() else { return };
        self.forget_deadline(ticket, deadline);
        if walking {
            self.act(Action::CancelWalk(ticket));
        } else if ended == Ended::Cancelled {
            self.stop_syncs("indexing was cancelled; it begins again after half a minute", now);
        }
        self.act(Action::Finish(ticket, Outcome::Indexed(Err(ended))));
    }

    /// Ends the run of indexing if every shard is ready or has failed.
    pub(super) fn settle_index(&mut self) {
        let Some(run) = self.index.as_ref().filter(|run| !run.walking && self.is_settled()) else { return };
        let (ticket, deadline, mut report) = (run.ticket, run.deadline, IndexReport::default());
        self.index = None;
        self.forget_deadline(ticket, deadline);
        for (number, slot) in (0..).zip(&self.slots) {
            match &slot.state {
                ShardState::Ready(ready) => {
                    report.ready += 1;
                    report.files += u64::from(ready.counters.files);
                    report.symbols += ready.counters.symbols;
                    report.read = report.read + ready.read;
                    report.sent = report.sent + ready.sent;
                }
                ShardState::Failed { reason } => report.failed.push((number, reason.clone())),
                _ => {}
            }
        }
        self.act(Action::Finish(ticket, Outcome::Indexed(Ok(report))));
    }

    // ---- how workers are ----

    pub(super) fn start_stats(&mut self, ticket: Ticket, deadline: Duration, now: Instant) {
        let asked = self.workers.iter().filter(|(_, worker)| worker.connected && worker.breaker.is_closed());
        let waiting: BTreeSet<WorkerId> = asked.map(|(id, _)| *id).collect();
        self.asking.insert(ticket, StatsRun { waiting: waiting.clone(), stats: Vec::new() });
        for worker in waiting {
            self.call(worker, Request::Stats, CallPurpose::Stats(ticket), 0, Some(deadline), now);
        }
        self.finish_stats(ticket);
    }

    pub(super) fn on_stats(
        &mut self,
        ticket: Ticket,
        id: WorkerId,
        result: Result<Reply, Failure>,
        now: Instant,
    ) {
        let Some(run) = self.asking.get_mut(&ticket) else { return };
        run.waiting.remove(&id);
        if let (Ok(Reply::Stats(stats)), Some(worker)) = (result, self.workers.get(&id)) {
            match validate::stats(&stats, &worker.shards) {
                Ok(()) => run.stats.push((id, stats)),
                Err(lie) => self.eject(id, &lie.0, now),
            }
        }
        self.finish_stats(ticket);
    }

    fn finish_stats(&mut self, ticket: Ticket) {
        if self.asking.get(&ticket).is_some_and(|run| run.waiting.is_empty()) {
            self.end_stats(ticket);
        }
    }

    /// Whoever has not answered is left out.
    pub(super) fn end_stats(&mut self, ticket: Ticket) {
        let Some(StatsRun { mut stats, .. }) = self.asking.remove(&ticket) else { return };
        self.cancel_calls(|_, purpose| purpose == CallPurpose::Stats(ticket));
        stats.sort_by_key(|(worker, _)| *worker);
        let stats = stats.into_iter().map(|(_, stats)| stats).collect();
        self.act(Action::Finish(ticket, Outcome::Stats(stats)));
    }
}
