//! `Ticket`: the right to make one refresh, handed to whoever does the work, on any thread. It ends once: with
//! a value, with "unchanged", or with a failure; dropped without an end, the next caller settles it.

use super::Source;
use super::core::Core;
use super::fetched::{Commit, Failure, Fetched, conditional_headers};
use super::outcome::Outcome;
use super::value::{How, Value};
use crate::entry::Entry;
use crate::error::{Code, Error, Result};
use crate::event::EventKind;
use crate::flight::Flight;
use crate::gate::bounded;
use crate::key::Key;
use crate::stamp::{Nanos, instant, nanos};
use crate::store::{Committed, Draft, Ended, Failed, Lease, errors};
use crate::sys::fork::forks;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// The right to refresh one source. Cheap to clone: clones are the same ticket. Usable from any thread, but
/// only in the process that took it.
#[derive(Clone)]
pub struct Ticket(Arc<Inner>);

struct Inner {
    source: Source,
    key: Key,
    /// None where the disk had no room for a lease: the work is done all the same, uncoordinated.
    lease: std::result::Result<Lease, Error>,
    deadline_ns: AtomicI64,
    flight: Arc<Flight<Outcome>>,
    used: AtomicBool,
    forks: u64,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.0.key)
    }
}

impl Ticket {
    pub(crate) fn new(
        source: &Source,
        key: &Key,
        lease: std::result::Result<Lease, Error>,
        length: Duration,
    ) -> Ticket {
        let core = source.core();
        let flight = Flight::new(lease.as_ref().map_or(0, |lease| lease.token));
        core.local.get().flights.begin(key, &flight);
        core.emit(EventKind::RefreshStarted, key, None);
        let deadline_ns = AtomicI64::new(core.now().saturating_add(nanos(length)));
        let (source, key) = (source.clone(), key.clone());
        Ticket(Arc::new(Inner {
            source,
            key,
            lease,
            deadline_ns,
            flight,
            used: AtomicBool::new(false),
            forks: forks(),
        }))
    }

    pub(crate) fn flight(&self) -> &Arc<Flight<Outcome>> {
        &self.0.flight
    }

    fn core(&self) -> &Arc<Core> {
        self.0.source.core()
    }

