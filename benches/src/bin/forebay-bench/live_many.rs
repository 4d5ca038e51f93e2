//! Many derived results (`--size`): opening the cache and looking for one as the first thing that a new process does,
//! against the original, which reads every record; and ending 10,000 results that are built on one file, directly, in
//! a tree, and in chains: until none of them can hit, as another handle sees it, and until their space is free and
//! their number known, against the original's walk and unlinks.

use crate::Plan;
use forebay::{Cache, Durability, Input, Live, LiveKey};
use forebay_benches::bare;
use forebay_benches::children::worker;
use forebay_benches::fixture::{open, private_folder};
use forebay_benches::original_live::OriginalLive;
use forebay_benches::series::{print_fact, print_series};
use forebay_benches::{Outcome, check};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

const DEPENDENTS: usize = 10_000;
const SIZE: usize = 256;

/// How the dependents hang together: which one each is built on; none: on the file.
const SHAPES: [(&str, fn(usize) -> Option<usize>); 3] = [
    ("direct", |_| None),
    ("tree", |at| at.checked_sub(100).map(|at| at / 10)),
    ("chains", |at| at.checked_sub(100)),
];

/// Both stores, filled.
struct Many {
    cache: Cache,
    live: Live,
    root: PathBuf,
    originals: PathBuf,
    input: PathBuf,
}

/// Measures all of it.
pub fn run(plan: &Plan) -> Outcome<()> {
    check(plan.size >= DEPENDENTS, || format!("--size {DEPENDENTS} at least"))?;
    let many = Many::new(plan)?;
    print_fact("live-many: entries", plan.size);
    print_fact("live-many: dependents", DEPENDENTS);
    // Nothing of this process must be at hand for those that are started.
    many.first_lookups(plan.rounds.max(10))?;
    let mut originals = OriginalLive::open(&many.originals)?;
    for (shape, built_on) in SHAPES {
        let (mut ended, mut freed, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..plan.rounds {
            let (none_hits, all_free) = many.end(shape, round, built_on)?;
            ended.push(none_hits);
            freed.push(all_free);
            // Thousands of files to be made anew for each: a few must do.
            if round < plan.rounds.min(3) {
                theirs.push(many.end_originals(&mut originals, shape, built_on)?);
            }
        }
        let group = format!("live-many: {shape}");
        print_series(&group, "ns", json!({"none hits": ended, "all free": freed, "the original": theirs}));
    }
    Ok(())
}

fn key_of(name: &str) -> LiveKey {
    LiveKey::from_bytes(name.as_bytes())
}

fn bytes_of(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(SIZE, b'.');
    bytes
}

fn name(number: usize) -> String {
    format!("entry {number}")
}

impl Many {
    /// Filled with `size` results less those that are to be ended, unless an earlier run did so.
    fn new(plan: &Plan) -> Outcome<Many> {
        let place = plan.root.join(plan.size.to_string());
        let (root, originals, input) = (place.join("cache"), place.join("original"), place.join("input"));
        let rest = plan.size - DEPENDENTS;
        let done = place.join("filled");
        private_folder(&place)?;
        let is_whole = |live: &Live| {
            let found = |number| live.lookup(&key_of(&name(number))).ok().and_then(forebay::Lookup::hit);
            done.exists() && [0, rest / 2, rest - 1].into_iter().all(|number| found(number).is_some())
        };
        let mut cache = open(&root, Durability::None)?;
        if !is_whole(&cache.live()?) {
            cache.close(None)?;
            drop(cache);
            std::fs::remove_dir_all(&place)?;
            private_folder(&place)?;
            cache = open(&root, Durability::None)?;
            fill(&cache.live()?, &originals, rest)?;
            std::fs::write(&done, "")?;
        }
        std::fs::write(&input, "what all are built on")?;
        let live = cache.live()?.workspace(&place)?;
        Ok(Many { cache, live, root, originals, input })
    }

    fn first_lookups(&self, rounds: usize) -> Outcome<()> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let key = key_of(&name(round * 7)).to_string();
            ours.push(once("live-open", &self.root, &key)?);
            if round < rounds.min(10) {
                theirs.push(once("original-live-open", &self.originals, &key)?);
            }
        }
        let series = json!({"open + first look-up": ours, "the original's": theirs});
        print_series("live-many", "ns", series);
        Ok(())
    }

    /// Keeps the dependents, ends them, and says how long it took until none could hit, and until all was done.
    fn end(&self, shape: &str, round: usize, built_on: fn(usize) -> Option<usize>) -> Outcome<(f64, f64)> {
        let before = self.live.total_bytes()?;
        let keys: Vec<LiveKey> = (0..DEPENDENTS).map(|at| key_of(&format!("{shape} {round} {at}"))).collect();
        for (at, key) in keys.iter().enumerate() {
            let data = bytes_of(&format!("{shape} {at}"));
            match built_on(at) {
                None => self.live.persist(key, &data, "bench", &[Input::File(self.input.clone())])?,
                Some(upstream) => {
                    self.live.persist_with_upstreams(key, &data, "bench", &[], &keys[upstream..=upstream])?
                }
            };
        }
        let direct = (0..DEPENDENTS).filter(|at| built_on(*at).is_none()).count();
        check(self.live.total_bytes()? == before + (DEPENDENTS * SIZE) as u64, || {
            "not all were kept".into()
        })?;
        let watcher = self.cache.live()?;
        let going = AtomicBool::new(false);
        let (start, end, none_hits, count) = std::thread::scope(|scope| -> Outcome<_> {
            let watching = scope.spawn(|| until_none_hits(&watcher, &keys, &going));
            while !going.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            let start = bare::now();
            let count = self.live.invalidate_path(&self.input);
            let end = bare::now();
            let none_hits = watching.join().map_err(|_| "the watcher panicked")??;
            Ok((start, end, none_hits, count?))
        })?;
        check(count == direct as u64, || format!("{count} were said to have ended instead of {direct}"))?;
        check(self.live.total_bytes()? == before, || "their space is not free".to_owned())?;
        Ok(((none_hits - start) as f64, (end - start) as f64))
    }

    /// The same with the original's store, until its call returns: only then are all gone.
    fn end_originals(
        &self,
        originals: &mut OriginalLive,
        shape: &str,
        built_on: fn(usize) -> Option<usize>,
    ) -> Outcome<f64> {
        let before = originals.len();
        let keys: Vec<String> =
            (0..DEPENDENTS).map(|at| key_of(&format!("{shape} {at}")).to_string()).collect();
        for (at, key) in keys.iter().enumerate() {
            let data = bytes_of(&format!("{shape} {at}"));
            match built_on(at) {
                None => originals.persist(key, &data, &[&self.input], &[])?,
                Some(upstream) => originals.persist(key, &data, &[], &keys[upstream..=upstream])?,
            }
        }
        let direct = (0..DEPENDENTS).filter(|at| built_on(*at).is_none()).count();
        let start = bare::now();
        let count = originals.invalidate_path(&self.input)?;
        let end = bare::now();
        check(count == direct && originals.len() == before, || "the original did not end all".to_owned())?;
        Ok((end - start) as f64)
    }
}

