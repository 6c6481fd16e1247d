//! Places where a test can kill the process.

/// Kills the process, as `kill -9` does, when it comes here for the n-th time and `NOVA_CRASH_AT` is *n*. Only where debug
/// assertions are compiled in; elsewhere it is nothing.
pub(crate) fn point() {
    #[cfg(all(debug_assertions, unix))]
    {
        use std::io::Write;
        use std::sync::LazyLock;
        use std::sync::atomic::{AtomicU64, Ordering};

        use rustix::process::{Signal, getpid, kill_process};

        static AT: LazyLock<Option<u64>> =
            LazyLock::new(|| std::env::var("NOVA_CRASH_AT").ok().and_then(|at| at.parse().ok()));
        static COME: AtomicU64 = AtomicU64::new(0);
        if let Some(at) = *AT
            && COME.fetch_add(1, Ordering::Relaxed) + 1 == at
        {
            let _ = writeln!(std::io::stderr(), "nova-worker: killed at step {at}");
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }
}
