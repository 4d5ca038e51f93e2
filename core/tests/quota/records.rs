//! The record: what is read, and what is a miss; its age; and files of the original program.

use crate::common::{Bench, data, resolve, secs};
use forebay::{Code, State};

fn record(at: &str, body: &str) -> String {
    format!("{{\"schema_version\":1,\"cached_at\":\"{at}\",{body}}}")
}

#[test]
fn the_originals_record_is_served() {
    let bench = Bench::new();
    bench.write("usage.json", &record("2026-04-19T11:58:00Z", "\"data\":{\"five_hour\":{}},\"error\":null"));
    let told = bench.look();
    assert_eq!(told.short(), " fresh {\"five_hour\":{}}");
    assert_eq!(told.result.unwrap().age, secs(120));
}

#[test]
fn an_error_record_of_the_originals_holds_for_thirty_seconds() {
    let bench = Bench::new();
    bench.write(
        "usage.json",
        &record("2026-04-19T12:00:00Z", "\"data\":null,\"error\":{\"code\":\"Timeout\"}"),
    );
    bench.hands.advance(secs(29));
    assert_eq!(bench.look().short(), "b timed_out");
    assert_eq!(bench.usage.read().unwrap().recorded_error.unwrap().code(), Code::TimedOut);
    bench.hands.advance(secs(1));
    assert_eq!(bench.resolve(data("1")).short(), "cf ran 1");
}

#[test]
fn what_cannot_be_read_is_a_miss_and_is_replaced() {
    for text in [
        String::new(),
        "{".to_owned(),
        "\u{0}\u{0}\u{0}".to_owned(),
        record("2026-04-19T12:00:00Z", "\"data\":null,\"error\":null"),
        record("2026-04-19T12:00:00Z", "\"data\":1,\"error\":{\"code\":\"Timeout\"}"),
        record("2026-04-19T12:00:00Z", "\"data\":1").replace(":1,", ":2,"),
        record("noon", "\"data\":1"),
    ] {
        let bench = Bench::new();
        bench.write("usage.json", &text);
        assert!(bench.usage.read().unwrap().answer.is_none(), "{text}");
        assert_eq!(bench.resolve(data("1")).short(), "cf ran 1", "{text}");
        assert_eq!(bench.look().short(), " fresh 1");
    }
}

#[test]
fn l5_a_record_from_the_near_future_is_new_and_from_the_far_one_not_lost() {
    let bench = Bench::new();
    bench.write("usage.json", &record("2026-04-19T12:00:59Z", "\"data\":1"));
    let answer = bench.look().result.unwrap();
    assert_eq!((answer.state, answer.age), (State::Fresh, secs(0)));
    bench.write("usage.json", &record("2026-04-19T12:01:01Z", "\"data\":2"));
    let told = resolve(&bench.usage, "token", Err(forebay::Failure::from_status(500, None)), None);
    assert_eq!(told.short(), "cf stale 2");
}

#[test]
fn l5_a_clock_that_steps_back_loses_nothing() {
    let bench = Bench::new();
    bench.resolve(data("1"));
    bench.hands.step_wall(-2_000_000_000);
    assert_eq!(bench.look().short(), " fresh 1");
}

#[test]
fn l6_old_data_is_bounded_and_marked() {
    let bench = Bench::new();
    bench.resolve(data("1"));
    bench.hands.advance(secs(180 + 86_400));
    let failed = || Err(forebay::Failure::from_status(500, None));
    let told = resolve(&bench.usage, "token", failed(), None);
    assert_eq!(told.short(), "cf stale 1");
    assert_eq!(told.result.unwrap().state, State::Stale);
    bench.hands.advance(secs(2));
    assert_eq!(resolve(&bench.usage, "token", failed(), None).short(), "cfb refresh_failed");
    let answer = bench.usage.read().unwrap().answer.unwrap();
    assert_eq!(answer.state, State::Expired, "it is kept, and says what it is");
}

#[test]
fn l13_record_and_gate_are_stamped_by_one_clock() {
    let bench = Bench::new();
    bench.resolve(data("1"));
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(bench.path("usage.json")).unwrap()).unwrap();
    assert_eq!(json["cached_at"], "2026-04-19T12:00:00Z");
    let modified = std::fs::metadata(bench.path("usage.json")).unwrap().modified().unwrap();
    assert_eq!(modified, bench.until(0));
}

#[test]
fn l14_litter_of_the_dead_is_swept_and_files_of_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    let cache = forebay::CacheOptions::new().root(&root).sweep_age(secs(0)).open().unwrap();
    let usage = cache.quota("usage");
    resolve(&usage, "token", data("1"), None);
    let ours =
        [".usage.json.0123456789abcdef0123456789abcdef", ".usage.meta.0123456789abcdef0123456789abcdef.new"];
    let theirs = [".config", ".usage.json.swp", "notes.txt", "other.lock", "package.json"];
    std::fs::write(root.join(".usage.lock.new"), "of a dead writer").unwrap();
    for name in ours.iter().chain(&theirs) {
        std::fs::write(root.join(name), "x").unwrap();
    }
    let pruned = cache.prune(&[]).unwrap();
    assert_eq!((pruned.swept, pruned.removed.len()), (3, 0));
    assert!(!root.join(".usage.lock.new").exists());
    assert_eq!(
        cache.quotas().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["other", "usage"]
    );
    assert!(ours.iter().all(|name| !root.join(name).exists()));
    assert!(theirs.iter().all(|name| root.join(name).exists()));
    assert_eq!(usage.read().unwrap().answer.unwrap().data.as_ref(), "1", "a quota is not pruned");
}

#[test]
fn a_record_that_cannot_be_opened_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    bench.resolve(data("1"));
    let reopened = forebay::Cache::open(bench.folder.path().join("root")).unwrap();
    std::fs::set_permissions(bench.path("usage.json"), std::fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read everything; elsewhere it is refused.
    if std::fs::read(bench.path("usage.json")).is_err() {
        assert_eq!(reopened.quota("usage").read().unwrap_err().code(), Code::Permission);
    } else {
        assert!(reopened.quota("usage").read().unwrap().answer.is_some());
    }
}
