//! `Credentials`, `Rotation`, `Exchange` and `Credential`: single-use credentials that one process exchanges for
//! all, for Python's layer, which drives `Rotation` step by step. Nothing here shows a secret but `data` and
//! `text`, which are asked for.

use crate::error::{ended, exception, failure, raise, stamp};
use crate::gil::{enter, news};
use crate::lazy::Lazy;
use crate::ticket::lock;
use crate::value::datetime;
use forebay::{CredentialsOptions, Failure, Version};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString};
use pyo3::{PyTraverseError, PyVisit};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Phase, since when ambiguous, `retry_at`, `last_error`, version.
type RotateRow<'py> = (&'static str, Option<i64>, Option<i64>, Option<Bound<'py, PyAny>>, Option<String>);

/// A state root.
#[pyclass(frozen, module = "forebay._forebay")]
pub(crate) struct Credentials {
    inner: forebay::Credentials,
}

#[pymethods]
impl Credentials {
    #[new]
    fn new(
        py: Python<'_>,
        root: Option<PathBuf>,
        deadline_ns: Option<u64>,
        test_clock: Option<PathBuf>,
    ) -> PyResult<Credentials> {
        let inner = enter(py, || {
            let mut options = CredentialsOptions::new();
            if let Some(root) = root {
                options = options.root(root);
            }
            if let Some(deadline) = deadline_ns {
                options = options.deadline(Duration::from_nanos(deadline));
            }
            if let Some(clock) = test_clock {
                options = options.test_clock(clock);
            }
            options.open()
        })?;
        Ok(Credentials { inner })
    }

    fn root(&self) -> OsString {
        self.inner.root().as_os_str().to_owned()
    }

    /// Touches no disk.
    fn begin(&self, py: Python<'_>, key: &str, seen: Option<&str>) -> PyResult<Rotation> {
        let seen = seen.map(Version::parse).transpose().map_err(|error| raise(py, &error))?;
        let inner = self.inner.begin(key, seen.as_ref());
        Ok(Rotation { inner: Mutex::new(Some(inner)), stopped: AtomicBool::new(false) })
    }

    fn current(&self, py: Python<'_>, key: &str) -> PyResult<Option<Credential>> {
        Ok(enter(py, || self.inner.current(key))?.map(Credential::new))
    }

    /// The new version, if any.
    fn reset(&self, py: Python<'_>, key: &str, secret: Option<PyBackedBytes>) -> PyResult<Option<String>> {
        let version = enter(py, || self.inner.reset(key, secret.as_deref()))?;
        Ok(version.map(|version| version.to_string()))
    }

    fn state<'py>(&self, py: Python<'py>, key: &str) -> PyResult<RotateRow<'py>> {
        let state = enter(py, || self.inner.state(key))?;
        Ok((
            state.phase.as_str(),
            state.ambiguous_since.map(stamp),
            state.retry_at.map(stamp),
            state.last_error.as_ref().map(|error| exception(py, error)).transpose()?,
            Some(state.version)
                .filter(|version| *version != Version::absent())
                .map(|version| version.to_string()),
        ))
    }
}

/// One call of `rotate`, step by step.
#[pyclass(frozen, module = "forebay._forebay")]
pub(crate) struct Rotation {
    /// Locked only while the GIL is released, but for `exchange`, which only the caller of `next` asks for. None
    /// once the call has come to its end.
    inner: Mutex<Option<forebay::Rotation>>,
    stopped: AtomicBool,
}

/// What `Rotation::next` says: the outcome, or the name of what to do.
#[derive(IntoPyObject)]
pub(crate) enum RotateStep {
    Done(Py<Credential>),
    Do(&'static str),
}

impl Rotation {
    fn give(&self, py: Python<'_>, give: impl FnOnce(&mut forebay::Rotation) + Send) -> PyResult<()> {
        enter(py, || {
            give(lock(&self.inner).as_mut().ok_or_else(ended)?);
            Ok(())
        })
    }
}

#[pymethods]
impl Rotation {
    fn next(&self, py: Python<'_>) -> PyResult<RotateStep> {
        let step = enter(py, || {
            let mut inner = lock(&self.inner);
            let step = inner.as_mut().ok_or_else(ended)?.next();
            if matches!(step, Err(_) | Ok(forebay::RotateStep::Done(_))) {
                *inner = None;
            }
            step
        })?;
        Ok(match step {
            forebay::RotateStep::Done(credential) => {
                RotateStep::Done(Py::new(py, Credential::new(credential))?)
            }
            forebay::RotateStep::Exchange => RotateStep::Do("exchange"),
            forebay::RotateStep::Wait => RotateStep::Do("wait"),
        })
    }

