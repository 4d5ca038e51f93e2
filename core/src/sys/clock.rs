//! `Clock`: where times come from. The real one; a manual one for tests within a process; and a file that
//! several processes share, so that tests age values without sleeping. It knows nothing of what is timed.

use crate::error::{Code, Error, Result};
use crate::stamp::Nanos;
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// The clock by which freshness, leases and gates are judged. Cheap to clone, usable from any thread.
#[derive(Clone, Debug, Default)]
pub struct Clock(Repr);

#[derive(Clone, Debug, Default)]
enum Repr {
    #[default]
    Real,
    Manual(Arc<Hands>),
    File(Arc<FileClock>),
}

#[derive(Debug, Default)]
struct Hands {
    wall_ns: AtomicI64,
    boot_ns: AtomicI64,
}

#[derive(Debug)]
struct FileClock {
    path: PathBuf,
    /// What was read last, for a moment at which the file cannot be read.
    last: Hands,
}

/// The file of [`Clock::file`]. Decimal strings, because a number of JSON may lose bits.
#[derive(Deserialize)]
struct Face {
    wall_ns: String,
    boot_ns: String,
}

/// Moves a manual clock. Cheap to clone, usable from any thread.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hands>);

impl ManualClock {
    /// Moves wall clock and boot clock forward together.
    pub fn advance(&self, by: Duration) {
        let by = Nanos::try_from(by.as_nanos()).unwrap_or(Nanos::MAX);
        self.0.wall_ns.fetch_add(by, Ordering::SeqCst);
        self.0.boot_ns.fetch_add(by, Ordering::SeqCst);
    }

    /// Steps the wall clock alone, as an administrator or a time server would.
    pub fn step_wall(&self, by_ns: i64) {
        self.0.wall_ns.fetch_add(by_ns, Ordering::SeqCst);
    }
}

impl Clock {
    /// The machine's own clock.
    #[must_use]
    pub fn real() -> Clock {
        Clock(Repr::Real)
    }

    /// A clock that stands at `wall_ns` nanoseconds after the epoch until it is moved.
    ///
    /// ```
    /// use std::time::Duration;
    /// let (clock, hands) = forebay::Clock::manual(1_000_000_000);
    /// hands.advance(Duration::from_secs(1));
    /// assert_eq!(clock.wall_ns(), 2_000_000_000);
    /// ```
    #[must_use]
    pub fn manual(wall_ns: i64) -> (Clock, ManualClock) {
        let hands = Arc::new(Hands { wall_ns: AtomicI64::new(wall_ns), boot_ns: AtomicI64::new(1) });
        (Clock(Repr::Manual(Arc::clone(&hands))), ManualClock(hands))
    }

    /// A clock read from a file, `{"wall_ns":"…","boot_ns":"…"}`, at each look. Whoever moves it replaces the
    /// file by a rename.
    ///
    /// # Errors
    /// [`Code::Invalid`] where the file cannot be read or has another shape.
    pub fn file(path: impl Into<PathBuf>) -> Result<Clock> {
        let clock = FileClock { path: path.into(), last: Hands::default() };
        if clock.look().is_none() {
            return Err(Error::new(Code::Invalid, "cannot read the test clock")
                .with_path(&clock.path)
                .with_hint(r#"it holds {"wall_ns":"…","boot_ns":"…"}"#));
        }
        Ok(Clock(Repr::File(Arc::new(clock))))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub fn wall_ns(&self) -> i64 {
        match &self.0 {
            Repr::Real => read(ClockId::Realtime),
            Repr::Manual(hands) => hands.wall_ns.load(Ordering::SeqCst),
            Repr::File(file) => file.now().0,
        }
    }

    /// Nanoseconds since the machine started, suspended time included.
    #[must_use]
    pub fn boot_ns(&self) -> i64 {
        match &self.0 {
            Repr::Real => boot(),
            Repr::Manual(hands) => hands.boot_ns.load(Ordering::SeqCst),
            Repr::File(file) => file.now().1,
        }
    }

    #[inline]
    pub(crate) fn is_real(&self) -> bool {
        matches!(self.0, Repr::Real)
    }

    /// As [`Clock::wall_ns`], at a tick's precision (about 4 ms) and a quarter of its cost.
    #[must_use]
    pub(crate) fn coarse_ns(&self) -> i64 {
        match &self.0 {
            Repr::Real => coarse(),
            _ => self.wall_ns(),
        }
    }
}

impl FileClock {
    fn look(&self) -> Option<(i64, i64)> {
        let face: Face = serde_json::from_slice(&read_file(&self.path)?).ok()?;
        Some((face.wall_ns.parse().ok()?, face.boot_ns.parse().ok()?))
    }

    fn now(&self) -> (i64, i64) {
        if let Some((wall, boot)) = self.look() {
            self.last.wall_ns.store(wall, Ordering::Relaxed);
            self.last.boot_ns.store(boot, Ordering::Relaxed);
        }
        (self.last.wall_ns.load(Ordering::Relaxed), self.last.boot_ns.load(Ordering::Relaxed))
    }
}

fn read_file(path: &Path) -> Option<Vec<u8>> {
    std::fs::read(path).ok()
}

#[inline]
fn read(id: ClockId) -> i64 {
    let time = clock_gettime(id);
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

#[cfg(target_os = "linux")]
fn boot() -> i64 {
    read(ClockId::Boottime)
}

#[cfg(not(target_os = "linux"))]
fn boot() -> i64 {
    read(ClockId::Monotonic)
}

/// The real clock at a tick's precision, whatever clock is injected: for rate limits of our own looks.
#[cfg(target_os = "linux")]
#[inline]
pub(crate) fn coarse() -> i64 {
    read(ClockId::RealtimeCoarse)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn coarse() -> i64 {
    read(ClockId::Realtime)
}

/// The clock that options name: in a file for tests, or another, or the process's own.
pub(crate) fn chosen(test_clock: Option<&Path>, clock: Option<Clock>) -> Result<Clock> {
    match (test_clock, clock) {
        (Some(path), _) => Clock::file(path),
        (None, Some(clock)) => Ok(clock),
        (None, None) => environment_clock(),
    }
}

/// The clock of a process: in test builds the one that `FOREBAY_TEST_CLOCK` names, else the real one.
#[cfg(feature = "testing")]
fn environment_clock() -> Result<Clock> {
    match std::env::var_os("FOREBAY_TEST_CLOCK") {
        Some(path) if !path.is_empty() => Clock::file(path),
        _ => Ok(Clock::real()),
    }
}

/// The clock of a process.
#[cfg(not(feature = "testing"))]
#[allow(clippy::unnecessary_wraps, reason = "test builds can fail here")]
fn environment_clock() -> Result<Clock> {
    Ok(Clock::real())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_moves_the_clock_of_all_who_read_it_and_a_lost_file_stops_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock");
        assert_eq!(Clock::file(&path).unwrap_err().code(), Code::Invalid);
        std::fs::write(&path, r#"{"wall_ns":"1700000000000000001","boot_ns":"5"}"#).unwrap();
        let clock = Clock::file(&path).unwrap();
        assert_eq!((clock.wall_ns(), clock.boot_ns()), (1_700_000_000_000_000_001, 5));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(clock.wall_ns(), 1_700_000_000_000_000_001);
    }

    #[test]
    fn the_real_clocks_agree_to_a_tick() {
        let clock = Clock::real();
        assert!((clock.wall_ns() - clock.coarse_ns()).abs() < 1_000_000_000);
    }
}
