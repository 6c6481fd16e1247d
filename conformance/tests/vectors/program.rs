//! Other programs, through the contract.

use std::path::Path;
use std::process::Command;

use nova_conformance::subject::program::Program;
use nova_conformance::vector::Split;

use crate::runs::{at_least, directory, options, play, program};

fn in_quotes(path: &Path) -> String {
    format!("'{}'", path.display())
}

#[test]
fn the_python_peer_keeps_to_every_vector_that_it_knows() {
    let peer = directory().join("peer/subject.py");
    let mut options = options("python", None);
    // Every byte alone is for the core: here it is a line of JSON each.
    options.splits = vec![Split::Whole];
    let results = play(&options, &mut Program::new(&format!("python3 {}", in_quotes(&peer))));
    at_least(&results, 3000);
}

#[test]
fn the_core_behind_the_contract_is_the_core() {
    let mut options = options("core", None);
    options.splits = vec![Split::Whole];
    let command = format!("{} subject", in_quotes(&program("nova-conformance")));
    let results = play(&options, &mut Program::new(&command));
    at_least(&results, 3000);
}

#[test]
fn the_runner_in_python_agrees_about_the_core() {
    let output = Command::new("python3")
        .arg(directory().join("peer/play.py"))
        .args(["--split", "whole", "--"])
        .arg(program("nova-conformance"))
        .arg("subject")
        .output()
        .expect("python3 is there");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_vectors_follow_their_schema_and_are_what_their_sources_make() {
    let output = Command::new("python3")
        .arg(directory().join("peer/vecgen.py"))
        .arg("--check")
        .output()
        .expect("python3 is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
