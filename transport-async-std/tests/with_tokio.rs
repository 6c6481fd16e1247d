//! A worker on async-std and a router on tokio understand each other.

use std::future::{Ready, ready};

use bytes::Bytes;
use nova_driver::{Address, Admission, Application, Handle, Incoming};
use nova_proto_core::{Call, CloseCode, CloseReason, Config, Role};

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

async fn echoes(handle: &Handle) {
    handle.connected().await.expect("connected");
    for size in [0, 1, 16 * 1024, 3_000_000] {
        let body: Vec<u8> = (0..size).map(|index: u32| (index % 251) as u8).collect();
        let call = Call { reply_max: size.max(1), ..Call::new(1, body.clone()) };
        let answer = handle.call(call).expect("sent").await.expect("answered");
        assert!(answer.bytes == body, "echo of {size} bytes");
    }
}

fn over(listen: &Address) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut listener = runtime.block_on(nova_transport_tokio::Listener::bind(listen)).expect("bound");
    let address = listener.address().clone();
    let worker = std::thread::spawn(move || {
        async_std::task::block_on(async {
            let stream = nova_transport_async_std::connect(&address).await.expect("connected");
            let config = Config::new(Role::Worker);
            let (handle, driver) = nova_transport_async_std::drive(stream, config, Echo).expect("good");
            let driver = async_std::task::spawn(driver);
            echoes(&handle).await;
            driver.await
        })
    });
    runtime.block_on(async {
        let stream = listener.accept().await;
        let (handle, driver) =
            nova_transport_tokio::drive(stream, Config::new(Role::Router), Echo).expect("good");
        let driver = tokio::spawn(driver);
        echoes(&handle).await;
        // The worker's own calls may still be under way.
        while handle.stats().requests_received < 4 || handle.stats().serving > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        handle.close(CloseCode::NORMAL, "");
        driver.await.expect("no panic")
    });
    let reason = worker.join().expect("no panic");
    assert!(matches!(reason, CloseReason::Peer { code: CloseCode::NORMAL, .. }), "{reason}");
}

#[test]
fn over_a_unix_socket() {
    let directory = tempfile::tempdir().expect("a directory");
    over(&Address::Unix(directory.path().join("router.sock")));
}

#[test]
fn over_tcp() {
    over(&Address::Tcp { host: "127.0.0.1".to_owned(), port: 0 });
}
