//! Stalls: a peer that does not read, or does not acknowledge, is given up.

use bytes::Bytes;
use nova_proto_core::{ACK_EVERY, Call, CloseCode, CloseReason, Config, ErrorCode, ErrorReply, Event, Role};

use crate::common::app::Profile;
use crate::common::for_seeds;
use crate::common::pair::{Pair, ROUTER, Setup, WORKER};
use crate::common::victim::Victim;
use crate::common::wire::{self, Offer};
use crate::timers::{MS, secs, times_out};

#[test]
fn a_peer_that_acknowledges_nothing_for_10_seconds_is_given_up() {
    let mut victim = Victim::router();
    victim.conn.call(Call::new(1, vec![0; 1 << 20]), victim.now).expect("open");
    victim.output();
    victim.pass(secs(9));
    victim.takes(&wire::raw(0x99, b""));
    times_out(&mut victim, secs(1), CloseCode::SLOW_READER);
}

#[test]
fn an_acknowledgement_begins_the_wait_again() {
    let mut victim = Victim::router();
    victim.conn.call(Call::new(1, vec![0; 400_000]), victim.now).expect("open");
    victim.output();
    for received in [65_536, 131_072, 196_608, 262_144, 327_680] {
        victim.pass(secs(9));
        victim.takes(&wire::ack(received));
    }
    // 72,320 bytes are left, one acknowledgement is owed.
    times_out(&mut victim, secs(10), CloseCode::SLOW_READER);
}

#[test]
fn less_than_64_kib_outstanding_is_no_stall() {
    let mut victim = Victim::router();
    victim.conn.call(Call::new(1, vec![0; 65_535]), victim.now).expect("open");
    victim.output();
    for _ in 0..5 {
        victim.pass(secs(9));
        victim.takes(&wire::raw(0x99, b""));
    }
    assert_eq!(victim.conn.close_reason(), None, "the receiver owes nothing");
}

#[test]
fn output_that_nobody_takes_for_10_seconds_is_a_stall() {
    let mut victim = Victim::router();
    victim.takes(&wire::ping(1));
    victim.pass(secs(9));
    victim.takes(&wire::ping(2));
    times_out(&mut victim, secs(1), CloseCode::SLOW_READER);
}

/// Nothing was read while this side was suspended: what the peer owes may have come long ago.
#[test]
fn a_suspension_of_this_side_does_not_count_against_the_peer() {
    for suspended in [secs(11), secs(60), secs(24 * 60 * 60)] {
        let mut victim = Victim::router();
        let call = Call { timeout: None, ..Call::new(1, vec![0; 100_000]) };
        victim.conn.call(call, victim.now).expect("open");
        victim.output();
        assert_eq!(victim.pass(suspended), [], "the acknowledgement is still to be read");
        victim.sent();
        victim.takes(&wire::ack(65_536));
        assert_eq!(victim.conn.close_reason(), None);
    }
    // What waits to be written has its time again, too, and so has the answer to a ping.
    let mut victim = Victim::router();
    victim.takes(&wire::ping(1));
    assert_eq!(victim.pass(secs(30)), [], "the socket was not asked whether it takes more");
    times_out(&mut victim, secs(10), CloseCode::SLOW_READER);
    let mut victim = Victim::router();
    victim.pass(secs(10));
    let ping = victim.sent()[0].int(0);
    assert_eq!(victim.pass(secs(30)), [], "the pong is still to be read");
    victim.takes(&wire::pong(ping));
    assert_eq!(victim.conn.close_reason(), None);
}

/// A peer that does nothing is given up all the same, once: lateness only begins its time again.
#[test]
fn a_peer_that_is_gone_after_a_suspension_is_given_up() {
    let mut victim = Victim::router();
    let call = Call { timeout: None, ..Call::new(1, vec![0; 100_000]) };
    victim.conn.call(call, victim.now).expect("open");
    victim.output();
    victim.pass(secs(100));
    victim.sent();
    times_out(&mut victim, secs(10), CloseCode::SLOW_READER);
    // A busy process looks a little late: that is no suspension.
    let mut victim = Victim::router();
    victim.pass(secs(10));
    victim.sent();
    victim.pass(secs(11) - MS);
    assert_eq!(victim.conn.close_reason(), Some(&CloseReason::Timeout(CloseCode::KEEPALIVE_TIMEOUT)));
}

#[test]
fn whatever_waits_alone_and_is_not_taken_for_10_seconds_is_a_stall() {
    type Waits = fn(&mut Victim);
    let large = |victim: &mut Victim| {
        victim.conn.call(Call::new(1, vec![0; 200_000]), victim.now).expect("open");
    };
    let kinds: [(&str, Waits); 4] = [
        ("GoAway", |victim| {
            victim.takes(&wire::request(1, b""));
            victim.conn.drain(secs(60), victim.now).expect("open");
        }),
        ("a small call", |victim| {
            victim.conn.call(Call::new(1, ""), victim.now).expect("open");
        }),
        ("a large call that has not begun", large),
        ("the rest of a large call", |victim| {
            victim.conn.call(Call::new(1, vec![0; 400_000]), victim.now).expect("open");
            assert!(victim.conn.poll_transmit(&mut Vec::new(), 1) > 0);
        }),
    ];
    for (what, waits) in kinds {
        println!("{what}");
        let mut victim = Victim::router();
        waits(&mut victim);
        times_out(&mut victim, secs(10), CloseCode::SLOW_READER);
    }
}

