//! `forebay run` in one shell: what is stored, what is repeated, what decides which output is meant.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Shell, anywhere, finish, start};
use std::fs;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn within_its_ttl_a_command_runs_once() {
    let shell = Shell::new();
    let command = shell.counting("echo out; echo err >&2");
    for _ in 0..3 {
        let ran = shell.run(["run", "--ttl", "10s", "--", command.to_str().unwrap()]);
        assert_eq!((ran.code(), &*ran.text(), &*ran.errors()), (0, "out\n", "err\n"));
        shell.advance(3 * SECOND);
    }
    assert_eq!(shell.runs(), 1);
    shell.advance(SECOND);
    shell.run(["run", "--ttl", "10s", "--", command.to_str().unwrap()]).ok();
    assert_eq!(shell.runs(), 2, "at 10 s it is no longer fresh");
}

#[test]
fn without_max_stale_an_old_output_is_not_served() {
    let shell = Shell::new();
    let command = shell.counting("wc -l < runs | tr -d ' '");
    let run = || shell.run(["run", "--", command.to_str().unwrap()]).ok();
    assert_eq!(run(), "1\n");
    shell.advance(59 * SECOND);
    assert_eq!(run(), "1\n", "the ttl is 60 s unless given");
    shell.advance(SECOND);
    assert_eq!(run(), "2\n");
}

#[test]
fn an_output_that_was_marked_stale_is_made_anew() {
    let shell = Shell::new();
    let command = shell.counting("wc -l < runs | tr -d ' '");
    let run = || shell.run(["run", "--name", "n", command.to_str().unwrap()]).ok();
    assert_eq!((run(), run()), ("1\n".to_owned(), "1\n".to_owned()));
    shell.run(["mark-stale", "run/n"]).ok();
    assert_eq!((run(), run()), ("2\n".to_owned(), "2\n".to_owned()));
}

#[test]
fn the_output_is_repeated_byte_for_byte() {
    let shell = Shell::new();
    let odd: Vec<u8> = (0..=255).chain([0, 0, b'\n', 0xff, 0xc3]).collect();
    fs::write(shell.path("odd"), &odd).unwrap();
    let command = shell.counting("cat odd; cat odd >&2");
    for _ in 0..2 {
        let ran = shell.run(["run", command.to_str().unwrap()]);
        assert_eq!((ran.code(), ran.out, ran.err), (0, odd.clone(), odd.clone()));
    }
    assert_eq!(shell.runs(), 1);
}

#[test]
fn an_empty_output_is_an_output() {
    let shell = Shell::new();
    let command = shell.counting("");
    for _ in 0..2 {
        let ran = shell.run(["run", command.to_str().unwrap()]);
        assert_eq!((ran.code(), ran.out, ran.err), (0, vec![], vec![]));
    }
    assert_eq!(shell.runs(), 1);
}

#[test]
fn sixty_four_mebibytes_go_through_and_come_back() {
    let shell = Shell::new();
    let command = shell.counting("yes 'fifteen letters' | head -c 67108864");
    let mut lengths = Vec::new();
    for _ in 0..2 {
        let ran = shell.run(["run", command.to_str().unwrap()]);
        assert!(ran.status.success(), "{}", ran.errors());
        assert!(ran.out.chunks(16).all(|line| line == b"fifteen letters\n"));
        lengths.push(ran.out.len());
    }
    assert_eq!((lengths, shell.runs()), (vec![64 << 20; 2], 1));
}

#[test]
fn of_a_long_standard_error_the_end_is_repeated() {
    let shell = Shell::new();
    let command = shell.counting("yes | head -c 1000000 >&2; echo the end >&2");
    let first = shell.run(["run", command.to_str().unwrap()]);
    assert_eq!(first.err.len(), 1_000_008, "all of it when it runs");
    let second = shell.run(["run", command.to_str().unwrap()]).errors();
    assert!(second.starts_with("forebay: (") && second.ends_with("y\nthe end\n"), "{}", &second[..60]);
    assert!(second.len() < 70_000);
    assert_eq!(shell.runs(), 1);
}

