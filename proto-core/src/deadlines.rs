//! Who is due when.

use std::collections::VecDeque;
use std::time::Instant;

/// How many places an empty queue keeps.
const KEPT: usize = 1024;

/// Deadlines, the next one first. Most come and go in order, so it is a queue; one that does not moves at most half of the
/// others, which are no more than there may be calls.
#[derive(Debug)]
pub(crate) struct Deadlines<T> {
    sorted: VecDeque<(Instant, T)>,
}

impl<T: Copy + Ord> Deadlines<T> {
    pub(crate) fn insert(&mut self, at: Instant, whose: T) {
        match self.sorted.back() {
            Some(last) if *last >= (at, whose) => {
                if let Err(place) = self.sorted.binary_search(&(at, whose)) {
                    self.sorted.insert(place, (at, whose));
                }
            }
            _ => self.sorted.push_back((at, whose)),
        }
    }

    /// The next one.
    pub(crate) fn first(&self) -> Option<(Instant, T)> {
        self.sorted.front().copied()
    }

    pub(crate) fn remove(&mut self, at: Instant, whose: T) {
        if self.first() == Some((at, whose)) {
            self.sorted.pop_front();
        } else if let Ok(place) = self.sorted.binary_search(&(at, whose)) {
            self.sorted.remove(place);
        }
        if self.sorted.is_empty() {
            self.sorted.shrink_to(KEPT);
        }
    }
}

impl<T> Default for Deadlines<T> {
    fn default() -> Self {
        Self { sorted: VecDeque::new() }
    }
}
