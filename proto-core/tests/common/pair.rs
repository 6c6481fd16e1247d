//! Two connections, two pipes and a clock that jumps: to the next delivery, the next timeout, or the next thing an
//! application wants to do. Everything random comes from one seed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use nova_proto_core::{CloseReason, Config, Connection, Role};

use super::app::{self, App, Profile};
use super::rng::Rng;

pub(crate) const ROUTER: usize = 0;
pub(crate) const WORKER: usize = 1;

/// One direction of the stream between two sides.
#[derive(Debug)]
pub(crate) struct Pipe {
    /// How many bytes fit between writer and reader.
    pub(crate) capacity: usize,
    /// Longest time a piece travels.
    pub(crate) delay: Duration,
    /// Nothing arrives any more, and nobody is told.
    pub(crate) stalled: bool,
    /// What the writer took from its connection and could not write yet.
    unwritten: VecDeque<u8>,
    pieces: VecDeque<(Instant, Vec<u8>)>,
    inside: usize,
    /// The writer has ended; then the reader was told.
    ended: bool,
    eof_seen: bool,
}

impl Pipe {
    fn new(capacity: usize, delay: Duration) -> Self {
        Self {
            capacity,
            delay,
            stalled: false,
            unwritten: VecDeque::new(),
            pieces: VecDeque::new(),
            inside: 0,
            ended: false,
            eof_seen: false,
        }
    }

    fn is_empty(&self) -> bool {
        self.unwritten.is_empty() && self.pieces.is_empty()
    }
}

#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) conn: Connection,
    pub(crate) app: App,
    /// The most requests that were open here at once.
    pub(crate) most_serving: usize,
    /// And what they cost.
    pub(crate) most_cost: u64,
}

/// How a pair is made.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) router: Config,
    pub(crate) worker: Config,
    pub(crate) profiles: [Profile; 2],
    /// From the router, from the worker.
    pub(crate) capacity: [usize; 2],
    pub(crate) delay: Duration,
}

impl Setup {
    pub(crate) fn new(profile: Profile) -> Self {
        Self {
            router: Config::new(Role::Router),
            worker: Config::new(Role::Worker),
            profiles: [profile; 2],
            capacity: [64 * 1024; 2],
            delay: Duration::from_millis(1),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) sides: [Side; 2],
    /// Index: who writes into it.
    pub(crate) pipes: [Pipe; 2],
    rng: Rng,
}

impl Pair {
    pub(crate) fn new(seed: u64, setup: Setup) -> Self {
        let start = Instant::now();
        let mut rng = Rng::new(seed);
        let mut side = |config: Config, profile| {
            let app = App::new(config.role, profile, Rng::new(rng.next()));
            let conn = Connection::new(config, start).expect("a good configuration");
            Side { conn, app, most_serving: 0, most_cost: 0 }
        };
        let sides = [side(setup.router, setup.profiles[0]), side(setup.worker, setup.profiles[1])];
        let pipes = setup.capacity.map(|capacity| Pipe::new(capacity, setup.delay));
        Self { start, now: start, sides, pipes, rng }
    }

    /// Both sides are connected.
    pub(crate) fn connected(seed: u64, setup: Setup) -> Self {
        let mut pair = Self::new(seed, setup);
        pair.run_until(|pair| pair.sides.iter().all(|side| side.app.connected));
        pair
    }

    /// Until both applications have done all they wanted, or both connections ended.
    pub(crate) fn run(&mut self) {
        self.run_until(|pair| pair.sides.iter().all(|side| side.app.closed.is_some()) || pair.is_quiet());
    }

    /// Until both connections ended.
    pub(crate) fn run_to_the_end(&mut self) {
        self.run_until(|pair| pair.sides.iter().all(|side| side.app.closed.is_some()));
    }

    /// Nothing is under way.
    fn is_quiet(&self) -> bool {
        self.pipes.iter().all(Pipe::is_empty)
            && self.sides.iter().all(|side| {
                let stats = side.conn.stats();
                side.app.connected
                    && side.app.is_done()
                    && (stats.calls, stats.serving, stats.serving_cost) == (0, 0, 0)
            })
    }

    pub(crate) fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        self.run_while(Duration::from_secs(120), |pair| !done(pair));
        assert!(done(self), "stuck: {}", self.describe());
    }

