//! Keeps `docs/PROTOCOL.md` and the implementation together: the hex examples, the registries, the constants and the
//! form of the rules.
#![expect(clippy::disallowed_methods, reason = "tests stand outside the core: they make its time")]

#[path = "common/document.rs"]
mod document;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::{Duration, Instant};

use nova_proto_core::frame::{self, Kind};
use nova_proto_core::{
    ACK_EVERY, Body, Call, CallError, CloseCode, CloseReason, Compression, Config, Connection, ErrorCode,
    ErrorReply, Event, Limits, MAX_UNKNOWN_IN_A_ROW, MIN_CHUNK, MIN_MAX_FRAME, Request, Role, SMALL_BODY,
    TraceContext,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use document::{DOCUMENT, examples};

// ---- reading the document -----------------------------------------------------------------------------------

/// The rows of the first table below a heading, cells trimmed of blanks and backticks.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    table_below(|line| line == heading)
}

fn table_below(is_heading: impl Fn(&str) -> bool) -> Vec<Vec<&'static str>> {
    let rows: Vec<Vec<&str>> = DOCUMENT
        .lines()
        .skip_while(|line| !is_heading(line))
        .skip(1)
        .take_while(|line| !line.starts_with('#'))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect();
    assert!(!rows.is_empty(), "a heading without a table");
    rows
}

fn registry(heading: &str) -> BTreeMap<u64, String> {
    let mut entries = BTreeMap::new();
    for row in table(heading) {
        let (number, name) = (row[0], row[1]);
        let number = match number.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => number.parse(),
        };
        let number = number.unwrap_or_else(|_| panic!("a number in {heading}: {row:?}"));
        assert!(entries.insert(number, name.to_owned()).is_none(), "{number} stands twice in {heading}");
    }
    entries
}

// ---- the examples -------------------------------------------------------------------------------------------

/// Two connections, and the document's frames that must go between them.
struct Talk {
    examples: BTreeMap<&'static str, Vec<u8>>,
    seen: BTreeSet<&'static str>,
    now: Instant,
}

