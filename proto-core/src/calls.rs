//! Our requests, from the application's wish to their end.
//!
//! ```text
//!            admitted: first frame encoded          terminal answer complete
//!   waiting ────────────────────────────► open ────────────────────────────► answered
//!      │                                    │                                    │
//!      │ cancel, deadline, drain            │ cancel, deadline: abandoned;       │ own body ended
//!      ▼                                    ▼ its answer is only counted         ▼ (all sent, or Cancel)
//!    gone                                 (open)                               closed
//! ```
//!
//! Nothing here sees a frame's bytes.

use std::collections::VecDeque;
use std::time::Instant;

use crate::assembly::Assembly;
use crate::config::{Compression, Limits, SMALL_BODY};
use crate::event::{Body, CallKey, TraceContext};
use crate::id::RequestId;
use crate::rising::Rising;

/// One request of ours.
#[derive(Debug)]
pub(crate) struct OwnCall {
    pub(crate) method: u16,
    pub(crate) body: Body,
    pub(crate) reply_max: u32,
    /// What it costs of the peer's work budget; kept, for the body is freed as soon as it is sent.
    pub(crate) cost: u64,
    pub(crate) deadline: Option<Instant>,
    pub(crate) trace: Option<TraceContext>,
    /// Set with the first frame.
    pub(crate) id: Option<RequestId>,
    /// How much of the body was sent.
    pub(crate) sent: usize,
    /// All sent, or `Cancel` sent.
    pub(crate) body_ended: bool,
    /// The application has its outcome, or does not want one.
    pub(crate) abandoned: bool,
    /// A `Cancel` is to be sent.
    pub(crate) cancel_due: bool,
    pub(crate) reply: Reply,
}

/// The answer to one of our requests.
#[derive(Debug)]
pub(crate) enum Reply {
    None,
    Arriving { assembly: Assembly, compression: Compression, raw_len: u32 },
    Done,
}

impl OwnCall {
    /// Whether it is small each way.
    pub(crate) fn is_small(&self) -> bool {
        self.cost == 0
    }

    fn is_closed(&self) -> bool {
        self.body_ended && matches!(self.reply, Reply::Done)
    }
}

/// The cost of a request in the receiver's work budget; see [`SMALL_BODY`].
pub(crate) fn cost(body: u64, raw_len: u32, reply_max: u32) -> u64 {
    let small = u64::from(SMALL_BODY);
    if body <= small && u64::from(raw_len) <= small && reply_max <= SMALL_BODY {
        0
    } else {
        body.saturating_add(u64::from(raw_len)).saturating_add(u64::from(reply_max))
    }
}

/// All our requests.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    calls: Rising<CallKey, OwnCall>,
    by_id: Rising<RequestId, CallKey>,
    next_key: u64,
    /// Small requests not sent yet, in order.
    small: VecDeque<CallKey>,
    /// Large requests not sent yet, in order.
    large: VecDeque<CallKey>,
    /// `Cancel`s to send.
    cancels: VecDeque<CallKey>,
    /// What the open requests cost together.
    cost: u64,
}

