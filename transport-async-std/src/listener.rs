use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_std::net::{TcpListener, TcpStream};
use async_std::os::unix::net::UnixListener;
use futures_util::future::{Either, select};
use nova_driver::net::tls::ServerTls;
use nova_driver::net::unix::{self, SocketFile};
use nova_driver::net::{Handshakes, ListenOptions, about, configure_tcp, no_pipes, timed_out};
use nova_driver::{Address, Link, Peer};

use crate::stream::{Stream, sleep_until};
use crate::tls;

/// Waits after a failed accept: doubled from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// A bound socket. A Unix socket's file is removed when it is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
    /// How long to wait after the next failed accept.
    backoff: Duration,
    /// Not before this is the next connection accepted.
    not_before: Option<Instant>,
    /// For a TLS handshake.
    within: Duration,
    handshakes: Handshakes<(SocketAddr, io::Result<Stream>)>,
}

#[derive(Debug)]
enum Socket {
    Unix { listener: UnixListener, _file: SocketFile },
    Tcp { listener: TcpListener, tls: Option<ServerTls> },
}

/// What came from a socket.
enum Accepted {
    Ready(Stream),
    /// TLS is still to come.
    Raw(TcpStream, SocketAddr, ServerTls),
}

impl Listener {
    /// Binds without TLS: [`bind_with`](Self::bind_with) with nothing to choose.
    ///
    /// # Errors
    /// As `bind_with`.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        Self::bind_with(address, &ListenOptions::default()).await
    }

    /// Binds. A Unix socket gets mode 0600; a file left at its path by a dead process is replaced, a socket that
    /// somebody listens on is not.
    ///
    /// # Errors
    /// If the address cannot be bound, with the address in the message.
    pub async fn bind_with(address: &Address, options: &ListenOptions) -> io::Result<Self> {
        let (socket, address) =
            bind(address, options).await.map_err(|error| about(&error, "listen on", address))?;
        Ok(Self {
            socket,
            address,
            backoff: BACKOFF.0,
            not_before: None,
            within: options.within,
            handshakes: Handshakes::default(),
        })
    }

    /// The address bound, with the port that was chosen.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The next connection, after its TLS handshake if there is one; handshakes run side by side, so a peer that is stuck in
    /// one delays no other. Never fails: an error of one connection is logged, and when the process has no file descriptors
    /// left it waits for some. Dropping the future loses no connection.
    pub async fn accept(&mut self) -> Stream {
        loop {
            let next = {
                let accepting = std::pin::pin!(self.socket.accept(self.not_before));
                let finishing = std::pin::pin!(self.handshakes.next());
                match select(finishing, accepting).await {
                    Either::Left((finished, _)) => Either::Left(finished),
                    Either::Right((accepted, _)) => Either::Right(accepted),
                }
            };
            match next {
                Either::Left((_, Ok(stream))) => return stream,
                Either::Left((peer, Err(error))) => tracing::warn!(%peer, %error, "TLS handshake failed"),
                Either::Right(Ok(accepted)) => {
                    (self.backoff, self.not_before) = (BACKOFF.0, None);
                    match accepted {
                        Accepted::Ready(stream) => return stream,
                        Accepted::Raw(stream, peer, tls) => self.secure(stream, peer, tls),
                    }
                }
                Either::Right(Err(error)) => {
                    tracing::warn!(%error, wait = ?self.backoff, "could not accept a connection");
                    self.not_before = Some(Instant::now() + self.backoff);
                    self.backoff = (self.backoff * 2).min(BACKOFF.1);
                }
            }
        }
    }

    fn secure(&mut self, stream: TcpStream, address: SocketAddr, tls: ServerTls) {
        let (started, within) = (Instant::now(), self.within);
        self.handshakes.push(async move {
            let secured = async_std::future::timeout(within, tls::accept(stream, &tls)).await;
            let secured = secured.unwrap_or_else(|_| Err(timed_out(within)));
            let stream = secured.map(|(stream, certificate)| {
                Stream::new(stream, Peer { link: Link::Tls, address: Some(address), certificate }, started)
            });
            (address, stream)
        });
    }
}

impl Socket {
    async fn accept(&self, not_before: Option<Instant>) -> io::Result<Accepted> {
        if let Some(time) = not_before {
            sleep_until(time).await;
        }
        let (listener, tls) = match self {
            Self::Unix { listener, .. } => {
                let stream = listener.accept().await?.0;
                let peer = Peer { link: Link::Unix, address: None, certificate: None };
                return Ok(Accepted::Ready(Stream::new(stream, peer, Instant::now())));
            }
            Self::Tcp { listener, tls } => (listener, tls),
        };
        let (stream, address) = listener.accept().await?;
        configure_tcp(&stream)?;
        Ok(match tls {
            Some(tls) => Accepted::Raw(stream, address, tls.clone()),
            None => {
                let peer = Peer { link: Link::Tcp, address: Some(address), certificate: None };
                Accepted::Ready(Stream::new(stream, peer, Instant::now()))
            }
        })
    }
}

async fn bind(address: &Address, options: &ListenOptions) -> io::Result<(Socket, Address)> {
    match address {
        Address::Unix(path) => {
            let (listener, file) = unix::bind(path)?;
            let listener = UnixListener::from(listener);
            Ok((Socket::Unix { listener, _file: file }, address.clone()))
        }
        Address::Tcp { host, port } => {
            let listener = TcpListener::bind((host.as_str(), *port)).await?;
            let local = listener.local_addr()?;
            let address = Address::Tcp { host: local.ip().to_string(), port: local.port() };
            Ok((Socket::Tcp { listener, tls: None }, address))
        }
        Address::Tls { host, port } => {
            let tls = Some(options.need_tls()?.clone());
            let listener = TcpListener::bind((host.as_str(), *port)).await?;
            // The name stays: it is what workers connect to, and what the certificate is for.
            let address = Address::Tls { host: host.clone(), port: listener.local_addr()?.port() };
            Ok((Socket::Tcp { listener, tls }, address))
        }
        Address::Pipe(_) => Err(no_pipes()),
    }
}
