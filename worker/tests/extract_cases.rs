//! What the extractor finds in correct code of every Java version, and in code that is being typed.

use std::path::{Path, PathBuf};
use std::{env, fs};

use nova_worker::java::extract;

/// `kind container.name` of every declaration, in source order.
fn symbols(text: &str) -> Vec<String> {
    let outline = extract(text);
    let symbol = |(index, found): (u32, nova_worker::Declaration<'_>)| {
        let container = outline.container(index);
        let dot = if container.is_empty() { "" } else { "." };
        format!("{} {container}{dot}{}", found.kind, found.name)
    };
    (0..).zip(outline.iter()).map(symbol).collect()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The lines of `expected.tsv` were printed by `conformance/oracle/JavacSymbols.java` on JDK 25.
#[test]
fn fixtures_yield_what_javac_sees() {
    let expected = fs::read_to_string(fixtures().join("expected.tsv")).expect("is in the repository");
    let files = [
        "Annotations.java",
        "Compact.java",
        "Contextual.java",
        "Corners.java",
        "Escapes.java",
        "Everyday.java",
        "Flexible.java",
        "Modern.java",
        "Odd.java",
        "module/module-info.java",
        "open/module-info.java",
        "package-info.java",
    ];
    let mut lines = Vec::new();
    for file in files {
        let text = fs::read_to_string(fixtures().join(file)).expect("is in the repository");
        let outline = extract(&text);
        for (index, found) in (0..).zip(outline.iter()) {
            let (line, column, container) = (found.line, found.column, outline.container(index));
            lines.push(format!("{file}\t{line}\t{column}\t{}\t{}\t{container}", found.kind, found.name));
        }
    }
    lines.sort_unstable();
    let expected: Vec<_> = expected.lines().collect();
    for (found, expected) in lines.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(lines.len(), expected.len());
}

/// Each case: a title, the source, and behind `---` the symbols that are found.
#[test]
fn half_typed_code_keeps_its_other_symbols() {
    let table = fs::read_to_string(fixtures().join("half_typed.txt")).expect("is in the repository");
    let cases: Vec<_> = table.split("=== ").skip(1).collect();
    assert!(cases.len() >= 80, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let (title, case) = case.split_once('\n').expect("a title");
        let (source, expected) = case.split_once("---\n").expect("a separator");
        let (found, expected) = (symbols(source), expected.lines().collect::<Vec<_>>());
        if found != expected {
            wrong.push(format!("{title}: {found:#?}, not {expected:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Wherever somebody stops typing, what is written already is found.
#[test]
fn truncated_code_keeps_what_comes_before() {
    let text = fs::read_to_string(fixtures().join("Modern.java")).expect("is in the repository");
    let whole = extract(&text);
    for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)) {
        let outline = extract(&text[..end]);
        let line = u32::try_from(text[..end].lines().count()).expect("is short");
        let is_complete = |line_found: u32| line_found + 12 < line;
        let kept = |outline: &nova_worker::Outline| -> Vec<_> {
            let complete = outline.iter().filter(|found| is_complete(found.line));
            complete.map(|found| (found.kind, found.name.to_owned(), found.line, found.column)).collect()
        };
        assert_eq!(kept(&outline), kept(&whole), "cut at {end}");
    }
}

#[test]
fn positions_survive_every_line_end_and_mark() {
    let lines = ["class A {", "  int x;", "", "\tvoid f() {", "  }", "  int y; }"];
    for end in ["\n", "\r\n", "\r"] {
        for mark in ["", "\u{feff}"] {
            let text = format!("{mark}{}{end}\u{1a}", lines.join(end));
            let outline = extract(&text);
            let found: Vec<_> = outline.iter().map(|found| (found.name, found.line, found.column)).collect();
            assert_eq!(found, [("A", 1, 7), ("x", 2, 7), ("f", 4, 7), ("y", 6, 7)], "{end:?} {mark:?}");
        }
    }
}

#[test]
fn names_of_types_from_before_they_were_keywords() {
    let text =
        "class Old { sealed x; record y; sealed f() { } record[] r = null, q; record z = null; yield w; }";
    let expected = [
        "class Old",
        "field Old.x",
        "field Old.y",
        "method Old.f",
        "field Old.r",
        "field Old.q",
        "field Old.z",
        "field Old.w",
    ];
    assert_eq!(symbols(text), expected);
}

#[test]
fn odd_files() {
    assert_eq!(symbols(""), [""; 0]);
    assert_eq!(symbols("\u{1a}"), [""; 0]);
    assert_eq!(symbols("/** Only a comment. */ // and another"), [""; 0]);
    assert_eq!(symbols("package a.b;"), [""; 0]);
    assert_eq!(symbols("class A\u{a0}{\u{3000}int\u{2003}x; }"), ["class A", "field A.x"]);
    assert_eq!(symbols("class A { int a\u{1}b\u{ad}c; }"), ["class A", "field A.abc"]);
    assert_eq!(symbols("class A {\u{c}int x;\u{b}int y; }"), ["class A", "field A.x", "field A.y"]);
}

/// Characters that nobody sees come along with pasted text.
#[test]
fn words_of_nothing_visible_are_white_space() {
    assert_eq!(symbols("class A { int x \u{200b}; }"), ["class A", "field A.x"]);
    assert_eq!(
        symbols("class A { int \u{feff}x\u{200b}, \\u200b \u{ad}y; }"),
        ["class A", "field A.x", "field A.y"]
    );
    assert_eq!(symbols("package \u{200b}a.\u{2060}b;\u{200b} class \u{200b} A { }"), ["class a.b.A"]);
    assert_eq!(symbols("module \u{200b} { }"), [""; 0]);
}

#[test]
fn a_file_has_one_package() {
    assert_eq!(symbols("package a; class A { package int x; }"), ["class a.A", "field a.A.x"]);
    assert_eq!(symbols("package a; class A { package b; int x; }"), ["class a.A", "field a.A.x"]);
    assert_eq!(symbols("package a; class A { } package b; class B { }"), ["class a.A", "class a.B"]);
    assert_eq!(symbols("package a; package ; class A { }"), ["class a.A"]);
}

#[test]
fn containers_are_bounded() {
    let name = |bytes: usize| "n".repeat(bytes);
    let found = |text: &str| {
        let names = |found: &String| found.rsplit(['.', ' ']).next().map(|name| name[..1].to_owned());
        symbols(text).iter().filter_map(names).collect::<String>()
    };
    // The longest container, and one byte more.
    let of = |outer, inner| {
        format!("class {} {{ class {} {{ int x; }} int y; }} class Z {{ }}", name(outer), name(inner))
    };
    assert_eq!(found(&of(2000, 2095)), "nnxyZ");
    assert_eq!(found(&of(2000, 2096)), "nnyZ");
    assert_eq!(found(&of(5000, 1)), "nZ");
    let in_package = |bytes| format!("package {}; class A {{ int x; }} class B {{ }}", name(bytes));
    assert_eq!(found(&in_package(4094)), "AxB");
    assert_eq!(found(&in_package(4095)), "AB");
    assert_eq!(symbols(&in_package(4097)), ["class A", "field A.x", "class B"]);
    let components = |bytes| format!("record {}(int x) {{ int y; }} class Z {{ }}", name(bytes));
    assert_eq!(found(&components(4096)), "nxyZ");
    assert_eq!(found(&components(4097)), "nZ");
    // Too long a name even for a declaration.
    assert_eq!(found(&components(70_000)), "Z");
}

#[test]
fn nesting_is_bounded() {
    let depth = 5000;
    let text = format!("{}int x;{}class B {{ int y; }}", "class A { ".repeat(depth), "}".repeat(depth));
    let outline = extract(&text);
    assert_eq!(outline.len(), 1025 + 2);
    assert_eq!(symbols(&text).last().map(String::as_str), Some("field B.y"));
}

/// How much of a file's outline remains, in percent, averaged over removing each occurrence of `removed`.
fn kept_without(text: &str, removed: char) -> f64 {
    let whole = symbols(text);
    let mut kept = 0;
    let mut edits = 0;
    for (at, _) in text.match_indices(removed) {
        let mut found = symbols(&format!("{}{}", &text[..at], &text[at + removed.len_utf8()..]));
        found.sort_unstable();
        kept += whole.iter().filter(|symbol| found.binary_search(symbol).is_ok()).count();
        edits += 1;
    }
    100.0 * kept as f64 / (edits * whole.len()) as f64
}

/// One missing character costs at most the declaration it is missing from, and rarely that.
#[test]
fn a_missing_character_costs_little() {
    let text = fs::read_to_string(fixtures().join("Everyday.java")).expect("is in the repository");
    assert_eq!(symbols(&text).len(), 36);
    for (removed, least) in [
        ('{', 99.0),
        ('}', 99.0),
        ('(', 98.5),
        (')', 99.5),
        ('"', 99.0),
        (';', 99.5),
        ('>', 99.5),
        ('\'', 99.5),
    ] {
        let kept = kept_without(&text, removed);
        assert!(kept >= least, "without one {removed:?} only {kept:.2} % is found");
    }
}
