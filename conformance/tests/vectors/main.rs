//! The vectors, played by every implementation that is here; and that they cover what they must.

mod core;
mod coverage;
mod live;
mod program;
mod runs;
