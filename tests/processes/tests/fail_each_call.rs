//! Every operation meets each errno at each of its system calls, once and for good. It must say so or succeed,
//! must not panic, and must lose nothing; the next process, without the fault, goes on as if nothing had been.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod common;

use common::{ENDLESS, KEY, act, folder, heals, open, text};
use forebay::{AcquireOptions, Acquired, Commit};

/// EIO, ENOSPC, EACCES, EMFILE, EROFS, EDQUOT, ENFILE, ENOMEM, EINTR, EPERM, ENOTDIR, EISDIR, ELOOP, EBADF, EFBIG, EXDEV
const ERRNOS: [i32; 16] = [5, 28, 13, 24, 30, 122, 23, 12, 4, 1, 20, 21, 40, 9, 27, 18];
const SCRIPTS: [&[&str]; 6] = [
    &["acquire api/models", "complete new"],
    &["acquire api/models", "unchanged"],
    &["acquire api/models", "fail io no"],
    &["put api/models new"],
    &["mark_stale api/models"],
    &["acquire api/models", "renew 5000", "complete new"],
];

fn walk(errnos: &[i32], suffix: &str) {
    for script in SCRIPTS {
        let calls = calls_of(script);
        assert!((10..ENDLESS).contains(&calls), "{script:?} makes {calls} calls");
        for at in 1..=calls {
            let errno = errnos[at as usize % errnos.len()];
            let folder = folder();
            let root = folder.path().join("root");
            open(&root).source(KEY).put("old", &Commit::default()).unwrap();
            let fault = [("FOREBAY_FAIL_AT", format!("{at}{suffix}:{errno}"))];
            let (answers, survived) = act(&root, script, &fault);
            let context = format!("{script:?} with errno {errno} at call {at}{suffix}: {answers:?}");
            assert!(survived || answers.is_empty(), "{context}: the actor did not end well");
            assert!(!answers.iter().any(|answer| answer.contains("\"panic\"")), "{context}");
            let found = text(&open(&root));
            assert!(matches!(found.as_deref(), Some("old" | "new")), "{context}: read {found:?}");
            let stored =
                answers.last().is_some_and(|a| a.contains("\"ok\":true") || a.contains("\"stored\":true"));
            if stored
                && script.last().is_some_and(|line| line.contains("new"))
                && answers.len() == script.len()
            {
                assert_eq!(found.as_deref(), Some("new"), "{context}: acknowledged and lost");
            }
            heals(&root, &context);
        }
    }
}

/// How many system calls the script makes: the first crash point that is not reached, found by halving.
fn calls_of(script: &[&str]) -> u32 {
    let reached = |at: u32| {
        let folder = folder();
        let root = folder.path().join("root");
        open(&root).source(KEY).put("old", &Commit::default()).unwrap();
        !act(&root, script, &[("FOREBAY_CRASH_AT", at.to_string())]).1
    };
    let (mut low, mut high) = (0, ENDLESS);
    while low + 1 < high {
        let middle = u32::midpoint(low, high);
        if reached(middle) { low = middle } else { high = middle }
    }
    low
}

#[test]
fn each_errno_at_each_call_is_told_and_loses_nothing() {
    for shift in [0, 8] {
        let mut errnos = ERRNOS;
        errnos.rotate_left(shift);
        walk(&errnos, "");
    }
}

#[test]
fn each_errno_for_good_is_told_and_loses_nothing() {
    walk(&ERRNOS, "+");
}

#[test]
fn d25_an_error_on_a_live_marker_is_never_taken_for_its_absence() {
    let folder = folder();
    let root = folder.path().join("root");
    let cache = open(&root);
    let Acquired::Ticket(ticket) = cache.source(KEY).acquire(&AcquireOptions::default()).unwrap() else {
        panic!("the lease was not free");
    };
    let calls = calls_of(&["acquire api/models"]);
    for errno in ERRNOS {
        for at in 1..=calls {
            let (answers, _) =
                act(&root, &["acquire api/models"], &[("FOREBAY_FAIL_AT", format!("{at}:{errno}"))]);
            assert!(
                !answers.iter().any(|a| a.contains("\"ticket")),
                "errno {errno} at call {at}: {answers:?}"
            );
        }
    }
    ticket.complete("done", &Commit::default()).unwrap();
}
