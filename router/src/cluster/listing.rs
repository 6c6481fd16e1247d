//! All symbols of the workspace, in order, without holding more than a page of each shard; the more shards a root has, the
//! smaller the pages.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use nova_proto_core::Call;
use nova_proto_core::messages::{ListSymbols, ListedSymbol, SymbolPage, call, reply};
use nova_transport_tokio::Handle;

use super::shell::Shared;
use crate::coordinator::{Event, WorkerId};

/// Symbols in one page at most, in all pages of a root, and in one page at least.
const PAGE: u32 = 8192;
const ALL_PAGES: u32 = 65_536;
const SMALLEST_PAGE: u32 = 64;

/// How many symbols a page has if there is one of each of so many shards.
fn page_of(shards: usize) -> u32 {
    let shards = u32::try_from(shards).unwrap_or(u32::MAX).max(1);
    (ALL_PAGES / shards).clamp(SMALLEST_PAGE, PAGE)
}

/// Longest wait for a page.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Why a listing is not complete.
#[derive(Debug, Clone, thiserror::Error)]
#[error("shard {shard} cannot be listed: {reason}")]
pub struct ListError {
    shard: u32,
    reason: String,
}

/// All symbols, file by file; see [`Router::list`](super::Router::list).
#[derive(Debug)]
pub struct ListedSymbols {
    shared: Arc<Shared>,
    /// Of every shard, its root.
    shards: Vec<usize>,
    roots: usize,
    /// The root whose files come now.
    root: usize,
    /// Its shards, the one with the first file on top.
    heads: Option<BinaryHeap<Reverse<Head>>>,
}

/// A shard and its next file.
#[derive(Debug)]
struct Head {
    path: String,
    symbols: Vec<ListedSymbol>,
    cursor: Cursor,
}

/// Where a shard's listing stands.
#[derive(Debug)]
struct Cursor {
    shared: Arc<Shared>,
    shard: u32,
    worker: WorkerId,
    handle: Handle,
    page: VecDeque<(String, Vec<ListedSymbol>)>,
    from: String,
    skip: u32,
    /// Symbols in a page.
    limit: u32,
    more: bool,
}

impl ListedSymbols {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (shards, roots) = shared.with(|coordinator| {
            let desired = coordinator.desired();
            (desired.shards().map(|shard| shard.info.root).collect(), desired.roots().len())
        });
        Self { shared, shards, roots, root: 0, heads: None }
    }

    /// The next file with symbols, or the next part of one with very many: its root's number, its path and its symbols.
    ///
    /// # Errors
    /// If a shard is not served, or its worker fails.
    pub async fn next(&mut self) -> Result<Option<(usize, String, Vec<ListedSymbol>)>, ListError> {
        while self.root < self.roots {
            if self.heads.is_none() {
                self.heads = Some(self.open_root().await?);
            }
            if let Some(Reverse(head)) = self.heads.as_mut().and_then(BinaryHeap::pop) {
                if let Some(next) = head.cursor.next().await? {
                    self.heads.get_or_insert_default().push(Reverse(next));
                }
                return Ok(Some((self.root, head.path, head.symbols)));
            }
            self.heads = None;
            self.root += 1;
        }
        Ok(None)
    }

    async fn open_root(&self) -> Result<BinaryHeap<Reverse<Head>>, ListError> {
        let mut reachable = self.shared.reachable().into_iter().peekable();
        let mut heads = BinaryHeap::new();
        let limit = page_of(self.shards.iter().filter(|root| **root == self.root).count());
        for (shard, _) in (0..).zip(&self.shards).filter(|(_, root)| **root == self.root) {
            while reachable.next_if(|(reachable, ..)| *reachable < shard).is_some() {}
            let Some((_, worker, handle)) = reachable.next_if(|(reachable, ..)| *reachable == shard) else {
                return Err(ListError { shard, reason: "no worker serves it".to_owned() });
            };
            let cursor = Cursor {
                shared: Arc::clone(&self.shared),
                shard,
                worker,
                handle,
                page: VecDeque::new(),
                from: String::new(),
                skip: 0,
                limit,
                more: true,
            };
            heads.extend(cursor.next().await?.map(Reverse));
        }
        Ok(heads)
    }
}

impl Cursor {
    /// The shard's next file, with this cursor behind it.
    async fn next(mut self) -> Result<Option<Head>, ListError> {
        while self.page.is_empty() && self.more {
            self.fetch().await?;
        }
        Ok(self.page.pop_front().map(|(path, symbols)| Head { path, symbols, cursor: self }))
    }

    async fn fetch(&mut self) -> Result<(), ListError> {
        let shard = self.shard;
        let error = |reason: String| ListError { shard, reason };
        let request = ListSymbols { shard, from: &self.from, skip: self.skip, limit: self.limit };
        let call = Call { timeout: Some(ANSWER_WITHIN), ..call(&request) };
        let pending = self.handle.call(call).map_err(|failed| error(failed.to_string()))?;
        let body = pending.await.map_err(|failed| error(failed.to_string()))?;
        let page = reply::<ListSymbols<'_>>(&body).map_err(|failed| error(failed.to_string()))?;
        if let Err(lie) = self.check(&page) {
            self.shared.post(Event::Lied(self.worker, lie.to_owned()));
            return Err(error(lie.to_owned()));
        }
        if let Some(last) = page.files.last() {
            let known = if last.path == self.from { self.skip } else { 0 };
            let count = u32::try_from(last.symbols.len()).unwrap_or(u32::MAX);
            (self.from, self.skip) = (last.path.to_owned(), known.saturating_add(count));
        }
        self.more = page.more;
        self.page = page.files.into_iter().map(|file| (file.path.to_owned(), file.symbols)).collect();
        Ok(())
    }
}

/// What cannot be true of a page: what follows another has to come behind it, and has to end some day.
impl Cursor {
    fn check(&self, page: &SymbolPage<'_>) -> Result<(), &'static str> {
        if page.files.iter().map(|file| file.symbols.len()).sum::<usize>() > self.limit as usize {
            return Err("its worker sends larger pages than were asked for");
        }
        let begins = page.files.first().is_none_or(|file| *file.path >= *self.from);
        if !begins || !page.files.is_sorted_by(|a, b| a.path < b.path) {
            return Err("its worker sends pages out of order");
        }
        let last = page.files.last();
        if page.more && last.is_none_or(|file| *file.path == *self.from && file.symbols.is_empty()) {
            return Err("its worker sends pages without an end");
        }
        Ok(())
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.path.cmp(&other.path)
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_the_smaller_the_more_shards_there_are() {
        for shards in [1, 8, 9, 100, 1000] {
            assert!(page_of(shards) as usize * shards <= ALL_PAGES as usize, "{shards}");
        }
        assert_eq!((page_of(0), page_of(1), page_of(16), page_of(1_000_000)), (8192, 8192, 4096, 64));
    }
}
