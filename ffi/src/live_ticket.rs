//! `forebay_live_ticket`: a computation whose inputs were looked at before it began, without a lease: the simplest form
//! for a host that coordinates by itself.

use crate::args::{bytes, maybe_out, out_handle};
use crate::derived::{Outcome, forebay_derived};
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::live::{forebay_live, live_of};
use crate::live_spec::{Spec, forebay_live_spec};
use crate::status::{OK, forebay_status};
use crate::text::{self, Cell};
use forebay_core::{Code, Error, LiveKey, LiveTicket};
use std::ffi::{c_char, c_void};
use std::sync::{Mutex, PoisonError};

/// A computation that is under way: its inputs were looked at when it began, and are looked at again by its commit.
///
/// Thread safety: any thread, also several at once; one commit ends it.
pub struct forebay_live_ticket {
    _private: [u8; 0],
}

impl Handle for forebay_live_ticket {
    type Rust = Begun;
    type Ownership = Single;
}

/// The ticket, until it is committed, and what its result is.
pub(crate) struct Begun {
    ticket: Mutex<Option<LiveTicket>>,
    key: LiveKey,
    kind: String,
    text: Cell,
}

/// Looks at the inputs, before anything is computed from them. It takes no lease: others may compute the same
/// meanwhile.
///
/// `out`: to be freed with `forebay_live_ticket_free`. Errors: `FOREBAY_E_SUPERSEDED` where a result that it is to be
/// built on does not hold; those of reading the inputs (`FOREBAY_E_PERMISSION`, `_IO`); and `FOREBAY_E_INVALID`,
/// `_CLOSED`, `_UNSUPPORTED`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_begin(
    out: *mut *mut forebay_live_ticket,
    live: *const forebay_live,
    spec: *const forebay_live_spec,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live handle and a readable spec.
        let (out, live, spec) = unsafe { (out_handle(out, "out")?, live_of(live)?, Spec::take(spec)?) };
        let ticket = live.begin(&spec.key, &spec.inputs, &spec.upstreams)?;
        out.export(Begun {
            ticket: Mutex::new(Some(ticket)),
            key: spec.key,
            kind: spec.kind,
            text: Cell::default(),
        });
        Ok(OK)
    })
}

/// Stores the result. Whatever comes of it, the ticket has ended then.
///
/// `out`: to be freed with `forebay_derived_free`; the place may be NULL. `data`: `size` bytes, copied during the call.
/// Errors: `FOREBAY_E_SUPERSEDED` where an input, or a result that it is built on, has changed since the ticket was
/// taken: nothing was stored; `FOREBAY_E_ALREADY_USED` where it has ended before; those of reading the inputs; and
/// `FOREBAY_E_INVALID`, `_CLOSED`, `_LOCK_TIMEOUT`, `_NO_SPACE`, `_PERMISSION`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_commit(
    out: *mut *mut forebay_derived,
    ticket: *mut forebay_live_ticket,
    data: *const c_void,
    size: usize,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for NULL or a place, a live handle and readable bytes.
        let (out, begun, data) =
            unsafe { (maybe_out(out), handle::borrow(ticket, "ticket")?, bytes(data, size, "data")?) };
        let ticket = begun.ticket.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ticket = ticket.ok_or_else(|| Error::new(Code::AlreadyUsed, "the ticket has ended before"))?;
        out.export(Outcome::new(ticket.commit(data, &begun.kind)?));
        Ok(OK)
    })
}

/// The key of the result, with a NUL at its end, borrowed from the ticket; its length is written to `*size` unless
/// `size` is NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_ticket_key(
    ticket: *const forebay_live_ticket,
    size: *mut usize,
) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(ticket) {
                Some(begun) => begun.text.show(size, || Some(begun.key.to_string())),
                None => text::nothing(size),
            }
        }
    })
}

/// Frees the ticket; NULL is fine. Where it was not committed, nothing is stored. Not while another thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_ticket_free(ticket: *mut forebay_live_ticket) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(ticket) }
    });
}
