//! `forebay run` with an old output: it is printed at once, and a process that has nothing to do with the caller
//! refreshes it. What that process does is seen through FIFOs, never by waiting a while.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Shell, eventually, finish, heard, start, tell};
use std::fs;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// A shell in which the output of `counting` is there and a minute and a half old. The next run says its process id
/// through `began` and prints what comes through `go`.
fn with_an_old_output() -> (Shell, String) {
    let shell = Shell::new();
    let command = shell
        .counting("test -e old || { touch old; echo old; echo olderr >&2; exit; }\necho $$ > began; cat go");
    let command = command.to_str().unwrap().to_owned();
    shell.fifo("began");
    shell.fifo("go");
    assert_eq!(shell.run(["run", "--stale", "1h", &command]).ok(), "old\n");
    shell.advance(MINUTE + MINUTE / 2);
    (shell, command)
}

#[test]
fn the_old_output_comes_at_once_and_the_new_one_later() {
    let (shell, command) = with_an_old_output();
    let run = || shell.run(["run", "--stale", "1h", &command]);
    let first = run();
    assert_eq!((first.code(), &*first.text(), &*first.errors()), (0, "old\n", "olderr\n"));
    heard(&shell.path("began"));
    // It runs, and is not started once more.
    assert_eq!(run().ok(), "old\n");
    tell(&shell.path("go"), "new\n");
    eventually("the new output is there", || run().ok() == "new\n");
    assert_eq!(shell.runs(), 2);
}

#[test]
fn among_twenty_shells_with_an_old_output_one_refreshes() {
    let (shell, command) = with_an_old_output();
    let all: Vec<_> =
        (0..20).map(|_| start(&mut shell.forebay(["run", "--stale", "1h", &command]))).collect();
    for child in all {
        assert_eq!(finish(child).ok(), "old\n");
    }
    heard(&shell.path("began"));
    tell(&shell.path("go"), "new\n");
    let run = || shell.run(["run", "--stale", "1h", &command]).ok();
    eventually("the new output is there", || run() == "new\n");
    assert_eq!(shell.runs(), 2);
}

#[test]
fn a_command_substitution_returns_while_the_refresh_runs() {
    let (shell, command) = with_an_old_output();
    // The refresh ends only when it is told to, below; a pipe held open would make the substitution hang.
    let ran =
        finish(start(&mut shell.sh(&format!("x=$(forebay run --stale 1h {command} 2>&1); echo \"[$x]\""))));
    assert_eq!(ran.ok(), "[olderr\nold]\n");
    heard(&shell.path("began"));
    tell(&shell.path("go"), "new\n");
}

#[test]
fn a_session_and_descriptors_of_its_own() {
    let (shell, command) = with_an_old_output();
    let script = format!("exec 7> seven; forebay run --stale 1h {command}; cut -d ' ' -f 6 /proc/$$/stat");
    let ran = finish(start(&mut shell.sh(&script))).ok();
    let (output, session) = ran.trim().split_once('\n').unwrap();
    assert_eq!(output, "old");
    let pid = heard(&shell.path("began"));
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let (parent, session_of_command) = (fields[1], fields[3]);
    assert_ne!(session_of_command, session);
    assert_eq!(session_of_command, parent, "the refreshing forebay leads it");
    for number in 0..3 {
        let target = fs::read_link(format!("/proc/{parent}/fd/{number}")).unwrap();
        assert_eq!(target.to_str(), Some("/dev/null"), "descriptor {number}");
    }
    for process in [parent, pid.trim()] {
        for entry in fs::read_dir(format!("/proc/{process}/fd")).unwrap() {
            let target = fs::read_link(entry.unwrap().path()).unwrap_or_default();
            assert!(!target.ends_with("seven"), "{process} has the caller's descriptor");
        }
    }
    let name = fs::read_to_string(format!("/proc/{parent}/comm")).unwrap();
    assert_eq!(name.trim(), "forebay");
    tell(&shell.path("go"), "new\n");
}

#[test]
fn beyond_max_stale_one_waits() {
    let (shell, command) = with_an_old_output();
    shell.advance(60 * MINUTE);
    let waiting = start(&mut shell.forebay(["run", "--stale", "1h", &command]));
    heard(&shell.path("began"));
    tell(&shell.path("go"), "new\n");
    assert_eq!(finish(waiting).ok(), "new\n");
}

#[test]
fn a_refresh_that_fails_behind_is_told_to_the_next_one() {
    let shell = Shell::new();
    let command = shell.counting("test -e old && exit 4; touch old; echo old");
    let run = || shell.run(["run", "--stale", "1h", "--name", "n", command.to_str().unwrap()]);
    assert_eq!(run().ok(), "old\n");
    shell.advance(14 * MINUTE);
    assert_eq!(run().ok(), "old\n");
    eventually("the failure is recorded", || {
        shell.run(["state", "--json", "run/n"]).json()["refresh"]["failed"] == true
    });
    let told = run();
    let errors = told.errors();
    assert_eq!((told.ok(), shell.runs()), ("old\n".to_owned(), 2), "while it cools down it does not run");
    assert!(
        errors
            .contains("refresh failed: exit status 4; serving the value of 14 minutes ago; next attempt in "),
        "{errors}"
    );
}

#[test]
fn wait_brings_the_new_output_if_it_comes_in_time() {
    let shell = Shell::new();
    let command = shell.counting("wc -l < runs | tr -d ' '");
    let run = || shell.run(["run", "--wait", "1h", command.to_str().unwrap()]).ok();
    assert_eq!(run(), "1\n", "a cold one too");
    shell.advance(100 * MINUTE);
    assert_eq!(run(), "2\n");
    assert_eq!(run(), "2\n");
}

#[test]
fn wait_ends_with_the_old_output_while_the_refresh_goes_on() {
    let (shell, command) = with_an_old_output();
    assert_eq!(shell.run(["run", "--wait", "10ms", &command]).ok(), "old\n");
    heard(&shell.path("began"));
    tell(&shell.path("go"), "new\n");
    eventually("the new output is there", || shell.run(["run", "--wait", "10ms", &command]).ok() == "new\n");
    assert_eq!(shell.runs(), 2);
}

#[test]
fn wait_without_anything_to_serve_ends_with_124_and_the_command_goes_on() {
    let shell = Shell::new();
    let go = shell.fifo("go");
    let command = shell.counting("cat go");
    let ran = shell.run(["run", "--wait", "10ms", command.to_str().unwrap()]);
    assert_eq!((ran.code(), &*ran.text()), (124, ""));
    assert!(ran.errors().contains("no output yet after 10ms"), "{}", ran.errors());
    tell(&go, "late\n");
    let run = || shell.run(["run", "--wait", "10ms", command.to_str().unwrap()]);
    eventually("the late output is there", || run().text() == "late\n");
    assert_eq!(shell.runs(), 1);
}

#[test]
fn wait_ends_with_the_status_of_a_command_that_fails_meanwhile() {
    let shell = Shell::new();
    let command = shell.counting("exit 9");
    let ran = shell.run(["run", "--wait", "1h", command.to_str().unwrap()]);
    assert_eq!((ran.code(), &*ran.text()), (9, ""));
    assert!(ran.errors().contains("exit status 9"), "{}", ran.errors());
    let absent = shell.run(["run", "--wait", "1h", "/no/such/command"]);
    assert_eq!(absent.code(), 127, "{}", absent.errors());
}
