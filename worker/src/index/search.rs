//! The search itself: which names can match at all, in an order that allows to stop early.
//!
//! Each pass looks for the matches of one step of the ladder of rungs, best first, in all layers. A group of names
//! is passed over once the results are complete and even its best conceivable symbol would score less than the last
//! of them; as the score bounds of later passes are lower, a query with many good matches ends early. One hit more
//! than asked for is collected, so that whether there are more is known exactly without counting them.

use std::cell::OnceCell;
use std::ops::Range;

use nova_proto_core::messages::Found;

use super::layer::Layer;
use super::members;
use super::pattern::Pattern;
use super::score::{
    self, ANCHORED, ANCHORED_UNBROKEN, EMPTY, EXACT, Fit, HUMPS, INITIALS, MISCASED, NamePart, PREFIX, Rung,
    SUBSEQUENCE, SUBSTRING, UNBROKEN,
};
use super::segment::Group;
use super::top::{Candidate, Top};
use super::{Query, Snapshot};

/// The best `limit` matches of `query` in all of `snapshots`, which must not share files: what
/// [`merge`](nova_proto_core::messages::merge) makes of their single answers, but in one go. They are fewer if their
/// encoding would take more than about `max_bytes` (by 31 bytes a hit at most), and no more than that is built.
#[must_use]
pub fn search_all(snapshots: &[Snapshot], query: &Query, limit: usize, max_bytes: usize) -> Found {
    let mut top = Top::new(limit.saturating_add(1));
    let layers = || snapshots.iter().flat_map(Snapshot::layers).filter(|layer| layer.live_symbols() > 0);
    match &query.containers {
        Some(containers) => layers().for_each(|layer| members::search(layer, query, containers, &mut top)),
        None => {
            let scans: Vec<Scan<'_>> = layers().map(|layer| Scan::new(layer, query)).collect();
            for pass in Pass::of(&query.pattern) {
                for scan in &scans {
                    scan.run(pass, &mut top);
                }
            }
        }
    }
    top.into_found(limit, max_bytes)
}

/// One step of the search.
#[derive(Debug, Clone, Copy)]
struct Pass {
    /// The names that can match, and how they are found.
    names: Select,
    /// The rungs of the matches that this pass reports; others are those of other passes.
    rungs: (Rung, Rung),
}

#[derive(Debug, Clone, Copy)]
enum Select {
    All,
    /// Those of the pattern's length that begin like it.
    Whole,
    /// Longer ones that begin like the pattern.
    Beginning,
    /// Longer ones that begin like the pattern's first character, if they may match by their words.
    FirstCharacter,
    /// Longer ones that may match by their words.
    WordStarts,
    /// Longer ones that have the pattern's letters, and its pairs of neighbours.
    Pairs,
    /// Longer ones that have the pattern's letters.
    Letters,
}

impl Pass {
    /// The passes for a pattern, best rungs first.
    fn of(pattern: &Pattern) -> impl Iterator<Item = Self> {
        const ALL: [Pass; 11] = [
            Pass { names: Select::All, rungs: (EMPTY, EMPTY) },
            Pass { names: Select::Whole, rungs: (EXACT, EXACT) },
            Pass { names: Select::FirstCharacter, rungs: (INITIALS, INITIALS) },
            Pass { names: Select::Beginning, rungs: (PREFIX, PREFIX) },
            Pass { names: Select::FirstCharacter, rungs: (ANCHORED_UNBROKEN, ANCHORED) },
            Pass { names: Select::WordStarts, rungs: (UNBROKEN, UNBROKEN) },
            Pass { names: Select::Pairs, rungs: (SUBSTRING, SUBSTRING) },
            Pass { names: Select::WordStarts, rungs: (HUMPS, HUMPS) },
            Pass { names: Select::Letters, rungs: (SUBSEQUENCE, SUBSEQUENCE) },
            Pass { names: Select::Whole, rungs: (MISCASED, MISCASED) },
            Pass { names: Select::Beginning, rungs: (MISCASED, MISCASED) },
        ];
        let (empty, abbreviates) = (pattern.len() == 0, pattern.abbreviates());
        let (are_initials, has_upper) = (pattern.are_initials, pattern.has_upper);
        ALL.into_iter().filter(move |pass| match pass.rungs.0 {
            EMPTY => empty,
            EXACT | PREFIX | SUBSTRING => !empty,
            INITIALS => are_initials,
            MISCASED => has_upper,
            _ => abbreviates,
        })
    }
}

