//! From decisions to bytes: control first, then small bodies, then large ones in turn, encoded late.

use std::time::{Duration, Instant};

use super::{Bulk, Connection, Phase, later};
use crate::error::{CallError, CloseCode, CloseReason, ErrorReply, Retry};
use crate::event::{Body, CallKey, Event};
use crate::frame::{
    Ack, Cancel, Close, Error, Extensions, GoAway, PREFACE, PacketChunk, Ping, Pong, Reject, Request,
    Response, TRACE_CONTEXT, clip, encode_body_frame, encode_frame, encode_ignorable,
};
use crate::id::{RequestId, Role};
use crate::negotiate::{self, Agreed};
use crate::served::Stage;

/// The kind of frame that nobody knows, sent so that peers keep skipping such frames.
const GREASE_KIND: u8 = 0xca;

/// How many bytes of small frames may go before the next part of a large body has its turn.
const SMALL_RUN: usize = 65_536;

/// The extension that nobody knows.
const GREASE_TAG: u16 = 0xcaca;

impl Connection {
    /// Appends whole frames to `out` until at least `budget` bytes were added or nothing is left that may go now;
    /// one frame may pass the budget. Returns the number of bytes added: 0 means that there is nothing to send.
    ///
    /// What is decided later can overtake what waits here, but not what was handed out: keep the budget at what
    /// the transport takes at once, 64 KiB to 512 KiB.
    #[must_use = "0 means that there is nothing to send now"]
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>, budget: usize) -> usize {
        let start = out.len();
        let end = start.saturating_add(budget);
        out.append(&mut self.control.handshake);
        while out.len() < end && matches!(self.phase, Phase::Open(_)) {
            if !self.encode_control(out) && !self.encode_body(out, end) {
                break;
            }
        }
        self.drain_if_idle();
        if self.is_closed() {
            out.append(&mut self.control.farewell);
        }
        let added = out.len().saturating_sub(start);
        self.stats.bytes_sent = self.stats.bytes_sent.saturating_add(added as u64);
        if added > 0 {
            self.blocked_since = None;
        }
        self.note_output();
        added
    }

    /// Tells that the transport has taken some of what was handed out: the peer reads, however slowly. Without it the stall
    /// timer runs from when output was last asked for.
    pub fn wrote(&mut self, now: Instant) {
        self.advance(now);
        if self.blocked_since.is_some() {
            self.blocked_since = Some(self.now);
        }
    }

    /// Notes since when output waits, for the stall timer.
    pub(super) fn note_output(&mut self) {
        self.blocked_since = if self.has_output() { self.blocked_since.or(Some(self.now)) } else { None };
    }

    /// The same where something was only added: what waits already waits since then.
    pub(super) fn note_more_output(&mut self) {
        if self.blocked_since.is_none() {
            self.note_output();
        }
    }

    /// Runs a command that tells no time.
    pub(super) fn untimed(&mut self, command: impl FnOnce(&mut Self)) {
        let waited = self.blocked_since.is_some();
        command(self);
        self.blocked_untimed |= !waited;
    }

    /// Whether anything may go out now.
    fn has_output(&self) -> bool {
        let control = &self.control;
        if !control.handshake.is_empty() || !control.farewell.is_empty() {
            return true;
        }
        let Phase::Open(agreed) = &self.phase else { return false };
        let limits = self.effective_limits(agreed);
        control.goaway.is_some()
            || control.ping.is_some()
            || control.pong.is_some()
            || self.pacing.ack_due()
            || self.calls.cancel_ready()
            || self.served.answer_ready()
            || self.calls.small_ready(&limits)
            || (self.pacing.has_room() && (!self.bulk.is_empty() || self.calls.large_ready(&limits)))
    }

    // ---- handshake ---------------------------------------------------------------------------------------

    pub(super) fn start_handshake(&mut self) {
        if self.config.role == Role::Worker {
            let mut hello = negotiate::hello(&self.config);
            if self.config.grease {
                hello.ext.0.push((GREASE_TAG, bytes::Bytes::new()));
            }
            self.control.handshake.extend_from_slice(&PREFACE);
            encode_frame(&mut self.control.handshake, &hello);
        }
    }

    pub(super) fn send_welcome(&mut self, agreed: &Agreed, app: bytes::Bytes) {
        let welcome = negotiate::welcome(&self.config, agreed, app);
        self.control.handshake.extend_from_slice(&PREFACE);
        encode_frame(&mut self.control.handshake, &welcome);
        if self.config.grease {
            encode_ignorable(&mut self.control.handshake, GREASE_KIND, b"skip me");
        }
    }

    pub(super) fn send_reject(&mut self, code: CloseCode, retry_after: Duration, message: &str) {
        let retry_after_ms = millis(retry_after);
        let reject = Reject { code: code.0, retry_after_ms, message: clip(message), ext: Extensions::none() };
        self.control.farewell.extend_from_slice(&PREFACE);
        encode_frame(&mut self.control.farewell, &reject);
    }

    pub(super) fn send_close(&mut self, code: CloseCode, message: &str) {
        let last_id = self.served.highest().map_or(0, RequestId::get);
        let close = Close { code: code.0, last_id, message: clip(message) };
        encode_frame(&mut self.control.farewell, &close);
    }

    // ---- control -----------------------------------------------------------------------------------------

    /// Encodes one control frame, if one is due.
    fn encode_control(&mut self, out: &mut Vec<u8>) -> bool {
        if let Some(within) = self.control.goaway.take() {
            encode_frame(out, &GoAway { deadline_ms: millis(within) });
        } else if let Some(nonce) = self.control.pong.take() {
            encode_frame(out, &Pong { nonce });
        } else if let Some(nonce) = self.control.ping.take() {
            if let Some(outstanding) = &mut self.keepalive.outstanding {
                outstanding.sent = Some(self.now);
            }
            encode_frame(out, &Ping { nonce });
        } else if let Some(received) = self.pacing.take_ack() {
            encode_frame(out, &Ack { received });
        } else if let Some((key, id)) = self.calls.next_cancel() {
            self.bulk.retain(|bulk| *bulk != Bulk::Call(key));
            encode_frame(out, &Cancel { id: id.get() });
        } else if let Some((id, error)) = self.served.next_error() {
            encode_frame(out, &error_frame(id, &error));
        } else {
            return false;
        }
        true
    }

    // ---- bodies ------------------------------------------------------------------------------------------

    /// Encodes the next frame with a body: a small one, unless many small ones have gone before a large one that may go,
    /// too. So large bodies get on, however many small ones there are.
    fn encode_body(&mut self, out: &mut Vec<u8>, end: usize) -> bool {
        let start = out.len();
        if self.small_run < SMALL_RUN && self.encode_small(out) {
            self.small_run = self.small_run.saturating_add(out.len().saturating_sub(start));
            return true;
        }
        self.small_run = 0;
        self.encode_bulk(out, end) || self.encode_small(out)
    }

    /// Encodes one response or request that fits a frame and needs no window.
    fn encode_small(&mut self, out: &mut Vec<u8>) -> bool {
        if let Some((id, body)) = self.served.next_small() {
            let header = response_frame(id, &body);
            let sent = encode_body_frame(out, &header, |_| &body.bytes);
            self.pacing.on_sent(sent, self.now);
            return true;
        }
        let Phase::Open(agreed) = &self.phase else { return false };
        let limits = self.effective_limits(agreed);
        match self.calls.next_small(&limits) {
            Some(key) => self.open_call_on_wire(key, out, u64::MAX),
            None => false,
        }
    }

    /// Encodes the next part of the large body whose turn it is, or opens the next large request.
    fn encode_bulk(&mut self, out: &mut Vec<u8>, end: usize) -> bool {
        let room = self.pacing.room();
        if room == 0 {
            return false;
        }
        // No more than the driver asked for, so that control frames wait for one part at most.
        let room = room.min(end.saturating_sub(out.len()).max(crate::SMALL_BODY as usize) as u64);
        // A new request takes its turn with the bodies under way, or steady large requests would starve them.
        let was_opening = std::mem::take(&mut self.opened_last);
        if was_opening && self.encode_next_part(out, room) {
            return true;
        }
        if let Phase::Open(agreed) = &self.phase {
            let limits = self.effective_limits(agreed);
            if let Some(key) = self.calls.next_large(&limits) {
                self.opened_last = true;
                return self.open_call_on_wire(key, out, room);
            }
        }
        !was_opening && self.encode_next_part(out, room)
    }

    /// Encodes a part of the first body in the turn that still has one.
    fn encode_next_part(&mut self, out: &mut Vec<u8>, room: u64) -> bool {
        while let Some(bulk) = self.bulk.pop_front() {
            let encoded = match bulk {
                Bulk::Call(key) => self.encode_call_part(key, out, room),
                Bulk::Response(id) => self.encode_response_part(id, out, room),
            };
            if let Some(more) = encoded {
                if more {
                    self.bulk.push_back(bulk);
                }
                return true;
            }
        }
        false
    }

    /// Sends a request's first frame, with as much of its body as may go.
    fn open_call_on_wire(&mut self, key: CallKey, out: &mut Vec<u8>, room: u64) -> bool {
        let Some(id) = self.ids.allocate() else {
            self.fail_for_lack_of_ids(key);
            // Not a frame, but there is one to send now.
            return true;
        };
        self.calls.open_as(key, id);
        self.stats.requests_sent = self.stats.requests_sent.saturating_add(1);
        let max_frame = self.max_frame();
        let Some(call) = self.calls.get_mut(key) else { return false };
        let mut ext = Extensions::none();
        if let Some(trace) = call.trace {
            ext.0.push((TRACE_CONTEXT, trace.to_bytes()));
        }
        let header = Request {
            id: id.get(),
            method: call.method,
            body_len: u32::try_from(call.body.bytes.len()).unwrap_or(u32::MAX),
            codec: call.body.compression.number(),
            raw_len: call.body.raw_len,
            reply_max: call.reply_max,
            deadline_ms: call.deadline.map_or(0, |at| millis(at.saturating_duration_since(self.now)).max(1)),
            ext,
        };
        let body = &call.body.bytes;
        let sent = encode_body_frame(out, &header, |head| part(body, 0, max_frame, head, room));
        self.pacing.on_sent(sent, self.now);
        call.sent = sent;
        call.body_ended = sent == body.len();
        if call.body_ended {
            call.body.bytes.clear();
        } else {
            self.bulk.push_back(Bulk::Call(key));
        }
        true
    }

    /// `None` if there is nothing to send for this call any more, else whether there is more after this part.
    fn encode_call_part(&mut self, key: CallKey, out: &mut Vec<u8>, room: u64) -> Option<bool> {
        let max_frame = self.max_frame();
        let call = self.calls.get_mut(key).filter(|call| !call.body_ended)?;
        let header = PacketChunk { id: call.id?.get() };
        let (body, from) = (&call.body.bytes, call.sent);
        let sent = encode_body_frame(out, &header, |head| part(body, from, max_frame, head, room));
        self.pacing.on_sent(sent, self.now);
        call.sent = call.sent.saturating_add(sent);
        call.body_ended = call.sent >= body.len();
        if call.body_ended {
            call.body.bytes.clear();
            self.calls.close_if_done(key);
            return Some(false);
        }
        Some(true)
    }

    /// `None` if there is nothing to send for this request any more, else whether there is more after this part.
    fn encode_response_part(&mut self, id: RequestId, out: &mut Vec<u8>, room: u64) -> Option<bool> {
        let max_frame = self.max_frame();
        let served = self.served.get_mut(id)?;
        let Stage::Answering { body, sent, started } = &mut served.stage else { return None };
        let from = *sent;
        let choose = |head| part(&body.bytes, from, max_frame, head, room);
        let added = if std::mem::replace(started, true) {
            encode_body_frame(out, &PacketChunk { id: id.get() }, choose)
        } else {
            encode_body_frame(out, &response_frame(id, body), choose)
        };
        self.pacing.on_sent(added, self.now);
        *sent = sent.saturating_add(added);
        let more = *sent < body.bytes.len();
        if !more {
            self.served.sent(id);
        }
        Some(more)
    }

    fn max_frame(&self) -> usize {
        self.agreed().map_or(0, |agreed| agreed.peer_limits.max_frame as usize)
    }

    // ---- the end -----------------------------------------------------------------------------------------

    /// Ids never wrap: this call and all that wait fail, and the connection drains.
    fn fail_for_lack_of_ids(&mut self, key: CallKey) {
        self.forget_deadline_of_call(key);
        if self.calls.withdraw(key).is_some() {
            self.events.push_back(Event::Answer { key, result: Err(CallError::Draining) });
        }
        self.fail_waiting_calls();
        if self.drain.ours.is_none() {
            self.drain.ours = Some(later(self.now, super::DRAIN_AT_EXHAUSTION));
            self.control.goaway = Some(super::DRAIN_AT_EXHAUSTION);
        }
    }

    /// Closes a draining connection once nothing is open and the peer was told.
    pub(super) fn drain_if_idle(&mut self) {
        if matches!(self.phase, Phase::Open(_))
            && self.drain.ours.is_some()
            && self.control.goaway.is_none()
            && self.calls.is_empty()
            && self.served.is_empty()
        {
            let code = if self.ids.exhausted() { CloseCode::IDS_EXHAUSTED } else { CloseCode::DRAINED };
            self.end(CloseReason::Local(code), Some((code, "")));
        }
    }
}

/// The next part of a body: what the frame, the window and the budget allow.
fn part(body: &[u8], from: usize, max_frame: usize, head: usize, room: u64) -> &[u8] {
    let left = body.len().saturating_sub(from);
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let count = left.min(max_frame.saturating_sub(head)).min(room);
    body.get(from..from.saturating_add(count)).unwrap_or_default()
}

fn response_frame(id: RequestId, body: &Body) -> Response {
    Response {
        id: id.get(),
        body_len: u32::try_from(body.bytes.len()).unwrap_or(u32::MAX),
        codec: body.compression.number(),
        raw_len: body.raw_len,
        ext: Extensions::none(),
    }
}

fn error_frame(id: RequestId, error: &ErrorReply) -> Error {
    let (retry, retry_after_ms) = match error.retry {
        Retry::Never => (0, 0),
        Retry::Later(after) => (1, millis(after)),
        Retry::Elsewhere => (2, 0),
    };
    let message = clip(&error.message);
    Error { id: id.get(), code: error.code.0, retry, retry_after_ms, message, ext: Extensions::none() }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
