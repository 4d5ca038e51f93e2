//! The order of `resolve`: what is looked at, called and returned, rule by rule.

use crate::common::{Bench, data, resolve, secs, status};
use forebay::{Code, Failure, Fetched, How, State, Step, Wait};

#[test]
fn one_fresh_answers_touch_nothing() {
    let bench = Bench::new();
    assert_eq!(bench.resolve(data("{\"n\":1}")).short(), "cf ran {\"n\":1}");
    bench.hands.advance(secs(179));
    let told = bench.resolve(data("2"));
    assert_eq!(told.short(), " fresh {\"n\":1}");
    let answer = told.result.unwrap();
    assert_eq!((answer.age, answer.state), (secs(179), State::Fresh));
    bench.hands.advance(secs(1));
    assert_eq!(bench.resolve(data("2")).short(), "cf ran 2");
}

#[test]
fn two_a_gate_is_kept_without_credentials_or_network() {
    let bench = Bench::new();
    bench.resolve(data("1"));
    bench.hands.advance(secs(200));
    let told = bench.resolve(status(429, Some("600")));
    assert_eq!(told.short(), "cf stale 1");
    let answer = told.result.unwrap();
    assert_eq!(answer.error.unwrap().code(), Code::RateLimited);
    assert_eq!(answer.retry_at, Some(bench.until(800)));
    bench.hands.advance(secs(599));
    let told = bench.look();
    assert_eq!(told.short(), " stale 1");
    assert_eq!(told.result.unwrap().retry_at, Some(bench.until(800)));
    bench.hands.advance(secs(1));
    assert_eq!(bench.resolve(data("2")).short(), "cf ran 2");
    assert!(!bench.path("usage.lock").exists());
}

#[test]
fn two_without_data_the_fallback_then_the_recorded_error() {
    let bench = Bench::new();
    assert_eq!(bench.resolve(status(503, Some("60"))).short(), "cfb unavailable");
    let told = bench.look();
    assert_eq!(told.short(), "b unavailable");
    assert_eq!(told.result.unwrap_err().retry_at(), Some(bench.until(60)));
    let told = resolve(&bench.usage, "token", data("9"), Some("{\"local\":true}"));
    assert_eq!(told.short(), "b fallback {\"local\":true}");
    let answer = told.result.unwrap();
    assert_eq!(answer.error.unwrap().code(), Code::Unavailable);
    assert_eq!((answer.retry_at, answer.cached_at), (Some(bench.until(60)), None));
}

#[test]
fn three_failing_credentials_set_no_gate() {
    let bench = Bench::new();
    assert_eq!(resolve(&bench.usage, "none", data("1"), None).short(), "cb no_credentials");
    assert_eq!(resolve(&bench.usage, "none", data("1"), Some("7")).short(), "cb fallback 7");
    assert!(bench.usage.read().unwrap().blocked.is_none());
    assert_eq!(bench.resolve(data("1")).short(), "cf ran 1");
}

#[test]
fn four_others_are_served_stale_at_once_or_wait() {
    let bench = Bench::new();
    let mut first = bench.usage.begin();
    assert!(matches!(first.next(), Ok(Step::Credentials)));
    first.credentials(Ok("token"));
    assert!(matches!(first.next(), Ok(Step::Fetch)));
    // With nothing to show, a second one waits, for as long as it wants to.
    let mut second = bench.usage.begin();
    assert!(matches!(second.next(), Ok(Step::Wait)));
    let impatient = bench.usage.clone().wait(Wait::AtMost(secs(0)));
    assert_eq!(resolve(&impatient, "token", data("2"), None).short(), "b timed_out");
    first.fetched(Ok(Fetched::new("1")));
    assert!(matches!(first.next(), Ok(Step::Done(answer)) if answer.how == How::Ran));
    assert!(matches!(second.next(), Ok(Step::Done(answer)) if answer.how == How::Coalesced));
    // With something, it is shown meanwhile.
    bench.hands.advance(secs(300));
    let mut third = bench.usage.begin();
    assert!(matches!(third.next(), Ok(Step::Credentials)));
    third.credentials(Ok("token"));
    assert!(matches!(third.next(), Ok(Step::Fetch)));
    assert_eq!(bench.look().short(), " stale 1");
    // Dropped in the middle, though its job is kept, it leaves the fetch to the next.
    let job = third.job().unwrap();
    drop(third);
    assert!(job.cancelled());
    assert_eq!(bench.resolve(data("3")).short(), "cf ran 3");
}

