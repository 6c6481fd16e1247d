//! What goes out when: control first, then small bodies, then large ones in turn, and never more than the window.

use nova_proto_core::{ACK_EVERY, Call, CallKey, Config, Event, Limits, Role, SMALL_BODY};

use crate::common::victim::Victim;
use crate::common::wire::{self, Ask, Offer, Sent};

fn kinds(frames: &[Sent]) -> Vec<u8> {
    frames.iter().map(|frame| frame.kind).collect()
}

/// One output of about so many bytes.
fn next(victim: &mut Victim, budget: usize) -> Vec<Sent> {
    let mut out = Vec::new();
    assert_eq!(victim.conn.poll_transmit(&mut out, budget), out.len());
    wire::frames(&out)
}

fn upload(victim: &mut Victim, len: usize) -> CallKey {
    victim.conn.call(Call::new(1, vec![0; len]), victim.now).expect("open")
}

#[test]
fn a_pong_goes_out_before_the_next_part_of_an_upload() {
    let mut victim = Victim::router();
    upload(&mut victim, 4 << 20);
    next(&mut victim, 64 * 1024);
    victim.takes(&wire::ping(7));
    assert_eq!(kinds(&next(&mut victim, 64 * 1024))[..2], [wire::PONG, wire::CHUNK]);
}

#[test]
fn a_cancel_goes_out_at_once_and_ends_the_upload() {
    let mut victim = Victim::router();
    let key = upload(&mut victim, 4 << 20);
    next(&mut victim, 64 * 1024);
    assert!(victim.conn.cancel(key));
    assert_eq!(kinds(&victim.sent()), [wire::CANCEL]);
}

#[test]
fn a_small_call_overtakes_an_upload() {
    let mut victim = Victim::router();
    upload(&mut victim, 4 << 20);
    next(&mut victim, 64 * 1024);
    upload(&mut victim, SMALL_BODY as usize);
    let sent = next(&mut victim, 1);
    assert_eq!((sent.len(), sent[0].kind, sent[0].int(2)), (1, wire::REQUEST, u64::from(SMALL_BODY)));
}

#[test]
fn a_small_answer_overtakes_an_upload() {
    let mut victim = Victim::router();
    upload(&mut victim, 4 << 20);
    next(&mut victim, 64 * 1024);
    let events = victim.takes(&wire::request(1, b""));
    let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
    victim.conn.respond(request.id, "small").expect("owed");
    assert_eq!(kinds(&next(&mut victim, 1)), [wire::RESPONSE]);
}

#[test]
fn everything_in_its_order() {
    let mut victim = Victim::router();
    let cancelled = upload(&mut victim, 100);
    victim.output();
    upload(&mut victim, 1 << 20);
    upload(&mut victim, 10);
    assert!(victim.conn.cancel(cancelled));
    let events = victim.takes(&[wire::request(1, b""), wire::request(3, b""), wire::ping(1)].concat());
    let ids: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Request(request) => request.id,
            event => panic!("{event:?}"),
        })
        .collect();
    victim.conn.respond(ids[0], "x").expect("owed");
    let error = nova_proto_core::ErrorReply::new(nova_proto_core::ErrorCode::INVALID, "");
    victim.conn.respond_error(ids[1], error).expect("owed");
    let order = kinds(&victim.sent());
    let expected = [wire::PONG, wire::CANCEL, wire::ERROR, wire::RESPONSE, wire::REQUEST, wire::REQUEST];
    assert_eq!(order[..6], expected);
    assert!(order[6..].iter().all(|kind| *kind == wire::CHUNK));
}

#[test]
fn a_part_is_no_longer_than_what_the_driver_takes() {
    for budget in [1, 20_000, 64 * 1024, 200_000] {
        let mut victim = Victim::router();
        upload(&mut victim, 4 << 20);
        let sent = next(&mut victim, budget);
        let longest = sent.iter().map(|frame| frame.content.len()).max().expect("something");
        assert!(longest <= budget.max(SMALL_BODY as usize) + 40, "{longest} for {budget}");
    }
}

#[test]
fn an_upload_stops_at_the_window_and_goes_on_with_the_acknowledgements() {
    let mut victim = Victim::router();
    upload(&mut victim, 2 << 20);
    let first: usize = victim.sent().iter().map(|frame| frame.content.len()).sum();
    assert!((496 * 1024..513 * 1024).contains(&first), "{first}");
    assert_eq!(victim.output(), b"", "0 means nothing to send");
    victim.takes(&wire::ack(ACK_EVERY));
    let more: usize = victim.sent().iter().map(|frame| frame.content.len()).sum();
    assert!((65_000..66_000).contains(&more), "{more}");
}

