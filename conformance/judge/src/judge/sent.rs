//! What the runner has sent: how many body bytes, and what it declared, as far as that can be told of bytes that may be
//! wrong on purpose.

use super::Accepts;
use crate::wire::{self, Frame, HEADER_WINDOW, Kind, LONGEST_HELLO};

/// The peer's direction of a connection.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// Not looked at yet.
    waiting: Vec<u8>,
    preface: bool,
    /// Bytes left of a frame whose header was looked at, and whether they are a body.
    left: u64,
    in_body: bool,
    /// Body bytes so far.
    pub body_bytes: u64,
    /// Limits in a Hello or Welcome that was sent.
    pub declared: Option<Accepts>,
    /// Whether a Welcome was sent.
    pub welcome: bool,
}

impl Sent {
    /// Takes note of bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
        while self.step() {}
    }

    /// Whether what comes next is the beginning of a frame.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.preface && self.left == 0 && self.waiting.is_empty()
    }

    fn step(&mut self) -> bool {
        if self.left > 0 {
            let count = self.waiting.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.waiting.drain(..count);
            self.left -= count as u64;
            self.body_bytes += if self.in_body { count as u64 } else { 0 };
            return count > 0;
        }
        if !self.preface {
            self.preface = self.waiting.len() >= wire::PREFACE.len();
            self.waiting.drain(..if self.preface { wire::PREFACE.len() } else { 0 });
            return self.preface;
        }
        let Some((length, rest)) = self.waiting.split_first_chunk::<4>() else { return false };
        let length = u32::from_le_bytes(*length);
        let Some(kind) = rest.first().map(|&number| Kind::from_number(number)) else { return false };
        let window = if kind == Some(Kind::Hello) { LONGEST_HELLO } else { HEADER_WINDOW };
        let head = length.min(window) as usize;
        if rest.len() < head {
            return false;
        }
        let header = kind.filter(|_| length > 0).and_then(|kind| {
            let (value, used) = wire::header(kind).decode(&rest[1..head]).ok()?;
            Some((kind, value, used as u32))
        });
        let used = header.as_ref().map_or(0, |(_, _, used)| used + 1);
        if let Some((kind, header, _)) = header {
            self.note(&Frame { kind, header, body: Vec::new(), whole: Vec::new() });
            self.in_body = kind.has_body();
        } else {
            self.in_body = false;
        }
        self.left = u64::from(length - used);
        self.waiting.drain(..4 + used as usize);
        true
    }

    fn note(&mut self, frame: &Frame) {
        if matches!(frame.kind, Kind::Hello | Kind::Welcome) {
            let limit = |name: &str| frame.header["limits"][name].as_u64().unwrap_or(0);
            self.declared = Some(Accepts { max_frame: limit("max_frame"), max_body: limit("max_body") });
            self.welcome |= frame.kind == Kind::Welcome;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::from_hex;

    #[test]
    fn body_bytes_count_when_they_come() {
        let mut sent = Sent::default();
        let request = from_hex("10000000100280060400008080010000").expect("hex");
        let bytes = [&wire::PREFACE[..], &request, b"ping"].concat();
        for (at, byte) in bytes.iter().enumerate() {
            sent.add(&[*byte]);
            // The header is looked at when all of this short frame is there.
            assert_eq!(sent.body_bytes, if at + 1 == bytes.len() { 4 } else { 0 }, "{at}");
        }
    }
}
