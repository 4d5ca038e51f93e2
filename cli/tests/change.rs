//! `put`, `mark-stale`, `remove`, `prune` and `refresh`: what they change, print and end with.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Shell, finish, heard, start, tell, waits};
use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

fn put(shell: &Shell, key: &str, words: &str) {
    let mut child = start(shell.forebay(["put", "--ttl", "1h", key]).stdin(Stdio::piped()));
    child.stdin.take().unwrap().write_all(words.as_bytes()).unwrap();
    finish(child).ok();
}

#[test]
fn put_stores_standard_input_or_a_file() {
    let shell = Shell::new();
    put(&shell, "a/b", "from a pipe");
    assert_eq!(shell.run(["get", "a/b"]).ok(), "from a pipe");
    fs::write(shell.path("file"), "from a file").unwrap();
    let told = shell.run(["put", "--json", "--validator", "v2", "a/b", "file"]).json();
    assert_eq!((&told["key"], &told["size"], &told["validator"]), (&"a/b".into(), &11.into(), &"v2".into()));
    assert_eq!(shell.run(["get", "a/b"]).ok(), "from a file");
    let absent = shell.run(["put", "a/b", "no-such-file"]);
    assert_eq!(absent.code(), 6);
    assert!(absent.errors().starts_with("forebay: no-such-file: cannot read it: "), "{}", absent.errors());
    assert_eq!(shell.run(["get", "a/b"]).ok(), "from a file");
}

#[test]
fn mark_stale_keeps_the_value() {
    let shell = Shell::new();
    put(&shell, "a/b", "value");
    shell.run(["mark-stale", "a/b"]).ok();
    assert_eq!(shell.run(["get", "--json", "a/b"]).json()["state"], "stale");
    assert_eq!(shell.run(["get", "a/b"]).ok(), "value");
}

#[test]
fn remove_says_what_was_not_there() {
    let shell = Shell::new();
    for key in ["a/1", "a/2", "a/3"] {
        put(&shell, key, "x");
    }
    assert_eq!(shell.run(["remove", "a/1"]).ok(), "");
    let ran = shell.run(["rm", "a/1", "a/2"]);
    assert_eq!((ran.code(), &*ran.errors()), (1, "forebay: a/1: there is nothing to remove\n"));
    let told = shell.run(["rm", "--json", "a/3"]).json();
    assert_eq!(told, serde_json::json!([{"key": "a/3", "removed": true}]));
    assert_eq!(shell.run(["list"]).ok(), "");
}

#[test]
fn prune_removes_all_but_the_keys_named() {
    let shell = Shell::new();
    for key in ["a/1", "a/2", "a/3", "a/4"] {
        put(&shell, key, "x");
    }
    let refused = shell.run(["prune"]);
    assert_eq!(refused.code(), 2, "without keys it would remove everything");
    assert!(refused.errors().contains("--keep"), "{}", refused.errors());
    assert_eq!(shell.run(["prune", "--keep", "a/1", "a/2", "--keep=a/3"]).ok(), "removed 1 value\n");
    assert_eq!(shell.run(["list", "--names"]).ok(), "a/1\na/2\na/3\n");
    let told = shell.run(["prune", "--json", "--keep", "a/1"]).json();
    assert_eq!(told, serde_json::json!({"removed": ["a/2", "a/3"], "skipped": [], "swept": 0}));
}

#[test]
fn prune_skips_what_is_being_refreshed() {
    let shell = Shell::new();
    let (began, go) = (shell.fifo("began"), shell.fifo("go"));
    let command = shell.counting("echo > began; cat go");
    let runner =
        start(&mut shell.forebay(["refresh", "--ttl", "1h", "a/b", "--", command.to_str().unwrap()]));
    heard(&began);
    put(&shell, "a/keep", "x");
    let ran = shell.run(["prune", "--keep", "a/keep"]);
    assert_eq!((ran.code(), &*ran.text()), (0, "removed 0 values\n"));
    assert!(ran.errors().starts_with("forebay: a/b: skipped: "), "{}", ran.errors());
    tell(&go, "new\n");
    assert_eq!(finish(runner).ok(), "a/b: ran, 4 B\n");
    assert_eq!(shell.run(["get", "a/b"]).ok(), "new\n");
}

