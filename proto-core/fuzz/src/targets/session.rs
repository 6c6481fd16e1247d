//! A session of one role under attack. The input is a program: the peer's bytes, how they are cut, what time passes, what
//! the application does and when output is taken.

use std::time::{Duration, Instant};

use nova_proto_core::{Config, Limits, Role};

use crate::common::pattern;
use crate::common::victim::{epoch, small_limits};
use crate::common::wire::{self, Ask, Offer};
use crate::endpoint::Endpoint;
use crate::program::Program;

/// Most bytes in one session: what happens, happens before.
const MOST: usize = 1 << 20;

pub fn router(data: &[u8]) {
    session(Role::Router, data);
}

pub fn worker(data: &[u8]) {
    session(Role::Worker, data);
}

fn session(role: Role, data: &[u8]) {
    let mut program = Program::new(data);
    let (mut session, opening) = Session::new(role, &mut program);
    if let Some(opening) = opening {
        session.pending.extend(opening);
        session.deliver(usize::MAX);
        session.victim.events();
        if session.victim.deciding {
            session.victim.accept(0);
        }
        session.victim.events();
    }
    while let Some(instruction) = program.next() {
        session.victim.instruction();
        session.step(instruction, &mut program);
    }
    session.deliver(usize::MAX);
    session.victim.events();
    session.victim.finish(session.now);
}

struct Session {
    victim: Endpoint,
    peer: Peer,
    now: Instant,
    /// What the peer has sent and did not arrive yet.
    pending: Vec<u8>,
    total: usize,
}

impl Session {
    /// Not yet connected, and what would connect it if the program wants that.
    fn new(role: Role, program: &mut Program<'_>) -> (Self, Option<Vec<u8>>) {
        let (ours, theirs) = (program.byte(), program.byte());
        let limits = Limits { max_concurrent: if ours & 1 == 0 { 4 } else { 20 }, ..small_limits() };
        let config = Config {
            limits,
            zstd: ours & 2 != 0,
            cancellation: ours & 4 == 0,
            first_id: if ours & 8 == 0 { 0 } else { u64::MAX - 6 },
            grease: ours & 16 != 0,
            max_calls: 64,
            ..Config::new(role)
        };
        let mut offer = Offer::default();
        if theirs & 1 == 0 {
            offer.limits = small_limits();
        }
        offer.features = u32::from(theirs & 2 == 0 && config.cancellation);
        offer.compression = if theirs & 4 != 0 && config.zstd { vec![1] } else { Vec::new() };
        let now = epoch();
        let victim = Endpoint::new(config, now);
        let next_id = if role == Role::Router { 1 } else { 2 };
        let peer = Peer { next_id, uploads: Vec::new(), replies: Vec::new() };
        let session = Self { victim, peer, now, pending: Vec::new(), total: 0 };
        (session, (theirs & 8 == 0).then(|| offer.opening(role.peer())))
    }

    fn step(&mut self, instruction: u8, program: &mut Program<'_>) {
        match instruction % 12 {
            0 => {
                let length = program.byte();
                self.pending.extend(program.bytes(usize::from(length)));
            }
            1..=3 => {
                let frame = self.peer.frame(program, &self.victim.referee.requests);
                if self.total + self.pending.len() + frame.len() <= MOST {
                    self.pending.extend(frame);
                }
            }
            4 => self.deliver(usize::from(program.u16())),
            5 => self.deliver(usize::MAX),
            6 => {
                self.victim.event();
            }
            7 => {
                self.now += Duration::from_millis(u64::from(program.u16()));
                self.victim.handle_timeout(self.now);
            }
            8 => {
                self.now = self.victim.conn.poll_timeout().map_or(self.now, |at| at.max(self.now));
                self.victim.handle_timeout(self.now);
            }
            9 => drop(self.victim.transmit(program.pick([1, 100, 5000, 64 * 1024]))),
            10 => match program.byte() {
                0 => self.victim.receive_eof(),
                byte if byte & 1 == 0 => self.victim.events(),
                _ => self.victim.wrote(self.now),
            },
            _ => self.victim.command(program, self.now),
        }
    }

    /// So much of what is pending arrives, in pieces that a driver could read.
    fn deliver(&mut self, count: usize) {
        let count = count.min(self.pending.len());
        for piece in self.pending[..count].chunks(32 * 1024) {
            self.victim.receive(piece, self.now);
        }
        self.total += count;
        self.pending.drain(..count);
    }
}

/// Knows enough to go on where it was.
struct Peer {
    next_id: u64,
    /// Bodies of its requests, and of its answers, that are not complete.
    uploads: Vec<(u64, u32)>,
    replies: Vec<(u64, u32)>,
}

impl Peer {
    /// A frame that is often in its place.
    fn frame(&mut self, program: &mut Program<'_>, requests: &[u64]) -> Vec<u8> {
        let kind = program.byte();
        let target = |program: &mut Program<'_>| program.index(requests.len()).map_or(2, |at| requests[at]);
        match kind % 16 {
            0..=2 => self.request(program),
            3 | 4 => Self::part(&mut self.uploads, program),
            5 | 6 => {
                let (id, length) = (target(program), program.length());
                let carried = program.length().min(length);
                if carried < length {
                    self.replies.push((id, length - carried));
                }
                wire::response(id, length, &pattern(3, carried as usize)).bytes()
            }
            7 => Self::part(&mut self.replies, program),
            8 => wire::error(target(program), program.u16()).bytes(),
            9 => wire::cancel(self.next_id.saturating_sub(2 * u64::from(program.byte()))),
            10 => wire::ack(u64::from(program.byte()) << 16),
            11 => wire::ping(u64::from(program.byte())),
            12 => wire::pong(u64::from(program.byte())),
            13 => wire::goaway(u32::from(program.u16())),
            14 => wire::close(u16::from(program.byte()), u64::from(program.byte()), b"bye").bytes(),
            _ => wire::raw(0x80 | program.byte(), &pattern(5, program.length() as usize)),
        }
    }

    fn request(&mut self, program: &mut Program<'_>) -> Vec<u8> {
        let options = program.byte();
        let trace: &[(u16, &[u8])] = &[(1, &[9; 25])];
        let body_len = program.length();
        let carried = if options & 1 == 0 { body_len } else { program.length().min(body_len) };
        let ask = Ask {
            id: self.next_id,
            body_len,
            codec: u8::from(options & 2 != 0),
            raw_len: if options & 2 != 0 { program.length() } else { 0 },
            reply_max: if options & 4 != 0 { program.length() } else { 1000 },
            deadline_ms: if options & 8 != 0 { u32::from(program.byte()) * 50 } else { 0 },
            ext: if options & 16 != 0 { trace } else { &[] },
        };
        if carried < body_len {
            self.uploads.push((ask.id, body_len - carried));
        }
        self.next_id += 2 + 2 * u64::from(options >> 5);
        ask.frame(&pattern(1, carried as usize)).bytes()
    }

    fn part(bodies: &mut Vec<(u64, u32)>, program: &mut Program<'_>) -> Vec<u8> {
        let Some(at) = program.index(bodies.len()) else { return wire::chunk(1, &[]) };
        let (id, left) = bodies[at];
        let carried = program.length().min(left);
        if carried == left {
            bodies.remove(at);
        } else {
            bodies[at].1 = left - carried;
        }
        wire::chunk(id, &pattern(2, carried as usize))
    }
}
