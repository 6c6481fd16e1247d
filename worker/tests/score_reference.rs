//! Section A.6 of `docs/PROTOCOL.md` once more, as slow and as close to its text as possible, against the scores of the
//! index.

use nova_proto_core::messages::SymbolKind;
use nova_worker::index::{KindSet, Query};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn fold(c: char) -> char {
    c.to_lowercase().next().unwrap()
}

fn fits(q: char, n: char) -> bool {
    q == n || q == fold(n)
}

fn equals(q: char, n: char) -> bool {
    q == n
}

type Test = fn(char, char) -> bool;

fn begins(pattern: &[char], name: &[char], test: Test) -> bool {
    pattern.len() <= name.len() && pattern.iter().zip(name).all(|(&q, &n)| test(q, n))
}

/// Where words start and end.
fn words(name: &[char]) -> Vec<(usize, usize)> {
    let is_separator = |c: char| matches!(c, '_' | '$' | '.');
    let is_upper = |c: char| !is_separator(c) && !c.is_ascii_digit() && fold(c) != c;
    let is_other = |c: char| !is_separator(c) && !c.is_ascii_digit() && fold(c) == c;
    let starts = |at: usize| {
        let c = name[at];
        if is_separator(c) {
            return false;
        }
        let Some(before) = at.checked_sub(1).map(|at| name[at]).filter(|&c| !is_separator(c)) else {
            return true;
        };
        c.is_ascii_digit() != before.is_ascii_digit()
            || is_upper(c) && !is_upper(before)
            || is_upper(c) && is_upper(before) && name.get(at + 1).is_some_and(|&c| is_other(c))
    };
    let starts: Vec<usize> = (0..name.len().min(64)).filter(|&at| starts(at)).collect();
    let ends = starts.iter().skip(1).copied().chain([name.len()]);
    starts.iter().copied().zip(ends).collect()
}

/// Whether the pattern can be cut into pieces; `words` are those that the first piece may be in.
fn humps(
    pattern: &[char],
    name: &[char],
    words: &[(usize, usize)],
    first: &[usize],
    unbroken: bool,
    test: Test,
) -> bool {
    first.iter().any(|&word| {
        let (start, end) = words[word];
        (1..=pattern.len().min(end - start)).any(|length| {
            let (piece, rest) = pattern.split_at(length);
            let next: Vec<usize> =
                (word + 1..words.len()).take(if unbroken { 1 } else { usize::MAX }).collect();
            begins(piece, &name[start..], test)
                && (rest.is_empty() || humps(rest, name, words, &next, unbroken, test))
        })
    })
}

/// Whether the condition of a rung holds.
fn holds(rung: u32, pattern: &[char], name: &[char], test: Test) -> bool {
    let is_upper = |&c: &char| fold(c) != c;
    let words = words(name);
    let anywhere: Vec<usize> = (0..words.len()).collect();
    let anchored: Vec<usize> = anywhere.iter().copied().filter(|&word| words[word].0 == 0).collect();
    let has_upper = pattern.iter().any(is_upper);
    if pattern.len() > 64 && !matches!(rung, 11 | 8 | 4 | 1) {
        return false;
    }
    match rung {
        11 => pattern.len() == name.len() && begins(pattern, name, test),
        10 => {
            pattern.len() >= 2
                && pattern.iter().all(is_upper)
                && words.first().is_some_and(|&(start, _)| start == 0)
                && pattern.iter().copied().eq(words.iter().map(|&(start, _)| name[start]))
        }
        8 => begins(pattern, name, test) && (!has_upper || begins(pattern, name, equals)),
        7 => humps(pattern, name, &words, &anchored, true, test),
        6 => humps(pattern, name, &words, &anchored, false, test),
        5 => humps(pattern, name, &words, &anywhere, true, test),
        4 => (0..name.len()).any(|start| begins(pattern, &name[start..], test)),
        3 => humps(pattern, name, &words, &anywhere, false, test),
        2 => {
            let mut rest = name.iter();
            pattern.iter().all(|&q| rest.any(|&n| test(q, n)))
        }
        1 => has_upper && begins(pattern, name, |q, n| fold(q) == fold(n)),
        _ => false,
    }
}

