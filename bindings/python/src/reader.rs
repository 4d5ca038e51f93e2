//! `Reader` and `Readers`: the fast path for hot values. A hit releases nothing, copies nothing and makes no
//! system call: it compares the entry with the one last seen, and hands out the same Python object again.

use crate::error::raise;
use crate::gil::enter;
use crate::source::Options;
use crate::ticket::lock;
use crate::value::{Slot, Value};
use forebay::{Entry, State};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::{PyTraverseError, PyVisit};
use std::sync::{Arc, Mutex};

/// A handle to one source for reading it often: call it for the value while it is fresh, else None.
#[pyclass(frozen, module = "forebay")]
pub(crate) struct Reader {
    /// Always tried, never waited for: a thread that forked away while it held the lock does not exist in the
    /// child. In a box, because what the core aligns to cache lines may not lie in Python's own objects.
    hot: Box<Mutex<Hot>>,
    /// For whoever finds the lock taken.
    source: forebay::Source,
    decode: Mutex<Option<Py<PyAny>>>,
    slot: Slot,
}

struct Hot {
    inner: forebay::Reader,
    /// The entry last seen, with what Python gets for it.
    last: Option<(Arc<Entry>, Py<PyAny>)>,
}

impl Hot {
    #[inline]
    fn known(&self, py: Python<'_>, entry: &Arc<Entry>) -> Option<Py<PyAny>> {
        match &self.last {
            Some((last, object)) if Arc::ptr_eq(last, entry) => Some(object.clone_ref(py)),
            _ => None,
        }
    }
}

impl Reader {
    pub(crate) fn new(inner: forebay::Reader, decode: Option<Py<PyAny>>) -> Reader {
        let source = inner.source().clone();
        let hot = Box::new(Mutex::new(Hot { inner, last: None }));
        Reader { hot, source, decode: Mutex::new(decode), slot: Slot::default() }
    }

    #[inline]
    fn fresh(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        if let Ok(mut hot) = self.hot.try_lock() {
            let Hot { inner, last } = &mut *hot;
            if let Some(read) = inner.peek_mut()
                && let Some((entry, object)) = last
                && read.entry().is_some_and(|found| Arc::ptr_eq(found, entry))
            {
                return Ok(Some(object.clone_ref(py)));
            }
        }
        self.look(py)
    }

    #[cold]
    fn look(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let found = enter(py, || match self.hot.try_lock() {
            Ok(mut hot) => {
                let read = hot.inner.read()?;
                Ok(read.entry().filter(|_| read.state == State::Fresh).map(Arc::clone))
            }
            Err(_) => {
                let value = self.source.read()?;
                Ok(value.entry.clone().filter(|_| value.is_fresh()))
            }
        })?;
        let Some(entry) = found else { return Ok(None) };
        let known = |hot: &Hot| hot.known(py, &entry);
        if let Some(object) = self.hot.try_lock().ok().and_then(|hot| known(&hot)) {
            return Ok(Some(object));
        }
        let bytes = self.slot.bytes(py, &entry).into_any();
        // No lock of ours is held while the caller's function runs.
        let decode = lock(&self.decode).as_ref().map(|decode| decode.clone_ref(py));
        let object = match decode {
            Some(decode) => decode.call1(py, (bytes,))?,
            None => bytes,
        };
        let mine = object.clone_ref(py);
        // Where another thread has it just now, the next call decodes again.
        let before = self.hot.try_lock().ok().and_then(|mut hot| hot.last.replace((entry, mine)));
        drop(before);
        Ok(Some(object))
    }
}

#[pymethods]
impl Reader {
    fn __call__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.fresh(py)
    }

    /// What is there, fresh or not, with state and age.
    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Value> {
        let value = enter(py, || match self.hot.try_lock() {
            Ok(hot) => hot.inner.value(),
            Err(_) => self.source.read(),
        })?;
        Ok(Value::new(value, &self.slot))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Ok(decode) = self.decode.try_lock() {
            visit.call(&*decode)?;
        }
        if let Ok(hot) = self.hot.try_lock()
            && let Some((_, object)) = &hot.last
        {
            visit.call(object)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let last = self.hot.try_lock().ok().and_then(|mut hot| hot.last.take());
        let gone = (lock(&self.decode).take(), last);
        drop(gone);
    }
}

/// A mapping of keys to fresh values, for reading many of them often.
#[pyclass(frozen, mapping, module = "forebay")]
pub(crate) struct Readers {
    cache: forebay::Cache,
    options: Options,
    decode: Mutex<Option<Py<PyAny>>>,
    known: Py<PyDict>,
}

impl Readers {
    pub(crate) fn new(
        py: Python<'_>,
        cache: forebay::Cache,
        options: Options,
        decode: Option<Py<PyAny>>,
    ) -> Readers {
        Readers { cache, options, decode: Mutex::new(decode), known: PyDict::new(py).unbind() }
    }

    #[inline]
    fn fresh<'py>(&self, key: &Bound<'py, PyString>) -> PyResult<Option<Py<PyAny>>> {
        let py = key.py();
        if let Some(reader) = self.known.bind(py).get_item(key)? {
            return reader.cast::<Reader>()?.get().fresh(py);
        }
        self.reader(key)?.get().fresh(py)
    }
}

#[pymethods]
impl Readers {
    /// The reader of that key, the same one each time.
    fn reader<'py>(&self, key: &Bound<'py, PyString>) -> PyResult<Bound<'py, Reader>> {
        let py = key.py();
        let known = self.known.bind(py);
        if let Some(reader) = known.get_item(key)? {
            return Ok(reader.cast_into::<Reader>()?);
        }
        let source = self.cache.source(key.to_str()?);
        let source = self.options.clone().apply(source).map_err(|error| raise(py, &error))?;
        let decode = lock(&self.decode).as_ref().map(|decode| decode.clone_ref(py));
        let reader = Bound::new(py, Reader::new(source.reader(), decode))?;
        known.set_item(key, &reader)?;
        Ok(reader)
    }

    fn __getitem__(&self, key: &Bound<'_, PyString>) -> PyResult<Py<PyAny>> {
        self.fresh(key)?.ok_or_else(|| PyKeyError::new_err(key.clone().unbind()))
    }

    /// The value of that key while it is fresh, else the default.
    #[pyo3(signature = (key, default = None))]
    fn get(&self, key: &Bound<'_, PyString>, default: Option<Py<PyAny>>) -> PyResult<Option<Py<PyAny>>> {
        Ok(self.fresh(key)?.or(default))
    }

    fn __contains__(&self, key: &Bound<'_, PyString>) -> PyResult<bool> {
        Ok(self.fresh(key)?.is_some())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Ok(decode) = self.decode.try_lock() {
            visit.call(&*decode)?;
        }
        visit.call(&self.known)
    }

    fn __clear__(&self, py: Python<'_>) {
        let gone = lock(&self.decode).take();
        self.known.bind(py).clear();
        drop(gone);
    }
}
