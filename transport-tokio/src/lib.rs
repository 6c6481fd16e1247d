//! Remote RPC v3 over tokio: Unix sockets, TCP, and TLS over TCP.
//!
//! [`connect`] opens a connection as a worker, [`Listener`] accepts them as a router. Both give a [`Stream`], which
//! [`Stream::drive`] turns into a [`Handle`] and a [`Driver`](nova_driver::Driver) to spawn; everything that is not a socket
//! or a timer is in `nova-driver`.
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
