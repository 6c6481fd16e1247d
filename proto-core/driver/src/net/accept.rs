//! The loop that accepts connections, for any runtime.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};

/// How many accepted connections may be in their TLS handshake at once; with one more, the one that has taken longest is
/// dropped, so that stuck peers keep nobody out. Memory: at most 100 KiB each.
pub const MAX_HANDSHAKES: usize = 256;

/// Waits after a failed accept: doubled from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// What came from a listening socket.
#[derive(Debug)]
pub enum Accepted<S, H> {
    /// A connection that is ready.
    Ready(S),
    /// One whose TLS is still to come, in a handshake that must have an end of its own.
    Securing(SocketAddr, H),
    /// One that went before its socket was set up.
    Gone(SocketAddr, io::Error),
    /// One that is not let in, and closed.
    Refused(io::Error),
}

/// Accepts connections for ever: TLS handshakes run side by side, and a process without file descriptors waits for some.
pub struct Accepting<S> {
    /// How long to wait after the next failed accept.
    backoff: Duration,
    /// Not before this is the next connection accepted.
    not_before: Option<Instant>,
    /// In the order in which they began.
    handshakes: VecDeque<Handshake<S>>,
}

type Handshake<S> = Pin<Box<dyn Future<Output = (SocketAddr, io::Result<S>)> + Send>>;

impl<S: 'static> Accepting<S> {
    /// The next connection that is ready. `accept` waits for one at the socket, and dropping its future loses none. Dropping
    /// the returned future loses none either.
    pub async fn next<A, H, F>(
        &mut self,
        accept: impl Fn() -> A,
        now: impl Fn() -> Instant,
        sleep_until: impl Fn(Instant) -> F,
    ) -> S
    where
        A: Future<Output = io::Result<Accepted<S, H>>>,
        H: Future<Output = io::Result<S>> + Send + 'static,
        F: Future<Output = ()>,
    {
        loop {
            let not_before = self.not_before;
            let accepting = pin!(async {
                if let Some(time) = not_before {
                    sleep_until(time).await;
                }
                accept().await
            });
            let finishing = pin!(poll_fn(|cx| self.poll_handshakes(cx)));
            let accepted = match select(finishing, accepting).await {
                Either::Left(((_, Ok(ready)), _)) => return ready,
                Either::Left(((peer, Err(error)), _)) => {
                    tracing::warn!(%peer, %error, "TLS handshake failed");
                    continue;
                }
                Either::Right((accepted, _)) => accepted,
            };
            if !matches!(&accepted, Err(error) if !is_about_one(error)) {
                (self.backoff, self.not_before) = (BACKOFF.0, None);
            }
            match accepted {
                Ok(Accepted::Ready(ready)) => return ready,
                Ok(Accepted::Securing(peer, handshake)) => self.secure(peer, handshake),
                Ok(Accepted::Gone(peer, error)) => {
                    tracing::debug!(%peer, %error, "a connection went at once");
                }
                Ok(Accepted::Refused(error)) => tracing::warn!(%error, "refused a connection"),
                Err(error) if is_about_one(&error) => tracing::debug!(%error, "a connection went at once"),
                Err(error) => {
                    tracing::warn!(%error, wait = ?self.backoff, "could not accept a connection");
                    self.not_before = Some(now() + self.backoff);
                    self.backoff = (self.backoff * 2).min(BACKOFF.1);
                }
            }
        }
    }

    fn secure(&mut self, peer: SocketAddr, handshake: impl Future<Output = io::Result<S>> + Send + 'static) {
        if self.handshakes.len() >= MAX_HANDSHAKES {
            tracing::warn!("{MAX_HANDSHAKES} TLS handshakes at once: the oldest is dropped");
            self.handshakes.pop_front();
        }
        self.handshakes.push_back(Box::pin(async move { (peer, handshake.await) }));
    }

    /// Waits for ever while there is no handshake.
    fn poll_handshakes(&mut self, cx: &mut Context<'_>) -> Poll<(SocketAddr, io::Result<S>)> {
        for index in 0..self.handshakes.len() {
            if let Poll::Ready(done) = self.handshakes[index].as_mut().poll(cx) {
                self.handshakes.remove(index);
                return Poll::Ready(done);
            }
        }
        Poll::Pending
    }
}

