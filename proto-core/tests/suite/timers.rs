//! Time: everything that waits has an end, and nothing ends early.

use std::time::{Duration, Instant};

use nova_proto_core::{Call, CallError, CloseCode, CloseReason, Config, Connection, ErrorCode, Event, Role};

use crate::common::app::Profile;
use crate::common::for_seeds;
use crate::common::pair::{Pair, ROUTER, Setup};
use crate::common::rng::Rng;
use crate::common::traffic::{traffic, with_calls};
use crate::common::victim::Victim;
use crate::common::wire::{self, Ask, Offer};

pub(crate) const MS: Duration = Duration::from_millis(1);

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Nothing happens a millisecond before, and then this.
#[track_caller]
pub(crate) fn times_out(victim: &mut Victim, after: Duration, code: CloseCode) {
    assert_eq!(victim.pass(after - MS), []);
    assert_eq!(victim.conn.close_reason(), None);
    let events = victim.pass(MS);
    assert_eq!(events.last(), Some(&Event::Closed(CloseReason::Timeout(code))));
    assert_eq!(victim.conn.poll_timeout(), None, "no time matters any more");
}

#[test]
fn a_router_waits_5_seconds_for_a_hello_whatever_comes_of_it() {
    let mut victim = Victim::fresh(Config::new(Role::Router));
    assert_eq!(victim.conn.poll_timeout(), Some(victim.now + secs(5)));
    let opening = Offer::default().opening(Role::Worker);
    for byte in &opening[..4] {
        victim.pass(secs(1));
        victim.takes(&[*byte]);
    }
    times_out(&mut victim, secs(1), CloseCode::HANDSHAKE_TIMEOUT);
    assert_eq!(victim.output(), b"", "whoever it is, it has not said hello");
}

#[test]
fn a_router_that_does_not_decide_in_5_seconds_lets_nobody_in() {
    let mut victim = Victim::fresh(Config::new(Role::Router));
    victim.pass(secs(2));
    victim.takes(&Offer::default().opening(Role::Worker));
    times_out(&mut victim, secs(3), CloseCode::HANDSHAKE_TIMEOUT);
    let sent = victim.sent();
    assert_eq!((sent[0].kind, sent[0].int(0)), (wire::REJECT, u64::from(CloseCode::HANDSHAKE_TIMEOUT.0)));
}

#[test]
fn a_worker_waits_10_seconds_for_a_welcome() {
    let mut victim = Victim::fresh(Config::new(Role::Worker));
    victim.takes(wire::PREFACE);
    times_out(&mut victim, secs(10), CloseCode::HANDSHAKE_TIMEOUT);
}

#[test]
fn the_handshakes_deadline_ends_with_the_handshake() {
    let mut victim = Victim::router();
    assert_eq!(victim.pass(secs(6)), []);
    assert_eq!(victim.conn.close_reason(), None);
}

#[test]
fn a_silent_peer_is_pinged_after_10_seconds_and_given_up_after_20() {
    let mut victim = Victim::worker();
    assert_eq!(victim.conn.poll_timeout(), Some(victim.now + secs(10)));
    victim.pass(secs(10) - MS);
    assert_eq!(victim.output(), b"");
    victim.pass(MS);
    assert_eq!(victim.sent()[0].kind, wire::PING);
    times_out(&mut victim, secs(10), CloseCode::KEEPALIVE_TIMEOUT);
    let sent = victim.sent();
    assert_eq!((sent[0].kind, sent[0].int(0)), (wire::CLOSE, u64::from(CloseCode::KEEPALIVE_TIMEOUT.0)));
}

#[test]
fn anything_that_comes_shows_that_the_peer_lives() {
    let mut victim = Victim::worker();
    for _ in 0..10 {
        assert_eq!(victim.pass(secs(9)), []);
        victim.takes(&wire::raw(0x99, b""));
        assert_eq!(victim.output(), b"", "no ping is due");
    }
    // Even a part of a frame.
    for byte in wire::ping(5) {
        victim.pass(secs(9));
        victim.takes(&[byte]);
    }
    assert_eq!(victim.sent()[0].kind, wire::PONG);
}

#[test]
fn a_pong_measures_the_round_trip_and_the_next_ping_is_another() {
    let mut victim = Victim::router();
    victim.pass(secs(10));
    let first = victim.sent()[0].int(0);
    victim.now += 30 * MS;
    victim.takes(&wire::pong(first));
    assert_eq!(victim.conn.stats().round_trip, Some(30 * MS));
    victim.pass(secs(10));
    let second = victim.sent()[0].int(0);
    assert_ne!(first, second);
    victim.closes(&wire::pong(first), CloseCode::UNEXPECTED_PONG);
}

