//! The runtimes: each gives ends of connections, in threads of their own.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use futures_util::{AsyncRead, AsyncWrite};
use nova_driver::net::{ConnectOptions, ListenOptions};
use nova_driver::{Address, Handle};
use nova_proto_core::{
    Call, CallKey, CloseCode, CloseReason, Config, ErrorCode, ErrorReply, Event, RequestId, SendError, Stats,
};

use crate::blocking::Link;
use crate::peer::{Answer, Calls, IN_TIME, Peer, Pending};
use crate::pipe::PipeEnd;
use crate::service::{NEVER, Service};

/// Connects and is a worker.
pub(crate) type Connect = fn(Address, ConnectOptions, Config) -> Peer;

/// Listens for one connection and is its router; where it listens comes with it.
pub(crate) type Listen = fn(Address, ListenOptions, Config) -> (Address, Peer);

/// Is either on one end of a pipe.
pub(crate) type OverPipe = fn(PipeEnd, Config) -> Peer;

/// Runs a listening end in a thread: `run` sends first where it listens.
fn listening(
    run: impl FnOnce(Service, Sender<Address>, Sender<Box<dyn Calls>>) -> CloseReason + Send + 'static,
) -> (Address, Peer) {
    let (sender, address) = channel();
    let peer = Peer::start(Service::default(), move |service, calls| run(service, sender, calls));
    (address.recv_timeout(IN_TIME).expect("bound in time"), peer)
}

fn hand_over(calls: &Sender<Box<dyn Calls>>, handle: Handle) {
    calls.send(Box::new(handle)).expect("the test waits for it");
}

// ---- tokio -------------------------------------------------------------------------------------------------

pub(crate) mod with_tokio {
    use nova_transport_tokio::{Listener, Stream, connect_with, drive};
    use tokio::runtime::{Builder, Runtime};
    use tokio_util::compat::FuturesAsyncReadCompatExt;

    use super::*;

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    async fn run(
        stream: Stream,
        config: Config,
        service: Service,
        calls: &Sender<Box<dyn Calls>>,
    ) -> CloseReason {
        let (handle, driver) = stream.drive(config, service).expect("a good configuration");
        hand_over(calls, handle);
        driver.await
    }

    pub(crate) fn connect(address: Address, options: ConnectOptions, config: Config) -> Peer {
        Peer::start(Service::default(), move |service, calls| {
            runtime().block_on(async {
                let stream = connect_with(&address, &options).await.expect("connected");
                run(stream, config, service, &calls).await
            })
        })
    }

    pub(crate) fn listen(address: Address, options: ListenOptions, config: Config) -> (Address, Peer) {
        listening(move |service, bound, calls| {
            runtime().block_on(async {
                let mut listener = Listener::bind_with(&address, &options).await.expect("bound");
                bound.send(listener.address().clone()).expect("the test waits for it");
                run(listener.accept().await, config, service, &calls).await
            })
        })
    }

    pub(crate) fn over_pipe(end: PipeEnd, config: Config) -> Peer {
        Peer::start(Service::default(), move |service, calls| {
            let (handle, driver) = drive(end.compat(), config, service).expect("a good configuration");
            hand_over(&calls, handle);
            runtime().block_on(driver)
        })
    }
}

// ---- async-std ---------------------------------------------------------------------------------------------

pub(crate) mod with_async_std {
    use async_std::task::{block_on, spawn};
    use nova_transport_async_std::{Listener, Stream, connect_with, drive};

    use super::*;

    /// The driver is a task of the runtime; this thread only waits for it.
    fn run(stream: Stream, config: Config, service: Service, calls: &Sender<Box<dyn Calls>>) -> CloseReason {
        let (handle, driver) = stream.drive(config, service).expect("a good configuration");
        hand_over(calls, handle);
        block_on(spawn(driver))
    }

    pub(crate) fn connect(address: Address, options: ConnectOptions, config: Config) -> Peer {
        Peer::start(Service::default(), move |service, calls| {
            run(block_on(connect_with(&address, &options)).expect("connected"), config, service, &calls)
        })
    }

    pub(crate) fn listen(address: Address, options: ListenOptions, config: Config) -> (Address, Peer) {
        listening(move |service, bound, calls| {
            let mut listener = block_on(Listener::bind_with(&address, &options)).expect("bound");
            bound.send(listener.address().clone()).expect("the test waits for it");
            run(block_on(listener.accept()), config, service, &calls)
        })
    }

    pub(crate) fn over_pipe(end: PipeEnd, config: Config) -> Peer {
        Peer::start(Service::default(), move |service, calls| {
            let (handle, driver) = drive(end, config, service).expect("a good configuration");
            hand_over(&calls, handle);
            block_on(spawn(driver))
        })
    }
}

// ---- smol --------------------------------------------------------------------------------------------------

pub(crate) mod with_smol {
    use futures_rustls::TlsConnector;
    use smol::net::{TcpStream, unix::UnixStream};
    use smol::{block_on, spawn};

    use super::*;
    use crate::smol_driver::drive;

