//! Headers to bytes and back, in the one canonical form.

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use super::{Header, Kind};
use crate::error::PeerError;

/// Decodes a header at the start of `bytes`; returns it with its length.
///
/// Postcard accepts integers that are longer than need be; the protocol does not, so that every value has one
/// encoding. Where one may be too long, the check encodes the value again and compares, without allocating.
///
/// # Errors
/// [`PeerError::Malformed`] or [`PeerError::NotCanonical`].
pub fn decode_header<'a, T>(kind: Kind, bytes: &'a [u8]) -> Result<(T, usize), PeerError>
where
    T: Deserialize<'a> + Serialize,
{
    let malformed = |detail| PeerError::Malformed { frame: kind.name(), detail };
    let (header, rest) = postcard::take_from_bytes::<T>(bytes).map_err(|error| {
        malformed(match error {
            postcard::Error::DeserializeUnexpectedEnd => "the header is cut off or too long",
            postcard::Error::DeserializeBadVarint => "an integer does not fit its type",
            postcard::Error::DeserializeBadUtf8 => "text is not UTF-8",
            _ => "a value is out of range",
        })
    })?;
    let used = bytes.len().saturating_sub(rest.len());
    let written = bytes.get(..used).unwrap_or_default();
    if shortest(written) || canonical(&header, written) {
        Ok((header, used))
    } else {
        Err(PeerError::NotCanonical { frame: kind.name() })
    }
}

/// Whether no integer can be longer than need be: one that is ends with a zero behind a byte that says that more follows.
/// Text may look the same, so this is a reason to look closely and no more.
fn shortest(written: &[u8]) -> bool {
    !written.windows(2).any(|pair| matches!(pair, [0x80..=0xff, 0]))
}

/// Whether `written` is what writing `value` gives.
pub(crate) fn canonical<T: Serialize>(value: &T, written: &[u8]) -> bool {
    let compared = postcard::serialize_with_flavor(value, Comparing { expected: written, equal: true });
    compared == Ok(true)
}

/// Appends a frame without body bytes.
pub(crate) fn encode_frame<T: Header>(out: &mut Vec<u8>, header: &T) {
    encode_body_frame(out, header, |_| &[]);
}

/// Appends a frame whose body part is chosen once the length of kind and header is known. Returns that part's
/// length.
pub(crate) fn encode_body_frame<'a, T: Header>(
    out: &mut Vec<u8>,
    header: &T,
    body: impl FnOnce(usize) -> &'a [u8],
) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, T::KIND.number()]);
    let encoded = postcard::serialize_with_flavor(header, Appending(out));
    debug_assert!(encoded.is_ok(), "headers hold only what postcard can write");
    let head = out.len().saturating_sub(start).saturating_sub(4);
    let body = body(head);
    out.extend_from_slice(body);
    let length = u32::try_from(head.saturating_add(body.len())).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(start..start.saturating_add(4)) {
        field.copy_from_slice(&length.to_le_bytes());
    }
    body.len()
}

/// Appends a frame of an ignorable kind that nobody knows.
pub(crate) fn encode_ignorable(out: &mut Vec<u8>, kind: u8, content: &[u8]) {
    let length = u32::try_from(content.len()).unwrap_or(0).saturating_add(1);
    out.extend_from_slice(&length.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(content);
}

/// The bytes of the longest integer.
const LONGEST_INTEGER: usize = 10;

/// Writes behind what a vector holds.
struct Appending<'a>(&'a mut Vec<u8>);

impl Flavor for Appending<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        // Integers come here, too: a few bytes are appended faster one by one.
        if bytes.len() <= LONGEST_INTEGER {
            return bytes.iter().try_for_each(|byte| self.try_push(*byte));
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Compares what would be written with what was read.
struct Comparing<'a> {
    expected: &'a [u8],
    equal: bool,
}

impl Flavor for Comparing<'_> {
    type Output = bool;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        match self.expected.split_first() {
            Some((expected, rest)) if *expected == byte => self.expected = rest,
            _ => self.equal = false,
        }
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        // Integers come here, too: a few bytes are compared faster one by one.
        if bytes.len() <= LONGEST_INTEGER {
            return bytes.iter().try_for_each(|byte| self.try_push(*byte));
        }
        match self.expected.strip_prefix(bytes) {
            Some(rest) => self.expected = rest,
            None => self.equal = false,
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<bool> {
        Ok(self.equal && self.expected.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Close, Ping};

    #[test]
    fn what_is_wrong_with_a_header_is_said() {
        let detail = |error: PeerError| match error {
            PeerError::Malformed { detail, .. } => detail,
            other => panic!("{other:?}"),
        };
        let ping = |bytes: &[u8]| decode_header::<Ping>(Kind::Ping, bytes).map(|_| ()).map_err(detail);
        let close = |bytes: &[u8]| decode_header::<Close>(Kind::Close, bytes).map(|_| ()).map_err(detail);
        assert_eq!(ping(&[1]), Ok(()));
        assert_eq!(ping(&[0x80]), Err("the header is cut off or too long"));
        assert_eq!(ping(&[0xff; 11]), Err("an integer does not fit its type"));
        assert_eq!(close(&[0, 0, 1, b'x']), Ok(()));
        assert_eq!(close(&[0, 0, 1, 0xff]), Err("text is not UTF-8"));
    }

    /// What is shorter than its value would be, or longer, is not its form.
    #[test]
    fn the_form_is_compared_to_its_end() {
        assert!(canonical(&300_u32, &[0xac, 0x02]));
        for other in [&[0xac][..], &[0xac, 0x02, 0x00], &[0xac, 0x03], &[0xac, 0x82, 0x00]] {
            assert!(!canonical(&300_u32, other), "{other:x?}");
        }
        let text = "a text that is longer than an integer";
        let written = [&[text.len() as u8][..], text.as_bytes()].concat();
        assert!(canonical(&text, &written));
        assert!(!canonical(&text, &written[..20]) && !canonical(&text, &[&written[..], b"x"].concat()));
    }
}