#[test]
fn a_failure_is_passed_on_and_not_stored() {
    let shell = Shell::new();
    let command = shell.counting("echo half; echo reason >&2; exit 3");
    let ran = shell.run(["run", command.to_str().unwrap()]);
    assert_eq!((ran.code(), &*ran.text(), &*ran.errors()), (3, "half\n", "reason\n"));
    // While it cools down it does not run again; the status is the same, the output is not.
    let held = shell.run(["run", command.to_str().unwrap()]);
    assert_eq!((held.code(), &*held.text(), shell.runs()), (3, "", 1));
    assert!(held.errors().contains("exit status 3"), "{}", held.errors());
    assert!(held.errors().contains("next attempt in "), "{}", held.errors());
    shell.advance(400 * SECOND);
    assert_eq!(shell.run(["run", command.to_str().unwrap()]).code(), 3);
    assert_eq!(shell.runs(), 2);
    assert!(
        shell.run(["list", "--json"]).json().as_array().unwrap().iter().all(|row| row["state"] == "absent")
    );
}

#[test]
fn force_runs_it_whatever_there_is() {
    let shell = Shell::new();
    let command = shell.counting("test -e broken && exit 3; wc -l < runs | tr -d ' '");
    let run = |force: bool| {
        let force = force.then_some("--force");
        shell.run(["run"].into_iter().chain(force).chain([command.to_str().unwrap()]))
    };
    assert_eq!(run(true).ok(), "1\n");
    assert_eq!(run(false).ok(), "1\n");
    assert_eq!(run(true).ok(), "2\n", "though it was fresh");
    fs::write(shell.path("broken"), "").unwrap();
    assert_eq!(run(true).code(), 3, "whoever ran it gets the command's status");
    assert_eq!(run(false).ok(), "2\n", "a failure destroys nothing");
    assert_eq!(run(true).code(), 3, "though it was cooling down");
    assert_eq!(shell.runs(), 4);
}

#[test]
fn statuses_are_those_of_env_and_timeout() {
    let shell = Shell::new();
    fs::write(shell.path("plain"), "not a program").unwrap();
    let killed = shell.script("killed", "kill -9 $$");
    for (line, status) in [
        (&["/no/such/command"][..], 127),
        (&["no-such-command-in-the-path"], 127),
        (&["./plain"], 126),
        (&[killed.to_str().unwrap()], 137),
        (&["sh", "-c", "exit 255"], 255),
        (&["--deadline", "100ms", "sleep", "1000"], 124),
        (&["--ttl", "nonsense", "true"], 125),
        (&["--deadline", "0s", "true"], 125),
        (&["--deadline", "25h", "true"], 125),
        (&["--tier", "", "true"], 125),
        (&["--file", ".", "true"], 125),
        (&["--key", "a/b", "--cwd", "true"], 125),
        (&["--key", "/b", "true"], 125),
        (&[""], 125),
        (&[], 125),
    ] {
        let ran = shell.run(["run"].iter().chain(line));
        assert_eq!(ran.code(), status, "{line:?}: {}", ran.errors());
        assert_eq!(ran.text(), "", "{line:?}");
        let told = ran.errors();
        assert_eq!((124..=127).contains(&status), told.starts_with("forebay: "), "{line:?}: {told}");
        assert!(told.lines().count() <= 1, "{told}");
    }
}

#[test]
fn a_command_that_ignores_the_polite_signal_is_ended_all_the_same() {
    let shell = Shell::new();
    let stubborn = shell.script("stubborn", "trap '' TERM; while :; do sleep 0.1; done");
    let ran = shell.run(["run", "--deadline", "50ms", stubborn.to_str().unwrap()]);
    assert_eq!(ran.code(), 124, "{}", ran.errors());
}

#[test]
fn what_a_command_leaves_behind_is_not_waited_for() {
    let shell = Shell::new();
    let go = shell.fifo("go");
    let leaves = shell.counting("(read line < go; echo late) & echo now");
    let ran = shell.run(["run", leaves.to_str().unwrap()]);
    assert_eq!(ran.ok(), "now\n", "though a process it started holds the pipe open");
    common::tell(&go, "\n");
    assert_eq!(shell.run(["run", leaves.to_str().unwrap()]).ok(), "now\n");
}

#[test]
fn the_command_reads_nothing() {
    let shell = Shell::new();
    let mut command = shell.forebay(["run", "cat"]);
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, b"never read").unwrap();
    let ran = finish(start(command.stdin(reader)));
    assert_eq!((ran.code(), ran.out), (0, vec![]), "its standard input is /dev/null");
}

