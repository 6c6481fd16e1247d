//! The core's headers and messages as the JSON of the vectors, and back.
//!
//! The core's types say by serde what they hold; the runner's [`Type`]s say how the vectors write that. Names of fields
//! must agree: a field that the core has swapped with another shows.

use bytes::Bytes;
use nova_proto_core::frame::{self, decode_header};
use nova_proto_core::{PeerError, messages};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use nova_conformance_judge::vector::from_hex;
use nova_conformance_judge::vector::to_hex;
use nova_conformance_judge::wire::{self, Arm, Type};

/// The names of kinds of symbols as serde writes them, by number.
const SYMBOL_KINDS: [&str; 12] = [
    "Module",
    "Class",
    "Interface",
    "Enum",
    "Record",
    "Annotation",
    "Method",
    "Constructor",
    "Field",
    "Constant",
    "Component",
    "Element",
];

/// The core's enums: each name with the byte that stands for it.
const VARIANTS: [(&str, usize); 8] = [
    ("Text", 0),
    ("Gone", 1),
    ("Skipped", 2),
    ("Current", 0),
    ("SendPages", 1),
    ("Off", 0),
    ("On", 1),
    ("Failed", 2),
];

macro_rules! types {
    (headers: $($header:ident)*; messages: $($name:literal $message:ty,)*) => {
        /// Bytes to the value that the vectors write; the error is the class that they name. `None` for an unknown type.
        pub(super) fn decode(name: &str, bytes: &[u8]) -> Option<Result<Value, &'static str>> {
            let decoded = match name {
                $(stringify!($header) => read_header::<frame::$header>(frame::Kind::$header, bytes),)*
                $($name => messages::decode::<$message>(bytes).map(plain).map_err(|_| "INVALID"),)*
                _ => return None,
            };
            Some(decoded.map(|value| to_vector(wire_type(name), value)))
        }

        /// The value to bytes; `None` if it is not of the type, or the type is unknown.
        pub(super) fn encode(name: &str, value: &Value) -> Option<Vec<u8>> {
            let value = from_vector(wire_type(name), value)?;
            match name {
                "Hello" | "Welcome" => write_handshake(name, value),
                $(stringify!($header) => write::<frame::$header>(&value),)*
                $($name => write::<$message>(&value),)*
                _ => None,
            }
        }
    };
}

types! {
    headers: Hello Welcome Reject Request Response PacketChunk Error Cancel Ack Ping Pong GoAway Close;
    messages:
        "WorkerHello" messages::WorkerHello,
        "WorkerWelcome" messages::WorkerWelcome,
        "SyncShard" messages::SyncShard,
        "SyncShardAnswer" messages::SyncReply,
        "SyncPage" messages::SyncPage<'_>,
        "SyncPageAnswer" messages::PageReply,
        "LoadFiles" messages::LoadFiles<'_>,
        "LoadFilesAnswer" messages::LoadReply,
        "IndexShard" messages::IndexShard,
        "IndexShardAnswer" messages::ShardCounters,
        "UpdateFile" messages::UpdateFile<'_>,
        "UpdateFileAnswer" messages::UpdateReply,
        "RemoveFiles" messages::RemoveFiles<'_>,
        "RemoveFilesAnswer" messages::UpdateReply,
        "SearchSymbols" messages::SearchSymbols,
        "SearchSymbolsAnswer" messages::SearchReply,
        "ListSymbols" messages::ListSymbols<'_>,
        "ListSymbolsAnswer" messages::SymbolPage<'_>,
        "GetWorkerStats" messages::GetWorkerStats,
        "GetWorkerStatsAnswer" messages::WorkerStats,
        "Shutdown" messages::Shutdown,
        "ShutdownAnswer" messages::Stopping,
}

/// The runner's type with this name; an empty one stands for a name that it does not know.
fn wire_type(name: &str) -> &'static Type {
    const NOTHING: &Type = &Type::Struct(Vec::new());
    wire::Kind::from_name(name).map(wire::header).or_else(|| wire::message(name)).unwrap_or(NOTHING)
}

fn read_header<'a, T: Deserialize<'a> + Serialize>(
    kind: frame::Kind,
    bytes: &'a [u8],
) -> Result<Value, &'static str> {
    match decode_header::<T>(kind, bytes) {
        Ok((header, used)) if used == bytes.len() => Ok(plain(header)),
        Err(PeerError::NotCanonical { .. }) => Err("NOT_CANONICAL"),
        _ => Err("MALFORMED"),
    }
}

