//! Stamps: nanoseconds since the epoch, as files and clocks carry them, to and from the standard library's times.
//! Pure arithmetic that clamps instead of overflowing.

use std::time::{Duration, SystemTime};

/// Nanoseconds since the epoch.
pub type Nanos = i64;

/// The instant of a stamp, also before the epoch.
#[must_use]
pub fn instant(ns: Nanos) -> SystemTime {
    let distance = Duration::from_nanos(ns.unsigned_abs());
    if ns >= 0 { SystemTime::UNIX_EPOCH + distance } else { SystemTime::UNIX_EPOCH - distance }
}

/// The stamp of an instant, clamped to what a stamp can hold.
#[must_use]
pub fn stamp(at: SystemTime) -> Nanos {
    match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => nanos(after),
        Err(before) => -nanos(before.duration()),
    }
}

/// A duration in nanoseconds, clamped to what a stamp can hold.
#[must_use]
pub fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_before_the_epoch_survive() {
        for ns in [0, 1, -1, Nanos::MAX, Nanos::MIN + 1] {
            assert_eq!(stamp(instant(ns)), ns);
        }
    }
}
