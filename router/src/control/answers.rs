//! What a router says to clients, as the messages that carry it. The program prints the same messages, whether they come
//! from its own router or from a running one.

use std::collections::HashMap;
use std::time::Duration;

use nova_proto_core::messages::{
    AnsweredShards, ChangeReply, FindReply, FindSymbols, FoundSymbol, IndexReply, MAX_CHANGES, MAX_DETAIL,
    MAX_HITS, MAX_PATH, MAX_ROOTS, MAX_SEARCH_MS, MAX_WORKERS, RootReport, RouterStatus, ShardPhase,
    ShardReport, SkippedEntry, SymbolKind, WorkerReport, WorkerStats,
};
use nova_proto_core::{ErrorCode, ErrorReply};

use crate::cluster::{
    ChangeError, Changed, Ready, Router, SearchAnswer, SearchError, SearchOptions, ShardState,
};
use crate::layout::{SkipReason, Skipped};

/// The best matches.
pub(crate) async fn find(router: &Router, ask: &FindSymbols) -> Result<FindReply, ErrorReply> {
    let known = SymbolKind::ALL.iter().fold(0, |bits, kind| bits | bit(*kind));
    if ask.kinds == 0 || ask.kinds & !known != 0 {
        return Err(invalid("`kinds` names no kind, or one that is not known"));
    }
    if ask.limit as usize > MAX_HITS || ask.soft_ms.max(ask.hard_ms) > MAX_SEARCH_MS {
        return Err(invalid("a search finds at most 10,000 hits, within a minute"));
    }
    let kinds = SymbolKind::ALL.into_iter().filter(|kind| ask.kinds & bit(*kind) != 0);
    let options = SearchOptions {
        limit: ask.limit,
        kinds: kinds.collect(),
        soft: Duration::from_millis(ask.soft_ms.into()),
        hard: Duration::from_millis(ask.hard_ms.into()),
        trace: None,
    };
    let SearchAnswer { hits, shards, truncated } =
        router.workspace_symbols(&ask.query, &options).await.map_err(|error| match error {
            SearchError::Query(problem) => invalid(problem),
            error => failed(&error),
        })?;
    let hits = hits.into_iter().map(|hit| FoundSymbol { root: number(hit.root), symbol: hit.symbol });
    let (total, answered, warming, failed) = (shards.total, shards.answered, shards.warming, shards.failed);
    Ok(FindReply {
        hits: hits.collect(),
        truncated,
        shards: AnsweredShards { total, answered, warming, failed },
        files: indexable(router),
        skipped: router.skipped().len() as u64,
    })
}

/// The bit of a kind in the `kinds` of a search.
pub(crate) fn bit(kind: SymbolKind) -> u16 {
    1 << (kind as u8)
}

fn indexable(router: &Router) -> u64 {
    router.file_count().saturating_sub(router.unreadable().len()) as u64
}

/// How the workspace is, in short.
pub(crate) fn index_reply(router: &Router) -> IndexReply {
    let status = router.status();
    let count =
        |wanted: ShardPhase| number(status.iter().filter(|status| phase(&status.state).0 == wanted).count());
    // A shard that has failed says more than one that waits.
    let reason = |wanted: ShardPhase| {
        status.iter().map(|status| phase(&status.state)).find_map(|(phase, reason)| {
            (phase == wanted && !reason.is_empty()).then(|| cut(reason, MAX_DETAIL))
        })
    };
    let problem = [ShardPhase::Failed, ShardPhase::Stale, ShardPhase::Waiting].into_iter().find_map(reason);
    IndexReply {
        total: number(status.len()),
        ready: count(ShardPhase::Ready),
        failed: count(ShardPhase::Failed),
        files: indexable(router),
        skipped: router.skipped().len() as u64,
        problem: problem.unwrap_or_default(),
    }
}

fn phase(state: &ShardState) -> (ShardPhase, &str) {
    match state {
        ShardState::Ready(_) => (ShardPhase::Ready, ""),
        ShardState::Warming { .. } => (ShardPhase::Warming, ""),
        ShardState::Waiting { reason } => (ShardPhase::Waiting, reason),
        ShardState::Stale { reason } => (ShardPhase::Stale, reason),
        ShardState::Failed { reason } => (ShardPhase::Failed, reason),
    }
}

/// How every shard is, by its number.
pub(crate) fn shards(router: &Router, stats: &[WorkerStats]) -> Vec<ShardReport> {
    let pids = stats.iter().flat_map(|worker| worker.shards.iter().map(|shard| (shard.shard, worker.pid)));
    let pids: HashMap<u32, u32> = pids.collect();
    let shards = (0..).zip(router.shards()).zip(router.status());
    shards
        .map(|((shard, info), status)| {
            let (phase, reason) = phase(&status.state);
            let (files, symbols, bytes, sent, revision) = match &status.state {
                ShardState::Ready(Ready { counters, content, sent, .. }) => {
                    let files = u64::from(counters.files);
                    (files, counters.symbols, content.bytes, sent.bytes, counters.revision)
                }
                ShardState::Warming { files, bytes } => (u64::from(*files), 0, *bytes, 0, 0),
                _ => (0, 0, 0, 0, 0),
            };
            ShardReport {
                key: status.key.0,
                root: number(info.root),
                source_root: cut(&info.source_root, MAX_PATH),
                part: info.part,
                parts: info.parts,
                phase,
                reason: cut(reason, MAX_DETAIL),
                worker_pid: status.worker.and_then(|_| pids.get(&shard).copied()),
                wanted: status.files as u64,
                files,
                symbols,
                bytes,
                sent,
                revision,
            }
        })
        .collect()
}

