//! Links, pipes, odd names and files that change under the walk.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nova_router::layout::{Layout, LayoutOptions, SkipReason, read_source};

use crate::tree::{Tree, files, left_out, skipped, write};

fn pipe(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
}

#[test]
fn a_root_may_be_a_link() {
    let tree = Tree::new(&["real/A.java"]);
    symlink("real", tree.path("link")).expect("a link");
    let (direct, linked) = (tree.layout_of(&["real"]), tree.layout_of(&["link", "real"]));
    assert_eq!(direct, linked);
}

#[test]
fn links_are_named_and_not_followed() {
    let tree = Tree::new(&["a/A.java", "other/B.java", "note.txt"]);
    let link = |target: &str, name: &str| symlink(target, tree.path(name)).expect("a link");
    link("..", "a/loop");
    link("../a/A.java", "other/Link.java");
    link("nowhere", "Broken.java");
    link("note.txt", "note.md");
    link("a", ".hidden");
    link("A.java", "a/.#A.java");
    let layout = tree.layout();
    assert_eq!(files(&layout), [": a/A.java", ": other/B.java"]);
    assert_eq!(skipped(&layout), ["symlink: Broken.java", "symlink: a/loop", "symlink: other/Link.java"]);
    assert_eq!(left_out(&layout), ["hidden: a/.#A.java"]);
}

#[test]
fn links_of_bazel_are_output() {
    let tree = Tree::new(&["MODULE.bazel", "java/org/x/A.java", "java/org/x/BUILD"]);
    symlink("java", tree.path("bazel-out")).expect("a link");
    let layout = tree.layout();
    assert_eq!(files(&layout), [": java/org/x/A.java"]);
    assert_eq!(skipped(&layout), [""; 0]);
}

#[test]
fn names_that_are_not_utf8() {
    let tree = Tree::new(&["A.java"]);
    write(&tree.path("").join(OsStr::from_bytes(b"B\xff.java")), "class B {}");
    write(&tree.path("").join(OsStr::from_bytes(b"d\xff")).join("C.java"), "class C {}");
    let layout = tree.layout();
    assert_eq!(files(&layout), [": A.java"]);
    assert_eq!(skipped(&layout), ["path_not_utf8: B\u{fffd}.java", "path_not_utf8: d\u{fffd}"]);
}

#[test]
fn a_git_ignore_file_that_is_not_utf8() {
    let tree = Tree::new(&["A.java", "gen/B.java"]);
    fs::write(tree.path(".gitignore"), b"# g\xe9n\xe9r\xe9\r\n/gen\r\n").expect("a file");
    assert_eq!(files(&tree.layout()), [": A.java"]);
}

#[test]
fn a_directory_without_permission() {
    let tree = Tree::new(&["A.java", "locked/B.java"]);
    let locked = tree.path("locked");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).expect("permissions");
    if fs::read_dir(&locked).is_ok() {
        return again_as_nobody("trouble::a_directory_without_permission");
    }
    let layout = tree.layout();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).expect("permissions");
    assert_eq!(files(&layout), [": A.java"]);
    assert_eq!(skipped(&layout), ["unreadable: locked"]);
}

/// Permissions do not bind root: runs the test as a user whom they bind.
fn again_as_nobody(test: &str) {
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    // The test program may lie where only root can go.
    let room = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(room.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    let program = room.path().join("tests");
    fs::copy(std::env::current_exe().expect("this program"), &program).expect("a copy");
    let output = std::process::Command::new(program)
        .args(["--exact", test])
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .expect("the test runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

#[test]
fn a_path_too_long_for_the_system() {
    let tree = Tree::new(&["A.java"]);
    // Neither half is too long; one moved to the end of the other is.
    let half = vec!["d".repeat(200); 12].join("/");
    for top in ["upper", "lower"] {
        fs::create_dir_all(tree.path(top).join(&half)).expect("directories");
    }
    fs::rename(tree.path("lower"), tree.path("upper").join(&half).join("lower")).expect("moved");
    let layout = tree.layout();
    assert_eq!(files(&layout), [": A.java"]);
    assert_eq!(layout.skipped.len(), 1);
    assert_eq!(layout.skipped[0].reason.code(), "unreadable");
    assert!(layout.skipped[0].path.starts_with("upper/d"));
}

#[test]
fn what_vanishes_during_the_walk() {
    let tree = Tree::new(&["A.java", "gone/B.java"]);
    let remove = |_| {
        // Told after the first directory; what lies below is visited later.
        let _ = fs::remove_dir_all(tree.path("gone"));
    };
    let options = LayoutOptions { threads: 1, progress: &remove, ..LayoutOptions::default() };
    let layout = Layout::discover(&[tree.path("")], &options).expect("a layout");
    assert_eq!(files(&layout), [": A.java"]);
    assert_eq!(skipped(&layout), ["vanished: gone"]);
}

#[test]
fn large_files_and_pipes() {
    let tree = Tree::new(&["A.java"]);
    let huge = fs::File::create(tree.path("Huge.java")).expect("a file");
    huge.set_len(8 * 1024 * 1024 + 1).expect("a hole");
    pipe(&tree.path("Pipe.java"));
    pipe(&tree.path(".gitignore"));
    fs::create_dir(tree.path("Directory.java")).expect("a directory");
    let layout = tree.layout();
    assert_eq!(files(&layout), [": A.java"]);
    assert_eq!(skipped(&layout), ["too_large: Huge.java", "not_a_file: Pipe.java"]);
    assert_eq!(
        layout.skipped[0].reason,
        SkipReason::TooLarge { size: 8 * 1024 * 1024 + 1, limit: 8 * 1024 * 1024 }
    );
}

#[test]
fn reading_is_bounded_and_does_not_wait() {
    let tree = Tree::new(&[]);
    let read = |name: &str, max| read_source(&tree.path(name), max);
    tree.write("A.java", "class Straße {}");
    assert_eq!(read("A.java", 16).expect("read"), "class Straße {}");
    assert_eq!(read("A.java", 15), Err(SkipReason::TooLarge { size: 16, limit: 15 }));
    tree.write("Empty.java", "");
    assert_eq!(read("Empty.java", 0).expect("read"), "");

    assert_eq!(read("Missing.java", 9), Err(SkipReason::Vanished));
    assert_eq!(read("A.java/B.java", 9), Err(SkipReason::Vanished));
    assert_eq!(read("", 9), Err(SkipReason::NotAFile));
    pipe(&tree.path("Pipe.java"));
    assert_eq!(read("Pipe.java", 9), Err(SkipReason::NotAFile));
    symlink("A.java", tree.path("Link.java")).expect("a link");
    assert_eq!(read("Link.java", 99), Err(SkipReason::Symlink));
    std::os::unix::net::UnixListener::bind(tree.path("Socket.java")).expect("a socket");
    assert_eq!(read("Socket.java", 9), Err(SkipReason::NotAFile));

    fs::write(tree.path("Latin1.java"), b"class \xe9t\xe9 {}").expect("a file");
    assert_eq!(read("Latin1.java", 99), Err(SkipReason::NotUtf8 { offset: 6 }));
}

/// Files of `/proc` claim to be empty, so that only counting what is read bounds them.
#[cfg(target_os = "linux")]
#[test]
fn the_size_in_the_metadata_is_not_trusted() {
    let path = Path::new("/proc/self/status");
    assert_eq!(fs::metadata(path).expect("metadata").len(), 0);
    assert_eq!(read_source(path, 10), Err(SkipReason::TooLarge { size: 11, limit: 10 }));
    assert!(read_source(path, 1 << 20).expect("read").contains("Pid:"));
}
