//! One of eight processes that race for the same refresh, round after round, kept in step by numbers in shared
//! memory. In each round the value is made stale (each fourth time removed), all call `get` at once, and then
//! exactly one refresher must have run, and everyone must have got what it brought.

use forebay::{Durability, Wait};
use forebay_benches::fixture::{TTL, open};
use forebay_benches::{Outcome, check};
use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// No step of a round takes anything like this long; whoever waits longer gives up, and so do all.
const STUCK: Duration = Duration::from_secs(60);

/// Where the numbers are in the shared file: each on a cache line of its own.
const ARRIVED: usize = 0;
const GOOD_ROUNDS: usize = 64;
const RUNS: usize = 128;
const WRONG: usize = 192;

struct Board {
    start: *const u8,
    racers: u32,
    waited: u32,
}

impl Board {
    fn map(path: &Path, racers: u32) -> Outcome<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        // SAFETY: a shared mapping of a file of 4,096 bytes that nobody truncates.
        let start = unsafe {
            let both = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(std::ptr::null_mut(), 4096, both, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        check(start != libc::MAP_FAILED, || "the board cannot be mapped".to_owned())?;
        Ok(Self { start: start.cast(), racers, waited: 0 })
    }

    /// Lives for ever, as the mapping does, which is never undone.
    fn number(&self, at: usize) -> &'static AtomicU32 {
        // SAFETY: within the mapping, aligned to 64 bytes, only ever used as an atomic number.
        unsafe { &*self.start.add(at).cast::<AtomicU32>() }
    }

    /// Returns when all have come here.
    fn together(&mut self) -> Outcome<()> {
        self.waited += 1;
        let wanted = self.waited * self.racers;
        let arrived = self.number(ARRIVED);
        arrived.fetch_add(1, Ordering::AcqRel);
        let start = Instant::now();
        while arrived.load(Ordering::Acquire) < wanted {
            std::thread::yield_now();
            check(start.elapsed() < STUCK, || "a racer is missing".to_owned())?;
        }
        Ok(())
    }
}

/// Runs all rounds. Fails if any round had another number of runs than one, or a wrong value.
pub fn race(root: &Path, board: &Path, number: u32, racers: u32, rounds: u32) -> Outcome<()> {
    let mut board = Board::map(board, racers)?;
    let cache = open(root, Durability::None)?;
    let source = cache.source("race/value").ttl(TTL);
    for round in 0..rounds {
        if number == 0 {
            if round % 4 == 0 {
                source.remove()?;
            } else {
                source.mark_stale()?;
            }
            board.number(RUNS).store(0, Ordering::Release);
        }
        board.together()?;
        let bytes = format!("round {round}").into_bytes();
        let runs = board.number(RUNS);
        let fetched = bytes.clone();
        let value = source.get(
            move |_: &forebay::Job<'_>| {
                runs.fetch_add(1, Ordering::AcqRel);
                Ok::<_, std::io::Error>(fetched)
            },
            Wait::UntilDone,
        );
        let right = value.as_ref().is_ok_and(|value| value.data() == Some(&bytes[..]));
        if !right {
            board.number(WRONG).fetch_add(1, Ordering::AcqRel);
            eprintln!("round {round}: racer {number} got {value:?}");
        }
        board.together()?;
        if number == 0 {
            let runs = board.number(RUNS).load(Ordering::Acquire);
            if runs == 1 && board.number(WRONG).swap(0, Ordering::AcqRel) == 0 {
                board.number(GOOD_ROUNDS).fetch_add(1, Ordering::AcqRel);
            } else {
                eprintln!("round {round}: {runs} refreshers ran");
            }
        }
    }
    Ok(())
}
