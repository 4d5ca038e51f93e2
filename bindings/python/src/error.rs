//! From the core's error to Python's exception. The classes live in Python (they inherit from several bases,
//! which a native class cannot); this file hands them the facts.

use forebay::{Code, Error, Failure};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::time::{Duration, SystemTime};

static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The exception object of that error.
pub(crate) fn exception<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    let make = MAKE.import(py, "forebay._errors", "make")?;
    let path = error.path().map(std::path::Path::as_os_str);
    let retry_at = error.retry_at().map(stamp);
    make.call1((error.code().as_str(), error.message(), path, error.hint(), error.os(), retry_at))
}

/// The same, to be raised.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    exception(py, error).map_or_else(|error| error, PyErr::from_value)
}

/// That a call of several steps is over.
pub(crate) fn ended() -> Error {
    Error::new(Code::AlreadyUsed, "the call has ended before")
}

/// Nanoseconds since the epoch, as Python gets all instants.
pub(crate) fn stamp(at: SystemTime) -> i64 {
    match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

/// The instant of a stamp.
pub(crate) fn instant(ns: i64) -> SystemTime {
    let distance = Duration::from_nanos(ns.unsigned_abs());
    if ns >= 0 { SystemTime::UNIX_EPOCH + distance } else { SystemTime::UNIX_EPOCH - distance }
}

/// The failure that a Python refresher reported.
pub(crate) fn failure(
    py: Python<'_>,
    code: &str,
    message: String,
    retry_ns: Option<u64>,
) -> PyResult<Failure> {
    let Some(code) = Code::from_text(code) else {
        let error = Error::new(Code::Invalid, format!("{code:?} is not an error code"))
            .with_hint("use one of forebay.CODES");
        return Err(raise(py, &error));
    };
    let failure = Failure::new(code, message);
    Ok(match retry_ns {
        Some(ns) => failure.retry_after(Duration::from_nanos(ns)),
        None => failure,
    })
}

/// What a response of that status means: code, message and, where the server gave one, the nanoseconds to wait.
#[pyfunction]
pub(crate) fn failure_of_status(
    status: u16,
    retry_after: Option<&str>,
) -> (&'static str, String, Option<u64>) {
    let failure = Failure::from_status(status, retry_after);
    let wait = failure.retry_after.map(|wait| u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
    (failure.code.as_str(), failure.message, wait)
}

/// The texts and numbers of all error codes.
#[pyfunction]
pub(crate) fn codes() -> Vec<(&'static str, i32)> {
    Code::ALL.iter().map(|code| (code.as_str(), code.number())).collect()
}

/// The nanoseconds of a duration written as text.
#[pyfunction]
pub(crate) fn parse_duration(py: Python<'_>, text: &str) -> PyResult<u64> {
    let duration = forebay::parse_duration(text).map_err(|error| raise(py, &error))?;
    Ok(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// That duration as text.
#[pyfunction]
pub(crate) fn format_duration(ns: u64) -> String {
    forebay::format_duration(Duration::from_nanos(ns))
}
