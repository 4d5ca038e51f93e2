//! Power cuts: what an operation does to its files is recorded, played on a model of a disk, and the power is cut
//! after each step. Each disk that may be left is made real, opened as after a reboot, and held against the promise
//! of its durability (docs/what-happens-when.md).
//!
//! What was true at each step is not written down by hand: it is what a reader sees of the live files there. `full`:
//! what a call had acknowledged, and what the end of a lease had shown to anyone, is there, or the next acquire
//! brings it back. `data`: something that was true at some time, never damaged. `none`: that, or damage which is
//! noticed. After all of them the next process refreshes at once, and no litter stays.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod common;

use common::{KEY, act_with, files, folder, open};
use forebay::{AcquireOptions, Acquired, Code, Commit, Durability, State};
use forebay_processes::power::walk::{Found, Run};
use std::path::Path;
use std::time::Duration;

/// What one who looks is told.
#[derive(Clone, PartialEq, Eq, Debug)]
struct View {
    data: Option<String>,
    token: Option<u64>,
    fresh: bool,
    gate: Option<Code>,
    damaged: bool,
}

impl View {
    /// `top`: the folder that holds the root.
    fn of(top: &Path) -> View {
        let source = open(&top.join("root")).source(KEY).ttl(Duration::from_secs(3600));
        let value = source.read().unwrap();
        View {
            data: value.data().map(|data| String::from_utf8_lossy(data).into_owned()),
            token: value.entry.as_ref().and_then(|entry| entry.token),
            fresh: value.state == State::Fresh,
            gate: source.refresh_state().unwrap().last_error.map(|error| error.code()),
            damaged: value.error.is_some_and(|error| error.code() == Code::Damaged),
        }
    }

    fn is_same_value(&self, other: &View) -> bool {
        (&self.data, self.token) == (&other.data, other.token)
    }
}

/// What is there before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Value,
    /// A root with another tier in it.
    OtherTier,
    Nothing,
    /// What a holder left that was killed at its n-th call, in the middle of committing.
    Killed(u32),
}

struct Operation {
    name: &'static str,
    before: Before,
    script: &'static [&'static str],
    /// Whether what anyone saw must stay, not only what was acknowledged: what a lease brought, which another
    /// process can finish.
    seen_stays: bool,
}

