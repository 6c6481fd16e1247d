//! The peer's requests, from their first frame to their end.
//!
//! ```text
//!             body complete            handler answers           answer encoded
//!   receiving ─────────────► running ─────────────────► answering ─────────────► answered
//!       │                                                   ▲                        │
//!       └── refused, cancelled or late: the core answers ───┘                        │ body ended
//!                                                                                    ▼
//!                                                                                  closed
//! ```
//!
//! Nothing here sees a frame's bytes.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::assembly::Assembly;
use crate::config::Compression;
use crate::error::{ErrorCode, ErrorReply};
use crate::event::{Body, Request, TraceContext};
use crate::id::RequestId;
use crate::rising::Rising;

/// One request of the peer.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) method: u16,
    pub(crate) reply_max: u32,
    /// What it costs of our work budget.
    pub(crate) cost: u64,
    pub(crate) deadline: Option<Instant>,
    pub(crate) trace: Option<TraceContext>,
    pub(crate) compression: Compression,
    pub(crate) raw_len: u32,
    pub(crate) body: Assembly,
    /// All of the body came, or `Cancel` did.
    pub(crate) body_ended: bool,
    /// Why the answer is not wanted any more.
    pub(crate) unwanted: Option<ErrorCode>,
    pub(crate) stage: Stage,
}

impl Served {
    fn start(&mut self, id: RequestId, bytes: Bytes) -> Request {
        self.stage = Stage::Running;
        Request {
            id,
            method: self.method,
            body: Body { bytes, compression: self.compression, raw_len: self.raw_len },
            reply_max: self.reply_max,
            deadline: self.deadline,
            trace: self.trace,
        }
    }
}

/// What is still to be done for a request.
#[derive(Debug)]
pub(crate) enum Stage {
    Receiving,
    Running,
    Answering { body: Body, sent: usize, started: bool },
    Failing(ErrorReply),
    Answered,
}

/// All the peer's requests.
#[derive(Debug, Default)]
pub(crate) struct ServedRequests {
    open: Rising<RequestId, Served>,
    /// The highest id the peer has opened.
    highest: Option<RequestId>,
    cost: u64,
    /// Errors to send.
    errors: VecDeque<RequestId>,
    /// Small responses to send.
    small: VecDeque<RequestId>,
}

impl ServedRequests {
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(crate) fn highest(&self) -> Option<RequestId> {
        self.highest
    }

    pub(crate) fn cost(&self) -> u64 {
        self.cost
    }

    pub(crate) fn wants_answer(&self, id: RequestId) -> bool {
        let served = self.open.get(id);
        served.is_some_and(|served| matches!(served.stage, Stage::Running) && served.unwanted.is_none())
    }

    /// Whether its answer is there and not all of it sent.
    pub(crate) fn is_answering(&self, id: RequestId) -> bool {
        self.open.get(id).is_some_and(|served| matches!(served.stage, Stage::Answering { .. }))
    }

    pub(crate) fn get_mut(&mut self, id: RequestId) -> Option<&mut Served> {
        self.open.get_mut(id)
    }

    /// Opens a request whose first frame has come.
    pub(crate) fn insert(&mut self, id: RequestId, served: Served) {
        self.highest = Some(id);
        self.cost = self.cost.saturating_add(served.cost);
        self.open.insert(id, served);
    }

    /// Opens a request that came whole: the handler's turn.
    pub(crate) fn insert_whole(&mut self, id: RequestId, mut served: Served, bytes: Bytes) -> Request {
        served.body_ended = true;
        let request = served.start(id, bytes);
        self.insert(id, served);
        request
    }

    /// The body is complete: the handler's turn, unless the core has answered already.
    pub(crate) fn start(&mut self, id: RequestId) -> Option<Request> {
        let served = self.open.get_mut(id)?;
        if !matches!(served.stage, Stage::Receiving) {
            return None;
        }
        let bytes = served.body.take().unwrap_or_default();
        Some(served.start(id, bytes))
    }

