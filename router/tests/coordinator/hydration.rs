//! Bringing workers to what they should hold.

use nova_router::coordinator::{Change, CoordinatorConfig, Event, Request, RouterEvent, ShardState};

use crate::world::{SHARDS, World, class, file};

/// What files were read for, of a world whose workers are all there.
fn texts(world: &World) -> usize {
    world.read.iter().filter(|(_, what)| *what == "text").count()
}

fn loaded(world: &World) -> usize {
    let files = |request: &Request| match request {
        Request::Load { files, .. } => files.len(),
        _ => 0,
    };
    world.asked.iter().map(|(_, request)| files(request)).sum()
}

#[test]
fn a_restarted_worker_gets_all_its_files_again() {
    let files = ["p/Alpha.java", "p/Beta.java", "p/Gamma.java", "1:D.java"];
    let mut world = World::with(1, CoordinatorConfig::default(), &files);
    world.connect_all();
    world.settle();
    assert_eq!(world.classes(), "Alpha Beta D Gamma");
    // Nothing is kept of it.
    world.caches.clear();
    let worker = world.coordinator.status()[0].worker.expect("it has one");
    world.kill(worker);
    world.run_until("its end is noticed", |world| world.coordinator.status()[0].worker.is_none());
    // One file changes while nobody serves its shard, and another one after that.
    world.save(&file(0, "p/Alpha.java"), &class("New"));
    world.connect_all();
    world.save(&file(0, "p/Gamma.java"), &class("Delta"));
    world.settle();
    assert_eq!(world.classes(), "Beta D Delta New", "no file is forgotten");
    world.check();
}

#[test]
fn a_cached_index_of_an_earlier_run_outranks_nothing_of_this_one() {
    for edits in [0, 60] {
        let mut world = World::new(edits);
        world.connect_all();
        world.settle();
        // Its counters are far above those that the next run begins with.
        for edit in 0..edits {
            let ticket = world.save(&file(0, "A.java"), &class(&format!("Old{edit}")));
            world.changed(ticket).expect("it is taken");
        }
        world.caches = world.caches.clone();
        world.write(&file(0, "A.java"), Some(class("Fresh")));
        world.restart_router();
        world.connect_all();
        world.settle();
        assert_eq!(world.classes(), "B C D Fresh");
        let ticket = world.index();
        world.indexed(ticket);
        assert_eq!(world.classes(), "B C D Fresh");
    }
}

#[test]
fn another_shard_under_the_same_number_gets_nothing_of_the_first_ones_cache() {
    let mut world = World::new(3);
    world.connect_all();
    world.settle();
    // What was shard 1 is kept under its key; a worker that offers it for shard 2 offers nothing.
    let status = world.coordinator.status();
    let (one, two) = (status[1].key.0, status[2].key.0);
    let image = world.caches.get(&one).cloned().expect("it was kept");
    world.caches.insert(two, image);
    world.restart_router();
    world.connect_all();
    world.settle();
    world.check();
}

#[test]
fn a_warm_worker_is_asked_for_nothing_that_it_has() {
    let mut world = World::new(4);
    world.connect_all();
    world.settle();
    assert_eq!((loaded(&world), texts(&world)), (4, 4), "each file is read and sent once");
    for shard in 0..SHARDS {
        let worker = world.coordinator.status()[shard as usize].worker.expect("it has one");
        world.kill(worker);
    }
    world.run_until("the end of all", |world| {
        world.coordinator.status().iter().all(|shard| shard.worker.is_none())
    });
    world.asked.clear();
    world.read.clear();
    world.connect_all();
    world.settle();
    let pages = world.asked.iter().filter(|(_, request)| matches!(request, Request::Page { .. })).count();
    assert_eq!((loaded(&world), texts(&world), pages), (0, 0, 0), "a digest is enough");
    assert!(world.read.iter().all(|(_, what)| *what == "unchanged") && world.read.len() == 4);
    world.check();
}

#[test]
fn of_a_shard_that_has_changed_only_the_difference_is_read_and_sent() {
    let names: Vec<String> = (0..50).map(|number| format!("p/F{number}.java")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).chain(["1:D.java"]).collect();
    let mut world = World::with(5, CoordinatorConfig::default(), &names);
    world.connect_all();
    world.settle();
    let worker = world.coordinator.status()[0].worker.expect("it has one");
    world.kill(worker);
    world.write(&file(0, "p/F7.java"), Some(class("Changed")));
    world.run_until("its end", |world| world.coordinator.status()[0].worker.is_none());
    world.asked.clear();
    world.read.clear();
    world.connect_all();
    world.settle();
    assert_eq!((loaded(&world), texts(&world)), (1, 1));
    world.check();
}

