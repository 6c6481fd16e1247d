//! What each command does.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use nova_proto_core::messages::{
    CacheState, FindReply, FoundSymbol, ListedSymbol, SkippedEntry, SymbolHit, WorkerReport,
};
use nova_worker::index::{KindSet, Query};
use serde::Serialize;

use super::args::{Command, IndexArgs, SearchArgs, SymbolsArgs, WhichArgs, WorkspaceArgs};
use super::output::{Failure, SCHEMA, count, json_line, tell, write_out};
use super::session::{Details, Session};
use super::{status, stop};
use crate::cluster::SearchOptions;
use crate::control::Find;
use crate::layout::ShardKey;

pub(super) async fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Search(args) => search(args).await,
        Command::Index(args) => index(args).await,
        Command::Symbols(args) => symbols(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Stop(args) => stop::run(args).await,
        Command::Serve(_) | Command::Worker(_) => unreachable!("run elsewhere"),
    }
}

// ---- search ----------------------------------------------------------------------------------------------

#[derive(Serialize)]
struct SearchLine<'a> {
    schema: u32,
    query: &'a str,
    results: Vec<ResultFields<'a>>,
    shards: ShardFields,
    truncated: bool,
    /// How many files could not be read.
    skipped: u64,
}

#[derive(Serialize)]
struct ResultFields<'a> {
    name: &'a str,
    kind: &'a str,
    container: &'a str,
    root: &'a str,
    path: &'a str,
    line: u32,
    column: u32,
    score: u32,
}

#[derive(Serialize)]
struct ShardFields {
    total: u32,
    answered: u32,
    warming: u32,
    failed: u32,
}

async fn search(args: &SearchArgs) -> Result<ExitCode, Failure> {
    // All of the answer is worth its time: nobody types the next letter meanwhile.
    let hard = SearchOptions::default().hard;
    let find = Find { query: &args.query, kinds: &args.kinds, limit: args.limit, soft: hard, hard };
    Query::parse(&args.query, KindSet::ALL)
        .map_err(|error| Failure::usage(&error.to_string(), "shorten the query"))?;
    let session = Session::indexed(&args.workspace, &args.daemon).await?;
    let searched = session.find(&find).await;
    let printed = match &searched {
        Err(_) => Ok(Vec::new()),
        Ok(answer) if answer.shards.answered == 0 => Err(Failure::timed_out(hard)),
        Ok(answer) => write_out(shown_answer(args, &session.roots, answer)?, true).await,
    };
    session.end().await;
    printed?;
    let FindReply { hits, truncated, shards, files, .. } = searched?;
    let partial = shards.failed > 0 || shards.warming > 0;
    if partial {
        tell(format!(
            "nova: partial answer: {} of {} shards failed, {} warming\n",
            shards.failed, shards.total, shards.warming
        ))
        .await;
    }
    if hits.is_empty() {
        tell(format!("nova: nothing matches {:?} in {}\n", args.query, count(files, "file"))).await;
    } else if truncated && io::stderr().is_terminal() {
        tell("nova: there are more matches; see --limit\n".to_owned()).await;
    }
    Ok(ExitCode::from(match hits.is_empty() {
        _ if partial && args.strict => 3,
        true => 1,
        false => 0,
    }))
}

fn shown_answer(args: &SearchArgs, roots: &[PathBuf], answer: &FindReply) -> io::Result<Vec<u8>> {
    if !args.json {
        return shown_hits(&args.workspace, roots, &answer.hits);
    }
    let shards = answer.shards;
    let roots = root_names(roots);
    let results = answer.hits.iter().map(|FoundSymbol { root, symbol }| ResultFields {
        name: &symbol.name,
        kind: symbol.kind.as_str(),
        container: &symbol.container,
        root: root_name(&roots, *root),
        path: &symbol.path,
        line: symbol.line,
        column: symbol.column,
        score: symbol.score,
    });
    json_line(&SearchLine {
        schema: SCHEMA,
        query: &args.query,
        results: results.collect(),
        shards: ShardFields {
            total: shards.total,
            answered: shards.answered,
            warming: shards.warming,
            failed: shards.failed,
        },
        truncated: answer.truncated,
        skipped: answer.skipped,
    })
}

fn shown_hits(args: &WorkspaceArgs, roots: &[PathBuf], hits: &[FoundSymbol]) -> io::Result<Vec<u8>> {
    let roots = ShownRoots::new(&args.which, roots);
    let width = |text: fn(&SymbolHit) -> usize, max| {
        hits.iter().map(|hit| text(&hit.symbol)).max().unwrap_or(0).min(max)
    };
    let name = width(|symbol| symbol.name.chars().count(), 40);
    let container = width(|symbol| symbol.container.chars().count(), 48);
    let mut out = Vec::new();
    for FoundSymbol { root, symbol } in hits {
        let path = roots.path(*root as usize, &symbol.path);
        writeln!(
            out,
            "{:<11} {:name$}  {:container$}  {}:{}:{}",
            symbol.kind, symbol.name, symbol.container, path, symbol.line, symbol.column
        )?;
    }
    Ok(out)
}

