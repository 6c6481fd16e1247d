//! Every limit at one below, exactly, and one above; on what is declared, before a byte of it has come.

use nova_proto_core::{
    Call, CloseCode, Config, ErrorCode, Event, Limits, MIN_CHUNK, Role, SMALL_BODY, SendError,
};

use crate::common::victim::{Victim, small_limits};
use crate::common::wire::{self, Ask, Frame, Offer};

fn router(limits: Limits) -> Victim {
    let config = Config { limits, zstd: true, ..Config::new(Role::Router) };
    Victim::with(config, &Offer { compression: vec![1], ..Offer::default() })
}

/// A worker towards a peer with these limits.
fn towards(limits: Limits) -> Victim {
    Victim::with(Config::new(Role::Worker), &Offer { limits, ..Offer::default() })
}

/// The first frame of a request that declares this, with the least of its body.
fn begin(ask: Ask<'_>) -> Vec<u8> {
    ask.frame(&vec![0; ask.body_len.min(MIN_CHUNK) as usize]).bytes()
}

/// The same, but only its header and one byte of its body have come.
fn header_only(ask: Ask<'_>) -> Vec<u8> {
    let mut bytes = ask.frame(&vec![0; ask.body_len.min(MIN_CHUNK) as usize]).bytes();
    bytes.truncate(4 + 1024.min(bytes.len() - 4));
    bytes
}

#[test]
fn a_frame_of_the_longest_length_is_taken() {
    let limits = small_limits();
    for less in [1, 0] {
        let length = limits.max_frame - less;
        let ask = Ask { body_len: limits.max_frame, ..Ask::default() };
        let head = ask.frame(b"").header().len() as u32 + 1;
        let frame = ask.frame(&vec![0; (length - head) as usize]).bytes();
        assert_eq!(frame.len() as u32, 4 + length);
        router(limits).takes(&frame);
    }
}

#[test]
fn a_longer_frame_is_refused_by_its_length_alone() {
    let limits = small_limits();
    router(limits).closes(&(limits.max_frame + 1).to_le_bytes(), CloseCode::FRAME_TOO_LARGE);
    router(limits).closes(&u32::MAX.to_le_bytes(), CloseCode::FRAME_TOO_LARGE);
}

#[test]
fn a_frame_that_is_only_a_header_has_at_most_1024_bytes() {
    for kind in [wire::ERROR, wire::CANCEL, wire::ACK, wire::PING, wire::PONG, wire::GOAWAY, wire::CLOSE] {
        let mut start = 1025u32.to_le_bytes().to_vec();
        start.push(kind);
        Victim::router().closes(&start, CloseCode::FRAME_TOO_LARGE);
        let mut start = 1024u32.to_le_bytes().to_vec();
        start.push(kind);
        Victim::router().takes(&start);
    }
}

#[test]
fn an_ignorable_frame_may_be_as_long_as_any() {
    let limits = small_limits();
    let mut victim = router(limits);
    victim.takes(&wire::raw(0x90, &vec![0; limits.max_frame as usize - 1]));
    victim.closes(&wire::raw(0x90, &vec![0; limits.max_frame as usize]), CloseCode::FRAME_TOO_LARGE);
}

#[test]
fn the_longest_request_body_is_begun_and_a_longer_one_is_not() {
    let max = small_limits().max_body;
    for body_len in [max - 1, max] {
        router(small_limits()).takes(&begin(Ask { body_len, ..Ask::default() }));
    }
    router(small_limits())
        .closes(&header_only(Ask { body_len: max + 1, ..Ask::default() }), CloseCode::BODY_TOO_LARGE);
}

#[test]
fn the_raw_length_has_the_limit_of_a_body() {
    let max = small_limits().max_body;
    let ask = |raw_len| Ask { body_len: 100_000.min(max), codec: 1, raw_len, ..Ask::default() };
    for raw_len in [1, max - 1, max] {
        router(small_limits()).takes(&begin(ask(raw_len)));
    }
    for raw_len in [max + 1, u32::MAX] {
        router(small_limits()).closes(&header_only(ask(raw_len)), CloseCode::BODY_TOO_LARGE);
    }
}

#[test]
fn the_raw_length_is_there_exactly_if_the_body_is_compressed() {
    router(small_limits()).closes(
        &Ask { codec: 0, raw_len: 1, ..Ask::default() }.frame(b"").bytes(),
        CloseCode::BAD_RAW_LENGTH,
    );
    router(small_limits()).closes(
        &Ask { codec: 1, raw_len: 0, ..Ask::default() }.frame(b"").bytes(),
        CloseCode::BAD_RAW_LENGTH,
    );
}

