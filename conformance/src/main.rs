//! `nova-conformance`: plays the vectors, and tells what they cover.

use std::process::ExitCode;

fn main() -> ExitCode {
    nova_conformance::cli::main()
}