impl Talk {
    /// What `from` sends next must be exactly these examples; `to` gets them and says what it understood.
    fn hand_over(
        &mut self,
        names: &[&'static str],
        from: &mut Connection,
        to: &mut Connection,
    ) -> Vec<Event> {
        let mut sent = Vec::new();
        let _ = from.poll_transmit(&mut sent, 64 * 1024);
        let mut expected = Vec::new();
        for name in names {
            self.seen.insert(name);
            expected.extend(self.examples.get(name).unwrap_or_else(|| panic!("no example {name}")));
        }
        assert!(
            sent == expected,
            "{names:?}: the implementation sends {:02x?}",
            sent.get(..200.min(sent.len()))
        );
        to.receive(&sent, self.now);
        std::iter::from_fn(|| to.poll_event()).collect()
    }
}

fn connection(role: Role, grease: bool, now: Instant) -> Connection {
    let hello = if role == Role::Worker { "hi" } else { "" };
    let config = Config { grease, hello: hello.into(), ..Config::new(role) };
    Connection::new(config, now).expect("the defaults are legal")
}

fn one<T: Debug>(events: Vec<T>) -> T {
    let [event] = <[T; 1]>::try_from(events).expect("exactly one event");
    event
}

fn request(events: Vec<Event>) -> Request {
    match one(events) {
        Event::Request(request) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_connections_exchange_exactly_the_frames_of_the_document() {
    let mut talk = Talk { examples: examples(), seen: BTreeSet::new(), now: Instant::now() };
    let t = &mut talk;
    let router = &mut connection(Role::Router, false, t.now);
    let worker = &mut connection(Role::Worker, false, t.now);

    let hello = one(t.hand_over(&["Preface", "Hello"], worker, router));
    assert_eq!(hello, Event::Hello { app: "hi".into() });
    router.accept("ok".into()).expect("it waits");
    assert!(matches!(one(t.hand_over(&["Preface", "Welcome"], router, worker)), Event::Connected { .. }));
    assert!(matches!(router.poll_event(), Some(Event::Connected { .. })));

    // A small call with everything that is optional, and its answer.
    let trace = TraceContext { trace_id: [0x11; 16], span_id: [0x22; 8], flags: 1 };
    let timeout = Some(Duration::from_millis(1500));
    let first =
        router.call(Call { timeout, trace: Some(trace), ..Call::new(0x0300, "ping") }, t.now).expect("open");
    let asked = request(t.hand_over(&["Request"], router, worker));
    assert_eq!((asked.id.get(), asked.method, asked.reply_max), (2, 0x0300, SMALL_BODY));
    assert_eq!((asked.body, asked.trace), ("ping".into(), Some(trace)));
    worker.respond(asked.id, "pong").expect("owed");
    let answer = one(t.hand_over(&["Response"], worker, router));
    assert_eq!(answer, Event::Answer { key: first, result: Ok("pong".into()) });

    // A call of the worker whose body takes two frames, its acknowledgement, and its failure.
    let mut large = vec![b'a'; 64 * 1024];
    large.extend_from_slice(b"tail");
    let second =
        worker.call(Call { timeout: None, ..Call::new(0x0101, large.clone()) }, t.now).expect("open");
    assert_eq!(t.hand_over(&["RequestOfTwoFrames"], worker, router), []);
    let asked = request(t.hand_over(&["PacketChunk"], worker, router));
    assert_eq!((asked.id.get(), asked.body), (1, Body::from(large)));
    assert_eq!(t.hand_over(&["Ack"], router, worker), []);
    let error = ErrorReply::new(ErrorCode::INVALID, "bad batch");
    router.respond_error(asked.id, error.clone()).expect("owed");
    let answer = one(t.hand_over(&["Error"], router, worker));
    assert_eq!(answer, Event::Answer { key: second, result: Err(CallError::Remote(error)) });

    // A cancelled call.
    let third = router.call(Call { timeout: None, ..Call::new(0x0300, "") }, t.now).expect("open");
    let asked = request(t.hand_over(&["RequestWithoutBody"], router, worker));
    assert!(router.cancel(third));
    assert_eq!(one(t.hand_over(&["Cancel"], router, worker)), Event::Cancelled { id: asked.id });
    worker.respond(asked.id, "too late").expect("still owed");
    assert_eq!(t.hand_over(&["ErrorCancelled"], worker, router), []);

    // Keepalive, drain and the end.
    t.now += Duration::from_secs(10);
    router.handle_timeout(t.now);
    assert_eq!(t.hand_over(&["Ping"], router, worker), []);
    assert_eq!(t.hand_over(&["Pong"], worker, router), []);
    worker.drain(Duration::from_secs(5), t.now).expect("open");
    let [draining, closed] =
        <[Event; 2]>::try_from(t.hand_over(&["GoAway", "Close"], worker, router)).expect("two events");
    assert_eq!(draining, Event::Draining { within: Duration::from_secs(5) });
    let reason = CloseReason::Peer { code: CloseCode::DRAINED, last_id: 4, message: String::new() };
    assert_eq!(closed, Event::Closed(reason));

    // A refusal, and grease.
    let router = &mut connection(Role::Router, false, t.now);
    let worker = &mut connection(Role::Worker, false, t.now);
    t.hand_over(&["Preface", "Hello"], worker, router);
    let after = Duration::from_secs(2);
    router.reject(CloseCode::CLAIM_REFUSED, after, "shard taken").expect("it waits");
    let rejected = one(t.hand_over(&["Preface", "Reject"], router, worker));
    let (code, message) = (CloseCode::CLAIM_REFUSED, "shard taken".to_owned());
    assert_eq!(rejected, Event::Closed(CloseReason::Rejected { code, retry_after: after, message }));

    let router = &mut connection(Role::Router, true, t.now);
    let worker = &mut connection(Role::Worker, true, t.now);
    t.hand_over(&["Preface", "HelloWithGrease"], worker, router);
    router.accept("ok".into()).expect("it waits");
    assert_eq!(t.hand_over(&["Preface", "Welcome", "Grease"], router, worker).len(), 1);

    let all: BTreeSet<&str> = talk.examples.keys().copied().collect();
    assert_eq!(talk.seen, all, "every example is checked");
}

/// Reads a value by the type that a field table gives, and returns what follows it.
fn skip<'a>(kind: &str, bytes: &'a [u8]) -> &'a [u8] {
    let varint = |bytes: &'a [u8]| {
        let (number, rest) = postcard::take_from_bytes::<u64>(bytes).expect("a number");
        (usize::try_from(number).expect("in memory"), rest)
    };
    let (name, bound) = kind.trim_end_matches('>').rsplit_once(['<', ' ']).unwrap_or((kind, "0"));
    match kind {
        "u8" => &bytes[1..],
        "u16" | "u32" | "u64" => varint(bytes).1,
        "Limits" => table("## 6. The frames one by one").iter().fold(bytes, |rest, row| skip(row[1], rest)),
        "extensions" => skip("list<(u16, bytes<512>), 8>", bytes),
        _ if kind.starts_with('(') => {
            let (first, second) = kind.trim_matches(['(', ')']).split_once(", ").expect("a pair");
            skip(second, skip(first, bytes))
        }
        _ => {
            let (length, rest) = varint(bytes);
            assert!(length <= bound.parse().expect("a bound"), "{kind}");
            match name.strip_prefix("list<") {
                Some(element) => (0..length).fold(rest, |rest, _| skip(element.trim_end_matches(','), rest)),
                None => &rest[length..],
            }
        }
    }
}

