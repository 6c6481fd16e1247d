//! The command line: what it prints, and how it ends.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::runs::program;

/// Exit code, standard output and standard error of `nova-conformance` with these arguments.
fn ran(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(program("nova-conformance")).args(args).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

const PREFACE: [&str; 5] = ["run", "--group", "preface", "--split", "whole"];

#[test]
fn a_run_in_json_ends_with_its_sums() {
    let (code, out, _) = ran(&[&PREFACE[..], &["--json"]].concat());
    assert_eq!(code, Some(0));
    let last: serde_json::Value = serde_json::from_str(out.lines().last().expect("a line")).expect("JSON");
    let cases = out.lines().count() - 1;
    assert_eq!((&last["schema"], &last["cases"], &last["passed"]), (&1.into(), &cases.into(), &cases.into()));
    assert_eq!((&last["failed"], &last["skipped"]), (&0.into(), &0.into()));
    assert!(last["executions"].as_u64() >= Some(cases as u64));
}

#[test]
fn a_wrong_subject_fails_and_is_told_how_to_see_it_again() {
    // It says nothing to anything, and never ends a connection.
    let mute = "while read -r line; do echo '{}'; done";
    let subject = format!("sh -c \"{}\"", mute.replace('$', ""));
    let (code, out, _) = ran(&[&PREFACE[..], &["--fail-fast", "--subject", &subject]].concat());
    assert_eq!(code, Some(1), "{out}");
    assert!(
        out.contains("FAILED preface.") && out.contains("  again: nova-conformance run --subject"),
        "{out}"
    );
    // A word too many is no answer.
    let (code, out, _) = ran(&[&PREFACE[..], &["--fail-fast", "--subject", "yes {}"]].concat());
    assert_eq!(code, Some(1));
    assert!(out.contains("the subject was not asked") || out.contains("FAILED"), "{out}");
}

#[test]
fn a_run_that_shows_nothing_fails() {
    let (code, out, err) = ran(&[&PREFACE[..], &["--subject", "sh -c 'exit 127'"]].concat());
    assert_eq!(code, Some(1));
    assert!(out.contains("skipped") && err.contains("nothing was played"), "{out}{err}");
    for wrong in [&["run", "--group", "prefaces"][..], &["run", "--group", "preface", "--case", "frames.*"]] {
        let (code, out, err) = ran(wrong);
        assert_eq!((code, out.contains("passed")), (Some(2), false), "{err}");
    }
    let (code, _, err) = ran(&["run", "--connect", "unix:/nowhere/at/all"]);
    assert_eq!(code, Some(4), "{err}");
}

#[test]
fn expectations_must_be_true() {
    let scene = TempDir::new().expect("a directory");
    let file = scene.path().join("expectations.toml");
    let run = |case: &str, outcome: &str| {
        let text = format!(
            "[[expect]]\nimplementation = \"mine\"\ncase = \"{case}\"\noutcome = \"{outcome}\"\nreason = \"so\"\n"
        );
        fs::write(&file, text).expect("written");
        let path = file.to_str().expect("UTF-8");
        ran(&[&PREFACE[..], &["--name", "mine", "--expectations", path]].concat())
    };
    let (code, out, _) = run("preface.*", "skips");
    assert_eq!(code, Some(1), "nothing is left: {out}");
    let (code, out, _) = run("preface.last-byte-decides.router", "skips");
    assert_eq!(code, Some(0), "{out}");
    let (code, out, _) = run("preface.last-byte-decides.router", "fails");
    assert_eq!(code, Some(1));
    assert!(out.contains("it passes, though expectations say that it fails: so"), "{out}");
    let (code, _, err) = run("preface.gone", "fails");
    assert_eq!(code, Some(1));
    assert!(err.contains("preface.gone, which fits no case"), "{err}");
}
