//! One shard's sync: the way of one worker from whatever it holds to what the shard should hold.
//!
//! Files are looked at, then read as far as they are not known, each once. If everything is known, the manifest's digest
//! may show that the worker has it all. Otherwise it gets the manifest in parts: with hashes if it has something, so that
//! what it has is not sent, and what was read for the hashes is still in memory when it says what it lacks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use nova_proto_core::messages::{Digest, IndexShard, ShardCounters, SyncReply, SyncShard};
use nova_worker::manifest_digest;

use super::desired::Wanted;
use super::request::{Loaded, Reply, Request};
use super::status::Volume;
use super::validate::{self, Lie};

mod reads;

pub use reads::Reading;

/// About how much text one `LoadFiles` carries.
const BATCH_BYTES: u64 = 1024 * 1024;

/// Most files in one `LoadFiles`.
const BATCH_FILES: usize = 1024;

/// About how much text is read for one part of the manifest, and kept until the worker has said what of it it lacks.
const PART_BYTES: u64 = 4 * 1024 * 1024;

/// Entries of one part of the manifest.
const PART_ENTRIES: u32 = 2048;

/// How many batches of one shard are under way at once: one is read, one travels, one is parsed.
const BATCHES_AT_ONCE: usize = 3;

/// One sync.
#[derive(Debug)]
pub struct Sync {
    shard: u32,
    /// How much text may be in memory: no read is planned for more, but of one file.
    room: u64,
    root: usize,
    key: [u8; 16],
    epoch: u64,
    number: u64,
    manifest: Vec<Arc<str>>,
    /// The hashes that were true when this sync looked.
    hashes: Vec<Option<Digest>>,
    stage: Stage,
    /// The first entry that is in no part yet.
    next: u32,
    part: Option<Part>,
    /// What the worker lacks and is still to be read.
    to_read: VecDeque<u32>,
    /// What it lacks and is in memory, in batches.
    to_send: VecDeque<Vec<Loaded>>,
    /// Reads for batches and batches on their way.
    loading: usize,
    /// Bytes of text that are kept here; unsaved texts, too, as what goes out is a copy.
    held: u64,
    /// Paths that have changed since: what this sync reads of them is not the latest.
    touched: BTreeSet<Arc<str>>,
    /// What was read, what was sent of it, and what is at the worker.
    pub read: Volume,
    /// See `read`.
    pub sent: Volume,
    /// See `read`.
    pub arrived: Volume,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Entries are looked at: these are still to be.
    Looking(Option<Vec<u32>>),
    /// `SyncShard` is to be sent, with this digest.
    Ready,
    /// It is sent; with a digest or not.
    Beginning { digest: bool },
    /// Manifest and files go out, with hashes or not.
    Sending { hashes: bool },
    /// `IndexShard` is sent.
    Committing,
}

/// Some consecutive entries of the manifest.
#[derive(Debug)]
struct Part {
    range: Range<u32>,
    /// What has to be read for hashes first.
    unread: VecDeque<u32>,
    reading: bool,
    paging: bool,
    /// What was read.
    held: BTreeMap<u32, Loaded>,
}

/// What was asked of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `SyncShard`.
    Begin,
    /// `SyncPage`.
    Page,
    /// `LoadFiles` with so much.
    Load(Volume),
    /// `IndexShard`.
    Commit,
}

/// How an answer has moved the sync.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    On,
    /// The worker has everything.
    Done(ShardCounters),
}