/// What could not be read, and behind that what workers could not index.
pub(crate) fn skipped(router: &Router, stats: &[WorkerStats]) -> Vec<SkippedEntry> {
    let mut skipped = router.skipped();
    for file in stats.iter().flat_map(|stats| &stats.skipped) {
        let Some(shard) = router.shards().get(file.shard as usize) else { continue };
        if !skipped.iter().any(|known| known.root == shard.root && known.path == file.path) {
            let reason = SkipReason::NotIndexed { detail: file.reason.as_str().into() };
            skipped.push(Skipped { root: shard.root, path: file.path.clone(), reason });
        }
    }
    skipped.iter().map(entry).collect()
}

fn entry(skipped: &Skipped) -> SkippedEntry {
    SkippedEntry {
        root: number(skipped.root),
        path: cut(&skipped.path, MAX_PATH),
        reason: skipped.reason.code().to_owned(),
        detail: cut(&skipped.reason.to_string(), MAX_DETAIL),
    }
}

/// How the router is, but for what only its server knows.
pub(crate) fn router_status(router: &Router, stats: Vec<WorkerStats>) -> RouterStatus {
    let shards = |root| number(router.shards().iter().filter(|shard| shard.root == root).count());
    let roots = router.roots().iter().enumerate().take(MAX_ROOTS).map(|(root, path)| RootReport {
        path: cut(&path.display().to_string(), MAX_PATH),
        shards: shards(root),
    });
    RouterStatus {
        listen: cut(&router.address().map(ToString::to_string).unwrap_or_default(), MAX_PATH),
        overlay_bytes: router.overlay_bytes(),
        memory: resident(),
        left_out: router.left_out().len() as u64,
        roots: roots.collect(),
        workers: stats.into_iter().take(MAX_WORKERS).map(worker).collect(),
        ..RouterStatus::default()
    }
}

fn worker(stats: WorkerStats) -> WorkerReport {
    let WorkerStats { pid, parsed, received, cache, shards, skipped: _ } = stats;
    WorkerReport {
        pid,
        parsed,
        received,
        memory: shards.iter().map(|shard| shard.memory).sum(),
        disk: shards.iter().map(|shard| shard.disk).sum(),
        cache,
    }
}

/// What this process has in memory, as Linux tells it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// What became of changes, with as many skipped files as fit into so many bytes.
pub(super) fn changed(result: Result<Changed, ChangeError>, room: u32) -> Result<ChangeReply, ErrorReply> {
    let Changed { files, waiting, skipped, refused } = result.map_err(|error| not_taken(&error))?;
    if let Some(error) = refused.first() {
        let mut reply = not_taken(error);
        if files > 0 || refused.len() > 1 {
            reply.message.push_str(&format!("; changes not taken: {}, taken: {files}", refused.len()));
        }
        return Err(reply);
    }
    let first: Vec<SkippedEntry> = skipped.iter().take(MAX_CHANGES).map(entry).collect();
    let first = fit(first, room);
    Ok(ChangeReply { files, waiting, skipped: number(skipped.len()), first })
}

fn not_taken(error: &ChangeError) -> ErrorReply {
    match error {
        ChangeError::OverlayFull { .. } => ErrorReply::new(ErrorCode::OVERLAY_FULL, error.to_string()),
        ChangeError::TooLarge { .. } | ChangeError::Path { .. } => invalid(error.to_string()),
        _ => failed(error),
    }
}

/// As many of the first elements as an answer of so many bytes has room for, which also has some numbers.
pub(super) fn fit<T: serde::Serialize>(mut list: Vec<T>, room: u32) -> Vec<T> {
    let mut left = (room as usize).saturating_sub(NUMBERS);
    let fitting = list.iter().take_while(|element| {
        let length = nova_proto_core::messages::encode(*element).len();
        let fits = length <= left;
        left = left.saturating_sub(length);
        fits
    });
    let count = fitting.count();
    list.truncate(count);
    list
}

/// More than the numbers of any answer take that has a list.
const NUMBERS: usize = 64;

/// The first bytes of a text, up to the end of a character.
pub(super) fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

pub(super) fn invalid(problem: impl Into<String>) -> ErrorReply {
    ErrorReply::new(ErrorCode::INVALID, problem.into())
}

pub(super) fn failed(error: &impl ToString) -> ErrorReply {
    ErrorReply::new(ErrorCode::INTERNAL, error.to_string())
}
