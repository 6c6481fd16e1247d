//! What one side sends, and the rules that hold in every case: "Always" in `docs/CONFORMANCE.md`.

use std::collections::{BTreeMap, BTreeSet};

use super::Accepts;
use crate::subject::Role;
use crate::wire::{self, ACK_STEP, Fault, Frame, HEADER_WINDOW, Kind, LEAST_PART, LONGEST_HELLO, PREFACE};

/// Most frames of unknown kinds in a row.
const MOST_UNKNOWN: u32 = 100;

/// Most bytes of extensions in one header.
const MOST_EXTENSIONS: usize = 512;

/// One side's direction of a connection, read with the runner's own decoder.
#[derive(Debug)]
pub struct Stream {
    role: Role,
    /// What the other side accepts.
    pub accepts: Accepts,
    data: Vec<u8>,
    preface: bool,
    /// The last frame of a known kind.
    last: Option<Kind>,
    unknown: u32,
    highest: u64,
    /// Bytes left of each body that has begun, by id.
    left: BTreeMap<u64, u64>,
    cancelled: BTreeSet<u64>,
    /// Body bytes so far.
    pub body_bytes: u64,
    /// The last Ack.
    pub acked: u64,
    /// The nonce of the last Ping.
    pub ping: Option<u64>,
}

/// What a stream consists of.
#[derive(Debug, Clone, PartialEq)]
pub enum Unit {
    /// The first eight bytes.
    Preface,
    /// A frame of a known kind.
    Frame(Frame),
    /// A frame of an unknown kind, with its length.
    Unknown(u8, u32),
}

impl Stream {
    /// What this side sends to somebody who accepts so much.
    #[must_use]
    pub fn new(role: Role, accepts: Accepts) -> Self {
        Self {
            role,
            accepts,
            data: Vec::new(),
            preface: false,
            last: None,
            unknown: 0,
            highest: 0,
            left: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            body_bytes: 0,
            acked: 0,
            ping: None,
        }
    }

    /// Takes bytes; [`Stream::next_unit`] then gives what is complete.
    pub fn add(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
    }

    /// Whether a body has begun and is neither complete nor given up.
    #[must_use]
    pub fn in_body(&self) -> bool {
        self.left.values().any(|&left| left > 0)
    }

    /// Whether a frame of a known kind has come.
    #[must_use]
    pub fn has_frames(&self) -> bool {
        self.last.is_some()
    }

    /// Whether a part of a preface or frame waits for the rest of it.
    #[must_use]
    pub fn in_frame(&self) -> bool {
        !self.data.is_empty()
    }

