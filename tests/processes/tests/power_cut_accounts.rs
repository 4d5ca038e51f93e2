//! The power is cut after each step of what is done to a single-use credential and to a quota record, as
//! `power_cut.rs` does it for sources, and the next process is judged as after a death: a credential whose exchange
//! had begun before the cut is never exchanged again, and none is lost unless `rotate` says `ambiguous`; what was
//! acknowledged is there. Names are taken to come back in the order in which they were changed, as every file
//! system with a journal or with snapshots brings them back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod common;

use common::accounts::{
    ASKING, Asking, Fate, ROTATING, Rotating, ask_first, judge_asking, judge_rotating, prepare,
};
use common::{act, act_with, folder};
use forebay_processes::power::walk::{Found, Run};
use std::path::Path;

/// Records the script, run beside what `before` prepares.
fn record(script: &[&str], rule: Option<&str>, before: impl FnOnce(&Path)) -> Run {
    let folder = folder();
    let top = folder.path().join("top");
    std::fs::create_dir(&top).unwrap();
    let root = top.join("root");
    before(&root);
    let tape = folder.path().join("tape");
    let mut faults = vec![
        ("FOREBAY_TAPE", tape.to_string_lossy().into_owned()),
        ("FOREBAY_BOOT_ID", "before the cut".to_owned()),
    ];
    faults.extend(rule.map(|rule| ("FOREBAY_BREAK", rule.to_owned())));
    let process = || {
        let (answers, survived) = act_with(&root, &["--durability", "full"], script, &faults);
        assert!(survived && answers.len() == script.len(), "{script:?}: {answers:?}");
    };
    Run::record(&top, &tape, process).unwrap()
}

/// What the process had answered before step `now`, but for `ready`.
fn answers(run: &Run, now: usize) -> Vec<String> {
    run.marks(now).filter_map(|mark| mark.strip_prefix("answer ")).skip(1).map(str::to_owned).collect()
}

fn rotate(case: &Rotating, rule: Option<&str>) -> Found {
    let run = record(case.script, rule, |root| prepare(case, root, |script| drop(act(root, script, &[]))));
    let judge = |now: usize, top: &Path| judge_rotating(case, &top.join("root"), &answers(&run, now));
    run.walk(
        |now| answers(&run, now).len(),
        |now, cut, top| if cut.out_of_order { Ok(()) } else { judge(now, top) },
    )
    .unwrap()
}

fn ask(case: &Asking, rule: Option<&str>) -> Found {
    let run = record(case.script, rule, ask_first);
    let judge =
        |now: usize, top: &Path| judge_asking(case, &top.join("root"), &answers(&run, now), Fate::Cut);
    run.walk(
        |now| answers(&run, now).len(),
        |now, cut, top| if cut.out_of_order { Ok(()) } else { judge(now, top) },
    )
    .unwrap()
}

fn holds(name: &str, found: &Found) {
    assert!(found.tried > 5, "{name}: {} disks", found.tried);
    assert!(found.wrong.is_empty(), "{name}: {:#?}", &found.wrong[..found.wrong.len().min(5)]);
}

#[test]
fn a_credential_is_never_used_twice_and_never_lost_in_silence_over_a_power_cut_at_each_step() {
    for case in &ROTATING {
        holds(case.name, &rotate(case, None));
    }
}

#[test]
fn a_quota_record_and_its_gate_are_there_after_a_power_cut_once_they_were_told() {
    for case in &ASKING {
        holds(case.name, &ask(case, None));
    }
}

/// Negative controls: with a flush left out, or the mark of a begun exchange, the same walks must find something.
#[test]
fn the_walks_notice_what_is_left_out() {
    let used_twice = |found: &Found| found.wrong.iter().any(|what| what.contains("used twice"));
    for rule in ["no-folder-flush", "start-unmarked"] {
        assert!(used_twice(&rotate(&ROTATING[0], Some(rule))), "{rule}");
    }
    for case in [&ASKING[0], &ASKING[2], &ASKING[5]] {
        assert!(!ask(case, Some("no-folder-flush")).wrong.is_empty(), "{}", case.name);
    }
}
