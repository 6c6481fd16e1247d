//! Reads what a connection sends, and holds it to the rules of a sender.

use std::collections::{BTreeMap, BTreeSet};

use nova_proto_core::frame::{Error, PacketChunk, Request, Response};
use nova_proto_core::{ACK_EVERY, MIN_CHUNK, Role};
use serde::Deserialize;

use crate::common::wire::{self, Sent};

#[derive(Debug, Default)]
pub(crate) struct Referee {
    /// Requests it has opened, in order.
    pub(crate) requests: Vec<u64>,
    /// Bodies that are not complete, and what they lack.
    left: BTreeMap<u64, u32>,
    /// Requests of the peer with a response begun, with a terminal answer, and requests of its own it has cancelled.
    responses: BTreeSet<u64>,
    answered: BTreeSet<u64>,
    cancelled: BTreeSet<u64>,
    acked: u64,
    over: bool,
    /// Everything that was sent.
    pub(crate) frames: usize,
}

impl Referee {
    pub(crate) fn read(&mut self, role: Role, max_frame: u32, bytes: &[u8]) {
        for frame in wire::frames(bytes) {
            assert!(!self.over, "{frame:?} behind the last frame");
            assert!(frame.content.len() < max_frame as usize, "{frame:?} is too long for the peer");
            self.frames += 1;
            self.frame(role, &frame);
        }
    }

    fn frame(&mut self, role: Role, frame: &Sent) {
        match frame.kind {
            wire::REQUEST => {
                let (request, body) = split::<Request>(frame);
                assert_eq!(request.id % 2 == 1, role == Role::Worker, "{request:?}");
                assert!(self.requests.last().is_none_or(|last| request.id > *last), "{request:?}");
                self.requests.push(request.id);
                self.left.insert(request.id, request.body_len);
                self.part(request.id, body);
            }
            wire::RESPONSE => {
                let (response, body) = split::<Response>(frame);
                assert_ne!(response.id % 2 == 1, role == Role::Worker, "{response:?}");
                assert!(!self.answered.contains(&response.id), "{response:?} behind the answer");
                assert!(self.responses.insert(response.id), "{response:?} again");
                self.left.insert(response.id, response.body_len);
                self.part(response.id, body);
            }
            wire::CHUNK => {
                let (chunk, body) = split::<PacketChunk>(frame);
                self.part(chunk.id, body);
            }
            wire::ERROR => {
                let (error, _) = split::<Error>(frame);
                assert!(self.answered.insert(error.id), "{error:?} behind the answer");
                self.left.remove(&error.id);
            }
            wire::CANCEL => {
                let id = frame.int(0);
                assert!(self.requests.contains(&id) && self.cancelled.insert(id), "cancel of {id}");
                self.left.remove(&id);
            }
            wire::ACK => {
                let received = frame.int(0);
                assert!(received >= self.acked + ACK_EVERY, "{received} after {}", self.acked);
                self.acked = received;
            }
            wire::CLOSE | wire::REJECT => self.over = true,
            _ => {}
        }
    }

    fn part(&mut self, id: u64, carried: u32) {
        let left = self.left.get_mut(&id).unwrap_or_else(|| panic!("a body of {id} that is not open"));
        assert!(
            carried <= *left && (carried == *left || carried >= MIN_CHUNK),
            "{carried} of {left} of {id}"
        );
        *left -= carried;
        if *left == 0 {
            self.left.remove(&id);
            if self.responses.contains(&id) {
                assert!(self.answered.insert(id), "two answers to {id}");
            }
        }
    }
}

/// The header, and how much of a body stands behind it.
fn split<'a, T: Deserialize<'a>>(frame: &'a Sent) -> (T, u32) {
    let (header, body) = postcard::take_from_bytes(&frame.content).expect("a header");
    (header, body.len() as u32)
}
