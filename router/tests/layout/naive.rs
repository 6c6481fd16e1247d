//! Random trees: every Java file is in one shard or below something that was left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use nova_router::layout::{Layout, LayoutOptions, LeftOutReason};
use proptest::prelude::*;

use crate::tree::Tree;

/// All files below `directory`, the simplest way.
fn java_files(directory: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            java_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "java") {
            found.insert(path);
        }
    }
}

fn discover(roots: &[PathBuf], threads: usize) -> Layout {
    Layout::discover(roots, &LayoutOptions { threads, ..LayoutOptions::default() }).expect("a layout")
}

/// Which given root and source root own each file; fails if two shards claim one.
fn owners(layout: &Layout) -> BTreeMap<PathBuf, (PathBuf, PathBuf)> {
    let mut owners = BTreeMap::new();
    for shard in &layout.shards {
        let root = &layout.roots[shard.root];
        for file in &shard.files {
            let owner = (root.clone(), root.join(&shard.source_root));
            let earlier = owners.insert(layout.absolute_path(shard, file), owner);
            assert_eq!(earlier, None, "{} is in two shards", file.path);
        }
    }
    owners
}

fn check(tree: &Tree, roots: &[PathBuf]) {
    let layout = discover(roots, 1);
    let reversed: Vec<PathBuf> = roots.iter().rev().cloned().collect();
    assert_eq!(layout, discover(&reversed, 3));
    assert_eq!(layout.skipped, []);

    let mut all = BTreeSet::new();
    java_files(&tree.path(""), &mut all);
    let owners = owners(&layout);
    for path in all {
        let given = layout
            .roots
            .iter()
            .filter(|root| path.starts_with(root))
            .max_by_key(|root| root.as_os_str().len());
        let left_out = layout.left_out.iter().any(|l| {
            Some(&layout.roots[l.root]) == given && path.starts_with(layout.roots[l.root].join(&l.path))
        });
        match owners.get(&path) {
            Some((root, source_root)) => {
                assert!(!left_out, "{} is both", path.display());
                assert_eq!(Some(root), given, "{}", path.display());
                assert!(path.starts_with(source_root), "{}", path.display());
            }
            None => assert!(left_out || given.is_none(), "{} is lost", path.display()),
        }
    }
    for output in layout.left_out.iter().filter(|l| l.reason == LeftOutReason::BuildOutput) {
        let path = layout.roots[output.root].join(&output.path);
        let beside = |name: &str| path.with_file_name(name).is_file();
        assert!(beside("pom.xml") || beside("build.gradle"), "{} is no output", path.display());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_file_is_accounted_for(
        files in prop::collection::vec(
            (
                prop::collection::vec(
                    prop::sample::select(vec![
                        "a", "b", "src", "main", "java", "target", "build", "out", ".git", "node_modules",
                        "share", "classes", "x.java",
                    ]),
                    0..6,
                ),
                prop::sample::select(vec![
                    "A.java", "B.java", "C.JAVA", ".D.java", "module-info.java", "pom.xml", "build.gradle", "e",
                ]),
            ),
            1..40,
        ),
        roots in prop::collection::vec(0usize..40, 0..3),
    ) {
        let tree = Tree::new(&[]);
        for (directories, name) in &files {
            tree.write(&[directories.as_slice(), &[*name]].concat().join("/"), "");
        }
        // Any directory of the tree may be a root as well; sometimes the top is none.
        let mut given: Vec<PathBuf> = roots
            .iter()
            .filter_map(|n| files.get(*n))
            .map(|(directories, _)| tree.path(&directories.join("/")))
            .collect();
        if roots.len() != 2 || given.is_empty() {
            given.push(tree.path(""));
        }
        check(&tree, &given);
    }
}
