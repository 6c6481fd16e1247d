//! Parts and keys.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use nova_router::layout::{Layout, LayoutOptions, ShardKey, part_of};

use crate::tree::Tree;

fn parts(layout: &Layout) -> BTreeMap<Box<str>, (u32, ShardKey)> {
    let files = |shard: &nova_router::layout::Shard| {
        let (part, key) = (shard.part, shard.key);
        shard.files.iter().map(move |file| (file.path.clone(), (part, key))).collect::<Vec<_>>()
    };
    layout.shards.iter().flat_map(files).collect()
}

#[test]
fn a_large_source_root_is_split_and_files_stay_where_they_are() {
    let names: Vec<String> = (0..5000).map(|n| format!("src/main/java/p{}/C{n}.java", n % 7)).collect();
    let tree = Tree::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let before = tree.layout();
    assert_eq!(before.shards.len(), 4);
    assert_eq!(before.file_count(), 5000);
    for (number, shard) in before.shards.iter().enumerate() {
        assert_eq!((shard.part as usize, shard.parts), (number, 4));
        assert!((1000..1500).contains(&shard.files.len()), "uneven: {}", shard.files.len());
        assert!(shard.files.is_sorted_by(|a, b| a.path.as_bytes() < b.path.as_bytes()));
        assert!(shard.files.iter().all(|file| part_of(&file.path, 4) == shard.part));
    }

    tree.write("src/main/java/p0/Added.java", "class Added {}");
    std::fs::remove_file(tree.path(&names[17])).expect("removed");
    let (mut before, mut after) = (parts(&before), parts(&tree.layout()));
    assert!(after.remove("src/main/java/p0/Added.java").is_some());
    assert!(before.remove(names[17].as_str()).is_some());
    assert_eq!(before, after);
}

#[test]
fn keys_depend_on_the_place_alone() {
    let tree = Tree::new(&["a/src/main/java/A.java", "a/X.java", "b/B.java", "c/C.java"]);
    let keys = |roots: &[&str]| -> Vec<(PathBuf, String, ShardKey)> {
        let layout = tree.layout_of(roots);
        let of = |shard: &nova_router::layout::Shard| {
            (layout.roots[shard.root].clone(), shard.source_root.clone(), shard.key)
        };
        layout.shards.iter().map(of).collect()
    };
    let all = keys(&["a", "b", "c"]);
    assert_eq!(all, keys(&["c", "b", "a", "b"]));
    assert_eq!(all[..3], keys(&["b", "a"]));

    let mut distinct: Vec<ShardKey> = all.iter().map(|(_, _, key)| *key).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 4);

    tree.write("a/src/main/java/Another.java", "class Another {}");
    assert_eq!(all, keys(&["a", "b", "c"]));
}

#[test]
fn progress_ends_with_the_number_of_files() {
    let tree = Tree::new(&["a/A.java", "a/B.java", "b/C.java"]);
    let most = AtomicU64::new(0);
    let progress = |files| {
        most.fetch_max(files, Relaxed);
    };
    let options = LayoutOptions { progress: &progress, ..LayoutOptions::default() };
    Layout::discover(&[tree.path("")], &options).expect("a layout");
    assert_eq!(most.into_inner(), 3);
}
