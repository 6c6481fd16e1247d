//! Frames and messages as the runner reads them, independently of the core.

mod messages;
mod show;
mod types;

use std::sync::LazyLock;

use serde_json::Value;

pub use messages::{message, message_names, method_name, method_names};
pub use show::{show_bytes, show_frame};
pub use types::{Arm, Fault, Type, push_varint};

/// The first eight bytes of each side.
pub const PREFACE: [u8; 8] = [0x4e, 0x4f, 0x56, 0x41, 0x33, 0x0d, 0x0a, 0x00];

/// Longest kind and header of any frame but Hello.
pub const HEADER_WINDOW: u32 = 1024;

/// Longest Hello frame.
pub const LONGEST_HELLO: u32 = 16_384;

/// Body bytes from which on an Ack is due.
pub const ACK_STEP: u64 = 65_536;

/// Least part of a body in a frame that does not complete it.
pub const LEAST_PART: u64 = 4096;

/// A frame's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those of section 6")]
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
    /// Every kind, with its name.
    pub const ALL: [(Self, &'static str); 13] = [
        (Self::Hello, "Hello"),
        (Self::Welcome, "Welcome"),
        (Self::Reject, "Reject"),
        (Self::Request, "Request"),
        (Self::Response, "Response"),
        (Self::PacketChunk, "PacketChunk"),
        (Self::Error, "Error"),
        (Self::Cancel, "Cancel"),
        (Self::Ack, "Ack"),
        (Self::Ping, "Ping"),
        (Self::Pong, "Pong"),
        (Self::GoAway, "GoAway"),
        (Self::Close, "Close"),
    ];

    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().map(|(kind, _)| kind).find(|&kind| kind as u8 == number)
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, one)| *one == name).map(|(kind, _)| kind)
    }

    /// The name in section 6.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// Whether body bytes may follow the header.
    #[must_use]
    pub fn has_body(self) -> bool {
        matches!(self, Self::Request | Self::Response | Self::PacketChunk)
    }

    /// Whether nothing may follow such a frame.
    #[must_use]
    pub fn is_last(self) -> bool {
        matches!(self, Self::Reject | Self::Close)
    }
}

/// A frame of a known kind, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Its kind.
    pub kind: Kind,
    /// Its header, as an object.
    pub header: Value,
    /// The body bytes in it.
    pub body: Vec<u8>,
    /// All of it, the length too.
    pub whole: Vec<u8>,
}

impl Frame {
    /// Decodes a whole frame of this kind; `whole` holds at least length and kind.
    ///
    /// # Errors
    /// What is wrong with its header.
    pub fn decode(kind: Kind, whole: &[u8]) -> Result<Self, Fault> {
        let window = if kind == Kind::Hello { LONGEST_HELLO } else { HEADER_WINDOW } as usize;
        let behind_kind = &whole[5..];
        let (value, used) = header(kind).decode(&behind_kind[..behind_kind.len().min(window - 1)])?;
        let body = behind_kind[used..].to_vec();
        if !kind.has_body() && !body.is_empty() {
            return Err(Fault::Malformed("bytes behind the header"));
        }
        Ok(Self { kind, header: value, body, whole: whole.to_vec() })
    }

    /// A number in the header, also one that is written as a text.
    #[must_use]
    pub fn number(&self, field: &str) -> u64 {
        let value = &self.header[field];
        value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
    }
}

/// The bytes of a frame without a body.
///
/// # Panics
/// If `value` is not of the kind's type: the runner writes such values itself.
#[must_use]
pub fn frame_bytes(kind: Kind, value: &Value) -> Vec<u8> {
    let header = header(kind).encode(value).expect("the runner's own frames fit their types");
    let length = u32::try_from(header.len() + 1).expect("headers are short");
    [&length.to_le_bytes()[..], &[kind as u8], &header].concat()
}

/// The header of a kind.
#[must_use]
pub fn header(kind: Kind) -> &'static Type {
    static HEADERS: LazyLock<Vec<(Kind, Type)>> = LazyLock::new(headers);
    HEADERS.iter().find(|(one, _)| *one == kind).map(|(_, of)| of).expect("every kind has a header")
}

fn headers() -> Vec<(Kind, Type)> {
    use Type::{Bytes, List, Pair, Struct, Text, U8, Uint};
    let (u16, u32, u64) = (|| Uint(16), || Uint(32), || Uint(64));
    let version = || Pair(Box::new(u16()), Box::new(u16()));
    let limits = || {
        Struct(vec![
            ("max_frame", u32()),
            ("max_body", u32()),
            ("work_budget", u64()),
            ("max_concurrent", u32()),
        ])
    };
    // Values have no bound of their own: R-18-1 is a rule, not a type.
    let ext = || ("ext", List(Box::new(Pair(Box::new(u16()), Box::new(Bytes(u64::MAX)))), 8));
    let message = || ("message", Text(512));
    let body = || vec![("id", u64()), ("body_len", u32()), ("codec", U8), ("raw_len", u32()), ext()];
    let handshake = |first: (&'static str, Type), app| {
        let compression = List(Box::new(U8), 8);
        let rest = [
            ("limits", limits()),
            ("features", u32()),
            ("compression", compression),
            ("app", Bytes(app)),
            ext(),
        ];
        Struct([first].into_iter().chain(rest).collect())
    };
    vec![
        (Kind::Hello, handshake(("versions", List(Box::new(version()), 8)), 4096)),
        (Kind::Welcome, handshake(("version", version()), 512)),
        (Kind::Reject, Struct(vec![("code", u16()), ("retry_after_ms", u32()), message(), ext()])),
        (
            Kind::Request,
            Struct(vec![
                ("id", u64()),
                ("method", u16()),
                ("body_len", u32()),
                ("codec", U8),
                ("raw_len", u32()),
                ("reply_max", u32()),
                ("deadline_ms", u32()),
                ext(),
            ]),
        ),
        (Kind::Response, Struct(body())),
        (Kind::PacketChunk, Struct(vec![("id", u64())])),
        (
            Kind::Error,
            Struct(vec![
                ("id", u64()),
                ("code", u16()),
                ("retry", U8),
                ("retry_after_ms", u32()),
                message(),
                ext(),
            ]),
        ),
        (Kind::Cancel, Struct(vec![("id", u64())])),
        (Kind::Ack, Struct(vec![("received", u64())])),
        (Kind::Ping, Struct(vec![("nonce", u64())])),
        (Kind::Pong, Struct(vec![("nonce", u64())])),
        (Kind::GoAway, Struct(vec![("deadline_ms", u32())])),
        (Kind::Close, Struct(vec![("code", u16()), ("last_id", u64()), message()])),
    ]
}
