//! What handle, driver and responders share.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::rising::Rising;
use nova_proto_core::{
    Agreed, Body, CallError, CallKey, CloseReason, Connection, ErrorCode, ErrorReply, RequestId,
};

use crate::incoming::CancelSignal;
use crate::waiters::Waiters;

pub(crate) type Clock = dyn Fn() -> Instant + Send + Sync;

pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) clock: Box<Clock>,
}

pub(crate) struct State {
    pub(crate) connection: Connection,
    /// Calls whose outcome somebody waits for.
    pub(crate) calls: Rising<CallKey, CallSlot>,
    /// Those that somebody has asked for, of requests that are not answered yet.
    signals: BTreeMap<RequestId, CancelSignal>,
    /// Set with the handshake's end.
    pub(crate) connected: Option<(Agreed, Bytes)>,
    /// What the stream itself said when it failed.
    pub(crate) stream_error: Option<Arc<io::Error>>,
    /// Woken when the handshake or the connection ends.
    pub(crate) watchers: Waiters,
    /// The driver, while it sleeps.
    driver: Option<Waker>,
    /// A command came since the driver last looked.
    touched: bool,
}

#[derive(Default)]
pub(crate) struct CallSlot {
    pub(crate) waker: Option<Waker>,
    pub(crate) result: Option<Result<Body, CallError>>,
}

impl Shared {
    pub(crate) fn new(connection: Connection, clock: Box<Clock>) -> Arc<Self> {
        let state = State {
            connection,
            calls: Rising::default(),
            signals: BTreeMap::new(),
            connected: None,
            stream_error: None,
            watchers: Waiters::default(),
            driver: None,
            touched: false,
        };
        Arc::new(Self { state: Mutex::new(state), clock })
    }

    pub(crate) fn now(&self) -> Instant {
        (self.clock)()
    }

    /// The state is consistent after every method of the connection, so a panic elsewhere does not spoil it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a command and lets the driver see its effect.
    pub(crate) fn command<T>(&self, command: impl FnOnce(&mut State) -> T) -> T {
        let (result, driver) = {
            let mut state = self.lock();
            let result = command(&mut state);
            state.touched = true;
            (result, state.driver.take())
        };
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }

    /// Answers a request; one that is gone, because the connection is, needs no answer.
    pub(crate) fn respond(&self, id: RequestId, result: Result<Body, ErrorReply>) {
        self.command(|state| {
            state.signals.remove(&id);
            let sent = match result {
                Ok(body) => state.connection.respond(id, body),
                Err(error) => state.connection.respond_error(id, error),
            };
            if let Err(error) = sent {
                tracing::debug!(%id, %error, "the answer could not be sent");
                // Only an answer that could not be sent as it is still owes one.
                let error = ErrorReply::new(ErrorCode::INTERNAL, error.to_string());
                let _ = state.connection.respond_error(id, error);
            }
        });
    }

    /// Waits until the state has what `find` looks for; it is asked at every change of handshake and connection.
    pub(crate) async fn until<T>(&self, mut find: impl FnMut(&State) -> Option<T>) -> T {
        let mut watcher = Watcher { shared: self, place: None };
        poll_fn(|cx| {
            let mut state = self.lock();
            if let Some(found) = find(&state) {
                return Poll::Ready(found);
            }
            state.watchers.wait(&mut watcher.place, cx.waker());
            Poll::Pending
        })
        .await
    }

    pub(crate) fn drain(&self, within: Duration) {
        let now = self.now();
        self.command(|state| {
            if state.connection.drain(within, now).is_err() && !state.connection.is_closed() {
                // Nothing was agreed yet, so nothing is open.
                state.connection.close(nova_proto_core::CloseCode::NORMAL, "");
            }
        });
    }
}

/// One who waits for a change of the state.
struct Watcher<'a> {
    shared: &'a Shared,
    place: Option<u64>,
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        let left = self.shared.lock().watchers.leave(self.place);
        // Not under the lock: a waker is code of somebody else.
        drop(left);
    }
}

impl State {
    /// The signal of a request that is not answered yet.
    pub(crate) fn signal(&mut self, id: RequestId) -> CancelSignal {
        if !self.connection.wants_answer(id) {
            return CancelSignal::raised();
        }
        self.signals.entry(id).or_default().clone()
    }

    /// The answer to a request is not wanted any more. Adds who is to be woken.
    pub(crate) fn raise(&self, id: RequestId, woken: &mut Vec<Waker>) {
        if let Some(signal) = self.signals.get(&id) {
            woken.extend(signal.raise());
        }
    }

    /// Nor is any other, at the connection's end.
    pub(crate) fn raise_all(&mut self, woken: &mut Vec<Waker>) {
        for signal in std::mem::take(&mut self.signals).into_values() {
            woken.extend(signal.raise());
        }
    }

    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.connection.close_reason().cloned()
    }

    /// The driver looks at everything now.
    pub(crate) fn driver_awake(&mut self) {
        self.touched = false;
        self.driver = None;
    }

    /// The driver would sleep; `false` if a command came in the meantime.
    pub(crate) fn driver_sleeps(&mut self, waker: &Waker) -> bool {
        if self.touched {
            return false;
        }
        self.driver = Some(waker.clone());
        true
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
