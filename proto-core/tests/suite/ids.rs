//! Request ids: who may use which, in what order, and how they end.

use std::time::Duration;

use nova_proto_core::{Call, CloseCode, CloseReason, Config, Event, Role, SendError};

use crate::common::victim::Victim;
use crate::common::wire::{self, Ask, Offer};

#[test]
fn zero_names_no_request_in_any_frame() {
    for frame in [
        wire::request(0, b""),
        wire::response(0, 0, b"").bytes(),
        wire::chunk(0, b""),
        wire::error(0, 1).bytes(),
        wire::cancel(0),
    ] {
        Victim::router().closes(&frame, CloseCode::ID_ZERO);
        Victim::worker().closes(&frame, CloseCode::ID_ZERO);
    }
}

#[test]
fn each_side_opens_ids_of_its_own_parity() {
    for id in [2, 4, u64::MAX - 1] {
        Victim::router().closes(&wire::request(id, b""), CloseCode::ID_PARITY);
        Victim::worker().takes(&wire::request(id, b""));
    }
    for id in [1, 3, u64::MAX] {
        Victim::worker().closes(&wire::request(id, b""), CloseCode::ID_PARITY);
        Victim::router().takes(&wire::request(id, b""));
    }
}

#[test]
fn only_the_requester_cancels() {
    let mut victim = Victim::router();
    victim.conn.call(Call::new(1, ""), victim.now).expect("open");
    victim.output();
    victim.closes(&wire::cancel(2), CloseCode::ID_PARITY);
}

#[test]
fn ids_increase_and_may_leave_gaps() {
    let mut victim = Victim::router();
    for id in [1, 3, 9, 1001, (1 << 40) + 1] {
        victim.takes(&wire::request(id, b""));
    }
    victim.closes(&wire::request((1 << 40) - 1, b""), CloseCode::ID_ORDER);
}

#[test]
fn an_id_is_never_used_twice_open_or_answered() {
    let mut victim = Victim::router();
    victim.takes(&wire::request(1, b""));
    victim.closes(&wire::request(1, b""), CloseCode::ID_ORDER);

    let mut victim = Victim::router();
    let events = victim.takes(&wire::request(1, b""));
    let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
    victim.conn.respond(request.id, "").expect("owed");
    // Neither before nor after the answer is out.
    let mut early = Victim::router();
    early.takes(&wire::request(1, b""));
    early.closes(&[wire::request(1, b""), wire::request(1, b"")].concat(), CloseCode::ID_ORDER);
    victim.output();
    victim.is_empty();
    victim.closes(&wire::request(1, b""), CloseCode::ID_ORDER);
}

#[test]
fn the_order_is_checked_before_anything_else_of_the_request() {
    let mut victim = Victim::router();
    victim.takes(&wire::request(5, b""));
    let ask = Ask { id: 3, body_len: u32::MAX, codec: 9, ..Ask::default() };
    victim.closes(&ask.frame(&[0; 5000]).bytes()[..1028], CloseCode::ID_ORDER);
}

#[test]
fn a_request_keeps_its_slot_until_its_answer_is_out() {
    let mut victim = Victim::router();
    let events = victim.takes(&wire::request(1, b""));
    let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
    victim.conn.respond(request.id, "").expect("owed");
    assert_eq!(victim.conn.stats().serving, 1);
    victim.output();
    assert_eq!(victim.conn.stats().serving, 0);
}

#[test]
fn a_request_answered_early_keeps_its_slot_until_its_body_has_ended() {
    for finish in [wire::chunk(1, &[0; 5000 - 4096]), wire::cancel(1)] {
        let mut victim = Victim::router();
        let ask = Ask { body_len: 5000, deadline_ms: 1, reply_max: 50_000, ..Ask::default() };
        victim.takes(&ask.frame(&[0; 4096]).bytes());
        assert_eq!(victim.pass(Duration::from_millis(1)), [], "no handler had begun");
        assert_eq!(victim.sent()[0].kind, wire::ERROR);
        assert_eq!((victim.conn.stats().serving, victim.conn.stats().serving_cost), (1, 55_000));
        assert_eq!(victim.takes(&finish), []);
        victim.is_empty();
        victim.closes(&wire::chunk(1, b""), CloseCode::ID_NOT_OPEN);
    }
}

#[test]
fn answers_to_what_was_never_asked_close() {
    for id in [2, 1, 999] {
        Victim::router().closes(&wire::response(id, 0, b"").bytes(), CloseCode::ID_NOT_OPEN);
        Victim::router().closes(&wire::error(id, 1).bytes(), CloseCode::ID_NOT_OPEN);
        Victim::router().closes(&wire::chunk(id, b""), CloseCode::ID_NOT_OPEN);
    }
}

#[test]
fn a_call_has_one_answer() {
    let answers = [wire::response(2, 0, b"").bytes(), wire::error(2, 1).bytes()];
    for first in &answers {
        for second in &answers {
            let mut victim = Victim::router();
            victim.conn.call(Call::new(1, ""), victim.now).expect("open");
            victim.output();
            victim.takes(first);
            victim.closes(second, CloseCode::ID_NOT_OPEN);
        }
    }
}

