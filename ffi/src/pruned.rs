//! `forebay_pruned`: what pruning removed, and what it left and why.

use crate::args::maybe_out;
use crate::cache::{cache_of, forebay_cache};
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single, null};
use crate::options::{self, forebay_source_options};
use crate::status::{OK, forebay_status};
use crate::text::{self, Terminated};
use forebay_core::{Key, Pruned, Result};
use std::ffi::c_char;

/// What `forebay_prune` did. Its accessors accept NULL, and an index beyond the last.
///
/// Thread safety: immutable; any thread, also several at once.
pub struct forebay_pruned {
    _private: [u8; 0],
}

impl Handle for forebay_pruned {
    type Rust = Report;
    type Ownership = Single;
}

/// The report, as C reads it.
pub(crate) struct Report {
    removed: Vec<Terminated>,
    skipped: Vec<(Terminated, Terminated)>,
    swept: usize,
}

impl Report {
    fn new(pruned: Pruned) -> Report {
        let name = |key: Key| Terminated::new(key.to_string().as_bytes());
        Report {
            removed: pruned.removed.into_iter().map(name).collect(),
            skipped: pruned
                .skipped
                .into_iter()
                .map(|(key, reason)| (name(key), Terminated::new(reason.as_bytes())))
                .collect(),
            swept: pruned.swept,
        }
    }
}

/// # Safety
/// `keep` is NULL or has `count` pointers, each as [`options::read`].
unsafe fn keys_of(keep: *const *const forebay_source_options, count: usize) -> Result<Vec<Key>> {
    if keep.is_null() && count > 0 {
        return Err(null("keep"));
    }
    (0..count)
        .map(|at| {
            // SAFETY: the caller's promise.
            unsafe { options::key_of(&options::read(*keep.add(at))?) }
        })
        .collect()
}

/// Removes all values and side files of the sources that are not listed, except those that are being refreshed, and
/// sweeps what dead processes left.
///
/// `out`: the report, to be freed with `forebay_pruned_free`; NULL where you don't want it. `keep`: `count` pointers to the
/// sources that stay, of which only key, tier and identity matter; `(NULL, 0)` keeps none. Errors: `FOREBAY_E_INVALID`,
/// `_CLOSED`, `_PERMISSION`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_prune(
    out: *mut *mut forebay_pruned,
    cache: *const forebay_cache,
    keep: *const *const forebay_source_options,
    count: usize,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for NULL or a place, a live cache and `count` readable options.
        let (out, cache, keep) = unsafe { (maybe_out(out), cache_of(cache)?, keys_of(keep, count)?) };
        out.export(Report::new(cache.prune(&keep)?));
        Ok(OK)
    })
}

/// How many values were removed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_pruned_removed_count(pruned: *const forebay_pruned) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(pruned) }.map_or(0, |report| report.removed.len())
    })
}

/// The key of one that was removed, with a NUL at its end, borrowed from the report; its length is written to `*size`
/// unless `size` is NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_pruned_removed_key(
    pruned: *const forebay_pruned,
    index: usize,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe { text::show(handle::peek(pruned).and_then(|report| report.removed.get(index)), size) }
    })
}

/// How many values were not listed, and left. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_pruned_skipped_count(pruned: *const forebay_pruned) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(pruned) }.map_or(0, |report| report.skipped.len())
    })
}

/// The key of one that was left; as `forebay_pruned_removed_key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_pruned_skipped_key(
    pruned: *const forebay_pruned,
    index: usize,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            let skipped = handle::peek(pruned).and_then(|report| report.skipped.get(index));
            text::show(skipped.map(|(key, _)| key), size)
        }
    })
}

/// Why it was left; as `forebay_pruned_removed_key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_pruned_skipped_reason(
    pruned: *const forebay_pruned,
    index: usize,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            let skipped = handle::peek(pruned).and_then(|report| report.skipped.get(index));
            text::show(skipped.map(|(_, reason)| reason), size)
        }
    })
}

/// How many other files were swept: markers, gates and temporary files that nobody needs. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_pruned_swept(pruned: *const forebay_pruned) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(pruned) }.map_or(0, |report| report.swept)
    })
}

/// Frees the report; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_pruned_free(pruned: *mut forebay_pruned) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(pruned) }
    });
}
