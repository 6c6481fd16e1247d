//! What the fuzz targets run: each is a function of bytes, with oracles that panic. See "Fuzzing" in `CONTRIBUTING.md`.
//!
//! The crate links the tests' counting allocator, so every target can hold the core to its published memory.
#![expect(clippy::disallowed_methods, reason = "fuzz targets stand outside the core, as its tests do")]

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/memory/counting.rs"]
mod counting;
mod endpoint;
mod meter;
mod program;
mod referee;
mod seeds;
mod targets;

pub use seeds::seeds;
pub use targets::decompress::decompress;
pub use targets::frames::frames;
pub use targets::handshake::handshake;
pub use targets::messages::messages;
pub use targets::pair::pair;
pub use targets::session::{router, worker};
pub use targets::splits::splits;
