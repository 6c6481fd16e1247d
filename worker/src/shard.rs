//! One shard: what it should hold, what it holds, and what is on the way.
//!
//! Decisions only: state and message in, new state and answer out. Nothing here parses, hashes, waits or reads a
//! clock; the caller brings what it parsed.

use std::collections::BTreeMap;
use std::sync::Arc;

use nova_proto_core::messages::{
    Digest, IndexShard, ManifestPage, PageReply, ShardCounters, ShardStats, SkippedFile, SyncReply, SyncShard,
};
use nova_proto_core::{ErrorCode, ErrorReply};

use crate::Outline;
use crate::index::Snapshot;
use crate::manifest::manifest_digest;

/// One file as the caller brings it, for the sync that is under way.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Its number in the manifest.
    pub entry: u32,
    /// The revision at which the router took it.
    pub rev: u64,
    /// What it holds.
    pub file: Arrived,
}

/// What has come of a file.
#[derive(Debug, Clone)]
pub enum Arrived {
    /// Its content.
    Parsed(ParsedFile),
    /// It is not there any more.
    Gone,
    /// It cannot be indexed, for this reason.
    Skipped(Box<str>),
}

/// A file's content, understood.
#[derive(Debug, Clone)]
pub struct ParsedFile {
    /// The hash of its text.
    pub hash: Digest,
    /// Its declarations.
    pub outline: Arc<Outline>,
}

/// The content of a shard at one moment, as a cache keeps it.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// Names the shard across runs.
    pub key: ShardKey,
    /// Its number at that time.
    pub shard: u32,
    /// Its counters at that time, with the digest of `files`.
    pub counters: ShardCounters,
    /// All files and the hashes of their texts, sorted by path.
    pub files: Vec<(Arc<str>, Digest)>,
    /// The declarations of exactly these files.
    pub snapshot: Snapshot,
}

/// Names a shard across runs: the `key` of [`SyncShard`].
pub type ShardKey = [u8; 16];

/// One shard of the workspace, as its worker holds it.
#[derive(Debug, Default)]
pub struct Shard {
    number: u32,
    /// Which shard the number stands for; nothing before the first sync.
    key: Option<ShardKey>,
    published: Snapshot,
    counters: ShardCounters,
    /// Whether `published` is what the router last committed, with all changes since.
    current: bool,
    /// What is published of each file; a tombstone keeps a removal's revision until the next commit.
    files: BTreeMap<Arc<str>, Known>,
    staging: Option<Staging>,
    /// The highest sync of this epoch, if there was one.
    last_sync: Option<u64>,
    /// The revision of the last manifest that was reached: of a path that it does not name, nothing older counts.
    floor: Option<u64>,
    /// The files of the last committed sync that cannot be indexed, sorted by path, each with its reason.
    skipped: Vec<(Arc<str>, Box<str>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    /// Nothing if it is of another run of the router: then it is older than everything of this one.
    rev: Option<u64>,
    /// `None`: removed.
    hash: Option<Digest>,
}

/// A sync under way.
#[derive(Debug)]
struct Staging {
    sync: u64,
    /// The revision at which the router took the manifest.
    rev: u64,
    expected: u32,
    entries: Vec<Staged>,
}

/// An entry of the manifest, and what is known of it.
#[derive(Debug)]
struct Staged {
    path: Arc<str>,
    state: EntryState,
}

#[derive(Debug)]
enum EntryState {
    /// Still to come.
    Wanted,
    /// As published.
    Kept,
    /// Came, and is published already.
    Loaded,
    /// Came as a file that cannot be indexed, for this reason.
    Skipped(Box<str>),
}

impl Shard {
    /// An empty shard.
    #[must_use]
    pub fn new(number: u32) -> Self {
        Self { number, ..Self::default() }
    }

    /// What a search runs on: it never waits for a sync or an update.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.published.clone()
    }

