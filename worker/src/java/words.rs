//! Sorts words into the few classes the scanner treats differently, and says how names read.

use std::borrow::Cow;

/// What a word means to the scanner. Contextual keywords (`record`, `sealed`, `permits`, …) are identifiers:
/// only their surroundings tell what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Anything that may be a name.
    Identifier,
    /// A modifier that never occurs inside a method body, so it proves that a declaration starts.
    Modifier,
    /// A modifier that bodies, parameter lists or switches may contain as well.
    LooseModifier,
    /// A primitive type.
    Primitive,
    /// `void`
    Void,
    /// `class`
    Class,
    /// `interface`
    Interface,
    /// `enum`
    Enum,
    /// `extends`, `super`: what bounds a type argument.
    Bound,
    /// `implements`
    Implements,
    /// `throws`
    Throws,
    /// `import`
    Import,
    /// `package`
    Package,
    /// A reserved word that ends an operand: `this`, `null`, `true`, `false`.
    Operand,
    /// Any other reserved word: it belongs to a statement or an expression.
    Reserved,
}

impl Word {
    /// Classifies the bytes of one word.
    pub(super) fn of(bytes: &[u8]) -> Self {
        // Most names start with a capital, hold one or are long: this spares them the comparisons.
        if !(2..=12).contains(&bytes.len()) || !bytes[0].is_ascii_lowercase() {
            return Self::Identifier;
        }
        match bytes {
            b"public" | b"private" | b"protected" | b"static" | b"abstract" | b"native" | b"transient"
            | b"volatile" | b"strictfp" => Self::Modifier,
            b"final" | b"synchronized" | b"default" => Self::LooseModifier,
            b"int" | b"boolean" | b"long" | b"byte" | b"char" | b"short" | b"double" | b"float" => {
                Self::Primitive
            }
            b"void" => Self::Void,
            b"class" => Self::Class,
            b"interface" => Self::Interface,
            b"enum" => Self::Enum,
            b"extends" | b"super" => Self::Bound,
            b"implements" => Self::Implements,
            b"throws" => Self::Throws,
            b"import" => Self::Import,
            b"package" => Self::Package,
            b"this" | b"null" | b"true" | b"false" => Self::Operand,
            b"return" | b"if" | b"else" | b"for" | b"while" | b"do" | b"switch" | b"case" | b"break"
            | b"continue" | b"try" | b"catch" | b"finally" | b"throw" | b"new" | b"instanceof"
            | b"assert" | b"goto" | b"const" => Self::Reserved,
            _ => Self::Identifier,
        }
    }

    /// Whether the word can only stand where a declaration starts, never inside parentheses or an expression
    /// (class literals excepted: the caller knows what precedes).
    pub(super) fn starts_declaration(self) -> bool {
        matches!(
            self,
            Self::Modifier
                | Self::Void
                | Self::Class
                | Self::Interface
                | Self::Enum
                | Self::Import
                | Self::Package
        )
    }
}

/// `name` without the characters that Java ignores in identifiers (JLS 3.8): names that differ only by them
/// are the same name, and nobody would find one by typing them.
pub(super) fn visible(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| matches!(byte, b'!'..=b'~')) || !name.contains(is_ignorable) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().filter(|&character| !is_ignorable(character)).collect())
}

/// `Character.isIdentifierIgnorable`: control characters that are no white space, and format characters.
pub(super) fn is_ignorable(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{8}'
            | '\u{e}'..='\u{1b}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}'
            | '\u{e0020}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::{Word, visible};

    #[test]
    fn ignorable_characters_vanish_from_names() {
        assert_eq!(visible("na\u{200d}me\u{1}"), "name");
        assert_eq!(visible("größe_$1"), "größe_$1");
    }

    #[test]
    fn only_reserved_words_are_special() {
        assert_eq!(Word::of(b"public"), Word::Modifier);
        assert_eq!(Word::of(b"synchronized"), Word::LooseModifier);
        assert_eq!(Word::of(b"do"), Word::Reserved);
        for name in
            ["record", "sealed", "permits", "yield", "var", "module", "open", "when", "non", "Public", "x"]
        {
            assert_eq!(Word::of(name.as_bytes()), Word::Identifier, "{name}");
        }
    }
}
