//! Remote RPC v3 over async-std, with the interface of `nova-transport-tokio`: Unix sockets, TCP, and TLS over TCP.
//!
//! [`connect`] opens a connection as a worker, [`Listener`] accepts them as a router. Both give a [`Stream`], which
//! [`Stream::drive`] turns into a [`Handle`] and a future to spawn. [`drive`] takes any stream of the `futures-io` family, and
//! with another runtime of that family, smol for example, [`nova_driver::connect`] takes its halves and its sleep.
//!
//! async-std is discontinued upstream (RUSTSEC-2025-0052); see this crate's README for what that means.
#![forbid(unsafe_code)]

mod listener;
mod stream;
mod tls;

pub use listener::Listener;
pub use nova_driver::net::tls::{
    ClientTls, ClientTlsFiles, IdentityFiles, ServerTls, ServerTlsFiles, TlsFileError,
};
pub use nova_driver::net::{ConnectOptions, ListenOptions};
pub use nova_driver::{
    Address, AddressError, Admission, Application, CancelSignal, Fingerprint, Handle, Incoming, Link, Peer,
    PendingCall,
};
pub use stream::{Stream, connect, connect_with, drive};
