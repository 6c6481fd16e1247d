//! A connection and its application, with everything that must hold at any time: memory, work, events and output.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::{
    Body, Call, CallKey, CloseCode, CloseReason, Compression, Config, Connection, ErrorCode, ErrorReply,
    Event, Request, RequestId, Retry, Role, SendError, TraceContext,
};

use crate::common::pattern;
use crate::meter::Meter;
use crate::program::Program;
use crate::referee::Referee;

const KIB: usize = 1024;

/// What a connection takes that is neither in use nor has ever been.
const IDLE: usize = 8 * KIB;

/// Handed out at most with one call: the budget, and a frame that passes it.
const OUT: usize = 256 * KIB;

pub(crate) struct Endpoint {
    pub(crate) conn: Connection,
    config: Config,
    meter: Meter,
    /// The longest piece it was given.
    piece: usize,
    out: Vec<u8>,
    pub(crate) referee: Referee,
    open: Vec<(CallKey, u32)>,
    last_key: Option<CallKey>,
    /// What is owed an answer.
    handlers: Vec<Request>,
    last_request: Option<RequestId>,
    /// Told as not wanted any more, perhaps after they were answered.
    cancelled: BTreeSet<RequestId>,
    pub(crate) connected: bool,
    pub(crate) deciding: bool,
    draining: bool,
    pub(crate) closed: Option<CloseReason>,
    work: Work,
}

/// What was asked of it, and what it did.
#[derive(Debug, Default)]
struct Work {
    instructions: usize,
    received: usize,
    sent: usize,
    done: usize,
}

impl Endpoint {
    pub(crate) fn new(config: Config, now: Instant) -> Self {
        pattern(0, 0);
        let out = Vec::with_capacity(OUT);
        let mut meter = Meter::default();
        let conn = meter.run(IDLE + config.hello.len(), || Connection::new(config.clone(), now));
        Self {
            conn: conn.expect("a good configuration"),
            config,
            meter,
            piece: 0,
            out,
            referee: Referee::default(),
            open: Vec::new(),
            last_key: None,
            handlers: Vec::new(),
            last_request: None,
            cancelled: BTreeSet::new(),
            connected: false,
            deciding: false,
            draining: false,
            closed: None,
            work: Work::default(),
        }
    }

    /// The published equation of `Limits`, and of `Config::max_calls` for calls whose bodies take nothing.
    fn most(&self) -> usize {
        let limits = &self.config.limits;
        let calls = self.conn.stats().calls.max(self.open.len()) + 1;
        let budget = limits.work_budget as usize;
        let growing = limits.max_body as usize / 2;
        let requests = budget + limits.max_concurrent as usize * 33 * KIB;
        let replies = budget + calls * (17 * KIB + 200);
        requests + replies + growing + 64 * KIB + self.piece + IDLE
    }

    /// Runs something inside the connection.
    #[track_caller]
    fn run<T>(&mut self, run: impl FnOnce(&mut Connection) -> T) -> T {
        let most = self.most();
        self.meter.run(most, || run(&mut self.conn))
    }

    /// One more instruction: what may be done for it is bounded.
    pub(crate) fn instruction(&mut self) {
        self.work.instructions += 1;
    }

    /// An event, a frame or a timeout. There is no end to none of them without an input or an instruction.
    fn did(&mut self, count: usize) {
        let work = &mut self.work;
        work.done += count;
        let most = 16 + work.received / 3 + 8 * work.instructions + work.sent / 4096;
        assert!(work.done <= most, "{work:?}: at most {most}");
    }

    // ---- input -------------------------------------------------------------------------------------------

    /// Gives it bytes, as a driver does: not before it wants them. Returns whether it took them.
    pub(crate) fn receive(&mut self, bytes: &[u8], now: Instant) -> bool {
        if !self.conn.wants_input() {
            self.events();
        }
        if !self.conn.wants_input() {
            return false;
        }
        self.piece = self.piece.max(bytes.len());
        self.work.received += bytes.len();
        self.run(|conn| conn.receive(bytes, now));
        true
    }

    pub(crate) fn receive_eof(&mut self) {
        self.run(Connection::receive_eof);
        self.events();
    }

    pub(crate) fn wrote(&mut self, now: Instant) {
        self.run(|conn| conn.wrote(now));
    }

