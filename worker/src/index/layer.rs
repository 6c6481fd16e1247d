//! A segment and which of its files still count.

use std::sync::Arc;

use super::segment::Segment;

/// A shared [`Segment`] less the files that were replaced or removed since it was built.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    segment: Arc<Segment>,
    /// One bit a file, set for those that are gone; `None` while there are none.
    dead: Option<Arc<[u64]>>,
    live_files: usize,
    live_symbols: usize,
}

impl Layer {
    pub(super) fn new(segment: Segment) -> Self {
        let (live_files, live_symbols) = (segment.file_count(), segment.symbol_count());
        Self { segment: Arc::new(segment), dead: None, live_files, live_symbols }
    }

    pub(super) fn segment(&self) -> &Segment {
        &self.segment
    }

    pub(super) fn live_files(&self) -> usize {
        self.live_files
    }

    pub(super) fn live_symbols(&self) -> usize {
        self.live_symbols
    }

    /// How many symbols are still stored though their files are gone.
    pub(super) fn dead_symbols(&self) -> usize {
        self.segment.symbol_count() - self.live_symbols
    }

    pub(super) fn is_live(&self, file: u32) -> bool {
        self.dead.as_ref().is_none_or(|dead| dead[file as usize / 64] & 1 << (file % 64) == 0)
    }

    pub(super) fn has_dead(&self) -> bool {
        self.dead.is_some()
    }

    /// The number of the file at `path`, if it still counts here.
    pub(super) fn find(&self, path: &str) -> Option<u32> {
        self.segment.find(path).filter(|&file| self.is_live(file))
    }

    /// Takes out the files at `paths`, those that are here. Copies one bit for each file of the segment, if any is.
    pub(super) fn bury<'a>(&mut self, paths: impl Iterator<Item = &'a str>) {
        let mut files: Vec<u32> = paths.filter_map(|path| self.find(path)).collect();
        files.sort_unstable();
        files.dedup();
        if files.is_empty() {
            return;
        }
        let words = self.segment.file_count().div_ceil(64);
        let mut dead = self.dead.as_ref().map_or_else(|| vec![0; words], |dead| dead.to_vec());
        for &file in &files {
            dead[file as usize / 64] |= 1 << (file % 64);
            self.live_symbols -= self.segment.symbols_of(file);
        }
        self.live_files -= files.len();
        self.dead = Some(dead.into());
    }

    /// The numbers of the files that still count, in the order of their paths.
    pub(super) fn files(&self) -> impl Iterator<Item = u32> {
        (0..self.segment.file_count() as u32).filter(|&file| self.is_live(file))
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.segment.memory_bytes() + self.dead.as_ref().map_or(0, |dead| size_of_val(&**dead))
    }
}
