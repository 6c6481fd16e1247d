//! A scripted application for one side: makes calls, cancels some, answers the other side's, and writes down what it
//! saw, so that two of them can be compared.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::{
    Body, Call, CallError, CallKey, CloseReason, Connection, ErrorCode, ErrorReply, Event, RequestId, Role,
    SendError, TraceContext,
};

use super::pattern;
use super::rng::Rng;

/// How an application behaves; chances are per cent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Profile {
    /// Calls to make in all, and at most at once.
    pub(crate) calls: usize,
    pub(crate) at_once: usize,
    /// Longest bodies, and how many are longer than a few KiB.
    pub(crate) body: u32,
    pub(crate) reply: u32,
    pub(crate) large: u64,
    pub(crate) cancel: u64,
    pub(crate) fail: u64,
    pub(crate) too_long: u64,
    pub(crate) deadline: u64,
    pub(crate) no_wait: u64,
    /// Longest time in a handler.
    pub(crate) work: Duration,
}

impl Profile {
    pub(crate) fn idle() -> Self {
        Self {
            calls: 0,
            at_once: 1,
            body: 4096,
            reply: 4096,
            large: 20,
            cancel: 0,
            fail: 0,
            too_long: 0,
            deadline: 0,
            no_wait: 0,
            work: Duration::ZERO,
        }
    }

    pub(crate) fn busy(calls: usize) -> Self {
        Self {
            calls,
            at_once: 8,
            cancel: 15,
            fail: 15,
            too_long: 5,
            deadline: 10,
            no_wait: 10,
            work: Duration::from_millis(5),
            ..Self::idle()
        }
    }
}

/// What the requester tells the handler to do; travels in the trace context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) fail: bool,
    pub(crate) reply: u32,
    pub(crate) work: Duration,
}

/// How a call ended, as its maker saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Reply,
    Failed(ErrorCode),
    Deadline,
    Draining,
    Closed { retry_safe: bool },
    Cancelled,
}

/// One call, as its maker saw it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) plan: Plan,
    pub(crate) body: usize,
    pub(crate) reply_max: u32,
    pub(crate) timeout: Option<Duration>,
    pub(crate) outcome: Option<Outcome>,
}

/// One request, as its handler saw it.
#[derive(Debug, Default)]
pub(crate) struct Did {
    pub(crate) responded: bool,
    pub(crate) failed: bool,
    pub(crate) told_cancelled: bool,
}

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) profile: Profile,
    pub(crate) asked: BTreeMap<u64, Asked>,
    pub(crate) did: BTreeMap<u64, Did>,
    pub(crate) closed: Option<CloseReason>,
    pub(crate) connected: bool,
    pub(crate) drain_seen: Option<Duration>,
    rng: Rng,
    open: BTreeMap<CallKey, u64>,
    handlers: Vec<(Instant, RequestId, u64, Plan)>,
    ids: BTreeMap<RequestId, u64>,
    made: usize,
    first_tag: u64,
}

