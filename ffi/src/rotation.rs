//! `forebay_rotation`: one exchange of a credential as a state machine that the host drives. The callback form is built on
//! the same machine.

use crate::args::{bytes, duration, forebay_slice, instant_to_ms, out, out_handle, to_ms};
use crate::credential::{Kept, forebay_credential};
use crate::credentials::{credentials_of, forebay_credentials, seen_of};
use crate::error::forebay_error;
use crate::failure::{failure_of, forebay_failure};
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::machine::{Machine, Questions};
use crate::status::{IN_FLIGHT, OK, forebay_status, forebay_step};
use crate::text::{self, Cell};
use forebay_core::{Code, Credential, Error, Exchange, Failure, Result, RotateStep, Rotation};
use std::ffi::{c_char, c_void};
use std::sync::OnceLock;
use std::time::Duration;

/// One rotation of a credential: call `forebay_rotation_next`, do what it asks for, and call it again, until it is done.
///
/// Thread safety: one thread at a time, any; a call while another thread is inside one gets `FOREBAY_E_INVALID`. But
/// `forebay_rotation_previous`, `_deadline_ms`, `_remaining_ms`, `_cancelled` and `_interrupt` may be called by any thread at
/// any time before the rotation is freed.
pub struct forebay_rotation {
    _private: [u8; 0],
}

impl Handle for forebay_rotation {
    type Rust = Turning;
    type Ownership = Single;
}

/// The rotation, its open question, and what is known of its exchange.
pub(crate) struct Turning {
    machine: Machine<Asking>,
    exchange: OnceLock<Exchange>,
    previous: Cell,
    /// It belongs to a call that drives it.
    driven: bool,
}

struct Asking {
    rotation: Rotation,
    questions: Questions,
}

/// Where a rotation has come to.
pub(crate) enum Moved {
    Done(Credential),
    Asks(forebay_step),
}

const WHAT: &str = "rotation";
const EXCHANGE: forebay_step = forebay_step::FOREBAY_STEP_EXCHANGE;

impl Turning {
    fn new(rotation: Rotation, driven: bool) -> Turning {
        let machine = Machine::new(Asking { rotation, questions: Questions::default() });
        Turning { machine, exchange: OnceLock::new(), previous: Cell::default(), driven }
    }

    /// The next step; the open question again, where it was not answered.
    pub(crate) fn advance(&self) -> Result<Moved> {
        let mut asking = self.machine.enter(WHAT)?;
        if let Some(step) = asking.questions.open() {
            return Ok(Moved::Asks(step));
        }
        match asking.rotation.next()? {
            RotateStep::Done(credential) => Ok(Moved::Done(credential)),
            RotateStep::Wait => Ok(Moved::Asks(forebay_step::FOREBAY_STEP_WAIT)),
            RotateStep::Exchange => {
                if let Some(exchange) = asking.rotation.exchange() {
                    self.exchange.get_or_init(|| exchange);
                }
                asking.questions.ask(EXCHANGE);
                Ok(Moved::Asks(EXCHANGE))
            }
        }
    }

    pub(crate) fn wait(&self, at_most: Option<Duration>) -> Result<()> {
        self.machine.wait(WHAT, at_most, |asking, at_most, asked| asking.rotation.wait(at_most, Some(asked)))
    }

    fn exchanged(&self, told: std::result::Result<&[u8], Failure>) -> Result<()> {
        let mut asking = self.machine.enter(WHAT)?;
        asking.questions.tell(EXCHANGE)?;
        asking.rotation.exchanged(told);
        Ok(())
    }

    /// Answers for a host whose function did not: whether the request was sent is not known.
    pub(crate) fn tell_if_silent(&self) -> Result<()> {
        if self.machine.enter(WHAT)?.questions.open().is_none() {
            return Ok(());
        }
        self.exchanged(Err(Failure::new(Code::RefreshFailed, "the function returned without an answer")))
    }
}

