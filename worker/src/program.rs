//! The worker as a process: its command line, its socket and its end.

use std::future::Future;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::time::Duration;

use futures_util::future::{Either, join, select};
use nova_driver::net::tls::is_refusal;
use nova_proto_core::messages::{
    MAX_WORKER_SHARDS, WorkerHello, WorkerWelcome, decode, encode, shard_ranges,
};
use nova_proto_core::{CloseCode, CloseReason, Config, ConfigError, Role};
use nova_transport_tokio::{Address, ClientTls, ClientTlsFiles, ConnectOptions, Handle, IdentityFiles};
use tracing_subscriber::EnvFilter;

use crate::cache::Store;
use crate::service::WorkerService;

mod token;

pub use token::TokenArgs;

/// The version as it is told to the other end.
pub const BUILD: &str = concat!("nova-worker ", env!("CARGO_PKG_VERSION"));

/// How long after its connection the pipe of a parent that was killed may end: the system closes both at once.
const PARENT_ENDS_WITHIN: Duration = Duration::from_millis(500);

/// How long the last indexes may take to be kept.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// How long open requests may take when the router asks the process to end.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Flags of `nova-worker`, and of `nova worker`.
#[derive(Debug, Clone, clap::Args)]
pub struct WorkerArgs {
    /// The router's address: unix:PATH, tcp+tls:HOST:PORT or tcp:HOST:PORT
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

    /// What drives the connection
    #[arg(long, value_enum, value_name = "RUNTIME", default_value_t = Runtime::Tokio)]
    pub runtime: Runtime,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a comment here would become the help of every flag in it")]
    pub token: TokenArgs,

    #[command(flatten)]
    #[expect(missing_docs, reason = "as above")]
    pub tls: TlsArgs,

    /// Send the token even over tcp:, where others can read it
    #[arg(long)]
    pub allow_insecure: bool,

    /// Standard input is the parent's pipe: when it ends, remove the socket and its directory, and exit
    #[arg(long, hide = true)]
    pub parent_pipe: bool,
}

/// Flags for `tcp+tls:`.
#[derive(Debug, Clone, clap::Args)]
pub struct TlsArgs {
    /// For tcp+tls: the CA that has issued the router's certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub tls_ca_cert: Option<PathBuf>,

    /// For tcp+tls: the name that the router's certificate is for [default: the host in --connect]
    #[arg(long, value_name = "NAME")]
    pub tls_domain: Option<String>,

    /// For tcp+tls: the certificate to show to a router that asks for one (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_client_key")]
    pub tls_client_cert: Option<PathBuf>,

    /// For tcp+tls: the private key of --tls-client-cert (PEM, not encrypted)
    #[arg(long, value_name = "FILE", requires = "tls_client_cert")]
    pub tls_client_key: Option<PathBuf>,
}

/// What drives the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Runtime {
    /// tokio.
    Tokio,
    /// async-std, which is discontinued.
    #[cfg(feature = "async-std")]
    AsyncStd,
}

/// Why the process ends with another exit code than 0, and what it says.
type Failed = (u8, String);

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
    let stderr = io::stderr;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        // A line that cannot be written is lost; telling so would fail as well.
        .log_internal_errors(false)
        .with_writer(stderr)
        .init();
}

/// Serves until the router, the parent or an error ends it; then the process should end with the returned code: 0 after
/// an orderly end, 2 if the flags make no sense together, 4 if the router cannot be reached, 5 if it does not let this
/// worker in, 6 if it does not answer in time, 1 otherwise.
#[must_use]
pub fn run(args: &WorkerArgs) -> ExitCode {
    if args.parent_pipe {
        watch_parent(&args.connect);
    }
    match serve_on(args) {
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
    let _ = writeln!(io::stderr(), "nova-worker: {message}");
    ExitCode::from(code)
}

fn serve_on(args: &WorkerArgs) -> Result<(), Failed> {
    match args.runtime {
        Runtime::Tokio => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| (1, format!("cannot start: {error}")))?
            .block_on(serve(args)),
        #[cfg(feature = "async-std")]
        Runtime::AsyncStd => async_std::task::block_on(serve(args)),
    }
}

