//! The thread that brings images to the store.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Store;
use crate::shard::Image;

/// How long changes of single files are gathered.
pub(crate) const GATHER: Duration = Duration::from_secs(5);

/// Writes shards that have changed, and sweeps the directory once: one after the other, each as it is when its turn comes. Dropping it ends the thread
/// after the file that it is at.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// When each changed shard is to be written.
    due: BTreeMap<u32, Instant>,
    writing: bool,
    stopped: bool,
}

impl Writer {
    /// Starts the thread; `image` tells what is to be kept of a shard.
    pub(crate) fn start(
        store: Arc<Store>,
        image: impl Fn(u32) -> Option<Image> + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let ours = Arc::clone(&queue);
        std::thread::Builder::new().name("cache".to_owned()).spawn(move || {
            store.sweep();
            while let Some(shard) = ours.next() {
                if let Some(image) = image(shard) {
                    store.save(&image);
                }
                ours.written();
            }
        })?;
        Ok(Self { queue })
    }

    /// Has a shard written, when `after` has passed at the latest.
    pub(crate) fn changed(&self, shard: u32, after: Duration) {
        let due = Instant::now() + after;
        let mut state = self.queue.lock();
        let known = state.due.entry(shard).or_insert(due);
        *known = due.min(*known);
        drop(state);
        self.queue.changed.notify_all();
    }

    /// Writes what has changed at once, and waits for it; tells whether it was done in time.
    pub(crate) fn flush(&self, within: Duration) -> bool {
        let mut state = self.queue.lock();
        let now = Instant::now();
        state.due.values_mut().for_each(|due| *due = now);
        self.queue.changed.notify_all();
        let (state, _) = self
            .queue
            .changed
            .wait_timeout_while(state, within, |state| state.writing || !state.due.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        !state.writing && state.due.is_empty()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.lock().stopped = true;
        self.queue.changed.notify_all();
    }
}

impl Queue {
    /// Waits for a shard that is due; nothing comes any more after the end.
    fn next(&self) -> Option<u32> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            let first = state.due.iter().min_by_key(|(_, due)| **due).map(|(&shard, &due)| (shard, due));
            let Some((shard, due)) = first else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.due.remove(&shard);
                state.writing = true;
                return Some(shard);
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn written(&self) {
        self.lock().writing = false;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
