//! What a search finds, in which order, and that nobody can tell how many workers there were.

use serde_json::Value;

use crate::sample::fields;
use crate::scene::{Scene, arg, harbour};

/// `kind container.name` of each result.
fn shown(line: &Value) -> Vec<String> {
    let results = line["results"].as_array().expect("results");
    let text = |result: &Value, name: &str| result[name].as_str().expect("a text").to_owned();
    let show = |result: &Value| {
        format!("{} {}.{}", text(result, "kind"), text(result, "container"), text(result, "name"))
    };
    results.iter().map(show).collect()
}

fn search(root: &str, args: &[&str]) -> Value {
    let scene = Scene::new();
    let ran = scene.run([&["search", "--json", "--root", root], args].concat()).expect(0);
    assert_eq!(ran.stderr, "");
    ran.json()
}

#[test]
fn the_sample_answers_as_people_expect() {
    let cases: &[(&[&str], &[&str])] = &[
        // Exact before prefix; upper case is meant.
        (
            &["Crane"],
            &[
                "class harbour.yard.Crane",
                "class harbour.yard.CraneTest",
                "constructor harbour.yard.CraneTest.CraneTest",
                // In another case: last.
                "field harbour.yard.CraneTest.crane",
            ],
        ),
        // Lower case means either.
        (
            &["crane"],
            &[
                "class harbour.yard.Crane",
                "field harbour.yard.CraneTest.crane",
                "class harbour.yard.CraneTest",
                "constructor harbour.yard.CraneTest.CraneTest",
            ],
        ),
        // Humps.
        (&["nS"], &["field harbour.model.Straße.nachSchiff"]),
        (&["lifNoCo"], &["method harbour.yard.CraneTest.liftsNothingThatIsNoContainer"]),
        (
            &["CT"],
            &[
                "class harbour.yard.CraneTest",
                "constructor harbour.yard.CraneTest.CraneTest",
                "field harbour.model.Berth.COUNT",
            ],
        ),
        // Substring, subsequence.
        (&["ansiti"], &["field harbour.yard.Contextual.transitive"]),
        (&["srlvrsnd"], &["field harbour.model.Ledger.serialVersionUID"]),
        // Not only ASCII; characters above U+FFFF, too.
        (&["straße"], &["class harbour.model.Straße", "constructor harbour.model.Straße.Straße"]),
        (&["größe"], &["record harbour.model.Straße.Größe", "method harbour.model.Straße.größe"]),
        (&["été", "--kind", "constant"], &["constant harbour.model.Straße.Jahreszeit.ÉTÉ"]),
        (&["秋"], &["constant harbour.model.Straße.Jahreszeit.秋"]),
        (&["𝒚𝒛"], &["field harbour.model.Straße.𝒚𝒛"]),
        // Qualified.
        (&["Berth.depth"], &["method harbour.model.Berth.depth", "field harbour.model.Berth.depth"]),
        (
            &["Ledger#add", "--kind", "method"],
            &[
                "method harbour.model.Ledger.add",
                "method harbour.model.Ledger.add",
                "method harbour.model.Ledger.add",
            ],
        ),
        (&["target.Target", "--kind", "class"], &["class harbour.model.target.Target"]),
        (&["harbour.yard", "--kind", "module"], &["module .harbour.yard"]),
        // Kinds.
        (
            &["value", "--kind", "element", "--kind", "component", "--limit", "1"],
            &["element harbour.model.Inspected.value"],
        ),
        (
            &["", "--kind", "annotation"],
            &[
                "annotation harbour.model.Inspected",
                "annotation harbour.model.Inspected.Mark",
                "annotation harbour.model.Inspected.Many",
                "annotation harbour.model.Ledger.Audited",
            ],
        ),
    ];
    for (args, expected) in cases {
        assert_eq!(shown(&search(arg(&harbour()), args)), *expected, "{args:?}");
    }
}

#[test]
fn every_field_of_a_result() {
    let line = search(arg(&harbour()), &["CraneTest", "--limit", "1"]);
    assert_eq!(fields(&line), ["query", "results", "schema", "shards", "skipped", "truncated"]);
    assert_eq!((&line["schema"], &line["query"]), (&1.into(), &"CraneTest".into()));
    assert_eq!(line["shards"], serde_json::json!({ "total": 4, "answered": 4, "warming": 0, "failed": 0 }));
    assert_eq!(line["truncated"], true, "the constructor is left out");
    let mut result = line["results"][0].clone();
    let score = result.as_object_mut().and_then(|result| result.remove("score"));
    assert!(score.is_some_and(|score| score.as_u64().is_some_and(|score| score > 0)));
    let expected = serde_json::json!({
        "name": "CraneTest",
        "kind": "class",
        "container": "harbour.yard",
        "root": arg(&harbour()),
        "path": "yard/src/test/java/harbour/yard/CraneTest.java",
        "line": 7,
        "column": 7,
    });
    assert_eq!(result, expected);
    let all = search(arg(&harbour()), &["CraneTest", "--limit", "2"]);
    assert_eq!(all["truncated"], false, "a limit that is just enough cuts nothing");
}

