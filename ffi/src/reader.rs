//! `forebay_reader` and `forebay_readers`: the fast paths for values that are read again and again in one process.

use crate::args::{self, Options, forebay_slice, out, out_handle, to_ms};
use crate::cache::{cache_of, forebay_cache};
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::options::{forebay_source_options, rules_of, source_of};
use crate::status::{self, OK, forebay_state, forebay_status};
use crate::value::{Found, forebay_value};
use forebay_core::{Reader, Readers};
use std::cell::UnsafeCell;

/// One source, read again and again. A hit needs no system call and no copy; what another process commits is seen at
/// once, and what a program that doesn't know the protocol writes within 100 ms.
///
/// Thread safety: any thread, one at a time. For several threads, open one each: they are cheap.
pub struct forebay_reader {
    _private: [u8; 0],
}

impl Handle for forebay_reader {
    type Rust = Exclusive;
    type Ownership = Single;
}

/// A reader that one thread uses at a time, as the header asks.
pub(crate) struct Exclusive(UnsafeCell<Reader>);

// SAFETY: the header forbids two threads at once.
unsafe impl Sync for Exclusive {}

impl Exclusive {
    /// # Safety
    /// No other call on this reader runs, and what it lent is used no more.
    #[allow(clippy::mut_from_ref)]
    unsafe fn enter(&self) -> &mut Reader {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.0.get() }
    }
}

/// What `forebay_reader_read` found. It never grows, so it has no size.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_hit {
    /// The first byte, borrowed from the reader until its next call; NULL where there is no value.
    pub data: *const u8,
    /// How many bytes.
    pub size: usize,
    /// The age in milliseconds; -1 where there is no value.
    pub age_ms: i64,
    /// A `forebay_state`.
    pub state: i32,
    /// 0.
    pub reserved: i32,
}

impl forebay_hit {
    const ABSENT: forebay_hit = forebay_hit {
        data: std::ptr::null(),
        size: 0,
        age_ms: -1,
        state: forebay_state::FOREBAY_STATE_ABSENT as i32,
        reserved: 0,
    };
}

/// Many sources by key, read again and again: a map of readers.
///
/// Thread safety: any thread, also several at once.
pub struct forebay_readers {
    _private: [u8; 0],
}

impl Handle for forebay_readers {
    type Rust = Readers;
    type Ownership = Single;
}

/// Makes a reader of one source.
///
/// `out`: to be freed with `forebay_reader_free`. Errors: `FOREBAY_E_INVALID`, `_CLOSED`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_reader_open(
    out: *mut *mut forebay_reader,
    cache: *const forebay_cache,
    source: *const forebay_source_options,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live cache and readable options.
        let (out, source) = unsafe { (out_handle(out, "out")?, source_of(cache, source)?) };
        source.key()?;
        out.export(Exclusive(UnsafeCell::new(source.reader())));
        Ok(OK)
    })
}

/// Looks at the source. What `hit` got before is used no more.
///
/// `hit`: a place for what is found. Returns `FOREBAY_OK` (fresh), `FOREBAY_STALE`, `FOREBAY_EXPIRED` or `FOREBAY_ABSENT`.
/// Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_PERMISSION`, `_IO`. One thread at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_reader_read(
    hit: *mut forebay_hit,
    reader: *mut forebay_reader,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the hit and a live handle that nobody else uses.
        let (hit, reader) =
            unsafe { (out(hit, forebay_hit::ABSENT, "hit")?, handle::borrow(reader, "reader")?.enter()) };
        let found = reader.read()?;
        let state = found.state;
        hit.set(forebay_hit {
            data: found.data().map_or(std::ptr::null(), <[u8]>::as_ptr),
            size: found.data().map_or(0, <[u8]>::len),
            age_ms: to_ms(found.age()),
            state: status::state_number(state),
            reserved: 0,
        });
        Ok(status::of_state(state))
    })
}

/// The same as a value that outlives the reader. `out`: to be freed with `forebay_value_free`. Returns and errors as
/// `forebay_reader_read`. One thread at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_reader_value(
    out: *mut *mut forebay_value,
    reader: *const forebay_reader,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle and a live handle that nobody else uses.
        let (out, reader) = unsafe { (out_handle(out, "out")?, handle::borrow(reader, "reader")?.enter()) };
        let found = Found::new(reader.value()?);
        let status = found.status();
        out.export(found);
        Ok(status)
    })
}

/// Frees the reader, and with it what its last hit borrowed; NULL is fine. Not while another thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_reader_free(reader: *mut forebay_reader) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(reader) }
    });
}

/// Makes a map of readers, which share their options.
///
/// `out`: to be freed with `forebay_readers_free`. `options`: NULL for the defaults; what they say of key, tier and identity
/// doesn't matter. Errors: `FOREBAY_E_INVALID`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_readers_open(
    out: *mut *mut forebay_readers,
    cache: *const forebay_cache,
    options: *const forebay_source_options,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live cache and readable options.
        let (out, cache, options) =
            unsafe { (out_handle(out, "out")?, cache_of(cache)?, args::options(options, "options")?) };
        let rules = rules_of(&options.unwrap_or(Options::INIT))?;
        out.export(cache.readers().with_options(rules));
        Ok(OK)
    })
}

/// Looks at the source `tier/name`, by the reader that the map keeps for it. As `forebay_read`, on the fast path. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_readers_get(
    out: *mut *mut forebay_value,
    readers: *const forebay_readers,
    key: forebay_slice,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live handle and readable text.
        let (out, readers, key) =
            unsafe { (out_handle(out, "out")?, handle::borrow(readers, "readers")?, key.text("key")?) };
        let found = Found::new(readers.get(key)?);
        let status = found.status();
        out.export(found);
        Ok(status)
    })
}

/// Frees the map; NULL is fine. Not while another thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_readers_free(readers: *mut forebay_readers) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(readers) }
    });
}
