//! The connection: one value that consumes and emits bytes.

mod dispatch;
mod receive;
mod timeout;
mod transmit;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::calls::{Calls, OwnCall, Reply, cost};
use crate::config::{Compression, Config, SMALL_BODY};
use crate::error::{
    CallError, CloseCode, CloseReason, ConfigError, ErrorCode, ErrorReply, PeerError, SendError,
};
use crate::event::{Body, Call, CallKey, Event};
use crate::frame::{MAX_HEADER, MAX_HELLO_APP, MAX_WELCOME_APP};
use crate::id::{IdAllocator, RequestId, Role};
use crate::input::Input;
use crate::negotiate::Agreed;
use crate::pacing::Pacing;
use crate::served::{Answered, ServedRequests};

/// How long a drain lasts that the core starts itself, when ids run out.
const DRAIN_AT_EXHAUSTION: Duration = Duration::from_secs(60);

/// While this much input is not understood yet, the driver should not read more.
const ENOUGH_INPUT: usize = 64 * 1024;

/// Longer than any connection lives.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// One end of a remote RPC v3 connection, without any I/O.
///
/// The methods come in four kinds. All of them may be called at any time and in any order; what does not fit the
/// state does nothing, or says so.
///
/// - **Input**, which never fails: [`receive`](Self::receive), [`receive_eof`](Self::receive_eof),
///   [`wrote`](Self::wrote), [`handle_timeout`](Self::handle_timeout).
/// - **Output**, pulled: [`poll_event`](Self::poll_event), [`poll_transmit`](Self::poll_transmit),
///   [`poll_timeout`](Self::poll_timeout).
/// - **Commands** of the application: [`accept`](Self::accept), [`reject`](Self::reject), [`call`](Self::call),
///   [`cancel`](Self::cancel), [`respond`](Self::respond), [`respond_error`](Self::respond_error),
///   [`drain`](Self::drain), [`close`](Self::close). They fail with a [`SendError`] and then have changed nothing.
/// - **Getters**: [`wants_input`](Self::wants_input), [`close_reason`](Self::close_reason),
///   [`agreed`](Self::agreed), [`stats`](Self::stats), …
///
/// After any input or command, pull events until there are none, then transmit, then look at the timeout. Output can
/// be an end, too: a drain is over with its last frame, so pull events again before waiting. Reading must never wait
/// for writing, or two busy peers block each other.
///
/// # A whole driver
///
/// ```
/// use std::time::Instant;
/// use nova_proto_core::{Body, Call, Config, Connection, Event, Role};
///
/// // Two connections with a pipe each way stand for two processes.
/// let now = Instant::now();
/// let mut router = Connection::new(Config::new(Role::Router), now)?;
/// let mut worker = Connection::new(Config::new(Role::Worker), now)?;
/// let (mut to_worker, mut to_router) = (Vec::new(), Vec::new());
/// let mut answer = None;
///
/// while answer.is_none() {
///     // The router's side: let the worker in, then ask it something.
///     while let Some(event) = router.poll_event() {
///         match event {
///             Event::Hello { .. } => router.accept("welcome".into())?,
///             Event::Connected { .. } => drop(router.call(Call::new(7, "ping"), now)?),
///             Event::Answer { result, .. } => answer = Some(result?),
///             _ => {}
///         }
///     }
///     router.poll_transmit(&mut to_worker, 64 * 1024);
///     worker.receive(&std::mem::take(&mut to_worker), now);
///
///     // The worker's side: echo.
///     while let Some(event) = worker.poll_event() {
///         if let Event::Request(request) = event {
///             worker.respond(request.id, request.body)?;
///         }
///     }
///     worker.poll_transmit(&mut to_router, 64 * 1024);
///     router.receive(&std::mem::take(&mut to_router), now);
/// }
/// assert_eq!(answer, Some(Body::from("ping")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// On a socket the loop also waits: for bytes while [`wants_input`](Self::wants_input), for room while it has output
/// left, and until [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Connection {
    config: Config,
    /// The latest time any input or command has named.
    now: Instant,
    phase: Phase,
    reading: Reading,
    input: Input,
    eof: bool,
    events: VecDeque<Event>,
    ids: IdAllocator,
    calls: Calls,
    served: ServedRequests,
    pacing: Pacing,
    /// Large bodies under way, in turn.
    bulk: VecDeque<Bulk>,
    /// The last large frame opened a request: the next is a part of a body under way, if there is one.
    opened_last: bool,
    deadlines: BTreeSet<(Instant, Expiring)>,
    control: Control,
    keepalive: Keepalive,
    drain: Drain,
    unknown_in_a_row: u32,
    /// Bytes of small frames since a large body had its turn.
    small_run: usize,
    /// Since when output waits for the driver to take it.
    blocked_since: Option<Instant>,
    stats: Stats,
}

