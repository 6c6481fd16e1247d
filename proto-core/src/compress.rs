//! Bodies as one zstd frame: made and read by the application's threads, never by the connection.

use std::io::Read;

use bytes::Bytes;
use zstd::stream::read::Decoder;

use crate::assembly::append;
use crate::config::Compression;
use crate::error::{ErrorCode, ErrorReply};
use crate::event::Body;

/// Bodies below this many bytes are not worth compressing.
const MIN: usize = 1024;

/// The largest window a frame may ask for, as a power of two: 8 MiB. It is what a decoder must hold besides its output.
const MAX_WINDOW_LOG: u32 = 23;

/// The first bytes of a zstd frame; a skippable frame has others.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How much is decompressed at a time.
const STEP: usize = 64 * 1024;

/// A body of these bytes, compressed if the peer [agreed](crate::Agreed) to that and it pays.
#[must_use]
pub fn compress(bytes: Bytes, agreed: bool) -> Body {
    if !agreed || bytes.len() < MIN {
        return bytes.into();
    }
    match (zstd::bulk::compress(&bytes, 1), u32::try_from(bytes.len())) {
        (Ok(smaller), Ok(raw_len)) if smaller.len() < bytes.len() => {
            Body { bytes: smaller.into(), compression: Compression::Zstd, raw_len }
        }
        _ => bytes.into(),
    }
}

/// The bytes of a body before compression. Takes at most `raw_len` bytes and a window of 8 MiB, whatever the frame says,
/// and half of `raw_len` again for moments while it grows; the connection has checked `raw_len` against the limits.
///
/// # Errors
/// [`ErrorCode::DECOMPRESSION`] unless the body is exactly one zstd frame, without a dictionary, of exactly `raw_len`
/// bytes.
pub fn decompress(body: &Body) -> Result<Bytes, ErrorReply> {
    match body.compression {
        Compression::None => Ok(body.bytes.clone()),
        Compression::Zstd => inflate(&body.bytes, body.raw_len as usize)
            .map(Bytes::from)
            .map_err(|problem| ErrorReply::new(ErrorCode::DECOMPRESSION, problem)),
    }
}

fn inflate(frame: &[u8], raw_len: usize) -> Result<Vec<u8>, String> {
    if !frame.starts_with(&MAGIC) {
        return Err("the body is no zstd frame".to_owned());
    }
    // The two lowest bits of the frame header's first byte say how long the dictionary's id is.
    if frame.get(MAGIC.len()).is_none_or(|descriptor| descriptor & 3 != 0) {
        return Err("the frame names a dictionary, or ends".to_owned());
    }
    let broken = |error: std::io::Error| format!("the frame does not decompress: {error}");
    let mut decoder = Decoder::with_buffer(frame).map_err(broken)?.single_frame();
    decoder.window_log_max(MAX_WINDOW_LOG).map_err(broken)?;
    let mut raw = Vec::new();
    let mut step = vec![0; STEP.min(raw_len.saturating_add(1))];
    loop {
        let count = decoder.read(&mut step).map_err(broken)?;
        if count == 0 {
            break;
        }
        if raw.len().saturating_add(count) > raw_len {
            return Err(format!("the frame holds more than the {raw_len} bytes declared"));
        }
        append(&mut raw, step.get(..count).unwrap_or_default(), raw_len);
    }
    if raw.len() < raw_len {
        return Err(format!("the frame holds {} of the {raw_len} bytes declared", raw.len()));
    }
    if !decoder.finish().is_empty() {
        return Err("bytes behind the frame".to_owned());
    }
    Ok(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zstd_body(frame: Vec<u8>, raw_len: usize) -> Body {
        let raw_len = u32::try_from(raw_len).expect("small");
        Body { bytes: frame.into(), compression: Compression::Zstd, raw_len }
    }

    fn frame(raw: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(raw, 3).expect("compressed")
    }

    fn refused(frame: Vec<u8>, raw_len: usize) -> String {
        let error = decompress(&zstd_body(frame, raw_len)).expect_err("refused");
        assert_eq!(error.code, ErrorCode::DECOMPRESSION);
        error.message
    }

    #[test]
    fn bodies_come_back_as_they_were() {
        for length in [0, 1, MIN - 1, MIN, 100_000, 3_000_000] {
            let raw: Bytes = (0..length).map(|index| ((index / 7) % 251) as u8).collect::<Vec<_>>().into();
            for agreed in [false, true] {
                let body = compress(raw.clone(), agreed);
                assert_eq!(body.compression == Compression::Zstd, agreed && length >= MIN);
                assert_eq!(decompress(&body), Ok(raw.clone()));
            }
        }
        let mut state = 1_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        let noise: Bytes = (0..5000).map(|_| random()).collect();
        assert_eq!(compress(noise.clone(), true), Body::from(noise), "it would have grown");
    }

    #[test]
    fn a_bomb_ends_at_its_declared_length() {
        let bomb = frame(&vec![0; 64 << 20]);
        assert!(bomb.len() < 10_000);
        assert!(refused(bomb.clone(), 1 << 20).contains("more than the 1048576 bytes"));
        assert!(refused(bomb, 0).contains("more than the 0 bytes"));
    }

    #[test]
    fn a_large_window_is_refused_before_it_is_made() {
        // A frame of no content whose header asks for 2^27 bytes of window: descriptor 0, window byte (27 - 10) << 3.
        let mut bytes = MAGIC.to_vec();
        bytes.extend([0x00, 17 << 3, 0x01, 0x00, 0x00]);
        assert!(refused(bytes, 0).contains("does not decompress"));
    }

    #[test]
    fn exactly_one_frame_without_a_dictionary() {
        let one = frame(b"one one one one");
        let twice = [one.clone(), one.clone()].concat();
        assert!(refused(twice, 30).contains("bytes"));
        assert!(refused([&one[..], b"x"].concat(), 15).contains("behind the frame"));
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4][..], &one].concat();
        assert!(refused(skippable, 15).contains("no zstd frame"));
        assert!(refused([&one[..], &[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]].concat(), 15).contains("behind"));
        let mut dictionary = one;
        dictionary[4] |= 1;
        assert!(refused(dictionary, 15).contains("dictionary"));
        assert!(refused(Vec::new(), 0).contains("no zstd frame"));
        assert!(refused(MAGIC.to_vec(), 0).contains("ends"));
    }

    #[test]
    fn what_is_cut_or_does_not_keep_its_word_is_refused() {
        let whole = frame(&[7; 5000]);
        for end in 0..whole.len() {
            refused(whole[..end].to_vec(), 5000);
        }
        assert!(refused(whole.clone(), 5001).contains("5000 of the 5001"));
        assert!(refused(whole.clone(), 4999).contains("more than"));
        for index in 5..whole.len() {
            let mut spoiled = whole.clone();
            spoiled[index] ^= 0x55;
            // Either it is refused, or it has the declared length; it never has another.
            if let Ok(raw) = decompress(&zstd_body(spoiled, 5000)) {
                assert_eq!(raw.len(), 5000);
            }
        }
    }
}
