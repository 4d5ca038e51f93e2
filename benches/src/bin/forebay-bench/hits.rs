//! Warm hits in Rust: `Reader` borrowed, shared and by key, and `Cache::read`, against caches in memory, LMDB,
//! bare files and the original's algorithm. One thread, 1,000 keys of 4 KiB in shuffled order.

use crate::Plan;
use crate::lmdb::{self, Lmdb};
use forebay::State;
use forebay_benches::fixture::{Fixture, SIZE, TTL, digest};
use forebay_benches::original::Original;
use forebay_benches::series::{Contest, timed};
use forebay_benches::{Outcome, bare};
use std::path::Path;
use std::sync::Arc;

/// Writes the fixture's values as files of their own.
pub fn plain_files(fixture: &Fixture, folder: &Path) -> Outcome<Vec<std::ffi::CString>> {
    forebay_benches::fixture::private_folder(&folder.join("bench"))?;
    let mut paths = Vec::new();
    for (key, value) in fixture.keys.iter().zip(&fixture.values) {
        let path = folder.join(format!("{key}.json"));
        std::fs::write(&path, value)?;
        paths.push(bare::c_path(&path)?);
    }
    Ok(paths)
}

/// Measures all of them in one contest.
pub fn run(plan: &Plan) -> Outcome<()> {
    let fixture = &Fixture::new();
    let cache = &fixture.fill(&plan.root.join("cache"))?;
    let env = &lmdb::open(&plan.root.join("lmdb"))?;
    let mut contest = Contest::new("hits", plan.rounds, plan.batch);
    add_forebay(&mut contest, fixture, cache);
    add_memory(&mut contest, fixture);
    add_lmdb(&mut contest, fixture, Lmdb::fill(fixture, env)?);
    add_files(&mut contest, fixture, &plan.root.join("plain"))?;
    contest.run()
}

fn add_forebay<'a>(contest: &mut Contest<'a>, fixture: &'a Fixture, cache: &'a forebay::Cache) {
    let (order, expected) = (&fixture.order, &fixture.expected);
    let sources: Vec<_> = fixture.keys.iter().map(|key| cache.source(key).ttl(TTL)).collect();

    let mut readers: Vec<_> = sources.iter().map(forebay::Source::reader).collect();
    contest.add("Reader, borrowed", 1_000, move |operations| {
        timed(operations, order, expected, |at| match readers[at].read() {
            Ok(read) if read.state == State::Fresh => read.data().map_or(0, digest),
            _ => 0,
        })
    });
    let readers: Vec<_> = sources.iter().map(forebay::Source::reader).collect();
    contest.add("Reader, shared guard", 1_000, move |operations| {
        timed(operations, order, expected, |at| match readers[at].load() {
            Ok(read) if read.state == State::Fresh => read.data().map_or(0, digest),
            _ => 0,
        })
    });
    let readers = forebay_benches::fixture::readers(cache);
    contest.add("Readers by key, owned", 1_000, move |operations| {
        timed(operations, order, expected, |at| match readers.get(&fixture.keys[at]) {
            Ok(value) if value.is_fresh() => value.data().map_or(0, digest),
            _ => 0,
        })
    });
    contest.add("Cache::read", 1_000, move |operations| {
        timed(operations, order, expected, |at| match sources[at].read() {
            Ok(value) if value.is_fresh() => value.data().map_or(0, digest),
            _ => 0,
        })
    });
}

fn add_memory<'a>(contest: &mut Contest<'a>, fixture: &'a Fixture) {
    let (order, expected) = (&fixture.order, &fixture.expected);
    let pairs = || fixture.keys.iter().cloned().zip(fixture.values.iter().map(|value| Arc::from(&value[..])));

    let moka: moka::sync::Cache<String, Arc<[u8]>> =
        moka::sync::Cache::builder().max_capacity(10_000).time_to_live(TTL).build();
    pairs().for_each(|(key, value)| moka.insert(key, value));
    moka.run_pending_tasks();
    contest.add("moka get", 1_000, move |operations| {
        timed(operations, order, expected, |at| {
            moka.get(fixture.keys[at].as_str()).map_or(0, |value| digest(&value))
        })
    });

    let quick: quick_cache::sync::Cache<String, Arc<[u8]>> = quick_cache::sync::Cache::new(10_000);
    pairs().for_each(|(key, value)| quick.insert(key, value));
    contest.add("quick_cache get", 1_000, move |operations| {
        timed(operations, order, expected, |at| {
            quick.get(fixture.keys[at].as_str()).map_or(0, |value| digest(&value))
        })
    });
}

fn add_lmdb<'a>(contest: &mut Contest<'a>, fixture: &'a Fixture, lmdb: Lmdb<'a>) {
    let (order, expected) = (&fixture.order, &fixture.expected);
    contest.add("LMDB get, owned", 1_000, move |operations| {
        timed(operations, order, expected, |at| match lmdb.owned(&fixture.keys[at]) {
            Ok(Some(value)) => digest(&value),
            _ => 0,
        })
    });
    contest.add("LMDB get, within the transaction", 1_000, move |operations| {
        timed(operations, order, expected, |at| lmdb.look(&fixture.keys[at], digest).unwrap_or(0))
    });
}

fn add_files<'a>(contest: &mut Contest<'a>, fixture: &'a Fixture, folder: &Path) -> Outcome<()> {
    let (order, expected) = (&fixture.order, &fixture.expected);
    let paths = plain_files(fixture, folder)?;
    let mut buffer = vec![0u8; SIZE];
    contest.add("open + fstat + read + close", 1_000, move |operations| {
        timed(operations, order, expected, |at| {
            bare::read_file(&paths[at], &mut buffer).map_or(0, |length| digest(&buffer[..length]))
        })
    });
    let originals: Vec<_> = fixture
        .keys
        .iter()
        .map(|key| key.split_once('/').unwrap_or_default())
        .map(|(tier, name)| Original::new(folder, tier, name))
        .collect();
    contest.add("the original's stat + read", 1_000, move |operations| {
        timed(operations, order, expected, |at| match originals[at].read(TTL) {
            Ok(Some(found)) if found.fresh => digest(&found.data),
            _ => 0,
        })
    });
    Ok(())
}
