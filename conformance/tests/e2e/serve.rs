//! `nova serve` and workers that were started by hand.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::process::{Ended, Process};
use crate::sample::fields;
use crate::scene::{SOON, Scene, arg, harbour};

/// Starts `nova serve --json` on the sample; returns it with the address it tells.
pub(crate) fn serve(scene: &Scene, listen: &str) -> (Process, String) {
    let nova = scene.start(["serve", "--json", "--root", arg(&harbour()), "--listen", listen]);
    let text = nova.stdout_has("\n", SOON);
    let line: serde_json::Value = serde_json::from_str(&text).expect("a line of JSON");
    assert_eq!(fields(&line), ["control", "listen", "pid", "schema"]);
    assert_eq!((&line["schema"], &line["pid"]), (&1.into(), &nova.pid().into()));
    let address = line["listen"].as_str().expect("an address").to_owned();
    (nova, address)
}

/// The command line that people use.
pub(crate) fn worker(scene: &Scene, address: &str, shards: &str) -> Command {
    let mut command = scene.command("nova-worker");
    let cache = scene.path("worker-cache");
    command.args(["--connect", address, "--shard-id", shards, "--cache-dir", arg(&cache)]);
    command
}

/// Ends `nova serve` with a signal.
pub(crate) fn finish(nova: Process) -> Ended {
    nova.signal(Signal::TERM);
    nova.end(SOON).expect(130)
}

