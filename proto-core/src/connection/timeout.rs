//! Everything that time decides.

use std::time::{Duration, Instant};

use super::{Connection, Expiring, OutstandingPing, Phase, Reading, later};
use crate::error::{CallError, CloseCode, CloseReason, ErrorCode};
use crate::event::Event;
use crate::id::Role;

/// Who looks at the time this much later than it should was suspended itself: what has come meanwhile is still to be read,
/// so nothing of it counts against the peer.
const LATE: Duration = Duration::from_secs(1);

impl Connection {
    /// When [`handle_timeout`](Self::handle_timeout) should be called next, if nothing else happens before.
    #[must_use = "without the timeout a silent peer is never noticed"]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timers = &self.config.timers;
        match &self.phase {
            Phase::Closed(_) => None,
            Phase::AwaitingHello { deadline }
            | Phase::AwaitingWelcome { deadline }
            | Phase::Deciding { deadline, .. } => Some(*deadline),
            Phase::Open(_) => {
                let candidates = [
                    Some(self.keepalive_due()),
                    self.pacing.waiting_since().map(|since| later(since, timers.stall)),
                    self.blocked_since.map(|since| later(since, timers.stall)),
                    self.drain_due(),
                    self.drain.theirs,
                    self.deadlines.first().map(|(at, _)| at),
                    self.spares.until(),
                ];
                candidates.into_iter().flatten().min()
            }
        }
    }

    /// Does what is due at `now`. Calling it early or often does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        match &self.phase {
            Phase::Closed(_) => {}
            Phase::AwaitingHello { deadline }
            | Phase::AwaitingWelcome { deadline }
            | Phase::Deciding { deadline, .. } => {
                if *deadline <= self.now {
                    self.handshake_timed_out();
                }
            }
            Phase::Open(_) => {
                self.expire_deadlines();
                self.spares.expire(self.now);
                // What waited may have been cancelled since.
                self.note_output();
                self.check_liveness();
            }
        }
    }

    fn handshake_timed_out(&mut self) {
        let code = CloseCode::HANDSHAKE_TIMEOUT;
        // Whoever has not even sent the preface gets no bytes of ours.
        if self.config.role == Role::Router && !matches!(self.reading, Reading::Preface) {
            self.send_reject(code, Duration::from_secs(1), "the handshake took too long");
        }
        self.end(CloseReason::Timeout(code), None);
    }

    /// When the peer is to be pinged, or, once it was, given up.
    fn keepalive_due(&self) -> Instant {
        let timers = &self.config.timers;
        let ping = later(self.keepalive.last_received, timers.keepalive);
        match &self.keepalive.outstanding {
            Some(outstanding) => later(ping.max(outstanding.asked), timers.keepalive_grace),
            None => ping,
        }
    }

    /// When the time is up that our GoAway names; not before it was sent, or the peer would never hear of it.
    fn drain_due(&self) -> Option<Instant> {
        self.drain.ours.filter(|_| self.control.goaway.is_none())
    }

    fn expire_deadlines(&mut self) {
        while let Some((at, whose)) = self.deadlines.first() {
            if at > self.now {
                break;
            }
            self.deadlines.remove(at, whose);
            match whose {
                Expiring::Call(key) => {
                    let retry_safe = self.calls.withdraw(key).is_some();
                    if !retry_safe {
                        self.abandon_open_call(key);
                    }
                    self.events
                        .push_back(Event::Answer { key, result: Err(CallError::Deadline { retry_safe }) });
                }
                Expiring::Served(id) => self.abandon_served(id, ErrorCode::DEADLINE),
            }
        }
    }

    fn check_liveness(&mut self) {
        let stall = self.config.timers.stall;
        let waits = [self.pacing.waiting_since(), self.blocked_since];
        let stalled = waits.into_iter().flatten().map(|since| later(since, stall)).min();
        if self.drain_due().is_some_and(|deadline| deadline <= self.now) {
            let code = CloseCode::DRAIN_DEADLINE;
            self.end(CloseReason::Local(code), Some((code, "")));
        } else if self.drain.theirs.is_some_and(|deadline| deadline <= self.now) {
            self.give_up(CloseCode::DRAIN_DEADLINE, "the peer drained and did not close");
        } else if let Some(due) = stalled.filter(|due| *due <= self.now) {
            if self.is_late(due) {
                self.pacing.wait_anew(self.now);
                self.blocked_since = self.blocked_since.map(|_| self.now);
            } else {
                self.give_up(CloseCode::SLOW_READER, "the peer does not read");
            }
        }
        let due = self.keepalive_due();
        if self.is_closed() || due > self.now {
            return;
        }
        let is_late = self.is_late(due);
        match &mut self.keepalive.outstanding {
            None => self.send_ping(),
            Some(outstanding) if is_late => outstanding.asked = self.now,
            Some(_) => self.give_up(CloseCode::KEEPALIVE_TIMEOUT, "the peer is silent"),
        }
    }

    fn is_late(&self, due: Instant) -> bool {
        later(due, LATE) <= self.now
    }

    fn send_ping(&mut self) {
        let nonce = self.keepalive.next_nonce;
        self.keepalive.next_nonce = nonce.wrapping_add(1);
        self.keepalive.outstanding = Some(OutstandingPing { nonce, asked: self.now, sent: None });
        self.control.ping = Some(nonce);
        self.note_output();
    }

    fn give_up(&mut self, code: CloseCode, message: &str) {
        self.end(CloseReason::Timeout(code), Some((code, message)));
    }
}
