//! A test in a process of its own: what is open there is the test's doing, and a hang can be ended.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::peer::until;

const CHILD: &str = "NOVA_SCENARIO_CHILD";

/// For everything a child does, on a machine that does other things, too.
const IN_TIME: Duration = Duration::from_secs(300);

/// This test program, to run the test `name` as a child.
pub(crate) fn command(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, name);
    command
}

/// Whether this process is the child that was started for the test `name`.
pub(crate) fn is_child(name: &str) -> bool {
    std::env::var_os(CHILD).is_some_and(|child| child == name)
}

/// Runs `test` in a process of its own; `name` is how the test is called.
pub(crate) fn alone(name: &str, test: impl FnOnce()) {
    if is_child(name) {
        return test();
    }
    let mut child = command(name).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let output =
        [collect(child.stdout.take().expect("a pipe")), collect(child.stderr.take().expect("a pipe"))];
    let ended = ended(&mut child);
    let output = output.map(|output| output.join().expect("no panic")).concat();
    assert_eq!(ended, Some(true), "{name} (none: not in time)\n{output}");
    assert!(output.contains("1 passed"), "{name} did not run\n{output}");
    print!("{output}");
}

fn collect(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Whether the child ended well; `None` if it had to be killed.
fn ended(child: &mut Child) -> Option<bool> {
    let deadline = Instant::now() + IN_TIME;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("our child") {
            return Some(status.success());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("killed");
    child.wait().expect("our child");
    None
}

/// What is open in this process, and how often.
pub(crate) fn open_descriptors() -> BTreeMap<String, usize> {
    let mut open = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fd").expect("Linux") {
        let Ok(target) = fs::read_link(entry.expect("an entry").path()) else { continue };
        let target = target.to_string_lossy();
        // Of a socket the kind, not the number; of this very listing nothing.
        let kind = target.split_once(":[").map_or(&*target, |(kind, _)| kind);
        if !kind.starts_with("/proc/") {
            *open.entry(kind.to_owned()).or_default() += 1;
        }
    }
    open
}

/// Waits until exactly `before` is open again.
pub(crate) fn nothing_is_left(before: &BTreeMap<String, usize>, what: &str) {
    until(what, || match open_descriptors() {
        now if now == *before => Ok(()),
        now => Err(format!("open: {now:?}, before: {before:?}")),
    });
}
