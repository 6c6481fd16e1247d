//! Searches in the sources of OpenJDK give what somebody who writes Java expects.

mod corpus;

use std::sync::Arc;

use nova_proto_core::messages::{SymbolHit, SymbolKind};
use nova_worker::index::{KindSet, Query, Snapshot};
use nova_worker::java::extract;

fn jdk(test: &str) -> Option<Snapshot> {
    let files = corpus::files(test, 1)?;
    Some(Snapshot::new(files.into_iter().map(|file| (file.path.into(), Arc::new(extract(&file.text))))))
}

fn search(snapshot: &Snapshot, query: &str, limit: usize) -> Vec<SymbolHit> {
    snapshot.search(&Query::parse(query, KindSet::ALL).expect("the queries are short"), limit).hits
}

fn shown(hit: &SymbolHit) -> String {
    let dot = if hit.container.is_empty() { "" } else { "." };
    format!("{} {}{dot}{}", hit.kind, hit.container, hit.name)
}

/// Whether `hit` is what a row of the table wants.
fn is_wanted(hit: &SymbolHit, wanted: &str) -> bool {
    let (kind, name) = wanted.split_once(' ').expect("a kind and a name");
    let (container, name) = match name.rsplit_once('.') {
        // The name of a module has dots.
        Some((container, name)) if kind != "module" => (container, name),
        _ => ("", name),
    };
    let fits = |wanted: &str, found: &str| wanted == "*" || wanted == found;
    fits(kind, &hit.kind.to_string()) && fits(container, &hit.container) && fits(name, &hit.name)
}

#[test]
fn the_first_results_are_those_that_people_want() {
    let Some(jdk) = jdk("the_first_results_are_those_that_people_want") else { return };
    let table = include_str!("fixtures/jdk_queries.txt");
    let rows = table.lines().filter(|line| !line.is_empty() && !line.starts_with("# ") && *line != "#");
    let rows: Vec<_> = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>()).collect();
    assert!(rows.len() >= 150, "only {} rows", rows.len());
    assert!(
        rows.iter().filter(|row| row.len() > 3).count() <= rows.len() / 30,
        "too many wishes are not granted"
    );
    let mut wrong = Vec::new();
    for row in rows {
        let &[query, within, wanted, ref reason @ ..] = &row[..] else { panic!("{row:?} is no row") };
        let hits = search(&jdk, query, 10);
        let within: usize = within.parse().expect("a number");
        let is_granted = hits.iter().take(within).any(|hit| is_wanted(hit, wanted));
        if is_granted != reason.is_empty() {
            let place = hits.iter().position(|hit| is_wanted(hit, wanted));
            let found: Vec<_> = hits.iter().take(6).map(shown).collect();
            wrong.push(format!("`{query}`: {wanted} is {place:?} in {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn constructors_and_overloads_do_not_bury_types() {
    let Some(jdk) = jdk("constructors_and_overloads_do_not_bury_types") else { return };
    for query in ["HashMap", "ArrayList", "String", "Thread", "URL", "BigDecimal"] {
        let hits = search(&jdk, query, 10);
        assert_eq!((&*hits[0].name, hits[0].kind), (query, SymbolKind::Class));
        let kinds: Vec<_> = hits.iter().map(|hit| hit.kind).collect();
        assert!(!kinds.contains(&SymbolKind::Constructor), "{query}: {kinds:?}");
        let all = search(&jdk, query, 10_000);
        let first = all.iter().position(|hit| hit.kind == SymbolKind::Constructor);
        assert!(first.is_some_and(|first| all[first].name == query), "{query}: they are found nevertheless");
    }
}

#[test]
fn nothing_typed_gives_types_that_others_may_use() {
    let Some(jdk) = jdk("nothing_typed_gives_types_that_others_may_use") else { return };
    for query in ["", "  ", "*"] {
        let hits = search(&jdk, query, 200);
        assert_eq!(hits.len(), 200);
        for hit in hits {
            let is_internal = hit.path.contains("/internal/") || hit.path.contains("/sun/");
            assert!(hit.kind.is_type() && !is_internal, "{}", shown(&hit));
        }
    }
}
