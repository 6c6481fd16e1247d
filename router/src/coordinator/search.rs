//! Searches: every shard that can be asked is, at once, and what they answer is merged exactly.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nova_proto_core::TraceContext;
use nova_proto_core::messages::{
    Found, MAX_HITS, SearchReply, SearchSymbols, SymbolHit, SymbolKind, merge, shard_ranges,
};
use nova_worker::index::{KindSet, Query};

use super::breaker::PROBE_WITHIN;
use super::calls::CallPurpose;
use super::validate::{self, Lie};
use super::{
    Action, CallId, Coordinator, Ended, Failure, Outcome, Reply, Request, RouterEvent, SearchError,
    ShardState, Ticket, Timer, WorkerId, later,
};

/// How many questions of searches one worker may have to answer at once. With the changes and syncs that it gets, they stay
/// below the calls that a connection can have under way.
const QUESTIONS: usize = 2048;

/// How a search is made.
#[derive(Debug, Clone)]
pub struct SearchOptions {
    /// How many hits at most; up to 10,000. Default 50.
    pub limit: u32,
    /// The kinds that may be found; empty for all.
    pub kinds: Vec<SymbolKind>,
    /// When to answer with what is there, if there is anything: what is missing then counts as failed, and who owes it is
    /// not asked again until it answers a probe. Default 2 s.
    pub soft: Duration,
    /// When to answer in any case. Default 10 s.
    pub hard: Duration,
    /// The trace that it is part of: the workers are told. Default: one of its own.
    pub trace: Option<TraceContext>,
}

impl Default for SearchOptions {
    fn default() -> Self {
        let (soft, hard) = (Duration::from_secs(2), Duration::from_secs(10));
        Self { limit: 50, kinds: Vec::new(), soft, hard, trace: None }
    }
}

/// What a search found, and how much of the workspace it saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchAnswer {
    /// The best matches, best first.
    pub hits: Vec<SearchHit>,
    /// How many shards the answer rests on.
    pub shards: ShardCounts,
    /// Whether there are, or may be, more matches than these.
    pub truncated: bool,
}

/// One match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchHit {
    /// Which of the roots it is below.
    pub root: usize,
    /// The symbol.
    pub symbol: SymbolHit,
}

/// How many shards there are, and how they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardCounts {
    /// All.
    pub total: u32,
    /// Those that answered.
    pub answered: u32,
    /// Those that answered from an index that is not known to be current yet.
    pub warming: u32,
    /// Those that did not answer.
    pub failed: u32,
}

/// A search under way.
#[derive(Debug)]
pub(super) struct SearchRun {
    limit: u32,
    kinds: u16,
    /// What is gone since this revision may still be found.
    pub(super) rev: u64,
    pub(super) trace: Option<TraceContext>,
    /// Whether one answer is enough by now.
    hurry: bool,
    soft_at: Instant,
    hard_at: Instant,
    waiting: BTreeMap<CallId, Question>,
    answers: Vec<Answer>,
}

/// One question: to one worker, about its shards of one root, so that the hits need not name their root.
#[derive(Debug)]
struct Question {
    worker: WorkerId,
    root: usize,
    shards: Vec<u32>,
}

#[derive(Debug)]
struct Answer {
    worker: WorkerId,
    root: usize,
    shards: u32,
    warming: u32,
    found: Found,
    /// The last hit that was sent, if hits of files that are not wanted were taken out of an answer that has more.
    cut: Option<SymbolHit>,
}

impl Coordinator {
    pub(super) fn start_search(
        &mut self,
        ticket: Ticket,
        query: String,
        options: &SearchOptions,
        now: Instant,
    ) {
        if let Err(problem) = check(&query, options.limit) {
            return self.act(Action::Finish(ticket, Outcome::Found(Err(SearchError::Query(problem)))));
        }
        let questions = self.questions();
        let busy = |(worker, _): &(WorkerId, usize)| {
            self.workers.get(worker).is_some_and(|worker| worker.questions >= QUESTIONS)
        };
        if questions.keys().any(busy) {
            let busy = SearchError::Busy { limit: QUESTIONS };
            return self.act(Action::Finish(ticket, Outcome::Found(Err(busy))));
        }
        let kinds = if options.kinds.is_empty() { &SymbolKind::ALL[..] } else { &options.kinds[..] };
        let kinds = kinds.iter().fold(0, |bits, kind| bits | 1_u16 << (*kind as u8));
        let (soft, hard) = (options.soft.min(options.hard), options.hard);
        let run = SearchRun {
            limit: options.limit,
            kinds,
            rev: self.next_rev(),
            trace: options.trace,
            hurry: false,
            soft_at: later(now, soft),
            hard_at: later(now, hard),
            waiting: BTreeMap::new(),
            answers: Vec::new(),
        };
        self.timers.insert((run.soft_at, Timer::Soft(ticket)));
        self.timers.insert((run.hard_at, Timer::Deadline(ticket)));
        self.searches.insert(ticket, run);
        for ((worker, root), shards) in questions {
            // A worker's claim has no more ranges than a search may have.
            let Some(ranges) = shard_ranges(shards.iter().copied()) else { continue };
            let request = SearchSymbols { shards: ranges, query: query.clone(), kinds, limit: options.limit };
            let purpose = CallPurpose::Question(ticket);
            let call = self.call(worker, Request::Search(request), purpose, 0, Some(hard), now);
            if let Some(run) = self.searches.get_mut(&ticket) {
                run.waiting.insert(call, Question { worker, root, shards });
            }
        }
        self.finish_if_done(ticket, now);
    }

