//! `nova serve` as a daemon: the other commands join it, editors talk to it, it ends and comes back.

use std::fs;
use std::future::{Future, poll_fn};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Command;
use std::task::Poll;
use std::time::Duration;

use nova_proto_core::{CloseCode, CloseReason, ErrorCode};
use nova_router::control::{Client, ClientError, Find, MAX_CLIENTS};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process::{Ended, Process, children, is_alive, signal, wait_for};
use crate::sample::fields;
use crate::scene::{SOON, Scene, arg, harbour, program, repository};

/// A daemon that is killed when the test ends.
struct Daemon {
    nova: Process,
    line: Value,
}

impl Daemon {
    fn start(scene: &Scene, args: &[&str]) -> Self {
        Self::of(Process::start(scene.nova(["serve", "--json"]).args(args)))
    }

    fn of(nova: Process) -> Self {
        let text = nova.stdout_has("\n", SOON);
        Self { nova, line: serde_json::from_str(&text).expect("a line of JSON") }
    }

    fn socket(&self) -> PathBuf {
        let control = self.line["control"].as_str().expect("an address");
        control.strip_prefix("unix:").expect("a Unix socket").into()
    }

    async fn client(&self) -> Client {
        Client::connect(&self.socket(), "test").await.expect("it is let in")
    }

    /// Its workers, once there are so many.
    fn workers(&mut self, count: usize) -> Vec<u32> {
        self.nova.workers(count).expect("it lives")
    }

    /// Ends it with a signal.
    fn finish(self, scene: &Scene) -> Ended {
        let workers = children(self.nova.pid());
        self.nova.signal(Signal::TERM);
        let ended = self.nova.end(SOON).expect(130);
        scene.becomes_clean(&workers);
        ended
    }
}

/// Runs a test's conversation, which has an end.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime
        .expect("a runtime")
        .block_on(async { tokio::time::timeout(SOON * 2, future).await.expect("it ends in time") })
}

async fn names(client: &Client, query: &str) -> Vec<String> {
    let found = client.find(&Find { limit: 10_000, ..Find::new(query) }).await.expect("an answer");
    assert_eq!((found.shards.answered, found.truncated), (found.shards.total, false), "{:?}", found.shards);
    found.hits.into_iter().map(|hit| hit.symbol.name).collect()
}

/// A command that fails unless a daemon answers it: its own workers cannot be started.
const ONLY_JOINED: [&str; 2] = ["--worker-command", "/bin/false"];

#[test]
fn answers_of_a_daemon_are_those_of_a_cold_run() {
    let scene = Scene::new();
    scene.write("a/src/main/java/A.java", "class Apple { int pear; }");
    scene.write("Latin.java", b"// \xe9t\xe9\nclass Latin {}\n");
    let (tree, root) = (scene.tree(), harbour());
    let roots = ["--root", arg(&tree), "--root", arg(&root)];
    let daemon = Daemon::start(&scene, &roots);
    assert_eq!(fields(&daemon.line), ["control", "listen", "pid", "schema"]);
    assert_eq!(daemon.line["pid"], daemon.nova.pid());

    let questions: [&[&str]; 8] = [
        &["search", "--json", "Berth"],
        &["search", "--json", "e", "--limit", "7"],
        &["search", "--json", "", "--limit", "10000"],
        &["search", "--json", "a", "--kind", "field,method"],
        &["search", "--json", "NoSuchThing"],
        &["search", "Berth"],
        &["symbols", "--json-lines"],
        &["symbols"],
    ];
    for question in questions {
        let cold = scene.run([question, &roots, &["--no-daemon"]].concat());
        let joined = scene.run([question, &roots, &ONLY_JOINED].concat());
        assert_eq!(joined.stdout, cold.stdout, "{question:?}: {}", joined.stderr);
        assert_eq!((joined.status, joined.stderr), (cold.status, cold.stderr), "{question:?}");
    }
    let index = |args: &[&str]| {
        let mut line = scene.run([&["index", "--json"], &roots[..], args].concat()).expect(0).json();
        line["elapsed_ms"].take();
        line["sent"].take();
        // What its processes have done, a daemon tells since their start.
        line["workers"].take();
        line["shards"].as_array_mut().expect("shards").iter_mut().for_each(|shard| {
            shard["sent"].take();
        });
        line
    };
    assert_eq!(index(&ONLY_JOINED), index(&["--no-daemon"]));
    // Roots in another order are the same workspace; another option that changes answers is another.
    let other = ["--root", arg(&root), "--root", arg(&tree)];
    scene.run([&["search", "Berth"], &other[..], &ONLY_JOINED].concat()).expect(0);
    scene
        .run([&["search", "Berth", "--max-file-bytes", "1000"], &roots[..], &ONLY_JOINED].concat())
        .expect(7);
    daemon.finish(&scene);
}