async fn serve(args: &WorkerArgs) -> Result<(), Failed> {
    let shards: Vec<u32> = args.shard_id.iter().flat_map(|range| range.first..=range.last).collect();
    if shards.len() > MAX_WORKER_SHARDS {
        return Err((
            2,
            format!(
                "--shard-id names {} shards; one worker serves at most {MAX_WORKER_SHARDS}",
                shards.len()
            ),
        ));
    }
    let claim = shard_ranges(shards.iter().copied())
        .ok_or_else(|| (2, "too many separate ranges of shards; give fewer with --shard-id".to_owned()))?;
    let token = args.token.read().map_err(|message| (2, message))?;
    if token.is_some() && args.connect.is_plaintext() && !args.allow_insecure {
        let message =
            "others could read the token on its way; connect to tcp+tls: or unix:, or say --allow-insecure";
        return Err((2, message.to_owned()));
    }
    if args.connect.is_plaintext() && !args.connect.is_local() {
        tracing::warn!(address = %args.connect, "source code comes in clear text over the network");
    }
    let options = ConnectOptions::with_tls(args.tls.settings(&args.connect).map_err(|message| (2, message))?);
    let store = args.cache_dir.as_deref().map_or_else(Store::off, Store::open);
    let cached = store.announced(|shard| shards.contains(&shard));
    let threads = args.threads.unwrap_or_else(default_threads);
    let (service, stop) = WorkerService::new(shards, threads, store)
        .map_err(|error| (1, format!("cannot start {threads} threads: {error}")))?;
    let hello = WorkerHello { claim, token, cached, build: BUILD.to_owned() };
    let config = Config { hello: encode(&hello), zstd: true, ..Config::new(Role::Worker) };

    let (handle, driver) = connect(args, &options, config, service.clone())
        .await
        .map_err(|error| (4, cannot_connect(&error)))?
        .map_err(|error| (1, error.to_string()))?;
    tracing::info!(address = %args.connect, "connected");
    let driver = pin!(async { join(driver, check_welcome(&handle)).await.0 });
    let reason = match select(driver, stop).await {
        Either::Left((reason, _)) => reason,
        Either::Right((Ok(()), driver)) => {
            tracing::info!("the router asks this process to end");
            handle.drain(DRAIN_WITHIN);
            driver.await
        }
        Either::Right((Err(_), driver)) => driver.await,
    };
    tracing::info!(%reason, "disconnected");
    if !service.flush(FLUSH_WITHIN) {
        tracing::warn!("not all indexes could be kept in {FLUSH_WITHIN:?}");
    }
    ended(&reason, &handle, options.tls.as_ref())
}

/// Ends the connection if the router's part of the Welcome does not decode (R-A-36).
async fn check_welcome(handle: &Handle) {
    let Ok((_, welcome)) = handle.connected().await else { return };
    match decode::<WorkerWelcome>(&welcome) {
        Ok(welcome) => {
            tracing::info!(
                worker = welcome.worker_id,
                epoch = welcome.epoch,
                build = welcome.build,
                "let in"
            );
        }
        Err(error) => {
            handle.close(CloseCode::BAD_WELCOME, &format!("WorkerWelcome does not decode: {error}"));
        }
    }
}

/// Drives a connection, whatever the runtime.
type Driving = Pin<Box<dyn Future<Output = CloseReason>>>;

/// Connects with the runtime that was asked for.
async fn connect(
    args: &WorkerArgs,
    options: &ConnectOptions,
    config: Config,
    service: WorkerService,
) -> io::Result<Result<(Handle, Driving), ConfigError>> {
    Ok(match args.runtime {
        Runtime::Tokio => nova_transport_tokio::connect_with(&args.connect, options)
            .await?
            .drive(config, service)
            .map(|(handle, driver)| (handle, Box::pin(driver) as Driving)),
        #[cfg(feature = "async-std")]
        Runtime::AsyncStd => nova_transport_async_std::connect_with(&args.connect, options)
            .await?
            .drive(config, service)
            .map(|(handle, driver)| (handle, Box::pin(driver) as Driving)),
    })
}

fn cannot_connect(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::TimedOut => {
            format!("{error}; is the router running?")
        }
        _ => error.to_string(),
    }
}

/// What the end of the connection means for the process.
fn ended(reason: &CloseReason, handle: &Handle, tls: Option<&ClientTls>) -> Result<(), Failed> {
    match reason {
        CloseReason::Local(CloseCode::BAD_WELCOME) => {
            Err((1, "the router's welcome does not decode; use a router of the same version".to_owned()))
        }
        CloseReason::Peer { code: CloseCode::NORMAL | CloseCode::DRAINED, .. } | CloseReason::Local(_) => {
            Ok(())
        }
        CloseReason::Rejected { .. } => Err((5, reason.to_string())),
        CloseReason::Timeout(_) => Err((6, format!("the connection ended: {reason}"))),
        CloseReason::Eof => Err(match (handle.stream_error(), tls) {
            // With TLS 1.3 a router judges this side's certificate after the handshake.
            (Some(error), Some(tls)) if is_refusal(&error) => (5, tls.explain(&error).to_string()),
            // A router that went away with bytes unread resets; which of the two it is says nothing.
            (Some(error), _) if error.kind() != io::ErrorKind::ConnectionReset => {
                (1, format!("the connection ended: {error}"))
            }
            _ => (1, format!("the connection ended: {reason}")),
        }),
        _ => Err((1, format!("the connection ended: {reason}"))),
    }
}

impl TlsArgs {
    /// What the address needs.
    fn settings(&self, address: &Address) -> Result<Option<ClientTls>, String> {
        let given = [
            ("--tls-ca-cert", self.tls_ca_cert.is_some()),
            ("--tls-domain", self.tls_domain.is_some()),
            ("--tls-client-cert", self.tls_client_cert.is_some()),
        ];
        if !matches!(address, Address::Tls { .. }) {
            return match given.iter().find(|(_, given)| *given) {
                Some((flag, _)) => {
                    Err(format!("{flag} is of use with tcp+tls: only, and {address} has no TLS"))
                }
                None => Ok(None),
            };
        }
        let ca = self.tls_ca_cert.clone().ok_or_else(|| {
            format!("{address} needs --tls-ca-cert FILE, the CA that has issued the router's certificate")
        })?;
        let identity = self.tls_client_cert.clone().zip(self.tls_client_key.clone());
        let identity = identity.map(|(certificate, key)| IdentityFiles { certificate, key });
        let files = ClientTlsFiles { ca, domain: self.tls_domain.clone(), identity };
        ClientTls::from_files(&files).map(Some).map_err(|error| error.to_string())
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
        while matches!(io::stdin().read(&mut byte), Ok(1..)) {}
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