/// Whether an accept failed for one connection's sake: the next one may be there already.
fn is_about_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
    )
}

impl<S> Default for Accepting<S> {
    fn default() -> Self {
        Self { backoff: BACKOFF.0, not_before: None, handshakes: VecDeque::new() }
    }
}

impl<S> fmt::Debug for Accepting<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepting").field("handshakes", &self.handshakes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests stand in for the runtime: they make its time")]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::{Pending, pending, ready};
    use std::task::Waker;

    use super::*;

    const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    fn at_once<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    type Came = io::Result<Accepted<u32, Pending<io::Result<u32>>>>;

    /// What a loop hands out of what came, and how long it slept in between, in milliseconds.
    fn run(came: Vec<Came>) -> (Vec<u32>, Vec<u128>) {
        let start = Instant::now();
        let (time, slept) = (Cell::new(start), RefCell::new(Vec::new()));
        let came = RefCell::new(VecDeque::from(came));
        let mut accepting = Accepting::default();
        let mut out = Vec::new();
        loop {
            let next = accepting.next(
                || {
                    let came = came.borrow_mut().pop_front();
                    async { if let Some(came) = came { came } else { pending().await } }
                },
                || time.get(),
                |until| {
                    slept.borrow_mut().push((until - time.get()).as_millis());
                    time.set(until);
                    ready(())
                },
            );
            match at_once(next) {
                Poll::Ready(stream) => out.push(stream),
                Poll::Pending => break,
            }
        }
        // The last wait is for a connection that never comes.
        (out, slept.into_inner())
    }

    fn no_descriptors() -> Came {
        Err(io::Error::from_raw_os_error(24))
    }

    #[test]
    fn a_process_without_descriptors_waits_longer_and_longer_until_one_was_accepted() {
        let mut came: Vec<Came> = (0..10).map(|_| no_descriptors()).collect();
        came.extend([Ok(Accepted::Ready(1)), no_descriptors(), Ok(Accepted::Ready(2))]);
        let (out, slept) = run(came);
        assert_eq!(out, [1, 2]);
        assert_eq!(slept, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 5]);
    }

    #[test]
    fn a_connection_that_went_at_once_costs_the_others_no_wait() {
        let gone = |kind| io::Error::from(kind);
        let came = vec![
            Ok(Accepted::Gone(PEER, gone(ErrorKind::InvalidInput))),
            Ok(Accepted::Refused(gone(ErrorKind::PermissionDenied))),
            Err(gone(ErrorKind::ConnectionAborted)),
            Err(gone(ErrorKind::ConnectionReset)),
            Ok(Accepted::Ready(1)),
            no_descriptors(),
            Ok(Accepted::Gone(PEER, gone(ErrorKind::InvalidInput))),
            Ok(Accepted::Ready(2)),
        ];
        assert_eq!(run(came), (vec![1, 2], vec![5]));
    }

    #[test]
    fn handshakes_wait_for_none_and_the_oldest_goes() {
        let mut accepting = Accepting::default();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..MAX_HANDSHAKES {
            accepting.secure(PEER, pending());
        }
        assert!(accepting.poll_handshakes(&mut cx).is_pending());
        accepting.secure(PEER, ready(Ok(7)));
        assert_eq!(accepting.handshakes.len(), MAX_HANDSHAKES);
        assert!(matches!(accepting.poll_handshakes(&mut cx), Poll::Ready((PEER, Ok(7)))));
        assert!(accepting.poll_handshakes(&mut cx).is_pending());
    }
}
