//! Rules, frames in states, close codes and limits: none is without a case.

use nova_conformance::coverage::coverage;
use nova_conformance::vector::Suite;

use crate::runs::suite;

#[test]
fn nothing_is_left_uncovered() {
    let found = coverage(&suite());
    assert!(found.missing.is_empty(), "{}", found.missing.join("\n"));
}

#[test]
fn what_is_taken_away_is_missed() {
    let mut suite: Suite = suite();
    let before = coverage(&suite).missing.len();
    suite.files.retain(|file| !matches!(file.group.as_str(), "limits" | "places"));
    for file in &mut suite.files {
        file.cases.retain(|case| !case.covers.iter().any(|rule| rule.starts_with("R-15-5:")));
    }
    let missing = coverage(&suite).missing;
    assert!(missing.len() > before);
    for wanted in ["R-15-5:neg", "just above the limit max_frame", "UNEXPECTED_PONG"] {
        assert!(missing.iter().any(|line| line.contains(wanted)), "{wanted}: {missing:?}");
    }
}
