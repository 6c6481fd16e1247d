//! The router: it owns what every shard should hold, lets workers in, keeps them at it and merges their answers.
//!
//! What is to be done is decided by the [coordinator](crate::coordinator); here it is done.

mod config;
mod disk;
mod gate;
mod in_process;
mod listing;
mod paths;
mod shell;
mod stat_cache;
pub(crate) mod telemetry;

use std::future::Future;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
pub use nova_proto_core::TraceContext;
use nova_proto_core::messages::{Token, WorkerStats};
use nova_transport_tokio::{Address, Listener};
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};
pub use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::coordinator::desired::Wanted;
use crate::coordinator::{Ask, Change, Coordinator, Event, FilePath, Outcome, Text, Ticket};
pub use crate::coordinator::{
    ChangeError, Changed, Ended, IndexReport, Ready, RouterEvent, SearchAnswer, SearchError, SearchHit,
    SearchOptions, ShardCounts, ShardInfo, ShardState, ShardStatus, Volume, WorkerId,
};
use crate::layout::{Layout, LeftOut, Skipped};
pub use config::{FileChange, RouterConfig, Wait};
use gate::Way;
pub use in_process::InProcess;
use in_process::OwnWorker;
pub use listing::{ListError, ListedSymbols};
use shell::Shared;
pub use stat_cache::STATUS_FILE;
use stat_cache::StatCache;

/// How long workers have to finish when the router ends.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// How long workers have to say how they are.
const STATS_WITHIN: Duration = Duration::from_secs(5);

/// A router at work. Clones name the same one; dropping the last one ends its tasks and connections.
#[derive(Debug, Clone)]
pub struct Router {
    shared: Arc<Shared>,
    roots: Arc<[PathBuf]>,
    shards: Arc<[ShardInfo]>,
    address: Option<Address>,
    tasks: Arc<Tasks>,
}

/// What runs as long as a router does.
#[derive(Debug)]
struct Tasks {
    running: Mutex<Vec<JoinHandle<()>>>,
    shared: Arc<Shared>,
}

