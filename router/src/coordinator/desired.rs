//! What each shard should hold: the files on disk, with the unsaved texts of editors over them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

use nova_proto_core::messages::Digest;

use super::FileRead;
use super::event::{FilePath, StatMark, Text};
use super::status::Volume;
use crate::layout::{Layout, LeftOut, ShardKey, SkipReason, Skipped, part_of};

/// Which files a shard is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardInfo {
    /// Names the shard across runs.
    pub key: ShardKey,
    /// The number of its root.
    pub root: usize,
    /// Path of its source root below that, with `/`; empty for the root itself.
    pub source_root: String,
    /// Which part of the source root this is, below `parts`.
    pub part: u32,
    /// Into how many parts the source root is split.
    pub parts: u32,
}

/// What all shards should hold.
#[derive(Debug)]
pub struct Desired {
    shards: Vec<Wanted>,
    /// By root and source root.
    places: BTreeMap<usize, BTreeMap<Box<str>, Parts>>,
    overlay_bytes: u64,
    roots: Vec<PathBuf>,
    /// What the last walk could not use, and what it left out.
    skipped: Vec<Skipped>,
    left_out: Vec<LeftOut>,
    /// Whether more is known of files than was recalled.
    learned: bool,
}

/// The parts of a source root that exist, with their shards.
type Parts = Vec<(u32, u32)>;

