use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nova_driver::Address;
use tokio::net::{TcpListener, UnixListener};

use crate::stream::Duplex;

/// Waits after a failed accept: doubled from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// A bound socket. A Unix socket's file is removed when it is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: Address,
    backoff: Duration,
}

#[derive(Debug)]
enum Socket {
    Unix { listener: UnixListener, _file: SocketFile },
    Tcp(TcpListener),
}

/// Removes the file, if it is still the one we bound.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Listener {
    /// Binds. A Unix socket gets mode 0600; a file left at its path by a dead process is replaced, a socket that
    /// somebody listens on is not.
    ///
    /// # Errors
    /// If the address cannot be bound, with the address in the message.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        let bound = match address {
            Address::Unix(path) => bind_unix(path).await.map(|socket| (socket, address.clone())),
            Address::Tcp { host, port } => bind_tcp(host, *port).await,
        };
        let (socket, address) = bound
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
        Ok(Self { socket, address, backoff: BACKOFF.0 })
    }

    /// The address bound, with the port that was chosen.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The next connection. Never fails: an error of one connection is logged, and when the process has no file
    /// descriptors left it waits for some.
    pub async fn accept(&mut self) -> Box<dyn Duplex> {
        loop {
            match self.socket.accept().await {
                Ok(stream) => {
                    self.backoff = BACKOFF.0;
                    return stream;
                }
                Err(error) => {
                    tracing::warn!(%error, wait = ?self.backoff, "could not accept a connection");
                    tokio::time::sleep(self.backoff).await;
                    self.backoff = (self.backoff * 2).min(BACKOFF.1);
                }
            }
        }
    }
}

impl Socket {
    async fn accept(&self) -> io::Result<Box<dyn Duplex>> {
        Ok(match self {
            Self::Unix { listener, .. } => Box::new(listener.accept().await?.0),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        })
    }
}

async fn bind_tcp(host: &str, port: u16) -> io::Result<(Socket, Address)> {
    let listener = TcpListener::bind((host, port)).await?;
    let local = listener.local_addr()?;
    let address = Address::Tcp { host: local.ip().to_string(), port: local.port() };
    Ok((Socket::Tcp(listener), address))
}

async fn bind_unix(path: &Path) -> io::Result<Socket> {
    remove_dead_socket(path).await?;
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    let file = SocketFile { path: path.to_owned(), inode: inode(path)? };
    Ok(Socket::Unix { listener, _file: file })
}

/// Makes room at `path`, but only of a socket that nobody answers on.
async fn remove_dead_socket(path: &Path) -> io::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        let message = "something that is no socket is there; remove it or choose another path";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    match tokio::net::UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(_) => {
            let message = "another process listens there; stop it or choose another path";
            Err(io::Error::new(io::ErrorKind::AddrInUse, message))
        }
        Err(error) => Err(error),
    }
}

fn inode(path: &Path) -> io::Result<u64> {
    Ok(std::os::unix::fs::MetadataExt::ino(&fs::symlink_metadata(path)?))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
