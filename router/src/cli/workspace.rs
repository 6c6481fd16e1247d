//! From arguments to a router with workers, and to its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nova_proto_core::messages::Token;
use nova_transport_tokio::{Address, ListenOptions, ServerTls};
use nova_worker::cache::Store;

use super::args::{WhichArgs, WorkspaceArgs};
use super::output::Failure;
use super::progress;
use crate::cluster::{Router, RouterConfig, STATUS_FILE};
use crate::layout::{Layout, LayoutError, LayoutOptions};
use crate::local::{LocalOptions, LocalWorkers, PrivateDir, WorkerCommand, cores, default_cache_dir};

/// A router at work, with its local workers.
pub(super) struct Workspace {
    pub(super) router: Router,
    workers: Option<LocalWorkers>,
    /// Holds the socket.
    private: Option<PrivateDir>,
}

/// Where workers connect, and what they need for it. By default, a socket in a private directory.
#[derive(Default)]
pub(super) struct Access {
    pub(super) listen: Option<Address>,
    pub(super) tls: Option<ServerTls>,
    pub(super) token: Option<Token>,
    pub(super) plaintext_tokens: bool,
}

impl Workspace {
    /// Walks the roots, binds, and starts workers unless they come from elsewhere.
    pub(super) async fn start(args: &WorkspaceArgs, access: Access) -> Result<Self, Failure> {
        let Access { listen, tls, token, plaintext_tokens } = access;
        let layout = discover(args).await?;
        if layout.shards.is_empty() {
            return Err(nothing_found(&layout));
        }
        let local = listen.is_none() || args.workers.is_some();
        let (private, address) = match &listen {
            Some(address) => (None, address.clone()),
            None => {
                let private = PrivateDir::new().map_err(|error| Failure::internal(&error.to_string()))?;
                let address = private.address();
                (Some(private), address)
            }
        };
        let config = RouterConfig {
            max_file_bytes: args.which.max_file_bytes,
            listen_options: ListenOptions::with_tls(tls),
            token,
            plaintext_tokens,
            cache_dir: cache_dir(args, &layout.roots),
            ..RouterConfig::new(address)
        };
        let router = Router::start(layout, config).await.map_err(|error| {
            let hint = match listen {
                Some(_) => "choose another address with --listen",
                None => "set XDG_RUNTIME_DIR to a directory with a short path, where sockets can be made",
            };
            Failure::cannot_connect(&error.to_string(), hint)
        })?;
        let workers = if local {
            Some(LocalWorkers::start(&router, &local_options(args, router.roots())?))
        } else {
            None
        };
        Ok(Self { router, workers, private })
    }

    /// How many workers this process has started, at most.
    pub(super) fn local_workers(&self, args: &WorkspaceArgs) -> usize {
        let shards = self.router.shards().len();
        self.workers.as_ref().map_or(0, |_| worker_count(args).min(shards))
    }

    /// Ends connections, then processes.
    pub(super) async fn stop(self) {
        // First the socket: should this process be killed meanwhile, workers remove it only as long as they live.
        drop(self.private);
        match self.workers {
            Some(workers) => workers.stop(self.router).await,
            None => self.router.shutdown().await,
        }
    }
}

/// Why there is no shard at all.
fn nothing_found(layout: &Layout) -> Failure {
    let roots = layout.roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>().join(", ");
    match (layout.skipped.first(), layout.left_out.first()) {
        (Some(file), _) => Failure::nothing_indexed(
            &format!("no Java file below {roots} could be read; {}: {}", file.path, file.reason),
            "mend the files, or see nova index --help for the limits",
        ),
        (None, Some(left)) => Failure::nothing_indexed(
            &format!("no Java file below {roots} is part of the workspace; {}: {}", left.path, left.reason),
            "give the directory that is left out with --root DIR",
        ),
        (None, None) => Failure::nothing_indexed(
            &format!("there is no Java file below {roots}"),
            "give the directory of your Java code with --root DIR",
        ),
    }
}

/// Walks on threads of its own. Dropping the future ends the walk.
async fn discover(args: &WorkspaceArgs) -> Result<Layout, Failure> {
    struct CancelOnDrop(Arc<AtomicBool>);
    impl Drop for CancelOnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let cancelled = CancelOnDrop(Arc::default());
    let flag = Arc::clone(&cancelled.0);
    let (roots, max_file_bytes) = (args.which.roots.clone(), args.which.max_file_bytes);
    let walked = tokio::task::spawn_blocking(move || {
        let bar = progress::walking();
        let options = LayoutOptions {
            max_file_bytes,
            cancelled: &|| flag.load(Ordering::Relaxed),
            progress: &|files| bar.set_message(format!("{files} Java files found")),
            ..LayoutOptions::default()
        };
        let layout = Layout::discover(&roots, &options);
        bar.finish_and_clear();
        layout
    });
    let layout = walked.await.map_err(|error| Failure::internal(&error.to_string()))?;
    layout.map_err(cannot_walk)
}

fn cannot_walk(error: LayoutError) -> Failure {
    match error {
        LayoutError::Cancelled => Failure::interrupted(),
        error => Failure::usage(&error.to_string(), "see nova --help"),
    }
}

/// The roots as the layout will have them.
pub(super) fn canonical_roots(which: &WhichArgs) -> Result<Vec<PathBuf>, Failure> {
    Layout::canonical_roots(&which.roots).map_err(cannot_walk)
}

fn local_options(args: &WorkspaceArgs, roots: &[PathBuf]) -> Result<LocalOptions, Failure> {
    let command = match &args.worker_command {
        Some(program) => WorkerCommand { program: program.clone(), arguments: Vec::new() },
        None => WorkerCommand::own().map_err(|error| {
            Failure::internal(&format!(
                "cannot tell where this program lies ({error}); name a --worker-command"
            ))
        })?,
    };
    let cache_dir = cache_dir(args, roots);
    Ok(LocalOptions { workers: worker_count(args), command, cache_dir })
}

fn worker_count(args: &WorkspaceArgs) -> usize {
    args.workers.map_or_else(|| cores().min(8), usize::from)
}

/// Where router and workers keep what they know between runs.
fn cache_dir(args: &WorkspaceArgs, roots: &[PathBuf]) -> Option<PathBuf> {
    match &args.cache_dir {
        _ if args.no_cache => None,
        Some(given) => Some(absolute(given.clone())),
        None => {
            let directory = default_cache_dir(roots)?;
            sweep_others(&directory);
            Some(directory)
        }
    }
}

/// Throws away what was kept of workspaces that nobody has opened for long. Nobody waits for it.
fn sweep_others(directory: &Path) {
    if let Some(base) = directory.parent().map(Path::to_path_buf) {
        let sweep = move || Store::sweep_below(&base, STATUS_FILE);
        let _ = std::thread::Builder::new().name("sweep".to_owned()).spawn(sweep);
    }
}

/// Workers run in the same directory, but another `--worker-command` need not; a daemon does not.
pub(super) fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}
