//! `QuotaJob`: the right to fetch one quota answer, and what the fetch may know: the credential, the answer so far,
//! how long it may take. It ends once; dropped without an end, the next caller takes over.

use super::Quota;
use super::record::Record;
use crate::entry::Version;
use crate::error::{Code, Error};
use crate::event::EventKind;
use crate::source::fetched::conditional_headers;
use crate::stamp::{Nanos, instant, nanos};
use crate::store::Lease;
use crate::sys::fork::forks;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

/// What a fetch may know. Cheap to clone; usable from any thread.
#[derive(Clone)]
pub struct QuotaJob(Arc<Inner>);

struct Inner {
    quota: Quota,
    /// None where the disk had no room for a lease: the fetch is made all the same, uncoordinated.
    lease: Result<Lease, Error>,
    previous: Option<Arc<Record>>,
    credential: Box<[u8]>,
    deadline_ns: Nanos,
    ended: AtomicBool,
    forks: u64,
}

impl fmt::Debug for QuotaJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuotaJob({:?})", self.0.quota)
    }
}

impl QuotaJob {
    pub(super) fn new(quota: &Quota, lease: Result<Lease, Error>, credential: &[u8]) -> QuotaJob {
        let core = quota.core();
        let previous = lease.as_ref().ok().and_then(|lease| quota.record_of(lease.previous.as_ref()?));
        let deadline_ns = core.now().saturating_add(nanos(quota.options().timeout));
        if let Ok(lease) = &lease {
            core.emit(EventKind::RefreshStarted, &lease.key, None);
        }
        QuotaJob(Arc::new(Inner {
            quota: quota.clone(),
            lease,
            previous,
            credential: credential.into(),
            deadline_ns,
            ended: AtomicBool::new(false),
            forks: forks(),
        }))
    }

    pub(super) fn lease(&self) -> Result<&Lease, &Error> {
        self.0.lease.as_ref()
    }

    pub(super) fn record(&self) -> Option<&Arc<Record>> {
        self.0.previous.as_ref()
    }

    /// Which version was in place when the lease was taken.
    pub(super) fn version(&self) -> Version {
        let previous = self.0.lease.as_ref().ok().and_then(|lease| lease.previous.as_ref());
        previous.map_or_else(Version::absent, |entry| entry.version.clone())
    }

    pub(super) fn end(&self) {
        self.0.ended.store(true, Ordering::Release);
    }

    /// Lets the next caller take over, also while clones of this are kept.
    pub(super) fn let_go(&self) {
        self.0.let_go();
    }

    /// Until when the fetch may take, by the cache's clock.
    #[must_use]
    pub fn deadline(&self) -> SystemTime {
        instant(self.0.deadline_ns)
    }

    /// How much of that is left: the timeout to give to the request.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        let left = self.0.deadline_ns.saturating_sub(self.0.quota.core().now());
        Duration::from_nanos(u64::try_from(left).unwrap_or(0))
    }

    /// Whether a result would not be stored any more. One look; poll it.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        let core = self.0.quota.core();
        core.is_closed()
            || self.0.ended.load(Ordering::Acquire)
            || self.0.forks != forks()
            || self.0.lease.as_ref().is_ok_and(|lease| !core.store.holds(lease))
    }

    /// What `credentials` returned; empty where there is no such callback.
    #[must_use]
    pub fn credential(&self) -> &[u8] {
        &self.0.credential
    }

    /// The answer so far, as JSON.
    #[must_use]
    pub fn previous(&self) -> Option<&str> {
        self.0.previous.as_ref()?.data().map(|data| &**data)
    }

    /// What the server said identifies the answer so far.
    #[must_use]
    pub fn validator(&self) -> Option<&str> {
        self.previous()?;
        self.0.lease.as_ref().ok()?.previous.as_ref()?.validator.as_deref()
    }

    /// The headers of a conditional request.
    #[must_use]
    pub fn conditional_headers(&self) -> Vec<(&'static str, String)> {
        conditional_headers(self.validator())
    }
}

impl Inner {
    /// Ends it without a result: the next caller takes over.
    fn let_go(&self) {
        if self.ended.swap(true, Ordering::AcqRel) || self.forks != forks() {
            return;
        }
        if let Ok(lease) = &self.lease {
            let core = self.quota.core();
            core.store.release(lease);
            core.emit(EventKind::RefreshFailed, &lease.key, Some(Code::HolderDied));
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.let_go();
    }
}
