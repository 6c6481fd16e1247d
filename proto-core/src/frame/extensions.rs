//! Tagged extensions: the part of a header that may carry what a receiver does not know.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::bounded;

/// Tag of the trace context: 16 bytes trace id, 8 bytes span id, 1 byte flags.
pub const TRACE_CONTEXT: u16 = 1;

/// Most extensions in one header.
const MAX_COUNT: usize = 8;

/// Most bytes of extension values in one header.
const MAX_BYTES: usize = 512;

/// A list of tagged values; each tag at most once, at most 8 of them with 512 bytes together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extensions(
    #[serde(deserialize_with = "bounded::list::<_, _, MAX_COUNT>")] pub(crate) Vec<(u16, Bytes)>,
);

impl Extensions {
    /// No extensions.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The value with this tag.
    #[must_use]
    pub fn get(&self, tag: u16) -> Option<&Bytes> {
        self.0.iter().find(|(have, _)| *have == tag).map(|(_, value)| value)
    }

    /// The first rule this list breaks.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if self.0.is_empty() {
            return None;
        }
        if self.0.iter().map(|(_, value)| value.len()).fold(0, usize::saturating_add) > MAX_BYTES {
            return Some("more than 512 bytes");
        }
        let tags: BTreeSet<u16> = self.0.iter().map(|(tag, _)| *tag).collect();
        (tags.len() < self.0.len()).then_some("a tag stands twice")
    }
}
