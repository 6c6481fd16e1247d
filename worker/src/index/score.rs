//! What a symbol scores for a query: the specification, and the parts that do not look at the name's letters.
//!
//! A score is an integer made from the query, the symbol and its path, and from nothing else, so that it is the
//! same in every shard and in every implementation. A symbol that does not match has no score.
//!
//! # Characters
//!
//! Everything is counted and compared in Unicode scalar values ("characters"), without normalisation. `fold(c)`
//! is the first character of the full lower-case mapping of `c` (Unicode `Lowercase_Mapping`). A query character
//! `q` **fits** a character `n` of a name if `q = n` or `q = fold(n)`: lower-case letters stand for either case,
//! upper-case ones only for themselves.
//!
//! # The query
//!
//! White space is removed. The last `.` or `#` ends the *qualifiers*; what follows is the *pattern*. The
//! qualifiers are split at `.` and `#` and empty ones are dropped. If any are left, then
//!
//! * a module is matched by the whole text, `.` and `#` included, as if it were an unqualified pattern;
//! * any other symbol must match the pattern and its container must match the qualifiers: each of the last
//!   segments of the container (package and enclosing types, split at dots), as many as there are qualifiers, in
//!   order, must begin with characters that the qualifier's characters fit.
//!
//! # Words of a name
//!
//! A character is a *separator* (`_`, `$`, `.`), a *digit* (`0`–`9`), *upper* (`fold(c) ≠ c`) or *other*. A word
//! starts at a character that is no separator and that
//!
//! * is the first of the name or follows a separator, or
//! * is a digit and follows none, or is none and follows a digit, or
//! * is upper and follows a character that is not upper, or
//! * is upper, follows an upper one, and is followed by an other one.
//!
//! It extends to the start of the next word. No word starts after the 64th character of a name. So `XMLParser` is `XML Parser`, `UTF8Reader2` is `UTF 8 Reader 2`
//! and `MAX_VALUE` is `MAX_ VALUE`.
//!
//! # Rungs
//!
//! A match stands on the highest rung whose condition holds. *Humps* means: the pattern can be cut into non-empty
//! pieces such that each fits the beginning of a word, the words being in order and no word being used twice. It is
//! *anchored* if the first piece begins at the first character of the name, *unbroken* if the words follow each
//! other without one in between. *Initials* means: the pattern has at least two characters, all of them upper, and
//! they equal the first characters of all words of the name, the first word starting at its first character.
//!
//! | rung | condition |
//! |---|---|
//! | 9 | exact: the pattern fits the whole name |
//! | 8 | initials |
//! | 7 | prefix: the pattern fits the beginning of the name |
//! | 6 | humps, anchored and unbroken |
//! | 5 | humps, anchored |
//! | 4 | humps, unbroken; so also what occurs at the start of a word |
//! | 3 | substring: the pattern fits consecutive characters of the name |
//! | 2 | humps |
//! | 1 | subsequence: the pattern fits characters of the name in order |
//! | 0 | the pattern is empty (and fits every name) |
//!
//! Who types `CHM` in upper case means `ConcurrentHashMap` rather than a name that happens to begin so; and letters
//! in a row are better evidence than pieces scattered over inner words.
//!
//! A pattern of more than 64 characters abbreviates nothing: it reaches rungs 9, 7 and 3 only.
//!
//! # Layout
//!
//! The score is a `u32` of bit fields; the rest of the bits are zero.
//!
//! | bits | meaning |
//! |---|---|
//! | 28–31 | the rung |
//! | 27 | 1 if there are qualifiers and each is as long as its segment of the container |
//! | 24–26 | the weight of the kind, see below |
//! | 23 | 0 if a directory of the path is one of tests or of generated code, see below; else 1 |
//! | 1–16 | closeness: 65,535 − (characters of the name − characters of the pattern), at least 0; 0 on rung 0 |
//! | 0 | case: 1 if the condition of the rung holds as well with *equals* in place of *fits*; 0 on rung 0 |
//!
//! The case of letters decides last, as a query in lower case says nothing about it, and between names that differ in
//! nothing else.
//!
//! | weight | kinds |
//! |---|---|
//! | 7 | class, interface, enum, record and annotation at the top level of a file |
//! | 6 | the same inside another type |
//! | 5 | module |
//! | 4 | method, element |
//! | 3 | constructor |
//! | 2 | constant |
//! | 1 | field, component |
//!
//! Directories of tests and of generated code are those named, in any case of ASCII letters, `test`, `tests`,
//! `androidTest`, `integrationTest`, `testFixtures`, `generated`, `generated-sources`, `generated-test-sources` or
//! `src-gen`. The last part of a path, between the last `/` and its end, is no directory.

