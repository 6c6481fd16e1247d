//! The name of the extractor's output changes with the output.

use std::fs;
use std::path::{Path, PathBuf};

use nova_worker::Declaration;
use nova_worker::cache::FINGERPRINT;
use nova_worker::java::extract;

/// All files below, sorted.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("is in the repository");
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn the_fingerprint_is_that_of_the_output() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut hasher = blake3::Hasher::new();
    let mut declarations = 0;
    for directory in [here.join("tests/fixtures"), here.join("../samples/harbour")] {
        for path in files(&directory) {
            if !path.extension().is_some_and(|extension| extension == "java" || extension == "txt") {
                continue;
            }
            let text = fs::read_to_string(&path).expect("is UTF-8");
            let outline = extract(&text);
            declarations += outline.len();
            hasher.update(format!("{:?}\n", (outline.package(), outline.len())).as_bytes());
            for found in outline.iter() {
                let Declaration { name, kind, parent, line, column } = found;
                hasher.update(format!("{name}\t{kind}\t{parent:?}\t{line}\t{column}\n").as_bytes());
            }
        }
    }
    assert!(declarations > 500, "{declarations}");
    let hash = hasher.finalize();
    let found = u128::from_be_bytes(*hash.as_bytes().first_chunk().expect("it is longer"));
    assert_eq!(
        u128::from_be_bytes(FINGERPRINT),
        found,
        "the extractor's output has changed: in worker/src/cache/fingerprint.rs, set FINGERPRINT to {found:#034x}"
    );
}
