//! All vectors, read and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Case, Class, File, PROTOCOL, Preset, SCHEMA};
use crate::document;

/// The vectors of a directory.
#[derive(Debug, Clone)]
pub struct Suite {
    /// The files, those made by loops last, each sort by name.
    pub files: Vec<File>,
    /// Rules that no case can show.
    pub untestable: Untestable,
}

/// `untestable.json`: for each rule, and for `pos` or `neg`, the reason.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Untestable {
    /// What the file is.
    pub about: String,
    /// By rule, then by `pos` or `neg`.
    pub rules: BTreeMap<String, BTreeMap<String, String>>,
}

/// Which cases to play.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Groups; all if empty.
    pub groups: Vec<String>,
    /// Globs over ids; all if empty.
    pub cases: Vec<String>,
    /// Globs over presets; all if empty. A program in operation is of one configuration.
    pub presets: Vec<String>,
    /// Classes; all if empty.
    pub classes: Vec<Class>,
}

impl Selection {
    /// The first option that fits no case at all: a word that is written wrongly must not leave cases out in silence.
    #[must_use]
    pub fn useless(&self, suite: &Suite) -> Option<String> {
        let fits_none =
            |fits: &dyn Fn(&File, &Case) -> bool| !suite.cases().any(|(file, case)| fits(file, case));
        let group = self.groups.iter().find(|name| fits_none(&|file, _| file.group == **name));
        let case = self.cases.iter().find(|glob| fits_none(&|_, case| fits_glob(glob, &case.id)));
        let preset = self.presets.iter().find(|glob| fits_none(&|_, case| fits_glob(glob, &case.preset)));
        let named = |option: &str, value: Option<&String>| value.map(|value| format!("--{option} {value}"));
        [named("group", group), named("case", case), named("preset", preset)].into_iter().flatten().next()
    }

    /// Whether a case of this group is played.
    #[must_use]
    pub fn takes(&self, group: &str, case: &Case) -> bool {
        (self.groups.is_empty() || self.groups.iter().any(|one| one == group))
            && (self.cases.is_empty() || self.cases.iter().any(|glob| fits_glob(glob, &case.id)))
            && (self.presets.is_empty() || self.presets.iter().any(|glob| fits_glob(glob, &case.preset)))
            && (self.classes.is_empty() || self.classes.contains(&case.class))
    }
}

/// Whether a text fits a glob, in which `*` stands for any characters.
#[must_use]
pub fn fits_glob(glob: &str, text: &str) -> bool {
    match glob.split_once('*') {
        None => glob == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|text| {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| fits_glob(rest, &text[at..]))
        }),
    }
}

impl Suite {
    /// Reads all files below a directory.
    ///
    /// # Errors
    /// The first file that cannot be read, is not what the schema says, or contradicts itself.
    pub fn load(directory: &Path) -> Result<Self, String> {
        let mut files = Vec::new();
        for part in [directory.to_owned(), directory.join("generated")] {
            for path in json_files(&part)? {
                if path.file_name().is_some_and(|name| name != "untestable.json") {
                    let file: File = read(&path)?;
                    check(&file).map_err(|problem| format!("{}: {problem}", path.display()))?;
                    files.push(file);
                }
            }
        }
        let untestable = directory.join("untestable.json");
        let untestable = if untestable.is_file() { read(&untestable)? } else { Untestable::default() };
        let suite = Self { files, untestable };
        suite.check_ids()?;
        Ok(suite)
    }

    /// All cases, with their files.
    pub fn cases(&self) -> impl Iterator<Item = (&File, &Case)> {
        self.files.iter().flat_map(|file| file.cases.iter().map(move |case| (file, case)))
    }

    fn check_ids(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        match self.cases().find(|(_, case)| !seen.insert(&case.id)) {
            Some((_, case)) => Err(format!("two cases have the id {}", case.id)),
            None => Ok(()),
        }
    }
}

impl File {
    /// Where a case starts; checked when the file was read.
    ///
    /// # Panics
    /// If the case is of another file.
    #[must_use]
    pub fn preset(&self, case: &Case) -> &Preset {
        &self.presets[&case.preset]
    }
}

fn json_files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let cannot =
        |error| format!("cannot list {}: {error}; give the right one with --vectors", directory.display());
    let mut paths = Vec::new();
    match fs::read_dir(directory) {
        Ok(entries) => {
            for entry in entries {
                paths.push(entry.map_err(cannot)?.path());
            }
        }
        Err(_) if directory.ends_with("generated") => {}
        Err(error) => return Err(cannot(error)),
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Ok(paths)
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, String> {
    let text = fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// What serde cannot see.
fn check(file: &File) -> Result<(), String> {
    if file.schema != SCHEMA || file.protocol != PROTOCOL {
        return Err(format!(
            "it is of {} for protocol {}, not {SCHEMA} for {PROTOCOL}",
            file.schema, file.protocol
        ));
    }
    if file.number_of_cases != file.cases.len() {
        return Err(format!("it holds {} of {} cases", file.cases.len(), file.number_of_cases));
    }
    for (name, preset) in &file.presets {
        let problem = preset.opening.iter().find_map(|step| step.input().err());
        problem.map_or(Ok(()), |problem| Err(format!("preset {name}: {problem}")))?;
    }
    file.cases
        .iter()
        .try_for_each(|case| check_case(file, case).map_err(|problem| format!("{}: {problem}", case.id)))
}

fn check_case(file: &File, case: &Case) -> Result<(), String> {
    if !case.id.starts_with(&format!("{}.", file.group)) {
        return Err(format!("its id does not begin with {}", file.group));
    }
    if !file.presets.contains_key(&case.preset) {
        return Err(format!("there is no preset {}", case.preset));
    }
    for covered in &case.covers {
        let rule = covered.strip_suffix(":pos").or_else(|| covered.strip_suffix(":neg"));
        if rule.and_then(document::rule).is_none() {
            return Err(format!("it covers {covered}, which PROTOCOL.md does not have"));
        }
    }
    let steps = case.steps.iter().chain(case.branches.iter().flat_map(|branch| &branch.steps));
    steps.into_iter().try_for_each(|step| step.input().map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (glob, text) in
            [("a.b", "a.b"), ("*", ""), ("a*", "a.b.c"), ("*.c", "a.b.c"), ("a*c", "a.b.c"), ("*b*", "abc")]
        {
            assert!(fits_glob(glob, text), "{glob} {text}");
        }
        for (glob, text) in [("a", "a.b"), ("a*d", "a.b.c"), ("b*", "abc"), ("", "a")] {
            assert!(!fits_glob(glob, text), "{glob} {text}");
        }
    }
}
