//! Asks every shard at once and merges exactly.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use nova_proto_core::messages::{
    Found, SearchReply, SearchSymbols, ShardRange, SymbolHit, SymbolKind, call, merge, reply, shard_ranges,
};
use nova_proto_core::{Call, ErrorCode};
use nova_transport_tokio::Handle;

use super::Shared;

/// How a search is made.
#[derive(Debug, Clone)]
pub struct SearchOptions {
    /// How many hits at most; up to 10,000. Default 50.
    pub limit: u32,
    /// The kinds that may be found; empty for all.
    pub kinds: Vec<SymbolKind>,
    /// Longest wait for a worker; what is not there then counts as failed. Default 10 s.
    pub deadline: Duration,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self { limit: 50, kinds: Vec::new(), deadline: Duration::from_secs(10) }
    }
}

/// What a search found, and how much of the workspace it saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchAnswer {
    /// The best matches, best first.
    pub hits: Vec<SearchHit>,
    /// How many shards the answer rests on.
    pub shards: ShardCounts,
    /// Whether there are, or may be, more matches than these.
    pub truncated: bool,
    /// Why the query itself is wrong, if it is.
    pub invalid: Option<String>,
}

/// One match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchHit {
    /// Which of the layout's roots it is below.
    pub root: usize,
    /// The symbol.
    pub symbol: SymbolHit,
}

/// How many shards there are, and how they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardCounts {
    /// All.
    pub total: u32,
    /// Those that answered.
    pub answered: u32,
    /// Those that answered from an index that is not known to be current yet.
    pub warming: u32,
    /// Those that did not answer.
    pub failed: u32,
}

/// One question: to one worker, about its shards of one root, so that the hits need not name their root.
struct Question {
    root: usize,
    shards: u32,
    handle: Handle,
    call: Call,
}

pub(super) async fn search(shared: &Shared, query: &str, options: &SearchOptions) -> SearchAnswer {
    let questions = questions(shared, query, options);
    let total = u32::try_from(shared.table.len()).unwrap_or(u32::MAX);
    let mut answer =
        SearchAnswer { shards: ShardCounts { total, ..ShardCounts::default() }, ..SearchAnswer::default() };
    let mut replies = Vec::new();
    for outcome in join_all(questions.into_iter().map(ask)).await {
        match outcome {
            Ok((root, shards, reply)) => {
                answer.shards.answered += shards;
                answer.shards.warming += reply.warming.iter().map(|range| range.count).sum::<u32>();
                replies.push((root, Found { hits: reply.hits, truncated: reply.truncated }));
            }
            Err(Some(invalid)) => answer.invalid = Some(invalid),
            Err(None) => {}
        }
    }
    answer.shards.failed = total - answer.shards.answered;
    let merged = merge(replies, options.limit as usize);
    answer.truncated = merged.truncated;
    answer.hits = merged.hits.into_iter().map(|(root, symbol)| SearchHit { root, symbol }).collect();
    answer
}

fn questions(shared: &Shared, query: &str, options: &SearchOptions) -> Vec<Question> {
    let mut groups: BTreeMap<(u64, usize), (Handle, Vec<u32>)> = BTreeMap::new();
    for reachable in shared.table.reachable() {
        let root = shared.layout.shards[reachable.shard as usize].root;
        let group = groups.entry((reachable.worker, root));
        group.or_insert_with(|| (reachable.handle.clone(), Vec::new())).1.push(reachable.shard);
    }
    let kinds = if options.kinds.is_empty() { &SymbolKind::ALL[..] } else { &options.kinds[..] };
    let kinds = kinds.iter().fold(0, |bits, kind| bits | 1_u16 << (*kind as u8));
    let question = |((_, root), (handle, shards)): ((u64, usize), (Handle, Vec<u32>))| {
        let count = u32::try_from(shards.len()).unwrap_or(u32::MAX);
        let ranges: Vec<ShardRange> = shard_ranges(shards)?;
        let request = SearchSymbols { shards: ranges, query: query.to_owned(), kinds, limit: options.limit };
        let call = Call { timeout: Some(options.deadline), ..call(&request) };
        Some(Question { root, shards: count, handle, call })
    };
    // A worker's claim has no more ranges than a search may have, so none is left out.
    groups.into_iter().filter_map(question).collect()
}

/// `Err` says why the query is wrong, or nothing if it is the worker that failed.
async fn ask(question: Question) -> Result<(usize, u32, SearchReply), Option<String>> {
    let Question { root, shards, handle, call } = question;
    let failed = |error: &dyn std::fmt::Display| {
        tracing::warn!(shards, %error, "a worker did not answer a search");
        None
    };
    let body = handle.call(call).map_err(|error| failed(&error))?.await.map_err(|error| match error {
        nova_proto_core::CallError::Remote(error) if error.code == ErrorCode::INVALID => Some(error.message),
        error => failed(&error),
    })?;
    let reply = reply::<SearchSymbols>(&body).map_err(|error| failed(&error))?;
    Ok((root, shards, reply))
}
