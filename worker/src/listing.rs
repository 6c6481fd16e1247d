//! All symbols of a snapshot, page by page.

use bytes::Bytes;
use nova_proto_core::messages::{ListSymbols, ListedFile, ListedSymbol, SymbolPage, encode};

use crate::Outline;
use crate::index::Snapshot;

/// Most symbols in one page.
const MAX_SYMBOLS: usize = 65_536;

/// About how many bytes a page takes at most; one symbol may pass it.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The page that `request` asks for.
pub(crate) fn page(snapshot: &Snapshot, request: &ListSymbols<'_>) -> Bytes {
    let mut room = Room { symbols: (request.limit as usize).min(MAX_SYMBOLS), bytes: MAX_BYTES };
    let mut files = Vec::new();
    let mut more = false;
    for (path, outline) in snapshot.iter_from(request.from) {
        let skip = if **path == *request.from { request.skip as usize } else { 0 };
        let symbols = listed(&outline, skip, &mut room);
        more = skip + symbols.len() < outline.len();
        if !symbols.is_empty() {
            room.bytes = room.bytes.saturating_sub(path.len());
            files.push((path, symbols));
        }
        if more {
            break;
        }
    }
    let files = files.into_iter().map(|(path, symbols)| ListedFile { path, symbols }).collect();
    encode(&SymbolPage { files, more })
}

/// What a page can still take.
struct Room {
    symbols: usize,
    bytes: usize,
}

fn listed(outline: &Outline, skip: usize, room: &mut Room) -> Vec<ListedSymbol> {
    let mut symbols = Vec::new();
    for (index, declaration) in (0_u32..).zip(outline.iter()).skip(skip) {
        if room.symbols == 0 || room.bytes == 0 {
            break;
        }
        let symbol = ListedSymbol {
            name: declaration.name.to_owned(),
            kind: declaration.kind,
            container: outline.container(index),
            line: declaration.line,
            column: declaration.column,
        };
        room.symbols -= 1;
        room.bytes = room.bytes.saturating_sub(symbol.name.len() + symbol.container.len() + 32);
        symbols.push(symbol);
    }
    symbols
}
