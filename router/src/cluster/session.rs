//! One worker's connection, from its acceptance to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::stream::{self, StreamExt};
use nova_proto_core::{CloseCode, Config, Role};
use nova_transport_tokio::{Handle, Stream};

use super::admission::Gate;
use super::hydrate::{self, HydrateError};
use super::{ShardState, Shared};

/// How many shards of one worker are hydrated at once: enough to keep it busy while another waits for an answer.
const SHARDS_AT_ONCE: usize = 4;

/// Serves the connection until it ends.
pub(super) async fn run(shared: Arc<Shared>, stream: Stream) {
    let worker = shared.next_worker.fetch_add(1, Ordering::Relaxed);
    let gate = Gate { shared: Arc::clone(&shared), worker, peer: stream.peer().clone() };
    let (handle, driver) = match stream.drive(Config::new(Role::Router), gate) {
        Ok(connected) => connected,
        Err(error) => {
            tracing::error!(%error, "the configuration of connections is wrong");
            return;
        }
    };
    let driver = tokio::spawn(driver);
    tokio::select! {
        () = serve(&shared, worker, &handle) => {}
        () = shared.stopped() => handle.close(CloseCode::NORMAL, "the router ends"),
    }
    let reason = handle.closed().await;
    tracing::info!(worker, %reason, "worker gone");
    shared.table.release(worker, &format!("its worker is gone: {reason}"));
    drop(handle);
    let _ = driver.await;
}

/// Brings the worker's shards to their content, and waits for the connection's end.
async fn serve(shared: &Shared, worker: u64, handle: &Handle) {
    if handle.connected().await.is_ok() {
        let claimed = shared.table.connect(worker, handle);
        let hydrating = stream::iter(claimed)
            .for_each_concurrent(SHARDS_AT_ONCE, |shard| hydrate_shard(shared, worker, handle, shard));
        tokio::select! {
            () = hydrating => {}
            _ = handle.closed() => {}
        }
    }
    handle.closed().await;
}

async fn hydrate_shard(shared: &Shared, worker: u64, handle: &Handle, shard: u32) {
    match hydrate::hydrate(shared, worker, handle, shard).await {
        Ok(state) => shared.table.set(worker, shard, state),
        // The connection's end says the rest.
        Err(HydrateError::ConnectionLost) => {}
        Err(error) => {
            tracing::error!(shard, worker, %error, "the shard could not be indexed");
            shared.table.set(worker, shard, ShardState::Failed { reason: error.to_string() });
        }
    }
}
