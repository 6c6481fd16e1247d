//! Searches, and workers that do not answer them.

use std::time::Duration;

use nova_proto_core::TraceContext;
use nova_router::coordinator::{
    Change, Event, Outcome, Request, RouterEvent, SearchError, SearchOptions, ShardCounts,
};

use crate::world::{SHARDS, World, class, file};

fn options(soft: u64, hard: u64) -> SearchOptions {
    SearchOptions {
        limit: 100,
        soft: Duration::from_millis(soft),
        hard: Duration::from_millis(hard),
        ..SearchOptions::default()
    }
}

/// A world at work, and the worker of its shard 1.
fn at_work(seed: u64) -> (World, nova_router::coordinator::WorkerId) {
    let mut world = World::new(seed);
    world.connect_all();
    world.settle();
    let id = world.coordinator.status()[1].worker.expect("it has one");
    (world, id)
}

#[test]
fn a_hung_worker_costs_one_deadline_and_is_asked_again_when_it_answers() {
    let (mut world, id) = at_work(1);
    world.sessions.get_mut(&id).expect("it lives").hung = true;
    let before = world.now;
    let ticket = world.start_search("", options(500, 5_000));
    let answer = world.found(ticket);
    assert_eq!(world.now - before, Duration::from_millis(500));
    assert_eq!(answer.shards, ShardCounts { total: SHARDS, answered: SHARDS - 1, warming: 0, failed: 1 });
    assert!(world.told.contains(&RouterEvent::WorkerSlow { worker: id }));
    for _ in 0..20 {
        let before = world.now;
        let ticket = world.start_search("", options(500, 5_000));
        assert_eq!(world.found(ticket).shards.failed, 1, "it is not asked");
        assert!(world.now - before < Duration::from_millis(100), "and nobody waits for it");
        for _ in 0..5 {
            world.step();
        }
    }
    world.resume(id);
    world.run_until("it is asked again", |world| {
        world.told.contains(&RouterEvent::WorkerAnswers { worker: id })
    });
    world.check();
}

#[test]
fn without_any_answer_the_hard_deadline_ends_it() {
    let mut world = World::new(2);
    let id = world.connect(0..SHARDS).expect("it is free");
    world.settle();
    world.sessions.get_mut(&id).expect("it lives").hung = true;
    let before = world.now;
    let ticket = world.start_search("", options(100, 3_000));
    let answer = world.found(ticket);
    assert_eq!((world.now - before, answer.shards.failed), (Duration::from_secs(3), SHARDS));
}

#[test]
fn after_the_soft_deadline_the_first_answer_is_enough() {
    let mut world = World::new(3);
    world.connect_all();
    world.settle();
    let ids: Vec<_> = world.sessions.keys().copied().collect();
    ids.iter().for_each(|id| world.sessions.get_mut(id).expect("it lives").hung = true);
    let ticket = world.start_search("", options(100, 60_000));
    let before = world.now;
    world.run_until("the soft deadline", |world| world.now - before >= Duration::from_millis(100));
    assert!(world.outcomes.is_empty());
    world.resume(ids[0]);
    assert_eq!(world.found(ticket).shards.answered, 1);
    assert!(world.now - before < Duration::from_secs(1));
}

#[test]
fn a_worker_that_dies_during_a_search_costs_its_part_only() {
    let (mut world, id) = at_work(4);
    world.sessions.get_mut(&id).expect("it lives").hung = true;
    let ticket = world.start_search("", options(5_000, 9_000));
    world.kill(id);
    let before = world.now;
    let answer = world.found(ticket);
    assert_eq!((answer.shards.answered, answer.shards.failed), (SHARDS - 1, 1));
    assert!(world.now - before < Duration::from_secs(1), "nobody waits for the dead");
}

#[test]
fn a_cancelled_search_asks_nothing_more_and_answers_nothing() {
    let (mut world, id) = at_work(5);
    world.sessions.get_mut(&id).expect("it lives").hung = true;
    let ticket = world.start_search("", options(5_000, 9_000));
    world.post(Event::Cancel(ticket));
    let outcome = world.outcomes.remove(&ticket);
    assert!(matches!(outcome, Some(Outcome::Found(Err(SearchError::Ended(_))))), "{outcome:?}");
    world.resume(id);
    world.run_past(world.now + Duration::from_secs(20));
    assert!(world.outcomes.is_empty(), "no late answer");
    assert!(!world.told.contains(&RouterEvent::WorkerSlow { worker: id }));
    // It was not too slow: nobody waited for it.
    world.check();
}

