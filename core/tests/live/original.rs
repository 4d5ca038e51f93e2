//! The original's names: the same rules over the index of a cache and over a store in memory.

use crate::common::key;
use forebay::Code;
use forebay::live::{FileRoot, FileStore, LiveCache, LookupOutcome, MemoryStore, Store, hash_file};
use std::path::Path;

/// Runs it over both kinds of stores, in a workspace.
fn over_each(test: impl Fn(&LiveCache, &Path)) {
    for name in ["file", "memory"] {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("w");
        std::fs::create_dir(&work).unwrap();
        let store: Box<dyn Store> = match name {
            "file" => Box::new(FileStore::open(folder.path().join("root")).unwrap()),
            _ => Box::new(MemoryStore::new()),
        };
        test(&LiveCache::from_box_with_workspace(store, &work).unwrap(), &work);
    }
}

fn root(work: &Path, name: &str) -> FileRoot {
    FileRoot { path: name.into(), expected_hash: hash_file(work.join(name)).unwrap() }
}

fn short(outcome: &LookupOutcome) -> &'static str {
    match outcome {
        LookupOutcome::Hit(_) => "hit",
        LookupOutcome::Miss => "miss",
        LookupOutcome::Invalidated => "invalidated",
    }
}

fn looks(cache: &LiveCache, names: [&str; 3]) -> [&'static str; 3] {
    names.map(|name| short(&cache.lookup(&key(name)).unwrap()))
}

/// `read` of the file `a`, `grep` of that, `answer` of that.
fn chain(cache: &LiveCache, work: &Path) {
    cache.persist(&key("read"), b"1", "read", &[root(work, "a")]).unwrap();
    cache.persist_with_upstreams(&key("grep"), b"2", "grep", &[], &[key("read")]).unwrap();
    cache.persist_with_upstreams(&key("answer"), b"3", "model", &[], &[key("grep")]).unwrap();
}

const NAMES: [&str; 3] = ["read", "grep", "answer"];

#[test]
fn c1_c2_a_changed_file_ends_all_that_is_built_on_it() {
    over_each(|cache, work| {
        std::fs::write(work.join("a"), "1").unwrap();
        chain(cache, work);
        let LookupOutcome::Hit(payload) = cache.lookup_revalidate(&key("grep")).unwrap() else { panic!() };
        assert_eq!((payload.bytes.as_slice(), payload.meta.bytes), (&b"2"[..], 1));
        assert_eq!(
            (payload.meta.tool_kind.as_str(), payload.meta.upstream_keys),
            ("grep", vec![key("read")])
        );
        assert_eq!(cache.known_kinds().unwrap(), ["grep", "model", "read"]);
        let metas = cache.store().iter_meta().unwrap();
        let read = metas.iter().find(|(of, _)| *of == key("read")).unwrap();
        assert_eq!(read.1.file_roots, [root(work, "a")]);
        std::fs::write(work.join("a"), "2").unwrap();
        assert_eq!(short(&cache.lookup_revalidate(&key("answer")).unwrap()), "invalidated");
        assert_eq!(looks(cache, NAMES), ["miss"; 3]);
        assert_eq!(cache.entry_count().unwrap(), 0);
        std::fs::write(work.join("a"), "1").unwrap();
        assert_eq!(short(&cache.lookup_revalidate(&key("read")).unwrap()), "miss");
    });
}

#[test]
fn c3_c4_c17_dirty_other_bytes_and_cycles() {
    over_each(|cache, work| {
        std::fs::write(work.join("a"), "1").unwrap();
        chain(cache, work);
        cache.persist(&key("read"), b"1", "read", &[root(work, "a")]).unwrap();
        assert_eq!(looks(cache, NAMES), ["hit"; 3], "the same bytes");
        cache.persist(&key("read"), b"other", "read", &[root(work, "a")]).unwrap();
        assert_eq!(looks(cache, NAMES), ["hit", "miss", "miss"]);
        chain(cache, work);
        assert_eq!(cache.invalidate_upstream(&key("read")).unwrap(), 2);
        assert_eq!(looks(cache, NAMES), ["hit", "miss", "miss"]);
        chain(cache, work);
        assert_eq!(cache.invalidate_path(work.join("a")).unwrap(), 1);
        assert_eq!(looks(cache, NAMES), ["miss"; 3]);
        chain(cache, work);
        assert_eq!(cache.invalidate_path(work).unwrap(), 1, "a folder takes all below it");
        chain(cache, work);
        assert!(cache.mark_dirty(&key("grep")).unwrap());
        assert_eq!(looks(cache, NAMES), ["hit", "miss", "miss"]);
        chain(cache, work);
        cache.persist_with_upstreams(&key("read"), b"1", "read", &[], &[key("answer")]).unwrap();
        assert_eq!(looks(cache, NAMES), ["hit"; 3]);
        assert_eq!(cache.invalidate_upstream(&key("grep")).unwrap(), 3);
        assert_eq!(looks(cache, NAMES), ["miss"; 3]);
    });
}

#[test]
fn c5_c6_another_hash_and_an_upstream_that_does_not_hold_are_refused() {
    over_each(|cache, work| {
        std::fs::write(work.join("a"), "1").unwrap();
        let old = root(work, "a");
        std::fs::write(work.join("a"), "2").unwrap();
        let refused = cache.persist(&key("read"), b"1", "read", std::slice::from_ref(&old)).unwrap_err();
        assert_eq!(refused.code(), Code::Superseded);
        let gone = FileRoot { path: "gone".into(), ..old };
        assert_eq!(cache.persist(&key("read"), b"1", "read", &[gone]).unwrap_err().code(), Code::Superseded);
        let of_nothing = cache.persist_with_upstreams(&key("grep"), b"2", "grep", &[], &[key("read")]);
        assert_eq!(of_nothing.unwrap_err().code(), Code::Superseded);
        assert_eq!(looks(cache, NAMES), ["miss"; 3]);
    });
}

#[test]
fn c15_stores_evict_the_least_recently_used() {
    over_each(|cache, _| {
        for name in NAMES {
            cache.persist(&key(name), &[7; 100], "test", &[]).unwrap();
        }
        assert_eq!(short(&cache.lookup(&key("read")).unwrap()), "hit");
        assert_eq!(cache.store().evict_to_cap(250).unwrap(), 1);
        assert_eq!(looks(cache, NAMES), ["hit", "miss", "hit"]);
        assert!(cache.store().contains(&key("read")).unwrap());
        assert_eq!(cache.store().total_bytes().unwrap(), 200);
        assert!(cache.store().remove(&key("read")).unwrap());
        assert_eq!((cache.entry_count().unwrap(), cache.workspace_base().is_absolute()), (1, true));
    });
}
