//! Who holds a lease: the lock on its marker decides, and the marker's own inode and token; never a pid, a start
//! time or a clock that can be set.

use crate::common::{HOUR, KEY, NOW, Place, acquire, dead_pid, lease, locked, marker_of, put, text};
use forebay::{Acquired, Code, Commit, Failure, Phase};
use serde_json::{Value as Json, json};
use std::time::Duration;

fn with(marker: &Json, changes: &[(&str, Json)]) -> Vec<u8> {
    let mut marker = marker.clone();
    for (name, value) in changes {
        marker[*name] = value.clone();
    }
    serde_json::to_vec(&marker).unwrap()
}

#[test]
fn d19_the_markers_lock_decides_and_not_what_it_says_of_pids() {
    let place = Place::new();
    let marker = marker_of(&place);
    let (me, dead) = (json!(std::process::id()), json!(dead_pid()));
    let (boot, pids) = (("boot", json!("another")), ("pidns", json!("1")));
    // Locked: it lives, wherever it is, though its pid means nobody here.
    for lies in [vec![("pid", dead.clone()), pids.clone()], vec![("pid", dead.clone()), boot.clone()]] {
        let held = locked(&place.file("refreshing"), &with(&marker, &lies));
        let claim = acquire(&place.source());
        assert!(matches!(claim, Acquired::InFlight(_)), "{lies:?}: {claim:?}");
        assert_eq!(place.source().refresh_state().unwrap().phase, Phase::Running);
        drop(held);
        // Not locked any more: it is gone.
        drop(lease(&place.source()));
    }
    // Not locked: its holder is gone, though its pid is alive.
    for lies in [vec![("pid", me.clone())], vec![("pid", me), boot], vec![("pid", json!(1)), pids]] {
        std::fs::write(place.file("refreshing"), with(&marker, &lies)).unwrap();
        assert_ne!(place.source().refresh_state().unwrap().phase, Phase::Running, "{lies:?}");
        drop(lease(&place.source()));
    }
    // Locked, but by a child that outlived the holder: the very process, in this boot and namespace, is gone.
    let held = locked(&place.file("refreshing"), &with(&marker, &[("pid", dead)]));
    drop(lease(&place.source()));
    drop(held);
}

#[test]
fn p02_a_revoked_holder_never_commits_though_its_token_came_again() {
    let place = Place::new();
    let ticket = lease(&place.source());
    let marker = std::fs::read(place.file("refreshing")).unwrap();
    assert!(!place.source().remove().unwrap());
    // The same token in another file: another lease.
    let other = locked(&place.file("refreshing"), &marker);
    assert!(ticket.cancelled());
    assert_eq!(ticket.renew(HOUR).unwrap_err().code(), Code::LeaseLost);
    assert_eq!(ticket.complete("revoked", &Commit::default()).unwrap_err().code(), Code::LeaseLost);
    assert_eq!(text(&place.source()), None);
    assert!(place.file("refreshing").exists(), "the other's marker went");
    drop(other);
    // The same file with another token: the original truncates markers in place.
    let ticket = lease(&place.source());
    let mut marker = place.json("refreshing");
    marker["token"] = json!("1");
    std::fs::write(place.file("refreshing"), serde_json::to_vec(&marker).unwrap()).unwrap();
    assert!(ticket.cancelled());
    let failure = Failure::new(Code::Io, "late");
    assert_eq!(ticket.fail(&failure).unwrap_err().code(), Code::LeaseLost);
    assert!(place.json("refreshing")["token"] == "1");
}

#[test]
fn p02_tokens_grow_over_removes_and_a_clock_that_stands() {
    let place = Place::new();
    let (cache, hands) = place.manual();
    let source = cache.source(KEY);
    let mut last = 0;
    for round in 0..50 {
        let ticket = lease(&source);
        assert!(ticket.token() > last, "round {round}");
        last = ticket.token();
        if round % 3 == 0 {
            ticket.complete("x", &Commit::default()).unwrap();
        }
        source.remove().unwrap();
        hands.step_wall(-1_000_000_000);
    }
    // From the real clock, so that no manual one makes them come again.
    assert!(i64::try_from(last).unwrap() > NOW);
}

