//! Why a file or directory is not part of the layout.

use std::fmt;
use std::io;

/// A file or directory that should have been read and could not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Index into [`Layout::roots`](super::Layout::roots).
    pub root: usize,
    /// Path below that root, with `/`; not exact where it is not UTF-8. Empty for the root itself.
    pub path: String,
    /// What stood in the way.
    pub reason: SkipReason,
}

/// What stands in the way of reading a file or directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SkipReason {
    /// The file is larger than the limit.
    TooLarge {
        /// Its size in bytes, as far as known.
        size: u64,
        /// The limit in force.
        limit: u64,
    },
    /// The content is not UTF-8.
    NotUtf8 {
        /// Offset of the first wrong byte.
        offset: u64,
    },
    /// The path is not UTF-8, so that it cannot be named in an answer.
    PathNotUtf8,
    /// A symbolic link; links are not followed.
    Symlink,
    /// Neither a regular file nor a directory: a pipe, a socket, a device.
    NotAFile,
    /// It was there a moment ago.
    Vanished,
    /// A worker could not index it.
    NotIndexed {
        /// What it said.
        detail: Box<str>,
    },
    /// The operating system refused.
    Unreadable {
        /// What it said.
        detail: Box<str>,
    },
}

impl SkipReason {
    /// A stable name for programs to compare.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::PathNotUtf8 => "path_not_utf8",
            Self::Symlink => "symlink",
            Self::NotAFile => "not_a_file",
            Self::Vanished => "vanished",
            Self::NotIndexed { .. } => "not_indexed",
            Self::Unreadable { .. } => "unreadable",
        }
    }
}

impl From<io::Error> for SkipReason {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // NotADirectory: a directory on the way was replaced by a file.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Vanished,
            _ => Self::Unreadable { detail: error.to_string().into_boxed_str() },
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { size, limit } => write!(f, "{size} bytes, more than the limit of {limit}"),
            Self::NotUtf8 { offset } => write!(f, "not UTF-8 from byte {offset}"),
            Self::PathNotUtf8 => f.write_str("the path is not UTF-8"),
            Self::Symlink => f.write_str("symbolic link, not followed"),
            Self::NotAFile => f.write_str("not a regular file"),
            Self::Vanished => f.write_str("vanished while being read"),
            Self::NotIndexed { detail } => write!(f, "not indexed: {detail}"),
            Self::Unreadable { detail } => write!(f, "cannot be read: {detail}"),
        }
    }
}

/// A file or directory that the rules exclude.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// Index into [`Layout::roots`](super::Layout::roots).
    pub root: usize,
    /// Path below that root, with `/`; not exact where it is not UTF-8.
    pub path: String,
    /// The rule.
    pub reason: LeftOutReason,
}

/// The rule that excludes a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LeftOutReason {
    /// The name begins with a dot.
    Hidden,
    /// The output of a build, beside the build file.
    BuildOutput,
    /// `node_modules`.
    NodeModules,
    /// Excluded by a `.gitignore`.
    Ignored,
}

impl LeftOutReason {
    /// A stable name for programs to compare.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::BuildOutput => "build_output",
            Self::NodeModules => "node_modules",
            Self::Ignored => "ignored",
        }
    }
}

impl fmt::Display for LeftOutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hidden => "hidden",
            Self::BuildOutput => "build output",
            Self::NodeModules => "packages of npm",
            Self::Ignored => "excluded by .gitignore",
        })
    }
}
