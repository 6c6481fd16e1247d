//! A body that arrives in parts.

use bytes::Bytes;

/// Bytes of one body: kept, or counted and thrown away.
#[derive(Debug)]
pub(crate) struct Assembly {
    declared: u32,
    arrived: u32,
    kept: Option<Vec<u8>>,
}

impl Assembly {
    pub(crate) fn new(declared: u32) -> Self {
        Self { declared, arrived: 0, kept: Some(Vec::new()) }
    }

    /// How much is still to come.
    pub(crate) fn left(&self) -> u32 {
        self.declared.saturating_sub(self.arrived)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.left() == 0
    }

    /// Adds what came. The buffer doubles, but never past what was declared, and never ahead of what has come by
    /// more than a factor of two.
    pub(crate) fn extend(&mut self, part: &[u8]) {
        let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
        self.arrived = self.arrived.saturating_add(len).min(self.declared);
        let Some(kept) = &mut self.kept else { return };
        let needed = kept.len().saturating_add(part.len());
        if needed > kept.capacity() {
            let doubled = kept.capacity().saturating_mul(2).min(self.declared as usize).max(needed);
            kept.reserve_exact(doubled.saturating_sub(kept.len()));
        }
        kept.extend_from_slice(part);
    }

    /// From here on bytes are only counted.
    pub(crate) fn discard(&mut self) {
        self.kept = None;
    }

    /// The whole body, unless it was thrown away.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        self.kept.take().map(Bytes::from)
    }
}