// ---- index -----------------------------------------------------------------------------------------------

#[derive(Serialize)]
struct IndexLine {
    schema: u32,
    files: u64,
    symbols: u64,
    bytes: u64,
    /// Of which the workers lacked so many.
    sent: u64,
    elapsed_ms: u64,
    shards: Vec<IndexedShard>,
    workers: Vec<IndexingWorker>,
    skipped: Vec<SkippedFields>,
    /// How many files and directories the rules leave out.
    left_out: u64,
}

#[derive(Serialize)]
struct IndexedShard {
    key: String,
    root: String,
    source_root: String,
    part: u32,
    parts: u32,
    state: &'static str,
    reason: Option<String>,
    files: u64,
    symbols: u64,
    bytes: u64,
    sent: u64,
}

#[derive(Serialize)]
struct IndexingWorker {
    pid: u32,
    parsed: u64,
    received: u64,
    memory: u64,
    disk: u64,
    cache: CacheFields,
}

#[derive(Serialize)]
struct CacheFields {
    state: &'static str,
    loaded: u32,
    written: u32,
    problem: Option<String>,
}

impl From<WorkerReport> for IndexingWorker {
    fn from(report: WorkerReport) -> Self {
        let WorkerReport { pid, parsed, received, memory, disk, cache } = report;
        let state = match cache.state {
            CacheState::Off => "off",
            CacheState::On => "on",
            CacheState::Failed => "failed",
        };
        let problem = Some(cache.problem).filter(|problem| !problem.is_empty());
        let cache = CacheFields { state, loaded: cache.loaded, written: cache.written, problem };
        Self { pid, parsed, received, memory, disk, cache }
    }
}

#[derive(Serialize)]
struct SkippedFields {
    root: String,
    path: String,
    reason: String,
    detail: String,
}

async fn index(args: &IndexArgs) -> Result<ExitCode, Failure> {
    let start = Instant::now();
    let (session, _) = Session::settled(&args.workspace, &args.daemon).await?;
    let details = session.details().await?;
    let named = |file: &SkippedEntry| {
        let root = session.roots.get(file.root as usize).cloned().unwrap_or_default();
        format!("nova: skipped {}: {}\n", printable(&root.join(&file.path)), file.detail)
    };
    let named: String = details.skipped.iter().map(named).collect();
    let line = summary(&session.roots, details, start);
    let shown = match args.json {
        // Then the error is the one line.
        true if line.files == 0 => Vec::new(),
        true => json_line(&line)?,
        false => shown_summary(&line)?,
    };
    let printed = write_out(shown, line.files > 0).await;
    tell(named).await;
    session.end().await;
    printed?;
    if line.files == 0 {
        return Err(Failure::nothing_indexed(
            "no file could be indexed",
            "standard error names each file and what is wrong with it",
        ));
    }
    let all = line.skipped.is_empty() && line.shards.iter().all(|shard| shard.state == "ready");
    Ok(ExitCode::from(if args.strict && !all { 3 } else { 0 }))
}

fn summary(roots: &[PathBuf], details: Details, start: Instant) -> IndexLine {
    let elapsed_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let roots = root_names(roots);
    let name = |root: u32| root_name(&roots, root).to_owned();
    let shards = details.shards.into_iter().map(|shard| IndexedShard {
        key: ShardKey(shard.key).to_string(),
        root: name(shard.root),
        source_root: shard.source_root,
        part: shard.part,
        parts: shard.parts,
        state: shard.phase.as_str(),
        reason: Some(shard.reason).filter(|reason| !reason.is_empty()),
        files: shard.files,
        symbols: shard.symbols,
        bytes: shard.bytes,
        sent: shard.sent,
    });
    let shards: Vec<IndexedShard> = shards.collect();
    let skipped = details.skipped.into_iter().map(|skipped| SkippedFields {
        root: name(skipped.root),
        path: skipped.path,
        reason: skipped.reason,
        detail: skipped.detail,
    });
    IndexLine {
        schema: SCHEMA,
        files: shards.iter().map(|shard| shard.files).sum(),
        symbols: shards.iter().map(|shard| shard.symbols).sum(),
        bytes: shards.iter().map(|shard| shard.bytes).sum(),
        sent: shards.iter().map(|shard| shard.sent).sum(),
        elapsed_ms,
        shards,
        workers: details.workers.into_iter().map(IndexingWorker::from).collect(),
        skipped: skipped.collect(),
        left_out: details.left_out,
    }
}

