//! Every kind of frame in every phase: it has a place, or it closes the connection with one code.

use std::time::Duration;

use bytes::Bytes;
use nova_proto_core::{CloseCode, CloseReason, Config, Event, Role};

use crate::common::victim::{KINDS, Victim, ready};
use crate::common::wire::{self, Offer};

/// A legal frame of each kind that answers nothing and names nothing open.
fn stray(kind: u8, id: u64) -> Vec<u8> {
    let frame = match kind {
        wire::HELLO => Offer::default().hello(&[]),
        wire::WELCOME => Offer::default().welcome(&[]),
        wire::REJECT => wire::reject(25, 0, b""),
        wire::REQUEST => wire::Ask { id, ..wire::Ask::default() }.frame(b""),
        wire::RESPONSE => wire::response(id, 0, b""),
        wire::ERROR => wire::error(id, 1),
        wire::GOAWAY => return wire::goaway(1000),
        wire::CLOSE => wire::close(0, 0, b""),
        _ => return wire::number(kind, id),
    };
    frame.bytes()
}

#[test]
fn before_the_hello_a_router_takes_nothing_else() {
    for kind in KINDS {
        let mut victim = Victim::fresh(Config::new(Role::Router));
        victim.takes(wire::PREFACE);
        if kind == wire::HELLO {
            assert!(matches!(victim.takes(&stray(kind, 1))[..], [Event::Hello { .. }]));
        } else {
            victim.closes(&stray(kind, 1), CloseCode::UNEXPECTED_FRAME);
        }
    }
}

#[test]
fn before_the_welcome_a_worker_takes_nothing_else_but_a_reject() {
    for kind in KINDS {
        let mut victim = Victim::fresh(Config::new(Role::Worker));
        victim.takes(wire::PREFACE);
        match kind {
            wire::WELCOME => assert!(matches!(victim.takes(&stray(kind, 2))[..], [Event::Connected { .. }])),
            wire::REJECT => {
                let events = victim.feed(&stray(kind, 2));
                assert!(matches!(events[..], [Event::Closed(CloseReason::Rejected { .. })]));
                assert_eq!(victim.output(), b"");
            }
            _ => victim.closes(&stray(kind, 2), CloseCode::UNEXPECTED_FRAME),
        }
    }
}

#[test]
fn while_the_router_decides_nothing_is_read() {
    for kind in KINDS {
        let mut victim = Victim::fresh(Config::new(Role::Router));
        victim.takes(&Offer::default().opening(Role::Worker));
        assert!(!victim.conn.wants_input());
        assert_eq!(victim.takes(&stray(kind, 1)), [], "kept for later");
        victim.conn.accept(Bytes::new()).expect("asked");
        assert!(!victim.events().is_empty());
        let fails = victim.conn.is_closed();
        let legal = [wire::REQUEST, wire::PING, wire::GOAWAY].contains(&kind);
        assert_eq!(fails, !legal, "kind {kind:#x}: then it is a frame like any other");
    }
}

/// What a stray frame does once the connection is open.
fn expected(kind: u8) -> Option<CloseCode> {
    match kind {
        wire::HELLO | wire::WELCOME | wire::REJECT => Some(CloseCode::UNEXPECTED_FRAME),
        wire::RESPONSE | wire::CHUNK | wire::ERROR | wire::CANCEL => Some(CloseCode::ID_NOT_OPEN),
        wire::ACK => Some(CloseCode::ACK_AHEAD),
        wire::PONG => Some(CloseCode::UNEXPECTED_PONG),
        _ => None,
    }
}

#[test]
fn once_open_each_stray_frame_has_one_outcome() {
    for (role, id) in [(Role::Router, 1), (Role::Worker, 2)] {
        for kind in KINDS {
            let mut victim = Victim::open(role, nova_proto_core::Limits::default());
            match expected(kind) {
                Some(code) => victim.closes(&stray(kind, id), code),
                None if kind == wire::CLOSE => {
                    let events = victim.feed(&stray(kind, id));
                    assert!(matches!(events[..], [Event::Closed(CloseReason::Peer { .. })]));
                }
                None => drop(victim.takes(&stray(kind, id))),
            }
        }
    }
}

