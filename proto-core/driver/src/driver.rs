//! The loop that moves bytes, time and requests.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};
use futures_util::future::{CatchUnwind, FutureExt, OptionFuture};
use futures_util::stream::{FuturesUnordered, Stream};
use nova_proto_core::{CloseCode, CloseReason, Config, ConfigError, Connection, Event, SendError};

use crate::handle::Handle;
use crate::incoming::{Admission, Application, Incoming};
use crate::shared::{Shared, State};

/// How much one read takes at most.
const READ_SIZE: usize = 64 * 1024;

/// How much output is encoded ahead of the socket: what is decided later waits behind this much.
const WRITE_AHEAD: usize = 256 * 1024;

/// How long the last frame may take to leave, and then the peer to hang up.
const LINGER: Duration = Duration::from_secs(1);

/// How many reads a poll throws away while the peer hangs up: its unread input would turn our last frame into a reset.
const LINGER_READS: usize = 16;

/// How many requests and answers a turn hands over; with more than the square of this open, this fraction of them. So the
/// peer works on the first answers while the others are still being made.
const HANDED: usize = 16;

/// How many wakers and requests a turn leaves room for.
const KEPT: usize = 1024;

/// What a runtime brings.
#[expect(missing_debug_implementations, reason = "closures and sockets have none")]
pub struct Io<R, W, N, S> {
    /// The stream's readable half.
    pub reader: R,
    /// The stream's writable half. Closed with `poll_close`, which must half-close.
    pub writer: W,
    /// The time now.
    pub now: N,
    /// Sleeps until a time.
    pub sleep_until: S,
}

/// Puts a connection on a stream. Nothing happens until the driver is polled.
///
/// # Errors
/// If the configuration breaks a floor.
#[expect(clippy::type_complexity, reason = "the driver names what it was made from")]
pub fn connect<R, W, N, S, F, A>(
    io: Io<R, W, N, S>,
    config: Config,
    application: A,
) -> Result<(Handle, Driver<R, W, S, F, A>), ConfigError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    N: Fn() -> Instant + Send + Sync + 'static,
    S: Fn(Instant) -> F,
    F: Future<Output = ()>,
    A: Application,
{
    let started = (io.now)();
    connect_since(io, started, config, application)
}

/// Like [`connect`], on a stream that took its time: the handshake's timer counts from `started`, when connecting began or
/// the stream was accepted.
///
/// # Errors
/// If the configuration breaks a floor.
#[expect(clippy::type_complexity, reason = "the driver names what it was made from")]
pub fn connect_since<R, W, N, S, F, A>(
    io: Io<R, W, N, S>,
    started: Instant,
    config: Config,
    application: A,
) -> Result<(Handle, Driver<R, W, S, F, A>), ConfigError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    N: Fn() -> Instant + Send + Sync + 'static,
    S: Fn(Instant) -> F,
    F: Future<Output = ()>,
    A: Application,
{
    let connection = Connection::new(config, started)?;
    let shared = Shared::new(connection, Box::new(io.now));
    let driver = Driver {
        shared: Arc::clone(&shared),
        reader: io.reader,
        writer: io.writer,
        sleep_until: io.sleep_until,
        application,
        handlers: FuturesUnordered::new(),
        place: Box::pin(None.into()),
        woken: Vec::new(),
        requests: Vec::new(),
        timer: None,
        input: vec![0; READ_SIZE],
        output: Output::default(),
        all_sent: false,
        write_broken: None,
        ending: None,
    };
    Ok((Handle::new(shared), driver))
}

/// Drives one connection to its end; the output says why it ended. Dropping it ends the connection at once.
#[must_use = "nothing moves unless the driver is polled"]
pub struct Driver<R, W, S, F, A: Application> {
    shared: Arc<Shared>,
    reader: R,
    writer: W,
    sleep_until: S,
    application: A,
    handlers: FuturesUnordered<Handler<A>>,
    /// Where the next handler is polled first; one that is done at once leaves it to the next.
    place: Handler<A>,
    /// Empty between turns, as are `requests`.
    woken: Vec<Waker>,
    requests: Vec<Incoming>,
    timer: Option<(Instant, Pin<Box<F>>)>,
    input: Vec<u8>,
    output: Output,
    /// The connection had nothing more to send when it was last asked.
    all_sent: bool,
    /// Set once nothing can be written any more: until when what the peer sent before it left may still be read.
    write_broken: Option<Instant>,
    /// Set once the connection has ended: until when the last bytes may leave.
    ending: Option<Ending>,
}

/// A handler whose panic ends only itself: the request in it answers when it is dropped.
type Handler<A> = Pin<Box<OptionFuture<CatchUnwind<AssertUnwindSafe<<A as Application>::Handler>>>>>;

