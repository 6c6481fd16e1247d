//! Reads source files, and tells which of them have not changed.

use std::collections::{HashMap, HashSet};
use std::fs::{Metadata, symlink_metadata};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::coordinator::{FileRead, Planned, ReadPlan, StatMark, Text};
use crate::layout::{Layout, LayoutOptions, join, read_described};

/// How long ago a file must have changed for its times to tell it from another change: file systems count time in steps,
/// the coarsest ones of two seconds.
const GRAIN: Duration = Duration::from_secs(2);

/// Where the files lie.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) roots: Vec<PathBuf>,
    /// Longest file, in bytes.
    pub(super) max_file: u64,
}

/// Carries out a plan, from its beginning: until there is enough, or nobody wants it any more.
pub(super) fn read(disk: &Disk, plan: ReadPlan, cancelled: &AtomicBool) -> Vec<FileRead> {
    let Some(root) = disk.roots.get(plan.root) else { return Vec::new() };
    let mut files = Vec::with_capacity(plan.files.len());
    let mut bytes = 0;
    let mut walks = Walks::default();
    for Planned { path, known, new } in plan.files {
        if cancelled.load(Ordering::Relaxed) || bytes >= plan.enough {
            break;
        }
        if new && !walks.would_find(root, &path) {
            files.push(FileRead::LeftOut);
            continue;
        }
        let path = join(root, &path);
        let file = match known {
            Some(known) if known_again(&path, &known) => FileRead::Unchanged,
            _ if plan.look => FileRead::Changed,
            _ => read_file(&path, disk.max_file),
        };
        if let FileRead::Text { text, .. } = &file {
            bytes += text.bytes();
        }
        files.push(file);
    }
    files
}

/// What walks find in some directories.
#[derive(Default)]
struct Walks {
    found: HashMap<PathBuf, HashSet<Box<str>>>,
}

impl Walks {
    /// Whether a walk would find a file, or name it as one that cannot be read.
    fn would_find(&mut self, root: &Path, path: &str) -> bool {
        let directory = join(root, path.rsplit_once('/').map_or("", |(directory, _)| directory));
        let found = self.found.entry(directory).or_insert_with_key(|directory| {
            let options = LayoutOptions { only: Some(directory), threads: 1, ..LayoutOptions::default() };
            // A root that is gone holds nothing.
            let Ok(layout) = Layout::discover(&[root.to_owned()], &options) else { return HashSet::new() };
            let files = layout.shards.into_iter().flat_map(|shard| shard.files).map(|file| file.path);
            let skipped = layout.skipped.into_iter().map(|file| file.path.into_boxed_str());
            files.chain(skipped).collect()
        });
        found.contains(path)
    }
}

fn known_again(path: &Path, known: &StatMark) -> bool {
    symlink_metadata(path).is_ok_and(|metadata| mark(&metadata) == *known)
}

fn read_file(path: &Path, max: u64) -> FileRead {
    let begun = SystemTime::now();
    match read_described(path, max) {
        Ok((text, before)) => {
            let mark = Some(mark(&before)).filter(|mark| is_old(&before, begun) && known_again(path, mark));
            FileRead::Text { text: Text::new(text), mark }
        }
        Err(reason) => FileRead::Skipped(reason),
    }
}

/// Whether the file has changed so long before `begun` that no later change can look the same.
fn is_old(metadata: &Metadata, begun: SystemTime) -> bool {
    let old = |time: SystemTime| begun.duration_since(time).is_ok_and(|age| age > GRAIN);
    metadata.modified().is_ok_and(old) && status_changed(metadata).is_none_or(old)
}

/// When the file or what is said of it has changed, which no program can set.
#[cfg(unix)]
fn status_changed(metadata: &Metadata) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    let seconds = u64::try_from(metadata.ctime()).unwrap_or(0);
    let nanos = u32::try_from(metadata.ctime_nsec()).unwrap_or(0);
    Some(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos))
}

#[cfg(not(unix))]
fn status_changed(_: &Metadata) -> Option<SystemTime> {
    None
}

