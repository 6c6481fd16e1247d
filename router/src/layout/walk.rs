//! The walk over the directories. The rules are in `classify`; here they meet the file system.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry, FileType, Metadata};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::UNIX_EPOCH;

use super::classify::{self, BuildFiles};
use super::ignore_rules::IgnoreRules;
use super::queue::{Job, Queue};
use super::{FileEntry, LayoutError, LayoutOptions, LeftOut, LeftOutReason, Mtime, SkipReason, Skipped};

/// How many entries of one directory may pass between two looks at the cancel flag.
const ENTRIES_PER_CHECK: usize = 1024;

/// Everything the walk found, in no particular order.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) batches: Vec<Batch>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) left_out: Vec<LeftOut>,
}

/// The files of one directory.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) root: usize,
    pub(super) source_root: Arc<str>,
    pub(super) files: Vec<FileEntry>,
}

/// A directory to visit and what the directories above say about it.
#[derive(Debug)]
struct Directory {
    root: usize,
    path: PathBuf,
    /// Below the given root, with `/`; empty for the root itself.
    relative: String,
    /// The deepest source root above.
    source_root: Arc<str>,
    /// Whether names and `.gitignore` are disregarded, being inside a source root.
    protected: bool,
    /// Build files next to this directory.
    beside: BuildFiles,
    /// Named like build output: left out unless it holds a build file itself.
    maybe_output: bool,
    ignore: IgnoreRules,
}

/// Visits every directory below `roots`, with the calling thread and as many more as the options allow.
pub(super) fn walk(roots: &[PathBuf], options: &LayoutOptions<'_>) -> Result<Found, LayoutError> {
    let walk = Walk {
        options,
        given: roots.iter().map(PathBuf::as_path).collect(),
        queue: Queue::new(
            roots.iter().enumerate().map(|(root, path)| Directory::given(root, path)).collect(),
        ),
        files_so_far: AtomicU64::new(0),
    };
    let mut all = Found::default();
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..options.threads).map(|_| scope.spawn(|| walk.work())).collect();
        all.append(walk.work());
        for other in others {
            match other.join() {
                Ok(found) => all.append(found),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    if walk.queue.is_stopped() { Err(LayoutError::Cancelled) } else { Ok(all) }
}

impl Found {
    fn append(&mut self, mut other: Self) {
        self.batches.append(&mut other.batches);
        self.skipped.append(&mut other.skipped);
        self.left_out.append(&mut other.left_out);
    }
}

impl Directory {
    fn given(root: usize, path: &Path) -> Self {
        Self {
            root,
            path: path.to_path_buf(),
            relative: String::new(),
            source_root: Arc::from(""),
            protected: false,
            beside: BuildFiles::default(),
            maybe_output: false,
            ignore: IgnoreRules::default(),
        }
    }

    /// The path of an entry below the given root; `None` if it is not UTF-8.
    fn relative_of(&self, name: &OsStr) -> Option<String> {
        let name = name.to_str()?;
        // Exactly as large as needed: for files it becomes the boxed path without another copy.
        let separator = usize::from(!self.relative.is_empty());
        let mut path = String::with_capacity(self.relative.len() + separator + name.len());
        path.push_str(&self.relative);
        if separator == 1 {
            path.push('/');
        }
        path.push_str(name);
        Some(path)
    }

    /// Like [`Self::relative_of`], for naming what is passed over.
    fn display_of(&self, name: &OsStr) -> String {
        self.relative_of(&OsString::from(name.to_string_lossy().as_ref())).unwrap_or_default()
    }
}

/// What matters of a directory's entries.
#[derive(Debug, Default)]
struct Listing {
    entries: Vec<(DirEntry, FileType)>,
    build_files: BuildFiles,
    has_module_info: bool,
    has_gitignore: bool,
}

struct Walk<'a> {
    options: &'a LayoutOptions<'a>,
    /// A directory that is a given root is not entered from the root above it.
    given: HashSet<&'a Path>,
    queue: Queue<Directory>,
    files_so_far: AtomicU64,
}

