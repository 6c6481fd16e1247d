//! What is tested, behind one face: an op goes in, everything that came of it comes out.
//!
//! [`Op`] and [`Answer`] are also the lines of the contract in `docs/CONFORMANCE.md`: [`program`] speaks it to another
//! program.

pub mod program;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::vector::{Case, Input, Preset, Step};

/// An implementation under test.
pub trait Subject: std::fmt::Debug {
    /// Gives it an op and takes what came of it.
    ///
    /// # Errors
    /// If it does not support the op, or broke.
    fn ask(&mut self, op: Op) -> Result<Answer, Trouble>;

    /// What comes later, over a socket; waits for it for a while. `None` if nothing does. `ended` is whether the end of the
    /// connection was seen.
    fn more(&mut self, ended: bool) -> Option<Answer> {
        let _ = ended;
        None
    }

    /// Whether only its bytes can be seen: no events, and of the end only that it comes.
    fn bytes_only(&self) -> bool {
        false
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The subject does not have this, and says so.
    Unsupported(String),
    /// It ended, or what it said makes no sense.
    Broken(String),
}

/// Which side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "section 1 of the protocol says it")]
pub enum Role {
    Router,
    Worker,
}

/// Why a case cannot be judged over a socket: a program has its own application and configuration, and its time is real.
#[must_use]
pub fn unfit(preset: &Preset, case: &Case) -> Option<&'static str> {
    let steps = || case.steps.iter().chain(case.branches.iter().flat_map(|branch| &branch.steps));
    let only_bytes = |step: &Step| matches!(step.input(), Ok(Input::Start | Input::Rx(_) | Input::Eof));
    if !steps().all(only_bytes) {
        return Some("it needs more than bytes");
    }
    let alone = preset.opening.len() == 1 && steps().all(|step| step.events.is_empty());
    match preset.application {
        Application::Nova => None,
        Application::Driven if alone => None,
        _ => Some("it needs an application that is told what to do"),
    }
}

/// What answers requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Application {
    /// The case.
    Driven,
    /// Section A.
    Nova,
    /// Nothing: there is no connection.
    None,
}

/// What a side declares, and how long it waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub struct Config {
    pub versions: Vec<(u16, u16)>,
    pub limits: Limits,
    pub features: u32,
    pub compression: Vec<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timers: Option<Timers>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nova: Option<Nova>,
}

/// How to configure section A.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub struct Nova {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claim: Vec<(u32, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<u32>,
}

/// What a side accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "section 6 of the protocol says it")]
pub struct Limits {
    pub max_frame: u32,
    pub max_body: u32,
    pub work_budget: String,
    pub max_concurrent: u32,
}

/// How long a side waits, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "section 23 of the protocol says it")]
pub struct Timers {
    pub handshake: u32,
    pub keepalive: u32,
    pub grace: u32,
    pub stall: u32,
}

/// A line to a subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub enum Op {
    Start {
        role: Role,
        application: Application,
        config: Box<Config>,
    },
    Rx {
        #[serde(with = "hex")]
        bytes: Vec<u8>,
    },
    Eof,
    Advance {
        ms: u32,
    },
    Transport {
        take: Option<u32>,
    },
    State,
    Decode {
        #[serde(rename = "type")]
        name: String,
        #[serde(with = "hex")]
        bytes: Vec<u8>,
    },
    Encode {
        #[serde(rename = "type")]
        name: String,
        value: Value,
    },
    Compute {
        function: String,
        args: Value,
    },
    Accept {
        #[serde(default, with = "hex")]
        app: Vec<u8>,
    },
    Reject {
        code: u16,
        #[serde(default)]
        retry_after_ms: u32,
        #[serde(default)]
        message: String,
    },
    Call(Box<CallOp>),
    Cancel {
        call: String,
    },
    Respond {
        id: String,
        #[serde(default, with = "hex")]
        body: Vec<u8>,
    },
    RespondError {
        id: String,
        code: u16,
        #[serde(default)]
        retry: u8,
        #[serde(default)]
        retry_after_ms: u32,
        #[serde(default)]
        message: String,
    },
    Fail {
        id: String,
    },
    Drain {
        deadline_ms: u32,
    },
    Close {
        #[serde(default)]
        code: u16,
    },
}

/// A call to make.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub struct CallOp {
    pub call: String,
    pub method: u16,
    #[serde(with = "hex")]
    pub body: Vec<u8>,
    pub reply_max: u32,
    pub deadline_ms: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
}

impl Default for CallOp {
    fn default() -> Self {
        Self {
            call: String::new(),
            method: 0x0300,
            body: Vec::new(),
            reply_max: 16_384,
            deadline_ms: 0,
            trace: None,
            within: None,
        }
    }
}

/// A line of a subject.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub struct Answer {
    #[serde(with = "hex", skip_serializing_if = "Vec::is_empty")]
    pub tx: Vec<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A value that is there, `null` too: no match of a score is one.
fn there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// How the connection ended, as the subject says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// The close code, if there was one.
    pub code: Option<u16>,
    /// Who found the reason.
    pub by: By,
}

/// Who found the reason of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum By {
    Subject,
    Peer,
}

/// What the subject holds; it may leave out what it does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub struct State {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<u64>,
}

/// Bytes as hex.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::vector::{from_hex, to_hex};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_hex(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        from_hex(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
