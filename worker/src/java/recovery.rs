//! Reads files whose braces do not match: while somebody types, indentation tells more than braces.
//!
//! All of this runs only in a second pass, after the first one found that braces are missing or left over.

use memchr::memmem;

use super::lexer::{Kind, Lexer, Token, class};
use super::lookahead::Resemblance;
use super::scan::{Braces, Scanner, Scope};
use super::steps;
use super::words::Word;

/// What indentation says about the member that is being read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Member {
    /// How far it is indented.
    pub(super) indent: usize,
    /// Whether that is deeper than the type around it, so that nothing in its body is indented as little.
    is_indented: bool,
}

impl Scope {
    /// Whether the members are indented deeper than the type, so that indentation says where it ends.
    fn is_indented(&self) -> bool {
        self.member_indent.is_some_and(|indent| indent > self.indent)
    }

    /// Whether no member has been read yet.
    fn is_just_open(&self) -> bool {
        self.member_indent.is_none() && !self.in_constants
    }
}

impl Scanner<'_> {
    /// Closes and reopens types so that the one that encloses `token` by its indentation is the innermost.
    /// Returns whether nothing is left to do with `token`: it is a brace too many or was passed over.
    ///
    /// A `{` is one too many outside of types and behind that of a type; blocks are rare there.
    pub(super) fn realign(&mut self, token: Token) -> bool {
        let indent = self.lexer.indent(token.start);
        match (token.kind, indent) {
            (Kind::Symbol(b'}'), Some(indent)) => self.realign_brace(indent),
            (Kind::Word(_) | Kind::Symbol(b'@'), _) => {
                self.reopen(token, indent);
                let Some(indent) = indent else { return false };
                let is_statement = self.resume_body(token, indent);
                if !is_statement {
                    self.realign_member(token, indent);
                }
                is_statement
            }
            (Kind::Symbol(b'{'), None) => self.scopes.last().is_none_or(Scope::is_just_open),
            (Kind::Symbol(b'{'), Some(_)) if self.scopes.is_empty() => true,
            (Kind::Symbol(b'{'), Some(indent)) => {
                // Nobody indents a brace that was inserted by accident.
                let member = self.scopes.last().and_then(|scope| scope.member_indent);
                self.begin_member(member.unwrap_or(indent));
                false
            }
            _ => false,
        }
    }

    /// Passes over the rest of a body that a brace too many closed: statements, which are indented deeper than
    /// the members around them.
    fn resume_body(&mut self, token: Token, indent: usize) -> bool {
        let is_possible = self.cause == Some(Braces::Extra) && self.is_between_members;
        let scope =
            self.scopes.last().filter(|scope| is_possible && scope.is_indented() && !scope.in_constants);
        let deeper = scope.and_then(|scope| scope.member_indent).filter(|&member| indent > member);
        let Some(member) = deeper else { return false };
        if self.lexer.member_ahead(token.start) == Resemblance::Certain {
            return false;
        }
        self.begin_member(member);
        self.lexer.pos = token.start;
        self.body();
        true
    }

    /// Whether `token`, which stands where the body of a method should begin, is a statement in it, because
    /// the `{` is missing.
    pub(super) fn is_in_body(&self, token: Token) -> bool {
        let member = self.lexer.recovery.map(|member| member.indent);
        let indent = self.lexer.indent(token.start);
        indent.zip(member).is_some_and(|(indent, member)| indent > member)
    }

    /// Lets a `}` that begins its line close the type that begins at the same indentation.
    fn realign_brace(&mut self, indent: usize) -> bool {
        while self.scopes.len() > 1 && self.scopes.last().is_some_and(|scope| indent < scope.indent) {
            self.close();
        }
        self.scopes.last().is_some_and(|scope| scope.is_indented() && indent > scope.indent)
    }

    /// Ends the types that a declaration cannot belong to because it is not indented deeper than they are.
    fn realign_member(&mut self, token: Token, indent: usize) {
        while self.scopes.last().is_some_and(|scope| scope.is_indented() && indent <= scope.indent)
            && (self.scopes.len() > 1 || self.lexer.type_ahead(token.start))
        {
            self.close();
        }
        if let Some(scope) = self.scopes.last_mut() {
            scope.member_indent.get_or_insert(indent);
        }
        self.begin_member(indent);
    }

    fn begin_member(&mut self, indent: usize) {
        let is_indented = self.scopes.last().is_some_and(|scope| indent > scope.indent);
        self.lexer.recovery = Some(Member { indent, is_indented });
    }

    /// Reopens the top-level type that a brace too many closed, if `token` begins one of its members.
    fn reopen(&mut self, token: Token, indent: Option<usize>) {
        let Some(scope) = self.last_closed.filter(|_| self.scopes.is_empty()) else { return };
        let is_file_level = matches!(token.kind, Kind::Word(Word::Import | Word::Package));
        let is_deeper = scope.is_indented() && indent.is_some_and(|indent| indent > scope.indent);
        let mut is_left_over = || self.cause == Some(Braces::Extra) && !self.lexer.type_ahead(token.start);
        if !is_file_level && (is_deeper || is_left_over()) {
            self.scopes.push(Scope { in_constants: false, ..scope });
        }
    }
}