/// The field table of a frame names the implementation's fields, in order, and its types fit the bytes.
fn check_fields(value: &str, header: &[u8], body: usize) {
    let (name, mut value) = value.split_once(' ').expect("a struct with fields");
    let number = Kind::ALL.into_iter().find(|kind| kind.name() == name).map_or(0, Kind::number);
    let heading = format!("{name} ({number:#04x})");
    let mut rest = header;
    for row in table_below(|line| line.starts_with("### 6.") && line.contains(&heading)) {
        if row[0] == "body" {
            continue;
        }
        let at = value.find(&format!("{}: ", row[0])).unwrap_or_else(|| panic!("{name} has no {}", row[0]));
        value = &value[at..];
        rest = skip(row[1], rest);
    }
    assert_eq!(rest.len(), body, "the fields of {name}");
}

#[test]
fn every_example_is_the_canonical_form_of_its_header() {
    fn canonical<T: DeserializeOwned + Serialize + Debug>(name: &str, header: &[u8], has_body: bool) {
        let (value, rest) = postcard::take_from_bytes::<T>(header).unwrap_or_else(|e| panic!("{name}: {e}"));
        check_fields(&format!("{value:?}"), header, rest.len());
        assert!(has_body || rest.is_empty(), "{name} has bytes behind its last field");
        let written = postcard::to_stdvec(&value).expect("it was read");
        assert_eq!(written, header[..header.len() - rest.len()], "{name}");
    }
    let mut kinds = BTreeSet::new();
    for (name, bytes) in examples() {
        if name == "Preface" {
            assert_eq!(bytes, frame::PREFACE);
            continue;
        }
        let (length, rest) = bytes.split_first_chunk::<4>().expect("a length");
        assert_eq!(u32::from_le_bytes(*length) as usize, rest.len(), "the length of {name}");
        let Some(kind) = Kind::from_number(rest[0]) else {
            assert!(rest[0] > Kind::LAST_CRITICAL, "{name}");
            continue;
        };
        assert!(name.starts_with(kind.name()), "{name} is a {}", kind.name());
        kinds.insert(kind.number());
        let header = &rest[1..];
        match kind {
            Kind::Hello => canonical::<frame::Hello>(name, header, false),
            Kind::Welcome => canonical::<frame::Welcome>(name, header, false),
            Kind::Reject => canonical::<frame::Reject>(name, header, false),
            Kind::Request => canonical::<frame::Request>(name, header, true),
            Kind::Response => canonical::<frame::Response>(name, header, true),
            Kind::PacketChunk => canonical::<frame::PacketChunk>(name, header, true),
            Kind::Error => canonical::<frame::Error>(name, header, false),
            Kind::Cancel => canonical::<frame::Cancel>(name, header, false),
            Kind::Ack => canonical::<frame::Ack>(name, header, false),
            Kind::Ping => canonical::<frame::Ping>(name, header, false),
            Kind::Pong => canonical::<frame::Pong>(name, header, false),
            Kind::GoAway => canonical::<frame::GoAway>(name, header, false),
            Kind::Close => canonical::<frame::Close>(name, header, false),
        }
    }
    assert_eq!(kinds.len(), Kind::ALL.len(), "every kind has an example");
}

// ---- registries and constants -------------------------------------------------------------------------------

#[test]
fn the_registries_are_those_of_the_implementation() {
    let kinds = Kind::ALL.iter().map(|kind| (u64::from(kind.number()), kind.name().to_owned()));
    assert_eq!(registry("### 21.1 Frame kinds"), kinds.collect());
    let codes = CloseCode::REGISTRY.iter().map(|(code, name)| (u64::from(code.0), (*name).to_owned()));
    assert_eq!(registry("### 21.2 Close codes"), codes.collect());
    let codes = ErrorCode::REGISTRY.iter().map(|(code, name)| (u64::from(code.0), (*name).to_owned()));
    assert_eq!(registry("### 21.3 Error codes"), codes.collect());

    let compressions = registry("### 21.7 Compressions");
    assert_eq!(compressions.get(&u64::from(Compression::None.number())).map(String::as_str), Some("none"));
    assert_eq!(compressions.get(&u64::from(Compression::Zstd.number())).map(String::as_str), Some("zstd"));
    let tags = registry("### 21.5 Extension tags");
    assert_eq!(tags.get(&u64::from(frame::TRACE_CONTEXT)).map(String::as_str), Some("trace context"));
}

