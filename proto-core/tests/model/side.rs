//! A core and its model side by side: each thing is done to both, and they must agree after each.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::{
    Body, Call, CallKey, CloseCode, CloseReason, Compression, Config, Connection, ErrorCode, ErrorReply,
    Event, Limits, RequestId, Retry, Role, TraceContext,
};

use super::commands::name;
use super::session::{Answering, End, Phase, Seen, Session};
use crate::common::pattern;
use crate::common::rng::Rng;

#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) conn: Connection,
    pub(crate) model: Session,
    /// How it ended.
    pub(crate) end: Option<End>,
    calls: Vec<CallKey>,
    next_method: u16,
}

impl Side {
    pub(crate) fn new(config: Config, now: Instant) -> Self {
        let conn = Connection::new(config.clone(), now).expect("a good configuration");
        Self { conn, model: Session::new(config, now), end: None, calls: Vec::new(), next_method: 0 }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8], now: Instant) {
        self.conn.receive(bytes, now);
        self.model.receive(bytes, now);
        self.compare();
    }

    pub(crate) fn eof(&mut self) {
        self.conn.receive_eof();
        self.model.receive_eof();
        self.compare();
    }

    /// What goes to the transport now; both the core and the model then think that it did.
    pub(crate) fn take(&mut self, budget: usize, now: Instant) -> Vec<u8> {
        let mut out = Vec::new();
        assert_eq!(self.conn.poll_transmit(&mut out, budget), out.len());
        self.conn.wrote(now);
        let mut rest = self.model.sends_preface(&out);
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let (content, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
            self.model.sends(content);
            rest = tail;
        }
        assert!(rest.is_empty(), "whole frames only");
        self.compare();
        if out.is_empty() {
            self.model.owes_nothing();
        }
        out
    }

    pub(crate) fn take_all(&mut self, now: Instant) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let out = self.take(256 * 1024, now);
            if out.is_empty() {
                return all;
            }
            all.extend(out);
        }
    }

    pub(crate) fn pass(&mut self, now: Instant) {
        while let Some(at) = self.conn.poll_timeout()
            && at <= now
        {
            self.conn.handle_timeout(at);
            assert!(self.conn.poll_timeout().is_none_or(|next| next > at), "a timer that stays due");
        }
        self.conn.handle_timeout(now);
        self.model.pass(now);
        self.compare();
    }

    /// The core's events and counters are those of the model.
    fn compare(&mut self) {
        let mut seen = Vec::new();
        while let Some(event) = self.conn.poll_event() {
            seen.push(match event {
                Event::Closed(reason) => Seen::End(ended(&reason)),
                event => Seen::Event(event),
            });
        }
        assert!(self.end.is_none() || seen.is_empty(), "{seen:?} after the end");
        if seen.last() == Some(&Seen::End(End::Local(CloseCode::DRAINED))) && self.model.is_drained() {
            self.model.close(End::Local(CloseCode::DRAINED), CloseCode::DRAINED);
        }
        let must = std::mem::take(&mut self.model.seen);
        let last = |seen: &[Seen]| {
            let end = seen.iter().position(|seen| matches!(seen, Seen::End(_)));
            assert!(end.is_none_or(|end| end + 1 == seen.len()), "events after the last: {seen:?}");
        };
        last(&seen);
        if let Some(Seen::End(end)) = must.last() {
            self.end = Some(end.clone());
        }
        // Answers that come at once may come in any order.
        let (seen, must) = (sorted(seen), sorted(must));
        assert_eq!(seen, must, "the core's events, and the model's");
        let stats = self.conn.stats();
        assert_eq!(
            (stats.calls, stats.serving, stats.serving_cost),
            (self.model.mine.len(), self.model.theirs.len(), self.model.serving_cost()),
            "calls, requests served and their cost; {:#?}",
            self.model.mine
        );
        assert_eq!(self.conn.is_closed(), self.model.phase == Phase::Closed);
        assert_eq!(self.conn.agreed(), self.model.agreed.as_ref().filter(|_| self.model.is_open()));
    }

    /// Something that an application may do at this time, sensible or not.
    pub(crate) fn act(&mut self, rng: &mut Rng, now: Instant) {
        match rng.below(20) {
            _ if self.model.phase == Phase::Deciding => self.decide(rng),
            0..8 => self.call(rng, now),
            8..10 if !self.calls.is_empty() => {
                let key = rng.pick(&self.calls);
                assert_eq!(self.conn.cancel(key), self.model.cancel(key), "whether the call was under way");
            }
            10 if rng.percent(6) => {
                let within = Duration::from_millis(rng.below(20_000));
                if self.conn.drain(within, now).is_ok() {
                    assert!(self.model.is_open());
                    self.model.drain(within, now);
                }
            }
            11 if rng.percent(2) && self.model.is_open() => {
                let code = rng.pick(&[CloseCode::NORMAL, CloseCode::INTERNAL, CloseCode(40_000)]);
                self.conn.close(code, "as the test wants");
                self.model.close_locally(code);
            }
            _ => self.respond(rng),
        }
        self.compare();
    }

    fn decide(&mut self, rng: &mut Rng) {
        let app = pattern(rng.next(), 7);
        if rng.percent(95) {
            self.conn.accept(app.clone()).expect("asked for");
            self.model.accept(app.to_vec());
        } else {
            self.conn.reject(CloseCode::CLAIM_REFUSED, Duration::from_millis(70), "no").expect("asked for");
            self.model.reject(CloseCode::CLAIM_REFUSED, 70);
        }
    }

    fn call(&mut self, rng: &mut Rng, now: Instant) {
        self.next_method += 1;
        let trace = TraceContext { trace_id: [7; 16], span_id: rng.next().to_le_bytes(), flags: 1 };
        let call = Call {
            reply_max: length(rng),
            timeout: rng.percent(30).then(|| Duration::from_micros(rng.below(3_000_000))),
            trace: rng.percent(30).then_some(trace),
            may_wait: rng.percent(80),
            ..Call::new(self.next_method, body(rng))
        };
        let refused = self.model.refuses(&call);
        match self.conn.call(call.clone(), now) {
            Ok(key) => {
                assert_eq!(refused, None, "{call:?} was taken");
                self.model.call(key, call, now);
                self.calls.push(key);
            }
            Err(error) => assert_eq!(Some(name(&error)), refused, "{call:?}"),
        }
    }

    /// Answers a request, mostly one that waits for it.
    fn respond(&mut self, rng: &mut Rng) {
        let running = |(id, theirs): (&u64, &super::session::Theirs)| {
            (theirs.state == Answering::Running).then_some(*id)
        };
        let running: Vec<u64> = self.model.theirs.iter().filter_map(running).collect();
        let id = if running.is_empty() || rng.percent(10) { rng.between(1, 20) } else { rng.pick(&running) };
        let name_of = RequestId::new(id).expect("not 0");
        let retry = rng.pick(&[Retry::Never, Retry::Later(Duration::from_millis(9)), Retry::Elsewhere]);
        let error = ErrorReply { code: ErrorCode(rng.below(400) as u16), retry, message: "é".repeat(300) };
        let result = if rng.percent(75) { Ok(body(rng)) } else { Err(error) };
        let done = match result.clone() {
            Ok(body) => self.conn.respond(name_of, body),
            Err(error) => self.conn.respond_error(name_of, error),
        };
        assert_eq!(done.as_ref().err().map(name), self.model.respond(id, result), "the answer to {id}");
    }
}

