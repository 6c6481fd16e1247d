//! Holds code to a bound on what it allocates.

use crate::counting::{live, peak_of};

/// What everything that ran inside has allocated and not freed, wherever it went since.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    held: isize,
}

impl Meter {
    /// Runs something that may hold at most `most` bytes at any time, with what was held before.
    #[track_caller]
    pub(crate) fn run<T>(&mut self, most: usize, run: impl FnOnce() -> T) -> T {
        let before = live();
        let mut result = None;
        let peak = peak_of(|| result = Some(run()));
        let all = self.held.saturating_add_unsigned(peak);
        assert!(all <= most as isize, "{all} bytes are held where {most} are the most");
        self.held += live() - before;
        result.expect("it ran")
    }

    pub(crate) fn held(&self) -> isize {
        self.held
    }
}
