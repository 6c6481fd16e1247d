//! Remote RPC v3 as a sans-IO state machine, and the typed messages of Nova's distributed mode on top of it.
//!
//! ```text
//!            bytes ─► receive ─┐               ┌─► poll_event ─► application
//!   transport                  │  Connection   │                     │
//!            bytes ◄─ poll_transmit ◄──────────┴──── commands ◄──────┘
//!            time  ─► handle_timeout / poll_timeout
//! ```
//!
//! [`Connection`] is the whole protocol for one end of one connection. It does no I/O and knows no clock, thread,
//! task or source of randomness: a *driver* of twenty lines brings bytes and time, for any runtime. The byte-level
//! specification is `docs/PROTOCOL.md` in the repository.
//!
//! The application's messages, in [`messages`], know the protocol only as methods and bodies.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod assembly;
pub mod bounded;
mod calls;
#[cfg(feature = "zstd")]
pub mod compress;
mod config;
mod connection;
mod deadlines;
mod error;
mod event;
pub mod frame;
mod id;
mod input;
pub mod messages;
mod negotiate;
mod pacing;
#[doc(hidden)]
pub mod rising;
mod served;
mod spares;

pub use config::{
    ACK_EVERY, Compression, Config, Limits, MAX_UNKNOWN_IN_A_ROW, MIN_CHUNK, MIN_MAX_FRAME, SMALL_BODY,
    Timers,
};
pub use connection::{Connection, Stats};
pub use error::{
    CallError, CloseCode, CloseReason, ConfigError, ErrorCode, ErrorReply, ForeignProtocol, PeerError, Retry,
    SendError,
};
pub use event::{Body, Call, CallKey, Event, Request, TraceContext};
pub use id::{RequestId, Role};
pub use negotiate::Agreed;