/// Text, whether only what is called matches, whether only annotations do.
fn read(query: &str) -> (String, bool, bool) {
    let mut text: String = query.chars().filter(|c| !c.is_whitespace() && !"*[],;".contains(*c)).collect();
    let is_call = text.contains('(');
    text.truncate(text.find('(').unwrap_or(text.len()));
    let mut outside = String::new();
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '<' => depth += 1,
            '>' if depth > 0 => depth -= 1,
            '>' => {}
            c if depth == 0 => outside.push(c),
            _ => {}
        }
    }
    text = outside;
    loop {
        let name = text.trim_end_matches(|c: char| c.is_ascii_digit());
        if name.len() == text.len() || !name.ends_with(':') {
            break;
        }
        text.truncate(name.len() - 1);
    }
    if text.ends_with(".java") && text.len() > 5 {
        text.truncate(text.len() - 5);
    }
    let is_annotation = text.starts_with('@');
    if is_annotation {
        text.remove(0);
    }
    let chars: Vec<char> = text.chars().collect();
    let separates = |at: usize| {
        let before = at.checked_sub(1).map(|at| chars[at]);
        let is_upper = chars.get(at + 1).is_some_and(|&c| fold(c) != c);
        chars[at] == '$' && before.is_some_and(|c| !".#:/".contains(c)) && is_upper
    };
    let text = (0..chars.len()).map(|at| if separates(at) { '.' } else { chars[at] }).collect();
    (text, is_call, is_annotation)
}

fn quality(qualifier: &str, segment: &str) -> Option<u32> {
    let (pattern, name): (Vec<char>, Vec<char>) = (qualifier.chars().collect(), segment.chars().collect());
    match () {
        () if holds(11, &pattern, &name, fits) => Some(3),
        () if begins(&pattern, &name, fits) => Some(2),
        () if holds(6, &pattern, &name, fits) => Some(1),
        () => None,
    }
}

fn fit(qualifiers: &[&str], container: &str, is_path: bool) -> Option<u32> {
    let segments: Vec<&str> = container.split('.').filter(|segment| !segment.is_empty()).collect();
    let count = if is_path { segments.len().min(qualifiers.len()) } else { qualifiers.len() };
    let last = segments.len().checked_sub(count).filter(|_| count > 0)?;
    let qualifiers = &qualifiers[qualifiers.len() - count..];
    let qualities: Option<Vec<u32>> = qualifiers
        .iter()
        .zip(&segments[last..])
        .map(|(qualifier, segment)| quality(qualifier, segment))
        .collect();
    qualities?.into_iter().min()
}

fn step(rung: u32, is_set_back: bool) -> u32 {
    let [of_others, of_set_back] = match rung {
        11 => [22, 15],
        10 => [21, 14],
        9 => [20, 20],
        8 => [19, 12],
        7 => [18, 11],
        6 => [17, 10],
        5 => [16, 9],
        4 => [8, 7],
        3 => [6, 5],
        2 => [4, 3],
        1 => [2, 1],
        _ => [0, 0],
    };
    if is_set_back { of_set_back } else { of_others }
}

fn weight(kind: SymbolKind, top_level: bool) -> u32 {
    use SymbolKind::{Component, Constant, Element, Field, Method, Module};
    match kind {
        kind if kind.is_type() => 6 + u32::from(top_level),
        Module => 5,
        Method | Element => 4,
        Constant => 3,
        Field | Component => 2,
        _ => 1,
    }
}

fn place(path: &str) -> u32 {
    let directories: Vec<String> = path.split('/').rev().skip(1).map(str::to_ascii_lowercase).collect();
    let any = |names: &str| {
        directories
            .iter()
            .flat_map(|name| name.split('.'))
            .any(|part| names.split(' ').any(|name| part == name))
    };
    let aside = "test tests androidtest integrationtest testfixtures generated generated-sources \
                 generated-test-sources src-gen";
    if any(aside) {
        0
    } else if any("internal sun") {
        1
    } else {
        2
    }
}

fn reference(
    query: &str,
    name: &str,
    kind: SymbolKind,
    container: &str,
    top_level: bool,
    path: &str,
) -> Option<u32> {
    use SymbolKind::{Annotation, Constructor, Element, Method, Module};
    let (text, is_call, is_annotation) = read(query);
    if is_call && !matches!(kind, Method | Constructor | Element) || is_annotation && kind != Annotation {
        return None;
    }
    let parts: Vec<&str> = text.split(['.', '#', ':', '/']).collect();
    let (&pattern, qualifiers) = parts.split_last().unwrap();
    let qualifiers: Vec<&str> = qualifiers.iter().copied().filter(|part| !part.is_empty()).collect();
    let (container, name) = match name.rfind('.') {
        Some(dot) if kind == Module && !qualifiers.is_empty() => (&name[..dot], &name[dot + 1..]),
        _ if kind == Module => ("", name),
        _ => (container, name),
    };
    let is_set_back = kind == Constructor && !is_call && qualifiers.is_empty();
    let is_path = text.contains('/');

    let rest = weight(kind, top_level) << 22 | place(path) << 20;
    let (pattern_chars, name_chars): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let rung = match pattern {
        "" => Some(0),
        _ => (1..=11).rev().find(|&rung| rung != 9 && holds(rung, &pattern_chars, &name_chars, fits)),
    };
    let named = if qualifiers.is_empty() { Some(0) } else { fit(&qualifiers, container, is_path) };
    let by_name = rung.zip(named).map(|(rung, quality)| {
        let surplus = u32::try_from(name_chars.len() - pattern_chars.len()).unwrap();
        let same_case = rung > 1 && holds(rung, &pattern_chars, &name_chars, equals);
        let closeness =
            if rung == 0 { 0 } else { 65_535_u32.saturating_sub(surplus) << 1 | u32::from(same_case) };
        step(rung, is_set_back) << 27 | quality << 25 | rest | closeness
    });
    let whole: Vec<&str> = qualifiers.iter().copied().chain([pattern]).collect();
    let is_whole = !qualifiers.is_empty() && !pattern.is_empty();
    let within = Some(whole).filter(|_| is_whole).and_then(|whole| fit(&whole, container, is_path));
    let by_container = within
        .map(|quality| step(if quality == 3 { 9 } else { 0 }, is_set_back) << 27 | quality << 25 | rest);
    by_name.max(by_container)
}

