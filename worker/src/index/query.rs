//! Parsed queries.

use nova_proto_core::messages::SymbolKind;

use super::KindSet;
use super::pattern::{Name, Pattern};
use super::score::{self, Traits};

/// What is sought: part of a name, perhaps qualified by its container, among some kinds of symbols.
///
/// `CHM` and `ConcurHM` find `ConcurrentHashMap`, `util.HashMap` the class of that package, `Map#put` and `Map.put`
/// the method, and `Map#` all members of `Map`. Lower-case letters match either case. The exact rules are those of
/// the module [`score`](super::score).
#[derive(Debug, Clone)]
pub struct Query {
    /// A symbol is matched by the one that has its kind, so no two share one.
    matchers: Vec<Matcher>,
}

/// One way for symbols of some kinds to match.
#[derive(Debug, Clone)]
pub(super) struct Matcher {
    pub(super) pattern: Pattern,
    /// Innermost last; each is not empty.
    pub(super) qualifiers: Vec<Pattern>,
    pub(super) kinds: KindSet,
}

/// Why a text is no query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The text is longer than any name needs.
    #[error("the query is too long: at most {max} characters are allowed")]
    TooLong {
        /// How many characters, white space included, a query may have.
        max: usize,
    },
}

impl Query {
    /// How many characters, white space included, a query may have.
    pub const MAX_CHARS: usize = 256;

    /// Parses what the user typed; `kinds` restricts the symbols that can be found.
    ///
    /// # Errors
    ///
    /// [`QueryError::TooLong`] if `text` has more than [`Self::MAX_CHARS`] characters.
    pub fn parse(text: &str, kinds: KindSet) -> Result<Self, QueryError> {
        if text.chars().nth(Self::MAX_CHARS).is_some() {
            return Err(QueryError::TooLong { max: Self::MAX_CHARS });
        }
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (qualifiers, name) = text.rsplit_once(['.', '#']).unwrap_or(("", &text));
        let qualifiers = qualifiers.split(['.', '#']).filter(|part| !part.is_empty());
        let qualifiers: Vec<Pattern> = qualifiers.map(Pattern::new).collect();
        let named = Matcher { pattern: Pattern::new(name), qualifiers, kinds };
        if named.qualifiers.is_empty() {
            return Ok(Self { matchers: vec![named] });
        }
        let modules = kinds.iter().filter(|&kind| kind == SymbolKind::Module).collect();
        let module = Matcher { pattern: Pattern::new(&text), qualifiers: Vec::new(), kinds: modules };
        let others = kinds.without(SymbolKind::Module);
        let matchers = vec![module, Matcher { kinds: others, ..named }];
        Ok(Self { matchers })
    }

    /// What a symbol scores, or `None` if it does not match: the definition that every search agrees with.
    ///
    /// `container` is that of [`Outline::container`](crate::Outline::container); `top_level` is whether no type
    /// encloses the symbol.
    #[must_use]
    pub fn score(
        &self,
        name: &str,
        kind: SymbolKind,
        container: &str,
        top_level: bool,
        path: &str,
    ) -> Option<u32> {
        let matcher = self.matchers.iter().find(|matcher| matcher.kinds.contains(kind))?;
        let segments = container.rsplit('.').filter(|segment| !segment.is_empty());
        let traits = Traits::new(kind, top_level, score::is_aside(path));
        let qualified = score::qualified_part(matcher.qualify(segments)?);
        Some(matcher.name_part(Name::new(name))? | qualified | traits.part())
    }

    pub(super) fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }
}

impl Matcher {
    /// The share of the score that the name decides, or `None` if the pattern does not match it.
    pub(super) fn name_part(&self, name: Name<'_>) -> Option<u32> {
        if self.pattern.len() == 0 {
            return Some(0);
        }
        let (rung, same_case) = self.pattern.rank(name)?;
        Some(score::name_part(rung, same_case, name.chars - self.pattern.len()))
    }

    /// Whether the qualifiers match a container, given its segments from the innermost one on, and if so whether there
    /// are any and each is as long as its segment.
    pub(super) fn qualify<'a>(&self, mut segments: impl Iterator<Item = &'a str>) -> Option<bool> {
        let mut in_full = !self.qualifiers.is_empty();
        for qualifier in self.qualifiers.iter().rev() {
            in_full &= qualifier.qualifies(segments.next()?)?;
        }
        Some(in_full)
    }
}
