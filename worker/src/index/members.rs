//! Searches with qualifiers: the members of the containers that the qualifiers match.
//!
//! Few containers match, so those are found first, by their innermost segment among the sorted names, and only what
//! they contain is scored. The members are visited by name, so that no name is matched twice.

use nova_proto_core::messages::SymbolKind;

use super::Query;
use super::layer::Layer;
use super::pattern::Name;
use super::query::{Containers, Qualifiers, split_module};
use super::score::{self, MODULE_WEIGHT, Qualified, TYPE_WEIGHT};
use super::segment::{NO_PARENT, Segment, segments};
use super::top::{Candidate, Top};

/// Offers all symbols of `layer` that match a query with qualifiers.
pub(super) fn search<'a>(layer: &'a Layer, query: &Query, containers: &Containers, top: &mut Top<'a>) {
    if query.kinds.contains(SymbolKind::Module) {
        modules(layer, query, containers, top);
    }
    let segment = layer.segment();
    let named = matching(segment, &containers.qualifiers);
    let within = match &containers.whole {
        Some(whole) => matching(segment, whole),
        None => vec![None; named.len()],
    };
    let kinds = query.kinds.without(SymbolKind::Module);
    let mut last = None;
    for slot in members(layer, &[&named, &within]) {
        let (name, part) = match last {
            Some((name, part)) if segment.slots_of(name).contains(&slot) => (name, part),
            _ => {
                let name = segment.name_at(last.map_or(0, |(name, _)| name), slot);
                (name, query.name_part(segment.known_name(name)))
            }
        };
        last = Some((name, part));
        let traits = segment.slots.traits[slot as usize];
        let container = segment.slots.container[slot as usize] as usize;
        if let Some(score) = score::of(traits, part, named[container], within[container])
            && kinds.contains(traits.kind())
        {
            let file = segment.container(slot).file;
            top.offer(Candidate { score, segment, file, name, slot });
        }
    }
}

/// Offers the modules that match: their names have the container in front.
fn modules<'a>(layer: &'a Layer, query: &Query, containers: &Containers, top: &mut Top<'a>) {
    let segment = layer.segment();
    // Only names of modules have dots, so those that can match are in groups of their own.
    let groups = segment.names.groups.iter().filter(|group| group.weight == MODULE_WEIGHT);
    for name in groups.flat_map(|group| group.names.clone()) {
        let (container, simple) = split_module(segment.name(name));
        let fit = |qualifiers: &Qualifiers| qualifiers.fit(segments(container));
        let (named, within) = (fit(&containers.qualifiers), containers.whole.as_ref().and_then(fit));
        let part = named.and_then(|_| query.name_part(Name::new(simple)));
        for slot in segment.slots_of(name) {
            let file = segment.container(slot).file;
            let traits = segment.slots.traits[slot as usize];
            if let Some(score) = score::of(traits, part, named, within)
                && traits.kind() == SymbolKind::Module
                && layer.is_live(file)
            {
                top.offer(Candidate { score, segment, file, name, slot });
            }
        }
    }
}

/// By container: how well the qualifiers fit it.
fn matching(segment: &Segment, qualifiers: &Qualifiers) -> Vec<Option<Qualified>> {
    let all = &segment.slots.containers;
    let mut found = vec![None; all.len()];
    let innermost = qualifiers.innermost();
    for group in segment.names.groups.iter().filter(|group| group.weight >= TYPE_WEIGHT) {
        let names = segment.names.starting_with(group, &innermost.folded[..1]);
        for name in segment.names.with_letters(names, innermost.characters) {
            if innermost.qualifies(segment.name(name)).is_none() {
                continue;
            }
            let slots = segment.slots_of(name);
            let start = all.partition_point(|container| container.parent < slots.start);
            let members = all[start..].iter().take_while(|container| container.parent < slots.end);
            for (found, container) in found[start..].iter_mut().zip(members) {
                *found = qualifiers.fit(segment.container_segments(*container));
            }
        }
    }
    let packages = segment.files.packages.iter();
    let packages: Vec<_> = packages.map(|package| qualifiers.fit(segments(package))).collect();
    let start = all.partition_point(|container| container.parent < NO_PARENT);
    for (found, container) in found[start..].iter_mut().zip(&all[start..]) {
        *found = packages[segment.files.package[container.file as usize] as usize];
    }
    found
}

/// The slots whose container matches in one of `matches`, in ascending order. The set is one bit a symbol.
fn members(layer: &Layer, matches: &[&[Option<Qualified>]]) -> impl Iterator<Item = u32> {
    let segment = layer.segment();
    let is_match = |container: usize| matches.iter().any(|matches| matches[container].is_some());
    let containers = segment.slots.containers.iter().enumerate();
    let mut files: Vec<u32> =
        containers.filter(|&(at, _)| is_match(at)).map(|(_, container)| container.file).collect();
    files.sort_unstable();
    files.dedup();
    let mut set = vec![0_u64; segment.symbol_count().div_ceil(64)];
    for file in files.into_iter().filter(|&file| layer.is_live(file)) {
        for &slot in segment.source_order(file) {
            let is_member = is_match(segment.slots.container[slot as usize] as usize);
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
