//! What the coordinator is told and what it wants done: plain values.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nova_proto_core::messages::{Digest, WorkerStats};
use nova_proto_core::{CloseCode, ErrorReply, TraceContext};
use nova_worker::content_hash;

use super::request::{Reply, Request};
use super::search::{SearchAnswer, SearchOptions};
use super::status::{IndexReport, RouterEvent};
use crate::layout::{Layout, SkipReason, Skipped};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub u64);

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.fmt(f)
                }
            }
        )*
    };
}

ids! {
    /// Numbers the connections of a router.
    WorkerId,
    /// Names a call that the coordinator has asked for.
    CallId,
    /// Names a read that the coordinator has asked for.
    ReadId,
    /// Names what a caller waits for.
    Ticket,
}

/// A file of the workspace: its root's number, and its path below that root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath {
    /// The root's number.
    pub root: usize,
    /// The path, with `/`.
    pub path: Arc<str>,
}

/// Something has happened.
#[derive(Debug)]
pub enum Event {
    /// A worker that was let in can be called.
    Connected(WorkerId),
    /// A connection has ended; also one that was never let in.
    Disconnected(WorkerId, String),
    /// A call has ended. One that nobody waits for any more may come late and is ignored.
    Answer(CallId, Result<Reply, Failure>),
    /// A read has ended: what came of the first of its files. It may end before all of them.
    Read(ReadId, Vec<FileRead>),
    /// A walk has ended.
    Walked(Ticket, Result<Box<Layout>, String>),
    /// Somebody asks for something; the outcome comes as [`Action::Finish`].
    Ask(Ticket, Ask),
    /// Nobody waits for it any more.
    Cancel(Ticket),
    /// Nobody will bring a worker for these shards any more, for this reason.
    GiveUp(std::ops::Range<u32>, String),
    /// A worker's answer to a call that is not the coordinator's own cannot be true.
    Lied(WorkerId, String),
    /// The time that [`poll_timeout`](super::Coordinator::poll_timeout) named has come.
    Timeout,
}

impl Event {
    /// What it is, for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connected(_) => "a worker has connected",
            Self::Disconnected(..) => "a worker is gone",
            Self::Answer(..) => "a worker has answered",
            Self::Read(..) => "files were read",
            Self::Walked(..) => "the roots were walked",
            Self::Ask(_, Ask::Index { .. }) => "the workspace is to be indexed",
            Self::Ask(_, Ask::Change { .. }) => "files have changed",
            Self::Ask(_, Ask::Search { .. }) => "symbols are searched for",
            Self::Ask(_, Ask::Stats { .. }) => "workers are to say how they are",
            Self::Cancel(_) => "somebody waits no longer",
            Self::GiveUp(..) => "shards are given up",
            Self::Lied(..) => "a worker has lied",
            Self::Timeout => "time has passed",
        }
    }
}

/// What callers ask for.
#[derive(Debug)]
pub enum Ask {
    /// To walk the roots again, and to bring every shard to what is found.
    Index {
        /// Longest wait.
        deadline: Option<Duration>,
    },
    /// To take changes of files.
    Change {
        /// What has changed, in order.
        changes: Vec<Change>,
        /// Longest wait for the workers.
        deadline: Option<Duration>,
    },
    /// To find symbols.
    Search {
        /// What to look for.
        query: String,
        /// How.
        options: SearchOptions,
    },
    /// What the workers say of themselves.
    Stats {
        /// Longest wait.
        deadline: Duration,
    },
}

/// A source text and its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: Arc<str>,
    /// Its content hash.
    pub hash: Digest,
}

impl Text {
    /// Hashes a text.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        Self { hash: content_hash(&text), text }
    }

    /// Its length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.text.len() as u64
    }
}

/// A change of one file.
#[derive(Debug, Clone)]
pub enum Change {
    /// It may have changed on disk, may have come, or may have gone: with all below it, if it was a directory.
    Disk(FilePath),
    /// It has an unsaved text from now on, whatever the disk holds.
    Overlay(FilePath, Text),
    /// The disk counts again.
    Close(FilePath),
}

/// Something is to be done.
#[derive(Debug)]
pub enum Action {
    /// Make a call; its end comes as [`Event::Answer`].
    Call {
        /// Names it.
        call: CallId,
        /// On whose connection.
        worker: WorkerId,
        /// What to ask.
        request: Request,
        /// How long the answer is wanted: the worker is told.
        within: Duration,
        /// The trace that it is part of: of a sync, a change or a search.
        trace: Option<TraceContext>,
    },
    /// Give up a call.
    CancelCall(CallId),
    /// Read files, on a thread that may wait; the end comes as [`Event::Read`], also if it is cancelled.
    Read {
        /// Names it.
        read: ReadId,
        /// What to read.
        plan: ReadPlan,
    },
    /// End a read early: nobody wants the rest.
    CancelRead(ReadId),
    /// Walk the roots; the end comes as [`Event::Walked`].
    Walk(Ticket),
    /// End a walk.
    CancelWalk(Ticket),
    /// End a worker's connection.
    Close(WorkerId, CloseCode, String),
    /// Tell a caller how it ended.
    Finish(Ticket, Outcome),
    /// Tell those who watch.
    Tell(RouterEvent),
}

