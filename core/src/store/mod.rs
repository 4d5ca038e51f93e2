//! `Store`: entry, lease and gate per key, changed only by whoever holds the lease, by its fencing token. The
//! file store is the product; the memory store is for programs without a disk and is the model that tests
//! compare with. Both pass one conformance suite (`conformance.rs`).
//!
//! A store knows no policy: what counts as enough is asked of the caller, and who may try is said by it.

pub(crate) mod cell;
#[cfg(test)]
mod conformance;
pub(crate) mod file;
pub(crate) mod index;
pub(crate) mod memory;
#[cfg(test)]
mod model;

use crate::entry::{Entry, Kind, Lifetime, Version};
use crate::error::{Code, Error, Result};
use crate::fs::Durability;
use crate::gate::{Backoff, Gate};
use crate::generation::Table;
use crate::key::Key;
use crate::lease::Seen;
use crate::stamp::Nanos;
use crate::sys::clock::Clock;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The largest value, in bytes.
pub(crate) const MAX_VALUE: u64 = 1 << 30;

/// What one look at a key found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    pub(crate) entry: Option<Arc<Entry>>,
    /// A notice covers the entry: it is not fresh, whatever its age.
    pub(crate) noticed: bool,
    /// Why there is no entry although there are bytes.
    pub(crate) damaged: Option<Error>,
}

/// The lease in force and the gate of a key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) lease: Option<Seen>,
    pub(crate) gate: Option<Gate>,
    /// Of a credential: since when the outcome of an exchange is not known; also while it runs.
    pub(crate) started: Option<Nanos>,
}

/// Which gates an attempt may pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pass<'a> {
    None,
    /// Those that are about a refused credential with another hash than this.
    Credential(&'a str),
    /// Cooldowns that we guessed, as a forced refresh may.
    Guessed,
    /// Also those that a server declared.
    All,
}

/// What a caller wants of `acquire`.
pub(crate) struct Ask<'a> {
    pub(crate) length: Duration,
    pub(crate) guard_timeout: Duration,
    /// Whether what is there is enough, so that no lease is needed.
    pub(crate) enough: &'a dyn Fn(&Look) -> bool,
    pub(crate) pass: Pass<'a>,
    pub(crate) backoff: Backoff,
}

impl Ask<'_> {
    /// Whether the gate holds this caller back.
    fn is_barred_by(&self, gate: &Gate, now: Nanos) -> bool {
        gate.barred_until(now, self.backoff.believed).is_some()
            && match self.pass {
                Pass::None => true,
                Pass::Credential(hash) => !gate.is_about_another(Some(hash)),
                Pass::Guessed => gate.declared,
                Pass::All => false,
            }
    }
}

/// The answer of `acquire`.
pub(crate) enum Claim {
    Lease(Lease),
    InFlight(Seen),
    Enough(Look),
    Gated(Gate, Look),
    /// An exchange was begun at that time, and how it ended is not known.
    Ambiguous(Nanos),
}

/// A lease that this process holds.
pub(crate) struct Lease {
    pub(crate) key: Key,
    pub(crate) token: u64,
    pub(crate) previous: Option<Arc<Entry>>,
    /// What only the store that gave it understands.
    hold: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({} {})", self.key, self.token)
    }
}

impl Lease {
    fn hold<T: 'static>(&self) -> Result<&T> {
        self.hold
            .downcast_ref()
            .ok_or_else(|| Error::new(Code::Invalid, "the ticket belongs to another cache"))
    }
}

/// What is to be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) about: About<'a>,
}

/// What is recorded of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) validator: Option<&'a str>,
    pub(crate) extra: Option<&'a str>,
    pub(crate) lifetime: Lifetime,
    pub(crate) durability: Durability,
}

impl About<'_> {
    /// The entry of those bytes; `token` is none for what was not stored.
    pub(crate) fn entry(&self, data: &[u8], token: Option<u64>, stored_ns: Nanos) -> Entry {
        Entry {
            data: data.into(),
            stored_ns,
            validator: self.validator.map(Into::into),
            extra: self.extra.map(Into::into),
            version: token.map_or_else(Version::absent, |token| Version(Kind::Token(token))),
            token,
            lifetime: self.lifetime,
        }
    }
}

/// What a commit did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Committed {
    pub(crate) token: u64,
    pub(crate) stored_ns: Nanos,
    /// A notice that arrived meanwhile covers the result.
    pub(crate) noticed: bool,
}

/// How a refresh failed, for the gate.
#[derive(Clone, Copy)]
pub(crate) struct Failed<'a> {
    pub(crate) code: Code,
    pub(crate) message: &'a str,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) backoff: Backoff,
    pub(crate) durability: Durability,
    /// The hash of the credential that was used.
    pub(crate) credential: Option<&'a str>,
    /// What is to be done, by what is in place then; none: [`Verdict::Gate`].
    pub(crate) judge: Option<&'a dyn Fn(&Look) -> Verdict>,
    /// What was started stays open: how it ended is not known.
    pub(crate) ambiguous: bool,
}

impl<'a> Failed<'a> {
    /// A failure that sets the gate.
    pub(crate) fn new(code: Code, message: &'a str, backoff: Backoff, durability: Durability) -> Failed<'a> {
        let (retry_after, credential, judge, ambiguous) = (None, None, None, false);
        Failed { code, message, retry_after, backoff, durability, credential, judge, ambiguous }
    }
}

/// What a failure does to the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It sets the gate.
    Gate,
    /// The gate is set, and the value removed.
    GateAndRemove,
    /// It came too late to say anything.
    Nothing,
}

