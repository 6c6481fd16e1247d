//! What a symbol scores for a query: the numbers of section A.6 of `docs/PROTOCOL.md`, which says what they mean.
//!
//! A score is an integer made from the query, the symbol and its path, and from nothing else, so that it is the
//! same in every shard and in every implementation.

use nova_proto_core::messages::SymbolKind;

/// Where in the ladder of match qualities a name stands.
pub(super) type Rung = u32;

pub(super) const EXACT: Rung = 11;
pub(super) const INITIALS: Rung = 10;
const WITHIN: Rung = 9;
pub(super) const PREFIX: Rung = 8;
pub(super) const ANCHORED_UNBROKEN: Rung = 7;
pub(super) const ANCHORED: Rung = 6;
pub(super) const UNBROKEN: Rung = 5;
pub(super) const SUBSTRING: Rung = 4;
pub(super) const HUMPS: Rung = 3;
pub(super) const SUBSEQUENCE: Rung = 2;
pub(super) const MISCASED: Rung = 1;
pub(super) const EMPTY: Rung = 0;

const STEP_SHIFT: u32 = 27;
const QUALIFIED_SHIFT: u32 = 25;
const WEIGHT_SHIFT: u32 = 22;
const PLACE_SHIFT: u32 = 20;
const CLOSENESS_SHIFT: u32 = 1;
const MAX_SURPLUS: usize = 0xFFFF;

/// How rungs of constructors stand among those of everything else. A constructor says no more than its class, and
/// there are several: they stand behind all names that begin with the pattern or have a word that does.
fn step(rung: Rung, is_set_back: bool) -> u32 {
    match (rung, is_set_back) {
        (EMPTY, _) => 0,
        (UNBROKEN.., false) => rung + 11,
        (UNBROKEN.., true) => rung + 4,
        (_, false) => rung * 2,
        (_, true) => rung * 2 - 1,
    }
}

/// The share of the score that the name decides.
#[derive(Debug, Clone, Copy)]
pub(super) struct NamePart {
    of_constructors: u32,
    of_others: u32,
}

impl NamePart {
    /// For a pattern without characters.
    pub(super) const EMPTY: Self = Self { of_constructors: 0, of_others: 0 };

    /// `surplus` is how many characters the name has more than the pattern; `sets_back` whether constructors stand
    /// behind other matches.
    pub(super) fn new(rung: Rung, same_case: bool, surplus: usize, sets_back: bool) -> Self {
        let closeness = MAX_SURPLUS - surplus.min(MAX_SURPLUS);
        // Bounded by 16 bits in the line above.
        let rest = (closeness as u32) << CLOSENESS_SHIFT | u32::from(same_case);
        let part = |is_set_back| step(rung, is_set_back) << STEP_SHIFT | rest;
        Self { of_constructors: part(sets_back), of_others: part(false) }
    }
}

/// How well qualifiers fit a container; the better, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Qualified(u8);

impl Qualified {
    /// There are no qualifiers.
    const NOT: Self = Self(0);
    /// One at least fits the beginnings of its segment's words.
    pub(super) const BY_WORDS: Self = Self(1);
    /// All fit the beginnings of their segments.
    pub(super) const BY_BEGINNING: Self = Self(2);
    /// All fit whole segments.
    pub(super) const IN_FULL: Self = Self(3);

    fn part(self) -> u32 {
        u32::from(self.0) << QUALIFIED_SHIFT
    }
}

/// How well a query fits the container of a symbol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fit {
    /// How well its qualifiers do.
    pub(super) named: Option<Qualified>,
    /// How well the whole query does.
    pub(super) within: Option<Qualified>,
}

impl Fit {
    /// That of a query without qualifiers.
    pub(super) const ANYWHERE: Self = Self { named: Some(Qualified::NOT), within: None };
}

