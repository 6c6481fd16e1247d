//! `nova`: workspace symbols for Java code of any size.

use std::process::ExitCode;

fn main() -> ExitCode {
    nova_router::cli::main()
}
