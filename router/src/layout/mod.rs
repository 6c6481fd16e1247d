//! Which files belong to the workspace, and which shard each belongs to.
//!
//! [`Layout::discover`] walks the directories given as roots and returns every Java file below them in
//! exactly one [`Shard`]. A shard is a source root (the directory package names are counted from), or one
//! part of it where it is large; files that no recognised source root claims form a residual shard of
//! their given root. The module [`classify`] holds the rules about names as pure functions.
//!
//! # What is a source root
//!
//! * a directory that holds `module-info.java`;
//! * `src/<set>/java` (Maven, Gradle; also `java11` and the like for multi-release sources), with or
//!   without a build file;
//! * `<module>/{share,unix,linux,windows,macosx,aix}/classes`, the tree of the JDK's repository;
//! * `src` beside `build.xml` or `.classpath`, unless Maven's or Gradle's file lies there too.
//!
//! The deepest recognised source root owns a file. `package` lines are not read: a wrong guess only moves
//! a file to another shard, it never loses a symbol, and opening every file would cost far more than the
//! whole walk.
//!
//! # What is left out on purpose ([`Layout::left_out`])
//!
//! * names that begin with a dot, anywhere;
//! * build output, see [`classify::is_build_output`]. Generated sources below it are left out as well:
//!   they come and go with builds. Who wants them gives them as a root of their own, for example
//!   `--root target/generated-sources/annotations`; a given root is walked wherever it lies;
//! * `node_modules`;
//! * what a `.gitignore` at or below the given root excludes. Files above a given root, and git's own
//!   configuration, do not count, so that a root is walked the same way wherever it is checked out.
//!
//! Only the first of these holds *inside* a source root, where `build` and `target` are packages and an
//! unanchored `build/` in a `.gitignore` would hide them. A project's build file at or below a source root
//! ends that protection, so that a directory that merely looks like a source root cannot switch the rules off
//! for whole projects inside it.
//!
//! # What could not be used ([`Layout::skipped`])
//!
//! Files that are too large, unreadable, not regular files or whose path is not UTF-8, and symbolic links.
//! Links are not followed: they lead to cycles and to files seen twice. Nothing of this is fatal.

pub mod classify;
mod ignore_rules;
mod queue;
mod read;
mod roots;
mod shards;
mod skip;
mod walk;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub(crate) use read::read_described;
pub use read::read_source;
pub use shards::{ShardKey, part_of, parts_for};
pub use skip::{LeftOut, LeftOutReason, SkipReason, Skipped};

/// Files above this size are skipped unless the options say otherwise: 8 MiB.
pub const DEFAULT_MAX_FILE_BYTES: u64 = 8 << 20;

/// A source root with more files than this is split into parts.
pub const FILES_PER_SHARD: usize = 2048;

/// How to discover a layout; [`LayoutOptions::default`] suits most callers.
#[derive(Clone, Copy)]
pub struct LayoutOptions<'a> {
    /// Larger files are skipped and named.
    pub max_file_bytes: u64,
    /// Threads that walk, the calling one included; zero counts as one.
    pub threads: usize,
    /// Asked now and then, from every walking thread; `true` ends the walk with
    /// [`LayoutError::Cancelled`].
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
    /// Only the directories that lead to this one are entered, and this one itself. Default: all are.
    pub only: Option<&'a Path>,
    /// Told the number of Java files found so far, from every walking thread.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

impl Default for LayoutOptions<'_> {
    fn default() -> Self {
        Self {
            max_file_bytes: DEFAULT_MAX_FILE_BYTES,
            threads: std::thread::available_parallelism().map_or(1, |n| n.get().min(4)),
            cancelled: &|| false,
            only: None,
            progress: &|_| {},
        }
    }
}

impl fmt::Debug for LayoutOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayoutOptions")
            .field("max_file_bytes", &self.max_file_bytes)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// Why no layout could be made. Everything below a root is reported as [`Skipped`] instead.
