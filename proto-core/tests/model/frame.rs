//! Complete headers, read by sections 4 to 6 of the specification and by nothing else: plain bytes, no crate.

use nova_proto_core::{CloseCode, Limits, Role};

use crate::common::wire;

pub(crate) type Ext = Vec<(u64, Vec<u8>)>;

/// Every frame with a place in some state, without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Hello {
        versions: Vec<(u64, u64)>,
        limits: Limits,
        features: u64,
        compression: Vec<u8>,
        app: Vec<u8>,
        ext: Ext,
    },
    Welcome {
        version: (u64, u64),
        limits: Limits,
        features: u64,
        compression: Vec<u8>,
        app: Vec<u8>,
        ext: Ext,
    },
    Reject {
        code: u16,
        retry_after_ms: u64,
        ext: Ext,
    },
    Request(Ask),
    Response {
        id: u64,
        length: Length,
        ext: Ext,
    },
    Chunk {
        id: u64,
    },
    Error {
        id: u64,
        code: u16,
        retry: u8,
        retry_after_ms: u64,
        message: String,
        ext: Ext,
    },
    Cancel {
        id: u64,
    },
    Ack {
        received: u64,
    },
    Ping {
        nonce: u64,
    },
    Pong {
        nonce: u64,
    },
    GoAway {
        deadline_ms: u64,
    },
    Close {
        code: u16,
        last_id: u64,
    },
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Length {
    pub(crate) body: u64,
    pub(crate) codec: u8,
    pub(crate) raw: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) id: u64,
    pub(crate) method: u16,
    pub(crate) length: Length,
    pub(crate) reply_max: u64,
    pub(crate) deadline_ms: u64,
    pub(crate) ext: Ext,
}

impl Ask {
    /// Section 12.
    pub(crate) fn cost(&self) -> u64 {
        let parts = [self.length.body, self.length.raw, self.reply_max];
        if parts.iter().all(|part| *part <= 16_384) { 0 } else { parts.iter().sum() }
    }
}

pub(crate) fn carries_body(kind: u8) -> bool {
    matches!(kind, wire::REQUEST | wire::RESPONSE | wire::CHUNK)
}

pub(crate) fn is_known(kind: u8) -> bool {
    matches!(kind, wire::HELLO..=wire::REJECT | wire::REQUEST..=wire::ACK | wire::PING..=wire::CLOSE)
}

/// Checks 6 to 8 of section 22.1 for what follows a length: kind, header, and perhaps a body. `bytes` is the header's
/// window. Returns the header and where it ends.
pub(crate) fn parse(bytes: &[u8], length: usize) -> Result<(Frame, usize), CloseCode> {
    let kind = bytes[0];
    let mut reader = Reader { rest: &bytes[1..], canonical: true };
    let Some(frame) = reader.frame(kind) else { return Err(CloseCode::MALFORMED) };
    if !reader.canonical {
        return Err(CloseCode::NOT_CANONICAL);
    }
    let end = bytes.len() - reader.rest.len();
    if !carries_body(kind) && end != length {
        return Err(CloseCode::MALFORMED);
    }
    Ok((frame, end))
}

