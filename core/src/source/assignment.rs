//! `Assignment`: a lease in the hands of whoever does the work for it: until when, whether a result would still count,
//! and how it ends. It ends once; dropped without an end, the next caller takes over. It knows no policy.

use super::core::Core;
use crate::entry::Entry;
use crate::error::{Code, Error, Result};
use crate::event::EventKind;
use crate::stamp::{Nanos, instant, nanos};
use crate::store::{Committed, Draft, Ended, Failed, Lease};
use crate::sys::fork::forks;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

/// A lease, and what is known of its use.
pub(crate) struct Assignment {
    core: Arc<Core>,
    /// None where the disk had no room for a lease: the work is done all the same, uncoordinated.
    lease: Result<Lease>,
    deadline_ns: Nanos,
    ended: AtomicBool,
    forks: u64,
}

impl Assignment {
    /// The lease is used from now on, for that long.
    pub(crate) fn new(core: &Arc<Core>, lease: Result<Lease>, length: Duration) -> Assignment {
        if let Ok(lease) = &lease {
            core.emit(EventKind::RefreshStarted, &lease.key, None);
        }
        let deadline_ns = core.now().saturating_add(nanos(length));
        Assignment {
            core: Arc::clone(core),
            lease,
            deadline_ns,
            ended: AtomicBool::new(false),
            forks: forks(),
        }
    }

    /// The lease, or why there is none.
    pub(crate) fn lease(&self) -> std::result::Result<&Lease, &Error> {
        self.lease.as_ref()
    }

    /// What was stored when the lease was taken.
    pub(crate) fn previous(&self) -> Option<&Arc<Entry>> {
        self.lease.as_ref().ok()?.previous.as_ref()
    }

    pub(crate) fn deadline(&self) -> SystemTime {
        instant(self.deadline_ns)
    }

    pub(crate) fn remaining(&self) -> Duration {
        let left = self.deadline_ns.saturating_sub(self.core.now());
        Duration::from_nanos(u64::try_from(left).unwrap_or(0))
    }

    /// Whether a result would not be stored any more. One look.
    pub(crate) fn cancelled(&self) -> bool {
        self.core.is_closed()
            || self.ended.load(Ordering::Acquire)
            || self.forks != forks()
            || self.lease.as_ref().is_ok_and(|lease| !self.core.store.holds(lease))
    }

    /// Stores a result; `kind` is what is told where that succeeds. Where it does not, the lease is let go.
    pub(crate) fn store(&self, draft: &Draft<'_>, kind: EventKind) -> Result<Committed> {
        let lease = self.lease.as_ref().map_err(Error::clone)?;
        let stored = self.until_over(|| self.core.store.complete(lease, draft));
        let code = stored.as_ref().err().map(Error::code);
        let kind = match code {
            None => kind,
            Some(Code::LeaseLost | Code::Superseded) => EventKind::LeaseLost,
            Some(_) => EventKind::RefreshFailed,
        };
        if code.is_some() {
            self.core.store.release(lease);
        }
        self.core.emit(kind, &lease.key, code);
        stored
    }

    /// Records a failure, which is told under that code. Where that does not succeed, the lease is let go.
    pub(crate) fn fail(&self, failed: &Failed<'_>, code: Code) -> Result<Ended> {
        let lease = self.lease.as_ref().map_err(Error::clone)?;
        let ended = self.until_over(|| self.core.store.fail(lease, failed));
        if ended.is_err() {
            self.core.store.release(lease);
        }
        self.core.emit(EventKind::RefreshFailed, &lease.key, Some(code));
        ended
    }

    /// A guard that cannot be had is tried again until the lease is over: the work is done.
    fn until_over<T>(&self, mut end: impl FnMut() -> Result<T>) -> Result<T> {
        loop {
            match end() {
                Err(error) if error.code() == Code::LockTimeout && !self.cancelled() => {}
                other => return other,
            }
        }
    }

    /// Says that it has ended.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Ends it without a result; the lease, if it was in force until now.
    pub(crate) fn let_go(&self) -> Option<&Lease> {
        if self.ended.swap(true, Ordering::AcqRel) || self.forks != forks() {
            return None;
        }
        let lease = self.lease.as_ref().ok()?;
        self.core.store.release(lease);
        Some(lease)
    }
}

impl Drop for Assignment {
    fn drop(&mut self) {
        self.let_go();
    }
}
