//! End to end: the programs as processes, as people and scripts use them.
//!
//! Needs `nova` and `nova-worker` beside the tests, where a build of the whole workspace puts them. What needs the
//! sources of OpenJDK says `SKIPPED` on standard error if they are not there.

mod answers;
#[path = "../../../transport-tokio/tests/common/certificates.rs"]
mod certificates;
mod contract;
mod daemon;
mod faults;
mod hostile;
mod jdk;
mod library;
mod metrics;
mod operations;
mod process;
mod python;
mod restart;
mod sample;
mod scene;
mod serve;
mod signals;
mod skipped;
mod tls;
