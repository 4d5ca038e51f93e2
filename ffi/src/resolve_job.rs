//! What is known of the fetch that a `forebay_resolve` asks for: how long it may take, the credential, and what was there
//! before. It doesn't know how the fetch ends.

use crate::args::{instant_to_ms, to_ms};
use crate::guard::ffi_guard;
use crate::handle;
use crate::resolve::{Resolving, forebay_resolve};
use crate::text::{self, Cell, Headers, Terminated};
use forebay_core::QuotaJob;
use std::ffi::c_char;

/// The job, and its texts as C reads them.
pub(crate) struct Known {
    job: QuotaJob,
    credential: Cell,
    previous: Cell,
    validator: Cell,
    headers: Headers,
}

impl Known {
    pub(crate) fn new(job: QuotaJob) -> Known {
        Known {
            job,
            credential: Cell::default(),
            previous: Cell::default(),
            validator: Cell::default(),
            headers: Headers::default(),
        }
    }

    fn headers(&self) -> &[(Terminated, Terminated)] {
        self.headers.get(|| self.job.conditional_headers())
    }
}

/// # Safety
/// `resolve` is NULL or a live handle.
unsafe fn known<'a>(resolve: *const forebay_resolve) -> Option<&'a Known> {
    // SAFETY: the caller's promise.
    unsafe { handle::peek(resolve) }.and_then(Resolving::job)
}

/// Until when the fetch may take, in milliseconds since the epoch by the cache's clock; -1 before `FOREBAY_STEP_FETCH`, and
/// for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_deadline_ms(resolve: *const forebay_resolve) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { known(resolve) }.map(|known| known.job.deadline()))
    })
}

/// How many milliseconds are left until then; 0 when it is over, before `FOREBAY_STEP_FETCH`, and for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_remaining_ms(resolve: *const forebay_resolve) -> i64 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { known(resolve) }.map_or(0, |known| to_ms(Some(known.job.remaining())))
    })
}

/// 1 where the fetch is of no use any more: it was ended, the quota was cleared, the lease is over, or the cache was
/// closed. 0 otherwise, before `FOREBAY_STEP_FETCH`, and for NULL. Cheap enough to ask in a loop. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_cancelled(resolve: *const forebay_resolve) -> i32 {
    ffi_guard!(else 1, {
        // SAFETY: the header asks for NULL or a live handle.
        i32::from(unsafe { known(resolve) }.is_some_and(|known| known.job.cancelled()))
    })
}

/// The credential to ask with, with a NUL after its last byte, borrowed from the resolve; its length is written to `*size`
/// unless `size` is NULL. It is empty where none is needed. NULL before `FOREBAY_STEP_FETCH`, and for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_credential(
    resolve: *const forebay_resolve,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match known(resolve) {
                Some(known) => known.credential.show(size, || Some(known.job.credential())),
                None => text::nothing(size),
            }
        }
    })
}

/// The data before this fetch (JSON), NULL where there is none; as `forebay_resolve_credential`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_previous(
    resolve: *const forebay_resolve,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match known(resolve) {
                Some(known) => known.previous.show(size, || known.job.previous()),
                None => text::nothing(size),
            }
        }
    })
}

/// The validator of the data before this fetch, NULL where there is none; as `forebay_resolve_credential`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_validator(
    resolve: *const forebay_resolve,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match known(resolve) {
                Some(known) => known.validator.show(size, || known.job.validator()),
                None => text::nothing(size),
            }
        }
    })
}

/// How many headers make an HTTP request conditional on the validator: If-None-Match for an ETag, If-Modified-Since
/// for a date, none for another. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_header_count(resolve: *const forebay_resolve) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { known(resolve) }.map_or(0, |known| known.headers().len())
    })
}

/// The name of one of those headers, with a NUL at its end, borrowed from the resolve; NULL beyond the last. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_header_name(
    resolve: *const forebay_resolve,
    index: usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle; NULL is no place for a size.
        unsafe {
            let header = known(resolve).and_then(|known| known.headers().get(index));
            text::show(header.map(|(name, _)| name), std::ptr::null_mut())
        }
    })
}

/// The value of one of those headers; as `forebay_resolve_header_name`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_resolve_header_value(
    resolve: *const forebay_resolve,
    index: usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle; NULL is no place for a size.
        unsafe {
            let header = known(resolve).and_then(|known| known.headers().get(index));
            text::show(header.map(|(_, value)| value), std::ptr::null_mut())
        }
    })
}
