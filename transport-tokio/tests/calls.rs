//! Calls over real streams: pipes of 64 bytes, Unix sockets and TCP.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use nova_proto_core::{
    Call, CallError, CloseCode, CloseReason, Config, Connection, ErrorCode, ErrorReply, Role,
};
use nova_transport_tokio::{Address, Admission, Application, Handle, Incoming, Listener, connect, drive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;

const ECHO: u16 = 1;
const FAIL: u16 = 2;
const NEVER: u16 = 3;
const PANIC: u16 = 4;
const DROP: u16 = 5;
const PANIC_AT_ONCE: u16 = 6;

/// Answers as the method says; counts handlers that were told to stop.
#[derive(Clone, Default)]
struct Service {
    stopped: Arc<AtomicUsize>,
}

impl Application for Service {
    type Handler = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn admit(&mut self, hello: Bytes) -> Admission {
        if hello == "not welcome" {
            return Admission::Reject {
                code: CloseCode::UNAUTHORIZED,
                retry_after: Duration::from_secs(3),
                message: "go away".to_owned(),
            };
        }
        Admission::Accept(Bytes::from_static(b"welcome"))
    }

    fn request(&mut self, request: Incoming) -> Self::Handler {
        assert_ne!(request.method, PANIC_AT_ONCE, "as asked for by the test");
        let stopped = Arc::clone(&self.stopped);
        Box::pin(async move {
            match request.method {
                ECHO => {
                    let body = request.body.clone();
                    request.respond(body);
                }
                FAIL => request.fail(ErrorReply::new(ErrorCode::INVALID, "as you wish")),
                NEVER => {
                    request.cancel_signal().cancelled().await;
                    stopped.fetch_add(1, Ordering::SeqCst);
                }
                PANIC => panic!("as asked for by the test"),
                _ => {}
            }
        })
    }
}

type End = (Handle, JoinHandle<CloseReason>);

fn start<T: AsyncRead + AsyncWrite + Send + 'static>(
    role: Role,
    hello: &'static str,
    stream: T,
    service: &Service,
) -> End {
    let config = Config { hello: Bytes::from_static(hello.as_bytes()), ..Config::new(role) };
    let (handle, driver) = drive(stream, config, service.clone()).expect("a good configuration");
    (handle, tokio::spawn(driver))
}

/// A router and a worker over a pipe of `capacity` bytes each way.
fn pair(capacity: usize, service: &Service) -> (End, End) {
    let (near, far) = tokio::io::duplex(capacity);
    (start(Role::Router, "", near, service), start(Role::Worker, "", far, service))
}

fn call(method: u16, body: impl Into<Bytes>) -> Call {
    let body: Bytes = body.into();
    let reply_max = u32::try_from(body.len()).expect("a body").max(1024);
    Call { reply_max, ..Call::new(method, body) }
}

async fn ask(handle: &Handle, call: Call) -> Result<Bytes, CallError> {
    handle.connected().await.expect("connected");
    handle.call(call).expect("sent").await.map(|body| body.bytes)
}

/// Bytes that show when one is lost, doubled or out of place.
fn pattern(length: usize, seed: usize) -> Bytes {
    (0..length).map(|index| ((index * 31 + seed) ^ (index >> 8)) as u8).collect::<Vec<_>>().into()
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("in time")
}

#[tokio::test]
async fn large_bodies_go_both_ways_at_once_through_a_pipe_of_64_bytes() {
    let service = Service::default();
    let ((router, _), (worker, _)) = pair(64, &service);
    let echo = |handle: &Handle, seed: usize| {
        let (handle, body) = (handle.clone(), pattern(300_000, seed));
        async move { assert_eq!(ask(&handle, call(ECHO, body.clone())).await, Ok(body)) }
    };
    within(async { tokio::join!(echo(&router, 1), echo(&worker, 2), echo(&router, 3), echo(&worker, 4)) })
        .await;
}

#[tokio::test]
async fn a_thousand_calls_are_in_flight_and_each_gets_its_answer() {
    let service = Service::default();
    let ((router, _), _worker) = pair(64 * 1024, &service);
    router.connected().await.expect("connected");
    let calls: Vec<_> = (0..1000_usize)
        .map(|seed| (seed, router.call(call(ECHO, pattern(seed, seed))).expect("sent")))
        .collect();
    within(async {
        for (seed, pending) in calls {
            assert_eq!(pending.await.map(|body| body.bytes), Ok(pattern(seed, seed)));
        }
    })
    .await;
    assert_eq!(router.stats().calls, 0);
}

