//! Keeping: sizes, kinds, what goes first, what is swept, and what damage does.

use crate::common::{Bench, key};
use forebay::{Cache, CacheOptions, Code, Input};

#[test]
fn small_and_large_results_go_round_and_are_counted() {
    let bench = Bench::new();
    for size in [0, 1, 64 << 10, (64 << 10) + 1, 3 << 20] {
        let data = vec![7; size];
        bench.live.persist(&key("x"), &data, "bytes", &[]).unwrap();
        let found = bench.live.lookup(&key("x")).unwrap().hit().unwrap();
        assert_eq!((found.data(), found.kind()), (&data[..], "bytes"));
        assert_eq!(found.hash(), blake3_hex(&data));
        assert_eq!(bench.live.total_bytes().unwrap(), size as u64);
    }
    bench.keep("y", &[], &[]);
    assert_eq!(bench.live.known_kinds().unwrap(), [("bytes".to_owned(), 1), ("test".to_owned(), 1)]);
    let listed = bench.live.list().unwrap();
    assert_eq!(listed.len(), 2);
}

fn blake3_hex(data: &[u8]) -> String {
    // The key of bytes is their hash.
    forebay::LiveKey::from_bytes(data).to_string()
}

#[test]
fn c15_the_least_recently_used_goes_first() {
    let bench = Bench::new();
    for name in ["a", "b", "c", "d"] {
        bench.keep_as(name, &"x".repeat(100), &[], &[]);
    }
    assert_eq!(bench.look("a"), "hit");
    assert_eq!(bench.live.evict_to_cap(250).unwrap(), 2);
    assert_eq!(
        [bench.look("a"), bench.look("b"), bench.look("c"), bench.look("d")],
        ["hit", "miss", "miss", "hit"]
    );
    assert_eq!(bench.live.evict_to_cap(250).unwrap(), 0);
    assert_eq!(bench.live.evict_to_cap(0).unwrap(), 2);
    assert_eq!(bench.live.total_bytes().unwrap(), 0);
}

#[test]
fn what_is_being_computed_is_not_evicted() {
    let bench = Bench::new();
    bench.keep("x", &["tag:t"], &[]);
    bench.live.invalidate_tag("other").unwrap();
    let mut again = bench.live.compute(&key("x"), &[Input::Tag("u".into())], &[], "test");
    assert!(matches!(again.next(), Ok(forebay::LiveStep::Done(_))));
    bench.keep("y", &[], &[]);
    bench.live.mark_dirty(&key("y")).unwrap();
    let mut computing = bench.live.compute(&key("y"), &[], &[], "test");
    assert!(matches!(computing.next(), Ok(forebay::LiveStep::Compute)));
    bench.keep("y", &[], &[]);
    assert_eq!(bench.live.evict_to_cap(0).unwrap(), 1);
    assert_eq!([bench.look("x"), bench.look("y")], ["miss", "hit"]);
}

#[test]
fn gc_removes_what_does_not_hold_and_files_that_nothing_names() {
    let bench = Bench::new();
    bench.live.persist(&key("large"), &vec![1; 100_000], "test", &[]).unwrap();
    let objects = bench.folder.path().join("root/.forebay/objects");
    let count = || {
        std::fs::read_dir(&objects)
            .unwrap()
            .flat_map(|f| std::fs::read_dir(f.unwrap().path()).unwrap())
            .count()
    };
    assert_eq!(count(), 1);
    bench.live.mark_dirty(&key("large")).unwrap();
    assert_eq!(count(), 1, "files are swept, not removed one by one");
    assert_eq!(bench.live.gc().unwrap(), (0, 1));
    assert_eq!(count(), 0);
}

#[test]
fn c8_damage_is_a_miss_that_the_next_result_heals() {
    let bench = Bench::new();
    bench.live.persist(&key("large"), &vec![1; 100_000], "test", &[]).unwrap();
    let folder = bench.folder.path().join("root/.forebay/objects");
    for inner in std::fs::read_dir(folder).unwrap() {
        for file in std::fs::read_dir(inner.unwrap().path()).unwrap() {
            std::fs::write(file.unwrap().path(), vec![2; 100_000]).unwrap();
        }
    }
    assert_eq!(bench.look("large"), "miss");
    let other = bench.other();
    let made = other
        .get_or_compute(&key("large"), &[], &[], "test", |_| Ok::<_, forebay::Failure>(vec![1; 100_000]));
    assert_eq!(made.unwrap().data().len(), 100_000);
    assert_eq!(bench.look("large"), "hit");
}

