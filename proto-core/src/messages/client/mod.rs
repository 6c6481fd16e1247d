//! What editors, scripts and the program `nova` ask of a running router, over its control socket.

mod ask;
mod change;
mod hello;
mod status;

pub use ask::{
    AnsweredShards, FindReply, FindSymbols, FoundSymbol, IndexReply, IndexWorkspace, ListReply,
    ListWorkspace, MAX_SEARCH_MS,
};
pub use change::{ChangeReply, CloseOverlay, MAX_CHANGES, NotifyChanges, OpenOverlay, SkippedEntry};
pub use hello::{ClientForm, ClientHello, ClientWelcome};
pub use status::{
    GetRouterStatus, GetShards, GetSkipped, MAX_ROOTS, MAX_SHARD_PAGE, MAX_WORKERS, RootReport, RouterStatus,
    ShardPage, ShardPhase, ShardReport, SkippedPage, StopRouter, Stopped, WorkerReport,
};

/// Longest text about a problem, in bytes.
pub const MAX_DETAIL: usize = 512;
