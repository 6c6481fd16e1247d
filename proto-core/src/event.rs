//! What a connection tells its application. Both roles see the same events.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::config::Compression;
use crate::error::{CallError, CloseReason};
use crate::id::RequestId;
use crate::negotiate::Agreed;
use crate::rising::Count;

/// Something the application should know. Pulled with [`Connection::poll_event`](crate::Connection::poll_event).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Router only: a worker asks to be let in, and everything protocol-level is agreed. Answer with
    /// [`accept`](crate::Connection::accept) or [`reject`](crate::Connection::reject) before the handshake's
    /// deadline.
    Hello {
        /// The application part of its `Hello`; at most 4 KiB. May hold a secret.
        app: Bytes,
    },
    /// The handshake is done: requests may go both ways.
    Connected {
        /// What both sides will keep to.
        agreed: Agreed,
        /// Worker only: the application part of the `Welcome`.
        app: Bytes,
    },
    /// The peer asks for something. Owes exactly one answer:
    /// [`respond`](crate::Connection::respond) or [`respond_error`](crate::Connection::respond_error).
    Request(Request),
    /// The answer to this request is not wanted any more. It is still owed: what it frees is freed when the
    /// handler has ended. Whoever answered between what happened and pulling this event has nothing left to do.
    Cancelled {
        /// The request.
        id: RequestId,
    },
    /// A call ended.
    Answer {
        /// Which call.
        key: CallKey,
        /// How.
        result: Result<Body, CallError>,
    },
    /// The peer begins to drain: no new requests on this connection.
    Draining {
        /// When it will close at the latest.
        within: Duration,
    },
    /// The connection ended. The last event, exactly once, whoever closed it. All calls have been answered with
    /// [`CallError::Closed`] before it; requests not answered yet need no answer any more.
    Closed(CloseReason),
}

impl fmt::Debug for Event {
    /// Application parts of the handshake may hold secrets: only their lengths are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello { app } => write!(f, "Hello({} bytes)", app.len()),
            Self::Connected { agreed, app } => write!(f, "Connected({agreed:?}, {} bytes)", app.len()),
            Self::Request(request) => request.fmt(f),
            Self::Cancelled { id } => write!(f, "Cancelled({id})"),
            Self::Answer { key, result } => write!(f, "Answer({key:?}, {result:?})"),
            Self::Draining { within } => write!(f, "Draining({within:?})"),
            Self::Closed(reason) => write!(f, "Closed({reason:?})"),
        }
    }
}

/// A request of the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Names it in the answer.
    pub id: RequestId,
    /// What is asked for.
    pub method: u16,
    /// The body, complete.
    pub body: Body,
    /// Longest answer the peer takes, in bytes; a longer one becomes
    /// [`ErrorCode::REPLY_TOO_LARGE`](crate::ErrorCode::REPLY_TOO_LARGE).
    pub reply_max: u32,
    /// When the answer is not wanted any more.
    pub deadline: Option<Instant>,
    /// The trace this request is part of.
    pub trace: Option<TraceContext>,
}

/// A body, as it is on the wire: perhaps compressed.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// The bytes as sent.
    pub bytes: Bytes,
    /// How they are compressed.
    pub compression: Compression,
    /// Length before compression; 0 if they are not compressed.
    pub raw_len: u32,
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self { bytes: bytes.into(), compression: Compression::None, raw_len: 0 }
    }
}

impl fmt::Debug for Body {
    /// Length only: bodies are source code and secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes, {:?})", self.bytes.len(), self.compression)
    }
}

/// Names one call of ours until it ended: the request's id exists only once its first frame is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey(pub(crate) u64);

impl Count for CallKey {
    fn steps_from(self, first: Self) -> u64 {
        self.0.saturating_sub(first.0)
    }
}

/// Where a request stands in a distributed trace; the fields of W3C Trace Context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The whole trace.
    pub trace_id: [u8; 16],
    /// The span that made the request.
    pub span_id: [u8; 8],
    /// Bit 0: sampled.
    pub flags: u8,
}

/// As the header `traceparent` of W3C Trace Context, version 00.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |f: &mut fmt::Formatter<'_>, bytes: &[u8]| {
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        };
        f.write_str("00-")?;
        hex(f, &self.trace_id)?;
        f.write_str("-")?;
        hex(f, &self.span_id)?;
        write!(f, "-{:02x}", self.flags)
    }
}

impl TraceContext {
    pub(crate) fn to_bytes(self) -> Bytes {
        let mut bytes = Vec::with_capacity(25);
        bytes.extend_from_slice(&self.trace_id);
        bytes.extend_from_slice(&self.span_id);
        bytes.push(self.flags);
        bytes.into()
    }

    /// `None` for anything malformed, which the protocol ignores.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (trace_id, rest) = bytes.split_first_chunk::<16>()?;
        let (span_id, rest) = rest.split_first_chunk::<8>()?;
        let [flags] = rest else { return None };
        Some(Self { trace_id: *trace_id, span_id: *span_id, flags: *flags })
    }
}

/// One call to make.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is asked for.
    pub method: u16,
    /// The request's body.
    pub body: Body,
    /// Longest answer to take, in bytes as sent and before compression. Reserved in the peer's work budget from
    /// the first frame on, so ask for what is needed.
    pub reply_max: u32,
    /// Time for the answer; it is ended on both sides when it passes. `None` only for what may truly take for ever: a
    /// peer that is alive need not answer.
    pub timeout: Option<Duration>,
    /// The trace this call is part of.
    pub trace: Option<TraceContext>,
    /// Whether to wait for a slot and budget. Calls made from within a handler must not, or two peers can wait
    /// for each other.
    pub may_wait: bool,
}

impl Call {
    /// A call that takes a small answer, waits for its turn and is given up after a minute.
    #[must_use]
    pub fn new(method: u16, body: impl Into<Body>) -> Self {
        Self {
            method,
            body: body.into(),
            reply_max: crate::SMALL_BODY,
            timeout: Some(Duration::from_secs(60)),
            trace: None,
            may_wait: true,
        }
    }
}
