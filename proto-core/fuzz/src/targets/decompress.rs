//! Compressed bodies: what a frame decompresses to is bounded by what its sender declared.

use bytes::Bytes;
use nova_proto_core::compress::{compress, decompress as read};
use nova_proto_core::{Body, Compression};

use crate::meter::Meter;
use crate::program::Program;

/// A decoder's step, an error's text and the decoder itself; its window is C's memory and bounded by the fuzzer.
const CONSTANT: usize = 66 * 1024;

/// A byte that chooses, four of the declared length, and the body.
pub fn decompress(data: &[u8]) {
    let mut program = Program::new(data);
    if program.flag() {
        return round_trip(program.rest());
    }
    let raw_len = (u32::from(program.u16()) | u32::from(program.u16()) << 16) % (16 << 20);
    let body =
        Body { bytes: Bytes::copy_from_slice(program.rest()), compression: Compression::Zstd, raw_len };
    let raw_len = raw_len as usize;
    // As for any body that grows: half of it again for a moment.
    let most = raw_len + raw_len / 2 + CONSTANT;
    if let Ok(raw) = Meter::default().run(most, || read(&body)) {
        assert_eq!(raw.len(), raw_len);
    }
}

fn round_trip(bytes: &[u8]) {
    // Bodies below a KiB are left as they are.
    let bytes = Bytes::from(bytes.repeat(1 + 2048 / bytes.len().max(1)));
    let body = compress(bytes.clone(), true);
    assert!(body.bytes.len() <= bytes.len());
    assert_eq!(read(&body), Ok(bytes));
}