impl Sync {
    /// A sync of what `wanted` is now; `number` is its own and the revision of its manifest, `room` how many bytes of text
    /// may be in memory.
    #[must_use]
    pub fn new(shard: u32, epoch: u64, number: u64, wanted: &Wanted, room: u64) -> Self {
        let manifest = wanted.manifest();
        let mut hashes = vec![None; manifest.len()];
        let mut known = Vec::new();
        for ((entry, path), hash) in (0..).zip(&manifest).zip(&mut hashes) {
            if let Some(overlay) = wanted.overlay(path) {
                *hash = Some(overlay.text.hash);
            } else if wanted.file(path).is_some_and(|file| file.known.is_some()) {
                known.push(entry);
            }
        }
        let stage = if known.is_empty() { Stage::Ready } else { Stage::Looking(Some(known)) };
        Self {
            shard,
            room,
            root: wanted.info.root,
            key: wanted.info.key.0,
            epoch,
            number,
            manifest,
            hashes,
            stage,
            next: 0,
            part: None,
            to_read: VecDeque::new(),
            to_send: VecDeque::new(),
            loading: 0,
            held: 0,
            touched: BTreeSet::new(),
            read: Volume::default(),
            sent: Volume::default(),
            arrived: Volume::default(),
        }
    }

    /// Its number, and the revision of its manifest.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How many entries its manifest has.
    #[must_use]
    pub fn total(&self) -> u32 {
        u32::try_from(self.manifest.len()).unwrap_or(u32::MAX)
    }

    /// Bytes of text that it keeps.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Whether something is ready to be sent.
    #[must_use]
    pub fn can_send(&self) -> bool {
        self.stage == Stage::Ready
            || matches!(self.stage, Stage::Sending { .. })
                && self.loading < BATCHES_AT_ONCE
                && !self.to_send.is_empty()
    }

    /// A file has changed with a later revision.
    pub fn touch(&mut self, path: &Arc<str>) {
        self.touched.insert(Arc::clone(path));
    }

    /// Whether what it reads of this path is the latest that is known.
    #[must_use]
    pub fn is_latest(&self, path: &Arc<str>) -> bool {
        !self.touched.contains(path)
    }

    // ---- calls ----

    /// The next call that can be made, with the bytes of text that go with it.
    pub fn call(&mut self, wanted: &Wanted) -> Option<(Step, Request, u64)> {
        match self.stage {
            Stage::Ready => Some((Step::Begin, self.begin(), 0)),
            Stage::Sending { hashes } => {
                self.next_part(wanted, hashes);
                if let Some(page) = self.page(hashes) {
                    return Some((Step::Page, page, 0));
                }
                self.batch().or_else(|| self.commit())
            }
            Stage::Looking(_) | Stage::Beginning { .. } | Stage::Committing => None,
        }
    }

    fn begin(&mut self) -> Request {
        let all: Option<Vec<Digest>> = self.hashes.iter().copied().collect();
        let digest = all.map(|hashes| manifest_digest(self.manifest.iter().map(|path| &**path).zip(hashes)));
        self.stage = Stage::Beginning { digest: digest.is_some() };
        Request::Sync(SyncShard {
            shard: self.shard,
            key: self.key,
            epoch: self.epoch,
            sync: self.number,
            rev: self.number,
            files: self.total(),
            digest,
        })
    }

    /// Begins the next part of the manifest if it is time: of what was read for the last one, nothing waits any more.
    fn next_part(&mut self, wanted: &Wanted, hashes: bool) {
        if self.part.is_some() || !self.to_send.is_empty() || self.next == self.total() {
            return;
        }
        let first = self.next;
        let mut unread = VecDeque::new();
        let mut bytes = 0;
        while self.next < self.total() && self.next - first < PART_ENTRIES {
            if hashes && self.hashes[self.next as usize].is_none() {
                let size = self.size(wanted, self.next);
                if bytes + size > PART_BYTES.min(self.room) && !unread.is_empty() {
                    break;
                }
                bytes += size;
                unread.push_back(self.next);
            }
            self.next += 1;
        }
        let held = BTreeMap::new();
        self.part = Some(Part { range: first..self.next, unread, reading: false, paging: false, held });
    }

    fn page(&mut self, hashes: bool) -> Option<Request> {
        let part =
            self.part.as_mut().filter(|part| part.unread.is_empty() && !part.reading && !part.paging)?;
        part.paging = true;
        let range = part.range.start as usize..part.range.end as usize;
        let hash = |hash: &Option<Digest>| hash.filter(|_| hashes);
        let paths = self.manifest[range.clone()].iter().cloned();
        let entries = paths.zip(self.hashes[range].iter().map(hash)).collect();
        Some(Request::Page { shard: self.shard, sync: self.number, first: part.range.start, entries })
    }

