//! Drain and close: what crosses is refused, what is open is finished, and who may retry knows it.

use std::time::Duration;

use nova_proto_core::{
    Call, CallError, CloseCode, CloseReason, ErrorCode, Event, Limits, Retry, Role, SendError,
};

use crate::common::victim::Victim;
use crate::common::wire::{self, Ask};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn an_idle_side_that_drains_says_so_and_closes() {
    let mut victim = Victim::router();
    victim.conn.drain(MINUTE, victim.now).expect("open");
    assert_eq!(victim.events(), [], "the peer is told first");
    let kinds: Vec<u8> = victim.sent().iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds, [wire::GOAWAY, wire::CLOSE]);
    assert_eq!(victim.events(), [Event::Closed(CloseReason::Local(CloseCode::DRAINED))]);
}

#[test]
fn requests_that_cross_a_drain_are_refused_and_may_go_elsewhere() {
    let mut victim = Victim::router();
    victim.takes(&wire::request(1, b""));
    victim.conn.drain(MINUTE, victim.now).expect("open");
    assert_eq!(victim.takes(&wire::request(3, b"x")), []);
    let sent = victim.sent();
    assert_eq!(sent.iter().map(|frame| frame.kind).collect::<Vec<_>>(), [wire::GOAWAY, wire::ERROR]);
    assert_eq!((sent[1].int(0), sent[1].int(1)), (3, u64::from(ErrorCode::REFUSED.0)));
    assert_eq!(sent[1].int(2), 2, "elsewhere");
    assert_eq!(victim.conn.stats().serving, 1);
}

#[test]
fn the_peer_is_told_of_the_drain_even_if_the_last_answer_comes_first() {
    let mut victim = Victim::router();
    victim.conn.call(Call::new(1, ""), victim.now).expect("open");
    victim.output();
    victim.conn.drain(MINUTE, victim.now).expect("open");
    assert!(matches!(victim.takes(&wire::response(2, 0, b"").bytes())[..], [Event::Answer { .. }]));
    let kinds: Vec<u8> = victim.sent().iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds, [wire::GOAWAY, wire::CLOSE]);
}

#[test]
fn a_refused_request_with_a_body_is_over_when_its_body_is() {
    for finish in [wire::cancel(3), wire::chunk(3, &[0; 3904])] {
        let mut victim = Victim::router();
        victim.takes(&wire::request(1, b""));
        victim.conn.drain(MINUTE, victim.now).expect("open");
        victim.takes(
            &Ask { id: 3, body_len: 8000, deadline_ms: 1, ..Ask::default() }.frame(&[0; 4096]).bytes(),
        );
        assert_eq!(victim.sent().len(), 2);
        assert_eq!(victim.pass(Duration::from_secs(1)), [], "its deadline does not matter any more");
        assert_eq!(victim.conn.stats().serving, 2);
        assert_eq!(victim.takes(&finish), []);
        assert_eq!((victim.conn.stats().serving, victim.output()), (1, Vec::new()));
    }
}

#[test]
fn what_is_open_is_finished_on_both_sides() {
    let mut victim = Victim::router();
    let key = victim.conn.call(Call::new(1, ""), victim.now).expect("open");
    let events = victim.takes(&wire::request(1, b""));
    let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
    victim.output();
    victim.conn.drain(MINUTE, victim.now).expect("open");
    assert_eq!(victim.sent().len(), 1);
    assert!(
        matches!(victim.takes(&wire::response(2, 0, b"").bytes())[..], [Event::Answer { key: ended, .. }] if ended == key)
    );
    victim.conn.respond(request.id, "done").expect("owed");
    let kinds: Vec<u8> = victim.sent().iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds, [wire::RESPONSE, wire::CLOSE]);
}

#[test]
fn calls_that_wait_fail_when_either_side_drains() {
    for theirs in [false, true] {
        let limits = Limits { max_concurrent: 1, ..Limits::default() };
        let offer = wire::Offer { limits, ..wire::Offer::default() };
        let mut victim = Victim::with(nova_proto_core::Config::new(Role::Router), &offer);
        victim.conn.call(Call::new(1, ""), victim.now).expect("open");
        victim.output();
        let waiting = victim.conn.call(Call::new(1, ""), victim.now).expect("it waits");
        let stats = victim.conn.stats();
        assert_eq!((stats.calls, stats.calls_open), (2, 1));
        let mut events = if theirs {
            victim.takes(&wire::goaway(500))
        } else {
            victim.conn.drain(MINUTE, victim.now).expect("open");
            victim.events()
        };
        if theirs {
            assert_eq!(events.remove(0), Event::Draining { within: Duration::from_millis(500) });
        }
        assert_eq!(events, [Event::Answer { key: waiting, result: Err(CallError::Draining) }]);
        assert_eq!(victim.conn.call(Call::new(1, ""), victim.now), Err(SendError::Draining));
        assert_eq!(victim.conn.stats().calls, 1);
    }
}

