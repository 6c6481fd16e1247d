//! Resolves `\uXXXX` escapes, which Java allows anywhere, before the scanner sees the text.

use std::borrow::Cow;

use memchr::{memchr, memmem};

/// The text the scanner reads, and the way back to the source as written.
#[derive(Debug)]
pub(super) struct Source<'a> {
    raw: &'a str,
    text: Cow<'a, str>,
    /// Where the two drift apart, in growing order: after each escape, the offsets in text and raw.
    shifts: Vec<(usize, usize)>,
}

impl<'a> Source<'a> {
    /// Drops a byte order mark and resolves the escapes; nearly all files have none and are only borrowed.
    pub(super) fn new(text: &'a str) -> Self {
        let raw = text.strip_prefix('\u{feff}').unwrap_or(text);
        if memmem::find(raw.as_bytes(), b"\\u").is_none() {
            return Self { raw, text: Cow::Borrowed(raw), shifts: Vec::new() };
        }
        let (text, shifts) = resolve(raw);
        Self { raw, text: Cow::Owned(text), shifts }
    }

    /// The source as written, which positions refer to.
    pub(super) fn raw(&self) -> &'a str {
        self.raw
    }

    /// The source with escapes resolved.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The offset in [`Self::raw`] of what is at `offset` in [`Self::text`].
    pub(super) fn raw_offset(&self, offset: usize) -> usize {
        let after = self.shifts.partition_point(|&(text, _)| text <= offset);
        after.checked_sub(1).map_or(offset, |last| {
            let (text, raw) = self.shifts[last];
            raw + (offset - text)
        })
    }
}

/// Whether the next backslash may begin an escape; it may not right behind an unpaired one, as in `"\\u0041"`.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    Other,
    /// A backslash as written.
    Backslash,
    /// A backslash that came out of an escape: it does not stop the next one, but takes part in the pairing.
    Escaped,
}

fn resolve(raw: &str) -> (String, Vec<(usize, usize)>) {
    let bytes = raw.as_bytes();
    let mut text = String::with_capacity(raw.len());
    let mut shifts = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    let mut before = Before::Other;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr(b'\\', rest)) {
        if found > 0 {
            before = Before::Other;
        }
        at += found;
        match escape(bytes, at).filter(|_| before != Before::Backslash) {
            Some((unit, end)) => {
                let (character, end) = character(bytes, unit, end);
                text.push_str(&raw[copied..at]);
                text.push(character);
                shifts.push((text.len(), end));
                let pairs = before != Before::Other;
                before = if character == '\\' && !pairs { Before::Escaped } else { Before::Other };
                (copied, at) = (end, end);
            }
            None => {
                before = if before == Before::Other { Before::Backslash } else { Before::Other };
                at += 1;
            }
        }
    }
    text.push_str(&raw[copied..]);
    (text, shifts)
}

/// The UTF-16 unit of the escape at `at`, and where it ends.
fn escape(bytes: &[u8], at: usize) -> Option<(u16, usize)> {
    let us = bytes.get(at + 1..)?.iter().take_while(|&&byte| byte == b'u').count();
    let digits = at + 1 + us;
    let digits = (us > 0).then_some(digits..digits + 4)?;
    let hex = bytes
        .get(digits.clone())?
        .iter()
        .try_fold(0_u32, |value, &byte| char::from(byte).to_digit(16).map(|digit| value << 4 | digit))?;
    Some((u16::try_from(hex).ok()?, digits.end))
}

/// The character of `unit`, taking in a second escape if the two form a surrogate pair.
fn character(bytes: &[u8], unit: u16, end: usize) -> (char, usize) {
    let low = escape(bytes, end).filter(|_| bytes.get(end) == Some(&b'\\'));
    if let (0xD800..=0xDBFF, Some((low, low_end))) = (unit, low)
        && let Some(Ok(character)) = char::decode_utf16([unit, low]).next()
    {
        return (character, low_end);
    }
    // Half a pair is no character and legal in no name; in a literal it does not matter what stands for it.
    (char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER), end)
}

#[cfg(test)]
mod tests {
    use super::Source;

    fn resolved(raw: &str) -> String {
        Source::new(raw).text().to_owned()
    }

    #[test]
    fn escapes_resolve_wherever_they_stand() {
        assert_eq!(resolved(r"int \u0061\uuu0062;"), "int ab;");
        assert_eq!(resolved(r"\u007b\u007D"), "{}");
        assert_eq!(resolved(r"\ud83d\ude00 \ud83d"), "\u{1f600} \u{fffd}");
    }

    #[test]
    fn backslash_pairs_protect_what_follows() {
        assert_eq!(resolved(r#""\\u0041""#), r#""\\u0041""#);
        assert_eq!(resolved(r#""\\\u0041""#), r#""\\A""#);
        assert_eq!(resolved(r"'\u005c''"), r"'\''");
        assert_eq!(resolved(r"'\u005c\u005c'"), r"'\\'");
    }

    #[test]
    fn broken_escapes_stay() {
        for raw in [r"\u12", r"\u00zz", r"\u", r"x\", r"\uuuu"] {
            assert_eq!(resolved(raw), raw);
        }
    }

    #[test]
    fn offsets_lead_back_to_the_source() {
        let raw = r"\u0061 b \u0063d e";
        let source = Source::new(raw);
        for (name, at) in [('a', 0), ('b', 7), ('c', 9), ('d', 15), ('e', 17)] {
            assert_eq!(source.raw_offset(source.text().find(name).expect("is in the text")), at, "{name}");
        }
    }
}
