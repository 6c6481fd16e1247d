//! The programs of this workspace, and the Python peer, over sockets.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nova_conformance::live::Live;
use nova_conformance::subject::Role;
use nova_transport_tokio::{
    Address, ClientTls, ClientTlsFiles, ConnectOptions, IdentityFiles, ListenOptions, ServerTls,
    ServerTlsFiles,
};
use tempfile::TempDir;

use crate::certificates::{Authority, Use, Valid, write};
use crate::runs::{at_least, directory, options, play, program};

const TRANSPORTS: [&str; 3] = ["unix", "tcp", "tcp+tls"];

/// A directory with certificates for one test.
struct Scene {
    directory: TempDir,
    ca: PathBuf,
    identity: IdentityFiles,
}

impl Scene {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let authority = Authority::new("Test CA");
        let issued = authority.issue("localhost", Use::Server, Valid::Now);
        let file = |name: &str, pem: &str| write(directory.path(), name, pem);
        let ca = file("ca.pem", &authority.pem);
        let identity = IdentityFiles {
            certificate: file("router.pem", &issued.certificate),
            key: file("router.key", &issued.key),
        };
        Self { directory, ca, identity }
    }

    /// Where to listen.
    fn address(&self, transport: &str) -> String {
        match transport {
            "unix" => format!("unix:{}", self.directory.path().join("router.sock").display()),
            other => format!("{other}:localhost:0"),
        }
    }

    /// A router that tells in its first line where it listens.
    fn router(&self, command: &mut Command, address: impl Fn(&str) -> String) -> (Router, Live) {
        command.env("XDG_RUNTIME_DIR", self.directory.path()).env("XDG_CACHE_HOME", self.directory.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let out = child.stdout.take().expect("its output");
        let router = Router(child);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).expect("a line");
        let address: Address = address(&line).parse().expect("an address");
        let files = ClientTlsFiles { ca: self.ca.clone(), domain: None, identity: None };
        let tls = matches!(address, Address::Tls { .. })
            .then(|| ClientTls::from_files(&files).expect("good files"));
        (router, Live::router(address, ConnectOptions::with_tls(tls)).expect("a runtime"))
    }

    /// `nova serve` for four shards, with a token if it is to ask for one.
    fn serve(&self, transport: &str, token: Option<&str>) -> (Router, Live) {
        let mut nova = Command::new(program("nova"));
        nova.args(["serve", "--json", "--root"]).arg(directory().join("../samples/harbour"));
        nova.args(["--listen", &self.address(transport)]).env_remove("NOVA_AUTH_TOKEN");
        if transport != "unix" {
            // A token over tcp: is a case, and nobody else reaches the loopback interface.
            nova.arg("--allow-insecure");
        }
        if transport == "tcp+tls" {
            nova.arg("--tls-cert").arg(&self.identity.certificate).arg("--tls-key").arg(&self.identity.key);
        }
        if let Some(token) = token {
            nova.env("NOVA_AUTH_TOKEN", token);
        }
        self.router(&mut nova, |line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            line["listen"].as_str().expect("an address").to_owned()
        })
    }

    /// Workers that this command starts, one for each case.
    fn workers(&self, transport: &str, mut command: String) -> Live {
        let files = ServerTlsFiles { identity: self.identity.clone(), client_ca: None };
        let tls = (transport == "tcp+tls").then(|| ServerTls::from_files(&files).expect("good files"));
        if tls.is_some() {
            command += &format!(" --tls-ca-cert '{}'", self.ca.display());
        }
        let address: Address = self.address(transport).parse().expect("an address");
        Live::worker(&address, &ListenOptions::with_tls(tls), Some(command)).expect("a socket")
    }
}

/// A router that ends with its test.
struct Router(Child);

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is played with a worker that claims the shards of the presets: all that a socket can show, or some of it.
fn play_worker(live: &mut Live, implementation: &str, groups: &[&str], least: usize) {
    let mut options = options(implementation, Some(Role::Worker));
    options.splits.truncate(1);
    options.selection.groups = groups.iter().map(|&group| group.to_owned()).collect();
    at_least(&play(&options, live), least);
}

fn play_router(live: &mut Live, implementation: &str, (group, preset): (&str, &str), least: usize) {
    let mut options = options(implementation, Some(Role::Router));
    options.selection.groups = vec![group.to_owned()];
    options.selection.presets = vec![preset.to_owned()];
    at_least(&play(&options, live), least);
}

#[test]
fn nova_serve_lets_in_whom_it_must() {
    for transport in TRANSPORTS {
        let scene = Scene::new();
        let (_router, mut live) = scene.serve(transport, None);
        play_router(&mut live, "router", ("hydration", "router-nova-new"), 14);
    }
}

#[test]
fn nova_serve_asks_for_its_token() {
    let scene = Scene::new();
    let (_router, mut live) = scene.serve("unix", Some("secret"));
    play_router(&mut live, "router", ("hydration", "router-nova-token-new"), 10);
}

#[test]
fn nova_serve_keeps_to_the_vectors_of_the_handshake() {
    for transport in TRANSPORTS {
        let scene = Scene::new();
        let (_router, mut live) = scene.serve(transport, None);
        play_router(&mut live, "router", ("handshake", "router-new"), 10);
        play_router(&mut live, "router", ("preface", "router-new"), 10);
    }
}

fn nova_worker(runtime: &str) -> String {
    let program = program("nova-worker");
    let program = program.display();
    format!(
        "'{program}' --connect {{address}} --shard-id 0-1,5 --no-cache --threads 1 --runtime {runtime} \
         --allow-insecure"
    )
}

#[test]
fn nova_worker_keeps_to_every_vector_that_a_socket_can_show() {
    for runtime in ["tokio", "async-std"] {
        let scene = Scene::new();
        let mut live = scene.workers("unix", nova_worker(runtime));
        play_worker(&mut live, "worker", &[], 650);
    }
}

#[test]
fn nova_worker_keeps_to_the_vectors_over_tcp_and_tls() {
    for runtime in ["tokio", "async-std"] {
        for transport in ["tcp", "tcp+tls"] {
            let scene = Scene::new();
            let mut live = scene.workers(transport, nova_worker(runtime));
            play_worker(&mut live, "worker", &["handshake", "preface"], 70);
        }
    }
}

fn python(role: &str) -> String {
    let peer: &Path = &directory().join("peer/nova.py");
    format!("python3 -u '{}' {role}", peer.display())
}

#[test]
fn the_python_worker_keeps_to_the_vectors_over_sockets() {
    // A process for each case, and Python begins slowly: section A is played through the contract.
    for (transport, group, least) in [("unix", "handshake", 35), ("tcp", "preface", 30)] {
        let scene = Scene::new();
        let mut live = scene.workers(transport, python("worker {address} --claim 0-1,5"));
        play_worker(&mut live, "python", &[group], least);
    }
}

#[test]
fn the_python_router_keeps_to_the_vectors_over_sockets() {
    for transport in ["unix", "tcp"] {
        let scene = Scene::new();
        let command = python(&format!("router '{}' --shards 4", scene.address(transport)));
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("exec {command}"));
        let (_router, mut live) = scene.router(&mut shell, |line| line.trim().replace("listening at ", ""));
        play_router(&mut live, "python", ("hydration", "router-nova-new"), 14);
        play_router(&mut live, "python", ("handshake", "router-new"), 10);
        play_router(&mut live, "python", ("preface", "router-new"), 10);
    }
}
