//! Indexes kept between runs: what a second start costs, and that no end of the first one spoils it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Process, signal, wait_for};
use crate::sample::json_lines;
use crate::scene::{SOON, Scene, arg, harbour};

/// The kept indexes of a scene's workspaces: beside them lies what the router knows of files.
fn kept(scene: &Scene) -> Vec<PathBuf> {
    let below = |directory: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).into_iter().flatten();
        entries.map(|entry| entry.expect("an entry").path()).collect()
    };
    let mut files: Vec<PathBuf> =
        below(&scene.path("cache/nova")).iter().flat_map(|workspace| below(workspace)).collect();
    files.retain(|file| file.file_name().is_some_and(|name| name != "files.status"));
    files.sort();
    files
}

/// Indexes the scene's tree; returns the line.
fn index(scene: &Scene, more: &[&str]) -> Value {
    let tree = scene.tree();
    let args = [&["index", "--json", "--workers", "2", "--root", arg(&tree)], more].concat();
    let ran = scene.run(args).expect(0);
    assert_eq!(ran.stderr, "");
    let line = ran.json();
    let shards = line["shards"].as_array().expect("shards");
    assert!(shards.iter().all(|shard| shard["state"] == "ready"), "{line}");
    line
}

/// A counter, summed over the workers.
fn sum(line: &Value, name: &str) -> u64 {
    let workers = line["workers"].as_array().expect("workers");
    workers.iter().map(|worker| worker.pointer(name).and_then(Value::as_u64).expect(name)).sum()
}

/// Every symbol, one line each.
fn symbols(scene: &Scene, more: &[&str]) -> Vec<Value> {
    let tree = scene.tree();
    let args = [&["symbols", "--json-lines", "--root", arg(&tree)], more].concat();
    let ran = scene.run(args).expect(0);
    assert_eq!(ran.stderr, "");
    json_lines(&ran.stdout)
}

/// The sample project, where it can be changed, with more source roots, so that there are several shards.
fn tree() -> Scene {
    fn copy(from: &Path, scene: &Scene, below: &str) {
        for entry in fs::read_dir(from).expect("a directory") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("UTF-8");
            let path = format!("{below}/{name}");
            if entry.path().is_dir() {
                copy(&entry.path(), scene, &path);
            } else {
                scene.write(&path, fs::read(entry.path()).expect("a file"));
            }
        }
    }
    let scene = Scene::new();
    copy(&harbour(), &scene, "harbour");
    for module in 0..3 {
        scene.write(
            &format!("m{module}/src/main/java/p/C{module}.java"),
            format!("package p; class C{module} {{ int f{module}; }}"),
        );
    }
    scene
}

#[test]
fn a_second_start_on_an_unchanged_tree_parses_nothing_and_moves_no_text() {
    let scene = tree();
    let cold = index(&scene, &[]);
    assert_eq!(sum(&cold, "/parsed"), cold["files"].as_u64().expect("files"));
    assert_eq!(
        (sum(&cold, "/received"), &cold["sent"]),
        (cold["bytes"].as_u64().expect("bytes"), &cold["bytes"])
    );
    assert_eq!(sum(&cold, "/cache/loaded"), 0);
    let shards = cold["shards"].as_array().expect("shards").len();
    assert_eq!(kept(&scene).len(), shards, "what is on its way when the command ends is written");
    for file in kept(&scene) {
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().expect("a directory"))), (0o600, 0o700));
    }

    let warm = index(&scene, &[]);
    assert_eq!((sum(&warm, "/parsed"), sum(&warm, "/received"), &warm["sent"]), (0, 0, &0.into()));
    assert_eq!(sum(&warm, "/cache/loaded"), shards as u64);
    assert_eq!(sum(&warm, "/cache/written"), 0, "what is kept already is not written again");
    assert!(sum(&warm, "/disk") > 0 && sum(&warm, "/memory") > 0);
    for same in ["files", "symbols", "bytes", "skipped"] {
        assert_eq!(cold[same], warm[same], "{same}: each file is read once, and the index is the same");
    }
    assert_eq!(symbols(&scene, &[]), symbols(&scene, &["--no-cache"]));
    scene.becomes_clean(&[]);
}

