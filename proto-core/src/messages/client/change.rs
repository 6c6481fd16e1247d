//! What a client tells: files that have changed on disk, and texts that are not saved.

use serde::{Deserialize, Serialize};

use super::MAX_DETAIL;
use crate::bounded;
use crate::messages::MAX_PATH;
use crate::messages::codec::Method;

/// Most paths in one notice, and most files in a list of skipped ones.
pub const MAX_CHANGES: usize = 4096;

/// Files or directories that may have changed on disk, have come or are gone; answered when searches see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyChanges<'a> {
    /// Absolute paths.
    #[serde(borrow, deserialize_with = "bounded::list::<_, _, MAX_CHANGES>")]
    pub paths: Vec<&'a str>,
}

impl Method for NotifyChanges<'_> {
    const NUMBER: u16 = 0x0602;
    const REPLY_MAX: u32 = 2 * 1024 * 1024;
    type Reply<'a> = ChangeReply;
}

/// A file has an unsaved text from now on; again for each further edit. It counts until [`CloseOverlay`] or the end of the
/// connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOverlay<'a> {
    /// The file's absolute path; it need not be there yet.
    #[serde(borrow, deserialize_with = "bounded::borrowed_text::<_, MAX_PATH>")]
    pub path: &'a str,
    /// All of its text.
    pub text: &'a str,
}

impl Method for OpenOverlay<'_> {
    const NUMBER: u16 = 0x0603;
    const REPLY_MAX: u32 = 16 * 1024;
    type Reply<'a> = ChangeReply;
}

/// A file has no unsaved text of this client any more: what is on disk counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseOverlay<'a> {
    /// The file's absolute path.
    #[serde(borrow, deserialize_with = "bounded::borrowed_text::<_, MAX_PATH>")]
    pub path: &'a str,
}

impl Method for CloseOverlay<'_> {
    const NUMBER: u16 = 0x0604;
    const REPLY_MAX: u32 = 16 * 1024;
    type Reply<'a> = ChangeReply;
}

/// What became of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeReply {
    /// Files that were looked at.
    pub files: u32,
    /// Of these, how many wait for a worker: it gets them when it connects.
    pub waiting: u32,
    /// Of these, how many cannot be indexed.
    pub skipped: u32,
    /// The first of the skipped ones, as many as there is room for.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_CHANGES>")]
    pub first: Vec<SkippedEntry>,
}

/// A file that is not indexed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedEntry {
    /// Its root's number.
    pub root: u32,
    /// Path below the root, with `/`.
    #[serde(deserialize_with = "bounded::text::<_, MAX_PATH>")]
    pub path: String,
    /// Why: a stable name for programs.
    #[serde(deserialize_with = "bounded::text::<_, 32>")]
    pub reason: String,
    /// Why, for people.
    #[serde(deserialize_with = "bounded::text::<_, MAX_DETAIL>")]
    pub detail: String,
}
