//! Parsed queries.

use nova_proto_core::messages::SymbolKind;

use super::KindSet;
use super::pattern::{Name, Pattern};
use super::score::{self, Fit, NamePart, Qualified, Traits};
use super::segment::segments;
use super::typed::{SEPARATORS, Typed};

/// What is sought: part of a name, perhaps qualified by its container, among some kinds of symbols.
///
/// `CHM` and `ConcurHM` find `ConcurrentHashMap`, `util.HashMap` the class of that package, `Map#put` and `Map.put`
/// the method, and `Map#` all members of `Map`. Lower-case letters match either case. The exact rules are those of
/// section A.6 of `docs/PROTOCOL.md`.
#[derive(Debug, Clone)]
pub struct Query {
    pub(super) pattern: Pattern,
    pub(super) kinds: KindSet,
    /// Where a symbol must be declared; `None`: anywhere.
    pub(super) containers: Option<Containers>,
    /// Whether constructors stand behind other matches.
    pub(super) sets_back: bool,
}

/// Where a symbol must be declared to match.
#[derive(Debug, Clone)]
pub(super) struct Containers {
    /// What contains symbols whose names match.
    pub(super) qualifiers: Qualifiers,
    /// What contains symbols that match whatever their names are: what the whole query names.
    pub(super) whole: Option<Qualifiers>,
}

/// The names that the last segments of a container must have.
#[derive(Debug, Clone)]
pub(super) struct Qualifiers {
    /// Innermost last; there is one at least, and none is empty.
    patterns: Vec<Pattern>,
    /// Whether those in front may go beyond the container: a path names more than a package.
    is_path: bool,
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
        let Typed { text, kinds, is_call } = Typed::read(text, kinds);
        let (front, name) = text.rsplit_once(SEPARATORS).unwrap_or(("", &text));
        let is_path = text.contains('/');
        let containers = Qualifiers::new(front, is_path).map(|qualifiers| {
            let whole = Qualifiers::new(&text, is_path).filter(|_| !name.is_empty());
            Containers { qualifiers, whole }
        });
        let sets_back = containers.is_none() && !is_call;
        Ok(Self { pattern: Pattern::new(name), kinds, containers, sets_back })
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
        if !self.kinds.contains(kind) {
            return None;
        }
        let traits = Traits::new(kind, top_level, score::place(path));
        let Some(containers) = &self.containers else {
            return score::of(traits, self.name_part(Name::new(name)), Fit::ANYWHERE);
        };
        let (container, name) =
            if kind == SymbolKind::Module { split_module(name) } else { (container, name) };
        score::of(traits, self.name_part(Name::new(name)), containers.fit(container))
    }

    /// The share of the score that the name decides, or `None` if the pattern does not match it.
    pub(super) fn name_part(&self, name: Name<'_>) -> Option<NamePart> {
        if self.pattern.len() == 0 {
            return Some(NamePart::EMPTY);
        }
        let (rung, same_case) = self.pattern.rank(name)?;
        Some(NamePart::new(rung, same_case, name.chars - self.pattern.len(), self.sets_back))
    }
}

/// The name of a module as qualifiers see it: what stands before the last dot, and what behind it.
pub(super) fn split_module(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or(("", name))
}

impl Containers {
    /// How well the query fits a dotted container.
    pub(super) fn fit(&self, container: &str) -> Fit {
        let fit = |qualifiers: &Qualifiers| qualifiers.fit(segments(container));
        Fit { named: fit(&self.qualifiers), within: self.whole.as_ref().and_then(fit) }
    }
}

impl Qualifiers {
    fn new(text: &str, is_path: bool) -> Option<Self> {
        let parts = text.split(SEPARATORS).filter(|part| !part.is_empty());
        let patterns: Vec<Pattern> = parts.map(Pattern::new).collect();
        (!patterns.is_empty()).then_some(Self { patterns, is_path })
    }

    /// The qualifier of the innermost segment.
    pub(super) fn innermost(&self) -> &Pattern {
        &self.patterns[self.patterns.len() - 1]
    }

    /// How well the qualifiers fit a container, given its segments from the innermost one on; `None` if they do not.
    pub(super) fn fit<'a>(&self, mut segments: impl Iterator<Item = &'a str>) -> Option<Qualified> {
        let mut worst = self.innermost().qualifies(segments.next()?)?;
        for qualifier in self.patterns.iter().rev().skip(1) {
            match segments.next() {
                Some(segment) => worst = worst.min(qualifier.qualifies(segment)?),
                None if self.is_path => break,
                None => return None,
            }
        }
        Some(worst)
    }
}
