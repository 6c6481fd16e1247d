//! Splits a Java workspace into shards, keeps workers hydrated and merges their exact answers; with the program nova.
//!
//! # Layout
//!
//! - [`layout`]: which files belong to the workspace, and to which shard.
//! - [`cluster`]: the [`Router`](cluster::Router): listens, lets workers in, brings shards to their content, asks and
//!   merges.
//! - [`local`]: worker processes on this machine.
//! - `cli`, with the feature `cli`: the program `nova`.

#[cfg(feature = "cli")]
pub mod cli;
pub mod cluster;
pub mod coordinator;
pub mod layout;
pub mod local;
