//! A file is changed by another thread at a random moment between the look at it and the commit of what was computed
//! from it, also to the same size and within one time step of the file system: never is a result of the old content
//! found while the file has the new one.

use super::work::Dice;
use super::{key, open};
use forebay::{Code, Input};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What happened in so many trials.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Commits that were refused.
    pub refused: u64,
    /// Results of the new content.
    pub new: u64,
    /// Results of the old content, which the next look did not find any more.
    pub noticed: u64,
    /// Stale hits.
    pub stale: u64,
}

/// Runs the trials in the folder.
///
/// # Errors
/// Those that are not expected.
pub fn run(folder: &Path, trials: u64, seed: u64) -> forebay::Result<Seen> {
    let live = open(folder)?;
    let path = folder.join("raced");
    let write = |number: u64| {
        std::fs::write(&path, format!("{number:012}"))
            .map_err(|error| forebay::Error::new(Code::Io, error.to_string()))
    };
    let mut dice = Dice(seed);
    let (mut seen, mut took) = (Seen::default(), 1_000_000);
    let (input, key) = ([Input::File("raced".into())], key(0));
    for trial in 0..trials {
        write(trial * 2)?;
        let turn = AtomicU64::new(0);
        // Anywhere in what the last one took.
        let delay = Duration::from_nanos(dice.below(took + took / 8));
        let committed = std::thread::scope(|scope| {
            let changer = scope.spawn(|| {
                turn.store(1, Ordering::Release);
                while turn.load(Ordering::Acquire) == 1 {
                    std::hint::spin_loop();
                }
                let start = Instant::now();
                while start.elapsed() < delay {
                    std::hint::spin_loop();
                }
                write(trial * 2 + 1)
            });
            while turn.load(Ordering::Acquire) == 0 {
                std::hint::spin_loop();
            }
            let start = Instant::now();
            turn.store(2, Ordering::Release);
            let committed = live.begin(&key, &input, &[]).and_then(|ticket| {
                let content =
                    std::fs::read(&path).map_err(|error| forebay::Error::new(Code::Io, error.to_string()))?;
                ticket.commit(content, "race")
            });
            took = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX).min(20_000_000);
            changer.join().map_or(Err(forebay::Error::new(Code::Io, "it panicked")), |changed| changed)?;
            Ok::<_, forebay::Error>(committed)
        })?;
        match committed {
            Err(error) if matches!(error.code(), Code::Superseded | Code::Io) => seen.refused += 1,
            Err(error) => return Err(error),
            Ok(_) => {
                let new = format!("{:012}", trial * 2 + 1);
                match live.lookup_revalidate(&key)?.hit() {
                    Some(found) if found.data() == new.as_bytes() => seen.new += 1,
                    Some(_) => seen.stale += 1,
                    None => seen.noticed += 1,
                }
            }
        }
    }
    Ok(seen)
}
