//! What the frames of requests and their bodies do: sections 9 to 12.

use std::time::Duration;

use nova_proto_core::{
    Body, CallError, CallKey, CloseCode, Compression, ErrorCode, Event, Request, RequestId, Retry,
    TraceContext,
};

use super::frame::{Ask, Ext, Length, check_ext, opened_by};
use super::session::{Answering, Mine, Session, Sink, Theirs};

impl Session {
    /// R-10-1 to R-10-4, R-19-1 to R-19-3.
    fn check_body(&self, length: Length, carried: u64) -> Result<(), CloseCode> {
        if length.body.max(length.raw) > u64::from(self.config.limits.max_body) {
            return Err(CloseCode::BODY_TOO_LARGE);
        }
        let zstd = self.agreed.as_ref().is_some_and(|agreed| agreed.zstd);
        if !(length.codec == 0 || length.codec == 1 && zstd) {
            return Err(CloseCode::COMPRESSION_NOT_AGREED);
        }
        if (length.codec == 0) != (length.raw == 0) {
            return Err(CloseCode::BAD_RAW_LENGTH);
        }
        check_part(length.body, carried)
    }

    pub(crate) fn request(&mut self, ask: Ask, carried: u64) -> Result<Sink, CloseCode> {
        if self.peer_drains.is_some() {
            return Err(CloseCode::UNEXPECTED_FRAME);
        }
        if ask.id == 0 {
            return Err(CloseCode::ID_ZERO);
        }
        if opened_by(ask.id) == self.config.role {
            return Err(CloseCode::ID_PARITY);
        }
        if ask.id <= self.highest_theirs {
            return Err(CloseCode::ID_ORDER);
        }
        check_ext(&ask.ext)?;
        self.check_body(ask.length, carried)?;
        if self.theirs.len() >= self.config.limits.max_concurrent as usize {
            return Err(CloseCode::TOO_MANY_REQUESTS);
        }
        if self.serving_cost() + ask.cost() > self.config.limits.work_budget {
            return Err(CloseCode::WORK_BUDGET);
        }
        let id = ask.id;
        self.highest_theirs = id;
        let refused = Answering::Error(ErrorCode::REFUSED, Retry::Elsewhere);
        let state = if self.drain_until.is_some() { refused } else { Answering::Receiving };
        let deadline = (ask.deadline_ms > 0).then(|| self.now + Duration::from_millis(ask.deadline_ms));
        let got = Vec::new();
        let theirs =
            Theirs { ask, got, ended: false, state, cancelled: false, late: false, told: false, deadline };
        self.theirs.insert(id, theirs);
        Ok(Sink::Theirs(id))
    }

    /// R-9-5.
    pub(crate) fn open_call(&self, id: u64) -> Result<CallKey, CloseCode> {
        if id == 0 {
            return Err(CloseCode::ID_ZERO);
        }
        let found = self.mine.iter().find(|(_, mine)| mine.open == Some(id) && !mine.answered);
        found.map(|(key, _)| *key).ok_or(CloseCode::ID_NOT_OPEN)
    }

    pub(crate) fn response(
        &mut self,
        id: u64,
        length: Length,
        ext: &Ext,
        carried: u64,
    ) -> Result<Sink, CloseCode> {
        let key = self.open_call(id)?;
        check_ext(ext)?;
        self.check_body(length, carried)?;
        let mine = self.mine.get_mut(&key).expect("open");
        if mine.reply.is_some() {
            return Err(CloseCode::ID_NOT_OPEN);
        }
        if length.body.max(length.raw) > u64::from(mine.call.reply_max) {
            return Err(CloseCode::REPLY_TOO_LONG);
        }
        mine.reply = Some((length, Vec::new()));
        Ok(Sink::Mine(key))
    }

    pub(crate) fn chunk(&self, id: u64, carried: u64) -> Result<Sink, CloseCode> {
        if id == 0 {
            return Err(CloseCode::ID_ZERO);
        }
        if opened_by(id) == self.config.role {
            let key = self.open_call(id)?;
            let (length, got) = self.mine[&key].reply.as_ref().ok_or(CloseCode::ID_NOT_OPEN)?;
            check_part(length.body - got.len() as u64, carried)?;
            return Ok(Sink::Mine(key));
        }
        let theirs = self.theirs.get(&id).filter(|theirs| !theirs.ended).ok_or(CloseCode::ID_NOT_OPEN)?;
        check_part(theirs.ask.length.body - theirs.got.len() as u64, carried)?;
        Ok(Sink::Theirs(id))
    }

