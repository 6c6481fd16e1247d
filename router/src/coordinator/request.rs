//! Calls as values: what the coordinator asks of a worker, and what comes back.

use std::sync::Arc;

use nova_proto_core::messages::{
    Content, DecodeError, Digest, FileBatch, GetWorkerStats, IndexShard, LoadFiles, LoadReply, LoadedFile,
    MAX_REASON, ManifestEntry, ManifestPage, PageReply, RemoveFiles, SearchReply, SearchSymbols,
    ShardCounters, SyncPage, SyncReply, SyncShard, UpdateFile, UpdateReply, WorkerStats, call, reply,
};
use nova_proto_core::{Body, Call};

/// What is asked of a worker.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the messages of the protocol, with shared texts")]
pub enum Request {
    Sync(SyncShard),
    Page { shard: u32, sync: u64, first: u32, entries: Vec<(Arc<str>, Option<Digest>)> },
    Load { shard: u32, sync: u64, files: Vec<Loaded> },
    Commit(IndexShard),
    Update { shard: u32, epoch: u64, rev: u64, path: Arc<str>, text: Arc<str> },
    Remove { shard: u32, epoch: u64, rev: u64, paths: Vec<Arc<str>> },
    Search(SearchSymbols),
    Stats,
}

/// One file for a sync.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its number in the manifest.
    pub entry: u32,
    /// The revision at which it was taken.
    pub rev: u64,
    /// What it holds.
    pub content: Loading,
}

/// What a file for a sync holds.
#[derive(Debug, Clone)]
pub enum Loading {
    /// Its text.
    Text(Arc<str>),
    /// It is not there any more.
    Gone,
    /// It cannot be indexed, for this reason.
    Skipped(String),
}

impl Loading {
    /// The length of its text; 0 if there is none.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Gone | Self::Skipped(_) => 0,
        }
    }
}

/// What a worker answers.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the messages of the protocol")]
pub enum Reply {
    Sync(SyncReply),
    Page(PageReply),
    Load(LoadReply),
    Commit(ShardCounters),
    Changed(UpdateReply),
    Search(SearchReply),
    Stats(WorkerStats),
}

impl Request {
    /// The call that asks this.
    #[must_use]
    pub fn to_call(&self) -> Call {
        match self {
            Self::Sync(request) => call(request),
            Self::Page { shard, sync, first, entries } => {
                let entries = entries.iter().map(|(path, hash)| ManifestEntry { path, hash: *hash });
                let page = ManifestPage { first: *first, entries: entries.collect() };
                call(&SyncPage { shard: *shard, sync: *sync, page })
            }
            Self::Load { shard, sync, files } => {
                let files = files.iter().map(as_loaded_file).collect();
                call(&LoadFiles { shard: *shard, sync: *sync, files: FileBatch(files) })
            }
            Self::Commit(request) => call(request),
            Self::Update { shard, epoch, rev, path, text } => {
                call(&UpdateFile { shard: *shard, epoch: *epoch, rev: *rev, path, text })
            }
            Self::Remove { shard, epoch, rev, paths } => {
                let paths = paths.iter().map(|path| &**path).collect();
                call(&RemoveFiles { shard: *shard, epoch: *epoch, rev: *rev, paths })
            }
            Self::Search(request) => call(request),
            Self::Stats => call(&GetWorkerStats {}),
        }
    }

    /// What it is, for people; and its shard, if it is about one.
    #[must_use]
    pub fn subject(&self) -> (&'static str, Option<u32>) {
        match self {
            Self::Sync(request) => ("SyncShard", Some(request.shard)),
            Self::Page { shard, .. } => ("SyncPage", Some(*shard)),
            Self::Load { shard, .. } => ("LoadFiles", Some(*shard)),
            Self::Commit(request) => ("IndexShard", Some(request.shard)),
            Self::Update { shard, .. } => ("UpdateFile", Some(*shard)),
            Self::Remove { shard, .. } => ("RemoveFiles", Some(*shard)),
            Self::Search(_) => ("SearchSymbols", None),
            Self::Stats => ("GetWorkerStats", None),
        }
    }

    /// About how many bytes of text and paths are in it.
    #[must_use]
    pub fn size(&self) -> u64 {
        let path = |path: &Arc<str>| path.len() as u64;
        match self {
            Self::Page { entries, .. } => {
                entries.iter().map(|(entry, _)| path(entry) + size_of::<Digest>() as u64).sum()
            }
            Self::Load { files, .. } => files.iter().map(|file| file.content.bytes()).sum(),
            Self::Update { path: of, text, .. } => path(of) + text.len() as u64,
            Self::Remove { paths, .. } => paths.iter().map(path).sum(),
            Self::Sync(_) | Self::Commit(_) | Self::Search(_) | Self::Stats => 0,
        }
    }

    /// Whether its body is source text, which is worth compressing.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Load { .. } | Self::Update { .. })
    }
}

fn as_loaded_file(file: &Loaded) -> LoadedFile<'_> {
    let content = match &file.content {
        Loading::Text(text) => Content::Text(text),
        Loading::Gone => Content::Gone,
        Loading::Skipped(reason) => Content::Skipped(&reason[..reason.floor_char_boundary(MAX_REASON)]),
    };
    LoadedFile { entry: file.entry, rev: file.rev, content }
}

/// Which answer a request has; the request itself need not be kept for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the messages of the protocol")]
pub enum ReplyKind {
    Sync,
    Page,
    Load,
    Commit,
    Changed,
    Search,
    Stats,
}

impl ReplyKind {
    /// The kind of the answer to a request.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        match request {
            Request::Sync(_) => Self::Sync,
            Request::Page { .. } => Self::Page,
            Request::Load { .. } => Self::Load,
            Request::Commit(_) => Self::Commit,
            Request::Update { .. } | Request::Remove { .. } => Self::Changed,
            Request::Search(_) => Self::Search,
            Request::Stats => Self::Stats,
        }
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// If it does not decode.
    pub fn decode(self, body: &Body) -> Result<Reply, DecodeError> {
        Ok(match self {
            Self::Sync => Reply::Sync(reply::<SyncShard>(body)?),
            Self::Page => Reply::Page(reply::<SyncPage<'_>>(body)?),
            Self::Load => Reply::Load(reply::<LoadFiles<'_>>(body)?),
            Self::Commit => Reply::Commit(reply::<IndexShard>(body)?),
            Self::Changed => Reply::Changed(reply::<UpdateFile<'_>>(body)?),
            Self::Search => Reply::Search(reply::<SearchSymbols>(body)?),
            Self::Stats => Reply::Stats(reply::<GetWorkerStats>(body)?),
        })
    }
}
