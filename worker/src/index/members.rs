//! Searches with qualifiers: the members of the containers that the qualifiers match.
//!
//! Few containers match, so those are found first, by their innermost segment among the sorted names, and only what
//! they contain is scored. The members are visited by name, so that no name is matched twice.

use super::layer::Layer;
use super::query::Matcher;
use super::score;
use super::segment::{NO_PARENT, Segment, segments};
use super::top::{Candidate, Top};

/// Offers all symbols of `layer` that match a matcher with qualifiers.
pub(super) fn search<'a>(layer: &'a Layer, matcher: &Matcher, top: &mut Top<'a>) {
    let segment = layer.segment();
    let containers = Containers::matching(segment, matcher);
    let mut last = None;
    for slot in containers.members(layer) {
        let (name, part) = match last {
            Some((name, part)) if segment.slots_of(name).contains(&slot) => (name, part),
            _ => {
                let name = segment.name_at(last.map_or(0, |(name, _)| name), slot);
                (name, matcher.name_part(segment.known_name(name)))
            }
        };
        last = Some((name, part));
        let traits = segment.slots.traits[slot as usize];
        let in_full = containers.matches[segment.slots.container[slot as usize] as usize];
        let (Some(part), Some(in_full)) = (part, in_full) else { continue };
        if matcher.kinds.contains(traits.kind()) {
            let score = part | score::qualified_part(in_full) | traits.part();
            let file = segment.container(slot).file;
            top.offer(Candidate { score, segment, file, name, slot });
        }
    }
}

/// The containers of a segment that the qualifiers match.
struct Containers {
    /// By container: whether it matches, and if so whether in full.
    matches: Vec<Option<bool>>,
    /// The files of those that match, each once.
    files: Vec<u32>,
}

impl Containers {
    fn matching(segment: &Segment, matcher: &Matcher) -> Self {
        let all = &segment.slots.containers;
        let mut found = Self { matches: vec![None; all.len()], files: Vec::new() };
        let Some(innermost) = matcher.qualifiers.last() else { return found };
        for group in &segment.names.groups {
            let names = segment.names.starting_with(group, &innermost.folded);
            let [first, end] = [names.start, names.end].map(|name| segment.names.first_slot[name as usize]);
            let start = all.partition_point(|container| container.parent < first);
            let members = all[start..].iter().take_while(|container| container.parent < end);
            for (at, container) in (start..).zip(members) {
                found.matches[at] = matcher.qualify(segment.container_segments(*container));
            }
        }
        let packages = segment.files.packages.iter();
        let packages: Vec<Option<bool>> =
            packages.map(|package| matcher.qualify(segments(package))).collect();
        let start = all.partition_point(|container| container.parent < NO_PARENT);
        for (found, container) in found.matches[start..].iter_mut().zip(&all[start..]) {
            *found = packages[segment.files.package[container.file as usize] as usize];
        }
        let matching = found.matches.iter().zip(all).filter(|(found, _)| found.is_some());
        found.files = matching.map(|(_, container)| container.file).collect();
        found.files.sort_unstable();
        found.files.dedup();
        found
    }

    /// The slots that have one of the containers, in ascending order. The set is one bit a symbol.
    fn members(&self, layer: &Layer) -> impl Iterator<Item = u32> {
        let segment = layer.segment();
        let mut set = vec![0_u64; segment.symbol_count().div_ceil(64)];
        for &file in self.files.iter().filter(|&&file| layer.is_live(file)) {
            for &slot in segment.source_order(file) {
                let is_member = self.matches[segment.slots.container[slot as usize] as usize].is_some();
                set[slot as usize / 64] |= u64::from(is_member) << (slot % 64);
            }
        }
        (0..).step_by(64).zip(set).flat_map(|(first, mut bits)| {
            std::iter::from_fn(move || {
                let lowest = (bits != 0).then(|| bits.trailing_zeros())?;
                bits &= bits - 1;
                Some(first + lowest)
            })
        })
    }
}
