//! One client's connection: it is let in, its requests are answered, and what it held goes with it.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nova_proto_core::messages::{
    ClientHello, ClientWelcome, CloseOverlay, FindSymbols, GetRouterStatus, GetShards, GetSkipped,
    IndexWorkspace, ListWorkspace, MAX_CHANGES, MAX_SHARD_PAGE, Method, NotifyChanges, OpenOverlay,
    ShardPage, SkippedPage, StopRouter, Stopped, decode, encode,
};
use nova_proto_core::{CloseCode, Config, ErrorCode, ErrorReply, Limits, Role};
use nova_transport_tokio::{Admission, Application, Incoming};
use tokio::net::UnixStream;

use super::answers::{self, fit, invalid, number};
use super::listing::Pages;
use super::server::{End, Host};
use crate::cluster::{FileChange, Wait};

/// How long requests that are under way may take to end when the router ends.
const DRAIN_WITHIN: Duration = Duration::from_millis(500);

/// What a client may send: one unsaved text of the longest source file at once and another on its way; 32 requests at
/// once. Memory: the equation of [`Limits`], 59 MiB a client at worst, of which 18 MiB for ten seconds after large texts.
const LIMITS: Limits =
    Limits { max_frame: 256 * 1024, max_body: 9 << 20, work_budget: 32 << 20, max_concurrent: 32 };

/// Serves one connection until it ends. If there are too many, only to say so.
pub(super) async fn serve(host: Arc<Host>, stream: UnixStream, full: bool) {
    let client = host.client_came();
    let session = Arc::new(Session { host: Arc::clone(&host), client, pages: tokio::sync::Mutex::default() });
    let config = Config { limits: LIMITS, ..Config::new(Role::Router) };
    match nova_transport_tokio::drive(stream, config, Gate { session, full }) {
        Ok((handle, driver)) => {
            let driver = tokio::spawn(driver);
            tokio::select! {
                _ = handle.closed() => {}
                () = host.stopped() => handle.drain(DRAIN_WITHIN),
            }
            let reason = handle.closed().await;
            tracing::debug!(client, %reason, "client gone");
            drop(handle);
            // With it its handlers end: what they have posted comes before what follows here.
            let _ = driver.await;
            if !host.is_stopped() {
                host.overlays.leave(client).await;
            }
        }
        Err(error) => tracing::error!(%error, "the configuration of connections is wrong"),
    }
    host.client_left();
}

/// Lets the client in, and hands its requests on.
struct Gate {
    session: Arc<Session>,
    full: bool,
}

impl Application for Gate {
    type Handler = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn admit(&mut self, hello: Bytes) -> Admission {
        let refuse = |code, retry_after, message: &str| Admission::Reject {
            code,
            retry_after,
            message: message.to_owned(),
        };
        let Ok(ClientHello { build, .. }) = decode::<ClientHello>(&hello) else {
            let message = "this is a control socket, for clients; workers connect where --listen says";
            return refuse(CloseCode::CLAIM_REFUSED, Duration::ZERO, message);
        };
        if self.full {
            let message = "too many clients are connected; close some";
            return refuse(CloseCode::TOO_MANY_CONNECTIONS, Duration::from_secs(1), message);
        }
        let Session { host, client, .. } = &*self.session;
        tracing::debug!(client, build, "client let in");
        Admission::Accept(encode(&ClientWelcome {
            client_id: *client,
            pid: std::process::id(),
            build: host.options.build.clone(),
            build_id: host.options.build_id,
        }))
    }

    fn request(&mut self, request: Incoming) -> Self::Handler {
        let session = Arc::clone(&self.session);
        Box::pin(async move {
            let cancelled = request.cancel_signal();
            let (method, room) = (request.method, request.reply_max);
            let body = request.body.bytes.clone();
            // Work that nobody waits for any more is dropped, and with it what it has asked of the router.
            let answered = tokio::select! {
                biased;
                answered = session.answer(method, &body, room) => answered,
                () = cancelled.cancelled() => return,
            };
            match answered {
                Ok(body) => request.respond(body),
                Err(error) => request.fail(error),
            }
        })
    }
}

