//! One test for each mistake that was found.

use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::{
    ACK_EVERY, Body, Call, CallError, CloseCode, CloseReason, Compression, Config, Connection, Event, Limits,
    Role, SendError,
};

use crate::common::victim::{Victim, small_limits};
use crate::common::wire::{self, Offer};

/// The budget is given back for the body that was sent, not for what is left of it in memory.
#[test]
fn requests_that_were_answered_give_their_whole_budget_back() {
    let limits = small_limits();
    let mut victim = Victim::with(Config::new(Role::Worker), &Offer { limits, ..Offer::default() });
    let mut acked = 0;
    for n in 0..20 {
        let key = victim.conn.call(Call::new(1, vec![7; 60_000]), victim.now).expect("it fits alone");
        let sent = victim.sent();
        assert_eq!(sent.first().map(|frame| frame.kind), Some(wire::REQUEST), "call {n} goes out at once");
        if n % 2 == 0 {
            let events = victim.feed(&wire::response(2 * n + 1, 0, b"").bytes());
            assert_eq!(events, [Event::Answer { key, result: Ok(Body::from("")) }]);
        } else {
            let events = victim.feed(&wire::error(2 * n + 1, 300).bytes());
            assert!(matches!(events[..], [Event::Answer { .. }]));
        }
        victim.is_empty();
        let sent = (n + 1) * 60_000;
        if sent - acked >= ACK_EVERY {
            victim.takes(&wire::ack(sent));
            acked = sent;
        }
    }
}

/// The `GoAway` that says so is sent at once: 0 means that nothing is left to send.
#[test]
fn a_side_without_ids_says_that_it_drains() {
    let config = Config { first_id: u64::MAX - 2, ..Config::new(Role::Worker) };
    let mut victim = Victim::with(config, &Offer::default());
    let keys = [1, 2, 3].map(|_| victim.conn.call(Call::new(1, ""), victim.now).expect("open"));
    let kinds: Vec<u8> = victim.sent().iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds, [wire::REQUEST, wire::REQUEST, wire::GOAWAY]);
    assert_eq!(victim.events(), [Event::Answer { key: keys[2], result: Err(CallError::Draining) }]);
    victim.takes(&wire::response(u64::MAX - 2, 0, b"").bytes());
    victim.feed(&wire::response(u64::MAX, 0, b"").bytes());
    assert_eq!(victim.conn.close_reason(), Some(&CloseReason::Local(CloseCode::IDS_EXHAUSTED)));
}

/// The same when the ids end with nothing else to send.
#[test]
fn a_call_that_finds_no_id_does_not_wait() {
    for body in [10, 100_000] {
        let mut router =
            Victim::with(Config { first_id: u64::MAX, ..Config::new(Role::Router) }, &Offer::default());
        let key = router.conn.call(Call::new(1, vec![1; body]), router.now).expect("open");
        let kinds: Vec<u8> = router.sent().iter().map(|frame| frame.kind).collect();
        assert_eq!(kinds, [wire::GOAWAY, wire::CLOSE]);
        let events = router.events();
        assert_eq!(events[0], Event::Answer { key, result: Err(CallError::Draining) });
        assert_eq!(events[1..], [Event::Closed(CloseReason::Local(CloseCode::IDS_EXHAUSTED))]);
    }
}

/// A time too far away to name is far away, not now.
#[test]
fn endless_times_do_not_pass_at_once() {
    let mut config = Config::new(Role::Worker);
    config.timers.handshake = Duration::MAX;
    config.timers.stall = Duration::MAX;
    config.timers.keepalive = Duration::MAX;
    let mut victim = Victim::with(config, &Offer::default());
    let call = Call { timeout: Some(Duration::MAX), ..Call::new(1, "") };
    victim.conn.call(call, victim.now).expect("open");
    victim.conn.drain(Duration::MAX, victim.now).expect("open");
    assert_eq!(victim.pass(Duration::from_secs(3600)).len(), 1, "only that the waiting call was not sent");
    assert_eq!(victim.conn.close_reason(), None);
}

#[test]
fn an_endless_timeout_of_a_call_is_no_timeout() {
    let mut victim = Victim::worker();
    let call = Call { timeout: Some(Duration::MAX), ..Call::new(1, "") };
    victim.conn.call(call, victim.now).expect("open");
    assert_eq!(victim.sent()[0].int(6), u64::from(u32::MAX), "the longest the wire can say");
    assert_eq!(victim.pass(Duration::from_secs(1)), []);
}