/// Files are looked at when a command asks, so that its answer is of what lies on disk.
#[test]
fn what_changes_on_disk_is_in_the_next_answer() {
    let scene = Scene::new();
    scene.write("A.java", "class Apple {}");
    let tree = scene.tree();
    let daemon = Daemon::start(&scene, &["--root", arg(&tree)]);
    let search = |query: &str| {
        scene.run([&["search", "--json", query, "--root", arg(&tree)], &ONLY_JOINED[..]].concat())
    };
    search("Apple").expect(0);
    scene.write("B.java", "class Banana {}");
    scene.write("A.java", "class Cherry {}");
    search("Banana").expect(0);
    search("Cherry").expect(0);
    search("Apple").expect(1);
    // A host that knows what has changed need not wait for a walk.
    scene.write("B.java", "class Date {}");
    block_on(async {
        let client = daemon.client().await;
        let changed = client.changed(&[tree.join("B.java")]).await.expect("taken");
        assert_eq!((changed.files, changed.waiting, changed.skipped), (1, 0, 0));
        assert_eq!(names(&client, "").await, ["Cherry", "Date"]);
        let outside = client.changed(&[Path::new("/elsewhere/A.java")]).await;
        assert_eq!(outside.expect_err("outside").code(), Some(ErrorCode::INVALID));
        client.close().await;
    });
    for file in ["A.java", "B.java"] {
        fs::remove_file(tree.join(file)).expect("removed");
    }
    let line = search("Cherry").expect(7).json();
    assert_eq!(line["error"]["code"], "nothing_indexed");
    daemon.finish(&scene);
}

#[test]
fn two_clients_and_an_editor_do_not_wait_for_each_other() {
    let scene = Scene::new();
    let root = harbour();
    let daemon = Daemon::start(&scene, &["--root", arg(&root)]);
    let file = root.join("model/src/main/java/harbour/model/Unsaved.java");
    block_on(async {
        let (editor, first, second) = (daemon.client().await, daemon.client().await, daemon.client().await);
        assert_eq!(first.index(true).await.expect("an answer").ready, 4);
        let mut listing = first.list();
        let mut listed = listing.next().await.expect("a page").expect("symbols");
        for edit in 0..30 {
            let name = format!("Typed{edit}");
            editor.open_overlay(&file, &format!("class {name} {{}}")).await.expect("taken");
            let (one, two) = tokio::join!(names(&first, &name), names(&second, &name));
            assert_eq!((&one[..], &two[..]), (&[name.clone()][..], &[name][..]));
        }
        while let Some(page) = listing.next().await.expect("a page") {
            listed.extend(page);
        }
        let symbols: usize = listed.iter().map(|(_, _, symbols)| symbols.len()).sum();
        assert!(symbols >= 226, "{symbols}");
        // Edits that are on their way at once take effect in their order.
        let edits: Vec<String> = (0..20).map(|edit| format!("class Fast{edit} {{}}")).collect();
        let edits = edits.iter().map(|text| editor.open_overlay(&file, text));
        for changed in futures_util::future::join_all(edits).await {
            changed.expect("taken");
        }
        assert_eq!(names(&first, "Fast").await, ["Fast19"]);

        let status = first.status().await.expect("an answer");
        assert_eq!((status.clients, status.overlays), (3, 1));
        assert!(status.overlay_bytes > 0 && status.uptime_ms > 0);
        // The editor goes without a word: what it had not saved goes with it.
        drop(editor);
        while first.status().await.expect("an answer").clients > 2 {}
        assert!(names(&second, "Fast").await.is_empty());
        assert_eq!(first.status().await.expect("an answer").overlay_bytes, 0);
    });
    daemon.finish(&scene);
}

