//! The router's decisions in virtual time, with workers that are real shard engines: what reaches them, and what they
//! answer, is delayed, reordered, lost and false.
//!
//! A failure prints its seed; `NOVA_SEED` runs one seed alone.

mod chaos;
mod hydration;
mod liars;
mod oracle;
mod overlay;
mod runs;
mod search;
mod worker;
mod world;