    fn run<T>(stream: T, config: Config, service: Service, calls: &Sender<Box<dyn Calls>>) -> CloseReason
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (handle, driver) = drive(stream, config, service).expect("a good configuration");
        hand_over(calls, handle);
        block_on(spawn(driver))
    }

    pub(crate) fn connect(address: Address, options: ConnectOptions, config: Config) -> Peer {
        Peer::start(Service::default(), move |service, calls| match address {
            Address::Unix(path) => {
                let stream = block_on(UnixStream::connect(path)).expect("connected");
                run(stream, config, service, &calls)
            }
            Address::Tcp { host, port } => run(tcp(&host, port), config, service, &calls),
            Address::Tls { host, port } => {
                let tls = options.need_tls().expect("given");
                let connector = TlsConnector::from(tls.config());
                let name = tls.server_name(&host).expect("a name");
                let stream = block_on(connector.connect(name, tcp(&host, port))).expect("connected");
                run(stream, config, service, &calls)
            }
            Address::Pipe(_) => unreachable!("not a transport of this test"),
        })
    }

    fn tcp(host: &str, port: u16) -> TcpStream {
        let stream = block_on(TcpStream::connect((host, port))).expect("connected");
        stream.set_nodelay(true).expect("set");
        stream
    }

    pub(crate) fn over_pipe(end: PipeEnd, config: Config) -> Peer {
        Peer::start(Service::default(), move |service, calls| run(end, config, service, &calls))
    }
}

// ---- threads -----------------------------------------------------------------------------------------------

pub(crate) mod with_threads {
    use super::*;

    pub(crate) fn connect(address: Address, _options: ConnectOptions, config: Config) -> Peer {
        Peer::start(Service::default(), move |service, calls| match address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).expect("connected");
                run(config, service, &calls, |link| link.run(&stream, &stream, |how| stream.shutdown(how)))
            }
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((host, port)).expect("connected");
                stream.set_nodelay(true).expect("set");
                run(config, service, &calls, |link| link.run(&stream, &stream, |how| stream.shutdown(how)))
            }
            Address::Tls { .. } | Address::Pipe(_) => unreachable!("not a transport of these threads"),
        })
    }

    pub(crate) fn over_pipe(end: PipeEnd, config: Config) -> Peer {
        Peer::start(Service::default(), move |service, calls| {
            run(config, service, &calls, |link| link.run(&end, &end, |how| end.shutdown(how)))
        })
    }

    fn run(
        config: Config,
        service: Service,
        calls: &Sender<Box<dyn Calls>>,
        drive: impl FnOnce(&Link) -> CloseReason,
    ) -> CloseReason {
        let (link, events) = Link::new(config).expect("a good configuration");
        let link = Arc::new(link);
        calls.send(Box::new(Arc::clone(&link))).expect("the test waits for it");
        std::thread::scope(|threads| {
            threads.spawn(|| serve(&link, &service, events));
            drive(&link)
        })
    }

    /// The application: one thread that takes events.
    fn serve(link: &Arc<Link>, service: &Service, events: Receiver<Event>) {
        for event in events {
            match event {
                Event::Hello { .. } => drop(link.with(|connection| connection.accept("welcome".into()))),
                Event::Request(request) if request.method == NEVER => service.note(&request.body.bytes),
                Event::Request(request) => {
                    let (link, id) = (Arc::clone(link), request.id);
                    let reply = Box::new(move |result| respond(&link, id, result));
                    service.answer(request.method, request.body.bytes, reply);
                }
                Event::Cancelled { id } => {
                    service.note_stopped();
                    respond(link, id, Err(ErrorReply::new(ErrorCode::CANCELLED, "told to stop")));
                }
                Event::Closed(_) => return,
                _ => {}
            }
        }
    }

    /// One that is gone, because the connection is, needs no answer.
    fn respond(link: &Link, id: RequestId, result: Result<bytes::Bytes, ErrorReply>) {
        let _ = link.with(|connection| match result {
            Ok(body) => connection.respond(id, body),
            Err(error) => connection.respond_error(id, error),
        });
    }
}

impl Calls for Arc<Link> {
    fn call(&self, call: Call) -> Result<Box<dyn Pending>, SendError> {
        let (key, answer) = Link::call(self, call)?;
        Ok(Box::new(LinkPending { link: Self::clone(self), key, answer }))
    }

    fn drain(&self, within: Duration) {
        self.with(|connection| connection.drain(within, Instant::now())).expect("open");
    }

    fn close(&self, code: CloseCode, message: &str) {
        self.with(|connection| connection.close(code, message));
    }

    fn is_connected(&self) -> bool {
        self.with(|connection| connection.agreed().is_some())
    }

    fn close_reason(&self) -> Option<CloseReason> {
        self.with(|connection| connection.close_reason().cloned())
    }

    fn stats(&self) -> Stats {
        self.with(|connection| connection.stats())
    }
}

struct LinkPending {
    link: Arc<Link>,
    key: CallKey,
    answer: Receiver<Result<nova_proto_core::Body, nova_proto_core::CallError>>,
}

impl Pending for LinkPending {
    fn wait(self: Box<Self>, at_most: Duration) -> Option<Answer> {
        let answer = self.answer.recv_timeout(at_most).ok()?;
        Some(answer.map(|body| body.bytes))
    }
}

impl Drop for LinkPending {
    /// Cancels what has no answer; for one that has, it does nothing.
    fn drop(&mut self) {
        self.link.cancel(self.key);
    }
}
