//! `Core`: what the handles of one cache share: the store, the flights of this process, events, and the queue of
//! refreshes that hosts pull. It knows no policy.

use super::outcome::Outcome;
use super::pool::Pool;
use super::ticket::Ticket;
use crate::error::{Code, Error, Result};
use crate::event::{Bus, EventKind};
use crate::flight::Flights;
use crate::fs::Durability;
use crate::key::Key;
use crate::stamp::Nanos;
use crate::store::Store;
use crate::sys::fork::PerProcess;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long anything sleeps before it looks again, whatever wakes it: lost wake-ups, dead holders and callers
/// that stop waiting are noticed within this.
pub(crate) const SLICE: Duration = Duration::from_millis(25);

/// Asked at least each [`SLICE`] while a call waits; true ends the wait.
pub type Interrupt<'a> = Option<&'a dyn Fn() -> bool>;

/// The shared part of a cache.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) store: Box<dyn Store>,
    pub(crate) root: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) bus: Bus,
    pub(crate) local: PerProcess<Local>,
    closed: AtomicBool,
}

/// What a forked child begins anew.
#[derive(Debug, Default)]
pub(crate) struct Local {
    pub(crate) flights: Flights<Outcome>,
    pub(crate) pool: Arc<Pool>,
    pulled: Mutex<VecDeque<Ticket>>,
    arrived: Condvar,
}

impl Core {
    pub(crate) fn new(store: Box<dyn Store>, root: PathBuf, durability: Durability) -> Core {
        Core {
            store,
            root,
            durability,
            bus: Bus::default(),
            local: PerProcess::default(),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.is_closed() {
            return Err(Error::new(Code::Closed, "the cache was closed").with_hint("open it again"));
        }
        Ok(())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn now(&self) -> Nanos {
        self.store.clock().wall_ns()
    }

    pub(crate) fn emit(&self, kind: EventKind, key: &Key, code: Option<Code>) {
        self.bus.emit(kind, key, code);
    }

    /// Queues a ticket for whoever pulls.
    pub(crate) fn offer(&self, ticket: Ticket) {
        let local = self.local.get();
        local.pulled.lock().unwrap_or_else(PoisonError::into_inner).push_back(ticket);
        local.arrived.notify_one();
    }

    /// The next queued ticket, waiting for at most `timeout`.
    pub(crate) fn pull(&self, timeout: Option<Duration>, interrupt: Interrupt<'_>) -> Result<Option<Ticket>> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let local = self.local.get();
        let mut queue = local.pulled.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            self.check_open()?;
            if let Some(ticket) = queue.pop_front() {
                return Ok(Some(ticket));
            }
            let left =
                until.map_or(SLICE, |until| until.saturating_duration_since(Instant::now()).min(SLICE));
            if left.is_zero() {
                return Ok(None);
            }
            if interrupt.is_some_and(|interrupted| interrupted()) {
                return Err(cancelled());
            }
            (queue, _) = local.arrived.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until no refresh of this process runs.
    pub(crate) fn drain(&self, timeout: Duration, interrupt: Interrupt<'_>) -> Result<()> {
        let local = self.local.get();
        let until = Instant::now() + timeout.min(Duration::from_secs(86_400));
        while let Some(flight) = local.flights.any() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::new(Code::TimedOut, "refreshes still run after the time to drain them")
                    .with_hint("they end with the process, and the next one settles them"));
            }
            if interrupt.is_some_and(|interrupted| interrupted()) {
                return Err(cancelled());
            }
            flight.wait(left.min(SLICE));
        }
        Ok(())
    }

    /// Refuses further calls.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.drop_queued();
    }

    /// Lets the tickets go that nobody pulled.
    pub(crate) fn drop_queued(&self) {
        let local = self.local.get();
        let queued = std::mem::take(&mut *local.pulled.lock().unwrap_or_else(PoisonError::into_inner));
        local.arrived.notify_all();
        drop(queued);
    }
}

/// The error of a wait that its caller ended.
pub(crate) fn cancelled() -> Error {
    Error::new(Code::Cancelled, "the wait was cancelled; the refresh goes on")
}
