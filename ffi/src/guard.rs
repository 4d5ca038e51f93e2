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
    ($err:expr, $body:block) => {
        // SAFETY: the header asks for NULL or a pointer that may be written.
        unsafe { $crate::guard::status($err, || $body) }
    };
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
        let handle = catch_unwind(|| error::export(failure)).unwrap_or(std::ptr::null_mut());
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
