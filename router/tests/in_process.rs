//! The router's library, with a worker in this process: what a host of an editor does.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nova_router::cluster::{
    CancellationToken, ChangeError, Ended, FileChange, InProcess, Router, RouterConfig, RouterEvent,
    SearchOptions, ShardState, Wait,
};
use nova_router::layout::{Layout, LayoutOptions};

/// Enough for anything on a loaded machine.
const SOON: Duration = Duration::from_secs(60);

struct Scene {
    directory: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { directory: tempfile::tempdir().expect("a directory") };
        scene.write("src/main/java/p/Alpha.java", "package p; class Alpha {}");
        scene.write("src/main/java/p/Beta.java", "package p; class Beta {}");
        scene.write("Loose.java", "class Loose {}");
        scene
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("tree").join(path)
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(&path, text).expect("written");
        path
    }

    fn layout(&self) -> Layout {
        Layout::discover(&[self.path("")], &LayoutOptions::default()).expect("a layout")
    }

    fn router(&self) -> Router {
        self.router_with(RouterConfig::default())
    }

    fn router_with(&self, config: RouterConfig) -> Router {
        Router::in_process(self.layout(), config, InProcess { threads: 1, ..InProcess::default() })
            .expect("threads")
    }
}

async fn names(router: &Router) -> String {
    let answer = router.workspace_symbols("", &SearchOptions::default()).await.expect("a good query");
    assert_eq!(answer.shards.failed, 0, "{:?}", answer.shards);
    let mut names: Vec<String> = answer.hits.into_iter().map(|hit| hit.symbol.name).collect();
    names.sort();
    names.join(" ")
}

async fn ready(router: &Router) {
    tokio::time::timeout(SOON, router.settled()).await.expect("it is indexed in time");
    let status = router.status();
    assert!(status.iter().all(|shard| matches!(shard.state, ShardState::Ready(_))), "{status:?}");
}

/// Old enough that the times of the file tell all later changes.
fn age(path: &Path) {
    let file = std::fs::File::options().write(true).open(path).expect("it is there");
    file.set_modified(SystemTime::now() - Duration::from_secs(100)).expect("ours");
}

#[tokio::test]
async fn a_host_opens_edits_saves_and_closes_files() {
    let scene = Scene::new();
    let router = scene.router();
    ready(&router).await;
    assert_eq!(names(&router).await, "Alpha Beta Loose");

    let wait = Wait::at_most(SOON);
    let alpha = scene.path("src/main/java/p/Alpha.java");
    let changed =
        router.open_overlay(&alpha, "package p; class Unsaved {}", &wait).await.expect("it is taken");
    assert_eq!((changed.files, changed.waiting), (1, 0));
    assert_eq!(names(&router).await, "Beta Loose Unsaved", "what was changed is found at once");
    router.open_overlay(&alpha, "package p; class Further {}", &wait).await.expect("it is taken");
    router.open_overlay(scene.path("q/New.java"), "class New {}", &wait).await.expect("it need not be there");
    assert_eq!(names(&router).await, "Beta Further Loose New");

    // A run brings what is on disk, and what is unsaved over it.
    scene.write("Another.java", "class Another {}");
    let report = router.index_workspace(&wait).await.expect("it is done");
    assert_eq!((report.failed.len(), report.files), (0, 5));
    assert_eq!(names(&router).await, "Another Beta Further Loose New");

    scene.write("src/main/java/p/Alpha.java", "package p; class Saved {}");
    router.update_file(&alpha, &wait).await.expect("it is taken");
    assert_eq!(names(&router).await, "Another Beta Further Loose New");
    let closes = [FileChange::Close(alpha), FileChange::Close(scene.path("q/New.java"))];
    router.apply_changes(closes, &wait).await.expect("they are taken");
    assert_eq!(names(&router).await, "Another Beta Loose Saved");

    std::fs::remove_dir_all(scene.path("src")).expect("ours");
    let changed = router.remove_files([scene.path("src")], &wait).await.expect("it is taken");
    assert_eq!(changed.files, 2);
    assert_eq!(names(&router).await, "Another Loose");

    let outside = router.update_file("/elsewhere/A.java", &wait).await;
    assert!(matches!(outside, Err(ChangeError::Path { .. })), "{outside:?}");
    let changes = [
        FileChange::Disk("/elsewhere/A.java".into()),
        FileChange::Open { path: scene.path("Good.java"), text: "class Good {}".into() },
        FileChange::Close(scene.path("pom.xml")),
    ];
    let changed = router.apply_changes(changes, &wait).await.expect("one of them is taken");
    let refused: Vec<String> = changed.refused.iter().map(ToString::to_string).collect();
    assert!(refused[0].contains("/elsewhere/A.java") && refused[1].contains("pom.xml"), "{refused:?}");
    assert_eq!((changed.files, refused.len()), (1, 2));
    assert_eq!(names(&router).await, "Another Good Loose");
    let other = router.open_overlay(scene.path("pom.xml"), "class Project {}", &wait).await;
    assert!(matches!(other, Err(ChangeError::Path { .. })), "{other:?}");
    router.shutdown().await;
}

