//! What is known about a name without a pattern: its folded characters, its words, and signatures that rule it out.

/// How many characters of a name may start words: those that fit the bits of one word of memory.
pub(super) const MAX_WORD_START: usize = 64;

/// The first character of the lower-case mapping.
pub(super) fn fold(c: char) -> char {
    if c.is_ascii() { c.to_ascii_lowercase() } else { c.to_lowercase().next().unwrap_or(c) }
}

/// The folded characters of `text`.
pub(super) fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(fold)
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

/// Which characters of a name start words: bit *i* for the character *i*, of the first 64.
pub(super) fn word_starts(name: &str) -> u64 {
    let mut classes = name.chars().map(Class::of).take(MAX_WORD_START + 1).peekable();
    let mut before = None;
    (0..MAX_WORD_START).fold(0, |set, at| {
        let Some(this) = classes.next() else { return set };
        let starts = starts_word(before.replace(this), this, classes.peek().copied());
        set | u64::from(starts) << at
    })
}

/// The bit of a folded character in signatures: one for each ASCII letter, shared ones for the rest. Characters that
/// fit each other have the same bit, so what a pattern has and a name's signature lacks, the name lacks.
pub(super) fn letter(c: char) -> u32 {
    match c {
        'a'..='z' => 1 << (c as u32 - 'a' as u32),
        '_' | '$' => 1 << 26,
        '.' => 1 << 27,
        '0'..='9' => 1 << (28 + (c as u32 & 1)),
        c => 1 << (30 + (c as u32 & 1)),
    }
}

/// The signature of characters: in the low half of all, in the high half of those in upper case, which a pattern
/// does not find in lower case.
pub(super) fn characters(text: impl Iterator<Item = char>) -> u64 {
    text.fold(0, |set, c| {
        let bit = u64::from(letter(fold(c)));
        set | bit | if fold(c) == c { 0 } else { bit << 32 }
    })
}

/// The signature of the pairs of neighbours among folded characters.
pub(super) fn pairs(folded: impl Iterator<Item = char>) -> u64 {
    let mut before = None;
    folded.fold(0, |set, c| set | before.replace(c).map_or(0, |before| pair(before, c)))
}

/// The bit of two neighbours in the signature of pairs, chosen by multiplicative hashing.
pub(super) fn pair(before: char, after: char) -> u64 {
    let hash = (u32::from(before) << 7 ^ u32::from(after)).wrapping_mul(0x9E37_79B1);
    1 << (hash >> 26)
}

/// The bits of the characters that start words.
pub(super) fn starting(name: &str, starts: u64) -> u32 {
    let first = folded(name).take(MAX_WORD_START).enumerate().filter(|(at, _)| starts >> at & 1 != 0);
    first.fold(0, |set, (_, c)| set | letter(c))
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
            for (at, c) in name.chars().enumerate() {
                if word_starts(&name) >> at & 1 != 0 && !split.is_empty() {
                    split.push(' ');
                }
                split.push(c);
            }
            assert_eq!(split, expected, "{name}");
        }
    }
}