impl Lexer<'_> {
    /// Passes over the body of `member`. Returns whether a `}` ended it; otherwise
    /// it ended in front of a line that cannot belong to it, or with the file.
    pub(super) fn block_by_lines(&mut self, member: Member) -> bool {
        let mut depth = 1_usize;
        // Whether the body is indented deeper than the member: if nothing else tells, its first line does.
        let mut is_indented = member.is_indented.then_some(true);
        let mut at = self.pos;
        loop {
            at = self.find(at, class::LINES);
            match self.byte(at) {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                b'\n' | b'\r' => {
                    at = self.skip_blanks(at);
                    match self.line_in_block(at, member.indent, &mut is_indented) {
                        Line::Inside => {}
                        Line::Skipped(end) => at = end,
                        Line::ClosingBrace => depth = 0,
                        Line::Outside => {
                            self.pos = at;
                            return false;
                        }
                    }
                    if depth > 0 {
                        continue;
                    }
                }
                _ if at >= self.bytes.len() => {
                    self.pos = at;
                    return false;
                }
                _ => {
                    at = self.literal_end(at);
                    continue;
                }
            }
            at += 1;
            if depth == 0 {
                self.pos = at;
                return true;
            }
        }
    }

    /// Judges the line whose first visible character is at `at`, in the body of a member indented by `member`.
    fn line_in_block(&mut self, at: usize, member: usize, is_indented: &mut Option<bool>) -> Line {
        let byte = self.byte(at);
        let indent = self.indent(at).unwrap_or(usize::MAX);
        if byte == b'=' && self.bytes[at..].starts_with(b"=======") {
            return self.conflict_end(at).map_or(Line::Inside, Line::Skipped);
        }
        if matches!(byte, b'/' | 0) {
            return Line::Inside;
        }
        let is_indented = *is_indented.get_or_insert(indent > member);
        if byte == b'}' {
            return match indent.cmp(&member) {
                std::cmp::Ordering::Less if is_indented => Line::Outside,
                std::cmp::Ordering::Equal if is_indented => Line::ClosingBrace,
                _ => Line::Inside,
            };
        }
        let least = if is_indented { Resemblance::Possible } else { Resemblance::Certain };
        let is_outside = indent <= member && self.member_ahead(at) >= least;
        if is_outside { Line::Outside } else { Line::Inside }
    }

    /// Where the second half of a merge conflict ends. Passing over it keeps the braces of a body matched when
    /// both sides open the same blocks.
    fn conflict_end(&mut self, at: usize) -> Option<usize> {
        if self.open_conflict {
            return None;
        }
        let found = memmem::find(&self.bytes[at..], b"\n>>>>>>>");
        steps::count(found.unwrap_or(self.bytes.len() - at));
        self.open_conflict = found.is_none();
        Some(self.line_end(at + found? + 1))
    }

    fn skip_blanks(&self, at: usize) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let blanks =
            rest.iter().take_while(|&&byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0C)).count();
        steps::count(blanks);
        at + blanks
    }
}

/// What a line says about the body it seems to be in.
enum Line {
    Inside,
    /// Inside, and everything up to this offset as well.
    Skipped(usize),
    /// It begins with the brace that ends the body.
    ClosingBrace,
    Outside,
}
