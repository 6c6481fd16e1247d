//! The handshake: sizes of its frames, what may be offered and chosen, and how it ends.

use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::frame::{MAX_HELLO, MAX_HELLO_APP, MAX_MESSAGE, MAX_OFFERS, MAX_WELCOME_APP};
use nova_proto_core::{
    CloseCode, CloseReason, Config, Connection, Event, ForeignProtocol, Limits, PeerError, Role, SendError,
};

use crate::common::victim::{Victim, epoch};
use crate::common::wire::{self, Frame, Offer};

/// A router, with the preface read.
fn router() -> Victim {
    let mut victim = Victim::fresh(Config::new(Role::Router));
    victim.takes(wire::PREFACE);
    victim
}

fn worker(config: Config) -> Victim {
    let mut victim = Victim::fresh(config);
    victim.takes(wire::PREFACE);
    victim
}

fn default_worker() -> Victim {
    worker(Config::new(Role::Worker))
}

#[test]
fn a_hello_has_at_most_16_kib_and_a_longer_one_is_refused_by_its_length() {
    router().closes(&(MAX_HELLO + 1).to_le_bytes(), CloseCode::FRAME_TOO_LARGE);
    let mut victim = router();
    victim.takes(&MAX_HELLO.to_le_bytes());
    victim.closes(&[&[wire::HELLO][..], &[0; MAX_HELLO as usize - 1]].concat(), CloseCode::MALFORMED);
}

#[test]
fn a_welcome_has_at_most_1024_bytes() {
    default_worker().closes(&1025u32.to_le_bytes(), CloseCode::FRAME_TOO_LARGE);
    default_worker().takes(&1024u32.to_le_bytes());
}

#[test]
fn the_application_part_of_a_hello_has_at_most_4096_bytes() {
    for (len, good) in [(MAX_HELLO_APP - 1, true), (MAX_HELLO_APP, true), (MAX_HELLO_APP + 1, false)] {
        let hello = Offer { app: vec![7; len], ..Offer::default() }.hello(&[]).bytes();
        if good {
            assert_eq!(router().takes(&hello), [Event::Hello { app: vec![7; len].into() }]);
        } else {
            router().closes(&hello, CloseCode::MALFORMED);
        }
        let config = Config { hello: vec![7; len].into(), ..Config::new(Role::Worker) };
        assert_eq!(Connection::new(config, Instant::now()).is_ok(), good);
    }
}

#[test]
fn the_application_part_of_a_welcome_has_at_most_512_bytes() {
    for (len, good) in [(MAX_WELCOME_APP, true), (MAX_WELCOME_APP + 1, false)] {
        let welcome = Offer { app: vec![7; len], ..Offer::default() }.welcome(&[]).bytes();
        let mut victim = router();
        victim.takes(&Offer::default().hello(&[]).bytes());
        let accepted = victim.conn.accept(vec![7; len].into());
        if good {
            default_worker().takes(&welcome);
            assert_eq!(accepted, Ok(()));
        } else {
            default_worker().closes(&welcome, CloseCode::MALFORMED);
            assert!(matches!(accepted, Err(SendError::TooLarge { .. })));
            assert_eq!(victim.conn.accept(Bytes::new()), Ok(()), "nothing was decided by that");
        }
    }
}

#[test]
fn lists_have_at_most_eight_entries() {
    for (len, good) in [(MAX_OFFERS as u16, true), (MAX_OFFERS as u16 + 1, false)] {
        let versions = (0..len).map(|n| (n + 3, 0)).collect();
        let compression = (0..len).map(|n| n as u8 + 1).collect();
        for offer in [Offer { versions, ..Offer::default() }, Offer { compression, ..Offer::default() }] {
            if good {
                router().takes(&offer.hello(&[]).bytes());
            } else {
                router().closes(&offer.hello(&[]).bytes(), CloseCode::MALFORMED);
            }
        }
    }
}

