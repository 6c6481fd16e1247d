//! A connection's life as it looks from outside, for bytes cut in any way.

use nova_proto_core::{Body, Event};

use super::victim::Victim;
use super::wire::{self, Sent};

/// What can be seen of a connection's life from outside.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) events: Vec<String>,
    pub(crate) reason: Option<String>,
    pub(crate) output: Vec<Sent>,
}

/// Feeds pieces of these lengths, over and over; answers requests as they come.
pub(crate) fn feed(
    mut victim: Victim,
    bytes: &[u8],
    mut piece: impl FnMut(usize) -> usize,
    eager: bool,
) -> Seen {
    let (mut events, mut output) = (Vec::new(), Vec::new());
    let mut rest = bytes;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(piece(rest.len()));
        rest = later;
        victim.conn.receive(now, victim.now);
        while let Some(event) = victim.conn.poll_event() {
            events.push(format!("{event:?}"));
            match event {
                Event::Request(request) if request.body.bytes.first() != Some(&9) => {
                    let reply = Body::from(vec![3; request.reply_max.min(30_000) as usize]);
                    victim.conn.respond(request.id, reply).expect("owed");
                }
                Event::Hello { .. } => victim.conn.accept(bytes::Bytes::new()).expect("asked"),
                _ => {}
            }
        }
        if eager {
            output.extend(victim.sent());
        }
    }
    victim.conn.receive_eof();
    events.extend(victim.events().iter().map(|event| format!("{event:?}")));
    output.extend(victim.sent());
    output.retain(|frame| frame.kind != wire::ACK);
    let mut reason = victim.conn.close_reason().map(|reason| format!("{reason:?}"));
    if eager {
        // What overtakes what depends on when there was room, and so does what a close leaves unsent.
        output.sort_by_key(|frame| (frame.kind, frame.content.clone()));
        if reason.as_deref() != Some("Eof") {
            output.clear();
        }
        // This one says how much was sent by then.
        let ahead = |text: &mut String| {
            if text.contains("AckAhead") {
                text.truncate(text.find("sent: ").unwrap_or(text.len()));
            }
        };
        events.iter_mut().chain(&mut reason).for_each(ahead);
    }
    Seen { events, reason, output }
}