#[test]
fn an_unsaved_text_belongs_to_who_sent_it_last() {
    let scene = Scene::new();
    let saved = scene.write("A.java", "class Saved {}");
    let tree = scene.tree();
    let daemon = Daemon::start(&scene, &["--root", arg(&tree)]);
    block_on(async {
        let (old, new) = (daemon.client().await, daemon.client().await);
        assert_eq!(old.index(false).await.expect("an answer").ready, 1);
        old.open_overlay(&saved, "class Old {}").await.expect("taken");
        // The same editor, connected anew: the old connection's end does no harm, nor does its close.
        new.open_overlay(&saved, "class New {}").await.expect("taken");
        assert_eq!(old.close_overlay(&saved).await.expect("an answer").files, 0);
        assert_eq!(names(&new, "").await, ["New"]);
        old.close().await;
        while new.status().await.expect("an answer").clients > 1 {}
        assert_eq!(names(&new, "").await, ["New"]);
        new.close_overlay(&saved).await.expect("taken");
        assert_eq!(names(&new, "").await, ["Saved"]);

        // What cannot be taken changes nothing.
        new.open_overlay(&saved, "class Kept {}").await.expect("taken");
        let huge = " ".repeat((8 << 20) + 1);
        let refused = new.open_overlay(&saved, &huge).await.expect_err("too large");
        assert_eq!(refused.code(), Some(ErrorCode::INVALID), "{refused}");
        let full = " ".repeat((8 << 20) - 1);
        let mut results = Vec::new();
        for file in 0..9 {
            results.push(new.open_overlay(&tree.join(format!("F{file}.java")), &full).await);
        }
        let refused = results.pop().and_then(Result::err).expect("72 MiB are more than there is room for");
        assert_eq!(refused.code(), Some(ErrorCode::OVERLAY_FULL), "{refused}");
        assert!(results[0].is_ok(), "{results:?}");
        assert_eq!(names(&new, "").await, ["Kept"]);
        for bad in ["/elsewhere/A.java", arg(&tree.join("A.txt"))] {
            let refused = new.open_overlay(Path::new(bad), "").await.expect_err(bad);
            assert_eq!(refused.code(), Some(ErrorCode::INVALID), "{bad}");
        }
    });
    daemon.finish(&scene);
}

#[test]
fn no_unsaved_text_is_lost_with_a_worker() {
    let scene = Scene::new();
    let root = harbour();
    let mut daemon = Daemon::start(&scene, &["--root", arg(&root), "--workers", "2"]);
    let file = root.join("model/src/main/java/harbour/model/Berth.java");
    let workers = daemon.workers(2);
    block_on(async {
        let editor = daemon.client().await;
        assert_eq!(editor.index(false).await.expect("an answer").ready, 4);
        editor.open_overlay(&file, "class Unsaved {}").await.expect("taken");
        for pid in &workers {
            signal(*pid, Signal::KILL);
        }
        // Changes that come while there is no worker are not lost either.
        let second = root.join("yard/src/main/java/harbour/yard/More.java");
        editor.open_overlay(&second, "class UnsavedToo {}").await.expect("taken");
        let alive = |pid: Option<u32>| pid.is_some_and(|pid| !workers.contains(&pid));
        while !editor.shards().await.expect("an answer").iter().all(|shard| alive(shard.worker_pid)) {}
        assert_eq!(editor.index(false).await.expect("an answer").ready, 4);
        assert_eq!(names(&editor, "Unsaved").await, ["Unsaved", "UnsavedToo"]);
        assert!(names(&editor, "Berth(").await.is_empty(), "the unsaved text is in the place of the file");
        let disk = fs::read_to_string(&file).expect("the file is there");
        assert!(disk.contains("enum Berth"), "nothing was written");
    });
    daemon.finish(&scene);
}