#[test]
fn a_reply_has_the_length_its_request_allows() {
    for (over, compressed) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut victim = router(Limits::default());
        let call = Call { reply_max: 30_000, ..Call::new(1, "") };
        victim.conn.call(call, victim.now).expect("open");
        victim.output();
        let length = 30_000 + u32::from(over);
        let (body_len, codec, raw_len) = if compressed { (5000, 1, length) } else { (length, 0, 0) };
        let frame = Frame::new(wire::RESPONSE)
            .u64(2)
            .u32(body_len)
            .u8(codec)
            .u32(raw_len)
            .ext(&[])
            .body(&[0; 4096])
            .bytes();
        if over {
            victim.closes(&frame[..1028], CloseCode::REPLY_TOO_LONG);
        } else {
            victim.takes(&frame);
        }
    }
}

#[test]
fn a_reply_longer_than_any_body_is_called_so() {
    let mut victim = router(small_limits());
    let max = small_limits().max_body;
    let call = Call { reply_max: max, ..Call::new(1, "") };
    victim.conn.call(call, victim.now).expect("open");
    victim.output();
    let frame = wire::response(2, max + 1, &[0; 4096]).bytes();
    victim.closes(&frame, CloseCode::BODY_TOO_LARGE);
}

#[test]
fn an_answer_longer_than_allowed_becomes_an_error() {
    for (reply_max, length, good) in
        [(100, 99, true), (100, 100, true), (100, 101, false), (0, 0, true), (0, 1, false)]
    {
        let mut victim = Victim::router();
        let events = victim.takes(&Ask { reply_max, ..Ask::default() }.frame(b"").bytes());
        let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
        victim.conn.respond(request.id, vec![0; length]).expect("owed");
        let sent = victim.sent();
        if good {
            assert_eq!(sent[0].kind, wire::RESPONSE);
        } else {
            assert_eq!(
                (sent[0].kind, sent[0].int(1)),
                (wire::ERROR, u64::from(ErrorCode::REPLY_TOO_LARGE.0))
            );
        }
        victim.is_empty();
    }
}

#[test]
fn a_frame_that_does_not_complete_its_body_carries_4096_bytes() {
    let ask = Ask { body_len: 20_000, ..Ask::default() };
    for (carried, good) in [(0, false), (1, false), (4095, false), (4096, true), (4097, true)] {
        let first = ask.frame(&vec![0; carried]).bytes();
        let next = wire::chunk(1, &vec![0; carried]);
        let mut victim = Victim::router();
        if good {
            victim.takes(&first);
            victim.takes(&next);
        } else {
            victim.closes(&first, CloseCode::CHUNK_TOO_SMALL);
            let mut victim = Victim::router();
            victim.takes(&ask.frame(&[0; 4096]).bytes());
            victim.closes(&next, CloseCode::CHUNK_TOO_SMALL);
        }
    }
}

#[test]
fn a_chunk_is_judged_by_its_header() {
    let mut victim = Victim::router();
    victim.takes(&Ask { body_len: 20_000, ..Ask::default() }.frame(&[0; 4096]).bytes());
    // 100 bytes of body are announced, none has come: not before all of this short frame is there.
    let chunk = wire::chunk(1, &[0; 100]);
    victim.takes(&chunk[..chunk.len() - 1]);
    victim.closes(&chunk[chunk.len() - 1..], CloseCode::CHUNK_TOO_SMALL);
}

#[test]
fn the_last_part_may_be_short_but_not_too_long() {
    for (last, code) in
        [(999, Some(CloseCode::CHUNK_TOO_SMALL)), (1000, None), (1001, Some(CloseCode::BODY_OVERRUN))]
    {
        let mut victim = Victim::router();
        victim.takes(&Ask { body_len: 5096, ..Ask::default() }.frame(&[0; 4096]).bytes());
        let chunk = wire::chunk(1, &vec![0; last]);
        match code {
            Some(code) => victim.closes(&chunk, code),
            None => assert!(matches!(victim.takes(&chunk)[..], [Event::Request(_)])),
        }
    }
}

#[test]
fn a_first_frame_with_more_than_its_body_is_refused() {
    Victim::router()
        .closes(&Ask { body_len: 2, ..Ask::default() }.frame(b"abc").bytes(), CloseCode::BODY_OVERRUN);
    Victim::router().closes(&Ask::default().frame(b"a").bytes(), CloseCode::BODY_OVERRUN);
}

