//! The Java sources of OpenJDK 17, if they are there.

use std::collections::BTreeSet;
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

#[test]
fn every_file_of_the_jdk_once() {
    let Some(root) = corpus() else {
        println!("SKIPPED: corpus missing; set NOVA_CORPUS to the sources of OpenJDK 17");
        return;
    };
    for threads in [1, 2, 2, 1] {
        let start = Instant::now();
        let options = LayoutOptions { threads, ..LayoutOptions::default() };
        let layout = Layout::discover(std::slice::from_ref(&root), &options).expect("a layout");
        println!("{} files in {:?} with {threads} threads", layout.file_count(), start.elapsed());

        let paths: BTreeSet<&str> =
            layout.shards.iter().flat_map(|shard| &shard.files).map(|file| &*file.path).collect();
        assert_eq!((layout.file_count(), paths.len()), (15_143, 15_143));
        let source_roots: BTreeSet<&str> =
            layout.shards.iter().map(|shard| shard.source_root.as_str()).collect();
        assert_eq!(source_roots.len(), 70, "{source_roots:?}");
        assert_eq!((layout.skipped.len(), layout.left_out.len()), (0, 0));
    }
}
