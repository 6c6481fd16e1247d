//! Every timer is the core's or the driver's, which are tested in virtual and in paused time; a runtime only brings `now` and
//! `sleep_until`. Here those of async-std: each kind of timer ends what it should, and none before its time.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use async_std::os::unix::net::UnixStream;
use async_std::task::{JoinHandle, block_on, spawn, yield_now};
use bytes::Bytes;
use futures_util::io::{AsyncReadExt, AsyncWriteExt};
use nova_proto_core::{Call, CallError, CloseCode, CloseReason, Config, Connection, Role};
use nova_transport_async_std::{Admission, Application, Handle, Incoming, drive};

const SHORT: Duration = Duration::from_millis(60);

/// Lets everyone in; never answers.
struct Deaf;

impl Application for Deaf {
    type Handler = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn admit(&mut self, _hello: Bytes) -> Admission {
        Admission::Accept(Bytes::new())
    }

    fn request(&mut self, request: Incoming) -> Self::Handler {
        Box::pin(async move {
            let _request = request;
            std::future::pending::<()>().await;
        })
    }
}

/// A side whose own timers, but not those it is tested with, are the defaults.
fn start(
    stream: UnixStream,
    role: Role,
    tune: impl FnOnce(&mut Config),
) -> (Handle, JoinHandle<CloseReason>) {
    let mut config = Config::new(role);
    tune(&mut config);
    let (handle, driver) = drive(stream, config, Deaf).expect("a good configuration");
    (handle, spawn(driver))
}

/// A worker that shakes hands and then neither reads, writes nor closes.
async fn silent_worker(mut stream: UnixStream) -> UnixStream {
    let now = Instant::now();
    let mut worker = Connection::new(Config::new(Role::Worker), now).expect("a good configuration");
    let mut buffer = vec![0; 4096];
    while worker.agreed().is_none() {
        let mut out = Vec::new();
        let _ = worker.poll_transmit(&mut out, 4096);
        stream.write_all(&out).await.expect("written");
        let count = stream.read(&mut buffer).await.expect("read");
        worker.receive(&buffer[..count], now);
        while worker.poll_event().is_some() {}
    }
    stream
}

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("two sockets")
}

#[test]
fn a_peer_that_says_nothing_is_left_after_the_handshakes_timer() {
    for role in [Role::Router, Role::Worker] {
        let (near, _far) = pair();
        let started = Instant::now();
        let (_handle, end) = start(near, role, |config| config.timers.handshake = SHORT);
        assert_eq!(block_on(end), CloseReason::Timeout(CloseCode::HANDSHAKE_TIMEOUT));
        assert!(started.elapsed() >= SHORT);
    }
}

#[test]
fn a_silent_peer_is_left_after_keepalive_and_grace() {
    block_on(async {
        let (near, far) = pair();
        let started = Instant::now();
        let (_handle, end) = start(near, Role::Router, |config| {
            (config.timers.keepalive, config.timers.keepalive_grace) = (SHORT, SHORT);
        });
        let _open = silent_worker(far).await;
        assert_eq!(end.await, CloseReason::Timeout(CloseCode::KEEPALIVE_TIMEOUT));
        assert!(started.elapsed() >= 2 * SHORT);
    });
}

#[test]
fn a_reader_that_stops_is_given_up() {
    block_on(async {
        let (near, far) = pair();
        let (router, end) = start(near, Role::Router, |config| config.timers.stall = SHORT);
        let _open = silent_worker(far).await;
        router.connected().await.expect("connected");
        let started = Instant::now();
        let pending = router.call(Call::new(1, vec![7; 4 << 20])).expect("sent");
        assert_eq!(end.await, CloseReason::Timeout(CloseCode::SLOW_READER));
        assert!(started.elapsed() >= SHORT);
        assert!(pending.await.is_err());
    });
}

#[test]
fn deadlines_and_drains_end_in_time_and_a_peer_that_stays_is_left() {
    block_on(async {
        let (near, far) = pair();
        let (router, end) = start(near, Role::Router, |_| {});
        let (worker, _worker_end) = start(far, Role::Worker, |_| {});
        router.connected().await.expect("connected");
        let started = Instant::now();
        let call = Call { timeout: Some(SHORT), ..Call::new(1, "") };
        let late = router.call(call).expect("sent").await.expect_err("nobody answers");
        assert!(matches!(late, CallError::Deadline { .. } | CallError::Remote(_)), "{late}");
        assert!(started.elapsed() >= SHORT);

        let pending = router.call(Call { timeout: None, ..Call::new(1, "") }).expect("sent");
        while worker.stats().serving == 0 {
            yield_now().await;
        }
        let started = Instant::now();
        router.drain(SHORT);
        assert_eq!(end.await, CloseReason::Local(CloseCode::DRAIN_DEADLINE));
        assert!(started.elapsed() >= SHORT);
        assert!(pending.await.is_err());

        // Who does not hang up after Close has a second.
        let (near, far) = pair();
        let (router, end) = start(near, Role::Router, |_| {});
        let _open = silent_worker(far).await;
        router.connected().await.expect("connected");
        let started = Instant::now();
        router.close(CloseCode::NORMAL, "");
        assert_eq!(end.await, CloseReason::Local(CloseCode::NORMAL));
        assert!(started.elapsed() >= Duration::from_secs(1));
    });
}