    /// Which source.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.0.key
    }

    /// The fencing token; 0 where the work is not coordinated.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.0.flight.token()
    }

    /// Until when the work may take, by the cache's clock.
    #[must_use]
    pub fn deadline(&self) -> SystemTime {
        instant(self.0.deadline_ns.load(Ordering::Relaxed))
    }

    /// How much of that is left.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        let left = self.0.deadline_ns.load(Ordering::Relaxed).saturating_sub(self.core().now());
        Duration::from_nanos(u64::try_from(left).unwrap_or(0))
    }

    /// Whether a result would not be stored any more: something was put or removed, the lease is over, or the
    /// cache was closed. One look; poll it.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        if self.core().is_closed() || self.0.used.load(Ordering::Relaxed) || self.0.forks != forks() {
            return true;
        }
        self.0.lease.as_ref().is_ok_and(|lease| !self.core().store.holds(lease))
    }

    /// The value when the ticket was taken.
    #[must_use]
    pub fn previous(&self) -> Option<&Arc<Entry>> {
        self.0.lease.as_ref().ok()?.previous.as_ref()
    }

    /// Its validator.
    #[must_use]
    pub fn validator(&self) -> Option<&str> {
        self.previous()?.validator.as_deref()
    }

    /// The headers of a conditional request.
    #[must_use]
    pub fn conditional_headers(&self) -> Vec<(&'static str, String)> {
        conditional_headers(self.validator())
    }

    fn open(&self) -> Result<()> {
        if self.0.forks != forks() {
            return Err(
                errors::lease_lost(&self.0.key).with_hint("a ticket belongs to the process that took it")
            );
        }
        self.core().check_open()?;
        if self.0.used.load(Ordering::Acquire) {
            return Err(errors::already_used(&self.0.key));
        }
        Ok(())
    }

    /// Stores the bytes and ends the ticket.
    ///
    /// # Errors
    /// [`Code::LeaseLost`] and [`Code::Superseded`]: nothing was stored. [`Code::LockTimeout`]: not stored yet,
    /// the ticket stays open, call again with the same bytes. [`Code::AlreadyUsed`]: it has ended before.
    /// [`Code::Closed`]: the cache was closed; the next process settles the lease.
    pub fn complete(&self, data: impl AsRef<[u8]>, commit: &Commit) -> Result<Value> {
        self.open()?;
        let (data, about) = (data.as_ref(), self.0.source.about(commit));
        let stored = match &self.0.lease {
            Ok(lease) => self.core().store.complete(lease, &Draft { data, about }),
            Err(error) => Err(error.clone()),
        };
        match stored {
            Ok(done) => Ok(self.stored(about.entry(data, Some(done.token), done.stored_ns), &done, How::Ran)),
            Err(error) => Err(self.not_stored(about.entry(data, None, self.core().now()), error)),
        }
    }

    /// Says that the previous value still holds, and ends the ticket.
    ///
    /// # Errors
    /// As [`Ticket::complete`]; [`Code::Invalid`] where there is no previous value.
    pub fn unchanged(&self, commit: &Commit) -> Result<Value> {
        self.open()?;
        let about = self.0.source.about(commit);
        let Ok(lease) = &self.0.lease else {
            return Err(errors::nothing_unchanged(&self.0.key));
        };
        let done = match self.core().store.unchanged(lease, &about) {
            Ok(done) => done,
            Err(error) if error.code() == Code::Invalid || error.code() == Code::LockTimeout => {
                return Err(error);
            }
            Err(error) => {
                let previous = lease.previous.clone();
                return Err(match previous {
                    Some(entry) => self.not_stored(Entry::clone(&entry), error),
                    None => error,
                });
            }
        };
        let previous = lease.previous.as_deref();
        let mut renewed =
            about.entry(previous.map_or(&[][..], |e| &e.data), Some(done.token), done.stored_ns);
        renewed.validator = renewed.validator.or_else(|| previous?.validator.clone());
        renewed.extra = renewed.extra.or_else(|| previous?.extra.clone());
        Ok(self.stored(renewed, &done, How::Unchanged))
    }

    fn stored(&self, entry: Entry, done: &Committed, how: How) -> Value {
        let kind = if how == How::Ran { EventKind::RefreshSucceeded } else { EventKind::RefreshUnchanged };
        let outcome = Outcome::Stored { entry: Arc::new(entry), noticed: done.noticed, how };
        let value = self.0.source.value_of(&outcome);
        self.end(kind, None, outcome);
        value
    }

    fn not_stored(&self, entry: Entry, error: Error) -> Error {
        if error.code() == Code::LockTimeout || (error.code() == Code::Invalid && self.0.lease.is_ok()) {
            return error;
        }
        let kind = match error.code() {
            Code::LeaseLost | Code::Superseded => EventKind::LeaseLost,
            _ => EventKind::RefreshFailed,
        };
        if let Ok(lease) = &self.0.lease {
            self.core().store.release(lease);
        }
        let outcome = Outcome::NotStored { entry: Arc::new(entry), error: error.clone() };
        self.end(kind, Some(error.code()), outcome);
        error
    }

    /// Records that the work failed, and ends the ticket. The last good value stays.
    ///
    /// # Errors
    /// [`Code::LeaseLost`]: another refresh has taken over. [`Code::LockTimeout`]: the ticket stays open.
    /// Others: the failure could not be recorded; the ticket has ended.
    pub fn fail(&self, failure: &Failure) -> Result<()> {
        self.open()?;
        let message = bounded(&failure.message);
        let mut error = failure.caused(Error::new(failure.code, message.clone()));
        let Ok(lease) = &self.0.lease else {
            self.end(EventKind::RefreshFailed, Some(failure.code), Outcome::Failed(error));
            return Ok(());
        };
        let (backoff, durability) = (self.0.source.backoff_rule(), self.0.source.durability_now());
        let failed = Failed {
            retry_after: failure.retry_after,
            ..Failed::new(failure.code, &message, backoff, durability)
        };
        let result = match self.core().store.fail(lease, &failed) {
            Err(late) if late.code() == Code::LockTimeout => return Err(late),
            Ok(Ended::Stored) => {
                let value = self.0.source.read()?;
                if let Some(entry) = value.entry {
                    let outcome = Outcome::Stored { entry, noticed: false, how: How::Ran };
                    self.end(EventKind::RefreshSucceeded, None, outcome);
                    return Ok(());
                }
                Ok(())
            }
            Ok(Ended::Ignored) => Ok(()),
            Ok(Ended::Recorded(gate)) => {
                error = error.with_retry_at(gate.retry_at(self.core().now(), failed.backoff.cap));
                Ok(())
            }
            Err(other) => Err(other),
        };
        self.end(EventKind::RefreshFailed, Some(failure.code), Outcome::Failed(error));
        result
    }

    /// Moves the deadline to `length` from now.
    ///
    /// # Errors
    /// [`Code::LeaseLost`] where the lease is no longer ours; [`Code::Invalid`] for a length of 0 or over 24 h.
    pub fn renew(&self, length: Duration) -> Result<()> {
        self.open()?;
        if let Ok(lease) = &self.0.lease {
            self.core().store.renew(lease, length)?;
        }
        let deadline: Nanos = self.core().now().saturating_add(nanos(length));
        self.0.deadline_ns.store(deadline, Ordering::Relaxed);
        Ok(())
    }

    /// Ends the ticket with what a refresher returned. A guard that cannot be had is tried again until the
    /// lease is over: the work is done, and its bytes are at hand.
    pub(crate) fn end_with(&self, fetched: &std::result::Result<Fetched, Failure>) -> Result<()> {
        loop {
            let ended = match fetched {
                Ok(Fetched { data: Some(data), commit }) => self.complete(data, commit).map(drop),
                Ok(Fetched { data: None, commit }) => self.unchanged(commit).map(drop),
                Err(failure) => self.fail(failure),
            };
            match ended {
                Err(error) if error.code() == Code::LockTimeout && !self.cancelled() => {}
                Err(error) if matches!(error.code(), Code::LockTimeout | Code::Invalid) => {
                    self.give_up(&error);
                    return Err(error);
                }
                other => return other,
            }
        }
    }

    fn give_up(&self, error: &Error) {
        if self.open().is_ok() {
            let failure = Failure::new(error.code(), error.to_string());
            if self.fail(&failure).is_err() {
                if let Ok(lease) = &self.0.lease {
                    self.core().store.release(lease);
                }
                self.end(EventKind::RefreshFailed, Some(error.code()), Outcome::Failed(error.clone()));
            }
        }
    }

    fn end(&self, kind: EventKind, code: Option<Code>, outcome: Outcome) {
        self.0.used.store(true, Ordering::Release);
        self.core().emit(kind, &self.0.key, code);
        self.core().local.get().flights.end(&self.0.key, &self.0.flight, outcome);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.used.load(Ordering::Acquire) || self.forks != forks() {
            return;
        }
        let core = self.source.core();
        if let Ok(lease) = &self.lease {
            core.store.release(lease);
        }
        core.emit(EventKind::RefreshFailed, &self.key, Some(Code::HolderDied));
        core.local.get().flights.end(&self.key, &self.flight, Outcome::Abandoned);
    }
}
