//! Every frame: what the crate writes and reads is what was built by hand, for any values.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use nova_proto_core::frame::{self, Extensions};
use nova_proto_core::{
    Body, Call, CallError, CloseCode, CloseReason, Compression, Config, ErrorCode, ErrorReply, Event, Limits,
    Retry, Role, TraceContext,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::common::victim::Victim;
use crate::common::wire::{self, Ask, Field, Frame, Offer};

type Ext = Vec<(u16, Vec<u8>)>;

fn ext() -> impl Strategy<Value = Ext> {
    proptest::collection::btree_map(any::<u16>(), proptest::collection::vec(any::<u8>(), 0..64), 0..=8)
        .prop_map(|map| map.into_iter().collect())
}

fn borrowed(ext: &Ext) -> Vec<(u16, &[u8])> {
    ext.iter().map(|(tag, value)| (*tag, value.as_slice())).collect()
}

fn extensions(ext: &Ext) -> Extensions {
    let bytes = Frame::new(0).ext(&borrowed(ext)).header();
    postcard::from_bytes(&bytes).expect("a legal list")
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,100}"
}

fn limits() -> impl Strategy<Value = Limits> {
    (16 * 1024..u32::MAX, any::<u32>(), any::<u64>(), 1..u32::MAX).prop_map(
        |(max_frame, max_body, work_budget, max_concurrent)| {
            let max_body = max_body.max(max_frame);
            let work_budget = work_budget.max(2 * u64::from(max_body));
            Limits { max_frame, max_body, work_budget, max_concurrent }
        },
    )
}

