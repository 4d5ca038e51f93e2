//! `forebay run --input` in many shells at once: one computes, the others have the same, whoever is killed is replaced,
//! and an input that is edited meanwhile leaves no old answer behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Shell, eventually, finish, heard, kill, start, tell};
use rustix::process::Signal;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;

fn begin(shell: &Shell, options: &[&str], command: &std::path::Path) -> Child {
    let line = ["run", "--deadline", "1h", "--input", "a"];
    start(&mut shell.forebay(line.iter().chain(options).chain(&["--", command.to_str().unwrap()])))
}

/// Until that many of them have the index open: then they have looked, or are about to.
fn opened(all: &[&Child]) {
    eventually("all have opened the index", || {
        all.iter().all(|child| {
            let folder = format!("/proc/{}/fd", child.id());
            let Ok(open) = fs::read_dir(folder) else { return false };
            open.flatten().any(|fd| {
                fs::read_link(fd.path())
                    .is_ok_and(|to| to.to_string_lossy().contains("/.forebay/index/data."))
            })
        })
    });
}

#[test]
fn among_twenty_shells_it_runs_once() {
    let shell = Shell::new();
    let go = shell.fifo("go");
    let command = shell.counting("cat go; echo err >&2");
    let all: Vec<Child> = (0..20).map(|_| begin(&shell, &["--verbose"], &command)).collect();
    opened(&all.iter().collect::<Vec<_>>());
    tell(&go, "the answer\n");
    let all: Vec<_> = all.into_iter().map(finish).collect();
    for ran in &all {
        assert_eq!((ran.code(), &*ran.text()), (0, "the answer\n"), "{ran:?}");
        assert!(ran.errors().lines().any(|line| line == "err"), "{}", ran.errors());
    }
    assert_eq!(shell.runs(), 1);
    let ran = all.iter().filter(|ran| ran.errors().contains("ran here: exit status 0")).count();
    let had = all.iter().filter(|ran| ran.errors().contains(": coalesced: ")).count();
    let fresh = all.iter().filter(|ran| ran.errors().contains(": fresh: ")).count();
    assert_eq!((ran, had + fresh), (1, 19));
}

#[test]
fn a_runner_that_is_killed_is_replaced() {
    let shell = Shell::new();
    let began = shell.fifo("began");
    // Each run is told apart by its runner, and waits for a word of its own.
    let command = shell.counting("mkfifo go.$PPID; echo $PPID > began; cat go.$PPID");
    let first = begin(&shell, &[], &command);
    assert_eq!(heard(&began).trim(), first.id().to_string());
    let others = [begin(&shell, &[], &command), begin(&shell, &[], &command)];
    opened(&others.iter().collect::<Vec<_>>());
    let orphans_word = shell.path(&format!("go.{}", first.id()));
    kill(first.id(), Signal::KILL);
    let next = heard(&began);
    assert!(others.iter().any(|other| other.id().to_string() == next.trim()), "one of those who waited");
    tell(&shell.path(&format!("go.{}", next.trim())), "again\n");
    for child in others {
        assert_eq!(finish(child).ok(), "again\n");
    }
    // The command of the killed one may end now; what it prints is nobody's.
    tell(&orphans_word, "orphan\n");
    assert_eq!(finish(first).status.code(), None);
    assert_eq!(finish(begin(&shell, &[], &command)).ok(), "again\n");
    assert_eq!(shell.runs(), 2);
}

#[test]
fn one_who_waits_and_is_killed_disturbs_nobody() {
    let shell = Shell::new();
    let (began, go) = (shell.fifo("began"), shell.fifo("go"));
    let command = shell.counting("echo > began; cat go");
    let first = begin(&shell, &[], &command);
    heard(&began);
    let (victim, other) = (begin(&shell, &[], &command), begin(&shell, &[], &command));
    opened(&[&victim, &other]);
    kill(victim.id(), Signal::KILL);
    assert_eq!(finish(victim).status.signal(), Some(9));
    tell(&go, "the answer\n");
    for child in [first, other] {
        assert_eq!(finish(child).ok(), "the answer\n");
    }
    assert_eq!(shell.runs(), 1);
}