#[test]
fn refresh_makes_a_value_of_a_commands_output() {
    let shell = Shell::new();
    let command = shell.counting(
        "echo \"$FOREBAY_KEY $FOREBAY_TIER $FOREBAY_NAME ${FOREBAY_VALIDATOR-none}\"; echo seen >&2",
    );
    let line = ["refresh", "--ttl", "1h", "api/models", "--", command.to_str().unwrap()];
    let ran = shell.run(line);
    assert_eq!((ran.code(), &*ran.text(), &*ran.errors()), (0, "api/models: ran, 27 B\n", "seen\n"));
    assert_eq!(shell.run(["get", "api/models"]).ok(), "api/models api models none\n");
    fs::write(shell.path("new"), "x").unwrap();
    shell.run(["put", "--validator", "v7", "api/models", "new"]).ok();
    let told = shell.run(["refresh", "--json", "api/models", "--", command.to_str().unwrap()]).json();
    assert_eq!(
        (&told[0]["key"], &told[0]["how"], &told[0]["size"]),
        (&"api/models".into(), &"ran".into(), &25.into())
    );
    assert_eq!(shell.run(["get", "api/models"]).ok(), "api/models api models v7\n");
    assert_eq!(shell.runs(), 2);
}

#[test]
fn refresh_joins_a_refresh_in_flight() {
    let shell = Shell::new();
    let (began, go) = (shell.fifo("began"), shell.fifo("go"));
    let command = shell.counting("echo > began; cat go");
    let first = start(&mut shell.forebay(["refresh", "--ttl", "1h", "a/b", "--", command.to_str().unwrap()]));
    heard(&began);
    // Should it come too late to join, it says so with an output of its own.
    let second = start(&mut shell.forebay(["refresh", "a/b", "--", "echo", "joined too late"]));
    waits(second.id());
    tell(&go, "new\n");
    assert_eq!(finish(first).ok(), "a/b: ran, 4 B\n");
    assert_eq!(finish(second).ok(), "a/b: coalesced, 4 B\n");
    assert_eq!((shell.run(["get", "a/b"]).ok(), shell.runs()), ("new\n".to_owned(), 1));
}

#[test]
fn refresh_of_many_runs_once_for_each_and_ends_with_the_first_failure() {
    let shell = Shell::new();
    let command = shell.counting("test $FOREBAY_NAME = bad && exit 3; echo $FOREBAY_NAME");
    let keys: Vec<String> = (0..9).map(|number| format!("many/{number}")).collect();
    let line = |more: &[&str]| {
        let line = ["refresh", "--ttl", "1h", "--jobs", "3"].iter().copied();
        let line = line.chain(keys.iter().map(String::as_str)).chain(more.iter().copied());
        shell.run(line.chain(["--", command.to_str().unwrap()]))
    };
    let all = line(&[]).ok();
    assert_eq!(all.lines().count(), 9);
    assert!(all.starts_with("many/0: ran, 2 B\nmany/1: "), "in the order given: {all}");
    let some = line(&["many/bad"]);
    assert_eq!((some.code(), some.text().lines().count()), (5, 9));
    assert!(
        some.errors().starts_with("forebay: many/bad: refresh failed: exit status 3"),
        "{}",
        some.errors()
    );
    assert_eq!(shell.runs(), 19);
    assert_eq!(shell.run(["get", "many/8"]).ok(), "8\n");
}

#[test]
fn a_failed_refresh_destroys_nothing_and_says_so_in_json() {
    let shell = Shell::new();
    put(&shell, "a/b", "old");
    let told = shell.run(["refresh", "--json", "a/b", "--", "sh", "-c", "exit 3"]);
    assert_eq!(told.code(), 5);
    let told: serde_json::Value = serde_json::from_str(&told.text()).unwrap();
    assert_eq!(told[0]["failure"]["error"]["code"], "refresh_failed", "{told}");
    assert_eq!(told[0]["failure"]["status"], 5);
    assert_eq!(shell.run(["get", "a/b"]).ok(), "old");
    shell.advance(Duration::from_secs(400));
    assert_eq!(shell.run(["refresh", "a/b", "--", "no-such-command"]).code(), 5);
    assert_eq!(shell.run(["refresh", "--deadline", "50ms", "a/b", "--", "sleep", "1000"]).code(), 5);
    assert_eq!(shell.run(["get", "a/b"]).ok(), "old");
}
