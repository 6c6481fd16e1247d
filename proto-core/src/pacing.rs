//! How many body bytes may be under way. The receiver acknowledges on receipt, whatever its application does; how
//! much the sender leaves unacknowledged is its own affair.

use std::time::{Duration, Instant};

use crate::config::{ACK_EVERY, SMALL_BODY};
use crate::error::PeerError;

/// Where the sender's window starts: 256 KiB chunks with this much outstanding keep a local link full and a small
/// call's wait behind it at a fraction of a millisecond.
const START: u64 = 512 * 1024;

/// The window's floor: above what the receiver may leave unacknowledged, so the sender never sticks.
const FLOOR: u64 = 128 * 1024;

/// The window's ceiling: the bandwidth-delay product of 1 Gbit/s over 130 ms.
const CEILING: u64 = 16 * 1024 * 1024;

/// Round trips shorter than this are not worth a larger window.
const SHORT: Duration = Duration::from_millis(1);

/// Both directions' counts of body bytes.
#[derive(Debug)]
pub(crate) struct Pacing {
    sent: u64,
    acked: u64,
    window: u64,
    /// Whether the window held something back since the last sample.
    limited: bool,
    /// A byte count to wait for, and when it was sent.
    sample: Option<(u64, Instant)>,
    shortest: Option<Duration>,
    /// Since when an acknowledgement is due without having come.
    waiting_since: Option<Instant>,
    received: u64,
    acknowledged: u64,
}

impl Pacing {
    pub(crate) fn new() -> Self {
        Self {
            sent: 0,
            acked: 0,
            window: START,
            limited: false,
            sample: None,
            shortest: None,
            waiting_since: None,
            received: 0,
            acknowledged: 0,
        }
    }

    fn outstanding(&self) -> u64 {
        self.sent.saturating_sub(self.acked)
    }

    /// How much of a large body may go out now: nothing, or at least [`SMALL_BODY`].
    pub(crate) fn room(&mut self) -> u64 {
        let room = self.window.saturating_sub(self.outstanding());
        if room < u64::from(SMALL_BODY) {
            self.limited = true;
            return 0;
        }
        room
    }

    pub(crate) fn has_room(&self) -> bool {
        self.window.saturating_sub(self.outstanding()) >= u64::from(SMALL_BODY)
    }

    pub(crate) fn on_sent(&mut self, bytes: usize, now: Instant) {
        if bytes == 0 {
            return;
        }
        self.sent = self.sent.saturating_add(bytes as u64);
        self.sample.get_or_insert((self.sent, now));
        if self.outstanding() >= ACK_EVERY {
            self.waiting_since.get_or_insert(now);
        }
    }

    /// An acknowledgement came.
    pub(crate) fn on_ack(&mut self, acked: u64, now: Instant) -> Result<(), PeerError> {
        if acked > self.sent {
            return Err(PeerError::AckAhead { acked, sent: self.sent });
        }
        // A receiver acknowledges 64 KiB at a time: less would let it hold a connection with a trickle of bytes.
        if acked.saturating_sub(self.acked) < ACK_EVERY {
            return Err(PeerError::AckNoProgress { acked });
        }
        self.acked = acked;
        self.waiting_since = (self.outstanding() >= ACK_EVERY).then_some(now);
        if let Some((mark, at)) = self.sample.filter(|(mark, _)| *mark <= acked) {
            debug_assert!(mark <= acked);
            self.sample = None;
            self.adjust(now.saturating_duration_since(at));
        }
        Ok(())
    }

    /// Follows the bandwidth-delay product: doubles while a full window still makes no queue, halves when round
    /// trips say that a queue has built up.
    fn adjust(&mut self, round_trip: Duration) {
        let shortest = self.shortest.map_or(round_trip, |shortest| shortest.min(round_trip));
        self.shortest = Some(shortest);
        if round_trip > shortest.saturating_mul(4) && round_trip > SHORT.saturating_mul(4) {
            self.window = (self.window / 2).max(FLOOR);
        } else if self.limited && round_trip > SHORT && round_trip <= shortest.saturating_mul(2) {
            self.window = self.window.saturating_mul(2).min(CEILING);
        }
        self.limited = false;
    }

