//! Searches equal scoring and sorting every symbol, however the snapshots are layered and the files spread.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use nova_proto_core::messages::{Found, SymbolHit, SymbolKind, encode, merge};
use nova_worker::index::{KindSet, Query, Snapshot, search_all};
use nova_worker::{Declaration, Outline};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

type Files = BTreeMap<Arc<str>, Arc<Outline>>;

/// Names of few pieces, so that they resemble each other and the queries.
fn name() -> impl Strategy<Value = String> {
    let common = ["Hash", "Map", "map", "get", "a", "B"];
    let odd = [
        "Concurrent",
        "XML",
        "URL",
        "_",
        "$",
        "2",
        "10",
        "b",
        "É",
        "straße",
        "ǅ",
        "İ",
        "Ω",
        "漢",
        "\u{212A}",
        "MAX",
        "VALUE",
        "Aa",
        "aab",
    ];
    prop_oneof![
        2 => vec(select(common.to_vec()), 1..3),
        1 => vec(select([&common[..], &odd].concat()), 1..6),
    ]
    .prop_map(|pieces| pieces.concat())
}

fn kind() -> impl Strategy<Value = SymbolKind> {
    let common = vec![SymbolKind::Class, SymbolKind::Interface, SymbolKind::Method];
    prop_oneof![2 => select(common), 1 => select(SymbolKind::ALL.to_vec())]
}

/// Few results, so that most matches compete for a place.
fn limit() -> impl Strategy<Value = usize> {
    prop_oneof![2 => 0..6_usize, 1 => 0..40_usize]
}

fn outline() -> impl Strategy<Value = Arc<Outline>> {
    let package = select(vec!["", "java", "java.util", "util", "com.Hash.Map", "hash.map.Get"]);
    let declaration = (name(), kind(), any::<u32>(), 0..3_u32, 0..3_u32);
    (package, vec(declaration, 0..12)).prop_map(|(package, declarations)| {
        let mut outline = Outline::new(package);
        for (index, (mut name, kind, parent, line, column)) in (0..).zip(declarations) {
            // Only types enclose others.
            let is_type = |parent: &u32| outline.get(*parent).is_some_and(|outer| outer.kind.is_type());
            let parent = Some(parent % (index + 3)).filter(is_type).filter(|_| kind != SymbolKind::Module);
            if kind == SymbolKind::Module {
                name = format!("java.{name}");
            }
            // Keeps declarations of one name and kind apart, as source text does.
            let column = column + 3 * index;
            outline.push(Declaration { name: &name, kind, parent, line, column });
        }
        Arc::new(outline)
    })
}

fn path() -> impl Strategy<Value = Arc<str>> {
    let directories =
        select(vec!["a", "src/main", "src/test/x", "generated", "sun", "a.internal/b", "Z", "é"]);
    (directories, 0..9_u8).prop_map(|(directory, file)| format!("{directory}/F{file}.java").into())
}

fn files() -> impl Strategy<Value = Files> {
    btree_map(path(), outline(), 0..14)
}

/// Qualifiers in every notation: of packages, types and both, by beginnings and by words.
fn qualifiers() -> impl Strategy<Value = String> {
    let names = vec![
        "Map", "HMap", "HM", "hash", "Hash.Map", "util", "java", "ju", "u", "j.u", "B", "map$Get", "com.H.M",
        "X/java",
    ];
    (select(names), select(vec![".", "#", "::", "/", "$"]))
        .prop_map(|(name, separator)| name.to_owned() + separator)
}

fn query() -> impl Strategy<Value = Query> {
    let pattern = prop_oneof![
        4 => vec(select("HhMmaApPgetsSCcXu_2É1ßωΩk.#".chars().collect::<Vec<_>>()), 0..5)
            .prop_map(String::from_iter),
        2 => name(),
        1 => name().prop_map(|name| name.to_lowercase()),
        3 => (qualifiers(), name(), 0..4_usize, select(vec!["", "", "", "(K,V)", "<K>", ".java:7"])).prop_map(
            |(qualifiers, name, length, rest)| qualifiers + &String::from_iter(name.chars().take(length)) + rest
        ),
        1 => (name(), any::<u64>()).prop_map(|(name, keep)| {
            name.chars().enumerate().filter(|(at, _)| keep >> (at % 64) & 1 == 1).map(|(_, c)| c).collect()
        }),
        1 => vec(name(), 20).prop_map(|names| names.concat().chars().take(100).collect()),
    ];
    let kinds = prop_oneof![2 => Just(KindSet::ALL), 1 => vec(kind(), 0..4).prop_map(KindSet::from_iter)];
    (pattern, kinds).prop_map(|(pattern, kinds)| Query::parse(&pattern, kinds).unwrap())
}

