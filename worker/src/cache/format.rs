//! The bytes of a cache file.
//!
//! ```text
//! magic        8 bytes, with the version of this format
//! header hash  32 bytes: BLAKE3 of the header
//! header len   u16, little-endian
//! header       postcard: extractor, key, shard, counters, and length and BLAKE3 of the body
//! body         files, sorted by path: path, hash of the text, package, declarations; postcard
//! ```
//!
//! The hashes tie every byte to the magic: no cut, flip or splice of two files reads as an image. What reads all the same
//! was written on purpose, and is checked like any foreign input: nothing in it makes a reader panic, and what a reader
//! reserves is in proportion to the bytes that are there.

use std::sync::Arc;

use nova_proto_core::messages::{Digest, MAX_PATH, ShardCounters, SymbolKind};
use serde::{Deserialize, Serialize};

use super::FINGERPRINT;
use crate::index::Snapshot;
use crate::shard::{Image, ShardKey};
use crate::{Declaration, Outline};

/// Changed with every change of the format: other files are absent.
const MAGIC: [u8; 8] = *b"NOVAIX\x00\x01";

/// Magic, hash of the header and its length.
const PREFIX: usize = MAGIC.len() + blake3::OUT_LEN + size_of::<u16>();

/// No header is longer.
pub(super) const MAX_HEADER: usize = PREFIX + 256;

/// Why bytes are not an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// It does not begin like one: it is something else, or of another version of the format.
    #[error("it is no index of this version")]
    Foreign,
    /// Another version of the extractor has made it.
    #[error("it was made by another version of the extractor")]
    OtherExtractor,
    /// It is cut off, or bytes in it have changed.
    #[error("it is damaged")]
    Damaged,
    /// It is whole, and makes no sense.
    #[error("it makes no sense: {0}")]
    Invalid(&'static str),
}

/// What a file says of itself, before its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The extractor that has read the files.
    pub extractor: Digest,
    /// The shard.
    pub key: ShardKey,
    /// The number it had.
    pub shard: u32,
    /// The counters it had.
    pub counters: ShardCounters,
    body_len: u64,
    body_hash: [u8; blake3::OUT_LEN],
}

#[derive(Serialize, Deserialize)]
struct StoredFile<'a> {
    path: &'a str,
    hash: Digest,
    package: &'a str,
    #[serde(borrow)]
    symbols: Vec<StoredSymbol<'a>>,
}

#[derive(Serialize, Deserialize)]
struct StoredSymbol<'a> {
    name: &'a str,
    kind: SymbolKind,
    parent: Option<u32>,
    line: u32,
    column: u32,
}

/// The bytes of an image.
#[must_use]
pub fn encode(image: &Image) -> Vec<u8> {
    let mut body = Vec::new();
    // Both are sorted, and name the same files.
    for ((path, hash), (_, outline)) in image.files.iter().zip(image.snapshot.iter()) {
        let symbols = outline.iter().map(|Declaration { name, kind, parent, line, column }| StoredSymbol {
            name,
            kind,
            parent,
            line,
            column,
        });
        let file = StoredFile { path, hash: *hash, package: outline.package(), symbols: symbols.collect() };
        body = append(&file, body);
    }
    let header = Header {
        extractor: FINGERPRINT,
        key: image.key,
        shard: image.shard,
        counters: image.counters,
        body_len: body.len() as u64,
        body_hash: *blake3::hash(&body).as_bytes(),
    };
    let header = append(&header, Vec::new());
    let mut bytes = Vec::with_capacity(PREFIX + header.len() + body.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(blake3::hash(&header).as_bytes());
    bytes.extend_from_slice(&u16::try_from(header.len()).unwrap_or_default().to_le_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&body);
    bytes
}

fn append<T: Serialize>(value: &T, bytes: Vec<u8>) -> Vec<u8> {
    let written = postcard::to_extend(value, bytes);
    debug_assert!(written.is_ok(), "these types hold only what postcard can write");
    // What is not whole has another length than its header says, and reads as damaged.
    written.unwrap_or_default()
}

/// Reads the header from the beginning of a file of `len` bytes.
///
/// # Errors
/// [`FormatError`], also if the file is longer or shorter than the header says. The body is not looked at.
pub fn header(start: &[u8], len: u64) -> Result<Header, FormatError> {
    Ok(split(start, len)?.0)
}

/// Reads a whole file.
///
/// # Errors
/// [`FormatError`]
pub fn decode(bytes: &[u8]) -> Result<Image, FormatError> {
    let (header, body) = split(bytes, bytes.len() as u64)?;
    let body = &bytes[body..];
    if blake3::hash(body) != header.body_hash {
        return Err(FormatError::Damaged);
    }
    let (files, outlines) = files(body)?;
    let snapshot = Snapshot::new(outlines);
    let Header { key, shard, counters, .. } = header;
    if (counters.files as usize, counters.symbols) != (files.len(), snapshot.symbols() as u64) {
        return Err(FormatError::Invalid("its counters are not those of its files"));
    }
    Ok(Image { key, shard, counters, files, snapshot })
}

/// The header, and where the body begins.
fn split(start: &[u8], len: u64) -> Result<(Header, usize), FormatError> {
    let damaged = FormatError::Damaged;
    let rest = start.strip_prefix(&MAGIC).ok_or(FormatError::Foreign)?;
    let (hash, rest) = rest.split_first_chunk::<{ blake3::OUT_LEN }>().ok_or(damaged)?;
    let (header_len, rest) = rest.split_first_chunk::<2>().ok_or(damaged)?;
    let header_len = usize::from(u16::from_le_bytes(*header_len));
    let bytes = rest.get(..header_len).ok_or(damaged)?;
    if blake3::hash(bytes) != *hash {
        return Err(damaged);
    }
    let header: Header = postcard::from_bytes(bytes).map_err(|_| FormatError::Invalid("its header"))?;
    if header.extractor != FINGERPRINT {
        return Err(FormatError::OtherExtractor);
    }
    let body = PREFIX + header_len;
    if (body as u64).checked_add(header.body_len) != Some(len) {
        return Err(damaged);
    }
    Ok((header, body))
}

type Files = Vec<(Arc<str>, Digest)>;
type Outlines = Vec<(Arc<str>, Arc<Outline>)>;

/// Reads the files of a body, in one pass.
fn files(mut body: &[u8]) -> Result<(Files, Outlines), FormatError> {
    let mut files: Files = Vec::new();
    let mut outlines: Outlines = Vec::new();
    while !body.is_empty() {
        let (file, rest) =
            postcard::take_from_bytes::<StoredFile<'_>>(body).map_err(|_| FormatError::Invalid("a file"))?;
        body = rest;
        if file.path.len() > MAX_PATH || files.last().is_some_and(|(last, _)| **last >= *file.path) {
            return Err(FormatError::Invalid("a path is too long or out of order"));
        }
        let mut outline = Outline::new(file.package);
        for (index, symbol) in (0..).zip(&file.symbols) {
            let StoredSymbol { name, kind, parent, line, column } = *symbol;
            if parent.is_some_and(|parent| parent >= index) {
                return Err(FormatError::Invalid("a member comes before its type"));
            }
            let pushed = outline.push(Declaration { name, kind, parent, line, column });
            pushed.ok_or(FormatError::Invalid("a name is too long"))?;
        }
        outline.shrink_to_fit();
        let path: Arc<str> = file.path.into();
        files.push((Arc::clone(&path), file.hash));
        outlines.push((path, Arc::new(outline)));
    }
    Ok((files, outlines))
}
