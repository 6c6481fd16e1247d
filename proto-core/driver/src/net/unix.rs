//! The life of a Unix socket's file.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// Removes a bound socket's file when it is dropped, if it is still the one that was bound.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: u64,
}

/// Binds, without blocking mode, for a runtime to adopt. The file gets mode 0600; one left at its path by a dead process is
/// replaced, a socket that somebody listens on is not.
///
/// # Errors
/// If the path is in use or cannot be bound.
pub fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    remove_dead_socket(path)?;
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    let file = SocketFile { path: path.to_owned(), inode: inode(path)? };
    listener.set_nonblocking(true)?;
    Ok((listener, file))
}

/// Refuses a peer that another user runs: the socket's mode keeps most of them out, but not everywhere, and not before it is
/// set. Checked on Linux alone.
///
/// # Errors
/// If it is another user's, with the number of that user.
pub fn check_peer(stream: &impl AsFd) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let (peer, own) = (rustix::net::sockopt::socket_peercred(stream)?.uid, rustix::process::geteuid());
        if peer != own {
            let message = format!("the peer belongs to user {}, not {}", peer.as_raw(), own.as_raw());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = stream;
    Ok(())
}

/// Makes room at `path`, but only of a socket that nobody answers on.
fn remove_dead_socket(path: &Path) -> io::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        let message = "something that is no socket is there; remove it or choose another path";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A listener whose queue is full is alive; waiting for it would block.
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => {
            let message = "another process listens there; stop it or choose another path";
            Err(io::Error::new(io::ErrorKind::AddrInUse, message))
        }
    }
}

fn inode(path: &Path) -> io::Result<u64> {
    Ok(fs::symlink_metadata(path)?.ino())
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
