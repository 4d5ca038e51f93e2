//! `forebay_ticket`: the right to refresh one source, what helps with the work, and the ways to end it. It doesn't
//! know who does the work or on which thread.

use crate::args::{self, Options, bytes, duration, forebay_slice, instant_to_ms, maybe_out, to_ms};
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Shared, null};
use crate::options::{commit_of, forebay_commit, reserved};
use crate::status::{OK, SUPERSEDED, forebay_code, forebay_status};
use crate::text::{self, Cell, Terminated};
use crate::value::{Found, forebay_value};
use forebay_core::{Code, Commit, Error, Failure, Result, Ticket, Value};
use std::ffi::{c_char, c_void};
use std::sync::OnceLock;

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
    headers: OnceLock<Vec<(Terminated, Terminated)>>,
}

impl Held {
    pub(crate) fn new(ticket: Ticket) -> Held {
        Held { ticket, key: Cell::default(), validator: Cell::default(), headers: OnceLock::new() }
    }

    fn headers(&self) -> &[(Terminated, Terminated)] {
        self.headers.get_or_init(|| {
            let headers = self.ticket.conditional_headers();
            let pair = |(name, value): (&str, String)| {
                (Terminated::new(name.as_bytes()), Terminated::new(value.as_bytes()))
            };
            headers.into_iter().map(pair).collect()
        })
    }
}

/// Why a refresh failed. Begin with `FOREBAY_FAILURE_INIT`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_failure {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// What happened, in your words. They come back verbatim: `forebay_error_host_text`.
    pub message: forebay_slice,
    /// How long the origin asks to be left alone. -1: it didn't say, and forebay chooses.
    pub retry_after_ms: i64,
    /// One of the negative numbers of `forebay_code`.
    pub code: i32,
    /// Must be 0.
    pub reserved: i32,
}

// SAFETY: repr(C), the size first, integers and pointers only.
unsafe impl Options for forebay_failure {
    const INIT: Self = forebay_failure {
        struct_size: size_of::<Self>(),
        message: forebay_slice::EMPTY,
        retry_after_ms: -1,
        code: forebay_code::FOREBAY_E_REFRESH_FAILED as i32,
        reserved: 0,
    };
}

/// The answer of an HTTP server. Begin with `FOREBAY_RESPONSE_INIT`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_response {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// The body; copied during the call.
    pub body: forebay_slice,
    /// The header ETag. Empty: none.
    pub etag: forebay_slice,
    /// The header Last-Modified. Empty: none.
    pub last_modified: forebay_slice,
    /// The header Retry-After, or a reset epoch. Empty: none.
    pub retry_after: forebay_slice,
    /// The status: 200, 304, 429, …
    pub status: i32,
    /// Must be 0.
    pub reserved: i32,
}

// SAFETY: repr(C), the size first, integers and pointers only.
unsafe impl Options for forebay_response {
    const INIT: Self = forebay_response {
        struct_size: size_of::<Self>(),
        body: forebay_slice::EMPTY,
        etag: forebay_slice::EMPTY,
        last_modified: forebay_slice::EMPTY,
        retry_after: forebay_slice::EMPTY,
        status: 0,
        reserved: 0,
    };
}

/// The host's own words, as the cause of the failure that carries them.
#[derive(Debug)]
struct HostText(String);

impl std::fmt::Display for HostText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HostText {}

/// # Safety
/// As [`args::options`], and its message is readable.
unsafe fn failure_of(failure: *const forebay_failure) -> Result<Failure> {
    // SAFETY: the caller's promise.
    let options = unsafe { args::options(failure, "failure")? }.unwrap_or(Options::INIT);
    reserved(options.reserved)?;
    let code = Code::from_number(options.code).ok_or_else(|| {
        Error::new(Code::Invalid, format!("code of failure is {}", options.code))
            .with_hint("give one of the negative numbers of forebay_code")
    })?;
    // SAFETY: the caller's promise.
    let said = unsafe { options.message.some_text("message")? };
    let mut failure = Failure::new(code, said.unwrap_or("the refresher gave no reason"));
    if let Some(after) = duration(options.retry_after_ms, "retry_after_ms")? {
        failure = failure.retry_after(after);
    }
    if let Some(said) = said {
        failure.source = Some(std::sync::Arc::new(HostText(said.to_owned())));
    }
    Ok(failure)
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
        // SAFETY: the header asks for NULL or a place, a live ticket and readable options.
        let (out, ticket, options) =
            unsafe { (maybe_out(out), ticket_of(ticket)?, args::options(response, "response")?) };
        let options = options.ok_or_else(|| null("response"))?;
        reserved(options.reserved)?;
        // SAFETY: the header asks for readable slices.
        let (body, etag, modified, after) = unsafe {
            (
                options.body.bytes("body")?,
                options.etag.some_text("etag")?,
                options.last_modified.some_text("last_modified")?,
                options.retry_after.some_text("retry_after")?,
            )
        };
        let commit = Commit { validator: etag.or(modified).map(str::to_owned), ..Commit::default() };
        match u16::try_from(options.status) {
            Ok(200..=299) => ended(out, ticket.complete(body, &commit)),
            Ok(304) => ended(out, ticket.unchanged(&commit)),
            Ok(status @ 100..=999) => {
                ticket.fail(&Failure::from_status(status, after))?;
                Ok(OK)
            }
            _ => Err(Error::new(Code::Invalid, format!("{} is no HTTP status", options.status))),
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
