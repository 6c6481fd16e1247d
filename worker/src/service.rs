//! Answers a router: decodes requests, brings them to threads, encodes answers. Knows no socket and no runtime.

use std::collections::BTreeMap;
use std::future::Future;
use std::mem;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_channel::oneshot;
use nova_driver::{Application, Incoming};
use nova_proto_core::compress::decompress;
use nova_proto_core::messages::{
    self, Content, GetWorkerStats, IndexShard, ListSymbols, LoadFiles, LoadReply, MAX_SKIPPED, Method,
    RemoveFiles, SearchReply, SearchSymbols, ShardRange, ShardStats, Shutdown, SkippedFile, Stopping,
    SyncPage, SyncReply, SyncShard, UpdateFile, UpdateReply, WorkerStats, decode, encode, method_name,
    shard_ranges, shards_in,
};
use nova_proto_core::{ErrorCode, ErrorReply};
use tracing::Span;
use tracing::field::{Empty, display};

use crate::Outline;
use crate::cache::Store;
use crate::cache::writer::{GATHER, Writer};
use crate::crash;
use crate::index::{KindSet, Query, Snapshot, search_all};
use crate::java;
use crate::listing;
use crate::manifest::content_hash;
use crate::pool::{Pool, Stopped};
use crate::shard::{Arrival, Arrived, ParsedFile, Shard};

/// The shards of one worker and the threads that serve them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WorkerService {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shards: Arc<BTreeMap<u32, Slot>>,
    store: Arc<Store>,
    writer: Writer,
    /// How many files were parsed.
    parsed: AtomicU64,
    /// How many bytes of text have come.
    received: AtomicU64,
    /// For searches: they never wait behind parsing.
    interactive: Pool,
    /// For parsing.
    bulk: Pool,
    /// Taken when the router asks the process to end.
    stop: Mutex<Option<oneshot::Sender<()>>>,
    /// Finds the declarations of a text.
    extract: fn(&str) -> Outline,
}

/// A shard, and apart from it what searches see: they never wait while a change is worked in.
#[derive(Debug)]
struct Slot {
    shard: Mutex<Shard>,
    published: Mutex<Published>,
}

#[derive(Debug, Clone, Default)]
struct Published {
    snapshot: Snapshot,
    current: bool,
}

type Answer = Result<Bytes, ErrorReply>;

/// Why a file is skipped that the extractor cannot take.
const PANICKED: &str = "the extractor of the worker panicked";

impl WorkerService {
    /// A worker of these shards, which takes what `store` has of them when the router says which they are, and parses on
    /// `threads` threads; and what tells when the router asks the worker's process to end.
    ///
    /// # Errors
    /// If the threads cannot be started.
    pub fn new(
        shards: impl IntoIterator<Item = u32>,
        threads: usize,
        store: Store,
    ) -> std::io::Result<(Self, oneshot::Receiver<()>)> {
        let (stop, stopped) = oneshot::channel();
        let slot = |number| Slot { shard: Mutex::new(Shard::new(number)), published: Mutex::default() };
        let shards: BTreeMap<u32, Slot> = shards.into_iter().map(|number| (number, slot(number))).collect();
        let (shards, store) = (Arc::new(shards), Arc::new(store));
        let images = Arc::clone(&shards);
        let image = move |number| images.get(&number).and_then(|slot: &Slot| lock(&slot.shard).image());
        let inner = Inner {
            writer: Writer::start(Arc::clone(&store), image)?,
            shards,
            store,
            parsed: AtomicU64::new(0),
            received: AtomicU64::new(0),
            interactive: Pool::new("search", 1)?,
            bulk: Pool::new("index", threads)?,
            stop: Mutex::new(Some(stop)),
            extract: java::extract,
        };
        Ok((Self { inner: Arc::new(inner) }, stopped))
    }

