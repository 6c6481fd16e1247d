//! Whether a side may send what it sends, and what it still owes when it has nothing to send.

use std::time::Duration;

use nova_proto_core::{Body, CallKey, CloseCode, Compression, ErrorCode, Retry, Role, TraceContext};

use super::frame::{Ask, Ext, Frame, Length, is_known, opened_by, parse};
use super::session::{Answering, End, Farewell, Phase, Ping, Session};
use crate::common::wire;

impl Session {
    /// Takes a frame that this side has handed to its transport: what follows the length.
    pub(crate) fn sends(&mut self, content: &[u8]) {
        let kind = content[0];
        if !is_known(kind) {
            assert!(kind >= 0x80 && kind & 0xf == 0xa, "{kind:#04x} is not grease");
            assert!(self.opening.is_none(), "R-18-7: grease before Welcome");
            return;
        }
        let (frame, end) = parse(&content[..content.len().min(1024)], content.len())
            .unwrap_or_else(|code| panic!("a frame of kind {kind:#04x} that breaks {code}"));
        let carried = &content[end..];
        if let Some(app) = self.opening.take() {
            return self.sends_opening(&frame, &app);
        }
        if matches!(frame, Frame::Close { .. }) && self.is_drained() {
            self.close(End::Local(CloseCode::DRAINED), CloseCode::DRAINED);
        }
        if let Some(farewell) = self.farewell.take() {
            return self.sends_farewell(farewell, &frame);
        }
        assert!(self.is_open(), "{frame:?} when there is nothing to send");
        let longest = self.agreed.as_ref().expect("open").peer_limits.max_frame as usize;
        assert!(
            content.len() <= longest,
            "{} bytes of a frame for a peer that takes {longest}",
            content.len()
        );
        if self.sent_body(carried.len()) {
            self.unacked_since = Some(self.now);
        }
        self.sends_frame(frame, carried);
    }

    /// Counts body bytes; whether the stall timer starts with them.
    fn sent_body(&mut self, count: usize) -> bool {
        self.sent += count as u64;
        self.unacked_since.is_none() && self.sent - self.peer_acked >= 65_536
    }

    fn sends_opening(&self, frame: &Frame, wanted: &[u8]) {
        let compressions: Vec<u8> = if self.config.zstd { vec![1] } else { Vec::new() };
        match frame {
            Frame::Hello { versions, limits, features, compression, app, ext } => {
                let ours: Vec<_> = self
                    .config
                    .versions
                    .iter()
                    .map(|(major, minor)| (u64::from(*major), u64::from(*minor)))
                    .collect();
                assert_eq!((versions, limits), (&ours, &self.config.limits));
                assert_eq!(*features, u64::from(self.config.cancellation));
                assert_eq!((compression, app.as_slice()), (&compressions, wanted));
                only_grease(ext);
            }
            Frame::Welcome { version, limits, features, compression, app, ext } => {
                let agreed = self.agreed.as_ref().expect("the router has decided");
                assert_eq!(*version, (u64::from(agreed.version.0), u64::from(agreed.version.1)));
                assert_eq!(limits, &self.config.limits);
                assert_eq!(*features, u64::from(agreed.cancellation), "R-8-11");
                assert_eq!((compression.contains(&1), app.as_slice()), (agreed.zstd, wanted), "R-8-11");
                only_grease(ext);
            }
            frame => panic!("{frame:?} before Hello or Welcome"),
        }
    }

    fn sends_farewell(&self, farewell: Farewell, frame: &Frame) {
        match (farewell, frame) {
            (Farewell::Close(wanted), Frame::Close { code, last_id }) => {
                assert_eq!(
                    (CloseCode(*code), *last_id),
                    (wanted, self.highest_theirs),
                    "Close, R-16-12 and R-16-14"
                );
            }
            (Farewell::Reject(wanted, wanted_ms), Frame::Reject { code, retry_after_ms, .. }) => {
                assert_eq!((CloseCode(*code), *retry_after_ms), (wanted, wanted_ms), "Reject");
            }
            _ => panic!("{frame:?} in place of {farewell:?}"),
        }
    }

