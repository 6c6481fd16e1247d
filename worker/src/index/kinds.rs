//! Sets of symbol kinds.

use nova_proto_core::messages::SymbolKind;

/// A set of symbol kinds: bit *n* stands for the kind with the wire byte *n*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindSet(u16);

impl KindSet {
    /// Every kind there is.
    pub const ALL: Self = Self((1 << SymbolKind::ALL.len()) - 1);

    /// The set whose bits are these; `None` if a bit stands for no kind.
    #[must_use]
    pub fn from_bits(bits: u16) -> Option<Self> {
        (bits & !Self::ALL.0 == 0).then_some(Self(bits))
    }

    /// Whether `kind` is in the set.
    #[must_use]
    pub fn contains(self, kind: SymbolKind) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    /// The set with `kind` added.
    #[must_use]
    pub fn with(self, kind: SymbolKind) -> Self {
        Self(self.0 | Self::bit(kind))
    }

    /// The set with `kind` taken out.
    #[must_use]
    pub fn without(self, kind: SymbolKind) -> Self {
        Self(self.0 & !Self::bit(kind))
    }

    /// The kinds in the set, in the order of their wire bytes.
    pub fn iter(self) -> impl Iterator<Item = SymbolKind> {
        SymbolKind::ALL.into_iter().filter(move |&kind| self.contains(kind))
    }

    fn bit(kind: SymbolKind) -> u16 {
        1 << kind as u8
    }
}

impl FromIterator<SymbolKind> for KindSet {
    fn from_iter<I: IntoIterator<Item = SymbolKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self(0), Self::with)
    }
}
