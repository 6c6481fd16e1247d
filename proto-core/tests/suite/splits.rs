//! The transport may cut the stream anywhere: events, close reason and output do not depend on it.

use nova_proto_core::{Body, Call, Config, Event, Limits, Role};

use crate::common::for_seeds;
use crate::common::rng::Rng;
use crate::common::victim::{KINDS, Victim, ready};
use crate::common::wire::{self, Ask, Frame, Offer, Sent};

/// What can be seen of a connection's life from outside.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    events: Vec<String>,
    reason: Option<String>,
    output: Vec<Sent>,
}

/// Feeds pieces of these lengths, over and over; answers requests as they come.
fn feed(mut victim: Victim, bytes: &[u8], mut piece: impl FnMut(usize) -> usize, eager: bool) -> Seen {
    let (mut events, mut output) = (Vec::new(), Vec::new());
    let mut rest = bytes;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(piece(rest.len()));
        rest = later;
        victim.conn.receive(now, victim.now);
        while let Some(event) = victim.conn.poll_event() {
            events.push(format!("{event:?}"));
            match event {
                Event::Request(request) if request.body.bytes.first() != Some(&9) => {
                    let reply = Body::from(vec![3; request.reply_max.min(30_000) as usize]);
                    victim.conn.respond(request.id, reply).expect("owed");
                }
                Event::Hello { .. } => victim.conn.accept(bytes::Bytes::new()).expect("asked"),
                _ => {}
            }
        }
        if eager {
            output.extend(victim.sent());
        }
    }
    victim.conn.receive_eof();
    events.extend(victim.events().iter().map(|event| format!("{event:?}")));
    output.extend(victim.sent());
    output.retain(|frame| frame.kind != wire::ACK);
    let mut reason = victim.conn.close_reason().map(|reason| format!("{reason:?}"));
    if eager {
        // What overtakes what depends on when there was room, and so does what a close leaves unsent.
        output.sort_by_key(|frame| (frame.kind, frame.content.clone()));
        if reason.as_deref() != Some("Eof") {
            output.clear();
        }
        // This one says how much was sent by then.
        let ahead = |text: &mut String| {
            if text.contains("AckAhead") {
                text.truncate(text.find("sent: ").unwrap_or(text.len()));
            }
        };
        events.iter_mut().chain(&mut reason).for_each(ahead);
    }
    Seen { events, reason, output }
}

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

/// A router with three calls open, the second with a large body.
fn with_calls() -> Victim {
    let limits = Limits { max_frame: 64 * 1024, ..Limits::default() };
    let config = Config { limits, zstd: true, ..Config::new(Role::Router) };
    let mut victim = Victim::with(config, &Offer { compression: vec![1], ..Offer::default() });
    for body in [10, 100_000, 10] {
        let call = Call { reply_max: 100_000, ..Call::new(1, vec![0; body]) };
        victim.conn.call(call, victim.now).expect("open");
        victim.output();
    }
    victim
}

/// Legal traffic of a worker towards `with_calls`, as a list of frames.
fn traffic(rng: &mut Rng) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut next_id = 1;
    let mut uploads: Vec<(u64, usize)> = Vec::new();
    let mut replies: Vec<(u64, Option<usize>)> = vec![(2, None), (4, None), (6, None)];
    let mut pinged = false;
    for _ in 0..rng.between(3, 20) {
        match rng.below(8) {
            0 | 1 => {
                let len = rng.below(40_000) as usize;
                let part = len.min(rng.between(4096, 20_000) as usize);
                let body = vec![if rng.percent(20) { 9 } else { 1 }; part];
                let deadline_ms = rng.below(2) as u32 * 5000;
                let reply_max = rng.below(40_000) as u32;
                let ask = Ask { id: next_id, body_len: len as u32, reply_max, deadline_ms, ..Ask::default() };
                frames.push(ask.frame(&body).bytes());
                if part < len {
                    uploads.push((next_id, len - part));
                }
                next_id += 2 * rng.between(1, 3);
            }
            2 | 3 if !uploads.is_empty() => {
                let at = rng.index(uploads.len());
                let (id, left) = uploads[at];
                if rng.percent(15) {
                    uploads.remove(at);
                    frames.push(wire::cancel(id));
                    continue;
                }
                let part = left.min(rng.between(4096, 20_000) as usize);
                frames.push(wire::chunk(id, &vec![2; part]));
                if part == left {
                    uploads.remove(at);
                } else {
                    uploads[at].1 = left - part;
                }
            }
            4 | 5 if !replies.is_empty() => {
                let at = rng.index(replies.len());
                let (id, left) = replies[at];
                if rng.percent(25) {
                    replies.remove(at);
                    frames.push(wire::error(id, 300).bytes());
                    continue;
                }
                let total = left.unwrap_or_else(|| rng.below(60_000) as usize);
                let part = total.min(rng.between(4096, 20_000) as usize);
                frames.push(match left {
                    None => wire::response(id, total as u32, &vec![4; part]).bytes(),
                    Some(_) => wire::chunk(id, &vec![4; part]),
                });
                if part == total {
                    replies.remove(at);
                } else {
                    replies[at].1 = Some(total - part);
                }
            }
            6 if !pinged => {
                pinged = true;
                frames.push(wire::ping(rng.next()));
            }
            _ => frames.push(wire::raw(0x80 | rng.next() as u8, &vec![0; rng.below(5000) as usize])),
        }
    }
    frames
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

/// Each breaks another rule, whatever came before.
fn violations() -> Vec<Vec<u8>> {
    let ask = Ask { id: 1001, ..Ask::default() };
    let large = [1; 9000];
    vec![
        vec![0; 4],
        [&u32::MAX.to_le_bytes()[..], b"x"].concat(),
        wire::raw(wire::PING, &[0; 2000]),
        wire::raw(wire::PING, &[0x80, 0]),
        wire::raw(wire::PING, &[0xff; 20]),
        wire::raw(wire::REQUEST, &[0xff; 2000]),
        wire::raw(0x44, &[0; 30]),
        wire::raw(wire::HELLO, &[0; 30]),
        wire::raw(wire::GOAWAY, &[1, 1]),
        Ask { id: 0, ..ask }.frame(b"").bytes(),
        Ask { id: 1002, ..ask }.frame(b"").bytes(),
        Ask { body_len: u32::MAX, ..ask }.frame(b"").bytes(),
        Ask { body_len: 9000, ..ask }.frame(&[0; 9]).bytes(),
        Ask { body_len: 8999, ..ask }.frame(&large).bytes(),
        Ask { codec: 7, body_len: 9000, ..ask }.frame(&large).bytes(),
        Ask { raw_len: 1, body_len: 9000, ..ask }.frame(&large).bytes(),
        Ask { reply_max: u32::MAX, body_len: 9000, ..ask }.frame(&large).bytes(),
        Ask { ext: &[(1, b""), (1, b"")], body_len: 9000, ..ask }.frame(&large).bytes(),
        [ask.frame(b"").bytes(), ask.frame(b"").bytes()].concat(),
        wire::response(1001, 9000, &large).bytes(),
        wire::response(8, 9000, &large).bytes(),
        wire::chunk(8, &large),
        wire::chunk(0, &large),
        wire::error(0, 1).bytes(),
        wire::cancel(1001),
        wire::cancel(2),
        wire::ack(u64::MAX),
        wire::ack(0),
        wire::pong(0),
        wire::raw(0xf0, b"").repeat(101),
        [wire::goaway(1), ask.frame(b"").bytes()].concat(),
    ]
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
