//! What a host says to a router.

use std::path::PathBuf;
use std::time::Duration;

use nova_proto_core::messages::Token;
use nova_transport_tokio::{Address, ListenOptions};
use tokio_util::sync::CancellationToken;

use crate::coordinator::{AdmissionPolicy, CoordinatorConfig};
use crate::layout::DEFAULT_MAX_FILE_BYTES;

/// What a [`Router`](super::Router) is made with.
#[derive(Debug, Clone)]
pub struct RouterConfig {
    /// Where workers connect. Default: nowhere, for [`Router::in_process`](super::Router::in_process).
    pub listen: Option<Address>,
    /// Longest source file, in bytes; longer ones are skipped and named. Default 8 MiB: half of what a body may be.
    pub max_file_bytes: u64,
    /// How many bytes unsaved texts may take together; what does not fit is refused. Default 64 MiB. Memory: this much.
    pub overlay_bytes: u64,
    /// How many bytes of source text may be in memory for workers at once, over all shards. Default 16 MiB: enough to keep
    /// eight shards busy. Memory: three times this at worst, as a batch on its way is a copy, and may be compressed.
    pub in_flight_bytes: u64,
    /// How to listen: what `tcp+tls:` needs. Default: nothing.
    pub listen_options: ListenOptions,
    /// The secret that workers must send. Default: none.
    pub token: Option<Token>,
    /// Whether workers may send a token over `tcp:`, where others can read it. Default: no.
    pub plaintext_tokens: bool,
    /// Whether source text is compressed on its way, towards workers that can take that. Default: unless `listen` is on this
    /// machine, where it would take far longer than sending does. Memory: one batch more (1 MiB) for each that is sent.
    pub compress: bool,
    /// Where to keep, between runs, what tells that files have not changed, so that they need not be read again: a directory
    /// for these roots alone, which the workers may share; made if it is not there. Default: nowhere. Memory while it is
    /// read: one shard's part, about 100 bytes a file.
    pub cache_dir: Option<PathBuf>,
}

impl Default for RouterConfig {
    fn default() -> Self {
        let CoordinatorConfig { in_flight_bytes, overlay_bytes, .. } = CoordinatorConfig::default();
        Self {
            listen: None,
            max_file_bytes: DEFAULT_MAX_FILE_BYTES,
            overlay_bytes,
            in_flight_bytes,
            listen_options: ListenOptions::default(),
            token: None,
            plaintext_tokens: false,
            compress: false,
            cache_dir: None,
        }
    }
}

impl RouterConfig {
    /// The defaults, listening at `listen`.
    #[must_use]
    pub fn new(listen: Address) -> Self {
        Self { compress: !listen.is_local(), listen: Some(listen), ..Self::default() }
    }

    pub(super) fn coordinator(&self) -> CoordinatorConfig {
        CoordinatorConfig {
            in_flight_bytes: self.in_flight_bytes,
            overlay_bytes: self.overlay_bytes,
            max_file_bytes: self.max_file_bytes,
            admission: AdmissionPolicy { token: self.token.clone(), plaintext_tokens: self.plaintext_tokens },
        }
    }
}

/// How long to wait. Dropping the future of a call cancels it as well.
#[derive(Debug, Clone, Default)]
pub struct Wait {
    /// Longest wait. Default: none.
    pub deadline: Option<Duration>,
    /// Ends the wait from elsewhere. Default: nothing does.
    pub cancel: Option<CancellationToken>,
}

impl Wait {
    /// At most so long.
    #[must_use]
    pub fn at_most(deadline: Duration) -> Self {
        Self { deadline: Some(deadline), cancel: None }
    }
}

/// A change of one file, or of a directory.
#[derive(Debug, Clone)]
pub enum FileChange {
    /// It may have changed on disk, may have come or gone; of a directory, all that is known below it. Files that a walk
    /// would leave out are passed over. What is new in a directory that is new is to be named file by file, or found by
    /// [`Router::index_workspace`](super::Router::index_workspace).
    Disk(PathBuf),
    /// It has an unsaved text from now on, whatever the disk holds.
    Open {
        /// The file; it need not be there yet.
        path: PathBuf,
        /// All of its text.
        text: String,
    },
    /// What the disk holds counts again.
    Close(PathBuf),
}