/// A rotation that is lent to the function of a call.
pub(crate) struct Lent(*mut forebay_rotation);

impl Lent {
    pub(crate) fn new(rotation: Rotation) -> Lent {
        Lent(handle::export(Turning::new(rotation, true)))
    }

    pub(crate) fn pointer(&self) -> *mut forebay_rotation {
        self.0
    }

    pub(crate) fn turning(&self) -> &Turning {
        // SAFETY: made by `new`, and freed by `drop` only.
        unsafe { &*self.0.cast::<Turning>() }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: our own handle, used no more.
        unsafe { handle::free(self.0) };
    }
}

/// # Safety
/// `rotation` is NULL or a live handle.
unsafe fn turning<'a>(rotation: *const forebay_rotation) -> Result<&'a Turning> {
    // SAFETY: the caller's promise.
    unsafe { handle::borrow(rotation, WHAT) }
}

/// A rotation that the host drives itself.
///
/// # Safety
/// As [`turning`].
unsafe fn own<'a>(rotation: *const forebay_rotation) -> Result<&'a Turning> {
    // SAFETY: the caller's promise.
    let turning = unsafe { turning(rotation)? };
    if turning.driven {
        return Err(Error::new(Code::Invalid, "the rotation belongs to the call that called this function")
            .with_hint("say what came of the exchange and return"));
    }
    Ok(turning)
}

/// What is known of the exchange, from the step on that asks for it.
///
/// # Safety
/// As [`turning`].
unsafe fn exchange<'a>(rotation: *const forebay_rotation) -> Option<&'a Exchange> {
    // SAFETY: the caller's promise.
    unsafe { handle::peek(rotation) }.and_then(|turning| turning.exchange.get())
}

/// Begins a rotation. Nothing happens before `forebay_rotation_next`.
///
/// `out`: free it with `forebay_rotation_free`. `key`, `seen`: as of `forebay_rotate`. Errors: `FOREBAY_E_INVALID`. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotation_begin(
    out: *mut *mut forebay_rotation,
    credentials: *const forebay_credentials,
    key: forebay_slice,
    seen: forebay_slice,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live handle and readable text.
        let (out, credentials, key, seen) = unsafe {
            (out_handle(out, "out")?, credentials_of(credentials)?, key.text("key")?, seen_of(seen)?)
        };
        out.export(Turning::new(credentials.begin(key, seen.as_ref()), false));
        Ok(OK)
    })
}

/// The next step of the rotation; never waits for another's exchange. Before the step was answered, the same step again.
///
/// `step`: a `forebay_step`. With `FOREBAY_STEP_DONE`, `credential` is the outcome (free it). With
/// `FOREBAY_STEP_EXCHANGE` the status is `FOREBAY_OK`: exchange, say what came of it, then call this again; that it was
/// begun is on the disk by now, so whatever happens to this process, nobody exchanges the same credential twice. With
/// `FOREBAY_STEP_WAIT` the status is `FOREBAY_IN_FLIGHT`: call `forebay_rotation_wait`. After a credential or an error
/// the rotation is finished: free it. Errors: those of `forebay_rotate`. One thread at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotation_next(
    step: *mut i32,
    credential: *mut *mut forebay_credential,
    rotation: *mut forebay_rotation,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for two places.
        let (step, credential) = unsafe {
            (
                out(step, forebay_step::FOREBAY_STEP_DONE as i32, "step")?,
                out_handle(credential, "credential")?,
            )
        };
        // SAFETY: the header asks for a live handle.
        match unsafe { own(rotation)? }.advance()? {
            Moved::Done(found) => {
                credential.export(Kept::new(found));
                Ok(OK)
            }
            Moved::Asks(asked) => {
                step.set(asked as i32);
                Ok(if asked == EXCHANGE { OK } else { IN_FLIGHT })
            }
        }
    })
}

