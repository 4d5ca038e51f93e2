//! What every store does, as one suite that each store runs: the same calls, the same answers.

use super::file::FileStore;
use super::index::IndexStore;
use super::memory::MemoryStore;
use super::{About, Ask, Claim, Draft, Ended, Failed, Lease, Look, Pass, Store};
use crate::entry::Lifetime;
use crate::error::{Code, Result};
use crate::fs::Durability;
use crate::gate::Backoff;
use crate::key::Key;
use crate::sys::clock::{Clock, ManualClock};
use crate::sys::real::RealSys;
use std::sync::Arc;
use std::time::Duration;

const START: i64 = 1_700_000_000_000_000_000;
const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    store: Box<dyn Store>,
    hands: ManualClock,
    _folder: tempfile::TempDir,
}

/// Runs a test on each store.
fn on_each(test: fn(&Bench)) {
    for kind in ["file", "memory", "index"] {
        let (clock, hands) = Clock::manual(START);
        let sys = Arc::new(RealSys::new(clock));
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let store: Box<dyn Store> = match kind {
            "file" => Box::new(FileStore::open(sys, &root, Some(Duration::ZERO)).unwrap()),
            "index" => Box::new(IndexStore::open(sys, &root).unwrap()),
            _ => Box::new(MemoryStore::new(sys)),
        };
        test(&Bench { store, hands, _folder: folder });
    }
}

fn key() -> Key {
    Key::parse("api/models").unwrap()
}

fn backoff() -> Backoff {
    Backoff::new(None, None, None)
}

fn about(validator: Option<&str>) -> About<'_> {
    About { validator, extra: None, lifetime: Lifetime::default(), durability: Durability::None }
}

fn draft(data: &str) -> Draft<'_> {
    Draft { data: data.as_bytes(), about: about(Some("\"v\"")) }
}

fn failed(code: Code, retry_after: Option<Duration>) -> Failed<'static> {
    Failed { retry_after, ..Failed::new(code, "no", backoff(), Durability::None) }
}

impl Bench {
    fn claim(&self, pass: Pass<'_>, enough: &dyn Fn(&Look) -> bool) -> Claim {
        let ask = Ask { length: SECOND, guard_timeout: SECOND * 2, enough, pass, backoff: backoff() };
        self.store.acquire(&key(), &ask).unwrap()
    }

    fn lease(&self) -> Lease {
        match self.claim(Pass::Guessed, &|_| false) {
            Claim::Lease(lease) => lease,
            Claim::InFlight(_) => panic!("in flight"),
            Claim::Enough(_) => panic!("enough"),
            Claim::Gated(..) => panic!("gated"),
            Claim::Ambiguous(_) => panic!("ambiguous"),
        }
    }

    fn data(&self) -> Option<String> {
        let entry = self.store.look(&key()).unwrap().entry?;
        Some(String::from_utf8(entry.data.to_vec()).unwrap())
    }

    fn noticed(&self) -> bool {
        self.store.look(&key()).unwrap().noticed
    }

    fn code<T>(result: Result<T>) -> Code {
        result.err().map(|error| error.code()).expect("it should have failed")
    }
}

#[test]
fn a_lease_excludes_others_until_it_ends_and_its_value_is_there() {
    on_each(|bench| {
        let lease = bench.lease();
        assert!(
            matches!(bench.claim(Pass::All, &|_| false), Claim::InFlight(seen) if seen.token == Some(lease.token))
        );
        assert!(bench.store.holds(&lease));
        let done = bench.store.complete(&lease, &draft("one")).unwrap();
        assert_eq!((done.token, done.stored_ns, done.noticed), (lease.token, START, false));
        assert_eq!(bench.data().as_deref(), Some("one"));
        let entry = bench.store.look(&key()).unwrap().entry.unwrap();
        assert_eq!((entry.token, entry.validator.as_deref()), (Some(lease.token), Some("\"v\"")));
        assert!(matches!(bench.claim(Pass::All, &|look| look.entry.is_some()), Claim::Enough(_)));
        assert_eq!(Bench::code(bench.store.complete(&lease, &draft("two"))), Code::AlreadyUsed);
    });
}

