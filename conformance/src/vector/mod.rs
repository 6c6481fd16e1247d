//! The vectors as data: `docs/CONFORMANCE.md` says what each field means, `schema/v1.json` which are allowed.

mod bytes;
mod suite;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

pub use bytes::{Bytes, SplitMix64, from_hex, to_hex};
pub use suite::{Selection, Suite, Untestable, fits_glob};

use crate::subject::{Application, Config, End, Role};
use crate::wire;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, clap::ValueEnum)]
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

/// One input and everything that must come of it. Which field is the input, [`Step::input`] tells.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub struct Step {
    start: Option<bool>,
    rx: Option<Bytes>,
    eof: Option<bool>,
    advance: Option<u32>,
    transport: Option<Take>,
    #[serde(rename = "do")]
    command: Option<Command>,
    state: Option<StateBounds>,
    decode: Option<String>,
    encode: Option<String>,
    compute: Option<String>,
    bytes: Option<Bytes>,
    args: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    value: Option<Value>,
    error: Option<String>,
    pub diag: Option<String>,
    #[serde(default)]
    pub tx: Vec<FramePattern>,
    #[serde(default)]
    pub events: Vec<EventPattern>,
    order: Option<Order>,
    pub end: Option<WantedEnd>,
}

/// A value that is there, `null` too.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    Any,
}

/// What a step gives to the subject.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub enum Input<'a> {
    Start,
    Rx(&'a Bytes),
    Eof,
    Advance(u32),
    Transport(Take),
    Do(&'a Command),
    State(&'a StateBounds),
    Decode { name: &'a str, bytes: &'a Bytes, wanted: Result<Option<&'a Value>, &'a str> },
    Encode { name: &'a str, value: &'a Value, bytes: &'a Bytes },
    Compute { function: &'a str, args: &'a Value, value: &'a Value },
}

impl Step {
    /// The input.
    ///
    /// # Errors
    /// If the step has none, or more than one, or lacks what belongs to it.
    pub fn input(&self) -> Result<Input<'_>, String> {
        let mut found = [
            self.start.map(|_| Input::Start),
            self.rx.as_ref().map(Input::Rx),
            self.eof.map(|_| Input::Eof),
            self.advance.map(Input::Advance),
            self.transport.map(Input::Transport),
            self.command.as_ref().map(Input::Do),
            self.state.as_ref().map(Input::State),
            self.decode.as_deref().map(|name| self.decoding(name)).transpose()?,
            self.encode.as_deref().map(|name| self.encoding(name)).transpose()?,
            self.compute.as_deref().map(|function| self.computing(function)).transpose()?,
        ]
        .into_iter()
        .flatten();
        match (found.next(), found.next()) {
            (Some(input), None) => Ok(input),
            (None, _) => Err("a step without an input".to_owned()),
            (Some(_), Some(_)) => Err("a step with two inputs".to_owned()),
        }
    }

    fn decoding<'a>(&'a self, name: &'a str) -> Result<Input<'a>, String> {
        let bytes = self.bytes.as_ref().ok_or("decode lacks bytes")?;
        let wanted = match (&self.error, &self.value) {
            (Some(_), Some(_)) => return Err("decode has both a value and an error".to_owned()),
            (Some(error), None) => Err(error.as_str()),
            (None, value) => Ok(value.as_ref()),
        };
        Ok(Input::Decode { name, bytes, wanted })
    }

    fn encoding<'a>(&'a self, name: &'a str) -> Result<Input<'a>, String> {
        let value = self.value.as_ref().ok_or("encode lacks a value")?;
        Ok(Input::Encode { name, value, bytes: self.bytes.as_ref().ok_or("encode lacks bytes")? })
    }

    fn computing<'a>(&'a self, function: &'a str) -> Result<Input<'a>, String> {
        let args = self.args.as_ref().ok_or("compute lacks args")?;
        Ok(Input::Compute { function, args, value: self.value.as_ref().ok_or("compute lacks a value")? })
    }

    /// Whether the peer sends bytes in this step.
    #[must_use]
    pub fn is_rx(&self) -> bool {
        self.rx.is_some()
    }

    /// Whether the order of what comes is free.
    #[must_use]
    pub fn any_order(&self) -> bool {
        self.order.is_some() || self.end.is_some()
    }
}

/// How many bytes more the transport takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "TakeWritten")]
pub enum Take {
    /// No limit.
    All,
    /// So many.
    Bytes(u32),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TakeWritten {
    Bytes(u32),
    All(AllWritten),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum AllWritten {
    All,
}

impl From<TakeWritten> for Take {
    fn from(written: TakeWritten) -> Self {
        match written {
            TakeWritten::Bytes(count) => Self::Bytes(count),
            TakeWritten::All(AllWritten::All) => Self::All,
        }
    }
}

/// What the subject may hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub struct StateBounds {
    pub served: Option<u64>,
    pub calls: Option<u64>,
    pub held_max: Option<u64>,
}

/// What the application does.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, tag = "name", rename_all = "snake_case")]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub enum Command {
    Accept {
        app: Option<String>,
    },
    Reject {
        code: u16,
        retry_after_ms: Option<u32>,
        message: Option<String>,
    },
    Call(Box<CallCommand>),
    Cancel {
        call: String,
    },
    Respond {
        id: String,
        body: Option<Bytes>,
    },
    RespondError {
        id: String,
        code: u16,
        retry: Option<u8>,
        retry_after_ms: Option<u32>,
        message: Option<String>,
    },
    Fail {
        id: String,
    },
    Drain {
        deadline_ms: u32,
    },
    Close {
        code: Option<u16>,
    },
}

/// A call to make.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub struct CallCommand {
    pub call: String,
    pub method: Option<u16>,
    pub body: Option<Bytes>,
    pub reply_max: Option<u32>,
    pub deadline_ms: Option<u32>,
    pub trace: Option<String>,
    pub within: Option<String>,
}

/// How the connection must end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub struct WantedEnd {
    pub code: Option<u16>,
    pub by: crate::subject::By,
    pub wire: LastFrame,
    pub last_id: Option<String>,
    pub retry_after_ms: Option<u32>,
}

impl WantedEnd {
    /// What the subject must report.
    #[must_use]
    pub fn reported(&self) -> End {
        End { code: self.code, by: self.by }
    }
}

/// How the subject tells the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of the frames")]
pub enum LastFrame {
    Close,
    Reject,
    None,
}

/// A frame to the byte, or what must be true of one.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub enum FramePattern {
    /// To the byte, and whether it need not come.
    Exact(Vec<u8>, bool),
    /// By kind and fields.
    Fields(Box<FieldsPattern>),
}

