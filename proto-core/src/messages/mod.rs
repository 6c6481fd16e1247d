//! The application that runs on remote RPC v3: typed requests and replies between router and worker.

mod symbol;

pub use symbol::SymbolKind;
