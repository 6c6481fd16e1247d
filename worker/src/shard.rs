//! One shard: what it should hold, what it holds, and what is on the way.
//!
//! Decisions only: state and message in, new state and answer out. Nothing here parses, hashes, waits or reads a
//! clock; the caller brings what it parsed.

use std::collections::BTreeMap;
use std::sync::Arc;

use nova_proto_core::messages::{
    Digest, IndexShard, ManifestPage, PageReply, ShardCounters, ShardStats, SyncReply, SyncShard,
};
use nova_proto_core::{ErrorCode, ErrorReply};

use crate::Outline;
use crate::index::Snapshot;
use crate::manifest::manifest_digest;

/// One file as the caller brings it, for the sync that is under way.
#[derive(Debug)]
pub struct Arrival {
    /// Its number in the manifest.
    pub entry: u32,
    /// The revision at which the router took it.
    pub rev: u64,
    /// What it holds; `None` if it is gone or cannot be indexed.
    pub file: Option<ParsedFile>,
}

/// A file's content, understood.
#[derive(Debug, Clone)]
pub struct ParsedFile {
    /// The hash of its text.
    pub hash: Digest,
    /// Its declarations.
    pub outline: Arc<Outline>,
}

/// One shard of the workspace, as its worker holds it.
#[derive(Debug, Default)]
pub struct Shard {
    number: u32,
    published: Snapshot,
    counters: ShardCounters,
    /// Whether `published` is what the router last committed, with all changes since.
    current: bool,
    /// What is published of each file; a tombstone keeps a removal's revision until the next commit.
    files: BTreeMap<Arc<str>, Known>,
    staging: Option<Staging>,
    /// The highest sync of this epoch.
    last_sync: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    rev: u64,
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

    /// How the shard is.
    #[must_use]
    pub fn stats(&self) -> ShardStats {
        ShardStats {
            shard: self.number,
            counters: self.counters,
            current: self.current,
            memory: self.published.memory_bytes() as u64,
        }
    }

    /// Begins a sync, and gives up the one under way.
    ///
    /// # Errors
    /// `STALE_SYNC` if a later one has begun.
    pub fn begin(&mut self, request: &SyncShard) -> Result<SyncReply, ErrorReply> {
        if request.epoch != self.counters.epoch {
            // Revisions of another run of the router mean nothing in this one.
            for known in self.files.values_mut() {
                known.rev = 0;
            }
            self.counters.epoch = request.epoch;
            self.last_sync = 0;
        }
        if request.sync <= self.last_sync {
            return Err(self.stale(request.sync));
        }
        self.last_sync = request.sync;
        self.staging = None;
        if !self.files.is_empty() && request.digest == Some(self.digest()) {
            self.current = true;
            self.counters.digest = self.digest();
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
        let files = &self.files;
        let number = self.number;
        let staging = staging(&mut self.staging, number, sync)?;
        if page.first as usize != staging.entries.len()
            || staging.entries.len() + page.entries.len() > staging.expected as usize
        {
            return Err(invalid(format!("shard {number}: manifest page at {} out of place", page.first)));
        }
        let mut wanted: Vec<(u32, u32)> = Vec::new();
        for (index, entry) in (page.first..).zip(&page.entries) {
            if staging.entries.last().is_some_and(|last| &*last.path >= entry.path) {
                return Err(invalid(format!("shard {number}: manifest not sorted at `{}`", entry.path)));
            }
            let known = files.get_key_value(entry.path);
            let kept = entry.hash.is_some() && known.is_some_and(|(_, known)| known.hash == entry.hash);
            if !kept {
                match wanted.last_mut() {
                    Some((first, count)) if *first + *count == index => *count += 1,
                    _ => wanted.push((index, 1)),
                }
            }
            let path = known.map_or_else(|| Arc::from(entry.path), |(path, _)| Arc::clone(path));
            let state = if kept { EntryState::Kept } else { EntryState::Wanted };
            staging.entries.push(Staged { path, state });
        }
        Ok(PageReply { wanted })
    }

    /// Takes files of the sync. They are published at once, as not yet current: an answer from what is there is better
    /// than none. A file that was changed since with a higher revision stays as it is.
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
        let mut upserts = Vec::new();
        let mut removes = Vec::new();
        for Arrival { entry, rev, file } in arrivals {
            let staged = &mut staging.entries[entry as usize];
            let newer = |known: &Known| known.rev > rev;
            self.counters.revision = self.counters.revision.max(rev);
            staged.state = EntryState::Loaded;
            if self.files.get(&staged.path).is_some_and(newer) {
                continue;
            }
            let hash = file.as_ref().map(|file| file.hash);
            self.files.insert(Arc::clone(&staged.path), Known { rev, hash });
            match file {
                Some(file) => upserts.push((Arc::clone(&staged.path), file.outline)),
                None => removes.push(Arc::clone(&staged.path)),
            }
        }
        self.current = false;
        self.publish(upserts, &removes);
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
        let mut removes = Vec::new();
        for (path, known) in &self.files {
            while named.next_if(|name| *name < path).is_some() {}
            if named.peek() != Some(&path) && known.rev <= staging.rev {
                removes.push(Arc::clone(path));
            }
        }
        for path in &removes {
            self.files.remove(path);
        }
        self.files.retain(|_, known| known.hash.is_some());
        self.publish(Vec::new(), &removes);
        self.published = self.published.compact();
        self.current = true;
        self.counters.revision = self.counters.revision.max(staging.rev);
        self.counters.digest = self.digest();
        Ok(self.counters)
    }

