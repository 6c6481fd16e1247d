//! Measures searches over the symbols of a file, or over made-up ones when none is given.
//!
//! ```text
//! cargo run --release -p nova-worker --example search_bench -- [SYMBOLS] [COUNT]
//! ```
//!
//! `SYMBOLS` has a line of tab-separated path, line, kind, name and scope (dotted, within the file) for each symbol:
//! `ctags -x --sort=no -R --languages=Java --_xformat='%{input}<TAB>%{line}<TAB>%{kind}<TAB>%{name}<TAB>%{scope}'`.
//! If it has fewer than `COUNT` symbols (540,000 by default), its files are repeated under other directories, with
//! two names in five altered, which keeps the share of distinct names of a real source tree. The environment variable
//! `EACH` asks for a line for each query, with its best hits.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use memchr::memmem;
use nova_proto_core::messages::SymbolKind;
use nova_worker::index::{KindSet, Query, Snapshot};
use nova_worker::{Declaration, Outline};

const LIMIT: usize = 100;
const ROUNDS: usize = 200;

/// Queries by class, typical and awkward ones.
const QUERIES: [(&str, &[&str]); 9] = [
    ("exact", &["HashMap", "hashmap", "ConcurrentHashMap", "get", "toString", "value", "serialVersionUID"]),
    ("prefix", &["Conc", "get", "s", "isEm", "Abstract", "string", "x", "MAX_", "conc", "Zip"]),
    ("acronym", &["CHM", "ConcurHM", "NPE", "SB", "chm", "ioe", "AQS", "gpn", "ers", "IOOBE", "tS", "LHS"]),
    ("substring", &["entHash", "ption", "ers", "ashma", "ring", "ffer", "oncurrent", "a", "ode", "hread"]),
    (
        "fuzzy",
        &["cnchmp", "hshmp", "strbldr", "ers", "nres", "xyz", "aeiou", "bfrdinpt", "tse", "qz", "lnkdlst"],
    ),
    (
        "qualified",
        &["util.HashMap", "Map#put", "Map.get", "j.u.c.Conc", "String#", "util.", "lang.s", "Map#e"],
    ),
    ("no match", &["qqqq", "xkcdqz", "Zzyzx", "ersatzqx", "éa", "NOSUCHNAMEATALL", "stnerx"]),
    ("empty", &[""]),
    (
        "long",
        &[
            "concurrentHashMapConcurrentHashMapConcurrentHashMapConcurrentHashMapX",
            "getAbstractStringBuilder",
        ],
    ),
];

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let file = arguments.next();
    let count = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(540_000);
    let seed = match file {
        Some(file) => parse(&fs::read_to_string(file)?),
        None => synthetic(),
    };
    let files = grow(&seed, count);
    let started = Instant::now();
    let snapshot = Snapshot::new(files.iter().cloned());
    let built = started.elapsed();
    let (symbols, bytes) = (snapshot.symbols(), snapshot.memory_bytes());
    println!(
        "{symbols} symbols in {} files, built in {built:.0?}, {:.1} bytes/symbol",
        snapshot.files(),
        bytes as f64 / symbols as f64
    );

    let floor = Floor::new(&files);
    println!("\n{:<10} {:<12} {:>10} {:>10} {:>10}  slowest", "layers", "class", "p50", "p99", "max");
    report("one", &snapshot, &floor);
    let layered = apply_some(&snapshot, &files);
    report("several", &layered, &floor);
    Ok(())
}

fn report(label: &str, snapshot: &Snapshot, floor: &Floor) {
    let mut p99 = Vec::new();
    for (class, texts) in QUERIES {
        let mut times = Vec::new();
        for text in texts {
            let query = Query::parse(text, KindSet::ALL).expect("the queries are short");
            let found = snapshot.search(&query, LIMIT);
            let each = times_of(|| drop(black_box(snapshot.search(&query, LIMIT)))).map(|time| (time, *text));
            let mut each: Vec<_> = each.collect();
            if env::var_os("EACH").is_some() {
                each.sort_unstable();
                let best: Vec<_> =
                    found.hits.iter().take(6).map(|hit| format!("{}.{}", hit.container, hit.name)).collect();
                let (p50, p99) = (percentile(&each, 50), percentile(&each, 99));
                println!("    {text:<30} {p50:>10.1?} {p99:>10.1?}  {}", best.join(" "));
            }
            times.append(&mut each);
        }
        times.sort_unstable();
        let (slowest, text) = times[times.len() - 1];
        p99.push(percentile(&times, 99));
        println!(
            "{label:<10} {class:<12} {:>10.1?} {:>10.1?} {slowest:>10.1?}  {text:?}",
            percentile(&times, 50),
            percentile(&times, 99)
        );
    }
    let mut times: Vec<_> = times_of(|| _ = black_box(floor.scan("ashma"))).map(|time| (time, "")).collect();
    times.sort_unstable();
    let (middle, worst) = (percentile(&times, 50), p99.iter().max().copied().unwrap_or_default());
    println!(
        "{label:<10} {:<12} {middle:>10.1?} {:>10.1?}  (worst p99 of a class is {:.2} times its p50)",
        "memmem",
        percentile(&times, 99),
        worst.as_secs_f64() / middle.as_secs_f64()
    );
}

fn times_of(mut work: impl FnMut()) -> impl Iterator<Item = Duration> {
    (0..ROUNDS).map(move |_| {
        let started = Instant::now();
        work();
        started.elapsed()
    })
}

fn percentile(sorted: &[(Duration, &str)], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)].0
}

/// The least any unindexed search could do: find a substring in the lower-cased name of each symbol.
struct Floor {
    text: Vec<u8>,
}

