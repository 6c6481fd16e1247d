//! A shard and a model of its router, with everything between them that can go wrong: requests and answers overtake each
//! other, calls are cancelled, the worker is killed, the router starts again, files change all the while and one of them
//! never stops. In the end the shard is what a fresh index would be, and it always comes to that end.
//!
//! A failure prints its seed; `NOVA_SEED` runs one seed alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nova_proto_core::messages::{IndexShard, ManifestEntry, ManifestPage, PageReply, SyncReply, SyncShard};
use nova_proto_core::{ErrorCode, ErrorReply};
use nova_worker::cache::format;
use nova_worker::shard::{Arrival, Arrived, Image, ParsedFile, Shard};
use nova_worker::{content_hash, java, manifest_digest};

const KEY: [u8; 16] = *b"the shard's key.";
const NUMBER: u32 = 3;

/// The file that never stops changing.
const RESTLESS: &str = "m/Restless.java";

/// splitmix64
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }
}

/// What a file holds: the text with this number, or something that cannot be indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Text(u64),
    Unreadable,
}

impl Content {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(number) => Some(format!("class V{number} {{ int f{number}; }}")),
            Self::Unreadable => None,
        }
    }

    fn parsed(self) -> Option<ParsedFile> {
        let text = self.text()?;
        Some(ParsedFile { hash: content_hash(&text), outline: Arc::new(java::extract(&text)) })
    }

    fn hash(self) -> Option<[u8; 16]> {
        Some(content_hash(&self.text()?))
    }
}

type Files = BTreeMap<String, Content>;

#[derive(Debug, Clone)]
enum Request {
    Sync(SyncShard),
    Page { sync: u64, first: u32, entries: Vec<(String, Option<[u8; 16]>)> },
    Load { sync: u64, files: Vec<Arrival> },
    Commit { sync: u64 },
    Change { epoch: u64, rev: u64, path: String, content: Option<Content> },
}

#[derive(Debug)]
enum Reply {
    Sync(SyncReply),
    Page(PageReply),
    Loaded,
    Committed,
    Changed,
}

type Answer = Result<Reply, ErrorReply>;

/// Where a router's sync stands.
#[derive(Debug, Default)]
struct Sync {
    number: u64,
    /// The paths of the manifest, in order.
    manifest: Vec<String>,
    hashes: bool,
    /// How many entries are on their way or there.
    sent: usize,
    /// What was read of the page on its way; with hashes each file is read once.
    page: Vec<Option<Content>>,
    wanted: Vec<u32>,
    loading: usize,
    done: bool,
}

#[derive(Debug, Default)]
struct Router {
    epoch: u64,
    rev: u64,
    sync: Sync,
    /// Whether the worker knows this epoch; changes wait until then.
    known: bool,
    waiting: Vec<Request>,
}

