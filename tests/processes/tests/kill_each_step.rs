//! Every operation is killed just before each of its system calls, by a crash point in the real system layer;
//! then what the dead process left is judged, and healed by the next one. The number of calls is not written
//! down: each walk goes on until a run survives.
//!
//! What must hold after each death: the value is a whole one, and never older than what was acknowledged;
//! nothing is damaged; the next refresh succeeds at once; after it and a prune no litter is left.

use forebay::{AcquireOptions, Acquired, Cache, CacheOptions, Code, Commit, State};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const KEY: &str = "api/models";
/// More calls than any operation makes.
const ENDLESS: u32 = 2000;

/// Runs the actor with a script and a crash point. Its answers, and whether it survived.
fn act(root: &Path, script: &[&str], crash_at: Option<u32>) -> (Vec<String>, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forebay-actor"));
    command.arg("--root").arg(root).arg("ready").stdin(Stdio::piped()).stdout(Stdio::piped());
    if let Some(at) = crash_at {
        command.env("FOREBAY_CRASH_AT", at.to_string());
    }
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for line in script {
        // A dead actor reads no more.
        let _ = writeln!(input, "{line}");
    }
    drop(input);
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    let survived = child.wait().unwrap().success();
    (output.lines().skip(1).map(str::to_owned).collect(), survived)
}

fn open(root: &Path) -> Cache {
    CacheOptions::new().root(root).sweep_age(Duration::ZERO).open().unwrap()
}

fn text(cache: &Cache) -> Option<String> {
    let value = cache.source(KEY).ttl(Duration::from_secs(3600)).read().unwrap();
    assert!(
        value.error.as_ref().is_none_or(|error| error.code() != Code::Damaged),
        "a death damaged the value: {:?}",
        value.error
    );
    value.data().map(|data| String::from_utf8(data.to_vec()).unwrap())
}

fn files(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root.join("api"))
        .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

/// The next process refreshes at once, and prune leaves nothing but the value and its description.
fn heals(root: &Path, context: &str) {
    let cache = open(root);
    let source = cache.source(KEY).ttl(Duration::from_secs(3600));
    let ticket = match source.acquire(&AcquireOptions { override_gate: true, ..Default::default() }).unwrap() {
        Acquired::Ticket(ticket) => ticket,
        other => panic!("{context}: the next one did not get the lease: {other:?}"),
    };
    ticket.complete("healed", &Commit::default()).unwrap();
    let value = source.read().unwrap();
    assert_eq!((value.data(), value.state), (Some(&b"healed"[..]), State::Fresh), "{context}");
    cache.prune(&[source.key().unwrap().clone()]).unwrap();
    assert_eq!(files(root), ["models.json", "models.meta"], "{context}: litter");
    let control = std::fs::read_dir(root.join(".forebay")).unwrap();
    let litter: Vec<_> = control.map(|e| e.unwrap().file_name()).filter(|n| n.to_string_lossy().starts_with('.')).collect();
    // What a death while a root was being set up leaves is not a key's, and small; it is bounded by that death.
    assert!(litter.len() <= 2, "{context}: {litter:?}");
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
    Operation { name: "complete", script: &["acquire api/models", "complete new"], may_read: &[Some("new")], must_read: Some("new") },
    Operation { name: "unchanged", script: &["acquire api/models", "unchanged"], may_read: &[], must_read: Some("old") },
    Operation { name: "fail", script: &["acquire api/models", "fail io no"], may_read: &[], must_read: Some("old") },
    Operation { name: "renew", script: &["acquire api/models", "renew 5000", "complete new"], may_read: &[Some("new")], must_read: Some("new") },
    Operation { name: "put", script: &["put api/models new"], may_read: &[Some("new")], must_read: Some("new") },
    Operation { name: "put during a refresh", script: &["acquire api/models", "put api/models new", "complete late"], may_read: &[Some("new")], must_read: Some("new") },
    Operation { name: "mark_stale", script: &["acquire api/models", "mark_stale api/models", "complete new"], may_read: &[Some("new")], must_read: Some("new") },
    Operation { name: "remove", script: &["remove api/models"], may_read: &[None], must_read: None },
];

#[test]
fn d29_each_operation_killed_at_each_system_call_loses_nothing_and_blocks_nobody() {
    for operation in OPERATIONS {
        let mut deaths = 0;
        for at in 1..ENDLESS {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("root");
            open(&root).source(KEY).put("old", &Commit::default()).unwrap();
            let (answers, survived) = act(&root, operation.script, Some(at));
            let context = format!("{} killed at call {at}, after {answers:?}", operation.name);
            let found = text(&open(&root));
            let done = answers.len() == operation.script.len();
            if done {
                assert_eq!(found.as_deref(), operation.must_read, "{context}");
            } else {
                let allowed = operation.may_read.iter().copied().chain([Some("old")]);
                assert!(allowed.into_iter().any(|may| may == found.as_deref()), "{context}: read {found:?}");
            }
            heals(&root, &context);
            if survived {
                break;
            }
            deaths += 1;
        }
        assert!(deaths > 5 && deaths + 2 < ENDLESS, "{}: {deaths} deaths", operation.name);
    }
}

#[test]
fn d9_a_root_whose_maker_died_at_any_call_can_be_used() {
    for at in 1..ENDLESS {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let (answers, survived) = act(&root, &["put api/models new"], Some(at));
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
    let mut whole = 0;
    for first in 1..ENDLESS {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model");
        open(&model).source(KEY).put("old", &Commit::default()).unwrap();
        let (_, survived) = act(&model, &["acquire api/models", "complete new"], Some(first));
        if survived {
            break;
        }
        if !files(&model).iter().any(|name| name == "models.refreshing") {
            continue;
        }
        // With meta in its place, under its temporary or its own name, the result is whole and must survive.
        let result = files(&model).iter().any(|name| name.starts_with(".models.meta.") && !name.ends_with(".new"));
        whole += usize::from(result);
        for second in 1..ENDLESS {
            let root = folder.path().join(format!("root{second}"));
            std::fs::create_dir(&root).unwrap();
            copy_hard(&model, &root);
            let (_, survived) = act(&root, &["acquire api/models"], Some(second));
            let context = format!("holder killed at call {first}, settler at call {second}");
            let cache = open(&root);
            let found = text(&cache);
            assert!(matches!(found.as_deref(), Some("old" | "new")), "{context}: {found:?}");
            // The next one settles what is left, and then finds the whole result.
            if let Acquired::Ticket(ticket) =
                cache.source(KEY).acquire(&AcquireOptions { override_gate: true, ..Default::default() }).unwrap()
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
