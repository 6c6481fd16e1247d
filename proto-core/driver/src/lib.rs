//! The runtime-neutral half of a remote RPC v3 transport: the driver loop, the call handle and the responder.
