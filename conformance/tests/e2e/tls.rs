//! Workers over TLS: certificates of both sides, tokens, and what is refused.

use std::path::PathBuf;
use std::process::Command;

use nova_router::cluster::{Router, RouterConfig, SearchOptions};
use nova_router::layout::{Layout, LayoutOptions};
use nova_transport_tokio::{IdentityFiles, ListenOptions, ServerTls, ServerTlsFiles};

use crate::certificates::{Authority, Issued, Use, Valid, write};
use crate::process::{Ended, Process};
use crate::scene::{SOON, Scene, arg, harbour};
use crate::serve::{finish, worker};

/// Certificates for one test.
struct Certificates {
    scene: Scene,
    authority: Authority,
    ca: PathBuf,
    router: (PathBuf, PathBuf),
    worker: (PathBuf, PathBuf),
}

impl Certificates {
    fn new() -> Self {
        let scene = Scene::new();
        let authority = Authority::new("Test CA");
        let ca = write(&scene.path(""), "ca.pem", &authority.pem);
        let router = pair(&scene, "router", &authority.issue("localhost", Use::Server, Valid::Now));
        let worker = pair(&scene, "worker", &authority.issue("worker-1", Use::Client, Valid::Now));
        Self { scene, authority, ca, router, worker }
    }

    /// `nova serve` over TLS with these flags more; returns it with its address.
    fn serve(&self, flags: &[&str]) -> (Process, String) {
        let (certificate, key) = (arg(&self.router.0), arg(&self.router.1));
        let listen = ["serve", "--json", "--root", arg(&harbour()), "--listen", "tcp+tls:localhost:0"]
            .map(str::to_owned);
        let mut command = self.scene.command("nova");
        command.args(listen).args(["--tls-cert", certificate, "--tls-key", key]).args(flags);
        let nova = Process::start(command.env_remove("NOVA_AUTH_TOKEN"));
        let line: serde_json::Value =
            serde_json::from_str(&nova.stdout_has("\n", SOON)).expect("a line of JSON");
        (nova, line["listen"].as_str().expect("an address").to_owned())
    }

    fn worker(&self, address: &str, shards: &str) -> Command {
        let mut command = worker(&self.scene, address, shards);
        command.env_remove("NOVA_AUTH_TOKEN").args(["--tls-ca-cert", arg(&self.ca)]);
        command
    }

    fn worker_with(&self, address: &str, shards: &str, (certificate, key): &(PathBuf, PathBuf)) -> Command {
        let mut command = self.worker(address, shards);
        command.args(["--tls-client-cert", arg(certificate), "--tls-client-key", arg(key)]);
        command
    }
}

fn pair(scene: &Scene, name: &str, issued: &Issued) -> (PathBuf, PathBuf) {
    (
        write(&scene.path(""), &format!("{name}.pem"), &issued.certificate),
        write(&scene.path(""), &format!("{name}.key"), &issued.key),
    )
}

fn refused(command: &mut Command, code: i32) -> Ended {
    let ended = Process::start(command).end(SOON).expect(code);
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.stderr.lines().count(), 1, "one line: {}", ended.stderr);
    ended
}

#[test]
fn workers_of_both_runtimes_serve_over_mutual_tls_and_answer_as_local_ones() {
    let certificates = Certificates::new();
    let files = ServerTlsFiles {
        identity: IdentityFiles {
            certificate: certificates.router.0.clone(),
            key: certificates.router.1.clone(),
        },
        client_ca: Some(certificates.ca.clone()),
    };
    let tls = ServerTls::from_files(&files).expect("good files");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let queries = ["Berth", "b", "", "harbour.model.", "#to"];
    let found = runtime.block_on(async {
        let layout = Layout::discover(&[harbour()], &LayoutOptions::default()).expect("a layout");
        let address = "tcp+tls:localhost:0".parse().expect("an address");
        let config =
            RouterConfig { listen_options: ListenOptions::with_tls(Some(tls)), ..RouterConfig::new(address) };
        let router = Router::start(layout, config).await.expect("a router");
        let address = router.address().expect("it listens").to_string();
        let workers = [("tokio", "0-1"), ("async-std", "2-3")].map(|(runtime, shards)| {
            let mut command = certificates.worker_with(&address, shards, &certificates.worker);
            Process::start(command.args(["--runtime", runtime]))
        });
        tokio::time::timeout(SOON, router.settled()).await.expect("every shard is ready in time");
        let mut found = Vec::new();
        for query in queries {
            let answer =
                router.workspace_symbols(query, &SearchOptions::default()).await.expect("a good query");
            assert_eq!((answer.shards.answered, answer.shards.warming), (4, 0), "{query}");
            found.push(
                answer
                    .hits
                    .into_iter()
                    .map(|hit| {
                        let symbol = hit.symbol;
                        (
                            symbol.name,
                            symbol.path,
                            u64::from(symbol.line),
                            u64::from(symbol.column),
                            u64::from(symbol.score),
                        )
                    })
                    .collect::<Vec<_>>(),
            );
        }
        router.shutdown().await;
        for worker in workers {
            let ended = worker.end(SOON).expect(0);
            assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
        }
        found
    });
    assert!(found.iter().all(|hits| !hits.is_empty()));
    for (query, found) in queries.into_iter().zip(found) {
        let ran = certificates.scene.run(["search", "--json", "--root", arg(&harbour()), query]).expect(0);
        let line = ran.json();
        let results = line["results"].as_array().expect("results").iter().map(|result| {
            let text = |name: &str| result[name].as_str().expect("a text").to_owned();
            let number = |name: &str| result[name].as_u64().expect("a number");
            (text("name"), text("path"), number("line"), number("column"), number("score"))
        });
        assert_eq!(found, results.collect::<Vec<_>>(), "{query}");
    }
}

