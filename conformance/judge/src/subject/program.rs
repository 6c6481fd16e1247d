//! Another program as a subject, through its standard input and output.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::{Answer, Op, Subject, Trouble};

/// With this exit code a subject says that it does not have something.
pub const UNSUPPORTED: i32 = 127;

/// How long an answer may take; only a subject that hangs makes the runner wait so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that speaks the contract; started when it is needed, and again after it has ended.
#[derive(Debug)]
pub struct Program {
    command: String,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Its lines, read by a thread that ends with its output.
    lines: Receiver<String>,
}

impl Running {
    fn start(command: &str) -> Option<Self> {
        let mut shell = Command::new("sh");
        // `exec`, so that the exit code is the program's own and no shell stays behind.
        shell.arg("-c").arg(format!("exec {command}")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().ok()?;
        let output = BufReader::new(child.stdout.take()?);
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Some(Self { child, lines })
    }

    /// Writes the line of an op, and waits for one.
    fn ask(&mut self, line: &str, op: &str) -> Result<Answer, Trouble> {
        if let Ok(early) = self.lines.try_recv() {
            return Err(Trouble::Broken(format!("the subject was not asked, and says {early}")));
        }
        if let Some(input) = &mut self.child.stdin {
            // A program that has ended does not read: its exit code says why.
            let _ = input.write_all(line.as_bytes()).and_then(|()| input.flush());
        }
        match self.lines.recv_timeout(PATIENCE) {
            Ok(answer) => serde_json::from_str(&answer)
                .map_err(|error| Trouble::Broken(format!("{error} in the subject's line {answer}"))),
            Err(RecvTimeoutError::Timeout) => {
                Err(Trouble::Broken(format!("no answer to `{op}` within {} s", PATIENCE.as_secs())))
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.ended(op)),
        }
    }

    fn ended(&mut self, op: &str) -> Trouble {
        match self.child.wait() {
            Ok(status) if status.code() == Some(UNSUPPORTED) => Trouble::Unsupported(op.to_owned()),
            Ok(status) => Trouble::Broken(format!("the subject ended without an answer to `{op}`: {status}")),
            Err(error) => Trouble::Broken(format!("the subject is gone: {error}")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A subject ends at the end of its input; one that does not must not outlive the run.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// A subject that a shell starts with this command.
    #[must_use]
    pub fn new(command: &str) -> Self {
        Self { command: command.to_owned(), running: None }
    }
}

impl Subject for Program {
    fn ask(&mut self, op: Op) -> Result<Answer, Trouble> {
        let mut line = serde_json::to_string(&op).map_err(|error| Trouble::Broken(error.to_string()))?;
        let name = line.split('"').nth(3).unwrap_or_default().to_owned();
        line.push('\n');
        let running = self.running.take().or_else(|| Running::start(&self.command));
        let mut running =
            running.ok_or_else(|| Trouble::Broken(format!("cannot start `{}`", self.command)))?;
        let answer = running.ask(&line, &name)?;
        // One that has ended, hangs or talks nonsense is not asked again.
        self.running = Some(running);
        Ok(answer)
    }
}
