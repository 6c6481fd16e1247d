//! What each command does.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use nova_proto_core::messages::{CacheState, ListedSymbol, WorkerStats};
use nova_worker::index::{KindSet, Query};
use serde::Serialize;

use super::args::{Command, IndexArgs, SearchArgs, SymbolsArgs, WorkspaceArgs};
use super::output::{Failure, SCHEMA, json_line, tell, write_out};
use super::workspace::Workspace;
use crate::cluster::{Ready, Router, SearchAnswer, SearchError, SearchHit, SearchOptions, ShardState};
use crate::layout::{SkipReason, Skipped};

pub(super) async fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Search(args) => search(args).await,
        Command::Index(args) => index(args).await,
        Command::Symbols(args) => symbols(args).await,
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
    skipped: usize,
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
    let options =
        SearchOptions { limit: args.limit, kinds: args.kinds.clone(), soft: hard, hard, trace: None };
    Query::parse(&args.query, KindSet::ALL)
        .map_err(|error| Failure::usage(&error.to_string(), "shorten the query"))?;
    let workspace = Workspace::indexed(&args.workspace).await?;
    let searched = workspace.router.workspace_symbols(&args.query, &options).await;
    let files = workspace.router.file_count() - workspace.router.unreadable().len();
    let printed = match &searched {
        Err(SearchError::Query(problem)) => Err(Failure::usage(problem, "shorten the query")),
        Err(error) => Err(Failure::internal(&error.to_string())),
        Ok(answer) if answer.shards.answered == 0 => Err(Failure::timed_out(hard)),
        Ok(answer) => write_out(shown_answer(args, &workspace.router, answer)?, true).await,
    };
    workspace.stop().await;
    printed?;
    let Ok(answer) = searched else { return Ok(ExitCode::FAILURE) };
    let shards = answer.shards;
    let partial = shards.failed > 0 || shards.warming > 0;
    if partial {
        tell(format!(
            "nova: partial answer: {} of {} shards failed, {} warming\n",
            shards.failed, shards.total, shards.warming
        ))
        .await;
    }
    if answer.hits.is_empty() {
        tell(format!("nova: nothing matches {:?} in {files} files\n", args.query)).await;
    } else if answer.truncated && io::stderr().is_terminal() {
        tell("nova: there are more matches; see --limit\n".to_owned()).await;
    }
    Ok(ExitCode::from(match answer.hits.is_empty() {
        _ if partial && args.strict => 3,
        true => 1,
        false => 0,
    }))
}

fn shown_answer(args: &SearchArgs, router: &Router, answer: &SearchAnswer) -> io::Result<Vec<u8>> {
    if !args.json {
        return shown_hits(&args.workspace, router, answer);
    }
    let shards = answer.shards;
    let roots = root_names(router);
    let results = answer.hits.iter().map(|hit| ResultFields {
        name: &hit.symbol.name,
        kind: hit.symbol.kind.as_str(),
        container: &hit.symbol.container,
        root: &roots[hit.root],
        path: &hit.symbol.path,
        line: hit.symbol.line,
        column: hit.symbol.column,
        score: hit.symbol.score,
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
        skipped: router.skipped().len(),
    })
}