/// `nova serve` as another daemon, at an address that may be in use.
fn second_serve(scene: &Scene, listen: &str) -> Ended {
    scene.run([
        "serve",
        "--json",
        "--root",
        arg(&harbour()),
        "--max-file-bytes",
        "1000000",
        "--listen",
        listen,
    ])
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

#[test]
fn a_worker_started_by_hand_serves_its_shard_until_the_router_ends() {
    let scene = Scene::new();
    let socket = scene.path("router.sock");
    let (nova, address) = serve(&scene, &format!("unix:{}", socket.display()));
    assert_eq!(address, format!("unix:{}", socket.display()));
    assert_eq!(fs::metadata(&socket).expect("a socket").permissions().mode() & 0o777, 0o600);

    let first = Process::start(&mut worker(&scene, &address, "0"));
    nova.stderr_has("1 of 4 shards ready", SOON);
    assert!(scene.path("worker-cache").is_dir(), "the cache is made");

    // Refusals name what is wrong, and disturb nobody.
    let refused = Process::start(&mut worker(&scene, &address, "0")).end(SOON).expect(5);
    assert!(refused.stderr.contains("shard 0 already has a connected worker"), "{}", refused.stderr);
    assert_eq!(refused.stdout, "");
    let refused = Process::start(&mut worker(&scene, &address, "0-1")).end(SOON).expect(5);
    assert!(refused.stderr.contains("shard 0 "), "all or nothing: {}", refused.stderr);
    let refused = Process::start(&mut worker(&scene, &address, "4")).end(SOON).expect(5);
    assert!(refused.stderr.contains("unknown shard") && refused.stderr.contains('4'), "{}", refused.stderr);

    let rest = Process::start(&mut worker(&scene, &address, "1,2-3"));
    nova.stderr_has("4 of 4 shards ready", SOON);

    let ended = finish(nova);
    assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
    for worker in [first, rest] {
        let ended = worker.end(SOON).expect(0);
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    }
    assert!(!socket.exists(), "the socket's file goes");
}

#[test]
fn a_shard_can_be_served_again_after_its_worker_was_killed() {
    let scene = Scene::new();
    let (nova, address) = serve(&scene, &format!("unix:{}", scene.path("router.sock").display()));
    let first = Process::start(&mut worker(&scene, &address, "0-3"));
    nova.stderr_has("4 of 4 shards ready", SOON);
    first.signal(Signal::KILL);
    drop(first);
    nova.stderr_has("0 of 4 shards ready", SOON);
    let second = Process::start(&mut worker(&scene, &address, "0-3"));
    crate::process::wait_for("the shards are ready again", SOON, || {
        (nova.stderr().matches("4 of 4 shards ready").count() == 2).then_some(())
    });
    finish(nova);
    second.end(SOON).expect(0);
}

#[test]
fn tcp_on_the_loopback_interface_works_too() {
    let scene = Scene::new();
    let (nova, address) = serve(&scene, "tcp:127.0.0.1:0");
    assert!(address.starts_with("tcp:127.0.0.1:") && !address.ends_with(":0"), "{address}");
    let worker = Process::start(&mut worker(&scene, &address, "0-3"));
    nova.stderr_has("4 of 4 shards ready", SOON);
    let second = second_serve(&scene, &address).expect(4);
    assert_eq!(second.json()["error"]["code"], "cannot_connect");
    finish(nova);
    worker.end(SOON).expect(0);
}

#[test]
fn a_worker_says_when_nobody_listens() {
    let scene = Scene::new();
    let nowhere = format!("unix:{}", scene.path("nowhere.sock").display());
    let dead = scene.path("dead.sock");
    drop(UnixListener::bind(&dead).expect("a socket"));
    // Bound and gone, so that nobody else has it now.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = format!("tcp:{}", port.expect("a port"));
    for address in [&nowhere, &format!("unix:{}", dead.display()), &port] {
        let ended = Process::start(&mut worker(&scene, address, "0")).end(SOON).expect(4);
        assert!(ended.stderr.contains(address.as_str()), "{}", ended.stderr);
        assert!(ended.stderr.contains("is the router running?"), "a hint: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_worker_checks_its_flags() {
    let scene = Scene::new();
    let cases = [
        ("nonsense", "0", "use unix:PATH, tcp:HOST:PORT or tcp+tls:HOST:PORT"),
        ("unix:/x", "three", "three"),
        ("unix:/x", "5-2", "5-2"),
        ("unix:/x", "0-9,20000-40000", "20011 shards; one worker serves at most 16384"),
    ];
    for (address, shards, part) in cases {
        let ended = Process::start(&mut worker(&scene, address, shards)).end(SOON).expect(2);
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
    let mut incomplete = scene.command("nova-worker");
    let ended = Process::start(incomplete.args(["--connect", "unix:/x"])).end(SOON).expect(2);
    assert!(ended.stderr.contains("--shard-id") && ended.stderr.contains("--cache-dir"), "{}", ended.stderr);
}

#[test]
fn a_socket_in_use_is_not_stolen() {
    let scene = Scene::new();
    let socket = scene.path("router.sock");
    let listen = format!("unix:{}", socket.display());
    let (nova, address) = serve(&scene, &listen);
    let line = second_serve(&scene, &listen).expect(4).json();
    assert_eq!(line["error"]["code"], "cannot_connect");
    let message = line["error"]["message"].as_str().expect("a text");
    assert!(message.contains("another process listens there"), "{message}");
    assert!(is_socket(&socket), "the first one's socket stays");
    let worker = Process::start(&mut worker(&scene, &address, "0"));
    nova.stderr_has("1 of 4 shards ready", SOON);
    finish(nova);
    worker.end(SOON).expect(0);
    assert!(!socket.exists());
}

#[test]
fn a_dead_socket_is_replaced_and_anything_else_is_kept() {
    let scene = Scene::new();
    let socket = scene.path("router.sock");
    let listen = format!("unix:{}", socket.display());
    let (nova, _) = serve(&scene, &listen);
    nova.signal(Signal::KILL);
    drop(nova);
    assert!(is_socket(&socket), "kill -9 leaves the file that was asked for");
    let (nova, _) = serve(&scene, &listen);
    finish(nova);
    assert!(!socket.exists());

    let refuse = |what: &str| {
        let ran = scene.run(["serve", "--json", "--root", arg(&harbour()), "--listen", &listen]).expect(4);
        let line = ran.json();
        let message = line["error"]["message"].as_str().expect("a text");
        assert!(message.contains("no socket is there"), "{what}: {message}");
    };
    fs::write(&socket, "precious").expect("a file");
    refuse("a file");
    assert_eq!(fs::read_to_string(&socket).expect("the file is there"), "precious");
    fs::remove_file(&socket).expect("removed");
    fs::create_dir(&socket).expect("a directory");
    refuse("a directory");
    fs::remove_dir(&socket).expect("the directory is there");
    std::os::unix::fs::symlink("/dev/null", &socket).expect("a link");
    refuse("a link");
    assert!(socket.is_symlink());
}

#[test]
fn an_address_that_cannot_be_bound_is_named() {
    let scene = Scene::new();
    let long = format!("unix:{}/{}.sock", scene.path("run").display(), "x".repeat(120));
    let nowhere = format!("unix:{}", scene.path("no/such/place.sock").display());
    for listen in [&long, &nowhere] {
        let ran = scene.run(["serve", "--json", "--root", arg(&harbour()), "--listen", listen]).expect(4);
        let line = ran.json();
        let message = line["error"]["message"].as_str().expect("a text");
        assert!(message.contains(listen.as_str()), "{message}");
    }
}