    fn exchanged(&self, py: Python<'_>, secret: PyBackedBytes) -> PyResult<()> {
        self.give(py, |rotation| rotation.exchanged(Ok(&secret[..])))
    }

    /// `sent`: false if the request certainly did not reach the server.
    fn exchange_failed(
        &self,
        py: Python<'_>,
        code: &str,
        message: String,
        retry_ns: Option<u64>,
        sent: bool,
    ) -> PyResult<()> {
        let failure = failure(py, code, message, retry_ns)?;
        let failure = if sent { failure } else { failure.not_sent() };
        self.give(py, |rotation| rotation.exchanged(Err::<&[u8], Failure>(failure)))
    }

    /// What the exchange that is due may know.
    fn exchange(&self, py: Python<'_>) -> PyResult<Exchange> {
        let exchange = lock(&self.inner).as_ref().and_then(forebay::Rotation::exchange);
        exchange.map(|inner| Exchange { inner }).ok_or_else(|| raise(py, &ended()))
    }

    /// Blocks until there may be news, for at most that long.
    fn wait(&self, py: Python<'_>, at_most_ns: u64) -> PyResult<()> {
        news(py, at_most_ns, &self.stopped, |slice, stop| {
            if let Some(rotation) = lock(&self.inner).as_ref() {
                rotation.wait(slice, Some(stop));
            }
        })
    }

    /// Ends a `wait` in another thread.
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Gives the call up. An exchange that was begun and has not ended is then ambiguous.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.stop();
        enter(py, || {
            drop(lock(&self.inner).take());
            Ok(())
        })
    }
}

/// What one exchange may know.
#[pyclass(frozen, module = "forebay._forebay")]
pub(crate) struct Exchange {
    inner: forebay::Exchange,
}

#[pymethods]
impl Exchange {
    fn previous<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.inner.previous().map(|previous| PyBytes::new(py, previous))
    }

    fn deadline_ns(&self) -> i64 {
        stamp(self.inner.deadline())
    }

    fn remaining(&self) -> f64 {
        self.inner.remaining().as_secs_f64()
    }

    fn cancelled(&self, py: Python<'_>) -> PyResult<bool> {
        enter(py, || Ok(self.inner.cancelled()))
    }
}

/// A credential as it is stored, with its version. What is shown of it never shows the secret.
#[pyclass(frozen, module = "forebay")]
pub(crate) struct Credential {
    inner: forebay::Credential,
    data: PyOnceLock<Py<PyBytes>>,
    /// Made once, so that what a caller chains to it stays.
    error: Lazy,
}

impl Credential {
    fn new(inner: forebay::Credential) -> Credential {
        Credential { inner, data: PyOnceLock::new(), error: Lazy::default() }
    }
}

#[pymethods]
impl Credential {
    /// The secret's bytes, the same object each time.
    #[getter]
    fn data(&self, py: Python<'_>) -> Py<PyBytes> {
        self.data.get_or_init(py, || PyBytes::new(py, self.inner.data()).unbind()).clone_ref(py)
    }

    /// The secret as text, where it is UTF-8.
    #[getter]
    fn text<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        let text = self.data(py).into_bound(py).call_method1("decode", ("utf-8",))?;
        Ok(text.cast_into::<PyString>()?)
    }

    /// Its opaque version: what rotate takes as seen.
    #[getter]
    fn version(&self) -> String {
        self.inner.version().to_string()
    }

    /// When it was stored, in UTC.
    #[getter]
    fn stored_at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, stamp(self.inner.stored_at()))
    }

    /// How it was come by: ran, coalesced, fresh (only read), uncoordinated (it could not be stored).
    #[getter]
    fn how(&self) -> &'static str {
        self.inner.how().as_str()
    }

    /// Why it could not be stored: this process then has the only copy.
    #[getter]
    fn error(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let Some(error) = self.inner.error() else { return Ok(None) };
        self.error.get(py, || exception(py, error).map(Bound::unbind)).map(Some)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.error.traverse(&visit)
    }

    fn __repr__(&self) -> String {
        let (how, version) = (self.inner.how().as_str(), self.inner.version());
        let why = self.inner.error().map(|error| format!(", error {}", error.code())).unwrap_or_default();
        format!("<forebay.Credential {how}, version {version}{why}>")
    }
}

/// The folder in which credentials are kept.
#[pyfunction]
pub(crate) fn default_state_root() -> Option<OsString> {
    forebay::default_state_root().map(PathBuf::into_os_string)
}
