use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use nova_driver::{Address, Application, Handle, Io};
use nova_proto_core::{CloseReason, Config};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

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

/// Puts a connection on a socket, or on any other tokio stream. The returned future drives it to its end: spawn it.
///
/// # Errors
/// If the configuration breaks a floor.
pub fn drive<T, A>(
    stream: T,
    config: Config,
    application: A,
) -> Result<(Handle, impl Future<Output = CloseReason> + use<T, A>), nova_proto_core::ConfigError>
where
    T: AsyncRead + AsyncWrite,
    A: Application + Unpin,
{
    let (reader, writer) = tokio::io::split(stream);
    nova_driver::connect(
        Io {
            reader: Box::pin(reader.compat()),
            writer: Box::pin(writer.compat_write()),
            // The runtime's clock, so that paused time in tests is the connection's time.
            now: || tokio::time::Instant::now().into_std(),
            sleep_until: |at: Instant| tokio::time::sleep_until(at.into()),
        },
        config,
        application,
    )
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
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

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