#[test]
fn each_rung_stands_above_the_next() {
    let scene = Scene::new();
    let names = [
        "coma",         // exact
        "comatose",     // prefix
        "commonMap",    // humps from the start, without a gap
        "conInMany",    // humps from the start
        "bigCommonMap", // humps without a gap
        "glaucoma",     // substring
        "aConInMany",   // humps
        "cxxoxxmxxa",   // subsequence
    ];
    // Declared in the opposite order, so that no other rule brings the expected one about.
    let methods: String = names.iter().rev().map(|name| format!("    void {name}() {{}}\n")).collect();
    scene.write("Names.java", format!("interface Names {{\n{methods}    void cmoa();\n}}\n"));
    let ran = scene.run(["search", "--json", "--root", arg(&scene.tree()), "coma"]).expect(0);
    let expected: Vec<String> = names.iter().map(|name| format!("method Names.{name}")).collect();
    assert_eq!(shown(&ran.json()), expected);
}

#[test]
fn results_for_people_can_be_opened_from_here() {
    let scene = Scene::new();
    scene.write("src/main/java/p/Ferry.java", "package p;\nclass Ferry {\n\tint  länge, 𝒙𝒚, z;\n}\n");
    let found = |root: &str, query: &str| scene.run(["search", "--root", root, query]).expect(0).stdout;
    assert_eq!(found("tree", "Ferry"), "class       Ferry  p  tree/src/main/java/p/Ferry.java:2:7\n");
    // Columns are counted in UTF-16 units, and a tab is one.
    assert_eq!(found("./tree", "z"), "field       z  p.Ferry  ./tree/src/main/java/p/Ferry.java:3:20\n");
    let mut command = scene.nova(["search", "länge"]);
    let here =
        crate::process::Process::start(command.current_dir(scene.tree())).end(crate::scene::SOON).expect(0);
    assert_eq!(
        here.stdout, "field       länge  p.Ferry  src/main/java/p/Ferry.java:3:7\n",
        "the root is optional"
    );
}

#[test]
fn nobody_can_tell_how_many_workers_there_were() {
    let (model, yard, scripts) = (harbour().join("model"), harbour().join("yard"), harbour().join("scripts"));
    let orders = [[&model, &yard, &scripts], [&scripts, &yard, &model], [&yard, &model, &scripts]];
    let commands: [&[&str]; 8] = [
        &["symbols", "--json-lines"],
        &["search", "--json", "--limit", "10000", "e"],
        &["search", "--json", "--limit", "7", "a"],
        &["search", "--json", "--limit", "3", ""],
        &["search", "--json", "target"],
        &["search", "--json", "--kind", "field", "--limit", "5", "s"],
        &["search", "Ledger#"],
        &["search", "--json", "harbour.yard"],
    ];
    for command in commands {
        let mut answers = Vec::new();
        for (workers, roots) in ["1", "2", "3"].into_iter().zip(orders) {
            let roots = roots.into_iter().flat_map(|root| ["--root", arg(root)]);
            let args = command.iter().copied().chain(["--workers", workers]).chain(roots);
            answers.push(Scene::new().run(args).expect(0).stdout);
        }
        assert!(!answers[0].is_empty());
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{command:?}: {answers:#?}");
    }
}

#[test]
fn a_file_below_two_roots_is_found_once() {
    let args = ["search", "--json", "Crane", "--kind", "class", "--limit", "10"];
    let (outer, inner) = (harbour(), harbour().join("yard"));
    let line = Scene::new()
        .run(args.into_iter().chain(["--root", arg(&outer), "--root", arg(&inner), "--root", arg(&inner)]))
        .expect(0)
        .json();
    assert_eq!(shown(&line), ["class harbour.yard.Crane", "class harbour.yard.CraneTest"]);
    assert_eq!(line["results"][0]["root"].as_str(), Some(arg(&inner)), "it belongs to the longer one");
    assert_eq!(line["results"][0]["path"], "src/main/java/harbour/yard/Crane.java");
}

#[test]
fn another_program_can_be_the_worker() {
    let worker = crate::scene::program("nova-worker");
    let line = search(arg(&harbour()), &["Crane", "--kind", "class", "--worker-command", arg(&worker)]);
    assert_eq!(shown(&line), ["class harbour.yard.Crane", "class harbour.yard.CraneTest"]);
}