/// Where the connection is in its life.
#[derive(Debug)]
enum Phase {
    /// Router: nothing has come yet, or not all of `Hello`.
    AwaitingHello {
        deadline: Instant,
    },
    /// Router: the application decides.
    Deciding {
        deadline: Instant,
        agreed: Box<Agreed>,
    },
    /// Worker: `Hello` is out.
    AwaitingWelcome {
        deadline: Instant,
    },
    Open(Box<Agreed>),
    Closed(CloseReason),
}

/// What the next input bytes are.
#[derive(Debug)]
enum Reading {
    Preface,
    Frame,
    RequestBody { id: RequestId, left: u32 },
    ReplyBody { key: CallKey, left: u32 },
    Skipped { left: u32 },
}

/// A large body that is being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bulk {
    Call(CallKey),
    Response(RequestId),
}

/// Whose deadline it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Expiring {
    Call(CallKey),
    Served(RequestId),
}

/// Control frames to send, at most one of each kind.
#[derive(Debug, Default)]
struct Control {
    /// Handshake bytes, encoded when they were decided.
    handshake: Vec<u8>,
    goaway: Option<Duration>,
    ping: Option<u64>,
    pong: Option<u64>,
    /// The last frame of all, encoded.
    farewell: Vec<u8>,
}

#[derive(Debug)]
struct Keepalive {
    last_received: Instant,
    outstanding: Option<OutstandingPing>,
    next_nonce: u64,
    round_trip: Option<Duration>,
}

/// The ping that is due or sent, and not answered.
#[derive(Debug)]
struct OutstandingPing {
    nonce: u64,
    /// When it became due: the peer has its whole grace from here, even if this side noticed late.
    asked: Instant,
    /// When it was encoded.
    sent: Option<Instant>,
}

/// Who has said that no new requests should come.
#[derive(Debug, Default)]
struct Drain {
    /// We have; when we close at the latest.
    ours: Option<Instant>,
    /// The peer has; when we close if it does not.
    theirs: Option<Instant>,
}

/// Counters of one connection, for status and metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes received since the beginning.
    pub bytes_received: u64,
    /// Bytes handed to the driver since the beginning.
    pub bytes_sent: u64,
    /// Requests the peer has opened.
    pub requests_received: u64,
    /// Requests sent to the peer.
    pub requests_sent: u64,
    /// Requests of ours waiting or open now.
    pub calls: usize,
    /// Requests of the peer open now.
    pub serving: usize,
    /// What the peer's open requests cost of our work budget now, in bytes.
    pub serving_cost: u64,
    /// The last measured round trip.
    pub round_trip: Option<Duration>,
}

impl Connection {
    /// A connection at its very beginning; the handshake's deadline counts from `now`.
    ///
    /// # Errors
    /// If the configuration breaks a floor; see [`Config`] and [`Limits`](crate::Limits).
    pub fn new(config: Config, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let deadline = later(now, config.timers.handshake);
        let phase = match config.role {
            Role::Router => Phase::AwaitingHello { deadline },
            Role::Worker => Phase::AwaitingWelcome { deadline },
        };
        let mut connection = Self {
            now,
            phase,
            reading: Reading::Preface,
            input: Input::default(),
            eof: false,
            events: VecDeque::new(),
            ids: IdAllocator::new(config.role, config.first_id),
            calls: Calls::default(),
            served: ServedRequests::default(),
            pacing: Pacing::new(),
            bulk: VecDeque::new(),
            opened_last: false,
            deadlines: BTreeSet::new(),
            control: Control::default(),
            keepalive: Keepalive { last_received: now, outstanding: None, next_nonce: 1, round_trip: None },
            drain: Drain::default(),
            unknown_in_a_row: 0,
            small_run: 0,
            blocked_since: None,
            stats: Stats::default(),
            config,
        };
        connection.start_handshake();
        Ok(connection)
    }