#[test]
fn nothing_is_written_by_looking() {
    let bench = Bench::new();
    assert_eq!([bench.look("x"), bench.check("x")], ["miss", "miss"]);
    assert_eq!((bench.live.entry_count().unwrap(), bench.live.total_bytes().unwrap()), (0, 0));
    assert!(!bench.folder.path().join("root").exists());
}

#[test]
fn a_cache_in_memory_says_that_it_cannot() {
    let cache = CacheOptions::new().memory(true).open().unwrap();
    assert_eq!(cache.live().unwrap().lookup(&key("x")).unwrap_err().code(), Code::Unsupported);
    let closed = Bench::new();
    closed.cache.close(None).unwrap();
    assert_eq!(closed.live.lookup(&key("x")).unwrap_err().code(), Code::Closed);
    let _unused: Option<Cache> = None;
}

/// Waits for it; the limit is for a machine that hangs.
fn until(what: impl Fn() -> bool) {
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !what() {
        assert!(std::time::Instant::now() < limit, "it never came");
        std::thread::yield_now();
    }
}

#[test]
fn an_index_that_was_removed_under_us_is_made_anew_for_all() {
    let bench = Bench::new();
    let other = bench.other();
    bench.keep("x", &["tag:t"], &[]);
    assert!(other.lookup(&key("x")).unwrap().hit().is_some());
    for gone in ["root/.forebay/index", "root/.forebay", "root"] {
        std::fs::remove_dir_all(bench.folder.path().join(gone)).unwrap();
        // A hit that is at hand is looked at anew at most a tenth of a second later.
        until(|| bench.look("x") == "miss" && other.lookup(&key("x")).unwrap().hit().is_none());
        // Another process makes it anew; who had it open before sees that one, and is heard there.
        let late = bench.other();
        late.persist(&key("x"), b"new", "test", &[Input::Tag("t".into())]).unwrap();
        assert_eq!(bench.look("x"), "hit", "{gone}");
        assert_eq!(other.lookup(&key("x")).unwrap().hit().unwrap().data(), b"new");
        assert_eq!(other.invalidate_tag("t").unwrap(), 1, "{gone}");
        assert!(late.lookup(&key("x")).unwrap().hit().is_none());
        bench.keep("x", &["tag:t"], &[]);
    }
}

#[test]
fn a_damaged_index_is_made_anew_by_whoever_opens_it_next() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let open = || Cache::open(&root).unwrap().live().unwrap().workspace(folder.path()).unwrap();
    open().persist(&key("x"), b"1", "test", &[]).unwrap();
    let index = root.join(".forebay/index");
    let pages = std::fs::read_dir(&index).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.to_string_lossy().contains("/data.")).collect::<Vec<_>>();
    assert_eq!(pages.len(), 2);
    // As another process would find it: one of the same name in another place.
    let copy = folder.path().join("copy");
    assert!(std::process::Command::new("cp").arg("-r").arg(&root).arg(&copy).status().unwrap().success());
    for path in pages.iter().filter(|path| !path.to_string_lossy().ends_with("-lock")) {
        std::fs::write(copy.join(path.strip_prefix(&root).unwrap()), vec![7; 100_000]).unwrap();
    }
    let live = Cache::open(&copy).unwrap().live().unwrap();
    assert!(live.lookup(&key("x")).unwrap().hit().is_none());
    live.persist(&key("x"), b"2", "test", &[]).unwrap();
    assert_eq!(live.lookup(&key("x")).unwrap().hit().unwrap().data(), b"2");
}

#[test]
fn programs_that_are_started_do_not_inherit_the_index() {
    let bench = Bench::new();
    bench.keep("x", &[], &[]);
    let listed = std::process::Command::new("ls").args(["-l", "/dev/fd/"]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("->") && !listed.contains("/.forebay/"), "{listed}");
}