/// What waits counts, too: it will be sent before.
#[test]
fn a_call_that_must_not_wait_does_not_queue_behind_others() {
    let limits = Limits { max_concurrent: 2, ..small_limits() };
    let mut victim = Victim::with(Config::new(Role::Worker), &Offer { limits, ..Offer::default() });
    let no_wait = |body: usize| Call { may_wait: false, ..Call::new(1, vec![0; body]) };
    victim.conn.call(Call::new(1, ""), victim.now).expect("open");
    victim.conn.call(no_wait(0), victim.now).expect("two fit");
    assert_eq!(victim.conn.call(no_wait(0), victim.now), Err(SendError::Busy));

    let limits = Limits { max_concurrent: 10, work_budget: 128 * 1024, ..small_limits() };
    let mut victim = Victim::with(Config::new(Role::Worker), &Offer { limits, ..Offer::default() });
    victim.conn.call(Call { reply_max: 0, ..Call::new(1, vec![0; 60_000]) }, victim.now).expect("open");
    victim.conn.call(Call { reply_max: 0, ..no_wait(65_536) }, victim.now).expect("two fit");
    assert_eq!(victim.conn.call(Call { reply_max: 0, ..no_wait(17_000) }, victim.now), Err(SendError::Busy));
    assert_eq!(victim.conn.call(no_wait(100), victim.now).map(drop), Ok(()), "small ones cost only a slot");
}

/// A body that contradicts itself is refused here, not by the peer.
#[test]
fn raw_lengths_that_contradict_the_compression_are_not_sent() {
    let config = |role| Config { zstd: true, ..Config::new(role) };
    let offer = Offer { compression: vec![1], ..Offer::default() };
    let body = |compression, raw_len| Body { bytes: Bytes::from_static(b"x"), compression, raw_len };
    let bad = [body(Compression::None, 5), body(Compression::Zstd, 0)];
    let mut victim = Victim::with(config(Role::Router), &offer);
    for bad in &bad {
        assert_eq!(victim.conn.call(Call::new(1, bad.clone()), victim.now), Err(SendError::RawLength));
    }
    let events = victim.takes(&wire::request(1, b""));
    let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
    for bad in &bad {
        assert_eq!(victim.conn.respond(request.id, bad.clone()), Err(SendError::RawLength));
    }
    assert_eq!(victim.conn.respond(request.id, body(Compression::Zstd, 5)), Ok(()));
}

/// A peer has the whole grace to answer a ping, even if this side noticed the silence late.
#[test]
fn a_ping_that_is_asked_for_late_can_still_be_answered() {
    let mut victim = Victim::router();
    assert_eq!(victim.pass(Duration::from_secs(60)), [], "this side slept");
    assert!(victim.conn.poll_timeout() > Some(victim.now));
    assert_eq!(victim.pass(Duration::ZERO), []);
    let sent = victim.sent();
    assert_eq!(sent[0].kind, wire::PING);
    victim.takes(&wire::pong(sent[0].int(0)));
}

/// A peer that cancels answers it asked for, and acknowledges nothing, leaves no trace behind.
#[test]
fn cancelled_answers_do_not_pile_up_behind_a_full_window() {
    let mut victim = Victim::router();
    let ask = |id, reply_max| wire::Ask { id, reply_max, ..wire::Ask::default() }.frame(b"").bytes();
    let answer = |victim: &mut Victim, id: u64| {
        let events = victim.takes(&ask(id, 1 << 20));
        let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
        victim.conn.respond(request.id, vec![0; 1 << 20]).expect("owed");
        victim.output();
    };
    answer(&mut victim, 1);
    let before = format!("{:?}", victim.conn).len();
    for n in 1..=1000 {
        answer(&mut victim, 2 * n + 1);
        victim.takes(&wire::cancel(2 * n + 1));
        victim.output();
    }
    assert_eq!(victim.conn.stats().serving, 1);
    let after = format!("{:?}", victim.conn).len();
    assert!(after < before + 2000, "{before} before, {after} after");
}

/// The same for calls: their bodies are small, but a little longer than the peer's frames.
#[test]
fn calls_answered_early_do_not_pile_up_behind_a_full_window() {
    let offer = Offer { limits: small_limits(), ..Offer::default() };
    let mut victim = Victim::with(Config::new(Role::Router), &offer);
    let call = |victim: &mut Victim, len: usize| {
        victim.conn.call(Call::new(1, vec![0; len]), victim.now).expect("room");
        victim.sent()[0].int(0)
    };
    // Nothing is acknowledged: the window fills up.
    for _ in 0..8 {
        let id = call(&mut victim, 64 * 1024);
        victim.takes(&wire::error(id, 300).bytes());
        victim.output();
    }
    let before = format!("{:?}", victim.conn).len();
    for _ in 0..1000 {
        let id = call(&mut victim, 16 * 1024);
        assert_eq!(victim.conn.stats().calls, 1);
        victim.takes(&wire::error(id, 300).bytes());
        assert_eq!(victim.sent()[0].kind, wire::CANCEL);
        victim.is_empty();
    }
    let after = format!("{:?}", victim.conn).len();
    assert!(after < before + 2000, "{before} before, {after} after");
}