#[test]
fn no_answer_depends_on_the_division_into_shards_and_workers() {
    // Initials, in a name that no longer word begins with: an answer that a filter over one shard's names could lose.
    let files = ["NullPointerException.java", "a/src/OpenPeer.java", "b/src/Npe.java", "1:Napier.java"];
    let mut one = World::with(6, Default::default(), &files);
    one.connect(0..SHARDS);
    let mut many = World::with(7, Default::default(), &files);
    many.connect_all();
    for world in [&mut one, &mut many] {
        world.settle();
        world.check();
    }
    for query in ["npe", "NPE", "n", "ope", ""] {
        for limit in [1, 2, 100] {
            assert_eq!(one.search(query, limit).hits, many.search(query, limit).hits, "{query} {limit}");
        }
    }
}

#[test]
fn a_search_is_answered_while_a_shard_is_synced() {
    let (mut world, id) = at_work(8);
    world.kill(id);
    world.run_until("its end", |world| world.coordinator.status()[1].worker.is_none());
    world.caches.clear();
    world.connect_all();
    let answer = world.search("", 100);
    assert_eq!((answer.shards.answered, answer.shards.failed), (SHARDS, 0));
    assert_eq!(answer.shards.warming, 1, "and it says of which part it is not sure");
    world.settle();
    world.check();
}

#[test]
fn a_file_that_goes_during_a_search_is_no_lie() {
    for seed in 0..60 {
        let (mut world, _) = at_work(seed);
        let ticket = world.start_search("", options(5_000, 9_000));
        for _ in 0..seed % 6 {
            world.step();
        }
        world.remove(&file(0, "a/src/B.java"));
        let ticket_too = world.start_search("", options(5_000, 9_000));
        for ticket in [ticket, ticket_too] {
            assert_eq!(world.found(ticket).shards.failed, 0);
        }
        world.settle();
        assert_eq!(world.closed, [], "seed {seed}: nobody is thrown out");
        world.check();
    }
}

#[test]
fn a_worker_whose_shards_wait_for_their_syncs_is_no_liar() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        let gone = file(1, "f/src/Gone.java");
        world.write(&gone, Some(class("Gone")));
        let ticket = world.index();
        world.connect(0..SHARDS).expect("it is free");
        world.indexed(ticket);
        // The next walk does not find it; the last shards' syncs wait for those before them.
        world.disk.remove(&gone);
        let ticket = world.index();
        world.run_until("the walk", |world| {
            world.told.iter().filter(|event| matches!(event, RouterEvent::Walked { .. })).count() == 2
        });
        let answer = world.search("", 100);
        assert_eq!(
            (answer.shards.answered, world.closed.len()),
            (SHARDS, 0),
            "seed {seed}: {:?}",
            world.closed
        );
        assert!(answer.shards.warming > 0, "seed {seed}: {:?}", answer.shards);
        assert!(answer.hits.iter().all(|hit| hit.symbol.name != "Gone"));
        world.indexed(ticket);
        world.check();
    }
}

#[test]
fn a_wrong_query_is_told_and_nobody_is_asked() {
    let (mut world, _) = at_work(9);
    world.asked.clear();
    for (query, limit) in [("x".repeat(257), 10), ("x".to_owned(), 10_001)] {
        let ticket = world.start_search(&query, SearchOptions { limit, ..SearchOptions::default() });
        assert!(matches!(world.outcome(ticket), Outcome::Found(Err(SearchError::Query(_)))));
    }
    assert!(world.asked.is_empty());
    // What it would be to ask.
    let ticket = world.start_search("x", SearchOptions { limit: 10_000, ..SearchOptions::default() });
    world.found(ticket);
    assert!(!world.asked.is_empty());
}

