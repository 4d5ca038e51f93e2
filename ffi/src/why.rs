//! `forebay_explanation`: which fact decided about a value.

use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::status::{self, UNKNOWN, forebay_state};
use crate::text::{self, Cell};
use forebay_core::Why;
use std::ffi::c_char;

/// Why a value is what it is, from `forebay_why`. Each accessor accepts NULL.
///
/// Thread safety: immutable; any thread, also several at once.
pub struct forebay_explanation {
    _private: [u8; 0],
}

impl Handle for forebay_explanation {
    type Rust = Explained;
    type Ownership = Single;
}

/// The explanation and its texts as C reads them.
pub(crate) struct Explained {
    why: Why,
    text: Cell,
    cache_status: Cell,
}

impl Explained {
    pub(crate) fn new(why: Why) -> Explained {
        Explained { why, text: Cell::default(), cache_status: Cell::default() }
    }
}

/// The sentence, with a NUL at its end, borrowed; its length is written to `*size` unless `size` is NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_explanation_text(
    explanation: *const forebay_explanation,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(explanation) {
                Some(explained) => explained.text.show(size, || Some(&explained.why.text)),
                None => text::nothing(size),
            }
        }
    })
}

/// The same as the value of a Cache-Status header (RFC 9211); as `forebay_explanation_text`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_explanation_cache_status(
    explanation: *const forebay_explanation,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(explanation) {
                Some(explained) => explained.cache_status.show(size, || Some(&explained.why.cache_status)),
                None => text::nothing(size),
            }
        }
    })
}

/// The value's state: a `forebay_state`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_explanation_state(explanation: *const forebay_explanation) -> i32 {
    ffi_guard!(else forebay_state::FOREBAY_STATE_ABSENT as i32, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(explanation) }
            .map_or(forebay_state::FOREBAY_STATE_ABSENT as i32, |explained| status::state_number(explained.why.state))
    })
}

/// What its refresh is doing: a `forebay_phase`; -1 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_explanation_phase(explanation: *const forebay_explanation) -> i32 {
    ffi_guard!(else UNKNOWN, {
        // SAFETY: the header asks for NULL or a live handle.
        status::phase_number(unsafe { handle::peek(explanation) }.map(|explained| explained.why.phase))
    })
}

/// Frees it; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_explanation_free(explanation: *mut forebay_explanation) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(explanation) }
    });
}
