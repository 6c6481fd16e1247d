//! `nova-conformance`: plays the vectors with Nova's core, with other programs and over sockets; `docs/CONFORMANCE.md`.

pub mod capture;
pub mod cli;
pub mod live;

pub use nova_conformance_core::Core;
pub use nova_conformance_judge::*;
