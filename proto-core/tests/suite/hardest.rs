//! Everything at once, over thousands of schedules.

use std::time::Duration;

use nova_proto_core::{CloseCode, CloseReason, Config, Event, Limits, RequestId, Role};

use crate::common::app::Profile;
use crate::common::for_seeds;
use crate::common::pair::{Pair, Setup};
use crate::common::rng::Rng;
use crate::common::victim::{Victim, small_limits};
use crate::common::wire::{self, Ask};

/// Both sides want more than the other accepts, through pipes of 64 bytes.
fn full(seed: u64, largest: u32, calls: usize, max_concurrent: u32, budget: u64) -> Setup {
    let mut rng = Rng::new(seed ^ 0xf011);
    let mut setup = Setup::new(Profile {
        at_once: 3 * max_concurrent as usize,
        body: largest,
        reply: largest,
        large: 70,
        cancel: rng.below(10),
        fail: 20,
        too_long: 5,
        deadline: 5,
        no_wait: 0,
        work: Duration::from_micros(rng.below(20_000)),
        calls,
    });
    for config in [&mut setup.router, &mut setup.worker] {
        config.limits = Limits {
            max_frame: rng.between(16 * 1024, 64 * 1024) as u32,
            max_body: largest.max(64 * 1024),
            work_budget: u64::from(largest.max(64 * 1024)) * budget,
            max_concurrent,
        };
        config.cancellation = !seed.is_multiple_of(4);
    }
    setup.capacity = [64, 64];
    setup.delay = Duration::from_nanos(rng.below(2000));
    setup
}

#[track_caller]
fn run(seed: u64, setup: Setup) {
    let limits = [setup.router.limits, setup.worker.limits];
    let mut pair = Pair::new(seed, setup);
    pair.run();
    pair.agree();
    for (side, limits) in pair.sides.iter().zip(limits) {
        assert_eq!(side.app.closed, None);
        assert!(side.most_serving <= limits.max_concurrent as usize);
        assert!(side.most_cost <= limits.work_budget);
    }
}

#[test]
fn both_sides_at_full_concurrency_and_budget_through_64_byte_pipes() {
    for_seeds(2000, |seed| {
        let mut rng = Rng::new(seed);
        let calls = rng.between(2, 6) as usize;
        let concurrent = rng.between(1, 5) as u32;
        let budget = rng.between(2, 4);
        run(seed, full(seed, 24_000, calls, concurrent, budget));
    });
}

#[test]
fn bodies_and_replies_larger_than_the_window_through_64_byte_pipes() {
    for_seeds(12, |seed| run(seed, full(seed, 1_200_000, 4, 4, 3)));
}

#[test]
fn bodies_and_replies_larger_than_the_window_through_wider_pipes() {
    for_seeds(60, |seed| {
        let mut setup = full(seed, 1_500_000, 8, 4, 3);
        setup.capacity = [4096, 100_000];
        run(seed, setup);
    });
}

#[test]
fn the_budget_is_really_used_up() {
    let mut most = 0;
    for seed in 0..20 {
        let setup = full(seed, 64 * 1024, 12, 8, 2);
        let budget = setup.router.limits.work_budget;
        let mut pair = Pair::new(seed, setup);
        pair.run();
        most = most.max(pair.sides[0].most_cost * 100 / budget);
    }
    assert!(most > 80, "at most {most} per cent were used: the schedules are too tame");
}

/// One hostile life, and how it ends. The pieces may be of any size, the times are the same.
fn hostile(seed: u64, pieces: Option<u64>) -> CloseReason {
    let mut rng = Rng::new(seed);
    let mut cut = pieces.map(Rng::new);
    let limits = small_limits();
    let mut victim = Victim::open(Role::Router, limits);
    let mut next_id = 1;
    let mut handlers: Vec<RequestId> = Vec::new();
    let answers = rng.percent(70);
    let pause = rng.below(300);
    for _ in 0..100_000 {
        let frame = match rng.below(4) {
            0 => wire::ping(rng.next()),
            _ => {
                let id = next_id;
                next_id += 2;
                let reply_max = rng.pick(&[0, 16_384, 60_000]);
                let request = Ask { id, reply_max, ..Ask::default() }.frame(b"").bytes();
                if rng.percent(50) { [request, wire::cancel(id)].concat() } else { request }
            }
        };
        let mut rest = frame.as_slice();
        while !rest.is_empty() {
            let len = cut.as_mut().map_or(rest.len(), |cut| cut.piece(rest.len()));
            victim.conn.receive(&rest[..len], victim.now);
            rest = &rest[len..];
            for event in victim.events() {
                if let Event::Request(request) = event {
                    handlers.push(request.id);
                }
            }
        }
        assert!(victim.conn.stats().serving <= limits.max_concurrent as usize);
        assert!(victim.conn.stats().serving_cost <= limits.work_budget);
        if answers && !victim.conn.is_closed() {
            for id in handlers.drain(..) {
                victim.conn.respond(id, vec![0; 10_000]).expect("owed");
            }
        }
        // Nobody takes any output.
        victim.pass(Duration::from_millis(pause));
        if let Some(reason) = victim.conn.close_reason() {
            return reason.clone();
        }
    }
    panic!("it lives for ever");
}

#[test]
fn a_hostile_reader_ends_for_one_reason_however_its_bytes_are_cut() {
    let mut codes = std::collections::BTreeSet::new();
    for_seeds(2000, |seed| {
        let reason = hostile(seed, None);
        assert_eq!(reason, hostile(seed, Some(seed)));
        codes.insert(reason.code().expect("a reason with a number"));
    });
    let expected = [CloseCode::TOO_MANY_REQUESTS, CloseCode::WORK_BUDGET, CloseCode::SLOW_READER];
    assert!(codes.iter().all(|code| expected.contains(code)), "{codes:?}");
}

#[test]
fn a_reader_that_stops_in_the_middle_of_full_traffic_is_given_up() {
    for_seeds(100, |seed| {
        let mut setup = full(seed, 64 * 1024, 30, 4, 2);
        setup.capacity = [4096, 4096];
        let mut pair = Pair::connected(seed, setup);
        pair.run_for(Duration::from_millis(seed % 20));
        pair.pipes[0].stalled = true;
        let start = pair.now;
        pair.run_to_the_end();
        assert!(pair.now - start <= Duration::from_secs(31), "{:?}", pair.now - start);
    });
}

#[test]
fn with_one_slot_each_and_no_cancellation_everything_is_answered() {
    for_seeds(200, |seed| {
        let mut setup = full(seed, 24_000, 5, 1, 2);
        for config in [&mut setup.router, &mut setup.worker] {
            *config = Config { cancellation: false, ..config.clone() };
        }
        run(seed, setup);
    });
}
