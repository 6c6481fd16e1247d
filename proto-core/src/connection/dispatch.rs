//! What each frame does to the connection, once its header is decoded.

use std::time::Duration;

use super::{Connection, Expiring, OutstandingPing, Phase, Reading, later};
use crate::calls::{Reply, cost};
use crate::config::{Compression, MIN_CHUNK};
use crate::error::{CallError, CloseCode, CloseReason, ErrorCode, ErrorReply, PeerError, Retry};
use crate::event::{Body, CallKey, Event, TraceContext};
use crate::frame::{
    Ack, Cancel, Close, Error, Extensions, GoAway, Hello, Kind, PacketChunk, Ping, Pong, Reject, Request,
    Response, TRACE_CONTEXT, Welcome,
};
use crate::id::RequestId;
use crate::negotiate;
use crate::served::{Served, Stage};

impl Connection {
    // ---- handshake ---------------------------------------------------------------------------------------

    pub(super) fn on_hello(&mut self, hello: &Hello) -> Result<(), PeerError> {
        check_extensions(Kind::Hello, &hello.ext)?;
        let agreed = Box::new(negotiate::negotiate(&self.config, hello)?);
        if let Phase::AwaitingHello { deadline } = self.phase {
            self.phase = Phase::Deciding { deadline, agreed };
            self.events.push_back(Event::Hello { app: hello.app.clone() });
        }
        Ok(())
    }

    pub(super) fn on_welcome(&mut self, welcome: Welcome) -> Result<(), PeerError> {
        check_extensions(Kind::Welcome, &welcome.ext)?;
        let agreed = Box::new(negotiate::accept(&self.config, &welcome)?);
        self.open(agreed, welcome.app);
        Ok(())
    }

    pub(super) fn on_reject(&mut self, reject: Reject) -> Result<(), PeerError> {
        check_extensions(Kind::Reject, &reject.ext)?;
        let retry_after = Duration::from_millis(u64::from(reject.retry_after_ms));
        let (code, message) = (CloseCode(reject.code), reject.message);
        self.end(CloseReason::Rejected { code, retry_after, message }, None);
        Ok(())
    }

    // ---- the peer's requests -----------------------------------------------------------------------------

    pub(super) fn on_request(&mut self, request: Request, in_frame: u32) -> Result<(), PeerError> {
        if self.drain.theirs.is_some() {
            return Err(PeerError::UnexpectedFrame { frame: Kind::Request.name() });
        }
        let id = self.check_new_id(request.id)?;
        check_extensions(Kind::Request, &request.ext)?;
        let compression = self.check_body(request.body_len, request.codec, request.raw_len)?;
        check_part(id, in_frame, request.body_len)?;
        let deadline = (request.deadline_ms > 0)
            .then(|| later(self.now, Duration::from_millis(u64::from(request.deadline_ms))));
        let cost = cost(u64::from(request.body_len), request.raw_len, request.reply_max);
        let limits = &self.config.limits;
        if self.served.len() >= limits.max_concurrent as usize {
            return Err(PeerError::TooManyRequests { limit: limits.max_concurrent });
        }
        if self.served.cost().saturating_add(cost) > limits.work_budget {
            return Err(PeerError::WorkBudget { limit: limits.work_budget });
        }
        self.stats.requests_received = self.stats.requests_received.saturating_add(1);
        let served = Served {
            method: request.method,
            // More than it takes of any body cannot be meant.
            reply_max: request.reply_max.min(self.peer_max_body()),
            cost,
            deadline,
            trace: request.ext.get(TRACE_CONTEXT).and_then(|bytes| TraceContext::from_bytes(bytes)),
            compression,
            raw_len: request.raw_len,
            body: self.spares.assembly(request.body_len),
            body_ended: false,
            unwanted: None,
            stage: Stage::Receiving,
        };
        if self.drain.ours.is_some() {
            self.served.insert(id, served);
            let error = ErrorReply {
                retry: Retry::Elsewhere,
                ..ErrorReply::new(ErrorCode::REFUSED, "this side is draining")
            };
            self.served.fail(id, error);
            self.note_output();
        } else {
            if let Some(deadline) = deadline {
                self.deadlines.insert(deadline, Expiring::Served(id));
            }
            if let Some(bytes) = self.take_whole_body(in_frame, request.body_len) {
                let request = self.served.insert_whole(id, served, bytes);
                self.events.push_back(Event::Request(request));
                return Ok(());
            }
            self.served.insert(id, served);
        }
        self.reading = Reading::RequestBody { id, left: in_frame };
        Ok(())
    }

    /// Some of a request's body has come: all that its frame held.
    pub(super) fn after_request_body(&mut self, id: RequestId) {
        let Some(served) = self.served.get_mut(id) else { return };
        served.body_ended = served.body.is_complete();
        let capacity = served.body.capacity();
        if served.body_ended {
            if let Some(request) = self.served.start(id) {
                self.lend(&request.body, capacity);
                self.events.push_back(Event::Request(request));
            }
            self.served.close_if_done(id);
        }
    }