#[derive(Debug, Error)]
pub enum LayoutError {
    /// The list of roots is empty.
    #[error("no workspace root given; name the directory of your Java code with --root DIR")]
    NoRoots,
    /// A root does not exist.
    #[error("the root {} does not exist; check the path given with --root", path.display())]
    RootMissing {
        /// The root as given.
        path: PathBuf,
    },
    /// A root is a file.
    #[error("the root {} is not a directory; give the directory that holds the Java code", path.display())]
    RootNotADirectory {
        /// The root as given.
        path: PathBuf,
    },
    /// A root exists and cannot be listed.
    #[error("the root {} cannot be read ({source}); check its permissions or leave it out", path.display())]
    RootUnreadable {
        /// The root as given.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// [`LayoutOptions::cancelled`] answered `true`.
    #[error("the walk was cancelled")]
    Cancelled,
}

/// When a file was last modified, as the file system tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mtime {
    /// Whole seconds since 1970, rounded down; negative before.
    pub seconds: i64,
    /// Nanoseconds past `seconds`.
    pub nanos: u32,
}

/// One Java file of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Path below the given root, with `/` on every system.
    pub path: Box<str>,
    /// Size in bytes at the time of the walk; reading must not rely on it.
    pub size: u64,
    /// Time of the last modification; zero where the file system has none.
    pub mtime: Mtime,
}

/// A set of files that is indexed and queried as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Names this shard across runs.
    pub key: ShardKey,
    /// Index into [`Layout::roots`].
    pub root: usize,
    /// Path of the source root below the given root, with `/`; empty for the given root itself, which
    /// also holds what no source root claims.
    pub source_root: String,
    /// Which part of the source root this is, below `parts`.
    pub part: u32,
    /// Into how many parts the source root is split; a power of two.
    pub parts: u32,
    /// The files, sorted by the bytes of their path; never empty.
    pub files: Vec<FileEntry>,
}

/// The files of a workspace and their shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The given roots, canonical, without duplicates, sorted by their bytes.
    pub roots: Vec<PathBuf>,
    /// Sorted by given root, source root and part; a shard's number is its index here.
    pub shards: Vec<Shard>,
    /// What should have been read and could not be; sorted.
    pub skipped: Vec<Skipped>,
    /// What the rules exclude; sorted.
    pub left_out: Vec<LeftOut>,
}

impl Layout {
    /// The roots of a layout of these directories: canonical, without duplicates, sorted by their bytes.
    ///
    /// # Errors
    /// If one is missing, is no directory or cannot be listed.
    pub fn canonical_roots(roots: &[PathBuf]) -> Result<Vec<PathBuf>, LayoutError> {
        roots::resolve(roots)
    }

    /// Walks `roots` and assigns every Java file below them to one shard.
    ///
    /// The result depends on the files alone, not on the order of `roots`, the order in which directories
    /// list their entries or the number of threads. A file below two roots belongs to the longer one.
    pub fn discover(roots: &[PathBuf], options: &LayoutOptions<'_>) -> Result<Self, LayoutError> {
        let roots = roots::resolve(roots)?;
        let found = walk::walk(&roots, options)?;
        Ok(shards::assemble(roots, found))
    }

    /// Number of files in all shards.
    #[must_use]
    pub fn file_count(&self) -> usize {
        self.shards.iter().map(|shard| shard.files.len()).sum()
    }

    /// Where `file` of `shard` lies on disk.
    #[must_use]
    pub fn absolute_path(&self, shard: &Shard, file: &FileEntry) -> PathBuf {
        join(&self.roots[shard.root], &file.path)
    }
}

/// Joins component by component, as `/` need not be what the system separates with.
pub(crate) fn join(root: &Path, relative: &str) -> PathBuf {
    let mut path = PathBuf::with_capacity(root.as_os_str().len() + 1 + relative.len());
    path.push(root);
    path.extend(relative.split('/'));
    path
}