/// A value as serde sees it.
fn plain<T: Serialize>(value: T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn write<'a, T: Deserialize<'a> + Serialize>(value: &'a Value) -> Option<Vec<u8>> {
    let value = T::deserialize(value).ok()?;
    Some(messages::encode(&value).to_vec())
}

/// Serde borrows byte strings, and JSON has none to borrow.
fn write_handshake(name: &str, mut value: Value) -> Option<Vec<u8>> {
    let app_at = wire_type(name).field_names().iter().position(|field| *field == "app")?;
    let app: Bytes = serde_json::from_value(value[app_at].take()).ok()?;
    value[app_at] = json!("");
    Some(if name == "Hello" {
        messages::encode(&frame::Hello { app, ..frame::Hello::deserialize(&value).ok()? }).to_vec()
    } else {
        messages::encode(&frame::Welcome { app, ..frame::Welcome::deserialize(&value).ok()? }).to_vec()
    })
}

/// From serde's view to that of the vectors. What does not fit stays as it is, and differs from what is expected.
fn to_vector(of: &Type, value: Value) -> Value {
    match (of, value) {
        (Type::Uint(64), Value::Number(number)) => number.to_string().into(),
        (Type::Below(_), Value::String(name)) => position(&SYMBOL_KINDS, &name),
        (Type::Bytes(_) | Type::Raw16, Value::Array(bytes)) => {
            let bytes: Vec<u8> = bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
            to_hex(&bytes).into()
        }
        (Type::List(element, _), Value::Array(list)) => {
            list.into_iter().map(|one| to_vector(element, one)).collect::<Vec<_>>().into()
        }
        (Type::Ranges(_), Value::Array(list)) => {
            let pair =
                |range: Value| if range.is_array() { range } else { json!([range["first"], range["count"]]) };
            list.into_iter().map(pair).collect::<Vec<_>>().into()
        }
        (Type::Pair(first, second), Value::Array(mut pair)) if pair.len() == 2 => {
            json!([to_vector(first, pair[0].take()), to_vector(second, pair[1].take())])
        }
        (Type::Struct(fields), Value::Object(object)) => {
            let member = |(name, value)| {
                let of = fields.iter().find(|(field, _)| *field == name).map(|(_, of)| of);
                let value = of.map_or_else(|| Value::clone(&value), |of| to_vector(of, Value::clone(&value)));
                (name, value)
            };
            hoisted(object, fields).into_iter().map(member).collect::<Map<_, _>>().into()
        }
        (Type::Choice(arms), value) => chosen(arms, value),
        (_, value) => value,
    }
}

fn position(names: &[&str], name: &str) -> Value {
    names.iter().position(|one| *one == name).into()
}

/// A struct inside another one that the document does not have: its members stand in the outer one.
fn hoisted(mut object: Map<String, Value>, fields: &[(&'static str, Type)]) -> Map<String, Value> {
    if !fields.iter().any(|(name, _)| *name == "page")
        && let Some(Value::Object(inner)) = object.remove("page")
    {
        object.extend(inner);
    }
    object
}

fn chosen(arms: &[Arm], value: Value) -> Value {
    if let [Arm::Unit(Value::Null), Arm::Plain(of)] = arms {
        return if value.is_null() { value } else { to_vector(of, value) };
    }
    let (variant, content) = match &value {
        Value::String(variant) => (variant.clone(), Value::Null),
        Value::Object(object) if object.len() == 1 => {
            let (variant, content) =
                object.iter().next().map(|(a, b)| (a.clone(), b.clone())).unwrap_or_default();
            (variant, content)
        }
        _ => return value,
    };
    let arm = VARIANTS.iter().find(|(name, _)| *name == variant).and_then(|(_, number)| arms.get(*number));
    match arm {
        Some(Arm::Unit(unit)) => unit.clone(),
        Some(Arm::Named(name, of)) => {
            let content = content.get("hashes").cloned().unwrap_or(content);
            json!({ *name: to_vector(of, content) })
        }
        _ => value,
    }
}

/// From the vectors' view to that of serde, which takes a struct also as the list of its members.
fn from_vector(of: &Type, value: &Value) -> Option<Value> {
    Some(match of {
        Type::U8 | Type::Uint(8 | 16 | 32) | Type::Text(_) => value.clone(),
        Type::Uint(_) => value.as_str()?.parse::<u64>().ok()?.into(),
        Type::Below(_) => (*SYMBOL_KINDS.get(usize::try_from(value.as_u64()?).ok()?)?).into(),
        Type::Bytes(_) | Type::Raw16 => from_hex(value.as_str()?).ok()?.into(),
        Type::List(element, _) => {
            let list = value.as_array()?.iter().map(|one| from_vector(element, one));
            list.collect::<Option<Vec<_>>>()?.into()
        }
        Type::Ranges(_) => value.clone(),
        Type::Pair(first, second) => json!([from_vector(first, &value[0])?, from_vector(second, &value[1])?]),
        Type::Struct(fields) => {
            let members = fields.iter().map(|(name, of)| from_vector(of, value.get(name)?));
            let mut members = members.collect::<Option<Vec<_>>>()?;
            if fields.iter().any(|(name, _)| *name == "entries") {
                // The core has a struct of its own for these two.
                let page = members.split_off(members.len() - 2);
                members.push(page.into());
            }
            members.into()
        }
        Type::Choice(arms) => variant(arms, value)?,
    })
}

fn variant(arms: &[Arm], value: &Value) -> Option<Value> {
    match arms {
        [Arm::Unit(Value::Null), Arm::Plain(of)] => {
            return if value.is_null() { Some(Value::Null) } else { from_vector(of, value) };
        }
        [Arm::Unit(_), Arm::Unit(_)] => return Some(value.clone()),
        _ => {}
    }
    let (name, content) = match value {
        Value::String(unit) => return Some(json!(capitalised(unit))),
        Value::Object(object) => object.iter().next()?,
        _ => return None,
    };
    let of = arms.iter().find_map(|arm| match arm {
        Arm::Named(one, of) if one == name => Some(of),
        _ => None,
    });
    let content = from_vector(of?, content)?;
    Some(match name.as_str() {
        "counters" => json!({ "Current": content }),
        "pages" => json!({"SendPages": {"hashes": content}}),
        other => json!({ capitalised(other): content }),
    })
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_name_on_both_sides() {
        for name in wire::message_names().chain(wire::Kind::ALL.map(|(_, name)| name)) {
            assert!(decode(name, &[0xff; 3]).is_some(), "{name}");
        }
        assert_eq!(decode("Nonsense", &[]), None);
    }

    #[test]
    fn values_go_there_and_back() {
        let rows = [
            (
                "Reject",
                json!({"code": 26, "retry_after_ms": 7, "message": "no \"\n", "ext": [[51914, "0102"]]}),
            ),
            (
                "Hello",
                json!({"versions": [[3, 0]], "features": 1, "compression": [1], "app": "00ff", "ext": [],
                       "limits": {"max_frame": 16384, "max_body": 16384, "work_budget": "18446744073709551615",
                                  "max_concurrent": 1}}),
            ),
            ("SyncShardAnswer", json!({"pages": true})),
            (
                "SyncPage",
                json!({"shard": 1, "sync": "2", "first": 3, "entries": [{"path": "a", "hash": null}]}),
            ),
            (
                "LoadFiles",
                json!({"shard": 1, "sync": "2", "files": [{"entry": 0, "rev": "9", "content": {"text": "class A\n"}},
                                                          {"entry": 1, "rev": "9", "content": "gone"}]}),
            ),
            ("WorkerHello", json!({"claim": [[0, 3]], "token": "t", "cached": [], "build": "b"})),
            (
                "SearchSymbolsAnswer",
                json!({"hits": [{"name": "A", "kind": 11, "container": "", "path": "p", "line": 1, "column": 2,
                                 "score": 3}], "truncated": false, "warming": [[1, 1]]}),
            ),
        ];
        for (name, value) in rows {
            let bytes = encode(name, &value).unwrap_or_else(|| panic!("{name} is encoded"));
            assert_eq!(
                wire_type(name).encode(&value).as_ref(),
                Some(&bytes),
                "{name}: as the runner writes it"
            );
            assert_eq!(decode(name, &bytes), Some(Ok(value)), "{name}");
        }
    }
}