fn sorted(seen: Vec<Seen>) -> (BTreeMap<CallKey, Event>, Vec<Seen>) {
    let mut answers = BTreeMap::new();
    let mut rest = Vec::new();
    for seen in seen {
        match seen {
            Seen::Event(event @ Event::Answer { key, .. }) => {
                assert!(answers.insert(key, event).is_none(), "two answers to {key:?}");
            }
            seen => rest.push(seen),
        }
    }
    (answers, rest)
}

fn ended(reason: &CloseReason) -> End {
    match reason {
        CloseReason::Local(code) | CloseReason::Timeout(code) => End::Local(*code),
        CloseReason::Peer { code, last_id, .. } => End::Peer(*code, *last_id),
        CloseReason::Rejected { code, retry_after, .. } => End::Rejected(*code, *retry_after),
        CloseReason::Violation(error) => End::Violation(error.code()),
        CloseReason::Eof => End::Eof,
        reason => panic!("{reason:?}"),
    }
}

/// Small mostly, at a limit or near one sometimes, and rarely above all limits.
pub(crate) fn length(rng: &mut Rng) -> u32 {
    match rng.below(10) {
        0 => 0,
        1..5 => rng.below(3000) as u32,
        5 => rng.pick(&[16_383, 16_384, 16_385, 65_535, 65_536]),
        6 if rng.percent(10) => 65_537 + rng.below(300_000) as u32,
        _ => rng.below(65_537) as u32,
    }
}

fn body(rng: &mut Rng) -> Body {
    let length = length(rng);
    let compression = if rng.percent(85) { Compression::None } else { Compression::Zstd };
    let raw_len = if (compression == Compression::None) == rng.percent(98) { 0 } else { length.max(1) };
    Body { bytes: pattern(rng.next(), length as usize), compression, raw_len }
}

/// A configuration with limits that are small enough to reach.
pub(crate) fn config(rng: &mut Rng, role: Role) -> Config {
    Config {
        limits: limits(rng),
        cancellation: rng.percent(85),
        zstd: rng.percent(60),
        versions: rng.pick(&[&[(3, 0)][..], &[(3, 2), (4, 1)]]).to_vec(),
        hello: Bytes::from_static(b"worker"),
        max_calls: 12,
        grease: rng.percent(50),
        ..Config::new(role)
    }
}

pub(crate) fn limits(rng: &mut Rng) -> Limits {
    Limits {
        max_frame: rng.pick(&[16_384, 20_000, 40_000]),
        max_body: 65_536,
        work_budget: rng.pick(&[131_072, 200_000, 1 << 20]),
        max_concurrent: rng.between(1, 6) as u32,
    }
}
