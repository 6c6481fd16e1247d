//! Cache files: what was written is read back, and what is anything else is absent.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nova_proto_core::messages::{CacheState, SymbolKind};
use nova_worker::cache::format::{FormatError, decode, encode, header};
use nova_worker::cache::{FINGERPRINT, Store};
use nova_worker::index::{KindSet, Query, Snapshot};
use nova_worker::shard::{Image, Shard, ShardKey};
use nova_worker::{Declaration, Outline, content_hash, java, manifest_digest};
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

const KEY: ShardKey = *b"0123456789abcdef";

/// Magic, hash of the header, and its length.
const PREFIX: usize = 8 + 32 + 2;

fn image(key: ShardKey, files: &[(&str, &str)]) -> Image {
    let parsed = |&(path, text): &(&str, &str)| (Arc::from(path), content_hash(text), java::extract(text));
    of(key, files.iter().map(parsed).collect())
}

/// An image of files, which must be sorted.
fn of(key: ShardKey, files: Vec<(Arc<str>, [u8; 16], Outline)>) -> Image {
    let mut image = Image { key, shard: 7, ..Image::default() };
    image.counters.digest = manifest_digest(files.iter().map(|(path, hash, _)| (&**path, *hash)));
    image.counters.files = files.len() as u32;
    image.counters.symbols = files.iter().map(|(_, _, outline)| outline.len() as u64).sum();
    image.counters.generation = 5;
    image.files = files.iter().map(|(path, hash, _)| (Arc::clone(path), *hash)).collect();
    image.snapshot = Snapshot::new(files.into_iter().map(|(path, _, outline)| (path, Arc::new(outline))));
    image
}

fn small() -> Image {
    image(
        KEY,
        &[("a/A.java", "package a; class A { int x; void m() {} }"), ("b/B.java", "record B(int é) {}")],
    )
}

#[track_caller]
fn assert_same(read: &Image, written: &Image) {
    assert_eq!((read.key, read.shard, read.counters), (written.key, written.shard, written.counters));
    assert_eq!(read.files, written.files);
    assert_eq!(read.snapshot.iter().collect::<Vec<_>>(), written.snapshot.iter().collect::<Vec<_>>());
}

/// The file with another header or body, and hashes that fit it: what somebody would write who knows the format.
fn resealed(file: &[u8], change: impl FnOnce(&mut [u8], &mut [u8])) -> Vec<u8> {
    let len = usize::from(u16::from_le_bytes([file[PREFIX - 2], file[PREFIX - 1]]));
    let (mut head, mut body) = (file[PREFIX..PREFIX + len].to_vec(), file[PREFIX + len..].to_vec());
    change(&mut head, &mut body);
    // The last field of the header.
    head[len - 32..].copy_from_slice(blake3::hash(&body).as_bytes());
    let mut whole = file[..8].to_vec();
    whole.extend_from_slice(blake3::hash(&head).as_bytes());
    whole.extend_from_slice(&(len as u16).to_le_bytes());
    whole.extend_from_slice(&head);
    whole.extend_from_slice(&body);
    whole
}

