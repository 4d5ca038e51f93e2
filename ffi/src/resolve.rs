//! `forebay_resolve`: one resolve of a quota as a state machine that the host drives, on threads, tasks or an event loop
//! of its own. The callback form is built on the same machine.

use crate::answer::{Answered, forebay_answer};
use crate::args::{bytes, duration, out, out_handle};
use crate::error::forebay_error;
use crate::failure::{failure_of, forebay_failure};
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::machine::{Machine, Questions};
use crate::options::{commit_of, forebay_commit};
use crate::quota::{forebay_quota, quota_of};
use crate::resolve_job::Known;
use crate::response::{Meaning, forebay_response, meaning_of};
use crate::status::{IN_FLIGHT, OK, forebay_status, forebay_step};
use forebay_core::{Answer, Code, Error, Failure, Fetched, Resolve, Result, Step};
use std::ffi::c_void;
use std::sync::OnceLock;
use std::time::Duration;

/// One resolve of a quota: call `forebay_resolve_next`, do what it asks for, and call it again, until it is done.
///
/// Thread safety: one thread at a time, any; a call while another thread is inside one gets `FOREBAY_E_INVALID`. But what is
/// known of the fetch (`forebay_resolve_deadline_ms`, `_remaining_ms`, `_cancelled`, `_credential`, `_previous`,
/// `_validator`, `_header_…`) may be asked, and `forebay_resolve_interrupt` called, by any thread at any time before the
/// resolve is freed.
pub struct forebay_resolve {
    _private: [u8; 0],
}

impl Handle for forebay_resolve {
    type Rust = Resolving;
    type Ownership = Single;
}

/// The resolve, its open question, and what is known of its fetch.
pub(crate) struct Resolving {
    machine: Machine<Asking>,
    job: OnceLock<Known>,
    /// It belongs to a call that drives it.
    driven: bool,
}

struct Asking {
    resolve: Resolve,
    questions: Questions,
}

/// Where a resolve has come to.
pub(crate) enum Moved {
    Done(Answer),
    Asks(forebay_step),
}

const WHAT: &str = "resolve";

impl Resolving {
    fn new(resolve: Resolve, driven: bool) -> Resolving {
        let machine = Machine::new(Asking { resolve, questions: Questions::default() });
        Resolving { machine, job: OnceLock::new(), driven }
    }

    /// What is known of the fetch, from the step on that asks for it.
    pub(crate) fn job(&self) -> Option<&Known> {
        self.job.get()
    }

    /// The next step; the open question again, where it was not answered.
    pub(crate) fn advance(&self) -> Result<Moved> {
        let mut asking = self.machine.enter(WHAT)?;
        if let Some(step) = asking.questions.open() {
            return Ok(Moved::Asks(step));
        }
        let step = match asking.resolve.next()? {
            Step::Done(answer) => return Ok(Moved::Done(answer)),
            Step::Wait => return Ok(Moved::Asks(forebay_step::FOREBAY_STEP_WAIT)),
            Step::Credentials => forebay_step::FOREBAY_STEP_CREDENTIALS,
            Step::Fallback => forebay_step::FOREBAY_STEP_FALLBACK,
            Step::Fetch => {
                if let Some(job) = asking.resolve.job() {
                    self.job.get_or_init(|| Known::new(job));
                }
                forebay_step::FOREBAY_STEP_FETCH
            }
        };
        asking.questions.ask(step);
        Ok(Moved::Asks(step))
    }

    pub(crate) fn wait(&self, at_most: Option<Duration>) -> Result<()> {
        self.machine.wait(WHAT, at_most, |asking, at_most, asked| asking.resolve.wait(at_most, Some(asked)))
    }

    fn tell(&self, step: forebay_step, tell: impl FnOnce(&mut Resolve)) -> Result<()> {
        let mut asking = self.machine.enter(WHAT)?;
        asking.questions.tell(step)?;
        tell(&mut asking.resolve);
        Ok(())
    }

    fn credentials(&self, told: std::result::Result<&[u8], Failure>) -> Result<()> {
        self.tell(forebay_step::FOREBAY_STEP_CREDENTIALS, |resolve| resolve.credentials(told))
    }

    fn fetched(&self, told: std::result::Result<Fetched, Failure>) -> Result<()> {
        self.tell(forebay_step::FOREBAY_STEP_FETCH, |resolve| resolve.fetched(told))
    }

    fn fallback(&self, told: std::result::Result<Option<Vec<u8>>, Failure>) -> Result<()> {
        self.tell(forebay_step::FOREBAY_STEP_FALLBACK, |resolve| resolve.fallback(told))
    }

    /// Answers for a host that has no function for that step.
    pub(crate) fn tell_nothing(&self, step: forebay_step) -> Result<()> {
        match step {
            forebay_step::FOREBAY_STEP_CREDENTIALS => self.credentials(Ok(&[])),
            _ => self.fallback(Ok(None)),
        }
    }

