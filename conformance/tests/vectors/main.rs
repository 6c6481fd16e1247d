//! The vectors, played by every implementation that is here; and that they cover what they must.

#[path = "../../../transport-tokio/tests/common/certificates.rs"]
mod certificates;
mod command;
mod coverage;
mod live;
mod program;
mod runs;
