use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use nova_driver::net::{ConnectOptions, about, configure_tcp, no_pipes, timed_out};
use nova_driver::{Address, Application, Handle, Io, Link, Peer};
use nova_proto_core::{CloseReason, Config, ConfigError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use crate::tls;

/// A stream that can be read and written, whatever it is.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connected socket, with TLS behind it if its address asks for that.
pub struct Stream {
    inner: Box<dyn Duplex>,
    peer: Peer,
    started: Instant,
}

impl Stream {
    pub(crate) fn new(
        inner: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: Peer,
        started: tokio::time::Instant,
    ) -> Self {
        Self { inner: Box::new(inner), peer, started: started.into_std() }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Puts a connection on it, as [`drive`] does; the handshake's timer counts from when connecting began, or from
    /// when the socket was accepted, with TLS and all.
    ///
    /// # Errors
    /// If the configuration breaks a floor.
    pub fn drive<A>(
        self,
        config: Config,
        application: A,
    ) -> Result<(Handle, impl Future<Output = CloseReason> + use<A>), ConfigError>
    where
        A: Application + Unpin,
    {
        let started = self.started;
        drive_since(self, started, config, application)
    }
}

/// Opens a socket without TLS: [`connect_with`] with nothing to choose.
///
/// # Errors
/// As [`connect_with`].
pub async fn connect(address: &Address) -> io::Result<Stream> {
    connect_with(address, &ConnectOptions::default()).await
}

/// Opens a socket, and TLS over it if the address asks for that. A host name's addresses are tried in turn.
///
/// # Errors
/// What went wrong, with the address in it: of several addresses at the last one. Also if it took too long.
pub async fn connect_with(address: &Address, options: &ConnectOptions) -> io::Result<Stream> {
    let started = tokio::time::Instant::now();
    let opened = tokio::time::timeout_at(started + options.within, open(address, options, started));
    opened
        .await
        .unwrap_or_else(|_| Err(timed_out(options.within)))
        .map_err(|error| about(&error, "connect to", address))
}

async fn open(
    address: &Address,
    options: &ConnectOptions,
    started: tokio::time::Instant,
) -> io::Result<Stream> {
    match address {
        Address::Unix(path) => {
            let peer = Peer { link: Link::Unix, address: None, certificate: None };
            Ok(Stream::new(UnixStream::connect(path).await?, peer, started))
        }
        Address::Tcp { host, port } => {
            let stream = open_tcp(host, *port).await?;
            let peer = Peer { link: Link::Tcp, address: Some(stream.peer_addr()?), certificate: None };
            Ok(Stream::new(stream, peer, started))
        }
        Address::Tls { host, port } => {
            let settings = options.need_tls()?;
            let name = settings.server_name(host)?;
            let stream = open_tcp(host, *port).await?;
            let address = Some(stream.peer_addr()?);
            let (stream, certificate) = tls::connect(stream, settings, name).await?;
            Ok(Stream::new(stream, Peer { link: Link::Tls, address, certificate }, started))
        }
        Address::Pipe(_) => Err(no_pipes()),
    }
}

async fn open_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    configure_tcp(&stream)?;
    Ok(stream)
}

/// Puts a connection on any tokio stream; a [`Stream`] is better driven by [`Stream::drive`]. The returned future drives it
/// to its end: spawn it.
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
    drive_since(stream, now(), config, application)
}

fn drive_since<T, A>(
    stream: T,
    started: Instant,
    config: Config,
    application: A,
) -> Result<(Handle, impl Future<Output = CloseReason> + use<T, A>), ConfigError>
where
    T: AsyncRead + AsyncWrite,
    A: Application + Unpin,
{
    let (reader, writer) = tokio::io::split(stream);
    let io = Io {
        reader: Box::pin(reader.compat()),
        writer: Box::pin(writer.compat_write()),
        now,
        sleep_until: |at: Instant| tokio::time::sleep_until(at.into()),
    };
    nova_driver::connect_since(io, started, config, application)
}

/// The runtime's clock, so that paused time in tests is the connection's time.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("peer", &self.peer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Ready;
    use std::time::Duration;

    use nova_driver::Incoming;
    use nova_proto_core::{CloseCode, Role};

    use super::*;

    struct Nobody;

    impl Application for Nobody {
        type Handler = Ready<()>;

        fn request(&mut self, _request: Incoming) -> Ready<()> {
            std::future::ready(())
        }
    }

    /// Connecting and TLS have taken a part of the handshake's time: only the rest is left.
    #[tokio::test(start_paused = true)]
    async fn the_handshakes_timer_counts_from_the_beginning() {
        for (role, seconds) in [(Role::Router, 5), (Role::Worker, 10)] {
            let (near, _far) = tokio::io::duplex(4096);
            let peer = Peer { link: Link::Tls, address: None, certificate: None };
            let started = tokio::time::Instant::now();
            let stream = Stream::new(near, peer, started);
            tokio::time::sleep(Duration::from_secs(seconds - 1)).await;
            let (_handle, driver) = stream.drive(Config::new(role), Nobody).expect("a good configuration");
            let reason = driver.await;
            // The last frame of a worker may take a second to leave.
            assert_eq!(reason, CloseReason::Timeout(CloseCode::HANDSHAKE_TIMEOUT));
            let waited = started.elapsed();
            assert!(waited >= Duration::from_secs(seconds), "{waited:?}");
            assert!(waited <= Duration::from_secs(seconds + 1), "{waited:?}");
        }
    }
}
