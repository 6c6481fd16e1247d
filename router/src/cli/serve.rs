//! `nova serve`: a router that runs until a signal.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use nova_transport_tokio::Address;
use serde::Serialize;

use super::Signals;
use super::args::ServeArgs;
use super::output::{Failure, SCHEMA, print_json, tell};
use super::workspace::Workspace;
use crate::cluster::{Router, ShardState};

/// Least time between two lines about the same thing.
const TELL_EVERY: Duration = Duration::from_millis(500);

#[derive(Serialize)]
struct ServeLine {
    schema: u32,
    pid: u32,
    listen: String,
}

/// Runs until a signal, and then ends in order: workers are told, the socket file goes.
pub(super) async fn run(args: &ServeArgs, signals: &mut Signals) -> Result<ExitCode, Failure> {
    if let Some(address @ Address::Tcp { host, .. }) = &args.listen
        && !is_loopback(host)
    {
        return Err(Failure::usage(
            &format!("{address} would send source code in clear text over the network"),
            "listen on unix:PATH or tcp:127.0.0.1:PORT",
        ));
    }
    let workspace = tokio::select! {
        started = Workspace::start(&args.workspace, args.listen.as_ref()) => started?,
        () = signals.next() => return Err(Failure::interrupted()),
    };
    let announced = announce(args, &workspace.router);
    if announced.is_ok() {
        tokio::select! {
            () = tell_ready(&workspace.router) => {}
            () = signals.next() => {}
        }
    }
    workspace.stop().await;
    announced?;
    let _ = tokio::time::timeout(TELL_EVERY, tell("nova: interrupted\n".to_owned())).await;
    // Without a second line of JSON: the address was the answer.
    Ok(Failure::interrupted().exit_code())
}

fn announce(args: &ServeArgs, router: &Router) -> io::Result<()> {
    let line = ServeLine { schema: SCHEMA, pid: std::process::id(), listen: router.address().to_string() };
    if args.json {
        return print_json(io::stdout().lock(), &line);
    }
    let mut out = io::stdout().lock();
    let shards = router.layout().shards.len();
    writeln!(out, "{shards} shards, listening at {}", line.listen)?;
    if args.listen.is_some() {
        let all = if shards == 1 { "0".to_owned() } else { format!("0-{}", shards - 1) };
        writeln!(out, "a worker for all of them:")?;
        writeln!(out, "  nova-worker --connect {} --shard-id {all} --cache-dir DIR", line.listen)?;
    }
    out.flush()
}

/// Tells on standard error how many shards are ready, once a second while that changes, and of each that has failed.
async fn tell_ready(router: &Router) {
    let mut changes = router.changes();
    let total = router.layout().shards.len();
    let (mut told, mut failures) = (0, BTreeSet::new());
    loop {
        let mut text = String::new();
        let mut ready = 0;
        for (number, shard) in router.status().into_iter().enumerate() {
            match shard.state {
                ShardState::Ready { .. } => ready += 1,
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

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
