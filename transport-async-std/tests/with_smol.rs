//! The same driver and the same TLS settings over smol, which nothing in this workspace knows: its halves and its timer are
//! all that it brings.

#[path = "../../transport-tokio/tests/common/certificates.rs"]
mod certificates;

use std::future::{Ready, ready};
use std::time::Instant;

use bytes::Bytes;
use certificates::{Authority, Use, Valid, write};
use futures_rustls::TlsConnector;
use futures_util::AsyncReadExt;
use nova_driver::{Admission, Application, Incoming, Io};
use nova_proto_core::{Call, CloseCode, CloseReason, Config, Role};
use nova_transport_tokio::{
    Address, ClientTls, ClientTlsFiles, IdentityFiles, ListenOptions, Listener, ServerTls, ServerTlsFiles,
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

async fn worker_on_smol(port: u16, tls: ClientTls) -> CloseReason {
    let socket = smol::net::TcpStream::connect(("localhost", port)).await.expect("connected");
    let name = tls.server_name("localhost").expect("a name");
    let stream = TlsConnector::from(tls.config()).connect(name, socket).await.expect("TLS");
    assert!(tls.finished(stream.get_ref().1).expect("nova/3").is_some());
    let (reader, writer) = stream.split();
    let sleep_until = |at: Instant| async move { _ = smol::Timer::at(at).await };
    let io = Io { reader, writer, now: Instant::now, sleep_until };
    let config = Config::new(Role::Worker);
    let (_handle, driver) = nova_driver::connect(io, config, Echo).expect("a good configuration");
    driver.await
}

#[test]
fn a_worker_on_smol_and_a_router_on_tokio() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("Test CA");
    let ca = write(directory.path(), "ca.pem", &authority.pem);
    let issued = authority.issue("localhost", Use::Server, Valid::Now);
    let identity = IdentityFiles {
        certificate: write(directory.path(), "router.pem", &issued.certificate),
        key: write(directory.path(), "router.key", &issued.key),
    };
    let server = ServerTls::from_files(&ServerTlsFiles { identity, client_ca: None }).expect("good files");
    let client =
        ClientTls::from_files(&ClientTlsFiles { ca, domain: None, identity: None }).expect("good files");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let address: Address = "tcp+tls:localhost:0".parse().expect("an address");
    let options = ListenOptions::with_tls(Some(server));
    let mut listener = runtime.block_on(Listener::bind_with(&address, &options)).expect("bound");
    let Address::Tls { port, .. } = *listener.address() else { panic!("{}", listener.address()) };
    let worker = std::thread::spawn(move || smol::block_on(worker_on_smol(port, client)));
    runtime.block_on(async {
        let (router, driver) = listener.accept().await.drive(Config::new(Role::Router), Echo).expect("good");
        let driver = tokio::spawn(driver);
        router.connected().await.expect("connected");
        let body = Bytes::from(vec![7; 1_000_000]);
        let call = Call { reply_max: 1_000_000, ..Call::new(1, body.clone()) };
        assert_eq!(router.call(call).expect("sent").await.map(|body| body.bytes), Ok(body));
        router.close(CloseCode::NORMAL, "");
        driver.await.expect("no panic")
    });
    assert!(matches!(worker.join().expect("no panic"), CloseReason::Peer { code: CloseCode::NORMAL, .. }));
}
