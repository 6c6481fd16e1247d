//! Remote RPC v3 as a sans-IO state machine, and the typed messages of Nova's distributed mode on top of it.
#![forbid(unsafe_code)]

pub mod messages;
