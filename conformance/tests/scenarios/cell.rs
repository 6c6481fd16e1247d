//! Two ends and what joins them: one cell of the matrix.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nova_driver::Address;
use nova_driver::net::tls::{ClientTls, ClientTlsFiles, IdentityFiles, ServerTls, ServerTlsFiles};
use nova_driver::net::{ConnectOptions, ListenOptions};
use nova_proto_core::{CloseCode, CloseReason, Config, Role};
use tempfile::TempDir;

use crate::child::{alone, nothing_is_left, open_descriptors};
use crate::ends::{Connect, Listen, OverPipe};
use crate::middle::Middle;
use crate::peer::Peer;
use crate::pipe::pipe;
use crate::scenarios::{ALL, calls_both_ways, echo_at_once, large_limits};
use crate::service::HASH;

/// What joins two ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Transport {
    Unix,
    Tcp,
    Tls,
}

/// A worker of one kind, a router of another, and a transport.
pub(crate) struct Cell {
    pub(crate) worker: Connect,
    pub(crate) router: Listen,
    pub(crate) transport: Transport,
}

/// A router and a worker that are connected.
pub(crate) struct Pair {
    pub(crate) router: Peer,
    pub(crate) worker: Peer,
    _directory: Option<TempDir>,
}

impl Cell {
    /// Runs all scenarios, each of which must leave nothing behind.
    pub(crate) fn run(&self, name: &str) {
        alone(name, || {
            // What runtimes open once and keep is open after this.
            calls_both_ways(self);
            let open = open_descriptors();
            for (scenario, run) in ALL {
                println!("{name}: {scenario}");
                run(self);
                nothing_is_left(&open, scenario);
            }
        });
    }

    pub(crate) fn pair(&self) -> Pair {
        self.pair_with(|_| {})
    }

    /// With configurations that `tune` has changed.
    pub(crate) fn pair_with(&self, tune: impl Fn(&mut Config)) -> Pair {
        self.connected(tune, |address, _| (address, ())).0
    }

    /// With something between the two.
    pub(crate) fn with_middle(&self, tune: impl Fn(&mut Config)) -> (Pair, Middle) {
        self.connected(tune, |address, directory| {
            let middle = Middle::new(&address, directory.path());
            (middle.address(), middle)
        })
    }

    fn connected<T>(
        &self,
        tune: impl Fn(&mut Config),
        between: impl FnOnce(Address, &TempDir) -> (Address, T),
    ) -> (Pair, T) {
        let directory = tempfile::tempdir().expect("a directory");
        let host = "127.0.0.1".to_owned();
        let (mut connecting, mut listening) = (ConnectOptions::default(), ListenOptions::default());
        let address = match self.transport {
            Transport::Unix => Address::Unix(directory.path().join("router.sock")),
            Transport::Tcp => Address::Tcp { host, port: 0 },
            Transport::Tls => {
                let (client, server) = tls(directory.path(), &host);
                (connecting.tls, listening.tls) = (Some(client), Some(server));
                Address::Tls { host, port: 0 }
            }
        };
        let [router, worker] = [Role::Router, Role::Worker].map(|role| tuned(role, &tune));
        let (address, router) = (self.router)(address, listening, router);
        let (address, between) = between(address, &directory);
        let worker = (self.worker)(address, connecting, worker);
        let pair = Pair { router, worker, _directory: Some(directory) };
        pair.connected();
        (pair, between)
    }
}

/// Settings for both ends: a certificate for `host` that is its own authority.
pub(crate) fn tls(directory: &Path, host: &str) -> (ClientTls, ServerTls) {
    let own = rcgen::generate_simple_self_signed([host.to_owned()]).expect("a certificate");
    let (ca, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    fs::write(&ca, own.cert.pem()).expect("written");
    fs::write(&key, own.signing_key.serialize_pem()).expect("written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("set");
    let identity = IdentityFiles { certificate: ca.clone(), key };
    let server = ServerTls::from_files(&ServerTlsFiles { identity, client_ca: None }).expect("good files");
    let client = ClientTls::from_files(&ClientTlsFiles { ca, domain: None, identity: None });
    (client.expect("good files"), server)
}

fn tuned(role: Role, tune: impl Fn(&mut Config)) -> Config {
    let mut config = Config::new(role);
    tune(&mut config);
    config
}

impl Pair {
    fn connected(&self) {
        self.router.connected();
        self.worker.connected();
    }

    /// Closes when both are idle, as a router does that is done.
    pub(crate) fn close(self) {
        self.router.idle();
        self.worker.idle();
        self.router.calls().close(CloseCode::NORMAL, "done");
        let (router, worker) = self.ends();
        assert_eq!(router, CloseReason::Local(CloseCode::NORMAL));
        assert!(matches!(worker, CloseReason::Peer { code: CloseCode::NORMAL, .. }), "{worker}");
    }

    /// Waits for both ends: the router's and the worker's reason.
    pub(crate) fn ends(self) -> (CloseReason, CloseReason) {
        (self.router.end(), self.worker.end())
    }
}

/// Large bodies both ways at once through a pipe that holds hardly anything: whoever waits for writing before it reads
/// is stuck here.
pub(crate) fn through_a_pipe_of_64_bytes(name: &str, worker: OverPipe, router: OverPipe) {
    alone(name, || {
        let (near, far) = pipe(64);
        let router = router(near, tuned(Role::Router, large_limits));
        let worker = worker(far, tuned(Role::Worker, large_limits));
        let pair = Pair { router, worker, _directory: None };
        pair.connected();
        echo_at_once(&pair, HASH);
        pair.close();
    });
}
