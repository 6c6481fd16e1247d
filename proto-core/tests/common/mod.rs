//! What the tests share: seeded randomness, hand-built frames, one connection under attack, two in virtual time.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod app;
pub(crate) mod document;
pub(crate) mod pair;
pub(crate) mod rng;
pub(crate) mod split;
pub(crate) mod traffic;
pub(crate) mod victim;
pub(crate) mod wire;

use std::sync::OnceLock;

use bytes::Bytes;

/// Runs a test for many seeds, or for the one in `NOVA_SEED`. A failure says how to run its seed again.
pub(crate) fn for_seeds(count: u64, mut run: impl FnMut(u64)) {
    struct Report(u64);

    impl Drop for Report {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let thread = std::thread::current();
                let name = thread.name().unwrap_or_default();
                eprintln!("again with: NOVA_SEED={} cargo test -p nova-proto-core {name}", self.0);
            }
        }
    }

    let only = std::env::var("NOVA_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(0..count, |seed: u64| seed..seed + 1);
    for seed in seeds {
        let report = Report(seed);
        run(seed);
        drop(report);
    }
}

/// Bytes that differ from place to place, shared and never copied: `len` of them, which `tag` chooses.
pub(crate) fn pattern(tag: u64, len: usize) -> Bytes {
    static PATTERN: OnceLock<Bytes> = OnceLock::new();
    let all = PATTERN.get_or_init(|| {
        let mut rng = rng::Rng::new(0x5eed);
        (0..(4 << 20) + 1024).map(|_| rng.next() as u8).collect::<Vec<u8>>().into()
    });
    let from = (tag % 1021) as usize;
    all.slice(from..from + len)
}