/// Of all that the file system tells of a file.
fn mark(metadata: &Metadata) -> StatMark {
    let mut hasher = blake3::Hasher::new_derive_key("nova-router 2026 mark of a file's status, version 1");
    hasher.update(&metadata.len().to_le_bytes());
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        for number in [metadata.dev(), metadata.ino()] {
            hasher.update(&number.to_le_bytes());
        }
        for number in [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()] {
            hasher.update(&number.to_le_bytes());
        }
    }
    #[cfg(not(unix))]
    if let Ok(modified) = metadata.modified() {
        let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        hasher.update(&since.as_nanos().to_le_bytes());
    }
    let mut mark = StatMark::default();
    hasher.finalize_xof().fill(&mut mark);
    mark
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::sync::Arc;

    use super::*;
    use crate::layout::SkipReason;

    struct Scene {
        directory: tempfile::TempDir,
    }

    impl Scene {
        fn new() -> Self {
            Self { directory: tempfile::tempdir().expect("a directory") }
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.directory.path().join(name);
            fs::write(&path, text).expect("written");
            path
        }

        fn read(&self, files: &[(&str, Option<StatMark>)], enough: u64, look: bool) -> Vec<FileRead> {
            let disk = Disk { roots: vec![self.directory.path().to_owned()], max_file: 1 << 20 };
            let file = |(path, known): &(&str, Option<StatMark>)| Planned {
                path: Arc::from(*path),
                known: *known,
                new: false,
            };
            let files = files.iter().map(file).collect();
            read(&disk, ReadPlan { root: 0, files, enough, look }, &AtomicBool::new(false))
        }
    }

    #[test]
    fn files_that_have_grown_go_in_several_parts() {
        let scene = Scene::new();
        let names: Vec<String> = (0..5).map(|number| format!("{number}.java")).collect();
        names.iter().for_each(|name| drop(scene.write(name, &" ".repeat(700_000))));
        let mut files: Vec<(&str, Option<StatMark>)> = names.iter().map(|name| (&**name, None)).collect();
        files.insert(1, ("gone.java", None));
        let mut parts = Vec::new();
        while !files.is_empty() {
            let read = scene.read(&files, 1 << 20, false);
            let skipped =
                read.iter().filter(|file| matches!(file, FileRead::Skipped(SkipReason::Vanished))).count();
            parts.push((read.len(), skipped));
            files.drain(..read.len());
        }
        assert_eq!(parts, [(3, 1), (2, 0), (1, 0)]);
    }

    #[test]
    fn a_file_that_changed_a_moment_ago_is_read_again() {
        let scene = Scene::new();
        scene.write("A.java", "class A {}");
        let [FileRead::Text { mark: None, .. }] = &scene.read(&[("A.java", None)], 1, false)[..] else {
            panic!("its times may not tell the next change from this one")
        };
    }

    /// Times can be set back, what the system itself notes cannot: so nothing here is old enough to be known but what the
    /// test's own time makes so.
    #[test]
    fn a_file_is_known_again_only_if_nothing_of_it_has_changed() {
        let scene = Scene::new();
        let path = scene.write("A.java", "class A {}");
        let metadata = || symlink_metadata(&path).expect("it is there");
        let later = SystemTime::now() + 2 * GRAIN;
        assert!(is_old(&metadata(), later) && !is_old(&metadata(), SystemTime::now()));
        let known = mark(&metadata());
        let unchanged =
            |look| matches!(&scene.read(&[("A.java", Some(known))], 1, look)[..], [FileRead::Unchanged]);
        assert!(unchanged(true) && unchanged(false));

        // The same length, and the same time of modification.
        let modified = metadata().modified().expect("it has one");
        scene.write("A.java", "class B {}");
        File::options().write(true).open(&path).expect("open").set_modified(modified).expect("set");
        assert!(!unchanged(true) && !unchanged(false));
        let look = scene.read(&[("A.java", Some(known))], 1, true);
        assert!(matches!(&look[..], [FileRead::Changed]));
        let [FileRead::Text { text, .. }] = &scene.read(&[("A.java", Some(known))], 1, false)[..] else {
            panic!("it is read")
        };
        assert_eq!(&*text.text, "class B {}");
    }

    #[test]
    fn a_new_file_is_read_only_if_a_walk_would_find_it() {
        let scene = Scene::new();
        for directory in ["target", "src/main/java/target", "p"] {
            fs::create_dir_all(scene.directory.path().join(directory)).expect("made");
        }
        scene.write("pom.xml", "");
        scene.write(".gitignore", "Ignored.java\n");
        let names =
            ["target/Built.java", "src/main/java/target/A.java", "p/B.java", "p/Ignored.java", "p/Gone.java"];
        names[..4].iter().for_each(|name| drop(scene.write(name, "class A {}")));
        let new = |path: &&str| Planned { path: Arc::from(*path), known: None, new: true };
        let disk = Disk { roots: vec![scene.directory.path().to_owned()], max_file: 1 << 20 };
        let plan = ReadPlan { root: 0, files: names.iter().map(new).collect(), enough: 1 << 20, look: false };
        let read = read(&disk, plan, &AtomicBool::new(false));
        let left_out: Vec<bool> = read.iter().map(|file| matches!(file, FileRead::LeftOut)).collect();
        assert_eq!(left_out, [true, false, false, true, true]);
    }

    #[test]
    fn who_cancels_gets_no_more_files() {
        let scene = Scene::new();
        scene.write("A.java", "class A {}");
        let disk = Disk { roots: vec![scene.directory.path().to_owned()], max_file: 1 << 20 };
        let plan = ReadPlan {
            root: 0,
            files: vec![Planned { path: "A.java".into(), known: None, new: false }],
            enough: 1,
            look: false,
        };
        assert!(read(&disk, plan, &AtomicBool::new(true)).is_empty());
    }
}
