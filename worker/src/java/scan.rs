//! The scanner: walks over a file from one member to the next and keeps track of the enclosing types.

use nova_proto_core::messages::SymbolKind;

use super::lexer::{Kind, Lexer, Token};
use super::recovery::Member;
use super::sink::Sink;
use super::unescape::Source;
use super::words::Word;
use crate::Outline;

/// Types nested deeper than this have no members. It is far beyond what compilers accept, and keeps naming a
/// symbol's containers cheap.
const MAX_NESTING: usize = 1024;

/// Nor have types whose members would have a longer container, in bytes: each symbol that is found or listed comes with
/// its own, and a single name may take 65,535. A package as long is left out; no file's path could be that long.
const MAX_CONTAINER: usize = 4096;

/// A type whose body is being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    pub(super) kind: SymbolKind,
    /// The declaration of the type; if the type has no name, that of the type around it.
    pub(super) symbol: Option<u32>,
    pub(super) name: Option<Token>,
    /// How many bytes the container of the members has.
    pub(super) container: usize,
    /// Whether enum constants come next.
    pub(super) in_constants: bool,
    /// How far the type and its first member are indented; known only while recovering.
    pub(super) indent: usize,
    pub(super) member_indent: Option<usize>,
}

/// What a pass over a file found out about its braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Braces {
    /// They match.
    Matched,
    /// Some are not closed, or a comment or text block is not.
    Open,
    /// There is a `}` too many.
    Extra,
}

/// Reads one file.
///
/// The scanner hardly has any state: modifiers, annotations and type parameters in front of a member change
/// nothing about it, so the main loop passes over them one by one and a half-typed one does no harm.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    pub(super) lexer: Lexer<'a>,
    pub(super) sink: Sink<'a>,
    pub(super) scopes: Vec<Scope>,
    pub(super) braces: Braces,
    /// Whether the file is in a package, so that nothing but types may stand at its top.
    in_package: bool,
    /// Whether a type has begun, so that it is too late for a package.
    pub(super) had_type: bool,
    /// The top-level type that was closed last, which a `}` too many may have closed too early.
    pub(super) last_closed: Option<Scope>,
    /// Whether the last thing read was a whole member and not just something in front of one.
    pub(super) is_between_members: bool,
    /// In a second pass, what the first one found.
    pub(super) cause: Option<Braces>,
}

impl<'a> Scanner<'a> {
    /// A scanner for the usual, strict pass, or with `cause` for another one over a file with broken braces.
    pub(super) fn new(source: &'a Source<'a>, cause: Option<Braces>) -> Self {
        let mut lexer = Lexer::new(source.text().as_bytes());
        lexer.recovery = cause.map(|_| Member::default());
        Self {
            lexer,
            sink: Sink::new(source),
            scopes: Vec::new(),
            braces: Braces::Matched,
            in_package: false,
            had_type: false,
            last_closed: None,
            is_between_members: true,
            cause,
        }
    }

    /// Reads the whole file.
    pub(super) fn run(mut self) -> (Outline, Braces) {
        loop {
            let token = self.lexer.token();
            if self.cause.is_some() && self.realign(token) {
                continue;
            }
            if token.kind == Kind::End {
                break;
            }
            if self.scopes.last().is_some_and(|scope| scope.in_constants) {
                self.constant(token);
            } else {
                self.item(token);
            }
            self.is_between_members = !matches!(
                token.kind,
                Kind::Word(Word::Modifier | Word::LooseModifier) | Kind::Symbol(b'@' | b'<')
            );
        }
        if self.braces == Braces::Matched && (!self.scopes.is_empty() || self.lexer.is_unterminated()) {
            self.braces = Braces::Open;
        }
        (self.sink.finish(), self.braces)
    }

