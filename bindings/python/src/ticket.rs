//! `Ticket` and `Attempt`: the right to refresh, and the state machine of one call. Python drives them, so that
//! refreshers run on Python's own threads and tasks and no Rust frame lies below them.

use crate::error::{self, failure, stamp};
use crate::gil::{enter, news};
use crate::value::{Slot, Value};
use forebay::{Code, Commit, Error, Next};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is recorded with a commit: validator, ttl and `max_stale` in nanoseconds, extra text.
pub(crate) type Terms = (Option<String>, Option<u64>, Option<u64>, Option<String>);

pub(crate) fn commit((validator, ttl, max_stale, extra): Terms) -> Commit {
    Commit {
        validator,
        ttl: ttl.map(Duration::from_nanos),
        max_stale: max_stale.map(Duration::from_nanos),
        extra,
    }
}

/// The right to refresh one source.
#[pyclass(frozen, module = "forebay._forebay")]
pub(crate) struct Ticket {
    /// None once closed.
    inner: Mutex<Option<forebay::Ticket>>,
    slot: Slot,
    before: Slot,
}

impl Ticket {
    pub(crate) fn new(ticket: forebay::Ticket, slot: &Slot) -> Ticket {
        Ticket { inner: Mutex::new(Some(ticket)), slot: slot.clone(), before: Slot::default() }
    }

    fn open(&self, py: Python<'_>) -> PyResult<forebay::Ticket> {
        // Held for an instant only, and never while the GIL is released.
        lock(&self.inner)
            .clone()
            .ok_or_else(|| error::raise(py, &Error::new(Code::AlreadyUsed, "the ticket was closed")))
    }
}

#[pymethods]
impl Ticket {
    fn key(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.open(py)?.key().to_string())
    }

    fn token(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.open(py)?.token())
    }

    fn deadline_ns(&self, py: Python<'_>) -> PyResult<i64> {
        Ok(stamp(self.open(py)?.deadline()))
    }

    fn remaining(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.open(py)?.remaining().as_secs_f64())
    }

    fn cancelled(&self, py: Python<'_>) -> PyResult<bool> {
        let Ok(ticket) = self.open(py) else { return Ok(true) };
        enter(py, || Ok(ticket.cancelled()))
    }

    fn previous(&self, py: Python<'_>) -> PyResult<Option<Py<PyBytes>>> {
        let ticket = self.open(py)?;
        Ok(ticket.previous().map(|entry| self.before.bytes(py, entry)))
    }

    fn validator(&self, py: Python<'_>) -> PyResult<Option<String>> {
        Ok(self.open(py)?.validator().map(str::to_owned))
    }

    fn conditional_headers(&self, py: Python<'_>) -> PyResult<Vec<(&'static str, String)>> {
        Ok(self.open(py)?.conditional_headers())
    }

    fn complete(&self, py: Python<'_>, data: PyBackedBytes, terms: Terms) -> PyResult<Value> {
        let ticket = self.open(py)?;
        let value = enter(py, || ticket.complete(&data[..], &commit(terms)))?;
        Ok(Value::new(value, &self.slot))
    }

    fn unchanged(&self, py: Python<'_>, terms: Terms) -> PyResult<Value> {
        let ticket = self.open(py)?;
        let value = enter(py, || ticket.unchanged(&commit(terms)))?;
        Ok(Value::new(value, &self.slot))
    }

    fn fail(&self, py: Python<'_>, code: &str, message: String, retry_ns: Option<u64>) -> PyResult<()> {
        let ticket = self.open(py)?;
        let failure = failure(py, code, message, retry_ns)?;
        enter(py, || ticket.fail(&failure))
    }

    fn renew(&self, py: Python<'_>, ns: u64) -> PyResult<()> {
        let ticket = self.open(py)?;
        enter(py, || ticket.renew(Duration::from_nanos(ns)))
    }

    /// Gives the ticket up. If it was not ended before, the lease is.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let ticket = lock(&self.inner).take();
        enter(py, || {
            drop(ticket);
            Ok(())
        })
    }
}

/// One call of `get`, `refresh` or their like, step by step.
#[pyclass(frozen, module = "forebay._forebay")]
pub(crate) struct Attempt {
    /// Locked only while the GIL is released.
    inner: Mutex<forebay::Attempt>,
    stopped: AtomicBool,
    slot: Slot,
}

/// What `Attempt::next` says: the outcome, work to do, or none: wait.
#[derive(IntoPyObject)]
pub(crate) enum Step {
    Done(Py<Value>),
    Run(Py<Ticket>),
}

impl Attempt {
    pub(crate) fn new(attempt: forebay::Attempt, slot: &Slot) -> Attempt {
        Attempt { inner: Mutex::new(attempt), stopped: AtomicBool::new(false), slot: slot.clone() }
    }
}

#[pymethods]
impl Attempt {
    fn next(&self, py: Python<'_>) -> PyResult<Option<Step>> {
        Ok(match enter(py, || lock(&self.inner).next())? {
            Next::Done(value) => Some(Step::Done(Py::new(py, Value::new(value, &self.slot))?)),
            Next::Run(ticket) => Some(Step::Run(Py::new(py, Ticket::new(ticket, &self.slot))?)),
            Next::Wait => None,
        })
    }

    /// Blocks until there may be news, for at most that long.
    fn wait(&self, py: Python<'_>, at_most_ns: u64) -> PyResult<()> {
        news(py, at_most_ns, &self.stopped, |slice, stop| {
            lock(&self.inner).wait(slice, Some(stop));
        })
    }

    /// Ends a `wait` in another thread.
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}