#[test]
fn as_many_requests_as_accepted_are_open_and_no_more() {
    let limits = small_limits();
    let mut victim = router(limits);
    for n in 0..u64::from(limits.max_concurrent) {
        assert!(matches!(victim.takes(&wire::request(2 * n + 1, b""))[..], [Event::Request(_)]));
    }
    assert_eq!(victim.conn.stats().serving, limits.max_concurrent as usize);
    victim.closes(&wire::request(101, b""), CloseCode::TOO_MANY_REQUESTS);
}

#[test]
fn one_concurrent_request_is_enough_to_go_on() {
    let mut victim = router(Limits { max_concurrent: 1, ..small_limits() });
    for n in 0..10 {
        let events = victim.takes(&wire::request(2 * n + 1, b"x"));
        let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
        victim.conn.respond(request.id, "y").expect("owed");
        assert_eq!(victim.sent().len(), 1);
    }
}

/// Requests of this cost, until one is refused.
fn fill(limits: Limits, asks: &[(u32, u32, u32)]) -> Result<u64, CloseCode> {
    let mut victim = router(limits);
    for (n, &(body_len, raw_len, reply_max)) in asks.iter().enumerate() {
        let codec = u8::from(raw_len > 0);
        let ask = Ask { id: 2 * n as u64 + 1, body_len, codec, raw_len, reply_max, ..Ask::default() };
        victim.feed(&begin(ask));
        if victim.conn.is_closed() {
            return Err(victim.code());
        }
    }
    Ok(victim.conn.stats().serving_cost)
}

#[test]
fn the_work_budget_may_be_used_up_to_its_last_byte() {
    let limits = small_limits();
    let (max, budget) = (limits.max_body, limits.work_budget);
    assert_eq!(fill(limits, &[(max, 0, max), (max, 0, max - 1)]), Ok(budget - 1));
    assert_eq!(fill(limits, &[(max, 0, max), (max, 0, max)]), Ok(budget));
    assert_eq!(fill(limits, &[(max, 0, max), (max, 0, max + 1)]), Err(CloseCode::WORK_BUDGET));
}

#[test]
fn a_promised_reply_alone_can_pass_the_work_budget() {
    let limits = small_limits();
    let budget = limits.work_budget as u32;
    assert_eq!(fill(limits, &[(0, 0, budget)]), Ok(u64::from(budget)));
    assert_eq!(fill(limits, &[(0, 0, budget + 1)]), Err(CloseCode::WORK_BUDGET));
    assert_eq!(fill(limits, &[(0, 0, u32::MAX)]), Err(CloseCode::WORK_BUDGET));
}

#[test]
fn the_raw_length_counts_in_the_work_budget() {
    let limits = small_limits();
    let max = limits.max_body;
    assert_eq!(fill(limits, &[(max, max, max), (10, max, 0)]), Err(CloseCode::WORK_BUDGET));
    assert_eq!(fill(limits, &[(max, max, max), (10, max - 10, 0)]), Ok(4 * u64::from(max)));
}

#[test]
fn requests_up_to_16_kib_each_way_cost_only_a_slot() {
    let (small, limits) = (SMALL_BODY, small_limits());
    for ask in [(small, 0, small), (small, small, small), (0, 0, 0)] {
        assert_eq!(fill(limits, &[ask]), Ok(0), "{ask:?}");
    }
    for (ask, cost) in [
        ((small + 1, 0, 0), small + 1),
        ((0, 0, small + 1), small + 1),
        ((1, small + 1, 5), small + 7),
        ((small + 1, 0, 100), small + 101),
    ] {
        assert_eq!(fill(limits, &[ask]), Ok(u64::from(cost)), "{ask:?}");
    }
}

#[test]
fn small_requests_pass_a_full_work_budget() {
    let max = small_limits().max_body;
    let full = fill(small_limits(), &[(max, 0, max), (max, 0, max), (SMALL_BODY, 0, SMALL_BODY)]);
    assert_eq!(full, Ok(small_limits().work_budget));
}

#[test]
fn the_sender_refuses_a_body_the_peer_never_accepts() {
    let limits = small_limits();
    let max = limits.max_body as usize;
    for (len, good) in [(max - 1, true), (max, true), (max + 1, false)] {
        let mut victim = towards(limits);
        let result = victim.conn.call(Call::new(1, vec![0; len]), victim.now);
        match result {
            Ok(_) => assert!(good),
            Err(error) => {
                assert!(!good);
                let limit = max as u64;
                assert_eq!(error, SendError::TooLarge { what: "body", size: len as u64, limit });
                victim.is_empty();
            }
        }
    }
}

