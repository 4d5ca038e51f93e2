//! `forebay_derived`: a derived result, as one call found or made it. It doesn't know which call.

use crate::args::instant_to_ms;
use crate::error::{Failed, forebay_error};
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Shared};
use crate::live_input::{NO_INPUT, Shown, forebay_live_input};
use crate::status::{self, UNKNOWN};
use crate::text::{self, Cell, Cells};
use forebay_core::{Derived, Input, LiveKey};
use std::ffi::c_char;
use std::sync::OnceLock;

/// A derived result as one call found or made it: its bytes, what they were computed from, and how it came to be
/// returned. It never changes; what it lends lives as long as it does, also when all else is freed. Each accessor
/// accepts NULL.
///
/// Thread safety: immutable; any thread, also several at once. `forebay_derived_retain` adds an owner, and each owner
/// calls `forebay_derived_free` once.
pub struct forebay_derived {
    _private: [u8; 0],
}

impl Handle for forebay_derived {
    type Rust = Outcome;
    type Ownership = Shared;
}

/// The result, and its texts as C reads them.
pub(crate) struct Outcome {
    derived: Derived,
    error: Option<Failed>,
    key: Cell,
    kind: Cell,
    hash: Cell,
    inputs: OnceLock<Vec<Input>>,
    shown: Shown,
    upstreams: Cells,
}

impl Outcome {
    pub(crate) fn new(derived: Derived) -> Outcome {
        let error = derived.error().cloned().map(Failed::new);
        Outcome {
            derived,
            error,
            key: Cell::default(),
            kind: Cell::default(),
            hash: Cell::default(),
            inputs: OnceLock::new(),
            shown: Shown::default(),
            upstreams: Cells::default(),
        }
    }

    fn inputs(&self) -> &[Input] {
        self.inputs.get_or_init(|| self.derived.inputs())
    }

    fn upstreams(&self) -> &[text::Terminated] {
        self.upstreams.get(|| self.derived.upstreams().iter().map(LiveKey::to_string).collect())
    }
}

/// The first byte; NULL only for NULL. Borrowed from the result: not to be changed or freed. An empty result has a
/// pointer and the size 0. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_derived_data(derived: *const forebay_derived) -> *const u8 {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(derived) }.map_or(std::ptr::null(), |found| found.derived.data().as_ptr())
    })
}

/// How many bytes it has. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_derived_size(derived: *const forebay_derived) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(derived) }.map_or(0, |found| found.derived.data().len())
    })
}

/// How it came to be returned, a `forebay_how`: fresh (it was there and holds), ran, coalesced (another computed it),
/// or uncoordinated: computed, but not stored, and `forebay_derived_error` says why. -1 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_derived_how(derived: *const forebay_derived) -> i32 {
    ffi_guard!(else UNKNOWN, {
        // SAFETY: the header asks for NULL or a live handle.
        status::how_number(unsafe { handle::peek(derived) }.map(|found| found.derived.how()))
    })
}

/// Its key, 64 hexadecimal digits, with a NUL at its end, borrowed from the result; its length is written to `*size`
/// unless `size` is NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_derived_key(
    derived: *const forebay_derived,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(derived) {
                Some(found) => found.key.show(size, || Some(found.derived.key().to_string())),
                None => text::nothing(size),
            }
        }
    })
}

/// What kind of result it is, as whoever computed it said; as `forebay_derived_key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_derived_kind(
    derived: *const forebay_derived,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(derived) {
                Some(found) => found.kind.show(size, || Some(found.derived.kind())),
                None => text::nothing(size),
            }
        }
    })
}

/// The BLAKE3 hash of its bytes, 64 hexadecimal digits; as `forebay_derived_key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_derived_hash(
    derived: *const forebay_derived,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(derived) {
                Some(found) => found.hash.show(size, || Some(found.derived.hash())),
                None => text::nothing(size),
            }
        }
    })
}

/// When it was computed, in milliseconds since the epoch by the cache's clock; -1 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_derived_computed_at_ms(derived: *const forebay_derived) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { handle::peek(derived) }.map(|found| found.derived.computed_at()))
    })
}

/// How many inputs it was computed from. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_derived_input_count(derived: *const forebay_derived) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(derived) }.map_or(0, |found| found.inputs().len())
    })
}

/// One of these inputs; its name has a NUL after its last byte and is borrowed from the result. Its kind is -1 beyond
/// the last, and for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_derived_input(
    derived: *const forebay_derived,
    index: usize,
) -> forebay_live_input {
    ffi_guard!(else NO_INPUT, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(derived) }.map_or(NO_INPUT, |found| found.shown.at(|| found.inputs(), index))
    })
}

/// How many derived results it is built on. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_derived_upstream_count(derived: *const forebay_derived) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(derived) }.map_or(0, |found| found.upstreams().len())
    })
}

/// The key of one of these, with a NUL at its end, borrowed from the result; NULL beyond the last. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_derived_upstream(
    derived: *const forebay_derived,
    index: usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle; NULL is no place for a size.
        unsafe {
            let key = handle::peek(derived).and_then(|found| found.upstreams().get(index));
            text::show(key, std::ptr::null_mut())
        }
    })
}

/// Why it was not stored; NULL where it was. Borrowed from the result: not to be freed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_derived_error(derived: *const forebay_derived) -> *const forebay_error {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle.
        Failed::lend(unsafe { handle::peek(derived) }.and_then(|found| found.error.as_ref()))
    })
}

/// One more owner of the same result: returns `derived`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_derived_retain(derived: *const forebay_derived) -> *mut forebay_derived {
    ffi_guard!(else std::ptr::null_mut(), {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::retain(derived) }
    })
}

/// Gives up one owner's hold; the last frees the result. NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_derived_free(derived: *mut forebay_derived) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that this owner doesn't use afterwards.
        unsafe { handle::free(derived) }
    });
}