#[test]
fn the_constants_are_those_of_the_implementation() {
    let stated: BTreeMap<&str, u64> = table("### 21.8 Constants")
        .into_iter()
        .map(|row| (row[0], row[1].replace(',', "").parse().unwrap_or_else(|_| panic!("{row:?}"))))
        .collect();
    let limits = Limits::default();
    let (router, worker) = (Config::new(Role::Router), Config::new(Role::Worker));
    let timers = router.timers;
    assert_eq!(router.limits, limits);
    assert_eq!(
        worker.timers,
        nova_proto_core::Timers { handshake: worker.timers.handshake, ..timers },
        "the roles differ in one timer only"
    );
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).expect("short");
    let actual = BTreeMap::from([
        ("preface length", frame::PREFACE.len() as u64),
        ("header window", u64::from(frame::MAX_HEADER)),
        ("longest Hello frame", u64::from(frame::MAX_HELLO)),
        ("longest application part of Hello", frame::MAX_HELLO_APP as u64),
        ("longest application part of Welcome", frame::MAX_WELCOME_APP as u64),
        ("longest message", frame::MAX_MESSAGE as u64),
        ("most entries of an offer", frame::MAX_OFFERS as u64),
        ("most extensions", 8),
        ("most extension bytes", 512),
        ("last critical kind", u64::from(Kind::LAST_CRITICAL)),
        ("most unknown frames in a row", u64::from(MAX_UNKNOWN_IN_A_ROW)),
        ("small body", u64::from(SMALL_BODY)),
        ("least part of a body", u64::from(MIN_CHUNK)),
        ("acknowledgement step", ACK_EVERY),
        ("floor of max_frame", u64::from(MIN_MAX_FRAME)),
        ("default max_frame", u64::from(limits.max_frame)),
        ("default max_body", u64::from(limits.max_body)),
        ("default work_budget", limits.work_budget),
        ("default max_concurrent", u64::from(limits.max_concurrent)),
        ("router handshake timer (ms)", millis(router.timers.handshake)),
        ("worker handshake timer (ms)", millis(worker.timers.handshake)),
        ("keepalive timer (ms)", millis(timers.keepalive)),
        ("keepalive grace (ms)", millis(timers.keepalive_grace)),
        ("stall timer (ms)", millis(timers.stall)),
    ]);
    assert_eq!(stated, actual);
}

#[test]
fn extensions_are_bounded_as_the_constants_say() {
    // Nine extensions do not decode at all; 513 bytes of values decode and break a rule.
    let list = |values: &[(u16, usize)]| {
        let mut bytes = vec![u8::try_from(values.len()).expect("few")];
        for (tag, length) in values {
            bytes.extend(postcard::to_stdvec(tag).expect("a number"));
            bytes.extend(postcard::to_stdvec(length).expect("a number"));
            bytes.extend(vec![0; *length]);
        }
        bytes
    };
    let read = |bytes: &[u8]| postcard::from_bytes::<frame::Extensions>(bytes).is_ok();
    let many = |count: u16| (1..=count).map(|tag| (tag, 0)).collect::<Vec<_>>();
    assert!(read(&list(&many(8))) && !read(&list(&many(9))));

    for (lengths, expected) in [
        (vec![(1, 256), (2, 256)], None),
        (vec![(1, 256), (2, 257)], Some(())),
        (vec![(1, 0), (1, 0)], Some(())),
    ] {
        let now = Instant::now();
        let mut router = connection(Role::Router, false, now);
        let mut bytes = examples().remove("Hello").expect("it is there");
        assert_eq!(bytes.pop(), Some(0), "Hello ends with an empty list of extensions");
        bytes.extend(list(&lengths));
        let length = u32::try_from(bytes.len() - 4).expect("short");
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        router.receive(&frame::PREFACE, now);
        router.receive(&bytes, now);
        while router.poll_event().is_some() {}
        let code = router.close_reason().and_then(CloseReason::code);
        assert_eq!(code, expected.map(|()| CloseCode::BAD_EXTENSIONS), "{lengths:?}");
    }
}

// ---- the rules ----------------------------------------------------------------------------------------------

