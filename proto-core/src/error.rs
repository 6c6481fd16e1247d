//! What can go wrong, sorted by who did it: [`PeerError`] (the peer broke a rule, the connection ends),
//! [`SendError`] (a command was not possible, nothing changed), [`CloseReason`] (how a connection ended) and
//! [`CallError`] (how one call ended). The numbers on the wire are in [`CloseCode`] and [`ErrorCode`] only.

use std::fmt;
use std::time::Duration;

use crate::id::{RequestId, Role};

macro_rules! registry {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $constant:ident = $number:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u16);

        impl $name {
            $($(#[$doc])* pub const $constant: Self = Self($number);)*

            /// Every number with a meaning, with its name.
            pub const REGISTRY: &'static [(Self, &'static str)] =
                &[$((Self::$constant, stringify!($constant)),)*];

            /// The registered name, if there is one.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                Self::REGISTRY.iter().find(|(code, _)| *code == self).map(|(_, name)| *name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "code {}", self.0),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self)
            }
        }
    };
}

registry! {
    /// Why a connection was closed: the number in `Close` and `Reject` frames. Every limit has its own.
    CloseCode {
        /// Nothing is wrong: the sender is done.
        NORMAL = 0,
        /// The sender drained and has nothing open any more.
        DRAINED = 1,
        /// One side drained, and the deadline it gave passed.
        DRAIN_DEADLINE = 2,
        /// The sender failed in a way that is not the peer's doing.
        INTERNAL = 3,
        /// One side's request ids are used up.
        IDS_EXHAUSTED = 4,
        /// The first eight bytes are not the preface.
        BAD_PREFACE = 10,
        /// A frame is longer than the receiver accepts.
        FRAME_TOO_LARGE = 11,
        /// A frame does not even hold its kind.
        FRAME_EMPTY = 12,
        /// A header does not decode.
        MALFORMED = 13,
        /// A header decodes but is not written in the one canonical way.
        NOT_CANONICAL = 14,
        /// A frame of a critical kind that the receiver does not know.
        UNKNOWN_KIND = 15,
        /// More ignorable frames in a row than the receiver skips.
        TOO_MANY_UNKNOWN = 16,
        /// A known frame that has no place in this state or from this side.
        UNEXPECTED_FRAME = 17,
        /// Extensions are too long together, or one tag stands twice.
        BAD_EXTENSIONS = 18,
        /// The handshake did not end in time.
        HANDSHAKE_TIMEOUT = 20,
        /// No protocol version in common.
        UNSUPPORTED_VERSION = 21,
        /// Declared limits are below the floors or contradict each other.
        BAD_LIMITS = 22,
        /// A `Welcome` chooses what was not offered.
        BAD_WELCOME = 23,
        /// A list in a `Hello` is empty, repeats itself or names what is never offered.
        BAD_OFFER = 24,
        /// The application does not let this peer in.
        UNAUTHORIZED = 25,
        /// The application does not accept this claim.
        CLAIM_REFUSED = 26,
        /// The listener has no room for another connection.
        TOO_MANY_CONNECTIONS = 27,
        /// Id 0 names a request.
        ID_ZERO = 30,
        /// A request was opened with an id of the other side's parity.
        ID_PARITY = 31,
        /// A request was opened with an id that is not above the last one.
        ID_ORDER = 32,
        /// A frame names a request that is not open in that direction.
        ID_NOT_OPEN = 33,
        /// A body is longer than the receiver accepts.
        BODY_TOO_LARGE = 40,
        /// A frame carries more bytes than are left of the body.
        BODY_OVERRUN = 41,
        /// A frame that does not complete its body carries too little of it.
        CHUNK_TOO_SMALL = 42,
        /// A response is longer than its request allows.
        REPLY_TOO_LONG = 43,
        /// A body is compressed in a way that was not agreed.
        COMPRESSION_NOT_AGREED = 44,
        /// A body's raw length contradicts its compression.
        BAD_RAW_LENGTH = 45,
        /// More requests open than the receiver accepts.
        TOO_MANY_REQUESTS = 50,
        /// Open requests cost more than the receiver's work budget.
        WORK_BUDGET = 51,
        /// An acknowledgement of bytes that were not sent.
        ACK_AHEAD = 60,
        /// An acknowledgement that acknowledges less than 64 KiB more than the last one.
        ACK_NO_PROGRESS = 61,
        /// The peer does not read what it asked for.
        SLOW_READER = 62,
        /// The peer was silent for too long.
        KEEPALIVE_TIMEOUT = 70,
        /// A `Pong` without a `Ping`.
        UNEXPECTED_PONG = 71,
        /// `Cancel` without the feature agreed.
        CANCEL_NOT_AGREED = 80,
    }
}

