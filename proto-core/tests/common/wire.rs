//! Frames built and taken apart by hand, so that nothing here can share a mistake with the crate's own codec.

use std::fmt;

use nova_proto_core::{Limits, Role};

pub(crate) const PREFACE: &[u8; 8] = b"NOVA3\r\n\0";

pub(crate) const HELLO: u8 = 0x01;
pub(crate) const WELCOME: u8 = 0x02;
pub(crate) const REJECT: u8 = 0x03;
pub(crate) const REQUEST: u8 = 0x10;
pub(crate) const RESPONSE: u8 = 0x11;
pub(crate) const CHUNK: u8 = 0x12;
pub(crate) const ERROR: u8 = 0x13;
pub(crate) const CANCEL: u8 = 0x14;
pub(crate) const ACK: u8 = 0x15;
pub(crate) const PING: u8 = 0x20;
pub(crate) const PONG: u8 = 0x21;
pub(crate) const GOAWAY: u8 = 0x22;
pub(crate) const CLOSE: u8 = 0x23;

/// Little-endian groups of seven bits, the shortest way.
pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// The same number, one byte longer than need be.
pub(crate) fn padded_varint(value: u64) -> Vec<u8> {
    let mut out = varint(value);
    if let Some(last) = out.last_mut() {
        *last |= 0x80;
    }
    out.push(0);
    out
}

/// One value in a header.
#[derive(Debug, Clone)]
pub(crate) enum Field {
    /// A number of 16, 32 or 64 bits.
    Int(u64, u32),
    /// The length of a list, a text or a byte string.
    Len(usize),
    /// Bytes as they are.
    Plain(Vec<u8>),
}

impl Field {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Int(value, _) => varint(*value),
            Self::Len(len) => varint(*len as u64),
            Self::Plain(bytes) => bytes.clone(),
        }
    }
}

/// A frame in parts, so that a test can spoil one of them.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) fields: Vec<Field>,
    pub(crate) body: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(kind: u8) -> Self {
        Self { kind, fields: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn u8(self, value: u8) -> Self {
        self.plain(vec![value])
    }

    pub(crate) fn u16(self, value: u16) -> Self {
        self.field(Field::Int(u64::from(value), 16))
    }

    pub(crate) fn u32(self, value: u32) -> Self {
        self.field(Field::Int(u64::from(value), 32))
    }

    pub(crate) fn u64(self, value: u64) -> Self {
        self.field(Field::Int(value, 64))
    }

    /// A text or byte string.
    pub(crate) fn string(self, bytes: &[u8]) -> Self {
        self.field(Field::Len(bytes.len())).plain(bytes.to_vec())
    }

    pub(crate) fn plain(self, bytes: Vec<u8>) -> Self {
        self.field(Field::Plain(bytes))
    }

    pub(crate) fn ext(mut self, ext: &[(u16, &[u8])]) -> Self {
        self = self.field(Field::Len(ext.len()));
        for (tag, value) in ext {
            self = self.u16(*tag).string(value);
        }
        self
    }

    pub(crate) fn limits(self, limits: &Limits) -> Self {
        self.u32(limits.max_frame).u32(limits.max_body).u64(limits.work_budget).u32(limits.max_concurrent)
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub(crate) fn field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    pub(crate) fn header(&self) -> Vec<u8> {
        self.fields.iter().flat_map(Field::bytes).collect()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        raw(self.kind, &[self.header(), self.body.clone()].concat())
    }

    /// The frame with one field's bytes replaced.
    pub(crate) fn spoiled(&self, index: usize, bytes: Vec<u8>) -> Vec<u8> {
        let mut frame = self.clone();
        frame.fields[index] = Field::Plain(bytes);
        frame.bytes()
    }
}

/// Any kind, any content.
pub(crate) fn raw(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut out = (content.len() as u32 + 1).to_le_bytes().to_vec();
    out.push(kind);
    out.extend_from_slice(content);
    out
}

/// What a `Hello` says; the defaults are legal.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) versions: Vec<(u16, u16)>,
    pub(crate) limits: Limits,
    pub(crate) features: u32,
    pub(crate) compression: Vec<u8>,
    pub(crate) app: Vec<u8>,
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            versions: vec![(3, 0)],
            limits: Limits::default(),
            features: 1,
            compression: Vec::new(),
            app: b"worker".to_vec(),
        }
    }
}

impl Offer {
    pub(crate) fn hello(&self, ext: &[(u16, &[u8])]) -> Frame {
        let mut frame = Frame::new(HELLO).field(Field::Len(self.versions.len()));
        for (major, minor) in &self.versions {
            frame = frame.u16(*major).u16(*minor);
        }
        frame
            .limits(&self.limits)
            .u32(self.features)
            .field(Field::Len(self.compression.len()))
            .plain(self.compression.clone())
            .string(&self.app)
            .ext(ext)
    }

