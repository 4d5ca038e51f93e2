//! `Quota`, `Resolve`, `QuotaJob` and `Answer`: the last answer under a gate that all processes respect, for
//! Python's layer. Python drives `Resolve` step by step, so that credentials, fetch and fallback run on Python's
//! own threads and tasks; which of them is wanted, and when, the core decides.

use crate::error::{ended, exception, failure, raise, stamp};
use crate::gil::{enter, news};
use crate::lazy::Lazy;
use crate::ticket::{Terms, commit, lock};
use crate::value::datetime;
use forebay::{Code, Durability, Failure, Fetched, Wait};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use pyo3::{PyTraverseError, PyVisit};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The options of a quota as Python hands them over; none is unset.
#[derive(Clone, FromPyObject)]
pub(crate) struct QuotaOptions {
    identity: Option<String>,
    ttl: Option<u64>,
    error_ttl: Option<u64>,
    rate_limited: Option<u64>,
    unauthorized: Option<u64>,
    timeout: Option<u64>,
    max_stale: Option<u64>,
    backoff: Option<(u64, u64)>,
    wait: Option<u64>,
    durability: Option<String>,
}

impl QuotaOptions {
    pub(crate) fn apply(self, mut quota: forebay::Quota) -> forebay::Result<forebay::Quota> {
        let ns = Duration::from_nanos;
        if let Some(identity) = &self.identity {
            quota = quota.identity(identity);
        }
        if let Some(ttl) = self.ttl {
            quota = quota.ttl(ns(ttl));
        }
        if let Some(error_ttl) = self.error_ttl {
            quota = quota.error_ttl(ns(error_ttl));
        }
        if let Some(rate_limited) = self.rate_limited {
            quota = quota.rate_limited(ns(rate_limited));
        }
        if let Some(unauthorized) = self.unauthorized {
            quota = quota.unauthorized(ns(unauthorized));
        }
        if let Some(timeout) = self.timeout {
            quota = quota.timeout(ns(timeout));
        }
        if let Some(max_stale) = self.max_stale {
            quota = quota.max_stale(ns(max_stale));
        }
        if let Some((floor, cap)) = self.backoff {
            quota = quota.backoff(ns(floor), ns(cap));
        }
        if let Some(at_most) = self.wait {
            quota = quota.wait(Wait::AtMost(ns(at_most)));
        }
        if let Some(durability) = &self.durability {
            quota = quota.durability(Durability::parse(durability)?);
        }
        quota.key()?;
        Ok(quota)
    }
}

/// Until, code of the reason, message, declared, attempts.
type BlockedRow = (i64, Option<&'static str>, String, bool, u32);
/// Answer, the error on record, the gate in force, phase, holder.
type QuotaRow<'py> =
    (Option<Answer>, Option<Bound<'py, PyAny>>, Option<BlockedRow>, &'static str, Option<u32>);

/// One record with its gate.
#[pyclass(frozen, module = "forebay._forebay")]
pub(crate) struct Quota {
    inner: forebay::Quota,
}

impl Quota {
    pub(crate) fn new(inner: forebay::Quota) -> Quota {
        Quota { inner }
    }
}

#[pymethods]
impl Quota {
    fn key(&self, py: Python<'_>) -> PyResult<String> {
        self.inner.key().map(ToString::to_string).map_err(|error| raise(py, &error))
    }

    /// Touches no disk.
    fn begin(&self) -> Resolve {
        Resolve { inner: Mutex::new(Some(self.inner.begin())), stopped: AtomicBool::new(false) }
    }

    fn read<'py>(&self, py: Python<'py>) -> PyResult<QuotaRow<'py>> {
        let state = enter(py, || self.inner.read())?;
        let recorded = state.recorded_error.as_ref().map(|error| exception(py, error)).transpose()?;
        let blocked = state.blocked.map(|gate| {
            let code = gate.error.map(Code::as_str);
            (stamp(gate.until), code, gate.message, gate.declared, gate.attempts)
        });
        Ok((state.answer.map(Answer::new), recorded, blocked, state.phase.as_str(), state.holder))
    }

    fn block(&self, py: Python<'_>, wait_ns: u64, code: &str, message: &str) -> PyResult<i64> {
        let code = failure(py, code, String::new(), None)?.code;
        enter(py, || self.inner.block(Duration::from_nanos(wait_ns), code, message)).map(stamp)
    }

    fn clear(&self, py: Python<'_>) -> PyResult<bool> {
        enter(py, || self.inner.clear())
    }
}

