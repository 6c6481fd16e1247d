//! What is kept of files between runs of the router: how to tell that they have not changed, and their hashes. It saves
//! reading them again, and nothing depends on it: what it says of a file counts only if all that the file system tells of
//! the file is as it was.
//!
//! The file is a header and a section for each shard: its length, the shard's key, the hash of the rest, and the rest.
//! One section at a time is in memory. A section that is damaged, or any other file in its place, counts as absent.

use std::fs::File as Handle;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use nova_proto_core::messages::MAX_PATH;
use serde::{Deserialize, Serialize};

use crate::coordinator::desired::{Desired, Wanted};
use crate::layout::ShardKey;

/// What the file begins with: what it is, and the version of the rest.
const HEADER: &[u8; 16] = b"nova file status";
const VERSION: u8 = 1;

/// The file's name in the cache directory.
pub const STATUS_FILE: &str = "files.status";

/// Longest section, in bytes: more than the largest shard takes.
const MAX_SECTION: u32 = 256 << 20;

/// The cache of one workspace.
#[derive(Debug, Clone)]
pub(super) struct StatCache {
    path: PathBuf,
}

/// One file in a section.
#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    path: &'a str,
    size: u32,
    mark: [u8; 16],
    hash: [u8; 16],
}

impl StatCache {
    pub(super) fn new(directory: &Path) -> Self {
        Self { path: directory.join(STATUS_FILE) }
    }

    /// Recalls what an earlier run knew of files, shard by shard: `with` lends what is desired for one of them at a time.
    pub(super) fn load(&self, mut with: impl FnMut(&mut dyn FnMut(&mut Desired))) {
        match self.read(&mut with) {
            Ok(files) => tracing::debug!(files, path = %self.path.display(), "file status recalled"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Everything is read again then.
            Err(error) => tracing::warn!(%error, path = %self.path.display(), "file status is not used"),
        }
    }

    fn read(&self, with: &mut impl FnMut(&mut dyn FnMut(&mut Desired))) -> io::Result<usize> {
        let file = Handle::open(&self.path)?;
        check_owner(&file)?;
        let mut from = BufReader::new(file);
        let mut header = [0; HEADER.len() + 1];
        from.read_exact(&mut header)?;
        if header[..HEADER.len()] != HEADER[..] || header[HEADER.len()] != VERSION {
            return Err(invalid("it is of another version"));
        }
        let mut known = 0;
        while let Some((key, section)) = read_section(&mut from)? {
            let mut recalled = Ok(0);
            with(&mut |desired| {
                let number = (0..).zip(desired.shards()).find(|(_, shard)| shard.info.key == key);
                if let Some(number) = number.map(|(number, _)| number) {
                    recalled = recall(desired, number, &section);
                }
            });
            known += recalled?;
        }
        Ok(known)
    }

    /// Keeps what is known of files, shard by shard: `with` lends what is desired for one of them at a time.
    pub(super) fn save(&self, mut with: impl FnMut(&mut dyn FnMut(&Desired))) {
        let (mut learned, mut shards) = (false, 0);
        with(&mut |desired| (learned, shards) = (desired.has_learned(), desired.len()));
        if !learned {
            return;
        }
        if let Err(error) = self.write(shards, &mut with) {
            tracing::warn!(%error, path = %self.path.display(), "file status cannot be kept");
        }
    }

    fn write(&self, shards: usize, with: &mut impl FnMut(&mut dyn FnMut(&Desired))) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or_else(|| Path::new("."));
        make_private(directory)?;
        let mut to = BufWriter::new(tempfile::Builder::new().prefix(".unfinished-").tempfile_in(directory)?);
        to.write_all(HEADER)?;
        to.write_all(&[VERSION])?;
        for number in 0..u32::try_from(shards).unwrap_or(u32::MAX) {
            let (mut key, mut section) = (ShardKey([0; 16]), Vec::new());
            with(&mut |desired| {
                let shard = desired.shard(number);
                (key, section) = (shard.info.key, self::section(shard));
            });
            let length = u32::try_from(section.len()).map_err(|_| invalid("a shard is too large"))?;
            to.write_all(&length.to_le_bytes())?;
            to.write_all(&key.0)?;
            to.write_all(blake3::hash(&section).as_bytes())?;
            to.write_all(&section)?;
        }
        to.into_inner().map_err(io::IntoInnerError::into_error)?.persist(&self.path)?;
        Ok(())
    }
}

