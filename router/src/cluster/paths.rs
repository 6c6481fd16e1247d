//! From paths as a host gives them to files of the workspace.

use std::path::{Component, Path, PathBuf};

use nova_proto_core::messages::MAX_PATH;

use crate::coordinator::{ChangeError, FilePath};
use crate::layout::classify::{is_hidden, is_java_file};

/// The place of a path in the workspace: below the longest root that it begins with. If there is none, its directory may
/// have been named by another way, which is looked for on disk.
pub(super) fn locate(roots: &[PathBuf], path: &Path) -> Result<FilePath, ChangeError> {
    let found = below(roots, path).or_else(|| {
        let directory = path.parent()?.canonicalize().ok()?;
        below(roots, &directory.join(path.file_name()?))
    });
    let error = |problem| ChangeError::Path { path: path.display().to_string(), problem };
    let (root, relative) = found.ok_or_else(|| error("it lies below none of the roots"))?;
    let mut names = Vec::new();
    for component in relative.components() {
        match component {
            Component::Normal(name) => names.push(name.to_str().ok_or_else(|| error("it is not UTF-8"))?),
            _ => return Err(error("it has `..` in it")),
        }
    }
    let path = names.join("/");
    if path.is_empty() {
        return Err(error("it is a root itself"));
    }
    if path.len() > MAX_PATH {
        return Err(error("it has more than 4,096 bytes"));
    }
    Ok(FilePath { root, path: path.into() })
}

/// Like [`locate`], for what is to be a source file.
pub(super) fn locate_source(roots: &[PathBuf], path: &Path) -> Result<FilePath, ChangeError> {
    let file = locate(roots, path)?;
    let error = |problem| Err(ChangeError::Path { path: path.display().to_string(), problem });
    if is_left_out(&file) {
        return error("a name in it begins with a dot");
    }
    if !is_java_file(Path::new(&*file.path).as_os_str()) {
        return error("its name does not end in .java");
    }
    Ok(file)
}

/// Whether a rule about names alone leaves the file out.
pub(super) fn is_left_out(file: &FilePath) -> bool {
    file.path.split('/').any(|name| is_hidden(name.as_ref()))
}

fn below(roots: &[PathBuf], path: &Path) -> Option<(usize, PathBuf)> {
    let relative =
        |(number, root): (usize, &PathBuf)| Some((number, path.strip_prefix(root).ok()?.to_owned()));
    roots.iter().enumerate().filter_map(relative).min_by_key(|(_, relative)| relative.components().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str) -> Result<(usize, String), String> {
        let roots = ["/w", "/w/inner", "/other"].map(PathBuf::from);
        locate_source(&roots, Path::new(path))
            .map(|file| (file.root, file.path.to_string()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_belongs_to_the_longest_root_above_it() {
        assert_eq!(source("/w/p/A.java"), Ok((0, "p/A.java".into())));
        assert_eq!(source("/w/inner/A.java"), Ok((1, "A.java".into())));
        assert_eq!(source("/w/inner2/A.java"), Ok((0, "inner2/A.java".into())));
        assert_eq!(source("/w/./p//A.java"), Ok((0, "p/A.java".into())));
    }

    #[test]
    fn what_is_no_source_file_is_named_with_the_reason() {
        for (path, problem) in [
            ("/elsewhere/A.java", "below none of the roots"),
            ("/w/p/../A.java", "`..`"),
            ("/w", "a root itself"),
            ("/w/pom.xml", ".java"),
            ("/w/A.JAVA", ".java"),
            ("/w/.git/A.java", "a dot"),
            ("/w/.A.java", "a dot"),
        ] {
            assert!(
                source(path).is_err_and(|error| error.contains(problem) && error.contains(path)),
                "{path}"
            );
        }
        let long = format!("/w/{}.java", "x".repeat(4096));
        assert!(source(&long).is_err_and(|error| error.contains("4,096")));
    }

    #[test]
    fn another_way_to_the_same_directory_is_seen_through() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().canonicalize().expect("it is there").join("root");
        std::fs::create_dir_all(root.join("p")).expect("made");
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.join("p"), root.with_file_name("link")).expect("made");
        let file = locate_source(std::slice::from_ref(&root), &root.with_file_name("link").join("New.java"));
        assert_eq!(file.map(|file| file.path.to_string()), Ok("p/New.java".into()));
    }
}
