//! Another program as a subject, through its standard input and output.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::{Answer, Op, Subject, Trouble};

/// With this exit code a subject says that it does not have something.
pub const UNSUPPORTED: i32 = 127;

/// A program that speaks the contract; started when it is needed, and again after it has ended.
#[derive(Debug)]
pub struct Program {
    command: String,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// A subject that a shell starts with this command.
    #[must_use]
    pub fn new(command: &str) -> Self {
        Self { command: command.to_owned(), running: None }
    }

    fn start(&self) -> Result<Running, Trouble> {
        // `exec`, so that the exit code is the program's own and no shell stays behind.
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("exec {}", self.command)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let cannot = || Trouble::Broken(format!("cannot start `{}`", self.command));
        let mut child = command.spawn().map_err(|_| cannot())?;
        let input = child.stdin.take().ok_or_else(cannot)?;
        let output = BufReader::new(child.stdout.take().ok_or_else(cannot)?);
        Ok(Running { child, input, output })
    }

    /// Why there was no line.
    fn ended(&mut self, op: &str) -> Trouble {
        let status = self.running.take().and_then(|mut running| {
            drop(running.input);
            running.child.wait().ok()
        });
        match status {
            Some(status) if status.code() == Some(UNSUPPORTED) => Trouble::Unsupported(op.to_owned()),
            Some(status) => Trouble::Broken(format!("the subject ended: {status}")),
            None => Trouble::Broken("the subject is gone".to_owned()),
        }
    }
}

impl Subject for Program {
    fn ask(&mut self, op: Op) -> Result<Answer, Trouble> {
        if self.running.is_none() {
            self.running = Some(self.start()?);
        }
        let mut line = serde_json::to_string(&op).map_err(|error| Trouble::Broken(error.to_string()))?;
        let name = line.split('"').nth(3).unwrap_or_default().to_owned();
        line.push('\n');
        let mut answer = String::new();
        if let Some(Running { input, output, .. }) = &mut self.running {
            // A program that has ended does not read: its exit code says why.
            let _ = input.write_all(line.as_bytes()).and_then(|()| input.flush());
            let _ = output.read_line(&mut answer);
        }
        if answer.is_empty() {
            return Err(self.ended(&name));
        }
        serde_json::from_str(&answer)
            .map_err(|error| Trouble::Broken(format!("{error} in the subject's line {}", answer.trim_end())))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            drop(running.input);
            // At the end of its input a subject ends; one that does not must not outlive the run.
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}