/// Answers `FOREBAY_STEP_EXCHANGE`: the new credential, `size` bytes, copied during the call; the next call of
/// `forebay_rotation_next` stores it. No bytes are no credential: then the outcome is ambiguous. Errors:
/// `FOREBAY_E_INVALID` where that was not asked for, `FOREBAY_E_ALREADY_USED` where it was answered. One thread at a
/// time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotation_exchanged(
    rotation: *mut forebay_rotation,
    data: *const c_void,
    size: usize,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle and readable bytes.
        let (rotation, data) = unsafe { (turning(rotation)?, bytes(data, size, "data")?) };
        rotation.exchanged(Ok(data))?;
        Ok(OK)
    })
}

/// Answers `FOREBAY_STEP_EXCHANGE`: it failed. Where the server certainly refused (`FOREBAY_E_UNAUTHORIZED`,
/// `_RATE_LIMITED`, `_INVALID`, `_NO_CREDENTIALS`) or was certainly not reached (`not_sent`), the old credential stands and a
/// gate holds back the next exchange; else nobody knows which credential is good now: the outcome is ambiguous.
///
/// `failure`: NULL for one without a reason. Errors: as `forebay_rotation_exchanged`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotation_failed(
    rotation: *mut forebay_rotation,
    failure: *const forebay_failure,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle and NULL or readable options.
        let (rotation, failure) = unsafe { (turning(rotation)?, failure_of(failure)?) };
        rotation.exchanged(Err(failure))?;
        Ok(OK)
    })
}

/// Waits until there may be news: then call `forebay_rotation_next`.
///
/// `at_most_ms`: at most so long; -1 until there is news. Errors: `FOREBAY_E_CANCELLED` after
/// `forebay_rotation_interrupt`; the rotation can go on. One thread at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotation_wait(
    rotation: *mut forebay_rotation,
    at_most_ms: i64,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle.
        unsafe { own(rotation)? }.wait(duration(at_most_ms, "at_most_ms")?)?;
        Ok(OK)
    })
}

/// Ends the wait of this rotation that runs, within 25 ms, or else the next one, at once. Any thread, also while another
/// is inside `forebay_rotation_wait`; also in a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotation_interrupt(rotation: *const forebay_rotation) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a live handle.
        if let Some(rotation) = unsafe { handle::peek(rotation) } {
            rotation.machine.interrupt();
        }
    });
}

/// The credential to exchange, with a NUL after its last byte, borrowed from the rotation; its length is written to `*size`
/// unless `size` is NULL. NULL where none is stored, before `FOREBAY_STEP_EXCHANGE`, and for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotation_previous(
    rotation: *const forebay_rotation,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match (handle::peek(rotation), exchange(rotation)) {
                (Some(turning), Some(exchange)) => turning.previous.show(size, || exchange.previous()),
                _ => text::nothing(size),
            }
        }
    })
}

/// Until when the exchange may take, in milliseconds since the epoch by the clock of the credentials; -1 before
/// `FOREBAY_STEP_EXCHANGE`, and for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotation_deadline_ms(rotation: *const forebay_rotation) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { exchange(rotation) }.map(Exchange::deadline))
    })
}

/// How many milliseconds are left until then; 0 when it is over, before `FOREBAY_STEP_EXCHANGE`, and for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotation_remaining_ms(rotation: *const forebay_rotation) -> i64 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { exchange(rotation) }.map_or(0, |exchange| to_ms(Some(exchange.remaining())))
    })
}

/// 1 where the exchange's outcome would not be stored any more; 0 otherwise, before `FOREBAY_STEP_EXCHANGE`, and for
/// NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotation_cancelled(rotation: *const forebay_rotation) -> i32 {
    ffi_guard!(else 1, {
        // SAFETY: the header asks for NULL or a live handle.
        i32::from(unsafe { exchange(rotation) }.is_some_and(Exchange::cancelled))
    })
}

/// Frees the rotation; NULL is fine. One that was asked to exchange, and was not told what came of it, leaves the
/// credential ambiguous. Not while another thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotation_free(rotation: *mut forebay_rotation) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(rotation) }
    });
}