/// The header's type and the hand-built frame are the same bytes, and the bytes the same value.
fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(typed: &T, by_hand: &Frame) {
    let bytes = by_hand.header();
    assert_eq!(postcard::to_stdvec(typed).expect("it can be written"), bytes);
    assert_eq!(&postcard::from_bytes::<T>(&bytes).expect("it can be read"), typed);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn hello_is_its_fields_in_order(
        versions in proptest::collection::vec(any::<(u16, u16)>(), 0..=8),
        limits in limits(),
        features in any::<u32>(),
        compression in proptest::collection::vec(any::<u8>(), 0..=8),
        app in proptest::collection::vec(any::<u8>(), 0..=4096),
        ext in ext(),
    ) {
        let offer = Offer { versions: versions.clone(), limits, features, compression: compression.clone(), app: app.clone() };
        let typed = frame::Hello { versions, limits, features, compression, app: app.into(), ext: extensions(&ext) };
        same(&typed, &offer.hello(&borrowed(&ext)));
    }

    #[test]
    fn welcome_is_its_fields_in_order(
        version in any::<(u16, u16)>(),
        limits in limits(),
        features in any::<u32>(),
        compression in proptest::collection::vec(any::<u8>(), 0..=8),
        app in proptest::collection::vec(any::<u8>(), 0..=512),
        ext in ext(),
    ) {
        let offer = Offer { versions: vec![version], limits, features, compression: compression.clone(), app: app.clone() };
        let typed = frame::Welcome { version, limits, features, compression, app: app.into(), ext: extensions(&ext) };
        same(&typed, &offer.welcome(&borrowed(&ext)));
    }

    #[test]
    fn reject_is_its_fields_in_order(code in any::<u16>(), after in any::<u32>(), message in text(), ext in ext()) {
        let by_hand =
            Frame::new(wire::REJECT).u16(code).u32(after).string(message.as_bytes()).ext(&borrowed(&ext));
        same(&frame::Reject { code, retry_after_ms: after, message, ext: extensions(&ext) }, &by_hand);
    }

    #[test]
    fn request_is_its_fields_in_order(
        id in any::<u64>(), method in any::<u16>(), lengths in any::<(u32, u32, u32, u32)>(), codec in any::<u8>(), ext in ext(),
    ) {
        let (body_len, raw_len, reply_max, deadline_ms) = lengths;
        let by_hand = Frame::new(wire::REQUEST)
            .u64(id).u16(method).u32(body_len).u8(codec).u32(raw_len).u32(reply_max).u32(deadline_ms)
            .ext(&borrowed(&ext));
        let ext = extensions(&ext);
        same(&frame::Request { id, method, body_len, codec, raw_len, reply_max, deadline_ms, ext }, &by_hand);
    }

    #[test]
    fn response_is_its_fields_in_order(id in any::<u64>(), body_len in any::<u32>(), codec in any::<u8>(), raw_len in any::<u32>(), ext in ext()) {
        let by_hand =
            Frame::new(wire::RESPONSE).u64(id).u32(body_len).u8(codec).u32(raw_len).ext(&borrowed(&ext));
        same(&frame::Response { id, body_len, codec, raw_len, ext: extensions(&ext) }, &by_hand);
    }

    #[test]
    fn error_is_its_fields_in_order(id in any::<u64>(), code in any::<u16>(), retry in any::<u8>(), after in any::<u32>(), message in text(), ext in ext()) {
        let by_hand = Frame::new(wire::ERROR)
            .u64(id).u16(code).u8(retry).u32(after).string(message.as_bytes()).ext(&borrowed(&ext));
        let ext = extensions(&ext);
        same(&frame::Error { id, code, retry, retry_after_ms: after, message, ext }, &by_hand);
    }

    #[test]
    fn the_frames_with_one_number_are_that_number(value in any::<u64>()) {
        same(&frame::PacketChunk { id: value }, &Frame::new(wire::CHUNK).u64(value));
        same(&frame::Cancel { id: value }, &Frame::new(wire::CANCEL).u64(value));
        same(&frame::Ack { received: value }, &Frame::new(wire::ACK).u64(value));
        same(&frame::Ping { nonce: value }, &Frame::new(wire::PING).u64(value));
        same(&frame::Pong { nonce: value }, &Frame::new(wire::PONG).u64(value));
        same(&frame::GoAway { deadline_ms: value as u32 }, &Frame::new(wire::GOAWAY).u32(value as u32));
    }

    #[test]
    fn close_is_its_fields_in_order(code in any::<u16>(), last_id in any::<u64>(), message in text()) {
        let by_hand = wire::close(code, last_id, message.as_bytes());
        same(&frame::Close { code, last_id, message }, &by_hand);
    }

    #[test]
    fn an_offer_arrives_as_it_was_made(limits in limits(), features in any::<u32>(), app in proptest::collection::vec(any::<u8>(), 0..=4096), minor in any::<u16>(), ext in ext()) {
        let offer = Offer { versions: vec![(2, 9), (3, minor)], limits, features, compression: vec![9, 1], app: app.clone() };
        let mut victim = Victim::fresh(Config { zstd: true, ..Config::new(Role::Router) });
        let events = victim.feed(&[wire::PREFACE.to_vec(), offer.hello(&borrowed(&ext)).bytes()].concat());
        prop_assert_eq!(events, [Event::Hello { app: app.into() }]);
        victim.conn.accept(Bytes::new()).expect("asked");
        let agreed = victim.conn.agreed().expect("open").clone();
        prop_assert_eq!((agreed.version, agreed.peer_limits), ((3, 0), limits));
        prop_assert_eq!((agreed.cancellation, agreed.zstd), (features & 1 == 1, true));
        let welcome = Offer { features: features & 1, compression: vec![1], app: vec![], ..Offer::default() };
        prop_assert_eq!(victim.output(), welcome.opening(Role::Router));
    }

    #[test]
    fn a_welcome_arrives_as_it_was_made(limits in limits(), app in proptest::collection::vec(any::<u8>(), 0..=512)) {
        let offer = Offer { limits, features: 0, app: app.clone(), ..Offer::default() };
        let mut victim = Victim::fresh(Config::new(Role::Worker));
        let events = victim.feed(&offer.opening(Role::Router));
        let [Event::Connected { agreed, app: got }] = &events[..] else { panic!("{events:?}") };
        prop_assert_eq!((agreed.peer_limits, agreed.cancellation, agreed.zstd), (limits, false, false));
        prop_assert_eq!(&got[..], &app[..]);
    }

    #[test]
    fn a_rejection_arrives_as_it_was_made(code in any::<u16>(), after in any::<u32>(), message in text()) {
        let mut victim = Victim::fresh(Config::new(Role::Worker));
        let frame = wire::reject(code, after, message.as_bytes());
        let events = victim.feed(&[wire::PREFACE.to_vec(), frame.bytes()].concat());
        let retry_after = Duration::from_millis(u64::from(after));
        prop_assert_eq!(events, [Event::Closed(CloseReason::Rejected { code: CloseCode(code), retry_after, message })]);
    }

    #[test]
    fn a_request_arrives_as_it_was_made(
        id in any::<u64>(), reply_max in 0..1u32 << 24, deadline_ms in any::<u32>(),
        trace in any::<Option<([u8; 16], [u8; 8], u8)>>(), body in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let id = id | 1;
        let bytes = trace.map(|(trace_id, span_id, flags)| [&trace_id[..], &span_id[..], &[flags]].concat());
        let ext: Vec<(u16, &[u8])> = bytes.iter().map(|bytes| (1, &bytes[..])).collect();
        let ask = Ask { id, body_len: body.len() as u32, reply_max, deadline_ms, ext: &ext, ..Ask::default() };
        let mut victim = Victim::router();
        let events = victim.takes(&ask.frame(&body).bytes());
        let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
        prop_assert_eq!((request.id.get(), request.method, request.reply_max), (id, 7, reply_max));
        prop_assert_eq!(&request.body, &Body::from(body));
        let deadline = (deadline_ms > 0).then(|| victim.now + Duration::from_millis(u64::from(deadline_ms)));
        prop_assert_eq!(request.deadline, deadline);
        let expected = trace.map(|(trace_id, span_id, flags)| TraceContext { trace_id, span_id, flags });
        prop_assert_eq!(request.trace, expected);
    }

    #[test]
    fn a_call_leaves_as_the_request_it_is(
        method in any::<u16>(), body in proptest::collection::vec(any::<u8>(), 0..16_000), reply_max in 0..1u32 << 24,
        timeout in proptest::option::of(1..u32::MAX), trace in any::<Option<([u8; 16], [u8; 8], u8)>>(),
    ) {
        let mut victim = Victim::router();
        let trace = trace.map(|(trace_id, span_id, flags)| TraceContext { trace_id, span_id, flags });
        let timeout = timeout.map(|ms| Duration::from_millis(u64::from(ms)));
        let call = Call { reply_max, timeout, trace, ..Call::new(method, body.clone()) };
        victim.conn.call(call, victim.now).expect("open");
        let value = trace.map(|trace| [&trace.trace_id[..], &trace.span_id[..], &[trace.flags]].concat());
        let ext: Vec<(u16, &[u8])> = value.iter().map(|value| (1, &value[..])).collect();
        let by_hand = Frame::new(wire::REQUEST)
            .u64(2).u16(method).u32(body.len() as u32).u8(0).u32(0).u32(reply_max)
            .u32(timeout.map_or(0, |timeout| timeout.as_millis() as u32)).ext(&ext).body(&body);
        prop_assert_eq!(victim.output(), by_hand.bytes());
    }

    #[test]
    fn answers_leave_and_arrive_as_they_were_made(
        body in proptest::collection::vec(any::<u8>(), 0..16_000), code in any::<u16>(), after in any::<u32>(), hint in 0..3u8, message in text(),
    ) {
        let retry = match hint {
            0 => Retry::Never,
            1 => Retry::Later(Duration::from_millis(u64::from(after))),
            _ => Retry::Elsewhere,
        };
        let error = ErrorReply { code: ErrorCode(code), retry, message: message.clone() };
        let after = if hint == 1 { after } else { 0 };
        let frame = |id| Frame::new(wire::ERROR).u64(id).u16(code).u8(hint).u32(after).string(message.as_bytes()).ext(&[]);
        let reply = |id| wire::response(id, body.len() as u32, &body);

        let mut victim = Victim::router();
        for id in [1, 3] {
            let ask = Ask { id, reply_max: 16_000, ..Ask::default() };
            let events = victim.takes(&ask.frame(b"").bytes());
            let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
            if id == 1 {
                victim.conn.respond(request.id, body.clone()).expect("owed");
                prop_assert_eq!(victim.output(), reply(1).bytes());
            } else {
                victim.conn.respond_error(request.id, error.clone()).expect("owed");
                prop_assert_eq!(victim.output(), frame(3).bytes());
            }
        }
        let keys = [0, 1].map(|_| victim.conn.call(Call::new(1, ""), victim.now).expect("open"));
        victim.output();
        let events = victim.takes(&[reply(2).bytes(), frame(4).bytes()].concat());
        prop_assert_eq!(events, [
            Event::Answer { key: keys[0], result: Ok(Body::from(body)) },
            Event::Answer { key: keys[1], result: Err(CallError::Remote(error)) },
        ]);
    }

    #[test]
    fn a_close_leaves_and_arrives_as_it_was_made(code in any::<u16>(), last_id in any::<u64>(), message in text()) {
        let mut victim = Victim::router();
        let events = victim.feed(&wire::close(code, last_id, message.as_bytes()).bytes());
        let code = CloseCode(code);
        prop_assert_eq!(&events, &[Event::Closed(CloseReason::Peer { code, last_id, message: message.clone() })]);
        prop_assert_eq!(victim.output(), b"", "a close is not answered");

        let mut victim = Victim::router();
        victim.takes(&wire::request(41, b""));
        victim.conn.close(code, &message);
        prop_assert_eq!(victim.output(), wire::close(code.0, 41, message.as_bytes()).bytes());
    }
}

