//! Guesses whether a line begins a declaration; used only where code is broken.

use super::lexer::{Kind, Lexer, Token};
use super::words::Word;

/// How much a line looks like the start of a declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resemblance {
    /// Not at all.
    None,
    /// It may as well be a statement that declares a variable, or an item of a longer list.
    Possible,
    /// A declaration or a local variable with a value.
    Likely,
    /// Nothing else starts like this.
    Certain,
}

impl Resemblance {
    /// Whether no expression and no parameter can start like this.
    pub(super) fn is_certain(self) -> bool {
        self >= Self::Likely
    }
}

/// No more than this is read ahead from one place. It holds any usual signature's start.
const WINDOW: usize = 256;

impl Lexer<'_> {
    /// Judges the line that starts at `at`.
    pub(super) fn member_ahead(&mut self, at: usize) -> Resemblance {
        self.look_ahead(at, Self::resemblance).unwrap_or(Resemblance::None)
    }

    /// Whether the line that starts at `at` begins a type.
    pub(super) fn type_ahead(&mut self, at: usize) -> bool {
        self.look_ahead(at, Self::is_type).unwrap_or(false)
    }

    /// Lets `judge` read on from `at`, but no further than the window. `None` if too much of this file was read that way
    /// already: then no line of it looks like a declaration any more, as is right wherever the code is correct.
    fn look_ahead<T>(&mut self, at: usize, judge: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.look_aheads == 0 {
            return None;
        }
        let end = self.bytes.len().min(at.saturating_add(WINDOW));
        let mut ahead = Lexer::new(&self.bytes[..end]);
        ahead.pos = at;
        ahead.is_window = true;
        let judgement = judge(&mut ahead);
        self.look_aheads = self.look_aheads.saturating_sub(ahead.pos.saturating_sub(at));
        Some(judgement)
    }

    fn resemblance(&mut self) -> Resemblance {
        let Some(first) = self.skip_modifiers() else { return Resemblance::Certain };
        match first.kind {
            Kind::Word(Word::Identifier | Word::Primitive) => {}
            _ => return Resemblance::None,
        }
        if !self.rest_of_type() {
            return Resemblance::None;
        }
        let name = self.token();
        if name.kind != Kind::Word(Word::Identifier) {
            return Resemblance::None;
        }
        match self.token().kind {
            Kind::Symbol(b'(') if self.balanced_parentheses() && !self.take(b';') => Resemblance::Certain,
            Kind::Symbol(b'(' | b'=' | b';') => Resemblance::Likely,
            Kind::Symbol(b',' | b'[') => Resemblance::Possible,
            _ => Resemblance::None,
        }
    }

    fn is_type(&mut self) -> bool {
        loop {
            let token = self.token();
            match token.kind {
                Kind::Word(Word::Class | Word::Interface | Word::Enum) => return true,
                Kind::Word(Word::Modifier | Word::LooseModifier) => {}
                Kind::Word(Word::Identifier) => {
                    return self.bytes_of(token) == b"record" && self.is_record();
                }
                Kind::Symbol(b'@') => self.annotation(),
                _ => return false,
            }
        }
    }

    /// Whether, behind the word `record`, a record is declared, and not a variable of a type of that name.
    pub(super) fn is_record(&mut self) -> bool {
        let start = self.pos;
        let name = self.token();
        let next = self.token();
        self.pos = start;
        let opens = matches!(next.kind, Kind::Symbol(b'(' | b'<' | b'{') | Kind::Word(Word::Implements));
        name.kind == Kind::Word(Word::Identifier) && opens
    }

    /// The first token that is neither a modifier nor an annotation, or `None` once a declaration is certain.
    fn skip_modifiers(&mut self) -> Option<Token> {
        let mut annotated = false;
        loop {
            let token = self.token();
            match token.kind {
                Kind::Word(word) if word.starts_declaration() => return None,
                Kind::Word(Word::LooseModifier) => {}
                Kind::Symbol(b'@') => {
                    annotated = true;
                    self.annotation();
                }
                // The annotation filled the window.
                Kind::End if annotated => return None,
                _ => return Some(token),
            }
        }
    }

    /// Passes over what may follow the first word of a type.
    fn rest_of_type(&mut self) -> bool {
        loop {
            let token = self.peek();
            match token.kind {
                Kind::Symbol(b'.') => {
                    self.pos = token.end;
                    if self.token().kind != Kind::Word(Word::Identifier) {
                        return false;
                    }
                }
                Kind::Symbol(b'<') => {
                    self.pos = token.end;
                    self.angles();
                }
                Kind::Symbol(b'[') => {
                    self.pos = token.end;
                    if !self.take(b']') {
                        return false;
                    }
                }
                _ => return true,
            }
        }
    }
}
