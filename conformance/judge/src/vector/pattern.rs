//! What frames and events must be.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::bytes::plain_bytes;
use super::{from_hex, to_hex};
use crate::wire;

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
