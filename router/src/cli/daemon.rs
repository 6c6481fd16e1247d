//! The daemon of a workspace, seen from the other commands: it is found, joined, started in the background.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nova_proto_core::messages::Digest;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::args::{DaemonArgs, WhichArgs, WorkspaceArgs};
use super::output::Failure;
use super::progress;
use super::workspace::{absolute, canonical_roots};
use crate::control::{BUILD, Client, ClientError, Place, build_id};

/// After how long a daemon that was started in the background ends, if nobody asks it anything.
const IDLE_EXIT: Duration = Duration::from_secs(30 * 60);

/// How often it is looked whether a daemon that somebody else has started listens.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How much of a log is shown when a daemon has failed, in bytes.
const SHOWN_LOG: u64 = 2048;

/// Where the daemon of a workspace is to be found, and the workspace's roots.
pub(super) fn place(which: &WhichArgs) -> Result<(Vec<PathBuf>, Place), Failure> {
    let roots = canonical_roots(which)?;
    let place = Place::of(&roots, which.max_file_bytes);
    Ok((roots, place))
}

/// The running daemon of a workspace, if there is one, or one that is started now, if that is wanted.
pub(super) async fn join(
    args: &WorkspaceArgs,
    daemon: &DaemonArgs,
) -> Result<Option<(Vec<PathBuf>, Client)>, Failure> {
    if daemon.no_daemon {
        return Ok(None);
    }
    // What is wrong with the roots, the walk says.
    let Ok((roots, place)) = place(&args.which) else { return Ok(None) };
    let client = match connect(&place).await? {
        Some(client) => client,
        None if daemon.daemon => start(args, &roots, &place).await?,
        None => return Ok(None),
    };
    check_build(&client).await?;
    Ok(Some((roots, client)))
}

/// The daemon that listens at a place; nothing if none does.
pub(super) async fn connect(place: &Place) -> Result<Option<Client>, Failure> {
    match place.check() {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            tracing::warn!(%error, "no daemon is looked for");
            return Ok(None);
        }
    }
    match Client::connect(&place.socket(), BUILD).await {
        Ok(client) => Ok(Some(client)),
        // Nobody is there, or somebody who is about to end.
        Err(ClientError::Nobody(error))
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
        {
            Ok(None)
        }
        Err(ClientError::Ended(reason)) if reason.code().is_none() => Ok(None),
        Err(ClientError::Foreign) => {
            tracing::warn!("a process of another user listens where the daemon should");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Refuses a daemon of another build: its answers may be others.
async fn check_build(client: &Client) -> Result<(), Failure> {
    let own = own_build_id().await?;
    let there = client.welcome();
    if there.build_id == own {
        return Ok(());
    }
    let message = format!(
        "the daemon (process {}, {}) is of another build than this program ({BUILD})",
        there.pid, there.build
    );
    Err(Failure::other_build(&message, "run `nova stop`, then the command again; or give --no-daemon"))
}

/// The content hash of this program's file.
pub(super) async fn own_build_id() -> Result<Digest, Failure> {
    let hashed = tokio::task::spawn_blocking(build_id).await;
    let hashed = hashed.map_err(|error| Failure::internal(&error.to_string()))?;
    hashed.map_err(|error| Failure::internal(&format!("cannot read this program's own file: {error}")))
}

/// Starts a daemon in the background, or waits for one that somebody else is starting, and connects to it.
async fn start(args: &WorkspaceArgs, roots: &[PathBuf], place: &Place) -> Result<Client, Failure> {
    let bar = progress::waiting("starting a daemon");
    let started = started(args, roots, place).await;
    bar.finish_and_clear();
    started
}

async fn started(args: &WorkspaceArgs, roots: &[PathBuf], place: &Place) -> Result<Client, Failure> {
    let cannot = |error: io::Error| {
        Failure::cannot_connect(
            &format!("cannot start a daemon: {error}"),
            "set XDG_RUNTIME_DIR to a directory of your own, or leave --daemon out",
        )
    };
    loop {
        if place.holder().map_err(cannot)?.is_none() {
            place.make().map_err(cannot)?;
            match spawn(args, roots, &place.log()).await {
                Err(failure) if failure.is_already_running() => {}
                other => other?,
            }
        }
        if let Some(client) = connect(place).await? {
            return Ok(client);
        }
        // Another one was first and does not listen yet; or it has ended already.
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Starts a daemon that outlives this process; returns when it listens.
async fn spawn(args: &WorkspaceArgs, roots: &[PathBuf], log: &Path) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::internal(&format!("cannot start a daemon: {error}; what it says is in {}", log.display()))
    };
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(log);
    let file = file.map_err(|error| failed(&error))?;
    // Nobody writes to it: there is no daemon.
    file.set_len(0).map_err(|error| failed(&error))?;
    let mut command = Command::new(std::env::current_exe().map_err(|error| failed(&error))?);
    command
        .args(["serve", "--json", "--background", "--idle-exit", &IDLE_EXIT.as_secs().to_string()])
        .args(["--max-file-bytes", &args.which.max_file_bytes.to_string()])
        // A directory that is not there later is of no harm to it.
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file);
    for root in roots {
        command.arg("--root").arg(root);
    }
    if let Some(workers) = args.workers {
        command.args(["--workers", &workers.to_string()]);
    }
    match &args.worker_command {
        // A name without a directory is looked for in the search path.
        Some(program) if program.components().count() == 1 => command.arg("--worker-command").arg(program),
        Some(program) => command.arg("--worker-command").arg(absolute(program.clone())),
        None => &mut command,
    };
    match &args.cache_dir {
        _ if args.no_cache => command.arg("--no-cache"),
        Some(directory) => command.arg("--cache-dir").arg(absolute(directory.clone())),
        None => &mut command,
    };
    let mut child = command.spawn().map_err(|error| failed(&error))?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        // Its line comes when it listens, or when it has failed; the pipe ends if it was killed.
        BufReader::new(stdout).read_line(&mut line).await.map_err(|error| failed(&error))?;
    }
    let line: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
    if line["control"].is_string() {
        return Ok(());
    }
    if let Some(failure) = Failure::from_json(&line["error"]) {
        return Err(failure);
    }
    let said = tail(log).unwrap_or_default();
    Err(failed(&format!("it ended at once{}{}", if said.is_empty() { "" } else { ": " }, said.trim())))
}

/// The end of a log.
fn tail(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SHOWN_LOG)))?;
    let mut bytes = Vec::new();
    file.take(SHOWN_LOG).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