    /// The answer is there; up to `max_small` bytes it goes out in one frame.
    pub(crate) fn answer(
        &mut self,
        id: RequestId,
        result: Result<Body, ErrorReply>,
        max_small: usize,
    ) -> Answered {
        let Some(served) = self.open.get_mut(id) else { return Answered::NotOwed };
        if !matches!(served.stage, Stage::Running) {
            return Answered::NotOwed;
        }
        let result = match served.unwanted {
            Some(code) => Err(unwanted(code)),
            None => result.and_then(|body| fitting(body, served.reply_max)),
        };
        match result {
            Ok(body) => {
                let small = body.bytes.len() <= max_small;
                served.stage = Stage::Answering { body, sent: 0, started: false };
                if small {
                    self.small.push_back(id);
                    Answered::Queued
                } else {
                    Answered::Large
                }
            }
            Err(error) => {
                served.stage = Stage::Failing(error);
                self.errors.push_back(id);
                Answered::Queued
            }
        }
    }

    /// The answer is not wanted any more. Returns whether a running handler should hear of it.
    pub(crate) fn abandon(&mut self, id: RequestId, code: ErrorCode) -> bool {
        let Some(served) = self.open.get_mut(id) else { return false };
        match served.stage {
            Stage::Receiving => {
                self.fail(id, unwanted(code));
                false
            }
            Stage::Running => served.unwanted.replace(code).is_none(),
            Stage::Answering { .. } => {
                self.small.retain(|waiting| *waiting != id);
                self.fail(id, unwanted(code));
                false
            }
            Stage::Failing(_) | Stage::Answered => false,
        }
    }

    /// The core itself answers with an error.
    pub(crate) fn fail(&mut self, id: RequestId, error: ErrorReply) {
        if let Some(served) = self.open.get_mut(id) {
            served.body.discard();
            served.stage = Stage::Failing(error);
            self.errors.push_back(id);
        }
    }

    /// The peer's `Cancel` ended the body.
    pub(crate) fn end_body(&mut self, id: RequestId) {
        if let Some(served) = self.open.get_mut(id) {
            served.body_ended = true;
            self.close_if_done(id);
        }
    }

    pub(crate) fn answer_ready(&self) -> bool {
        !self.errors.is_empty() || !self.small.is_empty()
    }

    /// The next error to send; the request is answered with it.
    pub(crate) fn next_error(&mut self) -> Option<(RequestId, ErrorReply)> {
        while let Some(id) = self.errors.pop_front() {
            let Some(served) = self.open.get_mut(id) else { continue };
            if let Stage::Failing(error) = std::mem::replace(&mut served.stage, Stage::Answered) {
                self.close_if_done(id);
                return Some((id, error));
            }
        }
        None
    }

    /// The next small response to send; the request is answered with it.
    pub(crate) fn next_small(&mut self) -> Option<(RequestId, Body)> {
        while let Some(id) = self.small.pop_front() {
            let Some(served) = self.open.get_mut(id) else { continue };
            if let Stage::Answering { body, .. } = std::mem::replace(&mut served.stage, Stage::Answered) {
                self.close_if_done(id);
                return Some((id, body));
            }
        }
        None
    }

    /// All of a large response is sent.
    pub(crate) fn sent(&mut self, id: RequestId) {
        if let Some(served) = self.open.get_mut(id) {
            served.stage = Stage::Answered;
            self.close_if_done(id);
        }
    }

    /// Forgets a request that is answered and whose body has ended.
    pub(crate) fn close_if_done(&mut self, id: RequestId) {
        if let Some(served) = self.open.get(id)
            && served.body_ended
            && matches!(served.stage, Stage::Answered)
        {
            self.cost = self.cost.saturating_sub(served.cost);
            self.open.remove(id);
        }
    }

    /// Forgets all requests, at the connection's end.
    pub(crate) fn clear(&mut self) {
        self.open = Rising::default();
        self.errors.clear();
        self.small.clear();
        self.cost = 0;
    }
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// No answer was owed.
    NotOwed,
    /// It goes out with the next output.
    Queued,
    /// It goes out in chunks.
    Large,
}

fn unwanted(code: ErrorCode) -> ErrorReply {
    let message =
        if code == ErrorCode::DEADLINE { "the deadline passed" } else { "cancelled by the requester" };
    ErrorReply::new(code, message)
}

/// The body, if it keeps to what the request allows.
fn fitting(body: Body, reply_max: u32) -> Result<Body, ErrorReply> {
    let longest = (body.bytes.len() as u64).max(u64::from(body.raw_len));
    if longest <= u64::from(reply_max) {
        return Ok(body);
    }
    let message = format!("the answer has {longest} bytes, the request allows {reply_max}");
    Err(ErrorReply::new(ErrorCode::REPLY_TOO_LARGE, message))
}
