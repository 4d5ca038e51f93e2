//! Rotation of single-use credentials: who exchanges, what is recorded of each outcome, and what nobody may do
//! twice. On real files; kills at each step and many processes are in `tests/processes`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails in a helper of tests fails the test"
)]

use forebay::{
    Clock, Code, Credential, Credentials, CredentialsOptions, Error, Exchange, Failure, How, ManualClock,
    Phase, RotateStep, Version,
};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

const START: i64 = 1_776_600_000_000_000_000;

struct Bench {
    folder: tempfile::TempDir,
    credentials: Credentials,
    hands: ManualClock,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let (clock, hands) = Clock::manual(START);
        let options = CredentialsOptions::new().root(folder.path().join("state")).clock(clock);
        Bench { credentials: options.open().unwrap(), folder, hands }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("state/credentials").join(name)
    }

    fn rotate(&self, seen: Option<&Version>, brings: Result<&str, Failure>) -> Result<Credential, Error> {
        self.credentials.rotate("github", seen, |_| brings.map(str::to_owned))
    }

    fn login(&self) -> Version {
        self.rotate(None, Ok("first")).unwrap().version().clone()
    }

    fn code(&self, seen: &Version) -> Code {
        self.rotate(Some(seen), Ok("never")).unwrap_err().code()
    }
}

fn never(_: &Exchange) -> Result<String, Failure> {
    panic!("an exchange was made")
}

#[test]
fn one_exchanges_and_the_others_get_what_it_brought() {
    let bench = Bench::new();
    let first = bench.rotate(None, Ok("first")).unwrap();
    assert_eq!((first.how(), first.data()), (How::Ran, &b"first"[..]));
    let second = bench
        .credentials
        .rotate("github", Some(first.version()), |exchange| {
            assert_eq!(exchange.previous(), Some(&b"first"[..]));
            assert_eq!(exchange.remaining(), Duration::from_secs(30));
            assert!(!exchange.cancelled());
            Ok::<_, Failure>("second")
        })
        .unwrap();
    assert_eq!((second.how(), second.data()), (How::Ran, &b"second"[..]));
    for seen in [None, Some(first.version())] {
        let late = bench.credentials.rotate("github", seen, never).unwrap();
        assert_eq!((late.how(), late.data()), (How::Coalesced, &b"second"[..]));
        assert_eq!(late.version(), second.version());
    }
    assert_eq!(bench.credentials.current("github").unwrap().unwrap().data(), b"second");
}

#[test]
fn files_are_private_marked_as_nobodys_cache_and_nothing_is_left_open() {
    let bench = Bench::new();
    bench.login();
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(bench.path("github.json")), 0o600);
    assert_eq!(mode(bench.folder.path().join("state")), 0o700);
    assert!(!bench.folder.path().join("state/CACHEDIR.TAG").exists());
    let mut names: Vec<_> =
        std::fs::read_dir(bench.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["github.json", "github.meta"]);
}

#[test]
fn a_refusal_is_definite_and_the_credential_stays() {
    for failure in [
        Failure::from_status(401, None),
        Failure::new(Code::Invalid, "invalid_grant"),
        Failure::new(Code::Unavailable, "connection refused").not_sent(),
    ] {
        let bench = Bench::new();
        let seen = bench.login();
        let code = failure.code;
        let error = bench.rotate(Some(&seen), Err(failure)).unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.retry_at().is_some());
        let state = bench.credentials.state("github").unwrap();
        assert_eq!((state.phase, state.ambiguous_since, &state.version), (Phase::Cooling, None, &seen));
        assert_eq!(bench.code(&seen), Code::Gated);
        bench.hands.advance(Duration::from_secs(1));
        assert_eq!(bench.rotate(Some(&seen), Ok("second")).unwrap().data(), b"second");
    }
}

