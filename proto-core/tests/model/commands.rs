//! What the application and the clock do to a session.

use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::{
    Body, Call, CallError, CallKey, CloseCode, Compression, ErrorCode, ErrorReply, Event, Retry, SendError,
};

use super::session::{Answering, End, Farewell, Mine, Phase, Ping, Session};

impl Session {
    pub(crate) fn accept(&mut self, app: Vec<u8>) {
        assert_eq!(self.phase, Phase::Deciding);
        self.opening = Some(app);
        self.phase = Phase::Open;
        let agreed = self.agreed.clone().expect("negotiated");
        self.observe(Event::Connected { agreed, app: Bytes::new() });
        self.last_byte = self.now;
        // R-8-1: what waited behind Hello.
        self.read();
    }

    pub(crate) fn reject(&mut self, code: CloseCode, retry_after_ms: u64) {
        assert_eq!(self.phase, Phase::Deciding);
        self.end(End::Local(code), Some(Farewell::Reject(code, retry_after_ms)));
    }

    /// Why a call is not possible, if it is not.
    pub(crate) fn refuses(&self, call: &Call) -> Option<&'static str> {
        if self.phase == Phase::Closed {
            return Some("Closed");
        }
        let Some(agreed) = self.agreed.as_ref().filter(|_| self.is_open()) else { return Some("NotReady") };
        if self.drains() {
            return Some("Draining");
        }
        if self.mine.len() >= self.config.max_calls {
            return Some("TooManyCalls");
        }
        if let Some(fault) = self.body_fault(&call.body) {
            return Some(fault);
        }
        let mine = waiting(call.clone(), None);
        let (slots, budget) = self.room();
        let body = call.body.bytes.len().max(call.body.raw_len as usize);
        let too_large = body > agreed.peer_limits.max_body as usize
            || call.reply_max > self.config.limits.max_body
            || mine.cost() > budget;
        if too_large {
            return Some("TooLarge");
        }
        let cost: u64 = self.mine.values().map(Mine::cost).sum();
        // R-12-8; what waits will be sent before.
        if !call.may_wait && (self.mine.len() >= slots || mine.cost() > 0 && cost + mine.cost() > budget) {
            return Some("Busy");
        }
        None
    }

    fn body_fault(&self, body: &Body) -> Option<&'static str> {
        let compressed = body.compression == Compression::Zstd;
        if compressed && !self.agreed.as_ref().is_some_and(|agreed| agreed.zstd) {
            return Some("CompressionNotAgreed");
        }
        (compressed != (body.raw_len > 0)).then_some("RawLength")
    }

    pub(crate) fn call(&mut self, key: CallKey, call: Call, now: Instant) {
        self.now = now;
        let deadline = call.timeout.map(|timeout| now + timeout);
        assert!(self.mine.insert(key, waiting(call, deadline)).is_none(), "keys are new");
    }

    /// Returns whether the call was still under way.
    pub(crate) fn cancel(&mut self, key: CallKey) -> bool {
        let under_way = self.mine.get(&key).is_some_and(|mine| mine.wanted && !mine.answered);
        if under_way {
            self.give_up(key);
        }
        under_way
    }

    fn give_up(&mut self, key: CallKey) {
        let cancellation = self.agreed.as_ref().is_some_and(|agreed| agreed.cancellation);
        let mine = self.mine.get_mut(&key).expect("under way");
        mine.wanted = false;
        mine.cancel_due = cancellation;
        if mine.open.is_none() {
            self.mine.remove(&key);
        }
    }

    /// Answers a request, or says why that is not possible.
    pub(crate) fn respond(&mut self, id: u64, result: Result<Body, ErrorReply>) -> Option<&'static str> {
        if self.is_open()
            && let Some(fault) = result.as_ref().ok().and_then(|body| self.body_fault(body))
        {
            return Some(fault);
        }
        let peer_max = self.agreed.as_ref().map_or(0, |agreed| agreed.peer_limits.max_body);
        let Some(theirs) = self.theirs.get_mut(&id).filter(|theirs| theirs.state == Answering::Running)
        else {
            return Some("NoSuchRequest");
        };
        let most = theirs.ask.reply_max.min(u64::from(peer_max));
        theirs.state = match result {
            _ if theirs.cancelled => Answering::Error(ErrorCode::CANCELLED, Retry::Never),
            _ if theirs.late => Answering::Error(ErrorCode::DEADLINE, Retry::Never),
            Ok(body) if (body.bytes.len() as u64).max(body.raw_len.into()) > most => {
                Answering::Error(ErrorCode::REPLY_TOO_LARGE, Retry::Never)
            }
            Ok(body) => Answering::Reply(body, None),
            Err(error) => Answering::Error(error.code, error.retry),
        };
        None
    }

    pub(crate) fn drain(&mut self, within: Duration, now: Instant) {
        self.now = now;
        if self.drain_until.is_none() {
            self.drain_until = Some(now + within);
            self.goaway_due = Some(within);
            self.fail_waiting();
        }
    }

    pub(crate) fn close_locally(&mut self, code: CloseCode) {
        self.end(End::Local(code), Some(Farewell::Close(code)));
    }

    /// Lets time pass: every timer at its moment, and by section 22.3 where several have the same.
    pub(crate) fn pass(&mut self, now: Instant) {
        while let Some((at, _, timer)) = self.next_timer()
            && at <= now
        {
            self.now = self.now.max(at);
            self.expire(timer);
        }
        self.now = now;
    }

    fn next_timer(&self) -> Option<(Instant, u8, Timer)> {
        let timers = &self.config.timers;
        match self.phase {
            Phase::Closed => return None,
            Phase::Open => {}
            _ => return Some((self.born + timers.handshake, 0, Timer::Handshake)),
        }
        let theirs =
            self.theirs.iter().filter_map(|(id, theirs)| Some((theirs.deadline?, 0, Timer::Theirs(*id))));
        let mine = self.mine.iter().filter_map(|(key, mine)| Some((mine.deadline?, 0, Timer::Mine(*key))));
        let silence = self.last_byte + timers.keepalive;
        let ping = matches!(self.ping, Ping::None | Ping::Optional).then_some((silence, 3, Timer::Ping));
        let rest = [
            // R-16-24: a GoAway that waits to be sent holds up the time in it.
            self.drain_until.filter(|_| self.goaway_sent).map(|at| (at, 1, Timer::Drain)),
            self.peer_drains.map(|at| (at, 1, Timer::Drain)),
            self.unacked_since.map(|since| (since + timers.stall, 2, Timer::Stall)),
            ping,
            Some((silence + timers.keepalive_grace, 4, Timer::Keepalive)),
        ];
        theirs.chain(mine).chain(rest.into_iter().flatten()).min_by_key(|(at, rank, _)| (*at, *rank))
    }

    fn expire(&mut self, timer: Timer) {
        let mut timeout = |code| self.end(End::Local(code), Some(Farewell::Close(code)));
        match timer {
            Timer::Drain => timeout(CloseCode::DRAIN_DEADLINE),
            Timer::Stall => timeout(CloseCode::SLOW_READER),
            Timer::Keepalive => timeout(CloseCode::KEEPALIVE_TIMEOUT),
            Timer::Ping => self.ping = Ping::Due,
            Timer::Handshake => {
                let code = CloseCode::HANDSHAKE_TIMEOUT;
                let told = self.phase != Phase::AwaitingWelcome && self.preface_seen;
                self.end(End::Local(code), told.then_some(Farewell::Reject(code, 1000)));
            }
            Timer::Mine(key) => {
                let mine = self.mine.get_mut(&key).expect("it has a timer");
                mine.deadline = None;
                if mine.wanted && !mine.answered {
                    let retry_safe = mine.open.is_none();
                    self.give_up(key);
                    self.observe(Event::Answer { key, result: Err(CallError::Deadline { retry_safe }) });
                }
            }
            Timer::Theirs(id) => {
                let theirs = self.theirs.get_mut(&id).expect("it has a timer");
                theirs.deadline = None;
                match theirs.state {
                    Answering::Receiving => {
                        theirs.state = Answering::Error(ErrorCode::DEADLINE, Retry::Never);
                    }
                    Answering::Running => {
                        theirs.late = true;
                        self.tell(id);
                    }
                    _ => {}
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Timer {
    Handshake,
    Theirs(u64),
    Mine(CallKey),
    Drain,
    Stall,
    Ping,
    Keepalive,
}

fn waiting(call: Call, deadline: Option<Instant>) -> Mine {
    Mine {
        call,
        deadline,
        open: None,
        sent: 0,
        ended: false,
        wanted: true,
        answered: false,
        cancel_due: false,
        reply: None,
    }
}

/// The name of an error, to be compared with what the model says.
pub(crate) fn name(error: &SendError) -> &'static str {
    match error {
        SendError::Closed => "Closed",
        SendError::NotReady => "NotReady",
        SendError::Draining => "Draining",
        SendError::Busy => "Busy",
        SendError::TooManyCalls { .. } => "TooManyCalls",
        SendError::TooLarge { .. } => "TooLarge",
        SendError::CompressionNotAgreed => "CompressionNotAgreed",
        SendError::RawLength => "RawLength",
        SendError::NoSuchRequest => "NoSuchRequest",
        _ => "another",
    }
}
