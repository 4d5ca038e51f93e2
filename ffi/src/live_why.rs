//! `forebay_live_explanation`: whether a derived result holds, and which fact decides that.

use crate::args::{forebay_slice, out_handle};
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::live::{forebay_live, live_of};
use crate::live_input::{NO_INPUT, Shown, forebay_live_input};
use crate::live_spec::key_of;
use crate::status::{OK, forebay_status};
use crate::text::{self, Cell};
use forebay_core::LiveWhy;
use std::ffi::c_char;

/// Why a derived result holds or not, from `forebay_live_why`. Each accessor accepts NULL.
///
/// Thread safety: immutable; any thread, also several at once.
pub struct forebay_live_explanation {
    _private: [u8; 0],
}

impl Handle for forebay_live_explanation {
    type Rust = Explained;
    type Ownership = Single;
}

/// The explanation, and its texts as C reads them.
pub(crate) struct Explained {
    why: LiveWhy,
    text: Cell,
    input: Shown,
    upstream: Cell,
}

/// Whether `forebay_live_lookup_revalidate` would find the result, and what decides that. It looks at the inputs;
/// nothing is removed.
///
/// `out`: to be freed with `forebay_live_explanation_free`. Errors: as `forebay_live_lookup`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_why(
    out: *mut *mut forebay_live_explanation,
    live: *const forebay_live,
    key: forebay_slice,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live handle and readable text.
        let (out, live, key) = unsafe { (out_handle(out, "out")?, live_of(live)?, key_of(key, "key")?) };
        out.export(Explained {
            why: live.why(&key)?,
            text: Cell::default(),
            input: Shown::default(),
            upstream: Cell::default(),
        });
        Ok(OK)
    })
}

/// 1 where the result holds; 0 where it does not, and for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_explanation_holds(explanation: *const forebay_live_explanation) -> i32 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        i32::from(unsafe { handle::peek(explanation) }.is_some_and(|explained| explained.why.holds))
    })
}

/// The sentence, with a NUL at its end, borrowed; its length is written to `*size` unless `size` is NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_explanation_text(
    explanation: *const forebay_live_explanation,
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

/// The input that decided; its name has a NUL after its last byte and is borrowed. Its kind is -1 where it was none.
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_explanation_input(
    explanation: *const forebay_live_explanation,
) -> forebay_live_input {
    ffi_guard!(else NO_INPUT, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(explanation) }
            .map_or(NO_INPUT, |explained| explained.input.at(|| &explained.why.input, 0))
    })
}

/// The key of the result that decided, or from whose input it was that did, NULL where it was none; as
/// `forebay_live_explanation_text`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_explanation_upstream(
    explanation: *const forebay_live_explanation,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(explanation) {
                Some(explained) => {
                    explained.upstream.show(size, || explained.why.upstream.map(|key| key.to_string()))
                }
                None => text::nothing(size),
            }
        }
    })
}

/// Frees it; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_explanation_free(explanation: *mut forebay_live_explanation) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(explanation) }
    });
}
