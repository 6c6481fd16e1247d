//! Runs of indexing.

use std::time::Duration;

use nova_router::coordinator::{Ask, Change, Ended, Event, Outcome, RouterEvent, ShardState};

use crate::world::{SHARDS, World, class, file};

#[test]
fn a_newer_run_takes_the_place_of_an_older_one() {
    let mut world = World::new(1);
    world.connect_all();
    for steps in 0..40 {
        let older = world.index();
        for _ in 0..steps {
            world.step();
        }
        if world.outcomes.contains_key(&older) {
            world.outcomes.clear();
            continue;
        }
        let name = format!("Run{steps}");
        world.write(&file(0, "A.java"), Some(class(&name)));
        let newer = world.index();
        assert!(matches!(world.outcome(older), Outcome::Indexed(Err(Ended::Superseded))));
        assert_eq!(world.indexed(newer).ready, SHARDS);
        assert_eq!(world.classes(), format!("B C D {name}"));
    }
}

#[test]
fn of_a_cancelled_run_nothing_takes_effect_later() {
    for steps in 0..60 {
        let mut world = World::new(steps);
        world.connect_all();
        world.settle();
        for path in ["A.java", "a/src/B.java", "b/src/C.java"] {
            world.write(&file(0, path), Some(class("New")));
        }
        let ticket = world.index();
        for _ in 0..steps {
            world.step();
        }
        world.told.clear();
        world.post(Event::Cancel(ticket));
        let ended = world.outcomes.remove(&ticket);
        if matches!(ended, Some(Outcome::Indexed(Ok(_)))) {
            continue;
        }
        assert!(matches!(ended, Some(Outcome::Indexed(Err(Ended::Cancelled)))), "{ended:?}");
        let unfinished = |world: &World| {
            world.coordinator.status().iter().any(|shard| !matches!(shard.state, ShardState::Ready(_)))
        };
        world.run_past(world.now + Duration::from_secs(29));
        let ready = world.told.iter().filter(|event| matches!(event, RouterEvent::ShardReady { .. })).count();
        assert_eq!((ready, world.coordinator.in_flight()), (0, 0), "after {steps} steps");
        // The next run brings what this one has left, or else time does; after a cancelled walk, only a run.
        if steps % 2 == 0 || !unfinished(&world) {
            let ticket = world.index();
            assert_eq!(world.indexed(ticket).ready, SHARDS);
        }
        world.settle();
        world.check();
    }
}

#[test]
fn a_run_ends_at_its_deadline() {
    let mut world = World::new(3);
    // No worker comes.
    let ticket = world.ask(Ask::Index { deadline: Some(Duration::from_secs(9)) });
    let before = world.now;
    assert!(matches!(world.outcome(ticket), Outcome::Indexed(Err(Ended::Deadline))));
    assert_eq!(world.now - before, Duration::from_secs(9));
}

#[test]
fn who_has_waited_long_enough_stops_nothing() {
    let mut world = World::new(7);
    world.delay = 500;
    world.connect_all();
    world.settle();
    world.write(&file(0, "A.java"), Some(class("New")));
    let ticket = world.ask(Ask::Index { deadline: Some(Duration::from_millis(700)) });
    assert!(matches!(world.outcome(ticket), Outcome::Indexed(Err(Ended::Deadline))));
    let ready = |world: &World| matches!(world.coordinator.status()[0].state, ShardState::Ready(_));
    assert!(world.told.iter().any(|event| matches!(event, RouterEvent::Walked { .. })) && !ready(&world));
    world.settle();
    assert_eq!(world.classes(), "B C D New");
    world.check();
}

#[test]
fn what_has_ended_waits_for_no_time() {
    let mut world = World::new(6);
    world.connect_all();
    let hour = Some(Duration::from_secs(3600));
    let index = world.ask(Ask::Index { deadline: hour });
    world.indexed(index);
    let changes = vec![Change::Disk(file(0, "A.java"))];
    let change = world.ask(Ask::Change { changes, deadline: hour });
    world.changed(change).expect("it is taken");
    world.search("A", 1);
    assert_eq!(world.coordinator.poll_timeout(), None);
}

#[test]
fn a_shard_that_is_given_up_fails_when_its_worker_is_gone() {
    let mut world = World::new(4);
    world.connect_all();
    world.settle();
    let id = world.coordinator.status()[0].worker.expect("it has one");
    // The supervisor may notice the process's end before the session notices the connection's.
    world.post(Event::GiveUp(0..1, "it died too often".into()));
    assert!(matches!(world.coordinator.status()[0].state, ShardState::Ready(_)));
    world.kill(id);
    world.run_until("its end", |world| world.coordinator.status()[0].worker.is_none());
    let failed = ShardState::Failed { reason: "it died too often".into() };
    assert_eq!(world.coordinator.status()[0].state, failed);
    assert!(world.coordinator.is_settled());
    world.connect(0..1).expect("a worker started by hand is welcome");
    world.settle();
}

#[test]
fn a_shard_has_one_worker_at_a_time_and_the_next_one_when_that_is_gone() {
    let mut world = World::new(5);
    let id = world.connect(0..2).expect("it is free");
    assert_eq!(world.connect(1..3), None, "all of a claim, or nothing");
    assert!(world.coordinator.status()[2].worker.is_none());
    world.kill(id);
    world.run_until("its end", |world| world.coordinator.status()[1].worker.is_none());
    world.connect(1..3).expect("it is free again");
}

#[test]
fn who_claims_the_shards_of_a_worker_that_lives_gets_none_of_them() {
    let mut world = World::new(8);
    let id = world.connect(0..SHARDS).expect("it is free");
    world.settle();
    for _ in 0..20 {
        assert_eq!(world.connect(0..1), None);
        let later = world.now + world.refused.last().expect("a refusal").retry_after;
        world.run_past(later);
    }
    assert!(
        world.coordinator.status().iter().all(|shard| shard.worker == Some(id)) && world.closed.is_empty()
    );
    world.check();
}

#[test]
fn a_worker_that_restarts_gets_in_while_its_old_connection_is_not_known_to_have_ended() {
    let mut world = World::new(9);
    let old = world.connect(0..SHARDS).expect("it is free");
    world.settle();
    // Its machine has lost power: no end of the connection comes.
    world.sessions.get_mut(&old).expect("it lives").hung = true;
    assert_eq!(world.connect(2..SHARDS), None);
    let refusal = world.refused.pop().expect("a refusal");
    assert!(refusal.message.contains("shard 2 already has"), "{}", refusal.message);
    let later = world.now + refusal.retry_after;
    world.run_past(later);
    world.connect(0..SHARDS).expect("it is free now");
    world.settle();
    assert!(
        world.closed.iter().any(|(id, why)| *id == old && why.contains("claims its shards")),
        "{:?}",
        world.closed
    );
    world.check();
}
