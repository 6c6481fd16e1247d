//! Trees of files for the tests, and a layout in a form that is easy to compare.

use std::fs;
use std::path::{Path, PathBuf};

use nova_router::layout::{Layout, LayoutOptions};
use tempfile::TempDir;

/// A directory that is removed at the end of the test.
pub(crate) struct Tree {
    directory: TempDir,
}

impl Tree {
    /// Files with a line of text each.
    pub(crate) fn new(files: &[&str]) -> Self {
        let tree = Self { directory: tempfile::tempdir().expect("a temporary directory") };
        for file in files {
            tree.write(file, "class C {}\n");
        }
        tree
    }

    /// Where `relative` lies; symbolic links above the tree are resolved.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        let root = fs::canonicalize(self.directory.path()).expect("the tree exists");
        if relative.is_empty() { root } else { root.join(relative) }
    }

    pub(crate) fn write(&self, relative: &str, text: &str) {
        write(&self.path(relative), text);
    }

    /// The layout with this tree as the only root.
    pub(crate) fn layout(&self) -> Layout {
        self.layout_of(&[""])
    }

    /// The layout with these directories of the tree as roots.
    pub(crate) fn layout_of(&self, roots: &[&str]) -> Layout {
        let roots: Vec<PathBuf> = roots.iter().map(|root| self.path(root)).collect();
        Layout::discover(&roots, &LayoutOptions::default()).expect("a layout")
    }
}

pub(crate) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
    fs::write(path, text).expect("a file");
}

/// `source root: file`, in the layout's order.
pub(crate) fn files(layout: &Layout) -> Vec<String> {
    let line = |source_root: &str, path: &str| format!("{source_root}: {path}");
    let of = |shard: &nova_router::layout::Shard| -> Vec<String> {
        shard.files.iter().map(|file| line(&shard.source_root, &file.path)).collect()
    };
    layout.shards.iter().flat_map(of).collect()
}

/// `reason: path` of what was skipped.
pub(crate) fn skipped(layout: &Layout) -> Vec<String> {
    layout.skipped.iter().map(|s| format!("{}: {}", s.reason.code(), s.path)).collect()
}

/// `reason: path` of what was left out.
pub(crate) fn left_out(layout: &Layout) -> Vec<String> {
    layout.left_out.iter().map(|l| format!("{}: {}", l.reason.code(), l.path)).collect()
}
