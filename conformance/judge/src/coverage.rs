//! What the vectors cover, read from the vectors themselves: rules, frames in states, close codes and limits.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::document::{self, Rule};
use crate::subject::{Op, Role};
use crate::vector::{Case, Input, Preset, Step, Suite, fits_glob};
use crate::wire::{Kind, PREFACE};

/// Limits, each with a glob over the cases just below, at and just above it.
const LIMITS: [(&str, &str); 17] = [
    ("max_frame", "limits.max-frame-*"),
    ("max_body", "limits.max-body-*"),
    ("max_concurrent", "limits.max-concurrent-*"),
    ("work_budget", "limits.work-budget-*"),
    ("least part of a body", "limits.least-part"),
    ("what is left of a body", "limits.overrun"),
    ("extension bytes", "limits.extension-bytes"),
    ("extensions", "limits.extensions"),
    ("unknown frames in a row", "limits.unknown-in-a-row"),
    ("message of Close", "limits.close-message"),
    ("message of Reject", "limits.reject-message"),
    ("application part of Hello", "limits.hello-app"),
    ("application part of Welcome", "limits.welcome-app"),
    ("versions in Hello", "limits.hello-versions"),
    ("compressions in Hello", "limits.hello-compressions"),
    ("u16", "limits.u16"),
    ("u32", "limits.u32"),
];

/// What is covered, and what is not.
#[derive(Debug, Clone, Serialize)]
pub struct Coverage {
    /// The form of this object.
    pub schema: u32,
    /// How many cases there are.
    pub cases: usize,
    /// Rules of the document; of these, with a positive and a negative case.
    pub rules: Part,
    /// Pairs of a rule and a sign that no case can show, with a reason in `untestable.json`.
    pub untestable: usize,
    /// A frame of each kind in each state.
    pub cells: Part,
    /// Close codes of the registry that a case ends with.
    pub close_codes: Part,
    /// Limits, just below, at and just above.
    pub limits: Part,
    /// What is missing or wrong, a line each.
    pub missing: Vec<String>,
}

/// So many of so many.
#[derive(Debug, Clone, Copy, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Part {
    pub covered: usize,
    pub of: usize,
}

/// Where a connection is, as the one who plays a case knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    AwaitingHello,
    Deciding,
    AwaitingWelcome,
    OpenRouter,
    OpenWorker,
    Closed,
}

/// The states in which frames are read, with their names.
const STATES: [(State, &str); 4] = [
    (State::AwaitingHello, "AWAITING HELLO"),
    (State::AwaitingWelcome, "AWAITING WELCOME"),
    (State::OpenRouter, "OPEN (router)"),
    (State::OpenWorker, "OPEN (worker)"),
];

/// A kind's number; all unknown critical ones are one column, and all ignorable ones.
const UNKNOWN: [(u8, &str); 2] = [(0x7f, "unknown critical"), (0xff, "unknown ignorable")];

/// Reads what a suite covers.
#[must_use]
pub fn coverage(suite: &Suite) -> Coverage {
    let mut missing = Vec::new();
    let rules = rules(suite, &mut missing);
    let cells = cells(suite, &mut missing);
    let close_codes = close_codes(suite, &mut missing);
    let limits = limits(suite, &mut missing);
    let untestable = suite.untestable.rules.values().map(BTreeMap::len).sum();
    Coverage {
        schema: 1,
        cases: suite.cases().count(),
        rules,
        untestable,
        cells,
        close_codes,
        limits,
        missing,
    }
}

fn rules(suite: &Suite, missing: &mut Vec<String>) -> Part {
    let covered: BTreeSet<&str> =
        suite.cases().flat_map(|(_, case)| &case.covers).map(String::as_str).collect();
    let mut both = 0;
    for rule in document::rules() {
        let excused = suite.untestable.rules.get(rule.id);
        let has = |sign: &str| covered.contains(format!("{}:{sign}", rule.id).as_str());
        let is_excused = |sign: &str| excused.is_some_and(|excused| excused.contains_key(sign));
        both += usize::from(has("pos") && has("neg"));
        for sign in ["pos", "neg"] {
            if has(sign) && is_excused(sign) {
                missing.push(format!("{}:{sign} has cases, and stands in untestable.json", rule.id));
            }
        }
        missing.extend(lacking(rule, has, is_excused));
    }
    let unknown = suite.untestable.rules.keys().filter(|id| document::rule(id).is_none());
    missing.extend(unknown.map(|id| format!("untestable.json names {id}, which PROTOCOL.md does not have")));
    Part { covered: both, of: document::rules().len() }
}

