//! What a host tells about changes of what derived results were computed from, and how much room they take. It doesn't
//! know the results.

use crate::args::{forebay_slice, maybe_place, out};
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::live::{forebay_live, live_of};
use crate::live_spec::key_of;
use crate::status::{ABSENT, OK, forebay_status};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Removes the result and all that is built on it. Returns `FOREBAY_OK`, or `FOREBAY_ABSENT` where there was none.
/// Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_UNSUPPORTED`, `_LOCK_TIMEOUT`, `_NO_SPACE`, `_PERMISSION`, `_IO`. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_mark_dirty(
    live: *const forebay_live,
    key: forebay_slice,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle and readable text.
        let (live, key) = unsafe { (live_of(live)?, key_of(key, "key")?) };
        Ok(if live.mark_dirty(&key)? { OK } else { ABSENT })
    })
}

/// Removes all that is built on the result, directly and not; the result itself stays, unless it is built on itself.
///
/// `removed`: how many; the place may be NULL. Errors: as `forebay_live_mark_dirty`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_invalidate_upstream(
    removed: *mut u64,
    live: *const forebay_live,
    key: forebay_slice,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for NULL or a place, a live handle and readable text.
        let (removed, live, key) = unsafe { (maybe_place(removed, 0), live_of(live)?, key_of(key, "key")?) };
        removed.set(live.invalidate_upstream(&key)?);
        Ok(OK)
    })
}

/// Removes every result that was computed from the file, or from anything in the folder, and all that is built on
/// those.
///
/// `removed`: how many were computed from it directly; the place may be NULL. `path`: bytes, which need not be UTF-8;
/// relative to the workspace, or absolute; it need not exist any more. Errors: as `forebay_live_mark_dirty`. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_invalidate_path(
    removed: *mut u64,
    live: *const forebay_live,
    path: forebay_slice,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for NULL or a place, a live handle and readable bytes.
        let (removed, live, path) = unsafe { (maybe_place(removed, 0), live_of(live)?, path.bytes("path")?) };
        removed.set(live.invalidate_path(OsStr::from_bytes(path))?);
        Ok(OK)
    })
}

/// Removes every result that has the tag as an input, and all that is built on those.
///
/// `removed`: how many have it; the place may be NULL. Errors: as `forebay_live_mark_dirty`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_invalidate_tag(
    removed: *mut u64,
    live: *const forebay_live,
    name: forebay_slice,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for NULL or a place, a live handle and readable text.
        let (removed, live, name) = unsafe { (maybe_place(removed, 0), live_of(live)?, name.text("name")?) };
        removed.set(live.invalidate_tag(name)?);
        Ok(OK)
    })
}

/// How many results there are, also those that do not hold and were not removed yet. Errors: `FOREBAY_E_INVALID`,
/// `_CLOSED`, `_UNSUPPORTED`, `_PERMISSION`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_entry_count(
    count: *mut u64,
    live: *const forebay_live,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place and a live handle.
        let (count, live) = unsafe { (out(count, 0, "count")?, live_of(live)?) };
        count.set(live.entry_count()?);
        Ok(OK)
    })
}

/// How many bytes they have. Errors: as `forebay_live_entry_count`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_total_bytes(
    bytes: *mut u64,
    live: *const forebay_live,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place and a live handle.
        let (bytes, live) = unsafe { (out(bytes, 0, "bytes")?, live_of(live)?) };
        bytes.set(live.total_bytes()?);
        Ok(OK)
    })
}

/// Removes the least recently used results until they have at most `cap` bytes, never one that is being computed.
///
/// `evicted`: how many; the place may be NULL. Errors: as `forebay_live_mark_dirty`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_evict_to_cap(
    evicted: *mut u64,
    live: *const forebay_live,
    cap: u64,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for NULL or a place, and a live handle.
        let (evicted, live) = unsafe { (maybe_place(evicted, 0), live_of(live)?) };
        evicted.set(live.evict_to_cap(cap)?);
        Ok(OK)
    })
}

/// Removes what does not hold any more, by what is recorded, and files that nothing names.
///
/// `results`, `files`: how many of each; the places may be NULL. Errors: as `forebay_live_mark_dirty`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_gc(
    results: *mut u64,
    files: *mut u64,
    live: *const forebay_live,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for NULL or places, and a live handle.
        let (results, files, live) =
            unsafe { (maybe_place(results, 0), maybe_place(files, 0), live_of(live)?) };
        let (removed, swept) = live.gc()?;
        results.set(removed);
        files.set(swept);
        Ok(OK)
    })
}
