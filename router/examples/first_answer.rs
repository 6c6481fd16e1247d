//! How soon a workspace answers, with worker processes and an empty cache, and then with a full one.
//!
//! ```text
//! cargo build --release -p nova-worker
//! cargo run --release -p nova-router --example first_answer -- target/corpus/openjdk-17 ConcurHM
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nova_router::cluster::{Router, RouterConfig, SearchOptions};
use nova_router::layout::{Layout, LayoutOptions};
use nova_router::local::{LocalOptions, LocalWorkers, PrivateDir, WorkerCommand, cores};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let root = PathBuf::from(args.next().ok_or("usage: first_answer ROOT QUERY")?);
    let query = args.next().ok_or("usage: first_answer ROOT QUERY")?;
    let cache = tempfile::tempdir()?;
    for name in ["cold", "warm"] {
        let start = Instant::now();
        let layout = Layout::discover(std::slice::from_ref(&root), &LayoutOptions::default())?;
        let walked = start.elapsed();
        let private = PrivateDir::new()?;
        let cache_dir = Some(cache.path().to_owned());
        let config = RouterConfig { cache_dir: cache_dir.clone(), ..RouterConfig::new(private.address()) };
        let router = Router::start(layout, config).await?;
        let program = std::env::current_exe()?.with_file_name("../nova-worker");
        let command = WorkerCommand { program, arguments: Vec::new() };
        let workers = LocalWorkers::start(&router, &LocalOptions { workers: cores(), command, cache_dir });
        let (first, share) = first_hit(&router, &query, start).await?;
        router.settled().await;
        println!(
            "{name}: walked {walked:.2?}, first hit {first:.2?} ({share}), ready {:.2?}",
            start.elapsed()
        );
        workers.stop(router).await;
    }
    Ok(())
}

/// When a search finds something for the first time, and of how many shards it was sure then.
async fn first_hit(
    router: &Router,
    query: &str,
    start: Instant,
) -> Result<(Duration, String), Box<dyn Error>> {
    loop {
        let answer = router.workspace_symbols(query, &SearchOptions::default()).await?;
        if !answer.hits.is_empty() {
            let shards = answer.shards;
            return Ok((
                start.elapsed(),
                format!("{} of {} shards current", shards.answered - shards.warming, shards.total),
            ));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
