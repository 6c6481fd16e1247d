//! Asks workers how they are.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use nova_proto_core::Call;
use nova_proto_core::messages::{GetWorkerStats, WorkerStats, call, reply};
use nova_transport_tokio::Handle;

use super::Shared;

/// Longest wait for a worker.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn worker_stats(shared: &Shared) -> Vec<WorkerStats> {
    let reachable = shared.table.reachable();
    let workers: BTreeMap<u64, Handle> =
        reachable.into_iter().map(|reachable| (reachable.worker, reachable.handle)).collect();
    join_all(workers.into_values().map(ask)).await.into_iter().flatten().collect()
}

async fn ask(handle: Handle) -> Option<WorkerStats> {
    let call = Call { timeout: Some(ANSWER_WITHIN), ..call(&GetWorkerStats {}) };
    let body = handle.call(call).ok()?.await.ok()?;
    reply::<GetWorkerStats>(&body).ok()
}
