//! `QuotaOptions`: how one quota answer is kept and fetched, with the defaults that all languages share. Values
//! only; nothing here acts.

use crate::fs::Durability;
use crate::source::options::Wait;
use std::time::Duration;

/// How a quota answer is kept and fetched. Each field has a method of its name on [`Quota`](crate::Quota).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuotaOptions {
    /// An answer is fresh while younger than this: 3 minutes.
    pub ttl: Duration,
    /// A recorded error (only the original program records one) holds for this long: 30 seconds.
    pub error_ttl: Duration,
    /// The cooldown after a 429 that names no time: 5 minutes.
    pub rate_limited: Duration,
    /// The cooldown after a 401 or 403: 5 minutes.
    pub unauthorized: Duration,
    /// How long a fetch may take: 2 seconds.
    pub timeout: Duration,
    /// An answer may be served for this long after it stopped being fresh: 24 hours.
    pub max_stale: Duration,
    /// The shortest cooldown, also of one that a server declared: 1 second.
    pub backoff_floor: Duration,
    /// The longest guessed cooldown after other failures: 3 minutes.
    pub backoff_cap: Duration,
    /// How long a caller without anything to show waits for another's fetch.
    pub wait: Wait,
    /// How well records survive a power cut; none: as the cache says.
    pub durability: Option<Durability>,
}

impl Default for QuotaOptions {
    fn default() -> Self {
        QuotaOptions {
            ttl: Duration::from_secs(180),
            error_ttl: Duration::from_secs(30),
            rate_limited: Duration::from_secs(300),
            unauthorized: Duration::from_secs(300),
            timeout: Duration::from_secs(2),
            max_stale: Duration::from_secs(24 * 3600),
            backoff_floor: Duration::from_secs(1),
            backoff_cap: Duration::from_secs(180),
            wait: Wait::UntilDone,
            durability: None,
        }
    }
}
