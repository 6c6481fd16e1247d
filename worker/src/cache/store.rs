//! The directory of cache files.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use nova_proto_core::messages::{CacheState, CacheStats, CachedIndex, Digest};

use super::FINGERPRINT;
use super::format::{self, FormatError};
use crate::crash;
use crate::shard::{Image, ShardKey};

/// Longest file, in bytes: what is read at once. A shard of some thousand files has one of a few MiB.
const MAX_FILE: u64 = 256 << 20;

/// Most indexes that a worker names in its Hello.
const MAX_ANNOUNCED: usize = 32;

/// Most entries of the directory that are looked at in one pass.
const MAX_ENTRIES: usize = 65_536;

/// How long what nobody has used is kept: shards that are gone, and files of another extractor.
const UNUSED_AFTER: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const OTHERS_UNUSED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an unfinished file is somebody's work.
const UNFINISHED_AFTER: Duration = Duration::from_secs(60 * 60);

/// Longest text about a problem: what a message may carry.
const MAX_PROBLEM: usize = 512;

const SUFFIX: &str = ".nova-index";
const UNFINISHED: &str = ".nova-unfinished-";

/// A directory of cache files, or none. Nothing of it ever fails for its user: what goes wrong is logged, and told by
/// [`stats`](Self::stats).
///
/// Files are replaced whole, so any number of processes may share a directory: each sees some file, old or new.
#[derive(Debug)]
pub struct Store {
    directory: Option<PathBuf>,
    status: Mutex<Status>,
}

#[derive(Debug, Default)]
struct Status {
    failed: bool,
    loaded: u32,
    written: u32,
    problem: String,
    /// What lies in the directory, as far as this process has read or written it.
    saved: HashMap<ShardKey, Saved>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Saved {
    shard: u32,
    digest: Digest,
    len: u64,
}

/// Why a file was not used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Format(#[from] FormatError),
}

impl Store {
    /// Keeps nothing.
    #[must_use]
    pub fn off() -> Self {
        Self { directory: None, status: Mutex::default() }
    }

    /// Keeps files in `directory`, which is made if it is not there: for its user alone.
    #[must_use]
    pub fn open(directory: &Path) -> Self {
        let store = Self { directory: Some(directory.to_owned()), status: Mutex::default() };
        if let Err(error) = prepare(directory) {
            store.failed(&format!("no index can be kept in {}: {error}", directory.display()));
        }
        store
    }

    /// The indexes of the shards for which `claimed` holds, by the numbers that these had: a hint.
    #[must_use]
    pub fn announced(&self, claimed: impl Fn(u32) -> bool) -> Vec<CachedIndex> {
        let Some(directory) = self.usable() else { return Vec::new() };
        let mut found: Vec<CachedIndex> = Vec::new();
        for (name, entry) in entries(directory) {
            if found.len() == MAX_ANNOUNCED {
                break;
            }
            if !matches!(parse_name(&name), Some(Named { ours: true })) {
                continue;
            }
            let Ok(format::Header { shard, counters, .. }) = read_header(&entry.path()) else { continue };
            if claimed(shard) && found.iter().all(|known| known.shard != shard) {
                let (revision, generation) = (counters.revision, counters.generation);
                let (symbols, digest) = (counters.symbols, counters.digest);
                found.push(CachedIndex { shard, revision, generation, symbols, digest });
            }
        }
        found.sort_unstable_by_key(|cached| cached.shard);
        found
    }

    /// What is kept of a shard, if that is whole and of this extractor.
    #[must_use]
    pub fn load(&self, key: &ShardKey) -> Option<Image> {
        let path = self.usable()?.join(file_name(key));
        crash::point();
        match read(&path, key) {
            Ok((image, len)) => {
                crash::point();
                let saved = Saved { shard: image.shard, digest: image.counters.digest, len };
                let mut status = self.status();
                status.loaded = status.loaded.saturating_add(1);
                status.saved.insert(*key, saved);
                Some(image)
            }
            Err(Unusable::Io(error)) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.problem(format!("{} is not used: {error}", path.display()));
                None
            }
        }
    }

    /// Keeps an image, unless it is what is kept already. After this the file is the old one or the new one, whole,
    /// whatever happens meanwhile.
    pub fn save(&self, image: &Image) {
        let Some(directory) = &self.directory else { return };
        let known = self.status().saved.get(&image.key).copied();
        if known.is_some_and(|known| (known.shard, known.digest) == (image.shard, image.counters.digest)) {
            return;
        }
        crash::point();
        let bytes = format::encode(image);
        let len = bytes.len() as u64;
        if len > MAX_FILE {
            self.problem(format!("shard {} takes {len} bytes, too many to be kept", image.shard));
            return;
        }
        match prepare(directory).and_then(|()| replace(directory, &file_name(&image.key), &bytes)) {
            Ok(()) => {
                let mut status = self.status();
                status.failed = false;
                status.written = status.written.saturating_add(1);
                status
                    .saved
                    .insert(image.key, Saved { shard: image.shard, digest: image.counters.digest, len });
            }
            Err(error) => {
                self.failed(&format!("no index can be kept in {}: {error}", directory.display()));
            }
        }
    }

    /// Throws away what nobody has used for long: some ten thousand files are looked at.
    pub fn sweep(&self) {
        if let Some(directory) = self.usable() {
            sweep(directory);
        }
    }

    /// Does the same in each directory below `base` in which nothing has come or gone for a day, and removes those that have
    /// no index then: caches of workspaces that nobody opens any more. `companion` is the name of a file that goes with the
    /// last index.
    pub fn sweep_below(base: &Path, companion: &str) {
        for (_, entry) in entries(base) {
            let directory = entry.path();
            // Not what a link leads to.
            let is_ours = entry.file_type().is_ok_and(|kind| kind.is_dir()) && check(&directory).is_ok();
            if is_ours && unused_for(&entry, OTHERS_UNUSED_AFTER, SystemTime::now()) {
                sweep(&directory);
                if entries(&directory).all(|(name, _)| name == companion) {
                    let _ = fs::remove_file(directory.join(companion));
                    let _ = fs::remove_dir(&directory);
                }
            }
        }
    }

    /// How the cache is.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let status = self.status();
        let state = match (&self.directory, status.failed) {
            (None, _) => CacheState::Off,
            (Some(_), false) => CacheState::On,
            (Some(_), true) => CacheState::Failed,
        };
        let problem = status.problem.clone();
        CacheStats { state, loaded: status.loaded, written: status.written, problem }
    }

    /// How long the file of a shard is, in bytes; 0 if this process has neither read nor written one.
    #[must_use]
    pub fn disk_bytes(&self, key: &ShardKey) -> u64 {
        self.status().saved.get(key).map_or(0, |saved| saved.len)
    }

    /// The directory, if it may be read.
    fn usable(&self) -> Option<&Path> {
        let directory = self.directory.as_deref()?;
        check(directory).is_ok().then_some(directory)
    }

    fn failed(&self, problem: &str) {
        self.status().failed = true;
        self.problem(problem.to_owned());
    }

    fn problem(&self, mut problem: String) {
        tracing::warn!("{problem}");
        while problem.len() > MAX_PROBLEM {
            problem.pop();
        }
        self.status().problem = problem;
    }

    /// What is locked here is whole between any two changes.
    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ---- names -----------------------------------------------------------------------------------------------

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Shard and extractor; the format's version lies in the file.
fn file_name(key: &ShardKey) -> String {
    format!("{}-{}{SUFFIX}", hex(key), hex(&FINGERPRINT[..4]))
}

