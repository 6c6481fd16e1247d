//! What a peer can make a connection keep, counted in the allocator.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "tests stand outside the core: they make its time"
)]

#[path = "common/mod.rs"]
mod common;
#[path = "memory/counting.rs"]
mod counting;

use std::time::Duration;

use bytes::Bytes;
use nova_proto_core::{Call, CloseCode, Config, Event, Limits, Request, Role};

use common::for_seeds;
use common::rng::Rng;
use common::traffic::{traffic, with_calls};
use common::victim::{Victim, small_limits};
use common::wire::{self, Ask, Field, Frame, Offer};
use counting::{live, peak_of};

const KIB: usize = 1024;

/// The equation of `Limits`, for what the peer sends, and the piece that `receive` was given.
fn equation(limits: &Limits, piece: usize) -> usize {
    limits.work_budget as usize + limits.max_concurrent as usize * 33 * KIB + 32 * KIB + piece
}

/// What the victim keeps at most, beyond what it had.
fn kept(victim: &mut Victim, bytes: &[u8], piece: usize) -> usize {
    peak_of(|| {
        for piece in bytes.chunks(piece) {
            victim.conn.receive(piece, victim.now);
            while let Some(event) = victim.conn.poll_event() {
                drop(event);
            }
        }
    })
}

/// The worst that fits a `Hello`: all lists full, or more, or longer than they say.
fn worst_hellos() -> Vec<Vec<u8>> {
    let full: Vec<(u16, &[u8])> = (0..8).map(|tag| (tag, &[7; 64][..])).collect();
    let offer = Offer {
        versions: (0..8).map(|n| (u16::MAX - n, u16::MAX)).collect(),
        compression: (1..9).collect(),
        app: vec![7; 4096],
        ..Offer::default()
    };
    let legal = offer.hello(&full).bytes();
    let start = Offer::default().hello(&[]);
    let cut = |fields: usize| {
        let mut frame = Frame::new(wire::HELLO);
        frame.fields = start.fields[..fields].to_vec();
        frame
    };
    let fill = |frame: Frame, byte: u8| {
        let left = 16 * KIB - 1 - frame.header().len();
        frame.plain(vec![byte; left]).bytes()
    };
    let endless = usize::MAX;
    let lists = [16_000, 1 << 20, 1 << 32, endless].map(Field::Len);
    let mut all = vec![legal, fill(Frame::new(wire::HELLO), 0xff), fill(Frame::new(wire::HELLO), 0)];
    for list in lists {
        // A list of versions, of compressions, of extensions; an application part.
        all.push(fill(cut(0).field(list.clone()), 1));
        all.push(fill(cut(8).field(list.clone()), 0));
        all.push(fill(cut(10).field(list.clone()), 0));
        all.push(fill(cut(12).field(list), 0));
    }
    let many: Vec<(u16, &[u8])> = (0..5000).map(|tag| (tag, &b""[..])).collect();
    all.push(Offer::default().hello(&many).bytes());
    all
}

#[test]
fn a_hello_costs_at_most_64_kib_before_anyone_is_let_in() {
    for hello in worst_hellos() {
        assert!(hello.len() <= 16 * KIB + 4);
        for piece in [1, 1000, 32 * KIB] {
            let mut victim = Victim::fresh(Config::new(Role::Router));
            victim.feed(wire::PREFACE);
            let cost = kept(&mut victim, &hello, piece);
            assert!(cost <= 64 * KIB, "{cost} bytes for {} in pieces of {piece}", hello.len());
            if victim.conn.is_closed() {
                victim.output();
                assert!(live_of(victim) < 2 * KIB, "nothing is kept after the end");
            }
        }
    }
}

/// What goes away with the victim.
fn live_of(victim: Victim) -> usize {
    let before = live();
    drop(victim);
    (before - live()) as usize
}

