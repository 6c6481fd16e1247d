//! Remote RPC v3 over tokio: Unix sockets and TCP.