#[derive(Debug)]
struct Ending {
    reason: CloseReason,
    deadline: Instant,
    half_closed: bool,
}

/// Encoded bytes on their way to the socket.
#[derive(Debug, Default)]
struct Output {
    bytes: Vec<u8>,
    written: usize,
}

impl Output {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    fn advance(&mut self, count: usize) {
        self.written += count;
        if self.is_empty() {
            self.bytes.clear();
            self.written = 0;
        }
    }
}

impl<R, W, S, F, A> Driver<R, W, S, F, A>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    S: Fn(Instant) -> F,
    F: Future<Output = ()>,
    A: Application,
{
    /// One round through everything that can move. Returns whether anything did.
    fn turn(&mut self, cx: &mut Context<'_>) -> bool {
        // What has come counts before the time does: this task may not have run for a while.
        let mut moved = self.read(cx);
        while let Poll::Ready(Some(_)) = Pin::new(&mut self.handlers).poll_next(cx) {
            moved = true;
        }
        moved |= self.pull_events(cx);
        if self.output.is_empty() {
            let added = self.shared.lock().connection.poll_transmit(&mut self.output.bytes, WRITE_AHEAD);
            self.all_sent = added == 0;
            // What goes out can end the connection, or a call: that is an event then.
            moved |= added > 0;
        }
        moved | self.write(cx)
    }

    /// Hands what happened to those who wait for it. Returns whether there may be more.
    fn pull_events(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.shared.now();
        let mut hello = None;
        let mut left;
        {
            let mut state = self.shared.lock();
            state.driver_awake();
            state.connection.handle_timeout(now);
            if self.write_broken.is_some_and(|until| now >= until) {
                state.connection.receive_eof();
            }
            let stats = state.connection.stats();
            left = HANDED.max(stats.calls_open.saturating_add(stats.serving) / HANDED);
            while left > 0
                && let Some(event) = state.connection.poll_event()
            {
                left -= 1;
                match event {
                    Event::Hello { app } => hello = Some(app),
                    Event::Request(request) => {
                        self.requests.push(Incoming::new(request, Arc::clone(&self.shared)));
                    }
                    event => on_event(&mut state, event, &mut self.woken),
                }
            }
        }
        self.woken.drain(..).for_each(Waker::wake);
        for request in self.requests.drain(..) {
            let application = AssertUnwindSafe(|| self.application.request(request));
            // A panic has dropped the request, which has answered it.
            let Ok(handler) = std::panic::catch_unwind(application) else { continue };
            self.place.set(Some(AssertUnwindSafe(handler).catch_unwind()).into());
            if self.place.as_mut().poll(cx).is_pending() {
                let place = std::mem::replace(&mut self.place, Box::pin(None.into()));
                self.handlers.push(place);
            }
        }
        self.place.set(None.into());
        // A burst leaves no more than a turn of small requests takes.
        self.woken.shrink_to(KEPT);
        self.requests.shrink_to(KEPT);
        let Some(hello) = hello else { return left == 0 };
        let admission = self.application.admit(hello);
        admit(&mut self.shared.lock(), admission);
        true
    }

    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        if self.write_broken.is_some() {
            self.output = Output::default();
            return false;
        }
        let mut moved = false;
        while !self.output.is_empty() {
            match Pin::new(&mut self.writer).poll_write(cx, self.output.rest()) {
                Poll::Pending => break,
                Poll::Ready(Ok(count @ 1..)) => {
                    self.output.advance(count);
                    moved = true;
                }
                Poll::Ready(other) => {
                    self.writing_broke(other.err());
                    return true;
                }
            }
        }
        if moved {
            let now = self.shared.now();
            self.shared.lock().connection.wrote(now);
        }
        if self.output.is_empty()
            && let Poll::Ready(Err(error)) = Pin::new(&mut self.writer).poll_flush(cx)
        {
            self.writing_broke(Some(error));
            return true;
        }
        moved
    }

    /// The peer takes no more. Its last words may be unread yet, so reading goes on until it ends, too, or time is up.
    fn writing_broke(&mut self, error: Option<io::Error>) {
        tracing::debug!(?error, "nothing can be written any more");
        if let Some(error) = error {
            // What reading says is the cause; that writing fails can be its effect.
            self.shared.lock().stream_error.get_or_insert_with(|| Arc::new(error));
        }
        self.write_broken = Some(self.shared.now() + LINGER);
        self.output = Output::default();
    }

    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.shared.lock().connection.wants_input() {
            return false;
        }
        match Pin::new(&mut self.reader).poll_read(cx, &mut self.input) {
            Poll::Pending => false,
            Poll::Ready(Ok(count @ 1..)) => {
                let now = self.shared.now();
                self.shared.lock().connection.receive(&self.input[..count], now);
                true
            }
            Poll::Ready(Ok(0)) => {
                self.shared.lock().connection.receive_eof();
                true
            }
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "nothing can be read any more");
                let mut state = self.shared.lock();
                state.stream_error = Some(Arc::new(error));
                state.connection.receive_eof();
                true
            }
        }
    }

    /// After the connection's end: sends the last frame, half-closes, waits for the peer to hang up; each within a
    /// bound, so that a stuck peer keeps nothing.
    fn finish(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let now = self.shared.now();
        let Some(ending) = &mut self.ending else { return Poll::Pending };
        if now >= ending.deadline || self.write_broken.is_some() {
            return Poll::Ready(ending.reason.clone());
        }
        if !self.all_sent {
            return Poll::Pending;
        }
        if !ending.half_closed {
            match Pin::new(&mut self.writer).poll_close(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(ending.reason.clone()),
                Poll::Ready(Ok(())) => ending.half_closed = true,
            }
        }
        for _ in 0..LINGER_READS {
            match Pin::new(&mut self.reader).poll_read(cx, &mut self.input) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return Poll::Ready(ending.reason.clone()),
            }
        }
        // There is more, and others want to run.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sleeps until the connection, or the end, wants to look at the time. A timer that is due too early is kept: it
    /// costs one needless look, a new one for every call would cost more.
    fn arm_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = match &self.ending {
            Some(ending) => Some(ending.deadline),
            None => {
                let timeout = self.shared.lock().connection.poll_timeout();
                timeout.into_iter().chain(self.write_broken).min()
            }
        };
        let Some(deadline) = deadline else {
            self.timer = None;
            return Poll::Pending;
        };
        if self.timer.as_ref().is_none_or(|(armed, _)| *armed > deadline) {
            self.timer = Some((deadline, Box::pin((self.sleep_until)(deadline))));
        }
        let Some((_, sleep)) = &mut self.timer else { return Poll::Pending };
        if sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.timer = None;
        Poll::Ready(())
    }
}