    /// Answers a request where it is called, on no other thread; a search, with at most `reply_max` bytes.
    ///
    /// # Errors
    /// The error that answers the request.
    pub fn answer(&self, method: u16, body: &[u8], reply_max: u32) -> Result<Bytes, ErrorReply> {
        self.inner.answer(method, body, reply_max)
    }

    /// Keeps what has changed, and waits for it; tells whether it was done in time. What was not is missing at the next
    /// start, and nothing else.
    pub fn flush(&self, within: Duration) -> bool {
        self.inner.writer.flush(within)
    }
}

impl Application for WorkerService {
    type Handler = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn request(&mut self, request: Incoming) -> Self::Handler {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let body = request.body.clone();
            let signal = request.cancel_signal();
            let (method, reply_max) = (request.method, request.reply_max);
            let span =
                tracing::debug_span!("request", method = method_name(method), trace = Empty, shard = Empty);
            if let Some(trace) = request.trace {
                span.record("trace", display(trace));
            }
            let pool = match method {
                SearchSymbols::NUMBER | ListSymbols::NUMBER => inner.interactive.clone(),
                _ => inner.bulk.clone(),
            };
            let answer = pool
                .run(move || {
                    if signal.is_cancelled() {
                        return Err(ErrorReply::new(ErrorCode::CANCELLED, "cancelled before it began"));
                    }
                    span.in_scope(|| {
                        let answer = inner.answer(method, &decompress(&body)?, reply_max);
                        tracing::debug!(bytes = body.bytes.len(), ok = answer.is_ok(), "answered");
                        answer
                    })
                })
                .await;
            match answer {
                Ok(Ok(body)) => request.respond(body),
                Ok(Err(error)) => request.fail(error),
                Err(Stopped) => request.fail(ErrorReply::new(ErrorCode::INTERNAL, "the handler panicked")),
            }
        })
    }
}

impl Inner {
    fn answer(&self, method: u16, body: &[u8], reply_max: u32) -> Answer {
        match method {
            SyncShard::NUMBER => {
                let request: SyncShard = decode(body)?;
                Ok(encode(&self.sync(&request)?))
            }
            SyncPage::NUMBER => {
                let request: SyncPage<'_> = decode(body)?;
                let slot = self.find(request.shard)?;
                Ok(encode(&slot.change(|shard| shard.page(request.sync, &request.page))?))
            }
            LoadFiles::NUMBER => self.load(&decode(body)?),
            IndexShard::NUMBER => {
                let request: IndexShard = decode(body)?;
                let counters = self.find(request.shard)?.change(|shard| shard.commit(&request))?;
                self.writer.changed(request.shard, Duration::ZERO);
                Ok(encode(&counters))
            }
            UpdateFile::NUMBER => self.update(&decode(body)?),
            RemoveFiles::NUMBER => {
                let request: RemoveFiles<'_> = decode(body)?;
                let reply = self.find(request.shard)?.change(|shard| {
                    let applied = shard.remove(request.epoch, request.rev, &request.paths)?;
                    Ok(UpdateReply { applied, counters: shard.counters() })
                })?;
                self.writer.changed(request.shard, GATHER);
                Ok(encode(&reply))
            }
            SearchSymbols::NUMBER => self.search(&decode(body)?, reply_max),
            ListSymbols::NUMBER => {
                let request: ListSymbols<'_> = decode(body)?;
                let published = self.find(request.shard)?.published();
                Ok(listing::page(&published.snapshot, &request))
            }
            GetWorkerStats::NUMBER => {
                let GetWorkerStats {} = decode(body)?;
                Ok(encode(&self.stats()))
            }
            Shutdown::NUMBER => {
                let Shutdown {} = decode(body)?;
                // The second time nobody listens any more.
                let _ = lock(&self.stop).take().map(|stop| stop.send(()));
                Ok(encode(&Stopping {}))
            }
            _ => Err(ErrorReply::new(ErrorCode::UNIMPLEMENTED, format!("unknown method {method:#06x}"))),
        }
    }

