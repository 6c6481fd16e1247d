//! Whether what came is what a step lists.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use crate::subject::Answer;
use crate::vector::{
    EventPattern, FieldsPattern, FramePattern, Input, LastFrame, Step, WantedEnd, from_hex, to_hex,
};
use crate::wire::{self, Frame, Kind};

/// What came of one step.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    pub(super) frames: Vec<Frame>,
    pub(super) events: Vec<Map<String, Value>>,
    pub(super) end: Option<crate::subject::End>,
}

impl Heard {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.events.is_empty() && self.end.is_none()
    }

    pub(super) fn take_rest(&mut self, answer: Answer) {
        self.events.extend(answer.events);
        self.end = self.end.or(answer.end);
    }
}

/// Whether everything is there, and nothing else. A subject of which only bytes can be seen is judged by these.
pub(super) fn judge(step: &Step, heard: &Heard, bytes_only: bool) -> Result<(), String> {
    let mut frames: Vec<&Frame> = heard.frames.iter().collect();
    judge_end(step.end.as_ref(), heard, &mut frames, bytes_only)?;
    if bytes_only && matches!(step.input(), Ok(Input::Start)) {
        // What it declares is its own configuration.
        return judge_hello(step, &frames);
    }
    judge_frames(&step.tx, frames, step.any_order(), bytes_only)?;
    if bytes_only { Ok(()) } else { judge_events(&step.events, &heard.events, step.any_order()) }
}

fn judge_end(
    wanted: Option<&WantedEnd>,
    heard: &Heard,
    frames: &mut Vec<&Frame>,
    bytes_only: bool,
) -> Result<(), String> {
    let Some(wanted) = wanted else {
        return heard.end.map_or(Ok(()), |_| Err("the connection ended".to_owned()));
    };
    let Some(end) = heard.end else { return Err("the connection did not end".to_owned()) };
    if !bytes_only && end != wanted.reported() {
        return Err("the connection ended for another reason".to_owned());
    }
    let last = frames.last().map(|frame| frame.kind).filter(|kind| kind.is_last());
    let kind = match wanted.wire {
        LastFrame::None => {
            return last.map_or(Ok(()), |kind| Err(format!("{} was sent, and must not be", kind.name())));
        }
        LastFrame::Close => Kind::Close,
        LastFrame::Reject => Kind::Reject,
    };
    let frame = frames.pop().filter(|frame| frame.kind == kind);
    let frame = frame.ok_or_else(|| format!("{} is not the last frame", kind.name()))?;
    let fields = [
        ("code", wanted.code.map(u64::from)),
        ("last_id", wanted.last_id.as_deref().and_then(|id| id.parse().ok())),
        ("retry_after_ms", wanted.retry_after_ms.map(u64::from)),
    ];
    match fields.into_iter().find(|(name, wanted)| wanted.is_some_and(|wanted| frame.number(name) != wanted))
    {
        Some((name, _)) => Err(format!("{} has another {name}", kind.name())),
        None => Ok(()),
    }
}

fn judge_hello(step: &Step, frames: &[&Frame]) -> Result<(), String> {
    let kinds: Vec<Kind> = frames.iter().map(|frame| frame.kind).collect();
    let wanted = if step.tx.is_empty() { &[][..] } else { &[Kind::Hello][..] };
    if kinds == wanted { Ok(()) } else { Err("only Hello comes by itself, and only of a worker".to_owned()) }
}

/// `acting`: the application is the subject's own, and may ask things by itself.
fn judge_frames(
    patterns: &[FramePattern],
    frames: Vec<&Frame>,
    any_order: bool,
    acting: bool,
) -> Result<(), String> {
    let mut patterns: Vec<&FramePattern> = patterns.iter().collect();
    let mut frames = VecDeque::from(frames);
    while let Some(frame) = frames.pop_front() {
        let candidates = candidates(&patterns, any_order, |pattern| pattern.is_optional());
        match patterns[..candidates].iter().position(|pattern| fits(pattern, frame, &frames)) {
            Some(place) => {
                if stands_for_parts(patterns.remove(place)) {
                    frames.retain(|other| !continues(frame, other));
                }
            }
            // Acks count for nothing unless a step insists on them.
            None if frame.kind == Kind::Ack || (acting && frame.kind == Kind::Request) => {}
            None => return Err(format!("not expected at this place: {}", wire::show_frame(frame))),
        }
    }
    match patterns.iter().find(|pattern| !pattern.is_optional()) {
        Some(pattern) => Err(format!("did not come: {}", show_pattern(pattern))),
        None => Ok(()),
    }
}