#[test]
fn a_server_that_says_when_is_asked_then() {
    let bench = Bench::new();
    let seen = bench.login();
    assert_eq!(
        bench.rotate(Some(&seen), Err(Failure::from_status(429, Some("60")))).unwrap_err().code(),
        Code::RateLimited
    );
    bench.hands.advance(Duration::from_secs(59));
    assert_eq!(bench.code(&seen), Code::Gated);
    bench.hands.advance(Duration::from_secs(1));
    assert_eq!(bench.rotate(Some(&seen), Ok("second")).unwrap().how(), How::Ran);
}

#[test]
fn an_unknown_outcome_is_reported_to_all_until_a_new_login() {
    for failure in [
        Failure::new(Code::TimedOut, "no answer"),
        Failure::from_status(500, None),
        Failure::from_status(503, Some("1")),
    ] {
        let bench = Bench::new();
        let seen = bench.login();
        assert_eq!(bench.rotate(Some(&seen), Err(failure)).unwrap_err().code(), Code::Ambiguous);
        bench.hands.advance(Duration::from_secs(30 * 24 * 3600));
        for seen in [Some(&seen), None] {
            let error = bench.credentials.rotate("github", seen, never).unwrap_err();
            assert_eq!(error.code(), Code::Ambiguous);
        }
        assert_eq!(bench.credentials.current("github").unwrap().unwrap().data(), b"first");
        let state = bench.credentials.state("github").unwrap();
        assert_eq!(state.ambiguous_since.unwrap(), forebay_instant(START));
        let version = bench.credentials.reset("github", Some(b"new login")).unwrap().unwrap();
        assert_ne!(version, seen);
        assert_eq!(bench.credentials.state("github").unwrap().ambiguous_since, None);
        assert_eq!(bench.rotate(Some(&version), Ok("next")).unwrap().data(), b"next");
        assert!(!bench.path("github.started").exists());
    }
}

fn forebay_instant(ns: i64) -> std::time::SystemTime {
    std::time::SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(ns).unwrap())
}

#[test]
fn nothing_is_no_credential() {
    let bench = Bench::new();
    let seen = bench.login();
    assert_eq!(bench.rotate(Some(&seen), Ok("")).unwrap_err().code(), Code::Ambiguous);
    assert_eq!(bench.credentials.reset("github", Some(b"")).unwrap_err().code(), Code::Invalid);
    assert_eq!(bench.credentials.current("github").unwrap().unwrap().data(), b"first");
    assert!(!Version::parse("a-secret").unwrap_err().to_string().contains("a-secret"));
}

#[test]
fn a_panic_in_an_exchange_is_an_unknown_outcome() {
    let bench = Bench::new();
    let seen = bench.login();
    let result = bench.credentials.rotate("github", Some(&seen), never);
    assert_eq!(result.unwrap_err().code(), Code::Ambiguous);
    assert_eq!(bench.code(&seen), Code::Ambiguous);
}

#[test]
fn dropped_after_it_began_it_is_ambiguous_and_before_it_is_not() {
    let bench = Bench::new();
    let seen = bench.login();
    let mut rotation = bench.credentials.begin("github", Some(&seen));
    assert!(matches!(rotation.next(), Ok(RotateStep::Exchange)));
    assert!(bench.path("github.started").exists(), "that it begins is on disk before it does");
    let exchange = rotation.exchange().unwrap();
    drop(rotation);
    assert!(exchange.cancelled());
    assert_eq!(bench.code(&seen), Code::Ambiguous);
    bench.credentials.reset("github", None).unwrap();
    assert!(bench.credentials.current("github").unwrap().is_none());
    drop(bench.credentials.begin("github", None));
    assert_eq!(bench.rotate(None, Ok("again")).unwrap().how(), How::Ran);
}

#[test]
fn one_that_takes_longer_than_its_lease_keeps_its_result() {
    let bench = Bench::new();
    let seen = bench.login();
    let mut slow = bench.credentials.begin("github", Some(&seen));
    assert!(matches!(slow.next(), Ok(RotateStep::Exchange)));
    let mut waiting = bench.credentials.begin("github", Some(&seen));
    assert!(matches!(waiting.next(), Ok(RotateStep::Wait)));
    // Its time is over, but it lives: nobody may use the credential, nor end its lease.
    bench.hands.advance(Duration::from_secs(3600));
    assert_eq!(waiting.next().unwrap_err().code(), Code::Ambiguous);
    slow.exchanged(Ok("second"));
    let Ok(RotateStep::Done(credential)) = slow.next() else { panic!("a credential was expected") };
    assert_eq!((credential.how(), credential.data()), (How::Ran, &b"second"[..]));
    assert_eq!(bench.credentials.rotate("github", Some(&seen), never).unwrap().data(), b"second");
}