#[test]
fn what_was_named_decides_which_output_is_meant() {
    let shell = Shell::new();
    let command = shell.counting("echo $WHO; pwd; cat input");
    let command = command.to_str().unwrap();
    fs::write(shell.path("input"), "one").unwrap();
    fs::create_dir(shell.path("sub")).unwrap();
    fs::copy(shell.path("input"), shell.path("sub/input")).unwrap();
    let options = ["run", "--env", "WHO", "--cwd", "--file", "input", "--", command];
    let run = |who: &str, folder: &str| {
        let mut command = shell.forebay(options);
        finish(start(command.env("WHO", who).current_dir(shell.path(folder)))).ok()
    };
    let first = run("me", "");
    assert_eq!((run("me", ""), shell.runs()), (first.clone(), 1));
    assert!(run("you", "").starts_with("you\n"));
    assert!(run("me", "sub").contains("/sub\n"));
    assert_eq!(shell.runs(), 3);
    fs::write(shell.path("input"), "two").unwrap();
    assert!(run("me", "").ends_with("two"));
    fs::remove_file(shell.path("input")).unwrap();
    let mut gone = shell.forebay(options);
    assert_ne!(finish(start(gone.env("WHO", "me"))).code(), 0, "cat fails; forebay did not");
    assert_eq!(shell.runs(), 5);
    fs::write(shell.path("input"), "one").unwrap();
    assert_eq!((run("me", ""), shell.runs()), (first, 5), "the first state is known still");
}

#[test]
fn a_file_that_changes_while_the_command_runs_is_not_answered_for() {
    let shell = Shell::new();
    fs::write(shell.path("input"), "one").unwrap();
    let command = shell.counting("cat input; printf two > input");
    let ran = shell.run(["run", "--file", "input", command.to_str().unwrap()]);
    assert_eq!((ran.code(), &*ran.text()), (0, "one"));
    assert!(ran.errors().contains("not stored"), "{}", ran.errors());
    fs::write(shell.path("input"), "one").unwrap();
    assert!(
        shell.run(["list", "--json"]).json().as_array().unwrap().iter().all(|row| row["state"] == "absent")
    );
}

#[test]
fn arguments_are_not_written_to_the_disk() {
    let shell = Shell::new();
    let secret = "hunter2-a-secret";
    shell.run(["run", "--name", "login", "test", "-n", secret]).ok();
    assert_eq!(shell.run(["run", "test", "-z", secret]).code(), 1);
    assert_eq!(shell.run(["run", &format!("/no/{secret}")]).code(), 127);
    assert!(anywhere(&shell.root(), "login"), "the search finds what is there");
    assert!(!anywhere(&shell.root(), secret));
}

#[test]
fn a_named_output_is_found_by_its_name() {
    let shell = Shell::new();
    shell.run(["run", "--name", "greeting", "echo", "hello"]).ok();
    assert_eq!(shell.run(["get", "run/greeting"]).ok(), "hello\n");
    shell.run(["run", "--name", "greeting", "echo", "other"]).ok();
    let two = shell.run(["get", "run/greeting"]);
    assert_eq!(two.code(), 2, "it would be a guess which one is meant");
    assert!(two.errors().contains("stands for 2 keys"), "{}", two.errors());
    let names = shell.run(["list", "--names"]).ok();
    assert!(names.lines().all(|name| name.starts_with("run/greeting.")), "{names}");
    shell.run(["run", "--tier", "mine", "--name", "x", "echo", "tiered"]).ok();
    assert_eq!(shell.run(["get", "mine/x"]).ok(), "tiered\n");
}

#[test]
fn under_a_key_given_whole_it_shares_the_source_of_programs() {
    let shell = Shell::new();
    let line = ["run", "--key", "api/models", "--ttl", "1h", "echo", "[1,2]"];
    assert_eq!(shell.run(line).ok(), "[1,2]\n");
    assert_eq!(shell.run(["get", "api/models"]).ok(), "[1,2]\n");
    fs::write(shell.path("new"), "[3]\n").unwrap();
    shell.run(["put", "api/models", "new"]).ok();
    assert_eq!(shell.run(line).ok(), "[3]\n", "what another program stored is printed as it is");
}

#[test]
fn verbose_says_where_the_output_came_from() {
    let shell = Shell::new();
    let ran = shell.run(["run", "--verbose", "--name", "n", "true"]);
    assert!(ran.errors().contains("ran here"), "{}", ran.errors());
    shell.advance(3 * SECOND);
    let cached = shell.run(["run", "--verbose", "--name", "n", "true"]);
    assert!(cached.errors().contains("fresh, 3 seconds old"), "{}", cached.errors());
}
