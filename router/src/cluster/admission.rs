//! Who is let in.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nova_proto_core::messages::{WorkerHello, WorkerWelcome, decode, encode, shards_in};
use nova_proto_core::{CloseCode, ErrorCode, ErrorReply};
use nova_transport_tokio::{Admission, Application, Incoming};

use super::Shared;

/// When a refused worker may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The router's side of one connection: decides about the worker, and answers nothing, as workers ask nothing.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) shared: Arc<Shared>,
    pub(super) worker: u64,
}

impl Gate {
    fn decide(&self, hello: &[u8]) -> Result<Bytes, String> {
        let hello: WorkerHello = decode(hello).map_err(|error| error.to_string())?;
        let shards = u32::try_from(self.shared.table.len()).unwrap_or(u32::MAX);
        if hello.claim.is_empty() {
            return Err("no shard is claimed".to_owned());
        }
        let claimed = shards_in(&hello.claim, shards).ok_or_else(|| {
            format!("the claim names unknown shards: this workspace has {shards}, numbered from 0")
        })?;
        self.shared.table.claim(self.worker, &claimed)?;
        // What it says of its cache is a hint for people: SyncShard decides.
        let (shards, cached) = (claimed.len(), hello.cached.len());
        tracing::info!(worker = self.worker, build = %hello.build, shards, cached, "worker let in");
        Ok(encode(&WorkerWelcome {
            worker_id: self.worker,
            epoch: self.shared.epoch,
            build: concat!("nova-router ", env!("CARGO_PKG_VERSION")).to_owned(),
        }))
    }
}

impl Application for Gate {
    type Handler = Ready<()>;

    fn admit(&mut self, hello: Bytes) -> Admission {
        match self.decide(&hello) {
            Ok(welcome) => Admission::Accept(welcome),
            Err(message) => {
                tracing::warn!(worker = self.worker, %message, "worker not let in");
                Admission::Reject { code: CloseCode::CLAIM_REFUSED, retry_after: RETRY_AFTER, message }
            }
        }
    }

    fn request(&mut self, request: Incoming) -> Ready<()> {
        let message = format!("a router answers no requests, method {:#06x} neither", request.method);
        request.fail(ErrorReply::new(ErrorCode::UNIMPLEMENTED, message));
        ready(())
    }
}
