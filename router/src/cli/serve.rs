//! `nova serve`: a router that runs until a signal.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use nova_proto_core::messages::Token;
use nova_transport_tokio::{Address, IdentityFiles, ServerTls, ServerTlsFiles};
use serde::Serialize;

use super::Signals;
use super::args::ServeArgs;
use super::metrics::Metrics;
use super::output::{Failure, SCHEMA, print_json, tell};
use super::workspace::{Access, Workspace};
use crate::cluster::{Router, ShardState};

/// Least time between two lines about the same thing.
const TELL_EVERY: Duration = Duration::from_millis(500);

#[derive(Serialize)]
struct ServeLine {
    schema: u32,
    pid: u32,
    listen: String,
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

/// Runs until a signal, and then ends in order: workers are told, the socket file goes.
pub(super) async fn run(args: &ServeArgs, signals: &mut Signals) -> Result<ExitCode, Failure> {
    let access = Access::new(args)?;
    let metrics = match args.metrics {
        Some(address) => Some(Metrics::start(address).await?),
        None => None,
    };
    let workspace = tokio::select! {
        started = Workspace::start(&args.workspace, access) => started?,
        () = signals.next() => return Err(Failure::interrupted()),
    };
    let announced = announce(args, &workspace.router, metrics.as_ref());
    let mut failed = None;
    if announced.is_ok() {
        tokio::select! {
            () = tell_ready(&workspace.router) => {}
            why = workspace.router.ended() => failed = Some(Failure::internal(&why.to_string())),
            () = signals.next() => {}
        }
    }
    workspace.stop().await;
    announced?;
    if let Some(failure) = failed {
        return Err(failure);
    }
    let _ = tokio::time::timeout(TELL_EVERY, tell("nova: interrupted\n".to_owned())).await;
    // Without a second line of JSON: the address was the answer.
    Ok(Failure::interrupted().exit_code())
}

fn announce(args: &ServeArgs, router: &Router, metrics: Option<&Metrics>) -> io::Result<()> {
    let listen = router.address().map(ToString::to_string).unwrap_or_default();
    let metrics = metrics.map(|metrics| metrics.address().to_string());
    let line = ServeLine { schema: SCHEMA, pid: std::process::id(), listen, metrics };
    if args.json {
        return print_json(io::stdout().lock(), &line);
    }
    let mut out = io::stdout().lock();
    let shards = router.shards().len();
    writeln!(out, "{shards} shards, listening at {}", line.listen)?;
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
