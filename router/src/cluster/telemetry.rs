//! Counters of a router, for whatever recorder a host has installed; `docs/OPERATIONS.md` says what they mean.

use std::time::Instant;

use metrics::{counter, gauge, histogram};

use crate::coordinator::{
    Action, Coordinator, Request, RouterEvent, SearchAnswer, SearchError, ShardState, UNTRUSTED,
};

/// The states of shards as labels.
const STATES: [&str; 5] = ["waiting", "warming", "ready", "stale", "failed"];

/// Makes all counters known, so that those that stand at zero are there as well.
pub(super) fn begin() {
    for outcome in ["complete", "partial", "refused"] {
        counter!("nova_searches_total", "outcome" => outcome).absolute(0);
    }
    for name in [
        "nova_sync_bytes_total",
        "nova_syncs_total",
        "nova_sync_failures_total",
        "nova_changes_sent_total",
        "nova_workers_connected_total",
        "nova_workers_lost_total",
        "nova_worker_restarts_total",
        "nova_ejections_total",
    ] {
        counter!(name).absolute(0);
    }
}

/// A worker process was started again.
pub(crate) fn worker_restarted() {
    counter!("nova_worker_restarts_total").increment(1);
}

/// A search has ended.
pub(super) fn searched(begun: Instant, result: &Result<SearchAnswer, SearchError>) {
    let outcome = match result {
        Ok(answer) if answer.shards.failed + answer.shards.warming == 0 => "complete",
        Ok(_) => "partial",
        Err(_) => "refused",
    };
    counter!("nova_searches_total", "outcome" => outcome).increment(1);
    histogram!("nova_search_seconds").record(begun.elapsed());
}

/// Something is done.
pub(super) fn acts(action: &Action) {
    match action {
        Action::Call { request: request @ Request::Load { .. }, .. } => {
            counter!("nova_sync_bytes_total").increment(request.size());
        }
        Action::Call { request: Request::Update { .. } | Request::Remove { .. }, .. } => {
            counter!("nova_changes_sent_total").increment(1);
        }
        Action::Close(_, UNTRUSTED, _) => counter!("nova_ejections_total").increment(1),
        Action::Tell(RouterEvent::WorkerUp { .. }) => counter!("nova_workers_connected_total").increment(1),
        Action::Tell(RouterEvent::WorkerDown { .. }) => counter!("nova_workers_lost_total").increment(1),
        Action::Tell(RouterEvent::ShardReady { .. }) => counter!("nova_syncs_total").increment(1),
        Action::Tell(RouterEvent::ShardStale { .. } | RouterEvent::ShardFailed { .. }) => {
            counter!("nova_sync_failures_total").increment(1);
        }
        _ => {}
    }
}

/// How all of it is now.
pub(super) fn measure(coordinator: &Coordinator) {
    let mut counts = [0_u32; STATES.len()];
    for state in coordinator.states() {
        counts[match state {
            ShardState::Waiting { .. } => 0,
            ShardState::Warming { .. } => 1,
            ShardState::Ready(_) => 2,
            ShardState::Stale { .. } => 3,
            ShardState::Failed { .. } => 4,
        }] += 1;
    }
    for (state, count) in STATES.into_iter().zip(counts) {
        gauge!("nova_shards", "state" => state).set(count);
    }
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    gauge!("nova_in_flight_bytes").set(coordinator.in_flight() as f64);
}
