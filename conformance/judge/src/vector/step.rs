//! A step: one input, and what must come of it.

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::{Map, Value};

use super::bytes::plain_bytes;
use super::{Bytes, EventPattern, FramePattern, to_hex};
use crate::subject::{By, End, Op};

/// What an application does; the other ops are inputs of their own.
const COMMANDS: [&str; 9] =
    ["accept", "reject", "call", "cancel", "respond", "respond_error", "fail", "drain", "close"];

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
    #[serde(default, rename = "do", deserialize_with = "command")]
    command: Option<Op>,
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

/// A command as a line of the contract: `name` is its op, and its body is hex there.
fn command<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Op>, D::Error> {
    let mut map = Map::deserialize(deserializer)?;
    if let Some(body) = map.get_mut("body") {
        *body = to_hex(&plain_bytes(body.take()).map_err(D::Error::custom)?).into();
    }
    let name = map.remove("name").unwrap_or_default();
    if !COMMANDS.iter().any(|command| name == *command) {
        return Err(D::Error::custom(format!("no command {name}")));
    }
    map.insert("op".to_owned(), name);
    Op::deserialize(Value::Object(map)).map(Some).map_err(D::Error::custom)
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
    Do(&'a Op),
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

/// How the connection must end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub struct WantedEnd {
    pub code: Option<u16>,
    pub by: By,
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
