//! `State` and `Freshness`: may a value be used without asking anyone, and until when? Pure arithmetic over
//! stamps of the cache's clock; it knows nothing of disks, leases or gates.

use crate::entry::Lifetime;
use crate::stamp::{Nanos, nanos};
use std::fmt;
use std::time::Duration;

/// How far ahead a stamp may be and still count as age zero.
pub const FUTURE_SLACK: Duration = Duration::from_secs(60);

/// What may be done with what is there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum State {
    /// Younger than its ttl: may be used without asking anyone.
    Fresh,
    /// Beyond its ttl, and may be served while a refresh is made.
    Stale,
    /// Beyond `max_stale`: may not be served any more.
    Expired,
    /// There is nothing.
    #[default]
    Absent,
}

impl State {
    /// The state as text, the same in every language.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            State::Fresh => "fresh",
            State::Stale => "stale",
            State::Expired => "expired",
            State::Absent => "absent",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The lifetimes that apply to one reading of one value: what the refresher returned, else the caller's, else
/// those recorded beside the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Freshness {
    /// Fresh while younger than this. Without any ttl, nothing is fresh.
    pub ttl: Duration,
    /// May be served for this long after that; none: without end.
    pub max_stale: Option<Duration>,
}

impl Freshness {
    /// The lifetimes that apply, given the caller's and the recorded ones.
    #[must_use]
    pub fn effective(ttl: Option<Duration>, max_stale: Option<Duration>, recorded: &Lifetime) -> Freshness {
        let choose = |own: bool, caller: Option<Duration>, recorded: Option<Duration>| {
            if own { recorded.or(caller) } else { caller.or(recorded) }
        };
        Freshness {
            ttl: choose(recorded.own_ttl, ttl, recorded.ttl).unwrap_or_default(),
            max_stale: choose(recorded.own_max_stale, max_stale, recorded.max_stale),
        }
    }

    /// The state of a value stored at `stored`, seen at `now`; `noticed` if a notice covers it.
    ///
    /// A stamp up to [`FUTURE_SLACK`] ahead is age zero; one further ahead is stale, not lost.
    #[must_use]
    pub fn state(&self, stored: Nanos, now: Nanos, noticed: bool) -> State {
        if stored.saturating_sub(now) > nanos(FUTURE_SLACK) {
            return State::Stale;
        }
        let age = age(stored, now);
        if age < self.ttl && !noticed {
            return State::Fresh;
        }
        match self.max_stale {
            Some(max) if age > self.ttl.saturating_add(max) => State::Expired,
            _ => State::Stale,
        }
    }

    /// Until when a value stored at `stored` stays fresh, and from when on it is: outside of these it has to
    /// be judged again.
    #[must_use]
    pub fn fresh_between(&self, stored: Nanos) -> (Nanos, Nanos) {
        (stored.saturating_sub(nanos(FUTURE_SLACK)), stored.saturating_add(nanos(self.ttl)))
    }
}

/// The age of a value: zero for a stamp ahead of the clock.
#[inline]
#[must_use]
pub fn age(stored: Nanos, now: Nanos) -> Duration {
    Duration::from_nanos(u64::try_from(now.saturating_sub(stored)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Nanos = 1_000_000_000;

    fn freshness(ttl: u64, max_stale: Option<u64>) -> Freshness {
        Freshness { ttl: Duration::from_secs(ttl), max_stale: max_stale.map(Duration::from_secs) }
    }

    #[test]
    fn the_boundaries_are_exact() {
        for (ttl, max_stale, age, noticed, state) in [
            (10, None, 0, false, State::Fresh),
            (10, None, 9, false, State::Fresh),
            (10, None, 10, false, State::Stale),
            (10, None, 9, true, State::Stale),
            (10, Some(5), 15, false, State::Stale),
            (10, Some(5), 16, false, State::Expired),
            (10, Some(0), 10, false, State::Stale),
            (10, Some(0), 11, false, State::Expired),
            (0, None, 0, false, State::Stale),
        ] {
            let found = freshness(ttl, max_stale).state(100 * S, (100 + age) * S, noticed);
            assert_eq!(found, state, "ttl {ttl} max_stale {max_stale:?} age {age} noticed {noticed}");
        }
    }

    #[test]
    fn d15_a_stamp_in_the_future_is_not_fresh_for_ever() {
        let freshness = freshness(10, None);
        assert_eq!(freshness.state(160 * S, 100 * S, false), State::Fresh);
        assert_eq!(freshness.state(160 * S + 1, 100 * S, false), State::Stale);
        assert_eq!(freshness.state(Nanos::MAX, Nanos::MIN, false), State::Stale);
        assert_eq!(age(160 * S, 100 * S), Duration::ZERO);
    }

    #[test]
    fn what_the_refresher_returned_goes_before_the_callers_before_what_is_recorded() {
        let secs = Duration::from_secs;
        let recorded = Lifetime { ttl: Some(secs(3)), ..Lifetime::default() };
        let own = Lifetime { own_ttl: true, ..recorded };
        assert_eq!(Freshness::effective(Some(secs(5)), None, &recorded).ttl, secs(5));
        assert_eq!(Freshness::effective(Some(secs(5)), None, &own).ttl, secs(3));
        assert_eq!(Freshness::effective(None, None, &recorded).ttl, secs(3));
        assert_eq!(Freshness::effective(None, None, &Lifetime::default()).ttl, secs(0));
    }
}