    fn sends_frame(&mut self, frame: Frame, carried: &[u8]) {
        match frame {
            Frame::Request(ask) => self.sends_request(&ask, carried),
            Frame::Response { id, length, ext } => {
                only_grease(&ext);
                self.sends_response(id, length, carried);
            }
            Frame::Chunk { id } if opened_by(id) == self.config.role => {
                let key = self.key_of(id);
                assert!(!self.mine[&key].ended, "R-11-18: a part of request {id} behind its end");
                self.sends_part(key, carried);
            }
            Frame::Chunk { id } => {
                let theirs =
                    self.theirs.get_mut(&id).unwrap_or_else(|| panic!("a part of a closed answer {id}"));
                let Answering::Reply(body, Some(sent)) = &mut theirs.state else {
                    panic!("a part of the answer to {id}, which is {:?}", theirs.state)
                };
                take_part(&body.bytes, sent, carried);
                self.end_of_reply(id);
            }
            Frame::Error { id, code, retry, retry_after_ms, ext, .. } => {
                only_grease(&ext);
                let theirs =
                    self.theirs.get_mut(&id).unwrap_or_else(|| panic!("an Error for {id}, which is closed"));
                let sent = match retry {
                    0 => Retry::Never,
                    1 => Retry::Later(Duration::from_millis(retry_after_ms)),
                    _ => Retry::Elsewhere,
                };
                assert_eq!(theirs.state, Answering::Error(ErrorCode(code), sent), "the answer to {id}");
                theirs.state = Answering::Answered;
                self.close_theirs(id);
            }
            Frame::Cancel { id } => {
                let key = self.key_of(id);
                let mine = self.mine.get_mut(&key).expect("open");
                assert!(std::mem::take(&mut mine.cancel_due), "a Cancel of {id} that nobody asked for");
                mine.ended = true;
                self.close_mine(key);
            }
            Frame::Ack { received } => {
                assert_eq!(received, self.received, "R-13-3");
                assert!(received >= self.acked + 65_536, "R-13-4: {received} after {}", self.acked);
                self.acked = received;
            }
            Frame::Ping { nonce } => {
                assert!(matches!(self.ping, Ping::Due | Ping::Optional), "a Ping while {:?}", self.ping);
                self.ping = Ping::Sent(nonce);
            }
            Frame::Pong { nonce } => assert_eq!(self.pong.take(), Some(nonce), "R-15-3 and R-15-4"),
            Frame::GoAway { deadline_ms } => {
                let within = self.goaway_due.take().expect("R-16-2: a GoAway that is not due");
                assert_eq!(u128::from(deadline_ms), within.as_millis());
                self.goaway_sent = true;
            }
            frame => panic!("{frame:?} has no place"),
        }
    }

    fn key_of(&self, id: u64) -> CallKey {
        let found = self.mine.iter().find(|(_, mine)| mine.open == Some(id));
        *found.unwrap_or_else(|| panic!("request {id} is not open")).0
    }

    fn sends_request(&mut self, ask: &Ask, carried: &[u8]) {
        assert!(!self.drains(), "R-16-3 and R-16-9: request {} in a drain", ask.id);
        assert_eq!(opened_by(ask.id), self.config.role, "R-9-2");
        assert!(ask.id > self.highest_mine, "R-9-3: {} after {}", ask.id, self.highest_mine);
        self.highest_mine = ask.id;
        let limits = self.agreed.as_ref().expect("open").peer_limits;
        let open = self.mine.values().filter(|mine| mine.open.is_some());
        let (slots, cost) = open.fold((0, 0), |(slots, cost), mine| (slots + 1, cost + mine.cost()));
        assert!(slots < limits.max_concurrent, "R-12-1: {} of {slots}", ask.id);
        assert!(cost + ask.cost() <= limits.work_budget, "R-12-2: request {}", ask.id);

        let now = self.now;
        let waiting = self.mine.iter_mut().filter(|(_, mine)| mine.open.is_none());
        let (key, mine) = waiting
            .map(|(key, mine)| (*key, mine))
            .find(|(_, mine)| mine.call.method == ask.method)
            .unwrap_or_else(|| panic!("{ask:?} that nobody wants"));
        let call = &mine.call;
        assert_eq!((ask.length, ask.reply_max), (length_of(&call.body), call.reply_max.into()));
        let left = mine.deadline.map_or(0, |at| (at - now).as_millis().clamp(1, u32::MAX.into()));
        assert_eq!(u128::from(ask.deadline_ms), left, "R-17-7");
        let traced: Ext = call.trace.iter().map(|trace| (1, trace_bytes(trace))).collect();
        assert_eq!(ask.ext, traced);
        mine.open = Some(ask.id);
        self.sends_part(key, carried);
    }

    fn sends_part(&mut self, key: CallKey, carried: &[u8]) {
        let mine = self.mine.get_mut(&key).expect("open");
        take_part(&mine.call.body.bytes, &mut mine.sent, carried);
        mine.ended = mine.sent == mine.call.body.bytes.len();
        mine.cancel_due &= !(mine.ended && mine.answered);
        self.close_mine(key);
    }