#[test]
fn a_side_that_does_not_drain_itself_stays_until_the_other_closes() {
    let mut victim = Victim::router();
    victim.takes(&wire::goaway(500));
    victim.pass(Duration::from_secs(5));
    assert_eq!(victim.conn.close_reason(), None);
    assert_eq!(victim.output(), b"");
    let events = victim.feed(&wire::close(1, 0, b"").bytes());
    assert!(matches!(events[..], [Event::Closed(CloseReason::Peer { code: CloseCode::DRAINED, .. })]));
}

#[test]
fn the_requests_above_the_highest_seen_may_be_sent_again() {
    let mut victim = Victim::router();
    for _ in 0..3 {
        victim.conn.call(Call::new(1, ""), victim.now).expect("open");
    }
    victim.output();
    victim.conn.call(Call::new(1, ""), victim.now).expect("open, not sent");
    let events = victim.feed(&wire::close(0, 4, b"").bytes());
    let safe: Vec<bool> = events
        .iter()
        .filter_map(|event| match event {
            Event::Answer { result: Err(CallError::Closed { retry_safe }), .. } => Some(*retry_safe),
            _ => None,
        })
        .collect();
    assert_eq!(safe, [false, false, true, true]);
    assert!(matches!(events.last(), Some(Event::Closed(_))));
}

#[test]
fn without_a_close_only_what_was_never_sent_may_be_sent_again() {
    let mut victim = Victim::router();
    victim.conn.call(Call::new(1, ""), victim.now).expect("open");
    victim.output();
    victim.conn.call(Call::new(1, ""), victim.now).expect("open, not sent");
    victim.conn.receive_eof();
    let events = victim.events();
    let safe = |event: &Event| {
        matches!(event, Event::Answer { result: Err(CallError::Closed { retry_safe: true }), .. })
    };
    assert_eq!(events.iter().map(safe).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(events[2], Event::Closed(CloseReason::Eof));
}

#[test]
fn a_close_says_which_requests_were_seen() {
    let mut victim = Victim::router();
    victim.conn.close(CloseCode::NORMAL, "bye");
    assert_eq!(victim.output(), wire::close(0, 0, b"bye").bytes());
    let mut victim = Victim::router();
    victim.takes(&wire::request(9, b""));
    victim.conn.close(CloseCode::INTERNAL, "");
    assert_eq!(victim.output(), wire::close(3, 9, b"").bytes());
}

#[test]
fn the_request_that_breaks_a_limit_is_not_called_seen() {
    let limits = Limits { max_concurrent: 1, ..Limits::default() };
    let mut victim = Victim::open(Role::Router, limits);
    victim.takes(&wire::request(1, b""));
    victim.feed(&wire::request(3, b""));
    assert_eq!(victim.code(), CloseCode::TOO_MANY_REQUESTS);
    assert_eq!(victim.sent()[0].int(1), 1, "3 was not started");
}

#[test]
fn nothing_is_sent_behind_a_close() {
    let mut victim = Victim::router();
    let key = victim.conn.call(Call::new(1, vec![0; 1 << 20]), victim.now).expect("open");
    victim.conn.close(CloseCode::NORMAL, "");
    assert!(!victim.conn.cancel(key));
    victim.conn.close(CloseCode::INTERNAL, "a second time");
    let sent = victim.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].kind, sent[0].int(0)), (wire::CLOSE, 0));
    assert_eq!(victim.output(), b"");
}

#[test]
fn an_answer_for_a_connection_that_ended_is_not_owed() {
    let mut victim = Victim::router();
    let events = victim.takes(&wire::request(1, b""));
    let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
    victim.conn.close(CloseCode::NORMAL, "");
    assert_eq!(victim.conn.respond(request.id, ""), Err(SendError::NoSuchRequest));
}

#[test]
fn errors_carry_their_retry_hint_and_a_message_that_is_cut() {
    let mut victim = Victim::router();
    let events = victim.takes(&wire::request(1, b""));
    let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
    let error = nova_proto_core::ErrorReply {
        code: ErrorCode::REFUSED,
        retry: Retry::Later(Duration::from_secs(5_000_000)),
        message: "m".repeat(600),
    };
    victim.conn.respond_error(request.id, error).expect("owed");
    let sent = victim.sent();
    assert_eq!(sent[0].int(3), u64::from(u32::MAX), "the longest the wire can say");
    assert_eq!(sent[0].int(4), 512);
}

#[test]
fn a_drained_pair_closes_from_either_side() {
    use crate::common::app::Profile;
    use crate::common::pair::{Pair, Setup};
    for first in 0..2 {
        let mut pair = Pair::connected(1, Setup::new(Profile::idle()));
        let now = pair.now;
        pair.sides[first].conn.drain(MINUTE, now).expect("open");
        pair.run_to_the_end();
        for side in &pair.sides {
            assert_eq!(side.app.closed.as_ref().and_then(CloseReason::code), Some(CloseCode::DRAINED));
        }
        assert!(pair.sides[1 - first].app.drain_seen.is_some());
    }
}
