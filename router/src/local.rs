//! Worker processes on this machine, and the private directory their socket lies in.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nova_proto_core::messages::Token;
use nova_transport_tokio::Address;
use rustix::process::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cluster::{Router, telemetry};

/// How often a worker is started again before its shards count as failed.
const RESTARTS: u32 = 3;

/// The wait before the first restart; doubled for each further one.
const RESTART_AFTER: Duration = Duration::from_millis(50);

/// A worker that has run for this long has not failed to start: its next failure counts as the first.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// How long a worker may take to end after its connection was closed, before it is killed: it keeps its indexes then.
const END_WITHIN: Duration = Duration::from_secs(6);

/// How long a worker may take from its start to a connection that serves all its shards.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How to start a worker: a program, and arguments that come before the worker's own.
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    /// The program.
    pub program: PathBuf,
    /// The first arguments.
    pub arguments: Vec<OsString>,
}

impl WorkerCommand {
    /// This program itself, which must know the subcommand `worker`.
    ///
    /// # Errors
    /// If the system does not tell where the program lies.
    pub fn own() -> io::Result<Self> {
        Ok(Self { program: std::env::current_exe()?, arguments: vec!["worker".into()] })
    }
}

/// A directory that only this user can enter, with room for one socket.
///
/// It goes when this value is dropped: do that while the workers live. If the process is killed instead, its workers
/// remove it: they notice the end of the pipe that they have from their parent.
#[derive(Debug)]
pub struct PrivateDir {
    directory: TempDir,
}

impl PrivateDir {
    /// Makes one below `$XDG_RUNTIME_DIR`, or else below the directory for temporary files.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new() -> io::Result<Self> {
        let runtime =
            std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        match runtime.map(|base| Self::new_in(&base)) {
            Some(Ok(made)) => Ok(made),
            _ => Self::new_in(&std::env::temp_dir()),
        }
    }

    fn new_in(base: &Path) -> io::Result<Self> {
        remove_left_behind(base);
        let mut builder = tempfile::Builder::new();
        let prefix = format!("{PREFIX}{}-", std::process::id());
        builder.prefix(&prefix).permissions(std::fs::Permissions::from_mode(0o700));
        let directory = builder.tempdir_in(base).map_err(|error| {
            let message = format!("cannot make a private directory in {}: {error}", base.display());
            io::Error::new(error.kind(), message)
        })?;
        Ok(Self { directory })
    }

    /// The address of the socket in it.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::Unix(self.directory.path().join(SOCKET))
    }
}

/// The socket's name in a private directory.
const SOCKET: &str = "router.sock";

/// How the names of private directories begin; the owner's process id follows.
const PREFIX: &str = "nova-";

/// Removes the private directories of processes that were killed before they had a worker to do it. Others' directories,
/// and those with more than a socket in them, cannot be removed and stay.
fn remove_left_behind(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok());
        if owner.and_then(Pid::from_raw).is_some_and(is_gone) {
            let _ = std::fs::remove_file(entry.path().join(SOCKET));
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

fn is_gone(process: Pid) -> bool {
    rustix::process::test_kill_process(process) == Err(rustix::io::Errno::SRCH)
}

/// Worker processes that serve all shards of a router between them.
#[derive(Debug)]
pub struct LocalWorkers {
    supervisors: JoinSet<()>,
    stop: watch::Sender<bool>,
}

/// How many workers, and how they are started.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// How many processes at most; fewer if there are fewer shards.
    pub workers: usize,
    /// How to start one.
    pub command: WorkerCommand,
    /// Where they keep their indexes between runs, if they do.
    pub cache_dir: Option<PathBuf>,
}

impl LocalWorkers {
    /// Starts them. One that ends is started again a few times; then its shards have failed.
    #[must_use]
    pub fn start(router: &Router, options: &LocalOptions) -> Self {
        let assignments = assign(&router.weights(), options.workers.max(1));
        let threads = (cores() / assignments.len().max(1)).max(1);
        let (stop, stopped) = watch::channel(false);
        let mut supervisors = JoinSet::new();
        for shards in assignments {
            let reason = "its supervisor ended".to_owned();
            let supervisor = Supervisor {
                gone: GiveUpAtEnd { router: router.clone(), shards, reason },
                options: options.clone(),
                threads,
                stopped: stopped.clone(),
            };
            supervisors.spawn(supervisor.run());
        }
        Self { supervisors, stop }
    }

    /// Ends the router's connections, then waits until all processes have ended; those that do not within six seconds
    /// are killed.
    pub async fn stop(mut self, router: Router) {
        // First, so that no worker's end looks like a failure.
        self.stop.send_replace(true);
        router.shutdown().await;
        while self.supervisors.join_next().await.is_some() {}
    }
}

