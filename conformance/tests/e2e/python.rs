//! The Python peer and the shipped programs, in both roles: `conformance/peer/nova.py`.

use std::path::Path;
use std::process::Command;

use crate::process::Process;
use crate::scene::{SOON, Scene, arg, harbour};
use crate::serve::{finish, serve};

fn python(role: &str, address: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg("-u").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peer/nova.py")).args([role, address]);
    command
}

fn addresses(scene: &Scene) -> [String; 2] {
    [format!("unix:{}", scene.path("python.sock").display()), "tcp:127.0.0.1:0".to_owned()]
}

#[test]
fn nova_serve_brings_a_python_worker_to_its_content() {
    let scene = Scene::new();
    for listen in addresses(&scene) {
        let (nova, address) = serve(&scene, &listen);
        let worker = Process::start(python("worker", &address).args(["--claim", "0-3"]));
        nova.stderr_has("4 of 4 shards ready", SOON);
        finish(nova);
        worker.end(SOON).expect(0);
    }
}

#[test]
fn nova_worker_indexes_and_finds_for_a_python_router_what_it_does_for_nova() {
    let scene = Scene::new();
    let searched = scene.run(["search", "--json", "--root", arg(&harbour()), "Berth"]).expect(0).json();
    let best =
        |hit: &serde_json::Value| ["name", "path", "line", "column", "score"].map(|name| hit[name].clone());
    for runtime in ["tokio", "async-std"] {
        for listen in addresses(&scene) {
            let mut router = python("router", &listen);
            router.args(["--shards", "2", "--files", arg(&harbour()), "--query", "Berth"]);
            let router = Process::start(&mut router);
            let told = router.stdout_has("\n", SOON);
            let address = told.trim().strip_prefix("listening at ").expect("an address").to_owned();
            let mut worker = scene.command("nova-worker");
            worker.args(["--connect", &address, "--shard-id", "0-1", "--no-cache", "--runtime", runtime]);
            let worker = Process::start(&mut worker);
            let ended = router.end(SOON).expect(0);
            worker.end(SOON).expect(0);
            let found = ended.stdout.lines().last().expect("what it found");
            let found: serde_json::Value = serde_json::from_str(found).expect("JSON");
            assert_eq!(best(&found["hits"][0]), best(&searched["results"][0]));
            assert_eq!((&found["truncated"], &found["warming"]), (&false.into(), &serde_json::json!([])));
        }
    }
}
