//! `nova status`: how the daemon is.

use std::io::{self, Write};
use std::process::ExitCode;

use nova_proto_core::messages::{ClientWelcome, RouterStatus, ShardReport};
use serde::Serialize;

use super::args::StatusArgs;
use super::daemon;
use super::output::{Failure, SCHEMA, count, json_line, write_out};
use crate::control::Place;
use crate::layout::ShardKey;

#[derive(Serialize)]
struct StatusLine {
    schema: u32,
    shards: Vec<ShardFields>,
    router: RouterFields,
}

#[derive(Serialize)]
struct ShardFields {
    key: String,
    root: String,
    source_root: String,
    part: u32,
    parts: u32,
    state: &'static str,
    reason: Option<String>,
    worker_pid: Option<u32>,
    /// In the index.
    files: u64,
    /// That should be there.
    wanted: u64,
    symbols: u64,
    revision: u64,
}

#[derive(Serialize)]
struct RouterFields {
    pid: u32,
    build: String,
    /// Whether it is of the same build as this program.
    same_build: bool,
    uptime_ms: u64,
    listen: String,
    control: String,
    /// But for this one.
    clients: u32,
    overlays: u32,
    overlay_bytes: u64,
    memory: Option<u64>,
}

pub(super) async fn run(args: &StatusArgs) -> Result<ExitCode, Failure> {
    let (_, place) = daemon::place(&args.which)?;
    let Some(client) = daemon::connect(&place).await? else { return Err(nobody(&place)) };
    let (status, shards) = tokio::try_join!(client.status(), client.shards())?;
    let same_build = client.welcome().build_id == daemon::own_build_id().await?;
    let line = line(client.welcome(), status, shards, same_build);
    let shown = if args.json { json_line(&line)? } else { shown(&line)? };
    write_out(shown, true).await?;
    client.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Why nobody answers.
pub(super) fn nobody(place: &Place) -> Failure {
    match place.holder() {
        Ok(Some(pid)) => Failure::no_daemon(&format!(
            "process {pid} is the daemon for these roots, but does not listen: it starts or ends just now"
        )),
        _ => Failure::no_daemon("no daemon is running for these roots"),
    }
}

fn line(
    welcome: &ClientWelcome,
    status: RouterStatus,
    shards: Vec<ShardReport>,
    same_build: bool,
) -> StatusLine {
    let root = |number: u32| status.roots.get(number as usize).map_or("", |root| &root.path).to_owned();
    let shards = shards.into_iter().map(|shard| ShardFields {
        key: ShardKey(shard.key).to_string(),
        root: root(shard.root),
        source_root: shard.source_root,
        part: shard.part,
        parts: shard.parts,
        state: shard.phase.as_str(),
        reason: Some(shard.reason).filter(|reason| !reason.is_empty()),
        worker_pid: shard.worker_pid,
        files: shard.files,
        wanted: shard.wanted,
        symbols: shard.symbols,
        revision: shard.revision,
    });
    StatusLine {
        schema: SCHEMA,
        shards: shards.collect(),
        router: RouterFields {
            pid: welcome.pid,
            build: welcome.build.clone(),
            same_build,
            uptime_ms: status.uptime_ms,
            listen: status.listen,
            control: status.control,
            clients: status.clients.saturating_sub(1),
            overlays: status.overlays,
            overlay_bytes: status.overlay_bytes,
            memory: status.memory,
        },
    }
}

fn shown(line: &StatusLine) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let router = &line.router;
    let other = if router.same_build { "" } else { ", another build than this program" };
    writeln!(out, "router   process {}, {}{other}", router.pid, router.build)?;
    writeln!(out, "up       {}", duration(router.uptime_ms / 1000))?;
    if let Some(memory) = router.memory {
        writeln!(out, "memory   {:.1} MB, without its workers", memory as f64 / 1e6)?;
    }
    writeln!(out, "clients  {}", router.clients)?;
    writeln!(out, "unsaved  {}, {} bytes", count(router.overlays.into(), "text"), router.overlay_bytes)?;
    writeln!(out, "workers  {}", router.listen)?;
    writeln!(out, "control  {}\n", router.control)?;
    writeln!(
        out,
        "{:<8} {:>8} {:>10} {:>9} {:>8}  shard",
        "state", "files", "symbols", "revision", "worker"
    )?;
    for shard in &line.shards {
        let worker = shard.worker_pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let name = if shard.source_root.is_empty() { "." } else { &shard.source_root };
        let part =
            if shard.parts > 1 { format!(" ({} of {})", shard.part + 1, shard.parts) } else { String::new() };
        let files = if shard.files == shard.wanted {
            shard.files.to_string()
        } else {
            format!("{}/{}", shard.files, shard.wanted)
        };
        let why = shard.reason.as_ref().map(|reason| format!("  {reason}")).unwrap_or_default();
        let (state, symbols, revision) = (shard.state, shard.symbols, shard.revision);
        writeln!(out, "{state:<8} {files:>8} {symbols:>10} {revision:>9} {worker:>8}  {name}{part}{why}")?;
    }
    Ok(out)
}

/// Seconds as people read them.
fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
