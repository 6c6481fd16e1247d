//! Lists, texts and byte strings that are refused while they are decoded, once they pass their bound.
//!
//! For `#[serde(deserialize_with = …)]`. A frame's length bounds its bytes, but not what they decode to: a list of
//! small elements can grow sixtyfold, which `tests/amplification.rs` measures.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

/// A list of at most `MAX` elements.
pub fn list<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    AtMost::new(MAX).deserialize(deserializer)
}

/// A list of at most so many elements, where that is known only while decoding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AtMost<T> {
    max: usize,
    element: PhantomData<T>,
}

impl<T> AtMost<T> {
    pub(crate) fn new(max: usize) -> Self {
        // Elements without bytes would make the length alone decide how long decoding takes.
        const { assert!(size_of::<T>() > 0, "an element of a list has at least one byte") };
        Self { max, element: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for AtMost<T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for AtMost<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} elements", self.max)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        // The hint comes from the peer: it is refused if too large, and never used to reserve more than the first
        // element would.
        let hint = seq.size_hint().unwrap_or(0);
        if hint > self.max {
            return Err(A::Error::custom("list too long"));
        }
        let mut items = Vec::with_capacity(hint.min(FIRST_RESERVE));
        while let Some(item) = seq.next_element()? {
            if items.len() == self.max {
                return Err(A::Error::custom("list too long"));
            }
            items.push(item);
        }
        Ok(items)
    }
}

/// What a growing list reserves at first: lists of one or two elements would else take four.
const FIRST_RESERVE: usize = 4;

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
