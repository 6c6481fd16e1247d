//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand};
use nova_proto_core::messages::{MAX_HITS, SymbolKind};
use nova_transport_tokio::Address;
use nova_worker::program::{TokenArgs, WorkerArgs};

use super::output::Failure;

/// Workspace symbols for Java code of any size, at once
#[derive(Debug, Parser)]
#[command(name = "nova", version, after_help = EXAMPLES)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  nova search HaMa                       find HashMap and its like below the current directory
  nova search --root ~/src/jdk --kind class --limit 5 ConcurHM
  nova search --json Map#put | jq .results
  nova index --root ~/src/jdk            read everything, say what was found and what was skipped
  nova symbols --json-lines > all.jsonl  every symbol, one JSON object a line
  nova search --daemon HaMa              the same, and the next searches need not index anything
  nova status; nova stop                 how that daemon is; its end

Exit codes:
  0 done   1 nothing found   2 wrong usage   3 partial answer with --strict   4 cannot connect
  5 not let in   6 timed out   7 nothing could be indexed   8 no daemon is running
  9 the daemon is of another build   130 interrupted

Logs go to standard error; set NOVA_LOG=info or NOVA_LOG=debug to see more of them.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Find symbols by name: exact, prefix, camel humps, substring, subsequence
    Search(SearchArgs),
    /// Read the workspace and say what was found
    Index(IndexArgs),
    /// Print every symbol, sorted by path, line and column
    Symbols(SymbolsArgs),
    /// Keep the index, for clients and for workers that connect, until stopped or interrupted
    Serve(ServeArgs),
    /// Say how the daemon is
    Status(StatusArgs),
    /// End the daemon
    Stop(StopArgs),
    /// Serve shards to a router (started by nova itself)
    #[command(hide = true)]
    Worker(WorkerArgs),
}

impl Command {
    /// Whether errors are told in JSON, too.
    pub(super) fn json(&self) -> bool {
        match self {
            Self::Search(args) => args.json,
            Self::Index(args) => args.json,
            Self::Symbols(args) => args.json_lines,
            Self::Serve(args) => args.json,
            Self::Status(args) => args.json,
            Self::Stop(args) => args.json,
            Self::Worker(_) => false,
        }
    }
}

/// Which workspace: what the daemon of one is known by.
#[derive(Debug, Args)]
pub(super) struct WhichArgs {
    /// A directory with Java code; may be given several times
    #[arg(long = "root", value_name = "DIR", default_value = ".")]
    pub(super) roots: Vec<PathBuf>,

    /// Skip, and name, source files that are larger than this many bytes; at most 8 MiB
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20, value_parser = clap::value_parser!(u64).range(1..=8 << 20))]
    pub(super) max_file_bytes: u64,
}

/// Whether a running daemon answers.
#[derive(Debug, Args)]
pub(super) struct DaemonArgs {
    /// If no daemon is running for these roots, start one in the background; it ends after half an hour without clients
    #[arg(long, env = "NOVA_DAEMON", value_parser = FalseyValueParser::new())]
    pub(super) daemon: bool,

    /// Do not ask a running daemon
    #[arg(long)]
    pub(super) no_daemon: bool,
}

/// Where the code is, and who indexes it.
#[derive(Debug, Args)]
pub(super) struct WorkspaceArgs {
    #[command(flatten)]
    pub(super) which: WhichArgs,

    /// How many worker processes to start [default: one for each core, at most 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) workers: Option<u16>,

    /// The program to start as a worker [default: this one]
    #[arg(long, value_name = "PROGRAM")]
    pub(super) worker_command: Option<PathBuf>,

    /// Where workers keep indexes between runs [default: a directory for these roots in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    pub(super) cache_dir: Option<PathBuf>,

    /// Keep nothing between runs
    #[arg(long, conflicts_with = "cache_dir")]
    pub(super) no_cache: bool,
}

#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// What to look for: `HashMap`, `HaMa`, `CHM`, `util.HashMap`, `Map#put`; empty for the top-level types
    pub(super) query: String,

    /// How many results at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=MAX_HITS as i64))]
    pub(super) limit: u32,

    /// Only this kind of symbol; may be given several times: module, class, interface, enum, record, annotation,
    /// method, constructor, field, constant, component, element
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',')]
    pub(super) kinds: Vec<SymbolKind>,

    /// Print one line of JSON
    #[arg(long)]
    pub(super) json: bool,

    /// Fail with exit code 3 if a shard did not answer from a current index
    #[arg(long)]
    pub(super) strict: bool,

    #[command(flatten)]
    pub(super) daemon: DaemonArgs,

    #[command(flatten)]
    pub(super) workspace: WorkspaceArgs,
}

#[derive(Debug, Args)]
pub(super) struct IndexArgs {
    /// Fail with exit code 3 if a file was skipped or a shard could not be indexed
    #[arg(long)]
    pub(super) strict: bool,

    /// Print one line of JSON
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) daemon: DaemonArgs,

    #[command(flatten)]
    pub(super) workspace: WorkspaceArgs,
}

#[derive(Debug, Args)]
pub(super) struct SymbolsArgs {
    /// Print one JSON object a line
    #[arg(long)]
    pub(super) json_lines: bool,

    #[command(flatten)]
    pub(super) daemon: DaemonArgs,

    #[command(flatten)]
    pub(super) workspace: WorkspaceArgs,
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Where workers connect: unix:PATH, tcp+tls:HOST:PORT, or tcp:HOST:PORT on the loopback interface. Without it,
    /// workers are started here; with it, shards wait for the workers that connect
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<Address>,

    #[command(flatten)]
    pub(super) tls: ServerTlsArgs,

    #[command(flatten)]
    pub(super) token: TokenArgs,

    /// Allow what others on the network can read or use: tcp: that is not loopback, a token over tcp:, or tcp+tls: to
    /// which every worker may connect
    #[arg(long)]
    pub(super) allow_insecure: bool,

    /// Answer HTTP requests with counters in the text format of Prometheus, on the loopback interface: 127.0.0.1:PORT
    #[arg(long, value_name = "IP:PORT")]
    pub(super) metrics: Option<SocketAddr>,

    /// End when no client and no worker of another machine has been connected for so long
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub(super) idle_exit: Option<u64>,

    /// Print one line of JSON once the addresses are bound
    #[arg(long)]
    pub(super) json: bool,

    /// In a session of its own, with standard error in a file that is kept short
    #[arg(long, hide = true)]
    pub(super) background: bool,

    #[command(flatten)]
    pub(super) workspace: WorkspaceArgs,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Print one line of JSON
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) which: WhichArgs,
}

#[derive(Debug, Args)]
pub(super) struct StopArgs {
    /// Print one line of JSON
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) which: WhichArgs,
}

/// Flags for `tcp+tls:`.
#[derive(Debug, Args)]
pub(super) struct ServerTlsArgs {
    /// For tcp+tls: the router's certificate, and behind it those between it and its CA (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,

    /// For tcp+tls: the private key of --tls-cert (PEM, not encrypted)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,

    /// For tcp+tls: the CA that has issued the workers' certificates (PEM); without a valid one no worker is let in
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_client_ca: Option<PathBuf>,
}

/// Tells about a wrong command line, or shows help. With `--json` or `--json-lines` among the arguments the error is
/// told in JSON, too.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    if std::env::args_os().any(|arg| arg == "--json" || arg == "--json-lines") {
        let text = error.render().to_string();
        // The first paragraph: what is missing may stand below the first line.
        let lines: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
        let message = lines.join(" ");
        Failure::usage(message.trim_start_matches("error: "), "see nova --help").print_json();
    }
    ExitCode::from(2)
}
