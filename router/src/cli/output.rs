//! Standard output, exit codes and errors.

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;

/// The number of the JSON schema of all outputs.
pub(super) const SCHEMA: u32 = 1;

/// Why a command did not do its work.
#[derive(Debug)]
pub(super) struct Failure {
    exit: u8,
    code: &'static str,
    message: String,
    hint: String,
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    schema: u32,
    error: ErrorFields<'a>,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    code: &'a str,
    message: &'a str,
    hint: &'a str,
}

impl Failure {
    fn new(exit: u8, code: &'static str, message: &str, hint: &str) -> Self {
        Self { exit, code, message: message.to_owned(), hint: hint.to_owned() }
    }

    pub(super) fn usage(message: &str, hint: &str) -> Self {
        Self::new(2, "usage", message, hint)
    }

    pub(super) fn cannot_connect(message: &str, hint: &str) -> Self {
        Self::new(4, "cannot_connect", message, hint)
    }

    pub(super) fn nothing_indexed(message: &str, hint: &str) -> Self {
        Self::new(7, "nothing_indexed", message, hint)
    }

    pub(super) fn interrupted() -> Self {
        Self::new(130, "interrupted", "interrupted", "run the command again")
    }

    pub(super) fn internal(message: &str) -> Self {
        Self::new(1, "internal", message, "run again with NOVA_LOG=debug to see more")
    }

    /// Tells about it on standard error, and with `json` on standard output; returns the exit code.
    pub(super) fn report(&self, json: bool) -> ExitCode {
        if self.exit != 0 {
            eprintln!("nova: {}\n  {}", self.message, self.hint);
        }
        if json {
            self.print_json();
        }
        self.exit_code()
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit)
    }

    pub(super) fn print_json(&self) {
        let error = ErrorFields { code: self.code, message: &self.message, hint: &self.hint };
        // A reader that is gone does not want to know.
        let _ = print_json(&ErrorLine { schema: SCHEMA, error });
    }
}

/// Standard output failed. A reader that has enough is no failure: the program ends quietly, with code 0.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(0, "closed", "", "");
        }
        Self::internal(&format!("cannot write to standard output: {error}"))
    }
}

/// Prints exactly one line.
pub(super) fn print_json<T: Serialize>(value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}