/// What a failure report found.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The failure is recorded in this gate.
    Recorded(Box<Gate>),
    /// It was judged to have come too late.
    Ignored,
    /// A settler had stored the result already, so the refresh succeeded.
    Stored,
}

/// What `prune` did.
#[derive(Clone, Debug, Default)]
pub struct Pruned {
    /// The sources that were removed.
    pub removed: Vec<Key>,
    /// The sources that were not, and why.
    pub skipped: Vec<(Key, String)>,
    /// How many other files were swept: temporary ones, orphaned markers and gates.
    pub swept: usize,
}

/// Keeps entries, leases and gates.
pub(crate) trait Store: Send + Sync + fmt::Debug {
    fn clock(&self) -> &Clock;
    fn look(&self, key: &Key) -> Result<Look>;
    fn facts(&self, key: &Key) -> Result<Facts>;
    fn acquire(&self, key: &Key, ask: &Ask<'_>) -> Result<Claim>;
    /// On [`Code::LockTimeout`] the lease stays, and the call may be repeated with the same bytes.
    fn complete(&self, lease: &Lease, draft: &Draft<'_>) -> Result<Committed>;
    fn unchanged(&self, lease: &Lease, about: &About<'_>) -> Result<Committed>;
    fn fail(&self, lease: &Lease, failed: &Failed<'_>) -> Result<Ended>;
    fn renew(&self, lease: &Lease, length: Duration) -> Result<()>;
    /// Whether the lease is still the one in force; one look.
    fn holds(&self, lease: &Lease) -> bool;
    /// Lets the lease go without an end: the next one settles it.
    fn release(&self, lease: &Lease);
    /// Marks, durably, that what may not be begun twice is about to begin on the version in place.
    fn start(&self, lease: &Lease) -> Result<()>;
    fn put(&self, key: &Key, draft: &Draft<'_>) -> Result<Committed>;
    /// Puts that gate in place of the one that is there, which is handed in.
    fn bar(&self, key: &Key, durability: Durability, gate: &dyn Fn(Option<&Gate>) -> Gate) -> Result<Gate>;
    /// Removes the gate, also a declared one; whether there was one.
    fn unbar(&self, key: &Key, durability: Durability) -> Result<bool>;
    fn mark_stale(&self, key: &Key, durability: Durability) -> Result<()>;
    fn remove(&self, key: &Key, durability: Durability) -> Result<bool>;
    /// The sources that have a value.
    fn keys(&self) -> Result<Vec<Key>>;
    /// The quota records, with or without data.
    fn quotas(&self) -> Result<Vec<Key>>;
    fn prune(&self, keep: &[Key]) -> Result<Pruned>;
    /// Sweeps what dead writers of the key left, however young it is.
    fn sweep(&self, key: &Key) -> Result<()>;
    /// The number that moves with every change of the key, for `sleep`.
    fn generation(&self, key: &Key) -> u32;
    /// Sleeps until the number moves from `seen`, `timeout` is over, or for no reason.
    fn sleep(&self, key: &Key, seen: u32, timeout: Duration);
    /// The shared table, if there is one, and whether it is the current one is for the caller to ask.
    fn table(&self) -> Option<Arc<Table>>;
    fn random(&self, bytes: &mut [u8]);

    /// A number uniform in 0..1, for jitter. Under a clock that tests move there is none, so that they are exact.
    fn chance(&self) -> f64 {
        if !self.clock().is_real() {
            return 1.0;
        }
        let mut bytes = [0; 4];
        self.random(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}

/// The errors that both stores give.
pub(crate) mod errors {
    use super::{Code, Error, Key, Nanos};

    pub(crate) fn lease_lost(key: &Key) -> Error {
        Error::new(Code::LeaseLost, format!("{key}: the lease was lost before the result came: not stored"))
            .with_hint("raise the deadline, or renew the lease while working")
    }

    pub(crate) fn already_used(key: &Key) -> Error {
        Error::new(Code::AlreadyUsed, format!("{key}: the ticket has ended before"))
    }

    pub(crate) fn nothing_unchanged(key: &Key) -> Error {
        Error::new(Code::Invalid, format!("{key}: \"unchanged\", but there is no value"))
            .with_hint("send the validator only when there is one")
    }

    pub(crate) fn ambiguous(key: &Key, since: Nanos) -> Error {
        let since =
            jiff::Timestamp::from_nanosecond(since.into()).map(|at| at.to_string()).unwrap_or_default();
        ambiguous_because(format!("{key}: an exchange was begun at {since}, and how it ended is not known"))
    }

    pub(crate) fn ambiguous_because(message: String) -> Error {
        Error::new(Code::Ambiguous, message)
            .with_hint("log in again, then store the new credential with rotate_reset")
    }

    pub(crate) fn superseded(key: &Key) -> Error {
        Error::new(Code::Superseded, format!("{key}: a newer value was put meanwhile: not stored"))
    }

    pub(crate) fn too_many_leases() -> Error {
        Error::new(Code::TooManyLeases, "this process holds as many leases as it may")
            .with_hint("end some refreshes before starting more")
    }

    pub(crate) fn too_large(key: &Key, size: u64) -> Error {
        Error::new(Code::Invalid, format!("{key}: a value of {size} bytes is over the limit of 1 GiB"))
            .with_hint("store the path of a file instead")
    }
}
