//! `Derived`: a derived result as Python sees it; and how inputs and keys cross, as a kind with bytes and as text.
//! It knows nothing of how a result was come by.

use crate::error::{exception, raise, stamp};
use crate::lazy::Lazy;
use crate::value::datetime;
use forebay::{Code, Error, Input, LiveKey};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString};
use pyo3::{PyTraverseError, PyVisit};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Kind and name of an input.
pub(crate) type Given = (String, PyBackedBytes);

/// The inputs that Python's layer hands over.
pub(crate) fn read_inputs(py: Python<'_>, given: &[Given]) -> PyResult<Vec<Input>> {
    let inputs: forebay::Result<_> = given.iter().map(|(kind, name)| named(kind, name)).collect();
    inputs.map_err(|error| raise(py, &error))
}

/// The kind of input that a text means, and where its name begins. The text may be any bytes: the rules of
/// `Input::parse` look at ASCII only.
#[pyfunction]
pub(crate) fn parse_input(text: PyBackedBytes) -> (&'static str, usize) {
    let input = Input::parse(&String::from_utf8_lossy(&text));
    let kind = parts(&input).0;
    let prefix = text.strip_prefix(kind.as_bytes()).is_some_and(|rest| rest.starts_with(b":"));
    (kind, if prefix { kind.len() + 1 } else { 0 })
}

fn named(kind: &str, name: &[u8]) -> forebay::Result<Input> {
    let path = || Path::new(OsStr::from_bytes(name)).to_owned();
    let text = || {
        std::str::from_utf8(name).map(str::to_owned).map_err(|_| {
            Error::new(Code::Invalid, format!("the name of a {kind} input is text"))
                .with_hint("only paths may have other bytes")
        })
    };
    Ok(match kind {
        "file" => Input::File(path()),
        "dir" => Input::Directory(path()),
        "glob" => Input::Glob(text()?),
        "absent" => Input::Absent(path()),
        "stat" => Input::Stat(path()),
        "env" => Input::Env(text()?),
        "source" => Input::Source(text()?),
        "tag" => Input::Tag(text()?),
        _ => return Err(Error::new(Code::Invalid, format!("{kind:?} is no kind of input"))),
    })
}

fn parts(input: &Input) -> (&'static str, &[u8]) {
    match input {
        Input::File(path) => ("file", path.as_os_str().as_bytes()),
        Input::Directory(path) => ("dir", path.as_os_str().as_bytes()),
        Input::Glob(pattern) => ("glob", pattern.as_bytes()),
        Input::Absent(path) => ("absent", path.as_os_str().as_bytes()),
        Input::Stat(path) => ("stat", path.as_os_str().as_bytes()),
        Input::Env(name) => ("env", name.as_bytes()),
        Input::Source(key) => ("source", key.as_bytes()),
        Input::Tag(name) => ("tag", name.as_bytes()),
    }
}

/// Inputs as objects of Python's class.
pub(crate) fn show_inputs<'py>(py: Python<'py>, inputs: &[Input]) -> PyResult<Vec<Bound<'py, PyAny>>> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let make = MAKE.import(py, "forebay._inputs", "shown")?;
    let show = |(kind, name)| make.call1((kind, PyBytes::new(py, name)));
    inputs.iter().map(|input| show(parts(input))).collect()
}

/// The keys that Python's layer hands over.
pub(crate) fn keys_of(py: Python<'_>, texts: &[String]) -> PyResult<Vec<LiveKey>> {
    let keys: forebay::Result<_> = texts.iter().map(|text| LiveKey::parse(text)).collect();
    keys.map_err(|error| raise(py, &error))
}

/// Keys as objects of Python's class.
pub(crate) fn show_keys<'py>(py: Python<'py>, keys: &[LiveKey]) -> PyResult<Vec<Bound<'py, PyAny>>> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let make = MAKE.import(py, "forebay._inputs", "LiveKey")?;
    keys.iter().map(|key| make.call1((key.to_string(),))).collect()
}

/// The key of those bytes.
#[pyfunction]
pub(crate) fn live_key(data: PyBackedBytes) -> String {
    LiveKey::from_bytes(&data).to_string()
}

/// Refuses what is no key.
#[pyfunction]
pub(crate) fn check_live_key(py: Python<'_>, text: &str) -> PyResult<()> {
    LiveKey::parse(text).map(drop).map_err(|error| raise(py, &error))
}

/// A derived result: its bytes, what it was computed from, and how it came to be returned.
#[pyclass(frozen, module = "forebay")]
pub(crate) struct Derived {
    inner: forebay::Derived,
    data: PyOnceLock<Py<PyBytes>>,
    /// Made once, so that what a caller chains to it stays.
    error: Lazy,
}

impl Derived {
    pub(crate) fn new(inner: forebay::Derived) -> Derived {
        Derived { inner, data: PyOnceLock::new(), error: Lazy::default() }
    }
}

#[pymethods]
impl Derived {
    /// Its key.
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(show_keys(py, &[self.inner.key()])?.remove(0))
    }

    /// The bytes, the same object each time.
    #[getter]
    fn data(&self, py: Python<'_>) -> Py<PyBytes> {
        self.data.get_or_init(py, || PyBytes::new(py, self.inner.data()).unbind()).clone_ref(py)
    }

    /// How it came to be returned: fresh (it was there, and holds), ran, coalesced (another process or thread computed
    /// it), uncoordinated (computed, but not stored: error says why).
    #[getter]
    fn how(&self) -> &'static str {
        self.inner.how().as_str()
    }

    /// What kind of result it is, as whoever computed it said.
    #[getter]
    fn kind(&self) -> &str {
        self.inner.kind()
    }

    /// The BLAKE3 hash of the bytes, in hex.
    #[getter]
    fn hash(&self) -> &str {
        self.inner.hash()
    }

    /// What it was computed from.
    #[getter]
    fn inputs<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        show_inputs(py, &self.inner.inputs())
    }

    /// The keys of the results that it is built on.
    #[getter]
    fn upstreams<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        show_keys(py, &self.inner.upstreams())
    }

    /// When it was computed, in UTC.
    #[getter]
    fn computed_at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, stamp(self.inner.computed_at()))
    }

    /// Why it was not stored; Superseded: an input changed while it was computed.
    #[getter]
    fn error(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let Some(error) = self.inner.error() else { return Ok(None) };
        self.error.get(py, || exception(py, error).map(Bound::unbind)).map(Some)
    }

    /// The bytes decoded as JSON, anew each time.
    fn json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        LOADS.import(py, "json", "loads")?.call1((self.data(py),))
    }

    /// The bytes decoded as text.
    #[pyo3(signature = (encoding = "utf-8"))]
    fn text<'py>(&self, py: Python<'py>, encoding: &str) -> PyResult<Bound<'py, PyString>> {
        let text = self.data(py).into_bound(py).call_method1("decode", (encoding,))?;
        Ok(text.cast_into::<PyString>()?)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.error.traverse(&visit)
    }

    fn __repr__(&self) -> String {
        let (how, kind, size) = (self.inner.how().as_str(), self.inner.kind(), self.inner.data().len());
        let why = self.inner.error().map(|error| format!(", error {}", error.code())).unwrap_or_default();
        format!("<forebay.Derived {how}, {kind:?}, {size} bytes{why}>")
    }
}
