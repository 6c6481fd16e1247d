//! Who is let in.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nova_proto_core::messages::{WorkerHello, WorkerWelcome, decode, encode, shards_in};
use nova_proto_core::{CloseCode, ErrorCode, ErrorReply};
use nova_transport_tokio::{Admission, Application, Incoming, Link, Peer};

use super::Shared;

/// When a refused worker may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The router's side of one connection: decides about the worker, and answers nothing, as workers ask nothing.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) shared: Arc<Shared>,
    pub(super) worker: u64,
    pub(super) peer: Peer,
}

impl Gate {
    fn decide(&self, hello: &[u8]) -> Result<Bytes, (CloseCode, String)> {
        let hello: WorkerHello =
            decode(hello).map_err(|error| (CloseCode::CLAIM_REFUSED, error.to_string()))?;
        // First who it is: a stranger learns nothing about shards.
        self.authorize(&hello).map_err(|message| (CloseCode::UNAUTHORIZED, message.to_owned()))?;
        self.claim(&hello).map_err(|message| (CloseCode::CLAIM_REFUSED, message))
    }

    fn authorize(&self, hello: &WorkerHello) -> Result<(), &'static str> {
        let config = &self.shared.config;
        match (&config.token, &hello.token) {
            (_, Some(_)) if self.peer.link == Link::Tcp && !config.plaintext_tokens => Err(
                "a token came over tcp:, where others can read it; choose a new one, and use tcp+tls: or unix:",
            ),
            (Some(asked), Some(given)) if asked != given => Err("the token is not this router's"),
            (Some(_), None) => {
                Err("this router asks for a token; set NOVA_AUTH_TOKEN, or see --auth-token-file")
            }
            _ => Ok(()),
        }
    }

    fn claim(&self, hello: &WorkerHello) -> Result<Bytes, String> {
        let shards = u32::try_from(self.shared.table.len()).unwrap_or(u32::MAX);
        if hello.claim.is_empty() {
            return Err("no shard is claimed".to_owned());
        }
        let claimed = shards_in(&hello.claim, shards).ok_or_else(|| {
            format!("the claim names unknown shards: this workspace has {shards}, numbered from 0")
        })?;
        self.shared.table.claim(self.worker, &claimed)?;
        let (worker, peer, build) = (self.worker, &self.peer, &hello.build);
        tracing::info!(worker, %peer, %build, shards = claimed.len(), "worker let in");
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
            Err((code, message)) => {
                tracing::warn!(worker = self.worker, peer = %self.peer, %message, "worker not let in");
                Admission::Reject { code, retry_after: RETRY_AFTER, message }
            }
        }
    }

    fn request(&mut self, request: Incoming) -> Ready<()> {
        let message = format!("a router answers no requests, method {:#06x} neither", request.method);
        request.fail(ErrorReply::new(ErrorCode::UNIMPLEMENTED, message));
        ready(())
    }
}