/// A search that nobody waits for any more gives up its slot at once, though its worker hangs.
#[test]
fn what_a_client_cancels_ends_in_the_router() {
    let scene = Scene::new();
    let root = harbour();
    let mut daemon = Daemon::start(&scene, &["--root", arg(&root), "--workers", "1"]);
    let workers = daemon.workers(1);
    block_on(async {
        let client = daemon.client().await;
        assert_eq!(client.index(false).await.expect("an answer").ready, 4);
        signal(workers[0], Signal::STOP);
        let minute = Duration::from_secs(60);
        let find = Find { soft: minute, hard: minute, ..Find::new("Berth") };
        // Three times as many as a client may have at once.
        for _ in 0..100 {
            let mut search = pin!(client.find(&find));
            poll_fn(|cx| {
                assert!(search.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        let refused = client.open_overlay(Path::new("/elsewhere/A.java"), "").await;
        assert_eq!(refused.expect_err("outside").code(), Some(ErrorCode::INVALID));
        signal(workers[0], Signal::CONT);
        assert_eq!(names(&client, "Berth").await.len(), 3);
    });
    daemon.finish(&scene);
}

#[test]
fn too_many_clients_are_told_so() {
    let scene = Scene::new();
    let root = harbour();
    let daemon = Daemon::start(&scene, &["--root", arg(&root)]);
    block_on(async {
        let mut clients = Vec::new();
        for _ in 0..MAX_CLIENTS {
            clients.push(daemon.client().await);
        }
        let refused = Client::connect(&daemon.socket(), "one more").await.expect_err("there is no room");
        let ClientError::Ended(CloseReason::Rejected { code, .. }) = refused else { panic!("{refused}") };
        assert_eq!(code, CloseCode::TOO_MANY_CONNECTIONS);
        drop(clients.pop());
        while let Err(error) = Client::connect(&daemon.socket(), "again").await {
            assert!(matches!(error, ClientError::Ended(CloseReason::Rejected { .. })), "{error}");
        }
    });
    daemon.finish(&scene);
}

#[test]
fn a_worker_is_no_client_and_a_client_no_worker() {
    let scene = Scene::new();
    let listen = format!("unix:{}", scene.path("router.sock").display());
    let root = harbour();
    let daemon = Daemon::start(&scene, &["--root", arg(&root), "--listen", &listen]);
    let control = format!("unix:{}", daemon.socket().display());
    let mut worker = crate::serve::worker(&scene, &control, "0-3");
    let refused = Process::start(&mut worker).end(SOON).expect(5);
    assert!(refused.stderr.contains("this is a control socket"), "{}", refused.stderr);
    block_on(async {
        let refused = Client::connect(&scene.path("router.sock"), "test").await.expect_err("no client");
        let ClientError::Ended(CloseReason::Rejected { code, .. }) = refused else { panic!("{refused}") };
        assert_eq!(code, CloseCode::CLAIM_REFUSED);

        // Nobody brings workers: what waits for them is told, and keeps nobody waiting.
        let client = daemon.client().await;
        let reply = client.index(true).await.expect("an answer");
        assert_eq!((reply.total, reply.ready, reply.failed), (4, 0, 0));
        assert!(!reply.problem.is_empty());
        let found = client.find(&Find::new("Berth")).await.expect("an answer");
        assert_eq!((found.shards.answered, found.shards.failed), (0, 4));
    });
    let line = scene.run(["search", "--json", "Berth", "--root", arg(&root)]).expect(7).json();
    assert!(line["error"]["hint"].as_str().is_some_and(|hint| hint.contains("nova status")), "{line}");
    let worker = Process::start(&mut crate::serve::worker(&scene, &listen, "0-2"));
    daemon.nova.stderr_has("3 of 4 shards ready", SOON);
    let line = scene.run(["search", "--json", "--strict", "Berth", "--root", arg(&root)]).expect(3).json();
    assert_eq!(line["shards"], json!({ "total": 4, "answered": 3, "warming": 0, "failed": 1 }));
    daemon.finish(&scene);
    worker.end(SOON).expect(0);
}

#[test]
fn of_two_that_start_at_once_one_serves_and_the_other_joins() {
    let scene = Scene::new();
    let root = harbour();
    let searches: Vec<Process> = (0..4)
        .map(|_| scene.start(["search", "--json", "--daemon", "Berth", "--root", arg(&root)]))
        .collect();
    let answers: Vec<_> = searches.into_iter().map(|nova| nova.end(SOON).expect(0).json()).collect();
    for answer in &answers {
        // What another one has asked the daemon to look at may be warming meanwhile; all of it answers.
        assert_eq!(answer["results"], answers[0]["results"]);
        assert_eq!((&answer["shards"]["answered"], &answer["shards"]["failed"]), (&json!(4), &json!(0)));
    }
    let status = scene.run(["status", "--json", "--root", arg(&root)]).expect(0).json();
    let pid = u32::try_from(status["router"]["pid"].as_u64().expect("a number")).expect("a process");
    // Its session is its own: the end of a terminal does not reach it.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let session =
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(3)).expect("a field");
    assert_eq!(session, pid.to_string());
    let workers = children(pid);

    let second = scene.run(["serve", "--json", "--root", arg(&root)]).expect(4);
    let error = &second.json()["error"];
    assert_eq!(error["code"], "already_running");
    let text = |name: &str| error[name].as_str().expect("a text").to_owned();
    assert!(text("message").contains(&format!("process {pid}")), "{error}");
    assert!(text("hint").contains("nova stop"), "{error}");

    let stopped = scene.run(["stop", "--json", "--root", arg(&root)]).expect(0).json();
    assert_eq!(stopped, json!({ "schema": 1, "pid": pid, "how": "asked" }));
    assert!(!is_alive(pid));
    scene.becomes_clean(&workers);
}

#[test]
fn a_daemon_that_cannot_start_says_why() {
    let scene = Scene::new();
    let tree = scene.tree();
    let run = |args: &[&str]| scene.run([&["search", "--json", "x", "--root", arg(&tree)], args].concat());
    let (cold, daemon) = (run(&[]).expect(7).json(), run(&["--daemon"]).expect(7).json());
    assert_eq!(daemon, cold);
    assert!(scene.runtime_files().is_empty(), "{:?}", scene.runtime_files());

    // A directory that others can write in holds no socket of ours.
    let runtime = scene.path("run/nova");
    fs::create_dir(&runtime).expect("made");
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o777)).expect("set");
    scene.write("A.java", "class Apple {}");
    let line = run(&["--daemon"]).expect(4).json();
    let error = &line["error"];
    assert!(error["message"].as_str().is_some_and(|text| text.contains("other users")), "{error}");
    assert!(error["hint"].as_str().is_some_and(|text| text.contains("XDG_RUNTIME_DIR")), "{error}");
}

#[test]
fn a_daemon_that_was_killed_hinders_nobody() {
    let scene = Scene::new();
    let root = harbour();
    let mut daemon = Daemon::start(&scene, &["--root", arg(&root), "--workers", "1"]);
    let (socket, workers) = (daemon.socket(), daemon.workers(1));
    daemon.nova.stderr_has("4 of 4 shards ready", SOON);
    daemon.nova.signal(Signal::KILL);
    assert_eq!(daemon.nova.end(SOON).status.code(), None);
    wait_for("workers end", SOON, || workers.iter().all(|pid| !is_alive(*pid)).then_some(()));
    assert!(fs::symlink_metadata(&socket).is_ok(), "kill -9 leaves the socket");

    let line = scene.run(["status", "--json", "--root", arg(&root)]).expect(8).json();
    assert_eq!(line["error"]["code"], "no_daemon");
    scene.run(["stop", "--root", arg(&root)]).expect(8);
    scene.run(["search", "Berth", "--root", arg(&root)]).expect(0);
    let again = Daemon::start(&scene, &["--root", arg(&root)]);
    assert_eq!(again.socket(), socket);
    scene.run([&["search", "Berth", "--root", arg(&root)], &ONLY_JOINED[..]].concat()).expect(0);
    again.finish(&scene);
}

#[test]
fn a_daemon_of_another_build_is_refused_with_what_to_do() {
    let scene = Scene::new();
    let root = harbour();
    let other = scene.path("nova-other");
    let mut bytes = fs::read(program("nova")).expect("the program");
    bytes.push(0);
    fs::write(&other, bytes).expect("written");
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).expect("set");
    let mut command = Command::new(&other);
    for (name, value) in scene.nova([]).get_envs().filter_map(|(name, value)| Some((name, value?))) {
        command.env(name, value);
    }
    let daemon = Daemon::of(Process::start(command.args(["serve", "--json", "--root", arg(&root)])));
    for args in [&["search", "--json", "Berth"][..], &["index", "--json"], &["symbols", "--json-lines"]] {
        let line = scene.run([args, &["--root", arg(&root)]].concat()).expect(9).json();
        assert_eq!(line["error"]["code"], "other_build");
        let hint = line["error"]["hint"].as_str().expect("a text");
        assert!(hint.contains("nova stop") && hint.contains("--no-daemon"), "{hint}");
        scene.run([args, &["--root", arg(&root), "--no-daemon"]].concat()).expect(0);
    }
    let status = scene.run(["status", "--json", "--root", arg(&root)]).expect(0).json();
    assert_eq!(status["router"]["same_build"], false);
    assert!(scene.run(["status", "--root", arg(&root)]).expect(0).stdout.contains("another build"));
    scene.run(["stop", "--root", arg(&root)]).expect(0);
    daemon.nova.end(SOON).expect(0);
    scene.becomes_clean(&[]);
}

