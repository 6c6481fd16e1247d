//! The Java sources of OpenJDK 17, if they are there.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nova_router::layout::{Layout, LayoutOptions};

fn corpus() -> Option<PathBuf> {
    let path = std::env::var_os("NOVA_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/corpus/openjdk-17"),
        PathBuf::from,
    );
    path.is_dir().then_some(path)
}

/// What a walk without any rules finds.
fn java_files(directory: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let (directories, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let mut java: Vec<_> = directories.iter().flat_map(|directory| java_files(directory)).collect();
    java.extend(
        files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "java")),
    );
    java
}

#[test]
fn every_file_of_the_jdk_once() {
    let Some(root) = corpus() else {
        // Past the capture of the test harness: a skipped test must be seen.
        let message =
            "SKIPPED: every_file_of_the_jdk_once: no corpus; set NOVA_CORPUS to the sources of OpenJDK 17";
        writeln!(std::io::stderr(), "{message}").expect("standard error");
        return;
    };
    let java = java_files(&root);
    let modules = java.iter().filter(|path| path.ends_with("module-info.java")).count();
    assert!(java.len() > 10_000 && modules > 50, "{} files in {modules} modules", java.len());
    for threads in [1, 2, 2, 1] {
        let start = Instant::now();
        let options = LayoutOptions { threads, ..LayoutOptions::default() };
        let layout = Layout::discover(std::slice::from_ref(&root), &options).expect("a layout");
        println!("{} files in {:?} with {threads} threads", layout.file_count(), start.elapsed());

        let paths: BTreeSet<&str> =
            layout.shards.iter().flat_map(|shard| &shard.files).map(|file| &*file.path).collect();
        assert_eq!((layout.file_count(), paths.len()), (java.len(), java.len()));
        let source_roots: BTreeSet<&str> =
            layout.shards.iter().map(|shard| shard.source_root.as_str()).collect();
        assert_eq!(source_roots.len(), modules, "{source_roots:?}");
        assert_eq!((layout.skipped.len(), layout.left_out.len()), (0, 0));
    }
}
