//! The symbols of a fixed set of files, laid out for scanning.
//!
//! Names are stored once, and symbols ("slots") by their name. The names are sorted by what limits the score of
//! their symbols, so that a search can pass over whole groups of them, and the slots of one name by the order of
//! results, so that it can stop at the first that is not good enough.

use std::ops::Range;
use std::sync::Arc;

use nova_proto_core::messages::SymbolKind;

use super::pattern::Name;
use super::score::Traits;
use super::words::folded;
use crate::{Declaration, Outline};

/// Stands for the missing parent of a top-level declaration.
pub(super) const NO_PARENT: u32 = u32::MAX;

/// The symbols of some files. Made by [`Builder`](super::builder::Builder).
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) files: Files,
    pub(super) names: Names,
    pub(super) slots: Slots,
}

/// The files in the order of their paths, which is that of their numbers.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) paths: Vec<Arc<str>>,
    /// By file: index into `packages`.
    pub(super) package: Vec<u32>,
    pub(super) packages: Vec<Box<str>>,
    /// By file, and one more: the first of its entries in `source_order`.
    pub(super) first: Vec<u32>,
    /// The slots of the declarations of each file as they follow each other in the source.
    pub(super) source_order: Vec<u32>,
}

/// The distinct names, by group, then by folded characters, then by bytes.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) groups: Vec<Group>,
    pub(super) text: String,
    /// By name, and one more: where it starts in `text`.
    pub(super) start: Vec<u32>,
    /// By name, and one more: its first slot.
    pub(super) first_slot: Vec<u32>,
    /// By name: the signature of its characters.
    pub(super) characters: Vec<u64>,
    /// By name: the signature of the pairs of its characters.
    pub(super) pairs: Vec<u64>,
    /// By name: which of its characters start words.
    pub(super) word_starts: Vec<u64>,
    /// By name: the signature of the characters that start its words.
    pub(super) starting: Vec<u32>,
}

/// Consecutive names of one length whose weightiest symbols weigh the same. The groups are sorted by weight, the
/// greatest first, and then by length.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) weight: u8,
    /// The length in characters.
    pub(super) chars: u32,
    pub(super) names: Range<u32>,
}

/// The symbols by name, those of one name by score and then by the order of results.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) container: Vec<u32>,
    pub(super) line: Vec<u32>,
    pub(super) column: Vec<u32>,
    pub(super) traits: Vec<Traits>,
    /// By parent and then by file.
    pub(super) containers: Vec<Container>,
}

/// What encloses a declaration directly: a type, or the file as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Container {
    /// The slot of the type, or [`NO_PARENT`].
    pub(super) parent: u32,
    pub(super) file: u32,
}

impl Segment {
    /// How many files there are.
    pub(super) fn file_count(&self) -> usize {
        self.files.paths.len()
    }

    /// How many symbols there are.
    pub(super) fn symbol_count(&self) -> usize {
        self.slots.line.len()
    }

    /// The number of the file at `path`.
    pub(super) fn find(&self, path: &str) -> Option<u32> {
        self.files.paths.binary_search_by(|known| (**known).cmp(path)).ok().map(|file| file as u32)
    }

    /// How many symbols `file` declares.
    pub(super) fn symbols_of(&self, file: u32) -> usize {
        self.source_order(file).len()
    }

    pub(super) fn source_order(&self, file: u32) -> &[u32] {
        let first = &self.files.first[file as usize..][..2];
        &self.files.source_order[first[0] as usize..first[1] as usize]
    }

    /// The declarations of `file` as they were put in.
    pub(super) fn outline(&self, file: u32) -> Outline {
        let mut outline = Outline::new(self.package(file));
        let slots = self.source_order(file);
        let mut by_slot: Vec<(u32, u32)> = slots.iter().copied().zip(0..).collect();
        by_slot.sort_unstable();
        for &slot in slots {
            let parent = self.container(slot).parent;
            let parent =
                by_slot.binary_search_by_key(&parent, |&(slot, _)| slot).ok().map(|at| by_slot[at].1);
            let (line, column) = (self.slots.line[slot as usize], self.slots.column[slot as usize]);
            let name = self.name(self.name_of(slot));
            // What has been in an outline fits into one.
            let _index = outline.push(Declaration { name, kind: self.kind(slot), parent, line, column });
        }
        outline.shrink_to_fit();
        outline
    }

    pub(super) fn name(&self, name: u32) -> &str {
        self.names.get(name)
    }

    /// The slots of the symbols called `name`.
    pub(super) fn slots_of(&self, name: u32) -> Range<u32> {
        let first = &self.names.first_slot[name as usize..][..2];
        first[0]..first[1]
    }

    /// The name of the symbol in `slot`.
    pub(super) fn name_of(&self, slot: u32) -> u32 {
        self.names.first_slot.partition_point(|&first| first <= slot) as u32 - 1
    }

