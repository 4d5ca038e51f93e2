//! `Cache` and `Events`: a root and what happens in it, for Python's layer.

use crate::error::{exception, raise};
use crate::gil::{enter, leaving, wait};
use crate::live::Live;
use crate::quota::{Quota, QuotaOptions};
use crate::reader::Readers;
use crate::source::{Options, Source};
use crate::ticket::Ticket;
use crate::value::Slot;
use forebay::{CacheOptions, Code, Durability, Error, Event, Key};
use pyo3::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Key, state, age, size, `stored_at`, phase, validator, extra, version, error, `retry_at`.
type ListedRow<'py> = (
    String,
    &'static str,
    Option<f64>,
    u64,
    Option<i64>,
    &'static str,
    Option<String>,
    Option<String>,
    String,
    Option<Bound<'py, PyAny>>,
    Option<i64>,
);

/// A root.
#[pyclass(frozen, module = "forebay._forebay")]
pub(crate) struct Cache {
    inner: forebay::Cache,
}

#[pymethods]
impl Cache {
    #[new]
    fn new(
        py: Python<'_>,
        root: Option<PathBuf>,
        durability: Option<&str>,
        test_clock: Option<PathBuf>,
        memory: bool,
    ) -> PyResult<Cache> {
        let inner = enter(py, || {
            let mut options = CacheOptions::default().memory(memory);
            if let Some(root) = root {
                options = options.root(root);
            }
            if let Some(durability) = durability {
                options = options.durability(Durability::parse(durability)?);
            }
            if let Some(clock) = test_clock {
                options = options.test_clock(clock);
            }
            options.open()
        })?;
        Ok(Cache { inner })
    }

    fn root(&self) -> OsString {
        self.inner.root().as_os_str().to_owned()
    }

    fn source(&self, py: Python<'_>, key: &str, options: Options) -> PyResult<Source> {
        let source = options.apply(self.inner.source(key)).map_err(|error| raise(py, &error))?;
        Ok(Source::new(source))
    }

    fn quota(&self, py: Python<'_>, name: &str, options: QuotaOptions) -> PyResult<Quota> {
        let quota = options.apply(self.inner.quota(name)).map_err(|error| raise(py, &error))?;
        Ok(Quota::new(quota))
    }

    fn live(
        &self,
        py: Python<'_>,
        workspace: PathBuf,
        deadline_ns: Option<u64>,
        size_cap: Option<u64>,
    ) -> PyResult<Live> {
        enter(py, || Live::open(&self.inner, workspace, deadline_ns, size_cap))
    }

    /// Names with the hash of the identity.
    fn quotas(&self, py: Python<'_>) -> PyResult<Vec<(String, Option<String>)>> {
        let keys = enter(py, || self.inner.quotas())?;
        let hash = |key: &Key| Some(key.identity_hash().to_owned()).filter(|hash| !hash.is_empty());
        Ok(keys.iter().map(|key| (key.name().to_owned(), hash(key))).collect())
    }

    fn readers(&self, py: Python<'_>, options: Options, decode: Option<Py<PyAny>>) -> Readers {
        Readers::new(py, self.inner.clone(), options, decode)
    }

    fn list<'py>(&self, py: Python<'py>) -> PyResult<Vec<ListedRow<'py>>> {
        let listed = enter(py, || self.inner.list())?;
        listed
            .into_iter()
            .map(|row| {
                let error = row.error.as_ref().map(|error| exception(py, error)).transpose()?;
                Ok((
                    row.key.to_string(),
                    row.state.as_str(),
                    row.age.map(|age| age.as_secs_f64()),
                    row.size,
                    row.stored_at.map(crate::error::stamp),
                    row.phase.as_str(),
                    row.validator,
                    row.extra,
                    row.version.to_string(),
                    error,
                    row.retry_at.map(crate::error::stamp),
                ))
            })
            .collect()
    }

    /// Removed keys, skipped keys with the reason, number of other files swept.
    fn prune(&self, py: Python<'_>, keep: Vec<PyRef<'_, Source>>) -> PyResult<PrunedRow> {
        let keys = keep.iter().map(|source| source.key_of()).collect::<forebay::Result<Vec<Key>>>();
        let keys = keys.map_err(|error| raise(py, &error))?;
        let pruned = enter(py, || self.inner.prune(&keys))?;
        let skipped = pruned.skipped.into_iter().map(|(key, why)| (key.to_string(), why)).collect();
        Ok((pruned.removed.iter().map(ToString::to_string).collect(), skipped, pruned.swept))
    }

    fn next_refresh(&self, py: Python<'_>, timeout_ns: Option<u64>) -> PyResult<Option<Ticket>> {
        let found = wait(py, timeout_ns.map(Duration::from_nanos), |slice| {
            self.inner.next_refresh(Some(slice), Some(&leaving))
        })?;
        Ok(found.map(|ticket| Ticket::new(ticket, &Slot::default())))
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.inner.counters().iter().map(|(kind, count)| (kind.as_str(), count)).collect()
    }

    fn subscribe(&self) -> Events {
        Events { inner: self.inner.subscribe() }
    }

    fn close(&self, py: Python<'_>, drain_ns: Option<u64>) -> PyResult<()> {
        let drained = match drain_ns {
            Some(ns) => wait(py, Some(Duration::from_nanos(ns)), |slice| {
                match self.inner.drain(slice, Some(&leaving)) {
                    Err(error) if error.code() == Code::TimedOut => Ok(None),
                    other => other.map(Some),
                }
            }),
            None => Ok(Some(())),
        };
        // Also after Ctrl-C.
        enter(py, || self.inner.close(None))?;
        drained?.ok_or_else(|| {
            let error =
                Error::new(Code::TimedOut, "refreshes still ran when the time to drain them was over")
                    .with_hint("they end with the process, and the next one settles them");
            raise(py, &error)
        })
    }

    fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}

type PrunedRow = (Vec<String>, Vec<(String, String)>, usize);

/// A listener's end.
#[pyclass(frozen, module = "forebay._forebay")]
pub(crate) struct Events {
    inner: forebay::Events,
}

#[pymethods]
impl Events {
    /// Kind, key, code; none once the time is over.
    fn next(
        &self,
        py: Python<'_>,
        timeout_ns: Option<u64>,
    ) -> PyResult<Option<(&'static str, String, Option<&'static str>)>> {
        let found = wait(py, timeout_ns.map(Duration::from_nanos), |slice| Ok(self.inner.next(slice)))?;
        Ok(found.map(|Event { kind, key, code }| (kind.as_str(), key.to_string(), code.map(Code::as_str))))
    }

    fn dropped(&self) -> u64 {
        self.inner.dropped()
    }
}

/// The folder for a program that wants one of its own.
#[pyfunction]
pub(crate) fn default_root(app: &str) -> Option<OsString> {
    forebay::default_root(app).map(PathBuf::into_os_string)
}
