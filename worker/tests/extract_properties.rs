//! What holds for the extractor on any text whatsoever.

use std::fs;
use std::path::Path;

use nova_worker::java::extract;
use nova_worker::{Declaration, Outline};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Pieces that mean something to the scanner.
const PIECES: [&str; 78] = [
    "class ",
    "interface ",
    "enum ",
    "record ",
    "@interface ",
    "A",
    "b",
    " foo",
    "$x_1 ",
    "int ",
    "void ",
    "var ",
    "public ",
    "static ",
    "final ",
    "default ",
    "sealed ",
    "non-sealed ",
    "permits ",
    "extends ",
    "super ",
    "implements ",
    "throws ",
    "import ",
    "package ",
    "module ",
    "open ",
    "return ",
    "new ",
    "instanceof ",
    "this",
    "{",
    "}",
    "{",
    "}",
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    "<",
    ">",
    ">>>",
    ";",
    ";",
    ",",
    ".",
    "...",
    "=",
    "==",
    "->",
    "::",
    "@",
    "@A",
    "@A(",
    "&",
    "?",
    "\"",
    "\"\"\"",
    "\"\"\"\n",
    "'",
    "'x'",
    "\\",
    "\\\"",
    "\\u",
    "\\u007b",
    "\\u0022",
    "/*",
    "*/",
    "//",
    "/** {",
    " ",
    "\n",
    "\r\n",
    "    ",
    "\n=======\n",
    "é😀\u{a0}",
];

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(select(&PIECES[..]), 0..120).prop_map(|pieces| pieces.concat())
}

/// Pieces between which stand characters that count for nothing, or in front of names as white space.
fn soup_with_ignorables() -> impl Strategy<Value = String> {
    let ignorable = select(
        &["\u{200b}", "\u{feff}", "\u{ad}", "\u{e0001}", "\\u200b", "\u{85}", "\u{1}", "\u{1}\u{9f}"][..],
    );
    prop::collection::vec(prop_oneof![2 => select(&PIECES[..]), 1 => ignorable], 0..120)
        .prop_map(|pieces| pieces.concat())
}

fn realistic() -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let read = |name| fs::read_to_string(fixtures.join(name)).expect("is in the repository");
    [read("Modern.java"), read("Odd.java"), read("Annotations.java")].concat()
}

/// The text of line and column, up to the end of the file.
fn at<'a>(text: &'a str, found: &Declaration<'_>) -> Option<&'a str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rest = text;
    for _ in 1..found.line {
        let end = rest.find(['\n', '\r'])?;
        let width = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[end + width..];
    }
    let mut column = 1;
    let mut characters = rest.char_indices();
    while column < found.column {
        column += u32::try_from(characters.next()?.1.len_utf16()).ok()?;
    }
    Some(characters.as_str())
}

fn check(text: &str) -> Outline {
    let outline = extract(text);
    assert!(outline.len() <= text.len() / 2 + 1, "more symbols than words");
    for (index, found) in (0_u32..).zip(outline.iter()) {
        assert!(!found.name.is_empty());
        if let Some(parent) = found.parent {
            assert!(parent < index, "a type comes before its members");
            assert!(outline.get(parent).is_some_and(|parent| parent.kind.is_type()));
        }
        let rest = at(text, &found).expect("the position is in the text");
        if !text.contains("\\u") && !found.name.contains('.') {
            assert!(
                rest.starts_with(found.name),
                "{:?} is not at {}:{}",
                found.name,
                found.line,
                found.column
            );
        }
    }
    let order: Vec<_> = outline.iter().map(|found| (found.line, found.column)).collect();
    assert!(order.is_sorted(), "declarations come in source order");
    outline
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read(text in "(?s).{0,200}") {
        prop_assert!(extract(&text).len() <= text.len());
    }

    #[test]
    fn no_name_is_empty(text in prop_oneof!["(?s).{0,200}", soup_with_ignorables()]) {
        for text in [&text, &format!("package {text}; class A {{ int {text}; }}")] {
            let outline = extract(text);
            prop_assert!(outline.iter().all(|found| !found.name.is_empty()), "{:?}", outline);
            let package = outline.package();
            prop_assert!(package.is_empty() || package.split('.').all(|part| !part.is_empty()), "{}", package);
        }
    }

    // Without the characters that do not count in names, so that names are in the text letter by letter.
    #[test]
    fn any_printable_text_is_read(text in "[^\\p{Cc}\\p{Cf}]{0,200}") {
        check(&text);
    }

    #[test]
    fn any_tokens_are_read(text in soup()) {
        check(&text);
    }

    #[test]
    fn any_members_are_read(text in soup()) {
        check(&format!("class A {{ {text}\n    public void last() {{ }}\n}}\n"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edited_files_are_read(edits in prop::collection::vec((any::<Index>(), 0_usize..40, soup()), 1..4)) {
        let mut text = realistic();
        for (index, removed, inserted) in edits {
            let from = text.floor_char_boundary(index.index(text.len() + 1));
            let to = text.floor_char_boundary((from + removed).min(text.len())).max(from);
            text.replace_range(from..to, &inserted);
        }
        check(&text);
    }

    /// One edit never costs more than the neighbourhood: the symbols far above it stay the same.
    #[test]
    fn one_edit_leaves_what_is_above(index in any::<Index>(), piece in select(&PIECES[..])) {
        let original = realistic();
        let whole = extract(&original);
        let at = original.floor_char_boundary(index.index(original.len() + 1));
        let mut text = original.clone();
        text.insert_str(at, piece);
        let line = u32::try_from(original[..at].lines().count()).expect("is short");
        let above = |outline: &Outline| -> Vec<_> {
            let above = outline.iter().filter(|found| found.line + 14 < line);
            above.map(|found| (found.kind, found.name.to_owned(), found.line, found.column)).collect()
        };
        prop_assert_eq!(above(&check(&text)), above(&whole));
    }
}
