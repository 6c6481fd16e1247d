//! One file for each kind of input.

pub(crate) mod decompress;
pub(crate) mod frames;
pub(crate) mod handshake;
pub(crate) mod messages;
pub(crate) mod pair;
pub(crate) mod session;
pub(crate) mod splits;
