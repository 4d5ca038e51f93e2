//! `forebay_compute`: one way to a derived result as a state machine that the host drives, on threads, tasks or an
//! event loop of its own. The callback form is built on the same machine.

use crate::args::{bytes, duration, instant_to_ms, out, out_handle, to_ms};
use crate::derived::{Outcome, forebay_derived};
use crate::error::forebay_error;
use crate::failure::{failure_of, forebay_failure};
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::live::{forebay_live, live_of};
use crate::live_spec::{Spec, forebay_live_spec};
use crate::machine::{Machine, Questions};
use crate::status::{IN_FLIGHT, OK, forebay_status, forebay_step};
use crate::text::{self, Cell};
use forebay_core::{Code, Compute, Derived, Error, Failure, LiveJob, LiveKey, LiveStep, Result, Working};
use std::ffi::{c_char, c_void};
use std::sync::OnceLock;
use std::time::Duration;

/// One computation of a derived result: call `forebay_compute_next`, do what it asks for, and call it again, until it
/// is done.
///
/// Thread safety: one thread at a time, any; a call while another thread is inside one gets `FOREBAY_E_INVALID`. But
/// `forebay_compute_key`, `_deadline_ms`, `_remaining_ms`, `_cancelled` and `_interrupt` may be called by any thread at
/// any time before it is freed.
pub struct forebay_compute {
    _private: [u8; 0],
}

impl Handle for forebay_compute {
    type Rust = Computing;
    type Ownership = Single;
}

/// The computation, its open question, and what is known of its work.
pub(crate) struct Computing {
    machine: Machine<Asking>,
    job: OnceLock<LiveJob>,
    key: LiveKey,
    text: Cell,
    /// It belongs to a call that drives it.
    driven: bool,
}

struct Asking {
    way: Compute,
    questions: Questions,
}

/// Where a computation has come to.
pub(crate) enum Moved {
    Done(Derived),
    Asks(forebay_step),
}

const WHAT: &str = "computation";
const COMPUTE: forebay_step = forebay_step::FOREBAY_STEP_COMPUTE;

impl Computing {
    fn new(way: Compute, key: LiveKey, driven: bool) -> Computing {
        let machine = Machine::new(Asking { way, questions: Questions::default() });
        Computing { machine, job: OnceLock::new(), key, text: Cell::default(), driven }
    }

    /// The next step; the open question again, where it was not answered.
    pub(crate) fn advance(&self) -> Result<Moved> {
        let mut asking = self.machine.enter(WHAT)?;
        if let Some(step) = asking.questions.open() {
            return Ok(Moved::Asks(step));
        }
        match asking.way.next()? {
            LiveStep::Done(derived) => Ok(Moved::Done(derived)),
            LiveStep::Wait => Ok(Moved::Asks(forebay_step::FOREBAY_STEP_WAIT)),
            LiveStep::Compute => {
                if let Some(job) = asking.way.job() {
                    self.job.get_or_init(|| job);
                }
                asking.questions.ask(COMPUTE);
                Ok(Moved::Asks(COMPUTE))
            }
        }
    }

    /// Says that this thread computes the result, for as long as what is returned lives.
    pub(crate) fn working(&self) -> Option<Working> {
        self.job.get().map(LiveJob::working)
    }

    pub(crate) fn wait(&self, at_most: Option<Duration>) -> Result<()> {
        self.machine.wait(WHAT, at_most, |asking, at_most, asked| asking.way.wait(at_most, Some(asked)))
    }

    fn computed(&self, told: std::result::Result<&[u8], Failure>) -> Result<()> {
        let mut asking = self.machine.enter(WHAT)?;
        asking.questions.tell(COMPUTE)?;
        asking.way.computed(told);
        Ok(())
    }

    /// Answers for a host whose function did not.
    pub(crate) fn tell_if_silent(&self) -> Result<()> {
        if self.machine.enter(WHAT)?.questions.open().is_none() {
            return Ok(());
        }
        self.computed(Err(Failure::new(Code::RefreshFailed, "the function returned without an answer")))
    }
}

/// A computation that is lent to the function of a call.
pub(crate) struct Lent(*mut forebay_compute);

impl Lent {
    pub(crate) fn new(way: Compute, key: LiveKey) -> Lent {
        Lent(handle::export(Computing::new(way, key, true)))
    }

    pub(crate) fn pointer(&self) -> *mut forebay_compute {
        self.0
    }

    pub(crate) fn computing(&self) -> &Computing {
        // SAFETY: made by `new`, and freed by `drop` only.
        unsafe { &*self.0.cast::<Computing>() }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: our own handle, used no more.
        unsafe { handle::free(self.0) };
    }
}

/// # Safety
/// `compute` is NULL or a live handle.
unsafe fn computing<'a>(compute: *const forebay_compute) -> Result<&'a Computing> {
    // SAFETY: the caller's promise.
    unsafe { handle::borrow(compute, WHAT) }
}

/// A computation that the host drives itself.
///
/// # Safety
/// As [`computing`].
unsafe fn own<'a>(compute: *const forebay_compute) -> Result<&'a Computing> {
    // SAFETY: the caller's promise.
    let computing = unsafe { computing(compute)? };
    if computing.driven {
        return Err(Error::new(
            Code::Invalid,
            "the computation belongs to the call that called this function",
        )
        .with_hint("say what came of it and return"));
    }
    Ok(computing)
}

/// What is known of the work, from the step on that asks for it.
///
/// # Safety
/// As [`computing`].
unsafe fn job<'a>(compute: *const forebay_compute) -> Option<&'a LiveJob> {
    // SAFETY: the caller's promise.
    unsafe { handle::peek(compute) }.and_then(|computing| computing.job.get())
}

