//! Everything around a coordinator: disk, workers, callers and time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nova_proto_core::TraceContext;
use nova_proto_core::messages::{ShardRange, WorkerHello};
use nova_router::coordinator::{
    Action, Ask, CallId, Change, ChangeError, Changed, Coordinator, CoordinatorConfig, Event, Failure,
    FilePath, FileRead, IndexReport, Origin, Outcome, Planned, ReadId, ReadPlan, Refusal, Reply, Request,
    RouterEvent, SearchAnswer, SearchOptions, ShardState, StatMark, Text, Ticket, WorkerId,
};
use nova_router::layout::SkipReason;
use nova_worker::content_hash;

use crate::oracle::layout;
use crate::worker::{Caches, Worker};

/// splitmix64
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// What lies on disk: a text, or something that cannot be read; and how often it has changed.
#[derive(Debug, Clone)]
pub(crate) struct OnDisk {
    pub(crate) text: Option<String>,
    version: u64,
}

/// Something on its way.
enum Coming {
    Request(CallId, WorkerId, Request),
    Answer(CallId, WorkerId, Result<Reply, Failure>),
    Read(ReadId, Vec<FileRead>),
    Walked(Ticket),
    Gone(WorkerId, String),
}

/// A worker's connection.
pub(crate) struct Session {
    pub(crate) worker: Worker,
    shards: Vec<u32>,
    /// It answers nothing.
    pub(crate) hung: bool,
    held_back: Vec<(CallId, Request)>,
    /// It answers what cannot be true.
    pub(crate) lies: Option<fn(&mut Reply)>,
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) coordinator: Coordinator,
    config: CoordinatorConfig,
    pub(crate) now: Instant,
    coming: BTreeMap<(Instant, u64), Coming>,
    order: u64,
    pub(crate) disk: BTreeMap<FilePath, OnDisk>,
    versions: u64,
    pub(crate) roots: Vec<PathBuf>,
    /// Unsaved texts as callers were told that they count.
    pub(crate) overlays: BTreeMap<FilePath, String>,
    pub(crate) sessions: BTreeMap<WorkerId, Session>,
    next_worker: u64,
    pub(crate) caches: Caches,
    next_ticket: u64,
    pub(crate) outcomes: BTreeMap<Ticket, Outcome>,
    /// Those who still wait for an outcome of this router.
    pub(crate) open: BTreeSet<Ticket>,
    pub(crate) told: Vec<RouterEvent>,
    pub(crate) closed: Vec<(WorkerId, String)>,
    /// What was asked of the workers, for tests that count.
    pub(crate) asked: Vec<(WorkerId, Request)>,
    /// Every call with its trace.
    pub(crate) traces: Vec<(Option<u32>, Option<TraceContext>)>,
    /// The longest that an answer was waited for.
    pub(crate) longest_wait: Duration,
    /// Why claims were refused.
    pub(crate) refused: Vec<Refusal>,
    /// How many reads were asked for.
    pub(crate) reads: usize,
    /// Every file that was read, with what came of it.
    pub(crate) read: Vec<(Arc<str>, &'static str)>,
    cancelled: BTreeSet<CallId>,
    /// How long things take, in milliseconds.
    pub(crate) delay: u64,
    /// The most text that was in memory at once.
    pub(crate) peak: u64,
}

pub(crate) fn file(root: usize, path: &str) -> FilePath {
    FilePath { root, path: path.into() }
}

pub(crate) fn class(name: &str) -> String {
    format!("package p; class {name} {{ int {name}Field; void run{name}() {{}} }}")
}

/// Where the rules of a walk would leave files out.
pub(crate) const LEFT_OUT: &str = "out/";

/// Where the source roots of a world's first root lie, in the order of their shards; those of the second one follow.
/// More than the shards of one worker that are synced at once.
pub(crate) const SOURCE_ROOTS: [(usize, &str); 8] =
    [(0, ""), (0, "a/src"), (0, "b/src"), (1, ""), (1, "c/src"), (1, "d/src"), (1, "e/src"), (1, "f/src")];

pub(crate) const SHARDS: u32 = SOURCE_ROOTS.len() as u32;

impl World {
    /// Without workers; each source root has a file.
    pub(crate) fn new(seed: u64) -> Self {
        Self::configured(seed, CoordinatorConfig::default())
    }

