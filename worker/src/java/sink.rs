//! Collects declarations: names as text, offsets as positions.

use std::borrow::Cow;

use nova_proto_core::messages::SymbolKind;

use super::lexer::Token;
use super::position::Locator;
use super::unescape::Source;
use super::words::visible;
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

    /// The package set last; empty if none was.
    pub(super) fn package(&self) -> &str {
        self.outline.package()
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
