//! Matching one pattern against one name, and the signatures that rule most names out beforehand.

use std::fmt;

use super::score::{
    ANCHORED, ANCHORED_UNBROKEN, EXACT, HUMPS, PREFIX, Rung, SUBSEQUENCE, SUBSTRING, UNBROKEN,
};

/// The longest pattern that may abbreviate: its characters fit the bits of one word.
const MAX_ABBREVIATION: usize = 64;

/// The first character of the lower-case mapping.
pub(super) fn fold(c: char) -> char {
    if c.is_ascii() { c.to_ascii_lowercase() } else { c.to_lowercase().next().unwrap_or(c) }
}

/// The folded characters of `text`.
pub(super) fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(fold)
}

/// A name and its length in characters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) text: &'a str,
    pub(super) chars: usize,
}

impl<'a> Name<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, chars: text.chars().count() }
    }

    fn is_ascii(self) -> bool {
        self.text.len() == self.chars
    }
}

/// A compiled pattern.
#[derive(Clone)]
pub(super) struct Pattern {
    chars: Vec<char>,
    /// The pattern as it sorts among names.
    pub(super) folded: Vec<char>,
    /// The signature that the letters of a matching name must contain.
    pub(super) letters: u32,
    fits: Places,
    equals: Places,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let folded: Vec<char> = chars.iter().copied().map(fold).collect();
        Self {
            letters: letters(&folded),
            fits: Places::new(&chars, fits),
            equals: Places::new(&chars, |q, n| q == n),
            folded,
            chars,
        }
    }

    /// The length in characters.
    pub(super) fn len(&self) -> usize {
        self.chars.len()
    }

    /// Whether the pattern may abbreviate names, rather than only occur in them.
    pub(super) fn abbreviates(&self) -> bool {
        (1..=MAX_ABBREVIATION).contains(&self.len())
    }

    /// The rung of a name for this pattern, which must not be empty, and whether it matches in the same case.
    pub(super) fn rank(&self, name: Name<'_>) -> Option<(Rung, bool)> {
        let rung = self.rung(name)?;
        Some((rung, self.holds_with(rung, name, &self.equals)))
    }

    fn rung(&self, name: Name<'_>) -> Option<Rung> {
        if self.holds(PREFIX, name) {
            return Some(if name.chars == self.len() { EXACT } else { PREFIX });
        }
        if !self.abbreviates() {
            return self.holds(SUBSTRING, name).then_some(SUBSTRING);
        }
        // Whatever fits at all is a subsequence, and most names are not.
        if !self.holds(SUBSEQUENCE, name) {
            return None;
        }
        let rungs = [ANCHORED_UNBROKEN, ANCHORED, UNBROKEN, HUMPS, SUBSTRING];
        Some(rungs.into_iter().find(|&rung| self.holds(rung, name)).unwrap_or(SUBSEQUENCE))
    }

    /// Whether the condition of `rung` holds; that of a higher one may as well.
    pub(super) fn holds(&self, rung: Rung, name: Name<'_>) -> bool {
        self.holds_with(rung, name, &self.fits)
    }

    fn holds_with(&self, rung: Rung, name: Name<'_>, places: &Places) -> bool {
        let begins = |text: &str| {
            let mut rest = text.chars();
            self.chars.iter().all(|&q| rest.next().is_some_and(|n| (places.matches)(q, n)))
        };
        if rung >= PREFIX {
            return begins(name.text);
        }
        if !self.abbreviates() {
            return name.text.char_indices().any(|(at, _)| begins(&name.text[at..]));
        }
        let goal = 1 << (self.len() - 1);
        if name.is_ascii() {
            let table = &places.ascii;
            let name = name.text.bytes().map(|b| (char::from(b), table[usize::from(b & 0x7F)]));
            reaches(rung, name, goal)
        } else {
            reaches(rung, name.text.chars().map(|c| (c, places.of(&self.chars, c))), goal)
        }
    }

    /// Whether the pattern fits the beginning of `segment`, and if so whether it fits all of it.
    pub(super) fn qualifies(&self, segment: &str) -> Option<bool> {
        let mut rest = segment.chars();
        self.chars.iter().all(|&q| rest.next().is_some_and(|n| fits(q, n))).then(|| rest.next().is_none())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_iter(&self.chars), f)
    }
}