#[test]
fn a_header_has_at_most_eight_extensions_with_512_bytes() {
    let value = |len| vec![1; len];
    let (full, over) = (value(64), value(65));
    let list = |count: u16, last: &'static str| (0..count).map(move |tag| (tag + 50, last));
    let eight: Vec<(u16, &[u8])> = list(8, "x").map(|(tag, _)| (tag, &full[..])).collect();
    let nine: Vec<(u16, &[u8])> = list(9, "").map(|(tag, _)| (tag, &b""[..])).collect();
    let mut long = eight.clone();
    long[7].1 = &over;
    let twice: [(u16, &[u8]); 2] = [(9, b"a"), (9, b"b")];
    for (ext, code) in [
        (&eight[..], None),
        (&nine, Some(CloseCode::MALFORMED)),
        (&long, Some(CloseCode::BAD_EXTENSIONS)),
        (&twice, Some(CloseCode::BAD_EXTENSIONS)),
    ] {
        let hello = Offer::default().hello(ext).bytes();
        let welcome = Offer::default().welcome(ext).bytes();
        let ask = wire::Ask { ext, ..wire::Ask::default() }.frame(b"").bytes();
        match code {
            None => {
                router().takes(&hello);
                default_worker().takes(&welcome);
                Victim::router().takes(&ask);
            }
            Some(code) => {
                router().closes(&hello, code);
                default_worker().closes(&welcome, code);
                Victim::router().closes(&ask, code);
            }
        }
    }
}

#[test]
fn extensions_of_answers_have_the_same_limits() {
    let twice: [(u16, &[u8]); 2] = [(9, b"a"), (9, b"b")];
    let long: [(u16, &[u8]); 1] = [(9, &[0; 513])];
    for ext in [&twice[..], &long] {
        for kind in [wire::RESPONSE, wire::ERROR] {
            let (mut victim, mut frame) = crate::common::victim::ready(kind);
            let at = frame.fields.len() - 1 - 2 * 3;
            assert!(matches!(frame.fields[at], wire::Field::Len(2)), "where its extensions begin");
            frame.fields.truncate(at);
            victim.closes(&frame.ext(ext).bytes(), CloseCode::BAD_EXTENSIONS);
        }
    }
    let reject = |ext: &[(u16, &[u8])]| Frame::new(wire::REJECT).u16(25).u32(0).string(b"").ext(ext).bytes();
    default_worker().closes(&reject(&twice), CloseCode::BAD_EXTENSIONS);
}

#[test]
fn messages_for_people_have_at_most_512_bytes() {
    let (full, over) = ([b'x'; MAX_MESSAGE], [b'x'; MAX_MESSAGE + 1]);
    assert!(!default_worker().feed(&wire::reject(1, 0, &full).bytes()).is_empty());
    default_worker().closes(&wire::reject(1, 0, &over).bytes(), CloseCode::MALFORMED);
    let events = Victim::router().feed(&wire::close(1, 0, &full).bytes());
    assert!(matches!(events[..], [Event::Closed(CloseReason::Peer { .. })]));
    Victim::router().closes(&wire::close(1, 0, &over).bytes(), CloseCode::MALFORMED);
    for (message, good) in [(&full[..], true), (&over, false)] {
        let (mut victim, _) = crate::common::victim::ready(wire::ERROR);
        let frame = Frame::new(wire::ERROR).u64(2).u16(1).u8(0).u32(0).string(message).ext(&[]).bytes();
        if good {
            assert!(matches!(victim.takes(&frame)[..], [Event::Answer { .. }]));
        } else {
            victim.closes(&frame, CloseCode::MALFORMED);
        }
    }
}

#[test]
fn longer_messages_are_cut_at_a_character() {
    let long = "é".repeat(300);
    let mut victim = router();
    victim.takes(&Offer::default().hello(&[]).bytes());
    victim.conn.reject(CloseCode::UNAUTHORIZED, Duration::from_secs(3), &format!("x{long}")).expect("asked");
    let expected = format!("x{}", "é".repeat(255));
    let reject = wire::reject(CloseCode::UNAUTHORIZED.0, 3000, expected.as_bytes()).bytes();
    assert_eq!(victim.output(), [wire::PREFACE.to_vec(), reject].concat());
}

