//! The command line contract: exit codes, one line of JSON whatever happens, and nothing else on standard output.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;

use crate::process::Process;
use crate::sample::fields;
use crate::scene::{SOON, Scene, arg, big_tree, harbour, program};

/// Arguments that fail, the exit code, the error's code, and a part of its message.
type Case<'a> = (&'a [&'a str], i32, &'a str, &'a str);

fn fails(scene: &Scene, (args, exit, code, part): Case<'_>) {
    let ran = scene.run(args.iter().copied()).expect(exit);
    let line = ran.json();
    assert_eq!(fields(&line), ["error", "schema"], "{args:?}");
    assert_eq!(line["schema"], 1);
    let error = &line["error"];
    assert_eq!(fields(error), ["code", "hint", "message"], "{args:?}");
    assert_eq!(error["code"], code, "{args:?}");
    let message = error["message"].as_str().expect("a text");
    assert!(message.contains(part) && !message.contains('\n'), "{args:?}: {message}");
    assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{args:?}: {error}");
    // People get the same, in words.
    assert!(ran.stderr.contains(part) && !ran.stderr.contains("{\""), "{args:?}: {}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    assert!(scene.runtime_files().is_empty(), "{args:?}");
    // Without --json there is no line, and the same code.
    let plain: Vec<&str> = args.iter().copied().filter(|arg| !arg.starts_with("--json")).collect();
    assert_eq!(scene.run(plain).expect(exit).stdout, "", "{args:?}");
}

#[test]
fn every_error_is_one_line_with_its_exit_code() {
    let scene = Scene::new();
    let (root, file) = (harbour(), harbour().join("pom.xml"));
    let (root, file, empty) = (arg(&root), arg(&file), scene.tree());
    let empty = arg(&empty);
    let long = "q".repeat(257);
    let cases: &[Case<'_>] = &[
        (&["search", "--json", "--bogus", "x"], 2, "usage", "--bogus"),
        (&["index", "--bogus", "--json"], 2, "usage", "--bogus"),
        (&["symbols", "--json-lines", "--bogus"], 2, "usage", "--bogus"),
        (&["serve", "--json", "--listen", "nonsense"], 2, "usage", "nonsense"),
        (&["search", "--json"], 2, "usage", "<QUERY>"),
        (&["search", "--json", "a", "b"], 2, "usage", "'b'"),
        (&["search", "--json", "--kind", "klass", "x"], 2, "usage", "klass"),
        (&["search", "--json", "--limit", "0", "x"], 2, "usage", "--limit"),
        (&["search", "--json", "--limit", "10001", "x"], 2, "usage", "--limit"),
        (&["search", "--json", "--limit", "many", "x"], 2, "usage", "many"),
        (&["search", "--json", "--workers", "0", "x"], 2, "usage", "--workers"),
        (&["index", "--json", "--max-file-bytes", "0"], 2, "usage", "--max-file-bytes"),
        (&["index", "--json", "--max-file-bytes", "8388609"], 2, "usage", "--max-file-bytes"),
        (&["search", "--json", "--root", root, &long], 2, "usage", "256 characters"),
        (&["search", "--json", "--root", "/no/such/place", "x"], 2, "usage", "/no/such/place"),
        (&["index", "--json", "--root", "/no/such/place"], 2, "usage", "/no/such/place"),
        (&["index", "--json", "--root", root, "--root", "/no/such/place"], 2, "usage", "/no/such/place"),
        (&["symbols", "--json-lines", "--root", file], 2, "usage", "pom.xml"),
        (&["serve", "--json", "--root", root, "--listen", "tcp:0.0.0.0:0"], 2, "usage", "0.0.0.0"),
        (&["serve", "--json", "--root", root, "--listen", "tcp:[::]:0"], 2, "usage", "::"),
        (&["search", "--json", "--root", empty, "x"], 7, "nothing_indexed", empty),
        (&["index", "--json", "--root", empty], 7, "nothing_indexed", empty),
        (&["symbols", "--json-lines", "--root", empty], 7, "nothing_indexed", empty),
        (&["serve", "--json", "--root", empty], 7, "nothing_indexed", empty),
    ];
    for case in cases {
        fails(&scene, *case);
    }
}

/// Standard error that cannot be written changes neither the answer nor the exit code, and keeps nobody waiting.
#[test]
fn nobody_needs_standard_error() {
    let scene = Scene::new();
    scene.write("Latin.java", b"// \xe9t\xe9\nclass Latin {}\n");
    scene.write("A.java", "class A {}\n");
    let tree = scene.tree();
    let cases: [(&[&str], i32); 4] = [
        (&["index", "--json", "--root", arg(&tree)], 0),
        (&["search", "--json", "--root", arg(&tree), "NoSuchThing"], 1),
        (&["search", "--json", "--root", "/no/such/root", "A"], 2),
        (&["index", "--json", "--root", arg(&tree), "--worker-command", "/bin/false"], 7),
    ];
    for (args, code) in cases {
        for stderr in ["/dev/full", "closed"] {
            // A shell can start a program without standard error at all.
            let mut shell = std::process::Command::new("/bin/sh");
            let redirect = if stderr == "closed" { "2>&-" } else { "2>/dev/full" };
            shell.args(["-c", &format!("exec \"$0\" \"$@\" {redirect}")]);
            let nova = scene.nova(args.iter().copied());
            shell.arg(nova.get_program()).args(nova.get_args());
            for (name, value) in nova.get_envs() {
                if let Some(value) = value {
                    shell.env(name, value);
                }
            }
            let ended = Process::start(&mut shell).end(SOON).expect(code);
            assert_eq!(ended.json()["schema"], 1, "{args:?} {stderr}");
        }
    }
}

/// What cannot be read is not passed over in silence by those who look for it.
#[test]
fn a_search_tells_that_files_were_skipped() {
    let scene = Scene::new();
    scene.write("Latin.java", b"// \xe9t\xe9\nclass Latin {}\n");
    let tree = scene.tree();
    let ran = scene.run(["search", "--json", "--root", arg(&tree), "Latin"]).expect(7);
    assert!(ran.json()["error"]["message"].as_str().expect("a text").contains("Latin.java: not UTF-8"));
    scene.write("A.java", "class A {}\n");
    let ran = scene.run(["search", "--json", "--root", arg(&tree), "Latin"]).expect(1);
    assert_eq!(ran.json()["skipped"], 1);
    assert!(ran.stderr.contains("1 file was skipped; `nova index` names it"), "{}", ran.stderr);
    assert!(ran.stderr.contains("nothing matches \"Latin\" in 1 file"), "{}", ran.stderr);
}

#[test]
fn no_match_is_an_answer_with_code_1() {
    let scene = Scene::new();
    let root = harbour();
    let ran = scene.run(["search", "--json", "--root", arg(&root), "NoSuchThing"]).expect(1);
    assert_eq!(ran.json()["results"], serde_json::json!([]));
    assert_eq!(ran.stderr, "nova: nothing matches \"NoSuchThing\" in 18 files\n");
    let ran = scene.run(["search", "--root", arg(&root), "NoSuchThing"]).expect(1);
    assert_eq!(ran.stdout, "");
    // A project without a single declaration has been indexed all the same.
    scene.write("package-info.java", "package p;\n");
    let tree = scene.tree();
    assert_eq!(scene.run(["index", "--json", "--root", arg(&tree)]).expect(0).json()["symbols"], 0);
    assert_eq!(scene.run(["symbols", "--json-lines", "--root", arg(&tree)]).expect(1).stdout, "");
}

#[test]
fn help_is_data_and_no_error() {
    let scene = Scene::new();
    for args in [&["--help"][..], &["search", "--help"], &["search", "--json", "--help"], &["--version"]] {
        let ran = scene.run(args.iter().copied()).expect(0);
        assert!(ran.stdout.contains("nova") || ran.stdout.contains("Usage"), "{}", ran.stdout);
        assert_eq!(ran.stderr, "");
    }
    let help = scene.run(["--help"]).expect(0).stdout;
    assert!(!help.contains("worker "), "the worker is started by nova alone: {help}");
    scene.run([]).expect(2);
}

#[test]
fn logs_keep_away_from_the_data() {
    let scene = Scene::new();
    let mut command = scene.nova(["index", "--json", "--root", arg(&harbour())]);
    let ran = Process::start(command.env("NOVA_LOG", "trace")).end(SOON).expect(0);
    assert_eq!(ran.json()["files"], 18);
    assert!(ran.stderr.contains("worker let in"), "{}", ran.stderr);
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let scene = Scene::new();
    for format in [&["--json-lines"][..], &[]] {
        let mut command = scene.nova(["symbols", "--root", arg(&big_tree())]);
        command.args(format).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("nova starts");
        let mut first = String::new();
        let mut reader = BufReader::new(child.stdout.take().expect("a pipe"));
        reader.read_line(&mut first).expect("a line");
        assert!(first.contains("Big"), "{first}");
        drop(reader);
        let mut stderr = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("text");
        let status = child.wait().expect("an end");
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
    }
    scene.becomes_clean(&[]);
}

#[test]
fn part_of_an_answer_is_told_and_fails_only_with_strict() {
    let scene = Scene::new();
    // The worker of shard 0 cannot start; the other one can.
    let nova = program("nova");
    let worker = scene.script(&format!(
        "case \"$*\" in *'--shard-id 0 '*) echo 'no luck' >&2; exit 9;; esac\nexec {} worker \"$@\"",
        nova.display()
    ));
    for shard in ["a/src/main/java/A.java", "b/src/main/java/B.java"] {
        let name = if shard.starts_with('a') { "Apple" } else { "Banana" };
        scene.write(shard, format!("class {name} {{}}\n"));
    }
    let tree = scene.tree();
    let base = ["--json", "--root", arg(&tree), "--worker-command", arg(&worker), "--workers", "2"];
    let run = |args: &[&str]| scene.run([args, &base].concat());

    let ran = run(&["search", "Banana"]).expect(0);
    let line = ran.json();
    assert_eq!(line["shards"], serde_json::json!({ "total": 2, "answered": 1, "warming": 0, "failed": 1 }));
    assert_eq!(line["results"].as_array().map(Vec::len), Some(1));
    assert!(ran.stderr.contains("exit status: 9"), "{}", ran.stderr);

    let ran = run(&["search", "--strict", "Banana"]).expect(3);
    assert_eq!(ran.json(), line, "the answer is the same");
    run(&["search", "--strict", "Apple"]).expect(3);
    run(&["search", "Apple"]).expect(1);

    let line = run(&["index"]).expect(0).json();
    assert_eq!(line["files"], 1);
    assert_eq!(
        (&line["shards"][0]["state"], &line["shards"][1]["state"]),
        (&"failed".into(), &"ready".into())
    );
    assert!(line["shards"][0]["reason"].as_str().is_some_and(|reason| reason.contains("exit status: 9")));

    // Not half a list without a word.
    let args =
        ["symbols", "--json-lines", "--root", arg(&tree), "--worker-command", arg(&worker), "--workers", "2"];
    let ran = scene.run(args);
    assert_ne!(ran.status.code(), Some(0), "{}", ran.stdout);
    assert!(ran.stdout.lines().last().is_some_and(|line| line.contains("\"error\"")), "{}", ran.stdout);
    scene.becomes_clean(&[]);
}

#[test]
fn paths_need_not_be_utf_8() {
    let scene = Scene::new();
    let odd = scene.tree().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&odd).expect("a directory");
    fs::write(odd.join("Cup.java"), "class Cup {}").expect("a file");
    scene.write("Saucer.java", "class Saucer {}");
    // Below a root, such a path cannot be named in an answer, so it is skipped and named as well as can be.
    let ran = scene.run(["index", "--json", "--root", arg(&scene.tree())]).expect(0);
    let line = ran.json();
    assert_eq!((&line["files"], &line["skipped"][0]["reason"]), (&1.into(), &"path_not_utf8".into()));
    // As a root it only has to be opened.
    let mut command = scene.nova(["search", "--json", "Cup", "--root"]);
    let ran = Process::start(command.arg(&odd)).end(SOON).expect(0);
    assert_eq!(ran.json()["results"][0]["path"], "Cup.java");
}

#[test]
fn the_socket_is_private_wherever_there_is_room_for_it() {
    let scene = Scene::new();
    let temporary = scene.path("tmp");
    fs::create_dir(&temporary).expect("a directory");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    // A runtime directory that is not there, as in a container, is done without.
    for (runtime, used) in [(scene.path("run"), scene.path("run")), (scene.path("none"), temporary.clone())] {
        let mut command = scene.nova(["serve", "--workers", "1", "--root", arg(&harbour())]);
        command.env("XDG_RUNTIME_DIR", runtime).env("TMPDIR", &temporary);
        let nova = Process::start(&mut command);
        nova.stderr_has("4 of 4 shards ready", SOON);
        let listed = |path: &Path| -> Vec<_> {
            fs::read_dir(path).expect("a directory").map(|entry| entry.expect("one").path()).collect()
        };
        let found = listed(&used);
        // One for workers' connections, one for clients'.
        assert_eq!(found.len(), 2, "{found:?}");
        for directory in &found {
            assert_eq!(mode(directory), 0o700, "{}", directory.display());
            for file in listed(directory) {
                assert_eq!(mode(&file), 0o600, "{}", file.display());
            }
        }
        nova.signal(Signal::INT);
        nova.end(SOON).expect(130);
        assert!(found.iter().all(|directory| !directory.exists()));
    }
}

#[test]
fn a_cache_that_cannot_be_made_is_named_and_missed_by_nobody() {
    let scene = Scene::new();
    scene.write("A.java", "class A {}");
    let file = scene.tree().join("A.java/cache");
    let ran =
        scene.run(["index", "--json", "--root", arg(&scene.tree()), "--cache-dir", arg(&file)]).expect(0);
    assert_eq!(ran.json()["symbols"], 1);
    assert!(ran.stderr.contains("no index can be kept in"), "{}", ran.stderr);
    assert!(ran.stderr.contains(arg(&file)), "{}", ran.stderr);
}

#[test]
fn a_runtime_directory_that_cannot_hold_sockets_is_named_with_what_to_do() {
    let scene = Scene::new();
    let long = scene.path(&"x".repeat(120));
    fs::create_dir(&long).expect("a directory");
    let mut command = scene.nova(["search", "--json", "--root", arg(&harbour()), "Crane"]);
    let line = Process::start(command.env("XDG_RUNTIME_DIR", &long)).end(SOON).expect(4).json();
    assert_eq!(line["error"]["code"], "cannot_connect");
    let text = |name: &str| line["error"][name].as_str().expect("a text").to_owned();
    assert!(text("message").contains(arg(&long)) && text("hint").contains("XDG_RUNTIME_DIR"), "{line}");
    assert_eq!(fs::read_dir(&long).expect("it is there").count(), 0);
}
