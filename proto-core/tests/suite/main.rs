//! The protocol core through its public API: against hand-built frames, and against itself in virtual time.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "tests stand outside the core: they make its time"
)]

#[path = "../common/mod.rs"]
mod common;

mod any_order;
mod attacks;
mod canonical;
mod chunking;
mod codec;
mod drain;
mod fairness;
mod handshake;
mod hardest;
mod ids;
mod limits;
mod one_id;
mod outcomes;
mod phases;
mod regressions;
mod sending;
mod splits;
mod stalls;
mod texts;
mod timers;
