//! An accept loop goes on, whatever its clients do, and when the process has no descriptors left.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use nova_driver::Address;
use nova_driver::net::tls::{ClientTls, ClientTlsFiles};
use nova_driver::net::{ConnectOptions, ListenOptions};
use nova_proto_core::{CloseCode, CloseReason, Config, Role};
use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cell::tls;
use crate::child::{command, is_child, nothing_is_left, open_descriptors};
use crate::ends::with_tokio;
use crate::peer::{IN_TIME, Peer, until};
use crate::service::{ECHO, Service, call, pattern};

const HOST: &str = "127.0.0.1";

/// Few, so that all are quickly used.
const DESCRIPTORS: u64 = 64;

/// Serves whoever comes, for ever; says first where it listens.
type Serve = fn(Address, ListenOptions, Sender<Address>);

fn over_tokio(address: Address, options: ListenOptions, bound: Sender<Address>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut listener =
            nova_transport_tokio::Listener::bind_with(&address, &options).await.expect("bound");
        bound.send(listener.address().clone()).expect("it is waited for");
        loop {
            let stream = listener.accept().await;
            let driven = stream.drive(Config::new(Role::Router), Service::default());
            let (handle, driver) = driven.expect("a good configuration");
            tokio::spawn(async move { (driver.await, handle) });
        }
    });
}

fn over_async_std(address: Address, options: ListenOptions, bound: Sender<Address>) {
    async_std::task::block_on(async {
        let mut listener =
            nova_transport_async_std::Listener::bind_with(&address, &options).await.expect("bound");
        bound.send(listener.address().clone()).expect("it is waited for");
        loop {
            let stream = listener.accept().await;
            let driven = stream.drive(Config::new(Role::Router), Service::default());
            let (handle, driver) = driven.expect("a good configuration");
            async_std::task::spawn(async move { (driver.await, handle) });
        }
    });
}

// ---- the child ---------------------------------------------------------------------------------------------

/// Counts what the accept loop says when it cannot accept.
#[derive(Clone, Default)]
struct Failures(Arc<AtomicUsize>);

impl Write for Failures {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if String::from_utf8_lossy(line).contains("could not accept a connection") {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Does what the lines of its input say, and says when it is done.
fn child(serve: Serve, listen: Address, directory: &Path) {
    let failures = Failures::default();
    let counting = failures.clone();
    tracing_subscriber::fmt().with_writer(move || counting.clone()).with_ansi(false).init();
    let limit = Rlimit { current: Some(DESCRIPTORS), maximum: getrlimit(Resource::Nofile).maximum };
    setrlimit(Resource::Nofile, limit).expect("less than before");

    let (sender, bound) = channel();
    let (_, server) = tls(directory, HOST);
    std::thread::spawn(move || serve(listen, ListenOptions::with_tls(Some(server)), sender));
    let address = bound.recv_timeout(IN_TIME).expect("bound in time");
    say(&format!("listening {address} {}", directory.display()));

    let (mut held, mut idle) = (Vec::new(), BTreeMap::new());
    for line in io::stdin().lines() {
        match line.expect("text").as_str() {
            // Asked for before the first client: one that is there already would count as idle.
            "note" => idle = open_descriptors(),
            "fill" => loop {
                failures.0.store(0, Ordering::SeqCst);
                match File::open("/dev/null") {
                    Ok(file) => held.push(file),
                    Err(error) => {
                        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::MFILE.raw_os_error()));
                        break;
                    }
                }
            },
            "fail" => until("accepting fails", || match failures.0.load(Ordering::SeqCst) {
                3.. => Ok(()),
                count => Err(count),
            }),
            "free" => held.clear(),
            "idle" => nothing_is_left(&idle, "after the clients left"),
            other => panic!("unknown: {other}"),
        }
        say("done");
    }
}

fn say(what: &str) {
    println!("\n@{what}");
}

// ---- the parent --------------------------------------------------------------------------------------------

