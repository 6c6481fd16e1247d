//! The thread that brings images to the store.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Store;
use crate::shard::Image;

/// How long changes of single files are gathered.
pub(crate) const GATHER: Duration = Duration::from_secs(5);

/// Writes shards that have changed, and sweeps the directory once: one after the other, each as it is when its turn comes.
/// Dropping it ends the thread after the file that it is at.
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn changes_are_gathered_and_the_latest_wins() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Arc::new(Store::open(directory.path()));
        let generation = Arc::new(AtomicU64::new(0));
        let now = Arc::clone(&generation);
        let writer = Writer::start(Arc::clone(&store), move |shard| {
            let generation = now.load(Ordering::Relaxed);
            let mut image = Image { key: [shard as u8; 16], shard, ..Image::default() };
            image.counters.generation = generation;
            image.counters.digest = [generation as u8; 16];
            // While a sync is under way there is none.
            (shard < 3).then_some(image)
        });
        let writer = writer.expect("a thread");
        for change in 1..=5 {
            generation.store(change, Ordering::Relaxed);
            (1..=3).for_each(|shard| writer.changed(shard, MINUTE * 60));
        }
        assert_eq!(store.stats().written, 0, "an hour has not passed");
        assert!(writer.flush(MINUTE));
        assert_eq!(store.stats().written, 2);
        for shard in [1, 2] {
            assert_eq!(store.load(&[shard; 16]).map(|image| image.counters.generation), Some(5));
        }
        assert!(store.load(&[3; 16]).is_none());
        // What is due at once comes before what waits, and needs nobody to ask for it.
        generation.store(6, Ordering::Relaxed);
        writer.changed(1, MINUTE * 60);
        writer.changed(2, Duration::ZERO);
        let end = Instant::now() + MINUTE;
        while store.stats().written < 3 {
            assert!(Instant::now() < end, "it is never written");
            std::thread::yield_now();
        }
        assert_eq!(store.load(&[1; 16]).map(|image| image.counters.generation), Some(5));
        assert_eq!(store.load(&[2; 16]).map(|image| image.counters.generation), Some(6));
    }
}
