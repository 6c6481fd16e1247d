//! The commands of `docs/OPERATIONS.md`, run as they stand there: only the names of machines and directories are others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::process::Process;
use crate::scene::{SOON, Scene, arg, harbour, program, repository};
use crate::serve::finish;

/// The commands between the marks of this name.
fn commands(name: &str) -> String {
    let text = fs::read_to_string(repository().join("docs/OPERATIONS.md")).expect("the document");
    let begin = format!("<!-- {name}: begin -->\n```sh\n");
    let (_, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{begin} is missing"));
    let (commands, _) = rest.split_once("```\n<!--").expect("the end of the block");
    commands.to_owned()
}

/// What runs these commands in the scene's directory, where `nova` and `nova-worker` are the programs of this workspace.
fn shell(scene: &Scene, commands: &str) -> Command {
    let programs = program("nova").parent().expect("a directory").to_owned();
    assert!(program("nova-worker").starts_with(&programs));
    let path = std::env::var("PATH").expect("a path");
    let mut command = Command::new("sh");
    command.args(["-eu", "-c", commands]).current_dir(scene.path(""));
    command.env("PATH", format!("{}:{path}", programs.display())).env("HOME", scene.path("home"));
    command.env("XDG_RUNTIME_DIR", scene.path("run")).env("XDG_CACHE_HOME", scene.path("cache"));
    command.env_remove("NOVA_LOG").env_remove("NOVA_AUTH_TOKEN");
    command
}

/// One command, with the shell gone: its process is the program's.
fn started(scene: &Scene, command: &str, changes: &[(&str, &str)]) -> Process {
    let mut command = command.to_owned();
    for (there, here) in changes {
        assert!(command.contains(there), "{there} is not in {command}");
        command = command.replace(there, here);
    }
    Process::start(&mut shell(scene, &format!("exec {command}")))
}

#[test]
fn a_worker_on_another_machine_is_added_as_the_document_says() {
    let scene = Scene::new();
    let certificates = commands("recipe").replace("ROUTER=router.example.com", "ROUTER=localhost");
    Process::start(&mut shell(&scene, &certificates)).end(SOON).expect(0);
    for key in ["ca.key", "router.key", "worker-1.key"] {
        let mode = fs::metadata(scene.path(key)).expect("a key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let nova = started(
        &scene,
        &commands("router"),
        &[("~/src/project", arg(&harbour())), ("router.example.com:9000", "localhost:0")],
    );
    // The line after the one that is looked for.
    let told = nova.stdout_has("  nova-worker --connect", SOON);
    let line = told.lines().find(|line| line.contains("listening at")).expect("a line");
    let (shards, address) = line.split_once(" shards, listening at ").expect("how many shards, and where");
    let worker = started(&scene, &commands("worker"), &[("tcp+tls:router.example.com:9000", address)]);
    nova.stderr_has(&format!("{shards} of {shards} shards ready"), SOON);
    assert!(scene.path("home/.cache/nova").is_dir(), "the cache is where the command says");
    finish(nova);
    let ended = worker.end(SOON).expect(0);
    assert_eq!(
        (ended.stdout.as_str(), ended.stderr.as_str()),
        ("", ""),
        "no warning about the keys' modes either"
    );
}
