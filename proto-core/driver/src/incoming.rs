//! Answering requests.

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::{Body, CloseCode, ErrorCode, ErrorReply, Request, RequestId, TraceContext};

use crate::shared::Shared;
use crate::waiters::Waiters;

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
    /// Until it is answered.
    shared: Option<Arc<Shared>>,
}

impl Incoming {
    pub(crate) fn new(request: Request, shared: Arc<Shared>) -> Self {
        let Request { id, method, body, reply_max, deadline, trace } = request;
        Self { method, body, reply_max, deadline, trace, id, shared: Some(shared) }
    }

    /// The request's number on its connection, for logs.
    #[must_use]
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// Tells when the answer is not wanted any more.
    #[must_use]
    pub fn cancel_signal(&self) -> CancelSignal {
        // It is there until it is answered, which takes it.
        self.shared.as_ref().map_or_else(CancelSignal::raised, |shared| shared.lock().signal(self.id))
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
    waiting: Mutex<Waiters>,
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CancelSignal {
    /// Whether it is time to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.raised.load(Ordering::Acquire)
    }

    /// Waits until it is time to stop.
    pub async fn cancelled(&self) {
        let mut waiting = Waiting { signal: &self.inner, place: None };
        poll_fn(|cx| {
            let mut waiters = self.inner.lock();
            // Asked under the lock. Who raises the signal sets the flag first and locks then: either the flag is seen
            // here, or the waker is found there.
            if self.is_cancelled() {
                return Poll::Ready(());
            }
            waiters.wait(&mut waiting.place, cx.waker());
            Poll::Pending
        })
        .await;
    }

    /// One of what is over already.
    pub(crate) fn raised() -> Self {
        let signal = Self::default();
        signal.inner.raised.store(true, Ordering::Release);
        signal
    }

    /// Returns who is to be woken, which the caller does once it holds no lock.
    pub(crate) fn raise(&self) -> impl Iterator<Item = Waker> + use<> {
        self.inner.raised.store(true, Ordering::Release);
        self.inner.lock().take()
    }
}

/// One who waits for a signal.
struct Waiting<'a> {
    signal: &'a Signal,
    place: Option<u64>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let left = self.signal.lock().leave(self.place);
        // Not under the lock: a waker is code of somebody else.
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    /// Every interleaving of one who begins to wait and one who raises is one of a few orders; threads that start together
    /// meet them all within some thousand rounds. A lost wake-up would hang the thread that waits.
    #[test]
    fn a_signal_that_is_raised_while_somebody_begins_to_wait_is_never_missed() {
        struct Unpark(std::thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        for _ in 0..2_000 {
            let signal = CancelSignal::default();
            let start = std::sync::Barrier::new(2);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
                    start.wait();
                    let mut waiting = pin!(signal.cancelled());
                    while waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                        std::thread::park();
                    }
                });
                start.wait();
                signal.raise().for_each(Waker::wake);
            });
            assert!(signal.is_cancelled());
        }
    }

    #[test]
    fn who_gives_up_leaves_nothing_behind() {
        let signal = CancelSignal::default();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..10 {
            let mut waiting = Box::pin(signal.cancelled());
            assert!(waiting.as_mut().poll(&mut cx).is_pending());
            assert!(waiting.as_mut().poll(&mut cx).is_pending());
            assert_eq!(signal.inner.lock().len(), 1);
        }
        assert_eq!(signal.inner.lock().len(), 0);
        assert_eq!(signal.raise().count(), 0);
    }
}
