//! What is known to fail, each with its reason: `conformance/expectations.toml`.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::vector::fits_glob;

/// Known failures and skips of all implementations.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    #[serde(default)]
    expect: Vec<Expectation>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    implementation: String,
    case: String,
    outcome: Outcome,
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Fails,
    Skips,
}

/// What is expected of a case, with the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected<'a> {
    /// It fails; that it passes is a failure.
    Fails(&'a str),
    /// It is not played.
    Skips(&'a str),
}

impl Expectations {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is no such file, or lacks a reason.
    pub fn load(path: &Path) -> Result<Self, String> {
        let named = |error: String| format!("{}: {error}", path.display());
        let text = fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        Self::parse(&text).map_err(named)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let read: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        match read.expect.iter().find(|one| one.reason.trim().is_empty()) {
            Some(one) => Err(format!("no reason is given for {} of {}", one.case, one.implementation)),
            None => Ok(read),
        }
    }

    /// What is expected of a case, if anything.
    #[must_use]
    pub fn of(&self, implementation: &str, id: &str) -> Option<Expected<'_>> {
        let one = self.about(implementation).find(|one| fits_glob(&one.case, id))?;
        Some(match one.outcome {
            Outcome::Fails => Expected::Fails(&one.reason),
            Outcome::Skips => Expected::Skips(&one.reason),
        })
    }

    /// The globs for this implementation that fit none of these ids.
    #[must_use]
    pub fn stale<'a>(&self, implementation: &str, ids: impl Iterator<Item = &'a str>) -> Vec<String> {
        let ids: Vec<&str> = ids.collect();
        let stale = |one: &&Expectation| !ids.iter().any(|id| fits_glob(&one.case, id));
        self.about(implementation).filter(stale).map(|one| one.case.clone()).collect()
    }

    fn about<'a>(&'a self, implementation: &str) -> impl Iterator<Item = &'a Expectation> {
        self.expect.iter().filter(move |one| one.implementation == implementation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        [[expect]]
        implementation = "mine"
        case = "chunks.*"
        outcome = "fails"
        reason = "no PacketChunk yet"

        [[expect]]
        implementation = "mine"
        case = "gone"
        outcome = "skips"
        reason = "it was there once"
    "#;

    #[test]
    fn an_entry_is_for_one_implementation_and_its_cases() {
        let read = Expectations::parse(TEXT).expect("it is right");
        assert_eq!(read.of("mine", "chunks.small"), Some(Expected::Fails("no PacketChunk yet")));
        assert_eq!((read.of("mine", "frames.a"), read.of("other", "chunks.small")), (None, None));
        assert_eq!(read.stale("mine", ["chunks.a"].into_iter()), ["gone"]);
        assert_eq!(read.stale("other", [].into_iter()), [""; 0]);
    }

    #[test]
    fn a_reason_must_be_given() {
        assert!(Expectations::parse(&TEXT.replace("no PacketChunk yet", " ")).is_err());
        assert!(Expectations::parse(&TEXT.replace("outcome", "outcom")).is_err());
    }
}
