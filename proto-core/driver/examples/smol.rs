//! A connection on smol: a runtime that `nova-driver` knows nothing of brings its halves, its clock and its sleep.
//!
//! ```text
//! cargo run -p nova-driver --example smol
//! ```
#![allow(clippy::disallowed_methods, reason = "whoever drives the core makes its time")]

use std::error::Error;
use std::future::{Future, Ready, ready};
use std::time::Instant;

use bytes::Bytes;
use nova_driver::{Admission, Application, Handle, Incoming, Io};
use nova_proto_core::{Body, Call, CloseCode, CloseReason, Config, ConfigError, Role};
use smol::Timer;
use smol::io::{AsyncRead, AsyncWrite};

/// Puts a connection on a stream. The returned future drives it to its end: spawn it.
pub(crate) fn drive<T, A>(
    stream: T,
    config: Config,
    application: A,
) -> Result<(Handle, impl Future<Output = CloseReason> + use<T, A>), ConfigError>
where
    T: AsyncRead + AsyncWrite + Unpin,
    A: Application + Unpin,
{
    let (reader, writer) = smol::io::split(stream);
    let sleep_until = |at| async move { _ = Timer::at(at).await };
    nova_driver::connect(Io { reader, writer, now: Instant::now, sleep_until }, config, application)
}

/// Lets everybody in, and echoes.
struct Echo;

impl Application for Echo {
    type Handler = Ready<()>;

    fn admit(&mut self, _hello: Bytes) -> Admission {
        Admission::Accept("welcome".into())
    }

    fn request(&mut self, request: Incoming) -> Ready<()> {
        let body = request.body.clone();
        request.respond(body);
        ready(())
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(async {
        let listener = smol::net::TcpListener::bind("127.0.0.1:0").await?;
        let near = smol::net::TcpStream::connect(listener.local_addr()?).await?;
        let (far, _) = listener.accept().await?;
        for socket in [&near, &far] {
            socket.set_nodelay(true)?;
        }
        let (router, driver) = drive(far, Config::new(Role::Router), Echo)?;
        let router_end = smol::spawn(driver);
        let (worker, driver) = drive(near, Config::new(Role::Worker), Echo)?;
        let worker_end = smol::spawn(driver);

        worker.connected().await?;
        assert_eq!(worker.call(Call::new(7, "ping"))?.await?, Body::from("ping"));
        router.connected().await?;
        assert_eq!(router.call(Call::new(7, "pong"))?.await?, Body::from("pong"));
        worker.close(CloseCode::NORMAL, "done");
        println!("worker: {}", worker_end.await);
        println!("router: {}", router_end.await);
        Ok(())
    })
}
