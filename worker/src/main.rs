//! `nova-worker`: serves shards of a workspace to a router.

use std::process::ExitCode;

use clap::Parser;
use nova_worker::program::{WorkerArgs, run};
use tracing_subscriber::EnvFilter;

/// Indexes and searches shards of a Java workspace for a Nova router
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  \
        nova-worker --connect unix:/tmp/nova-router.sock --shard-id 0 --cache-dir /tmp/nova-cache\n\n\
        Exit codes: 0 the router said to stop, 1 error, 2 usage, 4 cannot connect, 5 not let in"
)]
struct Cli {
    #[command(flatten)]
    worker: WorkerArgs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_env("NOVA_LOG").unwrap_or_else(|_| EnvFilter::new("warn")))
        .with_writer(std::io::stderr)
        .init();
    run(&cli.worker)
}
