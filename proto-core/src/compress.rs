//! Bodies as one zstd frame: made and read by the application's threads, never by the connection.

use std::io::Read;

use bytes::Bytes;
use zstd::stream::read::Decoder;
use zstd::zstd_safe::get_frame_content_size;

use crate::assembly::append;
use crate::config::Compression;
use crate::error::{ErrorCode, ErrorReply};
use crate::event::Body;

/// Bodies below this many bytes are not worth compressing.
const MIN: usize = 4096;

/// The largest window a frame may ask for, as a power of two: 8 MiB. It is what a decoder must hold besides its output.
const MAX_WINDOW_LOG: u32 = 23;

/// The first bytes of a zstd frame; a skippable frame has others.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How much is decompressed at a time.
const STEP: usize = 65_536;

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
    if names_dictionary(frame.get(MAGIC.len()..).unwrap_or_default()) {
        return Err("the frame names a dictionary, or ends".to_owned());
    }
    // The decoder would notice at the end; a frame that says at its beginning what it breaks need not be decompressed.
    if let Ok(Some(size)) = get_frame_content_size(frame)
        && size != raw_len as u64
    {
        return Err(format!("the frame's content size is {size}, not the {raw_len} bytes declared"));
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

/// Whether a frame's header, without its magic number, names a dictionary, or is too short to tell. The id 0 is that of none.
fn names_dictionary(header: &[u8]) -> bool {
    let Some(descriptor) = header.first() else { return true };
    let length = [0, 1, 2, 4].get(usize::from(descriptor & 3)).copied().unwrap_or(0);
    // A frame of a single segment has no byte for its window before the id.
    let start = if descriptor & 0x20 == 0 { 2 } else { 1_usize };
    let id = header.get(start..start.saturating_add(length));
    id.is_none_or(|id| id.iter().any(|byte| *byte != 0))
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
        for length in [0, 1, 4095, 4096, 100_000, 3_000_000] {
            let raw: Bytes = (0..length).map(|index| ((index / 7) % 251) as u8).collect::<Vec<_>>().into();
            for agreed in [false, true] {
                let body = compress(raw.clone(), agreed);
                assert_eq!(body.compression == Compression::Zstd, agreed && length >= 4096);
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

    /// A frame by hand (RFC 8878): the descriptor, what belongs to it, and blocks that each repeat a zero 128 KiB times.
    fn zeros(descriptor: u8, fields: &[u8], blocks: u32) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &[descriptor], fields].concat();
        for block in 1..=blocks {
            let header = (BLOCK << 3) | 1 << 1 | u32::from(block == blocks);
            bytes.extend_from_slice(&header.to_le_bytes()[..3]);
            bytes.push(0);
        }
        bytes
    }

    const BLOCK: u32 = 128 * 1024;

    /// The byte that asks for a window of so many bits.
    fn window(log: u8) -> u8 {
        (log - 10) << 3
    }

    #[test]
    fn a_bomb_ends_at_its_declared_length() {
        // Without a content size: 64 MiB in 2 KiB.
        let bomb = zeros(0, &[window(17)], 512);
        assert!(bomb.len() < 2100);
        assert_eq!(decompress(&zstd_body(bomb.clone(), 64 << 20)).map(|raw| raw.len()), Ok(64 << 20));
        for raw_len in [0, 1, 1 << 20, (64 << 20) - 1] {
            assert!(refused(bomb.clone(), raw_len).contains("more than the"), "{raw_len}");
        }
        assert!(refused(bomb, (64 << 20) + 1).contains("67108864 of the 67108865"));
        // With one, it is refused before anything is decompressed.
        let bomb = frame(&vec![0; 64 << 20]);
        assert!(bomb.len() < 10_000);
        assert!(refused(bomb, 1 << 20).contains("content size"));
    }

    #[test]
    fn a_large_window_is_refused_before_it_is_made() {
        let of = |log| zeros(0, &[window(log)], 1);
        assert!(decompress(&zstd_body(of(23), BLOCK as usize)).is_ok(), "8 MiB");
        assert!(decompress(&zstd_body(zeros(0, &[window(23) | 1], 1), BLOCK as usize)).is_err(), "9 MiB");
        for log in 24..=41 {
            assert!(refused(of(log), BLOCK as usize).contains("does not decompress"), "2^{log}");
        }
        // A single segment, whose window is its content: 9 MiB, and 2^40 bytes that are only claimed.
        let nine = 9_u32 << 20;
        assert!(refused(zeros(0xa0, &nine.to_le_bytes(), 72), nine as usize).contains("does not decompress"));
        assert!(
            refused(zeros(0xe0, &(1_u64 << 40).to_le_bytes(), 1), BLOCK as usize).contains("content size")
        );
    }

    #[test]
    fn a_content_size_is_optional_and_binds() {
        let without = zeros(0, &[window(17)], 1);
        assert!(matches!(get_frame_content_size(&without), Ok(None)));
        assert!(decompress(&zstd_body(without, BLOCK as usize)).is_ok());
        // A size that is not that of the blocks, whether or not it is the declared one.
        let claims = |size: u32| zeros(0xa0, &size.to_le_bytes(), 1);
        assert!(decompress(&zstd_body(claims(BLOCK), BLOCK as usize)).is_ok());
        for size in [BLOCK - 1, BLOCK + 1] {
            assert!(refused(claims(size), BLOCK as usize).contains("content size"));
            refused(claims(size), size as usize);
        }
    }

    #[test]
    fn a_checksum_is_verified() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
        encoder.include_checksum(true).expect("a checksum");
        std::io::Write::write_all(&mut encoder, &[7; 5000]).expect("compressed");
        let good = encoder.finish().expect("compressed");
        assert!(decompress(&zstd_body(good.clone(), 5000)).is_ok());
        for index in good.len() - 4..good.len() {
            let mut spoiled = good.clone();
            spoiled[index] ^= 1;
            assert!(refused(spoiled, 5000).contains("does not decompress"));
        }
        refused(good[..good.len() - 4].to_vec(), 5000);
    }

    #[test]
    fn every_level_is_read_and_nothing_but_today_s_format() {
        let raw: Bytes = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        for level in -5..=22 {
            // A window is never larger than the content asks for, whatever the level.
            let body = zstd_body(zstd::bulk::compress(&raw, level).expect("compressed"), raw.len());
            assert_eq!(decompress(&body), Ok(raw.clone()), "level {level}");
        }
        let one = frame(b"one one one one");
        for legacy in 0x22..=0x27 {
            let mut old = one.clone();
            old[0] = legacy;
            assert!(refused(old, 15).contains("no zstd frame"));
        }
        let mut reserved = one;
        reserved[4] |= 1 << 3;
        assert!(refused(reserved, 15).contains("does not decompress"));
        let mut block = zeros(0, &[window(17)], 1);
        block[6] |= 3 << 1;
        assert!(refused(block, BLOCK as usize).contains("does not decompress"), "a reserved type of block");
        assert_eq!(decompress(&zstd_body(frame(b""), 0)), Ok(Bytes::new()));
    }

    #[test]
    fn exactly_one_frame_without_a_dictionary() {
        let one = frame(b"one one one one");
        let twice = [one.clone(), one.clone()].concat();
        assert!(refused(twice.clone(), 30).contains("content size"));
        assert!(refused(twice, 15).contains("behind the frame"));
        let blocks = zeros(0, &[window(17)], 1);
        let twice = [blocks.clone(), blocks].concat();
        assert!(refused(twice, 2 * BLOCK as usize).contains("131072 of the 262144"));
        assert!(refused([&one[..], b"x"].concat(), 15).contains("behind the frame"));
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4][..], &one].concat();
        assert!(refused(skippable, 15).contains("no zstd frame"));
        assert!(refused([&one[..], &[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]].concat(), 15).contains("behind"));
        for bits in 1..=3 {
            let mut dictionary = one.clone();
            dictionary[4] |= bits;
            assert!(refused(dictionary, 15).contains("dictionary"));
        }
        // Many skippable frames are refused at their first byte.
        let flood = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0].repeat(1 << 20);
        assert!(refused(flood, 15).contains("no zstd frame"));
        // A frame with a byte for its window has the id behind that.
        let named = |id: u8| zeros(1, &[window(17), id], 1);
        assert!(decompress(&zstd_body(named(0), BLOCK as usize)).is_ok());
        assert!(refused(named(1), BLOCK as usize).contains("dictionary"));
        // The id 0 names none.
        let mut none = one;
        none[4] |= 1;
        none.insert(5, 0);
        assert!(decompress(&zstd_body(none, 15)).is_ok());
        assert!(refused(Vec::new(), 0).contains("no zstd frame"));
        assert!(refused(MAGIC.to_vec(), 0).contains("ends"));
    }

    #[test]
    fn what_is_cut_or_does_not_keep_its_word_is_refused() {
        let whole = frame(&[7; 5000]);
        for end in 0..whole.len() {
            refused(whole[..end].to_vec(), 5000);
        }
        for raw_len in [0, 4999, 5001, u32::MAX as usize] {
            assert!(refused(whole.clone(), raw_len).contains("content size is 5000"));
        }
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
