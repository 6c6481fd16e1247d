//! Unsaved texts.

use nova_router::coordinator::{ChangeError, CoordinatorConfig, Request};

use crate::world::{LEFT_OUT, SHARDS, World, class, file};

#[test]
fn an_unsaved_text_survives_any_number_of_crashes_of_its_worker() {
    let mut world = World::new(1);
    world.connect_all();
    world.settle();
    let place = file(0, "a/src/B.java");
    let ticket = world.open(&place, &class("Unsaved"));
    assert_eq!(world.changed(ticket).map(|changed| changed.files), Ok(1));
    for crash in 0..5 {
        let worker = world.coordinator.status()[1].worker.expect("it has one");
        if crash % 2 == 0 {
            world.caches.clear();
        }
        world.kill(worker);
        if crash == 3 {
            // Edited while nobody serves it.
            world.run_until("its end", |world| world.coordinator.status()[1].worker.is_none());
            let ticket = world.open(&place, &class("Edited"));
            assert_eq!(world.changed(ticket).map(|changed| changed.waiting), Ok(1));
        }
        world.run_until("its end", |world| world.coordinator.status()[1].worker.is_none());
        world.connect_all();
        world.settle();
        world.check();
    }
    assert_eq!(world.classes(), "A C D Edited");
}

#[test]
fn closing_goes_back_to_what_is_on_disk_by_then() {
    let mut world = World::new(2);
    world.connect_all();
    world.settle();
    let [saved, new, gone] = ["A.java", "a/src/New.java", "b/src/C.java"].map(|path| file(0, path));
    for place in [&saved, &new, &gone] {
        let ticket = world.open(place, &class("Unsaved"));
        world.changed(ticket).expect("it is taken");
    }
    assert_eq!(world.classes(), "B D Unsaved Unsaved Unsaved");
    // The disk changes under the unsaved texts; nothing of that shows.
    world.save(&saved, &class("Saved"));
    world.remove(&gone);
    world.settle();
    assert_eq!(world.classes(), "B D Unsaved Unsaved Unsaved");
    for place in [&saved, &new, &gone] {
        let ticket = world.close(place);
        world.changed(ticket).expect("it is taken");
    }
    assert_eq!(world.classes(), "B D Saved");
    world.check();
    assert_eq!(world.coordinator.desired().overlay_bytes(), 0);
}

#[test]
fn the_last_edit_counts_in_whatever_order_edits_arrive() {
    for seed in 0..30 {
        let mut world = World::new(seed);
        world.delay = 50;
        world.connect_all();
        world.settle();
        let place = file(0, "A.java");
        let mut last = None;
        world.asked.clear();
        for edit in 0..20 {
            last = Some(world.open(&place, &class(&format!("Edit{edit}"))));
            if seed % 2 == 0 {
                world.step();
            }
        }
        world.changed(last.expect("there are some")).expect("it is taken");
        assert_eq!(world.classes(), "B C D Edit19", "seed {seed}");
        let sent =
            world.asked.iter().filter(|(_, request)| matches!(request, Request::Update { .. })).count();
        assert!(sent <= 20 && (seed % 2 == 0 || sent == 2), "what a later edit replaces is not sent: {sent}");
    }
}

#[test]
fn an_edit_that_comes_while_the_text_is_closed_is_not_lost() {
    for seed in 0..30 {
        let mut world = World::new(seed);
        world.connect_all();
        world.settle();
        let place = file(0, "A.java");
        world.open(&place, &class("First"));
        world.close(&place);
        for _ in 0..seed % 7 {
            world.step();
        }
        let ticket = world.open(&place, &class("Second"));
        world.changed(ticket).expect("it is taken");
        world.settle();
        assert_eq!(world.classes(), "B C D Second", "seed {seed}");
    }
}

#[test]
fn a_file_that_goes_while_its_text_is_closed_does_not_come_back() {
    for seed in 0..60 {
        let mut world = World::new(seed);
        world.connect_all();
        world.settle();
        let place = file(0, "A.java");
        let ticket = world.open(&place, &class("Unsaved"));
        world.changed(ticket).expect("it is taken");
        let closing = world.close(&place);
        for _ in 0..seed % 4 {
            world.step();
        }
        world.remove(&place);
        world.changed(closing).expect("it is taken");
        world.settle();
        assert_eq!(world.classes(), "B C D", "seed {seed}");
    }
}

