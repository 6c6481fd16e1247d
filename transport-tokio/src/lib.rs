//! Remote RPC v3 over tokio: Unix sockets and TCP.
//!
//! [`connect`] opens a connection as a worker, [`Listener`] accepts them as a router. Both give a [`Handle`] and a
//! [`Driver`](nova_driver::Driver) to spawn; everything that is not a socket or a timer is in `nova-driver`.
#![forbid(unsafe_code)]

mod listener;
mod stream;

pub use listener::Listener;
pub use nova_driver::{
    Address, AddressError, Admission, Application, CancelSignal, Handle, Incoming, PendingCall,
};
pub use stream::{Duplex, connect, drive};
