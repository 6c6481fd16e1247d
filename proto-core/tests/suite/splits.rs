//! The transport may cut the stream anywhere: events, close reason and output do not depend on it.

use nova_proto_core::{CallError, CloseReason, Config, Event, Role};

use crate::common::for_seeds;
use crate::common::rng::Rng;
use crate::common::split::{Seen, feed};
use crate::common::traffic::{traffic, violations, with_calls};
use crate::common::victim::{KINDS, Victim, ready};
use crate::common::wire::{self, Ask, Frame, Offer};

/// The same life whole, byte by byte and cut at random, with output taken at the end or at once.
fn check(seed: u64, victim: impl Fn() -> Victim, bytes: &[u8]) -> Seen {
    let mut rng = Rng::new(seed);
    for eager in [false, true] {
        let whole = feed(victim(), bytes, |len| len, eager);
        assert_eq!(whole, feed(victim(), bytes, |_| 1, eager), "byte by byte");
        let cut = feed(victim(), bytes, |len| rng.piece(len), eager);
        assert_eq!(whole, cut, "cut at random");
    }
    feed(victim(), bytes, |len| len, false)
}

#[test]
fn legal_traffic() {
    for_seeds(150, |seed| {
        let mut rng = Rng::new(seed);
        let bytes = traffic(&mut rng).concat();
        let seen = check(seed, with_calls, &bytes);
        assert_eq!(seen.reason.as_deref(), Some("Eof"), "nothing was wrong");
    });
}

#[test]
fn legal_traffic_that_ends_with_a_drain_and_a_close() {
    for_seeds(50, |seed| {
        let mut rng = Rng::new(seed);
        let mut frames = traffic(&mut rng);
        frames.push(wire::goaway(500));
        frames.push(wire::ping(1));
        frames.push(wire::close(1, 2, b"bye").bytes());
        frames.push(b"anything at all".to_vec());
        let seen = check(seed, with_calls, &frames.concat());
        assert!(seen.reason.is_some_and(|reason| reason.starts_with("Peer")));
    });
}

#[test]
fn a_violation_of_each_kind() {
    for (index, violation) in violations().into_iter().enumerate() {
        let bytes = [wire::request(1, &[1; 100]), violation, wire::ping(5)].concat();
        let seen = check(index as u64, with_calls, &bytes);
        let reason = seen.reason.unwrap_or_default();
        assert!(reason.starts_with("Violation"), "number {index}: {reason}");
        assert_eq!(seen.output.last().map(|frame| frame.kind), Some(wire::CLOSE));
    }
}

#[test]
fn a_violation_behind_legal_traffic() {
    let violations = violations();
    for_seeds(100, |seed| {
        let mut rng = Rng::new(seed);
        let mut frames = traffic(&mut rng);
        let at = rng.index(frames.len() + 1);
        frames.insert(at, violations[rng.index(violations.len())].clone());
        let seen = check(seed, with_calls, &frames.concat());
        assert!(seen.reason.is_some_and(|reason| reason.starts_with("Violation")));
    });
}

#[test]
fn every_kind_of_frame_and_every_single_spoiled_byte_of_it() {
    for kind in KINDS {
        let good = ready(kind).1.bytes();
        check(u64::from(kind), || ready(kind).0, &good);
        for at in 0..good.len().min(60) {
            let mut bad = good.clone();
            bad[at] ^= 0xff;
            check(at as u64, || ready(kind).0, &[bad, wire::ping(1)].concat());
        }
    }
}

#[test]
fn the_handshake_of_both_roles() {
    let offer = Offer::default();
    for role in [Role::Router, Role::Worker] {
        let opening = offer.opening(role.peer());
        let seen = check(1, || Victim::fresh(Config::new(role)), &opening);
        assert_eq!(seen.reason.as_deref(), Some("Eof"));
        for at in 0..opening.len() {
            let mut bad = opening.clone();
            bad[at] ^= 0x55;
            check(at as u64, || Victim::fresh(Config::new(role)), &bad);
        }
    }
}

#[test]
fn foreign_protocols() {
    for first in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"NOVA4\r\n\0....",
        b"\x20\0\0\0{hello}....",
        b"\0\0\0\0\0\0\0\0\0",
    ] {
        let seen = check(1, || Victim::fresh(Config::new(Role::Router)), first);
        assert!(seen.reason.is_some_and(|reason| reason.starts_with("Violation(Preface")));
        assert_eq!(seen.output, [], "a foreign protocol gets no bytes of ours");
    }
}

#[test]
fn large_frames_cut_inside_their_header() {
    let mut rng = Rng::new(7);
    let ext: &[(u16, &[u8])] = &[(5, &[1; 500])];
    let ask = Ask { body_len: 60_000, ext, ..Ask::default() };
    let bytes = [ask.frame(&[1; 60_000]).bytes(), wire::ping(3)].concat();
    for _ in 0..50 {
        let first = 1 + rng.index(1200);
        let mut pieces = [first].into_iter();
        let seen = feed(with_calls(), &bytes, |len| pieces.next().unwrap_or(len), false);
        assert_eq!(seen, feed(with_calls(), &bytes, |len| len, false));
    }
    let frame: Frame = ask.frame(b"");
    assert!(frame.header().len() < 1023);
}

#[test]
fn any_prefix_and_then_the_end_of_the_stream() {
    for_seeds(40, |seed| {
        let mut rng = Rng::new(seed);
        let frames = traffic(&mut rng);
        let mut bytes = frames.concat();
        // Every end of a frame, and any other place.
        let mut ends: Vec<usize> =
            frames.iter().scan(0, |end, frame| Some(std::mem::replace(end, *end + frame.len()))).collect();
        ends.extend((0..20).map(|_| rng.index(bytes.len() + 1)));
        bytes.push(0);
        for end in ends {
            let mut victim = with_calls();
            let mut events = victim.takes(&bytes[..end]);
            victim.conn.receive_eof();
            events.extend(victim.events());
            let answers = events.iter().filter(|event| matches!(event, Event::Answer { .. })).count();
            let failed =
                |event: &&Event| matches!(event, Event::Answer { result: Err(CallError::Closed { .. }), .. });
            assert_eq!(answers, 3, "each call has one outcome");
            assert!(events.iter().filter(failed).count() <= 3);
            let closed = events.iter().filter(|event| matches!(event, Event::Closed(_))).count();
            assert_eq!((closed, events.last()), (1, Some(&Event::Closed(CloseReason::Eof))));
            victim.is_empty();
            assert_eq!(victim.feed(&bytes[end..]), [], "nothing after the end");
            assert_eq!(victim.pass(std::time::Duration::from_secs(60)), []);
        }
    });
}