/// Runs of consecutive shards with about the same bytes of text each, one run for each worker.
fn assign(weights: &[u64], workers: usize) -> Vec<std::ops::Range<u32>> {
    let total: u64 = weights.iter().sum();
    let workers = workers.min(weights.len());
    let mut runs = Vec::new();
    let mut start = 0;
    let mut sum = 0;
    for (end, weight) in (1_u32..).zip(weights) {
        sum += weight;
        let share = total * (runs.len() as u64 + 1) / workers as u64;
        let left_after = weights.len() - end as usize;
        let runs_after = workers - runs.len() - 1;
        // Cut when the share is full, but leave a shard for every worker to come.
        if (sum >= share && runs_after > 0) || left_after == runs_after {
            runs.push(start..end);
            start = end;
        }
        if left_after == 0 && start < end {
            runs.push(start..end);
        }
    }
    runs
}

struct Supervisor {
    gone: GiveUpAtEnd,
    options: LocalOptions,
    threads: usize,
    stopped: watch::Receiver<bool>,
}

/// Gives a supervisor's shards up when it ends, however that comes.
struct GiveUpAtEnd {
    router: Router,
    shards: std::ops::Range<u32>,
    reason: String,
}

impl Drop for GiveUpAtEnd {
    fn drop(&mut self) {
        self.router.give_up(self.shards.clone(), &self.reason);
    }
}

impl Supervisor {
    /// Keeps a worker running until it is meant to end, or there is no use in trying.
    async fn run(mut self) {
        let reason = self.supervise().await;
        // Also if this task panics or is dropped: nobody waits for these shards for ever.
        self.gone.reason = reason;
    }

    /// Returns why there is no worker any more.
    async fn supervise(&mut self) -> String {
        let program = self.options.command.program.display().to_string();
        let mut wait = RESTART_AFTER;
        let mut failures = 0;
        loop {
            let started = Instant::now();
            // What is not there will not be there in a moment.
            let child = match self.spawn() {
                Ok(child) => child,
                Err(error) => return format!("cannot start {program}: {error}"),
            };
            let reason = match self.watch(child).await {
                End::Meant => return "its worker was stopped".to_owned(),
                // Another start would be as silent, and each costs the user the same wait.
                End::Silent if failures == 0 => {
                    return format!(
                        "its worker {program} did not connect within {} s",
                        CONNECT_WITHIN.as_secs()
                    );
                }
                End::Silent => "it did not connect in time".to_owned(),
                End::Failed(reason) => reason,
            };
            if started.elapsed() >= HEALTHY_AFTER {
                (failures, wait) = (0, RESTART_AFTER);
            }
            failures += 1;
            tracing::warn!(shards = ?self.gone.shards, failures, %reason, "worker ended");
            if failures > RESTARTS {
                return format!("its worker failed {failures} times; the last time: {reason}");
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {
                    telemetry::worker_restarted();
                    wait *= 2;
                }
                () = stop_asked(&mut self.stopped) => return "its worker was stopped".to_owned(),
            }
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        let Some(address) = self.gone.router.address() else {
            return Err(io::Error::other("the router does not listen; see RouterConfig::listen"));
        };
        let shards = match self.gone.shards.end - self.gone.shards.start {
            1 => self.gone.shards.start.to_string(),
            _ => format!("{}-{}", self.gone.shards.start, self.gone.shards.end - 1),
        };
        let mut command = Command::new(&self.options.command.program);
        command
            .args(&self.options.command.arguments)
            .arg("--connect")
            .arg(address.to_string())
            .args(["--shard-id", &shards])
            .args(["--threads", &self.threads.to_string(), "--parent-pipe"])
            // Held open by this process alone: its end tells the worker that we are gone, however that came.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            // A ctrl-C at the terminal is ours to handle: workers end in order, with their connection.
            .process_group(0)
            .kill_on_drop(true);
        // By the environment: arguments are visible to every user of the machine.
        match self.gone.router.token() {
            Some(token) => command.env(Token::VARIABLE, token.reveal()),
            None => command.env_remove(Token::VARIABLE),
        };
        if self.gone.router.token().is_some() && address.is_plaintext() {
            command.arg("--allow-insecure");
        }
        match &self.options.cache_dir {
            Some(directory) => command.arg("--cache-dir").arg(directory),
            None => command.arg("--no-cache"),
        };
        command.spawn()
    }

    /// Waits for the worker's end, and brings it about if the worker serves nothing.
    async fn watch(&self, mut child: Child) -> End {
        // Waiting for the child would close its pipe, and with it the child.
        let _pipe = child.stdin.take();
        let mut stopped = self.stopped.clone();
        let end = tokio::select! {
            status = child.wait() => {
                // Both may have come since this was last looked at: then it ended because it was asked to.
                let asked = *self.stopped.borrow();
                return if asked { End::Meant } else { End::Failed(describe(status)) };
            }
            end = self.useless() => end,
            () = stop_asked(&mut stopped) => {
                if tokio::time::timeout(END_WITHIN, child.wait()).await.is_ok() {
                    return End::Meant;
                }
                tracing::warn!(shards = ?self.gone.shards, "worker did not end in time; killing it");
                End::Meant
            }
        };
        let _ = child.kill().await;
        end
    }

    /// Returns when there is no use in waiting for the worker any longer: it lives, but has not connected in time, or
    /// its connection is gone and it does not end. A stopped process is like that, or a program that is no worker.
    async fn useless(&self) -> End {
        if tokio::time::timeout(CONNECT_WITHIN, self.waiting(false)).await.is_err() {
            return End::Silent;
        }
        loop {
            let reason = self.waiting(true).await;
            // It may have been the connection of the worker before, which ended late.
            if tokio::time::timeout(END_WITHIN, self.waiting(false)).await.is_err() {
                return End::Failed(reason);
            }
        }
    }

    /// Waits until some shard is without a worker (and says why it is), or until none is.
    async fn waiting(&self, wanted: bool) -> String {
        let mut changes = self.gone.router.changes();
        loop {
            let reason = self.gone.router.waiting(self.gone.shards.clone());
            if reason.is_some() == wanted {
                return reason.unwrap_or_default();
            }
            // The router outlives its workers.
            let _ = changes.changed().await;
        }
    }
}

/// How a worker's run ended.
enum End {
    /// It was meant to.
    Meant,
    /// It was killed, as it never connected.
    Silent,
    /// It ended, or had to be killed, because of this.
    Failed(String),
}

async fn stop_asked(stopped: &mut watch::Receiver<bool>) {
    // An error means that whoever could ask is gone.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn describe(status: io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => format!("waiting for it failed: {error}"),
    }
}

