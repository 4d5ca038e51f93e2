//! `Live`, `LiveTicket`, `Computing` and `LiveJob`: derived results for Python's layer, which drives `Computing` step
//! by step, so that a computation runs on Python's own threads and tasks; whether one is wanted, the core decides.

use crate::derived::{Derived, Given, keys_of, read_inputs, show_inputs, show_keys};
use crate::error::{ended, failure, raise, stamp};
use crate::gil::{enter, news};
use crate::ticket::lock;
use forebay::{Failure, LiveKey, LiveOptions, Lookup};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Key, kind, size, inputs, upstreams, computed, used.
type ListedRow<'py> =
    (Bound<'py, PyAny>, String, u64, Vec<Bound<'py, PyAny>>, Vec<Bound<'py, PyAny>>, i64, i64);
/// Whether it holds, text, input, upstream.
type WhyRow<'py> = (bool, String, Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>);

/// The derived results of a cache.
#[pyclass(frozen, module = "forebay._forebay")]
pub(crate) struct Live {
    inner: forebay::Live,
}

impl Live {
    pub(crate) fn open(
        cache: &forebay::Cache,
        workspace: PathBuf,
        deadline_ns: Option<u64>,
        size_cap: Option<u64>,
    ) -> forebay::Result<Live> {
        let mut options = LiveOptions { workspace: Some(workspace), size_cap, ..LiveOptions::default() };
        if let Some(deadline) = deadline_ns {
            options.deadline = Duration::from_nanos(deadline);
        }
        Ok(Live { inner: cache.live()?.with_options(options)? })
    }
}

fn key_of(py: Python<'_>, text: &str) -> PyResult<LiveKey> {
    LiveKey::parse(text).map_err(|error| raise(py, &error))
}

#[pymethods]
impl Live {
    /// Which outcome, and the result where it is a hit.
    fn lookup(
        &self,
        py: Python<'_>,
        key: &str,
        revalidate: bool,
    ) -> PyResult<(&'static str, Option<Derived>)> {
        let key = key_of(py, key)?;
        let look = || if revalidate { self.inner.lookup_revalidate(&key) } else { self.inner.lookup(&key) };
        Ok(match enter(py, look)? {
            Lookup::Hit(derived) => ("hit", Some(Derived::new(derived))),
            Lookup::Miss => ("miss", None),
            Lookup::Invalidated => ("invalidated", None),
        })
    }

    fn begin(
        &self,
        py: Python<'_>,
        key: &str,
        inputs: Vec<Given>,
        upstreams: Vec<String>,
    ) -> PyResult<LiveTicket> {
        let (key, inputs) = (key_of(py, key)?, read_inputs(py, &inputs)?);
        let upstreams = keys_of(py, &upstreams)?;
        let ticket = enter(py, || self.inner.begin(&key, &inputs, &upstreams))?;
        Ok(LiveTicket { inner: Mutex::new(Some(ticket)) })
    }

    fn persist(
        &self,
        py: Python<'_>,
        key: &str,
        data: PyBackedBytes,
        kind: &str,
        inputs: Vec<Given>,
        upstreams: Vec<String>,
    ) -> PyResult<Derived> {
        let (key, inputs) = (key_of(py, key)?, read_inputs(py, &inputs)?);
        let upstreams = keys_of(py, &upstreams)?;
        let keep = || self.inner.persist_with_upstreams(&key, &data, kind, &inputs, &upstreams);
        enter(py, keep).map(Derived::new)
    }

    /// Touches no disk.
    fn compute(
        &self,
        py: Python<'_>,
        key: &str,
        inputs: Vec<Given>,
        upstreams: Vec<String>,
        kind: &str,
    ) -> PyResult<Computing> {
        let (key, inputs) = (key_of(py, key)?, read_inputs(py, &inputs)?);
        let inner = self.inner.compute(&key, &inputs, &keys_of(py, &upstreams)?, kind);
        Ok(Computing { inner: Mutex::new(Some(inner)), stopped: AtomicBool::new(false) })
    }

    fn mark_dirty(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        let key = key_of(py, key)?;
        enter(py, || self.inner.mark_dirty(&key))
    }

    fn invalidate_upstream(&self, py: Python<'_>, key: &str) -> PyResult<u64> {
        let key = key_of(py, key)?;
        enter(py, || self.inner.invalidate_upstream(&key))
    }

    fn invalidate_path(&self, py: Python<'_>, path: PathBuf) -> PyResult<u64> {
        enter(py, || self.inner.invalidate_path(&path))
    }

    fn invalidate_tag(&self, py: Python<'_>, name: &str) -> PyResult<u64> {
        enter(py, || self.inner.invalidate_tag(name))
    }

    fn known_kinds(&self, py: Python<'_>) -> PyResult<Vec<(String, u64)>> {
        enter(py, || self.inner.known_kinds())
    }

    fn entry_count(&self, py: Python<'_>) -> PyResult<u64> {
        enter(py, || self.inner.entry_count())
    }

    fn total_bytes(&self, py: Python<'_>) -> PyResult<u64> {
        enter(py, || self.inner.total_bytes())
    }

    fn evict_to_cap(&self, py: Python<'_>, cap: u64) -> PyResult<u64> {
        enter(py, || self.inner.evict_to_cap(cap))
    }

    fn list<'py>(&self, py: Python<'py>) -> PyResult<Vec<ListedRow<'py>>> {
        let row = |row: forebay::LiveListed| {
            let key = show_keys(py, &[row.key])?.remove(0);
            let (inputs, upstreams) = (show_inputs(py, &row.inputs)?, show_keys(py, &row.upstreams)?);
            Ok((key, row.kind, row.size, inputs, upstreams, stamp(row.computed_at), stamp(row.used_at)))
        };
        enter(py, || self.inner.list())?.into_iter().map(row).collect()
    }

    fn why<'py>(&self, py: Python<'py>, key: &str) -> PyResult<WhyRow<'py>> {
        let key = key_of(py, key)?;
        let why = enter(py, || self.inner.why(&key))?;
        let input = show_inputs(py, why.input.as_slice())?.pop();
        Ok((why.holds, why.text, input, show_keys(py, why.upstream.as_slice())?.pop()))
    }

    /// Results and files that were removed.
    fn gc(&self, py: Python<'_>) -> PyResult<(u64, u64)> {
        enter(py, || self.inner.gc())
    }
}

