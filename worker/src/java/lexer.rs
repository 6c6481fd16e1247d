//! Bytes to tokens: words, symbols and literals, with spaces and comments left out.

use std::sync::LazyLock;

use memchr::{memchr2, memmem, memrchr2};

use super::recovery::Member;
use super::steps;
use super::words::{Word, is_ignorable};

/// Classes of bytes, as bits, so that one table serves every search.
pub(super) mod class {
    /// May begin a word.
    pub(in super::super) const START: u8 = 1;
    /// May continue a word.
    pub(in super::super) const PART: u8 = 2;
    /// White space, and control characters where no word is.
    pub(in super::super) const SPACE: u8 = 4;
    /// Of interest when matching braces: `{ } " ' /`.
    pub(in super::super) const BLOCK: u8 = 8;
    /// Of interest when matching parentheses: those of a block and `( ) ;`.
    pub(in super::super) const GROUP: u8 = 16;
    /// Of interest in an initialiser: those of a group, `,` and line ends.
    pub(in super::super) const INITIALIZER: u8 = 32;
    /// Part of a character outside ASCII.
    pub(in super::super) const HIGH: u8 = 64;
    /// Of interest when matching braces line by line: those of a block and line ends.
    pub(in super::super) const LINES: u8 = 128;
}

static COMMENT_END: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"*/"));

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        // The index runs to 255, so nothing is lost.
        table[byte] = class_of(byte as u8);
        byte += 1;
    }
    table
}