    /// Since when the peer owes an acknowledgement.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        self.waiting_since
    }

    /// What has come in the meantime was not read yet: the peer has its time from here.
    pub(crate) fn wait_anew(&mut self, now: Instant) {
        self.waiting_since = self.waiting_since.map(|_| now);
    }

    /// Body bytes came.
    pub(crate) fn on_received(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(bytes as u64);
    }

    pub(crate) fn ack_due(&self) -> bool {
        self.received.saturating_sub(self.acknowledged) >= ACK_EVERY
    }

    /// The count to acknowledge, if it is time to.
    pub(crate) fn take_ack(&mut self) -> Option<u64> {
        self.ack_due().then(|| {
            self.acknowledged = self.received;
            self.received
        })
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests stand outside the core: they make its time")]
mod tests {
    use super::*;

    #[test]
    fn the_window_grows_only_while_it_is_the_limit_and_round_trips_stay_short() {
        let start = Instant::now();
        let mut pacing = Pacing::new();
        let mut now = start;
        for _ in 0..10 {
            while let room @ 1.. = pacing.room() {
                pacing.on_sent(usize::try_from(room).unwrap_or(0), now);
            }
            now += Duration::from_millis(50);
            pacing.on_ack(pacing.sent, now).expect("acknowledges what was sent");
        }
        assert_eq!(pacing.window, CEILING);
        pacing.on_sent(1 << 20, now);
        now += Duration::from_secs(1);
        pacing.on_ack(pacing.sent, now).expect("acknowledges what was sent");
        assert_eq!(pacing.window, CEILING / 2);
    }

    /// What the window becomes when full windows came back after round trips of so many microseconds.
    fn window_after(round_trips: &[u64], fill: bool) -> u64 {
        let mut pacing = Pacing::new();
        let mut now = Instant::now();
        for micros in round_trips {
            if fill {
                while let room @ 1.. = pacing.room() {
                    pacing.on_sent(usize::try_from(room).unwrap_or(0), now);
                }
            } else {
                pacing.on_sent(ACK_EVERY as usize, now);
            }
            now += Duration::from_micros(*micros);
            pacing.on_ack(pacing.sent, now).expect("acknowledges what was sent");
        }
        pacing.window
    }

    #[test]
    fn the_window_follows_the_round_trips_to_the_microsecond() {
        assert_eq!(START, 512 * 1024);
        for (round_trips, window) in [
            (&[1000][..], START),
            (&[1001], START * 2),
            (&[1001, 2002], START * 4),
            (&[1001, 2003], START * 2),
            (&[1001, 4004], START * 2),
            (&[1001, 4005], START),
            (&[100, 200], START),
            (&[100, 4000], START),
            (&[100, 4001], START / 2),
            (&[100, 5000, 5000, 5000], FLOOR),
        ] {
            assert_eq!(window_after(round_trips, true), window, "{round_trips:?}");
        }
        assert_eq!(window_after(&[50_000, 50_000], false), START, "it was never the limit");
        assert_eq!(FLOOR, 128 * 1024);
    }

    #[test]
    fn there_is_room_for_a_small_body_or_none() {
        for left in [0, 1, u64::from(SMALL_BODY) - 1, u64::from(SMALL_BODY), u64::from(SMALL_BODY) + 1] {
            let mut pacing = Pacing::new();
            pacing.on_sent((START - left) as usize, Instant::now());
            let enough = left >= u64::from(SMALL_BODY);
            assert_eq!((pacing.has_room(), pacing.room()), (enough, if enough { left } else { 0 }), "{left}");
        }
    }

    #[test]
    fn acknowledgements_must_be_of_enough_that_is_new_and_was_sent() {
        let now = Instant::now();
        let mut pacing = Pacing::new();
        let sent = ACK_EVERY + 100;
        pacing.on_sent(sent as usize, now);
        assert_eq!(pacing.on_ack(sent + 1, now), Err(PeerError::AckAhead { acked: sent + 1, sent }));
        for acked in [0, ACK_EVERY - 1] {
            assert_eq!(pacing.on_ack(acked, now), Err(PeerError::AckNoProgress { acked }));
        }
        assert_eq!(pacing.on_ack(ACK_EVERY, now), Ok(()));
        assert_eq!(pacing.on_ack(sent, now), Err(PeerError::AckNoProgress { acked: sent }));
    }

    #[test]
    fn a_receiver_acknowledges_every_64_kib_and_a_sender_can_always_go_on_then() {
        let mut pacing = Pacing::new();
        pacing.on_received(ACK_EVERY as usize - 1);
        assert_eq!(pacing.take_ack(), None);
        pacing.on_received(1);
        assert_eq!(pacing.take_ack(), Some(ACK_EVERY));
        assert_eq!(pacing.take_ack(), None);
        assert!(FLOOR - ACK_EVERY >= u64::from(SMALL_BODY));
    }
}
