//! `forebay_quota_info`: what was recorded of a quota when somebody looked: data, error record, gate and lease.

use crate::answer::{Answered, forebay_answer};
use crate::args::instant_to_ms;
use crate::error::{Failed, forebay_error};
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::status::{self, UNKNOWN, forebay_status};
use crate::text::{self, Cell};
use forebay_core::{Blocked, QuotaState, State};
use std::ffi::c_char;

/// What was recorded of a quota at one instant, from `forebay_quota_read`. Each accessor accepts NULL.
///
/// Thread safety: immutable; any thread, also several at once.
pub struct forebay_quota_info {
    _private: [u8; 0],
}

impl Handle for forebay_quota_info {
    type Rust = Recorded;
    type Ownership = Single;
}

/// The state, and its parts as C reads them.
pub(crate) struct Recorded {
    state: QuotaState,
    answer: Option<Answered>,
    error: Option<Failed>,
    message: Cell,
}

impl Recorded {
    pub(crate) fn new(mut state: QuotaState) -> Recorded {
        let answer = state.answer.take().map(Answered::new);
        let error = state.recorded_error.clone().map(Failed::new);
        Recorded { state, answer, error, message: Cell::default() }
    }

    /// The outcome that a call returns with this.
    pub(crate) fn status(&self) -> forebay_status {
        status::of_state(self.answer.as_ref().map_or(State::Absent, Answered::state))
    }
}

/// The gate behind a handle that may be NULL.
///
/// # Safety
/// `info` is NULL or a live handle.
unsafe fn blocked<'a>(info: *const forebay_quota_info) -> Option<&'a Blocked> {
    // SAFETY: the caller's promise.
    unsafe { handle::peek(info) }.and_then(|recorded| recorded.state.blocked.as_ref())
}

/// The data that is recorded, whatever its age; NULL where there is none. Borrowed: not to be freed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_info_answer(info: *const forebay_quota_info) -> *const forebay_answer {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle.
        Answered::lend(unsafe { handle::peek(info) }.and_then(|recorded| recorded.answer.as_ref()))
    })
}

/// The error that is recorded in place of data, as the original program writes it; NULL where there is none. Borrowed: not
/// to be freed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_info_recorded_error(
    info: *const forebay_quota_info,
) -> *const forebay_error {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle.
        Failed::lend(unsafe { handle::peek(info) }.and_then(|recorded| recorded.error.as_ref()))
    })
}

/// When the gate in force ends, in milliseconds since the epoch; -1 where none is. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_info_blocked_until_ms(info: *const forebay_quota_info) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { blocked(info) }.map(|gate| gate.until))
    })
}

/// Why it is in force: one of the negative numbers of `forebay_code`; 0 where that is not known, or none is. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_info_blocked_code(info: *const forebay_quota_info) -> i32 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { blocked(info) }.and_then(|gate| gate.error).map_or(0, forebay_core::Code::number)
    })
}

/// Why in words, with a NUL at its end, borrowed; its length is written to `*size` unless `size` is NULL. NULL where no
/// gate is in force. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_info_blocked_message(
    info: *const forebay_quota_info,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(info) {
                Some(recorded) => {
                    let message = || recorded.state.blocked.as_ref().map(|gate| gate.message.as_bytes());
                    recorded.message.show(size, message)
                }
                None => text::nothing(size),
            }
        }
    })
}

/// How many fetches in a row have failed; 0 where no gate is in force. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_info_attempts(info: *const forebay_quota_info) -> u32 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { blocked(info) }.map_or(0, |gate| gate.attempts)
    })
}

/// 1 where the server itself told when to come back, or somebody called `forebay_quota_block`; 0 where forebay guessed, or no
/// gate is in force. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_info_declared(info: *const forebay_quota_info) -> i32 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        i32::from(unsafe { blocked(info) }.is_some_and(|gate| gate.declared))
    })
}

/// Idle, running or cooling: a `forebay_phase`; -1 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_info_phase(info: *const forebay_quota_info) -> i32 {
    ffi_guard!(else UNKNOWN, {
        // SAFETY: the header asks for NULL or a live handle.
        status::phase_number(unsafe { handle::peek(info) }.map(|recorded| recorded.state.phase))
    })
}

/// The process that fetches; -1 where none does, or it is not known. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_info_holder(info: *const forebay_quota_info) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(info) }.and_then(|recorded| recorded.state.holder).map_or(-1, i64::from)
    })
}

/// Frees it; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_quota_info_free(info: *mut forebay_quota_info) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(info) }
    });
}