    /// Reads the cache outside the shard's lock, so that searches go on.
    fn sync(&self, request: &SyncShard) -> Result<SyncReply, ErrorReply> {
        let slot = self.find(request.shard)?;
        let known = lock(&slot.shard).key();
        if known != Some(request.key) {
            let cached = self.store.load(&request.key);
            slot.change(|shard| {
                shard.bind(request.key, cached);
                Ok(())
            })?;
        }
        let reply = slot.change(|shard| shard.begin(request))?;
        if matches!(reply, SyncReply::Current(_)) {
            // A change may not have been written before this sync began.
            self.writer.changed(request.shard, GATHER);
        }
        Ok(reply)
    }

    fn stats(&self) -> WorkerStats {
        let shard = |slot: &Slot| {
            let shard = lock(&slot.shard);
            let disk = shard.key().map_or(0, |key| self.store.disk_bytes(&key));
            ShardStats { disk, ..shard.stats() }
        };
        WorkerStats {
            pid: std::process::id(),
            parsed: self.parsed.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            cache: self.store.stats(),
            shards: self.shards.values().map(shard).collect(),
            skipped: self.skipped(),
        }
    }

    fn skipped(&self) -> Vec<SkippedFile> {
        let mut skipped = Vec::new();
        for slot in self.shards.values() {
            skipped.extend(lock(&slot.shard).skipped().take(MAX_SKIPPED - skipped.len()));
        }
        skipped
    }

    /// `None` if the extractor panics: that is a fault of ours, and costs this file alone.
    fn parse(&self, text: &str) -> Option<ParsedFile> {
        self.parsed.fetch_add(1, Ordering::Relaxed);
        self.received.fetch_add(text.len() as u64, Ordering::Relaxed);
        let extract = self.extract;
        let outline = catch_unwind(|| extract(text)).ok()?;
        Some(ParsedFile { hash: content_hash(text), outline: Arc::new(outline) })
    }

    /// Parses outside the shard's lock, so that searches and other batches go on.
    fn load(&self, request: &LoadFiles<'_>) -> Answer {
        let slot = self.find(request.shard)?;
        let mut reply = LoadReply { files: 0, symbols: 0 };
        let arrivals = request.files.0.iter().map(|file| {
            reply.files += 1;
            let arrived = match file.content {
                Content::Text(text) => match self.parse(text) {
                    Some(parsed) => {
                        reply.symbols += parsed.outline.len() as u64;
                        Arrived::Parsed(parsed)
                    }
                    None => {
                        let (shard, entry) = (request.shard, file.entry);
                        let path = lock(&slot.shard).manifest_path(request.sync, entry).map(str::to_owned);
                        tracing::error!(
                            shard,
                            entry,
                            path,
                            "the extractor panicked: please report this file"
                        );
                        Arrived::Skipped(PANICKED.into())
                    }
                },
                Content::Gone => Arrived::Gone,
                Content::Skipped(reason) => Arrived::Skipped(reason.into()),
            };
            Arrival { entry: file.entry, rev: file.rev, file: arrived }
        });
        let arrivals = arrivals.collect();
        slot.change(|shard| shard.load(request.sync, arrivals))?;
        Ok(encode(&reply))
    }

    fn update(&self, request: &UpdateFile<'_>) -> Answer {
        let slot = self.find(request.shard)?;
        let Some(parsed) = self.parse(request.text) else {
            let (shard, path) = (request.shard, request.path);
            tracing::error!(shard, path, "the extractor panicked: please report this file");
            return Err(ErrorReply::new(ErrorCode::INTERNAL, format!("{PANICKED}: shard {shard}, {path}")));
        };
        let reply = slot.change(|shard| {
            let applied = shard.update(request.epoch, request.rev, request.path, parsed)?;
            Ok(UpdateReply { applied: u32::from(applied), counters: shard.counters() })
        })?;
        self.writer.changed(request.shard, GATHER);
        Ok(encode(&reply))
    }

