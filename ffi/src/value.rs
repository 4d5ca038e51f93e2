//! `forebay_value`: bytes with their state, as one call found or made them. It doesn't know which call.

use crate::args::{instant_to_ms, to_ms};
use crate::error::{Failed, forebay_error};
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Shared};
use crate::status::{self, UNKNOWN, forebay_state, forebay_status};
use crate::text::{self, Cell};
use forebay_core::Value;
use std::ffi::c_char;

/// A value as one call found or made it: bytes, state, age, and where it came from. It never changes; what it
/// lends (bytes, texts, its error) lives as long as it does, also when the cache is closed and freed.
///
/// Each accessor accepts NULL, and then answers as for a value that is absent.
///
/// Thread safety: immutable; any thread, also several at once. `forebay_value_retain` adds an owner, and each
/// owner calls `forebay_value_free` once.
pub struct forebay_value {
    _private: [u8; 0],
}

impl Handle for forebay_value {
    type Rust = Found;
    type Ownership = Shared;
}

/// The value and its texts as C reads them.
pub(crate) struct Found {
    pub(crate) value: Value,
    error: Option<Failed>,
    validator: Cell,
    extra: Cell,
    version: Cell,
}

impl Found {
    pub(crate) fn new(value: Value) -> Found {
        let error = value.error.clone().map(Failed::new);
        Found { value, error, validator: Cell::default(), extra: Cell::default(), version: Cell::default() }
    }

    /// The outcome that a call returns with this value.
    pub(crate) fn status(&self) -> forebay_status {
        status::of_state(self.value.state)
    }
}

/// The first byte of the value; NULL where there is none. Borrowed from the value: not to be changed or freed.
/// An empty value has a pointer and the size 0. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_value_data(value: *const forebay_value) -> *const u8 {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(value) }.and_then(|found| found.value.data()).map_or(std::ptr::null(), <[u8]>::as_ptr)
    })
}

/// How many bytes the value has; 0 where there is none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_value_size(value: *const forebay_value) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(value) }.and_then(|found| found.value.data()).map_or(0, <[u8]>::len)
    })
}

/// Whether it may be used: a `forebay_state`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_value_state(value: *const forebay_value) -> i32 {
    ffi_guard!(else forebay_state::FOREBAY_STATE_ABSENT as i32, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(value) }
            .map_or(forebay_state::FOREBAY_STATE_ABSENT as i32, |found| status::state_number(found.value.state))
    })
}

/// Where it came from: a `forebay_how`; -1 from calls that only look. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_value_how(value: *const forebay_value) -> i32 {
    ffi_guard!(else UNKNOWN, {
        // SAFETY: the header asks for NULL or a live handle.
        status::how_number(unsafe { handle::peek(value) }.and_then(|found| found.value.how))
    })
}

/// What the source's refresh is doing: a `forebay_phase`; -1 where the call didn't look, as for most fresh values.
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_value_phase(value: *const forebay_value) -> i32 {
    ffi_guard!(else UNKNOWN, {
        // SAFETY: the header asks for NULL or a live handle.
        status::phase_number(unsafe { handle::peek(value) }.and_then(|found| found.value.phase))
    })
}

/// How old it is, in milliseconds; -1 where there is none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_value_age_ms(value: *const forebay_value) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        to_ms(unsafe { handle::peek(value) }.and_then(|found| found.value.age))
    })
}

/// When it was stored, in milliseconds since the epoch; -1 where there is none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_value_stored_at_ms(value: *const forebay_value) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { handle::peek(value) }.and_then(|found| found.value.stored_at()))
    })
}

/// Until when it is fresh, in milliseconds since the epoch; -1 where it is not. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_value_fresh_until_ms(value: *const forebay_value) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { handle::peek(value) }.and_then(|found| found.value.fresh_until))
    })
}

/// The validator stored with it (an ETag, a date, a text of the refresher's own); NULL where there is none. Text
/// with a NUL at its end, borrowed from the value; its length is written to `*size` unless `size` is NULL. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_value_validator(
    value: *const forebay_value,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(value) {
                Some(found) => found.validator.show(size, || found.value.validator()),
                None => text::nothing(size),
            }
        }
    })
}

/// The caller's own text stored with it; as `forebay_value_validator`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_value_extra(value: *const forebay_value, size: *mut usize) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(value) {
                Some(found) => found.extra.show(size, || found.value.extra()),
                None => text::nothing(size),
            }
        }
    })
}

/// The opaque version: it differs whenever the value does, and is `"0"` where there is none. For
/// `forebay_wait_for_change` and `unless_changed_since`. As `forebay_value_validator`, never NULL but for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_value_version(
    value: *const forebay_value,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(value) {
                Some(found) => found.version.show(size, || Some(found.value.version().to_string())),
                None => text::nothing(size),
            }
        }
    })
}

/// Why the value is not what it could be: damage found on disk, or the failed refresh behind a stale value. NULL
/// where there is nothing to report. Borrowed from the value: not to be freed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_value_error(value: *const forebay_value) -> *const forebay_error {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle.
        Failed::lend(unsafe { handle::peek(value) }.and_then(|found| found.error.as_ref()))
    })
}

/// One more owner of the same value: returns `value`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_value_retain(value: *const forebay_value) -> *mut forebay_value {
    ffi_guard!(else std::ptr::null_mut(), {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::retain(value) }
    })
}

/// Gives up one owner's hold; the last frees the value. NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_value_free(value: *mut forebay_value) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that this owner doesn't use afterwards.
        unsafe { handle::free(value) }
    });
}
