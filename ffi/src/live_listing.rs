//! `forebay_live_listing`: all derived results of a cache at one instant, without their bytes. It doesn't know whether
//! they hold.

use crate::args::{instant_to_ms, out_handle};
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::live::{forebay_live, live_of};
use crate::live_input::{NO_INPUT, Shown, forebay_live_input};
use crate::status::{OK, forebay_status};
use crate::text::{self, Cell, Cells, Terminated};
use forebay_core::{LiveKey, LiveListed};
use std::ffi::c_char;

/// All derived results at one instant, from `forebay_live_list`. Its accessors accept NULL, and an index beyond the
/// last.
///
/// Thread safety: immutable; any thread, also several at once.
pub struct forebay_live_listing {
    _private: [u8; 0],
}

impl Handle for forebay_live_listing {
    type Rust = Vec<Row>;
    type Ownership = Single;
}

/// One result, and its texts as C reads them.
pub(crate) struct Row {
    listed: LiveListed,
    key: Cell,
    kind: Cell,
    inputs: Shown,
    upstreams: Cells,
}

impl Row {
    fn new(listed: LiveListed) -> Row {
        Row {
            listed,
            key: Cell::default(),
            kind: Cell::default(),
            inputs: Shown::default(),
            upstreams: Cells::default(),
        }
    }

    fn upstreams(&self) -> &[Terminated] {
        self.upstreams.get(|| self.listed.upstreams.iter().map(LiveKey::to_string).collect())
    }
}

/// # Safety
/// `listing` is NULL or a live handle.
unsafe fn row<'a>(listing: *const forebay_live_listing, index: usize) -> Option<&'a Row> {
    // SAFETY: the caller's promise.
    unsafe { handle::peek(listing) }.and_then(|rows| rows.get(index))
}

/// Lists all derived results, in the order of their keys, also those that do not hold and were not removed yet.
///
/// `out`: to be freed with `forebay_live_listing_free`. Errors: as `forebay_live_entry_count`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_list(
    out: *mut *mut forebay_live_listing,
    live: *const forebay_live,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle and a live handle.
        let (out, live) = unsafe { (out_handle(out, "out")?, live_of(live)?) };
        out.export(live.list()?.into_iter().map(Row::new).collect());
        Ok(OK)
    })
}

/// How many results were listed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_listing_count(listing: *const forebay_live_listing) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(listing) }.map_or(0, Vec::len)
    })
}

/// The key, with a NUL at its end, borrowed from the listing; its length is written to `*size` unless `size` is NULL.
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_listing_key(
    listing: *const forebay_live_listing,
    index: usize,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match row(listing, index) {
                Some(row) => row.key.show(size, || Some(row.listed.key.to_string())),
                None => text::nothing(size),
            }
        }
    })
}

/// What kind of result it is; as `forebay_live_listing_key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_listing_kind(
    listing: *const forebay_live_listing,
    index: usize,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match row(listing, index) {
                Some(row) => row.kind.show(size, || Some(&row.listed.kind)),
                None => text::nothing(size),
            }
        }
    })
}

/// How many bytes it has. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_listing_size(
    listing: *const forebay_live_listing,
    index: usize,
) -> u64 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { row(listing, index) }.map_or(0, |row| row.listed.size)
    })
}

/// When it was computed, in milliseconds since the epoch; -1 beyond the last. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_listing_computed_at_ms(
    listing: *const forebay_live_listing,
    index: usize,
) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { row(listing, index) }.map(|row| row.listed.computed_at))
    })
}

/// When it was last used, as far as that is recorded, in milliseconds since the epoch; -1 beyond the last. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_listing_used_at_ms(
    listing: *const forebay_live_listing,
    index: usize,
) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { row(listing, index) }.map(|row| row.listed.used_at))
    })
}

/// How many inputs it was computed from. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_listing_input_count(
    listing: *const forebay_live_listing,
    index: usize,
) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { row(listing, index) }.map_or(0, |row| row.listed.inputs.len())
    })
}

/// One of these inputs; its name has a NUL after its last byte and is borrowed from the listing. Its kind is -1 beyond
/// the last. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_listing_input(
    listing: *const forebay_live_listing,
    index: usize,
    at: usize,
) -> forebay_live_input {
    ffi_guard!(else NO_INPUT, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { row(listing, index) }.map_or(NO_INPUT, |row| row.inputs.at(|| &row.listed.inputs, at))
    })
}

/// How many derived results it is built on. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_listing_upstream_count(
    listing: *const forebay_live_listing,
    index: usize,
) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { row(listing, index) }.map_or(0, |row| row.upstreams().len())
    })
}

/// The key of one of these, with a NUL at its end, borrowed from the listing; NULL beyond the last. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_listing_upstream(
    listing: *const forebay_live_listing,
    index: usize,
    at: usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle; NULL is no place for a size.
        unsafe {
            let key = row(listing, index).and_then(|row| row.upstreams().get(at));
            text::show(key, std::ptr::null_mut())
        }
    })
}

/// Frees the listing; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_listing_free(listing: *mut forebay_live_listing) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(listing) }
    });
}
