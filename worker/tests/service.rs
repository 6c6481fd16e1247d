//! A worker behind a connection, in one process: what waits for what.
#![cfg(feature = "cli")]

use std::future::{Ready, ready};
use std::time::Duration;

use bytes::Bytes;
use nova_proto_core::messages::{IndexShard, SearchSymbols, ShardRange, SyncShard, UpdateFile, call, reply};
use nova_proto_core::{Body, Call, Config, Role};
use nova_transport_tokio::{Admission, Application, Handle, Incoming, drive};
use nova_worker::cache::Store;
use nova_worker::service::WorkerService;

const EPOCH: u64 = 7;

/// A router that lets everyone in and is asked nothing.
struct Router;

impl Application for Router {
    type Handler = Ready<()>;

    fn admit(&mut self, _hello: Bytes) -> Admission {
        Admission::Accept(Bytes::new())
    }

    fn request(&mut self, _request: Incoming) -> Ready<()> {
        ready(())
    }
}

/// A worker of shard 0 with one thread for parsing, as its router sees it.
async fn worker() -> Handle {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (service, _stop) = WorkerService::new([0], 1, Store::off()).expect("threads");
    let (handle, driver) = drive(theirs, Config::new(Role::Worker), service).expect("the defaults");
    tokio::spawn(async move { (driver.await, handle) });
    let (router, driver) = drive(ours, Config::new(Role::Router), Router).expect("the defaults");
    tokio::spawn(driver);
    router.connected().await.expect("let in");
    router
}

async fn ask(router: &Handle, call: Call) -> Body {
    router.call(call).expect("it goes out").await.expect("an answer")
}

/// One file with so many fields.
fn source(name: &str, fields: usize) -> String {
    let fields: String = (0..fields).map(|number| format!("int field{number};\n")).collect();
    format!("class {name} {{\n{fields}}}\n")
}

fn search(query: &str) -> Call {
    let shards = vec![ShardRange { first: 0, count: 1 }];
    call(&SearchSymbols { shards, query: query.to_owned(), kinds: 0xfff, limit: 10 })
}

/// Brings shard 0 to an empty tree.
async fn empty(router: &Handle) {
    let sync = SyncShard { shard: 0, key: [1; 16], epoch: EPOCH, sync: 1, rev: 1, files: 0, digest: None };
    ask(router, call(&sync)).await;
    ask(router, call(&IndexShard { shard: 0, sync: 1 })).await;
}

fn update(rev: u64, path: &str, text: &str) -> Call {
    call(&UpdateFile { shard: 0, epoch: EPOCH, rev, path, text })
}

#[tokio::test]
async fn a_search_waits_for_no_parsing() {
    let router = worker().await;
    empty(&router).await;
    ask(&router, update(2, "Early.java", "class Early {}")).await;
    // Far more work than a search, and one thread for it.
    let large = source("Large", 100_000);
    let mut updates: Vec<_> = (0..20)
        .map(|number| {
            let path = format!("Large{number}.java");
            router.call(update(3 + number, &path, &large)).expect("it goes out")
        })
        .collect();
    // Their bodies travel side by side: when the first is answered, the others are there and wait for the thread.
    updates.remove(0).await.expect("an answer");
    let answer = ask(&router, search("Early")).await;
    let found = reply::<SearchSymbols>(&answer).expect("an answer").hits;
    assert_eq!(found.first().map(|hit| &*hit.name), Some("Early"));
    let last = updates.pop().expect("there are some");
    let waiting = tokio::time::timeout(Duration::ZERO, last).await.is_err();
    assert!(waiting, "every file was parsed before a search was answered");
}
