//! `nova-conformance run`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use nova_transport_tokio::{
    Address, ClientTls, ClientTlsFiles, ConnectOptions, IdentityFiles, ListenOptions, ServerTls,
    ServerTlsFiles,
};

use super::reports::write;
use super::{Stop, VectorsArg};
use crate::Core;
use crate::expectations::Expectations;
use crate::live::Live;
use crate::report::{self, CaseLine, LastLine};
use crate::run::{Options, Outcome, Results, Status, run as play};
use crate::subject::program::Program;
use crate::subject::{Role, Subject};
use crate::vector::{Case, Class, Selection, Split, Transport};

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    vectors: VectorsArg,

    /// Play with the program that this shell command starts
    #[arg(long, value_name = "COMMAND")]
    subject: Option<String>,

    /// Play with the router that listens at this address
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["subject", "listen"])]
    connect: Option<Address>,

    /// Listen here, and play with the workers that connect
    #[arg(long, value_name = "ADDR", conflicts_with = "subject")]
    listen: Option<Address>,

    /// With --listen: the shell command that starts a worker, once for each case; {address} is where it must connect
    #[arg(long, value_name = "COMMAND", requires = "listen")]
    start: Option<String>,

    /// With --connect over tcp+tls: the CA that has issued the router's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "connect")]
    tls_ca_cert: Option<PathBuf>,

    /// With --listen over tcp+tls: the certificate to show to workers (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// With --listen over tcp+tls: its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Only this group; may be given several times
    #[arg(long, value_name = "NAME")]
    group: Vec<String>,

    /// Only cases whose id fits; `*` stands for anything; may be given several times
    #[arg(long, value_name = "GLOB")]
    case: Vec<String>,

    /// Only cases with this preset, a glob; over sockets: that for which the program is configured
    #[arg(long, value_name = "GLOB")]
    preset: Vec<String>,

    /// Only cases of this class; may be given several times
    #[arg(long, value_name = "CLASS")]
    class: Vec<Class>,

    /// Cut bytes only in this way; may be given several times
    #[arg(long, value_name = "HOW")]
    split: Vec<Split>,

    /// Says how bytes are cut at random; chosen and printed if not given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// End at the first case that fails
    #[arg(long)]
    fail_fast: bool,

    /// What the implementation is called in reports and expectations
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// What is known to fail
    #[arg(long, value_name = "FILE", default_value = crate::EXPECTATIONS)]
    expectations: PathBuf,

    /// Write a JUnit report
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Print a line of JSON for each case, and one with the sums
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &RunArgs) -> Result<ExitCode, Stop> {
    let suite = args.vectors.load()?;
    let options = args.options()?;
    if let Some(useless) = options.selection.useless(&suite) {
        return Err(Stop::usage(format!("{useless} fits no case")));
    }
    if !suite.cases().any(|(file, case)| options.selection.takes(&file.group, case)) {
        return Err(Stop::usage("no case fits all of --group, --case, --preset and --class"));
    }
    let mut out = Output { json: args.json, seed: options.seed, command: args.command(), broken: None };
    let mut subject = args.subject()?;
    out.begin(&options.implementation)?;
    let results = play(&suite, &options, &mut *subject, |case, outcome| out.case(case, outcome));
    out.end(&results)?;
    if !results.anything_played() {
        let why = "nothing was played: all cases were skipped (exit code 127, also a shell's if there is no such command)";
        out.warn(why)?;
    }
    if let Some(path) = &args.junit {
        let lines: Vec<CaseLine> = results.outcomes.iter().map(CaseLine::from).collect();
        write(path, &report::junit([(options.implementation.as_str(), lines.as_slice())]))?;
    }
    Ok(if results.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl RunArgs {
    fn options(&self) -> Result<Options, Stop> {
        let seed = self.seed.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::from(now.subsec_nanos())
        });
        let default_name = match self.role() {
            Some(Role::Router) => "router",
            Some(Role::Worker) => "worker",
            None if self.subject.is_some() => "subject",
            None => "core",
        };
        let splits = [Split::Whole, Split::Bytes, Split::Random];
        Ok(Options {
            selection: Selection {
                groups: self.group.clone(),
                cases: self.case.clone(),
                presets: self.preset.clone(),
                classes: self.class.clone(),
            },
            seed,
            splits: if self.split.is_empty() { splits.to_vec() } else { self.split.clone() },
            transport: if self.role().is_some() { Transport::Live } else { Transport::InProcess },
            role: self.role(),
            fail_fast: self.fail_fast,
            implementation: self.name.clone().unwrap_or_else(|| default_name.to_owned()),
            expectations: Expectations::load(&self.expectations).map_err(Stop::failed)?,
        })
    }

    /// Which side a live subject is.
    fn role(&self) -> Option<Role> {
        match (&self.connect, &self.listen) {
            (Some(_), _) => Some(Role::Router),
            (_, Some(_)) => Some(Role::Worker),
            _ => None,
        }
    }

    fn subject(&self) -> Result<Box<dyn Subject>, Stop> {
        Ok(if let Some(address) = &self.connect {
            let files =
                self.tls_ca_cert.clone().map(|ca| ClientTlsFiles { ca, domain: None, identity: None });
            let tls = files.map(|files| ClientTls::from_files(&files)).transpose().map_err(Stop::usage)?;
            let options = ConnectOptions::with_tls(tls);
            // A router that is not there is said at once, not once for each case.
            let mut live = Live::router(address.clone(), options)?;
            live.reach().map_err(Stop::cannot_connect)?;
            Box::new(live)
        } else if let Some(address) = &self.listen {
            let identity = self.tls_cert.clone().zip(self.tls_key.clone());
            let files = identity.map(|(certificate, key)| ServerTlsFiles {
                identity: IdentityFiles { certificate, key },
                client_ca: None,
            });
            let tls = files.map(|files| ServerTls::from_files(&files)).transpose().map_err(Stop::usage)?;
            let options = ListenOptions::with_tls(tls);
            Box::new(Live::worker(address, &options, self.start.clone()).map_err(Stop::cannot_connect)?)
        } else if let Some(command) = &self.subject {
            Box::new(Program::new(command))
        } else {
            Box::new(Core::default())
        })
    }

    /// How to call the program again with the same subject.
    fn command(&self) -> String {
        let subject = [
            self.subject.as_ref().map(|command| format!(" --subject '{command}'")),
            self.connect.as_ref().map(|address| format!(" --connect {address}")),
            self.listen.as_ref().map(|address| format!(" --listen {address}")),
            self.start.as_ref().map(|command| format!(" --start '{command}'")),
        ];
        subject.into_iter().flatten().fold("nova-conformance run".to_owned(), |command, part| command + &part)
    }
}

