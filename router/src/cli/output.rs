//! Standard output, exit codes and errors.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;

/// The number of the JSON schema of all outputs.
pub(super) const SCHEMA: u32 = 1;

/// The answer is on standard output: an interruption while workers end is no second one. Changed with standard output
/// locked.
static ANSWERED: AtomicBool = AtomicBool::new(false);

/// How long the last line may wait for a reader.
const PRINTED_WITHIN: Duration = Duration::from_secs(1);

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

    /// Another process has what this one needs to be a daemon.
    pub(super) fn already_running(message: &str) -> Self {
        Self::new(4, "already_running", message, "`nova status` tells how it is; `nova stop` ends it")
    }

    pub(super) fn is_already_running(&self) -> bool {
        self.code == "already_running"
    }

    pub(super) fn no_daemon(message: &str) -> Self {
        Self::new(8, "no_daemon", message, "`nova serve` starts one; so does --daemon of other commands")
    }

    pub(super) fn other_build(message: &str, hint: &str) -> Self {
        Self::new(9, "other_build", message, hint)
    }

    /// The daemon is there and says nothing.
    pub(super) fn silent(message: &str, hint: &str) -> Self {
        Self::new(6, "timed_out", message, hint)
    }

    pub(super) fn timed_out(after: Duration) -> Self {
        let message = format!("no worker answered within {} s", after.as_secs());
        Self::new(6, "timed_out", &message, "run the command again; the machine may be overloaded")
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

    /// What another `nova` has told with `--json`: the object below `error`.
    pub(super) fn from_json(error: &serde_json::Value) -> Option<Self> {
        const CODES: [(u8, &str); 8] = [
            (2, "usage"),
            (4, "cannot_connect"),
            (4, "already_running"),
            (6, "timed_out"),
            (7, "nothing_indexed"),
            (8, "no_daemon"),
            (9, "other_build"),
            (130, "interrupted"),
        ];
        let text = |name: &str| error[name].as_str();
        let known = CODES.into_iter().find(|(_, code)| text("code") == Some(code));
        let (exit, code) = known.unwrap_or((1, "internal"));
        Some(Self::new(exit, code, text("message")?, text("hint")?))
    }

    /// Tells about it on standard error, and with `json` on standard output; returns the exit code.
    pub(super) fn report(self, json: bool) -> ExitCode {
        let code = self.exit_code();
        // Not for ever: nobody may be reading.
        let (done, printed) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            if json {
                self.print_json();
            }
            if self.exit != 0 {
                write_err(&format!("nova: {}\n  {}\n", self.message, self.hint));
            }
            let _ = done.send(());
        });
        let _ = printed.recv_timeout(PRINTED_WITHIN);
        code
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit)
    }

    pub(super) fn print_json(&self) {
        let error = ErrorFields { code: self.code, message: &self.message, hint: &self.hint };
        let stdout = io::stdout().lock();
        if !ANSWERED.load(Ordering::Relaxed) {
            // A reader that is gone does not want to know.
            let _ = print_json(stdout, &ErrorLine { schema: SCHEMA, error });
        }
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

/// So many of something: "1 file", "2 files".
pub(super) fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// One line of JSON.
pub(super) fn json_line<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// Prints exactly one line.
pub(super) fn print_json<T: Serialize>(mut out: io::StdoutLock<'_>, value: &T) -> io::Result<()> {
    let line = json_line(value)?;
    out.write_all(&line)?;
    out.flush()
}

/// Tells people something on standard error. On a thread of its own, like [`write_out`].
pub(super) async fn tell(text: String) {
    let _ = tokio::task::spawn_blocking(move || write_err(&text)).await;
}

/// Who has closed standard error does not want to know; the answer is as good.
fn write_err(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes to standard output, and empties what was written; after the `last` piece no error line follows. On a thread of
/// its own: a reader that pauses must not keep the program from noticing a signal.
pub(super) async fn write_out(mut out: Vec<u8>, last: bool) -> Result<Vec<u8>, Failure> {
    let written = tokio::task::spawn_blocking(move || {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&out)?;
        stdout.flush()?;
        ANSWERED.store(last, Ordering::Relaxed);
        out.clear();
        Ok::<_, io::Error>(out)
    });
    Ok(written.await.map_err(|error| Failure::internal(&error.to_string()))??)
}