/// Section 5. `None` is malformed.
struct Reader<'a> {
    rest: &'a [u8],
    canonical: bool,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn varint(&mut self, bits: u32) -> Option<u64> {
        let longest = bits.div_ceil(7);
        let mut value = 0_u128;
        for index in 0..longest {
            let byte = self.byte()?;
            value |= u128::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.canonical &= byte != 0 || index == 0;
                return (value < 1 << bits).then_some(value as u64);
            }
        }
        None
    }

    fn u16(&mut self) -> Option<u16> {
        self.varint(16).map(|value| value as u16)
    }

    fn bytes(&mut self, most: usize) -> Option<Vec<u8>> {
        let len = usize::try_from(self.varint(64)?).ok()?;
        if len > most || len > self.rest.len() {
            return None;
        }
        let (bytes, rest) = self.rest.split_at(len);
        self.rest = rest;
        Some(bytes.to_vec())
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes(512)?).ok()
    }

    fn list<T>(&mut self, mut element: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let len = self.varint(64)?;
        if len > 8 {
            return None;
        }
        (0..len).map(|_| element(self)).collect()
    }

    fn ext(&mut self) -> Option<Ext> {
        self.list(|reader| Some((reader.varint(16)?, reader.bytes(usize::MAX)?)))
    }

    fn limits(&mut self) -> Option<Limits> {
        Some(Limits {
            max_frame: self.varint(32)? as u32,
            max_body: self.varint(32)? as u32,
            work_budget: self.varint(64)?,
            max_concurrent: self.varint(32)? as u32,
        })
    }

    fn length(&mut self) -> Option<Length> {
        Some(Length { body: self.varint(32)?, codec: self.byte()?, raw: self.varint(32)? })
    }

    fn frame(&mut self, kind: u8) -> Option<Frame> {
        Some(match kind {
            wire::HELLO => Frame::Hello {
                versions: self.list(|reader| Some((reader.varint(16)?, reader.varint(16)?)))?,
                limits: self.limits()?,
                features: self.varint(32)?,
                compression: self.list(Self::byte)?,
                app: self.bytes(4096)?,
                ext: self.ext()?,
            },
            wire::WELCOME => Frame::Welcome {
                version: (self.varint(16)?, self.varint(16)?),
                limits: self.limits()?,
                features: self.varint(32)?,
                compression: self.list(Self::byte)?,
                app: self.bytes(512)?,
                ext: self.ext()?,
            },
            wire::REJECT => {
                let (code, retry_after_ms) = (self.u16()?, self.varint(32)?);
                self.text()?;
                Frame::Reject { code, retry_after_ms, ext: self.ext()? }
            }
            wire::REQUEST => Frame::Request(Ask {
                id: self.varint(64)?,
                method: self.u16()?,
                length: self.length()?,
                reply_max: self.varint(32)?,
                deadline_ms: self.varint(32)?,
                ext: self.ext()?,
            }),
            wire::RESPONSE => {
                Frame::Response { id: self.varint(64)?, length: self.length()?, ext: self.ext()? }
            }
            wire::CHUNK => Frame::Chunk { id: self.varint(64)? },
            wire::ERROR => Frame::Error {
                id: self.varint(64)?,
                code: self.u16()?,
                retry: self.byte()?,
                retry_after_ms: self.varint(32)?,
                message: self.text()?,
                ext: self.ext()?,
            },
            wire::CANCEL => Frame::Cancel { id: self.varint(64)? },
            wire::ACK => Frame::Ack { received: self.varint(64)? },
            wire::PING => Frame::Ping { nonce: self.varint(64)? },
            wire::PONG => Frame::Pong { nonce: self.varint(64)? },
            wire::GOAWAY => Frame::GoAway { deadline_ms: self.varint(32)? },
            wire::CLOSE => {
                let (code, last_id) = (self.u16()?, self.varint(64)?);
                self.text()?;
                Frame::Close { code, last_id }
            }
            _ => return None,
        })
    }
}

/// R-18-1 and R-18-2.
pub(crate) fn check_ext(ext: &Ext) -> Result<(), CloseCode> {
    let total: usize = ext.iter().map(|(_, value)| value.len()).sum();
    if total > 512 || twice(ext.iter().map(|(tag, _)| *tag)) {
        return Err(CloseCode::BAD_EXTENSIONS);
    }
    Ok(())
}

/// R-8-16 to R-8-19.
pub(crate) fn check_limits(limits: &Limits) -> Result<(), CloseCode> {
    let good = limits.max_frame >= 16_384
        && limits.max_body >= limits.max_frame
        && limits.work_budget >= 2 * u64::from(limits.max_body)
        && limits.max_concurrent >= 1;
    if good { Ok(()) } else { Err(CloseCode::BAD_LIMITS) }
}

pub(crate) fn twice<T: PartialEq>(items: impl IntoIterator<Item = T>) -> bool {
    let mut seen = Vec::new();
    for item in items {
        if seen.contains(&item) {
            return true;
        }
        seen.push(item);
    }
    false
}

/// Even ids are the router's.
pub(crate) fn opened_by(id: u64) -> Role {
    if id.is_multiple_of(2) { Role::Router } else { Role::Worker }
}
