//! Progress on standard error, if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cluster::{Router, ShardState};

/// How often the line is drawn again.
const TICK: Duration = Duration::from_millis(100);

/// A line that counts the files found by the walk.
pub(super) fn walking() -> ProgressBar {
    waiting("looking for Java files")
}

/// A line for those who wait for a daemon.
pub(super) fn waiting(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.set_message(what);
    bar.enable_steady_tick(TICK);
    bar
}

/// Waits until every shard is ready or has failed, and shows how far they are.
pub(super) async fn until_settled(router: &Router) {
    let files: usize = router.file_count();
    let bar = ProgressBar::new(files as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} files, {msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    let settled = router.settled();
    tokio::pin!(settled);
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            () = &mut settled => break,
            _ = tick.tick() => show(&bar, router),
        }
    }
    bar.finish_and_clear();
}

fn show(bar: &ProgressBar, router: &Router) {
    let (mut arrived, mut ready, mut warming) = (0, 0, None);
    let status = router.status();
    for (shard, status) in router.shards().iter().zip(&status) {
        match &status.state {
            ShardState::Warming { files, .. } => {
                arrived += u64::from(*files);
                if *files > 0 {
                    warming = warming.or(Some(shard));
                }
            }
            ShardState::Ready(_) => {
                ready += 1;
                arrived += status.files as u64;
            }
            _ => {}
        }
    }
    let now = warming.map_or("", |shard| &*shard.source_root);
    bar.set_position(arrived);
    bar.set_message(format!("{ready}/{} shards ready  {now}", status.len()));
}
