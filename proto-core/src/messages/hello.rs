//! The application parts of the handshake.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::Token;
use super::hydration::Digest;
use crate::bounded;

/// Most ranges of shards in a message.
pub(super) const MAX_RANGES: usize = 256;

/// Most cached indexes that a `Hello` names.
const MAX_CACHED: usize = 32;

/// What a worker says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerHello {
    /// The shards it claims, as ranges in ascending order without overlap. Shard numbers are the router's: the
    /// positions in its layout.
    #[serde(deserialize_with = "ranges::<_, _, MAX_RANGES>")]
    pub claim: Vec<ShardRange>,
    /// A shared secret, if the router asks for one. Only over local sockets and verified TLS.
    #[serde(deserialize_with = "Token::deserialize_optional")]
    pub token: Option<Token>,
    /// What is in its cache, as a hint; `SyncShard` decides.
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_CACHED>")]
    pub cached: Vec<CachedIndex>,
    /// The program and its version.
    #[serde(deserialize_with = "bounded::text::<_, 128>")]
    pub build: String,
}

/// Shards with consecutive numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRange {
    /// The first.
    pub first: u32,
    /// How many; at least one.
    pub count: u32,
}

/// A shard's index in a worker's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedIndex {
    /// The shard.
    pub shard: u32,
    /// The last revision in it.
    pub revision: u64,
    /// How many times it was built.
    pub generation: u64,
    /// How many symbols it holds.
    pub symbols: u64,
    /// The digest of its manifest.
    pub digest: Digest,
}

/// What a router says to a worker that it lets in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerWelcome {
    /// Numbers this connection among the router's.
    pub worker_id: u64,
    /// Names this run of the router: what was built in another one ranks below everything of this one.
    pub epoch: u64,
    /// The program and its version.
    #[serde(deserialize_with = "bounded::text::<_, 128>")]
    pub build: String,
}

/// Ranges of at least one number each, in ascending order and without overlap; at most `MAX` of them.
pub(super) fn ranges<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Copy + Into<(u32, u32)>,
{
    let ranges: Vec<T> = bounded::list::<_, _, MAX>(deserializer)?;
    let mut free = 0;
    for &range in &ranges {
        let (first, count) = range.into();
        let after = u64::from(first).saturating_add(count.into());
        if count == 0 || u64::from(first) < free || after > 1 << 32 {
            return Err(D::Error::custom("ranges that are empty, overlap or are out of order"));
        }
        free = after;
    }
    Ok(ranges)
}

impl From<ShardRange> for (u32, u32) {
    fn from(range: ShardRange) -> Self {
        (range.first, range.count)
    }
}

/// Shard numbers as ranges; `None` if they take more ranges than a message may hold.
#[must_use]
pub fn shard_ranges(shards: impl IntoIterator<Item = u32>) -> Option<Vec<ShardRange>> {
    let mut numbers: Vec<u32> = shards.into_iter().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut ranges: Vec<ShardRange> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some(last) if last.first.checked_add(last.count) == Some(number) => {
                last.count = last.count.saturating_add(1);
            }
            _ => ranges.push(ShardRange { first: number, count: 1 }),
        }
    }
    (ranges.len() <= MAX_RANGES).then_some(ranges)
}

/// The numbers in `ranges`; `None` unless the ranges are in ascending order, do not overlap, hold at least one number
/// each and no number at or above `end`.
#[must_use]
pub fn shards_in(ranges: &[ShardRange], end: u32) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    let mut next = 0;
    for range in ranges {
        let after = range.first.checked_add(range.count)?;
        if range.count == 0 || range.first < next || after > end {
            return None;
        }
        numbers.extend(range.first..after);
        next = after;
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_numbers_turn_into_each_other() {
        let ranges = shard_ranges([7, 1, 2, 3, 9, 2]).expect("few ranges");
        assert_eq!(
            ranges,
            [(1, 3), (7, 1), (9, 1)].map(|(first, count)| ShardRange { first, count }).to_vec()
        );
        assert_eq!(shards_in(&ranges, 10), Some(vec![1, 2, 3, 7, 9]));
        assert_eq!(shards_in(&ranges, 9), None, "9 is not a shard");
        let touching = [(1, 2), (3, 1)].map(|(first, count)| ShardRange { first, count });
        assert_eq!(shards_in(&touching, 4), Some(vec![1, 2, 3]));
    }

    #[test]
    fn strange_ranges_are_refused() {
        let bad: [&[(u32, u32)]; 4] = [&[(0, 0)], &[(5, 1), (4, 1)], &[(1, 3), (3, 1)], &[(u32::MAX, 2)]];
        for ranges in bad {
            let ranges: Vec<_> = ranges.iter().map(|&(first, count)| ShardRange { first, count }).collect();
            assert_eq!(shards_in(&ranges, u32::MAX), None, "{ranges:?}");
        }
        assert_eq!(shard_ranges((0..600).step_by(2)), None, "300 ranges");
    }
}
