//! Every operation is killed just before each of its system calls, by a crash point in the real system layer;
//! then what the dead process left is judged, and healed by the next one. The number of calls is not written
//! down: each walk goes on until a run survives.
//!
//! What must hold after each death: the value is a whole one, and never older than what was acknowledged;
//! nothing is damaged; the next refresh succeeds at once; after it and a prune no litter is left.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod common;

use common::{ENDLESS, KEY, act, files, folder, heals, open, text};
use forebay::{AcquireOptions, Acquired, Commit};
use std::path::Path;

/// A crash point, and the rule that the process breaks on purpose, if any.
fn crash(at: u32, rule: Option<&str>) -> Vec<(&'static str, String)> {
    let rule = rule.map(|rule| ("FOREBAY_BREAK", rule.to_owned()));
    [("FOREBAY_CRASH_AT", at.to_string())].into_iter().chain(rule).collect()
}

struct Operation {
    name: &'static str,
    script: &'static [&'static str],
    /// What may be read after a death: the old value, and these.
    may_read: &'static [Option<&'static str>],
    /// What must be read once the last line was answered.
    must_read: Option<&'static str>,
}

const OPERATIONS: [Operation; 8] = [
    Operation {
        name: "complete",
        script: &["acquire api/models", "complete new"],
        may_read: &[Some("new")],
        must_read: Some("new"),
    },
    Operation {
        name: "unchanged",
        script: &["acquire api/models", "unchanged"],
        may_read: &[],
        must_read: Some("old"),
    },
    Operation {
        name: "fail",
        script: &["acquire api/models", "fail io no"],
        may_read: &[],
        must_read: Some("old"),
    },
    Operation {
        name: "renew",
        script: &["acquire api/models", "renew 5000", "complete new"],
        may_read: &[Some("new")],
        must_read: Some("new"),
    },
    Operation {
        name: "put",
        script: &["put api/models new"],
        may_read: &[Some("new")],
        must_read: Some("new"),
    },
    Operation {
        name: "put during a refresh",
        script: &["acquire api/models", "put api/models new", "complete late"],
        may_read: &[Some("new")],
        must_read: Some("new"),
    },
    Operation {
        name: "mark_stale",
        script: &["acquire api/models", "mark_stale api/models", "complete new"],
        may_read: &[Some("new")],
        must_read: Some("new"),
    },
    Operation { name: "remove", script: &["remove api/models"], may_read: &[None], must_read: None },
];

/// Kills the operation at each of its calls and judges what is left; how many deaths it took.
fn walk(operation: &Operation, rule: Option<&str>) -> u32 {
    for at in 1..ENDLESS {
        let folder = folder();
        let root = folder.path().join("root");
        let before = open(&root);
        before.source(KEY).put("old", &Commit::default()).unwrap();
        let reader = before.source(KEY).reader();
        reader.value().unwrap();
        let (answers, survived) = act(&root, operation.script, &crash(at, rule));
        let context = format!("{} killed at call {at}, after {answers:?}", operation.name);
        let by_tag = reader.value().unwrap();
        let found = text(&open(&root));
        let by_tag = by_tag.data().map(|data| String::from_utf8(data.to_vec()).unwrap());
        assert_eq!(by_tag, found, "{context}: a reader that trusts the table sees something else");
        if answers.len() == operation.script.len() {
            assert_eq!(found.as_deref(), operation.must_read, "{context}");
        } else {
            let mut allowed = operation.may_read.iter().copied().chain([Some("old")]);
            assert!(allowed.any(|may| may == found.as_deref()), "{context}: read {found:?}");
        }
        heals(&root, &context);
        if survived {
            return at - 1;
        }
    }
    panic!("{}: no run survived", operation.name);
}

#[test]
fn d29_each_operation_killed_at_each_system_call_loses_nothing_and_blocks_nobody() {
    for operation in &OPERATIONS {
        let deaths = walk(operation, None);
        assert!(deaths > 5, "{}: {deaths} deaths", operation.name);
    }
}

/// Negative controls: with the rule broken the same walk must find something, else it would find nothing ever.
#[test]
fn the_walk_notices_a_value_before_its_meta_and_a_slot_that_is_never_odd() {
    for rule in ["value-before-meta", "no-odd"] {
        let walked = std::panic::catch_unwind(|| walk(&OPERATIONS[0], Some(rule)));
        assert!(walked.is_err(), "{rule} was not noticed");
    }
}

#[test]
fn d9_a_root_whose_maker_died_at_any_call_can_be_used() {
    for at in 1..ENDLESS {
        let folder = folder();
        let root = folder.path().join("root");
        let (answers, survived) = act(&root, &["put api/models new"], &crash(at, None));
        let found = text(&open(&root));
        assert!(found.is_none() || found.as_deref() == Some("new"), "{at}: {found:?} after {answers:?}");
        heals(&root, &format!("a new root, killed at call {at}"));
        if survived {
            return;
        }
    }
    panic!("no run survived");
}

/// The second death: whoever settles what a dead holder left dies too, at each of its calls.
#[test]
fn s3_a_settler_killed_at_each_call_loses_nothing_that_was_whole() {
    settle_walk(None);
}

#[test]
fn the_walk_notices_a_settler_that_settles_nothing() {
    let walked = std::panic::catch_unwind(|| settle_walk(Some("no-settle")));
    assert!(walked.is_err(), "a settler that throws whole results away was not noticed");
}

fn settle_walk(rule: Option<&str>) {
    let mut whole = 0;
    for first in 1..ENDLESS {
        let folder = folder();
        let model = folder.path().join("model");
        open(&model).source(KEY).put("old", &Commit::default()).unwrap();
        let (_, survived) = act(&model, &["acquire api/models", "complete new"], &crash(first, None));
        if survived {
            break;
        }
        if !files(&model).iter().any(|name| name == "models.refreshing") {
            continue;
        }
        // With meta in its place, under its temporary or its own name, the result is whole and must survive.
        let result =
            files(&model).iter().any(|name| name.starts_with(".models.meta.") && !name.ends_with(".new"));
        whole += usize::from(result);
        for second in 1..ENDLESS {
            let root = folder.path().join(format!("root{second}"));
            std::fs::create_dir(&root).unwrap();
            copy_hard(&model, &root);
            let (_, survived) = act(&root, &["acquire api/models"], &crash(second, rule));
            let context = format!("holder killed at call {first}, settler at call {second}");
            let cache = open(&root);
            let found = text(&cache);
            assert!(matches!(found.as_deref(), Some("old" | "new")), "{context}: {found:?}");
            // The next one settles what is left, and then finds the whole result.
            if let Acquired::Ticket(ticket) = cache
                .source(KEY)
                .acquire(&AcquireOptions { override_gate: true, ..Default::default() })
                .unwrap()
            {
                let settled = ticket.previous().map(|entry| String::from_utf8(entry.data.to_vec()).unwrap());
                if result {
                    assert_eq!(settled.as_deref(), Some("new"), "{context}: a whole result was lost");
                }
            }
            heals(&root, &context);
            if survived {
                break;
            }
        }
    }
    assert!(whole > 0, "no death left a whole result: the test tries nothing");
}

/// Copies a root so that inodes stay: records name them.
fn copy_hard(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_hard(&entry.path(), &target);
        } else if entry.file_name() == "generations" {
            std::fs::copy(entry.path(), &target).unwrap();
        } else {
            std::fs::hard_link(entry.path(), &target).unwrap();
        }
    }
    let mode = std::fs::metadata(from).unwrap().permissions();
    std::fs::set_permissions(to, mode).unwrap();
}
