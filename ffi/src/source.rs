//! What is done with a source without refreshing it: looking at its value and its refresh, putting, marking,
//! removing, and waiting for a change.

use crate::args::{bytes, duration, forebay_slice, maybe_out, out, out_handle};
use crate::cache::forebay_cache;
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::interrupt::{self, forebay_interrupt};
use crate::options::{self, commit_of, forebay_commit, forebay_source_options, key_of, source_of};
use crate::refresh_info::{Info, forebay_refresh_info};
use crate::status::{ABSENT, OK, forebay_status};
use crate::text::{Terminated, forebay_text};
use crate::value::{Found, forebay_value};
use crate::why::{Explained, forebay_explanation};
use forebay_core::Version;
use std::ffi::c_void;

/// Looks at a source: one look at the disk, never a wait and never a write.
///
/// `out`: the value, also where it is expired, or absent; to be freed with `forebay_value_free`. Damage on disk is
/// `FOREBAY_ABSENT` with `forebay_value_error`. Returns `FOREBAY_OK` (fresh), `FOREBAY_STALE`, `FOREBAY_EXPIRED` or
/// `FOREBAY_ABSENT`. Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_PERMISSION`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_read(
    out: *mut *mut forebay_value,
    cache: *const forebay_cache,
    source: *const forebay_source_options,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live cache and readable options.
        let (out, source) = unsafe { (out_handle(out, "out")?, source_of(cache, source)?) };
        let found = Found::new(source.read()?);
        let status = found.status();
        out.export(found);
        Ok(status)
    })
}

/// The slot of the source in the table of generations (docs/protocol.md), for hosts that look at the table themselves.
///
/// `slot`: a number below 8192. Of the source, only key, tier and identity matter. Errors: `FOREBAY_E_INVALID`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_source_slot(
    slot: *mut u32,
    source: *const forebay_source_options,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the number and readable options.
        let (slot, key) = unsafe { (out(slot, 0, "slot")?, key_of(&options::read(source)?)?) };
        slot.set(key.slot());
        Ok(OK)
    })
}

/// Stores a value at once. It is not a refresh, and always wins: what a refresh in flight brings later is not stored,
/// and its caller is told so.
///
/// `out`: the value as stored, or NULL where you don't want it. `data`: `size` bytes, copied during the call; `(NULL,
/// 0)` is an empty value. `commit`: NULL for none. Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_LOCK_TIMEOUT`,
/// `_NO_SPACE`, `_PERMISSION`, `_IO`; then nothing was stored. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_put(
    out: *mut *mut forebay_value,
    cache: *const forebay_cache,
    source: *const forebay_source_options,
    data: *const c_void,
    size: usize,
    commit: *const forebay_commit,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for NULL or a place, a live cache, and readable options and bytes.
        let (out, source, data, commit) = unsafe {
            (maybe_out(out), source_of(cache, source)?, bytes(data, size, "data")?, commit_of(commit)?)
        };
        out.export(Found::new(source.put(data, &commit)?));
        Ok(OK)
    })
}

/// Marks the value as stale, whatever its age: the next caller refreshes, and until then it is served as stale. A
/// refresh that runs meanwhile is stored, and stale. Errors: as `forebay_put`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_mark_stale(
    cache: *const forebay_cache,
    source: *const forebay_source_options,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live cache and readable options.
        unsafe { source_of(cache, source)? }.mark_stale()?;
        Ok(OK)
    })
}

/// Removes the value and what is recorded of its refreshes. Returns `FOREBAY_OK`, or `FOREBAY_ABSENT` where there was
/// nothing. Errors: as `forebay_put`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_remove(
    cache: *const forebay_cache,
    source: *const forebay_source_options,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live cache and readable options.
        Ok(if unsafe { source_of(cache, source)? }.remove()? { OK } else { ABSENT })
    })
}

/// What the source's refresh is doing: from the marker and the gate on disk.
///
/// `out`: to be freed with `forebay_refresh_info_free`. Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_PERMISSION`, `_IO`.
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_refresh_state(
    out: *mut *mut forebay_refresh_info,
    cache: *const forebay_cache,
    source: *const forebay_source_options,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live cache and readable options.
        let (out, source) = unsafe { (out_handle(out, "out")?, source_of(cache, source)?) };
        out.export(Info::new(source.refresh_state()?));
        Ok(OK)
    })
}

/// Waits until the value is another than `since`, in this or any other process.
///
/// `version`: the new version, to be freed with `forebay_text_free`; NULL unless `FOREBAY_OK` is returned. `since`: a
/// version from `forebay_value_version` or from this function; empty is the version of a source without a value.
/// `timeout_ms`: at most so long; -1 without end. `interrupt`: NULL, or a flag that ends the wait. Returns
/// `FOREBAY_OK`, or `FOREBAY_ABSENT` when the time is over. Errors: `FOREBAY_E_CANCELLED` when interrupted,
/// `FOREBAY_E_INVALID`, `_CLOSED`, `_IO`. Any thread; no thread is started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_wait_for_change(
    version: *mut *mut forebay_text,
    cache: *const forebay_cache,
    source: *const forebay_source_options,
    since: forebay_slice,
    timeout_ms: i64,
    interrupt: *const forebay_interrupt,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the text, a live cache, readable options and text.
        let (out, source, since) = unsafe {
            (out_handle(version, "version")?, source_of(cache, source)?, since.some_text("since")?)
        };
        let since = since.map_or_else(|| Ok(Version::absent()), Version::parse)?;
        let timeout = duration(timeout_ms, "timeout_ms")?;
        // SAFETY: the header asks for NULL or a live interrupt.
        let changed =
            unsafe { interrupt::waiting(interrupt, |asked| source.wait_for_change(&since, timeout, asked))? };
        Ok(changed.map_or(ABSENT, |version| {
            out.export(Terminated::new(version.to_string().as_bytes()));
            OK
        }))
    })
}

/// Which fact decided about the value: in a sentence, and as a Cache-Status line (RFC 9211).
///
/// `out`: to be freed with `forebay_explanation_free`. Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_PERMISSION`, `_IO`.
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_why(
    out: *mut *mut forebay_explanation,
    cache: *const forebay_cache,
    source: *const forebay_source_options,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live cache and readable options.
        let (out, source) = unsafe { (out_handle(out, "out")?, source_of(cache, source)?) };
        out.export(Explained::new(source.why()?));
        Ok(OK)
    })
}
