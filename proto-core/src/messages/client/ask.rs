//! What a client asks for: symbols, and an index that is current.

use serde::{Deserialize, Serialize};

use super::MAX_DETAIL;
use crate::bounded;
use crate::config::SMALL_BODY;
use crate::messages::codec::Method;
use crate::messages::search::listed_files;
use crate::messages::{ListedFile, MAX_HITS, MAX_QUERY, SymbolHit};

/// Longest time that a search may be given, in milliseconds.
pub const MAX_SEARCH_MS: u32 = 60_000;

/// The best matches in the whole workspace, of what is there now. An answer that would be longer than the request allows is
/// cut, and says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindSymbols {
    /// What to look for; see the specification of queries.
    #[serde(deserialize_with = "bounded::text::<_, MAX_QUERY>")]
    pub query: String,
    /// One bit for each kind that may be found, by its number; at least one.
    pub kinds: u16,
    /// How many hits at most; up to 10,000.
    pub limit: u32,
    /// When to answer with what is there, if there is anything, in milliseconds; at most [`MAX_SEARCH_MS`].
    pub soft_ms: u32,
    /// When to answer in any case, in milliseconds; at most [`MAX_SEARCH_MS`].
    pub hard_ms: u32,
}

impl Method for FindSymbols {
    const NUMBER: u16 = 0x0600;
    const REPLY_MAX: u32 = 16 * 1024 * 1024;
    type Reply<'a> = FindReply;
}

/// What was found, and how much of the workspace was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindReply {
    /// The best matches, in order.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_HITS>")]
    pub hits: Vec<FoundSymbol>,
    /// Whether there are, or may be, more matches than these.
    pub truncated: bool,
    /// What the answer rests on.
    pub shards: AnsweredShards,
    /// How many files are indexed, or will be.
    pub files: u64,
    /// How many files are not, because they cannot be read.
    pub skipped: u64,
}

/// One match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundSymbol {
    /// Its root's number: the place among the roots of [`RouterStatus`](super::RouterStatus).
    pub root: u32,
    /// The symbol.
    pub symbol: SymbolHit,
}

/// How many shards there are, and how they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredShards {
    /// All.
    pub total: u32,
    /// Those that answered.
    pub answered: u32,
    /// Those that answered from an index that is not known to be current.
    pub warming: u32,
    /// Those that did not answer.
    pub failed: u32,
}

/// Waits until every shard is ready or has failed, or waits for a worker that nobody is about to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexWorkspace {
    /// Whether to look for changes on disk first.
    pub look: bool,
}

impl Method for IndexWorkspace {
    const NUMBER: u16 = 0x0601;
    const REPLY_MAX: u32 = SMALL_BODY;
    type Reply<'a> = IndexReply;
}

/// How the workspace is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexReply {
    /// How many shards there are.
    pub total: u32,
    /// Those that are ready.
    pub ready: u32,
    /// Those that have failed.
    pub failed: u32,
    /// How many files are indexed, or will be.
    pub files: u64,
    /// How many files are not, because they cannot be read.
    pub skipped: u64,
    /// Why the first shard that is not ready is not, for people; empty if all are.
    #[serde(deserialize_with = "bounded::text::<_, MAX_DETAIL>")]
    pub problem: String,
}

/// All symbols, a page at a time, in the order of roots, paths and then of the source. A client has one listing at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListWorkspace {
    /// Whether to begin anew; else to go on.
    pub begin: bool,
}

impl Method for ListWorkspace {
    const NUMBER: u16 = 0x0605;
    const REPLY_MAX: u32 = 16 * 1024 * 1024;
    type Reply<'a> = ListReply<'a>;
}

/// A page of a listing: files of one root, at most 65,536 symbols.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListReply<'a> {
    /// The root's number.
    pub root: u32,
    /// Files with symbols, in order.
    #[serde(borrow, deserialize_with = "listed_files")]
    pub files: Vec<ListedFile<'a>>,
    /// Whether symbols may follow.
    pub more: bool,
}