registry! {
    /// Why a request failed: the number in an `Error` frame. 256 and above belong to the application.
    ErrorCode {
        /// The handler failed, or gave no answer.
        INTERNAL = 1,
        /// The requester cancelled.
        CANCELLED = 2,
        /// The deadline in the request passed.
        DEADLINE = 3,
        /// Not started, because of overload or drain: a retry is safe.
        REFUSED = 4,
        /// The method number is unknown.
        UNIMPLEMENTED = 5,
        /// The body is not what the method takes.
        INVALID = 6,
        /// The answer does not fit what the request allows.
        REPLY_TOO_LARGE = 7,
        /// The body does not decompress within its declared length.
        DECOMPRESSION = 8,
        /// Application: the shard named is not one this worker holds.
        UNKNOWN_SHARD = 256,
        /// Application: the sync named was superseded.
        STALE_SYNC = 257,
        /// Application: an entry is not part of the manifest.
        NOT_IN_MANIFEST = 258,
        /// Application: there is no room for another unsaved text.
        OVERLAY_FULL = 259,
    }
}

/// Whether and where a failed request may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retry {
    /// The same request fails again.
    #[default]
    Never,
    /// On this connection, after the time.
    Later(Duration),
    /// On another connection.
    Elsewhere,
}

/// An error answer to one request, as sent and as received.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ErrorReply {
    /// What went wrong.
    pub code: ErrorCode,
    /// Whether a retry can help.
    pub retry: Retry,
    /// For people; at most [`MAX_MESSAGE`](crate::frame::MAX_MESSAGE) bytes, longer ones are cut when sent.
    pub message: String,
}

impl ErrorReply {
    /// An error for which a retry does not help.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, retry: Retry::Never, message: message.into() }
    }
}

