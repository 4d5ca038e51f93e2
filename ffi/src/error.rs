//! `forebay_error`: a failure as C sees it. All of it is in the object, nothing in a thread-local, so it can be
//! read later and elsewhere. It doesn't know which call failed.

use crate::args::instant_to_ms;
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::text::{self, Cell};
use forebay_core::Error;
use std::ffi::c_char;
use std::os::unix::ffi::OsStrExt;

/// What went wrong: code, sentence, path, remedy, the system's error number, and a refresher's own text.
///
/// One that a call wrote to `*err` is yours: free it with `forebay_error_free`. One that an accessor returned
/// (`const forebay_error *`) belongs to the handle it came from.
///
/// Thread safety: immutable; any thread, also several at once, also another than that of the call.
pub struct forebay_error {
    _private: [u8; 0],
}

impl Handle for forebay_error {
    type Rust = Failed;
    type Ownership = Single;
}

/// The error and its texts as C reads them.
pub(crate) struct Failed {
    error: Error,
    whole: Cell,
    message: Cell,
    hint: Cell,
    path: Cell,
    host: Cell,
}

impl Failed {
    pub(crate) fn new(error: Error) -> Failed {
        Failed {
            error,
            whole: Cell::default(),
            message: Cell::default(),
            hint: Cell::default(),
            path: Cell::default(),
            host: Cell::default(),
        }
    }

    /// The same, borrowed from a handle that keeps it.
    pub(crate) fn lend(failed: Option<&Failed>) -> *const forebay_error {
        failed.map_or(std::ptr::null(), |failed| std::ptr::from_ref(failed).cast())
    }
}

/// A new error object, owned by whoever gets the pointer.
pub(crate) fn export(error: Error) -> *mut forebay_error {
    handle::export(Failed::new(error))
}

/// The innermost error's text: what the refresher said.
fn host_text(error: &Error) -> Option<String> {
    let mut cause = std::error::Error::source(error)?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(cause.to_string())
}

/// The code, one of the negative numbers of `forebay_code`; 0 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_error_code(error: *const forebay_error) -> i32 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(error) }.map_or(0, |failed| failed.error.code().number())
    })
}

/// The whole sentence for a person: path, what happened, what to do next. With a NUL at its end, borrowed from
/// the error; its length is written to `*size` unless `size` is NULL. NULL for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_error_text(error: *const forebay_error, size: *mut usize) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(error) {
                Some(failed) => failed.whole.show(size, || Some(failed.error.to_string())),
                None => text::nothing(size),
            }
        }
    })
}

/// What happened, without path and remedy; as `forebay_error_text`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_error_message(
    error: *const forebay_error,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(error) {
                Some(failed) => failed.message.show(size, || Some(failed.error.message())),
                None => text::nothing(size),
            }
        }
    })
}

/// What to do next; as `forebay_error_text`, and NULL where there is no advice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_error_hint(error: *const forebay_error, size: *mut usize) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(error) {
                Some(failed) => failed.hint.show(size, || failed.error.hint()),
                None => text::nothing(size),
            }
        }
    })
}

/// The file or folder it is about; as `forebay_error_text`, and NULL where there is none. It is as
/// the system has it, so not always UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_error_path(error: *const forebay_error, size: *mut usize) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(error) {
                Some(failed) => failed.path.show(size, || failed.error.path().map(|path| path.as_os_str().as_bytes())),
                None => text::nothing(size),
            }
        }
    })
}

/// The text that the refresher of this process gave, verbatim; as `forebay_error_text`, and NULL where the failure
/// is not a refresher's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_error_host_text(
    error: *const forebay_error,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(error) {
                Some(failed) => failed.host.show(size, || host_text(&failed.error)),
                None => text::nothing(size),
            }
        }
    })
}

/// The system's error number (`errno`) where a system call failed; else 0. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_error_os(error: *const forebay_error) -> i32 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(error) }.and_then(|failed| failed.error.os()).unwrap_or(0)
    })
}

/// When the next attempt may be made, in milliseconds since the epoch; -1 where that is not known. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_error_retry_at_ms(error: *const forebay_error) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { handle::peek(error) }.and_then(|failed| failed.error.retry_at()))
    })
}

/// Frees an error that a call wrote to `*err`; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_error_free(error: *mut forebay_error) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(error) }
    });
}
