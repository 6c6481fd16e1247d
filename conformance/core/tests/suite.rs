//! The core in process, under all cuts.

use std::time::{SystemTime, UNIX_EPOCH};

use nova_conformance_core::Core;
use nova_conformance_judge::expectations::Expectations;
use nova_conformance_judge::report;
use nova_conformance_judge::run::{Options, Results, Status, run};
use nova_conformance_judge::vector::{Selection, Split, Suite, Transport};

/// Without section A, which is played where the whole workspace is tested.
const LEAST: usize = 4000;

fn play(splits: &[Split]) -> Results {
    let suite = Suite::load(nova_conformance_judge::VECTORS.as_ref()).expect("the vectors are in order");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let options = Options {
        selection: Selection::default(),
        seed: u64::from(now.subsec_nanos()),
        splits: splits.to_vec(),
        transport: Transport::InProcess,
        role: None,
        fail_fast: true,
        implementation: "core".to_owned(),
        expectations: Expectations::load(nova_conformance_judge::EXPECTATIONS.as_ref())
            .expect("expectations"),
    };
    let results = run(&suite, &options, &mut Core::default(), |case, outcome| {
        if let Status::Failed(fault) = &outcome.status {
            panic!("{}", report::explain(case, fault, options.seed, "nova-conformance run"));
        }
    });
    assert_eq!(results.stale, [""; 0], "expectations that nothing fits");
    results
}

#[test]
fn the_core_keeps_to_every_vector() {
    // What one cut shows costs least: it comes first, and the others only if it shows nothing.
    let passed = play(&[Split::Whole]).counts().passed;
    assert!(passed >= LEAST, "{passed} cases passed: were they played at all?");
    play(&[Split::Bytes, Split::Random]);
}