#[tokio::test]
async fn what_happens_can_be_watched() {
    let scene = Scene::new();
    let router = scene.router();
    let mut events = router.events();
    let mut ready = Vec::new();
    let mut workers = 0;
    while ready.len() < router.shards().len() {
        match tokio::time::timeout(SOON, events.recv()).await.expect("in time").expect("it is not far behind")
        {
            RouterEvent::ShardReady { shard, .. } => ready.push(shard),
            RouterEvent::WorkerUp { shards, .. } => {
                workers += usize::from(shards.len() == router.shards().len());
            }
            _ => {}
        }
    }
    ready.sort_unstable();
    assert_eq!((ready, workers), (vec![0, 1], 1));
    router.shutdown().await;
}

#[tokio::test]
async fn whoever_waits_can_stop_waiting() {
    let scene = Scene::new();
    // Nobody serves it, so nothing is ever done.
    let router = Router::start(scene.layout(), RouterConfig::default()).await.expect("nothing to bind");
    let ended = router.index_workspace(&Wait::at_most(Duration::from_millis(10))).await;
    assert_eq!(ended, Err(Ended::Deadline));

    let cancel = CancellationToken::new();
    let wait = Wait { deadline: None, cancel: Some(cancel.clone()) };
    let (ended, ()) = tokio::join!(router.index_workspace(&wait), async {
        tokio::task::yield_now().await;
        cancel.cancel();
    });
    assert_eq!(ended, Err(Ended::Cancelled));

    // A later run takes the place of an earlier one, and dropping a future cancels its run.
    let forever = Wait::default();
    let first = router.index_workspace(&forever);
    let second = async {
        tokio::task::yield_now().await;
        tokio::time::timeout(Duration::from_millis(50), router.index_workspace(&forever)).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first, second.is_err()), (Err(Ended::Superseded), true));

    // A change is taken, whether a worker is there or not.
    let changed =
        router.open_overlay(scene.path("New.java"), "class New {}", &forever).await.expect("it is taken");
    assert_eq!((changed.files, changed.waiting), (1, 1));

    let waiting = {
        let router = router.clone();
        tokio::spawn(async move { router.index_workspace(&Wait::default()).await })
    };
    tokio::task::yield_now().await;
    router.shutdown().await;
    let ended = tokio::time::timeout(SOON, waiting).await.expect("the end is told").expect("no panic");
    assert_eq!(ended, Err(Ended::Shutdown));
}

#[tokio::test]
async fn a_second_run_of_the_router_reads_only_what_has_changed() {
    let scene = Scene::new();
    let files = ["src/main/java/p/Alpha.java", "src/main/java/p/Beta.java", "Loose.java"]
        .map(|path| scene.path(path));
    files.iter().for_each(|file| age(file));
    let cache = scene.directory.path().join("cache");
    let run = async || {
        let config = RouterConfig { cache_dir: Some(cache.clone()), ..RouterConfig::default() };
        let store = nova_worker::cache::Store::open(&cache.join("index"));
        std::fs::create_dir_all(&cache).expect("made");
        let router =
            Router::in_process(scene.layout(), config, InProcess { threads: 1, store }).expect("threads");
        ready(&router).await;
        let report = router.status();
        let found = names(&router).await;
        router.shutdown().await;
        let read: u32 = report
            .iter()
            .map(|shard| match &shard.state {
                ShardState::Ready(ready) => ready.read.files,
                state => panic!("{state:?}"),
            })
            .sum();
        (read, found)
    };
    assert_eq!(run().await, (3, "Alpha Beta Loose".into()));
    // The system's own note of the last change cannot be set back: until it is old enough, nothing is believed.
    let believed = async { while run().await.0 > 0 {} };
    tokio::time::timeout(SOON, believed).await.expect("nothing has changed");
    scene.write("Loose.java", "class Loosen {}");
    assert_eq!(run().await, (1, "Alpha Beta Loosen".into()));
}

#[tokio::test]
async fn a_router_in_an_empty_directory_takes_its_first_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().to_owned();
    let layout = Layout::discover(std::slice::from_ref(&root), &LayoutOptions::default()).expect("a layout");
    let router = Router::in_process(layout, RouterConfig::default(), InProcess::default()).expect("threads");
    ready(&router).await;
    let wait = Wait::at_most(SOON);
    router.open_overlay(root.join("First.java"), "class First {}", &wait).await.expect("it is taken");
    assert_eq!(names(&router).await, "First");
    router.shutdown().await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_told_at_once() {
    let scene = Scene::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("tcp:{}", taken.local_addr().expect("it has one"));
    let config = RouterConfig::new(address.parse().expect("an address"));
    let error = Router::start(scene.layout(), config).await.expect_err("it is taken");
    assert!(error.to_string().contains(&address), "{error}");
}
