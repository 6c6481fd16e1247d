//! Section 22.2 of `docs/PROTOCOL.md`: for each frame, bytes that break a check and all later ones are answered with
//! the close code of the first, in the order that the document gives.
#![expect(clippy::disallowed_methods, reason = "tests stand outside the core: they make its time")]

use std::time::{Duration, Instant};

use nova_proto_core::frame::PREFACE;
use nova_proto_core::{Call, CloseCode, CloseReason, Config, Connection, Event, Limits, Role};
use serde::Serialize;

const DOCUMENT: &str = include_str!("../../docs/PROTOCOL.md");

/// The close codes in a row of 22.2, in order.
fn prescribed(frame: &str) -> Vec<String> {
    let row = DOCUMENT
        .lines()
        .skip_while(|line| *line != "### 22.2 Per frame")
        .find_map(|line| line.strip_prefix(&format!("| {frame} | ")))
        .unwrap_or_else(|| panic!("no row for {frame}"));
    let row = row.split("; then ").next().unwrap_or_default();
    row.split('`')
        .filter(|word| CloseCode::REGISTRY.iter().any(|(_, name)| name == word))
        .map(str::to_owned)
        .collect()
}

type Extensions = Vec<(u16, Vec<u8>)>;

/// A close code, and what makes a good frame deserve it.
type Spoiler<T> = (&'static str, fn(&mut T));

fn frame(kind: u8, header: &impl Serialize, body: &[u8]) -> Vec<u8> {
    let mut content = vec![kind];
    content.extend(postcard::to_stdvec(header).expect("plain data"));
    content.extend(body);
    let mut bytes = u32::try_from(content.len()).expect("short").to_le_bytes().to_vec();
    bytes.append(&mut content);
    bytes
}

#[derive(Serialize, Clone)]
struct Offer {
    versions: Vec<(u16, u16)>,
    limits: Limits,
    features: u32,
    compression: Vec<u8>,
    app: Vec<u8>,
    ext: Extensions,
}

#[derive(Serialize, Clone)]
struct Choice {
    version: (u16, u16),
    limits: Limits,
    features: u32,
    compression: Vec<u8>,
    app: Vec<u8>,
    ext: Extensions,
}

fn offer() -> Offer {
    let (limits, ext) = (Limits::default(), Vec::new());
    Offer { versions: vec![(3, 0)], limits, features: 1, compression: vec![], app: vec![], ext }
}

fn choice() -> Choice {
    let (limits, ext) = (Limits::default(), Vec::new());
    Choice { version: (3, 0), limits, features: 1, compression: vec![], app: vec![], ext }
}

/// A frame under construction, what came before it, and the limits of the side that gets it.
#[derive(Clone, Default)]
struct Case {
    before: Vec<u8>,
    id: u64,
    body_len: u32,
    codec: u8,
    raw_len: u32,
    reply_max: u32,
    retry: u8,
    ext: Extensions,
    body: Vec<u8>,
    cancellation: bool,
    count: u64,
}

impl Case {
    fn request(&self) -> Vec<u8> {
        let head = (self.id, 7_u16, self.body_len, self.codec, self.raw_len, self.reply_max, 0_u32);
        frame(0x10, &(head, &self.ext), &self.body)
    }

    fn response(&self) -> Vec<u8> {
        frame(0x11, &(self.id, self.body_len, self.codec, self.raw_len, &self.ext), &self.body)
    }

    fn chunk(&self) -> Vec<u8> {
        frame(0x12, &self.id, &self.body)
    }

    fn error(&self) -> Vec<u8> {
        frame(0x13, &(self.id, 1_u16, self.retry, 0_u32, "", &self.ext), &[])
    }

    fn cancel(&self) -> Vec<u8> {
        frame(0x14, &self.id, &[])
    }
}

const MAX_BODY: u32 = 64 * 1024;

/// A worker that is open, with one slot, and has opened requests 1 and 3 itself; 3 is complete in neither direction.
fn open_worker(cancellation: bool, max_concurrent: u32) -> Connection {
    let now = Instant::now();
    let limits = Limits { max_frame: 16 * 1024, max_body: MAX_BODY, work_budget: 128 * 1024, max_concurrent };
    let config = Config { grease: false, cancellation, limits, ..Config::new(Role::Worker) };
    let mut worker = Connection::new(config, now).expect("legal");
    let mut out = Vec::new();
    worker.receive(&PREFACE, now);
    worker.receive(&frame(0x02, &Choice { features: u32::from(cancellation), ..choice() }, &[]), now);
    assert!(matches!(worker.poll_event(), Some(Event::Connected { .. })));
    for _ in 0..2 {
        let call = Call { reply_max: 20_000, ..Call::new(7, vec![0; 40_000]) };
        worker.call(call, now).expect("open");
    }
    while worker.poll_transmit(&mut out, 1 << 20) > 0 {}
    worker
}

fn code(mut connection: Connection, bytes: &[u8]) -> Option<CloseCode> {
    let now = Instant::now();
    connection.receive(bytes, now);
    while connection.poll_event().is_some() {}
    connection.close_reason().and_then(CloseReason::code)
}

/// Applies spoilers `first..` in reverse, so that the first one has the last word.
fn spoil<T: Clone>(good: &T, spoilers: &[Spoiler<T>], first: usize) -> T {
    let mut case = good.clone();
    for (_, spoiler) in spoilers.get(first..).unwrap_or_default().iter().rev() {
        spoiler(&mut case);
    }
    case
}

fn check<T: Clone>(name: &str, good: &T, spoilers: &[Spoiler<T>], outcome: impl Fn(&T) -> Option<CloseCode>) {
    let names: Vec<&str> = spoilers.iter().map(|(name, _)| *name).collect();
    let mut documented = prescribed(name);
    if let Some(extra) = documented.get(names.len()..) {
        // What only one of two alternatives can show is checked apart.
        assert!(extra.is_empty(), "{name}: {extra:?} not tested");
    }
    documented.truncate(names.len());
    assert_eq!(names, documented, "{name}");
    assert_eq!(outcome(good), None, "{name} without a fault");
    for (first, expected) in names.iter().enumerate() {
        let found = outcome(&spoil(good, spoilers, first)).and_then(CloseCode::name);
        assert_eq!(found, Some(*expected), "{name}: check {first}");
    }
}

const TWICE: fn() -> Extensions = || vec![(9, vec![]), (9, vec![])];

#[test]
fn request() {
    let good = Case { id: 100, body_len: 3, body: vec![0; 3], ..Case::default() };
    let first = Case { id: 50, body_len: 5_000, body: vec![0; 4_096], reply_max: 100, ..Case::default() };
    let before = first.request();
    let good = Case { before, ..good };
    let spoilers: [Spoiler<Case>; 12] = [
        ("UNEXPECTED_FRAME", |case| case.before.extend(frame(0x22, &5_u32, &[]))),
        ("ID_ZERO", |case| case.id = 0),
        ("ID_PARITY", |case| case.id = 101),
        ("ID_ORDER", |case| case.id = 50),
        ("BAD_EXTENSIONS", |case| case.ext = TWICE()),
        ("BODY_TOO_LARGE", |case| case.body_len = MAX_BODY + 1),
        ("COMPRESSION_NOT_AGREED", |case| case.codec = 1),
        ("BAD_RAW_LENGTH", |case| (case.codec, case.raw_len) = (0, 1)),
        ("BODY_OVERRUN", |case| (case.body_len, case.body) = (10, vec![0; 11])),
        ("CHUNK_TOO_SMALL", |case| (case.body_len, case.body) = (5_000, vec![0; 4_095])),
        ("TOO_MANY_REQUESTS", |case| {
            let second = Case { id: 60, body_len: 5_000, body: vec![0; 4_096], ..Case::default() };
            case.before.extend(second.request());
        }),
        ("WORK_BUDGET", |case| case.reply_max = 128 * 1024 + 1),
    ];
    check("Request", &good, &spoilers, |case| {
        code(open_worker(true, 2), &[case.before.clone(), case.request()].concat())
    });
}

#[test]
fn response() {
    let good = Case { id: 3, body_len: 3, body: vec![0; 3], ..Case::default() };
    let spoilers: [Spoiler<Case>; 10] = [
        ("ID_ZERO", |case| case.id = 0),
        ("ID_NOT_OPEN", |case| case.id = 5),
        ("BAD_EXTENSIONS", |case| case.ext = TWICE()),
        ("BODY_TOO_LARGE", |case| (case.codec, case.raw_len) = (7, MAX_BODY + 1)),
        ("COMPRESSION_NOT_AGREED", |case| (case.codec, case.raw_len) = (1, 0)),
        ("BAD_RAW_LENGTH", |case| (case.codec, case.raw_len) = (0, 1)),
        ("BODY_OVERRUN", |case| (case.body_len, case.body) = (20_001, vec![0; 20_002])),
        ("CHUNK_TOO_SMALL", |case| (case.body_len, case.body) = (20_001, vec![0; 4_095])),
        ("ID_NOT_OPEN", |case| {
            let under_way = Case { id: 3, body_len: 5_000, body: vec![0; 4_096], ..Case::default() };
            case.before.extend(under_way.response());
        }),
        ("REPLY_TOO_LONG", |case| (case.body_len, case.body) = (20_001, vec![0; 4_096])),
    ];
    // A frame longer than the worker accepts would be refused first, so overruns need a body that is left.
    check("Response", &good, &spoilers, |case| {
        let case = if case.body.len() > 16_000 {
            Case { body_len: 9, body: vec![0; 10], ..case.clone() }
        } else {
            case.clone()
        };
        code(open_worker(true, 2), &[case.before.clone(), case.response()].concat())
    });
}

#[test]
fn chunks_in_both_directions() {
    for id in [100, 3] {
        let first = Case { id, body_len: 10_000, body: vec![0; 5_000], ..Case::default() };
        let before = if id == 3 { first.response() } else { first.request() };
        let good = Case { before, id, body: vec![0; 5_000], ..Case::default() };
        let spoilers: [Spoiler<Case>; 4] = [
            ("ID_ZERO", |case| case.id = 0),
            ("ID_NOT_OPEN", |case| case.id = if case.id == 3 { 1 } else { 102 }),
            ("BODY_OVERRUN", |case| case.body = vec![0; 5_001]),
            ("CHUNK_TOO_SMALL", |case| case.body = vec![0; 4_095]),
        ];
        check("PacketChunk", &good, &spoilers, |case| {
            code(open_worker(true, 2), &[case.before.clone(), case.chunk()].concat())
        });
    }
}

#[test]
fn error_and_cancel() {
    let good = Case { id: 3, ..Case::default() };
    let spoilers: [Spoiler<Case>; 4] = [
        ("ID_ZERO", |case| case.id = 0),
        ("ID_NOT_OPEN", |case| case.id = 2),
        ("BAD_EXTENSIONS", |case| case.ext = TWICE()),
        ("MALFORMED", |case| case.retry = 3),
    ];
    check("Error", &good, &spoilers, |case| code(open_worker(true, 2), &case.error()));

    let before = Case { id: 50, ..Case::default() }.request();
    let good = Case { before, id: 50, cancellation: true, ..Case::default() };
    let spoilers: [Spoiler<Case>; 4] = [
        ("CANCEL_NOT_AGREED", |case| case.cancellation = false),
        ("ID_ZERO", |case| case.id = 0),
        ("ID_PARITY", |case| case.id = 3),
        ("ID_NOT_OPEN", |case| case.id = 52),
    ];
    let outcome =
        |case: &Case| code(open_worker(case.cancellation, 2), &[case.before.clone(), case.cancel()].concat());
    check("Cancel", &good, &spoilers, outcome);
    for ignored in [2, 48] {
        assert_eq!(outcome(&Case { id: ignored, ..good.clone() }), None, "a skipped id");
    }
}

#[test]
fn acknowledgements_and_pongs() {
    let ack = |count: u64| frame(0x15, &count, &[]);
    let outcome = |case: &Case| code(open_worker(true, 2), &[case.before.clone(), ack(case.count)].concat());
    let good = Case { count: 65_536, ..Case::default() };
    assert_eq!(prescribed("Ack"), ["ACK_AHEAD", "ACK_NO_PROGRESS"], "no number breaks both");
    assert_eq!(outcome(&good), None);
    assert_eq!(outcome(&Case { count: 80_001, ..good.clone() }), Some(CloseCode::ACK_AHEAD));
    assert_eq!(
        outcome(&Case { before: ack(65_536), count: 80_000, ..good.clone() }),
        Some(CloseCode::ACK_NO_PROGRESS)
    );
    assert_eq!(outcome(&Case { count: 65_535, ..good }), Some(CloseCode::ACK_NO_PROGRESS));
    assert_eq!(prescribed("Pong"), ["UNEXPECTED_PONG"]);
    assert_eq!(code(open_worker(true, 2), &frame(0x21, &1_u64, &[])), Some(CloseCode::UNEXPECTED_PONG));
}

#[test]
fn hello_and_welcome() {
    let now = Instant::now();
    let spoilers: [Spoiler<Offer>; 7] = [
        ("BAD_EXTENSIONS", |hello| hello.ext = TWICE()),
        ("BAD_OFFER", |hello| hello.versions = vec![]),
        ("BAD_OFFER", |hello| hello.versions = vec![(4, 0), (4, 1)]),
        ("BAD_OFFER", |hello| hello.compression = vec![1, 1]),
        ("BAD_OFFER", |hello| hello.compression = vec![0]),
        ("BAD_LIMITS", |hello| hello.limits.max_concurrent = 0),
        ("UNSUPPORTED_VERSION", |hello| hello.versions = vec![(4, 0)]),
    ];
    check("Hello", &offer(), &spoilers, |hello| {
        let router = Connection::new(Config::new(Role::Router), now).expect("legal");
        code(router, &[PREFACE.to_vec(), frame(0x01, hello, &[])].concat())
    });
    let spoilers: [Spoiler<Choice>; 5] = [
        ("BAD_EXTENSIONS", |welcome| welcome.ext = TWICE()),
        ("BAD_WELCOME", |welcome| welcome.version = (3, 1)),
        ("BAD_WELCOME", |welcome| welcome.features = 2),
        ("BAD_WELCOME", |welcome| welcome.compression = vec![0]),
        ("BAD_LIMITS", |welcome| welcome.limits.max_frame = 100),
    ];
    check("Welcome", &choice(), &spoilers, |welcome| {
        let worker = Connection::new(Config::new(Role::Worker), now).expect("legal");
        code(worker, &[PREFACE.to_vec(), frame(0x02, welcome, &[])].concat())
    });
}

#[test]
fn every_frame() {
    let raw = |length: u32, rest: &[u8]| [&length.to_le_bytes(), rest].concat();
    let cases: [(&str, Vec<u8>); 13] = [
        ("FRAME_EMPTY", raw(0, &[])),
        ("FRAME_TOO_LARGE", raw(16 * 1024 + 1, &[])),
        ("UNKNOWN_KIND", raw(16 * 1024, &[0x7f])),
        ("TOO_MANY_UNKNOWN", raw(1, &[0x80]).repeat(101)),
        ("UNEXPECTED_FRAME", raw(16 * 1024, &[0x01])),
        ("FRAME_TOO_LARGE", raw(1025, &[0x14])),
        // Cut off, too long a varint, a number out of range, a text that is too long or not UTF-8, nine extensions.
        ("MALFORMED", raw(1, &[0x14])),
        ("MALFORMED", raw(12, &[0x14, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 0])),
        ("MALFORMED", raw(11, &[0x14, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2])),
        ("MALFORMED", raw(5, &[0x23, 0, 0, 1, 0xff])),
        ("MALFORMED", [raw(517, &[0x23, 0x80, 0, 0, 0x81, 4]), vec![b'a'; 512]].concat()),
        // Not canonical, though more bytes follow than may.
        ("NOT_CANONICAL", raw(4, &[0x14, 0x80, 0, 0])),
        ("MALFORMED", raw(3, &[0x14, 3, 0])),
    ];
    for (expected, bytes) in cases {
        let found = code(open_worker(true, 2), &bytes).and_then(CloseCode::name);
        assert_eq!(found, Some(expected), "{:02x?}", bytes.get(..bytes.len().min(20)));
    }
    assert_eq!(code(open_worker(true, 2), &raw(1, &[0x80]).repeat(100)), None);
    assert_eq!(code(open_worker(true, 2), raw(1025, &[0x14]).get(..4).unwrap_or_default()), None);
}

/// Section 4.1: not a byte earlier, not a byte later.
#[test]
fn a_header_is_examined_when_its_window_is_there() {
    let closes_at = |mut connection: Connection, bytes: &[u8]| {
        let now = Instant::now();
        bytes.iter().position(|byte| {
            connection.receive(&[*byte], now);
            while connection.poll_event().is_some() {}
            connection.is_closed()
        })
    };
    let bad = Case { id: 0, body_len: 9_000, body: vec![0; 9_000], ..Case::default() };
    assert_eq!(closes_at(open_worker(true, 2), &bad.request()), Some(4 + 1024 - 1), "a long frame");
    let bad = Case { id: 0, body_len: 9, body: vec![0; 9], ..Case::default() }.request();
    assert_eq!(closes_at(open_worker(true, 2), &bad), Some(bad.len() - 1), "a short frame");
    assert_eq!(closes_at(open_worker(true, 2), &[1, 0x40, 0, 0, 9]), Some(3), "a length");
    assert_eq!(closes_at(open_worker(true, 2), &[9, 0, 0, 0, 0x7f, 0]), Some(4), "a kind");
    let bad = Offer { app: vec![0; 3_000], ext: TWICE(), ..offer() };
    let bytes = [PREFACE.to_vec(), frame(0x01, &bad, &[])].concat();
    let router = Connection::new(Config::new(Role::Router), Instant::now()).expect("legal");
    assert_eq!(closes_at(router, &bytes), Some(bytes.len() - 1), "all of Hello");
}

/// Section 8.4: who says what when a handshake fails.
#[test]
fn a_failed_handshake_ends_as_prescribed() {
    let now = Instant::now();
    let later = now + Duration::from_secs(10);
    let output = |role, bytes: &[u8], time| {
        let config = Config { grease: false, ..Config::new(role) };
        let mut connection = Connection::new(config, now).expect("legal");
        let mut out = Vec::new();
        let _ = connection.poll_transmit(&mut out, 1 << 16);
        out.clear();
        connection.receive(bytes, now);
        while connection.poll_event().is_some() {}
        connection.handle_timeout(time);
        while connection.poll_event().is_some() {}
        assert!(connection.is_closed());
        let _ = connection.poll_transmit(&mut out, 1 << 16);
        out
    };
    let reject = |code: CloseCode, retry: u32| {
        // The message is free; kind, code and time are not.
        let start = postcard::to_stdvec(&(code.0, retry)).expect("plain data");
        move |out: &[u8]| out.starts_with(&PREFACE) && out[12] == 0x03 && out[13..].starts_with(&start)
    };
    let with_preface = |rest: Vec<u8>| [PREFACE.to_vec(), rest].concat();
    let bad_hello = with_preface(frame(0x01, &Offer { versions: vec![(4, 0)], ..offer() }, &[]));
    let good_hello = with_preface(frame(0x01, &offer(), &[]));
    let bad_welcome = with_preface(frame(0x02, &Choice { version: (4, 0), ..choice() }, &[]));
    assert!(reject(CloseCode::UNSUPPORTED_VERSION, 0)(&output(Role::Router, &bad_hello, now)));
    assert!(reject(CloseCode::HANDSHAKE_TIMEOUT, 1_000)(&output(Role::Router, &good_hello, later)));
    let close = output(Role::Worker, &bad_welcome, now);
    assert_eq!(close[4..7], [0x23, 23, 0], "Close, BAD_WELCOME, nothing seen");
    let rejected = with_preface(frame(0x03, &(26_u16, 5_u32, "", Extensions::new()), &[]));
    for role in [Role::Router, Role::Worker] {
        assert!(output(role, b"NOVA4\r\n\0", now).is_empty(), "a wrong preface");
        assert!(output(role, b"", later).is_empty(), "silence");
    }
    assert!(reject(CloseCode::HANDSHAKE_TIMEOUT, 1_000)(&output(Role::Router, &PREFACE, later)));
    assert!(output(Role::Worker, &PREFACE, later).is_empty(), "silence behind the preface");
    assert!(output(Role::Worker, &rejected, now).is_empty());
}