#[test]
fn small_calls_go_on_while_the_window_is_full() {
    let mut victim = Victim::router();
    upload(&mut victim, 2 << 20);
    victim.output();
    for _ in 0..10 {
        upload(&mut victim, SMALL_BODY as usize);
        assert_eq!(kinds(&victim.sent()), [wire::REQUEST]);
    }
}

#[test]
fn every_small_body_a_receiver_takes_is_acknowledged_in_time() {
    let mut victim = Victim::router();
    let mut acks = 0;
    for n in 0..64 {
        let events = victim.takes(&wire::request(2 * n + 1, &[0; 16 * 1024]));
        let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
        victim.conn.respond(request.id, "").expect("owed");
        acks += victim.sent().iter().filter(|frame| frame.kind == wire::ACK).count();
    }
    assert_eq!(acks, 16, "one for each 64 KiB");
}

/// What four requests of 20,000 bytes take.
const FOUR: usize = 80_060;

/// A large body under way goes on, however many large requests of one frame are made.
#[test]
fn large_requests_that_keep_coming_do_not_starve_an_upload() {
    let limits = Limits { work_budget: 1 << 30, ..Limits::default() };
    let config = Config { limits, ..Config::new(Role::Router) };
    let mut victim = Victim::with(config, &Offer { limits, ..Offer::default() });
    upload(&mut victim, 1 << 20);
    let first = next(&mut victim, 1)[0].int(0);
    let (mut parts, mut received, mut rounds) = (0, 0, 0);
    while parts < 5 {
        for _ in 0..4 {
            upload(&mut victim, 20_000);
        }
        for frame in next(&mut victim, FOUR) {
            received += (frame.content.len() as u64).saturating_sub(40);
            if frame.kind == wire::REQUEST {
                victim.takes(&wire::response(frame.int(0), 0, b"").bytes());
            } else if frame.kind == wire::CHUNK && frame.int(0) == first {
                parts += 1;
            }
        }
        victim.takes(&wire::ack(received));
        rounds += 1;
        assert!(rounds < 100, "{parts} parts in {rounds} rounds");
    }
}

/// The same for a large answer.
#[test]
fn large_requests_that_keep_coming_do_not_starve_an_answer() {
    let mut victim = Victim::router();
    let events = victim.takes(&Ask { reply_max: 1 << 20, ..Ask::default() }.frame(b"").bytes());
    let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
    victim.conn.respond(request.id, vec![0; 1 << 20]).expect("owed");
    let (mut parts, mut received, mut rounds) = (0, 0, 0);
    while parts < 5 {
        for _ in 0..4 {
            upload(&mut victim, 20_000);
        }
        for frame in next(&mut victim, FOUR) {
            received += (frame.content.len() as u64).saturating_sub(40);
            match frame.kind {
                wire::REQUEST => drop(victim.takes(&wire::response(frame.int(0), 0, b"").bytes())),
                _ => parts += 1,
            }
        }
        victim.takes(&wire::ack(received));
        rounds += 1;
        assert!(rounds < 100, "{parts} parts in {rounds} rounds");
    }
}

#[test]
fn reading_pauses_while_64_kib_wait_to_be_understood() {
    let mut victim = Victim::router();
    victim.conn.receive(&wire::ping(1).repeat(20_000)[..(64 << 10) - 1], victim.now);
    assert!(victim.conn.wants_input());
    victim.conn.receive(b"\0", victim.now);
    assert!(!victim.conn.wants_input());
}

#[test]
fn what_was_not_understood_yet_is_not_read_ahead_of() {
    let mut victim = Victim::router();
    assert!(victim.conn.wants_input());
    let flood = [wire::ping(1), wire::request(1, &[0; 10_000])].concat();
    victim.conn.receive(&flood.repeat(7), victim.now);
    assert!(!victim.conn.wants_input(), "pull events first");
    // Of which the second is a violation.
    assert_eq!(victim.events().len(), 2);
}

#[test]
fn an_empty_answer_is_an_answer() {
    let mut victim = Victim::router();
    let events = victim.takes(&wire::request(1, b""));
    let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
    victim.conn.respond(request.id, "").expect("owed");
    assert_eq!(victim.output(), wire::response(1, 0, b"").bytes());
}

#[test]
fn nothing_to_send_stays_nothing_to_send() {
    let mut victim = Victim::router();
    for _ in 0..3 {
        assert_eq!(next(&mut victim, 1 << 20), []);
    }
    upload(&mut victim, 10);
    assert_eq!(next(&mut victim, 0), [], "nothing was asked for");
    assert_eq!(next(&mut victim, 1).len(), 1);
    assert_eq!(next(&mut victim, 1), []);
}
