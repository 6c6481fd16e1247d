//! Brings one shard at one worker to the content that the router wants.
//!
//! Each file is read once. A worker that has nothing gets a manifest without hashes, and then every file. A worker that
//! has something gets the hashes of some MiB of files at a time, and those of the files that it lacks: they are still in
//! memory then.

use std::ops::Range;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use nova_proto_core::compress::compress;
use nova_proto_core::messages::{
    DecodeError, Digest, IndexShard, LoadFiles, ManifestEntry, ManifestPage, Method, SyncPage, SyncReply,
    SyncShard, call, reply,
};
use nova_proto_core::{Body, Call, CallError, ErrorReply, SendError};
use nova_transport_tokio::Handle;
use tokio::sync::SemaphorePermit;

use super::sources::{self, Source};
use super::{IN_FLIGHT_BYTES, ShardState, Shared, Volume};
use crate::layout::{FileEntry, Shard, Skipped};

/// About how much text one `LoadFiles` carries.
const BATCH_BYTES: u64 = 1024 * 1024;

/// Most files in one `LoadFiles`.
const BATCH_FILES: usize = 1024;

/// About how much text is hashed for one manifest page, and kept until the worker has said what of it it lacks.
const PAGE_BYTES: u64 = 4 * 1024 * 1024;

/// Entries of one manifest page.
const PAGE_ENTRIES: usize = 2048;

/// How many batches of one shard are under way at once: one is read, one travels, one is parsed.
const BATCHES_AT_ONCE: usize = 3;

/// Longest wait for one answer: a worker that needs longer for a batch is stuck.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Why a shard could not be brought to its content.
#[derive(Debug, thiserror::Error)]
pub(super) enum HydrateError {
    #[error("the connection ended")]
    ConnectionLost,
    #[error("the worker did not answer within {} s", ANSWER_WITHIN.as_secs())]
    Late,
    #[error("the worker refused: {0}")]
    Refused(ErrorReply),
    #[error("the worker's answer makes no sense: {0}")]
    Nonsense(String),
    #[error("the request could not be sent: {0}")]
    NotSent(SendError),
}

impl From<DecodeError> for HydrateError {
    fn from(error: DecodeError) -> Self {
        Self::Nonsense(error.to_string())
    }
}

/// What was read, and what was sent of it.
#[derive(Debug, Clone, Copy, Default)]
struct Traffic {
    read: Volume,
    sent: Volume,
}

/// Runs one sync from its begin to its commit.
pub(super) async fn hydrate(
    shared: &Shared,
    worker: u64,
    handle: &Handle,
    number: u32,
) -> Result<ShardState, HydrateError> {
    let shard = &shared.layout.shards[number as usize];
    let rev = shared.next_revision();
    let sync = rev;
    shared.table.forget_skipped(number);
    let request = SyncShard {
        shard: number,
        key: shard.key.0,
        epoch: shared.epoch,
        sync,
        rev,
        files: u32::try_from(shard.files.len()).unwrap_or(u32::MAX),
        digest: None,
    };
    let body = answer(handle, &request).await?;
    let SyncReply::SendPages { hashes } = reply::<SyncShard>(&body)? else {
        return Err(HydrateError::Nonsense("it calls current what was not named".to_owned()));
    };
    let (agreed, _) = handle.connected().await.map_err(|_| HydrateError::ConnectionLost)?;
    let job = Job { shared, worker, handle, shard, number, sync, rev, zstd: agreed.zstd };
    let Traffic { read, sent } = if hashes { job.send_differences().await? } else { job.send_all().await? };
    let body = answer(handle, &IndexShard { shard: number, sync }).await?;
    let counters = reply::<IndexShard>(&body)?;
    tracing::debug!(
        shard = number,
        worker,
        files = counters.files,
        symbols = counters.symbols,
        read = read.files,
        sent = sent.files,
        "shard ready"
    );
    Ok(ShardState::Ready { counters, read, sent })
}

