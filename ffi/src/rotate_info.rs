//! `forebay_rotate_info`: what an exchange of a credential was doing when somebody looked.

use crate::args::instant_to_ms;
use crate::error::{Failed, forebay_error};
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::status::{self, UNKNOWN};
use crate::text::{self, Cell};
use forebay_core::{RotateState, Version};
use std::ffi::c_char;

/// What the exchange of a credential was doing at one instant, from `forebay_rotate_state`. Each accessor accepts NULL.
///
/// Thread safety: immutable; any thread, also several at once.
pub struct forebay_rotate_info {
    _private: [u8; 0],
}

impl Handle for forebay_rotate_info {
    type Rust = Looked;
    type Ownership = Single;
}

/// The state, and its parts as C reads them.
pub(crate) struct Looked {
    state: RotateState,
    last_error: Option<Failed>,
    version: Cell,
}

impl Looked {
    pub(crate) fn new(state: RotateState) -> Looked {
        let last_error = state.last_error.clone().map(Failed::new);
        Looked { state, last_error, version: Cell::default() }
    }
}

/// # Safety
/// `info` is NULL or a live handle.
unsafe fn state<'a>(info: *const forebay_rotate_info) -> Option<&'a RotateState> {
    // SAFETY: the caller's promise.
    unsafe { handle::peek(info) }.map(|looked| &looked.state)
}

/// Idle, running or cooling: a `forebay_phase`; -1 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotate_info_phase(info: *const forebay_rotate_info) -> i32 {
    ffi_guard!(else UNKNOWN, {
        // SAFETY: the header asks for NULL or a live handle.
        status::phase_number(unsafe { state(info) }.map(|state| state.phase))
    })
}

/// Since when an exchange's outcome is unknown, in milliseconds since the epoch: until `forebay_rotate_reset` nobody
/// exchanges. -1 where that is not so. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotate_info_ambiguous_since_ms(info: *const forebay_rotate_info) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { state(info) }.and_then(|state| state.ambiguous_since))
    })
}

/// When the next exchange may be made, in milliseconds since the epoch; -1 where no gate is in force. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotate_info_retry_at_ms(info: *const forebay_rotate_info) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { state(info) }.and_then(|state| state.retry_at))
    })
}

/// How the last exchange failed; NULL where it didn't. Borrowed: not to be freed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotate_info_last_error(
    info: *const forebay_rotate_info,
) -> *const forebay_error {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle.
        Failed::lend(unsafe { handle::peek(info) }.and_then(|looked| looked.last_error.as_ref()))
    })
}

/// The version of the credential that is stored, with a NUL at its end, borrowed; its length is written to `*size` unless
/// `size` is NULL. NULL where none is. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotate_info_version(
    info: *const forebay_rotate_info,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(info) {
                Some(looked) => {
                    let version = || {
                        let version = &looked.state.version;
                        (*version != Version::absent()).then(|| version.to_string())
                    };
                    looked.version.show(size, version)
                }
                None => text::nothing(size),
            }
        }
    })
}

/// Frees it; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_rotate_info_free(info: *mut forebay_rotate_info) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(info) }
    });
}
