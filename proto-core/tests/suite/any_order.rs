//! Any method at any time, any bytes at any time: nothing panics, and what should have no effect has none.

use std::time::Duration;

use bytes::Bytes;
use nova_proto_core::{
    Body, Call, CallKey, CloseCode, CloseReason, Compression, Config, Connection, ErrorCode, ErrorReply,
    Event, RequestId, Role, SendError,
};

use crate::common::for_seeds;
use crate::common::rng::Rng;
use crate::common::traffic::{traffic, violations, with_calls};
use crate::common::victim::{KINDS, Victim, epoch, ready, small_limits};
use crate::common::wire::{self, Offer};

/// Calls some method with something in it, whatever the state is.
fn anything(rng: &mut Rng, conn: &mut Connection, keys: &mut Vec<CallKey>, out: &mut Vec<u8>) -> Vec<Event> {
    let now = epoch() + Duration::from_millis(rng.below(3000));
    let id = RequestId::new(1 + rng.below(12)).expect("not 0");
    let body = Body {
        bytes: vec![0; rng.length(17)].into(),
        compression: if rng.percent(80) { Compression::None } else { Compression::Zstd },
        raw_len: if rng.percent(80) { 0 } else { rng.next() as u32 },
    };
    match rng.below(18) {
        0 => drop(conn.accept(vec![0; rng.below(600) as usize].into())),
        1 if rng.percent(5) => drop(conn.reject(CloseCode(rng.next() as u16), Duration::MAX, "é")),
        2..=4 => {
            let timeout = rng.percent(30).then(|| Duration::from_millis(rng.below(5000)));
            let reply_max = if rng.percent(90) { rng.length(17) as u32 } else { u32::MAX };
            let call = Call { reply_max, timeout, may_wait: rng.percent(50), ..Call::new(1, body) };
            keys.extend(conn.call(call, now));
        }
        5 if !keys.is_empty() => {
            let _ = conn.cancel(keys[rng.index(keys.len())]);
        }
        6 | 7 => drop(conn.respond(id, body)),
        8 => drop(conn.respond_error(id, ErrorReply::new(ErrorCode(rng.next() as u16), "é".repeat(300)))),
        9 if rng.percent(5) => drop(conn.drain(Duration::from_millis(rng.below(4000)), now)),
        10 if rng.percent(2) => conn.close(CloseCode(rng.next() as u16), &"é".repeat(300)),
        11 => conn.handle_timeout(now),
        12 => {
            let budget = rng.pick(&[0, 1, 100, 1 << 20, usize::MAX]);
            assert_eq!(conn.poll_transmit(out, budget), out.len());
        }
        13 if rng.percent(2) => conn.receive_eof(),
        14 => {
            let bytes = rng.bytes(10);
            if rng.percent(1) {
                conn.receive(&bytes, now);
            }
        }
        15 => {
            let _ = (conn.wants_input(), conn.poll_timeout(), conn.stats(), conn.agreed().cloned());
            let _ = (conn.role(), conn.close_reason().map(ToString::to_string), format!("{conn:?}").len());
        }
        _ => return conn.poll_event().into_iter().collect(),
    }
    Vec::new()
}

#[test]
fn every_method_in_any_order_at_any_time() {
    let mut ends = std::collections::BTreeMap::new();
    for_seeds(1500, |seed| {
        let mut rng = Rng::new(seed);
        let config = |role| Config { zstd: true, limits: small_limits(), ..Config::new(role) };
        let mut pair =
            [Role::Router, Role::Worker].map(|role| Connection::new(config(role), epoch()).expect("good"));
        let mut keys = [Vec::new(), Vec::new()];
        let mut closed = [0, 0];
        let mut open = [std::collections::BTreeSet::new(), std::collections::BTreeSet::new()];
        for _ in 0..rng.between(10, 400) {
            let me = rng.index(2);
            let mut out = Vec::new();
            let known = keys[me].len();
            let mut events = anything(&mut rng, &mut pair[me], &mut keys[me], &mut out);
            open[me].extend(keys[me][known..].iter().copied());
            pair[1 - me].receive(&out, epoch());
            if rng.percent(30) {
                events.extend(pair[me].poll_event());
            }
            for event in events {
                assert_eq!(closed[me], 0, "{event:?} after the last event");
                match event {
                    Event::Closed(reason) => {
                        closed[me] += 1;
                        *ends
                            .entry(format!("{reason:?}").chars().take(24).collect::<String>())
                            .or_insert(0) += 1;
                    }
                    Event::Answer { key, .. } => assert!(open[me].remove(&key), "one answer for each"),
                    _ => {}
                }
            }
        }
        for me in [0, 1] {
            pair[me].close(CloseCode::NORMAL, "");
            closed[me] += std::iter::from_fn(|| pair[me].poll_event())
                .filter(|event| matches!(event, Event::Closed(_)))
                .count();
            assert_eq!(closed[me], 1);
            assert_eq!(pair[me].poll_event(), None);
            assert_eq!(pair[me].poll_timeout(), None);
        }
    });
    assert!(ends.len() > 3 || std::env::var("NOVA_SEED").is_ok(), "many ways to end: {ends:?}");
}