/// The child, and what it says; killed at the end of the test, whatever that is.
struct Server {
    process: Child,
    lines: Receiver<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(name: &str) -> Self {
        let mut process =
            command(name).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(line) = line.strip_prefix('@') {
                    let _ = sender.send(line.to_owned());
                }
            }
        });
        Self { process, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(IN_TIME).expect("the child says something in time")
    }

    fn tell(&mut self, what: &str) {
        let input = self.process.stdin.as_mut().expect("a pipe");
        writeln!(input, "{what}").expect("the child lives");
        assert_eq!(self.line(), "done", "{what}");
    }
}

/// A worker of this process that trusts the certificate in `directory`; it is served when its call is answered.
fn client(address: &Address, directory: &Path) -> Peer {
    let files = ClientTlsFiles { ca: directory.join("cert.pem"), domain: None, identity: None };
    let tls = Some(ClientTls::from_files(&files).expect("good files"));
    with_tokio::connect(address.clone(), ConnectOptions { tls, within: IN_TIME }, Config::new(Role::Worker))
}

fn is_served(client: Peer) {
    client.connected();
    assert_eq!(client.ask(call(ECHO, &pattern(100_000, 1))), Ok(pattern(100_000, 1)));
    client.calls().close(CloseCode::NORMAL, "done");
    assert_eq!(client.end(), CloseReason::Local(CloseCode::NORMAL));
}

/// Connects and leaves as rudely as it can.
fn rude_client(address: &Address, says: &[u8]) {
    match address {
        Address::Unix(path) => {
            let _ = UnixStream::connect(path).expect("connected").write_all(says);
        }
        Address::Tcp { host, port } | Address::Tls { host, port } => {
            let mut stream = TcpStream::connect((host.as_str(), *port)).expect("connected");
            let _ = stream.write_all(says);
            set_socket_linger(&stream, Some(Duration::ZERO)).expect("set");
        }
        other => unreachable!("{other} is not tested here"),
    }
}

fn survives(name: &str, serve: Serve, listen: impl FnOnce(&Path) -> Address) {
    let directory = tempfile::tempdir().expect("a directory");
    if is_child(name) {
        return child(serve, listen(directory.path()), directory.path());
    }
    let mut server = Server::start(name);
    let line = server.line();
    let words: Vec<&str> = line.split(' ').collect();
    let ["listening", address, directory] = words[..] else { panic!("{line}") };
    let (address, directory): (Address, _) = (address.parse().expect("an address"), Path::new(directory));
    server.tell("note");
    for says in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"NOVA3\r\n\0\xff\xff\xff\xff"].iter().cycle().take(30)
    {
        rude_client(&address, says);
    }
    is_served(client(&address, directory));
    server.tell("idle");

    server.tell("fill");
    let waiting = [(); 2].map(|()| client(&address, directory));
    server.tell("fail");
    assert!(waiting.iter().all(|client| !client.is_connected()), "there was no descriptor for it");
    server.tell("free");
    waiting.into_iter().for_each(is_served);
    is_served(client(&address, directory));
    server.tell("idle");

    drop(server.process.stdin.take());
    assert!(server.process.wait().expect("our child").success());
}

fn unix(directory: &Path) -> Address {
    Address::Unix(directory.join("router.sock"))
}

fn tcp(_: &Path) -> Address {
    Address::Tcp { host: HOST.to_owned(), port: 0 }
}

fn tcp_tls(_: &Path) -> Address {
    Address::Tls { host: HOST.to_owned(), port: 0 }
}

macro_rules! survive {
    ($($name:ident: $serve:ident, $listen:ident;)*) => {
        $(#[test]
        fn $name() {
            survives(concat!("accept::", stringify!($name)), $serve, $listen);
        })*
    };
}

survive! {
    tokio_goes_on_without_descriptors_over_unix: over_tokio, unix;
    tokio_goes_on_without_descriptors_over_tcp: over_tokio, tcp;
    tokio_goes_on_without_descriptors_over_tls: over_tokio, tcp_tls;
    async_std_goes_on_without_descriptors_over_unix: over_async_std, unix;
    async_std_goes_on_without_descriptors_over_tcp: over_async_std, tcp;
    async_std_goes_on_without_descriptors_over_tls: over_async_std, tcp_tls;
}
