//! What is right: a walk's layout, and what an index made from nothing finds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use nova_proto_core::messages::{Found, SymbolHit, SymbolKind, merge};
use nova_router::coordinator::{FilePath, SearchOptions};
use nova_router::layout::{FileEntry, Layout, Mtime, Shard, ShardKey};
use nova_worker::index::{KindSet, Query, Snapshot};

use crate::worker::parse;
use crate::world::{OnDisk, SOURCE_ROOTS, World};

impl World {
    /// The text that counts of every file: unsaved ones before those on disk.
    fn wanted(&self) -> BTreeMap<FilePath, String> {
        let on_disk =
            self.disk.iter().filter_map(|(file, on_disk)| Some((file.clone(), on_disk.text.clone()?)));
        let mut wanted: BTreeMap<FilePath, String> = on_disk.collect();
        wanted.extend(self.overlays.iter().map(|(file, text)| (file.clone(), text.clone())));
        wanted
    }

    /// What an index made from nothing finds.
    pub(crate) fn expected(&self, query: &str, limit: u32) -> (Vec<(usize, SymbolHit)>, bool) {
        let query = Query::parse(query, KindSet::ALL).expect("a good query");
        let wanted = self.wanted();
        let roots = (0..self.roots.len()).map(|root| {
            let files = wanted.iter().filter(|(file, _)| file.root == root);
            let snapshot =
                Snapshot::new(files.map(|(file, text)| (Arc::clone(&file.path), parse(text).outline)));
            let found: Found = snapshot.search(&query, limit as usize);
            (root, found)
        });
        let merged = merge(roots, limit as usize);
        (merged.hits, merged.truncated)
    }

    /// Every answer is that of a cold index.
    #[track_caller]
    pub(crate) fn check(&mut self) {
        for (query, limit) in [("", 2000), ("Field", 1000), ("run", 3), ("e", 2), ("A", 1)] {
            let mut answer = self.search(query, limit);
            for _ in 0..1000 {
                if answer.shards.failed == 0 {
                    break;
                }
                // A worker that was slow before is asked again once it has answered a probe.
                self.step();
                answer = self.search(query, limit);
            }
            let shards = (answer.shards.answered, answer.shards.warming, answer.shards.failed);
            assert_eq!(shards, (answer.shards.total, 0, 0), "{query}");
            let (expected, truncated) = self.expected(query, limit);
            let found_count = answer.hits.len();
            let found = answer.hits.into_iter().map(|hit| (hit.root, hit.symbol));
            let differs = found.zip(&expected).find(|(found, expected)| found != *expected);
            assert_eq!(differs, None, "{query}, at most {limit}");
            assert_eq!(
                (found_count, answer.truncated),
                (expected.len(), truncated),
                "{query}, at most {limit}"
            );
        }
    }

    /// The names of all classes that are found, sorted.
    pub(crate) fn classes(&mut self) -> String {
        let kinds = vec![SymbolKind::Class];
        let ticket = self.start_search("", SearchOptions { limit: 1000, kinds, ..SearchOptions::default() });
        let answer = self.found(ticket);
        let mut names: Vec<String> = answer.hits.into_iter().map(|hit| hit.symbol.name).collect();
        names.sort();
        names.join(" ")
    }
}

/// What a walk finds. Source roots without files have no shards, as in a real walk, but the first one keeps its number
/// in every test, as files never go from all of them at the start.
pub(crate) fn layout(roots: &[PathBuf], disk: &BTreeMap<FilePath, OnDisk>) -> Layout {
    let mut shards: Vec<Shard> = SOURCE_ROOTS
        .iter()
        .map(|(root, source_root)| Shard {
            key: ShardKey::new(&roots[*root], source_root, 0, 1),
            root: *root,
            source_root: (*source_root).to_owned(),
            part: 0,
            parts: 1,
            files: Vec::new(),
        })
        .collect();
    for (file, on_disk) in disk {
        let below = |shard: &&mut Shard| {
            let prefix = format!("{}/", shard.source_root);
            shard.root == file.root && (shard.source_root.is_empty() || file.path.starts_with(&prefix))
        };
        let shard = shards.iter_mut().filter(below).max_by_key(|shard| shard.source_root.len());
        let size = on_disk.text.as_ref().map_or(10, String::len) as u64;
        let entry = FileEntry { path: (&*file.path).into(), size, mtime: Mtime::default() };
        shard.expect("every root has a shard").files.push(entry);
    }
    Layout { roots: roots.to_vec(), shards, skipped: Vec::new(), left_out: Vec::new() }
}
