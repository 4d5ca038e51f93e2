//! Many processes rotate one single-use token at a server that accepts each token once (L5): calm, where it must see
//! each exactly once; and rough, where workers are killed and stopped at random. The long ones are `scripts/soak`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use forebay_processes::soak::tokens::{Plan, Until, Verdict, run};
use std::path::Path;
use std::time::Duration;

fn soak(workers: usize, until: Until, rule: Option<&str>, seed: u64) -> Verdict {
    let program = Path::new(env!("CARGO_BIN_EXE_forebay-soak"));
    // A machine that runs other things too may stop everybody for a while.
    run(program, &Plan { workers, until, rule, seed, gap_ms: 60_000 }).unwrap()
}

#[test]
fn l5_twenty_processes_rotate_a_token_a_thousand_times_and_each_is_used_exactly_once() {
    let verdict = soak(20, Until::Exchanges(1000), None, 1);
    assert_eq!(verdict.count(), 0, "{verdict:#?}");
}

#[test]
fn l5_random_kills_and_stops_make_no_token_be_used_twice() {
    let verdict = soak(6, Until::Time(Duration::from_secs(12)), None, 2);
    assert_eq!(verdict.count(), 0, "{verdict:#?}");
    assert!(verdict.done.kills > 20 && verdict.exchanges > 20 && verdict.logins > 0, "{verdict:#?}");
}

/// Each is tried until it is noticed: chance needs longer on a slow machine.
#[test]
fn a_broken_mark_is_noticed() {
    for rule in forebay::EXCHANGE_BREAKS {
        let used_twice = |verdict: &Verdict| verdict.faults.contains_key("a token was used twice");
        let until = Until::Time(Duration::from_secs(4));
        let noticed = (0..10).any(|seed| used_twice(&soak(4, until, Some(rule), seed)));
        assert!(noticed, "{rule} was broken for 40 s and nobody noticed");
    }
}
