//! The table of generations is only an accelerator: whatever happens to it, calls go on, and readers see every
//! change. Readers themselves must not be running when it is truncated (their documentation says so).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use forebay::{Cache, Commit, Fetched};
use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

fn data(cache: &Cache) -> Option<Vec<u8>> {
    cache.source("a/b").ttl(Duration::from_secs(60)).read().unwrap().data().map(<[u8]>::to_vec)
}

fn size(root: &Path) -> u64 {
    std::fs::metadata(root.join(".forebay/generations")).unwrap().len()
}

#[test]
fn a_table_truncated_under_a_running_process_is_made_anew_by_its_next_change() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let cache = Cache::open(&root).unwrap();
    let source = cache.source("a/b").ttl(Duration::from_secs(60));
    source.put("one", &Commit::default()).unwrap();
    let whole = size(&root);
    for length in [0, 1, whole - 1] {
        let table = root.join(".forebay/generations");
        std::fs::OpenOptions::new().write(true).open(table).unwrap().set_len(length).unwrap();
        let before = source.read().unwrap().version();
        assert_eq!(source.wait_for_change(&before, Some(Duration::ZERO), None).unwrap(), None);
        source.refresh(|_| Ok::<_, Infallible>(Fetched::new(b"two"))).unwrap();
        assert_eq!((data(&cache).as_deref(), size(&root)), (Some(&b"two"[..]), whole));
        assert!(source.wait_for_change(&before, Some(Duration::ZERO), None).unwrap().is_some());
    }
}

#[test]
fn p20_a_reader_of_a_replaced_table_sees_changes_again_within_its_next_look() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let cache = Cache::open(&root).unwrap();
    let source = cache.source("a/b").ttl(Duration::from_secs(60));
    source.put("one", &Commit::default()).unwrap();
    let mut reader = source.reader();
    assert_eq!(reader.read().unwrap().data(), Some(&b"one"[..]));
    std::fs::remove_file(root.join(".forebay/generations")).unwrap();
    let writer = Cache::open(&root).unwrap();
    writer.source("a/b").put("two", &Commit::default()).unwrap();
    // At most 100 ms behind, then at once again: the loop ends by what it sees, the test by its own limit.
    while reader.read().unwrap().data() != Some(b"two") {
        std::thread::yield_now();
    }
    writer.source("a/b").put("three", &Commit::default()).unwrap();
    assert_eq!(reader.read().unwrap().data(), Some(&b"three"[..]));
}
