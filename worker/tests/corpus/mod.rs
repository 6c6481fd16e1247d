//! The sources of OpenJDK 17, which `.ci/setup` brings.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// A file of the corpus: its path below the root, with `/` between directories, and its text.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// One in `step` files, in the order of their paths; `None`, with a line that says so, without a corpus.
pub(crate) fn files(test: &str, step: usize) -> Option<Vec<File>> {
    let given = env::var_os("NOVA_CORPUS").map(PathBuf::from);
    let root =
        given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/corpus/openjdk-17"));
    if !root.is_dir() {
        // Not eprintln, which the test harness would keep to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: corpus missing");
        return None;
    }
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort_unstable();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("the corpus is UTF-8");
        let path = path.strip_prefix(&root).expect("it lies below the root");
        File { path: path.to_str().expect("paths of the corpus are ASCII").to_owned(), text }
    };
    Some(paths.into_iter().step_by(step).map(read).collect())
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the corpus can be read") {
        let entry = entry.expect("the corpus can be read");
        let (path, kind) = (entry.path(), entry.file_type().expect("the system tells"));
        if kind.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "java") {
            paths.push(path);
        }
    }
}
