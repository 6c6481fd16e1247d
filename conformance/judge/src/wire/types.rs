//! The encoding of section 5, and of section A on top of it, as data: a [`Type`] reads bytes into JSON and writes them
//! back. Written from `docs/PROTOCOL.md` and from nothing else; in particular it shares no line with the core.
//!
//! Values look as `docs/CONFORMANCE.md` says: 64-bit numbers are texts of decimal digits, byte strings are hex.

use serde_json::{Map, Value};

use crate::vector::{from_hex, to_hex};

/// How a value is written.
#[derive(Debug, Clone)]
pub enum Type {
    /// One byte.
    U8,
    /// A varint of so many bits: 16, 32 or 64.
    Uint(u32),
    /// A varint of 32 bits below this number.
    Below(u32),
    /// UTF-8 of at most so many bytes.
    Text(u64),
    /// Bytes, at most so many.
    Bytes(u64),
    /// Sixteen bytes.
    Raw16,
    /// Elements, at most so many.
    List(Box<Self>, u64),
    /// First and count, ascending and disjoint; at most so many.
    Ranges(u64),
    /// One behind the other, as an array.
    Pair(Box<Self>, Box<Self>),
    /// One behind the other, as an object.
    Struct(Vec<(&'static str, Self)>),
    /// A byte that says which of these follows.
    Choice(Vec<Arm>),
}

/// One possibility of a [`Type::Choice`].
#[derive(Debug, Clone)]
pub enum Arm {
    /// This value, and no bytes.
    Unit(Value),
    /// An object with this one member.
    Named(&'static str, Type),
    /// The value itself.
    Plain(Type),
}

/// Why bytes do not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// They are no value of the type; what is wrong.
    Malformed(&'static str),
    /// They are, but not in the one right form.
    NotCanonical,
}

impl Type {
    /// Reads a value from the beginning of `bytes`; returns it and its length.
    ///
    /// # Errors
    /// The fault that R-5-7 gives the first place: a malformed value is malformed, however it is written.
    pub fn decode(&self, bytes: &[u8]) -> Result<(Value, usize), Fault> {
        let mut reader = Reader { bytes, at: 0, canonical: true };
        let value = reader.value(self)?;
        if reader.canonical { Ok((value, reader.at)) } else { Err(Fault::NotCanonical) }
    }

    /// Reads a value that fills `bytes`.
    ///
    /// # Errors
    /// As [`Type::decode`], and if bytes are left.
    pub fn decode_all(&self, bytes: &[u8]) -> Result<Value, Fault> {
        match self.decode(bytes)? {
            (value, used) if used == bytes.len() => Ok(value),
            _ => Err(Fault::Malformed("bytes behind the last field")),
        }
    }

    /// Writes a value, whether its bounds hold or not; `None` if it is not of this type.
    #[must_use]
    pub fn encode(&self, value: &Value) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        self.write(value, &mut out)?;
        Some(out)
    }

    /// The members of a struct, in their order; none of anything else.
    #[must_use]
    pub fn field_names(&self) -> Vec<&'static str> {
        match self {
            Self::Struct(fields) => fields.iter().map(|(name, _)| *name).collect(),
            _ => Vec::new(),
        }
    }

    fn write(&self, value: &Value, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::U8 => out.push(u8::try_from(value.as_u64()?).ok()?),
            Self::Uint(64) => push_varint(out, value.as_str()?.parse().ok()?),
            Self::Uint(_) | Self::Below(_) => push_varint(out, value.as_u64()?),
            Self::Text(_) => push_block(out, value.as_str()?.as_bytes()),
            Self::Bytes(_) => push_block(out, &from_hex(value.as_str()?).ok()?),
            Self::Raw16 => out.extend(from_hex(value.as_str()?).ok().filter(|raw| raw.len() == 16)?),
            Self::List(element, _) => {
                let elements = value.as_array()?;
                push_varint(out, elements.len() as u64);
                elements.iter().try_for_each(|one| element.write(one, out))?;
            }
            Self::Ranges(bound) => ranges(*bound).write(value, out)?,
            Self::Pair(first, second) => {
                let [one, two] = value.as_array()?.as_slice() else { return None };
                first.write(one, out)?;
                second.write(two, out)?;
            }
            Self::Struct(fields) => {
                let object = value.as_object().filter(|object| object.len() == fields.len())?;
                fields.iter().try_for_each(|(name, of)| of.write(object.get(*name)?, out))?;
            }
            Self::Choice(arms) => {
                let (number, part) = arms.iter().enumerate().find_map(|(number, arm)| {
                    let mut part = Vec::new();
                    arm.write(value, &mut part).map(|()| (number, part))
                })?;
                out.push(u8::try_from(number).ok()?);
                out.extend(part);
            }
        }
        Some(())
    }
}

impl Arm {
    fn write(&self, value: &Value, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Unit(unit) => (unit == value).then_some(()),
            Self::Named(name, of) => {
                let object = value.as_object().filter(|object| object.len() == 1)?;
                of.write(object.get(*name)?, out)
            }
            Self::Plain(of) => of.write(value, out),
        }
    }
}

fn ranges(bound: u64) -> Type {
    Type::List(Box::new(Type::Pair(Box::new(Type::Uint(32)), Box::new(Type::Uint(32)))), bound)
}

/// Appends a number in the fewest bytes.
pub fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn push_block(out: &mut Vec<u8>, bytes: &[u8]) {
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    canonical: bool,
}

