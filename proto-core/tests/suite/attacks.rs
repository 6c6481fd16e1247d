//! The worst a peer can do, with numbers: what it costs us, and how it ends.

use std::time::Duration;

use nova_proto_core::{Call, CloseCode, CloseReason, Config, Event, Limits, RequestId, Role};

use crate::common::victim::{Victim, small_limits};
use crate::common::wire::{self, Ask, Offer};

#[test]
fn request_and_cancel_pairs_hold_a_slot_until_the_handler_has_ended() {
    let mut victim = Victim::router();
    let mut pairs = 0;
    while !victim.conn.is_closed() {
        let id = 2 * pairs + 1;
        victim.feed(&[wire::request(id, b""), wire::cancel(id)].concat());
        victim.output();
        assert!(victim.conn.stats().serving <= 256);
        pairs += 1;
        assert!(pairs < 1000);
    }
    assert_eq!((pairs, victim.code()), (257, CloseCode::TOO_MANY_REQUESTS));
}

#[test]
fn request_and_cancel_pairs_against_quick_handlers_only_cost_time() {
    let mut victim = Victim::router();
    for pair in 0..200_000 {
        let id = 2 * pair + 1;
        let events = victim.feed(&[wire::request(id, b""), wire::cancel(id)].concat());
        let [Event::Request(request), Event::Cancelled { .. }] = &events[..] else { panic!("{events:?}") };
        victim.conn.respond(request.id, "").expect("owed");
        victim.output();
        assert!(victim.conn.stats().serving <= 1);
    }
    victim.is_empty();
}

#[test]
fn cancelled_uploads_hold_a_slot_until_their_answer_is_taken() {
    let mut victim = Victim::router();
    let ask = Ask { body_len: 10_000, ..Ask::default() };
    let mut pairs = 0;
    while !victim.conn.is_closed() {
        let id = 2 * pairs + 1;
        // Nobody reads: no answer is taken.
        victim.feed(&[Ask { id, ..ask }.frame(&[0; 4096]).bytes(), wire::cancel(id)].concat());
        pairs += 1;
        assert!(pairs < 1000);
    }
    assert_eq!((pairs, victim.code()), (257, CloseCode::TOO_MANY_REQUESTS));
}

#[test]
fn an_endless_row_of_unknown_frames_ends_at_101() {
    let mut victim = Victim::router();
    let mut frames = 0;
    while !victim.conn.is_closed() {
        victim.feed(&wire::raw(0x80 + (frames % 128) as u8, &[0; 100]));
        frames += 1;
    }
    assert_eq!((frames, victim.code()), (101, CloseCode::TOO_MANY_UNKNOWN));
}

#[test]
fn empty_chunks_end_at_the_first() {
    let mut victim = Victim::router();
    victim.takes(&Ask { body_len: 10_000, ..Ask::default() }.frame(&[0; 4096]).bytes());
    victim.closes(&wire::chunk(1, b""), CloseCode::CHUNK_TOO_SMALL);
    let mut victim = Victim::router();
    let call = Call { reply_max: 50_000, ..Call::new(1, "") };
    victim.conn.call(call, victim.now).expect("open");
    victim.output();
    victim.takes(&wire::response(2, 10_000, &[0; 4096]).bytes());
    victim.closes(&wire::chunk(2, b""), CloseCode::CHUNK_TOO_SMALL);
}

#[test]
fn tiny_chunks_end_at_the_first() {
    let mut victim = Victim::router();
    victim
        .closes(&Ask { body_len: 100_000, ..Ask::default() }.frame(b"x").bytes(), CloseCode::CHUNK_TOO_SMALL);
    let mut victim = Victim::router();
    victim.takes(&Ask { body_len: 100_000, ..Ask::default() }.frame(&[0; 4096]).bytes());
    victim.closes(&wire::chunk(1, b"x"), CloseCode::CHUNK_TOO_SMALL);
}

#[test]
fn a_peer_that_answers_nothing_but_asks_gets_no_more_than_its_slots() {
    let mut victim = Victim::open(Role::Router, small_limits());
    let mut answered = Vec::new();
    for n in 0..4 {
        let events =
            victim.takes(&Ask { id: 2 * n + 1, reply_max: 16_384, ..Ask::default() }.frame(b"").bytes());
        let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
        answered.push(request.id);
        victim.conn.respond(request.id, vec![0; 16_384]).expect("owed");
    }
    // It reads nothing; what is answered still holds its slot.
    assert_eq!(victim.conn.stats().serving, 4);
    victim.closes(&wire::request(9, b""), CloseCode::TOO_MANY_REQUESTS);
}

