//! Which files belong to the workspace, and to which source root.

use std::path::{Path, PathBuf};

use nova_router::layout::{Layout, LayoutError, LayoutOptions};

use crate::tree::{Tree, files, left_out, skipped};

const NOTHING: [&str; 0] = [];

#[test]
fn maven_with_modules() {
    let tree = Tree::new(&[
        "pom.xml",
        "core/pom.xml",
        "core/src/main/java/org/x/A.java",
        "core/src/test/java/org/x/ATest.java",
        "core/src/main/resources/Template.java",
        "core/target/generated-sources/annotations/org/x/G.java",
        "web/pom.xml",
        "web/src/main/java/org/x/W.java",
    ]);
    let layout = tree.layout();
    assert_eq!(
        files(&layout),
        [
            ": core/src/main/resources/Template.java",
            "core/src/main/java: core/src/main/java/org/x/A.java",
            "core/src/test/java: core/src/test/java/org/x/ATest.java",
            "web/src/main/java: web/src/main/java/org/x/W.java",
        ]
    );
    assert_eq!(left_out(&layout), ["build_output: core/target"]);
    assert_eq!(skipped(&layout), NOTHING);
}

#[test]
fn gradle_with_kotlin_scripts() {
    let tree = Tree::new(&[
        "settings.gradle.kts",
        "app/build.gradle.kts",
        "app/src/main/java/A.java",
        "app/src/integrationTest/java/IT.java",
        "app/src/main/java21/A.java",
        "app/build/generated/G.java",
        "lib/lib.gradle",
        "lib/src/main/java/L.java",
        "lib/bin/main/L.java",
    ]);
    let layout = tree.layout();
    assert_eq!(
        files(&layout),
        [
            "app/src/integrationTest/java: app/src/integrationTest/java/IT.java",
            "app/src/main/java: app/src/main/java/A.java",
            "app/src/main/java21: app/src/main/java21/A.java",
            "lib/src/main/java: lib/src/main/java/L.java",
        ]
    );
    assert_eq!(left_out(&layout), ["build_output: app/build", "build_output: lib/bin"]);
}

#[test]
fn modules_side_by_side() {
    let tree = Tree::new(&[
        "java.base/module-info.java",
        "java.base/java/lang/Object.java",
        "java.sql/module-info.java",
        "Loose.java",
    ]);
    assert_eq!(
        files(&tree.layout()),
        [
            ": Loose.java",
            "java.base: java.base/java/lang/Object.java",
            "java.base: java.base/module-info.java",
            "java.sql: java.sql/module-info.java",
        ]
    );
}

#[test]
fn repository_of_the_jdk() {
    let tree = Tree::new(&[
        "src/java.base/share/classes/module-info.java",
        "src/java.base/share/classes/sun/build/B.java",
        "src/java.base/unix/classes/java/lang/T.java",
        "make/jdk/src/classes/build/tools/X.java",
    ]);
    assert_eq!(
        files(&tree.layout()),
        [
            ": make/jdk/src/classes/build/tools/X.java",
            "src/java.base/share/classes: src/java.base/share/classes/module-info.java",
            "src/java.base/share/classes: src/java.base/share/classes/sun/build/B.java",
            "src/java.base/unix/classes: src/java.base/unix/classes/java/lang/T.java",
        ]
    );
}

#[test]
fn ant_and_eclipse() {
    let tree =
        Tree::new(&["a/build.xml", "a/src/A.java", "a/dist/A.java", "e/.classpath", "e/src/out/E.java"]);
    let layout = tree.layout();
    assert_eq!(files(&layout), ["a/src: a/src/A.java", "e/src: e/src/out/E.java"]);
    assert_eq!(left_out(&layout), ["build_output: a/dist"]);
}

#[test]
fn no_build_files_at_all() {
    let tree = Tree::new(&["src/org/x/A.java", "target/B.java", "out/C.java", "D.java", "E.JAVA", "F.txt"]);
    let layout = tree.layout();
    assert_eq!(files(&layout), [": D.java", ": out/C.java", ": src/org/x/A.java", ": target/B.java"]);
    assert_eq!(left_out(&layout), NOTHING);
}

#[test]
fn inside_a_source_root_only_hidden_names_are_left_out() {
    let tree = Tree::new(&[
        "pom.xml",
        "src/main/java/org/x/target/A.java",
        "src/main/java/build/B.java",
        "src/main/java/node_modules/C.java",
        "src/main/java/.cache/D.java",
        "src/main/java/.#E.java",
    ]);
    tree.write(".gitignore", "build/\ntarget/\n");
    let layout = tree.layout();
    assert_eq!(
        files(&layout),
        [
            "src/main/java: src/main/java/build/B.java",
            "src/main/java: src/main/java/node_modules/C.java",
            "src/main/java: src/main/java/org/x/target/A.java",
        ]
    );
    assert_eq!(left_out(&layout), ["hidden: src/main/java/.#E.java", "hidden: src/main/java/.cache"]);
}

#[test]
fn a_project_named_like_build_output() {
    let tree = Tree::new(&["build.gradle", "build/build.gradle", "build/src/main/java/A.java", "bin/B.java"]);
    let layout = tree.layout();
    assert_eq!(files(&layout), ["build/src/main/java: build/src/main/java/A.java"]);
    assert_eq!(left_out(&layout), ["build_output: bin"]);
}

