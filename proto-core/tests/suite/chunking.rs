//! Bodies in parts: any legal way to cut them gives the same body.

use bytes::Bytes;
use nova_proto_core::{ACK_EVERY, Body, Call, CallKey, CloseCode, Config, Event, Limits, MIN_CHUNK, Role};

use crate::common::rng::Rng;
use crate::common::victim::Victim;
use crate::common::wire::{self, Ask, Offer};
use crate::common::{for_seeds, pattern};

/// How much of what is left goes into the next frame: something legal.
fn next_part(rng: &mut Rng, left: usize, most: usize) -> usize {
    let most = most.min(left);
    let least = (MIN_CHUNK as usize).min(left);
    match rng.below(4) {
        0 => least,
        1 => most,
        _ => rng.between(least as u64, most as u64) as usize,
    }
}

#[test]
fn requests_cut_in_any_way_and_interleaved_arrive_whole() {
    for_seeds(200, |seed| {
        let mut rng = Rng::new(seed);
        let mut victim = Victim::router();
        let mut open: Vec<(u64, Bytes, usize)> = Vec::new();
        let mut arrived = 0;
        for n in 0..rng.between(1, 8) {
            let len = rng.length(18);
            open.push((2 * n + 1, pattern(n, len), 0));
        }
        let total = open.len();
        let mut begun = 0;
        while !open.is_empty() {
            // Requests begin in order; the rest goes on in any.
            let at = if begun < total && rng.percent(50) {
                open.iter().position(|(id, ..)| *id == 2 * begun as u64 + 1).expect("not begun")
            } else if let Some(at) =
                (0..open.len()).find(|&at| open[at].0 < 2 * begun as u64 && rng.percent(60))
            {
                at
            } else {
                continue;
            };
            let (id, body, sent) = open[at].clone();
            let begins = id == 2 * begun as u64 + 1;
            let part = next_part(&mut rng, body.len() - sent, 100_000);
            let bytes = &body[sent..sent + part];
            let frame = if begins {
                begun += 1;
                Ask { id, body_len: body.len() as u32, ..Ask::default() }.frame(bytes).bytes()
            } else {
                wire::chunk(id, bytes)
            };
            let events = victim.takes(&frame);
            if sent + part == body.len() {
                open.remove(at);
                arrived += 1;
                let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
                assert_eq!((request.id.get(), &request.body.bytes), (id, &body));
            } else {
                open[at].2 += part;
                assert_eq!(events, []);
            }
        }
        assert_eq!(arrived, total);
    });
}

#[test]
fn replies_cut_in_any_way_and_interleaved_arrive_whole() {
    for_seeds(200, |seed| {
        let mut rng = Rng::new(seed);
        let mut victim = Victim::router();
        let mut open: Vec<(u64, CallKey, Bytes, usize, bool)> = Vec::new();
        for n in 0..rng.between(1, 8) {
            let call = Call { reply_max: 300_000, ..Call::new(1, "") };
            let key = victim.conn.call(call, victim.now).expect("open");
            victim.output();
            let len = rng.length(18);
            open.push((2 * n + 2, key, pattern(n, len), 0, false));
        }
        while !open.is_empty() {
            let at = rng.index(open.len());
            let (id, key, body, sent, begun) = open[at].clone();
            let part = next_part(&mut rng, body.len() - sent, 100_000);
            let bytes = &body[sent..sent + part];
            let frame = if begun {
                wire::chunk(id, bytes)
            } else {
                wire::response(id, body.len() as u32, bytes).bytes()
            };
            let events = victim.takes(&frame);
            if sent + part == body.len() {
                open.remove(at);
                assert_eq!(events, [Event::Answer { key, result: Ok(Body::from(body)) }]);
            } else {
                (open[at].3, open[at].4) = (sent + part, true);
                assert_eq!(events, []);
            }
        }
        victim.is_empty();
    });
}

/// What the crate sends of large bodies, to a peer with this frame limit; acknowledges as a peer should.
fn sent_parts(victim: &mut Victim, max_frame: usize) -> Vec<wire::Sent> {
    let (mut all, mut received, mut acked) = (Vec::new(), 0, 0);
    loop {
        let out = victim.output();
        let frames = wire::frames(&out);
        if frames.is_empty() {
            return all;
        }
        for frame in frames {
            assert!(frame.content.len() < max_frame, "the kind counts, too");
            let body = body_of(&frame).len() as u64;
            received += body;
            all.push(frame);
        }
        if received - acked >= ACK_EVERY {
            victim.takes(&wire::ack(received));
            acked = received;
        }
    }
}

/// The body bytes behind a header.
fn body_of(frame: &wire::Sent) -> &[u8] {
    let mut rest = frame.content.as_slice();
    let skipped = match frame.kind {
        // Their numbers with fewer than 128 take one byte, the codec always does, and there are no extensions.
        wire::REQUEST => 8,
        wire::RESPONSE => 5,
        wire::CHUNK => 1,
        _ => return &[],
    };
    for _ in 0..skipped {
        wire::read_varint(&mut rest);
    }
    rest
}

