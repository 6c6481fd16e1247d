//! The client of a control socket.

use std::future::{Ready, ready};
use std::io;
use std::path::Path;
use std::time::Duration;

use nova_proto_core::messages::{
    ChangeReply, ClientForm, ClientHello, ClientWelcome, CloseOverlay, DecodeError, FindReply, FindSymbols,
    GetRouterStatus, GetShards, GetSkipped, IndexReply, IndexWorkspace, ListWorkspace, ListedSymbol, Method,
    NotifyChanges, OpenOverlay, RouterStatus, ShardReport, SkippedEntry, StopRouter, Stopped, SymbolKind,
    call, decode, encode, reply,
};
use nova_proto_core::{Body, Call, CallError, CloseCode, CloseReason, Config, ErrorCode, ErrorReply, Role};
use nova_transport_tokio::{Application, Handle, Incoming};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::answers::{bit, cut};
use super::server::is_own;
use crate::cluster::SearchOptions;

/// How much longer than the search itself its answer may take on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(10);

/// More than any hit of ordinary source code takes.
const HIT: u32 = 8 * 1024;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens at the socket.
    #[error("no router listens there: {0}")]
    Nobody(#[source] io::Error),
    /// It is a process of another user that listens there.
    #[error("a process of another user listens there")]
    Foreign,
    /// The connection ended.
    #[error("the connection to the router ended: {0}")]
    Ended(CloseReason),
    /// The router answered with an error.
    #[error("{}", .0.message)]
    Refused(ErrorReply),
    /// The router did not answer in time.
    #[error("the router did not answer in time")]
    TimedOut,
    /// The request is too large to be sent, or the answer makes no sense.
    #[error("{0}")]
    Protocol(String),
}

impl ClientError {
    /// The number of the error with which the router answered, if it did.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(error) => Some(error.code),
            _ => None,
        }
    }
}

impl From<DecodeError> for ClientError {
    fn from(error: DecodeError) -> Self {
        Self::Protocol(error.to_string())
    }
}

/// A search.
#[derive(Debug, Clone)]
pub struct Find<'a> {
    /// What to look for.
    pub query: &'a str,
    /// The kinds that may be found; empty for all.
    pub kinds: &'a [SymbolKind],
    /// How many hits at most; up to 10,000. Default 50.
    pub limit: u32,
    /// When to answer with what is there, if there is anything; at most a minute. Default 2 s.
    pub soft: Duration,
    /// When to answer in any case; at most a minute. Default 10 s.
    pub hard: Duration,
}

impl<'a> Find<'a> {
    /// The defaults.
    #[must_use]
    pub fn new(query: &'a str) -> Self {
        let SearchOptions { limit, soft, hard, .. } = SearchOptions::default();
        Self { query, kinds: &[], limit, soft, hard }
    }

    /// The message.
    pub(crate) fn message(&self) -> FindSymbols {
        let kinds = if self.kinds.is_empty() { &SymbolKind::ALL[..] } else { self.kinds };
        let milliseconds = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        FindSymbols {
            query: self.query.to_owned(),
            kinds: kinds.iter().fold(0, |bits, kind| bits | bit(*kind)),
            limit: self.limit,
            soft_ms: milliseconds(self.soft),
            hard_ms: milliseconds(self.hard),
        }
    }
}

/// A connection to a running router. Calls may be made at once, from several tasks; dropping a call's future cancels what it
/// asks for. With the connection all its unsaved texts go: what is on disk counts again.
#[derive(Debug)]
pub struct Client {
    handle: Handle,
    welcome: ClientWelcome,
    driver: JoinHandle<CloseReason>,
}

/// Answers nothing, as routers ask clients nothing.
struct Silent;

impl Application for Silent {
    type Handler = Ready<()>;

    fn request(&mut self, request: Incoming) -> Ready<()> {
        request.fail(ErrorReply::new(ErrorCode::UNIMPLEMENTED, "a client answers no requests"));
        ready(())
    }
}

