//! Searches with qualifiers: the members of the containers that the qualifiers match.
//!
//! Few containers match, so those are found first, by their innermost segment among the sorted names, and only what
//! they contain is scored. The members are visited by name, so that no name is matched twice.

use nova_proto_core::messages::SymbolKind;

use super::Query;
use super::layer::Layer;
use super::pattern::Name;
use super::query::{Containers, Qualifiers, split_module};
use super::score::{self, Fit, MODULE_WEIGHT, Qualified, TYPE_WEIGHT};
use super::segment::{NO_PARENT, Segment};
use super::top::{Candidate, Top};

/// Offers all symbols of `layer` that match a query with qualifiers.
pub(super) fn search<'a>(layer: &'a Layer, query: &Query, containers: &Containers, top: &mut Top<'a>) {
    if query.kinds.contains(SymbolKind::Module) {
        modules(layer, query, containers, top);
    }
    let segment = layer.segment();
    let fits = fits(segment, containers);
    let kinds = query.kinds.without(SymbolKind::Module);
    let mut last = None;
    for slot in members(layer, &fits) {
        let (name, part) = match last {
            Some((name, part)) if segment.slots_of(name).contains(&slot) => (name, part),
            _ => {
                let name = segment.name_at(last.map_or(0, |(name, _)| name), slot);
                let may_match = segment.names.has_letters(name, query.pattern.characters);
                (name, may_match.then(|| query.name_part(segment.known_name(name))).flatten())
            }
        };
        last = Some((name, part));
        let traits = segment.slots.traits[slot as usize];
        let container = segment.slots.container[slot as usize] as usize;
        if let Some(score) = score::of(traits, part, fits[container])
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
        let fit = containers.fit(container);
        let part = query.name_part(Name::new(simple)).filter(|_| fit != Fit::default());
        for slot in segment.slots_of(name) {
            let file = segment.container(slot).file;
            let traits = segment.slots.traits[slot as usize];
            if let Some(score) = score::of(traits, part, fit)
                && traits.kind() == SymbolKind::Module
                && layer.is_live(file)
            {
                top.offer(Candidate { score, segment, file, name, slot });
            }
        }
    }
}

/// By container: how well the query fits it.
fn fits(segment: &Segment, containers: &Containers) -> Vec<Fit> {
    let all = &segment.slots.containers;
    let mut fits = vec![Fit::default(); all.len()];
    types(segment, &containers.qualifiers, |at, fit| fits[at].named = fit);
    if let Some(whole) = &containers.whole {
        types(segment, whole, |at, fit| fits[at].within = fit);
    }
    let packages: Vec<Fit> = segment.files.packages.iter().map(|package| containers.fit(package)).collect();
    let start = all.partition_point(|container| container.parent < NO_PARENT);
    for (fit, container) in fits[start..].iter_mut().zip(&all[start..]) {
        *fit = packages[segment.files.package[container.file as usize] as usize];
    }
    fits
}

/// Tells `found` of each type whose name the innermost of `qualifiers` fits how well they fit in all.
fn types(segment: &Segment, qualifiers: &Qualifiers, mut found: impl FnMut(usize, Option<Qualified>)) {
    let all = &segment.slots.containers;
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
            for (at, container) in (start..).zip(members) {
                found(at, qualifiers.fit(segment.container_segments(*container)));
            }
        }
    }
}

/// The slots in containers that the query fits, in ascending order. The set is one bit a symbol.
fn members(layer: &Layer, fits: &[Fit]) -> impl Iterator<Item = u32> {
    let segment = layer.segment();
    let is_match = |container: u32| fits[container as usize] != Fit::default();
    let containers = (0..).zip(&segment.slots.containers);
    let mut files: Vec<u32> =
        containers.filter(|&(at, _)| is_match(at)).map(|(_, container)| container.file).collect();
    files.sort_unstable();
    files.dedup();
    let mut set = vec![0_u64; segment.symbol_count().div_ceil(64)];
    for file in files.into_iter().filter(|&file| layer.is_live(file)) {
        for &slot in segment.source_order(file) {
            let is_member = is_match(segment.slots.container[slot as usize]);
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