/// What one shard should hold.
#[derive(Debug)]
pub struct Wanted {
    /// Which shard this is.
    pub info: ShardInfo,
    files: BTreeMap<Arc<str>, File>,
    overlays: BTreeMap<Arc<str>, Overlay>,
    skipped: BTreeMap<Arc<str>, SkipReason>,
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

/// What an unsaved text counts for in the budget, in bytes, apart from its length: its place in the table.
const OVERLAY_ENTRY: u64 = 256;

fn cost(path: &str, text: &Text) -> u64 {
    OVERLAY_ENTRY + path.len() as u64 + text.bytes()
}

impl Desired {
    /// What the walk found. A root without any shard gets an empty one, so that new files have a place.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        let mut desired = Self {
            shards: Vec::with_capacity(layout.shards.len()),
            places: BTreeMap::new(),
            overlay_bytes: 0,
            roots: layout.roots,
            skipped: layout.skipped,
            left_out: layout.left_out,
            learned: false,
        };
        for shard in layout.shards {
            let info = ShardInfo {
                key: shard.key,
                root: shard.root,
                source_root: shard.source_root,
                part: shard.part,
                parts: shard.parts,
            };
            let file = |file: crate::layout::FileEntry| {
                (Arc::from(file.path), File { size: size(file.size), known: None })
            };
            desired.add(info, shard.files.into_iter().map(file).collect());
        }
        for (root, path) in desired.roots.clone().iter().enumerate() {
            if desired.shards.iter().all(|shard| shard.info.root != root) {
                let key = ShardKey::new(path, "", 0, 1);
                let info = ShardInfo { key, root, source_root: String::new(), part: 0, parts: 1 };
                desired.add(info, BTreeMap::new());
            }
        }
        desired
    }

    fn add(&mut self, info: ShardInfo, files: BTreeMap<Arc<str>, File>) {
        let number = u32::try_from(self.shards.len()).unwrap_or(u32::MAX);
        let places = self.places.entry(info.root).or_default();
        places.entry(info.source_root.as_str().into()).or_default().push((info.part, number));
        self.shards.push(Wanted { info, files, overlays: BTreeMap::new(), skipped: BTreeMap::new() });
    }

    /// How many shards there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.len()
    }

    /// What a shard should hold.
    #[must_use]
    pub fn shard(&self, number: u32) -> &Wanted {
        &self.shards[number as usize]
    }

    /// The roots, canonical, by their numbers.
    #[must_use]
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// What the rules of the last walk left out.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// What the last walk found and could not use.
    #[must_use]
    pub fn skipped_by_walk(&self) -> &[Skipped] {
        &self.skipped
    }

    /// All shards, by their numbers.
    pub fn shards(&self) -> impl Iterator<Item = &Wanted> {
        self.shards.iter()
    }

    /// Whether there is no shard, and so no root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }

    /// What unsaved texts count for in their budget.
    #[must_use]
    pub fn overlay_bytes(&self) -> u64 {
        self.overlay_bytes
    }

    /// The shard that a file belongs to: the part of the deepest source root above it that has shards; the shard of the
    /// given root if there is none such; and where that has no shard either, the root's first one. `None` for an unknown
    /// root.
    #[must_use]
    pub fn place(&self, root: usize, path: &str) -> Option<u32> {
        let places = self.places.get(&root)?;
        let mut above = path;
        while !above.is_empty() {
            above = above.rsplit_once('/').map_or("", |(directory, _)| directory);
            if let Some(shard) = places.get(above).and_then(|parts| self.part(parts, path)) {
                return Some(shard);
            }
        }
        places.values().flatten().map(|(_, shard)| *shard).min()
    }

    fn part(&self, parts: &[(u32, u32)], path: &str) -> Option<u32> {
        let (_, any) = *parts.first()?;
        let part = part_of(path, self.shard(any).info.parts);
        parts.iter().find(|(number, _)| *number == part).map(|(_, shard)| *shard)
    }

    /// Replaces what lies on disk by what another walk found; keeps what is known of files. Unsaved texts stay.
    pub fn rescan(&mut self, layout: Layout) {
        (self.skipped, self.left_out) = (layout.skipped, layout.left_out);
        let mut before: Vec<_> = self
            .shards
            .iter_mut()
            .map(|shard| (std::mem::take(&mut shard.files), std::mem::take(&mut shard.skipped)))
            .collect();
        for shard in layout.shards {
            for found in shard.files {
                let Some(number) = self.place(shard.root, &found.path) else { continue };
                let (files, skipped) = &mut before[number as usize];
                let wanted = &mut self.shards[number as usize];
                if let Some((path, known)) = files.remove_entry(&*found.path) {
                    if let Some((path, reason)) = skipped.remove_entry(&path) {
                        wanted.skipped.insert(path, reason);
                    }
                    wanted.files.insert(path, known);
                } else {
                    wanted.files.insert(found.path.into(), File { size: size(found.size), known: None });
                }
            }
        }
    }

    /// The files of a root on disk or unsaved whose paths begin with `directory` and a slash.
    #[must_use]
    pub fn below(&self, directory: &FilePath) -> Vec<FilePath> {
        let prefix = format!("{}/", directory.path);
        let from = (Bound::Included(&*prefix), Bound::Unbounded);
        let mut found = BTreeSet::new();
        for shard in self.shards.iter().filter(|shard| shard.info.root == directory.root) {
            let files = shard.files.range::<str, _>(from).map(|(path, _)| path);
            let overlays = shard.overlays.range::<str, _>(from).map(|(path, _)| path);
            found.extend(files.take_while(|path| path.starts_with(&prefix)).cloned());
            found.extend(overlays.take_while(|path| path.starts_with(&prefix)).cloned());
        }
        found.into_iter().map(|path| FilePath { root: directory.root, path }).collect()
    }

    /// Puts an unsaved text over a file.
    ///
    /// # Errors
    /// What all unsaved texts but this one count for, and what this one would, if together they are over `limit`: then
    /// nothing changes.
    pub fn open(
        &mut self,
        shard: u32,
        path: &Arc<str>,
        overlay: Overlay,
        limit: u64,
    ) -> Result<(), (u64, u64)> {
        let wanted = &mut self.shards[shard as usize];
        let old = wanted.overlays.get(path).map_or(0, |old| cost(path, &old.text));
        let (used, new) = (self.overlay_bytes - old, cost(path, &overlay.text));
        if used.saturating_add(new) > limit {
            return Err((used, new));
        }
        self.overlay_bytes = used + new;
        wanted.overlays.insert(Arc::clone(path), overlay);
        Ok(())
    }

    /// Takes the unsaved text of a file away, if there is one.
    pub fn close(&mut self, shard: u32, path: &str) {
        if let Some(old) = self.shards[shard as usize].overlays.remove(path) {
            self.overlay_bytes -= cost(path, &old.text);
        }
    }

    /// Takes note of what lies on disk: of a file that is gone, nothing is kept.
    pub fn set_disk(&mut self, shard: u32, path: &Arc<str>, read: &FileRead) {
        let wanted = &mut self.shards[shard as usize];
        if let FileRead::LeftOut | FileRead::Skipped(SkipReason::Vanished) = read {
            wanted.files.remove(path);
            wanted.skipped.remove(path);
        } else {
            wanted.files.entry(Arc::clone(path)).or_default();
            self.learned |= wanted.learn(path, read);
        }
    }

    /// Takes note of what a sync found in a file that should be there; a file that is not is named as vanished.
    pub fn learn(&mut self, shard: u32, path: &Arc<str>, read: &FileRead) {
        self.learned |= self.shards[shard as usize].learn(path, read);
    }

    /// Whether more is known of files than an earlier run knew.
    #[must_use]
    pub fn has_learned(&self) -> bool {
        self.learned
    }

    /// Takes what an earlier run knew of a file on disk.
    pub fn recall(&mut self, shard: u32, path: &str, known: File) {
        if let Some(file) = self.shards[shard as usize].files.get_mut(path) {
            *file = known;
        }
    }

    /// Files of the walk that could not be read when their turn came.
    pub fn unreadable(&self) -> impl Iterator<Item = Skipped> {
        self.shards.iter().flat_map(|shard| {
            shard.skipped.iter().map(|(path, reason)| Skipped {
                root: shard.info.root,
                path: path.to_string(),
                reason: reason.clone(),
            })
        })
    }
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

    /// Why a file cannot be indexed, if that is so.
    #[must_use]
    pub fn skip_reason(&self, path: &str) -> Option<&SkipReason> {
        self.skipped.get(path).filter(|_| !self.overlays.contains_key(path))
    }

    /// The text that there is to index, as far as it has been read.
    #[must_use]
    pub fn content(&self) -> Volume {
        let unsaved = self.overlays.values().map(|overlay| Volume::file(overlay.text.bytes()));
        let on_disk = self.files.iter().filter(|(path, _)| !self.overlays.contains_key(*path));
        let on_disk = on_disk.filter(|(path, _)| !self.skipped.contains_key(*path));
        unsaved.chain(on_disk.map(|(_, file)| Volume::file(u64::from(file.size)))).sum()
    }

    /// Returns whether it is known now how to tell that the file has not changed, and was not before.
    fn learn(&mut self, path: &Arc<str>, read: &FileRead) -> bool {
        let Some(file) = self.files.get_mut(path) else { return false };
        let before = file.known;
        match read {
            FileRead::Unchanged | FileRead::Changed | FileRead::LeftOut => {}
            FileRead::Text { text, mark } => {
                *file = File { size: size(text.bytes()), known: mark.map(|mark| (mark, text.hash)) };
                self.skipped.remove(path);
            }
            FileRead::Skipped(reason) => {
                *file = File::default();
                self.skipped.insert(Arc::clone(path), reason.clone());
            }
        }
        file.known.is_some() && file.known != before
    }
}