const fn of(name: &'static str, script: &'static [&'static str], seen_stays: bool) -> Operation {
    Operation { name, before: Before::Value, script, seen_stays }
}

const fn beginning(name: &'static str, before: Before, script: &'static [&'static str]) -> Operation {
    Operation { name, before, script, seen_stays: false }
}

const COMPLETE: &[&str] = &["acquire api/models", "complete v1"];
const OPERATIONS: [Operation; 13] = [
    of("put twice", &["put api/models v1", "put api/models v2"], false),
    of("complete", COMPLETE, true),
    of("complete twice", &["acquire api/models", "complete v1", "acquire api/models", "complete v2"], true),
    of("unchanged", &["acquire api/models", "unchanged"], false),
    of("fail", &["acquire api/models", "fail io no"], false),
    of("mark_stale", &["mark_stale api/models"], false),
    of("mark_stale in a refresh", &["acquire api/models", "mark_stale api/models", "complete v1"], false),
    of("put in a refresh", &["acquire api/models", "put api/models v1", "complete late"], false),
    of("renew", &["acquire api/models", "renew 5000", "complete v1"], true),
    of("remove", &["remove api/models"], false),
    beginning("complete in a new tier", Before::OtherTier, COMPLETE),
    beginning("put in a new tier", Before::OtherTier, &["put api/models v1"]),
    beginning("put in a new root", Before::Nothing, &["put api/models v1"]),
];

fn record(operation: &Operation, durability: Durability, rule: Option<&str>) -> Run {
    let folder = folder();
    let top = folder.path().join("top");
    std::fs::create_dir(&top).unwrap();
    let root = top.join("root");
    let put = |key: &str, text: &str| drop(open(&root).source(key).put(text, &Commit::default()).unwrap());
    match operation.before {
        Before::Nothing => {}
        Before::OtherTier => put("other/c", "c"),
        Before::Value => put(KEY, "old"),
        Before::Killed(at) => {
            put(KEY, "old");
            let crash = [("FOREBAY_CRASH_AT", at.to_string())];
            act_with(&root, &["--durability", durability.as_str()], COMPLETE, &crash);
        }
    }
    let tape = folder.path().join("tape");
    let mut faults = vec![
        ("FOREBAY_TAPE", tape.to_string_lossy().into_owned()),
        ("FOREBAY_BOOT_ID", "before the cut".to_owned()),
    ];
    faults.extend(rule.map(|rule| ("FOREBAY_BREAK", rule.to_owned())));
    let process = || {
        let options = ["--durability", durability.as_str()];
        let (answers, survived) = act_with(&root, &options, operation.script, &faults);
        assert!(survived && answers.len() == operation.script.len(), "{}: {answers:?}", operation.name);
    };
    Run::record(&top, &tape, process).unwrap()
}

/// What must hold after a cut.
struct Promise<'a> {
    durability: Durability,
    /// All that was true in this run.
    ever: &'a [View],
    /// What was true since the last call that had returned.
    acknowledged: &'a [View],
    /// What a reader may have seen last, and what came after it.
    seen: &'a [View],
    /// Names may be back in any order, as no file system that keeps a journal leaves them: then a value may be
    /// without its description, and what was only seen may be gone.
    out_of_order: bool,
}

impl Promise<'_> {
    fn is_full(&self) -> bool {
        self.durability == Durability::Full
    }

    /// What is read before anyone repairs.
    fn check_read(&self, found: &View) -> Result<(), String> {
        if found.damaged {
            let noticed = self.durability == Durability::None && found.data.is_none();
            return if noticed { Ok(()) } else { Err(format!("damaged: {found:?}")) };
        }
        if self.out_of_order && found.token.is_none() && found.data.is_some() {
            let whole = self.ever.iter().any(|view| view.data == found.data);
            return if whole { Ok(()) } else { Err(format!("read {found:?}, which never was")) };
        }
        if !self.ever.iter().any(|view| view.is_same_value(found)) {
            return Err(format!("read {found:?}, which never was"));
        }
        // What can be brought back may be read as it was before, until somebody acquires.
        let may_be_fresh = if self.is_full() && self.seen.iter().all(|view| !view.fresh) {
            self.acknowledged
        } else {
            self.ever
        };
        if found.fresh && !may_be_fresh.iter().any(|view| view.fresh && view.is_same_value(found)) {
            return Err(format!("read {found:?} as fresh"));
        }
        if self.is_full() && !self.acknowledged.iter().any(|view| view.gate == found.gate) {
            return Err(format!("the gate is {:?}", found.gate));
        }
        Ok(())
    }

    /// What is there once the next acquire has settled what was left.
    fn check_settled(&self, found: &View) -> Result<(), String> {
        let must = match (self.is_full(), self.out_of_order) {
            // What was damaged, and was read so, is in quarantine now.
            (false, _) if self.durability == Durability::None && found.data.is_none() => return Ok(()),
            (false, _) => return self.check_read(found),
            (true, true) => self.acknowledged,
            (true, false) => self.seen,
        };
        let foreign = self.out_of_order && found.token.is_none();
        let is_it = |view: &View| {
            foreign && view.data == found.data || view.is_same_value(found) && view.fresh == found.fresh
        };
        if must.iter().any(is_it) { Ok(()) } else { Err(format!("{found:?} is left of {:?}", must.first())) }
    }
}

/// The next process after the reboot: it settles, sees what there is, refreshes, and leaves no litter.
fn recover(top: &Path) -> Result<View, String> {
    let root = top.join("root");
    let cache = open(&root);
    let source = cache.source(KEY);
    let ask = AcquireOptions { override_gate: true, ..Default::default() };
    let ticket = match source.acquire(&ask).map_err(|error| format!("acquire: {error}"))? {
        Acquired::Ticket(ticket) => ticket,
        other => return Err(format!("the next one did not get the lease: {other:?}")),
    };
    let settled = View { gate: None, ..View::of(top) };
    if settled.damaged {
        return Err("damage is still there".to_owned());
    }
    ticket.complete("healed", &Commit::default()).map_err(|error| format!("complete: {error}"))?;
    let healed = View::of(top);
    if (healed.data.as_deref(), healed.fresh) != (Some("healed"), true) {
        return Err(format!("not healed: {healed:?}"));
    }
    cache.prune(&[source.key().unwrap().clone()]).map_err(|error| format!("prune: {error}"))?;
    let left = files(&root);
    if left == ["models.json", "models.meta"] { Ok(settled) } else { Err(format!("litter: {left:?}")) }
}