#[test]
fn compressed_bodies_keep_their_raw_length() {
    let config = Config { zstd: true, ..Config::new(Role::Router) };
    let mut victim = Victim::with(config, &Offer { compression: vec![1], ..Offer::default() });
    let ask = Ask { body_len: 3, codec: 1, raw_len: 500, ..Ask::default() };
    let events = victim.takes(&ask.frame(b"abc").bytes());
    let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
    let body = Body { bytes: Bytes::from_static(b"abc"), compression: Compression::Zstd, raw_len: 500 };
    assert_eq!(request.body, body);
    victim.conn.respond(request.id, body).expect("owed");
    let by_hand = Frame::new(wire::RESPONSE).u64(1).u32(3).u8(1).u32(500).ext(&[]).body(b"abc");
    assert_eq!(victim.output(), by_hand.bytes());
}

#[test]
fn a_trace_context_of_another_length_is_ignored() {
    let mut victim = Victim::router();
    for (id, len) in [(1, 0), (3, 24), (5, 26)] {
        let value = vec![1; len];
        let events = victim.takes(&Ask { id, ext: &[(1, &value)], ..Ask::default() }.frame(b"").bytes());
        assert!(matches!(&events[..], [Event::Request(request)] if request.trace.is_none()), "{events:?}");
    }
}