impl Calls {
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// How many are open at the peer.
    pub(crate) fn open(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn get(&self, key: CallKey) -> Option<&OwnCall> {
        self.calls.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: CallKey) -> Option<&mut OwnCall> {
        self.calls.get_mut(key)
    }

    pub(crate) fn key(&self, id: RequestId) -> Option<CallKey> {
        self.by_id.get(id).copied()
    }

    /// Adds a request that waits for its turn.
    pub(crate) fn insert(&mut self, call: OwnCall) -> CallKey {
        let key = CallKey(self.next_key);
        self.next_key = self.next_key.saturating_add(1);
        let queue = if call.is_small() { &mut self.small } else { &mut self.large };
        queue.push_back(key);
        self.calls.insert(key, call);
        key
    }

    /// Whether another request of this cost fits what the peer accepts now.
    fn fits(&self, cost: u64, peer: &Limits) -> bool {
        self.open() < peer.max_concurrent as usize && self.cost.saturating_add(cost) <= peer.work_budget
    }

    /// Whether another request of this cost could go out without waiting for an answer, all that wait here before it.
    /// A small one needs a slot only, however much budget the others wait for.
    pub(crate) fn fits_behind_waiting(&self, cost: u64, peer: &Limits) -> bool {
        let waiting = self.large.iter().filter_map(|key| self.calls.get(*key));
        let total = waiting.map(|call| call.cost).fold(self.cost.saturating_add(cost), u64::saturating_add);
        self.len() < peer.max_concurrent as usize && (cost == 0 || total <= peer.work_budget)
    }

    /// Whether the large request whose turn it is may open now.
    pub(crate) fn large_ready(&self, peer: &Limits) -> bool {
        let head = self.large.front().and_then(|key| self.calls.get(*key));
        head.is_some_and(|call| self.fits(call.cost, peer))
    }

    /// Whether a small request may open now. The last slot is left to a large one whose budget is free, or steady
    /// small traffic would keep it waiting for ever.
    pub(crate) fn small_ready(&self, peer: &Limits) -> bool {
        let reserved = usize::from(self.large_ready(peer));
        !self.small.is_empty() && self.open().saturating_add(reserved) < peer.max_concurrent as usize
    }

    /// The next small request to open.
    pub(crate) fn next_small(&mut self, peer: &Limits) -> Option<CallKey> {
        if self.small_ready(peer) { self.small.pop_front() } else { None }
    }

    /// The next large request to open.
    pub(crate) fn next_large(&mut self, peer: &Limits) -> Option<CallKey> {
        if self.large_ready(peer) { self.large.pop_front() } else { None }
    }

    /// The first frame is about to be encoded.
    pub(crate) fn open_as(&mut self, key: CallKey, id: RequestId) {
        if let Some(call) = self.calls.get_mut(key) {
            call.id = Some(id);
            self.cost = self.cost.saturating_add(call.cost);
            self.by_id.insert(id, key);
        }
    }

    /// A request that was never sent goes away; `None` if it was sent or is unknown.
    pub(crate) fn withdraw(&mut self, key: CallKey) -> Option<OwnCall> {
        if self.calls.get(key)?.id.is_some() {
            return None;
        }
        self.small.retain(|waiting| *waiting != key);
        self.large.retain(|waiting| *waiting != key);
        self.calls.remove(key)
    }

    /// All requests not sent yet go away.
    pub(crate) fn withdraw_all(&mut self) -> Vec<(CallKey, OwnCall)> {
        let waiting = self.small.drain(..).chain(self.large.drain(..));
        waiting.filter_map(|key| Some((key, self.calls.remove(key)?))).collect()
    }

    /// Wants a `Cancel` sent, once, if the request is still open.
    pub(crate) fn want_cancel(&mut self, key: CallKey) {
        if let Some(call) = self.calls.get_mut(key)
            && !call.cancel_due
            && !call.is_closed()
        {
            call.cancel_due = true;
            self.cancels.push_back(key);
        }
    }

    pub(crate) fn cancel_ready(&self) -> bool {
        !self.cancels.is_empty()
    }

    /// The next `Cancel` to send; it ends the request's body.
    pub(crate) fn next_cancel(&mut self) -> Option<(CallKey, RequestId)> {
        while let Some(key) = self.cancels.pop_front() {
            let Some(call) = self.calls.get_mut(key) else { continue };
            call.body_ended = true;
            call.body.bytes.clear();
            let id = call.id;
            self.close_if_done(key);
            if let Some(id) = id {
                return Some((key, id));
            }
        }
        None
    }

    /// The terminal answer is complete. Returns whether the application still waits for the outcome.
    pub(crate) fn answered(&mut self, key: CallKey) -> bool {
        let Some(call) = self.calls.get_mut(key) else { return false };
        let wanted = !call.abandoned;
        call.abandoned = true;
        call.reply = Reply::Done;
        self.close_if_done(key);
        wanted
    }

    /// Forgets a request whose answer is complete and whose body has ended.
    pub(crate) fn close_if_done(&mut self, key: CallKey) {
        if let Some(call) = self.calls.get(key)
            && call.is_closed()
        {
            self.cost = self.cost.saturating_sub(call.cost);
            if let Some(id) = call.id {
                self.by_id.remove(id);
            }
            self.calls.remove(key);
        }
    }

    /// Takes all requests out, at the connection's end.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (CallKey, OwnCall)> + use<> {
        let all = std::mem::take(self);
        self.next_key = all.next_key;
        all.calls.into_iter()
    }
}