#[test]
fn a_length_is_not_believed() {
    let mut victim = Victim::fresh(Config::new(Role::Router));
    victim.feed(wire::PREFACE);
    assert!(kept(&mut victim, &u32::MAX.to_le_bytes(), 1) < 2 * KIB);
    let mut victim = Victim::router();
    assert!(kept(&mut victim, &(256 * 1024u32).to_le_bytes(), 1) < 2 * KIB);
    let mut victim = Victim::router();
    let ask = Ask { body_len: 16 << 20, ..Ask::default() };
    assert!(kept(&mut victim, &ask.frame(&[0; 4096]).bytes(), 100) < 12 * KIB, "16 MiB are only announced");
}

#[test]
fn a_body_costs_at_most_twice_what_has_come() {
    let mut victim = Victim::router();
    let total = 4 << 20;
    let ask = Ask { body_len: total, ..Ask::default() };
    let before = live();
    victim.feed(&ask.frame(&[0; 64 * KIB]).bytes());
    let mut come = 64 * KIB;
    while come + 64 * KIB < total as usize {
        victim.feed(&wire::chunk(1, &[0; 64 * KIB]));
        come += 64 * KIB;
        let cost = (live() - before) as usize;
        assert!(cost <= 2 * come + 150 * KIB, "{cost} for {come}");
        assert!(cost <= total as usize + 150 * KIB, "never more than was announced");
    }
}

/// Wherever the peer cuts it: also where doubling would move nearly the whole body at once.
#[test]
fn a_body_that_grows_costs_half_of_it_again_at_most() {
    let total: usize = 4 << 20;
    for first in [4096, 100_000, total / 9 * 4, total / 10 * 9] {
        let limits = Limits { max_frame: 8 << 20, ..Limits::default() };
        let mut victim = Victim::open(Role::Router, limits);
        let ask = Ask { body_len: total as u32, ..Ask::default() };
        let parts = [ask.frame(&vec![0; first]).bytes(), wire::chunk(1, &vec![0; total - first])];
        let peak = peak_of(|| {
            for part in &parts {
                for piece in part.chunks(32 * KIB) {
                    victim.conn.receive(piece, victim.now);
                    while let Some(event) = victim.conn.poll_event() {
                        drop(event);
                    }
                }
            }
        });
        assert!(peak <= total / 2 * 3 + 100 * KIB, "{peak} with a first part of {first}");
    }
}

#[cfg(feature = "zstd")]
#[test]
fn what_decompresses_costs_half_of_it_again_at_most() {
    use nova_proto_core::compress::{compress, decompress};

    for raw in [140_000, 1 << 20, (1 << 20) + 1, 3 << 20] {
        let body = compress(vec![7; raw].into(), true);
        let peak = peak_of(|| assert_eq!(decompress(&body).map(|bytes| bytes.len()), Ok(raw)));
        assert!(peak <= raw / 2 * 3 + 100 * KIB, "{peak} for {raw}");
    }
}

#[test]
fn an_idle_connection_is_small() {
    for role in [Role::Router, Role::Worker] {
        let mut victim = Victim::open(role, Limits::default());
        for _ in 0..10 {
            victim.pass(Duration::from_secs(10));
            let sent = victim.sent();
            victim.takes(&wire::pong(sent[0].int(0)));
        }
        assert!(live_of(victim) < 4 * KIB);
    }
}

