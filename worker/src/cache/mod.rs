//! What a worker keeps between runs: one file for each shard, in a directory of the user's own.
//!
//! A cache makes starts fast and is never believed: a file that is damaged, cut off, foreign or newer counts as absent,
//! and what a good one holds is compared with the workspace before it counts as current. A directory that cannot be used
//! is reported, and nothing else.
//!
//! - [`mod@format`]: an [`Image`](crate::shard::Image) to bytes and back; no I/O.
//! - [`store`](Store): the directory; names, reading, atomic writing, and what is thrown away.
//! - `writer`: the thread that writes, behind everybody's back.

mod fingerprint;
pub mod format;
mod store;
pub(crate) mod writer;

pub use fingerprint::FINGERPRINT;
pub use store::Store;