    /// Lets so much time pass.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.run_while(time, |_| true);
        self.now = end;
        while self.turns() {}
    }

    fn run_while(&mut self, time: Duration, go_on: impl Fn(&Self) -> bool) {
        let end = self.now + time;
        loop {
            while go_on(self) && self.turns() {}
            if !go_on(self) {
                return;
            }
            match self.next_moment() {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => return,
            }
        }
    }

    /// One turn of each side, in any order. Returns whether anything happened.
    fn turns(&mut self) -> bool {
        let first = self.rng.index(2);
        let one = self.turn(first);
        let other = self.turn(1 - first);
        one || other
    }

    fn next_moment(&self) -> Option<Instant> {
        let arrivals = self.pipes.iter().filter(|pipe| !pipe.stalled).filter_map(|pipe| pipe.pieces.front());
        let timeouts = self.sides.iter().filter_map(|side| side.conn.poll_timeout());
        let wakes = self.sides.iter().filter_map(|side| side.app.wake());
        arrivals.map(|(at, _)| *at).chain(timeouts).chain(wakes).min()
    }

    fn turn(&mut self, me: usize) -> bool {
        let mut happened = self.deliver(me);
        happened |= self.events(me);
        let side = &mut self.sides[me];
        happened |= side.app.act(&mut side.conn, self.now);
        happened |= self.write(me);
        happened |= self.events(me);
        let side = &mut self.sides[me];
        if side.conn.poll_timeout().is_some_and(|at| at <= self.now) {
            happened = true;
            side.conn.handle_timeout(self.now);
            let next = side.conn.poll_timeout();
            assert!(next.is_none_or(|at| at > self.now), "a timeout that is not over once it was handled");
            self.events(me);
        }
        self.check(me);
        happened
    }

    /// Hands what has arrived to its reader, a piece or many at a time.
    fn deliver(&mut self, me: usize) -> bool {
        let pipe = &mut self.pipes[1 - me];
        let conn = &mut self.sides[me].conn;
        let mut happened = false;
        while !pipe.stalled
            && let Some((at, _)) = pipe.pieces.front()
            && *at <= self.now
            && (conn.wants_input() || conn.is_closed())
        {
            let (_, piece) = pipe.pieces.pop_front().expect("it was there");
            pipe.inside -= piece.len();
            conn.receive(&piece, self.now);
            happened = true;
            if self.rng.percent(20) {
                break;
            }
        }
        if pipe.ended && pipe.is_empty() && !pipe.stalled && !std::mem::replace(&mut pipe.eof_seen, true) {
            conn.receive_eof();
            happened = true;
        }
        happened
    }

    fn events(&mut self, me: usize) -> bool {
        let side = &mut self.sides[me];
        let mut happened = false;
        while let Some(event) = side.conn.poll_event() {
            happened = true;
            side.app.on_event(event, &mut side.conn, self.now);
        }
        happened
    }

    /// Takes output when the last was written, and writes what fits.
    fn write(&mut self, me: usize) -> bool {
        let pipe = &mut self.pipes[me];
        let mut happened = false;
        if pipe.unwritten.is_empty() && !pipe.ended {
            let mut out = Vec::new();
            let budget = self.rng.pick(&[1, 1000, 64 * 1024, 256 * 1024]);
            let conn = &mut self.sides[me].conn;
            let added = conn.poll_transmit(&mut out, budget);
            assert_eq!(added, out.len());
            happened = added > 0;
            if added == 0 {
                assert_eq!(conn.poll_transmit(&mut out, budget), 0, "0 means that there is nothing to send");
            }
            pipe.unwritten.extend(out);
            if added == 0 && conn.is_closed() {
                pipe.ended = true;
                happened = true;
            }
        }
        while !pipe.unwritten.is_empty() && pipe.inside < pipe.capacity {
            let len = self.rng.piece(pipe.unwritten.len().min(pipe.capacity - pipe.inside));
            let delay = Duration::from_nanos(self.rng.below(pipe.delay.as_nanos() as u64 + 1));
            let at = pipe.pieces.back().map_or(self.now, |(at, _)| *at).max(self.now + delay);
            pipe.pieces.push_back((at, pipe.unwritten.drain(..len).collect()));
            pipe.inside += len;
            happened = true;
        }
        happened
    }

    /// What holds at any time.
    fn check(&mut self, me: usize) {
        let side = &mut self.sides[me];
        let stats = side.conn.stats();
        side.most_serving = side.most_serving.max(stats.serving);
        side.most_cost = side.most_cost.max(stats.serving_cost);
        assert!(side.app.handling() <= stats.serving, "a handler runs for an open request");
        if side.conn.is_closed() {
            assert_eq!((stats.calls, stats.serving, stats.serving_cost), (0, 0, 0));
            assert_eq!(side.conn.poll_timeout(), None);
        }
    }

    /// No violation on either side, both agree on every call, and nothing is left.
    pub(crate) fn agree(&self) {
        for side in &self.sides {
            assert!(
                !matches!(side.app.closed, Some(CloseReason::Violation(_) | CloseReason::Timeout(_))),
                "{:?}",
                side.app.closed
            );
            let stats = side.conn.stats();
            assert_eq!((stats.calls, stats.serving, stats.serving_cost), (0, 0, 0));
        }
        app::agree(&self.sides[ROUTER].app, &self.sides[WORKER].app);
        app::agree(&self.sides[WORKER].app, &self.sides[ROUTER].app);
    }

    pub(crate) fn describe(&self) -> String {
        let side = |index: usize| {
            let side = &self.sides[index];
            format!(
                "{:?} after {:?}: {:?}, closed {:?}, open {}, handling {}, to write {}, inside {}",
                side.conn.role(),
                self.now - self.start,
                side.conn.stats(),
                side.app.closed,
                side.app.open_calls(),
                side.app.handling(),
                self.pipes[index].unwritten.len(),
                self.pipes[index].inside
            )
        };
        format!("{}\n{}", side(ROUTER), side(WORKER))
    }
}