    /// The next complete preface or frame. `others` is how many body bytes the other side has sent.
    ///
    /// # Errors
    /// The rule that is broken, in words.
    pub fn next_unit(&mut self, others: u64) -> Result<Option<Unit>, String> {
        if let Some(last) = self.last.filter(|kind| kind.is_last() && !self.data.is_empty()) {
            return Err(format!("bytes behind {}: {}", last.name(), wire::show_bytes(&self.data)));
        }
        if !self.preface {
            return self.next_preface();
        }
        let Some((length, rest)) = self.data.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length);
        if length == 0 {
            return Err("a frame of length 0 (R-4-1)".to_owned());
        }
        let Some(&number) = rest.first() else { return Ok(None) };
        self.check_length(number, length)?;
        if rest.len() < length as usize {
            return Ok(None);
        }
        let whole: Vec<u8> = self.data.drain(..4 + length as usize).collect();
        match Kind::from_number(number) {
            Some(kind) => self.known(kind, &whole, others).map(|frame| Some(Unit::Frame(frame))),
            None => self.unknown(number).map(|()| Some(Unit::Unknown(number, length))),
        }
    }

    fn next_preface(&mut self) -> Result<Option<Unit>, String> {
        let there = self.data.len().min(PREFACE.len());
        if self.data[..there] != PREFACE[..there] {
            return Err(format!("the first bytes are not the preface: {}", wire::show_bytes(&self.data)));
        }
        if there < PREFACE.len() {
            return Ok(None);
        }
        self.data.drain(..there);
        self.preface = true;
        Ok(Some(Unit::Preface))
    }

    fn check_length(&self, number: u8, length: u32) -> Result<(), String> {
        let most = match Kind::from_number(number) {
            Some(Kind::Hello) => LONGEST_HELLO.into(),
            Some(kind) if !kind.has_body() => HEADER_WINDOW.into(),
            _ => self.accepts.max_frame,
        };
        if u64::from(length) > most {
            return Err(format!(
                "a frame of kind {number:#04x} with {length} bytes, where {most} are accepted (R-4-2)"
            ));
        }
        Ok(())
    }

    fn unknown(&mut self, number: u8) -> Result<(), String> {
        self.unknown += 1;
        if number < 0x80 {
            Err(format!("a frame of the unknown critical kind {number:#04x} (R-4-4)"))
        } else if self.last.is_none_or(|kind| kind == Kind::Hello) && self.role == Role::Router {
            Err(format!("a frame of the unknown kind {number:#04x} before Welcome (R-18-7)"))
        } else if self.unknown > MOST_UNKNOWN {
            Err("more than 100 frames of unknown kinds in a row (R-4-7)".to_owned())
        } else {
            Ok(())
        }
    }

    fn known(&mut self, kind: Kind, whole: &[u8], others: u64) -> Result<Frame, String> {
        let frame = Frame::decode(kind, whole).map_err(|fault| match fault {
            Fault::Malformed(why) => format!("a {} that does not decode: {why}", kind.name()),
            Fault::NotCanonical => format!("a {} that is not canonical (R-5-6)", kind.name()),
        })?;
        let context = |problem: String| format!("{problem}: {}", wire::show_frame(&frame));
        self.unknown = 0;
        self.check_place(kind).map_err(context)?;
        check_extensions(&frame).map_err(context)?;
        match kind {
            Kind::Request | Kind::Response | Kind::PacketChunk => self.part(&frame).map_err(context)?,
            Kind::Ack => self.ack(frame.number("received"), others).map_err(context)?,
            Kind::Ping => self.ping = Some(frame.number("nonce")),
            // What was begun of the body will not come.
            Kind::Cancel | Kind::Error => {
                self.left.insert(frame.number("id"), 0);
                self.cancelled.insert(frame.number("id"));
            }
            _ => {}
        }
        self.last = Some(kind);
        Ok(frame)
    }

    fn check_place(&self, kind: Kind) -> Result<(), String> {
        let first = match self.role {
            Role::Worker => kind == Kind::Hello || (self.last == Some(Kind::Hello) && kind == Kind::Close),
            Role::Router => matches!(kind, Kind::Welcome | Kind::Reject),
        };
        let handshake = matches!(kind, Kind::Hello | Kind::Welcome | Kind::Reject);
        match self.last {
            None if first => Ok(()),
            None => Err("the first frame is none of the handshake".to_owned()),
            Some(_) if handshake => Err("a frame of the handshake at a later time".to_owned()),
            Some(_) => Ok(()),
        }
    }

    /// Sections 9 and 10, for the sender's part.
    fn part(&mut self, frame: &Frame) -> Result<(), String> {
        let id = frame.number("id");
        let own = id % 2 == u64::from(self.role == Role::Worker);
        let carried = frame.body.len() as u64;
        if frame.kind == Kind::Request {
            if !own || id <= self.highest {
                return Err(format!("an id behind {} (R-9-2, R-9-3)", self.highest));
            }
            self.highest = id;
        }
        if frame.kind != Kind::PacketChunk {
            let (body_len, raw_len) = (frame.number("body_len"), frame.number("raw_len"));
            if body_len.max(raw_len) > self.accepts.max_body {
                return Err(format!("a body above {} (R-10-1, R-10-2)", self.accepts.max_body));
            }
            if (frame.number("codec") == 0) != (raw_len == 0) {
                return Err("a raw length that contradicts the codec (R-19-2, R-19-3)".to_owned());
            }
            self.left.insert(id, body_len);
        } else if self.left.get(&id).is_none_or(|&left| left == 0) {
            let cancelled =
                if self.cancelled.contains(&id) { "after Cancel or Error" } else { "without a body" };
            return Err(format!("a PacketChunk {cancelled} (R-10-5, R-10-6)"));
        }
        let left = self.left.entry(id).or_default();
        if carried > *left {
            return Err(format!("more than the {left} bytes left of the body (R-10-3)"));
        }
        if carried < *left && carried < LEAST_PART {
            return Err(format!("{carried} of {left} bytes left, fewer than 4,096 (R-10-4)"));
        }
        *left -= carried;
        self.body_bytes += carried;
        Ok(())
    }

    fn ack(&mut self, received: u64, others: u64) -> Result<(), String> {
        if received < self.acked.saturating_add(ACK_STEP) {
            return Err(format!("it acknowledges too little behind {} (R-13-4)", self.acked));
        }
        if received > others {
            return Err(format!("it acknowledges more than the {others} bytes that came (R-13-3)"));
        }
        self.acked = received;
        Ok(())
    }
}

fn check_extensions(frame: &Frame) -> Result<(), String> {
    let Some(list) = frame.header["ext"].as_array() else { return Ok(()) };
    let tags: BTreeSet<u64> = list.iter().filter_map(|pair| pair[0].as_u64()).collect();
    let bytes: usize = list.iter().filter_map(|pair| Some(pair[1].as_str()?.len() / 2)).sum();
    if tags.len() < list.len() {
        Err("an extension tag stands twice (R-18-2)".to_owned())
    } else if bytes > MOST_EXTENSIONS {
        Err(format!("{bytes} bytes of extensions (R-18-1)"))
    } else {
        Ok(())
    }
}
