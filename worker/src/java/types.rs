//! Headers of types, the components of records and the constants of enums.

use nova_proto_core::messages::SymbolKind;

use super::lexer::{Kind, Token};
use super::scan::Scanner;
use super::words::Word;

impl Scanner<'_> {
    /// Reads a type up to the `{` of its body. The keyword was just read.
    pub(super) fn type_declaration(&mut self, kind: SymbolKind) {
        self.had_type = true;
        let token = self.lexer.peek();
        let name = Some(token).filter(|token| token.kind == Kind::Word(Word::Identifier));
        let symbol = name.and_then(|name| {
            self.lexer.pos = name.end;
            self.sink.declare(kind, name, self.enclosing())
        });
        let container = self.container_inside(name);
        let has_components = kind == SymbolKind::Record && container.is_some();
        let has_body = self.header(kind, token, symbol, has_components);
        match container {
            Some(container) if has_body => self.open(kind, name, symbol, container),
            None if has_body => self.body(),
            _ => {}
        }
    }

    /// Reads a type whose keyword is mistyped (`cla Name {`) and whose name was just read.
    pub(super) fn mistyped(&mut self, kind: SymbolKind, name: Token) {
        self.lexer.pos = name.start;
        self.type_declaration(kind);
    }

    /// The kind of type whose keyword `word` is the beginning of.
    pub(super) fn kind_of_part(&self, word: Token) -> Option<SymbolKind> {
        let typed = self.lexer.bytes_of(word);
        let keywords: [(&[u8], _); 4] = [
            (b"class", SymbolKind::Class),
            (b"interface", SymbolKind::Interface),
            (b"enum", SymbolKind::Enum),
            (b"record", SymbolKind::Record),
        ];
        keywords.into_iter().find(|(keyword, _)| keyword.starts_with(typed)).map(|(_, kind)| kind)
    }

    /// Reads what stands between the name and the body of a type. Returns whether the body follows.
    fn header(
        &mut self,
        kind: SymbolKind,
        name: Token,
        symbol: Option<u32>,
        mut has_components: bool,
    ) -> bool {
        let mut previous = name;
        loop {
            let token = self.lexer.token();
            match token.kind {
                Kind::Symbol(b'{') => return true,
                Kind::Symbol(b';') => return false,
                Kind::Symbol(b'(') if has_components => {
                    has_components = false;
                    self.components(symbol);
                }
                Kind::Symbol(b'(') => {
                    self.lexer.parentheses();
                }
                Kind::Symbol(b'<') => {
                    if !self.lexer.conflict_marker(token) {
                        self.lexer.angles();
                    }
                }
                Kind::Symbol(b'@') if self.lexer.peek().kind != Kind::Word(Word::Interface) => {
                    self.lexer.annotation();
                }
                Kind::Symbol(b'.' | b',') | Kind::Word(Word::Bound | Word::Implements) => {}
                Kind::Word(Word::Identifier)
                    if !self.is_next_record(token) && !self.begins_member(kind, previous, token) => {}
                Kind::Symbol(b'=' | b'>' | b'|') if self.lexer.conflict_marker(token) => {}
                Kind::Symbol(b'}') | Kind::End => {
                    self.lexer.pos = token.start;
                    return false;
                }
                Kind::Word(_) | Kind::Symbol(b'@') => {
                    self.lexer.pos = token.start;
                    return self.is_body_without_brace(name, token);
                }
                Kind::Symbol(_) | Kind::Literal => {}
            }
            previous = token;
        }
    }

    /// Whether `token` is the first word of a member because the `{` in front of it is missing.
    fn begins_member(&mut self, kind: SymbolKind, previous: Token, token: Token) -> bool {
        // In correct code, one of two words in a row is `permits`; type parameters and components, of which
        // `previous` is the opening bracket, end like a word.
        let in_row = matches!(previous.kind, Kind::Word(Word::Identifier) | Kind::Symbol(b'<' | b'('))
            && self.lexer.bytes_of(previous) != b"permits"
            && self.lexer.bytes_of(token) != b"permits";
        // A constant looks like nothing in particular.
        in_row
            && self.lexer.is_line_between(previous, token)
            && (kind == SymbolKind::Enum || self.lexer.member_ahead(token.start).is_certain())
    }

    /// Whether the members of the type follow although its header broke off at `token`: not if that begins
    /// a neighbour, which shows by its indentation.
    fn is_body_without_brace(&self, name: Token, token: Token) -> bool {
        let is_deeper = |inner| self.lexer.line_indent(name.start).is_some_and(|outer| inner > outer);
        self.lexer.indent(token.start).is_some_and(is_deeper)
    }

    /// Reads the components of a record; the `(` was just read.
    fn components(&mut self, record: Option<u32>) {
        let parent = record.or_else(|| self.enclosing());
        loop {
            let (name, ends_list) = self.component();
            if let Some(name) = name {
                self.sink.declare(SymbolKind::Component, name, parent);
            }
            if ends_list {
                return;
            }
        }
    }

    /// Reads one component. Returns its name, and whether it is the last.
    fn component(&mut self) -> (Option<Token>, bool) {
        // The last word is the name, provided that a type precedes it.
        let mut last = None;
        let mut words = 0;
        loop {
            let token = self.lexer.token();
            match token.kind {
                Kind::Word(Word::Identifier) if !self.is_next_record(token) => {
                    last = Some(token);
                    words += 1;
                }
                Kind::Word(Word::Primitive) | Kind::Symbol(b'[' | b']') => words = 1,
                // What follows a single dot belongs to the same type; what follows three is the name.
                Kind::Symbol(b'.') => words = usize::from(self.lexer.take(b'.') && self.lexer.take(b'.')),
                Kind::Symbol(b'<') => self.lexer.angles(),
                Kind::Symbol(b'@') => self.lexer.annotation(),
                Kind::Symbol(b'(') => {
                    self.lexer.parentheses();
                }
                Kind::Symbol(b',') => return (last.filter(|_| words > 1), false),
                Kind::Symbol(b')') => return (last.filter(|_| words > 1), true),
                Kind::Word(Word::LooseModifier) => {}
                Kind::Symbol(b'{' | b'}' | b';') | Kind::Word(_) | Kind::End => {
                    self.lexer.pos = token.start;
                    return (last.filter(|_| words > 1), true);
                }
                Kind::Symbol(_) | Kind::Literal => {}
            }
        }
    }

    /// Whether `token` begins another record because the components of this one broke off.
    fn is_next_record(&mut self, token: Token) -> bool {
        self.lexer.bytes_of(token) == b"record" && self.lexer.is_record()
    }

    /// Reads what `token` begins among the constants of an enum.
    pub(super) fn constant(&mut self, token: Token) {
        match token.kind {
            Kind::Symbol(b'}') => self.close(),
            Kind::Symbol(b'@') if self.lexer.peek().kind != Kind::Word(Word::Interface) => {
                self.lexer.annotation();
            }
            Kind::Symbol(b'(') => {
                self.lexer.parentheses();
            }
            Kind::Symbol(b'{') => self.body(),
            Kind::Symbol(b';') => self.end_constants(),
            Kind::Word(Word::Identifier) if !self.is_member_among_constants(token) => {
                self.sink.declare(SymbolKind::Constant, token, self.enclosing());
            }
            // The semicolon behind the constants is missing.
            Kind::Word(_) | Kind::Symbol(b'@') => {
                self.end_constants();
                self.item(token);
            }
            Kind::Symbol(_) => {
                self.lexer.conflict_marker(token);
            }
            Kind::Literal | Kind::End => {}
        }
    }

    fn is_member_among_constants(&mut self, token: Token) -> bool {
        let is_alone =
            matches!(self.lexer.peek().kind, Kind::Symbol(b'(' | b'{' | b',' | b';' | b'}' | b'@'));
        !is_alone && self.lexer.member_ahead(token.start).is_certain()
    }

    fn end_constants(&mut self) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.in_constants = false;
        }
    }
}
