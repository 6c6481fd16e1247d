//! `nova serve`: a router that runs until a signal.

use std::io::{self, Write};
use std::process::ExitCode;

use nova_transport_tokio::Address;
use serde::Serialize;

use super::Signals;
use super::args::ServeArgs;
use super::output::{Failure, SCHEMA, print_json};
use super::workspace::Workspace;
use crate::cluster::{Router, ShardState};

#[derive(Serialize)]
struct ServeLine {
    schema: u32,
    pid: u32,
    listen: String,
}

/// Runs until a signal, and then ends in order: workers are told, the socket file goes.
pub(super) async fn run(args: &ServeArgs, signals: &mut Signals) -> Result<ExitCode, Failure> {
    if let Some(Address::Tcp { host, .. }) = &args.listen
        && !is_loopback(host)
    {
        return Err(Failure::usage(
            &format!("tcp:{host}:… would send source code in clear text over the network"),
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
    eprintln!("nova: interrupted");
    // Without a second line of JSON: the address was the answer.
    Ok(Failure::interrupted().exit_code())
}

fn announce(args: &ServeArgs, router: &Router) -> io::Result<()> {
    let line = ServeLine { schema: SCHEMA, pid: std::process::id(), listen: router.address().to_string() };
    if args.json {
        return print_json(io::stdout().lock(), &line);
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{} shards, listening at {}", router.layout().shards.len(), line.listen)?;
    out.flush()
}

/// Tells on standard error how many shards are ready, each time that changes.
async fn tell_ready(router: &Router) {
    let mut changes = router.changes();
    let mut ready = 0;
    loop {
        let now =
            router.status().iter().filter(|shard| matches!(shard.state, ShardState::Ready { .. })).count();
        if now != ready {
            ready = now;
            eprintln!("nova: {ready} of {} shards ready", router.layout().shards.len());
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
