//! Section A with an empty worker, in process: Nova's own service without its sockets and threads of handlers.

use bytes::Bytes;
use futures_channel::oneshot;
use nova_proto_core::ErrorReply;
use nova_proto_core::messages::{MAX_SHARDS, ShardRange, Token, WorkerHello, encode, shards_in};
use nova_worker::cache::Store;
use nova_worker::service::WorkerService;

use nova_conformance_judge::subject::{Nova, Trouble};

/// A worker that answers at once.
#[derive(Debug)]
pub(super) struct Worker {
    hello: Bytes,
    service: WorkerService,
    stop: oneshot::Receiver<()>,
}

impl Worker {
    /// A worker of the shards that it claims.
    pub(super) fn new(nova: &Nova) -> Result<Self, Trouble> {
        let broken = |problem: String| Trouble::Broken(format!("the worker of the preset: {problem}"));
        let claim: Vec<ShardRange> =
            nova.claim.iter().map(|&(first, count)| ShardRange { first, count }).collect();
        let shards = shards_in(&claim, MAX_SHARDS).ok_or_else(|| broken("its claim".to_owned()))?;
        let (service, stop) =
            WorkerService::new(shards, 1, Store::off()).map_err(|error| broken(error.to_string()))?;
        let token = nova.token.as_deref().map(Token::from);
        let build = concat!("nova-conformance ", env!("CARGO_PKG_VERSION")).to_owned();
        let hello = encode(&WorkerHello { claim, token, cached: Vec::new(), build });
        Ok(Self { hello, service, stop })
    }

    /// The application part of its Hello.
    pub(super) fn hello(&self) -> Bytes {
        self.hello.clone()
    }

    pub(super) fn answer(&self, method: u16, body: &[u8], reply_max: u32) -> Result<Bytes, ErrorReply> {
        self.service.answer(method, body, reply_max)
    }

    /// Whether the router has asked the process to end since this was asked last.
    pub(super) fn should_stop(&mut self) -> bool {
        matches!(self.stop.try_recv(), Ok(Some(())))
    }
}