fn name() -> impl Strategy<Value = String> {
    let pieces = vec![
        "Hash", "Map", "map", "get", "a", "A", "B", "XML", "_", "$", "2", "10", "É", "straße", "ǅ", "İ",
        "漢", "\u{212A}", "MAX", "Aa", "put",
    ];
    prop_oneof![
        8 => vec(select(pieces.clone()), 1..5).prop_map(|pieces| pieces.concat()),
        1 => vec(select(pieces), 20..60).prop_map(|pieces| pieces.concat()),
    ]
}

fn container() -> impl Strategy<Value = String> {
    vec(prop_oneof![select(vec!["java", "util", "Map", "HashMap"]).prop_map(str::to_owned), name()], 0..4)
        .prop_map(|segments| segments.join("."))
}

/// A query that has something to do with the symbol.
fn query(name: &str, container: &str) -> impl Strategy<Value = String> + use<> {
    let name: Vec<char> = name.chars().collect();
    let qualified: Vec<char> = container.chars().chain(['.']).chain(name.iter().copied()).collect();
    let some_of = |text: Vec<char>| {
        (any::<u64>(), any::<u64>(), 0..4_u8).prop_map(move |(keep, lower, dense)| {
            let keep = if dense > 0 { keep | keep.rotate_left(7) | keep.rotate_left(31) } else { keep };
            let kept = text.iter().enumerate().filter(|(at, _)| keep >> (at % 64) & 1 == 1);
            kept.map(|(at, &c)| if lower >> (at % 61) & 3 == 3 { fold(c) } else { c }).collect::<String>()
        })
    };
    let length = name.len();
    let prefix = name.clone();
    let text = prop_oneof![
        2 => some_of(name.clone()),
        2 => some_of(qualified.clone()),
        1 => Just(qualified.iter().collect()),
        1 => (0..=length).prop_map(move |end| prefix[..end].iter().collect()),
        1 => (0..=length).prop_map(move |start| name[start..].iter().collect()),
        1 => Just(qualified.iter().collect::<String>().to_uppercase()),
        1 => Just(container.to_owned()),
        1 => Just(format!("{container}.")),
    ];
    let separator = select(vec![".", ".", "#", "::", "/", "$"]);
    let around =
        select(vec!["", "", "", "(", "(K, V)", "<K>", "<", ".java", ".java:12", ":3", " *", "[]", "@"]);
    (text, separator, around).prop_map(|(text, separator, around)| {
        let text = text.replace('.', separator);
        let text = if around == "@" { format!("@{text}") } else { text + around };
        text.chars().take(Query::MAX_CHARS).collect()
    })
}

fn symbol() -> impl Strategy<Value = (String, SymbolKind, String, bool, &'static str)> {
    let paths = vec![
        "A.java",
        "a/A.java",
        "Test/A.java",
        "a.tests/b/A.java",
        "sun/A",
        "jdk.internal.x/y/A",
        "a/test",
    ];
    (name(), select(SymbolKind::ALL.to_vec()), container(), any::<bool>(), select(paths)).prop_map(
        |(name, kind, container, top_level, path)| match kind {
            SymbolKind::Module => (format!("{container}.{name}"), kind, String::new(), top_level, path),
            _ => (name, kind, container, top_level, path),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    #[test]
    fn scores_are_those_of_the_specification(
        (symbol, query) in symbol().prop_flat_map(|symbol| {
            let query = query(&symbol.0, &symbol.2);
            (Just(symbol), query)
        })
    ) {
        let (name, kind, container, top_level, path) = symbol;
        let found = Query::parse(&query, KindSet::ALL).unwrap().score(&name, kind, &container, top_level, path);
        let expected = reference(&query, &name, kind, &container, top_level, path);
        prop_assert_eq!(found, expected, "`{}`: {:x?}, not {:x?}", query, found, expected);
    }
}