    /// Like [`new`](Self::new).
    pub(crate) fn configured(seed: u64, config: CoordinatorConfig) -> Self {
        Self::with(seed, config, &["A.java", "a/src/B.java", "b/src/C.java", "1:D.java"])
    }

    /// These files; `1:` begins those of the second root.
    pub(crate) fn with(seed: u64, config: CoordinatorConfig, files: &[&str]) -> Self {
        let mut disk = BTreeMap::new();
        for (version, name) in (1..).zip(files) {
            let place = match name.strip_prefix("1:") {
                Some(path) => file(1, path),
                None => file(0, name),
            };
            let stem = place.path.rsplit('/').next().expect("a name").trim_end_matches(".java").to_owned();
            disk.insert(place, OnDisk { text: Some(class(&stem)), version });
        }
        let roots = vec![PathBuf::from("/zero"), PathBuf::from("/one")];
        let layout = layout(&roots, &disk);
        let now = Instant::now();
        let mut rng = Rng(seed);
        let coordinator = Coordinator::new(config.clone(), layout, rng.next().max(1));
        let versions = files.len() as u64;
        Self {
            rng,
            coordinator,
            config,
            now,
            coming: BTreeMap::new(),
            order: 0,
            disk,
            versions,
            roots,
            overlays: BTreeMap::new(),
            sessions: BTreeMap::new(),
            next_worker: 0,
            caches: Caches::new(),
            next_ticket: 0,
            outcomes: BTreeMap::new(),
            open: BTreeSet::new(),
            told: Vec::new(),
            closed: Vec::new(),
            asked: Vec::new(),
            traces: Vec::new(),
            longest_wait: Duration::ZERO,
            refused: Vec::new(),
            reads: 0,
            read: Vec::new(),
            cancelled: BTreeSet::new(),
            delay: 20,
            peak: 0,
        }
    }

    /// Another run of the router on the same disk: workers are gone, their caches are not.
    pub(crate) fn restart_router(&mut self) {
        let layout = layout(&self.roots, &self.disk);
        self.coordinator = Coordinator::new(self.config.clone(), layout, self.rng.next().max(1));
        self.sessions.clear();
        self.coming.clear();
        self.overlays.clear();
        self.outcomes.clear();
        self.open.clear();
        // The numbers of calls begin anew.
        self.cancelled.clear();
    }

    // ---- workers ----

    /// A worker of these shards connects, unless somebody holds them.
    pub(crate) fn connect(&mut self, shards: std::ops::Range<u32>) -> Option<WorkerId> {
        self.next_worker += 1;
        let id = WorkerId(self.next_worker);
        let claim = vec![ShardRange { first: shards.start, count: shards.end - shards.start }];
        let hello = WorkerHello { claim, ..WorkerHello::default() };
        let origin = Origin { peer: "a test".into(), plaintext: false };
        let admitted = self.coordinator.admit(id, &hello, &origin, self.now);
        self.act_all();
        admitted.map_err(|refusal| self.refused.push(refusal)).ok()?;
        let worker = Worker::new(shards.clone());
        let session =
            Session { worker, shards: shards.collect(), hung: false, held_back: Vec::new(), lies: None };
        self.sessions.insert(id, session);
        self.post(Event::Connected(id));
        Some(id)
    }

    /// A worker dies; the router hears of it later.
    pub(crate) fn kill(&mut self, id: WorkerId) {
        if self.sessions.remove(&id).is_some() {
            self.come(Coming::Gone(id, "killed".into()));
        }
    }

    pub(crate) fn resume(&mut self, id: WorkerId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.hung = false;
        for (call, request) in std::mem::take(&mut session.held_back) {
            self.come(Coming::Request(call, id, request));
        }
    }

    // ---- files ----

    pub(crate) fn write(&mut self, file: &FilePath, text: Option<String>) {
        self.versions += 1;
        self.disk.insert(file.clone(), OnDisk { text, version: self.versions });
    }

    pub(crate) fn save(&mut self, file: &FilePath, text: &str) -> Ticket {
        self.write(file, Some(text.to_owned()));
        self.change(vec![Change::Disk(file.clone())])
    }

    pub(crate) fn remove(&mut self, file: &FilePath) -> Ticket {
        self.disk.remove(file);
        self.change(vec![Change::Disk(file.clone())])
    }

