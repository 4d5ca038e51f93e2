//! When the system fails: each system call of the store in turn fails, for good or once, or kills the process. The
//! command of `run` runs all the same, or is run by the next one; an old output is never lost; a quota is asked by the
//! next one; a credential is never used twice.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Ran, Shell, finish, start};
use std::fs;
use std::process::Command;
use std::time::Duration;

const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

/// Runs the counting command on a cold source with that fault.
fn cold(variable: &str, fault: &str) -> (Shell, Ran) {
    let shell = Shell::in_memory();
    let command = shell.counting("echo out");
    let ran = finish(start(shell.forebay(["run", command.to_str().unwrap()]).env(variable, fault)));
    (shell, ran)
}

/// Does that for each, several at once: most of the time goes by in waiting for the disk.
fn each(faults: &[String], check: impl Fn(&str) + Sync) {
    std::thread::scope(|scope| {
        for lane in 0..8 {
            let check = &check;
            scope.spawn(move || faults.iter().skip(lane).step_by(8).for_each(|fault| check(fault)));
        }
    });
}

fn again(shell: &Shell) -> Ran {
    shell.run(["run", shell.path("counting").to_str().unwrap()])
}

/// How many system calls of the store a cold run makes: nobody is killed at the one after the last.
fn calls() -> usize {
    let numbers: Vec<usize> = (0..1024).collect();
    let killed = |at: &usize| *at == 0 || !cold("FOREBAY_CRASH_AT", &at.to_string()).1.status.success();
    numbers.partition_point(killed) - 1
}

#[test]
fn a_runner_that_dies_at_any_step_is_replaced_at_once() {
    let total = calls();
    assert!(total > 20, "{total}");
    let steps: Vec<String> = (1..=total).map(|at| at.to_string()).collect();
    each(&steps, |at| {
        let (shell, ran) = cold("FOREBAY_CRASH_AT", at);
        assert!(ran.status.code().is_none(), "step {at}: {ran:?}");
        let before = shell.runs();
        assert!(before <= 1);
        let next = again(&shell);
        assert_eq!((next.code(), &*next.text()), (0, "out\n"), "step {at}: {}", next.errors());
        assert_eq!(again(&shell).ok(), "out\n");
        assert!(shell.runs() <= before + 1, "step {at}: {} runs", shell.runs());
    });
}

#[test]
fn whatever_call_of_the_store_fails_the_command_runs_once_and_its_output_comes() {
    let total = calls();
    let once = (1..=total).map(|at| format!("{at}:{ENOSPC}"));
    let full = (1..=total).map(|at| format!("{at}+:{ENOSPC}"));
    let read_only = (1..=total).map(|at| format!("{at}+:{EROFS}"));
    let faults: Vec<String> = once.chain(full).chain(read_only).collect();
    each(&faults, |fault| {
        let (shell, ran) = cold("FOREBAY_FAIL_AT", fault);
        assert_eq!((ran.code(), &*ran.text()), (0, "out\n"), "{fault}: {}", ran.errors());
        assert_eq!(shell.runs(), 1, "{fault}: {}", ran.errors());
        let told = ran.errors();
        assert!(told.lines().count() <= 1, "{fault}: {told}");
        assert!(told.is_empty() || told.starts_with("forebay: "), "{told}");
        // Once the disk is well again all is.
        assert_eq!(again(&shell).ok(), "out\n");
        assert_eq!(again(&shell).ok(), "out\n");
        assert!(shell.runs() <= 2, "{fault}: {} runs", shell.runs());
    });
}

#[test]
fn on_a_disk_that_became_full_the_old_output_is_served() {
    let shell = Shell::new();
    let command = shell.counting("test -e old && exit 3; touch old; echo old");
    let line = ["run", "--stale", "1h", command.to_str().unwrap()];
    assert_eq!(shell.run(line).ok(), "old\n");
    shell.advance(Duration::from_secs(90));
    for at in 1..40 {
        let fault = format!("{at}+:{ENOSPC}");
        let ran = finish(start(shell.forebay(line).env("FOREBAY_FAIL_AT", fault)));
        // The calls that read may be hit too; then the command runs, and fails.
        assert!(ran.text() == "old\n" || (ran.code() == 3 && ran.text().is_empty()), "call {at}: {ran:?}");
    }
    fs::remove_file(shell.path("old")).unwrap();
    assert_eq!(shell.run(line).ok(), "old\n");
}

/// How many system calls of the store such a command line makes: nobody is killed at the one after the last.
fn calls_of(line: impl Fn(&Shell) -> Command) -> usize {
    let numbers: Vec<usize> = (0..1024).collect();
    let killed = |at: &usize| {
        let shell = Shell::in_memory();
        *at == 0 || !finish(start(line(&shell).env("FOREBAY_CRASH_AT", at.to_string()))).status.success()
    };
    numbers.partition_point(killed) - 1
}

#[test]
fn one_who_asks_for_a_quota_and_dies_at_any_step_is_replaced_at_once() {
    let asking = |shell: &Shell| {
        let command = shell.counting("echo '[1]'");
        let mut line = shell.forebay(["quota", "resolve", "usage", "--"]);
        line.arg(command);
        line
    };
    let total = calls_of(asking);
    assert!(total > 20, "{total}");
    let steps: Vec<String> = (1..=total).map(|at| at.to_string()).collect();
    each(&steps, |at| {
        let shell = Shell::in_memory();
        let ran = finish(start(asking(&shell).env("FOREBAY_CRASH_AT", at)));
        assert!(ran.status.code().is_none(), "step {at}: {ran:?}");
        let before = shell.runs();
        for _ in 0..2 {
            let next = finish(start(&mut asking(&shell)));
            assert_eq!((next.code(), &*next.text(), &*next.errors()), (0, "[1]\n", ""), "step {at}");
        }
        assert!(shell.runs() <= before + 1, "step {at}: {} runs", shell.runs());
    });
}

#[test]
fn whoever_dies_at_any_step_of_a_rotation_nobody_uses_the_credential_again() {
    let login = |shell: &Shell| {
        let script = "printf old | forebay rotate-reset --json --stdin api";
        let told = finish(start(&mut shell.sh(script))).json();
        told["version"].as_str().unwrap().to_owned()
    };
    let rotating = |shell: &Shell| {
        let version = login(shell);
        let command = shell.counting("echo \"after-$(cat)\"");
        let mut line = shell.forebay(["rotate", "--seen", &version, "api", "--"]);
        line.arg(command);
        line
    };
    let total = calls_of(rotating);
    assert!(total > 20, "{total}");
    let steps: Vec<String> = (1..=total).map(|at| at.to_string()).collect();
    each(&steps, |at| {
        let shell = Shell::in_memory();
        let mut line = rotating(&shell);
        let ran = finish(start(line.env("FOREBAY_CRASH_AT", at)));
        assert!(ran.status.code().is_none(), "step {at}: {ran:?}");
        let used = shell.runs() == 1;
        let next = finish(start(line.env_remove("FOREBAY_CRASH_AT")));
        assert!(shell.runs() <= 1, "step {at}: used {} times", shell.runs());
        match next.code() {
            0 => assert_eq!(next.text(), "after-old\n", "step {at}"),
            status => assert_eq!((status, &*next.text()), (5, ""), "step {at}: {}", next.errors()),
        }
        assert!(used || next.code() == 5 || shell.runs() == 1, "step {at}");
        login(&shell);
        assert_eq!(shell.run(["rotate", "api", "--", "false"]).ok(), "old\n", "step {at}");
    });
}
