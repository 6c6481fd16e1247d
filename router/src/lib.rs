//! Splits a Java workspace into shards, keeps workers hydrated and merges their exact answers; with the program nova.

pub mod layout;
