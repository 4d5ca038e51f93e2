//! `Hold`: what a process keeps of a lease it holds: the marker's descriptor with its lock, the descriptor of
//! the value it saw, and the files it prepared. Only the process that took the lease may use it; a forked
//! child's copy is lost from the start.

use super::record::Record;
use super::site::{Site, TempNames};
use crate::error::Result;
use crate::fs::temp::Temp;
use crate::key::Key;
use crate::lease::Term;
use crate::store::{Lease, errors};
use crate::sys::breaks::broken;
use crate::sys::fork::{Held, Permit};
use crate::sys::{Fd, Stat, Sys};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A lease of this process, on disk.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) state: Mutex<State>,
    pub(super) names: TempNames,
    /// The value that was in place when the lease was taken. Kept open, so that its inode number cannot be
    /// given to another file.
    pub(super) value: Option<(Held, Stat)>,
    permit: Mutex<Option<Permit>>,
}

/// What changes while it is held.
#[derive(Debug)]
pub(super) struct State {
    pub(super) marker: Held,
    /// The marker as it was after its rename.
    pub(super) stat: Stat,
    pub(super) term: Term,
    pub(super) prepared: Option<Prepared>,
    pub(super) over: bool,
}

/// The two files of a result, written before the guard is taken.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) value: Temp,
    pub(super) stat: Stat,
    pub(super) record: Record,
    pub(super) was: Option<Record>,
}

impl Hold {
    pub(super) fn new(
        marker: Held,
        stat: Stat,
        term: Term,
        names: TempNames,
        value: Option<(Fd, Stat)>,
        permit: Permit,
    ) -> Hold {
        let state = State { marker, stat, term, prepared: None, over: false };
        Hold {
            state: Mutex::new(state),
            names,
            value: value.map(|(fd, stat)| (Held::new(fd), stat)),
            permit: Mutex::new(Some(permit)),
        }
    }

    /// The state for one call.
    pub(super) fn open(&self, key: &Key) -> Result<MutexGuard<'_, State>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.marker.inherited() {
            return Err(errors::lease_lost(key).with_hint("a ticket belongs to the process that took it"));
        }
        if state.over {
            return Err(errors::already_used(key));
        }
        Ok(state)
    }

    /// Ends the lease on this side: the locks go, and with them what tells others that it lives.
    pub(super) fn end(&self, sys: &dyn Sys, state: &mut State) {
        state.over = true;
        if let Some(prepared) = state.prepared.take() {
            prepared.value.unlock(sys);
        }
        // Explicitly: a forked child may hold a copy of the descriptor.
        if let Some(fd) = state.marker.fd() {
            let _ = sys.unlock(fd);
        }
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl State {
    /// Whether the marker in place is the very file of this lease, and still carries its token: the inode,
    /// because a token can come again after a remove; the token, because the original truncates in place.
    pub(super) fn holds(&self, site: &Site<'_>, token: u64) -> Result<bool> {
        let Some(there) = site.stat(&site.key.files().marker)? else { return Ok(false) };
        if broken("identity") || there.same_file(&self.stat) {
            return Ok(true);
        }
        Ok(there.identity() == self.stat.identity() && site.marker()?.token() == token)
    }
}

/// The hold of a lease that the file store gave.
pub(super) fn of(lease: &Lease) -> Result<&Hold> {
    lease.hold()
}
