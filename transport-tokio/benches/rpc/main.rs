//! Calls and large bodies beside hand-written frames on the same sockets, client and server as two processes.
//!
//! ```text
//! just bench-rpc [--rounds N] [--millis N] [--only TEXT]
//! ```
//!
//! With `--only` the rows alone whose name contains the text, as `"tcp 64 bytes, 64"`.
//!
//! There are two floors. `raw` says what the socket gives: one task that sends a window of frames and compares what comes
//! back, in order. `mux` says what a call interface can give on it: many tasks, each with a call of its own, matched by
//! number and woken one by one, and nothing else; see [`mux`]. Calls are meant to reach 0.8 of `mux` when many are under
//! way, and of `raw` where there is one at a time, or the body is large.
//!
//! Every answer is verified. In each round everything is measured once, floors and calls right after each other; a ratio is
//! taken inside a round, and what is printed are medians over the rounds. Then the same as JSON, a line for each row.

mod calls;
mod frames;
mod mux;
mod table;

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use nova_transport_tokio::{
    Address, ClientTls, ClientTlsFiles, ConnectOptions, IdentityFiles, ListenOptions, ServerTls,
    ServerTlsFiles,
};
use tokio::runtime::Builder;

use table::{Row, Table};

type Error = Box<dyn std::error::Error>;

/// What is measured by how many calls of 64 bytes are under way.
const IN_FLIGHT: [usize; 3] = [1, 64, 1000];

/// Lengths of large bodies.
const LARGE: [usize; 2] = [4 << 20, 64 << 20];

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    if let ["serve", kind, address, directory] = words[..] {
        return runtime.block_on(serve(kind, address.parse()?, &Tls::load(directory.as_ref())?));
    }
    let (mut rounds, mut span, mut only) = (7, Duration::from_millis(300), "");
    for option in words.chunks(2) {
        match option {
            ["--rounds", count] => rounds = count.parse()?,
            ["--millis", millis] => span = Duration::from_millis(millis.parse()?),
            ["--only", text] => only = *text,
            _ => {
                return Err(format!("unknown: {option:?}; use --rounds N, --millis N, --only TEXT").into());
            }
        }
    }
    let directory = tempfile::tempdir()?;
    Tls::make(directory.path())?;
    let tls = Tls::load(directory.path())?;
    let mut table = Table::default();
    for transport in ["tcp", "unix", "tls"] {
        let start = |kind: &str| {
            let address = match transport {
                "tcp" => "tcp:127.0.0.1:0".to_owned(),
                "unix" => format!("unix:{}/{kind}.sock", directory.path().display()),
                _ => "tcp+tls:127.0.0.1:0".to_owned(),
            };
            Server::start(kind, &address, directory.path())
        };
        let servers = Servers { frames: start("frames")?, mux: start("mux")?, calls: start("calls")? };
        for _ in 0..rounds {
            runtime.block_on(servers.round(transport, only, &tls, &mut table, span))?;
        }
    }
    table.print();
    Ok(())
}

/// One for each way to do the same work.
struct Servers {
    frames: Server,
    mux: Server,
    calls: Server,
}

impl Servers {
    /// Everything that is wanted once, on connections of its own.
    async fn round(
        &self,
        transport: &'static str,
        only: &str,
        tls: &Tls,
        table: &mut Table,
        span: Duration,
    ) -> Result<(), Error> {
        let [frames, mux, calls] = [&self.frames, &self.mux, &self.calls].map(|server| &server.address);
        let wanted = |work: &str| format!("{transport} {work}").contains(only);
        let mut note = |work: String, unit, raw, mux, calls| {
            table.note(Row { transport, work, unit, raw, mux, calls: vec![calls] });
        };
        for in_flight in IN_FLIGHT {
            let work = format!("64 bytes, {in_flight} in flight");
            if !wanted(&work) {
                continue;
            }
            let raw = frames::echoes(frames, tls, in_flight, span).await?;
            let mux = mux::echoes(mux, tls, in_flight, span).await?;
            let calls = calls::echoes(calls, tls, in_flight, span).await?;
            note(work, "calls/s", vec![raw], vec![mux], calls);
        }
        for length in LARGE {
            let work = format!("{} MiB there and back", length >> 20);
            if !wanted(&work) {
                continue;
            }
            let raw = frames::large(frames, tls, length, span).await?;
            let calls = calls::large(calls, tls, length, span).await?;
            note(work, "MiB/s", vec![raw], vec![], calls);
        }
        for length in LARGE {
            let work = format!("64 bytes beside {} MiB", length >> 20);
            if !wanted(&work) {
                continue;
            }
            let beside = calls::beside_large(calls, tls, length, 3 * span).await?;
            note(format!("{work}, p50"), "µs", vec![], vec![], beside.p50);
            note(format!("{work}, p99"), "µs", vec![], vec![], beside.p99);
            note(format!("{work}, these"), "MiB/s", vec![], vec![], beside.large);
        }
        Ok(())
    }
}

/// The certificate that both servers show, from files, as the transport wants it.
struct Tls {
    to_connect: ConnectOptions,
    to_listen: ListenOptions,
}

impl Tls {
    fn files(directory: &Path) -> IdentityFiles {
        IdentityFiles { certificate: directory.join("cert.pem"), key: directory.join("key.pem") }
    }

    fn make(directory: &Path) -> Result<(), Error> {
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let files = Self::files(directory);
        std::fs::write(&files.certificate, own.cert.pem())?;
        std::fs::write(&files.key, own.signing_key.serialize_pem())?;
        Ok(std::fs::set_permissions(&files.key, Permissions::from_mode(0o600))?)
    }

    fn load(directory: &Path) -> Result<Self, Error> {
        let identity = Self::files(directory);
        let ca = identity.certificate.clone();
        let client = ClientTls::from_files(&ClientTlsFiles { ca, domain: None, identity: None })?;
        let server = ServerTls::from_files(&ServerTlsFiles { identity, client_ca: None })?;
        Ok(Self {
            to_connect: ConnectOptions::with_tls(Some(client)),
            to_listen: ListenOptions::with_tls(Some(server)),
        })
    }
}

/// This program as a server; it ends when its input does.
struct Server {
    process: Child,
    input: Option<ChildStdin>,
    address: Address,
}

impl Server {
    fn start(kind: &str, listen: &str, directory: &Path) -> Result<Self, Error> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["serve", kind, listen])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("no pipe")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse()?;
        let input = process.stdin.take();
        Ok(Self { process, input, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

async fn serve(kind: &str, address: Address, tls: &Tls) -> Result<(), Error> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    match kind {
        "frames" => frames::serve(&address, tls, frames::echo).await,
        "mux" => frames::serve(&address, tls, |stream| mux::serve(stream, <[u8]>::to_vec)).await,
        _ => calls::serve(&address, tls).await,
    }
}

/// The 64 bytes of a small request: none is like another.
fn small(number: u64) -> [u8; 64] {
    let mut bytes = [0; 64];
    for (place, chunk) in (0..).zip(bytes.chunks_exact_mut(8)) {
        chunk.copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(place).to_le_bytes());
    }
    bytes
}

/// A large body.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index ^ (index >> 8) ^ (index >> 16)) as u8).collect()
}
