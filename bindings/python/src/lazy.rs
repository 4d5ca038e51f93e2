//! `Lazy`: a Python object that a native one makes once, and keeps. Python's collector is shown it: it may hold,
//! by the frames of a traceback, what holds the native object.

use crate::ticket::lock;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use std::sync::Mutex;

/// Nothing yet, or the object. Locked for an instant only, with the GIL.
#[derive(Default)]
pub(crate) struct Lazy(Mutex<Option<Py<PyAny>>>);

impl Lazy {
    /// The object, made if there is none. Two threads may make one each; both get the same.
    pub(crate) fn get(
        &self,
        py: Python<'_>,
        make: impl FnOnce() -> PyResult<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        if let Some(found) = &*lock(&self.0) {
            return Ok(found.clone_ref(py));
        }
        let made = make()?;
        Ok(lock(&self.0).get_or_insert_with(|| made.clone_ref(py)).clone_ref(py))
    }

    /// Shows it to the collector.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The collector runs in a thread that may be about to let go of the lock.
        match self.0.try_lock() {
            Ok(found) => visit.call(&*found),
            Err(_) => Ok(()),
        }
    }
}
