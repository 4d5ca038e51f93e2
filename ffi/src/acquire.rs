//! Refreshing by ticket: the host takes the lease and does the work where it wants, or pulls what others asked for.

use crate::args::{self, Options, duration, flag, forebay_slice, maybe_out, out_handle};
use crate::cache::{cache_of, forebay_cache};
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::interrupt::{self, forebay_interrupt};
use crate::options::{forebay_source_options, reserved, source_of};
use crate::refresh_info::{Info, forebay_refresh_info};
use crate::status::{self, ABSENT, FRESH, GATED, IN_FLIGHT, OK, forebay_status};
use crate::ticket::{Held, forebay_ticket};
use crate::value::{Found, forebay_value};
use forebay_core::{AcquireOptions, Acquired, Result, Version};

/// When a ticket is wanted. Begin with `FOREBAY_ACQUIRE_OPTIONS_INIT`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_acquire_options {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// Only while the value has that version, from `forebay_value_version`: else `FOREBAY_FRESH`. Empty: whatever it is.
    pub unless_changed_since: forebay_slice,
    /// How much time the work gets. -1: the source's deadline.
    pub deadline_ms: i64,
    /// 1: only where the value is not fresh: else `FOREBAY_FRESH`.
    pub unless_fresh: i32,
    /// 1: past any gate, also one that the origin declared.
    pub override_gate: i32,
    /// 1: past a gate that forebay guessed.
    pub force: i32,
    /// Must be 0.
    pub reserved: i32,
}

// SAFETY: repr(C), the size first, integers and pointers only.
unsafe impl Options for forebay_acquire_options {
    const INIT: Self = forebay_acquire_options {
        struct_size: size_of::<Self>(),
        unless_changed_since: forebay_slice::EMPTY,
        deadline_ms: -1,
        unless_fresh: 0,
        override_gate: 0,
        force: 0,
        reserved: 0,
    };
}

/// # Safety
/// As [`args::options`], and its slice is readable.
unsafe fn wanted(options: *const forebay_acquire_options) -> Result<AcquireOptions> {
    // SAFETY: the caller's promise.
    let options = unsafe { args::options(options, "options")? }.unwrap_or(Options::INIT);
    reserved(options.reserved)?;
    // SAFETY: the caller's promise.
    let since = unsafe { options.unless_changed_since.some_text("unless_changed_since")? };
    Ok(AcquireOptions {
        deadline: duration(options.deadline_ms, "deadline_ms")?,
        unless_fresh: flag(options.unless_fresh, "unless_fresh")?,
        unless_changed_since: since.map(Version::parse).transpose()?,
        override_gate: flag(options.override_gate, "override_gate")?,
        force: flag(options.force, "force")?,
    })
}

/// Takes the lease of a source, whose refresh is then yours to do.
///
/// `ticket`: set with `FOREBAY_OK`; free it with `forebay_ticket_free`. `value`: set with `FOREBAY_FRESH`; `info`: set with
/// `FOREBAY_IN_FLIGHT` (another refreshes) and `FOREBAY_GATED` (nobody may now). Both may be NULL where you don't want
/// them; else free them. `options`: NULL for the defaults. Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_LOCK_TIMEOUT`,
/// `_TOO_MANY_LEASES`, `_NO_SPACE`, `_PERMISSION`, `_IO`. Waits for a guard lock for at most 2 s, normally microseconds.
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_acquire(
    ticket: *mut *mut forebay_ticket,
    value: *mut *mut forebay_value,
    info: *mut *mut forebay_refresh_info,
    cache: *const forebay_cache,
    source: *const forebay_source_options,
    options: *const forebay_acquire_options,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for places, of which two may be NULL.
        let (value, info, ticket) =
            unsafe { (maybe_out(value), maybe_out(info), out_handle(ticket, "ticket")?) };
        // SAFETY: the header asks for a live cache and readable options.
        let (source, options) = unsafe { (source_of(cache, source)?, wanted(options)?) };
        Ok(match source.acquire(&options)? {
            Acquired::Ticket(mine) => {
                ticket.export(Held::new(mine));
                OK
            }
            Acquired::Fresh(found) => {
                value.export(Found::new(found));
                FRESH
            }
            Acquired::InFlight(state) => {
                info.export(Info::new(state));
                IN_FLIGHT
            }
            Acquired::Gated(state) => {
                info.export(Info::new(state));
                GATED
            }
        })
    })
}

/// Where the value isn't fresh: takes the lease at once, and queues the ticket for `forebay_next_refresh` of this
/// process. Returns `FOREBAY_OK` (queued), `FOREBAY_FRESH`, `FOREBAY_IN_FLIGHT` or `FOREBAY_GATED`. Errors: as
/// `forebay_acquire`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_request_refresh(
    cache: *const forebay_cache,
    source: *const forebay_source_options,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live cache and readable options.
        let source = unsafe { source_of(cache, source)? };
        Ok(status::of_started(source.request_refresh()?))
    })
}

/// Waits for the next ticket that `forebay_request_refresh` queued on this cache: the loop of a thread of yours that does
/// background refreshes.
///
/// `ticket`: set with `FOREBAY_OK`; free it with `forebay_ticket_free`. `timeout_ms`: at most so long; -1 without end.
/// `interrupt`: NULL, or a flag that ends the wait. Returns `FOREBAY_OK`, or `FOREBAY_ABSENT` where there was none in that
/// time. Errors: `FOREBAY_E_CANCELLED` when interrupted, `FOREBAY_E_CLOSED` when the cache is closed. Any thread, also
/// several at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_next_refresh(
    ticket: *mut *mut forebay_ticket,
    cache: *const forebay_cache,
    timeout_ms: i64,
    interrupt: *const forebay_interrupt,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle and a live cache.
        let (out, cache) = unsafe { (out_handle(ticket, "ticket")?, cache_of(cache)?) };
        let timeout = duration(timeout_ms, "timeout_ms")?;
        // SAFETY: the header asks for NULL or a live interrupt.
        let next = unsafe { interrupt::waiting(interrupt, |asked| cache.next_refresh(timeout, asked))? };
        Ok(next.map_or(ABSENT, |mine| {
            out.export(Held::new(mine));
            OK
        }))
    })
}
