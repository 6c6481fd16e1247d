//! One encoding for every value: everything else is refused, in every field of every frame.

use nova_proto_core::{CloseCode, Event};

use crate::common::victim::{KINDS, ready};
use crate::common::wire::{self, Field, Frame, padded_varint, varint};

/// Where a frame of this kind has numbers, and how many bits they have; 0 for a length.
fn numbers(frame: &Frame) -> Vec<(usize, u64, u32)> {
    let number = |(index, field): (usize, &Field)| match field {
        Field::Int(value, bits) => Some((index, *value, *bits)),
        Field::Len(len) => Some((index, *len as u64, 0)),
        Field::Plain(_) => None,
    };
    frame.fields.iter().enumerate().filter_map(number).collect()
}

#[test]
fn every_specimen_is_taken_as_it_is() {
    for kind in KINDS {
        let (mut victim, frame) = ready(kind);
        victim.feed(&frame.bytes());
        let ends = [wire::REJECT, wire::CLOSE].contains(&kind);
        assert_eq!(victim.conn.close_reason().is_some(), ends, "kind {kind:#x}");
        let reason = victim.conn.close_reason();
        assert!(!matches!(reason, Some(nova_proto_core::CloseReason::Violation(_))), "{reason:?}");
    }
}

#[test]
fn a_number_that_is_longer_than_need_be_is_refused() {
    let mut tried = 0;
    for kind in KINDS {
        for (index, value, _) in numbers(&ready(kind).1) {
            let (mut victim, frame) = ready(kind);
            victim.closes(&frame.spoiled(index, padded_varint(value)), CloseCode::NOT_CANONICAL);
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried} fields");
}

#[test]
fn a_number_that_does_not_fit_its_type_is_refused() {
    for kind in KINDS {
        for (index, _, bits) in numbers(&ready(kind).1) {
            let beyond = match bits {
                16 => varint(1 << 16),
                32 => varint(1 << 32),
                // Ten bytes of which the last says 2^64.
                64 => [&[0x80; 9][..], &[2]].concat(),
                _ => continue,
            };
            let (mut victim, frame) = ready(kind);
            victim.closes(&frame.spoiled(index, beyond), CloseCode::MALFORMED);
        }
    }
}

#[test]
fn a_number_that_goes_on_for_ever_is_refused() {
    for kind in KINDS {
        for (index, _, _) in numbers(&ready(kind).1) {
            let (mut victim, frame) = ready(kind);
            victim.closes(&frame.spoiled(index, vec![0xff; 11]), CloseCode::MALFORMED);
        }
    }
}

#[test]
fn a_length_beyond_the_frame_is_refused_without_waiting() {
    for kind in KINDS {
        for (index, _, bits) in numbers(&ready(kind).1) {
            for length in [600, 1 << 20, u64::from(u32::MAX), u64::MAX] {
                if bits == 0 {
                    let (mut victim, frame) = ready(kind);
                    victim.closes(&frame.spoiled(index, varint(length)), CloseCode::MALFORMED);
                }
            }
        }
    }
}

#[test]
fn a_header_that_is_cut_anywhere_is_refused() {
    for kind in KINDS {
        let header = ready(kind).1.header();
        for len in 0..header.len() {
            let (mut victim, _) = ready(kind);
            victim.closes(&wire::raw(kind, &header[..len]), CloseCode::MALFORMED);
        }
    }
}

#[test]
fn bytes_behind_a_header_that_carries_no_body_are_refused() {
    for kind in KINDS {
        if [wire::REQUEST, wire::RESPONSE, wire::CHUNK].contains(&kind) {
            continue;
        }
        let (mut victim, frame) = ready(kind);
        victim.closes(&frame.body(b"x").bytes(), CloseCode::MALFORMED);
    }
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    for kind in [wire::REJECT, wire::ERROR, wire::CLOSE] {
        let (mut victim, frame) = ready(kind);
        let index =
            frame.fields.iter().position(|field| matches!(field, Field::Plain(bytes) if bytes.len() > 1));
        victim.closes(
            &frame.spoiled(index.expect("it has a text"), b"h\xc3llo!".to_vec()),
            CloseCode::MALFORMED,
        );
    }
}

#[test]
fn a_retry_hint_has_three_values_and_a_time_only_with_one_of_them() {
    for (retry, after, good) in [
        (0, 0, true),
        (0, 1, false),
        (1, 0, true),
        (1, 9, true),
        (2, 0, true),
        (2, 1, false),
        (3, 0, false),
        (255, 0, false),
    ] {
        let (mut victim, _) = ready(wire::ERROR);
        let frame = Frame::new(wire::ERROR).u64(2).u16(1).u8(retry).u32(after).string(b"").ext(&[]);
        if good {
            assert!(matches!(victim.takes(&frame.bytes())[..], [Event::Answer { .. }]));
        } else {
            victim.closes(&frame.bytes(), CloseCode::MALFORMED);
        }
    }
}

#[test]
fn a_codec_that_nobody_knows_is_not_agreed() {
    for codec in [1, 2, 255] {
        let (mut victim, _) = ready(wire::REQUEST);
        let ask = wire::Ask { codec, raw_len: 5, body_len: 1, ..wire::Ask::default() };
        victim.closes(&ask.frame(b"x").bytes(), CloseCode::COMPRESSION_NOT_AGREED);
        let (mut victim, _) = ready(wire::RESPONSE);
        let frame = Frame::new(wire::RESPONSE).u64(2).u32(1).u8(codec).u32(5).ext(&[]).body(b"x");
        victim.closes(&frame.bytes(), CloseCode::COMPRESSION_NOT_AGREED);
    }
}