#[test]
fn while_this_side_drains_the_outcomes_are_the_same() {
    for kind in KINDS {
        let mut victim = Victim::router();
        // Keeps the connection open.
        victim.takes(&wire::request(1, b""));
        victim.conn.drain(Duration::from_secs(9), victim.now).expect("open");
        match expected(kind) {
            Some(code) => victim.closes(&stray(kind, 3), code),
            None if kind == wire::CLOSE => drop(victim.feed(&stray(kind, 3))),
            None => drop(victim.takes(&stray(kind, 3))),
        }
    }
}

#[test]
fn a_peer_that_drains_opens_nothing() {
    for kind in KINDS {
        let mut victim = Victim::router();
        assert!(matches!(victim.takes(&wire::goaway(1000))[..], [Event::Draining { .. }]));
        match expected(kind) {
            Some(code) => victim.closes(&stray(kind, 1), code),
            None if kind == wire::REQUEST => victim.closes(&stray(kind, 1), CloseCode::UNEXPECTED_FRAME),
            None if kind == wire::CLOSE => drop(victim.feed(&stray(kind, 1))),
            None => assert_eq!(victim.takes(&stray(kind, 1)), [], "the drain is told once"),
        }
    }
}

#[test]
fn after_the_end_nothing_is_read() {
    for kind in KINDS {
        let mut victim = Victim::router();
        victim.conn.close(CloseCode::NORMAL, "");
        assert_eq!(victim.events(), [Event::Closed(CloseReason::Local(CloseCode::NORMAL))]);
        assert!(!victim.conn.wants_input());
        victim.output();
        assert_eq!(victim.feed(&stray(kind, 1)), []);
        assert_eq!(victim.output(), b"");
    }
}

#[test]
fn a_specimen_is_refused_when_it_comes_a_second_time_where_it_answers_something() {
    for (kind, code) in [
        (wire::RESPONSE, CloseCode::ID_NOT_OPEN),
        (wire::ERROR, CloseCode::ID_NOT_OPEN),
        (wire::CHUNK, CloseCode::ID_NOT_OPEN),
        (wire::ACK, CloseCode::ACK_NO_PROGRESS),
        (wire::PONG, CloseCode::UNEXPECTED_PONG),
        (wire::REQUEST, CloseCode::ID_ORDER),
        (wire::WELCOME, CloseCode::UNEXPECTED_FRAME),
    ] {
        let (mut victim, frame) = ready(kind);
        victim.takes(&frame.bytes());
        victim.closes(&frame.bytes(), code);
    }
}

#[test]
fn an_unknown_critical_kind_closes_in_every_phase() {
    for kind in (0..=0x7f).filter(|kind| !KINDS.contains(kind)) {
        victim_in_each_phase(|mut victim| victim.closes(&wire::raw(kind, b"x"), CloseCode::UNKNOWN_KIND));
    }
}

#[test]
fn an_unknown_ignorable_kind_is_skipped_only_once_open() {
    for kind in 0x80..=0xff {
        let frame = wire::raw(kind, &[7; 3000]);
        assert_eq!(Victim::router().takes(&frame), []);
        assert_eq!(Victim::worker().takes(&frame), []);
        for role in [Role::Router, Role::Worker] {
            let mut victim = Victim::fresh(Config::new(role));
            victim.takes(wire::PREFACE);
            victim.closes(&wire::raw(kind, b"x"), CloseCode::UNKNOWN_KIND);
        }
    }
}

#[test]
fn a_frame_without_a_kind_closes_in_every_phase() {
    victim_in_each_phase(|mut victim| victim.closes(&[0; 4], CloseCode::FRAME_EMPTY));
}

fn victim_in_each_phase(check: impl Fn(Victim)) {
    check(Victim::router());
    check(Victim::worker());
    for role in [Role::Router, Role::Worker] {
        let mut victim = Victim::fresh(Config::new(role));
        victim.takes(wire::PREFACE);
        check(victim);
    }
}
