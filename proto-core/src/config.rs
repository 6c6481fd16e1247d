//! What one side accepts and how long it waits: plain finite numbers, each with its reason.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::frame::{MAX_HEADER, MAX_HELLO_APP, MAX_OFFERS};
use crate::id::Role;
use crate::negotiate::repeats;

/// Bodies and replies of at most this many bytes are small: they cost only a slot and never wait for budget.
pub const SMALL_BODY: u32 = 16 * 1024;

/// A frame that does not complete its body carries at least this much of it.
pub const MIN_CHUNK: u32 = 4 * 1024;

/// The receiver acknowledges body bytes each time this many have come.
pub const ACK_EVERY: u64 = 64 * 1024;

/// The floor of [`Limits::max_frame`].
pub const MIN_MAX_FRAME: u32 = 16 * 1024;

/// How many frames of unknown ignorable kinds may follow each other.
pub const MAX_UNKNOWN_IN_A_ROW: u32 = 100;

/// What one side accepts from the other. Declared in the handshake; nothing is minimised.
///
/// Worst-case memory of a connection for what the peer sends:
/// `work_budget + max_concurrent × 33 KiB` for its requests and our answers to them, the same budget again plus 17 KiB
/// for each of our open calls for its answers to them, and 64 KiB and one read of the driver for what is not understood
/// yet. While a body grows, half of it again for a moment. Buffers of bodies of 1 MiB and more are used again: at most
/// `2 × max_body` of them are kept when their bodies were dropped, for ten seconds after the last, and each may be an
/// eighth larger than the body in it, which makes a quarter of `work_budget`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest frame in bytes, without its length field. Default 256 KiB: large enough that headers cost
    /// nothing, small enough that a ping behind one waits less than a millisecond on a local link.
    /// Floor [`MIN_MAX_FRAME`]. Costs no memory: bodies go straight into their assembly.
    pub max_frame: u32,
    /// Longest body in bytes, of a request and (as sent) of a reply. Default 16 MiB. At least `max_frame`.
    pub max_body: u32,
    /// What open requests of the peer may cost together, in bytes: their bodies, raw lengths and promised
    /// replies. Default 64 MiB. At least twice `max_body`. Memory: this much at worst, once it has arrived.
    pub work_budget: u64,
    /// How many requests of the peer may be open at once. Default 256, at least 1. Memory: 33 KiB each.
    pub max_concurrent: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: 256 * 1024,
            max_body: 16 * 1024 * 1024,
            work_budget: 64 * 1024 * 1024,
            max_concurrent: 256,
        }
    }
}

impl Limits {
    /// The first rule these limits break, if any; checked for our own and for the peer's.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if self.max_frame < MIN_MAX_FRAME {
            Some("max_frame is below 16 KiB")
        } else if self.max_body < self.max_frame {
            Some("max_body is below max_frame")
        } else if self.work_budget < u64::from(self.max_body).saturating_mul(2) {
            Some("work_budget is below twice max_body")
        } else if self.max_concurrent == 0 {
            Some("max_concurrent is 0")
        } else {
            None
        }
    }
}

/// How long this side waits. Local: nothing of it is negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// From the connection's creation to its handshake's end. Default: router 5 s, so that silent peers do not
    /// pile up; worker 10 s, so that a busy router's refusal still arrives.
    pub handshake: Duration,
    /// Silence of the peer after which it is pinged. Default 10 s.
    pub keepalive: Duration,
    /// Silence after the ping was due that ends the connection. Default 10 s, so a dead peer is noticed in 20.
    pub keepalive_grace: Duration,
    /// How long bytes may wait for the peer without any progress. Default 10 s.
    pub stall: Duration,
}

impl Timers {
    fn for_role(role: Role) -> Self {
        Self {
            handshake: match role {
                Role::Router => Duration::from_secs(5),
                Role::Worker => Duration::from_secs(10),
            },
            keepalive: Duration::from_secs(10),
            keepalive_grace: Duration::from_secs(10),
            stall: Duration::from_secs(10),
        }
    }
}

/// How bodies may be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all. Always allowed.
    None,
    /// Exactly one zstd frame without a dictionary.
    Zstd,
}

impl Compression {
    /// The byte on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Zstd => 1,
        }
    }
}

/// Everything a [`Connection`](crate::Connection) is made from.
#[derive(Clone)]
pub struct Config {
    /// Which end this is.
    pub role: Role,
    /// What this side accepts.
    pub limits: Limits,
    /// How long this side waits.
    pub timers: Timers,
    /// Offered versions, one highest minor for each major. Default: 3.0 only.
    pub versions: Vec<(u16, u16)>,
    /// Whether cancellation is offered. Default true. Without it an abandoned call's answer is still received
    /// and thrown away.
    pub cancellation: bool,
    /// Whether zstd bodies are offered. Default false: the core carries them, the application must know them.
    pub zstd: bool,
    /// The application part of the worker's `Hello`; at most 4 KiB. Unused by a router.
    pub hello: Bytes,
    /// How many calls may be open or waiting here. Default 4,096. Memory: their bodies and 200 bytes each.
    pub max_calls: usize,
    /// Where request ids start. Default 0: at the role's first one. Others are for tests of exhaustion.
    pub first_id: u64,
    /// Whether the handshake carries an ignorable frame and an extension that nobody knows, so that peers keep
    /// skipping them. Default true.
    pub grease: bool,
}

impl fmt::Debug for Config {
    /// The application part of `Hello` may hold a secret: only its length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("role", &self.role)
            .field("limits", &self.limits)
            .field("timers", &self.timers)
            .field("versions", &self.versions)
            .field("cancellation", &self.cancellation)
            .field("zstd", &self.zstd)
            .field("hello", &format_args!("{} bytes", self.hello.len()))
            .field("max_calls", &self.max_calls)
            .field("first_id", &self.first_id)
            .field("grease", &self.grease)
            .finish()
    }
}

impl Config {
    /// The defaults of a role.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Self {
            role,
            limits: Limits::default(),
            timers: Timers::for_role(role),
            versions: vec![(3, 0)],
            cancellation: true,
            zstd: false,
            hello: Bytes::new(),
            max_calls: 4096,
            first_id: 0,
            grease: true,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let fault = if self.hello.len() > MAX_HELLO_APP {
            Some("the application part of Hello is over 4 KiB")
        } else if self.versions.is_empty() || self.versions.len() > MAX_OFFERS {
            Some("between one and eight versions are offered")
        } else if repeats(self.versions.iter().map(|(major, _)| *major)) {
            Some("a major version is offered once, with its highest minor")
        } else if self.max_calls == 0 {
            Some("max_calls is 0")
        } else {
            self.limits.fault()
        };
        fault.map_or(Ok(()), |fault| Err(ConfigError(fault)))
    }
}

const _: () = assert!(MIN_MAX_FRAME >= MAX_HEADER + MIN_CHUNK);
