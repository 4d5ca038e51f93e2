//! `forebay_live`: the derived results of a cache. Opening, looking, keeping, and the callback form of computing, which
//! drives the steps of `compute`.

use crate::args::{self, Options, bytes, duration, forebay_slice, maybe_out, out_handle};
use crate::cache::{cache_of, forebay_cache};
use crate::computer::{Computer, forebay_computer};
use crate::derived::{Outcome, forebay_derived};
use crate::error::forebay_error;
use crate::guard::ffi_guard;
use crate::handle::{self, Handle, Single};
use crate::live_spec::{Spec, forebay_live_spec, key_of};
use crate::status::{ABSENT, INVALIDATED, OK, forebay_status};
use forebay_core::{Code, Error, Live, LiveOptions, Lookup, Result};
use std::ffi::{OsStr, c_void};
use std::os::unix::ffi::OsStrExt;

/// The derived results of a cache: each holds while all that it was computed from is as it was. They are kept below the
/// cache's root, for all processes.
///
/// Thread safety: any thread, also several at once. Its owner calls `forebay_live_free` once; results, computations and
/// tickets may outlive that, and it may outlive `forebay_cache_free`.
pub struct forebay_live {
    _private: [u8; 0],
}

impl Handle for forebay_live {
    type Rust = Live;
    type Ownership = Single;
}

/// How derived results are kept and computed. Begin with `FOREBAY_LIVE_OPTIONS_INIT`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct forebay_live_options {
    /// The size of this struct, as the program was compiled.
    pub struct_size: usize,
    /// The folder that paths are relative to: bytes, which need not be UTF-8. Empty: the current one.
    pub workspace: forebay_slice,
    /// How long a computation may take before another may make it too. 0 is refused. -1: 10 min.
    pub deadline_ms: i64,
    /// The most bytes that results may have, the least recently used going first. -1: no limit.
    pub size_cap: i64,
}

// SAFETY: repr(C), the size first, integers and pointers only.
unsafe impl Options for forebay_live_options {
    const INIT: Self = forebay_live_options {
        struct_size: size_of::<Self>(),
        workspace: forebay_slice::EMPTY,
        deadline_ms: -1,
        size_cap: -1,
    };
}

/// # Safety
/// The slices of `options` are readable.
unsafe fn rules_of(options: &forebay_live_options) -> Result<LiveOptions> {
    // SAFETY: the caller's promise.
    let workspace = unsafe { options.workspace.bytes("workspace")? };
    let size_cap = match u64::try_from(options.size_cap) {
        Ok(cap) => Some(cap),
        Err(_) if options.size_cap == -1 => None,
        Err(_) => {
            return Err(Error::new(Code::Invalid, format!("size_cap is {}", options.size_cap))
                .with_hint("give bytes, or -1 for no limit"));
        }
    };
    Ok(LiveOptions {
        // A path is bytes, not text.
        workspace: (!workspace.is_empty()).then(|| OsStr::from_bytes(workspace).into()),
        deadline: duration(options.deadline_ms, "deadline_ms")?.unwrap_or(LiveOptions::default().deadline),
        size_cap,
    })
}

/// The results behind a handle that has to be there.
///
/// # Safety
/// `live` is NULL or a live handle.
pub(crate) unsafe fn live_of<'a>(live: *const forebay_live) -> Result<&'a Live> {
    // SAFETY: the caller's promise.
    unsafe { handle::borrow(live, "live") }
}

/// Opens the derived results of the cache. Nothing is written.
///
/// `out`: to be freed with `forebay_live_free`. `options`: NULL for the defaults. Errors: `FOREBAY_E_INVALID`,
/// `_UNSUPPORTED`, `_NEWER_FORMAT`, `_PERMISSION`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_open(
    out: *mut *mut forebay_live,
    cache: *const forebay_cache,
    options: *const forebay_live_options,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live cache, and NULL or readable options.
        let (out, cache, options) =
            unsafe { (out_handle(out, "out")?, cache_of(cache)?, args::options(options, "options")?) };
        // SAFETY: as before.
        let rules = unsafe { rules_of(&options.unwrap_or(Options::INIT))? };
        out.export(cache.live()?.with_options(rules)?);
        Ok(OK)
    })
}

/// What a look returns.
fn told(out: args::Out<*mut forebay_derived>, found: Lookup) -> forebay_status {
    match found {
        Lookup::Hit(derived) => {
            out.export(Outcome::new(derived));
            OK
        }
        Lookup::Miss => ABSENT,
        Lookup::Invalidated => INVALIDATED,
    }
}

