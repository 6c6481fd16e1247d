//! From bytes to frames: one frame, or one piece of a body, at a time.

use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Connection, Phase, Reading};
use crate::calls::Reply;
use crate::config::{MAX_UNKNOWN_IN_A_ROW, SMALL_BODY};
use crate::error::{CloseReason, ForeignProtocol, PeerError};
use crate::event::Event;
use crate::frame::{Kind, MAX_HEADER, MAX_HELLO, PREFACE, decode_header};

impl Connection {
    /// Takes bytes that came from the peer; understood when events are pulled. Never fails: what is wrong with them
    /// ends the connection with an event.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) {
        self.advance(now);
        if self.is_closed() || self.eof || bytes.is_empty() {
            return;
        }
        self.stats.bytes_received = self.stats.bytes_received.saturating_add(bytes.len() as u64);
        self.keepalive.last_received = self.now;
        self.input.push(bytes);
    }

    /// The peer will send no more. What it sent before is still understood.
    pub fn receive_eof(&mut self) {
        self.eof = true;
    }

    /// The next thing the application should know. `None` until more input comes or time passes.
    #[must_use = "an event that is not handled is lost: a request would never be answered"]
    pub fn poll_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.is_closed() {
                return None;
            }
            match self.step() {
                Ok(true) => self.drain_if_idle(),
                Ok(false) if self.eof && !matches!(self.phase, Phase::Deciding { .. }) => self.on_eof(),
                Ok(false) => return None,
                Err(error) => self.violation(error),
            }
        }
    }

    /// The stream ended. What it began with may still tell why.
    fn on_eof(&mut self) {
        let first = self.input.bytes();
        if matches!(self.reading, Reading::Preface) && !PREFACE.starts_with(first) {
            self.violation(PeerError::Preface(guess_protocol(first)));
        } else {
            self.end(CloseReason::Eof, None);
        }
    }

    /// Understands a little more of the input. `false` if that takes more bytes, or the router's decision.
    fn step(&mut self) -> Result<bool, PeerError> {
        match self.reading {
            Reading::Preface => self.read_preface(),
            Reading::Frame if matches!(self.phase, Phase::Deciding { .. }) => Ok(false),
            Reading::Frame => self.read_frame(),
            Reading::RequestBody { .. } | Reading::ReplyBody { .. } | Reading::Skipped { .. } => {
                Ok(self.read_content())
            }
        }
    }

    fn read_preface(&mut self) -> Result<bool, PeerError> {
        let Some(have) = self.input.bytes().first_chunk::<8>() else { return Ok(false) };
        if *have != PREFACE {
            return Err(PeerError::Preface(guess_protocol(have)));
        }
        self.input.consume(PREFACE.len());
        self.reading = Reading::Frame;
        Ok(true)
    }

    /// Looks at the next frame once its header must be there.
    fn read_frame(&mut self) -> Result<bool, PeerError> {
        let Some((length, rest)) = self.input.bytes().split_first_chunk::<4>() else { return Ok(false) };
        let length = u32::from_le_bytes(*length);
        let (limit, head) = match self.phase {
            Phase::AwaitingHello { .. } => (MAX_HELLO, MAX_HELLO),
            Phase::AwaitingWelcome { .. } => (MAX_HEADER, MAX_HEADER),
            _ => (self.config.limits.max_frame, MAX_HEADER),
        };
        if length == 0 {
            return Err(PeerError::FrameEmpty);
        }
        if length > limit {
            return Err(PeerError::FrameTooLarge { length, limit });
        }
        let Some(&number) = rest.first() else { return Ok(false) };
        let Some(kind) = Kind::from_number(number) else { return self.skip_unknown(number, length) };
        self.check_place(kind)?;
        if !kind.carries_body() && length > head {
            return Err(PeerError::FrameTooLarge { length, limit: head });
        }
        let there = length.min(head);
        if rest.len() < there as usize {
            return Ok(false);
        }
        self.unknown_in_a_row = 0;
        self.read_header(kind, length, there)?;
        Ok(true)
    }

    fn read_header(&mut self, kind: Kind, length: u32, there: u32) -> Result<(), PeerError> {
        let at = (kind, length, there);
        match kind {
            Kind::Hello => self.take(at).and_then(|(hello, _)| self.on_hello(&hello)),
            Kind::Welcome => self.take(at).and_then(|(welcome, _)| self.on_welcome(welcome)),
            Kind::Reject => self.take(at).and_then(|(reject, _)| self.on_reject(reject)),
            Kind::Request => self.take(at).and_then(|(request, left)| self.on_request(request, left)),
            Kind::Response => self.take(at).and_then(|(response, left)| self.on_response(response, left)),
            Kind::PacketChunk => self.take(at).and_then(|(chunk, left)| self.on_chunk(&chunk, left)),
            Kind::Error => self.take(at).and_then(|(error, _)| self.on_error(error)),
            Kind::Cancel => self.take(at).and_then(|(cancel, _)| self.on_cancel(&cancel)),
            Kind::Ack => self.take(at).and_then(|(ack, _)| self.on_ack(&ack)),
            Kind::Ping => self.take(at).map(|(ping, _)| self.on_ping(&ping)),
            Kind::Pong => self.take(at).and_then(|(pong, _)| self.on_pong(&pong)),
            Kind::GoAway => self.take(at).map(|(goaway, _)| self.on_goaway(&goaway)),
            Kind::Close => self.take(at).map(|(close, _)| self.on_close(close)),
        }
    }

    /// Takes a header out of the input; returns it with the number of body bytes in its frame.
    fn take<T>(&mut self, (kind, length, there): (Kind, u32, u32)) -> Result<(T, u32), PeerError>
    where
        T: DeserializeOwned + Serialize,
    {
        let head = self.input.bytes().get(5..(there as usize).saturating_add(4)).unwrap_or_default();
        let (header, used) = decode_header(kind, head)?;
        let used = u32::try_from(used).unwrap_or(u32::MAX).saturating_add(1);
        let left = length.saturating_sub(used);
        if left > 0 && !kind.carries_body() {
            return Err(PeerError::Malformed { frame: kind.name(), detail: "bytes behind the last field" });
        }
        self.input.consume((used as usize).saturating_add(4));
        Ok((header, left))
    }

    /// Whether a frame of this kind has a place in this phase.
    fn check_place(&self, kind: Kind) -> Result<(), PeerError> {
        let allowed = match self.phase {
            Phase::AwaitingHello { .. } => kind == Kind::Hello,
            Phase::AwaitingWelcome { .. } => matches!(kind, Kind::Welcome | Kind::Reject),
            Phase::Open(_) => !matches!(kind, Kind::Hello | Kind::Welcome | Kind::Reject),
            Phase::Deciding { .. } | Phase::Closed(_) => false,
        };
        if allowed { Ok(()) } else { Err(PeerError::UnexpectedFrame { frame: kind.name() }) }
    }

    fn skip_unknown(&mut self, number: u8, length: u32) -> Result<bool, PeerError> {
        if number <= Kind::LAST_CRITICAL || !matches!(self.phase, Phase::Open(_)) {
            return Err(PeerError::UnknownKind { kind: number });
        }
        self.unknown_in_a_row = self.unknown_in_a_row.saturating_add(1);
        if self.unknown_in_a_row > MAX_UNKNOWN_IN_A_ROW {
            return Err(PeerError::TooManyUnknown { limit: MAX_UNKNOWN_IN_A_ROW });
        }
        self.input.consume(4);
        self.reading = Reading::Skipped { left: length };
        Ok(true)
    }

    /// Moves what is there of a frame's content to where it belongs. `false` if nothing is.
    fn read_content(&mut self) -> bool {
        let (Reading::RequestBody { left, .. } | Reading::ReplyBody { left, .. } | Reading::Skipped { left }) =
            self.reading
        else {
            return false;
        };
        let count = self.input.len().min(left as usize);
        let part = self.input.bytes().get(..count).unwrap_or_default();
        let assembly = match self.reading {
            Reading::RequestBody { id, .. } => self.served.get_mut(id).map(|served| &mut served.body),
            Reading::ReplyBody { key, .. } => match self.calls.get_mut(key).map(|call| &mut call.reply) {
                Some(Reply::Arriving { assembly, .. }) => Some(assembly),
                _ => None,
            },
            _ => None,
        };
        if let Some(assembly) = assembly {
            assembly.extend(part);
        }
        if !matches!(self.reading, Reading::Skipped { .. }) {
            self.count_body_bytes(count);
        }
        self.input.consume(count);
        self.finish_content(left.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX)));
        count > 0 || left == 0
    }

    /// A small body that came whole, with its header's frame: what most calls have needs no assembly.
    pub(super) fn take_whole_body(&mut self, in_frame: u32, body_len: u32) -> Option<Bytes> {
        if in_frame < body_len || body_len > SMALL_BODY {
            return None;
        }
        let bytes = Bytes::copy_from_slice(self.input.bytes().get(..body_len as usize)?);
        self.count_body_bytes(bytes.len());
        self.input.consume(bytes.len());
        Some(bytes)
    }

    /// Body bytes are acknowledged as they come, whatever they are for.
    fn count_body_bytes(&mut self, count: usize) {
        self.pacing.on_received(count);
        if self.pacing.ack_due() {
            self.note_more_output();
        }
    }

    /// Goes on with what is left of a frame's content, or with the next frame.
    fn finish_content(&mut self, still: u32) {
        match &mut self.reading {
            Reading::RequestBody { left, .. }
            | Reading::ReplyBody { left, .. }
            | Reading::Skipped { left }
                if still > 0 =>
            {
                *left = still;
            }
            reading => match std::mem::replace(reading, Reading::Frame) {
                Reading::RequestBody { id, .. } => self.after_request_body(id),
                Reading::ReplyBody { key, .. } => self.after_reply_body(key),
                _ => {}
            },
        }
    }
}

/// A guess from up to eight bytes.
fn guess_protocol(first: &[u8]) -> ForeignProtocol {
    const HTTP: [&[u8]; 8] =
        [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"PRI ", b"OPTIONS ", b"DELETE ", b"CONNECT "];
    // A handshake record, or the alert of a server that understands nothing.
    if first.starts_with(&[0x16, 0x03]) || first.starts_with(&[0x15, 0x03]) {
        ForeignProtocol::Tls
    } else if HTTP.iter().any(|method| first.starts_with(method)) || first.starts_with(b"HTTP/") {
        ForeignProtocol::Http
    } else if first.starts_with(b"SSH-") {
        ForeignProtocol::Ssh
    } else if first.starts_with(b"NOVA") {
        ForeignProtocol::OtherMajor
    } else if first.get(2..4) == Some(&[0, 0]) && first.first_chunk::<4>() != Some(&[0; 4]) {
        // v2 begins with a little-endian length, and its hello is far below 64 KiB.
        ForeignProtocol::LockstepV2
    } else {
        ForeignProtocol::Unknown
    }
}
