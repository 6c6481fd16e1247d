//! The contract from the other end: the core as a program that any runner can play with.

use std::io::{self, BufRead, Write};

use nova_conformance_judge::subject::{Op, Subject, Trouble};

use crate::Core;

/// Answers lines until there are none any more. Returns whether everything asked for was supported: if not, the process
/// should end with [`UNSUPPORTED`](nova_conformance_judge::subject::program::UNSUPPORTED).
///
/// # Errors
/// If standard input or output breaks, or a line is no op.
pub fn serve(input: impl BufRead, mut output: impl Write) -> io::Result<bool> {
    let mut core = Core::default();
    for line in input.lines() {
        let op: Op = serde_json::from_str(&line?).map_err(io::Error::other)?;
        match core.ask(op) {
            Ok(answer) => {
                serde_json::to_writer(&mut output, &answer)?;
                output.write_all(b"\n")?;
                output.flush()?;
            }
            Err(Trouble::Unsupported(_)) => return Ok(false),
            Err(Trouble::Broken(problem)) => return Err(io::Error::other(problem)),
        }
    }
    Ok(true)
}