/// The list items of the document, each with its lines joined, outside of fenced blocks.
fn paragraphs() -> Vec<String> {
    let mut paragraphs: Vec<String> = Vec::new();
    let (mut fenced, mut fresh) = (false, true);
    for line in DOCUMENT.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
            fresh = true;
        } else if fenced || line.trim().is_empty() {
            fresh = true;
        } else if fresh || ["- ", "|", "#"].iter().any(|start| line.trim_start().starts_with(start)) {
            paragraphs.push(line.trim().to_owned());
            fresh = line.starts_with('#');
        } else {
            let last = paragraphs.last_mut().expect("not the first line");
            last.push(' ');
            last.push_str(line.trim());
        }
    }
    paragraphs
}

#[test]
fn every_must_is_one_rule_with_an_id_and_one_outcome() {
    let close: BTreeSet<&str> = CloseCode::REGISTRY.iter().map(|(_, name)| *name).collect();
    let error: BTreeSet<&str> = ErrorCode::REGISTRY.iter().map(|(_, name)| *name).collect();
    let mut numbers: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    let mut prescribed = BTreeSet::new();
    let mut rules = 0;
    for paragraph in paragraphs() {
        let Some(rule) = paragraph.strip_prefix("- **R-") else {
            let is_definition = paragraph.contains("**MUST**");
            assert!(is_definition || !paragraph.contains("MUST"), "a MUST without an id: {paragraph}");
            continue;
        };
        let (id, text) = rule.split_once("** ").unwrap_or_else(|| panic!("no end of the id: {paragraph}"));
        let (section, number) = id.rsplit_once('-').unwrap_or_else(|| panic!("bad id: {paragraph}"));
        let heading = format!("## {section}{} ", if section.parse::<u32>().is_ok() { "." } else { ":" });
        let heading = DOCUMENT.lines().find(|line| line.starts_with(&heading));
        assert!(heading.is_some(), "R-{id} names no section");
        let number = number.parse().unwrap_or_else(|_| panic!("R-{id} has no number"));
        assert!(numbers.entry(section.to_owned()).or_default().insert(number), "R-{id} is there twice");
        rules += 1;
        assert_eq!(text.matches("MUST").count(), 1, "not exactly one MUST: {paragraph}");
        let outcomes: Vec<&str> = text.split("→ ").skip(1).collect();
        let [outcome] = outcomes.as_slice() else { panic!("not exactly one outcome: {paragraph}") };
        let (verb, rest) = outcome.split_once([' ', '.']).unwrap_or((outcome, ""));
        let name = rest.trim_start_matches('`').split('`').next().unwrap_or_default();
        match verb {
            "close" | "Reject" => {
                let known = close.get(name).unwrap_or_else(|| panic!("R-{id}: no close code {name:?}"));
                prescribed.insert(*known);
            }
            "error" => assert!(error.contains(name), "R-{id}: no error code {name:?}"),
            "drop" if !name.is_empty() => {
                let known = close.get(name).unwrap_or_else(|| panic!("R-{id}: no close code {name:?}"));
                prescribed.insert(*known);
            }
            "ignore" | "drop" | "local" => assert!(name.is_empty(), "R-{id}: {verb} has no code"),
            _ => panic!("R-{id}: unknown outcome {verb:?}"),
        }
    }
    assert!(rules >= 150, "only {rules} rules");
    // Not in order: a rule that is added takes the next free number, wherever it stands.
    for (section, numbers) in &numbers {
        assert_eq!(numbers.last(), Some(&numbers.len()), "the ids of section {section} leave a number out");
    }
    let unused: Vec<_> = close.difference(&prescribed).collect();
    assert!(unused.is_empty(), "no rule prescribes {unused:?}");
}

#[test]
fn the_order_of_checks_names_only_registered_codes() {
    let known = |word: &str| {
        CloseCode::REGISTRY.iter().any(|(_, name)| *name == word)
            || ErrorCode::REGISTRY.iter().any(|(_, name)| *name == word)
    };
    for row in table("### 22.2 Per frame") {
        for word in row[1].split([' ', ',', ';', '(', ')', '`']) {
            let is_code = word.len() > 4 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            assert!(!is_code || known(word), "{word} in {row:?}");
        }
    }
}

#[test]
fn every_rule_that_is_referred_to_exists() {
    let rules: BTreeSet<&str> =
        DOCUMENT.split("- **R-").skip(1).filter_map(|rest| rest.split("**").next()).collect();
    for rest in DOCUMENT.split("R-").skip(1) {
        let is_id = |c: char| c.is_ascii_digit() || c == '-' || c == 'A';
        let id: &str = rest.split(|c| !is_id(c)).next().unwrap_or_default();
        assert!(id.is_empty() || rules.contains(id), "R-{id} does not exist");
    }
}
