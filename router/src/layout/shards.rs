//! From files to shards.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::walk::Found;
use super::{FILES_PER_SHARD, FileEntry, Layout, Shard};

/// Changing what goes into a key needs a new context, so that an old key cannot name a new shard.
const KEY_CONTEXT: &str = "nova-router 2026 layout shard key, version 1";
const PART_CONTEXT: &str = "nova-router 2026 layout part of a source root, version 1";

/// Names a shard across runs of the program: a hash of the canonical given root, the source root's path
/// below it, the part and the number of parts. Other roots, the order of arguments and the files
/// themselves do not enter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardKey(pub [u8; 16]);

impl ShardKey {
    /// The key of one part of a source root.
    #[must_use]
    pub fn new(root: &Path, source_root: &str, part: u32, parts: u32) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(KEY_CONTEXT);
        for field in [root.as_os_str().as_encoded_bytes(), source_root.as_bytes()] {
            // The length in front keeps two fields from running into each other.
            hasher.update(&(field.len() as u64).to_le_bytes()).update(field);
        }
        hasher.update(&part.to_le_bytes()).update(&parts.to_le_bytes());
        let mut key = [0; 16];
        hasher.finalize_xof().fill(&mut key);
        Self(key)
    }
}

impl fmt::Display for ShardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ShardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShardKey({self})")
    }
}

/// Into how many parts a source root of `files` files is split: the next power of two that keeps a part
/// near [`FILES_PER_SHARD`] files.
///
/// A power of two, because when the number doubles each part then splits in two, and no file moves between
/// old parts.
#[must_use]
pub fn parts_for(files: usize) -> u32 {
    let parts = files.div_ceil(FILES_PER_SHARD).max(1);
    u32::try_from(parts).ok().and_then(u32::checked_next_power_of_two).unwrap_or(1 << 31)
}

/// The part of the file at `path`, relative to its given root, among `parts`, a power of two. It depends on
/// the path alone: other files coming and going do not move it.
#[must_use]
pub fn part_of(path: &str, parts: u32) -> u32 {
    if parts <= 1 {
        return 0;
    }
    let mut hasher = blake3::Hasher::new_derive_key(PART_CONTEXT);
    hasher.update(path.as_bytes());
    let mut word = [0; 4];
    hasher.finalize_xof().fill(&mut word);
    u32::from_le_bytes(word) & (parts - 1)
}

/// Puts what the walk found in its final order.
pub(super) fn assemble(roots: Vec<PathBuf>, found: Found) -> Layout {
    let Found { batches, mut skipped, mut left_out } = found;
    let mut sources: BTreeMap<(usize, Arc<str>), Vec<FileEntry>> = BTreeMap::new();
    for batch in batches {
        sources.entry((batch.root, batch.source_root)).or_default().extend(batch.files);
    }
    let mut shards = Vec::with_capacity(sources.len());
    for ((root, source_root), files) in sources {
        split(&roots[root], root, &source_root, files, &mut shards);
    }
    skipped.sort_unstable();
    left_out.sort_unstable();
    Layout { roots, shards, skipped, left_out }
}

/// Adds the shards of one source root. A part without files is no shard; the others keep their numbers.
fn split(given: &Path, root: usize, source_root: &str, mut files: Vec<FileEntry>, shards: &mut Vec<Shard>) {
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let parts = parts_for(files.len());
    let mut by_part: BTreeMap<u32, Vec<FileEntry>> = BTreeMap::new();
    for file in files {
        by_part.entry(part_of(&file.path, parts)).or_default().push(file);
    }
    shards.extend(by_part.into_iter().map(|(part, mut files)| {
        files.shrink_to_fit();
        let key = ShardKey::new(given, source_root, part, parts);
        Shard { key, root, source_root: source_root.to_owned(), part, parts, files }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_parts() {
        let cases = [(0, 1), (1, 1), (2048, 1), (2049, 2), (4096, 2), (4097, 4), (5000, 4), (8193, 8)];
        for (files, parts) in cases {
            assert_eq!(parts_for(files), parts, "{files}");
        }
        assert_eq!(parts_for(usize::MAX), 1 << 31);
    }

    /// A workspace of a million files is kept as such entries and their paths.
    #[test]
    fn an_entry_is_small() {
        assert!(size_of::<FileEntry>() <= 40);
    }

    #[test]
    fn doubling_only_splits() {
        for n in 0..500 {
            let path = format!("a/b/C{n}.java");
            assert_eq!(part_of(&path, 8) & 3, part_of(&path, 4));
            assert_eq!(part_of(&path, 1), 0);
        }
    }

    #[test]
    fn keys_differ_in_every_field() {
        let keys = [
            ShardKey::new(Path::new("/a"), "b", 0, 1),
            ShardKey::new(Path::new("/a"), "", 0, 1),
            ShardKey::new(Path::new("/ab"), "", 0, 1),
            ShardKey::new(Path::new("/a"), "b", 0, 2),
            ShardKey::new(Path::new("/a"), "b", 1, 2),
        ];
        let mut distinct = keys.to_vec();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), keys.len());
        // A change of this value is a change of format: every stored index is orphaned.
        assert_eq!(keys[0].to_string(), "c826380c1d4eac054120059f800186ba");
    }
}
