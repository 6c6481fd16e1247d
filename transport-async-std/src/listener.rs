use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_std::net::{TcpListener, TcpStream};
use async_std::os::unix::net::UnixListener;
use nova_driver::net::tls::ServerTls;
use nova_driver::net::unix::{self, SocketFile};
use nova_driver::net::{Accepted, Accepting, ListenOptions, about, configure_tcp, no_pipes, timed_out};
use nova_driver::{Address, Link, Peer};

use crate::socket::Closing;
use crate::stream::{Stream, sleep_until};
use crate::tls;

/// A bound socket. A Unix socket's file is removed when it is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
    /// For a TLS handshake.
    within: Duration,
    accepting: Accepting<Stream>,
}

#[derive(Debug)]
enum Socket {
    /// The file goes first: nobody finds a socket there that is closed.
    Unix {
        _file: SocketFile,
        listener: UnixListener,
    },
    Tcp {
        listener: TcpListener,
        tls: Option<ServerTls>,
    },
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
        Ok(Self { socket, address, within: options.within, accepting: Accepting::default() })
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
        let Self { socket, within, accepting, .. } = self;
        accepting.next(|| socket.accept(*within), Instant::now, sleep_until).await
    }
}

impl Socket {
    /// The next connection, whose TLS handshake may take so long.
    async fn accept(
        &self,
        within: Duration,
    ) -> io::Result<Accepted<Stream, impl Future<Output = io::Result<Stream>> + use<>>> {
        let (listener, tls) = match self {
            Self::Unix { listener, .. } => {
                let stream = listener.accept().await?.0;
                if let Err(error) = unix::check_peer(&stream) {
                    return Ok(Accepted::Refused(error));
                }
                let peer = Peer { link: Link::Unix, address: None, certificate: None };
                return Ok(Accepted::Ready(Stream::new(Closing(stream), peer, Instant::now())));
            }
            Self::Tcp { listener, tls } => (listener, tls),
        };
        let (stream, address) = listener.accept().await?;
        let started = Instant::now();
        if let Err(error) = configure_tcp(&stream) {
            return Ok(Accepted::Gone(address, error));
        }
        Ok(match tls {
            Some(tls) => Accepted::Securing(address, secure(stream, address, tls.clone(), started, within)),
            None => {
                let peer = Peer { link: Link::Tcp, address: Some(address), certificate: None };
                Accepted::Ready(Stream::new(Closing(stream), peer, started))
            }
        })
    }
}

async fn secure(
    stream: TcpStream,
    address: SocketAddr,
    tls: ServerTls,
    started: Instant,
    within: Duration,
) -> io::Result<Stream> {
    let secured = async_std::future::timeout(within, tls::accept(Closing(stream), &tls)).await;
    let (stream, certificate) = secured.unwrap_or_else(|_| Err(timed_out(within)))?;
    Ok(Stream::new(stream, Peer { link: Link::Tls, address: Some(address), certificate }, started))
}

async fn bind(address: &Address, options: &ListenOptions) -> io::Result<(Socket, Address)> {
    match address {
        Address::Unix(path) => {
            let (listener, file) = unix::bind(path)?;
            let listener = UnixListener::from(listener);
            Ok((Socket::Unix { _file: file, listener }, address.clone()))
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
