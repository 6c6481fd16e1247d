//! The core against a model of a session that was written from `docs/PROTOCOL.md` and shares nothing with it.
//!
//! `NOVA_MODEL_SEEDS` sets how many seeds each test runs, for a long one; `NOVA_SEED` runs one again.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "tests stand outside the core: they make its time"
)]

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod frame;
mod peer;
mod reading;
mod requests;
mod sending;
mod session;
mod side;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use nova_proto_core::{CloseCode, Role};

use common::for_seeds;
use common::rng::Rng;
use common::victim::epoch;
use session::End;
use side::{Side, config};

fn seeds(default: u64) -> u64 {
    std::env::var("NOVA_MODEL_SEEDS").map_or(default, |count| count.parse().expect("a number of seeds"))
}

/// Which ways to end were seen, how often.
#[derive(Debug, Default)]
struct Ends(BTreeMap<String, u32>);

impl Ends {
    fn count(&mut self, end: Option<&End>) {
        let name = match end {
            None => "open".to_owned(),
            Some(End::Peer(..)) => "Peer".to_owned(),
            Some(End::Rejected(..)) => "Rejected".to_owned(),
            Some(end) => format!("{end:?}"),
        };
        *self.0.entry(name).or_default() += 1;
    }

    /// A run of one seed sees only its own end.
    fn must_have(&self, ends: &[End]) {
        if std::env::var("NOVA_SEED").is_err() {
            let missing: Vec<_> =
                ends.iter().filter(|end| !self.0.contains_key(&format!("{end:?}"))).collect();
            assert!(missing.is_empty(), "never seen: {missing:?} in {:#?}", self.0);
        }
    }
}

/// Virtual time in steps, most of them short.
struct Clock {
    now: Instant,
    /// Since output was last asked for: for longer, and the transport would seem to take nothing (R-13-9).
    untaken: Duration,
}

impl Clock {
    fn new() -> Self {
        Self { now: epoch(), untaken: Duration::ZERO }
    }

    /// Lets some time pass. `take` is called when output has waited for long, or would.
    fn step(&mut self, rng: &mut Rng, take: impl FnOnce(Instant)) {
        let pause = match rng.below(12) {
            0..6 => Duration::ZERO,
            6..11 => Duration::from_micros(rng.below(200_000)),
            _ => Duration::from_millis(rng.below(9000)),
        };
        if self.untaken + pause >= Duration::from_secs(9) {
            take(self.now);
            self.untaken = Duration::ZERO;
        }
        self.untaken += pause;
        self.now += pause;
    }
}

fn feed_in_pieces(rng: &mut Rng, side: &mut Side, mut bytes: &[u8], now: Instant) {
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(rng.piece(bytes.len()));
        side.feed(piece, now);
        bytes = rest;
    }
}

/// Long inputs in pieces of a byte take long.
fn feed(rng: &mut Rng, side: &mut Side, bytes: &[u8], now: Instant) {
    if bytes.len() < 3000 || rng.percent(5) {
        feed_in_pieces(rng, side, bytes, now);
    } else {
        let (start, rest) = bytes.split_at(rng.index(bytes.len()));
        side.feed(start, now);
        side.feed(rest, now);
    }
}

