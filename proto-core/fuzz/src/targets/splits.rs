//! Any bytes, whole and cut anywhere: what can be seen from outside is the same.

use nova_proto_core::{Config, Role};

use crate::common::rng::Rng;
use crate::common::split::feed;
use crate::common::traffic::with_calls;
use crate::common::victim::Victim;
use crate::program::Program;

/// A byte that chooses the state, one that chooses the cuts, and the peer's bytes.
pub fn splits(data: &[u8]) {
    let mut program = Program::new(data);
    let state = program.byte();
    let mut rng = Rng::new(u64::from(program.byte()));
    let bytes = program.rest();
    let victim = || match state % 4 {
        0 => with_calls(),
        1 => Victim::worker(),
        2 => Victim::fresh(Config::new(Role::Router)),
        _ => Victim::fresh(Config { zstd: true, ..Config::new(Role::Worker) }),
    };
    // Output is taken at the end: while it is taken, time and acknowledgements decide what comes first.
    let whole = feed(victim(), bytes, |len| len, false);
    assert_eq!(whole, feed(victim(), bytes, |_| 1, false), "byte by byte");
    assert_eq!(whole, feed(victim(), bytes, |len| rng.piece(len), false), "cut at random");
}
