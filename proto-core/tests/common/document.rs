//! The specification, and the bytes in it.

use std::collections::BTreeMap;

pub(crate) const DOCUMENT: &str = include_str!("../../../docs/PROTOCOL.md");

/// The fenced blocks `hex NAME`. A token is two hex digits, or `61x4096` for a repeated byte; `;` begins a comment.
pub(crate) fn examples() -> BTreeMap<&'static str, Vec<u8>> {
    let mut examples = BTreeMap::new();
    let mut current = None;
    for line in DOCUMENT.lines() {
        if let Some(name) = line.trim().strip_prefix("```hex ") {
            assert!(examples.insert(name, Vec::new()).is_none(), "two examples are named {name}");
            current = Some(name);
        } else if line.trim() == "```" {
            current = None;
        } else if let Some(name) = current {
            let code = line.split(';').next().unwrap_or_default();
            for token in code.split_whitespace() {
                let (byte, count) = token.split_once('x').unwrap_or((token, "1"));
                let byte = u8::from_str_radix(byte, 16).unwrap_or_else(|_| panic!("{token} in {name}"));
                let count: usize = count.parse().unwrap_or_else(|_| panic!("{token} in {name}"));
                examples.get_mut(name).expect("just inserted").extend(vec![byte; count]);
            }
        }
    }
    examples
}
