//! The connection: one value that consumes and emits bytes.

mod commands;
mod dispatch;
mod receive;
mod timeout;
mod transmit;

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::calls::{Calls, Reply};
use crate::config::{Config, SMALL_BODY};
use crate::deadlines::Deadlines;
use crate::error::{CallError, CloseCode, CloseReason, ConfigError, ErrorCode, PeerError};
use crate::event::{CallKey, Event};
use crate::frame::{MAX_HEADER, MAX_HELLO_APP};
use crate::id::{IdAllocator, RequestId, Role};
use crate::input::Input;
use crate::negotiate::Agreed;
use crate::pacing::Pacing;
use crate::served::ServedRequests;
use crate::spares::Spares;

/// How long a drain lasts that the core starts itself, when ids run out.
const DRAIN_AT_EXHAUSTION: Duration = Duration::from_secs(60);

/// While this much input is not understood yet, the driver should not read more.
const ENOUGH_INPUT: usize = 64 * 1024;

/// Longer than any connection lives.
const FAR: Duration = Duration::from_secs(u32::MAX as u64);

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
///   [`drain`](Self::drain), [`close`](Self::close). They fail with a
///   [`SendError`](crate::SendError) and then have changed nothing.
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
    spares: Spares,
    /// Large bodies under way, in turn.
    bulk: VecDeque<Bulk>,
    /// The last large frame opened a request: the next is a part of a body under way, if there is one.
    opened_last: bool,
    deadlines: Deadlines<Expiring>,
    control: Control,
    keepalive: Keepalive,
    drain: Drain,
    unknown_in_a_row: u32,
    /// Bytes of small frames since a large body had its turn.
    small_run: usize,
    /// Since when output waits for the driver to take it.
    blocked_since: Option<Instant>,
    /// It began to wait with a command that tells no time: the first time told afterwards counts.
    blocked_untimed: bool,
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
    /// Of these, requests open at the peer.
    pub calls_open: usize,
    /// Requests of the peer open now.
    pub serving: usize,
    /// What the peer's open requests cost of our work budget now, in bytes.
    pub serving_cost: u64,
    /// The last measured round trip.
    pub round_trip: Option<Duration>,
}

impl fmt::Debug for Connection {
    /// No bytes: what waits here may be source code, or a secret in a `Hello`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("role", &self.config.role)
            .field("phase", &self.phase)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
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
            spares: Spares::default(),
            bulk: VecDeque::new(),
            opened_last: false,
            deadlines: Deadlines::default(),
            control: Control::default(),
            keepalive: Keepalive { last_received: now, outstanding: None, next_nonce: 1, round_trip: None },
            drain: Drain::default(),
            unknown_in_a_row: 0,
            small_run: 0,
            blocked_since: None,
            blocked_untimed: false,
            stats: Stats::default(),
            config,
        };
        connection.start_handshake();
        Ok(connection)
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

    /// Whether a request of the peer still waits for its answer. False once it was answered or the answer is not wanted any
    /// more, also while [`Event::Cancelled`] waits to be pulled.
    #[must_use]
    pub fn wants_answer(&self, id: RequestId) -> bool {
        self.served.wants_answer(id)
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
            calls_open: self.calls.open(),
            serving: self.served.len(),
            serving_cost: self.served.cost(),
            round_trip: self.keepalive.round_trip,
            ..self.stats
        }
    }

    // ---- inside ------------------------------------------------------------------------------------------

    /// Time never goes back, whatever the driver says.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if std::mem::take(&mut self.blocked_untimed) && self.blocked_since.is_some() {
            self.blocked_since = Some(self.now);
        }
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
        for (key, call) in self.calls.withdraw_all() {
            if let Some(deadline) = call.deadline {
                self.deadlines.remove(deadline, Expiring::Call(key));
            }
            self.events.push_back(Event::Answer { key, result: Err(CallError::Draining) });
        }
    }

    /// Longest body that surely fits one frame and never waits.
    fn max_small(&self) -> usize {
        let frame = self.agreed().map_or(0, |agreed| agreed.peer_limits.max_frame);
        SMALL_BODY.min(frame.saturating_sub(MAX_HEADER)) as usize
    }

    fn forget_deadline_of_call(&mut self, key: CallKey) {
        if let Some(deadline) = self.calls.get(key).and_then(|call| call.deadline) {
            self.deadlines.remove(deadline, Expiring::Call(key));
        }
    }

    fn forget_deadline_of_served(&mut self, id: RequestId) {
        if let Some(deadline) = self.served.get_mut(id).and_then(|served| served.deadline) {
            self.deadlines.remove(deadline, Expiring::Served(id));
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
        if let Some((code, message)) = farewell {
            match &self.phase {
                Phase::Open(_) | Phase::AwaitingWelcome { .. } => self.send_close(code, message),
                Phase::Deciding { .. } => self.send_reject(code, Duration::ZERO, message),
                Phase::AwaitingHello { .. } | Phase::Closed(_) => {}
            }
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
        self.deadlines = Deadlines::default();
        self.spares = Spares::default();
        self.input.clear();
        self.blocked_since = None;
        self.events.push_back(Event::Closed(reason.clone()));
        self.phase = Phase::Closed(reason);
    }

    /// Deadline or cancellation of a request of the peer.
    fn abandon_served(&mut self, id: RequestId, code: ErrorCode) {
        self.forget_deadline_of_served(id);
        if self.served.is_answering(id) {
            // Its place in the turn would stay for as long as the window is full.
            self.bulk.retain(|bulk| *bulk != Bulk::Response(id));
        }
        if self.served.abandon(id, code) {
            self.events.push_back(Event::Cancelled { id });
        }
        self.note_output();
    }
}

/// A moment that is too far away to be named becomes one that is far enough.
fn later(now: Instant, after: Duration) -> Instant {
    now.checked_add(after).or_else(|| now.checked_add(FAR)).unwrap_or(now)
}

const _: () = assert!(MAX_HELLO_APP < ENOUGH_INPUT);