#[test]
fn one_bad_file_costs_itself_and_nothing_else() {
    let mut world = World::new(6);
    let bad = file(0, "Latin1.java");
    world.write(&bad, None);
    world.connect_all();
    world.settle();
    let ticket = world.index();
    let report = world.indexed(ticket);
    assert_eq!((report.ready, report.failed), (SHARDS, Vec::new()));
    let skipped: Vec<_> = world.coordinator.desired().unreadable().collect();
    assert_eq!((skipped.len(), &*skipped[0].path), (1, "Latin1.java"));
    world.check();
    // Mended, it is there; it need not be named for ever.
    let ticket = world.save(&bad, &class("Mended"));
    assert_eq!(world.changed(ticket).expect("it is taken").skipped, []);
    assert_eq!(world.coordinator.desired().unreadable().count(), 0);
    assert_eq!(world.classes(), "A B C D Mended");
    // And broken again it is named to whoever told of the change.
    world.write(&bad, None);
    let ticket = world.change(vec![Change::Disk(bad)]);
    let skipped = world.changed(ticket).expect("it is taken").skipped;
    assert_eq!(skipped.iter().map(|file| &*file.path).collect::<Vec<_>>(), ["Latin1.java"]);
    world.check();
}

#[test]
fn a_change_during_a_sync_is_not_undone_by_it() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        world.delay = 30;
        world.connect(0..SHARDS);
        // Somewhere between the beginning of the sync and its end.
        for _ in 0..seed {
            world.step();
        }
        world.save(&file(0, "A.java"), &class("Saved"));
        world.open(&file(0, "a/src/B.java"), &class("Unsaved"));
        world.remove(&file(0, "b/src/C.java"));
        world.settle();
        assert_eq!(world.classes(), "D Saved Unsaved", "seed {seed}");
        world.check();
    }
}

#[test]
fn what_a_sync_has_read_before_a_change_is_not_what_is_known_after_it() {
    for steps in 0..30 {
        let mut world = World::new(steps);
        let place = file(0, "A.java");
        world.write(&place, None);
        world.connect(0..SHARDS);
        for _ in 0..steps {
            world.step();
        }
        let ticket = world.save(&place, &class("Mended"));
        world.changed(ticket).expect("it is taken");
        world.settle();
        assert_eq!(world.classes(), "B C D Mended");
        assert_eq!(world.coordinator.desired().unreadable().count(), 0, "after {steps} steps");
    }
}

#[test]
fn what_was_read_is_in_memory_within_its_bound() {
    let names: Vec<String> = (0..300).map(|number| format!("a/src/F{number}.java")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).chain(["1:D.java"]).collect();
    let limit = 2_000;
    let config = CoordinatorConfig { in_flight_bytes: limit, ..CoordinatorConfig::default() };
    let mut world = World::with(8, config, &names);
    for number in 0..300 {
        world.write(&file(0, &format!("b/src/G{number}.java")), Some(class(&format!("G{number}"))));
    }
    let ticket = world.index();
    world.connect_all();
    assert_eq!(world.indexed(ticket).files, 601);
    world.settle();
    let longest = class("G299").len() as u64;
    assert!(world.peak <= limit + longest, "{}", world.peak);
    assert_eq!(world.coordinator.in_flight(), 0);
    world.check();
}

#[test]
fn a_shard_that_sends_in_its_turn_reads_on_in_the_next_one() {
    let config = CoordinatorConfig { in_flight_bytes: 300, ..CoordinatorConfig::default() };
    let mut world = World::with(16, config, &["A.java", "B.java", "a/src/C.java", "1:D.java"]);
    let holder = world.connect(1..SHARDS).expect("it is free");
    world.run_until("it is ready", |world| {
        matches!(world.coordinator.status()[1].state, ShardState::Ready(_))
    });
    // It takes all the room there is and does not answer, so the other one waits for its turn to read.
    world.sessions.get_mut(&holder).expect("it lives").hung = true;
    let long = format!("{} // {}", class("Long"), "x".repeat(500));
    world.save(&file(0, "a/src/C.java"), &long);
    world.run_until("it is sent", |world| world.coordinator.in_flight() > 500);
    let id = world.connect(0..1).expect("it is free");
    world.run_until("its files are wanted", |world| {
        world.asked.iter().any(|(worker, request)| *worker == id && matches!(request, Request::Page { .. }))
    });
    world.run_past(world.now + std::time::Duration::from_secs(1));
    assert!(world.read.iter().all(|(path, _)| &**path != "B.java"));
    world.open(&file(0, "A.java"), &class("Unsaved"));
    // What is unsaved is sent in that turn; that no answer comes is no reason not to read the rest.
    world.sessions.get_mut(&id).expect("it lives").hung = true;
    world.kill(holder);
    world.run_until("its end", |world| world.coordinator.status()[1].worker.is_none());
    world.run_past(world.now + std::time::Duration::from_secs(1));
    assert!(world.read.iter().any(|(path, _)| &**path == "B.java"), "{:?}", world.read);
}

