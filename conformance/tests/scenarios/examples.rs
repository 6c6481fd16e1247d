//! The examples run, and the guide shows them as they are.

use std::fs;
use std::path::Path;

use crate::{blocking, pipe_example, smol_driver};

#[test]
fn the_blocking_driver_runs() {
    blocking::main().expect("it ends well");
}

#[test]
fn the_pipe_in_memory_runs() {
    pipe_example::main().expect("it ends well");
}

#[test]
fn the_smol_driver_runs() {
    smol_driver::main().expect("it ends well");
}

/// Each block of code in the guide stands, indented or not, in the file that the line above it names.
#[test]
fn the_guide_shows_the_examples_as_they_are() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let guide = fs::read_to_string(repository.join("docs/TRANSPORTS.md")).expect("the guide");
    let mut compared = 0;
    for part in guide.split("<!-- ").skip(1) {
        let (path, rest) = part.split_once(" -->\n```rust\n").expect("a block of code behind its file");
        let (block, _) = rest.split_once("\n```").expect("its end");
        let file = fs::read_to_string(repository.join(path)).expect(path);
        let lines = |text: &str| text.lines().map(|line| format!("{}\n", line.trim())).collect::<String>();
        assert!(lines(&file).contains(&lines(block)), "{path} does not have\n{block}");
        compared += 1;
    }
    assert_eq!(compared, guide.matches("```rust").count(), "every block names its file");
    assert!(compared > 0);
}
