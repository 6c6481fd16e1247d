//! Files that cannot be indexed are named, and cost nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::sample::{fields, json_lines};
use crate::scene::{Scene, arg, program};

/// Tells the other thread to stop, however this one ends.
struct StopAtDrop<'a>(&'a AtomicBool);

impl Drop for StopAtDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_indexed() {
    let scene = Scene::new();
    let good = "package p;\nclass Good {}\n";
    scene.write("src/main/java/p/Good.java", good);
    scene.write("src/main/java/p/Mark.java", "\u{feff}class Mark {}\n");
    scene.write("src/main/java/p/Latin.java", b"class Caf\xe9 {}\n");
    scene.write("src/main/java/p/Large.java", format!("class Large {{ /* {} */ }}\n", "x".repeat(2000)));
    scene.write("src/main/java/p/Full.java", format!("class Full {{}}{}", " ".repeat(1000 - 13)));
    scene.write("src/main/java/p/Empty.java", "");
    let package = scene.tree().join("src/main/java/p");
    symlink("Good.java", package.join("Link.java")).expect("a link");
    let _socket = UnixListener::bind(package.join("Plug.java")).expect("a socket");
    let pipe = std::process::Command::new("mkfifo").arg(package.join("Pipe.java")).status();
    assert!(pipe.is_ok_and(|status| status.success()), "mkfifo makes a pipe");
    fs::create_dir(package.join("Folder.java")).expect("a directory");
    let locked = scene.write("locked/Secret.java", "class Secret {}\n");
    let closed = locked.parent().expect("a directory");
    fs::set_permissions(closed, fs::Permissions::from_mode(0o000)).expect("permissions");
    // Root reads everything.
    let readable = fs::read_dir(closed).is_ok();

    let ran =
        scene.run(["index", "--json", "--max-file-bytes", "1000", "--root", arg(&scene.tree())]).expect(0);
    fs::set_permissions(closed, fs::Permissions::from_mode(0o700)).expect("permissions");
    let line = ran.json();
    let skipped = line["skipped"].as_array().expect("a list");
    let mut reasons = BTreeMap::new();
    for file in skipped {
        assert_eq!(fields(file), ["detail", "path", "reason", "root"]);
        let text = |name: &str| file[name].as_str().expect("a text");
        assert_eq!(text("root"), arg(&scene.tree().canonicalize().expect("a path")));
        assert!(ran.stderr.contains(text("path")), "people are told: {}", ran.stderr);
        reasons.insert(text("path").trim_start_matches("src/main/java/p/"), text("reason"));
    }
    let mut expected = BTreeMap::from([
        ("Large.java", "too_large"),
        ("Latin.java", "not_utf8"),
        ("Link.java", "symlink"),
        ("Pipe.java", "not_a_file"),
        ("Plug.java", "not_a_file"),
    ]);
    if !readable {
        expected.insert("locked", "unreadable");
    }
    assert_eq!(reasons, expected);
    // Good, Mark, Full, Empty, and what root can read.
    assert_eq!(line["files"].as_u64(), Some(4 + u64::from(readable)), "{line}");
    assert_eq!(line["symbols"].as_u64(), Some(3 + u64::from(readable)), "{line}");
    scene.becomes_clean(&[]);
}

#[test]
fn a_tree_in_which_nothing_can_be_read_is_an_error() {
    let scene = Scene::new();
    scene.write("Latin.java", b"class Caf\xe9 {}\n");
    let ran = scene.run(["index", "--json", "--root", arg(&scene.tree())]).expect(7);
    assert!(ran.stderr.contains("Latin.java"), "{}", ran.stderr);
    assert_eq!(ran.json()["error"]["code"], "nothing_indexed");
}

#[test]
fn files_that_come_and_go_do_not_disturb_the_others() {
    let scene = Scene::new();
    for file in 0..300 {
        scene.write(&format!("src/main/java/p/Stays{file}.java"), format!("class Stays{file} {{}}\n"));
    }
    let stop = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| {
            let path = |round: u32| format!("src/main/java/q{}/Goes{}.java", round % 7, round % 200);
            for round in 0_u32.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                scene.write(&path(round), "class Goes {}\n");
                let old = scene.tree().join(path(round.wrapping_sub(150)));
                let _ = fs::remove_file(&old);
                // Now and then the whole directory.
                if round % 64 == 0 {
                    let _ = fs::remove_dir_all(old.parent().expect("a directory"));
                }
            }
        });
        let _stop = StopAtDrop(&stop);
        for _ in 0..8 {
            let ran = scene.run(["index", "--json", "--root", arg(&scene.tree())]).expect(0);
            let line = ran.json();
            assert!(line["files"].as_u64().is_some_and(|files| files >= 300), "{line}");
            for file in line["skipped"].as_array().expect("a list") {
                let path = file["path"].as_str().expect("a text");
                assert!(path.contains("/q") && file["reason"] == "vanished", "{file}");
            }
            let symbols = scene.run(["symbols", "--json-lines", "--root", arg(&scene.tree())]).expect(0);
            let symbols = json_lines(&symbols.stdout);
            let stay = symbols
                .iter()
                .filter(|symbol| symbol["path"].as_str().is_some_and(|path| path.contains("Stays")));
            assert_eq!(stay.count(), 300);
        }
    });
}

#[test]
fn a_file_that_vanishes_between_walk_and_read_is_named() {
    let scene = Scene::new();
    scene.write("Stays.java", "class Stays {}\n");
    let goes = scene.write("Goes.java", "class Goes {}\n");
    let grows = scene.write("Grows.java", "class Grows {}\n");
    // Workers start after the walk, and before anything is read.
    let worker = scene.script(&format!(
        "rm -f {}\nhead -c 2000 /dev/zero | tr '\\0' ' ' > {}\nexec {} worker \"$@\"",
        goes.display(),
        grows.display(),
        program("nova").display()
    ));
    let args = [
        "index",
        "--json",
        "--max-file-bytes",
        "1000",
        "--root",
        arg(&scene.tree()),
        "--worker-command",
        arg(&worker),
    ]
    .map(str::to_owned);
    let line = scene.run(args.iter().map(String::as_str)).expect(0).json();
    assert_eq!((&line["files"], &line["symbols"]), (&1.into(), &1.into()));
    let skipped: Vec<_> = line["skipped"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|file| (&file["path"], &file["reason"]))
        .collect();
    assert_eq!(
        skipped,
        [(&"Goes.java".into(), &"vanished".into()), (&"Grows.java".into(), &"too_large".into())]
    );
}