/// A name like those of [`file_name`].
struct Named {
    /// Whether it is of this extractor.
    ours: bool,
}

fn parse_name(name: &str) -> Option<Named> {
    let (key, extractor) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let digits = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (digits(key, 32) && digits(extractor, 8)).then(|| Named { ours: extractor == hex(&FINGERPRINT[..4]) })
}

fn sweep(directory: &Path) {
    let now = SystemTime::now();
    for (name, entry) in entries(directory) {
        let keep_for = match parse_name(&name) {
            Some(Named { ours: true }) => UNUSED_AFTER,
            Some(Named { ours: false }) => OTHERS_UNUSED_AFTER,
            None if name.starts_with(UNFINISHED) => UNFINISHED_AFTER,
            None => continue,
        };
        if unused_for(&entry, keep_for, now) {
            tracing::debug!(file = %entry.path().display(), "unused cache file goes");
            // Somebody else may have been faster.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn unused_for(entry: &fs::DirEntry, long: Duration, now: SystemTime) -> bool {
    let used = entry.metadata().and_then(|metadata| metadata.modified());
    used.is_ok_and(|used| now.duration_since(used).is_ok_and(|unused| unused > long))
}

/// Some entries of the directory whose names are UTF-8, as ours are.
fn entries(directory: &Path) -> impl Iterator<Item = (String, fs::DirEntry)> {
    let listed = fs::read_dir(directory).into_iter().flatten().take(MAX_ENTRIES).flatten();
    listed.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry)))
}

// ---- directory and files ---------------------------------------------------------------------------------

/// Makes the directory if need be.
fn prepare(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)?;
    check(directory)
}

/// What others can write is not read: an index says what is where, and people believe it.
fn check(directory: &Path) -> io::Result<()> {
    let metadata = fs::metadata(directory)?;
    if !metadata.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other("it belongs to another user"));
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(io::Error::other("others can write in it; run chmod 700 on it"));
        }
    }
    Ok(())
}

/// Opens a regular file for reading, without following a link or waiting for a pipe; returns its length as well.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags((OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY).bits().cast_signed());
    }
    let file = options.read(true).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok((file, metadata.len()))
}

fn read_header(path: &Path) -> Result<format::Header, Unusable> {
    let (file, len) = open(path)?;
    let mut start = Vec::new();
    file.take(format::MAX_HEADER as u64).read_to_end(&mut start)?;
    Ok(format::header(&start, len)?)
}

fn read(path: &Path, key: &ShardKey) -> Result<(Image, u64), Unusable> {
    let (file, len) = open(path)?;
    if len > MAX_FILE {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge).into());
    }
    let mut bytes = Vec::new();
    (&file).take(len).read_to_end(&mut bytes)?;
    let image = format::decode(&bytes)?;
    if image.key != *key {
        return Err(FormatError::Invalid("it is of another shard").into());
    }
    // Says that it is still used; if it cannot be said, the file goes some day and comes again.
    let _ = file.set_modified(SystemTime::now());
    Ok((image, len))
}

/// Puts a file in the place of whatever has its name. Not synced, for that takes seconds on a busy disk and every command
/// would wait for it: a crash of the machine may leave the old file, which is whole, or a torn one, which its hash tells.
fn replace(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(directory)?;
    crash::point();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    file.write_all(first)?;
    crash::point();
    file.write_all(second)?;
    crash::point();
    file.persist(directory.join(name))?;
    crash::point();
    Ok(())
}
