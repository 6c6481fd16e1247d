//! One connection whose peer is played by the test, byte by byte.

use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::{CloseCode, CloseReason, Config, Connection, Event, Limits, Role};

use super::wire::{self, Offer, Sent};

/// A connection under attack.
#[derive(Debug)]
pub(crate) struct Victim {
    pub(crate) conn: Connection,
    pub(crate) now: Instant,
}

impl Victim {
    /// Before the peer's first byte; a worker's `Hello` was taken.
    pub(crate) fn fresh(config: Config) -> Self {
        let now = Instant::now();
        let conn = Connection::new(Config { grease: false, ..config }, now).expect("a good configuration");
        let mut victim = Self { conn, now };
        victim.sent();
        victim
    }

    /// Connected with a peer that offers, or chooses, this.
    pub(crate) fn with(config: Config, offer: &Offer) -> Self {
        let peer = config.role.peer();
        let mut victim = Self::fresh(config);
        let events = victim.feed(&offer.opening(peer));
        if peer == Role::Worker {
            assert!(matches!(events[..], [Event::Hello { .. }]), "{events:?}");
            victim.conn.accept(Bytes::new()).expect("waits for the decision");
            assert!(matches!(victim.events()[..], [Event::Connected { .. }]));
        } else {
            assert!(matches!(events[..], [Event::Connected { .. }]), "{events:?}");
        }
        victim.sent();
        victim
    }

    /// Connected, with limits of its own and a default peer.
    pub(crate) fn open(role: Role, limits: Limits) -> Self {
        Self::with(Config { limits, ..Config::new(role) }, &Offer::default())
    }

    /// A router with the defaults: its peer's ids are odd.
    pub(crate) fn router() -> Self {
        Self::open(Role::Router, Limits::default())
    }

    /// A worker with the defaults: its peer's ids are even.
    pub(crate) fn worker() -> Self {
        Self::open(Role::Worker, Limits::default())
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.conn.poll_event()).collect()
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.conn.receive(bytes, self.now);
        self.events()
    }

    /// Everything there is to send now, as bytes.
    pub(crate) fn output(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.conn.poll_transmit(&mut out, 1 << 20) > 0 {}
        out
    }

    /// Everything there is to send now, as frames.
    pub(crate) fn sent(&mut self) -> Vec<Sent> {
        wire::frames(&self.output())
    }

    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Event> {
        self.now += time;
        self.conn.handle_timeout(self.now);
        self.events()
    }

    /// Why it closed; panics if it lives.
    #[track_caller]
    pub(crate) fn code(&self) -> CloseCode {
        let reason = self.conn.close_reason().expect("the connection should have closed");
        reason.code().expect("a reason with a number")
    }

    /// Feeds bytes that break a rule and demands this close code, here and on the wire.
    #[track_caller]
    pub(crate) fn closes(&mut self, bytes: &[u8], code: CloseCode) {
        let events = self.feed(bytes);
        let last = events.last();
        assert!(
            matches!(last, Some(Event::Closed(CloseReason::Violation(error))) if error.code() == code),
            "{last:?}, not {code}"
        );
        assert_eq!(events.iter().filter(|event| matches!(event, Event::Closed(_))).count(), 1);
        let sent = self.sent();
        let farewell = sent.last().expect("a last frame");
        assert!(matches!(farewell.kind, wire::CLOSE | wire::REJECT), "{farewell:?}");
        assert_eq!(farewell.int(0), u64::from(code.0), "the peer is told why");
        self.is_empty();
    }

    /// Feeds bytes that keep all rules.
    #[track_caller]
    pub(crate) fn takes(&mut self, bytes: &[u8]) -> Vec<Event> {
        let events = self.feed(bytes);
        assert_eq!(self.conn.close_reason(), None);
        events
    }

    /// Nothing is left over.
    #[track_caller]
    pub(crate) fn is_empty(&self) {
        let stats = self.conn.stats();
        assert_eq!((stats.calls, stats.serving, stats.serving_cost), (0, 0, 0));
    }
}

/// Limits that are small enough to reach, and legal.
pub(crate) fn small_limits() -> Limits {
    Limits { max_frame: 16 * 1024, max_body: 64 * 1024, work_budget: 256 * 1024, max_concurrent: 4 }
}