    /// Answers for a host whose function did not.
    pub(crate) fn tell_if_silent(&self, step: forebay_step) -> Result<()> {
        if self.machine.enter(WHAT)?.questions.open() != Some(step) {
            return Ok(());
        }
        let failure = Failure::new(Code::RefreshFailed, "the function returned without an answer");
        match step {
            forebay_step::FOREBAY_STEP_CREDENTIALS => self.credentials(Err(failure)),
            forebay_step::FOREBAY_STEP_FALLBACK => self.fallback(Err(failure)),
            _ => self.fetched(Err(failure)),
        }
    }
}

/// A resolve that is lent to the functions of a call.
pub(crate) struct Lent(*mut forebay_resolve);

impl Lent {
    pub(crate) fn new(resolve: Resolve) -> Lent {
        Lent(handle::export(Resolving::new(resolve, true)))
    }

    pub(crate) fn pointer(&self) -> *mut forebay_resolve {
        self.0
    }

    pub(crate) fn resolving(&self) -> &Resolving {
        // SAFETY: made by `new`, and freed by `drop` only.
        unsafe { &*self.0.cast::<Resolving>() }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: our own handle, used no more.
        unsafe { handle::free(self.0) };
    }
}

/// # Safety
/// `resolve` is NULL or a live handle.
unsafe fn resolving<'a>(resolve: *const forebay_resolve) -> Result<&'a Resolving> {
    // SAFETY: the caller's promise.
    unsafe { handle::borrow(resolve, WHAT) }
}

/// A resolve that the host drives itself.
///
/// # Safety
/// As [`resolving`].
unsafe fn own<'a>(resolve: *const forebay_resolve) -> Result<&'a Resolving> {
    // SAFETY: the caller's promise.
    let resolving = unsafe { resolving(resolve)? };
    if resolving.driven {
        return Err(Error::new(Code::Invalid, "the resolve belongs to the call that called this function")
            .with_hint("answer the step and return"));
    }
    Ok(resolving)
}

/// Begins a resolve. Nothing happens before `forebay_resolve_next`.
///
/// `out`: free it with `forebay_resolve_free`. Errors: `FOREBAY_E_INVALID`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_begin(
    out: *mut *mut forebay_resolve,
    quota: *const forebay_quota,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle and a live quota.
        let (out, quota) = unsafe { (out_handle(out, "out")?, quota_of(quota)?) };
        out.export(Resolving::new(quota.begin(), false));
        Ok(OK)
    })
}

/// The next step of the resolve; never waits for another's fetch. Before the step was answered, the same step again.
///
/// `step`: a `forebay_step`. With `FOREBAY_STEP_DONE`, `answer` is the outcome (free it) and the status is as of
/// `forebay_quota_resolve`. With `FOREBAY_STEP_CREDENTIALS`, `_FETCH` and `_FALLBACK` the status is `FOREBAY_OK`:
/// answer the step by one of its functions, then call this again. With `FOREBAY_STEP_WAIT` the status is
/// `FOREBAY_IN_FLIGHT`: call `forebay_resolve_wait`. After an answer or an error the resolve is finished: free it.
/// Errors: those of `forebay_quota_resolve`. One thread at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_next(
    step: *mut i32,
    answer: *mut *mut forebay_answer,
    resolve: *mut forebay_resolve,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for two places.
        let (step, answer) = unsafe {
            (out(step, forebay_step::FOREBAY_STEP_DONE as i32, "step")?, out_handle(answer, "answer")?)
        };
        // SAFETY: the header asks for a live handle.
        match unsafe { own(resolve)? }.advance()? {
            Moved::Done(found) => {
                let found = Answered::new(found);
                let status = found.status();
                answer.export(found);
                Ok(status)
            }
            Moved::Asks(asked) => {
                step.set(asked as i32);
                Ok(if asked == forebay_step::FOREBAY_STEP_WAIT { IN_FLIGHT } else { OK })
            }
        }
    })
}

/// Answers `FOREBAY_STEP_CREDENTIALS`: the credential to ask with, `size` bytes, copied during the call; `(NULL, 0)`:
/// none is needed. It is handed to the fetch, and a hash of it is recorded; it is never stored. Errors:
/// `FOREBAY_E_INVALID` where that was not asked for, `FOREBAY_E_ALREADY_USED` where it was answered. One thread at a
/// time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_credentials(
    resolve: *mut forebay_resolve,
    data: *const c_void,
    size: usize,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle and readable bytes.
        let (resolve, data) = unsafe { (resolving(resolve)?, bytes(data, size, "data")?) };
        resolve.credentials(Ok(data))?;
        Ok(OK)
    })
}

/// Answers `FOREBAY_STEP_CREDENTIALS`: there is no credential. `failure`: NULL for one without a reason. Errors: as
/// `forebay_resolve_credentials`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_credentials_failed(
    resolve: *mut forebay_resolve,
    failure: *const forebay_failure,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle and NULL or readable options.
        let (resolve, failure) = unsafe { (resolving(resolve)?, failure_of(failure)?) };
        resolve.credentials(Err(failure))?;
        Ok(OK)
    })
}

