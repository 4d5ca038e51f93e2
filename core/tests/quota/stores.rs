//! The original program's own names: record and gate by hand.

use crate::common::secs;
use forebay::{CACHE_SCHEMA_VERSION, Cache, CacheStore, CachedUsage, Code, Failure, Lock, LockStore};
use forebay::{atomic_write_json, default_root};
use serde_json::json;
use std::time::SystemTime;

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

#[test]
fn a_record_goes_round_with_unknown_fields() {
    let folder = tempfile::tempdir().unwrap();
    let store = CacheStore::new(folder.path().join("deep/root"));
    assert!(store.read().unwrap().is_none());
    assert_eq!(store.path(), folder.path().join("deep/root/usage.json"));
    let mut entry = CachedUsage::with_data(json!({"five_hour": {"utilization": 22.5}, "codename": [1]}));
    entry.extra.insert("later".into(), json!({"kept": true}));
    store.write(&entry).unwrap();
    assert_eq!(store.read().unwrap(), Some(entry));
    let error = CachedUsage::with_error("RateLimited");
    store.write(&error).unwrap();
    assert_eq!(store.read().unwrap().unwrap().error.unwrap().code, "RateLimited");
    store.clear().unwrap();
    store.clear().unwrap();
    assert!(store.read().unwrap().is_none());
    assert_eq!(CACHE_SCHEMA_VERSION, 1);
}

#[test]
fn records_are_pretty_private_and_shared_with_resolve() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let store = CacheStore::new(root.clone()).name("plan").identity("me");
    store.write(&CachedUsage::with_data(json!({"n": 1}))).unwrap();
    let text = std::fs::read_to_string(store.path()).unwrap();
    assert!(text.starts_with("{\n  \"schema_version\": 1,\n  \"cached_at\": \"20"), "{text}");
    assert_eq!(std::fs::metadata(store.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let quota = Cache::open(&root).unwrap().quota("plan").identity("me");
    let never = |_: &forebay::QuotaJob| -> Result<String, Failure> { panic!("it is fresh") };
    let answer =
        quota.resolve(never, || Ok::<_, Failure>(""), || Ok::<Option<String>, Failure>(None)).unwrap();
    assert_eq!(answer.json().unwrap(), json!({"n": 1}));
    store.clear().unwrap();
    assert!(quota.read().unwrap().answer.is_none());
}

#[test]
fn a_short_lock_does_not_end_a_long_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = LockStore::new(folder.path().join("root"));
    assert!(store.read().unwrap().is_none());
    let long = Lock { blocked_until: now() + 3600, error: Some("RateLimited".into()) };
    store.write(&long).unwrap();
    assert_eq!(store.read().unwrap(), Some(long.clone()));
    store.write(&Lock { blocked_until: now() + 30, error: Some("Timeout".into()) }).unwrap();
    assert_eq!(store.read().unwrap(), Some(long));
    store.clear().unwrap();
    store.write(&Lock { blocked_until: now() - 5, error: None }).unwrap();
    assert!(store.read().unwrap().unwrap().blocked_until <= now());
    std::fs::write(store.path(), "99999999999").unwrap();
    let plain = store.read().unwrap().unwrap();
    assert!((now() + 25..=now() + 31).contains(&plain.blocked_until) && plain.error.is_none());
    std::fs::write(store.path(), format!("{{\"blocked_until\":{}}}", now() + 999_999)).unwrap();
    let capped = store.read().unwrap().unwrap().blocked_until;
    assert!((now() + 86_300..=now() + 86_401).contains(&capped), "{capped}");
}

#[test]
fn json_is_written_atomically_and_privately() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/state.json");
    atomic_write_json(&path, &json!({"a": 1})).unwrap();
    atomic_write_json(&path, &json!({"a": 2})).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\n  \"a\": 2\n}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    for wrong in ["state.json", "/", ""] {
        assert_eq!(atomic_write_json(wrong.as_ref(), &1).unwrap_err().code(), Code::Invalid, "{wrong:?}");
    }
    let below_a_file = path.join("x.json");
    assert_eq!(atomic_write_json(&below_a_file, &1).unwrap_err().code(), Code::Io);
    assert!(default_root("tool").is_none_or(|root| root.is_absolute()));
}

#[test]
fn l1_threads_that_find_it_stale_together_fetch_once() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path().join("root")).unwrap();
    let fetches = std::sync::atomic::AtomicUsize::new(0);
    for round in 0..20 {
        let quota = cache.quota(&format!("usage-{round}")).timeout(secs(60));
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    let fetch = |_: &forebay::QuotaJob| {
                        fetches.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        Ok::<_, Failure>("1")
                    };
                    let none = || Ok::<Option<String>, Failure>(None);
                    let answer = quota.clone().resolve(fetch, || Ok::<_, Failure>("t"), none).unwrap();
                    assert_eq!(answer.data.as_ref(), "1");
                });
            }
        });
        assert_eq!(fetches.swap(0, std::sync::atomic::Ordering::Relaxed), 1, "round {round}");
    }
}
