//! Where a test takes place: directories of its own, and commands that know no others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Ended, Process, wait_for};

/// Enough for anything that is not expected to wait, on a loaded machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// How long the remains of killed processes may take to go.
pub(crate) const CLEAN_WITHIN: Duration = Duration::from_secs(5);

/// How many files the big tree has, and symbols: a class and its methods each.
pub(crate) const BIG: (u64, u64) = (4_000, 4_000 * (1 + BIG_METHODS));

const BIG_METHODS: u64 = 120;

/// A program of this workspace.
///
/// # Panics
/// If it is not built.
pub(crate) fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the system tells where this test lies");
    let profile = test.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps");
    let program = profile.join(name);
    assert!(
        program.is_file(),
        "{} is missing: build the whole workspace, as `cargo test --workspace` does",
        program.display()
    );
    program
}

/// The sample project.
pub(crate) fn harbour() -> PathBuf {
    repository().join("samples/harbour")
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository is there")
}

/// Temporary directories for runtime files, caches and trees.
pub(crate) struct Scene {
    directory: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("e2e-").tempdir().expect("a temporary directory");
        for name in ["run", "cache", "tree"] {
            fs::create_dir(directory.path().join(name)).expect("a directory");
        }
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// An empty directory for Java files.
    pub(crate) fn tree(&self) -> PathBuf {
        self.path("tree")
    }

    /// Writes a file of the tree.
    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.tree().join(path);
        fs::create_dir_all(path.parent().expect("a file in a directory")).expect("a directory");
        fs::write(&path, text).expect("a file");
        path
    }

    /// A program that can be given as `--worker-command`.
    pub(crate) fn script(&self, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path("worker.sh");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
        path
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        command
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env_remove("NOVA_LOG")
            .env_remove("NOVA_DAEMON")
            .current_dir(self.directory.path());
        command
    }

    pub(crate) fn nova<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.command("nova");
        command.args(args);
        command
    }

    pub(crate) fn start<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Process {
        Process::start(&mut self.nova(args))
    }

    /// Runs `nova` to its end.
    pub(crate) fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ended {
        self.start(args).end(SOON)
    }

    /// What lies in the directory for sockets.
    pub(crate) fn runtime_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("run")).expect("the directory can be listed");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }

    /// Waits until nothing is left of a command but its cache.
    pub(crate) fn becomes_clean(&self, workers: &[u32]) {
        wait_for("workers end", CLEAN_WITHIN, || {
            workers.iter().all(|&pid| !crate::process::is_alive(pid)).then_some(())
        });
        wait_for("sockets go", CLEAN_WITHIN, || self.runtime_files().is_empty().then_some(()));
    }
}

/// A path as an argument.
pub(crate) fn arg(path: &Path) -> &str {
    path.to_str().expect("the paths of tests are UTF-8")
}

/// A tree whose indexing takes a while; made once and kept below `target`.
pub(crate) fn big_tree() -> PathBuf {
    static MADE: Once = Once::new();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let tree = target.join(format!("big-{}-{}", BIG.0, BIG.1));
    MADE.call_once(|| {
        if tree.is_dir() {
            return;
        }
        fs::create_dir_all(target).expect("a directory");
        let unfinished = TempDir::new_in(target).expect("a temporary directory");
        for file in 0..BIG.0 {
            let package = unfinished.path().join(format!("src/main/java/big/p{}", file % 50));
            fs::create_dir_all(&package).expect("a directory");
            let methods = (0..BIG_METHODS).map(|method| {
                format!("    /** Adds {method}. */\n    static int add{method}(int to) {{ return to + {method}; }}\n")
            });
            let methods: String = methods.collect();
            let text = format!("package big.p{};\n\nclass Big{file} {{\n{methods}}}\n", file % 50);
            fs::write(package.join(format!("Big{file}.java")), text).expect("a file");
        }
        // Another process may have been faster; then its tree is as good.
        if fs::rename(unfinished.path(), &tree).is_ok() {
            let _ = unfinished.keep();
        }
    });
    tree
}
