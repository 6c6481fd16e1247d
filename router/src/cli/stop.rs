//! `nova stop`: the end of the daemon.

use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

use super::args::StopArgs;
use super::output::{Failure, SCHEMA, json_line, write_out};
use super::{daemon, progress, status};
use crate::control::Place;

/// How long a daemon has to say that it will end.
const ASKED: Duration = Duration::from_secs(3);

/// How long one that has said so may take: its workers keep their indexes meanwhile.
const IN_ORDER: Duration = Duration::from_secs(15);

/// How long one that says nothing may take after a signal.
const TERMINATED: Duration = Duration::from_secs(5);

/// How long the system may take to end a process that is killed.
const KILLED: Duration = Duration::from_secs(5);

/// How often it is looked whether the daemon is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

#[derive(Serialize)]
struct StopLine {
    schema: u32,
    pid: u32,
    /// What made it end: `asked`, `terminated` or `killed`.
    how: &'static str,
}

pub(super) async fn run(args: &StopArgs) -> Result<ExitCode, Failure> {
    let (_, place) = daemon::place(&args.which)?;
    let Some(pid) = holder(&place)? else { return Err(status::nobody(&place)) };
    let bar = progress::waiting("waiting for the daemon to end");
    let ended = end(&place, pid).await;
    bar.finish_and_clear();
    let line = StopLine { schema: SCHEMA, pid, how: ended? };
    let shown = match (args.json, line.how) {
        (true, _) => json_line(&line)?,
        (false, "asked") => format!("the daemon (process {pid}) has ended\n").into_bytes(),
        (false, how) => format!("the daemon (process {pid}) did not answer, and was {how}\n").into_bytes(),
    };
    write_out(shown, true).await?;
    Ok(ExitCode::SUCCESS)
}

fn holder(place: &Place) -> Result<Option<u32>, Failure> {
    place.holder().map_err(|error| Failure::internal(&error.to_string()))
}

/// Ends the process that has the place: it is asked, and if it says nothing, made to.
async fn end(place: &Place, pid: u32) -> Result<&'static str, Failure> {
    let asked = tokio::time::timeout(ASKED, ask(place)).await;
    if matches!(asked, Ok(true)) && is_gone(place, pid, IN_ORDER).await? {
        return Ok("asked");
    }
    for (signal, how, within) in [(Signal::TERM, "terminated", TERMINATED), (Signal::KILL, "killed", KILLED)]
    {
        // Only the process of which the system says that it has the lock, and says so now.
        if holder(place)? == Some(pid)
            && let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw)
        {
            let _ = kill_process(process, signal);
        }
        if is_gone(place, pid, within).await? {
            return Ok(how);
        }
    }
    Err(Failure::silent(
        &format!("the daemon (process {pid}) does not end"),
        "look at the process; the system may be busy with it",
    ))
}

/// Whether the daemon says that it will end.
async fn ask(place: &Place) -> bool {
    match daemon::connect(place).await {
        Ok(Some(client)) => client.stop().await.is_ok(),
        _ => false,
    }
}

/// Waits until the process does not have the place any more.
async fn is_gone(place: &Place, pid: u32, within: Duration) -> Result<bool, Failure> {
    let gone = async {
        while holder(place)? == Some(pid) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    };
    match tokio::time::timeout(within, gone).await {
        Ok(gone) => gone.map(|()| true),
        Err(_) => Ok(false),
    }
}
