//! `Term`: the right to refresh one key, as its holder wrote it down, and the rule that says whether it is
//! still in time. Whether the holder lives is a question to the system; this file only does arithmetic.

use crate::error::{Code, Error, Result};
use crate::stamp::{Nanos, nanos};
use crate::sys::clock::Clock;
use crate::sys::process::Process;
use crate::text::{decimal, optional_decimal};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest lease.
pub(crate) const MAX_LENGTH: Duration = Duration::from_secs(24 * 3600);
/// After its deadline a lease stays in force for this many of its lengths.
const GRACE: i64 = 2;

/// A lease as its marker tells it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Term {
    /// The fencing token. None for a lease of the original program.
    #[serde(with = "optional_decimal")]
    pub(crate) token: Option<u64>,
    pub(crate) nonce: String,
    pub(crate) pid: u32,
    pub(crate) boot: String,
    pub(crate) pidns: String,
    pub(crate) timens: String,
    #[serde(with = "decimal")]
    pub(crate) started_ns: Nanos,
    #[serde(with = "decimal")]
    pub(crate) deadline_ns: Nanos,
    #[serde(with = "decimal")]
    pub(crate) deadline_boot_ns: Nanos,
    #[serde(with = "decimal")]
    pub(crate) length_ns: Nanos,
}

impl Term {
    /// A lease that begins now.
    pub(crate) fn new(token: u64, nonce: String, process: &Process, clock: &Clock, length: Duration) -> Term {
        let now = clock.wall_ns();
        let mut term = Term {
            token: Some(token),
            nonce,
            pid: process.pid,
            boot: process.boot.clone(),
            pidns: process.pidns.clone(),
            timens: process.timens.clone(),
            started_ns: now,
            deadline_ns: now,
            deadline_boot_ns: 0,
            length_ns: 0,
        };
        term.prolong(clock, length);
        term
    }

    /// The same lease, its deadline `length` from now.
    pub(crate) fn prolong(&mut self, clock: &Clock, length: Duration) {
        self.length_ns = nanos(length);
        self.deadline_ns = clock.wall_ns().saturating_add(self.length_ns);
        self.deadline_boot_ns = clock.boot_ns().saturating_add(self.length_ns);
    }

    /// Whether its time, grace included, is not over.
    ///
    /// Within one start of the machine the boot clock decides, so no step of the wall clock ends or prolongs
    /// a lease. Else the wall clock does, and a lease that seems to begin in the future is over.
    pub(crate) fn in_time(&self, here: &Process, clock: &Clock) -> bool {
        if self.length_ns <= 0 || self.length_ns > nanos(MAX_LENGTH) {
            return false;
        }
        if self.token.is_some() && here.shares_boot_clock(&self.boot, &self.timens) {
            return clock.boot_ns() <= self.deadline_boot_ns.saturating_add(GRACE * self.length_ns);
        }
        let begun = self.deadline_ns.saturating_sub(self.length_ns);
        let elapsed = clock.wall_ns().saturating_sub(begun);
        (-60_000_000_000..=(1 + GRACE) * self.length_ns).contains(&elapsed)
    }
}

/// A lease in force, as others see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub(crate) token: Option<u64>,
    pub(crate) pid: u32,
    pub(crate) started_ns: Nanos,
    pub(crate) deadline_ns: Nanos,
}

impl From<&Term> for Seen {
    fn from(term: &Term) -> Seen {
        Seen { token: term.token, pid: term.pid, started_ns: term.started_ns, deadline_ns: term.deadline_ns }
    }
}

/// Refuses a length that no lease can have.
pub(crate) fn check_length(length: Duration) -> Result<()> {
    if length.is_zero() {
        return Err(Error::new(Code::Invalid, "the deadline of a refresh is 0")
            .with_hint("give the time that a refresh may take, such as 30 s"));
    }
    if length > MAX_LENGTH {
        return Err(Error::new(Code::Invalid, "the deadline of a refresh is over 24 h")
            .with_hint("take a shorter one and renew the lease"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Nanos = 1_000_000_000;

    fn here(boot: &str) -> Process {
        Process { pid: 1, boot: boot.into(), pidns: "p".into(), timens: "t".into() }
    }

    #[test]
    fn in_time_until_three_lengths_after_its_begin_whatever_the_wall_clock_does() {
        let (clock, hands) = Clock::manual(1_000 * S);
        let term = Term::new(1, "n".into(), &here("b"), &clock, Duration::from_secs(10));
        hands.step_wall(-1_000_000 * S);
        assert!(term.in_time(&here("b"), &clock));
        hands.step_wall(9_000_000 * S);
        hands.advance(Duration::from_secs(30));
        assert!(term.in_time(&here("b"), &clock));
        hands.advance(Duration::from_nanos(1));
        assert!(!term.in_time(&here("b"), &clock));
    }

    #[test]
    fn after_another_start_the_wall_stamps_decide() {
        let (clock, hands) = Clock::manual(1_000 * S);
        let term = Term::new(1, "n".into(), &here("b"), &clock, Duration::from_secs(10));
        for (step, in_time) in [(0, true), (30 * S, true), (S, false), (-91 * S, true), (-S, false)] {
            hands.step_wall(step);
            assert_eq!(term.in_time(&here("other"), &clock), in_time, "{step}");
        }
    }

    #[test]
    fn p14_grace_follows_the_last_renewal_and_does_not_grow() {
        let (clock, hands) = Clock::manual(0);
        let mut term = Term::new(1, "n".into(), &here("b"), &clock, Duration::from_secs(100));
        term.prolong(&clock, Duration::from_secs(1));
        hands.advance(Duration::from_secs(3));
        assert!(term.in_time(&here("b"), &clock));
        hands.advance(Duration::from_nanos(1));
        assert!(!term.in_time(&here("b"), &clock));
    }

    #[test]
    fn d16_lengths_of_nothing_and_of_ages_are_refused() {
        assert!(check_length(Duration::ZERO).is_err() && check_length(MAX_LENGTH * 2).is_err());
        assert!(check_length(MAX_LENGTH).is_ok());
    }
}
