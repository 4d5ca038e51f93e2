//! `forebay_refresh_info`: what a source's refresh was doing when somebody looked.

use crate::args::instant_to_ms;
use crate::error::{Failed, forebay_error};
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::status::{self, UNKNOWN};
use forebay_core::RefreshState;

/// What a source's refresh was doing at one instant. Each accessor accepts NULL.
///
/// Thread safety: immutable; any thread, also several at once.
pub struct forebay_refresh_info {
    _private: [u8; 0],
}

impl Handle for forebay_refresh_info {
    type Rust = Info;
    type Ownership = Single;
}

/// The state, and its error as C reads it.
pub(crate) struct Info {
    state: RefreshState,
    last_error: Option<Failed>,
}

impl Info {
    pub(crate) fn new(state: RefreshState) -> Info {
        let last_error = state.last_error.clone().map(Failed::new);
        Info { state, last_error }
    }
}

/// The state behind a handle that may be NULL.
///
/// # Safety
/// `info` is NULL or a live handle.
unsafe fn state<'a>(info: *const forebay_refresh_info) -> Option<&'a RefreshState> {
    // SAFETY: the caller's promise.
    unsafe { handle::peek(info) }.map(|info| &info.state)
}

/// Idle, running or cooling: a `forebay_phase`; -1 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_refresh_info_phase(info: *const forebay_refresh_info) -> i32 {
    ffi_guard!(else UNKNOWN, {
        // SAFETY: the header asks for NULL or a live handle.
        status::phase_number(unsafe { state(info) }.map(|state| state.phase))
    })
}

/// 1 while a refresh runs, and, as in the original, also while a failure cools down; else 0. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_refresh_info_in_flight(info: *const forebay_refresh_info) -> i32 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        i32::from(unsafe { state(info) }.is_some_and(|state| state.in_flight))
    })
}

/// 1 where the last refresh failed; else 0. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_refresh_info_failed(info: *const forebay_refresh_info) -> i32 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        i32::from(unsafe { state(info) }.is_some_and(|state| state.failed))
    })
}

/// How the last refresh failed; NULL where it didn't. Borrowed: not to be freed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_refresh_info_last_error(
    info: *const forebay_refresh_info,
) -> *const forebay_error {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle.
        Failed::lend(unsafe { handle::peek(info) }.and_then(|info| info.last_error.as_ref()))
    })
}

/// When the refresh that runs began, in milliseconds since the epoch; -1 where that is not known. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_refresh_info_started_at_ms(info: *const forebay_refresh_info) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { state(info) }.and_then(|state| state.started_at))
    })
}

/// When its lease ends, in milliseconds since the epoch; -1 where none runs. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_refresh_info_deadline_ms(info: *const forebay_refresh_info) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { state(info) }.and_then(|state| state.deadline))
    })
}

/// When the next attempt may be made, in milliseconds since the epoch; -1 where no gate is in force. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_refresh_info_retry_at_ms(info: *const forebay_refresh_info) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { state(info) }.and_then(|state| state.retry_at))
    })
}

/// How many refreshes in a row have failed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_refresh_info_attempts(info: *const forebay_refresh_info) -> u32 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { state(info) }.map_or(0, |state| state.attempts)
    })
}

/// 1 where the origin itself told when to come back (Retry-After); 0 where forebay guessed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_refresh_info_declared(info: *const forebay_refresh_info) -> i32 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        i32::from(unsafe { state(info) }.is_some_and(|state| state.declared))
    })
}

/// The process that runs the refresh; -1 where none does, or it is not known. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_refresh_info_holder(info: *const forebay_refresh_info) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { state(info) }.and_then(|state| state.holder).map_or(-1, i64::from)
    })
}

/// Frees it; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_refresh_info_free(info: *mut forebay_refresh_info) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(info) }
    });
}