#[test]
fn a_wrong_certificate_is_refused_with_a_reason_on_both_sides() {
    let certificates = Certificates::new();
    let other = Authority::new("Other CA");
    let other_ca = write(&certificates.scene.path(""), "other.pem", &other.pem);
    let (nova, address) = certificates.serve(&["--tls-client-ca", arg(&certificates.ca)]);
    let stranger = pair(&certificates.scene, "stranger", &other.issue("worker", Use::Client, Valid::Now));
    let past =
        pair(&certificates.scene, "past", &certificates.authority.issue("worker", Use::Client, Valid::Past));
    for runtime in ["tokio", "async-std"] {
        let on = |mut command: Command, code: i32, there: &str, here: &str| {
            let ended = refused(command.args(["--runtime", runtime]), code);
            assert!(ended.stderr.contains(there), "{runtime}: {}", ended.stderr);
            nova.stderr_has(here, SOON);
        };
        on(
            certificates.worker_with(&address, "0", &stranger),
            5,
            "the router does not know the CA that has issued our certificate",
            "the certificate of the worker was not issued by the CA in",
        );
        on(
            certificates.worker_with(&address, "0", &past),
            5,
            "the router does not accept our certificate: it has expired",
            "the certificate of the worker has expired",
        );
        on(
            certificates.worker(&address, "0"),
            5,
            "the router asks for a certificate; give one with --tls-client-cert and --tls-client-key",
            "the worker shows no certificate",
        );
        let mut distrusting = worker(&certificates.scene, &address, "0");
        distrusting.args(["--tls-ca-cert", arg(&other_ca)]);
        on(
            distrusting,
            4,
            "the certificate of the router was not issued by the CA in",
            "the worker does not know the CA that has issued our certificate",
        );
        let mut elsewhere = certificates.worker_with(&address, "0", &certificates.worker);
        elsewhere.args(["--tls-domain", "router.example"]);
        on(elsewhere, 4, "is not for router.example, but for localhost", "does not accept our certificate");
        let plain = address.replace("tcp+tls:", "tcp:");
        on(worker(&certificates.scene, &plain, "0"), 1, "TLS", "the worker does not speak TLS");
    }
    finish(nova);
}

#[test]
fn serve_over_tls_prints_what_a_worker_needs() {
    let certificates = Certificates::new();
    let (nova, address) = certificates.serve(&["--tls-client-ca", arg(&certificates.ca)]);
    assert!(address.starts_with("tcp+tls:localhost:") && !address.ends_with(":0"), "{address}");
    let mut command = certificates.worker_with(&address, "0-3", &certificates.worker);
    let worker = Process::start(&mut command);
    nova.stderr_has("4 of 4 shards ready", SOON);
    finish(nova);
    worker.end(SOON).expect(0);
}

