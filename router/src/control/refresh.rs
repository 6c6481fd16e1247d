//! Bringing the index to what lies on disk, for many who ask at once.

use nova_proto_core::ErrorReply;
use tokio::sync::{broadcast, watch};

use super::answers::failed;
use crate::cluster::{Ended, IndexReport, Router, RouterEvent, ShardState, Wait};

/// Walks the roots when somebody asks for it. A walk that has begun before one asked does not count for that one; all who ask
/// during a walk share the next.
#[derive(Debug)]
pub(super) struct Refresh {
    router: Router,
    /// Whether a shard without a worker will get one by itself.
    workers_come: bool,
    asked: watch::Sender<u64>,
    done: watch::Sender<(u64, Result<(), Ended>)>,
}

impl Refresh {
    pub(super) fn new(router: Router, workers_come: bool) -> Self {
        Self { router, workers_come, asked: watch::Sender::new(0), done: watch::Sender::new((0, Ok(()))) }
    }

    /// Runs as long as the router.
    pub(super) async fn run(&self) {
        let mut asked = self.asked.subscribe();
        while asked.changed().await.is_ok() {
            let number = *asked.borrow_and_update();
            let result = self.walk().await;
            let _before = self.done.send_replace((number, result));
        }
    }

    /// Returns when all that lay on disk at the time of the call is in the index, as far as there are workers for it. Who
    /// drops this stops waiting, no more.
    pub(super) async fn current(&self) -> Result<(), ErrorReply> {
        let mut number = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            number = *asked;
        });
        let mut done = self.done.subscribe();
        match done.wait_for(|(done, _)| *done >= number).await {
            Ok(done) => done.1.clone().map_err(|ended| failed(&ended)),
            Err(_) => Err(failed(&Ended::Shutdown)),
        }
    }

    async fn walk(&self) -> Result<(), Ended> {
        let mut events = self.router.events();
        let router = self.router.clone();
        // A task of its own: it may have to wait for workers longer than anybody wants to, and giving it up would leave
        // shards stale. The next run takes its place.
        let mut run = tokio::spawn(async move { router.index_workspace(&Wait::default()).await });
        let ended = |run: Result<Result<IndexReport, Ended>, _>| run.unwrap_or(Err(Ended::Shutdown));
        let mut running = true;
        loop {
            tokio::select! {
                report = &mut run, if running => match ended(report) {
                    // Somebody else walks: that walk is later than this one, so it counts as well.
                    Err(Ended::Superseded) => running = false,
                    Err(error) => return Err(error),
                    Ok(_) => return Ok(()),
                },
                event = events.recv() => match event {
                    Ok(RouterEvent::Walked { .. }) => break,
                    Err(broadcast::error::RecvError::Closed) => return Err(Ended::Shutdown),
                    _ => {}
                },
            }
        }
        self.settled().await;
        Ok(())
    }

    /// Waits until no shard is about to become ready.
    pub(super) async fn settled(&self) {
        let mut changes = self.router.changes();
        loop {
            let settled = self.router.status().iter().all(|status| match status.state {
                ShardState::Ready(_) | ShardState::Failed { .. } => true,
                ShardState::Waiting { .. } => !self.workers_come,
                _ => false,
            });
            if settled || changes.changed().await.is_err() {
                return;
            }
        }
    }
}
