//! Brings one shard at one worker to the content that the router wants.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use nova_proto_core::messages::{
    Content, DecodeError, FileBatch, IndexShard, LoadFiles, LoadedFile, ManifestEntry, ManifestPage, Method,
    SyncPage, SyncReply, SyncShard, call, encode, reply,
};
use nova_proto_core::{Body, Call, CallError, ErrorReply, SendError};
use nova_transport_tokio::Handle;

use super::{IN_FLIGHT_BYTES, ShardState, Shared};
use crate::layout::{FileEntry, Shard, SkipReason, Skipped, read_source};

/// About how much text one `LoadFiles` carries.
const BATCH_BYTES: u64 = 1024 * 1024;

/// Most files in one `LoadFiles`.
const BATCH_FILES: usize = 1024;

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
    if let SyncReply::Current(_) = reply::<SyncShard>(&body)? {
        return Err(HydrateError::Nonsense("it calls current what was not named".to_owned()));
    }
    let wanted = send_manifest(handle, shard, number, sync).await?;
    let job = Job { shared, worker, handle, shard, number, sync, rev };
    let bytes = stream::iter(batches(&shard.files, wanted))
        .map(|batch| job.load(batch))
        .buffer_unordered(BATCHES_AT_ONCE)
        .try_fold(0, |total, bytes| async move { Ok(total + bytes) })
        .await?;
    let body = answer(handle, &IndexShard { shard: number, sync }).await?;
    let counters = reply::<IndexShard>(&body)?;
    tracing::debug!(
        shard = number,
        worker,
        files = counters.files,
        symbols = counters.symbols,
        "shard ready"
    );
    Ok(ShardState::Ready { counters, bytes })
}

/// Sends the manifest; returns the numbers of the entries that the worker lacks.
async fn send_manifest(
    handle: &Handle,
    shard: &Shard,
    number: u32,
    sync: u64,
) -> Result<Vec<Range<u32>>, HydrateError> {
    let mut wanted = Vec::new();
    let mut first = 0;
    for files in shard.files.chunks(PAGE_ENTRIES) {
        let entries: Vec<_> =
            files.iter().map(|file| ManifestEntry { path: &file.path, hash: None }).collect();
        let end = first + u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let page = ManifestPage { first, entries };
        let body = answer(handle, &SyncPage { shard: number, sync, page }).await?;
        for (start, count) in reply::<SyncPage<'_>>(&body)?.wanted {
            let range = start..start.saturating_add(count);
            let after = wanted.last().map_or(first, |last: &Range<u32>| last.end.max(first));
            if range.is_empty() || range.start < after || range.end > end {
                return Err(HydrateError::Nonsense("it wants files out of the page's range".to_owned()));
            }
            wanted.push(range);
        }
        first = end;
    }
    Ok(wanted)
}

/// Cuts what is wanted into batches, by size as the walk saw it.
fn batches(files: &[FileEntry], wanted: Vec<Range<u32>>) -> Vec<Vec<u32>> {
    let mut batches = Vec::new();
    let mut batch: Vec<u32> = Vec::new();
    let mut bytes = 0;
    for index in wanted.into_iter().flatten() {
        let size = files[index as usize].size;
        if !batch.is_empty() && (bytes + size > BATCH_BYTES || batch.len() == BATCH_FILES) {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        batch.push(index);
        bytes += size;
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
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
}

impl Job<'_> {
    /// Reads a batch of files and sends it, in several parts if the files have grown since the walk; returns the bytes of
    /// text.
    async fn load(&self, batch: Vec<u32>) -> Result<u64, HydrateError> {
        let sizes: u64 = batch.iter().map(|&index| self.shard.files[index as usize].size).sum();
        let permits = u32::try_from(sizes / 1024 + 1).unwrap_or(u32::MAX).min(IN_FLIGHT_BYTES / 1024);
        // The semaphore is never closed.
        let _in_flight = self.shared.in_flight.acquire_many(permits).await;
        let mut bytes = 0;
        let mut rest = batch;
        while !rest.is_empty() {
            let read = self.read(&rest).await?;
            let root = self.shard.root;
            let skipped = read.skipped.into_iter().map(|(entry, reason)| {
                let path = self.shard.files[entry as usize].path.to_string();
                Skipped { root, path, reason }
            });
            self.shared.table.skip(self.number, skipped);
            let call = Call { reply_max: LoadFiles::REPLY_MAX, ..Call::new(LoadFiles::NUMBER, read.body) };
            let body = wait(self.handle, call).await?;
            reply::<LoadFiles<'_>>(&body)?;
            let count = u32::try_from(read.files).unwrap_or(u32::MAX);
            self.shared.table.arrived(self.worker, self.number, count, read.bytes);
            bytes += read.bytes;
            rest.drain(..read.files);
        }
        Ok(bytes)
    }

    async fn read(&self, batch: &[u32]) -> Result<ReadBatch, HydrateError> {
        let file = |&index: &u32| {
            let file = &self.shard.files[index as usize];
            (index, self.shared.layout.absolute_path(self.shard, file))
        };
        let files = batch.iter().map(file).collect();
        let (number, sync, rev) = (self.number, self.sync, self.rev);
        let max = self.shared.config.max_file_bytes;
        tokio::task::spawn_blocking(move || read_batch(number, sync, rev, files, max))
            .await
            .map_err(|error| HydrateError::Nonsense(error.to_string()))
    }
}

/// A batch as it goes out, and what could not go.
struct ReadBatch {
    body: bytes::Bytes,
    /// How many of the files are in it, skipped ones included.
    files: usize,
    bytes: u64,
    /// Entries of the manifest.
    skipped: Vec<(u32, SkipReason)>,
}

/// Reads files until a batch is full: the walk's sizes are not to be relied on.
fn read_batch(shard: u32, sync: u64, rev: u64, files: Vec<(u32, PathBuf)>, max: u64) -> ReadBatch {
    let mut skipped = Vec::new();
    let mut texts = Vec::new();
    let mut bytes = 0;
    for (entry, path) in files {
        let text = match read_source(&path, max) {
            Ok(text) => Some(text),
            Err(reason) => {
                skipped.push((entry, reason));
                None
            }
        };
        bytes += text.as_ref().map_or(0, |text| text.len() as u64);
        texts.push((entry, text));
        if bytes >= BATCH_BYTES {
            break;
        }
    }
    let loaded = texts.iter().map(|(entry, text)| LoadedFile {
        entry: *entry,
        rev,
        content: text.as_deref().map_or(Content::Skipped, Content::Text),
    });
    let body = encode(&LoadFiles { shard, sync, files: FileBatch(loaded.collect()) });
    ReadBatch { body, files: texts.len(), bytes, skipped }
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
        CallError::Deadline => HydrateError::Late,
        _ => HydrateError::ConnectionLost,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_have_grown_go_in_several_parts() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |entry: u32| {
            let path = directory.path().join(format!("{entry}.java"));
            std::fs::write(&path, " ".repeat(700_000)).expect("written");
            (entry, path)
        };
        let mut files: Vec<(u32, PathBuf)> = (0..5).map(file).collect();
        files.insert(1, (9, directory.path().join("gone.java")));
        let mut parts = Vec::new();
        while !files.is_empty() {
            let read = read_batch(0, 1, 1, files.clone(), 1 << 20);
            assert!(read.body.len() < 2 * 1024 * 1024, "{}", read.body.len());
            parts.push((read.files, read.bytes, read.skipped.len()));
            files.drain(..read.files);
        }
        assert_eq!(parts, [(3, 1_400_000, 1), (2, 1_400_000, 0), (1, 700_000, 0)]);
    }
}
