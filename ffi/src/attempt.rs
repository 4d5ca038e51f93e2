//! `forebay_attempt`: one `get` or `refresh` as a state machine that the host drives, on threads, tasks or an event
//! loop of its own. The callback forms are built on the same machine.

use crate::args::{self, Options, duration, flag, instant, out, out_handle};
use crate::cache::forebay_cache;
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::machine::Machine;
use crate::options::{forebay_source_options, source_of};
use crate::status::{IN_FLIGHT, OK, forebay_mode, forebay_status, forebay_step};
use crate::ticket::{Held, forebay_ticket};
use crate::value::{Found, forebay_value};
use forebay_core::{Attempt, Code, Error, Mode, Next, RefreshOptions, Result, Wait};
use std::time::Duration;

/// One attempt to have a value: call `forebay_attempt_next`, do what it asks for, and call it again, until it is done.
///
/// Thread safety: one thread at a time, any; a call while another thread is inside one gets `FOREBAY_E_INVALID`. But
/// `forebay_attempt_interrupt` may be called by any thread at any time before the attempt is freed.
pub struct forebay_attempt {
    _private: [u8; 0],
}

impl Handle for forebay_attempt {
    type Rust = Machine<Attempt>;
    type Ownership = Single;
}

/// What an attempt is for. Begin with `FOREBAY_ATTEMPT_OPTIONS_INIT`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_attempt_options {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// `FOREBAY_MODE_GET`: how long to wait before a stale value is served; -1 until the refresh ends.
    pub wait_ms: i64,
    /// `FOREBAY_MODE_REFRESH`: a refresh that ended after that instant, in milliseconds since the epoch, will do. -1: only
    /// one that begins now or runs.
    pub min_fresh_at_ms: i64,
    /// A `forebay_mode`.
    pub mode: i32,
    /// `FOREBAY_MODE_REFRESH`: 1 to pass any gate.
    pub override_gate: i32,
}

// SAFETY: repr(C), the size first, integers only.
unsafe impl Options for forebay_attempt_options {
    const INIT: Self = forebay_attempt_options {
        struct_size: size_of::<Self>(),
        wait_ms: -1,
        min_fresh_at_ms: -1,
        mode: forebay_mode::FOREBAY_MODE_GET as i32,
        override_gate: 0,
    };
}

fn mode_of(options: &forebay_attempt_options) -> Result<Mode> {
    const GET: i32 = forebay_mode::FOREBAY_MODE_GET as i32;
    const REFRESH: i32 = forebay_mode::FOREBAY_MODE_REFRESH as i32;
    const MAYBE: i32 = forebay_mode::FOREBAY_MODE_MAYBE_REFRESH as i32;
    const MAYBE_SYNC: i32 = forebay_mode::FOREBAY_MODE_MAYBE_REFRESH_SYNC as i32;
    match options.mode {
        GET => Ok(Mode::Get { wait: wait_of(options.wait_ms)? }),
        REFRESH => Ok(Mode::Refresh(RefreshOptions {
            min_fresh_at: instant(options.min_fresh_at_ms, "min_fresh_at_ms")?,
            override_gate: flag(options.override_gate, "override_gate")?,
        })),
        MAYBE => Ok(Mode::MaybeRefresh),
        MAYBE_SYNC => Ok(Mode::MaybeRefreshSync),
        other => {
            Err(Error::new(Code::Invalid, format!("mode is {other}"))
                .with_hint("give one of enum forebay_mode"))
        }
    }
}

/// How long a `get` waits, as C says it.
pub(crate) fn wait_of(wait_ms: i64) -> Result<Wait> {
    Ok(duration(wait_ms, "wait_ms")?.map_or(Wait::UntilDone, Wait::AtMost))
}

/// A wait without an end of its own; the attempt has one.
pub(crate) const LONG: Duration = Duration::from_secs(u32::MAX as u64);

/// Begins an attempt. Nothing happens before `forebay_attempt_next`.
///
/// `out`: free it with `forebay_attempt_free`. `options`: NULL for a get that waits until the refresh ends. Errors:
/// `FOREBAY_E_INVALID`, `_CLOSED`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_attempt_begin(
    out: *mut *mut forebay_attempt,
    cache: *const forebay_cache,
    source: *const forebay_source_options,
    options: *const forebay_attempt_options,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live cache and readable options.
        let (out, source, options) = unsafe {
            (out_handle(out, "out")?, source_of(cache, source)?, args::options(options, "options")?)
        };
        let mode = mode_of(&options.unwrap_or(Options::INIT))?;
        out.export(Machine::new(source.begin(mode)));
        Ok(OK)
    })
}

/// The next step of the attempt; never waits for a refresh.
///
/// `step`: a `forebay_step`. With `FOREBAY_STEP_DONE`, `value` is the outcome (free it) and the status is as of
/// `forebay_get`; a maybe_refresh attempt gets the value as it is, and its phase tells whether a refresh runs or cools
/// down. With `FOREBAY_STEP_RUN`, `ticket` is yours (free it) and the status is `FOREBAY_OK`: do the work, on any thread, end
/// the ticket, and call this again. With `FOREBAY_STEP_WAIT` the status is `FOREBAY_IN_FLIGHT`: call
/// `forebay_attempt_wait`. After a value or an error the attempt is finished: free it. A refresh that was begun goes on
/// without it. Errors: those of `forebay_get`. One thread at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_attempt_next(
    step: *mut i32,
    value: *mut *mut forebay_value,
    ticket: *mut *mut forebay_ticket,
    attempt: *mut forebay_attempt,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for three places.
        let (step, value, ticket) = unsafe {
            (
                out(step, forebay_step::FOREBAY_STEP_DONE as i32, "step")?,
                out_handle(value, "value")?,
                out_handle(ticket, "ticket")?,
            )
        };
        // SAFETY: the header asks for a live handle.
        let mut attempt = unsafe { handle::borrow(attempt, "attempt")? }.enter("attempt")?;
        Ok(match attempt.next()? {
            Next::Done(found) => {
                let found = Found::new(found);
                let status = found.status();
                value.export(found);
                status
            }
            Next::Run(mine) => {
                step.set(forebay_step::FOREBAY_STEP_RUN as i32);
                ticket.export(Held::new(mine));
                OK
            }
            Next::Wait => {
                step.set(forebay_step::FOREBAY_STEP_WAIT as i32);
                IN_FLIGHT
            }
        })
    })
}

/// Waits until there may be news: then call `forebay_attempt_next`.
///
/// `at_most_ms`: at most so long; -1 until there is news. Errors: `FOREBAY_E_CANCELLED` after
/// `forebay_attempt_interrupt`; the attempt can go on. One thread at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_attempt_wait(
    attempt: *mut forebay_attempt,
    at_most_ms: i64,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle.
        let attempt = unsafe { handle::borrow(attempt, "attempt")? };
        let at_most = duration(at_most_ms, "at_most_ms")?;
        attempt.wait("attempt", at_most, |attempt, at_most, asked| attempt.wait(at_most, Some(asked)))?;
        Ok(OK)
    })
}

/// Ends the wait of this attempt that runs, within 25 ms, or else the next one, at once. Any thread, also while another
/// is inside `forebay_attempt_wait`; also in a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_attempt_interrupt(attempt: *const forebay_attempt) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a live handle.
        if let Some(attempt) = unsafe { handle::peek(attempt) } {
            attempt.interrupt();
        }
    });
}

/// Frees the attempt; NULL is fine. A refresh that was begun goes on without it. Not while another thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_attempt_free(attempt: *mut forebay_attempt) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(attempt) }
    });
}
