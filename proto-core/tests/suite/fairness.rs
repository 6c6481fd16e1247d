//! What one side can do to the other by being slow, greedy or silent, within the rules.

use std::time::{Duration, Instant};

use nova_proto_core::{
    Call, CallError, CloseCode, CloseReason, Config, Connection, ErrorCode, Event, ForeignProtocol, Limits,
    PeerError, Role,
};

use crate::common::victim::Victim;
use crate::common::wire::{self, Ask, Offer};

const SECOND: Duration = Duration::from_secs(1);

/// Two connections with empty hello and welcome.
fn connected(now: Instant) -> (Connection, Connection) {
    let mut router = Connection::new(Config::new(Role::Router), now).expect("good");
    let mut worker = Connection::new(Config::new(Role::Worker), now).expect("good");
    for _ in 0..2 {
        transfer(&mut worker, &mut router, usize::MAX, now);
        while let Some(event) = router.poll_event() {
            if matches!(event, Event::Hello { .. }) {
                router.accept("".into()).expect("asked for");
            }
        }
        transfer(&mut router, &mut worker, usize::MAX, now);
        while worker.poll_event().is_some() {}
    }
    (router, worker)
}

fn transfer(from: &mut Connection, to: &mut Connection, budget: usize, now: Instant) {
    let mut out = Vec::new();
    let _ = from.poll_transmit(&mut out, budget);
    to.receive(&out, now);
}

#[test]
fn steady_small_calls_do_not_keep_a_large_one_waiting() {
    let now = Instant::now();
    let (mut router, mut worker) = connected(now);
    let small = || Call::new(1, vec![0; 16 * 1024]);
    for _ in 0..300 {
        router.call(small(), now).expect("open");
    }
    let large = router.call(Call { reply_max: 0, ..Call::new(2, vec![0; 1 << 20]) }, now).expect("open");
    for _ in 0..200 {
        transfer(&mut router, &mut worker, 64 * 1024, now);
        while let Some(event) = worker.poll_event() {
            if let Event::Request(request) = event {
                worker.respond(request.id, "").expect("owed");
            }
        }
        transfer(&mut worker, &mut router, usize::MAX, now);
        while let Some(event) = router.poll_event() {
            match event {
                Event::Answer { key, .. } if key == large => return,
                Event::Answer { .. } => drop(router.call(small(), now).expect("open")),
                _ => {}
            }
        }
    }
    panic!("the large call is not answered after 200 rounds of 64 KiB");
}

#[test]
fn a_peer_that_says_goodbye_and_stays_is_left() {
    let mut victim = Victim::router();
    victim.takes(&wire::goaway(5000));
    let kept = victim.conn.call(Call::new(1, ""), victim.now);
    assert_eq!(kept, Err(nova_proto_core::SendError::Draining));
    for second in 0..15 {
        assert_eq!(victim.conn.close_reason(), None, "after {second} s");
        victim.takes(&wire::ping(second));
        victim.output();
        victim.pass(SECOND);
    }
    assert_eq!(victim.conn.close_reason(), Some(&CloseReason::Timeout(CloseCode::DRAIN_DEADLINE)));
}

#[test]
fn what_a_short_lived_peer_said_is_understood() {
    for (bytes, expected) in [
        (&b"\x15\x03\x03\x00\x02\x02\x46"[..], Some(ForeignProtocol::Tls)),
        (b"HTTP/", Some(ForeignProtocol::Http)),
        (b"NOVA4", Some(ForeignProtocol::OtherMajor)),
        (b"?", Some(ForeignProtocol::Unknown)),
        (b"NOVA3", None),
        (b"", None),
    ] {
        let now = Instant::now();
        let mut worker = Connection::new(Config::new(Role::Worker), now).expect("good");
        worker.receive(bytes, now);
        assert_eq!(worker.poll_event(), None, "more may come");
        worker.receive_eof();
        let expected = match expected {
            Some(protocol) => CloseReason::Violation(PeerError::Preface(protocol)),
            None => CloseReason::Eof,
        };
        assert_eq!(worker.poll_event(), Some(Event::Closed(expected)));
    }
}

#[test]
fn an_answer_fits_what_its_receiver_takes_of_any_body() {
    let limits = Limits { max_frame: 16_384, max_body: 65_536, work_budget: 200_000, max_concurrent: 4 };
    for (length, code) in [(65_536, None), (65_537, Some(ErrorCode::REPLY_TOO_LARGE))] {
        let mut victim = Victim::with(Config::new(Role::Router), &Offer { limits, ..Offer::default() });
        let ask = Ask { reply_max: 40_000_000, ..Ask::default() };
        let events = victim.takes(&ask.frame(b"").bytes());
        let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
        victim.conn.respond(request.id, vec![0; length]).expect("owed");
        let sent = victim.sent();
        assert_eq!(sent[0].kind, if code.is_some() { wire::ERROR } else { wire::RESPONSE });
    }
}

#[test]
fn a_link_that_takes_little_is_slow_but_not_stalled() {
    let mut victim = Victim::router();
    for nonce in 0..5 {
        // An answer is due, and the transport is still busy with what it got before.
        victim.takes(&wire::ping(nonce));
        victim.pass(9 * SECOND);
        assert_eq!(victim.conn.close_reason(), None);
        victim.conn.wrote(victim.now);
    }
    victim.takes(&wire::ping(9));
    victim.pass(10 * SECOND);
    assert_eq!(victim.conn.close_reason(), Some(&CloseReason::Timeout(CloseCode::SLOW_READER)));
}

#[test]
fn a_call_is_given_up_after_a_minute_unless_told_otherwise() {
    let mut victim = Victim::router();
    let key = victim.conn.call(Call::new(1, ""), victim.now).expect("open");
    victim.output();
    for nonce in 0..59 {
        assert_eq!(victim.takes(&wire::ping(nonce)), []);
        victim.output();
        assert_eq!(victim.pass(SECOND), []);
    }
    assert_eq!(
        victim.pass(SECOND),
        [Event::Answer { key, result: Err(CallError::Deadline { retry_safe: false }) }]
    );
}
