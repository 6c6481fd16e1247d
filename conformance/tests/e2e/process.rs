//! A child process that cannot outlive its test, and what the system knows of its children.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How often a condition is looked at that nothing tells about.
const POLL: Duration = Duration::from_millis(2);

/// Waits until `condition` gives something.
///
/// # Panics
/// If it does not within `limit`.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "{what}: not within {limit:?}");
        thread::sleep(POLL);
    }
}

/// Sends a signal; to a process that is gone, nothing happens.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process id")).expect("a process id");
    let _ = kill_process(pid, signal);
}

/// State and parent of a process, as `/proc` tells.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, parentheses too.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Whether a process runs, or is stopped; one that only waits to be reaped does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// The live children of a process.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("/proc can be listed");
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let child = |&pid: &u32| stat(pid).is_some_and(|(state, ppid)| ppid == parent && state != 'Z');
    let mut children: Vec<u32> = pids.filter(child).collect();
    children.sort_unstable();
    children
}

/// Children, their children, and so on.
fn descendants(parent: u32) -> Vec<u32> {
    let mut all = children(parent);
    let mut next = 0;
    while next < all.len() {
        all.extend(children(all[next]));
        next += 1;
    }
    all
}

/// What a process has written to one of its outputs so far.
#[derive(Default)]
struct Output {
    text: Mutex<(Vec<u8>, bool)>,
    more: Condvar,
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, (Vec<u8>, bool)> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        String::from_utf8(self.lock().0.clone()).expect("the programs write UTF-8")
    }

    fn collect(self: Arc<Self>, mut from: impl Read + Send + 'static) -> JoinHandle<()> {
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                self.lock().0.extend_from_slice(&buffer[..count]);
                self.more.notify_all();
            }
            self.lock().1 = true;
            self.more.notify_all();
        })
    }

    /// Waits until the text has `wanted` in it.
    fn wait_for(&self, wanted: &str, limit: Duration) -> String {
        let end = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            let text = String::from_utf8_lossy(&state.0).into_owned();
            if text.contains(wanted) {
                return text;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !state.1, "no `{wanted}` within {limit:?}, but:\n{text}");
            state = self.more.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A process at work. Dropping it kills it and whatever it has started.
pub(crate) struct Process {
    child: Child,
    started: Instant,
    stdout: Arc<Output>,
    stderr: Arc<Output>,
    readers: Vec<JoinHandle<()>>,
}

/// How a process ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) elapsed: Duration,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (stdout, stderr) = (Arc::<Output>::default(), Arc::<Output>::default());
        let out = child.stdout.take().map(|pipe| Arc::clone(&stdout).collect(pipe));
        let err = child.stderr.take().map(|pipe| Arc::clone(&stderr).collect(pipe));
        let readers = out.into_iter().chain(err).collect();
        Self { child, started: Instant::now(), stdout, stderr, readers }
    }

    /// Starts a process whose standard output is a pipe that nobody reads.
    pub(crate) fn start_unread(command: &mut Command) -> Self {
        let unread = Arc::<Output>::default();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, started: Instant::now(), stdout: unread, stderr: Arc::default(), readers: Vec::new() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal_: Signal) {
        signal(self.pid(), signal_);
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits for a text on standard output; returns all that came so far.
    pub(crate) fn stdout_has(&self, wanted: &str, limit: Duration) -> String {
        self.stdout.wait_for(wanted, limit)
    }

    /// Waits for a text on standard error; returns all that came so far.
    pub(crate) fn stderr_has(&self, wanted: &str, limit: Duration) -> String {
        self.stderr.wait_for(wanted, limit)
    }

    /// Waits until the process has at least `count` children; returns nothing if it ends before.
    pub(crate) fn workers(&mut self, count: usize) -> Option<Vec<u32>> {
        wait_for("workers start", Duration::from_secs(20), || {
            let workers = children(self.pid());
            if workers.len() >= count {
                return Some(Some(workers));
            }
            self.child.try_wait().expect("the process can be waited for").map(|_| None)
        })
    }

    /// Waits for the process's end, and for that of its outputs.
    pub(crate) fn end(mut self, limit: Duration) -> Ended {
        let what = format!("the end of process {}", self.pid());
        let end = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the process can be waited for") {
                break status;
            }
            let (out, err) = (self.stdout.text(), self.stderr.text());
            assert!(Instant::now() < end, "{what}: not within {limit:?}; it wrote:\n{out}\n{err}");
            thread::sleep(POLL);
        };
        let elapsed = self.started.elapsed();
        // A worker that lives on holds standard error open: that would be a fault of its own.
        wait_for("the end of the outputs", Duration::from_secs(10), || {
            self.readers.iter().all(JoinHandle::is_finished).then_some(())
        });
        Ended { status, stdout: self.stdout.text(), stderr: self.stderr.text(), elapsed }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let descendants = descendants(self.pid());
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in descendants {
            signal(pid, Signal::KILL);
        }
    }
}

impl Ended {
    /// # Panics
    /// If the process did not end with this exit code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        let Self { status, stdout, stderr, .. } = &self;
        assert_eq!(status.code(), Some(code), "{status}; stdout:\n{stdout}\nstderr:\n{stderr}");
        self
    }

    /// Standard output as its one line of JSON.
    ///
    /// # Panics
    /// If it is anything else.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        let line = self.stdout.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {:?}", self.stdout));
        assert!(!line.contains('\n'), "more than one line: {line}");
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
    }
}
