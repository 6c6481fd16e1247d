//! Searches with qualifiers: the members of the containers that the qualifiers match.
//!
//! Few containers match, so those are found first, by their innermost segment among the sorted names, and only what
//! they contain is scored. The members are visited by name, so that no name is matched twice.

use super::layer::Layer;
use super::query::Matcher;
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
                (name, matcher.name_part(segment.sized_name(name)))
            }
        };
        last = Some((name, part));
        let Some(part) = part else { continue };
        let traits = segment.slots.traits[slot as usize];
        if matcher.kinds.contains(traits.kind()) {
            let full = containers.part(segment.slots.container[slot as usize]).unwrap_or(0);
            let (score, file) = (part | full | traits.part(), segment.container(slot).file);
            top.offer(Candidate { score, segment, file, name, slot });
        }
    }
}

/// The containers of a segment that the qualifiers match.
struct Containers {
    /// By container: [`NO_MATCH`], or its share of the score.
    parts: Vec<u32>,
    /// The files of those that match, each once.
    files: Vec<u32>,
}

/// No share of a score: those leave all bits but one clear.
const NO_MATCH: u32 = u32::MAX;

impl Containers {
    fn matching(segment: &Segment, matcher: &Matcher) -> Self {
        let all = &segment.slots.containers;
        let mut found = Self { parts: vec![NO_MATCH; all.len()], files: Vec::new() };
        let Some(innermost) = matcher.qualifiers.last() else { return found };
        for group in &segment.names.groups {
            let names = segment.names.starting_with(group, &innermost.folded);
            let [first, end] = [names.start, names.end].map(|name| segment.names.first_slot[name as usize]);
            let start = all.partition_point(|container| container.parent < first);
            let members = all[start..].iter().take_while(|container| container.parent < end);
            for (at, container) in (start..).zip(members) {
                if let Some(part) = matcher.qualify(segment.container_segments(*container)) {
                    found.parts[at] = part;
                    found.files.push(container.file);
                }
            }
        }
        let of_package = |package: &str| matcher.qualify(segments(package)).unwrap_or(NO_MATCH);
        let packages: Vec<u32> = segment.files.packages.iter().map(|package| of_package(package)).collect();
        let start = all.partition_point(|container| container.parent < NO_PARENT);
        for (part, container) in found.parts[start..].iter_mut().zip(&all[start..]) {
            *part = packages[segment.files.package[container.file as usize] as usize];
            if *part != NO_MATCH {
                found.files.push(container.file);
            }
        }
        found.files.sort_unstable();
        found.files.dedup();
        found
    }

    /// The container's share of the score if it matches.
    fn part(&self, container: u32) -> Option<u32> {
        Some(self.parts[container as usize]).filter(|&part| part != NO_MATCH)
    }

    /// The slots that have one of the containers, in ascending order. The set is one bit a symbol.
    fn members(&self, layer: &Layer) -> impl Iterator<Item = u32> {
        let segment = layer.segment();
        let mut set = vec![0_u64; segment.symbol_count().div_ceil(64)];
        for &file in self.files.iter().filter(|&&file| layer.is_live(file)) {
            for &slot in segment.source_order(file) {
                let is_member = self.part(segment.slots.container[slot as usize]).is_some();
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