#[test]
fn a_call_has_one_answer_even_while_its_own_body_goes_on() {
    let answers = [wire::response(2, 0, b"").bytes(), wire::error(2, 1).bytes()];
    for first in &answers {
        for second in answers.iter().chain([&wire::chunk(2, b"")]) {
            let mut victim = Victim::router();
            victim.conn.call(Call::new(1, vec![0; 2 << 20]), victim.now).expect("open");
            victim.output();
            victim.takes(first);
            assert_eq!(victim.conn.stats().calls, 1);
            victim.closes(second, CloseCode::ID_NOT_OPEN);
        }
    }
}

#[test]
fn a_response_begins_once() {
    let mut victim = Victim::router();
    let call = Call { reply_max: 50_000, ..Call::new(1, "") };
    victim.conn.call(call, victim.now).expect("open");
    victim.output();
    victim.takes(&wire::response(2, 50_000, &[0; 5000]).bytes());
    victim.closes(&wire::response(2, 50_000, &[0; 5000]).bytes(), CloseCode::ID_NOT_OPEN);
}

#[test]
fn a_cancelled_call_still_takes_its_answer_and_nothing_more() {
    let mut victim = Victim::router();
    let key = victim.conn.call(Call::new(1, ""), victim.now).expect("open");
    victim.output();
    assert!(victim.conn.cancel(key));
    assert_eq!(victim.sent()[0].kind, wire::CANCEL);
    assert_eq!(victim.conn.stats().calls, 1, "until the peer has answered");
    assert_eq!(victim.takes(&wire::error(2, 2).bytes()), [], "nobody wants it");
    victim.is_empty();
    victim.closes(&wire::error(2, 2).bytes(), CloseCode::ID_NOT_OPEN);
}

#[test]
fn a_cancel_for_a_known_closed_id_is_ignored_and_above_the_highest_it_closes() {
    let mut victim = Victim::router();
    let events = victim.takes(&wire::request(7, b""));
    let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
    victim.conn.respond(request.id, "").expect("owed");
    victim.output();
    for id in [7, 7, 5, 1] {
        assert_eq!(victim.takes(&wire::cancel(id)), []);
    }
    assert_eq!(victim.output(), b"");
    victim.closes(&wire::cancel(9), CloseCode::ID_NOT_OPEN);
}

#[test]
fn a_second_cancel_does_nothing() {
    let mut victim = Victim::router();
    victim.takes(&wire::request(1, b""));
    assert!(matches!(victim.takes(&wire::cancel(1))[..], [Event::Cancelled { .. }]));
    assert_eq!(victim.takes(&wire::cancel(1)), []);
}

#[test]
fn without_cancellation_agreed_a_cancel_closes() {
    let mut victim = Victim::with(Config::new(Role::Router), &Offer { features: 0, ..Offer::default() });
    victim.takes(&wire::request(1, b""));
    victim.closes(&wire::cancel(1), CloseCode::CANCEL_NOT_AGREED);
}

#[test]
fn without_cancellation_agreed_an_abandoned_answer_is_thrown_away() {
    let mut victim = Victim::with(Config::new(Role::Router), &Offer { features: 0, ..Offer::default() });
    let call = Call { reply_max: 50_000, ..Call::new(1, "") };
    let key = victim.conn.call(call, victim.now).expect("open");
    victim.output();
    assert!(victim.conn.cancel(key));
    assert_eq!(victim.output(), b"", "nothing to say");
    victim.takes(&wire::response(2, 50_000, &[0; 40_000]).bytes());
    assert_eq!(victim.takes(&wire::chunk(2, &[0; 10_000])), []);
    victim.is_empty();
}

#[test]
fn ids_are_given_out_in_the_order_of_sending() {
    let config = Config { first_id: 1000, ..Config::new(Role::Worker) };
    let mut victim = Victim::with(config, &Offer::default());
    let keys = [1, 2, 3].map(|n| victim.conn.call(Call::new(n, ""), victim.now).expect("open"));
    assert!(victim.conn.cancel(keys[1]), "before it had an id");
    let sent: Vec<_> = victim.sent().iter().map(|frame| (frame.int(0), frame.int(1))).collect();
    assert_eq!(sent, [(1001, 1), (1003, 3)]);
}

#[test]
fn the_last_ids_are_used_and_then_the_connection_drains() {
    for (role, last) in [(Role::Router, u64::MAX - 1), (Role::Worker, u64::MAX)] {
        let config = Config { first_id: u64::MAX - 3, ..Config::new(role) };
        let mut victim = Victim::with(config, &Offer::default());
        let now = victim.now;
        for timeout in [None, Some(Duration::from_secs(7))] {
            victim.conn.call(Call { timeout, ..Call::new(1, "") }, now).expect("open");
        }
        let ids: Vec<u64> = victim.sent().iter().map(|frame| frame.int(0)).collect();
        assert_eq!(ids, [last - 2, last]);
        assert!(victim.conn.call(Call::new(1, ""), now).is_ok(), "not known before it is its turn");
        assert_eq!(victim.sent()[0].kind, wire::GOAWAY);
        assert_eq!(victim.events().len(), 1);
        assert_eq!(victim.conn.call(Call::new(1, ""), now), Err(SendError::Draining));
        assert_eq!(victim.conn.poll_timeout(), Some(now + Duration::from_secs(7)), "the open call's");
        victim.takes(&wire::response(last, 0, b"").bytes());
        let events = victim.feed(&wire::error(last - 2, 1).bytes());
        let reason = CloseReason::Local(CloseCode::IDS_EXHAUSTED);
        assert_eq!(events.last(), Some(&Event::Closed(reason)));
        assert_eq!(victim.sent()[0].kind, wire::CLOSE);
    }
}
