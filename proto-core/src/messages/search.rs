//! Asking for symbols.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::codec::Method;
use super::hello::{MAX_RANGES, ShardRange, ranges};
use super::{MAX_HITS, MAX_PATH, MAX_QUERY, SymbolHit, SymbolKind};
use crate::bounded::{self, AtMost};

/// Most symbols in a page of a listing.
const MAX_LISTED: usize = 65_536;

/// The best matches in some of the worker's shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchSymbols {
    /// Where to look, as ascending ranges; all of them shards of this worker.
    #[serde(deserialize_with = "ranges::<_, _, MAX_RANGES>")]
    pub shards: Vec<ShardRange>,
    /// What to look for; see the specification of queries.
    #[serde(deserialize_with = "bounded::text::<_, MAX_QUERY>")]
    pub query: String,
    /// One bit for each kind that may be found, by its number.
    pub kinds: u16,
    /// How many hits at most; up to 10,000.
    pub limit: u32,
}

impl Method for SearchSymbols {
    const NUMBER: u16 = 0x0300;
    const REPLY_MAX: u32 = 16 * 1024 * 1024;
    type Reply<'a> = SearchReply;
}

/// The answer: a prefix of all matches in their total order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchReply {
    /// The best matches, in order.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_HITS>")]
    pub hits: Vec<SymbolHit>,
    /// Whether there are, or may be, more matches than these.
    pub truncated: bool,
    /// Shards whose index is not known to be current yet; what they hold is in the answer.
    #[serde(deserialize_with = "ranges::<_, _, MAX_RANGES>")]
    pub warming: Vec<ShardRange>,
}

/// All symbols of a shard, page by page, in the order of their paths and then of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListSymbols<'a> {
    /// The shard.
    pub shard: u32,
    /// The file to go on with; empty to begin.
    #[serde(borrow, deserialize_with = "bounded::borrowed_text::<_, MAX_PATH>")]
    pub from: &'a str,
    /// How many symbols of that file are known already.
    pub skip: u32,
    /// How many symbols the page holds at most; from 1 to 65,536.
    pub limit: u32,
}

impl Method for ListSymbols<'_> {
    const NUMBER: u16 = 0x0301;
    const REPLY_MAX: u32 = 16 * 1024 * 1024;
    type Reply<'a> = SymbolPage<'a>;
}

/// A page of a listing: at most 65,536 symbols, in files of which each may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolPage<'a> {
    /// Files with symbols, in order.
    #[serde(borrow, deserialize_with = "listed_files")]
    pub files: Vec<ListedFile<'a>>,
    /// Whether symbols may follow.
    pub more: bool,
}

/// Some symbols of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedFile<'a> {
    /// Path below the root.
    pub path: &'a str,
    /// Its symbols, in the order of the source.
    pub symbols: Vec<ListedSymbol>,
}

/// One symbol of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedSymbol {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: SymbolKind,
    /// Package and enclosing types, joined with dots.
    pub container: String,
    /// 1-based line.
    pub line: u32,
    /// 1-based column, in UTF-16 units.
    pub column: u32,
}

/// The files of a page. Their symbols are counted together: with a bound for each file alone, a page of 16 MiB could
/// decode to 300 MiB.
pub(super) fn listed_files<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<ListedFile<'de>>, D::Error> {
    struct Files;

    impl<'de> Visitor<'de> for Files {
        type Value = Vec<ListedFile<'de>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX_LISTED} files with at most as many symbols")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let (mut files, mut room) = (Vec::new(), MAX_LISTED);
            while let Some(file) = seq.next_element_seed(File { room })? {
                if files.len() == MAX_LISTED {
                    return Err(A::Error::custom("too many files"));
                }
                room = room.saturating_sub(file.symbols.len());
                files.push(file);
            }
            Ok(files)
        }
    }

    deserializer.deserialize_seq(Files)
}

/// One file of a page that has room for so many symbols.
struct File {
    room: usize,
}

impl<'de> DeserializeSeed<'de> for File {
    type Value = ListedFile<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ListedFile<'de>, D::Error> {
        deserializer.deserialize_tuple(2, self)
    }
}

impl<'de> Visitor<'de> for File {
    type Value = ListedFile<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a path and at most {} symbols", self.room)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ListedFile<'de>, A::Error> {
        let cut = || A::Error::custom("a file is cut off");
        let path: &str = seq.next_element()?.ok_or_else(cut)?;
        if path.len() > MAX_PATH {
            return Err(A::Error::custom("path too long"));
        }
        let symbols = seq.next_element_seed(AtMost::new(self.room))?.ok_or_else(cut)?;
        Ok(ListedFile { path, symbols })
    }
}