    fn batch(&mut self) -> Option<(Step, Request, u64)> {
        if self.loading >= BATCHES_AT_ONCE {
            return None;
        }
        let files = self.to_send.pop_front()?;
        self.loading += 1;
        let volume: Volume = files.iter().map(|file| Volume::file(file.content.bytes())).sum();
        self.held -= volume.bytes;
        Some((
            Step::Load(volume),
            Request::Load { shard: self.shard, sync: self.number, files },
            volume.bytes,
        ))
    }

    fn commit(&mut self) -> Option<(Step, Request, u64)> {
        let idle = self.part.is_none() && self.to_read.is_empty() && self.loading == 0;
        if self.next < self.total() || !idle {
            return None;
        }
        self.stage = Stage::Committing;
        Some((Step::Commit, Request::Commit(IndexShard { shard: self.shard, sync: self.number }), 0))
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// If it cannot be true.
    pub fn on_answer(&mut self, step: Step, reply: Reply, wanted: &Wanted) -> Result<Progress, Lie> {
        match (step, reply) {
            (Step::Begin, Reply::Sync(SyncReply::Current(counters))) => {
                let asked = self.stage == Stage::Beginning { digest: true };
                validate::current(asked, &counters, self.epoch, self.total())?;
                self.arrived = wanted.content();
                Ok(Progress::Done(counters))
            }
            (Step::Begin, Reply::Sync(SyncReply::SendPages { hashes })) => {
                self.stage = Stage::Sending { hashes };
                Ok(Progress::On)
            }
            (Step::Page, Reply::Page(reply)) => {
                let Some(part) = self.part.take() else { return Ok(Progress::On) };
                let lacking = validate::lacking(&reply.wanted, &part.range)?;
                self.take_page(part, &lacking, wanted);
                Ok(Progress::On)
            }
            (Step::Load(volume), Reply::Load(reply)) => {
                self.loading -= 1;
                validate::loaded(&reply, volume)?;
                self.sent = self.sent + volume;
                self.arrived = self.arrived + volume;
                Ok(Progress::On)
            }
            (Step::Commit, Reply::Commit(counters)) => {
                validate::counters(&counters, self.epoch)?;
                Ok(Progress::Done(counters))
            }
            (step, reply) => Err(Lie(format!("{reply:?} answers {step:?}"))),
        }
    }

    /// Sorts a part into what the worker has, what it lacks and is here, and what it lacks and is to be read.
    fn take_page(&mut self, mut part: Part, lacking: &[Range<u32>], wanted: &Wanted) {
        let mut ranges = lacking.iter().peekable();
        for entry in part.range {
            while ranges.next_if(|range| range.end <= entry).is_some() {}
            let lacks = ranges.peek().is_some_and(|range| range.contains(&entry));
            match part.held.remove(&entry) {
                Some(file) if lacks => self.send(file),
                Some(file) => {
                    let bytes = file.content.bytes();
                    self.held -= bytes;
                    self.arrived = self.arrived + Volume::file(bytes);
                }
                None if lacks => self.to_read.push_back(entry),
                None => self.arrived = self.arrived + Volume::file(self.size(wanted, entry)),
            }
        }
    }

    /// Puts a file into the last batch, or into a new one.
    fn send(&mut self, file: Loaded) {
        let room = |batch: &Vec<Loaded>| {
            let bytes: u64 = batch.iter().map(|file| file.content.bytes()).sum();
            batch.len() < BATCH_FILES && bytes + file.content.bytes() <= BATCH_BYTES
        };
        match self.to_send.back_mut().filter(|batch| room(batch)) {
            Some(batch) => batch.push(file),
            None => self.to_send.push_back(vec![file]),
        }
    }
}
