//! `ffi_guard!`: the fence around each exported body. A panic stops here and becomes `FOREBAY_E_PANIC`; a Rust
//! error becomes its code, and an error object where the caller gave a place for one. It knows no nouns.

use crate::error::{self, forebay_error};
use crate::status::forebay_status;
use forebay_core::{Code, Error, Result};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The body of an exported function.
///
/// `ffi_guard!(err, { … })` is for functions that return a status: the block is a
/// `Result<forebay_status>`, and `err` is the caller's place for the error object. `ffi_guard!(else value, { … })`
/// is for the others: they return `value` after a panic.
macro_rules! ffi_guard {
    (else $fallback:expr, $body:block) => {
        $crate::guard::or_else($fallback, || $body)
    };
    ($err:expr, $body:block) => {{
        let body = || $body;
        // SAFETY: the header asks for NULL or a pointer that may be written.
        unsafe { $crate::guard::status($err, body) }
    }};
}
pub(crate) use ffi_guard;

/// Runs the body of a function that returns a status.
///
/// # Safety
/// `err` is NULL or may be written.
pub(crate) unsafe fn status(
    err: *mut *mut forebay_error,
    body: impl FnOnce() -> Result<forebay_status>,
) -> forebay_status {
    if !err.is_null() {
        // SAFETY: the caller's promise.
        unsafe { err.write(std::ptr::null_mut()) };
    }
    // Nothing of ours is left half changed by an unwinding: each body works on values of its own, and core
    // poisons nothing.
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(status)) => return status,
        Ok(Err(failure)) => failure,
        Err(payload) => panicked(payload.as_ref()),
    };
    let code = failure.code().number();
    if !err.is_null() {
        let handle =
            catch_unwind(AssertUnwindSafe(|| error::export(failure))).unwrap_or(std::ptr::null_mut());
        // SAFETY: the caller's promise.
        unsafe { err.write(handle) };
    }
    code
}

/// Runs the body of a function that cannot report an error.
pub(crate) fn or_else<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

/// The error of a contained panic.
pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Error {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::new(Code::Panic, format!("a bug in forebay was contained: {text}")).with_hint("please report it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle;

    #[test]
    fn a_panic_becomes_a_code_and_an_error_with_its_text() {
        let mut err: *mut forebay_error = std::ptr::null_mut();
        // SAFETY: a place for the error.
        let code = unsafe { status(&raw mut err, || panic!("number {}", 7)) };
        assert_eq!(code, Code::Panic.number());
        // SAFETY: the error that was just made.
        let text =
            unsafe { std::ffi::CStr::from_ptr(error::forebay_error_message(err, std::ptr::null_mut())) };
        assert!(text.to_str().unwrap().contains("number 7"));
        // SAFETY: used no more.
        unsafe { handle::free(err) };
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { status(std::ptr::null_mut(), || panic!("unheard")) }, Code::Panic.number());
        assert_eq!(or_else(5, || panic!("unheard")), 5);
    }

    #[test]
    fn success_clears_the_place_of_the_error() {
        let mut err = std::ptr::dangling_mut::<forebay_error>();
        // SAFETY: a place for the error; what is in it is not looked at.
        assert_eq!(unsafe { status(&raw mut err, || Ok(3)) }, 3);
        assert!(err.is_null());
    }
}