const fn class_of(byte: u8) -> u8 {
    use class::{BLOCK, GROUP, HIGH, INITIALIZER, LINES, PART, SPACE, START};
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' => START | PART,
        b'0'..=b'9' => PART,
        0x80.. => START | PART | HIGH,
        b'{' | b'}' | b'"' | b'\'' | b'/' => BLOCK | GROUP | INITIALIZER | LINES,
        b'(' | b')' | b';' => GROUP | INITIALIZER,
        b',' => INITIALIZER,
        b'\n' | b'\r' => SPACE | INITIALIZER | LINES,
        // Java lets these control characters continue an identifier and then ignores them.
        0..=8 | 0x0E..=0x1B | 0x7F => PART | SPACE,
        9..=b' ' => SPACE,
        _ => 0,
    }
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An identifier or a keyword.
    Word(Word),
    /// One byte of punctuation.
    Symbol(u8),
    /// A string, character, text block or number.
    Literal,
    /// The end of the file.
    End,
}

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Reads tokens from a position that anybody may set; reading never fails.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) pos: usize,
    /// The last search for the end of a comment: where it began and what it found. Asking again in between
    /// has the same answer, and not searching again keeps the time linear.
    comment_search: (usize, usize),
    /// From where on no comment and no text block ends, once one was found to lack its end.
    open_comment: Option<usize>,
    open_text_block: Option<usize>,
    /// Set once the second half of a merge conflict was found to lack its end.
    pub(super) open_conflict: bool,
    /// Set once a block ran into the end of the file.
    pub(super) open_block: bool,
    /// Present while reading a file again whose braces do not match: the member at hand.
    pub(super) recovery: Option<Member>,
    /// How many more bytes may be read twice because parentheses turned out not to close. The limit keeps the
    /// time linear in files with nothing but open parentheses.
    pub(super) retries: usize,
    /// How many more bytes may be read ahead to judge lines, for the same reason.
    pub(super) look_aheads: usize,
    /// Whether this only looks ahead. Then it must not look further ahead in turn.
    pub(super) is_window: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            pos: 0,
            comment_search: (1, 0),
            open_comment: None,
            open_text_block: None,
            open_conflict: false,
            open_block: false,
            recovery: None,
            retries: bytes.len().saturating_mul(4),
            look_aheads: bytes.len(),
            is_window: false,
        }
    }

    /// Whether a block, comment or text block had no end.
    pub(super) fn is_unterminated(&self) -> bool {
        self.open_block || self.open_comment.is_some() || self.open_text_block.is_some()
    }

    /// The next token.
    pub(super) fn token(&mut self) -> Token {
        self.skip_trivia();
        let start = self.pos;
        let Some(&byte) = self.bytes.get(start) else {
            return Token { kind: Kind::End, start, end: start };
        };
        let kind = if CLASSES[usize::from(byte)] & class::START != 0 {
            self.pos = self.word_end(start + 1);
            Kind::Word(Word::of(&self.bytes[start..self.pos]))
        } else if matches!(byte, b'"' | b'\'') {
            self.pos = self.literal_end(start);
            Kind::Literal
        } else if byte.is_ascii_digit() {
            self.pos = self.word_end(start + 1);
            Kind::Literal
        } else {
            self.pos = start + 1;
            Kind::Symbol(byte)
        };
        Token { kind, start, end: self.pos }
    }

    /// The next token, which will be read again.
    pub(super) fn peek(&mut self) -> Token {
        let start = self.pos;
        let token = self.token();
        self.pos = start;
        token
    }

    /// Whether `symbol` comes next; if so, it is consumed.
    pub(super) fn take(&mut self, symbol: u8) -> bool {
        let token = self.peek();
        let found = token.kind == Kind::Symbol(symbol);
        if found {
            self.pos = token.end;
        }
        found
    }

    /// The bytes of `token`.
    pub(super) fn bytes_of(&self, token: Token) -> &'a [u8] {
        &self.bytes[token.start..token.end]
    }

    /// The first byte at or behind `from` that belongs to `class`, or the end of the text.
    #[inline]
    pub(super) fn find(&self, from: usize, class: u8) -> usize {
        let rest = self.bytes.get(from..).unwrap_or_default();
        let distance =
            rest.iter().position(|&byte| CLASSES[usize::from(byte)] & class != 0).unwrap_or(rest.len());
        steps::count(distance);
        from + distance
    }

    /// The byte at `at`; 0 behind the end.
    #[inline]
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// Where the literal or comment at `at` ends, which starts with `"`, `'` or `/`; a lone slash ends behind
    /// itself.
    #[inline]
    pub(super) fn literal_end(&mut self, at: usize) -> usize {
        match self.byte(at) {
            b'"' if self.bytes[at..].starts_with(b"\"\"\"") => self.text_block_end(at),
            b'"' => self.string_end(at + 1),
            b'\'' => self.char_end(at + 1),
            _ => self.comment_end(at).unwrap_or(at + 1),
        }
    }

    /// Where the comment at `at` ends, or `None` if there is none.
    pub(super) fn comment_end(&mut self, at: usize) -> Option<usize> {
        match self.byte(at + 1) {
            b'/' => Some(self.line_end(at + 2)),
            b'*' => Some(self.block_comment_end(at + 2)),
            _ => None,
        }
    }

    /// Where the line that holds `at` ends: at its line end or the end of the text.
    pub(super) fn line_end(&self, at: usize) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let distance = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        steps::count(distance);
        at + distance
    }

    /// If `at` is the first visible character of its line: how far it is indented.
    pub(super) fn indent(&self, at: usize) -> Option<usize> {
        const TAB: usize = 4;
        let before = self.bytes.get(..at)?;
        let blanks = before.iter().rev().take_while(|&&byte| matches!(byte, b' ' | b'\t')).count();
        steps::count(blanks);
        let (line, blanks) = before.split_at(at - blanks);
        matches!(line.last(), None | Some(b'\n' | b'\r')).then(|| {
            blanks
                .iter()
                .fold(0, |width, &blank| if blank == b'\t' { width / TAB * TAB + TAB } else { width + 1 })
        })
    }

    /// How far the line that holds `at` is indented; `None` in the middle of a very long line.
    pub(super) fn line_indent(&self, at: usize) -> Option<usize> {
        const FAR: usize = 1024;
        let near = at.saturating_sub(FAR);
        let before = self.bytes.get(near..at)?;
        let line = memrchr2(b'\n', b'\r', before);
        steps::count(before.len() - line.unwrap_or(0));
        let start = match line {
            Some(end) => near + end + 1,
            None if near == 0 => 0,
            None => return None,
        };
        let blanks = self.bytes[start..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.indent(start + blanks)
    }

    /// Whether a line ends between two tokens.
    pub(super) fn is_line_between(&self, first: Token, second: Token) -> bool {
        let between = self.bytes.get(first.end..second.start).unwrap_or_default();
        steps::count(between.len());
        memchr2(b'\n', b'\r', between).is_some()
    }

    fn skip_trivia(&mut self) {
        while let Some(&byte) = self.bytes.get(self.pos) {
            let class = CLASSES[usize::from(byte)];
            steps::count(0);
            if class & class::SPACE != 0 {
                self.pos += 1;
            } else if byte == b'/' {
                let Some(end) = self.comment_end(self.pos) else { return };
                self.pos = end;
            } else if class & class::HIGH != 0 {
                match self.wide_space(self.pos).max(self.ignorable(self.pos)) {
                    0 => return,
                    length => self.pos += length,
                }
            } else {
                return;
            }
        }
    }

    /// The length of a character outside ASCII that Java ignores inside of names. No name begins with one; where it
    /// stands alone, pasted with other text, it must not become a name that is empty.
    fn ignorable(&self, at: usize) -> usize {
        let end = at + utf8_len(self.byte(at));
        let character = self.bytes.get(at..end).and_then(|bytes| std::str::from_utf8(bytes).ok());
        character.filter(|text| text.contains(is_ignorable)).map_or(0, str::len)
    }

    fn word_end(&self, mut at: usize) -> usize {
        while let Some(&byte) = self.bytes.get(at) {
            let class = CLASSES[usize::from(byte)];
            let is_part = class & class::PART != 0;
            steps::count(0);
            if !is_part || class & class::HIGH != 0 && self.wide_space(at) > 0 {
                break;
            }
            at += 1;
        }
        at
    }

    /// The length of a white-space character outside ASCII. Java has none between tokens, but text pasted from
    /// elsewhere does, and it must not become part of a name.
    fn wide_space(&self, at: usize) -> usize {
        match self.bytes.get(at..).unwrap_or_default() {
            [0xC2, 0x85 | 0xA0, ..] => 2,
            [0xE1, 0x9A, 0x80, ..] | [0xE3, 0x80, 0x80, ..] | [0xE2, 0x81, 0x9F, ..] => 3,
            [0xE2, 0x80, 0x80..=0x8A | 0xA8 | 0xA9 | 0xAF, ..] => 3,
            _ => 0,
        }
    }

    /// Behind the closing quote; a string that lacks it ends with its line.
    fn string_end(&self, mut at: usize) -> usize {
        while let Some(&byte) = self.bytes.get(at) {
            steps::count(0);
            match byte {
                b'"' => return at + 1,
                b'\n' | b'\r' => return at,
                // An escaped line end is no part of a string either.
                b'\\' if !matches!(self.byte(at + 1), b'\n' | b'\r') => at += 2,
                _ => at += 1,
            }
        }
        self.bytes.len()
    }

    /// Behind the closing quote if this has the shape of a character literal; otherwise behind the opening
    /// quote, because an apostrophe typed by accident must not hide the rest of its line.
    fn char_end(&self, at: usize) -> usize {
        let close = match self.byte(at) {
            b'\'' => at,
            b'\n' | b'\r' => return at,
            // Behind a backslash one character, or up to three octal digits.
            b'\\' => {
                let digits = self.bytes.get(at + 1..).unwrap_or_default();
                let digits = digits.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
                at + 1 + digits.max(1)
            }
            byte => at + utf8_len(byte),
        };
        if self.byte(close) == b'\'' { close + 1 } else { at }
    }

    fn text_block_end(&mut self, at: usize) -> usize {
        let open = at + 3;
        let rest = self.bytes.get(open..).unwrap_or_default();
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | 0x0C)).count();
        let is_open = self.open_text_block.is_some_and(|from| at >= from);
        if is_open || !matches!(self.byte(open + blanks), b'\n' | b'\r') {
            // Text on the opening line: this is an empty string with a quote too many.
            return at + 2;
        }
        let mut end = open + blanks;
        while let Some(found) = self.bytes.get(end..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
            end += found;
            steps::count(found);
            if self.bytes[end..].starts_with(b"\"\"\"") {
                return end + 3;
            }
            end += 1 + usize::from(self.bytes[end] == b'\\');
        }
        self.open_text_block = Some(at);
        open
    }

    fn block_comment_end(&mut self, at: usize) -> usize {
        let Some(end) = self.find_comment_end(at) else {
            self.open_comment = Some(at);
            return self.line_end(at);
        };
        let split = self.recovery.and_then(|_| self.nested_comment(at, end));
        split.unwrap_or(end + 2)
    }

    fn find_comment_end(&mut self, at: usize) -> Option<usize> {
        if self.open_comment.is_some_and(|from| at >= from) {
            return None;
        }
        let (from, found) = self.comment_search;
        if (from..=found).contains(&at) {
            return Some(found);
        }
        let rest = self.bytes.get(at..)?;
        let distance = COMMENT_END.find(rest);
        steps::count(distance.unwrap_or(rest.len()));
        let found = at + distance?;
        self.comment_search = (at, found);
        Some(found)
    }

    /// Where a comment ends that was never closed, which shows by a line inside of it that begins another one: where
    /// its lines cease to begin with stars, or else in front of that other comment.
    fn nested_comment(&self, from: usize, to: usize) -> Option<usize> {
        let other = memmem::find_iter(&self.bytes[from..to], b"/*")
            .map(|at| from + at)
            .find(|&at| self.indent(at).is_some());
        steps::count(other.unwrap_or(to) - from);
        let other = other?;
        Some(self.starred_lines_end(from).filter(|&end| end < other).unwrap_or(other))
    }

    /// Where the first line begins that has no star in front, if the one behind `at` has.
    fn starred_lines_end(&self, at: usize) -> Option<usize> {
        let mut end = None;
        let mut line = self.line_end(at);
        while line < self.bytes.len() {
            let start = line + 1;
            let rest = &self.bytes[start..];
            let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n')).count();
            steps::count(blanks);
            let first = start + blanks;
            if self.byte(first) != b'*' {
                return end.map(|_: usize| start);
            }
            line = self.line_end(first);
            end = Some(line);
        }
        None
    }
}

/// How many bytes the character takes that starts with `lead`.
fn utf8_len(lead: u8) -> usize {
    match lead {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    }
}