/// A rule with the outcome *local* binds the subject itself: a peer cannot break it, so one sign is enough.
fn lacking(rule: &Rule, has: impl Fn(&str) -> bool, excused: impl Fn(&str) -> bool) -> Vec<String> {
    let local = rule.text.ends_with("→ local");
    let open: Vec<&str> = ["pos", "neg"].into_iter().filter(|sign| !has(sign) && !excused(sign)).collect();
    if local && (has("pos") || has("neg")) {
        return Vec::new();
    }
    open.iter().map(|sign| format!("{}:{sign} has no case: {}", rule.id, rule.text)).collect()
}

fn cells(suite: &Suite, missing: &mut Vec<String>) -> Part {
    let mut seen = BTreeSet::new();
    for (file, case) in suite.cases() {
        visit(file.preset(case), case, |state, kind| {
            seen.insert((state, column(kind)));
        });
    }
    let kinds = Kind::ALL.map(|(kind, name)| (kind as u8, name)).into_iter().chain(UNKNOWN);
    let all: Vec<_> =
        STATES.into_iter().flat_map(|state| kinds.clone().map(move |kind| (state, kind))).collect();
    let lacking = all.iter().filter(|(state, kind)| !seen.contains(&(state.0, kind.0)));
    missing.extend(lacking.clone().map(|(state, kind)| format!("no case sends {} in {}", kind.1, state.1)));
    Part { covered: all.len() - lacking.count(), of: all.len() }
}

fn column(kind: u8) -> u8 {
    match Kind::from_number(kind) {
        Some(_) => kind,
        None if kind <= UNKNOWN[0].0 => UNKNOWN[0].0,
        None => UNKNOWN[1].0,
    }
}

/// Tells each frame that the peer sends in a case with the state that it meets.
fn visit(preset: &Preset, case: &Case, mut met: impl FnMut(State, u8)) {
    let mut state = match preset.role {
        Role::Router => State::AwaitingHello,
        Role::Worker => State::AwaitingWelcome,
    };
    let mut stream = Vec::new();
    let mut preface = false;
    for step in preset.opening.iter().chain(&case.steps) {
        if let Ok(Input::Rx(bytes)) = step.input() {
            stream.extend(bytes.plain().unwrap_or_default());
            if !preface && stream.len() >= PREFACE.len() {
                stream.drain(..PREFACE.len());
                preface = true;
            }
            while preface && let Some(kind) = next_kind(&mut stream) {
                met(state, kind);
                state = after(state, kind, preset.role);
            }
        }
        state = settled(state, step);
    }
}

/// The next frame's kind; takes the frame away, or what is there of it.
fn next_kind(stream: &mut Vec<u8>) -> Option<u8> {
    let (length, rest) = stream.split_first_chunk::<4>()?;
    let kind = *rest.first()?;
    let end = (u32::from_le_bytes(*length) as usize).saturating_add(4).min(stream.len()).max(5);
    stream.drain(..end);
    Some(kind)
}

fn after(state: State, kind: u8, role: Role) -> State {
    match (state, Kind::from_number(kind)) {
        (State::AwaitingHello, Some(Kind::Hello)) => State::Deciding,
        (State::AwaitingWelcome, Some(Kind::Welcome)) if role == Role::Worker => State::OpenWorker,
        _ => state,
    }
}

fn settled(state: State, step: &Step) -> State {
    match (state, step.input()) {
        _ if step.end.is_some() => State::Closed,
        (State::Deciding, Ok(Input::Do(Op::Accept { .. }))) => State::OpenRouter,
        // Section A decides by itself.
        (State::Deciding, _) if step.events.iter().any(|event| event.fields["event"] == "open") => {
            State::OpenRouter
        }
        _ => state,
    }
}

fn close_codes(suite: &Suite, missing: &mut Vec<String>) -> Part {
    let steps = suite
        .cases()
        .flat_map(|(_, case)| case.steps.iter().chain(case.branches.iter().flat_map(|branch| &branch.steps)));
    let seen: BTreeSet<u64> = steps.filter_map(|step| step.end.as_ref()?.code).map(u64::from).collect();
    let all = document::close_codes();
    let lacking: Vec<_> = all.iter().filter(|(code, _)| !seen.contains(code)).collect();
    missing.extend(lacking.iter().map(|(code, name)| format!("no case ends with {code} ({name})")));
    Part { covered: all.len() - lacking.len(), of: all.len() }
}

fn limits(suite: &Suite, missing: &mut Vec<String>) -> Part {
    let mut covered = 0;
    for (name, glob) in LIMITS {
        for place in ["below", "at", "above"] {
            let globs = [format!("{glob}.{place}"), format!("{glob}.{place}.*")];
            if suite.cases().any(|(_, case)| globs.iter().any(|glob| fits_glob(glob, &case.id))) {
                covered += 1;
            } else {
                missing.push(format!("no case is just {place} the limit {name}"));
            }
        }
    }
    Part { covered, of: 3 * LIMITS.len() }
}
