//! The worker as a process: its command line, its socket and its end.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use nova_proto_core::messages::{WorkerHello, encode, shard_ranges};
use nova_proto_core::{CloseCode, CloseReason, Config, Role};
use nova_transport_tokio::Address;
use tracing_subscriber::EnvFilter;

use crate::cache::Store;
use crate::service::WorkerService;

/// The version as it is told to the other end.
pub const BUILD: &str = concat!("nova-worker ", env!("CARGO_PKG_VERSION"));

/// How long after its connection the pipe of a parent that was killed may end: the system closes both at once.
const PARENT_ENDS_WITHIN: Duration = Duration::from_millis(500);

/// How long the last indexes may take to be kept.
const FLUSH_WITHIN: Duration = Duration::from_millis(2500);

/// How long open requests may take when the router asks the process to end.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Flags of `nova-worker`, and of `nova worker`.
#[derive(Debug, Clone, clap::Args)]
pub struct WorkerArgs {
    /// The router's address: unix:PATH or tcp:HOST:PORT
    #[arg(long, value_name = "ADDR")]
    pub connect: Address,

    /// The shards to serve: a number, a range like 0-7, or several with commas
    #[arg(long, value_name = "N", value_delimiter = ',', required = true, value_parser = parse_shards)]
    pub shard_id: Vec<ShardArg>,

    /// Where indexes are kept between runs; made if it is not there
    #[arg(long, value_name = "DIR", required_unless_present = "no_cache")]
    pub cache_dir: Option<PathBuf>,

    /// Keep nothing between runs
    #[arg(long, conflicts_with = "cache_dir")]
    pub no_cache: bool,

    /// Threads that parse; as many as the machine has cores unless given
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Standard input is the parent's pipe: when it ends, remove the socket and its directory, and exit
    #[arg(long, hide = true)]
    pub parent_pipe: bool,
}

/// Consecutive shards, as given with `--shard-id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardArg {
    first: u32,
    last: u32,
}

fn parse_shards(text: &str) -> Result<ShardArg, String> {
    let number = |text: &str| {
        text.trim().parse::<u32>().map_err(|_| format!("`{text}` is no shard number; give 3, 0-7 or 0-3,8"))
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    if last < first || last >= nova_proto_core::messages::MAX_SHARDS {
        return Err(format!("`{text}` is no range of shards"));
    }
    Ok(ShardArg { first, last })
}

/// Sends log lines to standard error: warnings and errors, or what `NOVA_LOG` asks for (`info`, `debug`, or directives
/// like `nova_router=debug`).
pub fn init_logging() {
    let filter = EnvFilter::try_from_env("NOVA_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let stderr = std::io::stderr;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        // A line that cannot be written is lost; telling so would fail as well.
        .log_internal_errors(false)
        .with_writer(stderr)
        .init();
}

/// Serves until the router, the parent or an error ends it; then the process should end with the returned code: 0 after
/// an orderly end, 4 if the router cannot be reached, 5 if it does not let this worker in, 6 if it does not answer in time,
/// 1 otherwise.
#[must_use]
pub fn run(args: &WorkerArgs) -> ExitCode {
    if args.parent_pipe {
        watch_parent(&args.connect);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &format!("cannot start: {error}")),
    };
    match runtime.block_on(serve(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            if args.parent_pipe {
                // A parent that was killed ends both the connection and the pipe, and what it left must be removed.
                std::thread::sleep(PARENT_ENDS_WITHIN);
            }
            fail(code, &message)
        }
    }
}

fn fail(code: u8, message: &str) -> ExitCode {
    // Who has closed standard error does not want to know.
    let _ = writeln!(std::io::stderr(), "nova-worker: {message}");
    ExitCode::from(code)
}

async fn serve(args: &WorkerArgs) -> Result<(), (u8, String)> {
    let shards: Vec<u32> = args.shard_id.iter().flat_map(|range| range.first..=range.last).collect();
    let claim = shard_ranges(shards.iter().copied())
        .ok_or_else(|| (2, "too many separate ranges of shards; give fewer with --shard-id".to_owned()))?;
    let store = args.cache_dir.as_deref().map_or_else(Store::off, Store::open);
    let cached = store.announced(|shard| shards.contains(&shard));
    let threads = args.threads.unwrap_or_else(default_threads);
    let (service, stop) = WorkerService::new(shards, threads, store)
        .map_err(|error| (1, format!("cannot start {threads} threads: {error}")))?;
    let hello = WorkerHello { claim, token: None, cached, build: BUILD.to_owned() };

    let connecting = nova_transport_tokio::connect(&args.connect);
    let stream = tokio::time::timeout(Duration::from_secs(10), connecting)
        .await
        .map_err(|_| (4, format!("cannot connect to {}: no answer in 10 s", args.connect)))?
        .map_err(|error| (4, format!("{error}; is the router running?")))?;
    let config = Config { hello: encode(&hello), ..Config::new(Role::Worker) };
    let (handle, driver) = nova_transport_tokio::drive(stream, config, service.clone())
        .map_err(|error| (1, error.to_string()))?;
    tracing::info!(address = %args.connect, "connected");
    tokio::pin!(driver);
    let reason = tokio::select! {
        reason = &mut driver => reason,
        Ok(()) = stop => {
            tracing::info!("the router asks this process to end");
            handle.drain(DRAIN_WITHIN);
            driver.await
        }
    };
    tracing::info!(%reason, "disconnected");
    if !service.flush(FLUSH_WITHIN) {
        tracing::warn!("not all indexes could be kept in {FLUSH_WITHIN:?}");
    }
    match reason {
        CloseReason::Peer { code: CloseCode::NORMAL | CloseCode::DRAINED, .. } | CloseReason::Local(_) => {
            Ok(())
        }
        CloseReason::Rejected { .. } => Err((5, reason.to_string())),
        CloseReason::Timeout(_) => Err((6, format!("the connection ended: {reason}"))),
        _ => Err((1, format!("the connection ended: {reason}"))),
    }
}

fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Ends the process when the parent has ended, however it did: only then its end of the pipe is closed. What a killed
/// parent cannot clean up is removed here.
fn watch_parent(address: &Address) {
    let address = address.clone();
    std::thread::spawn(move || {
        let mut byte = [0];
        while matches!(std::io::stdin().read(&mut byte), Ok(1..)) {}
        if let Address::Unix(path) = &address {
            remove_socket(path);
        }
        std::process::exit(0);
    });
}

fn remove_socket(path: &Path) {
    let _ = std::fs::remove_file(path);
    if let Some(directory) = path.parent() {
        // Only an empty directory goes: it is the one that was made for this socket.
        let _ = std::fs::remove_dir(directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_numbers_and_ranges() {
        assert_eq!(parse_shards("3"), Ok(ShardArg { first: 3, last: 3 }));
        assert_eq!(parse_shards("0-7"), Ok(ShardArg { first: 0, last: 7 }));
        for bad in ["", "x", "7-0", "-1", "1-", "4294967295"] {
            assert!(parse_shards(bad).is_err(), "{bad}");
        }
    }
}