    /// Whether the index is known to be what the router wants.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.current
    }

    /// How the shard is; its cache is not known here.
    #[must_use]
    pub fn stats(&self) -> ShardStats {
        ShardStats {
            shard: self.number,
            counters: self.counters,
            current: self.current,
            skipped: u32::try_from(self.skipped.len()).unwrap_or(u32::MAX),
            memory: self.published.memory_bytes() as u64,
            disk: 0,
        }
    }

    /// The files of the last sync that cannot be indexed, by path.
    pub fn skipped(&self) -> impl Iterator<Item = SkippedFile> {
        self.skipped.iter().map(|(path, reason)| SkippedFile {
            shard: self.number,
            path: path.to_string(),
            reason: reason.to_string(),
        })
    }

    /// The path of an entry of the sync under way, if it is this one.
    #[must_use]
    pub fn manifest_path(&self, sync: u64, entry: u32) -> Option<&str> {
        let staging = self.staging.as_ref().filter(|staging| staging.sync == sync)?;
        staging.entries.get(entry as usize).map(|entry| &*entry.path)
    }

    /// Which shard this is; nothing before the first sync.
    #[must_use]
    pub fn key(&self) -> Option<ShardKey> {
        self.key
    }

    /// What a cache should keep. Nothing while a sync is under way: the image of the last one is better than a part.
    #[must_use]
    pub fn image(&self) -> Option<Image> {
        let key = self.key.filter(|_| self.current)?;
        let files = self.files.iter().filter_map(|(path, known)| Some((Arc::clone(path), known.hash?)));
        let counters = ShardCounters { digest: self.digest(), ..self.counters };
        let snapshot = self.published.clone();
        Some(Image { key, shard: self.number, counters, files: files.collect(), snapshot })
    }

    /// Makes this the shard that `key` names, with what a cache holds of it, or empty; nothing happens if it is that one
    /// already. What was cached is searched at once, as not current, and ranks below all of this run of the router.
    pub fn bind(&mut self, key: ShardKey, cached: Option<Image>) {
        if self.key == Some(key) {
            return;
        }
        *self = Self { key: Some(key), ..Self::new(self.number) };
        if let Some(Image { counters, files, snapshot, .. }) = cached.filter(|image| image.key == key) {
            self.files =
                files.into_iter().map(|(path, hash)| (path, Known { rev: None, hash: Some(hash) })).collect();
            self.published = snapshot;
            self.counters.generation = counters.generation;
            self.count();
        }
    }

    /// Begins a sync, and gives up the one under way.
    ///
    /// # Errors
    /// `STALE_SYNC` if a later one has begun.
    pub fn begin(&mut self, request: &SyncShard) -> Result<SyncReply, ErrorReply> {
        self.bind(request.key, None);
        if request.epoch != self.counters.epoch {
            // Revisions of another run of the router mean nothing in this one.
            self.files.retain(|_, known| known.hash.is_some());
            for known in self.files.values_mut() {
                known.rev = None;
            }
            self.counters.epoch = request.epoch;
            self.counters.revision = 0;
            self.last_sync = None;
            self.floor = None;
        }
        if Some(request.sync) <= self.last_sync {
            return Err(self.stale(request.sync));
        }
        self.last_sync = Some(request.sync);
        self.staging = None;
        self.skipped.clear();
        if !self.files.is_empty() && request.digest == Some(self.digest()) {
            self.reach(request.rev);
            return Ok(SyncReply::Current(self.counters));
        }
        self.current = false;
        self.staging = Some(Staging {
            sync: request.sync,
            rev: request.rev,
            expected: request.files,
            entries: Vec::new(),
        });
        Ok(SyncReply::SendPages { hashes: !self.files.is_empty() })
    }

    /// Takes the next page of the manifest; answers what is lacking of it.
    ///
    /// # Errors
    /// `STALE_SYNC`; `INVALID` if the page does not follow the last one.
    pub fn page(&mut self, sync: u64, page: &ManifestPage<'_>) -> Result<PageReply, ErrorReply> {
        let files = &mut self.files;
        let number = self.number;
        let staging = staging(&mut self.staging, number, sync)?;
        if page.first as usize != staging.entries.len()
            || staging.entries.len() + page.entries.len() > staging.expected as usize
        {
            return Err(invalid(format!("shard {number}: manifest page at {} out of place", page.first)));
        }
        let mut last = staging.entries.last().map(|last| &*last.path);
        for entry in &page.entries {
            if last.is_some_and(|last| last >= entry.path) {
                return Err(invalid(format!("shard {number}: manifest not sorted at `{}`", entry.path)));
            }
            last = Some(entry.path);
        }
        let mut wanted: Vec<(u32, u32)> = Vec::new();
        for (index, entry) in (page.first..).zip(&page.entries) {
            let mut staged = Staged { path: known_path(files, entry.path), state: EntryState::Wanted };
            let known = files.get_mut(entry.path);
            if let Some(known) = known.filter(|known| entry.hash.is_some() && known.hash == entry.hash) {
                // That it holds this is as new as the manifest.
                known.rev = known.rev.max(Some(staging.rev));
                staged.state = EntryState::Kept;
            } else {
                match wanted.last_mut() {
                    Some((first, count)) if *first + *count == index => *count += 1,
                    _ => wanted.push((index, 1)),
                }
            }
            staging.entries.push(staged);
        }
        Ok(PageReply { wanted })
    }

    /// Takes files of the sync. They are published at once, as not yet current: an answer from what is there is better
    /// than none. A file that was changed since, or came before, with this revision or a higher one stays as it is.
    ///
    /// # Errors
    /// `STALE_SYNC`; `NOT_IN_MANIFEST`, and then nothing is taken.
    pub fn load(&mut self, sync: u64, arrivals: Vec<Arrival>) -> Result<(), ErrorReply> {
        let number = self.number;
        let staging = staging(&mut self.staging, number, sync)?;
        if let Some(bad) = arrivals.iter().find(|file| file.entry as usize >= staging.entries.len()) {
            let message = format!("shard {number}: the manifest has no entry {}", bad.entry);
            return Err(ErrorReply::new(ErrorCode::NOT_IN_MANIFEST, message));
        }
        // Of several entries for one path the last that is taken counts.
        let mut changes = BTreeMap::new();
        for Arrival { entry, rev, file } in arrivals {
            let staged = &mut staging.entries[entry as usize];
            self.counters.revision = self.counters.revision.max(rev);
            if newest(&self.files, self.floor, &staged.path) >= Some(rev) {
                if matches!(staged.state, EntryState::Wanted) {
                    staged.state = EntryState::Loaded;
                }
                continue;
            }
            let (state, hash, outline) = match file {
                Arrived::Parsed(file) => (EntryState::Loaded, Some(file.hash), Some(file.outline)),
                Arrived::Gone => (EntryState::Loaded, None, None),
                Arrived::Skipped(reason) => (EntryState::Skipped(reason), None, None),
            };
            staged.state = state;
            self.files.insert(Arc::clone(&staged.path), Known { rev: Some(rev), hash });
            changes.insert(Arc::clone(&staged.path), outline);
        }
        self.current = false;
        self.publish(changes);
        Ok(())
    }

    /// Commits the sync: what the manifest does not name is gone, and the index counts as current.
    ///
    /// # Errors
    /// `STALE_SYNC`; `INVALID` if pages or files are still lacking, and then nothing changes.
    pub fn commit(&mut self, request: &IndexShard) -> Result<ShardCounters, ErrorReply> {
        let number = self.number;
        let staged = staging(&mut self.staging, number, request.sync)?;
        let lacking = staged.expected as usize - staged.entries.len()
            + staged.entries.iter().filter(|entry| matches!(entry.state, EntryState::Wanted)).count();
        if lacking > 0 {
            return Err(invalid(format!("shard {number}: {lacking} files are lacking, cannot commit")));
        }
        let Some(staging) = self.staging.take() else { return Err(self.stale(request.sync)) };
        // Both are sorted, so one pass tells what the manifest does not name. What changed after the manifest was
        // taken stays.
        let mut named = staging.entries.iter().map(|entry| &entry.path).peekable();
        let mut removes = BTreeMap::new();
        for (path, known) in &self.files {
            while named.next_if(|name| *name < path).is_some() {}
            if named.peek() != Some(&path) && known.rev <= Some(staging.rev) {
                removes.insert(Arc::clone(path), None);
            }
        }
        for path in removes.keys() {
            self.files.remove(path);
        }
        self.publish(removes);
        self.published = self.published.compact();
        let skipped = staging.entries.into_iter().filter_map(|entry| match entry.state {
            // What has changed since may be readable.
            EntryState::Skipped(_)
                if self.files.get(&entry.path).is_some_and(|known| known.hash.is_some()) =>
            {
                None
            }
            EntryState::Skipped(reason) => Some((entry.path, reason)),
            EntryState::Wanted | EntryState::Kept | EntryState::Loaded => None,
        });
        self.skipped = skipped.collect();
        self.reach(staging.rev);
        Ok(self.counters)
    }

    /// The content is that of a manifest of this revision, with all later changes that have come.
    fn reach(&mut self, rev: u64) {
        self.floor = self.floor.max(Some(rev));
        // Of older removals the floor tells.
        self.files.retain(|_, known| known.hash.is_some() || known.rev > Some(rev));
        self.current = true;
        self.counters.revision = self.counters.revision.max(rev);
        self.counters.digest = self.digest();
    }

    /// One file has changed. Returns whether the change was taken: it is not if a later one was.
    ///
    /// # Errors
    /// `STALE_SYNC` if the epoch is another.
    pub fn update(&mut self, epoch: u64, rev: u64, path: &str, file: ParsedFile) -> Result<bool, ErrorReply> {
        self.check_epoch(epoch)?;
        let path = known_path(&self.files, path);
        if !self.advance(&path, rev, Some(file.hash)) {
            return Ok(false);
        }
        self.skipped.retain(|(skipped, _)| *skipped != path);
        self.publish(BTreeMap::from([(path, Some(file.outline))]));
        Ok(true)
    }

    /// Files are gone. Returns how many removals were taken.
    ///
    /// # Errors
    /// `STALE_SYNC` if the epoch is another.
    pub fn remove(&mut self, epoch: u64, rev: u64, paths: &[&str]) -> Result<u32, ErrorReply> {
        self.check_epoch(epoch)?;
        let mut removed = BTreeMap::new();
        for path in paths {
            let path = known_path(&self.files, path);
            if self.advance(&path, rev, None) {
                removed.insert(path, None);
            }
        }
        let taken = u32::try_from(removed.len()).unwrap_or(u32::MAX);
        self.publish(removed);
        Ok(taken)
    }

    /// The counters now.
    #[must_use]
    pub fn counters(&self) -> ShardCounters {
        self.counters
    }

    /// Notes a change of one file, unless a later one is known.
    fn advance(&mut self, path: &Arc<str>, rev: u64, hash: Option<Digest>) -> bool {
        if newest(&self.files, self.floor, path) >= Some(rev) {
            return false;
        }
        self.counters.revision = self.counters.revision.max(rev);
        self.files.insert(Arc::clone(path), Known { rev: Some(rev), hash });
        true
    }

    /// Publishes changes of files: the declarations of each, or nothing if it is gone.
    fn publish(&mut self, changes: BTreeMap<Arc<str>, Option<Arc<Outline>>>) {
        if changes.is_empty() {
            return;
        }
        let removes: Vec<Arc<str>> = changes
            .iter()
            .filter(|(_, outline)| outline.is_none())
            .map(|(path, _)| Arc::clone(path))
            .collect();
        let upserts = changes.into_iter().filter_map(|(path, outline)| Some((path, outline?)));
        self.published = self.published.apply(upserts, removes.iter().map(|path| &**path));
        self.counters.generation = self.counters.generation.saturating_add(1);
        self.count();
    }

    fn count(&mut self) {
        self.counters.files = u32::try_from(self.published.files()).unwrap_or(u32::MAX);
        self.counters.symbols = self.published.symbols() as u64;
        self.counters.digest = Digest::default();
    }

    fn digest(&self) -> Digest {
        manifest_digest(self.files.iter().filter_map(|(path, known)| Some((&**path, known.hash?))))
    }

    fn check_epoch(&self, epoch: u64) -> Result<(), ErrorReply> {
        if epoch == self.counters.epoch && self.last_sync.is_some() {
            return Ok(());
        }
        let message = format!("shard {}: the change belongs to another run of the router", self.number);
        Err(ErrorReply::new(ErrorCode::STALE_SYNC, message))
    }

    fn stale(&self, sync: u64) -> ErrorReply {
        stale(self.number, sync)
    }
}

/// The revision of what is known of a path: that it is not there, if nothing else is.
fn newest(files: &BTreeMap<Arc<str>, Known>, floor: Option<u64>, path: &str) -> Option<u64> {
    files.get(path).map_or(floor, |known| known.rev)
}

fn known_path(files: &BTreeMap<Arc<str>, Known>, path: &str) -> Arc<str> {
    files.get_key_value(path).map_or_else(|| Arc::from(path), |(path, _)| Arc::clone(path))
}

fn staging(slot: &mut Option<Staging>, shard: u32, sync: u64) -> Result<&mut Staging, ErrorReply> {
    slot.as_mut().filter(|staging| staging.sync == sync).ok_or_else(|| stale(shard, sync))
}

fn stale(shard: u32, sync: u64) -> ErrorReply {
    ErrorReply::new(ErrorCode::STALE_SYNC, format!("shard {shard}: sync {sync} is not the one under way"))
}

fn invalid(message: String) -> ErrorReply {
    ErrorReply::new(ErrorCode::INVALID, message)
}