#[test]
fn a_ping_that_was_not_taken_by_the_driver_cannot_be_answered() {
    let mut victim = Victim::router();
    victim.pass(secs(10));
    victim.closes(&wire::pong(1), CloseCode::UNEXPECTED_PONG);
}

#[test]
fn one_ping_is_outstanding_at_a_time() {
    let mut victim = Victim::router();
    victim.pass(secs(10));
    assert_eq!(victim.sent().len(), 1);
    for _ in 0..20 {
        victim.pass(secs(1));
        victim.takes(&wire::raw(0x99, b""));
        assert_eq!(victim.output(), b"");
    }
}

#[test]
fn a_calls_deadline_ends_it_here_and_tells_the_peer() {
    let mut victim = Victim::router();
    let call = Call { timeout: Some(secs(2)), ..Call::new(1, "") };
    let key = victim.conn.call(call, victim.now).expect("open");
    assert_eq!(victim.sent()[0].int(6), 2000);
    assert_eq!(victim.pass(secs(2) - MS), []);
    assert_eq!(
        victim.pass(MS),
        [Event::Answer { key, result: Err(CallError::Deadline { retry_safe: false }) }]
    );
    assert_eq!(victim.sent()[0].kind, wire::CANCEL);
    assert_eq!(victim.takes(&wire::response(2, 0, b"").bytes()), [], "too late");
    victim.is_empty();
}

#[test]
fn a_call_that_still_waits_at_its_deadline_is_never_sent() {
    let limits = nova_proto_core::Limits { max_concurrent: 1, ..nova_proto_core::Limits::default() };
    let mut victim = Victim::with(Config::new(Role::Router), &Offer { limits, ..Offer::default() });
    victim.conn.call(Call::new(1, ""), victim.now).expect("open");
    let call = Call { timeout: Some(secs(2)), ..Call::new(2, "") };
    let key = victim.conn.call(call, victim.now).expect("it waits");
    assert_eq!(victim.sent().len(), 1);
    assert_eq!(
        victim.pass(secs(2)),
        [Event::Answer { key, result: Err(CallError::Deadline { retry_safe: true }) }]
    );
    victim.takes(&wire::response(2, 0, b"").bytes());
    assert_eq!(victim.output(), b"");
    victim.is_empty();
}

#[test]
fn the_time_a_call_waits_here_counts() {
    let mut victim = Victim::router();
    let call = Call { timeout: Some(secs(2)), ..Call::new(1, "") };
    victim.conn.call(call, victim.now).expect("open");
    victim.pass(secs(1));
    assert_eq!(victim.sent()[0].int(6), 1000);
}

#[test]
fn a_requests_deadline_is_told_to_its_handler_which_still_answers() {
    let mut victim = Victim::router();
    let events = victim.takes(&Ask { deadline_ms: 2000, ..Ask::default() }.frame(b"").bytes());
    let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(request.deadline, Some(victim.now + secs(2)));
    assert_eq!(victim.pass(secs(2) - MS), []);
    assert_eq!(victim.pass(MS), [Event::Cancelled { id: request.id }]);
    assert_eq!(victim.output(), b"", "not before the handler has ended");
    victim.conn.respond(request.id, "late").expect("owed");
    let sent = victim.sent();
    assert_eq!((sent[0].kind, sent[0].int(1)), (wire::ERROR, u64::from(ErrorCode::DEADLINE.0)));
    victim.is_empty();
}

#[test]
fn a_deadline_before_the_body_is_complete_is_answered_at_once() {
    let mut victim = Victim::router();
    victim.takes(&Ask { deadline_ms: 5, body_len: 5000, ..Ask::default() }.frame(&[0; 4096]).bytes());
    assert_eq!(victim.pass(5 * MS), []);
    assert_eq!(victim.sent()[0].int(1), u64::from(ErrorCode::DEADLINE.0));
    assert_eq!(victim.takes(&wire::chunk(1, &[0; 904])), [], "no handler begins");
    victim.is_empty();
}

#[test]
fn an_answer_in_time_is_not_taken_back_at_the_deadline() {
    let mut victim = Victim::router();
    let events = victim.takes(&Ask { deadline_ms: 5, ..Ask::default() }.frame(b"").bytes());
    let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
    victim.conn.respond(request.id, "in time").expect("owed");
    victim.pass(secs(1));
    assert_eq!(victim.sent()[0].kind, wire::RESPONSE);
}

