//! Threads for work that takes longer than a driver may wait.

use std::io;
use std::sync::Arc;

use futures_channel::oneshot;

/// A few threads with a queue. The queue is as long as there are requests open, which the connection's limits bound.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    threads: Arc<rayon::ThreadPool>,
}

/// The work panicked.
#[derive(Debug)]
pub(crate) struct Stopped;

impl Pool {
    pub(crate) fn new(name: &'static str, threads: usize) -> io::Result<Self> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(move |index| format!("{name}-{index}"))
            // The default hook has told about it; the requester gets an error.
            .panic_handler(|_| {})
            .build()
            .map_err(io::Error::other)?;
        Ok(Self { threads: Arc::new(threads) })
    }

    /// Runs `work` when its turn comes, in order.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (sender, receiver) = oneshot::channel();
        self.threads.spawn_fifo(move || {
            // Whoever asked may be gone.
            let _ = sender.send(work());
        });
        receiver.await.map_err(|_| Stopped)
    }
}
