//! When a router that nobody uses ends: a decision, without a clock.

use std::time::{Duration, Instant};

/// Who uses a router, and since when nobody does.
#[derive(Debug, Clone)]
pub(super) struct Idle {
    limit: Option<Duration>,
    clients: usize,
    remote_workers: usize,
    since: Instant,
}

impl Idle {
    /// Nobody uses it yet. Without a limit it never ends.
    pub(super) fn new(limit: Option<Duration>, now: Instant) -> Self {
        Self { limit, clients: 0, remote_workers: 0, since: now }
    }

    pub(super) fn client_came(&mut self) {
        self.clients += 1;
    }

    pub(super) fn client_left(&mut self, now: Instant) {
        self.clients = self.clients.saturating_sub(1);
        self.since = now;
    }

    /// So many workers that this router has not started are connected.
    pub(super) fn remote_workers(&mut self, count: usize, now: Instant) {
        if self.remote_workers > 0 {
            self.since = now;
        }
        self.remote_workers = count;
    }

    pub(super) fn clients(&self) -> usize {
        self.clients
    }

    /// When it ends, unless somebody comes before.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        let used = self.clients > 0 || self.remote_workers > 0;
        self.limit.filter(|_| !used).map(|limit| self.since + limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_so_long_after_the_last_one_left() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut idle = Idle::new(Some(Duration::from_secs(10)), start);
        assert_eq!(idle.ends_at(), Some(at(10)), "nobody ever came");
        idle.client_came();
        idle.client_came();
        assert_eq!(idle.ends_at(), None);
        idle.client_left(at(3));
        assert_eq!(idle.ends_at(), None, "one is there");
        idle.client_left(at(5));
        assert_eq!(idle.ends_at(), Some(at(15)));
        idle.remote_workers(1, at(6));
        assert_eq!(idle.ends_at(), None);
        idle.remote_workers(2, at(7));
        idle.remote_workers(0, at(20));
        assert_eq!(idle.ends_at(), Some(at(30)));
        idle.remote_workers(0, at(25));
        assert_eq!(idle.ends_at(), Some(at(30)), "nothing has changed");
    }

    #[test]
    fn without_a_limit_it_never_ends() {
        assert_eq!(Idle::new(None, Instant::now()).ends_at(), None);
    }
}
