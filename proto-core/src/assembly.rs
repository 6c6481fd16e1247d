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
    /// In `buffer`, which is empty.
    pub(crate) fn new(declared: u32, buffer: Vec<u8>) -> Self {
        Self { declared, arrived: 0, kept: Some(buffer) }
    }

    /// How much memory the buffer takes.
    pub(crate) fn capacity(&self) -> usize {
        self.kept.as_ref().map_or(0, Vec::capacity)
    }

    /// How much is still to come.
    pub(crate) fn left(&self) -> u32 {
        self.declared.saturating_sub(self.arrived)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.left() == 0
    }

    /// Adds what came.
    pub(crate) fn extend(&mut self, part: &[u8]) {
        let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
        self.arrived = self.arrived.saturating_add(len).min(self.declared);
        if let Some(kept) = &mut self.kept {
            append(kept, part, self.declared as usize);
        }
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

/// Adds a part to a body. The buffer grows to a half, a quarter, … of what was declared: never ahead of what has come by
/// more than a factor of two, and when it moves, old and new are one and a half bodies at most.
pub(crate) fn append(body: &mut Vec<u8>, part: &[u8], declared: usize) {
    let needed = body.len().saturating_add(part.len());
    if needed > body.capacity() {
        let mut room = declared.max(needed);
        while room.div_ceil(2) >= needed && room > 1 {
            room = room.div_ceil(2);
        }
        body.reserve_exact(room.saturating_sub(body.len()));
    }
    body.extend_from_slice(part);
}
