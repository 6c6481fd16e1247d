//! Methods, constructors and fields.

use nova_proto_core::messages::SymbolKind;

use super::initializer::InitializerEnd;
use super::lexer::{Kind, Token};
use super::scan::Scanner;
use super::words::Word;

impl Scanner<'_> {
    /// Reads the member that begins with `first`: its type or, in a constructor, its name.
    pub(super) fn member(&mut self, first: Token) {
        let mut is_alone = first.kind == Kind::Word(Word::Identifier);
        loop {
            let token = self.lexer.token();
            match token.kind {
                Kind::Word(Word::Identifier) => {
                    if self.named(first, token) {
                        return;
                    }
                }
                Kind::Symbol(b'(') if is_alone => return self.untyped(first),
                Kind::Symbol(b'{') => {
                    if is_alone && self.is_in(SymbolKind::Record) && self.names_enclosing(first) {
                        self.sink.declare(SymbolKind::Constructor, first, self.enclosing());
                    }
                    return self.body();
                }
                Kind::Symbol(b'<') => {
                    if self.lexer.conflict_marker(token) {
                        return;
                    }
                    self.lexer.angles();
                }
                Kind::Symbol(b'[' | b']') => {}
                Kind::Symbol(b'@') => self.lexer.annotation(),
                Kind::Symbol(b'.') => {
                    if !self.qualify() {
                        return;
                    }
                }
                Kind::Symbol(b';') => return,
                Kind::Symbol(b'}') | Kind::Word(_) | Kind::End => return self.lexer.pos = token.start,
                Kind::Symbol(_) | Kind::Literal => return self.statement(),
            }
            is_alone = false;
        }
    }

    /// Reads the rest of a member with a type and perhaps the name `name`; returns `false` if what follows shows
    /// that `name` still belongs to the type.
    ///
    /// In correct code the word behind the type is the name. But of `priv String name;` the type is half-typed,
    /// and taking `String` into it finds the name nevertheless.
    fn named(&mut self, first: Token, name: Token) -> bool {
        let token = self.lexer.token();
        match token.kind {
            Kind::Symbol(b'(') => self.method(name),
            // The parameter list lacks its `(`.
            Kind::Symbol(b')') if self.is_body_next() => {
                self.declare_method(name);
                self.method_rest();
            }
            Kind::Symbol(b'{') => match self.kind_of_part(first) {
                Some(kind) => self.mistyped(kind, name),
                None => {
                    // The parameter list has not been typed yet.
                    self.declare_method(name);
                    self.body();
                }
            },
            Kind::Word(Word::Bound | Word::Implements) => {
                self.mistyped(self.kind_of_part(first).unwrap_or(SymbolKind::Class), name);
            }
            Kind::Symbol(b'<' | b'=' | b'>' | b'|') if self.lexer.conflict_marker(token) => self.field(name),
            Kind::Symbol(b'.' | b'<') => {
                self.lexer.pos = token.start;
                return false;
            }
            Kind::Word(Word::Identifier) if !self.lexer.is_line_between(name, token) => {
                self.lexer.pos = token.start;
                return false;
            }
            Kind::Symbol(b'=' | b',' | b';' | b'[' | b'}' | b'@') | Kind::Word(_) | Kind::End => {
                self.lexer.pos = token.start;
                self.fields(name);
            }
            Kind::Symbol(_) | Kind::Literal => self.statement(),
        }
        true
    }

    /// Reads what follows a dot in a type. Returns `false` at a dangling dot, where the declaration ends.
    fn qualify(&mut self) -> bool {
        while self.lexer.take(b'@') {
            self.lexer.annotation();
        }
        let part = self.lexer.peek();
        let found = part.kind == Kind::Word(Word::Identifier);
        if found {
            self.lexer.pos = part.end;
        }
        found
    }

    /// Reads a constructor, or what looks like one: its `(` was just read.
    fn untyped(&mut self, name: Token) {
        if self.names_enclosing(name) {
            self.sink.declare(SymbolKind::Constructor, name, self.enclosing());
            self.lexer.parentheses();
            return self.method_rest();
        }
        // Without a type only a body tells a method from a call.
        self.lexer.parentheses();
        if self.is_body_next() {
            self.declare_method(name);
            self.method_rest();
        } else {
            self.statement();
        }
    }

    /// Whether the body of a method comes next, or the exceptions in front of it.
    fn is_body_next(&mut self) -> bool {
        matches!(self.lexer.peek().kind, Kind::Symbol(b'{') | Kind::Word(Word::Throws))
    }

    /// Reads a method whose `(` was just read.
    fn method(&mut self, name: Token) {
        self.declare_method(name);
        self.lexer.parentheses();
        self.method_rest();
    }

    fn declare_method(&mut self, name: Token) {
        let is_element = self.is_in(SymbolKind::Annotation);
        let kind = if is_element { SymbolKind::Element } else { SymbolKind::Method };
        self.sink.declare(kind, name, self.enclosing());
    }

    /// Reads what follows a parameter list: dimensions, exceptions, a default value, the body.
    fn method_rest(&mut self) {
        // Whether the name of an exception may come next.
        let mut expects_name = false;
        loop {
            let token = self.lexer.token();
            match token.kind {
                Kind::Symbol(b'{') => return self.body(),
                Kind::Symbol(b';') => return,
                Kind::Symbol(b'@') => self.lexer.annotation(),
                Kind::Symbol(b'.' | b',') | Kind::Word(Word::Throws) => expects_name = true,
                Kind::Word(Word::Identifier) if expects_name => expects_name = false,
                Kind::Word(Word::LooseModifier) if self.is_in(SymbolKind::Annotation) => {
                    self.lexer.initializer();
                    return;
                }
                Kind::Symbol(b'}') | Kind::Word(_) | Kind::End => {
                    self.lexer.pos = token.start;
                    if self.is_in_body(token) {
                        self.body();
                    }
                    return;
                }
                Kind::Symbol(b'[' | b']' | b')') => {}
                Kind::Symbol(_) | Kind::Literal => {
                    if !self.lexer.conflict_marker(token) {
                        return self.statement();
                    }
                }
            }
        }
    }

    fn field(&mut self, name: Token) {
        self.sink.declare(SymbolKind::Field, name, self.enclosing());
    }

    /// Reads a field declaration from behind the first variable's name on.
    fn fields(&mut self, name: Token) {
        self.field(name);
        loop {
            let token = self.lexer.token();
            match token.kind {
                Kind::Symbol(b'[' | b']') => {}
                Kind::Symbol(b'@') => self.lexer.annotation(),
                Kind::Symbol(b';') => return,
                Kind::Symbol(b'=') => {
                    if self.lexer.initializer() != InitializerEnd::Comma || !self.next_field() {
                        return;
                    }
                }
                Kind::Symbol(b',') => {
                    if !self.next_field() {
                        return;
                    }
                }
                Kind::Symbol(b'}') | Kind::Word(_) | Kind::End => return self.lexer.pos = token.start,
                Kind::Symbol(_) | Kind::Literal => {
                    if !self.lexer.conflict_marker(token) {
                        return self.statement();
                    }
                }
            }
        }
    }

    /// Reads the name of another variable behind a comma.
    fn next_field(&mut self) -> bool {
        let name = self.lexer.peek();
        let found = name.kind == Kind::Word(Word::Identifier);
        if found {
            self.lexer.pos = name.end;
            self.field(name);
        }
        found
    }

    /// Whether the innermost type is of `kind`.
    fn is_in(&self, kind: SymbolKind) -> bool {
        self.scopes.last().is_some_and(|scope| scope.kind == kind)
    }
}
