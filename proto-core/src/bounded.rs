//! Lists, texts and byte strings that are refused while they are decoded, once they pass their bound.
//!
//! For `#[serde(deserialize_with = …)]`. A frame's length bounds its bytes, but not what they decode to: a list of
//! small elements can grow twentyfold.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// A list of at most `MAX` elements.
pub fn list<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct List<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for List<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            // The hint comes from the peer: it is refused if too large and never used to reserve.
            if seq.size_hint().is_some_and(|hint| hint > MAX) {
                return Err(A::Error::custom("list too long"));
            }
            let mut items = Vec::new();
            while let Some(item) = seq.next_element()? {
                if items.len() == MAX {
                    return Err(A::Error::custom("list too long"));
                }
                items.push(item);
            }
            Ok(items)
        }
    }

    deserializer.deserialize_seq(List::<T, MAX>(PhantomData))
}

/// A text of at most `MAX` bytes.
pub fn text<'de, D: Deserializer<'de>, const MAX: usize>(deserializer: D) -> Result<String, D::Error> {
    let text = <&str>::deserialize(deserializer)?;
    if text.len() > MAX { Err(D::Error::custom("text too long")) } else { Ok(text.to_owned()) }
}

/// A byte string of at most `MAX` bytes.
pub fn bytes<'de, D: Deserializer<'de>, const MAX: usize>(deserializer: D) -> Result<Bytes, D::Error> {
    let bytes = <&[u8]>::deserialize(deserializer)?;
    if bytes.len() > MAX {
        Err(D::Error::custom("byte string too long"))
    } else {
        Ok(Bytes::copy_from_slice(bytes))
    }
}

/// A text of at most `MAX` bytes, borrowed from the input.
pub fn borrowed_text<'de, D: Deserializer<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<&'de str, D::Error> {
    let text = <&str>::deserialize(deserializer)?;
    if text.len() > MAX { Err(D::Error::custom("text too long")) } else { Ok(text) }
}

/// Perhaps a text of at most `MAX` bytes.
pub fn optional_text<'de, D: Deserializer<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    match <Option<&str>>::deserialize(deserializer)? {
        Some(text) if text.len() > MAX => Err(D::Error::custom("text too long")),
        text => Ok(text.map(str::to_owned)),
    }
}
