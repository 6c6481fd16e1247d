//! The vectors of remote RPC v3, and what plays and judges them.
//!
//! ```text
//!   vectors/*.json ─► vector ─► judge ◄──► subject: Nova's core, a program, a socket
//!                                 │
//!                               wire: its own decoder, written from PROTOCOL.md
//! ```
//!
//! `docs/CONFORMANCE.md` describes vectors, contract and commands. This crate shares nothing with the core, and cannot: a
//! fault there cannot hide itself.

pub mod coverage;
pub mod document;
pub mod expectations;
pub mod judge;
pub mod matrix;
pub mod report;
pub mod run;
pub mod subject;
pub mod vector;
pub mod wire;

/// The vectors of this repository.
pub const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors");

/// What of them is known to fail.
pub const EXPECTATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../expectations.toml");