#[test]
fn offers_must_be_lists_without_contradiction() {
    let bad = [
        Offer { versions: vec![], ..Offer::default() },
        Offer { versions: vec![(3, 0), (3, 1)], ..Offer::default() },
        Offer { compression: vec![1, 1], ..Offer::default() },
        Offer { compression: vec![9, 1, 9], ..Offer::default() },
        Offer { compression: vec![0], ..Offer::default() },
    ];
    for offer in bad {
        router().closes(&offer.hello(&[]).bytes(), CloseCode::BAD_OFFER);
    }
}

#[test]
fn without_a_common_major_version_there_is_no_connection() {
    for versions in [vec![(2, 9)], vec![(4, 0)], vec![(0, 0), (65_535, 3)]] {
        let offer = Offer { versions, ..Offer::default() };
        router().closes(&offer.hello(&[]).bytes(), CloseCode::UNSUPPORTED_VERSION);
    }
}

#[test]
fn the_highest_common_major_version_with_the_lower_minor_is_chosen() {
    let config = Config { versions: vec![(3, 4), (5, 2), (4, 1)], ..Config::new(Role::Router) };
    for (versions, chosen) in [
        (vec![(3, 9)], (3, 4)),
        (vec![(3, 1)], (3, 1)),
        (vec![(3, 0), (5, 9), (4, 0)], (5, 2)),
        (vec![(6, 0), (4, 0)], (4, 0)),
    ] {
        let offer = Offer { versions, ..Offer::default() };
        let victim = Victim::with(config.clone(), &offer);
        assert_eq!(victim.conn.agreed().map(|agreed| agreed.version), Some(chosen));
    }
}

#[test]
fn features_are_what_both_have() {
    for (ours, theirs, cancellation) in [
        (true, 1, true),
        (true, 0, false),
        (false, 1, false),
        (true, u32::MAX, true),
        (true, 0xffff_fffe, false),
    ] {
        let config = Config { cancellation: ours, ..Config::new(Role::Router) };
        let victim = Victim::with(config, &Offer { features: theirs, ..Offer::default() });
        assert_eq!(victim.conn.agreed().map(|agreed| agreed.cancellation), Some(cancellation));
    }
}

/// Limits that break one rule each by one.
fn bad_limits() -> Vec<Limits> {
    let good = Limits { max_frame: 16_384, max_body: 16_384, work_budget: 32_768, max_concurrent: 1 };
    vec![
        Limits { max_frame: 16_383, ..good },
        Limits { max_frame: 0, ..good },
        Limits { max_frame: 16_385, work_budget: 40_000, ..good },
        Limits { max_body: 16_383, ..good },
        Limits { work_budget: 32_767, ..good },
        Limits { work_budget: 0, ..good },
        Limits { max_concurrent: 0, ..good },
    ]
}

#[test]
fn limits_have_floors_and_fit_each_other() {
    let least = Limits { max_frame: 16_384, max_body: 16_384, work_budget: 32_768, max_concurrent: 1 };
    let most =
        Limits { max_frame: u32::MAX, max_body: u32::MAX, work_budget: u64::MAX, max_concurrent: u32::MAX };
    for limits in [least, most] {
        Victim::with(Config::new(Role::Router), &Offer { limits, ..Offer::default() });
        Victim::with(Config::new(Role::Worker), &Offer { limits, ..Offer::default() });
    }
    for limits in bad_limits() {
        let offer = Offer { limits, ..Offer::default() };
        router().closes(&offer.hello(&[]).bytes(), CloseCode::BAD_LIMITS);
        default_worker().closes(&offer.welcome(&[]).bytes(), CloseCode::BAD_LIMITS);
        for role in [Role::Router, Role::Worker] {
            assert!(Connection::new(Config { limits, ..Config::new(role) }, Instant::now()).is_err());
        }
    }
}