#[test]
fn five_an_unchanged_answer_is_fresh_again() {
    let bench = Bench::new();
    let tagged = |job: &forebay::QuotaJob| {
        assert!(job.validator().is_none());
        Ok::<_, Failure>(Fetched::new("{\"n\": 1}").validator("\"v1\""))
    };
    let none = || Ok::<Option<String>, Failure>(None);
    bench.usage.resolve(tagged, || Ok::<_, Failure>("t"), none).unwrap();
    bench.hands.advance(secs(200));
    let unchanged = |job: &forebay::QuotaJob| {
        assert_eq!(job.conditional_headers(), [("If-None-Match", "\"v1\"".to_owned())]);
        assert_eq!(job.previous(), Some("{\"n\": 1}"));
        assert_eq!(job.remaining(), secs(2));
        Ok::<_, Failure>(Fetched::unchanged())
    };
    let answer = bench.usage.resolve(unchanged, || Ok::<_, Failure>("t"), none).unwrap();
    assert_eq!((answer.how, &*answer.data), (How::Unchanged, "{\"n\": 1}"));
    bench.hands.advance(secs(179));
    let answer = bench.look().result.unwrap();
    assert_eq!((answer.how, answer.age), (How::Fresh, secs(179)));
}

#[test]
fn five_what_is_no_json_is_a_failure_and_never_stored() {
    let bench = Bench::new();
    for garbage in ["", "<html>", "{\"n\":1", "null", "{} {}"] {
        assert_eq!(bench.resolve(data(garbage)).short(), "cfb refresh_failed", "{garbage:?}");
        bench.usage.clear().unwrap();
    }
    assert_eq!(bench.resolve(data(" [1, 2.50] \n")).result.unwrap().data.as_ref(), "[1, 2.50]");
}

#[test]
fn five_the_first_error_is_never_hidden_by_an_empty_fallback() {
    let bench = Bench::new();
    let failing = bench.usage.resolve(
        |_| Err::<String, _>(Failure::new(Code::TimedOut, "no answer within 2 s")),
        || Ok::<_, Failure>("token"),
        || Err::<Option<String>, _>(Failure::new(Code::Io, "no logs")),
    );
    assert_eq!(failing.unwrap_err().code(), Code::TimedOut);
    let garbage = resolve(&bench.usage, "token", data("1"), Some("no json"));
    assert_eq!(garbage.short(), "b timed_out");
}

#[test]
fn five_a_panic_is_a_failed_fetch() {
    let bench = Bench::new();
    let panics = bench.usage.resolve(
        |_| -> Result<String, Failure> { panic!("boom") },
        || Ok::<_, Failure>("token"),
        || Ok::<Option<String>, Failure>(None),
    );
    let error = panics.unwrap_err();
    assert_eq!(error.code(), Code::RefreshFailed);
    assert_eq!(error.retry_at(), Some(bench.until(1)));
}

#[test]
fn a_secret_that_a_failure_quotes_is_recorded_nowhere() {
    let bench = Bench::new();
    let told = bench.usage.resolve(
        |_| Err::<String, _>(Failure::new(Code::Unauthorized, "bad token sk-12345678")),
        || Ok::<_, Failure>("sk-12345678"),
        || Ok::<Option<String>, Failure>(None),
    );
    assert_eq!(told.unwrap_err().message(), "bad token [credential]");
    for name in bench.names().iter().filter(|name| name.starts_with("usage")) {
        let text = std::fs::read_to_string(bench.path(name)).unwrap();
        assert!(!text.contains("sk-1234"), "{name}: {text}");
    }
}

#[test]
fn calls_out_of_turn_are_refused() {
    let bench = Bench::new();
    let mut resolve = bench.usage.begin();
    resolve.fetched(Ok(Fetched::new("1")));
    assert!(matches!(resolve.next(), Ok(Step::Credentials)));
    assert_eq!(resolve.next().unwrap_err().code(), Code::AlreadyUsed);
    bench.cache.close(None).unwrap();
    assert_eq!(bench.look().short(), " closed");
}
