//! Workers that die, hang or were never any, and a `nova` that is killed.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Process, is_alive, signal, wait_for};
use crate::scene::{BIG, CLEAN_WITHIN, SOON, Scene, arg, big_tree, harbour, program};

/// Longer than a connection takes to notice that its peer is silent, and a worker to be replaced.
const SILENCE: Duration = Duration::from_secs(45);

fn index_big(scene: &Scene) -> Process {
    scene.start(["index", "--json", "--workers", "2", "--root", arg(&big_tree())])
}

#[track_caller]
fn is_complete(line: &Value) {
    assert_eq!((line["files"].as_u64(), line["symbols"].as_u64()), (Some(BIG.0), Some(BIG.1)), "{line}");
    let shards = line["shards"].as_array().expect("shards");
    assert!(shards.iter().all(|shard| shard["state"] == "ready"), "{line}");
}

#[test]
fn killing_a_worker_in_the_middle_still_gives_the_whole_answer() {
    for after in [0, 20, 60, 150] {
        let scene = Scene::new();
        let mut nova = index_big(&scene);
        let workers = nova.workers(2).expect("indexing takes longer than the start of its workers");
        std::thread::sleep(Duration::from_millis(after));
        signal(workers[0], Signal::KILL);
        let ended = nova.end(SOON).expect(0);
        is_complete(&ended.json());
        scene.becomes_clean(&workers);
    }
}

#[test]
fn a_worker_that_is_killed_every_time_is_named_in_the_error() {
    let scene = Scene::new();
    let mut nova = index_big(&scene);
    let mut killed = Vec::new();
    while let Some(workers) = nova.workers(1) {
        for pid in workers {
            signal(pid, Signal::KILL);
            killed.push(pid);
        }
    }
    let ended = nova.end(SOON).expect(7);
    let error = &ended.json()["error"];
    assert_eq!(error["code"], "nothing_indexed");
    let message = error["message"].as_str().expect("a text");
    assert!(message.contains("failed 4 times") && message.contains("signal: 9"), "{message}");
    assert!(ended.elapsed < Duration::from_secs(10), "{:?}", ended.elapsed);
    scene.becomes_clean(&killed);
}

#[test]
fn killing_nova_leaves_no_worker_and_no_socket() {
    for after in [0, 30, 150] {
        let scene = Scene::new();
        let mut nova = index_big(&scene);
        let workers = nova.workers(2).expect("indexing takes longer than the start of its workers");
        // A worker that has not read its command line yet does not know what to remove.
        wait_for("a socket", SOON, || (!scene.runtime_files().is_empty()).then_some(()));
        std::thread::sleep(Duration::from_millis(after));
        nova.signal(Signal::KILL);
        assert_eq!(nova.end(CLEAN_WITHIN).status.code(), None);
        scene.becomes_clean(&workers);
    }
}

#[test]
fn killing_a_nova_that_serves_leaves_only_what_the_next_one_takes_over() {
    let scene = Scene::new();
    let mut nova = scene.start(["serve", "--workers", "2", "--root", arg(&harbour())]);
    nova.stderr_has("4 of 4 shards ready", SOON);
    let workers = nova.workers(2).expect("it serves until a signal");
    assert_eq!(scene.runtime_files().len(), 2);
    nova.signal(Signal::KILL);
    assert_eq!(nova.end(CLEAN_WITHIN).status.code(), None);
    wait_for("workers end", CLEAN_WITHIN, || workers.iter().all(|&pid| !is_alive(pid)).then_some(()));
    // The control socket's place stays, until another daemon has it.
    wait_for("sockets go", CLEAN_WITHIN, || {
        (scene.runtime_files() == [scene.path("run/nova")]).then_some(())
    });
    let nova = scene.start(["serve", "--workers", "2", "--root", arg(&harbour())]);
    nova.stderr_has("4 of 4 shards ready", SOON);
    nova.signal(Signal::TERM);
    nova.end(SOON).expect(130);
    scene.becomes_clean(&[]);
}