fn shown_summary(line: &IndexLine) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    writeln!(out, "{:>8} {:>10} {:>8}  shard", "files", "symbols", "MB")?;
    for shard in &line.shards {
        let name = if shard.source_root.is_empty() { "." } else { &shard.source_root };
        let part =
            if shard.parts > 1 { format!(" ({} of {})", shard.part + 1, shard.parts) } else { String::new() };
        let problem =
            shard.reason.as_ref().map(|reason| format!("  {}: {reason}", shard.state)).unwrap_or_default();
        let megabytes = shard.bytes as f64 / 1e6;
        writeln!(out, "{:>8} {:>10} {megabytes:>8.1}  {name}{part}{problem}", shard.files, shard.symbols)?;
    }
    writeln!(
        out,
        "{} files, {} symbols, {:.1} MB ({:.1} MB of it new or changed) in {} shards, {} skipped, {} left out, {:.2} s",
        line.files,
        line.symbols,
        line.bytes as f64 / 1e6,
        line.sent as f64 / 1e6,
        line.shards.len(),
        line.skipped.len(),
        line.left_out,
        line.elapsed_ms as f64 / 1e3
    )?;
    Ok(out)
}

// ---- symbols ---------------------------------------------------------------------------------------------

#[derive(Serialize)]
struct SymbolFields<'a> {
    name: &'a str,
    kind: &'a str,
    container: &'a str,
    root: &'a str,
    path: &'a str,
    line: u32,
    column: u32,
}

async fn symbols(args: &SymbolsArgs) -> Result<ExitCode, Failure> {
    let session = Session::indexed(&args.workspace, &args.daemon).await?;
    let result = print_symbols(args, &session).await;
    session.end().await;
    let count = result?;
    Ok(if count == 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

async fn print_symbols(args: &SymbolsArgs, session: &Session) -> Result<u64, Failure> {
    let shown = ShownRoots::new(&args.workspace.which, &session.roots);
    let roots = root_names(&session.roots);
    let mut count = 0;
    let mut listed = session.list();
    // Written a piece at a time: standard output is not locked while the next piece is waited for.
    let mut out = Vec::new();
    while let Some(files) = listed.next().await? {
        for (root, path, symbols) in files {
            count += symbols.len() as u64;
            let shown_path = shown.path(root, &path);
            for symbol in &symbols {
                if args.json_lines {
                    show_json(&mut out, roots.get(root).map_or("", String::as_str), &path, symbol)?;
                } else {
                    let ListedSymbol { name, kind, container, line, column } = symbol;
                    writeln!(out, "{shown_path}:{line}:{column}\t{kind}\t{name}\t{container}")?;
                }
            }
            if out.len() >= 64 * 1024 {
                out = write_out(out, false).await?;
            }
        }
    }
    write_out(out, true).await?;
    Ok(count)
}

fn show_json(out: &mut Vec<u8>, root: &str, path: &str, symbol: &ListedSymbol) -> io::Result<()> {
    let ListedSymbol { name, kind, container, line, column } = symbol;
    let (line, column) = (*line, *column);
    let fields = SymbolFields { name, kind: kind.as_str(), container, root, path, line, column };
    serde_json::to_writer(&mut *out, &fields)?;
    out.push(b'\n');
    Ok(())
}

// ---- paths -----------------------------------------------------------------------------------------------

/// The canonical roots, by their numbers.
fn root_names(roots: &[PathBuf]) -> Vec<String> {
    roots.iter().map(|root| root.display().to_string()).collect()
}

/// The name of a root; empty if there is none of this number.
fn root_name(roots: &[String], root: u32) -> &str {
    roots.get(root as usize).map_or("", String::as_str)
}

/// Roots as people gave them, so that what is printed can be opened from where they are.
struct ShownRoots {
    roots: Vec<PathBuf>,
}

impl ShownRoots {
    fn new(which: &WhichArgs, roots: &[PathBuf]) -> Self {
        let shown = |root: &PathBuf| {
            let given = which.roots.iter().find(|given| given.canonicalize().is_ok_and(|path| path == *root));
            given.unwrap_or(root).clone()
        };
        Self { roots: roots.iter().map(shown).collect() }
    }

    fn path(&self, root: usize, path: &str) -> String {
        let shown = self.roots.get(root).cloned().unwrap_or_default();
        printable(&if shown == Path::new(".") { PathBuf::from(path) } else { shown.join(path) })
    }
}

/// A path as people can read it: what would move the cursor, or begin another line, is escaped.
fn printable(path: &Path) -> String {
    let shown = path.display().to_string();
    if shown.chars().any(char::is_control) { shown.escape_debug().to_string() } else { shown }
}
