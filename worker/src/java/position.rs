//! Turns byte offsets into lines and columns.

use memchr::{memchr, memchr_iter, memchr2_iter, memrchr};

use super::steps;

/// Answers for growing offsets, so that a whole file costs one pass over its text.
#[derive(Debug)]
pub(super) struct Locator<'a> {
    bytes: &'a [u8],
    /// Whether a `\r` occurs at all: without one, line ends are counted by a much faster search.
    has_returns: bool,
    offset: usize,
    line: u32,
    column: u32,
}

impl<'a> Locator<'a> {
    /// A locator at the start of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        Self { bytes, has_returns: memchr(b'\r', bytes).is_some(), offset: 0, line: 1, column: 1 }
    }

    /// 1-based line and 1-based UTF-16 column of `offset`, which must not precede the one asked for before.
    pub(super) fn locate(&mut self, offset: usize) -> (u32, u32) {
        let segment = self.bytes.get(self.offset..offset).unwrap_or_default();
        steps::count(segment.len());
        let (ends, tail) = if self.has_returns { mixed_line_ends(segment) } else { newlines(segment) };
        if ends > 0 {
            self.line = self.line.saturating_add(ends);
            self.column = 1;
        }
        self.column = self.column.saturating_add(utf16_len(tail));
        self.offset = self.offset.max(offset);
        (self.line, self.column)
    }
}

/// How many lines end in `segment`, and what follows the last end.
fn newlines(segment: &[u8]) -> (u32, &[u8]) {
    let Some(last) = memrchr(b'\n', segment) else { return (0, segment) };
    let count = memchr_iter(b'\n', segment).count();
    (u32::try_from(count).unwrap_or(u32::MAX), &segment[last + 1..])
}

/// Like [`newlines`] for text in which `\r` and `\r\n` end lines too.
fn mixed_line_ends(segment: &[u8]) -> (u32, &[u8]) {
    let mut count = 0_u32;
    let mut tail = 0;
    for at in memchr2_iter(b'\n', b'\r', segment) {
        tail = at + 1;
        // The `\n` of a pair counts for both.
        if segment[at] == b'\n' || segment.get(at + 1) != Some(&b'\n') {
            count = count.saturating_add(1);
        }
    }
    (count, &segment[tail..])
}

/// The UTF-16 length of UTF-8 bytes: one unit per character, two for those that take four bytes.
fn utf16_len(bytes: &[u8]) -> u32 {
    if bytes.is_ascii() {
        return u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    }
    bytes.iter().map(|&byte| u32::from(byte & 0xC0 != 0x80) + u32::from(byte >= 0xF0)).sum()
}

#[cfg(test)]
mod tests {
    use super::Locator;

    #[test]
    fn every_kind_of_line_end_counts_once() {
        let text = "a\nb\r\nc\rd\n\re";
        let mut locator = Locator::new(text);
        let found: Vec<_> =
            "abcde".chars().map(|name| locator.locate(text.find(name).expect("is in the text"))).collect();
        assert_eq!(found, [(1, 1), (2, 1), (3, 1), (4, 1), (6, 1)]);
    }

    #[test]
    fn columns_count_utf16_units() {
        let text = "é x\n😀€ y z";
        let mut locator = Locator::new(text);
        let mut at = |name| locator.locate(text.find(name).expect("is in the text"));
        assert_eq!(at('x'), (1, 3));
        assert_eq!(at('y'), (2, 5));
        assert_eq!(at('z'), (2, 7));
    }
}
