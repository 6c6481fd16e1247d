//! The best results so far.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use nova_proto_core::messages::{Found, HitKey, SymbolHit};

use super::segment::Segment;

/// What an encoded hit takes at most besides its texts: the kind, and six numbers of up to five bytes, three of which are
/// the lengths of the texts.
const MAX_BESIDE_TEXTS: usize = 1 + 6 * 5;

/// The best `capacity` candidates of those offered.
pub(super) struct Top<'a> {
    capacity: usize,
    /// The greatest candidate is the worst one.
    heap: BinaryHeap<Candidate<'a>>,
}

impl<'a> Top<'a> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, heap: BinaryHeap::new() }
    }

    /// Whether nothing with a score of `bound` or less can be taken any more.
    pub(super) fn is_closed_to(&self, bound: u32) -> bool {
        self.heap.len() >= self.capacity && self.heap.peek().is_some_and(|worst| bound < worst.score)
    }

    /// Takes the candidate if it is among the best, and says whether.
    pub(super) fn offer(&mut self, candidate: Candidate<'a>) -> bool {
        if self.heap.len() < self.capacity {
            self.heap.push(candidate);
            return true;
        }
        let Some(mut worst) = self.heap.peek_mut() else { return false };
        let taken = candidate < *worst;
        if taken {
            *worst = candidate;
        }
        taken
    }

    /// The best `limit` candidates as hits, but only as many as encode to no more than `max_bytes`: few candidates may
    /// have long texts. There are more if anything was offered beyond these.
    pub(super) fn into_found(self, limit: usize, max_bytes: usize) -> Found {
        let offered = self.heap.len();
        let mut room = max_bytes;
        let fits = |hit: &SymbolHit| {
            let bytes = hit.name.len() + hit.container.len() + hit.path.len() + MAX_BESIDE_TEXTS;
            room.checked_sub(bytes).map(|left| room = left).is_some()
        };
        let best = self.heap.into_sorted_vec().into_iter().take(limit);
        let hits: Vec<SymbolHit> = best.map(Candidate::into_hit).take_while(fits).collect();
        Found { truncated: hits.len() < offered, hits }
    }
}

/// A symbol and its score, in the order of results: the least one is the best.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) score: u32,
    pub(super) segment: &'a Segment,
    pub(super) file: u32,
    pub(super) name: u32,
    pub(super) slot: u32,
}

impl<'a> Candidate<'a> {
    fn key(self) -> HitKey<'a> {
        let Self { score, segment, file, name, slot } = self;
        HitKey {
            score: Reverse(score),
            path: &segment.files.paths[file as usize],
            line: segment.slots.line[slot as usize],
            column: segment.slots.column[slot as usize],
            name: segment.name(name),
            kind: segment.kind(slot),
        }
    }

    fn into_hit(self) -> SymbolHit {
        let HitKey { score: Reverse(score), path, line, column, name, kind } = self.key();
        SymbolHit {
            name: name.to_owned(),
            kind,
            container: self.segment.container_text(self.slot),
            path: path.to_owned(),
            line,
            column,
            score,
        }
    }
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = other.score.cmp(&self.score);
        // Most comparisons end here: files of one segment are numbered in the order of their paths.
        let by_file = || match std::ptr::eq(self.segment, other.segment) {
            true => self.file.cmp(&other.file),
            false => Ordering::Equal,
        };
        by_score.then_with(by_file).then_with(|| self.key().cmp(&other.key()))
    }
}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate<'_> {}
