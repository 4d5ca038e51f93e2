//! `forebay_cache`: a root that is open. Opening, closing, counting; what is done with sources is elsewhere.

use crate::args::{self, Options, duration, flag, forebay_slice, out_handle};
use crate::attempt::LONG;
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Shared};
use crate::interrupt::{self, forebay_interrupt};
use crate::status::{self, OK, UNKNOWN, forebay_status};
use crate::text::{self, Cell};
use forebay_core::{Cache, CacheOptions, EventKind, Result};
use std::ffi::{OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

/// An open cache: one folder that many processes share.
///
/// Thread safety: any thread, also several at once. `forebay_cache_retain` adds an owner, and each owner calls
/// `forebay_cache_free` once; values, tickets and readers may outlive that. After a `fork`, the child opens its
/// own cache or goes on with this one: the leases of its parent stay the parent's.
pub struct forebay_cache {
    _private: [u8; 0],
}

impl Handle for forebay_cache {
    type Rust = Opened;
    type Ownership = Shared;
}

/// The cache, and its root as C reads it.
pub(crate) struct Opened {
    pub(crate) cache: Cache,
    root: Cell,
}

/// How to open a cache. Begin with `FOREBAY_CACHE_OPTIONS_INIT`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_cache_options {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// The folder. Empty: `$FOREBAY_ROOT`, else `$XDG_CACHE_HOME/forebay`, else `$HOME/.cache/forebay`.
    pub root: forebay_slice,
    /// For tests: a file from which all processes read the time. Empty: the system's clock.
    pub test_clock: forebay_slice,
    /// What a commit waits for: a `forebay_durability`, or -1 for `FOREBAY_DURABILITY_DATA`.
    pub durability: i32,
    /// 1: keep the values in this process only, and no folder at all.
    pub memory: i32,
}

// SAFETY: repr(C), the size first, integers and pointers only.
unsafe impl Options for forebay_cache_options {
    const INIT: Self = forebay_cache_options {
        struct_size: size_of::<Self>(),
        root: forebay_slice::EMPTY,
        test_clock: forebay_slice::EMPTY,
        durability: UNKNOWN,
        memory: 0,
    };
}

/// The cache behind a handle that has to be there.
///
/// # Safety
/// `cache` is NULL or a live handle.
pub(crate) unsafe fn cache_of<'a>(cache: *const forebay_cache) -> Result<&'a Cache> {
    // SAFETY: the caller's promise.
    Ok(&unsafe { handle::borrow(cache, "cache")? }.cache)
}

/// # Safety
/// The slices of `options` are readable.
unsafe fn open(options: &forebay_cache_options) -> Result<Cache> {
    // SAFETY: the caller's promise.
    let (root, clock) = unsafe { (options.root.bytes("root")?, options.test_clock.bytes("test_clock")?) };
    let mut core = CacheOptions::default().memory(flag(options.memory, "memory")?);
    // A path is bytes, not text.
    if !root.is_empty() {
        core = core.root(OsStr::from_bytes(root));
    }
    if !clock.is_empty() {
        core = core.test_clock(OsStr::from_bytes(clock));
    }
    if let Some(durability) = status::durability(options.durability)? {
        core = core.durability(durability);
    }
    core.open()
}

/// Opens a cache. Takes no lock, starts no thread, and makes the folder only when something is written.
///
/// `out`: the cache, to be freed with `forebay_cache_free`. `options`: NULL for the defaults. Errors:
/// `FOREBAY_E_INVALID`, `_UNSAFE_ROOT`, `_UNSUPPORTED_FS`, `_NEWER_FORMAT`, `_PERMISSION`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_open(
    out: *mut *mut forebay_cache,
    options: *const forebay_cache_options,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, and NULL or readable options.
        let (out, options) = unsafe { (out_handle(out, "out")?, args::options(options, "options")?) };
        // SAFETY: as before.
        let cache = unsafe { open(&options.unwrap_or(Options::INIT))? };
        out.export(Opened { cache, root: Cell::default() });
        Ok(OK)
    })
}

/// Closes the cache for all its owners: each later call fails with `FOREBAY_E_CLOSED`, tickets are told that they are
/// cancelled, and waits end. Handles stay valid until they are freed.
///
/// `drain_ms`: first waits so long for refreshes of this process that run; -1 doesn't wait, and leaves them to be
/// settled by the next caller. Errors: `FOREBAY_E_TIMED_OUT` where some still ran then; it is closed all the same.
/// Any thread, but not with a drain inside a refresher: that would wait for itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_close(
    cache: *mut forebay_cache,
    drain_ms: i64,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle.
        unsafe { cache_of(cache)? }.close(duration(drain_ms, "drain_ms")?)?;
        Ok(OK)
    })
}

/// Waits until no refresh of this process runs on the cache, which stays open.
///
/// `timeout_ms`: at most so long; -1 for at most a day. `interrupt`: NULL, or a flag that ends the wait. Errors:
/// `FOREBAY_E_TIMED_OUT` where some still run, `FOREBAY_E_CANCELLED` when interrupted, `FOREBAY_E_INVALID`. Any thread, but
/// not inside a refresher: that would wait for itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_drain(
    cache: *const forebay_cache,
    timeout_ms: i64,
    interrupt: *const forebay_interrupt,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a live handle.
        let cache = unsafe { cache_of(cache)? };
        let timeout = duration(timeout_ms, "timeout_ms")?.unwrap_or(LONG);
        // SAFETY: the header asks for NULL or a live interrupt.
        unsafe { interrupt::waiting(interrupt, |asked| cache.drain(timeout, asked).map(Some))? };
        Ok(OK)
    })
}

/// One more owner of the same cache: returns `cache`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_cache_retain(cache: *const forebay_cache) -> *mut forebay_cache {
    ffi_guard!(else std::ptr::null_mut(), {
        // SAFETY: the header asks for NULL or a live handle.
        unsafe { handle::retain(cache) }
    })
}

/// Gives up one owner's hold. It does not wait: a refresh that runs goes on. NULL is fine. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_cache_free(cache: *mut forebay_cache) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that this owner doesn't use afterwards.
        unsafe { handle::free(cache) }
    });
}

/// The folder of the cache, with a NUL at its end, borrowed from the cache; its length is written to `*size` unless
/// `size` is NULL. It is as the system has it, so not always UTF-8. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_cache_root(cache: *const forebay_cache, size: *mut usize) -> *const c_char {
    ffi_guard!(else std::ptr::null(), {
        // SAFETY: the header asks for NULL or a live handle, and NULL or a place for the size.
        unsafe {
            match handle::peek(cache) {
                Some(opened) => opened.root.show(size, || Some(opened.cache.root().as_os_str().as_bytes())),
                None => text::nothing(size),
            }
        }
    })
}

/// How often each kind of event has happened on this cache in this process.
///
/// `counts`: a place for `count` numbers, in the order of `forebay_event_kind`; those beyond the last kind are set to
/// 0. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_counters(
    counts: *mut u64,
    count: usize,
    cache: *const forebay_cache,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        if counts.is_null() {
            return Err(handle::null("counts"));
        }
        // SAFETY: the header asks for a live handle.
        let counters = unsafe { cache_of(cache)? }.counters();
        for at in 0..count {
            let number = EventKind::ALL.get(at).map_or(0, |kind| counters.get(*kind));
            // SAFETY: the header asks for a place for `count` numbers.
            unsafe { counts.add(at).write(number) };
        }
        Ok(OK)
    })
}
