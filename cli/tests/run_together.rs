//! `forebay run` in many shells at once: the command runs once, everyone has its outcome, and a runner that is
//! killed is replaced.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Shell, finish, heard, kill, start, tell};
use rustix::process::Signal;

#[test]
fn among_twenty_shells_it_runs_once() {
    let shell = Shell::new();
    let go = shell.fifo("go");
    // It ends when it is told to, and by then all shells have been started.
    let command = shell.counting("cat go; echo err >&2");
    let all: Vec<_> = (0..20)
        .map(|_| start(&mut shell.forebay(["run", "--deadline", "1h", command.to_str().unwrap()])))
        .collect();
    tell(&go, "the answer\n");
    for child in all {
        let ran = finish(child);
        assert_eq!((ran.code(), &*ran.text(), &*ran.errors()), (0, "the answer\n", "err\n"));
    }
    assert_eq!(shell.runs(), 1);
}

#[test]
fn those_who_waited_for_a_failure_end_with_its_status() {
    let shell = Shell::new();
    let go = shell.fifo("go");
    let command = shell.counting("cat go; echo reason >&2; exit 7");
    let all: Vec<_> = (0..8)
        .map(|_| start(&mut shell.forebay(["run", "--deadline", "1h", command.to_str().unwrap()])))
        .collect();
    tell(&go, "half\n");
    let all: Vec<_> = all.into_iter().map(finish).collect();
    assert!(all.iter().all(|ran| ran.code() == 7), "{all:#?}");
    assert_eq!(shell.runs(), 1);
    let (ran, joined): (Vec<_>, Vec<_>) = all.iter().partition(|ran| ran.text() == "half\n");
    assert_eq!((ran.len(), &*ran[0].errors()), (1, "reason\n"));
    for joiner in joined {
        assert_eq!(joiner.text(), "");
        let told = joiner.errors();
        assert!(told.contains("failed in another run: exit status 7"), "{told}");
        assert!(!told.contains("reason"), "what the command said is not written down: {told}");
    }
}

#[test]
fn a_runner_that_is_killed_is_replaced() {
    let shell = Shell::new();
    let began = shell.fifo("began");
    // Each run is told apart by its runner, and waits for a word of its own.
    let command = shell.counting("mkfifo go.$PPID; echo $PPID > began; cat go.$PPID");
    let line = ["run", "--deadline", "1h", command.to_str().unwrap()];
    let first = start(&mut shell.forebay(line));
    assert_eq!(heard(&began).trim(), first.id().to_string());
    let others = [start(&mut shell.forebay(line)), start(&mut shell.forebay(line))];
    let (orphans_word, killed) = (shell.path(&format!("go.{}", first.id())), first.id());
    kill(killed, Signal::KILL);
    let next = heard(&began);
    assert!(
        others.iter().any(|other| other.id().to_string() == next.trim()),
        "one of those who waited takes over"
    );
    tell(&shell.path(&format!("go.{}", next.trim())), "again\n");
    for child in others {
        assert_eq!(finish(child).ok(), "again\n");
    }
    // The command of the killed one may end now; what it prints is nobody's.
    tell(&orphans_word, "orphan\n");
    assert_eq!(finish(first).status.code(), None);
    assert_eq!(shell.run(line).ok(), "again\n");
    assert_eq!(shell.runs(), 2);
}

#[test]
fn a_put_goes_before_what_a_run_brings_later() {
    let shell = Shell::new();
    let (began, go) = (shell.fifo("began"), shell.fifo("go"));
    let command = shell.counting("test -e old || { touch old; echo old; exit; }; echo > began; cat go");
    let line = ["run", "--deadline", "1h", "--name", "n", command.to_str().unwrap()];
    assert_eq!(shell.run(line).ok(), "old\n");
    shell.advance(std::time::Duration::from_secs(90));
    let runner = start(&mut shell.forebay(line));
    heard(&began);
    let rows = shell.run(["list", "--json"]).json();
    let key = rows[0]["key"].as_str().unwrap().to_owned();
    assert_eq!(rows[0]["phase"], "running");
    std::fs::write(shell.path("new"), "put").unwrap();
    shell.run(["put", "--ttl", "60s", &key, "new"]).ok();
    tell(&go, "ran\n");
    let ran = finish(runner);
    assert_eq!((ran.code(), &*ran.text()), (0, "ran\n"), "its own caller has its output");
    assert!(ran.errors().contains("not stored"), "{}", ran.errors());
    assert_eq!(shell.run(line).ok(), "put");
    assert_eq!(shell.runs(), 2);
}

/// As a process does that was stopped at the wrong moment. The wait for it is bounded, and the command runs.
#[test]
fn a_guard_that_is_not_given_back_does_not_stop_the_command() {
    let shell = Shell::new();
    shell.run(["run", "true"]).ok();
    let guards = std::fs::read_dir(shell.root().join(".forebay/guard")).unwrap();
    let held: Vec<_> = guards.map(|guard| std::fs::File::open(guard.unwrap().path()).unwrap()).collect();
    for guard in &held {
        guard.lock().unwrap();
    }
    let command = shell.counting("echo out; exit 3");
    let ran = shell.run(["run", "--deadline", "1s", command.to_str().unwrap()]);
    assert_eq!((ran.code(), &*ran.text(), shell.runs()), (3, "out\n", 1));
    let told = ran.errors();
    assert!(
        told.contains("/.forebay/guard/") && told.ends_with("(the command runs without the cache)\n"),
        "{told}"
    );
    drop(held);
    assert_eq!(shell.run(["run", "echo", "stored"]).ok(), "stored\n");
}
