//! The command line. Exit codes are those of `docs/CLI.md`.

mod captures;
mod reports;
mod run;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::subject;
use crate::vector::Suite;

const EXAMPLES: &str = "Examples:
  nova-conformance run
  nova-conformance run --subject ./mine --group encoding
  nova-conformance run --connect unix:/tmp/router --preset router-nova-new
  nova-conformance run --listen unix:/tmp/worker --preset 'worker-n*' \\
      --start 'nova-worker --connect {address} --shard-id 0-1,5 --no-cache'
  nova-conformance run --json > core.jsonl
  nova-conformance matrix core=core.jsonl mine=mine.jsonl

Exit codes: 0 nothing failed, 1 something did, 2 usage, 4 cannot connect";

/// The conformance suite of Nova's remote RPC, version 3
#[derive(Debug, Parser)]
#[command(name = "nova-conformance", version, after_help = EXAMPLES)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play the vectors: with the core in process, with another program, or over a socket
    Run(Box<run::RunArgs>),
    /// Say which rules, frames, close codes and limits no case covers; exit with 1 if there are any
    Coverage(reports::CoverageArgs),
    /// Make a table of several runs, implementation by group
    Matrix(reports::MatrixArgs),
    /// Record a connection: listen for a worker, connect to the router, write down what both say
    Capture(captures::CaptureArgs),
    /// List a recorded connection, and judge both sides by the rules that hold in every case
    Replay(captures::ReplayArgs),
    /// Be a subject: the core, behind the contract of docs/CONFORMANCE.md on standard input and output
    Subject,
}

/// Where the vectors lie.
#[derive(Debug, clap::Args)]
struct VectorsArg {
    /// The directory of the vectors
    #[arg(long, value_name = "DIR", default_value = crate::VECTORS)]
    vectors: PathBuf,
}

impl VectorsArg {
    fn load(&self) -> Result<Suite, Stop> {
        Suite::load(&self.vectors).map_err(Stop::failed)
    }
}

/// Why the program ends without having done its work.
#[derive(Debug)]
struct Stop {
    code: u8,
    message: String,
}

impl Stop {
    fn failed(message: impl ToString) -> Self {
        Self { code: 1, message: message.to_string() }
    }

    fn usage(message: impl ToString) -> Self {
        Self { code: 2, message: message.to_string() }
    }

    fn cannot_connect(message: impl ToString) -> Self {
        Self { code: 4, message: message.to_string() }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::failed(error)
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Coverage(args) => reports::cover(&args),
        Command::Matrix(args) => reports::matrix(&args),
        Command::Capture(args) => captures::capture(&args),
        Command::Replay(args) => captures::list(&args),
        Command::Subject => serve(),
    };
    match done {
        Ok(code) => code,
        // A reader that has gone wants to hear no more.
        Err(Stop { message, .. }) if message.contains("Broken pipe") => ExitCode::SUCCESS,
        Err(Stop { code, message }) => {
            let _ = writeln!(io::stderr(), "nova-conformance: {message}");
            ExitCode::from(code)
        }
    }
}

fn serve() -> Result<ExitCode, Stop> {
    let supported = nova_conformance_core::serve::serve(io::stdin().lock(), io::stdout().lock())?;
    let unsupported = u8::try_from(subject::program::UNSUPPORTED).unwrap_or(1);
    Ok(if supported { ExitCode::SUCCESS } else { ExitCode::from(unsupported) })
}
