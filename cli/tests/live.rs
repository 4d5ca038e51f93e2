//! `forebay live`: what is listed and counted, which fact `why` names, and what `invalidate` and `gc` end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Shell;
use forebay::{Cache, Input, Live, LiveKey};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

/// The derived results of the shell, as a program in its folder has them.
fn live(shell: &Shell) -> Live {
    Cache::open(shell.root()).unwrap().live().unwrap().workspace(shell.folder()).unwrap()
}

fn key(name: &str) -> LiveKey {
    LiveKey::from_bytes(name.as_bytes())
}

/// A result from the files `a` and `b/c` and the tag `t`, and one that is built on it.
fn two(shell: &Shell) {
    fs::create_dir(shell.path("b")).unwrap();
    fs::write(shell.path("a"), "a").unwrap();
    fs::write(shell.path("b/c"), "c").unwrap();
    let live = live(shell);
    let inputs = ["a", "b/c", "tag:t"].map(Input::parse);
    live.persist(&key("low"), b"12345", "parse", &inputs).unwrap();
    live.persist_with_upstreams(&key("high"), b"123", "sum", &[], &[key("low")]).unwrap();
}

fn number(shell: &Shell) -> u64 {
    shell.run(["live", "stats", "--json"]).json()["results"].as_u64().unwrap()
}

#[test]
fn where_nothing_is_nothing_is_said_and_nothing_is_written() {
    let shell = Shell::new();
    assert_eq!(shell.run(["live", "ls"]).ok(), "");
    assert_eq!(shell.run(["live", "ls", "--json"]).json(), json!([]));
    assert_eq!(shell.run(["live", "ls", "--names"]).ok(), "");
    assert_eq!(shell.run(["live", "stats"]).ok(), "0 results, 0 B\n");
    assert_eq!(shell.run(["live", "stats", "--json"]).json(), json!({"results": 0, "bytes": 0, "kinds": {}}));
    let absent = shell.run(["live", "why", &key("x").to_string()]);
    assert_eq!((absent.code(), &*absent.text()), (1, "does not hold: there is no such result\n"));
    assert_eq!(shell.run(["live", "gc"]).ok(), "removed 0 results\n");
    assert!(!shell.root().exists());
}

#[test]
fn results_are_listed_and_counted() {
    let shell = Shell::new();
    two(&shell);
    let rows = shell.run(["live", "ls", "--json"]).json();
    let of = |kind: &str| {
        let rows = rows.as_array().unwrap();
        rows.iter().find(|row| row["kind"] == kind).unwrap().clone()
    };
    let (low, high) = (of("parse"), of("sum"));
    assert_eq!(low["inputs"], json!(["file:a", "file:b/c", "tag:t"]));
    assert_eq!(
        (&low["size"], &low["key"], &low["upstreams"]),
        (&json!(5), &json!(key("low").to_string()), &json!([]))
    );
    assert_eq!(high["upstreams"], json!([key("low").to_string()]));
    assert!(high["computed_at_ms"].as_i64().unwrap() > 0 && high["used_at_ms"].as_i64().unwrap() > 0);
    assert_eq!(shell.run(["live", "ls", "--names", "--kind", "sum"]).ok(), format!("{}\n", key("high")));
    assert_eq!(shell.run(["live", "ls", "--kind", "other"]).ok(), "");
    let table = shell.run(["live", "ls", "--kind", "parse"]).ok();
    let (head, line) = table.trim_end().split_once('\n').unwrap();
    assert_eq!(head.split_whitespace().collect::<Vec<_>>(), ["KEY", "KIND", "SIZE", "AGE", "USED", "INPUTS"]);
    let start = format!("{}  parse   5 B  ", &key("low").to_string()[..16]);
    assert!(line.starts_with(&start) && line.ends_with("  file:a, file:b/c, tag:t"), "{line}");
    assert!(shell.run(["live", "ls", "--kind", "sum"]).ok().ends_with("  on 1 result\n"));
    let stats = shell.run(["live", "stats", "--json"]).json();
    assert_eq!(stats, json!({"results": 2, "bytes": 8, "kinds": {"parse": 1, "sum": 1}}));
    assert_eq!(
        shell.run(["live", "stats"]).ok(),
        "2 results, 8 B\nKIND   RESULTS\nparse        1\nsum          1\n"
    );
}

