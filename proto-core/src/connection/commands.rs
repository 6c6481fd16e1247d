//! What the application wants: calls, answers, the end. A command that fails has changed nothing.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Bulk, Connection, Expiring, Phase, later};
use crate::calls::{OwnCall, Reply, cost};
use crate::config::Compression;
use crate::error::{CloseCode, CloseReason, ErrorReply, SendError};
use crate::event::{Body, Call, CallKey};
use crate::frame::MAX_WELCOME_APP;
use crate::id::RequestId;
use crate::negotiate::Agreed;
use crate::served::Answered;

impl Connection {
    /// Router: lets the worker in; `app` is the application part of the `Welcome`, at most 512 bytes.
    ///
    /// # Errors
    /// [`SendError::WrongState`] unless an [`Event::Hello`](crate::Event::Hello) waits for its answer;
    /// [`SendError::TooLarge`].
    pub fn accept(&mut self, app: Bytes) -> Result<(), SendError> {
        too_large("application part", app.len() as u64, MAX_WELCOME_APP as u64)?;
        let Phase::Deciding { agreed, .. } = &self.phase else { return Err(self.wrong_state()) };
        let agreed = agreed.clone();
        self.send_welcome(&agreed, app);
        self.untimed(|connection| connection.open(agreed, Bytes::new()));
        Ok(())
    }

    /// Router: does not let the worker in, and closes. `message` is cut to 512 bytes.
    ///
    /// # Errors
    /// [`SendError::WrongState`] unless an [`Event::Hello`](crate::Event::Hello) waits for its answer.
    pub fn reject(&mut self, code: CloseCode, retry_after: Duration, message: &str) -> Result<(), SendError> {
        let Phase::Deciding { .. } = &self.phase else { return Err(self.wrong_state()) };
        self.send_reject(code, retry_after, message);
        self.end(CloseReason::Local(code), None);
        Ok(())
    }

    /// Makes a call. It is sent when its turn comes; its end is an [`Event::Answer`](crate::Event::Answer) with the
    /// returned key, unless it is [cancelled](Self::cancel) first.
    ///
    /// # Errors
    /// See [`SendError`]; nothing is sent then.
    pub fn call(&mut self, call: Call, now: Instant) -> Result<CallKey, SendError> {
        self.advance(now);
        let Phase::Open(agreed) = &self.phase else {
            return Err(if self.is_closed() { SendError::Closed } else { SendError::NotReady });
        };
        if self.drain.ours.is_some() || self.drain.theirs.is_some() {
            return Err(SendError::Draining);
        }
        if self.calls.len() >= self.config.max_calls {
            return Err(SendError::TooManyCalls { limit: self.config.max_calls });
        }
        check_compression(&call.body, agreed)?;
        let cost = cost(call.body.bytes.len() as u64, call.body.raw_len, call.reply_max);
        let own = OwnCall {
            method: call.method,
            body: call.body,
            reply_max: call.reply_max,
            cost,
            deadline: call.timeout.map(|timeout| later(self.now, timeout)),
            trace: call.trace,
            id: None,
            sent: 0,
            body_ended: false,
            abandoned: false,
            cancel_due: false,
            reply: Reply::None,
        };
        self.check_sizes(&own, agreed)?;
        if !call.may_wait && !self.calls.fits_behind_waiting(cost, &self.effective_limits(agreed)) {
            return Err(SendError::Busy);
        }
        let deadline = own.deadline;
        let key = self.calls.insert(own);
        if let Some(deadline) = deadline {
            self.deadlines.insert(deadline, Expiring::Call(key));
        }
        self.note_more_output();
        Ok(key)
    }

    /// Does not want the answer any more. Returns whether the call was still under way: if so, no event will name it again;
    /// if not, its [`Event::Answer`](crate::Event::Answer) may still be waiting to be pulled.
    pub fn cancel(&mut self, key: CallKey) -> bool {
        let Some(call) = self.calls.get_mut(key) else { return false };
        let was_wanted = !std::mem::replace(&mut call.abandoned, true);
        self.forget_deadline_of_call(key);
        self.untimed(|connection| {
            if was_wanted && connection.calls.withdraw(key).is_none() {
                connection.abandon_open_call(key);
            }
            connection.note_output();
        });
        was_wanted
    }

