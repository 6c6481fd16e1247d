//! Does what the coordinator wants: calls, reads, waits, tells.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use nova_proto_core::compress::compress;
use nova_proto_core::{Body, Call, CallError, SendError, TraceContext};
use nova_transport_tokio::Handle;
use tokio::sync::{Notify, broadcast, oneshot, watch};
use tokio::task::AbortHandle;
use tracing::Instrument;
use tracing::field::{Empty, display};

use super::RouterConfig;
use super::disk::{self, Disk};
use super::gate::now;
use super::telemetry;
use crate::coordinator::{
    Action, CallId, Coordinator, Ended, Event, Failure, Outcome, ReadId, Reply, ReplyKind, Request,
    RouterEvent, Ticket, WorkerId,
};
use crate::layout::{Layout, LayoutOptions};

/// How many events a watcher may be behind before it misses some.
const EVENTS: usize = 1024;

/// What all tasks of a router see.
pub(super) struct Shared {
    pub(super) config: RouterConfig,
    disk: Arc<Disk>,
    inner: Mutex<Inner>,
    next: AtomicU64,
    /// There is something to do, or another time to wait for.
    wake: Notify,
    changes: watch::Sender<u64>,
    events: broadcast::Sender<RouterEvent>,
    /// Set when the router ends.
    stop: watch::Sender<bool>,
    /// Why it has, if something is wrong with it.
    failure: OnceLock<String>,
}

struct Inner {
    coordinator: Coordinator,
    handles: BTreeMap<WorkerId, Link>,
    calls: HashMap<CallId, AbortHandle>,
    reads: HashMap<ReadId, Arc<AtomicBool>>,
    walks: HashMap<Ticket, Arc<AtomicBool>>,
    waiting: HashMap<Ticket, oneshot::Sender<Outcome>>,
    /// Nothing is begun any more.
    ended: bool,
}

/// A connection that can be called.
#[derive(Debug, Clone)]
struct Link {
    handle: Handle,
    /// Whether the worker takes compressed bodies.
    zstd: bool,
}

impl Shared {
    pub(super) fn new(config: RouterConfig, coordinator: Coordinator) -> Self {
        let roots = coordinator.desired().roots().to_vec();
        Self {
            disk: Arc::new(Disk { roots, max_file: config.max_file_bytes }),
            config,
            inner: Mutex::new(Inner {
                coordinator,
                handles: BTreeMap::new(),
                calls: HashMap::new(),
                reads: HashMap::new(),
                walks: HashMap::new(),
                waiting: HashMap::new(),
                ended: false,
            }),
            next: AtomicU64::new(1),
            wake: Notify::new(),
            changes: watch::Sender::new(0),
            events: broadcast::Sender::new(EVENTS),
            stop: watch::Sender::new(false),
            failure: OnceLock::new(),
        }
    }

