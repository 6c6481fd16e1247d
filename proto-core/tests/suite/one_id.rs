//! One request, and everything that can end it at once: cancel, the last chunk, a deadline here, a deadline there,
//! a drain here, a drain there. Every interleaving.

use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::{
    Call, CallError, CallKey, CloseCode, CloseReason, Config, Connection, ErrorCode, Event, Limits,
    RequestId, Role,
};

/// What happens besides the plain course of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happens {
    Cancel,
    OwnDeadline,
    PeersDeadline,
    OwnDrain,
    PeersDrain,
}

const ALL: [Happens; 5] =
    [Happens::Cancel, Happens::OwnDeadline, Happens::PeersDeadline, Happens::OwnDrain, Happens::PeersDrain];

/// The plain course: first frame out, in, last chunk out, in, answer given, out, in.
const COURSE: usize = 7;

#[derive(Debug, Clone, Copy)]
struct Variant {
    body: usize,
    reply: usize,
    /// Deliveries bring half of what is under way.
    halves: bool,
    cancellation: bool,
}

struct Model {
    now: Instant,
    requester: Connection,
    server: Connection,
    to_server: Vec<u8>,
    to_requester: Vec<u8>,
    variant: Variant,
    key: CallKey,
    outcomes: Vec<Result<usize, CallError>>,
    cancelled: bool,
    running: Option<RequestId>,
    started: usize,
    closed: [Vec<CloseReason>; 2],
}

impl Model {
    fn new(variant: Variant, now: Instant) -> Self {
        let limits = Limits { max_frame: 16 * 1024, max_body: 64 * 1024, ..Limits::default() };
        let config =
            |role| Config { limits, cancellation: variant.cancellation, grease: false, ..Config::new(role) };
        let mut requester = Connection::new(config(Role::Worker), now).expect("good");
        let mut server = Connection::new(config(Role::Router), now).expect("good");
        let mut bytes = Vec::new();
        let _ = requester.poll_transmit(&mut bytes, 1 << 20);
        server.receive(&bytes, now);
        assert!(matches!(server.poll_event(), Some(Event::Hello { .. })));
        server.accept(Bytes::new()).expect("asked");
        assert!(matches!(server.poll_event(), Some(Event::Connected { .. })));
        bytes.clear();
        let _ = server.poll_transmit(&mut bytes, 1 << 20);
        requester.receive(&bytes, now);
        assert!(matches!(requester.poll_event(), Some(Event::Connected { .. })));
        let call = Call {
            reply_max: 64 * 1024,
            timeout: Some(Duration::from_secs(1)),
            ..Call::new(1, crate::common::pattern(1, variant.body))
        };
        let key = requester.call(call, now).expect("open");
        Self {
            now,
            requester,
            server,
            to_server: Vec::new(),
            to_requester: Vec::new(),
            variant,
            key,
            outcomes: Vec::new(),
            cancelled: false,
            running: None,
            started: 0,
            closed: [Vec::new(), Vec::new()],
        }
    }

    /// One step of the plain course, if it is possible now.
    fn go_on(&mut self, step: usize) {
        match step {
            0 | 2 => drop(self.requester.poll_transmit(&mut self.to_server, 1)),
            1 | 3 => self.deliver_to_server(self.variant.halves),
            4 => self.answer(),
            5 => drop(self.server.poll_transmit(&mut self.to_requester, 1)),
            _ => self.deliver_to_requester(self.variant.halves),
        }
        self.events();
    }

    fn happen(&mut self, what: Happens) {
        let late = self.now + Duration::from_secs(2);
        match what {
            Happens::Cancel => self.cancelled |= self.requester.cancel(self.key),
            Happens::OwnDeadline => self.requester.handle_timeout(late),
            Happens::PeersDeadline => self.server.handle_timeout(late),
            Happens::OwnDrain => drop(self.requester.drain(Duration::from_secs(60), self.now)),
            Happens::PeersDrain => drop(self.server.drain(Duration::from_secs(60), self.now)),
        }
        self.events();
    }

    fn deliver_to_server(&mut self, half: bool) {
        let len = if half { self.to_server.len().div_ceil(2) } else { self.to_server.len() };
        let bytes: Vec<u8> = self.to_server.drain(..len).collect();
        self.server.receive(&bytes, self.now);
    }

    fn deliver_to_requester(&mut self, half: bool) {
        let len = if half { self.to_requester.len().div_ceil(2) } else { self.to_requester.len() };
        let bytes: Vec<u8> = self.to_requester.drain(..len).collect();
        self.requester.receive(&bytes, self.now);
    }

    fn answer(&mut self) {
        if let Some(id) = self.running.take()
            && !self.server.is_closed()
        {
            let body = crate::common::pattern(2, self.variant.reply);
            self.server.respond(id, body).expect("a started request is owed one answer");
            self.server.respond(id, "").expect_err("and only one");
        }
    }

    fn events(&mut self) {
        while let Some(event) = self.requester.poll_event() {
            match event {
                Event::Answer { key, result } => {
                    assert_eq!(key, self.key);
                    assert!(!self.cancelled, "nobody wants it any more");
                    if let Ok(body) = &result {
                        assert_eq!(body.bytes, crate::common::pattern(2, self.variant.reply));
                    }
                    self.outcomes.push(result.map(|body| body.bytes.len()));
                }
                Event::Closed(reason) => self.closed[0].push(reason),
                Event::Draining { .. } => {}
                event => panic!("{event:?}"),
            }
        }
        while let Some(event) = self.server.poll_event() {
            match event {
                Event::Request(request) => {
                    assert_eq!(request.body.bytes, crate::common::pattern(1, self.variant.body));
                    self.started += 1;
                    self.running = Some(request.id);
                }
                Event::Cancelled { id } => assert_eq!(self.running, Some(id)),
                Event::Closed(reason) => self.closed[1].push(reason),
                Event::Draining { .. } => {}
                event => panic!("{event:?}"),
            }
        }
    }

