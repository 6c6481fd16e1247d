//! What both ends of every connection answer, whatever runs them.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use nova_driver::{Admission, Application, Incoming};
use nova_proto_core::{Call, ErrorCode, ErrorReply};

/// Answered with its body.
pub(crate) const ECHO: u16 = 1;
/// Answered with the hash of its body.
pub(crate) const HASH: u16 = 2;
/// Fails.
pub(crate) const FAIL: u16 = 3;
/// Answered with its body when the test releases it.
pub(crate) const HOLD: u16 = 4;
/// Only ends when it is told to stop.
pub(crate) const NEVER: u16 = 5;

pub(crate) type Reply = Box<dyn FnOnce(Result<Bytes, ErrorReply>) + Send>;

/// The requests of one connection's end; clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Service {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    seen: Mutex<Vec<blake3::Hash>>,
    held: Mutex<Vec<(Bytes, Reply)>>,
    stopped: AtomicUsize,
    running: AtomicUsize,
}

impl Service {
    /// Answers every method but [`NEVER`], now or when it is released.
    pub(crate) fn answer(&self, method: u16, body: Bytes, reply: Reply) {
        self.note(&body);
        match method {
            ECHO => reply(Ok(body)),
            HASH => reply(Ok(Bytes::copy_from_slice(blake3::hash(&body).as_bytes()))),
            HOLD => self.inner.held.lock().expect("no panic").push((body, reply)),
            _ => reply(Err(ErrorReply::new(ErrorCode::INVALID, "as you wish"))),
        }
    }

    /// Notes a request that came.
    pub(crate) fn note(&self, body: &[u8]) {
        self.inner.seen.lock().expect("no panic").push(blake3::hash(body));
    }

    /// Notes a handler that was told to stop.
    pub(crate) fn note_stopped(&self) {
        self.inner.stopped.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn stopped(&self) -> usize {
        self.inner.stopped.load(Ordering::SeqCst)
    }

    /// Answers what is held, the latest first.
    pub(crate) fn release(&self) {
        let held = std::mem::take(&mut *self.inner.held.lock().expect("no panic"));
        held.into_iter().rev().for_each(|(body, reply)| reply(Ok(body)));
    }

    pub(crate) fn held(&self) -> usize {
        self.inner.held.lock().expect("no panic").len()
    }

    /// Handlers that have begun and not ended.
    pub(crate) fn running(&self) -> usize {
        self.inner.running.load(Ordering::SeqCst)
    }

    /// The hashes of all requests' bodies, in the order in which they came.
    pub(crate) fn seen(&self) -> Vec<blake3::Hash> {
        self.inner.seen.lock().expect("no panic").clone()
    }

    /// Exactly these requests came, each once, in any order.
    pub(crate) fn has_seen<'a>(&self, bodies: impl IntoIterator<Item = &'a Bytes>) {
        let mut expected: Vec<_> = bodies.into_iter().map(|body| *blake3::hash(body).as_bytes()).collect();
        let mut seen: Vec<_> = self.seen().iter().map(|hash| *hash.as_bytes()).collect();
        expected.sort_unstable();
        seen.sort_unstable();
        assert!(seen == expected, "{} requests came, {} were made", seen.len(), expected.len());
    }
}

/// Counts a handler until it is dropped.
struct Running(Service);

impl Running {
    fn new(service: &Service) -> Self {
        service.inner.running.fetch_add(1, Ordering::SeqCst);
        Self(service.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.inner.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Application for Service {
    type Handler = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn admit(&mut self, _hello: Bytes) -> Admission {
        Admission::Accept("welcome".into())
    }

    fn request(&mut self, request: Incoming) -> Self::Handler {
        let running = Running::new(self);
        Box::pin(async move {
            let service = &running.0;
            let (method, body) = (request.method, request.body.bytes.clone());
            if method == NEVER {
                service.note(&body);
                request.cancel_signal().cancelled().await;
                service.note_stopped();
                return;
            }
            let reply = move |result: Result<Bytes, _>| match result {
                Ok(body) => request.respond(body),
                Err(error) => request.fail(error),
            };
            service.answer(method, body, Box::new(reply));
        })
    }
}

/// Bytes that show when one is lost, doubled or out of place.
pub(crate) fn pattern(length: usize, seed: usize) -> Bytes {
    (0..length)
        .map(|index| ((index * 31 + seed) ^ (index >> 8) ^ (seed >> 8)) as u8)
        .collect::<Vec<_>>()
        .into()
}

/// A call that takes an answer as long as its body, and does not end before the test.
pub(crate) fn call(method: u16, body: &Bytes) -> Call {
    let reply_max = u32::try_from(body.len()).expect("a body").max(1024);
    Call { reply_max, timeout: Some(Duration::from_secs(600)), ..Call::new(method, body.clone()) }
}