/// A computation whose inputs were looked at before it began.
#[pyclass(frozen, module = "forebay._forebay")]
pub(crate) struct LiveTicket {
    /// None once it was committed, or given up.
    inner: Mutex<Option<forebay::LiveTicket>>,
}

#[pymethods]
impl LiveTicket {
    fn commit(&self, py: Python<'_>, data: PyBackedBytes, kind: &str) -> PyResult<Derived> {
        // Held for an instant only, and never while the GIL is released.
        let ticket = lock(&self.inner).take().ok_or_else(|| raise(py, &ended()))?;
        enter(py, || ticket.commit(&data[..], kind)).map(Derived::new)
    }

    fn close(&self) {
        drop(lock(&self.inner).take());
    }
}

/// One call of `get_or_compute`, step by step.
#[pyclass(frozen, module = "forebay._forebay")]
pub(crate) struct Computing {
    /// Locked only while the GIL is released, but for `job`, which only the caller of `next` asks for. None once
    /// the call has come to its end.
    inner: Mutex<Option<forebay::Compute>>,
    stopped: AtomicBool,
}

/// What `Computing::next` says: the outcome, or the name of what to do.
#[derive(IntoPyObject)]
pub(crate) enum ComputeStep {
    Done(Py<Derived>),
    Do(&'static str),
}

impl Computing {
    fn give(&self, py: Python<'_>, give: impl FnOnce(&mut forebay::Compute) + Send) -> PyResult<()> {
        enter(py, || {
            give(lock(&self.inner).as_mut().ok_or_else(ended)?);
            Ok(())
        })
    }
}

#[pymethods]
impl Computing {
    fn next(&self, py: Python<'_>) -> PyResult<ComputeStep> {
        let step = enter(py, || {
            let mut inner = lock(&self.inner);
            let step = inner.as_mut().ok_or_else(ended)?.next();
            if matches!(step, Err(_) | Ok(forebay::LiveStep::Done(_))) {
                *inner = None;
            }
            step
        })?;
        Ok(match step {
            forebay::LiveStep::Done(derived) => ComputeStep::Done(Py::new(py, Derived::new(derived))?),
            forebay::LiveStep::Compute => ComputeStep::Do("compute"),
            forebay::LiveStep::Wait => ComputeStep::Do("wait"),
        })
    }

    fn computed(&self, py: Python<'_>, data: PyBackedBytes) -> PyResult<()> {
        self.give(py, |compute| compute.computed(Ok(&data[..])))
    }

    fn compute_failed(
        &self,
        py: Python<'_>,
        code: &str,
        message: String,
        retry_ns: Option<u64>,
    ) -> PyResult<()> {
        let failure = failure(py, code, message, retry_ns)?;
        self.give(py, |compute| compute.computed(Err::<&[u8], Failure>(failure)))
    }

    /// What the computation that is due may know.
    fn job(&self, py: Python<'_>) -> PyResult<LiveJob> {
        let job = lock(&self.inner).as_ref().and_then(forebay::Compute::job);
        job.map(|inner| LiveJob { inner }).ok_or_else(|| raise(py, &ended()))
    }

    /// Blocks until there may be news, for at most that long.
    fn wait(&self, py: Python<'_>, at_most_ns: u64) -> PyResult<()> {
        news(py, at_most_ns, &self.stopped, |slice, stop| {
            if let Some(compute) = lock(&self.inner).as_ref() {
                compute.wait(slice, Some(stop));
            }
        })
    }

    /// Ends a `wait` in another thread.
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Gives the call up. A computation that was begun is another's then.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.stop();
        enter(py, || {
            drop(lock(&self.inner).take());
            Ok(())
        })
    }
}

/// What one computation may know.
#[pyclass(frozen, module = "forebay._forebay")]
pub(crate) struct LiveJob {
    inner: forebay::LiveJob,
}

#[pymethods]
impl LiveJob {
    fn deadline_ns(&self) -> i64 {
        stamp(self.inner.deadline())
    }

    fn remaining(&self) -> f64 {
        self.inner.remaining().as_secs_f64()
    }

    fn cancelled(&self, py: Python<'_>) -> PyResult<bool> {
        enter(py, || Ok(self.inner.cancelled()))
    }

    /// Says that this thread computes the result, until that is closed on this thread.
    fn working(&self) -> Working {
        Working { inner: Some(self.inner.working()) }
    }
}

/// That a thread is computing a result: it does not wait for itself then, but is told so.
#[pyclass(unsendable, module = "forebay._forebay")]
pub(crate) struct Working {
    inner: Option<forebay::Working>,
}

#[pymethods]
impl Working {
    fn close(&mut self) {
        self.inner = None;
    }
}
