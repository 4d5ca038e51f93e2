//! Commits: `put`, and acquire + complete, against bare files and the original's steps. Every write has a new
//! content and goes over an old one. Contestants take turns, in short batches, and then each writes by itself
//! after the file system was flushed: what one leaves in the queue could burden the next.

use crate::Plan;
use forebay::{AcquireOptions, Acquired, Cache, Commit, Durability, Source};
use forebay_benches::bare::{Replaced, settle};
use forebay_benches::fixture::{SIZE, TTL, open, private_folder, value};
use forebay_benches::original::Original;
use forebay_benches::series::{Contest, print_fact};
use forebay_benches::{Outcome, check};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many keys are written in turn.
const KEYS: usize = 16;

/// `put`, durability none, against a temporary file and a rename over the old file, for two files.
pub fn commit_without_flush(plan: &Plan) -> Outcome<()> {
    let mut contest = Contest::new("commit-none", plan.rounds, plan.batch);
    let mut ours = Ours::new(plan, Durability::None)?;
    let meta = ours.meta_size()?;
    print_fact("commit: bytes of the meta file", meta);
    contest.add("put, none", 8, move |operations| ours.run(operations, Ours::put));
    let mut floor = Floor::new(plan, meta, false)?;
    contest.add("tmp + rename of two files", 8, move |operations| floor.run(operations));
    contest.run_alone_too(settle)
}

/// `put`, durability data, against the same with fdatasync.
pub fn commit_with_flush(plan: &Plan) -> Outcome<()> {
    let mut contest = Contest::new("commit-data", plan.rounds, plan.batch);
    let mut ours = Ours::new(plan, Durability::Data)?;
    let mut floor = Floor::new(plan, ours.meta_size()?, true)?;
    contest.add("put, data", 4, move |operations| ours.run(operations, Ours::put));
    contest.add("tmp + fdatasync + rename of two files", 4, move |operations| floor.run(operations));
    contest.run_alone_too(settle)
}

/// acquire + complete, durability none, against the original's claim and commit.
pub fn refresh_without_flush(plan: &Plan) -> Outcome<()> {
    let mut contest = Contest::new("refresh-none", plan.rounds, plan.batch);
    let mut ours = Ours::new(plan, Durability::None)?;
    let mut floor = Floor::new(plan, ours.meta_size()?, false)?;
    contest.add("acquire + complete, none", 8, move |operations| ours.run(operations, Ours::refresh));
    let mut theirs = Theirs::new(plan)?;
    contest.add("the original's claim + commit", 8, move |operations| theirs.run(operations));
    contest.add("tmp + rename of two files", 8, move |operations| floor.run(operations));
    contest.run_alone_too(settle)
}

/// acquire + complete, durability data, against two bare files with fdatasync.
pub fn refresh_with_flush(plan: &Plan) -> Outcome<()> {
    let mut contest = Contest::new("refresh-data", plan.rounds, plan.batch);
    let mut ours = Ours::new(plan, Durability::Data)?;
    let mut floor = Floor::new(plan, ours.meta_size()?, true)?;
    contest.add("acquire + complete, data", 4, move |operations| ours.run(operations, Ours::refresh));
    contest.add("tmp + fdatasync + rename of two files", 4, move |operations| floor.run(operations));
    contest.run_alone_too(settle)
}

/// A content that was never written before.
struct Contents {
    base: Vec<u8>,
    count: u64,
}

impl Contents {
    fn new() -> Self {
        Self { base: value(0), count: 0 }
    }

    fn next(&mut self) -> &[u8] {
        self.count += 1;
        self.base[SIZE - 12..SIZE - 4].copy_from_slice(&self.count.to_le_bytes());
        &self.base
    }
}

/// Times writes that cycle through the keys; then checks, untimed, that the last one is what is there.
fn cycle(
    operations: usize,
    contents: &mut Contents,
    mut write: impl FnMut(usize, &[u8]) -> Outcome<()>,
    read: impl Fn(usize) -> Outcome<Vec<u8>>,
) -> Outcome<Duration> {
    let start = Instant::now();
    for operation in 0..operations {
        write(operation % KEYS, contents.next())?;
    }
    let took = start.elapsed();
    let last = (operations - 1) % KEYS;
    check(read(last)? == contents.base, || format!("key {last} does not hold what was written last"))?;
    Ok(took)
}

struct Ours {
    root: PathBuf,
    sources: Vec<Source>,
    contents: Contents,
    _cache: Cache,
}