#[test]
fn a_core_against_a_peer_that_mostly_keeps_the_rules() {
    let mut ends = Ends::default();
    for_seeds(seeds(8000), |seed| {
        let mut rng = Rng::new(seed);
        let role = rng.pick(&[Role::Router, Role::Worker]);
        let lawless = rng.pick(&[0, 0, 2, 5]);
        let mut clock = Clock::new();
        let now = clock.now;
        let mut side = Side::new(config(&mut rng, role), now);
        if role == Role::Worker {
            side.take_all(now);
        }
        if rng.percent(98) {
            let opening = peer::opening(&mut rng, &side.model);
            feed(&mut rng, &mut side, &opening, now);
        }
        for _ in 0..rng.between(5, 120) {
            clock.step(&mut rng, |now| drop(side.take_all(now)));
            let now = clock.now;
            side.pass(now);
            match rng.below(10) {
                0..5 if side.model.agreed.is_some() => {
                    let broken = rng.percent(lawless);
                    let bytes = peer::frames(&mut rng, &side.model, broken);
                    feed(&mut rng, &mut side, &bytes, now);
                }
                5..8 => side.act(&mut rng, now),
                8 => drop(side.take_all(now)),
                _ => drop(side.take(rng.pick(&[1, 1, 20_000, 256 * 1024]), now)),
            }
        }
        side.take_all(clock.now);
        if rng.percent(30) {
            side.eof();
            side.take_all(clock.now);
        }
        ends.count(side.end.as_ref());
    });
    use CloseCode as C;
    let violations = [
        C::BAD_PREFACE,
        C::FRAME_TOO_LARGE,
        C::FRAME_EMPTY,
        C::MALFORMED,
        C::NOT_CANONICAL,
        C::UNKNOWN_KIND,
        C::TOO_MANY_UNKNOWN,
        C::UNEXPECTED_FRAME,
        C::BAD_EXTENSIONS,
        C::UNSUPPORTED_VERSION,
        C::BAD_LIMITS,
        C::BAD_WELCOME,
        C::BAD_OFFER,
        C::ID_ZERO,
        C::ID_PARITY,
        C::ID_ORDER,
        C::ID_NOT_OPEN,
        C::BODY_TOO_LARGE,
        C::BODY_OVERRUN,
        C::CHUNK_TOO_SMALL,
        C::REPLY_TOO_LONG,
        C::COMPRESSION_NOT_AGREED,
        C::BAD_RAW_LENGTH,
        C::TOO_MANY_REQUESTS,
        C::WORK_BUDGET,
        C::ACK_AHEAD,
        C::ACK_NO_PROGRESS,
        C::UNEXPECTED_PONG,
        C::CANCEL_NOT_AGREED,
    ];
    ends.must_have(&violations.map(End::Violation));
    ends.must_have(
        &[C::HANDSHAKE_TIMEOUT, C::DRAIN_DEADLINE, C::SLOW_READER, C::KEEPALIVE_TIMEOUT].map(End::Local),
    );
    ends.must_have(&[End::Local(C::DRAINED), End::Local(C::NORMAL), End::Local(C::CLAIM_REFUSED), End::Eof]);
}

/// Both sides are cores, and both are modelled; bytes wait in between, in any pieces.
#[test]
fn two_cores_that_talk_to_each_other() {
    let mut ends = Ends::default();
    for_seeds(seeds(3000), |seed| {
        let mut rng = Rng::new(seed);
        let mut clock = Clock::new();
        let mut sides = [Role::Router, Role::Worker].map(|role| Side::new(config(&mut rng, role), clock.now));
        let mut pipes = [VecDeque::new(), VecDeque::new()];
        for _ in 0..rng.between(20, 300) {
            clock.step(&mut rng, |now| exchange(&mut sides, &mut pipes, now));
            let now = clock.now;
            for side in &mut sides {
                side.pass(now);
            }
            let me = rng.index(2);
            match rng.below(4) {
                0 => sides[me].act(&mut rng, now),
                1 => pipes[me].extend(sides[me].take(rng.pick(&[1, 20_000, 256 * 1024]), now)),
                _ if !pipes[1 - me].is_empty() => {
                    let count = rng.piece(pipes[1 - me].len());
                    let piece: Vec<u8> = pipes[1 - me].drain(..count).collect();
                    sides[me].feed(&piece, now);
                }
                _ => {}
            }
        }
        exchange(&mut sides, &mut pipes, clock.now);
        for side in &sides {
            assert!(!matches!(side.end, Some(End::Violation(_))), "honest peers: {:?}", side.end);
            ends.count(side.end.as_ref());
        }
    });
    ends.must_have(&[End::Local(CloseCode::DRAINED), End::Local(CloseCode::NORMAL)]);
}

/// Everything that is under way arrives.
fn exchange(sides: &mut [Side; 2], pipes: &mut [VecDeque<u8>; 2], now: Instant) {
    loop {
        let mut quiet = true;
        for me in [0, 1] {
            pipes[me].extend(sides[me].take_all(now));
            let bytes: Vec<u8> = pipes[me].drain(..).collect();
            quiet &= bytes.is_empty();
            sides[1 - me].feed(&bytes, now);
        }
        if quiet {
            return;
        }
    }
}