    /// One file has changed. Returns whether the change was taken: it is not if a later one was.
    ///
    /// # Errors
    /// `STALE_SYNC` if the epoch is another.
    pub fn update(&mut self, epoch: u64, rev: u64, path: &str, file: ParsedFile) -> Result<bool, ErrorReply> {
        self.check_epoch(epoch)?;
        let path = self.known_path(path);
        if !self.advance(&path, rev, Some(file.hash)) {
            return Ok(false);
        }
        self.publish(vec![(path, file.outline)], &[]);
        Ok(true)
    }

    /// Files are gone. Returns how many removals were taken.
    ///
    /// # Errors
    /// `STALE_SYNC` if the epoch is another.
    pub fn remove(&mut self, epoch: u64, rev: u64, paths: &[&str]) -> Result<u32, ErrorReply> {
        self.check_epoch(epoch)?;
        let mut removed: Vec<Arc<str>> = Vec::new();
        for path in paths {
            let path = self.known_path(path);
            if self.advance(&path, rev, None) {
                removed.push(path);
            }
        }
        self.publish(Vec::new(), &removed);
        Ok(u32::try_from(removed.len()).unwrap_or(u32::MAX))
    }

    /// The counters now.
    #[must_use]
    pub fn counters(&self) -> ShardCounters {
        self.counters
    }

    /// Notes a change of one file, unless a later one is known.
    fn advance(&mut self, path: &Arc<str>, rev: u64, hash: Option<Digest>) -> bool {
        if self.files.get(path).is_some_and(|known| known.rev >= rev) {
            return false;
        }
        self.counters.revision = self.counters.revision.max(rev);
        self.files.insert(Arc::clone(path), Known { rev, hash });
        true
    }

    fn publish(&mut self, upserts: Vec<(Arc<str>, Arc<Outline>)>, removes: &[Arc<str>]) {
        if !upserts.is_empty() || !removes.is_empty() {
            self.published = self.published.apply(upserts, removes.iter().map(|path| &**path));
            self.counters.generation += 1;
        }
        self.counters.files = u32::try_from(self.published.files()).unwrap_or(u32::MAX);
        self.counters.symbols = self.published.symbols() as u64;
        self.counters.digest = Digest::default();
    }

    fn digest(&self) -> Digest {
        manifest_digest(self.files.iter().filter_map(|(path, known)| Some((&**path, known.hash?))))
    }

    fn known_path(&self, path: &str) -> Arc<str> {
        self.files.get_key_value(path).map_or_else(|| Arc::from(path), |(path, _)| Arc::clone(path))
    }

    fn check_epoch(&self, epoch: u64) -> Result<(), ErrorReply> {
        if epoch == self.counters.epoch {
            return Ok(());
        }
        let message = format!("shard {}: the change belongs to another run of the router", self.number);
        Err(ErrorReply::new(ErrorCode::STALE_SYNC, message))
    }

    fn stale(&self, sync: u64) -> ErrorReply {
        stale(self.number, sync)
    }
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
