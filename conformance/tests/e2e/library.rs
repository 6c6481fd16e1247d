//! The router as a library, with workers that are processes: they die, hang and come back.

use std::future::Future;
use std::time::Duration;

use nova_router::cluster::{
    Ended, FileChange, Router, RouterConfig, RouterEvent, SearchOptions, ShardCounts, ShardState, Wait,
};
use nova_router::layout::{Layout, LayoutOptions};
use nova_router::local::{LocalOptions, LocalWorkers, PrivateDir, WorkerCommand};
use rustix::process::Signal;
use tokio::sync::broadcast::Receiver;

use crate::process::signal;
use crate::scene::{SOON, Scene, big_tree, program};

/// Longer than a connection takes to notice that its peer is silent, and a worker to be replaced.
const SILENCE: Duration = Duration::from_secs(60);

/// A router with worker processes.
struct Host {
    router: Router,
    workers: LocalWorkers,
    events: Receiver<RouterEvent>,
    _private: PrivateDir,
}

impl Host {
    async fn new(root: &std::path::Path, workers: usize) -> Self {
        let layout = Layout::discover(&[root.to_owned()], &LayoutOptions::default()).expect("a layout");
        let private = PrivateDir::new().expect("a private directory");
        let router = Router::start(layout, RouterConfig::new(private.address())).await.expect("a router");
        let events = router.events();
        let command = WorkerCommand { program: program("nova-worker"), arguments: Vec::new() };
        let workers = LocalWorkers::start(&router, &LocalOptions { workers, command, cache_dir: None });
        Self { router, workers, events, _private: private }
    }

    async fn ready(&self) {
        tokio::time::timeout(SOON, self.router.settled()).await.expect("it is indexed in time");
        let status = self.router.status();
        assert!(status.iter().all(|shard| matches!(shard.state, ShardState::Ready(_))), "{status:?}");
    }

    async fn search(&self, options: &SearchOptions) -> (String, ShardCounts) {
        let answer = self.router.workspace_symbols("", options).await.expect("a good query");
        let mut names: Vec<String> = answer.hits.into_iter().map(|hit| hit.symbol.name).collect();
        names.sort();
        (names.join(" "), answer.shards)
    }

    async fn names(&self) -> String {
        self.search(&SearchOptions::default()).await.0
    }

    /// The process that serves a shard.
    async fn pid(&self, shard: u32) -> u32 {
        let stats = self.router.worker_stats().await;
        let holds = |stats: &&nova_proto_core::messages::WorkerStats| {
            stats.shards.iter().any(|held| held.shard == shard)
        };
        stats.iter().find(holds).expect("somebody serves it").pid
    }

    /// Waits for an event.
    async fn see(&mut self, what: &str, within: Duration, mut is: impl FnMut(&RouterEvent) -> bool) {
        let seen = async { while !is(&self.events.recv().await.expect("not far behind")) {} };
        tokio::time::timeout(within, seen).await.unwrap_or_else(|_| panic!("{what}: not within {within:?}"));
    }