#[test]
fn d6_a_late_owner_is_refused_and_d7_does_not_hurt_its_successor() {
    on_each(|bench| {
        let late = bench.lease();
        bench.hands.advance(SECOND * 3);
        assert!(matches!(bench.claim(Pass::All, &|_| false), Claim::InFlight(_)));
        bench.hands.advance(Duration::from_nanos(1));
        let next = bench.lease();
        assert!(next.token > late.token && !bench.store.holds(&late));
        assert_eq!(Bench::code(bench.store.complete(&late, &draft("late"))), Code::LeaseLost);
        assert!(bench.store.holds(&next));
        bench.store.complete(&next, &draft("next")).unwrap();
        assert_eq!(bench.data().as_deref(), Some("next"));
    });
}

#[test]
fn p11_a_late_fail_or_renew_does_not_hurt_the_successor() {
    on_each(|bench| {
        let (late, later) = (bench.lease(), Duration::from_secs(4));
        bench.hands.advance(later);
        let next = bench.lease();
        assert_eq!(Bench::code(bench.store.renew(&late, SECOND)), Code::LeaseLost);
        assert_eq!(Bench::code(bench.store.fail(&late, &failed(Code::Io, None)).map(drop)), Code::LeaseLost);
        let gate = bench.store.facts(&key()).unwrap().gate.unwrap();
        assert_eq!(gate.error.as_deref(), Some("abandoned"));
        bench.store.complete(&next, &draft("next")).unwrap();
    });
}

#[test]
fn a_failure_bars_the_next_attempt_and_a_success_clears_it() {
    on_each(|bench| {
        let lease = bench.lease();
        assert!(matches!(bench.store.fail(&lease, &failed(Code::Io, None)).unwrap(), Ended::Recorded(_)));
        assert!(matches!(bench.claim(Pass::None, &|_| false), Claim::Gated(..)));
        let lease = bench.lease();
        bench.store.complete(&lease, &draft("one")).unwrap();
        assert!(bench.store.facts(&key()).unwrap().gate.is_none());
        let lease = bench.lease();
        bench.store.fail(&lease, &failed(Code::RateLimited, Some(SECOND * 60))).unwrap();
        assert!(matches!(bench.claim(Pass::Guessed, &|_| false), Claim::Gated(gate, _) if gate.declared));
        assert_eq!(bench.data().as_deref(), Some("one"));
        bench.hands.advance(SECOND * 60);
        assert!(matches!(bench.claim(Pass::None, &|_| false), Claim::Lease(_)));
    });
}

#[test]
fn d12_put_always_wins_and_the_refresh_in_flight_is_superseded() {
    on_each(|bench| {
        let lease = bench.lease();
        bench.store.put(&key(), &draft("put")).unwrap();
        assert!(!bench.store.holds(&lease), "the refresher should see that it is cancelled");
        assert!(matches!(bench.claim(Pass::All, &|_| false), Claim::InFlight(_)), "nothing runs twice");
        assert_eq!(Bench::code(bench.store.complete(&lease, &draft("late"))), Code::Superseded);
        assert_eq!(bench.data().as_deref(), Some("put"));
        assert!(matches!(bench.claim(Pass::All, &|_| false), Claim::Lease(_)));
    });
}

#[test]
fn p8_a_notice_during_a_refresh_is_not_lost_and_does_not_end_the_lease() {
    on_each(|bench| {
        bench.store.put(&key(), &draft("old")).unwrap();
        let lease = bench.lease();
        for _ in 0..3 {
            bench.store.mark_stale(&key(), Durability::None).unwrap();
            assert!(bench.noticed() && bench.store.holds(&lease));
        }
        assert!(bench.store.complete(&lease, &draft("new")).unwrap().noticed);
        assert_eq!((bench.data().as_deref(), bench.noticed()), (Some("new"), true));
        let lease = bench.lease();
        assert!(!bench.store.complete(&lease, &draft("newer")).unwrap().noticed);
        assert!(!bench.noticed());
        bench.store.mark_stale(&key(), Durability::None).unwrap();
        bench.store.put(&key(), &draft("put")).unwrap();
        assert!(!bench.noticed());
    });
}