/// One call of `resolve`, step by step.
#[pyclass(frozen, module = "forebay._forebay")]
pub(crate) struct Resolve {
    /// Locked only while the GIL is released, but for `job`, which only the caller of `next` asks for. None once
    /// the call has come to its end.
    inner: Mutex<Option<forebay::Resolve>>,
    stopped: AtomicBool,
}

/// What `Resolve::next` says: the outcome, or the name of what to do.
#[derive(IntoPyObject)]
pub(crate) enum QuotaStep {
    Done(Py<Answer>),
    Do(&'static str),
}

impl Resolve {
    fn give(&self, py: Python<'_>, give: impl FnOnce(&mut forebay::Resolve) + Send) -> PyResult<()> {
        enter(py, || {
            give(lock(&self.inner).as_mut().ok_or_else(ended)?);
            Ok(())
        })
    }
}

#[pymethods]
impl Resolve {
    fn next(&self, py: Python<'_>) -> PyResult<QuotaStep> {
        let step = enter(py, || {
            let mut inner = lock(&self.inner);
            let step = inner.as_mut().ok_or_else(ended)?.next();
            if matches!(step, Err(_) | Ok(forebay::Step::Done(_))) {
                *inner = None;
            }
            step
        })?;
        Ok(match step {
            forebay::Step::Done(answer) => QuotaStep::Done(Py::new(py, Answer::new(answer))?),
            forebay::Step::Credentials => QuotaStep::Do("credentials"),
            forebay::Step::Fetch => QuotaStep::Do("fetch"),
            forebay::Step::Fallback => QuotaStep::Do("fallback"),
            forebay::Step::Wait => QuotaStep::Do("wait"),
        })
    }

    fn credentials(&self, py: Python<'_>, secret: PyBackedBytes) -> PyResult<()> {
        self.give(py, |resolve| resolve.credentials(Ok(&secret[..])))
    }

    fn credentials_failed(
        &self,
        py: Python<'_>,
        code: &str,
        message: String,
        retry_ns: Option<u64>,
    ) -> PyResult<()> {
        let failure = failure(py, code, message, retry_ns)?;
        self.give(py, |resolve| resolve.credentials(Err::<&[u8], Failure>(failure)))
    }

    /// `data`: none = unchanged.
    fn fetched(&self, py: Python<'_>, data: Option<PyBackedBytes>, terms: Terms) -> PyResult<()> {
        self.give(py, |resolve| {
            let data = data.map(|data| data[..].into());
            resolve.fetched(Ok(Fetched { data, commit: commit(terms) }));
        })
    }

    fn fetch_failed(
        &self,
        py: Python<'_>,
        code: &str,
        message: String,
        retry_ns: Option<u64>,
    ) -> PyResult<()> {
        let failure = failure(py, code, message, retry_ns)?;
        self.give(py, |resolve| resolve.fetched(Err(failure)))
    }

    /// `data`: none = has nothing.
    fn fallback(&self, py: Python<'_>, data: Option<PyBackedBytes>) -> PyResult<()> {
        self.give(py, |resolve| resolve.fallback(Ok(data.map(|data| data[..].to_vec()))))
    }

    fn fallback_failed(
        &self,
        py: Python<'_>,
        code: &str,
        message: String,
        retry_ns: Option<u64>,
    ) -> PyResult<()> {
        let failure = failure(py, code, message, retry_ns)?;
        self.give(py, |resolve| resolve.fallback(Err::<Option<&[u8]>, Failure>(failure)))
    }

    /// What the fetch that is due may know.
    fn job(&self, py: Python<'_>) -> PyResult<QuotaJob> {
        let job = lock(&self.inner).as_ref().and_then(forebay::Resolve::job);
        job.map(|inner| QuotaJob { inner }).ok_or_else(|| raise(py, &ended()))
    }