fn fits(q: char, n: char) -> bool {
    q == n || q == fold(n)
}

/// Where in a pattern a character of a name may stand, as a set of bits: the tables of the automata below.
#[derive(Clone)]
struct Places {
    ascii: Box<[u64; 128]>,
    matches: fn(char, char) -> bool,
}

impl Places {
    fn new(pattern: &[char], matches: fn(char, char) -> bool) -> Self {
        let mut places = Self { ascii: Box::new([0; 128]), matches };
        for byte in 0..128_u8 {
            places.ascii[usize::from(byte)] = places.of(pattern, char::from(byte));
        }
        places
    }

    fn of(&self, pattern: &[char], c: char) -> u64 {
        let places = pattern.iter().take(MAX_ABBREVIATION).enumerate();
        places.fold(0, |set, (place, &q)| set | u64::from((self.matches)(q, c)) << place)
    }
}

/// Whether a pattern holds on `rung`, one of humps, substring or subsequence. Each character of the name comes with
/// its places in the pattern; `goal` is the bit of the last place.
fn reaches(rung: Rung, name: impl Iterator<Item = (char, u64)>, goal: u64) -> bool {
    match rung {
        SUBSTRING => occurs(name.map(|(_, places)| places), goal),
        SUBSEQUENCE => is_subsequence(name.map(|(_, places)| places), goal),
        _ => {
            let anchored = matches!(rung, ANCHORED_UNBROKEN | ANCHORED);
            let unbroken = matches!(rung, ANCHORED_UNBROKEN | UNBROKEN);
            begins_words(words(name), goal, anchored, unbroken)
        }
    }
}

/// Bit *i* of `run` is set while the last *i* + 1 characters are the first of the pattern.
fn occurs(mut name: impl Iterator<Item = u64>, goal: u64) -> bool {
    let mut run = 0;
    name.any(|places| {
        run = (run << 1 | 1) & places;
        run & goal != 0
    })
}

/// Bit *i* of `reached` is set once the first *i* + 1 characters of the pattern were seen in order.
fn is_subsequence(mut name: impl Iterator<Item = u64>, goal: u64) -> bool {
    let mut reached = 0;
    name.any(|places| {
        reached |= (reached << 1 | 1) & places;
        reached & goal != 0
    })
}

/// Follows all ways to cut the pattern at once. Bit *i* of `run`: a piece that ends with the pattern's character *i*
/// has fitted its word from the start up to here. Bit *i* of `reached`: some such piece has ended anywhere before,
/// if `unbroken` in the current word.
fn begins_words(name: impl Iterator<Item = (u64, bool)>, goal: u64, anchored: bool, unbroken: bool) -> bool {
    let (mut run, mut reached, mut first) = (0_u64, 0_u64, 1);
    for (places, starts) in name {
        run = if starts {
            let before = if unbroken { std::mem::take(&mut reached) } else { reached };
            (before << 1 | first) & places
        } else {
            run << 1 & places
        };
        reached |= run;
        if run & goal != 0 {
            return true;
        }
        if anchored {
            first = 0;
        }
    }
    false
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Separator,
    Digit,
    Upper,
    Other,
}

impl Class {
    fn of(c: char) -> Self {
        match c {
            '_' | '$' | '.' => Self::Separator,
            '0'..='9' => Self::Digit,
            c if fold(c) != c => Self::Upper,
            _ => Self::Other,
        }
    }
}

/// Whether a character of class `this` starts a word between its neighbours.
fn starts_word(before: Option<Class>, this: Class, after: Option<Class>) -> bool {
    let Some(before) = before.filter(|&before| before != Class::Separator) else {
        return this != Class::Separator;
    };
    match this {
        Class::Separator => false,
        Class::Digit => before != Class::Digit,
        Class::Upper => before != Class::Upper || after == Some(Class::Other),
        Class::Other => before == Class::Digit,
    }
}

/// Replaces each character of a name by whether it starts a word.
fn words<T>(name: impl Iterator<Item = (char, T)>) -> impl Iterator<Item = (T, bool)> {
    let mut name = name.map(|(c, rest)| (Class::of(c), rest)).peekable();
    let mut before = None;
    std::iter::from_fn(move || {
        let (this, rest) = name.next()?;
        let starts = starts_word(before.replace(this), this, name.peek().map(|&(after, _)| after));
        Some((rest, starts))
    })
}

