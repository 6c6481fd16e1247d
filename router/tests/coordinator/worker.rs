//! A worker: real engines behind the coordinator's requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use nova_proto_core::ErrorReply;
use nova_proto_core::messages::{
    CacheStats, LoadReply, ManifestEntry, ManifestPage, SearchReply, UpdateReply, WorkerStats, shard_ranges,
    shards_in,
};
use nova_router::coordinator::{Loaded, Loading, Reply, Request};
use nova_worker::index::{KindSet, Query, Snapshot, search_all};
use nova_worker::shard::{Arrival, Arrived, Image, ParsedFile, Shard};
use nova_worker::{content_hash, java};

/// What workers of a machine keep between their runs.
pub(crate) type Caches = BTreeMap<[u8; 16], Image>;

/// A worker's process.
pub(crate) struct Worker {
    shards: BTreeMap<u32, Shard>,
    /// How many files it has parsed.
    pub(crate) parsed: u64,
}

pub(crate) fn parse(text: &str) -> ParsedFile {
    ParsedFile { hash: content_hash(text), outline: Arc::new(java::extract(text)) }
}

impl Worker {
    pub(crate) fn new(shards: impl IntoIterator<Item = u32>) -> Self {
        let shards = shards.into_iter().map(|number| (number, Shard::new(number))).collect();
        Self { shards, parsed: 0 }
    }

    pub(crate) fn shard(&self, number: u32) -> &Shard {
        &self.shards[&number]
    }

    fn find(&mut self, number: u32) -> &mut Shard {
        self.shards.get_mut(&number).expect("a router asks about claimed shards")
    }

    pub(crate) fn answer(&mut self, request: &Request, caches: &mut Caches) -> Result<Reply, ErrorReply> {
        Ok(match request {
            Request::Sync(request) => {
                let shard = self.find(request.shard);
                if shard.key() != Some(request.key) {
                    shard.bind(request.key, caches.get(&request.key).cloned());
                }
                Reply::Sync(shard.begin(request)?)
            }
            Request::Page { shard, sync, first, entries } => {
                let entries = entries.iter().map(|(path, hash)| ManifestEntry { path, hash: *hash });
                let page = ManifestPage { first: *first, entries: entries.collect() };
                Reply::Page(self.find(*shard).page(*sync, &page)?)
            }
            Request::Load { shard, sync, files } => {
                let arrivals: Vec<Arrival> = files.iter().map(arrival).collect();
                let shard = self.find(*shard);
                shard.load(*sync, arrivals)?;
                self.parsed +=
                    files.iter().filter(|file| matches!(file.content, Loading::Text(_))).count() as u64;
                Reply::Load(LoadReply { files: files.len() as u32, symbols: 0 })
            }
            Request::Commit(request) => {
                let shard = self.find(request.shard);
                let counters = shard.commit(request)?;
                if let Some(image) = shard.image() {
                    caches.insert(image.key, image);
                }
                Reply::Commit(counters)
            }
            Request::Update { shard, epoch, rev, path, text } => {
                let applied = u32::from(self.find(*shard).update(*epoch, *rev, path, parse(text))?);
                self.parsed += 1;
                Reply::Changed(UpdateReply { applied, counters: self.shard(*shard).counters() })
            }
            Request::Remove { shard, epoch, rev, paths } => {
                let shard = self.find(*shard);
                let paths: Vec<&str> = paths.iter().map(|path| &**path).collect();
                let applied = shard.remove(*epoch, *rev, &paths)?;
                Reply::Changed(UpdateReply { applied, counters: shard.counters() })
            }
            Request::Search(request) => {
                let kinds = KindSet::from_bits(request.kinds).expect("known kinds");
                let query = Query::parse(&request.query, kinds).expect("a good query");
                let numbers = shards_in(&request.shards, u32::MAX).expect("good ranges");
                let shards: Vec<&Shard> = numbers.iter().map(|number| &self.shards[number]).collect();
                let snapshots: Vec<Snapshot> = shards.iter().map(|shard| shard.snapshot()).collect();
                let warming = numbers.iter().filter(|number| !self.shards[number].is_current()).copied();
                let found = search_all(&snapshots, &query, request.limit as usize, usize::MAX);
                let warming = shard_ranges(warming).expect("few shards");
                Reply::Search(SearchReply { hits: found.hits, truncated: found.truncated, warming })
            }
            Request::Stats => Reply::Stats(WorkerStats {
                pid: 1,
                parsed: self.parsed,
                received: 0,
                cache: CacheStats::default(),
                shards: self.shards.values().map(Shard::stats).collect(),
                skipped: Vec::new(),
            }),
        })
    }
}

fn arrival(file: &Loaded) -> Arrival {
    let arrived = match &file.content {
        Loading::Text(text) => Arrived::Parsed(parse(text)),
        Loading::Gone => Arrived::Gone,
        Loading::Skipped(reason) => Arrived::Skipped(reason.as_str().into()),
    };
    Arrival { entry: file.entry, rev: file.rev, file: arrived }
}