#[test]
fn a_project_below_what_looks_like_a_source_root() {
    let tree =
        Tree::new(&["src/work/java/p/pom.xml", "src/work/java/p/target/A.java", "src/work/java/p/B.java"]);
    let layout = tree.layout();
    assert_eq!(files(&layout), ["src/work/java: src/work/java/p/B.java"]);
    assert_eq!(left_out(&layout), ["build_output: src/work/java/p/target"]);
}

#[test]
fn the_deepest_source_root_owns_a_file() {
    let tree = Tree::new(&["module-info.java", "A.java", "inner/module-info.java", "inner/deep/B.java"]);
    assert_eq!(
        files(&tree.layout()),
        [": A.java", ": module-info.java", "inner: inner/deep/B.java", "inner: inner/module-info.java"]
    );
}

#[test]
fn git_ignore_files() {
    let tree = Tree::new(&[
        "gen/A.java",
        "lib/gen/B.java",
        "lib/Keep.java",
        "lib/Drop.java",
        "lib/sub/Drop.java",
        "tmp/C.java",
        "node_modules/p/D.java",
        "src/main/java/tmp/E.java",
    ]);
    tree.write(".gitignore", "/gen\ntmp/\n*Drop.java\n[\n");
    tree.write("lib/sub/.gitignore", "!Drop.java\n");
    let layout = tree.layout();
    assert_eq!(
        files(&layout),
        [
            ": lib/Keep.java",
            ": lib/gen/B.java",
            ": lib/sub/Drop.java",
            "src/main/java: src/main/java/tmp/E.java"
        ]
    );
    assert_eq!(
        left_out(&layout),
        ["ignored: gen", "ignored: lib/Drop.java", "node_modules: node_modules", "ignored: tmp"]
    );
}

#[test]
fn rules_above_a_given_root_do_not_count() {
    let tree = Tree::new(&["pom.xml", "target/generated-sources/G.java", "src/main/java/A.java"]);
    tree.write(".gitignore", "target/\n");
    let layout = tree.layout_of(&["", "target/generated-sources"]);
    assert_eq!(files(&layout), ["src/main/java: src/main/java/A.java", ": G.java"]);
}

#[test]
fn the_longest_given_root_owns_a_file() {
    let tree = Tree::new(&["A.java", "in/B.java", "in/src/main/java/C.java", "in/src/main/java/x/D.java"]);
    let layout = tree.layout_of(&["in/src/main/java", "", "in"]);
    assert_eq!(layout.roots, [tree.path(""), tree.path("in"), tree.path("in/src/main/java")]);
    assert_eq!(files(&layout), [": A.java", ": B.java", ": C.java", ": x/D.java"]);
    let owners: Vec<usize> = layout.shards.iter().map(|shard| shard.root).collect();
    assert_eq!(owners, [0, 1, 2]);
}

#[test]
fn duplicate_roots_are_one() {
    let tree = Tree::new(&["a/A.java"]);
    let layout = tree.layout_of(&["a", "a/../a", "a/."]);
    assert_eq!(layout.roots, [tree.path("a")]);
    assert_eq!(files(&layout), [": A.java"]);
}

#[test]
fn an_empty_workspace_has_no_shards() {
    let tree = Tree::new(&["README"]);
    assert_eq!(tree.layout().shards, []);
}

#[test]
fn a_file_is_described() {
    let tree = Tree::new(&[]);
    tree.write("x/A.java", "class A {}");
    let layout = tree.layout();
    let (shard, file) = (&layout.shards[0], &layout.shards[0].files[0]);
    assert_eq!(file.size, 10);
    assert!(file.mtime.seconds > 1_500_000_000, "{:?}", file.mtime);
    assert_eq!(layout.absolute_path(shard, file), tree.path("x/A.java"));
}

#[test]
fn the_sample_project() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/harbour");
    let layout = Layout::discover(&[root], &LayoutOptions::default()).expect("a layout");
    let shards: Vec<(&str, usize)> =
        layout.shards.iter().map(|shard| (shard.source_root.as_str(), shard.files.len())).collect();
    let expected =
        [("", 1), ("model/src/main/java", 9), ("yard/src/main/java", 7), ("yard/src/test/java", 1)];
    assert_eq!(shards, expected);
}

#[test]
fn unusable_roots_are_named() {
    let tree = Tree::new(&["A.java"]);
    let error = |path: &str| {
        let roots = [tree.path(""), tree.path(path)];
        Layout::discover(&roots, &LayoutOptions::default()).expect_err("an error")
    };
    for path in ["missing", "A.java", "A.java/x"] {
        let text = error(path).to_string();
        assert!(text.contains(tree.path(path).to_str().expect("UTF-8")), "{text}");
    }
    assert!(matches!(error("missing"), LayoutError::RootMissing { .. }));
    assert!(matches!(error("A.java"), LayoutError::RootNotADirectory { .. }));
    assert!(matches!(
        Layout::discover(&[] as &[PathBuf], &LayoutOptions::default()),
        Err(LayoutError::NoRoots)
    ));
}

#[test]
fn cancelling_ends_the_walk() {
    let tree = Tree::new(&["a/A.java", "b/B.java"]);
    let options = LayoutOptions { cancelled: &|| true, ..LayoutOptions::default() };
    assert!(matches!(Layout::discover(&[tree.path("")], &options), Err(LayoutError::Cancelled)));
}