#[test]
fn a_promise_of_endless_replies_is_refused_by_the_budget() {
    let mut victim = Victim::router();
    let each = Limits::default().max_body;
    let ask = |id| Ask { id, reply_max: each, ..Ask::default() }.frame(b"").bytes();
    for n in 0..4 {
        victim.takes(&ask(2 * n + 1));
    }
    assert_eq!(victim.conn.stats().serving_cost, Limits::default().work_budget);
    victim.closes(&ask(9), CloseCode::WORK_BUDGET);
}

#[test]
fn a_peer_that_never_reads_is_given_up_in_10_seconds() {
    let mut victim = Victim::router();
    for n in 0..4 {
        let ask = Ask { id: 2 * n + 1, reply_max: 1 << 20, ..Ask::default() };
        let events = victim.takes(&ask.frame(b"").bytes());
        let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
        victim.conn.respond(request.id, vec![0; 1 << 20]).expect("owed");
    }
    let sent = victim.output().len();
    assert!(sent < 540_000, "{sent} bytes go into the window, not 4 MiB");
    // It keeps sending, to look alive.
    for n in 0..9 {
        victim.pass(Duration::from_secs(1));
        victim.takes(&wire::ping(n));
        victim.output();
    }
    victim.pass(Duration::from_secs(1));
    assert_eq!(victim.conn.close_reason(), Some(&CloseReason::Timeout(CloseCode::SLOW_READER)));
    victim.is_empty();
}

#[test]
fn a_flood_of_pings_is_answered_by_one_pong() {
    let mut victim = Victim::router();
    for nonce in 0..100_000 {
        victim.takes(&wire::ping(nonce));
    }
    assert_eq!(victim.output(), wire::pong(99_999));
}

#[test]
fn a_flood_of_cancels_for_closed_requests_is_nothing() {
    let mut victim = Victim::router();
    let events = victim.takes(&wire::request(99_999, b""));
    let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
    victim.conn.respond(request.id, "").expect("owed");
    victim.output();
    for id in 0..100_000 {
        assert_eq!(victim.takes(&wire::cancel(2 * (id % 50_000) + 1)), []);
    }
    assert_eq!(victim.output(), b"");
}

#[test]
fn a_flood_of_goaways_is_one_drain() {
    let mut victim = Victim::router();
    assert_eq!(victim.takes(&wire::goaway(1)).len(), 1);
    for after in 0..10_000 {
        assert_eq!(victim.takes(&wire::goaway(after)), []);
    }
}

#[test]
fn a_flood_of_requests_at_a_draining_side_is_refused_within_its_slots() {
    let mut victim = Victim::router();
    victim.takes(&wire::request(1, b""));
    victim.conn.drain(Duration::from_secs(30), victim.now).expect("open");
    victim.output();
    for n in 1..100_000 {
        assert_eq!(victim.takes(&wire::request(2 * n + 1, b"")), [], "no handler hears of it");
        assert_eq!(victim.sent().len(), 1);
        assert!(victim.conn.stats().serving <= 2);
    }
    // Without reading the refusals, it ends at the limit.
    let mut extra = 0;
    while !victim.conn.is_closed() {
        victim.feed(&wire::request(1_000_001 + 2 * extra, b""));
        extra += 1;
    }
    assert_eq!((extra, victim.code()), (256, CloseCode::TOO_MANY_REQUESTS));
}

#[test]
fn refused_uploads_that_never_end_hold_their_slots_only() {
    let mut victim = Victim::open(Role::Router, small_limits());
    victim.takes(&wire::request(1, b""));
    victim.conn.drain(Duration::from_secs(30), victim.now).expect("open");
    let ask = |id| Ask { id, body_len: 50_000, ..Ask::default() }.frame(&[0; 10_000]).bytes();
    for n in 1..4 {
        victim.takes(&ask(2 * n + 1));
        victim.output();
    }
    assert_eq!(victim.conn.stats().serving, 4);
    victim.closes(&ask(9), CloseCode::TOO_MANY_REQUESTS);
}

