//! Implementation by group: what several runs have printed with `--json`, as one table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::report::{CaseLine, StatusName};

/// The lines of one run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The implementation.
    pub name: String,
    /// Each case.
    pub lines: Vec<CaseLine>,
}

impl Run {
    /// Reads what `run --json` has printed.
    ///
    /// # Errors
    /// If a line is none of it, or the last line is missing: then the run was cut off.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut lines: Vec<&str> = text.lines().collect();
        let last = lines.pop().unwrap_or_default();
        serde_json::from_str::<crate::report::LastLine>(last)
            .map_err(|error| format!("{name}: the last line is not that of a run: {error}"))?;
        let read =
            |line: &&str| serde_json::from_str(line).map_err(|error| format!("{name}: {error} in {line}"));
        Ok(Self { name: name.to_owned(), lines: lines.iter().map(read).collect::<Result<_, _>>()? })
    }
}

/// What runs say of one group.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// A table in Markdown: passed of played, and what was not played.
#[must_use]
pub fn markdown(runs: &[Run]) -> String {
    let groups: BTreeSet<&str> =
        runs.iter().flat_map(|run| &run.lines).map(|line| line.group.as_str()).collect();
    let mut text = String::from("| Group |");
    for run in runs {
        let _ = write!(text, " {} |", run.name);
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(runs.len()));
    text.push('\n');
    let tables: Vec<BTreeMap<&str, Cell>> = runs.iter().map(cells).collect();
    for group in groups.into_iter().chain([""]) {
        let _ = write!(text, "| {} |", if group.is_empty() { "**all**" } else { group });
        for table in &tables {
            let cell =
                if group.is_empty() { sum(table) } else { table.get(group).copied().unwrap_or_default() };
            let _ = write!(text, " {} |", shown(cell));
        }
        text.push('\n');
    }
    text
}

fn cells(run: &Run) -> BTreeMap<&str, Cell> {
    let mut table: BTreeMap<&str, Cell> = BTreeMap::new();
    for line in &run.lines {
        let cell = table.entry(line.group.as_str()).or_default();
        match line.status {
            StatusName::Passed => cell.passed += 1,
            StatusName::Failed => cell.failed += 1,
            StatusName::Skipped | StatusName::ExpectedFailure => cell.skipped += 1,
        }
    }
    table
}

fn sum(table: &BTreeMap<&str, Cell>) -> Cell {
    table.values().fold(Cell::default(), |sum, cell| Cell {
        passed: sum.passed + cell.passed,
        failed: sum.failed + cell.failed,
        skipped: sum.skipped + cell.skipped,
    })
}

fn shown(Cell { passed, failed, skipped }: Cell) -> String {
    let played = passed + failed;
    let mut text = if played == 0 { "–".to_owned() } else { format!("{passed}/{played}") };
    if failed > 0 {
        text = format!("**{text}**");
    }
    if skipped > 0 {
        let _ = write!(text, " ({skipped} not played)");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_two_runs() {
        let text = r#"{"case":"a.x","group":"a","status":"passed","executions":3}
{"case":"a.y","group":"a","status":"failed","executions":1,"why":"it closed"}
{"case":"b.x","group":"b","status":"skipped","executions":0}
{"schema":1,"cases":3,"passed":1,"failed":1,"skipped":1,"executions":4}"#;
        let one = Run::parse("one", text).expect("a run");
        let two = Run::parse("two", text.lines().last().expect("a line")).expect("an empty run");
        let table = "| Group | one | two |\n|---|---|---|\n| a | **1/2** | – |\n| b | – (1 not played) | – |\n\
                     | **all** | **1/2** (1 not played) | – |\n";
        assert_eq!(markdown(&[one, two]), table);
        assert!(Run::parse("cut", text.lines().next().expect("a line")).is_err());
    }
}
