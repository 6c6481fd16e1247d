//! In place of section A, where it is not built in.

use bytes::Bytes;
use nova_proto_core::ErrorReply;

use nova_conformance_judge::subject::{Nova, Trouble};

/// A worker that there cannot be.
#[derive(Debug)]
pub(super) enum Worker {}

impl Worker {
    pub(super) fn new(_: &Nova) -> Result<Self, Trouble> {
        Err(Trouble::Unsupported("section A is not built in: feature `nova`".to_owned()))
    }

    pub(super) fn hello(&self) -> Bytes {
        match *self {}
    }

    pub(super) fn answer(&self, _: u16, _: &[u8], _: u32) -> Result<Bytes, ErrorReply> {
        match *self {}
    }

    #[expect(clippy::needless_pass_by_ref_mut, reason = "what stands in its place with section A needs it")]
    pub(super) fn should_stop(&mut self) -> bool {
        match *self {}
    }
}
