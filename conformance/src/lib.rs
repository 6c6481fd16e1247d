//! The conformance suite of remote RPC v3, and the runner that plays it.
//!
//! ```text
//!   vectors/*.json ─► vector ─► judge ◄──► subject: the core in process, a program, a socket
//!                                 │
//!                               wire: its own decoder, written from PROTOCOL.md
//! ```
//!
//! `docs/CONFORMANCE.md` describes vectors, contract and commands. What judges ([`wire`], [`judge`]) shares nothing with
//! the core: a fault there cannot hide itself.

pub mod capture;
pub mod cli;
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
