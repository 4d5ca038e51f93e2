//! Waiting: cancelled by the caller, woken by a change, and told the outcome of the lease it waited for.

use crate::common::{HANG, HOUR, KEY, Place, lease, put, validated};
use forebay::{Code, Commit, Failure, How, Mode, Next, RefreshOptions, Version, Wait};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

#[test]
fn d24_a_wait_is_cancelled() {
    let place = Place::new();
    let ticket = lease(&place.source());
    let source = place.source();
    let looks = AtomicUsize::new(0);
    let third = || looks.fetch_add(1, Ordering::SeqCst) >= 2;
    let error = source.wait_for_change(&Version::absent(), None, Some(&third)).unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
    let mut attempt = source.begin(Mode::Get { wait: Wait::UntilDone });
    assert!(matches!(attempt.next().unwrap(), Next::Wait));
    assert!(!attempt.wait(HANG, Some(&|| true)), "cancelled, but it waited on");
    let error = place.open().next_refresh(None, Some(&|| true)).unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
    drop(ticket);
}

/// Runs `wait` on a thread, and `change` once it waits: what `wait` returned.
fn woken<T: Send>(wait: impl FnOnce(&dyn Fn() -> bool) -> T + Send, change: impl FnOnce()) -> T {
    let waits = AtomicBool::new(false);
    let (tell, told) = channel();
    std::thread::scope(|scope| {
        let waits = &waits;
        scope.spawn(move || {
            // Asked just before each sleep.
            let asleep = || {
                waits.store(true, Ordering::SeqCst);
                false
            };
            tell.send(wait(&asleep)).unwrap();
        });
        while !waits.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        change();
        told.recv_timeout(HANG).expect("nobody woke it")
    })
}

#[test]
fn d24_a_wait_is_woken_by_every_kind_of_change() {
    let place = Place::new();
    let source = place.source();
    for round in 0..20 {
        let since = source.read().unwrap().version();
        let wait = |asleep: &dyn Fn() -> bool| source.wait_for_change(&since, None, Some(asleep)).unwrap();
        let version = woken(wait, || put(&place.source(), &round.to_string())).unwrap();
        assert_ne!(version, since);
        let wait = |asleep: &dyn Fn() -> bool| source.wait_for_change(&version, None, Some(asleep)).unwrap();
        let gone = woken(wait, || assert!(place.source().remove().unwrap())).unwrap();
        assert_eq!(gone, Version::absent());
    }
    let none = source.wait_for_change(&Version::absent(), Some(Duration::ZERO), None).unwrap();
    assert_eq!(none, None);
}

#[test]
fn p22_a_waiter_gets_the_outcome_of_the_lease_it_waited_for() {
    for round in 0..30 {
        let place = Place::new();
        let ticket = lease(&place.source());
        let source = place.source();
        let wait = |asleep: &dyn Fn() -> bool| {
            let mut attempt = source.begin(Mode::Refresh(RefreshOptions::default()));
            loop {
                match attempt.next() {
                    Ok(Next::Wait) => assert!(attempt.wait(HANG, Some(asleep))),
                    other => return other,
                }
            }
        };
        let outcome = woken(wait, || match round % 3 {
            0 => drop(ticket.complete("result", &Commit::default()).unwrap()),
            1 => ticket.fail(&Failure::new(Code::Unavailable, "HTTP 503")).unwrap(),
            _ => drop(ticket),
        });
        match (round % 3, outcome) {
            (0, Ok(Next::Done(value))) => {
                assert_eq!((value.data(), value.how), (Some(&b"result"[..]), Some(How::Coalesced)));
            }
            (1, Err(error)) => assert_eq!(error.code(), Code::Unavailable),
            // It died: the waiter has the lease itself.
            (2, Ok(Next::Run(mine))) => drop(mine.complete("mine", &Commit::default()).unwrap()),
            (_, other) => panic!("round {round}: {other:?}"),
        }
    }
}

#[test]
fn p25_versions_are_no_times() {
    let place = Place::new();
    let (cache, hands) = place.manual();
    let source = cache.source(KEY).ttl(HOUR);
    let mut seen = vec![Version::absent()];
    for step in [0, 0, -3_600_000_000_000, 0, 7_200_000_000_000] {
        hands.step_wall(step);
        // The very same bytes: put again, they are another version.
        source.put("same", &validated("v1")).unwrap();
        let version = source.wait_for_change(seen.last().unwrap(), None, None).unwrap().unwrap();
        assert!(!seen.contains(&version), "a change was missed");
        assert_eq!(Version::parse(&version.to_string()).unwrap(), version);
        seen.push(version);
    }
}