    /// Bytes of a body have come, perhaps the last ones.
    pub(crate) fn body(&mut self, sink: Sink, bytes: &[u8]) {
        match sink {
            Sink::Skip => {}
            Sink::Theirs(id) => {
                self.received += bytes.len() as u64;
                let theirs = self.theirs.get_mut(&id).expect("its body has not ended");
                theirs.got.extend_from_slice(bytes);
                if theirs.got.len() as u64 == theirs.ask.length.body {
                    theirs.ended = true;
                    self.complete(id);
                }
            }
            Sink::Mine(key) => {
                self.received += bytes.len() as u64;
                let mine = self.mine.get_mut(&key).expect("its answer is not complete");
                let (length, got) = mine.reply.as_mut().expect("a part of it");
                got.extend_from_slice(bytes);
                if got.len() as u64 == length.body {
                    let body = body_of(length, std::mem::take(got));
                    self.answered(key, Ok(body));
                }
            }
        }
    }

    fn complete(&mut self, id: u64) {
        let theirs = self.theirs.get_mut(&id).expect("just now");
        if theirs.state != Answering::Receiving {
            return self.close_theirs(id);
        }
        theirs.state = Answering::Running;
        let peer_max = self.agreed.as_ref().map_or(0, |agreed| u64::from(agreed.peer_limits.max_body));
        let ask = &theirs.ask;
        let request = Request {
            id: RequestId::new(id).expect("not 0"),
            method: ask.method,
            body: body_of(&ask.length, theirs.got.clone()),
            reply_max: ask.reply_max.min(peer_max) as u32,
            deadline: theirs.deadline,
            trace: ask.ext.iter().find(|(tag, _)| *tag == 1).and_then(|(_, value)| trace(value)),
        };
        self.observe(Event::Request(request));
    }

    /// R-11-10 to R-11-17.
    pub(crate) fn cancelled(&mut self, id: u64) -> Result<(), CloseCode> {
        if !self.agreed.as_ref().is_some_and(|agreed| agreed.cancellation) {
            return Err(CloseCode::CANCEL_NOT_AGREED);
        }
        if id == 0 {
            return Err(CloseCode::ID_ZERO);
        }
        if opened_by(id) == self.config.role {
            return Err(CloseCode::ID_PARITY);
        }
        if id > self.highest_theirs {
            return Err(CloseCode::ID_NOT_OPEN);
        }
        let Some(theirs) = self.theirs.get_mut(&id) else { return Ok(()) };
        theirs.ended = true;
        match theirs.state {
            Answering::Running => {
                theirs.cancelled = true;
                self.tell(id);
            }
            Answering::Receiving | Answering::Reply(..) => {
                theirs.state = Answering::Error(ErrorCode::CANCELLED, Retry::Never);
            }
            Answering::Error(..) | Answering::Answered => {}
        }
        self.close_theirs(id);
        Ok(())
    }

    pub(crate) fn tell(&mut self, id: u64) {
        let theirs = self.theirs.get_mut(&id).expect("it runs");
        if !std::mem::replace(&mut theirs.told, true) {
            self.observe(Event::Cancelled { id: RequestId::new(id).expect("not 0") });
        }
    }

    /// Section 11.1.
    pub(crate) fn close_theirs(&mut self, id: u64) {
        if self.theirs.get(&id).is_some_and(|theirs| theirs.ended && theirs.state == Answering::Answered) {
            self.theirs.remove(&id);
        }
    }

    pub(crate) fn close_mine(&mut self, key: CallKey) {
        if self.mine.get(&key).is_some_and(|mine| mine.ended && mine.answered) {
            self.mine.remove(&key);
        }
    }

    /// A terminal answer is complete.
    pub(crate) fn answered(&mut self, key: CallKey, result: Result<Body, CallError>) {
        let cancellation = self.agreed.as_ref().is_some_and(|agreed| agreed.cancellation);
        let mine = self.mine.get_mut(&key).expect("open");
        mine.answered = true;
        mine.cancel_due = cancellation && !mine.ended;
        if mine.wanted {
            self.observe(Event::Answer { key, result });
        }
        self.close_mine(key);
    }

    pub(crate) fn fail_waiting(&mut self) {
        let waiting: Vec<CallKey> = self.waiting().map(|(key, _)| key).collect();
        for key in waiting {
            self.mine.remove(&key);
            self.observe(Event::Answer { key, result: Err(CallError::Draining) });
        }
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = (CallKey, &Mine)> {
        self.mine.iter().filter(|(_, mine)| mine.open.is_none()).map(|(key, mine)| (*key, mine))
    }
}

/// R-10-3 and R-10-4.
fn check_part(left: u64, carried: u64) -> Result<(), CloseCode> {
    if carried > left {
        Err(CloseCode::BODY_OVERRUN)
    } else if carried < left && carried < 4096 {
        Err(CloseCode::CHUNK_TOO_SMALL)
    } else {
        Ok(())
    }
}

fn body_of(length: &Length, bytes: Vec<u8>) -> Body {
    let compression = if length.codec == 0 { Compression::None } else { Compression::Zstd };
    Body { bytes: bytes.into(), compression, raw_len: length.raw as u32 }
}

/// R-18-5.
fn trace(value: &[u8]) -> Option<TraceContext> {
    (value.len() == 25).then(|| TraceContext {
        trace_id: value[..16].try_into().expect("16"),
        span_id: value[16..24].try_into().expect("8"),
        flags: value[24],
    })
}
