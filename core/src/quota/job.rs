//! `QuotaJob`: the right to fetch one quota answer, and what the fetch may know: the credential, the answer so far,
//! how long it may take. It ends once; dropped without an end, the next caller takes over.

use super::Quota;
use super::record::Record;
use crate::entry::Version;
use crate::error::{Code, Error};
use crate::event::EventKind;
use crate::source::assignment::Assignment;
use crate::source::fetched::conditional_headers;
use crate::store::Lease;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What a fetch may know. Cheap to clone; usable from any thread.
#[derive(Clone)]
pub struct QuotaJob(Arc<Inner>);

struct Inner {
    quota: Quota,
    assignment: Assignment,
    previous: Option<Arc<Record>>,
    credential: Box<[u8]>,
}

impl fmt::Debug for QuotaJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuotaJob({:?})", self.0.quota)
    }
}

impl QuotaJob {
    pub(super) fn new(quota: &Quota, lease: Result<Lease, Error>, credential: &[u8]) -> QuotaJob {
        let assignment = Assignment::new(quota.core(), lease, quota.options().timeout);
        let previous = assignment.previous().and_then(|entry| quota.record_of(entry));
        let (quota, credential) = (quota.clone(), credential.into());
        QuotaJob(Arc::new(Inner { quota, assignment, previous, credential }))
    }

    pub(super) fn assignment(&self) -> &Assignment {
        &self.0.assignment
    }

    pub(super) fn record(&self) -> Option<&Arc<Record>> {
        self.0.previous.as_ref()
    }

    /// Which version was in place when the lease was taken.
    pub(super) fn version(&self) -> Version {
        self.0.assignment.previous().map_or_else(Version::absent, |entry| entry.version.clone())
    }

    /// Lets the next caller take over, also while clones of this are kept.
    pub(super) fn let_go(&self) {
        self.0.let_go();
    }

    /// Until when the fetch may take, by the cache's clock.
    #[must_use]
    pub fn deadline(&self) -> SystemTime {
        self.0.assignment.deadline()
    }

    /// How much of that is left: the timeout to give to the request.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.assignment.remaining()
    }

    /// Whether a result would not be stored any more. One look; poll it.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.0.assignment.cancelled()
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
        self.0.assignment.previous()?.validator.as_deref()
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
        if let Some(lease) = self.assignment.let_go() {
            self.quota.core().emit(EventKind::RefreshFailed, &lease.key, Some(Code::HolderDied));
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.let_go();
    }
}
