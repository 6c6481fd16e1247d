//! Workers whose answers cannot be true.

use nova_proto_core::messages::{ShardRange, SymbolHit, SymbolKind, SyncReply};
use nova_router::coordinator::{Ask, Outcome, Reply};

use crate::world::{SHARDS, World, class, file};

/// Shard 1's worker lies like this; something is asked; it is thrown out with a reason, and nothing of it is believed.
fn thrown_out(lie: fn(&mut Reply), ask: fn(&mut World), reason: &str) {
    let mut world = World::new(1);
    world.connect_all();
    world.settle();
    let id = world.coordinator.status()[1].worker.expect("it has one");
    world.sessions.get_mut(&id).expect("it lives").lies = Some(lie);
    ask(&mut world);
    world.run_until("it is thrown out", |world| !world.closed.is_empty());
    let (closed, message) = world.closed.remove(0);
    assert!(closed == id && message.contains(reason), "{message}");
    world.run_until("its shard is free", |world| world.coordinator.status()[1].worker.is_none());
    world.connect_all();
    world.settle();
    world.check();
    assert_eq!(world.closed, [], "the honest stay");
}

fn search(world: &mut World) {
    let answer = world.search("", 2);
    assert_eq!(
        (answer.shards.answered, answer.shards.failed),
        (SHARDS - 1, 1),
        "nothing that it says counts"
    );
    assert!(answer.hits.iter().all(|hit| hit.symbol.name != "Lie" && hit.symbol.name != "B"));
}

fn invented(path: &str) -> SymbolHit {
    SymbolHit {
        name: "Lie".into(),
        kind: SymbolKind::Class,
        container: String::new(),
        path: path.into(),
        line: 1,
        column: 1,
        score: u32::MAX,
    }
}

#[test]
fn a_hit_in_a_file_that_is_not_the_shards_is_a_lie() {
    let nowhere: fn(&mut Reply) = |reply| {
        if let Reply::Search(reply) = reply {
            reply.hits = vec![invented("a/src/Nowhere.java")];
        }
    };
    thrown_out(nowhere, search, "it finds a/src/Nowhere.java");
    // One of another worker.
    let elsewhere: fn(&mut Reply) = |reply| {
        if let Reply::Search(reply) = reply {
            reply.hits = vec![invented("A.java")];
        }
    };
    thrown_out(elsewhere, search, "it finds A.java");
}

#[test]
fn more_hits_than_were_asked_for_are_a_lie() {
    let many: fn(&mut Reply) = |reply| {
        if let Reply::Search(reply) = reply {
            reply.hits = (1..4).map(|line| SymbolHit { line, ..invented("a/src/B.java") }).collect();
        }
    };
    thrown_out(many, search, "3 hits where 2 were asked for");
}

#[test]
fn hits_out_of_order_are_a_lie() {
    let order: fn(&mut Reply) = |reply| {
        if let Reply::Search(reply) = reply {
            reply.hits = (1..3).rev().map(|line| SymbolHit { line, ..invented("a/src/B.java") }).collect();
        }
    };
    thrown_out(order, search, "not in order");
}

#[test]
fn speaking_of_the_shards_of_others_is_a_lie() {
    let others: fn(&mut Reply) = |reply| {
        if let Reply::Search(reply) = reply {
            reply.warming = vec![ShardRange { first: 0, count: 1 }];
        }
    };
    thrown_out(others, search, "shard 0");
    // A few bytes that name billions of shards cost nothing.
    let billions: fn(&mut Reply) = |reply| {
        if let Reply::Search(reply) = reply {
            reply.warming = vec![ShardRange { first: 0, count: u32::MAX }];
        }
    };
    thrown_out(billions, search, "4294967295 shards");
    let counts: fn(&mut Reply) = |reply| {
        if let Reply::Stats(stats) = reply {
            stats.shards.iter_mut().for_each(|shard| shard.shard = 3);
        }
    };
    let stats: fn(&mut World) = |world| {
        let ticket = world.ask(Ask::Stats { deadline: std::time::Duration::from_secs(1) });
        let Outcome::Stats(stats) = world.outcome(ticket) else { panic!("another outcome") };
        assert_eq!(stats.len(), SHARDS as usize - 1);
    };
    thrown_out(counts, stats, "shard 3");
}

#[test]
fn counters_of_another_run_are_a_lie() {
    let epoch: fn(&mut Reply) = |reply| match reply {
        Reply::Changed(reply) => reply.counters.epoch += 1,
        Reply::Commit(counters) | Reply::Sync(SyncReply::Current(counters)) => counters.epoch += 1,
        _ => {}
    };
    let edit: fn(&mut World) = |world| {
        world.save(&file(0, "a/src/B.java"), &class("B"));
    };
    thrown_out(epoch, edit, "epoch");
    let index: fn(&mut World) = |world| {
        world.index();
    };
    thrown_out(epoch, index, "epoch");
}

#[test]
fn wanting_files_that_were_not_named_is_a_lie() {
    let wants: fn(&mut Reply) = |reply| {
        if let Reply::Page(page) = reply {
            page.wanted = vec![(1, 1)];
        }
    };
    let edit: fn(&mut World) = |world| {
        world.write(&file(0, "a/src/B.java"), Some(class("B")));
        world.index();
    };
    thrown_out(wants, edit, "out of the page's range");
}