#[test]
fn shards_take_turns() {
    let mut names: Vec<String> = (0..400).map(|number| format!("a/src/Big{number}.java")).collect();
    names.extend((0..40).map(|number| format!("b/src/Small{number}.java")));
    names.push("1:D.java".into());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let config = CoordinatorConfig { in_flight_bytes: 1_000, ..CoordinatorConfig::default() };
    let mut world = World::with(9, config, &names);
    world.connect(0..SHARDS);
    world.settle();
    let ready = |number: u32| {
        let is =
            |event: &RouterEvent| matches!(event, RouterEvent::ShardReady { shard, .. } if *shard == number);
        world.told.iter().position(is).expect("it is ready")
    };
    assert!(ready(2) < ready(1), "ten times as many files ahead of it hold no shard up");
}

#[test]
fn a_sync_that_is_refused_is_tried_again_and_not_for_ever() {
    let mut world = World::new(10);
    let id = world.connect(0..SHARDS).expect("it is free");
    // It never says that it has everything.
    world.sessions.get_mut(&id).expect("just connected").hung = true;
    world.run_until("the first failure", |world| {
        world.told.iter().any(|event| matches!(event, RouterEvent::ShardStale { .. }))
    });
    world.run_until("the last failure", |world| {
        world.coordinator.status().iter().all(|shard| matches!(shard.state, ShardState::Failed { .. }))
    });
    assert!(world.coordinator.is_settled());
    // It is asked again, more and more seldom, and says so; once it answers, all is well.
    let begun = |world: &World| world.asked.iter().filter(|(_, request)| is_begin(request)).count();
    let (tries, before) = (begun(&world), world.now);
    world.run_until("some more tries", |world| begun(world) > tries + 8);
    let waited = world.now - before;
    assert!(waited > std::time::Duration::from_secs(9), "{waited:?}");
    let ShardState::Failed { reason } = &world.coordinator.status()[0].state else { panic!("it is ready") };
    assert!(reason.contains("tried again"), "{reason}");
    world.resume(id);
    world.settle();
    world.check();
}

fn is_begin(request: &Request) -> bool {
    matches!(request, Request::Sync(_))
}

#[test]
fn four_changes_that_come_to_nothing_are_one_failure() {
    let mut world = World::new(12);
    let id = world.connect(0..SHARDS).expect("it is free");
    world.settle();
    world.told.clear();
    world.sessions.get_mut(&id).expect("it lives").hung = true;
    let names = ["P", "Q", "R", "S"];
    let changes = names.map(|name| world.open(&file(0, &format!("{name}.java")), &class(name)));
    world.run_until("a failure", |world| !world.told.is_empty());
    world.resume(id);
    for ticket in changes {
        assert_eq!(world.changed(ticket).map(|changed| changed.waiting), Ok(0));
    }
    world.settle();
    let failures = |event: &&RouterEvent| {
        matches!(event, RouterEvent::ShardStale { .. } | RouterEvent::ShardFailed { .. })
    };
    assert_eq!(world.told.iter().filter(failures).count(), 1, "{:?}", world.told);
    world.check();
}

#[test]
fn who_waits_for_a_change_is_told_when_the_first_sync_is_stopped() {
    for steps in 0..20 {
        let mut world = World::new(steps);
        world.connect_all();
        let run = world.index();
        for _ in 0..steps {
            world.step();
        }
        let change = world.open(&file(0, "A.java"), &class("Unsaved"));
        world.post(Event::Cancel(run));
        world.changed(change).expect("it is taken");
        world.settle();
        assert_eq!(world.classes(), "B C D Unsaved", "after {steps} steps");
    }
}

