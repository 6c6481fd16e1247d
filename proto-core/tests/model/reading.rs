//! Bytes of the peer to frames, and the handshake: sections 3, 4, 8 and 22.

use std::time::{Duration, Instant};

use nova_proto_core::{Agreed, CallError, CloseCode, ErrorCode, ErrorReply, Event, Limits, Retry};

use super::frame::{Frame, carries_body, check_ext, check_limits, is_known, parse, twice};
use super::session::{End, Farewell, Phase, Ping, Session, Sink};
use crate::common::wire;

impl Session {
    pub(crate) fn receive(&mut self, bytes: &[u8], now: Instant) {
        self.now = now;
        if !bytes.is_empty() {
            self.last_byte = now;
            if self.ping == Ping::Due {
                self.ping = Ping::Optional;
            }
        }
        self.inbox.extend_from_slice(bytes);
        self.read();
    }

    pub(crate) fn receive_eof(&mut self) {
        self.eof = true;
        self.read();
    }

    pub(crate) fn read(&mut self) {
        while !matches!(self.phase, Phase::Deciding | Phase::Closed) {
            match self.step() {
                // R-16-6: as soon as nothing is open.
                Ok(true) if self.is_drained() => {
                    self.close(End::Local(CloseCode::DRAINED), CloseCode::DRAINED);
                }
                Ok(true) => {}
                Ok(false) if self.eof => self.end(End::Eof, None),
                Ok(false) => break,
                Err(CloseCode::BAD_PREFACE) => self.end(End::Violation(CloseCode::BAD_PREFACE), None),
                Err(code) if self.phase == Phase::AwaitingHello => {
                    self.end(End::Violation(code), Some(Farewell::Reject(code, 0)));
                }
                Err(code) => self.close(End::Violation(code), code),
            }
        }
    }

    fn step(&mut self) -> Result<bool, CloseCode> {
        if !self.preface_seen {
            let start = &self.inbox[..self.inbox.len().min(8)];
            if start.len() < 8 && (!self.eof || wire::PREFACE.starts_with(start)) {
                return Ok(false);
            }
            self.preface_seen = start == wire::PREFACE;
            if !self.preface_seen {
                return Err(CloseCode::BAD_PREFACE);
            }
            self.inbox.drain(..8);
        }
        match self.current {
            None => self.examine(),
            Some(_) if self.inbox.is_empty() => Ok(false),
            Some((sink, left)) => {
                let count = left.min(self.inbox.len());
                let bytes: Vec<u8> = self.inbox.drain(..count).collect();
                self.current = (count < left).then_some((sink, left - count));
                self.body(sink, &bytes);
                Ok(true)
            }
        }
    }

    /// Section 22.1, at the times of section 4.1.
    fn examine(&mut self) -> Result<bool, CloseCode> {
        let Some(length) = self.inbox.first_chunk().map(|length| u32::from_le_bytes(*length)) else {
            return Ok(false);
        };
        let limit = match self.phase {
            Phase::AwaitingHello => 16_384,
            Phase::AwaitingWelcome => 1024,
            _ => self.config.limits.max_frame,
        };
        if length == 0 {
            return Err(CloseCode::FRAME_EMPTY);
        }
        if length > limit {
            return Err(CloseCode::FRAME_TOO_LARGE);
        }
        let (length, Some(&kind)) = (length as usize, self.inbox.get(4)) else { return Ok(false) };
        if !is_known(kind) {
            if kind <= 0x7f || !self.is_open() {
                return Err(CloseCode::UNKNOWN_KIND);
            }
            self.unknown_in_a_row += 1;
            if self.unknown_in_a_row > 100 {
                return Err(CloseCode::TOO_MANY_UNKNOWN);
            }
            self.inbox.drain(..5);
            self.current = (length > 1).then_some((Sink::Skip, length - 1));
            return Ok(true);
        }
        let has_place = match self.phase {
            Phase::AwaitingHello => kind == wire::HELLO,
            Phase::AwaitingWelcome => matches!(kind, wire::WELCOME | wire::REJECT),
            _ => kind >= wire::REQUEST,
        };
        if !has_place {
            return Err(CloseCode::UNEXPECTED_FRAME);
        }
        let window = if kind == wire::HELLO { 16_384 } else { 1024 };
        if !carries_body(kind) && length > window {
            return Err(CloseCode::FRAME_TOO_LARGE);
        }
        let window = length.min(window);
        if self.inbox.len() < 4 + window {
            return Ok(false);
        }
        let (frame, end) = parse(&self.inbox[4..4 + window], length)?;
        self.unknown_in_a_row = 0;
        self.inbox.drain(..4 + end);
        let left = length - end;
        let sink = self.frame(frame, left as u64)?;
        self.current = (left > 0).then_some((sink, left));
        if left == 0 {
            self.body(sink, &[]);
        }
        Ok(true)
    }