#[test]
fn too_many_unsaved_texts_are_refused_with_the_numbers() {
    let config = CoordinatorConfig { overlay_bytes: 2_000, ..CoordinatorConfig::default() };
    let mut world = World::with(3, config, &["A.java", "1:D.java"]);
    world.connect_all();
    world.settle();
    let text = format!("class Big {{ /* {} */ }}", "x".repeat(1_000));
    let ticket = world.open(&file(0, "Big.java"), &text);
    world.changed(ticket).expect("there is room");
    let ticket = world.change(vec![nova_router::coordinator::Change::Overlay(
        file(0, "Other.java"),
        nova_router::coordinator::Text::new(text.clone()),
    )]);
    let refused = world.changed(ticket).expect("all others are taken").refused;
    let [error @ ChangeError::OverlayFull { path, size, used, limit }] = &refused[..] else {
        panic!("there is no room for two: {refused:?}")
    };
    assert_eq!((&**path, *limit), ("Other.java", 2_000));
    assert!(*size > text.len() as u64 && *used > text.len() as u64);
    let message = error.to_string();
    assert!(message.contains("2000 bytes together") && message.contains("overlay_bytes"), "{message}");
    // What is there stays, and closing it makes room.
    world.check();
    let ticket = world.close(&file(0, "Big.java"));
    world.changed(ticket).expect("it is taken");
    let ticket = world.open(&file(0, "Other.java"), &text);
    world.changed(ticket).expect("there is room again");
    world.check();
}

#[test]
fn a_text_longer_than_a_source_file_may_be_is_refused() {
    let config = CoordinatorConfig { max_file_bytes: 100, ..CoordinatorConfig::default() };
    let mut world = World::with(4, config, &["A.java", "1:D.java"]);
    let text = nova_router::coordinator::Text::new("x".repeat(101));
    let ticket = world.change(vec![nova_router::coordinator::Change::Overlay(file(0, "B.java"), text)]);
    let refused = world.changed(ticket).expect("all others are taken").refused;
    assert_eq!(refused, [ChangeError::TooLarge { path: "B.java".into(), size: 101, limit: 100 }]);
}

#[test]
fn a_directory_that_is_removed_takes_all_below_it_along() {
    let mut world = World::new(5);
    for number in 0..40 {
        world.write(&file(0, &format!("a/src/p/F{number}.java")), Some(class(&format!("F{number}"))));
    }
    let ticket = world.index();
    world.connect(0..SHARDS);
    assert_eq!(world.indexed(ticket).files, 44);
    world.disk.retain(|file, _| !file.path.starts_with("a/src/p/"));
    let ticket = world.change(vec![nova_router::coordinator::Change::Disk(file(0, "a/src/p"))]);
    assert_eq!(world.changed(ticket).map(|changed| changed.files), Ok(40));
    assert_eq!(world.classes(), "A B C D");
    world.check();
}

#[test]
fn of_a_directory_only_what_has_changed_is_read() {
    let config = CoordinatorConfig { in_flight_bytes: 2_000, ..CoordinatorConfig::default() };
    let mut world = World::configured(8, config);
    for number in 0..400 {
        world.write(&file(0, &format!("a/src/p/F{number}.java")), Some(class(&format!("F{number}"))));
    }
    let ticket = world.index();
    world.connect_all();
    world.indexed(ticket);
    world.settle();
    world.write(&file(0, "a/src/p/F7.java"), Some(class("Changed")));
    world.disk.remove(&file(0, "a/src/p/F8.java"));
    world.read.clear();
    world.reads = 0;
    let ticket = world.change(vec![nova_router::coordinator::Change::Disk(file(0, "a/src"))]);
    assert_eq!(world.changed(ticket).map(|changed| changed.files), Ok(401));
    let read = |what: &str| world.read.iter().filter(|(_, read)| *read == what).count();
    assert_eq!((read("unchanged"), read("text"), read("skipped")), (399, 1, 1));
    assert_eq!(world.reads, 2, "one look at all of them, and then what is not as it was");
    world.settle();
    world.check();
}

#[test]
fn a_new_file_that_a_walk_leaves_out_is_left_out() {
    let mut world = World::new(7);
    world.connect_all();
    world.settle();
    let place = file(0, &format!("{LEFT_OUT}Generated.java"));
    let ticket = world.save(&place, &class("Generated"));
    world.changed(ticket).expect("it is taken");
    assert_eq!(world.classes(), "A B C D");
    // Whoever opens it wants it, as long as it is open.
    let ticket = world.open(&place, &class("Unsaved"));
    world.changed(ticket).expect("it is taken");
    assert_eq!(world.classes(), "A B C D Unsaved");
    let ticket = world.close(&place);
    world.changed(ticket).expect("it is taken");
    assert_eq!(world.classes(), "A B C D");
}

#[test]
fn what_is_no_java_file_is_not_indexed() {
    let mut world = World::new(6);
    world.connect_all();
    world.settle();
    let ticket = world.save(&file(0, "pom.xml"), &class("Project"));
    assert_eq!(world.changed(ticket).map(|changed| changed.files), Ok(0));
    assert_eq!(world.classes(), "A B C D");
}
