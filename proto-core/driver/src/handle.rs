//! Making calls.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use nova_proto_core::{Agreed, Body, Call, CallError, CallKey, CloseCode, CloseReason, SendError, Stats};

use crate::shared::{CallSlot, Shared, State};

/// How long a connection drains whose last handle was dropped.
const DRAIN_AT_DROP: Duration = Duration::from_secs(5);

/// One connection, to make calls on. Clones name the same connection; when the last one is dropped, the connection
/// drains and closes.
#[derive(Debug, Clone)]
pub struct Handle {
    owner: Arc<Owner>,
}

/// Drains the connection when the last handle goes.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.drain(DRAIN_AT_DROP);
    }
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { owner: Arc::new(Owner { shared }) }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.owner.shared
    }

    /// Makes a call. The request is queued at once; the returned future waits for the answer, and dropping it cancels
    /// the call.
    ///
    /// # Errors
    /// See [`SendError`]: the call was not made then.
    pub fn call(&self, call: Call) -> Result<PendingCall, SendError> {
        let now = self.shared().now();
        let key = self.shared().command(|state| {
            let key = state.connection.call(call, now)?;
            state.calls.insert(key, CallSlot::default());
            Ok(key)
        })?;
        Ok(PendingCall { shared: Arc::clone(self.shared()), key: Some(key) })
    }

    /// Waits for the handshake's end.
    ///
    /// # Errors
    /// Why the connection ended instead.
    pub async fn connected(&self) -> Result<(Agreed, Bytes), CloseReason> {
        self.shared()
            .until(|state| match &state.connected {
                Some(connected) => Some(Ok(connected.clone())),
                None => state.close_reason().map(Err),
            })
            .await
    }

    /// Waits for the connection's end.
    pub async fn closed(&self) -> CloseReason {
        self.shared().until(State::close_reason).await
    }

    /// Why the connection ended; `None` while it lives.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.shared().lock().close_reason()
    }

    /// The error with which the stream failed, if it did: why [`CloseReason::Eof`] came, for example the TLS alert of a
    /// router that refuses this worker's certificate.
    #[must_use]
    pub fn stream_error(&self) -> Option<Arc<io::Error>> {
        self.shared().lock().stream_error.clone()
    }

    /// Starts no new requests and closes when nothing is open, or after `within`.
    pub fn drain(&self, within: Duration) {
        self.shared().drain(within);
    }

    /// Closes now. Open calls fail.
    pub fn close(&self, code: CloseCode, message: &str) {
        self.shared().command(|state| state.connection.close(code, message));
    }

    /// The connection's counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared().lock().connection.stats()
    }
}

/// The answer to a call, to come. Dropping it cancels the call.
#[derive(Debug)]
#[must_use = "dropping it cancels the call"]
pub struct PendingCall {
    shared: Arc<Shared>,
    /// Until the outcome was taken.
    key: Option<CallKey>,
}

impl Future for PendingCall {
    type Output = Result<Body, CallError>;

    /// # Panics
    /// If polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let key = self.key.expect("a call is not polled after its outcome was taken");
        let mut state = self.shared.lock();
        let slot = state.calls.get_mut(key).expect("a call has its place until its outcome was taken");
        let Some(result) = slot.result.take() else {
            match &mut slot.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        };
        // Its waker goes once no lock is held: a waker is code of somebody else.
        let _slot = state.calls.remove(key);
        drop(state);
        self.key = None;
        Poll::Ready(result)
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let _slot = self.shared.command(|state| {
                state.connection.cancel(key);
                state.calls.remove(key)
            });
        }
    }
}