/// What is known of a shard's files.
fn section(shard: &Wanted) -> Vec<u8> {
    let mut section = Vec::new();
    for (path, file) in shard.files() {
        let Some((mark, hash)) = file.known else { continue };
        let entry = Entry { path, size: file.size, mark, hash };
        // A vector takes everything.
        section = postcard::to_extend(&entry, section).unwrap_or_default();
    }
    section
}

fn read_section(from: &mut impl Read) -> io::Result<Option<(ShardKey, Vec<u8>)>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let length = u32::from_le_bytes(length);
    if length > MAX_SECTION {
        return Err(invalid("a section is too long"));
    }
    let (mut key, mut hash) = ([0; 16], [0; 32]);
    from.read_exact(&mut key)?;
    from.read_exact(&mut hash)?;
    let mut section = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut section)?;
    if section.len() != length as usize || blake3::hash(&section) != hash {
        return Err(invalid("it is damaged"));
    }
    Ok(Some((ShardKey(key), section)))
}

fn recall(desired: &mut Desired, shard: u32, mut section: &[u8]) -> io::Result<usize> {
    let mut known = 0;
    while !section.is_empty() {
        let (entry, rest) =
            postcard::take_from_bytes::<Entry<'_>>(section).map_err(|_| invalid("it is damaged"))?;
        section = rest;
        if entry.path.len() <= MAX_PATH {
            desired.recall(shard, entry.path, entry.mark, entry.hash);
            known += 1;
        }
    }
    Ok(known)
}

/// As the workers make it: nobody else looks into it.
fn make_private(directory: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)
}

/// Whoever could write it could make the router believe that files have not changed.
#[cfg(unix)]
fn check_owner(file: &Handle) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata()?;
    if !metadata.is_file()
        || metadata.uid() != rustix::process::geteuid().as_raw()
        || metadata.mode() & 0o022 != 0
    {
        return Err(io::Error::other("it is not a file that this user alone can write"));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_: &Handle) -> io::Result<()> {
    Ok(())
}

fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::coordinator::{FileRead, Text};
    use crate::layout::{FileEntry, Layout, Mtime, Shard};

    fn desired(paths: &[&str]) -> Desired {
        let entry = |path: &&str| FileEntry { path: (*path).into(), size: 3, mtime: Mtime::default() };
        let shard = Shard {
            key: ShardKey([7; 16]),
            root: 0,
            source_root: String::new(),
            part: 0,
            parts: 1,
            files: paths.iter().map(entry).collect(),
        };
        Desired::new(Layout {
            roots: vec![PathBuf::from("/r")],
            shards: vec![shard],
            skipped: Vec::new(),
            left_out: Vec::new(),
        })
    }

    fn known(desired: &Desired) -> String {
        let files = desired.shard(0).files().filter(|(_, file)| file.known.is_some());
        files.map(|(path, file)| format!("{path}:{} ", file.size)).collect()
    }

    /// A cache with what is known of `a` and `b`, in a directory of its own.
    fn kept() -> (tempfile::TempDir, StatCache) {
        let directory = tempfile::tempdir().expect("a directory");
        let cache = StatCache::new(directory.path());
        let mut before = desired(&["a", "b", "new"]);
        for path in ["a", "b"] {
            let read = FileRead::Text { text: Text::new("class"), mark: Some([1; 16]) };
            before.learn(0, &Arc::from(path), &read);
        }
        cache.save(|with| with(&before));
        (directory, cache)
    }

    #[test]
    fn what_was_known_is_known_again_of_files_that_are_there() {
        let (_directory, cache) = kept();
        let mut after = desired(&["b", "c", "new"]);
        cache.load(|with| with(&mut after));
        assert_eq!(known(&after), "b:3 ", "with the length that the walk has seen");
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none() {
        let (_directory, cache) = kept();
        let whole = std::fs::read(&cache.path).expect("it was written");
        for cut in 0..whole.len() {
            std::fs::write(&cache.path, &whole[..cut]).expect("ours");
            let mut after = desired(&["a", "b"]);
            cache.load(|with| with(&mut after));
            assert_eq!(known(&after), "", "cut at {cut}");
            let mut changed = whole.clone();
            changed[cut] ^= 0x10;
            std::fs::write(&cache.path, changed).expect("ours");
            cache.load(|with| with(&mut after));
            assert_eq!(known(&after), "", "changed at {cut}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_others_can_write_is_not_believed() {
        use std::os::unix::fs::PermissionsExt;
        let (_directory, cache) = kept();
        let open = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(&cache.path, open).expect("ours");
        let mut after = desired(&["a", "b"]);
        cache.load(|with| with(&mut after));
        assert_eq!(known(&after), "");
    }
}