/// Answers `FOREBAY_STEP_FETCH`: the data, JSON of `size` bytes, copied during the call; what is not JSON counts as a
/// failure. `commit`: NULL for none. Errors: as `forebay_resolve_credentials`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_fetched(
    resolve: *mut forebay_resolve,
    data: *const c_void,
    size: usize,
    commit: *const forebay_commit,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle, readable bytes and NULL or readable options.
        let (resolve, data, commit) =
            unsafe { (resolving(resolve)?, bytes(data, size, "data")?, commit_of(commit)?) };
        resolve.fetched(Ok(Fetched { data: Some(data.into()), commit }))?;
        Ok(OK)
    })
}

/// Answers `FOREBAY_STEP_FETCH`: the server says that the data is unchanged (304), so it is fresh again. `commit`: what it
/// sets replaces what was stored beside the data; NULL for nothing. Errors: as `forebay_resolve_credentials`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_unchanged(
    resolve: *mut forebay_resolve,
    commit: *const forebay_commit,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle and NULL or readable options.
        let (resolve, commit) = unsafe { (resolving(resolve)?, commit_of(commit)?) };
        resolve.fetched(Ok(Fetched { data: None, commit }))?;
        Ok(OK)
    })
}

/// Answers `FOREBAY_STEP_FETCH` with the answer of an HTTP server: 2xx is data, 304 unchanged, 401 and 403 unauthorized, 429
/// rate_limited and 503 unavailable, each with Retry-After; the rest refresh_failed. Errors: as
/// `forebay_resolve_credentials`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_respond(
    resolve: *mut forebay_resolve,
    response: *const forebay_response,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle and readable options and slices.
        let (resolve, meaning) = unsafe { (resolving(resolve)?, meaning_of(response)?) };
        resolve.fetched(match meaning {
            Meaning::New(body, commit) => Ok(Fetched { data: Some(body.into()), commit }),
            Meaning::Unchanged(commit) => Ok(Fetched { data: None, commit }),
            Meaning::Failed(failure) => Err(failure),
        })?;
        Ok(OK)
    })
}

/// Answers `FOREBAY_STEP_FETCH`: it failed, and a gate holds back the next fetch, in all processes. `failure`: NULL for one
/// without a reason. Errors: as `forebay_resolve_credentials`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_fetch_failed(
    resolve: *mut forebay_resolve,
    failure: *const forebay_failure,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle and NULL or readable options.
        let (resolve, failure) = unsafe { (resolving(resolve)?, failure_of(failure)?) };
        resolve.fetched(Err(failure))?;
        Ok(OK)
    })
}

/// Answers `FOREBAY_STEP_FALLBACK`: the data instead, JSON of `size` bytes, copied during the call. `data` NULL: there is
/// none. Errors: as `forebay_resolve_credentials`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_fallback(
    resolve: *mut forebay_resolve,
    data: *const c_void,
    size: usize,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle and readable bytes.
        let (resolve, given) = unsafe { (resolving(resolve)?, bytes(data, size, "data")?) };
        resolve.fallback(Ok((!data.is_null()).then(|| given.to_vec())))?;
        Ok(OK)
    })
}

/// Answers `FOREBAY_STEP_FALLBACK`: it failed. The call reports why the fetch was not made or failed, not this.
/// `failure`: NULL for one without a reason. Errors: as `forebay_resolve_credentials`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_fallback_failed(
    resolve: *mut forebay_resolve,
    failure: *const forebay_failure,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle and NULL or readable options.
        let (resolve, failure) = unsafe { (resolving(resolve)?, failure_of(failure)?) };
        resolve.fallback(Err(failure))?;
        Ok(OK)
    })
}

/// Waits until there may be news: then call `forebay_resolve_next`.
///
/// `at_most_ms`: at most so long; -1 until there is news. Errors: `FOREBAY_E_CANCELLED` after
/// `forebay_resolve_interrupt`; the resolve can go on. One thread at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_wait(
    resolve: *mut forebay_resolve,
    at_most_ms: i64,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle.
        unsafe { own(resolve)? }.wait(duration(at_most_ms, "at_most_ms")?)?;
        Ok(OK)
    })
}

/// Ends the wait of this resolve that runs, within 25 ms, or else the next one, at once. Any thread, also while another
/// is inside `forebay_resolve_wait`; also in a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_interrupt(resolve: *const forebay_resolve) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a live handle.
        if let Some(resolve) = unsafe { handle::peek(resolve) } {
            resolve.machine.interrupt();
        }
    });
}

/// Frees the resolve; NULL is fine. One that was asked to fetch, and was not told what came of it, gives up its lease: the
/// next caller fetches at once. Not while another thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_free(resolve: *mut forebay_resolve) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(resolve) }
    });
}
