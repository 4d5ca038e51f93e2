//! `SourceOptions`, `RefreshOptions`, `AcquireOptions` and `Wait`: what callers may say, with the defaults that
//! all languages share. Values only; nothing here acts.

use crate::entry::Version;
use crate::fs::Durability;
use std::time::{Duration, SystemTime};

/// How long a refresh may take unless the caller says otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// How one source is read and refreshed. Each field has a method of its name on [`Source`](crate::Source).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceOptions {
    /// Fresh while younger than this. Needed by the calls that refresh only what is not fresh.
    pub ttl: Option<Duration>,
    /// May be served for this long after it stopped being fresh; none: without end.
    pub max_stale: Option<Duration>,
    /// The same after a failed refresh; none: as `max_stale`.
    pub stale_if_error: Option<Duration>,
    /// How long a refresh may take, from when its lease is taken.
    pub deadline: Duration,
    /// How well commits survive a power cut; none: as the cache says.
    pub durability: Option<Durability>,
    /// The shortest guessed cooldown after a failure; none: 250 ms.
    pub backoff_floor: Option<Duration>,
    /// The longest one; none: the smaller of ttl and five minutes.
    pub backoff_cap: Option<Duration>,
}

impl Default for SourceOptions {
    fn default() -> Self {
        SourceOptions {
            ttl: None,
            max_stale: None,
            stale_if_error: None,
            deadline: DEFAULT_DEADLINE,
            durability: None,
            backoff_floor: None,
            backoff_cap: None,
        }
    }
}

/// How a forced refresh is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RefreshOptions {
    /// A value stored after this instant will do.
    pub min_fresh_at: Option<SystemTime>,
    /// Try although a server said when to come back.
    pub override_gate: bool,
}

/// When a ticket is wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AcquireOptions {
    /// How long the refresh may take; none: as the source says.
    pub deadline: Option<Duration>,
    /// Not if the value is fresh.
    pub unless_fresh: bool,
    /// Not if the value is another than this version.
    pub unless_changed_since: Option<Version>,
    /// Pass a cooldown that was guessed.
    pub force: bool,
    /// Pass every gate.
    pub override_gate: bool,
}

/// How long `get` waits for a refresh before it returns what there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Wait {
    /// Until the refresh has ended, or its lease has.
    #[default]
    UntilDone,
    /// At most this long; the refresh goes on after it. Zero starts one and returns at once.
    AtMost(Duration),
}

impl From<Duration> for Wait {
    fn from(duration: Duration) -> Wait {
        Wait::AtMost(duration)
    }
}

impl From<Option<Duration>> for Wait {
    fn from(duration: Option<Duration>) -> Wait {
        duration.map_or(Wait::UntilDone, Wait::AtMost)
    }
}
