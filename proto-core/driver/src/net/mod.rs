//! What is the same for every runtime with sockets (feature `net`).

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nova_proto_core::{Config, Role};
use socket2::{SockRef, TcpKeepalive};

use crate::Address;

mod accept;
pub mod tls;
pub mod unix;

pub use accept::{Accepted, Accepting, MAX_HANDSHAKES};
use tls::{ClientTls, ServerTls};

/// How long who refuses a handshake waits for the peer to hang up, so that the reason arrives (see [`tls::hang_up`]).
pub const HANG_UP_WITHIN: Duration = Duration::from_secs(1);

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// What `tcp+tls:` needs. Default: none, and such an address is refused.
    pub tls: Option<ClientTls>,
    /// For resolving the name, connecting and TLS together. Default 10 s, a worker's handshake timer, which counts from
    /// the same moment.
    pub within: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { tls: None, within: Config::new(Role::Worker).timers.handshake }
    }
}

impl ConnectOptions {
    /// The defaults, with what `tcp+tls:` needs.
    #[must_use]
    pub fn with_tls(tls: Option<ClientTls>) -> Self {
        Self { tls, ..Self::default() }
    }

    /// The settings for an address that needs some.
    ///
    /// # Errors
    /// If there are none.
    pub fn need_tls(&self) -> io::Result<&ClientTls> {
        self.tls.as_ref().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "TLS needs the CA that has issued the router's certificate",
            )
        })
    }
}

/// How to listen.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// What `tcp+tls:` needs. Default: none, and such an address is refused.
    pub tls: Option<ServerTls>,
    /// For a TLS handshake. Default 5 s, a router's handshake timer, which counts from the same moment.
    pub within: Duration,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { tls: None, within: Config::new(Role::Router).timers.handshake }
    }
}

impl ListenOptions {
    /// The defaults, with what `tcp+tls:` needs.
    #[must_use]
    pub fn with_tls(tls: Option<ServerTls>) -> Self {
        Self { tls, ..Self::default() }
    }

    /// The settings for an address that needs some.
    ///
    /// # Errors
    /// If there are none.
    pub fn need_tls(&self) -> io::Result<&ServerTls> {
        self.tls.as_ref().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "TLS needs the router's certificate and its key")
        })
    }
}

/// The error of an address that is a named pipe.
#[must_use]
pub fn no_pipes() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, Address::NO_PIPES)
}

/// The error of what took longer than it may.
#[must_use]
pub fn timed_out(within: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("not done within {} s", within.as_secs_f32()))
}

/// Says which address an error is about.
#[must_use]
pub fn about(error: &io::Error, what: &str, address: &Address) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} {address}: {error}"))
}

/// Sets what both ends set on a TCP socket: no delay, as frames are written whole; and keepalive, which finds dead peers
/// where the protocol does not look, in a TLS handshake or while the last bytes leave.
///
/// # Errors
/// If the system refuses, for example because the connection is gone already.
pub fn configure_tcp(socket: &impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10));
    socket.set_tcp_keepalive(&keepalive)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn tcp_sockets_have_no_delay_and_keepalive() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let stream = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
        configure_tcp(&stream).expect("configured");
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().expect("known") && socket.keepalive().expect("known"));
    }
}