#[test]
fn every_flipped_bit_is_noticed() {
    let file = encode(&small());
    assert_same(&decode(&file).expect("it is whole"), &small());
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut changed = file.clone();
            changed[at] ^= 1 << bit;
            let error = decode(&changed).expect_err("changed");
            let expected = if at < 8 { FormatError::Foreign } else { FormatError::Damaged };
            assert_eq!(error, expected, "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn every_cut_and_every_surplus_is_noticed() {
    let file = encode(&small());
    for end in 0..file.len() {
        assert!(decode(&file[..end]).is_err(), "{end} bytes");
        assert!(header(&file[..end.min(300)], end as u64).is_err(), "the header of {end} bytes");
    }
    for surplus in [&[0][..], b"x", &file] {
        assert_eq!(decode(&[&file, surplus].concat()).expect_err("too long"), FormatError::Damaged);
    }
}

#[test]
fn every_splice_of_two_files_is_noticed() {
    let one = encode(&small());
    // As long as the other, and of the same shard.
    let text = "package a; class A { int y; void n() {} }";
    let other = encode(&image(KEY, &[("a/A.java", text), ("b/B.java", "record B(int é) {}")]));
    assert_eq!(one.len(), other.len());
    for at in 0..=one.len() {
        let spliced = [&one[..at], &other[at..]].concat();
        if spliced != one && spliced != other {
            assert!(decode(&spliced).is_err(), "at {at}");
        }
    }
}

#[test]
fn other_versions_are_absent() {
    let file = encode(&small());
    let mut newer = file.clone();
    newer[7] += 1;
    assert_eq!(decode(&newer).expect_err("newer"), FormatError::Foreign);
    // The extractor is the first field of the header.
    let other = resealed(&file, |head, _| {
        assert_eq!(head[..16], FINGERPRINT);
        head[0] ^= 1;
    });
    assert_eq!(decode(&other).expect_err("made by another extractor"), FormatError::OtherExtractor);
    assert_eq!(decode(b"").expect_err("empty"), FormatError::Foreign);
}

fn outline() -> impl Strategy<Value = Outline> {
    let symbol = (".{0,12}", 0..SymbolKind::ALL.len(), any::<u32>(), any::<u32>(), any::<u32>());
    ("[a-z.]{0,8}", vec(symbol, 0..8)).prop_map(|(package, symbols)| {
        let mut outline = Outline::new(&package);
        for (index, (name, kind, parent, line, column)) in (0_u32..).zip(symbols) {
            let parent = (index > 0 && parent % 3 > 0).then(|| parent % index);
            let declaration = Declaration { name: &name, kind: SymbolKind::ALL[kind], parent, line, column };
            outline.push(declaration).expect("short names");
        }
        outline
    })
}

fn images() -> impl Strategy<Value = Image> {
    let files = proptest::collection::btree_map("[a-z/]{1,9}", (any::<[u8; 16]>(), outline()), 0..12);
    (any::<ShardKey>(), files).prop_map(|(key, files)| {
        let file = |(path, (hash, outline)): (String, _)| (Arc::from(&*path), hash, outline);
        of(key, files.into_iter().map(file).collect())
    })
}

proptest! {
    #[test]
    fn what_was_written_is_read_back(image in images()) {
        assert_same(&decode(&encode(&image)).expect("it is whole"), &image);
    }

    #[test]
    fn splices_and_cuts_of_any_two_files_are_noticed(
        images in (images(), images()),
        at in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let (one, other) = (encode(&images.0), encode(&images.1));
        let spliced = [&one[..at.0.index(one.len())], &other[at.1.index(other.len())..]].concat();
        prop_assert!(spliced == one || spliced == other || decode(&spliced).is_err());
    }

    /// Nobody gets here by accident: all hashes fit. Then the content may be anything, but nothing panics.
    #[test]
    fn a_forged_body_does_no_harm(
        image in images(),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        head in any::<bool>(),
    ) {
        let forged = resealed(&encode(&image), |header, body| {
            // Behind extractor and key, which would only be refused.
            let bytes = if head || body.is_empty() { &mut header[32..] } else { body };
            for (at, byte) in flips {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        });
        if let Ok(read) = decode(&forged) {
            let query = Query::parse("a", KindSet::ALL).expect("a query");
            let _found = read.snapshot.search(&query, 10);
            let key = read.key;
            let mut shard = Shard::new(1);
            shard.bind(key, Some(read));
            let _stats = shard.stats();
        }
    }
}

// ---- the directory ---------------------------------------------------------------------------------------

struct Scene {
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    fn cache(&self) -> PathBuf {
        self.directory.path().join("deep/cache")
    }

    fn store(&self) -> Store {
        Store::open(&self.cache())
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.cache())
            .expect("it is there")
            .map(|entry| entry.expect("one").path())
            .collect();
        files.sort();
        files
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[test]
fn a_store_gives_back_what_it_was_given() {
    let scene = Scene::new();
    let store = scene.store();
    assert!(store.load(&KEY).is_none());
    store.save(&small());
    assert_same(&scene.store().load(&KEY).expect("kept"), &small());
    assert!(scene.store().load(b"another shard...").is_none());
    let files = scene.files();
    assert_eq!((files.len(), mode(&files[0]), mode(&scene.cache())), (1, 0o600, 0o700));
    let stats = store.stats();
    assert_eq!((stats.state, stats.loaded, stats.written, &*stats.problem), (CacheState::On, 0, 1, ""));
    assert_eq!(store.disk_bytes(&KEY), fs::metadata(&files[0]).expect("it is there").len());

    // The same again costs nothing, a change replaces the file.
    store.save(&small());
    assert_eq!(store.stats().written, 1);
    let changed = image(KEY, &[("c/C.java", "class C {}")]);
    store.save(&changed);
    assert_eq!((store.stats().written, scene.files()), (2, files));
    assert_same(&scene.store().load(&KEY).expect("kept"), &changed);
}

#[test]
fn what_is_kept_is_announced_by_the_numbers_that_the_shards_had() {
    let scene = Scene::new();
    scene.store().save(&small());
    scene.store().save(&Image { shard: 9, ..image(*b"another shard...", &[("c/C.java", "class C {}")]) });
    let announced = scene.store().announced(|shard| shard < 8);
    let counters = small().counters;
    assert_eq!(announced.len(), 1);
    assert_eq!((announced[0].shard, announced[0].symbols), (7, counters.symbols));
    assert_eq!((announced[0].generation, announced[0].digest), (5, counters.digest));
    for file in scene.files() {
        let bytes = fs::read(&file).expect("it is there");
        fs::write(&file, &bytes[..bytes.len() - 1]).expect("it is ours");
    }
    assert_eq!(scene.store().announced(|_| true), []);
    assert_eq!(Store::off().announced(|_| true), []);
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_named_and_replaced() {
    let scene = Scene::new();
    scene.store().save(&small());
    let file = scene.files().remove(0);
    let elsewhere = scene.directory.path().join("elsewhere");
    fs::copy(&file, &elsewhere).expect("a copy");
    let link = |file: &Path| {
        fs::remove_file(file).expect("it is ours");
        std::os::unix::fs::symlink(&elsewhere, file).expect("a link");
    };
    let forged = |file: &Path| {
        // A whole file in the place of another shard's.
        fs::write(file, encode(&image(*b"another shard...", &[]))).expect("it is ours");
    };
    let damage: [&dyn Fn(&Path); 5] = [
        &|file| fs::write(file, b"").expect("it is ours"),
        &|file| fs::write(file, vec![7; 100_000]).expect("it is ours"),
        &forged,
        &link,
        &|file| {
            // So large that it is not even read; it takes no room, being a hole.
            let file = fs::OpenOptions::new().write(true).open(file).expect("it is ours");
            file.set_len(1 << 40).expect("files may have holes");
        },
    ];
    for (number, damage) in damage.into_iter().enumerate() {
        damage(&file);
        let store = scene.store();
        assert!(store.load(&KEY).is_none(), "damage {number}");
        let stats = store.stats();
        assert_eq!((stats.state, stats.loaded), (CacheState::On, 0));
        assert!(stats.problem.contains("is not used"), "damage {number}: {}", stats.problem);
        store.save(&small());
        assert_same(&scene.store().load(&KEY).expect("replaced"), &small());
    }
    let kept = fs::read(&elsewhere).expect("it is there");
    assert_eq!(kept, encode(&small()), "what a link named was not written to");
}

#[test]
fn a_directory_that_cannot_be_used_is_reported_and_nothing_else() {
    let failed = |store: &Store, why: &str| {
        assert!(store.load(&KEY).is_none());
        store.save(&small());
        let stats = store.stats();
        assert_eq!((stats.state, stats.loaded, stats.written), (CacheState::Failed, 0, 0));
        assert!(stats.problem.contains(why), "{}", stats.problem);
    };
    let scene = Scene::new();
    let file = scene.directory.path().join("file");
    fs::write(&file, "").expect("a file");
    failed(&Store::open(&file), "no index can be kept in");
    failed(&Store::open(&file.join("below")), "no index can be kept in");

    // Others could write wrong answers there.
    let store = scene.store();
    set_mode(&scene.cache(), 0o777);
    failed(&store, "chmod 700");
    failed(&scene.store(), "chmod 700");
    set_mode(&scene.cache(), 0o700);
    store.save(&small());
    assert_eq!((store.stats().state, store.stats().written), (CacheState::On, 1), "it can be used again");

    // A place that cannot be taken.
    let scene = Scene::new();
    let store = scene.store();
    store.save(&small());
    let place = scene.files().remove(0);
    fs::remove_file(&place).expect("it is ours");
    fs::create_dir(&place).expect("a directory");
    failed(&scene.store(), "no index can be kept in");
    assert_eq!(scene.files(), [place], "no unfinished file is left");

    let off = Store::off();
    off.save(&small());
    assert!(off.load(&KEY).is_none());
    assert_eq!(off.stats().state, CacheState::Off);
}

#[test]
fn a_directory_that_goes_is_made_again() {
    let scene = Scene::new();
    let store = scene.store();
    fs::remove_dir_all(scene.directory.path().join("deep")).expect("it is ours");
    store.save(&small());
    assert_same(&store.load(&KEY).expect("kept"), &small());
}

#[test]
fn what_nobody_has_used_for_long_goes_and_nothing_else() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let scene = Scene::new();
    let store = scene.store();
    store.save(&small());
    let ours = scene.files().remove(0);
    let name = ours.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
    let place = |name: &str| scene.cache().join(name);
    let other_key = place(&name.replacen(&name[..4], "0000", 1));
    let other_extractor = place(&format!("{}-00000000.nova-index", &name[..32]));
    let unfinished = place(".nova-unfinished-abc");
    let foreign = [place("notes.txt"), place("x-00000000.nova-index"), place(".nova"), place("unfinished")];
    let used = |path: &Path, ago: Duration| {
        let file = fs::OpenOptions::new().append(true).create(true).open(path).expect("a file");
        file.set_modified(SystemTime::now() - ago).expect("it is ours");
    };
    for path in &foreign {
        used(path, DAY * 1000);
    }
    for (path, keep_for) in [(&other_key, DAY * 30), (&other_extractor, DAY), (&unfinished, DAY / 24)] {
        used(path, keep_for - Duration::from_secs(600));
        store.sweep();
        assert!(path.exists(), "{}", path.display());
        used(path, keep_for + Duration::from_secs(600));
        store.sweep();
        assert!(!path.exists(), "{}", path.display());
    }
    assert!(ours.exists() && foreign.iter().all(|path| path.exists()));

    // Other workspaces' caches go with their last file; what is no cache of ours stays.
    let base = scene.cache().parent().expect("a parent").join("base");
    let directories = ["gone", "kept", "foreign"].map(|name| base.join(name));
    for directory in &directories {
        fs::create_dir_all(directory).expect("a directory");
    }
    used(&directories[0].join(&name), DAY * 31);
    used(&directories[1].join(&name), DAY * 29);
    used(&directories[2].join("notes.txt"), DAY * 1000);
    used(&directories[0].join("with.it"), DAY);
    let set = |directory: &PathBuf, ago: Duration| {
        let directory = fs::File::open(directory).expect("a directory");
        directory.set_modified(SystemTime::now() - ago).expect("it is ours");
    };
    Store::sweep_below(&base, "with.it");
    assert!(directories.iter().all(|directory| directory.exists()), "somebody may be at work there");
    for directory in &directories {
        set(directory, DAY * 2);
    }
    Store::sweep_below(&base, "with.it");
    assert_eq!(directories.map(|directory| directory.exists()), [false, true, true]);

    // Reading is using.
    used(&ours, DAY * 29);
    assert!(scene.store().load(&KEY).is_some());
    let modified = fs::metadata(&ours).and_then(|metadata| metadata.modified()).expect("a time");
    assert!(modified.elapsed().expect("in the past") < DAY);
}

#[test]
fn two_that_write_the_same_directory_do_each_other_no_harm() {
    let scene = Scene::new();
    let texts = ["class One { int a, b, c; }", "class Two {}"];
    let images = texts.map(|text| image(KEY, &[("a/A.java", text)]));
    scene.store().save(&images[0]);
    std::thread::scope(|scope| {
        for image in &images {
            scope.spawn(|| {
                for _ in 0..50 {
                    // A store that knows nothing yet writes always.
                    scene.store().save(image);
                    let store = scene.store();
                    let read = store.load(&KEY).expect("always whole");
                    assert!(images.iter().any(|image| image.files == read.files));
                    assert_eq!(store.stats().problem, "");
                }
            });
        }
    });
    assert_eq!(scene.files().len(), 1, "no unfinished file is left");
}