    fn search(&self, request: &SearchSymbols, reply_max: u32) -> Answer {
        let kinds = KindSet::from_bits(request.kinds)
            .ok_or_else(|| ErrorReply::new(ErrorCode::INVALID, "a bit for an unknown kind is set"))?;
        let query = Query::parse(&request.query, kinds)
            .map_err(|error| ErrorReply::new(ErrorCode::INVALID, error.to_string()))?;
        let limit = request.limit as usize;
        if limit > messages::MAX_HITS {
            let message = format!("limit {limit} is over {}", messages::MAX_HITS);
            return Err(ErrorReply::new(ErrorCode::INVALID, message));
        }
        let numbers = self.numbers(&request.shards)?;
        let mut snapshots: Vec<Snapshot> = Vec::with_capacity(numbers.len());
        let mut warming = Vec::new();
        for number in numbers {
            let Published { snapshot, current } = self.slot(number)?.published();
            if !current {
                warming.push(number);
            }
            snapshots.push(snapshot);
        }
        let most = reply_max.min(SearchSymbols::REPLY_MAX) as usize;
        // What is built is bounded; what is sent is cut exactly.
        let found = search_all(&snapshots, &query, limit, SearchSymbols::REPLY_MAX as usize);
        // In more pieces than an answer may name, all that was asked about counts as warming.
        let warming = shard_ranges(warming).unwrap_or_else(|| request.shards.clone());
        let reply = SearchReply { hits: found.hits, truncated: found.truncated, warming };
        Ok(fitting(reply, most))
    }

    fn numbers(&self, ranges: &[ShardRange]) -> Result<Vec<u32>, ErrorReply> {
        // Their order was checked when they were decoded, so what is wrong is a number that no shard has.
        shards_in(ranges, messages::MAX_SHARDS).ok_or_else(|| {
            let message = format!("a shard above {}, where none can be", messages::MAX_SHARDS);
            ErrorReply::new(ErrorCode::UNKNOWN_SHARD, message)
        })
    }

    /// The shard that a request is about.
    fn find(&self, number: u32) -> Result<&Slot, ErrorReply> {
        Span::current().record("shard", number);
        self.slot(number)
    }

    fn slot(&self, number: u32) -> Result<&Slot, ErrorReply> {
        self.shards.get(&number).ok_or_else(|| {
            ErrorReply::new(ErrorCode::UNKNOWN_SHARD, format!("shard {number} is not one of this worker's"))
        })
    }
}

impl Slot {
    /// Works a change in, then lets searches see it. Those who change the same shard wait for each other.
    fn change<T>(&self, change: impl FnOnce(&mut Shard) -> Result<T, ErrorReply>) -> Result<T, ErrorReply> {
        let mut shard = lock(&self.shard);
        let result = change(&mut shard);
        crash::point();
        let new = Published { snapshot: shard.snapshot(), current: shard.is_current() };
        let old = mem::replace(&mut *lock(&self.published), new);
        // A large one takes a while to free; searches need not wait for that.
        drop(old);
        result
    }

    fn published(&self) -> Published {
        lock(&self.published).clone()
    }
}

/// What is locked here is consistent between changes, so a panic in one request does not spoil it for the next.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The reply, cut to `max` bytes; a shorter prefix is still an exact answer, and says that it is one.
fn fitting(mut reply: SearchReply, max: usize) -> Bytes {
    let whole = encode(&reply);
    if whole.len() <= max {
        return whole;
    }
    let hits = mem::take(&mut reply.hits);
    reply.truncated = true;
    // The number of hits comes first, and takes three bytes at most.
    let mut room = max.saturating_sub(encode(&reply).len() + 2);
    reply.hits = hits
        .into_iter()
        .take_while(|hit| {
            let size = encode(hit).len();
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        })
        .collect();
    encode(&reply)
}

#[cfg(test)]
mod tests {
    use nova_proto_core::messages::{FileBatch, LoadedFile, ManifestEntry, ManifestPage, reply};

    use super::*;

    fn extract(text: &str) -> Outline {
        assert!(!text.contains("Odd"), "as if the extractor had a fault");
        java::extract(text)
    }