/// How the peer broke the protocol. Ends the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message says it")]
pub enum PeerError {
    #[error("{0}")]
    Preface(ForeignProtocol),
    #[error("frame of {length} bytes where at most {limit} are accepted")]
    FrameTooLarge { length: u32, limit: u32 },
    #[error("frame without a kind")]
    FrameEmpty,
    #[error("malformed {frame}: {detail}")]
    Malformed { frame: &'static str, detail: &'static str },
    #[error("{frame} is not in canonical form")]
    NotCanonical { frame: &'static str },
    #[error("unknown critical frame kind {kind:#04x}")]
    UnknownKind { kind: u8 },
    #[error("more than {limit} unknown frames in a row")]
    TooManyUnknown { limit: u32 },
    #[error("{frame} is not allowed here")]
    UnexpectedFrame { frame: &'static str },
    #[error("bad extensions in {frame}: {detail}")]
    BadExtensions { frame: &'static str, detail: &'static str },
    #[error("no common protocol version; offered: {offered}")]
    UnsupportedVersion { offered: String },
    #[error("declared limits not acceptable: {detail}")]
    BadLimits { detail: &'static str },
    #[error("bad offer: {detail}")]
    BadOffer { detail: &'static str },
    #[error("bad Welcome: {detail}")]
    BadWelcome { detail: &'static str },
    #[error("request id 0")]
    IdZero,
    #[error("request {id} opened by the {by:?}")]
    IdParity { id: RequestId, by: Role },
    #[error("request {id} opened after {highest}")]
    IdOrder { id: RequestId, highest: RequestId },
    #[error("{frame} for request {id}, which is not open in this direction")]
    IdNotOpen { frame: &'static str, id: RequestId },
    #[error("body of {length} bytes where at most {limit} are accepted")]
    BodyTooLarge { length: u64, limit: u64 },
    #[error("{carried} bytes where {left} are left of the body of request {id}")]
    BodyOverrun { id: RequestId, carried: u64, left: u64 },
    #[error("a part of {carried} bytes of the body of request {id}, which it does not complete")]
    ChunkTooSmall { id: RequestId, carried: u64 },
    #[error("response of {length} bytes to request {id}, which allows {limit}")]
    ReplyTooLong { id: RequestId, length: u64, limit: u64 },
    #[error("compression {codec} was not agreed")]
    CompressionNotAgreed { codec: u8 },
    #[error("raw length {raw_len} with compression {codec}")]
    BadRawLength { codec: u8, raw_len: u32 },
    #[error("more than {limit} requests open")]
    TooManyRequests { limit: u32 },
    #[error("open requests cost more than {limit} bytes")]
    WorkBudget { limit: u64 },
    #[error("{acked} bytes acknowledged, {sent} sent")]
    AckAhead { acked: u64, sent: u64 },
    #[error("{acked} bytes acknowledged, which is less than 64 KiB more than before")]
    AckNoProgress { acked: u64 },
    #[error("pong without a ping")]
    UnexpectedPong,
    #[error("Cancel without the feature agreed")]
    CancelNotAgreed,
}

impl PeerError {
    /// The number that tells the peer: the only place where an error meets the wire.
    #[must_use]
    pub fn code(&self) -> CloseCode {
        match self {
            Self::Preface(_) => CloseCode::BAD_PREFACE,
            Self::FrameTooLarge { .. } => CloseCode::FRAME_TOO_LARGE,
            Self::FrameEmpty => CloseCode::FRAME_EMPTY,
            Self::Malformed { .. } => CloseCode::MALFORMED,
            Self::NotCanonical { .. } => CloseCode::NOT_CANONICAL,
            Self::UnknownKind { .. } => CloseCode::UNKNOWN_KIND,
            Self::TooManyUnknown { .. } => CloseCode::TOO_MANY_UNKNOWN,
            Self::UnexpectedFrame { .. } => CloseCode::UNEXPECTED_FRAME,
            Self::BadExtensions { .. } => CloseCode::BAD_EXTENSIONS,
            Self::UnsupportedVersion { .. } => CloseCode::UNSUPPORTED_VERSION,
            Self::BadLimits { .. } => CloseCode::BAD_LIMITS,
            Self::BadOffer { .. } => CloseCode::BAD_OFFER,
            Self::BadWelcome { .. } => CloseCode::BAD_WELCOME,
            Self::IdZero => CloseCode::ID_ZERO,
            Self::IdParity { .. } => CloseCode::ID_PARITY,
            Self::IdOrder { .. } => CloseCode::ID_ORDER,
            Self::IdNotOpen { .. } => CloseCode::ID_NOT_OPEN,
            Self::BodyTooLarge { .. } => CloseCode::BODY_TOO_LARGE,
            Self::BodyOverrun { .. } => CloseCode::BODY_OVERRUN,
            Self::ChunkTooSmall { .. } => CloseCode::CHUNK_TOO_SMALL,
            Self::ReplyTooLong { .. } => CloseCode::REPLY_TOO_LONG,
            Self::CompressionNotAgreed { .. } => CloseCode::COMPRESSION_NOT_AGREED,
            Self::BadRawLength { .. } => CloseCode::BAD_RAW_LENGTH,
            Self::TooManyRequests { .. } => CloseCode::TOO_MANY_REQUESTS,
            Self::WorkBudget { .. } => CloseCode::WORK_BUDGET,
            Self::AckAhead { .. } => CloseCode::ACK_AHEAD,
            Self::AckNoProgress { .. } => CloseCode::ACK_NO_PROGRESS,
            Self::UnexpectedPong => CloseCode::UNEXPECTED_PONG,
            Self::CancelNotAgreed => CloseCode::CANCEL_NOT_AGREED,
        }
    }
}

/// What the peer seems to speak, when its first bytes are not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message says it")]
pub enum ForeignProtocol {
    Tls,
    Http,
    Ssh,
    LockstepV2,
    OtherMajor,
    Unknown,
}

impl fmt::Display for ForeignProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "the peer speaks TLS: use tcp+tls: on both ends",
            Self::Http => "the peer speaks HTTP: this port is for Nova's remote RPC",
            Self::Ssh => "the peer speaks SSH: check the port",
            Self::LockstepV2 => "the peer seems to speak the old lockstep protocol v2: upgrade it to v3",
            Self::OtherMajor => "the peer speaks another major version of Nova's remote RPC",
            Self::Unknown => "the peer does not speak Nova's remote RPC v3",
        })
    }
}

/// Why a command was not carried out. The connection is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is closed.
    #[error("the connection is closed")]
    Closed,
    /// The handshake is not finished; send when it is.
    #[error("the connection is not ready yet")]
    NotReady,
    /// The command belongs to the other role, or to a state that has passed.
    #[error("the command does not fit the connection's state")]
    WrongState,
    /// One side drains: no new requests here. Safe to send elsewhere.
    #[error("the connection is draining: send the request on another one")]
    Draining,
    /// Everything the peer accepts at once is in use, and the call asked not to wait.
    #[error("the peer's limit of open requests is reached")]
    Busy,
    /// Too many calls wait locally; see [`Config::max_calls`](crate::Config::max_calls).
    #[error("more than {limit} calls are open or waiting")]
    TooManyCalls {
        /// The limit.
        limit: usize,
    },
    /// The peer can never accept this: split it.
    #[error("{what} of {size} bytes can never fit the limit of {limit}")]
    TooLarge {
        /// Which size: "body", "reply", "request cost", …
        what: &'static str,
        /// The size asked for.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The compression is not agreed with this peer.
    #[error("this compression is not agreed with the peer")]
    CompressionNotAgreed,
    /// A compressed body has a raw length above 0, another one has none: the peer would close.
    #[error("the body's raw length contradicts its compression")]
    RawLength,
    /// The request to answer is not open, or was answered before.
    #[error("no such request is waiting for an answer")]
    NoSuchRequest,
}

/// How one call ended without a response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The peer answered with an error.
    #[error("{0}")]
    Remote(ErrorReply),
    /// The deadline passed here; the peer was told to stop.
    #[error("the deadline passed")]
    Deadline {
        /// Whether the request was never sent, so that sending it again is safe.
        retry_safe: bool,
    },
    /// One side began to drain before the request was sent. Safe to send elsewhere.
    #[error("the connection is draining")]
    Draining,
    /// The connection ended first.
    #[error("the connection closed before the answer came")]
    Closed {
        /// Whether the peer cannot have seen the request, so that sending it again is safe.
        retry_safe: bool,
    },
}

/// How a connection ended. Reported exactly once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it.
    #[error("closed here: {0}")]
    Local(CloseCode),
    /// The peer closed it.
    #[error("closed by the peer: {code}{}{message}", if message.is_empty() { "" } else { ": " })]
    Peer {
        /// Its reason.
        code: CloseCode,
        /// The highest request id of ours that it has seen; 0 for none.
        last_id: u64,
        /// For people.
        message: String,
    },
    /// The router did not let this worker in.
    #[error("rejected by the router: {code}: {message}")]
    Rejected {
        /// Its reason.
        code: CloseCode,
        /// When to try again.
        retry_after: Duration,
        /// For people.
        message: String,
    },
    /// The peer broke the protocol.
    #[error("protocol error by the peer: {0}")]
    Violation(PeerError),
    /// The stream ended without a `Close`.
    #[error("the peer went away")]
    Eof,
    /// A timer ran out.
    #[error("timed out: {0}")]
    Timeout(CloseCode),
}

impl CloseReason {
    /// The number that stands for this reason on the wire; `None` if there was none to send or receive.
    #[must_use]
    pub fn code(&self) -> Option<CloseCode> {
        match self {
            Self::Local(code) | Self::Timeout(code) => Some(*code),
            Self::Peer { code, .. } | Self::Rejected { code, .. } => Some(*code),
            Self::Violation(error) => Some(error.code()),
            Self::Eof => None,
        }
    }
}

/// A configuration that breaks a floor or contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad configuration: {0}")]
pub struct ConfigError(pub(crate) &'static str);
