//! A router or a worker that answers every request with its own body: something to talk to while writing another
//! implementation.
//!
//! ```text
//! cargo run -p nova-transport-tokio --example echo -- router unix:/tmp/echo.sock
//! cargo run -p nova-transport-tokio --example echo -- worker unix:/tmp/echo.sock
//! ```

use std::future::{Ready, ready};

use bytes::Bytes;
use nova_proto_core::{Call, Config, Role};
use nova_transport_tokio::{Address, Admission, Application, Incoming, Listener, connect, drive};

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

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [role, address] = &arguments[..] else { return Err("usage: echo router|worker ADDRESS".into()) };
    let address: Address = address.parse()?;
    match role.as_str() {
        "router" => {
            let mut listener = Listener::bind(&address).await?;
            println!("listening at {}", listener.address());
            loop {
                let (handle, driver) = drive(listener.accept().await, Config::new(Role::Router), Echo)?;
                tokio::spawn(async move {
                    let asking = tokio::spawn(ask(handle));
                    println!("ended: {}", driver.await);
                    asking.abort();
                });
            }
        }
        "worker" => {
            let (handle, driver) = drive(connect(&address).await?, Config::new(Role::Worker), Echo)?;
            let asking = tokio::spawn(ask(handle));
            println!("ended: {}", driver.await);
            asking.abort();
            Ok(())
        }
        _ => Err("the role is router or worker".into()),
    }
}

/// Asks the other side for echoes of several sizes, then only listens.
async fn ask(handle: nova_transport_tokio::Handle) {
    if handle.connected().await.is_err() {
        return;
    }
    for size in [0, 1, 100, 16_384, 16_385, 1 << 20, 5 << 20] {
        let body: Vec<u8> = (0..size).map(|index: u32| (index % 251) as u8).collect();
        let call = Call { reply_max: size.max(1), ..Call::new(0xfff0, body.clone()) };
        match handle.call(call) {
            Ok(pending) => match pending.await {
                Ok(answer) => println!("echo of {size} bytes: {}", answer.bytes == body),
                Err(error) => println!("echo of {size} bytes: {error}"),
            },
            Err(error) => println!("echo of {size} bytes not sent: {error}"),
        }
    }
    handle.closed().await;
}
