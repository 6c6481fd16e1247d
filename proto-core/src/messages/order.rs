//! The one total order of search results, and the merge that keeps an answer exact over any sharding.
//!
//! Every worker sorts by [`HitKey`], the router merges by it, and a score depends on nothing but the query and
//! the symbol itself. Hence the first `limit` hits of the whole are among the first `limit` hits of every shard,
//! and no reply needs to know how the files were assigned.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::vec;

use serde::{Deserialize, Serialize};

use super::SymbolKind;

/// One symbol found by a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolHit {
    /// The simple name; of a module the qualified one.
    pub name: String,
    /// What it is.
    pub kind: SymbolKind,
    /// Package and enclosing types, joined with dots; empty in the unnamed package and for modules.
    pub container: String,
    /// The file, relative to the root of the sources, with `/` between directories.
    pub path: String,
    /// 1-based line of the name.
    pub line: u32,
    /// 1-based column of the name's first character, in UTF-16 units.
    pub column: u32,
    /// How well the symbol fits the query; higher is better.
    pub score: u32,
}

impl SymbolHit {
    /// Where the hit stands in the total order.
    #[must_use]
    pub fn key(&self) -> HitKey<'_> {
        HitKey {
            score: Reverse(self.score),
            path: &self.path,
            line: self.line,
            column: self.column,
            name: &self.name,
            kind: self.kind,
        }
    }
}

/// The place of a hit in the total order: the smallest key is the best hit.
///
/// Fields compare in the order of their declaration; strings compare by their UTF-8 bytes and kinds by their
/// wire byte. Two declarations never share a key, as no two of one kind start at one place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HitKey<'a> {
    /// The score; the highest comes first.
    pub score: Reverse<u32>,
    /// The file.
    pub path: &'a str,
    /// 1-based line.
    pub line: u32,
    /// 1-based column.
    pub column: u32,
    /// The name.
    pub name: &'a str,
    /// The kind.
    pub kind: SymbolKind,
}

/// The answer to a search: of one shard, of one worker or of the whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The best hits, best first by [`HitKey`].
    pub hits: Vec<SymbolHit>,
    /// Whether anything that matches was, or may have been, left out.
    pub truncated: bool,
}

/// Merges the answers of disjoint parts into the answer of the whole, of at most `limit` hits.
///
/// Each reply is a sorted prefix of all the hits of its part, and says by [`Found::truncated`] whether the prefix
/// may lack something. A reply cut short below `limit` hides hits that may come right after its last one, so
/// nothing beyond that place is certain and all of it is dropped: the result is always a prefix of the true
/// answer, and the true answer itself if every truncated reply holds at least `limit` hits.
///
/// Takes time proportional to `limit` and the logarithm of the number of replies.
#[must_use]
pub fn merge(replies: impl IntoIterator<Item = Found>, limit: usize) -> Found {
    let mut truncated = false;
    let mut heads = BinaryHeap::new();
    for Found { hits, truncated: cut } in replies {
        truncated |= cut;
        let ends_answer = cut && hits.len() < limit;
        let mut rest = hits.into_iter();
        match rest.next() {
            Some(hit) => heads.push(Head { hit, rest, ends_answer }),
            // Even the very first hit of this part is unknown.
            None if ends_answer => return Found { hits: Vec::new(), truncated },
            None => {}
        }
    }
    let mut hits = Vec::with_capacity(limit.min(heads.iter().map(|head| head.rest.len() + 1).sum()));
    while hits.len() < limit {
        let Some(Head { hit, mut rest, ends_answer }) = heads.pop() else { break };
        hits.push(hit);
        match rest.next() {
            Some(hit) => heads.push(Head { hit, rest, ends_answer }),
            None if ends_answer => break,
            None => {}
        }
    }
    Found { truncated: truncated || !heads.is_empty(), hits }
}

/// What is left of one reply in [`merge`]; the greatest holds the best hit.
struct Head {
    hit: SymbolHit,
    rest: vec::IntoIter<SymbolHit>,
    /// Whether unknown hits may follow the last one of this reply.
    ends_answer: bool,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        other.hit.key().cmp(&self.hit.key())
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
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
    use std::collections::BTreeSet;

    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    /// A hit out of very few scores, paths and names, so that ties are the rule.
    fn hit() -> impl Strategy<Value = (u32, u8, u32, u32, u8, u8)> {
        (0..3_u32, 0..4_u8, 0..3_u32, 0..2_u32, 0..3_u8, 0..12_u8)
    }