/// The result, if all that is recorded of what it was computed from still holds. The inputs themselves are not looked
/// at.
///
/// `out`: to be freed with `forebay_derived_free`. `key`: 64 hexadecimal digits. Returns `FOREBAY_OK`, or
/// `FOREBAY_ABSENT` where it is not there or does not hold. Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_UNSUPPORTED` (a
/// cache in memory keeps none), `_PERMISSION`, `_IO`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_lookup(
    out: *mut *mut forebay_derived,
    live: *const forebay_live,
    key: forebay_slice,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live handle and readable text.
        let (out, live, key) = unsafe { (out_handle(out, "out")?, live_of(live)?, key_of(key, "key")?) };
        Ok(told(out, live.lookup(&key)?))
    })
}

/// The result, after a look at everything that it, and the results that it is built on, were computed from. Where
/// something has changed, is gone or cannot be read, all that was built on it is removed, for every process.
///
/// As `forebay_live_lookup`; and `FOREBAY_INVALIDATED` where it was there, and is gone now by this look. Errors also:
/// `FOREBAY_E_LOCK_TIMEOUT`, `_NO_SPACE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_lookup_revalidate(
    out: *mut *mut forebay_derived,
    live: *const forebay_live,
    key: forebay_slice,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a place for the handle, a live handle and readable text.
        let (out, live, key) = unsafe { (out_handle(out, "out")?, live_of(live)?, key_of(key, "key")?) };
        Ok(told(out, live.lookup_revalidate(&key)?))
    })
}

/// The result, if it holds, after a look at its inputs; else one process of all computes it, and the others get what it
/// computed. The inputs are looked at before and after: what changes meanwhile is never taken for what it was computed
/// from.
///
/// `out`: to be freed with `forebay_derived_free`; never NULL on success. `computer`: its function is called in this
/// thread, at most once. With `FOREBAY_HOW_UNCOORDINATED` it was computed and could not be stored, as
/// `forebay_derived_error` tells: an input changed meanwhile (`FOREBAY_E_SUPERSEDED`), or the disk is full. Errors: the
/// computation's own (`FOREBAY_E_REFRESH_FAILED`, …), which bars nobody; `FOREBAY_E_SUPERSEDED` where a result that it
/// is built on does not hold; those of reading the inputs (`FOREBAY_E_PERMISSION`, `_IO`, `_INVALID` for a pattern that
/// is none); and `FOREBAY_E_CLOSED`, `_UNSUPPORTED`, `_LOCK_TIMEOUT`, `_NO_SPACE`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_get(
    out: *mut *mut forebay_derived,
    live: *const forebay_live,
    spec: *const forebay_live_spec,
    computer: *const forebay_computer,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for a readable table, a place for the handle, a live handle and a readable spec.
        let (computer, out, live, spec) = unsafe {
            (Computer::take(computer)?, out_handle(out, "out")?, live_of(live)?, Spec::take(spec)?)
        };
        let way = live.compute(&spec.key, &spec.inputs, &spec.upstreams, &spec.kind);
        out.export(Outcome::new(computer.drive(way, spec.key)?));
        Ok(OK)
    })
}

/// Keeps a result that was computed before. Its inputs are looked at only now, so that a change since it was computed
/// is not noticed: `forebay_live_begin` notices it.
///
/// `out`: to be freed with `forebay_derived_free`; the place may be NULL. `data`: `size` bytes, copied during the call.
/// Errors: as `forebay_live_begin` and `forebay_live_commit`. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_persist(
    out: *mut *mut forebay_derived,
    live: *const forebay_live,
    spec: *const forebay_live_spec,
    data: *const c_void,
    size: usize,
    err: *mut *mut forebay_error,
) -> forebay_status {
    ffi_guard!(err, {
        // SAFETY: the header asks for NULL or a place, a live handle, a readable spec and readable bytes.
        let (out, live, spec, data) =
            unsafe { (maybe_out(out), live_of(live)?, Spec::take(spec)?, bytes(data, size, "data")?) };
        let kept = live.persist_with_upstreams(&spec.key, data, &spec.kind, &spec.inputs, &spec.upstreams)?;
        out.export(Outcome::new(kept));
        Ok(OK)
    })
}

/// Frees it; NULL is fine. Not while another thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn forebay_live_free(live: *mut forebay_live) {
    ffi_guard!(else (), {
        // SAFETY: the header asks for NULL or a handle that is not used afterwards.
        unsafe { handle::free(live) }
    });
}
