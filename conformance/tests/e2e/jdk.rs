//! The sources of OpenJDK 17: as complete as javac's own parser, and the same for any number of workers.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use nova_router::cluster::{Router, RouterConfig, SearchOptions};
use nova_router::layout::{Layout, LayoutOptions};
use nova_router::local::{LocalOptions, LocalWorkers, PrivateDir, WorkerCommand};

use crate::process::{Ended, Process};
use crate::sample::{json_lines, row};
use crate::scene::{Scene, arg, program, repository};

/// Enough for the whole tree in an unoptimised build on a loaded machine.
const LONG: Duration = Duration::from_secs(100);

/// How many Java files Debian's package has.
const FILES: u64 = 15_143;

/// How much of what javac sees must be found, and how much of what is found javac must see.
const ENOUGH: f64 = 0.9995;

/// The tree, or a line that says why the test did not run.
fn corpus(test: &str) -> Option<PathBuf> {
    let given = std::env::var_os("NOVA_CORPUS").map(PathBuf::from);
    let path = given.unwrap_or_else(|| repository().join("target/corpus/openjdk-17"));
    if !path.is_dir() {
        skip(test, "corpus missing");
        return None;
    }
    Some(path.canonicalize().expect("a directory has a path"))
}

fn skip(test: &str, why: &str) {
    // Not eprintln, which the test harness would keep to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {why}");
}

fn run(args: &[&str]) -> Ended {
    let scene = Scene::new();
    let ended = scene.start(args.iter().copied()).end(LONG).expect(0);
    scene.becomes_clean(&[]);
    ended
}

/// What javac sees, one line for each declaration; made once for each oracle and corpus, as it takes long.
fn oracle(corpus: &Path) -> Option<String> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock();
    let source = repository().join("conformance/oracle/JavacSymbols.java");
    let mut hasher = blake3::Hasher::new();
    hasher.update(&fs::read(&source).expect("the oracle is there"));
    hasher.update(arg(corpus).as_bytes());
    let directory = repository().join("target/oracle");
    let cached = directory.join(format!("{}.tsv", hasher.finalize().to_hex()));
    if let Ok(known) = fs::read_to_string(&cached) {
        return Some(known);
    }
    let mut java = Command::new("java");
    for package in ["code", "parser", "tree", "util"] {
        java.args(["--add-exports", &format!("jdk.compiler/com.sun.tools.javac.{package}=ALL-UNNAMED")]);
    }
    if Command::new("java").arg("-version").output().is_err() {
        return None;
    }
    let ended = Process::start(java.arg(source).arg(corpus)).end(LONG * 3).expect(0);
    fs::create_dir_all(&directory).expect("a directory");
    // Others that read it at the same time see all of it or nothing.
    let unfinished = tempfile::NamedTempFile::new_in(&directory).expect("a temporary file");
    fs::write(unfinished.path(), &ended.stdout).expect("the oracle's answer is kept");
    unfinished.persist(cached).expect("the oracle's answer is kept");
    Some(ended.stdout)
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// The first of some lines, and how many there are.
fn some(lines: &[&&str]) -> impl Debug {
    (lines.len(), lines.iter().take(30).copied().copied().map(str::to_owned).collect::<Vec<String>>())
}

#[test]
fn the_symbols_are_those_that_javac_sees() {
    let name = "the_symbols_are_those_that_javac_sees";
    let Some(corpus) = corpus(name) else { return };
    let Some(oracle) = oracle(&corpus) else { return skip(name, "java missing") };
    let ended = run(&["symbols", "--json-lines", "--root", arg(&corpus)]);
    assert_eq!(ended.stderr, "");
    let rows: Vec<String> = json_lines(&ended.stdout).iter().map(row).collect();

    let found: BTreeSet<&str> = rows.iter().map(String::as_str).collect();
    let seen: BTreeSet<&str> = oracle.lines().collect();
    assert_eq!(found.len(), rows.len(), "nothing is listed twice");
    assert!(seen.len() > 300_000, "the oracle saw only {}", seen.len());
    let both = found.intersection(&seen).count();
    let missing: Vec<_> = seen.iter().filter(|line| !found.contains(*line)).collect();
    let surplus: Vec<_> = found.iter().filter(|line| !seen.contains(*line)).collect();
    let (recall, precision) = (share(both, seen.len()), share(both, found.len()));
    let differences = format!("missing {:#?}\nsurplus {:#?}", some(&missing), some(&surplus));
    println!("recall {recall}, precision {precision}, {differences}");
    assert!(recall >= ENOUGH && precision >= ENOUGH, "recall {recall}, precision {precision}, {differences}");
}

