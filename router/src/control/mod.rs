//! The control socket: where a running router answers editors, scripts and the program `nova`.
//!
//! A [`Server`] beside a [`Router`](crate::cluster::Router) answers the requests of section A.8 of the protocol at a Unix
//! socket; a [`Client`] makes them. A [`Place`] is where the socket of a workspace lies, so that both find each other.
//!
//! ```
//! use std::path::Path;
//! use std::time::Duration;
//!
//! use nova_router::cluster::{InProcess, Router, RouterConfig};
//! use nova_router::control::{Client, Find, Place, Server, ServerOptions};
//! use nova_router::layout::{Layout, LayoutOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let root = directory.path().join("code");
//! # std::fs::create_dir(&root)?;
//! # std::fs::write(root.join("Ship.java"), "class Ship { void moor() {} }")?;
//! # let layout = Layout::discover(&[root.clone()], &LayoutOptions::default())?;
//! # let router = Router::in_process(layout, RouterConfig::default(), InProcess::default())?;
//! # let place = Place::below(directory.path().join("run"), &[root.clone()], 1);
//! # place.make()?;
//! # let server = Server::bind(&place.socket(), router.clone(), ServerOptions::default())?;
//! // With a router at work, `nova serve` for example:
//! let client = Client::connect(&place.socket(), "my-editor 1.0").await?;
//! assert_eq!(client.index(true).await?.ready, 1);
//!
//! // The user types. Nothing is saved.
//! let file = root.join("Ship.java");
//! client.open_overlay(&file, "class Ship { void moor() {} void unmoor() {} }").await?;
//! let found = client.find(&Find { limit: 10, ..Find::new("unm") }).await?;
//! assert_eq!(found.hits[0].symbol.name, "unmoor");
//!
//! // The user closes the file without saving it.
//! client.close_overlay(&file).await?;
//! assert!(client.find(&Find::new("unm")).await?.hits.is_empty());
//! client.close().await;
//! # server.shutdown().await;
//! # router.shutdown().await;
//! # Ok(())
//! # }
//! ```

pub(crate) mod answers;
mod build;
mod client;
mod idle;
mod listing;
mod overlays;
mod place;
mod refresh;
mod server;
mod session;

pub use build::{BUILD, build_id};
pub use client::{Client, ClientError, Find, Listing};
pub use place::{Lock, Place};
pub use server::{End, MAX_CLIENTS, Server, ServerOptions};
