//! Reading one file without trusting it.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::path::Path;

use super::{DEFAULT_MAX_FILE_BYTES, SkipReason};

/// Reads a source file of at most `max` bytes.
///
/// The file may have changed since it was found: it may have grown, vanished or become a pipe or a link.
/// No more than `max + 1` bytes are read whatever its metadata says, opening never waits for another
/// process, and a symbolic link in the last place of the path is not followed. A byte order mark is kept.
pub fn read_source(path: &Path, max: u64) -> Result<String, SkipReason> {
    read_described(path, max).map(|(text, _)| text)
}

/// Like [`read_source`], with what the file system told of the file before it was read.
pub(crate) fn read_described(path: &Path, max: u64) -> Result<(String, Metadata), SkipReason> {
    let (bytes, metadata) = read_file(path, max)?;
    let text = String::from_utf8(bytes)
        .map_err(|error| SkipReason::NotUtf8 { offset: error.utf8_error().valid_up_to() as u64 })?;
    Ok((text, metadata))
}

/// Like [`read_source`], for content that need not be UTF-8.
pub(super) fn read_bytes(path: &Path, max: u64) -> Result<Vec<u8>, SkipReason> {
    read_file(path, max).map(|(bytes, _)| bytes)
}

fn read_file(path: &Path, max: u64) -> Result<(Vec<u8>, Metadata), SkipReason> {
    let file = open(path)?;
    // Asked of the open file, so that what is checked is what is read.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(SkipReason::NotAFile);
    }
    if metadata.len() > max {
        return Err(SkipReason::TooLarge { size: metadata.len(), limit: max });
    }
    // One byte more shows the end of the file without growing the buffer. A file of holes may claim any
    // size, so what is reserved beforehand has a bound of its own.
    let expected = metadata.len().min(DEFAULT_MAX_FILE_BYTES) as usize;
    let mut bytes = Vec::with_capacity(expected + 1);
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    let size = bytes.len() as u64;
    if size > max {
        return Err(SkipReason::TooLarge { size, limit: max });
    }
    Ok((bytes, metadata))
}

#[cfg(unix)]
fn open(path: &Path) -> Result<File, SkipReason> {
    use rustix::{fs::OFlags, io::Errno};
    use std::os::unix::fs::OpenOptionsExt;

    // NONBLOCK: opening a pipe without a writer would wait for one. NOCTTY: a terminal must not become
    // ours. Neither changes anything for a regular file.
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path).map_err(|error| {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::LOOP) => SkipReason::Symlink,
            // A socket cannot be opened at all.
            Some(Errno::NXIO) => SkipReason::NotAFile,
            _ => error.into(),
        }
    })
}

#[cfg(not(unix))]
fn open(path: &Path) -> Result<File, SkipReason> {
    if std::fs::symlink_metadata(path)?.is_symlink() {
        return Err(SkipReason::Symlink);
    }
    Ok(OpenOptions::new().read(true).open(path)?)
}