#[test]
fn unchanged_renews_the_value_and_keeps_its_validator() {
    on_each(|bench| {
        let first = bench.lease();
        assert_eq!(Bench::code(bench.store.unchanged(&first, &about(None))), Code::Invalid);
        bench.store.complete(&first, &draft("one")).unwrap();
        bench.hands.advance(SECOND * 9);
        let lease = bench.lease();
        let done = bench.store.unchanged(&lease, &about(None)).unwrap();
        assert_eq!(done.stored_ns, START + 9_000_000_000);
        let entry = bench.store.look(&key()).unwrap().entry.unwrap();
        assert_eq!((entry.stored_ns, entry.token), (done.stored_ns, Some(lease.token)));
        assert_eq!((&*entry.data, entry.validator.as_deref()), (&b"one"[..], Some("\"v\"")));
    });
}

#[test]
fn a_renewed_lease_lasts_from_its_renewal() {
    on_each(|bench| {
        let lease = bench.lease();
        bench.hands.advance(SECOND * 2);
        bench.store.renew(&lease, SECOND).unwrap();
        bench.hands.advance(SECOND * 3);
        assert!(matches!(bench.claim(Pass::All, &|_| false), Claim::InFlight(_)));
        bench.store.complete(&lease, &draft("one")).unwrap();
    });
}

#[test]
fn a_released_lease_is_replaced_at_once_and_the_second_in_a_row_bars() {
    on_each(|bench| {
        let lease = bench.lease();
        bench.store.release(&lease);
        let lease = match bench.claim(Pass::None, &|_| false) {
            Claim::Lease(lease) => lease,
            _ => panic!("the first abandoned attempt bars nothing"),
        };
        bench.store.release(&lease);
        assert!(matches!(bench.claim(Pass::None, &|_| false), Claim::Gated(gate, _) if gate.attempts == 2));
    });
}

#[test]
fn removed_is_removed_and_what_was_in_flight_is_lost() {
    on_each(|bench| {
        assert!(!bench.store.remove(&key(), Durability::None).unwrap());
        bench.store.put(&key(), &draft("one")).unwrap();
        let lease = bench.lease();
        assert!(bench.store.remove(&key(), Durability::None).unwrap());
        assert_eq!((bench.data(), bench.store.holds(&lease)), (None, false));
        assert_eq!(Bench::code(bench.store.complete(&lease, &draft("late"))), Code::LeaseLost);
        assert!(bench.store.keys().unwrap().is_empty());
    });
}

#[test]
fn d18_prune_takes_the_unlisted_and_spares_every_lease_in_force() {
    on_each(|bench| {
        let (kept, gone) = (Key::parse("a/kept").unwrap(), Key::parse("b/gone").unwrap());
        for key in [&kept, &gone, &key()] {
            bench.store.put(key, &draft("x")).unwrap();
        }
        let lease = bench.lease();
        let pruned = bench.store.prune(std::slice::from_ref(&kept)).unwrap();
        assert_eq!((pruned.removed, pruned.skipped.len()), (vec![gone], 1));
        assert_eq!(bench.store.keys().unwrap(), [kept.clone(), key()]);
        bench.store.complete(&lease, &draft("y")).unwrap();
        assert_eq!(bench.store.prune(&[kept]).unwrap().removed, [key()]);
    });
}

#[test]
fn every_change_moves_the_generation_to_another_even_number() {
    on_each(|bench| {
        let mut last = bench.store.generation(&key());
        let changes: [&dyn Fn(&Bench); 4] = [
            &|bench| _ = bench.store.put(&key(), &draft("x")).unwrap(),
            &|bench| bench.store.mark_stale(&key(), Durability::None).unwrap(),
            &|bench| _ = bench.store.complete(&bench.lease(), &draft("y")).unwrap(),
            &|bench| _ = bench.store.remove(&key(), Durability::None).unwrap(),
        ];
        for change in changes {
            change(bench);
            let now = bench.store.generation(&key());
            assert!(now != last && now & 1 == 0, "{last} {now}");
            last = now;
        }
    });
}
