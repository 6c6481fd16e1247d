//! The sample project: which symbols it has, and what `index` says of it.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::scene::{Scene, arg, harbour, repository};

/// The names of an object's fields, sorted.
pub(crate) fn fields(value: &Value) -> Vec<&str> {
    let names: BTreeSet<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    names.into_iter().collect()
}

/// Each line of `nova symbols --json-lines`.
pub(crate) fn json_lines(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// A symbol as one line of the expected table.
pub(crate) fn row(symbol: &Value) -> String {
    let text = |name: &str| symbol[name].as_str().unwrap_or_else(|| panic!("{name} of {symbol}"));
    let number = |name: &str| symbol[name].as_u64().unwrap_or_else(|| panic!("{name} of {symbol}"));
    let (path, kind, name) = (text("path"), text("kind"), text("name"));
    format!("{path}\t{}\t{}\t{kind}\t{name}\t{}", number("line"), number("column"), text("container"))
}

fn sum(value: &Value, name: &str) -> u64 {
    value["shards"].as_array().expect("shards").iter().filter_map(|shard| shard[name].as_u64()).sum()
}

#[test]
fn symbols_are_exactly_the_expected_ones() {
    let scene = Scene::new();
    let ran = scene.run(["symbols", "--root", arg(&harbour()), "--json-lines"]).expect(0);
    assert_eq!(ran.stderr, "");
    let symbols = json_lines(&ran.stdout);
    for symbol in &symbols {
        assert_eq!(fields(symbol), ["column", "container", "kind", "line", "name", "path", "root"]);
        assert_eq!(symbol["root"].as_str(), Some(arg(&harbour())));
    }
    let place = |symbol: &Value| {
        let path = symbol["path"].as_str().expect("a path").to_owned();
        (path, symbol["line"].as_u64(), symbol["column"].as_u64())
    };
    assert!(symbols.is_sorted_by_key(place), "not sorted by path, line and column");
    let rows: Vec<String> = symbols.iter().map(row).collect();
    let expected = fs::read_to_string(repository().join("samples/expected/harbour.tsv")).expect("the table");
    let expected: Vec<&str> = expected.lines().collect();
    let missing: Vec<_> = expected.iter().filter(|line| !rows.iter().any(|row| row == *line)).collect();
    let surplus: Vec<_> = rows.iter().filter(|row| !expected.contains(&row.as_str())).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:#?}, surplus {surplus:#?}");
    assert_eq!(rows, expected);
    scene.becomes_clean(&[]);
}

#[test]
fn symbols_for_people_say_the_same() {
    let scene = Scene::new();
    let ran = scene.run(["symbols", "--root", arg(&harbour())]).expect(0);
    let expected = fs::read_to_string(repository().join("samples/expected/harbour.tsv")).expect("the table");
    let expected: Vec<String> = expected
        .lines()
        .map(|line| {
            let [path, line, column, rest] = line.splitn(4, '\t').collect::<Vec<_>>()[..] else {
                panic!("a line of the table: {line}")
            };
            format!("{}/{path}:{line}:{column}\t{rest}", harbour().display())
        })
        .collect();
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn index_tells_all_fields_in_one_line() {
    let scene = Scene::new();
    let ran = scene.run(["index", "--root", arg(&harbour()), "--json"]).expect(0);
    assert_eq!(ran.stderr, "");
    let line = ran.json();
    assert_eq!(
        fields(&line),
        [
            "bytes",
            "elapsed_ms",
            "files",
            "left_out",
            "schema",
            "sent",
            "shards",
            "skipped",
            "symbols",
            "workers"
        ]
    );
    assert_eq!(line["schema"], 1);
    assert_eq!(line["files"], 18);
    assert_eq!(line["symbols"], 226);
    assert!(line["elapsed_ms"].is_u64());
    assert_eq!(line["skipped"], Value::Array(Vec::new()));
    for number in ["files", "symbols", "bytes", "sent"] {
        assert_eq!(line[number].as_u64(), Some(sum(&line, number)), "{number}");
    }
    let shards = line["shards"].as_array().expect("shards");
    let roots: Vec<&str> = shards.iter().filter_map(|shard| shard["source_root"].as_str()).collect();
    assert_eq!(roots, ["", "model/src/main/java", "yard/src/main/java", "yard/src/test/java"]);
    for shard in shards {
        assert_eq!(shard["state"], "ready");
        assert_eq!(shard["root"].as_str(), Some(arg(&harbour())));
        assert_eq!(shard["key"].as_str().map(str::len), Some(32), "{shard}");
    }
    let bytes: u64 = walk(&harbour());
    assert_eq!(line["bytes"].as_u64(), Some(bytes), "every byte of every Java file is read once");
    assert_eq!(line["sent"], line["bytes"], "and sent once");
}

/// The bytes in all Java files below a directory.
fn walk(directory: &std::path::Path) -> u64 {
    let entries = fs::read_dir(directory).expect("a directory");
    let size = |entry: fs::DirEntry| match entry.file_type().expect("a type") {
        kind if kind.is_dir() => walk(&entry.path()),
        _ if entry.path().extension().is_some_and(|end| end == "java") => {
            entry.metadata().expect("a size").len()
        }
        _ => 0,
    };
    entries.map(|entry| size(entry.expect("an entry"))).sum()
}

#[test]
fn index_for_people_names_shards_and_sums_up() {
    let scene = Scene::new();
    let ran = scene.run(["index", "--root", arg(&harbour())]).expect(0);
    assert!(ran.stdout.contains("model/src/main/java"), "{}", ran.stdout);
    let last = ran.stdout.lines().last().unwrap_or_default();
    assert!(last.starts_with("18 files, 226 symbols, "), "{last}");
    assert!(last.contains("4 shards, 0 skipped"), "{last}");
}

#[test]
fn shards_keep_their_keys() {
    let keys = |args: &[&str]| -> Vec<String> {
        let scene = Scene::new();
        let line =
            scene.run([&["index", "--json", "--root", arg(&harbour())], args].concat()).expect(0).json();
        let shards = line["shards"].as_array().expect("shards");
        shards.iter().map(|shard| shard["key"].as_str().expect("a key").to_owned()).collect()
    };
    let all = keys(&[]);
    assert_eq!(all, keys(&["--workers", "3"]), "keys do not depend on the run or on workers");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 4, "no two shards share a key");
}
