//! Passes over the expression that initialises a field or is the default of an annotation element.

use super::lexer::{Kind, Lexer, class};
use super::steps;
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
                b'(' => is_open = !self.parentheses() && !self.continues_statement(),
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
                quote @ (b'"' | b'\'') => {
                    self.pos = self.literal_end(at);
                    // A literal that lacks its closing quote is an operand as well.
                    last = Visible { byte: quote, end: self.pos };
                    continue;
                }
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
        steps::count(run.len());
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

    /// Whether, behind parentheses that were not closed, the statement goes on or ends.
    fn continues_statement(&mut self) -> bool {
        matches!(self.peek().kind, Kind::Symbol(b',' | b';' | b'{' | b'}'))
    }

    /// Whether the line that begins here starts a declaration although no semicolon ended the one being read.
    /// Passes over the space in front of the next token in any case, so that blank lines are read once.
    ///
    /// No expression continues with the words asked for here, so correct code is never taken apart.
    fn is_next_line_foreign(&mut self, last: Visible) -> bool {
        let token = self.peek();
        self.pos = token.start;
        match token.kind {
            Kind::Symbol(b'@') => self.is_operand(last),
            Kind::Word(Word::Class) => last.byte != b'.',
            Kind::Word(Word::Void) => self.byte(token.end) != b'.',
            Kind::Word(word) if word.starts_declaration() => true,
            Kind::Word(_) => !self.expects_type(last) && self.member_ahead(token.start).is_certain(),
            _ => false,
        }
    }

    /// Whether `last` ends a word or annotation behind which a type and a name may follow in an expression:
    /// `instanceof` + line end + `String s`.
    fn expects_type(&self, last: Visible) -> bool {
        self.word_before(last.end).is_some_and(|word| {
            let is_annotation = self.byte(last.end.saturating_sub(word.len() + 1)) == b'@';
            is_annotation || matches!(Word::of(word), Word::Reserved | Word::LooseModifier)
        })
    }

    /// Whether an expression may end with `last`.
    fn is_operand(&self, last: Visible) -> bool {
        match self.word_before(last.end) {
            Some(word) => matches!(Word::of(word), Word::Identifier | Word::Operand | Word::Class),
            None => matches!(last.byte, b')' | b']' | b'}' | b'"' | b'\''),
        }
    }

    /// The word that ends at `end`, cut to a length at which it is no keyword.
    fn word_before(&self, end: usize) -> Option<&[u8]> {
        let before = self.bytes.get(..end)?;
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(**byte, b'_' | b'$' | 0x80..);
        let length = before.iter().rev().take(16).take_while(is_part).count();
        (length > 0).then(|| &before[end - length..])
    }
}
