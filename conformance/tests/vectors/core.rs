//! The core in process, under all cuts.

use nova_conformance::subject::core::Core;

use crate::runs::{at_least, options, play};

#[test]
fn the_core_keeps_to_every_vector() {
    let results = play(&options("core", None), &mut Core::default());
    at_least(&results, 3500);
}
