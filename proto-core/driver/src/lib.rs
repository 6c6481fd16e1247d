//! The runtime-neutral half of a remote RPC v3 transport: the driver loop, the call handle and the responder.
//!
//! A runtime brings four values, not an implementation of a trait: a reader, a writer, the time, and a way to sleep
//! until a time. [`connect`] puts them together with a [`Connection`](nova_proto_core::Connection) and an
//! [`Application`], and returns
//!
//! - a [`Handle`], to make calls with: cloneable, usable from any task or thread;
//! - a [`Driver`], a future to spawn: it moves all bytes and runs the application's handlers, and ends when the
//!   connection has ended and the socket can be dropped.
//!
//! The connection lives in a mutex that both share, held for computation only, never across I/O. A call is a method
//! call on the state machine and one wake of the driver; there is no queue in between.
#![forbid(unsafe_code)]

mod address;
mod driver;
mod handle;
mod incoming;
#[cfg(feature = "net")]
pub mod net;
mod peer;
mod shared;

pub use address::{Address, AddressError};
pub use driver::{Driver, Io, connect, connect_since};
pub use handle::{Handle, PendingCall};
pub use incoming::{Admission, Application, CancelSignal, Incoming};
pub use peer::{Fingerprint, Link, Peer};
