//! Whether a worker is asked at all: one that did not answer in time is not, until it answers a probe.

use std::time::{Duration, Instant};

/// How long a probe may take.
pub(super) const PROBE_WITHIN: Duration = Duration::from_secs(1);

/// The wait after the first probe without an answer; doubled for each further one.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait between two probes.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// One worker's breaker. It opens with the first search that is not answered in time; a probe goes out at once, so that
/// a worker that was only slow is asked again as soon as it answers that.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Breaker {
    /// The worker is asked.
    #[default]
    Closed,
    /// It is not, and a probe waits for its time, after so many without an answer.
    Open { probe_at: Instant, failures: u32 },
    /// It is not, and a probe is under way.
    HalfOpen { failures: u32 },
}

impl Breaker {
    /// Whether the worker is asked.
    pub(super) fn is_closed(&self) -> bool {
        *self == Self::Closed
    }

    /// A search was not answered in time. Returns when to probe, if that is news.
    pub(super) fn missed(&mut self, now: Instant) -> Option<Instant> {
        if !self.is_closed() {
            return None;
        }
        *self = Self::Open { probe_at: now, failures: 0 };
        Some(now)
    }

    /// Whether it is time for a probe, which then is under way.
    pub(super) fn probe(&mut self, now: Instant) -> bool {
        match *self {
            Self::Open { probe_at, failures } if probe_at <= now => {
                *self = Self::HalfOpen { failures };
                true
            }
            _ => false,
        }
    }

    /// The probe had an answer, or none. Returns when to probe again.
    pub(super) fn probed(&mut self, answered: bool, now: Instant) -> Option<Instant> {
        let Self::HalfOpen { failures } = *self else { return None };
        if answered {
            *self = Self::Closed;
            return None;
        }
        let wait = FIRST_WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT);
        let probe_at = now + wait;
        *self = Self::Open { probe_at, failures: failures + 1 };
        Some(probe_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_once_and_probes_more_and_more_seldom_until_an_answer() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        assert_eq!(breaker.missed(start), Some(start));
        assert_eq!(breaker.missed(start), None, "that is no news");
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert!(!breaker.is_closed());
            assert!(breaker.probe(now) && !breaker.probe(now), "one probe at a time");
            let next = breaker.probed(false, now).expect("another time");
            assert!(!breaker.probe(next - Duration::from_millis(1)), "not before its time");
            waits.push((next - now).as_millis());
            now = next;
        }
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert!(breaker.probe(now));
        assert_eq!(breaker.probed(true, now), None);
        assert!(breaker.is_closed());
        assert_eq!(breaker.probed(false, now), None, "a late end of a probe changes nothing");
        assert_eq!(breaker.missed(now), Some(now), "and all begins anew");
    }
}