impl Floor {
    fn new(files: &[(Arc<str>, Arc<Outline>)]) -> Self {
        let names = files.iter().flat_map(|(_, outline)| outline.iter());
        Self {
            text: names
                .flat_map(|declaration| (declaration.name.to_lowercase() + "\n").into_bytes())
                .collect(),
        }
    }

    fn scan(&self, text: &str) -> usize {
        memmem::find_iter(&self.text, text).count()
    }
}

/// Changes one file in fifty, one at a time, and prints how long that took.
fn apply_some(snapshot: &Snapshot, files: &[(Arc<str>, Arc<Outline>)]) -> Snapshot {
    let mut changed = snapshot.clone();
    let mut times = Vec::new();
    for (path, outline) in files.iter().step_by(50) {
        let started = Instant::now();
        changed = changed.apply([(Arc::clone(path), Arc::clone(outline))], []);
        times.push((started.elapsed(), ""));
    }
    times.sort_unstable();
    let total: Duration = times.iter().map(|&(time, _)| time).sum();
    println!(
        "\n{} changes of one file: mean {:.1?}, p50 {:.1?}, p99 {:.1?}, max {:.1?}; {:.1} bytes/symbol after",
        times.len(),
        total / times.len() as u32,
        percentile(&times, 50),
        percentile(&times, 99),
        percentile(&times, 100),
        changed.memory_bytes() as f64 / changed.symbols() as f64
    );
    let started = Instant::now();
    drop(black_box(changed.compact()));
    println!("compacting all: {:.0?}\n", started.elapsed());
    changed
}

/// A declaration as it stands in the file: line, kind, name and scope.
type Line = (u32, SymbolKind, String, String);

/// By path: the package, and the declarations.
type Seed = BTreeMap<String, (String, Vec<Line>)>;

fn parse(text: &str) -> Seed {
    let mut seed = Seed::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [path, line, kind, name, .., scope] = fields[..] else { continue };
        let (package, lines) = seed.entry(path.to_owned()).or_default();
        let kind = match kind {
            "package" => {
                name.clone_into(package);
                continue;
            }
            "annotation" => SymbolKind::Annotation,
            "enumConstant" => SymbolKind::Constant,
            "method" if scope.rsplit('.').next() == Some(name) => SymbolKind::Constructor,
            kind => kind.parse().unwrap_or(SymbolKind::Class),
        };
        lines.push((line.parse().unwrap_or(1), kind, name.to_owned(), scope.to_owned()));
    }
    seed
}

/// Classes with methods, their names made of common words.
fn synthetic() -> Seed {
    const WORDS: [&str; 40] = [
        "Abstract",
        "Array",
        "Buffer",
        "Byte",
        "Cache",
        "Char",
        "Class",
        "Code",
        "Concurrent",
        "Context",
        "Count",
        "Data",
        "Default",
        "Element",
        "Entry",
        "Error",
        "Event",
        "File",
        "Hash",
        "Index",
        "Input",
        "Iterator",
        "Key",
        "Linked",
        "List",
        "Map",
        "Name",
        "Node",
        "Object",
        "Output",
        "Path",
        "Property",
        "Queue",
        "Reader",
        "Set",
        "State",
        "Stream",
        "String",
        "Type",
        "Value",
    ];
    let mut state = 1_u64;
    let mut random = move |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut seed = Seed::new();
    for file in 0..10_000 {
        let class = format!("{}{}{}", WORDS[random(40)], WORDS[random(40)], WORDS[random(40)]);
        let mut lines = vec![(10, SymbolKind::Class, class.clone(), String::new())];
        for line in 0..30 {
            let verb = ["get", "set", "is", "add", "read", "write"][random(6)];
            let name = (0..random(3)).fold(verb.to_owned(), |name, _| name + WORDS[random(40)]);
            let kind = if line % 3 == 0 { SymbolKind::Field } else { SymbolKind::Method };
            lines.push((20 + line, kind, name, class.clone()));
        }
        let package = format!("com.example.p{}", file % 300);
        seed.insert(format!("{}/{class}{file}.java", package.replace('.', "/")), (package, lines));
    }
    seed
}

fn grow(seed: &Seed, count: usize) -> Vec<(Arc<str>, Arc<Outline>)> {
    let mut files = Vec::new();
    let mut symbols = 0;
    for copy in 0.. {
        for (path, (package, lines)) in seed {
            let path = if copy == 0 { path.clone() } else { format!("copy{copy}/{path}") };
            let outline = outline(package, lines, copy);
            symbols += outline.len();
            files.push((path.into(), Arc::new(outline)));
            if symbols >= count {
                return files;
            }
        }
    }
    files
}

fn outline(package: &str, lines: &[Line], copy: usize) -> Outline {
    let mut outline = Outline::new(package);
    let mut scopes: HashMap<String, u32> = HashMap::new();
    for (line, kind, name, scope) in lines {
        let altered = name.len() > 4 && (name.len() + name.as_bytes()[2] as usize) % 5 < 2;
        // Turning the name round at a letter keeps its characters and moves its words.
        let name = if copy > 0 && altered && name.is_ascii() {
            let (start, end) = name.split_at(name.len() / 2 + copy % 2);
            format!("{end}{start}")
        } else {
            name.clone()
        };
        let parent = scopes.get(scope).copied();
        let index = outline.push(Declaration { name: &name, kind: *kind, parent, line: *line, column: 5 });
        if let (true, Some(index)) = (kind.is_type(), index) {
            let qualified = if scope.is_empty() { name } else { format!("{scope}.{name}") };
            scopes.entry(qualified).or_insert(index);
        }
    }
    outline.shrink_to_fit();
    outline
}
