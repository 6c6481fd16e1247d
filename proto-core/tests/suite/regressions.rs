//! One test for each mistake that was found.

use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::{
    Body, Call, CallError, CloseCode, CloseReason, Compression, Config, Connection, Event, Limits, Role,
    SendError,
};

use crate::common::victim::{Victim, small_limits};
use crate::common::wire::{self, Offer};

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
