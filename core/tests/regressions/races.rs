//! Many at once: each thread has a handle of its own, so that they exclude each other only as processes do.
//! Bounded by counts, not by time.

use crate::common::{HOUR, KEY, NOW, Place, acquire, lease, put};
use forebay::{AcquireOptions, Acquired, Clock, Code, Commit, State};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

/// Counts down also when its thread panics, so that nobody goes on for ever.
struct Counted<'c>(&'c AtomicU64);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs `work` on that many threads, each with its number.
fn crowd(size: usize, work: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for number in 0..size {
            let work = &work;
            scope.spawn(move || work(number));
        }
    });
}

#[test]
fn d08_two_processes_never_steal_the_same_dead_lock() {
    const ROUNDS: u64 = 1000;
    const CROWD: usize = 4;
    let place = Place::new();
    // The first orphan.
    drop(lease(&place.source()));
    let (start, end) = (Barrier::new(CROWD), Barrier::new(CROWD));
    let (tickets, last) = (AtomicU64::new(0), AtomicU64::new(0));
    crowd(CROWD, |_| {
        let source = place.source();
        for round in 0..ROUNDS {
            start.wait();
            let mine = match acquire(&source) {
                Acquired::Ticket(ticket) => Some(ticket),
                Acquired::InFlight(_) => None,
                other => panic!("round {round}: {other:?}"),
            };
            if let Some(ticket) = &mine {
                tickets.fetch_add(1, Ordering::SeqCst);
                assert!(last.swap(ticket.token(), Ordering::SeqCst) < ticket.token(), "a token came again");
            }
            end.wait();
            assert_eq!(tickets.load(Ordering::SeqCst), round + 1, "not one holder");
            // Dropped without an end: the next round's orphan.
            drop(mine);
        }
    });
    // Each orphan was settled once, by one.
    assert_eq!(place.json("gate")["attempts"], ROUNDS);
    assert_eq!(place.names(), ["models.gate", "models.refreshing"]);
}

/// `number:` and as many letters as the number says, so that any mixture of two shows.
fn whole(number: u64) -> String {
    let length = usize::try_from(number * 37 % 3000).unwrap();
    format!("{number}:{}", "x".repeat(length))
}

fn number_of(data: &[u8]) -> u64 {
    let text = std::str::from_utf8(data).unwrap();
    let number = text.split(':').next().unwrap().parse().unwrap();
    assert!(text == whole(number), "torn: {} bytes that begin {:?}", text.len(), text.get(..20));
    number
}

#[test]
fn d10_s14_no_read_is_torn_or_taken_for_foreign_under_a_storm_of_commits() {
    const COMMITS: u64 = 400;
    let place = Place::new();
    let next = AtomicU64::new(1);
    let writing = AtomicU64::new(2);
    let reads = AtomicU64::new(0);
    put(&place.source(), &whole(0));
    crowd(5, |who| {
        let source = place.source();
        if who < 2 {
            let _writing = Counted(&writing);
            while next.load(Ordering::SeqCst) < COMMITS {
                let number = next.fetch_add(1, Ordering::SeqCst);
                let commit = Commit { validator: Some(number.to_string()), ..Commit::default() };
                source.put(whole(number), &commit).unwrap();
            }
            return;
        }
        let mut reader = source.reader();
        while writing.load(Ordering::SeqCst) > 0 || reads.load(Ordering::SeqCst) < 3 * COMMITS {
            let value = source.read().unwrap();
            let entry = value.entry.expect("a value was lost");
            let number = number_of(&entry.data);
            // After eight looks that commits came in between, the value is whole and stale, never foreign and fresh.
            let sure = entry.token.is_some();
            assert!(sure || value.state == State::Stale, "taken for foreign");
            assert!(!sure || number == 0 || entry.validator.as_deref() == Some(number.to_string().as_str()));
            number_of(reader.read().unwrap().data().expect("a value was lost"));
            reads.fetch_add(1, Ordering::SeqCst);
        }
    });
    let left: Vec<String> = place.names();
    assert_eq!(left, ["models.json", "models.meta"]);
}

