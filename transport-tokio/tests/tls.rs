//! TLS over real sockets with real certificates: what works, and what each kind of failure says on both sides.

mod common;

use std::future::{Future, Ready, ready};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use common::Folder;
use common::certificates::{Use, Valid};
use nova_proto_core::{Call, CloseCode, CloseReason, Config, Role};
use nova_transport_tokio::{
    Address, Admission, Application, ClientTls, ClientTlsFiles, ConnectOptions, Fingerprint, Handle,
    Incoming, Link, ListenOptions, Listener, ServerTls, ServerTlsFiles, Stream, connect, connect_with,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

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

fn start(stream: Stream, role: Role) -> (Handle, JoinHandle<CloseReason>) {
    let (handle, driver) = stream.drive(Config::new(role), Echo).expect("a good configuration");
    (handle, tokio::spawn(driver))
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("in time")
}

async fn listen(server: ServerTls) -> (Listener, Address) {
    let address: Address = "tcp+tls:localhost:0".parse().expect("an address");
    let listener =
        Listener::bind_with(&address, &ListenOptions::with_tls(Some(server))).await.expect("bound");
    let address = listener.address().clone();
    assert!(
        matches!(&address, Address::Tls { host, port } if host == "localhost" && *port != 0),
        "{address}"
    );
    (listener, address)
}

async fn dial(address: &Address, client: ClientTls) -> io::Result<Stream> {
    connect_with(address, &ConnectOptions::with_tls(Some(client))).await
}

/// Keeps the listener at work; what it accepts is driven.
fn serve(mut listener: Listener) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ends = Vec::new();
        loop {
            ends.push(start(listener.accept().await, Role::Router));
        }
    })
}

