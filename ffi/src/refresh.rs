//! Refreshing by callback: `get`, `refresh`, `maybe_refresh` and `maybe_refresh_sync`, each an attempt that is driven to
//! its end here, with the host's function where the attempt says `Run`.

use crate::args::{self, Options, flag, instant, out_handle};
use crate::attempt::{LONG, wait_of};
use crate::cache::{cache_of, forebay_cache};
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::options::{forebay_source_options, reserved, source_of};
use crate::refresher::{Refresher, forebay_refresher};
use crate::status::{FRESH, GATED, IN_FLIGHT, OK, forebay_status};
use crate::value::{Found, forebay_value};
use forebay_core::{Cache, How, Mode, Next, Phase, RefreshOptions, Result, Source, Value, Wait};

/// How `forebay_refresh_with` refreshes. Begin with `FOREBAY_REFRESH_OPTIONS_INIT`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_refresh_options {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// A refresh that ended after that instant, in milliseconds since the epoch, will do. -1: only one that begins now or
    /// runs.
    pub min_fresh_at_ms: i64,
    /// 1: past any gate, also one that the origin declared.
    pub override_gate: i32,
    /// Must be 0.
    pub reserved: i32,
}

// SAFETY: repr(C), the size first, integers only.
unsafe impl Options for forebay_refresh_options {
    const INIT: Self = forebay_refresh_options {
        struct_size: size_of::<Self>(),
        min_fresh_at_ms: -1,
        override_gate: 0,
        reserved: 0,
    };
}

/// # Safety
/// As [`args::options`].
unsafe fn wanted(options: *const forebay_refresh_options) -> Result<RefreshOptions> {
    // SAFETY: the caller's promise.
    let options = unsafe { args::options(options, "options")? }.unwrap_or(Options::INIT);
    reserved(options.reserved)?;
    Ok(RefreshOptions {
        min_fresh_at: instant(options.min_fresh_at_ms, "min_fresh_at_ms")?,
        override_gate: flag(options.override_gate, "override_gate")?,
    })
}

/// Drives an attempt to its end, running the host's function in this thread.
pub(crate) fn here(source: &Source, mode: Mode, refresher: &Refresher) -> Result<Value> {
    let mut attempt = source.begin(mode);
    loop {
        match attempt.next()? {
            Next::Done(value) => return Ok(value),
            Next::Run(ticket) => refresher.run(ticket),
            Next::Wait => {
                attempt.wait(LONG, None);
            }
        }
    }
}

/// Drives an attempt to its end, running the host's function in the background: the attempt ends at its own time.
fn beside(cache: &Cache, source: &Source, mode: Mode, refresher: Refresher) -> Result<Value> {
    let mut attempt = source.begin(mode);
    let mut refresher = Some(refresher);
    loop {
        match attempt.next()? {
            Next::Done(value) => return Ok(value),
            Next::Run(ticket) => {
                // A second Run cannot come: after the first, the attempt reports its outcome. Dropping the ticket
                // would abandon it, and next() say so.
                if let Some(refresher) = refresher.take() {
                    cache.spawn(move || refresher.run(ticket));
                }
            }
            Next::Wait => {
                attempt.wait(LONG, None);
            }
        }
    }
}

/// Ends a call that returns a value.
fn give(out: args::Out<*mut forebay_value>, result: Result<Value>) -> Result<forebay_status> {
    let found = Found::new(result?);
    let status = found.status();
    out.export(found);
    Ok(status)
}

/// A fresh value; or else one that was refreshed within `wait_ms`; or else a stale one, while the refresh goes on.
///
/// `out`: the value, to be freed with `forebay_value_free`; never NULL on success. `refresher`: called where nobody else
/// refreshes; see `forebay_refresh_fn`. `wait_ms`: -1 waits until the refresh ends, and calls the refresher in this
/// thread; else it is called on a thread of forebay's, and 0 returns at once what may be served. Returns `FOREBAY_OK`
/// (fresh) or `FOREBAY_STALE`. Errors: `FOREBAY_E_TIMED_OUT`, `FOREBAY_E_GATED`, the code of the failure
/// (`FOREBAY_E_REFRESH_FAILED`, …) where there is nothing that may be served, and those of `forebay_put`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_get(
    out: *mut *mut forebay_value,
    cache: *const forebay_cache,
    source: *const forebay_source_options,
    refresher: *const forebay_refresher,
    wait_ms: i64,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a readable table, a place for the handle, a live cache and readable options.
        let (refresher, out, source, cache) = unsafe {
            (
                Refresher::take(refresher)?,
                out_handle(out, "out")?,
                source_of(cache, source)?,
                cache_of(cache)?,
            )
        };
        let result = match wait_of(wait_ms)? {
            Wait::UntilDone => here(&source, Mode::Get { wait: Wait::UntilDone }, &refresher),
            wait @ Wait::AtMost(_) => beside(cache, &source, Mode::Get { wait }, refresher),
        };
        give(out, result)
    })
}

