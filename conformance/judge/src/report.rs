//! How a run went: for people, as JUnit and as JSON.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::document;
use crate::run::{Fault, Outcome, Results, Status};
use crate::vector::{Case, Split};

/// A line of JSON for one case.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub struct CaseLine {
    pub case: String,
    pub group: String,
    pub status: StatusName,
    pub executions: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How a case went, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum StatusName {
    Passed,
    Failed,
    ExpectedFailure,
    Skipped,
}

/// The last line of JSON of a run.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[expect(missing_docs, reason = "docs/CONFORMANCE.md says it")]
pub struct LastLine {
    pub schema: u32,
    pub cases: usize,
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    pub executions: usize,
}

impl From<&Results> for LastLine {
    fn from(results: &Results) -> Self {
        let crate::run::Counts { cases, passed, failed, skipped, executions } = results.counts();
        Self { schema: 1, cases, passed, failed, skipped, executions }
    }
}

impl From<&Outcome> for CaseLine {
    fn from(outcome: &Outcome) -> Self {
        let (status, why) = match &outcome.status {
            Status::Passed => (StatusName::Passed, None),
            Status::Failed(fault) => (StatusName::Failed, Some(in_short(fault))),
            Status::ExpectedFailure(reason) => (StatusName::ExpectedFailure, Some(reason.clone())),
            Status::Skipped(reason) => (StatusName::Skipped, Some(reason.clone())),
        };
        let (case, group, branch) = (outcome.id.clone(), outcome.group.clone(), outcome.branch.clone());
        Self { case, group, status, executions: outcome.executions, branch, why }
    }
}

fn in_short(fault: &Fault) -> String {
    match fault {
        Fault::Step { step, .. } => step.problem.clone(),
        Fault::UnexpectedPass(reason) => {
            format!("it passes, though expectations say that it fails: {reason}")
        }
    }
}

/// A failure with all that helps to find it. `command` is how the program was called, without the case.
#[must_use]
pub fn explain(case: &Case, fault: &Fault, seed: u64, command: &str) -> String {
    let mut text = format!("FAILED {}\n  {}\n", case.id, case.about);
    for covered in &case.covers {
        let id = covered.split(':').next().unwrap_or_default();
        if let Some(rule) = document::rule(id) {
            let _ = writeln!(text, "  {id}: {}", rule.text);
        }
    }
    let Fault::Step { split, branch, step } = fault else {
        let _ = writeln!(text, "  {}", in_short(fault));
        return text;
    };
    let branch = branch.as_ref().map(|branch| format!(", branch {branch}")).unwrap_or_default();
    let cut = split_name(*split);
    let _ = writeln!(text, "  step {} ({cut}, seed {seed}{branch}): {}", step.number, step.input);
    let _ = writeln!(text, "  {}", step.problem);
    for (title, lines) in [("expected", &step.expected), ("came", &step.came)] {
        let _ = writeln!(text, "  {title}:{}", if lines.is_empty() { " nothing" } else { "" });
        for line in lines {
            let _ = writeln!(text, "    {line}");
        }
    }
    let _ = writeln!(text, "  again: {command} --case {} --split {cut} --seed {seed}", case.id);
    text
}

fn split_name(split: Split) -> &'static str {
    match split {
        Split::Whole => "whole",
        Split::Bytes => "bytes",
        Split::Random => "random",
    }
}

/// JUnit's XML, a suite for each implementation and group.
#[must_use]
pub fn junit<'a>(runs: impl IntoIterator<Item = (&'a str, &'a [CaseLine])>) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (implementation, lines) in runs {
        junit_of(implementation, lines, &mut text);
    }
    text.push_str("</testsuites>\n");
    text
}

fn junit_of(implementation: &str, lines: &[CaseLine], text: &mut String) {
    let count = |lines: &[&CaseLine], status| lines.iter().filter(|line| line.status == status).count();
    let skipped =
        |lines: &[&CaseLine]| count(lines, StatusName::Skipped) + count(lines, StatusName::ExpectedFailure);
    let mut groups: Vec<&str> = lines.iter().map(|line| line.group.as_str()).collect();
    groups.dedup();
    for group in groups {
        let lines: Vec<&CaseLine> = lines.iter().filter(|line| line.group == group).collect();
        let _ = writeln!(
            text,
            " <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">",
            escaped(&format!("{implementation}.{group}")),
            lines.len(),
            count(&lines, StatusName::Failed),
            skipped(&lines)
        );
        for line in lines {
            let why = escaped(line.why.as_deref().unwrap_or_default());
            let inside = match line.status {
                StatusName::Passed => String::new(),
                StatusName::Failed => format!("<failure message=\"{why}\"/>"),
                StatusName::Skipped | StatusName::ExpectedFailure => format!("<skipped message=\"{why}\"/>"),
            };
            let (name, group) = (escaped(&line.case), escaped(group));
            let _ = writeln!(text, "  <testcase name=\"{name}\" classname=\"{group}\">{inside}</testcase>");
        }
        text.push_str(" </testsuite>\n");
    }
}

/// Text for XML; characters that XML does not have become question marks.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(' '),
            control if control.is_control() => out.push('?'),
            other => out.push(other),
        }
    }
    out
}
