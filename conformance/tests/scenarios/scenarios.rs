//! What every pair of ends must do; each is written once.

use std::time::Duration;

use bytes::Bytes;
use nova_proto_core::{Call, CallError, CloseCode, CloseReason, ErrorCode, SendError, Timers};

use crate::cell::{Cell, Pair};
use crate::middle::Mode;
use crate::peer::{Peer, Pending, until, wait};
use crate::service::{ECHO, FAIL, HASH, HOLD, NEVER, call, pattern};

/// A name, and what happens in a cell.
pub(crate) type Scenario = (&'static str, fn(&Cell));

/// In the order in which they run.
pub(crate) const ALL: &[Scenario] = &[
    ("calls both ways", calls_both_ways),
    ("a thousand in flight", a_thousand_in_flight),
    ("cancel on drop", cancel_on_drop),
    ("deadlines", deadlines),
    ("drain", drain),
    ("close with calls open", close_with_calls_open),
    ("large bodies both ways at once", large_bodies_both_ways_at_once),
    ("slow reader", slow_reader),
    ("stalled peer", stalled_peer),
    ("half-close", half_close),
    ("reset in mid-frame", reset_in_mid_frame),
];

/// Longer than any scenario takes.
const NEVER_DUE: Duration = Duration::from_secs(600);

/// How long a large body is: longer if `NOVA_SCENARIOS` is `long`.
pub(crate) fn large() -> usize {
    if std::env::var_os("NOVA_SCENARIOS").is_some_and(|long| long == "long") { 64 << 20 } else { 4 << 20 }
}

pub(crate) fn calls_both_ways(cell: &Cell) {
    let pair = cell.pair();
    for (near, far) in [(&pair.worker, &pair.router), (&pair.router, &pair.worker)] {
        let bodies = [0, 1, 100, 16_384, 16_385, 300_000].map(|size| pattern(size, size + 7));
        for body in &bodies {
            assert_eq!(near.ask(call(ECHO, body)), Ok(body.clone()), "{} bytes", body.len());
        }
        let failing = pattern(5, 1);
        let failed = near.ask(call(FAIL, &failing));
        assert!(
            matches!(&failed, Err(CallError::Remote(error)) if error.code == ErrorCode::INVALID),
            "{failed:?}"
        );
        far.service.has_seen(bodies.iter().chain([&failing]));
    }
    pair.close();
}

fn a_thousand_in_flight(cell: &Cell) {
    const COUNT: usize = 1000;
    let pair = cell.pair_with(|config| config.limits.max_concurrent = COUNT as u32);
    let ends = [&pair.worker, &pair.router];
    let bodies: [Vec<Bytes>; 2] =
        [0, 1].map(|end| (0..COUNT).map(|index| pattern(8 + index, 2 * index + end)).collect());
    let pending: [Vec<Box<dyn Pending>>; 2] =
        [0, 1].map(|end| bodies[end].iter().map(|body| ends[end].call(call(HOLD, body))).collect());
    for end in ends {
        until("all are open at once", || match (end.service.held(), end.stats()) {
            (COUNT, stats) if (stats.calls, stats.serving) == (COUNT, COUNT) => Ok(()),
            other => Err(other),
        });
    }
    ends.iter().for_each(|end| end.service.release());
    for (pending, bodies) in pending.into_iter().zip(&bodies) {
        for (pending, body) in pending.into_iter().zip(bodies) {
            assert_eq!(wait(pending).as_ref(), Ok(body));
        }
    }
    ends[0].service.has_seen(&bodies[1]);
    ends[1].service.has_seen(&bodies[0]);
    pair.close();
}

fn cancel_on_drop(cell: &Cell) {
    let pair = cell.pair();
    for (near, far) in [(&pair.worker, &pair.router), (&pair.router, &pair.worker)] {
        let (unwanted, wanted) =
            (near.call(call(NEVER, &pattern(9, 1))), near.call(call(HOLD, &pattern(9, 2))));
        serving(far, 2);
        drop(unwanted);
        serving(far, 1);
        stopped(far, 1);
        far.service.release();
        assert_eq!(wait(wanted), Ok(pattern(9, 2)));
        near.idle();
    }
    pair.close();
}

fn deadlines(cell: &Cell) {
    let pair = cell.pair();
    for (near, far) in [(&pair.worker, &pair.router), (&pair.router, &pair.worker)] {
        let soon = |body: &Bytes| Call { timeout: Some(Duration::from_millis(50)), ..call(NEVER, body) };
        let pending = [1, 2, 3].map(|seed| near.call(soon(&pattern(9, seed))));
        for pending in pending {
            // Both sides count; whichever is first says it.
            let late = wait(pending).expect_err("nobody answers");
            let there = matches!(&late, CallError::Remote(error) if error.code == ErrorCode::DEADLINE);
            assert!(there || matches!(late, CallError::Deadline { .. }), "{late}");
        }
        near.idle();
        // A call that has not left when its time is over need not be seen there.
        until("handlers are told", || match (far.service.stopped(), far.service.seen().len()) {
            (stopped, seen) if stopped == seen => Ok(()),
            other => Err(other),
        });
        assert_eq!(near.ask(call(ECHO, &pattern(9, 4))), Ok(pattern(9, 4)), "the connection goes on");
    }
    pair.close();
}

fn drain(cell: &Cell) {
    for router_drains in [true, false] {
        let pair = cell.pair();
        let ends = [&pair.router, &pair.worker];
        let (near, far) = if router_drains { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
        let held = [near, far].map(|end| end.call(call(HOLD, &pattern(1000, 5))));
        serving(near, 1);
        serving(far, 1);
        near.calls().drain(NEVER_DUE);
        assert!(matches!(near.calls().call(call(ECHO, &Bytes::new())), Err(SendError::Draining)));
        until("the other side learns of it", || match far.calls().call(call(ECHO, &Bytes::new())) {
            Err(SendError::Draining) => Ok(()),
            Err(other) => panic!("{other}"),
            // Crossed on the way: it is refused, or was in time.
            Ok(crossed) => Err(wait(crossed).err()),
        });
        assert_eq!((near.calls().close_reason(), far.calls().close_reason()), (None, None));
        [near, far].iter().for_each(|end| end.service.release());
        for held in held {
            assert_eq!(wait(held), Ok(pattern(1000, 5)), "what was open is answered");
        }
        let (router, worker) = pair.ends();
        let (local, remote) = if router_drains { (router, worker) } else { (worker, router) };
        assert_eq!(local, CloseReason::Local(CloseCode::DRAINED));
        assert!(matches!(remote, CloseReason::Peer { code: CloseCode::DRAINED, .. }), "{remote}");
    }
}

fn close_with_calls_open(cell: &Cell) {
    let pair = cell.pair();
    let pending = [&pair.worker, &pair.router].map(|end| end.call(call(NEVER, &pattern(9, 1))));
    serving(&pair.router, 1);
    serving(&pair.worker, 1);
    pair.worker.calls().close(CloseCode::NORMAL, "enough");
    for pending in pending {
        assert_eq!(wait(pending), Err(CallError::Closed { retry_safe: false }));
    }
    let late = pair.worker.calls().call(call(ECHO, &Bytes::new()));
    assert!(matches!(late, Err(SendError::Closed)));
    let (router, worker) = pair.ends();
    assert_eq!(worker, CloseReason::Local(CloseCode::NORMAL));
    let expected = CloseReason::Peer { code: CloseCode::NORMAL, last_id: 2, message: "enough".to_owned() };
    assert_eq!(router, expected);
}

fn large_bodies_both_ways_at_once(cell: &Cell) {
    echo_at_once(&cell.pair_with(large_limits), ECHO);
}

/// Bodies go both ways at once, with one of two more behind each.
pub(crate) fn echo_at_once(pair: &Pair, method: u16) {
    let bodies = [1, 2].map(|seed| pattern(large(), seed));
    let ends = [&pair.router, &pair.worker];
    let pending = [0, 1].map(|index| (ends[index].call(call(method, &bodies[index])), &bodies[index]));
    for (pending, body) in pending {
        let answer = wait(pending).expect("answered");
        let right = if method == ECHO { answer == body } else { answer == blake3::hash(body).as_bytes()[..] };
        assert!(right, "{} bytes came back for {}", answer.len(), body.len());
    }
    pair.worker.service.has_seen([&bodies[0]]);
    pair.router.service.has_seen([&bodies[1]]);
}

/// Limits that let large bodies through.
pub(crate) fn large_limits(config: &mut nova_proto_core::Config) {
    config.limits.max_body = large() as u32;
    config.limits.work_budget = 4 * large() as u64;
}

/// A link that takes its time delays nothing but what is long, and breaks nothing.
fn slow_reader(cell: &Cell) {
    let (pair, middle) = cell.with_middle(|_| {});
    for (near, far) in [(&pair.worker, &pair.router), (&pair.router, &pair.worker)] {
        let (long, short) = (pattern(1 << 20, 3), pattern(100, 4));
        middle.set(Mode::Stuck);
        let long_answer = near.call(call(HASH, &long));
        until("the long body is under way", || match near.stats().bytes_sent {
            100_000.. => Ok(()),
            sent => Err(sent),
        });
        let short_answer = near.call(call(ECHO, &short));
        middle.set(Mode::Slow);
        assert_eq!(wait(short_answer), Ok(short.clone()));
        assert_eq!(wait(long_answer), Ok(Bytes::copy_from_slice(blake3::hash(&long).as_bytes())));
        middle.set(Mode::Flow);
        let order = [&short, &long].map(|body| blake3::hash(body));
        assert_eq!(far.service.seen(), order, "the short one overtakes");
    }
    pair.close();
}

/// A peer behind a link that takes nothing is given up by both sides' own timers.
fn stalled_peer(cell: &Cell) {
    let (pair, middle) = cell.with_middle(|config| {
        let quiet = Timers { keepalive: NEVER_DUE, stall: NEVER_DUE, ..config.timers };
        // Long enough that an end which has to wait for the processor is not taken for a stuck one.
        let soon = Duration::from_secs(1);
        config.timers = match config.role {
            nova_proto_core::Role::Router => Timers { stall: soon, ..quiet },
            nova_proto_core::Role::Worker => Timers { keepalive: soon, keepalive_grace: soon, ..quiet },
        };
    });
    assert_eq!(pair.worker.ask(call(ECHO, &pattern(9, 1))), Ok(pattern(9, 1)));
    middle.set(Mode::Stuck);
    let pending = [&pair.router, &pair.worker].map(|end| end.call(call(ECHO, &pattern(1 << 20, 3))));
    for pending in pending {
        assert_eq!(wait(pending), Err(CallError::Closed { retry_safe: false }));
    }
    drop(middle);
    let (router, worker) = pair.ends();
    assert_eq!(router, CloseReason::Timeout(CloseCode::SLOW_READER));
    assert_eq!(worker, CloseReason::Timeout(CloseCode::KEEPALIVE_TIMEOUT));
}

/// Whoever ends its sending direction has left, and gets no answers any more.
fn half_close(cell: &Cell) {
    let (pair, middle) = cell.with_middle(|_| {});
    let pending = [&pair.router, &pair.worker].map(|end| end.call(call(NEVER, &pattern(9, 1))));
    serving(&pair.router, 1);
    serving(&pair.worker, 1);
    middle.set(Mode::HalfClosed);
    for pending in pending {
        assert_eq!(wait(pending), Err(CallError::Closed { retry_safe: false }));
    }
    assert_eq!(pair.ends(), (CloseReason::Eof, CloseReason::Eof));
}

fn reset_in_mid_frame(cell: &Cell) {
    let (pair, middle) = cell.with_middle(|_| {});
    let small = pattern(9, 1);
    let held = [&pair.router, &pair.worker].map(|end| end.call(call(NEVER, &small)));
    serving(&pair.router, 1);
    serving(&pair.worker, 1);
    middle.cut_after(100_000);
    let long = pair.worker.call(call(ECHO, &pattern(1 << 20, 3)));
    for pending in held.into_iter().chain([long]) {
        assert_eq!(wait(pending), Err(CallError::Closed { retry_safe: false }));
    }
    pair.router.service.has_seen([&small]);
    assert_eq!(pair.ends(), (CloseReason::Eof, CloseReason::Eof));
}

fn serving(end: &Peer, count: usize) {
    until("requests are open", || match end.stats().serving {
        serving if serving == count => Ok(()),
        serving => Err(serving),
    });
}

fn stopped(end: &Peer, count: usize) {
    until("handlers are told to stop", || match end.service.stopped() {
        stopped if stopped == count => Ok(()),
        stopped => Err(stopped),
    });
}
