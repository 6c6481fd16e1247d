//! The application that runs on remote RPC v3: typed requests and replies between router and worker.

mod order;
mod symbol;

pub use order::{Found, HitKey, SymbolHit, merge};
pub use symbol::SymbolKind;
