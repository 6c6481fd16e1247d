//! The program `nova`.

mod args;
mod commands;
mod output;
mod progress;
mod workspace;

use std::process::ExitCode;

use clap::Parser;
use nova_worker::program::init_logging;

use args::{Cli, Command};
use output::Failure;

/// Runs the program with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return args::usage(&error),
    };
    init_logging();
    if let Command::Worker(args) = &cli.command {
        return nova_worker::program::run(args);
    }
    let json = cli.command.json();
    match execute(&cli.command) {
        Ok(code) => code,
        Err(failure) => failure.report(json),
    }
}

fn execute(command: &Command) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(&format!("cannot start: {error}")))?;
    let code = runtime.block_on(async {
        tokio::select! {
            result = commands::run(command) => result,
            result = interrupted() => result,
        }
    });
    // What still reads a file at this moment is not waited for.
    runtime.shutdown_background();
    code
}

/// Ends with an error at SIGINT or SIGTERM; what was running is dropped, and with it connections and children.
async fn interrupted() -> Result<ExitCode, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen =
        |kind| signal(kind).map_err(|error| Failure::internal(&format!("cannot listen to signals: {error}")));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Err(Failure::interrupted())
}
