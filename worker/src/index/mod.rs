//! Immutable snapshots of a shard's symbols and the exact search over them.
