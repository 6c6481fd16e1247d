//! Bytes that were received and not yet understood.

use bytes::{Buf, BytesMut};

/// A queue of bytes: fed at the end, read at the front.
///
/// It holds at most what one `receive` brought plus one header, as long as the driver heeds `wants_input`: body
/// bytes leave it at once.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: BytesMut,
}

impl Input {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.bytes.advance(count.min(self.bytes.len()));
    }

    /// Gives the memory back, at the end.
    pub(crate) fn clear(&mut self) {
        self.bytes = BytesMut::new();
    }
}
