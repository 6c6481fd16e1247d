//! A fuzzer's bytes, read as a program: every input is one, and small changes of the bytes are small changes of it.

/// Lengths where something changes: nothing, the smallest chunk, the largest small body, the small limits.
const EDGES: [u32; 16] =
    [0, 1, 2, 100, 1000, 4095, 4096, 4097, 8192, 16_000, 16_383, 16_384, 16_385, 40_000, 65_535, 65_536];

#[derive(Debug)]
pub(crate) struct Program<'a> {
    rest: &'a [u8],
}

impl<'a> Program<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// The next instruction; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// An argument; 0 behind the end.
    pub(crate) fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// A length: one of the edges, or any of 16 bits.
    pub(crate) fn length(&mut self) -> u32 {
        let byte = self.byte();
        EDGES.get(usize::from(byte)).copied().unwrap_or_else(|| u32::from(byte) << 8 | u32::from(self.byte()))
    }

    pub(crate) fn index(&mut self, len: usize) -> Option<usize> {
        (len > 0).then(|| usize::from(self.byte()) % len)
    }

    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, items: [T; N]) -> T {
        items[usize::from(self.byte()) % N]
    }

    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        bytes
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }
}
