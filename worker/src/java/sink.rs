//! Collects declarations: names as text, offsets as positions.

use std::borrow::Cow;

use nova_proto_core::messages::SymbolKind;

use super::lexer::Token;
use super::position::Locator;
use super::unescape::Source;
use crate::{Declaration, Outline};

/// Where the scanner puts what it finds.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    source: &'a Source<'a>,
    locator: Locator<'a>,
    outline: Outline,
}

impl<'a> Sink<'a> {
    pub(super) fn new(source: &'a Source<'a>) -> Self {
        Self { source, locator: Locator::new(source.raw()), outline: Outline::default() }
    }

    pub(super) fn set_package(&mut self, name: &str) {
        self.outline.set_package(name);
    }

    /// Adds the declaration that `name` names. Tokens must come in source order.
    pub(super) fn declare(&mut self, kind: SymbolKind, name: Token, parent: Option<u32>) -> Option<u32> {
        let text = self.text(name);
        self.declare_as(kind, &text, name, parent)
    }

    /// The text of `name` as Java understands it.
    pub(super) fn text(&self, name: Token) -> Cow<'a, str> {
        visible(self.source.text().get(name.start..name.end).unwrap_or_default())
    }

    /// Adds a declaration whose name is not just one token.
    pub(super) fn declare_as(
        &mut self,
        kind: SymbolKind,
        name: &str,
        at: Token,
        parent: Option<u32>,
    ) -> Option<u32> {
        let (line, column) = self.locator.locate(self.source.raw_offset(at.start));
        self.outline.push(Declaration { name, kind, parent, line, column })
    }

    pub(super) fn finish(mut self) -> Outline {
        self.outline.shrink_to_fit();
        self.outline
    }
}

/// `name` without the characters that Java ignores in identifiers (JLS 3.8): names that differ only by them
/// are the same name, and nobody would find one by typing them.
pub(super) fn visible(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| matches!(byte, b'!'..=b'~')) || !name.contains(is_ignorable) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().filter(|&character| !is_ignorable(character)).collect())
}

/// `Character.isIdentifierIgnorable`: control characters that are no white space, and format characters.
fn is_ignorable(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{8}'
            | '\u{e}'..='\u{1b}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}'
            | '\u{e0020}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn ignorable_characters_vanish_from_names() {
        assert_eq!(visible("na\u{200d}me\u{1}"), "name");
        assert_eq!(visible("größe_$1"), "größe_$1");
    }
}
