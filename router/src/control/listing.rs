//! A client's listing of all symbols: a page at a time of what the router lists file by file.

use bytes::Bytes;
use nova_proto_core::ErrorReply;
use nova_proto_core::messages::{ListReply, ListedFile, ListedSymbol, encode};

use super::answers::{failed, invalid, number};
use crate::cluster::{ListedSymbols, Router};

/// A page is sent once it has so many symbols.
const ENOUGH_SYMBOLS: usize = 8192;

/// More than the numbers of a symbol take, and the lengths of its texts.
const SYMBOL: usize = 32;

/// A file, or a part of one: its root's number, its path and its symbols.
type Listed = (usize, String, Vec<ListedSymbol>);

/// Where a client's listing stands. Memory: one page of each shard, as for any listing.
#[derive(Debug, Default)]
pub(super) struct Pages {
    listing: Option<ListedSymbols>,
    /// What did not fit the page before.
    next: Option<Listed>,
}

impl Pages {
    /// The next page, of at most so many bytes unless a single file takes more.
    pub(super) async fn page(
        &mut self,
        router: &Router,
        begin: bool,
        room: u32,
    ) -> Result<Bytes, ErrorReply> {
        if begin {
            *self = Self { listing: Some(router.list()), next: None };
        }
        // Put back only after all went well: what has failed, or was cancelled, is not gone on with.
        let mut listing = self.listing.take().ok_or_else(|| invalid("no listing is under way: begin one"))?;
        let (mut files, mut symbols, mut bytes) = (Vec::<Listed>::new(), 0, SYMBOL);
        let mut next = self.next.take();
        loop {
            let file = match next.take() {
                Some(file) => file,
                None => match listing.next().await.map_err(|error| failed(&error))? {
                    Some(file) => file,
                    None => break,
                },
            };
            let size = size(&file);
            let full = symbols >= ENOUGH_SYMBOLS || bytes + size > room as usize;
            if files.first().is_some_and(|first| full || first.0 != file.0) {
                next = Some(file);
                break;
            }
            symbols += file.2.len();
            bytes += size;
            files.push(file);
        }
        let reply = ListReply {
            root: number(files.first().map_or(0, |file| file.0)),
            more: next.is_some(),
            files: files
                .iter_mut()
                .map(|(_, path, symbols)| ListedFile { path, symbols: std::mem::take(symbols) })
                .collect(),
        };
        if reply.more {
            (self.listing, self.next) = (Some(listing), next);
        }
        Ok(encode(&reply))
    }
}

fn size((_, path, symbols): &Listed) -> usize {
    let texts = symbols.iter().map(|symbol| symbol.name.len() + symbol.container.len() + SYMBOL);
    path.len() + SYMBOL + texts.sum::<usize>()
}
