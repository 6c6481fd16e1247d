//! The index engine of a Nova shard, and the program that serves it to a router.

pub mod index;
pub mod java;
mod outline;

pub use outline::{Declaration, Outline};
