//! Who is let in.

use std::time::Duration;

use nova_proto_core::CloseCode;
use nova_proto_core::messages::{Token, WorkerHello, WorkerWelcome, shards_in};

use super::sessions::Worker;
use super::{Coordinator, WorkerId};

/// When a refused worker may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

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
    /// its end, which must come for every worker that was let in.
    ///
    /// # Errors
    /// Why it is not let in.
    pub fn admit(
        &mut self,
        worker: WorkerId,
        hello: &WorkerHello,
        origin: &Origin,
    ) -> Result<WorkerWelcome, Refusal> {
        let refusal = |code, message| Refusal { code, retry_after: RETRY_AFTER, message };
        // First who it is: a stranger learns nothing about shards.
        self.authorize(hello, origin)
            .map_err(|message| refusal(CloseCode::UNAUTHORIZED, message.to_owned()))?;
        let shards = self.claim(hello).map_err(|message| refusal(CloseCode::CLAIM_REFUSED, message))?;
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

    /// The shards of a claim, if all of them are free.
    fn claim(&self, hello: &WorkerHello) -> Result<Vec<u32>, String> {
        let shards = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        if hello.claim.is_empty() {
            return Err("no shard is claimed".to_owned());
        }
        let claimed = shards_in(&hello.claim, shards).ok_or_else(|| {
            format!("the claim names unknown shards: this workspace has {shards}, numbered from 0")
        })?;
        match claimed.iter().find(|&&shard| self.slots[shard as usize].worker.is_some()) {
            Some(shard) => Err(format!("shard {shard} already has a connected worker")),
            None => Ok(claimed),
        }
    }
}
