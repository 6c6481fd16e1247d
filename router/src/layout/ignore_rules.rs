//! `.gitignore` files on the way down.
//!
//! The parsing and matching are those of the crate `ignore`; its walker is not used, because it cannot be
//! told to disregard the rules below a directory found to be a source root during the walk, and does not
//! tell what it left out.

use std::path::Path;
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::SkipReason;
use super::read::read_bytes;

/// More than any person writes.
const MAX_BYTES: u64 = 1 << 20;

/// The rules in force in a directory: those of its own file and, behind them, of the directories above.
#[derive(Clone, Debug, Default)]
pub(super) struct IgnoreRules(Option<Arc<Node>>);

#[derive(Debug)]
struct Node {
    rules: Gitignore,
    above: IgnoreRules,
}

impl IgnoreRules {
    /// These rules and, in front of them, those of the `.gitignore` in `directory`.
    ///
    /// A line that is no valid pattern is passed over, as git does.
    pub(super) fn with_file_in(&self, directory: &Path) -> Result<Self, SkipReason> {
        let path = directory.join(".gitignore");
        let bytes = read_bytes(&path, MAX_BYTES)?;
        // A line that is not UTF-8 costs that line, mostly a comment, and not the rules around it.
        let text = String::from_utf8_lossy(&bytes);
        let mut builder = GitignoreBuilder::new(directory);
        for line in text.trim_start_matches('\u{feff}').lines() {
            // The error is deliberately unused: there is nobody to correct the file.
            let _ = builder.add_line(None, line);
        }
        let rules = builder
            .build()
            .map_err(|error| SkipReason::Unreadable { detail: error.to_string().into_boxed_str() })?;
        Ok(Self(Some(Arc::new(Node { rules, above: self.clone() }))))
    }

    /// Whether `path`, an absolute path, is excluded. The nearest file that mentions it decides.
    pub(super) fn exclude(&self, path: &Path, is_dir: bool) -> bool {
        let mut next = &self.0;
        while let Some(node) = next {
            match node.rules.matched(path, is_dir) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => next = &node.above.0,
            }
        }
        false
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}
