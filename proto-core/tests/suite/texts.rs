//! What people read in logs and error messages: it says what happened, and no secret.

use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_proto_core::{Body, CloseCode, Config, Connection, Event, ForeignProtocol, Role};

use crate::common::victim::Victim;
use crate::common::wire;

#[test]
fn a_foreign_protocol_is_named_with_what_to_do() {
    for (protocol, says) in [
        (ForeignProtocol::Tls, "use tcp+tls:"),
        (ForeignProtocol::Http, "HTTP"),
        (ForeignProtocol::Ssh, "check the port"),
        (ForeignProtocol::LockstepV2, "upgrade it to v3"),
        (ForeignProtocol::OtherMajor, "another major version"),
        (ForeignProtocol::Unknown, "does not speak"),
    ] {
        assert!(protocol.to_string().contains(says), "{protocol}");
    }
}

#[test]
fn a_violation_names_the_frame_and_the_request() {
    let mut victim = Victim::router();
    victim.closes(&wire::cancel(7), CloseCode::ID_NOT_OPEN);
    let reason = victim.conn.close_reason().expect("closed").to_string();
    assert!(reason.contains("Cancel") && reason.contains('7'), "{reason}");
}

#[test]
fn configuration_and_connection_show_how_they_are_and_no_secret() {
    let config = Config { hello: Bytes::from_static(b"hunter2"), ..Config::new(Role::Worker) };
    let shown = format!("{config:?}");
    assert!(shown.contains("hello: 7 bytes") && !shown.contains("hunter2"), "{shown}");
    let connection = Connection::new(config, Instant::now()).expect("a good configuration");
    let shown = format!("{connection:?}");
    assert!(shown.contains("role: Worker") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn events_and_bodies_show_lengths_and_no_content() {
    let secret = Bytes::from_static(b"hunter2");
    assert_eq!(format!("{:?}", Event::Hello { app: secret.clone() }), "Hello(7 bytes)");
    assert_eq!(format!("{:?}", Body::from(secret)), "Body(7 bytes, None)");
}

#[test]
fn an_answer_that_is_not_wanted_says_why() {
    let ask = wire::Ask { id: 1, deadline_ms: 1000, ..wire::Ask::default() };
    for (cancelled, says) in [(true, "cancelled by the requester"), (false, "the deadline passed")] {
        let mut victim = Victim::router();
        let events = victim.takes(&ask.frame(b"").bytes());
        let [Event::Request(request)] = &events[..] else { panic!("{events:?}") };
        if cancelled {
            victim.takes(&wire::cancel(1));
        } else {
            victim.pass(Duration::from_secs(1));
        }
        victim.conn.respond(request.id, "too late").expect("owed");
        let out = String::from_utf8_lossy(&victim.output()).into_owned();
        assert!(out.contains(says), "{out:?}");
    }
}