impl Tasks {
    fn add(&self, task: JoinHandle<()>) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    fn take(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl Router {
    /// Binds the address, if there is one, and begins to accept workers. They are brought to what the layout says as soon as
    /// they connect.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn start(layout: Layout, config: RouterConfig) -> io::Result<Self> {
        let listener = match &config.listen {
            Some(address) => Some(Listener::bind_with(address, &config.listen_options).await?),
            None => None,
        };
        Ok(Self::new(layout, config).begin(listener, None))
    }

    /// A router that does nothing yet.
    fn new(layout: Layout, config: RouterConfig) -> Self {
        let coordinator = Coordinator::new(config.coordinator(), layout, random_epoch());
        let desired = coordinator.desired();
        let roots = desired.roots().into();
        let shards = desired.shards().map(|shard| shard.info.clone()).collect();
        let shared = Arc::new(Shared::new(config, coordinator));
        let tasks = Arc::new(Tasks { running: Mutex::default(), shared: Arc::clone(&shared) });
        Self { shared, roots, shards, address: None, tasks }
    }

    fn begin(self, listener: Option<Listener>, own: Option<OwnWorker>) -> Self {
        let address = listener.as_ref().map(|listener| listener.address().clone());
        self.tasks.add(tokio::spawn(run(Arc::clone(&self.shared), listener, own)));
        Self { address, ..self }
    }

    // ---- changes ----

    /// Walks the roots again, and brings every shard to what is found there, with the unsaved texts over it; returns when
    /// each is ready or has failed. A later run takes the place of an earlier one. If it is cancelled or its deadline passes
    /// during the walk, all goes on as before it. After the walk, a deadline ends the wait alone. Whoever cancels stops the run:
    /// nothing that was under way takes effect any more, and shards that were not done stay [`ShardState::Stale`] for half a
    /// minute, or until the next run; then they are brought to what the walk has found.
    ///
    /// # Errors
    /// Why it ended before it was done.
    pub async fn index_workspace(&self, wait: &Wait) -> Result<IndexReport, Ended> {
        match self.ask(Ask::Index { deadline: wait.deadline }, wait).await? {
            Outcome::Indexed(result) => result,
            _ => Err(self.shared.why_ended()),
        }
    }

    /// A file may have changed on disk, come or gone: as [`FileChange::Disk`] of [`apply_changes`](Self::apply_changes).
    ///
    /// # Errors
    /// If it cannot be taken, or why the wait ended.
    pub async fn update_file(&self, path: impl Into<PathBuf>, wait: &Wait) -> Result<Changed, ChangeError> {
        self.apply_change(FileChange::Disk(path.into()), wait).await
    }

    /// Files or directories are gone. The disk is asked whether that is so.
    ///
    /// # Errors
    /// As [`apply_changes`](Self::apply_changes).
    pub async fn remove_files<P: Into<PathBuf>>(
        &self,
        paths: impl IntoIterator<Item = P>,
        wait: &Wait,
    ) -> Result<Changed, ChangeError> {
        let changes = paths.into_iter().map(|path| FileChange::Disk(path.into()));
        self.apply_changes(changes, wait).await
    }

    /// A file has an unsaved text from now on; again for each further edit. It survives its worker, and counts until
    /// [`close_overlay`](Self::close_overlay).
    ///
    /// # Errors
    /// If it cannot be taken, as it is no source file or there is no room for it; or why the wait ended.
    pub async fn open_overlay(
        &self,
        path: impl Into<PathBuf>,
        text: impl Into<String>,
        wait: &Wait,
    ) -> Result<Changed, ChangeError> {
        self.apply_change(FileChange::Open { path: path.into(), text: text.into() }, wait).await
    }

    /// A file has no unsaved text any more: what is on disk counts, if it is there.
    ///
    /// # Errors
    /// As [`open_overlay`](Self::open_overlay).
    pub async fn close_overlay(&self, path: impl Into<PathBuf>, wait: &Wait) -> Result<Changed, ChangeError> {
        self.apply_change(FileChange::Close(path.into()), wait).await
    }

    /// One change, which is taken or not.
    async fn apply_change(&self, change: FileChange, wait: &Wait) -> Result<Changed, ChangeError> {
        let mut changed = self.apply_changes([change], wait).await?;
        changed.refused.pop().map_or(Ok(changed), Err)
    }

    /// Takes changes, in their order, and returns when searches see them: each is at its worker, or waits for one. They are
    /// taken when the future is first polled; whoever stops waiting then only stops waiting. One that cannot be taken keeps
    /// none of the others from it: it is in [`Changed::refused`].
    ///
    /// # Errors
    /// Why the wait ended.
    pub async fn apply_changes(
        &self,
        changes: impl IntoIterator<Item = FileChange>,
        wait: &Wait,
    ) -> Result<Changed, ChangeError> {
        let (mut located, mut refused) = (Vec::new(), Vec::new());
        for change in changes {
            match self.locate(change) {
                Ok(change) => located.extend(change),
                Err(error) => refused.push(error),
            }
        }
        let ask = Ask::Change { changes: located, deadline: wait.deadline };
        let mut changed = match self.ask(ask, wait).await? {
            Outcome::Changed(result) => result?,
            _ => return Err(self.shared.why_ended().into()),
        };
        refused.append(&mut changed.refused);
        Ok(Changed { refused, ..changed })
    }

    /// The place of a source file in the workspace: changes of one place are changes of one file, however it is named.
    pub(crate) fn place(&self, path: &Path) -> Result<FilePath, ChangeError> {
        paths::locate_source(&self.roots, path)
    }

    /// The change as a file of the workspace; nothing of one that a walk would leave out.
    fn locate(&self, change: FileChange) -> Result<Option<Change>, ChangeError> {
        Ok(Some(match change {
            FileChange::Disk(path) => match paths::locate(&self.roots, &path)? {
                file if paths::is_left_out(&file) => return Ok(None),
                file => Change::Disk(file),
            },
            FileChange::Open { path, text } => {
                Change::Overlay(paths::locate_source(&self.roots, &path)?, Text::new(text))
            }
            FileChange::Close(path) => Change::Close(paths::locate_source(&self.roots, &path)?),
        }))
    }

    // ---- questions ----

    /// The best matches in the whole workspace: of what is there now, whatever is on its way.
    ///
    /// # Errors
    /// If the query is wrong, or the router ends.
    pub async fn workspace_symbols(
        &self,
        query: &str,
        options: &SearchOptions,
    ) -> Result<SearchAnswer, SearchError> {
        let begun = Instant::now();
        let ask = Ask::Search { query: query.to_owned(), options: options.clone() };
        let span = tracing::debug_span!("search", trace = options.trace.map(tracing::field::display));
        let result = match self.ask(ask, &Wait::default()).instrument(span).await {
            Ok(Outcome::Found(result)) => result,
            Ok(_) => Err(self.shared.why_ended().into()),
            Err(ended) => Err(ended.into()),
        };
        telemetry::searched(begun, &result);
        result
    }

    /// All symbols, sorted by root, path, line and column.
    #[must_use]
    pub fn list(&self) -> ListedSymbols {
        ListedSymbols::new(Arc::clone(&self.shared))
    }

    /// What the workers say of themselves; one that does not answer within five seconds is left out.
    pub async fn worker_stats(&self) -> Vec<WorkerStats> {
        match self.ask(Ask::Stats { deadline: STATS_WITHIN }, &Wait::default()).await {
            Ok(Outcome::Stats(stats)) => stats,
            _ => Vec::new(),
        }
    }

    /// How every shard is, by its number.
    #[must_use]
    pub fn status(&self) -> Vec<ShardStatus> {
        self.shared.with(|coordinator| coordinator.status())
    }

    /// What happens from now on. A watcher that is more than 1,024 events behind misses some, and is told so.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<RouterEvent> {
        self.shared.events()
    }