    pub(super) fn on_cancel(&mut self, cancel: &Cancel) -> Result<(), PeerError> {
        if !self.agreed().is_some_and(|agreed| agreed.cancellation) {
            return Err(PeerError::CancelNotAgreed);
        }
        let id = RequestId::new(cancel.id).ok_or(PeerError::IdZero)?;
        if id.initiator() != self.config.role.peer() {
            return Err(PeerError::IdParity { id, by: self.config.role.peer() });
        }
        if self.served.highest().is_none_or(|highest| id > highest) {
            return Err(PeerError::IdNotOpen { frame: Kind::Cancel.name(), id });
        }
        self.abandon_served(id, ErrorCode::CANCELLED);
        self.served.end_body(id);
        Ok(())
    }

    fn peer_max_body(&self) -> u32 {
        self.agreed().map_or(0, |agreed| agreed.peer_limits.max_body)
    }

    fn check_new_id(&self, number: u64) -> Result<RequestId, PeerError> {
        let id = RequestId::new(number).ok_or(PeerError::IdZero)?;
        let peer = self.config.role.peer();
        if id.initiator() != peer {
            return Err(PeerError::IdParity { id, by: peer });
        }
        match self.served.highest() {
            Some(highest) if id <= highest => Err(PeerError::IdOrder { id, highest }),
            _ => Ok(id),
        }
    }

    /// The rules for what a frame declares of its body; nothing is kept before they hold.
    fn check_body(&self, body_len: u32, codec: u8, raw_len: u32) -> Result<Compression, PeerError> {
        let limit = u64::from(self.config.limits.max_body);
        let length = u64::from(body_len.max(raw_len));
        if length > limit {
            return Err(PeerError::BodyTooLarge { length, limit });
        }
        let compression = match codec {
            0 => Compression::None,
            1 if self.agreed().is_some_and(|agreed| agreed.zstd) => Compression::Zstd,
            _ => return Err(PeerError::CompressionNotAgreed { codec }),
        };
        if (compression == Compression::None) != (raw_len == 0) {
            return Err(PeerError::BadRawLength { codec, raw_len });
        }
        Ok(compression)
    }

    // ---- answers to our requests -------------------------------------------------------------------------

    pub(super) fn on_response(&mut self, response: Response, in_frame: u32) -> Result<(), PeerError> {
        let (id, key) = self.open_call(Kind::Response, response.id)?;
        check_extensions(Kind::Response, &response.ext)?;
        let compression = self.check_body(response.body_len, response.codec, response.raw_len)?;
        check_part(id, in_frame, response.body_len)?;
        let Some(call) = self.calls.get(key) else { return Ok(()) };
        if !matches!(call.reply, Reply::None) {
            return Err(PeerError::IdNotOpen { frame: Kind::Response.name(), id });
        }
        let (length, limit) = (response.body_len.max(response.raw_len), call.reply_max);
        if length > limit {
            return Err(PeerError::ReplyTooLong { id, length: u64::from(length), limit: u64::from(limit) });
        }
        let raw_len = response.raw_len;
        if let Some(bytes) = self.take_whole_body(in_frame, response.body_len) {
            self.finish_call(key, Ok(Body { bytes, compression, raw_len }));
            return Ok(());
        }
        let mut assembly = self.spares.assembly(response.body_len);
        if let Some(call) = self.calls.get_mut(key) {
            if call.abandoned {
                assembly.discard();
            }
            call.reply = Reply::Arriving { assembly, compression, raw_len };
        }
        self.reading = Reading::ReplyBody { key, left: in_frame };
        Ok(())
    }

    /// Some of a response's body has come: all that its frame held.
    pub(super) fn after_reply_body(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let Reply::Arriving { assembly, compression, raw_len } = &mut call.reply else { return };
        if assembly.is_complete() {
            let capacity = assembly.capacity();
            let bytes = assembly.take().unwrap_or_default();
            let body = Body { bytes, compression: *compression, raw_len: *raw_len };
            self.lend(&body, capacity);
            self.finish_call(key, Ok(body));
        }
    }

    /// The application gets a body whose buffer may be used again.
    fn lend(&mut self, body: &Body, capacity: usize) {
        let most = (self.config.limits.max_body as usize).saturating_mul(2);
        self.spares.lend(&body.bytes, capacity, most, self.now);
    }

    pub(super) fn on_error(&mut self, error: Error) -> Result<(), PeerError> {
        let (_, key) = self.open_call(Kind::Error, error.id)?;
        check_extensions(Kind::Error, &error.ext)?;
        let retry = match (error.retry, error.retry_after_ms) {
            (0, 0) => Retry::Never,
            (1, after) => Retry::Later(Duration::from_millis(u64::from(after))),
            (2, 0) => Retry::Elsewhere,
            _ => {
                return Err(PeerError::Malformed { frame: Kind::Error.name(), detail: "bad retry hint" });
            }
        };
        let reply = ErrorReply { code: ErrorCode(error.code), retry, message: error.message };
        self.finish_call(key, Err(CallError::Remote(reply)));
        Ok(())
    }