/// Cuts entries of the manifest into runs, by size as the walk saw it: each of about `bytes` bytes, and of at most `files`
/// files.
fn runs(all: &[FileEntry], entries: impl Iterator<Item = u32>, bytes: u64, files: usize) -> Vec<Vec<u32>> {
    let mut runs = Vec::new();
    let mut run: Vec<u32> = Vec::new();
    let mut sum = 0;
    for entry in entries {
        let size = all[entry as usize].size;
        if !run.is_empty() && (sum + size > bytes || run.len() == files) {
            runs.push(std::mem::take(&mut run));
            sum = 0;
        }
        run.push(entry);
        sum += size;
    }
    if !run.is_empty() {
        runs.push(run);
    }
    runs
}

/// One shard's sync.
struct Job<'a> {
    shared: &'a Shared,
    worker: u64,
    handle: &'a Handle,
    shard: &'a Shard,
    number: u32,
    sync: u64,
    rev: u64,
    /// Whether the worker takes compressed batches.
    zstd: bool,
}

impl Job<'_> {
    // ---- to a worker that has nothing ----

    async fn send_all(&self) -> Result<Traffic, HydrateError> {
        let mut wanted = Vec::new();
        let mut first = 0;
        for files in self.shard.files.chunks(PAGE_ENTRIES) {
            wanted.extend(self.page(first, files.iter().map(|file| (&*file.path, None)).collect()).await?);
            first += u32::try_from(files.len()).unwrap_or(u32::MAX);
        }
        let batches = runs(&self.shard.files, wanted.into_iter().flatten(), BATCH_BYTES, BATCH_FILES);
        stream::iter(batches)
            .map(|batch| self.read_and_load(batch))
            .buffer_unordered(BATCHES_AT_ONCE)
            .try_fold(Traffic::default(), |sum, read| async move {
                Ok(Traffic { read: sum.read + read, sent: sum.sent + read })
            })
            .await
    }

    /// Reads a batch of files and sends it, in several parts if the files have grown since the walk.
    async fn read_and_load(&self, batch: Vec<u32>) -> Result<Volume, HydrateError> {
        let _room = self.room(&batch).await;
        let mut sum = Volume::default();
        let mut rest = &batch[..];
        while !rest.is_empty() {
            let sources = self.read(rest, BATCH_BYTES, false).await?;
            rest = &rest[sources.len()..];
            sum = sum + self.load(&sources, (0..sources.len()).collect()).await?;
        }
        Ok(sum)
    }

    // ---- to a worker that has something ----

    async fn send_differences(&self) -> Result<Traffic, HydrateError> {
        let all = 0..u32::try_from(self.shard.files.len()).unwrap_or(u32::MAX);
        let mut traffic = Traffic::default();
        for run in runs(&self.shard.files, all, PAGE_BYTES, PAGE_ENTRIES) {
            let _room = self.room(&run).await;
            let mut rest = &run[..];
            while !rest.is_empty() {
                let sources = self.read(rest, PAGE_BYTES, true).await?;
                rest = &rest[sources.len()..];
                let sent = self.send_page(&sources).await?;
                traffic.sent = traffic.sent + sent;
                traffic.read = traffic.read + sources.iter().map(Volume::of).sum();
            }
        }
        Ok(traffic)
    }

    /// Sends consecutive entries with their hashes, and then what the worker lacks of them.
    async fn send_page(&self, sources: &[Source]) -> Result<Volume, HydrateError> {
        let Some(first) = sources.first().map(|source| source.entry) else { return Ok(Volume::default()) };
        let entry = |source: &Source| (&*self.shard.files[source.entry as usize].path, source.hash());
        let wanted = self.page(first, sources.iter().map(entry).collect()).await?;
        let mut kept = sources.iter().map(Volume::of).sum::<Volume>();
        let mut batches: Vec<Vec<usize>> = Vec::new();
        let mut bytes = 0;
        for index in wanted.into_iter().flatten().map(|entry| (entry - first) as usize) {
            match batches.last_mut() {
                Some(batch) if bytes < BATCH_BYTES && batch.len() < BATCH_FILES => batch.push(index),
                _ => {
                    batches.push(vec![index]);
                    bytes = 0;
                }
            }
            let lacking = Volume::of(&sources[index]);
            bytes += lacking.bytes;
            kept = kept - lacking;
        }
        self.shared.table.arrived(self.worker, self.number, kept);
        stream::iter(batches)
            .map(|batch| self.load(sources, batch))
            .buffer_unordered(BATCHES_AT_ONCE)
            .try_fold(Volume::default(), |sum, sent| async move { Ok(sum + sent) })
            .await
    }

    // ---- to both ----

    /// Waits until there is room for so much text in flight.
    async fn room(&self, entries: &[u32]) -> Option<SemaphorePermit<'_>> {
        let bytes: u64 = entries.iter().map(|&entry| self.shard.files[entry as usize].size).sum();
        let permits = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(IN_FLIGHT_BYTES / 1024);
        // The semaphore is never closed.
        self.shared.in_flight.acquire_many(permits).await.ok()
    }

    /// Reads the first of some files, until there are `enough` bytes; notes what cannot be read.
    async fn read(&self, entries: &[u32], enough: u64, hashes: bool) -> Result<Vec<Source>, HydrateError> {
        let file = |&entry: &u32| {
            let file = &self.shard.files[entry as usize];
            (entry, self.shared.layout.absolute_path(self.shard, file))
        };
        let files = entries.iter().map(file).collect();
        let max_file = self.shared.config.max_file_bytes;
        let sources = tokio::task::spawn_blocking(move || sources::read(files, max_file, enough, hashes))
            .await
            .map_err(|error| HydrateError::Nonsense(error.to_string()))?;
        let skipped = sources.iter().filter_map(|source| {
            let path = self.shard.files[source.entry as usize].path.to_string();
            let reason = source.text.as_ref().err()?.clone();
            Some(Skipped { root: self.shard.root, path, reason })
        });
        self.shared.table.skip(self.number, skipped);
        Ok(sources)
    }

    /// Sends a page of the manifest; returns the numbers of the entries that the worker lacks.
    async fn page(
        &self,
        first: u32,
        entries: Vec<(&str, Option<Digest>)>,
    ) -> Result<Vec<Range<u32>>, HydrateError> {
        let entries: Vec<_> = entries.into_iter().map(|(path, hash)| ManifestEntry { path, hash }).collect();
        let end = first + u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let page = ManifestPage { first, entries };
        let body = answer(self.handle, &SyncPage { shard: self.number, sync: self.sync, page }).await?;
        let mut wanted: Vec<Range<u32>> = Vec::new();
        for (start, count) in reply::<SyncPage<'_>>(&body)?.wanted {
            let range = start..start.saturating_add(count);
            let after = wanted.last().map_or(first, |last| last.end);
            if range.is_empty() || range.start < after || range.end > end {
                return Err(HydrateError::Nonsense("it wants files out of the page's range".to_owned()));
            }
            wanted.push(range);
        }
        Ok(wanted)
    }

    /// Sends some of the files that were read.
    async fn load(&self, sources: &[Source], which: Vec<usize>) -> Result<Volume, HydrateError> {
        let body =
            sources::batch(self.number, self.sync, self.rev, which.iter().map(|&index| &sources[index]));
        let sent = which.iter().map(|&index| Volume::of(&sources[index])).sum();
        let body = if self.zstd {
            // Long enough that other connections should not wait for it.
            tokio::task::spawn_blocking(move || compress(body, true))
                .await
                .map_err(|error| HydrateError::Nonsense(error.to_string()))?
        } else {
            body.into()
        };
        let call = Call { reply_max: LoadFiles::REPLY_MAX, ..Call::new(LoadFiles::NUMBER, body) };
        let body = wait(self.handle, call).await?;
        reply::<LoadFiles<'_>>(&body)?;
        self.shared.table.arrived(self.worker, self.number, sent);
        Ok(sent)
    }
}

/// Makes a request and waits for its answer.
async fn answer<M: Method>(handle: &Handle, request: &M) -> Result<Body, HydrateError> {
    wait(handle, call(request)).await
}

async fn wait(handle: &Handle, call: Call) -> Result<Body, HydrateError> {
    let call = Call { timeout: Some(ANSWER_WITHIN), ..call };
    let pending = handle.call(call).map_err(|error| match error {
        SendError::Closed | SendError::Draining => HydrateError::ConnectionLost,
        error => HydrateError::NotSent(error),
    })?;
    pending.await.map_err(|error| match error {
        CallError::Remote(error) => HydrateError::Refused(error),
        CallError::Deadline { .. } => HydrateError::Late,
        _ => HydrateError::ConnectionLost,
    })
}