/// How many things this machine can do at once.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Where indexes of a workspace with these canonical roots are kept between runs, unless told otherwise: a directory of
/// its own below `$XDG_CACHE_HOME/nova`, or else `~/.cache/nova`. None if neither variable has an absolute path.
#[must_use]
pub fn default_cache_dir(roots: &[PathBuf]) -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(Path::new(".cache"))))?;
    let mut hasher = blake3::Hasher::new();
    for root in roots {
        let root = root.as_os_str().as_encoded_bytes();
        // The length in front keeps two roots from running into each other.
        hasher.update(&(root.len() as u64).to_le_bytes()).update(root);
    }
    Some(base.join("nova").join(&hasher.finalize().to_hex()[..32]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_processes_left_is_removed_and_nothing_else() {
        let base = tempfile::tempdir().expect("a directory");
        // Above what any system gives to a process.
        let dead = format!("{PREFIX}{}-x", i32::MAX);
        let live = format!("{PREFIX}{}-x", std::process::id());
        for name in [&*dead, &*live, "nova-", "nova-old", "nova-12x-y", "other"] {
            std::fs::create_dir(base.path().join(name)).expect("a directory");
        }
        std::fs::write(base.path().join(&dead).join(SOCKET), "").expect("a file");
        let full = format!("{PREFIX}{}-full", i32::MAX);
        std::fs::create_dir_all(base.path().join(&full).join("precious")).expect("a directory");
        remove_left_behind(base.path());
        assert!(!base.path().join(&dead).exists());
        for name in [&*live, "nova-", "nova-old", "nova-12x-y", "other", &full] {
            assert!(base.path().join(name).is_dir(), "{name}");
        }
    }

    #[test]
    fn every_shard_goes_to_one_worker_and_every_worker_gets_one() {
        for sizes in [&[1][..], &[1, 1, 1], &[100, 1, 1, 1], &[1, 1, 1, 100], &[5; 17], &[0; 9]] {
            for workers in 1..12 {
                let runs = assign(sizes, workers);
                assert_eq!(runs.len(), workers.min(sizes.len()), "{sizes:?} over {workers}");
                assert!(runs.iter().all(|run| !run.is_empty()), "{runs:?}");
                let shards: Vec<u32> = runs.into_iter().flatten().collect();
                assert_eq!(shards, (0..sizes.len() as u32).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn the_load_is_shared_by_bytes() {
        assert_eq!(assign(&[100, 1, 1, 1], 2), [0..1, 1..4]);
        assert_eq!(assign(&[10, 10, 10, 10], 2), [0..2, 2..4]);
        assert!(assign(&[], 4).is_empty());
    }
}