    pub(crate) fn open(&mut self, file: &FilePath, text: &str) -> Ticket {
        self.overlays.insert(file.clone(), text.to_owned());
        self.change(vec![Change::Overlay(file.clone(), Text::new(text))])
    }

    pub(crate) fn close(&mut self, file: &FilePath) -> Ticket {
        self.overlays.remove(file);
        self.change(vec![Change::Close(file.clone())])
    }

    // ---- asking ----

    pub(crate) fn change(&mut self, changes: Vec<Change>) -> Ticket {
        self.ask(Ask::Change { changes, deadline: None })
    }

    pub(crate) fn index(&mut self) -> Ticket {
        self.ask(Ask::Index { deadline: None })
    }

    pub(crate) fn start_search(&mut self, query: &str, options: SearchOptions) -> Ticket {
        self.ask(Ask::Search { query: query.to_owned(), options })
    }

    pub(crate) fn ask(&mut self, ask: Ask) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.open.insert(ticket);
        self.post(Event::Ask(ticket, ask));
        ticket
    }

    pub(crate) fn search(&mut self, query: &str, limit: u32) -> SearchAnswer {
        let ticket = self.start_search(query, SearchOptions { limit, ..SearchOptions::default() });
        self.found(ticket)
    }

    pub(crate) fn found(&mut self, ticket: Ticket) -> SearchAnswer {
        match self.outcome(ticket) {
            Outcome::Found(Ok(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn changed(&mut self, ticket: Ticket) -> Result<Changed, ChangeError> {
        match self.outcome(ticket) {
            Outcome::Changed(result) => result,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn indexed(&mut self, ticket: Ticket) -> IndexReport {
        match self.outcome(ticket) {
            Outcome::Indexed(Ok(report)) => report,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn outcome(&mut self, ticket: Ticket) -> Outcome {
        self.run_until("an outcome", |world| world.outcomes.contains_key(&ticket));
        self.outcomes.remove(&ticket).expect("just seen")
    }

    // ---- time ----

    pub(crate) fn post(&mut self, event: Event) {
        self.coordinator.on_event(event, self.now);
        self.peak = self.peak.max(self.coordinator.in_flight());
        self.act_all();
    }

    fn act_all(&mut self) {
        while let Some(action) = self.coordinator.poll_action() {
            self.act(action);
        }
    }

    fn come(&mut self, coming: Coming) {
        let delay = Duration::from_micros(self.rng.below(self.delay * 1000 + 1));
        self.order += 1;
        self.coming.insert((self.now + delay, self.order), coming);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Call { call, worker, request, within, trace } => {
                self.traces.push((request.subject().1, trace));
                self.longest_wait = self.longest_wait.max(within);
                self.asked.push((worker, request.clone()));
                self.come(Coming::Request(call, worker, request));
            }
            Action::CancelCall(call) => {
                self.cancelled.insert(call);
            }
            Action::Read { read, plan } => {
                self.reads += 1;
                let files = self.read_files(&plan);
                self.come(Coming::Read(read, files));
            }
            // What was read already comes all the same.
            Action::CancelRead(_) | Action::CancelWalk(_) => {}
            Action::Walk(ticket) => self.come(Coming::Walked(ticket)),
            Action::Close(worker, _, message) => {
                self.closed.push((worker, message));
                if self.sessions.remove(&worker).is_some() {
                    self.come(Coming::Gone(worker, "closed".into()));
                }
            }
            Action::Finish(ticket, outcome) => {
                assert!(self.open.remove(&ticket), "{ticket} ends twice");
                self.outcomes.insert(ticket, outcome);
            }
            Action::Tell(event) => self.told.push(event),
        }
    }

    fn read_files(&mut self, plan: &ReadPlan) -> Vec<FileRead> {
        let mut files = Vec::new();
        let mut bytes = 0;
        for Planned { path, known, new } in &plan.files {
            if bytes >= plan.enough {
                break;
            }
            let on_disk = self.disk.get(&FilePath { root: plan.root, path: Arc::clone(path) });
            let file = match on_disk {
                _ if *new && path.starts_with(LEFT_OUT) => FileRead::LeftOut,
                Some(file) if *known == Some(mark(file)) => FileRead::Unchanged,
                _ if plan.look => FileRead::Changed,
                Some(file) => match &file.text {
                    Some(text) => {
                        bytes += text.len() as u64;
                        FileRead::Text { text: Text::new(&**text), mark: Some(mark(file)) }
                    }
                    None => FileRead::Skipped(SkipReason::NotUtf8 { offset: 7 }),
                },
                None => FileRead::Skipped(SkipReason::Vanished),
            };
            let what = match &file {
                FileRead::Unchanged => "unchanged",
                FileRead::Changed => "changed",
                FileRead::LeftOut => "left out",
                FileRead::Text { .. } => "text",
                FileRead::Skipped(_) => "skipped",
            };
            self.read.push((Arc::clone(path), what));
            files.push(file);
        }
        files
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let coming = self.coming.first_key_value().map(|((at, _), _)| *at);
        coming.into_iter().chain(self.coordinator.poll_timeout()).min()
    }

    /// Lets all happen that happens until then.
    pub(crate) fn run_past(&mut self, time: Instant) {
        while self.next_at().is_some_and(|at| at <= time) {
            self.step();
        }
        self.now = self.now.max(time);
    }

    /// Lets the next thing happen; `false` if nothing will.
    pub(crate) fn step(&mut self) -> bool {
        let next = self.coming.first_key_value().map(|((at, _), _)| *at);
        let timeout = self.coordinator.poll_timeout();
        match (next, timeout) {
            (None, None) => return false,
            (next, Some(timeout)) if next.is_none_or(|next| timeout <= next) => {
                self.now = self.now.max(timeout);
                self.post(Event::Timeout);
                let again = self.coordinator.poll_timeout();
                assert!(again.is_none_or(|again| again > timeout || again == self.now), "time stands still");
            }
            _ => {
                let Some(((at, _), coming)) = self.coming.pop_first() else { return false };
                self.now = self.now.max(at);
                self.arrive(coming);
            }
        }
        true
    }

    fn arrive(&mut self, coming: Coming) {
        match coming {
            Coming::Request(call, id, request) => {
                if self.cancelled.contains(&call) && self.rng.percent(50) {
                    return;
                }
                let Some(session) = self.sessions.get_mut(&id) else { return };
                if session.hung {
                    session.held_back.push((call, request));
                    return;
                }
                let mut answer = session.worker.answer(&request, &mut self.caches).map_err(Failure::Refused);
                if let (Some(lie), Ok(reply)) = (session.lies, &mut answer) {
                    lie(reply);
                }
                self.come(Coming::Answer(call, id, answer));
            }
            Coming::Answer(call, id, answer) => {
                // What a dead worker has sent may have come before its end, or be lost.
                if !self.cancelled.contains(&call)
                    && (self.sessions.contains_key(&id) || self.rng.percent(50))
                {
                    self.post(Event::Answer(call, answer));
                }
            }
            Coming::Read(read, files) => self.post(Event::Read(read, files)),
            Coming::Walked(ticket) => {
                let layout = layout(&self.roots, &self.disk);
                self.post(Event::Walked(ticket, Ok(Box::new(layout))));
            }
            Coming::Gone(id, reason) => self.post(Event::Disconnected(id, reason)),
        }
    }

    /// Runs until something holds.
    pub(crate) fn run_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        for _ in 0..200_000 {
            if condition(self) {
                return;
            }
            assert!(self.step(), "{what} never comes: {:#?}", self.coordinator.status());
        }
        panic!("{what} does not come: {:#?}", self.coordinator.status());
    }

    /// Runs until every shard is ready and nothing is on its way.
    pub(crate) fn settle(&mut self) {
        self.run_until("an end of all work", Self::is_settled);
    }

    pub(crate) fn is_settled(&self) -> bool {
        let status = self.coordinator.status();
        let ready =
            status.iter().all(|shard| matches!(shard.state, ShardState::Ready(_)) && shard.pending == 0);
        ready && self.coordinator.in_flight() == 0
    }

    /// Workers for all shards that have none.
    pub(crate) fn connect_all(&mut self) {
        for shard in 0..SHARDS {
            let held = self.sessions.values().any(|session| session.shards.contains(&shard));
            if !held {
                while self.connect(shard..shard + 1).is_none() {
                    assert!(self.step(), "shard {shard} stays taken");
                }
            }
        }
    }
}

fn mark(file: &OnDisk) -> StatMark {
    content_hash(&file.version.to_string())
}