/// The wait for the driver ends with what waited.
#[test]
fn a_cancelled_call_takes_its_wait_for_the_driver_with_it() {
    let mut victim = Victim::worker();
    let key = victim.conn.call(Call::new(1, ""), victim.now).expect("open");
    assert!(victim.conn.cancel(key));
    victim.now += Duration::from_secs(9);
    victim.conn.receive(&wire::ping(1), victim.now);
    assert_eq!(victim.events(), []);
    assert_eq!(victim.pass(Duration::from_secs(2)), []);
    assert_eq!(victim.conn.close_reason(), None);
}

#[test]
fn a_major_version_is_configured_once() {
    let config = Config { versions: vec![(3, 0), (3, 1)], ..Config::new(Role::Worker) };
    assert!(Connection::new(config, Instant::now()).is_err());
}

#[test]
fn one_to_eight_versions_are_configured() {
    for (count, good) in [(0, false), (1, true), (8, true), (9, false)] {
        let versions = (3..3 + count).map(|major| (major, 0)).collect();
        let config = Config { versions, ..Config::new(Role::Worker) };
        assert_eq!(Connection::new(config, Instant::now()).is_ok(), good, "{count} versions");
    }
}

#[test]
fn a_cancelled_answer_takes_no_other_with_it() {
    let mut victim = Victim::router();
    for id in [1, 3] {
        let events = victim.takes(&wire::request(id, b""));
        let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
        victim.conn.respond(request.id, "done").expect("owed");
    }
    victim.takes(&wire::cancel(1));
    let mut sent: Vec<_> = victim.sent().iter().map(|frame| (frame.kind, frame.int(0))).collect();
    sent.sort_unstable();
    assert_eq!(sent, [(wire::RESPONSE, 3), (wire::ERROR, 1)]);
}

#[test]
fn nothing_is_compressed_without_agreement() {
    let mut victim = Victim::router();
    let squeezed = || Body { bytes: vec![0; 20].into(), compression: Compression::Zstd, raw_len: 100 };
    let call = Call { body: squeezed(), ..Call::new(1, "") };
    assert_eq!(victim.conn.call(call, victim.now), Err(SendError::CompressionNotAgreed));
    let events = victim.takes(&wire::request(1, b""));
    let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(victim.conn.respond(request.id, squeezed()), Err(SendError::CompressionNotAgreed));
    victim.conn.respond(request.id, "still owed").expect("owed");
}

#[test]
fn nothing_comes_behind_the_end_of_the_stream_and_an_empty_read_is_no_sign_of_life() {
    let mut victim = Victim::router();
    victim.pass(Duration::from_secs(9));
    victim.takes(b"");
    victim.pass(Duration::from_secs(1));
    assert_eq!(victim.sent().first().map(|frame| frame.kind), Some(wire::PING), "10 seconds of silence");
    let before = victim.conn.stats().bytes_received;
    victim.conn.receive_eof();
    victim.conn.receive(&wire::ping(1), victim.now);
    assert_eq!(victim.conn.stats().bytes_received, before);
    assert_eq!(victim.events(), [Event::Closed(CloseReason::Eof)]);
}

/// R-16-24: who looks at the time before the transport has taken anything must not skip it.
#[test]
fn a_drain_without_time_sends_goaway_all_the_same() {
    let mut victim = Victim::router();
    victim.conn.drain(Duration::ZERO, victim.now).expect("open");
    assert_eq!(victim.pass(Duration::ZERO), []);
    assert_eq!(victim.sent()[0].kind, wire::GOAWAY);
    assert_eq!(victim.conn.poll_timeout(), None, "nothing was open: it has ended");

    let mut victim = Victim::worker();
    victim.takes(&wire::request(2, b""));
    victim.conn.drain(Duration::ZERO, victim.now).expect("open");
    assert_eq!(victim.pass(Duration::ZERO), []);
    assert_eq!(victim.sent()[0].kind, wire::GOAWAY);
    assert_eq!(victim.conn.poll_timeout(), Some(victim.now));
    victim.pass(Duration::ZERO);
    assert_eq!(victim.code(), CloseCode::DRAIN_DEADLINE);
}

/// A range is a range where it is decoded, not only where its numbers are counted out.
#[test]
fn ranges_that_are_none_do_not_decode() {
    use nova_proto_core::messages::{PageReply, SearchSymbols, decode};
    for (bytes, good) in [
        (&[2, 3, 3, 9, 1][..], true),
        (&[2, 3, 3, 6, 1], true),
        (&[1, 3, 0], false),
        (&[2, 3, 3, 5, 1], false),
        (&[2, 9, 1, 3, 3], false),
        (&[1, 0xff, 0xff, 0xff, 0xff, 0x0f, 1], true),
        (&[1, 0xff, 0xff, 0xff, 0xff, 0x0f, 2], false),
    ] {
        assert_eq!(decode::<PageReply>(bytes).is_ok(), good, "{bytes:?}");
        assert_eq!(decode::<SearchSymbols>(&[bytes, &[0, 0, 10]].concat()).is_ok(), good, "{bytes:?}");
    }
}
