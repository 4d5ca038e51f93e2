//! `forebay_listing`: all values of a cache at one instant. It doesn't know what is done about them.

use crate::args::{instant_to_ms, out_handle, to_ms};
use crate::cache::{cache_of, forebay_cache};
use crate::error::{Failed, forebay_error};
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::status::{self, OK, UNKNOWN, forebay_state, forebay_status};
use crate::text::{self, Cell};
use forebay_core::Listed;
use std::ffi::c_char;

/// All values of a cache at one instant, from `forebay_list`. Its accessors accept NULL, and an index beyond the last.
///
/// Thread safety: immutable; any thread, also several at once.
pub struct forebay_listing {
    _private: [u8; 0],
}

impl Handle for forebay_listing {
    type Rust = Vec<Row>;
    type Ownership = Single;
}

/// One value, and its texts as C reads them.
pub(crate) struct Row {
    listed: Listed,
    error: Option<Failed>,
    key: Cell,
    tier: Cell,
    name: Cell,
    validator: Cell,
    extra: Cell,
    version: Cell,
}

impl Row {
    fn new(listed: Listed) -> Row {
        let error = listed.error.clone().map(Failed::new);
        Row {
            listed,
            error,
            key: Cell::default(),
            tier: Cell::default(),
            name: Cell::default(),
            validator: Cell::default(),
            extra: Cell::default(),
            version: Cell::default(),
        }
    }
}

/// # Safety
/// `listing` is NULL or a live handle.
unsafe fn row<'a>(listing: *const forebay_listing, index: usize) -> Option<&'a Row> {
    // SAFETY: the caller's promise.
    unsafe { handle::peek(listing) }.and_then(|rows| rows.get(index))
}

/// Lists all values of the cache, in the order of their keys.
///
/// `out`: to be freed with `forebay_listing_free`. Errors: `FOREBAY_E_CLOSED`, `_PERMISSION`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_list(
    out: *mut *mut forebay_listing,
    cache: *const forebay_cache,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle and a live cache.
        let (out, cache) = unsafe { (out_handle(out, "out")?, cache_of(cache)?) };
        out.export(cache.list()?.into_iter().map(Row::new).collect());
        Ok(OK)
    })
}

/// How many values were listed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_listing_count(listing: *const forebay_listing) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(listing) }.map_or(0, Vec::len)
    })
}

/// The key, `tier/name` (with an identity: and `~` and its hash), with a NUL at its end, borrowed from the listing; its
/// length is written to `*size` unless `size` is NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_listing_key(
    listing: *const forebay_listing,
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

/// The tier alone; as `forebay_listing_key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_listing_tier(
    listing: *const forebay_listing,
    index: usize,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match row(listing, index) {
                Some(row) => row.tier.show(size, || Some(row.listed.key.tier())),
                None => text::nothing(size),
            }
        }
    })
}

/// The name alone, without an identity; as `forebay_listing_key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_listing_name(
    listing: *const forebay_listing,
    index: usize,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match row(listing, index) {
                Some(row) => row.name.show(size, || Some(row.listed.key.name())),
                None => text::nothing(size),
            }
        }
    })
}

/// A `forebay_state`, by the lifetimes that are recorded beside the value. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_listing_state(listing: *const forebay_listing, index: usize) -> i32 {
    ffi_guard!(else forebay_state::FOREBAY_STATE_ABSENT as i32, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { row(listing, index) }
            .map_or(forebay_state::FOREBAY_STATE_ABSENT as i32, |row| status::state_number(row.listed.state))
    })
}

/// A `forebay_phase`; -1 beyond the last. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_listing_phase(listing: *const forebay_listing, index: usize) -> i32 {
    ffi_guard!(else UNKNOWN, {
        // SAFETY: the header asks for NULL or a live handle.
        status::phase_number(unsafe { row(listing, index) }.map(|row| row.listed.phase))
    })
}

/// The age in milliseconds; -1 where there is none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_listing_age_ms(listing: *const forebay_listing, index: usize) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        to_ms(unsafe { row(listing, index) }.and_then(|row| row.listed.age))
    })
}

/// When it was stored, in milliseconds since the epoch; -1 where that is not known. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_listing_stored_at_ms(listing: *const forebay_listing, index: usize) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { row(listing, index) }.and_then(|row| row.listed.stored_at))
    })
}

/// When the next attempt may be made, in milliseconds since the epoch; -1 where no gate is in force. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_listing_retry_at_ms(listing: *const forebay_listing, index: usize) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { row(listing, index) }.and_then(|row| row.listed.retry_at))
    })
}

/// How many bytes the value has. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_listing_size(listing: *const forebay_listing, index: usize) -> u64 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { row(listing, index) }.map_or(0, |row| row.listed.size)
    })
}

/// The validator, NULL where there is none; as `forebay_listing_key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_listing_validator(
    listing: *const forebay_listing,
    index: usize,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match row(listing, index) {
                Some(row) => row.validator.show(size, || row.listed.validator.as_deref()),
                None => text::nothing(size),
            }
        }
    })
}

/// The caller's own text stored with it, NULL where there is none; as `forebay_listing_key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_listing_extra(
    listing: *const forebay_listing,
    index: usize,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match row(listing, index) {
                Some(row) => row.extra.show(size, || row.listed.extra.as_deref()),
                None => text::nothing(size),
            }
        }
    })
}

/// The opaque version of the value; as `forebay_listing_key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_listing_version(
    listing: *const forebay_listing,
    index: usize,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match row(listing, index) {
                Some(row) => row.version.show(size, || Some(row.listed.version.to_string())),
                None => text::nothing(size),
            }
        }
    })
}

/// Damage found, or the last failed refresh; NULL where there is nothing to report. Borrowed: not to be freed. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_listing_error(
    listing: *const forebay_listing,
    index: usize,
) -> *const forebay_error {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle.
        Failed::lend(unsafe { row(listing, index) }.and_then(|row| row.error.as_ref()))
    })
}

/// Frees the listing; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_listing_free(listing: *mut forebay_listing) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(listing) }
    });
}