#[test]
fn a_reset_during_an_exchange_wins_and_its_result_is_handed_back() {
    let bench = Bench::new();
    let seen = bench.login();
    let mut rotation = bench.credentials.begin("github", Some(&seen));
    assert!(matches!(rotation.next(), Ok(RotateStep::Exchange)));
    bench.credentials.reset("github", Some(b"new login")).unwrap();
    rotation.exchanged(Ok("from the old login"));
    let Ok(RotateStep::Done(credential)) = rotation.next() else { panic!("a credential was expected") };
    assert_eq!((credential.how(), credential.data()), (How::Uncoordinated, &b"from the old login"[..]));
    assert_eq!(credential.error().unwrap().code(), Code::Superseded);
    assert_eq!(bench.credentials.current("github").unwrap().unwrap().data(), b"new login");
}

#[test]
fn a_credential_that_was_seen_and_is_gone_is_not_made_anew() {
    let bench = Bench::new();
    let seen = bench.login();
    bench.credentials.reset("github", None).unwrap();
    assert_eq!(bench.code(&seen), Code::NotFound);
}

#[test]
fn a_mark_that_cannot_be_read_is_believed() {
    let bench = Bench::new();
    let seen = bench.login();
    std::fs::write(bench.path("github.started"), "\0\0\0").unwrap();
    assert_eq!(bench.code(&seen), Code::Ambiguous);
    // One of an earlier version is void.
    std::fs::write(bench.path("github.started"), r#"{"v":1,"token":"1","seen":"1","at_ns":"1"}"#).unwrap();
    assert_eq!(bench.rotate(Some(&seen), Ok("second")).unwrap().data(), b"second");
}

#[test]
fn secrets_show_in_no_error_event_or_debug_text() {
    let bench = Bench::new();
    let secret = r#"{"refresh_token":"rt-0123456789"}"#;
    let login = bench.rotate(None, Ok(secret)).unwrap();
    assert!(!format!("{login:?}").contains("rt-01"));
    let events = bench.credentials.subscribe();
    let failure = Failure::new(Code::Unauthorized, "revoked: rt-0123456789");
    let error = bench.rotate(Some(login.version()), Err(failure)).unwrap_err();
    assert_eq!(error.message(), "revoked: [credential]");
    let state = bench.credentials.state("github").unwrap();
    assert_eq!(state.last_error.unwrap().message(), "revoked: [credential]");
    let gate = std::fs::read_to_string(bench.path("github.gate")).unwrap();
    assert!(!gate.contains("rt-01"), "{gate}");
    while let Some(event) = events.next(Duration::ZERO) {
        assert!(!format!("{event:?}").contains("rt-01"));
    }
}

#[test]
fn threads_rotate_each_credential_once() {
    let folder = tempfile::tempdir().unwrap();
    let credentials = Credentials::open(folder.path().join("state")).unwrap();
    let used = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut seen: Option<Version> = None;
                for _ in 0..10 {
                    let credential = credentials
                        .rotate("github", seen.as_ref(), |exchange| {
                            let old =
                                String::from_utf8(exchange.previous().unwrap_or(b"0").to_vec()).unwrap();
                            used.lock().unwrap().push(old.clone());
                            Ok::<_, Failure>((old.parse::<u64>().unwrap() + 1).to_string())
                        })
                        .unwrap();
                    seen = Some(credential.version().clone());
                }
            });
        }
    });
    let mut used = used.into_inner().unwrap();
    let all = used.len();
    used.sort();
    used.dedup();
    assert_eq!(used.len(), all, "a credential was used twice");
    assert!(all >= 10);
}