    /// Whom to ask about which shards, by worker and root.
    fn questions(&self) -> BTreeMap<(WorkerId, usize), Vec<u32>> {
        let mut questions: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        for (shard, worker) in self.reachable() {
            if self.workers.get(&worker).is_some_and(|worker| worker.breaker.is_closed()) {
                let root = self.desired.shard(shard).info.root;
                questions.entry((worker, root)).or_default().push(shard);
            }
        }
        questions
    }

    pub(super) fn on_found(
        &mut self,
        ticket: Ticket,
        call: CallId,
        result: Result<Reply, Failure>,
        now: Instant,
    ) {
        let Some(run) = self.searches.get_mut(&ticket) else { return };
        let Some(question) = run.waiting.remove(&call) else { return };
        let worker = question.worker;
        match result {
            Ok(Reply::Search(reply)) => match self.believe(ticket, question, reply) {
                Ok(answer) => {
                    if let Some(run) = self.searches.get_mut(&ticket) {
                        run.answers.push(answer);
                    }
                }
                Err(lie) => self.eject(worker, &lie.0, now),
            },
            Err(Failure::Late) => self.missed(worker, now),
            // An error costs no time, so the worker is asked again.
            _ => {}
        }
        self.finish_if_done(ticket, now);
    }

    /// Checks an answer. Files that are not wanted are not in the result: where all that was asked for is current, as the
    /// worker says and as far as is known here, and nothing has gone since, such a file was never there.
    fn believe(&self, ticket: Ticket, question: Question, reply: SearchReply) -> Result<Answer, Lie> {
        let Question { worker, root, shards } = question;
        let (limit, kinds, rev) = match self.searches.get(&ticket) {
            Some(run) => (run.limit, run.kinds, run.rev),
            None => (0, 0, 0),
        };
        let mut warming = validate::found(&reply, &shards, limit, kinds)?;
        // What a worker holds can be what was wanted before the last walk, until its sync has had its turn.
        let is_ready = |shard: &u32| matches!(self.slots[*shard as usize].state, ShardState::Ready(_));
        warming.extend(shards.iter().filter(|shard| !is_ready(shard)));
        let (sent, last) = (reply.hits.len(), reply.hits.last().cloned());
        let mut hits = Vec::with_capacity(sent);
        for hit in reply.hits {
            let place = self.desired.place(root, &hit.path);
            let asked = place.filter(|place| shards.binary_search(place).is_ok());
            if asked.is_some_and(|shard| self.desired.shard(shard).contains(&hit.path)) {
                hits.push(hit);
                continue;
            }
            let may_be_gone = |shard: u32| {
                let slot = &self.slots[shard as usize];
                slot.removals >= rev || slot.sync.is_some() || slot.changes.concerns(&hit.path)
            };
            if warming.is_empty() && !asked.is_some_and(may_be_gone) {
                return Err(Lie(format!("it finds {}, which its shards do not hold", hit.path)));
            }
        }
        let cut = last.filter(|_| reply.truncated && hits.len() < sent);
        let found = Found { hits, truncated: reply.truncated };
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        Ok(Answer { worker, root, shards: count(shards.len()), warming: count(warming.len()), found, cut })
    }

    /// Takes out of all searches what a worker has answered.
    pub(super) fn disbelieve(&mut self, worker: WorkerId) {
        for run in self.searches.values_mut() {
            run.answers.retain(|answer| answer.worker != worker);
        }
    }

