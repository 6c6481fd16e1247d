//! What people type around a name: arguments, type arguments, other separators, names of files.

use nova_proto_core::messages::SymbolKind;

use super::KindSet;
use super::words::fold;

/// What ends a qualifier.
pub(super) const SEPARATORS: [char; 4] = ['.', '#', ':', '/'];

/// A query without what belongs to no name.
#[derive(Debug)]
pub(super) struct Typed {
    pub(super) text: String,
    /// What the marks around the name leave of the wanted kinds.
    pub(super) kinds: KindSet,
    /// Whether something that is called is sought: there are parentheses.
    pub(super) is_call: bool,
}

impl Typed {
    /// Reads what the user typed.
    pub(super) fn read(text: &str, kinds: KindSet) -> Self {
        let is_kept = |c: &char| !c.is_whitespace() && !matches!(c, '*' | '[' | ']' | ',' | ';');
        let text: String = text.chars().filter(is_kept).collect();
        let (text, is_call) = text.split_once('(').map_or((&*text, false), |(callee, _)| (callee, true));
        let text = without_type_arguments(text);
        let text = without_file_type(&text);
        let (text, is_annotation) = text.strip_prefix('@').map_or((text, false), |name| (name, true));
        let wanted = |&kind: &SymbolKind| {
            (!is_call || is_callable(kind)) && (!is_annotation || kind == SymbolKind::Annotation)
        };
        Self { text: with_dots(text), kinds: kinds.iter().filter(wanted).collect(), is_call }
    }
}

fn is_callable(kind: SymbolKind) -> bool {
    matches!(kind, SymbolKind::Method | SymbolKind::Constructor | SymbolKind::Element)
}

/// Leaves out what stands between `<` and `>`, also where these do not match.
fn without_type_arguments(text: &str) -> String {
    let mut depth = 0_usize;
    let is_outside = |&c: &char| match c {
        '<' => {
            depth += 1;
            false
        }
        '>' => {
            depth = depth.saturating_sub(1);
            false
        }
        _ => depth == 0,
    };
    text.chars().filter(is_outside).collect()
}

/// `HashMap` for `HashMap.java` and `HashMap.java:612`.
fn without_file_type(text: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut file = text;
    while let Some((rest, _)) = file.rsplit_once(':').filter(|(_, line)| is_number(line)) {
        file = rest;
    }
    file.strip_suffix(".java").filter(|name| !name.is_empty()).unwrap_or(file)
}

/// `Map.Entry` for `Map$Entry`, the name of its class file. Other dollar signs are letters.
fn with_dots(text: &str) -> String {
    let mut before = None;
    let mut rest = text.chars().peekable();
    let next = || {
        let c = rest.next()?;
        let is_inside = before.replace(c).is_some_and(|before| !SEPARATORS.contains(&before));
        let is_upper = rest.peek().is_some_and(|&after| fold(after) != after);
        Some(if c == '$' && is_inside && is_upper { '.' } else { c })
    };
    std::iter::from_fn(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_and_separators_remain() {
        for (typed, expected) in [
            (" hash map ", "hashmap"),
            ("Hash*", "Hash"),
            ("String[]", "String"),
            ("Map<K, List<V>>.Entry", "Map.Entry"),
            ("List<Map<String", "List"),
            ("a->b>", "a-b"),
            ("put(K key, V value)", "put"),
            ("java.util.HashMap.put(HashMap.java:612)", "java.util.HashMap.put"),
            ("HashMap.java", "HashMap"),
            ("HashMap.java:612:7", "HashMap"),
            (".java", ".java"),
            ("java", "java"),
            ("Map::put", "Map::put"),
            ("UTF:8x", "UTF:8x"),
            ("Map$Entry$X", "Map.Entry.X"),
            ("access$100", "access$100"),
            ("$Proxy", "$Proxy"),
            ("a.$Proxy", "a.$Proxy"),
            ("map$entry", "map$entry"),
            ("$", "$"),
        ] {
            assert_eq!(Typed::read(typed, KindSet::ALL).text, expected, "{typed}");
        }
    }

    #[test]
    fn marks_leave_the_kinds_they_stand_for() {
        let kinds = |typed| Typed::read(typed, KindSet::ALL).kinds.iter().collect::<Vec<_>>();
        assert_eq!(kinds("put("), [SymbolKind::Method, SymbolKind::Constructor, SymbolKind::Element]);
        assert_eq!(kinds("@Over"), [SymbolKind::Annotation]);
        assert_eq!(kinds("@Over(").len(), 0);
        assert!(Typed::read("put(", KindSet::ALL).is_call && !Typed::read("put", KindSet::ALL).is_call);
    }
}
