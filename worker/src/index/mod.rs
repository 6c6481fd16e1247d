//! Immutable snapshots of a shard's symbols and the exact search over them.
//!
//! [`Snapshot`] holds the declarations of many files, [`Query`] says what is sought and what each symbol scores.
//! A search returns exactly what scoring every symbol and sorting by [`HitKey`](nova_proto_core::messages::HitKey)
//! would return.

mod builder;
mod kinds;
mod layer;
mod members;
mod pattern;
mod query;
mod score;
mod search;
mod segment;
mod snapshot;
mod top;
mod typed;
mod words;

pub use kinds::KindSet;
pub use query::{Query, QueryError};
pub use search::search_all;
pub use snapshot::Snapshot;