#[test]
fn a_welcome_may_only_choose_an_offered_version() {
    let config = || Config { versions: vec![(3, 2), (5, 0)], ..Config::new(Role::Worker) };
    for (version, good) in [
        ((3, 0), true),
        ((3, 2), true),
        ((3, 3), false),
        ((4, 0), false),
        ((5, 0), true),
        ((5, 1), false),
        ((77, 1), false),
        ((0, 0), false),
    ] {
        let welcome = Offer { versions: vec![version], ..Offer::default() }.welcome(&[]).bytes();
        if good {
            worker(config()).takes(&welcome);
        } else {
            worker(config()).closes(&welcome, CloseCode::BAD_WELCOME);
        }
    }
}

#[test]
fn a_welcome_may_only_choose_offered_features() {
    for features in [2, 3, 1 << 31, u32::MAX] {
        let welcome = Offer { features, ..Offer::default() }.welcome(&[]).bytes();
        default_worker().closes(&welcome, CloseCode::BAD_WELCOME);
    }
    let config = Config { cancellation: false, ..Config::new(Role::Worker) };
    worker(config).closes(&Offer::default().welcome(&[]).bytes(), CloseCode::BAD_WELCOME);
}

#[test]
fn a_welcome_may_only_choose_offered_compressions() {
    let zstd = || Config { zstd: true, ..Config::new(Role::Worker) };
    for (compression, good) in [
        (vec![], true),
        (vec![1], true),
        (vec![1, 1], false),
        (vec![0], false),
        (vec![2], false),
        (vec![1, 9], false),
    ] {
        let welcome = Offer { compression, ..Offer::default() }.welcome(&[]).bytes();
        if good {
            worker(zstd()).takes(&welcome);
        } else {
            worker(zstd()).closes(&welcome, CloseCode::BAD_WELCOME);
        }
    }
    let welcome = Offer { compression: vec![1], ..Offer::default() }.welcome(&[]).bytes();
    default_worker().closes(&welcome, CloseCode::BAD_WELCOME);
}

#[test]
fn a_worker_is_told_why_it_is_not_let_in() {
    let mut victim = router();
    victim.takes(&Offer::default().hello(&[]).bytes());
    victim.conn.reject(CloseCode::CLAIM_REFUSED, Duration::from_millis(1500), "taken").expect("asked");
    assert_eq!(victim.events(), [Event::Closed(CloseReason::Local(CloseCode::CLAIM_REFUSED))]);
    let out = victim.output();
    let mut worker = Victim::fresh(Config::new(Role::Worker));
    let reason = CloseReason::Rejected {
        code: CloseCode::CLAIM_REFUSED,
        retry_after: Duration::from_millis(1500),
        message: "taken".into(),
    };
    assert_eq!(worker.feed(&out), [Event::Closed(reason)]);
}

#[test]
fn what_follows_a_hello_waits_for_the_decision() {
    let mut victim = Victim::fresh(Config::new(Role::Router));
    let bytes = [Offer::default().opening(Role::Worker), wire::request(1, b"early"), wire::ping(9)].concat();
    assert!(matches!(victim.takes(&bytes)[..], [Event::Hello { .. }]));
    assert_eq!(victim.conn.stats().serving, 0);
    victim.conn.accept(Bytes::new()).expect("asked");
    assert!(matches!(victim.events()[..], [Event::Connected { .. }, Event::Request(_)]));
    let kinds: Vec<u8> = victim.sent().iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds, [wire::WELCOME, wire::PONG]);
}

#[test]
fn a_stream_that_ends_behind_the_hello_ends_after_the_decision() {
    let mut victim = Victim::fresh(Config::new(Role::Router));
    victim.takes(&Offer::default().opening(Role::Worker));
    victim.conn.receive_eof();
    assert_eq!(victim.events(), []);
    victim.conn.accept(Bytes::new()).expect("asked");
    assert!(matches!(victim.events()[..], [Event::Connected { .. }, Event::Closed(CloseReason::Eof)]));
}