impl Ours {
    fn new(plan: &Plan, durability: Durability) -> Outcome<Self> {
        let root = plan.root.join(format!("cache-{}", durability.as_str()));
        let cache = open(&root, durability)?;
        let sources: Vec<_> = (0..KEYS).map(|at| cache.source(&name(at)).ttl(TTL)).collect();
        for source in &sources {
            source.put(value(0), &Commit::default())?;
        }
        Ok(Self { root, sources, contents: Contents::new(), _cache: cache })
    }

    fn meta_size(&self) -> Outcome<usize> {
        Ok(usize::try_from(std::fs::metadata(self.root.join(format!("{}.meta", name(0))))?.len())?)
    }

    fn run(&mut self, operations: usize, write: impl Fn(&Source, &[u8]) -> Outcome<()>) -> Outcome<Duration> {
        let sources = &self.sources;
        let read = |at: usize| Ok(sources[at].read()?.data().unwrap_or_default().to_vec());
        cycle(operations, &mut self.contents, |at, bytes| write(&sources[at], bytes), read)
    }

    fn put(source: &Source, bytes: &[u8]) -> Outcome<()> {
        source.put(bytes, &Commit::default())?;
        Ok(())
    }

    fn refresh(source: &Source, bytes: &[u8]) -> Outcome<()> {
        match source.acquire(&AcquireOptions::default())? {
            Acquired::Ticket(ticket) => {
                ticket.complete(bytes, &Commit::default())?;
                Ok(())
            }
            _ => Err("the lease was not to be had, though nobody holds it".into()),
        }
    }
}

/// The two files that a commit writes, without anything around them.
struct Floor {
    folder: PathBuf,
    files: Vec<(Replaced, Replaced)>,
    meta: Vec<u8>,
    flush: bool,
    contents: Contents,
}

impl Floor {
    fn new(plan: &Plan, meta: usize, flush: bool) -> Outcome<Self> {
        let folder = plan.root.join(if flush { "bare-data" } else { "bare-none" });
        private_folder(&folder.join("commit"))?;
        let mut files = Vec::new();
        for at in 0..KEYS {
            let pair = [folder.join(format!("{}.json", name(at))), folder.join(format!("{}.meta", name(at)))];
            for path in &pair {
                std::fs::write(path, value(0))?;
            }
            files.push((Replaced::new(&pair[0])?, Replaced::new(&pair[1])?));
        }
        Ok(Self { folder, files, meta: vec![b'm'; meta], flush, contents: Contents::new() })
    }

    fn run(&mut self, operations: usize) -> Outcome<Duration> {
        let Self { folder, files, meta, flush, contents } = self;
        let write = |at: usize, bytes: &[u8]| {
            let (value, about) = &files[at];
            meta[..8].copy_from_slice(&bytes[SIZE - 12..SIZE - 4]);
            value.write(bytes, *flush)?;
            about.write(meta, *flush)?;
            about.rename()?;
            value.rename()
        };
        let read = |at: usize| Ok(std::fs::read(folder.join(format!("{}.json", name(at))))?);
        cycle(operations, contents, write, read)
    }
}

struct Theirs {
    folder: PathBuf,
    sources: Vec<Original>,
    contents: Contents,
}

impl Theirs {
    fn new(plan: &Plan) -> Outcome<Self> {
        let folder = plan.root.join("original");
        let sources: Vec<_> = (0..KEYS).map(|at| original(&folder, &name(at))).collect();
        for source in &sources {
            check(source.claim()?, || "a claim of an earlier run is in force".to_owned())?;
            source.commit(&value(0))?;
        }
        Ok(Self { folder, sources, contents: Contents::new() })
    }

    fn run(&mut self, operations: usize) -> Outcome<Duration> {
        let Self { folder, sources, contents } = self;
        let write = |at: usize, bytes: &[u8]| {
            check(sources[at].claim()?, || "the claim was not to be had, though nobody holds it".to_owned())?;
            sources[at].commit(bytes)
        };
        let read = |at: usize| Ok(std::fs::read(folder.join(format!("{}.json", name(at))))?);
        cycle(operations, contents, write, read)
    }
}

fn name(at: usize) -> String {
    format!("commit/key-{at:02}")
}

fn original(folder: &Path, key: &str) -> Original {
    let (tier, name) = key.split_once('/').unwrap_or_default();
    Original::new(folder, tier, name)
}
