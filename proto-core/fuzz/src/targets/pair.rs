//! Two honest connections. The program says what their applications do and when; it may also spoil what goes between them.
//! If it does not, they understand each other.

use std::time::{Duration, Instant};

use nova_proto_core::{CloseReason, Config, Limits, Role};

use crate::common::victim::{epoch, small_limits};
use crate::endpoint::Endpoint;
use crate::program::Program;

pub fn pair(data: &[u8]) {
    let mut program = Program::new(data);
    let mut pair = Pair::new(&mut program);
    while let Some(instruction) = program.next() {
        for side in &mut pair.sides {
            side.instruction();
        }
        pair.step(instruction, &mut program);
    }
    if !pair.spoiled {
        pair.settle();
    }
    let Pair { sides, now, .. } = pair;
    for side in sides {
        side.finish(now);
    }
}

struct Pair {
    sides: [Endpoint; 2],
    /// What each side has sent and the other not received.
    pipes: [Vec<u8>; 2],
    now: Instant,
    spoiled: bool,
}

impl Pair {
    fn new(program: &mut Program<'_>) -> Self {
        let now = epoch();
        let mut side = |role| {
            let choice = program.byte();
            let limits = Limits { max_concurrent: if choice & 1 == 0 { 4 } else { 20 }, ..small_limits() };
            let config = Config {
                limits,
                zstd: choice & 2 != 0,
                cancellation: choice & 4 == 0,
                first_id: if choice & 8 == 0 { 0 } else { u64::MAX - 6 },
                max_calls: 64,
                ..Config::new(role)
            };
            Endpoint::new(config, now)
        };
        let sides = [side(Role::Router), side(Role::Worker)];
        Self { sides, pipes: [Vec::new(), Vec::new()], now, spoiled: false }
    }

    fn step(&mut self, instruction: u8, program: &mut Program<'_>) {
        let me = usize::from(instruction >> 7);
        let pipe = &mut self.pipes[me];
        match instruction % 16 {
            0..=3 => self.sides[me].command(program, self.now),
            4..=5 => drop(self.transmit(me, program.pick([1, 100, 5000, 64 * 1024]))),
            6..=8 => drop(self.deliver(me, usize::from(program.u16()))),
            9 => self.exchange(),
            10 => {
                self.now += Duration::from_millis(u64::from(program.byte()) * 10);
                self.sides[me].handle_timeout(self.now);
                self.sides[me].events();
            }
            11 => self.sides[me].wrote(self.now),
            spoil => {
                let at = usize::from(program.u16());
                let count = usize::from(program.byte());
                let Some(at) = at.checked_rem(pipe.len()) else { return };
                let range = at..(at + count).min(pipe.len());
                match spoil {
                    12 => pipe[at] ^= program.byte(),
                    13 => drop(pipe.drain(range)),
                    14 => {
                        let again = pipe[range.clone()].to_vec();
                        drop(pipe.splice(range.end..range.end, again));
                    }
                    _ => drop(pipe.splice(at..at, program.bytes(count).iter().copied())),
                }
                self.spoiled = true;
            }
        }
    }

    fn transmit(&mut self, me: usize, budget: usize) -> bool {
        let sent = self.sides[me].transmit(budget);
        self.pipes[me].extend_from_slice(sent);
        !sent.is_empty()
    }

    /// So much of what `me` has sent arrives.
    fn deliver(&mut self, me: usize, count: usize) -> bool {
        let count = count.min(self.pipes[me].len()).min(32 * 1024);
        let reader = &mut self.sides[1 - me];
        let taken = count > 0 && reader.receive(&self.pipes[me][..count], self.now);
        if taken {
            self.pipes[me].drain(..count);
        }
        reader.events();
        taken
    }

    /// Everything that can go, goes.
    fn exchange(&mut self) {
        let mut moved = true;
        while std::mem::take(&mut moved) {
            for me in [0, 1] {
                while self.deliver(me, usize::MAX) {
                    moved = true;
                }
                self.sides[me].events();
                moved |= self.transmit(me, 64 * 1024);
                self.sides[me].events();
            }
        }
    }

    /// Everything is answered, and nobody broke a rule.
    fn settle(&mut self) {
        self.exchange();
        while self.sides.iter_mut().map(Endpoint::settle).fold(false, |any, owed| any || owed) {
            self.exchange();
        }
        for side in &self.sides {
            let rule = matches!(side.closed, Some(CloseReason::Violation(_)));
            assert!(!rule, "{:?} between honest sides", side.closed);
        }
        if self.sides.iter().all(|side| side.connected && side.closed.is_none()) {
            for side in &self.sides {
                let stats = side.conn.stats();
                assert_eq!((stats.calls, stats.serving, stats.serving_cost), (0, 0, 0), "{:?}", side.conn);
            }
        }
    }
}
