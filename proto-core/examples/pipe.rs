//! Two connections in one thread, joined by a pipe in memory, in a time that only passes when nothing else can happen:
//! how to test what is built on a connection, without sockets and without waiting.
//!
//! ```text
//! cargo run -p nova-proto-core --example pipe
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "whoever drives the core makes its time and prints"
)]

use std::error::Error;
use std::time::{Duration, Instant};

use nova_proto_core::{Body, Call, CallError, CloseCode, Config, ConfigError, Connection, Event, Role};

/// A router, a worker and what is on its way between them.
pub(crate) struct Pipe {
    pub(crate) router: Connection,
    pub(crate) worker: Connection,
    pub(crate) now: Instant,
}

/// Whose event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Router,
    Worker,
}

impl Pipe {
    pub(crate) fn new(now: Instant) -> Result<Self, ConfigError> {
        let router = Connection::new(Config::new(Role::Router), now)?;
        Ok(Self { router, worker: Connection::new(Config::new(Role::Worker), now)?, now })
    }

    /// Moves bytes and time until something happens. `None` when nothing will any more.
    pub(crate) fn next(&mut self) -> Option<(Side, Event)> {
        loop {
            // Events first: they may be commands to give before anything is sent.
            if let Some(event) = self.router.poll_event() {
                return Some((Side::Router, event));
            }
            if let Some(event) = self.worker.poll_event() {
                return Some((Side::Worker, event));
            }
            let moved = carry(&mut self.router, &mut self.worker, self.now)
                | carry(&mut self.worker, &mut self.router, self.now);
            if !moved {
                let timeouts = [self.router.poll_timeout(), self.worker.poll_timeout()];
                self.now = timeouts.into_iter().flatten().min()?.max(self.now);
                self.router.handle_timeout(self.now);
                self.worker.handle_timeout(self.now);
            }
        }
    }
}

/// Takes what one side sends to the other; the end of the stream follows the last frame.
fn carry(from: &mut Connection, to: &mut Connection, now: Instant) -> bool {
    let mut bytes = Vec::new();
    let ended = from.is_closed();
    if from.poll_transmit(&mut bytes, 64 * 1024) > 0 {
        from.wrote(now);
        to.receive(&bytes, now);
    } else if ended && !to.is_closed() {
        to.receive_eof();
    } else {
        return false;
    }
    true
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let mut pipe = Pipe::new(start)?;
    while let Some((side, event)) = pipe.next() {
        println!("{:>8.1?} {side:?}: {event:?}", pipe.now - start);
        match event {
            Event::Hello { .. } => pipe.router.accept("welcome".into())?,
            Event::Connected { .. } if side == Side::Router => {
                pipe.router.call(Call::new(1, "ping"), pipe.now)?;
                let never = Call { timeout: Some(Duration::from_secs(30)), ..Call::new(2, "") };
                pipe.router.call(never, pipe.now)?;
            }
            // The worker echoes, but never answers method 2 before it is told that nobody waits any more.
            Event::Request(request) if request.method == 1 => {
                pipe.worker.respond(request.id, request.body)?;
            }
            Event::Cancelled { id } => pipe.worker.respond(id, "")?,
            Event::Answer { result: Ok(body), .. } => assert_eq!(body, Body::from("ping")),
            Event::Answer { result: Err(error), .. } => {
                assert_eq!(
                    (error, pipe.now - start),
                    (CallError::Deadline { retry_safe: false }, Duration::from_secs(30))
                );
                pipe.router.close(CloseCode::NORMAL, "done");
            }
            _ => {}
        }
    }
    assert!(pipe.router.is_closed() && pipe.worker.is_closed());
    Ok(())
}