    fn build(parts: &BTreeSet<(u32, u8, u32, u32, u8, u8)>) -> Vec<SymbolHit> {
        let mut hits: Vec<_> = parts
            .iter()
            .map(|&(score, path, line, column, name, kind)| SymbolHit {
                name: format!("n{name}"),
                kind: SymbolKind::ALL[usize::from(kind)],
                container: format!("c{line}"),
                path: format!("p{path}"),
                line,
                column,
                score,
            })
            .collect();
        hits.sort_by(|a, b| a.key().cmp(&b.key()));
        hits
    }

    /// The replies of `shards` parts, the path's shard chosen by `assignment`; each holds at most `cuts` hits.
    fn replies(hits: &[SymbolHit], shards: usize, assignment: &[usize], cuts: &[usize]) -> Vec<Found> {
        let mut replies = vec![Found::default(); shards];
        for (index, hit) in hits.iter().enumerate() {
            let shard = assignment[index % assignment.len()] % shards;
            let reply = &mut replies[shard];
            if reply.hits.len() < cuts[shard % cuts.len()] {
                reply.hits.push(hit.clone());
            } else {
                reply.truncated = true;
            }
        }
        replies
    }

    proptest! {
        #[test]
        fn any_sharding_gives_the_same_answer(
            parts in btree_set(hit(), 0..300),
            assignment in vec(0..64_usize, 1..80),
            limit in 0..40_usize,
        ) {
            let hits = build(&parts);
            let expected = Found {
                hits: hits.iter().take(limit).cloned().collect(),
                truncated: hits.len() > limit,
            };
            for shards in [1, 2, 7, 17, 64] {
                prop_assert_eq!(&merge(replies(&hits, shards, &assignment, &[limit]), limit), &expected);
            }
        }

        #[test]
        fn merging_in_steps_is_merging_at_once(
            parts in btree_set(hit(), 0..200),
            assignment in vec(0..64_usize, 1..80),
            cuts in vec(0..30_usize, 1..17),
            limit in 0..20_usize,
        ) {
            let all = replies(&build(&parts), 17, &assignment, &cuts);
            let halves = all.chunks(5).map(|part| merge(part.to_vec(), limit));
            prop_assert_eq!(merge(halves.collect::<Vec<_>>(), limit), merge(all, limit));
        }

        #[test]
        fn replies_cut_short_hide_nothing(
            parts in btree_set(hit(), 0..300),
            assignment in vec(0..64_usize, 1..80),
            cuts in vec(0..60_usize, 1..64),
            limit in 0..40_usize,
        ) {
            let hits = build(&parts);
            for shards in [1, 2, 7, 17, 64] {
                let replies = replies(&hits, shards, &assignment, &cuts);
                let certain = replies
                    .iter()
                    .filter(|reply| reply.truncated && reply.hits.len() < limit)
                    .map(|reply| reply.hits.last().map(SymbolHit::key))
                    .min();
                let keep = match certain {
                    None => hits.len(),
                    Some(None) => 0,
                    Some(Some(last)) => hits.iter().filter(|hit| hit.key() <= last).count(),
                };
                let merged = merge(replies, limit);
                prop_assert_eq!(&merged.hits, &hits[..keep.min(limit)]);
                prop_assert_eq!(merged.truncated, merged.hits.len() < hits.len());
            }
        }
    }

    #[test]
    fn the_order_is_the_documented_one() {
        let base = SymbolHit {
            name: "b".into(),
            kind: SymbolKind::Enum,
            container: String::new(),
            path: "b".into(),
            line: 5,
            column: 5,
            score: 5,
        };
        let ordered = [
            SymbolHit { score: 6, path: "z".into(), ..base.clone() },
            SymbolHit { path: "Z".into(), line: 9, ..base.clone() },
            SymbolHit { line: 4, column: 9, ..base.clone() },
            SymbolHit { column: 4, name: "z".into(), ..base.clone() },
            SymbolHit { name: "B".into(), kind: SymbolKind::Element, ..base.clone() },
            SymbolHit { kind: SymbolKind::Class, ..base.clone() },
            base.clone(),
            SymbolHit { name: "é".into(), kind: SymbolKind::Module, ..base },
        ];
        assert!(ordered.is_sorted_by(|a, b| a.key() < b.key()));
    }

    #[test]
    fn a_silent_reply_that_was_cut_leaves_nothing_certain() {
        let sure = Found { hits: build(&BTreeSet::from([(1, 1, 1, 1, 1, 1)])), truncated: false };
        let silent = Found { hits: Vec::new(), truncated: true };
        assert_eq!(merge([sure, silent.clone()], 10), silent);
    }
}