/// The search for a query without qualifiers in one layer.
struct Scan<'a> {
    layer: &'a Layer,
    query: &'a Query,
    /// The greatest weight a symbol of the wanted kinds can have.
    max_weight: u8,
    /// By group: the names that have the pattern's letters, once a pass has asked for them.
    with_letters: Vec<OnceCell<Vec<u32>>>,
}

impl<'a> Scan<'a> {
    fn new(layer: &'a Layer, query: &'a Query) -> Self {
        let weights = query.kinds.iter().map(|kind| score::weight(kind, true));
        Self {
            layer,
            query,
            max_weight: weights.max().unwrap_or(0),
            with_letters: vec![OnceCell::new(); layer.segment().names.groups.len()],
        }
    }

    fn run(&self, pass: Pass, top: &mut Top<'a>) {
        let length = self.query.pattern.len();
        for (group, with_letters) in self.layer.segment().names.groups.iter().zip(&self.with_letters) {
            let Some(surplus) = (group.chars as usize).checked_sub(length) else { continue };
            if matches!(pass.names, Select::Whole) != (surplus == 0) && !matches!(pass.names, Select::All) {
                continue;
            }
            let weight = group.weight.min(self.max_weight);
            let bound = score::bound(pass.rungs.0, weight, surplus);
            if !top.is_closed_to(bound) {
                let with_letters =
                    || with_letters.get_or_init(|| self.with_letters(group.names.clone()).collect());
                self.group(pass, group, with_letters, top);
            }
        }
    }

    fn group<'s>(
        &self,
        pass: Pass,
        group: &Group,
        with_letters: impl Fn() -> &'s Vec<u32>,
        top: &mut Top<'a>,
    ) {
        let (names, pattern) = (&self.layer.segment().names, &self.query.pattern);
        let mut test = |name| self.test(pass, group, name, top);
        let may_begin_words = |name: &u32| {
            let name = *name as usize;
            pattern.may_begin_words(names.pairs[name], names.starting[name])
        };
        match pass.names {
            Select::All => group.names.clone().for_each(|name| self.offer(name, NamePart::EMPTY, top)),
            Select::Whole | Select::Beginning => names.starting_with(group, &pattern.folded).for_each(test),
            Select::FirstCharacter => {
                let found = names.starting_with(group, &pattern.folded[..1]);
                self.with_letters(found).filter(may_begin_words).for_each(test);
            }
            Select::WordStarts => {
                with_letters().iter().copied().filter(may_begin_words).for_each(test);
            }
            Select::Pairs => {
                let paired = |name: &u32| names.pairs[*name as usize] & pattern.pairs == pattern.pairs;
                with_letters().iter().copied().filter(paired).for_each(test);
            }
            Select::Letters => with_letters().iter().for_each(|&name| test(name)),
        }
    }

    /// Those of `names` that have the pattern's letters.
    fn with_letters(&self, names: Range<u32>) -> impl Iterator<Item = u32> {
        self.layer.segment().names.with_letters(names, self.query.pattern.characters)
    }

    /// Offers the symbols called `name` if that is on a rung of this pass.
    fn test(&self, pass: Pass, group: &Group, name: u32, top: &mut Top<'a>) {
        let (best, worst) = pass.rungs;
        let pattern = &self.query.pattern;
        let text = self.layer.segment().names.in_group(group, name);
        // The weaker condition holds wherever the stronger one does, and most names fail it.
        if !pattern.holds(worst, text) {
            return;
        }
        if let Some((rung, same_case)) = pattern.rank(text).filter(|&(rung, _)| rung >= worst && rung <= best)
        {
            let surplus = text.chars - pattern.len();
            self.offer(name, NamePart::new(rung, same_case, surplus, self.query.sets_back), top);
        }
    }

    /// Offers the symbols called `name`, given the name's share of their scores.
    fn offer(&self, name: u32, name_part: NamePart, top: &mut Top<'a>) {
        let segment = self.layer.segment();
        for slot in segment.slots_of(name) {
            let traits = segment.slots.traits[slot as usize];
            if !self.query.kinds.contains(traits.kind()) {
                continue;
            }
            let Some(score) = score::of(traits, Some(name_part), Fit::ANYWHERE) else {
                continue;
            };
            let file = segment.container(slot).file;
            if self.layer.has_dead() && !self.layer.is_live(file) {
                continue;
            }
            // The slots of a name are in the order of results.
            if !top.offer(Candidate { score, segment, file, name, slot }) {
                break;
            }
        }
    }
}
