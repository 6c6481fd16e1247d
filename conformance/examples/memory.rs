//! How much memory an index takes, and that a tree of 2 GiB stays below a fixed ceiling.
//!
//! ```text
//! cargo build --release -p nova-router -p nova-worker
//! cargo run --release -p nova-conformance --example memory -- [SOURCES] [COPIES]
//! ```
//!
//! Makes a tree of `COPIES` copies of `SOURCES` (11 of `target/corpus/openjdk-17`) below `target`, each below a directory of
//! its own, so that all their shards differ; the copies are hard links and take no room. Indexes it three times, with an
//! empty cache, with a full one and without one, and prints what each run took. Fails if the processes of a run together
//! were ever larger than [`CEILING`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What router and workers may take together at their largest, in bytes.
const CEILING: u64 = 512 << 20;

/// How often the sizes are looked at; the system itself remembers the largest.
const POLL: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let sources = args.next().unwrap_or_else(|| "target/corpus/openjdk-17".to_owned());
    let copies = args.next().map_or(11, |count| count.parse().expect("COPIES is a number"));
    let work = Path::new("target/memory");
    let (tree, cache) = (work.join(format!("{copies}")), work.join("cache"));
    let _ = fs::remove_dir_all(&cache);
    if !tree.is_dir() {
        let unfinished = work.join("unfinished");
        let _ = fs::remove_dir_all(&unfinished);
        for number in 0..copies {
            copy(Path::new(&sources), &unfinished.join(format!("copy{number}")))
                .expect("the sources can be copied");
        }
        fs::rename(&unfinished, &tree).expect("the tree can be named");
    }
    let cache = cache.to_str().expect("a plain path");
    let mut peaks = Vec::new();
    for (name, more) in [
        ("cold", &["--cache-dir", cache][..]),
        ("warm", &["--cache-dir", cache]),
        ("without a cache", &["--no-cache"]),
    ] {
        peaks.push(run(name, &tree, more));
    }
    let largest = peaks.into_iter().max().unwrap_or(0);
    println!("ceiling {} MiB, largest {} MiB", CEILING >> 20, largest >> 20);
    ExitCode::from(u8::from(largest > CEILING))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() { copy(&from, &to)? } else { fs::hard_link(from, to)? }
    }
    Ok(())
}

/// Indexes the tree; returns the sum of the processes' largest sizes.
fn run(name: &str, tree: &Path, more: &[&str]) -> u64 {
    let nova = std::env::current_exe().expect("this program lies somewhere");
    let nova: PathBuf = nova.parent().and_then(Path::parent).expect("target/<profile>/examples").join("nova");
    let start = Instant::now();
    let mut command = Command::new(&nova);
    command.args(["index", "--json", "--root"]).arg(tree).args(more).stdout(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("cannot start {}: {error}", nova.display()));
    let mut sizes = std::collections::BTreeMap::new();
    // Its one line comes at the end, and is short enough for the pipe; otherwise it would wait for us.
    let mut stdout = child.stdout.take().expect("piped");
    let reader = thread::spawn(move || io::read_to_string(&mut stdout));
    while child.try_wait().expect("it can be waited for").is_none() {
        for pid in family(child.id()) {
            if let Some(size) = largest_size(pid) {
                sizes.insert(pid, size);
            }
        }
        thread::sleep(POLL);
    }
    let elapsed = start.elapsed();
    let line = reader.join().expect("no panic").expect("it writes UTF-8");
    let line: Value = serde_json::from_str(&line).expect("one line of JSON");
    let number = |name: &str| line[name].as_u64().unwrap_or(0);
    let sum = |name: &str| -> u64 {
        line["workers"].as_array().into_iter().flatten().filter_map(|worker| worker[name].as_u64()).sum()
    };
    let (symbols, memory, disk) = (number("symbols").max(1), sum("memory"), sum("disk"));
    let router = sizes.get(&child.id()).copied().unwrap_or(0);
    let total: u64 = sizes.values().sum();
    println!(
        "{name}: {} files, {symbols} symbols, {} MiB of text, {} parsed; ready in {:.2} s, ended in {:.2} s",
        number("files"),
        number("bytes") >> 20,
        sum("parsed"),
        number("elapsed_ms") as f64 / 1e3,
        elapsed.as_secs_f64(),
    );
    println!(
        "  index {} MiB ({} bytes a symbol), cache {} MiB; largest: router {} MiB, {} workers {} MiB",
        memory >> 20,
        memory / symbols,
        disk >> 20,
        router >> 20,
        sizes.len().saturating_sub(1),
        (total - router) >> 20,
    );
    total
}

/// A process and its children, whichever of its threads has started them.
fn family(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<String> = children.collect();
    let children = children.iter().flat_map(|pids| pids.split_whitespace());
    std::iter::once(parent).chain(children.filter_map(|pid| pid.parse().ok())).collect()
}

/// The most memory that a process has had at once, in bytes.
fn largest_size(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
