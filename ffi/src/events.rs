//! `forebay_events`: what happens on a cache in this process, told to whoever asks.

use crate::args::{duration, out_handle};
use crate::cache::{cache_of, forebay_cache};
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::interrupt::{self, forebay_interrupt};
use crate::status::{self, ABSENT, OK, UNKNOWN, forebay_status};
use crate::text::{self, Cell};
use forebay_core::{Code, Event, Events, Result};
use std::ffi::c_char;
use std::time::{Duration, Instant};

/// A listener: the events of a cache in this process since `forebay_subscribe`, in order. It keeps the last 4096 that
/// nobody fetched.
///
/// Thread safety: any thread, also several at once: each event is given to one of them.
pub struct forebay_events {
    _private: [u8; 0],
}

impl Handle for forebay_events {
    type Rust = Events;
    type Ownership = Single;
}

/// One thing that happened. Its accessors accept NULL.
///
/// Thread safety: immutable; any thread, also several at once.
pub struct forebay_event {
    _private: [u8; 0],
}

impl Handle for forebay_event {
    type Rust = Happened;
    type Ownership = Single;
}

/// The event, and its key as C reads it.
pub(crate) struct Happened {
    event: Event,
    key: Cell,
}

/// How long a wait sleeps before it looks at its interrupt.
const SLICE: Duration = Duration::from_millis(25);

/// The next event; `asked` ends the wait.
fn next(events: &Events, timeout: Option<Duration>, asked: Option<&dyn Fn() -> bool>) -> Option<Event> {
    let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        if asked.is_some_and(|asked| asked()) {
            return None;
        }
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        let slice = if asked.is_some() { left.min(SLICE) } else { left };
        match events.next(slice) {
            Some(event) => return Some(event),
            None if slice == left && until.is_some() => return None,
            None => {}
        }
    }
}

/// Begins to listen to what happens on the cache, in this process.
///
/// `out`: to be freed with `forebay_events_free`. Errors: `FOREBAY_E_INVALID`. Any thread; no thread is started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_subscribe(
    out: *mut *mut forebay_events,
    cache: *const forebay_cache,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle and a live cache.
        let (out, cache) = unsafe { (out_handle(out, "out")?, cache_of(cache)?) };
        out.export(cache.subscribe());
        Ok(OK)
    })
}

/// Waits for the next event.
///
/// `out`: set with `FOREBAY_OK`; free it with `forebay_event_free`. `timeout_ms`: at most so long; -1 without end.
/// `interrupt`: NULL, or a flag that ends the wait. Returns `FOREBAY_OK`, or `FOREBAY_ABSENT` where there was none in that
/// time. Errors: `FOREBAY_E_CANCELLED` when interrupted, `FOREBAY_E_INVALID`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_events_next(
    out: *mut *mut forebay_event,
    events: *const forebay_events,
    timeout_ms: i64,
    interrupt: *const forebay_interrupt,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle and a live listener.
        let (out, events) = unsafe { (out_handle(out, "out")?, handle::borrow(events, "events")?) };
        let timeout = duration(timeout_ms, "timeout_ms")?;
        let wait = |asked: Option<&dyn Fn() -> bool>| -> Result<_> { Ok(next(events, timeout, asked)) };
        // SAFETY: the header asks for NULL or a live interrupt.
        let event = unsafe { interrupt::waiting(interrupt, wait)? };
        Ok(event.map_or(ABSENT, |event| {
            out.export(Happened { event, key: Cell::default() });
            OK
        }))
    })
}

/// How many events were dropped because nobody fetched them in time. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_events_dropped(events: *const forebay_events) -> u64 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(events) }.map_or(0, Events::dropped)
    })
}

/// Stops listening; NULL is fine. Any thread, but not while another waits on it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_events_free(events: *mut forebay_events) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(events) }
    });
}

/// What happened: a `forebay_event_kind`; -1 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_event_kind_of(event: *const forebay_event) -> i32 {
    ffi_guard!(else UNKNOWN, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(event) }.map_or(UNKNOWN, |happened| status::event_number(happened.event.kind))
    })
}

/// To which source: its key, `tier/name`, with a NUL at its end, borrowed from the event; its length is written to
/// `*size` unless `size` is NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_event_key(event: *const forebay_event, size: *mut usize) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(event) {
                Some(happened) => happened.key.show(size, || Some(happened.event.key.to_string())),
                None => text::nothing(size),
            }
        }
    })
}

/// The code of the failure, where it is one; else 0. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_event_code(event: *const forebay_event) -> i32 {
    ffi_guard!(else 0, {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::peek(event) }.and_then(|happened| happened.event.code).map_or(0, Code::number)
    })
}

/// Frees the event; NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_event_free(event: *mut forebay_event) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(event) }
    });
}
