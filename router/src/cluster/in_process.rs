//! Workers inside this process: the same coordinator, protocol and engine, over pipes in memory.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use nova_proto_core::messages::{WorkerHello, encode, shard_ranges};
use nova_proto_core::{Config, Role};
use nova_worker::cache::Store;
use nova_worker::service::WorkerService;
use tokio::task::JoinSet;

use super::gate::{self, Way};
use super::{Router, RouterConfig};
use crate::layout::Layout;

/// How much may lie in a pipe, in bytes.
const PIPE: usize = 256 * 1024;

/// How long the last indexes may take to be kept: less than a shutdown waits.
const FLUSH_WITHIN: Duration = Duration::from_millis(1_500);

/// How workers inside this process are made.
#[derive(Debug)]
pub struct InProcess {
    /// Threads that parse. Default: one for each core.
    pub threads: usize,
    /// Where indexes are kept between runs. Default: nowhere.
    pub store: Store,
}

impl Default for InProcess {
    fn default() -> Self {
        Self { threads: crate::local::cores(), store: Store::off() }
    }
}

impl Router {
    /// A router with one worker for all shards, in this process: without sockets and other processes, and with the same
    /// answers. `config.listen` is not used.
    ///
    /// # Errors
    /// If the worker's threads cannot be started.
    pub fn in_process(layout: Layout, config: RouterConfig, worker: InProcess) -> io::Result<Self> {
        let router = Self::with_listener(layout, config, None);
        let shards = 0..u32::try_from(router.shards.len()).unwrap_or(u32::MAX);
        let (service, _stop) = WorkerService::new(shards.clone(), worker.threads, worker.store)?;
        let claim = shard_ranges(shards).unwrap_or_default();
        let hello = WorkerHello { claim, token: router.token().cloned(), ..WorkerHello::default() };
        let config = Config { hello: encode(&hello), ..Config::new(Role::Worker) };
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let (handle, driver) =
            nova_transport_tokio::drive(theirs, config, service.clone()).map_err(io::Error::other)?;
        let shared = Arc::clone(&router.shared);
        router.tasks.add(tokio::spawn(async move {
            let mut sides = JoinSet::new();
            sides.spawn(gate::serve(shared, Way::Pipe(ours)));
            sides.spawn(async move {
                let reason = driver.await;
                tracing::debug!(%reason, "the worker in this process ends");
                drop(handle);
                let flushed = tokio::task::spawn_blocking(move || service.flush(FLUSH_WITHIN)).await;
                if !flushed.unwrap_or(false) {
                    tracing::warn!("not all indexes could be kept in {FLUSH_WITHIN:?}");
                }
            });
            while sides.join_next().await.is_some() {}
        }));
        Ok(router)
    }
}
