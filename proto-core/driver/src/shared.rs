//! What handle, driver and responders share.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::{
    Agreed, Body, CallError, CallKey, CloseReason, Connection, ErrorCode, ErrorReply, RequestId,
};

use crate::incoming::CancelSignal;

pub(crate) type Clock = dyn Fn() -> Instant + Send + Sync;

pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) clock: Box<Clock>,
}

pub(crate) struct State {
    pub(crate) connection: Connection,
    /// Calls whose outcome somebody waits for.
    pub(crate) calls: HashMap<CallKey, CallSlot>,
    /// Requests that are not answered yet.
    pub(crate) serving: BTreeMap<RequestId, CancelSignal>,
    /// Set with the handshake's end.
    pub(crate) connected: Option<(Agreed, Bytes)>,
    /// What the stream itself said when it failed.
    pub(crate) stream_error: Option<Arc<io::Error>>,
    /// Woken when the handshake or the connection ends.
    pub(crate) watchers: Vec<Waker>,
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
            calls: HashMap::new(),
            serving: BTreeMap::new(),
            connected: None,
            stream_error: None,
            watchers: Vec::new(),
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
            state.serving.remove(&id);
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

impl State {
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.connection.close_reason().cloned()
    }

    /// Wakes `waker` when the handshake or the connection ends.
    pub(crate) fn watch(&mut self, waker: &Waker) {
        if !self.watchers.iter().any(|watcher| watcher.will_wake(waker)) {
            self.watchers.push(waker.clone());
        }
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
