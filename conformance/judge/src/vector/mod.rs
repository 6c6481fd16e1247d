//! The vectors as data: `docs/CONFORMANCE.md` says what each field means, `schema/v1.json` which are allowed.

mod bytes;
mod pattern;
mod step;
mod suite;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use bytes::{Bytes, SplitMix64, from_hex, to_hex};
pub use pattern::{EventPattern, FieldsPattern, FramePattern};
pub use step::{Input, LastFrame, StateBounds, Step, Take, WantedEnd};
pub use suite::{Selection, Suite, Untestable, fits_glob};

use crate::subject::{Application, Config, Role};

/// The schema's name in every file.
pub const SCHEMA: &str = "nova-conformance-v1";

/// The protocol's version in every file.
pub const PROTOCOL: &str = "3.0";

/// One file of vectors.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct File {
    /// [`SCHEMA`].
    pub schema: String,
    /// [`PROTOCOL`].
    pub protocol: String,
    /// The group's name.
    pub group: String,
    /// What it is about.
    pub about: String,
    /// Whether a loop made it.
    pub generated: bool,
    /// Length of `cases`.
    pub number_of_cases: usize,
    /// What cases start from.
    pub presets: BTreeMap<String, Preset>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// What a case starts from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The subject's.
    pub role: Role,
    /// What answers.
    pub application: Application,
    /// How to configure the subject.
    pub subject: Config,
    /// What the simulated peer declares.
    pub peer: Config,
    /// Steps before those of the case.
    pub opening: Vec<Step>,
}

/// What sort of thing a case is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub enum Class {
    Positive,
    Malformed,
    Invalid,
    Exhaustion,
    Liveness,
}

/// What must become of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub enum Verdict {
    Valid,
    Invalid,
    Acceptable,
}

/// How `rx` is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Not at all.
    Whole,
    /// Each byte alone.
    Bytes,
    /// By the seed.
    Random,
}

/// Where a case is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Without sockets, in virtual time.
    InProcess,
    /// Over a socket.
    Live,
}

/// How a case may be played.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub struct Vary {
    pub split: Vec<Split>,
    pub transport: Vec<Transport>,
}

impl Default for Vary {
    fn default() -> Self {
        Self {
            split: vec![Split::Whole, Split::Bytes, Split::Random],
            transport: vec![Transport::InProcess, Transport::Live],
        }
    }
}

/// What a subject may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub enum Requirement {
    Zstd,
    OtherVersions,
    NextId,
    Nova,
}

/// One case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub struct Case {
    pub id: String,
    pub about: String,
    pub preset: String,
    pub class: Class,
    pub result: Verdict,
    pub covers: Vec<String>,
    #[serde(default)]
    pub requires: Vec<Requirement>,
    #[serde(default)]
    pub vary: Vary,
    pub steps: Vec<Step>,
    #[serde(default)]
    pub branches: Vec<Branch>,
}

/// One way in which an `acceptable` case may go on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub struct Branch {
    pub label: String,
    pub preferred: bool,
    pub why: String,
    pub steps: Vec<Step>,
}
