//! `forebay_answer`: what a quota's call found: the data, where it came from, and why it is not better. It doesn't know
//! which call.

use crate::args::{instant_to_ms, to_ms};
use crate::error::{Failed, forebay_error};
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::status::{self, OK, UNKNOWN, forebay_code, forebay_state, forebay_status};
use crate::text::{self, Cell};
use forebay_core::{Answer, State};
use std::ffi::c_char;

/// The answer of a quota: data (JSON), where it came from, its age, and when to ask again. It never changes; what it lends
/// (data, its error) lives as long as it does, also when quota and cache are freed.
///
/// One that a call wrote to a place of yours is to be freed with `forebay_answer_free`. One that an accessor returned
/// (`const forebay_answer *`) belongs to the handle it came from. Each accessor accepts NULL.
///
/// Thread safety: immutable; any thread, also several at once.
pub struct forebay_answer {
    _private: [u8; 0],
}

impl Handle for forebay_answer {
    type Rust = Answered;
    type Ownership = Single;
}

/// The answer, and its texts as C reads them.
pub(crate) struct Answered {
    answer: Answer,
    error: Option<Failed>,
    data: Cell,
}

impl Answered {
    pub(crate) fn new(answer: Answer) -> Answered {
        let error = answer.error.clone().map(Failed::new);
        Answered { answer, error, data: Cell::default() }
    }

    /// The outcome that a call returns with this answer: whatever is not stale is what was asked for.
    pub(crate) fn status(&self) -> forebay_status {
        if self.answer.state == State::Stale { forebay_code::FOREBAY_STALE as i32 } else { OK }
    }

    /// The state of the data, for calls that only look.
    pub(crate) fn state(&self) -> State {
        self.answer.state
    }

    /// The same, borrowed from a handle that keeps it.
    pub(crate) fn lend(answered: Option<&Answered>) -> *const forebay_answer {
        answered.map_or(std::ptr::null(), |answered| std::ptr::from_ref(answered).cast())
    }
}

/// The data: JSON, as the fetch or the fallback gave it, with a NUL at its end, borrowed from the answer; its length is
/// written to `*size` unless `size` is NULL. NULL for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_answer_data(
    answer: *const forebay_answer,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(answer) {
                Some(answered) => answered.data.show(size, || Some(answered.answer.data.as_bytes())),
                None => text::nothing(size),
            }
        }
    })
}

/// Where it came from: a `forebay_how`; -1 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_answer_how(answer: *const forebay_answer) -> i32 {
    ffi_guard!(else UNKNOWN, {
        // SAFETY: the header asks for NULL or a live handle.
        status::how_number(unsafe { handle::peek(answer) }.map(|answered| answered.answer.how))
    })
}

/// Whether it is as young as was asked for: a `forebay_state`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_answer_state(answer: *const forebay_answer) -> i32 {
    ffi_guard!(else forebay_state::FOREBAY_STATE_ABSENT as i32, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(answer) }
            .map_or(forebay_state::FOREBAY_STATE_ABSENT as i32, |answered| status::state_number(answered.answer.state))
    })
}

/// How old the data is, in milliseconds; 0 for a fallback's; -1 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_answer_age_ms(answer: *const forebay_answer) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        to_ms(unsafe { handle::peek(answer) }.map(|answered| answered.answer.age))
    })
}

/// When the data was recorded, in milliseconds since the epoch; -1 for a fallback's, which is not. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_answer_cached_at_ms(answer: *const forebay_answer) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { handle::peek(answer) }.and_then(|answered| answered.answer.cached_at))
    })
}

/// When the next fetch may be made, in milliseconds since the epoch; -1 where no gate is in force. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_answer_retry_at_ms(answer: *const forebay_answer) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { handle::peek(answer) }.and_then(|answered| answered.answer.retry_at))
    })
}

/// Why the answer is not better: the failure or the gate behind stale data or a fallback, or why it could not be stored.
/// NULL where there is nothing to report. Borrowed from the answer: not to be freed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_answer_error(answer: *const forebay_answer) -> *const forebay_error {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle.
        Failed::lend(unsafe { handle::peek(answer) }.and_then(|answered| answered.error.as_ref()))
    })
}

/// Frees an answer that a call made for you; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_answer_free(answer: *mut forebay_answer) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(answer) }
    });
}