    // ---- commands ----------------------------------------------------------------------------------------

    /// Router: lets the worker in; `app` is the application part of the `Welcome`, at most 512 bytes.
    ///
    /// # Errors
    /// [`SendError::WrongState`] unless an [`Event::Hello`] waits for its answer; [`SendError::TooLarge`].
    pub fn accept(&mut self, app: Bytes) -> Result<(), SendError> {
        too_large("application part", app.len() as u64, MAX_WELCOME_APP as u64)?;
        let Phase::Deciding { agreed, .. } = &self.phase else { return Err(self.wrong_state()) };
        let agreed = agreed.clone();
        self.send_welcome(&agreed, app);
        self.open(agreed, Bytes::new());
        Ok(())
    }

    /// Router: does not let the worker in, and closes. `message` is cut to 512 bytes.
    ///
    /// # Errors
    /// [`SendError::WrongState`] unless an [`Event::Hello`] waits for its answer.
    pub fn reject(&mut self, code: CloseCode, retry_after: Duration, message: &str) -> Result<(), SendError> {
        let Phase::Deciding { .. } = &self.phase else { return Err(self.wrong_state()) };
        self.send_reject(code, retry_after, message);
        self.end(CloseReason::Local(code), None);
        Ok(())
    }

    /// Makes a call. It is sent when its turn comes; its end is an [`Event::Answer`] with the returned key, unless it
    /// is [cancelled](Self::cancel) first.
    ///
    /// # Errors
    /// See [`SendError`]; nothing is sent then.
    pub fn call(&mut self, call: Call, now: Instant) -> Result<CallKey, SendError> {
        self.advance(now);
        let Phase::Open(agreed) = &self.phase else {
            return Err(if self.is_closed() { SendError::Closed } else { SendError::NotReady });
        };
        if self.drain.ours.is_some() || self.drain.theirs.is_some() {
            return Err(SendError::Draining);
        }
        if self.calls.len() >= self.config.max_calls {
            return Err(SendError::TooManyCalls { limit: self.config.max_calls });
        }
        check_compression(&call.body, agreed)?;
        let cost = cost(call.body.bytes.len() as u64, call.body.raw_len, call.reply_max);
        let own = OwnCall {
            method: call.method,
            body: call.body,
            reply_max: call.reply_max,
            cost,
            deadline: call.timeout.map(|timeout| later(self.now, timeout)),
            trace: call.trace,
            id: None,
            sent: 0,
            body_ended: false,
            abandoned: false,
            cancel_due: false,
            reply: Reply::None,
        };
        self.check_sizes(&own, agreed)?;
        if !call.may_wait && !self.calls.fits_behind_waiting(cost, &self.effective_limits(agreed)) {
            return Err(SendError::Busy);
        }
        let deadline = own.deadline;
        let key = self.calls.insert(own);
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, Expiring::Call(key)));
        }
        self.note_output();
        Ok(key)
    }

    /// Does not want the answer any more: no event will name this call again. Returns whether it was still under way.
    pub fn cancel(&mut self, key: CallKey) -> bool {
        let Some(call) = self.calls.get_mut(key) else { return false };
        let was_wanted = !std::mem::replace(&mut call.abandoned, true);
        self.forget_deadline_of_call(key);
        if was_wanted && self.calls.withdraw(key).is_none() {
            self.abandon_open_call(key);
        }
        self.note_output();
        was_wanted
    }

    /// Answers a request. An answer longer than the request allows, or one that is not wanted any more, is replaced by
    /// the error that says so.
    ///
    /// # Errors
    /// [`SendError::NoSuchRequest`] if it was answered before or the connection has ended; still owed after
    /// [`SendError::CompressionNotAgreed`] and [`SendError::RawLength`].
    pub fn respond(&mut self, id: RequestId, body: impl Into<Body>) -> Result<(), SendError> {
        let body = body.into();
        if let Phase::Open(agreed) = &self.phase {
            check_compression(&body, agreed)?;
        }
        self.answer(id, Ok(body))
    }

    /// Answers a request with an error. Its message is cut to 512 bytes.
    ///
    /// # Errors
    /// [`SendError::NoSuchRequest`] if it was answered before or the connection has ended.
    pub fn respond_error(&mut self, id: RequestId, error: ErrorReply) -> Result<(), SendError> {
        self.answer(id, Err(error))
    }

    /// Starts no new requests and refuses the peer's; closes when nothing is open, or after `within`.
    ///
    /// # Errors
    /// [`SendError::NotReady`] before the handshake is done, [`SendError::Closed`] after the end.
    pub fn drain(&mut self, within: Duration, now: Instant) -> Result<(), SendError> {
        self.advance(now);
        if !matches!(self.phase, Phase::Open(_)) {
            return Err(if self.is_closed() { SendError::Closed } else { SendError::NotReady });
        }
        if self.drain.ours.is_none() {
            self.drain.ours = Some(later(self.now, within));
            self.control.goaway = Some(within);
            self.fail_waiting_calls();
            self.note_output();
        }
        Ok(())
    }

    /// Ends the connection now, with a reason for the peer; open calls fail. Does nothing if it has ended.
    pub fn close(&mut self, code: CloseCode, message: &str) {
        self.end(CloseReason::Local(code), Some((code, message)));
    }

    // ---- getters -----------------------------------------------------------------------------------------

    /// Whether the driver should read. False after the end, and while what was received waits for events to be pulled
    /// or for the router's decision. Never depends on how far writing has come.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        !self.eof
            && !matches!(self.phase, Phase::Closed(_) | Phase::Deciding { .. })
            && self.input.len() < ENOUGH_INPUT
    }

    /// Why the connection ended; `None` while it lives.
    #[must_use]
    pub fn close_reason(&self) -> Option<&CloseReason> {
        match &self.phase {
            Phase::Closed(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed(_))
    }

    /// What was agreed, while the connection is open.
    #[must_use]
    pub fn agreed(&self) -> Option<&Agreed> {
        match &self.phase {
            Phase::Open(agreed) => Some(agreed),
            _ => None,
        }
    }

    /// Which end this is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.config.role
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            calls: self.calls.len(),
            serving: self.served.len(),
            serving_cost: self.served.cost(),
            round_trip: self.keepalive.round_trip,
            ..self.stats
        }
    }

    // ---- inside ------------------------------------------------------------------------------------------

    fn wrong_state(&self) -> SendError {
        if self.is_closed() { SendError::Closed } else { SendError::WrongState }
    }

    /// Time never goes back, whatever the driver says.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn open(&mut self, agreed: Box<Agreed>, app: Bytes) {
        self.keepalive.last_received = self.now;
        self.events.push_back(Event::Connected { agreed: (*agreed).clone(), app });
        self.phase = Phase::Open(agreed);
        self.note_output();
    }

    /// The peer's limits, but never more than our own budget of promised replies: what the peer lets us ask for
    /// must fit our memory, too.
    fn effective_limits(&self, agreed: &Agreed) -> crate::Limits {
        let mut limits = agreed.peer_limits;
        limits.work_budget = limits.work_budget.min(self.config.limits.work_budget);
        limits
    }

    /// Refuses a call that the peer can never accept.
    fn check_sizes(&self, call: &OwnCall, agreed: &Agreed) -> Result<(), SendError> {
        let peer = self.effective_limits(agreed);
        let body = call.body.bytes.len() as u64;
        too_large("body", body, u64::from(peer.max_body))?;
        too_large("uncompressed body", u64::from(call.body.raw_len), u64::from(peer.max_body))?;
        too_large("reply", u64::from(call.reply_max), u64::from(self.config.limits.max_body))?;
        too_large("request cost", call.cost, peer.work_budget)
    }

    fn answer(&mut self, id: RequestId, result: Result<Body, ErrorReply>) -> Result<(), SendError> {
        match self.served.answer(id, result, self.max_small()) {
            Answered::NotOwed => return Err(SendError::NoSuchRequest),
            Answered::Queued => {}
            Answered::Large => self.bulk.push_back(Bulk::Response(id)),
        }
        self.forget_deadline_of_served(id);
        self.note_output();
        Ok(())
    }

    /// A call that is open at the peer is not wanted any more.
    fn abandon_open_call(&mut self, key: CallKey) {
        let cancellation = self.agreed().is_some_and(|agreed| agreed.cancellation);
        let Some(call) = self.calls.get_mut(key) else { return };
        call.abandoned = true;
        if let Reply::Arriving { assembly, .. } = &mut call.reply {
            assembly.discard();
        }
        if cancellation {
            self.calls.want_cancel(key);
            self.note_output();
        }
    }

    /// Calls not sent yet fail, safe to send elsewhere.
    fn fail_waiting_calls(&mut self) {
        for key in self.calls.waiting() {
            self.forget_deadline_of_call(key);
            if self.calls.withdraw(key).is_some() {
                self.events.push_back(Event::Answer { key, result: Err(CallError::Draining) });
            }
        }
    }

    /// Longest body that surely fits one frame and never waits.
    fn max_small(&self) -> usize {
        let frame = self.agreed().map_or(0, |agreed| agreed.peer_limits.max_frame);
        SMALL_BODY.min(frame.saturating_sub(MAX_HEADER)) as usize
    }

    fn forget_deadline_of_call(&mut self, key: CallKey) {
        if let Some(deadline) = self.calls.get(key).and_then(|call| call.deadline) {
            self.deadlines.remove(&(deadline, Expiring::Call(key)));
        }
    }

    fn forget_deadline_of_served(&mut self, id: RequestId) {
        if let Some(deadline) = self.served.get_mut(id).and_then(|served| served.deadline) {
            self.deadlines.remove(&(deadline, Expiring::Served(id)));
        }
    }

    /// The peer broke a rule.
    fn violation(&mut self, error: PeerError) {
        let (code, message) = (error.code(), error.to_string());
        if matches!(self.phase, Phase::AwaitingHello { .. } | Phase::Deciding { .. }) {
            // A foreign protocol gets no bytes of ours; a worker learns why it was not let in.
            if !matches!(error, PeerError::Preface(_)) {
                self.send_reject(code, Duration::ZERO, &message);
            }
            self.end(CloseReason::Violation(error), None);
        } else if matches!(error, PeerError::Preface(_)) {
            self.end(CloseReason::Violation(error), None);
        } else {
            self.end(CloseReason::Violation(error), Some((code, &message)));
        }
    }

    /// The end, whatever the reason: calls fail, memory is freed, the last event is queued.
    fn end(&mut self, reason: CloseReason, farewell: Option<(CloseCode, &str)>) {
        if self.is_closed() {
            return;
        }
        if let Some((code, message)) = farewell
            && matches!(self.phase, Phase::Open(_) | Phase::AwaitingWelcome { .. })
        {
            self.send_close(code, message);
        }
        let seen_by_peer = match &reason {
            CloseReason::Peer { last_id, .. } => *last_id,
            _ => u64::MAX,
        };
        for (key, call) in self.calls.drain() {
            if !call.abandoned {
                let retry_safe = call.id.is_none_or(|id| id.get() > seen_by_peer);
                self.events.push_back(Event::Answer { key, result: Err(CallError::Closed { retry_safe }) });
            }
        }
        self.served.clear();
        self.bulk.clear();
        self.deadlines.clear();
        self.input.clear();
        self.blocked_since = None;
        self.events.push_back(Event::Closed(reason.clone()));
        self.phase = Phase::Closed(reason);
    }

    /// Deadline or cancellation of a request of the peer.
    fn abandon_served(&mut self, id: RequestId, code: ErrorCode) {
        self.forget_deadline_of_served(id);
        if self.served.abandon(id, code) {
            self.events.push_back(Event::Cancelled { id });
        }
        // Its place in the turn would stay for as long as the window is full.
        self.bulk.retain(|bulk| *bulk != Bulk::Response(id));
        self.note_output();
    }
}

fn too_large(what: &'static str, size: u64, limit: u64) -> Result<(), SendError> {
    if size > limit { Err(SendError::TooLarge { what, size, limit }) } else { Ok(()) }
}

/// Refuses a body that the peer would take for a violation.
fn check_compression(body: &Body, agreed: &Agreed) -> Result<(), SendError> {
    if !agreed.allows(body.compression) {
        Err(SendError::CompressionNotAgreed)
    } else if (body.compression == Compression::None) != (body.raw_len == 0) {
        Err(SendError::RawLength)
    } else {
        Ok(())
    }
}

/// A moment that is too far away to be named becomes one that is far enough.
fn later(now: Instant, after: Duration) -> Instant {
    now.checked_add(after).or_else(|| now.checked_add(FAR)).unwrap_or(now)
}

const _: () = assert!(MAX_HELLO_APP < ENOUGH_INPUT);