#[test]
fn what_is_taken_out_of_an_answer_takes_nothing_else_along() {
    let mut taken_out = 0;
    for seed in 0..60 {
        let mut world = World::new(seed);
        let places: Vec<_> = (0..6).map(|number| file(0, &format!("a/src/A{number}.java"))).collect();
        for place in places.iter().chain(&[file(0, "First.java")]) {
            world.write(place, Some("class X { int name; }".into()));
        }
        let ticket = world.index();
        world.connect_all();
        world.indexed(ticket);
        // The best hits of a shard go while it answers, all that it sends.
        let ticket = world.start_search("name", SearchOptions { limit: 4, ..SearchOptions::default() });
        let gone = &places[..4];
        gone.iter().for_each(|place| drop(world.disk.remove(place)));
        world.change(gone.iter().cloned().map(Change::Disk).collect());
        let answer = world.found(ticket);
        let paths: Vec<&str> = answer.hits.iter().map(|hit| &*hit.symbol.path).collect();
        assert_eq!(
            paths.first(),
            Some(&"First.java"),
            "seed {seed}: another shard's hit is better than any of these"
        );
        // What comes behind the last hit that was sent is not known.
        assert!(answer.truncated || paths == ["First.java", "a/src/A4.java", "a/src/A5.java"], "{paths:?}");
        taken_out += usize::from(paths == ["First.java"]);
        world.settle();
        world.check();
    }
    assert!(taken_out > 0, "no answer has crossed the change");
}

#[test]
fn more_searches_than_a_worker_can_be_asked_are_told_so() {
    let (mut world, id) = at_work(10);
    world.sessions.get_mut(&id).expect("it lives").hung = true;
    for _ in 0..2048 {
        world.start_search("A", options(9_000, 9_000));
    }
    assert!(world.outcomes.is_empty());
    let ticket = world.start_search("A", options(9_000, 9_000));
    let Outcome::Found(Err(error)) = world.outcome(ticket) else { panic!("nobody can be asked") };
    assert_eq!(error, SearchError::Busy { limit: 2048 });
    world.resume(id);
    world.run_until("all answers", |world| world.open.is_empty());
    let complete =
        |outcome: &Outcome| matches!(outcome, Outcome::Found(Ok(answer)) if answer.shards.failed == 0);
    assert!(world.outcomes.len() == 2048 && world.outcomes.values().all(complete));
    world.check();
}

#[test]
fn a_worker_gets_so_many_changes_at_once_and_all_of_them_in_the_end() {
    let mut world = World::new(11);
    let id = world.connect(0..SHARDS).expect("it is free");
    world.settle();
    world.asked.clear();
    world.sessions.get_mut(&id).expect("it lives").hung = true;
    let roots = crate::world::SOURCE_ROOTS;
    let places = roots.iter().flat_map(|(root, directory)| {
        (0..9).map(move |number| file(*root, format!("{directory}/N{number}.java").trim_start_matches('/')))
    });
    let tickets: Vec<_> = places.map(|place| world.open(&place, &class("N"))).collect();
    let sent = |world: &World| {
        world.asked.iter().filter(|(_, request)| matches!(request, Request::Update { .. })).count()
    };
    assert_eq!((tickets.len(), sent(&world)), (72, 16));
    world.resume(id);
    for ticket in tickets {
        assert_eq!(world.changed(ticket).map(|changed| changed.waiting), Ok(0));
    }
    assert_eq!(sent(&world), 72);
    world.check();
}

#[test]
fn workers_are_told_of_which_trace_a_call_is_part() {
    let (mut world, _) = at_work(12);
    let traces = |world: &World, shard| -> Vec<[u8; 16]> {
        let of = world.traces.iter().filter(|(of, _)| *of == shard);
        of.map(|(_, trace)| trace.expect("it is part of one").trace_id).collect()
    };
    let sync = traces(&world, Some(1));
    assert!(sync.len() >= 4 && sync.iter().all(|trace| *trace == sync[0]), "one sync, one trace");
    assert!(!traces(&world, Some(2)).contains(&sync[0]), "and another one for another sync");

    world.traces.clear();
    let trace = TraceContext { trace_id: [7; 16], span_id: [9; 8], flags: 0 };
    let given = world.start_search("A", SearchOptions { trace: Some(trace), ..SearchOptions::default() });
    let own = world.start_search("A", SearchOptions::default());
    world.found(given);
    world.found(own);
    let calls: Vec<TraceContext> = world.traces.iter().filter_map(|(_, trace)| *trace).collect();
    let (given, own): (Vec<&TraceContext>, Vec<_>) =
        calls.iter().partition(|call| call.trace_id == trace.trace_id);
    assert_eq!((given.len(), own.len()), (SHARDS as usize, SHARDS as usize));
    assert!(given.iter().all(|call| call.flags == 0 && call.span_id != trace.span_id), "a span of its own");
    let mut spans: Vec<_> = calls.iter().map(|call| call.span_id).collect();
    spans.sort_unstable();
    spans.dedup();
    assert_eq!(spans.len(), calls.len());
}
