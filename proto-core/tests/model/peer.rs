//! A peer that is mostly legal: frames that fit what the model knows, and now and then one that breaks a rule. Which
//! rule, and whether it is one at all, is for the model to say.

use nova_proto_core::{Limits, Role};

use super::frame::opened_by;
use super::session::{Ping, Session};
use super::side::{length, limits};
use crate::common::pattern;
use crate::common::rng::Rng;
use crate::common::wire::{self, Ask, Field, Frame, Offer, padded_varint, varint};

/// The first bytes of the peer.
pub(crate) fn opening(rng: &mut Rng, session: &Session) -> Vec<u8> {
    let config = &session.config;
    let offer = Offer {
        versions: if rng.percent(90) {
            vec![(3, 0)]
        } else {
            vec![(rng.below(5) as u16, rng.below(3) as u16); 1]
        },
        limits: if rng.percent(95) {
            limits(rng)
        } else {
            Limits { max_frame: rng.next() as u32, ..limits(rng) }
        },
        features: rng.below(4) as u32
            & if config.role == Role::Worker { u32::from(config.cancellation) } else { 3 },
        compression: if config.zstd && rng.percent(70) { vec![1] } else { Vec::new() },
        app: b"peer".to_vec(),
    };
    let frame = match config.role {
        Role::Router => offer.hello(&[(900, b"abc")]),
        Role::Worker if rng.percent(3) => wire::reject(rng.next() as u16, rng.below(5000) as u32, b"no"),
        Role::Worker => offer.welcome(&[(900, b"abc")]),
    };
    let bytes = if rng.percent(15) { spoiled(rng, &frame) } else { frame.bytes() };
    let mut preface = wire::PREFACE.to_vec();
    if rng.percent(2) {
        preface[rng.index(8)] ^= 1;
    }
    [preface, bytes].concat()
}

/// Some frames, most likely one; `lawless` if they may break a rule.
pub(crate) fn frames(rng: &mut Rng, session: &Session, lawless: bool) -> Vec<u8> {
    let peer = Peer { session, lawless };
    if !lawless {
        return peer.frame(rng).map(|frame| frame.bytes()).unwrap_or_default();
    }
    match rng.below(12) {
        0 => [vec![0; 4], wire::ping(1)].concat(),
        1 => (session.config.limits.max_frame + 1).to_le_bytes().to_vec(),
        2 => wire::raw(rng.next() as u8, &vec![1; rng.below(3000) as usize]),
        3 => wire::raw(0x80 | rng.next() as u8, b"skip").repeat(rng.between(99, 102) as usize),
        4..7 => peer.frame(rng).map(|frame| frame.bytes()).unwrap_or_default(),
        _ => {
            let lawful = Peer { session, lawless: false };
            lawful.frame(rng).map(|frame| spoiled(rng, &frame)).unwrap_or_default()
        }
    }
}

struct Peer<'a> {
    session: &'a Session,
    /// Says what it likes in place of what fits.
    lawless: bool,
}

