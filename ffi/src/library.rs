//! What needs no cache: versions, durations as text, HTTP answers, and the default folder.

use crate::args::{duration, forebay_slice, instant, out, out_handle, to_ms};
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::status::{ABSENT, OK, forebay_status};
use crate::text::{Terminated, forebay_text};
use forebay_core::{Code, Error, Failure};
use std::ffi::{CStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::time::SystemTime;

/// The major version of the library that the program was compiled with.
pub const FOREBAY_VERSION_MAJOR: u32 = 0;
/// The minor version.
pub const FOREBAY_VERSION_MINOR: u32 = 1;
/// The patch version.
pub const FOREBAY_VERSION_PATCH: u32 = 0;
/// The three in one number: major * 1000000 + minor * 1000 + patch.
pub const FOREBAY_VERSION_NUMBER: u32 = 1000;
/// The version of the binary interface, which is the digit of libforebay.so.0.
pub const FOREBAY_ABI_VERSION: u32 = 0;

/// The version as text, with a NUL at its end; `None` cannot be, because Cargo's version has no NUL.
const VERSION: Option<&CStr> =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => Some(version),
        Err(_) => None,
    };

/// The version of the library that runs, to be compared with `FOREBAY_VERSION_NUMBER`. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn forebay_version_number() -> u32 {
    ffi_guard!(else 0, { FOREBAY_VERSION_NUMBER })
}

/// The version of the library that runs, as text such as `"0.1.0"`. Static. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn forebay_version() -> *const c_char {
    ffi_guard!(else std::ptr::null(), { VERSION.map_or(std::ptr::null(), CStr::as_ptr) })
}

/// The binary interface of the library that runs, to be compared with `FOREBAY_ABI_VERSION`. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn forebay_abi_version() -> u32 {
    ffi_guard!(else 0, { FOREBAY_ABI_VERSION })
}

/// Reads a duration as people write it: `1h30m`, `90s`, `250ms`; units ms s m h d w. A bare number is refused.
///
/// `ms`: the milliseconds; -1 after an error. Errors: `FOREBAY_E_INVALID`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_parse_duration(
    ms: *mut i64,
    text: forebay_slice,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the number and readable text.
        let (ms, text) = unsafe { (out(ms, -1, "ms")?, text.text("text")?) };
        ms.set(to_ms(Some(forebay_core::parse_duration(text)?)));
        Ok(OK)
    })
}

/// Writes a duration as `forebay_parse_duration` reads it.
///
/// `out`: to be freed with `forebay_text_free`. Errors: `FOREBAY_E_INVALID`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_format_duration(
    out: *mut *mut forebay_text,
    ms: i64,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle.
        let out = unsafe { out_handle(out, "out")? };
        let duration = duration(ms, "ms")?.ok_or_else(|| Error::new(Code::Invalid, "ms is -1"))?;
        out.export(Terminated::new(forebay_core::format_duration(duration).as_bytes()));
        Ok(OK)
    })
}

/// Reads a Retry-After: seconds, an HTTP date, or the epoch of a reset.
///
/// `ms`: how long to wait, from `now_ms` on (milliseconds since the epoch; -1: the system's clock). Returns `FOREBAY_OK`, or
/// `FOREBAY_ABSENT` where the text is none of those. Errors: `FOREBAY_E_INVALID`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_parse_retry_after(
    ms: *mut i64,
    text: forebay_slice,
    now_ms: i64,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the number and readable text.
        let (ms, text) = unsafe { (out(ms, -1, "ms")?, text.text("text")?) };
        let now = instant(now_ms, "now_ms")?.unwrap_or_else(SystemTime::now);
        Ok(forebay_core::parse_retry_after(text, now).map_or(ABSENT, |after| {
            ms.set(to_ms(Some(after)));
            OK
        }))
    })
}

/// What an HTTP answer that brings no value means: the code, the pause and the message for a `forebay_failure`.
///
/// `code`, `retry_after_ms`, `message`: set on success; free the message with `forebay_text_free`. `status`: the HTTP
/// status. `retry_after`: that header, or empty. Errors: `FOREBAY_E_INVALID`. Any thread. `forebay_ticket_respond` does all
/// of it in one step.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_failure_from_status(
    code: *mut i32,
    retry_after_ms: *mut i64,
    message: *mut *mut forebay_text,
    status: i32,
    retry_after: forebay_slice,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for three places and readable text.
        let (code, pause, message, header) = unsafe {
            (
                out(code, 0, "code")?,
                out(retry_after_ms, -1, "retry_after_ms")?,
                out_handle(message, "message")?,
                retry_after.some_text("retry_after")?,
            )
        };
        let status = u16::try_from(status).ok().filter(|status| (100..=999).contains(status));
        let status = status.ok_or_else(|| Error::new(Code::Invalid, "that is no HTTP status"))?;
        let failure = Failure::from_status(status, header);
        code.set(failure.code.number());
        pause.set(to_ms(failure.retry_after));
        message.export(Terminated::new(failure.message.as_bytes()));
        Ok(OK)
    })
}

/// A cache folder for the program `app` alone: `$XDG_CACHE_HOME/app`, else `$HOME/.cache/app`.
///
/// `out`: the path as the system has it, so not always UTF-8; to be freed with `forebay_text_free`. Returns `FOREBAY_OK`,
/// or `FOREBAY_ABSENT` where the environment names no home. Errors: `FOREBAY_E_INVALID`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_default_root(
    out: *mut *mut forebay_text,
    app: forebay_slice,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle and readable text.
        let (out, app) = unsafe { (out_handle(out, "out")?, app.text("app")?) };
        Ok(forebay_core::default_root(app).map_or(ABSENT, |root| {
            out.export(Terminated::new(root.as_os_str().as_bytes()));
            OK
        }))
    })
}

/// Panics, so that a test can see that no panic crosses. In test builds only, and in no header.
#[cfg(feature = "testing")]
#[unsafe(no_mangle)]
#[allow(clippy::panic)]
pub unsafe extern "C" fn forebay__test_panic(err: *mut *mut forebay_error) -> forebay_status {
    ffi_guard!(err, { panic!("on purpose") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_the_header_is_that_of_the_package() {
        let triple = [FOREBAY_VERSION_MAJOR, FOREBAY_VERSION_MINOR, FOREBAY_VERSION_PATCH];
        assert_eq!(triple.map(|part| part.to_string()).join("."), env!("CARGO_PKG_VERSION"));
        assert_eq!(FOREBAY_VERSION_NUMBER, triple[0] * 1_000_000 + triple[1] * 1000 + triple[2]);
        assert_eq!(VERSION.unwrap().to_str().unwrap(), env!("CARGO_PKG_VERSION"));
    }
}
