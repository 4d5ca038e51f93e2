//! Each operation on a quota record and on a single-use credential is killed just before each of its system calls,
//! and meets each errno at each of them; then the next process goes on. Of a credential: its exchange is never
//! made twice, it is never lost unless `rotate` says `ambiguous`, and a new login ends that. Of a quota record:
//! what is recorded is a whole answer, and a gate once it was told stays.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod common;

use common::accounts::{
    ASKING, Asking, Fate, ROTATING, Rotating, ask_first, judge_asking, judge_rotating, prepare,
};
use common::{ENDLESS, act, folder};
use std::collections::HashSet;
use std::path::Path;

/// EIO, ENOSPC, EACCES, EMFILE, EROFS, EDQUOT, ENFILE, ENOMEM, EINTR, EPERM, ENOTDIR, EISDIR, ELOOP, EBADF, EFBIG, EXDEV
const ERRNOS: [i32; 16] = [5, 28, 13, 24, 30, 122, 23, 12, 4, 1, 20, 21, 40, 9, 27, 18];

type Faults = Vec<(&'static str, String)>;

fn killed(at: u32, rule: Option<&str>) -> Faults {
    let rule = rule.map(|rule| ("FOREBAY_BREAK", rule.to_owned()));
    [("FOREBAY_CRASH_AT", at.to_string())].into_iter().chain(rule).collect()
}

/// Runs the case once with faults; what was answered, whether it survived, and what was wrong.
fn rotate(case: &Rotating, faults: &Faults) -> (Vec<String>, bool, Result<(), String>) {
    let folder = folder();
    let root = folder.path().join("root");
    prepare(case, &root, |script| drop(act(&root, script, &[])));
    let (answers, survived) = act(&root, case.script, faults);
    let verdict = judge_rotating(case, &root, &answers);
    (answers, survived, verdict)
}

fn ask(case: &Asking, faults: &Faults, fate: Fate) -> (Vec<String>, bool, Result<(), String>) {
    let folder = folder();
    let root = folder.path().join("root");
    ask_first(&root);
    let (answers, survived) = act(&root, case.script, faults);
    let verdict = judge_asking(case, &root, &answers, fate);
    (answers, survived, verdict)
}

/// Kills at each call until a run survives: how many deaths it took.
fn walk(name: &str, run: impl Fn(u32) -> (Vec<String>, bool, Result<(), String>)) -> Result<u32, String> {
    for at in 1..ENDLESS {
        let (answers, survived, verdict) = run(at);
        verdict.map_err(|what| format!("{name}, killed at call {at} after {answers:?}: {what}"))?;
        if survived {
            return Ok(at - 1);
        }
    }
    Err("no run survived".to_owned())
}

#[test]
fn l5_a_rotation_killed_at_each_call_is_never_used_twice_and_never_lost_in_silence() {
    for case in &ROTATING {
        let deaths = walk(case.name, |at| rotate(case, &killed(at, None))).unwrap();
        assert!(deaths > 10, "{}: {deaths} deaths", case.name);
    }
}

#[test]
fn a_quota_record_whose_writer_was_killed_at_each_call_is_whole_and_holds_up_nobody() {
    for case in &ASKING {
        let deaths = walk(case.name, |at| ask(case, &killed(at, None), Fate::Killed)).unwrap();
        assert!(deaths > 10, "{}: {deaths} deaths", case.name);
    }
}

/// Negative controls: the mark of a begun exchange is not written, or nobody looks at it.
#[test]
fn the_walk_notices_an_exchange_that_is_not_marked() {
    let case = &ROTATING[0];
    let noticed = walk(case.name, |at| rotate(case, &killed(at, Some("start-unmarked"))));
    assert!(noticed.unwrap_err().contains("used twice"));
}

/// Each call fails once, or from then on all of them.
fn fail_walk(name: &str, calls: u32, run: impl Fn(&Faults) -> (Vec<String>, bool, Result<(), String>)) {
    assert!((10..ENDLESS).contains(&calls), "{name} makes {calls} calls");
    for (at, suffix) in (1..=calls).flat_map(|at| [(at, ""), (at, "+")]) {
        let errno = ERRNOS[(at as usize + suffix.len() * 8) % ERRNOS.len()];
        let (answers, survived, verdict) = run(&vec![("FOREBAY_FAIL_AT", format!("{at}{suffix}:{errno}"))]);
        let context = format!("{name} with errno {errno} at call {at}{suffix}: {answers:?}");
        assert!(survived || answers.is_empty(), "{context}: the actor did not end well");
        assert!(!answers.iter().any(|answer| answer.contains("\"panic\"")), "{context}");
        assert_eq!(verdict, Ok(()), "{context}");
    }
}

#[test]
fn each_errno_at_each_call_of_a_rotation_is_told_and_nothing_is_used_twice() {
    for case in &ROTATING {
        let calls = walk(case.name, |at| rotate(case, &killed(at, None))).unwrap();
        fail_walk(case.name, calls, |faults| rotate(case, faults));
    }
}

#[test]
fn each_errno_at_each_call_of_a_quota_is_told_and_leaves_a_whole_record() {
    for case in &ASKING {
        let calls = walk(case.name, |at| ask(case, &killed(at, None), Fate::Killed)).unwrap();
        fail_walk(case.name, calls, |faults| ask(case, faults, Fate::Failing));
    }
}

/// Names and sizes, without what is random in names: what one death left differs from what another did.
fn files_of(folder: &Path) -> Vec<(String, u64)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let parts: Vec<&str> = name.split('.').filter(|part| part.len() < 32).collect();
            (parts.join("."), entry.metadata().unwrap().len())
        })
        .collect();
    files.sort();
    files
}

/// The second death: whoever settles what a killed rotation left is killed too, at each of its calls.
#[test]
fn a_settler_of_a_rotation_killed_at_each_call_changes_nothing_of_that() {
    let (case, mut settled, mut known) = (&ROTATING[0], 0, HashSet::new());
    for first in 1..ENDLESS {
        let began = |answers: &[String]| answers.iter().any(|answer| answer.contains("\"exchange\""));
        let mut new = true;
        for second in 1..ENDLESS {
            let folder = folder();
            let root = folder.path().join("root");
            prepare(case, &root, |_| ());
            let (answers, survived) = act(&root, case.script, &killed(first, None));
            if survived {
                assert!(settled > 0, "no settler was killed: the test tries nothing");
                return;
            }
            new &= second > 1 || known.insert(files_of(&root.with_file_name("state").join("login")));
            if !new || !began(&answers) {
                break;
            }
            let (_, survived) =
                act(&root, &["current login/k", "rotate login/k seen"], &killed(second, None));
            let verdict = judge_rotating(case, &root, &answers);
            assert_eq!(verdict, Ok(()), "rotate killed at call {first}, the settler at call {second}");
            settled += 1;
            if survived {
                break;
            }
        }
    }
    panic!("no rotation survived");
}