use nova_proto_core::messages::SymbolKind;

/// Where in the ladder of match qualities a name stands; the numbers are those of the module's documentation.
pub(super) type Rung = u32;

pub(super) const EXACT: Rung = 9;
pub(super) const INITIALS: Rung = 8;
pub(super) const PREFIX: Rung = 7;
pub(super) const ANCHORED_UNBROKEN: Rung = 6;
pub(super) const ANCHORED: Rung = 5;
pub(super) const UNBROKEN: Rung = 4;
pub(super) const SUBSTRING: Rung = 3;
pub(super) const HUMPS: Rung = 2;
pub(super) const SUBSEQUENCE: Rung = 1;
pub(super) const EMPTY: Rung = 0;

const RUNG_SHIFT: u32 = 28;
const QUALIFIED_SHIFT: u32 = 27;
const WEIGHT_SHIFT: u32 = 24;
const PRODUCT_CODE: u32 = 1 << 23;
const CLOSENESS_SHIFT: u32 = 1;
const MAX_SURPLUS: usize = 0xFFFF;

/// The share of the score that the name alone decides; `surplus` is how many characters the name has more than the
/// pattern.
pub(super) fn name_part(rung: Rung, same_case: bool, surplus: usize) -> u32 {
    let closeness = MAX_SURPLUS - surplus.min(MAX_SURPLUS);
    // Bounded by 16 bits in the line above.
    rung << RUNG_SHIFT | (closeness as u32) << CLOSENESS_SHIFT | u32::from(same_case)
}

/// The share of the score that the container decides; `in_full` is whether there are qualifiers and each is as long as
/// its segment.
pub(super) fn qualified_part(in_full: bool) -> u32 {
    u32::from(in_full) << QUALIFIED_SHIFT
}

/// The highest score that any symbol of at most `weight` can have on `rung` with at least `surplus` and without
/// qualifiers.
pub(super) fn bound(rung: Rung, weight: u8, surplus: usize) -> u32 {
    name_part(rung, true, surplus) | u32::from(weight) << WEIGHT_SHIFT | PRODUCT_CODE
}

/// All that the score needs to know of a symbol besides its name and container, in one byte: the kind in the low
/// four bits, whether it is a type at the top level, and whether its file is of tests or generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traits(u8);

const TOP_LEVEL: u8 = 1 << 4;
const ASIDE: u8 = 1 << 5;

impl Traits {
    pub(super) fn new(kind: SymbolKind, top_level: bool, aside: bool) -> Self {
        let top_level = if top_level && kind.is_type() { TOP_LEVEL } else { 0 };
        let aside = if aside { ASIDE } else { 0 };
        Self(kind as u8 | top_level | aside)
    }

    pub(super) fn kind(self) -> SymbolKind {
        SymbolKind::ALL[usize::from(self.0 & 0xF)]
    }

    pub(super) fn weight(self) -> u8 {
        weight(self.kind(), self.0 & TOP_LEVEL != 0)
    }

    /// The share of the score that the symbol decides without its name and container.
    pub(super) fn part(self) -> u32 {
        let product_code = if self.0 & ASIDE == 0 { PRODUCT_CODE } else { 0 };
        u32::from(self.weight()) << WEIGHT_SHIFT | product_code
    }
}

/// How much `kind` counts; of types also whether they stand at the top level of a file.
pub(super) fn weight(kind: SymbolKind, top_level: bool) -> u8 {
    match kind {
        kind if kind.is_type() => 6 + u8::from(top_level),
        SymbolKind::Module => 5,
        SymbolKind::Method | SymbolKind::Element => 4,
        SymbolKind::Constructor => 3,
        SymbolKind::Constant => 2,
        _ => 1,
    }
}

/// Whether `path` lies in a directory of tests or of generated code.
pub(super) fn is_aside(path: &str) -> bool {
    const ASIDE: [&str; 9] = [
        "test",
        "tests",
        "androidtest",
        "integrationtest",
        "testfixtures",
        "generated",
        "generated-sources",
        "generated-test-sources",
        "src-gen",
    ];
    let Some((directories, _file)) = path.rsplit_once('/') else { return false };
    directories.split('/').any(|directory| ASIDE.iter().any(|aside| directory.eq_ignore_ascii_case(aside)))
}
