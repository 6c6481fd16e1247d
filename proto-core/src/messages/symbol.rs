use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a declaration is. The discriminant is the byte on the wire and in the cache; it never changes meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
#[non_exhaustive]
pub enum SymbolKind {
    /// `module a.b { … }`
    Module = 0,
    /// `class`
    Class = 1,
    /// `interface`
    Interface = 2,
    /// `enum`
    Enum = 3,
    /// `record`
    Record = 4,
    /// `@interface`
    Annotation = 5,
    /// A method of any type but an annotation.
    Method = 6,
    /// A constructor, a record's compact one included.
    Constructor = 7,
    /// A field that is not a constant of an enum.
    Field = 8,
    /// An enum constant.
    Constant = 9,
    /// A component in a record's header.
    Component = 10,
    /// An element of an annotation type.
    Element = 11,
}

impl SymbolKind {
    /// Every kind, in the order of the wire bytes.
    pub const ALL: [Self; 12] = [
        Self::Module,
        Self::Class,
        Self::Interface,
        Self::Enum,
        Self::Record,
        Self::Annotation,
        Self::Method,
        Self::Constructor,
        Self::Field,
        Self::Constant,
        Self::Component,
        Self::Element,
    ];

    /// The name used by the command line and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::Class => "class",
            Self::Interface => "interface",
            Self::Enum => "enum",
            Self::Record => "record",
            Self::Annotation => "annotation",
            Self::Method => "method",
            Self::Constructor => "constructor",
            Self::Field => "field",
            Self::Constant => "constant",
            Self::Component => "component",
            Self::Element => "element",
        }
    }

    /// Whether the kind declares a type: what can contain other declarations.
    #[must_use]
    pub fn is_type(self) -> bool {
        matches!(self, Self::Class | Self::Interface | Self::Enum | Self::Record | Self::Annotation)
    }
}

impl fmt::Display for SymbolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SymbolKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// A word that names no [`SymbolKind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown symbol kind `{0}`; the kinds are module, class, interface, enum, record, annotation, method, \
     constructor, field, constant, component and element"
)]
pub struct UnknownKind(String);