impl Peer<'_> {
    fn frame(&self, rng: &mut Rng) -> Option<Frame> {
        let session = self.session;
        match rng.below(40) {
            0..10 => self.request(rng),
            10..16 => self.part_of_request(rng),
            16..22 => self.response(rng),
            22..28 => self.part_of_response(rng),
            28..30 => self.open_call(rng).map(|id| error(rng, id)),
            30..33 => self.cancel(rng),
            33..35 => {
                let behind = session.sent - session.peer_acked;
                if behind < 65_536 && !self.lawless {
                    return None;
                }
                let more = if self.lawless { rng.below(200_000) } else { rng.between(65_536, behind) };
                Some(Frame::new(wire::ACK).u64(session.peer_acked + more))
            }
            35 => Some(Frame::new(wire::PING).u64(rng.next())),
            36 | 37 => match session.ping {
                Ping::Sent(nonce) => Some(Frame::new(wire::PONG).u64(nonce)),
                _ => self.lawless.then(|| Frame::new(wire::PONG).u64(1)),
            },
            38 if rng.percent(8) => Some(Frame::new(wire::GOAWAY).u32(rng.below(9000) as u32)),
            39 if rng.percent(4) => {
                Some(wire::close(rng.below(100) as u16, rng.below(session.highest_mine + 3), b"bye"))
            }
            _ => Some(Frame::new(0x80 | rng.next() as u8).body(&pattern(1, rng.below(2000) as usize))),
        }
    }

    fn parity(&self) -> u64 {
        u64::from(self.session.config.role == Role::Router)
    }

    fn any_id(&self, rng: &mut Rng) -> u64 {
        rng.below(self.session.highest_theirs.max(self.session.highest_mine).saturating_add(4))
    }

    fn request(&self, rng: &mut Rng) -> Option<Frame> {
        let session = self.session;
        let limits = session.config.limits;
        if !self.lawless
            && (session.theirs.len() >= limits.max_concurrent as usize || session.peer_drains.is_some())
        {
            return None;
        }
        let highest = session.highest_theirs;
        let next = highest.checked_add(if highest % 2 == self.parity() { 2 } else { 1 })?;
        let id = if self.lawless && rng.percent(30) {
            self.any_id(rng)
        } else {
            next.checked_add(2 * rng.below(3))?
        };
        let zstd = session.agreed.as_ref().is_some_and(|agreed| agreed.zstd) && rng.percent(20);
        let mut ask = Ask {
            id,
            body_len: length(rng),
            codec: u8::from(zstd),
            raw_len: if zstd { length(rng).max(1) } else { 0 },
            reply_max: length(rng),
            deadline_ms: if rng.percent(30) { rng.below(3000) as u32 } else { 0 },
            ext: if rng.percent(20) { &[(1, &[7; 25]), (900, b"x")] } else { &[] },
        };
        let cost = u64::from(ask.body_len) + u64::from(ask.raw_len) + u64::from(ask.reply_max);
        let fits = ask.body_len.max(ask.raw_len) <= limits.max_body
            && session.serving_cost() + cost <= limits.work_budget;
        if !fits && !self.lawless {
            ask = Ask { body_len: 1000, raw_len: u32::from(zstd), reply_max: 1000, ..ask };
        }
        let part = self.part(rng, ask.body_len as usize);
        Some(ask.frame(&pattern(id, part)))
    }

    /// How much of a body that has so much left goes into one frame.
    fn part(&self, rng: &mut Rng, left: usize) -> usize {
        let longest = self.session.config.limits.max_frame as usize - 200;
        match rng.below(10) {
            0 if self.lawless => rng.below(5000) as usize,
            0..4 => left.min(rng.between(4096, longest as u64) as usize),
            _ => left.min(longest),
        }
    }

    fn part_of_request(&self, rng: &mut Rng) -> Option<Frame> {
        let open: Vec<_> = self.session.theirs.iter().filter(|(_, theirs)| !theirs.ended).collect();
        if open.is_empty() || self.lawless && rng.percent(30) {
            return self.lawless.then(|| Frame::new(wire::CHUNK).u64(self.any_id(rng)).body(&[1; 5000]));
        }
        let (id, theirs) = open[rng.index(open.len())];
        let left = theirs.ask.length.body as usize - theirs.got.len();
        let part = self.part(rng, left);
        Some(Frame::new(wire::CHUNK).u64(*id).body(&pattern(*id, part)))
    }

    fn open_call(&self, rng: &mut Rng) -> Option<u64> {
        let open: Vec<u64> =
            self.session.mine.values().filter(|mine| !mine.answered).filter_map(|mine| mine.open).collect();
        if open.is_empty() || self.lawless && rng.percent(30) {
            return self.lawless.then(|| self.any_id(rng));
        }
        Some(rng.pick(&open))
    }

    fn response(&self, rng: &mut Rng) -> Option<Frame> {
        let id = self.open_call(rng)?;
        let mine = self.session.mine.values().find(|mine| mine.open == Some(id));
        let begun = mine.is_some_and(|mine| mine.reply.is_some());
        if begun && !self.lawless {
            return None;
        }
        let reply_max = mine.map_or(1000, |mine| mine.call.reply_max);
        let total = length(rng);
        let total = if self.lawless { total } else { total.min(reply_max) };
        let part = self.part(rng, total as usize);
        Some(wire::response(id, total, &pattern(id, part)))
    }

    fn part_of_response(&self, rng: &mut Rng) -> Option<Frame> {
        let open: Vec<_> =
            self.session.mine.values().filter(|mine| !mine.answered && mine.reply.is_some()).collect();
        let mine = (!open.is_empty()).then(|| open[rng.index(open.len())])?;
        let (length, got) = mine.reply.as_ref()?;
        let part = self.part(rng, length.body as usize - got.len());
        Some(Frame::new(wire::CHUNK).u64(mine.open?).body(&pattern(3, part)))
    }

    fn cancel(&self, rng: &mut Rng) -> Option<Frame> {
        let agreed = self.session.agreed.as_ref().is_some_and(|agreed| agreed.cancellation);
        let id = self.any_id(rng);
        let good = agreed
            && id != 0
            && opened_by(id) != self.session.config.role
            && id <= self.session.highest_theirs;
        (good || self.lawless).then(|| Frame::new(wire::CANCEL).u64(id))
    }
}

fn error(rng: &mut Rng, id: u64) -> Frame {
    let retry = rng.below(3) as u8;
    let after = if retry == 1 { rng.below(1000) as u32 } else { 0 };
    Frame::new(wire::ERROR)
        .u64(id)
        .u16(rng.below(300) as u16)
        .u8(retry)
        .u32(after)
        .string("é".as_bytes())
        .ext(&[])
}

/// One thing about a frame changed.
fn spoiled(rng: &mut Rng, frame: &Frame) -> Vec<u8> {
    let mut frame = frame.clone();
    if frame.fields.is_empty() {
        return frame.bytes();
    }
    let index = rng.index(frame.fields.len());
    let field = frame.fields[index].clone();
    let number = match &field {
        Field::Int(value, _) => *value,
        Field::Len(len) => *len as u64,
        Field::Plain(bytes) => bytes.first().copied().unwrap_or(0).into(),
    };
    let near =
        rng.pick(&[0, 1, number + 1, number.wrapping_sub(1), number + 2, u64::from(u32::MAX), u64::MAX]);
    match rng.below(10) {
        0..5 => frame.fields[index] = Field::Plain(varint(near)),
        5 => frame.fields[index] = Field::Plain(padded_varint(number)),
        6 => frame.fields.truncate(index),
        7 => frame.body.extend([1, 2, 3]),
        8 => frame.body.truncate(rng.below(5000) as usize),
        _ => {
            let last = frame.fields.len() - 1;
            let (count, each) = rng.pick(&[(2, 3), (1, 513), (9, 0)]);
            frame.fields.truncate(last);
            frame = frame.ext(&vec![(7, &[0; 600][..each]); count]);
        }
    }
    frame.bytes()
}
