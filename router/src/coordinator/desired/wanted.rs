//! What one shard should hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use nova_proto_core::messages::Digest;

use super::ShardInfo;
use crate::coordinator::event::{StatMark, Text};
use crate::coordinator::{FileRead, Volume};
use crate::layout::{FileEntry, SkipReason};

/// What one shard should hold.
#[derive(Debug)]
pub struct Wanted {
    /// Which shard this is.
    pub info: ShardInfo,
    pub(super) files: BTreeMap<Arc<str>, File>,
    pub(super) overlays: BTreeMap<Arc<str>, Overlay>,
    pub(super) skipped: BTreeMap<Arc<str>, SkipReason>,
    pub(super) content: Volume,
}

/// What is known of a file on disk. A workspace of a million files is kept as such entries and their paths.
#[derive(Debug, Clone, Copy, Default)]
pub struct File {
    /// Its length: as it was when it was read last, or as the walk saw it.
    pub size: u32,
    /// How to tell that it has not changed, and the hash of its text then.
    pub known: Option<(StatMark, Digest)>,
}

/// The text of a file that is not saved yet.
#[derive(Debug, Clone)]
pub struct Overlay {
    /// The text.
    pub text: Text,
    /// The revision at which it came.
    pub rev: u64,
}

impl Wanted {
    /// All paths that the shard should hold, sorted.
    #[must_use]
    pub fn manifest(&self) -> Vec<Arc<str>> {
        let mut manifest = Vec::with_capacity(self.files.len() + self.overlays.len());
        let mut overlays = self.overlays.keys().peekable();
        for path in self.files.keys() {
            while let Some(before) = overlays.next_if(|overlay| *overlay < path) {
                manifest.push(Arc::clone(before));
            }
            overlays.next_if_eq(&path);
            manifest.push(Arc::clone(path));
        }
        manifest.extend(overlays.cloned());
        manifest
    }

    /// How many files the shard should hold.
    #[must_use]
    pub fn count(&self) -> usize {
        self.files.len() + self.overlays.keys().filter(|path| !self.files.contains_key(*path)).count()
    }

    /// How many of them have unsaved texts.
    #[must_use]
    pub fn overlay_count(&self) -> usize {
        self.overlays.len()
    }

    /// Whether the shard should hold a file.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.overlays.contains_key(path) || self.files.contains_key(path)
    }

    /// A file's unsaved text.
    #[must_use]
    pub fn overlay(&self, path: &str) -> Option<&Overlay> {
        self.overlays.get(path)
    }

    /// A file on disk.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// All files on disk, sorted.
    pub fn files(&self) -> impl Iterator<Item = (&Arc<str>, &File)> {
        self.files.iter()
    }

    /// The text that there is to index, as far as it has been read.
    #[must_use]
    pub fn content(&self) -> Volume {
        self.content
    }

    /// What one file counts for in it.
    fn counts(&self, path: &str) -> Volume {
        match (self.overlays.get(path), self.files.get(path)) {
            (Some(overlay), _) => Volume::file(overlay.text.bytes()),
            (None, Some(file)) if !self.skipped.contains_key(path) => Volume::file(u64::from(file.size)),
            _ => Volume::default(),
        }
    }

    /// Changes what is known of one file. All of the content is not counted again for it.
    pub(super) fn alter<T>(&mut self, path: &str, how: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.counts(path);
        let result = how(self);
        self.content = self.content - before + self.counts(path);
        result
    }

    /// Takes the place of what lies on disk; `found` is sorted.
    pub(super) fn rescan(&mut self, found: Vec<FileEntry>) {
        let mut before = std::mem::take(&mut self.files).into_iter().peekable();
        let keep = |FileEntry { path, size: length, .. }: FileEntry| {
            while before.next_if(|(known, _)| **known < *path).is_some() {}
            let size = size(length);
            match before.next_if(|(known, _)| **known == *path) {
                Some((path, file)) => (path, File { size, ..file }),
                None => (path.into(), File { size, known: None }),
            }
        };
        self.files = found.into_iter().map(keep).collect();
        self.skipped.retain(|path, _| self.files.contains_key(path));
        self.count_content();
    }

    pub(super) fn count_content(&mut self) {
        let alone = self.overlays.keys().filter(|path| !self.files.contains_key(*path));
        self.content = self.files.keys().chain(alone).map(|path| self.counts(path)).sum();
    }

    /// Returns whether it is known now how to tell that the file has not changed, and was not before.
    pub(super) fn learn(&mut self, path: &Arc<str>, read: &FileRead) -> bool {
        let Some(mut file) = self.files.get(path).copied() else { return false };
        let before = file.known;
        self.alter(path, |wanted| match read {
            FileRead::Unchanged | FileRead::Changed | FileRead::LeftOut => {}
            FileRead::Text { text, mark } => {
                file = File { size: size(text.bytes()), known: mark.map(|mark| (mark, text.hash)) };
                wanted.files.insert(Arc::clone(path), file);
                wanted.skipped.remove(path);
            }
            FileRead::Skipped(reason) => {
                file = File::default();
                wanted.files.insert(Arc::clone(path), file);
                wanted.skipped.insert(Arc::clone(path), reason.clone());
            }
        });
        file.known.is_some() && file.known != before
    }
}

/// Files are at most 8 MiB long.
pub(super) fn size(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