/// The definition of a search: every symbol scored, all sorted, the best kept.
fn full_scan(files: &Files, query: &Query, limit: usize) -> Found {
    let mut hits = Vec::new();
    for (path, outline) in files {
        for (index, Declaration { name, kind, parent, line, column }) in (0..).zip(outline.iter()) {
            let container = outline.container(index);
            if let Some(score) = query.score(name, kind, &container, parent.is_none(), path) {
                let (name, path) = (name.to_owned(), path.to_string());
                hits.push(SymbolHit { name, kind, container, path, line, column, score });
            }
        }
    }
    hits.sort_by(|a, b| a.key().cmp(&b.key()));
    let truncated = hits.len() > limit;
    hits.truncate(limit);
    Found { hits, truncated }
}

fn snapshot(files: &Files) -> Snapshot {
    Snapshot::new(files.clone())
}

fn check_contents(snapshot: &Snapshot, files: &Files) -> Result<(), TestCaseError> {
    prop_assert_eq!(snapshot.files(), files.len());
    prop_assert_eq!(snapshot.symbols(), files.values().map(|outline| outline.len()).sum::<usize>());
    let listed: Vec<_> =
        snapshot.iter().map(|(path, outline)| (Arc::clone(path), Arc::new(outline))).collect();
    prop_assert_eq!(listed, Vec::from_iter(files.clone()));
    Ok(())
}