#[test]
fn every_file_is_indexed_and_the_concurrent_map_is_found_first() {
    let Some(corpus) = corpus("every_file_is_indexed_and_the_concurrent_map_is_found_first") else { return };
    let index = run(&["index", "--json", "--root", arg(&corpus)]).json();
    assert_eq!((index["files"].as_u64(), &index["skipped"]), (Some(FILES), &serde_json::json!([])));
    let shards = index["shards"].as_array().expect("shards");
    assert!(shards.iter().all(|shard| shard["state"] == "ready"), "{index}");

    let line = run(&["search", "--json", "--limit", "5", "--root", arg(&corpus), "ConcurHM"]).json();
    let first = &line["results"][0];
    assert_eq!((&first["name"], &first["kind"]), (&"ConcurrentHashMap".into(), &"class".into()));
    assert_eq!(first["container"], "java.util.concurrent");
    assert_eq!(first["path"], "java.base/java/util/concurrent/ConcurrentHashMap.java");
    assert_eq!(line["shards"]["answered"].as_u64(), Some(shards.len() as u64));
}

/// A bit of everything: every rung, kinds of every sort, all sizes of answers.
const QUERIES: [&str; 30] = [
    "ConcurHM",
    "HashMap",
    "hashmap",
    "CHM",
    "HM",
    "a",
    "e",
    "",
    "get",
    "toString",
    "Map#put",
    "util.HashMap",
    "util.",
    "String#",
    "java.base",
    "base",
    "MAX_VALUE",
    "mv",
    "UTF8",
    "ioex",
    "IOException",
    "xmlpa",
    "Z",
    "_",
    "$",
    "readobj",
    "java.util.concurrent.locks.ReentrantLock#lock",
    "qqqqqqqq",
    "größe",
    "serialVersionUID",
];

#[test]
fn the_answers_are_the_same_for_any_number_of_workers() {
    let Some(corpus) = corpus("the_answers_are_the_same_for_any_number_of_workers") else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let answers = |workers: usize| {
        let scene = Scene::new();
        runtime.block_on(async {
            let layout = Layout::discover(std::slice::from_ref(&corpus), &LayoutOptions::default());
            let private = PrivateDir::new().expect("a private directory");
            let config = RouterConfig::new(private.address());
            let router = Router::start(layout.expect("a layout"), config).await.expect("a router");
            let command = WorkerCommand { program: program("nova-worker"), arguments: Vec::new() };
            let options = LocalOptions { workers, command, cache_dir: Some(scene.path("cache")) };
            let processes = LocalWorkers::start(&router, &options);
            tokio::time::timeout(LONG, router.settled()).await.expect("every shard is ready in time");
            let mut answers = Vec::new();
            for (query, limit) in QUERIES.into_iter().zip([50, 1, 10_000, 7].into_iter().cycle()) {
                let options = SearchOptions { limit, soft: LONG, hard: LONG, ..SearchOptions::default() };
                let answer = router.workspace_symbols(query, &options).await.expect("a good query");
                assert_eq!((answer.shards.failed, answer.shards.warming), (0, 0), "{query}");
                answers.push((query, answer));
            }
            processes.stop(router).await;
            answers
        })
    };
    let one = answers(1);
    assert!(one.iter().filter(|(_, answer)| !answer.hits.is_empty()).count() > 25);
    for workers in [2, 5] {
        for ((query, one), (_, more)) in one.iter().zip(answers(workers)) {
            assert_eq!(*one, more, "{query} with {workers} workers");
        }
    }
}
