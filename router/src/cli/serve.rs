//! `nova serve`: a router that runs, as the daemon of its workspace, until it is stopped.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use nova_proto_core::messages::Token;
use nova_transport_tokio::{Address, IdentityFiles, ServerTls, ServerTlsFiles};
use serde::Serialize;

use super::args::ServeArgs;
use super::metrics::Metrics;
use super::output::{Failure, SCHEMA, count, print_json, tell};
use super::workspace::{Access, Workspace};
use super::{Signals, daemon};
use crate::cluster::{Router, ShardState};
use crate::control::{End, Lock, Place, Server, ServerOptions};

/// How long a log may become, in bytes, and how often it is looked at.
const LOG_BYTES: u64 = 1 << 20;
const LOOK_AT_LOG: Duration = Duration::from_secs(5);

/// Least time between two lines about the same thing.
const TELL_EVERY: Duration = Duration::from_millis(500);

#[derive(Serialize)]
struct ServeLine {
    schema: u32,
    pid: u32,
    /// Where workers connect.
    listen: String,
    /// Where clients connect.
    control: String,
    /// Where the counters are, if they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<String>,
}

impl Access {
    /// What the flags say, if that makes sense and gives the workspace to nobody by mistake.
    fn new(args: &ServeArgs) -> Result<Self, Failure> {
        let access = Self {
            listen: args.listen.clone(),
            tls: server_tls(args)?,
            token: token(args)?,
            ..Self::default()
        };
        let Some(address) = &access.listen else { return Ok(access) };
        if matches!(address, Address::Tls { .. }) && args.workspace.workers.is_some() {
            let message = "--workers starts workers on this machine, which have no certificates for tcp+tls:";
            return Err(Failure::usage(message, "leave it out, or listen on unix:PATH"));
        }
        if args.allow_insecure {
            return Ok(Self { plaintext_tokens: true, ..access });
        }
        let open =
            access.tls.as_ref().is_some_and(|tls| !tls.asks_for_certificates()) && access.token.is_none();
        let (message, hint) = if address.is_plaintext() && !address.is_local() {
            (
                format!("{address} would send source code in clear text over the network"),
                "listen on tcp+tls:HOST:PORT, unix:PATH or tcp:127.0.0.1:PORT; or say --allow-insecure",
            )
        } else if address.is_plaintext() && access.token.is_some() {
            (
                format!("workers would send the token to {address} in clear text"),
                "listen on tcp+tls:HOST:PORT or unix:PATH; or say --allow-insecure",
            )
        } else if open {
            (
                format!(
                    "everyone who can reach {address} could connect as a worker and get your source code"
                ),
                "give --tls-client-ca FILE, or a token; or say --allow-insecure",
            )
        } else {
            return Ok(access);
        };
        Err(Failure::usage(&message, hint))
    }
}

fn server_tls(args: &ServeArgs) -> Result<Option<ServerTls>, Failure> {
    let identity = args.tls.tls_cert.clone().zip(args.tls.tls_key.clone());
    match (&args.listen, identity) {
        (Some(Address::Tls { .. }), Some((certificate, key))) => {
            let identity = IdentityFiles { certificate, key };
            ServerTls::from_files(&ServerTlsFiles { identity, client_ca: args.tls.tls_client_ca.clone() })
                .map(Some)
                .map_err(|error| {
                    Failure::usage(&error.to_string(), "see nova serve --help, or docs/OPERATIONS.md")
                })
        }
        (Some(address @ Address::Tls { .. }), None) => Err(Failure::usage(
            &format!("{address} needs a certificate and its key"),
            "give --tls-cert FILE and --tls-key FILE",
        )),
        (_, Some(_)) => Err(Failure::usage(
            "--tls-cert is of use with --listen tcp+tls:HOST:PORT only",
            "change --listen, or leave the --tls flags out",
        )),
        (_, None) => Ok(None),
    }
}

fn token(args: &ServeArgs) -> Result<Option<Token>, Failure> {
    args.token.read().map_err(|error| Failure::usage(&error, "see nova serve --help"))
}

/// Runs until a signal, a client that stops it, or until nobody has used it for long; then ends in order: workers are told,
/// the sockets' files go.
pub(super) async fn run(args: &ServeArgs, signals: &mut Signals) -> Result<ExitCode, Failure> {
    let access = Access::new(args)?;
    if args.background {
        // Not the end of the terminal that it was started from: it is not of that session any more.
        rustix::process::setsid().map_err(|error| Failure::internal(&format!("setsid: {error}")))?;
    }
    let (_, place) = daemon::place(&args.workspace.which)?;
    let lock = lock(&place)?;
    let result = serve(args, access, &place, signals).await;
    if args.background {
        // What had to be said was said to whoever started this.
        let _ = std::fs::remove_file(place.log());
    }
    // Last: who waits for it may start another one.
    drop(lock);
    result
}

/// Takes the workspace's place for this process.
fn lock(place: &Place) -> Result<Lock, Failure> {
    match place.lock() {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => {
            let process = place.holder().ok().flatten();
            let process = process.map(|pid| format!(" (process {pid})")).unwrap_or_default();
            Err(Failure::already_running(&format!("a daemon for these roots is already running{process}")))
        }
        Err(error) => Err(Failure::cannot_connect(
            &error.to_string(),
            "set XDG_RUNTIME_DIR to a directory of your own, with a short path",
        )),
    }
}