#[test]
fn what_is_sent_keeps_to_any_frame_limit_and_is_the_body() {
    for_seeds(60, |seed| {
        let mut rng = Rng::new(seed);
        let max_frame = if seed == 0 { 16 * 1024 } else { rng.between(16 * 1024, 300_000) as u32 };
        let limits = Limits { max_frame, ..Limits::default() };
        let mut victim = Victim::with(Config::new(Role::Router), &Offer { limits, ..Offer::default() });
        let mut bodies = Vec::new();
        for n in 0..rng.between(1, 5) {
            let body = pattern(n, rng.length(21));
            victim.conn.call(Call::new(1, body.clone()), victim.now).expect("open");
            let ask = Ask { id: 2 * n + 1, reply_max: 1 << 21, ..Ask::default() };
            let events = victim.takes(&ask.frame(b"").bytes());
            let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
            let reply = pattern(n + 100, rng.length(21));
            victim.conn.respond(request.id, reply.clone()).expect("owed");
            bodies.push((request.id.get(), reply));
            bodies.push((0, body));
        }
        let parts = sent_parts(&mut victim, max_frame as usize);
        // Small requests overtake large ones: ids are given out as they are sent.
        let mut ids: Vec<u64> = parts.iter().map(|frame| frame.int(0)).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), bodies.len());
        let mut arrived: Vec<Vec<u8>> = Vec::new();
        for id in ids {
            let mine: Vec<_> = parts.iter().filter(|frame| frame.int(0) == id).collect();
            assert!(mine[1..].iter().all(|frame| frame.kind == wire::CHUNK));
            let (last, others) = mine.split_last().expect("at least one");
            for part in others {
                assert!(body_of(part).len() >= MIN_CHUNK as usize, "a part that does not complete the body");
            }
            let _ = last;
            arrived.push(mine.iter().flat_map(|frame| body_of(frame)).copied().collect());
        }
        let mut expected: Vec<Vec<u8>> = bodies.into_iter().map(|(_, body)| body.to_vec()).collect();
        arrived.sort();
        expected.sort();
        assert!(arrived == expected, "the bodies are as given");
    });
}

#[test]
fn two_large_bodies_take_turns() {
    let mut victim = Victim::router();
    for _ in 0..2 {
        victim.conn.call(Call::new(1, vec![0; 400_000]), victim.now).expect("open");
    }
    let mut out = Vec::new();
    let mut ids = Vec::new();
    while victim.conn.poll_transmit(&mut out, 20_000) > 0 {
        ids.extend(wire::frames(&std::mem::take(&mut out)).iter().map(|frame| frame.int(0)));
    }
    let pairs = ids.chunks_exact(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(pairs * 2 >= ids.len() - 2, "{ids:?}");
}

#[test]
fn a_request_without_a_body_is_complete_at_once() {
    let mut victim = Victim::router();
    assert!(matches!(victim.takes(&wire::request(1, b""))[..], [Event::Request(_)]));
}

#[test]
fn chunks_for_a_complete_body_are_refused_even_empty_ones() {
    for body in [&b""[..], b"x"] {
        let mut victim = Victim::router();
        victim.takes(&wire::request(1, b"abc"));
        victim.closes(&wire::chunk(1, body), CloseCode::ID_NOT_OPEN);
    }
}

#[test]
fn chunks_between_response_and_error_belong_to_the_interrupted_response() {
    let mut victim = Victim::router();
    let call = Call { reply_max: 100_000, ..Call::new(1, "") };
    let key = victim.conn.call(call, victim.now).expect("open");
    victim.output();
    victim.takes(&wire::response(2, 50_000, &[1; 5000]).bytes());
    victim.takes(&wire::chunk(2, &[2; 5000]));
    let events = victim.takes(&wire::error(2, 300).bytes());
    assert!(matches!(&events[..], [Event::Answer { key: answered, result: Err(_) }] if *answered == key));
    victim.is_empty();
    victim.closes(&wire::chunk(2, &[2; 5000]), CloseCode::ID_NOT_OPEN);
}

#[test]
fn an_early_error_ends_the_upload_with_a_cancel() {
    let mut victim = Victim::router();
    victim.conn.call(Call::new(1, vec![0; 2_000_000]), victim.now).expect("open");
    victim.output();
    assert!(matches!(victim.takes(&wire::error(2, 300).bytes())[..], [Event::Answer { .. }]));
    assert_eq!(victim.conn.stats().calls, 1, "open until its body has ended");
    let sent = victim.sent();
    assert_eq!((sent[0].kind, sent[0].int(0), sent.len()), (wire::CANCEL, 2, 1));
    victim.is_empty();
}

#[test]
fn an_early_error_without_cancellation_sends_the_upload_to_its_end() {
    let mut victim = Victim::with(Config::new(Role::Router), &Offer { features: 0, ..Offer::default() });
    victim.conn.call(Call::new(1, vec![0; 1_000_000]), victim.now).expect("open");
    let first = victim.sent();
    assert!(matches!(victim.takes(&wire::error(2, 300).bytes())[..], [Event::Answer { .. }]));
    victim.takes(&wire::ack(first.iter().map(|frame| body_of(frame).len() as u64).sum()));
    let rest = victim.sent();
    assert!(rest.iter().all(|frame| frame.kind == wire::CHUNK));
    let total: usize = first.iter().chain(&rest).map(|frame| body_of(frame).len()).sum();
    assert_eq!(total, 1_000_000);
    victim.is_empty();
}
