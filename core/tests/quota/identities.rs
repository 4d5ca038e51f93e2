//! Accounts and credentials: whose record, whose gate, and what a refused credential may destroy.

use crate::common::{Bench, data, resolve, secs, status};
use forebay::{Code, Failure, Fetched, Step};

#[test]
fn l10_another_account_has_another_record_and_another_gate() {
    let bench = Bench::new();
    let (mine, yours) = (bench.usage.clone().identity("me"), bench.usage.clone().identity("you"));
    assert_eq!(resolve(&mine, "a", data("1"), None).short(), "cf ran 1");
    assert_eq!(resolve(&yours, "b", status(429, Some("600")), None).short(), "cfb rate_limited");
    bench.hands.advance(secs(200));
    assert_eq!(resolve(&mine, "a", data("2"), None).short(), "cf ran 2");
    assert_eq!(resolve(&yours, "b", data("3"), None).short(), "b rate_limited");
    let stem = mine.key().unwrap().stem().to_owned();
    assert!(stem.starts_with("usage~") && stem.len() == "usage~".len() + 16);
    assert!(bench.path(&format!("{stem}.json")).exists());
    assert_eq!(bench.cache.quotas().unwrap().len(), 2);
    assert!(bench.cache.list().unwrap().is_empty(), "a quota is no source");
}

#[test]
fn l12_another_credential_ends_an_authorization_gate() {
    let bench = Bench::new();
    assert_eq!(resolve(&bench.usage, "old", status(401, None), None).short(), "cfb unauthorized");
    // The same credential is asked for, and not tried again.
    assert_eq!(resolve(&bench.usage, "old", data("1"), None).short(), "cb unauthorized");
    assert_eq!(resolve(&bench.usage, "none", data("1"), None).short(), "cb no_credentials");
    assert_eq!(resolve(&bench.usage, "new", data("1"), None).short(), "cf ran 1");
    assert!(bench.usage.read().unwrap().blocked.is_none());
}

#[test]
fn l12_the_new_credentials_own_gate_is_not_the_old_ones() {
    let bench = Bench::new();
    resolve(&bench.usage, "old", status(401, None), None);
    assert_eq!(resolve(&bench.usage, "new", status(429, Some("60")), None).short(), "cfb rate_limited");
    let blocked = bench.usage.read().unwrap().blocked.unwrap();
    assert_eq!((blocked.error, blocked.until), (Some(Code::RateLimited), bench.until(60)));
    assert_eq!(resolve(&bench.usage, "old", data("1"), None).short(), "b rate_limited");
}

#[test]
fn a_refused_credential_takes_its_own_data_along() {
    let bench = Bench::new();
    resolve(&bench.usage, "token", data("1"), None);
    bench.hands.advance(secs(200));
    assert_eq!(resolve(&bench.usage, "token", status(403, None), None).short(), "cfb unauthorized");
    assert!(!bench.path("usage.json").exists());
    assert!(bench.usage.read().unwrap().answer.is_none());
}

#[test]
fn another_credentials_data_stays_but_is_not_shown_to_the_refused() {
    let bench = Bench::new();
    resolve(&bench.usage, "old", data("1"), None);
    bench.hands.advance(secs(200));
    assert_eq!(resolve(&bench.usage, "new", status(401, None), None).short(), "cfb unauthorized");
    assert_eq!(resolve(&bench.usage, "new", data("2"), None).short(), "cb unauthorized");
    assert_eq!(bench.usage.read().unwrap().answer.unwrap().data.as_ref(), "1");
    assert_eq!(resolve(&bench.usage, "old", data("3"), None).short(), "cf ran 3");
}

#[test]
fn l3_a_late_refusal_of_the_old_credential_leaves_the_new_ones_data() {
    let bench = Bench::new();
    let mut late = bench.usage.begin();
    assert!(matches!(late.next(), Ok(Step::Credentials)));
    late.credentials(Ok("old"));
    assert!(matches!(late.next(), Ok(Step::Fetch)));
    // Its lease lapses; the new login's answer is stored; then the refusal comes.
    bench.hands.advance(secs(7));
    assert_eq!(resolve(&bench.usage, "new", data("1"), None).short(), "cf ran 1");
    late.fetched(Err(Failure::from_status(401, None)));
    assert!(matches!(late.next(), Ok(Step::Done(answer)) if answer.data.as_ref() == "1"));
    assert_eq!(bench.look().short(), " fresh 1");
    assert!(bench.usage.read().unwrap().blocked.is_none());
}

#[test]
fn l3_the_same_while_the_lease_is_still_held() {
    let bench = Bench::new();
    let mut late = bench.usage.begin();
    assert!(matches!(late.next(), Ok(Step::Credentials)));
    late.credentials(Ok("old"));
    assert!(matches!(late.next(), Ok(Step::Fetch)));
    // Another program writes the new login's record meanwhile.
    let at = "2026-04-19T12:00:00Z";
    let record = format!(
        "{{\"schema_version\":1,\"cached_at\":\"{at}\",\"data\":5,\"error\":null,\"forebay_credential\":\"0123\"}}"
    );
    bench.write("usage.json", &record);
    late.fetched(Err(Failure::from_status(401, None)));
    assert!(matches!(late.next(), Ok(Step::Done(answer)) if answer.data.as_ref() == "5"));
    assert!(bench.path("usage.json").exists() && !bench.path("usage.lock").exists());
}

#[test]
fn the_record_names_its_credential_by_a_hash_only() {
    let bench = Bench::new();
    bench
        .usage
        .resolve(
            |_| Ok::<_, Failure>(Fetched::new("1")),
            || Ok::<_, Failure>("a-secret-token"),
            || Ok::<Option<String>, Failure>(None),
        )
        .unwrap();
    let text = std::fs::read_to_string(bench.path("usage.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["forebay_credential"].as_str().unwrap().len(), 32);
    assert!(!text.contains("a-secret"));
}