    fn inner() -> Arc<Inner> {
        let (service, _stop) = WorkerService::new([0], 1, Store::off()).expect("threads");
        let mut inner = service.inner;
        Arc::get_mut(&mut inner).expect("nobody else has it").extract = extract;
        inner
    }

    #[test]
    fn a_file_that_the_extractor_cannot_take_costs_itself_alone() {
        let inner = inner();
        let ask = |method: u16, body: &Bytes| inner.answer(method, body, u32::MAX);
        let sync = SyncShard { shard: 0, key: [0; 16], epoch: 1, sync: 1, rev: 1, files: 2, digest: None };
        ask(SyncShard::NUMBER, &encode(&sync)).expect("begun");
        let entries = ["A.java", "B.java"].map(|path| ManifestEntry { path, hash: None }).into();
        let page = SyncPage { shard: 0, sync: 1, page: ManifestPage { first: 0, entries } };
        ask(SyncPage::NUMBER, &encode(&page)).expect("a page");
        let file = |(entry, text)| LoadedFile { entry, rev: 1, content: Content::Text(text) };
        let files = FileBatch([(0, "class Odd {}"), (1, "class Even {}")].map(file).into());
        ask(LoadFiles::NUMBER, &encode(&LoadFiles { shard: 0, sync: 1, files })).expect("the batch");
        let counters =
            ask(IndexShard::NUMBER, &encode(&IndexShard { shard: 0, sync: 1 })).expect("committed");
        let counters = reply::<IndexShard>(&counters.into()).expect("counters");
        assert_eq!((counters.files, counters.symbols), (1, 1));
        let reason = PANICKED.to_owned();
        assert_eq!(inner.stats().skipped, [SkippedFile { shard: 0, path: "A.java".to_owned(), reason }]);

        let update = UpdateFile { shard: 0, epoch: 1, rev: 2, path: "B.java", text: "class Odd {}" };
        let error = ask(UpdateFile::NUMBER, &encode(&update)).expect_err("it panics");
        assert_eq!(error.code, ErrorCode::INTERNAL);
        assert!(error.message.contains("shard 0, B.java"), "{}", error.message);
        assert_eq!(inner.stats().shards[0].counters.symbols, 1, "what there was stays");
    }

    /// Whatever the room, there is no place left for another hit.
    #[test]
    fn an_answer_is_cut_to_what_the_request_allows() {
        let inner = inner();
        let sync = SyncShard { shard: 0, key: [0; 16], epoch: 1, sync: 1, rev: 1, files: 0, digest: None };
        inner.answer(SyncShard::NUMBER, &encode(&sync), 100).expect("begun");
        let text: String = (0..300).map(|number| format!("class Name{number:03} {{}}\n")).collect();
        let update = UpdateFile { shard: 0, epoch: 1, rev: 2, path: "A.java", text: &text };
        inner.answer(UpdateFile::NUMBER, &encode(&update), 100).expect("taken");
        let shards = vec![ShardRange { first: 0, count: 1 }];
        let request =
            encode(&SearchSymbols { shards, query: "name".to_owned(), kinds: u16::MAX >> 4, limit: 1000 });
        let search = |reply_max| {
            let body = inner.answer(SearchSymbols::NUMBER, &request, reply_max).expect("an answer");
            let length = body.len();
            (reply::<SearchSymbols>(&body.into()).expect("it decodes"), length)
        };
        let (whole, length) = search(u32::MAX);
        assert!(whole.hits.len() == 300 && !whole.truncated);
        let hit = encode(&whole.hits[0]).len();
        for room in 16..=length {
            let (part, used) = search(room as u32);
            assert!(used <= room && whole.hits.starts_with(&part.hits), "{room}");
            assert_eq!(part.truncated, part.hits.len() < 300);
            assert!(part.hits.len() == 300 || used + hit + 3 > room, "{used} of {room} bytes used");
        }
    }
}
