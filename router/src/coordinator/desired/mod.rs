//! What each shard should hold: the files on disk, with the unsaved texts of editors over them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

use nova_proto_core::messages::Digest;

use super::event::{FilePath, StatMark, Text};
use super::{FileRead, Volume};
use crate::layout::{FileEntry, Layout, LeftOut, Shard, ShardKey, SkipReason, Skipped, part_of};

mod wanted;

use wanted::size;
pub use wanted::{File, Overlay, Wanted};

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
            let file = |file: FileEntry| (Arc::from(file.path), File { size: size(file.size), known: None });
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
        let (overlays, skipped) = (BTreeMap::new(), BTreeMap::new());
        let mut wanted = Wanted { info, files, overlays, skipped, content: Volume::default() };
        wanted.count_content();
        self.shards.push(wanted);
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
        let deepest = ancestors(path).find_map(|above| self.part(places.get(above)?, path));
        deepest.or_else(|| places.values().flatten().map(|(_, shard)| *shard).min())
    }

    fn part(&self, parts: &[(u32, u32)], path: &str) -> Option<u32> {
        let (_, any) = *parts.first()?;
        let part = part_of(path, self.shard(any).info.parts);
        parts.iter().find(|(number, _)| *number == part).map(|(_, shard)| *shard)
    }

    /// Replaces what lies on disk by what another walk found; keeps what is known of files. Unsaved texts stay.
    pub fn rescan(&mut self, layout: Layout) {
        (self.skipped, self.left_out) = (layout.skipped, layout.left_out);
        let mut found: Vec<Vec<FileEntry>> = self.shards.iter().map(|_| Vec::new()).collect();
        for shard in layout.shards {
            match self.same(&shard) {
                Some(number) if found[number as usize].is_empty() => found[number as usize] = shard.files,
                Some(number) => found[number as usize].extend(shard.files),
                None => {
                    for file in shard.files {
                        if let Some(number) = self.place(shard.root, &file.path) {
                            found[number as usize].push(file);
                        }
                    }
                }
            }
        }
        for (wanted, mut found) in self.shards.iter_mut().zip(found) {
            // Most of them come sorted.
            found.sort_by(|a, b| a.path.cmp(&b.path));
            wanted.rescan(found);
        }
    }

    /// The shard that all files of a shard of another walk belong to, if that is plain to see.
    fn same(&self, found: &Shard) -> Option<u32> {
        let places = self.places.get(&found.root)?;
        let parts = places.get(&*found.source_root)?;
        let deeper = places.range::<str, _>((Bound::Excluded(&*found.source_root), Bound::Unbounded));
        let is_below = |path: &str| below(&found.source_root, path);
        if deeper
            .map(|(path, _)| path)
            .take_while(|path| path.starts_with(&found.source_root))
            .any(|path| is_below(path))
        {
            return None;
        }
        let split = self.shard(parts.first()?.1).info.parts == found.parts;
        parts.iter().find(|(part, _)| split && *part == found.part).map(|(_, shard)| *shard)
    }

    /// The files of a root on disk or unsaved whose paths begin with `directory` and a slash. They lie in shards of source
    /// roots below it, in one of those above it, or in the root's first shard.
    #[must_use]
    pub fn below(&self, directory: &FilePath) -> Vec<FilePath> {
        let Some(places) = self.places.get(&directory.root) else { return Vec::new() };
        let prefix = format!("{}/", directory.path);
        let mut shards: BTreeSet<u32> =
            places.values().flatten().map(|(_, shard)| *shard).min().into_iter().collect();
        let inside = places.range::<str, _>((Bound::Included(&*prefix), Bound::Unbounded));
        let inside = inside.take_while(|(path, _)| path.starts_with(&prefix)).map(|(_, parts)| parts);
        let above = ancestors(&prefix).filter_map(|path| places.get(path));
        shards.extend(inside.chain(above).flatten().map(|(_, shard)| *shard));
        let from = (Bound::Included(&*prefix), Bound::Unbounded);
        let mut found = BTreeSet::new();
        for shard in shards.into_iter().map(|number| self.shard(number)) {
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
        wanted.alter(path, |wanted| wanted.overlays.insert(Arc::clone(path), overlay));
        Ok(())
    }

    /// Takes the unsaved text of a file away, if there is one.
    pub fn close(&mut self, shard: u32, path: &str) {
        if let Some(old) = self.shards[shard as usize].alter(path, |wanted| wanted.overlays.remove(path)) {
            self.overlay_bytes -= cost(path, &old.text);
        }
    }

    /// Takes note of what lies on disk: of a file that is gone, nothing is kept.
    pub fn set_disk(&mut self, shard: u32, path: &Arc<str>, read: &FileRead) {
        let wanted = &mut self.shards[shard as usize];
        if let FileRead::LeftOut | FileRead::Skipped(SkipReason::Vanished) = read {
            wanted.alter(path, |wanted| {
                wanted.files.remove(path);
                wanted.skipped.remove(path);
            });
        } else {
            wanted.alter(path, |wanted| {
                wanted.files.entry(Arc::clone(path)).or_default();
            });
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

    /// Takes what an earlier run knew of a file on disk. Its length is the one that the walk has seen.
    pub fn recall(&mut self, shard: u32, path: &str, mark: StatMark, hash: Digest) {
        if let Some(file) = self.shards[shard as usize].files.get_mut(path) {
            file.known = Some((mark, hash));
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

/// The directories above a file or a directory, the deepest first; the last one is the root.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    fn above(path: &str) -> Option<&str> {
        (!path.is_empty()).then(|| path.rsplit_once('/').map_or("", |(above, _)| above))
    }
    std::iter::successors(above(path), |path| above(path))
}

/// Whether a path lies below a directory.
fn below(directory: &str, path: &str) -> bool {
    directory.is_empty() || path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
