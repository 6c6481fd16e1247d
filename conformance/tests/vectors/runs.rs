//! What the tests of this target share.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nova_conformance::expectations::Expectations;
use nova_conformance::report;
use nova_conformance::run::{Counts, Options, Results, Status, run};
use nova_conformance::subject::{Role, Subject};
use nova_conformance::vector::{Selection, Split, Suite, Transport};

/// The directory of this crate.
pub(crate) fn directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn suite() -> Suite {
    Suite::load(&directory().join("vectors")).expect("the vectors are in order")
}

/// A program of this workspace.
///
/// # Panics
/// If it is not built.
pub(crate) fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the system tells where this test lies");
    let profile = test.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps");
    let program = profile.join(name);
    assert!(program.is_file(), "{} is missing: build the whole workspace", program.display());
    program
}

pub(crate) fn options(implementation: &str, role: Option<Role>) -> Options {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = u64::from(now.subsec_nanos());
    println!("seed {seed}");
    Options {
        selection: Selection::default(),
        seed,
        splits: vec![Split::Whole, Split::Bytes, Split::Random],
        transport: if role.is_some() { Transport::Live } else { Transport::InProcess },
        role,
        fail_fast: false,
        implementation: implementation.to_owned(),
        expectations: Expectations::load(&directory().join("expectations.toml")).expect("expectations"),
    }
}

/// Plays, and fails with every case that failed.
#[track_caller]
pub(crate) fn play(options: &Options, subject: &mut dyn Subject) -> Results {
    let mut failures = Vec::new();
    let results = run(&suite(), options, subject, |case, outcome| {
        if let Status::Failed(fault) = &outcome.status {
            failures.push(report::explain(case, fault, options.seed, "nova-conformance run"));
        }
    });
    assert!(failures.is_empty(), "{} of {:?}\n{}", failures.len(), results.counts(), failures.join("\n"));
    assert_eq!(results.stale, [""; 0], "expectations that nothing fits");
    results
}

/// Fails if hardly anything was played.
#[track_caller]
pub(crate) fn at_least(results: &Results, passed: usize) {
    let Counts { passed: really, .. } = results.counts();
    assert!(really >= passed, "{really} cases passed, fewer than {passed}: were they played at all?");
}
