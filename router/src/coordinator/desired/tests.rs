//! Tests of what is desired.

use std::path::PathBuf;

use super::*;
use crate::layout::Mtime;

/// A layout of these shards: root, source root, part, parts and files.
fn layout(roots: usize, shards: &[(usize, &str, u32, u32, &[&str])]) -> Layout {
    let shard = |&(root, source_root, part, parts, files): &(usize, &str, u32, u32, &[&str])| Shard {
        key: ShardKey([0; 16]),
        root,
        source_root: source_root.to_owned(),
        part,
        parts,
        files: files
            .iter()
            .map(|path| FileEntry { path: (*path).into(), size: 1, mtime: Mtime::default() })
            .collect(),
    };
    Layout {
        roots: (0..roots).map(|root| PathBuf::from(format!("/{root}"))).collect(),
        shards: shards.iter().map(shard).collect(),
        skipped: Vec::new(),
        left_out: Vec::new(),
    }
}

fn desired(roots: usize, shards: &[(usize, &str, u32, u32, &[&str])]) -> Desired {
    Desired::new(layout(roots, shards))
}

fn path(root: usize, path: &str) -> FilePath {
    FilePath { root, path: path.into() }
}

#[test]
fn a_file_of_a_million_is_small() {
    assert!(size_of::<(Arc<str>, File)>() <= 56);
}

#[test]
fn a_new_file_gets_the_shard_that_a_walk_would_give_it() {
    let shards: [(usize, &str, u32, u32, &[&str]); 5] = [
        (0, "", 0, 1, &["A.java"]),
        (0, "m/src/main/java", 0, 1, &["m/src/main/java/B.java"]),
        (0, "m/src/main/java/deep/src/test/java", 0, 1, &["m/src/main/java/deep/src/test/java/T.java"]),
        (1, "big", 0, 2, &[]),
        (1, "big", 1, 2, &[]),
    ];
    let desired = desired(3, &shards);
    let place = |root, file| desired.place(root, file);
    assert_eq!(place(0, "New.java"), Some(0));
    assert_eq!(place(0, "unknown/directory/New.java"), Some(0), "the given root's shard");
    assert_eq!(place(0, "m/src/main/java/p/New.java"), Some(1));
    assert_eq!(place(0, "m/src/main/java/deep/src/test/java/q/New.java"), Some(2));
    assert_eq!(place(0, "m/src/main/javanese/New.java"), Some(0));
    for file in ["big/a/A.java", "big/B.java", "big/x/y/Z.java", "big/0.java"] {
        assert_eq!(place(1, file), Some(3 + part_of(file, 2)), "{file}");
    }
    assert_eq!(place(1, "elsewhere/New.java"), Some(3), "this root has no shard of its own");
    assert_eq!(place(2, "New.java"), Some(5), "nor any shard at all: it got one");
    assert_eq!(place(3, "New.java"), None);
}

#[test]
fn unsaved_texts_are_part_of_the_manifest_and_of_the_budget() {
    let mut desired = desired(1, &[(0, "", 0, 1, &["b", "d"])]);
    let overlay = |text: &str| Overlay { text: Text::new(text), rev: 1 };
    let manifest = |desired: &Desired| desired.shard(0).manifest().join(" ");
    for name in ["a", "b", "c", "e"] {
        desired.open(0, &name.into(), overlay("class A {}"), 10_000).expect("there is room");
    }
    assert_eq!((manifest(&desired), desired.shard(0).count()), ("a b c d e".into(), 5));
    assert_eq!(desired.overlay_bytes(), 4 * (OVERLAY_ENTRY + 11));
    let full = desired.open(0, &"f".into(), overlay("class F {}"), 4 * (OVERLAY_ENTRY + 11));
    assert_eq!(full, Err((4 * (OVERLAY_ENTRY + 11), OVERLAY_ENTRY + 11)));
    // An edit is counted in the place of what it replaces.
    desired
        .open(0, &"a".into(), overlay("class B {}"), 4 * (OVERLAY_ENTRY + 11))
        .expect("no more than before");
    for name in ["a", "b", "c", "e", "e", "d"] {
        desired.close(0, name);
    }
    assert_eq!((manifest(&desired), desired.overlay_bytes()), ("b d".into(), 0));
}

#[test]
fn what_is_below_a_directory_is_found_in_every_shard() {
    let shards: [(usize, &str, u32, u32, &[&str]); 5] = [
        (0, "p/s", 0, 1, &["a/Else.java", "p/s/C.java"]),
        (0, "p", 0, 2, &["p/A.java", "p0/B.java"]),
        (0, "p", 1, 2, &["p/q/D.java"]),
        (0, "p/q/deep", 0, 1, &["p/q/deep/E.java"]),
        (1, "p", 0, 1, &["p/Other.java"]),
    ];
    let mut desired = desired(2, &shards);
    desired.open(1, &"p/new.java".into(), Overlay { text: Text::new(""), rev: 1 }, 1000).expect("room");
    let below = |directory| -> Vec<_> {
        desired.below(&path(0, directory)).into_iter().map(|file| file.path).collect()
    };
    assert_eq!(below("p").join(" "), "p/A.java p/new.java p/q/D.java p/q/deep/E.java p/s/C.java");
    assert_eq!(below("p/q").join(" "), "p/q/D.java p/q/deep/E.java");
    assert_eq!(below("a").join(" "), "a/Else.java", "of no source root above it: in the root's first shard");
    assert_eq!((below("p/A.java").len(), below("P").len(), desired.below(&path(7, "p")).len()), (0, 0, 0));
}

