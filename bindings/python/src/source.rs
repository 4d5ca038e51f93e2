//! `Source`: one key with its options, for Python's layer. Durations are nanoseconds, instants nanoseconds
//! since the epoch; the idioms are in `source.py`.

use crate::error::{self, instant, raise, stamp};
use crate::gil::{enter, leaving, wait};
use crate::reader::Reader;
use crate::ticket::{Attempt, Terms, Ticket, commit};
use crate::value::{Slot, Value};
use forebay::{AcquireOptions, Acquired, Durability, Mode, RefreshOptions, RefreshState, Version, Wait};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use std::time::Duration;

/// The options of a source as Python hands them over; none is unset.
#[derive(Clone, FromPyObject)]
pub(crate) struct Options {
    ttl: Option<u64>,
    max_stale: Option<u64>,
    stale_if_error: Option<u64>,
    deadline: Option<u64>,
    identity: Option<String>,
    durability: Option<String>,
    backoff: Option<(u64, u64)>,
}

impl Options {
    pub(crate) fn apply(self, mut source: forebay::Source) -> forebay::Result<forebay::Source> {
        let ns = Duration::from_nanos;
        if let Some(ttl) = self.ttl {
            source = source.ttl(ns(ttl));
        }
        if let Some(max_stale) = self.max_stale {
            source = source.max_stale(ns(max_stale));
        }
        if let Some(stale_if_error) = self.stale_if_error {
            source = source.stale_if_error(ns(stale_if_error));
        }
        if let Some(deadline) = self.deadline {
            source = source.deadline(ns(deadline));
        }
        if let Some(identity) = &self.identity {
            source = source.identity(identity);
        }
        if let Some(durability) = &self.durability {
            source = source.durability(Durability::parse(durability)?);
        }
        if let Some((floor, cap)) = self.backoff {
            source = source.backoff(ns(floor), ns(cap));
        }
        source.key()?;
        Ok(source)
    }
}

/// Phase, `in_flight`, failed, `last_error`, `started_at`, deadline, `retry_at`, attempts, declared, holder.
type StateRow<'py> = (
    &'static str,
    bool,
    bool,
    Option<Bound<'py, PyAny>>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    u32,
    bool,
    Option<u32>,
);

fn state_row<'py>(py: Python<'py>, state: &RefreshState) -> PyResult<StateRow<'py>> {
    let last = state.last_error.as_ref().map(|error| error::exception(py, error)).transpose()?;
    Ok((
        state.phase.as_str(),
        state.in_flight,
        state.failed,
        last,
        state.started_at.map(stamp),
        state.deadline.map(stamp),
        state.retry_at.map(stamp),
        state.attempts,
        state.declared,
        state.holder,
    ))
}

/// One key with its options.
#[pyclass(frozen, module = "forebay._forebay")]
pub(crate) struct Source {
    inner: forebay::Source,
    slot: Slot,
}

impl Source {
    pub(crate) fn new(inner: forebay::Source) -> Source {
        Source { inner, slot: Slot::default() }
    }
}

#[pymethods]
impl Source {
    fn key(&self, py: Python<'_>) -> PyResult<String> {
        self.inner.key().map(ToString::to_string).map_err(|error| raise(py, &error))
    }

    fn read(&self, py: Python<'_>) -> PyResult<Value> {
        enter(py, || self.inner.read()).map(|value| Value::new(value, &self.slot))
    }

    /// `mode`: get, refresh, `maybe_refresh` or `maybe_refresh_sync`; `wait_ns`: for get, none = until done.
    fn begin(
        &self,
        py: Python<'_>,
        mode: &str,
        wait_ns: Option<u64>,
        min_fresh_ns: Option<i64>,
        override_gate: bool,
    ) -> PyResult<Attempt> {
        let mode = match mode {
            "get" => Mode::Get {
                wait: wait_ns.map_or(Wait::UntilDone, |ns| Wait::AtMost(Duration::from_nanos(ns))),
            },
            "maybe_refresh" => Mode::MaybeRefresh,
            "maybe_refresh_sync" => Mode::MaybeRefreshSync,
            _ => Mode::Refresh(RefreshOptions { min_fresh_at: min_fresh_ns.map(instant), override_gate }),
        };
        let attempt = enter(py, || Ok(self.inner.begin(mode)))?;
        Ok(Attempt::new(attempt, &self.slot))
    }

    fn put(&self, py: Python<'_>, data: PyBackedBytes, terms: Terms) -> PyResult<Value> {
        enter(py, || self.inner.put(&data[..], &commit(terms))).map(|value| Value::new(value, &self.slot))
    }

    fn mark_stale(&self, py: Python<'_>) -> PyResult<()> {
        enter(py, || self.inner.mark_stale())
    }

    fn remove(&self, py: Python<'_>) -> PyResult<bool> {
        enter(py, || self.inner.remove())
    }

    fn request_refresh(&self, py: Python<'_>) -> PyResult<&'static str> {
        enter(py, || self.inner.request_refresh()).map(forebay::Started::as_str)
    }

    fn refresh_state<'py>(&self, py: Python<'py>) -> PyResult<StateRow<'py>> {
        state_row(py, &enter(py, || self.inner.refresh_state())?)
    }

    fn wait_for_change(
        &self,
        py: Python<'_>,
        since: &str,
        timeout_ns: Option<u64>,
    ) -> PyResult<Option<String>> {
        let since = Version::parse(since).map_err(|error| raise(py, &error))?;
        let found = wait(py, timeout_ns.map(Duration::from_nanos), |slice| {
            self.inner.wait_for_change(&since, Some(slice), Some(&leaving))
        })?;
        Ok(found.map(|version| version.to_string()))
    }

    /// Text, Cache-Status, state, phase.
    fn why(&self, py: Python<'_>) -> PyResult<(String, String, &'static str, &'static str)> {
        let why = enter(py, || self.inner.why())?;
        Ok((why.text, why.cache_status, why.state.as_str(), why.phase.as_str()))
    }

    fn reader(&self, decode: Option<Py<PyAny>>) -> Reader {
        Reader::new(self.inner.reader(), decode)
    }

    /// Which outcome, and the one that goes with it: ticket, state or value.
    #[allow(clippy::type_complexity)]
    fn acquire<'py>(
        &self,
        py: Python<'py>,
        deadline_ns: Option<u64>,
        unless_fresh: bool,
        unless_changed_since: Option<&str>,
        override_gate: bool,
        force: bool,
    ) -> PyResult<(&'static str, Option<Ticket>, Option<StateRow<'py>>, Option<Value>)> {
        let since =
            unless_changed_since.map(Version::parse).transpose().map_err(|error| raise(py, &error))?;
        let options = AcquireOptions {
            deadline: deadline_ns.map(Duration::from_nanos),
            unless_fresh,
            unless_changed_since: since,
            override_gate,
            force,
        };
        Ok(match enter(py, || self.inner.acquire(&options))? {
            Acquired::Ticket(ticket) => ("ticket", Some(Ticket::new(ticket, &self.slot)), None, None),
            Acquired::InFlight(state) => ("in_flight", None, Some(state_row(py, &state)?), None),
            Acquired::Fresh(value) => ("fresh", None, None, Some(Value::new(value, &self.slot))),
            Acquired::Gated(state) => ("gated", None, Some(state_row(py, &state)?), None),
        })
    }
}

impl Source {
    pub(crate) fn key_of(&self) -> forebay::Result<forebay::Key> {
        self.inner.key().cloned()
    }
}