#[test]
fn an_acknowledgement_is_of_enough_that_is_new_and_was_sent() {
    let mut victim = Victim::router();
    victim.conn.call(Call::new(1, vec![0; 1000]), victim.now).expect("open");
    victim.closes(&wire::ack(1), CloseCode::ACK_AHEAD);
    for (acks, code) in [
        (&[200_001][..], CloseCode::ACK_AHEAD),
        (&[0], CloseCode::ACK_NO_PROGRESS),
        (&[65_535], CloseCode::ACK_NO_PROGRESS),
        (&[65_536, 65_536], CloseCode::ACK_NO_PROGRESS),
        (&[70_000, 69_999], CloseCode::ACK_NO_PROGRESS),
        (&[70_000, 135_535], CloseCode::ACK_NO_PROGRESS),
        (&[70_000, 135_536, 200_000], CloseCode::ACK_NO_PROGRESS),
        (&[u64::MAX], CloseCode::ACK_AHEAD),
    ] {
        let mut victim = Victim::router();
        victim.conn.call(Call::new(1, vec![0; 200_000]), victim.now).expect("open");
        victim.output();
        let (last, first) = acks.split_last().expect("one at least");
        for ack in first {
            victim.takes(&wire::ack(*ack));
        }
        victim.closes(&wire::ack(*last), code);
    }
}

#[test]
fn headers_and_skipped_frames_are_not_acknowledged() {
    let mut victim = Victim::router();
    for n in 0..100 {
        victim.takes(&wire::raw(0x80, &[0; 10_000]));
        let events = victim.takes(&wire::request(2 * n + 1, b""));
        let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
        victim.conn.respond(request.id, "").expect("owed");
        assert!(victim.sent().iter().all(|frame| frame.kind != wire::ACK));
    }
}

#[test]
fn body_bytes_are_acknowledged_every_64_kib_even_if_nobody_wants_them() {
    let mut victim = Victim::router();
    victim.conn.drain(Duration::from_secs(60), victim.now).expect("open");
    let ask = Ask { body_len: 300_000, ..Ask::default() };
    // Refused at once, and still under way.
    victim.conn.receive(&ask.frame(&[0; 65_535]).bytes(), victim.now);
    assert_eq!(victim.events(), []);
    assert!(victim.sent().iter().all(|frame| frame.kind != wire::ACK));
    victim.takes(&wire::chunk(1, &[0; 4096]));
    let sent = victim.sent();
    assert_eq!((sent.len(), sent[0].kind, sent[0].int(0)), (1, wire::ACK, 65_535 + 4096));
    victim.takes(&wire::chunk(1, &[0; 65_536 * 2 - 1]));
    let sent = victim.sent();
    assert_eq!((sent.len(), sent[0].kind, sent[0].int(0)), (1, wire::ACK, 65_535 + 4096 + 65_536 * 2 - 1));
}

#[test]
fn a_hello_one_byte_a_second_does_not_hold_the_router() {
    let mut victim = Victim::fresh(Config::new(Role::Router));
    let opening = Offer::default().opening(Role::Worker);
    let mut seconds = 0;
    for byte in opening {
        victim.feed(&[byte]);
        if victim.conn.is_closed() {
            break;
        }
        seconds += 1;
        victim.pass(Duration::from_secs(1));
    }
    assert_eq!(seconds, 5);
}

#[test]
fn a_request_after_the_peers_own_goaway_is_a_violation() {
    let mut victim = Victim::router();
    victim.takes(&wire::goaway(1000));
    victim.closes(&wire::request(1, b""), CloseCode::UNEXPECTED_FRAME);
}

#[test]
fn a_cancel_for_our_own_call_does_not_end_it() {
    let mut victim = Victim::router();
    victim.conn.call(Call::new(1, ""), victim.now).expect("open");
    victim.output();
    let events = victim.feed(&wire::cancel(2));
    let closed = |event: &Event| {
        matches!(
            event,
            Event::Answer { result: Err(nova_proto_core::CallError::Closed { retry_safe: false }), .. }
        )
    };
    assert!(closed(&events[0]), "it failed with the connection, it was not cancelled: {events:?}");
    assert_eq!(victim.code(), CloseCode::ID_PARITY);
}

#[test]
fn an_interrupted_answer_can_be_cancelled_a_thousand_times() {
    let mut victim = Victim::router();
    for n in 0..1000 {
        let id = 2 * n + 1;
        let events = victim.takes(&Ask { id, reply_max: 1 << 20, ..Ask::default() }.frame(b"").bytes());
        let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(request.id, RequestId::new(id).expect("not 0"));
        victim.conn.respond(request.id, vec![0; 1 << 17]).expect("owed");
        let mut out = Vec::new();
        let _ = victim.conn.poll_transmit(&mut out, 20_000);
        assert_eq!(victim.takes(&wire::cancel(id)), []);
        victim.output();
        assert_eq!(victim.conn.stats().serving, 0);
    }
}
