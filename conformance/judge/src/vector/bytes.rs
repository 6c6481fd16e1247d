//! Bytes as vectors write them: hex, generators, and lists of both.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Bytes of a vector, not expanded yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bytes(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Plain(Vec<u8>),
    Repeat { pattern: Vec<u8>, count: usize },
    Random { seed: u64, from: usize, count: usize },
    Pong { add: u32 },
}

impl Bytes {
    /// The bytes, if none of them depend on what the subject has sent.
    #[must_use]
    pub fn plain(&self) -> Option<Vec<u8>> {
        self.expand(|_| None)
    }

    /// The bytes; `pong` gives a frame that answers the subject's last Ping, with a number added to its nonce.
    pub fn expand(&self, mut pong: impl FnMut(u32) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        for part in &self.0 {
            match part {
                Part::Plain(bytes) => all.extend_from_slice(bytes),
                Part::Repeat { pattern, count } => all.extend(pattern.repeat(*count)),
                Part::Random { seed, from, count } => all.extend(random_bytes(*seed, *from, *count)),
                Part::Pong { add } => all.extend(pong(*add)?),
            }
        }
        Some(all)
    }
}

/// The bytes of a value in which `pong` has no place.
pub(super) fn plain_bytes(value: Value) -> Result<Vec<u8>, String> {
    let bytes: Bytes = serde_json::from_value(value).map_err(|error| error.to_string())?;
    bytes.plain().ok_or_else(|| "`pong` stands in `rx` only".to_owned())
}

/// The JSON forms of one part.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Hex(String),
    Repeat(WrittenRepeat),
    Random(WrittenRandom),
    Pong(WrittenPong),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRepeat {
    repeat: String,
    count: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRandom {
    prng: String,
    count: u32,
    #[serde(default)]
    from: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPong {
    pong: u32,
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMore {
            One(Written),
            More(Vec<Written>),
        }
        let written = match OneOrMore::deserialize(deserializer)? {
            OneOrMore::One(one) => vec![one],
            OneOrMore::More(more) => more,
        };
        written.into_iter().map(Part::try_from).collect::<Result<_, _>>().map(Self).map_err(D::Error::custom)
    }
}

impl TryFrom<Written> for Part {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        Ok(match written {
            Written::Hex(text) => Self::Plain(from_hex(&text)?),
            Written::Repeat(WrittenRepeat { repeat, count }) => {
                Self::Repeat { pattern: from_hex(&repeat)?, count: count as usize }
            }
            Written::Random(WrittenRandom { prng, count, from }) => Self::Random {
                seed: prng.parse().map_err(|_| format!("`{prng}` is no 64-bit number"))?,
                from: from as usize,
                count: count as usize,
            },
            Written::Pong(WrittenPong { pong }) => Self::Pong { add: pong },
        })
    }
}

/// Lower-case hex to bytes.
///
/// # Errors
/// If it is anything else.
pub fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(format!("`{}` is no lower-case hex digit", byte as char)),
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err("an odd number of hex digits".to_owned());
    }
    pairs.iter().map(|&[high, low]| Ok(digit(high)? << 4 | digit(low)?)).collect()
}

/// Bytes to lower-case hex.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// SplitMix64: the numbers behind `prng` bytes, and behind random splits.
#[derive(Debug, Clone)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(Self::STEP);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next_u64() % end as u64).unwrap_or(0)
    }
}

fn random_bytes(seed: u64, from: usize, count: usize) -> Vec<u8> {
    let first = from / 8;
    let mut random = SplitMix64(seed.wrapping_add(SplitMix64::STEP.wrapping_mul(first as u64)));
    let words = (from + count).div_ceil(8) - first;
    let bytes: Vec<u8> = (0..words).flat_map(|_| random.next_u64().to_le_bytes()).collect();
    bytes[from - first * 8..][..count].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(json: &str) -> Vec<u8> {
        serde_json::from_str::<Bytes>(json).expect("bytes").plain().expect("no pong")
    }

    #[test]
    fn every_form_gives_its_bytes() {
        assert_eq!(plain(r#""68656c6c6f""#), b"hello");
        assert_eq!(plain(r#"{"repeat":"6162","count":3}"#), b"ababab");
        assert_eq!(plain(r#"["61",{"repeat":"62","count":2},"63"]"#), b"abbc");
        assert_eq!(plain(r#""""#), b"");
        let all = plain(r#"{"prng":"7","count":40}"#);
        assert_eq!(plain(r#"{"prng":"7","count":21,"from":13}"#), all[13..34]);
        // The first output of SplitMix64 from seed 0 is a published number.
        assert_eq!(plain(r#"{"prng":"0","count":8}"#), 0xe220_a839_7b1d_cdaf_u64.to_le_bytes());
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in
            [r#""6""#, r#""6G""#, r#""6A""#, "7", r#"{"repeat":"61"}"#, r#"{"prng":"7","count":1,"to":2}"#]
        {
            assert!(serde_json::from_str::<Bytes>(bad).is_err(), "{bad}");
        }
        assert_eq!(serde_json::from_str::<Bytes>(r#"{"pong":1}"#).expect("bytes").plain(), None);
    }
}