impl Walk<'_> {
    /// What each thread does until no directory is left.
    fn work(&self) -> Found {
        let mut found = Found::default();
        while let Some(mut job) = self.queue.next() {
            if self.is_cancelled() {
                break;
            }
            if let Some(directory) = job.take() {
                Visit { walk: self, found: &mut found, job: &mut job }.directory(directory);
            }
        }
        found
    }

    fn is_cancelled(&self) -> bool {
        let cancelled = (self.options.cancelled)();
        if cancelled {
            self.queue.stop();
        }
        cancelled
    }
}

/// One thread's visit to one directory.
struct Visit<'a, 'w, 'q> {
    walk: &'a Walk<'w>,
    found: &'a mut Found,
    job: &'a mut Job<'q, Directory>,
}

impl Visit<'_, '_, '_> {
    fn directory(&mut self, mut here: Directory) {
        let Some(listing) = self.list(&here) else { return };
        if here.maybe_output && listing.build_files.is_empty() {
            let path = mem::take(&mut here.relative);
            self.found.left_out.push(LeftOut { root: here.root, path, reason: LeftOutReason::BuildOutput });
            return;
        }
        self.settle(&mut here, &listing);

        let mut files = Vec::new();
        for (seen, (entry, kind)) in listing.entries.into_iter().enumerate() {
            if seen % ENTRIES_PER_CHECK == ENTRIES_PER_CHECK - 1 && self.walk.is_cancelled() {
                return;
            }
            let name = entry.file_name();
            if kind.is_dir() {
                self.subdirectory(&here, &name, entry.path(), listing.build_files);
            } else if self.is_left_out(&here, &name, &entry, listing.build_files) {
                continue;
            } else if kind.is_symlink() {
                self.link(&here, &name, &entry);
            } else if let Some(file) = self.file(&here, &name, &entry, kind) {
                files.push(file);
            }
        }
        self.deliver(here, files);
    }

    /// Reads the entries; names the directory as skipped where that fails.
    fn list(&mut self, here: &Directory) -> Option<Listing> {
        let mut listing = Listing::default();
        let entries = match fs::read_dir(&here.path) {
            Ok(entries) => entries,
            Err(error) => {
                self.skip(here, None, error.into());
                return None;
            }
        };
        for entry in entries {
            // An error in the middle of a listing: what came before it is still there.
            let (entry, kind) = match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
                Ok((kind, entry)) => (entry, kind),
                Err(error) => {
                    self.skip(here, None, error.into());
                    continue;
                }
            };
            let name = entry.file_name();
            if kind.is_file()
                && let Some(name) = name.to_str()
            {
                listing.build_files = listing.build_files.union(BuildFiles::of_file(name));
                listing.has_module_info |= name == "module-info.java";
                listing.has_gitignore |= name == ".gitignore";
            }
            if kind.is_dir() || kind.is_symlink() || classify::is_java_file(&name) {
                listing.entries.push((entry, kind));
            }
        }
        Some(listing)
    }

    /// Turns what is known from above into what holds here.
    fn settle(&mut self, here: &mut Directory, listing: &Listing) {
        if classify::is_source_root(&here.path, listing.has_module_info, here.beside) {
            here.source_root = Arc::from(here.relative.as_str());
            here.protected = true;
        }
        if !listing.build_files.is_empty() {
            here.protected = false;
        }
        if listing.has_gitignore && !here.protected {
            match here.ignore.with_file_in(&here.path) {
                Ok(rules) => here.ignore = rules,
                Err(reason) => self.skip(here, Some(OsStr::new(".gitignore")), reason),
            }
        }
    }

    fn subdirectory(&mut self, here: &Directory, name: &OsStr, path: PathBuf, beside: BuildFiles) {
        let aside = |only: &Path| !only.starts_with(&path);
        if self.walk.given.contains(path.as_path()) || self.walk.options.only.is_some_and(aside) {
            return;
        }
        if classify::is_hidden(name) {
            return self.leave_out(here, name, LeftOutReason::Hidden);
        }
        let mut maybe_output = false;
        if !here.protected {
            if here.ignore.exclude(&path, true) {
                return self.leave_out(here, name, LeftOutReason::Ignored);
            }
            if name == "node_modules" {
                return self.leave_out(here, name, LeftOutReason::NodeModules);
            }
            maybe_output = name.to_str().is_some_and(|name| classify::is_build_output(name, beside));
        }
        let Some(relative) = here.relative_of(name) else {
            return self.skip(here, Some(name), SkipReason::PathNotUtf8);
        };
        self.job.add(Directory {
            root: here.root,
            path,
            relative,
            source_root: Arc::clone(&here.source_root),
            protected: here.protected,
            beside,
            maybe_output,
            ignore: here.ignore.clone(),
        });
    }

    /// Whether a rule excludes something that is not a directory. Only Java files are put on record.
    fn is_left_out(&mut self, here: &Directory, name: &OsStr, entry: &DirEntry, beside: BuildFiles) -> bool {
        let reason = if classify::is_hidden(name) {
            LeftOutReason::Hidden
        } else if here.protected {
            return false;
        } else if name.to_str().is_some_and(|name| classify::is_bazel_link(name, beside)) {
            LeftOutReason::BuildOutput
        } else if !here.ignore.is_empty() && here.ignore.exclude(&entry.path(), false) {
            LeftOutReason::Ignored
        } else {
            return false;
        };
        if classify::is_java_file(name) {
            self.leave_out(here, name, reason);
        }
        true
    }

    /// Names a link that hides Java code: one called like a Java file, or one to a directory.
    fn link(&mut self, here: &Directory, name: &OsStr, entry: &DirEntry) {
        if classify::is_java_file(name) || fs::metadata(entry.path()).is_ok_and(|target| target.is_dir()) {
            self.skip(here, Some(name), SkipReason::Symlink);
        }
    }

    fn file(
        &mut self,
        here: &Directory,
        name: &OsStr,
        entry: &DirEntry,
        kind: FileType,
    ) -> Option<FileEntry> {
        let checked = if kind.is_file() {
            entry.metadata().map_err(SkipReason::from).and_then(|metadata| {
                let (size, limit) = (metadata.len(), self.walk.options.max_file_bytes);
                if size > limit {
                    return Err(SkipReason::TooLarge { size, limit });
                }
                let path = here.relative_of(name).ok_or(SkipReason::PathNotUtf8)?.into_boxed_str();
                Ok(FileEntry { path, size, mtime: Mtime::of(&metadata) })
            })
        } else {
            Err(SkipReason::NotAFile)
        };
        checked.map_err(|reason| self.skip(here, Some(name), reason)).ok()
    }

    fn deliver(&mut self, here: Directory, files: Vec<FileEntry>) {
        if files.is_empty() {
            return;
        }
        let more = files.len() as u64;
        let so_far = self.walk.files_so_far.fetch_add(more, Relaxed) + more;
        (self.walk.options.progress)(so_far);
        self.found.batches.push(Batch { root: here.root, source_root: here.source_root, files });
    }

    /// Records an entry as skipped, or the directory itself without a name.
    fn skip(&mut self, here: &Directory, name: Option<&OsStr>, reason: SkipReason) {
        let path = name.map_or_else(|| here.relative.clone(), |name| here.display_of(name));
        self.found.skipped.push(Skipped { root: here.root, path, reason });
    }

    fn leave_out(&mut self, here: &Directory, name: &OsStr, reason: LeftOutReason) {
        self.found.left_out.push(LeftOut { root: here.root, path: here.display_of(name), reason });
    }
}

impl Mtime {
    fn of(metadata: &Metadata) -> Self {
        let Ok(time) = metadata.modified() else { return Self::default() };
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self { seconds: seconds(after.as_secs()), nanos: after.subsec_nanos() },
            Err(before) => {
                let before = before.duration();
                let (seconds, nanos) = (-seconds(before.as_secs()), before.subsec_nanos());
                match nanos {
                    0 => Self { seconds, nanos },
                    // Rounded down, so that the nanoseconds count forward.
                    _ => Self { seconds: seconds - 1, nanos: 1_000_000_000 - nanos },
                }
            }
        }
    }
}

fn seconds(unsigned: u64) -> i64 {
    // One less than the most leaves room for rounding down.
    i64::try_from(unsigned).unwrap_or(i64::MAX - 1)
}
