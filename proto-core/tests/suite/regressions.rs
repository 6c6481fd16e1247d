//! One test for each mistake that was found.

use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::{
    Body, Call, CallError, CloseCode, CloseReason, Compression, Config, Connection, Event, Limits, Role,
    SendError,
};

use crate::common::victim::{Victim, small_limits};
use crate::common::wire::{self, Offer};

/// The budget is given back for the body that was sent, not for what is left of it in memory.
#[test]
fn requests_that_were_answered_give_their_whole_budget_back() {
    let limits = small_limits();
    let mut victim = Victim::with(Config::new(Role::Worker), &Offer { limits, ..Offer::default() });
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
        victim.takes(&wire::ack((n + 1) * 60_000));
    }
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
