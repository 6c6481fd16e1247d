//! `nova-worker`: serves shards of a workspace to a router.

use std::process::ExitCode;

use clap::Parser;
use nova_worker::program::{WorkerArgs, init_logging, run};

/// Indexes and searches shards of a Java workspace for a Nova router
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  \
        nova-worker --connect unix:/tmp/nova-router.sock --shard-id 0 --cache-dir /tmp/nova-cache\n  \
        nova-worker --connect tcp+tls:router.example.com:9000 --tls-ca-cert ca.pem \\\n      \
            --tls-client-cert worker.pem --tls-client-key worker.key --shard-id 0-3 --cache-dir /tmp/nova-cache\n\n\
        Exit codes: 0 the router said to stop, 1 error, 2 usage, 4 cannot connect, 5 not let in, 6 timed out"
)]
struct Cli {
    #[command(flatten)]
    worker: WorkerArgs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    init_logging();
    run(&cli.worker)
}
