//! Batches of files travel compressed where both sides want it, and only there; the answers are the same.

use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nova_proto_core::messages::{LoadFiles, Method, ShardRange, WorkerHello, encode};
use nova_proto_core::{Compression, Config, Role};
use nova_router::cluster::{Router, RouterConfig, SearchOptions};
use nova_router::layout::{Layout, LayoutOptions};
use nova_transport_tokio::{Application, Incoming};
use nova_worker::cache::Store;
use nova_worker::service::WorkerService;

const SOON: Duration = Duration::from_secs(60);

/// A worker that writes down how the bodies of `LoadFiles` come: compression, length as sent, length before.
struct Watching {
    worker: WorkerService,
    seen: Arc<Mutex<Vec<(Compression, usize, u32)>>>,
}

impl Application for Watching {
    type Handler = <WorkerService as Application>::Handler;

    fn request(&mut self, request: Incoming) -> Self::Handler {
        if request.method == LoadFiles::NUMBER {
            let body = &request.body;
            let mut seen = self.seen.lock().expect("no panic holds it");
            seen.push((body.compression, body.bytes.len(), body.raw_len));
        }
        self.worker.request(request)
    }
}

/// One large file and one that is too small to be worth it, in a source root each.
fn tree(root: &Path) {
    let mut large = "package a;\npublic class Large {\n".to_owned();
    for n in 0..3000 {
        writeln!(large, "    public int method{n}(String name) {{ return name.length() + {n}; }}")
            .expect("memory");
    }
    large.push('}');
    for (path, text) in
        [("a/src/main/java/a/Large.java", large), ("b/src/main/java/b/Small.java", "class Small {}".into())]
    {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(path, text).expect("written");
    }
}

/// Indexes the tree with one worker that reads zstd or not; returns what came and what a search finds.
async fn index(listen: &str, compress: bool, zstd: bool) -> (Vec<(Compression, usize, u32)>, Vec<String>) {
    let files = tempfile::tempdir().expect("a directory");
    tree(files.path());
    let layout = Layout::discover(&[files.path().to_owned()], &LayoutOptions::default()).expect("a layout");
    let shards = u32::try_from(layout.shards.len()).expect("few");
    let config = RouterConfig { compress, ..RouterConfig::new(listen.parse().expect("an address")) };
    let router = Router::start(layout, config).await.expect("it listens");

    let seen = Arc::default();
    let (worker, _stop) = WorkerService::new(0..shards, 1, Store::off()).expect("threads");
    let hello = WorkerHello { claim: vec![ShardRange { first: 0, count: shards }], ..WorkerHello::default() };
    let config = Config { hello: encode(&hello), zstd, ..Config::new(Role::Worker) };
    let stream =
        nova_transport_tokio::connect(router.address().expect("it listens")).await.expect("connected");
    let watching = Watching { worker, seen: Arc::clone(&seen) };
    let (_handle, driver) = stream.drive(config, watching).expect("a good configuration");
    let driver = tokio::spawn(driver);

    tokio::time::timeout(SOON, router.settled()).await.expect("it is indexed");
    let answer = router
        .workspace_symbols("method29", &SearchOptions { limit: 10_000, ..SearchOptions::default() })
        .await;
    let answer = answer.expect("a good query");
    let hits = answer.hits.iter().map(|hit| format!("{:?}", hit.symbol)).collect();
    router.shutdown().await;
    tokio::time::timeout(SOON, driver).await.expect("the connection ends").expect("no panic");
    let seen = seen.lock().expect("no panic holds it").clone();
    (seen, hits)
}

#[test]
fn only_what_leaves_the_machine_is_worth_compressing() {
    for (listen, compress) in [
        ("unix:/run/nova.sock", false),
        ("tcp:127.0.0.1:0", false),
        ("tcp+tls:[::1]:9000", false),
        ("tcp+tls:build.example.com:9000", true),
        ("tcp+tls:0.0.0.0:9000", true),
    ] {
        assert_eq!(RouterConfig::new(listen.parse().expect("an address")).compress, compress, "{listen}");
    }
}

#[tokio::test]
async fn batches_are_compressed_where_both_sides_want_it() {
    let tcp = "tcp:127.0.0.1:0";
    let (mut seen, hits) = index(tcp, true, true).await;
    seen.sort_by_key(|(_, length, _)| *length);
    let [(Compression::None, small, 0), (Compression::Zstd, large, raw_len)] = seen[..] else {
        panic!("{seen:?}")
    };
    assert!(small < 100, "too small to be compressed");
    assert!(large * 5 < raw_len as usize, "{large} of {raw_len}");
    assert!(hits.len() >= 111, "29, 290 to 299, 2900 to 2999, and what is alike: {}", hits.len());

    for (compress, zstd) in [(true, false), (false, true)] {
        let (seen, same) = index(tcp, compress, zstd).await;
        assert!(seen.iter().all(|(compression, ..)| *compression == Compression::None), "{seen:?}");
        assert_eq!(same, hits);
    }
}