    /// Blocks until there may be news, for at most that long.
    fn wait(&self, py: Python<'_>, at_most_ns: u64) -> PyResult<()> {
        news(py, at_most_ns, &self.stopped, |slice, stop| {
            if let Some(resolve) = lock(&self.inner).as_ref() {
                resolve.wait(slice, Some(stop));
            }
        })
    }

    /// Ends a `wait` in another thread.
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Gives the call up. A lease that it holds ends.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.stop();
        enter(py, || {
            drop(lock(&self.inner).take());
            Ok(())
        })
    }
}

/// What one fetch may know.
#[pyclass(frozen, module = "forebay._forebay")]
pub(crate) struct QuotaJob {
    inner: forebay::QuotaJob,
}

#[pymethods]
impl QuotaJob {
    fn deadline_ns(&self) -> i64 {
        stamp(self.inner.deadline())
    }

    fn remaining(&self) -> f64 {
        self.inner.remaining().as_secs_f64()
    }

    fn cancelled(&self, py: Python<'_>) -> PyResult<bool> {
        enter(py, || Ok(self.inner.cancelled()))
    }

    fn previous(&self) -> Option<&str> {
        self.inner.previous()
    }

    fn validator(&self) -> Option<&str> {
        self.inner.validator()
    }

    fn conditional_headers(&self) -> Vec<(&'static str, String)> {
        self.inner.conditional_headers()
    }
}

/// What `Quota.resolve` returned: the data, how it was come by, and why it is no better.
#[pyclass(frozen, module = "forebay")]
pub(crate) struct Answer {
    inner: forebay::Answer,
    raw: PyOnceLock<Py<PyBytes>>,
    data: Lazy,
    /// Made once, so that what a caller chains to it stays.
    error: Lazy,
}

impl Answer {
    fn new(inner: forebay::Answer) -> Answer {
        Answer { inner, raw: PyOnceLock::new(), data: Lazy::default(), error: Lazy::default() }
    }
}

#[pymethods]
impl Answer {
    /// The data, decoded from JSON once: the same object each time.
    #[getter]
    fn data(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        self.data.get(py, || {
            let loads = LOADS.import(py, "json", "loads")?;
            Ok(loads.call1((&*self.inner.data,))?.unbind())
        })
    }

    /// The data as it was recorded: bytes of JSON, the same object each time.
    #[getter]
    fn raw(&self, py: Python<'_>) -> Py<PyBytes> {
        self.raw.get_or_init(py, || PyBytes::new(py, self.inner.data.as_bytes()).unbind()).clone_ref(py)
    }

    /// How it was come by: fresh, ran, unchanged, coalesced, stale, fallback, uncoordinated.
    #[getter]
    fn how(&self) -> &'static str {
        self.inner.how.as_str()
    }

    /// fresh, stale (may be served), or expired (what read found, and resolve would not serve).
    #[getter]
    fn state(&self) -> &'static str {
        self.inner.state.as_str()
    }

    /// How old the data is, in seconds; 0 for a fallback.
    #[getter]
    fn age(&self) -> f64 {
        self.inner.age.as_secs_f64()
    }

    /// When the data was recorded, in UTC; None for a fallback.
    #[getter]
    fn cached_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.inner.cached_at.map(|at| datetime(py, stamp(at))).transpose()
    }

    /// When the gate in force ends, in UTC; None without one.
    #[getter]
    fn retry_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.inner.retry_at.map(|at| datetime(py, stamp(at))).transpose()
    }

    /// Why it is no better: the failure or the gate behind stale data or a fallback.
    #[getter]
    fn error(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let Some(error) = &self.inner.error else { return Ok(None) };
        self.error.get(py, || exception(py, error).map(Bound::unbind)).map(Some)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.data.traverse(&visit)?;
        self.error.traverse(&visit)
    }

    fn __repr__(&self) -> String {
        let Self { inner, .. } = self;
        let (how, age) = (inner.how.as_str(), inner.age.as_secs_f64());
        let why = inner.error.as_ref().map(|error| format!(", error {}", error.code())).unwrap_or_default();
        format!("<forebay.Answer {how}, {} bytes, age {age:.3} s{why}>", inner.data.len())
    }
}
