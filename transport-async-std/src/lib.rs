//! Remote RPC v3 over futures-io runtimes, async-std among them.
//!
//! [`connect`] opens a socket with async-std, [`drive`] puts a connection on it. Neither knows anything that
//! `nova-driver` does not give to every runtime: with smol or another runtime of the `futures-io` family, call
//! [`nova_driver::connect`] with your own halves, clock and sleep.
//!
//! async-std is discontinued upstream (RUSTSEC-2025-0052); see this crate's README for what that means.
#![forbid(unsafe_code)]

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use async_std::net::TcpStream;
use async_std::os::unix::net::UnixStream;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::io::AsyncReadExt;
use nova_driver::{Address, Application, Handle, Io};
use nova_proto_core::{CloseReason, Config, ConfigError};

/// A connected socket of either kind.
#[derive(Debug)]
pub enum Stream {
    /// A Unix domain socket.
    Unix(UnixStream),
    /// A TCP socket, with `TCP_NODELAY` set.
    Tcp(TcpStream),
}

/// Opens a socket. A host name's addresses are tried in turn.
///
/// # Errors
/// The last address's error, with the address in it.
pub async fn connect(address: &Address) -> io::Result<Stream> {
    let result = match address {
        Address::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        Address::Tcp { host, port } => TcpStream::connect((host.as_str(), *port)).await.and_then(|stream| {
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }),
    };
    result.map_err(|error| io::Error::new(error.kind(), format!("cannot connect to {address}: {error}")))
}

/// Puts a connection on a socket, or on any other futures-io stream. The returned future drives it to its end: spawn it.
///
/// # Errors
/// If the configuration breaks a floor.
pub fn drive<T, A>(
    stream: T,
    config: Config,
    application: A,
) -> Result<(Handle, impl Future<Output = CloseReason> + use<T, A>), ConfigError>
where
    T: AsyncRead + AsyncWrite,
    A: Application + Unpin,
{
    let (reader, writer) = stream.split();
    nova_driver::connect(
        Io {
            reader: Box::pin(reader),
            writer: Box::pin(writer),
            now: Instant::now,
            sleep_until: |at: Instant| async_std::task::sleep(at.saturating_duration_since(Instant::now())),
        },
        config,
        application,
    )
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_close(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_close(cx),
        }
    }
}