#[test]
fn new_files_are_read_within_the_bound() {
    let config = CoordinatorConfig { in_flight_bytes: 3_000, ..CoordinatorConfig::default() };
    let mut world = World::configured(13, config);
    world.connect_all();
    world.settle();
    let long = |number: u32| format!("{} // {}", class(&format!("New{number}")), "x".repeat(900));
    let places: Vec<_> = (0..60).map(|number| file(number % 2, &format!("New{number:02}.java"))).collect();
    for (number, place) in (0..).zip(&places) {
        world.write(place, Some(long(number)));
    }
    world.peak = 0;
    let ticket = world.change(places.into_iter().map(Change::Disk).collect());
    assert_eq!(world.changed(ticket).map(|changed| (changed.files, changed.waiting)), Ok((60, 0)));
    let file = long(10).len() as u64;
    assert!(world.peak <= 3_000 + file, "{} with files of {file}", world.peak);
    world.settle();
    world.check();
}

#[test]
fn files_that_have_grown_since_the_walk_take_no_more_room_than_there_is() {
    let names: Vec<String> = (0..120).map(|number| format!("a/src/F{number}.java")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).chain(["1:D.java"]).collect();
    let config = CoordinatorConfig { in_flight_bytes: 4_000, ..CoordinatorConfig::default() };
    let mut world = World::with(14, config, &names);
    world.connect_all();
    world.settle();
    // A worker that has most of it gets the manifest with hashes; nobody has told how long its files are by now.
    for number in 0..120 {
        let text = format!("{} // {}", class(&format!("G{number}")), "x".repeat(700));
        world.write(&file(0, &format!("a/src/F{number}.java")), Some(text));
    }
    let worker = world.coordinator.status()[1].worker.expect("it has one");
    world.kill(worker);
    world.run_until("its end", |world| world.coordinator.status()[1].worker.is_none());
    world.peak = 0;
    world.connect_all();
    world.settle();
    assert!(world.peak <= 4_000 + 1_000, "{}", world.peak);
    world.check();
}

#[test]
fn the_more_is_under_way_the_longer_an_answer_may_take() {
    let mut world = World::new(17);
    world.connect_all();
    world.settle();
    assert_eq!(world.longest_wait, std::time::Duration::from_secs(60));
    // At the slowest, six megabytes take a minute and a half.
    let long = format!("{} // {}", class("Long"), "x".repeat(6 << 20));
    world.save(&file(0, "A.java"), &long);
    world.settle();
    assert_eq!(world.longest_wait.as_secs(), 60 + 96);
}

#[test]
fn looking_at_files_waits_for_no_room() {
    let config = CoordinatorConfig { in_flight_bytes: 100, ..CoordinatorConfig::default() };
    let mut world = World::configured(15, config);
    let id = world.connect(0..2).expect("it is free");
    let other = world.connect(2..SHARDS).expect("it is free");
    world.settle();
    world.kill(other);
    world.run_until("its end", |world| world.coordinator.status()[2].worker.is_none());
    // What is held for one worker that does not answer keeps nobody from being told what is there already.
    world.sessions.get_mut(&id).expect("it lives").hung = true;
    let long = format!("{} // {}", class("Long"), "x".repeat(300));
    world.save(&file(0, "A.java"), &long);
    world.run_until("it is sent", |world| world.coordinator.in_flight() > 100);
    world.asked.clear();
    let other = world.connect(2..SHARDS).expect("it is free");
    let before = world.now;
    world.run_until("the first word", |world| {
        let of_two = |(worker, request): &(_, Request)| {
            *worker == other && matches!(request, Request::Sync(sync) if sync.shard == 2)
        };
        world.asked.iter().any(of_two)
    });
    assert!(world.now - before < std::time::Duration::from_secs(1));
    world.resume(id);
    world.connect_all();
    world.settle();
    world.check();
}

#[test]
fn a_cached_index_is_searched_at_once_and_named_as_warming() {
    let mut world = World::new(11);
    world.connect_all();
    world.settle();
    world.write(&file(0, "A.java"), Some(class("New")));
    world.restart_router();
    world.connect(0..SHARDS).expect("it is free");
    world.asked.clear();
    world.run_until("the caches are bound", |world| {
        let pages = world.asked.iter().filter(|(_, request)| matches!(request, Request::Page { .. }));
        pages.count() == 4
    });
    // What has changed since is not there yet, and what is there is said to be possibly old.
    let answer = world.search("", 100);
    assert_eq!((answer.shards.answered, answer.shards.failed), (SHARDS, 0));
    assert!(answer.shards.warming >= 4, "{:?}", answer.shards);
    let found = |name: &str| answer.hits.iter().any(|hit| hit.symbol.name == name);
    assert!(["A", "B", "C", "D"].into_iter().all(found) && !found("New"), "{:?}", answer.hits);
    world.settle();
    assert_eq!(world.classes(), "B C D New");
    world.check();
}
