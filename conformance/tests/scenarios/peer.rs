//! One end of a connection, whatever runs it, as a test sees it.

use std::fmt::Debug;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use nova_driver::{Handle, PendingCall};
use nova_proto_core::{Call, CallError, CloseCode, CloseReason, SendError, Stats};

use crate::service::Service;

/// For anything a test waits for, on a machine that does other things, too.
pub(crate) const IN_TIME: Duration = Duration::from_secs(60);

/// Waits for a condition; what it gives in the meantime is shown if it never holds.
pub(crate) fn until<T: Debug>(what: &str, mut condition: impl FnMut() -> Result<(), T>) {
    let deadline = Instant::now() + IN_TIME;
    while let Err(instead) = condition() {
        assert!(Instant::now() < deadline, "{what}: not in time, but {instead:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) type Answer = Result<Bytes, CallError>;

/// What an end can be told and asked.
pub(crate) trait Calls: Send {
    fn call(&self, call: Call) -> Result<Box<dyn Pending>, SendError>;
    fn drain(&self, within: Duration);
    fn close(&self, code: CloseCode, message: &str);
    fn is_connected(&self) -> bool;
    fn close_reason(&self) -> Option<CloseReason>;
    fn stats(&self) -> Stats;
}

/// An answer to come; dropping it cancels the call.
pub(crate) trait Pending {
    /// `None` if it did not come in time.
    fn wait(self: Box<Self>, at_most: Duration) -> Option<Answer>;
}

impl Calls for Handle {
    fn call(&self, call: Call) -> Result<Box<dyn Pending>, SendError> {
        Ok(Box::new(Self::call(self, call)?))
    }

    fn drain(&self, within: Duration) {
        Self::drain(self, within);
    }

    fn close(&self, code: CloseCode, message: &str) {
        Self::close(self, code, message);
    }

    fn is_connected(&self) -> bool {
        self.connected().now_or_never().is_some_and(|connected| connected.is_ok())
    }

    fn close_reason(&self) -> Option<CloseReason> {
        Self::close_reason(self)
    }

    fn stats(&self) -> Stats {
        Self::stats(self)
    }
}

impl Pending for PendingCall {
    fn wait(self: Box<Self>, at_most: Duration) -> Option<Answer> {
        let answer = async { Some(self.await.map(|body| body.bytes)) };
        let too_late = async {
            smol::Timer::after(at_most).await;
            None
        };
        smol::block_on(smol::future::or(answer, too_late))
    }
}

/// An end that runs in a thread of its own.
pub(crate) struct Peer {
    starting: Receiver<Box<dyn Calls>>,
    started: OnceLock<Box<dyn Calls>>,
    thread: JoinHandle<CloseReason>,
    pub(crate) service: Service,
}

impl Peer {
    /// Runs an end: `run` sends it off when it has a stream, and returns when its connection has ended.
    pub(crate) fn start(
        service: Service,
        run: impl FnOnce(Service, Sender<Box<dyn Calls>>) -> CloseReason + Send + 'static,
    ) -> Self {
        let (sender, starting) = channel();
        let given = service.clone();
        let thread = std::thread::spawn(move || run(given, sender));
        Self { starting, started: OnceLock::new(), thread, service }
    }

    /// Its calls, once it has a stream.
    pub(crate) fn calls(&self) -> &dyn Calls {
        &**self.started.get_or_init(|| self.starting.recv_timeout(IN_TIME).expect("a stream in time"))
    }

    /// Whether it is let in, without waiting for that, or for its stream.
    pub(crate) fn is_connected(&self) -> bool {
        if self.started.get().is_none() {
            let Ok(calls) = self.starting.try_recv() else { return false };
            let _ = self.started.set(calls);
        }
        self.calls().is_connected()
    }

    pub(crate) fn call(&self, call: Call) -> Box<dyn Pending> {
        self.calls().call(call).expect("sent")
    }

    pub(crate) fn ask(&self, call: Call) -> Answer {
        wait(self.call(call))
    }

    pub(crate) fn stats(&self) -> Stats {
        self.calls().stats()
    }

    pub(crate) fn connected(&self) {
        until("the handshake", || match self.calls().is_connected() {
            true => Ok(()),
            false => Err(self.calls().close_reason()),
        });
    }

    /// Waits until it has nothing open.
    pub(crate) fn idle(&self) {
        until("nothing open", || match self.stats() {
            Stats { calls: 0, serving: 0, .. } => Ok(()),
            stats => Err(stats),
        });
    }

    /// Waits for its end; nothing of it is left then.
    pub(crate) fn end(self) -> CloseReason {
        until("the driver's end", || if self.thread.is_finished() { Ok(()) } else { Err(self.stats()) });
        let stats = self.stats();
        assert_eq!((stats.calls, stats.serving, stats.serving_cost), (0, 0, 0), "open after the end");
        until("the handlers' end", || match self.service.running() {
            0 => Ok(()),
            running => Err(running),
        });
        let reason = self.thread.join().expect("no panic");
        let known = self.started.get().and_then(|calls| calls.close_reason());
        assert_eq!(known.as_ref(), Some(&reason), "the same is known to whoever asks");
        reason
    }
}

/// Waits for an answer.
pub(crate) fn wait(pending: Box<dyn Pending>) -> Answer {
    pending.wait(IN_TIME).expect("an answer in time")
}
