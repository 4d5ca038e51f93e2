//! `Value`: what a call returned, as Python sees it. The bytes are copied into a Python object once per entry
//! and handed out again as that same object. It knows nothing of how the value was come by.

use crate::error;
use crate::lazy::Lazy;
use forebay::{Code, Entry, Error};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString};
use pyo3::{PyTraverseError, PyVisit};
use std::sync::{Arc, Mutex, PoisonError};

/// The bytes object of the latest entry, shared by all values of one source.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Known>>>);

/// An entry with its bytes object.
type Known = (Arc<Entry>, Py<PyBytes>);

impl Slot {
    /// The bytes object of that entry, made if it is another than the last one.
    pub(crate) fn bytes(&self, py: Python<'_>, entry: &Arc<Entry>) -> Py<PyBytes> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((known, bytes)) if Arc::ptr_eq(known, entry) => bytes.clone_ref(py),
            _ => {
                let bytes = PyBytes::new(py, &entry.data).unbind();
                *last = Some((Arc::clone(entry), bytes.clone_ref(py)));
                bytes
            }
        }
    }
}

/// What a call returned: the data, if any, its state, its age, and how it was come by.
#[pyclass(frozen, module = "forebay")]
pub(crate) struct Value {
    inner: forebay::Value,
    slot: Slot,
    bytes: PyOnceLock<Py<PyBytes>>,
    /// Made once, so that what a caller chains to it stays.
    error: Lazy,
}

impl Value {
    pub(crate) fn new(inner: forebay::Value, slot: &Slot) -> Value {
        Value { inner, slot: slot.clone(), bytes: PyOnceLock::new(), error: Lazy::default() }
    }

    fn entry(&self) -> Option<&Arc<Entry>> {
        self.inner.entry.as_ref()
    }

    fn present(&self, py: Python<'_>) -> PyResult<Py<PyBytes>> {
        self.data(py).ok_or_else(|| {
            let error = Error::new(Code::NotFound, "there is no value to decode")
                .with_hint("check it for truth first, or use get");
            error::raise(py, &error)
        })
    }
}

/// The instant of a stamp, as Python has it.
pub(crate) fn datetime(py: Python<'_>, ns: i64) -> PyResult<Bound<'_, PyAny>> {
    static INSTANT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    INSTANT.import(py, "forebay._durations", "instant")?.call1((ns,))
}

#[pymethods]
impl Value {
    /// The bytes, the same object each time; None if there is nothing.
    #[getter]
    fn data(&self, py: Python<'_>) -> Option<Py<PyBytes>> {
        let entry = self.entry()?;
        Some(self.bytes.get_or_init(py, || self.slot.bytes(py, entry)).clone_ref(py))
    }

    /// fresh, stale (may be served), expired (may not), or absent.
    #[getter]
    fn state(&self) -> &'static str {
        self.inner.state.as_str()
    }

    /// How old they are, in seconds.
    #[getter]
    fn age(&self) -> Option<f64> {
        self.inner.age.map(|age| age.as_secs_f64())
    }

    /// How they came to be returned: fresh, ran, unchanged, coalesced, stale, fallback, uncoordinated; None for a read.
    #[getter]
    fn how(&self) -> Option<&'static str> {
        self.inner.how.map(forebay::How::as_str)
    }

    /// What the refresh was doing: idle, running, cooling; None where the call did not look.
    #[getter]
    fn phase(&self) -> Option<&'static str> {
        self.inner.phase.map(forebay::Phase::as_str)
    }

    /// Why the value is no better than it is: damage, a failed refresh, a gate.
    #[getter]
    fn error(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let Some(error) = &self.inner.error else { return Ok(None) };
        self.error.get(py, || error::exception(py, error).map(Bound::unbind)).map(Some)
    }

    /// When they were stored, in nanoseconds since the epoch.
    #[getter]
    fn stored_ns(&self) -> Option<i64> {
        self.entry().map(|entry| entry.stored_ns)
    }

    /// When they were stored, in UTC.
    #[getter]
    fn stored_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.entry().map(|entry| datetime(py, entry.stored_ns)).transpose()
    }

    /// Until when they are fresh; None if they are not.
    #[getter]
    fn fresh_until<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.inner.fresh_until.map(|at| datetime(py, error::stamp(at))).transpose()
    }

    /// What identified them to the server: an ETag, a date, anything.
    #[getter]
    fn validator(&self) -> Option<&str> {
        self.entry()?.validator.as_deref()
    }

    /// The text that was stored beside them.
    #[getter]
    fn extra(&self) -> Option<&str> {
        self.entry()?.extra.as_deref()
    }

    /// Their opaque version, also of nothing: what wait_for_change and acquire compare.
    #[getter]
    fn version(&self) -> String {
        self.inner.version().to_string()
    }

    /// Whether they may be used without asking anyone.
    #[getter]
    fn fresh(&self) -> bool {
        self.inner.is_fresh()
    }

    /// The opposite: stale, expired, or absent.
    #[getter]
    fn stale(&self) -> bool {
        !self.inner.is_fresh()
    }

    /// The bytes decoded as JSON, anew each time; NotFound if there are none.
    fn json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        LOADS.import(py, "json", "loads")?.call1((self.present(py)?,))
    }

    /// The bytes decoded as text; NotFound if there are none.
    #[pyo3(signature = (encoding = "utf-8"))]
    fn text<'py>(&self, py: Python<'py>, encoding: &str) -> PyResult<Bound<'py, PyString>> {
        let text = self.present(py)?.into_bound(py).call_method1("decode", (encoding,))?;
        Ok(text.cast_into::<PyString>()?)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.error.traverse(&visit)
    }

    fn __bool__(&self) -> bool {
        self.entry().is_some()
    }

    fn __repr__(&self) -> String {
        use std::fmt::Write as _;
        let mut out = format!("<forebay.Value {}", self.state());
        if let Some(entry) = self.entry() {
            let _ = write!(out, ", {} bytes", entry.data.len());
        }
        if let Some(age) = self.inner.age {
            let _ = write!(out, ", age {:.3} s", age.as_secs_f64());
        }
        if let Some(how) = self.how() {
            let _ = write!(out, ", {how}");
        }
        if let Some(error) = &self.inner.error {
            let _ = write!(out, ", error {}", error.code());
        }
        out.push('>');
        out
    }
}
