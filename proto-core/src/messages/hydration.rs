//! Bringing a shard to the content that the router wants: for cold start, warm start and after a crash alike.
//!
//! `SyncShard` begins, `SyncPage`s say what the shard should hold, the worker answers what it lacks, `LoadFiles` brings
//! it, `IndexShard` commits. `UpdateFile` and `RemoveFiles` change single files, at any time.

use serde::{Deserialize, Serialize};

use super::MAX_PATH;
use super::codec::Method;
use super::hello::ranges;
use crate::bounded;
use crate::config::SMALL_BODY;

/// BLAKE3, cut to 16 bytes.
pub type Digest = [u8; 16];

/// Most entries in a manifest page.
const MAX_PAGE: usize = 16_384;

/// Longest reason why a file cannot be indexed, in bytes.
pub const MAX_REASON: usize = 128;

/// Most files in one `LoadFiles`.
const MAX_BATCH: usize = 4096;

/// Begins a sync: whatever sync of this shard was under way is superseded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncShard {
    /// The shard, on this connection.
    pub shard: u32,
    /// The shard, for ever.
    pub key: [u8; 16],
    /// The router's run.
    pub epoch: u64,
    /// Names this sync; above all earlier ones of this shard and epoch.
    pub sync: u64,
    /// The revision at which the manifest is taken: what it does not name and has no higher revision is gone.
    pub rev: u64,
    /// How many files the shard should hold.
    pub files: u32,
    /// The digest of the manifest, if the router knows all content hashes.
    pub digest: Option<Digest>,
}

impl Method for SyncShard {
    const NUMBER: u16 = 0x0100;
    const REPLY_MAX: u32 = SMALL_BODY;
    type Reply<'a> = SyncReply;
}

/// What the worker needs to get there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyncReply {
    /// Nothing: its index is of exactly this manifest.
    Current(ShardCounters),
    /// The manifest.
    SendPages {
        /// Whether content hashes can save a transfer; without them the worker asks for every file.
        hashes: bool,
    },
}

/// A part of the manifest. Pages follow each other without gaps, sorted by the bytes of their paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncPage<'a> {
    /// The shard.
    pub shard: u32,
    /// The sync.
    pub sync: u64,
    /// What the shard should hold.
    #[serde(borrow)]
    pub page: ManifestPage<'a>,
}

impl Method for SyncPage<'_> {
    const NUMBER: u16 = 0x0103;
    const REPLY_MAX: u32 = 256 * 1024;
    type Reply<'a> = PageReply;
}

/// Consecutive entries of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestPage<'a> {
    /// The number of the first entry.
    pub first: u32,
    /// The entries.
    #[serde(borrow, deserialize_with = "bounded::list::<_, _, MAX_PAGE>")]
    pub entries: Vec<ManifestEntry<'a>>,
}

/// One file that the shard should hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry<'a> {
    /// Path below the root, with `/`.
    #[serde(borrow, deserialize_with = "bounded::borrowed_text::<_, MAX_PATH>")]
    pub path: &'a str,
    /// Its content's hash, if known.
    pub hash: Option<Digest>,
}

/// What the worker lacks of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageReply {
    /// Numbers of entries, as ascending ranges of first and count.
    #[serde(deserialize_with = "ranges::<_, _, MAX_PAGE>")]
    pub wanted: Vec<(u32, u32)>,
}

/// Files for a sync, in any order; each counts as sent, and sending one again does no harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadFiles<'a> {
    /// The shard.
    pub shard: u32,
    /// The sync.
    pub sync: u64,
    /// The files.
    #[serde(borrow)]
    pub files: FileBatch<'a>,
}

impl Method for LoadFiles<'_> {
    const NUMBER: u16 = 0x0101;
    const REPLY_MAX: u32 = SMALL_BODY;
    type Reply<'a> = LoadReply;
}

/// Some files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileBatch<'a>(
    #[serde(borrow, deserialize_with = "bounded::list::<_, _, MAX_BATCH>")] pub Vec<LoadedFile<'a>>,
);

/// One file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedFile<'a> {
    /// Its number in the manifest.
    pub entry: u32,
    /// The revision at which the router took it.
    pub rev: u64,
    /// What it holds.
    #[serde(borrow)]
    pub content: Content<'a>,
}

/// What is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content<'a> {
    /// Its text.
    Text(&'a str),
    /// It is not there any more.
    Gone,
    /// It cannot be indexed, for this reason, which is for people.
    Skipped(#[serde(borrow, deserialize_with = "bounded::borrowed_text::<_, MAX_REASON>")] &'a str),
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReply {
    /// Files taken.
    pub files: u32,
    /// Symbols found in them.
    pub symbols: u64,
}

/// Commits a sync: all at once, or, with an error, not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexShard {
    /// The shard.
    pub shard: u32,
    /// The sync.
    pub sync: u64,
}

impl Method for IndexShard {
    const NUMBER: u16 = 0x0102;
    const REPLY_MAX: u32 = SMALL_BODY;
    type Reply<'a> = ShardCounters;
}

/// What a shard holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardCounters {
    /// The router's run in which it was built.
    pub epoch: u64,
    /// The highest revision applied.
    pub revision: u64,
    /// How many times the published index has changed.
    pub generation: u64,
    /// Files.
    pub files: u32,
    /// Symbols.
    pub symbols: u64,
    /// The digest of its manifest: BLAKE3 over path, zero byte and content hash of each file, sorted by path. Zeros
    /// if it has changed since the last commit.
    pub digest: Digest,
}

/// One file has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateFile<'a> {
    /// The shard.
    pub shard: u32,
    /// The router's run.
    pub epoch: u64,
    /// The revision of this change: of several for one path the highest wins, in whatever order they come.
    pub rev: u64,
    /// Path below the root, with `/`.
    #[serde(borrow, deserialize_with = "bounded::borrowed_text::<_, MAX_PATH>")]
    pub path: &'a str,
    /// The whole new text.
    pub text: &'a str,
}

impl Method for UpdateFile<'_> {
    const NUMBER: u16 = 0x0200;
    const REPLY_MAX: u32 = SMALL_BODY;
    type Reply<'a> = UpdateReply;
}

/// Files are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveFiles<'a> {
    /// The shard.
    pub shard: u32,
    /// The router's run.
    pub epoch: u64,
    /// The revision of this change.
    pub rev: u64,
    /// Paths below the root, with `/`.
    #[serde(borrow, deserialize_with = "bounded::list::<_, _, MAX_BATCH>")]
    pub paths: Vec<&'a str>,
}

impl Method for RemoveFiles<'_> {
    const NUMBER: u16 = 0x0201;
    const REPLY_MAX: u32 = SMALL_BODY;
    type Reply<'a> = UpdateReply;
}

/// The shard after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateReply {
    /// How many of the paths named were changed; the others had a higher revision already.
    pub applied: u32,
    /// The shard now.
    pub counters: ShardCounters,
}
