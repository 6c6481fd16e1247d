//! Frames for people.

use serde_json::Value;

use super::{Frame, Kind, header, message, method_name};
use crate::document;
use crate::vector::to_hex;

/// How many bytes of a body are shown.
const SHOWN: usize = 24;

/// One line that says what a frame is.
#[must_use]
pub fn show_frame(frame: &Frame) -> String {
    let mut line = frame.kind.name().to_owned();
    for name in header(frame.kind).field_names() {
        let value = &frame.header[name];
        if value.as_array().is_some_and(Vec::is_empty) && name == "ext" {
            continue;
        }
        line += &match value {
            Value::String(text) if name == "message" => format!(" {name} {text:?}"),
            Value::String(text) => format!(" {name} {text}"),
            other => format!(" {name} {other}"),
        };
        line += &name_of(frame.kind, name, value);
    }
    if frame.kind.has_body() {
        line += &format!(" with {}", show_bytes(&frame.body));
        line += &show_message(frame);
    }
    line
}

/// A registered name behind its number.
fn name_of(kind: Kind, field: &str, value: &Value) -> String {
    let Some(number) = value.as_u64() else { return String::new() };
    let name = match (kind, field) {
        (Kind::Close | Kind::Reject, "code") => document::close_code(number),
        (Kind::Error, "code") => document::error_code(number),
        (Kind::Request, "method") => method_name(number),
        _ => None,
    };
    name.map(|name| format!(" ({name})")).unwrap_or_default()
}

/// The message that a whole uncompressed request is.
fn show_message(frame: &Frame) -> String {
    let whole = frame.kind == Kind::Request
        && frame.number("codec") == 0
        && frame.number("body_len") == frame.body.len() as u64;
    let name = method_name(frame.number("method")).filter(|_| whole);
    let value = name.and_then(|name| Some((name, message(name)?.decode_all(&frame.body).ok()?)));
    value.map(|(name, value)| shortened(&format!(" = {name} {value}"), 400)).unwrap_or_default()
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A length and the first bytes.
#[must_use]
pub fn show_bytes(bytes: &[u8]) -> String {
    match bytes.len() {
        0 => "no bytes".to_owned(),
        count @ 1..=SHOWN => format!("{count} bytes {}", to_hex(bytes)),
        count => format!("{count} bytes {}…", to_hex(&bytes[..SHOWN])),
    }
}
