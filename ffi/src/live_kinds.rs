//! `forebay_live_kinds`: the kinds of derived results, and how many there are of each. It doesn't know the results.

use crate::args::out_handle;
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::live::{forebay_live, live_of};
use crate::status::{OK, forebay_status};
use crate::text::{self, Terminated};
use std::ffi::c_char;

/// The kinds of derived results at one instant, in order. Its accessors accept NULL, and an index beyond the last.
///
/// Thread safety: immutable; any thread, also several at once.
pub struct forebay_live_kinds {
    _private: [u8; 0],
}

impl Handle for forebay_live_kinds {
    type Rust = Vec<(Terminated, u64)>;
    type Ownership = Single;
}

/// # Safety
/// `kinds` is NULL or a live handle.
unsafe fn row<'a>(kinds: *const forebay_live_kinds, index: usize) -> Option<&'a (Terminated, u64)> {
    // SAFETY: the caller's promise.
    unsafe { handle::peek(kinds) }.and_then(|rows| rows.get(index))
}

/// Which kinds of results there are.
///
/// `out`: to be freed with `forebay_live_kinds_free`. Errors: as `forebay_live_entry_count`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_known_kinds(
    out: *mut *mut forebay_live_kinds,
    live: *const forebay_live,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle and a live handle.
        let (out, live) = unsafe { (out_handle(out, "out")?, live_of(live)?) };
        let kinds = live.known_kinds()?;
        out.export(kinds.into_iter().map(|(kind, of)| (Terminated::new(kind.as_bytes()), of)).collect());
        Ok(OK)
    })
}

/// How many kinds there are. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_kinds_count(kinds: *const forebay_live_kinds) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(kinds) }.map_or(0, Vec::len)
    })
}

/// The name of a kind, with a NUL at its end, borrowed; its length is written to `*size` unless `size` is NULL. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_kinds_name(
    kinds: *const forebay_live_kinds,
    index: usize,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe { text::show(row(kinds, index).map(|(name, _)| name), size) }
    })
}

/// How many results there are of it. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_kinds_entries(kinds: *const forebay_live_kinds, index: usize) -> u64 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { row(kinds, index) }.map_or(0, |(_, entries)| *entries)
    })
}

/// Frees it; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_kinds_free(kinds: *mut forebay_live_kinds) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(kinds) }
    });
}
