//! TLS with either runtime on either side, and what a listener on async-std does.

#[path = "../../transport-tokio/tests/common/certificates.rs"]
mod certificates;

use std::future::{Future, Ready, ready};
use std::net::Shutdown;
use std::time::Duration;

use async_std::future::timeout;
use async_std::net::TcpStream;
use async_std::task;
use bytes::Bytes;
use certificates::{Authority, Use, Valid, write};
use futures_rustls::TlsConnector;
use futures_rustls::pki_types::ServerName;
use futures_util::AsyncWriteExt;
use nova_proto_core::{Call, CloseCode, CloseReason, Config, Role};
use nova_transport_async_std::{
    Address, Admission, Application, ClientTls, ClientTlsFiles, ConnectOptions, Handle, IdentityFiles,
    Incoming, Link, ListenOptions, Listener, ServerTls, ServerTlsFiles, Stream, connect_with,
};

struct Echo;

impl Application for Echo {
    type Handler = Ready<()>;

    fn admit(&mut self, _hello: Bytes) -> Admission {
        Admission::Accept(Bytes::new())
    }

    fn request(&mut self, request: Incoming) -> Ready<()> {
        let body = request.body.clone();
        request.respond(body);
        ready(())
    }
}

/// Settings of both sides, from one CA.
fn settings() -> (ServerTls, ClientTls) {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("Test CA");
    let ca = write(directory.path(), "ca.pem", &authority.pem);
    let pair = |name: &str, host: &str, purpose: Use| {
        let issued = authority.issue(host, purpose, Valid::Now);
        IdentityFiles {
            certificate: write(directory.path(), &format!("{name}.pem"), &issued.certificate),
            key: write(directory.path(), &format!("{name}.key"), &issued.key),
        }
    };
    let identity = pair("router", "localhost", Use::Server);
    let server = ServerTls::from_files(&ServerTlsFiles { identity, client_ca: Some(ca.clone()) });
    let identity = Some(pair("worker", "worker", Use::Client));
    let client = ClientTls::from_files(&ClientTlsFiles { ca, domain: None, identity });
    (server.expect("good files"), client.expect("good files"))
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.expect("in time")
}

fn anywhere() -> Address {
    "tcp+tls:localhost:0".parse().expect("an address")
}

fn start(stream: Stream, role: Role) -> (Handle, task::JoinHandle<CloseReason>) {
    let (handle, driver) = stream.drive(Config::new(role), Echo).expect("a good configuration");
    (handle, task::spawn(driver))
}

async fn echoes(handle: &Handle) {
    within(handle.connected()).await.expect("connected");
    let body = Bytes::from_iter((0..3_000_000_u32).map(|index| (index % 251) as u8));
    let call = Call { reply_max: 3_000_000, ..Call::new(1, body.clone()) };
    assert_eq!(within(handle.call(call).expect("sent")).await.map(|body| body.bytes), Ok(body));
}

#[test]
fn async_std_on_both_sides() {
    let (server, client) = settings();
    task::block_on(async {
        for address in [anywhere(), "tcp:localhost:0".parse().expect("an address")] {
            let options = ListenOptions::with_tls(Some(server.clone()));
            let mut listener = Listener::bind_with(&address, &options).await.expect("bound");
            let address = listener.address().clone();
            let options = ConnectOptions::with_tls(Some(client.clone()));
            let both = futures_util::future::join(listener.accept(), connect_with(&address, &options));
            let (accepted, connected) = within(both).await;
            let connected = connected.expect("connected");
            let tls = matches!(address, Address::Tls { .. });
            for peer in [accepted.peer(), connected.peer()] {
                assert_eq!((peer.link == Link::Tls, peer.certificate.is_some()), (tls, tls), "{peer}");
            }
            let ((router, router_end), (worker, worker_end)) =
                (start(accepted, Role::Router), start(connected, Role::Worker));
            echoes(&router).await;
            echoes(&worker).await;
            worker.close(CloseCode::NORMAL, "");
            assert_eq!(within(worker_end).await, CloseReason::Local(CloseCode::NORMAL));
            let reason = within(router_end).await;
            assert!(matches!(reason, CloseReason::Peer { code: CloseCode::NORMAL, .. }), "{reason}");
            assert!(
                worker.stream_error().is_none() && router.stream_error().is_none(),
                "close_notify came both ways"
            );
        }
    });
}

