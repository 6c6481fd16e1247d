//! Answering requests.

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::{Body, CloseCode, ErrorCode, ErrorReply, Request, RequestId, TraceContext};

use crate::shared::Shared;

/// What a connection's owner does with what the peer asks. Its methods run inside the [`Driver`](crate::Driver): they
/// must not block; work that takes long goes to threads of its own.
pub trait Application {
    /// The handling of one request. The driver polls it once where it stands, so a request that is answered at once
    /// costs no task; at most as many are alive as requests may be open.
    type Handler: Future<Output = ()>;

    /// Router: whether this worker is let in, by the application part of its `Hello`. Called once.
    fn admit(&mut self, hello: Bytes) -> Admission {
        let _ = hello;
        Admission::Reject {
            code: CloseCode::CLAIM_REFUSED,
            retry_after: Duration::ZERO,
            message: "nobody is let in here".to_owned(),
        }
    }

    /// Handles a request. Dropping it unanswered, by a panic for example, answers with an internal error.
    fn request(&mut self, request: Incoming) -> Self::Handler;
}

/// The router's decision about a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Let in, with the application part of the `Welcome`; at most 512 bytes.
    Accept(Bytes),
    /// Not let in.
    Reject {
        /// Why.
        code: CloseCode,
        /// When to try again.
        retry_after: Duration,
        /// For people; at most 512 bytes.
        message: String,
    },
}

/// A request of the peer, and the duty to answer it exactly once.
pub struct Incoming {
    /// What is asked for.
    pub method: u16,
    /// The body, complete.
    pub body: Body,
    /// Longest answer the peer takes, in bytes.
    pub reply_max: u32,
    /// When the answer is not wanted any more.
    pub deadline: Option<Instant>,
    /// The trace it is part of.
    pub trace: Option<TraceContext>,
    id: RequestId,
    cancelled: CancelSignal,
    /// Until it is answered.
    shared: Option<Arc<Shared>>,
}

impl Incoming {
    pub(crate) fn new(request: Request, cancelled: CancelSignal, shared: Arc<Shared>) -> Self {
        let Request { id, method, body, reply_max, deadline, trace } = request;
        Self { method, body, reply_max, deadline, trace, id, cancelled, shared: Some(shared) }
    }

    /// The request's number on its connection, for logs.
    #[must_use]
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// Tells when the answer is not wanted any more.
    #[must_use]
    pub fn cancel_signal(&self) -> CancelSignal {
        self.cancelled.clone()
    }

    /// Answers.
    pub fn respond(mut self, body: impl Into<Body>) {
        self.answer(Ok(body.into()));
    }

    /// Answers with an error.
    pub fn fail(mut self, error: ErrorReply) {
        self.answer(Err(error));
    }

    fn answer(&mut self, result: Result<Body, ErrorReply>) {
        if let Some(shared) = self.shared.take() {
            shared.respond(self.id, result);
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.answer(Err(ErrorReply::new(ErrorCode::INTERNAL, "the handler gave no answer")));
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("id", &self.id)
            .field("method", &self.method)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// Tells a handler that its answer is not wanted any more: the requester cancelled, its deadline passed, or the
/// connection ended. Cheap to clone and to ask, from any thread.
#[derive(Debug, Clone, Default)]
pub struct CancelSignal {
    inner: Arc<Signal>,
}

#[derive(Debug, Default)]
struct Signal {
    raised: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl CancelSignal {
    /// Whether it is time to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.raised.load(Ordering::Acquire)
    }

    /// Waits until it is time to stop.
    pub async fn cancelled(&self) {
        poll_fn(|cx| {
            let mut waiting = self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            // Asked under the lock, so that a signal raised in between finds the waker.
            if self.is_cancelled() {
                return Poll::Ready(());
            }
            waiting.retain(|waker| !waker.will_wake(cx.waker()));
            waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub(crate) fn raise(&self) {
        self.inner.raised.store(true, Ordering::Release);
        let waiting = std::mem::take(&mut *self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }
}