fn shown_hits(args: &WorkspaceArgs, router: &Router, answer: &SearchAnswer) -> io::Result<Vec<u8>> {
    let roots = ShownRoots::new(args, router);
    let width = |text: fn(&SearchHit) -> usize, max| answer.hits.iter().map(text).max().unwrap_or(0).min(max);
    let name = width(|hit| hit.symbol.name.chars().count(), 40);
    let container = width(|hit| hit.symbol.container.chars().count(), 48);
    let mut out = Vec::new();
    for SearchHit { root, symbol } in &answer.hits {
        let path = roots.path(*root, &symbol.path);
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
    left_out: usize,
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

impl From<WorkerStats> for IndexingWorker {
    fn from(stats: WorkerStats) -> Self {
        // The files that it skipped are told with the router's.
        let WorkerStats { pid, parsed, received, cache, shards, skipped: _ } = stats;
        let state = match cache.state {
            CacheState::Off => "off",
            CacheState::On => "on",
            CacheState::Failed => "failed",
        };
        let problem = Some(cache.problem).filter(|problem| !problem.is_empty());
        Self {
            pid,
            parsed,
            received,
            memory: shards.iter().map(|shard| shard.memory).sum(),
            disk: shards.iter().map(|shard| shard.disk).sum(),
            cache: CacheFields { state, loaded: cache.loaded, written: cache.written, problem },
        }
    }
}

#[derive(Serialize)]
struct SkippedFields {
    root: String,
    path: String,
    reason: &'static str,
    detail: String,
}

async fn index(args: &IndexArgs) -> Result<ExitCode, Failure> {
    let start = Instant::now();
    let workspace = Workspace::settled(&args.workspace).await?;
    let workers = workspace.router.worker_stats().await;
    let skipped = skipped(&workspace.router, &workers);
    let line = summary(&workspace.router, workers, &skipped, start);
    let shown = match args.json {
        // Then the error is the one line.
        true if line.files == 0 => Vec::new(),
        true => json_line(&line)?,
        false => shown_summary(&line)?,
    };
    let printed = write_out(shown, line.files > 0).await;
    let name =
        |file: &Skipped| format!("nova: skipped {}: {}\n", shown_path(&workspace.router, file), file.reason);
    tell(skipped.iter().map(name).collect()).await;
    workspace.stop().await;
    printed?;
    if line.files == 0 {
        return Err(Failure::nothing_indexed(
            "no file could be indexed",
            "standard error names each file and what is wrong with it",
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// What could not be read, and what workers could not index.
fn skipped(router: &Router, workers: &[WorkerStats]) -> Vec<Skipped> {
    let mut skipped = router.skipped();
    for file in workers.iter().flat_map(|stats| &stats.skipped) {
        let Some(shard) = router.shards().get(file.shard as usize) else { continue };
        if !skipped.iter().any(|known| known.root == shard.root && known.path == file.path) {
            let reason = SkipReason::NotIndexed { detail: file.reason.as_str().into() };
            skipped.push(Skipped { root: shard.root, path: file.path.clone(), reason });
        }
    }
    skipped
}

fn summary(router: &Router, workers: Vec<WorkerStats>, skipped: &[Skipped], start: Instant) -> IndexLine {
    let elapsed_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let roots = root_names(router);
    let shards: Vec<IndexedShard> = router
        .shards()
        .iter()
        .zip(router.status())
        .map(|(shard, status)| {
            let (state, reason, files, symbols, bytes, sent) = match status.state {
                ShardState::Ready(Ready { counters, content, sent, .. }) => {
                    ("ready", None, u64::from(counters.files), counters.symbols, content.bytes, sent.bytes)
                }
                ShardState::Warming { files, bytes } => ("warming", None, u64::from(files), 0, bytes, 0),
                ShardState::Waiting { reason } => ("waiting", Some(reason), 0, 0, 0, 0),
                ShardState::Stale { reason } => ("stale", Some(reason), 0, 0, 0, 0),
                ShardState::Failed { reason } => ("failed", Some(reason), 0, 0, 0, 0),
            };
            IndexedShard {
                key: status.key.to_string(),
                root: roots[shard.root].clone(),
                source_root: shard.source_root.clone(),
                part: shard.part,
                parts: shard.parts,
                state,
                reason,
                files,
                symbols,
                bytes,
                sent,
            }
        })
        .collect();
    let skipped = skipped.iter().map(|skipped| SkippedFields {
        root: roots[skipped.root].clone(),
        path: skipped.path.clone(),
        reason: skipped.reason.code(),
        detail: skipped.reason.to_string(),
    });
    IndexLine {
        schema: SCHEMA,
        files: shards.iter().map(|shard| shard.files).sum(),
        symbols: shards.iter().map(|shard| shard.symbols).sum(),
        bytes: shards.iter().map(|shard| shard.bytes).sum(),
        sent: shards.iter().map(|shard| shard.sent).sum(),
        elapsed_ms,
        shards,
        workers: workers.into_iter().map(IndexingWorker::from).collect(),
        skipped: skipped.collect(),
        left_out: router.left_out().len(),
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

fn shown_path(router: &Router, skipped: &Skipped) -> String {
    printable(&router.roots()[skipped.root].join(&skipped.path))
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
    let workspace = Workspace::indexed(&args.workspace).await?;
    let result = print_symbols(args, &workspace.router).await;
    workspace.stop().await;
    let count = result?;
    Ok(if count == 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

async fn print_symbols(args: &SymbolsArgs, router: &Router) -> Result<u64, Failure> {
    let shown = ShownRoots::new(&args.workspace, router);
    let roots = root_names(router);
    let mut count = 0;
    let mut listed = router.list();
    // Written a piece at a time: standard output is not locked while the next piece is waited for.
    let mut out = Vec::new();
    while let Some((root, path, symbols)) =
        listed.next().await.map_err(|error| Failure::internal(&error.to_string()))?
    {
        count += symbols.len() as u64;
        let shown_path = shown.path(root, &path);
        for ListedSymbol { name, kind, container, line, column } in &symbols {
            if args.json_lines {
                let (line, column) = (*line, *column);
                let fields = SymbolFields {
                    name,
                    kind: kind.as_str(),
                    container,
                    root: &roots[root],
                    path: &path,
                    line,
                    column,
                };
                serde_json::to_writer(&mut out, &fields).map_err(io::Error::from)?;
                out.push(b'\n');
            } else {
                writeln!(out, "{shown_path}:{line}:{column}\t{kind}\t{name}\t{container}")?;
            }
        }
        if out.len() >= 64 * 1024 {
            out = write_out(out, false).await?;
        }
    }
    write_out(out, true).await?;
    Ok(count)
}

// ---- paths -----------------------------------------------------------------------------------------------

/// The canonical roots, by their numbers.
fn root_names(router: &Router) -> Vec<String> {
    router.roots().iter().map(|root| root.display().to_string()).collect()
}

/// Roots as people gave them, so that what is printed can be opened from where they are.
struct ShownRoots {
    roots: Vec<PathBuf>,
}

impl ShownRoots {
    fn new(args: &WorkspaceArgs, router: &Router) -> Self {
        let shown = |root: &PathBuf| {
            let given = args.roots.iter().find(|given| given.canonicalize().is_ok_and(|path| path == *root));
            given.unwrap_or(root).clone()
        };
        Self { roots: router.roots().iter().map(shown).collect() }
    }

    fn path(&self, root: usize, path: &str) -> String {
        let shown = &self.roots[root];
        printable(&if shown == Path::new(".") { PathBuf::from(path) } else { shown.join(path) })
    }
}

/// A path as people can read it: what would move the cursor, or begin another line, is escaped.
fn printable(path: &Path) -> String {
    let shown = path.display().to_string();
    if shown.chars().any(char::is_control) { shown.escape_debug().to_string() } else { shown }
}
