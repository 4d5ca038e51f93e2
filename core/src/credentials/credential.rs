//! `Credential`, `RotateState` and `Exchange`: what a rotation returns, what is known of one, and what an exchange
//! may know. The secret never shows in what is printed for debugging.

use crate::entry::{Entry, Version};
use crate::error::Error;
use crate::source::assignment::Assignment;
use crate::source::value::{How, Phase};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A credential as it is kept: the bytes as given. Cheap to clone; the bytes are shared.
#[derive(Clone)]
pub struct Credential {
    pub(super) entry: Arc<Entry>,
    pub(super) how: How,
    pub(super) error: Option<Error>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({} bytes, version {}, {})", self.entry.data.len(), self.entry.version, self.how)
    }
}

impl Credential {
    /// The secret.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.entry.data
    }

    /// Which version it is: what the next `rotate` is told that the caller has seen.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.entry.version
    }

    /// When it was stored.
    #[must_use]
    pub fn stored_at(&self) -> SystemTime {
        self.entry.stored_at()
    }

    /// How it came to be returned: fresh (it was there), ran, coalesced (another exchanged it), or uncoordinated:
    /// exchanged but not stored, so the caller has the only copy.
    #[must_use]
    pub fn how(&self) -> How {
        self.how
    }

    /// Why it could not be stored.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }
}

/// What is known of a credential's rotation.
#[derive(Clone, Debug)]
pub struct RotateState {
    /// Running while a lease is in force, cooling while a gate bars the next exchange.
    pub phase: Phase,
    /// Since when the outcome of an exchange is not known; none where nothing is open.
    pub ambiguous_since: Option<SystemTime>,
    /// When the next exchange may be made.
    pub retry_at: Option<SystemTime>,
    /// The latest failure.
    pub last_error: Option<Error>,
    /// The version that is stored; [`Version::absent`] where none is.
    pub version: Version,
}

/// The right to make one exchange, and what it may know. Cheap to clone; usable from any thread.
#[derive(Clone)]
pub struct Exchange(pub(super) Arc<Assignment>);

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")?;
        self.0.lease().map_or(Ok(()), |lease| write!(f, "({})", lease.key))
    }
}

impl Exchange {
    /// The credential that is to be exchanged; none the first time.
    #[must_use]
    pub fn previous(&self) -> Option<&[u8]> {
        self.0.previous().map(|entry| &*entry.data)
    }

    /// Until when the exchange may take, by the clock in use. One that takes longer is not made again by others: they
    /// are told that its outcome is not known until it ends.
    #[must_use]
    pub fn deadline(&self) -> SystemTime {
        self.0.deadline()
    }

    /// How much of that is left: the timeout to give to the request.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.remaining()
    }

    /// Whether a result would not be stored any more. One look; poll it.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}
