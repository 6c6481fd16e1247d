//! Who answers a command: a router of its own, or a daemon that runs already. What comes is the same.

use std::path::PathBuf;

use nova_proto_core::messages::{
    FindReply, IndexReply, ListedSymbol, ShardReport, SkippedEntry, WorkerReport,
};
use nova_proto_core::{ErrorCode, ErrorReply};

use super::args::{DaemonArgs, WorkspaceArgs};
use super::output::{Failure, count, tell};
use super::workspace::{Access, Workspace};
use super::{daemon, progress};
use crate::cluster::ListedSymbols;
use crate::control::{Client, ClientError, Find, Listing, answers};

/// A workspace that can be asked.
pub(super) struct Session {
    /// Canonical, by their numbers.
    pub(super) roots: Vec<PathBuf>,
    who: Who,
}

enum Who {
    Own(Box<Workspace>),
    Daemon(Client),
}

/// What `nova index` tells.
pub(super) struct Details {
    pub(super) shards: Vec<ShardReport>,
    pub(super) workers: Vec<WorkerReport>,
    pub(super) skipped: Vec<SkippedEntry>,
    pub(super) left_out: u64,
}

impl Session {
    /// Waits until every shard is ready or has failed.
    pub(super) async fn settled(
        args: &WorkspaceArgs,
        daemon: &DaemonArgs,
    ) -> Result<(Self, IndexReply), Failure> {
        let (session, reply) = match daemon::join(args, daemon).await? {
            Some((roots, client)) => {
                let bar = progress::waiting("waiting for the daemon's index");
                let reply = client.index(true).await;
                bar.finish_and_clear();
                (Self { roots, who: Who::Daemon(client) }, reply.map_err(Failure::from)?)
            }
            None => {
                let workspace = Workspace::start(args, Access::default()).await?;
                progress::until_settled(&workspace.router).await;
                let reply = answers::index_reply(&workspace.router);
                let roots = workspace.router.roots().to_vec();
                (Self { roots, who: Who::Own(Box::new(workspace)) }, reply)
            }
        };
        let problem = &reply.problem;
        if reply.ready < reply.total && reply.ready == 0 {
            let hint = match session.who {
                Who::Own(_) => "run again with NOVA_LOG=debug to see what the workers say",
                Who::Daemon(_) => "`nova status` tells of each shard what it waits for",
            };
            session.end().await;
            return Err(Failure::nothing_indexed(&format!("no shard could be indexed: {problem}"), hint));
        }
        if reply.ready < reply.total {
            tell(format!("nova: some shards could not be indexed: {problem}\n")).await;
        }
        Ok((session, reply))
    }

    /// Like [`settled`](Self::settled), for commands that do not name what was skipped: they say that there is something.
    pub(super) async fn indexed(args: &WorkspaceArgs, daemon: &DaemonArgs) -> Result<Self, Failure> {
        let (session, reply) = Self::settled(args, daemon).await?;
        if reply.files == 0 {
            let first = session.details().await.ok().and_then(|details| details.skipped.into_iter().next());
            let first = first.map(|file| format!("; {}: {}", file.path, file.detail)).unwrap_or_default();
            session.end().await;
            let message = match reply.skipped {
                0 => "there is no Java file any more".to_owned(),
                skipped => format!("none of {} could be read{first}", count(skipped, "Java file")),
            };
            let hint = "`nova index` names each file and what is wrong with it";
            return Err(Failure::nothing_indexed(&message, hint));
        }
        match reply.skipped {
            0 => {}
            1 => tell("nova: 1 file was skipped; `nova index` names it\n".to_owned()).await,
            more => tell(format!("nova: {more} files were skipped; `nova index` names them\n")).await,
        }
        Ok(session)
    }

    pub(super) async fn find(&self, find: &Find<'_>) -> Result<FindReply, Failure> {
        match &self.who {
            Who::Own(workspace) => answers::find(&workspace.router, &find.message()).await.map_err(refused),
            Who::Daemon(client) => Ok(client.find(find).await?),
        }
    }

    pub(super) async fn details(&self) -> Result<Details, Failure> {
        Ok(match &self.who {
            Who::Own(workspace) => {
                let router = &workspace.router;
                let stats = router.worker_stats().await;
                let (shards, skipped) = (answers::shards(router, &stats), answers::skipped(router, &stats));
                let status = answers::router_status(router, stats);
                Details { shards, workers: status.workers, skipped, left_out: status.left_out }
            }
            Who::Daemon(client) => {
                let (shards, skipped, status) =
                    tokio::try_join!(client.shards(), client.skipped(), client.status())?;
                Details { shards, workers: status.workers, skipped, left_out: status.left_out }
            }
        })
    }

    /// All symbols, in order.
    pub(super) fn list(&self) -> Symbols<'_> {
        match &self.who {
            Who::Own(workspace) => Symbols::Own(workspace.router.list()),
            Who::Daemon(client) => Symbols::Daemon(client.list()),
        }
    }

    pub(super) async fn end(self) {
        match self.who {
            Who::Own(workspace) => workspace.stop().await,
            Who::Daemon(client) => client.close().await,
        }
    }
}

/// A listing of all symbols.
pub(super) enum Symbols<'a> {
    Own(ListedSymbols),
    Daemon(Listing<'a>),
}

impl Symbols<'_> {
    /// The next files with symbols: of each its root's number, its path and its symbols.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<(usize, String, Vec<ListedSymbol>)>>, Failure> {
        Ok(match self {
            Self::Own(listed) => {
                let file = listed.next().await.map_err(|error| Failure::internal(&error.to_string()))?;
                file.map(|file| vec![file])
            }
            Self::Daemon(listing) => listing.next().await?.map(|files| {
                files.into_iter().map(|(root, path, symbols)| (root as usize, path, symbols)).collect()
            }),
        })
    }
}

fn refused(error: ErrorReply) -> Failure {
    match error.code {
        ErrorCode::INVALID => Failure::usage(&error.message, "shorten the query"),
        _ => Failure::internal(&error.message),
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(error) => refused(error),
            ClientError::TimedOut => Self::silent(
                "the daemon does not answer",
                "run `nova stop`, then the command again; or give --no-daemon",
            ),
            ClientError::Protocol(problem) => Self::internal(&problem),
            error => Self::cannot_connect(&error.to_string(), "run the command again"),
        }
    }
}
