//! End-to-end and conformance checks of remote RPC v3 and of the Nova programs.