/// Refreshes now, whatever the age; joins a refresh that runs, here or in another process, and returns its outcome.
///
/// `out`: the value, to be freed with `forebay_value_free`; `forebay_value_how` tells whether the refresher ran.
/// `refresher`: called in this thread. Returns `FOREBAY_OK`, or as `forebay_get`. Errors: the failure itself; those of
/// `forebay_get`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_refresh(
    out: *mut *mut forebay_value,
    cache: *const forebay_cache,
    source: *const forebay_source_options,
    refresher: *const forebay_refresher,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: as forebay_get.
        let (refresher, out, source) =
            unsafe { (Refresher::take(refresher)?, out_handle(out, "out")?, source_of(cache, source)?) };
        give(out, here(&source, Mode::Refresh(RefreshOptions::default()), &refresher))
    })
}

/// As `forebay_refresh`, with options; NULL for the defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_refresh_with(
    out: *mut *mut forebay_value,
    cache: *const forebay_cache,
    source: *const forebay_source_options,
    options: *const forebay_refresh_options,
    refresher: *const forebay_refresher,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: as forebay_get.
        let (refresher, out, source, options) = unsafe {
            (
                Refresher::take(refresher)?,
                out_handle(out, "out")?,
                source_of(cache, source)?,
                wanted(options)?,
            )
        };
        give(out, here(&source, Mode::Refresh(options), &refresher))
    })
}

/// Where the value isn't fresh: takes the lease at once, calls the refresher on a thread of forebay's, and returns
/// meanwhile.
///
/// Returns `FOREBAY_OK` (started), or, without calling the refresher, `FOREBAY_FRESH`, `FOREBAY_IN_FLIGHT` or
/// `FOREBAY_GATED`. Errors: those of `forebay_acquire`, with at most 100 ms for a guard lock. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_maybe_refresh(
    cache: *const forebay_cache,
    source: *const forebay_source_options,
    refresher: *const forebay_refresher,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a readable table, a live cache and readable options.
        let (refresher, source, cache) =
            unsafe { (Refresher::take(refresher)?, source_of(cache, source)?, cache_of(cache)?) };
        let mut attempt = source.begin(Mode::MaybeRefresh);
        loop {
            match attempt.next()? {
                Next::Run(ticket) => {
                    cache.spawn(move || refresher.run(ticket));
                    return Ok(OK);
                }
                Next::Done(value) if value.how == Some(How::Fresh) => return Ok(FRESH),
                Next::Done(value) if value.phase == Some(Phase::Cooling) => return Ok(GATED),
                Next::Done(_) => return Ok(IN_FLIGHT),
                Next::Wait => {
                    attempt.wait(LONG, None);
                }
            }
        }
    })
}

/// A fresh value as it is; what there is, at once, while failures cool down; else as `forebay_refresh`.
///
/// `out`: the value, also where it is absent; to be freed with `forebay_value_free`. Returns `FOREBAY_OK`, `FOREBAY_STALE`,
/// `FOREBAY_EXPIRED` or `FOREBAY_ABSENT`. Errors: as `forebay_refresh`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_maybe_refresh_sync(
    out: *mut *mut forebay_value,
    cache: *const forebay_cache,
    source: *const forebay_source_options,
    refresher: *const forebay_refresher,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: as forebay_get.
        let (refresher, out, source) =
            unsafe { (Refresher::take(refresher)?, out_handle(out, "out")?, source_of(cache, source)?) };
        give(out, here(&source, Mode::MaybeRefreshSync, &refresher))
    })
}
