//! The directories given with `--root`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::LayoutError;

/// Canonical, without duplicates, sorted by bytes. Each is a directory that could be listed just now.
pub(super) fn resolve(given: &[PathBuf]) -> Result<Vec<PathBuf>, LayoutError> {
    if given.is_empty() {
        return Err(LayoutError::NoRoots);
    }
    let mut roots = given.iter().map(|path| resolve_one(path)).collect::<Result<Vec<_>, _>>()?;
    roots.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    roots.dedup();
    Ok(roots)
}

fn resolve_one(given: &Path) -> Result<PathBuf, LayoutError> {
    let path = given.to_path_buf();
    let canonical = match fs::canonicalize(given) {
        Ok(canonical) => canonical,
        Err(source) => {
            return Err(match source.kind() {
                io::ErrorKind::NotFound => LayoutError::RootMissing { path },
                io::ErrorKind::NotADirectory => LayoutError::RootNotADirectory { path },
                _ => LayoutError::RootUnreadable { path, source },
            });
        }
    };
    match fs::metadata(&canonical) {
        Ok(metadata) if !metadata.is_dir() => return Err(LayoutError::RootNotADirectory { path }),
        Ok(_) => {}
        Err(source) => return Err(LayoutError::RootUnreadable { path, source }),
    }
    match fs::read_dir(&canonical) {
        Ok(_) => Ok(canonical),
        Err(source) => Err(LayoutError::RootUnreadable { path, source }),
    }
}