#[test]
fn nothing_in_the_list_acts_on_the_terminal() {
    let shell = Shell::new();
    live(&shell).persist(&key("x"), b"", "a\u{1b}[2Jb", &[Input::Tag("t\n\u{7}".into())]).unwrap();
    for line in [&["live", "ls"][..], &["live", "stats"]] {
        let text = shell.run(line).ok();
        assert!(text.lines().count() <= 3 && !text.contains(['\u{1b}', '\u{7}']), "{text:?}");
    }
}

#[test]
fn why_names_the_input_or_the_result_that_decided() {
    let shell = Shell::new();
    two(&shell);
    let why = |of: &LiveKey| {
        let ran = shell.run(["live", "why", "--json", &of.to_string()]);
        (ran.code(), serde_json::from_str::<Value>(&ran.text()).unwrap())
    };
    let (code, holds) = why(&key("high"));
    assert_eq!((code, &holds["holds"], &holds["input"]), (0, &json!(true), &Value::Null));
    let begins = &key("high").to_string()[..8];
    let sentence = shell.run(["live", "why", begins]).ok();
    assert_eq!(sentence, "holds: nothing that it was computed from has changed\n");
    fs::write(shell.path("b/c"), "other").unwrap();
    let (code, low) = why(&key("low"));
    assert_eq!(
        (code, &low["holds"], &low["input"], &low["upstream"]),
        (1, &json!(false), &json!("file:b/c"), &Value::Null)
    );
    let (code, high) = why(&key("high"));
    assert_eq!(
        (code, &high["input"], &high["upstream"]),
        (1, &json!("file:b/c"), &json!(key("low").to_string()))
    );
    assert_eq!(number(&shell), 2, "a question removes nothing");
    let mut elsewhere =
        shell.forebay(["live", "why", "--workspace", shell.folder().to_str().unwrap(), begins]);
    let ran = common::finish(common::start(elsewhere.current_dir("/")));
    assert_eq!(ran.code(), 1);
    assert!(ran.text().starts_with("does not hold: file:b/c has changed"), "{}", ran.text());
}

#[test]
fn a_key_may_be_cut_as_long_as_it_is_clear() {
    let shell = Shell::new();
    // Keys are hashes: among so many some begin alike.
    let live = live(&shell);
    let mut seen = std::collections::HashMap::new();
    let twins = (0..)
        .map(|number: u32| key(&number.to_string()))
        .find_map(|key| seen.insert(key.to_string()[..4].to_owned(), key).map(|other| [key, other]));
    let twins = twins.unwrap();
    for key in &twins {
        live.persist(key, b"", "", &[]).unwrap();
    }
    let begins = &twins[0].to_string()[..4];
    let ran = shell.run(["live", "why", begins]);
    assert_eq!((ran.code(), &*ran.text()), (2, ""));
    assert!(ran.errors().contains("stands for 2 results; give more of its digits"), "{}", ran.errors());
    assert_eq!(shell.run(["live", "invalidate", "--key", begins]).code(), 2);
    assert_eq!(number(&shell), 2);
    let absent = shell.run(["live", "why", if begins == "0000" { "0001" } else { "0000" }]);
    assert_eq!((absent.code(), absent.errors().contains("there is no such result")), (1, true));
    for odd in ["abc", "xyz0", "", "ABCD", &"a".repeat(65)] {
        let ran = shell.run(["live", "why", odd]);
        assert_eq!(ran.code(), 2, "{odd}");
        assert!(ran.errors().contains("64 hex digits"), "{}", ran.errors());
    }
}