    /// Everything that is under way arrives, the handler ends; then all must be well.
    fn finish(mut self, drained: bool) {
        for _ in 0..20 {
            self.answer();
            while self.requester.poll_transmit(&mut self.to_server, 1 << 20) > 0 {}
            while self.server.poll_transmit(&mut self.to_requester, 1 << 20) > 0 {}
            self.deliver_to_server(false);
            self.deliver_to_requester(false);
            self.events();
        }
        for connection in [&self.requester, &self.server] {
            let stats = connection.stats();
            assert_eq!((stats.calls, stats.serving, stats.serving_cost), (0, 0, 0));
        }
        for reasons in &self.closed {
            let codes: Vec<_> = reasons.iter().filter_map(CloseReason::code).collect();
            assert!(!reasons.iter().any(|reason| matches!(reason, CloseReason::Violation(_))), "{reasons:?}");
            let expected = if drained { vec![CloseCode::DRAINED] } else { vec![] };
            assert_eq!(codes, expected, "{reasons:?}");
        }
        assert!(self.started <= 1);
        if self.cancelled {
            assert_eq!(self.outcomes, [], "cancelled locally");
            return;
        }
        let [outcome] = &self.outcomes[..] else { panic!("one outcome: {:?}", self.outcomes) };
        match outcome {
            Ok(len) => assert_eq!((*len, self.started), (self.variant.reply, 1)),
            Err(CallError::Deadline { .. }) => {}
            Err(CallError::Draining) => assert_eq!(self.started, 0),
            Err(CallError::Remote(error)) => match error.code {
                ErrorCode::REFUSED => assert_eq!(self.started, 0, "refused is not started"),
                code => assert_eq!(code, ErrorCode::DEADLINE),
            },
            Err(CallError::Closed { retry_safe }) => {
                assert!(*retry_safe, "only a request that crossed the close");
                assert_eq!(self.started, 0);
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Runs one interleaving: what stands in `happens[i]` happens before step `at[i]` of the course, in this order.
fn run(variant: Variant, now: Instant, happens: &[(usize, Happens)]) {
    struct Report<'a>(Variant, &'a [(usize, Happens)]);
    impl Drop for Report<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("{:?} with {:?}", self.0, self.1);
            }
        }
    }
    let report = Report(variant, happens);
    let mut model = Model::new(variant, now);
    for step in 0..=COURSE {
        for (_, what) in happens.iter().filter(|(at, _)| *at == step) {
            model.happen(*what);
        }
        if step < COURSE {
            model.go_on(step);
        }
    }
    let drained = happens.iter().any(|(_, what)| matches!(what, Happens::OwnDrain | Happens::PeersDrain));
    model.finish(drained);
    drop(report);
}

/// Every way to put these into the course, in every order.
fn every_interleaving(variant: Variant, all: &[Happens]) -> usize {
    fn extend(
        variant: Variant,
        now: Instant,
        left: &[Happens],
        from: usize,
        chosen: &mut Vec<(usize, Happens)>,
    ) -> usize {
        if left.is_empty() {
            run(variant, now, chosen);
            return 1;
        }
        let mut runs = 0;
        for at in from..=COURSE {
            for (index, what) in left.iter().enumerate() {
                let mut rest = left.to_vec();
                rest.remove(index);
                chosen.push((at, *what));
                runs += extend(variant, now, &rest, at, chosen);
                chosen.pop();
            }
        }
        runs
    }
    extend(variant, Instant::now(), all, 0, &mut Vec::new())
}

const LARGE: Variant = Variant { body: 20_000, reply: 40_000, halves: false, cancellation: true };

#[test]
fn any_five_things_at_any_time() {
    // 5 things among 7 steps: 12! / 7!.
    assert_eq!(every_interleaving(LARGE, &ALL), 95_040);
}

/// Every choice of up to three of the five.
fn every_three(variant: Variant) {
    for chosen in 0..1u32 << ALL.len() {
        if chosen.count_ones() <= 3 {
            let things: Vec<_> = ALL
                .into_iter()
                .enumerate()
                .filter(|(bit, _)| chosen >> bit & 1 == 1)
                .map(|(_, what)| what)
                .collect();
            let runs = every_interleaving(variant, &things);
            assert_eq!(runs, [1, 8, 72, 720][things.len()]);
        }
    }
}

#[test]
fn any_three_with_deliveries_in_halves() {
    every_three(Variant { halves: true, ..LARGE });
}

#[test]
fn any_three_with_small_bodies() {
    every_three(Variant { body: 10, reply: 10, ..LARGE });
}

#[test]
fn any_three_with_small_bodies_in_halves() {
    every_three(Variant { body: 10, reply: 10, halves: true, ..LARGE });
}

#[test]
fn any_three_without_cancellation() {
    every_three(Variant { cancellation: false, ..LARGE });
    every_three(Variant { cancellation: false, halves: true, reply: 10, ..LARGE });
}