/// Requests that use up everything, and stay open: the bodies complete or all but a byte.
fn use_up(victim: &mut Victim, limits: &Limits, complete: bool) -> Vec<Request> {
    let mut handlers = Vec::new();
    let mut id = 1;
    let mut cost = 0;
    let mut feed = |victim: &mut Victim, id: u64, body_len: u32, reply_max: u32| {
        let ask = Ask { id, body_len, reply_max, ..Ask::default() };
        let part = (limits.max_frame - 100).min(body_len);
        let mut sent = part;
        let mut events = victim.feed(&ask.frame(&vec![0; part as usize]).bytes());
        while sent < body_len {
            let mut part = (limits.max_frame - 100).min(body_len - sent);
            if sent + part == body_len && !complete {
                part -= 1;
                if part < 4096 {
                    break;
                }
                events.extend(victim.feed(&wire::chunk(id, &vec![0; part as usize])));
                break;
            }
            sent += part;
            events.extend(victim.feed(&wire::chunk(id, &vec![0; part as usize])));
        }
        for event in events {
            if let Event::Request(request) = event {
                handlers.push(request);
            }
        }
    };
    let large = u64::from(limits.max_body);
    while cost + large <= limits.work_budget && victim.conn.stats().serving < limits.max_concurrent as usize {
        feed(victim, id, limits.max_body, 0);
        cost += large;
        id += 2;
    }
    while victim.conn.stats().serving < limits.max_concurrent as usize {
        feed(victim, id, 16 * 1024, 16 * 1024);
        id += 2;
    }
    assert_eq!(victim.conn.close_reason(), None);
    assert_eq!(victim.conn.stats().serving, limits.max_concurrent as usize);
    handlers
}

#[test]
fn everything_that_is_allowed_stays_within_the_equation() {
    let limits = Limits { max_concurrent: 100, work_budget: 1 << 20, ..small_limits() };
    for complete in [true, false] {
        let mut victim = Victim::open(Role::Router, limits);
        let mut handlers = Vec::new();
        let peak = peak_of(|| handlers = use_up(&mut victim, &limits, complete));
        let most = equation(&limits, 2 * limits.max_frame as usize);
        assert!(peak <= most, "{peak} of {most}");
        assert!(peak >= limits.work_budget as usize, "{peak}: the test is too tame");
        // With the small answers on top, none of which is read.
        let peak = peak_of(|| {
            for request in &handlers {
                let reply = vec![0; request.reply_max as usize];
                victim.conn.respond(request.id, reply).expect("owed");
            }
        });
        assert!(peak <= limits.max_concurrent as usize * 17 * KIB, "{peak}");
        drop(handlers);
        victim.conn.close(CloseCode::NORMAL, "");
        victim.events();
        victim.output();
        assert!(live_of(victim) < 4 * KIB, "nothing is kept after the end");
    }
}

/// The answers to our own calls come on top: what we let the peer promise is bounded by our budget, too.
#[test]
fn answers_to_our_own_calls_cost_at_most_our_budget_again() {
    let limits = Limits { work_budget: 1 << 20, max_concurrent: 100, ..small_limits() };
    let mut victim = Victim::open(Role::Router, limits);
    while victim.conn.stats().calls < 100 {
        let call = Call { reply_max: limits.max_body, may_wait: false, ..Call::new(1, "") };
        if victim.conn.call(call, victim.now).is_err() {
            break;
        }
    }
    let calls = victim.sent().len();
    assert_eq!(calls as u64, limits.work_budget / u64::from(limits.max_body));
    let peak = peak_of(|| {
        for n in 0..calls as u64 {
            victim.takes(&wire::response(2 * n + 2, limits.max_body, &[0; 16_000]).bytes());
            for _ in 0..3 {
                victim.takes(&wire::chunk(2 * n + 2, &[0; 16_000]));
            }
        }
    });
    let growing = limits.max_body as usize / 2;
    assert!(peak <= limits.work_budget as usize + growing + 64 * KIB, "{peak}");
    assert!(peak >= limits.work_budget as usize / 2, "{peak}: the test is too tame");
}

#[test]
fn two_hundred_thousand_request_and_cancel_pairs_keep_nothing() {
    let mut victim = Victim::router();
    let peak = peak_of(|| {
        for n in 0..200_000 {
            let id = 2 * n + 1;
            victim.conn.receive(&[wire::request(id, b""), wire::cancel(id)].concat(), victim.now);
            while let Some(event) = victim.conn.poll_event() {
                if let Event::Request(request) = event {
                    victim.conn.respond(request.id, Bytes::new()).expect("owed");
                }
            }
            victim.output();
        }
    });
    assert_eq!(victim.conn.stats().requests_received, 200_000);
    assert!(peak < 16 * KIB, "{peak}");
}