struct World {
    rng: Rng,
    files: Files,
    next_text: u64,
    router: Router,
    worker: Shard,
    /// What the worker's cache holds.
    cache: Option<Vec<u8>>,
    requests: Vec<Request>,
    answers: Vec<(Request, Answer)>,
    /// Requests that may still reach the worker; nobody waits for their answers. Changes of a former connection, which its
    /// epoch gives away (of other requests the worker itself lets none of a former connection work), and copies.
    stragglers: Vec<Request>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            rng: Rng(seed),
            files: Files::new(),
            next_text: 0,
            router: Router::default(),
            worker: Shard::new(NUMBER),
            cache: None,
            requests: Vec::new(),
            answers: Vec::new(),
            stragglers: Vec::new(),
        };
        for _ in 0..world.rng.below(10) {
            world.edit_any();
        }
        world.edit(RESTLESS);
        world.restart_router();
        world
    }

    // ---- files ----

    fn edit(&mut self, path: &str) {
        self.next_text += 1;
        // Texts come back, so that old hashes fit again.
        let number = if self.rng.percent(60) { self.next_text % 2 } else { self.next_text };
        let content = if self.rng.percent(15) { Content::Unreadable } else { Content::Text(number) };
        self.files.insert(path.to_owned(), content);
        self.tell(path, Some(content));
    }

    fn edit_any(&mut self) {
        let path = format!("{}/F{}.java", if self.rng.percent(50) { "a" } else { "z" }, self.rng.below(2));
        if self.rng.percent(30) {
            self.files.remove(&path);
            self.tell(&path, None);
        } else {
            self.edit(&path);
        }
    }

    /// The router notices a change.
    fn tell(&mut self, path: &str, content: Option<Content>) {
        let router = &mut self.router;
        router.rev += 1;
        let (epoch, rev) = (router.epoch, router.rev);
        let change = Request::Change { epoch, rev, path: path.to_owned(), content };
        if router.known { self.send(change) } else { self.router.waiting.push(change) }
    }

    // ---- the router ----

    fn send(&mut self, request: Request) {
        self.requests.push(request);
    }

    fn restart_router(&mut self) {
        let epoch = self.rng.next().max(1);
        self.router = Router { epoch, ..Router::default() };
        self.disconnect();
        self.begin();
    }

    /// The connection is another one from now on.
    fn disconnect(&mut self) {
        self.stragglers.append(&mut self.requests);
        self.stragglers.retain(|request| matches!(request, Request::Change { .. }));
        self.answers.clear();
        self.router.known = false;
    }

    fn begin(&mut self) {
        self.router.rev += 1;
        let rev = self.router.rev;
        // What has changed before now is part of the manifest.
        self.router.waiting.clear();
        let manifest: Vec<String> = self.files.keys().cloned().collect();
        let hashes: Option<Vec<_>> = self.files.values().map(|content| content.hash()).collect();
        let digest = hashes
            .filter(|_| self.rng.percent(30))
            .map(|hashes| manifest_digest(manifest.iter().map(|path| &**path).zip(hashes)));
        let files = manifest.len() as u32;
        self.router.sync = Sync { number: rev, manifest, ..Sync::default() };
        let epoch = self.router.epoch;
        self.send(Request::Sync(SyncShard { shard: NUMBER, key: KEY, epoch, sync: rev, rev, files, digest }));
    }

    fn answered(&mut self, request: Request, answer: Answer) {
        let current = self.router.sync.number;
        let about = match &request {
            Request::Sync(sync) => sync.sync,
            Request::Page { sync, .. } | Request::Load { sync, .. } | Request::Commit { sync } => *sync,
            Request::Change { .. } => {
                // A change is refused only if its epoch is over, and then nobody waits for the answer.
                assert!(answer.is_ok(), "{request:?}: {answer:?}");
                return;
            }
        };
        if about != current {
            return;
        }
        match answer {
            Ok(Reply::Sync(reply)) => self.synced(&reply),
            Ok(Reply::Page(reply)) => self.paged(&reply),
            Ok(Reply::Loaded) => {
                self.router.sync.loading -= 1;
                if self.router.sync.loading == 0 {
                    self.go_on();
                }
            }
            Ok(Reply::Committed) => self.router.sync.done = true,
            Ok(Reply::Changed) => unreachable!("dealt with above"),
            Err(error) => panic!("{request:?} of the sync under way is refused: {error}"),
        }
    }

    fn synced(&mut self, reply: &SyncReply) {
        self.router.known = true;
        for change in std::mem::take(&mut self.router.waiting) {
            self.send(change);
        }
        match reply {
            SyncReply::Current(_) => self.router.sync.done = true,
            SyncReply::SendPages { hashes } => {
                self.router.sync.hashes = *hashes;
                self.go_on();
            }
        }
    }

    fn paged(&mut self, reply: &PageReply) {
        let wanted: Vec<u32> = reply.wanted.iter().flat_map(|&(first, count)| first..first + count).collect();
        let sync = &mut self.router.sync;
        if !sync.hashes {
            sync.wanted.extend(wanted);
            return self.go_on();
        }
        let first = sync.sent - sync.page.len();
        let read: Vec<_> = wanted.iter().map(|&entry| (entry, sync.page[entry as usize - first])).collect();
        if read.is_empty() { self.go_on() } else { self.load(read) }
    }

    /// The next page, or else the files that are wanted, or else the commit.
    fn go_on(&mut self) {
        let sync = &self.router.sync;
        if sync.sent < sync.manifest.len() {
            let count = 1 + self.rng.below(4).min(sync.manifest.len() - sync.sent - 1);
            let sync = &mut self.router.sync;
            let paths = &sync.manifest[sync.sent..sync.sent + count];
            sync.page = paths.iter().map(|path| self.files.get(path).copied()).collect();
            let hash = |content: &Option<Content>| content.filter(|_| sync.hashes)?.hash();
            let entries = paths.iter().cloned().zip(sync.page.iter().map(hash)).collect();
            let (number, first) = (sync.number, sync.sent as u32);
            sync.sent += count;
            return self.send(Request::Page { sync: number, first, entries });
        }
        if !sync.wanted.is_empty() {
            let wanted = std::mem::take(&mut self.router.sync.wanted);
            let read =
                |entry: u32| (entry, self.files.get(&self.router.sync.manifest[entry as usize]).copied());
            return self.load(wanted.into_iter().map(read).collect());
        }
        let number = sync.number;
        self.send(Request::Commit { sync: number });
    }

    fn load(&mut self, mut read: Vec<(u32, Option<Content>)>) {
        let (sync, newest) = (self.router.sync.number, self.router.rev);
        while !read.is_empty() {
            let count = 1 + self.rng.below(read.len());
            // Read just now, so as new as anything; or said to be as old as the manifest.
            let rev = if self.router.sync.hashes || self.rng.percent(50) { sync } else { newest };
            let arrival = |(entry, content): (u32, Option<Content>)| {
                let file = match content {
                    None => Arrived::Gone,
                    Some(content) => {
                        content.parsed().map_or_else(|| Arrived::Skipped("odd".into()), Arrived::Parsed)
                    }
                };
                Arrival { entry, rev, file }
            };
            let files: Vec<Arrival> = read.drain(..count).map(arrival).collect();
            if self.rng.percent(10) {
                // Sent again by mistake: the copy may come at any time, and nobody waits for it.
                self.stragglers.push(Request::Load { sync, files: files.clone() });
            }
            self.router.sync.loading += 1;
            self.send(Request::Load { sync, files });
        }
    }

    // ---- the worker ----

    fn execute(&mut self, request: &Request) -> Answer {
        let worker = &mut self.worker;
        Ok(match request {
            Request::Sync(sync) => {
                if worker.key() != Some(sync.key) {
                    let cached =
                        self.cache.as_deref().map(|bytes| format::decode(bytes).expect("it is whole"));
                    let files = cached.as_ref().map_or(0, |image| image.files.len());
                    worker.bind(sync.key, cached);
                    assert_eq!(worker.snapshot().files(), files, "what is cached is searched at once");
                    assert!(!worker.is_current(), "and counts as warming");
                }
                let reply = worker.begin(sync)?;
                assert_eq!(worker.is_current(), matches!(reply, SyncReply::Current(_)));
                Reply::Sync(reply)
            }
            Request::Page { sync, first, entries } => {
                let entries =
                    entries.iter().map(|(path, hash)| ManifestEntry { path, hash: *hash }).collect();
                Reply::Page(worker.page(*sync, &ManifestPage { first: *first, entries })?)
            }
            Request::Load { sync, files } => {
                worker.load(*sync, files.clone())?;
                assert!(!worker.is_current(), "until the commit nobody knows");
                Reply::Loaded
            }
            Request::Commit { sync } => {
                worker.commit(&IndexShard { shard: NUMBER, sync: *sync })?;
                assert!(worker.is_current());
                Reply::Committed
            }
            Request::Change { epoch, rev, path, content } => {
                match content.and_then(Content::parsed) {
                    Some(file) => drop(worker.update(*epoch, *rev, path, file)?),
                    None => drop(worker.remove(*epoch, *rev, &[path])?),
                }
                Reply::Changed
            }
        })
    }

    /// Something arrives somewhere.
    fn deliver(&mut self) {
        if self.answers.is_empty() || (!self.requests.is_empty() && self.rng.percent(50)) {
            if self.requests.is_empty() {
                return;
            }
            let request = self.requests.swap_remove(self.rng.below(self.requests.len()));
            let answer = self.execute(&request);
            self.answers.push((request, answer));
        } else {
            let (request, answer) = self.answers.swap_remove(self.rng.below(self.answers.len()));
            self.answered(request, answer);
        }
    }

    /// A request that nobody waits for arrives.
    fn straggle(&mut self) {
        if self.stragglers.is_empty() {
            return;
        }
        let request = self.stragglers.swap_remove(self.rng.below(self.stragglers.len()));
        if let Err(error) = self.execute(&request) {
            assert_eq!(error.code, ErrorCode::STALE_SYNC, "{request:?}: {error}");
        }
    }

    /// A call is given up: its request may have been executed or not, and its answer is not wanted.
    fn cancel(&mut self) {
        let known = self.requests.len() + self.answers.len();
        if known == 0 {
            return;
        }
        let at = self.rng.below(known);
        let request = if at < self.requests.len() {
            let request = self.requests.swap_remove(at);
            if self.rng.percent(50) {
                let _ = self.execute(&request);
            }
            request
        } else {
            self.answers.swap_remove(at - self.requests.len()).0
        };
        match request {
            Request::Change { .. } => self.begin(),
            _ if !self.router.sync.done => self.begin(),
            _ => {}
        }
    }

    fn kill_worker(&mut self) {
        self.worker = Shard::new(NUMBER);
        self.disconnect();
        // What was on its way to the killed process is gone.
        self.stragglers.clear();
        if self.rng.percent(20) {
            self.cache = None;
        }
        self.begin();
    }

    fn persist(&mut self) {
        if let Some(image) = self.worker.image() {
            let bytes = format::encode(&image);
            let read: Image = format::decode(&bytes).expect("it reads back");
            assert_eq!(read.files, image.files);
            self.cache = Some(bytes);
        }
    }

    // ---- the end ----

    fn is_quiet(&self) -> bool {
        self.router.sync.done && self.requests.is_empty() && self.answers.is_empty()
    }

    fn check(&self) {
        let texts: BTreeMap<&str, ParsedFile> =
            self.files.iter().filter_map(|(path, content)| Some((&**path, content.parsed()?))).collect();
        let expected: Vec<_> =
            texts.iter().map(|(path, file)| ((*path).to_owned(), (*file.outline).clone())).collect();
        let snapshot = self.worker.snapshot();
        let held: Vec<_> = snapshot.iter().map(|(path, outline)| (path.to_string(), outline)).collect();
        assert_eq!(held, expected);
        assert!(self.worker.is_current());
        let image = self.worker.image().expect("it is current");
        let digest = manifest_digest(texts.iter().map(|(path, file)| (*path, file.hash)));
        assert_eq!(image.counters.digest, digest);
        let paths: BTreeSet<&str> = image.files.iter().map(|(path, _)| &**path).collect();
        assert_eq!(paths, texts.keys().copied().collect());
        assert_eq!(image.counters.files as usize, texts.len());
    }

    fn run(&mut self) {
        for _ in 0..self.rng.below(150) {
            match self.rng.below(100) {
                0..60 => self.deliver(),
                60..68 => self.edit(RESTLESS),
                68..80 => self.edit_any(),
                80..88 => self.straggle(),
                88..93 => self.persist(),
                93..97 => self.cancel(),
                97 => self.kill_worker(),
                98 => self.restart_router(),
                _ => {
                    // Files change while no router runs.
                    self.router.known = false;
                    self.edit_any();
                    self.restart_router();
                }
            }
        }
        // Nothing goes wrong any more, but one file still changes at every step, and others now and then; the sync must come
        // to its end, and what went wrong before must not show.
        let mut rounds = 0;
        while !self.router.sync.done {
            self.edit(RESTLESS);
            if self.rng.percent(20) {
                self.edit_any();
            }
            // Each round something goes further: changes cannot hold the sync up.
            for _ in 0..(self.requests.len() + self.answers.len()).max(1) {
                self.deliver();
            }
            rounds += 1;
            assert!(rounds < 100 + 20 * self.router.sync.manifest.len(), "no end after {rounds} rounds");
        }
        while !self.is_quiet() {
            self.deliver();
        }
        self.check();
    }
}

#[test]
fn whatever_happens_the_shard_becomes_what_a_fresh_index_is() {
    struct Report(u64);

    impl Drop for Report {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!(
                    "again with: NOVA_SEED={} cargo test -p nova-worker --test hydration_model",
                    self.0
                );
            }
        }
    }

    let only = std::env::var("NOVA_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in only.map_or(0..5000, |seed: u64| seed..seed + 1) {
        let report = Report(seed);
        World::new(seed).run();
        drop(report);
    }
}
