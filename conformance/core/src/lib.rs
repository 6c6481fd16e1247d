//! Nova's core as a subject, in process and behind the contract.
//!
//! It is a package of its own because everything that a package's tests need is built for each of them, and the suite is built
//! again for each planted bug and each mutant of the core.

#[cfg(feature = "nova")]
mod nova;
#[cfg(not(feature = "nova"))]
#[path = "without_nova.rs"]
mod nova;
mod section_a;
pub mod serve;
mod subject;
mod typed;

pub use subject::Core;
