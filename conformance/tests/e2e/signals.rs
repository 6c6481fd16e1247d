//! Interruption: exit code 130, one line of JSON, and nothing left behind.

use std::time::Duration;

use rustix::process::Signal;

use crate::process::Process;
use crate::scene::{SOON, Scene, arg, big_tree, harbour};

/// How long a person is ready to wait after ctrl-C.
const AT_ONCE: Duration = Duration::from_secs(5);

#[test]
fn an_interrupted_index_says_so_and_leaves_nothing() {
    for (which, after) in [(Signal::INT, 0), (Signal::TERM, 0), (Signal::INT, 100), (Signal::TERM, 200)] {
        let scene = Scene::new();
        let mut nova = scene.start(["index", "--json", "--workers", "2", "--root", arg(&big_tree())]);
        let workers = nova.workers(2).expect("indexing takes longer than the start of its workers");
        std::thread::sleep(Duration::from_millis(after));
        nova.signal(which);
        let ended = nova.end(AT_ONCE);
        scene.becomes_clean(&workers);
        if after > 0 && ended.status.code() == Some(0) {
            // A machine so fast that there was nothing left to interrupt.
            continue;
        }
        let ended = ended.expect(130);
        assert_eq!(ended.json()["error"]["code"], "interrupted");
        assert!(ended.stderr.contains("interrupted"), "{}", ended.stderr);
    }
}

#[test]
fn children_that_ignore_their_pipe_end_with_nova_too() {
    for which in [Signal::INT, Signal::TERM] {
        let scene = Scene::new();
        let worker = scene.script("exec sleep 300");
        let root = harbour();
        let args = ["search", "--workers", "2", "--root", arg(&root), "--worker-command", arg(&worker), "x"];
        let mut nova = scene.start(args);
        let workers = nova.workers(2).expect("sleep sleeps");
        nova.signal(which);
        let ended = nova.end(AT_ONCE).expect(130);
        assert_eq!(ended.stdout, "");
        scene.becomes_clean(&workers);
    }
}

#[test]
fn nobody_reading_does_not_keep_nova_from_ending() {
    let all = ["search", "--json", "--limit", "10000", "add"];
    for args in [&["symbols", "--json-lines"][..], &["symbols"], &all] {
        let scene = Scene::new();
        let mut command = scene.nova(args.iter().copied());
        command.args(["--workers", "2", "--root", arg(&big_tree())]);
        let mut nova = Process::start_unread(&mut command);
        let workers = nova.workers(2).expect("the pipe is too small for the answer");
        let full = Duration::from_secs(2);
        std::thread::sleep(full);
        nova.signal(Signal::INT);
        nova.end(AT_ONCE).expect(130);
        scene.becomes_clean(&workers);
    }
}

#[test]
fn serve_ends_in_order() {
    for which in [Signal::INT, Signal::TERM] {
        let scene = Scene::new();
        let mut nova = scene.start(["serve", "--json", "--workers", "2", "--root", arg(&harbour())]);
        nova.stderr_has("4 of 4 shards ready", SOON);
        let workers = nova.workers(2).expect("it serves until a signal");
        nova.signal(which);
        let ended = nova.end(AT_ONCE).expect(130);
        // The line that told the address; no second one.
        let line = ended.json();
        assert!(line["listen"].as_str().is_some_and(|address| address.starts_with("unix:")), "{line}");
        assert!(!ended.stderr.contains("the connection ended"), "workers are told: {}", ended.stderr);
        scene.becomes_clean(&workers);
    }
}

#[test]
fn a_signal_at_any_moment_leaves_one_line_and_nothing_else() {
    let scene = Scene::new();
    let root = harbour();
    for after in (0..40).map(|half| Duration::from_micros(half * 500)) {
        let mut nova = scene.start(["index", "--json", "--workers", "2", "--root", arg(&root)]);
        // Before that, the system ends the process without asking it.
        if nova.workers(1).is_none() {
            continue;
        }
        std::thread::sleep(after);
        nova.signal(Signal::INT);
        let ended = nova.end(AT_ONCE);
        let line = ended.json();
        match ended.status.code() {
            Some(0) => assert_eq!(line["files"], 18),
            Some(130) => assert!(line["files"] == 18 || line["error"]["code"] == "interrupted", "{line}"),
            _ => panic!("{}: {}", ended.status, ended.stderr),
        }
        scene.becomes_clean(&[]);
    }
}
