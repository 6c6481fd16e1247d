//! Building a [`Segment`] out of outlines.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::score::{Traits, place};
use super::segment::{Container, Files, Group, NO_PARENT, Names, Segment, Slots};
use super::words::{characters, folded, pairs, starting, word_starts};
use crate::Outline;

/// Takes files in the order of their paths and makes a [`Segment`] of them.
#[derive(Debug, Default)]
pub(super) struct Builder {
    files: Files,
    /// The declarations of all files in source order; parents in `containers` are rows until the end.
    rows: Vec<Row>,
    containers: Vec<Container>,
    names: Interner,
    packages: Interner,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    name: u32,
    container: u32,
    line: u32,
    column: u32,
    traits: Traits,
}

impl Builder {
    /// Adds a file; its path must sort after that of the one before.
    pub(super) fn push(&mut self, path: Arc<str>, outline: &Outline) {
        debug_assert!(self.files.paths.last().is_none_or(|last| **last < *path));
        let file = number(self.files.paths.len());
        let place = place(&path);
        let first_row = self.rows.len();
        self.files.paths.push(path);
        self.files.package.push(self.packages.intern(outline.package()));
        self.files.first.push(number(first_row));
        // By declaration, and at the end for the file as such: its number as a container, once it is one.
        let mut inside: Vec<Option<u32>> = vec![None; outline.len() + 1];
        for (index, declaration) in outline.iter().enumerate() {
            // A type comes before its members; anything else would let types enclose each other in a circle.
            let parent = declaration.parent.map(|parent| parent as usize).filter(|&parent| parent < index);
            let container = *inside[parent.unwrap_or(outline.len())].get_or_insert_with(|| {
                let parent = parent.map_or(NO_PARENT, |parent| number(first_row + parent));
                self.containers.push(Container { parent, file });
                number(self.containers.len() - 1)
            });
            self.rows.push(Row {
                name: self.names.intern(declaration.name),
                container,
                line: declaration.line,
                column: declaration.column,
                traits: Traits::new(declaration.kind, parent.is_none(), place),
            });
        }
    }

    /// The segment of all files added.
    ///
    /// # Panics
    ///
    /// If there are 2³² − 1 symbols or bytes of distinct names, more than memory holds at this density.
    pub(super) fn finish(self) -> Segment {
        let Self { mut files, mut rows, mut containers, names, packages } = self;
        files.first.push(number(rows.len()));
        files.packages = packages.into_texts();
        let names = sort_names(&mut rows, names.into_texts());
        let by_slot = sort_rows(&rows, &names.first_slot, &containers);
        files.source_order = vec![0; rows.len()];
        for (&row, slot) in by_slot.iter().zip(0..) {
            files.source_order[row as usize] = slot;
        }
        for container in containers.iter_mut().filter(|container| container.parent != NO_PARENT) {
            container.parent = files.source_order[container.parent as usize];
        }
        let rank = sort_containers(&mut containers);
        let sorted = || by_slot.iter().map(|&row| &rows[row as usize]);
        let slots = Slots {
            container: sorted().map(|row| rank[row.container as usize]).collect(),
            line: sorted().map(|row| row.line).collect(),
            column: sorted().map(|row| row.column).collect(),
            traits: sorted().map(|row| row.traits).collect(),
            containers,
        };
        let mut segment = Segment { files, names, slots };
        shrink(&mut segment);
        segment
    }
}

