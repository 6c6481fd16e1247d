//! Matching one pattern against one name.

use std::fmt;

use super::score::{
    ANCHORED, ANCHORED_UNBROKEN, EXACT, HUMPS, INITIALS, MISCASED, PREFIX, Qualified, Rung, SUBSEQUENCE,
    SUBSTRING, UNBROKEN,
};
use super::words::{MAX_WORD_START, characters, fold, folded, letter, pair, pairs, word_starts};

/// The longest pattern that may abbreviate: its characters fit the bits of one word.
const MAX_ABBREVIATION: usize = 64;

/// A name and what is known about it before it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) text: &'a str,
    /// The length in characters.
    pub(super) chars: usize,
    /// Bit *i*: the character *i* starts a word.
    pub(super) starts: u64,
}

impl<'a> Name<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, chars: text.chars().count(), starts: word_starts(text) }
    }

    fn is_ascii(self) -> bool {
        self.text.len() == self.chars
    }
}

/// A compiled pattern.
#[derive(Clone)]
pub(super) struct Pattern {
    chars: Vec<char>,
    /// Whether the pattern may stand for the first letters of a name's words: it is all in upper case.
    pub(super) are_initials: bool,
    /// Whether there are characters in upper case, so that a name in another case does not fit.
    pub(super) has_upper: bool,
    /// The pattern as it sorts among names.
    pub(super) folded: Vec<char>,
    /// The bits that the signature of a name must have for the pattern to match at all.
    pub(super) characters: u64,
    /// The bits that the signature of a name's pairs must have for the pattern to occur in it.
    pub(super) pairs: u64,
    /// For each character after the first: the bit of its pair with the one before, and its own bit.
    joints: Vec<(u64, u32)>,
    fits: Places,
    equals: Places,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let folded: Vec<char> = chars.iter().copied().map(fold).collect();
        Self {
            are_initials: (2..=MAX_ABBREVIATION).contains(&chars.len())
                && chars.iter().all(|&c| fold(c) != c),
            has_upper: chars.iter().any(|&c| fold(c) != c),
            characters: characters(chars.iter().copied()),
            pairs: pairs(folded.iter().copied()),
            joints: folded.windows(2).map(|two| (pair(two[0], two[1]), letter(two[1]))).collect(),
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

    /// Whether a name with these signatures can match by its words: a character of the pattern either follows the one
    /// before in the name as well, or begins a piece and so starts a word.
    pub(super) fn may_begin_words(&self, pairs: u64, starting: u32) -> bool {
        let begins = self.folded.first().is_some_and(|&first| starting & letter(first) != 0);
        begins && self.joints.iter().all(|&(pair, letter)| pairs & pair != 0 || starting & letter != 0)
    }

    /// The rung of a name for this pattern, which must not be empty, and whether it matches in the same case.
    pub(super) fn rank(&self, name: Name<'_>) -> Option<(Rung, bool)> {
        let rung = self.rung(name)?;
        Some((rung, rung != MISCASED && self.holds_with(rung, name, &self.equals)))
    }

    fn rung(&self, name: Name<'_>) -> Option<Rung> {
        let begins = self.holds(PREFIX, name);
        if begins && name.chars == self.len() {
            return Some(EXACT);
        }
        if self.holds(INITIALS, name) {
            return Some(INITIALS);
        }
        // Who types upper case means it; what begins so in another case is as good as other abbreviations.
        if begins && (!self.has_upper || self.holds_with(PREFIX, name, &self.equals)) {
            return Some(PREFIX);
        }
        let rung = if !self.abbreviates() {
            self.holds(SUBSTRING, name).then_some(SUBSTRING)
        } else if name.is_ascii() {
            climb(self.ascii_places(name, &self.fits), name.starts, self.goal())
        } else {
            climb(self.places(name, &self.fits), name.starts, self.goal())
        };
        rung.or_else(|| self.holds(MISCASED, name).then_some(MISCASED))
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
        match rung {
            EXACT | PREFIX => return begins(name.text),
            INITIALS => return self.are_initials && self.fits_word_starts(name),
            MISCASED => return self.has_upper && self.begins_folded(name.text),
            _ => {}
        }
        if !self.abbreviates() {
            return name.text.char_indices().any(|(at, _)| begins(&name.text[at..]));
        }
        if name.is_ascii() {
            reaches(rung, self.ascii_places(name, places), name.starts, self.goal())
        } else {
            reaches(rung, self.places(name, places), name.starts, self.goal())
        }
    }

    /// Whether the characters of the pattern are those that start the words of a name, the first of which must be at
    /// its beginning.
    fn fits_word_starts(&self, name: Name<'_>) -> bool {
        let starting = |&(at, _): &(usize, char)| at < MAX_WORD_START && name.starts >> at & 1 != 0;
        name.starts & 1 != 0
            && name.starts.count_ones() as usize == self.len()
            && name.text.chars().enumerate().filter(starting).map(|(_, c)| c).eq(self.chars.iter().copied())
    }

    /// The bit of the pattern's last place.
    fn goal(&self) -> u64 {
        1 << (self.len() - 1)
    }

    /// For each character of an ASCII name its places in the pattern.
    fn ascii_places(&self, name: Name<'_>, places: &Places) -> impl Iterator<Item = u64> {
        name.text.bytes().map(|b| places.ascii[usize::from(b & 0x7F)])
    }

    /// For each character of any name its places in the pattern.
    fn places(&self, name: Name<'_>, places: &Places) -> impl Iterator<Item = u64> {
        name.text.chars().map(|c| places.of(&self.chars, c))
    }

    fn begins_folded(&self, name: &str) -> bool {
        let mut rest = folded(name);
        self.folded.iter().all(|&c| rest.next() == Some(c))
    }

    /// How well the pattern, as a qualifier, fits the segment of a container; `None` if it does not.
    pub(super) fn qualifies(&self, segment: &str) -> Option<Qualified> {
        let mut rest = segment.chars();
        if self.chars.iter().all(|&q| rest.next().is_some_and(|n| fits(q, n))) {
            let is_whole = rest.next().is_none();
            return Some(if is_whole { Qualified::IN_FULL } else { Qualified::BY_BEGINNING });
        }
        let may_begin = segment.chars().next().is_some_and(|n| fits(self.chars[0], n));
        let by_words = may_begin && self.abbreviates() && self.holds(ANCHORED, Name::new(segment));
        by_words.then_some(Qualified::BY_WORDS)
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

/// Whether a pattern holds on `rung`, one of humps, substring or subsequence. `name` has for each character its places
/// in the pattern; `goal` is the bit of the last place.
fn reaches(rung: Rung, name: impl Iterator<Item = u64>, starts: u64, goal: u64) -> bool {
    match rung {
        SUBSTRING => occurs(name, goal),
        SUBSEQUENCE => is_subsequence(name, goal),
        _ => {
            let anchored = matches!(rung, ANCHORED_UNBROKEN | ANCHORED);
            let unbroken = matches!(rung, ANCHORED_UNBROKEN | UNBROKEN);
            begins_words(name, starts, goal, anchored, unbroken)
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

/// Whether the pattern can be cut into pieces that begin words.
fn begins_words(
    mut name: impl Iterator<Item = u64>,
    mut starts: u64,
    goal: u64,
    anchored: bool,
    unbroken: bool,
) -> bool {
    let mut humps = Humps::default();
    let mut first = 1;
    name.any(|places| {
        let run = humps.step(places, starts, first, unbroken);
        starts >>= 1;
        first = u64::from(!anchored);
        run & goal != 0
    })
}

/// All ways to cut the pattern that are still open.
#[derive(Default)]
struct Humps {
    /// Bit *i*: a piece that ends with the pattern's character *i* fits its word from the start up to here.
    run: u64,
    /// Bit *i*: some such piece has ended before; if words must follow each other, in the current one.
    reached: u64,
}

impl Humps {
    /// Takes in one character, which starts a word if bit 0 of `starts` is set; `first` is 1 if the pattern's first
    /// piece may begin here. Returns the new `run`.
    #[inline]
    fn step(&mut self, places: u64, starts: u64, first: u64, unbroken: bool) -> u64 {
        let in_word = (starts & 1).wrapping_sub(1);
        self.run = (self.run << 1 & in_word | (self.reached << 1 | first) & !in_word) & places;
        let kept = if unbroken { self.reached & in_word } else { self.reached };
        self.reached = kept | self.run;
        self.run
    }
}

/// The highest rung below a prefix on which the pattern holds, found in one go over the name.
fn climb(name: impl Iterator<Item = u64>, mut starts: u64, goal: u64) -> Option<Rung> {
    let mut humps = [const { Humps { run: 0, reached: 0 } }; 4];
    let mut ended = [0; 4];
    let (mut first, mut run, mut occurred, mut subsequence) = (1, 0, 0, 0);
    for places in name {
        for (rung, humps) in humps.iter_mut().enumerate() {
            // In the order of the rungs: plain, unbroken, anchored, both.
            let first = if rung & 2 == 0 { 1 } else { first };
            ended[rung] |= humps.step(places, starts, first, rung & 1 != 0);
        }
        (first, starts) = (0, starts >> 1);
        run = (run << 1 | 1) & places;
        occurred |= run;
        subsequence |= (subsequence << 1 | 1) & places;
    }
    let [plain, unbroken, anchored, both] = ended;
    let conditions = [
        (both, ANCHORED_UNBROKEN),
        (anchored, ANCHORED),
        (unbroken, UNBROKEN),
        (occurred, SUBSTRING),
        (plain, HUMPS),
        (subsequence, SUBSEQUENCE),
    ];
    conditions.into_iter().find(|(ended, _)| ended & goal != 0).map(|(_, rung)| rung)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rung_is_reachable() {
        let rung = |pattern: &str, name: &str| Pattern::new(pattern).rank(Name::new(name));
        assert_eq!(rung("HashMap", "HashMap"), Some((EXACT, true)));
        assert_eq!(rung("hashmap", "HashMap"), Some((EXACT, false)));
        assert_eq!(rung("hash", "HashMap"), Some((PREFIX, false)));
        assert_eq!(rung("CHM", "ConcurrentHashMap"), Some((INITIALS, true)));
        assert_eq!(rung("CHM", "CHMap"), Some((PREFIX, true)));
        assert_eq!(rung("CH", "ConcurrentHashMap"), Some((ANCHORED_UNBROKEN, true)));
        assert_eq!(rung("chm", "ConcurrentHashMap"), Some((ANCHORED_UNBROKEN, false)));
        assert_eq!(rung("coma", "ConcurrentHashMap"), Some((ANCHORED, false)));
        assert_eq!(rung("HashM", "ConcurrentHashMap"), Some((UNBROKEN, true)));
        assert_eq!(rung("CM", "MyConcurrentHashMap"), Some((HUMPS, true)));
        assert_eq!(rung("current", "ConcurrentHashMap"), Some((SUBSTRING, true)));
        assert_eq!(rung("crntmp", "ConcurrentHashMap"), Some((SUBSEQUENCE, false)));
        assert_eq!(rung("HASH", "ConcurrentHashMap"), None);
        assert_eq!(rung("CHMod", "chmod"), Some((MISCASED, false)));
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
        let (words, pieces) = ("Abc".repeat(21), "Ab".repeat(21));
        assert_eq!(Pattern::new(&pieces).rank(Name::new(&words)), Some((ANCHORED_UNBROKEN, true)));
    }
}
