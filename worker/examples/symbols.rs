//! Prints the declarations of all Java files below a directory, or measures how fast they are read.
//!
//! ```text
//! cargo run --release --example symbols -- DIR            # one line for each declaration
//! cargo run --release --example symbols -- DIR --bench 5  # speed of one thread, files in memory
//! ```
//!
//! The lines have the form of `conformance/oracle/JavacSymbols.java`, so that the two can be compared.

use std::error::Error;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs, io};

use nova_worker::java::extract;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args_os().skip(1);
    let root = args.next().ok_or("usage: symbols DIR [--bench [ROUNDS]]")?;
    let root = Path::new(&root).canonicalize()?;
    let mut paths = Vec::new();
    collect(&root, &mut paths)?;
    if args.next().is_some_and(|option| option == "--bench") {
        let rounds = args.next().and_then(|rounds| rounds.to_str()?.parse().ok()).unwrap_or(5);
        return bench(&paths, rounds);
    }
    print(&root, &paths)
}

/// The `.java` files below `dir`.
fn collect(dir: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let path = entry.path();
        if kind.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "java") && path.is_file() {
            paths.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

fn print(root: &Path, paths: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let mut lines = Vec::new();
    for path in paths {
        let outline = extract(&read(path)?);
        let path = path.strip_prefix(root)?.display();
        for (index, found) in (0..).zip(outline.iter()) {
            let container = outline.container(index);
            let (line, column) = (found.line, found.column);
            lines.push(format!("{path}\t{line}\t{column}\t{}\t{}\t{container}", found.kind, found.name));
        }
    }
    lines.sort_unstable();
    let mut out = BufWriter::new(io::stdout().lock());
    for line in &lines {
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

fn bench(paths: &[PathBuf], rounds: usize) -> Result<(), Box<dyn Error>> {
    let texts = paths.iter().map(|path| read(path)).collect::<io::Result<Vec<_>>>()?;
    let bytes: usize = texts.iter().map(String::len).sum();
    let mut speeds = Vec::new();
    let mut symbols = 0;
    for _ in 0..rounds.max(1) {
        let start = Instant::now();
        symbols = texts.iter().map(|text| extract(text).len()).sum();
        speeds.push(bytes as f64 / 1e6 / start.elapsed().as_secs_f64());
    }
    speeds.sort_by(f64::total_cmp);
    let median = speeds[speeds.len() / 2];
    println!(
        "{} files, {bytes} bytes, {symbols} symbols: {median:.0} MB/s (median of {speeds:.0?})",
        texts.len()
    );
    Ok(())
}
