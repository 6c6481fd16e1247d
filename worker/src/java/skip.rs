//! Passes over what holds no declarations: bodies, parentheses, type arguments, annotations.

use super::lexer::{Kind, Lexer, Token, class};
use super::words::Word;

impl Lexer<'_> {
    /// Passes over a block whose `{` was just read. Returns whether its `}` was found; if not, all is read.
    ///
    /// Only braces count: with parentheses left out, a half-typed call cannot hide the end of its method.
    pub(super) fn block(&mut self) -> bool {
        if let Some(member) = self.recovery {
            return self.block_by_lines(member);
        }
        let mut depth = 1_usize;
        let mut at = self.pos;
        loop {
            at = self.find(at, class::BLOCK);
            match self.byte(at) {
                b'{' => depth += 1,
                b'}' => {
                    depth -= 1;
                    if depth == 0 {
                        self.pos = at + 1;
                        return true;
                    }
                }
                _ if at >= self.bytes.len() => {
                    self.open_block = true;
                    self.pos = at;
                    return false;
                }
                _ => {
                    at = self.literal_end(at);
                    continue;
                }
            }
            at += 1;
        }
    }

    /// Passes over parentheses whose `(` was just read, with whatever blocks they contain. If they do not close,
    /// stops at what is likely the end of the code that belongs to them and returns `false`.
    pub(super) fn parentheses(&mut self) -> bool {
        if self.is_window {
            return self.balanced_parentheses();
        }
        let start = self.pos;
        if self.retries > 0 {
            if self.balanced_parentheses() {
                return true;
            }
            self.retries = self.retries.saturating_sub(self.pos - start);
            self.pos = start;
        }
        self.open_parentheses()
    }

    /// Passes over parentheses as [`Self::parentheses`] does, but if they do not close in this statement, stops
    /// where that shows and returns `false`.
    pub(super) fn balanced_parentheses(&mut self) -> bool {
        let mut depth = 1_usize;
        loop {
            let at = self.find(self.pos, class::GROUP);
            self.pos = at + 1;
            match self.byte(at) {
                b'(' => depth += 1,
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        return true;
                    }
                }
                b'{' => {
                    if !self.block() {
                        return false;
                    }
                }
                b';' | b'}' => {
                    self.pos = at;
                    return false;
                }
                _ if at >= self.bytes.len() => {
                    self.pos = at;
                    return false;
                }
                _ => self.pos = self.literal_end(at),
            }
        }
    }

    /// Passes over parentheses that are known not to close, token by token: up to what cannot be inside of them.
    fn open_parentheses(&mut self) -> bool {
        let mut depth = 1_usize;
        let mut previous = Kind::Symbol(b'(');
        loop {
            let token = self.token();
            match token.kind {
                Kind::Symbol(b'(') => depth += 1,
                Kind::Symbol(b')') if depth == 1 => return true,
                Kind::Symbol(b')') => depth -= 1,
                Kind::Symbol(b'{') if is_value_before(previous) => {
                    self.block();
                }
                _ if self.is_behind_parentheses(token, previous) => {
                    self.pos = token.start;
                    return false;
                }
                _ => {}
            }
            previous = token.kind;
        }
    }

    /// Whether `token` cannot be inside of parentheses, or begins a line that looks like a declaration.
    fn is_behind_parentheses(&mut self, token: Token, previous: Kind) -> bool {
        match token.kind {
            Kind::Symbol(b'{' | b'}' | b';') | Kind::End => true,
            Kind::Word(word) if word.starts_declaration() => previous != Kind::Symbol(b'.'),
            Kind::Word(_) | Kind::Symbol(b'@') => {
                self.indent(token.start).is_some() && self.member_ahead(token.start).is_certain()
            }
            _ => false,
        }
    }

    /// Passes over type arguments or parameters whose `<` was just read. If they do not close, stops at what
    /// cannot be inside of them.
    pub(super) fn angles(&mut self) {
        let mut depth = 1_usize;
        let mut previous = self.peek();
        while depth > 0 {
            let token = self.token();
            match token.kind {
                Kind::Symbol(b'<') => depth += 1,
                Kind::Symbol(b'>') => depth -= 1,
                Kind::Symbol(b'@') => self.annotation(),
                Kind::Symbol(b'.' | b',' | b'?' | b'&' | b'[' | b']') | Kind::Word(Word::Bound) => {}
                // Two names in a row mean that the second is the declared one and a `>` is missing.
                Kind::Word(Word::Identifier | Word::Primitive)
                    if token == previous || !ends_type(previous) => {}
                // So does a parameter list behind a name.
                Kind::Symbol(b'(') if previous.kind == Kind::Word(Word::Identifier) => {
                    return self.pos = previous.start;
                }
                _ => return self.pos = token.start,
            }
            previous = token;
        }
    }

    /// Passes over an annotation whose `@` was just read.
    pub(super) fn annotation(&mut self) {
        loop {
            let name = self.peek();
            if name.kind != Kind::Word(Word::Identifier) {
                return;
            }
            self.pos = name.end;
            if !self.take(b'.') {
                break;
            }
        }
        if self.take(b'(') {
            self.parentheses();
        }
    }

    /// If a line of a merge conflict begins with `token`, passes over that line.
    pub(super) fn conflict_marker(&mut self, token: Token) -> bool {
        const LENGTH: usize = 7;
        let marker = self.bytes.get(token.start..token.start + LENGTH).unwrap_or_default();
        let found = matches!(marker, b"<<<<<<<" | b"=======" | b">>>>>>>" | b"|||||||")
            && self.indent(token.start) == Some(0);
        if found {
            self.pos = self.line_end(token.start);
        }
        found
    }
}

/// Whether a type may end with `token`.
fn ends_type(token: Token) -> bool {
    matches!(token.kind, Kind::Word(Word::Identifier | Word::Primitive) | Kind::Symbol(b'>' | b']'))
}

/// Whether a `{` behind `previous` opens an array or a lambda's body, not the body of a method.
fn is_value_before(previous: Kind) -> bool {
    matches!(previous, Kind::Symbol(b'(' | b',' | b'=' | b'>' | b']' | b'{'))
}
