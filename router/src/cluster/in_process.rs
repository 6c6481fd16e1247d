//! Workers inside this process: the same coordinator, protocol and engine, over pipes in memory.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use nova_proto_core::messages::{WorkerHello, encode, shard_ranges};
use nova_proto_core::{Config, Role};
use nova_worker::cache::Store;
use nova_worker::service::WorkerService;

use super::gate::{self, Way};
use super::shell::Shared;
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

/// The wait before the worker is connected again; doubled for each further time, up to the longest.
const AGAIN_AFTER: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Router {
    /// A router with one worker for all shards, in this process: without sockets and other processes, and with the same
    /// answers. If the worker's connection ends, as it was not believed any more for example, it connects again.
    /// `config.listen` is not used.
    ///
    /// # Errors
    /// If the worker's threads cannot be started.
    pub fn in_process(layout: Layout, config: RouterConfig, worker: InProcess) -> io::Result<Self> {
        let router = Self::new(layout, config);
        let shards = 0..u32::try_from(router.shards.len()).unwrap_or(u32::MAX);
        let (service, _stop) = WorkerService::new(shards.clone(), worker.threads, worker.store)?;
        let claim = shard_ranges(shards).unwrap_or_default();
        let hello = WorkerHello { claim, token: router.token().cloned(), ..WorkerHello::default() };
        let config = Config { hello: encode(&hello), ..Config::new(Role::Worker) };
        Ok(router.begin(None, Some(OwnWorker { service, config })))
    }
}

/// The worker of a router's own process.
pub(super) struct OwnWorker {
    service: WorkerService,
    config: Config,
}

impl OwnWorker {
    /// Serves until the router ends, and then keeps the last indexes.
    pub(super) async fn serve(self, shared: &Arc<Shared>) {
        let mut wait = AGAIN_AFTER;
        while !shared.is_stopped() {
            let reason = self.connect(shared).await;
            if shared.is_stopped() {
                break;
            }
            tracing::error!(%reason, ?wait, "the worker in this process connects again");
            tokio::select! {
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(LONGEST_WAIT),
                () = shared.stopped() => {}
            }
        }
        let flushed = tokio::task::spawn_blocking(move || self.service.flush(FLUSH_WITHIN)).await;
        if !flushed.unwrap_or(false) {
            tracing::warn!("not all indexes could be kept in {FLUSH_WITHIN:?}");
        }
    }

    /// Connects, and returns why the connection has ended.
    async fn connect(&self, shared: &Arc<Shared>) -> String {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        match nova_transport_tokio::drive(theirs, self.config.clone(), self.service.clone()) {
            Ok((_handle, driver)) => {
                let (reason, ()) = tokio::join!(driver, gate::serve(Arc::clone(shared), Way::Pipe(ours)));
                reason.to_string()
            }
            Err(error) => error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{RouterEvent, SearchOptions, Wait};
    use crate::coordinator::{Ended, Event};
    use crate::layout::LayoutOptions;

    fn router() -> (tempfile::TempDir, Router) {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("A.java"), "class A {}").expect("written");
        let roots = [directory.path().to_owned()];
        let layout = Layout::discover(&roots, &LayoutOptions::default()).expect("a layout");
        let worker = InProcess { threads: 1, ..InProcess::default() };
        (directory, Router::in_process(layout, RouterConfig::default(), worker).expect("threads"))
    }

    const SOON: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_worker_that_is_thrown_out_comes_back() {
        let (_directory, router) = router();
        let mut events = router.events();
        for _ in 0..2 {
            let up = async {
                loop {
                    if let RouterEvent::WorkerUp { worker, .. } = events.recv().await.expect("not far behind")
                    {
                        return worker;
                    }
                }
            };
            let worker = tokio::time::timeout(SOON, up).await.expect("it connects");
            router.shared.post(Event::Lied(worker, "a test says so".to_owned()));
        }
        tokio::time::timeout(SOON, router.settled()).await.expect("it is indexed in time");
        let found = async {
            while router
                .workspace_symbols("A", &SearchOptions::default())
                .await
                .expect("a query")
                .hits
                .is_empty()
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, found).await.expect("it serves again");
        router.shutdown().await;
    }

    #[tokio::test]
    async fn who_asks_at_the_very_end_is_told() {
        let (_directory, router) = router();
        // It has ended its work, and the word of its end is not everywhere yet.
        router.shared.end();
        let options = SearchOptions::default();
        let found = router.workspace_symbols("A", &options);
        let found = tokio::time::timeout(SOON, found).await.expect("nobody waits for ever");
        assert_eq!(found, Err(Ended::Shutdown.into()));
        router.shutdown().await;
    }

    #[tokio::test]
    async fn a_router_that_fails_ends_and_says_why() {
        let (_directory, router) = router();
        let waiting = {
            let router = router.clone();
            tokio::spawn(async move { router.ended().await })
        };
        router.shared.fail("a test says so".to_owned());
        let failed = Ended::Failed("a test says so".to_owned());
        assert_eq!(tokio::time::timeout(SOON, waiting).await.expect("in time").expect("no panic"), failed);
        // Whoever asks now, or asked before, is told.
        let ended = tokio::time::timeout(SOON, router.index_workspace(&Wait::default())).await;
        assert_eq!(ended.expect("nobody waits for ever"), Err(failed));
        tokio::time::timeout(SOON, router.settled()).await.expect("nobody waits for ever");
        router.shutdown().await;
    }
}
