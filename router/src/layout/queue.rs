//! Work that makes more work, shared by a few threads.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A stack of jobs. It is exhausted when it is empty and no job is being worked on.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    jobs: Vec<T>,
    running: usize,
    stopped: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(jobs: Vec<T>) -> Self {
        Self { state: Mutex::new(State { jobs, running: 0, stopped: false }), changed: Condvar::new() }
    }

    /// Waits for a job; `None` when there will be no more. The last job added comes first, which keeps the
    /// stack short.
    pub(super) fn next(&self) -> Option<Job<'_, T>> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(work) = state.jobs.pop() {
                state.running += 1;
                return Some(Job { queue: self, work: Some(work), more: Vec::new() });
            }
            if state.running == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets every thread come to an end.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One job being worked on. Dropping it marks it as done, also when the worker panics: the other threads
/// would wait for ever otherwise.
#[derive(Debug)]
pub(super) struct Job<'a, T> {
    queue: &'a Queue<T>,
    work: Option<T>,
    more: Vec<T>,
}

impl<T> Job<'_, T> {
    /// The work itself; `None` from the second call on.
    pub(super) fn take(&mut self) -> Option<T> {
        self.work.take()
    }

    /// Adds a job that is handed out when this one is done.
    pub(super) fn add(&mut self, work: T) {
        self.more.push(work);
    }
}

impl<T> Drop for Job<'_, T> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.jobs.append(&mut self.more);
        state.running -= 1;
        drop(state);
        self.queue.changed.notify_all();
    }
}