    pub(crate) fn welcome(&self, ext: &[(u16, &[u8])]) -> Frame {
        let (major, minor) = self.versions[0];
        Frame::new(WELCOME)
            .u16(major)
            .u16(minor)
            .limits(&self.limits)
            .u32(self.features)
            .field(Field::Len(self.compression.len()))
            .plain(self.compression.clone())
            .string(&self.app)
            .ext(ext)
    }

    /// The first bytes of this role, legal ones.
    pub(crate) fn opening(&self, role: Role) -> Vec<u8> {
        let frame = match role {
            Role::Worker => self.hello(&[]),
            Role::Router => self.welcome(&[]),
        };
        [PREFACE.to_vec(), frame.bytes()].concat()
    }
}

pub(crate) fn reject(code: u16, retry_after_ms: u32, message: &[u8]) -> Frame {
    Frame::new(REJECT).u16(code).u32(retry_after_ms).string(message).ext(&[])
}

/// What a `Request` declares; the defaults are a small one without a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) id: u64,
    pub(crate) body_len: u32,
    pub(crate) codec: u8,
    pub(crate) raw_len: u32,
    pub(crate) reply_max: u32,
    pub(crate) deadline_ms: u32,
    pub(crate) ext: &'a [(u16, &'a [u8])],
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Self { id: 1, body_len: 0, codec: 0, raw_len: 0, reply_max: 1000, deadline_ms: 0, ext: &[] }
    }
}

impl Ask<'_> {
    pub(crate) fn frame(&self, body: &[u8]) -> Frame {
        Frame::new(REQUEST)
            .u64(self.id)
            .u16(7)
            .u32(self.body_len)
            .u8(self.codec)
            .u32(self.raw_len)
            .u32(self.reply_max)
            .u32(self.deadline_ms)
            .ext(self.ext)
            .body(body)
    }
}

/// A whole small request.
pub(crate) fn request(id: u64, body: &[u8]) -> Vec<u8> {
    Ask { id, body_len: body.len() as u32, ..Ask::default() }.frame(body).bytes()
}

pub(crate) fn response(id: u64, body_len: u32, body: &[u8]) -> Frame {
    Frame::new(RESPONSE).u64(id).u32(body_len).u8(0).u32(0).ext(&[]).body(body)
}

pub(crate) fn chunk(id: u64, body: &[u8]) -> Vec<u8> {
    Frame::new(CHUNK).u64(id).body(body).bytes()
}

pub(crate) fn error(id: u64, code: u16) -> Frame {
    Frame::new(ERROR).u64(id).u16(code).u8(0).u32(0).string(b"no").ext(&[])
}

pub(crate) fn number(kind: u8, value: u64) -> Vec<u8> {
    Frame::new(kind).u64(value).bytes()
}

pub(crate) fn cancel(id: u64) -> Vec<u8> {
    number(CANCEL, id)
}

pub(crate) fn ack(received: u64) -> Vec<u8> {
    number(ACK, received)
}

pub(crate) fn ping(nonce: u64) -> Vec<u8> {
    number(PING, nonce)
}

pub(crate) fn pong(nonce: u64) -> Vec<u8> {
    number(PONG, nonce)
}

pub(crate) fn goaway(deadline_ms: u32) -> Vec<u8> {
    Frame::new(GOAWAY).u32(deadline_ms).bytes()
}

pub(crate) fn close(code: u16, last_id: u64, message: &[u8]) -> Frame {
    Frame::new(CLOSE).u16(code).u64(last_id).string(message)
}

/// Cuts a header that was sent into numbers and the rest.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) kind: u8,
    pub(crate) content: Vec<u8>,
}

impl fmt::Debug for Sent {
    /// Not the whole body: some are megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = &self.content[..self.content.len().min(12)];
        write!(f, "{:#04x} {start:?} of {}", self.kind, self.content.len())
    }
}

impl Sent {
    /// The number at this place, for headers that begin with numbers.
    pub(crate) fn int(&self, index: usize) -> u64 {
        let mut rest = self.content.as_slice();
        for _ in 0..index {
            read_varint(&mut rest);
        }
        read_varint(&mut rest)
    }
}

pub(crate) fn read_varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, tail) = rest.split_first().expect("a varint has an end");
        *rest = tail;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}

/// The frames in what a connection sent; a preface at the front is skipped.
pub(crate) fn frames(bytes: &[u8]) -> Vec<Sent> {
    let mut rest = bytes.strip_prefix(PREFACE).unwrap_or(bytes);
    let mut out = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (frame, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
        out.push(Sent { kind: frame[0], content: frame[1..].to_vec() });
        rest = tail;
    }
    assert!(rest.is_empty(), "only whole frames are sent");
    out
}