/// How many of the patterns may come next: in order, the first that must come, and the optional ones before it.
fn candidates<T>(patterns: &[&T], any_order: bool, optional: impl Fn(&T) -> bool) -> usize {
    match patterns.iter().position(|pattern| !optional(pattern)) {
        Some(must) if !any_order => must + 1,
        _ => patterns.len(),
    }
}

/// Whether a pattern stands for the PacketChunks behind its frame, too.
fn stands_for_parts(pattern: &FramePattern) -> bool {
    match pattern {
        FramePattern::Exact(..) => false,
        FramePattern::Fields(fields) => {
            fields.body.is_some() || fields.message.is_some() || fields.kind == Kind::PacketChunk
        }
    }
}

fn continues(first: &Frame, other: &Frame) -> bool {
    other.kind == Kind::PacketChunk && other.number("id") == first.number("id")
}

fn fits(pattern: &FramePattern, frame: &Frame, behind: &VecDeque<&Frame>) -> bool {
    match pattern {
        FramePattern::Exact(bytes, _) => frame.whole == *bytes,
        FramePattern::Fields(fields) => fits_fields(fields, frame, behind),
    }
}

fn fits_fields(pattern: &FieldsPattern, frame: &Frame, behind: &VecDeque<&Frame>) -> bool {
    if pattern.kind != frame.kind || !contains(&frame.header, &Value::Object(pattern.fields.clone())) {
        return false;
    }
    if let Some(trace) = &pattern.trace {
        let there = frame.header["ext"].as_array().into_iter().flatten();
        let wanted = Value::from(vec![Value::from(1), to_hex(trace).into()]);
        if !there.into_iter().any(|pair| *pair == wanted) {
            return false;
        }
    }
    if pattern.body.is_none() && pattern.message.is_none() {
        return true;
    }
    let mut body = match frame.header["app"].as_str() {
        Some(app) => from_hex(app).unwrap_or_default(),
        None => frame.body.clone(),
    };
    behind
        .iter()
        .filter(|other| continues(frame, other))
        .for_each(|other| body.extend_from_slice(&other.body));
    let is_whole = !matches!(frame.kind, Kind::Request | Kind::Response)
        || frame.number("body_len") == body.len() as u64;
    if let Some((name, wanted)) = &pattern.message {
        let value = wire::message(name).and_then(|of| of.decode_all(&body).ok());
        return is_whole && value.is_some_and(|value| contains(&value, wanted));
    }
    let Some(wanted) = &pattern.body else { return false };
    if pattern.partial {
        // All of it is listed, and any beginning may have come.
        frame.number("body_len") == wanted.len() as u64 && wanted.starts_with(&body)
    } else {
        is_whole && *wanted == body
    }
}

/// Whether a value has what is wanted: members that are not named are free, everything else is equal.
pub(super) fn contains(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Object(value), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| value.get(name).is_some_and(|value| contains(value, wanted)))
        }
        (Value::Array(value), Value::Array(wanted)) => {
            value.len() == wanted.len()
                && value.iter().zip(wanted).all(|(value, wanted)| contains(value, wanted))
        }
        (value, wanted) => value == wanted,
    }
}

