//! Frames as data: kinds and headers. Nothing here knows a state or a policy, except sizes.
//!
//! A frame is `u32 little-endian length | u8 kind | postcard header | raw body bytes`; the length counts all that
//! follows it. A header ends where its last field ends; only `Request`, `Response` and `PacketChunk` have bytes
//! behind it.

mod codec;
mod extensions;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use codec::decode_header;
pub(crate) use codec::{canonical, encode_body_frame, encode_frame, encode_ignorable};
pub use extensions::{Extensions, TRACE_CONTEXT};

use crate::bounded;
use crate::config::Limits;

/// The first eight bytes of either side: a name, a line end that text-mode links would mangle, and a zero.
pub const PREFACE: [u8; 8] = *b"NOVA3\r\n\0";

/// Longest kind and header together of any frame but `Hello`. A frame is looked at as soon as this much of it, or
/// all of it, is there, so the moment of an error does not depend on how the transport cut the bytes.
pub const MAX_HEADER: u32 = 1024;

/// Longest `Hello` frame.
pub const MAX_HELLO: u32 = 16 * 1024;

/// Longest application part of a `Hello`.
pub const MAX_HELLO_APP: usize = 4 * 1024;

/// Longest application part of a `Welcome`.
pub const MAX_WELCOME_APP: usize = 512;

/// Longest message for people, in bytes.
pub const MAX_MESSAGE: usize = 512;

/// Most entries in a list of a handshake frame.
pub const MAX_OFFERS: usize = 8;

/// Frame kinds. Up to [`Kind::LAST_CRITICAL`] an unknown one closes; above, it is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the header types document the frames")]
pub enum Kind {
    Hello = 0x01,
    Welcome = 0x02,
    Reject = 0x03,
    Request = 0x10,
    Response = 0x11,
    PacketChunk = 0x12,
    Error = 0x13,
    Cancel = 0x14,
    Ack = 0x15,
    Ping = 0x20,
    Pong = 0x21,
    GoAway = 0x22,
    Close = 0x23,
}

impl Kind {
    /// The last kind that must be understood.
    pub const LAST_CRITICAL: u8 = 0x7f;

    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Hello,
        Self::Welcome,
        Self::Reject,
        Self::Request,
        Self::Response,
        Self::PacketChunk,
        Self::Error,
        Self::Cancel,
        Self::Ack,
        Self::Ping,
        Self::Pong,
        Self::GoAway,
        Self::Close,
    ];

    /// The kind with this number, if it is known.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0x01 => Self::Hello,
            0x02 => Self::Welcome,
            0x03 => Self::Reject,
            0x10 => Self::Request,
            0x11 => Self::Response,
            0x12 => Self::PacketChunk,
            0x13 => Self::Error,
            0x14 => Self::Cancel,
            0x15 => Self::Ack,
            0x20 => Self::Ping,
            0x21 => Self::Pong,
            0x22 => Self::GoAway,
            0x23 => Self::Close,
            _ => return None,
        })
    }

    /// The byte on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The name in the specification.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hello => "Hello",
            Self::Welcome => "Welcome",
            Self::Reject => "Reject",
            Self::Request => "Request",
            Self::Response => "Response",
            Self::PacketChunk => "PacketChunk",
            Self::Error => "Error",
            Self::Cancel => "Cancel",
            Self::Ack => "Ack",
            Self::Ping => "Ping",
            Self::Pong => "Pong",
            Self::GoAway => "GoAway",
            Self::Close => "Close",
        }
    }

    /// Whether body bytes may follow the header.
    pub(crate) fn carries_body(self) -> bool {
        matches!(self, Self::Request | Self::Response | Self::PacketChunk)
    }
}

/// A header and the kind it belongs to.
pub(crate) trait Header: Serialize {
    const KIND: Kind;
}

