//! Hits of derived results: without a look at their inputs, against a source's hit by key; and with one, against the
//! bare stats of the same files, and against hashing them as the original does. One thread, 1,000 results of 4 KiB
//! without inputs, and 100 results of 1 and of 10 files of 4 KiB that do not change.

use crate::Plan;
use forebay::{Input, Live, LiveKey};
use forebay_benches::bare;
use forebay_benches::fixture::{self, Fixture, digest};
use forebay_benches::original_live::OriginalLive;
use forebay_benches::series::{Contest, timed};
use forebay_benches::{Outcome, check};
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::Duration;

const RESULTS: usize = 100;
/// Longer than the time step of any file system that keeps parts of a second: the numbers of older files speak for
/// their content.
const OLDER: Duration = Duration::from_millis(100);

/// Some results, each of so many files.
struct Watched {
    keys: Vec<LiveKey>,
    files: Vec<Vec<PathBuf>>,
    order: Vec<usize>,
    expected: Vec<u64>,
}

/// Measures all of them in one contest.
pub fn run(plan: &Plan) -> Outcome<()> {
    let fixture = &Fixture::new();
    let cache = fixture.fill(&plan.root.join("cache"))?;
    let folder = plan.root.join("files");
    fixture::private_folder(&folder)?;
    write_files(fixture, &folder)?;
    std::thread::sleep(OLDER);
    let live = &cache.live()?.workspace(&folder)?;
    let mut originals = OriginalLive::open(&plan.root.join("original"))?;
    let keys = keep_all(fixture, live)?;
    let one = watched(fixture, live, &mut originals, &folder, 1)?;
    let ten = watched(fixture, live, &mut originals, &folder, 10)?;
    let mut contest = Contest::new("live-hits", plan.rounds, plan.batch);
    let readers = fixture::readers(&cache);
    contest.add("Readers by key, owned", 1_000, move |operations| {
        timed(operations, &fixture.order, &fixture.expected, |at| match readers.get(&fixture.keys[at]) {
            Ok(value) if value.is_fresh() => value.data().map_or(0, digest),
            _ => 0,
        })
    });
    contest.add("Live::lookup", 1_000, |operations| {
        timed(operations, &fixture.order, &fixture.expected, |at| look(live, &keys[at]))
    });
    let originals = &originals;
    add_watched(&mut contest, live, originals, "1 file", &one)?;
    add_watched(&mut contest, live, originals, "10 files", &ten)?;
    contest.run()
}

fn look(live: &Live, key: &LiveKey) -> u64 {
    live.lookup(key).ok().and_then(forebay::Lookup::hit).map_or(0, |derived| digest(derived.data()))
}

fn write_files(fixture: &Fixture, folder: &Path) -> Outcome<()> {
    for (at, value) in fixture.values.iter().enumerate() {
        std::fs::write(folder.join(format!("input-{at:04}")), value)?;
    }
    Ok(())
}

fn keep_all(fixture: &Fixture, live: &Live) -> Outcome<Vec<LiveKey>> {
    let mut keys = Vec::new();
    for (name, value) in fixture.keys.iter().zip(&fixture.values) {
        let key = LiveKey::from_bytes(name.as_bytes());
        live.persist(&key, value, "bench", &[])?;
        keys.push(key);
    }
    for (at, key) in keys.iter().enumerate() {
        check(look(live, key) == fixture.expected[at], || format!("{} was not kept", fixture.keys[at]))?;
    }
    Ok(keys)
}

fn watched(
    fixture: &Fixture,
    live: &Live,
    originals: &mut OriginalLive,
    folder: &Path,
    files: usize,
) -> Outcome<Watched> {
    let mut all =
        Watched { keys: Vec::new(), files: Vec::new(), order: (0..RESULTS).collect(), expected: Vec::new() };
    forebay_benches::series::Random::new(files as u64).shuffle(&mut all.order);
    for at in 0..RESULTS {
        let key = LiveKey::from_bytes(format!("{files} files, result {at}").as_bytes());
        let paths: Vec<PathBuf> =
            (0..files).map(|number| folder.join(format!("input-{:04}", at * files + number))).collect();
        let inputs: Vec<Input> = paths.iter().cloned().map(Input::File).collect();
        live.persist(&key, &fixture.values[at], "bench", &inputs)?;
        let borrowed: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        originals.persist(&key.to_string(), &fixture.values[at], &borrowed, &[])?;
        all.keys.push(key);
        all.files.push(paths);
        all.expected.push(fixture.expected[at]);
    }
    // A result whose input is not there is no hit: that it looks is no assumption.
    let extra = folder.join("extra");
    std::fs::write(&extra, "there")?;
    let key = LiveKey::from_bytes(b"extra");
    live.persist(&key, b"extra", "bench", &[Input::File(extra.clone())])?;
    check(live.lookup_revalidate(&key)?.hit().is_some(), || "an unchanged input was a miss".to_owned())?;
    std::fs::write(&extra, "other")?;
    check(live.lookup_revalidate(&key)?.hit().is_none(), || "a changed input was a hit".to_owned())?;
    Ok(all)
}

fn add_watched<'a>(
    contest: &mut Contest<'a>,
    live: &'a Live,
    originals: &'a OriginalLive,
    what: &str,
    all: &'a Watched,
) -> Outcome<()> {
    let (order, expected) = (&all.order, &all.expected);
    contest.add(&format!("lookup_revalidate, {what}"), RESULTS, move |operations| {
        timed(operations, order, expected, |at| match live.lookup_revalidate(&all.keys[at]) {
            Ok(forebay::Lookup::Hit(derived)) => digest(derived.data()),
            _ => 0,
        })
    });
    let mut paths: Vec<Vec<CString>> = Vec::new();
    for files in &all.files {
        paths.push(files.iter().map(|path| bare::c_path(path)).collect::<Outcome<_>>()?);
    }
    contest.add(&format!("bare stats, {what}"), RESULTS, move |operations| {
        timed(operations, order, expected, |at| {
            let there = paths[at].iter().all(|path| bare::size(path) == Some(fixture::SIZE as u64));
            if there { expected[at] } else { 0 }
        })
    });
    let names: Vec<String> = all.keys.iter().map(LiveKey::to_string).collect();
    contest.add(&format!("the original's hashes, {what}"), RESULTS, move |operations| {
        timed(operations, order, expected, |at| match originals.lookup_revalidate(&names[at]) {
            Ok(Some(data)) => digest(&data),
            _ => 0,
        })
    });
    Ok(())
}