/// Whether another walk sees the same shards or others, each file gets the shard that a single change would give it.
#[test]
fn another_walk_puts_every_file_where_a_change_would() {
    let known: [(usize, &str, u32, u32, &[&str]); 6] = [
        (0, "", 0, 1, &["A.java"]),
        (0, "m", 0, 1, &["m/B.java"]),
        (0, "m/deep", 0, 1, &["m/deep/C.java"]),
        (0, "m0", 0, 1, &["m0/D.java"]),
        (1, "big", 0, 2, &[]),
        (1, "big", 1, 2, &[]),
    ];
    let names =
        |at: &str| -> Vec<String> { (0..40).map(|number| format!("{at}/F{number:02}.java")).collect() };
    let split =
        |part| -> Vec<String> { names("big").into_iter().filter(|path| part_of(path, 2) == part).collect() };
    let (m, deep, m0, zero, one) = (names("m"), names("m/deep"), names("m0"), split(0), split(1));
    let (whole, all) = (names("big"), [m.clone(), deep.clone()].concat());
    type Found<'a> = (usize, &'a str, u32, u32, &'a [String]);
    let walks: [&[Found<'_>]; 3] = [
        &[
            (0, "m", 0, 1, &m),
            (0, "m/deep", 0, 1, &deep),
            (0, "m0", 0, 1, &m0),
            (1, "big", 0, 2, &zero),
            (1, "big", 1, 2, &one),
        ],
        &[(0, "m", 0, 1, &all), (0, "m0", 0, 1, &m0), (1, "big", 0, 1, &whole)],
        &[(0, "", 0, 1, &all), (0, "m0", 0, 4, &m0), (1, "", 0, 1, &whole)],
    ];
    for walk in walks {
        let mut desired = desired(2, &known);
        let files: Vec<Vec<&str>> =
            walk.iter().map(|(.., files)| files.iter().map(String::as_str).collect()).collect();
        let shards: Vec<_> = walk
            .iter()
            .zip(&files)
            .map(|(shard, files)| (shard.0, shard.1, shard.2, shard.3, &files[..]))
            .collect();
        desired.rescan(layout(2, &shards));
        let mut count = 0;
        for (number, shard) in (0..).zip(desired.shards()) {
            for (path, _) in shard.files() {
                assert_eq!(desired.place(shard.info.root, path), Some(number), "{path}");
                count += 1;
            }
        }
        assert_eq!(count, files.iter().map(Vec::len).sum::<usize>());
    }
}

/// What is known of a file stays through a walk; its length is what the walk has seen.
#[test]
fn a_walk_keeps_what_is_known() {
    let mut desired = desired(1, &[(0, "", 0, 1, &["a", "b", "c"])]);
    let text = |text: &str| FileRead::Text { text: Text::new(text), mark: Some([7; 16]) };
    desired.learn(0, &"a".into(), &text("class A {}"));
    desired.learn(0, &"b".into(), &text("class B {}"));
    desired.learn(0, &"c".into(), &FileRead::Skipped(SkipReason::NotAFile));
    desired.rescan(layout(1, &[(0, "", 0, 1, &["b", "c", "d"])]));
    let known = |path| desired.shard(0).file(path).map(|file| (file.size, file.known.is_some()));
    assert_eq!(
        [known("a"), known("b"), known("c"), known("d")],
        [None, Some((1, true)), Some((1, false)), Some((1, false))]
    );
    assert_eq!(desired.unreadable().map(|file| file.path).collect::<Vec<_>>(), ["c"]);
}

#[test]
fn the_content_is_counted_with_every_change() {
    let mut desired = desired(1, &[(0, "", 0, 1, &["a", "b"])]);
    let paths: Vec<Arc<str>> = ["a", "b", "c"].map(Arc::from).into();
    let mut state = 7_u64;
    for step in 0..2_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (path, length) = (&paths[(state >> 33) as usize % 3], (state >> 40) as usize % 50);
        let text = Text::new("x".repeat(length));
        match (state >> 50) % 6 {
            0 => drop(desired.open(0, path, Overlay { text, rev: step }, 10_000)),
            1 => desired.close(0, path),
            2 => desired.set_disk(0, path, &FileRead::Text { text, mark: None }),
            3 => desired.set_disk(0, path, &FileRead::Skipped(SkipReason::NotAFile)),
            4 => desired.set_disk(0, path, &FileRead::LeftOut),
            _ => desired.learn(0, path, &FileRead::Text { text, mark: None }),
        }
        let counted = desired.shard(0).content();
        desired.shards[0].count_content();
        assert_eq!(counted, desired.shard(0).content(), "step {step}");
    }
}