    /// The terminal answer of a call is complete. A body that is still under way ends with a `Cancel`, if that was
    /// agreed, or is sent to its end.
    fn finish_call(&mut self, key: CallKey, result: Result<Body, CallError>) {
        let Some(call) = self.calls.get(key) else { return };
        let (deadline, body_ended) = (call.deadline, call.body_ended);
        if let Some(deadline) = deadline {
            self.deadlines.remove(deadline, Expiring::Call(key));
        }
        if !body_ended && self.agreed().is_some_and(|agreed| agreed.cancellation) {
            self.calls.want_cancel(key);
            self.note_output();
        }
        if self.calls.answered(key) {
            self.events.push_back(Event::Answer { key, result });
        }
    }

    /// The call of ours that a frame of the peer answers.
    fn open_call(&self, kind: Kind, number: u64) -> Result<(RequestId, CallKey), PeerError> {
        let id = RequestId::new(number).ok_or(PeerError::IdZero)?;
        let key = self
            .calls
            .key(id)
            .filter(|key| self.calls.get(*key).is_some_and(|call| !matches!(call.reply, Reply::Done)));
        key.map(|key| (id, key)).ok_or_else(|| PeerError::IdNotOpen { frame: kind.name(), id })
    }

    // ---- both directions ---------------------------------------------------------------------------------

    pub(super) fn on_chunk(&mut self, chunk: &PacketChunk, in_frame: u32) -> Result<(), PeerError> {
        let id = RequestId::new(chunk.id).ok_or(PeerError::IdZero)?;
        let not_open = PeerError::IdNotOpen { frame: Kind::PacketChunk.name(), id };
        if id.initiator() == self.config.role.peer() {
            let served = self.served.get_mut(id).filter(|served| !served.body_ended).ok_or(not_open)?;
            check_part(id, in_frame, served.body.left())?;
            self.reading = Reading::RequestBody { id, left: in_frame };
        } else {
            let key = self.calls.key(id).ok_or_else(|| not_open.clone())?;
            let reply = self.calls.get(key).map(|call| &call.reply);
            let Some(Reply::Arriving { assembly, .. }) = reply else { return Err(not_open) };
            check_part(id, in_frame, assembly.left())?;
            self.reading = Reading::ReplyBody { key, left: in_frame };
        }
        Ok(())
    }

    pub(super) fn on_ack(&mut self, ack: &Ack) -> Result<(), PeerError> {
        self.pacing.on_ack(ack.received, self.now)?;
        self.note_output();
        Ok(())
    }

    pub(super) fn on_ping(&mut self, ping: &Ping) {
        // One answer waits at most, to the latest: an honest peer has one ping outstanding.
        self.control.pong = Some(ping.nonce);
        self.note_output();
    }

    pub(super) fn on_pong(&mut self, pong: &Pong) -> Result<(), PeerError> {
        match self.keepalive.outstanding.take() {
            Some(OutstandingPing { nonce, sent: Some(sent), .. }) if nonce == pong.nonce => {
                self.keepalive.round_trip = Some(self.now.saturating_duration_since(sent));
                Ok(())
            }
            _ => Err(PeerError::UnexpectedPong),
        }
    }

    pub(super) fn on_goaway(&mut self, goaway: &GoAway) {
        if self.drain.theirs.is_some() {
            return;
        }
        let within = Duration::from_millis(u64::from(goaway.deadline_ms));
        // A peer that announces its end and does not come to it keeps nothing of ours.
        self.drain.theirs = Some(later(later(self.now, within), self.config.timers.stall));
        self.events.push_back(Event::Draining { within });
        self.fail_waiting_calls();
    }

    pub(super) fn on_close(&mut self, close: Close) {
        let (code, last_id, message) = (CloseCode(close.code), close.last_id, close.message);
        self.end(CloseReason::Peer { code, last_id, message }, None);
    }
}

fn check_extensions(kind: Kind, ext: &Extensions) -> Result<(), PeerError> {
    ext.fault().map_or(Ok(()), |detail| Err(PeerError::BadExtensions { frame: kind.name(), detail }))
}

/// The rules for how much of a body one frame carries.
fn check_part(id: RequestId, carried: u32, left: u32) -> Result<(), PeerError> {
    if carried > left {
        return Err(PeerError::BodyOverrun { id, carried: u64::from(carried), left: u64::from(left) });
    }
    if carried < left && carried < MIN_CHUNK {
        return Err(PeerError::ChunkTooSmall { id, carried: u64::from(carried) });
    }
    Ok(())
}
