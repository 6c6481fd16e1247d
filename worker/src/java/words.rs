//! Sorts words into the few classes the scanner treats differently.

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

#[cfg(test)]
mod tests {
    use super::Word;

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