    /// The same, found fast if it is not far behind the name `from`, which must not be after it.
    pub(super) fn name_at(&self, from: u32, slot: u32) -> u32 {
        let first = &self.names.first_slot[from as usize..];
        let mut reach = 1;
        while first.get(reach).is_some_and(|&first| first <= slot) {
            reach *= 2;
        }
        let known = &first[reach / 2..first.len().min(reach + 1)];
        from + (reach / 2 + known.partition_point(|&first| first <= slot)) as u32 - 1
    }

    /// The name with what is known about it.
    pub(super) fn known_name(&self, name: u32) -> Name<'_> {
        let text = self.name(name);
        Name { text, chars: text.chars().count(), starts: self.names.word_starts[name as usize] }
    }

    pub(super) fn kind(&self, slot: u32) -> SymbolKind {
        self.slots.traits[slot as usize].kind()
    }

    pub(super) fn container(&self, slot: u32) -> Container {
        self.slots.containers[self.slots.container[slot as usize] as usize]
    }

    fn package(&self, file: u32) -> &str {
        &self.files.packages[self.files.package[file as usize] as usize]
    }

    /// The segments of the container's dotted name, innermost first.
    pub(super) fn container_segments(&self, container: Container) -> impl Iterator<Item = &str> {
        let types = std::iter::successors(Some(container), |inner| {
            (inner.parent != NO_PARENT).then(|| self.container(inner.parent))
        })
        .map_while(|inner| (inner.parent != NO_PARENT).then(|| self.name(self.name_of(inner.parent))));
        types.chain(segments(self.package(container.file)))
    }

    /// Package and enclosing types of the symbol in `slot`, joined with dots; empty for modules.
    pub(super) fn container_text(&self, slot: u32) -> String {
        if self.kind(slot) == SymbolKind::Module {
            return String::new();
        }
        let mut segments: Vec<&str> = self.container_segments(self.container(slot)).collect();
        segments.reverse();
        segments.join(".")
    }

    /// The bytes held in memory, paths included.
    pub(super) fn memory_bytes(&self) -> usize {
        fn of<T>(vec: &Vec<T>) -> usize {
            vec.capacity() * size_of::<T>()
        }
        let Self { files, names, slots } = self;
        // A shared string is preceded by two counters.
        let paths: usize = files.paths.iter().map(|path| path.len() + 2 * size_of::<usize>()).sum();
        let packages: usize = files.packages.iter().map(|package| package.len()).sum();
        let files = of(&files.paths)
            + of(&files.package)
            + of(&files.packages)
            + of(&files.first)
            + of(&files.source_order);
        let names = of(&names.groups)
            + names.text.capacity()
            + of(&names.start)
            + of(&names.first_slot)
            + of(&names.characters)
            + of(&names.pairs)
            + of(&names.word_starts)
            + of(&names.starting);
        let slots = of(&slots.container)
            + of(&slots.line)
            + of(&slots.column)
            + of(&slots.traits)
            + of(&slots.containers);
        size_of::<Self>() + paths + packages + files + names + slots
    }
}

impl Names {
    pub(super) fn get(&self, name: u32) -> &str {
        let start = &self.start[name as usize..][..2];
        &self.text[start[0] as usize..start[1] as usize]
    }

    /// The name with what is known about it; the length is that of its group.
    pub(super) fn in_group(&self, group: &Group, name: u32) -> Name<'_> {
        Name { text: self.get(name), chars: group.chars as usize, starts: self.word_starts[name as usize] }
    }

    /// Those of `names` whose characters have all of `letters` in their signature.
    pub(super) fn with_letters(&self, names: Range<u32>, letters: u64) -> impl Iterator<Item = u32> {
        let known = &self.characters[names.start as usize..names.end as usize];
        known.iter().zip(names).filter(move |(known, _)| *known & letters == letters).map(|(_, name)| name)
    }

    /// Whether `name` has, in either case, all letters of a pattern with the signature `characters`. If not, the pattern
    /// does not match it at all.
    pub(super) fn has_letters(&self, name: u32, characters: u64) -> bool {
        let in_either_case = characters & u64::from(u32::MAX);
        self.characters[name as usize] & in_either_case == in_either_case
    }

    /// The names of `group` whose first folded characters are `start`.
    pub(super) fn starting_with(&self, group: &Group, start: &[char]) -> Range<u32> {
        let compare = |name: &u32| folded(self.get(*name)).take(start.len()).cmp(start.iter().copied());
        let first = partition(group.names.clone(), |name| compare(&name).is_lt());
        first..partition(first..group.names.end, |name| compare(&name).is_eq())
    }
}

/// The first of `names` for which `before` does not hold; it holds for all before that one and none after.
fn partition(names: Range<u32>, before: impl Fn(u32) -> bool) -> u32 {
    let Range { mut start, mut end } = names;
    while start < end {
        let middle = start + (end - start) / 2;
        if before(middle) {
            start = middle + 1;
        } else {
            end = middle;
        }
    }
    start
}

/// The segments of a dotted package, innermost first.
pub(super) fn segments(package: &str) -> impl Iterator<Item = &str> {
    package.rsplit('.').filter(|segment| !segment.is_empty())
}