    /// Reads what `token` begins between two members: a member, or something in front of one.
    pub(super) fn item(&mut self, token: Token) {
        match token.kind {
            Kind::Word(word) => self.word(token, word),
            Kind::Symbol(b'}') => self.close(),
            Kind::Symbol(b'{') => self.body(),
            Kind::Symbol(b'(') => {
                self.lexer.parentheses();
            }
            Kind::Symbol(b'@') => self.at_sign(),
            Kind::Symbol(b'<') => {
                if !self.lexer.conflict_marker(token) {
                    self.lexer.angles();
                }
            }
            Kind::Symbol(_) => {
                self.lexer.conflict_marker(token);
            }
            Kind::Literal | Kind::End => {}
        }
    }

    fn word(&mut self, token: Token, word: Word) {
        match word {
            Word::Modifier | Word::LooseModifier => {}
            Word::Class => self.type_declaration(SymbolKind::Class),
            Word::Interface => self.type_declaration(SymbolKind::Interface),
            Word::Enum => self.type_declaration(SymbolKind::Enum),
            Word::Import => self.import(),
            Word::Package => self.package(),
            Word::Identifier if self.contextual(token) => {}
            Word::Identifier | Word::Primitive | Word::Void => {
                self.expect_type();
                self.member(token);
            }
            Word::Bound | Word::Implements | Word::Throws => {}
            Word::Operand | Word::Reserved => self.statement(),
        }
    }

    /// What comes is no type. Behind one, at the top of a file in a package, that means that a `}` has closed it too
    /// early; the braces may match all the same if lines have changed places.
    fn expect_type(&mut self) {
        if self.scopes.is_empty() && self.in_package && self.last_closed.is_some() {
            self.braces = Braces::Extra;
        }
    }

    /// Reads an annotation or annotation type whose `@` was just read.
    pub(super) fn at_sign(&mut self) {
        let next = self.lexer.peek();
        if next.kind == Kind::Word(Word::Interface) {
            self.lexer.pos = next.end;
            self.type_declaration(SymbolKind::Annotation);
        } else {
            self.lexer.annotation();
        }
    }

    /// Reads what a contextual keyword begins, if `token` is one.
    fn contextual(&mut self, token: Token) -> bool {
        match self.lexer.bytes_of(token) {
            b"record" if self.lexer.is_record() => self.type_declaration(SymbolKind::Record),
            b"sealed" => return self.is_sealed_modifier(),
            b"non" => {
                let next = self.lexer.peek();
                return next.kind == Kind::Symbol(b'-')
                    && self.lexer.bytes[next.end..].starts_with(b"sealed")
                    && {
                        self.lexer.pos = next.end + b"sealed".len();
                        true
                    };
            }
            b"module" | b"open" if self.scopes.is_empty() => return self.module(token),
            _ => return false,
        }
        true
    }

    /// Whether `sealed` is a modifier here and not the name of a type in older code.
    fn is_sealed_modifier(&mut self) -> bool {
        matches!(
            self.lexer.peek().kind,
            Kind::Word(Word::Modifier | Word::LooseModifier | Word::Class | Word::Interface)
                | Kind::Symbol(b'@')
        )
    }

    /// Reads a module declaration whose first word, `module` or `open`, is `first`.
    fn module(&mut self, first: Token) -> bool {
        let start = self.lexer.pos;
        let is_open = self.lexer.bytes_of(first) == b"open";
        let keyword = if is_open { self.lexer.token() } else { first };
        let at = self.lexer.peek();
        let name = self.qualified_name();
        let found = self.lexer.bytes_of(keyword) == b"module" && !name.is_empty() && self.lexer.take(b'{');
        if found {
            self.sink.declare_as(SymbolKind::Module, &name, at, None);
            self.body();
        } else {
            self.lexer.pos = start;
        }
        found
    }

