//! The life of a Unix socket's file.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

/// How long another one may take to bind: the lock is held for a few calls of the system.
const LOCK_WAIT: Duration = Duration::from_millis(5);
const LOCK_TRIES: u32 = 200;

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
    // Two that find the same dead socket would both make room, and the second would remove what the first has bound.
    let _alone = lock_directory(path)?;
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

/// Keeps others from binding in the same directory, until this is dropped. A directory that cannot be opened to be read is not
/// locked: others of this user could not open it either.
#[expect(clippy::disallowed_methods, reason = "a listener is bound once, before anything is driven")]
fn lock_directory(path: &Path) -> io::Result<Option<File>> {
    let directory =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let Ok(directory) = File::open(directory) else { return Ok(None) };
    for _ in 0..LOCK_TRIES {
        match directory.try_lock() {
            Ok(()) => return Ok(Some(directory)),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_WAIT),
            // A file system without locks.
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
    let message = "another process is about to listen in that directory; choose another path";
    Err(io::Error::new(io::ErrorKind::AddrInUse, message))
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::Barrier;

    use super::*;

    /// Threads stand for processes: a lock of an open file is as much theirs.
    #[test]
    fn of_many_that_find_a_dead_socket_one_has_it() {
        let directory = std::env::temp_dir().join(format!("nova-bind-{}", std::process::id()));
        fs::create_dir(&directory).expect("a directory");
        let path = directory.join("socket");
        for _ in 0..50 {
            drop(UnixListener::bind(&path).expect("bound"));
            let start = Barrier::new(4);
            let bound: Vec<_> = thread::scope(|scope| {
                let binding = || {
                    start.wait();
                    bind(&path)
                };
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(binding)).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            let (won, lost): (Vec<_>, Vec<_>) = bound.into_iter().partition(Result::is_ok);
            assert_eq!(won.len(), 1);
            assert!(UnixStream::connect(&path).is_ok(), "who has bound it can be reached");
            for error in lost.into_iter().filter_map(Result::err) {
                assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
            }
            drop(won);
            assert!(!path.exists());
        }
        fs::remove_dir(&directory).expect("it is empty");
    }
}
