//! Whether an answer can be true. A worker whose answers cannot is believed nothing any more.

use std::collections::BTreeSet;
use std::ops::Range;

use nova_proto_core::messages::{
    LoadReply, SearchReply, ShardCounters, SymbolKind, UpdateReply, WorkerStats, shards_in,
};

use super::status::Volume;

/// Why an answer cannot be true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Lie(pub String);

fn lie(text: impl Into<String>) -> Lie {
    Lie(text.into())
}

/// Whether an index can be current: the worker was told a digest, and this run has committed it now.
pub(super) fn current(asked: bool, counters: &ShardCounters, epoch: u64, files: u32) -> Result<(), Lie> {
    if !asked {
        return Err(lie("it calls current what was not named"));
    }
    if counters.files != files {
        return Err(lie(format!("it calls {} files current where there are {files}", counters.files)));
    }
    self::counters(counters, epoch)
}

/// Whether counters belong to this run.
pub(super) fn counters(counters: &ShardCounters, epoch: u64) -> Result<(), Lie> {
    if counters.epoch == epoch {
        Ok(())
    } else {
        Err(lie(format!("it answers with epoch {} in epoch {epoch}", counters.epoch)))
    }
}

/// What a worker lacks of a part of the manifest, if it names entries of that part in order.
pub(super) fn lacking(wanted: &[(u32, u32)], part: &Range<u32>) -> Result<Vec<Range<u32>>, Lie> {
    let mut ranges: Vec<Range<u32>> = Vec::with_capacity(wanted.len());
    for &(first, count) in wanted {
        let range = first..first.saturating_add(count);
        let after = ranges.last().map_or(part.start, |last| last.end);
        if range.is_empty() || range.start < after || range.end > part.end {
            return Err(lie("it wants files out of the page's range"));
        }
        ranges.push(range);
    }
    Ok(ranges)
}

/// Whether all files of a batch were taken.
pub(super) fn loaded(reply: &LoadReply, sent: Volume) -> Result<(), Lie> {
    if reply.files == sent.files {
        Ok(())
    } else {
        Err(lie(format!("it took {} files of {}", reply.files, sent.files)))
    }
}

/// Whether an answer to a change of so many paths can be true.
pub(super) fn changed(reply: &UpdateReply, epoch: u64, paths: usize) -> Result<(), Lie> {
    if reply.applied as usize > paths {
        return Err(lie(format!("it changed {} files of {paths}", reply.applied)));
    }
    counters(&reply.counters, epoch)
}

/// Whether an answer about some shards can be true: how many hits, in which order, of which kinds, and about which shards
/// it says that they are warming, which are returned.
pub(super) fn found(
    reply: &SearchReply,
    asked: &[u32],
    limit: u32,
    kinds: u16,
) -> Result<BTreeSet<u32>, Lie> {
    if reply.hits.len() > limit as usize {
        return Err(lie(format!("{} hits where {limit} were asked for", reply.hits.len())));
    }
    if !reply.hits.is_sorted_by(|a, b| a.key() < b.key()) {
        return Err(lie("its hits are not in order"));
    }
    if reply.truncated && reply.hits.is_empty() && limit > 0 {
        return Err(lie("it leaves out what it finds, and finds nothing"));
    }
    let unasked = |kind: SymbolKind| kinds & 1_u16.checked_shl(kind as u32).unwrap_or(0) == 0;
    if let Some(hit) = reply.hits.iter().find(|hit| unasked(hit.kind)) {
        return Err(lie(format!("it finds a {} where none was asked for", hit.kind)));
    }
    // Before the ranges become numbers: a few bytes can name billions.
    let count: u64 = reply.warming.iter().map(|range| u64::from(range.count)).sum();
    if count > asked.len() as u64 {
        return Err(lie(format!("it speaks of {count} shards where {} were asked for", asked.len())));
    }
    let warming = shards_in(&reply.warming, u32::MAX).ok_or_else(|| lie("its ranges are not in order"))?;
    match warming.iter().find(|shard| asked.binary_search(shard).is_err()) {
        Some(shard) => Err(lie(format!("it speaks of shard {shard}, which was not asked for"))),
        None => Ok(warming.into_iter().collect()),
    }
}

/// Whether a worker speaks of its own shards only, and of each once.
pub(super) fn stats(reply: &WorkerStats, shards: &[u32]) -> Result<(), Lie> {
    let mut seen = BTreeSet::new();
    match reply.shards.iter().find(|shard| !shards.contains(&shard.shard) || !seen.insert(shard.shard)) {
        Some(shard) => Err(lie(format!("it counts shard {}, which is not its own", shard.shard))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use nova_proto_core::messages::{ShardRange, SymbolHit};

    use super::*;

    fn hit(score: u32, path: &str) -> SymbolHit {
        SymbolHit {
            name: "n".into(),
            kind: SymbolKind::Class,
            container: String::new(),
            path: path.into(),
            line: 1,
            column: 1,
            score,
        }
    }

    #[test]
    fn what_a_worker_wants_lies_in_the_page_and_in_order() {
        assert_eq!(lacking(&[(5, 1), (6, 4)], &(5..10)).map(|ranges| ranges.len()), Ok(2));
        for bad in
            [&[(4, 1)][..], &[(9, 2)], &[(5, 0)], &[(6, 1), (5, 1)], &[(5, 2), (6, 1)], &[(6, u32::MAX)]]
        {
            assert!(lacking(bad, &(5..10)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_answer_keeps_to_what_was_asked() {
        let good = SearchReply { hits: vec![hit(2, "b"), hit(1, "a")], ..SearchReply::default() };
        assert_eq!(found(&good, &[3], 2, 0xfff), Ok(BTreeSet::new()));
        assert!(found(&good, &[3], 1, 0xfff).is_err(), "too many");
        assert!(found(&good, &[3], 2, 1 << 6).is_err(), "another kind");
        let twice = SearchReply { hits: vec![hit(2, "b"), hit(2, "b")], ..SearchReply::default() };
        assert!(found(&twice, &[3], 2, 0xfff).is_err(), "one hit twice");
        let order = SearchReply { hits: vec![hit(1, "a"), hit(2, "b")], ..SearchReply::default() };
        assert!(found(&order, &[3], 2, 0xfff).is_err(), "out of order");
        let silent = SearchReply { truncated: true, ..SearchReply::default() };
        assert!(found(&silent, &[3], 2, 0xfff).is_err(), "it could blank every answer");
        assert!(found(&silent, &[3], 0, 0xfff).is_ok(), "no hit was asked for");
        let warming = |first, count| SearchReply {
            warming: vec![ShardRange { first, count }],
            ..SearchReply::default()
        };
        assert_eq!(found(&warming(3, 1), &[3, 4], 2, 0xfff), Ok(BTreeSet::from([3])));
        assert!(found(&warming(3, 3), &[3, 4], 2, 0xfff).is_err(), "another shard");
    }

    #[test]
    fn counters_of_another_run_count_for_nothing() {
        let counters = ShardCounters { epoch: 7, files: 3, ..ShardCounters::default() };
        assert_eq!(current(true, &counters, 7, 3), Ok(()));
        assert!(current(false, &counters, 7, 3).is_err());
        assert!(current(true, &counters, 8, 3).is_err());
        assert!(current(true, &counters, 7, 4).is_err());
        assert!(changed(&UpdateReply { applied: 2, counters }, 7, 1).is_err());
    }
}
