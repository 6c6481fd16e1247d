//! Remote RPC v3 over futures-io runtimes, async-std among them.
