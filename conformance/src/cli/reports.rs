//! `nova-conformance coverage` and `matrix`: about vectors and about runs.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Stop, VectorsArg};
use crate::coverage::{Coverage, Part, coverage};
use crate::matrix::{Run, markdown};
use crate::report::junit;

#[derive(Debug, clap::Args)]
pub(super) struct CoverageArgs {
    #[command(flatten)]
    vectors: VectorsArg,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// Fails if anything is not covered.
pub(super) fn cover(args: &CoverageArgs) -> Result<ExitCode, Stop> {
    let found = coverage(&args.vectors.load()?);
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&found).map_err(Stop::failed)?)?;
    } else {
        show(&found, &mut out)?;
    }
    Ok(if found.missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(found: &Coverage, out: &mut impl Write) -> io::Result<()> {
    for line in &found.missing {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "{} cases", found.cases)?;
    let parts = [
        ("rules with a positive and a negative case", found.rules),
        ("frames in states", found.cells),
        ("close codes", found.close_codes),
        ("limits, below, at and above", found.limits),
    ];
    for (what, Part { covered, of }) in parts {
        writeln!(out, "{covered} of {of} {what}")?;
    }
    writeln!(out, "{} that no case can show, with reasons; {} missing", found.untestable, found.missing.len())
}

#[derive(Debug, clap::Args)]
pub(super) struct MatrixArgs {
    /// What `run --json` has printed, by implementation: NAME=FILE
    #[arg(required = true, value_name = "NAME=FILE")]
    runs: Vec<String>,

    /// Write a JUnit report of all of them
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

pub(super) fn matrix(args: &MatrixArgs) -> Result<ExitCode, Stop> {
    let read = |run: &String| {
        let (name, path) =
            run.split_once('=').ok_or_else(|| Stop::usage(format!("`{run}` is not NAME=FILE")))?;
        let text =
            fs::read_to_string(path).map_err(|error| Stop::failed(format!("cannot read {path}: {error}")))?;
        Run::parse(name, &text).map_err(Stop::failed)
    };
    let runs = args.runs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if let Some(path) = &args.junit {
        let all = runs.iter().map(|run| (run.name.as_str(), run.lines.as_slice()));
        write(path, &junit(all))?;
    }
    io::stdout().write_all(markdown(&runs).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a report.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Stop> {
    fs::write(path, text).map_err(|error| Stop::failed(format!("cannot write {}: {error}", path.display())))
}