    /// Tells when the state of any shard has changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes()
    }

    /// Waits until every shard is ready or has failed, or the router ends.
    pub async fn settled(&self) {
        let mut changes = self.changes();
        while !self.shared.is_stopped() && !self.shared.with(|coordinator| coordinator.is_settled()) {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = self.shared.stopped() => return,
            }
        }
    }

    /// Waits until the router ends: with [`shutdown`](Self::shutdown), or as it has failed, with the reason.
    pub async fn ended(&self) -> Ended {
        self.shared.stopped().await;
        self.shared.why_ended()
    }

    // ---- the workspace ----

    /// The address bound; nothing if the router does not listen.
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        self.address.as_ref()
    }

    /// The roots, canonical, by their numbers.
    #[must_use]
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// The shards, by their numbers.
    #[must_use]
    pub fn shards(&self) -> &[ShardInfo] {
        &self.shards
    }

    /// How many files the shards should hold.
    #[must_use]
    pub fn file_count(&self) -> usize {
        self.shared.with(|coordinator| coordinator.desired().shards().map(Wanted::count).sum())
    }

    /// Files that could not be read, in the walk or since; sorted.
    #[must_use]
    pub fn skipped(&self) -> Vec<Skipped> {
        let mut skipped = self.unreadable();
        self.shared.with(|coordinator| skipped.extend_from_slice(coordinator.desired().skipped_by_walk()));
        skipped.sort();
        skipped.dedup();
        skipped
    }

    /// Files of the walk that could not be read when their turn came.
    #[must_use]
    pub fn unreadable(&self) -> Vec<Skipped> {
        self.shared.with(|coordinator| coordinator.desired().unreadable().collect())
    }

    /// What the unsaved texts take, in bytes.
    #[must_use]
    pub fn overlay_bytes(&self) -> u64 {
        self.shared.with(|coordinator| coordinator.desired().overlay_bytes())
    }

    /// What the rules of the last walk left out.
    #[must_use]
    pub fn left_out(&self) -> Vec<LeftOut> {
        self.shared.with(|coordinator| coordinator.desired().left_out().to_vec())
    }

    /// About how much work each shard is, by its number.
    pub(crate) fn weights(&self) -> Vec<u64> {
        let weight = |shard: &Wanted| shard.files().map(|(_, file)| u64::from(file.size) + 1).sum();
        self.shared.with(|coordinator| coordinator.desired().shards().map(weight).collect())
    }

    // ---- workers ----

    /// What workers of this process's own must send.
    pub(crate) fn token(&self) -> Option<&Token> {
        self.shared.config.token.as_ref()
    }

    /// Why the first of these shards that has no worker has none; nothing if all have one, or have failed.
    #[must_use]
    pub fn waiting(&self, shards: Range<u32>) -> Option<String> {
        self.shared.with(|coordinator| coordinator.waiting(shards))
    }

    /// Gives up on shards: nobody will bring workers for them any more, so they need not be waited for.
    pub fn give_up(&self, shards: Range<u32>, reason: &str) {
        self.shared.post(Event::GiveUp(shards, reason.to_owned()));
    }

    /// Ends all connections in order, and waits until the workers have been told and one in this process has kept its indexes,
    /// at most two seconds in all; whoever still waits for something is told that the router ends. Meanwhile what tells that
    /// files have not changed is kept, if there is a place for it.
    pub async fn shutdown(self) {
        self.shared.stop();
        let shared = Arc::clone(&self.shared);
        let save = tokio::task::spawn_blocking(move || {
            if let Some(directory) = &shared.config.cache_dir {
                StatCache::new(directory).save(|act| shared.with(|coordinator| act(coordinator.desired())));
            }
        });
        let mut tasks = self.tasks.take();
        let ended = tokio::time::timeout(SHUTDOWN, join_all(&mut tasks));
        // If it could not be kept, that was said.
        let (ended, _) = tokio::join!(ended, save);
        if ended.is_err() {
            tasks.iter().for_each(JoinHandle::abort);
        }
    }

    /// Asks the coordinator, and waits for the outcome. Whoever drops this does not want it any more.
    fn ask(&self, ask: Ask, wait: &Wait) -> impl Future<Output = Result<Outcome, Ended>> + use<> {
        let (shared, cancel) = (Arc::clone(&self.shared), wait.cancel.clone());
        async move {
            let (ticket, outcome) = shared.ticket();
            let mut asked = Asked { shared: &shared, ticket: Some(ticket) };
            shared.post(Event::Ask(ticket, ask));
            let outcome = match &cancel {
                Some(cancel) => tokio::select! {
                    biased;
                    () = cancel.cancelled() => return Err(Ended::Cancelled),
                    outcome = outcome => outcome,
                },
                None => outcome.await,
            };
            asked.ticket = None;
            outcome.map_err(|_| shared.why_ended())
        }
    }
}