    pub(super) fn soft_deadline(&mut self, ticket: Ticket, now: Instant) {
        if let Some(run) = self.searches.get_mut(&ticket) {
            run.hurry = true;
        }
        self.finish_if_done(ticket, now);
    }

    fn finish_if_done(&mut self, ticket: Ticket, now: Instant) {
        let Some(run) = self.searches.get(&ticket) else { return };
        if run.waiting.is_empty() || (run.hurry && !run.answers.is_empty()) {
            self.finish_search(ticket, now);
        }
    }

    /// Answers with what is there; who has not answered has missed it.
    fn finish_search(&mut self, ticket: Ticket, now: Instant) {
        let Some(run) = self.searches.remove(&ticket) else { return };
        self.timers.remove(&(run.soft_at, Timer::Soft(ticket)));
        self.timers.remove(&(run.hard_at, Timer::Deadline(ticket)));
        for (call, question) in run.waiting {
            self.cancel_call(call);
            self.missed(question.worker, now);
        }
        let total = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let answered = run.answers.iter().map(|answer| answer.shards).sum();
        let warming = run.answers.iter().map(|answer| answer.warming).sum();
        let shards = ShardCounts { total, answered, warming, failed: total - answered };
        let (hits, truncated) = merge_answers(run.answers, run.limit as usize);
        let answer = SearchAnswer { hits, shards, truncated };
        self.act(Action::Finish(ticket, Outcome::Found(Ok(answer))));
    }

    pub(super) fn end_search(&mut self, ticket: Ticket, ended: Ended, now: Instant) {
        if ended == Ended::Deadline {
            return self.finish_search(ticket, now);
        }
        let Some(run) = self.searches.remove(&ticket) else { return };
        self.timers.remove(&(run.soft_at, Timer::Soft(ticket)));
        self.timers.remove(&(run.hard_at, Timer::Deadline(ticket)));
        run.waiting.into_keys().for_each(|call| self.cancel_call(call));
        self.act(Action::Finish(ticket, Outcome::Found(Err(ended.into()))));
    }

    // ---- workers that do not answer ----

    fn missed(&mut self, id: WorkerId, now: Instant) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if let Some(at) = worker.breaker.missed(now) {
            self.timers.insert((at, Timer::Probe(id)));
            self.tell(RouterEvent::WorkerSlow { worker: id });
        }
    }

    /// Asks a worker for nothing, in the way of a search.
    pub(super) fn probe(&mut self, id: WorkerId, now: Instant) {
        let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.connected) else { return };
        if worker.breaker.probe(now) {
            let nothing = worker.nothing();
            self.call(id, nothing, CallPurpose::Probe, 0, Some(PROBE_WITHIN), now);
        }
    }

    pub(super) fn on_probed(&mut self, id: WorkerId, answered: bool, now: Instant) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        match worker.breaker.probed(answered, now) {
            Some(at) => {
                self.timers.insert((at, Timer::Probe(id)));
            }
            None if answered => self.tell(RouterEvent::WorkerAnswers { worker: id }),
            None => {}
        }
    }
}

/// Merges answers exactly. One that has more than was sent is known up to the last hit that was sent, also where that was
/// taken out: behind the first such place nothing is certain.
fn merge_answers(answers: Vec<Answer>, limit: usize) -> (Vec<SearchHit>, bool) {
    let mut cuts: Vec<(SymbolHit, usize)> = Vec::new();
    let mut found = Vec::with_capacity(answers.len());
    for Answer { root, found: Found { hits, truncated }, cut, .. } in answers {
        // A cut is kept here; to the merge such an answer is complete.
        let truncated = truncated && cut.is_none();
        cuts.extend(cut.map(|hit| (hit, root)));
        found.push((root, Found { hits, truncated }));
    }
    let certain = cuts.iter().map(|(hit, root)| (hit.key(), *root)).min();
    let merged = merge(found, limit);
    let is_certain = |(root, hit): &(usize, SymbolHit)| certain.is_none_or(|end| (hit.key(), *root) <= end);
    let hits = merged.hits.into_iter().take_while(is_certain);
    let hits = hits.map(|(root, symbol)| SearchHit { root, symbol }).collect();
    (hits, merged.truncated || certain.is_some())
}

/// What is wrong with a query, if anything is.
fn check(query: &str, limit: u32) -> Result<(), String> {
    Query::parse(query, KindSet::ALL).map_err(|error| error.to_string())?;
    if limit as usize > MAX_HITS {
        return Err(format!("{limit} hits are more than the {MAX_HITS} that can be asked for"));
    }
    Ok(())
}