/// A command that makes output and tells no time.
type Command = Box<dyn FnOnce(&mut Victim)>;

/// All of them: what they give to send waits from the next time that is told, which a driver does at once.
fn untimed() -> [(&'static str, Victim, Command); 4] {
    let mut welcomes = Victim::fresh(Config::new(Role::Router));
    welcomes.takes(&Offer::default().opening(Role::Worker));
    let mut cancels = Victim::router();
    let key = cancels.conn.call(Call::new(1, vec![0; 10]), cancels.now).expect("open");
    cancels.output();
    let asked = || {
        let mut victim = Victim::router();
        match &victim.takes(&wire::request(1, b""))[..] {
            [Event::Request(request)] => (victim, request.id),
            other => panic!("{other:?}"),
        }
    };
    let ((answers, first), (fails, second)) = (asked(), asked());
    let error = ErrorReply::new(ErrorCode::INVALID, "no");
    [
        (
            "a welcome",
            welcomes,
            Box::new(|victim| victim.conn.accept(Bytes::new()).expect("waits for the decision")),
        ),
        ("a cancel", cancels, Box::new(move |victim| assert!(victim.conn.cancel(key)))),
        ("an answer", answers, Box::new(move |victim| victim.conn.respond(first, "done").expect("owed"))),
        ("an error", fails, Box::new(move |victim| victim.conn.respond_error(second, error).expect("owed"))),
    ]
}

#[test]
fn what_a_command_gives_to_send_and_nobody_takes_for_10_seconds_is_a_stall() {
    for (what, mut victim, command) in untimed() {
        println!("{what}");
        command(&mut victim);
        victim.pass(secs(0));
        victim.events();
        times_out(&mut victim, secs(10), CloseCode::SLOW_READER);
    }
}

/// A handler may take its time while nothing else happens, and then its answer is new.
#[test]
fn the_time_before_a_command_does_not_count_against_the_peer() {
    for (what, mut victim, command) in untimed() {
        println!("{what}");
        // Nobody tells the connection.
        victim.now += secs(4);
        command(&mut victim);
        victim.pass(secs(0));
        victim.events();
        times_out(&mut victim, secs(10), CloseCode::SLOW_READER);
    }
}

/// It waits already.
#[test]
fn a_command_does_not_make_what_waits_wait_anew() {
    for (what, mut victim, command) in untimed().into_iter().skip(1) {
        println!("{what}");
        victim.takes(&wire::ping(1));
        victim.pass(secs(4));
        command(&mut victim);
        times_out(&mut victim, secs(6), CloseCode::SLOW_READER);
    }
}

#[test]
fn to_ask_for_no_output_is_not_to_take_it() {
    let mut victim = Victim::router();
    victim.takes(&wire::ping(1));
    victim.pass(secs(9));
    assert_eq!(victim.conn.poll_transmit(&mut Vec::new(), 0), 0);
    victim.takes(&wire::ping(2));
    times_out(&mut victim, secs(1), CloseCode::SLOW_READER);
}

#[test]
fn output_taken_a_little_at_a_time_is_no_stall() {
    let mut victim = Victim::router();
    victim.conn.call(Call::new(1, vec![0; 500_000]), victim.now).expect("open");
    let (mut out, mut sent, mut acked) = (Vec::new(), 0, 0);
    while victim.conn.poll_transmit(&mut out, 1) > 0 {
        sent += out.len();
        victim.pass(secs(1));
        // A little less than what came, for some of that is headers.
        let received = sent as u64 - 1000;
        if received - acked >= ACK_EVERY {
            victim.takes(&wire::ack(received));
            acked = received;
        }
        out.clear();
    }
    assert!(sent > 500_000);
    assert_eq!(victim.conn.close_reason(), None);
}
#[test]
fn a_stall_is_a_stall_even_with_pings_and_pongs_between() {
    for_seeds(20, |seed| {
        let mut setup = Setup::new(Profile { calls: 3, body: 1 << 20, large: 100, ..Profile::idle() });
        setup.profiles[WORKER] = Profile::idle();
        let mut pair = Pair::connected(seed, setup);
        // The worker's acknowledgements, like all it says, are lost.
        pair.pipes[WORKER].stalled = true;
        let start = pair.now;
        pair.run_until(|pair| pair.sides[ROUTER].app.closed.is_some());
        assert!(pair.now - start <= secs(21));
        let code = pair.sides[ROUTER].app.closed.as_ref().and_then(CloseReason::code);
        assert!([Some(CloseCode::SLOW_READER), Some(CloseCode::KEEPALIVE_TIMEOUT)].contains(&code));
    });
}
