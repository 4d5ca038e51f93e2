//! The gate: what each failure does to it, how gates merge, and how long they may last.

use crate::common::{Bench, START, data, resolve, secs, status};
use forebay::{Code, Failure, Fetched, Step};
use std::time::Duration;

#[test]
fn each_failure_has_its_cooldown() {
    for (code, header, wait) in [
        (429, Some("120"), 120),
        (429, None, 300),
        (429, Some("soon"), 300),
        (429, Some("0"), 1),
        (429, Some("99999999"), 86_400),
        (503, Some("7"), 7),
        (503, None, 1),
        (401, None, 300),
        (403, Some("5"), 300),
        (500, Some("5"), 1),
    ] {
        let bench = Bench::new();
        bench.resolve(status(code, header));
        let blocked = bench.usage.read().unwrap().blocked.unwrap();
        assert_eq!(blocked.until, bench.until(wait), "{code} {header:?}");
        assert_eq!(blocked.attempts, 1);
    }
}

#[test]
fn other_failures_back_off_and_a_success_ends_it() {
    let bench = Bench::new();
    for wait in [1, 2, 4, 8, 16, 32, 64, 128, 180, 180] {
        bench.resolve(status(500, None));
        let until = bench.usage.read().unwrap().blocked.unwrap().until;
        assert_eq!(until.duration_since(bench.cache.now()).unwrap(), secs(wait));
        bench.hands.advance(secs(wait));
    }
    bench.resolve(data("1"));
    assert!(bench.usage.read().unwrap().blocked.is_none());
    bench.hands.advance(secs(200));
    bench.resolve(status(500, None));
    assert_eq!(bench.usage.read().unwrap().blocked.unwrap().attempts, 1);
}

#[test]
fn l2_a_timeout_does_not_shorten_what_a_server_declared_in_either_order() {
    let bench = Bench::new();
    // A's lease lapses while it fetches; B fetches and times out; then A's answer comes.
    let mut a = bench.usage.begin();
    assert!(matches!(a.next(), Ok(Step::Credentials)));
    a.credentials(Ok("token"));
    assert!(matches!(a.next(), Ok(Step::Fetch)));
    bench.hands.advance(secs(7));
    assert_eq!(bench.resolve(Err(Failure::new(Code::TimedOut, "late"))).short(), "cfb timed_out");
    a.fetched(Err(Failure::from_status(429, Some("3600"))));
    assert!(matches!(a.next(), Ok(Step::Fallback)));
    let blocked = bench.usage.read().unwrap().blocked.unwrap();
    assert_eq!((blocked.until, blocked.error), (bench.until(3607), Some(Code::RateLimited)));
    // A timeout that comes later leaves it.
    bench.usage.block(secs(30), Code::TimedOut, "by hand").unwrap();
    assert_eq!(bench.usage.read().unwrap().blocked.unwrap().until, bench.until(3607));
    bench.hands.advance(secs(3599));
    bench.look();
    bench.hands.advance(secs(1));
    assert_eq!(bench.resolve(data("1")).short(), "cf ran 1");
}

#[test]
fn l4_a_success_sets_no_gate_even_where_it_cannot_be_stored() {
    let bench = Bench::new();
    let mut resolve = bench.usage.begin();
    assert!(matches!(resolve.next(), Ok(Step::Credentials)));
    resolve.credentials(Ok("token"));
    assert!(matches!(resolve.next(), Ok(Step::Fetch)));
    // The lease is lost: somebody cleared the record.
    bench.usage.clear().unwrap();
    resolve.fetched(Ok(Fetched::new("1")));
    let Ok(Step::Done(answer)) = resolve.next() else { panic!("an answer was expected") };
    assert_eq!((answer.how.as_str(), &*answer.data), ("uncoordinated", "1"));
    assert_eq!(answer.error.unwrap().code(), Code::LeaseLost);
    assert!(bench.usage.read().unwrap().blocked.is_none());
    assert_eq!(bench.resolve(data("2")).short(), "cf ran 2");
}

#[test]
fn l7_no_server_talks_anyone_out_of_waiting() {
    let bench = Bench::new();
    for header in ["0", "-3", "Mon, 01 Jan 1990 00:00:00 GMT"] {
        bench.resolve(status(429, Some(header)));
        assert_eq!(bench.look().short(), "b rate_limited", "{header}");
        bench.hands.advance(secs(1));
    }
}