/// Cancels what was asked for when nobody waits for it any more.
struct Asked<'a> {
    shared: &'a Shared,
    /// Nothing once it has ended.
    ticket: Option<Ticket>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.cancel(ticket);
        }
    }
}

/// Accepts workers and does what is to be done, until the router ends.
async fn run(shared: Arc<Shared>, listener: Option<Listener>, own: Option<OwnWorker>) {
    let recalling = Arc::clone(&shared);
    let recalled = tokio::task::spawn_blocking(move || {
        if let Some(directory) = &recalling.config.cache_dir {
            StatCache::new(directory)
                .load(|act| recalling.with(|coordinator| act(coordinator.desired_mut())));
        }
    });
    // Without it, everything is read.
    let _ = recalled.await;
    let acting = tokio::spawn(Arc::clone(&shared).run());
    let serving = async {
        match (listener, own) {
            (Some(listener), _) => accept(&shared, listener).await,
            (None, Some(own)) => own.serve(&shared).await,
            (None, None) => shared.stopped().await,
        }
    };
    let watching = async {
        if acting.await.is_err() {
            shared.fail("it panicked while it did what was decided".to_owned());
            shared.end();
        }
    };
    tokio::join!(serving, watching);
}

async fn accept(shared: &Arc<Shared>, mut listener: Listener) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            stream = listener.accept() => {
                sessions.spawn(gate::serve(Arc::clone(shared), Way::Socket(stream)));
            }
            Some(_) = sessions.join_next(), if !sessions.is_empty() => {}
            () = shared.stopped() => break,
        }
    }
    // With it the socket's file goes.
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

/// A number that another run will not have. Never zero, which a fresh worker begins with.
fn random_epoch() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()).max(1)
}