macro_rules! headers {
    ($($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
            pub struct $name { $($(#[$doc])* pub $field: $type,)* }

            impl Header for $name {
                const KIND: Kind = Kind::$name;
            }
        )*
    };
}

headers! {
    /// The worker's first frame.
    Hello {
        /// Versions it speaks: each major with the highest minor of it.
        #[serde(deserialize_with = "bounded::list::<_, _, MAX_OFFERS>")]
        versions: Vec<(u16, u16)>,
        /// What it accepts.
        limits: Limits,
        /// Bit 0: cancellation. Unknown bits are ignored.
        features: u32,
        /// Compressions it can read, `none` not named. Unknown numbers are ignored.
        #[serde(deserialize_with = "bounded::list::<_, _, MAX_OFFERS>")]
        compression: Vec<u8>,
        /// The application part.
        #[serde(deserialize_with = "bounded::bytes::<_, MAX_HELLO_APP>")]
        app: Bytes,
        /// Extensions.
        ext: Extensions,
    }
    /// The router's answer that lets the worker in.
    Welcome {
        /// The version both will speak.
        version: (u16, u16),
        /// What the router accepts.
        limits: Limits,
        /// The features both have.
        features: u32,
        /// The compressions both can read.
        #[serde(deserialize_with = "bounded::list::<_, _, MAX_OFFERS>")]
        compression: Vec<u8>,
        /// The application part.
        #[serde(deserialize_with = "bounded::bytes::<_, MAX_WELCOME_APP>")]
        app: Bytes,
        /// Extensions.
        ext: Extensions,
    }
    /// The router's answer that does not.
    Reject {
        /// Why: a close code.
        code: u16,
        /// When to try again, in milliseconds.
        retry_after_ms: u32,
        /// For people.
        #[serde(deserialize_with = "bounded::text::<_, MAX_MESSAGE>")]
        message: String,
        /// Extensions.
        ext: Extensions,
    }
    /// Opens a request; its body begins behind the header.
    Request {
        /// A new id of the sender's parity.
        id: u64,
        /// What is asked for.
        method: u16,
        /// Length of the whole body as sent.
        body_len: u32,
        /// How the body is compressed.
        codec: u8,
        /// Length of the body before compression; 0 if it is not compressed.
        raw_len: u32,
        /// Longest answer the requester takes: its length as sent and before compression.
        reply_max: u32,
        /// Time for the answer, from the arrival of this frame; 0 for none.
        deadline_ms: u32,
        /// Extensions.
        ext: Extensions,
    }
    /// The answer to a request; its body begins behind the header.
    Response {
        /// The request's id.
        id: u64,
        /// Length of the whole body as sent.
        body_len: u32,
        /// How the body is compressed.
        codec: u8,
        /// Length of the body before compression; 0 if it is not compressed.
        raw_len: u32,
        /// Extensions.
        ext: Extensions,
    }
    /// The next part of a body: the request's if the id is the sender's, the response's otherwise.
    PacketChunk {
        /// The request's id.
        id: u64,
    }
    /// The answer to a request that failed. May interrupt the sender's own response.
    Error {
        /// The request's id.
        id: u64,
        /// An error code.
        code: u16,
        /// 0 never, 1 later on this connection, 2 elsewhere.
        retry: u8,
        /// When to retry, with `retry` 1; otherwise 0.
        retry_after_ms: u32,
        /// For people.
        #[serde(deserialize_with = "bounded::text::<_, MAX_MESSAGE>")]
        message: String,
        /// Extensions.
        ext: Extensions,
    }
    /// The requester wants no answer any more, and ends its body here.
    Cancel {
        /// An id of the sender's.
        id: u64,
    }
    /// How many body bytes have come since the connection began.
    Ack {
        /// Their number.
        received: u64,
    }
    /// Asks for a `Pong`.
    Ping {
        /// To be sent back.
        nonce: u64,
    }
    /// Answers a `Ping`.
    Pong {
        /// The one that came.
        nonce: u64,
    }
    /// No new requests in either direction.
    GoAway {
        /// When the sender will close at the latest.
        deadline_ms: u32,
    }
    /// The last frame.
    Close {
        /// A close code.
        code: u16,
        /// The highest id of the receiver's that the sender has seen; 0 for none.
        last_id: u64,
        /// For people.
        #[serde(deserialize_with = "bounded::text::<_, MAX_MESSAGE>")]
        message: String,
    }
}

/// Bit of [`Hello::features`] for cancellation.
pub(crate) const FEATURE_CANCEL: u32 = 1;

/// Cuts a message for people to [`MAX_MESSAGE`] bytes, at a character.
pub(crate) fn clip(message: &str) -> String {
    let end = (0..=MAX_MESSAGE.min(message.len())).rev().find(|&end| message.is_char_boundary(end));
    message.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}
