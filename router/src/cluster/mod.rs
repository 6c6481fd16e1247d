//! The router: it owns the shards, lets workers in, keeps them hydrated and merges their answers.

mod admission;
mod hydrate;
mod listing;
mod search;
mod session;
mod table;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nova_proto_core::messages::Token;
use nova_transport_tokio::{Address, ListenOptions, Listener};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::layout::{DEFAULT_MAX_FILE_BYTES, Layout, Skipped};

pub use listing::{ListError, ListedSymbols};
pub use search::{SearchAnswer, SearchHit, SearchOptions, ShardCounts};
pub use table::{ShardState, ShardStatus};

use table::Table;

/// How many bytes of source text may be on their way to workers at once, over all shards.
const IN_FLIGHT_BYTES: u32 = 32 * 1024 * 1024;

/// How long workers have to finish when the router ends.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// What a [`Router`] is made with.
#[derive(Debug, Clone)]
pub struct RouterConfig {
    /// Where workers connect.
    pub listen: Address,
    /// Longest source file, in bytes; longer ones are skipped and named. Default 8 MiB: half of what a body may be.
    pub max_file_bytes: u64,
    /// How to listen: what `tcp+tls:` needs. Default: nothing.
    pub listen_options: ListenOptions,
    /// The secret that workers must send. Default: none.
    pub token: Option<Token>,
    /// Whether workers may send a token over `tcp:`, where others can read it. Default: no.
    pub plaintext_tokens: bool,
}

impl RouterConfig {
    /// The defaults, listening at `listen`.
    #[must_use]
    pub fn new(listen: Address) -> Self {
        Self {
            listen,
            max_file_bytes: DEFAULT_MAX_FILE_BYTES,
            listen_options: ListenOptions::default(),
            token: None,
            plaintext_tokens: false,
        }
    }
}

/// A router at work. Clones name the same one; dropping the last one ends its tasks and connections.
#[derive(Debug, Clone)]
pub struct Router {
    shared: Arc<Shared>,
    /// The accept loop and the sessions.
    tasks: Arc<Tasks>,
}

#[derive(Debug)]
struct Tasks {
    accept: Mutex<Option<JoinHandle<()>>>,
    /// What the accept loop and the sessions see: dropping the last router ends them in order.
    stop: watch::Sender<bool>,
}

impl Tasks {
    fn take(&self) -> Option<JoinHandle<()>> {
        self.accept.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// What all tasks of a router see.
#[derive(Debug)]
struct Shared {
    layout: Layout,
    config: RouterConfig,
    table: Table,
    /// Names this run.
    epoch: u64,
    next_worker: AtomicU64,
    /// Revisions and syncs: both only have to increase.
    next_revision: AtomicU64,
    /// One permit for each KiB of text that may be in flight.
    in_flight: Semaphore,
    address: Address,
    /// Set when the router ends.
    stop: watch::Sender<bool>,
}

impl Router {
    /// Binds the address and begins to accept workers.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn start(layout: Layout, config: RouterConfig) -> io::Result<Self> {
        let mut listener = Listener::bind_with(&config.listen, &config.listen_options).await?;
        let shared = Arc::new(Shared {
            table: Table::new(&layout),
            address: listener.address().clone(),
            layout,
            config,
            epoch: random_epoch(),
            next_worker: AtomicU64::new(1),
            next_revision: AtomicU64::new(1),
            in_flight: Semaphore::new(IN_FLIGHT_BYTES as usize / 1024),
            stop: watch::Sender::new(false),
        });
        let accepting = Arc::clone(&shared);
        let accept = tokio::spawn(async move {
            let mut sessions = JoinSet::new();
            loop {
                tokio::select! {
                    stream = listener.accept() => {
                        sessions.spawn(session::run(Arc::clone(&accepting), stream));
                    }
                    Some(_) = sessions.join_next(), if !sessions.is_empty() => {}
                    () = accepting.stopped() => break,
                }
            }
            // With it the socket's file goes.
            drop(listener);
            while sessions.join_next().await.is_some() {}
        });
        let tasks = Arc::new(Tasks { accept: Mutex::new(Some(accept)), stop: shared.stop.clone() });
        Ok(Self { shared, tasks })
    }

    /// The address bound.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.shared.address
    }

    /// What workers of this process's own must send.
    pub(crate) fn token(&self) -> Option<&Token> {
        self.shared.config.token.as_ref()
    }

    /// The shards and their files.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.shared.layout
    }

    /// How every shard is, by its number.
    #[must_use]
    pub fn status(&self) -> Vec<ShardStatus> {
        self.shared.table.status()
    }

    /// Files that could not be read, in the walk or since; sorted.
    #[must_use]
    pub fn skipped(&self) -> Vec<Skipped> {
        let mut skipped = self.shared.layout.skipped.clone();
        skipped.extend(self.shared.table.skipped());
        skipped.sort();
        skipped.dedup();
        skipped
    }

    /// Tells when the state of any shard has changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.table.changes()
    }

    /// Waits until every shard is ready or has failed for good.
    pub async fn settled(&self) {
        let mut changes = self.changes();
        while !self.shared.table.is_settled() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Why the first of these shards that has no worker has none; nothing if all have one, or have failed.
    #[must_use]
    pub fn waiting(&self, shards: std::ops::Range<u32>) -> Option<String> {
        self.shared.table.waiting(shards)
    }

    /// Gives up on shards: nobody will bring workers for them any more, so they need not be waited for.
    pub fn give_up(&self, shards: impl IntoIterator<Item = u32>, reason: &str) {
        self.shared.table.give_up(shards, reason);
    }

    /// The best matches in the whole workspace.
    pub async fn search(&self, query: &str, options: &SearchOptions) -> SearchAnswer {
        search::search(&self.shared, query, options).await
    }

    /// All symbols, sorted by root, path, line and column.
    #[must_use]
    pub fn list(&self) -> ListedSymbols {
        ListedSymbols::new(Arc::clone(&self.shared))
    }

    /// Ends all connections in order, and waits until the workers have been told; at the latest after two seconds.
    pub async fn shutdown(self) {
        self.shared.stop.send_replace(true);
        if let Some(mut accept) = self.tasks.take()
            && tokio::time::timeout(SHUTDOWN, &mut accept).await.is_err()
        {
            accept.abort();
        }
    }
}

impl Shared {
    /// Waits for the router's end.
    async fn stopped(&self) {
        // The sender lives as long as this does.
        let _ = self.stop.subscribe().wait_for(|stopped| *stopped).await;
    }

    fn next_revision(&self) -> u64 {
        self.next_revision.fetch_add(1, Ordering::Relaxed)
    }
}

/// A number that another run will not have. Never zero, which a fresh worker begins with.
fn random_epoch() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()).max(1)
}