#[test]
fn after_changes_only_what_has_changed_is_sent() {
    let scene = tree();
    let files = index(&scene, &[])["files"].as_u64().expect("files");
    let text = "package p; class Changed { int g; }";
    scene.write("m0/src/main/java/p/C0.java", text);
    scene.write("m1/src/main/java/p/New.java", text);
    scene.write("m1/src/main/java/p/Bad.java", b"class \xff {}");
    fs::remove_file(scene.tree().join("m2/src/main/java/p/C2.java")).expect("it is there");
    scene.write("m2/src/main/java/p/D2.java", "package p; class D2 {}");
    let args = ["index", "--json", "--root", arg(&scene.tree())].map(str::to_owned);
    let line = scene.run(args.iter().map(String::as_str)).expect(0).json();
    assert_eq!((sum(&line, "/parsed"), line["files"].as_u64()), (3, Some(files + 1)));
    assert_eq!(sum(&line, "/received"), 2 * text.len() as u64 + 22);
    assert_eq!(line["skipped"][0]["reason"], "not_utf8");
    fs::remove_file(scene.tree().join("m1/src/main/java/p/Bad.java")).expect("it is there");
    assert_eq!(symbols(&scene, &[]), symbols(&scene, &["--no-cache"]));
    // What was changed in the meantime is kept as well.
    assert_eq!(sum(&index(&scene, &[]), "/parsed"), 0);
}

#[test]
fn without_a_cache_nothing_is_kept_and_nothing_is_read_twice() {
    let scene = tree();
    for _ in 0..2 {
        let line = index(&scene, &["--no-cache"]);
        assert_eq!(
            (&line["sent"], sum(&line, "/parsed")),
            (&line["bytes"], line["files"].as_u64().expect("files"))
        );
        assert!(
            line["workers"]
                .as_array()
                .expect("workers")
                .iter()
                .all(|worker| worker["cache"]["state"] == "off")
        );
    }
    assert_eq!(kept(&scene), [""; 0].map(PathBuf::from));
}

