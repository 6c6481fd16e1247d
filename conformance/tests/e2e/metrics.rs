//! The counters of `nova serve`.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::process::wait_for;
use crate::scene::{SOON, Scene, arg, harbour};
use crate::serve::finish;

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// What a counter stands at.
fn value(page: &str, name: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn a_router_tells_its_counters_on_this_machine() {
    let scene = Scene::new();
    let nova = scene.start(["serve", "--json", "--root", arg(&harbour()), "--metrics", "127.0.0.1:0"]);
    let line: serde_json::Value = serde_json::from_str(&nova.stdout_has("\n", SOON)).expect("a line of JSON");
    let address = line["metrics"].as_str().expect("an address").to_owned();
    let ready = "nova_shards{state=\"ready\"}";
    let page = wait_for("all shards are ready", SOON, || {
        let page = get(&address, "/metrics");
        (value(&page, ready) == Some(4.0)).then_some(page)
    });
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(value(&page, "nova_sync_bytes_total").is_some_and(|bytes| bytes > 10_000.0), "{page}");
    assert!(value(&page, "nova_syncs_total").is_some_and(|syncs| syncs >= 4.0), "{page}");
    assert_eq!(value(&page, "nova_ejections_total"), Some(0.0), "{page}");
    assert!(get(&address, "/").starts_with("HTTP/1.1 404 "));
    finish(nova);
}

#[test]
fn counters_are_refused_to_others() {
    let scene = Scene::new();
    let refused = scene.run(["serve", "--root", arg(&harbour()), "--metrics", "0.0.0.0:0"]).expect(2);
    assert!(
        refused.stderr.contains("--metrics") && refused.stderr.contains("127.0.0.1"),
        "{}",
        refused.stderr
    );
}
