//! What the runner takes from `docs/PROTOCOL.md` itself: the rules with their texts, and the names of codes.

use std::sync::LazyLock;

const TEXT: &str = include_str!("../../../docs/PROTOCOL.md");

/// One sentence with MUST or MUST NOT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// `R-4-1`.
    pub id: &'static str,
    /// The sentence and its outcome.
    pub text: &'static str,
}

/// All rules, in the document's order.
pub fn rules() -> &'static [Rule] {
    static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
        let rule = |line: &'static str| {
            let (id, text) = line.strip_prefix("- **")?.split_once("** ")?;
            id.starts_with("R-").then_some(Rule { id, text })
        };
        TEXT.lines().filter_map(rule).collect()
    });
    &RULES
}

/// The rule with this id.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    rules().iter().find(|rule| rule.id == id)
}

/// The name of a close code.
#[must_use]
pub fn close_code(number: u64) -> Option<&'static str> {
    static CODES: LazyLock<Vec<(u64, &str)>> = LazyLock::new(|| registry("### 21.2 Close codes"));
    CODES.iter().find(|(code, _)| *code == number).map(|(_, name)| *name)
}

/// All close codes, with their names.
pub fn close_codes() -> Vec<(u64, &'static str)> {
    registry("### 21.2 Close codes")
}

/// The name of an error code.
#[must_use]
pub fn error_code(number: u64) -> Option<&'static str> {
    static CODES: LazyLock<Vec<(u64, &str)>> = LazyLock::new(|| registry("### 21.3 Error codes"));
    CODES.iter().find(|(code, _)| *code == number).map(|(_, name)| *name)
}

/// Number and name of each row of the table behind a heading.
fn registry(heading: &str) -> Vec<(u64, &'static str)> {
    let behind = TEXT.split_once(heading).map_or("", |(_, rest)| rest);
    let section = behind.split("\n#").next().unwrap_or_default();
    let row = |line: &'static str| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?.parse().ok()?, cells.next()?))
    };
    section.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_read() {
        assert!(rules().len() > 200, "{}", rules().len());
        assert!(rules().iter().all(|rule| rule.id.starts_with("R-") && rule.text.contains("MUST")));
        assert_eq!(
            rule("R-4-1").map(|rule| rule.text),
            Some("A frame's length MUST NOT be 0. → close `FRAME_EMPTY`")
        );
        assert_eq!((close_code(10), close_code(9)), (Some("BAD_PREFACE"), None));
        assert_eq!((error_code(258), close_codes().len()), (Some("NOT_IN_MANIFEST"), 40));
    }
}
