//! Opening a cache and reading one value as the first thing that a new process does, against reading a plain
//! file there, and with 100,000 entries against 1,000. The process itself measures, so that its own start, the
//! same for both, hides nothing.

use crate::Plan;
use forebay::{Commit, Durability};
use forebay_benches::children::worker;
use forebay_benches::fixture::{Fixture, TTL, open};
use forebay_benches::series::print_series;
use forebay_benches::{Outcome, check};
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// open + first read, and a plain read.
pub fn first_read(plan: &Plan) -> Outcome<()> {
    let fixture = Fixture::new();
    let (root, plain) = (plan.root.join("cache"), plan.root.join("plain"));
    let _ = fixture.fill(&root)?;
    crate::hits::plain_files(&fixture, &plain)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        let key = &fixture.keys[(round * 7) % fixture.keys.len()];
        let file = plain.join(format!("{key}.json"));
        let mut pair = [("open", &root, key.as_str()), ("plain", &file, "-")];
        if round % 2 == 1 {
            pair.reverse();
        }
        for (role, path, key) in pair {
            let nanos = once(role, path, key, forebay_benches::fixture::SIZE)?;
            if role == "open" { ours.push(nanos) } else { theirs.push(nanos) }
        }
    }
    print_series("open", "ns", json!({"open + first read": ours, "plain file read": theirs}));
    Ok(())
}

/// The same at 1,000 entries and at `--size`.
pub fn many_entries(plan: &Plan) -> Outcome<()> {
    let (few, many) = (plan.root.join("few"), plan.root.join("many"));
    fill(&few, 1_000)?;
    fill(&many, plan.size)?;
    let (mut with_few, mut with_many) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        let number = (round * 7) % 1_000;
        let (key, size) = (name(number), number.to_string().len());
        let mut pair = [(&few, true), (&many, false)];
        if round % 2 == 1 {
            pair.reverse();
        }
        for (root, is_few) in pair {
            let nanos = once("open", root, &key, size)?;
            if is_few { with_few.push(nanos) } else { with_many.push(nanos) }
        }
    }
    print_series("many", "ns", json!({"1,000 entries": with_few, "many entries": with_many}));
    forebay_benches::series::print_fact("many: entries", plan.size);
    Ok(())
}

fn name(number: usize) -> String {
    format!("many/entry-{number:06}")
}

/// Fills a root, unless an earlier run did so: 100,000 entries take a while to write.
fn fill(root: &Path, entries: usize) -> Outcome<()> {
    let done = root.with_extension(format!("filled-with-{entries}"));
    if done.exists() {
        return Ok(());
    }
    let cache = open(root, Durability::None)?;
    for number in 0..entries {
        cache.source(&name(number)).ttl(TTL).put(number.to_string().into_bytes(), &Commit::default())?;
    }
    let found = std::fs::read_dir(root.join("many"))?
        .filter(|entry| {
            entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|e| e == "json"))
        })
        .count();
    check(found == entries, || format!("{found} values are there instead of {entries}"))?;
    std::fs::write(done, "")?;
    Ok(())
}

/// Runs the worker once; it prints the nanoseconds and how many bytes it read.
fn once(role: &str, path: &Path, key: &str, size: usize) -> Outcome<f64> {
    let output = Command::new(worker()?).arg(role).arg(path).arg(key).output()?;
    let text = String::from_utf8(output.stdout)?;
    let (nanos, bytes) = text.trim().split_once(' ').ok_or("the worker printed no figure")?;
    check(output.status.success() && bytes.parse::<usize>()? == size, || {
        format!("{role} of {key} read {bytes} bytes instead of {size}")
    })?;
    Ok(nanos.parse()?)
}