impl<R, W, S, F, A> Future for Driver<R, W, S, F, A>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    S: Fn(Instant) -> F + Unpin,
    F: Future<Output = ()>,
    A: Application + Unpin,
{
    type Output = CloseReason;

    /// One turn, then back to the runtime: many turns at once make small calls wait behind large bodies.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = &mut *self;
        let mut moved = this.turn(cx);
        if this.ending.is_none() {
            let reason = this.shared.lock().close_reason();
            this.ending = reason.map(|reason| {
                moved = true;
                let deadline = this.shared.now() + LINGER;
                Ending { reason, deadline, half_closed: false }
            });
        } else if let Poll::Ready(reason) = this.finish(cx) {
            return Poll::Ready(reason);
        }
        moved |= this.arm_timer(cx).is_ready();
        if moved || !this.shared.lock().driver_sleeps(cx.waker()) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<R, W, S, F, A: Application> Drop for Driver<R, W, S, F, A> {
    /// Nobody moves bytes any more: calls fail, handlers are told to stop.
    fn drop(&mut self) {
        let mut woken = Vec::new();
        {
            let mut state = self.shared.lock();
            state.connection.close(CloseCode::INTERNAL, "the driver was dropped");
            while let Some(event) = state.connection.poll_event() {
                on_event(&mut state, event, &mut woken);
            }
        }
        woken.into_iter().for_each(Waker::wake);
    }
}

impl<R, W, S, F, A: Application> fmt::Debug for Driver<R, W, S, F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("ending", &self.ending).finish_non_exhaustive()
    }
}

fn admit(state: &mut State, admission: Admission) {
    let done = match admission {
        Admission::Accept(app) => state.connection.accept(app).or_else(|error| match error {
            SendError::TooLarge { .. } => state.connection.reject(
                CloseCode::INTERNAL,
                Duration::ZERO,
                "the router's answer does not fit",
            ),
            _ => Err(error),
        }),
        Admission::Reject { code, retry_after, message } => {
            state.connection.reject(code, retry_after, &message)
        }
    };
    if let Err(error) = done {
        tracing::debug!(%error, "the worker left before it was let in");
    }
}

fn on_event(state: &mut State, event: Event, woken: &mut Vec<Waker>) {
    match event {
        Event::Connected { agreed, app } => {
            state.connected = Some((agreed, app));
            woken.extend(state.watchers.take());
        }
        Event::Cancelled { id } => {
            state.raise(id, woken);
        }
        Event::Answer { key, result } => {
            if let Some(slot) = state.calls.get_mut(key) {
                slot.result = Some(result);
                woken.extend(slot.waker.take());
            }
        }
        Event::Closed(_) => {
            state.raise_all(woken);
            woken.extend(state.watchers.take());
        }
        _ => {}
    }
}