#[test]
fn status_tells_how_everything_is_and_why_it_is_not_ready() {
    let scene = Scene::new();
    // The worker of shard 0 cannot start; the other one can.
    let nova = program("nova");
    let worker = scene.script(&format!(
        "case \"$*\" in *'--shard-id 0 '*) exit 9;; esac\nexec {} worker \"$@\"",
        nova.display()
    ));
    scene.write("a/src/main/java/A.java", "class Apple {}\n");
    scene.write("b/src/main/java/B.java", "class Banana {}\n");
    let tree = scene.tree();
    let root = ["--root", arg(&tree)];
    let daemon =
        Daemon::start(&scene, &[&root[..], &["--worker-command", arg(&worker), "--workers", "2"]].concat());
    // Joined as without: part of the answer, and a failure with --strict.
    let line = scene.run([&["search", "--json", "--strict", "Banana"], &root[..]].concat()).expect(3).json();
    assert_eq!(line["shards"], json!({ "total": 2, "answered": 1, "warming": 0, "failed": 1 }));
    scene.run([&["index", "--strict"], &root[..]].concat()).expect(3);

    let line = scene.run([&["status", "--json"], &root[..]].concat()).expect(0).json();
    assert_eq!(fields(&line), ["router", "schema", "shards"]);
    let names = "build clients control listen memory overlay_bytes overlays pid same_build uptime_ms";
    assert_eq!(fields(&line["router"]), names.split(' ').collect::<Vec<_>>());
    assert_eq!(line["router"]["pid"], daemon.nova.pid());
    assert_eq!(line["router"]["same_build"], true);
    assert_eq!((&line["router"]["clients"], &line["router"]["overlays"]), (&0.into(), &0.into()));
    assert_eq!(line["router"]["control"], daemon.line["control"]);
    let shards = line["shards"].as_array().expect("shards");
    let names = "files key part parts reason revision root source_root state symbols wanted worker_pid";
    assert_eq!(fields(&shards[0]), names.split(' ').collect::<Vec<_>>());
    assert_eq!((&shards[0]["state"], &shards[1]["state"]), (&"failed".into(), &"ready".into()));
    assert!(shards[0]["reason"].as_str().is_some_and(|reason| reason.contains("exit status: 9")), "{line}");
    assert_eq!((&shards[0]["worker_pid"], &shards[1]["reason"]), (&Value::Null, &Value::Null));
    let pid = u32::try_from(shards[1]["worker_pid"].as_u64().expect("a process")).expect("a process");
    assert!(children(daemon.nova.pid()).contains(&pid));
    assert_eq!((&shards[1]["files"], &shards[1]["symbols"]), (&1.into(), &1.into()));

    let shown = scene.run([&["status"], &root[..]].concat()).expect(0).stdout;
    assert!(shown.contains("exit status: 9") && shown.contains(&pid.to_string()), "{shown}");
    daemon.finish(&scene);
}