/// How something that was asked for ended.
#[derive(Debug)]
pub enum Outcome {
    /// Of [`Ask::Index`].
    Indexed(Result<IndexReport, Ended>),
    /// Of [`Ask::Change`].
    Changed(Result<Changed, ChangeError>),
    /// Of [`Ask::Search`].
    Found(Result<SearchAnswer, SearchError>),
    /// Of [`Ask::Stats`].
    Stats(Vec<WorkerStats>),
}

/// Why something long ended before it was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// It was cancelled.
    #[error("it was cancelled")]
    Cancelled,
    /// Its deadline passed.
    #[error("its deadline passed")]
    Deadline,
    /// A newer one took its place.
    #[error("a newer run took its place")]
    Superseded,
    /// The roots could not be walked.
    #[error("{0}")]
    Walk(String),
    /// The router ends.
    #[error("the router ends")]
    Shutdown,
    /// The router has ended, as something is wrong with it.
    #[error("the router has failed: {0}")]
    Failed(String),
}

/// Why a search has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The query itself is wrong.
    #[error("{0}")]
    Query(String),
    /// A worker has too many questions to answer already; nobody was asked.
    #[error(
        "{limit} questions of other searches wait for the answer of one worker; search again when some have ended"
    )]
    Busy {
        /// How many may wait.
        limit: usize,
    },
    /// It ended before its time.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// What became of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Files that were looked at.
    pub files: u32,
    /// Of these, how many wait for a worker: it gets them when it connects.
    pub waiting: u32,
    /// Of these, what cannot be indexed, and why.
    pub skipped: Vec<Skipped>,
    /// Changes that were not taken, and why; all others were.
    pub refused: Vec<ChangeError>,
}

/// Why a change was not taken, or changes were not seen through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The unsaved texts would take too much memory.
    #[error(
        "the unsaved text of {path} ({size} bytes) does not fit: unsaved texts may take {limit} bytes together, and {used} \
         are in use; close some, or raise RouterConfig::overlay_bytes"
    )]
    OverlayFull {
        /// Below its root.
        path: String,
        /// What it would take.
        size: u64,
        /// What others take.
        used: u64,
        /// What all may take.
        limit: u64,
    },
    /// An unsaved text is longer than source files may be.
    #[error("the unsaved text of {path} has {size} bytes, more than the limit of {limit} for source files")]
    TooLarge {
        /// Below its root.
        path: String,
        /// Its length in bytes.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The path cannot name a source file of the workspace.
    #[error("{path} is no source file of the workspace: {problem}")]
    Path {
        /// As given.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The changes were taken, but who asked did not wait for the workers, or could not.
    #[error("the changes were taken, but not seen at the workers: {0}")]
    Ended(#[from] Ended),
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The connection ended.
    #[error("the connection ended")]
    Lost,
    /// The answer did not come in time.
    #[error("the worker did not answer in time")]
    Late,
    /// The worker answered with an error.
    #[error("the worker refused: {0}")]
    Refused(ErrorReply),
    /// The answer does not decode.
    #[error("the worker's answer makes no sense: {0}")]
    Nonsense(String),
    /// The request could not be sent.
    #[error("the request could not be sent: {0}")]
    NotSent(String),
}

/// Files to read.
#[derive(Debug)]
pub struct ReadPlan {
    /// The root they lie below.
    pub root: usize,
    /// Which.
    pub files: Vec<Planned>,
    /// When to stop: once this many bytes were read. Whatever is known of sizes may be wrong.
    pub enough: u64,
    /// Whether only to look: then nothing is read, and what is not as known comes as [`FileRead::Changed`].
    pub look: bool,
}

/// One file to read.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its path below the root.
    pub path: Arc<str>,
    /// What is known of it: then it is read only if that is not so any more.
    pub known: Option<StatMark>,
    /// Whether no walk has found it: then it is read only if a walk would.
    pub new: bool,
}

/// Stands for all that the file system tells of a file: if it is the same again, so is the content.
pub type StatMark = [u8; 16];

/// What came of a file.
#[derive(Debug, Clone)]
pub enum FileRead {
    /// It is as known.
    Unchanged,
    /// It is not as known; only looked at.
    Changed,
    /// Its text.
    Text {
        /// The text.
        text: Text,
        /// How to tell that it is the same again; nothing if it changed too lately to tell.
        mark: Option<StatMark>,
    },
    /// The rules of the walk leave it out.
    LeftOut,
    /// It cannot be read, or is not there.
    Skipped(SkipReason),
}