/// The instant at which the first look finds that the last of them does not hold; none of the others may, then.
fn until_none_hits(watcher: &Live, keys: &[LiveKey], going: &AtomicBool) -> Outcome<i64> {
    let hits = |key: &LiveKey| -> Outcome<bool> { Ok(watcher.lookup(key)?.hit().is_some()) };
    let last = &keys[keys.len() - 1];
    check(hits(last)?, || "the last one was no hit before".to_owned())?;
    going.store(true, Ordering::Release);
    while hits(last)? {}
    let at = bare::now();
    for key in keys {
        check(!hits(key)?, || format!("{key} hits although {last} does not hold"))?;
    }
    Ok(at)
}

fn fill(live: &Live, originals: &Path, count: usize) -> Outcome<()> {
    let mut theirs = OriginalLive::open(originals)?;
    for number in 0..count {
        let (key, data) = (key_of(&name(number)), bytes_of(&name(number)));
        live.persist(&key, &data, "bench", &[Input::Tag(format!("group {}", number % 1_000))])?;
        theirs.persist(&key.to_string(), &data, &[], &[])?;
    }
    check(live.entry_count()? == count as u64 && theirs.len() == count, || "not all were kept".to_owned())
}

/// Runs the worker once; it prints the nanoseconds and how many bytes it found.
fn once(role: &str, root: &Path, key: &str) -> Outcome<f64> {
    let output = Command::new(worker()?).arg(role).arg(root).arg(key).output()?;
    let text = String::from_utf8(output.stdout)?;
    let (nanos, bytes) = text.trim().split_once(' ').ok_or("the worker printed no figure")?;
    check(output.status.success() && bytes.parse::<usize>()? == SIZE, || {
        format!("{role} of {key} found {bytes} bytes instead of {SIZE}")
    })?;
    Ok(nanos.parse()?)
}