#[test]
fn unknown_extensions_count_as_absent() {
    let mut victim = Victim::router();
    let events = victim.takes(&Ask { ext: &[(2, b"?"), (65_535, b"")], ..Ask::default() }.frame(b"").bytes());
    assert!(matches!(&events[..], [Event::Request(request)] if request.trace.is_none()));
}

#[test]
fn the_worker_speaks_first_and_its_hello_is_as_configured() {
    let config = Config {
        hello: Bytes::from_static(b"claim"),
        zstd: true,
        grease: false,
        ..Config::new(Role::Worker)
    };
    let mut conn = nova_proto_core::Connection::new(config, std::time::Instant::now()).expect("good");
    let mut out = Vec::new();
    assert!(conn.poll_transmit(&mut out, 1) > 0);
    let offer = Offer { compression: vec![1], app: b"claim".to_vec(), ..Offer::default() };
    assert_eq!(out, offer.opening(Role::Worker));
    let mut router =
        nova_proto_core::Connection::new(Config::new(Role::Router), std::time::Instant::now()).expect("good");
    assert_eq!(router.poll_transmit(&mut out, 1 << 20), 0, "the router sends nothing before the Hello");
}

#[test]
fn grease_is_sent_and_skipped() {
    let now = std::time::Instant::now();
    let mut worker = nova_proto_core::Connection::new(Config::new(Role::Worker), now).expect("good");
    let mut out = Vec::new();
    assert!(worker.poll_transmit(&mut out, 1 << 20) > 0);
    let greased = wire::frames(&out);
    let plain = Offer { app: vec![], ..Offer::default() }.hello(&[]).header();
    assert!(greased[0].content.len() > plain.len(), "an unknown extension is in it");
    let mut victim = Victim::fresh(Config::new(Role::Router));
    assert!(matches!(victim.takes(&out)[..], [Event::Hello { .. }]));
    victim.conn.accept(Bytes::new()).expect("asked");

    let mut router = nova_proto_core::Connection::new(Config::new(Role::Router), now).expect("good");
    router.receive(&out, now);
    assert!(matches!(router.poll_event(), Some(Event::Hello { .. })));
    router.accept(Bytes::new()).expect("asked");
    out.clear();
    assert!(router.poll_transmit(&mut out, 1 << 20) > 0);
    assert!(wire::frames(&out).iter().any(|frame| frame.kind > 0x7f), "an unknown frame is sent");
    worker.receive(&out, now);
    assert!(matches!(worker.poll_event(), Some(Event::Connected { .. })));
    assert_eq!(worker.poll_event(), None);
    assert_eq!(worker.close_reason(), None);
}

#[test]
fn a_list_field_is_its_length_and_its_elements() {
    let frame = Frame::new(0).field(Field::Len(300)).u16(300).u32(0).u64(u64::MAX);
    let expected = [&[0xac, 2, 0xac, 2, 0][..], &[0xff; 9], &[1]].concat();
    assert_eq!(frame.header(), expected, "the tests' own writer writes what the specification says");
}
