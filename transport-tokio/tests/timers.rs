//! Timers of a connection's end, in paused time over in-memory streams. Those of its life are in `calls.rs`, those of
//! TLS handshakes in `tls.rs`.

#[expect(dead_code, reason = "other tests use the rest")]
mod common;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use common::Folder;
use nova_proto_core::{Call, CloseCode, CloseReason, Config, Connection, Role};
use nova_transport_tokio::{Admission, Application, Handle, Incoming, drive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Lets everyone in but those without a hello; never answers, even when told to stop.
struct Deaf;

impl Application for Deaf {
    type Handler = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn admit(&mut self, hello: Bytes) -> Admission {
        if hello.is_empty() {
            return Admission::Reject {
                code: CloseCode::UNAUTHORIZED,
                retry_after: Duration::ZERO,
                message: "nobody".to_owned(),
            };
        }
        Admission::Accept(Bytes::new())
    }

    fn request(&mut self, request: Incoming) -> Self::Handler {
        Box::pin(async move {
            let _request = request;
            std::future::pending::<()>().await;
        })
    }
}

fn config(role: Role, hello: &'static str) -> Config {
    Config { hello: Bytes::from_static(hello.as_bytes()), ..Config::new(role) }
}

fn start(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    config: Config,
) -> (Handle, JoinHandle<CloseReason>) {
    let (handle, driver) = drive(stream, config, Deaf).expect("a good configuration");
    (handle, tokio::spawn(driver))
}

/// A worker that shakes hands, or is rejected, and then neither reads, writes nor closes.
async fn silent_worker<T: AsyncRead + AsyncWrite + Unpin>(mut stream: T, hello: &'static str) -> T {
    let now = Instant::now().into_std();
    let mut worker = Connection::new(config(Role::Worker, hello), now).expect("a good configuration");
    let mut buffer = vec![0; 4096];
    loop {
        let mut out = Vec::new();
        let _ = worker.poll_transmit(&mut out, 4096);
        stream.write_all(&out).await.expect("written");
        stream.flush().await.expect("written");
        if worker.agreed().is_some() || worker.close_reason().is_some() {
            return stream;
        }
        let count = stream.read(&mut buffer).await.expect("read");
        worker.receive(&buffer[..count], now);
        while worker.poll_event().is_some() {}
    }
}

/// How long `end` takes, in whole seconds of paused time, and how it ends.
async fn timed(end: JoinHandle<CloseReason>) -> (u64, CloseReason) {
    let started = Instant::now();
    let reason = end.await.expect("no panic");
    (started.elapsed().as_secs(), reason)
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_at_its_deadline() {
    let (near, far) = tokio::io::duplex(4096);
    let (router, end) = start(near, config(Role::Router, ""));
    let (worker, worker_end) = start(far, config(Role::Worker, "hello"));
    router.connected().await.expect("connected");
    let pending = router.call(Call { timeout: None, ..Call::new(1, "") }).expect("sent");
    while worker.stats().serving == 0 {
        tokio::task::yield_now().await;
    }
    router.drain(Duration::from_secs(7));
    let (seconds, reason) = timed(end).await;
    assert_eq!((seconds, reason), (7, CloseReason::Local(CloseCode::DRAIN_DEADLINE)));
    assert!(pending.await.is_err());
    assert_eq!(timed(worker_end).await.1.code(), Some(CloseCode::DRAIN_DEADLINE));
}

#[tokio::test(start_paused = true)]
async fn a_rejected_worker_that_stays_is_left_after_a_second() {
    let (near, far) = tokio::io::duplex(4096);
    let (_router, end) = start(near, config(Role::Router, ""));
    let _open = silent_worker(far, "").await;
    assert_eq!(timed(end).await, (1, CloseReason::Local(CloseCode::UNAUTHORIZED)));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_stays_after_close_is_left_after_a_second() {
    let (near, far) = tokio::io::duplex(4096);
    let (router, end) = start(near, config(Role::Router, ""));
    let mut open = silent_worker(far, "hello").await;
    router.connected().await.expect("connected");
    router.close(CloseCode::NORMAL, "");
    assert_eq!(timed(end).await, (1, CloseReason::Local(CloseCode::NORMAL)));
    // The last frame and the end of the stream came, and nothing is held any more.
    let mut rest = Vec::new();
    open.read_to_end(&mut rest).await.expect("read");
    assert!(open.write_all(&[0; 8192]).await.is_err(), "the stream was released");
}

/// Both ends of TLS over an in-memory stream of `capacity` bytes each way.
async fn tls(
    capacity: usize,
) -> (impl AsyncRead + AsyncWrite + Unpin + Send + 'static, impl AsyncRead + AsyncWrite + Unpin) {
    let folder = Folder::new();
    let (near, far) = tokio::io::duplex(capacity);
    let name = ServerName::try_from("localhost").expect("a name");
    let accepting = TlsAcceptor::from(folder.server().config()).accept(near);
    let connecting = TlsConnector::from(folder.client().config()).connect(name, far);
    let (near, far) = tokio::join!(accepting, connecting);
    (near.expect("TLS"), far.expect("TLS"))
}

#[tokio::test(start_paused = true)]
async fn close_notify_waits_for_nobody() {
    // The worker's end is full: neither the last frame nor close_notify can leave.
    let (near, far) = tls(1024).await;
    let (router, end) = start(near, config(Role::Router, ""));
    let _open = silent_worker(far, "hello").await;
    router.connected().await.expect("connected");
    let pending = router.call(Call::new(1, vec![7; 1_000_000])).expect("sent");
    sleep(Duration::from_millis(10)).await;
    router.close(CloseCode::NORMAL, "");
    assert_eq!(timed(end).await, (1, CloseReason::Local(CloseCode::NORMAL)));
    assert!(pending.await.is_err());

    // There is room, and the worker never answers.
    let (near, far) = tls(64 * 1024).await;
    let (router, end) = start(near, config(Role::Router, ""));
    let mut open = silent_worker(far, "hello").await;
    router.connected().await.expect("connected");
    router.close(CloseCode::NORMAL, "");
    assert_eq!(timed(end).await, (1, CloseReason::Local(CloseCode::NORMAL)));
    let mut rest = Vec::new();
    open.read_to_end(&mut rest).await.expect("a clean end of TLS");
    assert!(!rest.is_empty(), "Close");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_is_given_up_over_tls_too() {
    let (near, far) = tls(1024).await;
    let (router, end) = start(near, config(Role::Router, ""));
    let _open = silent_worker(far, "hello").await;
    router.connected().await.expect("connected");
    let pending = router.call(Call::new(1, vec![7; 1_000_000])).expect("sent");
    let (seconds, reason) = timed(end).await;
    assert_eq!(reason, CloseReason::Timeout(CloseCode::SLOW_READER));
    assert!((10..=12).contains(&seconds), "{seconds}");
    assert!(pending.await.is_err());
}