/// What is printed while it runs.
struct Output {
    json: bool,
    seed: u64,
    command: String,
    /// The reader is gone.
    broken: Option<io::Error>,
}

impl Output {
    fn begin(&self, implementation: &str) -> io::Result<()> {
        // With --json standard output is for data alone.
        let line = format!("seed {}, implementation {implementation}", self.seed);
        if self.json { writeln!(io::stderr(), "{line}") } else { writeln!(io::stdout(), "{line}") }
    }

    fn case(&mut self, case: &Case, outcome: &Outcome) {
        let written = if self.json {
            serde_json::to_string(&CaseLine::from(outcome)).map_err(io::Error::other).and_then(print)
        } else if let Status::Failed(fault) = &outcome.status {
            print(report::explain(case, fault, self.seed, &self.command))
        } else {
            Ok(())
        };
        self.broken = self.broken.take().or_else(|| written.err());
    }

    fn warn(&self, problem: &str) -> io::Result<()> {
        writeln!(io::stderr(), "nova-conformance: {problem}")
    }

    fn end(&mut self, results: &Results) -> io::Result<()> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        for stale in &results.stale {
            self.warn(&format!("expectations name {stale}, which fits no case: remove the entry"))?;
        }
        if self.json {
            return print(serde_json::to_string(&LastLine::from(results))?);
        }
        let mut groups: Vec<&str> = results.outcomes.iter().map(|outcome| outcome.group.as_str()).collect();
        groups.dedup();
        for group in groups {
            let of_group = Results {
                outcomes: results.outcomes.iter().filter(|outcome| outcome.group == group).cloned().collect(),
                stale: Vec::new(),
            };
            print(format!("{group:<24}{}", sums(&of_group)))?;
        }
        print(format!("{:<24}{}", "all", sums(results)))
    }
}

fn sums(results: &Results) -> String {
    let counts = results.counts();
    let mut text = format!("{:>6} cases {:>6} passed", counts.cases, counts.passed);
    for (count, what) in [(counts.failed, "failed"), (counts.skipped, "skipped")] {
        if count > 0 {
            text += &format!(" {count:>6} {what}");
        }
    }
    text
}

fn print(line: String) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