#[test]
fn a_worker_on_tokio_and_a_router_on_async_std() {
    let (server, client) = settings();
    task::block_on(async {
        let options = ListenOptions::with_tls(Some(server));
        let mut listener = Listener::bind_with(&anywhere(), &options).await.expect("bound");
        let address = listener.address().clone();
        let worker = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let options = ConnectOptions::with_tls(Some(client));
                let stream = nova_transport_tokio::connect_with(&address, &options).await.expect("connected");
                let (handle, driver) = stream.drive(Config::new(Role::Worker), Echo).expect("good");
                let driver = tokio::spawn(driver);
                echoes(&handle).await;
                handle.close(CloseCode::NORMAL, "");
                driver.await.expect("no panic")
            })
        });
        let (router, end) = start(within(listener.accept()).await, Role::Router);
        assert!(matches!(within(end).await, CloseReason::Peer { code: CloseCode::NORMAL, .. }));
        drop(router);
        assert_eq!(worker.join().expect("no panic"), CloseReason::Local(CloseCode::NORMAL));
    });
}

#[test]
fn stuck_and_strange_peers_delay_nobody() {
    let (server, client) = settings();
    task::block_on(async {
        let options = ListenOptions::with_tls(Some(server));
        let mut listener = Listener::bind_with(&anywhere(), &options).await.expect("bound");
        let address = listener.address().clone();
        let Address::Tls { port, .. } = address else { panic!("{address}") };
        let serving = task::spawn(async move {
            let mut ends = Vec::new();
            loop {
                ends.push(start(listener.accept().await, Role::Router));
            }
        });
        let _stuck = within(TcpStream::connect(("localhost", port))).await.expect("connected");
        let mut config = (*client.config()).clone();
        config.alpn_protocols.clear();
        let stream = within(TcpStream::connect(("localhost", port))).await.expect("connected");
        let name = ServerName::try_from("localhost").expect("a name");
        let refused = within(TlsConnector::from(std::sync::Arc::new(config)).connect(name, stream)).await;
        let error = refused.map(|_| ()).expect_err("no nova/3").to_string();
        assert!(error.contains("NoApplicationProtocol"), "{error}");
        let options = ConnectOptions::with_tls(Some(client));
        let (worker, _end) =
            start(within(connect_with(&address, &options)).await.expect("connected"), Role::Worker);
        echoes(&worker).await;
        serving.cancel().await;
    });
}

#[test]
fn a_stuck_handshake_and_a_silent_router_end_in_time() {
    let (server, client) = settings();
    task::block_on(async {
        let soon = Duration::from_millis(50);
        let options = ListenOptions { within: soon, ..ListenOptions::with_tls(Some(server)) };
        let mut listener = Listener::bind_with(&anywhere(), &options).await.expect("bound");
        let Address::Tls { port, .. } = *listener.address() else { panic!("{}", listener.address()) };
        let serving = task::spawn(async move { drop(listener.accept().await) });
        let mut stuck = TcpStream::connect(("localhost", port)).await.expect("connected");
        let mut byte = [0];
        let end = within(futures_util::AsyncReadExt::read(&mut stuck, &mut byte)).await;
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
        serving.cancel().await;

        let silent = std::net::TcpListener::bind("localhost:0").expect("bound");
        let port = silent.local_addr().expect("an address").port();
        let options = ConnectOptions { within: soon, ..ConnectOptions::with_tls(Some(client)) };
        let address = Address::Tls { host: "localhost".to_owned(), port };
        let error = within(connect_with(&address, &options)).await.expect_err("silence");
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
    });
}

#[test]
fn an_end_without_close_notify_is_no_clean_end() {
    let (server, client) = settings();
    task::block_on(async {
        let options = ListenOptions::with_tls(Some(server));
        let mut listener = Listener::bind_with(&anywhere(), &options).await.expect("bound");
        let Address::Tls { port, .. } = *listener.address() else { panic!("{}", listener.address()) };
        for clean in [false, true] {
            let connecting = async {
                let stream = TcpStream::connect(("localhost", port)).await.expect("connected");
                let name = ServerName::try_from("localhost").expect("a name");
                TlsConnector::from(client.config()).connect(name, stream).await.expect("TLS")
            };
            let (accepted, mut peer) =
                within(futures_util::future::join(listener.accept(), connecting)).await;
            let (router, end) = start(accepted, Role::Router);
            if clean {
                peer.close().await.expect("close_notify");
            } else {
                peer.get_ref().0.shutdown(Shutdown::Write).expect("a FIN alone");
            }
            assert_eq!(within(end).await, CloseReason::Eof);
            let kind = router.stream_error().map(|error| error.kind());
            assert_eq!(kind, (!clean).then_some(std::io::ErrorKind::UnexpectedEof));
        }
    });
}
