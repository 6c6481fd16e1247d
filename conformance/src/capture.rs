//! Recorded connections: written while they run, judged afterwards.
//!
//! A capture is JSON lines: `{"ms":12,"from":"worker","hex":"…"}`, with `"end":true` in place of `hex` where a side ended its
//! stream. `ms` counts from the beginning and is for people.

use std::io::Write as _;
use std::sync::Mutex;
use std::time::Instant;
use std::{fs::File, io, path::Path};

use nova_transport_tokio::{Address, ConnectOptions, Listener, Stream, connect_with};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::judge::{Accepts, Sent, Stream as Sending, Unit};
use crate::subject::Role;
use crate::vector::{from_hex, to_hex};
use crate::wire;

/// One line of a capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Milliseconds since the beginning.
    pub ms: u64,
    /// Who sent it.
    pub from: Role,
    /// The bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hex: String,
    /// Whether the sender's stream ended here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub end: bool,
}

/// What a capture holds, for people, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub struct Replayed {
    /// A line for each frame.
    pub listing: Vec<String>,
    /// The rules that are broken.
    pub faults: Vec<String>,
}

/// Reads and judges a capture: the rules that hold in every case, for both sides.
///
/// # Errors
/// If a line is not one of a capture.
pub fn replay(text: &str) -> Result<Replayed, String> {
    let mut replayed = Replayed::default();
    let mut sides = [Side::new(Role::Worker), Side::new(Role::Router)];
    for (number, line) in text.lines().enumerate() {
        let line: Line =
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", number + 1))?;
        let bytes = from_hex(&line.hex).map_err(|error| format!("line {}: {error}", number + 1))?;
        let [worker, router] = &mut sides;
        let (side, other) = if line.from == Role::Worker { (worker, router) } else { (router, worker) };
        side.take(&line, &bytes, other, &mut replayed);
    }
    Ok(replayed)
}

/// One direction.
struct Side {
    role: Role,
    stream: Sending,
    sent: Sent,
    /// It broke a rule: what follows cannot be read.
    lost: bool,
}

impl Side {
    fn new(role: Role) -> Self {
        // Until the other side has declared its limits, those of the handshake hold: every kind has its own there.
        let accepts = Accepts { max_frame: wire::LONGEST_HELLO.into(), max_body: u32::MAX.into() };
        Self { role, stream: Sending::new(role, accepts), sent: Sent::default(), lost: false }
    }

    fn take(&mut self, line: &Line, bytes: &[u8], other: &Self, replayed: &mut Replayed) {
        let name = if self.role == Role::Worker { "worker" } else { "router" };
        let mut say = |text: String| replayed.listing.push(format!("{:>8} ms  {name}  {text}", line.ms));
        if self.lost {
            say(format!("not read: {}", wire::show_bytes(bytes)));
            return;
        }
        self.sent.add(bytes);
        if let Some(declared) = other.sent.declared {
            self.stream.accepts = declared;
        }
        self.stream.add(bytes);
        loop {
            match self.stream.next_unit(other.sent.body_bytes) {
                Ok(Some(Unit::Preface)) => say("preface".to_owned()),
                Ok(Some(Unit::Frame(frame))) => say(wire::show_frame(&frame)),
                Ok(Some(Unit::Unknown(kind, length))) => {
                    say(format!("a frame of the unknown kind {kind:#04x}, {length} bytes"));
                }
                Ok(None) => break,
                Err(fault) => {
                    say(format!("FAULT: {fault}"));
                    replayed.faults.push(format!("{name} at {} ms: {fault}", line.ms));
                    self.lost = true;
                    return;
                }
            }
        }
        if line.end {
            say(if self.stream.in_frame() { "the stream ends within a frame" } else { "the stream ends" }
                .to_owned());
        }
    }
}

/// Records one connection: listens, connects to where it really goes, and hands on what comes.
///
/// # Errors
/// If a socket cannot be opened, or the capture cannot be written.
pub fn record(
    listen: &Address,
    connect: &Address,
    to: &Path,
    listening: impl FnOnce(&Address),
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut listener = Listener::bind(listen).await?;
        listening(listener.address());
        let worker = listener.accept().await;
        let router = connect_with(connect, &ConnectOptions::default()).await?;
        let capture = Capture { file: Mutex::new(File::create(to)?), start: Instant::now() };
        hand_on(worker, router, &capture).await
    })
}

struct Capture {
    file: Mutex<File>,
    start: Instant,
}

impl Capture {
    fn write(&self, from: Role, bytes: &[u8]) -> io::Result<()> {
        let ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let line = Line { ms, from, hex: to_hex(bytes), end: bytes.is_empty() };
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.write_all(text.as_bytes())
    }
}

async fn hand_on(worker: Stream, router: Stream, capture: &Capture) -> io::Result<()> {
    let (from_worker, to_worker) = tokio::io::split(worker);
    let (from_router, to_router) = tokio::io::split(router);
    let (up, down) = tokio::join!(
        copy(from_worker, to_router, Role::Worker, capture),
        copy(from_router, to_worker, Role::Router, capture)
    );
    up.and(down)
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    role: Role,
    capture: &Capture,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        // A reset is an end, too.
        let count = from.read(&mut buffer).await.unwrap_or(0);
        capture.write(role, &buffer[..count])?;
        if count == 0 || to.write_all(&buffer[..count]).await.is_err() {
            let _ = to.shutdown().await;
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(from: Role, hex: &str) -> String {
        let line = Line { ms: 1, from, hex: hex.to_owned(), end: hex.is_empty() };
        serde_json::to_string(&line).expect("a line")
    }

    const HELLO: &str = "4e4f5641330d0a00170000000101030080801080808008808080208002010002686900";

    #[test]
    fn a_capture_is_listed_and_judged() {
        let good =
            [line(Role::Worker, &HELLO[..40]), line(Role::Worker, &HELLO[40..]), line(Role::Worker, "")];
        let replayed = replay(&good.join("\n")).expect("a capture");
        assert_eq!(replayed.faults, [""; 0]);
        assert_eq!(replayed.listing.len(), 3, "{:?}", replayed.listing);
        assert!(replayed.listing[1].contains("Hello versions [[3,0]]"), "{:?}", replayed.listing);
        let bad = [line(Role::Worker, HELLO), line(Role::Router, "4e4f5641330d0a00020000002180")];
        let replayed = replay(&bad.join("\n")).expect("a capture");
        assert!(replayed.faults[0].starts_with("router at 1 ms: a Pong"), "{:?}", replayed.faults);
        assert!(replay("{}").is_err());
    }
}