    fn sends_response(&mut self, id: u64, length: Length, carried: &[u8]) {
        let theirs =
            self.theirs.get_mut(&id).unwrap_or_else(|| panic!("a Response to {id}, which is closed"));
        let Answering::Reply(body, sent @ None) = &mut theirs.state else {
            panic!("a Response to {id}, which is {:?}", theirs.state)
        };
        assert_eq!(length, length_of(body), "the answer to {id}");
        take_part(&body.bytes, sent.insert(0), carried);
        self.end_of_reply(id);
    }

    fn end_of_reply(&mut self, id: u64) {
        let theirs = self.theirs.get_mut(&id).expect("open");
        if matches!(&theirs.state, Answering::Reply(body, Some(sent)) if *sent == body.bytes.len()) {
            theirs.state = Answering::Answered;
            self.close_theirs(id);
        }
    }

    /// What should have been sent, once there is nothing left to send.
    pub(crate) fn owes_nothing(&self) {
        assert_eq!((&self.opening, self.farewell), (&None, None), "what begins or ends a connection is due");
        if self.phase != Phase::Open {
            return;
        }
        assert!(!self.is_drained(), "R-16-6");
        assert_eq!((self.goaway_due, self.pong), (None, None), "R-16-2 and R-15-3");
        assert_ne!(self.ping, Ping::Due, "R-15-1");
        assert!(
            self.received < self.acked + 65_536,
            "R-13-2: {} came, {} acknowledged",
            self.received,
            self.acked
        );
        // R-13-7: only then may a body wait.
        let may_wait = self.sent - self.peer_acked >= 65_536;
        for (id, theirs) in &self.theirs {
            match &theirs.state {
                Answering::Error(code, _) => panic!("request {id} is owed {code}"),
                Answering::Reply(body, sent) => {
                    let small = sent.is_none() && body.bytes.len() < 8192;
                    assert!(may_wait && !small, "request {id} is owed its answer");
                }
                _ => {}
            }
        }
        for mine in self.mine.values() {
            assert!(!mine.cancel_due, "R-11-7, R-17-5: a Cancel of {:?} is due", mine.open);
            assert!(
                mine.open.is_none() || mine.ended || may_wait,
                "R-11-8: the body of {:?} is due",
                mine.open
            );
        }
        self.waits_with_reason(may_wait);
    }

    /// Section 12: small calls wait for slots only, large ones never when nothing is open.
    fn waits_with_reason(&self, may_wait: bool) {
        let open = self.mine.values().filter(|mine| mine.open.is_some()).count();
        let small =
            self.waiting().filter(|(_, mine)| mine.cost() == 0 && mine.call.body.bytes.len() < 8192).count();
        let others = self.waiting().count() - small;
        let (slots, _) = self.room();
        assert!(small == 0 || open + usize::from(others > 0) >= slots, "{small} small calls wait for a slot");
        assert!(others == 0 || open > 0 || may_wait, "{others} calls wait for nothing");
    }

    /// The preface stands before everything else, once.
    pub(crate) fn sends_preface<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if bytes.is_empty() || std::mem::replace(&mut self.preface_sent, true) {
            return bytes;
        }
        let worker = self.config.role == Role::Worker;
        assert!(worker || self.preface_seen, "R-3-2 and R-3-4: a router that speaks first");
        bytes.strip_prefix(wire::PREFACE).expect("the preface")
    }
}

/// R-10-3, R-10-4 and R-10-7.
fn take_part(body: &[u8], sent: &mut usize, carried: &[u8]) {
    let left = &body[*sent..];
    assert!(carried.len() <= left.len(), "R-10-3: {} of {}", carried.len(), left.len());
    assert!(
        carried.len() == left.len() || carried.len() >= 4096,
        "R-10-4: {} of {}",
        carried.len(),
        left.len()
    );
    assert!(left.starts_with(carried), "R-10-7: other bytes than those of the body");
    *sent += carried.len();
}

fn length_of(body: &Body) -> Length {
    let codec = u8::from(body.compression == Compression::Zstd);
    Length { body: body.bytes.len() as u64, codec, raw: body.raw_len.into() }
}

fn trace_bytes(trace: &TraceContext) -> Vec<u8> {
    [&trace.trace_id[..], &trace.span_id, &[trace.flags]].concat()
}

fn only_grease(ext: &Ext) {
    for (tag, _) in ext {
        assert!(tag & 0x0f0f == 0x0a0a && tag >> 8 == tag & 0xff, "tag {tag:#06x} means nothing here");
    }
}