fn judge_events(
    patterns: &[EventPattern],
    events: &[Map<String, Value>],
    any_order: bool,
) -> Result<(), String> {
    let mut patterns: Vec<&EventPattern> = patterns.iter().collect();
    for event in events {
        let candidates = candidates(&patterns, any_order, |pattern| pattern.optional);
        match patterns[..candidates].iter().position(|pattern| event_fits(pattern, event)) {
            Some(place) => drop(patterns.remove(place)),
            None => return Err(format!("not expected at this place: event {}", show_event(event))),
        }
    }
    match patterns.iter().find(|pattern| !pattern.optional) {
        Some(pattern) => Err(format!("did not come: event {}", show_event_pattern(pattern))),
        None => Ok(()),
    }
}

fn event_fits(pattern: &EventPattern, event: &Map<String, Value>) -> bool {
    let body = event.get("body").and_then(Value::as_str).unwrap_or_default();
    pattern.body.as_deref().is_none_or(|wanted| wanted == body)
        && pattern.fields.iter().all(|(name, wanted)| event.get(name) == Some(wanted))
}

/// What a step lists, a line each.
pub(super) fn show_wanted(step: &Step) -> Vec<String> {
    let frames = step.tx.iter().map(show_pattern);
    let events = step.events.iter().map(|event| format!("event {}", show_event_pattern(event)));
    let end = step.end.iter().map(|end| {
        let wire = match end.wire {
            LastFrame::Close => ", told with Close",
            LastFrame::Reject => ", told with Reject",
            LastFrame::None => ", with no last frame",
        };
        format!("{}{wire}", show_end(end.reported()))
    });
    frames.chain(events).chain(end).collect()
}

/// What came, a line each.
pub(super) fn show_heard(heard: &Heard) -> Vec<String> {
    let frames = heard.frames.iter().map(wire::show_frame);
    let events = heard.events.iter().map(|event| format!("event {}", show_event(event)));
    frames.chain(events).chain(heard.end.map(show_end)).collect()
}

fn show_end(end: crate::subject::End) -> String {
    let code = match end.code {
        Some(code) => {
            let name = crate::document::close_code(code.into());
            format!("with {}", name.map_or_else(|| code.to_string(), |name| format!("{code} ({name})")))
        }
        None => "without a code".to_owned(),
    };
    format!(
        "the end {code}, found by the {}",
        if end.by == crate::subject::By::Subject { "subject" } else { "peer" }
    )
}

fn show_pattern(pattern: &FramePattern) -> String {
    let fields = match pattern {
        FramePattern::Exact(bytes, _) => return show_exact(bytes),
        FramePattern::Fields(fields) => fields,
    };
    let mut line = fields.kind.name().to_owned();
    for name in wire::header(fields.kind).field_names() {
        if let Some(value) = fields.fields.get(name) {
            line += &format!(" {name} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
    }
    if let Some(trace) = &fields.trace {
        line += &format!(" trace {}", to_hex(trace));
    }
    if let Some(body) = &fields.body {
        line +=
            &format!(" with {}{}", if fields.partial { "the first " } else { "" }, wire::show_bytes(body));
    }
    if let Some((name, value)) = &fields.message {
        line += &format!(" = {name} {value}");
    }
    line
}

fn show_exact(bytes: &[u8]) -> String {
    let frame =
        bytes.get(4).copied().and_then(Kind::from_number).and_then(|kind| Frame::decode(kind, bytes).ok());
    frame.map_or_else(|| format!("the frame {}", to_hex(bytes)), |frame| wire::show_frame(&frame))
}

fn show_event(event: &Map<String, Value>) -> String {
    let mut event = event.clone();
    if let Some(body) = event.get_mut("body") {
        *body = shortened(body.as_str().unwrap_or_default()).into();
    }
    Value::Object(event).to_string()
}

fn show_event_pattern(pattern: &EventPattern) -> String {
    let mut fields = pattern.fields.clone();
    if let Some(body) = &pattern.body {
        fields.insert("body".to_owned(), shortened(body).into());
    }
    Value::Object(fields).to_string()
}

fn shortened(hex: &str) -> String {
    if hex.len() <= 64 { hex.to_owned() } else { format!("{}… ({} bytes)", &hex[..64], hex.len() / 2) }
}
