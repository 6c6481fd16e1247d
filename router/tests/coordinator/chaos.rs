//! Whatever happens, in the end every answer is that of a cold index of what is wanted.

use std::time::Duration;

use nova_proto_core::messages::{SymbolKind, SyncReply};
use nova_router::coordinator::{Ask, CoordinatorConfig, Event, Reply, SearchOptions, WorkerId};

use crate::world::{Rng, SHARDS, World, class, file};

const STEPS: u64 = 150;

/// How many worlds a run of the tests tries; `NOVA_SEEDS` sets another number.
const SEEDS: u64 = 250;

#[test]
fn after_any_disturbance_every_answer_is_that_of_a_cold_index() {
    let number = |name| -> Option<u64> {
        Some(std::env::var(name).ok()?.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let seeds = 0..number("NOVA_SEEDS").unwrap_or(SEEDS);
    for seed in number("NOVA_SEED").map_or(seeds, |seed| seed..seed + 1) {
        let ran = std::panic::catch_unwind(|| run(seed));
        if ran.is_err() {
            panic!("seed {seed}: run it alone with NOVA_SEED={seed}");
        }
    }
}

fn run(seed: u64) {
    // In every other world there is room for a few files only.
    let in_flight_bytes = [16 << 20, 500][(seed % 2) as usize];
    let mut world = World::configured(seed, CoordinatorConfig { in_flight_bytes, ..Default::default() });
    world.delay = [1, 20, 400][(seed % 3) as usize];
    let rounds = 1 + world.rng.below(3);
    for _ in 0..rounds {
        for _ in 0..world.rng.below(STEPS) {
            disturb(&mut world);
            for _ in 0..world.rng.below(6) {
                world.step();
            }
        }
        calm(&mut world);
        // Whoever asked for something has an answer; the longest of them, a search's, takes ten seconds.
        world.run_until("an answer for everybody", |world| world.open.is_empty() && world.is_settled());
        world.check();
        for (id, session) in &world.sessions {
            for shard in 0..SHARDS {
                if world.coordinator.status()[shard as usize].worker == Some(*id) {
                    assert!(session.worker.shard(shard).is_current(), "shard {shard}");
                }
            }
        }
    }
}

/// One thing that can happen.
fn disturb(world: &mut World) {
    let place = some_file(&mut world.rng);
    let ids: Vec<WorkerId> = world.sessions.keys().copied().collect();
    let some = ids.get(world.rng.below(ids.len() as u64 + 1) as usize).copied();
    match (world.rng.below(100), some) {
        (0..20, _) => {
            // Texts come back, so that old hashes fit again.
            let text = some_text(&mut world.rng, "N");
            world.save(&place, &text);
        }
        (20..28, _) => drop(world.remove(&place)),
        (28..32, _) => {
            world.write(&place, None);
            world.change(vec![nova_router::coordinator::Change::Disk(place)]);
        }
        (32..45, _) => {
            let text = some_text(&mut world.rng, "Unsaved");
            world.open(&place, &text);
        }
        (45..55, _) => drop(world.close(&place)),
        (55..65, _) => {
            let first = world.rng.below(u64::from(SHARDS)) as u32;
            let last = first + world.rng.below(u64::from(SHARDS - first)) as u32;
            world.connect(first..last + 1);
        }
        (65..71, Some(id)) => world.kill(id),
        (71..74, Some(id)) => world.sessions.get_mut(&id).expect("just seen").hung ^= true,
        (74..77, Some(id)) => {
            let lie = LIES[world.rng.below(LIES.len() as u64) as usize];
            world.sessions.get_mut(&id).expect("just seen").lies = Some(lie);
        }
        (77..80, _) => drop(world.index()),
        (80..82, _) => {
            let deadline = Some(Duration::from_millis(world.rng.below(300)));
            world.ask(Ask::Index { deadline });
        }
        (82..86, _) => {
            let ticket = nova_router::coordinator::Ticket(world.rng.below(60));
            world.post(Event::Cancel(ticket));
        }
        (86..97, _) => {
            let soft = Duration::from_millis(world.rng.below(100));
            world.start_search("Field", SearchOptions { limit: 5, soft, ..SearchOptions::default() });
        }
        (97, _) => world.restart_router(),
        (98, _) => world.caches.clear(),
        _ => drop(world.ask(Ask::Stats { deadline: Duration::from_secs(1) })),
    }
}

fn some_file(rng: &mut Rng) -> nova_router::coordinator::FilePath {
    let directories = [(0, ""), (0, "a/src/"), (0, "b/src/p/"), (1, "new/"), (1, "d/src/"), (1, "f/src/q/")];
    let (root, directory) = directories[rng.below(directories.len() as u64) as usize];
    file(root, &format!("{directory}F{}.java", rng.below(3)))
}

/// One of a few, of very different lengths.
fn some_text(rng: &mut Rng, name: &str) -> String {
    let number = rng.below(8);
    format!("{} // {}", class(&format!("{name}{number}")), "x".repeat(number as usize * 60))
}

const LIES: [fn(&mut Reply); 5] = [
    |reply| {
        if let Reply::Commit(counters) | Reply::Sync(SyncReply::Current(counters)) = reply {
            counters.epoch ^= 1;
        }
    },
    |reply| {
        if let Reply::Page(page) = reply {
            page.wanted.push((100, 1));
        }
    },
    |reply| {
        if let Reply::Search(reply) = reply {
            reply.hits.reverse();
        }
    },
    |reply| {
        if let Reply::Search(reply) = reply
            && let Some(hit) = reply.hits.first_mut()
        {
            hit.kind = SymbolKind::Module;
            hit.score = u32::MAX;
        }
    },
    |reply| {
        if let Reply::Load(reply) = reply {
            reply.files += 1;
        }
    },
];

/// Workers are honest, alive and there from now on. Whatever was cancelled or has failed begins again; sometimes at once, as
/// somebody asks for it.
fn calm(world: &mut World) {
    let ids: Vec<WorkerId> = world.sessions.keys().copied().collect();
    for id in ids {
        if let Some(session) = world.sessions.get_mut(&id) {
            session.lies = None;
        }
        world.resume(id);
    }
    let ticket = world.rng.percent(50).then(|| world.index());
    for _ in 0..200_000 {
        // One that has lied may still be thrown out, and one that had hung.
        world.connect_all();
        if world.is_settled() && ticket.is_none_or(|ticket| world.outcomes.contains_key(&ticket)) {
            return;
        }
        assert!(world.step(), "nothing happens any more: {:#?}", world.coordinator.status());
    }
    panic!("it does not end: {:#?}", world.coordinator.status());
}