#[test]
fn request_and_cancel_pairs_whose_handlers_stay_keep_no_more_than_the_slots() {
    let mut victim = Victim::router();
    let pairs: Vec<u8> =
        (0..2000).flat_map(|n| [wire::request(2 * n + 1, b""), wire::cancel(2 * n + 1)].concat()).collect();
    let peak = kept(&mut victim, &pairs, 1000);
    assert_eq!(victim.code(), CloseCode::TOO_MANY_REQUESTS);
    assert!(peak < 256 * KIB, "{peak} for 256 requests");
}

#[test]
fn floods_of_frames_without_a_body_keep_nothing() {
    let mut victim = Victim::router();
    victim.takes(&wire::request(99_999, b""));
    for frame in
        [wire::ping(7), wire::goaway(5), wire::cancel(99_999), wire::cancel(5), wire::raw(0x80, &[0; 50])]
    {
        // A ping between them, so that unknown ones are never many in a row.
        let flood = [frame, wire::ping(1)].concat().repeat(20_000);
        let peak = kept(&mut victim, &flood, 4000);
        assert_eq!(victim.conn.close_reason(), None);
        assert!(peak < 16 * KIB, "{peak}");
    }
}

#[test]
fn a_peer_that_never_reads_costs_its_slots_and_the_window() {
    let limits = Limits { work_budget: 4 << 20, max_body: 1 << 20, ..Limits::default() };
    let mut victim = Victim::open(Role::Router, limits);
    let reply = Bytes::from(vec![0; 1 << 20]);
    let mut out = Vec::new();
    let peak = peak_of(|| {
        for n in 0..4 {
            let ask = Ask { id: 2 * n + 1, reply_max: 1 << 20, ..Ask::default() };
            victim.conn.receive(&ask.frame(b"").bytes(), victim.now);
            while let Some(event) = victim.conn.poll_event() {
                let Event::Request(request) = event else { panic!("{event:?}") };
                victim.conn.respond(request.id, reply.clone()).expect("owed");
            }
        }
        while victim.conn.poll_transmit(&mut out, 64 * KIB) > 0 {}
    });
    // The output buffer is the driver's and doubles as it grows; the answers are shared with the application.
    assert!(out.len() < 540 * KIB && peak < 1100 * KIB, "{} and {peak}", out.len());
    victim.closes(
        &Ask { id: 9, reply_max: 1 << 20, ..Ask::default() }.frame(b"").bytes(),
        CloseCode::WORK_BUDGET,
    );
}

#[test]
fn any_traffic_spoiled_anywhere_stays_within_the_equation() {
    for_seeds(600, |seed| {
        let mut rng = Rng::new(seed);
        let mut bytes = traffic(&mut rng).concat();
        for _ in 0..rng.below(4) {
            let at = rng.index(bytes.len());
            bytes[at] = rng.pick(&[0, 0x7f, 0x80, 0xff]);
        }
        let mut victim = with_calls();
        let peak = kept(&mut victim, &bytes, 16 * KIB);
        // What was sent at most is in it, twice while a body grows.
        assert!(peak <= 2 * bytes.len() + 64 * KIB, "{peak} for {}", bytes.len());
    });
}

#[test]
fn random_bytes_keep_no_more_than_they_are() {
    for_seeds(1000, |seed| {
        let mut rng = Rng::new(seed);
        let mut victim = Victim::fresh(Config::new(Role::Worker));
        victim.feed(wire::PREFACE);
        let bytes = rng.bytes(5000);
        let kind = rng.pick(&common::victim::KINDS);
        let bytes = [wire::raw(kind, &bytes[..rng.index(900)]), bytes].concat();
        let peak = kept(&mut victim, &bytes, 1000);
        assert!(peak <= 16 * KIB, "{peak}");
    });
}