impl<'a> Reader<'a> {
    fn value(&mut self, of: &Type) -> Result<Value, Fault> {
        Ok(match of {
            Type::U8 => self.take(1)?[0].into(),
            Type::Uint(64) => self.varint(64)?.to_string().into(),
            Type::Uint(bits) => self.varint(*bits)?.into(),
            Type::Below(end) => match self.varint(32)? {
                number if number < u64::from(*end) => number.into(),
                _ => return Err(Fault::Malformed("a number that stands for nothing")),
            },
            Type::Text(bound) => match str::from_utf8(self.block(*bound)?) {
                Ok(text) => text.into(),
                Err(_) => return Err(Fault::Malformed("a text that is not UTF-8")),
            },
            Type::Bytes(bound) => to_hex(self.block(*bound)?).into(),
            Type::Raw16 => to_hex(self.take(16)?).into(),
            Type::List(element, bound) => {
                let count = self.length(*bound)?;
                (0..count).map(|_| self.value(element)).collect::<Result<Vec<_>, _>>()?.into()
            }
            Type::Ranges(bound) => self.ranges(*bound)?,
            Type::Pair(first, second) => vec![self.value(first)?, self.value(second)?].into(),
            Type::Struct(fields) => {
                let member = |(name, of): &(&'static str, Type)| Ok(((*name).to_owned(), self.value(of)?));
                Value::Object(fields.iter().map(member).collect::<Result<Map<_, _>, Fault>>()?)
            }
            Type::Choice(arms) => {
                let number = self.take(1)?[0];
                match arms.get(usize::from(number)).ok_or(Fault::Malformed("no such choice"))? {
                    Arm::Unit(value) => value.clone(),
                    Arm::Named(name, of) => Map::from_iter([((*name).to_owned(), self.value(of)?)]).into(),
                    Arm::Plain(of) => self.value(of)?,
                }
            }
        })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let taken = self.bytes[self.at..].get(..count).ok_or(Fault::Malformed("cut off"))?;
        self.at += count;
        Ok(taken)
    }

    fn varint(&mut self, bits: u32) -> Result<u64, Fault> {
        let (mut number, mut shift) = (0_u64, 0);
        loop {
            let byte = self.take(1)?[0];
            let low = u64::from(byte & 0x7f);
            if shift >= bits || low >> (bits - shift).min(7) != 0 {
                return Err(Fault::Malformed("an integer that does not fit its type"));
            }
            number |= low << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                self.canonical &= byte != 0 || shift == 7;
                return Ok(number);
            }
        }
    }

    fn length(&mut self, bound: u64) -> Result<usize, Fault> {
        match self.varint(64)? {
            count if count <= bound => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
            _ => Err(Fault::Malformed("longer than its bound")),
        }
    }

    fn block(&mut self, bound: u64) -> Result<&'a [u8], Fault> {
        let count = self.length(bound)?;
        self.take(count)
    }

    fn ranges(&mut self, bound: u64) -> Result<Value, Fault> {
        let value = self.value(&ranges(bound))?;
        let mut free = 0;
        for range in value.as_array().into_iter().flatten() {
            let [first, count] = [0, 1].map(|index| range[index].as_u64().unwrap_or(0));
            if count == 0 || first < free || first + count > 1 << 32 {
                return Err(Fault::Malformed("ranges that are empty, overlap or are out of order"));
            }
            free = first + count;
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_as_section_5_shows_them() {
        let rows: [(u32, u64, &[u8]); 6] = [
            (16, 0, &[0]),
            (16, 127, &[0x7f]),
            (16, 128, &[0x80, 1]),
            (16, 16_384, &[0x80, 0x80, 1]),
            (16, 65_535, &[0xff, 0xff, 3]),
            (32, 4_294_967_295, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ];
        for (bits, number, bytes) in rows {
            assert_eq!(Type::Uint(bits).decode_all(bytes), Ok(number.into()));
            assert_eq!(Type::Uint(bits).encode(&number.into()).as_deref(), Some(bytes));
        }
        let longest = [&[0xff; 9][..], &[1]].concat();
        assert_eq!(Type::Uint(64).decode_all(&longest), Ok(u64::MAX.to_string().into()));
        assert_eq!(Type::Uint(64).encode(&u64::MAX.to_string().into()), Some(longest));
    }

    #[test]
    fn faults_have_their_class() {
        let malformed = |bits, bytes: &[u8]| {
            assert!(matches!(Type::Uint(bits).decode(bytes), Err(Fault::Malformed(_))), "{bits} {bytes:x?}");
        };
        malformed(16, &[0xff, 0xff, 4]);
        malformed(16, &[0x80, 0x80, 0x80, 0]);
        malformed(32, &[0xff, 0xff, 0xff, 0xff, 0x10]);
        malformed(64, &[0x80; 11]);
        malformed(64, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]);
        malformed(32, &[0x80]);
        assert_eq!(Type::Uint(16).decode(&[0x80, 0]), Err(Fault::NotCanonical));
        assert_eq!(Type::Uint(64).decode(&[0x81, 0x80, 0]), Err(Fault::NotCanonical));
        // Malformed behind a number that is too long is malformed.
        let two = Type::Pair(Box::new(Type::Uint(16)), Box::new(Type::Uint(16)));
        assert!(matches!(two.decode(&[0x80, 0, 0xff]), Err(Fault::Malformed(_))));
    }
}