    /// Reads a package declaration. Inside of a type the word is a slip, and behind one the package stays what it is.
    fn package(&mut self) {
        if !self.scopes.is_empty() {
            return;
        }
        let name = self.qualified_name();
        self.lexer.take(b';');
        if self.had_type || name.is_empty() {
            return;
        }
        self.in_package = true;
        if name.len() <= MAX_CONTAINER {
            self.sink.set_package(&name);
        }
    }

    /// Passes over an import. One that lacks its semicolon ends where the next line does not continue it.
    fn import(&mut self) {
        let mut previous = self.lexer.peek();
        if self.lexer.bytes_of(previous) == b"static" {
            self.lexer.pos = previous.end;
        }
        let mut after_name = false;
        loop {
            let token = self.lexer.token();
            match token.kind {
                Kind::Symbol(b';') => return,
                Kind::Symbol(b'.' | b'*') => after_name = false,
                Kind::Word(Word::Identifier)
                    if !(after_name && self.lexer.is_line_between(previous, token)) =>
                {
                    after_name = true;
                }
                _ => return self.lexer.pos = token.start,
            }
            previous = token;
        }
    }

    /// Reads names joined with dots; empty if there is none. A dot without a name behind it is passed over.
    fn qualified_name(&mut self) -> String {
        let mut name = String::new();
        loop {
            let part = self.lexer.peek();
            if part.kind != Kind::Word(Word::Identifier) {
                return name;
            }
            self.lexer.pos = part.end;
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&self.sink.text(part));
            if !self.lexer.take(b'.') {
                return name;
            }
        }
    }

    /// Passes over a block that contains no symbols; its `{` was just read.
    pub(super) fn body(&mut self) {
        self.lexer.block();
    }

    /// Passes over what is left of a statement that stands where only declarations may.
    pub(super) fn statement(&mut self) {
        loop {
            let token = self.lexer.token();
            match token.kind {
                Kind::Symbol(b';') => return,
                Kind::Symbol(b'(') => {
                    self.lexer.parentheses();
                }
                Kind::Symbol(b'{' | b'}') | Kind::End => return self.lexer.pos = token.start,
                Kind::Word(word) if word.starts_declaration() => return self.lexer.pos = token.start,
                _ => {}
            }
        }
    }

    /// How many bytes the container of the members has of a type that begins here; `None` if they are passed over.
    pub(super) fn container_inside(&self, name: Option<Token>) -> Option<usize> {
        let outer = self.scopes.last().map_or_else(|| self.sink.package().len(), |scope| scope.container);
        let name = name.map_or(0, |name| self.sink.text(name).len() + usize::from(outer > 0));
        Some(outer + name).filter(|&bytes| bytes <= MAX_CONTAINER && self.scopes.len() < MAX_NESTING)
    }

    /// Enters the body of a type; its `{` was just read.
    pub(super) fn open(
        &mut self,
        kind: SymbolKind,
        name: Option<Token>,
        symbol: Option<u32>,
        container: usize,
    ) {
        self.scopes.push(Scope {
            kind,
            symbol: symbol.or_else(|| self.enclosing()),
            name,
            container,
            in_constants: kind == SymbolKind::Enum,
            indent: self.lexer.recovery.map_or(0, |member| member.indent),
            member_indent: None,
        });
    }

    /// Leaves the body of the innermost type.
    pub(super) fn close(&mut self) {
        let Some(scope) = self.scopes.pop() else {
            self.braces = Braces::Extra;
            return;
        };
        if self.scopes.is_empty() {
            self.last_closed = Some(scope);
        }
    }

    /// The declaration of the innermost type.
    pub(super) fn enclosing(&self) -> Option<u32> {
        self.scopes.last()?.symbol
    }

    /// Whether `name` is that of the innermost type.
    pub(super) fn names_enclosing(&self, name: Token) -> bool {
        let enclosing = self.scopes.last().and_then(|scope| scope.name);
        enclosing.is_some_and(|enclosing| self.lexer.bytes_of(enclosing) == self.lexer.bytes_of(name))
    }
}