#[test]
fn a_token_is_asked_for_and_never_shown() {
    const SECRET: &str = "correct-horse-battery";
    let certificates = Certificates::new();
    let file = write(&certificates.scene.path(""), "token", format!("{SECRET}\n"));
    let (nova, address) = certificates.serve(&["--auth-token-file", arg(&file)]);
    let ended = refused(&mut certificates.worker(&address, "0"), 5);
    assert!(ended.stderr.contains("this router asks for a token; set NOVA_AUTH_TOKEN"), "{}", ended.stderr);
    let ended = refused(certificates.worker(&address, "0").env("NOVA_AUTH_TOKEN", "wrong-horse"), 5);
    assert!(ended.stderr.contains("the token is not this router's"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("wrong-horse"), "{}", ended.stderr);

    let mut first = certificates.worker(&address, "0");
    let first = Process::start(first.env("NOVA_AUTH_TOKEN", SECRET).env("NOVA_LOG", "trace"));
    let mut second = certificates.worker(&address, "1-2");
    let second = Process::start(second.args(["--runtime", "async-std", "--auth-token-file", arg(&file)]));
    let third = Process::start(certificates.worker(&address, "3").args(["--auth-token", SECRET]));
    let told = nova.stderr_has("4 of 4 shards ready", SOON);
    assert!(!told.contains(SECRET) && !told.contains("wrong-horse"), "{told}");
    finish(nova);
    for worker in [first, second, third] {
        let ended = worker.end(SOON).expect(0);
        assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
    }
}

#[test]
fn local_workers_are_given_the_token() {
    let scene = Scene::new();
    let socket = format!("unix:{}", scene.path("router.sock").display());
    let mut command =
        scene.nova(["serve", "--json", "--root", arg(&harbour()), "--listen", &socket, "--workers", "2"]);
    let nova = Process::start(command.env("NOVA_AUTH_TOKEN", "correct-horse"));
    nova.stderr_has("4 of 4 shards ready", SOON);
    finish(nova);
    let mut command = scene.nova(["search", "--root", arg(&harbour()), "Berth"]);
    Process::start(command.env("NOVA_AUTH_TOKEN", "correct-horse")).end(SOON).expect(0);
}

#[test]
fn what_gives_source_code_or_secrets_away_is_refused() {
    let certificates = Certificates::new();
    let (certificate, key) = (arg(&certificates.router.0), arg(&certificates.router.1));
    let tls = "tcp+tls:localhost:0";
    let cases: [(&[&str], &str); 9] = [
        (&["--listen", "tcp:0.0.0.0:0"], "clear text"),
        (
            &["--listen", "tcp:127.0.0.1:0", "--auth-token", "x"],
            "send the token to tcp:127.0.0.1:0 in clear text",
        ),
        (&["--listen", tls, "--tls-cert", certificate, "--tls-key", key], "everyone who can reach"),
        (&["--listen", tls], "needs a certificate and its key"),
        (&["--listen", tls, "--tls-cert", certificate], "--tls-key"),
        (&["--listen", tls, "--tls-cert", key, "--tls-key", certificate], "swapped"),
        (
            &["--listen", "unix:x", "--tls-cert", certificate, "--tls-key", key],
            "of use with --listen tcp+tls",
        ),
        (
            &[
                "--listen",
                tls,
                "--tls-cert",
                certificate,
                "--tls-key",
                key,
                "--auth-token",
                "x",
                "--workers",
                "1",
            ],
            "--workers",
        ),
        (&["--listen", "unix:x", "--auth-token", ""], "is empty"),
    ];
    for (flags, part) in cases {
        let mut command = certificates.scene.nova(["serve", "--json", "--root", arg(&harbour())]);
        let ended = Process::start(command.args(flags)).end(SOON).expect(2);
        assert!(
            ended.json()["error"]["message"].as_str().expect("a text").contains(part),
            "{flags:?}: {}",
            ended.stdout
        );
    }
    let (worker_certificate, worker_key) = (arg(&certificates.worker.0), arg(&certificates.worker.1));
    let cases: [(&str, &[&str], &str); 6] = [
        ("tcp:127.0.0.1:1", &["--auth-token", "x"], "others could read the token on its way"),
        ("tcp+tls:localhost:1", &[], "needs --tls-ca-cert FILE"),
        ("unix:x", &["--tls-domain", "y"], "--tls-domain is of use with tcp+tls: only"),
        ("tcp+tls:localhost:1", &["--tls-ca-cert", "nowhere.pem"], "cannot read nowhere.pem"),
        (
            "tcp+tls:localhost:1",
            &[
                "--tls-ca-cert",
                worker_certificate,
                "--tls-client-cert",
                worker_certificate,
                "--tls-client-key",
                key,
            ],
            "does not belong to the certificate in",
        ),
        (
            "tcp+tls:localhost:1",
            &["--tls-ca-cert", worker_key],
            "a private key where a certificate is expected",
        ),
    ];
    for (address, flags, part) in cases {
        let ended = refused(worker(&certificates.scene, address, "0").args(flags), 2);
        assert!(ended.stderr.contains(part), "{flags:?}: {}", ended.stderr);
    }
    // With the flag it is taken at its word.
    let root = harbour();
    let flags = ["serve", "--json", "--root", arg(&root), "--listen", "tcp:127.0.0.1:0", "--allow-insecure"];
    let nova = Process::start(certificates.scene.nova(flags).args(["--auth-token", "x"]));
    let line: serde_json::Value = serde_json::from_str(&nova.stdout_has("\n", SOON)).expect("a line of JSON");
    let address = line["listen"].as_str().expect("an address");
    let mut insecure = worker(&certificates.scene, address, "0-3");
    let insecure = Process::start(insecure.args(["--auth-token", "x", "--allow-insecure"]));
    nova.stderr_has("4 of 4 shards ready", SOON);
    finish(nova);
    insecure.end(SOON).expect(0);
}