/// Why it ends.
enum Why {
    Signal,
    Control(End),
    Failed(Failure),
}

async fn serve(
    args: &ServeArgs,
    access: Access,
    place: &Place,
    signals: &mut Signals,
) -> Result<ExitCode, Failure> {
    let metrics = match args.metrics {
        Some(address) => Some(Metrics::start(address).await?),
        None => None,
    };
    let build_id = daemon::own_build_id().await?;
    let workspace = tokio::select! {
        started = Workspace::start(&args.workspace, access) => started?,
        () = signals.next() => return Err(Failure::interrupted()),
    };
    let options = ServerOptions {
        idle_exit: args.idle_exit.map(Duration::from_secs),
        local_workers: workspace.local_workers(&args.workspace),
        build_id,
        ..ServerOptions::default()
    };
    let server = match Server::bind(&place.socket(), workspace.router.clone(), options) {
        Ok(server) => server,
        Err(error) => {
            workspace.stop().await;
            return Err(Failure::cannot_connect(
                &error.to_string(),
                "set XDG_RUNTIME_DIR to a directory of your own, with a short path",
            ));
        }
    };
    let announced = announce(args, &workspace.router, place, metrics.as_ref());
    let why = match announced {
        Ok(()) => tokio::select! {
            () = tell_ready(&workspace.router) => Why::Signal,
            () = keep_short(args.background.then(|| place.log())) => Why::Signal,
            () = signals.next() => Why::Signal,
            end = server.ended() => Why::Control(end),
            why = workspace.router.ended() => Why::Failed(Failure::internal(&why.to_string())),
        },
        Err(_) => Why::Signal,
    };
    server.shutdown().await;
    workspace.stop().await;
    announced?;
    let (text, code) = match why {
        Why::Failed(failure) => return Err(failure),
        // Without a second line of JSON: the address was the answer.
        Why::Signal => ("interrupted", Failure::interrupted().exit_code()),
        Why::Control(End::Asked) => ("stopped", ExitCode::SUCCESS),
        Why::Control(End::Idle) => ("nobody has used this daemon for long: it ends", ExitCode::SUCCESS),
    };
    let _ = tokio::time::timeout(TELL_EVERY, tell(format!("nova: {text}\n"))).await;
    Ok(code)
}

/// Keeps a log below about twice its limit; for ever.
async fn keep_short(log: Option<PathBuf>) {
    let Some(log) = log else { return std::future::pending().await };
    loop {
        tokio::time::sleep(LOOK_AT_LOG).await;
        if std::fs::metadata(&log).is_ok_and(|metadata| metadata.len() > LOG_BYTES) {
            // Everybody appends to it: what is written goes on at the new end.
            let emptied = std::fs::OpenOptions::new().write(true).open(&log).and_then(|file| file.set_len(0));
            if let Err(error) = emptied {
                tracing::warn!(%error, "the log cannot be kept short");
            }
        }
    }
}

fn announce(args: &ServeArgs, router: &Router, place: &Place, metrics: Option<&Metrics>) -> io::Result<()> {
    let listen = router.address().map(ToString::to_string).unwrap_or_default();
    let metrics = metrics.map(|metrics| metrics.address().to_string());
    let control = format!("unix:{}", place.socket().display());
    let line = ServeLine { schema: SCHEMA, pid: std::process::id(), listen, control, metrics };
    if args.json {
        return print_json(io::stdout().lock(), &line);
    }
    let mut out = io::stdout().lock();
    let shards = router.shards().len();
    writeln!(out, "{}, listening at {}", count(shards as u64, "shard"), line.listen)?;
    writeln!(out, "clients connect to {}", line.control)?;
    if let Some(address) = &line.metrics {
        writeln!(out, "counters at http://{address}/metrics")?;
    }
    if args.listen.is_some() {
        let all = if shards == 1 { "0".to_owned() } else { format!("0-{}", shards - 1) };
        writeln!(out, "a worker for all of them:")?;
        let more = match &args.listen {
            Some(Address::Tls { .. }) if args.tls.tls_client_ca.is_some() => {
                " --tls-ca-cert FILE --tls-client-cert FILE --tls-client-key FILE"
            }
            Some(Address::Tls { .. }) => " --tls-ca-cert FILE",
            _ => "",
        };
        writeln!(out, "  nova-worker --connect {} --shard-id {all} --cache-dir DIR{more}", line.listen)?;
    }
    out.flush()
}

/// Tells on standard error how many shards are ready, once a second while that changes, and of each that has failed.
async fn tell_ready(router: &Router) {
    let mut changes = router.changes();
    let total = router.shards().len();
    let (mut told, mut failures) = (0, BTreeSet::new());
    loop {
        let mut text = String::new();
        let mut ready = 0;
        for (number, shard) in router.status().into_iter().enumerate() {
            match shard.state {
                ShardState::Ready(_) => ready += 1,
                ShardState::Failed { reason } if failures.insert(number) => {
                    text.push_str(&format!("nova: shard {number} has failed: {reason}\n"));
                }
                _ => {}
            }
        }
        if ready != told {
            told = ready;
            text.push_str(&format!("nova: {ready} of {total} shards ready\n"));
        }
        if !text.is_empty() {
            tell(text).await;
            tokio::time::sleep(TELL_EVERY).await;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