fn walk(operation: &Operation, durability: Durability, rule: Option<&str>) -> Found {
    let run = record(operation, durability, rule);
    let views = run.seen(View::of).unwrap();
    let acknowledged = |now| run.last_mark(now, |text| text.starts_with("answer"));
    let seen = |now| if operation.seen_stays { now } else { acknowledged(now) };
    let must = |now| (acknowledged(now), views[seen(now)].clone().token);
    run.walk(must, |now, cut, top| {
        if cut.out_of_order && durability != Durability::Full {
            return Ok(());
        }
        let promise = Promise {
            durability,
            ever: &views,
            acknowledged: &views[acknowledged(now)..],
            seen: &views[seen(now)..],
            out_of_order: cut.out_of_order,
        };
        promise.check_read(&View::of(top))?;
        promise.check_settled(&recover(top)?)
    })
    .unwrap()
}

/// Without `full` what counts is what bytes may be, and these operations write all that there is.
const FEW: [&str; 5] = ["put twice", "complete", "mark_stale in a refresh", "fail", "put in a new tier"];

fn all_hold(durability: Durability) {
    let all = durability == Durability::Full;
    for operation in OPERATIONS.iter().filter(|operation| all || FEW.contains(&operation.name)) {
        let found = walk(operation, durability, None);
        let name = operation.name;
        assert!(found.tried > 5, "{name}: {} disks", found.tried);
        assert!(
            found.wrong.is_empty(),
            "{name}, {durability:?}: {:#?}",
            &found.wrong[..found.wrong.len().min(5)]
        );
    }
}

#[test]
fn full_keeps_what_was_acknowledged_over_a_power_cut_at_each_step() {
    all_hold(Durability::Full);
}

#[test]
fn data_is_never_damaged_by_a_power_cut_at_any_step() {
    all_hold(Durability::Data);
}

#[test]
fn without_flushes_a_power_cut_at_any_step_leaves_old_new_or_noticed_damage() {
    all_hold(Durability::None);
}

/// The second cut: whoever settles what a dead holder had whole loses the power too.
#[test]
fn what_a_settler_finishes_stays_over_a_power_cut_at_each_step() {
    let mut settled = 0;
    for at in 1..common::ENDLESS {
        let operation = Operation {
            name: "settle",
            before: Before::Killed(at),
            script: &["acquire api/models --deadline 5000"],
            seen_stays: true,
        };
        let run = record(&operation, Durability::Full, None);
        let views = run.seen(View::of).unwrap();
        let (first, last) = (views.first().unwrap(), views.last().unwrap());
        if first.data.as_deref() == Some("v1") && last.is_same_value(first) {
            break;
        }
        if last.data.as_deref() != Some("v1") {
            continue;
        }
        settled += 1;
        let found = run
            .walk(
                |now| views[now].clone().token,
                |_, cut, top| {
                    let is_it = |view: &View| view.data.as_deref() == Some("v1");
                    match recover(top)? {
                        view if is_it(&view) || cut.out_of_order => Ok(()),
                        view => Err(format!("the whole result was lost: {view:?}")),
                    }
                },
            )
            .unwrap();
        assert!(
            found.wrong.is_empty(),
            "killed at call {at}: {:#?}",
            &found.wrong[..found.wrong.len().min(5)]
        );
    }
    assert!(settled > 0, "no death left a whole result: the test tries nothing");
}

/// Negative controls: with the flushes left out the same walk must find something, else it would find nothing ever.
#[test]
fn the_walk_notices_a_flush_that_is_left_out() {
    let noticed = |operation: usize, durability, rule| {
        !walk(&OPERATIONS[operation], durability, Some(rule)).wrong.is_empty()
    };
    for operation in [0, 1, 4, 5, 9] {
        let name = OPERATIONS[operation].name;
        assert!(noticed(operation, Durability::Full, "no-folder-flush"), "{name}: of the folder");
    }
    for operation in [0, 1] {
        let name = OPERATIONS[operation].name;
        assert!(noticed(operation, Durability::Data, "no-flush"), "{name}: of the files");
        assert!(noticed(operation, Durability::Full, "no-flush"), "{name}: of the files");
    }
}