    /// Does what is due: it is over once it was done.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.did(usize::from(self.conn.poll_timeout().is_some_and(|at| at <= now)));
        self.run(|conn| conn.handle_timeout(now));
        let next = self.conn.poll_timeout();
        assert!(next.is_none_or(|at| at > now), "a timeout that is not over once it was handled");
    }

    // ---- output ------------------------------------------------------------------------------------------

    /// Takes output once, and reads it.
    pub(crate) fn transmit(&mut self, budget: usize) -> &[u8] {
        let max_frame = self.conn.agreed().map_or(u32::MAX, |agreed| agreed.peer_limits.max_frame);
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        let added = self.run(|conn| conn.poll_transmit(&mut out, budget));
        assert_eq!(added, out.len());
        self.out = out;
        let before = self.referee.frames;
        self.referee.read(self.config.role, max_frame, &self.out);
        self.work.sent += added;
        self.did(self.referee.frames - before);
        self.check();
        &self.out
    }

    /// Takes everything; 0 means that there is no more.
    pub(crate) fn transmit_all(&mut self) {
        while !self.transmit(64 * KIB).is_empty() {}
        assert!(self.transmit(1).is_empty());
    }

    pub(crate) fn events(&mut self) {
        while self.event() {}
    }

    /// Pulls one event. Returns whether there was one.
    pub(crate) fn event(&mut self) -> bool {
        let Some(event) = self.run(Connection::poll_event) else {
            self.check();
            return false;
        };
        self.did(1);
        assert_eq!(self.closed, None, "{event:?} behind the last event");
        match event {
            Event::Hello { app } => {
                assert!(self.config.role == Role::Router && !self.connected && !self.deciding);
                self.deciding = true;
                self.run(|_| drop(app));
            }
            Event::Connected { app, .. } => {
                assert!(!std::mem::replace(&mut self.connected, true), "connected twice");
                self.deciding = false;
                self.run(|_| drop(app));
            }
            Event::Request(request) => self.start(request),
            Event::Cancelled { id } => {
                let under_way = self.handlers.iter().any(|request| request.id == id);
                let answered = !under_way && Some(id) <= self.last_request;
                assert!(under_way || answered, "{id} was never requested");
                assert!(self.cancelled.insert(id), "cancelled twice");
            }
            Event::Answer { key, result } => {
                let at =
                    self.open.iter().position(|(open, _)| *open == key).expect("one answer for each call");
                let (_, reply_max) = self.open.remove(at);
                if let Ok(body) = &result {
                    assert!(
                        body.bytes.len().max(body.raw_len as usize) <= reply_max as usize,
                        "a long reply"
                    );
                }
                self.run(|_| drop(result));
            }
            Event::Draining { .. } => assert!(!std::mem::replace(&mut self.draining, true), "drains twice"),
            Event::Closed(reason) => {
                assert!(self.open.is_empty(), "calls without an answer");
                self.deciding = false;
                self.closed = Some(reason.clone());
                self.run(|_| drop(reason));
            }
            event => panic!("{event:?}"),
        }
        true
    }

    fn start(&mut self, request: Request) {
        let id = request.id;
        assert!(self.connected && id.initiator() == self.config.role.peer());
        assert!(self.last_request.is_none_or(|_| self.handlers.iter().all(|other| other.id != id)));
        self.last_request = self.last_request.max(Some(id));
        let length = request.body.bytes.len().max(request.body.raw_len as usize);
        assert!(length <= self.config.limits.max_body as usize, "a long body");
        self.handlers.push(request);
    }

    /// What holds at any time.
    fn check(&mut self) {
        let (stats, limits) = (self.conn.stats(), &self.config.limits);
        if self.conn.is_closed() {
            assert_eq!((stats.calls, stats.serving, stats.serving_cost), (0, 0, 0));
            assert_eq!(self.conn.poll_timeout(), None);
            assert!(!self.conn.wants_input());
        } else {
            assert!(
                stats.serving <= limits.max_concurrent as usize && stats.serving_cost <= limits.work_budget
            );
            assert!(stats.calls <= self.config.max_calls);
            assert!(self.handlers.len() <= stats.serving, "a handler runs for an open request");
        }
    }

    // ---- commands ----------------------------------------------------------------------------------------

    pub(crate) fn command(&mut self, program: &mut Program<'_>, now: Instant) {
        match program.byte() % 8 {
            0 => self.accept(program.length()),
            1 => {
                let (code, after) = (CloseCode::UNAUTHORIZED, Duration::from_millis(5));
                let asked = self.run(|conn| conn.reject(code, after, "no")).is_ok();
                assert!(!asked || self.deciding, "rejected out of turn");
            }
            2 | 3 => self.call(program, now),
            4 => self.respond(program),
            5 => self.respond_error(program),
            6 => self.cancel(program),
            _ => match program.byte() {
                byte @ ..200 => {
                    let within = Duration::from_millis(u64::from(byte) * 100);
                    let _ = self.run(|conn| conn.drain(within, now));
                }
                _ => self.run(|conn| conn.close(CloseCode::NORMAL, "enough")),
            },
        }
        self.check();
    }

    pub(crate) fn accept(&mut self, length: u32) {
        let app = pattern(1, length as usize);
        let accepted = self.run(|conn| conn.accept(app)).is_ok();
        assert!(!accepted || (self.deciding && length <= 512), "accepted out of turn");
    }

    fn call(&mut self, program: &mut Program<'_>, now: Instant) {
        let (body, reply_max) = (body(program), program.length());
        let options = program.byte();
        let timeout = (options & 1 == 0).then(|| Duration::from_millis(u64::from(program.byte()) * 50));
        let trace = TraceContext { trace_id: [1; 16], span_id: [2; 8], flags: 1 };
        let call = Call {
            reply_max,
            timeout,
            trace: (options & 2 != 0).then_some(trace),
            may_wait: options & 4 == 0,
            ..Call::new(u16::from(options), body)
        };
        let before = self.conn.stats().calls;
        match self.run(|conn| conn.call(call, now)) {
            Ok(key) => {
                assert!(self.last_key.replace(key) < Some(key), "keys are new");
                self.open.push((key, reply_max));
            }
            Err(_) => assert_eq!(self.conn.stats().calls, before, "a refused call changes nothing"),
        }
    }

    fn respond(&mut self, program: &mut Program<'_>) {
        let Some(at) = program.index(self.handlers.len()) else { return };
        let body = body(program);
        let id = self.handlers[at].id;
        let closed = self.conn.is_closed();
        match self.run(|conn| conn.respond(id, body)) {
            Ok(()) => self.done(at),
            Err(SendError::NoSuchRequest) => assert!(closed, "{id} is owed an answer"),
            Err(SendError::CompressionNotAgreed | SendError::RawLength) => {}
            Err(error) => panic!("{error:?}"),
        }
    }

    fn respond_error(&mut self, program: &mut Program<'_>) {
        let Some(at) = program.index(self.handlers.len()) else { return };
        let retry = program.pick([Retry::Never, Retry::Elsewhere, Retry::Later(Duration::MAX)]);
        let characters = usize::from(program.byte()) * 2;
        self.fail(at, || ErrorReply { code: ErrorCode(300), retry, message: "é".repeat(characters) });
    }

    fn fail(&mut self, at: usize, error: impl FnOnce() -> ErrorReply) {
        let id = self.handlers[at].id;
        let closed = self.conn.is_closed();
        match self.run(|conn| conn.respond_error(id, error())) {
            Ok(()) => self.done(at),
            Err(error) => assert!(closed && error == SendError::NoSuchRequest, "{id}: {error:?}"),
        }
    }

    /// The handler has ended, and cannot answer again.
    fn done(&mut self, at: usize) {
        let request = self.handlers.swap_remove(at);
        let again = self.run(|conn| conn.respond(request.id, Bytes::new()));
        assert_eq!(again, Err(SendError::NoSuchRequest), "one answer for each request");
        self.run(|_| drop(request));
    }

    fn cancel(&mut self, program: &mut Program<'_>) {
        let Some(at) = program.index(self.open.len()) else { return };
        let (key, _) = self.open[at];
        if self.run(|conn| conn.cancel(key)) {
            self.open.remove(at);
            assert!(!self.run(|conn| conn.cancel(key)), "cancelled once");
        }
    }

    // ---- the end -----------------------------------------------------------------------------------------

    /// Answers everything that is owed. Returns whether anything was.
    pub(crate) fn settle(&mut self) -> bool {
        let mut owed = self.deciding;
        if self.deciding {
            self.accept(0);
            self.events();
        }
        while !self.handlers.is_empty() && !self.conn.is_closed() {
            owed = true;
            self.fail(0, || ErrorReply::new(ErrorCode(300), ""));
        }
        owed
    }

    /// From here on the peer is silent: time alone ends the connection, soon, and nothing is left of it.
    pub(crate) fn finish(mut self, mut now: Instant) {
        self.events();
        self.transmit_all();
        self.events();
        // Keepalive and its grace, drains, and a deadline for each call and request.
        let mut turns = 16 + self.open.len() + self.conn.stats().serving;
        self.work.instructions += turns;
        while let Some(at) = self.conn.poll_timeout() {
            assert!(turns > 0, "time passes and the connection does not end");
            turns -= 1;
            now = now.max(at);
            self.handle_timeout(now);
            self.events();
            self.transmit_all();
            self.events();
        }
        self.events();
        assert!(self.closed.is_some() && self.conn.is_closed(), "neither a timeout nor an end");
        self.transmit_all();
        self.check();
        let Self { conn, config, mut meter, mut handlers, .. } = self;
        let most = usize::MAX / 4;
        meter.run(most, || handlers.drain(..).for_each(drop));
        // The emptied queues keep their places.
        let kept = meter.held();
        assert!(kept <= (IDLE + config.max_calls * 800) as isize, "{kept} bytes are kept after the end");
        meter.run(most, || drop(conn));
        drop(config);
        assert_eq!(meter.held(), 0, "everything is released");
    }
}

/// A body of some length, that perhaps says it is compressed.
fn body(program: &mut Program<'_>) -> Body {
    let bytes = pattern(7, program.length() as usize);
    let (compression, raw_len) = match program.byte() {
        ..=200 => (Compression::None, 0),
        byte @ ..=250 => (Compression::Zstd, u32::from(byte) << 8),
        _ => (Compression::None, 5),
    };
    Body { bytes, compression, raw_len }
}