/// Where what the listener logs goes, in tests of one thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8")
    }

    fn clear(&self) {
        self.0.lock().expect("no panic").clear();
    }

    async fn has(&self, wanted: &str) {
        let seen = tokio::time::timeout(Duration::from_secs(60), async {
            while !self.text().contains(wanted) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(seen.await.is_ok(), "no `{wanted}` in the log:\n{}", self.text());
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn log() -> (Log, impl Drop) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn both_ends_prove_who_they_are_and_bodies_go_both_ways() {
    let folder = Folder::new();
    let (mut listener, address) = listen(folder.server()).await;
    let (accepted, connected) =
        within(async { tokio::join!(listener.accept(), dial(&address, folder.client())) }).await;
    let connected = connected.expect("connected");
    for (stream, files) in [(&accepted, &folder.worker), (&connected, &folder.router)] {
        assert_eq!(stream.peer().link, Link::Tls);
        assert_eq!(stream.peer().certificate, Some(openssl_fingerprint(&files.certificate)));
    }
    let ((router, router_end), (worker, worker_end)) =
        (start(accepted, Role::Router), start(connected, Role::Worker));
    for handle in [&router, &worker] {
        within(handle.connected()).await.expect("connected");
        let body = Bytes::from_iter((0..4_000_000_u32).map(|index| (index % 251) as u8));
        let call = Call { reply_max: 4_000_000, ..Call::new(1, body.clone()) };
        assert_eq!(within(handle.call(call).expect("sent")).await.map(|body| body.bytes), Ok(body));
    }
    router.close(CloseCode::NORMAL, "done");
    let reason = within(worker_end).await.expect("no panic");
    assert!(matches!(reason, CloseReason::Peer { code: CloseCode::NORMAL, .. }), "{reason}");
    assert_eq!(within(router_end).await.expect("no panic"), CloseReason::Local(CloseCode::NORMAL));
    assert!(
        worker.stream_error().is_none() && router.stream_error().is_none(),
        "close_notify came both ways"
    );
}

/// What another program says of the certificate.
fn openssl_fingerprint(file: &std::path::Path) -> Fingerprint {
    let out = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(file)
        .output()
        .expect("openssl runs");
    let text = String::from_utf8(out.stdout).expect("text");
    let digits = text.trim().split_once('=').expect("a fingerprint").1;
    let bytes: Vec<u8> =
        digits.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("hexadecimal")).collect();
    Fingerprint(bytes.try_into().expect("32 bytes"))
}

#[tokio::test]
async fn the_name_is_the_hosts_unless_another_is_given() {
    let folder = Folder::new();
    let identity = folder.pair("named", &folder.authority.issue("router.example", Use::Server, Valid::Now));
    let server = ServerTlsFiles { identity, client_ca: None };
    let (listener, address) = listen(ServerTls::from_files(&server).expect("good files")).await;
    let _serving = serve(listener);
    let named = ClientTlsFiles { domain: Some("router.example".to_owned()), ..folder.client_files() };
    let named = ClientTls::from_files(&named).expect("good files");
    within(dial(&address, named)).await.expect("the name is right");
    let by_address = folder.pair("address", &folder.authority.issue("127.0.0.1", Use::Server, Valid::Now));
    let server = ServerTlsFiles { identity: by_address, client_ca: None };
    let (listener, address) = listen(ServerTls::from_files(&server).expect("good files")).await;
    let Address::Tls { port, .. } = address else { panic!("{address}") };
    let _serving = serve(listener);
    let address = Address::Tls { host: "127.0.0.1".to_owned(), port };
    within(dial(&address, folder.client())).await.expect("the IP address is right");
}

#[tokio::test]
async fn a_bad_certificate_of_the_router_is_told_on_both_sides() {
    let (log, _guard) = log();
    let folder = Folder::new();
    let (other, _) = folder.other_ca();
    let same_name = common::certificates::Authority::new("Test CA");
    let cases = [
        (
            "other",
            other.issue("localhost", Use::Server, Valid::Now),
            "was not issued by the CA in",
            "does not know the CA",
        ),
        (
            "same",
            same_name.issue("localhost", Use::Server, Valid::Now),
            "another CA of the same name",
            "another CA of the same name",
        ),
        ("past", folder.authority.issue("localhost", Use::Server, Valid::Past), "has expired", "has expired"),
        (
            "future",
            folder.authority.issue("localhost", Use::Server, Valid::Future),
            "is the clock right?",
            "not valid yet",
        ),
        (
            "name",
            folder.authority.issue("other.example", Use::Server, Valid::Now),
            "is not for localhost, but for other.example; connect by one of its names, or give one with --tls-domain",
            "does not accept our certificate",
        ),
        (
            "use",
            folder.authority.issue("localhost", Use::Client, Valid::Now),
            "serverAuth for a router",
            "does not accept our certificate",
        ),
    ];
    for (name, issued, there, here) in cases {
        let identity = folder.pair(name, &issued);
        let server = ServerTls::from_files(&ServerTlsFiles { identity, ..folder.server_files() });
        let (listener, address) = listen(server.expect("good files")).await;
        let serving = serve(listener);
        let error = within(dial(&address, folder.client())).await.expect_err(name).to_string();
        assert!(error.contains(there) && error.contains(&address.to_string()), "{name}: {error}");
        log.has(here).await;
        log.clear();
        serving.abort();
    }
}

#[tokio::test]
async fn a_bad_certificate_of_the_worker_is_told_on_both_sides() {
    let (log, _guard) = log();
    let folder = Folder::new();
    let (other, _) = folder.other_ca();
    let (listener, address) = listen(folder.server()).await;
    let _serving = serve(listener);
    let cases = [
        (
            "none",
            None,
            "asks for a certificate; give one with --tls-client-cert",
            "the worker shows no certificate",
        ),
        (
            "other",
            Some(other.issue("worker", Use::Client, Valid::Now)),
            "the router does not know the CA that has issued our certificate",
            "the certificate of the worker was not issued by the CA in",
        ),
        (
            "past",
            Some(folder.authority.issue("worker", Use::Client, Valid::Past)),
            "the router does not accept our certificate: it has expired",
            "the certificate of the worker has expired",
        ),
        (
            "use",
            Some(folder.authority.issue("worker", Use::Server, Valid::Now)),
            "the router does not accept our certificate",
            "clientAuth for a worker",
        ),
    ];
    for (name, issued, there, here) in cases {
        let identity = issued.map(|issued| folder.pair(name, &issued));
        let client =
            ClientTls::from_files(&ClientTlsFiles { identity, ..folder.client_files() }).expect("good files");
        // With TLS 1.3 the router judges after the worker's side of the handshake is done.
        let stream = within(dial(&address, client.clone())).await.expect(name);
        let (handle, end) = start(stream, Role::Worker);
        assert_eq!(within(end).await.expect("no panic"), CloseReason::Eof, "{name}");
        let error = handle.stream_error().expect(name);
        assert!(nova_driver::net::tls::is_refusal(&error), "{name}: {error}");
        let error = client.explain(&error).to_string();
        assert!(error.contains(there), "{name}: {error}");
        log.has(here).await;
        log.clear();
    }
}

#[tokio::test]
async fn the_protocols_name_is_asked_for_on_both_sides() {
    let (log, _guard) = log();
    let folder = Folder::new();
    let (listener, address) = listen(folder.server()).await;
    let Address::Tls { port, .. } = address else { panic!("{address}") };
    let _serving = serve(listener);
    for protocols in [Vec::new(), vec![b"h2".to_vec()]] {
        let mut config = (*folder.client().config()).clone();
        config.alpn_protocols = protocols.clone();
        let stream = TcpStream::connect(("localhost", port)).await.expect("connected");
        let name = ServerName::try_from("localhost").expect("a name");
        let error =
            within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await.expect_err("no nova/3");
        assert!(error.to_string().contains("NoApplicationProtocol"), "{protocols:?}: {error}");
    }
    log.has("the worker speaks TLS, but not nova/3").await;

    for (protocols, expected) in
        [(Vec::new(), "the router is another program"), (vec![b"h2".to_vec()], "it is no Nova router")]
    {
        let mut config = (*folder.server().config()).clone();
        config.alpn_protocols = protocols;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let error = against(&folder, async move |stream| {
            let _ = acceptor.accept(stream).await.map(|_| ());
        });
        let error = error.await;
        assert!(error.contains("speaks TLS, but not nova/3") && error.contains(expected), "{error}");
    }
}

/// What a worker says that connects to a router of this kind.
async fn against<F: Future<Output = ()>>(folder: &Folder, router: impl FnOnce(TcpStream) -> F) -> String {
    let listener = TcpListener::bind("localhost:0").await.expect("bound");
    let port = listener.local_addr().expect("an address").port();
    let address = Address::Tls { host: "localhost".to_owned(), port };
    let serving = async { router(listener.accept().await.expect("accepted").0).await };
    let (connected, ()) = within(async { tokio::join!(dial(&address, folder.client()), serving) }).await;
    connected.expect_err("refused").to_string()
}

#[tokio::test]
async fn who_speaks_no_tls_is_told_apart() {
    let (log, _guard) = log();
    let folder = Folder::new();
    let speaks = async |answer: &'static [u8]| {
        against(&folder, async move |mut stream| {
            let mut hello = [0; 16];
            let _ = stream.read(&mut hello).await;
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await
    };
    let error = speaks(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert!(error.contains("does not speak TLS; is its address tcp:"), "{error}");
    let error = speaks(b"").await;
    assert!(error.contains("closed the connection within TLS; is its address tcp:"), "{error}");
    let error = speaks(&[0x15, 3, 3, 0, 2, 2, 70]).await;
    assert!(error.contains("has no TLS 1.3"), "{error}");
    let error = against(&folder, async |stream| {
        let (_handle, driver) =
            nova_transport_tokio::drive(stream, Config::new(Role::Router), Echo).expect("good");
        let reason = driver.await;
        assert!(reason.to_string().contains("TLS"), "{reason}");
    });
    let error = error.await;
    assert!(error.contains("is its address tcp: and not tcp+tls:?"), "{error}");

    let (listener, address) = listen(folder.server()).await;
    let _serving = serve(listener);
    let Address::Tls { host, port } = address else { panic!("{address}") };
    let plain = connect(&Address::Tcp { host, port }).await.expect("connected");
    let (_handle, end) = start(plain, Role::Worker);
    let reason = within(end).await.expect("no panic").to_string();
    assert!(reason.contains("TLS"), "{reason}");
    log.has("the worker does not speak TLS; is its address tcp:").await;
}

#[tokio::test]
async fn addresses_need_what_they_name() {
    for (address, problem) in [
        ("tcp+tls:localhost:1", "the CA that has issued the router's certificate"),
        ("pipe:nova", "named pipes exist on Windows only; use unix:PATH"),
    ] {
        let error = connect(&address.parse().expect(address)).await.expect_err(address).to_string();
        assert!(error.contains(problem) && error.contains(address), "{error}");
    }
    for (address, problem) in
        [("tcp+tls:localhost:0", "the router's certificate and its key"), ("pipe:nova", "use unix:PATH")]
    {
        let error = Listener::bind(&address.parse().expect(address)).await.expect_err(address).to_string();
        assert!(error.contains(problem) && error.contains(address), "{error}");
    }
}

/// More stuck handshakes than a listener keeps: others get in all the same, at once.
#[tokio::test]
async fn stuck_handshakes_delay_nobody() {
    let folder = Folder::new();
    let (listener, address) = listen(folder.server()).await;
    let Address::Tls { port, .. } = address else { panic!("{address}") };
    let _serving = serve(listener);
    let mut stuck = Vec::new();
    for _ in 0..nova_driver::net::MAX_HANDSHAKES + 20 {
        stuck.push(within(TcpStream::connect(("localhost", port))).await.expect("connected"));
    }
    for _ in 0..3 {
        let (handle, _end) =
            start(within(dial(&address, folder.client())).await.expect("connected"), Role::Worker);
        within(handle.connected()).await.expect("let in");
    }
    // The first ones had to go.
    let mut byte = [0];
    assert!(matches!(within(stuck[0].read(&mut byte)).await, Ok(0) | Err(_)));
}

#[tokio::test(start_paused = true)]
async fn a_stuck_handshake_ends_with_the_handshakes_timer() {
    let (log, _guard) = log();
    let folder = Folder::new();
    let (listener, address) = listen(folder.server()).await;
    let Address::Tls { port, .. } = address else { panic!("{address}") };
    let mut stuck = std::net::TcpStream::connect(("localhost", port)).expect("connected");
    let started = tokio::time::Instant::now();
    let _serving = serve(listener);
    log.has("not done within 5 s").await;
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(5) && waited <= Duration::from_secs(7), "{waited:?}");
    let mut byte = [0];
    assert!(matches!(io::Read::read(&mut stuck, &mut byte), Ok(0) | Err(_)), "the socket is released");
}

#[tokio::test(start_paused = true)]
async fn a_silent_router_ends_connecting_with_the_handshakes_timer() {
    let folder = Folder::new();
    let listener = TcpListener::bind("localhost:0").await.expect("bound");
    let port = listener.local_addr().expect("an address").port();
    let started = tokio::time::Instant::now();
    let error = dial(&Address::Tls { host: "localhost".to_owned(), port }, folder.client())
        .await
        .expect_err("silence");
    assert_eq!((error.kind(), started.elapsed().as_secs()), (io::ErrorKind::TimedOut, 10), "{error}");
}

#[tokio::test]
async fn an_end_without_close_notify_is_no_clean_end() {
    let folder = Folder::new();
    let (mut listener, address) = listen(folder.server()).await;
    let Address::Tls { port, .. } = address else { panic!("{address}") };
    for clean in [false, true] {
        let connecting = async {
            let stream = TcpStream::connect(("localhost", port)).await.expect("connected");
            let name = ServerName::try_from("localhost").expect("a name");
            TlsConnector::from(folder.client().config()).connect(name, stream).await.expect("TLS")
        };
        let (accepted, mut peer) = within(async { tokio::join!(listener.accept(), connecting) }).await;
        let (router, end) = start(accepted, Role::Router);
        if clean {
            peer.shutdown().await.expect("close_notify");
        } else {
            peer.get_mut().0.shutdown().await.expect("a FIN alone");
        }
        assert_eq!(within(end).await.expect("no panic"), CloseReason::Eof);
        let kind = router.stream_error().map(|error| error.kind());
        assert_eq!(kind, (!clean).then_some(io::ErrorKind::UnexpectedEof));
    }
}