#[tokio::test]
async fn errors_panics_and_forgotten_requests_are_answered() {
    let service = Service::default();
    let ((router, _), _worker) = pair(4096, &service);
    for (method, code) in [
        (FAIL, ErrorCode::INVALID),
        (PANIC, ErrorCode::INTERNAL),
        (PANIC_AT_ONCE, ErrorCode::INTERNAL),
        (DROP, ErrorCode::INTERNAL),
    ] {
        let answer = within(ask(&router, call(method, "x"))).await;
        assert!(matches!(&answer, Err(CallError::Remote(error)) if error.code == code), "{answer:?}");
    }
    assert_eq!(within(ask(&router, call(ECHO, "still here"))).await, Ok(Bytes::from("still here")));
}

#[tokio::test]
async fn dropping_a_call_cancels_it_there() {
    let service = Service::default();
    let ((router, _), (worker, _)) = pair(4096, &service);
    router.connected().await.expect("connected");
    let pending = router.call(call(NEVER, "")).expect("sent");
    within(async {
        while worker.stats().serving == 0 {
            tokio::task::yield_now().await;
        }
        drop(pending);
        while worker.stats().serving > 0 || router.stats().calls > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(service.stopped.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline_on_both_sides() {
    let service = Service::default();
    let ((router, _), (worker, _)) = pair(4096, &service);
    let call = Call { timeout: Some(Duration::from_millis(200)), ..call(NEVER, "") };
    assert_eq!(within(ask(&router, call)).await, Err(CallError::Deadline { retry_safe: false }));
    within(async {
        while worker.stats().serving > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(service.stopped.load(Ordering::SeqCst), 1);
}

/// A worker that shakes hands and then neither reads nor writes, nor closes its end of the pipe.
async fn silent_worker<T: AsyncRead + AsyncWrite + Unpin>(mut stream: T) -> T {
    let now = tokio::time::Instant::now().into_std();
    let mut worker = Connection::new(Config::new(Role::Worker), now).expect("a good configuration");
    let mut buffer = vec![0; 4096];
    loop {
        let mut out = Vec::new();
        let _ = worker.poll_transmit(&mut out, 4096);
        stream.write_all(&out).await.expect("written");
        if worker.agreed().is_some() {
            return stream;
        }
        let count = stream.read(&mut buffer).await.expect("read");
        worker.receive(&buffer[..count], now);
        while worker.poll_event().is_some() {}
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_pinged_and_then_given_up() {
    let service = Service::default();
    let ((router, _), (worker, _)) = pair(4096, &service);
    router.connected().await.expect("connected");
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!((router.close_reason(), worker.close_reason()), (None, None), "both answer pings");
    // Who hears a ping has heard from its peer, and need not ask.
    assert!(router.stats().round_trip.or_else(|| worker.stats().round_trip).is_some());

    let (near, far) = tokio::io::duplex(4096);
    let (_router, end) = start(Role::Router, "", near, &service);
    let _open = silent_worker(far).await;
    let started = tokio::time::Instant::now();
    let reason = within(end).await.expect("no panic");
    assert_eq!(reason, CloseReason::Timeout(CloseCode::KEEPALIVE_TIMEOUT));
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(20) && waited <= Duration::from_secs(22), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_speaks_is_given_up_in_time() {
    for (role, seconds) in [(Role::Router, 5), (Role::Worker, 10)] {
        let (near, _far) = tokio::io::duplex(4096);
        let started = tokio::time::Instant::now();
        let (_handle, end) = start(role, "", near, &Service::default());
        let reason = within(end).await.expect("no panic");
        assert_eq!(reason, CloseReason::Timeout(CloseCode::HANDSHAKE_TIMEOUT));
        let waited = started.elapsed();
        assert!(
            waited >= Duration::from_secs(seconds) && waited <= Duration::from_secs(seconds + 2),
            "{waited:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stuck_peer_keeps_nothing_after_close() {
    let (near, far) = tokio::io::duplex(1024);
    let (router, end) = start(Role::Router, "", near, &Service::default());
    let _open = silent_worker(far).await;
    router.connected().await.expect("connected");
    // More than the pipe holds: the last frame cannot leave.
    let pending = router.call(call(ECHO, pattern(100_000, 0))).expect("sent");
    tokio::time::sleep(Duration::from_millis(10)).await;
    router.close(CloseCode::NORMAL, "enough");
    assert!(matches!(within(pending).await, Err(CallError::Closed { .. })));
    let started = tokio::time::Instant::now();
    assert_eq!(within(end).await.expect("no panic"), CloseReason::Local(CloseCode::NORMAL));
    assert!(started.elapsed() <= Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_is_given_up() {
    let (near, far) = tokio::io::duplex(1024);
    let (router, end) = start(Role::Router, "", near, &Service::default());
    let _open = silent_worker(far).await;
    router.connected().await.expect("connected");
    let pending = router.call(call(ECHO, pattern(1_000_000, 0))).expect("sent");
    let started = tokio::time::Instant::now();
    assert_eq!(within(end).await.expect("no panic"), CloseReason::Timeout(CloseCode::SLOW_READER));
    assert!(matches!(within(pending).await, Err(CallError::Closed { .. })));
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(10) && waited <= Duration::from_secs(12), "{waited:?}");
}

/// A peer that takes nothing any more, and goes on talking, is not listened to for ever.
#[tokio::test]
async fn who_only_talks_is_left() {
    use std::io::Write;
    let (near, far) = std::os::unix::net::UnixStream::pair().expect("a pair");
    for end in [&near, &far] {
        end.set_nonblocking(true).expect("set");
    }
    let near = tokio::net::UnixStream::from_std(near).expect("registered");
    let (router, end) = start(Role::Router, "", near, &Service::default());
    let far = silent_worker(tokio::net::UnixStream::from_std(far).expect("registered")).await;
    router.connected().await.expect("connected");
    let mut far = far.into_std().expect("blocking again");
    far.set_nonblocking(false).expect("set");
    far.shutdown(std::net::Shutdown::Read).expect("shut");
    let talking = std::thread::spawn(move || {
        let ping = [2, 0, 0, 0, 0x20, 7];
        while far.write_all(&ping).is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    assert_eq!(within(end).await.expect("no panic"), CloseReason::Eof);
    talking.join().expect("no panic");
}

#[tokio::test]
async fn the_last_words_follow_whatever_was_on_its_way() {
    for capacity in [64, 1000, 100_000] {
        let service = Service::default();
        let ((router, _), (_worker, worker_end)) = pair(capacity, &service);
        router.connected().await.expect("connected");
        let pending = router.call(call(ECHO, pattern(300_000, 1))).expect("sent");
        within(async {
            while router.stats().bytes_sent < 1000 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        router.close(CloseCode::NORMAL, "enough");
        let reason = within(worker_end).await.expect("no panic");
        assert!(matches!(reason, CloseReason::Peer { code: CloseCode::NORMAL, .. }), "{capacity}: {reason}");
        drop(pending);
    }
}

/// What is not read any more is thrown away, so that it makes no reset of what was sent.
#[tokio::test]
async fn the_last_words_arrive_however_much_comes_behind_them() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound");
    let (near, far) = tokio::join!(listener.accept(), tokio::net::TcpStream::connect(address));
    let (router, _end) = start(Role::Router, "", near.expect("accepted").0, &Service::default());
    let mut far = silent_worker(far.expect("connected")).await;
    router.connected().await.expect("connected");
    router.close(CloseCode::NORMAL, "enough");
    within(async {
        far.write_all(&vec![0; 1 << 20]).await.expect("somebody reads");
        let mut words = Vec::new();
        far.read_to_end(&mut words).await.expect("no reset");
        assert!(words.ends_with(b"enough"), "{words:?}");
    })
    .await;
}

#[tokio::test]
async fn a_rejected_worker_learns_why() {
    let service = Service::default();
    let (near, far) = tokio::io::duplex(4096);
    let _router = start(Role::Router, "", near, &service);
    let (worker, end) = start(Role::Worker, "not welcome", far, &service);
    let expected = CloseReason::Rejected {
        code: CloseCode::UNAUTHORIZED,
        retry_after: Duration::from_secs(3),
        message: "go away".to_owned(),
    };
    assert_eq!(within(worker.connected()).await.map(|_| ()), Err(expected.clone()));
    assert_eq!(within(end).await.expect("no panic"), expected);
}

#[tokio::test]
async fn a_drain_ends_when_the_last_call_has() {
    let service = Service::default();
    let ((router, router_end), (worker, worker_end)) = pair(4096, &service);
    router.connected().await.expect("connected");
    let pending = router.call(call(ECHO, pattern(50_000, 7))).expect("sent");
    router.drain(Duration::from_secs(30));
    assert_eq!(within(pending).await.map(|body| body.bytes), Err(CallError::Draining), "it was not sent yet");
    assert_eq!(within(router_end).await.expect("no panic"), CloseReason::Local(CloseCode::DRAINED));
    let reason = within(worker_end).await.expect("no panic");
    assert_eq!(reason.code(), Some(CloseCode::DRAINED));
    drop(worker);
}

#[tokio::test]
async fn the_last_handle_closes_the_connection() {
    let service = Service::default();
    let ((router, router_end), (worker, worker_end)) = pair(4096, &service);
    router.connected().await.expect("connected");
    let second = router.clone();
    drop(router);
    assert_eq!(within(ask(&second, call(ECHO, "x"))).await, Ok(Bytes::from("x")), "one handle is left");
    drop(second);
    assert_eq!(within(router_end).await.expect("no panic"), CloseReason::Local(CloseCode::DRAINED));
    within(worker_end).await.expect("no panic");
    drop(worker);
}

#[tokio::test]
async fn a_driver_that_is_dropped_fails_its_calls() {
    let service = Service::default();
    let ((router, end), _worker) = pair(4096, &service);
    router.connected().await.expect("connected");
    let pending = router.call(call(NEVER, "")).expect("sent");
    end.abort();
    assert!(matches!(within(pending).await, Err(CallError::Closed { .. })));
    assert!(router.close_reason().is_some());
}

async fn over(listen: Address) {
    let service = Service::default();
    let mut listener = Listener::bind(&listen).await.expect("bound");
    let address = listener.address().clone();
    let (accepted, connected) = tokio::join!(listener.accept(), connect(&address));
    let (router, _router_end) = start(Role::Router, "", accepted, &service);
    let (worker, worker_end) = start(Role::Worker, "", connected.expect("connected"), &service);
    let body = pattern(4 << 20, 9);
    assert_eq!(within(ask(&router, call(ECHO, body.clone()))).await, Ok(body.clone()));
    assert_eq!(within(ask(&worker, call(ECHO, body.clone()))).await, Ok(body));
    router.close(CloseCode::NORMAL, "done");
    let reason = within(worker_end).await.expect("no panic");
    assert!(matches!(reason, CloseReason::Peer { code: CloseCode::NORMAL, .. }), "{reason}");
}

#[tokio::test]
async fn over_a_unix_socket() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("router.sock");
    over(Address::Unix(path.clone())).await;
    assert!(!path.exists(), "the listener removes its file");
}

#[tokio::test]
async fn over_tcp_by_name() {
    over(Address::Tcp { host: "localhost".to_owned(), port: 0 }).await;
}

#[tokio::test]
async fn only_a_dead_socket_is_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("router.sock");
    let address = Address::Unix(path.clone());
    let live = Listener::bind(&address).await.expect("bound");
    let error = Listener::bind(&address).await.expect_err("it is in use").to_string();
    assert!(error.contains("another process listens there"), "{error}");
    drop(live);
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
    assert!(path.exists(), "a listener of the standard library leaves its file");
    Listener::bind(&address).await.expect("the dead one is replaced");
    std::fs::write(&path, "precious").expect("a file");
    let error = Listener::bind(&address).await.expect_err("it is no socket").to_string();
    assert!(error.contains("no socket") && path.exists(), "{error}");
}

/// Only root can be another user; whoever else runs this sees that its own connections are let in.
#[tokio::test]
async fn another_user_is_not_let_in() {
    const SOCKET: &str = "NOVA_TEST_SOCKET";
    if let Some(path) = std::env::var_os(SOCKET) {
        // The other user's process: it sees that it was let go.
        let mut stream = std::os::unix::net::UnixStream::connect(path).expect("the mode lets it");
        assert_eq!(std::io::Read::read(&mut stream, &mut [0]).expect("an end"), 0);
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("router.sock");
    let mut listener = Listener::bind(&Address::Unix(path.clone())).await.expect("bound");
    if rustix::process::geteuid().is_root() {
        use std::os::unix::fs::PermissionsExt;
        for (path, mode) in [(directory.path(), 0o755), (path.as_path(), 0o777)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
        }
        // A copy that the other user can read, wherever this one lies.
        let copy = directory.path().join("tests");
        std::fs::copy(std::env::current_exe().expect("known"), &copy).expect("copied");
        let mut other = tokio::process::Command::new(&copy);
        other.args(["--exact", "another_user_is_not_let_in"]).env(SOCKET, &path).uid(65_534);
        let left = tokio::select! {
            _ = listener.accept() => panic!("it was let in"),
            status = within(other.status()) => status.expect("it runs"),
        };
        assert!(left.success(), "{left}");
    }
    let address = Address::Unix(path);
    let (_accepted, connected) = within(async { tokio::join!(listener.accept(), connect(&address)) }).await;
    connected.expect("the same user");
}