/// The same conversation, with or without calls that should change nothing.
fn conversation(seed: u64, noise: bool) -> (Vec<String>, [Option<CloseReason>; 2]) {
    let mut rng = Rng::new(seed);
    let mut other = Rng::new(seed ^ 77);
    let config = |role| Config { limits: small_limits(), grease: false, ..Config::new(role) };
    let mut pair =
        [Role::Router, Role::Worker].map(|role| Connection::new(config(role), epoch()).expect("good"));
    let mut log = Vec::new();
    let mut drained = false;
    for round in 0..100 {
        let now = epoch() + Duration::from_millis(round);
        for me in [0, 1] {
            if noise {
                harmless(&mut other, &mut pair[me], now);
            }
            while let Some(event) = pair[me].poll_event() {
                log.push(format!("{me} {event:?}"));
                match event {
                    Event::Hello { .. } => pair[me].accept(Bytes::new()).expect("asked"),
                    Event::Request(request) => {
                        pair[me].respond(request.id, request.body).expect("owed");
                    }
                    _ => {}
                }
                if noise {
                    harmless(&mut other, &mut pair[me], now);
                }
            }
            if pair[me].agreed().is_some() && round < 40 && rng.percent(40) {
                let call = Call {
                    reply_max: 60_000,
                    timeout: None,
                    ..Call::new(1, vec![0; rng.below(50_000) as usize])
                };
                let result = pair[me].call(call, now);
                log.push(format!("{me} {result:?}"));
            }
            if round == 80 && me == 0 && seed.is_multiple_of(3) && !drained {
                drained = true;
                let _ = pair[me].drain(Duration::from_secs(1), now);
            }
            let mut out = Vec::new();
            while pair[me].poll_transmit(&mut out, 1 << 20) > 0 {}
            if noise {
                harmless(&mut other, &mut pair[me], now);
            }
            pair[1 - me].receive(&out, now);
        }
    }
    let reasons = pair.each_ref().map(|conn| conn.close_reason().cloned());
    (log, reasons)
}

/// Calls that fit no state, name nothing, or only look.
fn harmless(rng: &mut Rng, conn: &mut Connection, now: std::time::Instant) {
    for _ in 0..rng.below(4) {
        let unknown = RequestId::new(1_000_001).expect("not 0");
        match rng.below(9) {
            0 => conn.receive(&[], now),
            1 => conn.handle_timeout(now),
            2 => assert_eq!(conn.respond(unknown, "x"), Err(SendError::NoSuchRequest)),
            3 => assert_eq!(
                conn.respond_error(unknown, ErrorReply::new(ErrorCode::INTERNAL, "")),
                Err(SendError::NoSuchRequest)
            ),
            4 if conn.agreed().is_some() || conn.role() == Role::Worker => {
                assert!(conn.accept(Bytes::new()).is_err());
                assert!(conn.reject(CloseCode::NORMAL, Duration::ZERO, "").is_err());
            }
            5 => drop((conn.poll_timeout(), conn.wants_input(), conn.stats())),
            6 => assert!(conn.accept(vec![0; 513].into()).is_err()),
            7 if conn.agreed().is_some() => {
                let huge = Call { reply_max: u32::MAX, timeout: None, ..Call::new(1, "") };
                assert!(conn.call(huge, now).is_err());
            }
            _ => conn.handle_timeout(now - Duration::from_secs(1)),
        }
    }
}

