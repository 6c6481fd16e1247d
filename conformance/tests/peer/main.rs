//! The Python peer and the Rust programs understand each other, in both roles, over Unix sockets and TCP.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Echoes each side asks for.
const ECHOES: usize = 7;

/// For all of them, on a machine that does other things, too.
const IN_TIME: Duration = Duration::from_secs(60);

/// A side of the conversation; killed at the end of the test, whatever that is.
struct Side {
    process: Child,
    lines: Receiver<String>,
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Side {
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let stdout = BufReader::new(process.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { process, lines }
    }

    /// Waits until every echo that this side asked for has come back right; some may have been seen already.
    fn echoes(&self, who: &str, seen: usize) {
        let end = Instant::now() + IN_TIME;
        let mut right = seen;
        while right < ECHOES {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("{who}: {right} of {ECHOES}"));
            if line.starts_with("echo of") {
                assert!(line.ends_with(": true"), "{who}: {line}");
                right += 1;
            }
        }
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn python(role: &str, address: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg("-u").arg(repository().join("conformance/peer/peer.py")).args([role, address]);
    command
}

fn rust(role: &str, address: &str) -> Command {
    // A test is target/<profile>/deps/x, an example target/<profile>/examples/y.
    let this = std::env::current_exe().expect("this test");
    let echo = this.parent().and_then(Path::parent).expect("a profile").join("examples/echo");
    assert!(echo.is_file(), "{} is missing: run the whole workspace's tests", echo.display());
    let mut command = Command::new(echo);
    command.args([role, address]);
    command
}

fn understand_each_other(router: fn(&str, &str) -> Command, worker: fn(&str, &str) -> Command) {
    if Command::new("python3").arg("--version").output().is_err() {
        writeln!(std::io::stderr(), "SKIPPED: peer: no python3").expect("standard error");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("a port").port();
    for address in [format!("unix:{}/s", directory.path().display()), format!("tcp:127.0.0.1:{port}")] {
        let router = Side::start(&mut router("router", &address));
        let end = Instant::now() + IN_TIME;
        // Until the router listens, a worker finds nobody and ends.
        let worker = loop {
            let mut worker = Side::start(&mut worker("worker", &address));
            match worker.lines.recv_timeout(IN_TIME) {
                Ok(line) if line.starts_with("echo of") => {
                    assert!(line.ends_with(": true"), "{line}");
                    break worker;
                }
                other => {
                    assert!(Instant::now() < end, "{address}: {other:?}");
                    let _ = worker.process.wait();
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        };
        worker.echoes("worker", 1);
        router.echoes("router", 0);
    }
}

#[test]
fn a_python_worker_at_a_rust_router() {
    understand_each_other(rust, python);
}

#[test]
fn a_rust_worker_at_a_python_router() {
    understand_each_other(python, rust);
}
