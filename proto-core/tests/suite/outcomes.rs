//! Two cores agree on what became of every request.

use std::time::Duration;

use nova_proto_core::{CloseCode, CloseReason, Config, ErrorCode, Limits, Role};

use crate::common::app::{Outcome, Profile};
use crate::common::for_seeds;
use crate::common::pair::{Pair, ROUTER, Setup, WORKER};
use crate::common::rng::Rng;

/// Random limits, features, capacities and profiles; small enough for thousands of runs.
fn setup(seed: u64) -> Setup {
    let mut rng = Rng::new(seed ^ 0xabcd);
    let mut config = |role| {
        let max_body = 16 * 1024 + rng.below(48 * 1024) as u32;
        let limits = Limits {
            max_frame: 16 * 1024,
            max_body,
            work_budget: u64::from(max_body) * rng.between(2, 6),
            max_concurrent: rng.between(1, 12) as u32,
        };
        Config { limits, cancellation: rng.percent(80), grease: rng.percent(50), ..Config::new(role) }
    };
    let (router, worker) = (config(Role::Router), config(Role::Worker));
    let most = router.limits.max_body.min(worker.limits.max_body);
    let mut profile = || Profile {
        at_once: rng.between(1, 20) as usize,
        body: most.min(1 << rng.between(8, 16)),
        reply: most.min(1 << rng.between(8, 16)),
        large: rng.below(60),
        cancel: rng.below(30),
        ..Profile::busy(rng.between(1, 25) as usize)
    };
    let profiles = [profile(), profile()];
    let capacity = [rng.pick(&[64, 500, 4096, 65536]), rng.pick(&[64, 500, 4096, 65536])];
    let delay = Duration::from_micros(rng.pick(&[0, 10, 200]));
    Setup { router, worker, profiles, capacity, delay }
}

#[test]
fn random_commands_on_both_sides() {
    for_seeds(1500, |seed| {
        let mut pair = Pair::new(seed, setup(seed));
        pair.run();
        pair.agree();
        for side in &pair.sides {
            assert_eq!(side.app.closed, None, "nothing was wrong");
        }
    });
}

#[test]
fn no_side_serves_more_than_it_accepts() {
    for_seeds(100, |seed| {
        let mut setup = setup(seed);
        for config in [&mut setup.router, &mut setup.worker] {
            config.limits.max_concurrent = 3;
        }
        let mut pair = Pair::new(seed, setup);
        pair.run();
        pair.agree();
        assert!(pair.sides.iter().all(|side| side.most_serving <= 3));
    });
}

#[test]
fn a_close_in_the_middle_gives_every_call_one_outcome() {
    for_seeds(400, |seed| {
        let mut rng = Rng::new(seed);
        let mut pair = Pair::connected(seed, setup(seed));
        pair.run_for(Duration::from_micros(rng.below(3000)));
        pair.sides[rng.index(2)].conn.close(CloseCode::NORMAL, "enough");
        pair.run_to_the_end();
        pair.agree();
        let codes = pair.sides.each_ref().map(|side| side.app.closed.as_ref().and_then(CloseReason::code));
        assert!(codes.contains(&Some(CloseCode::NORMAL)), "{codes:?}");
    });
}

#[test]
fn a_drain_in_the_middle_finishes_what_is_open_and_refuses_what_crosses() {
    let mut refused = 0;
    for_seeds(600, |seed| {
        let mut rng = Rng::new(seed);
        let mut pair = Pair::connected(seed, setup(seed));
        pair.run_for(Duration::from_micros(rng.below(3000)));
        for side in 0..2 {
            if rng.percent(if side == 0 { 100 } else { 30 }) {
                let now = pair.now;
                pair.sides[side].conn.drain(Duration::from_secs(60), now).expect("it is open");
            }
        }
        pair.run_to_the_end();
        pair.agree();
        for side in [ROUTER, WORKER] {
            let app = &pair.sides[side].app;
            let code = app.closed.as_ref().and_then(CloseReason::code);
            assert_eq!(code, Some(CloseCode::DRAINED), "{:?}", app.closed);
            let outcomes = app.asked.values().map(|asked| asked.outcome.as_ref());
            refused +=
                outcomes.filter(|&outcome| outcome == Some(&Outcome::Failed(ErrorCode::REFUSED))).count();
        }
    });
    assert!(refused > 0 || std::env::var("NOVA_SEED").is_ok(), "some requests cross");
}

#[test]
fn an_end_of_stream_in_the_middle_ends_everything_once() {
    for_seeds(400, |seed| {
        let mut rng = Rng::new(seed);
        let mut pair = Pair::connected(seed, setup(seed));
        pair.run_for(Duration::from_micros(rng.below(3000)));
        for side in &mut pair.sides {
            side.conn.receive_eof();
        }
        pair.run_to_the_end();
        pair.agree();
        for side in &pair.sides {
            assert_eq!(side.app.closed, Some(CloseReason::Eof));
        }
    });
}