#[test]
fn d11_a_marker_is_read_whole_or_not_at_all() {
    const RENEWALS: usize = 500;
    let place = Place::new();
    let ticket = lease(&place.source());
    let done = AtomicBool::new(false);
    let looks = AtomicU64::new(0);
    crowd(3, |who| {
        if who == 0 {
            for _ in 0..RENEWALS {
                ticket.renew(HOUR).unwrap();
            }
            while looks.load(Ordering::SeqCst) < 200 {
                ticket.renew(HOUR).unwrap();
            }
            done.store(true, Ordering::SeqCst);
            return;
        }
        let source = place.source();
        while !done.load(Ordering::SeqCst) {
            assert_eq!(place.json("refreshing")["token"], ticket.token().to_string());
            let state = source.refresh_state().unwrap();
            assert!(state.in_flight && state.holder == Some(std::process::id()), "{state:?}");
            looks.fetch_add(1, Ordering::SeqCst);
        }
    });
}

#[test]
fn d14_d27_data_and_age_belong_together() {
    const COMMITS: u64 = 300;
    const STEP: Duration = Duration::from_secs(1);
    let place = Place::new();
    let (clock, hands) = Clock::manual(NOW);
    let handle = || place.options().clock(clock.clone()).open().unwrap().source(KEY).ttl(STEP / 2);
    let writer = handle();
    put(&writer, &NOW.to_string());
    let done = AtomicBool::new(false);
    let reads = AtomicU64::new(0);
    let start = Arc::new(Barrier::new(4));
    crowd(4, |who| {
        start.wait();
        if who == 0 {
            for number in 0..COMMITS {
                // Now the value in place is old, and only the next one will be fresh.
                hands.advance(STEP);
                put(&writer, &clock.wall_ns().to_string());
                // Readers see a good part of the versions.
                while reads.load(Ordering::SeqCst) < number {
                    std::thread::yield_now();
                }
            }
            done.store(true, Ordering::SeqCst);
            return;
        }
        let source = handle();
        let mut reader = source.reader();
        while !done.load(Ordering::SeqCst) {
            let before = clock.wall_ns();
            let value = source.read().unwrap();
            let stored: i64 = std::str::from_utf8(value.data().unwrap()).unwrap().parse().unwrap();
            assert_eq!(value.entry.as_ref().unwrap().stored_ns, stored, "bytes of one, age of another");
            let half = i64::try_from((STEP / 2).as_nanos()).unwrap();
            assert!(!value.is_fresh() || stored + half > before, "called fresh, {} old", before - stored);
            let before = clock.wall_ns();
            let read = reader.read().unwrap();
            let stored: i64 = std::str::from_utf8(read.data().unwrap()).unwrap().parse().unwrap();
            assert!(read.state != State::Fresh || stored + half > before, "a reader called an old one fresh");
            reads.fetch_add(1, Ordering::SeqCst);
        }
    });
}

#[test]
fn d26_no_lock_times_out_at_an_ordinary_load() {
    const EACH: usize = 25;
    let place = Place::new();
    crowd(12, |who| {
        let source = place.source();
        for round in 0..EACH {
            let done = match (who + round) % 4 {
                0 => source.put("a", &Commit::default()).map(drop),
                1 => source.mark_stale(),
                2 => source.remove().map(drop),
                _ => source.acquire(&AcquireOptions::default()).map(drop),
            };
            assert!(done.as_ref().is_ok_and(|()| true), "{:?}", done.map_err(|error| error.code()));
        }
    });
}

#[test]
fn s15_prune_beside_writers_takes_nothing_of_theirs() {
    const ROUNDS: usize = 150;
    let place = Place::new();
    let writing = AtomicU64::new(3);
    crowd(4, |who| {
        let cache = place.options().sweep_age(Duration::ZERO).open().unwrap();
        let source = cache.source(KEY).ttl(HOUR);
        if who == 0 {
            let keep = [source.key().unwrap().clone()];
            while writing.load(Ordering::SeqCst) > 0 {
                cache.prune(&keep).unwrap();
            }
            return;
        }
        let _writing = Counted(&writing);
        for _ in 0..ROUNDS {
            put(&source, "put");
            source.mark_stale().unwrap();
            if let Acquired::Ticket(ticket) = acquire(&source) {
                match ticket.complete("completed", &Commit::default()) {
                    Ok(_) => {}
                    Err(error) => assert_eq!(error.code(), Code::Superseded, "{error}"),
                }
            }
        }
    });
    place
        .options()
        .sweep_age(Duration::ZERO)
        .open()
        .unwrap()
        .prune(&[place.source().key().unwrap().clone()])
        .unwrap();
    let names = place.names();
    assert!(names.iter().all(|name| !name.starts_with('.')), "{names:?}");
}
