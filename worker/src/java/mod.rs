//! Reads the declarations out of Java source text.
//!
//! This is no parser of Java: it reads declarations token by token and passes over everything else (bodies,
//! initialisers, arguments) by matching brackets, which is several times faster and does not depend on what
//! is inside. The stages, one module each:
//!
//! 1. `unescape` resolves `\uXXXX`, which may stand anywhere, so that nothing behind it needs to know of them.
//! 2. `lexer` makes tokens; `skip`, `initializer` and `lookahead` pass over or judge groups of them.
//! 3. `scan`, `members` and `types` recognise declarations; `sink` collects them and `position` says where
//!    they are in the source as written.
//! 4. If the braces of a file do not match, `recovery` reads it once more, guided by its indentation.

mod initializer;
mod lexer;
mod lookahead;
mod members;
mod position;
mod recovery;
mod scan;
mod sink;
mod skip;
mod steps;
mod types;
mod unescape;
mod words;

use self::scan::{Braces, Scanner};
use self::unescape::Source;
use crate::Outline;

/// Extracts every declaration of `text`; broken code yields what can be read.
///
/// Declared are types, methods, constructors, fields, enum constants, record components, annotation elements
/// and modules, but nothing inside of bodies and initialisers and nothing that a compiler adds. Types nested more
/// than 1,024 deep, and those whose members would have a container of more than 4,096 bytes, are declared without members.
/// No name is empty. It never fails, takes time in proportion to the text, and does not recurse.
#[must_use]
pub fn extract(text: &str) -> Outline {
    let source = Source::new(text);
    let (outline, braces) = Scanner::new(&source, None).run();
    if braces == Braces::Matched {
        return outline;
    }
    Scanner::new(&source, Some(braces)).run().0
}