/// Sorts the names as [`Names`] wants them, renumbers them in the rows and counts their slots.
fn sort_names(rows: &mut [Row], texts: Vec<Box<str>>) -> Names {
    let mut weight = vec![0; texts.len()];
    for row in &*rows {
        let weight = &mut weight[row.name as usize];
        *weight = row.traits.weight().max(*weight);
    }
    let chars: Vec<u32> = texts.iter().map(|text| number(text.chars().count())).collect();
    let group = |name: u32| (Reverse(weight[name as usize]), chars[name as usize]);
    let mut order: Vec<u32> = (0..number(texts.len())).collect();
    order.sort_unstable_by(|&a, &b| {
        let (left, right) = (&texts[a as usize], &texts[b as usize]);
        group(a).cmp(&group(b)).then_with(|| folded(left).cmp(folded(right))).then_with(|| left.cmp(right))
    });
    let mut names = Names::default();
    let mut rank = vec![0; texts.len()];
    for (&name, at) in order.iter().zip(0..) {
        let (Reverse(weight), chars) = group(name);
        match names.groups.last_mut() {
            Some(group) if (group.weight, group.chars) == (weight, chars) => group.names.end += 1,
            _ => names.groups.push(Group { weight, chars, names: at..at + 1 }),
        }
        let text = &texts[name as usize];
        names.start.push(number(names.text.len()));
        names.text.push_str(text);
        names.characters.push(characters(text.chars()));
        names.pairs.push(pairs(folded(text)));
        let starts = word_starts(text);
        names.word_starts.push(starts);
        names.starting.push(starting(text, starts));
        rank[name as usize] = at;
    }
    names.start.push(number(names.text.len()));
    names.first_slot = vec![0; texts.len() + 1];
    for row in rows {
        row.name = rank[row.name as usize];
        names.first_slot[row.name as usize + 1] += 1;
    }
    for name in 0..texts.len() {
        names.first_slot[name + 1] += names.first_slot[name];
    }
    names
}

/// The rows by slot.
fn sort_rows(rows: &[Row], first_slot: &[u32], containers: &[Container]) -> Vec<u32> {
    let mut next = first_slot.to_vec();
    let mut by_slot = vec![0; rows.len()];
    for (row, index) in rows.iter().zip(0..) {
        let slot = &mut next[row.name as usize];
        by_slot[*slot as usize] = index;
        *slot += 1;
    }
    for name in first_slot.windows(2) {
        by_slot[name[0] as usize..name[1] as usize].sort_unstable_by_key(|&index| {
            let row = &rows[index as usize];
            let file = containers[row.container as usize].file;
            (Reverse(row.traits.part()), file, row.line, row.column, row.traits.kind(), index)
        });
    }
    by_slot
}

/// Sorts the containers and returns the new number of each.
fn sort_containers(containers: &mut [Container]) -> Vec<u32> {
    let mut order: Vec<(Container, u32)> = containers.iter().copied().zip(0..).collect();
    order.sort_unstable();
    let mut rank = vec![0; containers.len()];
    for ((at, &(container, number)), sorted) in (0..).zip(&order).zip(containers) {
        rank[number as usize] = at;
        *sorted = container;
    }
    rank
}

/// Gives back what growing left unused; segments live long.
fn shrink(segment: &mut Segment) {
    let Segment { files, names, slots } = segment;
    files.paths.shrink_to_fit();
    files.package.shrink_to_fit();
    files.first.shrink_to_fit();
    names.groups.shrink_to_fit();
    names.text.shrink_to_fit();
    names.start.shrink_to_fit();
    names.characters.shrink_to_fit();
    names.pairs.shrink_to_fit();
    names.word_starts.shrink_to_fit();
    names.starting.shrink_to_fit();
    slots.containers.shrink_to_fit();
}

/// Numbers distinct texts in the order of their first appearance.
#[derive(Debug, Default)]
struct Interner {
    numbers: HashMap<Box<str>, u32>,
}

impl Interner {
    fn intern(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let next = number(self.numbers.len());
        self.numbers.insert(text.into(), next);
        next
    }

    fn into_texts(self) -> Vec<Box<str>> {
        let mut texts: Vec<_> = self.numbers.into_iter().collect();
        texts.sort_unstable_by_key(|&(_, number)| number);
        texts.into_iter().map(|(text, _)| text).collect()
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count)
        .ok()
        .filter(|&count| count != NO_PARENT)
        .expect("a segment has less than 2^32 - 1 of anything")
}
