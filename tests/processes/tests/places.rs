//! Where a root lies, and what is done to it from outside: deleted in use, on no real disk, its guards held by a
//! process that does not go on. What users are told of these is in docs/what-happens-when.md.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod common;

use common::{KEY, open};
use forebay::{Cache, Code, Commit, GUARDS, State};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;

#[test]
fn a_root_deleted_while_in_use_is_empty_and_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let source = open(&root).source(KEY);
    source.put("old", &Commit::default()).unwrap();
    std::fs::remove_dir_all(&root).unwrap();
    assert_eq!(source.read().unwrap().state, State::Absent);
    source.put("new", &Commit::default()).unwrap();
    assert_eq!(open(&root).source(KEY).read().unwrap().data(), Some(&b"new"[..]));
}

#[test]
fn a_file_system_that_is_no_disk_is_refused_and_the_way_out_is_named() {
    // Ours, not writable by others, and not a file system that is known to be local.
    let error = Cache::open("/proc/self/task").map(drop).unwrap_err();
    assert_eq!(error.code(), Code::UnsupportedFs, "{error}");
    let text = error.to_string();
    assert!(text.contains("task") && text.contains("FOREBAY_ROOT"), "{text}");
}

#[test]
fn whoever_stops_inside_a_guard_holds_up_changes_with_an_error_and_no_reads() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let source = open(&root).source(KEY);
    source.put("old", &Commit::default()).unwrap();
    let guards: Vec<File> = (0..GUARDS)
        .map(|guard| File::open(root.join(format!(".forebay/guard/{guard:02x}"))).unwrap())
        .collect();
    for guard in &guards {
        flock(guard, FlockOperation::LockExclusive).unwrap();
    }
    assert_eq!(source.read().unwrap().data(), Some(&b"old"[..]));
    let error = source.put("new", &Commit::default()).map(drop).unwrap_err();
    assert_eq!(error.code(), Code::LockTimeout, "{error}");
    let path = error.path().unwrap().to_string_lossy().into_owned();
    assert!(path.contains(".forebay/guard/"), "{path}");
    drop(guards);
    source.put("new", &Commit::default()).unwrap();
    assert_eq!(source.read().unwrap().data(), Some(&b"new"[..]));
}
