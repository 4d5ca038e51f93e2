//! Crossing between Python and the core, in one place: the GIL is released around every call that may touch
//! the disk, waits are cut into slices between which Python's signal handlers run, a panic becomes an
//! exception, and no thread re-attaches to an interpreter that is being finalized (before 3.14 that would
//! unwind through Rust frames and abort the process). It knows nothing of caches.

use crate::error;
use forebay::{Code, Error, Result};
use pyo3::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// How long a wait lasts before Python's signal handlers get their turn.
const SLICE: Duration = Duration::from_millis(50);

/// The interpreter is about to end: no other thread may begin a call, and waits end.
static LEAVING: AtomicBool = AtomicBool::new(false);
/// It may have ended: whoever is still away stays away.
static GONE: AtomicBool = AtomicBool::new(false);
/// Threads that released the GIL here and have not taken it back.
static AWAY: AtomicUsize = AtomicUsize::new(0);
/// The thread that runs the interpreter's last steps, and may go on using caches.
static LEAVER: Mutex<Option<ThreadId>> = Mutex::new(None);

fn is_leaver() -> bool {
    *LEAVER.lock().unwrap_or_else(PoisonError::into_inner) == Some(std::thread::current().id())
}

/// True once waits in this thread should end because the interpreter is about to.
pub(crate) fn leaving() -> bool {
    LEAVING.load(Ordering::SeqCst) && !is_leaver()
}

/// Runs `f` without the GIL. Its error, or its panic, becomes the exception of its code.
pub(crate) fn enter<T: Send>(py: Python<'_>, f: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    if leaving() {
        let error = Error::new(Code::Closed, "the interpreter is exiting");
        return Err(error::raise(py, &error));
    }
    AWAY.fetch_add(1, Ordering::SeqCst);
    let outcome = py.detach(|| {
        let outcome = catch_unwind(AssertUnwindSafe(f));
        while GONE.load(Ordering::SeqCst) && !is_leaver() {
            std::thread::park();
        }
        outcome
    });
    // Only now, with the GIL: until then the interpreter has to wait for this thread.
    AWAY.fetch_sub(1, Ordering::SeqCst);
    match outcome {
        Ok(result) => result.map_err(|error| error::raise(py, &error)),
        Err(payload) => Err(error::raise(py, &panicked(&*payload))),
    }
}

fn panicked(payload: &(dyn std::any::Any + Send)) -> Error {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Error::new(Code::Panic, format!("a bug in forebay was contained: {}", text.unwrap_or("no message")))
        .with_hint("please report it")
}

/// Calls `step` with ever new slices of the time left until it returns something, the time is over, or a
/// signal handler raises.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    timeout: Option<Duration>,
    mut step: impl FnMut(Duration) -> Result<Option<T>> + Send,
) -> PyResult<Option<T>> {
    let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left = until.map_or(SLICE, |until| until.saturating_duration_since(Instant::now()));
        let found = enter(py, || step(left.min(SLICE)))?;
        py.check_signals()?;
        if found.is_some() || left.is_zero() {
            return Ok(found);
        }
    }
}

/// Waits for news, at most that long, by calling `sleep` with slices of it and a way to learn that it should end.
pub(crate) fn news(
    py: Python<'_>,
    at_most_ns: u64,
    stopped: &AtomicBool,
    mut sleep: impl FnMut(Duration, &dyn Fn() -> bool) + Send,
) -> PyResult<()> {
    wait(py, Some(Duration::from_nanos(at_most_ns)), |slice| {
        let over = Instant::now() + slice;
        sleep(slice, &|| stopped.load(Ordering::SeqCst) || leaving());
        // Back before the slice was over: there is news, or nobody waits any more.
        Ok((Instant::now() < over).then_some(()))
    })
    .map(|_| ())
}

/// Ends the waits of all other threads, and waits at most `timeout_ns` for them to come back. Called once, by
/// `atexit`; the calling thread may go on using caches.
#[pyfunction]
pub(crate) fn leave(py: Python<'_>, timeout_ns: u64) {
    *LEAVER.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::thread::current().id());
    LEAVING.store(true, Ordering::SeqCst);
    let until = Instant::now() + Duration::from_nanos(timeout_ns.min(10_000_000_000));
    py.detach(|| {
        while AWAY.load(Ordering::SeqCst) > 0 && Instant::now() < until {
            // Nobody wakes us: the threads come back one by one, each within 25 ms of the flag.
            std::thread::park_timeout(Duration::from_millis(1));
        }
    });
    GONE.store(true, Ordering::SeqCst);
}

/// Panics where the core would, for the test that holds it to be contained.
#[pyfunction]
pub(crate) fn panic_on_purpose(py: Python<'_>) -> PyResult<()> {
    enter(py, || std::panic::resume_unwind(Box::new("on purpose")))
}

/// In a forked child: the threads that were away do not exist here.
#[pyfunction]
pub(crate) fn forked() {
    AWAY.store(0, Ordering::SeqCst);
    LEAVING.store(false, Ordering::SeqCst);
    GONE.store(false, Ordering::SeqCst);
}