/// A client that was let in.
struct Session {
    host: Arc<Host>,
    client: u64,
    pages: tokio::sync::Mutex<Pages>,
}

impl Session {
    /// The answer to a request, of at most about `room` bytes where a message says that it may be cut.
    async fn answer(&self, method: u16, body: &[u8], room: u32) -> Result<Bytes, ErrorReply> {
        let router = &self.host.router;
        match method {
            FindSymbols::NUMBER => {
                let mut found = answers::find(router, &decode(body)?).await?;
                let all = found.hits.len();
                found.hits = fit(found.hits, room);
                found.truncated |= found.hits.len() < all;
                Ok(encode(&found))
            }
            IndexWorkspace::NUMBER => self.index(decode(body)?).await,
            NotifyChanges::NUMBER => self.notify(decode(body)?, room).await,
            OpenOverlay::NUMBER => {
                let OpenOverlay { path, text } = decode(body)?;
                let changed = self.host.overlays.open(self.client, absolute(path)?, text).await;
                Ok(encode(&answers::changed(changed, room)?))
            }
            CloseOverlay::NUMBER => {
                let CloseOverlay { path } = decode(body)?;
                let changed = self.host.overlays.close(self.client, absolute(path)?).await;
                Ok(encode(&answers::changed(changed, room)?))
            }
            ListWorkspace::NUMBER => {
                let ListWorkspace { begin } = decode(body)?;
                self.pages.lock().await.page(router, begin, room).await
            }
            GetRouterStatus::NUMBER => {
                let GetRouterStatus {} = decode(body)?;
                Ok(encode(&self.host.status().await))
            }
            GetShards::NUMBER => {
                let GetShards { first } = decode(body)?;
                let shards = answers::shards(router, &router.worker_stats().await);
                let (total, shards) = page(shards, first, MAX_SHARD_PAGE, room);
                Ok(encode(&ShardPage { total, shards }))
            }
            GetSkipped::NUMBER => {
                let GetSkipped { first } = decode(body)?;
                let files = answers::skipped(router, &router.worker_stats().await);
                let (total, files) = page(files, first, MAX_CHANGES, room);
                Ok(encode(&SkippedPage { total, files }))
            }
            StopRouter::NUMBER => {
                let StopRouter {} = decode(body)?;
                self.host.stop(End::Asked);
                Ok(encode(&Stopped {}))
            }
            _ => {
                let message = format!("a router has no method {method:#06x} for clients");
                Err(ErrorReply::new(ErrorCode::UNIMPLEMENTED, message))
            }
        }
    }

    async fn index(&self, IndexWorkspace { look }: IndexWorkspace) -> Result<Bytes, ErrorReply> {
        if look {
            self.host.refresh.current().await?;
        } else {
            self.host.refresh.settled().await;
        }
        Ok(encode(&answers::index_reply(&self.host.router)))
    }

    async fn notify(
        &self,
        NotifyChanges { paths }: NotifyChanges<'_>,
        room: u32,
    ) -> Result<Bytes, ErrorReply> {
        let changes = paths.into_iter().map(|path| Ok(FileChange::Disk(absolute(path)?.to_owned())));
        let changes = changes.collect::<Result<Vec<_>, ErrorReply>>()?;
        let changed = self.host.router.apply_changes(changes, &Wait::default()).await;
        Ok(encode(&answers::changed(changed, room)?))
    }
}

/// The router's current directory is not the client's.
fn absolute(path: &str) -> Result<&Path, ErrorReply> {
    let path = Path::new(path);
    if path.is_absolute() { Ok(path) } else { Err(invalid("a path is not absolute")) }
}

/// How many elements there are, and those of one page.
fn page<T: serde::Serialize>(mut all: Vec<T>, first: u32, most: usize, room: u32) -> (u32, Vec<T>) {
    let total = number(all.len());
    all.drain(..all.len().min(first as usize));
    all.truncate(most);
    (total, fit(all, room))
}