#[test]
fn strict_indexing_fails_if_a_file_was_skipped() {
    let scene = Scene::new();
    scene.write("A.java", "class Apple {}");
    let tree = scene.tree();
    scene.run(["index", "--strict", "--root", arg(&tree)]).expect(0);
    scene.write("Latin.java", b"// \xe9t\xe9\nclass Latin {}\n");
    let line = scene.run(["index", "--json", "--strict", "--root", arg(&tree)]).expect(3).json();
    assert_eq!(line["skipped"].as_array().map(Vec::len), Some(1));
    scene.run(["index", "--root", arg(&tree)]).expect(0);
}

#[test]
fn a_daemon_that_nobody_uses_ends() {
    let scene = Scene::new();
    let root = harbour();
    let daemon = Daemon::start(&scene, &["--root", arg(&root), "--idle-exit", "1"]);
    let started = std::time::Instant::now();
    block_on(async {
        // While somebody is there, it stays, however long.
        let client = daemon.client().await;
        while started.elapsed() < Duration::from_millis(1500) {
            client.find(&Find::new("Berth")).await.expect("an answer");
        }
        client.close().await;
    });
    let ended = daemon.nova.end(SOON).expect(0);
    assert!(ended.stderr.contains("nobody has used this daemon"), "{}", ended.stderr);
    scene.becomes_clean(&[]);
}