/// The signature of folded characters: one bit a letter, and shared ones for the rest. Characters that fit each
/// other have the same bit, so what a pattern lacks in a name's signature the name lacks.
pub(super) fn letters(folded: &[char]) -> u32 {
    folded.iter().fold(0, |set, &c| set | letter(c))
}

/// The bit of a folded character in a signature.
pub(super) fn letter(c: char) -> u32 {
    match c {
        'a'..='z' => 1 << (c as u32 - 'a' as u32),
        '_' | '$' => 1 << 26,
        '.' => 1 << 27,
        '0'..='9' => 1 << (28 + (c as u32 & 1)),
        c => 1 << (30 + (c as u32 & 1)),
    }
}

/// The signatures of a name: of all its characters, and of those that start words.
pub(super) fn signatures(name: &str) -> (u32, u32) {
    words(name.chars().map(|c| (c, letter(fold(c))))).fold((0, 0), |(all, starting), (bit, starts)| {
        (all | bit, if starts { starting | bit } else { starting })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_twice_is_folding_once() {
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            assert_eq!(fold(fold(c)), fold(c), "{c:?}");
        }
    }

    #[test]
    fn words_start_where_documented() {
        for expected in [
            "XML Parser",
            "UTF 8 Reader 2",
            "MAX_ VALUE",
            "concurrent Hash Map",
            "_ private Field",
            "access$ 100",
            "java. base",
            "x 86 asm",
            "I",
            "URL",
            "get URL For ID",
            "École Öl",
            "漢字",
            "$",
        ] {
            let name: String = expected.split(' ').collect();
            let mut split = String::new();
            for (c, starts) in words(name.chars().map(|c| (c, c))) {
                if starts && !split.is_empty() {
                    split.push(' ');
                }
                split.push(c);
            }
            assert_eq!(split, expected, "{name}");
        }
    }

    #[test]
    fn every_rung_is_reachable() {
        let rung = |pattern: &str, name: &str| Pattern::new(pattern).rank(Name::new(name));
        assert_eq!(rung("HashMap", "HashMap"), Some((EXACT, true)));
        assert_eq!(rung("hashmap", "HashMap"), Some((EXACT, false)));
        assert_eq!(rung("hash", "HashMap"), Some((PREFIX, false)));
        assert_eq!(rung("CHM", "ConcurrentHashMap"), Some((ANCHORED_UNBROKEN, true)));
        assert_eq!(rung("coma", "ConcurrentHashMap"), Some((ANCHORED, false)));
        assert_eq!(rung("HashM", "ConcurrentHashMap"), Some((UNBROKEN, true)));
        assert_eq!(rung("CM", "MyConcurrentHashMap"), Some((HUMPS, true)));
        assert_eq!(rung("current", "ConcurrentHashMap"), Some((SUBSTRING, true)));
        assert_eq!(rung("crntmp", "ConcurrentHashMap"), Some((SUBSEQUENCE, false)));
        assert_eq!(rung("HASH", "ConcurrentHashMap"), None);
        assert_eq!(rung("CHMod", "chmod"), None);
        assert_eq!(rung("aab", "aaAb"), Some((ANCHORED_UNBROKEN, false)));
    }

    #[test]
    fn long_patterns_abbreviate_nothing() {
        let long = "Ab".repeat(33);
        let rung = |name: &str| Pattern::new(&long).rank(Name::new(name));
        assert_eq!(rung(&long), Some((EXACT, true)));
        assert_eq!(rung(&format!("{long}x")), Some((PREFIX, true)));
        assert_eq!(rung(&format!("x{long}x")), Some((SUBSTRING, true)));
        assert_eq!(rung(&format!("Abc{}", "Ab".repeat(32))), None);
        let most = "Ab".repeat(32);
        assert_eq!(Pattern::new(&most).rank(Name::new(&format!("xyz{most}"))), Some((UNBROKEN, true)));
        assert_eq!(Pattern::new(&most).rank(Name::new(&"Abc".repeat(32))), Some((ANCHORED_UNBROKEN, true)));
    }
}