/// Files are at most 8 MiB long.
fn size(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::layout::{FileEntry, Mtime, Shard};

    /// A layout of these shards: root, source root, part, parts and files.
    fn desired(roots: usize, shards: &[(usize, &str, u32, u32, &[&str])]) -> Desired {
        let shard = |&(root, source_root, part, parts, files): &(usize, &str, u32, u32, &[&str])| Shard {
            key: ShardKey([0; 16]),
            root,
            source_root: source_root.to_owned(),
            part,
            parts,
            files: files
                .iter()
                .map(|path| FileEntry { path: (*path).into(), size: 1, mtime: Mtime::default() })
                .collect(),
        };
        Desired::new(Layout {
            roots: (0..roots).map(|root| PathBuf::from(format!("/{root}"))).collect(),
            shards: shards.iter().map(shard).collect(),
            skipped: Vec::new(),
            left_out: Vec::new(),
        })
    }

    fn path(root: usize, path: &str) -> FilePath {
        FilePath { root, path: path.into() }
    }

    #[test]
    fn a_file_of_a_million_is_small() {
        assert!(size_of::<(Arc<str>, File)>() <= 56);
    }

    #[test]
    fn a_new_file_gets_the_shard_that_a_walk_would_give_it() {
        let shards: [(usize, &str, u32, u32, &[&str]); 5] = [
            (0, "", 0, 1, &["A.java"]),
            (0, "m/src/main/java", 0, 1, &["m/src/main/java/B.java"]),
            (0, "m/src/main/java/deep/src/test/java", 0, 1, &["m/src/main/java/deep/src/test/java/T.java"]),
            (1, "big", 0, 2, &[]),
            (1, "big", 1, 2, &[]),
        ];
        let desired = desired(3, &shards);
        let place = |root, file| desired.place(root, file);
        assert_eq!(place(0, "New.java"), Some(0));
        assert_eq!(place(0, "unknown/directory/New.java"), Some(0), "the given root's shard");
        assert_eq!(place(0, "m/src/main/java/p/New.java"), Some(1));
        assert_eq!(place(0, "m/src/main/java/deep/src/test/java/q/New.java"), Some(2));
        assert_eq!(place(0, "m/src/main/javanese/New.java"), Some(0));
        for file in ["big/a/A.java", "big/B.java", "big/x/y/Z.java", "big/0.java"] {
            assert_eq!(place(1, file), Some(3 + part_of(file, 2)), "{file}");
        }
        assert_eq!(place(1, "elsewhere/New.java"), Some(3), "this root has no shard of its own");
        assert_eq!(place(2, "New.java"), Some(5), "nor any shard at all: it got one");
        assert_eq!(place(3, "New.java"), None);
    }

    #[test]
    fn unsaved_texts_are_part_of_the_manifest_and_of_the_budget() {
        let mut desired = desired(1, &[(0, "", 0, 1, &["b", "d"])]);
        let overlay = |text: &str| Overlay { text: Text::new(text), rev: 1 };
        let manifest = |desired: &Desired| desired.shard(0).manifest().join(" ");
        for name in ["a", "b", "c", "e"] {
            desired.open(0, &name.into(), overlay("class A {}"), 10_000).expect("there is room");
        }
        assert_eq!((manifest(&desired), desired.shard(0).count()), ("a b c d e".into(), 5));
        assert_eq!(desired.overlay_bytes(), 4 * (OVERLAY_ENTRY + 11));
        let full = desired.open(0, &"f".into(), overlay("class F {}"), 4 * (OVERLAY_ENTRY + 11));
        assert_eq!(full, Err((4 * (OVERLAY_ENTRY + 11), OVERLAY_ENTRY + 11)));
        // An edit is counted in the place of what it replaces.
        desired
            .open(0, &"a".into(), overlay("class B {}"), 4 * (OVERLAY_ENTRY + 11))
            .expect("no more than before");
        for name in ["a", "b", "c", "e", "e", "d"] {
            desired.close(0, name);
        }
        assert_eq!((manifest(&desired), desired.overlay_bytes()), ("b d".into(), 0));
    }

    #[test]
    fn what_is_below_a_directory_is_found_in_every_shard() {
        let shards: [(usize, &str, u32, u32, &[&str]); 2] =
            [(0, "", 0, 1, &["p/A.java", "p0/B.java"]), (0, "p/s", 0, 1, &["p/s/C.java"])];
        let mut desired = desired(1, &shards);
        desired.open(0, &"p/new.java".into(), Overlay { text: Text::new(""), rev: 1 }, 1000).expect("room");
        let below: Vec<_> = desired.below(&path(0, "p")).into_iter().map(|file| file.path).collect();
        assert_eq!(below.join(" "), "p/A.java p/new.java p/s/C.java");
    }
}
