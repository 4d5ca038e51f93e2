//! `forebay_ticket`: the right to refresh one source, what helps with the work, and the ways to end it. It doesn't
//! know who does the work or on which thread.

use crate::args::{self, bytes, duration, instant_to_ms, maybe_out, to_ms};
use crate::error::forebay_error;
use crate::failure::{failure_of, forebay_failure};
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Shared};
use crate::options::{commit_of, forebay_commit};
use crate::response::{Meaning, forebay_response, meaning_of};
use crate::status::{OK, SUPERSEDED, forebay_status};
use crate::text::{self, Cell, Headers, Terminated};
use crate::value::{Found, forebay_value};
use forebay_core::{Code, Error, Result, Ticket, Value};
use std::ffi::{c_char, c_void};

/// A refresh that is yours to do: the lease, what was there before, and the deadline. Do the work anywhere, then end
/// the ticket once: `forebay_ticket_complete`, `_unchanged`, `_fail` or `_respond`.
///
/// Thread safety: any thread, also several at once; the first end wins, each further one gets
/// `FOREBAY_E_ALREADY_USED`. `forebay_ticket_retain` adds an owner, and each owner calls `forebay_ticket_free` once. When
/// the last does so before an end, the refresh is abandoned: the lease ends, and the next caller may refresh.
pub struct forebay_ticket {
    _private: [u8; 0],
}

impl Handle for forebay_ticket {
    type Rust = Held;
    type Ownership = Shared;
}

/// The ticket, and its texts as C reads them.
pub(crate) struct Held {
    ticket: Ticket,
    key: Cell,
    validator: Cell,
    headers: Headers,
}

impl Held {
    pub(crate) fn new(ticket: Ticket) -> Held {
        Held { ticket, key: Cell::default(), validator: Cell::default(), headers: Headers::default() }
    }

    fn headers(&self) -> &[(Terminated, Terminated)] {
        self.headers.get(|| self.ticket.conditional_headers())
    }
}

/// The outcome of an end: that a newer value was put is no failure.
fn ended(out: args::Out<*mut forebay_value>, result: Result<Value>) -> Result<forebay_status> {
    match result {
        Ok(value) => {
            out.export(Found::new(value));
            Ok(OK)
        }
        Err(error) if error.code() == Code::Superseded => Ok(SUPERSEDED),
        Err(error) => Err(error),
    }
}

/// # Safety
/// `ticket` is NULL or a live handle.
unsafe fn ticket_of<'a>(ticket: *const forebay_ticket) -> Result<&'a Ticket> {
    // SAFETY: the caller's promise.
    Ok(&unsafe { handle::borrow(ticket, "ticket")? }.ticket)
}

/// # Safety
/// `ticket` is NULL or a live handle.
unsafe fn look<'a>(ticket: *const forebay_ticket) -> Option<&'a Ticket> {
    // SAFETY: the caller's promise.
    unsafe { handle::peek(ticket) }.map(|held| &held.ticket)
}

/// Ends the ticket with a new value, and stores it.
///
/// `out`: the value as stored, or NULL where you don't want it. `data`: `size` bytes, copied during the call; `(NULL,
/// 0)` is an empty value. `commit`: NULL for none. Returns `FOREBAY_OK`, or `FOREBAY_SUPERSEDED` where a newer value was
/// put meanwhile: then nothing was stored. Errors: `FOREBAY_E_ALREADY_USED`; `_LEASE_LOST`: too late, nothing was stored;
/// `_LOCK_TIMEOUT`: the ticket is still open, call again; `_NO_SPACE`, `_PERMISSION`, `_IO`: not stored, and who waits in
/// this process still gets the bytes. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_complete(
    out: *mut *mut forebay_value,
    ticket: *mut forebay_ticket,
    data: *const c_void,
    size: usize,
    commit: *const forebay_commit,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for NULL or a place, a live ticket, and readable bytes and options.
        let (out, ticket, data, commit) =
            unsafe { (maybe_out(out), ticket_of(ticket)?, bytes(data, size, "data")?, commit_of(commit)?) };
        ended(out, ticket.complete(data, &commit))
    })
}

/// Ends the ticket: the origin says that the value is unchanged (304), so it is fresh again. As
/// `forebay_ticket_complete`; what `commit` sets replaces what was stored beside the value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_unchanged(
    out: *mut *mut forebay_value,
    ticket: *mut forebay_ticket,
    commit: *const forebay_commit,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for NULL or a place, a live ticket and readable options.
        let (out, ticket, commit) = unsafe { (maybe_out(out), ticket_of(ticket)?, commit_of(commit)?) };
        ended(out, ticket.unchanged(&commit))
    })
}

/// Ends the ticket: the refresh failed. The last good value stays, and a gate holds back the next attempt, in all
/// processes.
///
/// `failure`: NULL for one without a reason. Errors: `FOREBAY_E_ALREADY_USED`, `_LEASE_LOST`, `_LOCK_TIMEOUT` (the ticket
/// is still open), `_NO_SPACE`, `_PERMISSION`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_fail(
    ticket: *mut forebay_ticket,
    failure: *const forebay_failure,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live ticket and NULL or readable options.
        let (ticket, failure) = unsafe { (ticket_of(ticket)?, failure_of(failure)?) };
        ticket.fail(&failure)?;
        Ok(OK)
    })
}

