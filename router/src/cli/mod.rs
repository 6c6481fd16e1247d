//! The program `nova`.

mod args;
mod commands;
mod daemon;
mod metrics;
mod output;
mod progress;
mod serve;
mod session;
mod status;
mod stop;
mod workspace;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use nova_worker::program::init_logging;
use tokio::signal::unix::{Signal, SignalKind, signal};

use args::{Cli, Command};
use output::Failure;

/// How long the tasks of an interrupted command may take to end.
const TASKS_END_WITHIN: Duration = Duration::from_millis(500);

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
        let mut signals = Signals::new()?;
        if let Command::Serve(args) = command {
            return serve::run(args, &mut signals).await;
        }
        tokio::select! {
            biased;
            result = commands::run(command) => result,
            // What was running is dropped, and with it connections and children.
            () = signals.next() => Err(Failure::interrupted()),
        }
    });
    // Tasks are dropped, and with them children are killed; what still reads a file is not waited for very long.
    runtime.shutdown_timeout(TASKS_END_WITHIN);
    code
}

/// SIGINT and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::internal(&format!("cannot listen to signals: {error}")))
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