    /// Section 22.2.
    fn frame(&mut self, frame: Frame, carried: u64) -> Result<Sink, CloseCode> {
        match frame {
            Frame::Hello { versions, limits, features, compression, app, ext } => {
                check_ext(&ext)?;
                self.hello(versions, limits, features, compression)?;
                self.phase = Phase::Deciding;
                self.observe(Event::Hello { app: app.into() });
            }
            Frame::Welcome { version, limits, features, compression, app, ext } => {
                check_ext(&ext)?;
                self.welcome(version, limits, features, &compression)?;
                self.phase = Phase::Open;
                let agreed = self.agreed.clone().expect("just now");
                self.observe(Event::Connected { agreed, app: app.into() });
            }
            Frame::Reject { code, retry_after_ms, ext } => {
                check_ext(&ext)?;
                self.end(End::Rejected(CloseCode(code), Duration::from_millis(retry_after_ms)), None);
            }
            Frame::Request(ask) => return self.request(ask, carried),
            Frame::Response { id, length, ext } => return self.response(id, length, &ext, carried),
            Frame::Chunk { id } => return self.chunk(id, carried),
            Frame::Error { id, code, retry, retry_after_ms, message, ext } => {
                let key = self.open_call(id)?;
                check_ext(&ext)?;
                let retry = match (retry, retry_after_ms) {
                    (0, 0) => Retry::Never,
                    (1, ms) => Retry::Later(Duration::from_millis(ms)),
                    (2, 0) => Retry::Elsewhere,
                    _ => return Err(CloseCode::MALFORMED),
                };
                self.answered(
                    key,
                    Err(CallError::Remote(ErrorReply { code: ErrorCode(code), retry, message })),
                );
            }
            Frame::Cancel { id } => self.cancelled(id)?,
            Frame::Ack { received } => {
                if received > self.sent {
                    return Err(CloseCode::ACK_AHEAD);
                }
                if received < self.peer_acked + 65_536 {
                    return Err(CloseCode::ACK_NO_PROGRESS);
                }
                self.peer_acked = received;
                self.unacked_since = (self.sent - received >= 65_536).then_some(self.now);
            }
            Frame::Ping { nonce } => self.pong = Some(nonce),
            Frame::Pong { nonce } => {
                if self.ping != Ping::Sent(nonce) {
                    return Err(CloseCode::UNEXPECTED_PONG);
                }
                self.ping = Ping::None;
            }
            Frame::GoAway { deadline_ms } => {
                if self.peer_drains.is_none() {
                    let within = Duration::from_millis(deadline_ms);
                    self.peer_drains = Some(self.now + within + self.config.timers.stall);
                    self.observe(Event::Draining { within });
                    self.fail_waiting();
                }
            }
            Frame::Close { code, last_id } => self.end(End::Peer(CloseCode(code), last_id), None),
        }
        Ok(Sink::Skip)
    }

    fn hello(
        &mut self,
        versions: Vec<(u64, u64)>,
        limits: Limits,
        features: u64,
        compression: Vec<u8>,
    ) -> Result<(), CloseCode> {
        let majors = versions.iter().map(|(major, _)| *major);
        if versions.is_empty() || twice(majors) || twice(&compression) || compression.contains(&0) {
            return Err(CloseCode::BAD_OFFER);
        }
        check_limits(&limits)?;
        let common = versions.iter().filter_map(|&(major, minor)| {
            let ours = self.config.versions.iter().find(|ours| u64::from(ours.0) == major)?;
            Some((ours.0, ours.1.min(minor as u16)))
        });
        self.agreed = Some(Agreed {
            version: common.max().ok_or(CloseCode::UNSUPPORTED_VERSION)?,
            peer_limits: limits,
            cancellation: self.config.cancellation && features & 1 != 0,
            zstd: self.config.zstd && compression.contains(&1),
        });
        Ok(())
    }

    fn welcome(
        &mut self,
        version: (u64, u64),
        limits: Limits,
        features: u64,
        compression: &[u8],
    ) -> Result<(), CloseCode> {
        let offered = |ours: &(u16, u16)| u64::from(ours.0) == version.0 && version.1 <= u64::from(ours.1);
        let good = self.config.versions.iter().any(offered)
            && features & !u64::from(self.config.cancellation) == 0
            && compression.iter().all(|number| *number == 1 && self.config.zstd)
            && !twice(compression);
        if !good {
            return Err(CloseCode::BAD_WELCOME);
        }
        check_limits(&limits)?;
        self.agreed = Some(Agreed {
            version: (version.0 as u16, version.1 as u16),
            peer_limits: limits,
            cancellation: features & 1 != 0,
            zstd: !compression.is_empty(),
        });
        Ok(())
    }
}