/// Begins a computation. Nothing happens before `forebay_compute_next`.
///
/// `out`: free it with `forebay_compute_free`. Errors: `FOREBAY_E_INVALID`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_compute_begin(
    out: *mut *mut forebay_compute,
    live: *const forebay_live,
    spec: *const forebay_live_spec,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live handle and a readable spec.
        let (out, live, spec) = unsafe { (out_handle(out, "out")?, live_of(live)?, Spec::take(spec)?) };
        let way = live.compute(&spec.key, &spec.inputs, &spec.upstreams, &spec.kind);
        out.export(Computing::new(way, spec.key, false));
        Ok(OK)
    })
}

/// The next step of the computation; never waits for another's, but looks at the inputs, which may mean reading them.
/// Before the step was answered, the same step again.
///
/// `step`: a `forebay_step`. With `FOREBAY_STEP_DONE`, `derived` is the result (free it). With `FOREBAY_STEP_COMPUTE`
/// the status is `FOREBAY_OK`: compute, say what came of it, then call this again. With `FOREBAY_STEP_WAIT` the status
/// is `FOREBAY_IN_FLIGHT`: call `forebay_compute_wait`. After a result or an error the computation is finished: free
/// it. Errors: those of `forebay_live_get`. One thread at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_compute_next(
    step: *mut i32,
    derived: *mut *mut forebay_derived,
    compute: *mut forebay_compute,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for two places.
        let (step, derived) = unsafe {
            (out(step, forebay_step::FOREBAY_STEP_DONE as i32, "step")?, out_handle(derived, "derived")?)
        };
        // SAFETY: the header asks for a live handle.
        match unsafe { own(compute)? }.advance()? {
            Moved::Done(found) => {
                derived.export(Outcome::new(found));
                Ok(OK)
            }
            Moved::Asks(asked) => {
                step.set(asked as i32);
                Ok(if asked == COMPUTE { OK } else { IN_FLIGHT })
            }
        }
    })
}

/// Answers `FOREBAY_STEP_COMPUTE`: the result, `size` bytes, copied during the call; the next call of
/// `forebay_compute_next` stores it. Errors: `FOREBAY_E_INVALID` where that was not asked for, `FOREBAY_E_ALREADY_USED`
/// where it was answered. One thread at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_compute_computed(
    compute: *mut forebay_compute,
    data: *const c_void,
    size: usize,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle and readable bytes.
        let (compute, data) = unsafe { (computing(compute)?, bytes(data, size, "data")?) };
        compute.computed(Ok(data))?;
        Ok(OK)
    })
}

/// Answers `FOREBAY_STEP_COMPUTE`: it failed. Nothing is kept of that, and the next caller computes at once.
///
/// `failure`: NULL for one without a reason. Errors: as `forebay_compute_computed`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_compute_failed(
    compute: *mut forebay_compute,
    failure: *const forebay_failure,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle and NULL or readable options.
        let (compute, failure) = unsafe { (computing(compute)?, failure_of(failure)?) };
        compute.computed(Err(failure))?;
        Ok(OK)
    })
}

/// Waits until there may be news: then call `forebay_compute_next`.
///
/// `at_most_ms`: at most so long; -1 until there is news. Errors: `FOREBAY_E_CANCELLED` after
/// `forebay_compute_interrupt`; the computation can go on. One thread at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_compute_wait(
    compute: *mut forebay_compute,
    at_most_ms: i64,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle.
        unsafe { own(compute)? }.wait(duration(at_most_ms, "at_most_ms")?)?;
        Ok(OK)
    })
}

/// Ends the wait of this computation that runs, within 25 ms, or else the next one, at once. Any thread, also while
/// another is inside `forebay_compute_wait`; also in a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_compute_interrupt(compute: *const forebay_compute) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a live handle.
        if let Some(compute) = unsafe { handle::peek(compute) } {
            compute.machine.interrupt();
        }
    });
}

/// The key of the result, with a NUL at its end, borrowed from the computation; its length is written to `*size` unless
/// `size` is NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_compute_key(
    compute: *const forebay_compute,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(compute) {
                Some(compute) => compute.text.show(size, || Some(compute.key.to_string())),
                None => text::nothing(size),
            }
        }
    })
}

/// Until when it may take, in milliseconds since the epoch by the cache's clock: then another may compute it too. -1
/// before `FOREBAY_STEP_COMPUTE`, and for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_compute_deadline_ms(compute: *const forebay_compute) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { job(compute) }.map(LiveJob::deadline))
    })
}

/// How many milliseconds are left until then; 0 when it is over, before `FOREBAY_STEP_COMPUTE`, and for NULL. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_compute_remaining_ms(compute: *const forebay_compute) -> i64 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { job(compute) }.map_or(0, |job| to_ms(Some(job.remaining())))
    })
}

/// 1 where nobody waits for the result any more: it was ended, the lease is over, or the cache was closed. 0 otherwise,
/// before `FOREBAY_STEP_COMPUTE`, and for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_compute_cancelled(compute: *const forebay_compute) -> i32 {
    ffi_guard!(else 1, {
        // SAFETY: the header asks for NULL or a live handle.
        i32::from(unsafe { job(compute) }.is_some_and(LiveJob::cancelled))
    })
}

/// Frees the computation; NULL is fine. One that was asked to compute, and was not told what came of it, gives up its
/// lease: the next caller computes at once. Not while another thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_compute_free(compute: *mut forebay_compute) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(compute) }
    });
}