#[test]
fn the_sender_asks_for_no_reply_it_would_not_accept() {
    let limits = small_limits();
    let mut victim = Victim::open(Role::Router, limits);
    let ask = |reply_max| Call { reply_max, ..Call::new(1, "") };
    let now = victim.now;
    assert!(victim.conn.call(ask(limits.max_body), now).is_ok());
    let error = victim.conn.call(ask(limits.max_body + 1), now);
    assert!(matches!(error, Err(SendError::TooLarge { what: "reply", .. })), "{error:?}");
}

#[test]
fn a_call_that_can_never_fit_the_budget_fails_here() {
    let limits = Limits { max_body: 100_000, work_budget: 200_000, ..small_limits() };
    let mut victim = towards(limits);
    let now = victim.now;
    let ask = |reply_max| Call { reply_max, ..Call::new(1, vec![0; 100_000]) };
    let error = victim.conn.call(ask(100_001), now);
    assert!(
        matches!(error, Err(SendError::TooLarge { what: "request cost", size: 200_001, .. })),
        "{error:?}"
    );
    assert!(victim.conn.call(ask(100_000), now).is_ok());
}

#[test]
fn the_sender_keeps_within_the_peers_slots_and_budget() {
    let limits = Limits { max_concurrent: 3, ..small_limits() };
    let mut victim = towards(limits);
    for _ in 0..5 {
        victim.conn.call(Call::new(1, "x"), victim.now).expect("it may wait");
    }
    assert_eq!(victim.sent().len(), 3);
    victim.takes(&wire::response(1, 0, b"").bytes());
    assert_eq!(victim.sent().len(), 1, "an answer makes room for one");

    let mut victim = towards(small_limits());
    for _ in 0..3 {
        let call = Call { reply_max: 64 * 1024, ..Call::new(1, vec![0; 64 * 1024]) };
        victim.conn.call(call, victim.now).expect("it may wait");
    }
    let begun =
        |victim: &mut Victim| victim.sent().iter().filter(|frame| frame.kind == wire::REQUEST).count();
    assert_eq!(begun(&mut victim), 2);
    victim.conn.call(Call::new(1, "small"), victim.now).expect("open");
    assert_eq!(begun(&mut victim), 1, "a small one overtakes");
    victim.takes(&wire::response(1, 0, b"").bytes());
    assert_eq!(begun(&mut victim), 1, "the third large one");
}

#[test]
fn the_last_slot_is_left_to_a_large_request_whose_turn_it_is() {
    let limits = Limits { max_concurrent: 2, ..small_limits() };
    let mut victim = towards(limits);
    for body in [10, 20, 30, 50_000] {
        victim.conn.call(Call::new(1, vec![0; body]), victim.now).expect("open");
    }
    let bodies: Vec<u64> =
        victim.sent().iter().filter(|frame| frame.kind == wire::REQUEST).map(|frame| frame.int(2)).collect();
    assert_eq!(bodies, [10, 50_000], "steady small ones do not keep it waiting");
}

#[test]
fn so_many_calls_may_wait_and_no_more() {
    let config = Config { max_calls: 3, ..Config::new(Role::Worker) };
    let mut victim = Victim::with(config, &Offer::default());
    let now = victim.now;
    for _ in 0..3 {
        victim.conn.call(Call::new(1, ""), now).expect("room");
    }
    assert_eq!(victim.conn.call(Call::new(1, ""), now), Err(SendError::TooManyCalls { limit: 3 }));
}

#[test]
fn a_small_body_that_fills_a_whole_frame_still_arrives() {
    let mut victim = towards(small_limits());
    victim.conn.call(Call::new(1, vec![7; SMALL_BODY as usize]), victim.now).expect("open");
    let sent = victim.sent();
    assert_eq!(sent.iter().map(|frame| frame.kind).collect::<Vec<_>>(), [wire::REQUEST, wire::CHUNK]);
    assert!(sent[0].content.len() < small_limits().max_frame as usize);
}

#[test]
fn a_hundred_unknown_frames_in_a_row_are_skipped_and_one_more_is_not() {
    let mut victim = Victim::router();
    for _ in 0..5 {
        victim.takes(&wire::raw(0x81, b"").repeat(100));
        victim.takes(&wire::ping(1));
    }
    victim.takes(&wire::raw(0xff, b"x").repeat(100));
    victim.closes(&wire::raw(0xff, b"x"), CloseCode::TOO_MANY_UNKNOWN);
}
