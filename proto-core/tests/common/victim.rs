//! One connection whose peer is played by the test, byte by byte.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::{Call, CloseCode, CloseReason, Config, Connection, Event, Limits, Role};

use super::wire::{self, Frame, Offer, Sent};

/// A connection under attack.
#[derive(Debug)]
pub(crate) struct Victim {
    pub(crate) conn: Connection,
    pub(crate) now: Instant,
}

impl Victim {
    /// Before the peer's first byte; a worker's `Hello` was taken.
    pub(crate) fn fresh(config: Config) -> Self {
        let now = epoch();
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

/// When every victim's life begins, so that two of them can be compared.
pub(crate) fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

/// A connection in a state that takes a frame of this kind, and such a frame.
pub(crate) fn ready(kind: u8) -> (Victim, Frame) {
    let text = "héllo".as_bytes();
    let ext: &[(u16, &[u8])] = &[(900, b"abc"), (901, b"")];
    match kind {
        wire::HELLO => {
            let mut victim = Victim::fresh(Config::new(Role::Router));
            victim.takes(wire::PREFACE);
            (victim, Offer { compression: vec![1], ..Offer::default() }.hello(ext))
        }
        wire::WELCOME | wire::REJECT => {
            let mut victim = Victim::fresh(Config { zstd: true, ..Config::new(Role::Worker) });
            victim.takes(wire::PREFACE);
            if kind == wire::WELCOME {
                return (victim, Offer { compression: vec![1], ..Offer::default() }.welcome(ext));
            }
            (victim, Frame::new(kind).u16(25).u32(7).string(text).ext(ext))
        }
        wire::REQUEST => {
            let ask = wire::Ask { id: 1, body_len: 5, deadline_ms: 9, ext, ..wire::Ask::default() };
            (Victim::router(), ask.frame(b"12345"))
        }
        wire::RESPONSE | wire::ERROR | wire::ACK => {
            let mut victim = Victim::router();
            victim.conn.call(Call::new(3, vec![1; 70_000]), victim.now).expect("open");
            assert_eq!(victim.sent().len(), 1);
            let frame = Frame::new(kind);
            let frame = match kind {
                wire::RESPONSE => frame.u64(2).u32(3).u8(0).u32(0).ext(ext).body(b"yes"),
                wire::ERROR => frame.u64(2).u16(300).u8(1).u32(50).string(text).ext(ext),
                _ => frame.u64(66_000),
            };
            (victim, frame)
        }
        wire::CHUNK => {
            let mut victim = Victim::router();
            let ask = wire::Ask { body_len: 5000, ..wire::Ask::default() };
            victim.takes(&ask.frame(&[1; 4096]).bytes());
            (victim, Frame::new(kind).u64(1).body(&[2; 904]))
        }
        wire::CANCEL => {
            let mut victim = Victim::router();
            victim.takes(&wire::request(1, b"x"));
            (victim, Frame::new(kind).u64(1))
        }
        wire::PONG => {
            let mut victim = Victim::router();
            victim.pass(Duration::from_secs(10));
            assert_eq!(victim.sent()[0].kind, wire::PING);
            (victim, Frame::new(kind).u64(1))
        }
        wire::PING => (Victim::router(), Frame::new(kind).u64(77)),
        wire::GOAWAY => (Victim::router(), Frame::new(kind).u32(5000)),
        wire::CLOSE => (Victim::router(), Frame::new(kind).u16(0).u64(0).string(text)),
        _ => panic!("no kind"),
    }
}

/// Every kind of frame.
pub(crate) const KINDS: [u8; 13] = [
    wire::HELLO,
    wire::WELCOME,
    wire::REJECT,
    wire::REQUEST,
    wire::RESPONSE,
    wire::CHUNK,
    wire::ERROR,
    wire::CANCEL,
    wire::ACK,
    wire::PING,
    wire::PONG,
    wire::GOAWAY,
    wire::CLOSE,
];

/// Limits that are small enough to reach, and legal.
pub(crate) fn small_limits() -> Limits {
    Limits { max_frame: 16 * 1024, max_body: 64 * 1024, work_budget: 256 * 1024, max_concurrent: 4 }
}