impl Client {
    /// Connects to the router that listens at a control socket. `build` names this program and its version.
    ///
    /// # Errors
    /// If nobody listens there or answers within ten seconds, or the router does not let this client in.
    pub async fn connect(socket: &Path, build: &str) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(socket).await.map_err(ClientError::Nobody)?;
        if !is_own(&stream) {
            return Err(ClientError::Foreign);
        }
        let hello = ClientHello { form: ClientForm, build: cut(build, 128) };
        let config = Config { hello: encode(&hello), ..Config::new(Role::Worker) };
        let (handle, driver) = nova_transport_tokio::drive(stream, config, Silent)
            .map_err(|error| ClientError::Protocol(error.to_string()))?;
        let driver = tokio::spawn(driver);
        let welcome = match handle.connected().await {
            Ok((_, welcome)) => welcome,
            Err(CloseReason::Timeout(_)) => return Err(ClientError::TimedOut),
            Err(reason) => return Err(ClientError::Ended(reason)),
        };
        match decode(&welcome) {
            Ok(welcome) => Ok(Self { handle, welcome, driver }),
            Err(error) => {
                handle.close(CloseCode::BAD_WELCOME, "ClientWelcome does not decode");
                Err(error.into())
            }
        }
    }

    /// What the router has said of itself.
    #[must_use]
    pub fn welcome(&self) -> &ClientWelcome {
        &self.welcome
    }

    /// The best matches, of what is in the index now.
    ///
    /// # Errors
    /// If the query is wrong, or there is no answer.
    pub async fn find(&self, find: &Find<'_>) -> Result<FindReply, ClientError> {
        let request = find.message();
        let mut call = call(&request);
        call.reply_max = find.limit.saturating_mul(HIT).saturating_add(64 * 1024).min(call.reply_max);
        call.timeout = Some(find.hard + ON_ITS_WAY);
        Ok(reply::<FindSymbols>(&self.answer(call).await?)?)
    }

    /// Waits until every shard is ready or has failed; with `look`, of what lies on disk now.
    ///
    /// # Errors
    /// If the roots cannot be walked, or there is no answer.
    pub async fn index(&self, look: bool) -> Result<IndexReply, ClientError> {
        let call = Call { timeout: None, ..call(&IndexWorkspace { look }) };
        Ok(reply::<IndexWorkspace>(&self.answer(call).await?)?)
    }

    /// Files or directories may have changed on disk. Returns when searches see it.
    ///
    /// # Errors
    /// If a path lies outside of the workspace or is not UTF-8, or there is no answer.
    pub async fn changed<P: AsRef<Path>>(&self, paths: &[P]) -> Result<ChangeReply, ClientError> {
        let paths = paths.iter().map(|path| absolute(path.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let paths = paths.iter().map(String::as_str).collect();
        let body = self.ask(&NotifyChanges { paths }).await?;
        Ok(reply::<NotifyChanges<'_>>(&body)?)
    }

    /// A file has an unsaved text from now on; again for each further edit. Returns when searches see it.
    ///
    /// # Errors
    /// If the path is no source file of the workspace, there is no room for the text ([`ErrorCode::OVERLAY_FULL`]), or there
    /// is no answer.
    pub async fn open_overlay(&self, path: &Path, text: &str) -> Result<ChangeReply, ClientError> {
        let body = self.ask(&OpenOverlay { path: &absolute(path)?, text }).await?;
        Ok(reply::<OpenOverlay<'_>>(&body)?)
    }

    /// A file has no unsaved text of this client any more.
    ///
    /// # Errors
    /// If the path is no source file of the workspace, or there is no answer.
    pub async fn close_overlay(&self, path: &Path) -> Result<ChangeReply, ClientError> {
        let body = self.ask(&CloseOverlay { path: &absolute(path)? }).await?;
        Ok(reply::<CloseOverlay<'_>>(&body)?)
    }

    /// All symbols, sorted by root, path, line and column. A client has one listing at a time.
    #[must_use]
    pub fn list(&self) -> Listing<'_> {
        Listing { client: self, begun: false, more: true }
    }

    /// How the router is.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn status(&self) -> Result<RouterStatus, ClientError> {
        Ok(reply::<GetRouterStatus>(&self.ask(&GetRouterStatus {}).await?)?)
    }

    /// How every shard is, by its number.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn shards(&self) -> Result<Vec<ShardReport>, ClientError> {
        let mut shards = Vec::new();
        loop {
            let page = self.ask(&GetShards { first: length(&shards) }).await?;
            let page = reply::<GetShards>(&page)?;
            let done = page.shards.is_empty();
            shards.extend(page.shards);
            if done || shards.len() >= page.total as usize {
                return Ok(shards);
            }
        }
    }

    /// Files that are not indexed, sorted.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn skipped(&self) -> Result<Vec<SkippedEntry>, ClientError> {
        let mut files = Vec::new();
        loop {
            let page = self.ask(&GetSkipped { first: length(&files) }).await?;
            let page = reply::<GetSkipped>(&page)?;
            let done = page.files.is_empty();
            files.extend(page.files);
            if done || files.len() >= page.total as usize {
                return Ok(files);
            }
        }
    }

    /// Asks the router to end in order. It may live for some seconds more.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn stop(&self) -> Result<(), ClientError> {
        let Stopped {} = reply::<StopRouter>(&self.ask(&StopRouter {}).await?)?;
        Ok(())
    }

    /// Ends the connection in order. Dropping the client does so, too, and does not wait.
    pub async fn close(self) {
        self.handle.close(CloseCode::NORMAL, "");
        let _ = self.driver.await;
    }

    async fn ask<M: Method>(&self, request: &M) -> Result<Body, ClientError> {
        self.answer(call(request)).await
    }

    async fn answer(&self, call: Call) -> Result<Body, ClientError> {
        let pending = self.handle.call(call).map_err(|error| match self.handle.close_reason() {
            Some(reason) => ClientError::Ended(reason),
            None => ClientError::Protocol(error.to_string()),
        })?;
        match pending.await {
            Ok(body) => Ok(body),
            Err(CallError::Remote(error)) => Err(ClientError::Refused(error)),
            Err(CallError::Deadline { .. }) => Err(ClientError::TimedOut),
            Err(_) => Err(ClientError::Ended(self.handle.closed().await)),
        }
    }
}