#[test]
fn l8_l9_gates_end_by_when_they_were_written() {
    let bench = Bench::new();
    for (text, ends) in [
        ("{\"blocked_until\":99999999999,\"error\":\"RateLimited\"}", 86_400),
        ("1776600000", 30),
        ("", 30),
        ("\u{0}\u{0}", 30),
    ] {
        bench.write("usage.lock", text);
        bench.hands.advance(secs(ends - 1));
        assert!(!bench.resolve(data("1")).calls.contains('f'), "{text:?}");
        bench.hands.advance(secs(1));
        assert_eq!(bench.resolve(data("1")).short(), "cf ran 1", "{text:?}");
        bench.usage.clear().unwrap();
        bench.hands.step_wall(-i64::try_from(ends * 1_000_000_000).unwrap());
        // From the future: it bars nobody.
        bench.write_at("usage.lock", text, 90);
        assert_eq!(bench.resolve(data("1")).short(), "cf ran 1", "{text:?}");
        bench.usage.clear().unwrap();
    }
}

#[test]
fn the_originals_gate_is_kept_with_its_reason() {
    let bench = Bench::new();
    let until = START / 1_000_000_000 + 60;
    for (error, code) in [
        ("\"RateLimited\"", "rate_limited"),
        ("\"Timeout\"", "timed_out"),
        ("\"NetworkError\"", "refresh_failed"),
        ("\"Unauthorized\"", "unauthorized"),
        ("null", "gated"),
    ] {
        bench.write("usage.lock", &format!("{{\"blocked_until\":{until},\"error\":{error}}}"));
        let told = bench.look();
        assert_eq!(told.short(), format!("b {code}"));
        assert_eq!(told.result.unwrap_err().retry_at(), Some(bench.until(60)));
    }
}

#[test]
fn what_we_write_the_original_can_read() {
    let bench = Bench::new();
    bench.resolve(status(429, Some("592")));
    let lock: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(bench.path("usage.lock")).unwrap()).unwrap();
    assert_eq!(lock["blocked_until"], START / 1_000_000_000 + 592);
    assert_eq!(lock["error"], "RateLimited");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(bench.path("usage.lock")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn l11_guesses_are_spread_over_a_tenth() {
    let folder = tempfile::tempdir().unwrap();
    let cache = forebay::Cache::open(folder.path().join("root")).unwrap();
    let mut waits = Vec::new();
    for at in 0..20 {
        let quota = cache.quota(&format!("usage-{at}"));
        let _ = resolve(&quota, "token", status(429, None), None);
        let blocked = quota.read().unwrap().blocked.unwrap();
        waits.push(blocked.until.duration_since(cache.now()).unwrap());
    }
    let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(*least > secs(200) && *most <= secs(330), "{least:?} {most:?}");
    assert!(*most - *least > Duration::from_secs(1), "all of them wake together");
}

#[test]
fn a_later_bar_keeps_its_words_and_a_guessed_one_counts_as_something() {
    let bench = Bench::new();
    bench.usage.block(secs(300), Code::RateLimited, "the bill is due").unwrap();
    bench.usage.block(secs(1), Code::Unavailable, "sooner").unwrap();
    let blocked = bench.usage.read().unwrap().blocked.unwrap();
    assert_eq!((blocked.message.as_str(), blocked.error), ("the bill is due", Some(Code::RateLimited)));
    bench.usage.clear().unwrap();
    bench.resolve(status(500, None));
    assert!(bench.usage.clear().unwrap());
}

#[test]
fn blocking_and_clearing_by_hand() {
    let bench = Bench::new();
    bench.resolve(data("1"));
    assert_eq!(bench.usage.block(secs(600), Code::RateLimited, "maintenance").unwrap(), bench.until(600));
    let state = bench.usage.read().unwrap();
    let blocked = state.blocked.unwrap();
    assert_eq!((blocked.message.as_str(), blocked.attempts, blocked.declared), ("maintenance", 0, true));
    assert_eq!(state.answer.unwrap().data.as_ref(), "1");
    bench.hands.advance(secs(200));
    assert_eq!(bench.look().short(), " stale 1");
    assert_eq!(bench.cache.quotas().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>(), ["usage"]);
    assert!(bench.usage.clear().unwrap());
    assert!(!bench.usage.clear().unwrap());
    assert!(bench.cache.quotas().unwrap().is_empty());
    assert_eq!(bench.usage.block(secs(1 << 30), Code::RateLimited, "").unwrap(), bench.until(200 + 86_400));
}
