//! `nova-conformance capture` and `replay`.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use nova_transport_tokio::Address;

use super::Stop;
use crate::capture::{record, replay};

#[derive(Debug, clap::Args)]
pub(super) struct CaptureArgs {
    /// Where the worker connects to
    #[arg(long, value_name = "ADDR")]
    listen: Address,

    /// Where the router listens
    #[arg(long, value_name = "ADDR")]
    connect: Address,

    /// The capture
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Records one connection.
pub(super) fn capture(args: &CaptureArgs) -> Result<ExitCode, Stop> {
    let listening = |address: &Address| {
        let _ = writeln!(io::stderr(), "listening at {address}, for one worker");
    };
    record(&args.listen, &args.connect, &args.file, listening).map_err(Stop::cannot_connect)?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, clap::Args)]
pub(super) struct ReplayArgs {
    /// A capture, as `capture` writes it
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Lists a capture; fails if a side breaks a rule in it.
pub(super) fn list(args: &ReplayArgs) -> Result<ExitCode, Stop> {
    let named = |problem: &dyn std::fmt::Display| Stop::failed(format!("{}: {problem}", args.file.display()));
    let text = fs::read_to_string(&args.file).map_err(|error| named(&error))?;
    let replayed = replay(&text).map_err(|error| named(&error))?;
    let mut out = io::stdout().lock();
    for line in &replayed.listing {
        writeln!(out, "{line}")?;
    }
    match replayed.faults.as_slice() {
        [] => Ok(ExitCode::SUCCESS),
        faults => Err(Stop::failed(faults.join("\n"))),
    }
}