#[test]
fn calls_that_were_answered_or_cancelled_keep_nothing() {
    let mut victim = Victim::router();
    let body = Bytes::from(vec![0; 100]);
    let before = live();
    for n in 0..20_000 {
        let call = Call { timeout: Some(Duration::from_secs(1000)), ..Call::new(1, body.clone()) };
        let key = victim.conn.call(call, victim.now).expect("open");
        if n % 3 == 0 {
            assert!(victim.conn.cancel(key), "before it is sent");
            continue;
        }
        let id = victim.sent()[0].int(0);
        if n % 3 == 1 {
            assert!(victim.conn.cancel(key));
            victim.output();
        }
        victim.takes(&wire::error(id, 2).bytes());
        if n % 1000 == 999 {
            let stats = victim.conn.stats();
            assert_eq!(stats.calls, 0);
            victim.conn.receive(&wire::ack(stats.requests_sent * 100), victim.now);
            assert_eq!(victim.events(), []);
        }
    }
    let kept = live() - before;
    assert!(kept < 8 * KIB as isize, "{kept}");
}

#[test]
fn a_cancelled_upload_is_freed_before_the_peer_has_answered() {
    for answered in [false, true] {
        let mut victim = Victim::router();
        let before = live();
        let key = victim.conn.call(Call::new(1, vec![0; 4 << 20]), victim.now).expect("open");
        victim.output();
        if answered {
            victim.takes(&wire::error(2, 300).bytes());
        } else {
            assert!(victim.conn.cancel(key));
        }
        victim.output();
        let kept = live() - before;
        assert!(kept < 8 * KIB as isize, "{kept}");
    }
}

#[test]
fn an_answer_nobody_wants_any_more_is_only_counted() {
    let mut victim = Victim::router();
    for (n, early) in [(0, true), (1, false)] {
        let call = Call { reply_max: 4 << 20, ..Call::new(1, "") };
        let key = victim.conn.call(call, victim.now).expect("open");
        victim.output();
        let id = 2 * n + 2;
        if early {
            assert!(victim.conn.cancel(key), "before the answer begins");
        }
        victim.takes(&wire::response(id, 4 << 20, &[0; 64 * KIB]).bytes());
        for _ in 0..30 {
            victim.takes(&wire::chunk(id, &[0; 64 * KIB]));
        }
        if !early {
            assert!(victim.conn.cancel(key), "in its middle");
        }
        let before = live();
        for _ in 0..30 {
            victim.takes(&wire::chunk(id, &[0; 64 * KIB]));
        }
        let kept = live() - before;
        assert!(kept < 8 * KIB as isize, "{kept}");
    }
    assert!(live_of(victim) < 200 * KIB, "no more than the input's buffer");
}

#[test]
fn the_end_frees_what_waited() {
    let mut victim = Victim::router();
    for n in 0..4000 {
        let timeout = Some(Duration::from_secs(1 + n));
        let call = Call { timeout, ..Call::new(1, vec![0; 1000]) };
        victim.conn.call(call, victim.now).expect("room");
    }
    victim.conn.close(CloseCode::NORMAL, "");
    assert_eq!(victim.events().len(), 4001);
    victim.output();
    // The emptied queue of events keeps its places.
    assert!(live_of(victim) < 700 * KIB);
}

#[test]
fn an_upload_that_was_refused_or_is_late_is_only_counted() {
    for late in [false, true] {
        let mut victim = Victim::router();
        victim.takes(&wire::request(1, b""));
        if !late {
            victim.conn.drain(Duration::from_secs(60), victim.now).expect("open");
        }
        let before = live();
        let ask = Ask { id: 3, body_len: 8 << 20, deadline_ms: 5, ..Ask::default() };
        victim.takes(&ask.frame(&[0; 64 * KIB]).bytes());
        for _ in 0..20 {
            victim.takes(&wire::chunk(3, &[0; 64 * KIB]));
        }
        victim.pass(Duration::from_millis(5));
        victim.output();
        for _ in 0..60 {
            victim.takes(&wire::chunk(3, &[0; 64 * KIB]));
        }
        let kept = live() - before;
        assert!(kept < 160 * KIB as isize, "{kept}: no more than the input's buffer");
        assert_eq!(victim.conn.stats().serving, 2);
    }
}
