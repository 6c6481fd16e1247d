//! The router's side of one connection: its worker is let in or not, and it lives until it ends.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use nova_proto_core::messages::{WorkerHello, WorkerWelcome, decode, encode};
use nova_proto_core::{CloseCode, CloseReason, Config, ConfigError, ErrorCode, ErrorReply, Role};
use nova_transport_tokio::{Admission, Application, Handle, Incoming, Link, Peer, Stream};
use tokio::io::DuplexStream;

use super::shell::Shared;
use crate::coordinator::{Event, Origin, Refusal, WorkerId};

/// What a worker is at the other end of.
pub(super) enum Way {
    /// A socket.
    Socket(Stream),
    /// A pipe in this process.
    Pipe(DuplexStream),
}

/// Serves one connection until it ends.
pub(super) async fn serve(shared: Arc<Shared>, way: Way) {
    let worker = shared.next_worker();
    let origin = match &way {
        Way::Socket(stream) => origin(stream.peer()),
        Way::Pipe(_) => Origin { peer: "this process".to_owned(), plaintext: false },
    };
    let gate = Gate { shared: Arc::clone(&shared), worker, origin };
    let config = Config { zstd: shared.config.compress, ..Config::new(Role::Router) };
    let driven: Result<(Handle, _), ConfigError> = match way {
        Way::Socket(stream) => {
            stream.drive(config, gate).map(|(handle, driver)| (handle, tokio::spawn(driver)))
        }
        Way::Pipe(pipe) => nova_transport_tokio::drive(pipe, config, gate)
            .map(|(handle, driver)| (handle, tokio::spawn(driver))),
    };
    let (handle, driver) = match driven {
        Ok(driven) => driven,
        Err(error) => return tracing::error!(%error, "the configuration of connections is wrong"),
    };
    tokio::select! {
        () = live(&shared, worker, &handle) => {}
        () = shared.stopped() => handle.close(CloseCode::NORMAL, "the router ends"),
    }
    let reason: CloseReason = handle.closed().await;
    tracing::info!(%worker, %reason, "worker gone");
    shared.disconnected(worker, reason.to_string());
    drop(handle);
    let _ = driver.await;
}

async fn live(shared: &Shared, worker: WorkerId, handle: &Handle) {
    if let Ok((agreed, _)) = handle.connected().await {
        shared.connected(worker, handle.clone(), agreed.zstd);
    }
    handle.closed().await;
}

fn origin(peer: &Peer) -> Origin {
    Origin { peer: peer.to_string(), plaintext: peer.link == Link::Tcp }
}

/// Decides about the worker, and answers nothing, as workers ask nothing.
struct Gate {
    shared: Arc<Shared>,
    worker: WorkerId,
    origin: Origin,
}

impl Application for Gate {
    type Handler = Ready<()>;

    fn admit(&mut self, hello: Bytes) -> Admission {
        let (worker, peer) = (self.worker, &self.origin.peer);
        let decided = match decode::<WorkerHello>(&hello) {
            Ok(hello) => self.shared.admit(worker, &hello, &self.origin).inspect(|_| {
                // What it says of its cache is a hint for people: SyncShard decides.
                let (build, cached) = (&hello.build, hello.cached.len());
                tracing::info!(%worker, %peer, %build, cached, "worker let in");
            }),
            Err(error) => Err(Refusal::claim(error.to_string())),
        };
        match decided {
            Ok(welcome) => Admission::Accept(encode(&welcome)),
            Err(Refusal { code, retry_after, message }) => {
                tracing::warn!(%worker, %peer, %message, "worker not let in");
                Admission::Reject { code, retry_after, message }
            }
        }
    }

    fn request(&mut self, request: Incoming) -> Ready<()> {
        let message = format!("a router answers no requests, method {:#06x} neither", request.method);
        request.fail(ErrorReply::new(ErrorCode::UNIMPLEMENTED, message));
        ready(())
    }
}

impl Shared {
    fn disconnected(&self, worker: WorkerId, reason: String) {
        self.forget_handle(worker);
        self.post(Event::Disconnected(worker, reason));
    }

    fn admit(
        &self,
        worker: WorkerId,
        hello: &WorkerHello,
        origin: &Origin,
    ) -> Result<WorkerWelcome, Refusal> {
        let decided = self.with(|coordinator| coordinator.admit(worker, hello, origin, now()));
        self.wake();
        decided
    }
}

/// The time now, as the coordinator is told it: the runtime's clock, which tests may pause.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
