//! Traffic of a worker, legal or not, for a router that waits for three answers.

use nova_proto_core::{Call, Config, Limits, Role};

use super::rng::Rng;
use super::victim::Victim;
use super::wire::{self, Ask, Offer};

/// A router with three calls open, the second with a large body.
pub(crate) fn with_calls() -> Victim {
    let limits = Limits { max_frame: 64 * 1024, ..Limits::default() };
    let config = Config { limits, zstd: true, ..Config::new(Role::Router) };
    let mut victim = Victim::with(config, &Offer { compression: vec![1], ..Offer::default() });
    for body in [10, 100_000, 10] {
        let call = Call { reply_max: 100_000, ..Call::new(1, vec![0; body]) };
        victim.conn.call(call, victim.now).expect("open");
        victim.output();
    }
    victim
}

/// Legal traffic of a worker towards `with_calls`, as a list of frames.
pub(crate) fn traffic(rng: &mut Rng) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut next_id = 1;
    let mut uploads: Vec<(u64, usize)> = Vec::new();
    let mut replies: Vec<(u64, Option<usize>)> = vec![(2, None), (4, None), (6, None)];
    let mut pinged = false;
    for _ in 0..rng.between(3, 20) {
        match rng.below(8) {
            0 | 1 => {
                let len = rng.below(40_000) as usize;
                let part = len.min(rng.between(4096, 20_000) as usize);
                let body = vec![if rng.percent(20) { 9 } else { 1 }; part];
                let deadline_ms = rng.below(2) as u32 * 5000;
                let reply_max = rng.below(40_000) as u32;
                let ask = Ask { id: next_id, body_len: len as u32, reply_max, deadline_ms, ..Ask::default() };
                frames.push(ask.frame(&body).bytes());
                if part < len {
                    uploads.push((next_id, len - part));
                }
                next_id += 2 * rng.between(1, 3);
            }
            2 | 3 if !uploads.is_empty() => {
                let at = rng.index(uploads.len());
                let (id, left) = uploads[at];
                if rng.percent(15) {
                    uploads.remove(at);
                    frames.push(wire::cancel(id));
                    continue;
                }
                let part = left.min(rng.between(4096, 20_000) as usize);
                frames.push(wire::chunk(id, &vec![2; part]));
                if part == left {
                    uploads.remove(at);
                } else {
                    uploads[at].1 = left - part;
                }
            }
            4 | 5 if !replies.is_empty() => {
                let at = rng.index(replies.len());
                let (id, left) = replies[at];
                if rng.percent(25) {
                    replies.remove(at);
                    frames.push(wire::error(id, 300).bytes());
                    continue;
                }
                let total = left.unwrap_or_else(|| rng.below(60_000) as usize);
                let part = total.min(rng.between(4096, 20_000) as usize);
                frames.push(match left {
                    None => wire::response(id, total as u32, &vec![4; part]).bytes(),
                    Some(_) => wire::chunk(id, &vec![4; part]),
                });
                if part == total {
                    replies.remove(at);
                } else {
                    replies[at].1 = Some(total - part);
                }
            }
            6 if !pinged => {
                pinged = true;
                frames.push(wire::ping(rng.next()));
            }
            _ => frames.push(wire::raw(0x80 | rng.next() as u8, &vec![0; rng.below(5000) as usize])),
        }
    }
    frames
}

/// Each breaks another rule, whatever came before.
pub(crate) fn violations() -> Vec<Vec<u8>> {
    let ask = Ask { id: 1001, ..Ask::default() };
    let large = [1; 9000];
    vec![
        vec![0; 4],
        [&u32::MAX.to_le_bytes()[..], b"x"].concat(),
        wire::raw(wire::PING, &[0; 2000]),
        wire::raw(wire::PING, &[0x80, 0]),
        wire::raw(wire::PING, &[0xff; 20]),
        wire::raw(wire::REQUEST, &[0xff; 2000]),
        wire::raw(0x44, &[0; 30]),
        wire::raw(wire::HELLO, &[0; 30]),
        wire::raw(wire::GOAWAY, &[1, 1]),
        Ask { id: 0, ..ask }.frame(b"").bytes(),
        Ask { id: 1002, ..ask }.frame(b"").bytes(),
        Ask { body_len: u32::MAX, ..ask }.frame(b"").bytes(),
        Ask { body_len: 9000, ..ask }.frame(&[0; 9]).bytes(),
        Ask { body_len: 8999, ..ask }.frame(&large).bytes(),
        Ask { codec: 7, body_len: 9000, ..ask }.frame(&large).bytes(),
        Ask { raw_len: 1, body_len: 9000, ..ask }.frame(&large).bytes(),
        Ask { reply_max: u32::MAX, body_len: 9000, ..ask }.frame(&large).bytes(),
        Ask { ext: &[(1, b""), (1, b"")], body_len: 9000, ..ask }.frame(&large).bytes(),
        [ask.frame(b"").bytes(), ask.frame(b"").bytes()].concat(),
        wire::response(1001, 9000, &large).bytes(),
        wire::response(8, 9000, &large).bytes(),
        wire::chunk(8, &large),
        wire::chunk(0, &large),
        wire::error(0, 1).bytes(),
        wire::cancel(1001),
        wire::cancel(2),
        wire::ack(u64::MAX),
        wire::ack(0),
        wire::pong(0),
        wire::raw(0xf0, b"").repeat(101),
        [wire::goaway(1), ask.frame(b"").bytes()].concat(),
    ]
}
