//! The index engine of a Nova shard, and the program that serves it to a router.
//!
//! # Layout
//!
//! - [`java`]: text in, an [`Outline`] of its declarations out.
//! - [`index`]: many outlines as one immutable [`Snapshot`](index::Snapshot), and the exact search over it.
//! - [`shard`]: what a shard should hold, holds and waits for; decisions only.
//! - [`cache`]: what is kept of a shard between runs.
//! - [`service`]: decodes a router's requests and brings them to threads; knows no socket and no runtime.
//! - `program`, with the feature `cli`: the command line, sockets and the process's end.

pub mod cache;
mod crash;
pub mod index;
pub mod java;
mod listing;
mod manifest;
mod outline;
mod pool;
#[cfg(feature = "cli")]
pub mod program;
pub mod service;
pub mod shard;

pub use manifest::{content_hash, manifest_digest};
pub use outline::{Declaration, Outline};
