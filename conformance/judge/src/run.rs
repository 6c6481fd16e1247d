//! Plays the cases of a suite with a subject, in all the ways that they vary.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::expectations::{Expectations, Expected};
use crate::judge::{FailedStep, Failure, Game};
use crate::subject::{Role, Subject, unfit};
use crate::vector::{Branch, Case, File, Preset, Selection, Split, Step, Suite, Transport};

/// How often a router may refuse a claim for now before that is a failure, and how long each time.
const MOST_REFUSALS: u32 = 20;
const LONGEST_REFUSAL: Duration = Duration::from_secs(2);

/// How to play.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which cases.
    pub selection: Selection,
    /// Says how bytes are cut at random.
    pub seed: u64,
    /// Which ways to cut bytes; those that a case does not vary over are left out.
    pub splits: Vec<Split>,
    /// Where; a case that does not vary over it is skipped.
    pub transport: Transport,
    /// Only cases with a subject of this role, if the subject has one.
    pub role: Option<Role>,
    /// End at the first case that fails.
    pub fail_fast: bool,
    /// The subject's name, by which expectations know it.
    pub implementation: String,
    /// What is known to fail.
    pub expectations: Expectations,
}

/// How one case went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The case.
    pub id: String,
    /// Its group.
    pub group: String,
    /// How it went.
    pub status: Status,
    /// How often it was played: cuts times branches.
    pub executions: usize,
    /// How long all of that took.
    pub took: Duration,
    /// Of an `acceptable` case, the branch that the subject takes.
    pub branch: Option<String>,
}

/// How a case went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// As it must.
    Passed,
    /// Not as it must.
    Failed(Box<Fault>),
    /// Not, as the expectations say; their reason.
    ExpectedFailure(String),
    /// It was not played; why.
    Skipped(String),
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A step of it.
    Step {
        /// How the bytes were cut.
        split: Split,
        /// Which branch was played, of those that all failed the last.
        branch: Option<String>,
        /// The step.
        step: FailedStep,
    },
    /// It passed, though expectations say that it fails; their reason.
    UnexpectedPass(String),
}

/// How a run went.
#[derive(Debug, Clone, Default)]
pub struct Results {
    /// Each case that was selected.
    pub outcomes: Vec<Outcome>,
    /// Expectations that no case of the suite fits.
    pub stale: Vec<String>,
}

impl Results {
    /// How many passed, failed and were skipped. An expected failure counts as skipped.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { cases: self.outcomes.len(), ..Counts::default() };
        for outcome in &self.outcomes {
            counts.executions += outcome.executions;
            match outcome.status {
                Status::Passed => counts.passed += 1,
                Status::Failed(_) => counts.failed += 1,
                Status::ExpectedFailure(_) | Status::Skipped(_) => counts.skipped += 1,
            }
        }
        counts
    }

    /// Whether anything was played at all: a subject that supports nothing has shown nothing.
    #[must_use]
    pub fn anything_played(&self) -> bool {
        self.outcomes.iter().any(|outcome| !matches!(outcome.status, Status::Skipped(_)))
    }

    /// Whether something was played, nothing failed and no expectation is stale.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.anything_played() && self.counts().failed == 0 && self.stale.is_empty()
    }
}

/// Sums of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Counts {
    pub cases: usize,
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    pub executions: usize,
}

/// Plays what is selected; `told` hears of each case once it is over.
pub fn run(
    suite: &Suite,
    options: &Options,
    subject: &mut dyn Subject,
    mut told: impl FnMut(&Case, &Outcome),
) -> Results {
    let mut results = Results::default();
    for (file, case) in suite.cases().filter(|(file, case)| options.selection.takes(&file.group, case)) {
        let outcome = play(file, case, options, subject);
        told(case, &outcome);
        let failed = matches!(outcome.status, Status::Failed(_));
        results.outcomes.push(outcome);
        if failed && options.fail_fast {
            break;
        }
    }
    let ids = suite.cases().map(|(_, case)| case.id.as_str());
    results.stale = options.expectations.stale(&options.implementation, ids);
    results
}