/// All symbols; see [`Client::list`].
#[derive(Debug)]
pub struct Listing<'a> {
    client: &'a Client,
    begun: bool,
    more: bool,
}

impl Listing<'_> {
    /// The next files with symbols: of each its root's number, its path and its symbols. A file with very many comes in parts.
    /// Nothing if there are no more.
    ///
    /// # Errors
    /// If a shard cannot be listed, or there is no answer.
    pub async fn next(&mut self) -> Result<Option<Vec<(u32, String, Vec<ListedSymbol>)>>, ClientError> {
        if !self.more {
            return Ok(None);
        }
        let body =
            self.client.ask(&ListWorkspace { begin: !std::mem::replace(&mut self.begun, true) }).await?;
        let page = reply::<ListWorkspace>(&body)?;
        self.more = page.more;
        let files = page.files.into_iter().map(|file| (page.root, file.path.to_owned(), file.symbols));
        Ok(Some(files.collect()))
    }
}

fn length<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

fn absolute(path: &Path) -> Result<String, ClientError> {
    let problem = |problem: &str| ClientError::Protocol(format!("{}: {problem}", path.display()));
    let absolute = std::path::absolute(path).map_err(|error| problem(&error.to_string()))?;
    absolute.into_os_string().into_string().map_err(|_| problem("it is not UTF-8"))
}