#[test]
fn calls_that_fit_no_state_change_nothing() {
    for_seeds(200, |seed| {
        let plain = conversation(seed, false);
        let noisy = conversation(seed, true);
        assert_eq!(plain.1, noisy.1);
        // Their order may differ: the window follows the time that passes between two looks at the clock.
        let sorted = |mut log: Vec<String>| {
            log.sort_unstable();
            log
        };
        assert_eq!(sorted(plain.0), sorted(noisy.0));
    });
}

#[test]
fn random_bytes_from_the_start() {
    for_seeds(3000, |seed| {
        let mut rng = Rng::new(seed);
        let role = rng.pick(&[Role::Router, Role::Worker]);
        let mut victim = Victim::fresh(Config::new(role));
        if rng.percent(80) {
            victim.feed(wire::PREFACE);
        }
        for _ in 0..10 {
            let bytes = rng.length(9);
            let bytes = rng.bytes(bytes);
            victim.feed(&bytes);
            victim.output();
        }
    });
}

#[test]
fn random_frames_of_known_kinds_in_every_phase() {
    for_seeds(3000, |seed| {
        let mut rng = Rng::new(seed);
        let (mut victim, _) = ready(rng.pick(&KINDS));
        for _ in 0..20 {
            let kind = rng.pick(&KINDS);
            let len = rng.length(6);
            let content: Vec<u8> = (0..len)
                .map(|_| if rng.percent(70) { rng.below(4) as u8 } else { rng.next() as u8 })
                .collect();
            victim.feed(&wire::raw(kind, &content));
            if victim.conn.is_closed() {
                break;
            }
            victim.pass(Duration::from_millis(rng.below(2000)));
            victim.output();
        }
    });
}

#[test]
fn legal_traffic_with_a_few_bytes_changed() {
    let mut survived = 0;
    for_seeds(1500, |seed| {
        let mut rng = Rng::new(seed);
        let mut frames = traffic(&mut rng);
        if rng.percent(30) {
            let violations = violations();
            let at = rng.index(frames.len());
            frames.insert(at, violations[rng.index(violations.len())].clone());
        }
        let mut bytes = frames.concat();
        for _ in 0..rng.between(1, 4) {
            match rng.below(3) {
                0 => drop(bytes.remove(rng.index(bytes.len()))),
                1 => bytes.insert(rng.index(bytes.len()), rng.next() as u8),
                _ => {
                    let at = rng.index(bytes.len());
                    bytes[at] ^= 1 << rng.below(8);
                }
            }
        }
        let mut victim = with_calls();
        for piece in bytes.chunks(rng.between(100, 20_000) as usize) {
            for event in victim.feed(piece) {
                if let Event::Request(request) = event {
                    let _ = victim.conn.respond(request.id, request.body);
                }
            }
            victim.output();
        }
        victim.conn.receive_eof();
        let events = victim.events();
        assert!(victim.conn.is_closed());
        survived += usize::from(matches!(events.last(), Some(Event::Closed(CloseReason::Eof))));
        victim.is_empty();
    });
    assert!(
        survived > 100 || std::env::var("NOVA_SEED").is_ok(),
        "changes in bodies are not noticed: {survived}"
    );
}

#[test]
fn a_handshake_with_a_few_bytes_changed() {
    for_seeds(3000, |seed| {
        let mut rng = Rng::new(seed);
        let role = rng.pick(&[Role::Router, Role::Worker]);
        let ext: &[(u16, &[u8])] = &[(1, b"abc"), (7, b"")];
        let offer = Offer { compression: vec![1, 2], ..Offer::default() };
        let frame = if role == Role::Router { offer.hello(ext) } else { offer.welcome(ext) };
        let mut bytes = frame.bytes();
        for _ in 0..rng.between(1, 3) {
            let at = rng.index(bytes.len());
            bytes[at] = rng.pick(&[0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 1]);
        }
        let mut victim = Victim::fresh(Config { zstd: true, ..Config::new(role) });
        victim.feed(wire::PREFACE);
        victim.feed(&bytes);
        let _ = victim.conn.accept(Bytes::new());
        victim.feed(&wire::ping(1));
        victim.output();
    });
}
