//! Messages to bodies and back.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorCode, ErrorReply};
use crate::event::{Body, Call};
use crate::frame::canonical;

/// A request type: its number and what answers it.
///
/// The high byte is the family: 1 hydration, 2 updates, 3 queries, 4 management, 6 clients.
pub trait Method: Serialize {
    /// The method number on the wire.
    const NUMBER: u16;
    /// Longest answer, in bytes: what a call reserves in the peer's work budget.
    const REPLY_MAX: u32;
    /// The answer's type.
    type Reply<'a>: Serialize + Deserialize<'a>;
}

/// A body that is not the message it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed {what}: {detail}")]
pub struct DecodeError {
    what: &'static str,
    detail: &'static str,
}

impl From<DecodeError> for ErrorReply {
    fn from(error: DecodeError) -> Self {
        Self::new(ErrorCode::INVALID, error.to_string())
    }
}

/// The body of a message.
///
/// # Panics
/// Never for the types of this module: they hold nothing that postcard cannot write.
#[must_use]
pub fn encode<T: Serialize>(message: &T) -> Bytes {
    let encoded = postcard::to_extend(message, Vec::new());
    debug_assert!(encoded.is_ok(), "messages hold only what postcard can write");
    encoded.unwrap_or_default().into()
}

/// Reads a message that fills `bytes`.
///
/// # Errors
/// If the bytes are not the canonical form of a `T` within its bounds.
pub fn decode<'a, T: Serialize + Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    let what = std::any::type_name::<T>().rsplit("::").next().unwrap_or("message");
    let error = |detail| DecodeError { what, detail };
    let (message, rest) = postcard::take_from_bytes::<T>(bytes)
        .map_err(|_| error("a value is cut off, out of range or over its bound"))?;
    if !rest.is_empty() {
        return Err(error("bytes behind the last value"));
    }
    if !canonical(&message, bytes) {
        return Err(error("not in canonical form"));
    }
    Ok(message)
}

/// The call that makes a request.
#[must_use]
pub fn call<M: Method>(request: &M) -> Call {
    let mut call = Call::new(M::NUMBER, encode(request));
    call.reply_max = M::REPLY_MAX;
    call
}

/// The answer to a request of type `M`.
///
/// # Errors
/// If the body is not that answer.
pub fn reply<M: Method>(body: &Body) -> Result<M::Reply<'_>, DecodeError> {
    decode(&body.bytes)
}