#[test]
fn damaged_and_foreign_files_are_as_good_as_none() {
    type Damage = fn(&[u8]) -> Vec<u8>;
    let scene = tree();
    let cold = index(&scene, &[]);
    let expected = symbols(&scene, &["--no-cache"]);
    let damage: [Damage; 4] = [
        |file| file[..file.len() / 2].to_vec(),
        |file| [file, b"!"].concat(),
        |_| Vec::new(),
        |file| {
            let mut changed = file.to_vec();
            *changed.last_mut().expect("it is not empty") ^= 1;
            changed
        },
    ];
    for (number, damage) in damage.into_iter().enumerate() {
        for file in kept(&scene) {
            fs::write(&file, damage(&fs::read(&file).expect("it is there"))).expect("it is ours");
        }
        let args = ["index", "--json", "--root", arg(&scene.tree())].map(str::to_owned);
        let ran = scene.run(args.iter().map(String::as_str)).expect(0);
        assert!(ran.stderr.contains("is not used"), "damage {number}: {}", ran.stderr);
        let line = ran.json();
        assert_eq!((&line["symbols"], sum(&line, "/cache/loaded")), (&cold["symbols"], 0), "damage {number}");
        let told = |worker: &Value| {
            worker["cache"]["problem"].as_str().is_some_and(|text| text.contains("is not used"))
        };
        assert!(line["workers"].as_array().expect("workers").iter().all(told), "{line}");
        assert_eq!(symbols(&scene, &[]), expected, "damage {number}");
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_told_in_the_status() {
    let scene = tree();
    let file = scene.path("file");
    fs::write(&file, "").expect("a file");
    let args =
        ["index", "--json", "--root", arg(&scene.tree()), "--cache-dir", arg(&file)].map(str::to_owned);
    let line = scene.run(args.iter().map(String::as_str)).expect(0).json();
    for worker in line["workers"].as_array().expect("workers") {
        assert_eq!(worker["cache"]["state"], "failed");
        let problem = worker["cache"]["problem"].as_str().expect("a problem");
        assert!(problem.contains("no index can be kept in") && problem.contains(arg(&file)), "{problem}");
    }
}

#[test]
fn a_tree_somewhere_else_has_a_cache_of_its_own() {
    let (one, other) = (tree(), tree());
    let cache = one.path("shared");
    let given = ["--cache-dir", arg(&cache)];
    index(&one, &given);
    other.write("harbour/Extra.java", "class Extra {}");
    assert_eq!(sum(&index(&other, &given), "/cache/loaded"), 0, "the same names are other shards");
    for scene in [&one, &other] {
        assert_eq!(sum(&index(scene, &given), "/parsed"), 0);
        assert_eq!(symbols(scene, &given), symbols(scene, &["--no-cache"]));
    }
}

#[test]
fn two_at_once_on_one_cache_do_each_other_no_harm() {
    let scene = tree();
    let expected = symbols(&scene, &["--no-cache"]);
    let tree = scene.tree();
    for _ in 0..2 {
        let both = [(); 3].map(|()| scene.start(["symbols", "--json-lines", "--root", arg(&tree)]));
        for one in both {
            let ran = one.end(SOON).expect(0);
            assert_eq!((ran.stderr.as_str(), json_lines(&ran.stdout)), ("", expected.clone()));
        }
    }
}

#[test]
fn a_worker_that_is_killed_comes_back_with_what_it_had() {
    let scene = tree();
    let shards = index(&scene, &[])["shards"].as_array().expect("shards").len();
    let tree = scene.tree();
    let mut command = scene.nova(["serve", "--workers", "1", "--root", arg(&tree)]);
    let mut nova = Process::start(command.env("NOVA_LOG", "nova_router=debug"));
    let ready = format!("{shards} of {shards} shards ready");
    nova.stderr_has(&ready, SOON);
    let worker = nova.workers(1).expect("it serves until a signal")[0];
    signal(worker, Signal::KILL);
    let times = |text: &str| nova.stderr().matches(text).count();
    wait_for("the shards are ready again", SOON, || (times(" sent=") == 2 * shards).then_some(()));
    assert_eq!(times(" sent=0"), 2 * shards, "no text was sent: {}", nova.stderr());
    nova.signal(Signal::TERM);
    nova.end(SOON).expect(130);
    scene.becomes_clean(&[worker]);
}

/// A tree of two shards.
fn small_tree() -> Scene {
    let scene = Scene::new();
    for name in ["a", "b"] {
        scene.write(&format!("{name}/src/main/java/p/One.java"), "package p; class One { int f; }");
        scene.write(&format!("{name}/src/main/java/p/Two.java"), "package p; class Two { void m() {} }");
    }
    scene
}

/// Paths, lines and names.
fn places(symbols: &[Value]) -> Vec<String> {
    symbols.iter().map(|symbol| format!("{}:{} {}", symbol["path"], symbol["line"], symbol["name"])).collect()
}

/// Each worker of this run dies, as by `kill -9`, at its n-th step: while it loads, takes changes, commits or writes.
/// Returns whether there was such a step.
fn dies_at(scene: &Scene, step: u64) -> bool {
    let tree = scene.tree();
    let mut command = scene.nova(["index", "--json", "--workers", "1", "--root", arg(&tree)]);
    let ended = Process::start(command.env("NOVA_CRASH_AT", step.to_string())).end(SOON);
    // Another is started, with the same fate, a few times; or all was done before.
    assert!([Some(0), Some(7)].contains(&ended.status.code()), "step {step}: {}", ended.stderr);
    ended.stderr.contains("killed at step")
}

#[test]
fn a_kill_at_any_step_costs_time_and_nothing_else() {
    let cold = places(&symbols(&small_tree(), &["--no-cache"]));
    assert_eq!(cold.len(), 8);
    let mut steps = 0;
    for warm in [false, true] {
        for step in 1.. {
            let scene = small_tree();
            let mut expected = cold.clone();
            if warm {
                index(&scene, &[]);
                // Something to load, something to change and something to write.
                scene.write("a/src/main/java/p/One.java", "package p; class Won { int f; }");
                expected[0] = expected[0].replace("One\"", "Won\"");
            }
            let died = dies_at(&scene, step);
            // The next start finds what was left.
            assert_eq!(places(&symbols(&scene, &[])), expected, "warm {warm}, step {step}");
            assert_eq!(
                sum(&index(&scene, &[]), "/parsed"),
                0,
                "warm {warm}, step {step}: in the end all is kept"
            );
            if !died {
                break;
            }
            steps += 1;
        }
    }
    assert!(steps > 30, "only {steps} steps: have the programs debug assertions?");
}