fn play(file: &File, case: &Case, options: &Options, subject: &mut dyn Subject) -> Outcome {
    let start = Instant::now();
    let preset = file.preset(case);
    let mut tries = Tries { preset, case, seed: options.seed, executions: 0, taken: None };
    let expected = options.expectations.of(&options.implementation, &case.id);
    let status = match expected {
        Some(Expected::Skips(reason)) => Status::Skipped(reason.to_owned()),
        _ if !case.vary.transport.contains(&options.transport) => {
            Status::Skipped("not in this place: see vary.transport".to_owned())
        }
        _ if options.role.is_some_and(|role| role != preset.role) => {
            Status::Skipped("for the other role".to_owned())
        }
        _ if options.transport == Transport::Live
            && let Some(why) = unfit(preset, case) =>
        {
            Status::Skipped(format!("not over a socket: {why}"))
        }
        _ => judged(tries.all(splits(case, options), subject), expected),
    };
    let branch = tries.taken.map(|branch| branch.label.clone());
    let (id, group) = (case.id.clone(), file.group.clone());
    Outcome { id, group, status, executions: tries.executions, took: start.elapsed(), branch }
}

fn judged(result: Result<(), NotPassed>, expected: Option<Expected<'_>>) -> Status {
    match (result, expected) {
        (Ok(()), Some(Expected::Fails(reason))) => {
            Status::Failed(Box::new(Fault::UnexpectedPass(reason.to_owned())))
        }
        (Ok(()), _) => Status::Passed,
        (Err(NotPassed::Unsupported(what)), _) => Status::Skipped(format!("unsupported: {what}")),
        (Err(NotPassed::Failed(_)), Some(Expected::Fails(reason))) => {
            Status::ExpectedFailure(reason.to_owned())
        }
        (Err(NotPassed::Failed(fault)), _) => Status::Failed(fault),
    }
}

enum NotPassed {
    Unsupported(String),
    Failed(Box<Fault>),
}

/// The games of one case.
struct Tries<'a> {
    preset: &'a Preset,
    case: &'a Case,
    seed: u64,
    executions: usize,
    /// Of an acceptable case: the branch that passed. It must pass under every cut (R-2-1).
    taken: Option<&'a Branch>,
}

impl Tries<'_> {
    fn all(&mut self, splits: Vec<Split>, subject: &mut dyn Subject) -> Result<(), NotPassed> {
        splits.into_iter().try_for_each(|split| self.any_branch(split, subject))
    }

    /// An acceptable case passes by any of its branches; another one has a single way to go.
    fn any_branch(&mut self, split: Split, subject: &mut dyn Subject) -> Result<(), NotPassed> {
        if self.case.branches.is_empty() || self.taken.is_some() {
            return self.game(split, self.taken, subject);
        }
        let mut result = Ok(());
        for branch in &self.case.branches {
            result = self.game(split, Some(branch), subject);
            match result {
                Ok(()) => self.taken = Some(branch),
                Err(NotPassed::Failed(_)) => continue,
                Err(NotPassed::Unsupported(_)) => {}
            }
            break;
        }
        result
    }

    fn game(
        &mut self,
        split: Split,
        branch: Option<&Branch>,
        subject: &mut dyn Subject,
    ) -> Result<(), NotPassed> {
        let mut refusals = 0;
        loop {
            self.executions += 1;
            let mut game = Game::new(subject, self.preset, split, self.seed);
            let failure = match game.play(steps(self.preset, self.case, branch)) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if let Some(after) = game.comes_again_after().filter(|_| refusals < MOST_REFUSALS) {
                refusals += 1;
                sleep(after.min(LONGEST_REFUSAL));
                continue;
            }
            return Err(match failure {
                Failure::Unsupported(what) => NotPassed::Unsupported(what),
                Failure::Step(step) => {
                    let branch = branch.map(|branch| branch.label.clone());
                    NotPassed::Failed(Box::new(Fault::Step { split, branch, step: *step }))
                }
            });
        }
    }
}

fn steps<'a>(
    preset: &'a Preset,
    case: &'a Case,
    branch: Option<&'a Branch>,
) -> impl Iterator<Item = &'a Step> {
    let more = branch.map_or(&[][..], |branch| &branch.steps);
    preset.opening.iter().chain(&case.steps).chain(more)
}

/// The ways to cut that differ for this case: where the peer sends nothing in steps of its own, one is as good as three.
fn splits(case: &Case, options: &Options) -> Vec<Split> {
    let mut splits: Vec<Split> = options.splits.clone();
    splits.retain(|split| case.vary.split.contains(split));
    if splits.is_empty() {
        splits.extend(case.vary.split.first());
    }
    let sends = |steps: &[Step]| steps.iter().any(Step::is_rx);
    if !sends(&case.steps) && !case.branches.iter().any(|branch| sends(&branch.steps)) {
        splits.truncate(1);
    }
    splits
}