    async fn stop(self) {
        self.workers.stop(self.router).await;
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(test);
}

/// Two shards, one class each.
fn tree() -> Scene {
    let scene = Scene::new();
    scene.write("a/src/main/java/A.java", "class A {}");
    scene.write("b/src/main/java/B.java", "class B {}");
    scene
}

#[test]
fn an_unsaved_text_survives_the_kill_of_its_worker() {
    run(async {
        let scene = tree();
        let mut host = Host::new(&scene.tree(), 2).await;
        host.ready().await;
        let wait = Wait::at_most(SOON);
        let path = scene.tree().join("a/src/main/java/A.java");
        host.router.open_overlay(&path, "class Unsaved {}", &wait).await.expect("it is taken");
        assert_eq!(host.names().await, "B Unsaved");
        for crash in 0..3 {
            signal(host.pid(0).await, Signal::KILL);
            host.see("the kill", SOON, |event| matches!(event, RouterEvent::WorkerDown { .. })).await;
            if crash == 1 {
                // While nobody serves it.
                host.router.open_overlay(&path, "class Edited {}", &wait).await.expect("it is taken");
            }
            let ready = |event: &RouterEvent| matches!(event, RouterEvent::ShardReady { shard: 0, .. });
            host.see("the shard is ready again", SOON, ready).await;
            assert_eq!(host.names().await, if crash == 0 { "B Unsaved" } else { "B Edited" });
        }
        host.router.close_overlay(&path, &wait).await.expect("it is taken");
        assert_eq!(host.names().await, "A B");
        host.stop().await;
    });
}

#[test]
fn a_stopped_worker_costs_one_deadline_and_is_replaced() {
    run(async {
        let scene = tree();
        let mut host = Host::new(&scene.tree(), 2).await;
        host.ready().await;
        let stopped = host.pid(0).await;
        signal(stopped, Signal::STOP);
        let options =
            SearchOptions { soft: Duration::from_millis(500), hard: SOON, ..SearchOptions::default() };
        // The other one answers, and after the soft deadline that is enough.
        let (names, shards) = host.search(&options).await;
        assert_eq!((&*names, shards.answered, shards.failed), ("B", 1, 1));
        host.see("it is not asked any more", SOON, |event| matches!(event, RouterEvent::WorkerSlow { .. }))
            .await;
        // Each of these would take the soft deadline of an hour if the stopped one were asked.
        let patient =
            SearchOptions { soft: Duration::from_secs(3600), hard: Duration::from_secs(3600), ..options };
        for _ in 0..20 {
            let searched = tokio::time::timeout(SOON, host.search(&patient)).await;
            assert_eq!(searched.expect("nobody waits for the stopped one").1.failed, 1);
        }
        // Its connection is silent, so it is killed and another one takes its place.
        let ready = |event: &RouterEvent| matches!(event, RouterEvent::ShardReady { shard: 0, .. });
        host.see("the shard is ready again", SILENCE, ready).await;
        assert_eq!(host.names().await, "A B");
        assert_ne!(host.pid(0).await, stopped);
        host.stop().await;
    });
}

#[test]
fn a_worker_that_goes_on_in_time_is_asked_again() {
    run(async {
        let scene = tree();
        let mut host = Host::new(&scene.tree(), 2).await;
        host.ready().await;
        let stopped = host.pid(0).await;
        signal(stopped, Signal::STOP);
        let soft = Duration::from_millis(50);
        let (_, shards) = host.search(&SearchOptions { soft, hard: SOON, ..SearchOptions::default() }).await;
        assert_eq!(shards.failed, 1);
        signal(stopped, Signal::CONT);
        host.see("it answers", SOON, |event| matches!(event, RouterEvent::WorkerAnswers { .. })).await;
        assert_eq!(host.names().await, "A B");
        assert_eq!(host.pid(0).await, stopped);
        host.stop().await;
    });
}

#[test]
fn of_a_cancelled_run_nothing_comes_afterwards() {
    run(async {
        let mut host = Host::new(&big_tree(), 2).await;
        let shards = host.router.shards().len();
        let stale = |router: &Router| {
            router.status().iter().filter(|shard| matches!(shard.state, ShardState::Stale { .. })).count()
        };
        // It is cancelled in the middle: after the walk, when the first file has arrived.
        {
            let router = host.router.clone();
            let running = tokio::spawn(async move { router.index_workspace(&Wait::default()).await });
            host.see("the walk", SOON, |event| matches!(event, RouterEvent::Walked { .. })).await;
            let arrives = |event: &RouterEvent| {
                matches!(event, RouterEvent::Progress { .. } | RouterEvent::ShardReady { .. })
            };
            host.see("something arrives", SOON, arrives).await;
            running.abort();
            // A machine that was faster than this has done it all, and then nothing is to be proved.
            let _ = running.await;
        }
        // What is under way ends at once: by the time a call that comes after it has been answered, no shard becomes ready.
        host.router.worker_stats().await;
        let before = host.router.status();
        let late = async {
            loop {
                if let RouterEvent::ShardReady { shard, .. } =
                    host.events.recv().await.expect("not far behind")
                    && !matches!(before[shard as usize].state, ShardState::Ready(_))
                {
                    return shard;
                }
            }
        };
        // Whatever was still to come would come within this time; on a slow machine the test proves less, and passes.
        assert!(tokio::time::timeout(Duration::from_millis(300), late).await.is_err(), "no late result");
        assert!(stale(&host.router) + ready(&before) == shards, "{before:?}");

        let report = host.router.index_workspace(&Wait::at_most(SOON)).await.expect("it is done");
        assert_eq!((report.ready as usize, stale(&host.router)), (shards, 0));
        host.stop().await;
    });
}

fn ready(status: &[nova_router::cluster::ShardStatus]) -> usize {
    status.iter().filter(|shard| matches!(shard.state, ShardState::Ready(_))).count()
}

#[test]
fn changes_by_the_thousand_are_all_found() {
    run(async {
        let scene = tree();
        let host = Host::new(&scene.tree(), 2).await;
        host.ready().await;
        let wait = Wait::at_most(SOON);
        let paths: Vec<_> = (0..2_000)
            .map(|file| {
                scene.write(&format!("a/src/main/java/p/F{file}.java"), format!("class F{file} {{}}"))
            })
            .collect();
        let changes = paths.iter().cloned().map(FileChange::Disk);
        let changed = host.router.apply_changes(changes, &wait).await.expect("they are taken");
        assert_eq!((changed.files, changed.waiting, changed.skipped.len()), (2_000, 0, 0));
        let count = async |host: &Host| {
            let options = SearchOptions { limit: 10_000, soft: SOON, hard: SOON, ..SearchOptions::default() };
            host.search(&options).await.0.split(' ').count()
        };
        assert_eq!(count(&host).await, 2_002);
        std::fs::remove_dir_all(scene.tree().join("a/src/main/java/p")).expect("ours");
        host.router
            .remove_files([scene.tree().join("a/src/main/java/p")], &wait)
            .await
            .expect("they are taken");
        assert_eq!(host.names().await, "A B");
        host.stop().await;
    });
}

#[test]
fn a_run_that_nobody_serves_ends_at_its_deadline() {
    run(async {
        let scene = tree();
        let layout = Layout::discover(&[scene.tree()], &LayoutOptions::default()).expect("a layout");
        let router = Router::start(layout, RouterConfig::default()).await.expect("nothing to bind");
        let ended = router.index_workspace(&Wait::at_most(Duration::from_millis(20))).await;
        assert_eq!(ended, Err(Ended::Deadline));
    });
}
