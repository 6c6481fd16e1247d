//! Buffers of large bodies, to be used again: fresh memory costs five times the copy into it, and giving 64 MiB back holds
//! everything else up for milliseconds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::assembly::Assembly;

/// Shorter bodies are what allocators are good at.
const LARGE: usize = 1024 * 1024;

/// A buffer is used for what fills all of it but this part.
const SLACK: usize = 8;

/// How long buffers are kept after the last large body.
const KEPT: Duration = Duration::from_secs(10);

/// Owners of the bodies that were handed out last, besides the application: once it has dropped its own, the buffer is free
/// for another body. Nothing waits for that, and a body that stays in use costs nothing here.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    lent: VecDeque<Lent>,
    until: Option<Instant>,
}

/// A body, and how much memory its buffer takes.
#[derive(Debug)]
struct Lent {
    bytes: Bytes,
    capacity: usize,
}

impl Spares {
    /// A place for a body, in a buffer that is free and holds it, and is not much larger.
    pub(crate) fn assembly(&mut self, declared: u32) -> Assembly {
        if self.lent.is_empty() || (declared as usize) < LARGE {
            return Assembly::new(declared, Vec::new());
        }
        let least = declared as usize;
        let fits = least..=least.saturating_add(least / SLACK);
        let place = self.lent.iter().position(|lent| fits.contains(&lent.capacity) && lent.bytes.is_unique());
        let spare =
            place.and_then(|place| self.lent.remove(place)?.bytes.try_into_mut().ok()).map(|mut spare| {
                spare.clear();
                Vec::from(spare)
            });
        Assembly::new(declared, spare.unwrap_or_default())
    }

    /// A body is handed out, in a buffer of this capacity. Together those of which this is another owner take `most` bytes
    /// at most.
    pub(crate) fn lend(&mut self, body: &Bytes, capacity: usize, most: usize, now: Instant) {
        if body.len() < LARGE {
            return;
        }
        self.lent.push_back(Lent { bytes: body.clone(), capacity });
        self.until = now.checked_add(KEPT);
        let mut total = self.lent.iter().map(|lent| lent.capacity).fold(0, usize::saturating_add);
        while total > most {
            total = total.saturating_sub(self.lent.pop_front().map_or(total, |oldest| oldest.capacity));
        }
    }

    /// When buffers are given back that nobody has used.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Gives back what is too old.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests stand outside the core: they make its time")]
mod tests {
    use super::*;

    /// A body that was assembled in `spares` and lent, of which the application has dropped its own.
    fn used(spares: &mut Spares, len: usize, now: Instant) -> *const u8 {
        let mut assembly = spares.assembly(len as u32);
        assembly.extend(&vec![7; len]);
        let capacity = assembly.capacity();
        let body = assembly.take().expect("kept");
        assert_eq!((body.len(), body.iter().all(|byte| *byte == 7)), (len, true));
        spares.lend(&body, capacity, 4 * LARGE, now);
        body.as_ptr()
    }

    #[test]
    fn a_buffer_is_used_again_once_its_body_was_dropped() {
        let (mut spares, now) = (Spares::default(), Instant::now());
        let first = used(&mut spares, 2 * LARGE, now);
        assert_eq!(used(&mut spares, 2 * LARGE, now), first);
        assert_eq!(used(&mut spares, 2 * LARGE - 7, now), first, "for a shorter one, too");
        let in_use = spares.lent.front().map(|lent| lent.bytes.clone());
        assert_ne!(used(&mut spares, 2 * LARGE, now), first, "the application has it");
        drop(in_use);
    }

    #[test]
    fn a_buffer_is_not_for_what_is_much_shorter_nor_for_more_than_it_holds() {
        let (mut spares, now) = (Spares::default(), Instant::now());
        used(&mut spares, 9 * LARGE / 4, now);
        for other in [LARGE - 1, LARGE, 2 * LARGE - 1, 9 * LARGE / 4 + 1] {
            assert_eq!(spares.assembly(other as u32).capacity(), 0, "{other}");
        }
        assert_eq!(spares.assembly(LARGE as u32 * 2).capacity(), 9 * LARGE / 4);
    }

    /// Else every use for a somewhat shorter body would make it seem smaller.
    #[test]
    fn what_a_buffer_takes_is_counted_and_not_what_lies_in_it() {
        let (mut spares, now) = (Spares::default(), Instant::now());
        for len in [4 * LARGE, 4 * LARGE - LARGE / 4, 4 * LARGE - LARGE / 2, 3 * LARGE, LARGE] {
            used(&mut spares, len, now);
            let kept: usize = spares.lent.iter().map(|lent| lent.capacity).sum();
            assert!(kept <= 4 * LARGE, "{kept}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes_and_time() {
        let (mut spares, now) = (Spares::default(), Instant::now());
        let bodies: Vec<Bytes> = (0..10).map(|_| vec![7; LARGE].into()).collect();
        for body in &bodies {
            spares.lend(body, LARGE, 4 * LARGE, now);
        }
        assert_eq!(spares.lent.len(), 4);
        spares.lend(&Bytes::from(vec![7; LARGE - 1]), LARGE - 1, 4 * LARGE, now);
        assert_eq!(spares.lent.len(), 4, "small ones are not kept");
        spares.lend(&Bytes::from(vec![7; 5 * LARGE]), 5 * LARGE, 4 * LARGE, now);
        assert_eq!(spares.lent.len(), 0, "nor what is too large");
        spares.lend(&bodies[0], LARGE, 4 * LARGE, now);
        assert_eq!(spares.until(), Some(now + KEPT));
        spares.expire(now + KEPT - Duration::from_nanos(1));
        assert_eq!(spares.lent.len(), 1);
        spares.expire(now + KEPT);
        assert_eq!((spares.lent.len(), spares.until()), (0, None));
    }
}
