//! Who waits for something that happens once.

use std::collections::BTreeMap;
use std::task::Waker;

/// The wakers of those who wait; each leaves when its future is dropped, so that who gives up leaves nothing behind.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Waiters {
    /// Wakes `waker` next time; `place` names its future here, from the first call on.
    pub(crate) fn wait(&mut self, place: &mut Option<u64>, waker: &Waker) {
        let key = *place.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        match self.wakers.get_mut(&key) {
            Some(old) => old.clone_from(waker),
            None => drop(self.wakers.insert(key, waker.clone())),
        }
    }

    /// The future is dropped.
    pub(crate) fn leave(&mut self, place: Option<u64>) -> Option<Waker> {
        self.wakers.remove(&place?)
    }

    /// All of them, to be woken once no lock is held: a waker is code of somebody else.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.wakers).into_values()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.wakers.len()
    }
}
