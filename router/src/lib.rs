//! Splits a Java workspace into shards, keeps workers hydrated and merges their exact answers; with the program nova.
//!
//! # Layout
//!
//! - [`layout`]: which files belong to the workspace, and to which shard.
//! - [`cluster`]: the [`Router`](cluster::Router), for hosts: it does what the coordinator decides.
//! - [`coordinator`]: what every shard should hold, who holds it, and what is to be done about the difference; decisions
//!   only, without a clock, tasks or files.
//! - [`control`]: the socket at which a running router answers editors, scripts and the program; its server and its
//!   [`Client`](control::Client).
//! - [`local`]: worker processes on this machine.
//! - `cli`, with the feature `cli`: the program `nova`.
//!
//! # A host
//!
//! Everything in one process here; [`Router::start`](cluster::Router::start) and
//! [`LocalWorkers`](local::LocalWorkers) bring the same with worker processes.
//!
//! ```
//! use std::time::Duration;
//!
//! use nova_router::cluster::{InProcess, Router, RouterConfig, SearchOptions, Wait};
//! use nova_router::layout::{Layout, LayoutOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let root = directory.path().to_owned();
//! # std::fs::write(root.join("Ship.java"), "class Ship { void moor() {} }")?;
//! let layout = Layout::discover(&[root.clone()], &LayoutOptions::default())?;
//! let router = Router::in_process(layout, RouterConfig::default(), InProcess::default())?;
//! let wait = Wait::at_most(Duration::from_secs(60));
//! let report = router.index_workspace(&wait).await?;
//! assert_eq!((report.files, report.failed.len()), (1, 0));
//!
//! // An editor opens the file and adds a method that is not saved.
//! let text = "class Ship { void moor() {} void unmoor() {} }";
//! router.open_overlay(root.join("Ship.java"), text, &wait).await?;
//! let answer = router.workspace_symbols("unm", &SearchOptions::default()).await?;
//! assert_eq!(answer.hits[0].symbol.name, "unmoor");
//! assert_eq!((answer.shards.answered, answer.truncated), (1, false));
//!
//! // It closes the file without saving it.
//! router.close_overlay(root.join("Ship.java"), &wait).await?;
//! let answer = router.workspace_symbols("unm", &SearchOptions::default()).await?;
//! assert!(answer.hits.is_empty());
//! router.shutdown().await;
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "cli")]
pub mod cli;
pub mod cluster;
pub mod control;
pub mod coordinator;
pub mod layout;
pub mod local;