impl App {
    pub(crate) fn new(role: Role, profile: Profile, rng: Rng) -> Self {
        Self {
            profile,
            asked: BTreeMap::new(),
            did: BTreeMap::new(),
            closed: None,
            connected: false,
            drain_seen: None,
            rng,
            open: BTreeMap::new(),
            handlers: Vec::new(),
            ids: BTreeMap::new(),
            made: 0,
            first_tag: if role == Role::Router { 1 << 32 } else { 1 << 33 },
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.made >= self.profile.calls && self.open.is_empty() && self.handlers.is_empty()
    }

    /// When it has something to do next.
    pub(crate) fn wake(&self) -> Option<Instant> {
        self.handlers.iter().map(|(due, ..)| *due).min()
    }

    pub(crate) fn open_calls(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn handling(&self) -> usize {
        self.handlers.len()
    }

    pub(crate) fn on_event(&mut self, event: Event, conn: &mut Connection, now: Instant) {
        assert_eq!(self.closed, None, "{event:?} after the last event");
        match event {
            Event::Hello { .. } => conn.accept(Bytes::new()).expect("the decision is asked for"),
            Event::Connected { .. } => self.connected = true,
            Event::Request(request) => {
                let trace = request.trace.expect("every request here has one");
                let tag = u64::from_le_bytes(trace.span_id);
                let plan = Plan::from(trace);
                let body = request.body.bytes;
                assert_eq!(body, pattern(tag, body.len()), "the body of {tag} is as sent");
                assert!(self.ids.insert(request.id, tag).is_none(), "an id is used once");
                assert!(self.did.insert(tag, Did::default()).is_none(), "a request comes once");
                self.handlers.push((now + plan.work, request.id, tag, plan));
            }
            Event::Cancelled { id } => {
                let tag = self.ids[&id];
                let did = self.did.get_mut(&tag).expect("it began");
                assert!(!did.told_cancelled, "said once");
                assert!(!did.responded && !did.failed, "not after the answer");
                did.told_cancelled = true;
                // Most handlers stop early.
                if self.rng.percent(70)
                    && let Some(handler) = self.handlers.iter_mut().find(|handler| handler.1 == id)
                {
                    handler.0 = now;
                }
            }
            Event::Answer { key, result } => {
                let tag = self.open.remove(&key).expect("an answer for an open call");
                let asked = self.asked.get_mut(&tag).expect("it was made");
                assert_eq!(asked.outcome, None, "one outcome");
                asked.outcome = Some(match result {
                    Ok(body) => {
                        assert_eq!(body.bytes, pattern(tag, asked.plan.reply as usize), "the reply as sent");
                        Outcome::Reply
                    }
                    Err(CallError::Remote(error)) => Outcome::Failed(error.code),
                    Err(CallError::Deadline { .. }) => Outcome::Deadline,
                    Err(CallError::Draining) => Outcome::Draining,
                    Err(CallError::Closed { retry_safe }) => Outcome::Closed { retry_safe },
                    Err(error) => panic!("{error:?}"),
                });
            }
            Event::Draining { within } => {
                assert_eq!(self.drain_seen.replace(within), None, "said once");
            }
            Event::Closed(reason) => {
                self.closed = Some(reason);
                self.handlers.clear();
                assert!(self.open.is_empty(), "all calls ended before");
                self.made = self.profile.calls;
            }
            event => panic!("{event:?}"),
        }
    }

    /// Does what it wants to do now. Returns whether it did anything.
    pub(crate) fn act(&mut self, conn: &mut Connection, now: Instant) -> bool {
        let mut acted = false;
        if self.closed.is_some() || !self.connected {
            return false;
        }
        let due: Vec<_> = self.handlers.iter().copied().filter(|(due, ..)| *due <= now).collect();
        self.handlers.retain(|(due, ..)| *due > now);
        for (_, id, tag, plan) in due {
            acted = true;
            self.finish(conn, id, tag, plan);
        }
        while self.made < self.profile.calls && self.open.len() < self.profile.at_once {
            self.made += 1;
            acted = true;
            if !self.call(conn, now) {
                break;
            }
        }
        if self.rng.percent(self.profile.cancel) && !self.open.is_empty() {
            let nth = self.rng.index(self.open.len());
            let (&key, &tag) = self.open.iter().nth(nth).expect("within");
            if conn.cancel(key) {
                acted = true;
                self.open.remove(&key);
                let asked = self.asked.get_mut(&tag).expect("it was made");
                assert_eq!(asked.outcome.replace(Outcome::Cancelled), None);
                assert!(!conn.cancel(key), "cancelled once");
            }
        }
        acted
    }

    fn finish(&mut self, conn: &mut Connection, id: RequestId, tag: u64, plan: Plan) {
        if conn.is_closed() {
            return;
        }
        let did = self.did.get_mut(&tag).expect("it began");
        let answer = if plan.fail {
            did.failed = true;
            conn.respond_error(id, ErrorReply::new(ErrorCode(300), "as told"))
        } else {
            did.responded = true;
            conn.respond(id, pattern(tag, plan.reply as usize))
        };
        answer.expect("an answer is owed");
        assert_eq!(conn.respond(id, Body::from("")), Err(SendError::NoSuchRequest), "one answer each");
    }

    fn length(&mut self, longest: u32) -> u32 {
        let longest = u64::from(longest);
        if self.rng.percent(self.profile.large) {
            self.rng.below(longest + 1) as u32
        } else {
            self.rng.below(longest.min(2000) + 1) as u32
        }
    }

    /// Makes one call; `false` if it was not possible now.
    fn call(&mut self, conn: &mut Connection, now: Instant) -> bool {
        let tag = self.first_tag + self.made as u64;
        let profile = self.profile;
        let reply = self.length(profile.reply);
        let too_long = self.rng.percent(profile.too_long) && reply > 0;
        let reply_max = if too_long { reply - 1 } else { (reply + self.length(100)).min(profile.reply) };
        let body = self.length(profile.body) as usize;
        let work = Duration::from_micros(self.rng.below(profile.work.as_micros() as u64 + 1));
        let plan = Plan { fail: self.rng.percent(profile.fail), reply, work };
        let timeout = self
            .rng
            .percent(profile.deadline)
            .then(|| Duration::from_micros(self.rng.below(2 * profile.work.as_micros() as u64 + 2000)));
        let call = Call {
            reply_max,
            timeout,
            trace: Some(plan.trace(tag)),
            may_wait: !self.rng.percent(profile.no_wait),
            ..Call::new(tag as u16, pattern(tag, body))
        };
        match conn.call(call, now) {
            Ok(key) => {
                assert!(self.open.insert(key, tag).is_none(), "keys are new");
                self.asked.insert(tag, Asked { plan, body, reply_max, timeout, outcome: None });
                true
            }
            Err(SendError::Busy | SendError::Draining | SendError::Closed) => false,
            Err(error) => panic!("{error:?}"),
        }
    }
}

impl Plan {
    pub(crate) fn trace(self, tag: u64) -> TraceContext {
        let mut trace_id = [0; 16];
        trace_id[..4].copy_from_slice(&self.reply.to_le_bytes());
        trace_id[4..12].copy_from_slice(&(self.work.as_micros() as u64).to_le_bytes());
        TraceContext { trace_id, span_id: tag.to_le_bytes(), flags: u8::from(self.fail) }
    }
}

impl From<TraceContext> for Plan {
    fn from(trace: TraceContext) -> Self {
        let [a, b, c, d, rest @ ..] = trace.trace_id;
        let work = rest.first_chunk::<8>().expect("twelve are left");
        Self {
            fail: trace.flags == 1,
            reply: u32::from_le_bytes([a, b, c, d]),
            work: Duration::from_micros(u64::from_le_bytes(*work)),
        }
    }
}

/// What one side saw of a call must be what the other side did.
pub(crate) fn agree(maker: &App, handler: &App) {
    for (tag, asked) in &maker.asked {
        let did = handler.did.get(tag);
        let outcome =
            asked.outcome.as_ref().unwrap_or_else(|| panic!("call {tag} has no outcome: {asked:?}"));
        match outcome {
            Outcome::Reply => {
                assert!(did.is_some_and(|did| did.responded), "{tag}: {did:?}");
                assert!(asked.plan.reply <= asked.reply_max, "a reply that is too long never comes");
            }
            Outcome::Failed(ErrorCode(300)) => assert!(did.is_some_and(|did| did.failed), "{tag}: {did:?}"),
            Outcome::Failed(ErrorCode::REPLY_TOO_LARGE) => {
                assert!(did.is_some_and(|did| did.responded), "{tag}: {did:?}");
                assert!(asked.plan.reply > asked.reply_max);
            }
            Outcome::Failed(ErrorCode::REFUSED) => assert!(did.is_none(), "refused is not started: {tag}"),
            Outcome::Failed(ErrorCode::DEADLINE) => assert!(asked.timeout.is_some(), "{tag}"),
            Outcome::Failed(code) => panic!("{tag} failed with {code}"),
            Outcome::Deadline => assert!(asked.timeout.is_some(), "{tag}"),
            Outcome::Draining => assert!(did.is_none(), "a call that was not sent: {tag}"),
            Outcome::Closed { retry_safe: true } => assert!(did.is_none(), "not safe to retry: {tag}"),
            Outcome::Closed { retry_safe: false } | Outcome::Cancelled => {}
        }
    }
    let unknown = handler.did.keys().find(|tag| !maker.asked.contains_key(tag));
    assert_eq!(unknown, None, "nothing is handled that nobody asked for");
}
