//! Where the control socket of a workspace lies, and who may bind it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk, geteuid};

/// How often a lock is tried for whose file goes while it is taken: each time, another router has just ended.
const TRIES: usize = 100;

/// The files of one workspace's router in the user's runtime directory. Two workspaces share one if they have the same roots
/// and the same options that change answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    directory: PathBuf,
    name: String,
}

impl Place {
    /// The place of a workspace with these canonical roots, sorted as [`Layout`](crate::layout::Layout) has them: below
    /// `$XDG_RUNTIME_DIR/nova` if that variable names a directory, or else below `nova-UID` in the directory for temporary
    /// files. Nothing is made there.
    #[must_use]
    pub fn of(roots: &[PathBuf], max_file_bytes: u64) -> Self {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let directory = match runtime.filter(|path| path.is_absolute() && path.is_dir()) {
            Some(base) => base.join("nova"),
            None => std::env::temp_dir().join(format!("nova-{}", geteuid().as_raw())),
        };
        Self::below(directory, roots, max_file_bytes)
    }

    /// The same in another directory.
    #[must_use]
    pub fn below(directory: PathBuf, roots: &[PathBuf], max_file_bytes: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&max_file_bytes.to_le_bytes());
        for root in roots {
            let root = root.as_os_str().as_encoded_bytes();
            // The length in front keeps two roots from running into each other.
            hasher.update(&(root.len() as u64).to_le_bytes()).update(root);
        }
        Self { directory, name: hasher.finalize().to_hex()[..32].to_owned() }
    }

    /// The control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.file("sock")
    }

    /// What a router that was started in the background says.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.file("log")
    }

    fn file(&self, extension: &str) -> PathBuf {
        self.directory.join(format!("{}.{extension}", self.name))
    }

    /// Makes the directory, or sees that it is private.
    ///
    /// # Errors
    /// If it cannot be made, or others can write in it.
    pub fn make(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(io::Error::new(
                error.kind(),
                format!("cannot make the directory {}: {error}", self.directory.display()),
            )),
            _ => self.check(),
        }
    }

    /// Whether the directory is this user's alone: what lies in it can then be trusted.
    ///
    /// # Errors
    /// If it is not, or is not there.
    pub fn check(&self) -> io::Result<()> {
        let metadata = fs::symlink_metadata(&self.directory)?;
        let problem = if !metadata.is_dir() {
            "is no directory"
        } else if metadata.uid() != geteuid().as_raw() {
            "belongs to another user"
        } else if metadata.mode() & 0o077 != 0 {
            "can be entered by other users"
        } else {
            return Ok(());
        };
        let message = format!("{} {problem}", self.directory.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
    }

    /// Takes the place for this process; nothing if another process has it. The lock is one of POSIX records: it ends with its
    /// process, however that ends, and the system tells whose it is.
    ///
    /// # Errors
    /// If the directory or the file cannot be made.
    pub fn lock(&self) -> io::Result<Option<Lock>> {
        for _ in 0..TRIES {
            self.make()?;
            let path = self.file("lock");
            let file = match open(&path, true) {
                Ok(file) => file,
                // The directory went after it was made.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(about(&error, "make", &path)),
            };
            match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::AGAIN | Errno::ACCESS) => return Ok(None),
                Err(error) => return Err(about(&error.into(), "lock", &path)),
            }
            // Who had it before may have removed the file in between: then this is the lock of nothing.
            let named = fs::symlink_metadata(&path).map(|metadata| metadata.ino());
            if named.is_ok_and(|inode| file.metadata().is_ok_and(|metadata| metadata.ino() == inode)) {
                return Ok(Some(Lock { file, place: self.clone() }));
            }
        }
        Err(io::Error::other(format!("{} comes and goes", self.file("lock").display())))
    }

    /// The process that has the place, as the system tells it; nothing if none has. Not for the process that has it itself:
    /// closing the file would end its lock.
    ///
    /// # Errors
    /// If the lock's file is there and cannot be opened, or is not in this user's hands.
    pub fn holder(&self) -> io::Result<Option<u32>> {
        let path = self.file("lock");
        let file = match open(&path, false) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(about(&error, "open", &path)),
        };
        self.check()?;
        let held = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))?;
        let pid = held.and_then(|lock| lock.pid).map(|pid| pid.as_raw_nonzero().get());
        Ok(pid.and_then(|pid| u32::try_from(pid).ok()))
    }
}

fn open(path: &Path, create: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(0o600).open(path)
}

fn about(error: &io::Error, what: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} {}: {error}", path.display()))
}

/// A place that this process has. Its file goes when this is dropped, and the directory if nothing else is in it: drop it
/// last.
#[derive(Debug)]
pub struct Lock {
    file: File,
    place: Place,
}

impl Lock {
    /// The place.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.place.file("lock"));
        let _ = fs::remove_dir(&self.place.directory);
        let _ = fcntl_lock(&self.file, FlockOperation::NonBlockingUnlock);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn place(base: &Path) -> Place {
        Place::below(base.join("nova"), &[PathBuf::from("/w")], 1)
    }

    #[test]
    fn a_place_depends_on_the_roots_and_on_what_changes_answers() {
        let name = |roots: &[&str], bytes| {
            let roots: Vec<PathBuf> = roots.iter().map(PathBuf::from).collect();
            Place::below("/run".into(), &roots, bytes).socket()
        };
        let all = [
            name(&["/a"], 1),
            name(&["/b"], 1),
            name(&["/a"], 2),
            name(&["/a", "/b"], 1),
            name(&["/a/b"], 1),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all[index + 1..].iter().all(|other| other != one), "{}", one.display());
        }
        assert_eq!(all[0], name(&["/a"], 1));
    }

    #[test]
    fn a_lock_leaves_nothing_behind() {
        let base = tempfile::tempdir().expect("a directory");
        let place = place(base.path());
        let lock = place.lock().expect("possible").expect("free");
        assert_eq!(fs::metadata(base.path().join("nova")).expect("made").permissions().mode() & 0o777, 0o700);
        drop(lock);
        assert_eq!(fs::read_dir(base.path()).expect("listed").count(), 0);
        assert_eq!(place.holder().expect("known"), None);
    }

    #[test]
    fn a_directory_that_others_can_enter_is_refused() {
        let base = tempfile::tempdir().expect("a directory");
        let place = place(base.path());
        let directory = base.path().join("nova");
        fs::create_dir(&directory).expect("made");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("set");
        assert!(place.lock().is_err_and(|error| error.to_string().contains("other users")));
        fs::remove_dir(&directory).expect("removed");
        std::os::unix::fs::symlink(base.path(), &directory).expect("made");
        assert!(place.lock().is_err_and(|error| error.to_string().contains("no directory")));
    }
}