    /// Answers a request. An answer longer than the request allows, or one that is not wanted any more, is replaced by
    /// the error that says so.
    ///
    /// # Errors
    /// [`SendError::NoSuchRequest`] if it was answered before or the connection has ended; still owed after
    /// [`SendError::CompressionNotAgreed`] and [`SendError::RawLength`].
    pub fn respond(&mut self, id: RequestId, body: impl Into<Body>) -> Result<(), SendError> {
        let body = body.into();
        if let Phase::Open(agreed) = &self.phase {
            check_compression(&body, agreed)?;
        }
        self.answer(id, Ok(body))
    }

    /// Answers a request with an error. Its message is cut to 512 bytes.
    ///
    /// # Errors
    /// [`SendError::NoSuchRequest`] if it was answered before or the connection has ended.
    pub fn respond_error(&mut self, id: RequestId, error: ErrorReply) -> Result<(), SendError> {
        self.answer(id, Err(error))
    }

    /// Starts no new requests and refuses the peer's; closes when nothing is open, or after `within`.
    ///
    /// # Errors
    /// [`SendError::NotReady`] before the handshake is done, [`SendError::Closed`] after the end.
    pub fn drain(&mut self, within: Duration, now: Instant) -> Result<(), SendError> {
        self.advance(now);
        if !matches!(self.phase, Phase::Open(_)) {
            return Err(if self.is_closed() { SendError::Closed } else { SendError::NotReady });
        }
        if self.drain.ours.is_none() {
            self.drain.ours = Some(later(self.now, within));
            self.control.goaway = Some(within);
            self.fail_waiting_calls();
            self.note_output();
        }
        Ok(())
    }

    /// Ends the connection now, with a reason for the peer; open calls fail. A worker that waits to be let in is rejected
    /// with it. Does nothing if the connection has ended.
    pub fn close(&mut self, code: CloseCode, message: &str) {
        self.end(CloseReason::Local(code), Some((code, message)));
    }

    fn wrong_state(&self) -> SendError {
        if self.is_closed() { SendError::Closed } else { SendError::WrongState }
    }

    /// Refuses a call that the peer can never accept.
    fn check_sizes(&self, call: &OwnCall, agreed: &Agreed) -> Result<(), SendError> {
        let peer = self.effective_limits(agreed);
        let body = call.body.bytes.len() as u64;
        too_large("body", body, u64::from(peer.max_body))?;
        too_large("uncompressed body", u64::from(call.body.raw_len), u64::from(peer.max_body))?;
        too_large("reply", u64::from(call.reply_max), u64::from(self.config.limits.max_body))?;
        too_large("request cost", call.cost, peer.work_budget)
    }

    fn answer(&mut self, id: RequestId, result: Result<Body, ErrorReply>) -> Result<(), SendError> {
        match self.served.answer(id, result, self.max_small()) {
            Answered::NotOwed => return Err(SendError::NoSuchRequest),
            Answered::Queued => {}
            Answered::Large => self.bulk.push_back(Bulk::Response(id)),
        }
        self.forget_deadline_of_served(id);
        self.untimed(Self::note_more_output);
        Ok(())
    }
}

/// Refuses a body that the peer would take for a violation.
fn check_compression(body: &Body, agreed: &Agreed) -> Result<(), SendError> {
    if !agreed.allows(body.compression) {
        Err(SendError::CompressionNotAgreed)
    } else if (body.compression == Compression::None) != (body.raw_len == 0) {
        Err(SendError::RawLength)
    } else {
        Ok(())
    }
}

fn too_large(what: &'static str, size: u64, limit: u64) -> Result<(), SendError> {
    if size > limit { Err(SendError::TooLarge { what, size, limit }) } else { Ok(()) }
}
