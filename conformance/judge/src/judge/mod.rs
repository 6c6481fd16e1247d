//! Plays a case with a subject and judges what comes.

mod expect;
mod game;
mod sent;
mod stream;

pub use game::{FailedStep, Failure, Game, Played};
pub use sent::Sent;
pub use stream::{Stream, Unit};

use crate::subject::Limits;

/// What the receiver of a stream accepts, as far as the runner knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "section 6 of the protocol says it")]
pub struct Accepts {
    pub max_frame: u64,
    pub max_body: u64,
}

impl Accepts {
    /// What limits say.
    #[must_use]
    pub fn of(limits: &Limits) -> Self {
        Self { max_frame: limits.max_frame.into(), max_body: limits.max_body.into() }
    }
}
