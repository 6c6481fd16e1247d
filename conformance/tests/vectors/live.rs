//! The programs of this workspace, over sockets.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nova_conformance::subject::Role;
use nova_conformance::subject::live::Live;
use nova_transport_tokio::{Address, ConnectOptions, ListenOptions};
use tempfile::TempDir;

use crate::runs::{at_least, directory, options, play, program};

/// A router that ends with its test.
struct Router(Child);

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `nova serve` for four shards, with a token if it is to ask for one.
fn serve(scene: &Path, token: Option<&str>) -> (Router, Address) {
    let mut nova = Command::new(program("nova"));
    nova.args(["serve", "--json", "--root"]).arg(directory().join("../samples/harbour"));
    nova.arg("--listen").arg(format!("unix:{}", scene.join("router.sock").display()));
    nova.env("XDG_RUNTIME_DIR", scene).env("XDG_CACHE_HOME", scene).env_remove("NOVA_AUTH_TOKEN");
    if let Some(token) = token {
        nova.env("NOVA_AUTH_TOKEN", token);
    }
    let mut child = nova.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("nova starts");
    let out = child.stdout.take().expect("its output");
    let router = Router(child);
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).expect("a line");
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let address = line["listen"].as_str().and_then(|address| address.parse().ok()).expect("an address");
    (router, address)
}

fn play_router(token: Option<&str>, group: &str, preset: &str, least: usize) {
    let scene = TempDir::new().expect("a directory");
    let (_router, address) = serve(scene.path(), token);
    let mut live = Live::router(address, ConnectOptions::default()).expect("a runtime");
    let mut options = options("router", Some(Role::Router));
    options.selection.groups = vec![group.to_owned()];
    options.selection.presets = vec![preset.to_owned()];
    at_least(&play(&options, &mut live), least);
}

#[test]
fn nova_serve_lets_in_whom_it_must() {
    play_router(None, "hydration", "router-nova-new", 14);
}

#[test]
fn nova_serve_asks_for_its_token() {
    play_router(Some("secret"), "hydration", "router-nova-token-new", 10);
}

#[test]
fn nova_serve_keeps_to_the_vectors_of_the_handshake() {
    play_router(None, "handshake", "router-new", 10);
    play_router(None, "preface", "router-new", 10);
}

#[test]
fn nova_worker_keeps_to_the_vectors_of_section_a() {
    let scene = TempDir::new().expect("a directory");
    let address: Address =
        format!("unix:{}", scene.path().join("worker.sock").display()).parse().expect("an address");
    let command = format!(
        "'{}' --connect {{address}} --shard-id 0-1,5 --no-cache --threads 1",
        program("nova-worker").display()
    );
    let mut live = Live::worker(&address, &ListenOptions::default(), Some(command)).expect("a socket");
    let mut options = options("worker", Some(Role::Worker));
    options.splits.truncate(1);
    at_least(&play(&options, &mut live), 100);
}
