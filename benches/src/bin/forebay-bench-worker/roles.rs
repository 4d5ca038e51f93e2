//! The roles: opener, reader, writer, follower, holder, starter. They speak in lines on standard output and obey
//! lines on standard input; instants are CLOCK_MONOTONIC in nanoseconds.

use forebay::{AcquireOptions, Acquired, Cache, Commit, Durability, LiveKey, State, Wait};
use forebay_benches::fixture::{Fixture, TTL, digest, open};
use forebay_benches::original::Original;
use forebay_benches::original_live::OriginalLive;
use forebay_benches::series::timed;
use forebay_benches::{Outcome, bare, check};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn say(line: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// The next line that we are told; none at the end.
fn told() -> Outcome<Option<String>> {
    let mut line = String::new();
    let length = std::io::stdin().read_line(&mut line)?;
    Ok((length > 0).then(|| line.trim_end().to_owned()))
}

/// Opens a cache and reads one value; prints how long both took, and how many bytes there were.
pub fn open_and_read(root: &Path, key: &str) -> Outcome<()> {
    let start = bare::now();
    let cache = Cache::open(root)?;
    let value = cache.source(key).ttl(TTL).read()?;
    let took = bare::now() - start;
    check(value.is_fresh(), || format!("{key} is not fresh"))?;
    say(&format!("{took} {}", value.data().map_or(0, <[u8]>::len)))
}

/// Opens a cache and looks for one derived result; prints how long both took, and how many bytes there were.
pub fn open_and_look(root: &Path, key: &str) -> Outcome<()> {
    let key = LiveKey::parse(key)?;
    let start = bare::now();
    let found = Cache::open(root)?.live()?.lookup(&key)?;
    let took = bare::now() - start;
    let derived = found.hit().ok_or("the result is not there")?;
    say(&format!("{took} {}", derived.data().len()))
}

/// The same with the original's store.
pub fn open_original_and_look(root: &Path, key: &str) -> Outcome<()> {
    let start = bare::now();
    let found = OriginalLive::open(root)?.lookup(key)?;
    let took = bare::now() - start;
    say(&format!("{took} {}", found.ok_or("the result is not there")?.len()))
}

/// Reads a plain file; prints as the others do.
pub fn plain_read(path: &Path) -> Outcome<()> {
    let start = bare::now();
    let bytes = std::fs::read(path)?;
    let took = bare::now() - start;
    say(&format!("{took} {}", bytes.len()))
}

/// Hits between two calls of getppid, which `strace` shows: what is between them is what hits cost. Few keys, so
/// that their first looks, slow under strace, are not 100 ms old when the hits begin.
pub fn hits(root: &Path, count: usize) -> Outcome<()> {
    let fixture = Fixture::new();
    let cache = Cache::open(root)?;
    let keys = &fixture.keys[..10];
    let order: Vec<usize> = (0..keys.len()).collect();
    let mut readers: Vec<_> = keys.iter().map(|key| cache.source(key).ttl(TTL).reader()).collect();
    let mut run = |count| {
        timed(count, &order, &fixture.expected, |at| match readers[at].read() {
            Ok(read) if read.state == State::Fresh => read.data().map_or(0, digest),
            _ => 0,
        })
    };
    run(keys.len())?;
    let mark = || {
        // SAFETY: takes no arguments.
        unsafe { libc::getppid() }
    };
    mark();
    let took = run(count)?;
    mark();
    say(&format!("{}", took.as_nanos()))
}

/// Commits the fixture's values again and again, 1,000 a second, between `go` and `stop`; says how many.
pub fn writer(root: &Path) -> Outcome<()> {
    const EVERY: Duration = Duration::from_millis(1);
    let fixture = Fixture::new();
    let cache = open(root, Durability::None)?;
    let mut next = 0;
    let mut commit = || -> Outcome<()> {
        let at = fixture.order[next % fixture.order.len()];
        next += 1;
        cache.source(&fixture.keys[at]).ttl(TTL).put(fixture.values[at].clone(), &Commit::default())?;
        Ok(())
    };
    while let Some(line) = told()? {
        check(line == "go", || "go was expected".to_owned())?;
        let stopped = AtomicBool::new(false);
        let commits = std::thread::scope(|scope| -> Outcome<u64> {
            let listener = scope.spawn(|| {
                let line = told();
                stopped.store(true, Ordering::Release);
                line
            });
            say("going")?;
            let start = Instant::now();
            let mut commits = 0;
            while !stopped.load(Ordering::Acquire) {
                commit()?;
                commits += 1;
                let due = EVERY * u32::try_from(commits)?;
                std::thread::sleep(due.saturating_sub(start.elapsed()));
            }
            listener.join().map_err(|_| "the listener panicked")??;
            Ok(commits)
        })?;
        say(&commits.to_string())?;
    }
    Ok(())
}

/// On each `go` joins the refresh in flight; says when it returned, how, and with what.
pub fn follower(root: &Path, key: &str) -> Outcome<()> {
    let cache = open(root, Durability::None)?;
    let source = cache.source(key).ttl(TTL);
    while let Some(line) = told()? {
        check(line == "go", || "go was expected".to_owned())?;
        say("going")?;
        let value = source.refresh(|_| Ok::<_, std::io::Error>("ran"))?;
        let at = bare::now();
        let how = value.how.as_ref().map_or("unknown", |how| how.as_str());
        say(&format!("{at} {how} {}", String::from_utf8_lossy(value.data().unwrap_or_default())))?;
    }
    Ok(())
}

/// Followers of the original's algorithm, one thread each.
pub fn poller(root: &Path, count: usize) -> Outcome<()> {
    std::thread::scope(|scope| -> Outcome<()> {
        let waiters: Vec<_> = (0..count)
            .map(|at| {
                scope.spawn(move || -> Outcome<()> {
                    Original::new(root, "follow", &at.to_string()).wait()?;
                    let returned = bare::now();
                    say(&format!("{at} {returned}"))
                })
            })
            .collect();
        say("going")?;
        for waiter in waiters {
            waiter.join().map_err(|_| "a waiter panicked")??;
        }
        Ok(())
    })
}

/// Takes the lease and holds it until it is killed.
pub fn holder(root: &Path, key: &str) -> Outcome<()> {
    let cache = open(root, Durability::None)?;
    let Acquired::Ticket(_ticket) = cache.source(key).ttl(TTL).acquire(&AcquireOptions::default())? else {
        return Err("the lease was not to be had, though nobody holds it".into());
    };
    say("held")?;
    told()?;
    Err("the holder outlived its test".into())
}

/// One of many that start on a cold source. Each run of the refresher adds a byte to the file `runs`.
pub fn starter(root: &Path) -> Outcome<()> {
    let cache = open(root, Durability::None)?;
    let runs = root.join("runs");
    let fetch = move |_: &forebay::Job<'_>| -> Result<Vec<u8>, std::io::Error> {
        std::fs::OpenOptions::new().create(true).append(true).open(&runs)?.write_all(b"1")?;
        std::thread::sleep(Duration::from_millis(200));
        Ok(b"the answer".to_vec())
    };
    let value = cache.source("crowd/cold").ttl(TTL).get(fetch, Wait::UntilDone)?;
    check(value.data() == Some(b"the answer"), || "a starter got something else".to_owned())
}
