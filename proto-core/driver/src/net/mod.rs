//! What is the same for every runtime with sockets (feature `net`).

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use nova_proto_core::{Config, Role};
use socket2::{SockRef, TcpKeepalive};

use crate::Address;

pub mod tls;
pub mod unix;

use tls::{ClientTls, ServerTls};

/// How many accepted connections may be in their TLS handshake at once; with one more, the one that has taken longest is
/// dropped, so that stuck peers keep nobody out. Memory: at most 100 KiB each.
pub const MAX_HANDSHAKES: usize = 256;

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

/// Accepted connections that are in their TLS handshake: driven together, and none waits for another.
pub struct Handshakes<T> {
    /// In the order in which they began.
    running: VecDeque<Pin<Box<dyn Future<Output = T> + Send>>>,
}

impl<T> Handshakes<T> {
    /// Adds one; the oldest goes if there are too many. Each must have an end of its own.
    pub fn push(&mut self, handshake: impl Future<Output = T> + Send + 'static) {
        if self.running.len() >= MAX_HANDSHAKES {
            tracing::warn!("{MAX_HANDSHAKES} TLS handshakes at once: the oldest is dropped");
            self.running.pop_front();
        }
        self.running.push_back(Box::pin(handshake));
    }

    /// The next result; waits for ever while there is no handshake. Dropping the future loses nothing.
    pub async fn next(&mut self) -> T {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        for index in 0..self.running.len() {
            if let Poll::Ready(done) = self.running[index].as_mut().poll(cx) {
                self.running.remove(index);
                return Poll::Ready(done);
            }
        }
        Poll::Pending
    }
}

impl<T> Default for Handshakes<T> {
    fn default() -> Self {
        Self { running: VecDeque::new() }
    }
}

impl<T> fmt::Debug for Handshakes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handshakes({})", self.running.len())
    }
}