/// Ends the ticket with the answer of an HTTP server: 2xx completes it with the body, and ETag or Last-Modified as its
/// validator; 304 is unchanged; 401 and 403 fail it as unauthorized, 429 as rate_limited and 503 as unavailable, each
/// with Retry-After; the rest as refresh_failed. Returns and errors as those three functions do. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_respond(
    out: *mut *mut forebay_value,
    ticket: *mut forebay_ticket,
    response: *const forebay_response,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for NULL or a place, a live ticket and readable options and slices.
        let (out, ticket, meaning) = unsafe { (maybe_out(out), ticket_of(ticket)?, meaning_of(response)?) };
        match meaning {
            Meaning::New(body, commit) => ended(out, ticket.complete(body, &commit)),
            Meaning::Unchanged(commit) => ended(out, ticket.unchanged(&commit)),
            Meaning::Failed(failure) => {
                ticket.fail(&failure)?;
                Ok(OK)
            }
        }
    })
}

/// Moves the deadline: the work may take `deadline_ms` from now. Errors: `FOREBAY_E_INVALID`, `_ALREADY_USED`,
/// `_LEASE_LOST`, `_LOCK_TIMEOUT`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_renew(
    ticket: *mut forebay_ticket,
    deadline_ms: i64,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live ticket.
        let ticket = unsafe { ticket_of(ticket)? };
        let deadline = duration(deadline_ms, "deadline_ms")?.ok_or_else(|| {
            Error::new(Code::Invalid, "deadline_ms is -1").with_hint("give milliseconds from now")
        })?;
        ticket.renew(deadline)?;
        Ok(OK)
    })
}

/// 1 where the work is of no use any more: a value was put, the source removed, the lease is over, or the cache was
/// closed. 0 otherwise, and for NULL. Cheap enough to ask in a loop. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_cancelled(ticket: *const forebay_ticket) -> i32 {
    ffi_guard!(else 1, {
        // SAFETY: the header asks for NULL or a live handle.
        i32::from(unsafe { look(ticket) }.is_some_and(Ticket::cancelled))
    })
}

/// How many milliseconds are left until the deadline; 0 when it is over, and for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_remaining_ms(ticket: *const forebay_ticket) -> i64 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { look(ticket) }.map_or(0, |ticket| to_ms(Some(ticket.remaining())))
    })
}

/// The deadline, in milliseconds since the epoch by the cache's clock; -1 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_deadline_ms(ticket: *const forebay_ticket) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        instant_to_ms(unsafe { look(ticket) }.map(Ticket::deadline))
    })
}

/// The fencing token of the lease: it grows with each lease of the source. 0 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_token(ticket: *const forebay_ticket) -> u64 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { look(ticket) }.map_or(0, Ticket::token)
    })
}

/// The source's key, `tier/name`, with a NUL at its end, borrowed from the ticket; its length is written to `*size`
/// unless `size` is NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_key(
    ticket: *const forebay_ticket,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(ticket) {
                Some(held) => held.key.show(size, || Some(held.ticket.key().to_string())),
                None => text::nothing(size),
            }
        }
    })
}

/// The bytes of the value before this refresh, borrowed from the ticket; their number is written to `*size` unless
/// `size` is NULL. NULL where there is none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_previous(
    ticket: *const forebay_ticket,
    size: *mut usize,
) -> *const u8 {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle.
        let previous = unsafe { look(ticket) }.and_then(|ticket| ticket.previous());
        if !size.is_null() {
            // SAFETY: the header asks for NULL or a place for the size.
            unsafe { size.write(previous.map_or(0, |entry| entry.data.len())) };
        }
        previous.map_or(std::ptr::null(), |entry| entry.data.as_ptr())
    })
}

/// When the value before this refresh was stored, in milliseconds since the epoch; -1 where there is none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_previous_stored_at_ms(ticket: *const forebay_ticket) -> i64 {
    ffi_guard!(else -1, {
        // SAFETY: the header asks for NULL or a live handle.
        let previous = unsafe { look(ticket) }.and_then(|ticket| ticket.previous());
        instant_to_ms(previous.map(|entry| entry.stored_at()))
    })
}

/// The validator of the value before this refresh; as `forebay_ticket_key`, and NULL where there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_validator(
    ticket: *const forebay_ticket,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(ticket) {
                Some(held) => held.validator.show(size, || held.ticket.validator()),
                None => text::nothing(size),
            }
        }
    })
}

/// How many headers make an HTTP request conditional on the validator: If-None-Match for an ETag, If-Modified-Since
/// for a date, none for another. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_header_count(ticket: *const forebay_ticket) -> usize {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(ticket) }.map_or(0, |held| held.headers().len())
    })
}

/// The name of one of those headers, with a NUL at its end, borrowed from the ticket; NULL beyond the last. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_header_name(
    ticket: *const forebay_ticket,
    index: usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle; NULL is no place for a size.
        unsafe {
            let header = handle::peek(ticket).and_then(|held| held.headers().get(index));
            text::show(header.map(|(name, _)| name), std::ptr::null_mut())
        }
    })
}

/// The value of one of those headers; as `forebay_ticket_header_name`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_header_value(
    ticket: *const forebay_ticket,
    index: usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle; NULL is no place for a size.
        unsafe {
            let header = handle::peek(ticket).and_then(|held| held.headers().get(index));
            text::show(header.map(|(_, value)| value), std::ptr::null_mut())
        }
    })
}

/// One more owner of the same ticket: returns `ticket`. A refresher that ends its ticket after it returned calls this
/// first. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_retain(ticket: *const forebay_ticket) -> *mut forebay_ticket {
    ffi_guard!(else std::ptr::null_mut(), {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::retain(ticket) }
    })
}

/// Gives up one owner's hold. The last one of a ticket that was not ended abandons the refresh. NULL is fine. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_ticket_free(ticket: *mut forebay_ticket) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that this owner doesn't use afterwards.
        unsafe { handle::free(ticket) }
    });
}
