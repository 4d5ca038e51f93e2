//! Hits beside a writer process at 1,000 commits a second, and on two threads: what company costs.
//!
//! Two controls say how much of it is the machine's doing: the same writer at work on another root, which
//! shares nothing but the processor, and a loop of plain arithmetic on two threads.

use crate::Plan;
use forebay::{Cache, Reader};
use forebay_benches::children::Told;
use forebay_benches::fixture::{Fixture, TTL, digest};
use forebay_benches::series::{Contest, print_fact, timed};
use forebay_benches::{Outcome, check};
use std::cell::RefCell;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Each way to read: alone, beside a writer of the same keys, beside a writer elsewhere.
pub fn writer(plan: &Plan) -> Outcome<()> {
    let fixture = &Fixture::new();
    let root = plan.root.join("cache");
    let cache = &fixture.fill(&root)?;
    let elsewhere = plan.root.join("elsewhere");
    let _ = fixture.fill(&elsewhere)?;
    let near = &RefCell::new(Writer::start(&root)?);
    let far = &RefCell::new(Writer::start(&elsewhere)?);
    for (name, way) in ways(fixture, cache) {
        let way = &RefCell::new(way);
        let mut contest = Contest::new(name, plan.rounds, plan.batch);
        contest.add("alone", 1_000, |operations| (way.borrow_mut())(operations));
        contest.add("beside a writer", 1_000, |operations| {
            near.borrow_mut().during(|| (way.borrow_mut())(operations))
        });
        contest.add("beside a writer elsewhere", 1_000, |operations| {
            far.borrow_mut().during(|| (way.borrow_mut())(operations))
        });
        contest.run()?;
    }
    near.borrow().report("writer");
    far.borrow().report("writer elsewhere");
    Ok(())
}

type Way<'a> = Box<dyn FnMut(usize) -> Outcome<Duration> + 'a>;

fn ways<'a>(fixture: &'a Fixture, cache: &'a Cache) -> Vec<(&'static str, Way<'a>)> {
    let (order, expected) = (&fixture.order, &fixture.expected);
    let sources: Vec<_> = fixture.keys.iter().map(|key| cache.source(key).ttl(TTL)).collect();
    let mut borrowed: Vec<_> = sources.iter().map(forebay::Source::reader).collect();
    let shared: Vec<_> = sources.iter().map(forebay::Source::reader).collect();
    let readers = forebay_benches::fixture::readers(cache);
    vec![
        (
            "beside: Reader, borrowed",
            Box::new(move |operations| {
                timed(operations, order, expected, |at| {
                    borrowed[at].read().map_or(0, |read| read.data().map_or(0, digest))
                })
            }),
        ),
        (
            "beside: Reader, shared guard",
            Box::new(move |operations| {
                timed(operations, order, expected, |at| {
                    shared[at].load().map_or(0, |read| read.data().map_or(0, digest))
                })
            }),
        ),
        (
            "beside: Readers by key, owned",
            Box::new(move |operations| {
                timed(operations, order, expected, |at| {
                    readers.get(&fixture.keys[at]).map_or(0, |value| value.data().map_or(0, digest))
                })
            }),
        ),
        (
            "beside: Cache::read",
            Box::new(move |operations| {
                timed(operations, order, expected, |at| {
                    sources[at].read().map_or(0, |value| value.data().map_or(0, digest))
                })
            }),
        ),
    ]
}

/// The worker in its role as writer: it commits the fixture's own values, so that every read can be checked.
struct Writer {
    told: Told,
    commits: f64,
    seconds: f64,
}

impl Writer {
    fn start(root: &std::path::Path) -> Outcome<Self> {
        Ok(Self { told: Told::start("writer", root, &[])?, commits: 0.0, seconds: 0.0 })
    }

    /// Does something while the writer writes.
    fn during(&mut self, work: impl FnOnce() -> Outcome<Duration>) -> Outcome<Duration> {
        check(self.told.ask("go")? == "going", || "the writer does not write".to_owned())?;
        let start = Instant::now();
        let took = work()?;
        let commits: f64 = self.told.ask("stop")?.parse()?;
        self.commits += commits;
        self.seconds += start.elapsed().as_secs_f64();
        Ok(took)
    }

    /// A slow or busy machine manages fewer than 1,000 a second; the table says how many.
    fn report(&self, name: &str) {
        print_fact(&format!("{name}: commits per second"), self.commits / self.seconds);
    }
}

/// One thread against two, each with readers of its own.
pub fn threads(plan: &Plan) -> Outcome<()> {
    let fixture = &Fixture::new();
    let cache = fixture.fill(&plan.root.join("cache"))?;
    let sources: Vec<_> = fixture.keys.iter().map(|key| cache.source(key).ttl(TTL)).collect();
    let readers = || -> Vec<Reader> { sources.iter().map(forebay::Source::reader).collect() };
    let (one, two) = (&RefCell::new(readers()), &RefCell::new((readers(), readers())));
    let by_key = &forebay_benches::fixture::readers(&cache);

    let mut contest = Contest::new("threads", plan.rounds, plan.batch);
    contest
        .add("Reader, one thread", 1_000, |operations| borrowed(fixture, &mut one.borrow_mut(), operations));
    contest.add("Reader, each of two threads", 1_000, |operations| {
        let (first, second) = &mut *two.borrow_mut();
        both(|| borrowed(fixture, first, operations), || borrowed(fixture, second, operations))
    });
    let get = |operations| {
        timed(operations, &fixture.order, &fixture.expected, |at| {
            by_key.get(&fixture.keys[at]).map_or(0, |value| value.data().map_or(0, digest))
        })
    };
    contest.add("Readers by key, one thread", 1_000, get);
    contest.add("Readers by key, each of two threads", 1_000, move |operations| {
        both(|| get(operations), || get(operations))
    });
    contest.add("arithmetic, one thread", 1_000, arithmetic);
    contest.add("arithmetic, each of two threads", 1_000, |operations| {
        both(|| arithmetic(operations), || arithmetic(operations))
    });
    contest.run()
}

fn borrowed(fixture: &Fixture, readers: &mut [Reader], operations: usize) -> Outcome<Duration> {
    timed(operations, &fixture.order, &fixture.expected, |at| {
        readers[at].read().map_or(0, |read| read.data().map_or(0, digest))
    })
}

/// Both at once; the mean of what each took.
fn both(
    first: impl FnOnce() -> Outcome<Duration> + Send,
    second: impl FnOnce() -> Outcome<Duration> + Send,
) -> Outcome<Duration> {
    let together = Barrier::new(2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            together.wait();
            second()
        });
        together.wait();
        let mine = first()?;
        let other = other.join().map_err(|_| "a reading thread panicked")??;
        Ok((mine + other) / 2)
    })
}

fn arithmetic(operations: usize) -> Outcome<Duration> {
    let mut random = forebay_benches::series::Random::new(operations as u64);
    let start = Instant::now();
    for _ in 0..operations {
        std::hint::black_box(random.number());
    }
    Ok(start.elapsed())
}