#[test]
fn s02_a_token_is_greater_than_every_one_on_disk() {
    let place = Place::new();
    let far = 1_u64 << 62;
    put(&place.source(), "old");
    place.place("stale", json!({"v": 1, "token": far.to_string()}).to_string().as_bytes());
    let ticket = lease(&place.source());
    assert!(ticket.token() > far);
    // A put beside that lease draws a greater one still, and the lease's commit does not pass over it.
    put(&place.source(), "put");
    let value = place.source().read().unwrap();
    assert!(value.is_fresh() && value.entry.unwrap().token.unwrap() > ticket.token());
    assert_eq!(ticket.complete("late", &Commit::default()).unwrap_err().code(), Code::Superseded);
    assert_eq!(text(&place.source()).as_deref(), Some("put"));
    assert_eq!(place.names(), ["models.json", "models.meta"]);
}

#[test]
fn s02_a_put_of_the_leases_own_token_is_not_passed_over() {
    let place = Place::new();
    put(&place.source(), "put");
    let ticket = lease(&place.source());
    // As if the clock had stood still: a put that had drawn this token plus one.
    let mut meta = place.json("meta");
    meta["cur"]["token"] = json!((ticket.token() + 1).to_string());
    place.place("meta", meta.to_string().as_bytes());
    assert_eq!(ticket.complete("late", &Commit::default()).unwrap_err().code(), Code::Superseded);
    assert_eq!(text(&place.source()).as_deref(), Some("put"));
}

#[test]
fn p08_notices_during_a_refresh_do_not_end_its_lease() {
    let place = Place::new();
    let source = place.source();
    for round in 0..20 {
        let ticket = lease(&source);
        for _ in 0..3 {
            place.source().mark_stale().unwrap();
        }
        let value = ticket.complete(format!("{round}"), &Commit::default()).unwrap();
        assert!(!value.is_fresh(), "what it brought may be from before the notice");
        assert_eq!(text(&source), Some(round.to_string()));
    }
}

#[test]
fn p11_a_paused_holders_late_calls_do_not_touch_its_successor() {
    let place = Place::new();
    let (cache, hands) = place.manual();
    let source = cache.source(KEY).ttl(HOUR).deadline(Duration::from_secs(1));
    let paused = lease(&source);
    hands.advance(Duration::from_nanos(3_000_000_001));
    let successor = lease(&source);
    let marker = std::fs::read(place.file("refreshing")).unwrap();
    assert_eq!(paused.renew(HOUR).unwrap_err().code(), Code::LeaseLost);
    assert_eq!(paused.unchanged(&Commit::default()).unwrap_err().code(), Code::Invalid);
    let failure = Failure::new(Code::RateLimited, "late").retry_after(HOUR);
    assert_eq!(paused.fail(&failure).unwrap_err().code(), Code::LeaseLost);
    assert_eq!(std::fs::read(place.file("refreshing")).unwrap(), marker);
    assert!(!successor.cancelled());
    successor.complete("successor", &Commit::default()).unwrap();
    assert_eq!(text(&source).as_deref(), Some("successor"));
    assert_eq!(place.names(), ["models.json", "models.meta"]);
}

#[test]
fn p21_a_holder_that_renews_is_never_taken_for_dead() {
    const RENEWALS: usize = 2000;
    let place = Place::new();
    let ticket = lease(&place.source());
    std::thread::scope(|scope| {
        let renewing = scope.spawn(|| (0..RENEWALS).for_each(|_| ticket.renew(HOUR).unwrap()));
        let source = place.source();
        let mut looks = 0;
        while !renewing.is_finished() || looks < 100 {
            assert_eq!(source.refresh_state().unwrap().phase, Phase::Running);
            looks += 1;
        }
    });
}