#[test]
fn a_program_that_ends_at_once_is_no_worker() {
    let scene = Scene::new();
    let root = harbour();
    let index = |worker: &str| {
        let args = ["index", "--json", "--root", arg(&root), "--worker-command", worker];
        let ended = scene.start(args).end(SOON).expect(7);
        assert!(ended.elapsed < Duration::from_secs(10), "{:?}", ended.elapsed);
        ended.json()["error"]["message"].as_str().expect("a text").to_owned()
    };
    assert!(index("/bin/true").contains("exit status: 0"));
    assert!(index("/bin/false").contains("exit status: 1"));
    assert!(index("/no/such/program").contains("cannot start /no/such/program: No such file"));
    assert!(index("/etc/passwd").contains("Permission denied"));
    let shouting = scene.script("head -c 1000000 /dev/zero; echo ouch >&2; exit 3");
    assert!(index(arg(&shouting)).contains("exit status: 3"));
    scene.becomes_clean(&[]);
}

#[test]
fn a_program_that_never_connects_is_no_worker() {
    let scene = Scene::new();
    let silent = scene.script("exec sleep 300");
    let root = harbour();
    let args = ["index", "--json", "--workers", "2", "--root", arg(&root), "--worker-command", arg(&silent)];
    let mut nova = scene.start(args);
    let workers = nova.workers(2).expect("sleep sleeps");
    let ended = nova.end(Duration::from_secs(20)).expect(7);
    let line = ended.json();
    let message = line["error"]["message"].as_str().expect("a text");
    assert!(message.contains("worker.sh did not connect within 10 s"), "{message}");
    scene.becomes_clean(&workers);
}

#[test]
fn a_worker_that_stops_in_the_middle_is_replaced_or_named() {
    let scene = Scene::new();
    let mut nova = index_big(&scene);
    let workers = nova.workers(2).expect("indexing takes longer than the start of its workers");
    std::thread::sleep(Duration::from_millis(60));
    signal(workers[0], Signal::STOP);
    let ended = nova.end(SILENCE).expect(0);
    let line = ended.json();
    let failed: Vec<&Value> =
        line["shards"].as_array().expect("shards").iter().filter(|shard| shard["state"] != "ready").collect();
    if failed.is_empty() {
        is_complete(&line);
    } else {
        // It was stopped before it had connected.
        let named = |shard: &&Value| {
            shard["reason"].as_str().is_some_and(|reason| reason.contains("did not connect within 10 s"))
        };
        assert!(failed.iter().all(named) && ended.stderr.contains("could not be indexed"), "{line}");
    }
    scene.becomes_clean(&workers);
}

#[test]
fn a_stopped_worker_is_noticed_and_replaced_while_nova_serves() {
    let scene = Scene::new();
    let mut nova = scene.start(["serve", "--workers", "2", "--root", arg(&harbour())]);
    nova.stderr_has("4 of 4 shards ready", SOON);
    let workers = nova.workers(2).expect("it serves until a signal");
    let start = Instant::now();
    signal(workers[0], Signal::STOP);
    // Silence is noticed after 20 s.
    wait_for("the stopped worker is killed", SILENCE, || (!is_alive(workers[0])).then_some(()));
    let again = |text: &str| text.matches("4 of 4 shards ready").count() == 2;
    wait_for("all shards are ready again", SOON, || again(&nova.stderr()).then_some(()));
    assert!(start.elapsed() > Duration::from_secs(5), "a short pause is no reason");
    let now = nova.workers(2).expect("it serves until a signal");
    assert!(now.contains(&workers[1]) && !now.contains(&workers[0]), "{workers:?}, then {now:?}");
    nova.signal(Signal::TERM);
    nova.end(SOON).expect(130);
    scene.becomes_clean(&[workers, now].concat());
}

#[test]
fn a_worker_that_does_not_want_to_end_is_killed() {
    let scene = Scene::new();
    let nova = program("nova");
    let text = format!("trap '' TERM INT\n{} worker \"$@\"\nwhile :; do sleep 0.2; done", nova.display());
    let (worker, root) = (scene.script(&text), harbour());
    let args = ["search", "--workers", "1", "--root", arg(&root), "--worker-command", arg(&worker), "Crane"];
    let mut nova = scene.start(args);
    let workers = nova.workers(1).expect("it does not end by itself");
    let ended = nova.end(SOON).expect(0);
    assert!(ended.elapsed < Duration::from_secs(10), "{:?}", ended.elapsed);
    scene.becomes_clean(&workers);
}