#[test]
fn an_input_that_is_edited_meanwhile_leaves_no_old_answer() {
    let shell = Shell::new();
    fs::write(shell.path("a"), "one").unwrap();
    let (began, go) = (shell.fifo("began"), shell.fifo("go"));
    let command = shell.counting("test -e calm && { cat a; exit; }\ncat a; echo > began; cat go");
    let runner = begin(&shell, &["--verbose"], &command);
    heard(&began);
    let waiter = begin(&shell, &["--verbose"], &command);
    opened(&[&waiter]);
    fs::write(shell.path("a"), "two").unwrap();
    fs::write(shell.path("calm"), "").unwrap();
    tell(&go, "\n");
    let ran = finish(runner);
    assert!(ran.errors().contains("not stored: file:a has changed"), "{}", ran.errors());
    assert_eq!(ran.ok(), "one\n", "its own caller has what it printed");
    let waited = finish(waiter);
    assert!(waited.errors().contains("ran here"), "{}", waited.errors());
    assert_eq!(waited.ok(), "two");
    assert_eq!(finish(begin(&shell, &[], &command)).ok(), "two");
    assert_eq!(shell.runs(), 2);
}

#[test]
fn after_a_failure_those_who_waited_run_it_one_after_another() {
    let shell = Shell::new();
    let (began, go) = (shell.fifo("began"), shell.fifo("go"));
    let command = shell.counting(
        "test -e first && { mkdir alone || exit 9; rmdir alone; exit 7; }\ntouch first; echo > began; cat go; exit 7",
    );
    let first = begin(&shell, &[], &command);
    heard(&began);
    let others: Vec<Child> = (0..4).map(|_| begin(&shell, &[], &command)).collect();
    opened(&others.iter().collect::<Vec<_>>());
    tell(&go, "half\n");
    assert_eq!(finish(first).text(), "half\n");
    for child in others {
        let ran = finish(child);
        assert_eq!((ran.code(), &*ran.text()), (7, ""), "{}", ran.errors());
    }
    assert_eq!(shell.runs(), 5);
}

#[test]
fn a_signal_reaches_the_command_and_the_next_one_runs_it() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let shell = Shell::new();
        let (began, went) = (shell.fifo("began"), shell.fifo("went"));
        let command = shell.counting(
            "test -e again && { echo 1; exit; }\ntouch again; exec 9> went; echo > began; exec sleep 1000",
        );
        let runner = begin(&shell, &[], &command);
        let gone = std::thread::spawn(move || heard(&went));
        heard(&began);
        let waiter = begin(&shell, &[], &command);
        opened(&[&waiter]);
        kill(runner.id(), signal);
        assert_eq!(finish(runner).status.signal(), Some(signal.as_raw()));
        assert_eq!(gone.join().unwrap(), "", "the command has ended");
        assert_eq!((finish(waiter).ok(), shell.runs()), ("1\n".into(), 2));
    }
}

#[test]
fn who_is_not_content_with_what_is_there_joins_a_run_in_flight() {
    let shell = Shell::new();
    let (began, go) = (shell.fifo("began"), shell.fifo("go"));
    let command = shell.counting("test -e old || { touch old; echo old; exit; }\necho > began; cat go");
    assert_eq!(finish(begin(&shell, &[], &command)).ok(), "old\n");
    shell.advance(std::time::Duration::from_secs(60));
    let runner = begin(&shell, &["--ttl", "1s"], &command);
    heard(&began);
    let young = begin(&shell, &["--ttl", "30s"], &command);
    opened(&[&young]);
    // Nobody who takes an old one waits.
    assert_eq!(finish(begin(&shell, &[], &command)).ok(), "old\n");
    tell(&go, "new\n");
    for child in [runner, young] {
        assert_eq!(finish(child).ok(), "new\n");
    }
    assert_eq!(shell.runs(), 2);
}