/// What must be true of a frame.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub struct FieldsPattern {
    pub kind: wire::Kind,
    pub fields: Map<String, Value>,
    pub trace: Option<Vec<u8>>,
    pub body: Option<Vec<u8>>,
    pub partial: bool,
    pub optional: bool,
    pub message: Option<(String, Value)>,
}

impl FramePattern {
    /// Whether it need not come.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        match self {
            Self::Exact(_, optional) => *optional,
            Self::Fields(fields) => fields.optional,
        }
    }
}

impl TryFrom<Map<String, Value>> for FramePattern {
    type Error = String;

    fn try_from(mut map: Map<String, Value>) -> Result<Self, String> {
        let optional = map.remove("optional").is_some();
        if let Some(hex) = map.remove("hex") {
            let bytes = from_hex(hex.as_str().ok_or("`hex` is no text")?)?;
            return if map.is_empty() {
                Ok(Self::Exact(bytes, optional))
            } else {
                Err("`hex` stands alone".to_owned())
            };
        }
        let name = map.remove("frame").ok_or("a frame has `hex` or `frame`")?;
        let kind = name.as_str().and_then(wire::Kind::from_name).ok_or_else(|| format!("no frame {name}"))?;
        let text = |value: Value| value.as_str().map(str::to_owned).ok_or("no text");
        let trace = map.remove("trace").map(|value| from_hex(&text(value)?)).transpose()?;
        let body = map.remove("body").map(plain_bytes).transpose()?;
        let partial = map.remove("partial").is_some();
        let message_name = map.remove("message_name").map(text).transpose()?;
        let message_value = map.remove("message_value");
        let message = match (message_name, message_value) {
            (Some(name), Some(value)) if wire::message(&name).is_some() => Some((name, value)),
            (None, None) => None,
            (name, _) => return Err(format!("a message has a known name and a value, not {name:?}")),
        };
        let known = wire::header(kind).field_names();
        if let Some(field) = map.keys().find(|&field| !known.contains(&field.as_str())) {
            return Err(format!("{} has no field `{field}`", kind.name()));
        }
        Ok(Self::Fields(Box::new(FieldsPattern {
            kind,
            fields: map,
            trace,
            body,
            partial,
            optional,
            message,
        })))
    }
}

/// An event and those of its fields that matter.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct EventPattern {
    /// All fields but `body`, `event` too.
    pub fields: Map<String, Value>,
    /// The body, in hex as subjects write it.
    pub body: Option<String>,
    /// Whether it need not come.
    pub optional: bool,
}

impl TryFrom<Map<String, Value>> for EventPattern {
    type Error = String;

    fn try_from(mut fields: Map<String, Value>) -> Result<Self, String> {
        let body = fields.remove("body").map(plain_bytes).transpose()?.map(|body| to_hex(&body));
        let optional = fields.remove("optional").is_some();
        let known: &[&str] = match fields.get("event").and_then(Value::as_str) {
            Some("hello") => &["app"],
            Some("open") => &["version", "features", "compression", "app"],
            Some("request") => &["id", "method", "trace"],
            Some("cancelled") => &["id"],
            Some("answer") => &["call", "result", "code", "retry", "retry_after_ms", "message", "safe"],
            other => return Err(format!("no event {other:?}")),
        };
        match fields.keys().find(|&field| field != "event" && !known.contains(&field.as_str())) {
            Some(field) => Err(format!("the event has no field `{field}`")),
            None => Ok(Self { fields, body, optional }),
        }
    }
}

fn plain_bytes(value: Value) -> Result<Vec<u8>, String> {
    let bytes: Bytes = serde_json::from_value(value).map_err(|error| error.to_string())?;
    bytes.plain().ok_or_else(|| "`pong` stands in `rx` only".to_owned())
}