#[test]
fn a_daemon_that_hangs_is_stopped_all_the_same() {
    let scene = Scene::new();
    let root = harbour();
    let mut daemon = Daemon::start(&scene, &["--root", arg(&root), "--workers", "1"]);
    let workers = daemon.workers(1);
    daemon.nova.stderr_has("4 of 4 shards ready", SOON);
    daemon.nova.signal(Signal::STOP);
    let stopped = scene.run(["stop", "--json", "--root", arg(&root)]).expect(0).json();
    assert_eq!(stopped, json!({ "schema": 1, "pid": daemon.nova.pid(), "how": "killed" }));
    assert_eq!(daemon.nova.end(SOON).status.code(), None);
    wait_for("workers end", SOON, || workers.iter().all(|pid| !is_alive(*pid)).then_some(()));
}

/// A process of which only a file says that it is the daemon is left alone.
#[test]
fn stop_ends_nobody_who_has_not_the_lock() {
    let scene = Scene::new();
    let root = harbour();
    let daemon = Daemon::start(&scene, &["--root", arg(&root)]);
    let (socket, inode) = (daemon.socket(), fs::metadata(daemon.socket()).expect("a socket").ino());
    let pid = daemon.nova.pid();
    // The lock's file is gone, and another one in its place that nobody has locked.
    let lock = socket.with_extension("lock");
    fs::remove_file(&lock).expect("removed");
    fs::write(&lock, format!("{pid}\n")).expect("written");
    scene.run(["stop", "--root", arg(&root)]).expect(8);
    assert!(is_alive(pid) && fs::metadata(&socket).is_ok_and(|file| file.ino() == inode));
    daemon.finish(&scene);
}

/// A client in another language, written from the specification alone.
#[test]
fn a_python_client_finds_what_nova_finds() {
    let scene = Scene::new();
    let root = harbour();
    let daemon = Daemon::start(&scene, &["--root", arg(&root)]);
    let python = |args: &[&str]| -> Value {
        let mut command = Command::new("python3");
        command.arg(repository().join("conformance/peer/client.py"));
        command.arg(daemon.line["control"].as_str().expect("an address")).args(args);
        Process::start(&mut command).end(SOON).expect(0).json()
    };
    let found = python(&["Berth"]);
    let searched = scene.run(["search", "--json", "--root", arg(&root), "Berth"]).expect(0).json();
    let told =
        |hit: &Value| ["name", "container", "path", "line", "column", "score"].map(|name| hit[name].clone());
    let hits = found["hits"].as_array().expect("hits").iter().map(|hit| told(&hit["symbol"]));
    let results = searched["results"].as_array().expect("results").iter().map(told);
    assert!(hits.eq(results), "{found} {searched}");
    assert_eq!(found["shards"], searched["shards"]);
    let unsaved = python(&["Zebra", "--unsaved", arg(&root.join("Zebra.java")), "class Zebra {}"]);
    assert_eq!(unsaved["hits"][0]["symbol"]["name"], "Zebra");
    // It is gone, and with it what it had not saved.
    wait_for("the unsaved text goes", SOON, || {
        let status = scene.run(["status", "--json", "--root", arg(&root)]).expect(0).json();
        (status["router"]["overlay_bytes"] == 0).then_some(())
    });
    daemon.finish(&scene);
}