    /// The coordinator is consistent after every event, so a panic elsewhere does not spoil it; one of its own ends the router.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the coordinator, or decides something with it.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Coordinator) -> T) -> T {
        act(&mut self.lock().coordinator)
    }

    /// Tells the coordinator what has happened.
    pub(super) fn post(&self, event: Event) {
        let changed = {
            let mut inner = self.lock();
            match &event {
                Event::Answer(call, _) => drop(inner.calls.remove(call)),
                Event::Read(read, _) => drop(inner.reads.remove(read)),
                Event::Walked(ticket, _) => drop(inner.walks.remove(ticket)),
                _ => {}
            }
            let (what, (shard, file)) = (event.name(), inner.coordinator.subject(&event));
            if catch_unwind(AssertUnwindSafe(|| inner.coordinator.on_event(event, now()))).is_err() {
                drop(inner);
                tracing::error!(shard, file = file.as_deref(), "panic where {what}");
                return self.fail(format!("it panicked where {what}"));
            }
            inner.coordinator.take_changed()
        };
        if changed {
            self.changes.send_modify(|count| *count = count.wrapping_add(1));
        }
        self.wake.notify_one();
    }

    /// There may be something to do.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) fn next_worker(&self) -> WorkerId {
        WorkerId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// A ticket, and where its outcome comes: an error means that the router has ended.
    pub(super) fn ticket(&self) -> (Ticket, oneshot::Receiver<Outcome>) {
        let ticket = Ticket(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.lock();
        if !inner.ended {
            inner.waiting.insert(ticket, sender);
        }
        (ticket, receiver)
    }

    /// Nobody waits for this any more.
    pub(super) fn cancel(&self, ticket: Ticket) {
        self.lock().waiting.remove(&ticket);
        self.post(Event::Cancel(ticket));
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn events(&self) -> broadcast::Receiver<RouterEvent> {
        self.events.subscribe()
    }

    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Something is wrong with the router: it ends, and says why.
    pub(super) fn fail(&self, why: String) {
        tracing::error!(%why, "the router has failed");
        // The first reason is the one that counts.
        let _ = self.failure.set(why);
        self.stop();
    }

    /// Why callers get no outcome.
    pub(super) fn why_ended(&self) -> Ended {
        self.failure.get().map_or(Ended::Shutdown, |why| Ended::Failed(why.clone()))
    }

    pub(super) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits for the router's end.
    pub(super) async fn stopped(&self) {
        // The sender lives as long as this does.
        let _ = self.stop.subscribe().wait_for(|stopped| *stopped).await;
    }

    pub(super) fn connected(&self, worker: WorkerId, handle: Handle, zstd: bool) {
        self.lock().handles.insert(worker, Link { handle, zstd });
        self.post(Event::Connected(worker));
    }

    pub(super) fn forget_handle(&self, worker: WorkerId) {
        self.lock().handles.remove(&worker);
    }

    /// All shards that can be asked, with their connections.
    pub(super) fn reachable(&self) -> Vec<(u32, WorkerId, Handle)> {
        let inner = self.lock();
        let handle = |(shard, worker)| Some((shard, worker, inner.handles.get(&worker)?.handle.clone()));
        inner.coordinator.reachable().filter_map(handle).collect()
    }

    /// Does what the coordinator wants until the router ends.
    pub(super) async fn run(self: Arc<Self>) {
        telemetry::begin();
        let mut stopped = self.stop.subscribe();
        loop {
            let timeout = self.act();
            let sleep = async {
                match timeout {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = sleep => self.post(Event::Timeout),
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
        }
        self.end();
    }

    /// Nobody waits any more, and nothing goes on.
    pub(super) fn end(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        inner.waiting.clear();
        for (_, call) in inner.calls.drain() {
            call.abort();
        }
        let flags = inner.reads.values().chain(inner.walks.values());
        flags.for_each(|cancelled| cancelled.store(true, Ordering::Relaxed));
    }

    /// Begins all that is to be done; returns when time has something to say.
    fn act(self: &Arc<Self>) -> Option<std::time::Instant> {
        let mut inner = self.lock();
        while let Some(action) = inner.coordinator.poll_action() {
            telemetry::acts(&action);
            match action {
                Action::Call { call, worker, request, within, trace } => {
                    let link = inner.handles.get(&worker).cloned();
                    let (method, shard) = request.subject();
                    let span = tracing::debug_span!("call", method, shard, %worker, trace = Empty);
                    if let Some(trace) = trace {
                        span.record("trace", display(trace));
                    }
                    let made = Arc::clone(self).make_call(call, link, request, within, trace);
                    let task = tokio::spawn(made.instrument(span));
                    inner.calls.insert(call, task.abort_handle());
                }
                Action::CancelCall(call) => {
                    if let Some(task) = inner.calls.remove(&call) {
                        task.abort();
                    }
                }
                Action::Read { read, plan } => {
                    let cancelled = Arc::<AtomicBool>::default();
                    inner.reads.insert(read, Arc::clone(&cancelled));
                    let (shared, disk) = (Arc::clone(self), Arc::clone(&self.disk));
                    tokio::spawn(async move {
                        let files =
                            tokio::task::spawn_blocking(move || disk::read(&disk, plan, &cancelled)).await;
                        shared.post(Event::Read(read, files.unwrap_or_default()));
                    });
                }
                Action::CancelRead(read) => {
                    if let Some(cancelled) = inner.reads.get(&read) {
                        cancelled.store(true, Ordering::Relaxed);
                    }
                }
                Action::Walk(ticket) => {
                    let cancelled = Arc::<AtomicBool>::default();
                    inner.walks.insert(ticket, Arc::clone(&cancelled));
                    tokio::spawn(Arc::clone(self).walk(ticket, cancelled));
                }
                Action::CancelWalk(ticket) => {
                    if let Some(cancelled) = inner.walks.get(&ticket) {
                        cancelled.store(true, Ordering::Relaxed);
                    }
                }
                Action::Close(worker, code, message) => {
                    tracing::error!(%worker, %message, "the connection ends");
                    if let Some(link) = inner.handles.get(&worker) {
                        link.handle.close(code, &message);
                    }
                }
                Action::Finish(ticket, outcome) => {
                    if let Some(waiting) = inner.waiting.remove(&ticket) {
                        // Whoever waited may be gone.
                        let _ = waiting.send(outcome);
                    }
                }
                Action::Tell(event) => {
                    log(&event);
                    // An error means that nobody watches.
                    let _ = self.events.send(event);
                }
            }
        }
        telemetry::measure(&inner.coordinator);
        inner.coordinator.poll_timeout()
    }

    async fn make_call(
        self: Arc<Self>,
        call: CallId,
        link: Option<Link>,
        request: Request,
        within: Duration,
        trace: Option<TraceContext>,
    ) {
        let result = match link {
            Some(link) => ask(link, request, within, trace).await,
            None => Err(Failure::Lost),
        };
        if let Err(failure) = &result {
            tracing::debug!(%failure, "no answer");
        }
        self.post(Event::Answer(call, result));
    }

    async fn walk(self: Arc<Self>, ticket: Ticket, cancelled: Arc<AtomicBool>) {
        let (disk, max_file_bytes) = (Arc::clone(&self.disk), self.config.max_file_bytes);
        let walked = tokio::task::spawn_blocking(move || {
            let cancelled = || cancelled.load(Ordering::Relaxed);
            let options = LayoutOptions { max_file_bytes, cancelled: &cancelled, ..LayoutOptions::default() };
            Layout::discover(&disk.roots, &options)
        });
        let result = match walked.await {
            Ok(layout) => layout.map(Box::new).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        self.post(Event::Walked(ticket, result));
    }
}

/// Makes a call and waits for its answer.
async fn ask(
    link: Link,
    request: Request,
    within: Duration,
    trace: Option<TraceContext>,
) -> Result<Reply, Failure> {
    let kind = ReplyKind::of(&request);
    let call = if link.zstd && request.is_text() {
        // Long enough that other connections should not wait for it.
        let compressed = tokio::task::spawn_blocking(move || compressed(&request)).await;
        compressed.map_err(|error| Failure::NotSent(error.to_string()))?
    } else {
        request.to_call()
    };
    let call = Call { timeout: Some(within), trace, ..call };
    let pending = link.handle.call(call).map_err(|error| match error {
        SendError::Closed | SendError::Draining => Failure::Lost,
        error => Failure::NotSent(error.to_string()),
    })?;
    let body: Body = pending.await.map_err(|error| match error {
        CallError::Remote(error) => Failure::Refused(error),
        CallError::Deadline { .. } => Failure::Late,
        _ => Failure::Lost,
    })?;
    kind.decode(&body).map_err(|error| Failure::Nonsense(error.to_string()))
}

fn compressed(request: &Request) -> Call {
    let call = request.to_call();
    Call { body: compress(call.body.bytes, true), ..call }
}

fn log(event: &RouterEvent) {
    match event {
        RouterEvent::WorkerUp { worker, shards } => {
            tracing::info!(%worker, shards = shards.len(), "worker serves");
        }
        RouterEvent::WorkerDown { worker, reason } => {
            tracing::info!(%worker, %reason, "worker does not serve");
        }
        RouterEvent::WorkerSlow { worker } => tracing::warn!(%worker, "worker does not answer in time"),
        RouterEvent::WorkerAnswers { worker } => tracing::info!(%worker, "worker answers again"),
        RouterEvent::Walked { files } => tracing::debug!(files, "walked"),
        RouterEvent::Progress { .. } => {}
        RouterEvent::ShardReady { shard, ready } => tracing::debug!(
            shard,
            files = ready.counters.files,
            symbols = ready.counters.symbols,
            read = ready.read.files,
            sent = ready.sent.files,
            "shard ready"
        ),
        RouterEvent::ShardStale { shard, reason } => tracing::warn!(shard, %reason, "shard stale"),
        RouterEvent::ShardFailed { shard, reason } => {
            tracing::error!(shard, %reason, "the shard could not be indexed");
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}
