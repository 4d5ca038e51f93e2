//! A short soak: real processes, killed and stopped at random, against the promise; and controls, each with one
//! rule broken, which the same judge must notice. The long ones are `scripts/soak`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::process::Command;

fn soak(arguments: &[&str]) -> (bool, String) {
    // A machine that runs other things too may stop everybody for a while: stuck means stuck for long.
    let output = Command::new(env!("CARGO_BIN_EXE_forebay-soak"))
        .args(["--gap-ms", "15000"])
        .args(arguments)
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn d8_d10_d27_p8_random_kills_and_stops_break_nothing() {
    let (sound, report) = soak(&["--seconds", "25"]);
    assert!(sound, "{report}");
}

/// Each is tried until it is noticed: chance needs longer on a slow machine.
#[test]
fn broken_rules_are_noticed() {
    for rule in ["liveness", "notice-removed", "notice-without-marker", "put-unchecked"] {
        let noticed = (0..8).any(|_| soak(&["--seconds", "5", "--break", rule]).0);
        assert!(noticed, "{rule} was broken for 40 s and nobody noticed");
    }
}
