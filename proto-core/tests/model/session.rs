//! One side of a session, as the specification tells it: what the application and the peer do goes in, what must
//! happen comes out. Maps, vectors and no cleverness; what this side sends is checked in `sending`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nova_proto_core::{
    Agreed, Body, Call, CallError, CallKey, CloseCode, Config, ErrorCode, Event, Retry, Role,
};

use super::frame::{Ask, Length};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    AwaitingHello,
    Deciding,
    AwaitingWelcome,
    Open,
    Closed,
}

/// How the session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// This side ended it, perhaps because of a timer.
    Local(CloseCode),
    Peer(CloseCode, u64),
    Rejected(CloseCode, Duration),
    Violation(CloseCode),
    Eof,
}

/// What the application must see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Event(Event),
    End(End),
}

/// The last frame of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewell {
    Close(CloseCode),
    Reject(CloseCode, u64),
}

/// A request of the peer's; section 7.4.
#[derive(Debug)]
pub(crate) struct Theirs {
    pub(crate) ask: Ask,
    pub(crate) got: Vec<u8>,
    pub(crate) ended: bool,
    pub(crate) state: Answering,
    pub(crate) cancelled: bool,
    pub(crate) late: bool,
    pub(crate) told: bool,
    pub(crate) deadline: Option<Instant>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answering {
    Receiving,
    Running,
    /// So many bytes of it were sent, in `Some` frames or none.
    Reply(Body, Option<usize>),
    Error(ErrorCode, Retry),
    Answered,
}

/// A request of this side; section 7.5. Not open is waiting.
#[derive(Debug)]
pub(crate) struct Mine {
    pub(crate) call: Call,
    pub(crate) deadline: Option<Instant>,
    pub(crate) open: Option<u64>,
    pub(crate) sent: usize,
    pub(crate) ended: bool,
    pub(crate) wanted: bool,
    pub(crate) answered: bool,
    pub(crate) cancel_due: bool,
    pub(crate) reply: Option<(Length, Vec<u8>)>,
}

impl Mine {
    pub(crate) fn cost(&self) -> u64 {
        let parts =
            [self.call.body.bytes.len() as u64, self.call.body.raw_len.into(), self.call.reply_max.into()];
        if parts.iter().all(|part| *part <= 16_384) { 0 } else { parts.iter().sum() }
    }
}

/// Where the rest of a frame goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sink {
    Skip,
    Theirs(u64),
    Mine(CallKey),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ping {
    None,
    Due,
    /// Due, but the peer has spoken since.
    Optional,
    Sent(u64),
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) config: Config,
    pub(crate) phase: Phase,
    pub(crate) now: Instant,
    pub(crate) born: Instant,
    pub(crate) inbox: Vec<u8>,
    pub(crate) preface_seen: bool,
    pub(crate) eof: bool,
    /// The frame whose rest is still to come.
    pub(crate) current: Option<(Sink, usize)>,
    pub(crate) unknown_in_a_row: u32,
    pub(crate) seen: Vec<Seen>,
    pub(crate) agreed: Option<Agreed>,
    pub(crate) mine: BTreeMap<CallKey, Mine>,
    pub(crate) theirs: BTreeMap<u64, Theirs>,
    pub(crate) highest_mine: u64,
    pub(crate) highest_theirs: u64,
    /// Body bytes that came, and those that were acknowledged to the peer.
    pub(crate) received: u64,
    pub(crate) acked: u64,
    /// Body bytes that were sent, and those that the peer has acknowledged.
    pub(crate) sent: u64,
    pub(crate) peer_acked: u64,
    pub(crate) unacked_since: Option<Instant>,
    pub(crate) last_byte: Instant,
    pub(crate) ping: Ping,
    pub(crate) pong: Option<u64>,
    pub(crate) goaway_due: Option<Duration>,
    pub(crate) goaway_sent: bool,
    pub(crate) drain_until: Option<Instant>,
    pub(crate) peer_drains: Option<Instant>,
    /// The application part of a Welcome or, in a worker, Hello to be sent.
    pub(crate) opening: Option<Vec<u8>>,
    pub(crate) preface_sent: bool,
    pub(crate) farewell: Option<Farewell>,
}

impl Session {
    pub(crate) fn new(config: Config, now: Instant) -> Self {
        let worker = config.role == Role::Worker;
        Self {
            phase: if worker { Phase::AwaitingWelcome } else { Phase::AwaitingHello },
            opening: worker.then(|| config.hello.to_vec()),
            config,
            now,
            born: now,
            inbox: Vec::new(),
            preface_seen: false,
            eof: false,
            current: None,
            unknown_in_a_row: 0,
            seen: Vec::new(),
            agreed: None,
            mine: BTreeMap::new(),
            theirs: BTreeMap::new(),
            highest_mine: 0,
            highest_theirs: 0,
            received: 0,
            acked: 0,
            sent: 0,
            peer_acked: 0,
            unacked_since: None,
            last_byte: now,
            ping: Ping::None,
            pong: None,
            goaway_due: None,
            goaway_sent: false,
            drain_until: None,
            peer_drains: None,
            preface_sent: false,
            farewell: None,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub(crate) fn drains(&self) -> bool {
        self.drain_until.is_some() || self.peer_drains.is_some()
    }

    /// What the peer accepts at once, and never more than this side's own budget for the answers.
    pub(crate) fn room(&self) -> (usize, u64) {
        let limits = self.agreed.as_ref().expect("open").peer_limits;
        (limits.max_concurrent as usize, limits.work_budget.min(self.config.limits.work_budget))
    }

    pub(crate) fn serving_cost(&self) -> u64 {
        self.theirs.values().map(|theirs| theirs.ask.cost()).sum()
    }

    pub(crate) fn observe(&mut self, event: Event) {
        self.seen.push(Seen::Event(event));
    }

    /// Section 16.2: calls fail, and nothing goes on.
    pub(crate) fn end(&mut self, end: End, farewell: Option<Farewell>) {
        if self.phase == Phase::Closed {
            return;
        }
        for (key, mine) in std::mem::take(&mut self.mine) {
            if mine.wanted && !mine.answered {
                let retry_safe = match (mine.open, &end) {
                    (None, _) => true,
                    (Some(id), End::Peer(_, last_id)) => id > *last_id,
                    _ => false,
                };
                self.observe(Event::Answer { key, result: Err(CallError::Closed { retry_safe }) });
            }
        }
        self.theirs.clear();
        self.phase = Phase::Closed;
        self.farewell = farewell;
        self.seen.push(Seen::End(end));
    }

    pub(crate) fn close(&mut self, end: End, code: CloseCode) {
        self.end(end, Some(Farewell::Close(code)));
    }

    /// R-16-6; what else is due may be sent before.
    pub(crate) fn is_drained(&self) -> bool {
        self.is_open() && self.goaway_sent && self.mine.is_empty() && self.theirs.is_empty()
    }
}
