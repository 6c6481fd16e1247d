//! One frame of any kind, to a connection that waits for it. What the connection says of the header is compared with what
//! plain postcard says.

use std::fmt::Debug;

use nova_proto_core::frame::{
    Ack, Cancel, Close, Error, GoAway, Hello, Kind, PacketChunk, Ping, Pong, Reject, Request, Response,
    Welcome,
};
use nova_proto_core::{CloseCode, CloseReason};
use serde::{Deserialize, Serialize};

use crate::common::victim::{Victim, ready};
use crate::common::wire;
use crate::meter::Meter;

/// The most that a frame's byte may cost, in whatever it is decoded to; and what any frame may, its events included.
const MULTIPLE: usize = 64;
const CONSTANT: usize = 4096;

/// The kind, and what stands behind it.
pub fn frames(data: &[u8]) {
    let Some((number, content)) = data.split_first() else { return };
    let Some(kind) = Kind::from_number(*number) else { return unknown(*number, content) };
    let head = if kind == Kind::Hello { 16 * 1024 - 1 } else { 1023 };
    let has_body = matches!(kind, Kind::Request | Kind::Response | Kind::PacketChunk);
    let content = if has_body { content } else { &content[..content.len().min(head)] };
    let header = &content[..content.len().min(head)];
    let expected = match kind {
        Kind::Hello => verdict::<Hello>(header),
        Kind::Welcome => verdict::<Welcome>(header),
        Kind::Reject => verdict::<Reject>(header),
        Kind::Request => verdict::<Request>(header),
        Kind::Response => verdict::<Response>(header),
        Kind::PacketChunk => verdict::<PacketChunk>(header),
        Kind::Error => verdict::<Error>(header),
        Kind::Cancel => verdict::<Cancel>(header),
        Kind::Ack => verdict::<Ack>(header),
        Kind::Ping => verdict::<Ping>(header),
        Kind::Pong => verdict::<Pong>(header),
        Kind::GoAway => verdict::<GoAway>(header),
        Kind::Close => verdict::<Close>(header),
    };
    let expected = match expected {
        Ok(used) if used < content.len() && !has_body => Err(CloseCode::MALFORMED),
        other => other,
    };
    let (victim, _) = ready(*number);
    let code = violation(victim, &wire::raw(*number, content));
    match expected {
        Err(expected) => assert_eq!(code, Some(expected), "{kind:?}"),
        // The retry hint of an Error is a rule of its own with the same code.
        Ok(_) if kind == Kind::Error => assert_ne!(code, Some(CloseCode::NOT_CANONICAL)),
        Ok(_) => assert!(
            !matches!(code, Some(CloseCode::MALFORMED | CloseCode::NOT_CANONICAL)),
            "{kind:?} is as it should be, and closes with {code:?}"
        ),
    }
}

/// The length of the header, or how it is wrong.
fn verdict<'a, T: Serialize + Deserialize<'a> + Debug>(bytes: &'a [u8]) -> Result<usize, CloseCode> {
    let most = MULTIPLE * bytes.len() + CONSTANT;
    let decoded = Meter::default().run(most, || postcard::take_from_bytes::<T>(bytes));
    let (header, rest) = decoded.map_err(|_| CloseCode::MALFORMED)?;
    let used = bytes.len() - rest.len();
    let again = postcard::to_allocvec(&header).expect("headers can be written");
    if again == bytes[..used] { Ok(used) } else { Err(CloseCode::NOT_CANONICAL) }
}

fn unknown(number: u8, content: &[u8]) {
    let code = violation(Victim::router(), &wire::raw(number, content));
    assert_eq!(code, (number <= Kind::LAST_CRITICAL).then_some(CloseCode::UNKNOWN_KIND));
}

/// How the connection says that the peer broke a rule, if it does.
fn violation(mut victim: Victim, frame: &[u8]) -> Option<CloseCode> {
    let most = MULTIPLE * frame.len() + CONSTANT;
    Meter::default().run(most, || {
        victim.conn.receive(frame, victim.now);
        while let Some(event) = victim.conn.poll_event() {
            drop(event);
        }
    });
    victim.sent();
    match victim.conn.close_reason() {
        Some(CloseReason::Violation(error)) => Some(error.code()),
        _ => None,
    }
}
