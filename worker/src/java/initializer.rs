//! Passes over the expression that initialises a field or is the default of an annotation element.

use super::lexer::{Kind, Lexer, class};
use super::words::Word;

/// What ended an initialiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InitializerEnd {
    /// A comma, which was read: another variable follows.
    Comma,
    /// A semicolon, which was read.
    Semicolon,
    /// Something that belongs to the next declaration and was not read: a semicolon is missing.
    Missing,
}

/// The last visible character before a line end and where it is.
#[derive(Clone, Copy)]
struct Visible {
    byte: u8,
    end: usize,
}

impl Lexer<'_> {
    /// Passes over an initialiser whose `=` (or `default`) was just read.
    pub(super) fn initializer(&mut self) -> InitializerEnd {
        let mut last = Visible { byte: b'=', end: self.pos };
        loop {
            let from = self.pos;
            let at = self.find(from, class::INITIALIZER);
            last = self.last_visible(from, at).unwrap_or(last);
            self.pos = at + 1;
            let mut is_open = false;
            match self.byte(at) {
                b',' if self.is_declarator_ahead() => return InitializerEnd::Comma,
                b';' => return InitializerEnd::Semicolon,
                b'(' => self.parentheses(),
                b'{' => is_open = !self.block(),
                b'\n' | b'\r' => {
                    if self.is_next_line_foreign(last) {
                        return InitializerEnd::Missing;
                    }
                    continue;
                }
                b'/' => {
                    // A comment leaves the last visible character as it is.
                    if let Some(end) = self.comment_end(at) {
                        self.pos = end;
                        continue;
                    }
                }
                b'"' | b'\'' => self.pos = self.literal_end(at),
                b'}' => {
                    self.pos = at;
                    return InitializerEnd::Missing;
                }
                _ if at >= self.bytes.len() => {
                    self.pos = at;
                    return InitializerEnd::Missing;
                }
                _ => {}
            }
            if is_open {
                return InitializerEnd::Missing;
            }
            last = Visible { byte: self.byte(self.pos - 1), end: self.pos };
        }
    }

    fn last_visible(&self, from: usize, to: usize) -> Option<Visible> {
        let run = self.bytes.get(from..to)?;
        let end = run.iter().rposition(|&byte| byte > b' ')?;
        Some(Visible { byte: run[end], end: from + end + 1 })
    }

    /// Whether the comma just read is followed by another variable; otherwise it stands between type arguments
    /// (`new Map<K, V>()`), and all of these are passed over.
    ///
    /// A variable shows by the `=` or `;` behind it, type arguments by a `>` without a `<`.
    fn is_declarator_ahead(&mut self) -> bool {
        let start = self.pos;
        let mut depth = 0_usize;
        loop {
            let token = self.token();
            match token.kind {
                Kind::Symbol(b'<') => depth += 1,
                Kind::Symbol(b'>') if depth == 0 => return false,
                Kind::Symbol(b'>') => depth -= 1,
                Kind::Symbol(b'@') => self.annotation(),
                Kind::Symbol(b'.' | b',' | b'?' | b'&' | b'[' | b']') => {}
                Kind::Word(Word::Identifier | Word::Primitive | Word::Bound) => {}
                _ => {
                    self.pos = start;
                    return true;
                }
            }
        }
    }

    /// Whether the line that begins here starts a declaration although no semicolon ended the one being read.
    /// Passes over the space in front of the next token in any case, so that blank lines are read once.
    fn is_next_line_foreign(&mut self, last: Visible) -> bool {
        let token = self.peek();
        self.pos = token.start;
        if !self.is_operand(last) {
            return false;
        }
        match token.kind {
            Kind::Symbol(b'@') => true,
            Kind::Word(word) if word.starts_declaration() => true,
            Kind::Word(_) => self.member_ahead(token.start).is_certain(),
            _ => false,
        }
    }

    /// Whether an expression may end with `last`. Without this, lines such as `new` + line end + `Foo bar` in
    /// correct code would be taken apart.
    fn is_operand(&self, last: Visible) -> bool {
        match last.byte {
            b')' | b']' | b'}' | b'"' | b'\'' => true,
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..) => {
                let line = &self.bytes[..last.end];
                let is_part =
                    |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'_' | b'$' | 0x80..);
                let word = line.iter().rev().take(16).take_while(is_part).count();
                matches!(Word::of(&line[last.end - word..]), Word::Identifier | Word::Operand | Word::Class)
            }
            _ => false,
        }
    }
}