/// The score of a symbol of which `name` is the name's share, or `None` if it does not match.
///
/// A symbol in a container that the whole query fits matches whatever its name is.
pub(super) fn of(traits: Traits, name: Option<NamePart>, container: Fit) -> Option<u32> {
    let Fit { named, within } = container;
    let is_constructor = traits.kind() == SymbolKind::Constructor;
    let part_of_name = |name: NamePart| if is_constructor { name.of_constructors } else { name.of_others };
    let by_name = name.zip(named).map(|(name, qualified)| part_of_name(name) | qualified.part());
    let by_container = within.map(|qualified| {
        let rung = if qualified == Qualified::IN_FULL { WITHIN } else { EMPTY };
        step(rung, false) << STEP_SHIFT | qualified.part()
    });
    Some(by_name.max(by_container)? | traits.part())
}

/// The highest score that any symbol of at most `weight` can have on `rung` with at least `surplus` and without
/// qualifiers.
pub(super) fn bound(rung: Rung, weight: u8, surplus: usize) -> u32 {
    let NamePart { of_others, .. } = NamePart::new(rung, true, surplus, false);
    of_others | u32::from(weight) << WEIGHT_SHIFT | u32::from(OPEN) << PLACE_SHIFT
}

/// All that the score needs to know of a symbol besides its name and container, in one byte: the kind in the low
/// four bits, whether it is a type at the top level, and the place of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traits(u8);

const TOP_LEVEL: u8 = 1 << 4;
const TRAITS_PLACE_SHIFT: u8 = 5;

impl Traits {
    pub(super) fn new(kind: SymbolKind, top_level: bool, place: u8) -> Self {
        let top_level = if top_level && kind.is_type() { TOP_LEVEL } else { 0 };
        Self(kind as u8 | top_level | place << TRAITS_PLACE_SHIFT)
    }

    pub(super) fn kind(self) -> SymbolKind {
        SymbolKind::ALL[usize::from(self.0 & 0xF)]
    }

    pub(super) fn weight(self) -> u8 {
        weight(self.kind(), self.0 & TOP_LEVEL != 0)
    }

    /// The share of the score that the symbol decides without its name and container.
    pub(super) fn part(self) -> u32 {
        u32::from(self.weight()) << WEIGHT_SHIFT | u32::from(self.0 >> TRAITS_PLACE_SHIFT) << PLACE_SHIFT
    }
}

/// The least weight of a type.
pub(super) const TYPE_WEIGHT: u8 = 6;

/// The weight of modules, and of nothing else.
pub(super) const MODULE_WEIGHT: u8 = 5;

/// How much `kind` counts; of types also whether they stand at the top level of a file.
///
/// Constructors count least, as they are set back behind everything else that has their names.
pub(super) fn weight(kind: SymbolKind, top_level: bool) -> u8 {
    match kind {
        kind if kind.is_type() => TYPE_WEIGHT + u8::from(top_level),
        SymbolKind::Module => MODULE_WEIGHT,
        SymbolKind::Method | SymbolKind::Element => 4,
        SymbolKind::Constant => 3,
        SymbolKind::Field | SymbolKind::Component => 2,
        _ => 1,
    }
}

/// Code that others may use.
const OPEN: u8 = 2;
/// Code that its authors call internal.
const INTERNAL: u8 = 1;
/// Tests and generated code.
const ASIDE: u8 = 0;

/// What the directories of `path` say about its code.
pub(super) fn place(path: &str) -> u8 {
    const ASIDE_NAMES: [&str; 9] = [
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
    let Some((directories, _file)) = path.rsplit_once('/') else { return OPEN };
    let is_any = |names: &[&str]| {
        let mut parts = directories.split(['/', '.']);
        parts.any(|part| names.iter().any(|name| part.eq_ignore_ascii_case(name)))
    };
    if is_any(&ASIDE_NAMES) {
        ASIDE
    } else if is_any(&["internal", "sun"]) {
        INTERNAL
    } else {
        OPEN
    }
}