/// The merge of answers about one root.
fn merged(replies: impl IntoIterator<Item = Found>, limit: usize) -> Found {
    let merged = merge(replies.into_iter().map(|reply| ((), reply)), limit);
    Found { hits: merged.hits.into_iter().map(|((), hit)| hit).collect(), truncated: merged.truncated }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn a_search_is_a_full_scan(files in files(), queries in vec(query(), 1..8), limit in limit()) {
        let snapshot = snapshot(&files);
        for query in &queries {
            for limit in [limit, usize::MAX] {
                prop_assert_eq!(snapshot.search(query, limit), full_scan(&files, query, limit), "{:?}", query);
            }
        }
    }

    #[test]
    fn layers_do_not_show(
        start in files(),
        changes in vec((files(), vec(path(), 0..6)), 1..8),
        queries in vec(query(), 1..4),
        limit in limit(),
    ) {
        let mut files = start;
        let mut layered = snapshot(&files);
        for (upserts, removes) in changes {
            let before = layered.clone();
            let listed: Vec<_> = before.iter().collect();
            layered = layered.apply(upserts.clone(), removes.iter().map(|path| &**path));
            prop_assert_eq!(listed, before.iter().collect::<Vec<_>>());
            files.retain(|path, _| !removes.contains(path));
            files.extend(upserts);
            check_contents(&layered, &files)?;
            for query in &queries {
                let expected = full_scan(&files, query, limit);
                prop_assert_eq!(&layered.search(query, limit), &expected);
                prop_assert_eq!(&layered.compact().search(query, limit), &expected);
            }
        }
        check_contents(&layered.compact(), &files)?;
        prop_assert_eq!(layered.compact().memory_bytes(), snapshot(&files).compact().memory_bytes());
    }

    #[test]
    fn shards_do_not_show(
        files in files(),
        assignment in vec(0..64_usize, 1..20),
        query in query(),
        limit in limit(),
    ) {
        let expected = full_scan(&files, &query, limit);
        for count in [1, 2, 7, 17, 64] {
            let mut shards = vec![Files::new(); count];
            for (index, (path, outline)) in files.iter().enumerate() {
                let shard = assignment[index % assignment.len()] % count;
                shards[shard].insert(Arc::clone(path), Arc::clone(outline));
            }
            let shards: Vec<_> = shards.iter().map(snapshot).collect();
            prop_assert_eq!(&search_all(&shards, &query, limit, usize::MAX), &expected);
            prop_assert_eq!(merged(shards.iter().map(|shard| shard.search(&query, limit)), limit), expected.clone());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// What a bound in bytes leaves is the beginning of the answer, as long as it can be, and says that it is cut.
    #[test]
    fn an_answer_of_few_bytes_is_a_prefix(
        files in files(),
        query in query(),
        limit in limit(),
        max_bytes in 0..3000_usize,
    ) {
        let whole = full_scan(&files, &query, limit);
        let found = search_all(&[snapshot(&files)], &query, limit, max_bytes);
        let bytes = |hits: &[SymbolHit]| hits.iter().map(|hit| encode(hit).len()).sum::<usize>();
        let count = found.hits.len();
        prop_assert_eq!(&found.hits[..], &whole.hits[..count]);
        prop_assert!(bytes(&found.hits) <= max_bytes);
        prop_assert_eq!(found.truncated, whole.truncated || count < whole.hits.len());
        // One hit more would not have been sure to fit: besides its texts it may take 31 bytes.
        let (one_more, slack) = (whole.hits.len().min(count + 1), 31 * (count + 1));
        prop_assert!(count == whole.hits.len() || bytes(&whole.hits[..one_more]) + slack > max_bytes);
    }
}

/// One small file is enough for an answer that no memory holds: each hit has a container of its own.
#[test]
fn hits_with_long_texts_are_bounded_in_bytes() {
    let mut outline = Outline::new("");
    let long = "n".repeat(60_000);
    let mut parent = None;
    for _ in 0..8 {
        parent =
            outline.push(Declaration { name: &long, kind: SymbolKind::Class, parent, line: 1, column: 1 });
    }
    for line in 2..2002 {
        outline.push(Declaration { name: "zz", kind: SymbolKind::Field, parent, line, column: 1 });
    }
    let snapshots = [Snapshot::new([("A.java".into(), Arc::new(outline))])];
    let query = Query::parse("zz", KindSet::ALL).unwrap();
    let container = 8 * 60_001;
    let found = search_all(&snapshots, &query, 2000, 20 * container);
    assert_eq!(found.hits.len(), 19);
    assert!(found.truncated);
    assert!(found.hits.iter().zip(2..).all(|(hit, line)| hit.line == line && hit.name == "zz"));
    assert!(search_all(&snapshots, &query, 2000, container).hits.is_empty());
}

/// The greatest numbers and the longest texts: what the bound reckons for them is never too little.
#[test]
fn no_hit_encodes_to_more_than_is_reckoned() {
    let mut outline = Outline::new("p");
    let name = "n".repeat(usize::from(u16::MAX));
    outline.push(Declaration {
        name: &name,
        kind: SymbolKind::Field,
        parent: None,
        line: u32::MAX,
        column: u32::MAX,
    });
    let snapshots = [Snapshot::new([("d/".repeat(10_000).into(), Arc::new(outline))])];
    let query = Query::parse("n", KindSet::ALL).unwrap();
    let whole = search_all(&snapshots, &query, 1, usize::MAX);
    let bytes = encode(&whole.hits[0]).len();
    assert_eq!(search_all(&snapshots, &query, 1, bytes - 1), Found { hits: vec![], truncated: true });
    assert_eq!(search_all(&snapshots, &query, 1, bytes + 31), whole);
}

/// How a shard that can send no more than `cut` hits answers.
fn cut_short(mut found: Found, cut: usize) -> Found {
    found.truncated |= found.hits.len() > cut;
    found.hits.truncate(cut);
    found
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// The score is the same for all, so that only paths and places tell hits apart. One shard's answer is cut short;
    /// what is left of the whole is exactly the beginning of the true answer, up to the last hit of that shard.
    #[test]
    fn shards_full_of_ties_and_one_answer_cut_short(
        lines in btree_map(path(), vec((0..3_u32, 0..3_u32), 1..8), 1..24),
        assignment in vec(0..64_usize, 1..20),
        limit in 1..60_usize,
        cut in 0..30_usize,
        victim in 0..17_usize,
    ) {
        let outline = |lines: &Vec<(u32, u32)>| {
            let mut outline = Outline::new("p");
            for (index, &(line, column)) in (0..).zip(lines) {
                let column = column + 3 * index;
                outline.push(Declaration { name: "put", kind: SymbolKind::Method, parent: None, line, column });
            }
            Arc::new(outline)
        };
        let place = |path: &str| path.replace("src/test/x", "t").replace("generated", "g").replace("sun", "s").replace("internal", "i");
        let files: Files = lines.iter().map(|(path, lines)| (place(path).into(), outline(lines))).collect();
        let query = Query::parse("put", KindSet::ALL).unwrap();
        let whole = full_scan(&files, &query, usize::MAX);
        prop_assert!(whole.hits.iter().all(|hit| hit.score == whole.hits[0].score));
        for count in [1, 2, 17] {
            let mut shards = vec![Files::new(); count];
            for (index, (path, outline)) in files.iter().enumerate() {
                shards[assignment[index % assignment.len()] % count].insert(Arc::clone(path), Arc::clone(outline));
            }
            let mut answers: Vec<Found> =
                shards.iter().map(|shard| snapshot(shard).search(&query, limit)).collect();
            prop_assert_eq!(merged(answers.clone(), limit), full_scan(&files, &query, limit));
            let victim = &mut answers[victim % count];
            *victim = cut_short(std::mem::take(victim), cut);
            let end = match victim {
                Found { hits, truncated: true } if hits.len() < limit => hits.last().map_or(0, |last| {
                    whole.hits.iter().position(|hit| hit == last).expect("the answers are true") + 1
                }),
                _ => usize::MAX,
            };
            let expected = full_scan(&files, &query, limit.min(end));
            prop_assert_eq!(merged(answers, limit), expected, "{} shards", count);
        }
    }
}

#[test]
fn of_equal_paths_the_last_counts() {
    let one = Arc::new(Outline::new("one"));
    let two = Arc::new(Outline::new("two"));
    let path: Arc<str> = "a".into();
    let snapshot = Snapshot::new([(Arc::clone(&path), Arc::clone(&one)), (Arc::clone(&path), two)]);
    let package = |snapshot: &Snapshot| snapshot.iter().next().expect("a file").1.package().to_owned();
    assert_eq!(package(&snapshot), "two");
    let snapshot = snapshot.apply([(path, one)], ["a"]);
    assert_eq!(package(&snapshot), "one");
    assert_eq!(snapshot.apply([], ["a", "a", "b"]).files(), 0);
}

/// One file with methods at the given lines and columns.
fn file(path: &str, methods: &[(&str, u32, u32)]) -> Files {
    let mut outline = Outline::new("p");
    for &(name, line, column) in methods {
        outline.push(Declaration { name, kind: SymbolKind::Method, parent: None, line, column });
    }
    Files::from([(path.into(), Arc::new(outline))])
}

#[test]
fn ties_are_broken_by_path_across_snapshots_and_by_line_before_column() {
    let query = Query::parse("put", KindSet::ALL).unwrap();
    let shards = [
        file("c", &[("putX", 1, 1)]),
        file("a", &[("putX", 4, 1), ("putX", 3, 1), ("putY", 9, 1), ("putY", 2, 5)]),
        file("b", &[("putX", 1, 1)]),
    ];
    let snapshots = shards.each_ref().map(snapshot);
    for limit in 0..7 {
        let found = search_all(&snapshots, &query, limit, usize::MAX);
        let places: Vec<_> = found.hits.iter().map(|hit| (&*hit.path, hit.line)).collect();
        assert_eq!(places, [("a", 2), ("a", 3), ("a", 4), ("a", 9), ("b", 1), ("c", 1)][..limit.min(6)]);
        assert_eq!(found.truncated, limit < 6);
    }
}

/// Twenty methods of one name.
fn methods(name: &str) -> Arc<Outline> {
    let mut outline = Outline::new("p");
    for line in 1..=20 {
        outline.push(Declaration { name, kind: SymbolKind::Method, parent: None, line, column: 1 });
    }
    Arc::new(outline)
}

#[test]
fn small_changes_leave_few_layers_and_little_garbage() {
    let mut snapshot = Snapshot::new((0..500).map(|file| (format!("{file}").into(), methods("old"))));
    let fresh = snapshot.memory_bytes();
    for round in 0..2000 {
        snapshot = snapshot.apply([(format!("{}", round * 7 % 500).into(), methods("new"))], []);
        assert!(
            snapshot.memory_bytes() < fresh * 2,
            "{} of {fresh} in round {round}",
            snapshot.memory_bytes()
        );
    }
    let query = Query::parse("new", KindSet::ALL).unwrap();
    let found = snapshot.search(&query, usize::MAX);
    assert_eq!(found.hits.len(), snapshot.symbols());
    assert!(found.hits.is_sorted_by_key(|hit| (Reverse(hit.score), hit.path.clone(), hit.line)));
}

#[test]
fn removed_files_give_back_their_memory() {
    let mut snapshot = Snapshot::new((0..500).map(|file| (format!("{file}").into(), methods("old"))));
    let fresh = snapshot.memory_bytes();
    for file in 0..450 {
        snapshot = snapshot.apply([], [&*file.to_string()]);
    }
    assert!(snapshot.memory_bytes() < fresh / 4, "{} of {fresh}", snapshot.memory_bytes());
    assert_eq!(snapshot.symbols(), 50 * 20);
}
