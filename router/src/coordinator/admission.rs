//! Who is let in.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nova_proto_core::CloseCode;
use nova_proto_core::messages::{Token, WorkerHello, WorkerWelcome, shards_in};

use super::calls::CallPurpose;
use super::sessions::Worker;
use super::{Action, Coordinator, Failure, Reply, WorkerId};

/// When a refused worker may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long a worker has to show that it is there, when another one claims its shards. More than a busy one needs; the
/// connection's own keepalive takes four times as long.
const ALIVE_WITHIN: Duration = Duration::from_secs(5);

/// Why the connection of one ends that does not.
const REPLACED: &str = "another worker claims its shards, and it does not answer";

/// What the way of a worker's bytes tells.
#[derive(Debug, Clone)]
pub struct Origin {
    /// For people.
    pub peer: String,
    /// Whether others can read what it sends.
    pub plaintext: bool,
}

/// Why a worker is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For programs.
    pub code: CloseCode,
    /// When to try again.
    pub retry_after: Duration,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// Of a claim, or of what should be one.
    pub(crate) fn claim(message: String) -> Self {
        Self { code: CloseCode::CLAIM_REFUSED, retry_after: RETRY_AFTER, message }
    }
}

/// Who may be let in.
#[derive(Debug, Clone, Default)]
pub struct AdmissionPolicy {
    /// The secret that workers must send, if any.
    pub token: Option<Token>,
    /// Whether a token may come where others can read it.
    pub plaintext_tokens: bool,
}

impl Coordinator {
    /// Decides about a worker, and reserves its shards: until [`Event::Disconnected`](super::Event::Disconnected) tells of
    /// its end, which must come for every worker that was let in. There may be something to do afterwards.
    ///
    /// A shard has one worker. Who claims one that is taken is refused, as nobody can take a shard from a worker that lives;
    /// but the connection of one that has restarted may not be known to have ended. So the one that has the shard is asked
    /// for nothing, and if it does not answer, its connection ends, and the next try finds the shard free.
    ///
    /// # Errors
    /// Why it is not let in.
    pub fn admit(
        &mut self,
        worker: WorkerId,
        hello: &WorkerHello,
        origin: &Origin,
        now: Instant,
    ) -> Result<WorkerWelcome, Refusal> {
        let refusal = |code, message| Refusal { code, retry_after: RETRY_AFTER, message };
        // First who it is: a stranger learns nothing about shards.
        self.authorize(hello, origin)
            .map_err(|message| refusal(CloseCode::UNAUTHORIZED, message.to_owned()))?;
        let shards = self.claim(hello).map_err(|message| refusal(CloseCode::CLAIM_REFUSED, message))?;
        if let Some(&taken) = shards.iter().find(|&&shard| self.slots[shard as usize].worker.is_some()) {
            let holders: BTreeSet<WorkerId> =
                shards.iter().filter_map(|&shard| self.slots[shard as usize].worker).collect();
            holders.into_iter().for_each(|holder| self.doubt(holder, now));
            let message = format!("shard {taken} already has a connected worker");
            return Err(Refusal { retry_after: ALIVE_WITHIN, ..Refusal::claim(message) });
        }
        for &shard in &shards {
            self.slots[shard as usize].worker = Some(worker);
        }
        self.workers.insert(worker, Worker::new(shards));
        self.changed = true;
        Ok(WorkerWelcome {
            worker_id: worker.0,
            epoch: self.epoch,
            build: concat!("nova-router ", env!("CARGO_PKG_VERSION")).to_owned(),
        })
    }

    fn authorize(&self, hello: &WorkerHello, origin: &Origin) -> Result<(), &'static str> {
        let policy = &self.config.admission;
        match (&policy.token, &hello.token) {
            (_, Some(_)) if origin.plaintext && !policy.plaintext_tokens => Err(
                "a token came over tcp:, where others can read it; choose a new one, and use tcp+tls: or unix:",
            ),
            (Some(asked), Some(given)) if asked != given => Err("the token is not this router's"),
            (Some(_), None) => {
                Err("this router asks for a token; set NOVA_AUTH_TOKEN, or see --auth-token-file")
            }
            _ => Ok(()),
        }
    }

    /// Asks a worker whether it is there.
    fn doubt(&mut self, id: WorkerId, now: Instant) {
        let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.connected) else { return };
        if !std::mem::replace(&mut worker.doubted, true) {
            let nothing = worker.nothing();
            self.call(id, nothing, CallPurpose::Alive, 0, Some(ALIVE_WITHIN), now);
        }
    }

    /// It was asked whether it is there. Whatever it says, it is.
    pub(super) fn on_alive(&mut self, id: WorkerId, result: &Result<Reply, Failure>, now: Instant) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.doubted = false;
        if matches!(result, Err(Failure::Late)) {
            self.act(Action::Close(id, CloseCode::NORMAL, REPLACED.to_owned()));
            self.on_disconnected(id, REPLACED, now);
        }
    }

    /// The shards of a claim.
    fn claim(&self, hello: &WorkerHello) -> Result<Vec<u32>, String> {
        let shards = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        if hello.claim.is_empty() {
            return Err("no shard is claimed".to_owned());
        }
        shards_in(&hello.claim, shards).ok_or_else(|| {
            format!("the claim names unknown shards: this workspace has {shards}, numbered from 0")
        })
    }
}
