//! Reads source files, and makes of them what goes to workers.

use std::path::PathBuf;

use bytes::Bytes;
use nova_proto_core::messages::{Content, Digest, FileBatch, LoadFiles, LoadedFile, MAX_REASON, encode};
use nova_worker::content_hash;

use crate::layout::{SkipReason, read_source};

/// One file as it was read.
#[derive(Debug)]
pub(super) struct Source {
    /// Its number in the manifest.
    pub(super) entry: u32,
    /// Its text and the hash of that, if it was asked for.
    pub(super) text: Result<(String, Option<Digest>), SkipReason>,
}

impl Source {
    pub(super) fn hash(&self) -> Option<Digest> {
        self.text.as_ref().ok().and_then(|(_, hash)| *hash)
    }

    /// Why it cannot be indexed, as long as a message may say; empty if it can.
    fn skipped(&self) -> String {
        let mut reason = self.text.as_ref().err().map(SkipReason::to_string).unwrap_or_default();
        reason.truncate(reason.floor_char_boundary(MAX_REASON));
        reason
    }

    /// The length of its text; 0 if there is none.
    pub(super) fn bytes(&self) -> u64 {
        self.text.as_ref().map_or(0, |(text, _)| text.len() as u64)
    }
}

/// Reads the first of `files`, each at most `max_file` bytes long, until there are `enough` bytes: the walk's sizes are not
/// to be relied on. At least one is read if there is any.
pub(super) fn read(files: Vec<(u32, PathBuf)>, max_file: u64, enough: u64, hashes: bool) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut bytes = 0;
    for (entry, path) in files {
        let text = read_source(&path, max_file);
        let text = text.map(|text| {
            let hash = hashes.then(|| content_hash(&text));
            (text, hash)
        });
        let source = Source { entry, text };
        bytes += source.bytes();
        sources.push(source);
        if bytes >= enough {
            break;
        }
    }
    sources
}

/// A batch as it goes out.
pub(super) fn batch<'a>(shard: u32, sync: u64, rev: u64, sources: impl Iterator<Item = &'a Source>) -> Bytes {
    let sources: Vec<(&Source, String)> = sources.map(|source| (source, source.skipped())).collect();
    let files = sources.iter().map(|(source, skipped)| {
        let content = source.text.as_ref().map_or(Content::Skipped(skipped), |(text, _)| Content::Text(text));
        LoadedFile { entry: source.entry, rev, content }
    });
    encode(&LoadFiles { shard, sync, files: FileBatch(files.collect()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_have_grown_go_in_several_parts() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |entry: u32| {
            let path = directory.path().join(format!("{entry}.java"));
            std::fs::write(&path, " ".repeat(700_000)).expect("written");
            (entry, path)
        };
        let mut files: Vec<(u32, PathBuf)> = (0..5).map(file).collect();
        files.insert(1, (9, directory.path().join("gone.java")));
        let mut parts = Vec::new();
        while !files.is_empty() {
            let sources = read(files.clone(), 1 << 20, 1 << 20, true);
            let skipped = sources.iter().filter(|source| source.text.is_err()).count();
            assert!(sources.iter().all(|source| source.hash().is_some() == source.text.is_ok()));
            assert!(batch(0, 1, 1, sources.iter()).len() < 2 * 1024 * 1024);
            parts.push((sources.len(), sources.iter().map(Source::bytes).sum::<u64>(), skipped));
            files.drain(..sources.len());
        }
        assert_eq!(parts, [(3, 1_400_000, 1), (2, 1_400_000, 0), (1, 700_000, 0)]);
    }
}
