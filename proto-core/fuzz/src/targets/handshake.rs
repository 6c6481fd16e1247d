//! The handshake of both roles: what is agreed follows from what both declared, and the other side agrees.

use bytes::Bytes;
use nova_proto_core::frame::{Hello, PREFACE, Welcome};
use nova_proto_core::messages::{WorkerHello, WorkerWelcome, decode};
use nova_proto_core::{Agreed, CloseCode, Config, Event, Limits, Role};
use std::time::Duration;

use crate::common::victim::{Victim, small_limits};
use crate::common::wire;
use crate::meter::Meter;
use crate::program::Program;

/// What a peer may cost that was not let in yet.
const MOST: usize = 64 * 1024;

/// A byte that chooses role and configuration, and the peer's bytes.
pub fn handshake(data: &[u8]) {
    let mut program = Program::new(data);
    let choice = program.byte();
    let role = if choice & 1 == 0 { Role::Router } else { Role::Worker };
    let config = Config {
        zstd: choice & 2 != 0,
        cancellation: choice & 4 == 0,
        limits: if choice & 8 != 0 { small_limits() } else { Limits::default() },
        versions: if choice & 16 != 0 { vec![(3, 2), (5, 1)] } else { vec![(3, 0)] },
        ..Config::new(role)
    };
    let mut meter = Meter::default();
    let mut victim = meter.run(MOST, || Victim::fresh(config.clone()));
    let stream = program.rest();
    for piece in stream.chunks(1000) {
        meter.run(MOST, || victim.conn.receive(piece, victim.now));
        // The rest is traffic, not handshake.
        let Some(event) = meter.run(MOST, || victim.conn.poll_event()) else { continue };
        match event {
            Event::Hello { app } => {
                return decide(&mut victim, &config, first(stream), &app, choice & 32 == 0);
            }
            Event::Connected { agreed, app } => return connected(&config, &first(stream), &agreed, &app),
            Event::Closed(_) => return,
            event => panic!("{event:?} in a handshake"),
        }
    }
}

/// The first frame behind the preface.
fn first<'a, T: serde::Deserialize<'a>>(stream: &'a [u8]) -> T {
    let content = &stream[PREFACE.len() + 5..];
    postcard::take_from_bytes(content).expect("it was understood").0
}

fn decide(victim: &mut Victim, config: &Config, hello: Hello, app: &Bytes, accept: bool) {
    assert_eq!(*app, hello.app);
    // What a worker says of itself may be anything; reading it is bounded by its 4 KiB.
    let _ = Meter::default().run(MOST, || decode::<WorkerHello>(app));
    if !accept {
        victim.conn.reject(CloseCode::UNAUTHORIZED, Duration::ZERO, "no").expect("it is asked for");
        assert!(matches!(victim.sent()[..], [ref sent] if sent.kind == wire::REJECT));
        return;
    }
    victim.conn.accept(Bytes::from_static(b"in")).expect("it is asked for");
    let Some(Event::Connected { agreed, .. }) = victim.conn.poll_event() else { panic!("it was accepted") };
    let answer = victim.output();
    let welcome: Welcome = first(&answer);
    assert_eq!(welcome.limits, config.limits);
    assert_eq!(agreed.peer_limits, hello.limits);
    assert_eq!(agreed.version, highest_common(&config.versions, &hello.versions));
    assert_eq!(agreed.cancellation, config.cancellation && hello.features & 1 == 1);
    assert_eq!(agreed.zstd, config.zstd && hello.compression.contains(&1));

    // The worker that would have said this takes the answer, and agrees to the same.
    let peer = Config {
        limits: hello.limits,
        versions: hello.versions,
        cancellation: hello.features & 1 == 1,
        zstd: hello.compression.contains(&1),
        ..Config::new(Role::Worker)
    };
    let events = Victim::fresh(peer).feed(&answer);
    let [Event::Connected { agreed: theirs, app }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*theirs, Agreed { peer_limits: config.limits, ..agreed });
    assert_eq!(app, "in");
}

fn highest_common(ours: &[(u16, u16)], theirs: &[(u16, u16)]) -> (u16, u16) {
    let both = ours.iter().flat_map(|our| theirs.iter().map(move |their| (our, their)));
    let common = both.filter(|(our, their)| our.0 == their.0).map(|(our, their)| *our.min(their));
    common.max().expect("it was accepted")
}

fn connected(config: &Config, welcome: &Welcome, agreed: &Agreed, app: &Bytes) {
    assert_eq!(*app, welcome.app);
    let _ = Meter::default().run(MOST, || decode::<WorkerWelcome>(app));
    let (major, minor) = agreed.version;
    assert!(config.versions.iter().any(|(ours, highest)| *ours == major && minor <= *highest));
    assert_eq!(agreed.version, welcome.version);
    assert_eq!(agreed.peer_limits, welcome.limits);
    assert!(config.cancellation || !agreed.cancellation);
    assert!(config.zstd || !agreed.zstd);
    let limits = agreed.peer_limits;
    assert!(
        limits.max_frame >= 16 * 1024 && limits.max_body >= limits.max_frame && limits.max_concurrent > 0
    );
    assert!(limits.work_budget >= 2 * u64::from(limits.max_body));
}
