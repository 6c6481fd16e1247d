//! The server of a control socket.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nova_proto_core::messages::{Digest, RouterStatus};
use rustix::process::geteuid;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::answers::{self, number};
use super::idle::Idle;
use super::overlays::Overlays;
use super::refresh::Refresh;
use super::{BUILD, session};
use crate::cluster::Router;

/// Most clients at once; another one is told so and let go. Memory: 59 MiB each at worst, see the session's limits.
pub const MAX_CLIENTS: usize = 32;

/// Connections beyond [`MAX_CLIENTS`] that are told so; further ones are closed without a word.
const MAX_TOLD: usize = 32;

/// The wait after a failed accept, as when the process has no file descriptors left.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// How long clients' connections have to end.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// How a server serves.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// When nobody has been connected for so long, [`Server::ended`] tells so. Default: never.
    pub idle_exit: Option<Duration>,
    /// How many of the router's workers this process has started: others are remote, and keep it from being idle. If there
    /// are none, nobody waits for shards without a worker. Default 1.
    pub local_workers: usize,
    /// What clients are told of this program. Default: this crate's name and version.
    pub build: String,
    /// The content hash of this program's file; see [`build_id`](super::build_id). Default: zeros.
    pub build_id: Digest,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { idle_exit: None, local_workers: 1, build: BUILD.to_owned(), build_id: Digest::default() }
    }
}

/// Why a router should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A client asked for it.
    Asked,
    /// Nobody has used it for long.
    Idle,
}

/// A control socket that is served. Dropping it ends its connections at once.
#[derive(Debug)]
pub struct Server {
    host: Arc<Host>,
    tasks: JoinSet<()>,
    accepting: JoinHandle<()>,
    socket: SocketFile,
}

/// What all of a server's tasks see.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) router: Router,
    pub(super) options: ServerOptions,
    pub(super) overlays: Overlays,
    pub(super) refresh: Refresh,
    socket: PathBuf,
    started: Instant,
    next_client: AtomicU64,
    idle: Mutex<Idle>,
    /// Counts what may have changed `idle`.
    used: watch::Sender<u64>,
    end: watch::Sender<Option<End>>,
    /// Connections are to end.
    stop: watch::Sender<bool>,
}

impl Server {
    /// Binds a socket that this user alone can connect to, and answers there. A file that is in its place is removed: who calls
    /// this has the [`Lock`](super::Lock) of the place.
    ///
    /// # Errors
    /// If the socket cannot be bound.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn bind(socket: &Path, router: Router, options: ServerOptions) -> io::Result<Self> {
        let about = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on {}: {error}", socket.display()))
        };
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(about(error)),
            _ => {}
        }
        let listener = UnixListener::bind(socket).map_err(about)?;
        let file = SocketFile(socket.to_owned());
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600)).map_err(about)?;
        let host = Arc::new(Host::new(socket.to_owned(), router, options));
        let mut tasks = JoinSet::new();
        tasks.spawn(end_when_idle(Arc::clone(&host)));
        let refreshing = Arc::clone(&host);
        tasks.spawn(async move { refreshing.refresh.run().await });
        let accepting = tokio::spawn(accept(Arc::clone(&host), listener));
        Ok(Self { host, tasks, accepting, socket: file })
    }

    /// Waits until there is a reason to end. The server goes on until [`shutdown`](Self::shutdown).
    pub async fn ended(&self) -> End {
        let mut end = self.host.end.subscribe();
        let ended = end.wait_for(Option::is_some).await.map(|end| *end);
        // The sender is here, so it cannot be gone.
        ended.ok().flatten().unwrap_or(End::Asked)
    }

    /// Removes the socket, and ends the connections: what is under way may be answered for half a second.
    pub async fn shutdown(mut self) {
        drop(self.socket);
        self.host.stop.send_replace(true);
        if tokio::time::timeout(SHUTDOWN, &mut self.accepting).await.is_err() {
            self.accepting.abort();
        }
        self.tasks.shutdown().await;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A bound socket's file.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Host {
    fn new(socket: PathBuf, router: Router, options: ServerOptions) -> Self {
        Self {
            overlays: Overlays::new(router.clone()),
            refresh: Refresh::new(router.clone(), options.local_workers > 0),
            idle: Mutex::new(Idle::new(options.idle_exit, now())),
            router,
            options,
            socket,
            started: now(),
            next_client: AtomicU64::new(1),
            used: watch::Sender::new(0),
            end: watch::Sender::new(None),
            stop: watch::Sender::new(false),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a client, and numbers it.
    pub(super) fn client_came(&self) -> u64 {
        self.idle().client_came();
        self.used.send_modify(|used| *used += 1);
        self.next_client.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn client_left(&self) {
        self.idle().client_left(now());
        self.used.send_modify(|used| *used += 1);
    }

    /// Tells that the router should end.
    pub(super) fn stop(&self, why: End) {
        self.end.send_if_modified(|end| end.is_none() && end.replace(why).is_none());
    }

    /// Waits until connections are to end.
    pub(super) async fn stopped(&self) {
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    pub(super) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    pub(super) async fn status(&self) -> RouterStatus {
        let stats = self.router.worker_stats().await;
        RouterStatus {
            uptime_ms: u64::try_from((now() - self.started).as_millis()).unwrap_or(u64::MAX),
            control: answers::cut(
                &format!("unix:{}", self.socket.display()),
                nova_proto_core::messages::MAX_PATH,
            ),
            clients: number(self.idle().clients()),
            overlays: number(self.overlays.count()),
            ..answers::router_status(&self.router, stats)
        }
    }

    /// How many workers are connected that this process has not started.
    fn remote_workers(&self) -> usize {
        let mut workers: Vec<_> = self.router.status().iter().filter_map(|status| status.worker).collect();
        workers.sort_unstable();
        workers.dedup();
        workers.len().saturating_sub(self.options.local_workers)
    }
}

/// The time now: the runtime's clock, which tests may pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn accept(host: Arc<Host>, listener: UnixListener) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if is_own(&stream) => {
                    let (open, full) = (sessions.len(), sessions.len() >= MAX_CLIENTS);
                    if open < MAX_CLIENTS + MAX_TOLD {
                        sessions.spawn(session::serve(Arc::clone(&host), stream, full));
                    }
                }
                Ok(_) => tracing::warn!("a process of another user is not let in"),
                Err(error) => {
                    tracing::warn!(%error, "could not accept a client");
                    tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                }
            },
            Some(_) = sessions.join_next(), if !sessions.is_empty() => {}
            () = host.stopped() => break,
        }
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

/// Whether the other end is a process of this user.
pub(super) fn is_own(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == geteuid().as_raw())
}

/// Ends the router when nobody has used it for long.
async fn end_when_idle(host: Arc<Host>) {
    let mut used = host.used.subscribe();
    let mut changes = host.router.changes();
    loop {
        let ends_at = {
            let remote = host.remote_workers();
            let mut idle = host.idle();
            idle.remote_workers(remote, now());
            idle.ends_at()
        };
        let over = async {
            match ends_at {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = used.changed() => {}
            changed = changes.changed() => if changed.is_err() { return },
            () = over => return host.stop(End::Idle),
        }
    }
}
