//! The extractor beside tree-sitter, a parser made for broken code, on the sources of OpenJDK: as they are, and damaged.
//!
//! `NOVA_LONG=1` takes all files instead of a sample.

mod corpus;

use std::collections::HashMap;
use std::env;

use nova_worker::Outline;
use nova_worker::java::extract;
use tree_sitter::{Node, Parser};

/// A declaration in the words of both: kind, container within the file, name, and where the name is, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Found {
    kind: String,
    container: String,
    name: String,
    line: usize,
    column: usize,
}

fn is_long() -> bool {
    env::var_os("NOVA_LONG").is_some()
}

fn parser() -> Parser {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_java::LANGUAGE.into()).expect("the grammar fits the library");
    parser
}

/// What the extractor finds. Columns are in UTF-16 units, so the text is needed to make them bytes.
fn extracted(text: &str) -> Vec<Found> {
    let lines: Vec<&str> = text.split('\n').collect();
    let outline = extract(text);
    let package = outline.package().to_owned();
    let within = |index: u32| {
        let container = outline.container(index);
        let types = container.strip_prefix(&*package).unwrap_or(&container);
        types.strip_prefix('.').unwrap_or(types).to_owned()
    };
    (0..)
        .zip(outline.iter())
        .map(|(index, found)| {
            let line = found.line as usize - 1;
            let units = found.column as usize - 1;
            let mut seen = 0;
            let before = lines[line].char_indices().find(|&(_, c)| {
                let is_here = seen >= units;
                seen += c.len_utf16();
                is_here
            });
            let column = before.map_or(lines[line].len(), |(at, _)| at);
            Found {
                kind: found.kind.to_string(),
                container: within(index),
                name: found.name.to_owned(),
                line,
                column,
            }
        })
        .collect()
}

/// What tree-sitter finds, and whether it flags an error.
fn parsed(parser: &mut Parser, text: &str) -> (Vec<Found>, bool) {
    let tree = parser.parse(text, None).expect("nothing stops the parser");
    let mut found = Vec::new();
    // Nodes whose children may declare something, and the types around them. No recursion: damage nests deeply.
    let mut open = vec![(tree.root_node(), String::new())];
    while let Some((node, container)) = open.pop() {
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            declaration(child, &container, text, &mut found, &mut open);
        }
    }
    found.sort_unstable();
    (found, tree.root_node().has_error())
}

fn declaration<'t>(
    node: Node<'t>,
    container: &str,
    text: &str,
    found: &mut Vec<Found>,
    open: &mut Vec<(Node<'t>, String)>,
) {
    let mut declare = |kind: &str, name: Node<'_>, container: &str| {
        let start = name.start_position();
        let name: String = text[name.byte_range()].split_whitespace().collect();
        let (kind, container) = (kind.to_owned(), container.to_owned());
        found.push(Found { kind, container, name, line: start.row, column: start.column });
    };
    let mut cursor = node.walk();
    let name = node.child_by_field_name("name");
    let kind = match node.kind() {
        "class_declaration" => "class",
        "interface_declaration" => "interface",
        "enum_declaration" => "enum",
        "record_declaration" => "record",
        "annotation_type_declaration" => "annotation",
        "method_declaration" => "method",
        "constructor_declaration" | "compact_constructor_declaration" => "constructor",
        "annotation_type_element_declaration" => "element",
        "enum_constant" => "constant",
        "module_declaration" => "module",
        "field_declaration" | "constant_declaration" => {
            let names = node.children_by_field_name("declarator", &mut cursor);
            for name in names.filter_map(|variable| variable.child_by_field_name("name")) {
                declare("field", name, container);
            }
            return;
        }
        "enum_body_declarations" | "ERROR" => return open.push((node, container.to_owned())),
        _ => return,
    };
    let Some(name) = name else { return };
    declare(kind, name, container);
    let dot = if container.is_empty() { "" } else { "." };
    let inner = format!("{container}{dot}{}", &text[name.byte_range()]);
    if kind == "record"
        && let Some(parameters) = node.child_by_field_name("parameters")
    {
        for parameter in parameters.named_children(&mut cursor) {
            let variable = parameter.named_child(parameter.named_child_count().saturating_sub(1) as u32);
            let spread = variable.filter(|_| parameter.kind() == "spread_parameter");
            if let Some(name) = spread.unwrap_or(parameter).child_by_field_name("name") {
                declare("component", name, &inner);
            }
        }
    }
    let is_type = matches!(kind, "class" | "interface" | "enum" | "record" | "annotation");
    if let Some(body) = node.child_by_field_name("body").filter(|_| is_type) {
        open.push((body, inner));
    }
}

