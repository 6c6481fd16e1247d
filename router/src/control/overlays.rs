//! Whose unsaved texts count. An unsaved text belongs to the client that sent it last, and goes with its connection.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cluster::{ChangeError, Changed, FileChange, Router, Wait};
use crate::coordinator::FilePath;

/// The unsaved texts of all clients.
#[derive(Debug)]
pub(super) struct Overlays {
    router: Router,
    owners: Mutex<Owners>,
}

/// Each file with its owner. A pure table: it knows no text.
#[derive(Debug, Default)]
struct Owners {
    files: HashMap<FilePath, Owner>,
    /// Numbers every opening.
    last: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owner {
    client: u64,
    opening: u64,
}

impl Owners {
    /// Returns this opening, and who had the file before.
    fn open(&mut self, file: FilePath, client: u64) -> (Owner, Option<Owner>) {
        self.last += 1;
        let owner = Owner { client, opening: self.last };
        let before = self.files.insert(file, owner);
        (owner, before)
    }

    /// An opening was refused: what was there before still counts, unless something came in between.
    fn undo(&mut self, file: FilePath, refused: Owner, before: Option<Owner>) {
        if self.files.get(&file) == Some(&refused) {
            match before {
                Some(before) => self.files.insert(file, before),
                None => self.files.remove(&file),
            };
        }
    }

    /// Whether the file was this client's; then it is nobody's any more.
    fn close(&mut self, file: &FilePath, client: u64) -> bool {
        let own = self.files.get(file).is_some_and(|owner| owner.client == client);
        if own {
            self.files.remove(file);
        }
        own
    }

    /// Takes away all files of a client.
    fn leave(&mut self, client: u64) -> Vec<FilePath> {
        self.files.extract_if(|_, owner| owner.client == client).map(|(file, _)| file).collect()
    }
}

impl Overlays {
    pub(super) fn new(router: Router) -> Self {
        Self { router, owners: Mutex::default() }
    }

    pub(super) fn count(&self) -> usize {
        self.lock().files.len()
    }

    pub(super) async fn open(&self, client: u64, path: &Path, text: &str) -> Result<Changed, ChangeError> {
        let file = self.router.place(path)?;
        let change = FileChange::Open { path: path.to_owned(), text: text.to_owned() };
        let mut opened = None;
        let result = self
            .begin([change], |owners| {
                opened = Some(owners.open(file.clone(), client));
                true
            })
            .await;
        let refused = matches!(&result, Err(ChangeError::OverlayFull { .. } | ChangeError::TooLarge { .. }));
        if let (true, Some((owner, before))) = (refused, opened) {
            self.lock().undo(file, owner, before);
        }
        result
    }

    /// Has no effect on a text of somebody else's.
    pub(super) async fn close(&self, client: u64, path: &Path) -> Result<Changed, ChangeError> {
        let file = self.router.place(path)?;
        self.begin([FileChange::Close(path.to_owned())], |owners| owners.close(&file, client)).await
    }

    /// The client is gone: what is on disk counts again.
    pub(super) async fn leave(&self, client: u64) {
        let roots = self.router.roots();
        let path = |file: FilePath| roots[file.root].join(&*file.path);
        let files = self.lock().leave(client);
        for path in files.into_iter().map(path) {
            let file = self.router.place(&path);
            // Somebody may have opened it since.
            let free = |owners: &mut Owners| file.is_ok_and(|file| !owners.files.contains_key(&file));
            if let Err(error) = self.begin([FileChange::Close(path.clone())], free).await {
                tracing::debug!(path = %path.display(), %error, "an unsaved text of a client that is gone");
            }
        }
    }

    /// Posts changes under the lock, so that the last one to be an owner is also the one whose text counts; then waits
    /// without it. Does nothing if `update` says so.
    async fn begin(
        &self,
        changes: impl IntoIterator<Item = FileChange>,
        update: impl FnOnce(&mut Owners) -> bool,
    ) -> Result<Changed, ChangeError> {
        let wait = Wait::default();
        let mut change = pin!(self.router.apply_changes(changes, &wait));
        let mut update = Some(update);
        poll_fn(|cx| match update.take() {
            Some(update) => {
                let mut owners = self.lock();
                if update(&mut owners) { change.as_mut().poll(cx) } else { Ok(Changed::default()).into() }
            }
            None => change.as_mut().poll(cx),
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Owners> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> FilePath {
        FilePath { root: 0, path: path.into() }
    }

    #[test]
    fn the_last_to_open_a_file_owns_it() {
        let mut owners = Owners::default();
        owners.open(file("A"), 1);
        owners.open(file("A"), 2);
        owners.open(file("B"), 1);
        assert!(!owners.close(&file("A"), 1), "it is the other one's");
        assert_eq!(owners.leave(1), [file("B")]);
        assert!(owners.close(&file("A"), 2));
        assert!(!owners.close(&file("A"), 2));
        assert!(owners.files.is_empty());
    }

    #[test]
    fn who_is_refused_owns_nothing() {
        let mut owners = Owners::default();
        let (refused, before) = owners.open(file("A"), 1);
        owners.undo(file("A"), refused, before);
        assert!(owners.files.is_empty());
        let (first, _) = owners.open(file("A"), 1);
        let (refused, before) = owners.open(file("A"), 2);
        owners.undo(file("A"), refused, before);
        assert_eq!(owners.files[&file("A")], first);
        let (refused, before) = owners.open(file("A"), 2);
        let (later, _) = owners.open(file("A"), 3);
        owners.undo(file("A"), refused, before);
        assert_eq!(owners.files[&file("A")], later);
    }
}