#[test]
fn a_drain_ends_at_its_deadline() {
    let mut victim = Victim::router();
    victim.takes(&wire::request(1, b""));
    victim.conn.drain(secs(3), victim.now).expect("open");
    let sent = victim.sent();
    assert_eq!((sent[0].kind, sent[0].int(0)), (wire::GOAWAY, 3000));
    assert_eq!(victim.pass(secs(3) - MS), []);
    let reason = CloseReason::Local(CloseCode::DRAIN_DEADLINE);
    assert_eq!(victim.pass(MS), [Event::Closed(reason)]);
    assert_eq!(victim.sent()[0].int(0), u64::from(CloseCode::DRAIN_DEADLINE.0));
}

#[test]
fn a_second_drain_does_not_move_the_deadline() {
    let mut victim = Victim::router();
    victim.takes(&wire::request(1, b""));
    victim.conn.drain(secs(3), victim.now).expect("open");
    victim.conn.drain(secs(300), victim.now).expect("open");
    assert_eq!(victim.sent().len(), 1, "said once");
    assert_eq!(victim.pass(secs(3)).len(), 1);
}

#[test]
fn time_that_goes_back_changes_nothing() {
    let now = Instant::now() + secs(100);
    let mut conn = Connection::new(Config::new(Role::Router), now).expect("good");
    conn.handle_timeout(now - secs(50));
    conn.receive(&[0x16], now - secs(99));
    assert_eq!(conn.poll_timeout(), Some(now + secs(5)));
    conn.handle_timeout(now + secs(5));
    assert!(conn.is_closed());

    let mut victim = Victim::router();
    victim.pass(secs(9));
    victim.conn.receive(&wire::ping(1), victim.now - secs(9));
    assert_eq!(victim.events(), []);
    victim.output();
    assert_eq!(victim.conn.poll_timeout(), Some(victim.now + secs(10)), "it came now");
}

#[test]
fn an_early_or_repeated_timeout_does_no_harm() {
    let mut victim = Victim::router();
    for _ in 0..1000 {
        assert_eq!(victim.pass(Duration::ZERO), []);
    }
    assert_eq!(victim.output(), b"");
    assert_eq!(victim.conn.poll_timeout(), Some(victim.now + secs(10)));
}

#[test]
fn a_link_that_is_cut_silently_is_noticed_by_both_sides_in_20_seconds() {
    for_seeds(50, |seed| {
        let mut pair = Pair::connected(seed, Setup::new(Profile::busy(3)));
        pair.run_for(Duration::from_millis(seed % 40));
        pair.pipes.iter_mut().for_each(|pipe| pipe.stalled = true);
        let start = pair.now;
        pair.run_to_the_end();
        assert!(pair.now - start <= secs(20), "{:?}", pair.now - start);
        for side in &pair.sides {
            assert!(matches!(side.app.closed, Some(CloseReason::Timeout(_))), "{:?}", side.app.closed);
        }
    });
}

#[test]
fn an_idle_connection_lives_for_ever_on_few_frames() {
    let mut pair = Pair::connected(1, Setup::new(Profile::idle()));
    let before = pair.sides[ROUTER].conn.stats().bytes_sent;
    pair.run_for(secs(24 * 60 * 60));
    for side in &pair.sides {
        assert_eq!(side.app.closed, None);
    }
    let bytes = pair.sides[ROUTER].conn.stats().bytes_sent - before;
    assert!(bytes < 24 * 60 * 60 / 10 * 30, "{bytes} bytes a day");
}

/// `poll_timeout` is the very moment: nothing is due before it, and something is done at it.
#[test]
fn the_next_timeout_is_neither_early_nor_late() {
    for_seeds(300, |seed| {
        let mut rng = Rng::new(seed);
        let mut victim = with_calls();
        for frame in traffic(&mut rng) {
            victim.takes(&frame);
            if rng.percent(60) {
                victim.output();
            }
            let next = victim.conn.poll_timeout().expect("a living connection has a next time");
            if rng.percent(50) && next > victim.now + MS {
                let time = next - victim.now;
                let before = format!("{:?}", victim.conn.stats());
                assert_eq!(victim.pass(time - MS), [], "nothing is due before");
                assert_eq!(format!("{:?}", victim.conn.stats()), before);
                let told = victim.pass(MS).len();
                let after = victim.conn.poll_timeout();
                assert!(after.is_none_or(|after| after > victim.now), "it is over");
                let pinged = victim.sent().iter().any(|frame| frame.kind == wire::PING);
                assert!(told > 0 || pinged || after > Some(next), "something was due");
            }
            if victim.conn.is_closed() {
                break;
            }
        }
    });
}