#[test]
fn invalidate_ends_what_was_named_and_says_how_much() {
    let (low, high) = (key("low").to_string(), key("high").to_string());
    for (line, told, left) in [
        (&["a"][..], "path a: 1 result\n".to_owned(), 0),
        (&["b"], "path b: 1 result\n".to_owned(), 0),
        (&["./b/../a"], "path ./b/../a: 1 result\n".to_owned(), 0),
        (&["elsewhere", "b/d"], "path elsewhere: 0 results\npath b/d: 0 results\n".to_owned(), 2),
        (&["--tag", "t", "a"], "path a: 1 result\ntag t: 0 results\n".to_owned(), 0),
        (&["--tag", "t", "--tag", "u"], "tag t: 1 result\ntag u: 0 results\n".to_owned(), 0),
        (&["--upstream", &low], format!("upstream {}: 1 result\n", &low[..16]), 1),
        (&["--upstream", &high], format!("upstream {}: 0 results\n", &high[..16]), 2),
        (&["--key", &low], format!("key {}: 1 result\n", &low[..16]), 0),
        (&["--key", &high[..12]], format!("key {}: 1 result\n", &high[..16]), 1),
    ] {
        let shell = Shell::new();
        two(&shell);
        assert_eq!(shell.run(["live", "invalidate"].iter().chain(line)).ok(), told, "{line:?}");
        assert_eq!(number(&shell), left, "{line:?}");
    }
    let shell = Shell::new();
    two(&shell);
    let found = shell.run(["live", "invalidate", "--json", "--tag", "t", "--upstream", &high]).json();
    let expected = json!([
        {"by": "tag", "name": "t", "results": 1},
        {"by": "upstream", "name": high, "results": 0},
    ]);
    assert_eq!(found, expected);
    let gone = shell.run(["live", "invalidate", "--key", &low]);
    assert_eq!((gone.code(), &*gone.text()), (1, &*format!("key {}: 0 results\n", &low[..16])));
    for (line, told) in [
        (&[][..], "what has changed? name paths, or give --tag, --key or --upstream"),
        (&[""], "a path or a tag is empty"),
        (&["--tag="], "a path or a tag is empty"),
        (&["--workspace", "nowhere", "a"], "--workspace nowhere: there is no such folder"),
    ] {
        let ran = shell.run(["live", "invalidate"].iter().chain(line));
        assert_eq!((ran.code(), &*ran.text()), (2, ""));
        assert_eq!(ran.errors(), format!("forebay: {told}; see 'forebay help live invalidate'\n"));
    }
}

#[test]
fn gc_keeps_to_the_cap_by_last_use() {
    let shell = Shell::new();
    let run = |name: &str| {
        let line = ["run", "--input", "tag:x", "--key", name, "printf", "1234567890"];
        shell.run(line).ok();
        shell.advance(Duration::from_secs(3600));
    };
    for name in ["one", "two", "three", "one"] {
        run(name);
    }
    let size = shell.run(["live", "stats", "--json"]).json()["bytes"].as_u64().unwrap() / 3;
    let two = (size * 2).to_string();
    let kept = shell.run(["live", "gc", "--cap", "1GiB"]).ok();
    assert!(kept.starts_with("removed 0 results, evicted 0 results"), "{kept}");
    let cleaned = shell.run(["live", "gc", "--json", "--cap", &two]).json();
    assert_eq!((&cleaned["removed"], &cleaned["evicted"]), (&json!(0), &json!(1)));
    let names = shell.run(["live", "ls", "--names"]).ok();
    assert!(!names.contains(&key("two").to_string()) && names.lines().count() == 2, "{names}");
    let none = shell.run(["live", "gc", "--cap", "0"]).ok();
    assert!(none.starts_with("removed 0 results, evicted 2 results"), "{none}");
    assert_eq!(number(&shell), 0);
}

#[test]
fn a_size_that_is_none_is_refused() {
    let shell = Shell::new();
    for odd in ["", "much", "5MB", "-1", "1.5GiB"] {
        let ran = shell.run(["live", "gc", &format!("--cap={odd}")]);
        assert_eq!(ran.code(), 2, "{odd}");
        assert!(ran.errors().contains("a size is 1048576, 512KiB, 500MiB or 2GiB"), "{}", ran.errors());
    }
}

#[test]
fn what_cannot_be_read_is_a_failure_of_the_store() {
    let shell = Shell::new();
    fs::write(shell.path("file"), "").unwrap();
    for line in [&["ls"][..], &["stats"], &["gc"], &["invalidate", "a"], &["why", "abcd"]] {
        let ran = shell.run(["live"].iter().chain(line).chain(&["--root", "file"]));
        assert_eq!((ran.code(), &*ran.text()), (6, ""), "{line:?}: {}", ran.errors());
        assert_eq!(ran.errors().lines().count(), 1);
    }
}