#[test]
fn a_second_parser_sees_the_same_declarations() {
    let step = if is_long() { 1 } else { 16 };
    let Some(files) = corpus::files("a_second_parser_sees_the_same_declarations", step) else { return };
    let mut parser = parser();
    let (mut compared, mut excluded, mut different) = (0, Vec::new(), Vec::new());
    for file in &files {
        let (theirs, has_error) = parsed(&mut parser, &file.text);
        // The grammar does not know escapes in names and some newer or rarer syntax. What it then makes of the file is
        // no measure; that javac agrees with the extractor on all of these is tested end to end.
        if has_error {
            excluded.push(&file.path);
            continue;
        }
        let mut ours = extracted(&file.text);
        ours.sort_unstable();
        compared += ours.len();
        let missing = theirs.iter().filter(|found| ours.binary_search(found).is_err());
        let surplus = ours.iter().filter(|found| theirs.binary_search(found).is_err());
        different.extend(missing.map(|found| format!("{}: missing {found:?}", file.path)));
        different.extend(surplus.map(|found| format!("{}: surplus {found:?}", file.path)));
    }
    println!("{compared} declarations of {} files compared, excluded: {excluded:#?}", files.len());
    assert!(excluded.len() * 100 <= files.len(), "{} of {} files are excluded", excluded.len(), files.len());
    assert!(compared > files.len() * 10, "only {compared} declarations in {} files", files.len());
    assert!(
        different.is_empty(),
        "{} differences: {:#?}",
        different.len(),
        &different[..different.len().min(30)]
    );
}

/// A text with some lines damaged, and what happened to the rest.
struct Damaged {
    text: String,
    /// The lines of the original that are damaged or right beside.
    from: usize,
    to: usize,
    /// How many lines further down those behind the damage now are.
    shift: isize,
}

/// Deletes, doubles or swaps lines, or cuts the file off, at a place chosen by `random`.
fn damage(text: &str, how: usize, random: usize) -> Damaged {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let count = 1 + random / 7 % 3;
    let from = random % lines.len();
    let to = (from + count).min(lines.len());
    let (head, hit, tail) = (&lines[..from], &lines[from..to], &lines[to..]);
    let (text, shift) = match how {
        0 => ([head, tail].concat().concat(), -(hit.len() as isize)),
        1 => ([head, hit, hit, tail].concat().concat(), hit.len() as isize),
        2 => {
            let swapped: Vec<&str> = hit.iter().rev().copied().collect();
            ([head, &swapped, tail].concat().concat(), 0)
        }
        _ => {
            let line = hit[0];
            let end = line.floor_char_boundary(random / 11 % line.len().max(1));
            let text = format!("{}{}", head.concat(), &line[..end]);
            return Damaged { text, from: from.saturating_sub(1), to: lines.len(), shift: 0 };
        }
    };
    Damaged { text, from: from.saturating_sub(1), to: to + 1, shift }
}

/// How many of `whole`, which lie outside the damage, are among `rest`, and how many there are.
fn kept(whole: &[Found], rest: &[Found], damaged: &Damaged) -> (usize, usize) {
    let mut counts: HashMap<(&str, &str, usize), usize> = HashMap::new();
    for found in rest {
        *counts.entry((&found.kind, &found.name, found.line)).or_default() += 1;
    }
    let outside = whole.iter().filter(|found| found.line < damaged.from || found.line >= damaged.to);
    let (mut kept, mut all) = (0, 0);
    for found in outside {
        let shift = if found.line < damaged.from { 0 } else { damaged.shift };
        let line = found.line.checked_add_signed(shift).expect("lines move within the file");
        let count = counts.get_mut(&(&*found.kind, &*found.name, line)).filter(|count| **count > 0);
        kept += usize::from(count.map(|count| *count -= 1).is_some());
        all += 1;
    }
    (kept, all)
}

fn depth(outline: &Outline) -> usize {
    let mut depths: Vec<usize> = Vec::new();
    for found in outline.iter() {
        depths.push(found.parent.map_or(0, |parent| depths[parent as usize] + 1));
    }
    depths.into_iter().max().unwrap_or(0)
}

#[test]
fn damage_costs_little_outside_of_the_damaged_lines() {
    let step = if is_long() { 10 } else { 100 };
    let Some(files) = corpus::files("damage_costs_little_outside_of_the_damaged_lines", step) else { return };
    let mut parser = parser();
    let seed = 0x9E37_79B9_7F4A_7C15_u64;
    println!("seed {seed:#x}");
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for (how, name) in ["delete", "double", "swap", "cut off"].into_iter().enumerate() {
        let (mut ours, mut theirs, mut all) = (0, 0, 0);
        let (mut edits, mut costly) = (0, Vec::new());
        for file in &files {
            let whole = extracted(&file.text);
            for _ in 0..4 {
                let damaged = damage(&file.text, how, random());
                let outline = extract(&damaged.text);
                assert!(depth(&outline) <= 1024 && outline.len() <= damaged.text.len());
                let (kept_here, here) = kept(&whole, &extracted(&damaged.text), &damaged);
                ours += kept_here;
                all += here;
                theirs += kept(&whole, &parsed(&mut parser, &damaged.text).0, &damaged).0;
                edits += 1;
                if here - kept_here > 5 {
                    costly.push(format!(
                        "{}:{} loses {} of {here}",
                        file.path,
                        damaged.from + 2,
                        here - kept_here
                    ));
                }
            }
        }
        let share = |kept: usize| kept as f64 / all as f64;
        println!(
            "{name}: {:.5} kept, tree-sitter {:.5}; costly {:#?} of {edits}",
            share(ours),
            share(theirs),
            costly
        );
        assert!(share(ours) >= 0.995, "{name}: only {:.5} of what is outside the damage", share(ours));
        assert!(ours >= theirs, "{name}: tree-sitter keeps {theirs}, the extractor {ours} of {all}");
        assert!(costly.len() * 100 <= edits, "{name}: {} of {edits} cost more than 5", costly.len());
    }
}
