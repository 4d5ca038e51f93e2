//! `forebay_quota_listing`: the quotas that a cache has records or gates of. It doesn't know what they are.

use crate::args::out_handle;
use crate::cache::{cache_of, forebay_cache};
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::status::{OK, forebay_status};
use crate::text::{self, Cell};
use forebay_core::Key;
use std::ffi::c_char;

/// The quotas of a cache at one instant, from `forebay_quota_list`. Its accessors accept NULL, and an index beyond the last.
///
/// Thread safety: immutable; any thread, also several at once.
pub struct forebay_quota_listing {
    _private: [u8; 0],
}

impl Handle for forebay_quota_listing {
    type Rust = Vec<Row>;
    type Ownership = Single;
}

/// One quota, and its texts as C reads them.
pub(crate) struct Row {
    key: Key,
    whole: Cell,
    name: Cell,
    identity_hash: Cell,
}

impl Row {
    fn new(key: Key) -> Row {
        Row { key, whole: Cell::default(), name: Cell::default(), identity_hash: Cell::default() }
    }
}

/// # Safety
/// `listing` is NULL or a live handle.
unsafe fn row<'a>(listing: *const forebay_quota_listing, index: usize) -> Option<&'a Row> {
    // SAFETY: the caller's promise.
    unsafe { handle::peek(listing) }.and_then(|rows| rows.get(index))
}

/// Lists the quotas of the cache that have a record or a gate, in the order of their keys.
///
/// `out`: to be freed with `forebay_quota_listing_free`. Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_PERMISSION`, `_IO`. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_list(
    out: *mut *mut forebay_quota_listing,
    cache: *const forebay_cache,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle and a live cache.
        let (out, cache) = unsafe { (out_handle(out, "out")?, cache_of(cache)?) };
        out.export(cache.quotas()?.into_iter().map(Row::new).collect());
        Ok(OK)
    })
}

/// How many quotas were listed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_listing_count(listing: *const forebay_quota_listing) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(listing) }.map_or(0, Vec::len)
    })
}

/// The key: the name (with an identity: and `~` and its hash), with a NUL at its end, borrowed from the listing; its length
/// is written to `*size` unless `size` is NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_listing_key(
    listing: *const forebay_quota_listing,
    index: usize,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match row(listing, index) {
                Some(row) => row.whole.show(size, || Some(row.key.to_string())),
                None => text::nothing(size),
            }
        }
    })
}

/// The name alone, without an identity; as `forebay_quota_listing_key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_listing_name(
    listing: *const forebay_quota_listing,
    index: usize,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match row(listing, index) {
                Some(row) => row.name.show(size, || Some(row.key.name())),
                None => text::nothing(size),
            }
        }
    })
}

/// The hash of the identity, 16 hexadecimal digits: the identity itself is not recorded. NULL where there is none; as
/// `forebay_quota_listing_key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_listing_identity_hash(
    listing: *const forebay_quota_listing,
    index: usize,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match row(listing, index) {
                Some(row) => {
                    let hash = || Some(row.key.identity_hash()).filter(|hash| !hash.is_empty());
                    row.identity_hash.show(size, hash)
                },
                None => text::nothing(size),
            }
        }
    })
}

/// Frees the listing; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_listing_free(listing: *mut forebay_quota_listing) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(listing) }
    });
}