#[test]
fn foreign_protocols_are_named_and_get_no_answer() {
    for (first, expected) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01"[..], ForeignProtocol::Tls),
        (b"GET / HTTP/1.1", ForeignProtocol::Http),
        (b"PRI * HTTP/2.0", ForeignProtocol::Http),
        (b"HTTP/1.1 400 Bad", ForeignProtocol::Http),
        (b"SSH-2.0-x", ForeignProtocol::Ssh),
        (b"NOVA4\r\n\0", ForeignProtocol::OtherMajor),
        (b"\x40\x01\0\0{\"a\"", ForeignProtocol::LockstepV2),
        (b"\0\0\0\0\0\0\0\0", ForeignProtocol::Unknown),
        (b"whatever", ForeignProtocol::Unknown),
    ] {
        for role in [Role::Router, Role::Worker] {
            let mut victim = Victim::fresh(Config::new(role));
            let events = victim.feed(first);
            let reason = CloseReason::Violation(PeerError::Preface(expected));
            assert_eq!(events, [Event::Closed(reason)]);
            assert_eq!(victim.output(), b"");
        }
    }
}

#[test]
fn commands_before_the_handshake_say_so() {
    for role in [Role::Router, Role::Worker] {
        let mut victim = Victim::fresh(Config::new(role));
        let now = victim.now;
        let id = nova_proto_core::RequestId::new(1).expect("not 0");
        assert_eq!(victim.conn.call(nova_proto_core::Call::new(1, ""), now), Err(SendError::NotReady));
        assert_eq!(victim.conn.drain(Duration::ZERO, now), Err(SendError::NotReady));
        assert_eq!(victim.conn.accept(Bytes::new()), Err(SendError::WrongState));
        assert_eq!(victim.conn.reject(CloseCode::NORMAL, Duration::ZERO, ""), Err(SendError::WrongState));
        assert_eq!(victim.conn.respond(id, ""), Err(SendError::NoSuchRequest));
        assert_eq!(victim.events(), []);
    }
}

#[test]
fn a_router_that_closes_before_it_decides_rejects() {
    let mut router = Connection::new(Config::new(Role::Router), epoch()).expect("good");
    router.receive(&Offer::default().opening(Role::Worker), epoch());
    assert!(matches!(router.poll_event(), Some(Event::Hello { .. })));
    router.close(CloseCode::TOO_MANY_CONNECTIONS, "full");
    let mut out = Vec::new();
    let _ = router.poll_transmit(&mut out, 1 << 16);
    let mut worker = Connection::new(Config::new(Role::Worker), epoch()).expect("good");
    worker.receive(&out, epoch());
    let reason = CloseReason::Rejected {
        code: CloseCode::TOO_MANY_CONNECTIONS,
        retry_after: Duration::ZERO,
        message: "full".to_owned(),
    };
    assert_eq!(worker.poll_event(), Some(Event::Closed(reason)));
}

#[test]
fn what_is_shown_of_a_connection_holds_no_secret() {
    let secret = "hunter2-and-more";
    let config = Config { hello: secret.into(), ..Config::new(Role::Worker) };
    assert!(!format!("{config:?}").contains("hunter2"));
    let mut worker = Connection::new(config, epoch()).expect("good");
    assert!(!format!("{worker:?}").contains("hunter2"));
    let mut out = Vec::new();
    let _ = worker.poll_transmit(&mut out, 1 << 16);
    let mut router = Connection::new(Config::new(Role::Router), epoch()).expect("good");
    router.receive(&out, epoch());
    assert!(!format!("{router:?}").contains("hunter2"));
    let hello = router.poll_event();
    assert_eq!(hello, Some(Event::Hello { app: secret.into() }));
    assert!(!format!("{hello:?}{router:?}").contains("hunter2"));
}
