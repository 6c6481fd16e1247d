//! What the extractor reads out of one file: its declarations, compactly.

use nova_proto_core::messages::SymbolKind;

/// The declarations of one Java file, in source order; a type comes before its members.
///
/// All names share one allocation, so an outline costs 20 bytes a symbol plus the names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    package: Box<str>,
    names: String,
    entries: Vec<Entry>,
}

/// One declaration as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    name_start: u32,
    name_len: u16,
    kind: SymbolKind,
    /// Index of the enclosing type, or [`NO_PARENT`].
    parent: u32,
    line: u32,
    column: u32,
}

const NO_PARENT: u32 = u32::MAX;

/// One declaration, borrowed from its [`Outline`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declaration<'a> {
    /// The simple name; of a module the qualified one. Unicode escapes are resolved.
    pub name: &'a str,
    /// What it is.
    pub kind: SymbolKind,
    /// Index of the enclosing type's declaration in the same outline.
    pub parent: Option<u32>,
    /// 1-based line of the name.
    pub line: u32,
    /// 1-based column of the name's first character, in UTF-16 units of the source as written.
    pub column: u32,
}

impl Outline {
    /// An outline without declarations in `package` (empty: the unnamed package).
    #[must_use]
    pub fn new(package: &str) -> Self {
        Self { package: package.into(), ..Self::default() }
    }

    /// Appends a declaration and returns its index, or `None` if its name is longer than Java allows
    /// (65,535 bytes; JVMS 4.4.7) or the outline is full (2³² − 1 bytes of names).
    pub fn push(&mut self, declaration: Declaration<'_>) -> Option<u32> {
        let Declaration { name, kind, parent, line, column } = declaration;
        let index = u32::try_from(self.entries.len()).ok().filter(|&index| index != NO_PARENT)?;
        let name_start = u32::try_from(self.names.len()).ok()?;
        let name_len = u16::try_from(name.len()).ok()?;
        self.names.push_str(name);
        let parent = parent.unwrap_or(NO_PARENT);
        self.entries.push(Entry { name_start, name_len, kind, parent, line, column });
        Some(index)
    }

    /// Says which package the file declares.
    pub fn set_package(&mut self, package: &str) {
        self.package = package.into();
    }

    /// Gives back the memory that growing left unused.
    pub fn shrink_to_fit(&mut self) {
        self.names.shrink_to_fit();
        self.entries.shrink_to_fit();
    }

    /// The package the file declares; empty for the unnamed one.
    #[must_use]
    pub fn package(&self) -> &str {
        &self.package
    }

    /// How many declarations there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The declaration at `index`.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<Declaration<'_>> {
        self.entries.get(index as usize).map(|entry| self.view(entry))
    }

    /// All declarations in source order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Declaration<'_>> {
        self.entries.iter().map(|entry| self.view(entry))
    }

    /// Package and enclosing types of the declaration at `index`, joined with dots; empty at the top level of
    /// the unnamed package and for modules.
    #[must_use]
    pub fn container(&self, index: u32) -> String {
        let Some(declaration) = self.get(index) else { return String::new() };
        if declaration.kind == SymbolKind::Module {
            return String::new();
        }
        let mut types = Vec::new();
        let mut parent = declaration.parent;
        while let Some(outer) = parent.and_then(|index| self.get(index)) {
            types.push(outer.name);
            parent = outer.parent;
        }
        let package = Some(&*self.package).filter(|package| !package.is_empty());
        package.into_iter().chain(types.into_iter().rev()).collect::<Vec<_>>().join(".")
    }

    fn view(&self, entry: &Entry) -> Declaration<'_> {
        let start = entry.name_start as usize;
        Declaration {
            name: self.names.get(start..start + usize::from(entry.name_len)).unwrap_or_default(),
            kind: entry.kind,
            parent: Some(entry.parent).filter(|&parent| parent != NO_PARENT),
            line: entry.line,
            column: entry.column,
        }
    }
}
